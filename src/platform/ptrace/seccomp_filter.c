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

#include <linux/seccomp.h>
#include <stddef.h>

static struct sock_filter stops[] = {
#include "seccomp_stops.inc"
};

static struct sock_filter notices[] = {
#include "seccomp_notices.inc"
};

const struct sock_fprog *memmap_seccomp_filter(bool by_notices)
{
	static const struct sock_fprog programs[] = {
		{.len = sizeof(stops) / sizeof(stops[0]), .filter = stops},
		{.len = sizeof(notices) / sizeof(notices[0]), .filter = notices},
	};
	return &programs[by_notices];
}

static bool is_one_of(uint64_t value, const unsigned int *values, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if ((uint32_t)value == values[i])
			return true;
	return false;
}

static bool is_call(uint64_t number, const int *numbers, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if (number == (uint64_t)numbers[i])
			return true;
	return false;
}

#define IS_ONE_OF(value, values) is_one_of(value, values, sizeof(values) / sizeof((values)[0]))

bool memmap_seccomp_filter_notices(uint64_t number)
{
	return is_call(number, noticed_calls, sizeof(noticed_calls) / sizeof(noticed_calls[0]));
}

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
	case SYS_seccomp:
		return (uint32_t)args[0] == SECCOMP_SET_MODE_FILTER &&
		       (args[1] & SECCOMP_FILTER_FLAG_NEW_LISTENER) != 0;
	case SYS_clone:
		return (args[0] & CLONE_UNTRACED) != 0;
	default:
		return memmap_seccomp_filter_notices(number) ||
		       is_call(number, calls, sizeof(calls) / sizeof(calls[0]));
	}
}
