/* SPDX-License-Identifier: Apache-2.0 */
/*
 * VMAs: their values, and the steps that insert, remove, split, merge and change them.
 *
 * Nothing here fails for want of memory: whoever calls has reserved what it takes. Nothing here
 * decides whether a call is permitted, but for the one refusal that Linux makes in the middle of
 * the work: a split beyond max_map_count.
 *
 * Invariants kept by every function: the counts of the address space agree with its VMAs, and each
 * VMA holds one reference to its identity and one to the name it was given.
 */
#include "internal.h"

int vma_split_value(struct memmap_addr_range r, struct vma *v, uint64_t at, struct vma *first,
		    struct vma *second)
{
	struct vma whole = *v;
	*first = whole;
	*second = whole;
	second->offset += at - r.start;
	vma_inc_ref(&whole);
	return 0;
}

void vma_inc_ref(const struct vma *v)
{
	if (v->identity)
		memmap_mapping_identity_inc_ref(v->identity);
	anon_name_inc_ref(v->anon_name);
}

struct memmap_vma vma_export(struct vma_iterator it)
{
	const struct vma *v = vma_iterator_value_ptr(it);
	return (struct memmap_vma){
		.range = vma_iterator_range(it),
		.flags = v->flags,
		.identity = v->identity,
		.mappable = v->mappable,
		.offset = v->offset,
		.name = v->name,
		.anon_name = v->anon_name ? v->anon_name->text : NULL,
		.anon_vma = v->anon_vma,
		.policy = v->policy,
		.userfault = v->userfault,
		.fork_child = v->fork_child,
		.huge_aligned = v->huge_aligned,
		.shared_anonymous = v->shared_anonymous,
	};
}

bool vma_is_whole(const struct memmap_mm *mm, const struct vma *v)
{
	return v->name && !mm_owns_name(mm, v->name);
}

static void drop_references(struct memmap_mm *mm, const struct vma *v)
{
	if (v->identity)
		memmap_mapping_identity_dec_ref(v->identity, mm->context);
	anon_name_dec_ref(mm, v->anon_name);
}

struct vma_iterator mm_insert(struct memmap_mm *mm, struct memmap_addr_range range,
			      const struct vma *v)
{
	struct vma_iterator it;
	struct vma_gap_iterator gap = vma_set_find_gap(&mm->vmas, range.start);
	int err = vma_set_insert_without_merging(&mm->vmas, gap, range, *v, &it);
	if (err)
		memmap_panic("memmap_mm: inserting a VMA failed though it was reserved: %s",
			     memmap_strerror(err));
	mm->nr_vmas++;
	mm_count(mm, v->flags, range_pages(range), 1);
	return it;
}

struct vma_gap_iterator mm_remove(struct memmap_mm *mm, struct vma_iterator it)
{
	struct vma v;
	uint64_t pages = range_pages(vma_iterator_range(it));
	struct vma_gap_iterator gap = vma_set_take(&mm->vmas, it, &v);
	mm->nr_vmas--;
	mm_count(mm, v.flags, pages, -1);
	drop_references(mm, &v);
	return gap;
}

void mm_split(struct memmap_mm *mm, struct vma_iterator it, uint64_t at, struct vma_iterator *first,
	      struct vma_iterator *second)
{
	/* Both parts get what the whole had; who has it cannot be told from a part alone. */
	(void)vma_has_anon(mm, it);
	int err = vma_set_split(&mm->vmas, it, at, first, second);
	if (err)
		memmap_panic("memmap_mm: splitting a VMA failed though it was reserved: %s",
			     memmap_strerror(err));
	mm->nr_vmas++;
}

/*
 * ---- Merging ----
 */

/* Are the two alike in all but their places and the owners of their anonymous pages? */
static bool alike(const struct vma *a, const struct vma *b)
{
	return !((a->flags ^ b->flags) & ~VM_STICKY) && a->identity == b->identity &&
	       a->name == b->name && anon_name_equal(a->anon_name, b->anon_name) &&
	       a->policy == b->policy && a->userfault == b->userfault;
}

/* Have both VMAs anonymous pages, with different owners? Asks no more than it must. */
static bool owners_differ(struct memmap_mm *mm, struct vma_iterator a, struct vma_iterator b)
{
	const struct vma *va = vma_iterator_value_ptr(a), *vb = vma_iterator_value_ptr(b);
	if (va->anon_vma && vb->anon_vma)
		return va->anon_vma != vb->anon_vma;
	/* Ask the one that is not known first: most often there is nothing there. */
	if (!va->anon_vma)
		return vma_has_anon(mm, a) && vma_has_anon(mm, b) && va->anon_vma != vb->anon_vma;
	return vma_has_anon(mm, b) && va->anon_vma != vb->anon_vma;
}

/*
 * May the owner of `target`'s anonymous pages also own those of the range that is to join it?
 * Linux's is_mergeable_anon_vma(). An owner that came over a fork takes in nothing that is not its
 * own, which keeps what shares a lock with the parent small.
 */
static bool owner_permits(struct memmap_mm *mm, const struct vma_merge *m,
			  struct vma_iterator target)
{
	const struct vma *t = vma_iterator_value_ptr(target);
	if (vma_iterator_ok(m->middle)) {
		const struct vma *s = vma_iterator_value_ptr(m->middle);
		if (t->fork_child || s->fork_child)
			return t->anon_vma == s->anon_vma;
		return !owners_differ(mm, target, m->middle);
	}
	if (!m->value.anon_vma)
		return !t->fork_child;
	if (!vma_has_anon(mm, target))
		return !m->copied_fork_child;
	return t->anon_vma == m->value.anon_vma;
}

/* The VMA that ends where the range begins and can be extended over it; terminal: there is none. */
static struct vma_iterator merge_left(struct memmap_mm *mm, const struct vma_merge *m,
				      struct vma_iterator prev)
{
	if (vma_iterator_ok(prev) && vma_iterator_end(prev) == m->range.start &&
	    alike(vma_iterator_value_ptr(prev), &m->value) &&
	    vma_offset_at(prev, m->range.start) == m->value.offset && owner_permits(mm, m, prev))
		return prev;
	return (struct vma_iterator){0};
}

/* Likewise the VMA that begins where the range ends; `left` is what merge_left() gave. */
static struct vma_iterator merge_right(struct memmap_mm *mm, const struct vma_merge *m,
				       struct vma_iterator next, struct vma_iterator left)
{
	uint64_t length = m->range.end - m->range.start;
	if (!vma_iterator_ok(next) || vma_iterator_start(next) != m->range.end ||
	    !alike(vma_iterator_value_ptr(next), &m->value) ||
	    vma_iterator_value_ptr(next)->offset != m->value.offset + length ||
	    !owner_permits(mm, m, next))
		return (struct vma_iterator){0};
	/* That each goes with what is between them does not say that they go with each other. */
	if (vma_iterator_ok(left) && owners_differ(mm, left, next))
		return (struct vma_iterator){0};
	return next;
}

/* `target` takes in a part that was `from`: with its owner, if it had none yet, and what sticks. */
static void inherit(struct vma *target, const struct vma *from)
{
	target->flags |= from->flags & VM_STICKY;
	if (!target->anon_vma) {
		target->anon_vma = from->anon_vma;
		target->fork_child = from->fork_child;
	}
}

/*
 * Take a VMA whose place a neighbour takes over out of the set; its pages have been counted away.
 */
static struct vma_gap_iterator swallow(struct memmap_mm *mm, struct vma_iterator it)
{
	struct vma v;
	struct vma_gap_iterator gap = vma_set_take(&mm->vmas, it, &v);
	mm->nr_vmas--;
	drop_references(mm, &v);
	return gap;
}

struct vma_iterator mm_merge_new(struct memmap_mm *mm, const struct vma_merge *m)
{
	const struct vma_iterator none = {0};
	if (m->value.flags & VM_SPECIAL)
		return none;
	struct vma_gap_iterator gap = vma_set_find_gap(&mm->vmas, m->range.start);
	memmap_assert(vma_gap_iterator_ok(gap));
	struct vma_iterator left = merge_left(mm, m, vma_gap_iterator_prev_segment(gap));
	struct vma_iterator right = none;
	if (!m->just_expand)
		right = merge_right(mm, m, vma_gap_iterator_next_segment(gap), left);
	if (!vma_iterator_ok(left) && !vma_iterator_ok(right))
		return none;
	if (vma_iterator_ok(left) && (m->value.flags & MEMMAP_VM_CLOSES))
		right = none; /* it would vanish */
	mm_count(mm, m->value.flags, range_pages(m->range), 1);

	/*
	 *      |--- left ---|*** range ***|--- right ---|
	 *      |--------------- left -------------------|
	 */
	if (vma_iterator_ok(left) && vma_iterator_ok(right)) {
		uint64_t end = vma_iterator_end(right);
		inherit(vma_iterator_value_ptr(left), vma_iterator_value_ptr(right));
		inherit(vma_iterator_value_ptr(left), &m->value);
		left = vma_gap_iterator_prev_segment(swallow(mm, right));
		vma_iterator_set_end(left, end);
		return left;
	}
	/*
	 *      |--- left ---|*** range ***|
	 *      |--------- left -----------|
	 */
	if (vma_iterator_ok(left)) {
		inherit(vma_iterator_value_ptr(left), &m->value);
		vma_iterator_set_end(left, m->range.end);
		return left;
	}
	/*
	 *      |*** range ***|--- right ---|
	 *      |---------- right ----------|
	 */
	inherit(vma_iterator_value_ptr(right), &m->value);
	vma_iterator_value_ptr(right)->offset = m->value.offset;
	vma_iterator_set_start(right, m->range.start);
	return right;
}

/*
 * Give the range, a part of m->middle, to its neighbours, if Linux would
 * (vma_merge_existing_range()). m->value has the flags and the name that it shall have, and the
 * offset of the range. Terminal: nothing has changed.
 */
static struct vma_iterator merge_existing(struct memmap_mm *mm, const struct vma_merge *m)
{
	const struct vma_iterator none = {0};
	struct vma_iterator middle = m->middle;
	struct memmap_addr_range whole = vma_iterator_range(middle);
	bool at_left = m->range.start == whole.start, at_right = m->range.end == whole.end;
	if ((m->value.flags & VM_SPECIAL) || (!at_left && !at_right))
		return none;
	if (!at_left || !at_right) /* it will be cut: ask while it can be asked as a whole */
		(void)vma_has_anon(mm, middle);

	struct vma_iterator left = none, right = none;
	if (at_left)
		left = merge_left(mm, m, vma_iterator_prev_segment(middle));
	if (at_right)
		right = merge_right(mm, m, vma_iterator_next_segment(middle), left);
	if (!vma_iterator_ok(left) && !vma_iterator_ok(right))
		return none;
	if (at_left && at_right && (m->value.flags & MEMMAP_VM_CLOSES))
		return none; /* it would vanish */

	uint64_t pages = range_pages(m->range);
	mm_count(mm, vma_iterator_value_ptr(middle)->flags, pages, -1);
	mm_count(mm, m->value.flags, pages, 1);
	const struct vma from = *vma_iterator_value_ptr(middle);

	if (vma_iterator_ok(left)) {
		struct vma *l = vma_iterator_value_ptr(left);
		/*
		 *      |--- left ---|*** middle ***|--- right ---|
		 *      |------------------ left -----------------|
		 */
		if (vma_iterator_ok(right)) {
			uint64_t end = vma_iterator_end(right);
			inherit(l, vma_iterator_value_ptr(right));
			inherit(l, &from);
			right = vma_gap_iterator_next_segment(swallow(mm, middle));
			left = vma_gap_iterator_prev_segment(swallow(mm, right));
			vma_iterator_set_end(left, end);
			return left;
		}
		inherit(l, &from);
		/*
		 *      |--- left ---|*** middle ***|      |--- left ---|*** middle ---|
		 *      |---------- left -----------|      |----- left -----|- middle -|
		 */
		if (at_right) {
			left = vma_gap_iterator_prev_segment(swallow(mm, middle));
		} else {
			vma_iterator_value_ptr(middle)->offset += m->range.end - m->range.start;
			vma_iterator_set_start(middle, m->range.end);
		}
		vma_iterator_set_end(left, m->range.end);
		return left;
	}

	inherit(vma_iterator_value_ptr(right), &from);
	/*
	 *      |*** middle ***|--- right ---|      |--- middle ***|--- right ---|
	 *      |---------- right -----------|      |- middle -|----- right -----|
	 */
	if (at_left)
		right = vma_gap_iterator_next_segment(swallow(mm, middle));
	else
		vma_iterator_set_end(middle, m->range.start);
	vma_iterator_value_ptr(right)->offset = m->value.offset;
	vma_iterator_set_start(right, m->range.start);
	return right;
}

/* Give `r` what of `to` can be changed: mm_modify_flags() and its like. */
static int modify(struct memmap_mm *mm, struct vma_iterator it, struct memmap_addr_range r,
		  const struct vma *to, struct vma_iterator *out)
{
	struct vma_merge m = {.range = r, .value = *to, .middle = it};
	m.value.offset = vma_offset_at(it, r.start);
	struct vma_iterator merged = merge_existing(mm, &m);
	if (vma_iterator_ok(merged)) {
		*out = merged;
		return 0;
	}

	/*
	 *      |----- it *********** it -----|
	 *      |-- it --|***********|--------|
	 */
	bool whole = vma_is_whole(mm, vma_iterator_value_ptr(it));
	if (vma_iterator_start(it) < r.start) {
		if (mm->nr_vmas >= mm->limits.max_map_count)
			return -ENOMEM;
		if (whole)
			return -EINVAL;
		mm_split(mm, it, r.start, NULL, &it);
	}
	if (vma_iterator_end(it) > r.end) {
		if (mm->nr_vmas >= mm->limits.max_map_count)
			return -ENOMEM;
		if (whole)
			return -EINVAL;
		mm_split(mm, it, r.end, &it, NULL);
	}
	struct vma *v = vma_iterator_value_ptr(it);
	mm_count(mm, v->flags, range_pages(r), -1);
	v->flags = to->flags;
	v->policy = to->policy;
	v->userfault = to->userfault;
	mm_count(mm, v->flags, range_pages(r), 1);
	if (v->anon_name != to->anon_name) {
		anon_name_inc_ref(to->anon_name);
		anon_name_dec_ref(mm, v->anon_name);
		v->anon_name = to->anon_name;
	}
	*out = it;
	return 0;
}

int mm_modify_flags(struct memmap_mm *mm, struct vma_iterator it, struct memmap_addr_range r,
		    uint64_t flags, struct vma_iterator *out)
{
	struct vma to = *vma_iterator_value_ptr(it);
	to.flags = flags;
	return modify(mm, it, r, &to, out);
}

int mm_modify_anon_name(struct memmap_mm *mm, struct vma_iterator it, struct memmap_addr_range r,
			struct anon_name *name, struct vma_iterator *out)
{
	struct vma to = *vma_iterator_value_ptr(it);
	to.anon_name = name;
	return modify(mm, it, r, &to, out);
}

int mm_modify_policy(struct memmap_mm *mm, struct vma_iterator it, struct memmap_addr_range r,
		     uint32_t policy, struct vma_iterator *out)
{
	struct vma to = *vma_iterator_value_ptr(it);
	to.policy = policy;
	return modify(mm, it, r, &to, out);
}

int mm_modify_userfault(struct memmap_mm *mm, struct vma_iterator it, struct memmap_addr_range r,
			uint64_t owner, uint64_t flags, struct vma_iterator *out)
{
	struct vma to = *vma_iterator_value_ptr(it);
	to.userfault = owner;
	to.flags = flags;
	return modify(mm, it, r, &to, out);
}

/*
 * ---- Telling Mappables ----
 */

int mm_mapping_add(struct memmap_mm *mm, struct memmap_addr_range range, const struct vma *v)
{
	if (!v->mappable)
		return 0;
	return memmap_mappable_add_mapping(v->mappable, mm->context, &mm->space, range, v->offset,
					   vma_is_shared_writable(v));
}

int mm_mapping_remove(struct memmap_mm *mm, struct memmap_addr_range range, const struct vma *v)
{
	if (!v->mappable)
		return 0;
	return memmap_mappable_remove_mapping(v->mappable, mm->context, &mm->space, range,
					      v->offset, vma_is_shared_writable(v));
}
