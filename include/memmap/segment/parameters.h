/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The segment set's parameters: what must be there, what the others default to, and the constants
 * that follow from them. Included by <memmap/segment_set.h> alone.
 */
#ifndef SEGMENT_PREFIX
#	error "define SEGMENT_PREFIX: how the names of this set begin"
#endif
#ifndef SEGMENT_RANGE
#	error "define SEGMENT_RANGE: the name given to MEMMAP_RANGE_DEFINE for a range over the key"
#endif
#ifndef SEGMENT_VALUE
#	error "define SEGMENT_VALUE: the type of a segment's value"
#endif
#if defined(SEGMENT_DECLARE_ONLY) && defined(SEGMENT_IMPLEMENT_ONLY)
#	error "define one of SEGMENT_DECLARE_ONLY and SEGMENT_IMPLEMENT_ONLY, or neither"
#endif
#if defined(SEGMENT_UNSPLIT) && !defined(SEGMENT_SPLIT)
#	error "SEGMENT_UNSPLIT undoes SEGMENT_SPLIT, which is not defined"
#endif

#ifndef SEGMENT_KEY
#	define SEGMENT_KEY uint64_t
#endif
#ifndef SEGMENT_MIN_KEY
#	define SEGMENT_MIN_KEY ((SEGMENT_KEY)0)
#endif
#ifndef SEGMENT_MAX_KEY
#	define SEGMENT_MAX_KEY SEGMENT_LAST_KEY
#endif
#ifndef SEGMENT_TRACK_GAPS
#	define SEGMENT_TRACK_GAPS 0
#endif
#if SEGMENT_TRACK_GAPS != 0 && SEGMENT_TRACK_GAPS != 1
#	error "SEGMENT_TRACK_GAPS is 0 or 1"
#endif
#ifndef SEGMENT_LINKAGE
#	if defined(SEGMENT_DECLARE_ONLY) || defined(SEGMENT_IMPLEMENT_ONLY)
#		define SEGMENT_LINKAGE
#	else
#		define SEGMENT_LINKAGE static inline
#	endif
#endif

/* Names: SEGMENT_(set_find) is P_set_find. */
#define SEGMENT_PASTE_EXPANDED(a, b) a##_##b
#define SEGMENT_PASTE(a, b)          SEGMENT_PASTE_EXPANDED(a, b)
#define SEGMENT_(name)               SEGMENT_PASTE(SEGMENT_PREFIX, name)
#define SEGMENT_RANGE_(name)         SEGMENT_PASTE(SEGMENT_RANGE, name)

/* "P" as text, for messages. */
#define SEGMENT_TEXT_EXPANDED(a) #a
#define SEGMENT_TEXT(a)          SEGMENT_TEXT_EXPANDED(a)
#define SEGMENT_NAME             SEGMENT_TEXT(SEGMENT_PREFIX)

/* Types. */
#define SEGMENT_SET          struct SEGMENT_(set)
#define SEGMENT_ITERATOR     struct SEGMENT_(iterator)
#define SEGMENT_GAP_ITERATOR struct SEGMENT_(gap_iterator)
#define SEGMENT_SLICES       struct SEGMENT_(segment_data_slices)
#define SEGMENT_RANGE_TYPE   struct SEGMENT_RANGE
#define SEGMENT_VALUE_TYPE   SEGMENT_(value)
#define SEGMENT_NODE         struct SEGMENT_(node)
#define SEGMENT_LEAF         struct SEGMENT_(leaf)
#define SEGMENT_INNER        struct SEGMENT_(inner)

/* A set need not use all that the template makes: unused functions are no mistake. */
#define SEGMENT_PUBLIC  __attribute__((unused)) SEGMENT_LINKAGE
#define SEGMENT_PRIVATE __attribute__((unused)) static inline
#define SEGMENT_RARE    __attribute__((unused, noinline, cold)) static

/* Statements. What is called by SEGMENT_() cannot be laid out in lines without looking like a type. */
#define SEGMENT_PANIC_RANGE(...)  SEGMENT_(panic_range)(__VA_ARGS__)
#define SEGMENT_PANIC_RANGES(...) SEGMENT_(panic_ranges)(__VA_ARGS__)
#define SEGMENT_TEXT_ADD(...)     SEGMENT_(text_add)(__VA_ARGS__)
#define SEGMENT_EXPECT(...)       SEGMENT_(walk_expect)(__VA_ARGS__)

/* The key type's own maximum: fills what a node does not use, so no segment starts there. */
#define SEGMENT_LAST_KEY ((SEGMENT_KEY) ~(SEGMENT_KEY)0)

/*
 * How many entries a node holds, how few, and how many two nodes may have that are made one.
 *
 * A set with a degree of its own has nodes of between degree and twice the degree entries, which is
 * what tests use to make deep trees of few segments. Otherwise the nodes fit the memory hierarchy,
 * and there is slack on both sides: a node that was just filled is not emptied by the next removal,
 * nor one that was just merged split by the next insertion.
 */
#ifdef SEGMENT_MIN_DEGREE
#	if SEGMENT_MIN_DEGREE < 3
#		error "SEGMENT_MIN_DEGREE is at least 3"
#	endif
#	define SEGMENT_LEAF_CAPACITY  ((size_t)2 * (SEGMENT_MIN_DEGREE))
#	define SEGMENT_LEAF_MIN       ((size_t)(SEGMENT_MIN_DEGREE))
#	define SEGMENT_LEAF_MERGED    (SEGMENT_LEAF_CAPACITY - 1)
#	define SEGMENT_INNER_CAPACITY ((size_t)2 * (SEGMENT_MIN_DEGREE))
#	define SEGMENT_INNER_MIN      ((size_t)(SEGMENT_MIN_DEGREE))
#	define SEGMENT_INNER_MERGED   (SEGMENT_INNER_CAPACITY - 1)
#else
#	define SEGMENT_ENTRY_SIZE (2 * sizeof(SEGMENT_KEY) + sizeof(SEGMENT_VALUE))
#	define SEGMENT_LEAF_CAPACITY                                                              \
		((size_t)(SEGMENT_ENTRY_SIZE <= 32 ? 32 : SEGMENT_ENTRY_SIZE <= 128 ? 16 : 8))
#	define SEGMENT_LEAF_MIN       (SEGMENT_LEAF_CAPACITY * 3 / 8)
#	define SEGMENT_LEAF_MERGED    (SEGMENT_LEAF_CAPACITY * 7 / 8)
#	define SEGMENT_INNER_CAPACITY ((size_t)32)
#	define SEGMENT_INNER_MIN      (SEGMENT_INNER_CAPACITY * 3 / 8)
#	define SEGMENT_INNER_MERGED   (SEGMENT_INNER_CAPACITY * 7 / 8)
#endif

/* From this height on (some ten thousand segments) the leaves are not all in the caches. */
#define SEGMENT_HEIGHT_OF_MANY 3
