/* SPDX-License-Identifier: Apache-2.0 */
/*
 * munmap, and the taking away of old mappings that mmap(MAP_FIXED) and mremap need.
 *
 * Holes are permitted; what crosses an edge of the range is split. Refused: what is sealed, a part
 * of a special mapping, and a hole in the middle of a VMA when max_map_count is reached.
 *
 * Mappables are told before a VMA is touched, since telling may fail for want of memory. They are
 * told of runs: as much as lies side by side in both the address space and the Mappable. A Mappable
 * sees a run as one mapping, so that taking away a whole one parts nothing, and only the runs at
 * the two edges of the range can need memory. Those come first; so going back means at most telling
 * again of what was just taken away. Where even that fails, the run stays unmapped: then there is a
 * gap, as there is with Linux in its own such cases, but the VMAs and the reverse maps still agree.
 *
 * Between taking away and telling again, a Mappable does not know that it is mapped, and does not say
 * what it invalidates. So the pages that it translated to are dropped, to be asked for again. Private
 * copies stay, for they can be had from nowhere: one that a truncation should have discarded just then
 * outlives it.
 */
#include "internal.h"

int mm_unmap_check(struct memmap_mm *mm, struct memmap_addr_range range, struct mm_unmap *unmap)
{
	*unmap = (struct mm_unmap){.range = range};
	struct vma_iterator it = mm_find(mm, range.start);
	if (!vma_iterator_ok(it) || vma_iterator_start(it) >= range.end)
		return 0;

	bool cut = vma_iterator_start(it) < range.start;
	/*
	 *      |----- vma ***** range ***** vma -----|   two where one was
	 */
	if (cut && range.end < vma_iterator_end(it) && mm->nr_vmas >= mm->limits.max_map_count)
		return -ENOMEM;
	if (vma_iterator_value_ptr(it)->flags & MEMMAP_VM_SEALED)
		return -EPERM;
	if (cut && vma_is_whole(mm, vma_iterator_value_ptr(it)))
		return -EINVAL;

	for (; vma_iterator_ok(it) && vma_iterator_start(it) < range.end;
	     it = vma_iterator_next_segment(it)) {
		const struct vma *v = vma_iterator_value_ptr(it);
		int refusal = 0;
		if (v->flags & MEMMAP_VM_SEALED)
			refusal = -EPERM;
		else if (vma_iterator_end(it) > range.end && vma_is_whole(mm, v))
			refusal = -EINVAL;
		if (refusal) {
			if (cut)
				mm_split(mm, mm_find(mm, range.start), range.start, NULL, NULL);
			return refusal;
		}
		uint64_t pages =
			range_pages(memmap_addr_range_intersect(vma_iterator_range(it), range));
		unmap->nr_vmas++;
		unmap->nr_pages += pages;
		if (v->flags & MEMMAP_VM_ACCOUNT)
			unmap->nr_accounted += pages;
	}
	return 0;
}

void mm_unmap_split(struct memmap_mm *mm, const struct mm_unmap *unmap)
{
	const uint64_t edges[] = {unmap->range.start, unmap->range.end};
	for (size_t i = 0; i < 2; i++) {
		struct vma_iterator it = mm_find(mm, edges[i]);
		if (vma_iterator_ok(it) && vma_iterator_start(it) < edges[i])
			mm_split(mm, it, edges[i], NULL, NULL);
	}
}

/*
 * ---- Telling ----
 */

/*
 * VMAs side by side that map one Mappable side by side; `value` is the first one's, from there on.
 */
struct run {
	struct memmap_addr_range range;
	struct vma value;
};

/* The first run at or after `from`, cut to end before `limit`; false: there is none. */
static bool next_run(const struct memmap_mm *mm, uint64_t from, uint64_t limit, struct run *run)
{
	if (from >= limit)
		return false;
	struct vma_iterator it = mm_find(mm, from);
	while (vma_iterator_ok(it) && vma_iterator_start(it) < limit &&
	       !vma_iterator_value_ptr(it)->mappable)
		it = vma_iterator_next_segment(it);
	if (!vma_iterator_ok(it) || vma_iterator_start(it) >= limit)
		return false;

	uint64_t start = vma_iterator_start(it) > from ? vma_iterator_start(it) : from;
	run->range = range_of(start, vma_iterator_end(it));
	run->value = *vma_iterator_value_ptr(it);
	run->value.offset = vma_offset_at(it, start);
	while (run->range.end < limit) {
		it = vma_iterator_next_segment(it);
		if (!vma_iterator_ok(it) || vma_iterator_start(it) != run->range.end)
			break;
		const struct vma *v = vma_iterator_value_ptr(it);
		if (v->mappable != run->value.mappable ||
		    v->offset != run->value.offset + (run->range.end - start) ||
		    vma_is_shared_writable(v) != vma_is_shared_writable(&run->value))
			break;
		run->range.end = vma_iterator_end(it);
	}
	if (run->range.end > limit)
		run->range.end = limit;
	return true;
}

/* Runs at an edge of the range may be parts of mappings, so they are told of in an earlier pass. */
static bool at_edge(const struct run *run, struct memmap_addr_range range)
{
	return run->range.start == range.start || run->range.end == range.end;
}

enum { PASS_EDGES, PASS_INSIDE, NR_PASSES };

static void remove_range(struct memmap_mm *mm, struct memmap_addr_range range);

/*
 * Tell again of the runs that were told of in the first `pass` passes, and in that one below `end`.
 *
 * The PMAs that go are cut at the two edges of the range at most, as unmapping would have cut them:
 * room was made for that.
 */
static void put_back(struct memmap_mm *mm, struct memmap_addr_range range, int pass, uint64_t end)
{
	struct run run;
	for (uint64_t at = range.start; next_run(mm, at, range.end, &run); at = run.range.end) {
		int its_pass = at_edge(&run, range) ? PASS_EDGES : PASS_INSIDE;
		if (its_pass > pass || (its_pass == pass && run.range.start >= end))
			continue;
		if (mm_mapping_add(mm, run.range, &run.value) != 0) {
			remove_range(mm, run.range);
		} else if (mm_has_pages(mm)) {
			MM_LOCK_ACTIVE(mm);
			mm_drop_pmas(mm, run.range, PMA_SHARED);
		}
	}
}

int mm_unmap_tell(struct memmap_mm *mm, const struct mm_unmap *unmap)
{
	struct memmap_addr_range range = unmap->range;
	mm_hide_pages(mm, range);
	for (int pass = PASS_EDGES; pass < NR_PASSES; pass++) {
		struct run run;
		for (uint64_t at = range.start; next_run(mm, at, range.end, &run);
		     at = run.range.end) {
			if (at_edge(&run, range) != (pass == PASS_EDGES))
				continue;
			int err = mm_mapping_remove(mm, run.range, &run.value);
			if (err) {
				put_back(mm, range, pass, run.range.start);
				return err;
			}
		}
	}
	return 0;
}

void mm_unmap_untell(struct memmap_mm *mm, const struct mm_unmap *unmap)
{
	put_back(mm, unmap->range, NR_PASSES, unmap->range.end);
}

/*
 * ---- Committing ----
 */

/* Take the last `pages` pages off the VMA at `it`. */
static void trim_tail(struct memmap_mm *mm, struct vma_iterator it, uint64_t end)
{
	(void)vma_has_anon(mm, it);
	mm_count(mm, vma_iterator_value_ptr(it)->flags,
		 range_pages(range_of(end, vma_iterator_end(it))), -1);
	vma_iterator_set_end(it, end);
}

static void trim_head(struct memmap_mm *mm, struct vma_iterator it, uint64_t start)
{
	(void)vma_has_anon(mm, it);
	struct vma *v = vma_iterator_value_ptr(it);
	mm_count(mm, v->flags, range_pages(range_of(vma_iterator_start(it), start)), -1);
	v->offset = vma_offset_at(it, start);
	vma_iterator_set_start(it, start);
}

/* Take the VMAs in `range` out, and their pages. The Mappables and the platform know. */
static void remove_range(struct memmap_mm *mm, struct memmap_addr_range range)
{
	struct vma_iterator it = mm_find(mm, range.start);
	if (!vma_iterator_ok(it) || vma_iterator_start(it) >= range.end)
		return;
	if (mm_has_pages(mm)) {
		MM_LOCK_ACTIVE(mm);
		mm_drop_pmas(mm, range, PMA_ALL);
	}
	if (vma_iterator_start(it) < range.start) {
		/*
		 *      |----- it ***** range ***** it -----|
		 *      |-- it --|                 |--------|
		 */
		if (vma_iterator_end(it) > range.end)
			mm_split(mm, it, range.end, &it, NULL);
		/*
		 *      |----- it *****|* range *|
		 *      |-- it --|
		 */
		trim_tail(mm, it, range.start);
		it = vma_iterator_next_segment(it);
	}
	/*
	 *      |*** range |*****|   |****|**** it -----|
	 *                                |---- it -----|
	 */
	while (vma_iterator_ok(it) && vma_iterator_end(it) <= range.end)
		it = vma_gap_iterator_next_segment(mm_remove(mm, it));
	if (vma_iterator_ok(it) && vma_iterator_start(it) < range.end)
		trim_head(mm, it, range.end);
}

void mm_unmap_commit(struct memmap_mm *mm, const struct mm_unmap *unmap)
{
	if (unmap->nr_vmas > 0)
		remove_range(mm, unmap->range);
}

int mm_unmap(struct memmap_mm *mm, struct memmap_addr_range range)
{
	struct mm_unmap unmap;
	int err = mm_reserve(mm, MM_UNMAP_RESERVE, MM_UNMAP_RESERVE);
	if (!err)
		err = mm_unmap_check(mm, range, &unmap);
	if (!err)
		err = mm_unmap_tell(mm, &unmap);
	if (!err)
		mm_unmap_commit(mm, &unmap);
	return err;
}

int64_t memmap_mm_sys_munmap(struct memmap_mm *mm, uint64_t addr, uint64_t length)
{
	MM_LOCK_WRITE(mm);
	uint64_t task_size = mm->layout.task_size;
	if (!memmap_is_page_aligned(addr) || addr > task_size || length > task_size - addr)
		return -EINVAL;
	if (length == 0)
		return -EINVAL;
	/* Cannot overflow: it is at most task_size, which is page-aligned. */
	uint64_t end = memmap_page_round_down(addr + length + MEMMAP_PAGE_MASK);
	return mm_unmap(mm, range_of(addr, end));
}
