/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reverse map: adding, removing and invalidating mappings.
 *
 * The set's segments only know where they begin and end; which mappings they have is a view of the
 * index, which holds each mapping once. So adding a mapping to any number of segments is one step
 * in the index, parting the segments at the mapping's two edges, and filling the gaps between. What
 * removing one leaves without mappings is asked of the index too: how far does anything else reach?
 *
 * Each change is made in two steps: first everything that can fail, then what cannot.
 *
 * Locking: none; see <memmap/mapping_set.h>.
 */
#include "memmap/mapping_set_internal.h"

#include <errno.h>

#include <memmap/error.h>

/* clang-format off */
#define SEGMENT_PREFIX memmap_mapped
#define SEGMENT_RANGE memmap_mappable_range
#define SEGMENT_VALUE struct memmap_mappings_of_range
#define SEGMENT_CLEAR_VALUE memmap_mappings_of_range_clear
#define SEGMENT_MERGE mappings_merge
#define SEGMENT_SPLIT mappings_part
#define SEGMENT_UNSPLIT mappings_unpart
#define SEGMENT_DUP_VALUE memmap_mappings_of_range_duplicate
#define SEGMENT_TRACK_GAPS 1
#define SEGMENT_IMPLEMENT_ONLY
#include <memmap/segment_set.h>
/* clang-format on */

/*
 * ---- Reading a segment ----
 */

size_t memmap_mapping_iterator_nr_mappings(struct memmap_mapping_iterator it)
{
	return memmap_mappings_of_range_count(memmap_mapped_iterator_value_ptr(it.at));
}

size_t memmap_mapping_iterator_mappings(struct memmap_mapping_iterator it,
					struct memmap_mapping_of_range *out, size_t cap)
{
	return memmap_mappings_of_range_list(memmap_mapped_iterator_value_ptr(it.at), out, cap);
}

bool memmap_mapping_iterator_has_mapping(struct memmap_mapping_iterator it,
					 struct memmap_mapping_of_range m)
{
	return memmap_mappings_of_range_contains(memmap_mapped_iterator_value_ptr(it.at), m);
}

/*
 * ---- Changes ----
 */

static struct mapping_change change_make(const char *function, struct memmap_mapping_set *set,
					 struct memmap_mapping_space *ms,
					 struct memmap_addr_range ar, uint64_t offset,
					 bool writable, struct memmap_mappable_ranges *changed)
{
	uint64_t end;
	if (MEMMAP_LIKELY(ms && ar.start < ar.end && memmap_is_page_aligned(ar.start) &&
			  memmap_is_page_aligned(ar.end) && memmap_is_page_aligned(offset) &&
			  !__builtin_add_overflow(offset, ar.end - ar.start, &end)))
		return (struct mapping_change){
			.set = set,
			.key = {ms, ar.start - offset, writable},
			.addr = ar.start,
			.mr = {offset, end},
			.changed = changed,
		};
	char text[MEMMAP_RANGE_FORMAT_SIZE];
	memmap_addr_range_format(ar, text, sizeof(text));
	if (!ms)
		memmap_panic("%s: no mapping space for %s", function, text);
	if (ar.start >= ar.end || !memmap_is_page_aligned(ar.start) ||
	    !memmap_is_page_aligned(ar.end))
		memmap_panic("%s: addresses %s are empty or not page-aligned", function, text);
	if (!memmap_is_page_aligned(offset))
		memmap_panic("%s: offset 0x%" PRIx64 " is not page-aligned", function, offset);
	memmap_panic("%s: the offsets of %s from 0x%" PRIx64 " overflow", function, text, offset);
}

/* Part the segments that the edges of the range cross. Two insertions have been reserved. */
static void change_part(const struct mapping_change *c)
{
	struct memmap_mapped_set *segments = &c->set->segments;
	int err = memmap_mapped_set_split_at(segments, c->mr.start);
	if (err >= 0)
		err = memmap_mapped_set_split_at(segments, c->mr.end);
	memmap_assert(err >= 0);
}

static int add_by_index(const struct mapping_change *c)
{
	struct memmap_mapped_set *segments = &c->set->segments;
	struct memmap_mapping_index *index = c->set->index;

	size_t nr_gaps = 0;
	segment_gap first =
		memmap_mapped_set_lower_bound_large_enough_gap(segments, c->mr.start, 1);
	for (segment_gap gap = first; memmap_mapped_gap_iterator_ok(gap) &&
				      memmap_mapped_gap_iterator_start(gap) < c->mr.end;
	     gap = memmap_mapped_gap_iterator_next_large_enough_gap(gap, 1))
		nr_gaps++;
	int err = memmap_mapped_set_reserve(segments, nr_gaps + 2);
	if (!err && c->changed)
		err = memmap_mappable_ranges_reserve(c->changed, nr_gaps);
	if (!err)
		err = mapping_index_reserve(index);
	if (err)
		return err;

	change_part(c);
	for (uint64_t at = c->mr.start; nr_gaps > 0; nr_gaps--) {
		segment_gap gap = memmap_mapped_set_lower_bound_large_enough_gap(segments, at, 1);
		struct memmap_mappable_range r = memmap_mappable_range_intersect(
			memmap_mapped_gap_iterator_range(gap), c->mr);
		if (c->changed)
			err = memmap_mappable_ranges_append(c->changed, r);
		memmap_assert(err == 0);
		err = memmap_mapped_set_insert_without_merging_unchecked(
			segments, gap, r, mappings_view(index, r), NULL);
		memmap_assert(err == 0);
		at = r.end;
	}
	mapping_index_add(index, &c->key, c->mr, mapping_set_count_edge, c->set);
	return 0;
}

int memmap_mapping_set_add_mapping(struct memmap_mapping_set *set, struct memmap_mapping_space *ms,
				   struct memmap_addr_range ar, uint64_t offset, bool writable,
				   struct memmap_mappable_ranges *newly_mapped)
{
	struct mapping_change c =
		change_make(__func__, set, ms, ar, offset, writable, newly_mapped);
	int settled = mapping_set_settle(set);
	if (settled < 0)
		return settled;
	return settled ? add_by_index(&c) : mapping_set_add_by_piece(&c);
}

/*
 * ---- Removing: what has no other mapping ----
 *
 * Where an extent has other pieces than the one that goes, nothing is left without a mapping. The
 * others are muted, and what then nothing reaches is left without:
 *
 *   mr                |=====================|
 *   what goes       |-----------------------------|     muted
 *   the others    |-----|        |----|        |--|
 *   left without        |~~~~~~~~|    |~~~~~|
 */

/* The next piece of the change's key that overlaps its range; begin and end with NULL. */
static struct mapping_piece *change_next_piece(const struct mapping_change *c,
					       const struct mapping_piece *piece)
{
	struct mapping_piece *next =
		piece ? mapping_piece_next(piece)
		      : mapping_index_find(c->set->index, &c->key, c->mr.start);
	return next && next->extent->start < c->mr.end ? next : NULL;
}

/* Mute, or no longer, the extents that only what goes has. Are there any? */
static bool change_mute(const struct mapping_change *c, bool muted)
{
	bool any = false;
	for (struct mapping_piece *piece = NULL; (piece = change_next_piece(c, piece));) {
		if (piece->extent->nr_pieces > 1)
			continue;
		mapping_extent_set_muted(piece->extent, muted);
		any = true;
	}
	return any;
}

/* The next run of offsets that is left without mappings, from `*at` on; false: there is none. */
static bool change_next_hole(const struct mapping_change *c, uint64_t *at,
			     struct memmap_mappable_range *hole)
{
	const struct memmap_mapping_index *index = c->set->index;
	while (*at < c->mr.end) {
		/* Where what goes is not, nothing changes: a gap is no hole. */
		const struct mapping_piece *piece = mapping_index_find(index, &c->key, *at);
		if (!piece || piece->extent->start >= c->mr.end)
			return false;
		uint64_t end = piece->extent->end < c->mr.end ? piece->extent->end : c->mr.end;
		if (*at < piece->extent->start)
			*at = piece->extent->start;
		if (!piece->extent->muted) {
			*at = end;
			continue;
		}
		uint64_t reach = mapping_index_reach(index, *at);
		if (reach > *at) {
			*at = reach;
			continue;
		}
		uint64_t next = mapping_index_next_start(index, *at);
		*hole = (struct memmap_mappable_range){*at, next < end ? next : end};
		*at = hole->end;
		return true;
	}
	return false;
}

static int change_reserve_holes(const struct mapping_change *c)
{
	size_t nr = 0;
	uint64_t at = c->mr.start;
	for (struct memmap_mappable_range hole; change_next_hole(c, &at, &hole);) {
		segment_iterator seg =
			memmap_mapped_set_find_segment(&c->set->segments, hole.start);
		for (;
		     memmap_mapped_iterator_ok(seg) && memmap_mapped_iterator_start(seg) < hole.end;
		     seg = memmap_mapped_iterator_next_segment(seg))
			nr++;
	}
	return memmap_mappable_ranges_reserve(c->changed, nr);
}

static void change_remove_holes(const struct mapping_change *c)
{
	uint64_t at = c->mr.start;
	for (struct memmap_mappable_range hole; change_next_hole(c, &at, &hole);) {
		segment_iterator seg =
			memmap_mapped_set_find_segment(&c->set->segments, hole.start);
		while (memmap_mapped_iterator_ok(seg) &&
		       memmap_mapped_iterator_start(seg) < hole.end) {
			if (c->changed) {
				int err = memmap_mappable_ranges_append(
					c->changed, memmap_mapped_iterator_range(seg));
				memmap_assert(err == 0);
			}
			seg = memmap_mapped_gap_iterator_next_segment(
				memmap_mapped_set_remove(&c->set->segments, seg));
		}
	}
}

static int remove_by_index(const struct mapping_change *c)
{
	int err = memmap_mapped_set_reserve(&c->set->segments, 2);
	if (!err)
		err = mapping_index_reserve(c->set->index);
	if (err)
		return err;
	bool holes = change_mute(c, true);
	if (holes && c->changed)
		err = change_reserve_holes(c);
	if (!err) {
		change_part(c);
		if (holes)
			change_remove_holes(c);
	}
	if (holes)
		change_mute(c, false);
	if (err)
		return err;
	mapping_index_cut(c->set->index, &c->key, c->mr, mapping_set_count_edge, c->set);
	memmap_mapped_set_merge_adjacent(&c->set->segments, c->mr);
	return 0;
}

int memmap_mapping_set_remove_mapping(struct memmap_mapping_set *set,
				      struct memmap_mapping_space *ms, struct memmap_addr_range ar,
				      uint64_t offset, bool writable,
				      struct memmap_mappable_ranges *newly_unmapped)
{
	struct mapping_change c =
		change_make(__func__, set, ms, ar, offset, writable, newly_unmapped);
	if (!memmap_mapped_iterator_ok(memmap_mapped_set_find_segment(&set->segments, offset))) {
		char text[MEMMAP_RANGE_FORMAT_SIZE];
		memmap_panic("%s(%s): no segment contains 0x%" PRIx64, __func__,
			     memmap_mappable_range_format(c.mr, text, sizeof(text)), offset);
	}
	int settled = mapping_set_settle(set);
	if (settled < 0)
		return settled;
	return settled ? remove_by_index(&c) : mapping_set_remove_by_piece(&c);
}

/*
 * ---- Invalidating ----
 */

struct invalidation {
	struct memmap_mappable_range segment;
	struct memmap_mappable_range range; /* the part of the segment that is invalidated */
	struct memmap_invalidate_opts opts;
};

static bool invalidate_part(struct memmap_mapping_of_range m, void *arg)
{
	const struct invalidation *i = arg;
	struct memmap_mapping_of_range part =
		mapping_of_subset(i->segment, i->range, m.space, m.addr_range.start, m.writable);
	memmap_mapping_space_invalidate(part.space, part.addr_range, i->opts);
	return true;
}

void memmap_mapping_set_invalidate(const struct memmap_mapping_set *set,
				   struct memmap_mappable_range mr,
				   struct memmap_invalidate_opts opts)
{
	/* What an empty range clips is empty, and invalidate() must not be called for that. */
	if (mr.start >= mr.end)
		return;
	segment_iterator seg = memmap_mapped_set_lower_bound_segment(&set->segments, mr.start);
	for (; memmap_mapped_iterator_ok(seg) && memmap_mapped_iterator_start(seg) < mr.end;
	     seg = memmap_mapped_iterator_next_segment(seg)) {
		struct invalidation i = {.segment = memmap_mapped_iterator_range(seg),
					 .opts = opts};
		i.range = memmap_mappable_range_intersect(i.segment, mr);
		memmap_mappings_of_range_visit(memmap_mapped_iterator_value_ptr(seg),
					       invalidate_part, &i);
	}
}

static bool invalidate_whole(struct memmap_mapping_of_range m, void *arg)
{
	const struct memmap_invalidate_opts *opts = arg;
	memmap_mapping_space_invalidate(m.space, m.addr_range, *opts);
	return true;
}

void memmap_mapping_set_invalidate_all(const struct memmap_mapping_set *set,
				       struct memmap_invalidate_opts opts)
{
	segment_iterator seg = memmap_mapped_set_first_segment(&set->segments);
	for (; memmap_mapped_iterator_ok(seg); seg = memmap_mapped_iterator_next_segment(seg))
		memmap_mappings_of_range_visit(memmap_mapped_iterator_value_ptr(seg),
					       invalidate_whole, &opts);
}
