/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The soft platform's system calls: nowhere else does it make any. Each returns 0 or a negative errno.
 */
#ifndef MEMMAP_SRC_PLATFORM_SOFT_HOST_H
#define MEMMAP_SRC_PLATFORM_SOFT_HOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * For tests: asked before each call, by its name and arguments (`offset` and `length` where it has
 * them); a negative errno is returned in its place. NULL: nobody is asked.
 */
extern int (*memmap_soft_host_hook)(const char *call, uint64_t offset, uint64_t length);

/* Map [offset, offset + length) of `fd`, shared, at an address that is a multiple of `alignment`. */
int memmap_soft_host_map(int fd, uint64_t offset, uint64_t length, uint64_t alignment,
			 bool writable, void **out);
int memmap_soft_host_unmap(void *addr, uint64_t length);
/* Make the pages present, for writing too if so asked. */
int memmap_soft_host_populate(void *addr, uint64_t length, bool writable);
/* May memmap_soft_host_barrier() be used from now on? */
int memmap_soft_host_register_barrier(void);
/* Every running thread of the process passes a full fence. */
int memmap_soft_host_barrier(void);
uint64_t memmap_soft_host_page_size(void);

#endif /* MEMMAP_SRC_PLATFORM_SOFT_HOST_H */
