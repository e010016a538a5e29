/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory lines of /proc/PID/status, and /proc/PID/statm.
 *
 * What was asked for is counted as it changes (limits.c); what is resident is counted here, page by
 * page, as are the page tables that Linux would have for it. There is no swap, and nothing is
 * pinned.
 */
#include <memmap/mm_report.h>

#include <inttypes.h>
#include <stdio.h>

#include "text.h"
#include "usage.h"

struct counts {
	const struct memmap_mm *mm;
	struct memmap_mm_usage usage;
	struct mm_table_count tables;
};

static int count(void *arg, const struct memmap_vma *vma, const struct mm_resident *run)
{
	struct counts *c = arg;
	if (run) {
		usage_add(&c->usage, c->mm, vma, run);
		table_count_add(&c->tables, run->range);
	}
	return 0;
}

static struct counts count_all(struct memmap_mm *mm)
{
	struct counts c = {.mm = mm};
	const struct memmap_addr_range everywhere = {0, UINT64_MAX & ~MEMMAP_PAGE_MASK};
	(void)mm_for_each_resident(mm, everywhere, count, &c);
	return c;
}

static uint64_t text_bytes(const struct memmap_mm_layout *l)
{
	return memmap_page_round_down(l->end_code + MEMMAP_PAGE_MASK) -
	       memmap_page_round_down(l->start_code);
}

static uint64_t kb(uint64_t pages)
{
	return pages << (MEMMAP_PAGE_SHIFT - 10);
}

int memmap_mm_print_status(struct memmap_mm *mm, struct memmap_text *text)
{
	const struct counts c = count_all(mm);
	struct memmap_mm_stats s;
	memmap_mm_get_stats(mm, &s);
	const struct memmap_mm_layout layout = memmap_mm_get_layout(mm);
	uint64_t code = text_bytes(&layout) >> 10;
	if (code > kb(s.exec_pages))
		code = kb(s.exec_pages);
	/* It was asked for a moment later. */
	uint64_t peak = c.usage.rss >> MEMMAP_PAGE_SHIFT;
	if (s.peak_rss_pages > peak)
		peak = s.peak_rss_pages;
	const struct {
		const char *name;
		uint64_t kb;
	} lines[] = {
		{"VmPeak", kb(s.peak_pages)},
		{"VmSize", kb(s.total_pages)},
		{"VmLck", kb(s.locked_pages)},
		{"VmPin", 0},
		{"VmHWM", kb(peak)},
		{"VmRSS", c.usage.rss >> 10},
		{"RssAnon", c.usage.rss_anon >> 10},
		{"RssFile", c.usage.rss_file >> 10},
		{"RssShmem", c.usage.rss_shmem >> 10},
		{"VmData", kb(s.data_pages)},
		{"VmStk", kb(s.stack_pages)},
		{"VmExe", code},
		{"VmLib", kb(s.exec_pages) - code},
		{"VmPTE", kb(c.tables.tables)},
		{"VmSwap", 0},
	};
	const size_t nr_lines = sizeof(lines) / sizeof(lines[0]), room = 40;
	text->length = 0;
	if (!text_reserve(text, nr_lines * room + 1))
		return -ENOMEM;
	for (size_t i = 0; i < nr_lines; i++)
		text->length +=
			(size_t)snprintf(text->data + text->length, room, "%s:\t%8" PRIu64 " kB\n",
					 lines[i].name, lines[i].kb);
	return 0;
}

int memmap_mm_print_statm(struct memmap_mm *mm, struct memmap_text *text)
{
	const size_t room = 160;
	const struct counts c = count_all(mm);
	struct memmap_mm_stats s;
	memmap_mm_get_stats(mm, &s);
	const struct memmap_mm_layout layout = memmap_mm_get_layout(mm);
	text->length = 0;
	if (!text_reserve(text, room))
		return -ENOMEM;
	text->length = (size_t)snprintf(
		text->data, room,
		"%" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " 0 %" PRIu64 " 0\n", s.total_pages,
		c.usage.rss >> MEMMAP_PAGE_SHIFT,
		(c.usage.rss_file + c.usage.rss_shmem) >> MEMMAP_PAGE_SHIFT,
		text_bytes(&layout) >> MEMMAP_PAGE_SHIFT, s.data_pages + s.stack_pages);
	return 0;
}
