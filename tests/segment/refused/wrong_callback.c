/* SPDX-License-Identifier: Apache-2.0 */
/* Must not compile: SEGMENT_SPLIT names a function of another type. */
#include <memmap/range.h>

static int split(struct memmap_addr_range r, int *v)
{
	(void)r;
	return *v;
}

#define SEGMENT_PREFIX plain
#define SEGMENT_RANGE  memmap_addr_range
#define SEGMENT_VALUE  int
#define SEGMENT_SPLIT  split
#include <memmap/segment_set.h>
