/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counting what is resident: whose pages, how many share them, clean or dirty.
 *
 * Of pages in other Files than the memory file it is not known who shares them: they count as this
 * address space's own.
 *
 * Whether a page is dirty is known by what it may be used for: a private page is there because it
 * was written to; a shared one that may be written to without a fault may have been.
 */
#include "usage.h"

#define PSS_SHIFT 12

/* Pages that are alike but for their number. */
struct alike {
	uint64_t pages, sharers;
	bool dirty, locked;
};

static void add(uint64_t *kind, uint64_t *pss_of_kind, struct memmap_mm_usage *u, struct alike a)
{
	const uint64_t bytes = a.pages << MEMMAP_PAGE_SHIFT;
	const uint64_t pss = a.pages * ((MEMMAP_PAGE_SIZE << PSS_SHIFT) / a.sharers);

	u->rss += bytes;
	*kind += bytes;
	if (a.sharers > 1)
		*(a.dirty ? &u->shared_dirty : &u->shared_clean) += bytes;
	else
		*(a.dirty ? &u->private_dirty : &u->private_clean) += bytes;
	u->pss += pss;
	*pss_of_kind += pss;
	if (a.dirty)
		u->pss_dirty += pss;
	if (a.locked)
		u->pss_locked += pss;
}

void usage_add(struct memmap_mm_usage *u, const struct memmap_mm *mm, const struct memmap_vma *vma,
	       const struct mm_resident *run)
{
	if (run->guard || run->zero)
		return;
	uint64_t *kind = &u->rss_file, *pss = &u->pss_file;
	if (run->private_) {
		kind = &u->rss_anon;
		pss = &u->pss_anon;
		u->anonymous += memmap_addr_range_length(run->range);
		if (run->lazy_free)
			u->lazy_free += memmap_addr_range_length(run->range);
	} else if (run->file == mm->memory) {
		kind = &u->rss_shmem;
		pss = &u->pss_shmem;
	}
	struct memmap_file_range fr = {
		run->offset,
		run->offset + memmap_addr_range_length(run->range),
	};
	while (fr.start < fr.end) {
		uint64_t end;
		struct alike a = {
			.dirty = run->private_ ? !run->lazy_free : run->perms & MEMMAP_WRITE,
			.locked = (vma->flags & MEMMAP_VM_LOCKED) != 0,
		};
		a.sharers = mm_nr_sharers(mm, run->file, run->private_, fr, &end);
		a.pages = (end - fr.start) >> MEMMAP_PAGE_SHIFT;
		add(kind, pss, u, a);
		fr.start = end;
	}
}

void usage_add_up(struct memmap_mm_usage *u, const struct memmap_mm_usage *m)
{
	u->rss += m->rss;
	u->rss_anon += m->rss_anon;
	u->rss_file += m->rss_file;
	u->rss_shmem += m->rss_shmem;
	u->shared_clean += m->shared_clean;
	u->shared_dirty += m->shared_dirty;
	u->private_clean += m->private_clean;
	u->private_dirty += m->private_dirty;
	u->anonymous += m->anonymous;
	u->lazy_free += m->lazy_free;
	u->pss += m->pss;
	u->pss_dirty += m->pss_dirty;
	u->pss_anon += m->pss_anon;
	u->pss_file += m->pss_file;
	u->pss_shmem += m->pss_shmem;
	u->pss_locked += m->pss_locked;
}

/*
 * A table of the lowest level is for 2 MiB, of the next for 1 GiB, of the one above for 512 GiB. One
 * is counted when the first run in it comes by.
 */
void table_count_add(struct mm_table_count *count, struct memmap_addr_range range)
{
	for (unsigned shift = 21; shift <= 39; shift += 9) {
		uint64_t first = range.start >> shift, last = (range.end - 1) >> shift;
		if (count->last_end > 0 && (count->last_end - 1) >> shift == first)
			first++; /* has been counted */
		if (first <= last)
			count->tables += last - first + 1;
	}
	count->last_end = range.end;
}

struct count {
	const struct memmap_mm *mm;
	struct memmap_mm_usage *usage;
};

static int count_run(void *arg, const struct memmap_vma *vma, const struct mm_resident *run)
{
	const struct count *c = arg;
	if (run)
		usage_add(c->usage, c->mm, vma, run);
	return 0;
}

void memmap_mm_get_usage(struct memmap_mm *mm, struct memmap_addr_range ar,
			 struct memmap_mm_usage *out)
{
	struct count c = {.mm = mm, .usage = out};
	*out = (struct memmap_mm_usage){0};
	(void)mm_for_each_resident(mm, ar, count_run, &c);
}
