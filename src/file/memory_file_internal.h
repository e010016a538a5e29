/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory file, as its files share it: memory_file.c allocates and counts references,
 * memory_file_report.c says what is held. What must hold is written in the former.
 */
#ifndef MEMMAP_SRC_FILE_MEMORY_FILE_INTERNAL_H
#define MEMMAP_SRC_FILE_MEMORY_FILE_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <memmap/block.h>
#include <memmap/error.h>
#include <memmap/memory_file.h>

#include "file/chunks.h"
#include "file/memory_accounts.h"
#include "file/node_reserve.h"

/* The length of the first chunk. */
#define CHUNK_SHIFT 26
#define NR_CHUNKS   20

struct held_pages {
	uint32_t nr_refs;
	uint32_t mem_cg_id;
	uint8_t kind;
};

static inline bool merge_held(struct memmap_file_range r1, struct held_pages *v1,
			      struct memmap_file_range r2, struct held_pages *v2,
			      struct held_pages *out)
{
	(void)r1;
	(void)r2;
	if (v1->nr_refs != v2->nr_refs || v1->mem_cg_id != v2->mem_cg_id || v1->kind != v2->kind)
		return false;
	*out = *v1;
	return true;
}

/* clang-format off */
#define SEGMENT_PREFIX     held
#define SEGMENT_RANGE      memmap_file_range
#define SEGMENT_VALUE      struct held_pages
#define SEGMENT_MERGE      merge_held
#define SEGMENT_TRACK_GAPS 1
#include <memmap/segment_set.h>
/* clang-format on */

struct dirty_pages {
	char nothing;
};

static inline bool merge_dirty(struct memmap_file_range r1, struct dirty_pages *v1,
			       struct memmap_file_range r2, struct dirty_pages *v2,
			       struct dirty_pages *out)
{
	(void)r1;
	(void)r2;
	(void)v2;
	*out = *v1;
	return true;
}

/* clang-format off */
#define SEGMENT_PREFIX dirty
#define SEGMENT_RANGE  memmap_file_range
#define SEGMENT_VALUE  struct dirty_pages
#define SEGMENT_MERGE  merge_dirty
#include <memmap/segment_set.h>
/* clang-format on */

struct memmap_memory_file {
	struct memmap_file file;
	const struct memmap_allocator *allocator;
	int fd;

	pthread_mutex_t lock;
	uint64_t size; /* of the memfd */
	struct held_set held;
	struct dirty_set dirty;
	uint64_t dirty_bytes;
	struct memmap_memory_accounts accounts;

	/*
	 * Where the sets' nodes come from: our allocator, then, when it must not fail, the reserve.
	 */
	struct memmap_allocator node_allocator;
	struct memmap_node_reserve reserve;
	bool must_succeed;

	uint64_t last_inode; /* atomic */
	uint32_t nr_chunks;  /* atomic */
	struct memmap_block chunks[NR_CHUNKS];
};

static inline void lock(struct memmap_memory_file *mf)
{
	pthread_mutex_lock(&mf->lock);
}

static inline void unlock(struct memmap_memory_file *mf)
{
	if (MEMMAP_CHECK >= 3)
		memmap_assert_expensive(held_set_verify(&mf->held) == 0 &&
					dirty_set_verify(&mf->dirty) == 0);
	pthread_mutex_unlock(&mf->lock);
}

static inline uint64_t chunk_start(unsigned chunk)
{
	return memmap_chunk_start(chunk, CHUNK_SHIFT);
}

#endif /* MEMMAP_SRC_FILE_MEMORY_FILE_INTERNAL_H */
