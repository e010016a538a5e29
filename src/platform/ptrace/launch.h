/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting a program that is traced and under the filter from its first instruction.
 */
#ifndef MEMMAP_PLATFORM_PTRACE_LAUNCH_H
#define MEMMAP_PLATFORM_PTRACE_LAUNCH_H

#include <sys/ptrace.h>

#include "tracer.h"

/*
 * EXITKILL: whatever becomes of the tracer, nothing of the program is left behind: its memory calls
 * would all fail under a filter whose tracer is gone.
 */
#define MEMMAP_LAUNCH_OPTIONS                                                                      \
	(PTRACE_O_EXITKILL | PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACESECCOMP | PTRACE_O_TRACEEXEC |  \
	 PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK | PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXIT)

/* A child on its way to the program. */
struct memmap_launch;

/*
 * Make a child, seize it, and let it go on to install the filter and execute argv[0]. `by_notices`:
 * have frequent calls told by notices, if the kernel can; see memmap_launch_listener().
 *
 * Returns:     0, the child and what it is told by; `argv` must stay until that is ended
 *              a negative errno, and in `*stage` what failed; the child is gone
 */
int memmap_launch(char *const argv[], bool by_notices, pid_t *pid, struct memmap_launch **out,
		  enum memmap_tracer_stage *stage);

/*
 * When the child has a listener of notices, it stops once before it executes the program, at a call
 * that does nothing. Which of its descriptors that is then; -1: it has none.
 */
int memmap_launch_listener(const struct memmap_launch *launch);

/*
 * Once the child has executed the program or died: free what it was told by. NULL is ignored.
 *
 * Returns:     0; a negative errno, and in `*stage` what failed, when the child told of a failure
 */
int memmap_launch_end(struct memmap_launch *launch, enum memmap_tracer_stage *stage);

#endif /* MEMMAP_PLATFORM_PTRACE_LAUNCH_H */
