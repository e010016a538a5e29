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

/* What the child says of itself when it could not become the program. */
struct memmap_launch_failure {
	enum memmap_tracer_stage stage;
	int err; /* a negative errno */
};

/*
 * Fork a child, seize it, and let it go on to install the filter and execute argv[0].
 *
 * Returns:     0, the child and the descriptor that memmap_launch_failure() reads
 *              a negative errno, and in `*stage` what failed; the child is gone
 */
int memmap_launch(char *const argv[], pid_t *pid, int *failure_fd, enum memmap_tracer_stage *stage);

/*
 * Once the child has executed the program or died: what went wrong. Closes the descriptor.
 *
 * Returns:     true when the child told of a failure
 */
bool memmap_launch_failure(int failure_fd, struct memmap_launch_failure *out);

#endif /* MEMMAP_PLATFORM_PTRACE_LAUNCH_H */
