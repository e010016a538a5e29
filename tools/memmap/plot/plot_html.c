/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The picture as a page. See plot_html.h.
 *
 * The data is JSON within a script element: no '<' may stand in it, whatever a file is called.
 */
#include "plot/plot_html.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include <memmap/mm.h>

#include "common/json_text.h"
#include "plot/plot_internal.h"

enum {
	DEFAULT_PANELS = 24,
	AXIS = 1000, /* the unit in which the axes are made */
};

/* The page, made from plot_page.html by the build, and where in it the data goes. */
extern const char plot_page[];
static const char marker[] = "@DATA@";

bool plot_is_html(const char *path)
{
	const char *dot = strrchr(path, '.');
	return dot && (strcasecmp(dot, ".html") == 0 || strcasecmp(dot, ".htm") == 0);
}

/*
 * ---- Data ----
 */

static json_t *kinds_of(void)
{
	json_t *kinds = json_array();
	for (size_t i = 0; i < HISTORY_NR_KINDS; i++) {
		json_t *kind = json_object();
		json_object_set_new(kind, "name", json_string(plot_kinds[i].name));
		json_object_set_new(kind, "exec", json_string(plot_kinds[i].exec));
		json_object_set_new(kind, "write", json_string(plot_kinds[i].write));
		json_object_set_new(kind, "read", json_string(plot_kinds[i].read));
		json_array_append_new(kinds, kind);
	}
	return kinds;
}

static json_t *names_of(const struct history *h)
{
	json_t *names = json_array();
	for (uint32_t i = 0; i < h->names.length; i++)
		json_array_append_new(names, json_text(history_name(h, i)));
	return names;
}

static json_t *name_or_null(const char *name)
{
	return name ? json_string(name) : json_null();
}

/* In the order of the page's constants. */
static json_t *region_of(const struct history *h, const struct history_region *region)
{
	const uint64_t flags = region->flags;
	const char perms[] = {flags & MEMMAP_VM_READ ? 'r' : '-',
			      flags & MEMMAP_VM_WRITE ? 'w' : '-',
			      flags & MEMMAP_VM_EXEC ? 'x' : '-',
			      flags & (MEMMAP_VM_SHARED | MEMMAP_VM_MAYSHARE) ? 's' : 'p', '\0'};
	json_t *array = json_array();
	json_array_append_new(array, json_number(region->range.start));
	json_array_append_new(array, json_number(region->range.end));
	json_array_append_new(array, json_number(region->from - h->from));
	json_array_append_new(array, json_number(history_end(h, region->to) - h->from));
	json_array_append_new(array, json_integer(region->kind));
	json_array_append_new(array, json_string(perms));
	json_array_append_new(array, json_integer(region->name));
	json_array_append_new(array, name_or_null(region->from_name));
	json_array_append_new(array, region->to == HISTORY_ALIVE
					     ? json_null()
					     : json_string(region->to_name ? region->to_name : ""));
	json_array_append_new(array, json_number(region->from_call));
	json_array_append_new(array, json_number(region->to_call));
	json_array_append_new(array, json_integer(region->joined));
	return array;
}

static json_t *pair(json_t *first, double second)
{
	json_t *array = json_array();
	json_array_append_new(array, first);
	json_array_append_new(array, json_real(second));
	return array;
}

static json_t *time_axis_of(const struct history *h, const struct plot_time_scale *scale)
{
	json_t *knots = json_array();
	for (size_t i = 0; i < scale->knots.length; i++)
		json_array_append_new(knots, pair(json_number(scale->knots.items[i].time - h->from),
						  scale->knots.items[i].x / AXIS));
	return knots;
}

/* Upwards from 0 to 1, in the order of the addresses. */
static json_t *address_axis_of(const struct plot_addr_scale *scale)
{
	json_t *knots = json_array();
	const size_t nr = scale->knots.length;
	const bool descends =
		nr > 1 && scale->knots.items[0].addr > scale->knots.items[nr - 1].addr;
	for (size_t i = 0; i < nr; i++) {
		const struct plot_addr_knot *knot = &scale->knots.items[descends ? nr - 1 - i : i];
		json_array_append_new(
			knots, pair(json_number(knot->addr),
				    (scale->bottom - knot->y) / (scale->bottom - scale->top)));
	}
	return knots;
}

static json_t *objects_of(const struct history *h, const struct history_space *space,
			  const struct plot_addr_scale *scale)
{
	json_t *objects = json_array();
	for (size_t i = 0; i < scale->objects.length; i++) {
		const struct plot_object *object = &scale->objects.items[i];
		const struct history_region *region = &space->regions.items[object->region];
		json_t *one = json_object();
		json_object_set_new(one, "start", json_number(object->range.start));
		json_object_set_new(one, "end", json_number(object->range.end));
		json_object_set_new(one, "size", json_number(object->size));
		json_object_set_new(one, "kind", json_integer(region->kind));
		json_object_set_new(one, "name", json_text(plot_region_label(h, region)));
		json_object_set_new(one, "gap",
				    json_number(object->gap_above >= scale->least_break
							? object->gap_above
							: 0));
		json_array_append_new(objects, one);
	}
	return objects;
}

static json_t *samples_of(const struct history *h, const struct history_space *space)
{
	json_t *samples = json_array();
	for (size_t i = 0; i < space->samples.length; i++) {
		const struct history_sample *sample = &space->samples.items[i];
		json_t *one = json_array();
		json_array_append_new(one, json_number(sample->time - h->from));
		json_array_append_new(one, json_number(sample->mapped));
		json_array_append_new(one, json_number(sample->nr_vmas));
		json_array_append_new(samples, one);
	}
	return samples;
}

static json_t *end_of(const struct history_space *space, const struct history_process *process)
{
	if (space->to == HISTORY_ALIVE)
		return json_string("still running");
	if (space->to != process->to)
		return json_string("then exec");
	if (WIFSIGNALED(process->wait_status))
		return json_sprintf("killed by signal %d", WTERMSIG(process->wait_status));
	return json_sprintf("exit status %d", WEXITSTATUS(process->wait_status));
}

static json_t *space_of(const struct history *h, const struct history_space *space,
			const struct plot_time_scale *time, const struct plot_addr_scale *addr)
{
	const struct history_process *process = &h->processes.items[space->process];
	json_t *object = json_object(), *regions = json_array();
	for (size_t i = 0; i < space->regions.length; i++)
		json_array_append_new(regions, region_of(h, &space->regions.items[i]));
	json_object_set_new(object, "pid", json_integer(process->pid));
	json_object_set_new(object, "command", json_text(history_name(h, space->command)));
	json_object_set_new(object, "forked", json_boolean(space->forked));
	json_object_set_new(object, "from", json_number(space->from - h->from));
	json_object_set_new(object, "to", json_number(history_end(h, space->to) - h->from));
	json_object_set_new(object, "calls", json_number(space->calls));
	json_object_set_new(object, "peak_mapped", json_number(space->peak_mapped));
	json_object_set_new(object, "peak_vmas", json_number(space->peak_nr_vmas));
	json_object_set_new(object, "end", end_of(space, process));
	json_object_set_new(object, "regions", regions);
	json_object_set_new(object, "samples", samples_of(h, space));
	json_object_set_new(object, "time", time_axis_of(h, time));
	json_object_set_new(object, "addr", address_axis_of(addr));
	json_object_set_new(object, "objects", objects_of(h, space, addr));
	return object;
}

static int append_space(json_t *spaces, const struct history *h, const struct history_space *space,
			enum plot_axis axis)
{
	struct plot_time_scale time = {0};
	struct plot_addr_scale addr = {0};
	int err = plot_time_scale_init(&time, h, space, axis, 0, AXIS);
	if (err)
		return err;
	err = plot_addr_scale_init(&addr, h, space, &time, 0, AXIS, AXIS);
	if (!err) {
		json_array_append_new(spaces, space_of(h, space, &time, &addr));
		plot_addr_scale_destroy(&addr, h);
	}
	plot_time_scale_destroy(&time, h);
	return err;
}

struct candidate {
	const struct history_space *space;
};

/* Those that tell most: what a fork made and did little with comes last. */
static int compare_telling(const void *a, const void *b)
{
	const struct history_space *first = ((const struct candidate *)a)->space;
	const struct history_space *second = ((const struct candidate *)b)->space;
	const bool first_copy = first->forked && first->changes < 3;
	const bool second_copy = second->forked && second->changes < 3;
	if (first_copy != second_copy)
		return first_copy - second_copy;
	if (first->changes != second->changes)
		return first->changes > second->changes ? -1 : 1;
	return (first > second) - (first < second);
}

static int compare_age(const void *a, const void *b)
{
	const struct history_space *first = ((const struct candidate *)a)->space;
	const struct history_space *second = ((const struct candidate *)b)->space;
	return (first > second) - (first < second);
}

static int append_spaces(json_t *spaces, const struct history *h,
			 const struct plot_options *options, size_t *left_out)
{
	const size_t nr = h->spaces.length;
	size_t shown = options->max_panels ? options->max_panels : DEFAULT_PANELS;
	struct candidate *order = calloc(nr + 1, sizeof(*order));
	int err = 0;
	if (!order)
		return -ENOMEM;
	for (size_t i = 0; i < nr; i++)
		order[i].space = &h->spaces.items[i];
	shown = shown < nr ? shown : nr;
	*left_out = nr - shown;
	qsort(order, nr, sizeof(*order), compare_telling);
	qsort(order, shown, sizeof(*order), compare_age);
	for (size_t i = 0; i < shown && !err; i++)
		err = append_space(spaces, h, order[i].space, options->axis);
	free(order);
	return err;
}

static json_t *notes_of(const struct history *h, size_t left_out)
{
	json_t *notes = json_array();
	char count[48];
	uint64_t forgotten = 0;
	for (size_t i = 0; i < h->spaces.length; i++)
		forgotten += h->spaces.items[i].nr_forgotten;
	if (left_out > 0)
		json_array_append_new(notes,
				      json_sprintf("%s not drawn, which did least",
						   plot_text_counted(left_out, "address space",
								     count, sizeof(count))));
	if (forgotten > 0)
		json_array_append_new(notes,
				      json_sprintf("%s too short-lived to be recorded one by one",
						   plot_text_counted(forgotten, "mapping", count,
								     sizeof(count))));
	return notes;
}

/* NULL, and the error in `*err`. */
static json_t *data_of(const struct history *h, const struct plot_options *options, int *err)
{
	json_t *data = json_object(), *spaces = json_array();
	size_t left_out = 0;
	const char *title = options->title;
	if (!title)
		title = h->processes.length ? history_name(h, h->processes.items[0].command) : "";
	*err = append_spaces(spaces, h, options, &left_out);
	json_object_set_new(data, "title", json_text(title));
	json_object_set_new(data, "processes",
			    json_number(h->processes.length + h->nr_uncounted_processes));
	json_object_set_new(data, "calls", json_number(h->calls));
	json_object_set_new(data, "to", json_number(h->to - h->from));
	json_object_set_new(data, "notes", notes_of(h, left_out));
	json_object_set_new(data, "kinds", kinds_of());
	json_object_set_new(data, "names", names_of(h));
	json_object_set_new(data, "spaces", spaces);
	if (*err) {
		json_decref(data);
		return NULL;
	}
	return data;
}

/*
 * ---- The page ----
 */

/* Written by jansson piece by piece. '<' stands only in strings, where it may be escaped. */
static int put_escaped(const char *buffer, size_t size, void *arg)
{
	FILE *out = arg;
	for (size_t i = 0; i < size; i++)
		if ((buffer[i] == '<' ? fputs("\\u003c", out) : fputc(buffer[i], out)) == EOF)
			return -1;
	return 0;
}

int plot_write_html(const struct history *h, FILE *out, const struct plot_options *options)
{
	int err;
	const char *at = strstr(plot_page, marker);
	if (options->axis > PLOT_AXIS_CALLS || !at)
		return -EINVAL;
	json_begin();
	json_t *data = data_of(h, options, &err);
	if (!data || json_is_incomplete()) {
		json_decref(data);
		return err ? err : -ENOMEM;
	}
	errno = 0;
	fwrite(plot_page, 1, (size_t)(at - plot_page), out);
	if (json_dump_callback(data, put_escaped, out, JSON_COMPACT | JSON_REAL_PRECISION(9)))
		err = -(errno ? errno : ENOMEM);
	fputs(at + strlen(marker), out);
	json_decref(data);
	if (!err && (fflush(out) || ferror(out)))
		err = -(errno ? errno : EIO);
	return err;
}

int plot_write_as(const char *path, const struct history *h, FILE *out,
		  const struct plot_options *options)
{
	return plot_is_html(path) ? plot_write_html(h, out, options) : plot_write(h, out, options);
}
