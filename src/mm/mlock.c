/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mlock, mlock2, munlock, mlockall, munlockall.
 *
 * To lock is to set flags of VMAs, splitting and merging them, and then to populate them: private
 * writable memory gets its pages, and so its owner of anonymous pages (see populate.c).
 *
 * Special mappings and droppable memory are passed over. A hole is -ENOMEM, but what lies before it
 * has been locked; so is a mapping that permits no access, but then everything has been locked:
 * both as with Linux.
 */
#include "abi.h"
#include "internal.h"

/*
 * Give the part `r` of the VMA at `it` the lock flags `lock` and no others. Linux's mlock_fixup().
 * Reserve 2.
 */
static int lock_part(struct memmap_mm *mm, struct vma_iterator it, struct memmap_addr_range r,
		     uint64_t lock, struct vma_iterator *out)
{
	const uint64_t old = vma_iterator_value_ptr(it)->flags;
	const uint64_t flags = (old & ~VM_LOCKED_MASK) | lock;

	*out = it;
	if (flags == old || (old & VM_NEVER_LOCKED))
		return 0;
	return mm_modify_flags(mm, it, r, flags, out);
}

/* Give every VMA of `range` the lock flags `lock`. Ends at the first hole, with -ENOMEM. */
static int lock_range(struct memmap_mm *mm, struct memmap_addr_range range, uint64_t lock)
{
	struct vma_iterator it = mm_find(mm, range.start);

	/* At most the first and the last VMA are split. */
	int err = vma_set_reserve(&mm->vmas, 2);
	if (err)
		return err;
	for (uint64_t at = range.start; at < range.end;
	     at = vma_iterator_end(it), it = vma_iterator_next_segment(it)) {
		if (!vma_iterator_ok(it) || vma_iterator_start(it) > at)
			return -ENOMEM;
		uint64_t end = vma_iterator_end(it) < range.end ? vma_iterator_end(it) : range.end;
		err = lock_part(mm, it, range_of(at, end), lock, &it);
		if (err)
			return err;
	}
	return 0;
}

/*
 * The whole pages of [addr, addr + length).
 *
 * Returns:     0; -EINVAL when they wrap around
 */
static int lock_pages(uint64_t addr, uint64_t length, struct memmap_addr_range *out)
{
	/* A length that wraps to nothing is nothing to do, as with Linux. */
	length = memmap_page_round_down(length + (addr & MEMMAP_PAGE_MASK) + MEMMAP_PAGE_MASK);
	out->start = memmap_page_round_down(addr);
	out->end = out->start + length;
	return out->end < out->start ? -EINVAL : 0;
}

/* The pages of [start, start + length) that are locked already; the range may wrap around. */
static uint64_t pages_locked_in(const struct memmap_mm *mm, uint64_t start, uint64_t length)
{
	uint64_t end = start + length < start ? UINT64_MAX : start + length, bytes = 0;

	for (struct vma_iterator it = mm_find(mm, start);
	     vma_iterator_ok(it) && vma_iterator_start(it) < end;
	     it = vma_iterator_next_segment(it)) {
		struct memmap_addr_range part =
			memmap_addr_range_intersect(vma_iterator_range(it), range_of(start, end));

		if (vma_iterator_value_ptr(it)->flags & MEMMAP_VM_LOCKED)
			bytes += part.end - part.start;
	}
	return bytes >> MEMMAP_PAGE_SHIFT;
}

static int64_t do_lock(struct memmap_mm *mm, uint64_t addr, uint64_t length, uint64_t lock)
{
	struct memmap_addr_range range;

	if (!mm_may_lock(mm))
		return -EPERM;
	const int wrapped = lock_pages(addr, length, &range);
	const uint64_t limit = mm->limits.memlock >> MEMMAP_PAGE_SHIFT;
	uint64_t pages = ((range.end - range.start) >> MEMMAP_PAGE_SHIFT) + mm->locked_pages;

	if (pages > limit && !mm->limits.cap_ipc_lock) {
		pages -= pages_locked_in(mm, range.start, range.end - range.start);
		if (pages > limit)
			return -ENOMEM;
	}
	if (wrapped || range.start == range.end)
		return wrapped;
	int err = lock_range(mm, range, lock);
	if (err)
		return err;
	/* POSIX has no EFAULT here. */
	return mm_populate(mm, range, false) ? -ENOMEM : 0;
}

static int64_t lock_call(struct memmap_mm *mm, uint64_t addr, uint64_t length, uint64_t lock)
{
	mm_begin_write(mm);
	return mm_end_write_and_populate(mm, do_lock(mm, addr, length, lock));
}

int64_t memmap_mm_sys_mlock(struct memmap_mm *mm, uint64_t addr, uint64_t length)
{
	return lock_call(mm, addr, length, MEMMAP_VM_LOCKED);
}

int64_t memmap_mm_sys_mlock2(struct memmap_mm *mm, uint64_t addr, uint64_t length, uint64_t flags)
{
	if ((uint32_t)flags & ~(uint32_t)MLOCK_ONFAULT)
		return -EINVAL;
	return lock_call(mm, addr, length,
			 MEMMAP_VM_LOCKED | ((flags & MLOCK_ONFAULT) ? MEMMAP_VM_LOCKONFAULT : 0));
}

int64_t memmap_mm_sys_munlock(struct memmap_mm *mm, uint64_t addr, uint64_t length)
{
	struct memmap_addr_range range;
	const int err = lock_pages(addr, length, &range);
	MM_LOCK_WRITE(mm);

	return err ? err : lock_range(mm, range, 0);
}

/* Give every VMA there is the lock flags `lock`. Whole VMAs: nothing is split, nothing can fail. */
static void lock_all(struct memmap_mm *mm, uint64_t lock)
{
	struct vma_iterator it = vma_set_first_segment(&mm->vmas);

	for (; vma_iterator_ok(it); it = vma_iterator_next_segment(it)) {
		int err = lock_part(mm, it, vma_iterator_range(it), lock, &it);
		if (err)
			memmap_panic("memmap_mm: locking a whole VMA failed: %s",
				     memmap_strerror(err));
	}
}

static int64_t do_lock_all(struct memmap_mm *mm, uint64_t flags_)
{
	const int flags = (int)flags_; /* the system call takes no more of it */
	const uint64_t lock =
		MEMMAP_VM_LOCKED | ((flags & MCL_ONFAULT) ? MEMMAP_VM_LOCKONFAULT : 0);

	if (!flags || (flags & ~(MCL_CURRENT | MCL_FUTURE | MCL_ONFAULT)) || flags == MCL_ONFAULT)
		return -EINVAL;
	if (!mm_may_lock(mm))
		return -EPERM;
	if ((flags & MCL_CURRENT) && !mm->limits.cap_ipc_lock &&
	    mm->total_pages > mm->limits.memlock >> MEMMAP_PAGE_SHIFT)
		return -ENOMEM;
	/* Without MCL_FUTURE an earlier one is forgotten. */
	mm->def_flags &= ~VM_LOCKED_MASK;
	if (flags & MCL_FUTURE)
		mm->def_flags |= lock;
	if (flags & MCL_CURRENT) {
		lock_all(mm, lock);
		(void)mm_populate(mm, range_of(0, mm->layout.task_size), true);
	}
	return 0;
}

int64_t memmap_mm_sys_mlockall(struct memmap_mm *mm, uint64_t flags)
{
	mm_begin_write(mm);
	return mm_end_write_and_populate(mm, do_lock_all(mm, flags));
}

int64_t memmap_mm_sys_munlockall(struct memmap_mm *mm)
{
	MM_LOCK_WRITE(mm);
	mm->def_flags &= ~VM_LOCKED_MASK;
	lock_all(mm, 0);
	return 0;
}
