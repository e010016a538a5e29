/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Comparing two texts of maps: the model's and the kernel's.
 *
 * Two VMAs that lie side by side and look alike in all that maps shows may have merged in one text
 * and not in the other: that is a difference of *boundaries* only. A boundary that only the kernel
 * has comes from causes that maps does not show; it is counted apart. One that only the model has
 * is a difference like any other.
 *
 * Pure functions of the texts. Locking: none
 */
#ifndef MEMMAP_TOOL_COMPARE_H
#define MEMMAP_TOOL_COMPARE_H

#include <stdbool.h>
#include <stddef.h>

#include <memmap/range.h>

#include <platform/ptrace/maps_text.h>

#include "common/array.h"

/* Room for the lines that a difference quotes. */
#define COMPARE_QUOTE_SIZE 2048

/* Kept from one comparison to the next, for its memory. {0} is empty. */
struct comparison {
	ARRAY(struct memmap_maps_line) model, kernel; /* point into the texts */
	ARRAY(struct memmap_addr_range) regions;      /* where the texts differ, in order */
	size_t exact;                                 /* VMAs that both have, with the same range */
	size_t kernel_only;                           /* boundaries between look-alikes */
	size_t model_only;
	bool only_boundaries; /* the VMAs look the same but for where they are cut */
	bool differs;         /* in more than boundaries that only the kernel has */
	char expected[COMPARE_QUOTE_SIZE], found[COMPARE_QUOTE_SIZE]; /* the lines that differ */
};

/**
 * Compare two texts.
 *
 * Returns:     0, -ENOMEM; -EPROTO when a text is not one of maps
 */
int compare_texts(struct comparison *c, const char *model, size_t model_length, const char *kernel,
		  size_t kernel_length);

void comparison_release(struct comparison *c);

#endif /* MEMMAP_TOOL_COMPARE_H */
