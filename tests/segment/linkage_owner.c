/* SPDX-License-Identifier: Apache-2.0 */
/* The translation unit that owns the code of linkage.h. */
#include "segment/linkage.h"

bool linkage_merge(struct memmap_addr_range r1, int *v1, struct memmap_addr_range r2, int *v2,
		   int *out)
{
	(void)r1;
	(void)r2;
	*out = *v1;
	return *v1 == *v2;
}

#define SEGMENT_PREFIX     linkage
#define SEGMENT_RANGE      memmap_addr_range
#define SEGMENT_VALUE      int
#define SEGMENT_MERGE      linkage_merge
#define SEGMENT_TRACK_GAPS 1
#define SEGMENT_LINKAGE    __attribute__((visibility("default")))
#define SEGMENT_IMPLEMENT_ONLY
#include <memmap/segment_set.h>
