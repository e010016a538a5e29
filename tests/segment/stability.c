/* SPDX-License-Identifier: Apache-2.0 */
/* What does not invalidate iterators: changes through an iterator, reading, moving the set. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "segment/letters.h"

#define NR_SEGMENTS 90

static struct letters_set s;
static struct letters_iterator segs[NR_SEGMENTS];
static struct letters_gap_iterator gaps[NR_SEGMENTS + 1];
static char *values[NR_SEGMENTS];

/* [10i + 3, 10i + 6), and an iterator to each segment and gap. */
static int set_up(void **state)
{
	(void)state;
	letters_set_init(&s, &failing);
	for (uint64_t i = 0; i < NR_SEGMENTS; i++)
		assert_int_equal(
			letters_set_add(&s, range(10 * i + 3, 10 * i + 6), letter_make('a')), 0);
	assert_true(s.height >= 2);
	gaps[0] = letters_set_first_gap(&s);
	struct letters_iterator it = letters_set_first_segment(&s);
	for (size_t i = 0; i < NR_SEGMENTS; i++, it = letters_iterator_next_segment(it)) {
		segs[i] = it;
		values[i] = letters_iterator_value(it);
		gaps[i + 1] = letters_iterator_next_gap(it);
	}
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	letters_done(&s);
	return 0;
}

/* Every iterator is still to the same place. */
static void expect_stable(void)
{
	assert_int_equal(letters_set_verify(&s), 0);
	struct letters_iterator it = letters_set_first_segment(&s);
	assert_true(letters_gap_iterator_equal(gaps[0], letters_set_first_gap(&s)));
	for (size_t i = 0; i < NR_SEGMENTS; i++, it = letters_iterator_next_segment(it)) {
		assert_true(letters_iterator_equal(it, segs[i]));
		assert_ptr_equal(letters_iterator_value(it), values[i]);
		assert_true(letters_gap_iterator_equal(gaps[i + 1], letters_iterator_next_gap(it)));
		assert_true(letters_iterator_equal(
			it, letters_set_find_segment(&s, letters_iterator_start(it))));
		assert_true(letters_iterator_equal(
			it, letters_set_find_segment(&s, letters_iterator_end(it) - 1)));
	}
	assert_false(letters_iterator_ok(it));
}

/* Each segment is moved to both ends of its gaps; after each step the largest gaps are right. */
static void changing_bounds(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR_SEGMENTS; i++) {
		uint64_t base = 10 * i, top = i + 1 < NR_SEGMENTS ? base + 13 : LETTERS_MAX;
		uint64_t bottom = i > 0 ? base - 4 : 0;
		letters_iterator_set_start(segs[i], bottom);
		expect_stable();
		letters_iterator_set_end(segs[i], top);
		expect_stable();
		letters_iterator_set_range(segs[i], range(bottom, bottom + 1));
		expect_stable();
		letters_iterator_set_range(segs[i], range(top - 1, top));
		expect_stable();
		letters_iterator_set_range(segs[i], range(base + 3, base + 6));
		expect_stable();
	}
}

static void changing_values(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR_SEGMENTS; i++) {
		letters_iterator_set_value(segs[i], values[i] = letter_make('b'));
		expect_stable();
	}
}

static bool look(struct letters_iterator seg, void *arg)
{
	(void)seg;
	(void)arg;
	return true;
}

static void what_changes_nothing(void **state)
{
	(void)state;
	const struct memmap_addr_range all = range(0, LETTERS_MAX), inside = range(14, 15);
	letter v = letter_make('c');
	assert_int_equal(letters_set_add(&s, all, v), -EEXIST);
	letter_clear(&v);
	assert_int_equal(letters_set_split_at(&s, 3), 0);
	assert_int_equal(letters_set_split_before(&s, segs[0], 3, NULL), 0);
	assert_int_equal(letters_set_split_after(&s, segs[0], 6, NULL), 0);
	assert_int_equal(letters_set_isolate(&s, segs[0], all, NULL), 0);
	assert_false(letters_iterator_ok(letters_set_merge(&s, segs[0], segs[1])));
	letters_set_merge_all(&s);
	letters_set_merge_range(&s, all);
	letters_set_merge_adjacent(&s, inside);
	letters_set_visit_range(&s, all, look, NULL);
	assert_int_equal(letters_set_remove_range(&s, range(10, 13), NULL), 0);
	assert_int_equal(letters_set_remove_range(&s, range(14, 14), NULL), 0);
	assert_int_equal(letters_set_mutate_range(&s, all, look, NULL), 0);
	char *text = letters_set_to_string(&s);
	memmap_free(text);
	struct letters_segment_data_slices slices;
	assert_int_equal(letters_set_export_sorted_slices(&s, &slices), 0);
	letters_segment_data_slices_release(&slices);
	assert_int_equal(letters_set_reserve(&s, 10), 0);
	expect_stable();
}

static void moving(void **state)
{
	(void)state;
	struct letters_set moved;
	letters_set_init(&moved, NULL);
	letters_set_move_from(&moved, &s);
	assert_true(letters_set_is_empty(&s));
	s = moved; /* by its bytes */
	expect_stable();
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(changing_bounds),
		TEST(changing_values),
		TEST(what_changes_nothing),
		TEST(moving),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
