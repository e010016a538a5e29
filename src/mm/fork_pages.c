/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fork: the pages.
 *
 * Private pages are held by both from then on, and are copy-on-write for both: the parent's guest
 * may not write to them any more when this returns. Guard pages are guard pages in the child. Pages
 * of zeros, and a Mappable's, go where Linux would copy page tables: to VMAs with an owner of
 * anonymous pages. Elsewhere the child asks the Mappables when it touches it. What is wiped on fork
 * is empty.
 *
 * The child's mappings have been added to the Mappables before its pages are put: what was
 * invalidated earlier the parent does not have either, what is later the child is told of.
 *
 * The work is in proportion to the number of PMAs and VMAs, not of pages.
 *
 * Locking: the mapping locks of both are held for writing; takes the active locks of both.
 */
#include "internal.h"

/* The parent's pages, from now on, are not the parent's alone. */
static void share(struct memmap_mm *parent, struct pma_iterator it)
{
	struct pma *p = pma_iterator_value_ptr(it);
	if (p->copy_on_write)
		return;
	p->copy_on_write = true;
	if (!(p->perms & MEMMAP_WRITE))
		return;
	p->perms &= (memmap_access)~MEMMAP_WRITE;
	mm_platform_limit(parent, pma_iterator_range(it), p->perms);
}

/* Is the PMA one that the child gets a part in? */
static bool inherited(const struct vma *v, const struct pma *p)
{
	if (pma_is_guard(p))
		return true;
	return v->anon_vma != 0 || (p->private_ && !p->zero);
}

static void copy_pmas_of_vma(struct memmap_mm *parent, struct memmap_mm *child,
			     struct vma_iterator vma)
{
	const struct memmap_addr_range range = vma_iterator_range(vma);
	for (struct pma_iterator it = pma_find(&parent->pmas, range.start);
	     pma_iterator_ok(it) && pma_iterator_start(it) < range.end;
	     it = pma_iterator_next_segment(it)) {
		if (!inherited(vma_iterator_value_ptr(vma), pma_iterator_value_ptr(it)))
			continue;
		struct memmap_addr_range part =
			memmap_addr_range_intersect(pma_iterator_range(it), range);
		const struct pma *its = pma_iterator_value_ptr(it);
		if (its->private_ && !pma_is_guard(its))
			share(parent, it);
		struct pma p = *pma_iterator_value_ptr(it);
		if (p.file) {
			struct memmap_file_range fr = pma_file_range(it, part);
			pma_inc_ref(child, p.file, fr);
			p.offset = fr.start;
		}
		(void)mm_put_pma(child, part, p);
	}
}

int mm_fork_pages(struct memmap_mm *parent, struct memmap_mm *child)
{
	if (!mm_has_pages(parent))
		return 0;
	MM_LOCK_ACTIVE(parent);
	MM_HOLD(child_lock, write, &child->active_lock, MM_LOCK_RANK_ACTIVE_OF_CHILD);

	/* A PMA that reaches over several VMAs may come to be as many. */
	const struct memmap_addr_range all = range_of(0, UINT64_MAX);
	int err = mm_reserve_pmas(child, mm_nr_pmas(parent, all) + parent->nr_vmas);
	if (err)
		return err;
	if (parent->zeros.start < parent->zeros.end) {
		child->zeros = parent->zeros;
		pma_inc_ref(child, child->memory, child->zeros);
	}
	for (struct vma_iterator it = vma_set_first_segment(&parent->vmas); vma_iterator_ok(it);
	     it = vma_iterator_next_segment(it)) {
		const uint64_t not_copied = MEMMAP_VM_DONTCOPY | MEMMAP_VM_WIPEONFORK;
		if (!(vma_iterator_value_ptr(it)->flags & not_copied))
			copy_pmas_of_vma(parent, child, it);
	}
	child->pmas_owed = 0;
	return 0;
}
