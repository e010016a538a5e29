/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the address space share: files that stand in for real ones, and address spaces
 * written down as tables.
 *
 *   assert_vmas(mm, "10000-13000 rw-p\n"
 *                   "13000-14000 r--s a+2000\n");
 *
 * A line is a VMA: its range, its permissions as in maps, and the file with its offset, if it has
 * one. Include after the cmocka headers.
 */
#ifndef MEMMAP_TESTS_MM_FIXTURE_H
#define MEMMAP_TESTS_MM_FIXTURE_H

#include <errno.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <memmap/mapping_set.h>
#include <memmap/mm.h>

#include "mm/abi.h"

#define K UINT64_C(0x1000) /* a page */
#define M UINT64_C(0x100000)

#define ANON  (MAP_PRIVATE | MAP_ANONYMOUS)
#define FIXED (MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED)
#define RW    (PROT_READ | PROT_WRITE)
#define RX    (PROT_READ | PROT_EXEC)

/*
 * ---- A file: inode and open file in one ----
 */

struct test_file {
	struct memmap_mapping_identity identity;
	struct memmap_mappable mappable;
	struct memmap_mapping_set mappings;
	struct test_file *inode; /* whose Mappable it is: its own, or that of another open file */
	const char *name;
	uint64_t device, ino;
	int references;     /* held by address spaces */
	unsigned refuse_in; /* the how-manieth change is refused, for want of memory; 0: none */
	bool refuse_on;     /* and all after it */
	int64_t told;       /* bytes that it was told are mapped */
};

static struct test_file *file_of_(struct memmap_mapping_identity *id)
{
	return (struct test_file *)((char *)id - offsetof(struct test_file, identity));
}

static struct test_file *inode_of_(struct memmap_mappable *m)
{
	return (struct test_file *)((char *)m - offsetof(struct test_file, mappable));
}

static bool refuses_(struct test_file *file)
{
	if (file->refuse_in == 0)
		return false;
	if (file->refuse_in > 1) {
		file->refuse_in--;
		return false;
	}
	if (!file->refuse_on)
		file->refuse_in = 0;
	return true;
}

static int test_add_mapping_(struct memmap_mappable *m, struct memmap_context *ctx,
			     struct memmap_mapping_space *ms, struct memmap_addr_range ar,
			     uint64_t offset, bool writable)
{
	(void)ctx;
	struct test_file *file = inode_of_(m);
	if (refuses_(file))
		return -ENOMEM;
	int err = memmap_mapping_set_add_mapping(&file->mappings, ms, ar, offset, writable, NULL);
	if (!err)
		file->told += (int64_t)(ar.end - ar.start);
	return err;
}

static int test_remove_mapping_(struct memmap_mappable *m, struct memmap_context *ctx,
				struct memmap_mapping_space *ms, struct memmap_addr_range ar,
				uint64_t offset, bool writable)
{
	(void)ctx;
	struct test_file *file = inode_of_(m);
	if (refuses_(file))
		return -ENOMEM;
	int err =
		memmap_mapping_set_remove_mapping(&file->mappings, ms, ar, offset, writable, NULL);
	if (!err)
		file->told -= (int64_t)(ar.end - ar.start);
	return err;
}

static int test_copy_mapping_(struct memmap_mappable *m, struct memmap_context *ctx,
			      struct memmap_mapping_space *ms, struct memmap_addr_range src,
			      struct memmap_addr_range dst, uint64_t offset, bool writable)
{
	(void)src;
	return test_add_mapping_(m, ctx, ms, dst, offset, writable);
}

static void test_inc_ref_(struct memmap_mapping_identity *id)
{
	file_of_(id)->references++;
}

static void test_dec_ref_(struct memmap_mapping_identity *id, struct memmap_context *ctx)
{
	(void)ctx;
	file_of_(id)->references--;
}

static size_t test_mapped_name_(struct memmap_mapping_identity *id, struct memmap_context *ctx,
				char *buf, size_t size)
{
	(void)ctx;
	return (size_t)snprintf(buf, size, "%s", file_of_(id)->name);
}

static uint64_t test_device_id_(struct memmap_mapping_identity *id)
{
	return file_of_(id)->device;
}

static uint64_t test_inode_id_(struct memmap_mapping_identity *id)
{
	return file_of_(id)->ino;
}

static const struct memmap_mappable_ops test_mappable_ops_ = {
	.add_mapping = test_add_mapping_,
	.remove_mapping = test_remove_mapping_,
	.copy_mapping = test_copy_mapping_,
};

static const struct memmap_mapping_identity_ops test_identity_ops_ = {
	.inc_ref = test_inc_ref_,
	.dec_ref = test_dec_ref_,
	.mapped_name = test_mapped_name_,
	.device_id = test_device_id_,
	.inode_id = test_inode_id_,
};

__attribute__((unused)) static void test_file_init(struct test_file *file, const char *name)
{
	*file = (struct test_file){
		.identity.ops = &test_identity_ops_,
		.mappable.ops = &test_mappable_ops_,
		.inode = file,
		.name = name,
		.device = 0xfe00,
		.ino = 1234,
	};
}

/* It has been unmapped everywhere, and nobody knows it any more. */
__attribute__((unused)) static void test_file_destroy(struct test_file *file)
{
	assert_int_equal(file->references, 0);
	assert_true(memmap_mapping_set_is_empty(&file->mappings));
	memmap_mapping_set_destroy(&file->mappings);
}

/* The file opened for reading and writing. */
__attribute__((unused)) static struct memmap_mmap_file test_file_open(struct test_file *file)
{
	return (struct memmap_mmap_file){
		.identity = &file->identity,
		.mappable = &file->inode->mappable,
		.readable = true,
		.writable = true,
	};
}

/* Shared anonymous memory: one file for each request, all kept until the end. */
struct test_shared {
	struct memmap_shared_anonymous create;
	struct test_file files[8];
	unsigned nr;
	int error;                 /* what creating returns instead */
	unsigned refuse_in;        /* for the file that it makes */
	struct test_file *instead; /* given in place of a new one */
};

__attribute__((unused)) static int test_create_shared_(void *context, uint64_t length,
						       struct memmap_mmap_file *out)
{
	struct test_shared *shared = context;
	(void)length;
	if (shared->error)
		return shared->error;
	if (shared->instead) {
		shared->instead->references++;
		*out = test_file_open(shared->instead);
		return 0;
	}
	assert_in_range(shared->nr, 0, 7);
	struct test_file *file = &shared->files[shared->nr++];
	test_file_init(file, "/dev/zero (deleted)");
	file->device = 1;
	file->references = 1;
	file->refuse_in = shared->refuse_in;
	*out = test_file_open(file);
	return 0;
}

__attribute__((unused)) static void test_shared_init(struct test_shared *shared)
{
	*shared = (struct test_shared){.create = {shared, test_create_shared_}};
}

__attribute__((unused)) static void test_shared_destroy(struct test_shared *shared)
{
	for (unsigned i = 0; i < shared->nr; i++)
		test_file_destroy(&shared->files[i]);
}

/*
 * ---- Address spaces ----
 */

/* A small layout: addresses that are easy to read. */
__attribute__((unused)) static struct memmap_mm_options small_options(void)
{
	struct memmap_mm_options options = {0};
	memmap_mm_layout_default(&options.layout);
	memmap_mm_limits_default(&options.limits);
	options.layout.vsyscall = false;
	options.layout.start_brk = options.layout.brk = 0x40000000;
	options.layout.start_stack = 0x60000000;
	options.layout.mmap_base = 0x70000000;
	options.layout.mmap_legacy_base = 0x20000000;
	return options;
}

__attribute__((unused)) static struct memmap_mm *small_mm(void)
{
	struct memmap_mm_options options = small_options();
	struct memmap_mm *mm;
	assert_int_equal(memmap_mm_create(&options, &mm), 0);
	return mm;
}

/* mmap of anonymous memory. */
__attribute__((unused)) static int64_t map_anon(struct memmap_mm *mm, uint64_t addr,
						uint64_t length, uint64_t prot, uint64_t flags)
{
	return memmap_mm_sys_mmap(mm, addr, length, prot, flags, NULL, 0, NULL);
}

__attribute__((unused)) static int64_t map_file(struct memmap_mm *mm, uint64_t addr,
						uint64_t length, uint64_t prot, uint64_t flags,
						struct test_file *file, uint64_t offset)
{
	struct memmap_mmap_file open = test_file_open(file);
	return memmap_mm_sys_mmap(mm, addr, length, prot, flags, &open, offset, NULL);
}

/* The table of the address space; to be freed. */
__attribute__((unused)) static char *vma_table(const struct memmap_mm *mm)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	assert_non_null(out);
	struct memmap_vma v;
	for (uint64_t at = 0; memmap_mm_find_vma(mm, at, &v); at = v.range.end) {
		fprintf(out, "%" PRIx64 "-%" PRIx64 " %c%c%c%c", v.range.start, v.range.end,
			v.flags & MEMMAP_VM_READ ? 'r' : '-', v.flags & MEMMAP_VM_WRITE ? 'w' : '-',
			v.flags & MEMMAP_VM_EXEC ? 'x' : '-',
			v.flags & MEMMAP_VM_MAYSHARE ? 's' : 'p');
		if (v.identity)
			fprintf(out, " %s+%" PRIx64, file_of_(v.identity)->name, v.offset);
		else if (v.name)
			fprintf(out, " %s", v.name);
		fputc('\n', out);
	}
	fclose(out);
	return text;
}

__attribute__((unused)) static void assert_vmas_(const struct memmap_mm *mm, const char *expected,
						 const char *file, int line)
{
	assert_int_equal(memmap_mm_verify(mm), 0);
	char *found = vma_table(mm);
	if (strcmp(found, expected) != 0) {
		print_error("%s:%d: the VMAs are\n%snot\n%s", file, line, found, expected);
		free(found);
		_fail(file, line);
	}
	free(found);
}
#define assert_vmas(mm, expected) assert_vmas_(mm, expected, __FILE__, __LINE__)

/* The VMA that holds `addr`. */
__attribute__((unused)) static struct memmap_vma vma_at(const struct memmap_mm *mm, uint64_t addr)
{
	struct memmap_vma v;
	assert_true(memmap_mm_find_vma(mm, addr, &v));
	assert_true(memmap_addr_range_contains(v.range, addr));
	return v;
}

/* What the file knows of its mappings by `mm` is what the VMAs say. */
__attribute__((unused)) static void assert_reverse_map_(struct memmap_mm *mm,
							const struct test_file *inode,
							const char *file, int line)
{
	uint64_t known = 0, mapped = 0, by_all = 0;
	struct memmap_vma v;
	for (uint64_t at = 0; memmap_mm_find_vma(mm, at, &v); at = v.range.end) {
		if (v.mappable != &inode->mappable)
			continue;
		mapped += v.range.end - v.range.start;
		for (uint64_t page = v.range.start; page < v.range.end; page += K) {
			uint64_t offset = v.offset + (page - v.range.start);
			struct memmap_mapping_iterator it =
				memmap_mapping_set_find_segment(&inode->mappings, offset);
			struct memmap_mapping_of_range of = {.space = memmap_mm_mapping_space(mm)};
			if (memmap_mapping_iterator_ok(it)) {
				struct memmap_mappable_range seg =
					memmap_mapping_iterator_range(it);
				of.addr_range.start = page - (offset - seg.start);
				of.addr_range.end = of.addr_range.start + (seg.end - seg.start);
				of.writable = (v.flags & MEMMAP_VM_SHARED) &&
					      (v.flags & MEMMAP_VM_MAYWRITE);
			}
			if (!memmap_mapping_iterator_ok(it) ||
			    !memmap_mapping_iterator_has_mapping(it, of)) {
				print_error("%s:%d: the file does not know of 0x%" PRIx64 "\n",
					    file, line, page);
				_fail(file, line);
			}
		}
	}
	struct memmap_mapping_iterator it = memmap_mapping_set_first_segment(&inode->mappings);
	for (; memmap_mapping_iterator_ok(it); it = memmap_mapping_iterator_next_segment(it)) {
		struct memmap_mapping_of_range of[64];
		size_t nr = memmap_mapping_iterator_mappings(it, of, 64);
		for (size_t i = 0; i < nr; i++) {
			by_all += of[i].addr_range.end - of[i].addr_range.start;
			if (of[i].space == memmap_mm_mapping_space(mm))
				known += of[i].addr_range.end - of[i].addr_range.start;
		}
	}
	/* Nor is it told twice of the same. */
	if (known != mapped || (int64_t)by_all != inode->told) {
		print_error("%s:%d: the file knows of 0x%" PRIx64 " bytes, not 0x%" PRIx64 "\n",
			    file, line, known, mapped);
		_fail(file, line);
	}
}
#define assert_reverse_map(mm, inode) assert_reverse_map_(mm, inode, __FILE__, __LINE__)

#endif /* MEMMAP_TESTS_MM_FIXTURE_H */
