// SPDX-License-Identifier: Apache-2.0
/* A set whose values are where segments lead to: they advance with the keys. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <memmap/range.h>

#include "ours.h"

static bool offset_merge(struct memmap_file_range r1, uint64_t *v1, struct memmap_file_range r2,
			 uint64_t *v2, uint64_t *out)
{
	(void)r2;
	if (*v2 != *v1 + memmap_file_range_length(r1))
		return false;
	*out = *v1;
	return true;
}

static int offset_split(struct memmap_file_range r, uint64_t *v, uint64_t at, uint64_t *out1,
			uint64_t *out2)
{
	uint64_t value = *v;

	*out1 = value;
	*out2 = value + (at - r.start);
	return 0;
}

#define SEGMENT_PREFIX     offset
#define SEGMENT_RANGE      memmap_file_range
#define SEGMENT_VALUE      uint64_t
#define SEGMENT_MERGE      offset_merge
#define SEGMENT_SPLIT      offset_split
#define SEGMENT_TRACK_GAPS TRACKED
#ifdef DEGREE
#	define SEGMENT_MIN_DEGREE DEGREE
#endif
#include <memmap/segment_set.h>

static void offset_make(struct memmap_file_range r, uint64_t v, uint64_t *out)
{
	*out = r.start + v % 3 * 0x100000000000;
}

static void offset_poke(uint64_t *value, struct memmap_file_range r, uint64_t v)
{
	offset_make(r, v, value);
}

static void offset_show(const uint64_t *value, struct text *out)
{
	text_add(out, "%" PRIx64, *value);
}

static void offset_drop(uint64_t *value)
{
	*value = 0;
}

static void offset_run_own(enum operation_code code, const uint64_t *a, struct text *out)
{
	(void)code;
	(void)a;
	text_add(out, "no operation of this kind of set");
}

#define KIND  offset
#define SET   offset
#define RANGE memmap_file_range
#define VALUE uint64_t
#include "ours_set.h"
