/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The default allocator (the C library's heap), and the calls that choose between it and the
 * program's own.
 */
#include <memmap/allocator.h>

#include <stdlib.h>

void *memmap_allocate(const struct memmap_allocator *allocator, size_t size, size_t alignment)
{
	if (allocator)
		return allocator->allocate(allocator->context, size, alignment);
	if (alignment <= _Alignof(max_align_t))
		return malloc(size);
	void *memory;
	return posix_memalign(&memory, alignment, size) == 0 ? memory : NULL;
}

void memmap_deallocate(const struct memmap_allocator *allocator, void *memory, size_t size)
{
	if (!memory)
		return;
	if (allocator)
		allocator->deallocate(allocator->context, memory, size);
	else
		free(memory);
}

void memmap_free(void *memory)
{
	free(memory);
}
