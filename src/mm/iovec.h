/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arrays of a guest's ranges, as system calls take them in and go through them (iovec.c).
 */
#ifndef MEMMAP_SRC_MM_IOVEC_H
#define MEMMAP_SRC_MM_IOVEC_H

#include "internal.h"

#include <memmap/mm_access.h>

/* No call goes over more bytes than this, as with Linux (MAX_RW_COUNT). */
#define MM_MAX_RW_COUNT UINT64_C(0x7ffff000)

/* Where a call is in an array of ranges. Linux's iov_iter. */
struct iovec_iter {
	const struct memmap_iovec *vector;
	size_t nr;       /* ranges from `vector` on */
	uint64_t offset; /* into the first of them */
	uint64_t left;   /* bytes in all */
};

/*
 * Begin with ranges that are the caller's own memory. Linux's import_iovec().
 *
 * Returns:     0
 *              -EINVAL  there are more than IOV_MAX, or one is longer than SSIZE_MAX
 *              -EFAULT  one reaches beyond the end of `mm`'s layout
 */
int iovec_import(const struct memmap_mm *mm, const struct memmap_iovec *vector, uint64_t nr,
		 struct iovec_iter *out);

/* Are the ranges such as Linux would copy them in, wherever they lie? 0, or -EINVAL. */
int iovec_check(const struct memmap_iovec *vector, uint64_t nr);

/* What is left of the first range. */
static inline struct memmap_iovec iovec_iter_first(const struct iovec_iter *it)
{
	uint64_t length = it->vector->length - it->offset;
	return (struct memmap_iovec){
		.base = it->vector->base + it->offset,
		.length = length < it->left ? length : it->left,
	};
}

/* Go on by `n` bytes, and over the empty ranges that follow. */
void iovec_iter_advance(struct iovec_iter *it, uint64_t n);

#endif /* MEMMAP_SRC_MM_IOVEC_H */
