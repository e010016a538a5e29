/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the mapping set has in common with every segment set, function by function: that each does
 * what its name says to the segments, and that the mappings behind them still agree afterwards.
 *
 * Sets are written as text, in pages: "1-3a 5-6ab" is a segment [0x1000, 0x3000) mapped by the
 * space a, and [0x5000, 0x6000), mapped by a and b. A space maps offset x at its base + x; a mapping
 * at any other address shows as '?'.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <memmap/mapping_set.h>

#include "memmap/failing_allocator.h"
#include "panic.h"

typedef struct memmap_mappable_range range;
typedef struct memmap_mapping_of_range mapping;
typedef struct memmap_mappings_of_range mappings;
typedef struct memmap_mapping_iterator iterator;
typedef struct memmap_mapping_gap_iterator gap_iterator;

#define PLENTY SIZE_MAX

static struct memmap_mapping_space spaces[2];
static struct failing_allocator memory;
static struct memmap_mapping_set set;

/* ---- Sets as text ---- */

static range pages(uint64_t start, uint64_t end)
{
	return (range){start << 12, end << 12};
}

static mapping mapping_by(char c, range r)
{
	const uint64_t base = (uint64_t)(c - 'a' + 1) << 32;
	return (mapping){&spaces[c - 'a'], {base + r.start, base + r.end}, false};
}

static void add(char c, uint64_t start, uint64_t end)
{
	const range r = pages(start, end);
	const mapping m = mapping_by(c, r);
	assert_int_equal(memmap_mapping_set_add_mapping(&set, m.space, m.addr_range, r.start,
							m.writable, NULL),
			 0);
}

/* Make the set of what `text` says. */
static void given(const char *text)
{
	memmap_mapping_set_destroy(&set);
	assert_int_equal(memory.nr_live, 0);
	memory.budget = PLENTY;
	memmap_mapping_set_init(&set, &memory.allocator);
	unsigned start, end;
	char letters[8];
	int length;
	while (sscanf(text, "%u-%u%7[ab]%n", &start, &end, letters, &length) == 3) {
		for (const char *c = letters; *c; c++)
			add(*c, start, end);
		text += length;
	}
	assert_true(*text == '\0');
}

static char *show_segment(char *text, iterator seg)
{
	const range r = memmap_mapping_iterator_range(seg);
	text += sprintf(text, "%u-%u", (unsigned)(r.start >> 12), (unsigned)(r.end >> 12));
	size_t nr = 0;
	for (char c = 'a'; c <= 'b'; c++) {
		if (!memmap_mapping_iterator_has_mapping(seg, mapping_by(c, r)))
			continue;
		*text++ = c;
		nr++;
	}
	for (; nr < memmap_mapping_iterator_nr_mappings(seg); nr++)
		*text++ = '?';
	*text = '\0';
	return text;
}

static const char *show(void)
{
	static char text[1024];
	char *end = text;
	*end = '\0';
	for (iterator seg = memmap_mapping_set_first_segment(&set); memmap_mapping_iterator_ok(seg);
	     seg = memmap_mapping_iterator_next_segment(seg)) {
		if (end > text)
			*end++ = ' ';
		end = show_segment(end, seg);
	}
	return text;
}

/* The set is what `text` says and in order, also after all has been brought to agree. */
#define then(text)                                                                                 \
	do {                                                                                       \
		assert_string_equal(show(), text);                                                 \
		assert_int_equal(memmap_mapping_set_verify(&set), 0);                              \
		add('a', 900, 901);                                                                \
		assert_int_equal(memmap_mapping_set_verify(&set), 0);                              \
		assert_int_equal(memmap_mapping_set_remove_range(&set, pages(900, 901), NULL), 0); \
		assert_string_equal(show(), text);                                                 \
		assert_int_equal(memmap_mapping_set_verify(&set), 0);                              \
	} while (0)

#define assert_segment(seg, text)                                                                  \
	do {                                                                                       \
		char shown_[64];                                                                   \
		iterator seg_ = seg;                                                               \
		assert_true(memmap_mapping_iterator_ok(seg_));                                     \
		(void)show_segment(shown_, seg_);                                                  \
		assert_string_equal(shown_, text);                                                 \
	} while (0)

#define assert_gap(gap, from, to)                                                                  \
	do {                                                                                       \
		gap_iterator gap_ = gap;                                                           \
		assert_true(memmap_mapping_gap_iterator_ok(gap_));                                 \
		assert_int_equal(memmap_mapping_gap_iterator_start(gap_), from);                   \
		assert_int_equal(memmap_mapping_gap_iterator_end(gap_), to);                       \
		range r_ = memmap_mapping_gap_iterator_range(gap_);                                \
		assert_true(r_.start == (from) && r_.end == (to));                                 \
		assert_int_equal(memmap_mapping_gap_iterator_is_empty(gap_), (from) == (to));      \
	} while (0)

#define assert_no_segment(seg) assert_false(memmap_mapping_iterator_ok(seg))
#define assert_no_gap(gap)     assert_false(memmap_mapping_gap_iterator_ok(gap))

static iterator at(uint64_t page)
{
	return memmap_mapping_set_find_segment(&set, page << 12);
}

/* A value that owns its mappings: those of `letters` for the segment `r`. */
static mappings value_of(const char *letters, range r)
{
	mappings v;
	memmap_mappings_of_range_init(&v, &memory.allocator);
	for (const char *c = letters; *c; c++)
		assert_int_equal(memmap_mappings_of_range_add(&v, mapping_by(*c, r)), 0);
	return v;
}

static int setup(void **state)
{
	(void)state;
	failing_allocator_init(&memory, PLENTY);
	memmap_mapping_set_init(&set, &memory.allocator);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	memmap_mapping_set_destroy(&set);
	assert_int_equal(memory.nr_live, 0);
	return 0;
}

/* ---- Finding ---- */

static void test_finding(void **state)
{
	(void)state;
	given("1-3a 5-6b 6-8a");
	assert_segment(memmap_mapping_set_first_segment(&set), "1-3a");
	assert_segment(memmap_mapping_set_last_segment(&set), "6-8a");
	assert_gap(memmap_mapping_set_first_gap(&set), 0, 0x1000);
	assert_gap(memmap_mapping_set_last_gap(&set), 0x8000, UINT64_MAX);

	iterator seg;
	gap_iterator gap;
	assert_true(memmap_mapping_set_find(&set, 0x2fff, &seg, &gap));
	assert_segment(seg, "1-3a");
	assert_no_gap(gap);
	assert_false(memmap_mapping_set_find(&set, 0x3000, &seg, &gap));
	assert_no_segment(seg);
	assert_gap(gap, 0x3000, 0x5000);
	assert_gap(memmap_mapping_set_find_gap(&set, 0x4fff), 0x3000, 0x5000);
	assert_no_gap(memmap_mapping_set_find_gap(&set, 0x5000));

	assert_segment(memmap_mapping_set_lower_bound_segment(&set, 0x3000), "5-6b");
	assert_segment(memmap_mapping_set_upper_bound_segment(&set, 0x3000), "1-3a");
	assert_no_segment(memmap_mapping_set_lower_bound_segment(&set, 0x8000));
	assert_no_segment(memmap_mapping_set_upper_bound_segment(&set, 0xfff));
	assert_gap(memmap_mapping_set_lower_bound_gap(&set, 0x1000), 0x3000, 0x5000);
	assert_gap(memmap_mapping_set_lower_bound_gap(&set, 0x5000), 0x6000, 0x6000);
	assert_gap(memmap_mapping_set_upper_bound_gap(&set, 0x2000), 0, 0x1000);
	assert_gap(memmap_mapping_set_upper_bound_gap(&set, 0x6000), 0x6000, 0x6000);

	assert_true(memmap_mapping_set_is_empty_range(&set, pages(3, 5)));
	assert_false(memmap_mapping_set_is_empty_range(&set, pages(3, 6)));
	assert_int_equal(memmap_mapping_set_span(&set), 0x5000);
	assert_int_equal(memmap_mapping_set_span_range(&set, pages(2, 7)), 0x3000);
}

static void test_walking(void **state)
{
	(void)state;
	given("1-3a 5-6b 6-8a");
	iterator seg = at(5);
	assert_segment(memmap_mapping_iterator_prev_segment(seg), "1-3a");
	assert_segment(memmap_mapping_iterator_next_segment(seg), "6-8a");
	assert_gap(memmap_mapping_iterator_prev_gap(seg), 0x3000, 0x5000);
	assert_gap(memmap_mapping_iterator_next_gap(seg), 0x6000, 0x6000);
	assert_true(memmap_mapping_iterator_equal(seg, at(5)));
	assert_false(memmap_mapping_iterator_equal(seg, at(6)));
	assert_no_segment(memmap_mapping_iterator_prev_segment(at(1)));
	assert_no_segment(memmap_mapping_iterator_next_segment(at(7)));

	iterator next;
	gap_iterator gap;
	memmap_mapping_iterator_next_non_empty(seg, &next, &gap);
	assert_segment(next, "6-8a");
	assert_no_gap(gap);
	memmap_mapping_iterator_prev_non_empty(seg, &next, &gap);
	assert_no_segment(next);
	assert_gap(gap, 0x3000, 0x5000);
	memmap_mapping_iterator_next_non_empty(at(6), &next, &gap);
	assert_no_segment(next);
	assert_gap(gap, 0x8000, UINT64_MAX);
	memmap_mapping_iterator_prev_non_empty(at(6), &next, &gap);
	assert_segment(next, "5-6b");
	assert_no_gap(gap);

	gap = memmap_mapping_set_find_gap(&set, 0x4000);
	assert_segment(memmap_mapping_gap_iterator_prev_segment(gap), "1-3a");
	assert_segment(memmap_mapping_gap_iterator_next_segment(gap), "5-6b");
	assert_gap(memmap_mapping_gap_iterator_prev_gap(gap), 0, 0x1000);
	assert_gap(memmap_mapping_gap_iterator_next_gap(gap), 0x6000, 0x6000);
	assert_true(memmap_mapping_gap_iterator_equal(
		gap, memmap_mapping_set_lower_bound_gap(&set, 0x1000)));
	assert_false(memmap_mapping_gap_iterator_equal(gap, memmap_mapping_set_first_gap(&set)));
	assert_no_gap(memmap_mapping_gap_iterator_next_gap(memmap_mapping_set_last_gap(&set)));
	assert_no_gap(memmap_mapping_gap_iterator_prev_gap(memmap_mapping_set_first_gap(&set)));
}

static void test_terminal_is_zero(void **state)
{
	(void)state;
	given("1-3a");
	const iterator segments[] = {at(5), memmap_mapping_iterator_next_segment(at(1))};
	const gap_iterator gaps[] = {
		memmap_mapping_set_find_gap(&set, 0x1000),
		memmap_mapping_gap_iterator_next_gap(memmap_mapping_set_last_gap(&set))};
	for (int i = 0; i < 2; i++) {
		assert_true(memmap_mapping_iterator_equal(segments[i], (iterator){0}));
		assert_null(segments[i].set);
		assert_true(memmap_mapping_gap_iterator_equal(gaps[i], (gap_iterator){0}));
		assert_null(gaps[i].set);
	}
}

static void test_text(void **state)
{
	(void)state;
	given("1-3a 5-6ab");
	char *text = memmap_mapping_set_to_string(&set);
	assert_non_null(text);
	assert_non_null(strstr(text, "[0x1000, 0x3000)"));
	assert_non_null(strstr(text, "[0x5000, 0x6000)"));
	memmap_free(text);
}

/* ---- Inserting ---- */

/* The ways to insert, all asked for a segment of pages [3, 5). */
typedef int insert_function(range r, mappings v, iterator *out);

static int insert(range r, mappings v, iterator *out)
{
	return memmap_mapping_set_insert(&set, memmap_mapping_set_find_gap(&set, r.start), r, v,
					 out);
}

static int insert_without_merging(range r, mappings v, iterator *out)
{
	return memmap_mapping_set_insert_without_merging(
		&set, memmap_mapping_set_find_gap(&set, r.start), r, v, out);
}

static int insert_without_merging_unchecked(range r, mappings v, iterator *out)
{
	return memmap_mapping_set_insert_without_merging_unchecked(
		&set, memmap_mapping_set_find_gap(&set, r.start), r, v, out);
}

static int insert_range(range r, mappings v, iterator *out)
{
	return memmap_mapping_set_insert_range(&set, r, v, out);
}

static int try_insert_range(range r, mappings v, iterator *out)
{
	return memmap_mapping_set_try_insert_range(&set, r, v, out);
}

static int add_value(range r, mappings v, iterator *out)
{
	int err = memmap_mapping_set_add(&set, r, v);
	if (!err)
		*out = memmap_mapping_set_find_segment(&set, r.start);
	return err;
}

static int add_without_merging(range r, mappings v, iterator *out)
{
	int err = memmap_mapping_set_add_without_merging(&set, r, v);
	if (!err)
		*out = memmap_mapping_set_find_segment(&set, r.start);
	return err;
}

static const struct insertion {
	insert_function *insert;
	bool merges;
} insertions[] = {
	{insert, true},
	{insert_range, true},
	{try_insert_range, true},
	{add_value, true},
	{insert_without_merging, false},
	{insert_without_merging_unchecked, false},
	{add_without_merging, false},
};

#define for_each_insertion(i)                                                                      \
	for (const struct insertion *i = insertions;                                               \
	     i < insertions + sizeof(insertions) / sizeof(insertions[0]); i++)

static void test_insert(void **state)
{
	(void)state;
	for_each_insertion(i)
	{
		iterator out = {0};
		given("1-3a 6-8b");
		assert_int_equal(i->insert(pages(3, 5), value_of("ab", pages(3, 5)), &out), 0);
		assert_segment(out, "3-5ab");
		then("1-3a 3-5ab 6-8b");

		given("1-3a 5-8a");
		assert_int_equal(i->insert(pages(3, 5), value_of("a", pages(3, 5)), &out), 0);
		assert_segment(out, i->merges ? "1-8a" : "3-5a");
		if (i->merges)
			then("1-8a");
		else
			then("1-3a 3-5a 5-8a");
	}
}

/* Each request for memory refused in turn: the set is as it was, and the value still the caller's. */
static void test_insert_out_of_memory(void **state)
{
	(void)state;
	for_each_insertion(i)
	{
		int err = -ENOMEM;
		for (size_t budget = 0; err; budget++) {
			iterator out = {0};
			/* The neighbours are views, which merging makes own two mappings. */
			given("1-3ab 5-8ab");
			mappings v = value_of("ab", pages(3, 5));
			memory.budget = budget;
			err = i->insert(pages(3, 5), v, &out);
			memory.budget = PLENTY;
			if (err) {
				assert_int_equal(err, -ENOMEM);
				assert_no_segment(out);
				assert_int_equal(memmap_mappings_of_range_count(&v), 2);
				memmap_mappings_of_range_clear(&v);
				then("1-3ab 5-8ab");
			} else {
				assert_int_equal(memmap_mapping_set_verify(&set), 0);
				/* What lacked memory to merge may have stayed apart. */
				assert_int_equal(memmap_mapping_set_span(&set), 0x7000);
			}
			assert_true(budget < 100);
		}
	}
}

/* A value that was taken while there was no memory still looks at the set; inserting copies it. */
static void test_insert_a_view(void **state)
{
	(void)state;
	for_each_insertion(i)
	{
		int err = -ENOMEM;
		for (size_t budget = 0; err; budget++) {
			given("1-3ab 5-8ab");
			memory.budget = 0;
			mappings v;
			(void)memmap_mapping_set_take(&set, at(1), &v);
			assert_int_equal(memmap_mappings_of_range_count(&v), 2);
			memory.budget = budget;
			iterator out = {0};
			err = i->insert(pages(1, 3), v, &out);
			memory.budget = PLENTY;
			if (err) {
				assert_int_equal(err, -ENOMEM);
				assert_int_equal(memmap_mappings_of_range_count(&v), 2);
				memmap_mappings_of_range_clear(&v);
				then("5-8ab");
			} else {
				then("1-3ab 5-8ab");
			}
			assert_true(budget < 100);
		}
	}
}

/*
 * As long as such a value is there the set changes a copy of what it looks at. When memory for that
 * runs out half way and the value goes, the set still shows all that it had.
 */
static void test_a_view_goes_after_a_failure(void **state)
{
	(void)state;
	int err = -ENOMEM;
	for (size_t budget = 0; err; budget++) {
		given("1-3ab 5-8ab");
		memory.budget = 0;
		mappings v;
		(void)memmap_mapping_set_take(&set, at(1), &v);
		memory.budget = budget;
		const mapping m = mapping_by('b', pages(4, 5));
		err = memmap_mapping_set_add_mapping(&set, m.space, m.addr_range, 0x4000,
						     m.writable, NULL);
		memory.budget = PLENTY;
		memmap_mappings_of_range_clear(&v);
		if (err) {
			assert_int_equal(err, -ENOMEM);
			then("5-8ab");
		} else {
			then("4-5b 5-8ab");
		}
		assert_true(budget < 100);
	}
}

static void test_insert_where_something_is(void **state)
{
	(void)state;
	given("1-3a 6-8b");
	mappings v = value_of("b", pages(2, 4));
	assert_int_equal(try_insert_range(pages(2, 4), v, NULL), -EEXIST);
	assert_int_equal(memmap_mapping_set_add(&set, pages(2, 4), v), -EEXIST);
	assert_int_equal(memmap_mapping_set_add_without_merging(&set, pages(2, 4), v), -EEXIST);
	assert_panics("overlaps existing segment", (void)insert_range(pages(2, 4), v, NULL));
	assert_panics(
		"the iterator is terminal",
		(void)memmap_mapping_set_insert(&set, (gap_iterator){0}, pages(2, 4), v, NULL));
	memmap_mappings_of_range_clear(&v);
	then("1-3a 6-8b");
}

static void test_reserve(void **state)
{
	(void)state;
	given("");
	for (memory.budget = 0; memmap_mapping_set_reserve(&set, 100) != 0;)
		memory.budget = memory.nr_refused;
	memory.budget = 0;
	for (uint64_t i = 0; i < 100; i++) {
		const range r = pages(2 * i, 2 * i + 1);
		assert_int_equal(memmap_mapping_set_add(&set, r, value_of("a", r)), 0);
	}
	memory.budget = PLENTY;
	assert_int_equal(memmap_mapping_set_span(&set), 100 << 12);
	assert_int_equal(memmap_mapping_set_verify(&set), 0);
}

/* ---- Removing ---- */

static void test_remove(void **state)
{
	(void)state;
	gap_iterator gap;
	given("1-3a 3-5ab 6-8b");
	assert_gap(memmap_mapping_set_remove(&set, at(3)), 0x3000, 0x6000);
	then("1-3a 6-8b");
	assert_int_equal(memmap_mapping_set_remove_range(&set, pages(2, 7), &gap), 0);
	assert_gap(gap, 0x2000, 0x7000);
	then("1-2a 7-8b");
	given("1-3a 3-5ab 6-8b");
	assert_int_equal(memmap_mapping_set_remove_full_range(&set, pages(2, 4), &gap), 0);
	assert_gap(gap, 0x2000, 0x4000);
	then("1-2a 4-5ab 6-8b");
	assert_panics("missing segment at the start of [0x5000, 0x7000)",
		      (void)memmap_mapping_set_remove_full_range(&set, pages(4, 7), NULL));
	memmap_mapping_set_remove_all(&set);
	assert_true(memmap_mapping_set_is_empty(&set));
	then("");
}

static void test_take(void **state)
{
	(void)state;
	mappings v;
	given("1-3a 3-5ab");
	assert_gap(memmap_mapping_set_take(&set, at(3), &v), 0x3000, UINT64_MAX);
	assert_int_equal(memmap_mappings_of_range_count(&v), 2);
	assert_true(memmap_mappings_of_range_contains(&v, mapping_by('b', pages(3, 5))));
	memmap_mappings_of_range_clear(&v);
	then("1-3a");
	/* One that owns its mappings. */
	assert_int_equal(memmap_mapping_set_add(&set, pages(4, 6), value_of("ab", pages(4, 6))), 0);
	assert_gap(memmap_mapping_set_take(&set, at(4), &v), 0x3000, UINT64_MAX);
	assert_int_equal(memmap_mappings_of_range_count(&v), 2);
	memmap_mappings_of_range_clear(&v);
	then("1-3a");
	assert_panics("take: the iterator is terminal",
		      (void)memmap_mapping_set_take(&set, (iterator){0}, &v));
	assert_panics("remove: the iterator is terminal",
		      (void)memmap_mapping_set_remove(&set, (iterator){0}));
}

static void test_move_from(void **state)
{
	(void)state;
	given("1-3a 3-5ab");
	struct memmap_mapping_set other;
	memmap_mapping_set_init(&other, &memory.allocator);
	memmap_mapping_set_move_from(&other, &set);
	assert_true(memmap_mapping_set_is_empty(&set));
	memmap_mapping_set_move_from(&set, &other);
	memmap_mapping_set_move_from(&set, &set);
	then("1-3a 3-5ab");
	assert_true(memmap_mapping_set_is_empty(&other));
	memmap_mapping_set_destroy(&other);
}

/* ---- Splitting and merging ---- */

static void test_split(void **state)
{
	(void)state;
	iterator low, high, out;
	given("1-5ab");
	assert_int_equal(memmap_mapping_set_split(&set, at(1), 0x2000, &low, &high), 0);
	assert_segment(low, "1-2ab");
	assert_segment(high, "2-5ab");
	assert_int_equal(memmap_mapping_set_split_unchecked(&set, high, 0x4000, &low, &high), 0);
	assert_segment(low, "2-4ab");
	assert_segment(high, "4-5ab");
	then("1-2ab 2-4ab 4-5ab");
	assert_int_equal(memmap_mapping_set_split_at(&set, 0x2000), 0);
	assert_int_equal(memmap_mapping_set_split_at(&set, 0x3000), 1);
	then("1-2ab 2-3ab 3-4ab 4-5ab");

	given("1-9a");
	assert_int_equal(memmap_mapping_set_split_before(&set, at(1), 0x3000, &out), 0);
	assert_segment(out, "3-9a");
	assert_int_equal(memmap_mapping_set_split_after(&set, out, 0x8000, &out), 0);
	assert_segment(out, "3-8a");
	assert_int_equal(memmap_mapping_set_isolate(&set, out, pages(4, 6), &out), 0);
	assert_segment(out, "4-6a");
	then("1-3a 3-4a 4-6a 6-8a 8-9a");
}

static void given_apart(void)
{
	given("1-9a");
	for (uint64_t page = 2; page < 9; page++)
		assert_int_equal(memmap_mapping_set_split_at(&set, page << 12), 1);
}

static void test_merge(void **state)
{
	(void)state;
	given_apart();
	assert_segment(memmap_mapping_set_merge(&set, at(1), at(2)), "1-3a");
	assert_segment(memmap_mapping_set_merge_unchecked(&set, at(3), at(4)), "3-5a");
	assert_segment(memmap_mapping_set_merge_prev(&set, at(6)), "5-7a");
	assert_segment(memmap_mapping_set_merge_next(&set, at(7)), "7-9a");
	then("1-3a 3-5a 5-7a 7-9a");
	assert_segment(memmap_mapping_set_unisolate(&set, at(5)), "3-9a");
	then("1-3a 3-9a");

	given_apart();
	memmap_mapping_set_merge_adjacent(&set, pages(3, 5));
	then("1-2a 2-4a 4-6a 6-7a 7-8a 8-9a");
	given_apart();
	memmap_mapping_set_merge_outside_range(&set, pages(3, 5));
	then("1-2a 2-4a 4-6a 6-7a 7-8a 8-9a");
	given_apart();
	memmap_mapping_set_merge_range(&set, pages(3, 6));
	then("1-2a 2-3a 3-6a 6-7a 7-8a 8-9a");
	given_apart();
	memmap_mapping_set_merge_inside_range(&set, pages(3, 6));
	then("1-2a 2-3a 3-6a 6-7a 7-8a 8-9a");
	memmap_mapping_set_merge_all(&set);
	then("1-9a");

	given("1-3a 3-5ab");
	assert_no_segment(memmap_mapping_set_merge(&set, at(1), at(3)));
	assert_segment(memmap_mapping_set_merge_next(&set, at(1)), "1-3a");
	then("1-3a 3-5ab");
}

/* Two that could merge stay two when there is no memory for the merged value. */
static void test_merge_out_of_memory(void **state)
{
	(void)state;
	given("1-3ab");
	const range r = pages(3, 5);
	mappings v = value_of("ab", r);
	assert_int_equal(memmap_mapping_set_add_without_merging(&set, r, v), 0);
	memory.budget = 0;
	assert_no_segment(memmap_mapping_set_merge(&set, at(1), at(3)));
	memory.budget = PLENTY;
	assert_string_equal(show(), "1-3ab 3-5ab");
	assert_segment(memmap_mapping_set_merge(&set, at(1), at(3)), "1-5ab");
	then("1-5ab");
}

/* ---- Over ranges ---- */

struct seen {
	char text[256];
	size_t nr, stop_after;
};

static void see(iterator seg, void *arg)
{
	struct seen *seen = arg;
	char *end = seen->text + strlen(seen->text);
	*end++ = ' ';
	(void)show_segment(end, seg);
	seen->nr++;
}

static bool see_until(iterator seg, void *arg)
{
	struct seen *seen = arg;
	see(seg, arg);
	return seen->nr != seen->stop_after;
}

static bool see_and_stop(iterator seg, void *arg)
{
	struct seen *seen = arg;
	see(seg, arg);
	/* The second gets the mappings of b as well. */
	if (seen->nr == 2)
		assert_int_equal(memmap_mappings_of_range_add(
					 memmap_mapping_iterator_value_ptr(seg),
					 mapping_by('b', memmap_mapping_iterator_range(seg))),
				 0);
	return seen->nr != seen->stop_after;
}

static void test_over_ranges(void **state)
{
	(void)state;
	gap_iterator gap;
	struct seen seen = {0};
	given("1-3a 3-5ab 6-8b");
	assert_int_equal(memmap_mapping_set_apply_contiguous(&set, pages(2, 7), see, &seen, &gap),
			 0);
	assert_string_equal(seen.text, " 2-3a 3-5ab");
	assert_gap(gap, 0x5000, 0x6000);
	then("1-2a 2-3a 3-5ab 6-8b");

	given("1-3a 3-5ab 6-8b");
	seen = (struct seen){0};
	memmap_mapping_set_visit_range(&set, pages(2, 7), see_until, &seen);
	assert_string_equal(seen.text, " 1-3a 3-5ab 6-8b");
	seen = (struct seen){.stop_after = 2};
	memmap_mapping_set_visit_range(&set, pages(2, 7), see_until, &seen);
	assert_string_equal(seen.text, " 1-3a 3-5ab");
	seen = (struct seen){0};
	memmap_mapping_set_visit_full_range(&set, pages(2, 5), see_until, &seen);
	assert_string_equal(seen.text, " 1-3a 3-5ab");
	seen = (struct seen){.stop_after = 2};
	memmap_mapping_set_visit_full_range(&set, pages(2, 7), see_until, &seen);
	assert_string_equal(seen.text, " 1-3a 3-5ab");
	assert_panics("missing segment at the start of [0x5000, 0x7000)", seen = (struct seen){0};
		      memmap_mapping_set_visit_full_range(&set, pages(2, 7), see_until, &seen));
	then("1-3a 3-5ab 6-8b");
}

static void test_mutate(void **state)
{
	(void)state;
	for (int full = 0; full <= 1; full++) {
		int (*mutate)(struct memmap_mapping_set * s, range r,
			      bool (*fn)(iterator seg, void *arg), void *arg) =
			full ? memmap_mapping_set_mutate_full_range
			     : memmap_mapping_set_mutate_range;
		struct seen seen = {0};
		given("1-3ab 3-6a 8-9a");
		assert_int_equal(mutate(&set, pages(2, 5), see_and_stop, &seen), 0);
		assert_string_equal(seen.text, " 2-3ab 3-5a");
		then("1-5ab 5-6a 8-9a");
		given("1-3ab 3-6a 8-9a");
		seen = (struct seen){.stop_after = 1};
		assert_int_equal(mutate(&set, pages(2, 5), see_and_stop, &seen), 0);
		assert_string_equal(seen.text, " 2-3ab");
		then("1-3ab 3-6a 8-9a");
	}
	struct seen seen = {0};
	assert_int_equal(memmap_mapping_set_mutate_range(&set, pages(5, 9), see_and_stop, &seen),
			 0);
	assert_string_equal(seen.text, " 5-6a 8-9a");
	then("1-3ab 3-6a 8-9ab");
	assert_panics(
		"missing segment at the start of [0x6000, 0x9000)",
		(void)memmap_mapping_set_mutate_full_range(&set, pages(5, 9), see_and_stop, &seen));
}

/* ---- Moving segments: the mappings stay what they were, and the segments tell where they are ---- */

static void test_set_range(void **state)
{
	(void)state;
	static void (*const set_ends[])(iterator seg, uint64_t end) = {
		memmap_mapping_iterator_set_end, memmap_mapping_iterator_set_end_unchecked};
	static void (*const set_starts[])(iterator seg, uint64_t start) = {
		memmap_mapping_iterator_set_start, memmap_mapping_iterator_set_start_unchecked};
	static void (*const set_ranges[])(iterator seg, range r) = {
		memmap_mapping_iterator_set_range, memmap_mapping_iterator_set_range_unchecked};
	for (int i = 0; i < 2; i++) {
		given("1-3a 5-7ab");
		set_ends[i](at(1), 0x4000);
		then("1-4? 5-7ab");
		set_starts[i](at(5), 0x6000);
		then("1-4? 6-7??");
		set_ranges[i](at(6), pages(5, 7));
		then("1-4? 5-7ab");
		set_ends[i](at(1), 0x3000);
		then("1-3a 5-7ab");
		/* Each as the first thing that happens to a set. */
		given("1-3a 5-7ab");
		set_starts[i](at(5), 0x4000);
		then("1-3a 4-7??");
		given("1-3a 5-7ab");
		set_ranges[i](at(5), pages(4, 8));
		then("1-3a 4-8??");
		/* Adding to a set whose mappings are not of their segments' length. */
		given("1-3a 5-7ab");
		set_ends[i](at(1), 0x4000);
		add('b', 2, 6);
		assert_string_equal(show(), "1-2a 2-4b? 4-5b 5-6ab 6-7ab");
		assert_int_equal(memmap_mapping_set_verify(&set), 0);
	}
	assert_panics("[0x4000, 0x6000) overlaps segment [0x5000, 0x6000)",
		      memmap_mapping_iterator_set_end(at(4), 0x6000));
	assert_panics("[0x3000, 0x5000) overlaps segment [0x2000, 0x4000)",
		      memmap_mapping_iterator_set_start(at(4), 0x3000));
	assert_panics("[0x3000, 0x5000) overlaps segment [0x2000, 0x4000)",
		      memmap_mapping_iterator_set_range(at(4), pages(3, 5)));
}

static void test_set_value(void **state)
{
	(void)state;
	given("1-3a 5-7ab");
	memmap_mapping_iterator_set_value(at(5), value_of("b", pages(5, 7)));
	assert_int_equal(memmap_mapping_set_verify(&set), 0);
	then("1-3a 5-7b");
}

/* ---- Whole sets ---- */

static void test_slices(void **state)
{
	(void)state;
	given("1-3a 5-7ab");
	struct memmap_mapping_segment_data_slices slices;
	assert_int_equal(memmap_mapping_set_export_sorted_slices(&set, &slices), 0);
	assert_int_equal(slices.len, 2);
	assert_int_equal(slices.start[1], 0x5000);
	assert_int_equal(slices.end[1], 0x7000);
	int err = -ENOMEM;
	for (size_t budget = 0; err; budget++) {
		memmap_mapping_set_destroy(&set);
		memory.budget = budget;
		err = memmap_mapping_set_import_sorted_slices(&set, &slices);
		memory.budget = PLENTY;
		if (err) {
			assert_int_equal(err, -ENOMEM);
			assert_string_equal(show(), "");
		}
		assert_true(budget < 100);
	}
	memmap_mapping_segment_data_slices_release(&slices);
	assert_int_equal(slices.len, 0);
	then("1-3a 5-7ab");
}

int main(void)
{
#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		test(test_finding),
		test(test_walking),
		test(test_terminal_is_zero),
		test(test_text),
		test(test_insert),
		test(test_insert_out_of_memory),
		test(test_insert_a_view),
		test(test_a_view_goes_after_a_failure),
		test(test_insert_where_something_is),
		test(test_reserve),
		test(test_remove),
		test(test_take),
		test(test_move_from),
		test(test_split),
		test(test_merge),
		test(test_merge_out_of_memory),
		test(test_over_ranges),
		test(test_mutate),
		test(test_set_range),
		test(test_set_value),
		test(test_slices),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
