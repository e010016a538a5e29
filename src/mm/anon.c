/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which VMAs have anonymous pages, and whose they are.
 *
 * Linux gives a VMA an owner of its anonymous pages (an anon_vma) when it first gets such a page:
 * one that a neighbour has, when the two could be merged but for their permissions, or else a new
 * one. It merges VMAs only when their owners can be one. Pages come by faults, which nobody tells
 * us of; so an owner is learnt by asking the has_anonymous() hook at the moment when a decision
 * depends on it, and it stays from then on.
 *
 * An address space with pages of its own needs nobody to tell it: its faults give owners as Linux's
 * do, and the hook is not asked.
 *
 * Invariant: anon_vma is 0 in every VMA that cannot have had an anonymous page.
 */
#include "internal.h"

/*
 * Could the VMA ever have got an anonymous page? A shared one never does; a private one only by
 * being written to, and one that is or was writable is either accounted or asked not to be. Without
 * a page of zeros, reading is enough.
 */
static bool may_have_anon(const struct memmap_mm *mm, const struct vma *v)
{
	const uint64_t shared = MEMMAP_VM_SHARED | MEMMAP_VM_MAYSHARE;
	const uint64_t written = MEMMAP_VM_WRITE | MEMMAP_VM_ACCOUNT | MEMMAP_VM_NORESERVE;
	if (v->flags & shared)
		return false;
	return (v->flags & written) || (mm->limits.no_zero_page && vma_is_anonymous(v));
}

static bool ask(const struct memmap_mm *mm, struct vma_iterator it)
{
	return mm->hooks.has_anonymous && may_have_anon(mm, vma_iterator_value_ptr(it)) &&
	       mm->hooks.has_anonymous(mm->hooks.context, vma_iterator_range(it));
}

/*
 *      |------- a -------|------- b -------|
 *
 * Could the two share an owner: are they one mapping but for their permissions? Linux's
 * anon_vma_compatible().
 */
static bool owners_compatible(struct vma_iterator a, struct vma_iterator b)
{
	if (!vma_iterator_ok(a) || !vma_iterator_ok(b) ||
	    vma_iterator_end(a) != vma_iterator_start(b))
		return false;
	const struct vma *va = vma_iterator_value_ptr(a), *vb = vma_iterator_value_ptr(b);
	return va->identity == vb->identity && va->name == vb->name && va->policy == vb->policy &&
	       !((va->flags ^ vb->flags) & ~(VM_ACCESS_FLAGS | VM_STICKY)) &&
	       vb->offset == vma_offset_at(a, vma_iterator_end(a));
}

/* The owner that the VMA would share with its neighbour; 0: none. */
static uint64_t neighbour_owner(const struct memmap_mm *mm, struct vma_iterator neighbour,
				uint64_t own)
{
	struct vma *v = vma_iterator_value_ptr(neighbour);
	/* Not known yet: were it asked for its own sake later, it would take ours. */
	if (!v->anon_vma && ask(mm, neighbour))
		v->anon_vma = own;
	return v->fork_child ? 0 : v->anon_vma;
}

void vma_make_anon(struct memmap_mm *mm, struct vma_iterator it)
{
	struct vma *v = vma_iterator_value_ptr(it);
	if (v->anon_vma || (v->flags & (MEMMAP_VM_SHARED | MEMMAP_VM_MAYSHARE)))
		return;
	uint64_t fresh = mm->last_anon_vma + 1;
	uint64_t owner = 0;

	struct vma_iterator next = vma_iterator_next_segment(it);
	if (owners_compatible(it, next))
		owner = neighbour_owner(mm, next, fresh);
	struct vma_iterator prev = vma_iterator_prev_segment(it);
	if (!owner && owners_compatible(prev, it))
		owner = neighbour_owner(mm, prev, fresh);

	v->anon_vma = owner ? owner : fresh;
	v->fork_child = false;
	if (v->anon_vma == fresh)
		mm->last_anon_vma = fresh;
}

bool vma_has_anon(struct memmap_mm *mm, struct vma_iterator it)
{
	const struct vma *v = vma_iterator_value_ptr(it);
	if (!v->anon_vma && ask(mm, it))
		vma_make_anon(mm, it);
	return v->anon_vma != 0;
}

void mm_settle_anon(struct memmap_mm *mm, struct memmap_addr_range ar)
{
	if (!mm->hooks.has_anonymous)
		return;
	for (struct vma_iterator it = mm_find(mm, ar.start);
	     vma_iterator_ok(it) && vma_iterator_start(it) < ar.end;
	     it = vma_iterator_next_segment(it))
		(void)vma_has_anon(mm, it);
}

void memmap_mm_note_anonymous(struct memmap_mm *mm, struct memmap_addr_range ar)
{
	MM_LOCK_WRITE(mm);
	for (struct vma_iterator it = mm_find(mm, ar.start);
	     vma_iterator_ok(it) && vma_iterator_start(it) < ar.end;
	     it = vma_iterator_next_segment(it))
		vma_make_anon(mm, it);
}

/*
 *      |...|========= huge page ========|=========== huge page ==========|..... it
 *                              |--- ar ---|
 */
bool vma_reading_makes_anon(const struct memmap_mm *mm, struct vma_iterator it,
			    struct memmap_addr_range ar)
{
	const struct vma *v = vma_iterator_value_ptr(it);
	const uint64_t advised = v->flags & (MEMMAP_VM_HUGEPAGE | MEMMAP_VM_NOHUGEPAGE);
	if (mm->limits.no_zero_page && vma_is_anonymous(v))
		return true;
	if (!vma_is_anonymous(v) || mm->limits.huge_pages == 0 || advised == MEMMAP_VM_NOHUGEPAGE ||
	    (!advised && mm->limits.huge_pages == 1))
		return false;
	struct memmap_addr_range part = memmap_addr_range_intersect(vma_iterator_range(it), ar);
	uint64_t first = memmap_huge_page_round_down(part.start);
	if (first < vma_iterator_start(it))
		first += MEMMAP_HUGE_PAGE_SIZE;
	return first < part.end && vma_iterator_end(it) - first >= MEMMAP_HUGE_PAGE_SIZE;
}
