/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Translations: their array, and the check of a Mappable's answer, postcondition by postcondition.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "memmap/failing_allocator.h"
#include "panic.h"
#include <memmap/memmap.h>

/* Never called: only whether there is one matters. */
static struct memmap_file file;

#define P MEMMAP_PAGE_SIZE
#define RANGE(from, to)                                                                            \
	{                                                                                          \
		(from) * P, (to)*P                                                                 \
	}
#define T(from, to, at, perms)                                                                     \
	{                                                                                          \
		RANGE(from, to), &file, (at)*P, perms                                              \
	}
#define RW MEMMAP_READ_WRITE

static void test_file_range(void **state)
{
	(void)state;
	const struct memmap_translation t = T(3, 7, 100, RW);
	const struct memmap_file_range fr = memmap_translation_file_range(t);
	assert_true(fr.start == 100 * P && fr.end == 104 * P);
}

/* ---- the array ---- */

static struct memmap_translation numbered(size_t i)
{
	const struct memmap_translation t = T(i, i + 1, 1000 + i, RW);
	return t;
}

static void check_numbered(const struct memmap_translations *ts, size_t n)
{
	assert_int_equal(ts->len, n);
	for (size_t i = 0; i < n; i++) {
		const struct memmap_translation t = memmap_translations_data(ts)[i];
		assert_true(t.source.start == i * P && t.source.end == (i + 1) * P);
		assert_ptr_equal(t.file, &file);
		assert_true(t.offset == (1000 + i) * P);
	}
}

static void test_array_grows(void **state)
{
	(void)state;
	struct memmap_translations ts = {0};
	for (int again = 0; again < 2; again++) {
		for (size_t i = 0; i < 100; i++) {
			check_numbered(&ts, i);
			assert_int_equal(memmap_translations_append(&ts, numbered(i)), 0);
		}
		check_numbered(&ts, 100);
		memmap_translations_release(&ts);
		check_numbered(&ts, 0);
	}
}

static void test_array_of_a_few_allocates_nothing(void **state)
{
	(void)state;
	struct failing_allocator failing;
	failing_allocator_init(&failing, 0);
	struct memmap_translations ts = {.allocator = &failing.allocator};
	assert_int_equal(memmap_translations_reserve(&ts, MEMMAP_TRANSLATIONS_INSIDE), 0);
	for (size_t i = 0; i < MEMMAP_TRANSLATIONS_INSIDE; i++)
		assert_int_equal(memmap_translations_append(&ts, numbered(i)), 0);
	assert_int_equal(failing.nr_refused, 0);
	memmap_translations_release(&ts);
}

/* Appending 40 with the Nth allocation failing, for every N. */
static void test_array_without_memory(void **state)
{
	(void)state;
	size_t budget = 0;
	for (size_t nr_refused = 1; nr_refused > 0; budget++) {
		struct failing_allocator failing;
		failing_allocator_init(&failing, budget);
		struct memmap_translations ts = {.allocator = &failing.allocator};
		size_t n = 0;
		int err = 0;
		while (n < 40 && !(err = memmap_translations_append(&ts, numbered(n))))
			n++;
		check_numbered(&ts, n);
		assert_int_equal(err, n < 40 ? -ENOMEM : 0);
		assert_int_equal(memmap_translations_reserve(&ts, SIZE_MAX), -ENOMEM);
		assert_int_equal(memmap_translations_reserve(&ts, SIZE_MAX / 64), -ENOMEM);
		check_numbered(&ts, n);
		nr_refused = failing.nr_refused;
		memmap_translations_release(&ts);
		assert_int_equal(failing.nr_live, 0);
		assert_int_equal(failing.bytes_live, 0);
	}
	assert_true(budget > 2);
}

static void test_array_reserve(void **state)
{
	(void)state;
	for (size_t n = 0; n < 30; n++) {
		struct failing_allocator failing;
		failing_allocator_init(&failing, SIZE_MAX);
		struct memmap_translations ts = {.allocator = &failing.allocator};
		for (size_t i = 0; i < 5; i++)
			assert_int_equal(memmap_translations_append(&ts, numbered(i)), 0);
		assert_int_equal(memmap_translations_reserve(&ts, n), 0);
		failing.budget = 0;
		for (size_t i = 0; i < n; i++)
			assert_int_equal(memmap_translations_append(&ts, numbered(5 + i)), 0);
		check_numbered(&ts, 5 + n);
		memmap_translations_release(&ts);
		assert_int_equal(failing.nr_live, 0);
	}
}

/* ---- the check ---- */

struct answer {
	const char *name;
	struct memmap_mappable_range required, optional;
	memmap_access at;
	size_t nr_ts;
	struct memmap_translation ts[3];
	int terr;
	/* What is said to be broken; NULL: nothing. */
	const char *why;
};

static const struct answer answers[] = {
	/* What may be answered. */
	{"exactly", RANGE(4, 6), RANGE(4, 6), RW, 1, {T(4, 6, 0, RW)}, 0, NULL},
	{"more", RANGE(4, 6), RANGE(2, 9), RW, 1, {T(3, 8, 7, MEMMAP_ANY_ACCESS)}, 0, NULL},
	{"all optional", RANGE(4, 6), RANGE(2, 9), RW, 1, {T(2, 9, 0, RW)}, 0, NULL},
	{"pieces",
	 RANGE(4, 7),
	 RANGE(2, 9),
	 RW,
	 3,
	 {T(3, 5, 9, RW), T(5, 6, 1, RW), T(6, 8, 2, MEMMAP_ANY_ACCESS)},
	 0,
	 NULL},
	{"no access asked",
	 RANGE(4, 5),
	 RANGE(4, 5),
	 MEMMAP_NO_ACCESS,
	 1,
	 {T(4, 5, 0, 0)},
	 0,
	 NULL},
	{"error alone", RANGE(4, 6), RANGE(4, 6), RW, 0, {{{0, 0}, NULL, 0, 0}}, -EIO, NULL},
	{"error after a part", RANGE(4, 6), RANGE(4, 6), RW, 1, {T(4, 5, 0, RW)}, -EIO, NULL},
	{"error after all", RANGE(4, 6), RANGE(4, 6), RW, 1, {T(4, 6, 0, RW)}, -EIO, NULL},
	{"bus error",
	 RANGE(4, 6),
	 RANGE(4, 6),
	 RW,
	 0,
	 {{{0, 0}, NULL, 0, 0}},
	 -0x10000 - EIO,
	 NULL},
	{"highest offsets",
	 {UINT64_MAX - 2 * P + 1, UINT64_MAX - P + 1},
	 {0, UINT64_MAX - P + 1},
	 RW,
	 1,
	 {{{UINT64_MAX - 3 * P + 1, UINT64_MAX - P + 1}, &file, 0, RW}},
	 0,
	 NULL},

	/* Each postcondition broken, alone. */
	{"first begins late",
	 RANGE(4, 6),
	 RANGE(2, 9),
	 RW,
	 1,
	 {T(5, 6, 0, RW)},
	 0,
	 "first translation [0x5000, 0x6000) -> 0x0 rw- does not contain the start of required "
	 "range [0x4000, 0x6000)"},
	{"first ends early",
	 RANGE(4, 6),
	 RANGE(2, 9),
	 RW,
	 2,
	 {T(3, 4, 0, RW), T(4, 6, 0, RW)},
	 0,
	 "first translation [0x3000, 0x4000) -> 0x0 rw- does not contain the start"},
	{"error, first begins late",
	 RANGE(4, 6),
	 RANGE(4, 6),
	 RW,
	 1,
	 {T(5, 6, 0, RW)},
	 -EIO,
	 "first translation [0x5000, 0x6000) -> 0x0 rw- does not contain the start"},
	{"empty source",
	 RANGE(4, 6),
	 RANGE(4, 6),
	 RW,
	 2,
	 {T(4, 5, 0, RW), T(5, 5, 0, RW)},
	 0,
	 "translation [0x5000, 0x5000) -> 0x0 rw- has an invalid source"},
	{"source the wrong way round",
	 RANGE(4, 6),
	 RANGE(4, 6),
	 RW,
	 2,
	 {T(4, 5, 0, RW), T(5, 3, 0, RW)},
	 0,
	 "translation [0x5000, 0x3000) -> 0x0 rw- has an invalid source"},
	{"source begins in a page",
	 RANGE(4, 6),
	 RANGE(2, 9),
	 RW,
	 1,
	 {{{4 * P - 1, 6 * P}, &file, 0, RW}},
	 0,
	 "translation [0x3fff, 0x6000) -> 0x0 rw- has a source that is not page-aligned"},
	{"source ends in a page",
	 RANGE(4, 6),
	 RANGE(2, 9),
	 RW,
	 1,
	 {{{4 * P, 6 * P + 1}, &file, 0, RW}},
	 0,
	 "translation [0x4000, 0x6001) -> 0x0 rw- has a source that is not page-aligned"},
	{"no file",
	 RANGE(4, 6),
	 RANGE(4, 6),
	 RW,
	 1,
	 {{RANGE(4, 6), NULL, 0, RW}},
	 0,
	 "translation [0x4000, 0x6000) -> 0x0 rw- has no file"},
	{"offset in a page",
	 RANGE(4, 6),
	 RANGE(4, 6),
	 RW,
	 1,
	 {{RANGE(4, 6), &file, 12, RW}},
	 0,
	 "translation [0x4000, 0x6000) -> 0xc rw- has an offset that is not page-aligned"},
	{"hole between",
	 RANGE(4, 7),
	 RANGE(4, 7),
	 RW,
	 2,
	 {T(4, 5, 0, RW), T(6, 7, 3, RW)},
	 0,
	 "translation [0x4000, 0x5000) -> 0x0 rw- and translation [0x6000, 0x7000) -> 0x3000 rw- "
	 "are not contiguous"},
	{"overlap",
	 RANGE(4, 7),
	 RANGE(4, 7),
	 RW,
	 2,
	 {T(4, 6, 0, RW), T(5, 7, 3, RW)},
	 0,
	 "are not contiguous"},
	{"out of order",
	 RANGE(4, 6),
	 RANGE(2, 9),
	 RW,
	 2,
	 {T(4, 6, 0, RW), T(3, 4, 3, RW)},
	 0,
	 "are not contiguous"},
	{"nothing of it required",
	 RANGE(4, 6),
	 RANGE(2, 9),
	 RW,
	 2,
	 {T(4, 6, 0, RW), T(6, 7, 3, RW)},
	 0,
	 "translation [0x6000, 0x7000) -> 0x3000 rw- lies entirely outside required range "
	 "[0x4000, 0x6000)"},
	{"more than optional, above",
	 RANGE(4, 6),
	 RANGE(4, 6),
	 RW,
	 1,
	 {T(4, 7, 0, RW)},
	 0,
	 "translation [0x4000, 0x7000) -> 0x0 rw- reaches outside optional range [0x4000, 0x6000)"},
	{"more than optional, below",
	 RANGE(4, 6),
	 RANGE(4, 9),
	 RW,
	 1,
	 {T(3, 6, 0, RW)},
	 0,
	 "reaches outside optional range [0x4000, 0x9000)"},
	{"too little permitted",
	 RANGE(4, 6),
	 RANGE(4, 6),
	 RW,
	 2,
	 {T(4, 5, 0, RW), T(5, 6, 0, MEMMAP_READ | MEMMAP_EXEC)},
	 0,
	 "translation [0x5000, 0x6000) -> 0x0 r-x does not permit all requested accesses rw-"},
	{"nothing and no error",
	 RANGE(4, 6),
	 RANGE(4, 6),
	 RW,
	 0,
	 {{{0, 0}, NULL, 0, 0}},
	 0,
	 "no translations and no error"},
	{"ends early without error",
	 RANGE(4, 6),
	 RANGE(4, 6),
	 RW,
	 1,
	 {T(4, 5, 0, RW)},
	 0,
	 "last translation [0x4000, 0x5000) -> 0x0 rw- does not reach the end of required range "
	 "[0x4000, 0x6000), but there is no error"},
	{"positive result",
	 RANGE(4, 6),
	 RANGE(4, 6),
	 RW,
	 1,
	 {T(4, 6, 0, RW)},
	 EIO,
	 "translate returned 5, neither 0 nor a negative error"},
	/* The first one that is broken is the one that is told. */
	{"no file, nor aligned",
	 RANGE(4, 6),
	 RANGE(4, 6),
	 MEMMAP_ANY_ACCESS,
	 1,
	 {{RANGE(4, 6), NULL, 12, MEMMAP_NO_ACCESS}},
	 0,
	 "translation [0x4000, 0x6000) -> 0xc --- has no file"},
};

static void test_check(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		const struct answer *a = &answers[i];
		char why[256] = "untouched";
		const int err =
			memmap_check_translate_result(a->required, a->optional, a->at, a->ts,
						      a->nr_ts, a->terr, why, sizeof(why));
		if (err != (a->why ? -EPROTO : 0))
			fail_msg("%s: %d, %s", a->name, err, why);
		if (!strstr(why, a->why ? a->why : "untouched"))
			fail_msg("%s: said '%s'", a->name, why);
		/* The words are not wanted, or only the first few. */
		assert_int_equal(memmap_check_translate_result(a->required, a->optional, a->at,
							       a->ts, a->nr_ts, a->terr, NULL, 0),
				 err);
		char few[5] = "####";
		assert_int_equal(memmap_check_translate_result(a->required, a->optional, a->at,
							       a->ts, a->nr_ts, a->terr, few, 4),
				 err);
		if (err) {
			assert_memory_equal(few, why, 3);
			assert_int_equal(few[3], '\0');
		}
		assert_int_equal(few[4], '\0');
	}
}

static void ask(struct memmap_mappable_range required, struct memmap_mappable_range optional)
{
	(void)memmap_check_translate_result(required, optional, RW, NULL, 0, -EIO, NULL, 0);
}

static void test_questions_that_must_not_be_asked(void **state)
{
	(void)state;
	static const struct {
		struct memmap_mappable_range required, optional;
		const char *words;
	} cases[] = {
		{RANGE(4, 4), RANGE(4, 6), "invalid required range [0x4000, 0x4000)"},
		{RANGE(5, 4), RANGE(4, 6), "invalid required range [0x5000, 0x4000)"},
		{{4 * P + 1, 6 * P}, RANGE(4, 6), "required range [0x4001, 0x6000) is not page-a"},
		{{4 * P, 6 * P - 1}, RANGE(4, 6), "required range [0x4000, 0x5fff) is not page-a"},
		{RANGE(4, 6), RANGE(5, 6),
		 "optional range [0x5000, 0x6000) is not a superset of required range "
		 "[0x4000, 0x6000)"},
		{RANGE(4, 6), RANGE(4, 5), "is not a superset"},
		{RANGE(4, 6), {4 * P - 1, 6 * P}, "optional range [0x3fff, 0x6000) is not page-a"},
		{RANGE(4, 6), {4 * P, 6 * P + 1}, "optional range [0x4000, 0x6001) is not page-a"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_panics(cases[i].words, ask(cases[i].required, cases[i].optional));
}

/*
 * Every answer of up to three translations over a small world, against the postconditions said in
 * another way: in terms of pages.
 */
static bool holds_by_pages(struct memmap_mappable_range required,
			   struct memmap_mappable_range optional,
			   const struct memmap_translation *ts, size_t nr_ts, int terr)
{
	uint64_t next = required.start / P;
	bool reached = false;
	for (size_t i = 0; i < nr_ts; i++) {
		bool some_required = false;
		if (ts[i].source.start >= ts[i].source.end)
			return false;
		for (uint64_t page = ts[i].source.start / P; page < ts[i].source.end / P; page++) {
			if (page < optional.start / P || page >= optional.end / P)
				return false;
			if (page >= required.start / P && page < required.end / P) {
				if (page != next)
					return false;
				some_required = true;
				next++;
			} else if (page < required.start / P ? i > 0 : next < required.end / P) {
				return false;
			}
		}
		if (!some_required || (i > 0 && ts[i - 1].source.end != ts[i].source.start))
			return false;
		reached = next == required.end / P;
	}
	return terr < 0 || (nr_ts > 0 && reached);
}

static void test_check_of_every_small_answer(void **state)
{
	(void)state;
	const struct memmap_mappable_range required = RANGE(2, 4);
	const struct memmap_mappable_range optional = RANGE(1, 5);
	size_t nr_good = 0;
	for (uint64_t code = 0; code < 36 * 36 * 36; code++) {
		struct memmap_translation ts[3];
		uint64_t rest = code;
		for (size_t i = 0; i < 3; i++) {
			const struct memmap_translation t = T(rest % 6, rest / 6 % 6, 0, RW);
			ts[i] = t;
			rest /= 36;
		}
		for (size_t nr_ts = 0; nr_ts <= 3; nr_ts++) {
			for (int terr = -EIO; terr <= 0; terr += EIO) {
				const bool good =
					holds_by_pages(required, optional, ts, nr_ts, terr);
				assert_int_equal(memmap_check_translate_result(required, optional,
									       RW, ts, nr_ts, terr,
									       NULL, 0),
						 good ? 0 : -EPROTO);
				nr_good += good;
			}
		}
	}
	assert_true(nr_good > 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_file_range),
		cmocka_unit_test(test_array_grows),
		cmocka_unit_test(test_array_of_a_few_allocates_nothing),
		cmocka_unit_test(test_array_without_memory),
		cmocka_unit_test(test_array_reserve),
		cmocka_unit_test(test_check),
		cmocka_unit_test(test_questions_that_must_not_be_asked),
		cmocka_unit_test(test_check_of_every_small_answer),
	};
	return cmocka_run_group_tests_name("memmap/translation", tests, NULL, NULL);
}
