// SPDX-License-Identifier: Apache-2.0
/* The contestant: Boost.ICL's interval_map. */
#include <boost/icl/interval_map.hpp>
#include <cstdint>
#include <cstdlib>

#define BENCH_NAME "Boost.ICL interval_map"

namespace icl = boost::icl;
using interval = icl::right_open_interval<uint64_t>;
/* An enricher: it keeps a value of 0, which others take for nothing. */
using tree = icl::interval_map<uint64_t, uint64_t, icl::partial_enricher, std::less,
			       icl::inplace_plus, icl::inter_section, interval>;

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
	s->map->insert(std::make_pair(interval(start, end), value));
}

static bool bench_find(bench_set *s, uint64_t key, uint64_t *value)
{
	auto it = s->map->find(key);
	if (it == s->map->end())
		return false;
	*value = it->second;
	return true;
}

static void bench_remove(bench_set *s, uint64_t start)
{
	s->map->erase(interval(start, start + 0x1000));
}

static uint64_t bench_sum(bench_set *s)
{
	uint64_t sum = 0;
	for (const auto &it : *s->map)
		sum += it.first.lower() + it.first.upper() + it.second;
	return sum;
}

#include "../bench_body.h"
