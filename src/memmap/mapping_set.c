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

/* The segments at the edges of the range, once it parts none. */
static void change_find_edges(struct mapping_change *c)
{
	const struct memmap_mapped_set *segments = &c->set->segments;
	c->first = c->last = memmap_mapped_set_find_segment(segments, c->mr.start);
	if (!memmap_mapped_iterator_ok(c->first) ||
	    memmap_mapped_iterator_end(c->first) != c->mr.end)
		c->last = memmap_mapped_set_find_segment(segments, c->mr.end - 1);
}

/*
 * Part the segments that the edges of the range cross: both or, when out of memory, neither. For a
 * start, c->first may be the segment that holds the range's start.
 */
static int change_part(struct mapping_change *c)
{
	if (memmap_mapped_iterator_ok(c->first)) {
		struct memmap_mappable_range r = memmap_mapped_iterator_range(c->first);
		if (r.start == c->mr.start && r.end == c->mr.end) {
			c->last = c->first;
			return 0;
		}
	}
	int err = mapping_set_part(c->set, c->mr);
	if (!err)
		change_find_edges(c);
	return err;
}

static struct memmap_mappings_view *view_of(segment_iterator seg)
{
	return &memmap_mapped_iterator_value_ptr(seg)->in.view;
}

/* mapping_set_count_edge(), looking first where edges are most. */
static void change_count_edge(void *arg, uint64_t at, enum mapping_edge edge, ptrdiff_t change)
{
	const struct mapping_change *c = arg;
	if (edge == MAPPING_BEGINS && at == c->mr.start && memmap_mapped_iterator_ok(c->first))
		view_of(c->first)->nr_begins += (size_t)change;
	else if (edge == MAPPING_ENDS && at == c->mr.end && memmap_mapped_iterator_ok(c->last))
		view_of(c->last)->nr_ends += (size_t)change;
	else
		mapping_set_count_edge(c->set, at, edge, change);
}

static size_t change_nr_holes(const struct mapping_change *c)
{
	size_t nr = 0;
	uint64_t at = c->mr.start;
	for (struct memmap_mappable_range hole;
	     mapping_index_next_hole(c->set->index, &at, c->mr.end, &hole);)
		nr++;
	return nr;
}

/* Segments for what nothing maps yet. There is memory for it. */
static void change_fill_holes(const struct mapping_change *c)
{
	struct memmap_mapped_set *segments = &c->set->segments;
	uint64_t at = c->mr.start;
	for (struct memmap_mappable_range hole;
	     mapping_index_next_hole(c->set->index, &at, c->mr.end, &hole);) {
		int err = 0;
		if (c->changed)
			err = memmap_mappable_ranges_append(c->changed, hole);
		if (!err)
			err = memmap_mapped_set_insert_without_merging(
				segments, memmap_mapped_set_find_gap(segments, hole.start), hole,
				mappings_view(c->set->index, hole), NULL);
		memmap_assert(err == 0);
	}
}

static int add_by_index(struct mapping_change *c)
{
	size_t nr_holes = change_nr_holes(c);
	int err = mapping_index_reserve(c->set->index);
	if (!err && nr_holes > 0)
		err = memmap_mapped_set_reserve(&c->set->segments, nr_holes + 2);
	if (!err && c->changed)
		err = memmap_mappable_ranges_reserve(c->changed, nr_holes);
	if (!err)
		err = change_part(c);
	if (err)
		return err;

	if (nr_holes > 0) {
		change_fill_holes(c);
		change_find_edges(c);
	}
	mapping_index_add(c->set->index, &c->key, c->mr, change_count_edge, c);
	return 0;
}

int memmap_mapping_set_add_mapping(struct memmap_mapping_set *set, struct memmap_mapping_space *ms,
				   struct memmap_addr_range ar, uint64_t offset, bool writable,
				   struct memmap_mappable_ranges *newly_mapped)
{
	struct mapping_change c =
		change_make(__func__, set, ms, ar, offset, writable, newly_mapped);
	c.first = memmap_mapped_set_find_segment(&set->segments, offset);
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

/* How many segments are left without mappings, once what goes is muted. */
static size_t change_nr_emptied(const struct mapping_change *c)
{
	const struct memmap_mapped_set *segments = &c->set->segments;
	size_t nr = 0;
	uint64_t at = c->mr.start;
	for (struct memmap_mappable_range hole;
	     mapping_index_next_hole(c->set->index, &at, c->mr.end, &hole);) {
		segment_iterator seg = memmap_mapped_set_lower_bound_segment(segments, hole.start);
		for (;
		     memmap_mapped_iterator_ok(seg) && memmap_mapped_iterator_start(seg) < hole.end;
		     seg = memmap_mapped_iterator_next_segment(seg))
			nr++;
	}
	return nr;
}

static void change_remove_emptied(const struct mapping_change *c)
{
	struct memmap_mapped_set *segments = &c->set->segments;
	uint64_t at = c->mr.start;
	for (struct memmap_mappable_range hole;
	     mapping_index_next_hole(c->set->index, &at, c->mr.end, &hole);) {
		segment_iterator seg = memmap_mapped_set_lower_bound_segment(segments, hole.start);
		while (memmap_mapped_iterator_ok(seg) &&
		       memmap_mapped_iterator_start(seg) < hole.end) {
			if (c->changed) {
				int err = memmap_mappable_ranges_append(
					c->changed, memmap_mapped_iterator_range(seg));
				memmap_assert(err == 0);
			}
			seg = memmap_mapped_gap_iterator_next_segment(
				memmap_mapped_set_remove(segments, seg));
		}
	}
}

/* Would the two merge, now that the index has changed? Terminal iterators do not. */
static bool change_merges(segment_iterator low, segment_iterator high)
{
	return memmap_mapped_iterator_ok(low) && memmap_mapped_iterator_ok(high) &&
	       view_of(low)->nr_ends == 0 && view_of(high)->nr_begins == 0 &&
	       memmap_mapped_iterator_end(low) == memmap_mapped_iterator_start(high);
}

/* Merge the segments at the edges with those outside. */
static void change_merge(struct mapping_change *c)
{
	struct memmap_mapped_set *segments = &c->set->segments;
	if (memmap_mapped_iterator_ok(c->last)) {
		segment_iterator next = memmap_mapped_iterator_next_segment(c->last);
		if (change_merges(c->last, next)) {
			memmap_mapped_set_merge_unchecked(segments, c->last, next);
			c->first = memmap_mapped_set_find_segment(segments, c->mr.start);
		}
	}
	if (memmap_mapped_iterator_ok(c->first)) {
		segment_iterator prev = memmap_mapped_iterator_prev_segment(c->first);
		if (change_merges(prev, c->first))
			memmap_mapped_set_merge_unchecked(segments, prev, c->first);
	}
}

/*
 * Where both edges of the range are edges of whole pieces, this takes no memory: there the segments
 * are apart already, and index and segments only lose nodes.
 */
static int remove_by_index(struct mapping_change *c)
{
	int err = mapping_index_reserve_cut(c->set->index, &c->key, c->mr);
	if (err)
		return err;
	bool any_muted = change_mute(c, true);
	size_t nr_emptied = any_muted ? change_nr_emptied(c) : 0;
	if (c->changed)
		err = memmap_mappable_ranges_reserve(c->changed, nr_emptied);
	if (!err)
		err = change_part(c);
	if (!err && nr_emptied > 0) {
		change_remove_emptied(c);
		change_find_edges(c);
	}
	if (any_muted)
		change_mute(c, false);
	if (err)
		return err;
	mapping_index_cut(c->set->index, &c->key, c->mr, change_count_edge, c);
	change_merge(c);
	return 0;
}

int memmap_mapping_set_remove_mapping(struct memmap_mapping_set *set,
				      struct memmap_mapping_space *ms, struct memmap_addr_range ar,
				      uint64_t offset, bool writable,
				      struct memmap_mappable_ranges *newly_unmapped)
{
	struct mapping_change c =
		change_make(__func__, set, ms, ar, offset, writable, newly_unmapped);
	c.first = memmap_mapped_set_find_segment(&set->segments, offset);
	if (!memmap_mapped_iterator_ok(c.first)) {
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
