/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory file: a page allocator over a memfd.
 *
 * A File (see <memmap/memmap.h>) whose pages are memory. Ranges of pages are allocated, each page
 * with one reference; further references are taken and dropped by range, and a page without any is
 * free. What is allocated reads as zeros. Every page belongs to a kind and to a memory cgroup, and is
 * counted there while it is allocated.
 *
 * The memory of free pages is given back to the system by punching holes into the memfd; all but the
 * last 2 MiB of it at once. Those wait for being allocated again, which spares two system calls'
 * worth of time for each page; memmap_memory_file_trim() gives them back too.
 *
 * Within the process the file is mapped in a few large chunks, each made once, by the allocation that
 * first needs it, and kept: map_internal() makes no system call, takes no lock and does not fail.
 *
 * Taking and dropping references cannot fail, and panics when a page of the range has no reference.
 *
 * Locking: every function may be called from any thread at any time.
 */
#ifndef MEMMAP_MEMORY_FILE_H
#define MEMMAP_MEMORY_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <memmap/allocator.h>
#include <memmap/api.h>
#include <memmap/memmap.h>
#include <memmap/range.h>

MEMMAP_BEGIN_DECLS

struct memmap_memory_file;

/* What memory is used for. */
enum memmap_memory_kind {
	MEMMAP_MEMORY_SYSTEM,     /* the embedding program's own */
	MEMMAP_MEMORY_ANONYMOUS,  /* private pages of address spaces */
	MEMMAP_MEMORY_SHARED,     /* shared anonymous memory */
	MEMMAP_MEMORY_PAGE_CACHE, /* pages of files that are kept elsewhere */
	MEMMAP_MEMORY_NR_KINDS,
};

struct memmap_memory_file_options {
	const struct memmap_allocator *allocator; /* NULL: the default */
	const char *name;                         /* of the memfd; NULL: "memmap" */
	uint64_t limit;                           /* bytes that may be allocated; 0: unlimited */
};

/**
 * Make an empty memory file. `options` may be NULL.
 *
 * Returns:     0, -ENOMEM, or what memfd_create(2) failed with
 */
MEMMAP_API int memmap_memory_file_create(const struct memmap_memory_file_options *options,
					 struct memmap_memory_file **out);

/**
 * Free the file. Pages that still have references are gone with it; whoever holds them must not use
 * them any more: see memmap_memory_file_dump(). NULL is ignored.
 */
MEMMAP_API void memmap_memory_file_release(struct memmap_memory_file *mf);

/** The memory file as a File. */
MEMMAP_API struct memmap_file *memmap_memory_file_file(struct memmap_memory_file *mf);

enum memmap_allocate_direction { MEMMAP_BOTTOM_UP, MEMMAP_TOP_DOWN };

struct memmap_allocate_opts {
	enum memmap_memory_kind kind;
	uint32_t mem_cg_id;
	enum memmap_allocate_direction direction; /* which end of the file is filled first */
	bool huge;                                /* aligned to a huge page, when it is that long */
	/*
	 * Where the range would best begin, such as the end of what is mapped before it; taken when
	 * it is free. 0: anywhere.
	 */
	uint64_t hint;
};

/**
 * Allocate `length` bytes: zeros, each page with one reference. `opts` may be NULL.
 *
 * Pages that were freed just now are preferred, where they are at hand; otherwise the first gap that
 * is large enough is taken, counted from the end of the file that `opts` says.
 *
 * Requires:    `length` is page-aligned and not 0, the kind is one of the above; otherwise panics
 * Returns:     0 and the range in `*out`
 *              -ENOMEM  the file's limit, the cgroup's limit, or memory
 * On failure:  nothing has changed
 */
MEMMAP_API int memmap_memory_file_allocate(struct memmap_memory_file *mf, uint64_t length,
					   const struct memmap_allocate_opts *opts,
					   struct memmap_file_range *out);

/** Has every page of `fr` exactly one reference? `fr` is as in memmap_file_inc_ref(). */
MEMMAP_API bool memmap_memory_file_has_unique_ref(struct memmap_memory_file *mf,
						  struct memmap_file_range fr);

/**
 * How many references the page at the start of `fr` has, and in `*end` up to where in `fr` all pages
 * have as many. `fr` is as in memmap_file_inc_ref().
 */
MEMMAP_API uint32_t memmap_memory_file_references(struct memmap_memory_file *mf,
						  struct memmap_file_range fr, uint64_t *end);

/**
 * The bytes of `fr`, which is page-aligned, are no longer needed: they read as zeros from now on,
 * and take no memory until they are written again. References stay.
 *
 * Returns:     0, or what fallocate(2) failed with; the bytes are then zeroed by hand
 */
MEMMAP_API int memmap_memory_file_decommit(struct memmap_memory_file *mf,
					   struct memmap_file_range fr);

/**
 * Give the memory of all free pages back to the system.
 *
 * Returns:     0, or what fallocate(2) failed with; what is left is kept for allocating
 */
MEMMAP_API int memmap_memory_file_trim(struct memmap_memory_file *mf);

/* ---- Limits and usage ---- */

/** Limit what may be allocated in all; 0: unlimited. What is allocated already stays. */
MEMMAP_API void memmap_memory_file_set_limit(struct memmap_memory_file *mf, uint64_t bytes);

/**
 * Limit what a cgroup may allocate; 0: unlimited.
 *
 * Returns:     0, -ENOMEM
 */
MEMMAP_API int memmap_memory_file_set_cgroup_limit(struct memmap_memory_file *mf,
						   uint32_t mem_cg_id, uint64_t bytes);

struct memmap_memory_usage {
	uint64_t total;                           /* bytes allocated */
	uint64_t by_kind[MEMMAP_MEMORY_NR_KINDS]; /* they add up to `total` */
};

MEMMAP_API void memmap_memory_file_usage(struct memmap_memory_file *mf,
					 struct memmap_memory_usage *out);
MEMMAP_API void memmap_memory_file_cgroup_usage(struct memmap_memory_file *mf, uint32_t mem_cg_id,
						struct memmap_memory_usage *out);

/** Bytes that take memory now: what stat(2) says of the memfd. */
MEMMAP_API uint64_t memmap_memory_file_committed(struct memmap_memory_file *mf);

/**
 * What is held by whom: a line for each run of pages with the same kind, cgroup and number of
 * references. Free with memmap_free(); NULL: out of memory.
 */
MEMMAP_API char *memmap_memory_file_dump(struct memmap_memory_file *mf);

/** Walk the whole structure: 0, or -EINVAL and a line on stderr naming the broken invariant. */
MEMMAP_API int memmap_memory_file_verify(struct memmap_memory_file *mf);

MEMMAP_END_DECLS

#endif /* MEMMAP_MEMORY_FILE_H */
