/* SPDX-License-Identifier: Apache-2.0 */
/* The template as C++17: every function is instantiated, a few are run. */
#include <cstdio>

#include <memmap/range.h>

namespace
{

bool cxx_merge(memmap_addr_range, int *v1, memmap_addr_range, int *v2, int *out)
{
	*out = *v1;
	return *v1 == *v2;
}

int cxx_split(memmap_addr_range, int *v, uint64_t, int *out1, int *out2)
{
	*out1 = *out2 = *v;
	return 0;
}

void cxx_clear(int *v)
{
	*v = 0;
}

} // namespace

#define SEGMENT_PREFIX      cxx
#define SEGMENT_RANGE       memmap_addr_range
#define SEGMENT_VALUE       int
#define SEGMENT_CLEAR_VALUE cxx_clear
#define SEGMENT_MERGE       cxx_merge
#define SEGMENT_SPLIT       cxx_split
#define SEGMENT_TRACK_GAPS  1
#include <memmap/segment_set.h>

#define SEGMENT_PREFIX cxx_bare
#define SEGMENT_RANGE  memmap_file_range
#define SEGMENT_VALUE  void *
#include <memmap/segment_set.h>

#include "segment/linkage.h"

int main()
{
	cxx_set s = {};
	for (uint64_t i = 0; i < 1000; i++) {
		if (cxx_set_add(&s, {i * 10, i * 10 + 10}, static_cast<int>(i / 100)) != 0)
			return 1;
	}
	int segments = 0;
	for (cxx_iterator it = cxx_set_first_segment(&s); cxx_iterator_ok(it);
	     it = cxx_iterator_next_segment(it))
		segments++;
	bool right = segments == 10 && cxx_set_remove_range(&s, {5, 9995}, nullptr) == 0 &&
		     cxx_set_span(&s) == 10 && cxx_set_verify(&s) == 0;
	cxx_set_destroy(&s);

	cxx_bare_set bare = {};
	right = right && cxx_bare_set_add(&bare, {1, 2}, &bare) == 0 &&
		cxx_bare_iterator_value(cxx_bare_set_last_segment(&bare)) == &bare;
	cxx_bare_set_destroy(&bare);
	std::printf("%s\n", right ? "the same in C++" : "wrong");
	return !right;
}
