/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checking the model against the kernel.
 *
 * The usual case is that both texts of maps are the same bytes, and costs one comparison. When they
 * are not, it may be for reasons that are no difference: a stack has grown by itself; the kernel
 * shows for the first time what a file is called or which inode shared memory has got; a file was
 * renamed. Those are taken over first. What remains is a difference, or a boundary that only the
 * kernel keeps; either way the model then takes over what the kernel shows, and goes on.
 */
#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>
#include <time.h>

#include "trace/trace.h"

bool check_capture(struct space *space)
{
	return memmap_proc_reader_read_maps(&space->maps) == 0 && space->maps.length > 0;
}

static bool same_text(const struct space *space)
{
	return space->text.length == space->maps.length &&
	       memcmp(space->text.data, space->maps.data, space->maps.length) == 0;
}

/*
 * ---- What is no difference ----
 */

static int parse(struct trace *trace, struct space *space)
{
	return compare_texts(&trace->comparison, space->text.data, space->text.length,
			     space->maps.data, space->maps.length);
}

/* Let every stack of the model reach as far down as its line in the kernel's maps. */
static bool grow_stacks(struct space *space, const struct comparison *c)
{
	bool grew = false;
	for (size_t i = 0; i < c->kernel.length; i++) {
		const struct memmap_addr_range r = c->kernel.items[i].range;
		struct memmap_vma vma;
		if (memmap_mm_find_vma(space->mm, r.end - 1, &vma) &&
		    (vma.flags & MEMMAP_VM_GROWSDOWN) && r.start < vma.range.start &&
		    vma.range.start < r.end)
			grew |= memmap_mm_expand_stack(space->mm, r.start) == 0;
	}
	space->changed_elsewhere |= grew;
	return grew;
}

void check_growth(struct trace *trace, struct space *space)
{
	if (memmap_mm_print_maps(space->mm, &space->text) == 0 && !same_text(space) &&
	    parse(trace, space) == 0)
		(void)grow_stacks(space, &trace->comparison);
}

void check_growth_of(struct space *space, const struct memmap_vma *stack)
{
	struct memmap_kernel_vma found;
	if (memmap_maps_query(&space->maps, stack->range.end - 1, &found) == 0 &&
	    found.range.end == stack->range.end && found.range.start < stack->range.start &&
	    memmap_mm_expand_stack(space->mm, found.range.start) == 0)
		space->changed_elsewhere = true;
}

/* Take over names, and the numbers of files that are shown for the first time. */
static bool learn_files(struct space *space, const struct comparison *c)
{
	bool learned = false;
	for (size_t i = 0; i < c->kernel.length; i++) {
		const struct memmap_maps_line *line = &c->kernel.items[i];
		struct memmap_vma vma;
		if (!memmap_maps_line_is_file(line) ||
		    !memmap_mm_find_vma(space->mm, line->range.start, &vma) || !vma.identity ||
		    vma.range.start > line->range.start ||
		    vma.offset + (line->range.start - vma.range.start) != line->offset)
			continue;
		learned |=
			files_learn(opened_file_of(vma.identity), makedev(line->major, line->minor),
				    line->inode, line->name, line->name_length) == 1;
	}
	space->changed_elsewhere |= learned;
	return learned;
}

/*
 * ---- Maps ----
 */

static bool print(struct trace *trace, struct space *space)
{
	if (memmap_mm_print_maps(space->mm, &space->text) == 0)
		return true;
	trace_fail(trace, "out of memory");
	return false;
}

/* Where the heap ends was part of the difference: the next call of brk(2) will tell. */
static void follow_break(struct space *space, const struct comparison *c)
{
	static const char heap[] = "[heap]";
	struct memmap_mm_layout layout = memmap_mm_get_layout(space->mm);
	uint64_t end = layout.start_brk, had;
	for (size_t i = 0; i < c->kernel.length; i++) {
		const struct memmap_maps_line *line = &c->kernel.items[i];
		if (line->name_length == sizeof(heap) - 1 &&
		    memcmp(line->name, heap, sizeof(heap) - 1) == 0)
			end = line->range.end;
	}
	if (memmap_page_round_up(layout.brk, &had) && had == end)
		return;
	/* In its last page, so that what adjoins is not called the heap. */
	layout.brk = end > layout.start_brk ? end - 1 : end;
	if (memmap_mm_set_layout(space->mm, &layout) == 0)
		space->brk_unknown = true;
}

/* Make the model what the kernel shows where they differ; if that does not do, everywhere. */
static void resynchronise(struct trace *trace, struct space *space)
{
	struct comparison *c = &trace->comparison;
	int err = 0;
	space->changed_elsewhere = true;
	for (size_t i = 0; i < c->regions.length && !err; i++)
		if (c->regions.items[i].end <= memmap_mm_get_layout(space->mm).task_size)
			err = take_over(trace, space, c->regions.items[i], c->kernel.items,
					c->kernel.length);
	if (err == -ENOMEM) {
		trace_fail(trace, "out of memory");
		return;
	}
	follow_break(space, c);
	if (!print(trace, space) || same_text(space))
		return;
	struct memmap_addr_range all = {0, memmap_mm_get_layout(space->mm).task_size};
	err = parse(trace, space);
	if (!err)
		err = take_over(trace, space, all, c->kernel.items, c->kernel.length);
	if (err || !print(trace, space) || same_text(space))
		return;
	if (parse(trace, space) == 0)
		trace_fail(trace,
			   "process %d: the model cannot show what the kernel shows; "
			   "the model says:\n%sthe kernel says:\n%s",
			   (int)space->pid, c->expected, c->found);
}

/*
 * Does something else run in the space while a call is made? Whether look-alikes merge depends on
 * which of them was written to first, and before or after which call; nobody can tell the order of
 * a thread's writes and another's calls. A child that was made meanwhile has its share of that.
 */
static bool runs_beside_others(const struct thread *thread)
{
	const struct space *space = thread->process->space;
	return thread->process->nr_threads > 1 || space->nr_references > 1 || space->born_beside;
}

/*
 * A userfaultfd is closed without a call, and the program runs while its maps are read: it may have
 * been closed before, or only be about to be.
 */
static bool same_once_closed(struct trace *trace, struct space *space)
{
	enum { TIMES = 50 };
	const struct timespec moment = {0, 20000};
	if (!space->userfaults)
		return false;
	for (int i = 0; i < TIMES; i++) {
		userfaults_follow(trace, space);
		if (!check_capture(space) || !print(trace, space) || same_text(space))
			return true;
		nanosleep(&moment, NULL);
	}
	return false;
}

/* The texts are not the same bytes. Is there a difference? Either way they are afterwards. */
static void settle(struct trace *trace, struct space *space, const struct thread *thread,
		   bool silently)
{
	struct comparison *c = &trace->comparison;
	/* It may have ended while its maps were read: then they are gone, or cut short. */
	if (!check_capture(space) || same_text(space) || same_once_closed(trace, space))
		return;
	int err = parse(trace, space);
	if (err) {
		trace_fail(trace, "process %d: its maps cannot be understood", (int)space->pid);
		return;
	}
	const bool grew = grow_stacks(space, c), learned = learn_files(space, c);
	if (grew || learned) {
		if (!print(trace, space))
			return;
		if (same_text(space))
			return;
		(void)parse(trace, space);
	}
	if (!silently) {
		trace->counts.boundaries_kernel_only += c->kernel_only;
		if (c->differs && c->only_boundaries && runs_beside_others(thread)) {
			trace->counts.boundaries_unordered += c->model_only;
		} else if (c->differs) {
			trace_difference(trace, thread, c->expected, c->found);
			process_refresh_limits(thread->process);
		}
	}
	resynchronise(trace, space);
}

static void count_peaks(struct process *process)
{
	struct memmap_mm_stats stats;
	memmap_mm_get_stats(process->space->mm, &stats);
	if (stats.nr_vmas > process->max_vmas)
		process->max_vmas = stats.nr_vmas;
	if (stats.total_pages * MEMMAP_PAGE_SIZE > process->peak_bytes)
		process->peak_bytes = stats.total_pages * MEMMAP_PAGE_SIZE;
}

void check_maps(struct trace *trace, struct space *space, const struct thread *thread,
		bool silently)
{
	if (!print(trace, space))
		return;
	if (!same_text(space))
		settle(trace, space, thread, silently || space->uncertain);
	space->uncertain = space->wants_whole = false;
	space->nr_near = 0;
	count_peaks(thread->process);
	if (!silently) {
		struct memmap_mm_stats stats;
		memmap_mm_get_stats(space->mm, &stats);
		trace->counts.maps++;
		trace->counts.boundaries_exact += stats.nr_vmas;
	}
}

/*
 * ---- Calls ----
 */

/* Cut off by a signal: what the call has done is open. */
static bool was_interrupted(int64_t result)
{
	return result == -EINTR || (result <= -512 && result >= -516);
}

/* A call without rules that has failed and either does all or nothing. */
static bool did_nothing(const struct thread *thread)
{
	const int64_t result = thread->call.result;
	return thread->id == CALL_PRCTL && result < 0 && result > -4096 && !was_interrupted(result);
}

static void check_result(struct trace *trace, struct thread *thread)
{
	const int64_t found = thread->call.result, predicted = thread->predicted;
	trace->counts.results++;
	if (found == predicted) {
		if (thread->predicts_address && found >= 0)
			trace->counts.addresses_predicted++;
		return;
	}
	if (thread->predicts_address && found >= 0)
		trace->counts.addresses_missed++;
	char expected_text[64], found_text[64];
	trace_difference(
		trace, thread,
		call_format_result(thread->id, predicted, expected_text, sizeof(expected_text)),
		call_format_result(thread->id, found, found_text, sizeof(found_text)));
	/* The maps differ for the same reason: one difference is enough. */
	thread->process->space->uncertain = true;
	if (thread->id == CALL_BRK)
		thread->process->space->brk_unknown = true;
	/* Perhaps somebody who is not traced has changed them. */
	process_refresh_limits(thread->process);
}

/* Is another call in flight beside the one that is checked? Then the whole cannot be compared. */
static bool others_in_flight(const struct space *space)
{
	return space->in_flight && space->in_flight->next_in_flight;
}

void check_call(struct trace *trace, struct thread *thread)
{
	struct space *space = thread->process->space;
	switch (thread->mode) {
	case MIRROR_NOTHING:
		return;
	case MIRROR_ADOPT:
		if (did_nothing(thread))
			break;
		trace->counts.adopted++;
		space->uncertain = true;
		break;
	case MIRROR_DONE:
	case MIRROR_AT_EXIT:
		if (was_interrupted(thread->call.result))
			space->uncertain = true;
		else
			check_result(trace, thread);
		break;
	}
	if (check_near(trace, space, thread)) {
		count_peaks(thread->process);
		return;
	}
	if (others_in_flight(space))
		space->wants_whole = true;
	else if (check_capture(space))
		check_maps(trace, space, thread, false);
}

bool check_seen(struct trace *trace, const struct thread *thread)
{
	if (!check_near(trace, thread->process->space, thread))
		return false;
	trace->counts.unwatched++;
	if (thread->predicts_address)
		trace->counts.addresses_predicted++;
	count_peaks(thread->process);
	return true;
}

void check_unwatched(struct trace *trace, const struct thread *thread)
{
	struct space *space = thread->process->space;
	const uint64_t before = trace->counts.differences;
	if (check_seen(trace, thread))
		return;
	if (others_in_flight(space))
		space->wants_whole = true;
	else if (check_capture(space))
		check_maps(trace, space, thread, false);
	else
		return;
	trace->counts.unwatched++;
	if (thread->predicts_address && trace->counts.differences == before)
		trace->counts.addresses_predicted++;
	else if (thread->predicts_address)
		trace->counts.addresses_missed++;
}

/*
 * ---- The reverse map ----
 */

/* Pages that are mapped, counted from both ends. */
struct reverse_check {
	uint64_t by_vmas, by_files;
	const char *wrong; /* NULL: nothing */
};

/* Does the file know of the whole of this VMA? */
static bool file_knows(struct memmap_mapping_space *ms, const struct memmap_vma *vma)
{
	const struct mapped_file *file = (const struct mapped_file *)vma->mappable;
	const uint64_t mask = MEMMAP_VM_SHARED | MEMMAP_VM_MAYWRITE;
	const uint64_t length = memmap_addr_range_length(vma->range);
	uint64_t at = vma->offset;
	struct memmap_mapping_iterator it =
		memmap_mapping_set_lower_bound_segment(&file->mappings, at);
	while (at < vma->offset + length) {
		if (!memmap_mapping_iterator_ok(it))
			return false;
		const struct memmap_mappable_range r = memmap_mapping_iterator_range(it);
		/* A segment may reach beyond the VMA: into another piece of the same mapping. */
		if (r.start > at)
			return false;
		const uint64_t start = vma->range.start + (r.start - vma->offset);
		struct memmap_mapping_of_range m = {
			.space = ms,
			.addr_range = {start, start + memmap_mappable_range_length(r)},
			.writable = (vma->flags & mask) == mask,
		};
		if (!memmap_mapping_iterator_has_mapping(it, m))
			return false;
		at = r.end;
		it = memmap_mapping_iterator_next_segment(it);
	}
	return true;
}

static void check_space(const struct space *space, struct reverse_check *check)
{
	struct memmap_mapping_space *ms = memmap_mm_mapping_space(space->mm);
	struct memmap_vma vma;
	for (uint64_t at = 0; memmap_mm_find_vma(space->mm, at, &vma); at = vma.range.end) {
		if (!vma.mappable)
			continue;
		check->by_vmas += memmap_addr_range_length(vma.range) >> MEMMAP_PAGE_SHIFT;
		if (!file_knows(ms, &vma))
			check->wrong = "a VMA is missing from the reverse map of its file";
	}
}

static bool count_file(struct mapped_file *file, void *arg)
{
	struct reverse_check *check = arg;
	for (struct memmap_mapping_iterator it = memmap_mapping_set_first_segment(&file->mappings);
	     memmap_mapping_iterator_ok(it); it = memmap_mapping_iterator_next_segment(it)) {
		const struct memmap_mappable_range r = memmap_mapping_iterator_range(it);
		check->by_files += (memmap_mappable_range_length(r) >> MEMMAP_PAGE_SHIFT) *
				   memmap_mapping_iterator_nr_mappings(it);
	}
	return true;
}

const char *reverse_maps_wrong(struct files *files, const struct space *spaces)
{
	struct reverse_check check = {0};
	for (const struct space *space = spaces; space; space = space->next)
		if (space->mm)
			check_space(space, &check);
	files_visit(files, count_file, &check);
	if (!check.wrong && check.by_vmas != check.by_files)
		check.wrong = check.by_vmas < check.by_files
				      ? "a reverse map holds a mapping that no VMA has"
				      : "a reverse map misses a mapping";
	return check.wrong;
}

void check_reverse_maps(struct trace *trace, const struct thread *thread)
{
	const char *wrong = reverse_maps_wrong(trace->files, trace->spaces);
	trace->counts.reverse_maps++;
	trace->calls_at_reverse_check = trace->counts.calls;
	if (wrong)
		trace_difference(trace, thread, "reverse maps equal to the VMAs", wrong);
}
