/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults that wait: a userfaultfd over what is reserved, and the thread that serves it.
 *
 * Reserved stretches are then not untouchable but *watched*: anonymous, accessible, and registered
 * as missing, so that whoever touches one, the kernel included, waits until the thread has had the
 * page mapped over it and wakes it.
 *
 * What is cleared must be watched again at once. Cleared first and then watched, it would for a
 * moment be neither, and a read(2) into it fail that has every right to succeed. So a watched
 * stretch is kept beside the region, the stencil, and mremap(2) puts as much of it as is needed
 * over what is to go, leaving it where it is. Of that the kernel tells by an event, and it waits
 * until that has been read. So there is another thread, which holds no lock while it reads: touches
 * that it comes upon are woken afterwards, to wait again for the one that serves.
 *
 *   |   stencil   |    |== a ==|  region  |== b ==|
 *          └──────────────────────────────────▲        b goes
 *
 * A touch that must fail: the page is made untouchable, and the toucher woken, to find that out
 * (SIGSEGV for the guest, which then comes by way of signal.c; -EFAULT for the kernel). The page
 * cannot stay so, or the kernel could not touch it when something has been mapped there; so it is
 * watched again a moment later. A toucher that was too slow to notice waits again, and is refused
 * again.
 *
 * Locking: the list of refused pages is under the platform's lock. Whoever clears holds it, too, so
 * the thread that reads meanwhile must not take it.
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
		if (what > 0 && what & MEMMAP_INPROC_STOPPED)
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

/* ---- Clearing ---- */

/*
 * Touches that are come upon while the stencil is copied; more are woken at once, and come again.
 */
#define MAX_PUT_OFF 64

/* Read all that comes, until the copy is made. */
static void read_while_moving(struct memmap_inproc *inproc)
{
	struct userfault *u = &inproc->userfault;
	uint64_t put_off[MAX_PUT_OFF], addr;
	unsigned nr = 0;
	bool writes;
	while (u->moving) {
		(void)memmap_inproc_host_wait(u->fd, -1, AGAIN_MS);
		if (memmap_inproc_host_read_fault(u->fd, &addr, &writes) != 0)
			continue;
		if (nr < MAX_PUT_OFF)
			put_off[nr++] = addr;
		else
			wake(inproc, addr);
	}
	while (nr > 0)
		wake(inproc, put_off[--nr]);
}

static void *read_moves(void *arg)
{
	struct memmap_inproc *inproc = arg;
	struct userfault *u = &inproc->userfault;
	while (!u->over) {
		const int what = memmap_inproc_host_wait(u->go, -1, -1);
		if (what > 0 && memmap_inproc_host_clear_event(u->go) == 0)
			read_while_moving(inproc);
	}
	return NULL;
}

int inproc_userfault_clear(struct memmap_inproc *inproc, struct memmap_addr_range ar)
{
	struct userfault *u = &inproc->userfault;
	u->moving = true;
	int err = memmap_inproc_host_signal_event(u->go);
	if (!err)
		err = memmap_inproc_host_copy_watched(
			u->stencil + (ar.start - inproc->region.start), ar);
	u->moving = false;
	return err;
}

/* ---- Life ---- */

/*
 * A page on either side keeps the stencil a VMA of its own. As part of another that has been
 * touched, its copies would tell of where they come from, and not grow together with what lies
 * beside them.
 */
static struct memmap_addr_range stencil_of(const struct memmap_inproc *inproc, uint64_t beside)
{
	const uint64_t length = inproc->region.end - inproc->region.start;
	const uint64_t start = inproc->userfault.stencil;
	return (struct memmap_addr_range){start - beside, start + length + beside};
}

static int begin_watching(struct memmap_inproc *inproc)
{
	struct userfault *u = &inproc->userfault;
	int err = memmap_inproc_host_watch(u->fd, inproc->region);
	if (!err)
		err = memmap_inproc_host_reserve(&u->stencil, inproc->region.end -
								      inproc->region.start +
								      2 * MEMMAP_PAGE_SIZE);
	if (err)
		return err;
	u->stencil += MEMMAP_PAGE_SIZE;
	err = memmap_inproc_host_watch(u->fd, stencil_of(inproc, 0));
	if (err)
		(void)memmap_inproc_host_release(stencil_of(inproc, MEMMAP_PAGE_SIZE));
	return err;
}

static int open_event(int *out)
{
	*out = memmap_inproc_host_event();
	return *out < 0 ? *out : 0;
}

/* The thread must be gone: it uses all this. */
static void join(int event, pthread_t thread)
{
	while (memmap_inproc_host_signal_event(event) != 0)
		;
	(void)pthread_join(thread, NULL);
}

static void join_reader(struct userfault *u)
{
	u->over = true;
	join(u->go, u->reader);
}

/* The program's signals are for its own threads. */
static int begin_threads(struct memmap_inproc *inproc)
{
	struct userfault *u = &inproc->userfault;
	int err = memmap_inproc_host_thread(&u->reader, read_moves, inproc);
	if (!err) {
		err = memmap_inproc_host_thread(&u->server, serve_all, inproc);
		if (err)
			join_reader(u);
	}
	return err;
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
	int err = begin_watching(inproc);
	if (!err) {
		err = open_event(&u->stop);
		if (!err) {
			err = open_event(&u->go);
			if (!err) {
				err = begin_threads(inproc);
				if (!err)
					return 0;
				memmap_inproc_host_close(u->go);
			}
			memmap_inproc_host_close(u->stop);
		}
		(void)memmap_inproc_host_release(stencil_of(inproc, MEMMAP_PAGE_SIZE));
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
	/* In this order: the one that serves may have a refused page to clear. */
	join(u->stop, u->server);
	join_reader(u);
	(void)memmap_inproc_host_release(stencil_of(inproc, MEMMAP_PAGE_SIZE));
	memmap_inproc_host_close(u->go);
	memmap_inproc_host_close(u->stop);
	memmap_inproc_host_close(u->fd);
	u->fd = -1;
}
