/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `memmap maps`: captures of maps and smaps as people read them.
 *
 *   maps.c         the command line
 *   maps_group.c   groups by file, kind or permissions; totals; their order
 *   maps_table.c   the table
 *   maps_json.c    the same as JSON
 *   maps_diff.c    what differs between two captures
 *
 * Locking: none
 */
#ifndef MEMMAP_TOOL_MAPS_H
#define MEMMAP_TOOL_MAPS_H

#include <jansson.h>
#include <stdio.h>

#include "maps/capture.h"

enum maps_by { MAPS_BY_VMA, MAPS_BY_FILE, MAPS_BY_KIND, MAPS_BY_PERM };

enum maps_sort {
	MAPS_SORT_DEFAULT, /* mappings by address, groups by what they use */
	MAPS_SORT_ADDRESS,
	MAPS_SORT_SIZE,
	MAPS_SORT_RSS,
	MAPS_SORT_PSS,
	MAPS_SORT_NAME,
};

struct maps_options {
	enum maps_by by;
	enum maps_sort sort;
	bool json, diff;
	const char *sources[2];
};

/* What several mappings are together. */
struct maps_group {
	const char *name;
	uint64_t first; /* its lowest address */
	uint64_t nr_vmas, size;
	uint64_t counts[CAPTURE_NR_COUNTS];
};

struct maps_groups {
	ARRAY(struct maps_group) groups;
	struct maps_group total;
};

/** Run `memmap maps`; argv[0] is "maps". Returns the exit status. */
int maps_command(int argc, char **argv);

/** What stands for a mapping without a name. */
const char *maps_name(const struct capture_vma *vma);

/**
 * Group the mappings of a capture (each by itself, in `total` alone, for MAPS_BY_VMA), and put them
 * in order.
 *
 * Returns:     0, -ENOMEM (there is nothing to release)
 */
int maps_groups_make(struct maps_groups *groups, const struct capture *capture,
		     const struct maps_options *options);
void maps_groups_release(struct maps_groups *groups);

/** Put the mappings of a capture in the order that is asked for. */
void maps_sort_vmas(struct capture *capture, enum maps_sort sort);

/* These return 0 or a negative errno; what is written is flushed. */
int maps_print_table(struct capture *capture, const struct maps_options *options, FILE *out);
int maps_print_json(struct capture *capture, const struct maps_options *options, FILE *out);

/** Print what differs between `a` and `b`; `*differs`: something does. */
int maps_print_diff(const struct capture *a, const struct capture *b,
		    const struct maps_options *options, FILE *out, bool *differs);

#endif /* MEMMAP_TOOL_MAPS_H */
