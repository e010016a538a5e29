/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The regions of one address space, and the words within them.
 *
 * Regions that continue one another (a heap that grows) are drawn as one shape: a *chain*. What is
 * too small to be seen is not drawn; what is too much to be drawn one by one is drawn as a
 * layered ground, by object, that tells how many mappings it stands for.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

#include <memmap/mm.h>

#include "plot/plot_internal.h"

enum {
	MAX_CHAINS = 4000, /* drawn in one panel */
	MAX_WORDS = 150,   /* written in one panel */
	FONT = 10,
};

#define LEAST_STEP   0.4  /* px: narrower steps of a chain are left out */
#define LEAST_WIDTH  0.5  /* px: what is narrower is drawn this wide */
#define LEAST_AREA   0.02 /* px^2: what is smaller is not drawn */
#define LEAST_HEIGHT 0.25 /* px: what is lower is not drawn */
#define TEXT_HEIGHT  12.0 /* px: what a word needs */

struct box {
	double left, right, top, bottom;
};

/* A mapping with all its changes of size. */
struct chain {
	uint32_t first, last; /* regions */
	uint32_t nr_steps;
	uint32_t object;     /* that its first region lies in */
	double area, height; /* of its highest step */
	bool drawn;
};

/* A free rectangle within a chain, for a word. */
struct room {
	double left, right, top, bottom;
	uint32_t chain;
};

struct painter {
	const struct history *h;
	struct svg *svg; /* NULL: it only measures */
	const struct plot_panel *panel;
	const struct history_region *regions;
	uint32_t *next; /* of a region: the one that continues it, or HISTORY_NONE */
	size_t nr_regions;
	ARRAY(struct chain) chains;
	ARRAY(double) areas;
	ARRAY(struct box) steps; /* of the chain that is drawn */
	ARRAY(struct room) rooms;
	ARRAY(uint32_t) skipped; /* by object: how many chains were too small */
	size_t nr_skipped;
};

/* ---- Geometry ---- */

static struct box box_of(const struct painter *p, const struct history_region *region)
{
	const struct plot_panel *panel = p->panel;
	struct box box = {
		.left = plot_time_x(&panel->time, region->from),
		.right = plot_time_x(&panel->time, history_end(p->h, region->to)),
		.top = plot_addr_y(&panel->addr, region->range.end),
		.bottom = plot_addr_y(&panel->addr, region->range.start),
	};
	if (box.right - box.left < LEAST_WIDTH)
		box.right = box.left + LEAST_WIDTH;
	if (box.right > panel->time.right) {
		box.right = panel->time.right;
		if (box.right - box.left < LEAST_WIDTH)
			box.left = box.right - LEAST_WIDTH;
	}
	return box;
}

static uint32_t object_at(const struct plot_panel *panel, uint64_t addr)
{
	size_t low = 0, high = panel->addr.objects.length;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (panel->addr.objects.items[middle].range.end > addr)
			high = middle;
		else
			low = middle + 1;
	}
	return (uint32_t)low;
}

/* ---- Chains ---- */

static int make_chains(struct painter *p)
{
	for (size_t i = 0; i < p->nr_regions; i++)
		p->next[i] = HISTORY_NONE;
	for (size_t i = 0; i < p->nr_regions; i++)
		if (p->regions[i].continues != HISTORY_NONE)
			p->next[p->regions[i].continues] = (uint32_t)i;
	for (size_t i = 0; i < p->nr_regions; i++) {
		if (p->regions[i].continues != HISTORY_NONE)
			continue;
		if (!ARRAY_RESERVE(p->h->allocator, &p->chains, 1))
			return -ENOMEM;
		struct chain chain = {
			.first = (uint32_t)i,
			.object = object_at(p->panel, p->regions[i].range.start),
		};
		for (uint32_t id = chain.first; id != HISTORY_NONE; id = p->next[id]) {
			struct box box = box_of(p, &p->regions[id]);
			chain.area += (box.right - box.left) * (box.bottom - box.top);
			if (box.bottom - box.top > chain.height)
				chain.height = box.bottom - box.top;
			chain.last = id;
			chain.nr_steps++;
		}
		p->chains.items[p->chains.length++] = chain;
	}
	return 0;
}

static int compare_doubles_down(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x < y) - (x > y);
}

/* Choose the MAX_CHAINS largest, and count the others by object. */
static int choose_chains(struct painter *p)
{
	const struct memmap_allocator *allocator = p->h->allocator;
	size_t nr = p->chains.length, nr_objects = p->panel->addr.objects.length;
	if (!ARRAY_RESERVE(allocator, &p->skipped, nr_objects))
		return -ENOMEM;
	for (size_t i = 0; i < nr_objects; i++)
		p->skipped.items[p->skipped.length++] = 0;
	double least = LEAST_AREA;
	if (nr > MAX_CHAINS) {
		if (!ARRAY_RESERVE(allocator, &p->areas, nr))
			return -ENOMEM;
		for (size_t i = 0; i < nr; i++)
			p->areas.items[i] = p->chains.items[i].area;
		qsort(p->areas.items, nr, sizeof(double), compare_doubles_down);
		if (p->areas.items[MAX_CHAINS] > least)
			least = p->areas.items[MAX_CHAINS];
	}
	size_t drawn = 0;
	for (size_t i = 0; i < nr; i++) {
		struct chain *chain = &p->chains.items[i];
		chain->drawn =
			chain->area >= least && chain->height >= LEAST_HEIGHT && drawn < MAX_CHAINS;
		drawn += chain->drawn;
		if (!chain->drawn) {
			p->skipped.items[chain->object]++;
			p->nr_skipped++;
		}
	}
	return 0;
}

/* ---- Drawing ---- */

static void put_title(struct painter *p, const struct chain *chain)
{
	const struct history *h = p->h;
	const struct history_region *first = &p->regions[chain->first];
	const struct history_region *last = &p->regions[chain->last];
	uint64_t begin = p->panel->time.from, largest = 0;
	for (uint32_t id = chain->first; id != HISTORY_NONE; id = p->next[id])
		if (memmap_addr_range_length(p->regions[id].range) > largest)
			largest = memmap_addr_range_length(p->regions[id].range);

	char text[PLOT_TEXT_SIZE], size[32], from[32], to[32];
	if (first->joined > 0) {
		plot_text_counted(first->joined, "short-lived mapping", text, sizeof(text));
		svg_put(p->svg, "<title>%t between %t and %t</title>", text,
			plot_text_duration(first->from - begin, from, sizeof(from)),
			plot_text_duration(first->to - begin, to, sizeof(to)));
		return;
	}
	const char *name = history_name(h, first->name);
	svg_put(p->svg, "<title>%t%s\n", *name ? name : plot_region_label(h, first),
		first->tail ? " (zeroed memory behind its data)" : "");
	(void)snprintf(text, sizeof(text), "%c%c%c%c %" PRIx64 "-%" PRIx64 " %s",
		       first->flags & MEMMAP_VM_READ ? 'r' : '-',
		       first->flags & MEMMAP_VM_WRITE ? 'w' : '-',
		       first->flags & MEMMAP_VM_EXEC ? 'x' : '-',
		       first->flags & MEMMAP_VM_MAYSHARE ? 's' : 'p', last->range.start,
		       last->range.end,
		       plot_text_bytes(memmap_addr_range_length(last->range), size, sizeof(size)));
	svg_put(p->svg, "%t\n", text);
	if (chain->nr_steps > 1) {
		char at_first[32];
		plot_text_bytes(memmap_addr_range_length(first->range), at_first, sizeof(at_first));
		plot_text_bytes(largest, size, sizeof(size));
		(void)snprintf(text, sizeof(text), "%s at first, at most %s, in %" PRIu32 " steps",
			       at_first, size, chain->nr_steps);
		svg_put(p->svg, "%t\n", text);
	}
	plot_text_duration(first->from - begin, from, sizeof(from));
	plot_text_duration(history_end(h, last->to) - begin, to, sizeof(to));
	(void)snprintf(text, sizeof(text), "from %s%s%s%s to %s%s%s%s", from,
		       first->from_name ? " (" : "", first->from_name ? first->from_name : "",
		       first->from_name ? ")" : "", last->to == HISTORY_ALIVE ? "the end" : to,
		       last->to_name ? " (" : "", last->to_name ? last->to_name : "",
		       last->to_name ? ")" : "");
	svg_put(p->svg, "%t</title>", text);
}

/* The outline of a chain of steps: along the tops to the right, along the bottoms back. */
static int put_outline(struct painter *p, const struct chain *chain)
{
	if (!ARRAY_RESERVE(p->h->allocator, &p->steps, chain->nr_steps))
		return -ENOMEM;
	size_t nr = 0;
	for (uint32_t id = chain->first; id != HISTORY_NONE; id = p->next[id]) {
		struct box box = box_of(p, &p->regions[id]);
		if (nr == 0 || id == chain->last ||
		    box.left - p->steps.items[nr - 1].left >= LEAST_STEP)
			p->steps.items[nr++] = box;
	}
	struct svg *svg = p->svg;
	const struct box *steps = p->steps.items;
	svg_put(svg, "M%n %n", steps[0].left, steps[0].top);
	for (size_t i = 1; i < nr; i++)
		svg_put(svg, "H%nV%n", steps[i].left, steps[i].top);
	svg_put(svg, "H%nV%n", steps[nr - 1].right, steps[nr - 1].bottom);
	for (size_t i = nr - 1; i > 0; i--)
		svg_put(svg, "H%nV%n", steps[i].left, steps[i - 1].bottom);
	svg_put(svg, "H%nZ", steps[0].left);
	return 0;
}

static int draw_chain(struct painter *p, const struct chain *chain)
{
	struct svg *svg = p->svg;
	const struct history_region *first = &p->regions[chain->first];
	struct box box = box_of(p, first);
	char shade[2] = {first->joined ? 't' : plot_shade(first->flags), '\0'};
	bool writable_text = (first->flags & MEMMAP_VM_WRITE) && (first->flags & MEMMAP_VM_EXEC);
	/* An edge around what is large enough to have one. */
	const char *edge = "";
	double width = box.right - box.left, height = box.bottom - box.top;
	if (chain->nr_steps == 1 && width >= 4 && height >= 3)
		edge = writable_text && height >= 5 ? " wx" : " e";
	if (chain->nr_steps == 1) {
		svg_put(svg, "<rect class=\"%s%s%s\" x=\"%n\" y=\"%n\" width=\"%n\" height=\"%n\">",
			plot_kinds[first->kind].letter, shade, edge, box.left, box.top,
			box.right - box.left, box.bottom - box.top);
		put_title(p, chain);
		svg_put(svg, "</rect>\n");
	} else {
		svg_put(svg, "<path class=\"%s%s%s\" d=\"", plot_kinds[first->kind].letter, shade,
			edge);
		int err = put_outline(p, chain);
		if (err < 0)
			return err;
		svg_put(svg, "\">");
		put_title(p, chain);
		svg_put(svg, "</path>\n");
	}
	return 0;
}

/* A layered ground for the objects that have chains which are not drawn one by one. */
static void draw_grounds(struct painter *p)
{
	for (size_t i = 0; i < p->skipped.length; i++) {
		const struct plot_object *object = &p->panel->addr.objects.items[i];
		if (p->skipped.items[i] == 0 || object->bottom - object->top < 1)
			continue;
		double left = plot_time_x(&p->panel->time, object->from);
		double right = plot_time_x(&p->panel->time, object->to);
		char count[64];
		plot_text_counted(p->skipped.items[i], "mapping", count, sizeof(count));
		svg_put(p->svg,
			"<rect class=\"%st\" x=\"%n\" y=\"%n\" width=\"%n\" height=\"%n\">"
			"<title>%t too small to draw one by one</title></rect>\n",
			plot_kinds[p->regions[object->region].kind].letter, left, object->top,
			right - left, object->bottom - object->top, count);
	}
}

/* ---- Words ---- */

/*
 * The widest rectangle within a chain that is high enough for a word: of every run of steps, what
 * all of them have in common.
 */
static bool find_room(struct painter *p, uint32_t chain_id, struct room *best)
{
	const struct chain *chain = &p->chains.items[chain_id];
	enum { MAX_STEPS = 200 }; /* looked at as possible beginnings */
	uint32_t stride = chain->nr_steps / MAX_STEPS + 1, at = 0;
	double width = 0;
	for (uint32_t from = chain->first; from != HISTORY_NONE; from = p->next[from], at++) {
		if (at % stride != 0)
			continue;
		struct box common = box_of(p, &p->regions[from]);
		for (uint32_t id = from; id != HISTORY_NONE; id = p->next[id]) {
			struct box box = box_of(p, &p->regions[id]);
			common.right = box.right;
			if (box.top > common.top)
				common.top = box.top;
			if (box.bottom < common.bottom)
				common.bottom = box.bottom;
			if (common.bottom - common.top < TEXT_HEIGHT)
				break;
			if (common.right - common.left > width) {
				width = common.right - common.left;
				*best = (struct room){common.left, common.right, common.top,
						      common.bottom, chain_id};
			}
		}
	}
	return width > 0;
}

static int compare_rooms(const void *a, const void *b)
{
	const struct room *x = a, *y = b;
	double x_area = (x->right - x->left) * (x->bottom - x->top);
	double y_area = (y->right - y->left) * (y->bottom - y->top);
	if (x_area != y_area)
		return x_area > y_area ? -1 : 1;
	return (x->chain > y->chain) - (x->chain < y->chain);
}

/* The largest rooms get words; within an object, each name is written once. */
static int write_words(struct painter *p)
{
	for (uint32_t i = 0; i < p->chains.length; i++) {
		const struct chain *chain = &p->chains.items[i];
		struct room room = {0};
		if (!chain->drawn || p->regions[chain->first].joined > 0 ||
		    chain->area < 30 * TEXT_HEIGHT || !find_room(p, i, &room))
			continue;
		if (!ARRAY_RESERVE(p->h->allocator, &p->rooms, 1))
			return -ENOMEM;
		p->rooms.items[p->rooms.length++] = room;
	}
	if (p->rooms.length > 0)
		qsort(p->rooms.items, p->rooms.length, sizeof(struct room), compare_rooms);
	size_t words = 0;
	for (size_t i = 0; i < p->rooms.length && words < MAX_WORDS; i++) {
		const struct room *room = &p->rooms.items[i];
		const struct chain *chain = &p->chains.items[room->chain];
		const struct history_region *first = &p->regions[chain->first];
		bool repeated = false;
		for (size_t k = 0; k < i && !repeated; k++) {
			const struct chain *other = &p->chains.items[p->rooms.items[k].chain];
			repeated = other->object == chain->object &&
				   p->regions[other->first].name == first->name &&
				   p->regions[other->first].kind == first->kind;
		}
		const char *label = plot_region_label(p->h, first);
		double room_width = room->right - room->left - 8;
		double text_width = plot_text_width(label, FONT);
		if (repeated || (text_width > room_width && room_width < 70))
			continue;
		char text[PLOT_TEXT_SIZE];
		plot_text_fit(label, FONT, room_width, text, sizeof(text));
		svg_put(p->svg,
			"<text class=\"%s\" x=\"%n\" y=\"%n\" font-size=\"%d\" "
			"text-anchor=\"middle\">%t</text>\n",
			plot_shade(first->flags) == 'x' ? "on" : "in",
			(room->left + room->right) / 2, (room->top + room->bottom) / 2 + 3.6, FONT,
			text);
		words++;
	}
	return 0;
}

/* ---- The whole ---- */

static int painter_init(struct painter *p, const struct plot *plot, const struct plot_panel *panel)
{
	size_t nr = panel->space->regions.length;
	*p = (struct painter){
		.h = plot->h,
		.panel = panel,
		.regions = panel->space->regions.items,
		.nr_regions = nr,
	};
	if (nr == 0)
		return 0;
	p->next = memmap_allocate(plot->h->allocator, nr * sizeof(*p->next), sizeof(*p->next));
	if (!p->next)
		return -ENOMEM;
	int err = make_chains(p);
	return err == 0 ? choose_chains(p) : err;
}

static void painter_destroy(struct painter *p)
{
	const struct memmap_allocator *allocator = p->h->allocator;
	memmap_deallocate(allocator, p->next, p->nr_regions * sizeof(*p->next));
	ARRAY_RELEASE(allocator, &p->chains);
	ARRAY_RELEASE(allocator, &p->areas);
	ARRAY_RELEASE(allocator, &p->steps);
	ARRAY_RELEASE(allocator, &p->rooms);
	ARRAY_RELEASE(allocator, &p->skipped);
}

int plot_regions_measure(const struct plot *plot, struct plot_panel *panel)
{
	struct painter p;
	int err = painter_init(&p, plot, panel);
	panel->nr_skipped = p.nr_skipped;
	painter_destroy(&p);
	return err;
}

int plot_regions_draw(struct plot *plot, const struct plot_panel *panel)
{
	struct painter p;
	int err = painter_init(&p, plot, panel);
	p.svg = &plot->svg;
	if (err == 0 && p.nr_skipped > 0)
		draw_grounds(&p);
	/* What stands for many lies below what stands for itself. */
	for (int joined = 1; joined >= 0; joined--)
		for (size_t i = 0; i < p.chains.length && err == 0; i++)
			if (p.chains.items[i].drawn &&
			    (p.regions[p.chains.items[i].first].joined > 0) == joined)
				err = draw_chain(&p, &p.chains.items[i]);
	if (err == 0)
		err = write_words(&p);
	painter_destroy(&p);
	return err;
}
