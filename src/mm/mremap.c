/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mremap: shrink, grow, move, move and keep the source, duplicate a shared mapping.
 *
 *   shrink      unmap the tail; always in place unless an address is demanded
 *   grow        in place when the mapping ends where the request does and there is room behind it,
 *               else (MREMAP_MAYMOVE) by moving to where mmap would put it
 *   move        MREMAP_FIXED: unmap the destination, then copy the VMA there, then unmap the
 * source. Of the same size, it may span several VMAs and holes: each is moved on its own keep
 * MREMAP_DONTUNMAP: as a move, but the source stays mapped, without its pages duplicate   an old
 * length of 0: a shared mapping is mapped once more
 *
 * Linux unmaps the destination before it looks at the rest, so that a call which it refuses later
 * has unmapped it all the same; and a move of several VMAs that is refused at one of them has moved
 * those before it. We do as Linux does. Want of memory is different: the moving of one VMA,
 * together with everything that is unmapped for it, either happens whole or not at all. For that,
 * whatever can be refused is found out first (plan_move()), then all memory is got and the
 * Mappables are told (prepare_move()), and only then are VMAs changed (commit_move()).
 *
 * Pages move with their VMA, references and all; the platform is told to forget them at the source,
 * and learns of them at the destination when they are touched there.
 */
#include "internal.h"

#include <sys/mman.h>

#ifndef MREMAP_DONTUNMAP
#	define MREMAP_DONTUNMAP 4
#endif

#define MREMAP_FLAGS (MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP)

/* One request, or the part of it that concerns one VMA. Lengths are multiples of a page. */
struct remap {
	uint64_t addr, old_length, new_length, flags, new_addr;
};

static bool demands_address(const struct remap *r)
{
	return (r->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) != 0;
}

static uint64_t pages(uint64_t bytes)
{
	return bytes >> MEMMAP_PAGE_SHIFT;
}

/* How much longer, or shorter, the mapping becomes. */
static uint64_t change(const struct remap *r)
{
	return r->old_length > r->new_length ? r->old_length - r->new_length
					     : r->new_length - r->old_length;
}

/*
 * ---- Checks ----
 */

/* What is wrong with the request whatever is mapped. Linux's check_mremap_params(). */
static int check_request(const struct memmap_mm *mm, const struct remap *r)
{
	const uint64_t task_size = mm->layout.task_size;

	if (r->flags & ~(uint64_t)MREMAP_FLAGS)
		return -EINVAL;
	if (!memmap_is_page_aligned(r->addr))
		return -EINVAL;
	if (r->new_length == 0 || r->new_length > task_size)
		return -EINVAL;
	if (!demands_address(r))
		return 0;
	if (r->new_addr > task_size - r->new_length || !memmap_is_page_aligned(r->new_addr))
		return -EINVAL;
	if (!(r->flags & MREMAP_MAYMOVE))
		return -EINVAL;
	if ((r->flags & MREMAP_DONTUNMAP) && r->old_length != r->new_length)
		return -EINVAL;
	/* Wraps around where Linux's does. */
	if (r->addr + r->old_length > r->new_addr && r->new_addr + r->new_length > r->addr)
		return -EINVAL;
	return 0;
}

/*
 * A move may split the source and the destination. Linux wants room for that first, and leaves
 * itself a few VMAs to spare.
 */
static bool too_many_vmas(const struct memmap_mm *mm, size_t nr_vmas)
{
	return nr_vmas + 3 >= mm->limits.max_map_count;
}

/* What is wrong with the request for the VMA at `it`. Linux's check_prep_vma(). */
static int check_vma(const struct memmap_mm *mm, struct vma_iterator it, const struct remap *r)
{
	if (!vma_iterator_ok(it) || vma_iterator_start(it) > r->addr)
		return -EFAULT;
	const struct vma *v = vma_iterator_value_ptr(it);

	if (v->flags & MEMMAP_VM_SEALED)
		return -EPERM;
	if (r->new_length <= r->old_length && !demands_address(r))
		return 0;
	if (r->old_length == 0 && !(v->flags & (MEMMAP_VM_SHARED | MEMMAP_VM_MAYSHARE)))
		return -EINVAL;
	if ((r->flags & MREMAP_DONTUNMAP) && (v->flags & (MEMMAP_VM_DONTEXPAND | MEMMAP_VM_PFNMAP)))
		return -EINVAL;
	/* What is unmapped because of shrinking may reach beyond the VMA, what moves may not. */
	uint64_t moved = r->old_length < r->new_length ? r->old_length : r->new_length;
	if (moved > vma_iterator_end(it) - r->addr)
		return -EFAULT;
	if (r->new_length <= r->old_length)
		return 0;

	/* Offsets are counted in pages, and wrap around only with 64 bits of those. */
	uint64_t offset = pages(vma_offset_at(it, r->addr));
	if (offset + pages(r->new_length) < offset)
		return -EINVAL;
	if (v->flags & (MEMMAP_VM_DONTEXPAND | MEMMAP_VM_PFNMAP))
		return -EFAULT;
	if (!mm_may_lock_more(mm, v->flags, change(r)))
		return -EAGAIN;
	return mm_may_expand(mm, v->flags, pages(change(r))) ? 0 : -ENOMEM;
}

/*
 * ---- Moving one VMA ----
 */

/*
 *          addr                             new_addr
 *   |--------*** source ***|*** tail ***|      |*** dest ***|
 *
 * `dest` is unmapped before (MREMAP_FIXED), `tail` too (shrinking), `source` afterwards.
 */
struct move {
	struct mm_unmap dest, tail, source;
	bool unmap_dest, unmap_tail, unmap_source;
	bool source_stays; /* it could not be unmapped */
	struct vma value;  /* what will be at `to`; its reference is taken when it is inserted */
	struct memmap_addr_range from, to;
};

/* Count all of `unmap` as gone (sign -1), or as there again. */
static void count_unmapped(struct memmap_mm *mm, const struct mm_unmap *unmap, int sign)
{
	struct vma_iterator it = mm_find(mm, unmap->range.start);

	for (; vma_iterator_ok(it) && vma_iterator_start(it) < unmap->range.end;
	     it = vma_iterator_next_segment(it))
		mm_count(mm, vma_iterator_value_ptr(it)->flags,
			 range_pages(
				 memmap_addr_range_intersect(vma_iterator_range(it), unmap->range)),
			 sign);
}

/* How many VMAs there will be once `unmap` is done. */
static size_t vmas_after(const struct memmap_mm *mm, size_t nr_vmas, const struct mm_unmap *unmap)
{
	const uint64_t edges[] = {unmap->range.start, unmap->range.end};

	for (size_t i = 0; i < 2; i++) {
		struct vma_iterator it = mm_find(mm, edges[i]);
		if (vma_iterator_ok(it) && vma_iterator_start(it) < edges[i])
			nr_vmas++;
	}
	return nr_vmas - unmap->nr_vmas;
}

/*
 * Would Linux move the VMA at `it`, once what is in `m` to be unmapped is gone? Finds the address.
 */
static int plan_move(struct memmap_mm *mm, struct vma_iterator it, struct remap *r, struct move *m)
{
	const struct vma *v = vma_iterator_value_ptr(it);
	size_t nr_vmas = mm->nr_vmas;

	if (m->unmap_dest)
		nr_vmas = vmas_after(mm, nr_vmas, &m->dest);
	if (m->unmap_tail)
		nr_vmas = vmas_after(mm, nr_vmas, &m->tail);

	if (r->flags & MREMAP_DONTUNMAP) {
		if (m->unmap_dest)
			count_unmapped(mm, &m->dest, -1);
		bool may = mm_may_expand(mm, v->flags, pages(r->new_length));
		if (m->unmap_dest)
			count_unmapped(mm, &m->dest, 1);
		if (!may)
			return -ENOMEM;
	}

	struct mm_placement place =
		vma_placement(it, demands_address(r) ? r->new_addr : 0, r->new_length,
			      vma_offset_at(it, r->addr), r->flags & MREMAP_FIXED ? MAP_FIXED : 0);
	int err = mm_get_unmapped_area(mm, &place, &r->new_addr);
	if (err)
		return err;
	if (too_many_vmas(mm, nr_vmas))
		return -ENOMEM;
	uint64_t moved = r->old_length < r->new_length ? r->old_length : r->new_length;
	if (vma_is_whole(mm, v) &&
	    (vma_iterator_start(it) != r->addr || vma_iterator_end(it) != r->addr + moved))
		return -EINVAL;
	uint64_t accounted = r->flags & MREMAP_DONTUNMAP ? r->new_length : change(r);
	if ((v->flags & MEMMAP_VM_ACCOUNT) && !mm_may_account(mm, pages(accounted)))
		return -ENOMEM;
	return 0;
}

/* What will be at the destination. */
static void describe_move(struct memmap_mm *mm, struct vma_iterator it, const struct remap *r,
			  struct move *m)
{
	uint64_t moved = r->old_length < r->new_length ? r->old_length : r->new_length;
	bool has_anon = vma_has_anon(mm, it);

	m->value = *vma_iterator_value_ptr(it);
	m->value.offset = vma_offset_at(it, r->addr);
	/*
	 * Without pages nothing ties it to where it was, and it merges more easily where it goes.
	 */
	if (vma_is_anonymous(&m->value) && !has_anon)
		m->value.offset = r->new_addr;
	m->from = range_of(r->addr, r->addr + moved);
	m->to = range_of(r->new_addr, r->new_addr + r->new_length);
	m->unmap_source = moved && !(r->flags & MREMAP_DONTUNMAP);
	m->source = (struct mm_unmap){.range = m->from, .nr_vmas = 1};
}

/*
 * From the moment when a Mappable is told of the destination until the pages are there, what it
 * invalidates there goes from the source.
 */
static void begin_moving_pages(struct memmap_mm *mm, const struct move *m)
{
	if (!mm_has_pages(mm))
		return;
	MM_LOCK_ACTIVE(mm);
	mm->moving_from = m->from;
	mm->moving_to = m->to.start;
}

static void end_moving_pages(struct memmap_mm *mm)
{
	if (!mm_has_pages(mm))
		return;
	MM_LOCK_ACTIVE(mm);
	mm->moving_from = range_of(0, 0);
}

/*
 * Get all memory that moving takes, and tell the Mappables.
 *
 * Returns:     0, or a negative errno
 * On failure:  nothing has changed
 */
static int prepare_move(struct memmap_mm *mm, struct move *m)
{
	const struct vma *v = &m->value;

	mm_settle_anon(mm, m->dest.range);
	mm_settle_anon(mm, m->tail.range);
	size_t nr_pmas = 0;
	if (mm_has_pages(mm)) {
		MM_LOCK_ACTIVE_READ(mm);
		nr_pmas = mm_nr_pmas(mm, m->from);
	}
	int err = mm_reserve(mm, (size_t)3 * MM_UNMAP_RESERVE + 1,
			     (size_t)3 * MM_UNMAP_RESERVE + nr_pmas);
	if (err)
		return err;
	err = m->unmap_dest ? mm_unmap_tell(mm, &m->dest) : 0;
	if (err)
		return err;
	err = m->unmap_tail ? mm_unmap_tell(mm, &m->tail) : 0;
	if (err)
		goto untell_dest;
	begin_moving_pages(mm, m);
	if (v->mappable)
		err = memmap_mappable_copy_mapping(v->mappable, mm->context, &mm->space, m->from,
						   m->to, v->offset, vma_is_shared_writable(v));
	if (err)
		goto untell_tail;
	err = m->unmap_source ? mm_unmap_tell(mm, &m->source) : 0;
	if (!err)
		return 0;
	if (mm_mapping_remove(mm, m->to, v) != 0) {
		/* No memory to go back either: then as Linux, which leaves the source mapped. */
		m->unmap_source = false;
		m->source_stays = true;
		return 0;
	}
untell_tail:
	end_moving_pages(mm);
	if (m->unmap_tail)
		mm_unmap_untell(mm, &m->tail);
untell_dest:
	if (m->unmap_dest)
		mm_unmap_untell(mm, &m->dest);
	return err;
}

/*
 * The source of MREMAP_DONTUNMAP stays, without pages. It is no longer locked, all of its VMA, and
 * if all of that has moved, it has no owner of anonymous pages any more.
 *
 * Linux goes on counting its pages as locked, and never stops; so do we.
 */
static void keep_source(struct memmap_mm *mm, const struct move *m, struct vma_iterator copy)
{
	struct vma_iterator it = mm_find(mm, m->from.start);
	struct vma *v = vma_iterator_value_ptr(it);
	uint64_t there = range_pages(vma_iterator_range(it));

	if (v->flags & MEMMAP_VM_LOCKED)
		mm->stale_locked_pages += there;
	v->flags &= ~VM_LOCKED_MASK;
	if (!vma_iterator_equal(it, copy) && vma_iterator_start(it) == m->from.start &&
	    vma_iterator_end(it) == m->from.end) {
		v->anon_vma = 0;
		v->fork_child = false;
	}
}

/* The pages go with the copy, also when the source stays. */
static void move_pages(struct memmap_mm *mm, const struct move *m)
{
	if (!mm_has_pages(mm) || m->from.start == m->from.end)
		return;
	mm_hide_pages(mm, m->from);
	MM_LOCK_ACTIVE(mm);
	mm_move_pmas(mm, m->from, m->to.start);
	mm->moving_from = range_of(0, 0);
}

/* Do all that was prepared. */
static void commit_move(struct memmap_mm *mm, const struct move *m)
{
	struct vma_merge merge = {
		.range = m->to,
		.value = m->value,
		.copied_fork_child = m->value.fork_child,
	};

	/* That source and destination are there at once for a moment is no peak. */
	const uint64_t peak = mm->peak_pages > mm->total_pages ? mm->peak_pages : mm->total_pages;
	if (m->unmap_dest)
		mm_unmap_commit(mm, &m->dest);
	if (m->unmap_tail)
		mm_unmap_commit(mm, &m->tail);
	move_pages(mm, m);
	/*
	 * The copy may merge with its own source, when it lies beside it and has no pages yet:
	 *
	 *      |*** source ***|--- rest ---|*** copy ***|
	 */
	struct vma_iterator copy = mm_merge_new(mm, &merge);
	if (!vma_iterator_ok(copy)) {
		vma_inc_ref(&m->value);
		copy = mm_insert(mm, m->to, &m->value);
	}
	/* A registration stays behind, also that of what the copy has merged with. */
	vma_iterator_value_ptr(copy)->flags &= ~VM_USERFAULT;
	vma_iterator_value_ptr(copy)->userfault = 0;
	/* It may have grown over where those pages are still that were at the destination. */
	const struct memmap_mm_hooks hooks = mm->hooks;
	mm->hooks.has_anonymous = NULL;
	if (m->unmap_source)
		mm_unmap_commit(mm, &m->source);
	else if (m->from.start < m->from.end && !m->source_stays)
		keep_source(mm, m, copy);
	mm->hooks = hooks;
	mm->peak_pages = peak;
}

/* Could what is beyond the new length be unmapped? */
static int check_tail(struct memmap_mm *mm, const struct remap *r, struct mm_unmap *tail)
{
	const uint64_t start = r->addr + r->new_length;

	if (start > mm->layout.task_size || change(r) > mm->layout.task_size - start)
		return -EINVAL;
	return mm_unmap_check(mm, range_of(start, start + change(r)), tail);
}

/* Move the VMA at `it`, or the part of it that `r` names. Returns the new address. */
static int64_t move(struct memmap_mm *mm, struct vma_iterator it, struct remap *r)
{
	struct move m = {0};
	int err;

	if (r->flags & MREMAP_FIXED) {
		struct memmap_addr_range dest = range_of(r->new_addr, r->new_addr + r->new_length);
		err = vma_set_reserve(&mm->vmas, MM_UNMAP_RESERVE);
		if (!err)
			err = mm_unmap_check(mm, dest, &m.dest);
		if (err)
			return err;
		m.unmap_dest = m.dest.nr_vmas > 0;
		/* The check may have split it. */
		it = mm_find(mm, r->addr);
	}
	int refused = 0;
	/* What is duplicated over itself, or so long that it wraps around, is gone by its turn. */
	if (m.unmap_dest && r->new_addr <= r->addr && r->addr < r->new_addr + r->new_length)
		refused = -EFAULT;
	if (!refused && r->new_length < r->old_length && demands_address(r)) {
		refused = check_tail(mm, r, &m.tail);
		m.unmap_tail = !refused && m.tail.nr_vmas > 0;
		it = mm_find(mm, r->addr);
	}
	if (!refused)
		refused = plan_move(mm, it, r, &m);
	if (refused) {
		/* Linux finds out only now, when these are gone. */
		err = m.unmap_dest ? mm_unmap(mm, m.dest.range) : 0;
		if (!err && m.unmap_tail)
			err = mm_unmap(mm, m.tail.range);
		return err ? err : refused;
	}
	describe_move(mm, it, r, &m);
	err = prepare_move(mm, &m);
	if (err)
		return err;
	commit_move(mm, &m);
	return (int64_t)r->new_addr;
}

/*
 * ---- The forms ----
 */

/* Is the range free, and may it be mapped? Guard gaps do not count here. */
static bool room_behind(struct memmap_mm *mm, struct vma_iterator it, uint64_t length)
{
	uint64_t start = vma_iterator_start(it), end = vma_iterator_end(it), new_end, addr;
	struct vma_iterator next = vma_iterator_next_segment(it);

	if (__builtin_add_overflow(end, length, &new_end))
		return false;
	if (vma_iterator_ok(next) && vma_iterator_start(next) < new_end)
		return false;
	struct mm_placement place = {
		.hint = start,
		.length = new_end - start,
		.map_flags = MAP_FIXED,
	};
	return mm_get_unmapped_area(mm, &place, &addr) == 0;
}

/*
 *      |------- it -------|*** range ***|
 *      |-------------- it --------------|
 */
static int64_t grow_in_place(struct memmap_mm *mm, struct vma_iterator it, const struct remap *r)
{
	const uint64_t end = vma_iterator_end(it);
	struct vma_merge m = {
		.range = range_of(end, end + change(r)), .value = *vma_iterator_value_ptr(it),
		/* Not copied, says Linux: the VMA behind is taken in even if this one's pages
		 * came over a fork. */
	};

	if ((m.value.flags & MEMMAP_VM_ACCOUNT) && !mm_may_account(mm, pages(change(r))))
		return -ENOMEM;
	if (m.value.flags & VM_SPECIAL) /* merges with nothing, not even with its own end */
		return -ENOMEM;
	m.value.offset = vma_offset_at(it, end);
	int err = mm_mapping_add(mm, m.range, &m.value);
	if (err)
		return err;
	if (!vma_iterator_ok(mm_merge_new(mm, &m)))
		memmap_panic("memmap_mm: a VMA did not merge with what it grows by");
	return (int64_t)r->addr;
}

static int64_t grow(struct memmap_mm *mm, struct vma_iterator it, struct remap *r)
{
	if (vma_iterator_end(it) - r->addr == r->old_length && room_behind(mm, it, change(r)))
		return grow_in_place(mm, it, r);
	return r->flags & MREMAP_MAYMOVE ? move(mm, it, r) : -ENOMEM;
}

static int64_t shrink(struct memmap_mm *mm, const struct remap *r)
{
	const uint64_t start = r->addr + r->new_length;

	if (start > mm->layout.task_size || change(r) > mm->layout.task_size - start)
		return -EINVAL;
	int err = mm_unmap(mm, range_of(start, start + change(r)));
	return err ? err : (int64_t)r->addr;
}

/*
 * Move everything in the range, VMA by VMA, at the same distances from each other.
 *
 *      addr                                      new_addr
 *       |** a **|  hole  |** b **|---- b           |** a **| kept |** b **|
 *
 * What lies at the destination opposite a hole stays.
 */
static int64_t move_parts(struct memmap_mm *mm, const struct remap *r)
{
	const uint64_t end = r->addr + r->old_length;
	int64_t result = -EFAULT;

	for (uint64_t at = r->addr; at < end;) {
		struct vma_iterator it = mm_find(mm, at);
		if (!vma_iterator_ok(it) || vma_iterator_start(it) >= end)
			break;
		if (vma_iterator_start(it) > at) {
			if (at == r->addr)
				return -EFAULT;
			at = vma_iterator_start(it);
		}
		/* What is registered with a userfaultfd is moved alone or not at all. */
		if (vma_iterator_value_ptr(it)->userfault &&
		    (at != r->addr || vma_iterator_end(it) < end))
			return -EFAULT;
		uint64_t part_end = vma_iterator_end(it) < end ? vma_iterator_end(it) : end;
		struct remap part = {
			.addr = at,
			.old_length = part_end - at,
			.new_length = part_end - at,
			.flags = r->flags,
			.new_addr = r->new_addr + (at - r->addr),
		};
		int64_t moved = check_vma(mm, it, &part);
		if (!moved)
			moved = move(mm, it, &part);
		if (moved < 0)
			return moved;
		if (at == r->addr)
			result = moved;
		at = part_end;
	}
	return result;
}

/*
 * The same for several, which may come to lie side by side: who has anonymous pages is asked
 * before, since where a part has been moved to, those are still to be seen that were there.
 */
static int64_t move_all(struct memmap_mm *mm, const struct remap *r)
{
	struct vma_iterator it = mm_find(mm, r->addr);
	if (!vma_iterator_ok(it) || vma_iterator_end(it) >= r->addr + r->old_length)
		return move_parts(mm, r);
	mm_settle_anon(mm, range_of(r->addr, r->addr + r->old_length));
	mm_settle_anon(mm, range_of(r->new_addr > 0 ? r->new_addr - 1 : 0,
				    r->new_addr + r->new_length + 1));
	const struct memmap_mm_hooks hooks = mm->hooks;
	mm->hooks.has_anonymous = NULL;
	const int64_t result = move_parts(mm, r);
	mm->hooks = hooks;
	return result;
}

static int64_t sys_mremap(struct memmap_mm *mm, uint64_t addr, uint64_t old_length,
			  uint64_t new_length, uint64_t flags, uint64_t new_addr)
{
	struct remap r = {
		.addr = addr,
		/* What is too long becomes 0, as with Linux. */
		.old_length = memmap_page_round_down(old_length + MEMMAP_PAGE_MASK),
		.new_length = memmap_page_round_down(new_length + MEMMAP_PAGE_MASK),
		.flags = flags,
		.new_addr = new_addr,
	};
	int64_t result = check_request(mm, &r);

	if (result)
		return result;
	if (demands_address(&r) && too_many_vmas(mm, mm->nr_vmas + 2))
		return -ENOMEM;
	if ((flags & MREMAP_FIXED) && r.old_length == r.new_length)
		return move_all(mm, &r);

	struct vma_iterator it = mm_find(mm, addr);
	result = check_vma(mm, it, &r);
	if (result)
		return result;
	const bool locked = vma_iterator_value_ptr(it)->flags & MEMMAP_VM_LOCKED;
	if (demands_address(&r))
		result = move(mm, it, &r);
	else if (r.new_length < r.old_length)
		result = shrink(mm, &r);
	else if (r.new_length > r.old_length)
		result = grow(mm, it, &r);
	else
		result = (int64_t)addr;

	if (result >= 0 && locked && r.new_length > r.old_length) {
		uint64_t start = (uint64_t)result;
		(void)mm_populate(mm, range_of(start + r.old_length, start + r.new_length), true);
	}
	return result;
}

int64_t memmap_mm_sys_mremap(struct memmap_mm *mm, uint64_t addr, uint64_t old_length,
			     uint64_t new_length, uint64_t flags, uint64_t new_addr)
{
	mm_begin_write(mm);
	return mm_end_write_and_populate(
		mm, sys_mremap(mm, addr, old_length, new_length, flags, new_addr));
}
