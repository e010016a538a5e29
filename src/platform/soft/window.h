/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Windows: the soft platform's own mappings of Files that have a descriptor but no host pointers.
 */
#ifndef MEMMAP_SRC_PLATFORM_SOFT_WINDOW_H
#define MEMMAP_SRC_PLATFORM_SOFT_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

#include <memmap/allocator.h>
#include <memmap/memmap.h>

#define WINDOW_SIZE       MEMMAP_HUGE_PAGE_SIZE /* or the host's page size, if that is larger */
#define NR_WINDOW_BUCKETS 64

struct window {
	struct window *next_by_file, *next_by_addr;
	struct memmap_file *file;
	uint64_t offset; /* of its first byte; a multiple of the windows' size */
	bool writable;
	char *addr;
	uint64_t nr_pages; /* that are mapped from it, and being mapped */
};

/* All windows of a platform, by file and offset. */
struct windows {
	const struct memmap_allocator *allocator;
	uint64_t size; /* of each, and what offsets and addresses are multiples of */
	uint64_t nr, nr_unused;
	struct window *by_file[NR_WINDOW_BUCKETS];
	struct window *by_addr[NR_WINDOW_BUCKETS];
};

/*
 * The window that holds `offset` of `file`, made if need be, with one page more mapped from it: 0;
 * -EOPNOTSUPP when the file has no descriptor; what mmap(2) failed with.
 */
int window_get(struct windows *windows, struct memmap_file *file, uint64_t offset, bool writable,
	       struct window **out);

/* The page at `host`, in a window, is no longer mapped. */
void window_put(struct windows *windows, uintptr_t host);

/* Windows without pages go, once nobody can be touching them. */
void windows_trim(struct windows *windows);

#endif /* MEMMAP_SRC_PLATFORM_SOFT_WINDOW_H */
