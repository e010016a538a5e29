/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the picture share.
 *
 *   plot.c         the page: which address spaces get a panel, title, legend
 *   plot_strip.c   the processes in true time
 *   plot_panel.c   one address space: frame, axes, regions
 *   plot_regions.c its regions, and the words within them
 *   plot_labels.c  words beside something, so that none covers another
 *   plot_chart.c   bytes and VMAs over time
 *   plot_addr.c, plot_time.c  the axes; plot_text.c, svg.c  words and markup
 */
#ifndef MEMMAP_TOOL_PLOT_INTERNAL_H
#define MEMMAP_TOOL_PLOT_INTERNAL_H

#include "history/history_data.h"
#include "plot/plot.h"
#include "plot/plot_scale.h"
#include "plot/plot_text.h"
#include "plot/svg.h"

struct plot {
	const struct history *h;
	struct svg svg;
	enum plot_axis axis;
	double width;                 /* of the page */
	double left, right;           /* of every panel's area */
	double least_area, most_area; /* its height */
};

/* One address space, laid out. */
struct plot_panel {
	const struct history_space *space;
	struct plot_time_scale time;
	struct plot_addr_scale addr;
	double top;                     /* of its title */
	double area_top, area_bottom;   /* of the address space */
	double chart_top, chart_bottom; /* of the chart below */
	double bottom;                  /* of everything */
	size_t nr_skipped;              /* mappings that were too small to draw */
};

/* How much wider bold text is. */
#define BOLD 1.13

/* ---- Kinds: plot_kinds.c ---- */

struct plot_kind {
	const char *letter; /* of its CSS classes: "l" gives lx, lw, lr and ln */
	const char *name;
	const char *exec, *write, *read; /* colours */
};
extern const struct plot_kind plot_kinds[HISTORY_NR_KINDS];

/** The class of a region's shade: 'x', 'w', 'r' or 'n'. */
char plot_shade(uint64_t flags);

/** What a region is called in the picture: a file's basename, "[heap]", "anonymous". */
const char *plot_region_label(const struct history *h, const struct history_region *region);

/* ---- Words beside something: plot_labels.c ---- */

struct plot_label {
	double wanted;     /* where its middle would best be */
	double at;         /* where it is put */
	double importance; /* the least important give way */
	uint32_t id;       /* for its owner */
	bool shown;
};

/**
 * Put labels in a column (or a row) of [low, high], each at least `distance` from the next, as
 * close to where they are wanted as can be. The least important are not shown when there are too
 * many.
 *
 * `labels` are reordered: by `wanted`, those with the same by id.
 *
 * Returns:     how many are not shown
 */
size_t plot_labels_spread(struct plot_label *labels, size_t nr, double low, double high,
			  double distance);

/** Show the most important labels that fit where they are wanted, each `distance` from the next. */
void plot_labels_choose(struct plot_label *labels, size_t nr, double distance);

/* ---- Parts of the page ---- */

int plot_panel_init(struct plot_panel *panel, const struct plot *plot,
		    const struct history_space *space, double top);
void plot_panel_destroy(struct plot_panel *panel, const struct plot *plot);
int plot_panel_draw(struct plot *plot, const struct plot_panel *panel);

/** Find out how many mappings are too small to be drawn: fills in `nr_skipped`. */
int plot_regions_measure(const struct plot *plot, struct plot_panel *panel);
int plot_regions_draw(struct plot *plot, const struct plot_panel *panel);

void plot_chart_draw(struct plot *plot, const struct plot_panel *panel);

/** How much room the processes' strip takes; 0 when there is but one process. */
double plot_strip_height(const struct plot *plot);
int plot_strip_draw(struct plot *plot, double top);

#endif /* MEMMAP_TOOL_PLOT_INTERNAL_H */
