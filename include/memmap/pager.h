/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pager: a Mappable over your own reads and writes.
 *
 * The program says how bytes of a file are read and written, wherever they are kept: in an archive,
 * over a network, in another process. The pager keeps the pages in a memory file (kind
 * MEMMAP_MEMORY_PAGE_CACHE), reads those that are touched and not there, knows which have been
 * written to, writes them back, and when there are too many, takes them away in turn: from where it
 * took the last ones on, by offset, and from the start again at the end.
 *
 * A page is dirty from when it is translated for writing until it has been written back. Writing
 * back takes it from all who map it first, so that nothing is stored there unnoticed; their next
 * touch gets it again. What cannot be written stays dirty, and is tried again.
 *
 * While bytes are read or written, only who touches the same pages waits.
 *
 * Locking: every function may be called from any thread. Those that write or take pages away, and
 * translate() is one of them, invalidate mappings, so they must be called with no lock held that
 * invalidate() of a space takes which maps the file.
 */
#ifndef MEMMAP_PAGER_H
#define MEMMAP_PAGER_H

#include <stddef.h>
#include <stdint.h>

#include <memmap/allocator.h>
#include <memmap/api.h>
#include <memmap/memmap.h>
#include <memmap/memory_file.h>

MEMMAP_BEGIN_DECLS

/*
 * Where the bytes are kept. Called without locks, by several threads at once, never for the same
 * page by two. They must not touch mappings of the file.
 */
struct memmap_pager_ops {
	/*
	 * Read `length` bytes at `offset`. `*done` may be fewer where nothing is kept: what is missing
	 * is zeros. An error becomes a bus error of who touched the page.
	 */
	int (*read)(void *context, uint64_t offset, void *buf, uint64_t length, uint64_t *done);
	/* Write all of it, or return a negative errno. NULL: the file is read-only. */
	int (*write)(void *context, uint64_t offset, const void *buf, uint64_t length);
	/* See that what was written stays, as fdatasync(2) does. NULL: it does. */
	int (*sync)(void *context);
	/*
	 * Make the size `size`; bytes that are added later than cut off read as zeros. NULL: the size
	 * cannot change.
	 */
	int (*truncate)(void *context, uint64_t size);
	/* The bytes read as zeros from now on. NULL: holes cannot be punched. */
	int (*punch_hole)(void *context, uint64_t offset, uint64_t length);
};

struct memmap_pager_options {
	const struct memmap_allocator *allocator; /* NULL: the default */
	const char *name;                         /* in /proc/PID/maps, kept by copy; NULL: "" */
	uint64_t device, inode; /* what maps shows; both 0: 00:00, a fresh number */
	uint64_t size;          /* of the file, now */
	uint32_t mem_cg_id;     /* who pays for the pages */
	/*
	 * Bytes that may be cached; 0: no limit but the memory file's. It is exceeded only where
	 * nothing can be taken away: pages in use by a read or write, or dirty ones that cannot be
	 * written.
	 */
	uint64_t cache_limit;
};

/**
 * Make a file over `ops`, which get `context`.
 *
 * The identity comes with one reference; the mappable lives while the identity has any. `ops`,
 * `context` and the memory file must outlive both. The last reference writes dirty pages back; to
 * know whether that works, call memmap_mapping_identity_msync() before.
 *
 * Returns:     0 and both in `*identity` and `*mappable`
 *              -EINVAL  the size is above INT64_MAX
 *              -ENOMEM
 */
MEMMAP_API int memmap_pager_create(struct memmap_memory_file *mf,
				   const struct memmap_pager_ops *ops, void *context,
				   const struct memmap_pager_options *options,
				   struct memmap_mapping_identity **identity,
				   struct memmap_mappable **mappable);

/* `mappable` in all that follows is one that memmap_pager_create() made. */

MEMMAP_API uint64_t memmap_pager_size(struct memmap_mappable *mappable);

/**
 * Set the size, as ftruncate(2) does: mappings of what is cut off are invalidated, private copies
 * included, and its pages are dropped unwritten.
 *
 * Returns:     0
 *              -EINVAL      `size` is above INT64_MAX
 *              -EOPNOTSUPP  there is no truncate function
 *              -ENOMEM, or what that function returned
 * On failure:  nothing has changed
 */
MEMMAP_API int memmap_pager_truncate(struct memmap_mappable *mappable, uint64_t size);

/**
 * Take pages away until at most `bytes` are cached: 0 for all.
 *
 * Returns:     0, or the first error of writing dirty ones back, which then are still there
 */
MEMMAP_API int memmap_pager_shrink(struct memmap_mappable *mappable, uint64_t bytes);

struct memmap_pager_stats {
	uint64_t cached, dirty; /* bytes; dirty ones are cached too */
};

MEMMAP_API void memmap_pager_get_stats(struct memmap_mappable *mappable,
				       struct memmap_pager_stats *out);

MEMMAP_END_DECLS

#endif /* MEMMAP_PAGER_H */
