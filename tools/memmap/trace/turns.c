/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whose call may be made when.
 *
 * Two threads of one space can both stand at a memory call. The kernel would make the calls in one
 * order and the model perhaps in the other; so the second one waits until the first is through.
 * Unless the order is all the same: calls of mprotect(2) that are about different VMAs, as when the
 * threads of a program each let the reserve of an allocator grow, are in flight side by side.
 *
 * A call is *in flight* from when the model makes it until its thread has stopped again, or the
 * maps show that the kernel has made it (unwatched.c). The whole of maps can only be compared when
 * none is; what has to wait for that, waits, and no other call begins before.
 */
#include <sys/mman.h>

#include "report/record.h"
#include "trace/trace.h"

/* So many VMAs below the limit, the order of calls may decide which of them reaches it. */
#define NEAR_THE_LIMIT 64u

/*
 * ---- The queue ----
 */

static void enqueue(struct space *space, struct thread *thread)
{
	thread->next_waiting = NULL;
	if (space->first_waiting)
		space->last_waiting->next_waiting = thread;
	else
		space->first_waiting = thread;
	space->last_waiting = thread;
}

static void unqueue(struct space *space, struct thread *thread)
{
	struct thread **link = &space->first_waiting;
	space->last_waiting = NULL;
	while (*link) {
		if (*link == thread)
			*link = thread->next_waiting;
		if (*link) {
			space->last_waiting = *link;
			link = &(*link)->next_waiting;
		}
	}
}

/*
 * ---- In flight ----
 */

bool turns_is_in_flight(const struct space *space, const struct thread *thread)
{
	const struct thread *other = space->in_flight;
	while (other && other != thread)
		other = other->next_in_flight;
	return other != NULL;
}

static void land(struct space *space, struct thread *thread)
{
	struct thread **link = &space->in_flight;
	while (*link && *link != thread)
		link = &(*link)->next_in_flight;
	if (*link)
		*link = thread->next_in_flight;
	thread->unwatched = false;
}

/* Do the maps show that its call has been made, whose exit is not seen? */
static bool is_seen(struct trace *trace, const struct thread *thread)
{
	if (!thread->unwatched)
		return false;
	const uint64_t before = memmap_monotonic_ns();
	const bool seen = check_seen(trace, thread);
	trace->checks_ns += memmap_monotonic_ns() - before;
	return seen;
}

bool turns_in_flight(struct trace *trace, struct space *space)
{
	struct thread *next;
	for (struct thread *thread = space->in_flight; thread; thread = next) {
		next = thread->next_in_flight;
		if (is_seen(trace, thread))
			land(space, thread);
	}
	return space->in_flight != NULL;
}

bool turns_own_made(struct trace *trace, struct thread *thread)
{
	struct space *space = thread->process->space;
	if (!space || !thread->unwatched || !turns_is_in_flight(space, thread))
		return false;
	const uint64_t before = memmap_monotonic_ns();
	check_unwatched(trace, thread);
	trace->checks_ns += memmap_monotonic_ns() - before;
	land(space, thread);
	return true;
}

/*
 * ---- Side by side ----
 */

/* The VMAs that a call is about, and those that it may join or cut: from the first's to the last's.
 */
static struct memmap_addr_range surroundings(const struct thread *thread)
{
	struct memmap_addr_range touched[2];
	struct memmap_vma vma;
	mirror_touched(thread, touched);
	struct memmap_addr_range around = touched[0];
	for (uint64_t at = around.start > 0 ? around.start - 1 : 0;
	     memmap_mm_find_vma(thread->process->space->mm, at, &vma) &&
	     vma.range.start <= touched[0].end;
	     at = vma.range.end) {
		if (vma.range.start < around.start)
			around.start = vma.range.start;
		if (vma.range.end > around.end)
			around.end = vma.range.end;
	}
	return around;
}

/* A call that says itself all that it is about, and of which no limit decides. */
static bool is_local(const struct thread *thread)
{
	const struct memmap_mm_limits *limits = &thread->process->limits;
	const uint64_t prot = thread->call.args[2];
	struct memmap_mm_stats stats;
	memmap_mm_get_stats(thread->process->space->mm, &stats);
	return thread->id == CALL_MPROTECT && !(prot & ~(uint64_t)(PROT_READ | PROT_WRITE)) &&
	       limits->address_space == UINT64_MAX && limits->data == UINT64_MAX &&
	       stats.nr_vmas + NEAR_THE_LIMIT < limits->max_map_count;
}

/* May `thread` make its call beside those that are in flight? */
static bool may_join(const struct space *space, const struct thread *thread)
{
	if (space->uncertain || space->wants_whole || space->userfaults || !is_local(thread))
		return false;
	const struct memmap_addr_range around = surroundings(thread);
	for (const struct thread *other = space->in_flight; other; other = other->next_in_flight)
		if (!other->unwatched || !is_local(other) ||
		    memmap_addr_range_overlaps(around, other->around))
			return false;
	return true;
}

/*
 * ---- Turns ----
 */

static void begin(struct trace *trace, struct thread *thread)
{
	struct space *space = thread->process->space;
	const bool is_first = !space->in_flight;
	thread->next_in_flight = space->in_flight;
	space->in_flight = thread;
	thread->alone = thread->process->nr_threads == 1;
	/* Somebody was killed in the midst of a call: what became of it decides about this one. */
	if (is_first && (space->uncertain || space->wants_whole) && check_capture(space))
		check_maps(trace, space, thread, space->uncertain);
	if (thread->id == CALL_MPROTECT)
		thread->around = surroundings(thread);
	record_entry(trace, thread);
	mirror_entry(trace, thread);
	thread->call_began = memmap_monotonic_ns();
	if (!thread->unwatched) {
		memmap_tracer_resume(trace->tracer, thread->task);
		return;
	}
	memmap_tracer_resume_past_exit(trace->tracer, thread->task);
	/* Told of now, as the model sees it: the next stop, where it is checked, may be far off. */
	thread->call.result = thread->predicted;
	thread->call_ended = thread->call_began;
	call_tell(trace, thread);
	/* Most calls have been made by then: better now than while the program waits. */
	if (is_seen(trace, thread))
		land(space, thread);
}

void turns_go_on(struct trace *trace, struct space *space)
{
	struct thread *next;
	while ((next = space->first_waiting) &&
	       (!turns_in_flight(trace, space) || may_join(space, next))) {
		unqueue(space, next);
		begin(trace, next);
	}
	if (!next)
		return;
	/* Nobody may ever hear of their ends, unless asked for. */
	for (struct thread *thread = space->in_flight; thread; thread = thread->next_in_flight)
		if (thread->unwatched)
			memmap_tracer_halt(trace->tracer, thread->task);
}

void turns_ask(struct trace *trace, struct thread *thread)
{
	enqueue(thread->process->space, thread);
	turns_go_on(trace, thread->process->space);
}

void turns_end(struct trace *trace, struct thread *thread)
{
	land(thread->process->space, thread);
	turns_go_on(trace, thread->process->space);
}

void turns_halted(struct trace *trace, struct thread *thread)
{
	if (turns_own_made(trace, thread))
		turns_go_on(trace, thread->process->space);
}

void turns_leave(struct trace *trace, struct thread *thread, bool made)
{
	struct space *space = thread->process->space;
	if (!space)
		return;
	if (!turns_is_in_flight(space, thread)) {
		unqueue(space, thread);
		return;
	}
	if (!(made && turns_own_made(trace, thread)) && !is_seen(trace, thread))
		space->uncertain = true;
	turns_end(trace, thread);
}
