/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mincore: which pages are there.
 *
 * VMA by VMA, as with Linux: what was found before a hole has been told. For each, the pages that
 * are there come first, under the address space's locks; then the Mappable is asked for those that it
 * could give at once, with a reference to its identity and without the locks, as it may read a disk's
 * bookkeeping for it. Guards are no pages.
 */
#include "pages.h"

#include <errno.h>
#include <string.h>

#include <memmap/error.h>
#include <memmap/mm_access.h>

#include "internal.h"

/* What is known of the VMA that holds the first page of `ar`. */
struct look {
	const struct memmap_mm *mm;
	struct memmap_addr_range ar;
	unsigned char *vec; /* for the pages of `ar` */
	bool found;
	bool special;          /* a mapping of the kernel's own */
	struct memmap_vma vma; /* with a reference to its identity */
};

static int look_at(void *arg, const struct memmap_vma *vma, const struct mm_resident *run)
{
	struct look *l = arg;
	if (!run) {
		if (l->found || vma->range.start > l->ar.start)
			return MM_STOP;
		l->found = true;
		l->vma = *vma;
		l->special = vma->name && !vma->mappable && !mm_owns_name(l->mm, vma->name);
		if (vma->identity)
			memmap_mapping_identity_inc_ref(vma->identity);
		l->ar.end = l->ar.end < vma->range.end ? l->ar.end : vma->range.end;
		memset(l->vec, 0, range_pages(l->ar));
		return 0;
	}
	struct memmap_addr_range there = memmap_addr_range_intersect(run->range, l->ar);
	if (!run->guard && there.start < there.end)
		memset(l->vec + range_pages(range_of(l->ar.start, there.start)), 1,
		       range_pages(there));
	return 0;
}

/* Add what the Mappable has at hand. */
static int ask_mappable(struct memmap_mm *mm, const struct look *l)
{
	unsigned char vec[256] = {0};
	uint64_t offset = l->vma.offset + (l->ar.start - l->vma.range.start);
	uint64_t nr_pages = range_pages(l->ar);

	for (uint64_t i = 0; i < nr_pages;) {
		uint64_t n = nr_pages - i < sizeof(vec) ? nr_pages - i : sizeof(vec);
		struct memmap_mappable_range mr = {
			offset + i * MEMMAP_PAGE_SIZE,
			offset + (i + n) * MEMMAP_PAGE_SIZE,
		};
		int err = memmap_mappable_resident(l->vma.mappable, mm->context, mr, vec);
		if (err == -EPERM) {
			memset(l->vec, 1, nr_pages);
			return 0;
		}
		if (err)
			return err;
		for (uint64_t k = 0; k < n; k++)
			l->vec[i + k] |= vec[k] & 1;
		i += n;
	}
	return 0;
}

int64_t memmap_mm_sys_mincore(struct memmap_mm *mm, uint64_t addr, uint64_t length,
			      unsigned char *vec)
{
	uint64_t end;
	if (!memmap_is_page_aligned(addr))
		return -EINVAL;
	if (__builtin_add_overflow(addr, length, &end) || end > memmap_mm_get_layout(mm).task_size)
		return -ENOMEM;
	/* Cannot overflow: it is at most task_size, which is page-aligned. */
	end = memmap_page_round_down(end + MEMMAP_PAGE_MASK);

	while (addr < end) {
		struct look l = {.mm = mm, .ar = {addr, end}, .vec = vec};
		(void)mm_for_each_resident(mm, l.ar, look_at, &l);
		if (!l.found)
			return -ENOMEM;
		int err = 0;
		if (l.vma.mappable)
			err = ask_mappable(mm, &l);
		else if (l.special)
			memset(vec, 1, range_pages(l.ar));
		if (l.vma.identity)
			memmap_mapping_identity_dec_ref(l.vma.identity, mm->context);
		if (err)
			return err;
		vec += range_pages(l.ar);
		addr = l.ar.end;
	}
	return 0;
}
