/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is kept of a trace beside its checks. See record.h.
 *
 * A call is recorded by the addresses that it was about. What changes elsewhere (a stack that has
 * grown, a file with a new name, a model that was put right) is marked in the space by whoever
 * changes it: then the whole address space is looked at.
 */
#include "report/record.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "history/history.h"
#include "log/log_writer.h"

/* How often the log holds a digest of the whole of maps. */
#define CALLS_BETWEEN_DIGESTS 1000

static void look(struct trace *trace, const struct space *space, const char *call,
		 struct memmap_addr_range touched)
{
	if (trace->history && touched.start < touched.end)
		(void)history_record(trace->history, space->recorder, memmap_monotonic_ns(), call,
				     space->mm, touched);
}

/*
 * Log a digest of what the kernel shows of the whole. The program may run meanwhile, and its stack
 * grow: then there is nothing to be said.
 */
static void digest(struct trace *trace, struct space *space, pid_t pid)
{
	struct memmap_mm_stats stats;
	if (!check_capture(space) || memmap_mm_print_maps(space->mm, &space->text) ||
	    space->text.length != space->maps.length ||
	    memcmp(space->text.data, space->maps.data, space->maps.length) != 0)
		return;
	memmap_mm_get_stats(space->mm, &stats);
	log_maps(trace->log, memmap_monotonic_ns(), pid,
		 stats.nr_vmas + memmap_mm_get_layout(space->mm).vsyscall,
		 image_digest(space->maps.data, space->maps.length));
}

/*
 * ---- Who made what ----
 */

void space_record_release(struct space_record *record)
{
	if (!record)
		return;
	origins_release(&record->origins);
	unwinder_release(record->unwinder);
	free(record);
}

/* Begin to keep a record of a space; want of memory keeps none. */
static void begin_space(struct trace *trace, struct space *space, pid_t pid)
{
	struct memmap_process_auxv auxv;
	struct memmap_vma vma;
	if (!trace->history)
		return;
	space_record_release(space->record);
	space->record = calloc(1, sizeof(*space->record));
	if (space->record && memmap_process_auxv(pid, &auxv) == 0 && auxv.base != 0 &&
	    memmap_mm_find_vma(space->mm, auxv.base, &vma) && vma.range.start <= auxv.base)
		space->record->loader = vma.mappable;
}

static bool is_loaders(const struct space *space, uint64_t ip)
{
	struct memmap_vma vma;
	return space->record->loader && memmap_mm_find_vma(space->mm, ip - 1, &vma) &&
	       vma.range.start < ip && vma.mappable == space->record->loader;
}

/* How many bytes more a call has mapped. */
static uint64_t bytes_mapped(struct space_record *record, const struct thread *thread)
{
	const uint64_t *args = thread->call.args, result = (uint64_t)thread->call.result;
	uint64_t before;
	if (thread->call.result < 0 && thread->call.result > -4096)
		return 0;
	switch (thread->id) {
	case CALL_MMAP:
		return args[1];
	case CALL_MREMAP:
		return args[2] > args[1] ? args[2] - args[1] : 0;
	case CALL_BRK:
		before = record->brk;
		record->brk = result;
		return before && result > before ? result - before : 0;
	default:
		return 0;
	}
}

static void account(struct trace *trace, const struct thread *thread)
{
	struct space *space = thread->process->space;
	struct space_record *record = space->record;
	const uint64_t ns = thread->call_ended - thread->call_began;
	thread->process->calls.ns[thread->id] += ns;
	trace->calls.ns[thread->id] += ns;
	if (!record)
		return;
	const uint64_t bytes = bytes_mapped(record, thread);
	if (thread->site < trace->sites.sites.length) {
		struct site *site = &trace->sites.sites.items[thread->site];
		site->nr_calls++;
		site->ns += ns;
		site->mapped += bytes;
	}
	const struct origin origin = {.call = trace->counts.calls,
				      .site = thread->site,
				      .loader = is_loaders(space, thread->call.ip)};
	origins_follow(&record->origins, space->mm, thread->id, &thread->call, origin);
	/* Code that the unwinder has not seen yet. */
	if (thread->id == CALL_MMAP && (thread->call.args[2] & PROT_EXEC))
		unwinder_outdate(record->unwinder);
}

/* The address space is about to go: what is left in it was never unmapped. */
static void collect_left(struct trace *trace, struct space *space, pid_t pid)
{
	if (space->record && space->nr_references == 1)
		leftovers_collect(&trace->leftovers, &trace->sites, &space->record->origins,
				  space->mm, pid);
}

/*
 * ---- Events ----
 */

void record_process(struct trace *trace, const struct process *process)
{
	if (trace->history)
		(void)history_process(trace->history, process->pid, process->parent,
				      memmap_monotonic_ns(), NULL);
	if (trace->log)
		log_process(trace->log, memmap_monotonic_ns(), process->pid, process->parent);
}

void record_share(struct trace *trace, const struct process *parent, const struct process *child)
{
	if (trace->history)
		(void)history_process(trace->history, child->pid, parent->pid,
				      memmap_monotonic_ns(), NULL);
	if (trace->log)
		log_share(trace->log, memmap_monotonic_ns(), parent->pid, child->pid);
}

void record_fork(struct trace *trace, const struct process *parent, const struct process *child)
{
	child->space->changed_elsewhere = false;
	begin_space(trace, child->space, child->pid);
	if (trace->history)
		(void)history_fork(trace->history, parent->pid, child->pid, memmap_monotonic_ns());
	look(trace, child->space, NULL, HISTORY_EVERYWHERE);
	if (trace->log) {
		log_fork(trace->log, memmap_monotonic_ns(), parent->pid, child->pid,
			 parent->space->image, child->space->mm, &child->space->image);
		digest(trace, child->space, child->pid);
	}
}

static void record_space(struct trace *trace, const struct process *process, const char *what)
{
	char program[512];
	struct space *space = process->space;
	space->changed_elsewhere = false;
	begin_space(trace, space, process->pid);
	if (!trace->history && !trace->log)
		return;
	memmap_process_executable(process->pid, program, sizeof(program));
	if (trace->history)
		(void)history_exec(trace->history, process->pid, memmap_monotonic_ns(),
				   process->command, program);
	look(trace, space, NULL, HISTORY_EVERYWHERE);
	if (trace->log) {
		log_exec(trace->log, what, memmap_monotonic_ns(), process->pid, process->command,
			 program, space->mm, &space->image);
		digest(trace, space, process->pid);
	}
}

void record_exec(struct trace *trace, const struct process *process)
{
	record_space(trace, process, "exec");
}

void record_attach(struct trace *trace, const struct process *process)
{
	record_space(trace, process, "attach");
}

void record_thread(struct trace *trace, const struct thread *thread)
{
	if (trace->log)
		log_thread(trace->log, memmap_monotonic_ns(), thread->process->pid,
			   thread->task->tid);
}

void record_entry(struct trace *trace, struct thread *thread)
{
	struct space *space = thread->process->space;
	thread->site = SITE_NONE;
	if (trace->options->stacks && space->record)
		thread->site = stacks_unwind(&trace->sites, &space->record->unwinder, space->pid,
					     thread->task->tid);
}

static void log_the_call(struct trace *trace, const struct thread *thread, bool everywhere,
			 const struct memmap_addr_range touched[2])
{
	struct space *space = thread->process->space;
	char text[512], result[64];
	const struct log_call call = {
		.time = thread->call_ended,
		.duration = thread->call_ended - thread->call_began,
		.pid = thread->process->pid,
		.tid = thread->task->tid,
		.call = call_format(&thread->call, text, sizeof(text)),
		.result =
			call_format_result(thread->id, thread->call.result, result, sizeof(result)),
		.touched = {touched[0], touched[1]},
		.everywhere = everywhere,
	};
	log_call(trace->log, &call, space->mm, space->image);
	if (trace->counts.calls % CALLS_BETWEEN_DIGESTS == 0)
		digest(trace, space, thread->process->pid);
}

void record_call(struct trace *trace, const struct thread *thread)
{
	struct space *space = thread->process->space;
	struct memmap_addr_range touched[2] = {{0, 0}, {0, 0}};
	const bool everywhere = space->changed_elsewhere;
	space->changed_elsewhere = false;
	account(trace, thread);
	if (progress_due(&trace->progress))
		progress_show(&trace->progress,
			      "memmap: %" PRIu64 " calls of %" PRIu64 " processes; ^C lets go",
			      trace->counts.calls, trace->counts.processes);
	if (!trace->history && !trace->log)
		return;
	if (thread->mode != MIRROR_NOTHING)
		mirror_touched(thread, touched);
	look(trace, space, call_name(thread->id), touched[0]);
	look(trace, space, NULL, everywhere ? HISTORY_EVERYWHERE : touched[1]);
	if (trace->log)
		log_the_call(trace, thread, everywhere, touched);
}

/* Its stack may have grown since its last call. */
void record_leaving(struct trace *trace, const struct thread *thread)
{
	struct space *space = thread->process->space;
	if ((!trace->history && !trace->log) || !check_capture(space))
		return;
	check_maps(trace, space, thread, true);
	collect_left(trace, space, thread->process->pid);
	look(trace, space, NULL, HISTORY_EVERYWHERE);
	if (trace->log) {
		log_look(trace->log, memmap_monotonic_ns(), thread->process->pid, space->mm,
			 space->image);
		digest(trace, space, thread->process->pid);
	}
}

void record_thread_end(struct trace *trace, const struct thread *thread)
{
	if (trace->log)
		log_thread_end(trace->log, memmap_monotonic_ns(), thread->process->pid,
			       thread->task->tid);
}

void record_exit(struct trace *trace, const struct process *process)
{
	if (trace->history)
		history_exit(trace->history, process->pid, memmap_monotonic_ns(), process->status);
	if (trace->log)
		log_exit(trace->log, memmap_monotonic_ns(), process->pid, process->status);
}
