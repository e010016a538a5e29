/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the mapping set share. Calls go down this list, never up:
 *
 *   mapping_set_segments.c  the functions that every segment set has
 *   mapping_set.c           adding, removing and invalidating mappings, by the index
 *   mapping_set_by_piece.c  adding and removing segment by segment, for what no index can express
 *   mapping_set_settle.c    keeping segments and index in agreement; the verifier
 *   mapping_set_tree.c      the segment set inside
 *   mappings_of_range.c     the values of segments
 *   mapping_index.c         the index of whole mappings
 *
 * A mapping set is *settled* when
 *   - each segment's value is a view of the set's index, of exactly the segment's range;
 *   - each piece in the index begins with a segment, ends with a segment, and has segments all
 * along;
 *   - each segment has at least one mapping, and its view counts the pieces that begin and end with
 *     it.
 * Adding and removing mappings keep it settled, and so do splitting, merging and removing segments.
 * What gives a segment another value or moves it does not: it notes that in index->unsettled, and
 * the next addition or removal settles the set first. What a set shows does not change by that.
 *
 * Without an index, an empty set is settled and any other is not.
 */
#ifndef MEMMAP_SRC_MEMMAP_MAPPING_SET_INTERNAL_H
#define MEMMAP_SRC_MEMMAP_MAPPING_SET_INTERNAL_H

#include <memmap/mapping_set.h>

#include "memmap/mapping_index.h"
#include "memmap/mappings_of_range.h"

typedef struct memmap_mapped_iterator segment_iterator;
typedef struct memmap_mapped_gap_iterator segment_gap;

/* A mapping that is being added or removed. */
struct mapping_change {
	struct memmap_mapping_set *set;
	struct mapping_key key;
	uint64_t addr; /* of the first offset */
	struct memmap_mappable_range mr;
	struct memmap_mappable_ranges
		*changed; /* what became mapped or unmapped; NULL: not wanted */
	/* By the index: the segments that begin and end with `mr`, if there are; else terminal. */
	segment_iterator first, last;
};

static inline bool mapping_set_is_settled(const struct memmap_mapping_set *set)
{
	return set->index ? !__atomic_load_n(&set->index->unsettled, __ATOMIC_RELAXED)
			  : memmap_mapped_set_is_empty(&set->segments);
}

/*
 * Part the segments that the edges of `r` cross: both or, when out of memory, neither. No memory is
 * needed where there are none.
 */
int mapping_set_part(struct memmap_mapping_set *set, struct memmap_mappable_range r);

/* Something happens to the segments that the index does not know of. */
void mapping_set_unsettle(struct memmap_mapping_set *set);

/*
 * Make segments and index agree. Nothing that can be seen changes, iterators stay valid.
 *
 * Returns:     1  the set is settled, and its index is there
 *              0  it cannot be: some segment has mappings that are not of its length, or none
 *              -ENOMEM
 */
int mapping_set_settle_slowly(struct memmap_mapping_set *set);
static inline int mapping_set_settle(struct memmap_mapping_set *set)
{
	const struct memmap_mapping_index *index = set->index;
	if (MEMMAP_LIKELY(index && !index->unsettled))
		return 1;
	return mapping_set_settle_slowly(set);
}

/* The segments of `r` are gone, or about to: so are their mappings in the index, if possible. */
void mapping_set_forget(struct memmap_mapping_set *set, struct memmap_mappable_range r);

/* Have the views count a piece that begins or ends with their segment: see mapping_edge_changed. */
void mapping_set_count_edge(void *set, uint64_t at, enum mapping_edge edge, ptrdiff_t change);

/* Adding and removing without the index. What changes, and how it fails, is the same. */
int mapping_set_add_by_piece(const struct mapping_change *change);
int mapping_set_remove_by_piece(const struct mapping_change *change);

#endif /* MEMMAP_SRC_MEMMAP_MAPPING_SET_INTERNAL_H */
