/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files that are nowhere but in this process: their memory, references, name and numbers.
 *
 * Locking: none; but for the count of references nothing of it changes.
 */
#include "file/own_file.h"

#include <stdio.h>
#include <string.h>

void *memmap_own_file_create(size_t size, const struct memmap_own_file_options *options)
{
	const size_t name_size = strlen(options->name) + 1;
	struct memmap_own_file *own =
		memmap_allocate(options->allocator, size + name_size, _Alignof(max_align_t));
	if (!own)
		return NULL;
	memset(own, 0, size);
	char *name = (char *)own + size;
	memcpy(name, options->name, name_size);
	memmap_mapped_init(&own->mapped, options->mappable_ops, options->allocator);
	own->identity.ops = options->identity_ops;
	own->allocator = options->allocator;
	own->mf = options->mf;
	own->nr_refs = 1;
	own->device = options->device;
	own->inode = options->inode;
	own->name = name;
	own->size = size + name_size;
	return own;
}

void memmap_own_file_free(struct memmap_own_file *own)
{
	memmap_mapped_destroy(&own->mapped);
	memmap_deallocate(own->allocator, own, own->size);
}

void memmap_own_file_inc_ref(struct memmap_mapping_identity *id)
{
	__atomic_add_fetch(&memmap_own_file_of(id)->nr_refs, 1, __ATOMIC_RELAXED);
}

bool memmap_own_file_drop(struct memmap_mapping_identity *id, const char *what)
{
	struct memmap_own_file *own = memmap_own_file_of(id);
	if (__atomic_sub_fetch(&own->nr_refs, 1, __ATOMIC_ACQ_REL) > 0)
		return false;
	memmap_mapped_check_unmapped(&own->mapped, what);
	return true;
}

size_t memmap_own_file_mapped_name(struct memmap_mapping_identity *id, struct memmap_context *ctx,
				   char *buf, size_t size)
{
	(void)ctx;
	return (size_t)snprintf(buf, size, "%s", memmap_own_file_of(id)->name);
}

uint64_t memmap_own_file_device_id(struct memmap_mapping_identity *id)
{
	return memmap_own_file_of(id)->device;
}

uint64_t memmap_own_file_inode_id(struct memmap_mapping_identity *id)
{
	return memmap_own_file_of(id)->inode;
}

int memmap_own_file_msync_nothing(struct memmap_mapping_identity *id, struct memmap_context *ctx,
				  struct memmap_mappable_range mr)
{
	(void)id;
	(void)ctx;
	(void)mr;
	return 0;
}
