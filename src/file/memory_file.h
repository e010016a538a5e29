/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a memory file does for the other files of this floor.
 */
#ifndef MEMMAP_SRC_FILE_MEMORY_FILE_H
#define MEMMAP_SRC_FILE_MEMORY_FILE_H

#include <stdint.h>

#include <memmap/memory_file.h>

/* A number that was not given before: 1, 2, 3 and so on. */
uint64_t memmap_memory_file_new_inode(struct memmap_memory_file *mf);

#endif /* MEMMAP_SRC_FILE_MEMORY_FILE_H */
