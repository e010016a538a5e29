/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What userfaultfd registration does to VMAs: flags, and an owner, that keep them apart from
 * others.
 *
 * Whether a registration is permitted is not asked here, and faults are told to nobody: whoever
 * knows of a registration that was made mirrors it. It goes where memory is cut, and is lost where
 * memory is moved or copied by a fork.
 */
#include "internal.h"

/* Give the part of the VMA at `it` that is in `range` the registration `owner`, `flags`. */
static int set(struct memmap_mm *mm, struct vma_iterator it, struct memmap_addr_range range,
	       uint64_t owner, uint64_t flags, struct vma_iterator *out)
{
	const uint64_t kept = vma_iterator_value_ptr(it)->flags & ~VM_USERFAULT;
	return mm_modify_userfault(mm, it,
				   memmap_addr_range_intersect(vma_iterator_range(it), range),
				   owner, kept | flags, out);
}

int memmap_mm_userfault_register(struct memmap_mm *mm, struct memmap_addr_range ar, uint64_t owner,
				 uint64_t flags)
{
	MM_LOCK_WRITE(mm);
	if (owner == 0 || flags == 0 || (flags & ~VM_USERFAULT) ||
	    !memmap_is_page_aligned(ar.start | ar.end))
		return -EINVAL;
	/* At most the first and the last VMA are split. */
	int err = vma_set_reserve(&mm->vmas, 2);
	for (struct vma_iterator it = mm_find(mm, ar.start);
	     !err && vma_iterator_ok(it) && vma_iterator_start(it) < ar.end;
	     it = vma_iterator_next_segment(it)) {
		const struct vma *v = vma_iterator_value_ptr(it);
		/* More than is asked for is left as it is. */
		if (v->userfault != owner || (v->flags & flags) != flags)
			err = set(mm, it, ar, owner, flags, &it);
	}
	return err;
}

/* Take the registrations in `ar` away, of all or (not 0) of one owner. */
static int unregister(struct memmap_mm *mm, struct memmap_addr_range ar, uint64_t owner)
{
	int err = vma_set_reserve(&mm->vmas, 2);
	for (struct vma_iterator it = mm_find(mm, ar.start);
	     !err && vma_iterator_ok(it) && vma_iterator_start(it) < ar.end;
	     it = vma_iterator_next_segment(it)) {
		const struct vma *v = vma_iterator_value_ptr(it);
		if ((v->flags & VM_USERFAULT) && (owner == 0 || v->userfault == owner))
			err = set(mm, it, ar, 0, 0, &it);
	}
	return err;
}

int memmap_mm_userfault_unregister(struct memmap_mm *mm, struct memmap_addr_range ar)
{
	MM_LOCK_WRITE(mm);
	if (!memmap_is_page_aligned(ar.start | ar.end))
		return -EINVAL;
	return unregister(mm, ar, 0);
}

int memmap_mm_userfault_release(struct memmap_mm *mm, uint64_t owner)
{
	MM_LOCK_WRITE(mm);
	return owner ? unregister(mm, range_of(0, mm->layout.task_size), owner) : -EINVAL;
}
