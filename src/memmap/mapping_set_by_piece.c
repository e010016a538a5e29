/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Adding and removing a mapping segment by segment, each with a set of its own mappings: for sets
 * that were given segments whose mappings are not of their length, or that have none. What others
 * get from the index comes to the same, and faster.
 *
 * A change is made in two steps: first everything that can fail (room in the tree and in the
 * segments' sets, and the parts of each segment that an edge of the range parts), then what cannot.
 */
#include "memmap/mapping_set_internal.h"

#include <errno.h>

#include <memmap/error.h>

struct piecewise {
	const struct mapping_change *change;
	struct memmap_mapped_set *set;
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

static struct memmap_mapping_of_range piecewise_mapping(const struct piecewise *c,
							struct memmap_mappable_range segment)
{
	return mapping_of_subset(c->mr, segment, c->change->key.space, c->change->addr,
				 c->change->key.writable);
}

static void piecewise_abort(struct piecewise *c)
{
	for (size_t i = 0; i < c->nr_parts; i++)
		memmap_mappings_of_range_clear(&c->parts[i]);
	c->nr_parts = 0;
}

static int piecewise_part_range(struct piecewise *c, struct memmap_mappable_range r,
				const struct memmap_mappings_of_range *v, uint64_t at)
{
	size_t n = c->nr_parts;
	int err = mappings_parted(r, v, at, &c->parts[n], &c->parts[n + 1]);
	if (err)
		return err;
	c->ranges[n] = (struct memmap_mappable_range){r.start, at};
	c->ranges[n + 1] = (struct memmap_mappable_range){at, r.end};
	c->nr_parts += 2;
	return 0;
}

/*
 * Part, beside the set, what the edges of the range part. On failure all is for piecewise_abort().
 */
static int piecewise_part(struct piecewise *c)
{
	int err = 0;
	segment_iterator seg = memmap_mapped_set_find_segment(c->set, c->mr.start);
	if (memmap_mapped_iterator_ok(seg) &&
	    memmap_mappable_range_can_split_at(memmap_mapped_iterator_range(seg), c->mr.start))
		err = piecewise_part_range(c, memmap_mapped_iterator_range(seg),
					   memmap_mapped_iterator_value_ptr(seg), c->mr.start);
	if (err)
		return err;
	if (c->nr_parts > 0 && memmap_mappable_range_can_split_at(c->ranges[1], c->mr.end)) {
		/* The second part has two parts itself. */
		struct memmap_mappings_of_range rest = c->parts[1];
		struct memmap_mappable_range rest_range = c->ranges[1];
		c->nr_parts = 1;
		err = piecewise_part_range(c, rest_range, &rest, c->mr.end);
		memmap_mappings_of_range_clear(&rest);
		return err;
	}
	seg = memmap_mapped_set_find_segment(c->set, c->mr.end);
	if (memmap_mapped_iterator_ok(seg) &&
	    memmap_mappable_range_can_split_at(memmap_mapped_iterator_range(seg), c->mr.end))
		err = piecewise_part_range(c, memmap_mapped_iterator_range(seg),
					   memmap_mapped_iterator_value_ptr(seg), c->mr.end);
	return err;
}

/* Put the parts in their segments' places. The set has reserved two insertions for it. */
static void piecewise_commit_parts(struct piecewise *c)
{
	for (size_t i = 0; i < c->nr_parts; i++) {
		segment_iterator seg = memmap_mapped_set_find_segment(c->set, c->ranges[i].start);
		if (memmap_mapped_iterator_ok(seg)) {
			struct memmap_mappings_of_range *v = memmap_mapped_iterator_value_ptr(seg);
			memmap_mappings_of_range_clear(v);
			*v = c->parts[i];
			memmap_mapped_iterator_set_end_unchecked(seg, c->ranges[i].end);
			continue;
		}
		int err = memmap_mapped_set_insert_without_merging(
			c->set, memmap_mapped_set_find_gap(c->set, c->ranges[i].start),
			c->ranges[i], c->parts[i], &seg);
		memmap_assert(err == 0);
	}
	c->nr_parts = 0;
}

/* How many gaps of the set the range meets. */
static size_t piecewise_nr_gaps(const struct piecewise *c)
{
	size_t nr = 0;
	segment_gap gap = memmap_mapped_set_lower_bound_gap(c->set, c->mr.start);
	for (; memmap_mapped_gap_iterator_ok(gap) &&
	       memmap_mapped_gap_iterator_start(gap) < c->mr.end;
	     gap = memmap_mapped_gap_iterator_next_gap(gap))
		nr += !memmap_mapped_gap_iterator_is_empty(gap);
	return nr;
}

/* Room for the mapping in each segment of the range that it parts nowhere. */
static int piecewise_reserve_mappings(const struct piecewise *c)
{
	segment_iterator seg = memmap_mapped_set_lower_bound_segment(c->set, c->mr.start);
	for (; memmap_mapped_iterator_ok(seg) && memmap_mapped_iterator_start(seg) < c->mr.end;
	     seg = memmap_mapped_iterator_next_segment(seg)) {
		struct memmap_mappings_of_range *v = memmap_mapped_iterator_value_ptr(seg);
		if (!memmap_mappable_range_is_superset_of(c->mr, memmap_mapped_iterator_range(seg)))
			continue;
		int err = mappings_own(v, 1);
		if (err)
			return err;
	}
	return 0;
}

int mapping_set_add_by_piece(const struct mapping_change *change)
{
	struct piecewise c = {.change = change, .set = &change->set->segments, .mr = change->mr};

	/* Two segments may be parted, and a new one beside an empty one merges and parts again. */
	size_t nr_gaps = piecewise_nr_gaps(&c);
	int err = memmap_mapped_set_reserve(c.set, nr_gaps + 2);
	if (!err && change->changed)
		err = memmap_mappable_ranges_reserve(change->changed, nr_gaps);
	if (!err)
		err = piecewise_reserve_mappings(&c);
	if (!err)
		err = piecewise_part(&c);
	if (err) {
		piecewise_abort(&c);
		return err;
	}

	piecewise_commit_parts(&c);
	segment_iterator seg;
	segment_gap gap;
	memmap_mapped_set_find(c.set, c.mr.start, &seg, &gap);
	for (;;) {
		if (memmap_mapped_iterator_ok(seg) &&
		    memmap_mapped_iterator_start(seg) < c.mr.end) {
			/* Parts a segment without mappings only, which needs no memory. */
			err = memmap_mapped_set_isolate(c.set, seg, c.mr, &seg);
			memmap_assert(err == 0);
			err = memmap_mappings_of_range_add(
				memmap_mapped_iterator_value_ptr(seg),
				piecewise_mapping(&c, memmap_mapped_iterator_range(seg)));
			memmap_assert(err == 0);
			memmap_mapped_iterator_next_non_empty(seg, &seg, &gap);
		} else if (memmap_mapped_gap_iterator_ok(gap) &&
			   memmap_mapped_gap_iterator_start(gap) < c.mr.end) {
			struct memmap_mappable_range r = memmap_mappable_range_intersect(
				memmap_mapped_gap_iterator_range(gap), c.mr);
			struct memmap_mappings_of_range none;
			memmap_mappings_of_range_init(&none, c.set->allocator);
			if (change->changed)
				err = memmap_mappable_ranges_append(change->changed, r);
			memmap_assert(err == 0);
			err = memmap_mapped_set_insert(c.set, gap, r, none, &seg);
			memmap_assert(err == 0);
			gap = (segment_gap){0};
		} else {
			return 0;
		}
	}
}

/* Does `v`, the value of `segment`, have no mapping but the one that goes? */
static bool piecewise_empties(const struct piecewise *c, struct memmap_mappable_range segment,
			      const struct memmap_mappings_of_range *v)
{
	size_t nr = memmap_mappings_of_range_count(v);
	return nr == 0 ||
	       (nr == 1 && memmap_mappings_of_range_contains(v, piecewise_mapping(c, segment)));
}

/* How many segments of the range have no mapping left once this one is gone. */
static size_t piecewise_nr_emptied(const struct piecewise *c)
{
	size_t nr = 0;
	for (size_t i = 0; i < c->nr_parts; i++)
		nr += memmap_mappable_range_is_superset_of(c->mr, c->ranges[i]) &&
		      piecewise_empties(c, c->ranges[i], &c->parts[i]);
	segment_iterator seg = memmap_mapped_set_lower_bound_segment(c->set, c->mr.start);
	for (; memmap_mapped_iterator_ok(seg) && memmap_mapped_iterator_start(seg) < c->mr.end;
	     seg = memmap_mapped_iterator_next_segment(seg)) {
		struct memmap_mappable_range r = memmap_mapped_iterator_range(seg);
		nr += memmap_mappable_range_is_superset_of(c->mr, r) &&
		      piecewise_empties(c, r, memmap_mapped_iterator_value_ptr(seg));
	}
	return nr;
}

/*
 * Have each segment that overlaps or touches the range own its mappings, so that what goes and what
 * merges does so in place.
 */
static int piecewise_own(const struct piecewise *c)
{
	segment_iterator seg = memmap_mapped_set_lower_bound_segment(
		c->set, c->mr.start > 0 ? c->mr.start - 1 : 0);
	for (; memmap_mapped_iterator_ok(seg) && memmap_mapped_iterator_start(seg) <= c->mr.end;
	     seg = memmap_mapped_iterator_next_segment(seg)) {
		int err = mappings_own(memmap_mapped_iterator_value_ptr(seg), 0);
		if (err)
			return err;
	}
	return 0;
}

int mapping_set_remove_by_piece(const struct mapping_change *change)
{
	struct piecewise c = {.change = change, .set = &change->set->segments, .mr = change->mr};

	int err = memmap_mapped_set_reserve(c.set, 2);
	if (!err)
		err = piecewise_own(&c);
	if (!err)
		err = piecewise_part(&c);
	if (!err && change->changed)
		err = memmap_mappable_ranges_reserve(change->changed, piecewise_nr_emptied(&c));
	if (err) {
		piecewise_abort(&c);
		return err;
	}

	piecewise_commit_parts(&c);
	segment_iterator seg = memmap_mapped_set_find_segment(c.set, c.mr.start);
	while (memmap_mapped_iterator_ok(seg) && memmap_mapped_iterator_start(seg) < c.mr.end) {
		struct memmap_mappable_range r = memmap_mapped_iterator_range(seg);
		struct memmap_mappings_of_range *v = memmap_mapped_iterator_value_ptr(seg);
		memmap_mappings_of_range_remove(v, piecewise_mapping(&c, r));
		if (memmap_mappings_of_range_count(v) > 0) {
			seg = memmap_mapped_iterator_next_segment(seg);
			continue;
		}
		if (change->changed) {
			err = memmap_mappable_ranges_append(change->changed, r);
			memmap_assert(err == 0);
		}
		seg = memmap_mapped_gap_iterator_next_segment(memmap_mapped_set_remove(c.set, seg));
	}
	memmap_mapped_set_merge_adjacent(c.set, c.mr);
	return 0;
}
