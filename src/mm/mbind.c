/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mbind.
 *
 * What a policy says is the caller's; here it is a number, and 0 is none. It stays with memory that
 * is moved, cut or copied by a fork, and keeps neighbours of another policy apart.
 *
 * A hole refuses the whole call, but for the default policy, which passes over holes. A split
 * beyond max_map_count ends it half done, as with Linux. Pages on wrong nodes are not refused: this
 * model has no nodes.
 */
#include "internal.h"

/* Is there a hole that Linux's queue_pages_range() minds? */
static bool has_forbidden_hole(const struct memmap_mm *mm, struct memmap_addr_range range,
			       uint32_t policy)
{
	struct vma_iterator it = mm_find(mm, range.start);
	if (!vma_iterator_ok(it) || vma_iterator_start(it) >= range.end)
		return true;
	if (policy == 0)
		return false;
	uint64_t at = range.start;
	for (; at < range.end; at = vma_iterator_end(it), it = vma_iterator_next_segment(it))
		if (!vma_iterator_ok(it) || vma_iterator_start(it) > at)
			return true;
	return false;
}

static int bind_range(struct memmap_mm *mm, struct memmap_addr_range range, uint32_t policy)
{
	for (struct vma_iterator it = mm_find(mm, range.start);
	     vma_iterator_ok(it) && vma_iterator_start(it) < range.end;
	     it = vma_iterator_next_segment(it)) {
		if (vma_iterator_value_ptr(it)->policy == policy)
			continue;
		int err = mm_modify_policy(
			mm, it, memmap_addr_range_intersect(vma_iterator_range(it), range), policy,
			&it);
		if (err)
			return err;
	}
	return 0;
}

int64_t memmap_mm_sys_mbind(struct memmap_mm *mm, uint64_t addr, uint64_t length, uint32_t policy)
{
	struct memmap_addr_range range = {.start = addr};
	MM_LOCK_WRITE(mm);

	if (!memmap_is_page_aligned(addr))
		return -EINVAL;
	/* A length in the last page of all is rounded to nothing. */
	if (!memmap_page_round_up(length, &length))
		return 0;
	if (__builtin_add_overflow(addr, length, &range.end))
		return -EINVAL;
	if (range.start == range.end)
		return 0;
	if (has_forbidden_hole(mm, range, policy))
		return -EFAULT;
	/* At most the first and the last VMA are split. */
	int err = vma_set_reserve(&mm->vmas, 2);
	return err ? err : bind_range(mm, range, policy);
}
