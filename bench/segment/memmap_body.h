/* SPDX-License-Identifier: Apache-2.0 */
/* The contestant: memmap's own set, tracking gaps when BENCH_HAS_GAPS is defined. */
#include <memmap/range.h>

#define SEGMENT_PREFIX bench_tree
#define SEGMENT_RANGE  memmap_addr_range
#define SEGMENT_VALUE  uint64_t
#ifdef BENCH_HAS_GAPS
#	define SEGMENT_TRACK_GAPS 1
#endif
#include <memmap/segment_set.h>

#include <stdlib.h>

struct bench_set {
	struct bench_tree_set tree;
};

static void bench_init(struct bench_set *s)
{
	bench_tree_set_init(&s->tree, NULL);
}

static void bench_destroy(struct bench_set *s)
{
	bench_tree_set_destroy(&s->tree);
}

static void bench_insert(struct bench_set *s, uint64_t start, uint64_t end, uint64_t value)
{
	struct memmap_addr_range r = {start, end};
	if (bench_tree_set_add(&s->tree, r, value) != 0)
		abort();
}

static bool bench_find(struct bench_set *s, uint64_t key, uint64_t *value)
{
	struct bench_tree_iterator it = bench_tree_set_find_segment(&s->tree, key);
	if (!bench_tree_iterator_ok(it))
		return false;
	*value = bench_tree_iterator_value(it);
	return true;
}

static void bench_remove(struct bench_set *s, uint64_t start)
{
	bench_tree_set_remove(&s->tree, bench_tree_set_find_segment(&s->tree, start));
}

static uint64_t bench_sum(struct bench_set *s)
{
	uint64_t sum = 0;
	struct bench_tree_iterator it = bench_tree_set_first_segment(&s->tree);
	for (; bench_tree_iterator_ok(it); it = bench_tree_iterator_next_segment(it))
		sum += bench_tree_iterator_start(it) + bench_tree_iterator_end(it) +
		       bench_tree_iterator_value(it);
	return sum;
}

#ifdef BENCH_HAS_GAPS
static uint64_t bench_gap(struct bench_set *s, uint64_t from, uint64_t size)
{
	struct bench_tree_gap_iterator gap =
		bench_tree_set_lower_bound_large_enough_gap(&s->tree, from, size);
	return bench_tree_gap_iterator_ok(gap) ? bench_tree_gap_iterator_start(gap) : UINT64_MAX;
}
#endif

#include "bench_body.h"
