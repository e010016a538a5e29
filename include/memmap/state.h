/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saving and restoring.
 *
 * A program saves objects into a *sink*, one after another, and gets bytes; it restores them from a
 * *source* over those bytes, in the same order:
 *
 *   struct memmap_state_sink sink;
 *   memmap_state_sink_init(&sink, &references, NULL);
 *   int err = memmap_mapping_set_state_save(&set, &sink);
 *   ...
 *   err = memmap_state_sink_finish(&sink, &bytes, &len); // keep the bytes somewhere
 *   memmap_state_sink_release(&sink);
 *
 *   struct memmap_state_source source;
 *   err = memmap_state_source_init(&source, bytes, len, &references);
 *   struct memmap_mapping_set restored = {0};
 *   err = memmap_mapping_set_state_load(&restored, &source);
 *
 * The bytes are CBOR (docs/state-format.md): self-describing, with a version and a checksum. The
 * same objects always give the same bytes, and what can be loaded gives, saved again, the bytes
 * that it was loaded from.
 *
 * Objects point to things that only the program can save: spaces, mappables, files. They are
 * written as numbers, which the program gives and finds again through two callbacks.
 *
 * Loading believes nothing that the bytes say. Bytes that were cut, damaged, made up or written by
 * a later version give a negative error (and words: memmap_state_source_why()), never a panic; the
 * object that was to be loaded is untouched then; and no more memory is asked for than a small
 * multiple of what the bytes take.
 *
 * A type is made savable, here or by a program, with the items at the end of this header.
 */
#ifndef MEMMAP_STATE_H
#define MEMMAP_STATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <memmap/allocator.h>
#include <memmap/api.h>
#include <memmap/mapping_set.h>
#include <memmap/memmap.h>
#include <memmap/range.h>

MEMMAP_BEGIN_DECLS

/* The version that is written, and the latest that is read. */
#define MEMMAP_STATE_VERSION 1

/* What a pointer that the program saves points to. */
enum memmap_state_kind {
	MEMMAP_STATE_SPACE,    /* struct memmap_mapping_space */
	MEMMAP_STATE_MAPPABLE, /* struct memmap_mappable */
	MEMMAP_STATE_FILE,     /* struct memmap_file */
	MEMMAP_STATE_IDENTITY, /* struct memmap_mapping_identity */
};

/*
 * The program's names for what it saves itself. Neither function is called with NULL or for NULL:
 * that is written as such. Within a kind, different objects must have different ids.
 */
struct memmap_state_references {
	/* Returns: 0 and the id, or a negative errno, which saving then returns. */
	int (*id_of)(void *context, enum memmap_state_kind kind, const void *object, uint64_t *id);
	/*
	 * The id may be anything: it comes from the bytes.
	 * Returns: 0 and the object, or a negative errno (-ENOENT), which loading then returns.
	 */
	int (*object_of)(void *context, enum memmap_state_kind kind, uint64_t id, void **object);
	void *context;
};

/*
 * ---- Sink ----
 */

#define MEMMAP_STATE_MAX_DEPTH 12

/* Where writing stands: private. */
struct memmap_state_cursor {
	size_t len;
	/* For each array and map that is open: items still to come, and the key before. */
	unsigned depth;
	uint64_t left[MEMMAP_STATE_MAX_DEPTH];
	const char *key[MEMMAP_STATE_MAX_DEPTH];
};

/* Collects bytes; the fields are private. */
struct memmap_state_sink {
	const struct memmap_state_references *references;
	const struct memmap_allocator *allocator;
	unsigned char *bytes;
	size_t cap;
	struct memmap_state_cursor at;
	int err; /* the first one in the object that is being saved */
	bool finished;
};

/**
 * Make `sink` an empty sink.
 *
 * Both other arguments must stay valid as long as the sink is used. Without `references` (NULL)
 * nothing that points to something can be saved: -EINVAL. `allocator`: NULL is the default.
 */
MEMMAP_API void memmap_state_sink_init(struct memmap_state_sink *sink,
				       const struct memmap_state_references *references,
				       const struct memmap_allocator *allocator);

/**
 * Complete the bytes. Nothing can be saved afterwards.
 *
 * Returns:     0, and the bytes, which belong to the sink and live until it is released
 *              -ENOMEM
 * On failure:  nothing has changed; more may be saved, or this tried again
 */
MEMMAP_API int memmap_state_sink_finish(struct memmap_state_sink *sink, const void **bytes,
					size_t *len);

/** Free the sink's bytes. It may be used again after another init. */
MEMMAP_API void memmap_state_sink_release(struct memmap_state_sink *sink);

/*
 * ---- Source ----
 */

/* Reads bytes; the fields are private. */
struct memmap_state_source {
	const struct memmap_state_references *references;
	const unsigned char *bytes;
	size_t len; /* without what follows the last object */
	size_t at;
	int err; /* the first one in the object that is being loaded */
	char why[120];
};

/**
 * Make `source` read `len` bytes at `bytes`, which must stay valid and unchanged as long as it is
 * used, and so must `references` (NULL: as for the sink).
 *
 * A source holds no memory; there is nothing to release.
 *
 * Returns:     0
 *              -EBADMSG          the bytes are no saved state, or they were cut or damaged
 *              -EPROTONOSUPPORT  they were written in a version that is not known here
 *              In both cases memmap_state_source_why() may be asked.
 */
MEMMAP_API int memmap_state_source_init(struct memmap_state_source *source, const void *bytes,
					size_t len,
					const struct memmap_state_references *references);

/** Has every object been loaded? */
MEMMAP_API bool memmap_state_source_at_end(const struct memmap_state_source *source);

/** The last error in words, with its place: "at byte 17: expected …, found …". Never NULL. */
MEMMAP_API const char *memmap_state_source_why(const struct memmap_state_source *source);

/*
 * ---- The savable types ----
 *
 * Each has four functions:
 *
 *   type_name   what the type is called in the bytes
 *   fields      what its fields are called there; the list ends with NULL
 *
 *   save        append the object to the sink
 *     Returns:     0
 *                  -EINVAL  it is not a valid one (such as a range that ends before it starts), or
 *                           the sink was given no references
 *                  -ENOMEM, and what the program's id_of() returned
 *     On failure:  the sink is as it was
 *
 *   load        read the next object of the source
 *     Returns:     0
 *                  -EPROTOTYPE  it is of another type
 *                  -EBADMSG     the bytes are not what saving this type writes, or end too early
 *                  -EINVAL      the source was given no references
 *                  -ENOMEM, and what the program's object_of() returned
 *     On failure:  the object and the source are as they were
 */

MEMMAP_API const char *memmap_addr_range_state_type_name(void);
MEMMAP_API const char *const *memmap_addr_range_state_fields(void);
MEMMAP_API int memmap_addr_range_state_save(const struct memmap_addr_range *r,
					    struct memmap_state_sink *sink);
MEMMAP_API int memmap_addr_range_state_load(struct memmap_addr_range *r,
					    struct memmap_state_source *source);

MEMMAP_API const char *memmap_file_range_state_type_name(void);
MEMMAP_API const char *const *memmap_file_range_state_fields(void);
MEMMAP_API int memmap_file_range_state_save(const struct memmap_file_range *r,
					    struct memmap_state_sink *sink);
MEMMAP_API int memmap_file_range_state_load(struct memmap_file_range *r,
					    struct memmap_state_source *source);

MEMMAP_API const char *memmap_mappable_range_state_type_name(void);
MEMMAP_API const char *const *memmap_mappable_range_state_fields(void);
MEMMAP_API int memmap_mappable_range_state_save(const struct memmap_mappable_range *r,
						struct memmap_state_sink *sink);
MEMMAP_API int memmap_mappable_range_state_load(struct memmap_mappable_range *r,
						struct memmap_state_source *source);

MEMMAP_API const char *memmap_mapping_of_range_state_type_name(void);
MEMMAP_API const char *const *memmap_mapping_of_range_state_fields(void);
MEMMAP_API int memmap_mapping_of_range_state_save(const struct memmap_mapping_of_range *m,
						  struct memmap_state_sink *sink);
MEMMAP_API int memmap_mapping_of_range_state_load(struct memmap_mapping_of_range *m,
						  struct memmap_state_source *source);

/*
 * Loading makes new slices, to be released with memmap_mapping_segment_data_slices_release(); what
 * `*slices` held before is not released. Only slices that are a mapping set's are valid: sorted
 * segments that do not overlap, and mappings that are as long as their segment.
 */
MEMMAP_API const char *memmap_mapping_segment_data_slices_state_type_name(void);
MEMMAP_API const char *const *memmap_mapping_segment_data_slices_state_fields(void);
MEMMAP_API int memmap_mapping_segment_data_slices_state_save(
	const struct memmap_mapping_segment_data_slices *slices, struct memmap_state_sink *sink);
MEMMAP_API int memmap_mapping_segment_data_slices_state_load(
	struct memmap_mapping_segment_data_slices *slices, struct memmap_state_source *source);

/* The set that is loaded into must be empty: -EEXIST. */
MEMMAP_API const char *memmap_mapping_set_state_type_name(void);
MEMMAP_API const char *const *memmap_mapping_set_state_fields(void);
MEMMAP_API int memmap_mapping_set_state_save(const struct memmap_mapping_set *set,
					     struct memmap_state_sink *sink);
MEMMAP_API int memmap_mapping_set_state_load(struct memmap_mapping_set *set,
					     struct memmap_state_source *source);

/*
 * ---- Items: what savable types are made of ----
 *
 * To save, an object is begun, its fields are written as a map, and it is ended:
 *
 *   struct memmap_state_cursor mark = memmap_state_put_object(sink, "my_type");
 *   memmap_state_put_map(sink, 2);
 *   memmap_state_put_key(sink, "end");      // keys in this order: the shorter first, then by
 *   memmap_state_put_uint(sink, r->end);    // the bytes
 *   memmap_state_put_key(sink, "start");
 *   memmap_state_put_uint(sink, r->start);
 *   return memmap_state_end_put(sink, mark);
 *
 * Putting cannot fail by itself: the first error is kept, what follows is ignored, and the end
 * returns it, after taking back all of the object. To put too few or too many items into an array
 * or map, keys out of order, or arrays more than MEMMAP_STATE_MAX_DEPTH deep, panics.
 */

MEMMAP_API struct memmap_state_cursor memmap_state_put_object(struct memmap_state_sink *sink,
							      const char *type_name);
MEMMAP_API int memmap_state_end_put(struct memmap_state_sink *sink,
				    struct memmap_state_cursor mark);
/* Give up the object that is being saved: `err` is what its end will return. */
MEMMAP_API void memmap_state_put_error(struct memmap_state_sink *sink, int err);
/* Has something gone wrong in this object? What is put from here on is for nothing. */
MEMMAP_API bool memmap_state_put_failed(const struct memmap_state_sink *sink);
MEMMAP_API void memmap_state_put_uint(struct memmap_state_sink *sink, uint64_t value);
MEMMAP_API void memmap_state_put_bool(struct memmap_state_sink *sink, bool value);
MEMMAP_API void memmap_state_put_text(struct memmap_state_sink *sink, const char *text);
MEMMAP_API void memmap_state_put_bytes(struct memmap_state_sink *sink, const void *bytes,
				       size_t len);
MEMMAP_API void memmap_state_put_array(struct memmap_state_sink *sink, uint64_t nr_items);
MEMMAP_API void memmap_state_put_map(struct memmap_state_sink *sink, uint64_t nr_pairs);
/* `key` must live until the object is ended. */
MEMMAP_API void memmap_state_put_key(struct memmap_state_sink *sink, const char *key);
/* A pointer, by its id; NULL as such. */
MEMMAP_API void memmap_state_put_reference(struct memmap_state_sink *sink,
					   enum memmap_state_kind kind, const void *object);

/*
 * To load, the same in the same order:
 *
 *   size_t mark = memmap_state_get_object(source, "my_type");
 *   struct my_type loaded;
 *   memmap_state_get_map(source, 2);
 *   memmap_state_get_key(source, "end");
 *   loaded.end = memmap_state_get_uint(source);
 *   ...
 *   int err = memmap_state_end_get(source, mark);
 *   if (!err)
 *           *r = loaded;
 *
 * Here too the first error is kept, and the end returns it and puts the source back to where the
 * object begins. Until then everything that is got reads as 0, false, "" or NULL, arrays as empty.
 */

MEMMAP_API size_t memmap_state_get_object(struct memmap_state_source *source,
					  const char *type_name);
MEMMAP_API int memmap_state_end_get(struct memmap_state_source *source, size_t mark);
/* Give up the object that is being loaded, because what was got is not valid: `why` in words. */
MEMMAP_API void memmap_state_get_error(struct memmap_state_source *source, int err,
				       const char *why);
/* Has something gone wrong in this object? */
MEMMAP_API bool memmap_state_get_failed(const struct memmap_state_source *source);
MEMMAP_API uint64_t memmap_state_get_uint(struct memmap_state_source *source);
MEMMAP_API bool memmap_state_get_bool(struct memmap_state_source *source);
/* The text's bytes, which are in the source's own and have no zero at their end. */
MEMMAP_API const char *memmap_state_get_text(struct memmap_state_source *source, size_t *len);
MEMMAP_API const void *memmap_state_get_bytes(struct memmap_state_source *source, size_t *len);
/*
 * How many items follow. `item_size` is the least number of bytes that one of them can take, so
 * that a number for which there are not enough bytes left is found out before memory is asked for.
 */
MEMMAP_API size_t memmap_state_get_array(struct memmap_state_source *source, size_t item_size);
MEMMAP_API void memmap_state_get_map(struct memmap_state_source *source, uint64_t nr_pairs);
MEMMAP_API void memmap_state_get_key(struct memmap_state_source *source, const char *key);
MEMMAP_API void *memmap_state_get_reference(struct memmap_state_source *source,
					    enum memmap_state_kind kind);

MEMMAP_END_DECLS

#endif /* MEMMAP_STATE_H */
