/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A capture as a table. See maps.h.
 *
 * Names come last, so that they may be as long as they are. What in them is no printable text is
 * shown as '?'.
 */
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#include "common/terminal.h"
#include "maps/maps.h"
#include "plot/plot_text.h"
#include <platform/ptrace/maps_text.h>

#define CELL 32

static void print_sizes(FILE *out, uint64_t size, const uint64_t *counts)
{
	char cell[CELL];
	fprintf(out, "  %9s", plot_text_bytes(size, cell, sizeof(cell)));
	if (!counts)
		return;
	fprintf(out, "  %9s", plot_text_bytes(counts[CAPTURE_RSS], cell, sizeof(cell)));
	fprintf(out, "  %9s", plot_text_bytes(counts[CAPTURE_PSS], cell, sizeof(cell)));
}

static void print_heads(FILE *out, const struct terminal_colours *c, bool has_counts, int width,
			const char *first)
{
	fprintf(out, "%s%-*s", c->bold, width, first);
	fprintf(out, "  %9s", "SIZE");
	if (has_counts)
		fprintf(out, "  %9s  %9s", "RSS", "PSS");
}

/* Writable and executable at once is what people look for. */
static const char *colour_of(const struct terminal_colours *c, const char *perms)
{
	if (perms[1] == 'w' && perms[2] == 'x')
		return c->red;
	if (perms[2] == 'x')
		return c->yellow;
	return perms[1] == 'w' ? c->green : "";
}

static int range_width(const struct capture *capture)
{
	int width = 0;
	for (size_t i = 0; i < capture->vmas.length; i++) {
		const struct memmap_addr_range r = capture->vmas.items[i].range;
		const int n = snprintf(NULL, 0, "%08" PRIx64 "-%08" PRIx64, r.start, r.end);
		width = n > width ? n : width;
	}
	return width;
}

static void print_vmas(const struct capture *capture, const struct maps_group *total, FILE *out)
{
	const struct terminal_colours c = terminal_colours(out);
	const bool has_counts = capture->has_counts;
	const int width = range_width(capture);
	char cell[2 * CELL];
	print_heads(out, &c, has_counts, width, "ADDRESS");
	fprintf(out, "  PERM    OFFSET  NAME%s\n", c.off);
	for (size_t i = 0; i < capture->vmas.length; i++) {
		const struct capture_vma *vma = &capture->vmas.items[i];
		snprintf(cell, sizeof(cell), "%08" PRIx64 "-%08" PRIx64, vma->range.start,
			 vma->range.end);
		fprintf(out, "%-*s", width, cell);
		print_sizes(out, memmap_addr_range_length(vma->range),
			    has_counts ? vma->counts : NULL);
		fprintf(out, "  %s%s%s", colour_of(&c, vma->perms), vma->perms,
			*colour_of(&c, vma->perms) ? c.off : "");
		if (memmap_maps_shows_file(vma->inode, vma->major, vma->minor))
			fprintf(out, "  %8" PRIx64 "  ", vma->offset);
		else
			fprintf(out, "  %8s  ", "");
		fputs(vma->name[0] ? "" : c.dim, out);
		terminal_put_text(out, maps_name(vma));
		fprintf(out, "%s\n", vma->name[0] ? "" : c.off);
	}
	fprintf(out, "%s%-*s", c.bold, width, "total");
	print_sizes(out, total->size, has_counts ? total->counts : NULL);
	fprintf(out, "  %s%s\n", plot_text_counted(total->nr_vmas, "mapping", cell, sizeof(cell)),
		c.off);
}

static void print_group(const struct maps_group *group, bool has_counts, const char *name,
			FILE *out)
{
	char cell[CELL];
	fprintf(out, "%8s", plot_text_count(group->nr_vmas, cell, sizeof(cell)));
	print_sizes(out, group->size, has_counts ? group->counts : NULL);
	fputs("  ", out);
	terminal_put_text(out, name);
}

static void print_groups(const struct capture *capture, const struct maps_groups *groups,
			 const struct maps_options *options, FILE *out)
{
	const struct terminal_colours c = terminal_colours(out);
	static const char *const heads[] = {"", "FILE", "KIND", "PERM"};
	print_heads(out, &c, capture->has_counts, 8, "MAPPINGS");
	fprintf(out, "  %s%s\n", heads[options->by], c.off);
	for (size_t i = 0; i < groups->groups.length; i++) {
		print_group(&groups->groups.items[i], capture->has_counts,
			    groups->groups.items[i].name, out);
		fputc('\n', out);
	}
	fputs(c.bold, out);
	print_group(&groups->total, capture->has_counts, "total", out);
	fprintf(out, "%s\n", c.off);
}

int maps_print_table(struct capture *capture, const struct maps_options *options, FILE *out)
{
	struct maps_groups groups;
	int err = maps_groups_make(&groups, capture, options);
	if (err)
		return err;
	errno = 0;
	if (options->by == MAPS_BY_VMA) {
		maps_sort_vmas(capture, options->sort);
		print_vmas(capture, &groups.total, out);
	} else {
		print_groups(capture, &groups, options, out);
	}
	if (fflush(out) || ferror(out))
		err = -(errno ? errno : EIO);
	maps_groups_release(&groups);
	return err;
}
