/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the platforms share: a File over a memfd or a host file, and the smallest address
 * space that serves faults from it.
 *
 * Include after the cmocka headers.
 */
#ifndef MEMMAP_TESTS_PLATFORM_GUEST_H
#define MEMMAP_TESTS_PLATFORM_GUEST_H

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memmap/address_space.h>
#include <memmap/block.h>
#include <memmap/error.h>
#include <memmap/platform.h>

#define K UINT64_C(0x1000) /* a page */
#define M UINT64_C(0x100000)

#define RW MEMMAP_READ_WRITE

/* ---- A File ---- */

struct test_file {
	struct memmap_file file;
	int fd;
	unsigned char *bytes; /* all of it, mapped here for the test */
	uint64_t length;
	bool no_pointers; /* map_internal() is refused */
	bool no_fd;
	bool vanishing; /* blocks need safe copy */
};

__attribute__((unused)) static struct test_file *test_file_of_(struct memmap_file *file)
{
	return (struct test_file *)file;
}

static void test_file_no_ref_(struct memmap_file *file, struct memmap_file_range fr)
{
	(void)file;
	(void)fr;
}

static void test_file_inc_ref_(struct memmap_file *file, struct memmap_file_range fr, uint32_t cg)
{
	(void)cg;
	test_file_no_ref_(file, fr);
}

static int test_file_map_internal_(struct memmap_file *file, struct memmap_file_range fr,
				   memmap_access at, struct memmap_block_seq *out)
{
	struct test_file *f = test_file_of_(file);
	(void)at;
	if (f->no_pointers)
		return -EOPNOTSUPP;
	const size_t length = (size_t)(fr.end - fr.start);
	*out = memmap_block_seq_of(f->vanishing ? memmap_block_unsafe(f->bytes + fr.start, length)
						: memmap_block_safe(f->bytes + fr.start, length));
	return 0;
}

static int test_file_fd_(struct memmap_file *file)
{
	return test_file_of_(file)->no_fd ? -1 : test_file_of_(file)->fd;
}

static const struct memmap_file_ops test_file_ops_ = {
	.inc_ref = test_file_inc_ref_,
	.dec_ref = test_file_no_ref_,
	.map_internal = test_file_map_internal_,
	.fd = test_file_fd_,
};

/* A memfd of `length` bytes. */
__attribute__((unused)) static void test_file_init(struct test_file *f, uint64_t length)
{
	*f = (struct test_file){.file.ops = &test_file_ops_, .length = length};
	f->fd = memfd_create("test", MFD_CLOEXEC);
	if (f->fd < 0 || ftruncate(f->fd, (off_t)length) != 0)
		abort();
	f->bytes = mmap(NULL, length, PROT_READ | PROT_WRITE, MAP_SHARED, f->fd, 0);
	if (f->bytes == MAP_FAILED)
		abort();
}

/* The page at `offset` begins with these numbers. */
__attribute__((unused)) static void test_file_number(struct test_file *f)
{
	for (uint64_t offset = 0; offset < f->length; offset += K)
		memcpy(f->bytes + offset, &offset, sizeof(offset));
}

__attribute__((unused)) static void test_file_destroy(struct test_file *f)
{
	munmap(f->bytes, f->length);
	close(f->fd);
}

/* ---- An address space ---- */

struct test_vma {
	struct memmap_addr_range ar;
	memmap_access at;
	struct test_file *file;
	uint64_t offset;
};

#define TEST_NR_VMAS 8

struct test_mm {
	pthread_mutex_t lock;
	struct memmap_address_space *as;
	struct test_vma vmas[TEST_NR_VMAS];
	uint64_t fault_around; /* 0: a page */
	bool populate;
	bool never_bus_error; /* it does not know how long its files are */
	uint64_t nr_faults, nr_failed;
};

static int test_mm_fault_locked_(struct test_mm *mm, uint64_t addr, memmap_access at,
				 enum memmap_fault_code *code)
{
	mm->nr_faults++;
	for (unsigned i = 0; i < TEST_NR_VMAS; i++) {
		const struct test_vma *v = &mm->vmas[i];
		if (addr < v->ar.start || addr >= v->ar.end)
			continue;
		if (!memmap_access_superset_of(memmap_access_effective(v->at), at)) {
			*code = MEMMAP_FAULT_NOT_PERMITTED;
			return -EFAULT;
		}
		struct stat st;
		if (fstat(v->file->fd, &st) != 0)
			return -errno;
		const uint64_t size = ((uint64_t)st.st_size + K - 1) & ~(K - 1);
		const uint64_t page = addr & ~(K - 1);
		if (!mm->never_bus_error && v->offset + (page - v->ar.start) >= size)
			return memmap_bus_error(-EFAULT);
		const uint64_t around = mm->fault_around ? mm->fault_around : K;
		struct memmap_addr_range ar = {addr & ~(around - 1),
					       (addr & ~(around - 1)) + around};
		if (ar.start < v->ar.start)
			ar.start = v->ar.start;
		if (ar.end > v->ar.end)
			ar.end = v->ar.end;
		if (!mm->never_bus_error && v->offset + (ar.end - v->ar.start) > size)
			ar.end = v->ar.start + (size - v->offset);
		const uint64_t offset = v->offset + (ar.start - v->ar.start);
		return memmap_address_space_map_file(
			mm->as, ar.start, &v->file->file,
			(struct memmap_file_range){offset, offset + (ar.end - ar.start)}, v->at,
			mm->populate);
	}
	*code = MEMMAP_FAULT_UNMAPPED;
	return -EFAULT;
}

__attribute__((unused)) static int test_mm_fault(void *context, uint64_t addr, memmap_access at,
						 enum memmap_fault_code *code)
{
	struct test_mm *mm = context;
	pthread_mutex_lock(&mm->lock);
	int err = test_mm_fault_locked_(mm, addr, at, code);
	if (err)
		mm->nr_failed++;
	pthread_mutex_unlock(&mm->lock);
	return err;
}

__attribute__((unused)) static void test_mm_init(struct test_mm *mm,
						 struct memmap_address_space *as)
{
	*mm = (struct test_mm){.as = as};
	pthread_mutex_init(&mm->lock, NULL);
}

__attribute__((unused)) static struct memmap_faults test_mm_faults(struct test_mm *mm)
{
	return (struct memmap_faults){test_mm_fault, mm};
}

/* The `i`th VMA is this from now on; what was mapped of the old one and the new one goes. */
__attribute__((unused)) static void test_mm_set(struct test_mm *mm, unsigned i, struct test_vma vma)
{
	pthread_mutex_lock(&mm->lock);
	const struct memmap_addr_range before = mm->vmas[i].ar;
	mm->vmas[i] = vma;
	if (before.start < before.end)
		memmap_address_space_unmap(mm->as, before);
	pthread_mutex_unlock(&mm->lock);
}

#endif /* MEMMAP_TESTS_PLATFORM_GUEST_H */
