/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is kept of a trace beside its checks. See record.h.
 *
 * A call is recorded by the addresses that it was about. What changes elsewhere (a stack that has
 * grown, a file with a new name, a model that was put right) is marked in the space by whoever
 * changes it: then the whole address space is looked at.
 */
#include "record.h"

#include "history.h"

static void look(struct trace *trace, const struct space *space, const char *call,
		 struct memmap_addr_range touched)
{
	if (touched.start < touched.end)
		(void)history_record(trace->history, space->recorder, trace_now(), call, space->mm,
				     touched);
}

void record_process(struct trace *trace, const struct process *process)
{
	if (trace->history)
		(void)history_process(trace->history, process->pid, process->parent, trace_now(),
				      NULL);
}

void record_share(struct trace *trace, const struct process *parent, const struct process *child)
{
	(void)parent;
	record_process(trace, child);
}

void record_fork(struct trace *trace, const struct process *parent, const struct process *child)
{
	child->space->changed_elsewhere = false;
	if (!trace->history)
		return;
	(void)history_fork(trace->history, parent->pid, child->pid, trace_now());
	look(trace, child->space, NULL, HISTORY_EVERYWHERE);
}

void record_exec(struct trace *trace, const struct process *process)
{
	char program[512];
	process->space->changed_elsewhere = false;
	if (!trace->history)
		return;
	memmap_process_executable(process->pid, program, sizeof(program));
	(void)history_exec(trace->history, process->pid, trace_now(), process->command, program);
	look(trace, process->space, NULL, HISTORY_EVERYWHERE);
}

void record_call(struct trace *trace, const struct thread *thread)
{
	struct space *space = thread->process->space;
	struct memmap_addr_range touched[2];
	const bool everywhere = space->changed_elsewhere;
	space->changed_elsewhere = false;
	if (!trace->history)
		return;
	mirror_touched(thread, touched);
	look(trace, space, call_name(thread->id), touched[0]);
	look(trace, space, NULL, everywhere ? HISTORY_EVERYWHERE : touched[1]);
}

void record_thread(struct trace *trace, const struct thread *thread)
{
	(void)trace;
	(void)thread;
}

void record_entry(struct trace *trace, struct thread *thread)
{
	(void)trace;
	(void)thread;
}

/* Its stack may have grown since its last call. */
void record_leaving(struct trace *trace, const struct thread *thread)
{
	struct space *space = thread->process->space;
	if (!trace->history || !check_capture(space))
		return;
	check_maps(trace, space, thread, true);
	look(trace, space, NULL, HISTORY_EVERYWHERE);
}

void record_thread_end(struct trace *trace, const struct thread *thread)
{
	(void)trace;
	(void)thread;
}

void record_exit(struct trace *trace, const struct process *process)
{
	if (trace->history)
		history_exit(trace->history, process->pid, trace_now(), process->status);
}
