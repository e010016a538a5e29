/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Comparing texts of maps: every kind of difference is found, and told apart from boundaries that
 * only the kernel keeps.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "trace/compare.h"

#define FIRST  "1000-3000 r--p 00000000 00:01 5    /a\n"
#define MIDDLE "5000-9000 rw-p 00000000 00:00 0 \n"
#define LAST   "b000-c000 r-xp 00000000 00:00 0    [vdso]\n"

static struct comparison c;

static void compare(const char *model, const char *kernel)
{
	assert_int_equal(compare_texts(&c, model, strlen(model), kernel, strlen(kernel)), 0);
}

static void same(void **state)
{
	(void)state;
	compare(FIRST MIDDLE LAST, FIRST MIDDLE LAST);
	assert_false(c.differs);
	assert_int_equal(c.regions.length, 0);
	assert_int_equal(c.exact, 3);
	compare("", "");
	assert_false(c.differs);
}

/* Each text differs from FIRST MIDDLE LAST in one thing about MIDDLE. */
static void different(void **state)
{
	(void)state;
	static const char *const kernels[] = {
		FIRST LAST,
		FIRST "5000-9000 r--p 00000000 00:00 0 \n" LAST,
		FIRST "5000-9000 rw-s 00000000 00:00 0 \n" LAST,
		FIRST "5000-8000 rw-p 00000000 00:00 0 \n" LAST,
		FIRST "4000-9000 rw-p 00000000 00:00 0 \n" LAST,
		FIRST "6000-a000 rw-p 00000000 00:00 0 \n" LAST,
		FIRST "5000-9000 rw-p 00001000 00:00 0 \n" LAST,
		FIRST "5000-9000 rw-p 00000000 00:01 5    /a\n" LAST,
		FIRST "5000-9000 rw-p 00000000 00:00 0    [heap]\n" LAST,
		FIRST "5000-9000 rw-p 00000000 00:00 0    [stack]\n" LAST,
		FIRST "5000-7000 rw-p 00000000 00:00 0 \n7000-9000 r--p 00000000 00:00 0 \n" LAST,
		FIRST "5000-6000 rw-p 00000000 00:00 0 \n7000-9000 rw-p 00000000 00:00 0 \n" LAST,
	};
	for (size_t i = 0; i < sizeof(kernels) / sizeof(kernels[0]); i++) {
		compare(FIRST MIDDLE LAST, kernels[i]);
		assert_true(c.differs);
		assert_string_equal(c.expected, MIDDLE);
		assert_int_equal(c.regions.length, 1);
		assert_int_equal(c.exact, 2);
		assert_int_equal(c.kernel_only, 0);
		compare(kernels[i], FIRST MIDDLE LAST);
		assert_true(c.differs);
		assert_string_equal(c.found, MIDDLE);
	}
}

static void at_the_ends(void **state)
{
	(void)state;
	compare(FIRST MIDDLE, FIRST MIDDLE LAST);
	assert_true(c.differs);
	assert_string_equal(c.expected, "");
	assert_string_equal(c.found, LAST);
	assert_int_equal(c.regions.items[0].start, 0xb000);
	assert_int_equal(c.regions.items[0].end, 0xc000);
	compare(MIDDLE LAST, FIRST MIDDLE LAST);
	assert_true(c.differs);
	assert_string_equal(c.found, FIRST);
	compare("", FIRST);
	assert_true(c.differs);
	compare(FIRST, "");
	assert_true(c.differs);
}

#define PIECES "5000-6000 rw-p 00000000 00:00 0 \n6000-9000 rw-p 00000000 00:00 0 \n"
#define OTHERS "5000-7000 rw-p 00000000 00:00 0 \n7000-9000 rw-p 00000000 00:00 0 \n"

static void boundaries(void **state)
{
	(void)state;
	compare(FIRST MIDDLE LAST, FIRST PIECES LAST);
	assert_false(c.differs);
	assert_int_equal(c.kernel_only, 1);
	assert_int_equal(c.model_only, 0);
	assert_int_equal(c.regions.length, 1);
	assert_int_equal(c.regions.items[0].start, 0x5000);
	assert_int_equal(c.regions.items[0].end, 0x9000);

	compare(FIRST PIECES LAST, FIRST MIDDLE LAST);
	assert_true(c.differs);
	assert_true(c.only_boundaries);
	assert_int_equal(c.kernel_only, 0);
	assert_int_equal(c.model_only, 1);

	compare(FIRST PIECES LAST, FIRST OTHERS LAST);
	assert_true(c.differs);
	assert_int_equal(c.kernel_only, 1);
	assert_int_equal(c.model_only, 1);

	/* A file's pieces must continue, or they are no pieces. */
	compare(FIRST, "1000-2000 r--p 00000000 00:01 5    /a\n"
		       "2000-3000 r--p 00001000 00:01 5    /a\n");
	assert_false(c.differs);
	assert_int_equal(c.kernel_only, 1);
	compare(FIRST, "1000-2000 r--p 00000000 00:01 5    /a\n"
		       "2000-3000 r--p 00002000 00:01 5    /a\n");
	assert_true(c.differs);
}

/* What overlaps the heap is called [heap], as a whole or only a piece of it. */
static void heap(void **state)
{
	(void)state;
	compare("5000-9000 rw-p 00000000 00:00 0    [heap]\n",
		"5000-6000 rw-p 00000000 00:00 0    [heap]\n6000-9000 rw-p 00000000 00:00 0 \n");
	assert_false(c.differs);
	assert_int_equal(c.kernel_only, 1);
	compare("5000-6000 rw-p 00000000 00:00 0    [heap]\n",
		"5000-6000 rw-p 00000000 00:00 0 \n");
	assert_true(c.differs);
}

static void several_regions(void **state)
{
	(void)state;
	compare(FIRST MIDDLE LAST, "1000-2000 r--p 00000000 00:01 5    /a\n" MIDDLE
				   "a000-c000 r-xp 00000000 00:00 0    [vdso]\n");
	assert_true(c.differs);
	assert_int_equal(c.regions.length, 2);
	assert_int_equal(c.regions.items[0].start, 0x1000);
	assert_int_equal(c.regions.items[0].end, 0x3000);
	assert_int_equal(c.regions.items[1].start, 0xa000);
	assert_int_equal(c.regions.items[1].end, 0xc000);
	assert_int_equal(c.exact, 1);
}

static void no_maps(void **state)
{
	(void)state;
	assert_int_equal(compare_texts(&c, FIRST, strlen(FIRST), "nonsense\n", 9), -EPROTO);
	assert_int_equal(compare_texts(&c, FIRST, strlen(FIRST), FIRST, strlen(FIRST) - 1),
			 -EPROTO);
}

static int release(void **state)
{
	(void)state;
	comparison_release(&c);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same),        cmocka_unit_test(different),
		cmocka_unit_test(at_the_ends), cmocka_unit_test(boundaries),
		cmocka_unit_test(heap),        cmocka_unit_test(several_regions),
		cmocka_unit_test(no_maps),
	};
	return cmocka_run_group_tests(tests, NULL, release);
}
