/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults: making pages present.
 *
 * A fault looks under the active lock at what is there (look()), and that is most often enough: the
 * page is there and the platform has dropped it, or a private page is wanted, which only the memory
 * file is asked for. What a Mappable must be asked for is asked without the active lock, so that
 * faults elsewhere, and invalidate(), do not wait for it. Whether its answer is still good is known
 * by the number of invalidations: when that is the same afterwards, under the active lock, as it was
 * before, then no translation has ended, references may be taken and PMAs put; else everything
 * begins anew. Each new beginning means that somebody else got on, so there is no end to wait for.
 *
 * A page is shown to the platform before it becomes a PMA: when that fails, nothing has changed.
 *
 * How much: a fault makes the page that is touched present, and pages around it as far as that
 * needs no waiting and `fault_around` permits:
 *   - of a Mappable, what it offers besides, in the aligned block around the page;
 *   - of private memory, when the page follows (or precedes) a run of pages of the same kind, as
 *     many again as the run has. So whoever touches page after page has ever fewer faults, and
 *     whoever touches one page has one page.
 *
 * Refused: nothing that Linux would do, but for pages of files that can be neither mapped nor read
 * (what map_internal() and buffer_read_at() fail with, as a bus error).
 */
#include "internal.h"
#include "pages.h"

#include <memmap/address_space.h>

struct mm_fault mm_fault_of(struct memmap_mm *mm, struct vma_iterator it, uint64_t page,
			    uint64_t end, memmap_access at)
{
	/* VM_READ, VM_WRITE and VM_EXEC are the bits of memmap_access. */
	memmap_access perms = (memmap_access)(vma_iterator_value_ptr(it)->flags & VM_ACCESS_FLAGS);
	return (struct mm_fault){
		.mm = mm,
		.vma = it,
		.vma_perms = memmap_access_effective(perms),
		.page = page,
		.end = end,
		.at = at,
		.show = true,
		.code = MEMMAP_FAULT_UNMAPPED,
	};
}

/* The aligned block of pages around the one that is touched, and what is wanted, in the VMA. */
static struct memmap_addr_range window(const struct mm_fault *f)
{
	const uint64_t mask = f->mm->fault_around - 1;
	struct memmap_addr_range around = range_of(f->page & ~mask, (f->page | mask) + 1);
	if (around.end < f->end)
		around.end = f->end;
	return memmap_addr_range_intersect(around, vma_iterator_range(f->vma));
}

/* The page is there: have the platform map it, and what is there around it. */
static int show_present(struct mm_fault *f, struct pma_iterator it)
{
	const struct pma *p = pma_iterator_value_ptr(it);
	struct memmap_addr_range ar =
		memmap_addr_range_intersect(pma_iterator_range(it), window(f));
	f->done = ar.end;
	if (!f->show || !f->mm->address_space)
		return 0;
	return mm_show(f, ar, p->file, pma_file_range(it, ar).start, p->perms);
}

/*
 * The pages are good for more than they are mapped for, and now the VMA permits it: all of what the
 * PMA and the VMA have in common.
 */
static int widen(struct mm_fault *f, struct pma_iterator it)
{
	struct memmap_addr_range part =
		memmap_addr_range_intersect(pma_iterator_range(it), vma_iterator_range(f->vma));
	struct pma p = *pma_iterator_value_ptr(it);
	p.perms = memmap_access_intersect(pma_reach(&p), f->vma_perms);

	int err = mm_reserve_pmas(f->mm, 2);
	if (err)
		return err;
	struct memmap_addr_range ar = memmap_addr_range_intersect(part, window(f));
	err = f->show ? mm_show(f, ar, p.file, pma_file_range(it, ar).start, p.perms) : 0;
	if (err)
		return err;
	(void)mm_change_pma(f->mm, it, part, p);
	f->done = ar.end;
	return 0;
}

/* A write to what was to be freed lazily keeps it. */
static int keep_lazily_freed(struct mm_fault *f, struct pma_iterator it)
{
	struct pma p = *pma_iterator_value_ptr(it);
	struct memmap_addr_range page = range_of(f->page, f->page + MEMMAP_PAGE_SIZE);
	p.lazy_free = false;
	p.perms = memmap_access_intersect(pma_reach(&p), f->vma_perms);

	int err = mm_reserve_pmas(f->mm, 2);
	if (!err)
		err = mm_show(f, page, p.file, pma_file_range(it, page).start, p.perms);
	if (err)
		return err;
	(void)mm_change_pma(f->mm, it, page, p);
	f->done = page.end;
	return 0;
}

/* What look() returns when a Mappable must be asked. */
#define ASK_MAPPABLE 2

/* What is there? Do what can be done about it under the active lock, which is held. */
static int look(struct mm_fault *f)
{
	struct memmap_mm *mm = f->mm;
	const struct vma *v = vma_iterator_value_ptr(f->vma);
	const bool writes = f->at & MEMMAP_WRITE;
	struct pma_iterator it = pma_set_find_segment(&mm->pmas, f->page);

	if (!pma_iterator_ok(it)) {
		if (v->mappable)
			return ASK_MAPPABLE;
		return writes || mm->limits.no_zero_page ? mm_new_private_pages(f)
							 : mm_map_zeros(f);
	}
	const struct pma *p = pma_iterator_value_ptr(it);
	if (pma_is_guard(p))
		return -EFAULT;
	if (memmap_access_superset_of(p->perms, f->at))
		return show_present(f, it);
	if (memmap_access_superset_of(pma_reach(p), f->at)) {
		/* Whoever ignores what the VMA permits has no use for more. */
		if (!memmap_access_superset_of(f->vma_perms, f->at)) {
			f->done = f->page + MEMMAP_PAGE_SIZE;
			return 0;
		}
		return widen(f, it);
	}
	if (!p->private_ || !writes)
		return ASK_MAPPABLE;
	if (p->zero)
		return mm_new_private_pages(f);
	return p->copy_on_write ? mm_break_copy_on_write(f, it) : keep_lazily_freed(f, it);
}

/*
 * ---- Asking Mappables ----
 */

/* Where the VMA at `it` has the Mappable's offsets `mr`. */
static struct memmap_addr_range addresses_of(struct vma_iterator it,
					     struct memmap_mappable_range mr)
{
	uint64_t base = vma_iterator_start(it) - vma_iterator_value_ptr(it)->offset;
	return range_of(base + mr.start, base + mr.end);
}

/* What may be filled now: the window, but no further than the gap in the PMAs around the page. */
static struct memmap_addr_range free_around(struct mm_fault *f)
{
	struct memmap_addr_range page = range_of(f->page, f->page + MEMMAP_PAGE_SIZE);
	struct pma_gap_iterator gap = pma_set_find_gap(&f->mm->pmas, f->page);
	if (!pma_gap_iterator_ok(gap))
		return page;
	return memmap_addr_range_intersect(pma_gap_iterator_range(gap), window(f));
}

/* What a translation makes of a page that is mapped. */
static struct pma shared_pma(const struct mm_fault *f, const struct memmap_translation *t)
{
	const struct vma *v = vma_iterator_value_ptr(f->vma);
	struct pma p = {
		.file = t->file,
		.offset = t->offset,
		.max_perms = t->perms,
		.copy_on_write = !(v->flags & (MEMMAP_VM_SHARED | MEMMAP_VM_MAYSHARE)),
	};
	p.perms = memmap_access_intersect(pma_reach(&p), f->vma_perms);
	return p;
}

/* The part of a translation that falls into `ar`; false: none. */
static bool part_of(const struct mm_fault *f, struct memmap_translation t,
		    struct memmap_addr_range ar, struct memmap_addr_range *part, struct pma *p)
{
	struct memmap_addr_range whole = addresses_of(f->vma, t.source);
	*part = memmap_addr_range_intersect(whole, ar);
	if (part->start >= part->end)
		return false;
	*p = shared_pma(f, &t);
	p->offset += part->start - whole.start;
	return true;
}

/*
 * Let the pages that `ts` lead to be mapped in `ar`. All references are taken and all is shown
 * before the first PMA is put: until then it can be undone.
 */
static int put_translations(struct mm_fault *f, struct memmap_addr_range ar,
			    const struct memmap_translations *ts)
{
	struct memmap_mm *mm = f->mm;
	const struct memmap_translation *t = memmap_translations_data(ts);
	struct memmap_addr_range part;
	struct pma p;
	size_t nr = 0;

	int err = mm_reserve_pmas(mm, ts->len + 1);
	if (err)
		return err;
	for (; nr < ts->len; nr++) {
		if (!part_of(f, t[nr], ar, &part, &p))
			continue;
		struct memmap_file_range fr = {p.offset, p.offset + (part.end - part.start)};
		pma_inc_ref(mm, p.file, fr);
		err = mm_show(f, part, p.file, p.offset, p.perms);
		if (!err)
			continue;
		mm_platform_unmap(mm, part);
		memmap_file_dec_ref(p.file, fr);
		if (part.start > f->page)
			break; /* what is not needed may be missing */
		while (nr-- > 0) {
			if (!part_of(f, t[nr], ar, &part, &p))
				continue;
			mm_platform_unmap(mm, part);
			fr.start = p.offset;
			fr.end = fr.start + (part.end - part.start);
			memmap_file_dec_ref(p.file, fr);
		}
		return err;
	}
	for (size_t i = 0; i < nr; i++) {
		if (!part_of(f, t[i], ar, &part, &p))
			continue;
		(void)mm_put_pma(mm, part, p);
		f->done = part.end;
	}
	return 0;
}

/* Have the page from the Mappable, as it is. */
static int get_from_mappable(struct mm_fault *f, struct memmap_addr_range optional, uint64_t seen)
{
	struct memmap_mm *mm = f->mm;
	const struct vma *v = vma_iterator_value_ptr(f->vma);
	const bool private = !(v->flags & (MEMMAP_VM_SHARED | MEMMAP_VM_MAYSHARE));
	memmap_access at = private ? f->at & (memmap_access)~MEMMAP_WRITE : f->at;
	struct memmap_translations ts = {0};

	int err = mm_translate(f, optional, at, &ts);
	if (!err) {
		MM_LOCK_ACTIVE(mm);
		struct pma_iterator it = pma_set_find_segment(&mm->pmas, f->page);
		/* Somebody else may have been here in the meantime. */
		if (mm->invalidations != seen ||
		    (pma_iterator_ok(it) &&
		     (pma_iterator_value_ptr(it)->private_ ||
		      memmap_access_superset_of(pma_iterator_value_ptr(it)->perms, at))))
			err = MM_RETRY;
		else
			err = put_translations(f, free_around(f), &ts);
		mm->pmas_owed = 0;
	}
	memmap_translations_release(&ts);
	return err;
}

int mm_get_pages(struct mm_fault *f)
{
	struct memmap_mm *mm = f->mm;
	const struct vma *v = vma_iterator_value_ptr(f->vma);
	int err;
	do {
		struct memmap_addr_range optional;
		uint64_t seen;
		{
			MM_LOCK_ACTIVE(mm);
			err = look(f);
			mm->pmas_owed = 0;
			seen = mm->invalidations;
			optional = free_around(f);
		}
		if (err != ASK_MAPPABLE)
			continue;
		if ((f->at & MEMMAP_WRITE) && !(v->flags & (MEMMAP_VM_SHARED | MEMMAP_VM_MAYSHARE)))
			err = mm_copy_from_mappable(f, seen);
		else
			err = get_from_mappable(f, optional, seen);
	} while (err == MM_RETRY);
	/* Linux has made ready for the copy before it learns that there is nothing to be copied. */
	if ((f->at & MEMMAP_WRITE) && memmap_is_bus_error(err)) {
		MM_LOCK_ACTIVE(mm);
		vma_make_anon(mm, f->vma);
	}
	return err;
}

/*
 * ---- The guest's touch ----
 */

/* May the VMA be touched so? Being able to write or execute implies being able to read. */
static bool permits(const struct vma *v, memmap_access at, bool ignore_permissions)
{
	uint64_t flags = v->flags;
	if (ignore_permissions) {
		/* Each VM_MAY flag is four bits above the flag that it permits. */
		flags |= flags >> 4;
		/* What is shared is written to only by those who may. */
		if (v->flags & (MEMMAP_VM_SHARED | MEMMAP_VM_MAYSHARE))
			flags = (flags & ~MEMMAP_VM_WRITE) | (v->flags & MEMMAP_VM_WRITE);
	}
	memmap_access perms = memmap_access_effective((memmap_access)(flags & VM_ACCESS_FLAGS));
	return memmap_access_superset_of(perms, at);
}

static int fail(enum memmap_fault_code *code, enum memmap_fault_code why)
{
	if (code)
		*code = why;
	return -EFAULT;
}

/* One try; MM_RETRY: a stack must grow first. */
static int try_fault(struct memmap_mm *mm, uint64_t addr, memmap_access at,
		     enum memmap_fault_code *code)
{
	MM_LOCK_READ(mm);
	struct vma_iterator it = mm_find(mm, addr);
	if (!vma_iterator_ok(it))
		return fail(code, MEMMAP_FAULT_UNMAPPED);
	const struct vma *v = vma_iterator_value_ptr(it);
	if (vma_iterator_start(it) > addr)
		return v->flags & MEMMAP_VM_GROWSDOWN ? MM_RETRY
						      : fail(code, MEMMAP_FAULT_UNMAPPED);
	if (!permits(v, at, false))
		return fail(code, MEMMAP_FAULT_NOT_PERMITTED);

	uint64_t page = memmap_page_round_down(addr);
	struct mm_fault f = mm_fault_of(mm, it, page, page + MEMMAP_PAGE_SIZE, at);
	int err = mm_get_pages(&f);
	return err == -EFAULT ? fail(code, f.code) : err;
}

int memmap_mm_handle_fault(struct memmap_mm *mm, uint64_t addr, memmap_access at,
			   enum memmap_fault_code *code)
{
	if (!mm_has_pages(mm))
		return -ENOSYS;
	int err;
	while ((err = try_fault(mm, addr, at, code)) == MM_RETRY) {
		if (memmap_mm_expand_stack(mm, addr) != 0)
			return fail(code, MEMMAP_FAULT_UNMAPPED);
	}
	return err;
}

/*
 * ---- Pages for others ----
 */

/* May the pages at `it` be used for `at`, by one whom the VMA's permissions do not concern? */
static bool usable(const struct pma *p, memmap_access at, bool ignore_permissions)
{
	return !pma_is_guard(p) &&
	       memmap_access_superset_of(ignore_permissions ? pma_reach(p) : p->perms, at);
}

/* Hand over the pages of `ar` that are there from its start on; `*at` is moved behind them. */
static int hand_over(struct memmap_mm *mm, struct memmap_addr_range ar, memmap_access at,
		     bool ignore_permissions, int (*fn)(void *arg, const struct mm_page_run *run),
		     void *arg, uint64_t *from)
{
	MM_LOCK_ACTIVE_READ(mm);
	while (*from < ar.end) {
		struct pma_iterator it = pma_set_find_segment(&mm->pmas, *from);
		if (!pma_iterator_ok(it) ||
		    !usable(pma_iterator_value_ptr(it), at, ignore_permissions))
			return 0;
		struct mm_page_run run = {
			.range = memmap_addr_range_intersect(pma_iterator_range(it),
							     range_of(*from, ar.end)),
			.file = pma_iterator_value_ptr(it)->file,
		};
		run.offset = pma_file_range(it, run.range).start;
		int err = fn(arg, &run);
		if (err)
			return err;
		*from = run.range.end;
	}
	return 0;
}

/* The part of `ar` from `*from` on that one VMA holds. MM_RETRY: a stack must grow first. */
static int with_pages_of_vma(struct memmap_mm *mm, struct memmap_addr_range ar, memmap_access at,
			     bool ignore_permissions,
			     int (*fn)(void *arg, const struct mm_page_run *run), void *arg,
			     uint64_t *from)
{
	MM_LOCK_READ(mm);
	struct vma_iterator it = mm_find(mm, *from);
	if (!vma_iterator_ok(it))
		return -EFAULT;
	const struct vma *v = vma_iterator_value_ptr(it);
	if (vma_iterator_start(it) > *from)
		return v->flags & MEMMAP_VM_GROWSDOWN ? MM_RETRY : -EFAULT;
	if (!permits(v, at, ignore_permissions))
		return -EFAULT;

	struct memmap_addr_range part = memmap_addr_range_intersect(vma_iterator_range(it), ar);
	for (;;) {
		int err = hand_over(mm, part, at, ignore_permissions, fn, arg, from);
		if (err || *from == part.end)
			return err;
		uint64_t page = memmap_page_round_down(*from);
		struct mm_fault f = mm_fault_of(
			mm, it, page, memmap_page_round_down(part.end - 1) + MEMMAP_PAGE_SIZE, at);
		f.show = false;
		err = mm_get_pages(&f);
		if (err)
			return err;
	}
}

int mm_with_pages(struct memmap_mm *mm, struct memmap_addr_range ar, memmap_access at,
		  bool ignore_permissions, int (*fn)(void *arg, const struct mm_page_run *run),
		  void *arg, uint64_t *done)
{
	uint64_t from = ar.start;
	int err = mm_has_pages(mm) ? 0 : -ENOSYS;
	while (!err && from < ar.end) {
		err = with_pages_of_vma(mm, ar, at, ignore_permissions, fn, arg, &from);
		if (err == MM_RETRY)
			err = memmap_mm_expand_stack(mm, from) ? -EFAULT : 0;
	}
	if (done)
		*done = from - ar.start;
	return err;
}
