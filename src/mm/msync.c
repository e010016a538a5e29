/* SPDX-License-Identifier: Apache-2.0 */
/*
 * msync.
 *
 * Changes no VMA. Holes are passed over and reported at the end, once everything else has been
 * written back; only MS_ASYNC, which has nothing to do, stops at the first of them.
 */
#include "abi.h"
#include "internal.h"

int64_t memmap_mm_sys_msync(struct memmap_mm *mm, uint64_t addr, uint64_t length, uint64_t flags_)
{
	const int flags = (int)flags_; /* the system call takes no more of it */
	int64_t result = 0;
	struct memmap_addr_range range = {.start = addr};
	MM_LOCK_READ(mm);

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

	struct vma_iterator it = mm_find(mm, range.start);
	while (range.start < range.end) {
		if (!vma_iterator_ok(it))
			return -ENOMEM;
		if (range.start < vma_iterator_start(it)) {
			if (flags == MS_ASYNC)
				return -ENOMEM;
			range.start = vma_iterator_start(it);
			if (range.start >= range.end)
				return -ENOMEM;
			result = -ENOMEM;
		}

		const struct vma *v = vma_iterator_value_ptr(it);
		uint64_t end = vma_iterator_end(it) < range.end ? vma_iterator_end(it) : range.end;
		if ((flags & MS_INVALIDATE) && (v->flags & MEMMAP_VM_LOCKED))
			return -EBUSY;
		if ((flags & MS_SYNC) && v->identity && (v->flags & MEMMAP_VM_SHARED)) {
			struct memmap_mappable_range mr = {
				.start = vma_offset_at(it, range.start),
			};
			mr.end = mr.start + (end - range.start);
			int err = memmap_mapping_identity_msync(v->identity, mm->context, mr);
			if (err)
				return err;
		}
		range.start = end;
		it = vma_iterator_next_segment(it);
	}
	return result;
}
