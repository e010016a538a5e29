/* SPDX-License-Identifier: Apache-2.0 */
/* The contestant: memmap's mapping set. */
#include <memmap/mapping_set.h>

#include <stdlib.h>

#define BENCH_NAME "memmap"

struct bench_map {
	struct memmap_mapping_set set;
	struct memmap_mapping_space *spaces;
	/* Which ranges became mapped or unmapped is asked for: users need it. */
	struct memmap_mappable_ranges ranges;
};

#include "bench_body.h"

static struct memmap_mapping_space *first_space;

static void invalidated(struct memmap_mapping_space *ms, struct memmap_addr_range ar,
			struct memmap_invalidate_opts opts)
{
	(void)opts;
	bench_invalidated((uint32_t)(ms - first_space), ar.start, ar.end);
}

static const struct memmap_mapping_space_ops ops = {.invalidate = invalidated};

static void bench_init(struct bench_map *map, size_t nr)
{
	map->spaces = calloc(nr, sizeof(*map->spaces));
	if (!map->spaces)
		abort();
	for (size_t i = 0; i < nr; i++)
		map->spaces[i].ops = &ops;
	first_space = map->spaces;
}

static void bench_add(struct bench_map *map, size_t i, uint32_t space, uint64_t addr,
		      uint64_t start, uint64_t end)
{
	struct memmap_addr_range ar = {addr, addr + (end - start)};

	(void)i;
	map->ranges.len = 0;
	if (memmap_mapping_set_add_mapping(&map->set, &map->spaces[space], ar, start, false,
					   &map->ranges) != 0)
		abort();
}

static void bench_remove(struct bench_map *map, size_t i, uint32_t space, uint64_t addr,
			 uint64_t start, uint64_t end)
{
	struct memmap_addr_range ar = {addr, addr + (end - start)};

	(void)i;
	map->ranges.len = 0;
	if (memmap_mapping_set_remove_mapping(&map->set, &map->spaces[space], ar, start, false,
					      &map->ranges) != 0)
		abort();
}

static void bench_invalidate(struct bench_map *map, uint64_t start, uint64_t end)
{
	struct memmap_mappable_range mr = {start, end};
	struct memmap_invalidate_opts opts = {.invalidate_private = false};

	memmap_mapping_set_invalidate(&map->set, mr, opts);
}

static void bench_destroy(struct bench_map *map)
{
	memmap_mapping_set_destroy(&map->set);
	memmap_mappable_ranges_release(&map->ranges);
	free(map->spaces);
}
