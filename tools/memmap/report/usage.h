/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an address space consisted of at a moment of its history: how much of each kind, and what by
 * name; how far it was cut into pieces.
 *
 * Locking: none
 */
#ifndef MEMMAP_TOOL_USAGE_H
#define MEMMAP_TOOL_USAGE_H

#include "history/history_data.h"

/* All mappings of one thing. */
struct usage_object {
	const char *name; /* as the picture calls it; lives as long as the history */
	uint64_t bytes, nr_vmas;
};

struct usage {
	uint64_t time;
	uint64_t bytes, reserved, nr_vmas;  /* reserved: of `bytes`, what nobody can access */
	uint64_t kinds[HISTORY_NR_KINDS];   /* bytes */
	ARRAY(struct usage_object) objects; /* largest first */
	/* Holes of less than USAGE_HOLE between mappings: what fragmentation has left. */
	uint64_t nr_holes, hole_bytes, largest_hole;
	/* Neighbours that adjoin and differ in something: VMAs that no hole parts. */
	uint64_t nr_runs;
};

#define USAGE_HOLE (UINT64_C(1) << 30)

/** When most was mapped; when there were most VMAs. */
uint64_t usage_peak_time(const struct history_space *space);
uint64_t usage_most_vmas_time(const struct history_space *space);

/** The end of the space, just before it was gone. */
uint64_t usage_end_time(const struct history *h, const struct history_space *space);

/**
 * Look at a moment. Regions that were too short-lived to be kept are missing.
 *
 * Returns:     0, -ENOMEM (there is nothing to release)
 */
int usage_at(struct usage *usage, const struct history *h, const struct history_space *space,
	     uint64_t time);
void usage_release(struct usage *usage);

/** The space that had most mapped; NULL: there is none. */
const struct history_space *usage_largest_space(const struct history *h);

/** The space that had most VMAs; NULL: there is none. */
const struct history_space *usage_most_cut_space(const struct history *h);

/**
 * How many VMAs there were over time, in `nr` steps: the most within each step.
 */
void usage_vmas_over_time(const struct history *h, const struct history_space *space,
			  uint64_t *steps, size_t nr);

#endif /* MEMMAP_TOOL_USAGE_H */
