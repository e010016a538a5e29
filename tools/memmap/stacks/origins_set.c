/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The code of the set that origins are kept in. See origins.h.
 */
#include "stacks/origins.h"

#define SEGMENT_PREFIX origin
#define SEGMENT_RANGE  memmap_addr_range
#define SEGMENT_VALUE  struct origin
#define SEGMENT_LINKAGE
#define SEGMENT_IMPLEMENT_ONLY
#include <memmap/segment_set.h>
