/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msync.
 *
 * Changes no VMA. Holes are passed over and reported at the end, once everything else has been
 * written back; only MS_ASYNC, which has nothing to do, stops at the first of them.
 *
 * The mapping lock is not held while an identity writes back, which may take as long as a disk likes:
 * what comes next is looked up again, as Linux does it.
 */
#include "abi.h"
#include "internal.h"

/* What is to be written back next: a reference to the open file is held. NULL: nothing. */
struct write_back {
	struct memmap_mapping_identity *identity;
	struct memmap_mappable_range mr;
};

/*
 * Look at the VMAs of the range from its start on, which is moved, until there is something to write
 * back. `*result` is -ENOMEM once a hole was found.
 */
static int find_next(struct memmap_mm *mm, struct memmap_addr_range *range, int flags,
		     int64_t *result, struct write_back *next)
{
	MM_LOCK_READ(mm);
	next->identity = NULL;
	for (struct vma_iterator it = mm_find(mm, range->start);
	     range->start < range->end && !next->identity; it = vma_iterator_next_segment(it)) {
		if (!vma_iterator_ok(it))
			return -ENOMEM;
		if (range->start < vma_iterator_start(it)) {
			if (flags == MS_ASYNC)
				return -ENOMEM;
			range->start = vma_iterator_start(it);
			if (range->start >= range->end)
				return -ENOMEM;
			*result = -ENOMEM;
		}

		const struct vma *v = vma_iterator_value_ptr(it);
		struct memmap_addr_range part =
			memmap_addr_range_intersect(vma_iterator_range(it), *range);
		if ((flags & MS_INVALIDATE) && (v->flags & MEMMAP_VM_LOCKED))
			return -EBUSY;
		if ((flags & MS_SYNC) && v->identity && (v->flags & MEMMAP_VM_SHARED)) {
			memmap_mapping_identity_inc_ref(v->identity);
			next->identity = v->identity;
			next->mr.start = vma_offset_at(it, part.start);
			next->mr.end = next->mr.start + (part.end - part.start);
		}
		range->start = part.end;
	}
	return 0;
}

int64_t memmap_mm_sys_msync(struct memmap_mm *mm, uint64_t addr, uint64_t length, uint64_t flags_)
{
	const int flags = (int)flags_; /* the system call takes no more of it */
	int64_t result = 0;
	struct memmap_addr_range range = {.start = addr};

	if (flags & ~(MS_ASYNC | MS_INVALIDATE | MS_SYNC))
		return -EINVAL;
	if (!memmap_is_page_aligned(addr))
		return -EINVAL;
	if ((flags & MS_ASYNC) && (flags & MS_SYNC))
		return -EINVAL;
	/* A length that rounds up to nothing is nothing to do, as with Linux. */
	range.end = addr + memmap_page_round_down(length + MEMMAP_PAGE_MASK);
	if (range.end < range.start)
		return -ENOMEM;

	while (range.start < range.end) {
		struct write_back next;
		int err = find_next(mm, &range, flags, &result, &next);
		if (!err && next.identity)
			err = memmap_mapping_identity_msync(next.identity, mm->context, next.mr);
		if (next.identity)
			memmap_mapping_identity_dec_ref(next.identity, mm->context);
		if (err)
			return err;
	}
	return result;
}
