/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where mappings go: every rule of placement, each seen on the running kernel.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"

#define HUGE UINT64_C(0x200000)

static void test_top_down(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm();
	assert_int_equal(map_anon(mm, 0, 2 * K, RW, ANON), 0x6fffe000);
	assert_int_equal(map_anon(mm, 0, K, PROT_READ, ANON), 0x6fffd000);
	/* The highest gap that is large enough, wherever it is. */
	assert_int_equal(map_anon(mm, 0, 4 * K, RX, ANON), 0x6fff9000);
	assert_int_equal(memmap_mm_sys_munmap(mm, 0x6fffd000, K), 0);
	assert_int_equal(map_anon(mm, 0, 2 * K, PROT_NONE, ANON), 0x6fff7000);
	assert_int_equal(map_anon(mm, 0, K, PROT_NONE, ANON), 0x6fffd000);
	memmap_mm_release(mm);
}

static void test_bottom_up(void **state)
{
	(void)state;
	struct memmap_mm_options options = small_options();
	options.layout.bottom_up = true;
	struct memmap_mm *mm;
	assert_int_equal(memmap_mm_create(&options, &mm), 0);
	assert_int_equal(map_anon(mm, 0, 2 * K, RW, ANON), 0x20000000);
	assert_int_equal(map_anon(mm, 0, K, PROT_READ, ANON), 0x20002000);
	assert_int_equal(memmap_mm_sys_munmap(mm, 0x20001000, K), 0);
	assert_int_equal(map_anon(mm, 0, 2 * K, RX, ANON), 0x20003000);
	assert_int_equal(map_anon(mm, 0, K, RX, ANON), 0x20001000);
	/* Huge pages fit here too, upwards from where there is room. */
	assert_int_equal(map_anon(mm, 0, HUGE, RW, ANON), 0x20200000);
	assert_int_equal(memmap_mm_sys_munmap(mm, 0x20000000, 2 * HUGE), 0);
	assert_int_equal(map_anon(mm, 0, HUGE, RW, ANON), 0x20000000);
	memmap_mm_release(mm);
}

/* When there is nothing left below mmap_base, the search goes up from mmap_legacy_base. */
static void test_falls_back_to_bottom_up(void **state)
{
	(void)state;
	struct memmap_mm_options options = small_options();
	options.layout.mmap_base = 0x14000;
	struct memmap_mm *mm;
	assert_int_equal(memmap_mm_create(&options, &mm), 0);
	assert_int_equal(map_anon(mm, 0, 3 * K, RW, ANON), 0x11000);
	assert_int_equal(map_anon(mm, 0, 2 * K, RW, ANON), 0x20000000);
	assert_int_equal(map_anon(mm, 0, K, RW, ANON), 0x10000);
	/* min_addr is the lowest of all. */
	assert_int_equal(map_anon(mm, 0, K, RW, ANON), 0x20002000);
	memmap_mm_release(mm);
}

static void test_no_room(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm();
	const uint64_t end = 0x7ffffffff000;
	assert_int_equal(map_anon(mm, 0, end - 0x20000000 + K, RW, ANON), -ENOMEM);
	assert_int_equal(map_anon(mm, 0, end - 0x20000000, RW, ANON), 0x20000000);
	assert_int_equal(map_anon(mm, 0, 0x20000000 - 0x10000 + K, RW, ANON), -ENOMEM);
	assert_int_equal(map_anon(mm, 0, 0x20000000 - 0x10000, RW, ANON), 0x10000);
	assert_int_equal(map_anon(mm, 0, K, RW, ANON), -ENOMEM);
	memmap_mm_release(mm);
}

static void test_hints(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm();
	assert_int_equal(map_anon(mm, 0x30000123, 2 * K, RW, ANON), 0x30000000);
	/* Taken: as if there were no hint. */
	assert_int_equal(map_anon(mm, 0x30001000, K, RW, ANON), 0x6ffff000);
	assert_int_equal(map_anon(mm, 0x2ffff000, 2 * K, RW, ANON), 0x6fffd000);
	assert_int_equal(map_anon(mm, 0x2ffff000, K, RW, ANON), 0x2ffff000);
	/* Below min_addr: at min_addr. Page 0 is no hint. */
	assert_int_equal(map_anon(mm, 0x1000, K, RW, ANON), 0x10000);
	assert_int_equal(map_anon(mm, 0x123, K, RW, ANON), 0x6fffc000);
	/* Reaching out of the address space: no hint. Up to its end: a good one. */
	assert_int_equal(map_anon(mm, 0x7fffffffe000, 2 * K, RW, ANON), 0x6fffa000);
	assert_int_equal(map_anon(mm, 0x7fffffffe000, K, RW, ANON), 0x7fffffffe000);
	assert_int_equal(map_anon(mm, UINT64_MAX, K, RW, ANON), 0x6fff9000);
	memmap_mm_release(mm);
}

static void test_guard_gap(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm();
	/* A stack at the top: the next goes below its guard gap of 1 MiB. */
	assert_int_equal(map_anon(mm, 0x6fff0000, 0x10000, RW, FIXED | MAP_GROWSDOWN), 0x6fff0000);
	assert_int_equal(map_anon(mm, 0, K, RW, ANON), 0x6feef000);
	/* A hint in the gap, or reaching into it, is not taken; one just below is. */
	assert_int_equal(memmap_mm_sys_munmap(mm, 0x6feef000, K), 0);
	assert_int_equal(map_anon(mm, 0x6fef0000, K, RW, ANON), 0x6feef000);
	assert_int_equal(memmap_mm_sys_munmap(mm, 0x6feef000, K), 0);
	assert_int_equal(map_anon(mm, 0x6feef000, 2 * K, RW, ANON), 0x6feee000);
	assert_int_equal(memmap_mm_sys_munmap(mm, 0x6feee000, 2 * K), 0);
	assert_int_equal(map_anon(mm, 0x6feee000, 2 * K, RW, ANON), 0x6feee000);
	/* MAP_FIXED does as it is told. */
	assert_int_equal(map_anon(mm, 0x6ffef000, K, RW, FIXED), 0x6ffef000);
	memmap_mm_release(mm);
}

static void test_guard_gap_bottom_up(void **state)
{
	(void)state;
	struct memmap_mm_options options = small_options();
	options.layout.bottom_up = true;
	struct memmap_mm *mm;
	assert_int_equal(memmap_mm_create(&options, &mm), 0);
	/* The gap before it is too small once it is guarded: on to the one behind. */
	assert_int_equal(map_anon(mm, 0x20101000, K, RW, FIXED | MAP_GROWSDOWN), 0x20101000);
	assert_int_equal(map_anon(mm, 0, 2 * K, RW, ANON), 0x20102000);
	assert_int_equal(map_anon(mm, 0, K, RW, ANON), 0x20000000);
	memmap_mm_release(mm);
}

/* A guard gap that would begin below 0, and one that leaves nothing. */
static void test_guard_gap_at_the_bottom(void **state)
{
	(void)state;
	struct memmap_mm_options options = small_options();
	options.layout.mmap_base = 0x80000;
	options.layout.mmap_legacy_base = 0x7fffffffe000;
	struct memmap_mm *mm;
	assert_int_equal(memmap_mm_create(&options, &mm), 0);
	assert_int_equal(map_anon(mm, 0x80000, K, RW, FIXED | MAP_GROWSDOWN), 0x80000);
	assert_int_equal(map_anon(mm, 0, K, RW, ANON), 0x7fffffffe000);
	assert_int_equal(map_anon(mm, 0, K, RW, ANON), -ENOMEM);
	memmap_mm_release(mm);
}

static uint64_t random_page(void *context, uint64_t bound)
{
	assert_int_equal(bound & (bound - 1), 0);
	assert_int_equal(bound, 0x2000);
	return *(uint64_t *)context;
}

static void test_map_32bit(void **state)
{
	(void)state;
	uint64_t page = 0;
	struct memmap_mm_options options = small_options();
	options.hooks = (struct memmap_mm_hooks){.context = &page, .random = random_page};
	struct memmap_mm *mm;
	assert_int_equal(memmap_mm_create(&options, &mm), 0);
	assert_int_equal(map_anon(mm, 0, K, RW, ANON | MAP_32BIT), 0x40000000);
	page = 0x1fff;
	assert_int_equal(map_anon(mm, 0, K, RW, ANON | MAP_32BIT), 0x41fff000);
	assert_int_equal(map_anon(mm, 0, K, RW, ANON | MAP_32BIT), 0x42000000);
	/* A hint is taken below 2 GiB, and not above. */
	assert_int_equal(map_anon(mm, 0x11000, K, RW, ANON | MAP_32BIT), 0x11000);
	assert_int_equal(map_anon(mm, 0x7ffff000, K, RW, ANON | MAP_32BIT), 0x7ffff000);
	assert_int_equal(map_anon(mm, 0x80000000, K, RW, ANON | MAP_32BIT), 0x42001000);
	assert_int_equal(map_anon(mm, 0, 0x40000000, RW, ANON | MAP_32BIT), -ENOMEM);
	assert_int_equal(map_anon(mm, 0x80000000, 0x80001000, RW, ANON | MAP_32BIT), -ENOMEM);
	memmap_mm_release(mm);
}

static void test_above_4g(void **state)
{
	(void)state;
	struct memmap_mm_options options = small_options();
	options.layout.mmap_base = 0x100002000;
	struct memmap_mm *mm;
	assert_int_equal(memmap_mm_create(&options, &mm), 0);
	assert_int_equal(map_anon(mm, 0, 2 * K, RW, ANON | MAP_ABOVE4G), 0x100000000);
	/* Full above: then from the legacy base. */
	assert_int_equal(map_anon(mm, 0, K, RW, ANON | MAP_ABOVE4G), 0x20000000);
	memmap_mm_release(mm);
}

static void test_huge_pages_anonymous(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm();
	/* mmap_base is a multiple of 2 MiB: at the very top. */
	assert_int_equal(map_anon(mm, 0, HUGE, RW, ANON), 0x6fe00000);
	/* No multiple of 2 MiB: no alignment. */
	assert_int_equal(map_anon(mm, 0, HUGE + K, RW, ANON), 0x6fbff000);
	assert_int_equal(map_anon(mm, 0, HUGE, RW, ANON), 0x6f800000);
	/* With a hint that is taken, or taken away: none either. */
	assert_int_equal(map_anon(mm, 0x50001000, HUGE, RW, ANON), 0x50001000);
	assert_int_equal(map_anon(mm, 0x50001000, HUGE, RW, ANON), 0x6f600000);
	assert_int_equal(map_anon(mm, 0x6f5ff000, K, RW, FIXED), 0x6f5ff000);
	assert_int_equal(map_anon(mm, 0x50001000, HUGE, RW, ANON), 0x6f3ff000);
	assert_int_equal(memmap_mm_sys_munmap(mm, 0x6f3ff000, 0x201000), 0);
	/* Shared anonymous memory is not aligned. */
	struct test_shared shared;
	test_shared_init(&shared);
	assert_int_equal(memmap_mm_sys_mmap(mm, 0, K, RW, ANON, NULL, 0, NULL), 0x6fbfe000);
	assert_int_equal(memmap_mm_sys_mmap(mm, 0, HUGE, RW, MAP_SHARED | MAP_ANONYMOUS, NULL, 0,
					    &shared.create),
			 0x6f400000);
	memmap_mm_release(mm);
	test_shared_destroy(&shared);
}

/* Padded it does not fit, so it is placed without regard to huge pages. */
static void test_huge_pages_without_room(void **state)
{
	(void)state;
	struct memmap_mm_options options = small_options();
	options.layout.mmap_base = 0x10000 + HUGE + K;
	options.layout.mmap_legacy_base = options.layout.task_size - HUGE;
	struct memmap_mm *mm;
	assert_int_equal(memmap_mm_create(&options, &mm), 0);
	assert_int_equal(map_anon(mm, 0, HUGE, RW, ANON), 0x10000 + K);
	memmap_mm_release(mm);
}

static void test_huge_pages_of_files(void **state)
{
	(void)state;
	struct test_file file;
	test_file_init(&file, "a");
	struct memmap_mm *mm = small_mm();
	struct memmap_mmap_file open = test_file_open(&file);
	open.huge_aligned = true;
	/* Too short to hold a huge page. */
	assert_int_equal(
		memmap_mm_sys_mmap(mm, 0, HUGE - K, PROT_READ, MAP_PRIVATE, &open, 0, NULL),
		0x6fe01000);
	/* Any length from 2 MiB, aligned as the offset is. */
	assert_int_equal(
		memmap_mm_sys_mmap(mm, 0, HUGE + K, PROT_READ, MAP_PRIVATE, &open, 0, NULL),
		0x6fc00000);
	assert_int_equal(
		memmap_mm_sys_mmap(mm, 0, 2 * HUGE, PROT_READ, MAP_PRIVATE, &open, 3 * K, NULL),
		0x6f603000);
	/* From this offset no whole huge page is mapped. */
	assert_int_equal(memmap_mm_sys_mmap(mm, 0, HUGE, PROT_READ, MAP_SHARED, &open, 3 * K, NULL),
			 0x6f403000);
	/* A hint that is taken is taken as it is. */
	assert_int_equal(memmap_mm_sys_mmap(mm, 0x50001000, HUGE + K, PROT_READ, MAP_PRIVATE, &open,
					    0, NULL),
			 0x50001000);
	open.huge_aligned = false;
	assert_int_equal(
		memmap_mm_sys_mmap(mm, 0, 2 * HUGE, PROT_READ, MAP_PRIVATE, &open, 0, NULL),
		0x6f003000);
	memmap_mm_release(mm);
	test_file_destroy(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_top_down),
		cmocka_unit_test(test_bottom_up),
		cmocka_unit_test(test_falls_back_to_bottom_up),
		cmocka_unit_test(test_no_room),
		cmocka_unit_test(test_hints),
		cmocka_unit_test(test_guard_gap),
		cmocka_unit_test(test_guard_gap_bottom_up),
		cmocka_unit_test(test_guard_gap_at_the_bottom),
		cmocka_unit_test(test_map_32bit),
		cmocka_unit_test(test_above_4g),
		cmocka_unit_test(test_huge_pages_anonymous),
		cmocka_unit_test(test_huge_pages_without_room),
		cmocka_unit_test(test_huge_pages_of_files),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
