/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Stacks: VMAs that grow down when something just below them is touched.
 *
 * A stack keeps stack_guard_gap away from what lies below it, unless that is a stack too or permits
 * no access (which is a guard of its own). Growing never merges.
 */
#include "internal.h"

/* May the VMA be `pages` pages longer, `length` in all? Linux's acct_stack_growth(). */
static bool may_grow(const struct memmap_mm *mm, const struct vma *v, uint64_t length,
		     uint64_t pages)
{
	return mm_may_expand(mm, v->flags, pages) && length <= mm->limits.stack &&
	       mm_may_lock_more(mm, v->flags, pages << MEMMAP_PAGE_SHIFT) &&
	       mm_may_account(mm, pages);
}

int mm_expand_down(struct memmap_mm *mm, struct vma_iterator it, uint64_t addr)
{
	struct vma *v = vma_iterator_value_ptr(it);
	if (!(v->flags & MEMMAP_VM_GROWSDOWN))
		return -EFAULT;
	addr = memmap_page_round_down(addr);
	if (addr < mm->layout.min_addr)
		return -EPERM;
	if (addr >= vma_iterator_start(it))
		return 0;

	struct vma_iterator prev = vma_iterator_prev_segment(it);
	if (vma_iterator_ok(prev)) {
		const struct vma *p = vma_iterator_value_ptr(prev);
		if (!(p->flags & MEMMAP_VM_GROWSDOWN) && vma_is_accessible(p) &&
		    addr - vma_iterator_end(prev) < mm->layout.stack_guard_gap)
			return -ENOMEM;
	}
	/* A page is on its way, and Linux prepares for it before the limits are looked at. */
	vma_make_anon(mm, it);

	uint64_t grow = vma_iterator_start(it) - addr, pages = grow >> MEMMAP_PAGE_SHIFT;
	if (grow > v->offset || !may_grow(mm, v, vma_iterator_end(it) - addr, pages))
		return -ENOMEM;
	v->offset -= grow;
	vma_iterator_set_start(it, addr);
	mm_count(mm, v->flags, pages, 1);
	return 0;
}

int memmap_mm_expand_stack(struct memmap_mm *mm, uint64_t addr)
{
	MM_LOCK_WRITE(mm);
	struct vma_iterator it = mm_find(mm, addr);
	if (!vma_iterator_ok(it))
		return -EFAULT;
	return vma_iterator_start(it) <= addr ? 0 : mm_expand_down(mm, it, addr);
}
