/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Keeping a mapping set's segments and its index in agreement; see mapping_set_internal.h for what
 * that means.
 *
 * Settling goes over the whole set in steps that each leave it showing what it showed: first views
 * that no longer stand for their segment get mappings of their own, then gaps and such segments are
 * cut out of the index and the segments' mappings go in. So running out of memory half way is no
 * harm; the next attempt finds less to do.
 */
#include "memmap/mapping_set_internal.h"

#include <errno.h>
#include <stdio.h>

#include <memmap/error.h>

static bool view_is_of(const struct memmap_mappings_of_range *v,
		       const struct memmap_mapping_index *index, struct memmap_mappable_range r)
{
	return v->view_of == index && !v->in.view.keeps && v->in.view.of.start == r.start &&
	       v->in.view.of.end == r.end;
}

void mapping_set_unsettle(struct memmap_mapping_set *set)
{
	/* Readers may come here side by side, asking for a value's place. */
	if (set->index && !__atomic_load_n(&set->index->unsettled, __ATOMIC_RELAXED))
		__atomic_store_n(&set->index->unsettled, true, __ATOMIC_RELAXED);
}

/* Cut `r` out of whatever the index has there. */
static int index_clear_range(struct memmap_mapping_index *index, struct memmap_mappable_range r,
			     mapping_edge_changed *changed, void *arg)
{
	struct mapping_piece *piece;
	while ((piece = mapping_index_any(index, r))) {
		struct mapping_key key = piece->key;
		int err = mapping_index_reserve_cut(index, &key, r);
		if (err)
			return err;
		mapping_index_cut(index, &key, r, changed, arg);
	}
	return 0;
}

void mapping_set_forget(struct memmap_mapping_set *set, struct memmap_mappable_range r)
{
	if (!set->index)
		return;
	/* Values that were taken out, and segments that moved, may still look at what is there. */
	if (set->index->unsettled || index_clear_range(set->index, r, mapping_set_count_edge, set))
		set->index->unsettled = true;
}

void mapping_set_count_edge(void *arg, uint64_t at, enum mapping_edge edge, ptrdiff_t change)
{
	const struct memmap_mapping_set *set = arg;
	segment_iterator seg = memmap_mapped_set_find_segment(&set->segments,
							      edge == MAPPING_BEGINS ? at : at - 1);
	/* The segment may have gone before its mappings do. */
	if (!memmap_mapped_iterator_ok(seg))
		return;
	struct memmap_mappings_view *view = &memmap_mapped_iterator_value_ptr(seg)->in.view;
	if (edge == MAPPING_BEGINS)
		view->nr_begins += (size_t)change;
	else
		view->nr_ends += (size_t)change;
}

/*
 * ---- Settling ----
 */

#define for_each_segment(seg, set)                                                                 \
	for (segment_iterator seg = memmap_mapped_set_first_segment(&(set)->segments);             \
	     memmap_mapped_iterator_ok(seg); seg = memmap_mapped_iterator_next_segment(seg))

/* An index that is the set's alone. */
static int settle_index(struct memmap_mapping_set *set)
{
	struct memmap_mapping_index *old = set->index, *index;
	if (old && old->nr_users == 1)
		return 0;
	index = old ? mapping_index_clone(old) : mapping_index_create(set->segments.allocator);
	if (!index)
		return -ENOMEM;
	for_each_segment(seg, set)
	{
		struct memmap_mappings_of_range *v = memmap_mapped_iterator_value_ptr(seg);
		if (old && v->view_of == old && !v->in.view.keeps)
			v->view_of = index;
	}
	if (!old)
		index->unsettled = !memmap_mapped_set_is_empty(&set->segments);
	mapping_index_put(old);
	set->index = index;
	return 0;
}

/* Views of anything but their own segment get mappings of their own. */
static int settle_views(struct memmap_mapping_set *set)
{
	for_each_segment(seg, set)
	{
		struct memmap_mappings_of_range *v = memmap_mapped_iterator_value_ptr(seg);
		if (!v->view_of || view_is_of(v, set->index, memmap_mapped_iterator_range(seg)))
			continue;
		int err = mappings_own(v, 0);
		if (err)
			return err;
	}
	return 0;
}

static bool is_as_long_as(struct memmap_mapping_of_range m, void *arg)
{
	const struct memmap_mappable_range *r = arg;
	return m.addr_range.end - m.addr_range.start == memmap_mappable_range_length(*r);
}

struct settling {
	struct memmap_mapping_index *index;
	struct memmap_mappable_range segment;
	int err;
};

static bool settle_mapping(struct memmap_mapping_of_range m, void *arg)
{
	struct settling *s = arg;
	struct mapping_key key = {m.space, m.addr_range.start - s->segment.start, m.writable};
	s->err = mapping_index_reserve(s->index);
	if (!s->err)
		mapping_index_add(s->index, &key, s->segment, NULL, NULL);
	return !s->err;
}

/* Have the index hold the mappings of a segment that owns them; 0 when it cannot express them. */
static int settle_segment(struct memmap_mapping_set *set, struct memmap_mappable_range r,
			  struct memmap_mappings_of_range *v)
{
	int err = index_clear_range(set->index, r, NULL, NULL);
	if (err)
		return err;
	if (memmap_mappings_of_range_count(v) == 0 ||
	    !memmap_mappings_of_range_visit(v, is_as_long_as, &r))
		return 0;
	struct settling s = {set->index, r, 0};
	if (!memmap_mappings_of_range_visit(v, settle_mapping, &s))
		return s.err;
	memmap_mappings_of_range_clear(v);
	*v = mappings_view(set->index, r);
	return 1;
}

/* The counts in the views, from the index. */
static void settle_counts(struct memmap_mapping_set *set)
{
	for_each_segment(seg, set)
	{
		struct memmap_mappings_of_range *v = memmap_mapped_iterator_value_ptr(seg);
		if (v->view_of)
			v->in.view.nr_begins = v->in.view.nr_ends = 0;
	}
	for (struct mapping_extent *extent = mapping_index_first_extent(set->index); extent;
	     extent = mapping_extent_next(extent)) {
		mapping_set_count_edge(set, extent->start, MAPPING_BEGINS,
				       (ptrdiff_t)extent->nr_pieces);
		mapping_set_count_edge(set, extent->end, MAPPING_ENDS,
				       (ptrdiff_t)extent->nr_pieces);
	}
}

int mapping_set_settle_slowly(struct memmap_mapping_set *set)
{
	int err = settle_index(set);
	if (err)
		return err;
	if (!set->index->unsettled)
		return 1;
	err = settle_views(set);
	uint64_t end = 0; /* of the segments so far */
	bool all = true;
	for_each_segment(seg, set)
	{
		struct memmap_mappable_range r = memmap_mapped_iterator_range(seg);
		struct memmap_mappings_of_range *v = memmap_mapped_iterator_value_ptr(seg);
		if (!err)
			err = index_clear_range(set->index,
						(struct memmap_mappable_range){end, r.start}, NULL,
						NULL);
		if (err)
			return err;
		end = r.end;
		if (v->view_of)
			continue;
		err = settle_segment(set, r, v);
		if (err < 0)
			return err;
		all = all && err > 0;
		err = 0;
	}
	if (!err)
		err = index_clear_range(set->index, (struct memmap_mappable_range){end, UINT64_MAX},
					NULL, NULL);
	if (err)
		return err;
	if (!all)
		return 0;
	settle_counts(set);
	set->index->unsettled = false;
	return 1;
}

/*
 * ---- Verifying ----
 */

static int broken(const char *what, struct memmap_mappable_range r)
{
	char text[MEMMAP_RANGE_FORMAT_SIZE];
	(void)fprintf(stderr, "mapping set: %s: %s\n",
		      memmap_mappable_range_format(r, text, sizeof(text)), what);
	return -EINVAL;
}

struct edge_count {
	struct memmap_mappable_range segment;
	size_t nr, nr_begins, nr_ends;
	bool covered;
};

static bool count_edges(const struct mapping_piece *piece, void *arg)
{
	struct edge_count *c = arg;
	c->nr++;
	c->nr_begins += piece->extent->start == c->segment.start;
	c->nr_ends += piece->extent->end == c->segment.end;
	c->covered = c->covered && piece->extent->end >= c->segment.end;
	return true;
}

static int verify_settled(const struct memmap_mapping_set *set)
{
	uint64_t end = 0; /* of the segments so far */
	size_t nr_begins = 0, nr_ends = 0;
	for_each_segment(seg, set)
	{
		struct memmap_mappable_range r = memmap_mapped_iterator_range(seg);
		const struct memmap_mappings_of_range *v = memmap_mapped_iterator_value_ptr(seg);
		if (!view_is_of(v, set->index, r))
			return broken("the value is no view of the segment", r);
		struct edge_count c = {.segment = r, .covered = true};
		mapping_index_visit(set->index, r.start, count_edges, &c);
		if (c.nr == 0)
			return broken("the segment has no mappings", r);
		if (!c.covered)
			return broken("a mapping ends inside the segment", r);
		if (c.nr_begins != v->in.view.nr_begins || c.nr_ends != v->in.view.nr_ends)
			return broken("the view miscounts the edges of mappings", r);
		struct memmap_mappable_range gap = {end, r.start};
		if (end < r.start && mapping_index_any(set->index, gap))
			return broken("something maps a gap", gap);
		end = r.end;
		nr_begins += c.nr_begins;
		nr_ends += c.nr_ends;
	}
	struct memmap_mappable_range gap = {end, UINT64_MAX};
	if (mapping_index_any(set->index, gap))
		return broken("something maps a gap", gap);
	if (nr_begins != set->index->nr_pieces || nr_ends != set->index->nr_pieces)
		return broken("a mapping has an edge inside a segment", gap);
	return 0;
}

int memmap_mapping_set_verify(const struct memmap_mapping_set *set)
{
	int err = memmap_mapped_set_verify(&set->segments);
	if (!err && set->index)
		err = mapping_index_verify(set->index);
	if (!err && set->index && mapping_set_is_settled(set))
		err = verify_settled(set);
	return err;
}
