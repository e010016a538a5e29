/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages, addresses and access types.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include <memmap/arch.h>

/* Wider than any address, so that nothing overflows. */
__extension__ typedef unsigned __int128 wide_int;

static const uint64_t addresses[] = {
	0,
	1,
	0xfff,
	0x1000,
	0x1001,
	0x1fffff,
	0x200000,
	0x200001,
	0x7fffffffffff,
	0xffffffffffe00000,
	0xffffffffffe00001,
	0xfffffffffffff000,
	0xfffffffffffff001,
	UINT64_MAX,
};
#define NR_ADDRESSES (sizeof(addresses) / sizeof(addresses[0]))

static void test_constants(void **state)
{
	(void)state;
	assert_int_equal(MEMMAP_PAGE_SIZE, 4096);
	assert_int_equal(MEMMAP_PAGE_MASK, 4095);
	assert_int_equal(MEMMAP_HUGE_PAGE_SIZE, 2 << 20);
	assert_int_equal(MEMMAP_HUGE_PAGE_MASK, (2 << 20) - 1);
	assert_int_equal(MEMMAP_READ, PROT_READ);
	assert_int_equal(MEMMAP_WRITE, PROT_WRITE);
	assert_int_equal(MEMMAP_EXEC, PROT_EXEC);
	assert_int_equal(MEMMAP_NO_ACCESS, PROT_NONE);
}

/* By division, where the code masks. */
static void check_rounding(uint64_t x, uint64_t size, uint64_t down, bool fits, uint64_t up,
			   bool aligned)
{
	assert_true(down == x / size * size);
	assert_int_equal(aligned, x % size == 0);
	const wide_int wide = ((wide_int)x + size - 1) / size * size;
	assert_int_equal(fits, wide <= UINT64_MAX);
	assert_true(up == (fits ? (uint64_t)wide : 77));
}

static void test_rounding(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR_ADDRESSES; i++) {
		const uint64_t x = addresses[i];
		uint64_t up = 77;
		bool fits = memmap_page_round_up(x, &up);
		check_rounding(x, MEMMAP_PAGE_SIZE, memmap_page_round_down(x), fits, up,
			       memmap_is_page_aligned(x));
		up = 77;
		fits = memmap_huge_page_round_up(x, &up);
		check_rounding(x, MEMMAP_HUGE_PAGE_SIZE, memmap_huge_page_round_down(x), fits, up,
			       memmap_is_huge_page_aligned(x));
	}
}

static void test_addr_to_range(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR_ADDRESSES; i++) {
		for (size_t j = 0; j < NR_ADDRESSES; j++) {
			struct memmap_addr_range ar = {7, 7};
			const wide_int end = (wide_int)addresses[i] + addresses[j];
			const bool fits = memmap_addr_to_range(addresses[i], addresses[j], &ar);
			assert_int_equal(fits, end <= UINT64_MAX);
			assert_true(ar.start == (fits ? addresses[i] : 7));
			assert_true(ar.end == (fits ? (uint64_t)end : 7));
		}
	}
}

static void test_access_sets(void **state)
{
	(void)state;
	for (memmap_access a = 0; a < 8; a++) {
		for (memmap_access b = 0; b < 8; b++) {
			bool superset = true;
			memmap_access either = 0;
			memmap_access both = 0;
			for (memmap_access bit = 1; bit < 8; bit = (memmap_access)(bit * 2)) {
				const bool in_a = (a & bit) != 0;
				const bool in_b = (b & bit) != 0;
				superset = superset && (in_a || !in_b);
				if (in_a || in_b)
					either = (memmap_access)(either + bit);
				if (in_a && in_b)
					both = (memmap_access)(both + bit);
			}
			assert_int_equal(memmap_access_superset_of(a, b), superset);
			assert_int_equal(memmap_access_union(a, b), either);
			assert_int_equal(memmap_access_intersect(a, b), both);
		}
	}
}

static void test_access_effective_and_format(void **state)
{
	(void)state;
	static const struct {
		memmap_access access, effective;
		const char *text;
	} cases[] = {
		{MEMMAP_NO_ACCESS, MEMMAP_NO_ACCESS, "---"},
		{MEMMAP_READ, MEMMAP_READ, "r--"},
		{MEMMAP_WRITE, MEMMAP_READ_WRITE, "-w-"},
		{MEMMAP_READ_WRITE, MEMMAP_READ_WRITE, "rw-"},
		{MEMMAP_EXEC, MEMMAP_READ | MEMMAP_EXEC, "--x"},
		{MEMMAP_READ | MEMMAP_EXEC, MEMMAP_READ | MEMMAP_EXEC, "r-x"},
		{MEMMAP_WRITE | MEMMAP_EXEC, MEMMAP_ANY_ACCESS, "-wx"},
		{MEMMAP_ANY_ACCESS, MEMMAP_ANY_ACCESS, "rwx"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char buf[MEMMAP_ACCESS_FORMAT_SIZE];
		assert_int_equal(memmap_access_effective(cases[i].access), cases[i].effective);
		assert_ptr_equal(memmap_access_format(cases[i].access, buf, sizeof(buf)), buf);
		assert_string_equal(buf, cases[i].text);
		for (size_t size = 0; size < sizeof(buf); size++) {
			memset(buf, '#', sizeof(buf));
			memmap_access_format(cases[i].access, buf, size);
			if (size > 0) {
				assert_memory_equal(buf, cases[i].text, size - 1);
				assert_int_equal(buf[size - 1], '\0');
			}
			assert_int_equal(buf[size], '#');
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_constants),
		cmocka_unit_test(test_rounding),
		cmocka_unit_test(test_addr_to_range),
		cmocka_unit_test(test_access_sets),
		cmocka_unit_test(test_access_effective_and_format),
	};
	return cmocka_run_group_tests_name("base/arch", tests, NULL, NULL);
}
