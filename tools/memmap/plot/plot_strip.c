/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The strip of processes: a bar for each, in true time, from its start to its end. A fork is a line
 * from the parent's bar to the child's, an exec a mark on the bar, and what a process ran stands
 * beside it. The longest-lived are shown, in the order in which they began.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/wait.h>

#include "plot/plot_internal.h"

enum { MAX_ROWS = 18, ROW = 15, FONT = 10 };

#define HEAD 22.0

struct row {
	uint32_t process;
	uint64_t lived;
};

static size_t nr_rows(const struct plot *plot)
{
	size_t nr = plot->h->processes.length;
	return nr < MAX_ROWS ? nr : MAX_ROWS;
}

static uint64_t nr_left_out(const struct plot *plot)
{
	return plot->h->processes.length - nr_rows(plot) + plot->h->nr_uncounted_processes;
}

double plot_strip_height(const struct plot *plot)
{
	if (plot->h->processes.length < 2)
		return 0;
	return HEAD + ROW * (double)(nr_rows(plot) + (nr_left_out(plot) > 0)) + 34;
}

static int compare_lived(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	if (x->lived != y->lived)
		return x->lived > y->lived ? -1 : 1;
	return (x->process > y->process) - (x->process < y->process);
}

static int compare_process(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	return (x->process > y->process) - (x->process < y->process);
}

static double x_of(const struct plot *plot, uint64_t time)
{
	uint64_t whole = plot->h->to - plot->h->from;
	double part = whole ? (double)(time - plot->h->from) / (double)whole : 0;
	return plot->left + part * (plot->right - plot->left);
}

static void draw_row(struct plot *plot, const struct history_process *process, uint32_t id,
		     double middle)
{
	const struct history *h = plot->h;
	double from = x_of(plot, process->from), to = x_of(plot, history_end(h, process->to));
	if (to - from < 1.5)
		to = from + 1.5;
	char text[PLOT_TEXT_SIZE], pid[32], lived[32];
	(void)snprintf(pid, sizeof(pid), "%d", (int)process->pid);
	plot_text_duration(history_end(h, process->to) - process->from, lived, sizeof(lived));
	svg_put(&plot->svg,
		"<rect class=\"life\" x=\"%n\" y=\"%n\" width=\"%n\" height=\"8\" rx=\"2\">"
		"<title>%t: lived %t</title></rect>\n",
		from, middle - 4, to - from, history_name(h, process->command), lived);
	bool executed = false;
	for (size_t i = 0; i < h->spaces.length; i++) {
		const struct history_space *space = &h->spaces.items[i];
		if (space->process != id || space->forked)
			continue;
		executed = true;
		char begin[32];
		plot_text_duration(space->from - h->from, begin, sizeof(begin));
		svg_put(&plot->svg,
			"<path class=\"exec\" d=\"M%n %nl4 4l-4 4l-4 -4Z\"><title>exec at %t: "
			"%t</title></path>\n",
			x_of(plot, space->from), middle - 4, begin,
			history_name(h, space->command));
	}
	svg_put(&plot->svg,
		"<text class=\"pid\" x=\"%n\" y=\"%n\" font-size=\"%d\" text-anchor=\"end\">%t"
		"</text>\n",
		plot->left - 8, middle + 3.5, FONT, pid);
	/* What it ran: at the right, for all alike, so that no bar stands in the way. */
	char status[32] = "";
	if (process->to != HISTORY_ALIVE && WIFSIGNALED(process->wait_status))
		(void)snprintf(status, sizeof(status), "signal %d", WTERMSIG(process->wait_status));
	else if (process->to != HISTORY_ALIVE && WEXITSTATUS(process->wait_status) != 0)
		(void)snprintf(status, sizeof(status), "exit %d",
			       WEXITSTATUS(process->wait_status));
	double room = plot->width - plot->right - 12 - 14 - plot_text_width(status, FONT);
	if (executed || process->parent == HISTORY_NONE)
		plot_text_fit(plot_text_command(history_name(h, process->command)), FONT, room,
			      text, sizeof(text));
	else
		(void)snprintf(text, sizeof(text), "fork of %d",
			       (int)h->processes.items[process->parent].pid);
	svg_put(&plot->svg,
		"<text class=\"%s\" x=\"%n\" y=\"%n\" font-size=\"%d\">%t<tspan class=\"bad\" "
		"dx=\"6\">%t</tspan></text>\n",
		executed ? "name" : "dim", plot->right + 12, middle + 3.5, FONT, text, status);
}

static void draw_times(struct plot *plot, double top, double bottom)
{
	struct plot_time_knot knots[] = {{plot->h->from, plot->left}, {plot->h->to, plot->right}};
	if (plot->h->to == plot->h->from)
		return;
	struct plot_time_scale scale = {
		.from = plot->h->from, .to = plot->h->to, .left = plot->left, .right = plot->right};
	scale.knots.items = knots;
	scale.knots.length = 2;
	struct plot_tick ticks[32];
	size_t nr = plot_time_ticks(&scale, 90, ticks, 32);
	for (size_t i = 0; i < nr; i++) {
		char text[48];
		if (i + 1 == nr)
			plot_text_duration(ticks[i].time - scale.from, text, sizeof(text));
		else
			plot_text_time(ticks[i].time - scale.from, text, sizeof(text));
		svg_put(&plot->svg,
			"<path class=\"grid\" d=\"M%n %nV%n\"/><text class=\"dim\" x=\"%n\" "
			"y=\"%n\" "
			"font-size=\"10\" text-anchor=\"middle\">%t</text>\n",
			ticks[i].x, top, bottom + 3, ticks[i].x, bottom + 14, text);
	}
}

int plot_strip_draw(struct plot *plot, double top)
{
	const struct history *h = plot->h;
	size_t nr = nr_rows(plot), nr_processes = h->processes.length;
	if (nr_processes < 2)
		return 0;
	struct row *rows =
		memmap_allocate(h->allocator, nr_processes * sizeof(*rows), _Alignof(struct row));
	if (!rows)
		return -ENOMEM;
	for (size_t i = 0; i < nr_processes; i++) {
		const struct history_process *process = &h->processes.items[i];
		rows[i] = (struct row){(uint32_t)i, history_end(h, process->to) - process->from};
	}
	rows[0].lived = UINT64_MAX; /* the first one is always there */
	qsort(rows, nr_processes, sizeof(*rows), compare_lived);
	qsort(rows, nr, sizeof(*rows), compare_process);

	svg_put(&plot->svg,
		"<text class=\"h\" x=\"20\" y=\"%n\" font-size=\"13\">Processes</text>\n",
		top + 13);
	double first = top + HEAD + ROW / 2.0, bottom = top + HEAD + ROW * (double)nr;
	draw_times(plot, top + HEAD, bottom);
	/* Lines from parents to children lie under the bars. */
	for (size_t i = 0; i < nr; i++) {
		const struct history_process *process = &h->processes.items[rows[i].process];
		for (size_t k = 0; k < i; k++)
			if (rows[k].process == process->parent)
				svg_put(&plot->svg, "<path class=\"fork\" d=\"M%n %nV%n\"/>\n",
					x_of(plot, process->from), first + ROW * (double)k,
					first + ROW * (double)i);
	}
	for (size_t i = 0; i < nr; i++)
		draw_row(plot, &h->processes.items[rows[i].process], rows[i].process,
			 first + ROW * (double)i);
	if (nr_left_out(plot) > 0) {
		char count[64], text[96];
		plot_text_count(nr_left_out(plot), count, sizeof(count));
		(void)snprintf(text, sizeof(text), "and %s more, shorter-lived", count);
		svg_put(&plot->svg,
			"<text class=\"dim\" x=\"%n\" y=\"%n\" font-size=\"10\">%t</text>\n",
			plot->left, bottom + 29, text);
	}
	memmap_deallocate(h->allocator, rows, nr_processes * sizeof(*rows));
	return 0;
}
