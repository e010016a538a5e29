/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A new address space, as exec has made it: the layout it was given, and what is in it.
 *
 * The kernel tells where the heap and the stack begin, but not where the search for free addresses
 * does (mmap_base): it follows from what was placed there already. The first thing that an exec
 * places by a search is the dynamic loader, or for a static program the vdso; before it there was
 * nothing, so it ends where the top-down search begins, or begins where the bottom-up search does.
 */
#include <errno.h>
#include <sys/personality.h>

#include "trace.h"

#define TASK_SIZE    UINT64_C(0x7ffffffff000)
#define STACK_RANDOM UINT64_C(0x3fffff000) /* the most that a stack is shifted by */
#define MIN_GAP      (UINT64_C(128) << 20) /* between mmap_base and the stack's top */
#define MAX_GAP      (TASK_SIZE / 6 * 5)

/* How far below the top mmap_base would be without its own randomness. */
static uint64_t stack_gap(const struct process *process, uint64_t guard_gap)
{
	uint64_t pad = guard_gap;
	if (!(process->personality & ADDR_NO_RANDOMIZE))
		pad += STACK_RANDOM;
	uint64_t gap = process->limits.stack;
	if (gap + pad > gap)
		gap += pad;
	if (gap < MIN_GAP)
		gap = MIN_GAP;
	return gap > MAX_GAP ? MAX_GAP : gap;
}

static void infer_bases(const struct process *process, const struct memmap_maps_line *lines,
			size_t nr, struct memmap_mm_layout *layout)
{
	uint64_t unmapped_base = memmap_page_round_down(TASK_SIZE / 3 + MEMMAP_PAGE_MASK);
	uint64_t lowest = 0, highest = 0;
	for (size_t i = 0; i < nr; i++) {
		const struct memmap_addr_range r = lines[i].range;
		if (r.end > TASK_SIZE ||
		    (r.start <= layout->start_stack && layout->start_stack < r.end))
			continue;
		if (!lowest && r.start >= unmapped_base)
			lowest = r.start;
		if (r.end <= layout->start_stack)
			highest = r.end;
	}
	layout->bottom_up = (process->personality & ADDR_COMPAT_LAYOUT) != 0 ||
			    memmap_sysctl("/proc/sys/vm/legacy_va_layout", 0) != 0;
	if (layout->bottom_up) {
		layout->mmap_legacy_base = lowest ? lowest : unmapped_base;
		layout->mmap_base = layout->mmap_legacy_base;
		return;
	}
	layout->mmap_base = highest;
	/* Both bases are shifted by the same random number. */
	const uint64_t gap = stack_gap(process, layout->stack_guard_gap);
	const uint64_t unshifted = memmap_page_round_down(TASK_SIZE - gap + MEMMAP_PAGE_MASK);
	layout->mmap_legacy_base = unmapped_base;
	if (unshifted > highest)
		layout->mmap_legacy_base += unshifted - highest;
}

static int read_layout(const struct process *process, const struct memmap_maps_line *lines,
		       size_t nr, struct memmap_mm_layout *layout)
{
	struct memmap_process_layout found;
	int err = memmap_process_layout(process->pid, &found);
	if (err)
		return err;
	memmap_mm_layout_default(layout);
	layout->min_addr = memmap_sysctl("/proc/sys/vm/mmap_min_addr", 65536);
	if (layout->min_addr & MEMMAP_PAGE_MASK)
		layout->min_addr = memmap_page_round_down(layout->min_addr) + MEMMAP_PAGE_SIZE;
	layout->task_size = TASK_SIZE;
	layout->start_brk = layout->brk = found.start_brk;
	layout->start_stack = found.start_stack;
	layout->start_code = found.start_code;
	layout->end_code = found.end_code;
	layout->start_data = found.start_data;
	layout->end_data = found.end_data;
	layout->vsyscall = nr > 0 && lines[nr - 1].range.start >= TASK_SIZE;
	infer_bases(process, lines, nr, layout);
	return 0;
}

/* Parse the captured maps into the comparison's array, which is free now. */
static int parse_maps(struct trace *trace, const struct space *space)
{
	struct comparison *c = &trace->comparison;
	return compare_texts(c, "", 0, space->maps.data, space->maps.length);
}

int seed_space(struct trace *trace, struct process *process)
{
	struct space *space = space_create(&trace->spaces, process->pid);
	if (!space)
		return -ENOMEM;
	process->space = space;
	process_refresh_limits(process);
	process_refresh_credentials(process);
	int err = memmap_proc_reader_open(&space->maps, process->pid, "maps");
	if (!err)
		err = memmap_proc_reader_read_maps(&space->maps);
	if (!err)
		err = parse_maps(trace, space);
	if (err)
		return err;
	const struct memmap_maps_line *lines = trace->comparison.kernel.items;
	const size_t nr = trace->comparison.kernel.length;
	struct memmap_mm_options options = {
		.limits = process->limits,
		.hooks = {.context = space, .has_anonymous = space_has_anonymous},
	};
	err = read_layout(process, lines, nr, &options.layout);
	if (!err)
		err = memmap_mm_create(&options, &space->mm);
	if (!err)
		err = take_over(trace, space, (struct memmap_addr_range){0, TASK_SIZE}, lines, nr);
	space->limits_of = process;
	return err;
}
