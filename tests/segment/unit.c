/* SPDX-License-Identifier: Apache-2.0 */
/* Each function of the segment set on small sets that can be read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "segment/letters.h"

static struct letters_set s;

static struct letters_iterator at(uint64_t key)
{
	return letters_set_find_segment(&s, key);
}

/* Start a test with what `text` says, and check at its end that the set holds `text` then. */
static void given(const char *text)
{
	letters_make(&s, text);
	assert_letters(&s, text);
}

static void then(const char *text)
{
	assert_letters(&s, text);
	letters_done(&s);
}

static void zero_is_an_empty_set(void **state)
{
	(void)state;
	struct letters_set zero;
	memset((void *)&zero, 0, sizeof(zero));
	assert_true(letters_set_is_empty(&zero));
	assert_true(letters_set_is_empty_range(&zero, range(0, LETTERS_MAX)));
	assert_int_equal(letters_set_span(&zero), 0);
	assert_int_equal(letters_set_verify(&zero), 0);
	assert_false(letters_iterator_ok(letters_set_first_segment(&zero)));
	assert_false(letters_iterator_ok(letters_set_last_segment(&zero)));
	assert_gap(letters_set_first_gap(&zero), 0, LETTERS_MAX);
	assert_true(letters_gap_iterator_equal(letters_set_first_gap(&zero),
					       letters_set_last_gap(&zero)));
	assert_gap(letters_set_find_gap(&zero, 500), 0, LETTERS_MAX);
	assert_false(letters_iterator_ok(letters_set_lower_bound_segment(&zero, 0)));
	assert_false(letters_iterator_ok(letters_set_upper_bound_segment(&zero, LETTERS_MAX)));
	struct letters_gap_iterator gap = letters_set_first_gap(&zero);
	assert_false(letters_gap_iterator_ok(letters_gap_iterator_next_gap(gap)));
	assert_false(letters_gap_iterator_ok(letters_gap_iterator_prev_gap(gap)));
	assert_false(letters_iterator_ok(letters_gap_iterator_next_segment(gap)));
	assert_false(letters_iterator_ok(letters_gap_iterator_prev_segment(gap)));
	assert_gap(letters_set_first_large_enough_gap(&zero, LETTERS_MAX), 0, LETTERS_MAX);
	assert_gap(letters_set_last_large_enough_gap(&zero, 0), 0, LETTERS_MAX);
	assert_false(letters_gap_iterator_ok(
		letters_set_first_large_enough_gap(&zero, LETTERS_MAX + 1)));
	/* The zero value uses the default allocator; the letters come from ours. */
	assert_int_equal(letters_set_add(&zero, range(0, LETTERS_MAX), letter_make('a')), 0);
	assert_gap(letters_set_first_gap(&zero), 0, 0);
	assert_gap(letters_set_last_gap(&zero), LETTERS_MAX, LETTERS_MAX);
	letters_set_destroy(&zero);
	assert_true(letters_set_is_empty(&zero));
	assert_int_equal(blocks_live, 0);
}

static void terminal_is_zero(void **state)
{
	(void)state;
	struct letters_iterator seg = {0}, last;
	struct letters_gap_iterator gap = {0};
	assert_false(letters_iterator_ok(seg));
	assert_false(letters_gap_iterator_ok(gap));
	given("10-20a");
	last = letters_set_last_segment(&s);
	assert_true(letters_iterator_equal(letters_iterator_next_segment(last), seg));
	assert_true(letters_iterator_equal(letters_iterator_prev_segment(last), seg));
	assert_true(letters_iterator_equal(at(25), seg));
	assert_true(letters_gap_iterator_equal(letters_set_find_gap(&s, 15), gap));
	assert_true(letters_gap_iterator_equal(
		letters_gap_iterator_next_gap(letters_set_last_gap(&s)), gap));
	assert_true(letters_gap_iterator_equal(
		letters_gap_iterator_prev_gap(letters_set_first_gap(&s)), gap));
	then("10-20a");
}

static void finding(void **state)
{
	(void)state;
	given("10-20a 20-30b 50-60c");
	struct letters_iterator seg;
	struct letters_gap_iterator gap;
	assert_true(letters_set_find(&s, 10, &seg, &gap));
	assert_segment(seg, 10, 20, 'a');
	assert_false(letters_gap_iterator_ok(gap));
	assert_true(letters_set_find(&s, 19, &seg, &gap));
	assert_segment(seg, 10, 20, 'a');
	assert_true(letters_set_find(&s, 20, &seg, &gap));
	assert_segment(seg, 20, 30, 'b');
	assert_false(letters_set_find(&s, 30, &seg, &gap));
	assert_false(letters_iterator_ok(seg));
	assert_gap(gap, 30, 50);
	assert_false(letters_set_find(&s, 9, &seg, &gap));
	assert_gap(gap, 0, 10);
	assert_false(letters_set_find(&s, UINT64_MAX, &seg, &gap));
	assert_gap(gap, 60, LETTERS_MAX);

	assert_segment(letters_set_lower_bound_segment(&s, 0), 10, 20, 'a');
	assert_segment(letters_set_lower_bound_segment(&s, 15), 10, 20, 'a');
	assert_segment(letters_set_lower_bound_segment(&s, 30), 50, 60, 'c');
	assert_false(letters_iterator_ok(letters_set_lower_bound_segment(&s, 60)));
	assert_false(letters_iterator_ok(letters_set_upper_bound_segment(&s, 9)));
	assert_segment(letters_set_upper_bound_segment(&s, 10), 10, 20, 'a');
	assert_segment(letters_set_upper_bound_segment(&s, 49), 20, 30, 'b');
	assert_segment(letters_set_upper_bound_segment(&s, UINT64_MAX), 50, 60, 'c');
	assert_gap(letters_set_lower_bound_gap(&s, 5), 0, 10);
	assert_gap(letters_set_lower_bound_gap(&s, 10), 20, 20);
	assert_gap(letters_set_lower_bound_gap(&s, 25), 30, 50);
	assert_gap(letters_set_lower_bound_gap(&s, 59), 60, LETTERS_MAX);
	assert_gap(letters_set_upper_bound_gap(&s, 10), 0, 10);
	assert_gap(letters_set_upper_bound_gap(&s, 20), 20, 20);
	assert_gap(letters_set_upper_bound_gap(&s, 49), 30, 50);

	assert_int_equal(letters_set_span(&s), 30);
	assert_int_equal(letters_set_span_range(&s, range(15, 55)), 20);
	assert_int_equal(letters_set_span_range(&s, range(15, 15)), 0);
	assert_true(letters_set_is_empty_range(&s, range(30, 50)));
	assert_true(letters_set_is_empty_range(&s, range(15, 15)));
	assert_false(letters_set_is_empty_range(&s, range(29, 50)));
	assert_false(letters_set_is_empty_range(&s, range(30, 51)));
	then("10-20a 20-30b 50-60c");
}

static void neighbours(void **state)
{
	(void)state;
	given("0-20a 20-30b 50-1000c");
	struct letters_iterator seg;
	struct letters_gap_iterator gap;
	letters_iterator_prev_non_empty(at(0), &seg, &gap);
	assert_false(letters_iterator_ok(seg) || letters_gap_iterator_ok(gap));
	letters_iterator_next_non_empty(at(0), &seg, &gap);
	assert_segment(seg, 20, 30, 'b');
	assert_false(letters_gap_iterator_ok(gap));
	letters_iterator_prev_non_empty(at(20), &seg, &gap);
	assert_segment(seg, 0, 20, 'a');
	letters_iterator_next_non_empty(at(20), &seg, &gap);
	assert_false(letters_iterator_ok(seg));
	assert_gap(gap, 30, 50);
	letters_iterator_next_non_empty(at(50), &seg, &gap);
	assert_false(letters_iterator_ok(seg) || letters_gap_iterator_ok(gap));
	then("0-20a 20-30b 50-1000c");
}

static void adding(void **state)
{
	(void)state;
	given("10-20a 30-40a");
	letter v = letter_make('a');
	assert_int_equal(letters_set_add(&s, range(15, 25), v), -EEXIST);
	assert_int_equal(letters_set_add(&s, range(5, 11), v), -EEXIST);
	assert_int_equal(letters_set_add(&s, range(0, 1000), v), -EEXIST);
	assert_int_equal(letters_set_add(&s, range(999, 1001), v), -EEXIST);
	assert_int_equal(letters_set_add_without_merging(&s, range(39, 41), v), -EEXIST);
	struct letters_iterator out = {0};
	assert_int_equal(letters_set_try_insert_range(&s, range(39, 41), v, &out), -EEXIST);
	assert_false(letters_iterator_ok(out));
	assert_letters(&s, "10-20a 30-40a");
	/* Joins both sides. */
	assert_int_equal(letters_set_try_insert_range(&s, range(20, 30), v, &out), 0);
	assert_segment(out, 10, 40, 'a');
	/* Joins the one before only, the one after only, and none. */
	assert_int_equal(letters_set_add(&s, range(40, 50), letter_make('a')), 0);
	assert_letters(&s, "10-50a");
	assert_int_equal(letters_set_insert_range(&s, range(5, 10), letter_make('a'), &out), 0);
	assert_segment(out, 5, 50, 'a');
	assert_int_equal(letters_set_add(&s, range(50, 60), letter_make('b')), 0);
	assert_int_equal(letters_set_add_without_merging(&s, range(60, 70), letter_make('b')), 0);
	assert_int_equal(letters_set_add(&s, range(999, 1000), letter_make('z')), 0);
	assert_int_equal(letters_set_add(&s, range(0, 5), letter_make('A')), 0);
	then("0-5A 5-50a 50-60b 60-70b 999-1000z");
}

static void inserting_into_a_gap(void **state)
{
	(void)state;
	given("10-20a");
	struct letters_iterator out = {0};
	assert_int_equal(letters_set_insert(&s, letters_set_find_gap(&s, 20), range(20, 25),
					    letter_make('a'), &out),
			 0);
	assert_segment(out, 10, 25, 'a');
	assert_int_equal(letters_set_insert_without_merging(&s, letters_set_find_gap(&s, 25),
							    range(25, 30), letter_make('a'), &out),
			 0);
	assert_segment(out, 25, 30, 'a');
	assert_int_equal(
		letters_set_insert_without_merging_unchecked(&s, letters_set_find_gap(&s, 30),
							     range(40, 50), letter_make('b'), NULL),
		0);
	then("10-25a 25-30a 40-50b");
}

static void removing(void **state)
{
	(void)state;
	given("10-20a 20-30b 50-60c");
	assert_gap(letters_set_remove(&s, at(20)), 20, 50);
	assert_letters(&s, "10-20a 50-60c");
	letter v;
	assert_gap(letters_set_take(&s, at(50), &v), 20, LETTERS_MAX);
	assert_int_equal(*v, 'c');
	letter_clear(&v);
	assert_gap(letters_set_remove(&s, at(10)), 0, LETTERS_MAX);
	assert_true(letters_set_is_empty(&s));
	then("");
}

static void removing_ranges(void **state)
{
	(void)state;
	given("10-30a 30-40b 50-60c");
	struct letters_gap_iterator gap;
	assert_int_equal(letters_set_remove_range(&s, range(15, 20), &gap), 0);
	assert_gap(gap, 15, 20);
	assert_letters(&s, "10-15a 20-30a 30-40b 50-60c");
	assert_int_equal(letters_set_remove_range(&s, range(25, 55), &gap), 0);
	assert_gap(gap, 25, 55);
	assert_letters(&s, "10-15a 20-25a 55-60c");
	assert_int_equal(letters_set_remove_range(&s, range(15, 20), &gap), 0);
	assert_gap(gap, 15, 20);
	assert_int_equal(letters_set_remove_range(&s, range(0, LETTERS_MAX), NULL), 0);
	then("");

	given("10-20a 20-30a 30-40b");
	assert_int_equal(letters_set_remove_full_range(&s, range(15, 35), &gap), 0);
	assert_gap(gap, 15, 35);
	/* An empty range removes nothing, also inside a segment. */
	assert_int_equal(letters_set_remove_range(&s, range(12, 12), &gap), 0);
	assert_false(letters_gap_iterator_ok(gap));
	assert_int_equal(letters_set_remove_range(&s, range(10, 10), &gap), 0);
	assert_gap(gap, 0, 10);
	assert_int_equal(letters_set_remove_range(&s, range(20, 20), &gap), 0);
	assert_gap(gap, 15, 35);
	assert_int_equal(letters_set_remove_full_range(&s, range(20, 20), &gap), 0);
	then("10-15a 35-40b");
}

static void removing_all(void **state)
{
	(void)state;
	given("10-20a 20-30b 50-60c");
	letters_set_remove_all(&s);
	assert_letters(&s, "");
	assert_int_equal(letters_set_add(&s, range(1, 2), letter_make('x')), 0);
	then("1-2x");
}

static void moving(void **state)
{
	(void)state;
	struct letters_set other;
	letters_make(&other, "1-2a 3-4b 5-6c 7-8d 9-10e 11-12f 13-14g 15-16h");
	given("10-20z");
	letters_set_move_from(&s, &other);
	assert_letters(&other, "");
	assert_letters(&s, "1-2a 3-4b 5-6c 7-8d 9-10e 11-12f 13-14g 15-16h");
	letters_set_move_from(&s, &s);
	/* The source can be used again. */
	assert_int_equal(letters_set_add(&other, range(1, 2), letter_make('x')), 0);
	letters_set_destroy(&other);
	then("1-2a 3-4b 5-6c 7-8d 9-10e 11-12f 13-14g 15-16h");
}

static void merging(void **state)
{
	(void)state;
	given("10-20a 20-30a 30-40a 40-50b 60-70b");
	assert_segment(letters_set_merge(&s, at(10), at(20)), 10, 30, 'a');
	assert_false(letters_iterator_ok(letters_set_merge(&s, at(30), at(40))));
	assert_false(letters_iterator_ok(letters_set_merge(&s, at(40), at(60))));
	assert_segment(letters_set_merge_unchecked(&s, at(10), at(30)), 10, 40, 'a');
	then("10-40a 40-50b 60-70b");

	given("10-20A 20-30A");
	assert_false(letters_iterator_ok(letters_set_merge(&s, at(10), at(20))));
	then("10-20A 20-30A");

	given("10-20a 20-30a 30-40a");
	assert_segment(letters_set_merge_prev(&s, at(10)), 10, 20, 'a');
	assert_segment(letters_set_merge_prev(&s, at(20)), 10, 30, 'a');
	assert_segment(letters_set_merge_next(&s, at(30)), 30, 40, 'a');
	assert_segment(letters_set_merge_next(&s, at(10)), 10, 40, 'a');
	then("10-40a");

	given("10-20a 20-30a 30-40a");
	assert_segment(letters_set_unisolate(&s, at(20)), 10, 40, 'a');
	then("10-40a");
}

static void merging_in_ranges(void **state)
{
	(void)state;
	static void (*const inside[])(struct letters_set *, struct memmap_addr_range) = {
		letters_set_merge_range, letters_set_merge_inside_range};
	static void (*const outside[])(struct letters_set *, struct memmap_addr_range) = {
		letters_set_merge_adjacent, letters_set_merge_outside_range};
	for (int i = 0; i < 2; i++) {
		given("10-20a 20-30a 30-40a 40-50a 50-60a");
		inside[i](&s, range(25, 45));
		then("10-20a 20-50a 50-60a");
		given("10-20a 20-30a 30-40a");
		inside[i](&s, range(10, 20));
		inside[i](&s, range(25, 25));
		then("10-20a 20-30a 30-40a");
		given("10-20a 20-30a 30-40a 40-50a 50-60a");
		outside[i](&s, range(20, 50));
		then("10-30a 30-40a 40-60a");
		given("0-10a 10-20a 20-30a");
		outside[i](&s, range(0, 0));
		then("0-10a 10-20a 20-30a");
	}
	given("10-20a 20-30a 30-40b 40-50b 60-70b 70-80b");
	letters_set_merge_all(&s);
	then("10-30a 30-50b 60-80b");
	given("");
	letters_set_merge_all(&s);
	letters_set_merge_range(&s, range(0, 10));
	letters_set_merge_adjacent(&s, range(0, 10));
	then("");
}

static void splitting(void **state)
{
	(void)state;
	given("10-40a");
	struct letters_iterator first, second;
	assert_int_equal(letters_set_split(&s, at(10), 20, &first, &second), 0);
	assert_segment(first, 10, 20, 'a');
	assert_segment(second, 20, 40, 'a');
	assert_int_equal(letters_set_split_unchecked(&s, second, 39, NULL, NULL), 0);
	then("10-20a 20-39a 39-40a");

	given("10-40a");
	assert_int_equal(letters_set_split_at(&s, 10), 0);
	assert_int_equal(letters_set_split_at(&s, 40), 0);
	assert_int_equal(letters_set_split_at(&s, 5), 0);
	assert_int_equal(letters_set_split_at(&s, UINT64_MAX), 0);
	assert_int_equal(letters_set_split_at(&s, 11), 1);
	assert_int_equal(letters_set_split_before(&s, at(20), 11, &first), 0);
	assert_segment(first, 11, 40, 'a');
	assert_int_equal(letters_set_split_before(&s, at(20), 20, &first), 0);
	assert_segment(first, 20, 40, 'a');
	assert_int_equal(letters_set_split_after(&s, at(20), 40, &first), 0);
	assert_segment(first, 20, 40, 'a');
	assert_int_equal(letters_set_split_after(&s, at(20), 30, &first), 0);
	assert_segment(first, 20, 30, 'a');
	then("10-11a 11-20a 20-30a 30-40a");
}

static void isolating(void **state)
{
	(void)state;
	static const struct {
		struct memmap_addr_range r, out;
		const char *after;
	} cases[] = {
		{{20, 30}, {20, 30}, "10-20a 20-30a 30-40a"},
		{{0, 100}, {10, 40}, "10-40a"},
		{{10, 40}, {10, 40}, "10-40a"},
		{{0, 20}, {10, 20}, "10-20a 20-40a"},
		{{20, 100}, {20, 40}, "10-20a 20-40a"},
		{{10, 11}, {10, 11}, "10-11a 11-40a"},
		{{39, 40}, {39, 40}, "10-39a 39-40a"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		given("10-40a");
		struct letters_iterator out = {0};
		assert_int_equal(letters_set_isolate(&s, at(10), cases[i].r, &out), 0);
		assert_segment(out, cases[i].out.start, cases[i].out.end, 'a');
		assert_letters(&s, cases[i].after);
		assert_segment(letters_set_unisolate(&s, out), 10, 40, 'a');
		then("10-40a");
	}
}

/* A callback that makes capitals of letters and goes on for so many segments. */
struct capitals {
	int left;
	char seen[64];
};

static bool capital_fn(struct letters_iterator seg, void *arg)
{
	struct capitals *c = (struct capitals *)arg;
	char **v = letters_iterator_value_ptr(seg);
	size_t n = strlen(c->seen);
	c->seen[n] = **v;
	c->seen[n + 1] = '\0';
	**v = (char)(**v - 'a' + 'A');
	return --c->left > 0;
}

static void capital_all_fn(struct letters_iterator seg, void *arg)
{
	(void)capital_fn(seg, arg);
}

static bool look_fn(struct letters_iterator seg, void *arg)
{
	struct capitals *c = (struct capitals *)arg;
	size_t n = strlen(c->seen);
	c->seen[n] = *letters_iterator_value(seg);
	c->seen[n + 1] = '\0';
	return --c->left > 0;
}

static void applying(void **state)
{
	(void)state;
	struct letters_gap_iterator gap;
	given("10-20a 20-30b 30-40c 50-60d");
	struct capitals c = {0};
	assert_int_equal(letters_set_apply_contiguous(&s, range(15, 35), capital_all_fn, &c, &gap),
			 0);
	assert_false(letters_gap_iterator_ok(gap));
	assert_string_equal(c.seen, "abc");
	then("10-15a 15-20A 20-30B 30-35C 35-40c 50-60d");

	/* It stops at the gap, and does not split beyond it. */
	given("10-20a 20-30b 50-60d");
	assert_int_equal(letters_set_apply_contiguous(&s, range(15, 55), capital_all_fn, &c, &gap),
			 0);
	assert_gap(gap, 30, 50);
	then("10-15a 15-20A 20-30B 50-60d");

	given("10-20a");
	assert_int_equal(letters_set_apply_contiguous(&s, range(5, 20), capital_all_fn, &c, &gap),
			 0);
	assert_gap(gap, 0, 10);
	assert_int_equal(letters_set_apply_contiguous(&s, range(12, 12), capital_all_fn, &c, &gap),
			 0);
	assert_false(letters_gap_iterator_ok(gap));
	then("10-20a");

	given("900-1000a");
	assert_int_equal(
		letters_set_apply_contiguous(&s, range(950, 2000), capital_all_fn, &c, &gap), 0);
	assert_false(letters_gap_iterator_ok(gap)); /* the last gap is empty: nothing ended it */
	then("900-950a 950-1000A");
}

static void visiting(void **state)
{
	(void)state;
	given("10-20a 20-30b 50-60c 70-80d");
	struct capitals c = {100, ""};
	letters_set_visit_range(&s, range(15, 55), look_fn, &c);
	assert_string_equal(c.seen, "abc");
	c = (struct capitals){2, ""};
	letters_set_visit_range(&s, range(0, LETTERS_MAX), look_fn, &c);
	assert_string_equal(c.seen, "ab");
	c = (struct capitals){100, ""};
	letters_set_visit_range(&s, range(15, 15), look_fn, &c);
	letters_set_visit_full_range(&s, range(35, 35), look_fn, &c);
	assert_string_equal(c.seen, "");
	letters_set_visit_full_range(&s, range(15, 30), look_fn, &c);
	assert_string_equal(c.seen, "ab");
	/* What it does not come to may be missing. */
	c = (struct capitals){2, ""};
	letters_set_visit_full_range(&s, range(15, 55), look_fn, &c);
	assert_string_equal(c.seen, "ab");
	then("10-20a 20-30b 50-60c 70-80d");
}

static void mutating(void **state)
{
	(void)state;
	given("10-20a 20-30b 50-60c");
	struct capitals c = {100, ""};
	assert_int_equal(letters_set_mutate_range(&s, range(15, 55), capital_fn, &c), 0);
	assert_string_equal(c.seen, "abc");
	then("10-15a 15-20A 20-30B 50-55C 55-60c");

	/* Stopping early puts the end together again. */
	given("10-20a 20-30b 50-60c");
	c = (struct capitals){1, ""};
	assert_int_equal(letters_set_mutate_range(&s, range(15, 55), capital_fn, &c), 0);
	then("10-15a 15-20A 20-30b 50-60c");

	given("10-20a 20-30a");
	c = (struct capitals){100, ""};
	assert_int_equal(letters_set_mutate_full_range(&s, range(12, 28), look_fn, &c), 0);
	assert_string_equal(c.seen, "aa");
	then("10-30a");

	/* What it does not come to may be missing. */
	given("10-20a");
	c = (struct capitals){1, ""};
	assert_int_equal(letters_set_mutate_full_range(&s, range(15, 55), capital_fn, &c), 0);
	assert_int_equal(letters_set_mutate_full_range(&s, range(55, 55), capital_fn, &c), 0);
	assert_int_equal(letters_set_mutate_range(&s, range(12, 12), capital_fn, &c), 0);
	then("10-15a 15-20A");
}

static void setting_bounds(void **state)
{
	(void)state;
	given("10-20a 30-40b 50-60c");
	letters_iterator_set_start(at(30), 20);
	letters_iterator_set_end(at(30), 50);
	assert_letters(&s, "10-20a 20-50b 50-60c");
	letters_iterator_set_range(at(30), range(25, 26));
	letters_iterator_set_end(at(50), LETTERS_MAX);
	letters_iterator_set_start(at(10), 0);
	assert_letters(&s, "0-20a 25-26b 50-1000c");
	letters_iterator_set_start_unchecked(at(50), 999);
	letters_iterator_set_end_unchecked(at(0), 1);
	letters_iterator_set_range_unchecked(at(25), range(500, 600));
	then("0-1a 500-600b 999-1000c");
}

static void setting_values(void **state)
{
	(void)state;
	given("10-20a");
	letters_iterator_set_value(at(10), letter_make('b'));
	**letters_iterator_value_ptr(at(10)) = 'c';
	assert_int_equal(*letters_iterator_value(at(10)), 'c');
	then("10-20c");
}

static void large_gaps(void **state)
{
	(void)state;
	/* gaps: 10 0 5 20 5 940 */
	given("10-11a 11-12b 17-18c 38-39d 44-60e");
	assert_gap(letters_set_first_large_enough_gap(&s, 6), 0, 10);
	assert_gap(letters_set_first_large_enough_gap(&s, 11), 18, 38);
	assert_gap(letters_set_first_large_enough_gap(&s, 21), 60, LETTERS_MAX);
	assert_gap(letters_set_first_large_enough_gap(&s, 0), 0, 10);
	assert_false(letters_gap_iterator_ok(letters_set_first_large_enough_gap(&s, LETTERS_MAX)));
	assert_gap(letters_set_last_large_enough_gap(&s, 940), 60, LETTERS_MAX);
	assert_gap(letters_set_lower_bound_large_enough_gap(&s, 10, 0), 11, 11);
	assert_gap(letters_set_lower_bound_large_enough_gap(&s, 10, 5), 12, 17);
	assert_gap(letters_set_lower_bound_large_enough_gap(&s, 30, 20), 18, 38);
	assert_gap(letters_set_upper_bound_large_enough_gap(&s, 43, 6), 18, 38);
	assert_gap(letters_set_upper_bound_large_enough_gap(&s, 17, 6), 0, 10);
	assert_false(letters_gap_iterator_ok(letters_set_upper_bound_large_enough_gap(&s, 43, 21)));
	struct letters_gap_iterator gap = letters_set_find_gap(&s, 14);
	assert_gap(letters_gap_iterator_next_large_enough_gap(gap, 5), 18, 38);
	assert_gap(letters_gap_iterator_prev_large_enough_gap(gap, 0), 11, 11);
	assert_gap(letters_gap_iterator_prev_large_enough_gap(gap, 5), 0, 10);
	gap = letters_set_last_gap(&s);
	assert_false(letters_gap_iterator_ok(letters_gap_iterator_next_large_enough_gap(gap, 0)));
	gap = letters_set_first_gap(&s);
	assert_false(letters_gap_iterator_ok(letters_gap_iterator_prev_large_enough_gap(gap, 0)));
	then("10-11a 11-12b 17-18c 38-39d 44-60e");
}

static void slices(void **state)
{
	(void)state;
	given("10-20a 20-30b 50-60c");
	struct letters_segment_data_slices d;
	assert_int_equal(letters_set_export_sorted_slices(&s, &d), 0);
	assert_int_equal(d.len, 3);
	assert_int_equal(d.start[1], 20);
	assert_int_equal(d.end[1], 30);
	assert_int_equal(*d.values[1], 'b');
	assert_int_equal(letters_set_import_sorted_slices(&s, &d), -EEXIST);
	letters_set_remove_all(&s);
	assert_int_equal(letters_set_import_sorted_slices(&s, &d), 0);
	assert_letters(&s, "10-20a 20-30b 50-60c");
	letters_set_remove_all(&s);
	static const struct {
		int which;
		uint64_t start, end;
	} wrong[] = {{1, 19, 30}, {1, 20, 51}, {1, 25, 25}, {1, 26, 25}, {2, 990, 1001}, {2, 5, 6}};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++) {
		uint64_t start = d.start[wrong[i].which], end = d.end[wrong[i].which];
		d.start[wrong[i].which] = wrong[i].start;
		d.end[wrong[i].which] = wrong[i].end;
		assert_int_equal(letters_set_import_sorted_slices(&s, &d), -EINVAL);
		assert_true(letters_set_is_empty(&s));
		d.start[wrong[i].which] = start;
		d.end[wrong[i].which] = end;
	}
	letters_segment_data_slices_release(&d);
	assert_int_equal(d.len, 0);
	assert_int_equal(letters_set_export_sorted_slices(&s, &d), 0);
	assert_int_equal(d.len, 0);
	assert_int_equal(letters_set_import_sorted_slices(&s, &d), 0);
	letters_segment_data_slices_release(&d);
	then("");
}

static void as_text(void **state)
{
	(void)state;
	given("");
	char *text = letters_set_to_string(&s);
	assert_string_equal(text, "");
	memmap_free(text);
	then("");

	given("1-2a 3-4b 5-6c 7-8d 9-10e 11-12f 15-16g");
	text = letters_set_to_string(&s);
	assert_string_equal(text, "-   0: leaf of 6, largest gap 0x1\n"
				  "    -   0: [0x1, 0x2) => a\n"
				  "    -   1: [0x3, 0x4) => b\n"
				  "    -   2: [0x5, 0x6) => c\n"
				  "    -   3: [0x7, 0x8) => d\n"
				  "    -   4: [0x9, 0xa) => e\n"
				  "    -   5: [0xb, 0xc) => f\n"
				  "-   1: leaf of 1, largest gap 0x3\n"
				  "    -   0: [0xf, 0x10) => g\n");
	memmap_free(text);
	then("1-2a 3-4b 5-6c 7-8d 9-10e 11-12f 15-16g");
}

/* Break one thing in a deep tree: verify must say so. */
static void verify_sees_what_is_broken(void **state)
{
	(void)state;
	letters_set_init(&s, &failing);
	for (uint64_t i = 0; i < 200; i++)
		assert_int_equal(letters_set_add(&s, range(4 * i + 1, 4 * i + 2), letter_make('A')),
				 0);
	assert_int_equal(letters_set_verify(&s), 0);
	assert_true(s.height >= 2);
	struct letters_leaf *leaf = letters_node_leaf(s.edge.next->next);
	struct letters_inner *inner = letters_node_inner(leaf->node.parent);
#define BROKEN(place, wrong)                                                                       \
	do {                                                                                       \
		__typeof__(place) right_ = place;                                                  \
		place = wrong;                                                                     \
		assert_int_equal(letters_set_verify(&s), -EINVAL);                                 \
		place = right_;                                                                    \
		assert_int_equal(letters_set_verify(&s), 0);                                       \
	} while (0)
	BROKEN(leaf->starts[1], leaf->ends[0] - 1);
	BROKEN(leaf->starts[1], leaf->ends[1]);
	BROKEN(leaf->ends[1], leaf->starts[1]);
	BROKEN(leaf->node.count, 0);
	BROKEN(leaf->node.count, LETTERS_DEGREE - 1);
	BROKEN(leaf->node.parent, NULL);
	BROKEN(leaf->node.prev, NULL);
	BROKEN(leaf->node.next, leaf->node.next->next);
	BROKEN(leaf->node.max_gap, 4);
	BROKEN(inner->gaps[1], 2);
	BROKEN(inner->node.max_gap, 2);
	BROKEN(inner->separators[0], 1);
	BROKEN(inner->separators[inner->node.count - 1], 1);
	BROKEN(inner->node.parent, NULL);
	BROKEN(inner->node.count, 2);
	BROKEN(s.height, s.height - 1);
	BROKEN(s.nr_leaves, 1);
	BROKEN(s.edge.next, &leaf->node);
	BROKEN(s.edge.prev, &leaf->node);
	BROKEN(s.edge.count, 1);
	BROKEN(s.nr_spare_leaves, 1);
	struct letters_leaf *last = letters_node_leaf(s.edge.prev);
	BROKEN(last->ends[last->node.count - 1], LETTERS_MAX + 1);
	BROKEN(last->ends[last->node.count], 5);
	letters_set_remove_all(&s);
	BROKEN(s.height, 1);
	then("");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(zero_is_an_empty_set),
		cmocka_unit_test(terminal_is_zero),
		cmocka_unit_test(finding),
		cmocka_unit_test(neighbours),
		cmocka_unit_test(adding),
		cmocka_unit_test(inserting_into_a_gap),
		cmocka_unit_test(removing),
		cmocka_unit_test(removing_ranges),
		cmocka_unit_test(removing_all),
		cmocka_unit_test(moving),
		cmocka_unit_test(merging),
		cmocka_unit_test(merging_in_ranges),
		cmocka_unit_test(splitting),
		cmocka_unit_test(isolating),
		cmocka_unit_test(applying),
		cmocka_unit_test(visiting),
		cmocka_unit_test(mutating),
		cmocka_unit_test(setting_bounds),
		cmocka_unit_test(setting_values),
		cmocka_unit_test(large_gaps),
		cmocka_unit_test(slices),
		cmocka_unit_test(as_text),
		cmocka_unit_test(verify_sees_what_is_broken),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
