/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Seeing to it that faults of safe accesses reach us.
 */
#ifndef MEMMAP_SRC_BASE_FAULT_HANDLER_H
#define MEMMAP_SRC_BASE_FAULT_HANDLER_H

#include <stdatomic.h>
#include <stdbool.h>

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

#endif /* MEMMAP_SRC_BASE_FAULT_HANDLER_H */
