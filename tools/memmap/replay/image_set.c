/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The code of the set that an image is made of. See image.h.
 */
#include "replay/image.h"

#define SEGMENT_PREFIX image
#define SEGMENT_RANGE  memmap_addr_range
#define SEGMENT_VALUE  struct image_vma
#define SEGMENT_LINKAGE
#define SEGMENT_IMPLEMENT_ONLY
#include <memmap/segment_set.h>
