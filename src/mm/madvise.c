/* SPDX-License-Identifier: Apache-2.0 */
/*
 * madvise.
 *
 * Advice comes in three kinds:
 *   - what changes flags of VMAs, which split and merge for it (new_flags());
 *   - what concerns pages only: it is checked as far as VMAs decide (check_pages_advice()), and then
 *     done to the pages of all VMAs that permit it (madvise_pages.c). In an address space without
 *     pages 0 means that the VMAs permit it;
 *   - populating, which is checked page by page and stops at the first refusal (populate()).
 *
 * The first two go over the VMAs of the range in order. A VMA that refuses ends the call, and what
 * came before stays advised; holes are passed over and reported at the end with -ENOMEM: both as
 * with Linux. Want of memory alone (-EAGAIN, as Linux says it) changes nothing: at most the first
 * and the last VMA are split, and room for those two is made before.
 *
 * Refused as unknown: MADV_HWPOISON and MADV_SOFT_OFFLINE, as by a kernel without memory failure
 * handling.
 */
#include "abi.h"
#include "internal.h"

/* What advice does to the VMAs it is given for. */
enum advice_kind { ADVICE_UNKNOWN, ADVICE_FLAGS, ADVICE_PAGES, ADVICE_POPULATE };

static enum advice_kind advice_kind(int advice)
{
	switch (advice) {
	case MADV_NORMAL:
	case MADV_RANDOM:
	case MADV_SEQUENTIAL:
	case MADV_DONTFORK:
	case MADV_DOFORK:
	case MADV_WIPEONFORK:
	case MADV_KEEPONFORK:
	case MADV_DONTDUMP:
	case MADV_DODUMP:
	case MADV_HUGEPAGE:
	case MADV_NOHUGEPAGE:
	case MADV_MERGEABLE:
	case MADV_UNMERGEABLE:
		return ADVICE_FLAGS;
	case MADV_WILLNEED:
	case MADV_DONTNEED:
	case MADV_DONTNEED_LOCKED:
	case MADV_FREE:
	case MADV_REMOVE:
	case MADV_COLD:
	case MADV_PAGEOUT:
	case MADV_COLLAPSE:
	case MADV_GUARD_INSTALL:
	case MADV_GUARD_REMOVE:
		return ADVICE_PAGES;
	case MADV_POPULATE_READ:
	case MADV_POPULATE_WRITE:
		return ADVICE_POPULATE;
	default:
		return ADVICE_UNKNOWN;
	}
}

/* Does `advice` throw away what is in memory now, or after a fork? */
static bool discards(int advice)
{
	switch (advice) {
	case MADV_FREE:
	case MADV_DONTNEED:
	case MADV_DONTNEED_LOCKED:
	case MADV_REMOVE:
	case MADV_DONTFORK:
	case MADV_WIPEONFORK:
	case MADV_GUARD_INSTALL:
		return true;
	default:
		return false;
	}
}

/*
 * A sealed VMA keeps its contents, unless whoever asks could write to it anyway. That private pages
 * of files go unprotected is Linux's choice.
 */
static bool seal_permits(const struct vma *v, int advice)
{
	return !(v->flags & MEMMAP_VM_SEALED) || !discards(advice) || !vma_is_anonymous(v) ||
	       (v->flags & MEMMAP_VM_WRITE);
}

/* Can the kernel's same-page merging work on the VMA? It is no error when it cannot. */
static bool can_merge_same_pages(const struct vma *v)
{
	return !(v->flags & (MEMMAP_VM_SHARED | MEMMAP_VM_MAYSHARE | VM_SPECIAL |
			     MEMMAP_VM_HUGETLB | MEMMAP_VM_DROPPABLE));
}

/*
 * The flags that `advice` gives a VMA.
 *
 * Returns:     0 and the flags; -EINVAL: the VMA is not of a kind that can be so advised
 */
static int new_flags(const struct vma *v, int advice, uint64_t *flags)
{
	*flags = v->flags;
	switch (advice) {
	case MADV_NORMAL:
		*flags &= ~(MEMMAP_VM_RAND_READ | MEMMAP_VM_SEQ_READ);
		return 0;
	case MADV_SEQUENTIAL:
		*flags = (*flags & ~MEMMAP_VM_RAND_READ) | MEMMAP_VM_SEQ_READ;
		return 0;
	case MADV_RANDOM:
		*flags = (*flags & ~MEMMAP_VM_SEQ_READ) | MEMMAP_VM_RAND_READ;
		return 0;
	case MADV_DONTFORK:
		*flags |= MEMMAP_VM_DONTCOPY;
		return 0;
	case MADV_DOFORK:
		*flags &= ~MEMMAP_VM_DONTCOPY;
		return v->flags & MEMMAP_VM_IO ? -EINVAL : 0;
	case MADV_WIPEONFORK: /* anonymous memory only; nothing would be there to wipe */
		*flags |= MEMMAP_VM_WIPEONFORK;
		return v->identity || (v->flags & MEMMAP_VM_SHARED) ? -EINVAL : 0;
	case MADV_KEEPONFORK:
		*flags &= ~MEMMAP_VM_WIPEONFORK;
		return v->flags & MEMMAP_VM_DROPPABLE ? -EINVAL : 0;
	case MADV_DONTDUMP:
		*flags |= MEMMAP_VM_DONTDUMP;
		return 0;
	case MADV_DODUMP:
		*flags &= ~MEMMAP_VM_DONTDUMP;
		if (!(v->flags & MEMMAP_VM_HUGETLB) && (v->flags & VM_SPECIAL))
			return -EINVAL;
		return v->flags & MEMMAP_VM_DROPPABLE ? -EINVAL : 0;
	case MADV_HUGEPAGE:
		*flags = (*flags & ~MEMMAP_VM_NOHUGEPAGE) | MEMMAP_VM_HUGEPAGE;
		return 0;
	case MADV_NOHUGEPAGE:
		*flags = (*flags & ~MEMMAP_VM_HUGEPAGE) | MEMMAP_VM_NOHUGEPAGE;
		return 0;
	case MADV_MERGEABLE:
		if (can_merge_same_pages(v))
			*flags |= MEMMAP_VM_MERGEABLE;
		return 0;
	default: /* MADV_UNMERGEABLE */
		*flags &= ~MEMMAP_VM_MERGEABLE;
		return 0;
	}
}

/* Does a whole huge page fit into the VMA, at its place? */
static bool holds_huge_page(struct vma_iterator it)
{
	/* Below 2 MiB this wraps around, and seems to fit, as with Linux. */
	uint64_t last =
		(vma_iterator_end(it) - MEMMAP_HUGE_PAGE_SIZE) & ~(MEMMAP_HUGE_PAGE_SIZE - 1);
	return last >= vma_iterator_start(it) &&
	       last + MEMMAP_HUGE_PAGE_SIZE <= vma_iterator_end(it);
}

/* MADV_COLLAPSE: pages of `part` are to become huge ones. The pages themselves may still refuse. */
static int advise_collapse(struct memmap_mm *mm, struct vma_iterator it,
			   struct memmap_addr_range part)
{
	const struct vma *v = vma_iterator_value_ptr(it);
	const uint64_t mask = MEMMAP_HUGE_PAGE_SIZE - 1;

	if ((v->flags & (VM_SPECIAL | MEMMAP_VM_HUGETLB | MEMMAP_VM_NOHUGEPAGE)) ||
	    !holds_huge_page(it))
		return -EINVAL;
	if (v->identity && !(v->flags & MEMMAP_VM_SHARED))
		return -EINVAL;
	if (vma_is_anonymous(v) && !vma_has_anon(mm, it))
		return -EINVAL;
	/* The whole huge pages of the part: fewer than none is an error, none is not. */
	return ((part.start + mask) & ~mask) > (part.end & ~mask) ? -EINVAL : 0;
}

/*
 * May `part` of the VMA at `it` be advised so? What the pages make of it is not looked at.
 *
 * Returns:     0, -EINVAL, or -EACCES
 */
static int check_pages_advice(struct memmap_mm *mm, struct vma_iterator it,
			      struct memmap_addr_range part, int advice)
{
	struct vma *v = vma_iterator_value_ptr(it);
	const uint64_t unmovable = MEMMAP_VM_LOCKED | MEMMAP_VM_PFNMAP;

	/* Once the pages are gone, nobody can say whether there were any. */
	if (discards(advice))
		(void)vma_has_anon(mm, it);
	switch (advice) {
	case MADV_DONTNEED:
		return v->flags & unmovable ? -EINVAL : 0;
	case MADV_DONTNEED_LOCKED:
		return v->flags & MEMMAP_VM_PFNMAP ? -EINVAL : 0;
	case MADV_FREE:
		return (v->flags & unmovable) || !vma_is_anonymous(v) ? -EINVAL : 0;
	case MADV_COLD:
	case MADV_PAGEOUT:
		return v->flags & (unmovable | MEMMAP_VM_HUGETLB) ? -EINVAL : 0;
	case MADV_REMOVE: /* punches a hole into the file */
		if ((v->flags & MEMMAP_VM_LOCKED) || !v->identity)
			return -EINVAL;
		if (!vma_is_shared_writable(v))
			return -EACCES;
		return mm_punch_hole(mm, it, part);
	case MADV_COLLAPSE:
		return advise_collapse(mm, it, part);
	case MADV_GUARD_INSTALL:
		if (v->flags & (VM_SPECIAL | MEMMAP_VM_HUGETLB | MEMMAP_VM_LOCKED))
			return -EINVAL;
		/* So that a fork copies the guards, Linux gives anonymous memory an owner here. */
		if (vma_is_anonymous(v))
			vma_make_anon(mm, it);
		v->flags |= MEMMAP_VM_MAYBE_GUARD;
		return 0;
	case MADV_GUARD_REMOVE:
		return v->flags & (VM_SPECIAL | MEMMAP_VM_HUGETLB) ? -EINVAL : 0;
	default: /* MADV_WILLNEED */
		return 0;
	}
}

/* MADV_POPULATE_READ and _WRITE: the first page that may not be touched so ends it. */
static int populate(struct memmap_mm *mm, struct memmap_addr_range range, bool write)
{
	const uint64_t needed = write ? MEMMAP_VM_WRITE : MEMMAP_VM_READ;
	struct vma_iterator it = mm_find(mm, range.start);

	for (uint64_t at = range.start; at < range.end;
	     at = vma_iterator_end(it), it = vma_iterator_next_segment(it)) {
		if (!vma_iterator_ok(it) || vma_iterator_start(it) > at)
			return -ENOMEM;
		const struct vma *v = vma_iterator_value_ptr(it);
		if (!(v->flags & needed) || (v->flags & (MEMMAP_VM_IO | MEMMAP_VM_PFNMAP)))
			return -EINVAL;
		if (write || vma_reading_makes_anon(mm, it, range))
			vma_make_anon(mm, it); /* but not a shared one */
	}
	return 0;
}

/* Advise `part` of the VMA at `it`; `*out` is the VMA that holds it then. */
static int advise(struct memmap_mm *mm, struct vma_iterator it, struct memmap_addr_range part,
		  int advice, struct vma_iterator *out)
{
	const struct vma *v = vma_iterator_value_ptr(it);
	uint64_t flags;

	*out = it;
	if (!seal_permits(v, advice))
		return -EPERM;
	if (advice_kind(advice) == ADVICE_PAGES)
		return check_pages_advice(mm, it, part, advice);
	int err = new_flags(v, advice, &flags);
	if (err || flags == v->flags)
		return err;
	err = mm_modify_flags(mm, it, part, flags, out);
	return err == -ENOMEM ? -EAGAIN : err;
}

/* Advise the VMAs of the range, one by one; `*upto` is where it ended. */
static int advise_range(struct memmap_mm *mm, struct memmap_addr_range range, int advice,
			uint64_t *upto)
{
	int result = 0;
	struct vma_iterator it = mm_find(mm, range.start);
	uint64_t at = range.start;
	for (; at < range.end; at = vma_iterator_end(it), it = vma_iterator_next_segment(it)) {
		*upto = at;
		/*
		 *      |--- it ---|  hole  |--- it ---|
		 */
		if (!vma_iterator_ok(it))
			return -ENOMEM;
		if (vma_iterator_start(it) > at) {
			result = -ENOMEM;
			at = vma_iterator_start(it);
			if (at >= range.end)
				return result;
		}
		uint64_t end = vma_iterator_end(it) < range.end ? vma_iterator_end(it) : range.end;
		int err = advise(mm, it, range_of(at, end), advice, &it);
		if (err)
			return err;
	}
	*upto = range.end;
	return result;
}

int64_t memmap_mm_sys_madvise(struct memmap_mm *mm, uint64_t addr, uint64_t length, int advice)
{
	const enum advice_kind kind = advice_kind(advice);
	struct memmap_addr_range range = {.start = addr};

	if (kind == ADVICE_UNKNOWN || !memmap_is_page_aligned(addr) ||
	    !memmap_page_round_up(length, &length) ||
	    __builtin_add_overflow(addr, length, &range.end))
		return -EINVAL;
	if (range.start == range.end)
		return 0;
	if (kind == ADVICE_POPULATE && mm_has_pages(mm))
		return mm_populate_as_advised(mm, range, advice == MADV_POPULATE_WRITE);

	MM_LOCK_WRITE(mm);
	if (kind == ADVICE_POPULATE)
		return populate(mm, range, advice == MADV_POPULATE_WRITE);
	if (kind == ADVICE_FLAGS && vma_set_reserve(&mm->vmas, 2) != 0)
		return -EAGAIN;
	if (kind == ADVICE_PAGES && mm_reserve_for_advice(mm, range) != 0)
		return -EAGAIN;
	int result = advise_range(mm, range, advice, &range.end);
	if (kind == ADVICE_PAGES)
		mm_advise_pages(mm, range, advice);
	return result;
}
