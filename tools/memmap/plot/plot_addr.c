/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The address axis.
 *
 * An address space is mostly empty, and what is in it differs in size by nine powers of ten. So:
 *
 *   - the addresses are cut into *cells* at every start and end of a region;
 *   - each cell belongs to the region that was longest there, and neighbouring cells of the same
 *     thing (a library's segments) make an *object*;
 *   - an object's height grows with the fourth root of its size, and what was there but for a
 * moment gets less; within an object, cells share the height by the square root of their sizes, so
 * that a page of data remains visible beside megabytes of text;
 *   - empty cells become narrow gaps, and those of PLOT_BREAK and more a break.
 *
 * Objects that would be too many are joined with their neighbours, across the smallest gaps first.
 */
#include "plot/plot_scale.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>

enum {
	MAX_OBJECTS = 60,
	MAX_BREAKS = 8,
};

#define LARGE        (UINT64_C(1) << 20) /* bytes of an anonymous mapping */
#define MOST_OF_HOLE (UINT64_C(1) << 15) /* bytes that a hole within an object counts for */
#define LEAST_OBJECT 3.0                 /* px */
#define LEAST_CELL   2.0                 /* px, as long as cells are few */
#define MARGIN       4.0                 /* above the highest and below the lowest object */

/* A piece of the address space between two neighbouring ends of regions. */
struct cell {
	struct memmap_addr_range range;
	uint32_t owner; /* a region; HISTORY_NONE: never mapped */
	uint32_t next;  /* while painting: where to look for a cell without an owner */
};

struct axis {
	const struct history *h;
	const struct history_space *space;
	const struct plot_time_scale *time;
	ARRAY(struct cell) cells;
	ARRAY(uint32_t) order; /* regions, in the order in which they paint */
	ARRAY(double) boundaries;
};

/* ---- Cells ---- */

static int compare_addresses(const void *a, const void *b)
{
	uint64_t x = ((const struct cell *)a)->range.start;
	uint64_t y = ((const struct cell *)b)->range.start;
	return (x > y) - (x < y);
}

/* Cut the addresses at every start and end. */
static int cut_cells(struct axis *axis)
{
	size_t nr = axis->space->regions.length;
	if (!ARRAY_RESERVE(axis->h->allocator, &axis->cells, 2 * nr))
		return -ENOMEM;
	struct cell *cells = axis->cells.items;
	for (size_t i = 0; i < nr; i++) {
		struct memmap_addr_range range = axis->space->regions.items[i].range;
		cells[2 * i].range.start = range.start;
		cells[2 * i + 1].range.start = range.end;
	}
	qsort(cells, 2 * nr, sizeof(*cells), compare_addresses);
	size_t kept = 0;
	for (size_t i = 0; i < 2 * nr; i++)
		if (kept == 0 || cells[kept - 1].range.start != cells[i].range.start)
			cells[kept++].range.start = cells[i].range.start;
	/* The last address only ends the cell before it. */
	kept = kept > 0 ? kept - 1 : 0;
	for (size_t i = 0; i < kept; i++) {
		cells[i].range.end = cells[i + 1].range.start;
		cells[i].owner = HISTORY_NONE;
		cells[i].next = (uint32_t)i;
	}
	axis->cells.length = kept;
	return 0;
}

/* The cell that starts at `addr`. */
static size_t find_cell(const struct axis *axis, uint64_t addr)
{
	size_t low = 0, high = axis->cells.length;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (axis->cells.items[middle].range.start < addr)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static double width_of(const struct axis *axis, const struct history_region *region)
{
	double width = plot_time_x(axis->time, history_end(axis->h, region->to)) -
		       plot_time_x(axis->time, region->from);
	/* What stands for many was there only now and then. */
	return region->joined > 0 ? width / 100 : width;
}

/* qsort_r: what is wider in the picture paints first, then what is larger, then what is older. */
static int compare_importance(const void *a, const void *b, void *context)
{
	const struct axis *axis = context;
	uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
	const struct history_region *x = &axis->space->regions.items[i];
	const struct history_region *y = &axis->space->regions.items[j];
	double x_width = width_of(axis, x), y_width = width_of(axis, y);
	if (x_width != y_width)
		return x_width > y_width ? -1 : 1;
	uint64_t x_size = memmap_addr_range_length(x->range);
	uint64_t y_size = memmap_addr_range_length(y->range);
	if (x_size != y_size)
		return x_size > y_size ? -1 : 1;
	return (i > j) - (i < j);
}

/* The first cell from `i` on that has no owner; looking it up shortens the way for the next time.
 */
static size_t next_unpainted(struct axis *axis, size_t i)
{
	struct cell *cells = axis->cells.items;
	size_t found = i;
	while (found < axis->cells.length && cells[found].next != found)
		found = cells[found].next;
	while (i < axis->cells.length && cells[i].next != i) {
		size_t next = cells[i].next;
		cells[i].next = (uint32_t)found;
		i = next;
	}
	return found;
}

/* Give each cell to the most important region that was ever there. */
static int paint_cells(struct axis *axis)
{
	size_t nr = axis->space->regions.length;
	if (!ARRAY_RESERVE(axis->h->allocator, &axis->order, nr))
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++)
		axis->order.items[i] = (uint32_t)i;
	qsort_r(axis->order.items, nr, sizeof(*axis->order.items), compare_importance, axis);
	for (size_t i = 0; i < nr; i++) {
		uint32_t id = axis->order.items[i];
		struct memmap_addr_range range = axis->space->regions.items[id].range;
		size_t at = next_unpainted(axis, find_cell(axis, range.start));
		while (at < axis->cells.length && axis->cells.items[at].range.start < range.end) {
			axis->cells.items[at].owner = id;
			axis->cells.items[at].next = (uint32_t)at + 1;
			at = next_unpainted(axis, at);
		}
	}
	return 0;
}

/* ---- Objects ---- */

/* Are they parts of one thing? */
static bool belong_together(const struct history_region *a, const struct history_region *b)
{
	switch ((enum history_kind)a->kind) {
	case HISTORY_PROGRAM:
	case HISTORY_LIBRARY:
	case HISTORY_FILE:
	case HISTORY_SHARED:
		return a->kind == b->kind && a->name == b->name;
	case HISTORY_ANONYMOUS:
		/* Neighbours by chance, or one reserve of which a part is in use: large ones with
		   different permissions are told apart. */
		return a->kind == b->kind &&
		       (a->flags == b->flags || memmap_addr_range_length(a->range) < LARGE ||
			memmap_addr_range_length(b->range) < LARGE);
	default:
		return a->kind == b->kind;
	}
}

static void extend_object(const struct axis *axis, struct plot_object *object,
			  const struct cell *cell)
{
	const struct history_region *owner = &axis->space->regions.items[cell->owner];
	object->range.end = cell->range.end;
	object->size += memmap_addr_range_length(cell->range);
	object->nr_parts++;
	if (owner->from < object->from)
		object->from = owner->from;
	if (history_end(axis->h, owner->to) > object->to)
		object->to = history_end(axis->h, owner->to);
	if (compare_importance(&cell->owner, &object->region, (void *)axis) < 0)
		object->region = cell->owner;
}

static int make_objects(struct axis *axis, struct plot_addr_scale *scale)
{
	const struct cell *cells = axis->cells.items;
	uint32_t below = HISTORY_NONE; /* the owner of the cell before */
	for (size_t i = 0; i < axis->cells.length; i++) {
		if (cells[i].owner == HISTORY_NONE)
			continue;
		const struct history_region *owner = &axis->space->regions.items[cells[i].owner];
		struct plot_object *last =
			scale->objects.length ? &scale->objects.items[scale->objects.length - 1]
					      : NULL;
		/* Also across a small hole, when it is a file that has a name. */
		if (last && belong_together(&axis->space->regions.items[below], owner) &&
		    (cells[i].range.start == last->range.end ||
		     (owner->kind <= HISTORY_LIBRARY &&
		      cells[i].range.start - last->range.end < (UINT64_C(1) << 24)))) {
			extend_object(axis, last, &cells[i]);
			below = cells[i].owner;
			continue;
		}
		if (!ARRAY_RESERVE(axis->h->allocator, &scale->objects, 1))
			return -ENOMEM;
		struct plot_object object = {
			.range = cells[i].range,
			.size = 0,
			.from = owner->from,
			.to = history_end(axis->h, owner->to),
			.region = cells[i].owner,
		};
		extend_object(axis, &object, &cells[i]);
		below = cells[i].owner;
		scale->objects.items[scale->objects.length++] = object;
	}
	return 0;
}

static double fourth_root_of_pages(uint64_t bytes)
{
	return sqrt(sqrt((double)bytes / 4096));
}

/* How much is lost when the objects on both sides of a boundary are joined. */
static double cost_of_joining(const struct axis *axis, const struct plot_addr_scale *scale,
			      const struct plot_object *below, const struct plot_object *above)
{
	uint64_t gap = above->range.start - below->range.end;
	uint64_t smaller = below->size < above->size ? below->size : above->size;
	/* Never across a break, unless nothing else is left. */
	if (gap >= scale->least_break)
		return 1e6 + fourth_root_of_pages(gap);
	/* Much of the same: scattered chunks of an allocator. */
	if (belong_together(&axis->space->regions.items[below->region],
			    &axis->space->regions.items[above->region]))
		return 0;
	return fourth_root_of_pages(smaller) + 0.1 * log2(1 + (double)gap);
}

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static int compare_doubles_down(const void *a, const void *b)
{
	return compare_doubles(b, a);
}

/* Only the MAX_BREAKS widest gaps are breaks, and none below PLOT_BREAK. */
static int choose_breaks(struct axis *axis, struct plot_addr_scale *scale)
{
	size_t nr = scale->objects.length;
	const struct plot_object *objects = scale->objects.items;
	scale->least_break = PLOT_BREAK;
	if (nr <= MAX_BREAKS)
		return 0;
	if (!ARRAY_RESERVE(axis->h->allocator, &axis->boundaries, nr - 1))
		return -ENOMEM;
	double *gaps = axis->boundaries.items;
	for (size_t i = 0; i + 1 < nr; i++)
		gaps[i] = (double)(objects[i + 1].range.start - objects[i].range.end);
	qsort(gaps, nr - 1, sizeof(*gaps), compare_doubles_down);
	if (nr - 1 > MAX_BREAKS && gaps[MAX_BREAKS] >= (double)PLOT_BREAK)
		scale->least_break = (uint64_t)gaps[MAX_BREAKS] + 1;
	return 0;
}

static void join_objects(const struct axis *axis, struct plot_object *below,
			 const struct plot_object *above)
{
	below->range.end = above->range.end;
	below->size += above->size;
	below->nr_parts += above->nr_parts;
	below->nr_others +=
		above->nr_others + (belong_together(&axis->space->regions.items[below->region],
						    &axis->space->regions.items[above->region])
					    ? 0
					    : 1);
	if (above->from < below->from)
		below->from = above->from;
	if (above->to > below->to)
		below->to = above->to;
	if (compare_importance(&above->region, &below->region, (void *)axis) < 0)
		below->region = above->region;
}

/* Join neighbours where it costs least, until at most MAX_OBJECTS are left. */
static int limit_objects(struct axis *axis, struct plot_addr_scale *scale)
{
	size_t nr = scale->objects.length;
	if (nr <= MAX_OBJECTS)
		return 0;
	struct plot_object *objects = scale->objects.items;
	if (!ARRAY_RESERVE(axis->h->allocator, &axis->boundaries, nr - 1))
		return -ENOMEM;
	double *costs = axis->boundaries.items;
	for (size_t i = 0; i + 1 < nr; i++)
		costs[i] = cost_of_joining(axis, scale, &objects[i], &objects[i + 1]);
	qsort(costs, nr - 1, sizeof(*costs), compare_doubles);
	/* Boundaries that cost the same are alike: all of them go, or the picture would be patchy.
	 */
	double dearest = costs[nr - MAX_OBJECTS - 1];

	size_t kept = 0;
	struct plot_object before = objects[0];
	for (size_t i = 1; i < nr; i++) {
		struct plot_object object = objects[i];
		if (cost_of_joining(axis, scale, &before, &object) <= dearest)
			join_objects(axis, &objects[kept], &object);
		else
			objects[++kept] = object;
		before = object;
	}
	scale->objects.length = kept + 1;
	return 0;
}

/* ---- Heights ---- */

static double height_of_object(const struct axis *axis, const struct plot_object *object)
{
	double width = plot_time_x(axis->time, object->to) - plot_time_x(axis->time, object->from);
	double whole = axis->time->right - axis->time->left;
	double seen = width / (0.12 * whole);
	double visibility = seen >= 1 ? 1 : 0.3 + 0.7 * seen;
	/* Of many parts each gets a little more, to be told from the others. */
	double parts = object->nr_parts < 100 ? 0.7 * object->nr_parts : 70;
	double height = (2.5 + 3.6 * fourth_root_of_pages(object->size) + parts) * visibility;
	if (height > 130)
		height = 130;
	return height < LEAST_OBJECT ? LEAST_OBJECT : height;
}

static double height_of_gap(const struct plot_addr_scale *scale, uint64_t gap)
{
	if (gap == 0)
		return 1;
	if (gap >= scale->least_break)
		return 18;
	return gap < (1 << 20) ? 3 : 6;
}

/* What a cell asks of its object's height: by its size, when it is not a hole. */
static double root_of_cell(const struct cell *cell)
{
	uint64_t length = memmap_addr_range_length(cell->range);
	if (cell->owner == HISTORY_NONE && length > MOST_OF_HOLE)
		length = MOST_OF_HOLE;
	return sqrt((double)length);
}

/* Knots for the cells first..end of one object, whose bottom and top are known. */
static void place_cells(const struct axis *axis, struct plot_addr_scale *scale, size_t first,
			size_t end, const struct plot_object *object)
{
	const struct cell *cells = axis->cells.items;
	double height = object->bottom - object->top, nr = (double)(end - first), roots = 0;
	for (size_t i = first; i < end; i++)
		roots += root_of_cell(&cells[i]);
	double even = nr * LEAST_CELL / height;
	if (even > 0.5)
		even = 0.5;
	double y = object->bottom;
	for (size_t i = first; i < end; i++) {
		double root = root_of_cell(&cells[i]);
		scale->knots.items[scale->knots.length++] =
			(struct plot_addr_knot){cells[i].range.start, y};
		y -= height * (even / nr + (1 - even) * root / roots);
	}
	scale->knots.items[scale->knots.length++] =
		(struct plot_addr_knot){object->range.end, object->top};
}

static int place_objects(struct axis *axis, struct plot_addr_scale *scale)
{
	size_t nr = scale->objects.length;
	struct plot_object *objects = scale->objects.items;
	double sum = 0, gaps = 2 * MARGIN;
	for (size_t i = 0; i < nr; i++) {
		sum += height_of_object(axis, &objects[i]) - LEAST_OBJECT;
		gaps += LEAST_OBJECT;
		objects[i].gap_above =
			i + 1 < nr ? objects[i + 1].range.start - objects[i].range.end : 0;
		if (i + 1 < nr)
			gaps += height_of_gap(scale, objects[i].gap_above);
	}
	double factor = 1;
	if (gaps + sum > scale->most)
		factor = (scale->most - gaps) / sum;
	else if (gaps + sum < scale->least && sum > 0)
		factor = (scale->least - gaps) / sum;
	if (factor < 0)
		factor = 0; /* MAX_OBJECTS leaves room, so this is only a belt */
	if (factor > 2.5)
		factor = 2.5;
	scale->bottom = scale->top + gaps + sum * factor;

	if (!ARRAY_RESERVE(axis->h->allocator, &scale->knots, axis->cells.length + nr))
		return -ENOMEM;
	double y = scale->bottom - MARGIN;
	size_t cell = 0;
	for (size_t i = 0; i < nr; i++) {
		objects[i].bottom = y;
		y -= LEAST_OBJECT + (height_of_object(axis, &objects[i]) - LEAST_OBJECT) * factor;
		objects[i].top = y;
		cell = find_cell(axis, objects[i].range.start);
		place_cells(axis, scale, cell, find_cell(axis, objects[i].range.end), &objects[i]);
		if (i + 1 < nr)
			y -= height_of_gap(scale, objects[i].gap_above);
	}
	return 0;
}

/* ---- The axis ---- */

int plot_addr_scale_init(struct plot_addr_scale *scale, const struct history *h,
			 const struct history_space *space, const struct plot_time_scale *time,
			 double top, double least, double most)
{
	*scale = (struct plot_addr_scale){
		.top = top, .bottom = top + 40, .least = least, .most = most};
	if (space->regions.length == 0)
		return 0;
	struct axis axis = {.h = h, .space = space, .time = time};
	int err = cut_cells(&axis);
	if (err == 0)
		err = paint_cells(&axis);
	if (err == 0)
		err = make_objects(&axis, scale);
	if (err == 0)
		err = choose_breaks(&axis, scale);
	if (err == 0)
		err = limit_objects(&axis, scale);
	if (err == 0)
		err = place_objects(&axis, scale);
	ARRAY_RELEASE(h->allocator, &axis.cells);
	ARRAY_RELEASE(h->allocator, &axis.order);
	ARRAY_RELEASE(h->allocator, &axis.boundaries);
	if (err < 0)
		plot_addr_scale_destroy(scale, h);
	return err;
}

void plot_addr_scale_destroy(struct plot_addr_scale *scale, const struct history *h)
{
	ARRAY_RELEASE(h->allocator, &scale->objects);
	ARRAY_RELEASE(h->allocator, &scale->knots);
}

double plot_addr_y(const struct plot_addr_scale *scale, uint64_t addr)
{
	const struct plot_addr_knot *knots = scale->knots.items;
	size_t nr = scale->knots.length;
	if (nr == 0 || addr <= knots[0].addr)
		return nr == 0 ? scale->bottom : knots[0].y;
	if (addr >= knots[nr - 1].addr)
		return knots[nr - 1].y;
	/* The last knot that is not above `addr`. */
	size_t low = 0, high = nr - 1;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;
		if (knots[middle].addr <= addr)
			low = middle;
		else
			high = middle;
	}
	if (knots[high].addr == knots[low].addr)
		return knots[low].y;
	double part =
		(double)(addr - knots[low].addr) / (double)(knots[high].addr - knots[low].addr);
	return knots[low].y + part * (knots[high].y - knots[low].y);
}
