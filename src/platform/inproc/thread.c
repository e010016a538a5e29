/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Alternate signal stacks, for threads whose stack is the guest's: its next page may be the one that is
 * not mapped yet, and the kernel could not write the signal's frame there.
 */
#include <errno.h>
#include <signal.h>
#include <stdbool.h>

#include <memmap/allocator.h>
#include <memmap/platform_inproc.h>

/* Handling a fault needs a few KiB beside the frame, which holds all vector registers. */
#define STACK_SIZE (UINT64_C(128) << 10)

static _Thread_local void *given __attribute__((tls_model("initial-exec")));

int memmap_inproc_thread_begin(void)
{
	stack_t now;
	if (sigaltstack(NULL, &now) != 0)
		return -errno;
	if (!(now.ss_flags & SS_DISABLE))
		return 0;
	void *memory = memmap_allocate(NULL, STACK_SIZE, 16);
	if (!memory)
		return -ENOMEM;
	const stack_t ours = {.ss_sp = memory, .ss_size = STACK_SIZE};
	if (sigaltstack(&ours, NULL) != 0) {
		int err = -errno;
		memmap_deallocate(NULL, memory, STACK_SIZE);
		return err;
	}
	given = memory;
	return 0;
}

void memmap_inproc_thread_end(void)
{
	stack_t now;
	if (!given)
		return;
	if (sigaltstack(NULL, &now) == 0 && now.ss_sp == given) {
		const stack_t none = {.ss_flags = SS_DISABLE};
		(void)sigaltstack(&none, NULL);
	}
	memmap_deallocate(NULL, given, STACK_SIZE);
	given = NULL;
}
