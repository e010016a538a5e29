/* SPDX-License-Identifier: Apache-2.0 */
/* Must not compile: the set does not track gaps. */
#include <memmap/range.h>

#define SEGMENT_PREFIX plain
#define SEGMENT_RANGE  memmap_addr_range
#define SEGMENT_VALUE  int
#include <memmap/segment_set.h>

bool has_large_gap(const struct plain_set *s);

bool has_large_gap(const struct plain_set *s)
{
	return plain_gap_iterator_ok(plain_set_first_large_enough_gap(s, 10));
}
