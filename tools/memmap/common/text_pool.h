/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts, each kept once and known by a number.
 *
 * Locking: none
 */
#ifndef MEMMAP_TOOL_TEXT_POOL_H
#define MEMMAP_TOOL_TEXT_POOL_H

#include "common/array.h"

/* {0} is empty. A text stays where it is as long as the pool lives. */
struct text_pool {
	ARRAY(char *) texts;
	uint32_t *table; /* open addressing; 0: free, otherwise a number + 1 */
	size_t table_size;
};

#define TEXT_POOL_FULL UINT32_MAX

/** The number of a text (up to a zero within); TEXT_POOL_FULL when out of memory. */
uint32_t text_pool_intern(struct text_pool *pool, const char *text, size_t length);

/** The text with a number, terminated. */
const char *text_pool_get(const struct text_pool *pool, uint32_t number);

void text_pool_release(struct text_pool *pool);

#endif /* MEMMAP_TOOL_TEXT_POOL_H */
