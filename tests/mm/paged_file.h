/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file with pages, for tests of what is done with them: a range of a memory file, with a length
 * (touching what lies wholly behind it is a bus error), and a page cache that pages come into when
 * they are touched. Include after the cmocka headers.
 */
#ifndef MEMMAP_TESTS_MM_PAGED_FILE_H
#define MEMMAP_TESTS_MM_PAGED_FILE_H

#include <memmap/memory_file.h>

#include "fixture.h"

#define PAGED_MAX 64 /* pages */

struct paged_file {
	struct memmap_mapping_identity identity;
	struct memmap_mappable mappable;
	struct memmap_mapping_set mappings;
	struct memmap_memory_file *mf;
	struct memmap_file *file;
	struct memmap_file_range fr; /* PAGED_MAX pages of `mf` */
	uint64_t size;
	_Atomic bool cached[PAGED_MAX]; /* threads ask at the same time */
	const char *name;
	uint64_t device, ino;
	int references;
	int error;                     /* what translate() fails with instead */
	int resident_error;            /* likewise */
	struct memmap_file unmappable; /* stands in for `file` where `buffered` is set */
	bool buffered;
};

static struct paged_file *paged_of_mappable_(struct memmap_mappable *m)
{
	return (struct paged_file *)((char *)m - offsetof(struct paged_file, mappable));
}

static struct paged_file *paged_of_identity_(struct memmap_mapping_identity *id)
{
	return (struct paged_file *)((char *)id - offsetof(struct paged_file, identity));
}

static struct paged_file *paged_of_unmappable_(struct memmap_file *file)
{
	return (struct paged_file *)((char *)file - offsetof(struct paged_file, unmappable));
}

static int paged_add_mapping_(struct memmap_mappable *m, struct memmap_context *ctx,
			      struct memmap_mapping_space *ms, struct memmap_addr_range ar,
			      uint64_t offset, bool writable)
{
	(void)ctx;
	return memmap_mapping_set_add_mapping(&paged_of_mappable_(m)->mappings, ms, ar, offset,
					      writable, NULL);
}

static int paged_remove_mapping_(struct memmap_mappable *m, struct memmap_context *ctx,
				 struct memmap_mapping_space *ms, struct memmap_addr_range ar,
				 uint64_t offset, bool writable)
{
	(void)ctx;
	return memmap_mapping_set_remove_mapping(&paged_of_mappable_(m)->mappings, ms, ar, offset,
						 writable, NULL);
}

static int paged_copy_mapping_(struct memmap_mappable *m, struct memmap_context *ctx,
			       struct memmap_mapping_space *ms, struct memmap_addr_range src,
			       struct memmap_addr_range dst, uint64_t offset, bool writable)
{
	(void)src;
	return paged_add_mapping_(m, ctx, ms, dst, offset, writable);
}

static int paged_translate_(struct memmap_mappable *m, struct memmap_context *ctx,
			    struct memmap_mappable_range required,
			    struct memmap_mappable_range optional, memmap_access at,
			    struct memmap_translations *out)
{
	struct paged_file *f = paged_of_mappable_(m);
	uint64_t end = (f->size + K - 1) & ~(K - 1);
	struct memmap_translation t = {
		.source = required,
		.file = f->buffered ? &f->unmappable : f->file,
		.perms = MEMMAP_ANY_ACCESS,
	};
	(void)ctx;
	(void)at;
	if (f->error)
		return f->error;
	if (required.start >= end)
		return memmap_bus_error(-EFAULT);
	if (t.source.end > end)
		t.source.end = end;
	for (uint64_t page = t.source.start; page < t.source.end; page += K)
		f->cached[page / K] = true;
	/* Around it, what is in the cache: as Linux does. */
	while (t.source.start > optional.start && f->cached[t.source.start / K - 1])
		t.source.start -= K;
	while (t.source.end < optional.end && t.source.end < end && f->cached[t.source.end / K])
		t.source.end += K;
	t.offset = f->fr.start + t.source.start;
	int err = memmap_translations_append(out, t);
	if (!err && t.source.end < required.end)
		err = memmap_bus_error(-EFAULT);
	return err;
}

static int paged_resident_(struct memmap_mappable *m, struct memmap_context *ctx,
			   struct memmap_mappable_range mr, unsigned char *vec)
{
	struct paged_file *f = paged_of_mappable_(m);
	(void)ctx;
	if (f->resident_error)
		return f->resident_error;
	for (uint64_t page = mr.start; page < mr.end; page += K)
		vec[(page - mr.start) / K] = page / K < PAGED_MAX && f->cached[page / K];
	return 0;
}

static void paged_inc_ref_(struct memmap_mapping_identity *id)
{
	__atomic_add_fetch(&paged_of_identity_(id)->references, 1, __ATOMIC_RELAXED);
}

static void paged_dec_ref_(struct memmap_mapping_identity *id, struct memmap_context *ctx)
{
	(void)ctx;
	__atomic_sub_fetch(&paged_of_identity_(id)->references, 1, __ATOMIC_RELAXED);
}

static size_t paged_mapped_name_(struct memmap_mapping_identity *id, struct memmap_context *ctx,
				 char *buf, size_t size)
{
	(void)ctx;
	return (size_t)snprintf(buf, size, "%s", paged_of_identity_(id)->name);
}

static uint64_t paged_device_id_(struct memmap_mapping_identity *id)
{
	return paged_of_identity_(id)->device;
}

static uint64_t paged_inode_id_(struct memmap_mapping_identity *id)
{
	return paged_of_identity_(id)->ino;
}

static int paged_msync_(struct memmap_mapping_identity *id, struct memmap_context *ctx,
			struct memmap_mappable_range mr)
{
	(void)id;
	(void)ctx;
	(void)mr;
	return 0;
}

static const struct memmap_mappable_ops paged_mappable_ops_ = {
	.add_mapping = paged_add_mapping_,
	.remove_mapping = paged_remove_mapping_,
	.copy_mapping = paged_copy_mapping_,
	.translate = paged_translate_,
	.resident = paged_resident_,
};

static const struct memmap_mapping_identity_ops paged_identity_ops_ = {
	.inc_ref = paged_inc_ref_,
	.dec_ref = paged_dec_ref_,
	.mapped_name = paged_mapped_name_,
	.device_id = paged_device_id_,
	.inode_id = paged_inode_id_,
	.msync = paged_msync_,
};

/* ---- The same pages as a File that cannot be mapped, only read and written ---- */

static void unmappable_inc_ref_(struct memmap_file *file, struct memmap_file_range fr, uint32_t cg)
{
	memmap_file_inc_ref(paged_of_unmappable_(file)->file, fr, cg);
}

static void unmappable_dec_ref_(struct memmap_file *file, struct memmap_file_range fr)
{
	memmap_file_dec_ref(paged_of_unmappable_(file)->file, fr);
}

static int unmappable_map_internal_(struct memmap_file *file, struct memmap_file_range fr,
				    memmap_access at, struct memmap_block_seq *out)
{
	(void)file;
	(void)fr;
	(void)at;
	(void)out;
	return -EOPNOTSUPP;
}

static int unmappable_fd_(struct memmap_file *file)
{
	(void)file;
	return -1;
}

static int unmappable_read_(struct memmap_file *file, uint64_t offset, void *buf, uint64_t len,
			    uint64_t *done)
{
	return memmap_file_buffer_read_at(paged_of_unmappable_(file)->file, offset, buf, len, done);
}

static int unmappable_write_(struct memmap_file *file, uint64_t offset, const void *buf,
			     uint64_t len, uint64_t *done)
{
	return memmap_file_buffer_write_at(paged_of_unmappable_(file)->file, offset, buf, len,
					   done);
}

static const struct memmap_file_ops unmappable_ops_ = {
	.inc_ref = unmappable_inc_ref_,
	.dec_ref = unmappable_dec_ref_,
	.map_internal = unmappable_map_internal_,
	.fd = unmappable_fd_,
	.buffer_read_at = unmappable_read_,
	.buffer_write_at = unmappable_write_,
};

/* ---- Life ---- */

__attribute__((unused)) static void paged_file_init(struct paged_file *f,
						    struct memmap_memory_file *mf, const char *name,
						    uint64_t size)
{
	const struct memmap_allocate_opts opts = {.kind = MEMMAP_MEMORY_SHARED};
	*f = (struct paged_file){
		.identity.ops = &paged_identity_ops_,
		.mappable.ops = &paged_mappable_ops_,
		.unmappable.ops = &unmappable_ops_,
		.mf = mf,
		.file = memmap_memory_file_file(mf),
		.size = size,
		.name = name,
		.device = 0xfe00,
		.ino = 1234,
	};
	assert_int_equal(memmap_memory_file_allocate(mf, PAGED_MAX * K, &opts, &f->fr), 0);
}

__attribute__((unused)) static void paged_file_destroy(struct paged_file *f)
{
	assert_int_equal(f->references, 0);
	assert_true(memmap_mapping_set_is_empty(&f->mappings));
	memmap_mapping_set_destroy(&f->mappings);
	memmap_file_dec_ref(f->file, f->fr);
}

/* Its bytes, in this process. */
__attribute__((unused)) static unsigned char *paged_file_bytes(struct paged_file *f)
{
	struct memmap_block_seq blocks;
	assert_int_equal(memmap_file_map_internal(f->file, f->fr, MEMMAP_READ_WRITE, &blocks), 0);
	assert_int_equal(memmap_block_seq_num_blocks(blocks), 1);
	return memmap_block_seq_head(blocks).addr;
}

__attribute__((unused)) static struct memmap_mmap_file paged_file_open(struct paged_file *f)
{
	return (struct memmap_mmap_file){
		.identity = &f->identity,
		.mappable = &f->mappable,
		.readable = true,
		.writable = true,
	};
}

/* Gives itself out as shared anonymous memory, once. */
__attribute__((unused)) static int paged_file_as_shared(void *context, uint64_t length,
							struct memmap_mmap_file *out)
{
	struct paged_file *f = context;
	assert_in_range(length, K, PAGED_MAX * K);
	f->references++;
	*out = paged_file_open(f);
	return 0;
}

#endif /* MEMMAP_TESTS_MM_PAGED_FILE_H */
