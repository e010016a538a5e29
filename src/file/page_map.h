/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which pages of a memory file hold the pages of a Mappable: a segment set of its offsets, whose
 * values are where each run begins in the file. The owner holds one reference on each of the pages.
 */
#ifndef MEMMAP_SRC_FILE_PAGE_MAP_H
#define MEMMAP_SRC_FILE_PAGE_MAP_H

#include <stdbool.h>
#include <stdint.h>

#include <memmap/memmap.h>
#include <memmap/memory_file.h>
#include <memmap/range.h>

static inline bool memmap_page_map_merge(struct memmap_mappable_range r1, uint64_t *at1,
					 struct memmap_mappable_range r2, uint64_t *at2,
					 uint64_t *out)
{
	(void)r2;
	*out = *at1;
	return *at1 + memmap_mappable_range_length(r1) == *at2;
}

static inline int memmap_page_map_split(struct memmap_mappable_range r, uint64_t *at,
					uint64_t split, uint64_t *at1, uint64_t *at2)
{
	const uint64_t whole = *at;
	*at1 = whole;
	*at2 = whole + (split - r.start);
	return 0;
}

/* clang-format off */
#define SEGMENT_PREFIX  page_map
#define SEGMENT_RANGE   memmap_mappable_range
#define SEGMENT_VALUE   uint64_t
#define SEGMENT_MERGE   memmap_page_map_merge
#define SEGMENT_SPLIT   memmap_page_map_split
#include <memmap/segment_set.h>
/* clang-format on */

/* Where in the file a part of the run is, which need not be page-aligned. */
static inline struct memmap_file_range memmap_page_map_part(struct page_map_iterator it,
							    struct memmap_mappable_range part)
{
	const uint64_t at =
		page_map_iterator_value(it) + (part.start - page_map_iterator_start(it));
	return (struct memmap_file_range){at, at + memmap_mappable_range_length(part)};
}

/* Where all of it is. */
static inline struct memmap_file_range memmap_page_map_file_range(struct page_map_iterator it)
{
	return memmap_page_map_part(it, page_map_iterator_range(it));
}

/*
 * Where pages for the gap that begins at `start` would best lie: after those before it, so that both
 * are one run. 0: anywhere.
 */
static inline uint64_t memmap_page_map_hint(const struct page_map_set *pages, uint64_t start)
{
	if (start == 0)
		return 0;
	struct page_map_iterator before = page_map_set_find_segment(pages, start - 1);
	return page_map_iterator_ok(before) ? memmap_page_map_file_range(before).end : 0;
}

/*
 * Append translations of `required`, which has pages throughout, and of what of `optional` continues
 * them. 0 or -ENOMEM, after which a first part may have been appended.
 */
static inline int memmap_page_map_translate(const struct page_map_set *pages,
					    struct memmap_file *file,
					    struct memmap_mappable_range required,
					    struct memmap_mappable_range optional,
					    memmap_access perms, struct memmap_translations *out)
{
	struct page_map_iterator it = page_map_set_find_segment(pages, required.start);
	for (; page_map_iterator_ok(it) && page_map_iterator_start(it) < required.end;
	     it = page_map_iterator_next_segment(it)) {
		const struct memmap_mappable_range source =
			memmap_mappable_range_intersect(page_map_iterator_range(it), optional);
		int err = memmap_translations_append(
			out, (struct memmap_translation){
				     .source = source,
				     .file = file,
				     .offset = memmap_page_map_part(it, source).start,
				     .perms = perms,
			     });
		if (err)
			return err;
	}
	return 0;
}

#endif /* MEMMAP_SRC_FILE_PAGE_MAP_H */
