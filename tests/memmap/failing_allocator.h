/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An allocator that fails the Nth time, and knows what has not been given back. What has been is
 * overwritten, so that who still looks at it is found out.
 */
#ifndef MEMMAP_TESTS_MEMMAP_FAILING_ALLOCATOR_H
#define MEMMAP_TESTS_MEMMAP_FAILING_ALLOCATOR_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <memmap/allocator.h>

struct failing_allocator {
	struct memmap_allocator allocator;
	/* Allocations that still succeed. */
	size_t budget;
	size_t nr_refused;
	/* Not given back yet. */
	size_t nr_live, bytes_live;
};

__attribute__((unused)) static void *failing_allocate_(void *context, size_t size, size_t alignment)
{
	struct failing_allocator *failing = context;
	if (failing->budget == 0) {
		failing->nr_refused++;
		return NULL;
	}
	failing->budget--;
	void *memory = memmap_allocate(NULL, size, alignment);
	if (memory) {
		failing->nr_live++;
		failing->bytes_live += size;
	}
	return memory;
}

__attribute__((unused)) static void failing_deallocate_(void *context, void *memory, size_t size)
{
	struct failing_allocator *failing = context;
	failing->nr_live--;
	failing->bytes_live -= size;
	if (memory)
		memset(memory, 0xdd, size);
	memmap_deallocate(NULL, memory, size);
}

/* Must stay where it is: the allocator points to it. */
__attribute__((unused)) static void failing_allocator_init(struct failing_allocator *failing,
							   size_t budget)
{
	*failing = (struct failing_allocator){
		.allocator = {failing_allocate_, failing_deallocate_, failing},
		.budget = budget,
	};
}

#endif /* MEMMAP_TESTS_MEMMAP_FAILING_ALLOCATOR_H */
