/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The time axis.
 *
 * A program does most of its mapping within its first moments and then works for a long time. On a
 * true scale all the former would be one column. So a stretch of time gets width for two reasons:
 * for its share of the time, and for its share of the changes.
 */
#include "plot/plot_scale.h"

#include <errno.h>

/* How much of the width goes to time; the rest to changes. */
static double weight_of_time(enum plot_axis axis)
{
	switch (axis) {
	case PLOT_AXIS_TIME:
		return 1;
	case PLOT_AXIS_CALLS:
		return 0;
	case PLOT_AXIS_MIXED:
		break;
	}
	return 0.35;
}

int plot_time_scale_init(struct plot_time_scale *scale, const struct history *h,
			 const struct history_space *space, enum plot_axis axis, double left,
			 double right)
{
	uint64_t to = history_end(h, space->to);
	*scale = (struct plot_time_scale){
		.from = space->from,
		.to = to > space->from ? to : space->from + 1,
		.left = left,
		.right = right,
	};
	const struct history_sample *samples = space->samples.items;
	size_t nr = space->samples.length;
	if (!ARRAY_RESERVE(h->allocator, &scale->knots, nr + 2))
		return -ENOMEM;

	/*
	 * Change number n lies n steps from the left, and the last one a step from the right: what
	 * the program did last stays visible.
	 */
	double whole = (double)(scale->to - scale->from);
	double first = nr ? (double)samples[0].changes : 0;
	double steps = nr ? (double)samples[nr - 1].changes - first + 1 : 1;
	double time_weight = weight_of_time(axis);
	struct plot_time_knot *knots = scale->knots.items;
	knots[scale->knots.length++] = (struct plot_time_knot){scale->from, left};
	for (size_t i = 0; i < nr; i++) {
		double by_time = (double)(samples[i].time - scale->from) / whole;
		double by_changes = ((double)samples[i].changes - first) / steps;
		double x = time_weight * by_time + (1 - time_weight) * by_changes;
		knots[scale->knots.length++] =
			(struct plot_time_knot){samples[i].time, left + x * (right - left)};
	}
	knots[scale->knots.length++] = (struct plot_time_knot){scale->to, right};
	return 0;
}

void plot_time_scale_destroy(struct plot_time_scale *scale, const struct history *h)
{
	ARRAY_RELEASE(h->allocator, &scale->knots);
}

double plot_time_x(const struct plot_time_scale *scale, uint64_t time)
{
	const struct plot_time_knot *knots = scale->knots.items;
	if (time >= scale->to)
		return scale->right;
	/* The last knot that is not after `time`. */
	size_t low = 0, high = scale->knots.length - 1;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (knots[middle].time <= time)
			low = middle;
		else
			high = middle;
	}
	if (time <= knots[low].time || knots[high].time == knots[low].time)
		return knots[low].x;
	double part =
		(double)(time - knots[low].time) / (double)(knots[high].time - knots[low].time);
	return knots[low].x + part * (knots[high].x - knots[low].x);
}

/* The first moment that is at `x` or right of it, since the beginning of the axis. */
static uint64_t time_since_start(const struct plot_time_scale *scale, double x)
{
	uint64_t low = 0, high = scale->to - scale->from;
	while (low < high) {
		uint64_t middle = low + (high - low) / 2;
		if (plot_time_x(scale, scale->from + middle) >= x)
			high = middle;
		else
			low = middle + 1;
	}
	return low;
}

/* The roundest number in [low, high]: the multiple of the largest 10^n, 5*10^n or 2*10^n. */
static uint64_t roundest(uint64_t low, uint64_t high)
{
	static const uint64_t mantissas[] = {10, 5, 2, 1};
	for (uint64_t power = UINT64_C(100000000000000000); power > 0; power /= 10) {
		for (size_t i = 0; i < sizeof(mantissas) / sizeof(mantissas[0]); i++) {
			uint64_t unit = power * mantissas[i];
			uint64_t multiple = low / unit * unit;
			if (multiple < low)
				multiple += unit;
			if (multiple <= high && multiple >= low)
				return multiple;
		}
	}
	return low;
}

struct tick_list {
	const struct plot_time_scale *scale;
	double distance;
	struct plot_tick *ticks;
	size_t nr, max;
};

/* Put ticks between two that stand, the roundest first, then left and right of it. */
static void fill_between(struct tick_list *list, double left, double right)
{
	/* Where there is little to choose from, there is no round time either. */
	if (list->nr == list->max || right - left < 2.4 * list->distance)
		return;
	uint64_t low = time_since_start(list->scale, left + list->distance);
	uint64_t high = time_since_start(list->scale, right - list->distance);
	if (low >= high)
		return;
	uint64_t time = roundest(low, high - 1);
	double x = plot_time_x(list->scale, list->scale->from + time);
	if (x - left < list->distance || right - x < list->distance)
		return;
	fill_between(list, left, x);
	if (list->nr < list->max)
		list->ticks[list->nr++] =
			(struct plot_tick){.time = list->scale->from + time, .x = x};
	fill_between(list, x, right);
}

size_t plot_time_ticks(const struct plot_time_scale *scale, double distance,
		       struct plot_tick *ticks, size_t max)
{
	struct tick_list list = {scale, distance, ticks, 0, max};
	if (list.nr < max)
		ticks[list.nr++] = (struct plot_tick){scale->from, scale->left};
	/* The end is written too, beyond the right end. */
	fill_between(&list, scale->left, scale->right);
	if (list.nr < max)
		ticks[list.nr++] = (struct plot_tick){scale->to, scale->right};
	return list.nr;
}
