/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arrays of ranges, which tell what became mapped or unmapped, and the text of one mapping.
 */
#include <memmap/memmap.h>

#include <errno.h>

#include "base/array.h"

int memmap_mappable_ranges_reserve(struct memmap_mappable_ranges *ranges, size_t n)
{
	if (n <= ranges->cap - ranges->len)
		return 0;
	size_t need;
	if (__builtin_add_overflow(ranges->len, n, &need))
		return -ENOMEM;
	size_t cap;
	struct memmap_mappable_range *bigger =
		memmap_array_bigger(ranges->allocator, ranges->ranges, ranges->len, need,
				    sizeof(*bigger), _Alignof(struct memmap_mappable_range), &cap);
	if (!bigger)
		return -ENOMEM;
	memmap_deallocate(ranges->allocator, ranges->ranges, ranges->cap * sizeof(*bigger));
	ranges->ranges = bigger;
	ranges->cap = cap;
	return 0;
}

int memmap_mappable_ranges_append(struct memmap_mappable_ranges *ranges,
				  struct memmap_mappable_range r)
{
	int err = memmap_mappable_ranges_reserve(ranges, 1);
	if (err)
		return err;
	ranges->ranges[ranges->len++] = r;
	return 0;
}

void memmap_mappable_ranges_release(struct memmap_mappable_ranges *ranges)
{
	memmap_deallocate(ranges->allocator, ranges->ranges, ranges->cap * sizeof(*ranges->ranges));
	ranges->ranges = NULL;
	ranges->len = 0;
	ranges->cap = 0;
}

char *memmap_mapping_of_range_format(struct memmap_mapping_of_range m, char *buf, size_t size)
{
	return memmap_addr_range_format(m.addr_range, buf, size);
}
