/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Removing mappings when there is no memory: it succeeds wherever nothing is cut in two, and where
 * something is, it either succeeds or changes nothing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <string.h>

#include <memmap/mapping_set.h>

#include "memmap/failing_allocator.h"

#define PAGE       MEMMAP_PAGE_SIZE
#define NR_OFFSETS 160 /* pages of the Mappable */
#define NR_SPACES  6
#define NR_ADDRS   96 /* pages of each space */
#define NR_SEEDS   150

static void ignore_invalidate(struct memmap_mapping_space *ms, struct memmap_addr_range ar,
			      struct memmap_invalidate_opts opts)
{
	(void)ms;
	(void)ar;
	(void)opts;
}

static const struct memmap_mapping_space_ops ops = {.invalidate = ignore_invalidate};

/* ---- The set, and page for page what each space maps ---- */

struct page {
	bool mapped, writable;
	unsigned offset;
};

static struct memmap_mapping_space spaces[NR_SPACES];
static struct page pages[NR_SPACES][NR_ADDRS];
static struct memmap_mapping_set set;
static struct failing_allocator memory;

static int setup(void **state)
{
	(void)state;
	for (size_t i = 0; i < NR_SPACES; i++)
		spaces[i].ops = &ops;
	memset(pages, 0, sizeof(pages));
	failing_allocator_init(&memory, SIZE_MAX);
	memmap_mapping_set_init(&set, &memory.allocator);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	memmap_mapping_set_destroy(&set);
	assert_int_equal(memory.nr_live, 0);
	return 0;
}

static struct memmap_addr_range addrs(size_t start, size_t nr)
{
	return (struct memmap_addr_range){start * PAGE, (start + nr) * PAGE};
}

/* What the set shows is what the pages say. */
static void assert_agreed(void)
{
	size_t expected[NR_OFFSETS] = {0};
	for (size_t i = 0; i < NR_SPACES; i++) {
		for (size_t at = 0; at < NR_ADDRS; at++)
			expected[pages[i][at].offset] += pages[i][at].mapped;
	}
	assert_int_equal(memmap_mapping_set_verify(&set), 0);
	size_t offset = 0;
	for (struct memmap_mapping_iterator it = memmap_mapping_set_first_segment(&set);
	     memmap_mapping_iterator_ok(it); it = memmap_mapping_iterator_next_segment(it)) {
		for (; offset < memmap_mapping_iterator_start(it) / PAGE; offset++)
			assert_int_equal(expected[offset], 0);
		for (; offset < memmap_mapping_iterator_end(it) / PAGE; offset++)
			assert_int_equal(expected[offset], memmap_mapping_iterator_nr_mappings(it));
	}
	for (; offset < NR_OFFSETS; offset++)
		assert_int_equal(expected[offset], 0);
}

static void add(size_t space, size_t at, size_t nr, unsigned offset, bool writable)
{
	assert_int_equal(memmap_mapping_set_add_mapping(&set, &spaces[space], addrs(at, nr),
							offset * PAGE, writable, NULL),
			 0);
	for (size_t i = 0; i < nr; i++)
		pages[space][at + i] = (struct page){true, writable, offset + (unsigned)i};
}

/* Pages that one mapping maps, or several side by side. */
static int try_to_remove(size_t space, size_t at, size_t nr,
			 struct memmap_mappable_ranges *newly_unmapped)
{
	struct page first = pages[space][at];
	int err = memmap_mapping_set_remove_mapping(&set, &spaces[space], addrs(at, nr),
						    first.offset * PAGE, first.writable,
						    newly_unmapped);
	if (!err)
		memset(&pages[space][at], 0, nr * sizeof(struct page));
	return err;
}

/* How many pages from `at` on the same mapping has. */
static size_t run_length(size_t space, size_t at)
{
	const struct page *first = &pages[space][at];
	size_t nr = 1;
	while (at + nr < NR_ADDRS && first[nr].mapped && first[nr].writable == first->writable &&
	       first[nr].offset == first->offset + nr)
		nr++;
	return nr;
}

/* ---- Randomness ---- */

static uint64_t random_state;

static size_t below(size_t n)
{
	uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (size_t)((z ^ (z >> 31)) % n);
}

/*
 * Mappings until the space is full: often those that another space has too, often going on where
 * the last one ended, sometimes with a page between.
 */
static void fill_space(size_t space)
{
	size_t apart = below(3);
	unsigned offset = 0;
	for (size_t at = 0; at < NR_ADDRS;) {
		size_t nr = 1 + below(12);
		if (at == 0 || below(3) != 0)
			offset = (unsigned)below(NR_OFFSETS / 8) * 8;
		if (below(2) == 0)
			nr = 8;
		if (nr > NR_ADDRS - at)
			nr = NR_ADDRS - at;
		if (nr > NR_OFFSETS - offset)
			nr = NR_OFFSETS - offset;
		if (nr == 0) {
			offset = 0;
			continue;
		}
		add(space, at, nr, offset, below(4) == 0);
		offset += (unsigned)nr;
		at += nr + (apart > 0 ? below(apart + 1) : 0);
	}
}

/* Parts of mappings, while there is memory. */
static void remove_parts(void)
{
	for (size_t i = below(40); i > 0; i--) {
		size_t space = below(NR_SPACES), at = below(NR_ADDRS);
		if (pages[space][at].mapped)
			assert_int_equal(
				try_to_remove(space, at, 1 + below(run_length(space, at)), NULL),
				0);
	}
}

static void test_nothing_cut_in_two(void **state)
{
	for (uint64_t seed = 1; seed <= NR_SEEDS; seed++) {
		random_state = seed;
		setup(state);
		for (size_t space = 0; space < NR_SPACES; space++)
			fill_space(space);
		if (below(2) == 0)
			remove_parts();
		assert_agreed();

		struct {
			size_t space, at, nr;
		} runs[NR_SPACES * NR_ADDRS];
		size_t nr_runs = 0;
		for (size_t space = 0; space < NR_SPACES; space++) {
			for (size_t at = 0; at < NR_ADDRS;) {
				if (!pages[space][at].mapped) {
					at++;
					continue;
				}
				runs[nr_runs].space = space;
				runs[nr_runs].at = at;
				runs[nr_runs].nr = run_length(space, at);
				at += runs[nr_runs++].nr;
			}
		}
		memory.budget = 0;
		for (; nr_runs > 0; nr_runs--) {
			size_t i = below(nr_runs);
			assert_int_equal(try_to_remove(runs[i].space, runs[i].at, runs[i].nr, NULL),
					 0);
			assert_agreed();
			runs[i] = runs[nr_runs - 1];
		}
		assert_int_equal(memory.nr_refused, 0);
		assert_true(memmap_mapping_set_is_empty(&set));
		teardown(state);
	}
}

/* Parts, anywhere, without memory: some succeed, and those that do not have changed nothing. */
static void test_parts(void **state)
{
	size_t nr_removed = 0, nr_failed = 0;
	for (uint64_t seed = 1; seed <= NR_SEEDS; seed++) {
		random_state = seed;
		setup(state);
		for (size_t space = 0; space < NR_SPACES; space++)
			fill_space(space);
		for (size_t i = 0; i < 60; i++) {
			size_t space = below(NR_SPACES), at = below(NR_ADDRS);
			if (!pages[space][at].mapped)
				continue;
			size_t nr = 1 + below(run_length(space, at));
			memory.budget = below(3) == 0 ? below(3) : 0;
			int err = try_to_remove(space, at, nr, NULL);
			assert_true(err == 0 || err == -ENOMEM);
			nr_removed += err == 0;
			nr_failed += err != 0;
			assert_agreed();
			memory.budget = SIZE_MAX;
		}
		teardown(state);
	}
	assert_true(nr_removed > 100);
	assert_true(nr_failed > 100);
}

/* What is left of a mapping that others have as well moves to an extent of its own. */
static void test_a_part_of_what_others_have(void **state)
{
	(void)state;
	add(0, 0, 8, 0, false);
	for (size_t space = 1; space < NR_SPACES; space++)
		add(space, 0, 8, 0, false);
	/* What the index has in hand is used up. */
	size_t space = 0;
	memory.budget = 0;
	while (space < NR_SPACES && !try_to_remove(space, 2, 2, NULL))
		space++;
	assert_true(space < NR_SPACES);
	assert_agreed();
	/* With memory it goes, and what is left goes without. */
	memory.budget = SIZE_MAX;
	assert_int_equal(try_to_remove(space, 2, 2, NULL), 0);
	assert_agreed();
	memory.budget = 0;
	assert_int_equal(try_to_remove(space, 4, 4, NULL), 0);
	assert_int_equal(try_to_remove(space, 0, 2, NULL), 0);
	assert_agreed();
}

/* The list of what became unmapped needs memory, unless it has room. */
static void test_results_need_room(void **state)
{
	(void)state;
	struct memmap_mappable_ranges ranges = {.allocator = &memory.allocator};
	add(0, 0, 4, 0, false);
	add(0, 8, 4, 8, false);
	memory.budget = 0;
	assert_int_equal(try_to_remove(0, 0, 4, &ranges), -ENOMEM);
	assert_int_equal(ranges.len, 0);
	assert_agreed();
	assert_int_equal(try_to_remove(0, 0, 4, NULL), 0);
	assert_agreed();
	memory.budget = 1;
	assert_int_equal(memmap_mappable_ranges_reserve(&ranges, 1), 0);
	memory.budget = 0;
	assert_int_equal(try_to_remove(0, 8, 4, &ranges), 0);
	assert_int_equal(ranges.len, 1);
	assert_int_equal(ranges.ranges[0].start, 8 * PAGE);
	assert_int_equal(ranges.ranges[0].end, 12 * PAGE);
	assert_agreed();
	memmap_mappable_ranges_release(&ranges);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_cut_in_two),
		cmocka_unit_test(test_parts),
		cmocka_unit_test_setup_teardown(test_a_part_of_what_others_have, setup, teardown),
		cmocka_unit_test_setup_teardown(test_results_need_room, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
