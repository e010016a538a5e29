// SPDX-License-Identifier: Apache-2.0
/* The contestant: LLVM's IntervalMap. */
#include <cstdint>
#include <cstdlib>
#include <llvm/ADT/IntervalMap.h>

#define BENCH_NAME "LLVM IntervalMap"

using tree = llvm::IntervalMap<uint64_t, uint64_t,
			       llvm::IntervalMapImpl::NodeSizer<uint64_t, uint64_t>::LeafSize,
			       llvm::IntervalMapHalfOpenInfo<uint64_t>>;

struct owned_tree {
	tree::Allocator allocator;
	tree map{allocator};
};

struct bench_set {
	owned_tree *tree;
};

static void bench_init(bench_set *s)
{
	s->tree = new owned_tree;
}

static void bench_destroy(bench_set *s)
{
	delete s->tree;
}

static void bench_insert(bench_set *s, uint64_t start, uint64_t end, uint64_t value)
{
	s->tree->map.insert(start, end, value);
}

static bool bench_find(bench_set *s, uint64_t key, uint64_t *value)
{
	uint64_t found = s->tree->map.lookup(key, UINT64_MAX);
	if (found == UINT64_MAX)
		return false;
	*value = found;
	return true;
}

static void bench_remove(bench_set *s, uint64_t start)
{
	s->tree->map.find(start).erase();
}

static uint64_t bench_sum(bench_set *s)
{
	uint64_t sum = 0;
	for (auto it = s->tree->map.begin(); it.valid(); ++it)
		sum += it.start() + it.stop() + it.value();
	return sum;
}

#include "../bench_body.h"
