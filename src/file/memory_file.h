/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a memory file does for the rest of the library.
 */
#ifndef MEMMAP_SRC_FILE_MEMORY_FILE_H
#define MEMMAP_SRC_FILE_MEMORY_FILE_H

#include <stdint.h>

#include <memmap/memory_file.h>

/* A number that was not given before: 1, 2, 3 and so on. */
uint64_t memmap_memory_file_new_inode(struct memmap_memory_file *mf);

/*
 * Copy `length` bytes from the offset `from` on to `to`, by way of `buffer`: with system calls, not
 * through this process's mapping of the file. Where nobody touches the pages through that mapping, a
 * fault for each page on both sides is spared, and new pages are not filled with zeros first.
 *
 * Returns:     0, or what pread(2) or pwrite(2) failed with; then part of it may have been copied
 */
int memmap_memory_file_copy(struct memmap_memory_file *mf, uint64_t to, uint64_t from,
			    uint64_t length, void *buffer, size_t size);

#endif /* MEMMAP_SRC_FILE_MEMORY_FILE_H */
