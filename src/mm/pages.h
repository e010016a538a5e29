/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pages of an address space, for those who read, write or count them.
 *
 * What is called back here runs under the mapping lock and the lock over what is mapped now (see
 * lock.h), both held for reading: it may call Files, but neither the address space nor Mappables,
 * and must not touch guest memory through a platform.
 */
#ifndef MEMMAP_SRC_MM_PAGES_H
#define MEMMAP_SRC_MM_PAGES_H

#include <stdbool.h>
#include <stdint.h>

#include <memmap/mm.h>

/* The bytes of the guest at `range` are those of `file` from `offset` on. */
struct mm_page_run {
	struct memmap_addr_range range;
	struct memmap_file *file;
	uint64_t offset;
};

/* For what is called back: enough, though nothing is wrong. (No other positive value.) */
#define MM_STOP 2

/*
 * Have the pages that hold `ar` made present, as touching them for `at` would, and call `fn` for
 * them in address order, each run as long as the pages lie side by side in one file.
 *
 * `ar` is any range of bytes, and so are the runs. With `ignore_permissions` what counts is what the
 * mapping could be made to permit (VM_MAYREAD and so on), as for ptrace(2): writing to what may not
 * be written to now makes private pages private.
 *
 * The pages stay what they are while `fn` runs: it does with them what it has to do, through
 * memmap_file_map_internal() and so on. That may be done more than once for a page only if `fn`
 * fails.
 *
 * Requires:    `at` is not 0
 * Locking:     none of an address space's may be held
 * Returns:     0
 *              -EFAULT      nothing is mapped there, or the mapping forbids it
 *              a bus error  there is nothing behind the mapping
 *              -ENOMEM, -EINTR, -ENOSYS (the address space has no pages)
 *              or what `fn` returned that was not 0
 *              `*done` (NULL: not wanted): the bytes of `ar` for which `fn` has returned 0
 */
int mm_with_pages(struct memmap_mm *mm, struct memmap_addr_range ar, memmap_access at,
		  bool ignore_permissions, int (*fn)(void *arg, const struct mm_page_run *run),
		  void *arg, uint64_t *done);

/* A run of pages that are there now, within one VMA; page-aligned. */
struct mm_resident {
	struct memmap_addr_range range;
	struct memmap_file *file; /* NULL: guard pages */
	uint64_t offset;
	memmap_access perms; /* what the guest can do without a fault */
	bool private_; /* in the memory file, for this address space: Linux's anonymous pages */
	bool copy_on_write; /* may be shared with others: written to only after copying it */
	bool zero;          /* the page of zeros that readers share (private_ is set, too) */
	bool guard;         /* touching it is SIGSEGV */
	bool lazy_free;     /* private; may go when memory is short (MADV_FREE) */
};

/*
 * Call `fn` for each VMA that overlaps `ar`, with the whole VMA and no pages (`run` is NULL), and
 * then for each run of pages that are there in both, until it returns something other than 0.
 *
 * Returns:     what `fn` returned last; 0 when it was never called
 */
int mm_for_each_resident(struct memmap_mm *mm, struct memmap_addr_range ar,
			 int (*fn)(void *arg, const struct memmap_vma *vma,
				   const struct mm_resident *run),
			 void *arg);

#endif /* MEMMAP_SRC_MM_PAGES_H */
