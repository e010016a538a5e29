/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all opens of one host file share: the Mappable, and the Files that its translations lead to.
 */
#ifndef MEMMAP_SRC_FILE_HOST_INODE_H
#define MEMMAP_SRC_FILE_HOST_INODE_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <memmap/block.h>
#include <memmap/memmap.h>

#include "file/mapped.h"

/* The first chunk has 1 MiB; all of them together reach beyond INT64_MAX. */
#define MEMMAP_HOST_CHUNK_SHIFT 20
#define MEMMAP_HOST_NR_CHUNKS   44

/* The file's pages, through a descriptor that permits reading, or reading and writing. */
struct memmap_host_pages {
	struct memmap_file file;
	struct memmap_host_inode *inode;
	int fd; /* -1: there is none; set once */
	bool writable;
	uint64_t mapped; /* atomic: a bit for each chunk */
	struct memmap_block chunks[MEMMAP_HOST_NR_CHUNKS];
};

struct memmap_host_inode {
	struct memmap_mapped mapped;
	uint64_t device, inode;
	size_t nr_opens; /* guarded by the registry's lock */
	bool no_exec;
	uint64_t nr_page_refs; /* atomic; kept from MEMMAP_CHECK 2 on */

	pthread_mutex_t lock; /* over descriptors and chunks that come to be */
	struct memmap_host_pages read_only, read_write;
};

void memmap_host_inode_init(struct memmap_host_inode *inode,
			    const struct memmap_allocator *allocator);
void memmap_host_inode_destroy(struct memmap_host_inode *inode);

/* See that the inode can do what the open file `fd` can. 0 or a negative errno. */
int memmap_host_inode_add_descriptor(struct memmap_host_inode *inode, int fd, bool readable,
				     bool writable);

/* Write `mr` back; `fd` is one that the file is open by. */
int memmap_host_inode_sync(struct memmap_host_inode *inode, int fd,
			   struct memmap_mappable_range mr);

#endif /* MEMMAP_SRC_FILE_HOST_INODE_H */
