/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an address space consisted of. See usage.h.
 */
#include "report/usage.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <memmap/mm.h>

#include "plot/plot_internal.h"

uint64_t usage_peak_time(const struct history_space *space)
{
	uint64_t most = 0, time = space->from;
	for (size_t i = 0; i < space->samples.length; i++) {
		if (space->samples.items[i].mapped > most) {
			most = space->samples.items[i].mapped;
			time = space->samples.items[i].time;
		}
	}
	return time;
}

uint64_t usage_most_vmas_time(const struct history_space *space)
{
	uint64_t most = 0, time = space->from;
	for (size_t i = 0; i < space->samples.length; i++) {
		if (space->samples.items[i].nr_vmas > most) {
			most = space->samples.items[i].nr_vmas;
			time = space->samples.items[i].time;
		}
	}
	return time;
}

uint64_t usage_end_time(const struct history *h, const struct history_space *space)
{
	const uint64_t end = history_end(h, space->to);
	return end > space->from ? end - 1 : end;
}

static int by_address(const void *a, const void *b)
{
	const struct memmap_addr_range *first = a, *second = b;
	return first->start < second->start ? -1 : first->start > second->start;
}

static int by_name(const void *a, const void *b)
{
	const struct usage_object *first = a, *second = b;
	return strcmp(first->name, second->name);
}

static int by_bytes(const void *a, const void *b)
{
	const struct usage_object *first = a, *second = b;
	if (first->bytes != second->bytes)
		return first->bytes > second->bytes ? -1 : 1;
	return strcmp(first->name, second->name);
}

/* One object for each name. */
static void join_objects(struct usage *usage)
{
	struct usage_object *items = usage->objects.items;
	size_t nr = 0;
	if (usage->objects.length == 0)
		return;
	qsort(items, usage->objects.length, sizeof(*items), by_name);
	for (size_t i = 0; i < usage->objects.length; i++) {
		if (nr > 0 && strcmp(items[nr - 1].name, items[i].name) == 0) {
			items[nr - 1].bytes += items[i].bytes;
			items[nr - 1].nr_vmas += items[i].nr_vmas;
		} else {
			items[nr++] = items[i];
		}
	}
	usage->objects.length = nr;
	qsort(items, nr, sizeof(*items), by_bytes);
}

static void count_holes(struct usage *usage, struct memmap_addr_range *ranges, size_t nr)
{
	if (nr > 0)
		qsort(ranges, nr, sizeof(*ranges), by_address);
	for (size_t i = 0; i < nr; i++) {
		const uint64_t hole = i > 0 && ranges[i].start > ranges[i - 1].end
					      ? ranges[i].start - ranges[i - 1].end
					      : 0;
		usage->nr_runs += i == 0 || hole > 0;
		if (hole == 0 || hole >= USAGE_HOLE)
			continue;
		usage->nr_holes++;
		usage->hole_bytes += hole;
		usage->largest_hole = hole > usage->largest_hole ? hole : usage->largest_hole;
	}
}

int usage_at(struct usage *usage, const struct history *h, const struct history_space *space,
	     uint64_t time)
{
	ARRAY(struct memmap_addr_range) ranges = {0};
	*usage = (struct usage){.time = time};
	for (size_t i = 0; i < space->regions.length; i++) {
		const struct history_region *region = &space->regions.items[i];
		const uint64_t bytes = memmap_addr_range_length(region->range);
		if (region->from > time || region->to <= time || region->joined > 0)
			continue;
		if (!ARRAY_RESERVE(NULL, &ranges, 1) || !ARRAY_RESERVE(NULL, &usage->objects, 1)) {
			ARRAY_RELEASE(NULL, &ranges);
			usage_release(usage);
			return -ENOMEM;
		}
		ranges.items[ranges.length++] = region->range;
		usage->objects.items[usage->objects.length++] =
			(struct usage_object){plot_region_label(h, region), bytes, 1};
		usage->nr_vmas++;
		usage->bytes += bytes;
		usage->kinds[region->kind] += bytes;
		if (plot_shade(region->flags) == 'n')
			usage->reserved += bytes;
	}
	join_objects(usage);
	count_holes(usage, ranges.items, ranges.length);
	ARRAY_RELEASE(NULL, &ranges);
	return 0;
}

void usage_release(struct usage *usage)
{
	ARRAY_RELEASE(NULL, &usage->objects);
}

const struct history_space *usage_largest_space(const struct history *h)
{
	const struct history_space *found = NULL;
	for (size_t i = 0; i < h->spaces.length; i++)
		if (!found || h->spaces.items[i].peak_mapped > found->peak_mapped)
			found = &h->spaces.items[i];
	return found;
}

const struct history_space *usage_most_cut_space(const struct history *h)
{
	const struct history_space *found = NULL;
	for (size_t i = 0; i < h->spaces.length; i++)
		if (!found || h->spaces.items[i].peak_nr_vmas > found->peak_nr_vmas)
			found = &h->spaces.items[i];
	return found;
}

void usage_vmas_over_time(const struct history *h, const struct history_space *space,
			  uint64_t *steps, size_t nr)
{
	const uint64_t end = history_end(h, space->to);
	const uint64_t span = end > space->from ? end - space->from : 1;
	uint64_t now = 0;
	size_t sample = 0;
	for (size_t i = 0; i < nr; i++) {
		const uint64_t until =
			space->from + (uint64_t)((double)span * (double)(i + 1) / (double)nr);
		uint64_t most = now;
		for (; sample < space->samples.length &&
		       (space->samples.items[sample].time < until || i + 1 == nr);
		     sample++) {
			now = space->samples.items[sample].nr_vmas;
			most = now > most ? now : most;
		}
		steps[i] = most;
	}
}
