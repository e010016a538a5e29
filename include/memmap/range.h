/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Ranges: half-open intervals [start, end) over an unsigned integer.
 *
 * MEMMAP_RANGE_DEFINE(name, key_type) makes `struct name` and its functions. Ranges over different
 * things are distinct types on purpose: an offset into a file is not an address.
 *
 * A range with start == end is empty; one with start > end is not well-formed, and nothing but
 * name_well_formed() and name_format() may be asked about it.
 *
 *   bool  name_well_formed(r)          start <= end
 *   key   name_length(r)               end - start
 *   bool  name_contains(r, x)          start <= x < end
 *   bool  name_overlaps(r, r2)         some x is in both, or one of them is empty and lies strictly
 *                                      inside the other
 *   bool  name_is_superset_of(r, r2)   r2 lies within r
 *   range name_intersect(r, r2)        what is in both; length 0 when they are disjoint
 *   bool  name_can_split_at(r, x)      both [start, x) and [x, end) would be non-empty
 *   char *name_format(r, buf, size)    "[0x1000, 0x3000)"; cut to fit, always terminated when
 *                                      size > 0; returns buf
 */
#ifndef MEMMAP_RANGE_H
#define MEMMAP_RANGE_H

#include <inttypes.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <memmap/api.h>

/* Enough for any range over 64 bits, with its terminating zero. */
#define MEMMAP_RANGE_FORMAT_SIZE 48

/* clang-format off */
#define MEMMAP_RANGE_DEFINE(name, key_type)                                                        \
	struct name {                                                                              \
		key_type start, end;                                                               \
	};                                                                                         \
	__attribute__((unused)) static inline bool name##_well_formed(struct name r)               \
	{                                                                                          \
		return r.start <= r.end;                                                           \
	}                                                                                          \
	__attribute__((unused)) static inline key_type name##_length(struct name r)                \
	{                                                                                          \
		return (key_type)(r.end - r.start);                                                \
	}                                                                                          \
	__attribute__((unused)) static inline bool name##_contains(struct name r, key_type x)      \
	{                                                                                          \
		return r.start <= x && x < r.end;                                                  \
	}                                                                                          \
	__attribute__((unused)) static inline bool name##_overlaps(struct name r, struct name r2)  \
	{                                                                                          \
		return r.start < r2.end && r2.start < r.end;                                       \
	}                                                                                          \
	__attribute__((unused)) static inline bool name##_is_superset_of(struct name r,            \
									 struct name r2)           \
	{                                                                                          \
		return r.start <= r2.start && r.end >= r2.end;                                     \
	}                                                                                          \
	__attribute__((unused)) static inline struct name name##_intersect(struct name r,          \
									   struct name r2)         \
	{                                                                                          \
		if (r.start < r2.start)                                                            \
			r.start = r2.start;                                                        \
		if (r.end > r2.end)                                                                \
			r.end = r2.end;                                                            \
		if (r.end < r.start)                                                               \
			r.end = r.start;                                                           \
		return r;                                                                          \
	}                                                                                          \
	__attribute__((unused)) static inline bool name##_can_split_at(struct name r, key_type x)  \
	{                                                                                          \
		return r.start < x && x < r.end;                                                   \
	}                                                                                          \
	__attribute__((unused)) static inline char *name##_format(struct name r, char *buf,        \
								  size_t size)                     \
	{                                                                                          \
		(void)snprintf(buf, size, "[0x%" PRIx64 ", 0x%" PRIx64 ")", (uint64_t)r.start,     \
			       (uint64_t)r.end);                                                   \
		return buf;                                                                        \
	}                                                                                          \
	struct name
/* clang-format on */

/* Offsets into a File: what a Translation leads to. */
MEMMAP_RANGE_DEFINE(memmap_file_range, uint64_t);

/* Offsets into a Mappable: what a mapping maps. */
MEMMAP_RANGE_DEFINE(memmap_mappable_range, uint64_t);

/* Addresses in an address space. */
MEMMAP_RANGE_DEFINE(memmap_addr_range, uint64_t);

#endif /* MEMMAP_RANGE_H */
