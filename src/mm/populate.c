/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Populating: making pages present before they are touched, as mmap(MAP_POPULATE), mlock(2) and
 * their kin ask for, and as madvise(MADV_POPULATE_READ) does.
 *
 * Private writable memory is populated as by writing to it, all else as by reading. What permits no
 * access is passed over, or ends it.
 *
 * An operation that is to populate notes the range while it holds the mapping lock for writing, and
 * the pages come once it has let go of it (mm_end_write_and_populate()), since getting them may have
 * to wait for a disk. As with Linux, others may have changed the mappings by then.
 *
 * An address space that keeps VMAs only has no pages to get: there VMAs merely get the owners of
 * anonymous pages that they would have got, at once.
 */
#include "internal.h"

#define NEVER_POPULATED (MEMMAP_VM_IO | MEMMAP_VM_PFNMAP | MEMMAP_VM_LOCKONFAULT)

/* Populating an address space without pages. */
static int populate_vmas(struct memmap_mm *mm, struct memmap_addr_range ar, bool ignore_errors)
{
	for (struct vma_iterator it = mm_find(mm, ar.start);
	     vma_iterator_ok(it) && vma_iterator_start(it) < ar.end;
	     it = vma_iterator_next_segment(it)) {
		const struct vma *v = vma_iterator_value_ptr(it);
		if (v->flags & NEVER_POPULATED)
			continue;
		if (!vma_is_accessible(v)) {
			if (ignore_errors)
				continue;
			return -EFAULT;
		}
		if ((v->flags & MEMMAP_VM_WRITE) || vma_reading_makes_anon(mm, it, ar))
			vma_make_anon(mm, it);
	}
	return 0;
}

int mm_touch_pages(struct memmap_mm *mm, struct vma_iterator it, struct memmap_addr_range ar,
		   memmap_access at)
{
	for (uint64_t page = ar.start; page < ar.end;) {
		struct mm_fault f = mm_fault_of(mm, it, page, ar.end, at);
		f.precommit = true;
		int err = mm_get_pages(&f);
		if (err)
			return err;
		page = f.done;
	}
	return 0;
}

static int populate_pages(struct memmap_mm *mm, const struct mm_to_populate *todo)
{
	const uint64_t shared = MEMMAP_VM_WRITE | MEMMAP_VM_SHARED;
	struct memmap_addr_range ar = todo->range;
	MM_LOCK_READ(mm);
	for (struct vma_iterator it = mm_find(mm, ar.start);
	     vma_iterator_ok(it) && vma_iterator_start(it) < ar.end;
	     it = vma_iterator_next_segment(it)) {
		const struct vma *v = vma_iterator_value_ptr(it);
		if ((v->flags & NEVER_POPULATED) ||
		    (todo->locked_only && !(v->flags & MEMMAP_VM_LOCKED)))
			continue;
		int err = -EFAULT;
		if (vma_is_accessible(v))
			err = mm_touch_pages(
				mm, it, memmap_addr_range_intersect(vma_iterator_range(it), ar),
				(v->flags & shared) == MEMMAP_VM_WRITE ? MEMMAP_WRITE
								       : MEMMAP_READ);
		if (err && !todo->ignore_errors)
			return err;
	}
	return 0;
}

static int populate(struct memmap_mm *mm, const struct mm_to_populate *todo)
{
	if (!mm_has_pages(mm))
		return populate_vmas(mm, todo->range, todo->ignore_errors);
	struct mm_to_populate *noted = &mm->to_populate;
	if (noted->range.start == noted->range.end)
		*noted = *todo;
	else
		noted->range.end = todo->range.end;
	return 0;
}

int mm_populate(struct memmap_mm *mm, struct memmap_addr_range ar, bool ignore_errors)
{
	const struct mm_to_populate todo = {.range = ar, .ignore_errors = ignore_errors};
	return populate(mm, &todo);
}

void mm_populate_locked(struct memmap_mm *mm, struct memmap_addr_range ar)
{
	/* The pages come later, but what is merged next depends on their owner. */
	if (mm_has_pages(mm))
		(void)populate_vmas(mm, ar, true);
	const struct mm_to_populate todo = {
		.range = ar, .ignore_errors = true, .locked_only = true};
	(void)populate(mm, &todo);
}

int64_t mm_end_write_and_populate(struct memmap_mm *mm, int64_t result)
{
	const struct mm_to_populate todo = mm->to_populate;
	mm->to_populate = (struct mm_to_populate){0};
	mm_end_write(mm);
	if (todo.range.start == todo.range.end)
		return result;
	int err = populate_pages(mm, &todo);
	if (!err || todo.ignore_errors)
		return result;
	/* POSIX has no EFAULT for mlock(2), and means something else by ENOMEM. */
	return err == -ENOMEM ? -EAGAIN : -ENOMEM;
}
