/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Touching memory that may fault: what a machine has to provide for block_access.c.
 *
 * Two implementations stand behind this header. For x86-64, a few instructions whose addresses are
 * known: a fault there is answered by going on behind the instruction, and nothing has to be noted
 * before or after. For all other machines, C that notes a place to jump back to.
 *
 * None of these functions blocks, allocates or takes a lock; all may be called in signal handlers
 * and interrupt one another.
 */
#ifndef MEMMAP_SRC_BASE_SAFE_ACCESS_H
#define MEMMAP_SRC_BASE_SAFE_ACCESS_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#if defined(__x86_64__) && !defined(MEMMAP_SAFE_ACCESS_IN_C)
#	define MEMMAP_SAFE_ACCESS_X86_64
#endif

/* Copy or zero `n` > 0 bytes in ascending order; how many were done before a fault, or `n`. */
size_t memmap_safe_access_copy(void *dst, const void *src, size_t n);
size_t memmap_safe_access_zero(void *dst, size_t n);

/*
 * Atomic accesses to an aligned address, sequentially consistent. False, and nothing has changed,
 * when it faulted; otherwise `*old` is what was there before.
 */
bool memmap_safe_access_swap_u32(void *addr, uint32_t value, uint32_t *old);
bool memmap_safe_access_swap_u64(void *addr, uint64_t value, uint64_t *old);
bool memmap_safe_access_cas_u32(void *addr, uint32_t expected, uint32_t value, uint32_t *old);
bool memmap_safe_access_cas_u64(void *addr, uint64_t expected, uint64_t value, uint64_t *old);
bool memmap_safe_access_load_u32(void *addr, uint32_t *old);
bool memmap_safe_access_load_u64(void *addr, uint64_t *old);

/*
 * Is this fault, which the kernel raised for the calling thread, of one of the functions above?
 * Then true, and `*ucontext` continues where the function returns early (or this does not return,
 * but continues there). Otherwise false, and nothing has changed.
 */
bool memmap_safe_access_recover(const siginfo_t *info, void *ucontext);

#endif /* MEMMAP_SRC_BASE_SAFE_ACCESS_H */
