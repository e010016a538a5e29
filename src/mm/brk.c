/* SPDX-License-Identifier: Apache-2.0 */
/*
 * brk: the heap between start_brk and the break.
 *
 * Growing keeps a page clear of whatever comes next. The new part joins the VMA that ends at the
 * old break, when that is one of the heap's and they can merge, and is a VMA of its own otherwise;
 * it never joins the VMA above. Every refusal returns the break as it is.
 */
#include "internal.h"

static bool within_data_limit(const struct memmap_mm *mm, uint64_t brk)
{
	const struct memmap_mm_layout *l = &mm->layout;
	return mm->limits.data == UINT64_MAX ||
	       (brk - l->start_brk) + (l->end_data - l->start_data) <= mm->limits.data;
}

static bool shrink(struct memmap_mm *mm, struct memmap_addr_range range)
{
	struct vma_iterator it = mm_find(mm, range.start);
	return vma_iterator_ok(it) && vma_iterator_start(it) < range.end &&
	       mm_unmap(mm, range) == 0;
}

static bool grow(struct memmap_mm *mm, struct memmap_addr_range range)
{
	struct mm_placement fixed = {
		.hint = range.start, .length = range.end - range.start, .map_flags = MM_FIXED};
	uint64_t unused;
	if (mm_get_unmapped_area(mm, &fixed, &unused) != 0 ||
	    !mm_may_lock_more(mm, mm->def_flags, range.end - range.start))
		return false;
	struct vma_iterator next = mm_find(mm, range.start);
	if (vma_iterator_ok(next) && range.end + MEMMAP_PAGE_SIZE > mm_start_gap(mm, next))
		return false;

	struct vma_merge m = {.range = range, .just_expand = true};
	m.value.flags =
		MEMMAP_VM_READ | MEMMAP_VM_WRITE | VM_MAY_FLAGS | MEMMAP_VM_ACCOUNT | mm->def_flags;
	if (mm->limits.read_implies_exec)
		m.value.flags |= MEMMAP_VM_EXEC;
	m.value.offset = range.start;
	if (!mm_may_expand(mm, m.value.flags, range_pages(range)) ||
	    mm->nr_vmas > mm->limits.max_map_count || !mm_may_account(mm, range_pages(range)) ||
	    vma_set_reserve(&mm->vmas, 1) != 0)
		return false;

	struct vma_iterator it = {0};
	/* What ends at start_brk is not the heap's. */
	if (range.start > mm->layout.start_brk)
		it = mm_merge_new(mm, &m);
	if (!vma_iterator_ok(it))
		(void)mm_insert(mm, range, &m.value);
	if (mm->def_flags & MEMMAP_VM_LOCKED)
		(void)mm_populate(mm, range, true);
	return true;
}

static int64_t set_break(struct memmap_mm *mm, uint64_t brk)
{
	struct memmap_mm_layout *l = &mm->layout;
	const int64_t as_it_is = (int64_t)l->brk;
	if (brk < l->start_brk || !within_data_limit(mm, brk))
		return as_it_is;

	uint64_t new_end, old_end;
	if (!memmap_page_round_up(brk, &new_end) || !memmap_page_round_up(l->brk, &old_end))
		return as_it_is;
	bool done = true;
	if (new_end < old_end)
		done = shrink(mm, range_of(new_end, old_end));
	else if (new_end > old_end)
		done = grow(mm, range_of(old_end, new_end));
	if (!done)
		return as_it_is;
	l->brk = brk;
	return (int64_t)brk;
}

int64_t memmap_mm_sys_brk(struct memmap_mm *mm, uint64_t brk)
{
	mm_begin_write(mm);
	return mm_end_write_and_populate(mm, set_break(mm, brk));
}
