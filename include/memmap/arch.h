/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pages, addresses and access types.
 *
 * The page sizes here are those of the mapped world (what Linux calls PAGE_SIZE in the address
 * spaces that memmap models), not necessarily those of the machine that runs this code.
 */
#ifndef MEMMAP_ARCH_H
#define MEMMAP_ARCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <memmap/api.h>
#include <memmap/range.h>

#define MEMMAP_PAGE_SHIFT 12
#define MEMMAP_PAGE_SIZE  (UINT64_C(1) << MEMMAP_PAGE_SHIFT)
#define MEMMAP_PAGE_MASK  (MEMMAP_PAGE_SIZE - 1) /* the bits of an address within its page */

#define MEMMAP_HUGE_PAGE_SHIFT 21
#define MEMMAP_HUGE_PAGE_SIZE  (UINT64_C(1) << MEMMAP_HUGE_PAGE_SHIFT)
#define MEMMAP_HUGE_PAGE_MASK  (MEMMAP_HUGE_PAGE_SIZE - 1)

/** The start of the page that holds `x`. */
static inline uint64_t memmap_page_round_down(uint64_t x)
{
	return x & ~MEMMAP_PAGE_MASK;
}

/** The lowest page boundary at or above `x`; false, and `*out` untouched, when it overflows. */
static inline bool memmap_page_round_up(uint64_t x, uint64_t *out)
{
	uint64_t sum;
	if (__builtin_add_overflow(x, MEMMAP_PAGE_MASK, &sum))
		return false;
	*out = memmap_page_round_down(sum);
	return true;
}

static inline bool memmap_is_page_aligned(uint64_t x)
{
	return (x & MEMMAP_PAGE_MASK) == 0;
}

/** The start of the huge page that holds `x`. */
static inline uint64_t memmap_huge_page_round_down(uint64_t x)
{
	return x & ~MEMMAP_HUGE_PAGE_MASK;
}

/** The lowest huge-page boundary at or above `x`; false, and `*out` untouched, on overflow. */
static inline bool memmap_huge_page_round_up(uint64_t x, uint64_t *out)
{
	uint64_t sum;
	if (__builtin_add_overflow(x, MEMMAP_HUGE_PAGE_MASK, &sum))
		return false;
	*out = memmap_huge_page_round_down(sum);
	return true;
}

static inline bool memmap_is_huge_page_aligned(uint64_t x)
{
	return (x & MEMMAP_HUGE_PAGE_MASK) == 0;
}

/** The range [addr, addr + length); false, and `*out` untouched, when it overflows. */
static inline bool memmap_addr_to_range(uint64_t addr, uint64_t length,
					struct memmap_addr_range *out)
{
	uint64_t end;
	if (__builtin_add_overflow(addr, length, &end))
		return false;
	out->start = addr;
	out->end = end;
	return true;
}

/* A set of kinds of access. The bits equal PROT_READ, PROT_WRITE and PROT_EXEC. */
typedef uint8_t memmap_access;

#define MEMMAP_NO_ACCESS  ((memmap_access)0)
#define MEMMAP_READ       ((memmap_access)1)
#define MEMMAP_WRITE      ((memmap_access)2)
#define MEMMAP_EXEC       ((memmap_access)4)
#define MEMMAP_READ_WRITE ((memmap_access)(MEMMAP_READ | MEMMAP_WRITE))
#define MEMMAP_ANY_ACCESS ((memmap_access)(MEMMAP_READ | MEMMAP_WRITE | MEMMAP_EXEC))

/** Does `a` permit everything that `other` permits? */
static inline bool memmap_access_superset_of(memmap_access a, memmap_access other)
{
	return (other & ~a) == 0;
}

static inline memmap_access memmap_access_intersect(memmap_access a, memmap_access b)
{
	return (memmap_access)(a & b);
}

static inline memmap_access memmap_access_union(memmap_access a, memmap_access b)
{
	return (memmap_access)(a | b);
}

/** What hardware makes of `a`: being able to write or execute implies being able to read. */
static inline memmap_access memmap_access_effective(memmap_access a)
{
	return a & (MEMMAP_WRITE | MEMMAP_EXEC) ? (memmap_access)(a | MEMMAP_READ) : a;
}

/* "rwx" and its terminating zero. */
#define MEMMAP_ACCESS_FORMAT_SIZE 4

/** Write `a` as "r-x". Always terminated when `size` > 0, cut to fit. Returns `buf`. */
static inline char *memmap_access_format(memmap_access a, char *buf, size_t size)
{
	static const char letters[] = "rwx";
	size_t i = 0;
	for (; i < 3 && i + 1 < size; i++)
		buf[i] = (char)(a & (1 << i) ? letters[i] : '-');
	if (size > 0)
		buf[i] = '\0';
	return buf;
}

#endif /* MEMMAP_ARCH_H */
