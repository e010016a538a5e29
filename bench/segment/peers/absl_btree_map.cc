// SPDX-License-Identifier: Apache-2.0
/* The contestant: absl::btree_map from starts to ends and values. */
#include <absl/container/btree_map.h>
#include <cstdint>

#define BENCH_NAME "absl::btree_map"
struct segment {
	uint64_t end, value;
};
using tree = absl::btree_map<uint64_t, segment>;
#include "tree_map.h"
