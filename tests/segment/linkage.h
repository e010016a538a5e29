/* SPDX-License-Identifier: Apache-2.0 */
/* A set whose code one translation unit owns: its users get declarations. */
#ifndef TESTS_SEGMENT_LINKAGE_H
#define TESTS_SEGMENT_LINKAGE_H

#include <memmap/range.h>

bool linkage_merge(struct memmap_addr_range r1, int *v1, struct memmap_addr_range r2, int *v2,
		   int *out);

#define SEGMENT_PREFIX     linkage
#define SEGMENT_RANGE      memmap_addr_range
#define SEGMENT_VALUE      int
#define SEGMENT_MERGE      linkage_merge
#define SEGMENT_TRACK_GAPS 1
#define SEGMENT_LINKAGE    __attribute__((visibility("default")))
#define SEGMENT_DECLARE_ONLY
#include <memmap/segment_set.h>

#endif
