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
#include <string.h>
#include <sys/personality.h>

#include "trace/trace.h"

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

/* The line that holds `addr`; NULL: none. */
static const struct memmap_maps_line *line_at(const struct memmap_maps_line *lines, size_t nr,
					      uint64_t addr)
{
	for (size_t i = 0; i < nr; i++)
		if (memmap_addr_range_contains(lines[i].range, addr))
			return &lines[i];
	return NULL;
}

static bool same_inode(const struct memmap_maps_line *a, const struct memmap_maps_line *b)
{
	return a && a->inode != 0 && a->inode == b->inode && a->major == b->major &&
	       a->minor == b->minor;
}

/*
 * What the exec has placed by a search: the dynamic loader (or, without one, a program that can lie
 * anywhere and came to lie right above the vdso), the zeroed memory that continues it, and the vdso
 * with its data. Empty when there is nothing.
 */
static struct memmap_addr_range placed_by_search(const struct memmap_process_auxv *auxv,
						 const struct memmap_maps_line *lines, size_t nr)
{
	struct memmap_addr_range all = {0, 0};
	const struct memmap_maps_line *loader = line_at(lines, nr, auxv->base);
	const struct memmap_maps_line *vdso = line_at(lines, nr, auxv->vdso);
	const struct memmap_maps_line *program = line_at(lines, nr, auxv->entry);
	if (!loader && vdso && same_inode(program, vdso + 1) &&
	    vdso[1].range.start == vdso->range.end)
		loader = program;
	bool last_was = false;
	for (size_t i = 0; i < nr && lines[i].range.end <= TASK_SIZE; i++) {
		const bool is_vdso = lines[i].name_length > 2 && lines[i].name[0] == '[' &&
				     lines[i].name[1] == 'v';
		const bool continues = last_was && !memmap_maps_line_is_file(&lines[i]) &&
				       lines[i].name_length == 0 && lines[i].range.start == all.end;
		last_was = is_vdso || same_inode(loader, &lines[i]) || continues;
		if (!last_was)
			continue;
		if (all.end == 0)
			all.start = lines[i].range.start;
		all.end = lines[i].range.end;
	}
	return all;
}

static void infer_bases(const struct trace *trace, const struct process *process,
			const struct memmap_maps_line *lines, size_t nr,
			struct memmap_mm_layout *layout)
{
	const uint64_t unmapped_base = memmap_page_round_down(TASK_SIZE / 3 + MEMMAP_PAGE_MASK);
	struct memmap_process_auxv auxv = {0};
	(void)memmap_process_auxv(process->pid, &auxv);
	const struct memmap_addr_range placed = placed_by_search(&auxv, lines, nr);
	layout->bottom_up =
		(process->personality & ADDR_COMPAT_LAYOUT) != 0 || trace->legacy_layout;
	if (layout->bottom_up) {
		layout->mmap_legacy_base = placed.start ? placed.start : unmapped_base;
		layout->mmap_base = layout->mmap_legacy_base;
		return;
	}
	/* Both bases are shifted by the same random number. */
	const uint64_t gap = stack_gap(process, layout->stack_guard_gap);
	const uint64_t unshifted = memmap_page_round_down(TASK_SIZE - gap + MEMMAP_PAGE_MASK);
	layout->mmap_base = placed.end ? placed.end : unshifted;
	layout->mmap_legacy_base = unmapped_base;
	if (unshifted > layout->mmap_base)
		layout->mmap_legacy_base += unshifted - layout->mmap_base;
}

static int read_layout(const struct trace *trace, const struct process *process,
		       const struct memmap_maps_line *lines, size_t nr,
		       struct memmap_mm_layout *layout)
{
	struct memmap_process_layout found;
	int err = memmap_process_layout(process->pid, &found);
	if (err)
		return err;
	memmap_mm_layout_default(layout);
	layout->min_fixed_addr = trace->min_fixed_addr;
	layout->min_addr = trace->min_addr;
	layout->task_size = TASK_SIZE;
	layout->start_brk = layout->brk = found.start_brk;
	layout->start_stack = found.start_stack;
	layout->start_code = found.start_code;
	layout->end_code = found.end_code;
	layout->start_data = found.start_data;
	layout->end_data = found.end_data;
	layout->vsyscall = nr > 0 && lines[nr - 1].range.start >= TASK_SIZE;
	infer_bases(trace, process, lines, nr, layout);
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
	process->credentials_stale = true;
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
	err = read_layout(trace, process, lines, nr, &options.layout);
	if (!err)
		err = memmap_mm_create(&options, &space->mm);
	if (!err)
		err = take_over(trace, space, (struct memmap_addr_range){0, TASK_SIZE}, lines, nr);
	space->limits_of = process;
	return err;
}

/*
 * How far the heap reaches, to the page: what maps calls so, and where within its last page the
 * break is shows at the first call of brk(2). Files that the process has open already and has
 * mapped are taken to be the same open files.
 */
void seed_running(struct trace *trace, struct process *process)
{
	static const char heap[] = "[heap]";
	struct space *space = process->space;
	const char *text = space->maps.data, *end = text + space->maps.length;
	struct memmap_maps_line line;
	struct memmap_mm_layout layout = memmap_mm_get_layout(space->mm);
	while (memmap_maps_text_next(&text, end, &line))
		if (line.name_length == sizeof(heap) - 1 &&
		    memcmp(line.name, heap, sizeof(heap) - 1) == 0 && line.range.end > layout.brk)
			layout.brk = line.range.end;
	(void)memmap_mm_set_layout(space->mm, &layout);
	space->brk_unknown = true;
	files_adopt_descriptors(trace->files, process->pid);
}
