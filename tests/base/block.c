/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks and sequences as values: nothing here touches the memory they stand for. Sequences are
 * compared with the naive one: the list of the addresses of all their bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#include <cmocka.h>

#include "panic.h"
#include <memmap/block.h>

#define AT(address) ((void *)(uintptr_t)(address))

static void check_block(struct memmap_block b, uintptr_t addr, size_t len, bool need_safe_copy)
{
	assert_ptr_equal(b.addr, AT(addr));
	assert_int_equal(b.len, len);
	assert_int_equal(b.need_safe_copy, need_safe_copy);
}

static void test_block_made(void **state)
{
	(void)state;
	check_block(memmap_block_safe(AT(0x1000), 5), 0x1000, 5, false);
	check_block(memmap_block_unsafe(AT(0x1000), 5), 0x1000, 5, true);
	check_block(memmap_block_unsafe(NULL, 5), 0, 5, true);
	check_block(memmap_block_safe(AT(UINTPTR_MAX - 4), 4), UINTPTR_MAX - 4, 4, false);
	assert_panics("overflows", memmap_block_safe(AT(UINTPTR_MAX - 4), 5));
	assert_panics("overflows", memmap_block_unsafe(AT(1), SIZE_MAX));
}

static void test_block_drop_and_take(void **state)
{
	(void)state;
	const struct memmap_block b = memmap_block_unsafe(AT(0x1000), 0x20);
	static const struct {
		uint64_t n;
		uintptr_t rest_addr, first_addr;
		size_t rest_len, first_len;
		bool rest_safe_copy, first_safe_copy;
	} cases[] = {
		{0, 0x1000, 0, 0x20, 0, true, false},
		{1, 0x1001, 0x1000, 0x1f, 1, true, true},
		{0x1f, 0x101f, 0x1000, 1, 0x1f, true, true},
		{0x20, 0, 0x1000, 0, 0x20, false, true},
		{0x21, 0, 0x1000, 0, 0x20, false, true},
		{UINT64_MAX, 0, 0x1000, 0, 0x20, false, true},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		check_block(memmap_block_drop_first(b, cases[i].n), cases[i].rest_addr,
			    cases[i].rest_len, cases[i].rest_safe_copy);
		check_block(memmap_block_take_first(b, cases[i].n), cases[i].first_addr,
			    cases[i].first_len, cases[i].first_safe_copy);
	}
	/* A guest's memory may well be at address 0. */
	check_block(memmap_block_drop_first(memmap_block_unsafe(NULL, 8), 3), 3, 5, true);
}

static void test_block_format(void **state)
{
	(void)state;
	char buf[MEMMAP_BLOCK_FORMAT_SIZE];
	assert_string_equal(memmap_block_format((struct memmap_block){0}, buf, sizeof(buf)),
			    "<nil>");
	assert_string_equal(memmap_block_format(memmap_block_safe(AT(0x10), 0), buf, sizeof(buf)),
			    "[0x10-0x10)");
	assert_string_equal(memmap_block_format(memmap_block_safe(NULL, 1), buf, sizeof(buf)),
			    "[0x0-0x1)");
	assert_string_equal(
		memmap_block_format(memmap_block_unsafe(AT(0x1000), 0x2000), buf, sizeof(buf)),
		"[0x1000-0x3000)*");
	assert_string_equal(
		memmap_block_format(memmap_block_unsafe(AT(UINTPTR_MAX - 1), 1), buf, sizeof(buf)),
		"[0xfffffffffffffffe-0xffffffffffffffff)*");
	assert_string_equal(memmap_block_format(memmap_block_unsafe(AT(0x1000), 1), buf, 5),
			    "[0x1");
}

/* The naive sequence: every byte's address, and whether it needs safe copy. */
struct bytes {
	size_t nr;
	struct {
		uintptr_t addr;
		bool need_safe_copy;
	} at[512];
};

static struct bytes bytes_of_blocks(const struct memmap_block *blocks, size_t nr)
{
	struct bytes bytes = {0};
	for (size_t i = 0; i < nr; i++) {
		for (size_t j = 0; j < blocks[i].len; j++) {
			bytes.at[bytes.nr].addr = (uintptr_t)blocks[i].addr + j;
			bytes.at[bytes.nr++].need_safe_copy = blocks[i].need_safe_copy;
		}
	}
	return bytes;
}

/* Walk `seq` by head and tail, and compare it with bytes [from, to) of the naive one. */
static void check_seq(struct memmap_block_seq seq, const struct bytes *bytes, uint64_t from,
		      uint64_t to)
{
	if (to > bytes->nr)
		to = bytes->nr;
	if (from > to)
		from = to;
	assert_int_equal(memmap_block_seq_num_bytes(seq), to - from);
	const size_t nr_blocks = memmap_block_seq_num_blocks(seq);
	size_t nr = 0;
	while (!memmap_block_seq_is_empty(seq)) {
		const struct memmap_block head = memmap_block_seq_head(seq);
		assert_true(head.len > 0);
		for (size_t i = 0; i < head.len; i++) {
			assert_true(from < to);
			assert_true((uintptr_t)head.addr + i == bytes->at[from].addr);
			assert_int_equal(head.need_safe_copy, bytes->at[from].need_safe_copy);
			from++;
		}
		nr++;
		seq = memmap_block_seq_tail(seq);
	}
	assert_true(from == to);
	assert_int_equal(nr, nr_blocks);
	/* Empty is the zero value, however it came about. */
	static const struct memmap_block_seq zero;
	assert_memory_equal(&seq, &zero, sizeof(zero));
}

/* Blocks of 0 to 5 bytes, many of them empty, far apart. */
static size_t random_blocks(struct memmap_block *blocks, size_t max)
{
	const size_t nr = (size_t)rand() % (max + 1);
	for (size_t i = 0; i < nr; i++) {
		const int kind = rand() % 8;
		const size_t len = kind < 3 ? 0 : (size_t)kind - 2;
		void *addr = AT(0x1000 * (i + 1));
		blocks[i] =
			rand() % 2 ? memmap_block_safe(addr, len) : memmap_block_unsafe(addr, len);
	}
	return nr;
}

static void test_seq_against_naive(void **state)
{
	(void)state;
	srand(42);
	for (int round = 0; round < 600; round++) {
		struct memmap_block blocks[9];
		const size_t nr = random_blocks(blocks, 9);
		const struct bytes bytes = bytes_of_blocks(blocks, nr);
		const struct memmap_block_seq seq = memmap_block_seq_from(blocks, nr);
		check_seq(seq, &bytes, 0, bytes.nr);
		for (uint64_t a = 0; a <= bytes.nr + 1; a++) {
			check_seq(memmap_block_seq_drop_first(seq, a), &bytes, a, bytes.nr);
			check_seq(memmap_block_seq_take_first(seq, a), &bytes, 0, a);
			for (uint64_t b = 0; a + b <= bytes.nr + 1; b++) {
				check_seq(memmap_block_seq_cut(seq, a, b), &bytes, a, a + b);
				/* The other way round. */
				check_seq(memmap_block_seq_drop_first(
						  memmap_block_seq_take_first(seq, a + b), a),
					  &bytes, a, a + b);
			}
		}
		check_seq(memmap_block_seq_drop_first(seq, UINT64_MAX), &bytes, bytes.nr, bytes.nr);
		check_seq(memmap_block_seq_take_first(seq, UINT64_MAX), &bytes, 0, bytes.nr);
	}
}

static void test_seq_of_one_block(void **state)
{
	(void)state;
	const struct memmap_block b = memmap_block_unsafe(AT(0x1000), 7);
	const struct bytes bytes = bytes_of_blocks(&b, 1);
	check_seq(memmap_block_seq_of(b), &bytes, 0, 7);
	check_seq(memmap_block_seq_of((struct memmap_block){0}), &bytes, 0, 0);

	/* One block that is not empty: the array may go away. */
	struct memmap_block blocks[3] = {
		memmap_block_safe(AT(0x8000), 0),
		b,
		memmap_block_safe(AT(0x9000), 0),
	};
	const struct memmap_block_seq seq = memmap_block_seq_from(blocks, 3);
	memset(blocks, 0xff, sizeof(blocks));
	check_seq(seq, &bytes, 0, 7);
}

static void test_seq_of_nothing(void **state)
{
	(void)state;
	const struct bytes none = {0};
	struct memmap_block empty[2] = {{0}, {AT(0x1000), 0, true}};
	check_seq((struct memmap_block_seq){0}, &none, 0, 0);
	check_seq(memmap_block_seq_from(NULL, 0), &none, 0, 0);
	check_seq(memmap_block_seq_from(empty, 2), &none, 0, 0);
}

static void test_seq_panics(void **state)
{
	(void)state;
	const struct memmap_block_seq empty = {0};
	assert_panics("head of an empty block sequence", memmap_block_seq_head(empty));
	assert_panics("tail of an empty block sequence", memmap_block_seq_tail(empty));
	const struct memmap_block blocks[] = {
		{AT(1), SIZE_MAX - 1, false},
		{AT(1), 1, false},
		{AT(1), 1, false},
	};
	assert_true(memmap_block_seq_num_bytes(memmap_block_seq_from(blocks, 2)) == UINT64_MAX);
	assert_panics("lengths of 3 blocks overflow", memmap_block_seq_from(blocks, 3));
}

static void test_seq_format(void **state)
{
	(void)state;
	static const char whole[] = "[[0x1000-0x1004) [0x8000-0x8001)*]";
	const struct memmap_block blocks[] = {
		memmap_block_safe(AT(0x1000), 4),
		memmap_block_safe(AT(0x7000), 0),
		memmap_block_unsafe(AT(0x8000), 1),
	};
	const struct memmap_block_seq seq = memmap_block_seq_from(blocks, 3);
	for (size_t size = 0; size <= sizeof(whole) + 1; size++) {
		char buf[sizeof(whole) + 2];
		memset(buf, '#', sizeof(buf));
		assert_ptr_equal(memmap_block_seq_format(seq, buf, size), buf);
		const size_t len = size < sizeof(whole) ? (size ? size - 1 : 0) : sizeof(whole) - 1;
		assert_memory_equal(buf, whole, len);
		if (size > 0)
			assert_int_equal(buf[len], '\0');
		assert_int_equal(buf[size], '#');
	}
	char buf[8];
	assert_string_equal(memmap_block_seq_format((struct memmap_block_seq){0}, buf, 8), "[]");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_block_made),       cmocka_unit_test(test_block_drop_and_take),
		cmocka_unit_test(test_block_format),     cmocka_unit_test(test_seq_against_naive),
		cmocka_unit_test(test_seq_of_one_block), cmocka_unit_test(test_seq_of_nothing),
		cmocka_unit_test(test_seq_panics),       cmocka_unit_test(test_seq_format),
	};
	return cmocka_run_group_tests_name("base/block", tests, NULL, NULL);
}
