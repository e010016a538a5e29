// SPDX-License-Identifier: Apache-2.0
// A user's C++ program over the same headers. Exit status 0: as expected.
#include <memmap/arch.h>
#include <memmap/block.h>
#include <memmap/error.h>
#include <memmap/mapping_set.h>
#include <memmap/memmap.h>
#include <memmap/range.h>

#include <cerrno>
#include <cstdint>

static bool merge_equal(memmap_file_range, uint32_t *v1, memmap_file_range, uint32_t *v2,
			uint32_t *out)
{
	if (*v1 != *v2)
		return false;
	*out = *v1;
	return true;
}

#define SEGMENT_PREFIX refs
#define SEGMENT_RANGE  memmap_file_range
#define SEGMENT_VALUE  uint32_t
#define SEGMENT_MERGE  merge_equal
#include <memmap/segment_set.h>

int main()
{
	refs_set refs = {};
	if (refs_set_add(&refs, memmap_file_range{0, 0x1000}, 1) != 0 ||
	    refs_set_add(&refs, memmap_file_range{0x1000, 0x2000}, 1) != 0)
		return 1;
	refs_iterator first = refs_set_first_segment(&refs);
	if (refs_iterator_end(first) != 0x2000)
		return 2;
	refs_set_destroy(&refs);
	return memmap_is_bus_error(memmap_bus_error(-EIO)) ? 0 : 3;
}
