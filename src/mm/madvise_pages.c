/* SPDX-License-Identifier: Apache-2.0 */
/*
 * madvise: what is done to pages.
 *
 *   DONTNEED, DONTNEED_LOCKED   private pages are lost, shared ones are had again when touched
 *   FREE                        private pages may go when memory is short, until written to again
 *   REMOVE                      a hole is punched into the file
 *   GUARD_INSTALL               pages go as with DONTNEED, and touching them is SIGSEGV from now on
 *   GUARD_REMOVE                guard pages are ordinary ones again, without contents
 *   PAGEOUT                     what nobody else maps goes, if it is shared and so is had again when
 *                               touched, or freed lazily
 *   POPULATE_READ, _WRITE       pages are made present, and it is told when they cannot be
 *
 * Guard pages survive everything but unmapping and GUARD_REMOVE. All other advice is permitted and
 * changes nothing: there is no swap, and what is cold stays.
 *
 * VMAs have been checked before; nothing here fails, but for punching and populating.
 */
#include "abi.h"
#include "internal.h"

int mm_reserve_for_advice(struct memmap_mm *mm, struct memmap_addr_range range)
{
	size_t nr = 0;
	if (!mm_has_pages(mm))
		return 0;
	/* Guard pages of VMAs side by side are one PMA. */
	for (struct vma_iterator it = mm_find(mm, range.start);
	     vma_iterator_ok(it) && vma_iterator_start(it) < range.end;
	     it = vma_iterator_next_segment(it))
		nr++;
	return mm_reserve(mm, 0, nr + 2);
}

int mm_punch_hole(struct memmap_mm *mm, struct vma_iterator it, struct memmap_addr_range part)
{
	const struct vma *v = vma_iterator_value_ptr(it);
	if (!mm_has_pages(mm))
		return 0;
	struct memmap_mappable_range mr = {.start = vma_offset_at(it, part.start)};
	mr.end = mr.start + (part.end - part.start);
	return memmap_mapping_identity_punch_hole(v->identity, mm->context, mr);
}

/* Each page of `range` that is mapped is a guard page from now on. */
static void install_guards(struct memmap_mm *mm, struct memmap_addr_range range)
{
	const struct pma guard = {0};
	for (struct vma_iterator it = mm_find(mm, range.start);
	     vma_iterator_ok(it) && vma_iterator_start(it) < range.end;
	     it = vma_iterator_next_segment(it))
		(void)mm_put_pma(mm, memmap_addr_range_intersect(vma_iterator_range(it), range),
				 guard);
}

/*
 * Take away the page at the start of `ar`, a part of the PMA at `it`, and those that follow and have as
 * many sharers, if that is this mapping alone. Returns their end.
 */
static uint64_t page_out_alike(struct memmap_mm *mm, struct pma_iterator it,
			       struct memmap_addr_range ar)
{
	const struct pma *p = pma_iterator_value_ptr(it);
	const struct memmap_file_range fr = pma_file_range(it, ar);
	uint64_t end;
	if (pma_is_guard(p) || (p->private_ && !p->lazy_free))
		return ar.end;
	const bool shared = mm_nr_sharers(mm, p->file, p->private_, fr, &end) > 1;
	ar.end = ar.start + (end - fr.start);
	/* Without memory to cut it, it stays: it was advice. */
	if (!shared && mm_reserve_pmas(mm, 1) == 0) {
		mm_platform_unmap(mm, ar);
		mm_drop_pmas(mm, ar, PMA_PAGES);
	}
	return ar.end;
}

static void page_out(struct memmap_mm *mm, struct memmap_addr_range range)
{
	while (range.start < range.end) {
		struct pma_iterator it = pma_find(&mm->pmas, range.start);
		if (!pma_iterator_ok(it) || pma_iterator_start(it) >= range.end)
			break;
		range.start = page_out_alike(
			mm, it, memmap_addr_range_intersect(pma_iterator_range(it), range));
	}
}

void mm_advise_pages(struct memmap_mm *mm, struct memmap_addr_range range, int advice)
{
	if (!mm_has_pages(mm) || range.start == range.end)
		return;
	const bool discards = advice == MADV_DONTNEED || advice == MADV_DONTNEED_LOCKED ||
			      advice == MADV_GUARD_INSTALL;
	if (discards)
		mm_hide_pages(mm, range);
	MM_LOCK_ACTIVE(mm);
	if (discards)
		mm_drop_pmas(mm, range, PMA_PAGES);
	if (advice == MADV_GUARD_INSTALL)
		install_guards(mm, range);
	else if (advice == MADV_GUARD_REMOVE)
		mm_drop_pmas(mm, range, PMA_GUARD);
	else if (advice == MADV_FREE)
		mm_free_pmas_lazily(mm, range);
	else if (advice == MADV_PAGEOUT)
		page_out(mm, range);
}

/*
 * Touching is done without the mapping lock for writing, but it is held for reading throughout.
 *
 * Returns:     0
 *              -ENOMEM  a hole; or no memory
 *              -EINVAL  the VMA forbids the access
 *              -EFAULT  a guard page, or nothing behind the mapping
 */
int mm_populate_as_advised(struct memmap_mm *mm, struct memmap_addr_range range, bool write)
{
	const uint64_t needed = write ? MEMMAP_VM_WRITE : MEMMAP_VM_READ;
	MM_LOCK_READ(mm);
	struct vma_iterator it = mm_find(mm, range.start);
	for (uint64_t at = range.start; at < range.end;
	     at = vma_iterator_end(it), it = vma_iterator_next_segment(it)) {
		if (!vma_iterator_ok(it) || vma_iterator_start(it) > at)
			return -ENOMEM;
		const struct vma *v = vma_iterator_value_ptr(it);
		if (!(v->flags & needed) || (v->flags & (MEMMAP_VM_IO | MEMMAP_VM_PFNMAP)))
			return -EINVAL;
		struct memmap_addr_range part =
			memmap_addr_range_intersect(vma_iterator_range(it), range);
		int err = mm_touch_pages(mm, it, part, write ? MEMMAP_WRITE : MEMMAP_READ);
		if (err)
			return err == -EINTR || err == -ENOMEM ? err : -EFAULT;
	}
	return 0;
}
