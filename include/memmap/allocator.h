/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where memory comes from. Nothing in memmap is allocated but through one of these; a container is
 * given its allocator when it is initialised, and NULL means the default (the C library's heap).
 */
#ifndef MEMMAP_ALLOCATOR_H
#define MEMMAP_ALLOCATOR_H

#include <stddef.h>

#include <memmap/api.h>

MEMMAP_BEGIN_DECLS

struct memmap_allocator {
	/*
	 * `size` > 0 bytes, aligned to `alignment` (a power of two); NULL when there are none.
	 * The memory's contents are unspecified.
	 */
	void *(*allocate)(void *context, size_t size, size_t alignment);
	/* Give back what allocate() returned, with the size it was asked for. Never fails. */
	void (*deallocate)(void *context, void *memory, size_t size);
	void *context;
};

/**
 * Allocate from `allocator` (NULL: the default).
 *
 * Returns:     `size` bytes aligned to `alignment`; NULL when out of memory
 */
MEMMAP_API void *memmap_allocate(const struct memmap_allocator *allocator, size_t size,
				 size_t alignment);

/** Give memory back to the allocator that it came from. NULL is ignored. */
MEMMAP_API void memmap_deallocate(const struct memmap_allocator *allocator, void *memory,
				  size_t size);

/**
 * Free a string that a memmap function handed to its caller (such as P_set_to_string()).
 *
 * Such strings come from the default allocator, whichever the set uses. NULL is ignored.
 */
MEMMAP_API void memmap_free(void *memory);

MEMMAP_END_DECLS

#endif /* MEMMAP_ALLOCATOR_H */
