/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is resident, for reports.
 *
 * Of what is there only the sum is counted while pages come and go, for its peak: who asks for more
 * walks the PMAs, of which there are few.
 */
#include "internal.h"
#include "pages.h"

static struct mm_resident resident_of(struct pma_iterator it, struct memmap_addr_range ar)
{
	const struct pma *p = pma_iterator_value_ptr(it);
	return (struct mm_resident){
		.range = ar,
		.file = p->file,
		.offset = p->file ? pma_file_range(it, ar).start : 0,
		.perms = p->perms,
		.private_ = p->private_,
		.copy_on_write = p->copy_on_write,
		.zero = p->zero,
		.guard = pma_is_guard(p),
		.lazy_free = p->lazy_free,
	};
}

int mm_for_each_resident(struct memmap_mm *mm, struct memmap_addr_range ar,
			 int (*fn)(void *arg, const struct memmap_vma *vma,
				   const struct mm_resident *run),
			 void *arg)
{
	MM_LOCK_READ(mm);
	MM_LOCK_ACTIVE_READ(mm);
	for (struct vma_iterator it = mm_find(mm, ar.start);
	     vma_iterator_ok(it) && vma_iterator_start(it) < ar.end;
	     it = vma_iterator_next_segment(it)) {
		const struct memmap_vma v = vma_export(it);
		struct memmap_addr_range part = memmap_addr_range_intersect(v.range, ar);
		int err = fn(arg, &v, NULL);
		for (struct pma_iterator p = pma_find(&mm->pmas, part.start);
		     !err && pma_iterator_ok(p) && pma_iterator_start(p) < part.end;
		     p = pma_iterator_next_segment(p)) {
			struct mm_resident run = resident_of(
				p, memmap_addr_range_intersect(pma_iterator_range(p), part));
			err = fn(arg, &v, &run);
		}
		if (err)
			return err;
	}
	return 0;
}

/* Pages of `fr` with one reference: all, or each half on its own. */
static uint64_t unique_pages(struct memmap_memory_file *mf, struct memmap_file_range fr)
{
	const uint64_t pages = (fr.end - fr.start) >> MEMMAP_PAGE_SHIFT;
	if (memmap_memory_file_has_unique_ref(mf, fr))
		return pages;
	if (pages <= 1)
		return 0;
	const uint64_t middle = fr.start + (pages / 2 << MEMMAP_PAGE_SHIFT);
	return unique_pages(mf, (struct memmap_file_range){fr.start, middle}) +
	       unique_pages(mf, (struct memmap_file_range){middle, fr.end});
}

uint64_t mm_unique_pages(const struct memmap_mm *mm, const struct mm_resident *run)
{
	struct memmap_file_range fr = {run->offset,
				       run->offset + (run->range.end - run->range.start)};
	return unique_pages(mm->memory_file, fr);
}

void mm_count_resident(const struct memmap_mm *mm, struct memmap_mm_stats *out)
{
	out->peak_rss_pages = mm->peak_resident_pages > mm->resident_pages ? mm->peak_resident_pages
									   : mm->resident_pages;
	for (struct pma_iterator it = pma_set_first_segment(&mm->pmas); pma_iterator_ok(it);
	     it = pma_iterator_next_segment(it)) {
		const struct pma *p = pma_iterator_value_ptr(it);
		const uint64_t pages = range_pages(pma_iterator_range(it));
		if (!pma_is_resident(p))
			continue;
		if (p->private_)
			out->rss_anon_pages += pages;
		else if (p->file == mm->memory)
			out->rss_shmem_pages += pages;
		else
			out->rss_file_pages += pages;
	}
}
