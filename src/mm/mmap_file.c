/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What mmap(2) wants to know of a file, told of the files of the floor below.
 *
 * Locking: none; nothing here is kept.
 */
#include <memmap/mmap_file.h>

#include <memmap/host_file.h>
#include <memmap/shared_memory.h>

int memmap_host_file_mmap_file(struct memmap_mapping_identity *identity,
			       struct memmap_mappable *mappable, struct memmap_mmap_file *out)
{
	struct memmap_host_file_info info;
	int err = memmap_host_file_look(identity, &info);
	if (err)
		return err;
	*out = (struct memmap_mmap_file){
		.identity = identity,
		.mappable = mappable,
		.readable = info.readable,
		.writable = info.writable,
		.append_only = info.append_only,
		.no_exec = info.no_exec,
		.huge_aligned = info.huge_aligned,
		.map_sync = info.dax,
		.refuses_sync = info.refuses_sync,
		.seal_write = info.seal_write,
	};
	return 0;
}

void memmap_shared_memory_mmap_file(struct memmap_mapping_identity *identity,
				    struct memmap_mappable *mappable, bool writable,
				    struct memmap_mmap_file *out)
{
	*out = (struct memmap_mmap_file){
		.identity = identity,
		.mappable = mappable,
		.readable = true,
		.writable = writable,
	};
}

static int create_shared_anonymous(void *context, uint64_t length, struct memmap_mmap_file *out)
{
	const struct memmap_shared_anonymous_source *source = context;
	const struct memmap_shared_memory_options options = {.allocator = source->allocator};
	struct memmap_mapping_identity *identity;
	struct memmap_mappable *mappable;
	int err = memmap_shared_memory_create(source->memory_file, length, source->mem_cg_id,
					      &options, &identity, &mappable);
	if (!err)
		memmap_shared_memory_mmap_file(identity, mappable, true, out);
	return err;
}

struct memmap_shared_anonymous memmap_shared_anonymous_from(
	struct memmap_shared_anonymous_source *source)
{
	return (struct memmap_shared_anonymous){.context = source,
						.create = create_shared_anonymous};
}
