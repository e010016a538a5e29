/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is the model what the kernel is, near the addresses of a call?
 *
 * A call changes VMAs where it was asked to, and may join or cut the neighbours. So the VMAs that
 * overlap or touch its addresses are compared one by one, each asked for by itself: what a check
 * costs follows what the call was about, not how many VMAs there are.
 *
 * This only ever says yes, or does not know: whoever asks then compares the whole.
 */
#include <errno.h>
#include <string.h>
#include <sys/sysmacros.h>

#include "trace/trace.h"

static bool overlap(struct memmap_addr_range vma, uint64_t start, uint64_t end)
{
	return vma.start < end && vma.end > start;
}

/* Is it called `before` NAME ]? */
static bool is_called(const struct memmap_kernel_vma *found, const char *before, const char *name)
{
	const size_t first = strlen(before), length = strlen(name);
	return found->name_length == first + length + 1 &&
	       memcmp(found->name, before, first) == 0 &&
	       memcmp(found->name + first, name, length) == 0 && found->name[first + length] == ']';
}

/* What maps calls the VMA, when nobody has named it. */
static void model_name(const struct memmap_mm_layout *layout, const struct memmap_vma *vma,
		       const char **name, size_t *length)
{
	if (!vma->name && vma->identity) {
		const struct opened_file *opened = opened_file_of(vma->identity);
		*name = opened->name;
		*length = opened->name_length;
		return;
	}
	*name = "";
	if (vma->name)
		*name = vma->name;
	else if (overlap(vma->range, layout->start_brk, layout->brk))
		*name = "[heap]";
	else if (vma->range.start <= layout->start_stack && vma->range.end >= layout->start_stack)
		*name = "[stack]";
	*length = strlen(*name);
}

static bool same_perms(const struct memmap_vma *vma, const char perms[4])
{
	return (perms[0] == 'r') == ((vma->flags & MEMMAP_VM_READ) != 0) &&
	       (perms[1] == 'w') == ((vma->flags & MEMMAP_VM_WRITE) != 0) &&
	       (perms[2] == 'x') == ((vma->flags & MEMMAP_VM_EXEC) != 0) &&
	       (perms[3] == 's') == ((vma->flags & MEMMAP_VM_MAYSHARE) != 0);
}

/* Would both print the same line, but for what it says of the file? */
static bool same_place(const struct memmap_vma *vma, const struct memmap_kernel_vma *found)
{
	return vma->range.start == found->range.start && vma->range.end == found->range.end &&
	       same_perms(vma, found->perms) && (vma->identity ? vma->offset : 0) == found->offset;
}

static bool same_file(const struct memmap_mm_layout *layout, const struct memmap_vma *vma,
		      const struct memmap_kernel_vma *found)
{
	uint64_t inode = 0, device = 0;
	const char *name;
	size_t length;
	if (vma->identity) {
		inode = memmap_mapping_identity_inode_id(vma->identity);
		device = memmap_mapping_identity_device_id(vma->identity);
	}
	if (inode != found->inode || major(device) != found->major || minor(device) != found->minor)
		return false;
	model_name(layout, vma, &name, &length);
	/* Heap and stack are called so whatever they were named. */
	if (vma->anon_name && (vma->identity || length == 0))
		return is_called(found, vma->identity ? "[anon_shmem:" : "[anon:", vma->anon_name);
	return length == found->name_length && memcmp(name, found->name, length) == 0;
}

/* Take over what the kernel shows of a file for the first time, or shows anew. */
static bool learn(struct space *space, const struct memmap_vma *vma,
		  const struct memmap_kernel_vma *found)
{
	if (!vma->identity || !memmap_maps_shows_file(found->inode, found->major, found->minor) ||
	    vma->anon_name || memchr(found->name, '\n', found->name_length))
		return false;
	const bool learned =
		files_learn(opened_file_of(vma->identity), makedev(found->major, found->minor),
			    found->inode, found->name, found->name_length) == 1;
	/* Other mappings of the file show it as well. */
	space->changed_elsewhere |= learned;
	return learned;
}

static bool same_line(struct space *space, const struct memmap_mm_layout *layout,
		      const struct memmap_vma *vma, const struct memmap_kernel_vma *found)
{
	return same_place(vma, found) &&
	       (same_file(layout, vma, found) ||
		(learn(space, vma, found) && same_file(layout, vma, found)));
}

/* Compare what overlaps or touches `range`, from `*at` on, where the last comparison has ended. */
static int compare(struct space *space, const struct memmap_mm_layout *layout,
		   struct memmap_addr_range range, uint64_t *at, size_t *nr)
{
	struct memmap_kernel_vma found;
	struct memmap_vma vma;
	if (range.start > 0 && *at < range.start - 1)
		*at = range.start - 1;
	for (;;) {
		const bool has =
			memmap_mm_find_vma(space->mm, *at, &vma) && vma.range.start <= range.end;
		int err = memmap_maps_query(&space->maps, *at, &found);
		if (err && err != -ENOENT)
			return err;
		/* The page of the vsyscall lies beyond all others. */
		const bool is_there = !err && found.range.start <= range.end &&
				      found.range.start < layout->task_size;
		if (!has && !is_there)
			return 0;
		if (has != is_there || !same_line(space, layout, &vma, &found))
			return -EAGAIN;
		++*nr;
		*at = vma.range.end;
		if (*at > range.end)
			return 0;
	}
}

/* How often the whole is compared: what it costs must not outweigh what it saves. */
static bool whole_is_due(const struct space *space, size_t nr_vmas)
{
	enum { AT_LEAST = 256 };
	return space->nr_near >= (nr_vmas > AT_LEAST ? nr_vmas : AT_LEAST);
}

bool check_near_decides(const struct trace *trace, const struct space *space)
{
	struct memmap_mm_stats stats;
	memmap_mm_get_stats(space->mm, &stats);
	/* As long as calls are in flight side by side, the whole has to wait. */
	const bool several = space->in_flight && space->in_flight->next_in_flight;
	return !trace->options->whole && !trace->cannot_query && !space->uncertain &&
	       (several || !whole_is_due(space, stats.nr_vmas));
}

bool check_near(struct trace *trace, struct space *space, const struct thread *thread)
{
	struct memmap_addr_range touched[2];
	if (!check_near_decides(trace, space))
		return false;
	mirror_touched(thread, touched);
	if (touched[0].start == 0 && touched[0].end == UINT64_MAX)
		return false;
	if (touched[1].start < touched[1].end && touched[1].start < touched[0].start) {
		const struct memmap_addr_range first = touched[1];
		touched[1] = touched[0];
		touched[0] = first;
	}
	const struct memmap_mm_layout layout = memmap_mm_get_layout(space->mm);
	uint64_t at = 0;
	size_t nr = 0;
	for (size_t i = 0; i < 2; i++) {
		if (touched[i].start >= touched[i].end)
			continue;
		const int err = compare(space, &layout, touched[i], &at, &nr);
		if (err == -ENOTTY)
			trace->cannot_query = true;
		if (err)
			return false;
	}
	space->nr_near++;
	trace->counts.near++;
	trace->counts.boundaries_exact += nr;
	return true;
}
