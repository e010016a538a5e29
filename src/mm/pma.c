/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PMAs: what is mapped now, from where.
 *
 * The second segment set of an address space holds, for each page that is there, the File and the
 * offset that it is at. It is independent of the VMAs but for this: every PMA lies within VMAs, and
 * permits no more than they do. One may reach over several VMAs.
 *
 *   shared     what a Mappable translated to. It may be forgotten at any time: the next fault asks
 *              again
 *   private    pages of the memory file that belong to this address space, alone or (copy-on-write)
 *              together with others: forgetting them loses what the guest has written
 *   guard      no page: touching it is a fault
 *
 * Invariants: a PMA with a file holds one reference on each of its pages; what the platform has been
 * told to map is a part of what the PMAs say, and is taken from it before a reference is dropped.
 *
 * Locking: everything here requires the active lock for writing, but for what says otherwise. What
 * splits PMAs requires mm_reserve_pmas(), so that it cannot fail.
 */
#include "internal.h"

#include <memmap/address_space.h>

int pma_split_value(struct memmap_addr_range r, struct pma *p, uint64_t at, struct pma *first,
		    struct pma *second)
{
	struct pma whole = *p;
	*first = whole;
	*second = whole;
	if (whole.file)
		second->offset += at - r.start;
	return 0;
}

bool pma_merge_values(struct memmap_addr_range r1, struct pma *p1, struct memmap_addr_range r2,
		      struct pma *p2, struct pma *out)
{
	(void)r2;
	if (p1->file != p2->file || (p1->file && p1->offset + (r1.end - r1.start) != p2->offset) ||
	    p1->perms != p2->perms || p1->max_perms != p2->max_perms ||
	    p1->private_ != p2->private_ || p1->copy_on_write != p2->copy_on_write ||
	    p1->zero != p2->zero || p1->lazy_free != p2->lazy_free || p1->copy_of != p2->copy_of)
		return false;
	*out = *p1;
	return true;
}

/*
 * ---- The platform ----
 */

void mm_platform_unmap(struct memmap_mm *mm, struct memmap_addr_range ar)
{
	if (mm->address_space && ar.start < ar.end)
		memmap_address_space_unmap(mm->address_space, ar);
}

void mm_platform_limit(struct memmap_mm *mm, struct memmap_addr_range ar, memmap_access at)
{
	if (!mm->address_space)
		return;
	if (at)
		memmap_address_space_protect(mm->address_space, ar, at);
	else
		memmap_address_space_unmap(mm->address_space, ar);
}

void mm_hide_pages(struct memmap_mm *mm, struct memmap_addr_range ar)
{
	if (!mm->address_space)
		return;
	MM_LOCK_ACTIVE(mm);
	struct pma_iterator first = pma_find(&mm->pmas, ar.start);
	if (!pma_iterator_ok(first) || pma_iterator_start(first) >= ar.end)
		return;
	struct pma_iterator last = pma_set_upper_bound_segment(&mm->pmas, ar.end - 1);
	struct memmap_addr_range there =
		range_of(pma_iterator_start(first), pma_iterator_end(last));
	mm_platform_unmap(mm, memmap_addr_range_intersect(there, ar));
}

/*
 * ---- References ----
 */

void pma_inc_ref(struct memmap_mm *mm, struct memmap_file *file, struct memmap_file_range fr)
{
	memmap_file_inc_ref(file, fr, memmap_context_mem_cg_id(mm->context));
}

/* Drop the references on `ar`, a part of the PMA at `it`. */
static void dec_ref(struct pma_iterator it, struct memmap_addr_range ar)
{
	const struct pma *p = pma_iterator_value_ptr(it);
	if (p->file)
		memmap_file_dec_ref(p->file, pma_file_range(it, ar));
}

/*
 * ---- Memory for nodes ----
 */

/*
 * invalidate() may have to split a private PMA and cannot fail. So there is always room for one
 * insertion more than the operation under way has asked for.
 */
#define SPARE_INSERTIONS 1

int mm_reserve_pmas(struct memmap_mm *mm, size_t n)
{
	if (!mm_has_pages(mm))
		return 0;
	int err = pma_set_reserve(&mm->pmas, n + SPARE_INSERTIONS);
	if (!err)
		mm->pmas_owed = n;
	return err;
}

int mm_reserve(struct memmap_mm *mm, size_t nr_vmas, size_t nr_pmas)
{
	int err = vma_set_reserve(&mm->vmas, nr_vmas);
	if (err || !mm_has_pages(mm))
		return err;
	MM_LOCK_ACTIVE(mm);
	return mm_reserve_pmas(mm, nr_pmas);
}

struct memmap_mm *mm_begin_write(struct memmap_mm *mm)
{
	mm_lock_write(&mm->mapping_lock, MM_LOCK_RANK_MAPPING);
	return mm;
}

void mm_end_write(struct memmap_mm *mm)
{
	if (mm->pmas_owed) {
		MM_LOCK_ACTIVE(mm);
		mm->pmas_owed = 0;
	}
	mm_lock_unlock(&mm->mapping_lock, MM_LOCK_RANK_MAPPING);
}

/*
 * Split the PMA at `*it` at `at`, though nobody has made room for it; `*it` is the first part then.
 * Takes nothing of what the operation under way was promised.
 *
 * Returns:     false: there is no memory, and nothing has changed
 */
static bool split_unasked(struct memmap_mm *mm, struct pma_iterator *it, uint64_t at)
{
	int err = pma_set_reserve(&mm->pmas, mm->pmas_owed + SPARE_INSERTIONS);
	/* When nothing was promised, there may be room all the same. */
	return (!err || mm->pmas_owed == 0) && pma_set_split(&mm->pmas, *it, at, it, NULL) == 0;
}

static void must(int err)
{
	if (MEMMAP_UNLIKELY(err))
		memmap_panic("memmap_mm: changing PMAs failed though it was reserved: %s",
			     memmap_strerror(err));
}

/* Count `ar`, mapped as `p` says, as there (sign 1) or as no longer there (-1). */
static void count_resident(struct memmap_mm *mm, struct memmap_addr_range ar, const struct pma *p,
			   int sign)
{
	if (!pma_is_resident(p))
		return;
	if (sign > 0) {
		mm->resident_pages += range_pages(ar);
		return;
	}
	if (mm->resident_pages > mm->peak_resident_pages)
		mm->peak_resident_pages = mm->resident_pages;
	mm->resident_pages -= range_pages(ar);
}

/*
 * ---- Taking PMAs away ----
 */

/* Take `part` of the PMA at `it` out of the set, without a word about references. Reserve 1. */
static struct pma_iterator cut(struct memmap_mm *mm, struct pma_iterator it,
			       struct memmap_addr_range part)
{
	struct memmap_addr_range whole = pma_iterator_range(it);
	count_resident(mm, part, pma_iterator_value_ptr(it), -1);
	/*
	 *      |*** part ***|
	 */
	if (part.start == whole.start && part.end == whole.end)
		return pma_gap_iterator_next_segment(pma_set_remove(&mm->pmas, it));
	/*
	 *      |*** part ***|--- it ---|
	 */
	if (part.start == whole.start) {
		struct pma *p = pma_iterator_value_ptr(it);
		if (p->file)
			p->offset += part.end - part.start;
		pma_iterator_set_start(it, part.end);
		return it;
	}
	/*
	 *      |--- it ---|*** part ***|--- second ---|
	 */
	struct pma_iterator second = {0};
	if (part.end < whole.end)
		must(pma_set_split(&mm->pmas, it, part.end, &it, &second));
	pma_iterator_set_end(it, part.start);
	return pma_iterator_ok(second) ? second : pma_iterator_next_segment(it);
}

static bool goes(const struct pma *p, enum pma_kinds kinds)
{
	if (pma_is_guard(p))
		return kinds & PMA_GUARD;
	return kinds & (p->private_ ? PMA_PRIVATE : PMA_SHARED);
}

void mm_drop_pmas(struct memmap_mm *mm, struct memmap_addr_range ar, enum pma_kinds kinds)
{
	struct pma_iterator it = pma_find(&mm->pmas, ar.start);
	while (pma_iterator_ok(it) && pma_iterator_start(it) < ar.end) {
		if (!goes(pma_iterator_value_ptr(it), kinds)) {
			it = pma_iterator_next_segment(it);
			continue;
		}
		struct memmap_addr_range part =
			memmap_addr_range_intersect(pma_iterator_range(it), ar);
		dec_ref(it, part);
		it = cut(mm, it, part);
	}
}

/* Is a page of `ar` locked? */
static bool is_locked(const struct memmap_mm *mm, struct memmap_addr_range ar)
{
	for (struct vma_iterator it = mm_find(mm, ar.start);
	     vma_iterator_ok(it) && vma_iterator_start(it) < ar.end;
	     it = vma_iterator_next_segment(it)) {
		if (vma_iterator_value_ptr(it)->flags & MEMMAP_VM_LOCKED)
			return true;
	}
	return false;
}

bool mm_reclaim_lazily_freed(struct memmap_mm *mm)
{
	bool any = false;
	struct pma_iterator it = pma_set_first_segment(&mm->pmas);
	while (pma_iterator_ok(it)) {
		if (!pma_iterator_value_ptr(it)->lazy_free ||
		    is_locked(mm, pma_iterator_range(it))) {
			it = pma_iterator_next_segment(it);
			continue;
		}
		mm_platform_unmap(mm, pma_iterator_range(it));
		dec_ref(it, pma_iterator_range(it));
		it = cut(mm, it, pma_iterator_range(it));
		any = true;
	}
	return any;
}

/*
 * ---- Putting and changing PMAs ----
 */

struct pma_iterator mm_put_pma(struct memmap_mm *mm, struct memmap_addr_range ar, struct pma p)
{
	mm_drop_pmas(mm, ar, PMA_ALL);
	struct pma_iterator it;
	must(pma_set_insert(&mm->pmas, pma_set_find_gap(&mm->pmas, ar.start), ar, p, &it));
	count_resident(mm, ar, &p, 1);
	return it;
}

struct pma_iterator mm_change_pma(struct memmap_mm *mm, struct pma_iterator it,
				  struct memmap_addr_range part, struct pma p)
{
	count_resident(mm, part, pma_iterator_value_ptr(it), -1);
	count_resident(mm, part, &p, 1);
	must(pma_set_isolate(&mm->pmas, it, part, &it));
	p.offset = pma_iterator_value_ptr(it)->offset;
	*pma_iterator_value_ptr(it) = p;
	return pma_set_unisolate(&mm->pmas, it);
}

void mm_limit_pmas(struct memmap_mm *mm, struct memmap_addr_range ar, memmap_access at)
{
	struct pma_iterator it = pma_find(&mm->pmas, ar.start);
	while (pma_iterator_ok(it) && pma_iterator_start(it) < ar.end) {
		struct pma p = *pma_iterator_value_ptr(it);
		if (!memmap_access_superset_of(at, p.perms)) {
			struct memmap_addr_range part =
				memmap_addr_range_intersect(pma_iterator_range(it), ar);
			p.perms &= at;
			mm_platform_limit(mm, part, p.perms);
			it = mm_change_pma(mm, it, part, p);
		}
		it = pma_iterator_next_segment(it);
	}
}

void mm_free_pmas_lazily(struct memmap_mm *mm, struct memmap_addr_range ar)
{
	struct pma_iterator it = pma_find(&mm->pmas, ar.start);
	while (pma_iterator_ok(it) && pma_iterator_start(it) < ar.end) {
		struct pma p = *pma_iterator_value_ptr(it);
		if (p.private_ && !p.zero && !p.lazy_free) {
			struct memmap_addr_range part =
				memmap_addr_range_intersect(pma_iterator_range(it), ar);
			/* So that a write is seen, which takes it back. */
			p.lazy_free = true;
			p.perms &= (memmap_access)~MEMMAP_WRITE;
			mm_platform_limit(mm, part, p.perms);
			it = mm_change_pma(mm, it, part, p);
		}
		it = pma_iterator_next_segment(it);
	}
}

size_t mm_nr_pmas(const struct memmap_mm *mm, struct memmap_addr_range ar)
{
	size_t nr = 0;
	for (struct pma_iterator it = pma_find(&mm->pmas, ar.start);
	     pma_iterator_ok(it) && pma_iterator_start(it) < ar.end;
	     it = pma_iterator_next_segment(it))
		nr++;
	return nr;
}

void mm_move_pmas(struct memmap_mm *mm, struct memmap_addr_range from, uint64_t to)
{
	struct pma_iterator it = pma_find(&mm->pmas, from.start);
	while (pma_iterator_ok(it) && pma_iterator_start(it) < from.end) {
		struct memmap_addr_range part =
			memmap_addr_range_intersect(pma_iterator_range(it), from);
		struct pma p = *pma_iterator_value_ptr(it);
		if (p.file)
			p.offset = pma_file_range(it, part).start;
		(void)cut(mm, it, part);
		const uint64_t start = to + (part.start - from.start);
		struct memmap_addr_range ar = range_of(start, start + (part.end - part.start));
		must(pma_set_insert(&mm->pmas, pma_set_find_gap(&mm->pmas, start), ar, p, NULL));
		count_resident(mm, ar, &p, 1);
		it = pma_find(&mm->pmas, part.end);
	}
}

/*
 * ---- Invalidation ----
 */

/*
 * Drop the pages of `ar` that are of these kinds. Should there be no memory to cut a PMA in the
 * middle, what is shared goes as a whole, for it can be had again:
 *
 *      |--- it ---|*** ar ***|--- it ---|
 *
 * and what is private stays. No truncation comes to that: see pma.copy_of.
 */
static void drop_invalid(struct memmap_mm *mm, struct memmap_addr_range ar, enum pma_kinds kinds)
{
	struct pma_iterator it = pma_find(&mm->pmas, ar.start);
	while (pma_iterator_ok(it) && pma_iterator_start(it) < ar.end) {
		struct memmap_addr_range whole = pma_iterator_range(it);
		struct memmap_addr_range part = memmap_addr_range_intersect(whole, ar);
		bool goes_now = goes(pma_iterator_value_ptr(it), kinds);
		if (goes_now && whole.start < part.start && part.end < whole.end &&
		    !split_unasked(mm, &it, part.end)) {
			goes_now = !pma_iterator_value_ptr(it)->private_;
			mm_platform_unmap(mm, whole);
			part = whole;
		}
		if (!goes_now) {
			it = pma_iterator_next_segment(it);
			continue;
		}
		dec_ref(it, part);
		it = cut(mm, it, part);
	}
}

static void invalidate(struct memmap_mm *mm, struct memmap_addr_range ar,
		       struct memmap_invalidate_opts opts)
{
	struct pma_iterator it = pma_find(&mm->pmas, ar.start);
	if (!pma_iterator_ok(it) || pma_iterator_start(it) >= ar.end)
		return;
	mm_platform_unmap(mm, ar);
	drop_invalid(mm, ar, opts.invalidate_private ? PMA_PAGES : PMA_SHARED);
	/* For the next time; when there is none, it is asked for again then. */
	(void)pma_set_reserve(&mm->pmas, mm->pmas_owed + SPARE_INSERTIONS);
}

/* Called under a Mappable's locks, at any time. */
void mm_invalidate(struct memmap_mapping_space *ms, struct memmap_addr_range ar,
		   struct memmap_invalidate_opts opts)
{
	struct memmap_mm *mm = (struct memmap_mm *)((char *)ms - offsetof(struct memmap_mm, space));
	if (!mm_has_pages(mm))
		return;
	MM_LOCK_ACTIVE(mm);
	mm->invalidations++;
	invalidate(mm, ar, opts);

	const struct memmap_addr_range from = mm->moving_from;
	const uint64_t to = mm->moving_to;
	struct memmap_addr_range moving =
		memmap_addr_range_intersect(ar, range_of(to, to + (from.end - from.start)));
	if (moving.start < moving.end)
		invalidate(
			mm,
			range_of(from.start + (moving.start - to), from.start + (moving.end - to)),
			opts);
}
