/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random operations on a mapping set and on the naive model beside it, compared after each.
 *
 * Every operation that may run out of memory does so first, once for each allocation that it makes,
 * and must then have changed nothing.
 *
 *   mapping_set_model [SEED [ROUNDS]]     the seed is printed; with one given, only that is run
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <memmap/mapping_set.h>

#include "memmap/mapping_model.h"

#define PAGE      MEMMAP_PAGE_SIZE
#define NR_PAGES  32
#define NR_SPACES 3
#define STEPS     120

/* ---- Randomness ---- */

static uint64_t seed, random_state;

static uint64_t next_random(void)
{
	uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static uint64_t below(uint64_t n)
{
	return next_random() % n;
}

/* ---- Memory that ends ---- */

static size_t nr_allocated, allocations_left = SIZE_MAX;

static void *test_allocate(void *context, size_t size, size_t alignment)
{
	(void)context;
	if (allocations_left == 0)
		return NULL;
	if (allocations_left != SIZE_MAX)
		allocations_left--;
	nr_allocated++;
	return memmap_allocate(NULL, size, alignment);
}

static void test_deallocate(void *context, void *memory, size_t size)
{
	(void)context;
	nr_allocated--;
	memset(memory, 0xdd, size);
	memmap_deallocate(NULL, memory, size);
}

static const struct memmap_allocator test_allocator = {test_allocate, test_deallocate, NULL};

/* ---- The two sets ---- */

struct test_space {
	struct memmap_mapping_space space;
};

static struct test_space spaces[NR_SPACES];
static struct memmap_mapping_set set;
static struct model_set model;
static uint64_t base; /* the first offset in use */
static int step;
static const char *operation = "nothing";

static void fail(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));

static void print_mappings(const char *whose, model_range r, const model_mapping *mappings,
			   size_t nr)
{
	fprintf(stderr, "  %s [%" PRIx64 ", %" PRIx64 ")", whose, r.start, r.end);
	for (size_t i = 0; i < nr; i++)
		fprintf(stderr, " %d:[%" PRIx64 ", %" PRIx64 ")%s",
			(int)((struct test_space *)mappings[i].space - spaces),
			mappings[i].addr_range.start, mappings[i].addr_range.end,
			mappings[i].writable ? "w" : "");
	fprintf(stderr, "\n");
}

static void fail(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fprintf(stderr, "seed %" PRIu64 " step %d (%s): ", seed, step, operation);
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	va_end(args);
	for (struct memmap_mapping_iterator it = memmap_mapping_set_first_segment(&set);
	     memmap_mapping_iterator_ok(it); it = memmap_mapping_iterator_next_segment(it)) {
		model_mapping mappings[MODEL_MAX_MAPPINGS];
		size_t nr = memmap_mapping_iterator_mappings(it, mappings, MODEL_MAX_MAPPINGS);
		print_mappings("real ", memmap_mapping_iterator_range(it), mappings, nr);
	}
	for (size_t i = 0; i < model.nr; i++)
		print_mappings("model", model.segments[i].range, model.segments[i].value.mappings,
			       model.segments[i].value.nr);
	exit(1);
}

static int compare_mappings(const void *a, const void *b)
{
	const model_mapping *x = a, *y = b;
	if (x->addr_range.start != y->addr_range.start)
		return x->addr_range.start < y->addr_range.start ? -1 : 1;
	if (x->addr_range.end != y->addr_range.end)
		return x->addr_range.end < y->addr_range.end ? -1 : 1;
	if (x->space != y->space)
		return x->space < y->space ? -1 : 1;
	return (int)x->writable - (int)y->writable;
}

static bool equal_ranges(model_range a, model_range b)
{
	return a.start == b.start && a.end == b.end;
}

static void compare_value(const struct memmap_mappings_of_range *v, struct model_value *expected,
			  const char *what)
{
	model_mapping got[MODEL_MAX_MAPPINGS];
	if (memmap_mappings_of_range_count(v) != expected->nr ||
	    memmap_mappings_of_range_list(v, got, MODEL_MAX_MAPPINGS) != expected->nr)
		fail("%s: %zu mappings instead of %zu", what, memmap_mappings_of_range_count(v),
		     expected->nr);
	qsort(expected->mappings, expected->nr, sizeof(model_mapping), compare_mappings);
	for (size_t i = 0; i < expected->nr; i++) {
		if (!memmap_mapping_of_range_equal(got[i], expected->mappings[i]))
			fail("%s: mapping %zu differs", what, i);
		if (!memmap_mappings_of_range_contains(v, got[i]))
			fail("%s: mapping %zu is listed but not contained", what, i);
	}
	size_t half = expected->nr / 2;
	if (memmap_mappings_of_range_list(v, got, half) != expected->nr)
		fail("%s: a short list miscounts", what);
	for (size_t i = 0; i < half; i++) {
		if (!memmap_mapping_of_range_equal(got[i], expected->mappings[i]))
			fail("%s: mapping %zu of a short list differs", what, i);
	}
}

static void compare(void)
{
	if (memmap_mapping_set_verify(&set))
		fail("the set does not verify");
	struct memmap_mapping_iterator it = memmap_mapping_set_first_segment(&set);
	for (size_t i = 0; i < model.nr; i++) {
		if (!memmap_mapping_iterator_ok(it))
			fail("segment %zu is missing", i);
		if (!equal_ranges(memmap_mapping_iterator_range(it), model.segments[i].range))
			fail("segment %zu differs", i);
		if (memmap_mapping_iterator_nr_mappings(it) != model.segments[i].value.nr)
			fail("segment %zu: mappings miscounted", i);
		struct memmap_mappings_of_range v = memmap_mapping_iterator_value(it);
		compare_value(&v, &model.segments[i].value, "a segment");
		for (size_t j = 0; j < model.segments[i].value.nr; j++) {
			model_mapping m = model.segments[i].value.mappings[j];
			if (!memmap_mapping_iterator_has_mapping(it, m))
				fail("segment %zu: mapping %zu is not had", i, j);
			m.addr_range.end += PAGE;
			if (memmap_mapping_iterator_has_mapping(it, m) !=
			    (model_value_find(&model.segments[i].value, m) != MODEL_NONE))
				fail("segment %zu: a longer mapping is had or not", i);
		}
		it = memmap_mapping_iterator_next_segment(it);
	}
	if (memmap_mapping_iterator_ok(it))
		fail("there are segments too many");
}

/* Run `call` until it has the memory it needs; each time before, nothing must have changed. */
#define UNTIL_ENOUGH_MEMORY(err, call)                                                             \
	do {                                                                                       \
		for (size_t nr_ = 0;; nr_++) {                                                     \
			allocations_left = nr_;                                                    \
			err = (call);                                                              \
			allocations_left = SIZE_MAX;                                               \
			if (err != -ENOMEM)                                                        \
				break;                                                             \
			compare();                                                                 \
		}                                                                                  \
	} while (0)

/* ---- Things to operate with ---- */

static model_range random_range(void)
{
	uint64_t a = below(NR_PAGES), b = below(NR_PAGES);
	if (below(3) == 0) {
		b = a + below(3);
		b = b < NR_PAGES ? b : a;
	}
	if (b < a) {
		uint64_t c = a;
		a = b;
		b = c;
	}
	model_range r = {base + a * PAGE, base + (b + 1) * PAGE};
	return r;
}

static model_mapping random_mapping_of(model_range r)
{
	uint64_t delta = below(2) * 0x40 * PAGE + (below(8) == 0 ? -base - 8 * PAGE : 0);
	model_mapping m = {
		&spaces[below(NR_SPACES)].space, {r.start + delta, r.end + delta}, below(3) == 0};
	return m;
}

/* The addresses of a mapping must not wrap for add_mapping() and remove_mapping(). */
static model_mapping random_straight_mapping_of(model_range r)
{
	model_mapping m;
	do {
		m = random_mapping_of(r);
	} while (m.addr_range.start >= m.addr_range.end);
	return m;
}

static void value_add(struct memmap_mappings_of_range *v, struct model_value *w, model_mapping m)
{
	if (memmap_mappings_of_range_add(v, m))
		fail("adding to a value failed");
	model_value_add(w, m);
}

/* A value for `r`: of mappings of it, of mappings of something else, or of none. */
static struct memmap_mappings_of_range random_value(model_range r, struct model_value *w)
{
	struct memmap_mappings_of_range v;
	memmap_mappings_of_range_init(&v, &test_allocator);
	w->nr = 0;
	uint64_t kind = below(8);
	for (uint64_t nr = kind == 0 ? 0 : 1 + below(3); nr > 0; nr--)
		value_add(&v, w, random_mapping_of(kind == 1 ? random_range() : r));
	return v;
}

/* Segment number `i` of both sets. */
static struct memmap_mapping_iterator segment(size_t i)
{
	return memmap_mapping_set_find_segment(&set, model.segments[i].range.start);
}

static void compare_ranges(const struct memmap_mappable_ranges *got,
			   const struct model_ranges *expected)
{
	if (got->len != expected->nr)
		fail("%zu ranges reported instead of %zu", got->len, expected->nr);
	for (size_t i = 0; i < got->len; i++) {
		if (!equal_ranges(got->ranges[i], expected->ranges[i]))
			fail("range %zu reported as [%" PRIx64 ", %" PRIx64 ") instead of [%" PRIx64
			     ", %" PRIx64 ")",
			     i, got->ranges[i].start, got->ranges[i].end, expected->ranges[i].start,
			     expected->ranges[i].end);
	}
}

/* ---- Operations ---- */

static void add_mapping(void)
{
	model_range r = random_range();
	model_mapping m = random_straight_mapping_of(r);
	struct memmap_mappable_ranges got = {.allocator = &test_allocator};
	static struct model_ranges expected;
	int err;
	bool wanted = below(4) != 0;
	UNTIL_ENOUGH_MEMORY(err,
			    memmap_mapping_set_add_mapping(&set, m.space, m.addr_range, r.start,
							   m.writable, wanted ? &got : NULL));
	model_add_mapping(&model, m.space, m.addr_range, r.start, m.writable, &expected);
	if (wanted)
		compare_ranges(&got, &expected);
	memmap_mappable_ranges_release(&got);
}

static void remove_mapping(void)
{
	if (model.nr == 0)
		return;
	/* What is there, a part of it, more than it, or something else. */
	const struct model_segment *seg = &model.segments[below(model.nr)];
	model_range r = seg->range;
	model_mapping m = random_straight_mapping_of(r);
	if (seg->value.nr > 0 && below(8) != 0)
		m = seg->value.mappings[below(seg->value.nr)];
	uint64_t delta = m.addr_range.start - r.start;
	uint64_t skip = below(2) * below((r.end - r.start) / PAGE) * PAGE;
	r.start += skip;
	r.end = r.start + (1 + below((base + NR_PAGES * PAGE - r.start) / PAGE)) * PAGE;
	if (r.start + delta >= r.end + delta)
		return;
	struct memmap_addr_range ar = {r.start + delta, r.end + delta};
	struct memmap_mappable_ranges got = {.allocator = &test_allocator};
	static struct model_ranges expected;
	int err;
	bool wanted = below(4) != 0;
	UNTIL_ENOUGH_MEMORY(err,
			    memmap_mapping_set_remove_mapping(&set, m.space, ar, r.start,
							      m.writable, wanted ? &got : NULL));
	model_remove_mapping(&model, m.space, ar, r.start, m.writable, &expected);
	if (wanted)
		compare_ranges(&got, &expected);
	memmap_mappable_ranges_release(&got);
}

static void remove_all_of_a_space(void)
{
	for (bool again = true; again;) {
		again = false;
		for (size_t i = 0; i < model.nr && !again; i++) {
			struct model_segment *seg = &model.segments[i];
			for (size_t j = 0; j < seg->value.nr && !again; j++) {
				model_mapping m = seg->value.mappings[j];
				if (m.space != &spaces[0].space ||
				    m.addr_range.end - m.addr_range.start !=
					    seg->range.end - seg->range.start ||
				    m.addr_range.start >= m.addr_range.end)
					continue;
				again = true;
				static struct model_ranges expected;
				struct memmap_mappable_ranges got = {.allocator = &test_allocator};
				uint64_t start = seg->range.start;
				int err;
				UNTIL_ENOUGH_MEMORY(err, memmap_mapping_set_remove_mapping(
								 &set, m.space, m.addr_range, start,
								 m.writable, &got));
				model_remove_mapping(&model, m.space, m.addr_range, start,
						     m.writable, &expected);
				compare_ranges(&got, &expected);
				memmap_mappable_ranges_release(&got);
				compare();
			}
		}
	}
}

#define MAX_CALLS 8192

struct calls {
	size_t nr;
	model_mapping calls[MAX_CALLS];
};

static struct calls got_calls, expected_calls;

static void note_call(model_mapping m, void *arg)
{
	struct calls *c = arg;
	if (c->nr == MAX_CALLS)
		abort();
	c->calls[c->nr++] = m;
}

static void space_invalidate(struct memmap_mapping_space *ms, struct memmap_addr_range ar,
			     struct memmap_invalidate_opts opts)
{
	model_mapping m = {ms, ar, opts.invalidate_private};
	note_call(m, &got_calls);
}

static const struct memmap_mapping_space_ops space_ops = {.invalidate = space_invalidate};

static void invalidate(void)
{
	model_range r = random_range();
	r.start += below(2) * below(PAGE); /* not page-aligned: works as well */
	bool all = below(4) == 0;
	struct memmap_invalidate_opts opts = {.invalidate_private = below(2) == 0};
	got_calls.nr = 0;
	expected_calls.nr = 0;
	if (all) {
		memmap_mapping_set_invalidate_all(&set, opts);
		for (size_t i = 0; i < model.nr; i++) {
			for (size_t j = 0; j < model.segments[i].value.nr; j++)
				note_call(model.segments[i].value.mappings[j], &expected_calls);
		}
	} else {
		memmap_mapping_set_invalidate(&set, r, opts);
		model_invalidate(&model, r, note_call, &expected_calls);
	}
	if (got_calls.nr != expected_calls.nr)
		fail("%zu invalidations instead of %zu", got_calls.nr, expected_calls.nr);
	for (size_t i = 0; i < expected_calls.nr; i++)
		expected_calls.calls[i].writable = opts.invalidate_private;
	qsort(got_calls.calls, got_calls.nr, sizeof(model_mapping), compare_mappings);
	qsort(expected_calls.calls, expected_calls.nr, sizeof(model_mapping), compare_mappings);
	for (size_t i = 0; i < got_calls.nr; i++) {
		if (!memmap_mapping_of_range_equal(got_calls.calls[i], expected_calls.calls[i]))
			fail("invalidation %zu differs", i);
	}
}

static void remove_segment(void)
{
	if (model.nr == 0)
		return;
	size_t i = below(model.nr);
	struct memmap_mapping_gap_iterator gap = memmap_mapping_set_remove(&set, segment(i));
	model_remove(&model, i);
	if (!equal_ranges(memmap_mapping_gap_iterator_range(gap), model_gap(&model, i)))
		fail("the gap left differs");
}

static void take(void)
{
	if (model.nr == 0)
		return;
	size_t i = below(model.nr);
	static struct model_value expected;
	expected = model.segments[i].value;
	model_range r = model.segments[i].range;
	struct memmap_mappings_of_range v;
	/* Taking does not fail, whatever memory there is. */
	allocations_left = below(2) == 0 ? below(4) : SIZE_MAX;
	memmap_mapping_set_take(&set, segment(i), &v);
	allocations_left = SIZE_MAX;
	model_remove(&model, i);
	compare();
	for (uint64_t n = below(4); n > 0; n--) {
		if (below(2) == 0)
			add_mapping();
		else
			remove_mapping();
		compare();
	}
	compare_value(&v, &expected, "the value taken");
	model_mapping m = random_mapping_of(r);
	if (below(2) == 0)
		value_add(&v, &expected, m);
	else if (memmap_mappings_of_range_remove(&v, m) != model_value_remove(&expected, m))
		fail("removing from the value taken went wrong");
	compare_value(&v, &expected, "the value taken and changed");
	if (below(2) == 0 && memmap_mapping_set_is_empty_range(&set, r)) {
		size_t gap = model_lower_bound(&model, r.start);
		int err;
		UNTIL_ENOUGH_MEMORY(err, memmap_mapping_set_add(&set, r, v));
		if (err)
			fail("putting back what was taken: %d", err);
		model_insert(&model, gap, r, &expected);
	} else {
		memmap_mappings_of_range_clear(&v);
	}
}

static void split(void)
{
	if (model.nr == 0)
		return;
	size_t i = below(model.nr);
	model_range r = model.segments[i].range;
	uint64_t at = r.start + below((r.end - r.start) / PAGE) * PAGE;
	if (!memmap_mappable_range_can_split_at(r, at))
		return;
	int err;
	struct memmap_mapping_iterator first, second;
	UNTIL_ENOUGH_MEMORY(err, memmap_mapping_set_split(&set, segment(i), at, &first, &second));
	model_split(&model, i, at);
	if (err || !memmap_mapping_iterator_equal(first, segment(i)) ||
	    !memmap_mapping_iterator_equal(second, segment(i + 1)))
		fail("the parts are not where they should be");
}

static void isolate(void)
{
	if (model.nr == 0)
		return;
	size_t i = below(model.nr);
	model_range r = random_range();
	if (!memmap_mappable_range_overlaps(model.segments[i].range, r))
		return;
	struct memmap_mapping_iterator out;
	int err;
	UNTIL_ENOUGH_MEMORY(err, memmap_mapping_set_isolate(&set, segment(i), r, &out));
	i = model_isolate(&model, i, r);
	if (err || !memmap_mapping_iterator_equal(out, segment(i)))
		fail("what was isolated is not where it should be");
}

static void merge(void)
{
	model_range r = random_range();
	switch (below(4)) {
	case 0:
		memmap_mapping_set_merge_range(&set, r);
		model_merge_range(&model, r);
		break;
	case 1:
		memmap_mapping_set_merge_adjacent(&set, r);
		model_merge_adjacent(&model, r);
		break;
	case 2:
		memmap_mapping_set_merge_all(&set);
		r.start = 0;
		r.end = UINT64_MAX;
		model_merge_range(&model, r);
		break;
	default:
		if (model.nr < 2)
			return;
		size_t i = below(model.nr - 1);
		bool merged = memmap_mapping_iterator_ok(
			memmap_mapping_set_merge(&set, segment(i), segment(i + 1)));
		if (model_merge(&model, i) != merged)
			fail("the two should have merged, or not");
	}
}

static void insert(void)
{
	model_range r = random_range();
	if (!memmap_mapping_set_is_empty_range(&set, r))
		return;
	static struct model_value w;
	struct memmap_mappings_of_range v = random_value(r, &w);
	size_t gap = model_lower_bound(&model, r.start);
	bool merging = below(2) == 0;
	/* Often one that goes on from the neighbour before. */
	if (merging && below(2) == 0 && gap > 0) {
		const struct model_segment *prev = &model.segments[gap - 1];
		if (prev->range.end < r.start)
			r.start = prev->range.end;
		memmap_mappings_of_range_clear(&v);
		w.nr = 0;
		for (size_t i = 0; i < prev->value.nr; i++) {
			model_mapping m = prev->value.mappings[i];
			m.addr_range.start = m.addr_range.end;
			m.addr_range.end += r.end - r.start;
			value_add(&v, &w, m);
		}
	}
	int err;
	struct memmap_mapping_iterator out;
	if (merging)
		UNTIL_ENOUGH_MEMORY(
			err, memmap_mapping_set_insert(
				     &set, memmap_mapping_set_find_gap(&set, r.start), r, v, &out));
	else
		UNTIL_ENOUGH_MEMORY(
			err, memmap_mapping_set_insert_without_merging(
				     &set, memmap_mapping_set_find_gap(&set, r.start), r, v, &out));
	if (merging)
		gap = model_insert(&model, gap, r, &w);
	else
		model_insert_without_merging(&model, gap, r, &w);
	if (err || !memmap_mapping_iterator_equal(out, segment(gap)))
		fail("what was inserted is not where it should be");
}

static void set_range(void)
{
	if (model.nr == 0)
		return;
	size_t i = below(model.nr);
	struct memmap_mapping_iterator it = segment(i);
	uint64_t low = i > 0 ? model.segments[i - 1].range.end : base;
	uint64_t high =
		i + 1 < model.nr ? model.segments[i + 1].range.start : base + NR_PAGES * PAGE;
	uint64_t nr = (high - low) / PAGE, a = below(nr), b = below(nr);
	model_range r = {low + (a < b ? a : b) * PAGE, low + ((a < b ? b : a) + 1) * PAGE};
	switch (below(3)) {
	case 0:
		if (r.start >= model.segments[i].range.end)
			return;
		r.end = model.segments[i].range.end;
		memmap_mapping_iterator_set_start(it, r.start);
		break;
	case 1:
		if (r.end <= model.segments[i].range.start)
			return;
		r.start = model.segments[i].range.start;
		memmap_mapping_iterator_set_end(it, r.end);
		break;
	default:
		memmap_mapping_iterator_set_range(it, r);
	}
	model.segments[i].range = r;
}

static void set_value(void)
{
	if (model.nr == 0)
		return;
	size_t i = below(model.nr);
	static struct model_value w;
	struct memmap_mappings_of_range v = random_value(model.segments[i].range, &w);
	if (below(2) == 0) {
		memmap_mapping_iterator_set_value(segment(i), v);
	} else {
		struct memmap_mappings_of_range *at = memmap_mapping_iterator_value_ptr(segment(i));
		memmap_mappings_of_range_clear(at);
		*at = v;
	}
	model.segments[i].value = w;
}

static void change_value(void)
{
	if (model.nr == 0)
		return;
	size_t i = below(model.nr);
	struct model_value *w = &model.segments[i].value;
	model_mapping m = random_mapping_of(model.segments[i].range);
	if (w->nr > 0 && below(2) == 0)
		m = w->mappings[below(w->nr)];
	struct memmap_mappings_of_range *v = memmap_mapping_iterator_value_ptr(segment(i));
	int err;
	if (below(2) == 0) {
		UNTIL_ENOUGH_MEMORY(err, memmap_mappings_of_range_add(v, m));
		model_value_add(w, m);
	} else {
		UNTIL_ENOUGH_MEMORY(err, memmap_mappings_of_range_remove(v, m));
		if (err != model_value_remove(w, m))
			fail("removing from a value went wrong");
	}
}

/* The value of one segment, duplicated, for another range. */
static void duplicate_value(void)
{
	if (model.nr == 0)
		return;
	size_t i = below(model.nr);
	struct memmap_mappings_of_range v = memmap_mapping_iterator_value(segment(i)), copy;
	static struct model_value w;
	w = model.segments[i].value;
	int err;
	UNTIL_ENOUGH_MEMORY(err, memmap_mappings_of_range_duplicate(&v, &copy));
	size_t j = below(model.nr);
	memmap_mapping_iterator_set_value(segment(j), copy);
	model.segments[j].value = w;
}

static void remove_range(void)
{
	model_range r = random_range();
	int err;
	struct memmap_mapping_gap_iterator gap;
	UNTIL_ENOUGH_MEMORY(err, memmap_mapping_set_remove_range(&set, r, &gap));
	model_remove_range(&model, r);
	if (err || !equal_ranges(memmap_mapping_gap_iterator_range(gap),
				 model_gap(&model, model_lower_bound(&model, r.start))))
		fail("the gap made differs");
}

static void export_and_import(void)
{
	struct memmap_mapping_segment_data_slices slices;
	int err;
	UNTIL_ENOUGH_MEMORY(err, memmap_mapping_set_export_sorted_slices(&set, &slices));
	if (err || slices.len != model.nr)
		fail("exporting failed");
	for (size_t i = 0; i < slices.len; i++) {
		if (slices.start[i] != model.segments[i].range.start ||
		    slices.end[i] != model.segments[i].range.end)
			fail("exported segment %zu differs", i);
		compare_value(&slices.values[i], &model.segments[i].value, "an exported segment");
	}
	if (memmap_mapping_set_import_sorted_slices(&set, &slices) != (model.nr > 0 ? -EEXIST : 0))
		fail("importing into a set with segments");
	compare();
	memmap_mapping_set_remove_all(&set);
	struct model_set kept = model;
	model.nr = 0;
	UNTIL_ENOUGH_MEMORY(err, memmap_mapping_set_import_sorted_slices(&set, &slices));
	model = kept;
	if (err)
		fail("importing failed");
	memmap_mapping_segment_data_slices_release(&slices);
}

static void move(void)
{
	struct memmap_mapping_set other;
	memmap_mapping_set_init(&other, &test_allocator);
	memmap_mapping_set_move_from(&other, &set);
	if (!memmap_mapping_set_is_empty(&set))
		fail("something stayed behind");
	memmap_mapping_set_move_from(&set, &other);
	memmap_mapping_set_destroy(&other);
}

static void apply_page_shift(struct memmap_mapping_iterator it, void *arg)
{
	/* Something that every value has: one mapping more, of its own segment. */
	model_mapping m = *(model_mapping *)arg;
	model_range r = memmap_mapping_iterator_range(it);
	m.addr_range.start = r.start + 0x900 * PAGE;
	m.addr_range.end = r.end + 0x900 * PAGE;
	size_t i = model_find(&model, r.start);
	if (i == MODEL_NONE || !equal_ranges(model.segments[i].range, r))
		fail("the callback saw another segment");
	value_add(memmap_mapping_iterator_value_ptr(it), &model.segments[i].value, m);
}

static void apply_contiguous(void)
{
	model_range r = random_range();
	size_t i = model_find(&model, r.start);
	if (i == MODEL_NONE)
		return;
	model_range done = r;
	for (i = model_isolate(&model, i, r); i < model.nr && model.segments[i].range.end < r.end;
	     i++) {
		done.end = model.segments[i].range.end;
		if (i + 1 == model.nr || model.segments[i + 1].range.start != done.end)
			break;
		model_isolate(&model, i + 1, r);
	}
	model_mapping m = {&spaces[below(NR_SPACES)].space, {0, 0}, false};
	if (memmap_mapping_set_apply_contiguous(&set, r, apply_page_shift, &m, NULL))
		fail("applying failed");
	compare();
	model_remove_range(&model, done);
	if (memmap_mapping_set_remove_range(&set, done, NULL))
		fail("removing failed");
}

static bool see_segment(struct memmap_mapping_iterator it, void *arg)
{
	size_t *i = arg;
	if (!equal_ranges(memmap_mapping_iterator_range(it), model.segments[*i].range))
		fail("the visitor saw another segment");
	++*i;
	return true;
}

static void look_around(void)
{
	model_range r = random_range();
	size_t i = model_lower_bound(&model, r.start), seen = i;
	uint64_t span = 0;
	for (; i < model.nr && model.segments[i].range.start < r.end; i++)
		span += memmap_mappable_range_length(
			memmap_mappable_range_intersect(model.segments[i].range, r));
	memmap_mapping_set_visit_range(&set, r, see_segment, &seen);
	if (seen != i || memmap_mapping_set_span_range(&set, r) != span ||
	    memmap_mapping_set_is_empty_range(&set, r) != (span == 0))
		fail("looking around saw something else");
}

static void remove_all(void)
{
	if (below(8) != 0)
		return;
	memmap_mapping_set_remove_all(&set);
	model.nr = 0;
}

static const struct {
	const char *name;
	void (*run)(void);
	unsigned weight, raw_weight; /* how often; in sequences with raw operations */
} operations[] = {
	{"add_mapping", add_mapping, 20, 20},
	{"remove_mapping", remove_mapping, 14, 14},
	{"remove_all_of_a_space", remove_all_of_a_space, 1, 1},
	{"invalidate", invalidate, 3, 3},
	{"look_around", look_around, 1, 1},
	{"merge", merge, 0, 3},
	{"split", split, 0, 3},
	{"isolate", isolate, 0, 3},
	{"remove", remove_segment, 0, 2},
	{"take", take, 0, 2},
	{"insert", insert, 0, 5},
	{"set_range", set_range, 0, 2},
	{"set_value", set_value, 0, 1},
	{"change_value", change_value, 0, 2},
	{"duplicate_value", duplicate_value, 0, 1},
	{"remove_range", remove_range, 0, 2},
	{"export_and_import", export_and_import, 0, 1},
	{"move", move, 0, 1},
	{"apply_contiguous", apply_contiguous, 0, 1},
	{"remove_all", remove_all, 0, 1},
};
#define NR_OPERATIONS (sizeof(operations) / sizeof(operations[0]))

static void run(uint64_t the_seed)
{
	seed = the_seed;
	random_state = the_seed;
	/* With raw operations: none, all, or a few kinds; so that each meets long quiet times. */
	unsigned weights[NR_OPERATIONS], total = 0;
	uint64_t rawness = below(4);
	for (size_t i = 0; i < NR_OPERATIONS; i++) {
		bool raw = rawness == 1 || (rawness > 1 && below(4) == 0);
		weights[i] = raw ? operations[i].raw_weight : operations[i].weight;
		total += weights[i];
	}
	static const uint64_t bases[] = {0, 0x10 * PAGE, UINT64_MAX - PAGE + 1 - NR_PAGES * PAGE};
	base = bases[below(3)];
	memmap_mapping_set_init(&set, &test_allocator);
	model_init(&model);
	for (step = 0; step < STEPS; step++) {
		uint64_t pick = below(total);
		size_t i = 0;
		while (pick >= weights[i])
			pick -= weights[i++];
		operation = operations[i].name;
		operations[i].run();
		compare();
	}
	operation = "destroy";
	memmap_mapping_set_destroy(&set);
	model_destroy(&model);
	if (nr_allocated != 0)
		fail("%zu allocations leaked", nr_allocated);
}

int main(int argc, char **argv)
{
	for (size_t i = 0; i < NR_SPACES; i++)
		spaces[i].space.ops = &space_ops;
	if (argc > 1) {
		uint64_t first = strtoull(argv[1], NULL, 0);
		uint64_t rounds = argc > 2 ? strtoull(argv[2], NULL, 0) : 1;
		for (uint64_t i = 0; i < rounds; i++)
			run(first + i);
		return 0;
	}
	for (uint64_t i = 1; i <= 400; i++)
		run(i);
	printf("seeds 1 to 400, %d steps each: the same as the model\n", STEPS);
	return 0;
}
