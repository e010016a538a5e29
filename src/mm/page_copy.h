/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies from and to the pages of Files, whether these can be mapped or not (page_copy.c).
 *
 * Each returns 0, -EFAULT, a bus error or what the File refuses it with; `*done` is the number of
 * bytes that were copied, all of them when 0 is returned.
 */
#ifndef MEMMAP_SRC_MM_PAGE_COPY_H
#define MEMMAP_SRC_MM_PAGE_COPY_H

#include "pages.h"

/* The bytes of a run of pages. */
struct page_bytes {
	struct memmap_file *file;
	struct memmap_file_range fr;
};

static inline struct page_bytes page_bytes_of(const struct mm_page_run *run)
{
	return (struct page_bytes){
		.file = run->file,
		.fr = {run->offset, run->offset + (run->range.end - run->range.start)},
	};
}

int page_bytes_read(struct page_bytes from, void *dst, uint64_t *done);
int page_bytes_write(struct page_bytes to, const void *src, uint64_t *done);
int page_bytes_zero(struct page_bytes to, uint64_t *done);

/* The two are of the same length. What is stored when they overlap is unspecified. */
int page_bytes_copy(struct page_bytes to, struct page_bytes from, uint64_t *done);

#endif /* MEMMAP_SRC_MM_PAGE_COPY_H */
