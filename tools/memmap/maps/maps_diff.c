/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What differs between two captures. See maps.h.
 *
 * Mappings are compared by their addresses, which says something about one process at two moments:
 *
 *   -  it is in the first capture only     ~  both have it, and it has changed: the same file and
 *   +  it is in the second only               the same permissions over some of the same addresses,
 *                                             or the same addresses with other permissions
 *
 * Groups (--by) are compared by their names, which also says something about two processes.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/json_text.h"
#include "common/terminal.h"
#include "maps/maps.h"
#include "plot/plot_text.h"

struct change {
	const struct capture_vma *before, *after; /* one may be NULL */
};

struct diff {
	const struct capture *a, *b;
	const struct maps_options *options;
	bool has_counts; /* both have them */
	ARRAY(struct change) changes;
	uint64_t nr_same;
	struct maps_groups groups_a, groups_b;
};

/*
 * ---- Mappings ----
 */

static bool overlap(const struct capture_vma *a, const struct capture_vma *b)
{
	return a->range.start < b->range.end && b->range.start < a->range.end;
}

static bool is_same_range(const struct capture_vma *a, const struct capture_vma *b)
{
	return a->range.start == b->range.start && a->range.end == b->range.end;
}

/* Is `b` what has become of `a`? */
static bool corresponds(const struct capture_vma *a, const struct capture_vma *b)
{
	if (strcmp(a->name, b->name) != 0)
		return false;
	return is_same_range(a, b) || (overlap(a, b) && strcmp(a->perms, b->perms) == 0);
}

static bool is_same(const struct diff *diff, const struct capture_vma *a,
		    const struct capture_vma *b)
{
	return is_same_range(a, b) && strcmp(a->perms, b->perms) == 0 && a->offset == b->offset &&
	       a->inode == b->inode &&
	       (!diff->has_counts || (a->counts[CAPTURE_RSS] == b->counts[CAPTURE_RSS] &&
				      a->counts[CAPTURE_PSS] == b->counts[CAPTURE_PSS]));
}

static int note(struct diff *diff, const struct capture_vma *before,
		const struct capture_vma *after)
{
	if (before && after && is_same(diff, before, after)) {
		diff->nr_same++;
		return 0;
	}
	if (!ARRAY_RESERVE(NULL, &diff->changes, 1))
		return -ENOMEM;
	diff->changes.items[diff->changes.length++] = (struct change){before, after};
	return 0;
}

static int compare_vmas(struct diff *diff)
{
	const struct capture *a = diff->a, *b = diff->b;
	size_t i = 0, k = 0;
	int err = 0;
	while ((i < a->vmas.length || k < b->vmas.length) && !err) {
		const struct capture_vma *before = i < a->vmas.length ? &a->vmas.items[i] : NULL;
		const struct capture_vma *after = k < b->vmas.length ? &b->vmas.items[k] : NULL;
		if (before && after && corresponds(before, after)) {
			err = note(diff, before, after);
			i++;
			k++;
		} else if (before && (!after || before->range.start <= after->range.start)) {
			err = note(diff, before, NULL);
			i++;
		} else {
			err = note(diff, NULL, after);
			k++;
		}
	}
	return err;
}

/* "+4 KiB", "-1.5 MiB", "" when nothing has changed. */
static char *signed_bytes(uint64_t before, uint64_t after, char *buf, size_t size)
{
	char bytes[32];
	if (before == after)
		return strcpy(buf, "");
	plot_text_bytes(before < after ? after - before : before - after, bytes, sizeof(bytes));
	snprintf(buf, size, "%s%s", before < after ? "+" : "-", bytes);
	return buf;
}

static void print_vma(const struct diff *diff, const struct change *change, FILE *out,
		      const struct terminal_colours *c)
{
	static const struct capture_vma nothing = {.perms = "    ", .name = ""};
	const struct capture_vma *before = change->before ? change->before : &nothing;
	const struct capture_vma *after = change->after ? change->after : &nothing;
	const struct capture_vma *shown = change->after ? after : before;
	const char mark = !change->before ? '+' : change->after ? '~' : '-';
	const char *colour = mark == '+' ? c->green : mark == '-' ? c->red : c->yellow;
	char cell[64];
	snprintf(cell, sizeof(cell), "%08" PRIx64 "-%08" PRIx64, shown->range.start,
		 shown->range.end);
	fprintf(out, "%s%c %-25s  %s", colour, mark, cell, shown->perms);
	fprintf(out, "  %10s",
		signed_bytes(memmap_addr_range_length(before->range),
			     memmap_addr_range_length(after->range), cell, sizeof(cell)));
	for (size_t i = CAPTURE_RSS; diff->has_counts && i <= CAPTURE_PSS; i++)
		fprintf(out, "  %10s",
			signed_bytes(before->counts[i], after->counts[i], cell, sizeof(cell)));
	fputs("  ", out);
	terminal_put_text(out, maps_name(shown));
	if (mark == '~' && !is_same_range(before, after))
		fprintf(out, " (was %08" PRIx64 "-%08" PRIx64 ")", before->range.start,
			before->range.end);
	if (mark == '~' && strcmp(before->perms, after->perms) != 0)
		fprintf(out, " (was %s)", before->perms);
	fprintf(out, "%s\n", c->off);
}

static void print_total(const struct diff *diff, FILE *out)
{
	const struct maps_group *a = &diff->groups_a.total, *b = &diff->groups_b.total;
	char before[32], after[32], change[40];
	fprintf(out, "mapped   %s -> %s", plot_text_bytes(a->size, before, sizeof(before)),
		plot_text_bytes(b->size, after, sizeof(after)));
	fprintf(out, a->size == b->size ? "%s\n" : " (%s)\n",
		signed_bytes(a->size, b->size, change, sizeof(change)));
	if (diff->has_counts)
		fprintf(out, "resident %s -> %s\n",
			plot_text_bytes(a->counts[CAPTURE_RSS], before, sizeof(before)),
			plot_text_bytes(b->counts[CAPTURE_RSS], after, sizeof(after)));
	fprintf(out, "mappings %" PRIu64 " -> %" PRIu64 "\n", a->nr_vmas, b->nr_vmas);
}

static void print_vmas(const struct diff *diff, FILE *out)
{
	const struct terminal_colours c = terminal_colours(out);
	for (size_t i = 0; i < diff->changes.length; i++)
		print_vma(diff, &diff->changes.items[i], out, &c);
	print_total(diff, out);
}

/*
 * ---- Groups ----
 */

static int compare_names(const void *a, const void *b)
{
	const struct maps_group *first = a, *second = b;
	return strcmp(first->name, second->name);
}

static bool is_same_group(const struct diff *diff, const struct maps_group *a,
			  const struct maps_group *b)
{
	return a->nr_vmas == b->nr_vmas && a->size == b->size &&
	       (!diff->has_counts || (a->counts[CAPTURE_RSS] == b->counts[CAPTURE_RSS] &&
				      a->counts[CAPTURE_PSS] == b->counts[CAPTURE_PSS]));
}

/* Call `visit` for each name of either side, in order; a missing side is empty. */
static uint64_t visit_groups(struct diff *diff,
			     void (*visit)(const struct diff *diff, const struct maps_group *a,
					   const struct maps_group *b, void *arg),
			     void *arg)
{
	const struct maps_groups *a = &diff->groups_a, *b = &diff->groups_b;
	uint64_t nr_changes = 0;
	size_t i = 0, k = 0;
	while (i < a->groups.length || k < b->groups.length) {
		struct maps_group before = {.name = NULL}, after = {.name = NULL};
		int order = i == a->groups.length ? 1 : k == b->groups.length ? -1 : 0;
		if (order == 0)
			order = strcmp(a->groups.items[i].name, b->groups.items[k].name);
		if (order <= 0)
			before = a->groups.items[i++];
		if (order >= 0)
			after = b->groups.items[k++];
		if (is_same_group(diff, &before, &after)) {
			diff->nr_same++;
			continue;
		}
		nr_changes++;
		visit(diff, &before, &after, arg);
	}
	return nr_changes;
}

static void print_group(const struct diff *diff, const struct maps_group *a,
			const struct maps_group *b, void *arg)
{
	FILE *out = arg;
	const struct terminal_colours c = terminal_colours(out);
	const char mark = !a->name ? '+' : b->name ? '~' : '-';
	char cell[64];
	fprintf(out, "%s%c %5" PRIu64 " -> %-5" PRIu64,
		mark == '+'   ? c.green
		: mark == '-' ? c.red
			      : c.yellow,
		mark, a->nr_vmas, b->nr_vmas);
	fprintf(out, "  %10s", signed_bytes(a->size, b->size, cell, sizeof(cell)));
	for (size_t i = CAPTURE_RSS; diff->has_counts && i <= CAPTURE_PSS; i++)
		fprintf(out, "  %10s",
			signed_bytes(a->counts[i], b->counts[i], cell, sizeof(cell)));
	fputs("  ", out);
	terminal_put_text(out, b->name ? b->name : a->name);
	fprintf(out, "%s\n", c.off);
}

/*
 * ---- JSON ----
 */

static json_t *side(const char *name, uint64_t nr_vmas, uint64_t size, const uint64_t *counts,
		    bool has_counts)
{
	if (!name)
		return json_null();
	json_t *object = json_object();
	json_object_set_new(object, "mappings", json_number(nr_vmas));
	json_object_set_new(object, "size", json_number(size));
	for (size_t i = 0; has_counts && i < CAPTURE_NR_COUNTS; i++)
		json_object_set_new(object, capture_count_name((enum capture_count)i),
				    json_number(counts[i]));
	return object;
}

static void append_group(const struct diff *diff, const struct maps_group *a,
			 const struct maps_group *b, void *arg)
{
	json_t *object = json_object();
	json_object_set_new(object, "name", json_text(b->name ? b->name : a->name));
	json_object_set_new(object, "before",
			    side(a->name, a->nr_vmas, a->size, a->counts, diff->has_counts));
	json_object_set_new(object, "after",
			    side(b->name, b->nr_vmas, b->size, b->counts, diff->has_counts));
	json_array_append_new(arg, object);
}

static json_t *vma_side(const struct diff *diff, const struct capture_vma *vma)
{
	if (!vma)
		return json_null();
	json_t *object = side(vma->name, 1, memmap_addr_range_length(vma->range), vma->counts,
			      diff->has_counts);
	json_object_set_new(object, "start", json_address(vma->range.start));
	json_object_set_new(object, "end", json_address(vma->range.end));
	json_object_set_new(object, "perms", json_string(vma->perms));
	return object;
}

static uint64_t append_vmas(const struct diff *diff, json_t *list)
{
	for (size_t i = 0; i < diff->changes.length; i++) {
		const struct change *change = &diff->changes.items[i];
		json_t *object = json_object();
		json_object_set_new(
			object, "name",
			json_text(change->after ? change->after->name : change->before->name));
		json_object_set_new(object, "before", vma_side(diff, change->before));
		json_object_set_new(object, "after", vma_side(diff, change->after));
		json_array_append_new(list, object);
	}
	return diff->changes.length;
}

static int print_json(struct diff *diff, FILE *out, uint64_t *nr_changes)
{
	const struct maps_group *a = &diff->groups_a.total, *b = &diff->groups_b.total;
	json_begin();
	json_t *object = json_object(), *list = json_array();
	if (diff->options->by == MAPS_BY_VMA)
		*nr_changes = append_vmas(diff, list);
	else
		*nr_changes = visit_groups(diff, append_group, list);
	json_object_set_new(object, "changes", list);
	json_object_set_new(object, "unchanged", json_number(diff->nr_same));
	json_object_set_new(object, "before",
			    side("total", a->nr_vmas, a->size, a->counts, diff->has_counts));
	json_object_set_new(object, "after",
			    side("total", b->nr_vmas, b->size, b->counts, diff->has_counts));
	return json_write(object, out);
}

int maps_print_diff(const struct capture *a, const struct capture *b,
		    const struct maps_options *options, FILE *out, bool *differs)
{
	struct maps_options by_name = *options;
	by_name.sort = MAPS_SORT_NAME;
	struct diff diff = {
		.a = a, .b = b, .options = options, .has_counts = a->has_counts && b->has_counts};
	uint64_t nr_changes = 0;
	int err = maps_groups_make(&diff.groups_a, a, &by_name);
	if (!err)
		err = maps_groups_make(&diff.groups_b, b, &by_name);
	if (!err && options->by == MAPS_BY_VMA)
		err = compare_vmas(&diff);
	if (!err && options->by != MAPS_BY_VMA) {
		if (diff.groups_a.groups.length > 0)
			qsort(diff.groups_a.groups.items, diff.groups_a.groups.length,
			      sizeof(struct maps_group), compare_names);
		if (diff.groups_b.groups.length > 0)
			qsort(diff.groups_b.groups.items, diff.groups_b.groups.length,
			      sizeof(struct maps_group), compare_names);
	}
	if (!err && options->json) {
		err = print_json(&diff, out, &nr_changes);
	} else if (!err) {
		if (options->by == MAPS_BY_VMA) {
			nr_changes = diff.changes.length;
			print_vmas(&diff, out);
		} else {
			nr_changes = visit_groups(&diff, print_group, out);
			print_total(&diff, out);
		}
		errno = 0;
		if (fflush(out) || ferror(out))
			err = -(errno ? errno : EIO);
	}
	*differs = nr_changes > 0;
	ARRAY_RELEASE(NULL, &diff.changes);
	maps_groups_release(&diff.groups_a);
	maps_groups_release(&diff.groups_b);
	return err;
}
