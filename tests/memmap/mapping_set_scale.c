/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The mapping set with thousands of mappings: what the model is too slow for.
 *
 * What is compared is what an array of pages says: how many mappings each has, and where mappings
 * begin and end. Memory must grow like the number of mappings, however many segments each spans.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <memmap/mapping_set.h>

#define PAGE MEMMAP_PAGE_SIZE

typedef struct memmap_mappable_range range;
typedef struct memmap_addr_range addrs;

static uint64_t random_state;

static uint64_t next_random(void)
{
	uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* ---- An allocator that counts ---- */

static size_t live_bytes, most_bytes;

static void *counting_allocate(void *context, size_t size, size_t alignment)
{
	(void)context;
	live_bytes += size;
	if (live_bytes > most_bytes)
		most_bytes = live_bytes;
	return memmap_allocate(NULL, size, alignment);
}

static void counting_deallocate(void *context, void *memory, size_t size)
{
	(void)context;
	live_bytes -= size;
	memmap_deallocate(NULL, memory, size);
}

static const struct memmap_allocator counting = {counting_allocate, counting_deallocate, NULL};

/* ---- Spaces ---- */

static size_t nr_calls;

static void count_call(struct memmap_mapping_space *ms, struct memmap_addr_range ar,
		       struct memmap_invalidate_opts opts)
{
	(void)ms;
	(void)opts;
	assert_true(ar.start < ar.end);
	nr_calls++;
}

static const struct memmap_mapping_space_ops ops = {.invalidate = count_call};

static struct memmap_mapping_space *make_spaces(size_t nr)
{
	struct memmap_mapping_space *spaces = calloc(nr, sizeof(*spaces));
	assert_non_null(spaces);
	for (size_t i = 0; i < nr; i++)
		spaces[i].ops = &ops;
	return spaces;
}

static uint64_t total_length(const struct memmap_mappable_ranges *ranges)
{
	uint64_t total = 0;
	for (size_t i = 0; i < ranges->len; i++) {
		assert_true(ranges->ranges[i].start < ranges->ranges[i].end);
		total += memmap_mappable_range_length(ranges->ranges[i]);
	}
	return total;
}

/* ---- Mappings of random ranges of one file, one of each space ---- */

#define FILE_PAGES 4096

struct random_mappings {
	size_t nr;
	struct memmap_mapping_space *spaces;
	range *ranges;
	uint32_t covers[FILE_PAGES + 1]; /* mappings of each page */
	uint32_t edges[FILE_PAGES + 1];  /* mappings that begin or end where it does */
};

static void cover(struct random_mappings *m, range r, uint32_t change)
{
	for (uint64_t page = r.start / PAGE; page < r.end / PAGE; page++)
		m->covers[page] += change;
	m->edges[r.start / PAGE] += change;
	m->edges[r.end / PAGE] += change;
}

static void assert_shows(const struct memmap_mapping_set *set, const struct random_mappings *m)
{
	assert_int_equal(memmap_mapping_set_verify(set), 0);
	uint64_t page = 0;
	for (struct memmap_mapping_iterator it = memmap_mapping_set_first_segment(set);
	     memmap_mapping_iterator_ok(it); it = memmap_mapping_iterator_next_segment(it)) {
		for (; page < memmap_mapping_iterator_start(it) / PAGE; page++)
			assert_int_equal(m->covers[page], 0);
		size_t nr = memmap_mapping_iterator_nr_mappings(it);
		for (; page < memmap_mapping_iterator_end(it) / PAGE; page++)
			assert_int_equal(m->covers[page], nr);
		/* Removing leaves no edge behind where nothing begins or ends. */
		assert_true(m->edges[page] > 0);
	}
	for (; page < FILE_PAGES; page++)
		assert_int_equal(m->covers[page], 0);
}

/* How much memory the mappings take at most. */
static size_t run_random_mappings(size_t nr)
{
	struct random_mappings m = {.nr = nr, .spaces = make_spaces(nr)};
	struct memmap_mapping_set set;
	struct memmap_mappable_ranges changed = {0};
	m.ranges = calloc(nr, sizeof(*m.ranges));
	assert_non_null(m.ranges);
	random_state = nr;
	live_bytes = most_bytes = 0;
	memmap_mapping_set_init(&set, &counting);
	uint64_t mapped = 0;
	for (size_t i = 0; i < nr; i++) {
		uint64_t start = next_random() % FILE_PAGES;
		uint64_t pages = 1 + next_random() % (FILE_PAGES / 3);
		if (start + pages > FILE_PAGES)
			pages = FILE_PAGES - start;
		range r = {start * PAGE, (start + pages) * PAGE};
		m.ranges[i] = r;
		changed.len = 0;
		assert_int_equal(memmap_mapping_set_add_mapping(
					 &set, &m.spaces[i],
					 (addrs){r.start + 7 * PAGE, r.end + 7 * PAGE}, r.start,
					 i % 2, &changed),
				 0);
		mapped += total_length(&changed);
		cover(&m, r, 1);
		if (i % 512 == 0)
			assert_shows(&set, &m);
	}
	assert_shows(&set, &m);
	assert_int_equal(memmap_mapping_set_span(&set), mapped);
	nr_calls = 0;
	memmap_mapping_set_invalidate(&set, (range){100 * PAGE, 101 * PAGE},
				      (struct memmap_invalidate_opts){false});
	assert_int_equal(nr_calls, m.covers[100]);
	for (size_t i = nr; i-- > 0;) {
		range r = m.ranges[i];
		changed.len = 0;
		assert_int_equal(memmap_mapping_set_remove_mapping(
					 &set, &m.spaces[i],
					 (addrs){r.start + 7 * PAGE, r.end + 7 * PAGE}, r.start,
					 i % 2, &changed),
				 0);
		mapped -= total_length(&changed);
		cover(&m, r, (uint32_t)-1);
		if (i % 512 == 0)
			assert_shows(&set, &m);
	}
	assert_int_equal(mapped, 0);
	assert_true(memmap_mapping_set_is_empty(&set));
	memmap_mapping_set_destroy(&set);
	assert_int_equal(live_bytes, 0);
	memmap_mappable_ranges_release(&changed);
	free(m.ranges);
	free(m.spaces);
	return most_bytes;
}

static void test_random_ranges(void **state)
{
	(void)state;
	size_t bytes = run_random_mappings(2000);
	size_t bytes_of_twice = run_random_mappings(4000);
	/* Were each segment to hold its mappings, it would be four times as much. */
	assert_true(bytes < (size_t)2000 * 1024);
	assert_true(bytes_of_twice < bytes * 5 / 2);
}

/* ---- Thousands of spaces that map the same five parts of a file ---- */

static const uint64_t parts[] = {0, 0x26000, 0x17b000, 0x1ce000, 0x1d2000, 0x1d4000};
#define NR_PARTS 5

static void test_same_ranges(void **state)
{
	(void)state;
	const size_t nr = 3000;
	struct memmap_mapping_space *spaces = make_spaces(nr);
	struct memmap_mapping_set set;
	struct memmap_mappable_ranges changed = {0};
	live_bytes = most_bytes = 0;
	memmap_mapping_set_init(&set, &counting);
	for (size_t i = 0; i < nr; i++) {
		uint64_t base = 0x7f0000000000 + i * 0x10000000;
		for (size_t j = 0; j < NR_PARTS; j++)
			assert_int_equal(memmap_mapping_set_add_mapping(
						 &set, &spaces[i],
						 (addrs){base + parts[j], base + parts[j + 1]},
						 parts[j], j == 3, &changed),
					 0);
	}
	assert_int_equal(changed.len, NR_PARTS);
	assert_int_equal(memmap_mapping_set_verify(&set), 0);
	assert_true(most_bytes < nr * NR_PARTS * 128);
	nr_calls = 0;
	memmap_mapping_set_invalidate(&set, (range){0x30000, 0x31000},
				      (struct memmap_invalidate_opts){false});
	assert_int_equal(nr_calls, nr);
	for (size_t i = 0; i < nr; i++) {
		uint64_t base = 0x7f0000000000 + i * 0x10000000;
		for (size_t j = 0; j < NR_PARTS; j++) {
			changed.len = 0;
			assert_int_equal(memmap_mapping_set_remove_mapping(
						 &set, &spaces[i],
						 (addrs){base + parts[j], base + parts[j + 1]},
						 parts[j], j == 3, &changed),
					 0);
			assert_int_equal(changed.len, i == nr - 1);
		}
	}
	assert_true(memmap_mapping_set_is_empty(&set));
	memmap_mapping_set_destroy(&set);
	assert_int_equal(live_bytes, 0);
	memmap_mappable_ranges_release(&changed);
	free(spaces);
}

/* One space that maps every other page of a file has as many mappings of one kind. */
static void test_many_pieces_of_one_kind(void **state)
{
	(void)state;
	const uint64_t nr = 20000;
	struct memmap_mapping_space space = {&ops};
	struct memmap_mapping_set set = {0};
	for (uint64_t i = 0; i < nr; i++) {
		uint64_t at = (i * 7919 % nr) * 2 * PAGE;
		assert_int_equal(memmap_mapping_set_add_mapping(&set, &space,
								(addrs){at + PAGE, at + 2 * PAGE},
								at, false, NULL),
				 0);
	}
	assert_int_equal(memmap_mapping_set_verify(&set), 0);
	assert_int_equal(memmap_mapping_set_span(&set), nr * PAGE);
	/* All of it in one: what is there goes, page by page. */
	struct memmap_mappable_ranges changed = {0};
	assert_int_equal(memmap_mapping_set_remove_mapping(&set, &space,
							   (addrs){PAGE, (2 * nr + 1) * PAGE}, 0,
							   false, &changed),
			 0);
	assert_int_equal(changed.len, nr);
	assert_true(memmap_mapping_set_is_empty(&set));
	assert_int_equal(memmap_mapping_set_verify(&set), 0);
	memmap_mappable_ranges_release(&changed);
	memmap_mapping_set_destroy(&set);
}

/* ---- Readers side by side ---- */

static void *read_all(void *arg)
{
	struct memmap_mapping_set *set = arg;
	size_t nr = 0;
	for (int round = 0; round < 20; round++) {
		for (struct memmap_mapping_iterator it = memmap_mapping_set_first_segment(set);
		     memmap_mapping_iterator_ok(it);
		     it = memmap_mapping_iterator_next_segment(it)) {
			struct memmap_mapping_of_range first;
			nr += memmap_mapping_iterator_mappings(it, &first, 1);
			nr += !memmap_mapping_iterator_has_mapping(it, first);
			nr += memmap_mappings_of_range_count(memmap_mapping_iterator_value_ptr(it));
		}
		memmap_mapping_set_invalidate_all(set, (struct memmap_invalidate_opts){false});
	}
	return (void *)nr;
}

static void ignore_call(struct memmap_mapping_space *ms, struct memmap_addr_range ar,
			struct memmap_invalidate_opts opts)
{
	(void)ms;
	(void)ar;
	(void)opts;
}

static void test_readers(void **state)
{
	(void)state;
	static const struct memmap_mapping_space_ops quiet = {.invalidate = ignore_call};
	struct memmap_mapping_space spaces[8];
	struct memmap_mapping_set set = {0};
	for (uint64_t i = 0; i < 8; i++) {
		spaces[i].ops = &quiet;
		assert_int_equal(memmap_mapping_set_add_mapping(&set, &spaces[i],
								(addrs){PAGE, (20 - i) * PAGE},
								i * PAGE, false, NULL),
				 0);
	}
	pthread_t threads[4];
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, read_all, &set), 0);
	void *first = NULL;
	for (size_t i = 0; i < 4; i++) {
		void *nr;
		assert_int_equal(pthread_join(threads[i], &nr), 0);
		if (i == 0)
			first = nr;
		assert_non_null(nr);
		assert_ptr_equal(nr, first);
	}
	memmap_mapping_set_destroy(&set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_ranges),
		cmocka_unit_test(test_same_ranges),
		cmocka_unit_test(test_many_pieces_of_one_kind),
		cmocka_unit_test(test_readers),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
