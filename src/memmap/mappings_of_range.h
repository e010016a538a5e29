/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sets of mappings, as the mapping set needs them beyond what <memmap/mapping_set.h> offers: to
 * prepare a change before making it.
 */
#ifndef MEMMAP_SRC_MEMMAP_MAPPINGS_OF_RANGE_H
#define MEMMAP_SRC_MEMMAP_MAPPINGS_OF_RANGE_H

#include <memmap/mapping_set.h>

/*
 * Make room for `n` mappings in all: while there are no more, adding one cannot fail.
 * 0, or -ENOMEM with the set as it was.
 */
int memmap_mappings_of_range_reserve(struct memmap_mappings_of_range *v, size_t n);

/*
 * What parting `v`, the value of `r`, at `at` gives, with room for one mapping more in each;
 * `v` is only read. 0, or -ENOMEM with `out1` and `out2` untouched.
 */
int memmap_mappings_of_range_parted(struct memmap_mappable_range r,
				    const struct memmap_mappings_of_range *v, uint64_t at,
				    struct memmap_mappings_of_range *out1,
				    struct memmap_mappings_of_range *out2);

/*
 * What a mapping set does with the values of its segments.
 *
 * Two neighbours merge when each mapping of the first goes on in the second: the same space and
 * `writable`, its addresses beginning where the other's end, as long as the second segment. Parting
 * a segment parts each of its mappings at the same distance from its start.
 */
bool memmap_mappings_of_range_merge(struct memmap_mappable_range r1,
				    struct memmap_mappings_of_range *v1,
				    struct memmap_mappable_range r2,
				    struct memmap_mappings_of_range *v2,
				    struct memmap_mappings_of_range *out);
int memmap_mappings_of_range_split(struct memmap_mappable_range r,
				   struct memmap_mappings_of_range *v, uint64_t at,
				   struct memmap_mappings_of_range *out1,
				   struct memmap_mappings_of_range *out2);

/* Undo what splitting did just before. */
void memmap_mappings_of_range_unsplit(struct memmap_mappable_range r, uint64_t at,
				      struct memmap_mappings_of_range *v1,
				      struct memmap_mappings_of_range *v2,
				      struct memmap_mappings_of_range *out);

/*
 * The mapping of `subset` by a space that maps `whole` beginning at address `addr`. Panics unless
 * `subset` lies within `whole`.
 */
struct memmap_mapping_of_range memmap_subset_mapping(struct memmap_mappable_range whole,
						     struct memmap_mappable_range subset,
						     struct memmap_mapping_space *ms, uint64_t addr,
						     bool writable);

#endif /* MEMMAP_SRC_MEMMAP_MAPPINGS_OF_RANGE_H */
