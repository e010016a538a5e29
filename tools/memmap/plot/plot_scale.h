/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The two axes of a panel. Neither is linear, both are monotone: whoever lies right of, or above,
 * something in the picture is later, or at higher addresses.
 *
 * Coordinates are px; y grows downwards, as in SVG, so higher addresses have the smaller y.
 */
#ifndef MEMMAP_TOOL_PLOT_SCALE_H
#define MEMMAP_TOOL_PLOT_SCALE_H

#include "history/history_data.h"
#include "plot/plot.h"

/* ---- Time ---- */

struct plot_time_knot {
	uint64_t time;
	double x;
};

/* Between the knots time is linear. */
struct plot_time_scale {
	uint64_t from, to; /* from < to */
	double left, right;
	ARRAY(struct plot_time_knot) knots;
};

struct plot_tick {
	uint64_t time;
	double x;
};

/**
 * The axis of one address space, from `left` to `right`.
 *
 * Returns:     0, -ENOMEM
 */
int plot_time_scale_init(struct plot_time_scale *scale, const struct history *h,
			 const struct history_space *space, enum plot_axis axis, double left,
			 double right);
void plot_time_scale_destroy(struct plot_time_scale *scale, const struct history *h);

/** Where `time` is; times outside the axis are at its ends. */
double plot_time_x(const struct plot_time_scale *scale, uint64_t time);

/**
 * Round times to be written below the axis, at least `distance` apart, in order.
 *
 * Returns:     how many, at most `max`
 */
size_t plot_time_ticks(const struct plot_time_scale *scale, double distance,
		       struct plot_tick *ticks, size_t max);

/* ---- Addresses ---- */

/*
 * A run of adjacent addresses that mostly held one thing: a library with all its segments, the
 * heap, a neighbourhood of anonymous mappings.
 */
struct plot_object {
	struct memmap_addr_range range;
	double top, bottom;
	uint64_t size;      /* bytes of it that were ever mapped */
	uint64_t from, to;  /* when the first of it came and the last of it went */
	uint32_t region;    /* the longest-lived, then largest region of it: gives name and kind */
	uint32_t nr_parts;  /* cells that were ever mapped */
	uint32_t nr_others; /* how many objects of other names were joined into it */
	uint64_t gap_above; /* unmapped bytes up to the next one; of the topmost: 0 */
};

struct plot_addr_knot {
	uint64_t addr;
	double y;
};

struct plot_addr_scale {
	double top, bottom;
	double least, most;                /* height */
	uint64_t least_break;              /* from this many unmapped bytes on there is a break */
	ARRAY(struct plot_object) objects; /* lowest addresses first */
	ARRAY(struct plot_addr_knot) knots;
};

/* Fewer unmapped bytes than these are never shown as a break. */
#define PLOT_BREAK (UINT64_C(1) << 30)

/**
 * The axis for all regions that `space` ever had. It begins at `top`; how far down it reaches is
 * for the contents to say, within limits: see `bottom`.
 *
 * Returns:     0, -ENOMEM
 */
int plot_addr_scale_init(struct plot_addr_scale *scale, const struct history *h,
			 const struct history_space *space, const struct plot_time_scale *time,
			 double top, double least, double most);
void plot_addr_scale_destroy(struct plot_addr_scale *scale, const struct history *h);

/** Where `addr` is. */
double plot_addr_y(const struct plot_addr_scale *scale, uint64_t addr);

#endif /* MEMMAP_TOOL_PLOT_SCALE_H */
