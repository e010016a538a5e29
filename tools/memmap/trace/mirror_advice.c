/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process_madvise(2): advice for several ranges of the process that a pidfd names.
 *
 * Whoever names itself may give any advice, as by madvise(2). Advice for others changes none of
 * their VMAs, so there is nothing to mirror.
 */
#include <errno.h>
#include <stdlib.h>

#include <memmap/mm_access.h>
#include <platform/ptrace/open_file.h>

#include "trace/trace.h"

#define MOST_RANGES UINT64_C(1024)

/* Instead of a descriptor: the calling thread, and its process. */
#define PIDFD_OF_THREAD  (-10000)
#define PIDFD_OF_PROCESS (-10001)

/* Does the pidfd name a process of this very address space? */
static bool names_itself(const struct trace *trace, const struct thread *thread, int pidfd)
{
	const struct process *process = thread->process;
	if (pidfd == PIDFD_OF_THREAD || pidfd == PIDFD_OF_PROCESS)
		return true;
	const pid_t pid = memmap_open_file_pidfd(process->pid, pidfd);
	for (const struct process *other = trace->processes; other; other = other->next)
		for (const struct thread *one = other->threads; one; one = one->next)
			if (other->space == process->space &&
			    (other->pid == pid || one->task->tid == pid))
				return true;
	return false;
}

enum mirror_mode process_madvise_entry(struct trace *trace, struct thread *thread)
{
	struct space *space = thread->process->space;
	const uint64_t *args = thread->call.args, nr = args[2];
	if ((uint32_t)args[4] != 0 || nr > MOST_RANGES) {
		thread->predicted = -EINVAL;
		return MIRROR_DONE;
	}
	struct memmap_iovec *ranges = calloc((size_t)nr + 1, sizeof(*ranges));
	if (!ranges)
		return MIRROR_ADOPT;
	enum mirror_mode mode = MIRROR_DONE;
	if (memmap_process_read(thread->task->tid, args[1], ranges, (size_t)nr * sizeof(*ranges))) {
		thread->predicted = -EFAULT;
	} else if (!names_itself(trace, thread, (int)args[0])) {
		mode = MIRROR_NOTHING;
	} else {
		for (uint64_t i = 0; i < nr; i++)
			settle_anonymous(trace, space, ranges[i].base, ranges[i].length);
		thread->predicted = memmap_mm_sys_process_madvise(space->mm, space->mm, ranges, nr,
								  (int)args[3], args[4], false);
	}
	free(ranges);
	return mode;
}
