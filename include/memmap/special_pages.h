/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Special pages: pages of the embedding program's own that guests may read and execute, such as a
 * vdso. They live in a memory file (kind MEMMAP_MEMORY_SYSTEM).
 *
 * Guests do not write to them: a mapping that could is refused, and so is translating for writing.
 * Private mappings may copy them, as debuggers do to set a breakpoint in a vdso.
 *
 * Locking: every function may be called from any thread.
 */
#ifndef MEMMAP_SPECIAL_PAGES_H
#define MEMMAP_SPECIAL_PAGES_H

#include <stddef.h>
#include <stdint.h>

#include <memmap/allocator.h>
#include <memmap/api.h>
#include <memmap/memmap.h>
#include <memmap/memory_file.h>

MEMMAP_BEGIN_DECLS

/**
 * Make pages that begin with the `length` bytes at `bytes`; the rest of the last page is zeros.
 *
 * `name` ("[vdso]") is what /proc/PID/maps shows, with device and inode 0; it is kept by copy. The
 * identity comes with one reference; the mappable lives while the identity has any. The memory file
 * must outlive both. `allocator` may be NULL: the default.
 *
 * Requires:    `length` is not 0; otherwise panics
 * Returns:     0 and both in `*identity` and `*mappable`
 *              -ENOMEM
 */
MEMMAP_API int memmap_special_pages_create(struct memmap_memory_file *mf,
					   const struct memmap_allocator *allocator,
					   const char *name, const void *bytes, uint64_t length,
					   struct memmap_mapping_identity **identity,
					   struct memmap_mappable **mappable);

/**
 * Change the pages, for all who map them: the embedding program's way to keep a clock in them.
 *
 * The bytes are stored one after another, in no promised order: readers need a protocol of their own.
 *
 * Requires:    [offset, offset + length) lies within the pages; otherwise panics
 */
MEMMAP_API void memmap_special_pages_write(struct memmap_mappable *mappable, uint64_t offset,
					   const void *bytes, uint64_t length);

MEMMAP_END_DECLS

#endif /* MEMMAP_SPECIAL_PAGES_H */
