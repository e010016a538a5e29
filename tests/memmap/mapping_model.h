/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A naive mapping set, to compare the real one with: an array of segments, each with an array of
 * mappings; every operation by linear search and copying, in the words of the reference.
 *
 * Positions stand in for iterators: a segment is its index, a gap the index of the segment after
 * it.
 */
#ifndef MEMMAP_TESTS_MEMMAP_MAPPING_MODEL_H
#define MEMMAP_TESTS_MEMMAP_MAPPING_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <memmap/memmap.h>

#define MODEL_MAX_MAPPINGS 64
#define MODEL_MAX_SEGMENTS 1024
#define MODEL_NONE         SIZE_MAX

typedef struct memmap_mappable_range model_range;
typedef struct memmap_mapping_of_range model_mapping;

struct model_value {
	size_t nr;
	model_mapping mappings[MODEL_MAX_MAPPINGS];
};

struct model_segment {
	model_range range;
	struct model_value value;
};

struct model_set {
	size_t nr;
	struct model_segment *segments;
};

struct model_ranges {
	size_t nr;
	model_range ranges[MODEL_MAX_SEGMENTS];
};

/* ---- Values ---- */

static inline size_t model_value_find(const struct model_value *v, model_mapping m)
{
	for (size_t i = 0; i < v->nr; i++) {
		if (memmap_mapping_of_range_equal(v->mappings[i], m))
			return i;
	}
	return MODEL_NONE;
}

static inline void model_value_add(struct model_value *v, model_mapping m)
{
	if (model_value_find(v, m) != MODEL_NONE)
		return;
	if (v->nr == MODEL_MAX_MAPPINGS)
		abort();
	v->mappings[v->nr++] = m;
}

static inline bool model_value_remove(struct model_value *v, model_mapping m)
{
	size_t i = model_value_find(v, m);
	if (i == MODEL_NONE)
		return false;
	v->mappings[i] = v->mappings[--v->nr];
	return true;
}

static inline model_mapping model_mapping_make(struct memmap_mapping_space *space, uint64_t start,
					       uint64_t end, bool writable)
{
	model_mapping m = {space, {start, end}, writable};
	return m;
}

static inline bool model_value_merge(model_range r2, const struct model_value *v1,
				     const struct model_value *v2, struct model_value *out)
{
	static struct model_value merged;
	merged.nr = 0;
	if (v1->nr != v2->nr)
		return false;
	for (size_t i = 0; i < v1->nr; i++) {
		model_mapping k1 = v1->mappings[i];
		uint64_t end = k1.addr_range.end + (r2.end - r2.start);
		if (model_value_find(v2, model_mapping_make(k1.space, k1.addr_range.end, end,
							    k1.writable)) == MODEL_NONE)
			return false;
		model_value_add(&merged, model_mapping_make(k1.space, k1.addr_range.start, end,
							    k1.writable));
	}
	*out = merged;
	return true;
}

static inline void model_value_split(model_range r, const struct model_value *v, uint64_t at,
				     struct model_value *low, struct model_value *high)
{
	low->nr = 0;
	high->nr = 0;
	for (size_t i = 0; i < v->nr; i++) {
		model_mapping k = v->mappings[i];
		uint64_t middle = k.addr_range.start + (at - r.start);
		model_value_add(
			low, model_mapping_make(k.space, k.addr_range.start, middle, k.writable));
		model_value_add(high,
				model_mapping_make(k.space, middle, k.addr_range.end, k.writable));
	}
}

/* ---- Segments ---- */

static inline void model_init(struct model_set *s)
{
	s->nr = 0;
	s->segments = malloc(MODEL_MAX_SEGMENTS * sizeof(*s->segments));
	if (!s->segments)
		abort();
}

static inline void model_destroy(struct model_set *s)
{
	free(s->segments);
	s->segments = NULL;
	s->nr = 0;
}

/* The first segment that ends after `key`. */
static inline size_t model_lower_bound(const struct model_set *s, uint64_t key)
{
	size_t i = 0;
	while (i < s->nr && s->segments[i].range.end <= key)
		i++;
	return i;
}

static inline size_t model_find(const struct model_set *s, uint64_t key)
{
	size_t i = model_lower_bound(s, key);
	return i < s->nr && s->segments[i].range.start <= key ? i : MODEL_NONE;
}

static inline model_range model_gap(const struct model_set *s, size_t gap)
{
	model_range r = {gap > 0 ? s->segments[gap - 1].range.end : 0,
			 gap < s->nr ? s->segments[gap].range.start : UINT64_MAX};
	return r;
}

static inline void model_insert_without_merging(struct model_set *s, size_t gap, model_range r,
						const struct model_value *v)
{
	if (s->nr == MODEL_MAX_SEGMENTS)
		abort();
	memmove(s->segments + gap + 1, s->segments + gap, (s->nr - gap) * sizeof(*s->segments));
	s->segments[gap].range = r;
	s->segments[gap].value = *v;
	s->nr++;
}

static inline void model_remove(struct model_set *s, size_t i)
{
	s->nr--;
	memmove(s->segments + i, s->segments + i + 1, (s->nr - i) * sizeof(*s->segments));
}

/* Merge segment `i` with the next. */
static inline bool model_merge(struct model_set *s, size_t i)
{
	if (i + 1 >= s->nr || s->segments[i].range.end != s->segments[i + 1].range.start ||
	    !model_value_merge(s->segments[i + 1].range, &s->segments[i].value,
			       &s->segments[i + 1].value, &s->segments[i].value))
		return false;
	s->segments[i].range.end = s->segments[i + 1].range.end;
	model_remove(s, i + 1);
	return true;
}

/* Where what was inserted is now. */
static inline size_t model_insert(struct model_set *s, size_t gap, model_range r,
				  const struct model_value *v)
{
	model_insert_without_merging(s, gap, r, v);
	if (gap > 0 && model_merge(s, gap - 1))
		gap--;
	model_merge(s, gap);
	return gap;
}

static inline void model_split(struct model_set *s, size_t i, uint64_t at)
{
	static struct model_value low, high;
	model_range r = s->segments[i].range;
	model_value_split(r, &s->segments[i].value, at, &low, &high);
	s->segments[i].range.end = at;
	s->segments[i].value = low;
	model_range second = {at, r.end};
	model_insert_without_merging(s, i + 1, second, &high);
}

static inline size_t model_isolate(struct model_set *s, size_t i, model_range r)
{
	if (memmap_mappable_range_can_split_at(s->segments[i].range, r.start))
		model_split(s, i++, r.start);
	if (memmap_mappable_range_can_split_at(s->segments[i].range, r.end))
		model_split(s, i, r.end);
	return i;
}

static inline void model_remove_range(struct model_set *s, model_range r)
{
	size_t i;
	while ((i = model_lower_bound(s, r.start)) < s->nr && s->segments[i].range.start < r.end)
		model_remove(s, model_isolate(s, i, r));
}

static inline void model_merge_range(struct model_set *s, model_range r)
{
	for (size_t i = model_lower_bound(s, r.start);
	     i + 1 < s->nr && s->segments[i + 1].range.start < r.end;)
		i += !model_merge(s, i);
}

static inline void model_merge_adjacent(struct model_set *s, model_range r)
{
	size_t i = model_find(s, r.start);
	if (i != MODEL_NONE && i > 0)
		model_merge(s, i - 1);
	i = model_find(s, r.end - 1);
	if (i != MODEL_NONE)
		model_merge(s, i);
}

/* ---- Mappings ---- */

static inline model_mapping model_subset(model_range whole, model_range subset,
					 struct memmap_mapping_space *ms, uint64_t addr,
					 bool writable)
{
	uint64_t start = addr + (subset.start - whole.start);
	return model_mapping_make(ms, start, start + (subset.end - subset.start), writable);
}

static inline void model_add_mapping(struct model_set *s, struct memmap_mapping_space *ms,
				     struct memmap_addr_range ar, uint64_t offset, bool writable,
				     struct model_ranges *mapped)
{
	static const struct model_value none;
	model_range mr = {offset, offset + (ar.end - ar.start)};
	mapped->nr = 0;
	for (uint64_t at = mr.start; at < mr.end;) {
		size_t i = model_find(s, at);
		if (i == MODEL_NONE) {
			i = model_lower_bound(s, at);
			model_range r = memmap_mappable_range_intersect(model_gap(s, i), mr);
			mapped->ranges[mapped->nr++] = r;
			i = model_insert(s, i, r, &none);
		}
		i = model_isolate(s, i, mr);
		model_value_add(&s->segments[i].value,
				model_subset(mr, s->segments[i].range, ms, ar.start, writable));
		at = s->segments[i].range.end;
	}
}

static inline void model_remove_mapping(struct model_set *s, struct memmap_mapping_space *ms,
					struct memmap_addr_range ar, uint64_t offset, bool writable,
					struct model_ranges *unmapped)
{
	model_range mr = {offset, offset + (ar.end - ar.start)};
	unmapped->nr = 0;
	size_t i = model_find(s, mr.start);
	while (i < s->nr && s->segments[i].range.start < mr.end) {
		i = model_isolate(s, i, mr);
		model_value_remove(&s->segments[i].value,
				   model_subset(mr, s->segments[i].range, ms, ar.start, writable));
		if (s->segments[i].value.nr == 0) {
			unmapped->ranges[unmapped->nr++] = s->segments[i].range;
			model_remove(s, i);
		} else {
			i++;
		}
	}
	model_merge_adjacent(s, mr);
}

/* Call `fn` for each call of invalidate() that invalidating `mr` makes. */
static inline void model_invalidate(const struct model_set *s, model_range mr,
				    void (*fn)(model_mapping m, void *arg), void *arg)
{
	for (size_t i = model_lower_bound(s, mr.start);
	     i < s->nr && s->segments[i].range.start < mr.end; i++) {
		const struct model_segment *seg = &s->segments[i];
		model_range part = memmap_mappable_range_intersect(seg->range, mr);
		for (size_t j = 0; j < seg->value.nr; j++) {
			model_mapping m = seg->value.mappings[j];
			fn(model_subset(seg->range, part, m.space, m.addr_range.start, m.writable),
			   arg);
		}
	}
}

#endif /* MEMMAP_TESTS_MEMMAP_MAPPING_MODEL_H */
