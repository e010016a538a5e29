/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ranges over keys of 8 to 64 bits, compared with the naive meaning of each question: which keys
 * are in the range? Keys are taken from both ends and the middle of the type; between them nothing
 * happens that does not happen at them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <memmap/range.h>

MEMMAP_RANGE_DEFINE(range8, uint8_t);
MEMMAP_RANGE_DEFINE(range16, uint16_t);
MEMMAP_RANGE_DEFINE(range32, uint32_t);
MEMMAP_RANGE_DEFINE(range64, uint64_t);

#define NR_KEYS 17

/*
 * `all` are the candidate keys, in order. A set of keys is a bit mask of candidates: a range that
 * begins and ends at candidates is told apart by it from any other that is not empty.
 */
#define DEFINE_TEST(name, key)                                                                     \
	static void name##_keys(key all[NR_KEYS])                                                  \
	{                                                                                          \
		const key max = (key) ~(key)0;                                                     \
		const key middle = max / 2;                                                        \
		for (unsigned i = 0; i < 6; i++) {                                                 \
			all[i] = (key)i;                                                           \
			all[6 + i] = (key)(middle - 2 + i);                                        \
		}                                                                                  \
		for (unsigned i = 0; i < 5; i++)                                                   \
			all[12 + i] = (key)(max - 4 + i);                                          \
	}                                                                                          \
                                                                                                   \
	static uint32_t name##_members(const key all[NR_KEYS], struct name r)                      \
	{                                                                                          \
		uint32_t members = 0;                                                              \
		for (unsigned i = 0; i < NR_KEYS; i++)                                             \
			members |= (uint32_t)(r.start <= all[i] && all[i] < r.end) << i;           \
		return members;                                                                    \
	}                                                                                          \
                                                                                                   \
	static void name##_check_pair(const key all[NR_KEYS], struct name r, struct name r2)       \
	{                                                                                          \
		const uint32_t in_r = name##_members(all, r);                                      \
		const uint32_t in_r2 = name##_members(all, r2);                                    \
		const bool r_empty = r.start == r.end;                                             \
		const bool r2_empty = r2.start == r2.end;                                          \
                                                                                                   \
		if (!r_empty && !r2_empty) {                                                       \
			assert_int_equal(name##_overlaps(r, r2), (in_r & in_r2) != 0);             \
			assert_int_equal(name##_is_superset_of(r, r2), (in_r2 & ~in_r) == 0);      \
		} else {                                                                           \
			/* An empty range is a place: it overlaps what it lies strictly within. */ \
			assert_int_equal(name##_overlaps(r, r2),                                   \
					 r.start < r2.end && r2.start < r.end);                    \
			assert_int_equal(name##_is_superset_of(r, r2),                             \
					 r.start <= r2.start && r2.end <= r.end);                  \
		}                                                                                  \
		assert_int_equal(name##_overlaps(r, r2), name##_overlaps(r2, r));                  \
                                                                                                   \
		struct name both = name##_intersect(r, r2);                                        \
		assert_true(name##_well_formed(both));                                             \
		assert_int_equal(name##_members(all, both), in_r &in_r2);                          \
		assert_int_equal(name##_length(both) == 0, (in_r & in_r2) == 0);                   \
	}                                                                                          \
                                                                                                   \
	static void name##_check_one(const key all[NR_KEYS], struct name r)                        \
	{                                                                                          \
		assert_true(name##_length(r) == (key)(r.end - r.start));                           \
		for (unsigned i = 0; i < NR_KEYS; i++) {                                           \
			const key x = all[i];                                                      \
			const struct name below = {r.start, x};                                    \
			const struct name above = {x, r.end};                                      \
			const bool splits = x >= r.start && x <= r.end &&                          \
					    below.start != below.end && above.start != above.end;  \
			assert_int_equal(name##_contains(r, x), name##_members(all, r) >> i & 1);  \
			assert_int_equal(name##_can_split_at(r, x), splits);                       \
		}                                                                                  \
	}                                                                                          \
                                                                                                   \
	static void test_##name(void **state)                                                      \
	{                                                                                          \
		(void)state;                                                                       \
		key all[NR_KEYS];                                                                  \
		name##_keys(all);                                                                  \
		for (unsigned i = 0; i < NR_KEYS; i++) {                                           \
			for (unsigned j = 0; j < NR_KEYS; j++) {                                   \
				struct name r = {all[i], all[j]};                                  \
				assert_int_equal(name##_well_formed(r), i <= j);                   \
				if (i > j)                                                         \
					continue;                                                  \
				name##_check_one(all, r);                                          \
				for (unsigned k = 0; k < NR_KEYS; k++) {                           \
					for (unsigned l = k; l < NR_KEYS; l++) {                   \
						struct name r2 = {all[k], all[l]};                 \
						name##_check_pair(all, r, r2);                     \
					}                                                          \
				}                                                                  \
			}                                                                          \
		}                                                                                  \
	}

/* clang-format off */
DEFINE_TEST(range8, uint8_t)
DEFINE_TEST(range16, uint16_t)
DEFINE_TEST(range32, uint32_t)
DEFINE_TEST(range64, uint64_t)
/* clang-format on */

/* All of the 8-bit ranges, counted key by key. */
static void test_every_range8(void **state)
{
	(void)state;
	for (unsigned start = 0; start < 256; start++) {
		for (unsigned end = start; end < 256; end++) {
			struct range8 r = {(uint8_t)start, (uint8_t)end};
			unsigned nr = 0;
			for (unsigned x = 0; x < 256; x++)
				nr += range8_contains(r, (uint8_t)x);
			assert_int_equal(nr, range8_length(r));
		}
	}
}

static void test_format(void **state)
{
	(void)state;
	char buf[MEMMAP_RANGE_FORMAT_SIZE];
	struct memmap_file_range fr = {0x1000, 0x3000};
	assert_ptr_equal(memmap_file_range_format(fr, buf, sizeof(buf)), buf);
	assert_string_equal(buf, "[0x1000, 0x3000)");
	struct memmap_mappable_range mr = {0, UINT64_MAX};
	assert_string_equal(memmap_mappable_range_format(mr, buf, sizeof(buf)),
			    "[0x0, 0xffffffffffffffff)");
	struct memmap_addr_range longest = {UINT64_MAX, UINT64_MAX};
	assert_string_equal(memmap_addr_range_format(longest, buf, sizeof(buf)),
			    "[0xffffffffffffffff, 0xffffffffffffffff)");
	/* Also what is not well-formed, and narrow keys. */
	struct range8 r8 = {0xff, 0x0a};
	assert_string_equal(range8_format(r8, buf, sizeof(buf)), "[0xff, 0xa)");
}

static void test_format_is_cut_to_fit(void **state)
{
	(void)state;
	static const char whole[] = "[0x1000, 0x3000)";
	struct memmap_file_range fr = {0x1000, 0x3000};
	for (size_t size = 0; size <= sizeof(whole) + 1; size++) {
		char buf[sizeof(whole) + 2];
		memset(buf, '#', sizeof(buf));
		assert_ptr_equal(memmap_file_range_format(fr, buf, size), buf);
		size_t len = size == 0 ? 0 : size - 1;
		if (len > sizeof(whole) - 1)
			len = sizeof(whole) - 1;
		assert_memory_equal(buf, whole, len);
		if (size > 0)
			assert_int_equal(buf[len], '\0');
		for (size_t i = size; i < sizeof(buf); i++)
			assert_int_equal(buf[i], '#');
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_range8),
		cmocka_unit_test(test_range16),
		cmocka_unit_test(test_range32),
		cmocka_unit_test(test_range64),
		cmocka_unit_test(test_every_range8),
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_format_is_cut_to_fit),
	};
	return cmocka_run_group_tests_name("base/range", tests, NULL, NULL);
}
