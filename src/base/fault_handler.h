/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seeing to it that faults of safe accesses reach us.
 */
#ifndef MEMMAP_SRC_BASE_FAULT_HANDLER_H
#define MEMMAP_SRC_BASE_FAULT_HANDLER_H

#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <memmap/api.h>

/* The handlers were installed once. */
extern _Atomic(bool) memmap_fault_handler_installed __attribute__((visibility("hidden")));

/* Install the handlers; panics when the kernel refuses, since nothing would be safe then. */
void memmap_fault_handler_ensure_slow(void);

static inline void memmap_fault_handler_ensure(void)
{
	if (MEMMAP_UNLIKELY(
		    !atomic_load_explicit(&memmap_fault_handler_installed, memory_order_acquire)))
		memmap_fault_handler_ensure_slow();
}

/*
 * Memory of guests, whose faults a floor above resolves. It is asked before safe copies are: one that
 * touches a guest's memory faults as the guest would, and fails only when the guest's touch would.
 */
enum memmap_fault_verdict {
	MEMMAP_FAULT_NOT_OF_GUEST, /* somebody else's */
	MEMMAP_FAULT_RESOLVED,     /* touch it again */
	MEMMAP_FAULT_OF_GUEST,     /* it is one, and ends badly */
};

/* What resolve() leaves for deliver(). */
struct memmap_fault_notes {
	uint64_t words[8];
};

struct memmap_fault_hook {
	enum memmap_fault_verdict (*resolve)(const siginfo_t *info, void *ucontext,
					     struct memmap_fault_notes *notes);
	/*
	 * It was no safe copy. True: the program knows what to do, return to it. False: pass it on;
	 * `*info` says then what Linux would have said, which may be another signal.
	 */
	bool (*deliver)(siginfo_t *info, void *ucontext, const struct memmap_fault_notes *notes);
};

/* The one floor that has guests; NULL until it sets it, for good. */
extern _Atomic(const struct memmap_fault_hook *) memmap_fault_hook
	__attribute__((visibility("hidden")));

#endif /* MEMMAP_SRC_BASE_FAULT_HANDLER_H */
