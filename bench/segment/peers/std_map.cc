// SPDX-License-Identifier: Apache-2.0
/* The contestant: std::map from starts to ends and values. */
#include <cstdint>
#include <map>

#define BENCH_NAME "std::map"
struct segment {
	uint64_t end, value;
};
using tree = std::map<uint64_t, segment>;
#include "tree_map.h"
