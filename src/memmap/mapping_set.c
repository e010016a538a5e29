/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reverse map: adding, removing and invalidating mappings.
 *
 * Each segment owns a set of its mappings. A change that may run out of memory is made in two
 * steps: first everything that can fail (room in the tree and in the segments' sets, and the two
 * halves of each segment that an edge of the range parts), then what cannot.
 *
 * Locking: none; see <memmap/mapping_set.h>.
 */
#include <memmap/mapping_set.h>

#include <errno.h>
#include <string.h>

#include <memmap/error.h>

#include "memmap/mappings_of_range.h"

/* clang-format off */
#define SEGMENT_PREFIX memmap_mapping
#define SEGMENT_RANGE memmap_mappable_range
#define SEGMENT_VALUE struct memmap_mappings_of_range
#define SEGMENT_CLEAR_VALUE memmap_mappings_of_range_clear
#define SEGMENT_MERGE memmap_mappings_of_range_merge
#define SEGMENT_SPLIT memmap_mappings_of_range_split
#define SEGMENT_UNSPLIT memmap_mappings_of_range_unsplit
#define SEGMENT_DUP_VALUE memmap_mappings_of_range_duplicate
#define SEGMENT_LINKAGE
#define SEGMENT_IMPLEMENT_ONLY
#include <memmap/segment_set.h>
/* clang-format on */

/*
 * ---- Reading a segment ----
 */

size_t memmap_mapping_iterator_nr_mappings(struct memmap_mapping_iterator it)
{
	return memmap_mappings_of_range_count(memmap_mapping_iterator_value_ptr(it));
}

size_t memmap_mapping_iterator_mappings(struct memmap_mapping_iterator it,
					struct memmap_mapping_of_range *out, size_t cap)
{
	return memmap_mappings_of_range_list(memmap_mapping_iterator_value_ptr(it), out, cap);
}

bool memmap_mapping_iterator_has_mapping(struct memmap_mapping_iterator it,
					 struct memmap_mapping_of_range m)
{
	return memmap_mappings_of_range_contains(memmap_mapping_iterator_value_ptr(it), m);
}

/*
 * ---- Changes ----
 */

/* A mapping that is being added or removed, and what was prepared for it. */
struct change {
	struct memmap_mapping_set *set;
	struct memmap_mapping_space *ms;
	uint64_t addr;
	bool writable;
	struct memmap_mappable_range mr;
	/*
	 * The segments that are parted by an edge of `mr`, and what they become:
	 *
	 *   mr                     |===========|
	 *   segments      |............|   |......|       two of them, two parts each
	 *                 | part 0 | 1 |   | 2 |3 |
	 *
	 *   segments      |.......................|       one of them, three parts
	 *                 | part 0 |     1     |2 |
	 */
	size_t nr_parts;
	struct memmap_mappable_range ranges[4];
	struct memmap_mappings_of_range parts[4];
};

static void change_init(struct change *c, const char *function, struct memmap_mapping_set *set,
			struct memmap_mapping_space *ms, struct memmap_addr_range ar,
			uint64_t offset, bool writable)
{
	char text[MEMMAP_RANGE_FORMAT_SIZE];
	memmap_addr_range_format(ar, text, sizeof(text));
	if (!ms)
		memmap_panic("%s: no mapping space for %s", function, text);
	if (ar.start >= ar.end || !memmap_is_page_aligned(ar.start) ||
	    !memmap_is_page_aligned(ar.end))
		memmap_panic("%s: addresses %s are empty or not page-aligned", function, text);
	if (!memmap_is_page_aligned(offset))
		memmap_panic("%s: offset 0x%" PRIx64 " is not page-aligned", function, offset);
	uint64_t end;
	if (__builtin_add_overflow(offset, memmap_addr_range_length(ar), &end))
		memmap_panic("%s: the offsets of %s from 0x%" PRIx64 " overflow", function, text,
			     offset);
	*c = (struct change){
		.set = set,
		.ms = ms,
		.addr = ar.start,
		.writable = writable,
		.mr = {offset, end},
	};
}

static struct memmap_mapping_of_range change_mapping(const struct change *c,
						     struct memmap_mappable_range segment)
{
	return memmap_subset_mapping(c->mr, segment, c->ms, c->addr, c->writable);
}

static void change_abort(struct change *c)
{
	for (size_t i = 0; i < c->nr_parts; i++)
		memmap_mappings_of_range_clear(&c->parts[i]);
	c->nr_parts = 0;
}

static int change_part_range(struct change *c, struct memmap_mappable_range r,
			     const struct memmap_mappings_of_range *v, uint64_t at)
{
	size_t n = c->nr_parts;
	int err = memmap_mappings_of_range_parted(r, v, at, &c->parts[n], &c->parts[n + 1]);
	if (err)
		return err;
	c->ranges[n] = (struct memmap_mappable_range){r.start, at};
	c->ranges[n + 1] = (struct memmap_mappable_range){at, r.end};
	c->nr_parts += 2;
	return 0;
}

/* Part, beside the set, what the edges of the range part. On failure all is for change_abort(). */
static int change_part(struct change *c)
{
	int err = 0;
	struct memmap_mapping_iterator seg = memmap_mapping_set_find_segment(c->set, c->mr.start);
	if (memmap_mapping_iterator_ok(seg) &&
	    memmap_mappable_range_can_split_at(memmap_mapping_iterator_range(seg), c->mr.start))
		err = change_part_range(c, memmap_mapping_iterator_range(seg),
					memmap_mapping_iterator_value_ptr(seg), c->mr.start);
	if (err)
		return err;
	if (c->nr_parts > 0 && memmap_mappable_range_can_split_at(c->ranges[1], c->mr.end)) {
		/* The second part has two parts itself. */
		struct memmap_mappings_of_range rest = c->parts[1];
		struct memmap_mappable_range rest_range = c->ranges[1];
		c->nr_parts = 1;
		err = change_part_range(c, rest_range, &rest, c->mr.end);
		memmap_mappings_of_range_clear(&rest);
		return err;
	}
	seg = memmap_mapping_set_find_segment(c->set, c->mr.end);
	if (memmap_mapping_iterator_ok(seg) &&
	    memmap_mappable_range_can_split_at(memmap_mapping_iterator_range(seg), c->mr.end))
		err = change_part_range(c, memmap_mapping_iterator_range(seg),
					memmap_mapping_iterator_value_ptr(seg), c->mr.end);
	return err;
}

/* Put the parts in their segments' places. The set has reserved two insertions for it. */
static void change_commit_parts(struct change *c)
{
	for (size_t i = 0; i < c->nr_parts; i++) {
		struct memmap_mapping_iterator seg =
			memmap_mapping_set_find_segment(c->set, c->ranges[i].start);
		if (memmap_mapping_iterator_ok(seg)) {
			struct memmap_mappings_of_range *v = memmap_mapping_iterator_value_ptr(seg);
			memmap_mappings_of_range_clear(v);
			*v = c->parts[i];
			memmap_mapping_iterator_set_end_unchecked(seg, c->ranges[i].end);
			continue;
		}
		int err = memmap_mapping_set_insert_without_merging(
			c->set, memmap_mapping_set_find_gap(c->set, c->ranges[i].start),
			c->ranges[i], c->parts[i], &seg);
		memmap_assert(err == 0);
	}
	c->nr_parts = 0;
}

/* How many gaps of the set the range meets. */
static size_t change_nr_gaps(const struct change *c)
{
	size_t nr = 0;
	struct memmap_mapping_gap_iterator gap =
		memmap_mapping_set_lower_bound_gap(c->set, c->mr.start);
	for (; memmap_mapping_gap_iterator_ok(gap) &&
	       memmap_mapping_gap_iterator_start(gap) < c->mr.end;
	     gap = memmap_mapping_gap_iterator_next_gap(gap))
		nr += !memmap_mapping_gap_iterator_is_empty(gap);
	return nr;
}

/* Room for the mapping in each segment of the range that it parts nowhere. */
static int change_reserve_mappings(const struct change *c)
{
	struct memmap_mapping_iterator seg =
		memmap_mapping_set_lower_bound_segment(c->set, c->mr.start);
	for (; memmap_mapping_iterator_ok(seg) && memmap_mapping_iterator_start(seg) < c->mr.end;
	     seg = memmap_mapping_iterator_next_segment(seg)) {
		struct memmap_mappings_of_range *v = memmap_mapping_iterator_value_ptr(seg);
		if (!memmap_mappable_range_is_superset_of(c->mr,
							  memmap_mapping_iterator_range(seg)))
			continue;
		int err =
			memmap_mappings_of_range_reserve(v, memmap_mappings_of_range_count(v) + 1);
		if (err)
			return err;
	}
	return 0;
}

int memmap_mapping_set_add_mapping(struct memmap_mapping_set *set, struct memmap_mapping_space *ms,
				   struct memmap_addr_range ar, uint64_t offset, bool writable,
				   struct memmap_mappable_ranges *newly_mapped)
{
	struct change c;
	change_init(&c, __func__, set, ms, ar, offset, writable);

	/* Two segments may be parted, and a new one beside an empty one merges and parts again. */
	size_t nr_gaps = change_nr_gaps(&c);
	int err = memmap_mapping_set_reserve(set, nr_gaps + 2);
	if (!err && newly_mapped)
		err = memmap_mappable_ranges_reserve(newly_mapped, nr_gaps);
	if (!err)
		err = change_reserve_mappings(&c);
	if (!err)
		err = change_part(&c);
	if (err) {
		change_abort(&c);
		return err;
	}

	change_commit_parts(&c);
	struct memmap_mapping_iterator seg;
	struct memmap_mapping_gap_iterator gap;
	memmap_mapping_set_find(set, c.mr.start, &seg, &gap);
	while (err == 0) {
		if (memmap_mapping_iterator_ok(seg) &&
		    memmap_mapping_iterator_start(seg) < c.mr.end) {
			/* Parts a segment without mappings only, which needs no memory. */
			err = memmap_mapping_set_isolate(set, seg, c.mr, &seg);
			if (!err)
				err = memmap_mappings_of_range_add(
					memmap_mapping_iterator_value_ptr(seg),
					change_mapping(&c, memmap_mapping_iterator_range(seg)));
			memmap_mapping_iterator_next_non_empty(seg, &seg, &gap);
		} else if (memmap_mapping_gap_iterator_ok(gap) &&
			   memmap_mapping_gap_iterator_start(gap) < c.mr.end) {
			struct memmap_mappable_range r = memmap_mappable_range_intersect(
				memmap_mapping_gap_iterator_range(gap), c.mr);
			struct memmap_mappings_of_range none;
			memmap_mappings_of_range_init(&none, set->allocator);
			if (newly_mapped)
				err = memmap_mappable_ranges_append(newly_mapped, r);
			if (!err)
				err = memmap_mapping_set_insert(set, gap, r, none, &seg);
			gap = (struct memmap_mapping_gap_iterator){0};
		} else {
			return 0;
		}
	}
	memmap_panic("%s: ran out of memory that was reserved", __func__);
}

/* Does `v`, the value of `segment`, have no mapping but the one that goes? */
static bool change_empties(const struct change *c, struct memmap_mappable_range segment,
			   const struct memmap_mappings_of_range *v)
{
	size_t nr = memmap_mappings_of_range_count(v);
	return nr == 0 ||
	       (nr == 1 && memmap_mappings_of_range_contains(v, change_mapping(c, segment)));
}

/* How many segments of the range have no mapping left once this one is gone. */
static size_t change_nr_emptied(const struct change *c)
{
	size_t nr = 0;
	for (size_t i = 0; i < c->nr_parts; i++)
		nr += memmap_mappable_range_is_superset_of(c->mr, c->ranges[i]) &&
		      change_empties(c, c->ranges[i], &c->parts[i]);
	struct memmap_mapping_iterator seg =
		memmap_mapping_set_lower_bound_segment(c->set, c->mr.start);
	for (; memmap_mapping_iterator_ok(seg) && memmap_mapping_iterator_start(seg) < c->mr.end;
	     seg = memmap_mapping_iterator_next_segment(seg)) {
		struct memmap_mappable_range r = memmap_mapping_iterator_range(seg);
		nr += memmap_mappable_range_is_superset_of(c->mr, r) &&
		      change_empties(c, r, memmap_mapping_iterator_value_ptr(seg));
	}
	return nr;
}

int memmap_mapping_set_remove_mapping(struct memmap_mapping_set *set,
				      struct memmap_mapping_space *ms, struct memmap_addr_range ar,
				      uint64_t offset, bool writable,
				      struct memmap_mappable_ranges *newly_unmapped)
{
	struct change c;
	change_init(&c, __func__, set, ms, ar, offset, writable);
	if (!memmap_mapping_iterator_ok(memmap_mapping_set_find_segment(set, offset))) {
		char text[MEMMAP_RANGE_FORMAT_SIZE];
		memmap_panic("%s(%s): no segment contains 0x%" PRIx64, __func__,
			     memmap_mappable_range_format(c.mr, text, sizeof(text)), offset);
	}

	int err = memmap_mapping_set_reserve(set, 2);
	if (!err)
		err = change_part(&c);
	if (!err && newly_unmapped)
		err = memmap_mappable_ranges_reserve(newly_unmapped, change_nr_emptied(&c));
	if (err) {
		change_abort(&c);
		return err;
	}

	change_commit_parts(&c);
	struct memmap_mapping_iterator seg = memmap_mapping_set_find_segment(set, c.mr.start);
	while (memmap_mapping_iterator_ok(seg) && memmap_mapping_iterator_start(seg) < c.mr.end) {
		struct memmap_mappable_range r = memmap_mapping_iterator_range(seg);
		struct memmap_mappings_of_range *v = memmap_mapping_iterator_value_ptr(seg);
		memmap_mappings_of_range_remove(v, change_mapping(&c, r));
		if (memmap_mappings_of_range_count(v) > 0) {
			seg = memmap_mapping_iterator_next_segment(seg);
			continue;
		}
		if (newly_unmapped) {
			err = memmap_mappable_ranges_append(newly_unmapped, r);
			memmap_assert(err == 0);
		}
		seg = memmap_mapping_gap_iterator_next_segment(memmap_mapping_set_remove(set, seg));
	}
	memmap_mapping_set_merge_adjacent(set, c.mr);
	return 0;
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
	struct memmap_mapping_of_range part = memmap_subset_mapping(i->segment, i->range, m.space,
								    m.addr_range.start, m.writable);
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
	struct memmap_mapping_iterator seg = memmap_mapping_set_lower_bound_segment(set, mr.start);
	for (; memmap_mapping_iterator_ok(seg) && memmap_mapping_iterator_start(seg) < mr.end;
	     seg = memmap_mapping_iterator_next_segment(seg)) {
		struct invalidation i = {.segment = memmap_mapping_iterator_range(seg),
					 .opts = opts};
		i.range = memmap_mappable_range_intersect(i.segment, mr);
		memmap_mappings_of_range_visit(memmap_mapping_iterator_value_ptr(seg),
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
	struct memmap_mapping_iterator seg = memmap_mapping_set_first_segment(set);
	for (; memmap_mapping_iterator_ok(seg); seg = memmap_mapping_iterator_next_segment(seg))
		memmap_mappings_of_range_visit(memmap_mapping_iterator_value_ptr(seg),
					       invalidate_whole, &opts);
}
