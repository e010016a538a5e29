/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Alternate signal stacks, for threads whose stack is the guest's: its next page may be the one that is
 * not mapped yet, and the kernel could not write the signal's frame there.
 *
 * What was given is freed only when the kernel does not know it any more.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>

#include "platform/inproc/host.h"
#include <memmap/allocator.h>
#include <memmap/platform_inproc.h>

/* Handling a fault needs a few KiB beside the frame, which holds all vector registers. */
#define STACK_SIZE (UINT64_C(128) << 10)

static _Thread_local void *given __attribute__((tls_model("initial-exec")));

int memmap_inproc_thread_begin(void)
{
	stack_t now;
	int err = memmap_inproc_host_signal_stack(NULL, &now);
	if (err || !(now.ss_flags & SS_DISABLE))
		return err;
	/* Should the program have taken ours away, it is there still. */
	void *memory = given ? given : memmap_allocate(NULL, STACK_SIZE, 16);
	if (!memory)
		return -ENOMEM;
	const stack_t ours = {.ss_sp = memory, .ss_size = STACK_SIZE};
	err = memmap_inproc_host_signal_stack(&ours, NULL);
	if (!err)
		given = memory;
	else if (!given)
		memmap_deallocate(NULL, memory, STACK_SIZE);
	return err;
}

void memmap_inproc_thread_end(void)
{
	stack_t now;
	if (!given)
		return;
	int err = memmap_inproc_host_signal_stack(NULL, &now);
	if (!err && !(now.ss_flags & SS_DISABLE) && now.ss_sp == given) {
		const stack_t none = {.ss_flags = SS_DISABLE};
		err = memmap_inproc_host_signal_stack(&none, NULL);
	}
	if (err)
		return; /* the kernel may write to it still: for another time */
	memmap_deallocate(NULL, given, STACK_SIZE);
	given = NULL;
}
