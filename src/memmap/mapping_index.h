/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index behind a mapping set: each mapping once, whole, however many segments it spans.
 *
 * Relative to the offsets that it maps, a mapping is (space, address - offset, writable): its key,
 * which cutting it into segments does not change. Pieces of one key that touch are one piece.
 *
 *   pieces     the maximal runs of offsets that a key maps; those of a key in a tree of its own,
 *              found by hashing the key
 *   extents    the runs [start, end) that pieces have, each once, in a tree ordered by start and
 *              then by end, which knows how far its subtrees reach; the pieces of an extent in a
 *              list, so that a thousand spaces that map the same pages cost one extent
 *
 * What it answers in O(log n): which pieces cover an offset (and as many steps as there are), how
 * far what begins at or before an offset reaches, where something begins next, and where a key's
 * pieces are.
 *
 * mapping_index_reserve() does all that can fail; after it, one add or one cut cannot. A cut can do
 * with mapping_index_reserve_cut(), which takes no memory when the cut only takes whole pieces.
 *
 * Locking: none; readers may run beside each other.
 */
#ifndef MEMMAP_SRC_MEMMAP_MAPPING_INDEX_H
#define MEMMAP_SRC_MEMMAP_MAPPING_INDEX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <memmap/allocator.h>
#include <memmap/memmap.h>
#include <memmap/range.h>

#include "memmap/balanced_tree.h"

/* What stays the same all along a mapping. */
struct mapping_key {
	struct memmap_mapping_space *space;
	uint64_t delta; /* address - offset, modulo 2^64 */
	bool writable;
};

struct mapping_extent {
	struct balanced_node node; /* must be first */
	uint64_t start, end;
	uint64_t max_end; /* in this subtree, what is muted left out */
	bool muted;       /* counts for nothing in mapping_index_next_hole() */
	size_t nr_pieces;
	struct mapping_piece *pieces;
};

struct mapping_piece {
	struct balanced_node node; /* must be first; in the tree of its key, by start */
	struct mapping_key key;
	struct mapping_piece *chain; /* of the root of a key's tree: the next in its bucket */
	struct mapping_extent *extent;
	struct mapping_piece *prev, *next; /* of the same extent */
};

/* The roots of the trees of those keys that hash to it, in a chain. */
struct mapping_bucket {
	struct mapping_piece *root;
};

struct memmap_mapping_index {
	const struct memmap_allocator *allocator;
	struct balanced_node *extents; /* the root */
	struct mapping_bucket *buckets;
	size_t nr_buckets; /* a power of two, or 0 before the first piece */
	size_t nr_pieces;
	/* Memory in hand; linked by node.parent. */
	struct balanced_node *spare_extents, *spare_pieces;
	size_t nr_spare_extents, nr_spare_pieces;
	/*
	 * Who uses it: the set, and each value taken out of the set that is still a view. While
	 * there is one, the index is unsettled: it must not change, but be replaced by a copy.
	 */
	size_t nr_users;
	/*
	 * Something happened to the set's segments that the index knows nothing of: see
	 * mapping_set_internal.h.
	 */
	bool unsettled;
};

/* An edge of a piece came to be (change 1) or went (change -1). */
enum mapping_edge { MAPPING_BEGINS, MAPPING_ENDS };
typedef void mapping_edge_changed(void *arg, uint64_t at, enum mapping_edge edge, ptrdiff_t change);

/* A new, empty index with one user; NULL when out of memory. */
struct memmap_mapping_index *mapping_index_create(const struct memmap_allocator *allocator);

/* One user less; the last one's leaving frees it. NULL is ignored. */
void mapping_index_put(struct memmap_mapping_index *index);

/* A copy with one user and nothing in hand; NULL when out of memory. */
struct memmap_mapping_index *mapping_index_clone(const struct memmap_mapping_index *index);

/* Forget all pieces. */
void mapping_index_clear(struct memmap_mapping_index *index);

/* The most that one operation takes: cutting a hole into a piece leaves two where one was. */
#define MAPPING_INDEX_NEW_EXTENTS 2
#define MAPPING_INDEX_NEW_PIECES  1

int mapping_index_stock(struct memmap_mapping_index *index);

/* After it, one add or one cut cannot fail. 0 or -ENOMEM. */
static inline int mapping_index_reserve(struct memmap_mapping_index *index)
{
	if (MEMMAP_LIKELY(index->nr_pieces < index->nr_buckets &&
			  index->nr_spare_extents >= MAPPING_INDEX_NEW_EXTENTS &&
			  index->nr_spare_pieces >= MAPPING_INDEX_NEW_PIECES))
		return 0;
	return mapping_index_stock(index);
}

int mapping_index_stock_cut(struct memmap_mapping_index *index, const struct mapping_key *key,
			    struct memmap_mappable_range r);

/*
 * After it, cutting `r` out of `key` cannot fail. 0 or -ENOMEM; only a cut that leaves a part of a
 * piece may need memory.
 */
static inline int mapping_index_reserve_cut(struct memmap_mapping_index *index,
					    const struct mapping_key *key,
					    struct memmap_mappable_range r)
{
	if (MEMMAP_LIKELY(index->nr_spare_extents >= MAPPING_INDEX_NEW_EXTENTS &&
			  index->nr_spare_pieces >= MAPPING_INDEX_NEW_PIECES))
		return 0;
	return mapping_index_stock_cut(index, key, r);
}

/*
 * `key` maps `r` as well; of what it maps already, nothing changes. What touches is joined.
 * Requires mapping_index_reserve(), and nothing is muted. `changed` may be NULL.
 */
void mapping_index_add(struct memmap_mapping_index *index, const struct mapping_key *key,
		       struct memmap_mappable_range r, mapping_edge_changed *changed, void *arg);

/*
 * `key` maps nothing of `r` any more. Requires mapping_index_reserve() or, for this very cut,
 * mapping_index_reserve_cut(), and nothing is muted. `changed` may be NULL; it is also told of edges
 * at the edges of `r`.
 */
void mapping_index_cut(struct memmap_mapping_index *index, const struct mapping_key *key,
		       struct memmap_mappable_range r, mapping_edge_changed *changed, void *arg);

/* The lowest piece of `key` that ends after `x`; NULL: there is none. */
struct mapping_piece *mapping_index_find(const struct memmap_mapping_index *index,
					 const struct mapping_key *key, uint64_t x);

/* The next piece of the same key; NULL: there is none. */
struct mapping_piece *mapping_piece_next(const struct mapping_piece *piece);

/* The extents, by start and end; NULL at the end. */
struct mapping_extent *mapping_index_first_extent(const struct memmap_mapping_index *index);
struct mapping_extent *mapping_extent_next(const struct mapping_extent *extent);

/*
 * Call `visit` for each piece that covers `x` until it returns false, in the order of their starts
 * and ends. False when a call returned false. `visit` must not change the index.
 */
typedef bool mapping_piece_visit(const struct mapping_piece *piece, void *arg);
bool mapping_index_visit(const struct memmap_mapping_index *index, uint64_t x,
			 mapping_piece_visit *visit, void *arg);

/* How many pieces cover `x`. */
size_t mapping_index_count(const struct memmap_mapping_index *index, uint64_t x);

/* Some piece that overlaps `r`; NULL: there is none. */
struct mapping_piece *mapping_index_any(const struct memmap_mapping_index *index,
					struct memmap_mappable_range r);

/*
 * The next run of offsets of [*at, end) that nothing maps, but what is muted; `*at` is then its
 * end. False: there is none.
 */
bool mapping_index_next_hole(const struct memmap_mapping_index *index, uint64_t *at, uint64_t end,
			     struct memmap_mappable_range *hole);

/* Have mapping_index_next_hole() pass over an extent, or not. */
void mapping_extent_set_muted(struct mapping_extent *extent, bool muted);

/* Is everything as it should be? 0, or -EINVAL and a line on stderr. */
int mapping_index_verify(const struct memmap_mapping_index *index);

#endif /* MEMMAP_SRC_MEMMAP_MAPPING_INDEX_H */
