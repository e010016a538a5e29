/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The picture of a history: one SVG file that stands alone, without scripts.
 *
 * A panel for each address space: time from left to right, addresses from bottom to top, a colour
 * for each kind of mapping and a shade for its permissions. Both axes are compressed where there is
 * little to see: empty addresses become a visible break, a region's height grows with the fifth
 * root of its size, and time is stretched where calls are many. Below each panel, how much was
 * mapped in how many VMAs. With several processes, a strip above shows them in true time, with
 * their forks and execs.
 *
 * The same history and options give the same bytes.
 */
#ifndef MEMMAP_TOOL_PLOT_H
#define MEMMAP_TOOL_PLOT_H

#include <stdio.h>

#include "history/history.h"

/* What the horizontal axis measures. */
enum plot_axis {
	PLOT_AXIS_MIXED, /* time, stretched where memory calls are many */
	PLOT_AXIS_TIME,  /* time alone */
	PLOT_AXIS_CALLS, /* every change as wide as any other; ticks tell the time */
};

/* {0} is fine: a default for everything. */
struct plot_options {
	const char *title; /* NULL: the first process's command */
	enum plot_axis axis;
	unsigned int width; /* of the picture in px, 1200 to 8000; 0: 1200 */
	size_t max_panels;  /* how many address spaces get a panel; 0: 6 */
};

/**
 * Draw `h` as SVG onto `out`, and flush it.
 *
 * Returns:     0
 *              -EINVAL  the options contradict themselves
 *              -ENOMEM
 *              other negative errno from writing
 * On failure:  part of the picture may have been written
 */
int plot_write(const struct history *h, FILE *out, const struct plot_options *options);

#endif /* MEMMAP_TOOL_PLOT_H */
