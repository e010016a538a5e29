/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Mappable that a test is about, a space that maps it, and translations that are checked.
 *
 * Include after the cmocka headers.
 */
#ifndef MEMMAP_TESTS_FILE_MAPPABLE_H
#define MEMMAP_TESTS_FILE_MAPPABLE_H

#include <memmap/arch.h>
#include <memmap/memmap.h>

#include "file/recording_space.h"

#define PAGE MEMMAP_PAGE_SIZE

static struct memmap_mapping_identity *identity;
static struct memmap_mappable *mappable;
static struct recording_space space;

static inline struct memmap_mappable_range pages(uint64_t start, uint64_t end)
{
	return (struct memmap_mappable_range){start * PAGE, end * PAGE};
}

/* The space maps the pages [page, end) of its addresses to those from `offset` on, writably. */
static inline void map(uint64_t page, uint64_t end, uint64_t offset)
{
	const struct memmap_addr_range ar = {page * PAGE, end * PAGE};
	assert_int_equal(
		memmap_mappable_add_mapping(mappable, NULL, &space.space, ar, offset * PAGE, true),
		0);
}

static inline void unmap(uint64_t page, uint64_t end, uint64_t offset)
{
	const struct memmap_addr_range ar = {page * PAGE, end * PAGE};
	assert_int_equal(memmap_mappable_remove_mapping(mappable, NULL, &space.space, ar,
							offset * PAGE, true),
			 0);
}

/* translate(), with an answer that is as it must be. To be released. */
static inline int translate_all(struct memmap_mappable_range required,
				struct memmap_mappable_range optional, memmap_access at,
				struct memmap_translations *ts)
{
	char why[200] = "";
	*ts = (struct memmap_translations){0};
	const int err = memmap_mappable_translate(mappable, NULL, required, optional, at, ts);
	if (ts->len > 0 || !err)
		assert_int_equal(memmap_check_translate_result(required, optional, at,
							       memmap_translations_data(ts),
							       ts->len, err, why, sizeof(why)),
				 0);
	return err;
}

/* The first translation in `*t`, zeros when there is none. */
static inline int translate_first(struct memmap_mappable_range required,
				  struct memmap_mappable_range optional, memmap_access at,
				  struct memmap_translation *t)
{
	struct memmap_translations ts;
	const int err = translate_all(required, optional, at, &ts);
	*t = (struct memmap_translation){0};
	if (ts.len > 0)
		*t = memmap_translations_data(&ts)[0];
	memmap_translations_release(&ts);
	return err;
}

#endif /* MEMMAP_TESTS_FILE_MAPPABLE_H */
