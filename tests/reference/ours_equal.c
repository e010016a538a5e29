// SPDX-License-Identifier: Apache-2.0
/* A set whose neighbours merge when their values are equal. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include <memmap/range.h>

#include "ours.h"

static bool equal_merge(struct memmap_file_range r1, uint64_t *v1, struct memmap_file_range r2,
			uint64_t *v2, uint64_t *out)
{
	(void)r1;
	(void)r2;
	if (*v1 != *v2)
		return false;
	*out = *v1;
	return true;
}

#define SEGMENT_PREFIX     equal
#define SEGMENT_RANGE      memmap_file_range
#define SEGMENT_VALUE      uint64_t
#define SEGMENT_MERGE      equal_merge
#define SEGMENT_TRACK_GAPS TRACKED
#ifdef DEGREE
#	define SEGMENT_MIN_DEGREE DEGREE
#endif
#include <memmap/segment_set.h>

static void equal_make(struct memmap_file_range r, uint64_t v, uint64_t *out)
{
	(void)r;
	*out = v % 3;
}

static void equal_poke(uint64_t *value, struct memmap_file_range r, uint64_t v)
{
	equal_make(r, v, value);
}

static void equal_show(const uint64_t *value, struct text *out)
{
	text_add(out, "%" PRIx64, *value);
}

static void equal_drop(uint64_t *value)
{
	*value = 0;
}

static void equal_run_own(enum operation_code code, const uint64_t *a, struct text *out)
{
	(void)code;
	(void)a;
	text_add(out, "no operation of this kind of set");
}

#define KIND  equal
#define SET   equal
#define RANGE memmap_file_range
#define VALUE uint64_t
#include "ours_set.h"
