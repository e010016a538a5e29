/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The whole structure, checked: for tests, and for whoever doubts.
 */
#include "internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

__attribute__((format(printf, 1, 2))) static int broken(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	(void)fputs("memmap_mm_verify: ", stderr);
	(void)vfprintf(stderr, format, args);
	(void)fputc('\n', stderr);
	va_end(args);
	return -EINVAL;
}

static int verify_vma(const struct memmap_mm *mm, struct vma_iterator it)
{
	const uint64_t shared = MEMMAP_VM_SHARED | MEMMAP_VM_MAYSHARE;
	const struct vma *v = vma_iterator_value_ptr(it);
	uint64_t start = vma_iterator_start(it), end = vma_iterator_end(it);
	if (!memmap_is_page_aligned(start | end | v->offset))
		return broken("VMA [0x%" PRIx64 ", 0x%" PRIx64 "), offset 0x%" PRIx64
			      ": not page-aligned",
			      start, end, v->offset);
	if (v->anon_vma && (v->flags & shared))
		return broken("VMA at 0x%" PRIx64 " is shared but has anonymous pages", start);
	if (v->anon_vma > mm->last_anon_vma)
		return broken("VMA at 0x%" PRIx64 ": nobody gave out anon_vma %" PRIu64, start,
			      v->anon_vma);
	if (v->fork_child && !v->anon_vma)
		return broken("VMA at 0x%" PRIx64 " inherited no anonymous pages over a fork",
			      start);
	if (v->anon_name && (v->identity || v->mappable) && !v->shared_anonymous)
		return broken("VMA at 0x%" PRIx64 " of a file has a name of its own", start);
	if (v->shared_anonymous && !v->identity)
		return broken("VMA at 0x%" PRIx64
			      " is of shared anonymous memory that is not there",
			      start);
	if (v->identity && !v->mappable)
		return broken("VMA at 0x%" PRIx64 " has an identity but no Mappable", start);
	if ((v->flags & MEMMAP_VM_SHARED) && !v->mappable)
		return broken("VMA at 0x%" PRIx64 " is shared but has no Mappable", start);
	return 0;
}

/* The counts, recounted in `sum`. */
static int verify_counts(const struct memmap_mm *mm, const struct memmap_mm *sum)
{
	const struct {
		const char *name;
		uint64_t kept, counted;
	} counts[] = {
		{"VMAs", mm->nr_vmas, sum->nr_vmas},
		{"pages", mm->total_pages, sum->total_pages},
		{"data pages", mm->data_pages, sum->data_pages},
		{"code pages", mm->exec_pages, sum->exec_pages},
		{"stack pages", mm->stack_pages, sum->stack_pages},
		{"locked pages", mm->locked_pages, sum->locked_pages + mm->stale_locked_pages},
		{"accounted pages", mm->accounted_pages, sum->accounted_pages},
	};
	for (size_t i = 0; i < sizeof(counts) / sizeof(counts[0]); i++) {
		if (counts[i].kept != counts[i].counted)
			return broken("there are %" PRIu64 " %s, not %" PRIu64, counts[i].counted,
				      counts[i].name, counts[i].kept);
	}
	return 0;
}

int memmap_mm_verify(const struct memmap_mm *mm)
{
	int err = vma_set_verify(&mm->vmas);
	if (err)
		return err;
	struct memmap_mm sum = {0};
	for (struct vma_iterator it = vma_set_first_segment(&mm->vmas); vma_iterator_ok(it);
	     it = vma_iterator_next_segment(it)) {
		err = verify_vma(mm, it);
		if (err)
			return err;
		sum.nr_vmas++;
		mm_count(&sum, vma_iterator_value_ptr(it)->flags,
			 range_pages(vma_iterator_range(it)), 1);
	}
	return verify_counts(mm, &sum);
}
