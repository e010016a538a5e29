/* SPDX-License-Identifier: Apache-2.0 */
/*
 * After set_reserve(n) no memory is given any more, and the next n operations that insert or split
 * must succeed, whichever they are and wherever they come: those too that split at both edges of a
 * range. For nodes of several sizes, with and without gap tracking.
 *
 *   promises [seed]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>

#include <memmap/allocator.h>
#include <memmap/range.h>

#define LAST_KEY 70000

static uint64_t random_state = 1;

static uint64_t random_below(uint64_t n)
{
	uint64_t z = (random_state += 0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return (z ^ (z >> 31)) % n;
}

/* ---- Memory that is given only while it is permitted, and never a great deal of it ---- */

static bool permitted;
static size_t nr_blocks, nr_requests;

static void *permitted_allocate(void *context, size_t size, size_t alignment)
{
	(void)context;
	nr_requests++;
	if (!permitted || nr_blocks > 100000)
		return NULL;
	nr_blocks++;
	return memmap_allocate(NULL, size, alignment);
}

static void permitted_deallocate(void *context, void *memory, size_t size)
{
	(void)context;
	nr_blocks--;
	memmap_deallocate(NULL, memory, size);
}

static const struct memmap_allocator when_permitted = {permitted_allocate, permitted_deallocate,
						       NULL};

static bool merge_equal(struct memmap_addr_range r1, uint8_t *v1, struct memmap_addr_range r2,
			uint8_t *v2, uint8_t *out)
{
	(void)r1;
	(void)r2;
	*out = *v1;
	return *v1 == *v2;
}

#define PROMISES(name)     degree3_##name
#define SEGMENT_MIN_DEGREE 3
#define SEGMENT_TRACK_GAPS 1
#include "segment/promises_body.h"
#undef PROMISES

#define PROMISES(name)     degree4_##name
#define SEGMENT_MIN_DEGREE 4
#include "segment/promises_body.h"
#undef PROMISES

#define PROMISES(name) default_##name
#include "segment/promises_body.h"
#undef PROMISES

int main(int argc, char **argv)
{
	if (argc > 1)
		random_state = strtoull(argv[1], NULL, 0);
	printf("seed %llu\n", (unsigned long long)random_state);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(degree3_kept),
		cmocka_unit_test(degree4_kept),
		cmocka_unit_test(default_kept),
		cmocka_unit_test(degree3_of_both_edges),
		cmocka_unit_test(degree4_of_both_edges),
		cmocka_unit_test(default_of_both_edges),
		cmocka_unit_test(degree3_beyond_all_memory),
		cmocka_unit_test(degree4_beyond_all_memory),
		cmocka_unit_test(default_beyond_all_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
