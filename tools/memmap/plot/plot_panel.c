/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The panel of one address space.
 *
 *   pid command                                  (title)
 *   when, how long, how much                     (subtitle)
 *            │ forks, as marks above the area
 *   address  ┌──────────────────────┐ ── libc.so.6  1.9 MiB
 *            │ regions              │ ── [heap]  132 KiB
 *    47 TiB  ╌╌╌╌╌╌ break ╌╌╌╌╌╌╌╌╌╌╌
 *   address  └──────────────────────┘
 *    mapped  ▁▂▃▅▅▅▅▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆  (chart: plot_chart.c)
 *            0     1 ms     10 ms
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "plot/plot_internal.h"

enum { CHART_HEIGHT = 46, MARKS_HEIGHT = 13, MAX_MARKS = 400 };

#define LABEL_FONT     10
#define LABEL_DISTANCE 12.5
#define CROWDED        0.85 /* of the lines there is room for */
#define ADDRESS_FONT   9

/* ---- Layout ---- */

static bool is_child(const struct plot_panel *panel, const struct history_process *process)
{
	return process->parent == panel->space->process && process->from >= panel->time.from &&
	       process->from <= panel->time.to;
}

static size_t count_children(const struct plot *plot, const struct plot_panel *panel)
{
	size_t nr = 0;
	for (size_t i = 0; i < plot->h->processes.length; i++)
		nr += is_child(panel, &plot->h->processes.items[i]);
	return nr;
}

int plot_panel_init(struct plot_panel *panel, const struct plot *plot,
		    const struct history_space *space, double top)
{
	*panel = (struct plot_panel){.space = space, .top = top};
	int err = plot_time_scale_init(&panel->time, plot->h, space, plot->axis, plot->left,
				       plot->right);
	if (err < 0)
		return err;
	panel->area_top = top + 38;
	if (count_children(plot, panel) > 0)
		panel->area_top += MARKS_HEIGHT;
	err = plot_addr_scale_init(&panel->addr, plot->h, space, &panel->time, panel->area_top,
				   plot->least_area, plot->most_area);
	if (err < 0) {
		plot_time_scale_destroy(&panel->time, plot->h);
		return err;
	}
	panel->area_bottom = panel->addr.bottom;
	panel->chart_top = panel->area_bottom + 8;
	panel->chart_bottom = panel->chart_top + CHART_HEIGHT;
	panel->bottom = panel->chart_bottom + 38;
	err = plot_regions_measure(plot, panel);
	if (err < 0)
		plot_panel_destroy(panel, plot);
	return err;
}

void plot_panel_destroy(struct plot_panel *panel, const struct plot *plot)
{
	plot_time_scale_destroy(&panel->time, plot->h);
	plot_addr_scale_destroy(&panel->addr, plot->h);
}

/* ---- Title ---- */

/* How the process ended, when this was its last space. */
static const char *describe_end(const struct plot *plot, const struct plot_panel *panel, char *buf,
				size_t size)
{
	const struct history_process *process = &plot->h->processes.items[panel->space->process];
	if (panel->space->to == HISTORY_ALIVE)
		(void)snprintf(buf, size, "still running");
	else if (panel->space->to != process->to)
		(void)snprintf(buf, size, "then exec");
	else if (WIFSIGNALED(process->wait_status))
		(void)snprintf(buf, size, "killed by signal %d", WTERMSIG(process->wait_status));
	else
		(void)snprintf(buf, size, "exit status %d", WEXITSTATUS(process->wait_status));
	return buf;
}

static void draw_title(struct plot *plot, const struct plot_panel *panel)
{
	const struct history *h = plot->h;
	const struct history_space *space = panel->space;
	const struct history_process *process = &h->processes.items[space->process];
	char pid[32], text[PLOT_TEXT_SIZE], line[PLOT_TEXT_SIZE];
	(void)snprintf(pid, sizeof(pid), "%d", (int)process->pid);
	double pid_width = plot_text_width(pid, 13) + 10;
	const char *command = history_name(h, space->command);
	plot_text_fit(*command ? command : "(no name)", 13, (plot->width - 40 - pid_width) / BOLD,
		      text, sizeof(text));
	svg_put(&plot->svg, "<text class=\"pid\" x=\"20\" y=\"%n\" font-size=\"13\">%t</text>\n",
		panel->top + 13, pid);
	svg_put(&plot->svg, "<text class=\"h\" x=\"%n\" y=\"%n\" font-size=\"13\">%t</text>\n",
		20 + pid_width, panel->top + 13, text);

	char begin[32], lived[32], calls[48], bytes[32], vmas[48], reserved[64] = "", end[48];
	plot_text_duration(space->from - h->from, begin, sizeof(begin));
	plot_text_duration(history_end(h, space->to) - space->from, lived, sizeof(lived));
	plot_text_counted(space->calls, "memory call", calls, sizeof(calls));
	plot_text_bytes(space->peak_mapped, bytes, sizeof(bytes));
	plot_text_counted(space->peak_nr_vmas, "VMA", vmas, sizeof(vmas));
	if (space->peak_reserved > 0) {
		char size[32];
		plot_text_bytes(space->peak_reserved, size, sizeof(size));
		(void)snprintf(reserved, sizeof(reserved), " (and %s without access)", size);
	}
	(void)snprintf(line, sizeof(line),
		       "%s at %s \xc2\xb7 lived %s \xc2\xb7 %s \xc2\xb7 at most %s%s in %s "
		       "\xc2\xb7 %s",
		       space->forked ? "fork" : "exec", begin, lived, calls, bytes, reserved, vmas,
		       describe_end(plot, panel, end, sizeof(end)));
	svg_put(&plot->svg, "<text class=\"dim\" x=\"20\" y=\"%n\" font-size=\"10.5\">%t</text>\n",
		panel->top + 29, line);
}

/* ---- Axes ---- */

static void draw_frame(struct plot *plot, const struct plot_panel *panel)
{
	svg_put(&plot->svg, "<rect class=\"area\" x=\"%n\" y=\"%n\" width=\"%n\" height=\"%n\"/>\n",
		plot->left, panel->area_top, plot->right - plot->left,
		panel->area_bottom - panel->area_top);
}

static void draw_times(struct plot *plot, const struct plot_panel *panel)
{
	struct plot_tick ticks[64];
	size_t nr = plot_time_ticks(&panel->time, 62, ticks, 64);
	for (size_t i = 0; i < nr; i++) {
		char text[48];
		bool last = i + 1 == nr;
		if (last)
			plot_text_duration(ticks[i].time - panel->time.from, text, sizeof(text));
		else
			plot_text_time(ticks[i].time - panel->time.from, text, sizeof(text));
		svg_put(&plot->svg, "<path class=\"grid\" d=\"M%n %nV%nM%n %nV%n\"/>\n", ticks[i].x,
			panel->area_top, panel->area_bottom, ticks[i].x, panel->chart_top,
			panel->chart_bottom + 3);
		svg_put(&plot->svg,
			"<text class=\"dim\" x=\"%n\" y=\"%n\" font-size=\"10\" "
			"text-anchor=\"middle\">%t</text>\n",
			ticks[i].x, panel->chart_bottom + 14, text);
	}
}

/* A short stroke below the area for each change: where strokes are dense, time is stretched. */
static void draw_changes(struct plot *plot, const struct plot_panel *panel)
{
	double last = -1;
	svg_put(&plot->svg, "<path class=\"rug\" d=\"");
	for (size_t i = 0; i < panel->space->samples.length; i++) {
		double x = plot_time_x(&panel->time, panel->space->samples.items[i].time);
		if (last >= 0 && x - last < 1)
			continue;
		svg_put(&plot->svg, "M%n %nv4", x, panel->area_bottom + 1);
		last = x;
	}
	svg_put(&plot->svg, "\"/>\n");
}

/* A band of torn paper where addresses are left out, and how many. */
static void draw_breaks(struct plot *plot, const struct plot_panel *panel)
{
	for (size_t i = 0; i < panel->addr.objects.length; i++) {
		const struct plot_object *object = &panel->addr.objects.items[i];
		if (object->gap_above < panel->addr.least_break)
			continue;
		double middle = (object->top + panel->addr.objects.items[i + 1].bottom) / 2;
		svg_put(&plot->svg, "<path class=\"break\" d=\"M%n %n", plot->left - 6, middle - 3);
		int nr_teeth = (int)((plot->right - plot->left + 6) / 12) + 1;
		for (int tooth = 0; tooth < nr_teeth; tooth++)
			svg_put(&plot->svg, "l6 4l6 -4");
		svg_put(&plot->svg, "v5");
		for (int tooth = 0; tooth < nr_teeth; tooth++)
			svg_put(&plot->svg, "l-6 4l-6 -4");
		char size[32], text[64];
		plot_text_bytes(object->gap_above, size, sizeof(size));
		(void)snprintf(text, sizeof(text), "%s empty", size);
		svg_put(&plot->svg, "Z\"><title>%t</title></path>\n", text);
		svg_put(&plot->svg,
			"<text class=\"gap\" x=\"%n\" y=\"%n\" font-size=\"%d\" "
			"text-anchor=\"end\">%t</text>\n",
			plot->left - 10, middle + 3, ADDRESS_FONT, text);
	}
}

/* Addresses at the left: where something begins, most of all above a break. */
static int draw_addresses(struct plot *plot, const struct plot_panel *panel)
{
	ARRAY(struct plot_label) labels = {0};
	const struct plot_object *objects = panel->addr.objects.items;
	size_t nr = panel->addr.objects.length;
	if (!ARRAY_RESERVE(plot->h->allocator, &labels, 2 * nr))
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++) {
		struct plot_label label = {
			.wanted = objects[i].bottom,
			.importance = objects[i].bottom - objects[i].top,
			.id = (uint32_t)i,
		};
		if (i == 0 || objects[i - 1].gap_above >= panel->addr.least_break)
			label.importance = 1e6; /* the first of a neighbourhood */
		else if (objects[i - 1].gap_above > 0)
			label.importance += 100;
		labels.items[labels.length++] = label;
		if (objects[i].gap_above >= panel->addr.least_break) {
			/* Where the break's own words are. */
			label.wanted = (objects[i].top + objects[i + 1].bottom) / 2;
			label.importance = 1e9;
			label.id = (uint32_t)(nr + i);
			labels.items[labels.length++] = label;
		}
	}
	plot_labels_choose(labels.items, labels.length, 10.5);
	for (size_t i = 0; i < labels.length; i++) {
		const struct plot_label *label = &labels.items[i];
		if (!label->shown || label->id >= nr)
			continue;
		char text[32];
		(void)snprintf(text, sizeof(text), "0x%" PRIx64, objects[label->id].range.start);
		svg_put(&plot->svg,
			"<path class=\"tick\" d=\"M%n %nh-5\"/><text class=\"addr\" x=\"%n\" "
			"y=\"%n\" font-size=\"%d\" text-anchor=\"end\">%t</text>\n",
			plot->left, label->at, plot->left - 8, label->at + 3, ADDRESS_FONT, text);
	}
	ARRAY_RELEASE(plot->h->allocator, &labels);
	return 0;
}

/* ---- Names at the right ---- */

/* As the region's, but the kernel's two neighbours are one object. */
static const char *object_label(const struct history *h, const struct history_region *region)
{
	const char *label = plot_region_label(h, region);
	return strncmp(label, "[vvar", 5) == 0 ? "[vdso] [vvar]" : label;
}

static void draw_name(struct plot *plot, const struct plot_panel *panel,
		      const struct plot_object *object, double at)
{
	const struct history *h = plot->h;
	const struct history_region *region = &panel->space->regions.items[object->region];
	double middle = (object->top + object->bottom) / 2, x = plot->right + 26;
	char size[32], more[64] = "", until[32], text[PLOT_TEXT_SIZE];
	plot_text_bytes(object->size, size, sizeof(size));
	bool gone = object->to < panel->time.to && object->to != h->to;
	if (object->nr_others > 0)
		(void)snprintf(more, sizeof(more), "and %" PRIu32 " more, ", object->nr_others);
	if (gone) {
		char time[24];
		plot_text_duration(object->to - panel->time.from, time, sizeof(time));
		(void)snprintf(until, sizeof(until), " until %s", time);
	} else {
		until[0] = '\0';
	}
	char tail[160];
	(void)snprintf(tail, sizeof(tail), "%s%s%s", more, size, until);
	double room = plot->width - x - 14 - 18 - plot_text_width(tail, LABEL_FONT);
	plot_text_fit(object_label(h, region), LABEL_FONT, room, text, sizeof(text));
	svg_put(&plot->svg, "<path class=\"lead\" d=\"M%n %nh5L%n %nh4\"/>\n", plot->right + 1,
		middle, x - 6, at);
	svg_put(&plot->svg, "<rect class=\"%s%s\" x=\"%n\" y=\"%n\" width=\"7\" height=\"7\"/>\n",
		plot_kinds[region->kind].letter, "w", x, at - 3.5);
	svg_put(&plot->svg,
		"<text class=\"%s\" x=\"%n\" y=\"%n\" font-size=\"%d\">%t<tspan class=\"dim\" "
		"dx=\"6\">%t</tspan></text>\n",
		gone ? "gone" : "name", x + 12, at + 3.5, LABEL_FONT, text, tail);
}

static int compare_importance(const void *a, const void *b)
{
	const struct plot_label *x = a, *y = b;
	if (x->importance != y->importance)
		return x->importance > y->importance ? -1 : 1;
	return (x->id > y->id) - (x->id < y->id);
}

static int draw_names(struct plot *plot, const struct plot_panel *panel)
{
	ARRAY(struct plot_label) labels = {0};
	const struct plot_object *objects = panel->addr.objects.items;
	size_t nr = panel->addr.objects.length;
	if (!ARRAY_RESERVE(plot->h->allocator, &labels, nr))
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++)
		labels.items[labels.length++] = (struct plot_label){
			.wanted = (objects[i].top + objects[i].bottom) / 2,
			.importance = (objects[i].bottom - objects[i].top) *
				      (plot_time_x(&panel->time, objects[i].to) -
				       plot_time_x(&panel->time, objects[i].from)),
			.id = (uint32_t)i,
		};
	double low = panel->area_top + 2, high = panel->chart_top - 10;
	/* When they crowd, leave some out: a name far from its place helps nobody. */
	size_t most = (size_t)(CROWDED * (high - low) / LABEL_DISTANCE), hidden = 0;
	if (nr > most) {
		qsort(labels.items, nr, sizeof(*labels.items), compare_importance);
		hidden = nr - most;
		labels.length = most;
		high -= LABEL_DISTANCE; /* room for the line that says so */
	}
	hidden += plot_labels_spread(labels.items, labels.length, low, high, LABEL_DISTANCE);
	for (size_t i = 0; i < labels.length; i++)
		if (labels.items[i].shown)
			draw_name(plot, panel, &objects[labels.items[i].id], labels.items[i].at);
	if (hidden > 0) {
		char text[64];
		(void)snprintf(text, sizeof(text), "and %zu smaller or shorter-lived", hidden);
		svg_put(&plot->svg,
			"<text class=\"dim\" x=\"%n\" y=\"%n\" font-size=\"%d\">%t</text>\n",
			plot->right + 38, panel->chart_top - 6.5, LABEL_FONT, text);
	}
	ARRAY_RELEASE(plot->h->allocator, &labels);
	return 0;
}

/* ---- Children ---- */

static int draw_children(struct plot *plot, const struct plot_panel *panel)
{
	size_t nr = count_children(plot, panel), drawn = 0;
	if (nr == 0)
		return 0;
	const struct history_process *processes = plot->h->processes.items;
	double last_text = plot->left - 1e6, last_mark = -1e6, last_through = -1e6;
	for (size_t i = 0; i < plot->h->processes.length && drawn < MAX_MARKS; i++) {
		if (!is_child(panel, &processes[i]))
			continue;
		double x = plot_time_x(&panel->time, processes[i].from);
		if (x - last_mark < 1)
			continue;
		last_mark = x;
		drawn++;
		/* Through the whole area only where there is room between. */
		bool through = x - last_through >= 5;
		svg_put(&plot->svg, "<path class=\"fork\" d=\"M%n %nV%n\"/>\n", x,
			panel->area_top - 4, through ? panel->area_bottom : panel->area_top);
		if (through)
			last_through = x;
		char text[48];
		(void)snprintf(text, sizeof(text), "\xe2\x86\xb3 %d", (int)processes[i].pid);
		double width = plot_text_width(text, ADDRESS_FONT);
		if (x + 3 < last_text + 4 || x + 3 + width > plot->width - 20)
			continue;
		svg_put(&plot->svg,
			"<text class=\"forked\" x=\"%n\" y=\"%n\" font-size=\"%d\">%t</text>\n",
			x + 3, panel->area_top - 4, ADDRESS_FONT, text);
		last_text = x + 3 + width;
	}
	return 0;
}

int plot_panel_draw(struct plot *plot, const struct plot_panel *panel)
{
	draw_title(plot, panel);
	draw_frame(plot, panel);
	draw_times(plot, panel);
	draw_changes(plot, panel);
	int err = plot_regions_draw(plot, panel);
	if (err < 0)
		return err;
	draw_breaks(plot, panel);
	err = draw_addresses(plot, panel);
	if (err == 0)
		err = draw_names(plot, panel);
	if (err == 0)
		err = draw_children(plot, panel);
	plot_chart_draw(plot, panel);
	return err;
}
