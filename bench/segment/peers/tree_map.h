/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A contestant made of an ordered map, `tree`, from starts to `segment`. Like a segment set it
 * refuses what overlaps.
 */
#include <cstdlib>
#include <iterator>

struct bench_set {
	tree *map;
};

static void bench_init(bench_set *s)
{
	s->map = new tree;
}

static void bench_destroy(bench_set *s)
{
	delete s->map;
}

static void bench_insert(bench_set *s, uint64_t start, uint64_t end, uint64_t value)
{
	auto next = s->map->lower_bound(start);
	if (next != s->map->end() && next->first < end)
		abort();
	if (next != s->map->begin() && std::prev(next)->second.end > start)
		abort();
	s->map->emplace_hint(next, start, segment{end, value});
}

static bool bench_find(bench_set *s, uint64_t key, uint64_t *value)
{
	auto it = s->map->upper_bound(key);
	if (it == s->map->begin())
		return false;
	--it;
	if (key >= it->second.end)
		return false;
	*value = it->second.value;
	return true;
}

static void bench_remove(bench_set *s, uint64_t start)
{
	s->map->erase(s->map->find(start));
}

static uint64_t bench_sum(bench_set *s)
{
	uint64_t sum = 0;
	for (const auto &it : *s->map)
		sum += it.first + it.second.end + it.second.value;
	return sum;
}

#include "../bench_body.h"
