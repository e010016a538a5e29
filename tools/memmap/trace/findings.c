/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a trace finds: differences between the model and the kernel, the reason why it could not go
 * on, and how the program ended.
 */
#include "trace/trace.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

void trace_fail(struct trace *trace, const char *format, ...)
{
	if (trace->failure[0] != '\0')
		return;
	va_list args;
	va_start(args, format);
	vsnprintf(trace->failure, sizeof(trace->failure), format, args);
	va_end(args);
	memmap_tracer_kill_all(trace->tracer);
}

void trace_difference(struct trace *trace, const struct thread *thread, const char *expected,
		      const char *found)
{
	trace->counts.differences++;
	if (trace->differences.length >= MAX_KEPT_DIFFERENCES ||
	    !ARRAY_RESERVE(NULL, &trace->differences, 1))
		return;
	char text[512];
	call_format(&thread->call, text, sizeof(text));
	struct difference difference = {
		.pid = thread->process->pid,
		.call = thread->id,
		.text = strdup(text),
		.expected = strdup(expected),
		.found = strdup(found),
	};
	if (difference.text && difference.expected && difference.found) {
		trace->differences.items[trace->differences.length++] = difference;
		return;
	}
	free(difference.text);
	free(difference.expected);
	free(difference.found);
}

void trace_refused_tracing(struct trace *trace, const struct thread *thread)
{
	const struct process *process = thread->process;
	if (trace->counts.refused_tracing++ > 0 || trace->options->quiet)
		return;
	error_line("process %d (%s) wants to trace or to be traced, which a traced program cannot; "
		   "it may do something else than alone, or wait for ever",
		   (int)process->pid, process->command ? process->command : "?");
}

void trace_refused_supervising(struct trace *trace, const struct thread *thread)
{
	const struct process *process = thread->process;
	if (trace->counts.refused_supervising++ > 0 || trace->options->quiet)
		return;
	error_line("process %d (%s) wants to supervise system calls and was refused it (EBUSY): "
		   "memmap "
		   "does so itself; with --strict it does not",
		   (int)process->pid, process->command ? process->command : "?");
}

int exit_code_of(int wait_status)
{
	return WIFSIGNALED(wait_status) ? EXIT_SIGNAL_BASE + WTERMSIG(wait_status)
					: WEXITSTATUS(wait_status);
}
