/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seccomp filter that stops a program at its memory calls.
 */
#ifndef MEMMAP_PLATFORM_PTRACE_SECCOMP_FILTER_H
#define MEMMAP_PLATFORM_PTRACE_SECCOMP_FILTER_H

#include <stdbool.h>
#include <stdint.h>

/*
 * Put the calling thread under the filter, for good. Async-signal-safe.
 *
 * Returns:     0; -EACCES, -EINVAL (the kernel has no seccomp filters), ...
 */
int memmap_seccomp_filter_install(void);

/*
 * Would the filter stop this native call? For processes that cannot be put under it, since they run
 * already. A clone() that it stops is one that asks for a child that is not traced.
 */
bool memmap_seccomp_filter_stops(uint64_t number, const uint64_t args[6]);

#endif /* MEMMAP_PLATFORM_PTRACE_SECCOMP_FILTER_H */
