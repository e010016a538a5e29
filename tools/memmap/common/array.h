/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Growable arrays: a struct with `items`, `length` and `capacity`, zero when empty.
 *
 *   ARRAY(struct region) regions = {0};
 *   if (!ARRAY_RESERVE(allocator, &regions, 1)) return -ENOMEM;
 *   regions.items[regions.length++] = region;
 *   ARRAY_RELEASE(allocator, &regions);
 */
#ifndef MEMMAP_TOOL_ARRAY_H
#define MEMMAP_TOOL_ARRAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <memmap/allocator.h>

#define ARRAY(type)                                                                                \
	struct {                                                                                   \
		type *items;                                                                       \
		size_t length, capacity;                                                           \
	}

/*
 * Make room for `more` items beyond length, so that items is not NULL even when `more` is 0; false,
 * and nothing has changed, when out of memory.
 */
#define ARRAY_RESERVE(allocator, array, more)                                                      \
	array_reserve(allocator, (void **)&(array)->items, &(array)->capacity, (array)->length,    \
		      (more), sizeof(*(array)->items))

#define ARRAY_RELEASE(allocator, array)                                                            \
	(memmap_deallocate((allocator), (array)->items,                                            \
			   (array)->capacity * sizeof(*(array)->items)),                           \
	 (array)->items = NULL, (array)->length = (array)->capacity = 0)

static inline bool array_reserve(const struct memmap_allocator *allocator, void **items,
				 size_t *capacity, size_t length, size_t more, size_t item_size)
{
	if (*items && more <= *capacity - length)
		return true;
	if (more > SIZE_MAX / item_size / 2 - length)
		return false;
	size_t wanted = length + more;
	if (wanted < 2 * *capacity)
		wanted = 2 * *capacity;
	if (wanted < 8)
		wanted = 8;
	void *grown = memmap_allocate(allocator, wanted * item_size, _Alignof(max_align_t));
	if (!grown)
		return false;
	if (*items)
		memcpy(grown, *items, length * item_size);
	memmap_deallocate(allocator, *items, *capacity * item_size);
	*items = grown;
	*capacity = wanted;
	return true;
}

#endif /* MEMMAP_TOOL_ARRAY_H */
