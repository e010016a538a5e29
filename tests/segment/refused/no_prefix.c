/* SPDX-License-Identifier: Apache-2.0 */
/* Must not compile: a required parameter is missing. */
#define SEGMENT_RANGE memmap_addr_range
#define SEGMENT_VALUE int
#include <memmap/segment_set.h>
