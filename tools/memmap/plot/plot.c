/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page: title, legend, the processes, a panel for each address space that is worth one, and in
 * words what was left out.
 *
 * Everything is laid out before the first byte is written, since an SVG begins with its size. The
 * page brings its own background, so that it reads the same on light and dark ones.
 */
#include "plot/plot.h"

#include <errno.h>
#include <stdlib.h>

#include <memmap/mm.h>

#include "plot/plot_internal.h"

enum {
	DEFAULT_WIDTH = 1200,
	LEAST_WIDTH = 1200, /* what the legend takes */
	MOST_WIDTH = 8000,
	DEFAULT_PANELS = 6,
	LEFT = 132,  /* room for addresses */
	RIGHT = 262, /* room for names */
};

/* ---- Which address spaces get a panel ---- */

/* What a fork made, and what did nothing of its own, tells nothing. */
static bool is_mere_copy(const struct history_space *space)
{
	return space->forked && space->changes < 3;
}

struct candidate {
	const struct history_space *space;
	double score;
};

static double part_of(uint64_t value, uint64_t whole)
{
	return whole ? (double)value / (double)whole : 0;
}

/* What an address space tells: it lived long, did much, was large. */
static void score(const struct history *h, struct candidate *candidates, size_t nr)
{
	uint64_t lived = 0, changes = 0, mapped = 0;
	for (size_t i = 0; i < nr; i++) {
		const struct history_space *space = candidates[i].space;
		uint64_t life = history_end(h, space->to) - space->from;
		lived = life > lived ? life : lived;
		changes = space->changes > changes ? space->changes : changes;
		mapped = space->peak_mapped > mapped ? space->peak_mapped : mapped;
	}
	for (size_t i = 0; i < nr; i++) {
		const struct history_space *space = candidates[i].space;
		candidates[i].score = part_of(history_end(h, space->to) - space->from, lived) +
				      part_of(space->changes, changes) +
				      part_of(space->peak_mapped, mapped);
		if (space->forked)
			candidates[i].score *= 0.5; /* much of it is its parent's */
	}
}

static int compare_age(const void *a, const void *b)
{
	const struct candidate *x = a, *y = b;
	return (x->space > y->space) - (x->space < y->space);
}

/*
 * Bring those that get a panel to the front, in the order in which they began: always the most
 * telling of those that are left, where each panel of a program makes its next one less telling.
 */
static void choose(const struct history *h, struct candidate *candidates, size_t nr, size_t shown)
{
	score(h, candidates, nr);
	for (size_t i = 0; i < shown; i++) {
		size_t best = i;
		for (size_t k = i + 1; k < nr; k++)
			if (candidates[k].score > candidates[best].score ||
			    (candidates[k].score == candidates[best].score &&
			     candidates[k].space < candidates[best].space))
				best = k;
		struct candidate chosen = candidates[best];
		candidates[best] = candidates[i];
		candidates[i] = chosen;
		for (size_t k = i + 1; k < nr; k++)
			if (candidates[k].space->program == chosen.space->program)
				candidates[k].score *= 0.4;
	}
	if (shown > 0)
		qsort(candidates, shown, sizeof(*candidates), compare_age);
}

/* ---- Head of the page ---- */

static void put_style(struct plot *plot)
{
	svg_put(&plot->svg,
		"<style>\n"
		"text{font-family:\"DejaVu Sans\",Verdana,Helvetica,Arial,sans-serif;fill:#222;"
		"white-space:pre}\n"
		".h{font-weight:bold}.pid{fill:#666}.dim{fill:#666}.gone{fill:#777}.bad{fill:#"
		"b00020}\n"
		".addr{font-family:\"DejaVu Sans Mono\",Menlo,Consolas,monospace;fill:#555}\n"
		".gap{fill:#888;font-style:italic}.on{fill:#fff}.in{fill:#111}\n"
		".on,.in{pointer-events:none}\n"
		".page{fill:#fdfdfb}.area{fill:#f1f1ee}\n"
		".grid{stroke:#000;stroke-opacity:.1;fill:none}.tick{stroke:#888}\n"
		".rug{stroke:#777;stroke-width:.7}.axis{stroke:#999;fill:none}\n"
		".break{fill:#fdfdfb;stroke:#aaa;stroke-width:.8}.lead{stroke:#aaa;fill:none;"
		"stroke-width:.8}\n"
		".e{stroke:#fff;stroke-width:.6}.wx{stroke:#d00000;stroke-width:1.2}\n"

		".bytes{fill:#b5bcc6}.bytesk{fill:#5d6673}.vmas{fill:none;stroke:#20242a;"
		"stroke-width:1.1}.vmask{fill:#20242a}\n"
		".fork{stroke:#20242a;stroke-opacity:.55;stroke-width:.8;stroke-dasharray:2 "
		"2;fill:none}"
		".forked{fill:#20242a}\n"
		".life{fill:#b5bcc6}.exec{fill:#20242a}\n");
	for (size_t i = 0; i < HISTORY_NR_KINDS; i++) {
		const struct plot_kind *kind = &plot_kinds[i];
		svg_put(&plot->svg,
			".%sx{fill:%s}.%sw{fill:%s}.%sr{fill:%s}.%sn{fill:url(#n%s)}"
			".%st{fill:url(#t%s)}\n",
			kind->letter, kind->exec, kind->letter, kind->write, kind->letter,
			kind->read, kind->letter, kind->letter, kind->letter, kind->letter);
	}
	svg_put(&plot->svg, "</style>\n<defs>\n");
	/* Stripes for what nobody can access, thin layers for what is too small to draw. */
	for (size_t i = 0; i < HISTORY_NR_KINDS; i++)
		svg_put(&plot->svg,
			"<pattern id=\"t%s\" width=\"4\" height=\"3\" "
			"patternUnits=\"userSpaceOnUse\"><rect width=\"4\" height=\"3\" "
			"fill=\"%s\"/><rect width=\"4\" height=\"1\" fill=\"%s\"/></pattern>\n",
			plot_kinds[i].letter, plot_kinds[i].read, plot_kinds[i].write);
	for (size_t i = 0; i < HISTORY_NR_KINDS; i++)
		svg_put(&plot->svg,
			"<pattern id=\"n%s\" width=\"5\" height=\"5\" "
			"patternUnits=\"userSpaceOnUse\" patternTransform=\"rotate(45)\">"
			"<rect width=\"5\" height=\"5\" fill=\"#fbfbf8\"/>"
			"<rect width=\"1.3\" height=\"5\" fill=\"%s\"/></pattern>\n",
			plot_kinds[i].letter, plot_kinds[i].write);
	svg_put(&plot->svg, "</defs>\n");
}

enum { LEGEND_WRITABLE_CODE = 1 << HISTORY_NR_KINDS };

/* The kinds in the panels, as a set of bits, and whether there is writable code. */
static unsigned int kinds_shown(const struct plot_panel *panels, size_t nr)
{
	unsigned int kinds = 0;
	for (size_t i = 0; i < nr; i++)
		for (size_t k = 0; k < panels[i].space->regions.length; k++) {
			const struct history_region *region = &panels[i].space->regions.items[k];
			kinds |= 1u << region->kind;
			if (region->flags & MEMMAP_VM_WRITE && region->flags & MEMMAP_VM_EXEC)
				kinds |= LEGEND_WRITABLE_CODE;
		}
	return kinds;
}

static double put_swatch(struct plot *plot, double x, double y, const char *letter,
			 const char *shades)
{
	for (; *shades; shades++, x += 15) {
		char shade[2] = {*shades, '\0'};
		svg_put(&plot->svg,
			"<rect class=\"%s%s\" x=\"%n\" y=\"%n\" width=\"14\" height=\"11\"/>",
			letter, shade, x, y - 9.5);
	}
	return x;
}

static double put_word(struct plot *plot, double x, double y, const char *word)
{
	svg_put(&plot->svg, "<text x=\"%n\" y=\"%n\" font-size=\"11\">%t</text>\n", x + 4, y, word);
	return x + 4 + plot_text_width(word, 11) + 18;
}

/* Kinds by hue, permissions by shade. */
static void draw_legend(struct plot *plot, double top, unsigned int kinds)
{
	static const struct {
		const char *shade, *meaning;
	} shades[] = {
		{"x", "executable"}, {"w", "writable"}, {"r", "read-only"}, {"n", "no access"}};
	double x = 20, y = top + 10;
	for (size_t i = 0; i < HISTORY_NR_KINDS; i++) {
		if (!(kinds & 1u << i))
			continue;
		x = put_swatch(plot, x, y, plot_kinds[i].letter, "xwr");
		x = put_word(plot, x, y, plot_kinds[i].name);
	}
	x = 20;
	y += 18;
	for (size_t i = 0; i < sizeof(shades) / sizeof(shades[0]); i++) {
		x = put_swatch(plot, x, y, "f", shades[i].shade);
		x = put_word(plot, x, y, shades[i].meaning);
	}
	if (kinds & LEGEND_WRITABLE_CODE) {
		svg_put(&plot->svg,
			"<rect class=\"fx wx\" x=\"%n\" y=\"%n\" width=\"14\" height=\"11\"/>", x,
			y - 9.5);
		x = put_word(plot, x + 15, y, "writable and executable");
	}
	svg_put(&plot->svg,
		"<text class=\"dim\" x=\"%n\" y=\"%n\" font-size=\"10.5\">heights grow with the "
		"fourth root of the size; time is stretched where calls are many</text>\n",
		x + 6, y);
}

static void draw_title(struct plot *plot, const char *title)
{
	const struct history *h = plot->h;
	char text[PLOT_TEXT_SIZE], processes[48], calls[48], time[32];
	double before = plot_text_width("memmap trace", 17) + 14;
	svg_put(&plot->svg, "<text class=\"dim\" x=\"20\" y=\"32\" font-size=\"17\">memmap trace"
			    "</text>\n");
	plot_text_fit(title, 17, (plot->width - 40 - before) / BOLD, text, sizeof(text));
	svg_put(&plot->svg, "<text class=\"h\" x=\"%n\" y=\"32\" font-size=\"17\">%t</text>\n",
		20 + before, text);
	uint64_t nr = h->processes.length + h->nr_uncounted_processes;
	(void)snprintf(text, sizeof(text), "%s%s \xc2\xb7 %s \xc2\xb7 %s",
		       plot_text_count(nr, processes, sizeof(processes)),
		       nr == 1 ? " process" : " processes",
		       plot_text_counted(h->calls, "memory call", calls, sizeof(calls)),
		       plot_text_duration(h->to - h->from, time, sizeof(time)));
	svg_put(&plot->svg, "<text class=\"dim\" x=\"20\" y=\"51\" font-size=\"12\">%t</text>\n",
		text);
}

/* ---- The page ---- */

#define HEAD_HEIGHT   64.0
#define LEGEND_HEIGHT 48.0
#define NOTE_HEIGHT   16.0

/* What is not in the picture, a line each. */
static size_t put_notes(struct plot *plot, const struct plot_panel *panels, size_t nr_panels,
			size_t nr_candidates, double top, bool draw)
{
	char text[PLOT_TEXT_SIZE], count[48], time[32];
	size_t nr = 0;
	uint64_t forgotten = 0, longest = 0, skipped = 0;
	for (size_t i = 0; i < nr_panels; i++) {
		const struct history_space *space = panels[i].space;
		forgotten += space->nr_forgotten;
		skipped += panels[i].nr_skipped;
		if (space->longest_forgotten > longest)
			longest = space->longest_forgotten;
	}
	uint64_t copies = 0;
	for (size_t i = 0; i < plot->h->spaces.length; i++)
		copies += is_mere_copy(&plot->h->spaces.items[i]);
	const struct {
		uint64_t count;
		const char *noun, *words;
	} notes[] = {
		{copies, "address space", "not drawn: a fork's copy, changed little or not at all"},
		{nr_candidates - nr_panels, "address space",
		 "not drawn: shorter-lived, smaller, or much like one that is"},
		{forgotten, "mapping", "too short-lived to be recorded one by one, at most"},
		{skipped, "mapping", "too small to be drawn one by one: the finely layered areas"},
	};
	for (size_t i = 0; i < sizeof(notes) / sizeof(notes[0]); i++) {
		if (notes[i].count == 0)
			continue;
		plot_text_counted(notes[i].count, notes[i].noun, count, sizeof(count));
		(void)snprintf(text, sizeof(text), "%s %s %s", count, notes[i].words,
			       i == 2 ? plot_text_duration(longest, time, sizeof(time)) : "");
		if (draw)
			svg_put(&plot->svg,
				"<text class=\"dim\" x=\"20\" y=\"%n\" font-size=\"10.5\">%t"
				"</text>\n",
				top + NOTE_HEIGHT * (double)nr + 10, text);
		nr++;
	}
	return nr;
}

static int draw_page(struct plot *plot, const char *title, struct plot_panel *panels,
		     size_t nr_panels, size_t nr_candidates, double height)
{
	svg_put(&plot->svg,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%n\" height=\"%n\" "
		"viewBox=\"0 0 %n %n\">\n<title>memmap trace: %t</title>\n",
		plot->width, height, plot->width, height, title);
	put_style(plot);
	svg_put(&plot->svg, "<rect class=\"page\" width=\"%n\" height=\"%n\"/>\n", plot->width,
		height);
	draw_title(plot, title);
	draw_legend(plot, HEAD_HEIGHT, kinds_shown(panels, nr_panels));
	int err = plot_strip_draw(plot, HEAD_HEIGHT + LEGEND_HEIGHT);
	for (size_t i = 0; i < nr_panels && err == 0; i++)
		err = plot_panel_draw(plot, &panels[i]);
	if (nr_candidates == 0)
		svg_put(&plot->svg,
			"<text class=\"dim\" x=\"20\" y=\"%n\" font-size=\"12\">No address space "
			"was "
			"recorded.</text>\n",
			height - 40);
	double notes = nr_panels ? panels[nr_panels - 1].bottom : height - 30;
	(void)put_notes(plot, panels, nr_panels, nr_candidates, notes, true);
	svg_put(&plot->svg, "</svg>\n");
	return err < 0 ? err : plot->svg.error;
}

static int draw_panels(struct plot *plot, const struct plot_options *options,
		       struct candidate *candidates, size_t nr_candidates)
{
	const struct history *h = plot->h;
	size_t max = options->max_panels ? options->max_panels : DEFAULT_PANELS;
	size_t nr = nr_candidates < max ? nr_candidates : max, done = 0;
	choose(h, candidates, nr_candidates, nr);
	/* Many panels are lower, so that the page stays one that can be looked over. */
	plot->least_area = nr > 1 ? 210 : 340;
	plot->most_area = nr > 1 ? 460 : 640;
	struct plot_panel *panels = NULL;
	if (nr > 0) {
		panels = memmap_allocate(h->allocator, nr * sizeof(*panels),
					 _Alignof(struct plot_panel));
		if (!panels)
			return -ENOMEM;
	}
	double top = HEAD_HEIGHT + LEGEND_HEIGHT + plot_strip_height(plot);
	int err = 0;
	for (; done < nr && err == 0; done++) {
		err = plot_panel_init(&panels[done], plot, candidates[done].space, top);
		if (err < 0)
			break;
		top = panels[done].bottom;
	}
	if (err == 0) {
		const char *title = options->title;
		if (!title)
			title = h->processes.length ? history_name(h, h->processes.items[0].command)
						    : "";
		double notes =
			NOTE_HEIGHT * (double)put_notes(plot, panels, nr, nr_candidates, 0, false);
		err = draw_page(plot, title, panels, nr, nr_candidates,
				top + notes + (nr == 0 ? 60 : 8));
	}
	for (size_t i = 0; i < done; i++)
		plot_panel_destroy(&panels[i], plot);
	memmap_deallocate(h->allocator, panels, nr * sizeof(*panels));
	return err;
}

int plot_write(const struct history *h, FILE *out, const struct plot_options *options)
{
	unsigned int width = options->width ? options->width : DEFAULT_WIDTH;
	if (width < LEAST_WIDTH || width > MOST_WIDTH || options->axis > PLOT_AXIS_CALLS)
		return -EINVAL;
	struct plot plot = {
		.h = h,
		.svg = {.out = out},
		.axis = options->axis,
		.width = width,
		.left = LEFT,
		.right = width - RIGHT,
	};
	size_t nr_spaces = h->spaces.length, nr = 0;
	struct candidate *candidates = memmap_allocate(
		h->allocator, (nr_spaces + 1) * sizeof(*candidates), _Alignof(struct candidate));
	if (!candidates)
		return -ENOMEM;
	for (size_t i = 0; i < nr_spaces; i++)
		if (!is_mere_copy(&h->spaces.items[i]))
			candidates[nr++].space = &h->spaces.items[i];
	int err = draw_panels(&plot, options, candidates, nr);
	memmap_deallocate(h->allocator, candidates, (nr_spaces + 1) * sizeof(*candidates));
	if (err == 0 && fflush(out) != 0)
		err = -errno;
	return err;
}
