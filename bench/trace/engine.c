/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tracing engine alone: it is told of each memory call, as `memmap trace` is, does nothing, and
 * lets the program go on. That is the least that any tracer can cost who is told of each call by
 * seccomp and ptrace(2).
 *
 *   bench_engine PROGRAM [ARGUMENT...]
 *
 * Exit status: the program's, 128 + the signal that killed it, or 125 when it cannot be run.
 */
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

#include <platform/ptrace/tracer.h>

enum { CANNOT_RUN = 125 };

static int exit_code_of(int status)
{
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		(void)fputs("usage: bench_engine PROGRAM [ARGUMENT...]\n", stderr);
		return 2;
	}
	struct memmap_tracer *tracer;
	enum memmap_tracer_stage stage;
	int err = memmap_tracer_start(argv + 1, false, &tracer, &stage);
	if (!err)
		err = memmap_tracer_await_exec(tracer, &stage);
	if (err) {
		(void)fprintf(stderr, "bench_engine: %s: %s\n", argv[1], strerror(-err));
		return CANNOT_RUN;
	}
	int status = 0;
	struct memmap_trace_event event;
	while ((err = memmap_tracer_next(tracer, &event)) == 0 && event.kind != MEMMAP_TRACE_DONE) {
		if (event.kind == MEMMAP_TRACE_EXITED &&
		    event.task->tid == memmap_tracer_root(tracer))
			status = event.status;
		if (event.kind == MEMMAP_TRACE_CALL_ENTRY)
			memmap_tracer_resume_past_exit(tracer, event.task);
		else if (event.stopped)
			memmap_tracer_resume(tracer, event.task);
	}
	memmap_tracer_release(tracer);
	return err ? CANNOT_RUN : exit_code_of(status);
}
