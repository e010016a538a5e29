/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Counting what is resident (usage.c).
 */
#ifndef MEMMAP_SRC_MM_USAGE_H
#define MEMMAP_SRC_MM_USAGE_H

#include <memmap/mm_report.h>

#include "internal.h"
#include "pages.h"

/* Add a run of pages of `vma` to `usage`. For what mm_for_each_resident() calls. */
void usage_add(struct memmap_mm_usage *usage, const struct memmap_mm *mm,
	       const struct memmap_vma *vma, const struct mm_resident *run);

/* Add the counts of `more` to `usage`. */
void usage_add_up(struct memmap_mm_usage *usage, const struct memmap_mm_usage *more);

/* What only whoever walks from page to page can say. */
struct mm_table_count {
	uint64_t tables; /* pages of page tables that Linux would have */
	uint64_t last_end;
};

/* Count the page tables for a run of pages; in address order. */
void table_count_add(struct mm_table_count *count, struct memmap_addr_range range);

#endif /* MEMMAP_SRC_MM_USAGE_H */
