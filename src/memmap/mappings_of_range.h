/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sets of mappings as the mapping set needs them, beyond what <memmap/mapping_set.h> offers.
 *
 * A set of mappings either owns them (its mappings can be anything) or is a view: it shows which
 * pieces of an index cover a range of offsets, all of them whole. A view's range is that of its
 * segment, unless the segment has been moved under it. Making a view's mappings its own is seen by
 * no one; it only costs memory.
 */
#ifndef MEMMAP_SRC_MEMMAP_MAPPINGS_OF_RANGE_H
#define MEMMAP_SRC_MEMMAP_MAPPINGS_OF_RANGE_H

#include <memmap/mapping_set.h>

#include "memmap/mapping_index.h"

/* A view of what covers `of`. */
struct memmap_mappings_of_range mappings_view(struct memmap_mapping_index *index,
					      struct memmap_mappable_range of);

/*
 * Make the mappings of `v` its own and have room for `more` in addition: adding as many cannot
 * fail. 0, or -ENOMEM with the set as it was. A view's index is unsettled then.
 */
int mappings_own(struct memmap_mappings_of_range *v, size_t more);

/*
 * What parting `v`, the value of `r`, at `at` gives, with room for one mapping more in each; `v`,
 * which owns its mappings, is only read. 0, or -ENOMEM with `out1` and `out2` untouched.
 */
int mappings_parted(struct memmap_mappable_range r, const struct memmap_mappings_of_range *v,
		    uint64_t at, struct memmap_mappings_of_range *out1,
		    struct memmap_mappings_of_range *out2);

/*
 * What a mapping set does with the values of its segments.
 *
 * Two neighbours merge when each mapping of the first goes on in the second: the same space and
 * `writable`, its addresses beginning where the other's end, as long as the second segment. Parting
 * a segment parts each of its mappings at the same distance from its start; unparting undoes that.
 */
bool mappings_merge(struct memmap_mappable_range r1, struct memmap_mappings_of_range *v1,
		    struct memmap_mappable_range r2, struct memmap_mappings_of_range *v2,
		    struct memmap_mappings_of_range *out);
int mappings_part(struct memmap_mappable_range r, struct memmap_mappings_of_range *v, uint64_t at,
		  struct memmap_mappings_of_range *out1, struct memmap_mappings_of_range *out2);
void mappings_unpart(struct memmap_mappable_range r, uint64_t at,
		     struct memmap_mappings_of_range *v1, struct memmap_mappings_of_range *v2,
		     struct memmap_mappings_of_range *out);

/*
 * The mapping of `subset` by a space that maps `whole` beginning at address `addr`. Panics unless
 * `subset` lies within `whole`.
 */
struct memmap_mapping_of_range mapping_of_subset(struct memmap_mappable_range whole,
						 struct memmap_mappable_range subset,
						 struct memmap_mapping_space *ms, uint64_t addr,
						 bool writable);

#endif /* MEMMAP_SRC_MEMMAP_MAPPINGS_OF_RANGE_H */
