/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saved states that nobody saved. Whatever the bytes are, loading answers with an error or with
 * objects; what could be loaded gives, saved again, the same bytes; after an error the object is
 * what it was, and no more memory was asked for than the bytes justify.
 *
 * A checksum guards the bytes, which a fuzzer cannot guess: unless the first byte is 0, the rest is
 * sealed with the right one.
 */
#include <errno.h>
#include <string.h>

#include "fuzz.h"
#include "memmap/state_internal.h"
#include <memmap/error.h>
#include <memmap/mapping_set.h>
#include <memmap/state.h>

/* ---- Memory: all of it is counted, the default allocator's too ---- */

static size_t memory_live, memory_peak;

/* Before each piece of memory: where it begins, and its size. */
struct header {
	void *begin;
	size_t size;
};

void *memmap_allocate(const struct memmap_allocator *allocator, size_t size, size_t alignment)
{
	void *begin = NULL;

	(void)allocator;
	if (alignment < sizeof(struct header))
		alignment = sizeof(struct header);
	/* More than an input can justify: a loader that believes what it reads. */
	FUZZ_CHECK(size < 64 << 20, "%zu bytes asked for", size);
	if (posix_memalign(&begin, alignment, alignment + size) != 0)
		abort();
	memory_live += size;
	if (memory_peak < memory_live)
		memory_peak = memory_live;
	struct header *at = (struct header *)((char *)begin + alignment);

	at[-1] = (struct header){begin, size};
	return at;
}

void memmap_deallocate(const struct memmap_allocator *allocator, void *memory, size_t size)
{
	(void)allocator;
	(void)size; /* slices that were given up half way are given back with less than they have */
	if (!memory)
		return;
	struct header header = ((struct header *)memory)[-1];

	memory_live -= header.size;
	free(header.begin);
}

void memmap_free(void *memory)
{
	memmap_deallocate(NULL, memory, 0);
}

/* ---- Spaces, by ids that are easy to come by ---- */

#define NR_SPACES 4

static struct memmap_mapping_space spaces[NR_SPACES];

static int id_of(void *context, enum memmap_state_kind kind, const void *object, uint64_t *id)
{
	(void)context;
	FUZZ_CHECK(kind == MEMMAP_STATE_SPACE, "another kind");
	*id = (uint64_t)((const struct memmap_mapping_space *)object - spaces);
	return 0;
}

static int object_of(void *context, enum memmap_state_kind kind, uint64_t id, void **object)
{
	(void)context;
	FUZZ_CHECK(kind == MEMMAP_STATE_SPACE, "another kind");
	if (id >= NR_SPACES)
		return -ENOENT;
	*object = &spaces[id];
	return 0;
}

static const struct memmap_state_references references = {id_of, object_of, NULL};

/* ---- Objects ---- */

/* Load the next object, if it is of the type, and save it again. */
#define LOAD_AND_SAVE(type, source, sink)                                                          \
	do {                                                                                       \
		struct type loaded, untouched;                                                     \
		memset(&loaded, 0, sizeof(loaded));                                                \
		memset(&untouched, 0, sizeof(untouched));                                          \
		int err = type##_state_load(&loaded, source);                                      \
		if (err == 0) {                                                                    \
			err = type##_state_save(&loaded, sink);                                    \
			FUZZ_CHECK(err == 0, "loaded but not saved: %s", memmap_strerror(err));    \
			release_##type(&loaded);                                                   \
			return 0;                                                                  \
		}                                                                                  \
		FUZZ_CHECK(memcmp(&loaded, &untouched, sizeof(loaded)) == 0,                       \
			   "not loaded (%s) but changed", memmap_strerror(err));                   \
		FUZZ_CHECK(memmap_state_source_why(source)[0] != '\0', "no words");                \
		if (err != -EPROTOTYPE)                                                            \
			return err;                                                                \
	} while (0)

#define NOTHING_TO_RELEASE(type)                                                                   \
	static void release_##type(struct type *object)                                            \
	{                                                                                          \
		(void)object;                                                                      \
	}

NOTHING_TO_RELEASE(memmap_addr_range)
NOTHING_TO_RELEASE(memmap_file_range)
NOTHING_TO_RELEASE(memmap_mappable_range)
NOTHING_TO_RELEASE(memmap_mapping_of_range)

static void release_memmap_mapping_segment_data_slices(
	struct memmap_mapping_segment_data_slices *slices)
{
	memmap_mapping_segment_data_slices_release(slices);
}

static void release_memmap_mapping_set(struct memmap_mapping_set *set)
{
	FUZZ_CHECK(memmap_mapping_set_verify(set) == 0, "a set that is broken was loaded");
	memmap_mapping_set_destroy(set);
}

static int load_any(struct memmap_state_source *source, struct memmap_state_sink *sink)
{
	LOAD_AND_SAVE(memmap_addr_range, source, sink);
	LOAD_AND_SAVE(memmap_file_range, source, sink);
	LOAD_AND_SAVE(memmap_mappable_range, source, sink);
	LOAD_AND_SAVE(memmap_mapping_of_range, source, sink);
	LOAD_AND_SAVE(memmap_mapping_segment_data_slices, source, sink);
	LOAD_AND_SAVE(memmap_mapping_set, source, sink);
	return -EPROTOTYPE;
}

static void load_all(const uint8_t *bytes, size_t size)
{
	struct memmap_state_source source;
	struct memmap_state_sink sink;
	const void *again;
	size_t again_size;
	int err = memmap_state_source_init(&source, bytes, size, &references);

	if (err) {
		FUZZ_CHECK(err == -EBADMSG || err == -EPROTONOSUPPORT, "error %d", err);
		return;
	}
	memmap_state_sink_init(&sink, &references, NULL);
	while (!err && !memmap_state_source_at_end(&source))
		err = load_any(&source, &sink);
	FUZZ_CHECK(err <= 0, "error %d", err);
	if (!err) {
		FUZZ_CHECK(memmap_state_sink_finish(&sink, &again, &again_size) == 0, "finish");
		FUZZ_CHECK(again_size == size && memcmp(again, bytes, size) == 0,
			   "saved again it is something else");
	}
	memmap_state_sink_release(&sink);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	uint8_t *bytes = (uint8_t *)malloc(size + STATE_TRAILER_SIZE);

	if (!bytes)
		abort();
	memcpy(bytes, data + 1, size - 1);
	size--;
	if (data[0] != 0) {
		uint32_t checksum = memmap_state_checksum(bytes, size);

		bytes[size++] = 0x40 + STATE_CHECKSUM_SIZE;
		for (int shift = 24; shift >= 0; shift -= 8)
			bytes[size++] = (uint8_t)(checksum >> shift);
	}
	memory_live = memory_peak = 0;
	load_all(bytes, size);
	FUZZ_CHECK(memory_live == 0, "%zu bytes of memory are lost", memory_live);
	/* A node of a tree for each segment that takes 7 bytes, at worst, and small change. */
	FUZZ_CHECK(memory_peak <= 65536 + 400 * size, "%zu bytes of memory for %zu", memory_peak,
		   size);
	free(bytes);
	return 0;
}
