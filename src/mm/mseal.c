/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mseal.
 *
 * There is no unsealing, and sealing what is sealed is no error. A hole anywhere in the range
 * refuses the whole call; a split beyond max_map_count ends it half done, as with Linux.
 */
#include "internal.h"

/* Is any page of `range` unmapped? */
static bool has_hole(const struct memmap_mm *mm, struct memmap_addr_range range)
{
	struct vma_iterator it = mm_find(mm, range.start);
	uint64_t at = range.start;

	for (; at < range.end; at = vma_iterator_end(it), it = vma_iterator_next_segment(it))
		if (!vma_iterator_ok(it) || vma_iterator_start(it) > at)
			return true;
	return false;
}

int64_t memmap_mm_sys_mseal(struct memmap_mm *mm, uint64_t addr, uint64_t length, uint64_t flags)
{
	struct memmap_addr_range range = {.start = addr};
	MM_LOCK_WRITE(mm);

	if (flags || !memmap_is_page_aligned(addr))
		return -EINVAL;
	if (!memmap_page_round_up(length, &length) ||
	    __builtin_add_overflow(addr, length, &range.end))
		return -EINVAL;
	if (range.start == range.end)
		return 0;
	if (has_hole(mm, range))
		return -ENOMEM;
	/* At most the first and the last VMA are split. */
	int err = vma_set_reserve(&mm->vmas, 2);
	if (err)
		return err;

	struct vma_iterator it = mm_find(mm, range.start);
	for (uint64_t at = range.start; at < range.end;
	     at = vma_iterator_end(it), it = vma_iterator_next_segment(it)) {
		const uint64_t sealed = vma_iterator_value_ptr(it)->flags | MEMMAP_VM_SEALED;
		uint64_t end = vma_iterator_end(it) < range.end ? vma_iterator_end(it) : range.end;

		if (vma_iterator_value_ptr(it)->flags == sealed)
			continue;
		err = mm_modify_flags(mm, it, range_of(at, end), sealed, &it);
		if (err)
			return err;
	}
	return 0;
}
