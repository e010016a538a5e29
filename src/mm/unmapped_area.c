/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where a mapping goes when its address is not fixed.
 *
 *   min_addr       start_brk          mmap_legacy_base           mmap_base  stack   task_size
 *      |--- program --- heap ---> . . . . . |----> bottom-up   top-down <----|  . .<--|---|
 *
 * The usual layout searches down from mmap_base for the highest gap that is large enough, and only
 * when there is none, up from mmap_legacy_base; the legacy layout does only the latter. MAP_32BIT
 * searches up in the second gigabyte. A hint is taken when nothing is there.
 *
 * A VMA that grows down keeps stack_guard_gap clear below it: no search and no hint places a
 * mapping there. MAP_FIXED may.
 *
 * Huge pages: where they could be used, room for one more is searched for, and the place within it
 * is chosen so that the offset into the file and the address agree modulo 2 MiB.
 */
#include "abi.h"
#include "internal.h"

#define MAX_ERRNO UINT64_C(4095)

#define MAP_32BIT_START UINT64_C(0x40000000)
#define MAP_32BIT_END   UINT64_C(0x80000000)
/* How many pages the start of a MAP_32BIT search may be moved up by at random. */
#define MAP_32BIT_RANDOM_PAGES UINT64_C(0x2000)

uint64_t mm_start_gap(const struct memmap_mm *mm, struct vma_iterator it)
{
	uint64_t start = vma_iterator_start(it);
	if (!(vma_iterator_value_ptr(it)->flags & MEMMAP_VM_GROWSDOWN))
		return start;
	uint64_t gap = mm->layout.stack_guard_gap;
	return start > gap ? start - gap : 0;
}

/* Is the VMA after `gap` one that keeps clear of addresses from below `end` on? Then from where. */
static bool guard_below(const struct memmap_mm *mm, struct vma_gap_iterator gap, uint64_t end,
			struct vma_iterator *next)
{
	*next = vma_gap_iterator_next_segment(gap);
	return vma_iterator_ok(*next) && mm_start_gap(mm, *next) < end;
}

/*
 *      low                     high
 *       |...|vma|.......|vma|....|
 *                    ^^^            the end of the highest gap that holds `length`
 */
static bool search_down(const struct memmap_mm *mm, uint64_t low, uint64_t high, uint64_t length,
			uint64_t *addr)
{
	if (low < mm->layout.min_addr)
		low = mm->layout.min_addr;
	if (low >= high)
		return false;
	struct vma_gap_iterator gap =
		vma_set_upper_bound_large_enough_gap(&mm->vmas, high - 1, length);
	while (vma_gap_iterator_ok(gap)) {
		uint64_t start = vma_gap_iterator_start(gap), end = vma_gap_iterator_end(gap);
		if (start < low)
			start = low;
		if (end > high)
			end = high;
		if (end <= low)
			return false;
		struct vma_iterator next;
		if (end > start && end - start >= length) {
			if (!guard_below(mm, gap, end, &next)) {
				*addr = end - length;
				return true;
			}
			/* The same gap may do, further down. */
			high = mm_start_gap(mm, next);
			if (high > start && high - start >= length)
				continue;
		}
		gap = vma_gap_iterator_prev_large_enough_gap(gap, length);
	}
	return false;
}

/*
 *      low                     high
 *       |...|vma|.......|vma|....|
 *               ^^^                 the start of the lowest gap that holds `length`
 */
static bool search_up(const struct memmap_mm *mm, uint64_t low, uint64_t high, uint64_t length,
		      uint64_t *addr)
{
	if (low < mm->layout.min_addr)
		low = mm->layout.min_addr;
	for (struct vma_gap_iterator gap =
		     vma_set_lower_bound_large_enough_gap(&mm->vmas, low, length);
	     vma_gap_iterator_ok(gap); gap = vma_gap_iterator_next_large_enough_gap(gap, length)) {
		uint64_t start = vma_gap_iterator_start(gap), end = vma_gap_iterator_end(gap);
		if (start < low)
			start = low;
		if (end > high)
			end = high;
		if (start >= high)
			return false;
		struct vma_iterator next;
		if (end > start && end - start >= length &&
		    !guard_below(mm, gap, start + length, &next)) {
			*addr = start;
			return true;
		}
	}
	return false;
}

/* May a mapping of `length` be at the hint `addr`, with regard to the VMA above? */
static bool is_clear(const struct memmap_mm *mm, uint64_t addr, uint64_t length)
{
	struct vma_iterator next = mm_find(mm, addr);
	return !vma_iterator_ok(next) || addr + length <= mm_start_gap(mm, next);
}

static int place_up(const struct memmap_mm *mm, const struct mm_placement *p, uint64_t *addr)
{
	const struct memmap_mm_layout *l = &mm->layout;
	uint64_t start = l->mmap_legacy_base, end = l->task_size;
	if (p->map_flags & MAP_32BIT) {
		start = MAP_32BIT_START;
		end = MAP_32BIT_END;
		if (mm->hooks.random)
			start += mm->hooks.random(mm->hooks.context, MAP_32BIT_RANDOM_PAGES)
				 << MEMMAP_PAGE_SHIFT;
	}
	if (p->length > end)
		return -ENOMEM;
	uint64_t hint;
	if (p->hint && memmap_page_round_up(p->hint, &hint) && hint <= end - p->length &&
	    is_clear(mm, hint, p->length)) {
		*addr = hint;
		return 0;
	}
	return search_up(mm, start, end, p->length, addr) ? 0 : -ENOMEM;
}

static int place_down(const struct memmap_mm *mm, const struct mm_placement *p, uint64_t *addr)
{
	const struct memmap_mm_layout *l = &mm->layout;
	if (p->length > l->task_size)
		return -ENOMEM;
	uint64_t hint = memmap_page_round_down(p->hint);
	if (hint && hint <= l->task_size - p->length && is_clear(mm, hint, p->length)) {
		*addr = hint;
		return 0;
	}
	uint64_t low = p->map_flags & MAP_ABOVE4G ? UINT64_C(1) << 32 : MEMMAP_PAGE_SIZE;
	if (search_down(mm, low, l->mmap_base, p->length, addr))
		return 0;
	/*
	 * A large stack limit can leave too little below mmap_base: better anywhere than nowhere.
	 */
	return place_up(mm, p, addr);
}

/* Place without regard to huge pages. Linux's arch_get_unmapped_area_topdown() or _area(). */
static int place(const struct memmap_mm *mm, const struct mm_placement *p, uint64_t *addr)
{
	if (p->map_flags & MAP_FIXED) {
		if (p->length > mm->layout.task_size)
			return -ENOMEM;
		*addr = p->hint;
		return 0;
	}
	if (mm->layout.bottom_up || (p->map_flags & MAP_32BIT))
		return place_up(mm, p, addr);
	return place_down(mm, p, addr);
}

/*
 * Place so that huge pages fit: search for 2 MiB more than needed and move up in it.
 *
 *      |<------------ length + 2 MiB ------------>|
 *      |.....|========== the mapping =======|.....|
 *      found ^ offset and address agree modulo 2 MiB
 *
 * False: there is no point in it, or no room for it.
 */
static bool place_huge(const struct memmap_mm *mm, const struct mm_placement *p, uint64_t *addr)
{
	/* Signed as in Linux: an offset just below 2^63 passes here, for what that is worth. */
	int64_t first = (int64_t)((p->offset + MEMMAP_HUGE_PAGE_MASK) & ~MEMMAP_HUGE_PAGE_MASK);
	int64_t end = (int64_t)(p->offset + p->length);
	uint64_t padded, unused;
	if (end <= first || (uint64_t)end - (uint64_t)first < MEMMAP_HUGE_PAGE_SIZE ||
	    __builtin_add_overflow(p->length, MEMMAP_HUGE_PAGE_SIZE, &padded) ||
	    __builtin_add_overflow(p->offset, padded, &unused))
		return false;

	struct mm_placement q = *p;
	q.length = padded;
	uint64_t found;
	if (place(mm, &q, &found) != 0)
		return false;
	if (found == p->hint) {
		*addr = found;
		return true;
	}
	uint64_t up = (p->offset - found) & MEMMAP_HUGE_PAGE_MASK;
	if (!mm->layout.bottom_up && up == 0)
		up = MEMMAP_HUGE_PAGE_SIZE; /* keep to the top */
	*addr = found + up;
	return true;
}

int mm_get_unmapped_area(struct memmap_mm *mm, const struct mm_placement *p, uint64_t *addr)
{
	const struct memmap_mm_layout *l = &mm->layout;
	if (p->length > l->task_size)
		return -ENOMEM;

	bool huge = p->file ? p->huge_aligned : !p->hint && memmap_is_huge_page_aligned(p->length);
	uint64_t found = 0;
	if (!huge || !place_huge(mm, p, &found)) {
		int err = place(mm, p, &found);
		if (err)
			return err;
	}
	/* Linux takes a fixed address among the last 4095 for an errno, and returns it. */
	if (found > UINT64_MAX - MAX_ERRNO)
		return (int)(int64_t)found;
	if (found > l->task_size - p->length)
		return -ENOMEM;
	if (!memmap_is_page_aligned(found))
		return -EINVAL;
	if (found < l->min_fixed_addr && !mm->limits.cap_sys_rawio)
		return -EPERM;
	*addr = found;
	return 0;
}

struct mm_placement vma_placement(struct vma_iterator it, uint64_t hint, uint64_t length,
				  uint64_t offset, uint64_t map_flags)
{
	const struct vma *v = vma_iterator_value_ptr(it);
	return (struct mm_placement){
		.hint = hint,
		.length = length,
		.offset = v->identity ? offset : 0,
		.map_flags = map_flags,
		.file = v->identity != NULL,
		.huge_aligned = v->huge_aligned,
	};
}
