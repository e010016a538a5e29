/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults that wait: a userfaultfd over what is reserved, and the thread that serves it.
 *
 * Reserved stretches are then not untouchable but *watched*: anonymous, accessible, and registered as
 * missing, so that whoever touches one, the kernel included, waits until the thread has had the page
 * mapped over it and wakes it.
 *
 * A touch that must fail: the page is made untouchable, and the toucher woken, to find that out (SIGSEGV
 * for the guest, which then comes by way of signal.c; -EFAULT for the kernel). The page cannot stay so,
 * or the kernel could not touch it when something has been mapped there; so it is watched again a
 * moment later. A toucher that was too slow to notice waits again, and is refused again.
 *
 * Locking: the list of refused pages is under the platform's lock.
 *
 * Refused: faults of the thread itself. Handling a fault must not touch the region.
 */
#include "platform/inproc/host.h"
#include "platform/inproc/internal.h"
#include <memmap/error.h>

/* How long a refused page stays so. */
#define REFUSED_MS 5
/* How long until a call that had to succeed is made again. */
#define AGAIN_MS 1

static struct memmap_addr_range page_at(uint64_t addr)
{
	const uint64_t page = memmap_page_round_down(addr);
	return (struct memmap_addr_range){page, page + MEMMAP_PAGE_SIZE};
}

/* Watch refused pages again, but for those that something was mapped over since. */
static void forgive(struct memmap_inproc *inproc)
{
	struct userfault *u = &inproc->userfault;
	for (; u->nr_refused > 0; u->nr_refused--) {
		const struct memmap_addr_range page = page_at(u->refused[u->nr_refused - 1]);
		if (mapped_set_is_empty_range(&inproc->mapped, page))
			(void)inproc_clear(inproc, page);
	}
}

static void refuse(struct memmap_inproc *inproc, uint64_t addr)
{
	struct userfault *u = &inproc->userfault;
	(void)pthread_mutex_lock(&inproc->lock);
	if (u->nr_refused == MAX_REFUSED)
		forgive(inproc);
	const struct memmap_addr_range page = page_at(addr);
	if (mapped_set_is_empty_range(&inproc->mapped, page) && memmap_inproc_host_clear(page) == 0)
		u->refused[u->nr_refused++] = page.start;
	(void)pthread_mutex_unlock(&inproc->lock);
}

/* Whoever waits for the page must not wait for ever. */
static void wake(struct memmap_inproc *inproc, uint64_t addr)
{
	const struct userfault *u = &inproc->userfault;
	while (memmap_inproc_host_wake(u->fd, page_at(addr)) != 0) {
		if (memmap_inproc_host_wait(-1, u->stop, AGAIN_MS) > 0)
			return; /* closing the userfaultfd wakes everybody */
	}
}

static void serve(struct memmap_inproc *inproc, uint64_t addr, bool writes)
{
	enum memmap_fault_code code;
	atomic_fetch_add_explicit(&inproc->nr_kernel_waits, 1, memory_order_relaxed);
	(void)pthread_mutex_lock(&inproc->lock);
	const struct memmap_faults faults = inproc->faults;
	(void)pthread_mutex_unlock(&inproc->lock);
	int err = faults.handle(faults.context, addr, writes ? MEMMAP_WRITE : MEMMAP_READ, &code);
	if (err)
		refuse(inproc, addr);
	wake(inproc, addr);
}

static void *serve_all(void *arg)
{
	struct memmap_inproc *inproc = arg;
	struct userfault *u = &inproc->userfault;
	for (;;) {
		(void)pthread_mutex_lock(&inproc->lock);
		const int timeout = u->nr_refused ? REFUSED_MS : -1;
		(void)pthread_mutex_unlock(&inproc->lock);
		/* What fails is tried again: whoever waits has nobody else. */
		const int what = memmap_inproc_host_wait(u->fd, u->stop, timeout);
		uint64_t addr;
		bool writes;
		if (what > 0 && what & MEMMAP_INPROC_EVENT)
			return NULL;
		if (what > 0 && memmap_inproc_host_read_fault(u->fd, &addr, &writes) == 0) {
			serve(inproc, addr, writes);
		} else if (what == 0) {
			(void)pthread_mutex_lock(&inproc->lock);
			forgive(inproc);
			(void)pthread_mutex_unlock(&inproc->lock);
		}
	}
}

int inproc_userfault_begin(struct memmap_inproc *inproc)
{
	struct userfault *u = &inproc->userfault;
	u->fd = memmap_inproc_host_userfaultfd();
	if (u->fd < 0) {
		int err = u->fd;
		u->fd = -1;
		return err;
	}
	int err = memmap_inproc_host_watch(u->fd, inproc->region);
	if (!err) {
		u->stop = memmap_inproc_host_event();
		err = u->stop < 0 ? u->stop : 0;
	}
	if (!err) {
		/* The program's signals are for its own threads. */
		err = memmap_inproc_host_thread(&u->thread, serve_all, inproc);
		if (!err)
			return 0;
		memmap_inproc_host_close(u->stop);
	}
	memmap_inproc_host_close(u->fd);
	u->fd = -1;
	return err;
}

void inproc_userfault_end(struct memmap_inproc *inproc)
{
	struct userfault *u = &inproc->userfault;
	if (u->fd < 0)
		return;
	/* The thread must be gone: it uses all this. */
	while (memmap_inproc_host_signal_event(u->stop) != 0)
		;
	(void)pthread_join(u->thread, NULL);
	memmap_inproc_host_close(u->stop);
	memmap_inproc_host_close(u->fd);
	u->fd = -1;
}
