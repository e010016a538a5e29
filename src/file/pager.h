/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pager as its two source files know it: pager.c, which is the Mappable and the identity, and
 * pager_io.c, which reads pages, writes them back and takes them away.
 */
#ifndef MEMMAP_SRC_FILE_PAGER_H
#define MEMMAP_SRC_FILE_PAGER_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <memmap/arch.h>
#include <memmap/block.h>
#include <memmap/pager.h>

#include "file/own_file.h"

/* What is being done with pages. */
enum mark { UNMARKED, READING, WRITING, TAKEN };

struct cached_pages {
	uint64_t at; /* in the memory file */
	enum mark mark;
	bool dirty;
};

static bool merge_cached(struct memmap_mappable_range r1, struct cached_pages *v1,
			 struct memmap_mappable_range r2, struct cached_pages *v2,
			 struct cached_pages *out)
{
	(void)r2;
	*out = *v1;
	return v1->mark == UNMARKED && v2->mark == UNMARKED && v1->dirty == v2->dirty &&
	       v1->at + memmap_mappable_range_length(r1) == v2->at;
}

static int split_cached(struct memmap_mappable_range r, struct cached_pages *v, uint64_t at,
			struct cached_pages *v1, struct cached_pages *v2)
{
	const struct cached_pages whole = *v;
	*v1 = whole;
	*v2 = whole;
	v2->at += at - r.start;
	return 0;
}

/* clang-format off */
#define SEGMENT_PREFIX cached
#define SEGMENT_RANGE  memmap_mappable_range
#define SEGMENT_VALUE  struct cached_pages
#define SEGMENT_MERGE  merge_cached
#define SEGMENT_SPLIT  split_cached
#include <memmap/segment_set.h>
/* clang-format on */

struct pager {
	struct memmap_own_file own;
	const struct memmap_pager_ops *ops;
	void *context;
	uint64_t cache_limit;
	uint32_t mem_cg_id;

	pthread_mutex_t changing;
	pthread_mutex_t lock;
	pthread_cond_t settled; /* a mark went, or the frozen range did */
	struct cached_set pages;
	uint64_t size, cached, dirty;
	uint64_t hand; /* where to look next for pages to take away */
	/* Absent pages in here are not read now. */
	struct memmap_mappable_range frozen;
};

/* One call of translate(), and what it has tried. */
struct pager_request {
	struct memmap_mappable_range required;
	bool write;
	bool made_room;   /* under the limit; if that was not enough, it is exceeded */
	bool made_memory; /* in the memory file */
	bool alone;       /* reading more than the page itself failed */
};

static inline uint64_t pager_page_end(uint64_t size)
{
	return memmap_page_round_down(size + MEMMAP_PAGE_MASK); /* sizes are far from the top */
}

/* Wait until a mark or the frozen range may have gone. With the lock held. */
static inline void pager_wait_settled(struct pager *p)
{
	pthread_cond_wait(&p->settled, &p->lock);
}

/* Where the run is in the memory file. */
static inline struct memmap_file_range pager_file_range(struct cached_iterator it)
{
	const uint64_t at = cached_iterator_value_ptr(it)->at;
	return (struct memmap_file_range){
		at, at + memmap_mappable_range_length(cached_iterator_range(it))};
}

/* May the run be told to who asks for it? Who reads may see what is being written. */
static inline bool pager_may_translate(struct cached_iterator it, bool write)
{
	const enum mark how = cached_iterator_value_ptr(it)->mark;
	return how == UNMARKED || (how == WRITING && !write);
}

/* ---- pager_io.c, which calls nothing of pager.c; all but pager_invalidate() with the lock held ---- */

/* The work on the run that begins at `start` is done. */
void pager_unmark(struct pager *p, uint64_t start, bool dirty);

/* Drop the marked run that begins at `start`. */
void pager_drop(struct pager *p, uint64_t start);

/* The bytes of pages, which stay where they are while these are marked, or the lock is held. */
struct memmap_block_seq pager_bytes_of(struct pager *p, struct memmap_file_range fr);

void pager_invalidate(struct pager *p, struct memmap_mappable_range mr, bool invalidate_private);

/* Write all dirty pages of `mr`: 0 or the first error. The lock is released meanwhile. */
int pager_write_back_range(struct pager *p, struct memmap_mappable_range mr);

/*
 * Take pages away until at most `bytes` are cached, none of `but`. 0, or the first error of writing.
 * The lock is released meanwhile.
 */
int pager_shrink(struct pager *p, uint64_t bytes, struct memmap_mappable_range but);

/*
 * See that the page at `at` is there and may be translated: 1 when it is, up to `*end`; 0 to look
 * again, the lock having been released; or an error. What is absent is read with what of `optional`
 * is absent around it.
 */
int pager_have_page(struct pager *p, uint64_t at, struct memmap_mappable_range optional,
		    struct pager_request *request, uint64_t *end);

#endif /* MEMMAP_SRC_FILE_PAGER_H */
