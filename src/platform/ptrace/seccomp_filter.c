/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seccomp filter: see traced_calls.h for the calls that stop, and seccomp_generate.c for how
 * the filter is made from them.
 *
 * A filter of the traced program's own that refuses a call takes precedence over this one: the call
 * is not made, and rightly nothing stops.
 */
#include "seccomp_filter.h"

#include "traced_calls.h"

#include <stddef.h>

static struct sock_filter instructions[] = {
#include "seccomp_program.inc"
};

const struct sock_fprog *memmap_seccomp_filter(void)
{
	static const struct sock_fprog program = {
		.len = sizeof(instructions) / sizeof(instructions[0]),
		.filter = instructions,
	};
	return &program;
}

static bool is_one_of(uint64_t value, const unsigned int *values, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if ((uint32_t)value == values[i])
			return true;
	return false;
}

#define IS_ONE_OF(value, values) is_one_of(value, values, sizeof(values) / sizeof((values)[0]))

bool memmap_seccomp_filter_stops(uint64_t number, const uint64_t args[6])
{
	switch (number) {
	case SYS_prctl:
		return IS_ONE_OF(args[0], prctl_options);
	case SYS_ptrace:
		return IS_ONE_OF(args[0], ptrace_requests);
	case SYS_setrlimit:
		return IS_ONE_OF(args[0], resources);
	case SYS_prlimit64:
		return IS_ONE_OF(args[1], resources) && args[2] != 0;
	case SYS_personality:
		return args[0] != UINT32_MAX;
	case SYS_ioctl:
		return (uint32_t)args[1] == IOCTL_UFFDIO_REGISTER ||
		       (uint32_t)args[1] == IOCTL_UFFDIO_UNREGISTER;
	case SYS_clone:
		return (args[0] & CLONE_UNTRACED) != 0;
	default:
		for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
			if (number == (uint64_t)calls[i])
				return true;
		return false;
	}
}
