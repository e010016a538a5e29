/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Texts, each kept once. See text_pool.h.
 */
#include "common/text_pool.h"

#include <stdlib.h>
#include <string.h>

static uint64_t hash_of(const char *text, size_t length)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);
	for (size_t i = 0; i < length; i++)
		hash = (hash ^ (unsigned char)text[i]) * UINT64_C(0x100000001b3);
	return hash;
}

/* Where a text stands in a table of `size`, or where it would. */
static size_t find_slot(const struct text_pool *pool, const uint32_t *table, size_t size,
			const char *text, size_t length)
{
	size_t slot = (size_t)hash_of(text, length) & (size - 1);
	for (; table[slot] != 0; slot = (slot + 1) & (size - 1)) {
		const char *there = text_pool_get(pool, table[slot] - 1);
		if (strncmp(there, text, length) == 0 && there[length] == '\0')
			break;
	}
	return slot;
}

static bool grow_table(struct text_pool *pool)
{
	const size_t size = pool->table_size ? 2 * pool->table_size : 64;
	uint32_t *table = calloc(size, sizeof(*table));
	if (!table)
		return false;
	for (uint32_t i = 0; i < pool->texts.length; i++) {
		const char *text = text_pool_get(pool, i);
		table[find_slot(pool, table, size, text, strlen(text))] = i + 1;
	}
	free(pool->table);
	pool->table = table;
	pool->table_size = size;
	return true;
}

uint32_t text_pool_intern(struct text_pool *pool, const char *text, size_t length)
{
	if (2 * (pool->texts.length + 1) > pool->table_size && !grow_table(pool))
		return TEXT_POOL_FULL;
	length = strnlen(text, length);
	const size_t slot = find_slot(pool, pool->table, pool->table_size, text, length);
	if (pool->table[slot] != 0)
		return pool->table[slot] - 1;
	if (pool->texts.length >= TEXT_POOL_FULL - 1 || !ARRAY_RESERVE(NULL, &pool->texts, 1))
		return TEXT_POOL_FULL;
	char *copy = strndup(text, length);
	if (!copy)
		return TEXT_POOL_FULL;
	const uint32_t number = (uint32_t)pool->texts.length;
	pool->texts.items[pool->texts.length++] = copy;
	pool->table[slot] = number + 1;
	return number;
}

const char *text_pool_get(const struct text_pool *pool, uint32_t number)
{
	return pool->texts.items[number];
}

void text_pool_release(struct text_pool *pool)
{
	for (size_t i = 0; i < pool->texts.length; i++)
		free(pool->texts.items[i]);
	ARRAY_RELEASE(NULL, &pool->texts);
	free(pool->table);
	*pool = (struct text_pool){0};
}
