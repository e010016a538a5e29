/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clock that traces are told by.
 */
#ifndef MEMMAP_PLATFORM_PTRACE_CLOCK_H
#define MEMMAP_PLATFORM_PTRACE_CLOCK_H

#include <stdint.h>
#include <time.h>

/* CLOCK_MONOTONIC, in ns. */
static inline uint64_t memmap_monotonic_ns(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * UINT64_C(1000000000) + (uint64_t)now.tv_nsec;
}

#endif /* MEMMAP_PLATFORM_PTRACE_CLOCK_H */
