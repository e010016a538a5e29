/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who maps a Mappable: what all of them do the same way.
 *
 * Invariants: those of the mapping set.
 *
 * Locking: the lock is taken for each change of the set; invalidating is done with it held.
 */
#include "file/mapped.h"

#include <memmap/error.h>

void memmap_mapped_init(struct memmap_mapped *mapped, const struct memmap_mappable_ops *ops,
			const struct memmap_allocator *allocator)
{
	mapped->mappable.ops = ops;
	pthread_mutex_init(&mapped->lock, NULL);
	memmap_mapping_set_init(&mapped->mappings, allocator);
}

void memmap_mapped_destroy(struct memmap_mapped *mapped)
{
	memmap_mapping_set_destroy(&mapped->mappings);
	pthread_mutex_destroy(&mapped->lock);
}

void memmap_mapped_check_unmapped(const struct memmap_mapped *mapped, const char *what)
{
	if (!memmap_mapping_set_is_empty(&mapped->mappings))
		memmap_panic("%s: the last reference goes, but it is still mapped", what);
}

void memmap_mapped_invalidate(struct memmap_mapped *mapped, struct memmap_mappable_range mr,
			      bool invalidate_private)
{
	memmap_mapping_set_invalidate(
		&mapped->mappings, mr,
		(struct memmap_invalidate_opts){.invalidate_private = invalidate_private});
}

int memmap_mapped_add(struct memmap_mappable *m, struct memmap_context *ctx,
		      struct memmap_mapping_space *ms, struct memmap_addr_range ar, uint64_t offset,
		      bool writable)
{
	struct memmap_mapped *mapped = (struct memmap_mapped *)m;
	(void)ctx;
	pthread_mutex_lock(&mapped->lock);
	int err = memmap_mapping_set_add_mapping(&mapped->mappings, ms, ar, offset, writable, NULL);
	pthread_mutex_unlock(&mapped->lock);
	return err;
}

int memmap_mapped_remove(struct memmap_mappable *m, struct memmap_context *ctx,
			 struct memmap_mapping_space *ms, struct memmap_addr_range ar,
			 uint64_t offset, bool writable)
{
	struct memmap_mapped *mapped = (struct memmap_mapped *)m;
	(void)ctx;
	pthread_mutex_lock(&mapped->lock);
	int err = memmap_mapping_set_remove_mapping(&mapped->mappings, ms, ar, offset, writable,
						    NULL);
	pthread_mutex_unlock(&mapped->lock);
	return err;
}

int memmap_mapped_copy(struct memmap_mappable *m, struct memmap_context *ctx,
		       struct memmap_mapping_space *ms, struct memmap_addr_range src_ar,
		       struct memmap_addr_range dst_ar, uint64_t offset, bool writable)
{
	(void)src_ar;
	return memmap_mappable_add_mapping(m, ctx, ms, dst_ar, offset, writable);
}

int memmap_mapped_all_savable(struct memmap_mappable *m, struct memmap_context *ctx)
{
	(void)m;
	(void)ctx;
	return 0;
}
