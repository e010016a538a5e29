/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Special pages: one range of a memory file, for reading and executing.
 *
 * The pages never go away before the last identity, so nothing is ever invalidated, and nobody notes
 * who maps them.
 *
 * Locking: none is needed; but for the reference count nothing changes.
 *
 * Refuses: writable mappings, and translating for writing (-EACCES).
 */
#include <memmap/special_pages.h>

#include <errno.h>
#include <inttypes.h>

#include <memmap/arch.h>
#include <memmap/block.h>
#include <memmap/error.h>

#include "file/own_file.h"

struct special_pages {
	struct memmap_own_file own;
	struct memmap_file_range fr;
};

static struct special_pages *of_mappable(struct memmap_mappable *m)
{
	return (struct special_pages *)m;
}

static struct special_pages *of_identity(struct memmap_mapping_identity *id)
{
	return (struct special_pages *)memmap_own_file_of(id);
}

static int add_mapping(struct memmap_mappable *m, struct memmap_context *ctx,
		       struct memmap_mapping_space *ms, struct memmap_addr_range ar,
		       uint64_t offset, bool writable)
{
	(void)m;
	(void)ctx;
	(void)ms;
	(void)ar;
	(void)offset;
	return writable ? -EACCES : 0;
}

static int remove_mapping(struct memmap_mappable *m, struct memmap_context *ctx,
			  struct memmap_mapping_space *ms, struct memmap_addr_range ar,
			  uint64_t offset, bool writable)
{
	(void)m;
	(void)ctx;
	(void)ms;
	(void)ar;
	(void)offset;
	(void)writable;
	return 0;
}

static int translate(struct memmap_mappable *m, struct memmap_context *ctx,
		     struct memmap_mappable_range required, struct memmap_mappable_range optional,
		     memmap_access at, struct memmap_translations *out)
{
	const struct special_pages *sp = of_mappable(m);
	const uint64_t end = memmap_file_range_length(sp->fr);
	(void)ctx;
	if (at & MEMMAP_WRITE)
		return -EACCES;
	if (required.start >= end)
		return memmap_bus_error(-EFAULT);
	const struct memmap_mappable_range source = {optional.start,
						     optional.end < end ? optional.end : end};
	int err =
		memmap_translations_append(out, (struct memmap_translation){
							.source = source,
							.file = memmap_memory_file_file(sp->own.mf),
							.offset = sp->fr.start + source.start,
							.perms = MEMMAP_READ | MEMMAP_EXEC,
						});
	if (err)
		return err;
	return required.end > end ? memmap_bus_error(-EFAULT) : 0;
}

static int resident(struct memmap_mappable *m, struct memmap_context *ctx,
		    struct memmap_mappable_range mr, unsigned char *vec)
{
	const uint64_t end = memmap_file_range_length(of_mappable(m)->fr);
	(void)ctx;
	for (uint64_t at = mr.start; at < mr.end; at += MEMMAP_PAGE_SIZE)
		vec[(at - mr.start) / MEMMAP_PAGE_SIZE] = at < end;
	return 0;
}

static void dec_ref(struct memmap_mapping_identity *id, struct memmap_context *ctx)
{
	struct special_pages *sp = of_identity(id);
	(void)ctx;
	if (!memmap_own_file_drop(id, "special pages"))
		return;
	memmap_file_dec_ref(memmap_memory_file_file(sp->own.mf), sp->fr);
	memmap_own_file_free(&sp->own);
}

static const struct memmap_mappable_ops mappable_ops = {
	.add_mapping = add_mapping,
	.remove_mapping = remove_mapping,
	.copy_mapping = memmap_mapped_copy,
	.translate = translate,
	.invalidate_unsavable = memmap_mapped_all_savable,
	.resident = resident,
};

static const struct memmap_mapping_identity_ops identity_ops = {
	.inc_ref = memmap_own_file_inc_ref,
	.dec_ref = dec_ref,
	.mapped_name = memmap_own_file_mapped_name,
	.device_id = memmap_own_file_device_id,
	.inode_id = memmap_own_file_inode_id,
	.msync = memmap_own_file_msync_nothing,
};

void memmap_special_pages_write(struct memmap_mappable *mappable, uint64_t offset,
				const void *bytes, uint64_t length)
{
	struct special_pages *sp = of_mappable(mappable);
	const uint64_t end = memmap_file_range_length(sp->fr);
	if (offset > end || length > end - offset)
		memmap_panic("%s: writing 0x%" PRIx64 " bytes at 0x%" PRIx64 " of 0x%" PRIx64,
			     sp->own.name, length, offset, end);
	uint64_t done;
	if (length > 0 && memmap_file_buffer_write_at(memmap_memory_file_file(sp->own.mf),
						      sp->fr.start + offset, bytes, length, &done))
		memmap_panic("%s: its pages are not there", sp->own.name);
}

int memmap_special_pages_create(struct memmap_memory_file *mf,
				const struct memmap_allocator *allocator, const char *name,
				const void *bytes, uint64_t length,
				struct memmap_mapping_identity **identity,
				struct memmap_mappable **mappable)
{
	uint64_t rounded;
	if (length == 0)
		memmap_panic("%s: special pages of no length", name);
	if (!memmap_page_round_up(length, &rounded))
		return -ENOMEM;
	const struct memmap_own_file_options own = {
		.mappable_ops = &mappable_ops,
		.identity_ops = &identity_ops,
		.allocator = allocator,
		.mf = mf,
		.name = name,
	};
	struct special_pages *sp = memmap_own_file_create(sizeof(*sp), &own);
	if (!sp)
		return -ENOMEM;
	const struct memmap_allocate_opts opts = {.kind = MEMMAP_MEMORY_SYSTEM};
	int err = memmap_memory_file_allocate(mf, rounded, &opts, &sp->fr);
	if (err) {
		memmap_own_file_free(&sp->own);
		return err;
	}
	struct memmap_mappable *m = &sp->own.mapped.mappable;
	memmap_special_pages_write(m, 0, bytes, length);
	*identity = &sp->own.identity;
	*mappable = m;
	return 0;
}
