/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A user's C program: an interval map of its own, and the reverse map. Exit status 0: as expected.
 */
#include <memmap/arch.h>
#include <memmap/mapping_set.h>
#include <memmap/range.h>

#include <stdint.h>
#include <stdio.h>

#define SEGMENT_PREFIX     tags
#define SEGMENT_RANGE      memmap_addr_range
#define SEGMENT_VALUE      int
#define SEGMENT_TRACK_GAPS 1
#include <memmap/segment_set.h>

static unsigned nr_invalidated;

static void invalidate(struct memmap_mapping_space *space, struct memmap_addr_range ar,
		       struct memmap_invalidate_opts opts)
{
	(void)space;
	(void)opts;
	nr_invalidated += (unsigned)(memmap_addr_range_length(ar) / MEMMAP_PAGE_SIZE);
}

int main(void)
{
	struct tags_set tags = {0};
	if (tags_set_add(&tags, (struct memmap_addr_range){0x1000, 0x3000}, 1) != 0 ||
	    tags_set_add(&tags, (struct memmap_addr_range){0x8000, 0x9000}, 2) != 0)
		return 1;
	if (tags_set_span(&tags) != 0x3000 ||
	    tags_iterator_value(tags_set_find_segment(&tags, 0x8fff)) != 2)
		return 2;
	if (tags_gap_iterator_start(tags_set_lower_bound_large_enough_gap(&tags, 0x1000, 0x4000)) !=
	    0x3000)
		return 3;
	tags_set_destroy(&tags);

	static const struct memmap_mapping_space_ops ops = {.invalidate = invalidate};
	struct memmap_mapping_space space = {.ops = &ops};
	struct memmap_mapping_set mappings = {0};
	struct memmap_mappable_range file = {0, 0x4000};
	if (memmap_mapping_set_add_mapping(&mappings, &space,
					   (struct memmap_addr_range){0x10000, 0x14000}, file.start,
					   true, NULL) != 0)
		return 4;
	memmap_mapping_set_invalidate(&mappings, (struct memmap_mappable_range){0x1000, 0x3000},
				      (struct memmap_invalidate_opts){.invalidate_private = true});
	memmap_mapping_set_destroy(&mappings);
	if (nr_invalidated != 2)
		return 5;
	return 0;
}
