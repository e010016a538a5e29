/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared memory: a file that is nowhere but in a memory file.
 *
 * What mmap(MAP_SHARED | MAP_ANONYMOUS) makes, and, with a name and a size that changes, what
 * memfd_create(2) or a file in tmpfs is. Pages are allocated from the memory file (kind
 * MEMMAP_MEMORY_SHARED) when they are first touched, reading included, as Linux does; those never
 * touched take nothing. A page wholly past the end is a bus error.
 *
 * Locking: every function may be called from any thread. Those that invalidate mappings must be
 * called with no lock held that invalidate() of a space takes which maps the memory.
 */
#ifndef MEMMAP_SHARED_MEMORY_H
#define MEMMAP_SHARED_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include <memmap/allocator.h>
#include <memmap/api.h>
#include <memmap/memmap.h>
#include <memmap/memory_file.h>

MEMMAP_BEGIN_DECLS

/* Zeros are what shared anonymous memory has in Linux. */
struct memmap_shared_memory_options {
	const struct memmap_allocator *allocator; /* NULL: the default */
	/* What /proc/PID/maps shows; NULL: "/dev/zero (deleted)". Kept by copy. */
	const char *name;
	uint64_t device; /* 0: that of Linux's internal tmpfs, 00:01 */
	uint64_t inode;  /* 0: one that no other shared memory of this memory file was given */
};

/**
 * Make `length` bytes of shared memory, charged to the cgroup `mem_cg_id`. `options` may be NULL.
 *
 * The identity comes with one reference; the mappable lives while the identity has any. The memory
 * file must outlive both. `length` need not be page-aligned.
 *
 * Returns:     0 and both in `*identity` and `*mappable`
 *              -ENOMEM
 *              -EINVAL  `length` is beyond what a file can have (INT64_MAX)
 */
MEMMAP_API int memmap_shared_memory_create(struct memmap_memory_file *mf, uint64_t length,
					   uint32_t mem_cg_id,
					   const struct memmap_shared_memory_options *options,
					   struct memmap_mapping_identity **identity,
					   struct memmap_mappable **mappable);

/* `mappable` in all that follows is one that memmap_shared_memory_create() made. */

MEMMAP_API uint64_t memmap_shared_memory_size(struct memmap_mappable *mappable);

/**
 * Set the size, as ftruncate(2) does.
 *
 * What is cut off is gone: its mappings are invalidated, private copies included, and the rest of the
 * last page is zeroed. What is added reads as zeros.
 *
 * Returns:     0
 *              -EINVAL  `size` is above INT64_MAX
 *              -ENOMEM
 * On failure:  nothing has changed
 */
MEMMAP_API int memmap_shared_memory_truncate(struct memmap_mappable *mappable, uint64_t size);

/**
 * Read, as pread(2) does: what was never touched is read as zeros and stays untouched.
 *
 * Returns:     0, and in `*done` how many bytes there were: fewer than `length` at the end
 */
MEMMAP_API int memmap_shared_memory_read(struct memmap_mappable *mappable, uint64_t offset,
					 void *buf, uint64_t length, uint64_t *done);

/**
 * Write, as pwrite(2) does: beyond the end the memory grows.
 *
 * Returns:     0
 *              -ENOMEM  memory, or a limit of the memory file
 *              -EFBIG   beyond INT64_MAX
 *              `*done`: how many bytes were written, also after a failure
 */
MEMMAP_API int memmap_shared_memory_write(struct memmap_mappable *mappable, uint64_t offset,
					  const void *buf, uint64_t length, uint64_t *done);

MEMMAP_END_DECLS

#endif /* MEMMAP_SHARED_MEMORY_H */
