/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a mapping set has in common with every segment set: each function is that of the segments
 * inside. Those that give segments other values or ranges, or remove them, see to it that the index
 * learns of it, or is known not to agree.
 *
 * Locking: none; see <memmap/mapping_set.h>.
 */
#include "memmap/mapping_set_internal.h"

#include <errno.h>

#include <memmap/error.h>

typedef struct memmap_mapping_set mapping_set;
typedef struct memmap_mapping_iterator iterator;
typedef struct memmap_mapping_gap_iterator gap_iterator;
typedef struct memmap_mappings_of_range mappings;
typedef struct memmap_mappable_range range;

/* Terminal iterators are all zeros, so that they are equal. */
static iterator outer(const mapping_set *s, segment_iterator at)
{
	iterator it = {at, (mapping_set *)s};
	return memmap_mapped_iterator_ok(at) ? it : (iterator){0};
}

static gap_iterator outer_gap(const mapping_set *s, segment_gap at)
{
	gap_iterator gap = {at, (mapping_set *)s};
	return memmap_mapped_gap_iterator_ok(at) ? gap : (gap_iterator){0};
}

/* For results that a caller need not want. */
static int give(int err, const mapping_set *s, segment_iterator at, iterator *out)
{
	if (err >= 0 && out)
		*out = outer(s, at);
	return err;
}

static int give_gap(int err, const mapping_set *s, segment_gap at, gap_iterator *out)
{
	if (err >= 0 && out)
		*out = outer_gap(s, at);
	return err;
}

/*
 * ---- The set ----
 */

void memmap_mapping_set_init(mapping_set *s, const struct memmap_allocator *allocator)
{
	memmap_mapped_set_init(&s->segments, allocator);
	s->index = NULL;
}

static void drop_index(mapping_set *s)
{
	mapping_index_put(s->index);
	s->index = NULL;
}

void memmap_mapping_set_destroy(mapping_set *s)
{
	memmap_mapped_set_destroy(&s->segments);
	drop_index(s);
}

bool memmap_mapping_set_is_empty(const mapping_set *s)
{
	return memmap_mapped_set_is_empty(&s->segments);
}

bool memmap_mapping_set_is_empty_range(const mapping_set *s, range r)
{
	return memmap_mapped_set_is_empty_range(&s->segments, r);
}

uint64_t memmap_mapping_set_span(const mapping_set *s)
{
	return memmap_mapped_set_span(&s->segments);
}

uint64_t memmap_mapping_set_span_range(const mapping_set *s, range r)
{
	return memmap_mapped_set_span_range(&s->segments, r);
}

/*
 * ---- Finding ----
 */

iterator memmap_mapping_set_first_segment(const mapping_set *s)
{
	return outer(s, memmap_mapped_set_first_segment(&s->segments));
}

iterator memmap_mapping_set_last_segment(const mapping_set *s)
{
	return outer(s, memmap_mapped_set_last_segment(&s->segments));
}

gap_iterator memmap_mapping_set_first_gap(const mapping_set *s)
{
	return outer_gap(s, memmap_mapped_set_first_gap(&s->segments));
}

gap_iterator memmap_mapping_set_last_gap(const mapping_set *s)
{
	return outer_gap(s, memmap_mapped_set_last_gap(&s->segments));
}

bool memmap_mapping_set_find(const mapping_set *s, uint64_t key, iterator *seg, gap_iterator *gap)
{
	segment_iterator at;
	segment_gap gap_at;
	bool found = memmap_mapped_set_find(&s->segments, key, &at, &gap_at);
	*seg = outer(s, at);
	*gap = outer_gap(s, gap_at);
	return found;
}

iterator memmap_mapping_set_find_segment(const mapping_set *s, uint64_t key)
{
	return outer(s, memmap_mapped_set_find_segment(&s->segments, key));
}

gap_iterator memmap_mapping_set_find_gap(const mapping_set *s, uint64_t key)
{
	return outer_gap(s, memmap_mapped_set_find_gap(&s->segments, key));
}

iterator memmap_mapping_set_lower_bound_segment(const mapping_set *s, uint64_t min)
{
	return outer(s, memmap_mapped_set_lower_bound_segment(&s->segments, min));
}

iterator memmap_mapping_set_upper_bound_segment(const mapping_set *s, uint64_t max)
{
	return outer(s, memmap_mapped_set_upper_bound_segment(&s->segments, max));
}

gap_iterator memmap_mapping_set_lower_bound_gap(const mapping_set *s, uint64_t min)
{
	return outer_gap(s, memmap_mapped_set_lower_bound_gap(&s->segments, min));
}

gap_iterator memmap_mapping_set_upper_bound_gap(const mapping_set *s, uint64_t max)
{
	return outer_gap(s, memmap_mapped_set_upper_bound_gap(&s->segments, max));
}

/*
 * ---- Inserting ----
 *
 * What is inserted owns its mappings, and so does then the segment before, that it may merge with:
 * one that owns its mappings takes in what comes after it in place.
 */

static int own_segment_before(segment_gap gap, range r)
{
	if (!memmap_mapped_gap_iterator_ok(gap))
		return 0; /* which inserting will complain of */
	segment_iterator prev = memmap_mapped_gap_iterator_prev_segment(gap);
	if (!memmap_mapped_iterator_ok(prev) || memmap_mapped_iterator_end(prev) != r.start)
		return 0;
	return mappings_own(memmap_mapped_iterator_value_ptr(prev), 0);
}

/*
 * What will be inserted for `value`: itself, or when it is a view, a copy that owns its mappings.
 * The caller's is gone after insert_done() without an error, the copy after one.
 */
static int insert_prepare(mapping_set *s, mappings *value, mappings *own)
{
	mapping_set_unsettle(s);
	if (value->view_of)
		return memmap_mappings_of_range_duplicate(value, own);
	*own = *value;
	return 0;
}

static int insert_done(int err, mappings *value, mappings *own)
{
	if (value->view_of)
		memmap_mappings_of_range_clear(err ? own : value);
	return err;
}

int memmap_mapping_set_insert(mapping_set *s, gap_iterator gap, range r, mappings value,
			      iterator *out)
{
	segment_iterator at = {0};
	mappings own;
	int err = own_segment_before(gap.at, r);
	if (!err)
		err = insert_prepare(s, &value, &own);
	if (err)
		return err;
	err = memmap_mapped_set_insert(&s->segments, gap.at, r, own, &at);
	return give(insert_done(err, &value, &own), s, at, out);
}

int memmap_mapping_set_insert_without_merging(mapping_set *s, gap_iterator gap, range r,
					      mappings value, iterator *out)
{
	segment_iterator at = {0};
	mappings own;
	int err = insert_prepare(s, &value, &own);
	if (err)
		return err;
	err = memmap_mapped_set_insert_without_merging(&s->segments, gap.at, r, own, &at);
	return give(insert_done(err, &value, &own), s, at, out);
}

int memmap_mapping_set_insert_without_merging_unchecked(mapping_set *s, gap_iterator gap, range r,
							mappings value, iterator *out)
{
	segment_iterator at = {0};
	mappings own;
	int err = insert_prepare(s, &value, &own);
	if (err)
		return err;
	err = memmap_mapped_set_insert_without_merging_unchecked(&s->segments, gap.at, r, own, &at);
	return give(insert_done(err, &value, &own), s, at, out);
}

int memmap_mapping_set_try_insert_range(mapping_set *s, range r, mappings value, iterator *out)
{
	segment_iterator at = {0};
	mappings own;
	int err = own_segment_before(memmap_mapped_set_find_gap(&s->segments, r.start), r);
	if (!err)
		err = insert_prepare(s, &value, &own);
	if (err)
		return err;
	err = memmap_mapped_set_try_insert_range(&s->segments, r, own, &at);
	return give(insert_done(err, &value, &own), s, at, out);
}

int memmap_mapping_set_insert_range(mapping_set *s, range r, mappings value, iterator *out)
{
	segment_iterator at = {0};
	mappings own;
	int err = own_segment_before(memmap_mapped_set_find_gap(&s->segments, r.start), r);
	if (!err)
		err = insert_prepare(s, &value, &own);
	if (err)
		return err;
	err = memmap_mapped_set_insert_range(&s->segments, r, own, &at);
	return give(insert_done(err, &value, &own), s, at, out);
}

int memmap_mapping_set_add(mapping_set *s, range r, mappings value)
{
	return memmap_mapping_set_try_insert_range(s, r, value, NULL);
}

int memmap_mapping_set_add_without_merging(mapping_set *s, range r, mappings value)
{
	mappings own;
	int err = insert_prepare(s, &value, &own);
	if (err)
		return err;
	err = memmap_mapped_set_add_without_merging(&s->segments, r, own);
	return insert_done(err, &value, &own);
}

int memmap_mapping_set_reserve(mapping_set *s, size_t n)
{
	return memmap_mapped_set_reserve(&s->segments, n);
}

/*
 * ---- Removing ----
 */

gap_iterator memmap_mapping_set_remove(mapping_set *s, iterator seg)
{
	range r = memmap_mapped_iterator_ok(seg.at) ? memmap_mapped_iterator_range(seg.at)
						    : (range){0, 0};
	gap_iterator gap = outer_gap(s, memmap_mapped_set_remove(&s->segments, seg.at));
	mapping_set_forget(s, r);
	return gap;
}

/* A view that cannot be made to own its mappings stays one, and keeps what it looks at. */
gap_iterator memmap_mapping_set_take(mapping_set *s, iterator seg, mappings *out)
{
	if (memmap_mapped_iterator_ok(seg.at)) {
		mappings *v = memmap_mapped_iterator_value_ptr(seg.at);
		mappings own;
		if (v->view_of && memmap_mappings_of_range_duplicate(v, &own) == 0) {
			range r = memmap_mapped_iterator_range(seg.at);
			gap_iterator gap =
				outer_gap(s, memmap_mapped_set_take(&s->segments, seg.at, out));
			*out = own;
			mapping_set_forget(s, r);
			return gap;
		}
		if (v->view_of) {
			v->in.view.keeps = true;
			v->view_of->nr_users++;
			v->view_of->unsettled = true;
		}
	}
	return outer_gap(s, memmap_mapped_set_take(&s->segments, seg.at, out));
}

void memmap_mapping_set_remove_all(mapping_set *s)
{
	memmap_mapped_set_remove_all(&s->segments);
	drop_index(s);
}

int memmap_mapping_set_remove_range(mapping_set *s, range r, gap_iterator *out)
{
	segment_gap at = {0};
	int err = memmap_mapped_set_remove_range(&s->segments, r, &at);
	if (!err)
		mapping_set_forget(s, r);
	return give_gap(err, s, at, out);
}

int memmap_mapping_set_remove_full_range(mapping_set *s, range r, gap_iterator *out)
{
	segment_gap at = {0};
	int err = memmap_mapped_set_remove_full_range(&s->segments, r, &at);
	if (!err)
		mapping_set_forget(s, r);
	return give_gap(err, s, at, out);
}

void memmap_mapping_set_move_from(mapping_set *s, mapping_set *s2)
{
	if (s == s2)
		return;
	memmap_mapped_set_move_from(&s->segments, &s2->segments);
	drop_index(s);
	s->index = s2->index;
	s2->index = NULL;
}

/*
 * ---- Merging and splitting ----
 */

iterator memmap_mapping_set_merge(mapping_set *s, iterator first, iterator second)
{
	return outer(s, memmap_mapped_set_merge(&s->segments, first.at, second.at));
}

iterator memmap_mapping_set_merge_unchecked(mapping_set *s, iterator first, iterator second)
{
	return outer(s, memmap_mapped_set_merge_unchecked(&s->segments, first.at, second.at));
}

iterator memmap_mapping_set_merge_prev(mapping_set *s, iterator seg)
{
	return outer(s, memmap_mapped_set_merge_prev(&s->segments, seg.at));
}

iterator memmap_mapping_set_merge_next(mapping_set *s, iterator seg)
{
	return outer(s, memmap_mapped_set_merge_next(&s->segments, seg.at));
}

iterator memmap_mapping_set_unisolate(mapping_set *s, iterator seg)
{
	return outer(s, memmap_mapped_set_unisolate(&s->segments, seg.at));
}

void memmap_mapping_set_merge_adjacent(mapping_set *s, range r)
{
	memmap_mapped_set_merge_adjacent(&s->segments, r);
}

void memmap_mapping_set_merge_outside_range(mapping_set *s, range r)
{
	memmap_mapped_set_merge_outside_range(&s->segments, r);
}

void memmap_mapping_set_merge_range(mapping_set *s, range r)
{
	memmap_mapped_set_merge_range(&s->segments, r);
}

void memmap_mapping_set_merge_inside_range(mapping_set *s, range r)
{
	memmap_mapped_set_merge_inside_range(&s->segments, r);
}

void memmap_mapping_set_merge_all(mapping_set *s)
{
	memmap_mapped_set_merge_all(&s->segments);
}

int memmap_mapping_set_split(mapping_set *s, iterator seg, uint64_t at, iterator *first,
			     iterator *second)
{
	segment_iterator low = {0}, high = {0};
	int err = memmap_mapped_set_split(&s->segments, seg.at, at, &low, &high);
	give(err, s, low, first);
	return give(err, s, high, second);
}

int memmap_mapping_set_split_unchecked(mapping_set *s, iterator seg, uint64_t at, iterator *first,
				       iterator *second)
{
	segment_iterator low = {0}, high = {0};
	int err = memmap_mapped_set_split_unchecked(&s->segments, seg.at, at, &low, &high);
	give(err, s, low, first);
	return give(err, s, high, second);
}

int memmap_mapping_set_split_at(mapping_set *s, uint64_t at)
{
	return memmap_mapped_set_split_at(&s->segments, at);
}

int memmap_mapping_set_split_before(mapping_set *s, iterator seg, uint64_t start, iterator *out)
{
	segment_iterator at = {0};
	return give(memmap_mapped_set_split_before(&s->segments, seg.at, start, &at), s, at, out);
}

int memmap_mapping_set_split_after(mapping_set *s, iterator seg, uint64_t end, iterator *out)
{
	segment_iterator at = {0};
	return give(memmap_mapped_set_split_after(&s->segments, seg.at, end, &at), s, at, out);
}

int memmap_mapping_set_isolate(mapping_set *s, iterator seg, range r, iterator *out)
{
	segment_iterator at = {0};
	return give(memmap_mapped_set_isolate(&s->segments, seg.at, r, &at), s, at, out);
}

/*
 * ---- Over ranges ----
 */

struct visit {
	const mapping_set *set;
	void (*apply)(iterator seg, void *arg);
	bool (*visit)(iterator seg, void *arg);
	void *arg;
};

static void visit_apply(segment_iterator seg, void *arg)
{
	const struct visit *v = arg;
	v->apply(outer(v->set, seg), v->arg);
}

static bool visit_visit(segment_iterator seg, void *arg)
{
	const struct visit *v = arg;
	return v->visit(outer(v->set, seg), v->arg);
}

int memmap_mapping_set_apply_contiguous(mapping_set *s, range r,
					void (*fn)(iterator seg, void *arg), void *arg,
					gap_iterator *out)
{
	segment_gap at = {0};
	struct visit v = {.set = s, .apply = fn, .arg = arg};
	int err = memmap_mapped_set_apply_contiguous(&s->segments, r, visit_apply, &v, &at);
	return give_gap(err, s, at, out);
}

void memmap_mapping_set_visit_range(const mapping_set *s, range r,
				    bool (*fn)(iterator seg, void *arg), void *arg)
{
	struct visit v = {.set = s, .visit = fn, .arg = arg};
	memmap_mapped_set_visit_range(&s->segments, r, visit_visit, &v);
}

void memmap_mapping_set_visit_full_range(const mapping_set *s, range r,
					 bool (*fn)(iterator seg, void *arg), void *arg)
{
	struct visit v = {.set = s, .visit = fn, .arg = arg};
	memmap_mapped_set_visit_full_range(&s->segments, r, visit_visit, &v);
}

int memmap_mapping_set_mutate_range(mapping_set *s, range r, bool (*fn)(iterator seg, void *arg),
				    void *arg)
{
	struct visit v = {.set = s, .visit = fn, .arg = arg};
	return memmap_mapped_set_mutate_range(&s->segments, r, visit_visit, &v);
}

int memmap_mapping_set_mutate_full_range(mapping_set *s, range r,
					 bool (*fn)(iterator seg, void *arg), void *arg)
{
	struct visit v = {.set = s, .visit = fn, .arg = arg};
	return memmap_mapped_set_mutate_full_range(&s->segments, r, visit_visit, &v);
}

/*
 * ---- Whole sets ----
 */

int memmap_mapping_set_export_sorted_slices(const mapping_set *s,
					    struct memmap_mapping_segment_data_slices *out)
{
	struct memmap_mapped_segment_data_slices slices;
	int err = memmap_mapped_set_export_sorted_slices(&s->segments, &slices);
	if (!err)
		*out = (struct memmap_mapping_segment_data_slices){slices.len, slices.start,
								   slices.end, slices.values};
	return err;
}

void memmap_mapping_segment_data_slices_release(struct memmap_mapping_segment_data_slices *slices)
{
	struct memmap_mapped_segment_data_slices inner = {slices->len, slices->start, slices->end,
							  slices->values};
	memmap_mapped_segment_data_slices_release(&inner);
	*slices = (struct memmap_mapping_segment_data_slices){0};
}

int memmap_mapping_set_import_sorted_slices(mapping_set *s,
					    const struct memmap_mapping_segment_data_slices *slices)
{
	const struct memmap_mapped_segment_data_slices inner = {slices->len, slices->start,
								slices->end, slices->values};
	int err = memmap_mapped_set_import_sorted_slices(&s->segments, &inner);
	if (err)
		return err;
	mapping_set_unsettle(s);
	/* So that a set restored needs no more memory than one built; if it cannot be, it waits. */
	(void)mapping_set_settle(s);
	return 0;
}

char *memmap_mapping_set_to_string(const mapping_set *s)
{
	return memmap_mapped_set_to_string(&s->segments);
}

/*
 * ---- Segment iterators ----
 */

bool memmap_mapping_iterator_ok(iterator seg)
{
	return memmap_mapped_iterator_ok(seg.at);
}

bool memmap_mapping_iterator_equal(iterator a, iterator b)
{
	return memmap_mapped_iterator_equal(a.at, b.at);
}

range memmap_mapping_iterator_range(iterator seg)
{
	return memmap_mapped_iterator_range(seg.at);
}

uint64_t memmap_mapping_iterator_start(iterator seg)
{
	return memmap_mapped_iterator_start(seg.at);
}

uint64_t memmap_mapping_iterator_end(iterator seg)
{
	return memmap_mapped_iterator_end(seg.at);
}

mappings memmap_mapping_iterator_value(iterator seg)
{
	return memmap_mapped_iterator_value(seg.at);
}

mappings *memmap_mapping_iterator_value_ptr(iterator seg)
{
	mappings *v = memmap_mapped_iterator_value_ptr(seg.at);
	mapping_set_unsettle(seg.set);
	return v;
}

void memmap_mapping_iterator_set_value(iterator seg, mappings value)
{
	memmap_mapped_iterator_set_value(seg.at, value);
	mapping_set_unsettle(seg.set);
}

void memmap_mapping_iterator_set_start(iterator seg, uint64_t start)
{
	memmap_mapped_iterator_set_start(seg.at, start);
	mapping_set_unsettle(seg.set);
}

void memmap_mapping_iterator_set_end(iterator seg, uint64_t end)
{
	memmap_mapped_iterator_set_end(seg.at, end);
	mapping_set_unsettle(seg.set);
}

void memmap_mapping_iterator_set_range(iterator seg, range r)
{
	memmap_mapped_iterator_set_range(seg.at, r);
	mapping_set_unsettle(seg.set);
}

void memmap_mapping_iterator_set_start_unchecked(iterator seg, uint64_t start)
{
	memmap_mapped_iterator_set_start_unchecked(seg.at, start);
	mapping_set_unsettle(seg.set);
}

void memmap_mapping_iterator_set_end_unchecked(iterator seg, uint64_t end)
{
	memmap_mapped_iterator_set_end_unchecked(seg.at, end);
	mapping_set_unsettle(seg.set);
}

void memmap_mapping_iterator_set_range_unchecked(iterator seg, range r)
{
	memmap_mapped_iterator_set_range_unchecked(seg.at, r);
	mapping_set_unsettle(seg.set);
}

iterator memmap_mapping_iterator_prev_segment(iterator seg)
{
	return outer(seg.set, memmap_mapped_iterator_prev_segment(seg.at));
}

iterator memmap_mapping_iterator_next_segment(iterator seg)
{
	return outer(seg.set, memmap_mapped_iterator_next_segment(seg.at));
}

gap_iterator memmap_mapping_iterator_prev_gap(iterator seg)
{
	return outer_gap(seg.set, memmap_mapped_iterator_prev_gap(seg.at));
}

gap_iterator memmap_mapping_iterator_next_gap(iterator seg)
{
	return outer_gap(seg.set, memmap_mapped_iterator_next_gap(seg.at));
}

void memmap_mapping_iterator_prev_non_empty(iterator it, iterator *seg, gap_iterator *gap)
{
	const mapping_set *s = it.set;
	segment_iterator at;
	segment_gap gap_at;
	memmap_mapped_iterator_prev_non_empty(it.at, &at, &gap_at);
	*seg = outer(s, at);
	*gap = outer_gap(s, gap_at);
}

void memmap_mapping_iterator_next_non_empty(iterator it, iterator *seg, gap_iterator *gap)
{
	const mapping_set *s = it.set;
	segment_iterator at;
	segment_gap gap_at;
	memmap_mapped_iterator_next_non_empty(it.at, &at, &gap_at);
	*seg = outer(s, at);
	*gap = outer_gap(s, gap_at);
}

/*
 * ---- Gap iterators ----
 */

bool memmap_mapping_gap_iterator_ok(gap_iterator gap)
{
	return memmap_mapped_gap_iterator_ok(gap.at);
}

bool memmap_mapping_gap_iterator_equal(gap_iterator a, gap_iterator b)
{
	return memmap_mapped_gap_iterator_equal(a.at, b.at);
}

range memmap_mapping_gap_iterator_range(gap_iterator gap)
{
	return memmap_mapped_gap_iterator_range(gap.at);
}

uint64_t memmap_mapping_gap_iterator_start(gap_iterator gap)
{
	return memmap_mapped_gap_iterator_start(gap.at);
}

uint64_t memmap_mapping_gap_iterator_end(gap_iterator gap)
{
	return memmap_mapped_gap_iterator_end(gap.at);
}

bool memmap_mapping_gap_iterator_is_empty(gap_iterator gap)
{
	return memmap_mapped_gap_iterator_is_empty(gap.at);
}

iterator memmap_mapping_gap_iterator_prev_segment(gap_iterator gap)
{
	return outer(gap.set, memmap_mapped_gap_iterator_prev_segment(gap.at));
}

iterator memmap_mapping_gap_iterator_next_segment(gap_iterator gap)
{
	return outer(gap.set, memmap_mapped_gap_iterator_next_segment(gap.at));
}

gap_iterator memmap_mapping_gap_iterator_prev_gap(gap_iterator gap)
{
	return outer_gap(gap.set, memmap_mapped_gap_iterator_prev_gap(gap.at));
}

gap_iterator memmap_mapping_gap_iterator_next_gap(gap_iterator gap)
{
	return outer_gap(gap.set, memmap_mapped_gap_iterator_next_gap(gap.at));
}
