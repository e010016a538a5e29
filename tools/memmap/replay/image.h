/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An address space as maps shows it, kept to be changed line by line: what a log has told so far.
 *
 * Units:    bytes
 * Locking:  none
 */
#ifndef MEMMAP_TOOL_IMAGE_H
#define MEMMAP_TOOL_IMAGE_H

#include <stdint.h>

#include <memmap/mm.h>
#include <memmap/range.h>

#include <platform/ptrace/maps_text.h>

#include "common/text_pool.h"

/* A line of maps without its addresses. */
struct image_vma {
	uint64_t offset, inode;
	uint32_t major, minor;
	uint32_t name; /* in the pool */
	char perms[4];
};

#define SEGMENT_PREFIX image
#define SEGMENT_RANGE  memmap_addr_range
#define SEGMENT_VALUE  struct image_vma
#define SEGMENT_LINKAGE
#define SEGMENT_DECLARE_ONLY
#include <memmap/segment_set.h>

struct image {
	struct image_set vmas; /* never merged: neighbours that look alike may be two */
	size_t nr_vmas;
};

/** A new, empty image; NULL when out of memory. */
struct image *image_create(void);

/** Free an image. NULL is ignored. */
void image_release(struct image *image);

/** Take out everything. */
void image_clear(struct image *image);

/** A copy; NULL when out of memory. */
struct image *image_copy(const struct image *from);

/** Put a line in. Returns 0; -EEXIST: something is in the way; -ENOMEM. */
int image_insert(struct image *image, struct text_pool *pool, const struct memmap_maps_line *line);

/** Take a line out. Returns 0; -ENOENT: there is none with just this range. */
int image_remove(struct image *image, struct memmap_addr_range range);

/** Is this line what the image has at `it`? */
bool image_has_line(const struct text_pool *pool, struct image_iterator it,
		    const struct memmap_maps_line *line);

/** Append a line as maps has it, with its newline. Returns 0 or -ENOMEM. */
int image_print_vma(const struct text_pool *pool, struct memmap_addr_range range,
		    const struct image_vma *vma, struct memmap_text *text);

/** Replace `text` by that of maps, with a zero behind it. Returns 0 or -ENOMEM. */
int image_print(const struct image *image, const struct text_pool *pool, struct memmap_text *text);

/** A number that stands for a text of maps: FNV-1a, of 64 bits. */
uint64_t image_digest(const char *text, size_t length);

#endif /* MEMMAP_TOOL_IMAGE_H */
