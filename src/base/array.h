/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Growing an array through an allocator, which can give memory but not stretch it.
 */
#ifndef MEMMAP_SRC_BASE_ARRAY_H
#define MEMMAP_SRC_BASE_ARRAY_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <memmap/allocator.h>

/*
 * Memory for at least `need` elements of `size` bytes each, a multiple of what `len` elements take
 * so that appending is cheap in the long run. It begins with a copy of the `len` elements at `old`,
 * which the caller still owns. NULL, and `*cap` untouched, when there is no memory.
 */
static inline void *memmap_array_bigger(const struct memmap_allocator *allocator, const void *old,
					size_t len, size_t need, size_t size, size_t alignment,
					size_t *cap)
{
	size_t bigger = len + len / 2;
	if (bigger < need)
		bigger = need;
	if (bigger < 4)
		bigger = 4;
	size_t bytes;
	if (__builtin_mul_overflow(bigger, size, &bytes) || bytes > PTRDIFF_MAX)
		return NULL;
	void *memory = memmap_allocate(allocator, bytes, alignment);
	if (!memory)
		return NULL;
	if (len > 0)
		memcpy(memory, old, len * size);
	*cap = bigger;
	return memory;
}

#endif /* MEMMAP_SRC_BASE_ARRAY_H */
