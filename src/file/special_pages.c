/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Special pages: one range of a memory file, for reading and executing.
 *
 * The pages never go away before the last identity, so nothing is ever invalidated and there is no
 * reverse map.
 *
 * Locking: none is needed; but for the reference count nothing changes.
 *
 * Refuses: writable mappings, and translating for writing (-EACCES).
 */
#include <memmap/special_pages.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <memmap/arch.h>
#include <memmap/block.h>
#include <memmap/error.h>

struct special_pages {
	struct memmap_mappable mappable;
	struct memmap_mapping_identity identity;
	const struct memmap_allocator *allocator;
	struct memmap_memory_file *mf;
	uint64_t nr_refs; /* atomic */
	struct memmap_file_range fr;
	size_t name_size;
	char name[];
};

static struct special_pages *of_mappable(struct memmap_mappable *m)
{
	return (struct special_pages *)m;
}

static struct special_pages *of_identity(struct memmap_mapping_identity *id)
{
	return (struct special_pages *)((char *)id - offsetof(struct special_pages, identity));
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

static int copy_mapping(struct memmap_mappable *m, struct memmap_context *ctx,
			struct memmap_mapping_space *ms, struct memmap_addr_range src_ar,
			struct memmap_addr_range dst_ar, uint64_t offset, bool writable)
{
	(void)src_ar;
	return add_mapping(m, ctx, ms, dst_ar, offset, writable);
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
	int err = memmap_translations_append(out, (struct memmap_translation){
							  .source = source,
							  .file = memmap_memory_file_file(sp->mf),
							  .offset = sp->fr.start + source.start,
							  .perms = MEMMAP_READ | MEMMAP_EXEC,
						  });
	if (err)
		return err;
	return required.end > end ? memmap_bus_error(-EFAULT) : 0;
}

static int invalidate_unsavable(struct memmap_mappable *m, struct memmap_context *ctx)
{
	(void)m;
	(void)ctx;
	return 0;
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

static void inc_ref(struct memmap_mapping_identity *id)
{
	__atomic_add_fetch(&of_identity(id)->nr_refs, 1, __ATOMIC_RELAXED);
}

static void dec_ref(struct memmap_mapping_identity *id, struct memmap_context *ctx)
{
	struct special_pages *sp = of_identity(id);
	(void)ctx;
	if (__atomic_sub_fetch(&sp->nr_refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	memmap_file_dec_ref(memmap_memory_file_file(sp->mf), sp->fr);
	memmap_deallocate(sp->allocator, sp, sizeof(*sp) + sp->name_size);
}

static size_t mapped_name(struct memmap_mapping_identity *id, struct memmap_context *ctx, char *buf,
			  size_t size)
{
	(void)ctx;
	return (size_t)snprintf(buf, size, "%s", of_identity(id)->name);
}

static uint64_t no_number(struct memmap_mapping_identity *id)
{
	(void)id;
	return 0;
}

static int msync_nothing(struct memmap_mapping_identity *id, struct memmap_context *ctx,
			 struct memmap_mappable_range mr)
{
	(void)id;
	(void)ctx;
	(void)mr;
	return 0;
}

static const struct memmap_mappable_ops mappable_ops = {
	.add_mapping = add_mapping,
	.remove_mapping = remove_mapping,
	.copy_mapping = copy_mapping,
	.translate = translate,
	.invalidate_unsavable = invalidate_unsavable,
	.resident = resident,
};

static const struct memmap_mapping_identity_ops identity_ops = {
	.inc_ref = inc_ref,
	.dec_ref = dec_ref,
	.mapped_name = mapped_name,
	.device_id = no_number,
	.inode_id = no_number,
	.msync = msync_nothing,
};

void memmap_special_pages_write(struct memmap_mappable *mappable, uint64_t offset,
				const void *bytes, uint64_t length)
{
	struct special_pages *sp = of_mappable(mappable);
	const uint64_t end = memmap_file_range_length(sp->fr);
	if (offset > end || length > end - offset)
		memmap_panic("%s: writing 0x%" PRIx64 " bytes at 0x%" PRIx64 " of 0x%" PRIx64,
			     sp->name, length, offset, end);
	uint64_t done;
	if (length > 0 && memmap_file_buffer_write_at(memmap_memory_file_file(sp->mf),
						      sp->fr.start + offset, bytes, length, &done))
		memmap_panic("%s: its pages are not there", sp->name);
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
	const size_t name_size = strlen(name) + 1;
	struct special_pages *sp =
		memmap_allocate(allocator, sizeof(*sp) + name_size, _Alignof(struct special_pages));
	if (!sp)
		return -ENOMEM;
	memset(sp, 0, sizeof(*sp));
	const struct memmap_allocate_opts opts = {.kind = MEMMAP_MEMORY_SYSTEM};
	int err = memmap_memory_file_allocate(mf, rounded, &opts, &sp->fr);
	if (err) {
		memmap_deallocate(allocator, sp, sizeof(*sp) + name_size);
		return err;
	}
	sp->mappable.ops = &mappable_ops;
	sp->identity.ops = &identity_ops;
	sp->allocator = allocator;
	sp->mf = mf;
	sp->nr_refs = 1;
	sp->name_size = name_size;
	memcpy(sp->name, name, name_size);
	memmap_special_pages_write(&sp->mappable, 0, bytes, length);
	*identity = &sp->identity;
	*mappable = &sp->mappable;
	return 0;
}
