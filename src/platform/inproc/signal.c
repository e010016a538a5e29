/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults of guests, as signals.
 *
 *   SIGSEGV, SIGBUS ──▶ base's handler ──▶ resolve(): in a region? whose? what access?
 *                                            ──▶ faults.handle(): mapped now: touch it again
 *                                        ──▶ a safe copy's? it returns -EFAULT
 *                                        ──▶ deliver(): on_fault(), or the handler before ours
 *
 * Regions are found by a short table that is read without locks: a handler may run at any time.
 *
 * A SIGBUS is the kernel's word that what is mapped has no page behind it (the file was truncated). The
 * address space is asked, as ever; but if it sees nothing wrong, touching again could raise SIGBUS for
 * ever, so it is probed by a safe copy first, and if that faults, it is the guest's SIGBUS.
 *
 * Locking: `table_lock` for changes of the table. While a fault is handled, signals that others send
 * are blocked: their handlers might touch the region, too, and wait for locks of their own thread.
 *
 * Refused: more than MAX_REGIONS regions.
 */
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <ucontext.h>

#include "base/fault_handler.h"
#include "platform/inproc/host.h"
#include "platform/inproc/internal.h"
#include <memmap/block.h>
#include <memmap/error.h>

#define MAX_REGIONS 64

struct region {
	_Atomic(struct memmap_inproc *) inproc; /* NULL: unused */
	_Atomic(uint64_t) start, end;
};

static pthread_mutex_t table_lock = PTHREAD_MUTEX_INITIALIZER;
static struct region table[MAX_REGIONS];
static _Atomic(unsigned) nr_regions; /* those beyond were never used */

/* This thread is finding out whether a page is there: faults are its safe copy's. */
static _Thread_local volatile bool probing __attribute__((tls_model("initial-exec")));

/* What resolve() leaves for deliver(). */
struct notes {
	struct memmap_inproc *inproc;
	struct memmap_guest_fault fault;
};
_Static_assert(sizeof(struct notes) <= sizeof(struct memmap_fault_notes), "notes fit");

static struct memmap_inproc *find_region(uint64_t addr)
{
	const unsigned nr = nr_regions;
	for (unsigned i = 0; i < nr; i++) {
		struct memmap_inproc *inproc = table[i].inproc;
		/* Its range may be that of the region before, unless it is still the same after. */
		if (inproc && addr >= table[i].start && addr < table[i].end &&
		    table[i].inproc == inproc)
			return inproc;
	}
	return NULL;
}

/* ---- What the guest did ---- */

#if defined(__x86_64__)

static memmap_access access_of(const ucontext_t *context)
{
	const unsigned long error = (unsigned long)context->uc_mcontext.gregs[REG_ERR];
	if (error & 16)
		return MEMMAP_EXEC;
	return error & 2 ? MEMMAP_WRITE : MEMMAP_READ;
}

#elif defined(__aarch64__)

/* The syndrome register, from the records behind the general registers. */
static memmap_access access_of(const ucontext_t *context)
{
	const unsigned char *at = context->uc_mcontext.__reserved;
	const unsigned char *end = at + sizeof(context->uc_mcontext.__reserved);
	while (at + sizeof(struct _aarch64_ctx) <= end) {
		struct _aarch64_ctx head;
		memcpy(&head, at, sizeof(head));
		if (head.size == 0)
			break;
		if (head.magic == ESR_MAGIC) {
			struct esr_context esr;
			memcpy(&esr, at, sizeof(esr));
			const unsigned class = (unsigned)(esr.esr >> 26) & 0x3f;
			if (class == 0x20 || class == 0x21)
				return MEMMAP_EXEC;
			/* Cache maintenance says it writes, and does not. */
			const bool writes = (esr.esr & (1 << 6)) && !(esr.esr & (1 << 8));
			return writes ? MEMMAP_WRITE : MEMMAP_READ;
		}
		at += head.size;
	}
	return MEMMAP_READ;
}

#else

static memmap_access access_of(const ucontext_t *context)
{
	(void)context;
	return MEMMAP_READ;
}

#endif

/* Would touching `addr` again raise a signal again? */
static bool is_missing(uint64_t addr, memmap_access at)
{
	const struct memmap_block word =
		memmap_block_unsafe(memmap_pointer_of_(addr & ~UINT64_C(3)), 4);
	uint32_t value;
	probing = true;
	/* An exchange of 0 for 0 changes nothing, and yet it is a write. */
	int err = at & MEMMAP_WRITE ? memmap_compare_and_swap_u32(word, 0, 0, &value)
				    : memmap_load_u32(word, &value);
	probing = false;
	return err != 0;
}

/* ---- Handling ---- */

/* Signals that others send wait until this is undone; what a thread does to itself does not. */
static void block_signals(sigset_t *before)
{
	static const int own[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGTRAP, SIGSYS, SIGABRT};
	sigset_t all;
	sigfillset(&all);
	for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++)
		sigdelset(&all, own[i]);
	(void)pthread_sigmask(SIG_BLOCK, &all, before);
}

/*
 * Was it for want of a page, or of permission to touch it? Only then may mapping it help. What is
 * misaligned, or forbidden by a protection key, would come again for ever. SI_KERNEL: the address is
 * none, and not told.
 */
static bool is_of_a_page(const siginfo_t *info)
{
	if (info->si_signo == SIGSEGV)
		return info->si_code == SEGV_MAPERR || info->si_code == SEGV_ACCERR;
	return info->si_code != BUS_ADRALN && info->si_code != SI_KERNEL;
}

static enum memmap_fault_verdict resolve(const siginfo_t *info, void *ucontext,
					 struct memmap_fault_notes *out)
{
	const uint64_t addr = (uintptr_t)info->si_addr;
	if (probing)
		return MEMMAP_FAULT_NOT_OF_GUEST;
	struct memmap_inproc *inproc = is_of_a_page(info) ? find_region(addr) : NULL;
	if (!inproc)
		return MEMMAP_FAULT_NOT_OF_GUEST;

	const int saved_errno = errno;
	const memmap_access at = access_of(ucontext);
	enum memmap_fault_code code = MEMMAP_FAULT_UNMAPPED;
	sigset_t before;
	block_signals(&before);
	atomic_fetch_add_explicit(&inproc->nr_faults, 1, memory_order_relaxed);
	int err = inproc->faults.handle(inproc->faults.context, addr, at, &code);
	if (!err && info->si_signo == SIGBUS && is_missing(addr, at))
		err = memmap_bus_error(-EFAULT);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	errno = saved_errno;
	if (!err)
		return MEMMAP_FAULT_RESOLVED;
	const struct notes notes = {inproc, {addr, at, err, code}};
	memcpy(out, &notes, sizeof(notes));
	return MEMMAP_FAULT_OF_GUEST;
}

static bool deliver(siginfo_t *info, void *ucontext, const struct memmap_fault_notes *in)
{
	struct notes notes;
	memcpy(&notes, in, sizeof(notes));
	const struct memmap_inproc *inproc = notes.inproc;
	const struct memmap_guest_fault *fault = &notes.fault;
	if (inproc->on_fault && inproc->on_fault(inproc->context, fault, ucontext))
		return true;
	/* Nobody knows better: what is no SIGSEGV is a page that could not be had. */
	const bool segv = fault->error == -EFAULT;
	info->si_signo = segv ? SIGSEGV : SIGBUS;
	if (!segv)
		info->si_code = BUS_ADRERR;
	else
		info->si_code = fault->code == MEMMAP_FAULT_UNMAPPED ? SEGV_MAPERR : SEGV_ACCERR;
	info->si_errno = 0;
	return false;
}

static const struct memmap_fault_hook hook = {.resolve = resolve, .deliver = deliver};

int inproc_signals_begin(struct memmap_inproc *inproc)
{
	int err = memmap_inproc_host_handlers();
	if (err)
		return err;
	(void)pthread_mutex_lock(&table_lock);
	unsigned i = 0;
	while (i < MAX_REGIONS && table[i].inproc)
		i++;
	if (i < MAX_REGIONS) {
		table[i].start = inproc->region.start;
		table[i].end = inproc->region.end;
		table[i].inproc = inproc;
		if (i >= nr_regions)
			nr_regions = i + 1;
		atomic_store_explicit(&memmap_fault_hook, &hook, memory_order_release);
	} else {
		err = -ENOSPC;
	}
	(void)pthread_mutex_unlock(&table_lock);
	return err;
}

void inproc_signals_end(struct memmap_inproc *inproc)
{
	(void)pthread_mutex_lock(&table_lock);
	for (unsigned i = 0; i < MAX_REGIONS; i++) {
		if (table[i].inproc == inproc) {
			table[i].inproc = NULL;
			table[i].start = table[i].end = 0;
		}
	}
	(void)pthread_mutex_unlock(&table_lock);
}
