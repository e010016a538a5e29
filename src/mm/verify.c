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
	if ((v->flags & shared) && !v->mappable)
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

/* The VMAs behind a PMA: there are some for all of it, and they permit what it permits. */
static int verify_vmas_of(const struct memmap_mm *mm, struct pma_iterator it)
{
	const struct memmap_addr_range ar = pma_iterator_range(it);
	const struct pma *p = pma_iterator_value_ptr(it);
	struct vma_iterator vma = mm_find(mm, ar.start);
	for (uint64_t at = ar.start; at < ar.end;
	     at = vma_iterator_end(vma), vma = vma_iterator_next_segment(vma)) {
		if (!vma_iterator_ok(vma) || vma_iterator_start(vma) > at)
			return broken("pages at 0x%" PRIx64 " are there but not mapped", at);
		const struct vma *v = vma_iterator_value_ptr(vma);
		memmap_access perms =
			memmap_access_effective((memmap_access)(v->flags & VM_ACCESS_FLAGS));
		if (!memmap_access_superset_of(perms, p->perms))
			return broken("pages at 0x%" PRIx64 " permit more than their VMA", at);
		if (p->private_ && (v->flags & (MEMMAP_VM_SHARED | MEMMAP_VM_MAYSHARE)))
			return broken("pages at 0x%" PRIx64 " are private, their VMA is shared",
				      at);
		if (p->private_ && !v->anon_vma && !p->zero)
			return broken("private pages at 0x%" PRIx64 " have no owner", at);
		const uint32_t copy_of =
			pma_copy_of(v->mappable, vma_offset_at(vma, at),
				    pma_file_range(it, range_of(at, ar.end)).start);
		if (p->private_ && p->copy_of != copy_of)
			return broken("private pages at 0x%" PRIx64 " replace others", at);
	}
	return 0;
}

static int verify_pma(const struct memmap_mm *mm, struct pma_iterator it)
{
	const uint64_t start = pma_iterator_start(it), end = pma_iterator_end(it);
	const struct pma *p = pma_iterator_value_ptr(it);
	if (!memmap_is_page_aligned(start | end | p->offset))
		return broken("PMA [0x%" PRIx64 ", 0x%" PRIx64 "), offset 0x%" PRIx64
			      ": not page-aligned",
			      start, end, p->offset);
	if (p->private_ && p->file != mm->memory)
		return broken("private pages at 0x%" PRIx64 " are not of the memory file", start);
	if ((p->zero || p->lazy_free) && !p->private_)
		return broken("shared pages at 0x%" PRIx64 " are marked as private ones", start);
	if (!memmap_access_superset_of(pma_reach(p), p->perms))
		return broken("pages at 0x%" PRIx64 " permit more than they are good for", start);
	if (pma_is_guard(p) && (p->perms || p->private_))
		return broken("guard pages at 0x%" PRIx64 " permit something", start);
	return verify_vmas_of(mm, it);
}

static int verify_pmas(const struct memmap_mm *mm)
{
	uint64_t resident = 0;
	int err = pma_set_verify(&mm->pmas);
	for (struct pma_iterator it = pma_set_first_segment(&mm->pmas); !err && pma_iterator_ok(it);
	     it = pma_iterator_next_segment(it)) {
		err = verify_pma(mm, it);
		if (pma_is_resident(pma_iterator_value_ptr(it)))
			resident += range_pages(pma_iterator_range(it));
	}
	if (!err && resident != mm->resident_pages)
		return broken("there are %" PRIu64 " resident pages, not %" PRIu64, resident,
			      mm->resident_pages);
	if (!err && !mm_has_pages(mm) && !pma_set_is_empty(&mm->pmas))
		return broken("there are pages without a memory file");
	return err;
}

int memmap_mm_verify(const struct memmap_mm *mm)
{
	MM_LOCK_READ(mm);
	MM_LOCK_ACTIVE_READ(mm);
	int err = vma_set_verify(&mm->vmas);
	if (!err)
		err = verify_pmas(mm);
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
