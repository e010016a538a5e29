/* SPDX-License-Identifier: Apache-2.0 */
/*
 * PMAs: what is mapped now, from where. See pma.c.
 */
#ifndef MEMMAP_SRC_MM_PMA_H
#define MEMMAP_SRC_MM_PMA_H

#include <stdbool.h>
#include <stdint.h>

#include <memmap/arch.h>
#include <memmap/memmap.h>
#include <memmap/range.h>

/*
 * A PMA but for its range. With a file it holds one reference on each of its pages.
 */
struct pma {
	struct memmap_file *file; /* NULL: guard pages */
	uint64_t offset;
	/* What may be done without a fault: what the platform may have been told of. */
	memmap_access perms;
	/* What the pages themselves are good for: the translation's, or anything for private ones. */
	memmap_access max_perms;
	bool private_ : 1;      /* of the memory file, and this address space's, not a Mappable's */
	bool copy_on_write : 1; /* not to be written to, but replaced by a private copy */
	bool zero : 1;          /* private, copy-on-write: of the area of zeros */
	bool lazy_free : 1;     /* private: may be dropped when memory is short, until written to */
	/*
	 * Private: which run of which Mappable's pages these replace, see pma_copy_of(); 0: none.
	 * Neighbours that replace different ones stay apart, so that a truncation, which discards
	 * all from somewhere to the end of a mapping, cuts no PMA in the middle: it needs no memory.
	 */
	uint32_t copy_of;
};

/*
 * What pma.copy_of is for pages at `file_offset` that replace those of `mappable` at `offset`: the
 * same for all that continue each other. Others may come to the same, which does no harm but that
 * they are not kept apart.
 */
static inline uint32_t pma_copy_of(const struct memmap_mappable *mappable, uint64_t offset,
				   uint64_t file_offset)
{
	if (!mappable)
		return 0;
	uint64_t x = (uintptr_t)mappable * UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (offset - file_offset)) * UINT64_C(0xff51afd7ed558ccd);
	return (uint32_t)(x >> 32) | 1;
}

int pma_split_value(struct memmap_addr_range r, struct pma *p, uint64_t at, struct pma *first,
		    struct pma *second);
bool pma_merge_values(struct memmap_addr_range r1, struct pma *p1, struct memmap_addr_range r2,
		      struct pma *p2, struct pma *out);

/* clang-format off */
#define SEGMENT_PREFIX pma
#define SEGMENT_RANGE memmap_addr_range
#define SEGMENT_VALUE struct pma
#define SEGMENT_SPLIT pma_split_value
#define SEGMENT_MERGE pma_merge_values
#include <memmap/segment_set.h>
/* clang-format on */

static inline bool pma_is_guard(const struct pma *p)
{
	return !p->file;
}

/* Is it memory? Guards are none, nor is the page of zeros that readers share. */
static inline bool pma_is_resident(const struct pma *p)
{
	return !pma_is_guard(p) && !p->zero;
}

/* What the pages can be used for as they are, if the VMA permits it. */
static inline memmap_access pma_reach(const struct pma *p)
{
	return (memmap_access)(p->copy_on_write || p->lazy_free ? p->max_perms & ~MEMMAP_WRITE
								: p->max_perms);
}

/* The pages of the file behind `ar`, a part of the PMA at `it`. */
static inline struct memmap_file_range pma_file_range(struct pma_iterator it,
						      struct memmap_addr_range ar)
{
	uint64_t start = pma_iterator_value_ptr(it)->offset + (ar.start - pma_iterator_start(it));
	return (struct memmap_file_range){.start = start, .end = start + (ar.end - ar.start)};
}

/* The first PMA that ends above `addr`; terminal: none. */
static inline struct pma_iterator pma_find(const struct pma_set *pmas, uint64_t addr)
{
	return pma_set_lower_bound_segment(pmas, addr);
}

#endif /* MEMMAP_SRC_MM_PMA_H */
