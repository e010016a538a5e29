/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of <memmap/host_file.h> and <memmap/shared_memory.h> as mmap(2) sees them: what
 * memmap_mm_sys_mmap() wants to know of a descriptor.
 *
 * Locking: every function may be called from any thread.
 */
#ifndef MEMMAP_MMAP_FILE_H
#define MEMMAP_MMAP_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include <memmap/api.h>
#include <memmap/memmap.h>
#include <memmap/memory_file.h>
#include <memmap/mm.h>

MEMMAP_BEGIN_DECLS

/**
 * Fill in `*out` for a host file, as it is now: how it was opened, its seals, its file system.
 *
 * `identity` and `mappable` are those of memmap_host_file_open(); no reference is taken.
 *
 * Returns:     0, or what the system says
 */
MEMMAP_API int memmap_host_file_mmap_file(struct memmap_mapping_identity *identity,
					  struct memmap_mappable *mappable,
					  struct memmap_mmap_file *out);

/** The same for shared memory that is open for reading and, when it is `writable`, for writing. */
MEMMAP_API void memmap_shared_memory_mmap_file(struct memmap_mapping_identity *identity,
					       struct memmap_mappable *mappable, bool writable,
					       struct memmap_mmap_file *out);

/* Where shared anonymous memory comes from. */
struct memmap_shared_anonymous_source {
	struct memmap_memory_file *memory_file;
	uint32_t mem_cg_id;
	const struct memmap_allocator *allocator; /* NULL: the default */
};

/**
 * What memmap_mm_sys_mmap() is to call for MAP_SHARED | MAP_ANONYMOUS; `source` must outlive its use.
 */
MEMMAP_API struct memmap_shared_anonymous memmap_shared_anonymous_from(
	struct memmap_shared_anonymous_source *source);

MEMMAP_END_DECLS

#endif /* MEMMAP_MMAP_FILE_H */
