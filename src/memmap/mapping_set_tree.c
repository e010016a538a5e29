/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The segment set that a mapping set's segments are kept in. Its values merge and part as
 * mappings_of_range.h says; it knows nothing of the set's index.
 *
 * Locking: none; see <memmap/mapping_set.h>.
 */
#include "memmap/mapping_set_internal.h"

/* clang-format off */
#define SEGMENT_PREFIX memmap_mapped
#define SEGMENT_RANGE memmap_mappable_range
#define SEGMENT_VALUE struct memmap_mappings_of_range
#define SEGMENT_CLEAR_VALUE memmap_mappings_of_range_clear
#define SEGMENT_MERGE mappings_merge
#define SEGMENT_SPLIT mappings_part
#define SEGMENT_UNSPLIT mappings_unpart
#define SEGMENT_DUP_VALUE memmap_mappings_of_range_duplicate
#define SEGMENT_IMPLEMENT_ONLY
#include <memmap/segment_set.h>
/* clang-format on */

int mapping_set_part(struct memmap_mapping_set *set, struct memmap_mappable_range r)
{
	return memmap_mapped_set_split_edges(&set->segments, r, true);
}
