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

/*
 * Known by the memory file's references: each mapping of a page holds one, and so does the Mappable
 * whose page it is.
 */
uint64_t mm_nr_sharers(const struct memmap_mm *mm, const struct memmap_file *file, bool private,
		       struct memmap_file_range fr, uint64_t *end)
{
	*end = fr.end;
	if (file != mm->memory)
		return 1;
	uint64_t references = memmap_memory_file_references(mm->memory_file, fr, end);
	if (!private && references > 1)
		references--;
	return references ? references : 1;
}
