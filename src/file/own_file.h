/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file that is nowhere but in this process: one object is the Mappable and its only identity, and
 * its pages are in a memory file.
 */
#ifndef MEMMAP_SRC_FILE_OWN_FILE_H
#define MEMMAP_SRC_FILE_OWN_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <memmap/allocator.h>
#include <memmap/memmap.h>
#include <memmap/memory_file.h>

#include "file/mapped.h"

/* The first member of such a file. */
struct memmap_own_file {
	struct memmap_mapped mapped;
	struct memmap_mapping_identity identity;
	const struct memmap_allocator *allocator;
	struct memmap_memory_file *mf;
	uint64_t nr_refs; /* atomic */
	uint64_t device, inode;
	const char *name; /* behind the object */
	size_t size;      /* of both */
};

struct memmap_own_file_options {
	const struct memmap_mappable_ops *mappable_ops;
	const struct memmap_mapping_identity_ops *identity_ops;
	const struct memmap_allocator *allocator;
	struct memmap_memory_file *mf;
	const char *name; /* copied */
	uint64_t device, inode;
};

/* An object of `size` bytes, all zeros but for its first member, with one reference. NULL: no memory. */
void *memmap_own_file_create(size_t size, const struct memmap_own_file_options *options);

/* Free the object, what it holds having been let go. */
void memmap_own_file_free(struct memmap_own_file *own);

/* The object is its first member. */
static inline struct memmap_own_file *memmap_own_file_of(struct memmap_mapping_identity *id)
{
	return (struct memmap_own_file *)((char *)id - offsetof(struct memmap_own_file, identity));
}

/* Drop a reference: was it the last one? Then nobody maps the file, or this panics; `what` names it. */
bool memmap_own_file_drop(struct memmap_mapping_identity *id, const char *what);

/* ---- For the identity's table of functions ---- */

void memmap_own_file_inc_ref(struct memmap_mapping_identity *id);
size_t memmap_own_file_mapped_name(struct memmap_mapping_identity *id, struct memmap_context *ctx,
				   char *buf, size_t size);
uint64_t memmap_own_file_device_id(struct memmap_mapping_identity *id);
uint64_t memmap_own_file_inode_id(struct memmap_mapping_identity *id);

/* The bytes are kept nowhere else. */
int memmap_own_file_msync_nothing(struct memmap_mapping_identity *id, struct memmap_context *ctx,
				  struct memmap_mappable_range mr);

#endif /* MEMMAP_SRC_FILE_OWN_FILE_H */
