/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sets that leave out what undoes a split, and splits that refuse half way: the second of two. What
 * was split first is made whole by SEGMENT_MERGE; where that refuses, or is left out as well, it
 * stays in two, and nothing is lost.
 *
 * And text for which there is no memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include <memmap/allocator.h>
#include <memmap/range.h>

/* Of the default allocator, when the template asks it. */
static bool no_memory;

static void *allocate(const struct memmap_allocator *allocator, size_t size, size_t alignment)
{
	return no_memory ? NULL : (memmap_allocate)(allocator, size, alignment);
}
#define memmap_allocate(...) allocate(__VA_ARGS__)

/* ---- Values: numbers, of which it is counted how many there are ---- */

typedef struct memmap_addr_range interval;

static int nr_values;
static int splits_left; /* until one refuses */

static int split(interval r, int *v, uint64_t at, int *out1, int *out2)
{
	assert_true(r.start < at && at < r.end);
	if (splits_left == 0)
		return -EDOM;
	splits_left--;
	nr_values++;
	*out1 = *out2 = *v;
	return 0;
}

static void clear(int *v)
{
	assert_true(*v != 0);
	*v = 0;
	nr_values--;
}

static bool merge(interval r1, int *v1, interval r2, int *v2, int *out)
{
	assert_true(r1.end == r2.start);
	if (*v1 != *v2)
		return false;
	clear(v2);
	*out = *v1;
	return true;
}

static bool refuse_to_merge(interval r1, const int *v1, interval r2, const int *v2, const int *out)
{
	(void)v1;
	(void)v2;
	(void)out;
	assert_true(r1.end == r2.start);
	return false;
}

#define SEGMENT_PREFIX      merging
#define SEGMENT_RANGE       memmap_addr_range
#define SEGMENT_VALUE       int
#define SEGMENT_SPLIT       split
#define SEGMENT_CLEAR_VALUE clear
#define SEGMENT_MERGE       merge
#include <memmap/segment_set.h>

#define SEGMENT_PREFIX      refusing
#define SEGMENT_RANGE       memmap_addr_range
#define SEGMENT_VALUE       int
#define SEGMENT_SPLIT       split
#define SEGMENT_CLEAR_VALUE clear
#define SEGMENT_MERGE       refuse_to_merge
#define SEGMENT_TRACK_GAPS  1
#include <memmap/segment_set.h>

#define SEGMENT_PREFIX      never
#define SEGMENT_RANGE       memmap_addr_range
#define SEGMENT_VALUE       int
#define SEGMENT_SPLIT       split
#define SEGMENT_CLEAR_VALUE clear
#include <memmap/segment_set.h>

/*
 * Cutting at the second edge refuses, in one segment and in two:
 *
 *	|-------- 10 to 40 --------|        |-------- 60 to 90 --------|
 *	     15           20                        70
 */
#define TEST_SPLITS_THAT_REFUSE(set, stays_whole)                                                  \
	static void assert_##set(const struct set##_set *s, uint64_t boundary)                     \
	{                                                                                          \
		struct set##_iterator at = set##_set_first_segment(s);                             \
		assert_int_equal(set##_iterator_start(at), 10);                                    \
		assert_int_equal(set##_iterator_value(at), 7);                                     \
		if (!(stays_whole)) {                                                              \
			assert_int_equal(set##_iterator_end(at), boundary);                        \
			at = set##_iterator_next_segment(at);                                      \
			assert_int_equal(set##_iterator_start(at), boundary);                      \
			assert_int_equal(set##_iterator_value(at), 7);                             \
		}                                                                                  \
		assert_int_equal(set##_iterator_end(at), 40);                                      \
		at = set##_iterator_next_segment(at);                                              \
		assert_int_equal(set##_iterator_start(at), 60);                                    \
		assert_int_equal(set##_iterator_end(at), 90);                                      \
		assert_int_equal(set##_iterator_value(at), 7);                                     \
		assert_false(set##_iterator_ok(set##_iterator_next_segment(at)));                  \
		assert_int_equal(nr_values, (stays_whole) ? 2 : 3);                                \
		assert_int_equal(set##_set_verify(s), 0);                                          \
	}                                                                                          \
	static void test_##set(void **state)                                                       \
	{                                                                                          \
		(void)state;                                                                       \
		for (int over_two = 0; over_two <= 1; over_two++) {                                \
			struct set##_set s = {0};                                                  \
			nr_values = 2;                                                             \
			assert_int_equal(set##_set_add(&s, (interval){10, 40}, 7), 0);             \
			assert_int_equal(set##_set_add(&s, (interval){60, 90}, 7), 0);             \
			splits_left = 0;                                                           \
			assert_int_equal(set##_set_isolate(&s, set##_set_first_segment(&s),        \
							   (interval){15, 20}, NULL),              \
					 -EDOM);                                                   \
			assert_int_equal(nr_values, 2);                                            \
			splits_left = 1;                                                           \
			if (over_two)                                                              \
				assert_int_equal(                                                  \
					set##_set_remove_range(&s, (interval){15, 70}, NULL),      \
					-EDOM);                                                    \
			else                                                                       \
				assert_int_equal(set##_set_isolate(&s,                             \
								   set##_set_first_segment(&s),    \
								   (interval){15, 20}, NULL),      \
						 -EDOM);                                           \
			assert_##set(&s, 15);                                                      \
			splits_left = 10;                                                          \
			assert_int_equal(set##_set_remove_range(&s, (interval){15, 70}, NULL), 0); \
			assert_int_equal(set##_set_span(&s), 25);                                  \
			assert_int_equal(nr_values, 2);                                            \
			set##_set_destroy(&s);                                                     \
			assert_int_equal(nr_values, 0);                                            \
		}                                                                                  \
	}

TEST_SPLITS_THAT_REFUSE(merging, true)
TEST_SPLITS_THAT_REFUSE(refusing, false)
TEST_SPLITS_THAT_REFUSE(never, false)

static void test_text_without_memory(void **state)
{
	(void)state;
	struct merging_set s = {0};
	nr_values = 1;
	assert_int_equal(merging_set_add(&s, (interval){10, 40}, 7), 0);
	no_memory = true;
	assert_null(merging_set_to_string(&s));
	no_memory = false;
	char *text = merging_set_to_string(&s);
	assert_non_null(strstr(text, "[0xa, 0x28)"));
	memmap_free(text);
	merging_set_destroy(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_merging),
		cmocka_unit_test(test_refusing),
		cmocka_unit_test(test_never),
		cmocka_unit_test(test_text_without_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
