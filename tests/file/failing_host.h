/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System calls that fail the Nth time.
 *
 *   fail_host_calls(2, -ENOSPC);   the two next succeed, all after them fail with ENOSPC
 *   fail_host_calls(HOST_WORKS, 0);
 */
#ifndef MEMMAP_TESTS_FILE_FAILING_HOST_H
#define MEMMAP_TESTS_FILE_FAILING_HOST_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "file/host.h"

#define HOST_WORKS SIZE_MAX

static size_t host_budget = HOST_WORKS, host_nr_refused;
static int host_error;
/* Only this call is counted and fails; NULL: every one. */
static const char *host_call;

static int failing_host_hook(const char *call)
{
	if (host_call && strcmp(call, host_call) != 0)
		return 0;
	if (host_budget > 0) {
		host_budget--;
		return 0;
	}
	host_nr_refused++;
	return host_error;
}

__attribute__((unused)) static void fail_host_calls(size_t budget, int err)
{
	host_budget = budget;
	host_error = err;
	host_nr_refused = 0;
	memmap_host_hook = budget == HOST_WORKS ? NULL : failing_host_hook;
}

#endif /* MEMMAP_TESTS_FILE_FAILING_HOST_H */
