/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An interval map of your own: which process owns which port numbers.
 *
 * Ports are 16-bit keys, a range of them carries its owner's number, neighbours with the same owner
 * merge by themselves, and since gaps are tracked the set can be asked for free room.
 */
#include <memmap/range.h>

#include <assert.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

MEMMAP_RANGE_DEFINE(port_range, uint16_t);

static bool same_owner(struct port_range r1, int *owner1, struct port_range r2, int *owner2,
		       int *out)
{
	(void)r1;
	(void)r2;
	if (*owner1 != *owner2)
		return false;
	*out = *owner1;
	return true;
}

#define SEGMENT_PREFIX     port
#define SEGMENT_KEY        uint16_t
#define SEGMENT_RANGE      port_range
#define SEGMENT_VALUE      int
#define SEGMENT_MERGE      same_owner
#define SEGMENT_TRACK_GAPS 1
#include <memmap/segment_set.h>

static void print(const struct port_set *ports)
{
	char text[MEMMAP_RANGE_FORMAT_SIZE];
	for (struct port_iterator seg = port_set_first_segment(ports); port_iterator_ok(seg);
	     seg = port_iterator_next_segment(seg))
		printf("  %s owned by %d\n",
		       port_range_format(port_iterator_range(seg), text, sizeof(text)),
		       port_iterator_value(seg));
}

int main(void)
{
	struct port_set ports = {0}; /* the zero value is an empty set */

	/* Two ranges of one owner that touch become one. */
	int err = port_set_add(&ports, (struct port_range){1024, 2048}, 7);
	assert(err == 0);
	err = port_set_add(&ports, (struct port_range){2048, 4096}, 7);
	assert(err == 0);
	err = port_set_add(&ports, (struct port_range){8080, 8090}, 9);
	assert(err == 0);
	printf("after three additions:\n");
	print(&ports);
	assert(port_iterator_end(port_set_first_segment(&ports)) == 4096);

	/* Overlap is refused, and nothing has changed. */
	err = port_set_add(&ports, (struct port_range){4000, 5000}, 9);
	assert(err == -EEXIST);

	/* The lowest 1,000 free ports from 1,024 on. */
	struct port_gap_iterator gap = port_set_lower_bound_large_enough_gap(&ports, 1024, 1000);
	printf("1,000 free ports from %u on\n", port_gap_iterator_start(gap));
	assert(port_gap_iterator_start(gap) == 4096);

	/* Taking ports away splits what straddles the edges. */
	err = port_set_remove_range(&ports, (struct port_range){2000, 3000}, &gap);
	assert(err == 0);
	printf("after removing 2000 to 3000:\n");
	print(&ports);
	assert(port_gap_iterator_end(gap) == 3000);

	port_set_destroy(&ports);
	return 0;
}
