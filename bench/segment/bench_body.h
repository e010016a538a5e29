/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The segment set's benchmark: one program for each contestant, all the same operations.
 *
 * A contestant (C or C++) defines these, then includes this file:
 *
 *   BENCH_NAME                                     a string
 *   struct bench_set;                              zeroed before bench_init()
 *   static void bench_init(struct bench_set *);
 *   static void bench_destroy(struct bench_set *);
 *   static void bench_insert(struct bench_set *, uint64_t start, uint64_t end, uint64_t value);
 *   static bool bench_find(struct bench_set *, uint64_t key, uint64_t *value);
 *   static void bench_remove(struct bench_set *, uint64_t start);
 *   static uint64_t bench_sum(struct bench_set *);  of all starts, ends and values, in order
 *
 * and, with BENCH_HAS_GAPS defined,
 *
 *   static uint64_t bench_gap(struct bench_set *, uint64_t from, uint64_t size);
 *                                                  the start of the lowest gap of at least `size` keys
 *                                                  that ends after `from`; UINT64_MAX: none
 *
 * The segments are [k * 0x3000, k * 0x3000 + 0x1000) for k below N, so nothing is adjacent, each with
 * k as its value. For every N it prints nanoseconds of CPU time an operation, the median of 7 rounds,
 * and a checksum that must be the same for all contestants:
 *
 *   in order    insert into an empty set, k ascending
 *   at random   insert into an empty set, k in a random order
 *   hit         find a random key inside a random segment
 *   dependent   the same, each key depending on the value found before
 *   any         find a random key anywhere (a third hit)
 *   iterate     sum over all segments, for each segment
 *   churn       remove a random segment, and insert the one removed the time before
 *   gap         lowest gap of a size that one gap in about 1000 has, from a random key; and from 0
 *   bytes       of heap for each segment, after inserting at random; in order
 *
 * Usage: PROGRAM [N ...]    (100 10000 1000000)
 */
#include <inttypes.h>
#include <malloc.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

/* The comparison of contestants runs them by turns, a round each. */
#ifndef NR_ROUNDS
#	define NR_ROUNDS 7
#endif
/* Fewer operations, for a quick look. */
#ifndef NR_OPS
#	define NR_OPS 1000000
#endif

enum row { IN_ORDER, AT_RANDOM, HIT, DEPENDENT, ANY, ITERATE, CHURN, GAP, GAP_FROM_0, NR_ROWS };

struct bench {
	size_t n;
	size_t nr_ops; /* of each row that is not a pass over the set */
	uint32_t *order;
	uint64_t random_state;
	uint64_t checksum;
	double times[NR_ROWS][NR_ROUNDS];
	double bytes_at_random, bytes_in_order;
};

static uint64_t bench_random(struct bench *b)
{
	uint64_t z = (b->random_state += UINT64_C(0x9e3779b97f4a7c15));
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

/* A random number below `n`, by its high bits. */
static uint64_t bench_below(struct bench *b, uint64_t n)
{
	return (uint64_t)(((unsigned __int128)bench_random(b) * n) >> 64);
}

static double bench_now(void)
{
	struct timespec t;
	(void)clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

static void bench_add(struct bench_set *s, uint64_t k)
{
	bench_insert(s, k * 0x3000, k * 0x3000 + 0x1000, k);
}

/* Small sets are built over and over, so that a round takes long enough to be measured. */
static size_t bench_builds(const struct bench *b)
{
	return b->n < 100000 ? 200000 / b->n : 1;
}

static double heap_used(void)
{
	struct mallinfo2 info = mallinfo2();
	return (double)info.uordblks + (double)info.hblkhd;
}

static void bench_inserts(struct bench *b, size_t round, struct bench_set *kept)
{
	const size_t builds = bench_builds(b);
	for (int random = 0; random < 2; random++) {
		double spent = 0;
		for (size_t i = 0; i < builds; i++) {
			struct bench_set s;
			memset((void *)&s, 0, sizeof(s));
			bench_init(&s);
			double heap = heap_used(), start = bench_now();
			for (size_t j = 0; j < b->n; j++)
				bench_add(&s, random ? b->order[j] : j);
			spent += bench_now() - start;
			*(random ? &b->bytes_at_random : &b->bytes_in_order) =
				(heap_used() - heap) / (double)b->n;
			if (random && i + 1 == builds)
				*kept = s;
			else
				bench_destroy(&s);
		}
		b->times[random ? AT_RANDOM : IN_ORDER][round] = spent / (double)(builds * b->n);
	}
}

static void bench_finds(struct bench *b, size_t round, struct bench_set *s)
{
	uint64_t sum = 0, value = 0;
	double start = bench_now();
	for (size_t i = 0; i < b->nr_ops; i++) {
		uint64_t x = bench_random(b);
		uint64_t k = (uint64_t)(((unsigned __int128)x * b->n) >> 64);
		sum += bench_find(s, k * 0x3000 + (x & 0xfff), &value) ? value : 0;
	}
	b->times[HIT][round] = (bench_now() - start) / (double)b->nr_ops;

	start = bench_now();
	for (size_t i = 0; i < b->nr_ops; i++) {
		uint64_t x = bench_random(b) + value;
		uint64_t k = (uint64_t)(((unsigned __int128)x * b->n) >> 64);
		sum += bench_find(s, k * 0x3000 + (x & 0xfff), &value) ? value : 0;
	}
	b->times[DEPENDENT][round] = (bench_now() - start) / (double)b->nr_ops;

	start = bench_now();
	for (size_t i = 0; i < b->nr_ops; i++)
		sum += bench_find(s, bench_below(b, b->n * 0x3000), &value) ? value : 1;
	b->times[ANY][round] = (bench_now() - start) / (double)b->nr_ops;
	b->checksum = b->checksum * 31 + sum;
}

static void bench_iterate(struct bench *b, size_t round, struct bench_set *s)
{
	size_t passes = 4000000 / b->n + 1;
	uint64_t sum = 0;
	double start = bench_now();
	for (size_t i = 0; i < passes; i++)
		sum += bench_sum(s) * (i + 1);
	b->times[ITERATE][round] = (bench_now() - start) / (double)(passes * b->n);
	b->checksum = b->checksum * 31 + sum;
}

static void bench_churn(struct bench *b, size_t round, struct bench_set *s)
{
	uint64_t out = bench_below(b, b->n);
	bench_remove(s, out * 0x3000);
	double start = bench_now();
	for (size_t i = 0; i < b->nr_ops; i++) {
		uint64_t k = bench_below(b, b->n);
		if (k == out)
			continue;
		bench_remove(s, k * 0x3000);
		bench_add(s, out);
		out = k;
	}
	b->times[CHURN][round] = (bench_now() - start) / (double)b->nr_ops;
	bench_add(s, out);
	b->checksum = b->checksum * 31 + bench_sum(s);
}

#ifdef BENCH_HAS_GAPS
/* Every 1000th segment leaves, which makes gaps of more than twice the usual size. */
static void bench_gaps(struct bench *b, size_t round, struct bench_set *s)
{
	const uint64_t step = b->n < 2000 ? b->n / 2 : 1000;
	for (uint64_t k = step / 2; k < b->n; k += step)
		bench_remove(s, k * 0x3000);
	uint64_t sum = 0;
	double start = bench_now();
	for (size_t i = 0; i < b->nr_ops; i++)
		sum += bench_gap(s, bench_below(b, b->n * 0x3000), 0x3000);
	b->times[GAP][round] = (bench_now() - start) / (double)b->nr_ops;
	start = bench_now();
	for (size_t i = 0; i < b->nr_ops; i++)
		sum += bench_gap(s, 0, 0x3000 + (i & 0xff));
	b->times[GAP_FROM_0][round] = (bench_now() - start) / (double)b->nr_ops;
	b->checksum = b->checksum * 31 + sum;
}
#endif

static int bench_compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static double bench_median(struct bench *b, enum row row)
{
	qsort(b->times[row], NR_ROUNDS, sizeof(double), bench_compare);
	return b->times[row][NR_ROUNDS / 2];
}

static void bench_run(size_t n)
{
	struct bench *b = (struct bench *)calloc(1, sizeof(*b));
	b->n = n;
	b->nr_ops = NR_OPS;
	b->random_state = 42;
	b->order = (uint32_t *)malloc(n * sizeof(*b->order));
	for (size_t i = 0; i < n; i++)
		b->order[i] = (uint32_t)i;
	for (size_t i = n; i > 1; i--) {
		size_t j = bench_below(b, i);
		uint32_t x = b->order[i - 1];
		b->order[i - 1] = b->order[j];
		b->order[j] = x;
	}
	for (size_t round = 0; round < NR_ROUNDS; round++) {
		struct bench_set s;
		bench_inserts(b, round, &s);
		bench_finds(b, round, &s);
		bench_iterate(b, round, &s);
		bench_churn(b, round, &s);
#ifdef BENCH_HAS_GAPS
		bench_gaps(b, round, &s);
#endif
		bench_destroy(&s);
	}
	(void)printf("%-24s %8zu", BENCH_NAME, n);
	for (int row = 0; row < NR_ROWS; row++) {
		if (b->times[row][0] > 0)
			(void)printf(" %9.2f", bench_median(b, (enum row)row));
		else
			(void)printf(" %9s", "-");
	}
	(void)printf(" %7.1f %7.1f  %016" PRIx64 "\n", b->bytes_at_random, b->bytes_in_order,
		     b->checksum);
	(void)fflush(stdout);
	free(b->order);
	free(b);
}

int main(int argc, char **argv)
{
	(void)printf("%-24s %8s %9s %9s %9s %9s %9s %9s %9s %9s %9s %7s %7s  checksum\n",
		     "nanoseconds", "N", "in order", "at random", "hit", "dependent", "any",
		     "iterate", "churn", "gap", "from 0", "bytes", "ordered");
	if (argc == 1) {
		bench_run(100);
		bench_run(10000);
		bench_run(1000000);
	}
	for (int i = 1; i < argc; i++)
		bench_run(strtoul(argv[i], NULL, 0));
	return 0;
}
