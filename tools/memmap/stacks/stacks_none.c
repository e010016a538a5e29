/* SPDX-License-Identifier: Apache-2.0 */
/*
 * No unwinder: built without libdw. See stacks.h.
 */
#include "stacks/stacks.h"

bool stacks_supported(void)
{
	return false;
}

void unwinder_release(struct unwinder *unwinder)
{
	(void)unwinder;
}

void unwinder_outdate(struct unwinder *unwinder)
{
	(void)unwinder;
}

uint32_t stacks_unwind(struct sites *sites, struct unwinder **unwinder, pid_t pid, pid_t tid)
{
	(void)unwinder;
	(void)pid;
	(void)tid;
	sites->nr_failed++;
	return SITE_NONE;
}
