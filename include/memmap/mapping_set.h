/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The reverse map: which mappings there are of each offset of a Mappable.
 *
 * A Mappable that may have to invalidate what it translated keeps a mapping set, calls
 * memmap_mapping_set_add_mapping() and _remove_mapping() from its own methods of those names, and
 * finds every mapping of a range again with memmap_mapping_set_invalidate().
 *
 * A mapping set looks like a segment set (see <memmap/segment_set.h>) of offsets into the Mappable,
 * whose values are sets of mappings. All mappings of a segment map the whole of it and nothing
 * beyond it:
 *
 *   offsets    0x0          0x2000      0x4000      0x6000
 *   space A    |==== [0x10000, 0x14000) ====|
 *   space B                 |==== [0x70000, 0x74000) ====|
 *   segments   |     1      |     2     |       3        |
 *
 *   1 [0x0, 0x2000)      A at [0x10000, 0x12000)
 *   2 [0x2000, 0x4000)   A at [0x12000, 0x14000), B at [0x70000, 0x72000)
 *   3 [0x4000, 0x6000)   B at [0x72000, 0x74000)
 *
 *   struct memmap_mapping_set set = {0};
 *   struct memmap_mappable_ranges newly_mapped = {0};
 *   int err = memmap_mapping_set_add_mapping(&set, ms, ar, offset, writable, &newly_mapped);
 *   ...
 *   memmap_mapping_set_invalidate(&set, range, opts); // tells every space that maps it
 *
 * Adjacent segments become one when something that a segment set's functions say merges them, and
 * each mapping of the one goes on in the other. Adding a mapping merges nothing; removing one
 * merges at the two edges of what was removed.
 *
 * A set is thread-compatible: concurrent readers are fine, a writer needs exclusion.
 */
#ifndef MEMMAP_MAPPING_SET_H
#define MEMMAP_MAPPING_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <memmap/allocator.h>
#include <memmap/api.h>
#include <memmap/memmap.h>
#include <memmap/range.h>

MEMMAP_BEGIN_DECLS

/*
 * ---- MappingsOfRange: the value of a segment ----
 */

/*
 * A set of mappings, each there once. {0} is an empty one that uses the default allocator. What the
 * members hold is the set's own business.
 *
 * It owns its memory: whoever has one and does not give it to a mapping set clears it. A plain copy
 * of the struct is another name for the same set, and must not be cleared or changed as well.
 *
 * The value of a segment may be a mere view of what the mapping set keeps elsewhere. A copy of it
 * (memmap_mapping_iterator_value()) can be read until the mapping set is changed next.
 */
struct memmap_mappings_of_range {
	const struct memmap_allocator *allocator; /* NULL: the default */
	struct memmap_mapping_index *view_of;     /* NULL: the mappings are its own */
	union memmap_mappings_of_range_storage {
		struct memmap_mappings_own {
			size_t nr;
			size_t nr_slots; /* of the table; 0: there is none, and nr is at most 1 */
			union memmap_mappings_table {
				struct memmap_mapping_of_range one;
				struct memmap_mapping_of_range *slots; /* unused: space NULL */
			} at;
		} own;
		struct memmap_mappings_view {
			struct memmap_mappable_range of; /* whose mappings it shows */
			size_t nr_begins, nr_ends; /* mappings with an end of their own there */
			bool keeps;                /* the index is kept for its sake */
		} view;
	} in;
};

/** Make `*v` an empty set that allocates from `allocator` (NULL: the default). */
MEMMAP_API void memmap_mappings_of_range_init(struct memmap_mappings_of_range *v,
					      const struct memmap_allocator *allocator);

/** Remove all mappings and free what they used; `*v` may be used again. */
MEMMAP_API void memmap_mappings_of_range_clear(struct memmap_mappings_of_range *v);

/** How many mappings there are. */
MEMMAP_API size_t memmap_mappings_of_range_count(const struct memmap_mappings_of_range *v);

/** Is `m` one of them, with exactly this space, these addresses and this `writable`? */
MEMMAP_API bool memmap_mappings_of_range_contains(const struct memmap_mappings_of_range *v,
						  struct memmap_mapping_of_range m);

/**
 * Add `m`; when it is there already, nothing happens.
 *
 * Requires:    `m.space` is not NULL; otherwise panics
 * Returns:     0, or -ENOMEM
 * On failure:  nothing has changed
 */
MEMMAP_API int memmap_mappings_of_range_add(struct memmap_mappings_of_range *v,
					    struct memmap_mapping_of_range m);

/**
 * Remove `m`.
 *
 * Returns:     1 when it was there, 0 when it was not
 *              -ENOMEM  the value is that of a segment, and parting it from its neighbours needs
 *                       memory
 * On failure:  nothing has changed
 */
MEMMAP_API int memmap_mappings_of_range_remove(struct memmap_mappings_of_range *v,
					       struct memmap_mapping_of_range m);

/**
 * Write the first `cap` of the mappings, in order, to `out`.
 *
 * The order is that of start, end, the space's address, and read-only before writable.
 *
 * Returns:     how many mappings there are, which may be more than `cap`
 */
MEMMAP_API size_t memmap_mappings_of_range_list(const struct memmap_mappings_of_range *v,
						struct memmap_mapping_of_range *out, size_t cap);

/**
 * Call `visit` for each mapping, in no particular order, until it returns false.
 *
 * Requires:    `visit` does not change the set
 * Returns:     false when a call returned false
 */
MEMMAP_API bool memmap_mappings_of_range_visit(const struct memmap_mappings_of_range *v,
					       bool (*visit)(struct memmap_mapping_of_range m,
							     void *arg),
					       void *arg);

/**
 * Make `*out` a set of its own with the same mappings and the same allocator.
 *
 * Returns:     0, or -ENOMEM
 * On failure:  `*out` is untouched
 */
MEMMAP_API int memmap_mappings_of_range_duplicate(const struct memmap_mappings_of_range *v,
						  struct memmap_mappings_of_range *out);

MEMMAP_END_DECLS

/*
 * ---- MappingSet: the segments ----
 */

/*
 * What the segments are kept in: a segment set for the mapping set's own use. Only its types matter
 * here; its functions are not the library's.
 */
/* clang-format off */
#define SEGMENT_PREFIX memmap_mapped
#define SEGMENT_RANGE memmap_mappable_range
#define SEGMENT_VALUE struct memmap_mappings_of_range
#define SEGMENT_DECLARE_ONLY
#include <memmap/segment_set.h>
/* clang-format on */

/* {0} is an empty set that uses the default allocator. */
struct memmap_mapping_set {
	struct memmap_mapped_set segments;
	struct memmap_mapping_index *index; /* NULL until there is something to know */
};

/* {0} is terminal. */
struct memmap_mapping_iterator {
	struct memmap_mapped_iterator at;
	struct memmap_mapping_set *set;
};

/* {0} is terminal. */
struct memmap_mapping_gap_iterator {
	struct memmap_mapped_gap_iterator at;
	struct memmap_mapping_set *set;
};

struct memmap_mapping_segment_data_slices {
	size_t len;
	uint64_t *start;
	uint64_t *end;
	struct memmap_mappings_of_range *values;
};

typedef struct memmap_mappings_of_range memmap_mapping_value;

/*
 * All functions of a segment set: memmap_mapping_set_find(), memmap_mapping_iterator_start() and so
 * on, as <memmap/segment/declarations.h> describes them. What is particular here:
 *
 * - Reading a value, use memmap_mapping_iterator_value(), or the functions below. Who asks for
 *   memmap_mapping_iterator_value_ptr() is taken to be about to change it, with the functions above
 *   or by assigning one that the set then owns; that makes the next change of the set slower.
 * - A value given to the set must be the caller's own. memmap_mapping_iterator_set_value() and
 *   assigning also accept the value of a segment of the same set.
 * - memmap_mapping_set_reserve() makes room in the tree. Parting a value may need memory of its
 *   own, unless all values came to be by memmap_mapping_set_add_mapping().
 * - Where segments were given other values or ranges than memmap_mapping_set_add_mapping() would
 *   give them, two segments that could merge stay two when there is no memory for the merged value.
 */
/* clang-format off */
#define SEGMENT_PREFIX memmap_mapping
#define SEGMENT_RANGE memmap_mappable_range
#define SEGMENT_VALUE struct memmap_mappings_of_range
#define SEGMENT_LINKAGE MEMMAP_API
#define SEGMENT_DECLARE_ONLY
#include <memmap/segment/parameters.h>
MEMMAP_BEGIN_DECLS
#include <memmap/segment/declarations.h>
MEMMAP_END_DECLS
#include <memmap/segment/undefine.h>
/* clang-format on */

MEMMAP_BEGIN_DECLS

/** How many mappings the segment has. */
MEMMAP_API size_t memmap_mapping_iterator_nr_mappings(struct memmap_mapping_iterator it);

/**
 * Write the first `cap` mappings of the segment to `out`, in the order of
 * memmap_mappings_of_range_list().
 *
 * Returns:     how many mappings there are, which may be more than `cap`
 */
MEMMAP_API size_t memmap_mapping_iterator_mappings(struct memmap_mapping_iterator it,
						   struct memmap_mapping_of_range *out, size_t cap);

/** Has the segment exactly this mapping? */
MEMMAP_API bool memmap_mapping_iterator_has_mapping(struct memmap_mapping_iterator it,
						    struct memmap_mapping_of_range m);

/**
 * The addresses `ar` of `ms` now map the offsets from `offset`.
 *
 * Segments that cross an edge of the range are split there. What had no segment gets one; those
 * ranges are appended to `newly_mapped` (NULL: not wanted), in order. Nothing is merged. A mapping
 * that is there already is not added again.
 *
 * Units:       bytes; `ar` and `offset` are page-aligned
 * Invalidates: every iterator into the set
 * Requires:    `ms` is not NULL; `ar` is not empty; offset + length does not overflow; otherwise
 *              panics
 * Returns:     0, or -ENOMEM
 * On failure:  nothing has changed; iterators are still valid
 */
MEMMAP_API int memmap_mapping_set_add_mapping(struct memmap_mapping_set *set,
					      struct memmap_mapping_space *ms,
					      struct memmap_addr_range ar, uint64_t offset,
					      bool writable,
					      struct memmap_mappable_ranges *newly_mapped);

/**
 * The addresses `ar` of `ms` no longer map the offsets from `offset`.
 *
 * The mapping may be a part of what was added, or several such parts side by side. Where it is not
 * there (it was never added, or at other addresses, or with another `writable`) nothing is removed.
 * Segments left without mappings go; their ranges are appended to `newly_unmapped` (NULL: not
 * wanted), in order. Then the segments at the two edges of the range merge with their neighbours
 * outside, where their mappings permit.
 *
 * What goes whole needs no memory: in a set that was changed only by this function and
 * memmap_mapping_set_add_mapping(), it fails only
 * - where an edge of the range cuts a mapping, that is, `ms` maps the offsets on both sides of the
 *   edge at adjacent addresses with the same `writable`, however many times that was added in; or
 * - where `newly_unmapped` has no room. With NULL that cannot be.
 *
 * Units:       bytes; `ar` and `offset` are page-aligned
 * Invalidates: every iterator into the set
 * Requires:    `ar` is not empty; offset + length does not overflow; a segment contains `offset`;
 *              otherwise panics
 * Returns:     0, or -ENOMEM, which is never for what goes whole (above)
 * On failure:  nothing has changed; iterators are still valid
 */
MEMMAP_API int memmap_mapping_set_remove_mapping(struct memmap_mapping_set *set,
						 struct memmap_mapping_space *ms,
						 struct memmap_addr_range ar, uint64_t offset,
						 bool writable,
						 struct memmap_mappable_ranges *newly_unmapped);

/**
 * Tell every space that maps an offset of `mr` that what it was told of it is no longer valid.
 *
 * One call of memmap_mapping_space_invalidate() for each mapping of each segment that overlaps
 * `mr`, with its addresses clipped to `mr`; segments in order, the mappings of each in no
 * particular one. For an empty range nothing is called.
 *
 * Requires:    the spaces' invalidate() does not change the set
 */
MEMMAP_API void memmap_mapping_set_invalidate(const struct memmap_mapping_set *set,
					      struct memmap_mappable_range mr,
					      struct memmap_invalidate_opts opts);

/** As memmap_mapping_set_invalidate(), for all offsets: whole mappings of each segment. */
MEMMAP_API void memmap_mapping_set_invalidate_all(const struct memmap_mapping_set *set,
						  struct memmap_invalidate_opts opts);

MEMMAP_END_DECLS

#endif /* MEMMAP_MAPPING_SET_H */
