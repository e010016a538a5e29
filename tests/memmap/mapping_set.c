/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mapping set, function by function: what becomes mapped and unmapped and in which pieces, whom
 * invalidation calls and with what, and what panics.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memmap/mapping_set.h>

#include "panic.h"

typedef struct memmap_mappable_range range;
typedef struct memmap_addr_range addrs;
typedef struct memmap_mapping_of_range mapping;

/* ---- Spaces that note what they are told ---- */

struct call {
	struct memmap_mapping_space *space;
	addrs ar;
	bool invalidate_private;
};

static struct call calls[64];
static size_t nr_calls;

static void note_invalidate(struct memmap_mapping_space *ms, struct memmap_addr_range ar,
			    struct memmap_invalidate_opts opts)
{
	assert_true(nr_calls < sizeof(calls) / sizeof(calls[0]));
	calls[nr_calls++] = (struct call){ms, ar, opts.invalidate_private};
}

static const struct memmap_mapping_space_ops ops = {.invalidate = note_invalidate};
static struct memmap_mapping_space a = {&ops}, b = {&ops};

static void assert_called(struct memmap_mapping_space *space, uint64_t start, uint64_t end)
{
	for (size_t i = 0; i < nr_calls; i++) {
		if (calls[i].space == space && calls[i].ar.start == start && calls[i].ar.end == end)
			return;
	}
	fail_msg("no call for [0x%lx, 0x%lx)", (unsigned long)start, (unsigned long)end);
}

/* ---- Short words ---- */

static struct memmap_mapping_set set;
static struct memmap_mappable_ranges ranges;

static int setup(void **state)
{
	(void)state;
	memset(&set, 0, sizeof(set));
	memset(&ranges, 0, sizeof(ranges));
	nr_calls = 0;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	memmap_mapping_set_destroy(&set);
	memmap_mappable_ranges_release(&ranges);
	return 0;
}

static void add(struct memmap_mapping_space *ms, uint64_t addr, uint64_t offset, uint64_t length,
		bool writable)
{
	ranges.len = 0;
	assert_int_equal(memmap_mapping_set_add_mapping(&set, ms, (addrs){addr, addr + length},
							offset, writable, &ranges),
			 0);
	assert_int_equal(memmap_mapping_set_verify(&set), 0);
}

static void remove_(struct memmap_mapping_space *ms, uint64_t addr, uint64_t offset,
		    uint64_t length, bool writable)
{
	ranges.len = 0;
	assert_int_equal(memmap_mapping_set_remove_mapping(&set, ms, (addrs){addr, addr + length},
							   offset, writable, &ranges),
			 0);
	assert_int_equal(memmap_mapping_set_verify(&set), 0);
}

/* The ranges last reported: pairs of start and end. */
#define assert_ranges(...)                                                                         \
	do {                                                                                       \
		static const uint64_t expected_[] = {0, __VA_ARGS__};                              \
		assert_int_equal(ranges.len, (sizeof(expected_) / sizeof(uint64_t) - 1) / 2);      \
		assert_true(ranges.len == 0 || memcmp(ranges.ranges, expected_ + 1,                \
						      sizeof(expected_) - sizeof(uint64_t)) == 0); \
	} while (0)

/* The segments, each with its number of mappings: triples of start, end, number. */
#define assert_segments(...)                                                                       \
	do {                                                                                       \
		static const uint64_t expected_[] = {0, __VA_ARGS__};                              \
		struct memmap_mapping_iterator it_ = memmap_mapping_set_first_segment(&set);       \
		for (size_t i_ = 1; i_ < sizeof(expected_) / sizeof(uint64_t); i_ += 3) {          \
			assert_true(memmap_mapping_iterator_ok(it_));                              \
			assert_int_equal(memmap_mapping_iterator_start(it_), expected_[i_]);       \
			assert_int_equal(memmap_mapping_iterator_end(it_), expected_[i_ + 1]);     \
			assert_int_equal(memmap_mapping_iterator_nr_mappings(it_),                 \
					 expected_[i_ + 2]);                                       \
			it_ = memmap_mapping_iterator_next_segment(it_);                           \
		}                                                                                  \
		assert_false(memmap_mapping_iterator_ok(it_));                                     \
	} while (0)

static void assert_has(uint64_t offset, struct memmap_mapping_space *space, uint64_t start,
		       uint64_t end, bool writable)
{
	struct memmap_mapping_iterator it = memmap_mapping_set_find_segment(&set, offset);
	assert_true(memmap_mapping_iterator_ok(it));
	assert_true(
		memmap_mapping_iterator_has_mapping(it, (mapping){space, {start, end}, writable}));
}

/* ---- Adding ---- */

static void test_add_to_nothing(void **state)
{
	(void)state;
	assert_true(memmap_mapping_set_is_empty(&set));
	assert_false(memmap_mapping_iterator_ok(memmap_mapping_set_first_segment(&set)));
	add(&a, 0x10000, 0x2000, 0x3000, true);
	assert_ranges(0x2000, 0x5000);
	assert_segments(0x2000, 0x5000, 1);
	assert_has(0x2000, &a, 0x10000, 0x13000, true);
	struct memmap_mapping_iterator it = memmap_mapping_set_first_segment(&set);
	assert_false(
		memmap_mapping_iterator_has_mapping(it, (mapping){&a, {0x10000, 0x13000}, false}));
	assert_false(
		memmap_mapping_iterator_has_mapping(it, (mapping){&b, {0x10000, 0x13000}, true}));
	assert_false(
		memmap_mapping_iterator_has_mapping(it, (mapping){&a, {0x10000, 0x12000}, true}));
	assert_false(
		memmap_mapping_iterator_has_mapping(it, (mapping){&a, {0x11000, 0x14000}, true}));
}

static void test_add_over_gaps_and_segments(void **state)
{
	(void)state;
	add(&a, 0x10000, 0x1000, 0x2000, false);
	add(&a, 0x20000, 0x5000, 0x2000, false);
	add(&b, 0x70000, 0x2000, 0x6000, false);
	assert_ranges(0x3000, 0x5000, 0x7000, 0x8000);
	assert_segments(0x1000, 0x2000, 1, 0x2000, 0x3000, 2, 0x3000, 0x5000, 1, 0x5000, 0x7000, 2,
			0x7000, 0x8000, 1);
	assert_has(0x1000, &a, 0x10000, 0x11000, false);
	assert_has(0x2000, &a, 0x11000, 0x12000, false);
	assert_has(0x2000, &b, 0x70000, 0x71000, false);
	assert_has(0x5000, &b, 0x73000, 0x75000, false);
	assert_has(0x7fff, &b, 0x75000, 0x76000, false);
}

static void test_add_inside_a_segment(void **state)
{
	(void)state;
	add(&a, 0x10000, 0, 0x4000, false);
	add(&b, 0x10000, 0x1000, 0x1000, false);
	assert_ranges();
	assert_segments(0, 0x1000, 1, 0x1000, 0x2000, 2, 0x2000, 0x4000, 1);
	assert_has(0x2000, &a, 0x12000, 0x14000, false);
}

static void test_add_the_same_again(void **state)
{
	(void)state;
	add(&a, 0x10000, 0, 0x4000, false);
	add(&a, 0x11000, 0x1000, 0x1000, false);
	/* Nothing new, but the edges are there. */
	assert_ranges();
	assert_segments(0, 0x1000, 1, 0x1000, 0x2000, 1, 0x2000, 0x4000, 1);
	/* The same offsets at another address, and with another `writable`, are other mappings. */
	add(&a, 0x30000, 0, 0x4000, false);
	add(&a, 0x10000, 0, 0x4000, true);
	assert_segments(0, 0x1000, 3, 0x1000, 0x2000, 3, 0x2000, 0x4000, 3);
}

/* Two kinds of mappings, so often that they also share a bucket of the index, whatever the hash. */
static void test_add_two_kinds(void **state)
{
	(void)state;
	for (uint64_t i = 0; i < 1000; i++) {
		const uint64_t at = i * 0x1000;
		add(&a, at, 0, 0x1000, false);
		add(i % 2 ? &b : &a, at, 0, 0x1000, true);
		assert_segments(0, 0x1000, 2);
		remove_(&a, at, 0, 0x1000, false);
		assert_segments(0, 0x1000, 1);
		assert_has(0, i % 2 ? &b : &a, at, at + 0x1000, true);
		memmap_mapping_set_destroy(&set);
	}
}

static void test_add_side_by_side_does_not_merge(void **state)
{
	(void)state;
	add(&a, 0x10000, 0, 0x1000, false);
	add(&a, 0x11000, 0x1000, 0x1000, false);
	assert_segments(0, 0x1000, 1, 0x1000, 0x2000, 1);
	memmap_mapping_set_merge_all(&set);
	assert_segments(0, 0x2000, 1);
	assert_has(0, &a, 0x10000, 0x12000, false);
}

static void test_add_up_to_the_last_page(void **state)
{
	(void)state;
	uint64_t end = ~(uint64_t)MEMMAP_PAGE_MASK;
	add(&a, 0x10000, end - 0x2000, 0x2000, false);
	assert_true(ranges.len == 1 && ranges.ranges[0].end == end);
	remove_(&a, 0x10000, end - 0x2000, 0x2000, false);
	assert_true(memmap_mapping_set_is_empty(&set));
}

static void test_results_not_wanted(void **state)
{
	(void)state;
	assert_int_equal(
		memmap_mapping_set_add_mapping(&set, &a, (addrs){0, 0x1000}, 0, false, NULL), 0);
	assert_segments(0, 0x1000, 1);
	assert_int_equal(
		memmap_mapping_set_remove_mapping(&set, &a, (addrs){0, 0x1000}, 0, false, NULL), 0);
	assert_segments();
}

static void test_results_are_appended(void **state)
{
	(void)state;
	add(&a, 0x10000, 0, 0x1000, false);
	assert_int_equal(memmap_mapping_set_add_mapping(&set, &a, (addrs){0x20000, 0x21000}, 0x5000,
							false, &ranges),
			 0);
	assert_ranges(0, 0x1000, 0x5000, 0x6000);
}

/* ---- Removing ---- */

static void test_remove_in_pieces(void **state)
{
	(void)state;
	add(&a, 0x10000, 0, 0x6000, false);
	add(&b, 0x70000, 0x2000, 0x2000, false);
	remove_(&a, 0x10000, 0, 0x6000, false);
	assert_ranges(0, 0x2000, 0x4000, 0x6000);
	assert_segments(0x2000, 0x4000, 1);
	remove_(&b, 0x71000, 0x3000, 0x1000, false);
	assert_ranges(0x3000, 0x4000);
	assert_segments(0x2000, 0x3000, 1);
	assert_has(0x2000, &b, 0x70000, 0x71000, false);
}

/* Each segment that goes is reported by itself, also when nothing lies between them. */
static void test_remove_keeps_the_pieces_apart(void **state)
{
	(void)state;
	add(&a, 0x10000, 0, 0x2000, false);
	add(&a, 0x12000, 0x2000, 0x2000, false);
	add(&a, 0x14000, 0x4000, 0x2000, false);
	remove_(&a, 0x11000, 0x1000, 0x4000, false);
	assert_ranges(0x1000, 0x2000, 0x2000, 0x4000, 0x4000, 0x5000);
	assert_segments(0, 0x1000, 1, 0x5000, 0x6000, 1);
}

static void test_remove_merges_at_the_edges_only(void **state)
{
	(void)state;
	add(&a, 0x10000, 0, 0x8000, false);
	add(&b, 0x70000, 0x2000, 0x2000, false);
	add(&b, 0x72000, 0x4000, 0x2000, false);
	assert_segments(0, 0x2000, 1, 0x2000, 0x4000, 2, 0x4000, 0x6000, 2, 0x6000, 0x8000, 1);
	remove_(&b, 0x70000, 0x2000, 0x4000, false);
	assert_ranges();
	/* What the two edges do not touch, at 0x4000, stays. */
	assert_segments(0, 0x4000, 1, 0x4000, 0x8000, 1);
	assert_has(0, &a, 0x10000, 0x14000, false);
}

static void test_remove_what_does_not_match(void **state)
{
	(void)state;
	add(&a, 0x10000, 0, 0x4000, false);
	remove_(&a, 0x10000, 0, 0x4000, true);
	assert_ranges();
	remove_(&a, 0x20000, 0, 0x4000, false);
	assert_ranges();
	remove_(&b, 0x10000, 0, 0x4000, false);
	assert_ranges();
	remove_(&a, 0x20000, 0x1000, 0x1000, false);
	assert_ranges();
	assert_segments(0, 0x4000, 1);
	/* What reaches beyond the segments removes what is there. */
	remove_(&a, 0x13000, 0x3000, 0x9000, false);
	assert_ranges(0x3000, 0x4000);
	assert_segments(0, 0x3000, 1);
}

static void test_remove_across_a_gap(void **state)
{
	(void)state;
	add(&a, 0x10000, 0, 0x1000, false);
	add(&a, 0x12000, 0x2000, 0x1000, false);
	remove_(&a, 0x10000, 0, 0x4000, false);
	assert_ranges(0, 0x1000, 0x2000, 0x3000);
	assert_segments();
}

static bool remove_from_middle_panics(void)
{
	memmap_mapping_set_remove_mapping(&set, &a, (addrs){0x11000, 0x12000}, 0x1000, false, NULL);
	return true;
}

static void test_contracts(void **state)
{
	(void)state;
	add(&a, 0x10000, 0, 0x1000, false);
	assert_panics("no segment contains 0x1000", remove_from_middle_panics());
	assert_panics(
		"empty or not page-aligned",
		memmap_mapping_set_add_mapping(&set, &a, (addrs){0x1000, 0x1000}, 0, false, NULL));
	assert_panics(
		"empty or not page-aligned",
		memmap_mapping_set_add_mapping(&set, &a, (addrs){0x2000, 0x1000}, 0, false, NULL));
	assert_panics(
		"empty or not page-aligned",
		memmap_mapping_set_add_mapping(&set, &a, (addrs){0x800, 0x1000}, 0, false, NULL));
	assert_panics(
		"empty or not page-aligned",
		memmap_mapping_set_remove_mapping(&set, &a, (addrs){0, 0x800}, 0, false, NULL));
	assert_panics(
		"offset 0x10 is not page-aligned",
		memmap_mapping_set_add_mapping(&set, &a, (addrs){0, 0x1000}, 0x10, false, NULL));
	assert_panics("overflow",
		      memmap_mapping_set_add_mapping(&set, &a, (addrs){0, 0x1000},
						     ~(uint64_t)MEMMAP_PAGE_MASK, false, NULL));
	assert_panics("no mapping space", memmap_mapping_set_add_mapping(
						  &set, NULL, (addrs){0, 0x1000}, 0, false, NULL));
	assert_panics("no space", struct memmap_mappings_of_range v = {0};
		      memmap_mappings_of_range_add(&v, (mapping){NULL, {0, 1}, false}));
	/* The template's contracts hold for this set as well. */
	assert_panics("", memmap_mapping_set_split(&set, memmap_mapping_set_first_segment(&set), 0,
						   NULL, NULL));
}

/* ---- Invalidating ---- */

static void test_invalidate_is_clipped(void **state)
{
	(void)state;
	add(&a, 0x10000, 0, 0x4000, false);
	add(&b, 0x70000, 0x2000, 0x4000, true);
	memmap_mapping_set_invalidate(&set, (range){0x1000, 0x3000},
				      (struct memmap_invalidate_opts){.invalidate_private = true});
	assert_int_equal(nr_calls, 3);
	assert_called(&a, 0x11000, 0x12000);
	assert_called(&a, 0x12000, 0x13000);
	assert_called(&b, 0x70000, 0x71000);
	for (size_t i = 0; i < nr_calls; i++)
		assert_true(calls[i].invalidate_private);
	nr_calls = 0;
	memmap_mapping_set_invalidate(&set, (range){0x6000, 0x9000},
				      (struct memmap_invalidate_opts){.invalidate_private = true});
	memmap_mapping_set_invalidate(&set, (range){0x3000, 0x3000},
				      (struct memmap_invalidate_opts){.invalidate_private = true});
	assert_int_equal(nr_calls, 0);
}

static void test_invalidate_all(void **state)
{
	(void)state;
	memmap_mapping_set_invalidate_all(&set, (struct memmap_invalidate_opts){false});
	assert_int_equal(nr_calls, 0);
	add(&a, 0x10000, 0, 0x4000, false);
	add(&b, 0x70000, 0x2000, 0x4000, true);
	memmap_mapping_set_invalidate_all(&set, (struct memmap_invalidate_opts){false});
	assert_int_equal(nr_calls, 4);
	assert_called(&a, 0x10000, 0x12000);
	assert_called(&a, 0x12000, 0x14000);
	assert_called(&b, 0x70000, 0x72000);
	assert_called(&b, 0x72000, 0x74000);
	assert_false(calls[0].invalidate_private);
}

/* ---- Reading ---- */

static void test_mappings_are_in_order(void **state)
{
	(void)state;
	struct memmap_mapping_space *low = &a < &b ? &a : &b, *high = &a < &b ? &b : &a;
	add(high, 0x10000, 0, 0x1000, false);
	add(low, 0x10000, 0, 0x1000, true);
	add(low, 0x10000, 0, 0x1000, false);
	add(high, 0x8000, 0, 0x1000, true);
	const mapping expected[] = {{high, {0x8000, 0x9000}, true},
				    {low, {0x10000, 0x11000}, false},
				    {low, {0x10000, 0x11000}, true},
				    {high, {0x10000, 0x11000}, false}};
	struct memmap_mapping_iterator it = memmap_mapping_set_first_segment(&set);
	for (size_t cap = 0; cap <= 5; cap++) {
		mapping got[5];
		memset(got, 0xee, sizeof(got));
		assert_int_equal(memmap_mapping_iterator_mappings(it, got, cap), 4);
		for (size_t i = 0; i < 5; i++) {
			if (i < cap && i < 4)
				assert_true(memmap_mapping_of_range_equal(got[i], expected[i]));
			else
				assert_int_equal(got[i].addr_range.start, 0xeeeeeeeeeeeeeeee);
		}
	}
	assert_int_equal(memmap_mapping_iterator_mappings(it, NULL, 0), 4);
}

/* ---- Values ---- */

static bool count_until(mapping m, void *arg)
{
	assert_ptr_equal(m.space, &a);
	size_t *left = arg;
	return --*left > 0;
}

static void test_value(void **state)
{
	(void)state;
	struct memmap_mappings_of_range v = {0}, copy;
	assert_int_equal(memmap_mappings_of_range_count(&v), 0);
	assert_int_equal(memmap_mappings_of_range_remove(&v, (mapping){&a, {0, 1}, false}), 0);
	assert_false(memmap_mappings_of_range_contains(&v, (mapping){&a, {0, 1}, false}));
	for (uint64_t i = 0; i < 100; i++) {
		assert_int_equal(memmap_mappings_of_range_add(&v, (mapping){&a, {i, i + 1}, i % 2}),
				 0);
		assert_int_equal(memmap_mappings_of_range_add(&v, (mapping){&a, {i, i + 1}, i % 2}),
				 0);
		assert_int_equal(memmap_mappings_of_range_count(&v), i + 1);
	}
	assert_int_equal(memmap_mappings_of_range_duplicate(&v, &copy), 0);
	for (uint64_t i = 0; i < 100; i += 2) {
		mapping m = {&a, {i, i + 1}, false};
		assert_int_equal(memmap_mappings_of_range_remove(&v, m), 1);
		assert_int_equal(memmap_mappings_of_range_remove(&v, m), 0);
	}
	for (uint64_t i = 0; i < 100; i++) {
		mapping m = {&a, {i, i + 1}, i % 2};
		assert_int_equal(memmap_mappings_of_range_contains(&v, m), i % 2);
		assert_true(memmap_mappings_of_range_contains(&copy, m));
		m.writable = !m.writable;
		assert_false(memmap_mappings_of_range_contains(&copy, m));
	}
	size_t left = 200;
	assert_true(memmap_mappings_of_range_visit(&copy, count_until, &left));
	assert_int_equal(left, 100);
	left = 7;
	assert_false(memmap_mappings_of_range_visit(&copy, count_until, &left));
	assert_int_equal(left, 0);
	memmap_mappings_of_range_clear(&v);
	assert_int_equal(memmap_mappings_of_range_count(&v), 0);
	assert_int_equal(memmap_mappings_of_range_add(&v, (mapping){&a, {0, 1}, false}), 0);
	memmap_mappings_of_range_clear(&v);
	memmap_mappings_of_range_clear(&copy);
}

/* A segment's value belongs to the set; a duplicate of it does not. */
static void test_value_of_a_segment(void **state)
{
	(void)state;
	add(&a, 0x10000, 0, 0x2000, false);
	struct memmap_mappings_of_range view =
		memmap_mapping_iterator_value(memmap_mapping_set_first_segment(&set));
	assert_int_equal(memmap_mappings_of_range_count(&view), 1);
	struct memmap_mappings_of_range copy, taken;
	assert_int_equal(memmap_mappings_of_range_duplicate(&view, &copy), 0);
	assert_int_equal(
		memmap_mappings_of_range_add(
			memmap_mapping_iterator_value_ptr(memmap_mapping_set_first_segment(&set)),
			(mapping){&b, {0x30000, 0x32000}, true}),
		0);
	assert_int_equal(memmap_mappings_of_range_count(&copy), 1);
	assert_segments(0, 0x2000, 2);
	add(&a, 0x11000, 0x1000, 0x1000, true);
	assert_segments(0, 0x1000, 2, 0x1000, 0x2000, 3);
	assert_has(0x1000, &b, 0x31000, 0x32000, true);
	memmap_mapping_set_take(&set, memmap_mapping_set_first_segment(&set), &taken);
	memmap_mapping_set_destroy(&set);
	assert_int_equal(memmap_mappings_of_range_count(&taken), 2);
	assert_true(
		memmap_mappings_of_range_contains(&taken, (mapping){&b, {0x30000, 0x31000}, true}));
	assert_int_equal(memmap_mapping_set_add(&set, (range){0, 0x1000}, taken), 0);
	assert_int_equal(memmap_mapping_set_add(&set, (range){0x1000, 0x3000}, copy), 0);
	assert_segments(0, 0x1000, 2, 0x1000, 0x3000, 1);
}

/* ---- One request for memory is refused, and all others are granted ---- */

static long requests_made, request_refused, requests_live;

static void *refusing_allocate(void *context, size_t size, size_t alignment)
{
	(void)context;
	if (++requests_made == request_refused)
		return NULL;
	requests_live++;
	return memmap_allocate(NULL, size, alignment);
}

static void refusing_deallocate(void *context, void *memory, size_t size)
{
	(void)context;
	requests_live -= memory != NULL;
	memmap_deallocate(NULL, memory, size);
}

static void test_one_request_refused(void **state)
{
	(void)state;
	static const struct memmap_allocator refusing = {refusing_allocate, refusing_deallocate,
							 NULL};
	struct memmap_mapping_space space = {.ops = &ops};
	const struct memmap_addr_range ar = {0x10000, 0x14000}, part = {0x11000, 0x12000};
	int nr_refused = 0;
	bool more = true;
	for (request_refused = 1; more; request_refused++) {
		struct memmap_mapping_set one;
		memmap_mapping_set_init(&one, &refusing);
		requests_made = 0;
		int err = memmap_mapping_set_add_mapping(&one, &space, ar, 0, false, NULL);
		if (err) {
			assert_int_equal(err, -ENOMEM);
			assert_true(memmap_mapping_set_is_empty(&one));
			assert_int_equal(
				memmap_mapping_set_add_mapping(&one, &space, ar, 0, false, NULL),
				0);
		}
		nr_refused += err != 0;
		err = memmap_mapping_set_remove_mapping(&one, &space, part, 0x1000, false, NULL);
		if (err) {
			assert_int_equal(err, -ENOMEM);
			assert_int_equal(memmap_mapping_set_span(&one), 0x4000);
			assert_int_equal(memmap_mapping_set_remove_mapping(&one, &space, part,
									   0x1000, false, NULL),
					 0);
		}
		nr_refused += err != 0;
		assert_int_equal(memmap_mapping_set_span(&one), 0x3000);
		assert_int_equal(memmap_mapping_set_verify(&one), 0);
		more = requests_made >= request_refused;
		memmap_mapping_set_destroy(&one);
		assert_int_equal(requests_live, 0);
	}
	assert_true(nr_refused >= 5);
}

int main(void)
{
#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		test(test_add_to_nothing),
		test(test_add_over_gaps_and_segments),
		test(test_add_inside_a_segment),
		test(test_add_the_same_again),
		test(test_add_two_kinds),
		test(test_add_side_by_side_does_not_merge),
		test(test_add_up_to_the_last_page),
		test(test_results_not_wanted),
		test(test_results_are_appended),
		test(test_remove_in_pieces),
		test(test_remove_keeps_the_pieces_apart),
		test(test_remove_merges_at_the_edges_only),
		test(test_remove_what_does_not_match),
		test(test_remove_across_a_gap),
		test(test_contracts),
		test(test_invalidate_is_clipped),
		test(test_invalidate_all),
		test(test_mappings_are_in_order),
		test(test_value),
		test(test_value_of_a_segment),
		cmocka_unit_test(test_one_request_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
