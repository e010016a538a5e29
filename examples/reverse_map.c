/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A reverse map: when a file shrinks, who must be told?
 *
 * Two address spaces map parts of one file. The file's owner keeps a mapping set; when the file is
 * cut, the set finds every mapping of what is gone, in whichever space, clipped to it.
 */
#include <memmap/arch.h>
#include <memmap/mapping_set.h>

#include <assert.h>
#include <stdio.h>

/* An address space: the embedded mapping space, and whatever the program keeps beside it. */
struct space {
	struct memmap_mapping_space mapping_space;
	const char *name;
	int nr_pages_lost;
};

static void space_invalidate(struct memmap_mapping_space *ms, struct memmap_addr_range ar,
			     struct memmap_invalidate_opts opts)
{
	struct space *space = (struct space *)ms; /* it is the first member */
	char text[MEMMAP_RANGE_FORMAT_SIZE];
	(void)opts;
	printf("  %s: forget what is mapped at %s\n", space->name,
	       memmap_addr_range_format(ar, text, sizeof(text)));
	space->nr_pages_lost += (int)(memmap_addr_range_length(ar) / MEMMAP_PAGE_SIZE);
}

static const struct memmap_mapping_space_ops space_ops = {.invalidate = space_invalidate};

int main(void)
{
	struct space a = {.mapping_space.ops = &space_ops, .name = "a"};
	struct space b = {.mapping_space.ops = &space_ops, .name = "b"};
	struct memmap_mapping_set mappings = {0};
	struct memmap_mappable_ranges fresh = {0};

	/*
	 *   file   0x0000      0x4000      0x8000      0xc000
	 *   a      |--- at 0x10000 --------|
	 *   b                  |--- at 0x70000 --------|
	 */
	int err = memmap_mapping_set_add_mapping(&mappings, &a.mapping_space,
						 (struct memmap_addr_range){0x10000, 0x18000}, 0,
						 true, &fresh);
	assert(err == 0 && fresh.len == 1 && fresh.ranges[0].end == 0x8000);
	memmap_mappable_ranges_release(&fresh);

	/* Of b's range only the part that nobody had mapped is new. */
	err = memmap_mapping_set_add_mapping(&mappings, &b.mapping_space,
					     (struct memmap_addr_range){0x70000, 0x78000}, 0x4000,
					     false, &fresh);
	assert(err == 0 && fresh.len == 1 && fresh.ranges[0].start == 0x8000);
	memmap_mappable_ranges_release(&fresh);

	printf("the file is cut to 0x6000 bytes:\n");
	memmap_mapping_set_invalidate(&mappings, (struct memmap_mappable_range){0x6000, 0xc000},
				      (struct memmap_invalidate_opts){.invalidate_private = true});
	assert(a.nr_pages_lost == 2 && b.nr_pages_lost == 6);

	memmap_mapping_set_destroy(&mappings);
	return 0;
}
