/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is done at each event of a trace.
 *
 *   entry of a call   the model makes it too (mirror.c); the program goes on into the kernel
 *   its exit          the program goes on; then, while it already runs, the kernel's maps are read,
 *                     and result and maps are compared (check.c). Of most calls it is not waited
 *                     for: their maps are compared at the next stop at the latest (unwatched.c)
 *   exec              a new space, seeded from what the kernel has made (seed.c), while the
 *                     program runs up to its first memory call
 *   fork, vfork, ...  a copy of the parent's model, or a share in it
 *   an orphan         as at an exec: its parent has told nothing of it
 *   end of a process  its share in the space goes
 *
 * Calls of one space are made one after the other, mostly: see turns.c.
 *
 * Children inherit the space as it is when the parent's event comes, before either has gone on.
 */
#include "trace/trace.h"

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "report/record.h"

/* The reverse maps are checked after so many calls, sooner when a process ends, and in the end. */
#define CALLS_BETWEEN_REVERSE_CHECKS 1000
#define CALLS_BEFORE_END_CHECK       200

/* Of each process's copies, those that are compared although they make no call. */
#define COPIES_CHECKED_AT_FIRST 4u
#define COPIES_CHECKED_OF       8u

/*
 * ---- Processes and threads ----
 */

static struct process *add_process(struct trace *trace, pid_t pid, const struct process *parent)
{
	struct process *process = calloc(1, sizeof(*process));
	if (!process)
		return NULL;
	process->pid = pid;
	process->calls_of_all = &trace->calls;
	if (parent) {
		process->parent = parent->pid;
		process->limits = parent->limits;
		process->personality = parent->personality;
		process->denial_ends = parent->denial_ends;
		process->command = parent->command ? strdup(parent->command) : NULL;
	} else {
		process->limits = trace->machine;
	}
	*trace->last_process = process;
	trace->last_process = &process->next;
	trace->counts.processes++;
	return process;
}

static struct thread *add_thread(struct process *process, struct memmap_task *task)
{
	struct thread *thread = calloc(1, sizeof(*thread));
	if (!thread)
		return NULL;
	thread->process = process;
	thread->task = task;
	thread->next = process->threads;
	thread->link = &process->threads;
	if (thread->next)
		thread->next->link = &thread->next;
	process->threads = thread;
	task->user = thread;
	process->nr_threads++;
	return thread;
}

static void free_thread(struct thread *thread)
{
	if (!thread)
		return;
	*thread->link = thread->next;
	if (thread->next)
		thread->next->link = thread->link;
	free(thread);
}

/*
 * ---- Calls ----
 */

static void count_call(struct trace *trace, const struct thread *thread)
{
	thread->process->calls.made[thread->id]++;
	trace->calls.made[thread->id]++;
	trace->counts.calls++;
}

/* What became of a call is known: count it, and keep what is kept of it. */
void call_tell(struct trace *trace, struct thread *thread)
{
	count_call(trace, thread);
	record_call(trace, thread);
	if (trace->counts.calls - trace->calls_at_reverse_check >= CALLS_BETWEEN_REVERSE_CHECKS)
		check_reverse_maps(trace, thread);
}

/* The process lets go of its space, to which others may hold on. */
static void leave_space(struct trace *trace, struct process *process)
{
	struct space *space = process->space;
	process->space = NULL;
	if (!space)
		return;
	if (space->limits_of == process)
		space->limits_of = NULL;
	if (space->nr_references > 1 && space->pid == process->pid)
		for (struct process *other = trace->processes; other; other = other->next)
			if (other->space == space)
				space->pid = other->pid;
	space_put(space);
}

/*
 * ---- Events ----
 */

static void call_entry(struct trace *trace, struct thread *thread,
		       const struct memmap_traced_call *call)
{
	(void)turns_own_made(trace, thread);
	thread->call = *call;
	thread->id = call_by_number(call->number);
	turns_ask(trace, thread);
}

static void call_exit(struct trace *trace, struct thread *thread, int64_t result)
{
	struct space *space = thread->process->space;
	thread->call.result = result;
	thread->call_ended = memmap_monotonic_ns();
	if (!turns_is_in_flight(space, thread)) {
		/* It was let go when the space was in other hands: nothing was mirrored. */
		count_call(trace, thread);
		memmap_tracer_resume(trace->tracer, thread->task);
		return;
	}
	thread->process->calls.timed[thread->id]++;
	trace->calls.timed[thread->id]++;
	mirror_exit(trace, thread);
	/*
	 * From here on the program runs beside us, up to its next memory call; until then nothing
	 * can change its maps but a stack that grows, or its end.
	 */
	memmap_tracer_resume(trace->tracer, thread->task);
	if (thread->mode != MIRROR_NOTHING) {
		const uint64_t before = memmap_monotonic_ns();
		check_call(trace, thread);
		trace->checks_ns += memmap_monotonic_ns() - before;
	}
	call_tell(trace, thread);
	turns_end(trace, thread);
}

/* Give the process of `thread` a new space, from what the kernel shows. False: there is none. */
static bool new_space(struct trace *trace, struct thread *thread)
{
	struct process *process = thread->process;
	char command[512];
	free(process->command);
	memmap_process_command(process->pid, command, sizeof(command));
	process->command = strdup(command);
	const int err = seed_space(trace, process);
	if (err) {
		/* Killed between the exec and now: it will tell of its end. */
		if (kill(process->pid, 0) == 0 && err != -ESRCH && err != -ENOENT)
			trace_fail(trace, "process %d (%s): its address space cannot be read: %s",
				   (int)process->pid, command, strerror(-err));
		leave_space(trace, process);
		return false;
	}
	thread->call = (struct memmap_traced_call){.number = UINT64_MAX};
	thread->id = CALL_OTHER;
	return true;
}

static void exec(struct trace *trace, struct thread *thread)
{
	struct process *process = thread->process;
	const bool is_alone = process->nr_threads == 1;
	turns_leave(trace, thread, is_alone);
	/* The others are gone, whether that has been told or not. */
	for (struct thread *other = process->threads; other; other = other->next)
		turns_leave(trace, other, false);
	leave_space(trace, process);
	process->nr_threads = 1;
	process_renew(process);
	/* Its maps stay as they are up to its first memory call, but for a stack that grows. */
	memmap_tracer_resume(trace->tracer, thread->task);
	if (!new_space(trace, thread))
		return;
	check_maps(trace, process->space, thread, false);
	record_exec(trace, process);
}

/* A thread of the process that was attached to; all of them stand still. */
static void attached(struct trace *trace, struct memmap_task *task)
{
	struct thread *thread = task->user;
	if (!thread) {
		thread = add_thread(trace->root, task);
		if (thread)
			record_thread(trace, thread);
		else
			trace_fail(trace, "out of memory");
		return;
	}
	if (!new_space(trace, thread))
		return;
	seed_running(trace, trace->root);
	check_maps(trace, trace->root->space, thread, false);
	record_attach(trace, trace->root);
}

/* A process whose parent was gone before it could tell of it. */
static void orphan(struct trace *trace, struct memmap_task *task)
{
	struct process *process = add_process(trace, task->tid, NULL);
	struct thread *thread = process ? add_thread(process, task) : NULL;
	if (!thread) {
		trace_fail(trace, "out of memory");
		return;
	}
	record_process(trace, process);
	if (!new_space(trace, thread))
		return;
	seed_running(trace, process);
	check_maps(trace, process->space, thread, false);
	record_attach(trace, process);
}

/*
 * The trace ends, the programs go on or are killed. Whoever makes a memory call from here on stands
 * still until then, so that nothing changes while the whole is compared for the last time.
 */
static void leave_all(struct trace *trace)
{
	bool any = false;
	struct thread *last = NULL;
	for (struct process *process = trace->processes; process; process = process->next) {
		struct space *space = process->space;
		struct thread *thread = process->threads;
		if (!space || !thread || space->in_flight)
			continue;
		last = thread;
		any = true;
		if (space->nr_near > 0 && check_capture(space))
			check_maps(trace, space, thread, false);
		record_leaving(trace, thread);
	}
	if (any)
		check_reverse_maps(trace, last);
}

/* The child has a copy of its parent's space. */
static int fork_space(struct trace *trace, struct process *parent, struct process *child)
{
	struct space *from = parent->space;
	struct space *space = space_create(&trace->spaces, child->pid);
	if (!space)
		return -ENOMEM;
	struct memmap_mm_hooks hooks = {.context = space, .has_anonymous = space_has_anonymous};
	int err = memmap_proc_reader_open(&space->maps, child->pid, "maps");
	from->copy = space;
	if (!err)
		err = memmap_mm_fork(from->mm, &hooks, &space->mm);
	from->copy = NULL;
	if (err) {
		space->mm = NULL;
		space_put(space);
		return err;
	}
	/*
	 * Beside other threads, what is told in the end need not be what happened first: the child
	 * may have been copied before a call that has been told of already.
	 */
	const bool beside = parent->nr_threads > 1 || from->nr_references > 1;
	space->born_beside = beside || from->born_beside;
	space->uncertain = beside || from->uncertain || from->in_flight;
	child->space = space;
	process_renew(child);
	return 0;
}

/*
 * Is the child's copy compared at once? The later ones of a parent that forks again and again look
 * like the first: they are compared when they make a call, and some of those that make none.
 */
static bool copy_is_checked(const struct trace *trace, struct process *parent)
{
	const size_t nr = parent->nr_copies++;
	return trace->options->strict || nr < COPIES_CHECKED_AT_FIRST ||
	       nr % COPIES_CHECKED_OF == 0;
}

static void clone_child(struct trace *trace, struct thread *thread,
			const struct memmap_trace_event *ev)
{
	struct process *parent = thread->process;
	if (ev->clone_flags & CLONE_THREAD) {
		struct thread *added = add_thread(parent, ev->child);
		if (added)
			record_thread(trace, added);
		else
			trace_fail(trace, "out of memory");
		return;
	}
	struct process *child = add_process(trace, ev->child_tid, parent);
	struct thread *first = child ? add_thread(child, ev->child) : NULL;
	if (!first) {
		trace_fail(trace, "out of memory");
		return;
	}
	if (ev->clone_flags & CLONE_VM) {
		parent->space->nr_references++;
		child->space = parent->space;
		record_share(trace, parent, child);
		return;
	}
	const int err = fork_space(trace, parent, child);
	if (err == -ENOENT || err == -ESRCH)
		return; /* killed already */
	if (err) {
		trace_fail(trace, "process %d: its address space cannot be copied: %s",
			   (int)child->pid, strerror(-err));
		return;
	}
	first->call = (struct memmap_traced_call){.number = UINT64_MAX};
	first->id = CALL_OTHER;
	/* Both may go on: their maps stay as they are up to the next memory call. */
	memmap_tracer_resume(trace->tracer, thread->task);
	if (!trace->options->strict)
		memmap_tracer_resume(trace->tracer, ev->child);
	if (copy_is_checked(trace, parent) && check_capture(child->space))
		check_maps(trace, child->space, first, false);
	record_fork(trace, parent, child);
}

/* The child is a copy of what all calls that were told of have made, and no other. */
static void clone_between_calls(struct trace *trace, struct thread *thread,
				const struct memmap_trace_event *ev)
{
	struct space *space = thread->process->space;
	(void)turns_own_made(trace, thread);
	(void)turns_in_flight(trace, space);
	clone_child(trace, thread, ev);
	turns_go_on(trace, space);
}

/* Was it neither killed nor ended by another thread, in the midst of a call? */
static bool ended_by_itself(const struct thread *thread, int status)
{
	return thread->alone && WIFEXITED(status);
}

/* The thread will not run again; its space is still there, if only for a moment. */
static void thread_exiting(struct trace *trace, struct thread *thread,
			   const struct memmap_trace_event *ev)
{
	struct process *process = thread->process;
	struct space *space = process->space;
	turns_leave(trace, thread, ended_by_itself(thread, ev->status));
	if (!space)
		return;
	/*
	 * What has been compared by parts only, once more as a whole. Other threads may be there
	 * still; as long as no call is being made, none can be without us.
	 */
	const bool is_first = thread->task->tid == process->pid;
	if ((process->nr_threads == 1 || is_first) && !turns_in_flight(trace, space)) {
		if (space->nr_near > 0 && check_capture(space))
			check_maps(trace, space, thread, false);
		turns_go_on(trace, space);
	}
	if (process->nr_threads > 1 && !(is_first && ev->ends_process))
		return;
	const bool is_last = trace->spaces == space && !space->next;
	if (is_last ||
	    trace->counts.calls - trace->calls_at_reverse_check >= CALLS_BEFORE_END_CHECK)
		check_reverse_maps(trace, thread);
	/*
	 * What is left in it is looked at while it is there: other threads tell of their end when
	 * it is gone. As long as whoever shares it makes a call, nobody can look.
	 */
	if (!space->in_flight)
		record_leaving(trace, thread);
	if (process->nr_threads > 1)
		return;
	/* Now, and not when it has ended: files must not stay open longer than it keeps them. */
	leave_space(trace, process);
}

static void thread_exited(struct trace *trace, struct thread *thread, int status)
{
	struct process *process = thread->process;
	turns_leave(trace, thread, ended_by_itself(thread, status));
	if (--process->nr_threads == 0) {
		leave_space(trace, process);
		files_forget_process(trace->files, process->pid);
		process->ended = true;
		process->status = status;
		record_exit(trace, process);
	} else {
		record_thread_end(trace, thread);
	}
	free_thread(thread);
}

static void handle(struct trace *trace, const struct memmap_trace_event *ev)
{
	struct thread *thread = ev->task->user;
	switch (ev->kind) {
	case MEMMAP_TRACE_ATTACHED:
		attached(trace, ev->task);
		break;
	case MEMMAP_TRACE_CALL_ENTRY:
		if (thread && thread->process->space && trace->failure[0] == '\0') {
			call_entry(trace, thread, &ev->call);
			return;
		}
		break;
	case MEMMAP_TRACE_CALL_EXIT:
		if (thread && thread->process->space && trace->failure[0] == '\0') {
			call_exit(trace, thread, ev->call.result);
			return;
		}
		break;
	case MEMMAP_TRACE_FOREIGN:
		trace_fail(trace,
			   "process %d (%s) makes 32-bit system calls, which cannot be followed; "
			   "it was %s",
			   (int)ev->task->tid,
			   thread && thread->process->command ? thread->process->command : "?",
			   trace->options->pid ? "let go" : "stopped");
		break;
	case MEMMAP_TRACE_EXEC:
		if (ev->former_user)
			turns_leave(trace, ev->former_user, true);
		free_thread(ev->former_user);
		if (thread)
			exec(trace, thread);
		break;
	case MEMMAP_TRACE_CLONE:
		if (thread && thread->process->space)
			clone_between_calls(trace, thread, ev);
		break;
	case MEMMAP_TRACE_ORPHAN:
		orphan(trace, ev->task);
		break;
	case MEMMAP_TRACE_HALTED:
		if (thread)
			turns_halted(trace, thread);
		break;
	case MEMMAP_TRACE_EXITING:
		if (thread)
			thread_exiting(trace, thread, ev);
		break;
	case MEMMAP_TRACE_EXITED:
		if (thread)
			thread_exited(trace, thread, ev->status);
		break;
	case MEMMAP_TRACE_LEAVING:
	case MEMMAP_TRACE_DONE:
		break; /* they are about no task: see run() */
	}
	if (ev->stopped)
		memmap_tracer_resume(trace->tracer, ev->task);
}

void trace_events(struct trace *trace)
{
	struct memmap_trace_event ev;
	bool started = false;
	for (;;) {
		int err = memmap_tracer_next(trace->tracer, &ev);
		if (err) {
			trace_fail(trace, "tracing cannot go on: %s", strerror(-err));
			return;
		}
		if (ev.kind == MEMMAP_TRACE_DONE)
			return;
		if (ev.kind == MEMMAP_TRACE_LEAVING) {
			leave_all(trace);
			continue;
		}
		if (!started) {
			started = true;
			trace->root = add_process(trace, ev.task->tid, NULL);
			if (!trace->root || !add_thread(trace->root, ev.task)) {
				trace_fail(trace, "out of memory");
				return;
			}
			record_process(trace, trace->root);
		}
		handle(trace, &ev);
	}
}
