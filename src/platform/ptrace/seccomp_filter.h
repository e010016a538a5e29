/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seccomp filter that stops a program at its memory calls.
 */
#ifndef MEMMAP_PLATFORM_PTRACE_SECCOMP_FILTER_H
#define MEMMAP_PLATFORM_PTRACE_SECCOMP_FILTER_H

#include <linux/filter.h>
#include <stdbool.h>
#include <stdint.h>

/*
 * What to give to seccomp(2), with SECCOMP_FILTER_FLAG_SPEC_ALLOW: nothing here is to be kept
 * secret. `by_notices`: the frequent calls are told by notices, and it is installed with
 * SECCOMP_FILTER_FLAG_NEW_LISTENER; see notices.h.
 */
const struct sock_fprog *memmap_seccomp_filter(bool by_notices);

/* Is this one of the calls that are told by notices? */
bool memmap_seccomp_filter_notices(uint64_t number);

/*
 * Would the filter stop this native call? For processes that cannot be put under it, since they run
 * already. A clone() that it stops is one that asks for a child that is not traced.
 */
bool memmap_seccomp_filter_stops(uint64_t number, const uint64_t args[6]);

#endif /* MEMMAP_PLATFORM_PTRACE_SECCOMP_FILTER_H */
