/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of save and restore share: spaces with ids, memory that can be counted and
 * refused, bytes that can be changed and sealed again.
 *
 * Include after the cmocka headers. Defines memmap_allocate() and its kin, in place of the
 * library's: also what is asked of the default allocator is seen here.
 */
#ifndef MEMMAP_TESTS_MEMMAP_STATE_WORLD_H
#define MEMMAP_TESTS_MEMMAP_STATE_WORLD_H

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "memmap/state_internal.h"
#include <memmap/error.h>

/* ---- memory ---- */

/* Allocations that still succeed; those not given back; bytes, now and at most. */
static size_t memory_budget = SIZE_MAX;
static size_t memory_refused, memory_live, memory_bytes, memory_peak;

/* Each piece of memory knows its size, whatever its owner says: just before its first byte. */
struct memory_header {
	void *start;
	size_t size;
};

void *memmap_allocate(const struct memmap_allocator *allocator, size_t size, size_t alignment)
{
	assert_null(allocator);
	void *start = NULL;
	if (alignment < sizeof(struct memory_header))
		alignment = sizeof(struct memory_header);
	if (memory_budget > 0 && posix_memalign(&start, alignment, alignment + size) != 0)
		start = NULL;
	if (!start) {
		memory_refused++;
		return NULL;
	}
	memory_budget--;
	memory_live++;
	memory_bytes += size;
	if (memory_peak < memory_bytes)
		memory_peak = memory_bytes;
	struct memory_header *memory = (struct memory_header *)((char *)start + alignment);
	memory[-1] = (struct memory_header){start, size};
	return memory;
}

void memmap_deallocate(const struct memmap_allocator *allocator, void *memory, size_t size)
{
	(void)size;
	assert_null(allocator);
	if (!memory)
		return;
	const struct memory_header header = ((struct memory_header *)memory)[-1];
	memory_live--;
	memory_bytes -= header.size;
	free(header.start);
}

void memmap_free(void *memory)
{
	memmap_deallocate(NULL, memory, 0);
}

/* ---- spaces ---- */

#define NR_SPACES 6

/* Ids neither dense nor in the order of the addresses. */
static const uint64_t space_ids[NR_SPACES] = {70000, 3, UINT64_MAX, 24, 255, 0};
static struct memmap_mapping_space spaces[NR_SPACES];
/* What id_of() and object_of() return instead, when it is not 0. */
static int references_err;

static int world_id_of(void *context, enum memmap_state_kind kind, const void *object, uint64_t *id)
{
	assert_ptr_equal(context, spaces);
	assert_int_equal(kind, MEMMAP_STATE_SPACE);
	assert_non_null(object);
	*id = space_ids[(const struct memmap_mapping_space *)object - spaces];
	return references_err;
}

static int world_object_of(void *context, enum memmap_state_kind kind, uint64_t id, void **object)
{
	assert_ptr_equal(context, spaces);
	assert_int_equal(kind, MEMMAP_STATE_SPACE);
	for (size_t i = 0; i < NR_SPACES; i++) {
		if (space_ids[i] == id) {
			*object = &spaces[i];
			return references_err;
		}
	}
	return -ENOENT;
}

static const struct memmap_state_references references = {world_id_of, world_object_of, spaces};

/* ---- bytes ---- */

#define HEADER      "\xd9\xd9\xf7\x82\x66memmap\x01"
#define HEADER_SIZE (sizeof(HEADER) - 1)

struct bytes {
	size_t len;
	unsigned char at[16384];
};

/* A copy of what was saved, and the end of the sink. */
__attribute__((unused)) static struct bytes bytes_of_sink(struct memmap_state_sink *sink)
{
	struct bytes bytes;
	const void *at;
	assert_int_equal(memmap_state_sink_finish(sink, &at, &bytes.len), 0);
	assert_true(bytes.len <= sizeof(bytes.at));
	memcpy(bytes.at, at, bytes.len);
	memmap_state_sink_release(sink);
	return bytes;
}

/* Put the right checksum at the end, over whatever is before it. */
__attribute__((unused)) static void bytes_seal(struct bytes *bytes)
{
	const size_t body = bytes->len - STATE_TRAILER_SIZE;
	const uint32_t checksum = memmap_state_checksum(bytes->at, body);
	bytes->at[body] = 0x44;
	for (unsigned i = 0; i < 4; i++)
		bytes->at[body + 1 + i] = (unsigned char)(checksum >> (24 - 8 * i));
}

/* A whole saved state around these objects. */
__attribute__((unused)) static struct bytes bytes_around(const void *objects, size_t len)
{
	struct bytes bytes = {.len = HEADER_SIZE + len + STATE_TRAILER_SIZE};
	assert_true(bytes.len <= sizeof(bytes.at));
	memcpy(bytes.at, HEADER, HEADER_SIZE);
	memcpy(bytes.at + HEADER_SIZE, objects, len);
	bytes_seal(&bytes);
	return bytes;
}

__attribute__((unused)) static void assert_bytes_equal(const struct bytes *a, const struct bytes *b)
{
	assert_int_equal(a->len, b->len);
	assert_memory_equal(a->at, b->at, a->len);
}

/* A sink, and a source of what must be well, with the spaces above. */
__attribute__((unused)) static struct memmap_state_sink new_sink(void)
{
	struct memmap_state_sink sink;
	memmap_state_sink_init(&sink, &references, NULL);
	return sink;
}

__attribute__((unused)) static struct memmap_state_source source_of(const struct bytes *bytes)
{
	struct memmap_state_source source;
	const int err = memmap_state_source_init(&source, bytes->at, bytes->len, &references);
	if (err)
		fail_msg("%s: %s", memmap_strerror(err), memmap_state_source_why(&source));
	return source;
}

#endif /* MEMMAP_TESTS_MEMMAP_STATE_WORLD_H */
