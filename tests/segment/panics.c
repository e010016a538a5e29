/* SPDX-License-Identifier: Apache-2.0 */
/* Every panic that <memmap/segment/declarations.h> promises, by its words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "panic.h"
#include "segment/letters.h"

static struct letters_set s;

static struct letters_iterator at(uint64_t key)
{
	return letters_set_find_segment(&s, key);
}

static bool go_on(struct letters_iterator seg, void *arg)
{
	(void)seg;
	(void)arg;
	return true;
}

static void ignore(struct letters_iterator seg, void *arg)
{
	(void)seg;
	(void)arg;
}

static int set_up(void **state)
{
	(void)state;
	letters_make(&s, "10-20a 30-40b 40-50c");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	letters_done(&s);
	return 0;
}

static void ranges_that_are_not_well_formed(void **state)
{
	(void)state;
	assert_panics("set_is_empty_range: invalid range [0x5, 0x1)",
		      letters_set_is_empty_range(&s, range(5, 1)));
	assert_panics("set_span_range: invalid range", letters_set_span_range(&s, range(5, 1)));
	assert_panics("set_remove_range: invalid range",
		      letters_set_remove_range(&s, range(5, 1), NULL));
	assert_panics("set_remove_full_range: invalid range",
		      letters_set_remove_full_range(&s, range(5, 1), NULL));
	assert_panics("set_apply_contiguous: invalid range",
		      letters_set_apply_contiguous(&s, range(5, 1), ignore, NULL, NULL));
	assert_panics("set_visit_range: invalid range",
		      letters_set_visit_range(&s, range(5, 1), go_on, NULL));
	assert_panics("set_visit_full_range: invalid range",
		      letters_set_visit_full_range(&s, range(5, 1), go_on, NULL));
	assert_panics("set_mutate_range: invalid range",
		      letters_set_mutate_range(&s, range(5, 1), go_on, NULL));
	assert_panics("set_mutate_full_range: invalid range",
		      letters_set_mutate_full_range(&s, range(5, 1), go_on, NULL));
}

static void segments_that_are_empty(void **state)
{
	(void)state;
	letter v = NULL;
	assert_panics("letters_set_add: invalid segment range [0x5, 0x5)",
		      letters_set_add(&s, range(5, 5), v));
	assert_panics("set_add: invalid segment range", letters_set_add(&s, range(5, 4), v));
	assert_panics("set_add_without_merging: invalid segment range",
		      letters_set_add_without_merging(&s, range(5, 5), v));
	assert_panics("set_try_insert_range: invalid segment range",
		      letters_set_try_insert_range(&s, range(5, 5), v, NULL));
	assert_panics("set_insert_range: invalid segment range",
		      letters_set_insert_range(&s, range(5, 5), v, NULL));
	assert_panics("set_insert: invalid segment range",
		      letters_set_insert(&s, letters_set_first_gap(&s), range(5, 5), v, NULL));
	assert_panics("set_insert_without_merging: invalid segment range",
		      letters_set_insert_without_merging(&s, letters_set_first_gap(&s), range(5, 5),
							 v, NULL));
}

static void insertions_that_do_not_fit(void **state)
{
	(void)state;
	letter v = NULL;
	struct letters_gap_iterator gap = letters_set_find_gap(&s, 20);
	assert_panics("cannot insert segment range [0x13, 0x19) into gap range [0x14, 0x1e)",
		      letters_set_insert(&s, gap, range(19, 25), v, NULL));
	assert_panics("into gap range", letters_set_insert(&s, gap, range(25, 31), v, NULL));
	assert_panics("set_insert_without_merging: cannot insert",
		      letters_set_insert_without_merging(&s, gap, range(25, 31), v, NULL));
	gap = letters_set_last_gap(&s);
	assert_panics("into gap range [0x32, 0x3e8)",
		      letters_set_insert(&s, gap, range(60, LETTERS_MAX + 1), v, NULL));
	assert_panics(
		"set_insert_range: new segment [0xf, 0x19) overlaps existing segment [0xa, 0x14)",
		letters_set_insert_range(&s, range(15, 25), v, NULL));
	assert_panics("overlaps existing segment [0x1e, 0x28)",
		      letters_set_insert_range(&s, range(25, 31), v, NULL));
	assert_panics(
		"set_insert_range: segment range outside of the keys [0x3e7, 0x3e9)",
		letters_set_insert_range(&s, range(LETTERS_MAX - 1, LETTERS_MAX + 1), v, NULL));
}

static void keys_that_no_segment_holds(void **state)
{
	(void)state;
	assert_panics("set_remove_full_range: missing segment at the start of [0x14, 0x23)",
		      letters_set_remove_full_range(&s, range(15, 35), NULL));
	assert_panics("set_visit_full_range: missing segment at the start of [0x14, 0x23)",
		      letters_set_visit_full_range(&s, range(15, 35), go_on, NULL));
	assert_panics("set_visit_full_range: missing segment at the start of [0x5, 0xc)",
		      letters_set_visit_full_range(&s, range(5, 12), go_on, NULL));
	assert_panics("set_mutate_full_range: missing segment at the start of [0x14, 0x23)",
		      letters_set_mutate_full_range(&s, range(15, 35), go_on, NULL));
	assert_panics("set_mutate_full_range: missing segment at the start of [0x32, 0x3c)",
		      letters_set_mutate_full_range(&s, range(45, 60), go_on, NULL));
}

static void splits_at_no_inner_key(void **state)
{
	(void)state;
	assert_panics("letters_set_split: cannot split [0xa, 0x14) at 0xa",
		      letters_set_split(&s, at(10), 10, NULL, NULL));
	assert_panics("cannot split [0xa, 0x14) at 0x14",
		      letters_set_split(&s, at(10), 20, NULL, NULL));
	assert_panics("cannot split [0xa, 0x14) at 0x5",
		      letters_set_split(&s, at(10), 5, NULL, NULL));
}

static void merges_of_no_neighbours(void **state)
{
	(void)state;
	assert_panics("attempt to merge non-neighbouring segments [0xa, 0x14) and [0x28, 0x32)",
		      letters_set_merge(&s, at(10), at(40)));
	assert_panics("attempt to merge non-neighbouring segments [0x28, 0x32) and [0x1e, 0x28)",
		      letters_set_merge(&s, at(40), at(30)));
}

static void bounds_that_overlap_or_are_empty(void **state)
{
	(void)state;
	assert_panics("iterator_set_start: invalid segment range [0x28, 0x28)",
		      letters_iterator_set_start(at(30), 40));
	assert_panics(
		"iterator_set_start: new segment range [0x13, 0x28) overlaps segment [0xa, 0x14)",
		letters_iterator_set_start(at(30), 19));
	assert_panics("iterator_set_end: invalid segment range [0x1e, 0x1e)",
		      letters_iterator_set_end(at(30), 30));
	assert_panics(
		"iterator_set_end: new segment range [0x1e, 0x29) overlaps segment [0x28, 0x32)",
		letters_iterator_set_end(at(30), 41));
	assert_panics("iterator_set_end: invalid segment range [0x28, 0x3e9)",
		      letters_iterator_set_end(at(40), LETTERS_MAX + 1));
	assert_panics("iterator_set_range: invalid segment range [0x21, 0x21)",
		      letters_iterator_set_range(at(30), range(33, 33)));
	assert_panics("iterator_set_range: new segment range [0x13, 0x21) overlaps segment",
		      letters_iterator_set_range(at(30), range(19, 33)));
	assert_panics("iterator_set_range: new segment range [0x21, 0x29) overlaps segment",
		      letters_iterator_set_range(at(30), range(33, 41)));
}

static void terminal_iterators(void **state)
{
	(void)state;
	struct letters_iterator seg = {0};
	struct letters_gap_iterator gap = {0};
	letter v = NULL;
	assert_panics("letters_set_remove: the iterator is terminal", letters_set_remove(&s, seg));
	assert_panics("set_take: the iterator is terminal", letters_set_take(&s, seg, &v));
	assert_panics("set_insert: the iterator is terminal",
		      letters_set_insert(&s, gap, range(60, 61), v, NULL));
	assert_panics("set_insert_without_merging: the iterator is terminal",
		      letters_set_insert_without_merging(&s, gap, range(60, 61), v, NULL));
	assert_panics("set_merge: the iterator is terminal", letters_set_merge(&s, seg, at(10)));
	assert_panics("set_merge: the iterator is terminal", letters_set_merge(&s, at(40), seg));
	assert_panics("set_merge_prev: the iterator is terminal", letters_set_merge_prev(&s, seg));
	assert_panics("set_merge_next: the iterator is terminal", letters_set_merge_next(&s, seg));
	assert_panics("set_unisolate: the iterator is terminal", letters_set_unisolate(&s, seg));
	assert_panics("set_split: the iterator is terminal",
		      letters_set_split(&s, seg, 1, NULL, NULL));
	assert_panics("set_split_before: the iterator is terminal",
		      letters_set_split_before(&s, seg, 1, NULL));
	assert_panics("set_split_after: the iterator is terminal",
		      letters_set_split_after(&s, seg, 1, NULL));
	assert_panics("set_isolate: the iterator is terminal",
		      letters_set_isolate(&s, seg, range(1, 2), NULL));
	assert_panics("iterator_set_start: the iterator is terminal",
		      letters_iterator_set_start(seg, 1));
	assert_panics("iterator_set_end: the iterator is terminal",
		      letters_iterator_set_end(seg, 1));
	assert_panics("iterator_set_range: the iterator is terminal",
		      letters_iterator_set_range(seg, range(1, 2)));
	assert_panics("gap_iterator_next_large_enough_gap: the iterator is terminal",
		      letters_gap_iterator_next_large_enough_gap(gap, 1));
	assert_panics("gap_iterator_prev_large_enough_gap: the iterator is terminal",
		      letters_gap_iterator_prev_large_enough_gap(gap, 1));
}

/* Asserted, not always checked: see MEMMAP_CHECK. */
static void terminal_iterators_that_are_asked(void **state)
{
	(void)state;
	struct letters_iterator seg = {0};
	struct letters_gap_iterator gap = {0};
	letter v = NULL;
	if (MEMMAP_CHECK < 1)
		skip();
	assert_panics("letters_iterator_start: the iterator is terminal",
		      letters_iterator_start(seg));
	assert_panics("iterator_end: the iterator is terminal", letters_iterator_end(seg));
	assert_panics("the iterator is terminal", letters_iterator_range(seg));
	assert_panics("the iterator is terminal", letters_iterator_value(seg));
	assert_panics("iterator_value_ptr: the iterator is terminal",
		      letters_iterator_value_ptr(seg));
	assert_panics("the iterator is terminal", letters_iterator_set_value(seg, v));
	assert_panics("iterator_prev_segment: the iterator is terminal",
		      letters_iterator_prev_segment(seg));
	assert_panics("iterator_next_segment: the iterator is terminal",
		      letters_iterator_next_segment(seg));
	assert_panics("iterator_prev_gap: the iterator is terminal",
		      letters_iterator_prev_gap(seg));
	assert_panics("iterator_next_gap: the iterator is terminal",
		      letters_iterator_next_gap(seg));
	assert_panics("the iterator is terminal", letters_iterator_prev_non_empty(seg, &seg, &gap));
	assert_panics("the iterator is terminal", letters_iterator_next_non_empty(seg, &seg, &gap));
	assert_panics("gap_iterator_start: the iterator is terminal",
		      letters_gap_iterator_start(gap));
	assert_panics("gap_iterator_end: the iterator is terminal", letters_gap_iterator_end(gap));
	assert_panics("the iterator is terminal", letters_gap_iterator_range(gap));
	assert_panics("the iterator is terminal", letters_gap_iterator_is_empty(gap));
	assert_panics("gap_iterator_prev_segment: the iterator is terminal",
		      letters_gap_iterator_prev_segment(gap));
	assert_panics("gap_iterator_next_segment: the iterator is terminal",
		      letters_gap_iterator_next_segment(gap));
	assert_panics("the iterator is terminal", letters_gap_iterator_prev_gap(gap));
	assert_panics("gap_iterator_next_gap: the iterator is terminal",
		      letters_gap_iterator_next_gap(gap));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(ranges_that_are_not_well_formed),
		TEST(segments_that_are_empty),
		TEST(insertions_that_do_not_fit),
		TEST(keys_that_no_segment_holds),
		TEST(splits_at_no_inner_key),
		TEST(merges_of_no_neighbours),
		TEST(bounds_that_overlap_or_are_empty),
		TEST(terminal_iterators),
		TEST(terminal_iterators_that_are_asked),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
