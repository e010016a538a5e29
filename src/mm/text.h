/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the texts of /proc/PID are put together from (maps.c has the functions). Each returns false
 * when there is no memory, and has then appended nothing or a part.
 */
#ifndef MEMMAP_SRC_MM_TEXT_H
#define MEMMAP_SRC_MM_TEXT_H

#include "internal.h"

/* Make room for `more` bytes behind what is there. */
bool text_reserve(struct memmap_text *text, size_t more);

bool text_append(struct memmap_text *text, const char *string);

/* The line of maps, with its newline, of the VMA `v` of `mm`. */
bool text_append_vma(const struct memmap_mm *mm, struct memmap_text *text,
		     const struct memmap_vma *v);

/* The line of the page behind all others. */
bool text_append_vsyscall(struct memmap_text *text);

#endif /* MEMMAP_SRC_MM_TEXT_H */
