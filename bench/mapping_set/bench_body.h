/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reverse map's benchmark: one program for each contestant, all the same operations.
 *
 * A contestant defines these, then includes this file:
 *
 *   BENCH_NAME                     a string
 *   struct bench_map;              the mappings of one file; zeroed at first
 *   void bench_init(struct bench_map *, size_t nr);  of `nr` spaces, before anything else
 *   void bench_add(struct bench_map *, size_t i, uint32_t space, uint64_t addr, uint64_t start,
 *                  uint64_t end);
 *   void bench_remove(struct bench_map *, size_t i, uint32_t space, uint64_t addr, uint64_t start,
 *                     uint64_t end);
 *                                  the same arguments again; `i` counts the mappings from 0
 *   void bench_invalidate(struct bench_map *, uint64_t start, uint64_t end);
 *                                  calls bench_invalidated() once for each mapping that overlaps
 *   void bench_destroy(struct bench_map *);
 *
 * and gets, to call,
 *
 *   void bench_invalidated(uint32_t space, uint64_t addr_start, uint64_t addr_end);
 *
 * Usage: PROGRAM m1 SPACES | m2 MAPPINGS
 *
 *   m1  so many spaces each map the same five adjacent ranges of the file, as they map a C library;
 *       one page is invalidated in all; all unmap, space by space, in address order. Prints
 *       nanoseconds for each mapping added, each callback, each mapping removed, and bytes of heap
 * for each mapping. m2  so many mappings of random ranges (start uniform in 2^20 pages, length up
 * to a third of that), then all are removed in the order they came. Prints nanoseconds for each
 * added and each removed, and bytes of heap for each mapping.
 *
 * CPU time, as all benchmarks here; and a checksum over the callbacks, the same for all
 * contestants.
 */
#ifndef MEMMAP_BENCH_MAPPING_SET_BODY_H
#define MEMMAP_BENCH_MAPPING_SET_BODY_H

#include <inttypes.h>
#include <malloc.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BENCH_PAGE ((uint64_t)0x1000)

static uint64_t bench_nr_calls, bench_checksum;

static void bench_invalidated(uint32_t space, uint64_t addr_start, uint64_t addr_end)
{
	bench_nr_calls++;
	/* Callbacks come in any order: add up. */
	bench_checksum += (space + 1) * (addr_start * 3 + addr_end);
}

static void bench_init(struct bench_map *map, size_t nr);
static void bench_add(struct bench_map *map, size_t i, uint32_t space, uint64_t addr,
		      uint64_t start, uint64_t end);
static void bench_remove(struct bench_map *map, size_t i, uint32_t space, uint64_t addr,
			 uint64_t start, uint64_t end);
static void bench_invalidate(struct bench_map *map, uint64_t start, uint64_t end);
static void bench_destroy(struct bench_map *map);

static double bench_now(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static double bench_heap(void)
{
	struct mallinfo2 info = mallinfo2();

	return (double)info.uordblks + (double)info.hblkhd;
}

static uint64_t bench_random(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* The segments of a C library, in pages: headers, text, constants, relocated constants, data. */
static const uint64_t bench_edges[] = {0, 0x26, 0x17b, 0x1d1, 0x1d5, 0x1d7};
#define BENCH_NR_RANGES 5

static uint64_t bench_base(uint32_t space)
{
	uint64_t state = space;

	return UINT64_C(0x7f0000000000) + bench_random(&state) % 0x10000000 * BENCH_PAGE;
}

static void bench_print(const char *what, size_t nr, double add, double call, double remove,
			double bytes)
{
	(void)printf("%-24s %-4s %8zu %12.1f %12.1f %12.1f %10.1f  %016" PRIx64 "\n", BENCH_NAME,
		     what, nr, add, call, remove, bytes, bench_checksum);
}

static void bench_m1(size_t nr)
{
	struct bench_map map;
	const double nr_mappings = (double)nr * BENCH_NR_RANGES;
	double heap, start, add, call, remove, bytes;

	memset(&map, 0, sizeof(map));
	bench_init(&map, nr);
	heap = bench_heap();
	start = bench_now();
	for (uint32_t space = 0; space < nr; space++)
		for (size_t i = 0; i < BENCH_NR_RANGES; i++)
			bench_add(&map, space * BENCH_NR_RANGES + i, space,
				  bench_base(space) + bench_edges[i] * BENCH_PAGE,
				  bench_edges[i] * BENCH_PAGE, bench_edges[i + 1] * BENCH_PAGE);
	add = (bench_now() - start) / nr_mappings;
	bytes = (bench_heap() - heap) / nr_mappings;

	const size_t passes = 1 + 100000 / nr;
	start = bench_now();
	for (size_t pass = 0; pass < passes; pass++) {
		uint64_t page = bench_edges[1] + pass % 0x100;

		bench_invalidate(&map, page * BENCH_PAGE, (page + 1) * BENCH_PAGE);
	}
	call = (bench_now() - start) / (double)bench_nr_calls;

	start = bench_now();
	for (uint32_t space = 0; space < nr; space++)
		for (size_t i = 0; i < BENCH_NR_RANGES; i++)
			bench_remove(&map, space * BENCH_NR_RANGES + i, space,
				     bench_base(space) + bench_edges[i] * BENCH_PAGE,
				     bench_edges[i] * BENCH_PAGE, bench_edges[i + 1] * BENCH_PAGE);
	remove = (bench_now() - start) / nr_mappings;
	bench_destroy(&map);
	bench_print("m1", nr, add, call, remove, bytes);
}

struct bench_range {
	uint64_t addr, start, end;
};

static void bench_m2(size_t nr)
{
	const uint64_t pages = (uint64_t)1 << 20;
	struct bench_map map;
	struct bench_range *ranges = (struct bench_range *)calloc(nr, sizeof(*ranges));
	uint64_t state = 42;
	double heap, start, add, remove, bytes;

	if (!ranges)
		abort();
	for (size_t i = 0; i < nr; i++) {
		uint64_t from = bench_random(&state) % pages;
		uint64_t length = 1 + bench_random(&state) % (pages / 3);

		ranges[i].start = from * BENCH_PAGE;
		ranges[i].end = (from + length) * BENCH_PAGE;
		ranges[i].addr = UINT64_C(0x100000000000) + i % 1024 * 2 * pages * BENCH_PAGE;
	}
	memset(&map, 0, sizeof(map));
	bench_init(&map, nr);
	heap = bench_heap();
	start = bench_now();
	for (size_t i = 0; i < nr; i++)
		bench_add(&map, i, (uint32_t)i, ranges[i].addr, ranges[i].start, ranges[i].end);
	add = (bench_now() - start) / (double)nr;
	bytes = (bench_heap() - heap) / (double)nr;
	/* Not timed: that everything is there. */
	bench_invalidate(&map, pages / 2 * BENCH_PAGE, (pages / 2 + 1) * BENCH_PAGE);

	start = bench_now();
	for (size_t i = 0; i < nr; i++)
		bench_remove(&map, i, (uint32_t)i, ranges[i].addr, ranges[i].start, ranges[i].end);
	remove = (bench_now() - start) / (double)nr;
	bench_destroy(&map);
	bench_print("m2", nr, add, 0, remove, bytes);
	free(ranges);
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		(void)fprintf(stderr, "usage: %s m1 SPACES | m2 MAPPINGS\n", argv[0]);
		return 2;
	}
	size_t nr = strtoul(argv[2], NULL, 0);
	if (strcmp(argv[1], "m1") == 0)
		bench_m1(nr);
	else
		bench_m2(nr);
	return 0;
}

#endif /* MEMMAP_BENCH_MAPPING_SET_BODY_H */
