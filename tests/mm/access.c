/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading, writing and changing a guest's bytes from outside: what is done, how much of it, and what
 * cannot be done; strings, vectors, atomics and futex keys.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>
#include <unistd.h>

#include <memmap/host_file.h>
#include <memmap/mm_access.h>

#include "memmap/failing_allocator.h"
#include "paged_file.h"

#define AT UINT64_C(0x30000000)

static struct memmap_memory_file *mf;
static struct memmap_mm *mm;

static struct memmap_mm *create(const struct memmap_allocator *allocator)
{
	struct memmap_mm *made;
	struct memmap_mm_options options = small_options();
	options.memory_file = mf;
	options.allocator = allocator;
	options.fault_around = K;
	assert_int_equal(memmap_mm_create(&options, &made), 0);
	return made;
}

static int setup(void **state)
{
	(void)state;
	assert_int_equal(memmap_memory_file_create(NULL, &mf), 0);
	mm = create(NULL);
	return 0;
}

/* Everything is given back. */
static int teardown(void **state)
{
	struct memmap_memory_usage usage;
	(void)state;
	assert_int_equal(memmap_mm_verify(mm), 0);
	memmap_mm_release(mm);
	memmap_memory_file_usage(mf, &usage);
	assert_int_equal(usage.total, 0);
	memmap_memory_file_release(mf);
	return 0;
}

static uint64_t map_paged(struct paged_file *f, uint64_t addr, uint64_t pages, uint64_t prot,
			  uint64_t type)
{
	struct memmap_mmap_file open = paged_file_open(f);
	int64_t at =
		memmap_mm_sys_mmap(mm, addr, pages * K, prot, type | MAP_FIXED, &open, 0, NULL);
	assert_int_equal(at, addr);
	return addr;
}

static void fill(unsigned char *bytes, size_t n, unsigned seed)
{
	for (size_t i = 0; i < n; i++)
		bytes[i] = (unsigned char)((i * 7 + seed) % 251);
}

/* ---- Bytes ---- */

static void test_bytes(void **state)
{
	(void)state;
	static unsigned char out[3 * K], in[3 * K];
	uint64_t done = 1;
	map_anon(mm, AT, 4 * K, RW, FIXED);
	/* What nobody wrote is zero. */
	memset(in, 1, sizeof(in));
	assert_int_equal(memmap_mm_copy_in(mm, AT + 5, in, 2 * K, NULL, &done), 0);
	assert_int_equal(done, 2 * K);
	for (size_t i = 0; i < 2 * K; i++)
		assert_int_equal(in[i], 0);
	assert_int_equal(in[2 * K], 1);
	/* Across pages, at odd addresses. */
	fill(out, sizeof(out), 1);
	assert_int_equal(memmap_mm_copy_out(mm, AT + 123, out, sizeof(out), NULL, &done), 0);
	assert_int_equal(done, sizeof(out));
	assert_int_equal(memmap_mm_copy_in(mm, AT + 123, in, sizeof(in), NULL, NULL), 0);
	assert_memory_equal(in, out, sizeof(in));
	assert_int_equal(memmap_mm_zero_out(mm, AT + 1000, K + 100, NULL, &done), 0);
	assert_int_equal(done, K + 100);
	memset(out + 1000 - 123, 0, K + 100);
	assert_int_equal(memmap_mm_copy_in(mm, AT + 123, in, sizeof(in), NULL, NULL), 0);
	assert_memory_equal(in, out, sizeof(in));
	/* Nothing is nothing, wherever. */
	assert_int_equal(memmap_mm_copy_in(mm, 17, in, 0, NULL, &done), 0);
	assert_int_equal(done, 0);
	assert_int_equal(memmap_mm_copy_out(mm, UINT64_MAX, out, 0, NULL, &done), 0);
	assert_int_equal(memmap_mm_zero_out(mm, 0, 0, NULL, &done), 0);
}

static void test_how_far(void **state)
{
	(void)state;
	static unsigned char buf[4 * K];
	uint64_t done;
	map_anon(mm, AT, 2 * K, RW, FIXED);
	map_anon(mm, AT + 2 * K, K, PROT_READ, FIXED);
	map_anon(mm, AT + 3 * K, K, PROT_NONE, FIXED);
	assert_int_equal(memmap_mm_copy_out(mm, AT + 100, buf, 4 * K, NULL, &done), -EFAULT);
	assert_int_equal(done, 2 * K - 100);
	assert_int_equal(memmap_mm_zero_out(mm, AT + 100, 4 * K, NULL, &done), -EFAULT);
	assert_int_equal(done, 2 * K - 100);
	memset(buf, 9, sizeof(buf));
	assert_int_equal(memmap_mm_copy_in(mm, AT + 100, buf, 4 * K, NULL, &done), -EFAULT);
	assert_int_equal(done, 3 * K - 100);
	assert_int_equal(buf[3 * K - 101], 0);
	assert_int_equal(buf[3 * K - 100], 9);
	assert_int_equal(memmap_mm_copy_in(mm, AT - 1, buf, 10, NULL, &done), -EFAULT);
	assert_int_equal(done, 0);
	assert_int_equal(memmap_mm_copy_in(mm, AT + 4 * K - 1, buf, 2, NULL, &done), -EFAULT);
	/* Ranges that wrap around, and those that end at the very end. */
	assert_int_equal(memmap_mm_copy_in(mm, UINT64_MAX - 10, buf, 20, NULL, &done), -EFAULT);
	assert_int_equal(memmap_mm_copy_out(mm, UINT64_MAX, buf, 1, NULL, &done), -EFAULT);
	assert_int_equal(memmap_mm_zero_out(mm, AT, UINT64_MAX, NULL, &done), -EFAULT);
	assert_int_equal(done, 2 * K);
}

static void test_stacks_grow(void **state)
{
	(void)state;
	unsigned char byte = 7;
	map_anon(mm, 0x60000000 - K, 2 * K, RW, FIXED | MAP_GROWSDOWN);
	assert_int_equal(memmap_mm_copy_out(mm, 0x60000000 - 5 * K, &byte, 1, NULL, NULL), 0);
	assert_int_equal(vma_at(mm, 0x60000000).range.start, 0x60000000 - 5 * K);
}

static void test_ignoring_permissions(void **state)
{
	(void)state;
	const struct memmap_access_opts force = {.ignore_permissions = true};
	struct paged_file f;
	unsigned char c = 5, got = 0;
	paged_file_init(&f, mf, "/f", 2 * K);
	paged_file_bytes(&f)[0] = 'f';
	map_anon(mm, AT, K, PROT_NONE, FIXED);
	map_anon(mm, AT + K, K, PROT_READ, FIXED);
	map_paged(&f, AT + 2 * K, 1, PROT_READ, MAP_PRIVATE);
	map_paged(&f, AT + 3 * K, 1, PROT_READ, MAP_SHARED);
	for (uint64_t page = 0; page < 4; page++) {
		assert_int_equal(memmap_mm_copy_out(mm, AT + page * K, &c, 1, NULL, NULL), -EFAULT);
		int err = memmap_mm_copy_out(mm, AT + page * K + 1, &c, 1, &force, NULL);
		/* Not even ptrace(2) writes to a file through a mapping that is read-only now. */
		if (page == 3 && err == -EFAULT)
			continue;
		assert_int_equal(err, 0);
		assert_int_equal(memmap_mm_copy_in(mm, AT + page * K + 1, &got, 1, &force, NULL),
				 0);
		assert_int_equal(got, 5);
	}
	assert_int_equal(memmap_mm_copy_in(mm, AT, &got, 1, NULL, NULL), -EFAULT);
	assert_int_equal(memmap_mm_copy_in(mm, AT + 2 * K, &got, 1, NULL, NULL), 0);
	assert_int_equal(got, 'f');
	memmap_mm_sys_munmap(mm, AT, 4 * K);
	paged_file_destroy(&f);
}

static void test_files(void **state)
{
	(void)state;
	static unsigned char out[2 * K], in[2 * K];
	uint64_t done;
	for (int buffered = 0; buffered < 2; buffered++) {
		struct paged_file f;
		paged_file_init(&f, mf, "/f", 2 * K + 1);
		f.buffered = buffered;
		map_paged(&f, AT, 5, RW, MAP_SHARED);
		map_paged(&f, AT + 8 * K, 5, RW, MAP_PRIVATE);
		fill(out, sizeof(out), 3);
		assert_int_equal(memmap_mm_copy_out(mm, AT + 99, out, sizeof(out), NULL, &done), 0);
		assert_memory_equal(paged_file_bytes(&f) + 99, out, sizeof(out));
		assert_int_equal(memmap_mm_copy_in(mm, AT + 8 * K + 99, in, sizeof(in), NULL, NULL),
				 0);
		assert_memory_equal(in, out, sizeof(in));
		/* Private writes stay private. */
		assert_int_equal(memmap_mm_zero_out(mm, AT + 8 * K, 2 * K, NULL, &done), 0);
		assert_int_equal(done, 2 * K);
		assert_memory_equal(paged_file_bytes(&f) + 99, out, sizeof(out));
		assert_int_equal(memmap_mm_zero_out(mm, AT + 90, K + 1, NULL, &done), 0);
		assert_int_equal(done, K + 1);
		assert_int_equal(paged_file_bytes(&f)[89 + K + 1], 0);
		assert_int_equal(paged_file_bytes(&f)[90 + K + 1], out[K + 1 - 9]);
		/* Wholly behind the end of the file. */
		assert_true(memmap_is_bus_error(
			memmap_mm_copy_in(mm, AT + 2 * K + 5, in, K, NULL, &done)));
		assert_int_equal(done, K - 5);
		assert_true(memmap_is_bus_error(
			memmap_mm_copy_out(mm, AT + 11 * K, in, 1, NULL, &done)));
		assert_int_equal(done, 0);
		/* What a Mappable refuses it with. */
		f.error = -EIO;
		memmap_mm_sys_munmap(mm, AT, 5 * K);
		map_paged(&f, AT, 5, RW, MAP_SHARED);
		assert_int_equal(memmap_mm_copy_in(mm, AT, in, K, NULL, &done), -EIO);
		memmap_mm_sys_munmap(mm, AT, 16 * K);
		paged_file_destroy(&f);
	}
}

/* From and to a file that can only be read and written, more than goes through a buffer at once. */
static void test_between_spaces_without_mapping(void **state)
{
	(void)state;
	static unsigned char out[2 * K], in[2 * K];
	struct memmap_mm *other = create(NULL), *first = mm;
	struct paged_file f, g;
	paged_file_init(&f, mf, "/f", 2 * K + 1);
	paged_file_init(&g, mf, "/g", 2 * K + 1);
	f.buffered = g.buffered = true;
	map_paged(&f, AT, 4, RW, MAP_SHARED);
	map_anon(mm, AT + 8 * K, 4 * K, RW, FIXED);
	mm = other;
	map_paged(&g, AT, 4, RW, MAP_SHARED);
	map_anon(mm, AT + 8 * K, 4 * K, RW, FIXED);
	mm = first;
	fill(out, sizeof(out), 5);
	assert_int_equal(memmap_mm_copy_out(mm, AT + 3, out, sizeof(out), NULL, NULL), 0);
	const struct memmap_iovec file = {AT + 3, sizeof(out)};
	const struct memmap_iovec memory = {AT + 8 * K + 77, sizeof(out)};
	assert_int_equal(memmap_mm_sys_process_vm_writev(mm, &file, 1, other, &memory, 1, 0),
			 sizeof(out));
	assert_int_equal(memmap_mm_copy_in(other, memory.base, in, sizeof(in), NULL, NULL), 0);
	assert_memory_equal(in, out, sizeof(in));
	assert_int_equal(memmap_mm_sys_process_vm_readv(mm, &memory, 1, other, &memory, 1, 0),
			 sizeof(out));
	assert_int_equal(memmap_mm_copy_in(mm, memory.base, in, sizeof(in), NULL, NULL), 0);
	assert_memory_equal(in, out, sizeof(in));
	assert_int_equal(memmap_mm_sys_process_vm_writev(mm, &memory, 1, other, &file, 1, 0),
			 sizeof(out));
	assert_memory_equal(paged_file_bytes(&g) + 3, out, sizeof(out));
	assert_int_equal(memmap_mm_zero_out(other, AT, 2 * K, NULL, NULL), 0);
	assert_int_equal(memmap_mm_sys_process_vm_writev(mm, &file, 1, other, &file, 1, 0),
			 sizeof(out));
	assert_memory_equal(paged_file_bytes(&g) + 3, out, sizeof(out));
	/* Behind the end of the file. */
	const struct memmap_iovec behind = {AT + 3 * K - 5, 10};
	assert_int_equal(memmap_mm_sys_process_vm_readv(mm, &memory, 1, other, &behind, 1, 0), 5);
	assert_int_equal(memmap_mm_sys_process_vm_writev(mm, &behind, 1, other, &memory, 1, 0), 5);
	memmap_mm_release(other);
	memmap_mm_sys_munmap(mm, AT, 16 * K);
	paged_file_destroy(&f);
	paged_file_destroy(&g);
}

/* A file that somebody else makes shorter, when its pages are known already. */
static void test_files_that_shrink(void **state)
{
	(void)state;
	static unsigned char buf[2 * K];
	struct memmap_host_files *files;
	struct memmap_mmap_file open = {.readable = true, .writable = true};
	uint64_t done;
	uint32_t word;
	assert_int_equal(memmap_block_install_handlers(), 0); /* cmocka has put its own on top */
	int fd = memfd_create("shrinks", 0);
	assert_int_equal(ftruncate(fd, 2 * K), 0);
	assert_int_equal(memmap_host_files_create(NULL, &files), 0);
	assert_int_equal(memmap_host_file_open(files, fd, NULL, &open.identity, &open.mappable), 0);
	assert_int_equal(
		memmap_mm_sys_mmap(mm, AT, 2 * K, RW, MAP_SHARED | MAP_FIXED, &open, 0, NULL), AT);
	assert_int_equal(memmap_mm_zero_out(mm, AT, 2 * K, NULL, NULL), 0);
	assert_int_equal(ftruncate(fd, K), 0);
	assert_true(memmap_is_bus_error(memmap_mm_copy_in(mm, AT + 100, buf, 2 * K, NULL, &done)));
	assert_int_equal(done, K - 100);
	assert_true(memmap_is_bus_error(memmap_mm_copy_out(mm, AT + 100, buf, K, NULL, &done)));
	assert_int_equal(done, K - 100);
	assert_true(memmap_is_bus_error(memmap_mm_zero_out(mm, AT + 100, K, NULL, &done)));
	assert_int_equal(done, K - 100);
	assert_true(memmap_is_bus_error(memmap_mm_load_u32(mm, AT + K, &word)));
	assert_true(memmap_is_bus_error(memmap_mm_swap_u32(mm, AT + K, 1, &word)));
	const struct memmap_iovec there = {AT + K - 8, 16}, here = {AT + 8 * K, 16};
	map_anon(mm, AT + 8 * K, K, RW, FIXED);
	assert_int_equal(memmap_mm_sys_process_vm_readv(mm, &here, 1, mm, &there, 1, 0), 8);
	assert_int_equal(memmap_mm_sys_process_vm_writev(mm, &here, 1, mm, &there, 1, 0), 8);
	memmap_mm_sys_munmap(mm, AT, 2 * K);
	memmap_mapping_identity_dec_ref(open.identity, NULL);
	memmap_host_files_release(files);
	close(fd);
}

/* What a copy within one address space has written, it reads, also where a fork shares the page. */
static void test_copies_that_overlap(void **state)
{
	(void)state;
	const uint64_t length = 3 * K + 0x6cc;
	const struct memmap_iovec from = {AT + 0x24c, length}, to = {AT + 3 * K, length};
	const unsigned char one = 0xfe;
	unsigned char byte = 1;
	struct memmap_mm *child;
	map_anon(mm, AT, 8 * K, RW, FIXED);
	assert_int_equal(memmap_mm_copy_out(mm, AT + 3 * K + 0x214, &one, 1, NULL, NULL), 0);
	assert_int_equal(memmap_mm_fork(mm, NULL, &child), 0);
	assert_int_equal(memmap_mm_sys_process_vm_readv(mm, &to, 1, mm, &from, 1, 0), length);
	/* It comes from where the byte above was, after zeros have gone there. */
	assert_int_equal(memmap_mm_copy_in(mm, AT + 5 * K + 0xfc8, &byte, 1, NULL, NULL), 0);
	assert_int_equal(byte, 0);
	assert_int_equal(memmap_mm_copy_in(child, AT + 3 * K + 0x214, &byte, 1, NULL, NULL), 0);
	assert_int_equal(byte, one);
	memmap_mm_release(child);
}

static void test_without_pages(void **state)
{
	(void)state;
	struct memmap_mm *bare = small_mm();
	unsigned char c = 0;
	map_anon(bare, AT, K, RW, FIXED);
	assert_int_equal(memmap_mm_copy_in(bare, AT, &c, 1, NULL, NULL), -ENOSYS);
	assert_int_equal(memmap_mm_copy_out(bare, AT, &c, 1, NULL, NULL), -ENOSYS);
	memmap_mm_release(bare);
}

/* ---- Strings ---- */

static void test_strings(void **state)
{
	(void)state;
	char buf[2 * K];
	uint64_t length;
	map_anon(mm, AT, 2 * K, RW, FIXED);
	assert_int_equal(memmap_mm_copy_out(mm, AT + K - 3, "abcdef", 7, NULL, NULL), 0);
	assert_int_equal(memmap_mm_copy_string_in(mm, AT + K - 3, buf, sizeof(buf), NULL, &length),
			 0);
	assert_int_equal(length, 6);
	assert_string_equal(buf, "abcdef");
	assert_int_equal(memmap_mm_copy_string_in(mm, AT + K - 3, buf, 7, NULL, &length), 0);
	assert_int_equal(memmap_mm_copy_string_in(mm, AT + K - 3, buf, 6, NULL, &length),
			 -ENAMETOOLONG);
	assert_int_equal(length, 6);
	assert_int_equal(memmap_mm_copy_string_in(mm, AT, buf, 0, NULL, &length), -ENAMETOOLONG);
	assert_int_equal(memmap_mm_copy_string_in(mm, AT + 2 * K - 1, buf, sizeof(buf), NULL, NULL),
			 0);
	assert_string_equal(buf, "");
	/* A string that runs into nothing. */
	memset(buf, 'x', sizeof(buf));
	assert_int_equal(memmap_mm_copy_out(mm, AT, buf, sizeof(buf), NULL, NULL), 0);
	assert_int_equal(memmap_mm_copy_string_in(mm, AT + K, buf, sizeof(buf), NULL, &length),
			 -EFAULT);
	assert_int_equal(length, K);
	assert_int_equal(memmap_mm_copy_string_in(mm, UINT64_MAX, buf, 2, NULL, &length), -EFAULT);
	assert_int_equal(length, 0);
	/* Pages behind the string are left alone. */
	map_anon(mm, AT + 4 * K, 2 * K, RW, FIXED);
	assert_int_equal(memmap_mm_copy_string_in(mm, AT + 4 * K, buf, sizeof(buf), NULL, &length),
			 0);
	unsigned char vec[2];
	assert_int_equal(memmap_mm_sys_mincore(mm, AT + 4 * K, 2 * K, vec), 0);
	assert_int_equal(vec[0], 1);
	assert_int_equal(vec[1], 0);
}

/* ---- Vectors ---- */

static void test_vectors(void **state)
{
	(void)state;
	unsigned char buf[64], got[64];
	uint64_t done;
	map_anon(mm, AT, 2 * K, RW, FIXED);
	const struct memmap_iovec vector[] = {
		{AT + 10, 5}, {17, 0}, {AT + K - 2, 4}, {AT + 2 * K - 3, 6}, {AT, 10}};
	fill(buf, sizeof(buf), 1);
	assert_int_equal(memmap_mm_copy_out_vector(mm, vector, 5, buf, 12, NULL, &done), 0);
	assert_int_equal(done, 12);
	assert_int_equal(memmap_mm_copy_in_vector(mm, vector, 5, got, 12, NULL, &done), 0);
	assert_memory_equal(got, buf, 12);
	/* The shorter of the two. */
	assert_int_equal(memmap_mm_copy_in_vector(mm, vector, 3, got, sizeof(got), NULL, &done), 0);
	assert_int_equal(done, 9);
	assert_int_equal(memmap_mm_copy_in_vector(mm, vector, 5, got, sizeof(got), NULL, &done),
			 -EFAULT);
	assert_int_equal(done, 12);
	assert_int_equal(memmap_mm_zero_out_vector(mm, vector, 5, 7, NULL, &done), 0);
	assert_int_equal(done, 7);
	assert_int_equal(memmap_mm_copy_in_vector(mm, vector, 3, got, 9, NULL, NULL), 0);
	for (int i = 0; i < 9; i++)
		assert_int_equal(got[i], i < 7 ? 0 : buf[i]);
	assert_int_equal(memmap_mm_zero_out_vector(mm, vector, 0, 7, NULL, &done), 0);
	assert_int_equal(done, 0);
}

/* ---- Atomics ---- */

static uint64_t atomic(uint64_t addr, enum memmap_atomic_op op, unsigned size, uint64_t operand,
		       uint64_t expected)
{
	const struct memmap_atomic a = {op, size, operand, expected};
	uint64_t old;
	assert_int_equal(memmap_mm_atomic(mm, addr, &a, NULL, &old), 0);
	return old;
}

static void test_atomics(void **state)
{
	(void)state;
	map_anon(mm, AT, 2 * K, RW, FIXED);
	for (unsigned size = 1; size <= 8; size *= 2) {
		const uint64_t mask = UINT64_MAX >> (64 - 8 * size);
		const uint64_t all = UINT64_C(0x1122334455667788);
		for (unsigned at = 8; at < 16; at += size) {
			unsigned char bytes[24], expected[24];
			fill(bytes, sizeof(bytes), size);
			memcpy(expected, bytes, sizeof(bytes));
			assert_int_equal(memmap_mm_copy_out(mm, AT, bytes, 24, NULL, NULL), 0);
			uint64_t was = 0, value = ~all;
			memcpy(&was, bytes + at, size);
			const uint64_t a = AT + at;
			assert_int_equal(atomic(a, MEMMAP_ATOMIC_LOAD, size, 0, 0), was);
			assert_int_equal(atomic(a, MEMMAP_ATOMIC_SWAP, size, all, 0), was);
			assert_int_equal(
				atomic(a, MEMMAP_ATOMIC_COMPARE_AND_SWAP, size, 1, all + 1),
				all & mask);
			/* The bits above the size do not count. */
			assert_int_equal(atomic(a, MEMMAP_ATOMIC_COMPARE_AND_SWAP, size, value,
						size < 8 ? all ^ (mask + 1) : all),
					 all & mask);
			assert_int_equal(atomic(a, MEMMAP_ATOMIC_ADD, size, all, 0), value & mask);
			assert_int_equal(atomic(a, MEMMAP_ATOMIC_AND, size, 0xf5, 0), mask);
			assert_int_equal(atomic(a, MEMMAP_ATOMIC_OR, size, 0x0a, 0), 0xf5);
			assert_int_equal(atomic(a, MEMMAP_ATOMIC_XOR, size, all, 0), 0xff);
			value = (0xff ^ all) & mask;
			assert_int_equal(atomic(a, MEMMAP_ATOMIC_LOAD, size, 0, 0), value);
			/* Its neighbours are as they were. */
			memcpy(expected + at, &value, size);
			assert_int_equal(memmap_mm_copy_in(mm, AT, bytes, 24, NULL, NULL), 0);
			assert_memory_equal(bytes, expected, 24);
		}
		const struct memmap_atomic load = {MEMMAP_ATOMIC_LOAD, size, 0, 0};
		for (unsigned at = 1; at < size; at++)
			assert_int_equal(memmap_mm_atomic(mm, AT + at, &load, NULL, NULL), -EINVAL);
		assert_int_equal(memmap_mm_atomic(mm, AT + 2 * K, &load, NULL, NULL), -EFAULT);
		assert_int_equal(memmap_mm_atomic(mm, UINT64_MAX - size + 1, &load, NULL, NULL),
				 -EFAULT);
	}
	uint8_t u8;
	uint16_t u16;
	uint32_t u32;
	uint64_t u64;
	assert_int_equal(memmap_mm_swap_u64(mm, AT, 0x0807060504030201, &u64), 0);
	assert_int_equal(memmap_mm_load_u8(mm, AT + 3, &u8), 0);
	assert_int_equal(u8, 4);
	assert_int_equal(memmap_mm_fetch_add_u16(mm, AT + 2, 1, &u16), 0);
	assert_int_equal(u16, 0x0403);
	assert_int_equal(memmap_mm_compare_and_swap_u32(mm, AT, 0x04040201, 5, &u32), 0);
	assert_int_equal(u32, 0x04040201);
	assert_int_equal(memmap_mm_fetch_or_u32(mm, AT, 8, &u32), 0);
	assert_int_equal(u32, 5);
	assert_int_equal(memmap_mm_load_u64(mm, AT, &u64), 0);
	assert_int_equal(u64, 0x080706050000000d);
}

static void test_atomics_of_files(void **state)
{
	(void)state;
	struct paged_file f;
	uint32_t old = 0;
	paged_file_init(&f, mf, "/f", K);
	map_paged(&f, AT, 2, RW, MAP_SHARED);
	map_paged(&f, AT + 2 * K, 2, PROT_READ, MAP_SHARED);
	assert_int_equal(memmap_mm_swap_u32(mm, AT + 8, 77, &old), 0);
	assert_int_equal(memmap_mm_load_u32(mm, AT + 2 * K + 8, &old), 0);
	assert_int_equal(old, 77);
	assert_int_equal(memmap_mm_swap_u32(mm, AT + 2 * K + 8, 77, &old), -EFAULT);
	assert_true(memmap_is_bus_error(memmap_mm_load_u32(mm, AT + K, &old)));
	memmap_mm_sys_munmap(mm, AT, 4 * K);
	f.buffered = true;
	map_paged(&f, AT, 1, RW, MAP_SHARED);
	uint8_t u8 = 0;
	uint16_t u16 = 0;
	uint64_t u64 = 0;
	assert_int_equal(memmap_mm_load_u8(mm, AT + 8, &u8), 0);
	assert_int_equal(memmap_mm_load_u16(mm, AT + 8, &u16), 0);
	assert_int_equal(memmap_mm_load_u32(mm, AT + 8, &old), 0);
	assert_int_equal(memmap_mm_load_u64(mm, AT + 8, &u64), 0);
	assert_int_equal(u8 + u16 + old + u64, 4 * 77);
	assert_int_equal(memmap_mm_fetch_add_u32(mm, AT + 8, 1, &old), -EOPNOTSUPP);
	assert_int_equal(memmap_mm_fetch_add_u64(mm, AT + 8, 1, &u64), -EOPNOTSUPP);
	memmap_mm_sys_munmap(mm, AT, K);
	paged_file_destroy(&f);
}

#define ROUNDS 20000

static void *count_up(void *unused)
{
	(void)unused;
	for (int i = 0; i < ROUNDS; i++) {
		uint8_t u8;
		uint64_t u64;
		if (memmap_mm_fetch_add_u8(mm, AT + 1, 1, &u8) != 0 ||
		    memmap_mm_fetch_add_u64(mm, AT + 8, 1, &u64) != 0)
			return "failed";
	}
	return NULL;
}

static void test_atomics_of_threads(void **state)
{
	(void)state;
	pthread_t threads[3];
	void *failed;
	uint64_t word;
	map_anon(mm, AT, K, RW, FIXED);
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, count_up, NULL), 0);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(pthread_join(threads[i], &failed), 0);
		assert_null(failed);
	}
	assert_int_equal(memmap_mm_load_u64(mm, AT + 8, &word), 0);
	assert_int_equal(word, 3 * ROUNDS);
	assert_int_equal(memmap_mm_load_u64(mm, AT, &word), 0);
	assert_int_equal(word, (3 * ROUNDS % 256) << 8);
}

/* ---- Futex keys ---- */

static bool same_futex(struct memmap_mm *a, uint64_t at_a, bool private_a, struct memmap_mm *b,
		       uint64_t at_b, bool private_b)
{
	struct memmap_futex_key ka, kb;
	assert_int_equal(memmap_mm_futex_key(a, at_a, private_a, &ka), 0);
	assert_int_equal(memmap_mm_futex_key(b, at_b, private_b, &kb), 0);
	bool same = memmap_futex_key_equal(&ka, &kb);
	if (same)
		assert_int_equal(memmap_futex_key_hash(&ka), memmap_futex_key_hash(&kb));
	memmap_futex_key_release(&ka);
	memmap_futex_key_release(&kb);
	return same;
}

static void test_futex_keys(void **state)
{
	(void)state;
	struct paged_file f, other;
	struct memmap_mm *child;
	struct memmap_futex_key key;
	paged_file_init(&f, mf, "/f", 4 * K);
	paged_file_init(&other, mf, "/g", 4 * K);
	map_paged(&f, AT, 4, RW, MAP_SHARED);
	map_paged(&f, AT + 8 * K, 2, PROT_READ, MAP_SHARED);
	map_paged(&other, AT + 12 * K, 4, RW, MAP_SHARED);
	map_anon(mm, AT + 16 * K, K, RW, FIXED);
	map_anon(mm, AT + 17 * K, K, PROT_NONE, FIXED);
	map_paged(&f, AT + 20 * K, 5, RW, MAP_PRIVATE);
	assert_int_equal(memmap_mm_fork(mm, NULL, &child), 0);

	/* Shared memory is the same wherever it is mapped. */
	assert_true(same_futex(mm, AT + 4, false, mm, AT + 8 * K + 4, false));
	assert_true(same_futex(mm, AT + K + 4, false, child, AT + 9 * K + 4, false));
	assert_false(same_futex(mm, AT + 4, false, mm, AT + 8, false));
	assert_false(same_futex(mm, AT + 4, false, mm, AT + K + 4, false));
	assert_false(same_futex(mm, AT + 4, false, mm, AT + 12 * K + 4, false));
	assert_false(same_futex(mm, AT + 4, true, mm, AT + 4, false));
	assert_false(same_futex(mm, AT + 4, true, mm, AT + 8 * K + 4, true));
	/* Private memory is the address space's own. */
	assert_true(same_futex(mm, AT + 16 * K, false, mm, AT + 16 * K, false));
	assert_false(same_futex(mm, AT + 16 * K, false, child, AT + 16 * K, false));
	assert_false(same_futex(mm, AT + 16 * K, true, child, AT + 16 * K, true));
	assert_false(same_futex(mm, AT + 16 * K, true, mm, AT + 16 * K, false));
	assert_true(same_futex(mm, AT + 16 * K, true, mm, AT + 16 * K, true));
	assert_false(same_futex(mm, AT + 20 * K, false, mm, AT, false));

	assert_int_equal(memmap_mm_futex_key(mm, AT + 2, false, &key), -EINVAL);
	assert_int_equal(memmap_mm_futex_key(mm, AT + 2, true, &key), -EINVAL);
	assert_int_equal(memmap_mm_futex_key(mm, UINT64_MAX - 3, true, &key), -EFAULT);
	assert_int_equal(memmap_mm_futex_key(mm, AT + 17 * K, false, &key), -EFAULT);
	assert_int_equal(memmap_mm_futex_key(mm, AT + 19 * K, false, &key), -EFAULT);
	assert_int_equal(memmap_mm_futex_key(mm, AT + 24 * K, false, &key), -EFAULT);
	assert_int_equal(memmap_mm_futex_key(mm, AT + 19 * K, true, &key), 0);
	memmap_futex_key_release(&key);

	/* The key keeps alive what is mapped. */
	assert_int_equal(memmap_mm_futex_key(mm, AT, false, &key), 0);
	memmap_mm_release(child);
	memmap_mm_sys_munmap(mm, AT, 32 * K);
	assert_int_equal(f.references, 1);
	memmap_futex_key_release(&key);
	memmap_futex_key_release(&key);
	paged_file_destroy(&f);
	paged_file_destroy(&other);
}

/* ---- mincore ---- */

static void test_mincore(void **state)
{
	(void)state;
	unsigned char vec[600], c = 1;
	struct paged_file f;
	const struct memmap_vma vdso = {
		.range = {AT + 0x100000, AT + 0x102000},
		.flags = MEMMAP_VM_READ | MEMMAP_VM_MAYREAD,
		.name = "[vdso]",
	};
	paged_file_init(&f, mf, "/f", 6 * K);
	map_anon(mm, AT, 4 * K, RW, FIXED);
	map_paged(&f, AT + 4 * K, 8, RW, MAP_PRIVATE);
	assert_int_equal(memmap_mm_copy_in(mm, AT + K, &c, 1, NULL, NULL), 0);
	assert_int_equal(memmap_mm_copy_out(mm, AT + 3 * K, &c, 1, NULL, NULL), 0);
	f.cached[2] = true;
	memset(vec, 9, sizeof(vec));
	assert_int_equal(memmap_mm_sys_mincore(mm, AT, 9 * K + 1, vec), 0);
	assert_memory_equal(vec, ((unsigned char[]){0, 1, 0, 1, 0, 0, 1, 0, 0, 0, 9}), 11);
	/* A private copy is there, cached or not. */
	assert_int_equal(memmap_mm_copy_out(mm, AT + 5 * K, &c, 1, NULL, NULL), 0);
	f.cached[1] = f.cached[2] = false;
	assert_int_equal(memmap_mm_sys_mincore(mm, AT + 4 * K, 8 * K, vec), 0);
	assert_memory_equal(vec, ((unsigned char[]){0, 1, 0, 0, 0, 0, 0, 0, 9}), 8);
	/* Up to the hole it has been told. */
	memset(vec, 9, sizeof(vec));
	assert_int_equal(memmap_mm_sys_mincore(mm, AT + 3 * K, 20 * K, vec), -ENOMEM);
	assert_memory_equal(vec, ((unsigned char[]){1, 0, 1, 0, 0, 0, 0, 0, 0, 9, 9}), 11);
	assert_int_equal(memmap_mm_sys_mincore(mm, AT - K, 2 * K, vec), -ENOMEM);
	assert_int_equal(memmap_mm_sys_mincore(mm, AT + 1, K, vec), -EINVAL);
	assert_int_equal(memmap_mm_sys_mincore(mm, AT + 1, 0, vec), -EINVAL);
	assert_int_equal(memmap_mm_sys_mincore(mm, 0, 0, vec), 0);
	assert_int_equal(memmap_mm_sys_mincore(mm, 0x7ffffffff000, K, vec), -ENOMEM);
	assert_int_equal(memmap_mm_sys_mincore(mm, AT, UINT64_MAX, vec), -ENOMEM);
	/* Nobody may know; nobody can know. */
	f.resident_error = -EPERM;
	assert_int_equal(memmap_mm_sys_mincore(mm, AT + 4 * K, 8 * K, vec), 0);
	assert_memory_equal(vec, ((unsigned char[]){1, 1, 1, 1, 1, 1, 1, 1}), 8);
	f.resident_error = -EIO;
	assert_int_equal(memmap_mm_sys_mincore(mm, AT + 4 * K, 8 * K, vec), -EIO);
	assert_int_equal(f.references, 1);
	assert_int_equal(memmap_mm_replace(mm, vdso.range, &vdso, 1), 0);
	assert_int_equal(memmap_mm_sys_mincore(mm, vdso.range.start, 2 * K, vec), 0);
	assert_int_equal(vec[0] + vec[1], 2);
	/* Guards are no pages. */
	assert_int_equal(memmap_mm_sys_madvise(mm, AT, 2 * K, MADV_GUARD_INSTALL), 0);
	assert_int_equal(memmap_mm_sys_mincore(mm, AT, 4 * K, vec), 0);
	assert_memory_equal(vec, ((unsigned char[]){0, 0, 0, 1}), 4);
	memmap_mm_sys_munmap(mm, AT, 16 * K);
	paged_file_destroy(&f);
}

/* More pages of a file than are asked for at once. */
static void test_mincore_at_length(void **state)
{
	(void)state;
	static unsigned char vec[1000];
	struct paged_file f;
	paged_file_init(&f, mf, "/f", PAGED_MAX * K);
	f.cached[0] = f.cached[63] = true;
	map_paged(&f, AT, 1000, RW, MAP_SHARED);
	assert_int_equal(memmap_mm_sys_mincore(mm, AT, 1000 * K, vec), 0);
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(vec[i], i == 0 || i == 63);
	memmap_mm_sys_munmap(mm, AT, 1000 * K);
	paged_file_destroy(&f);
}

/* ---- Want of memory ---- */

static void test_out_of_memory(void **state)
{
	(void)state;
	for (size_t budget = 0;; budget++) {
		assert_in_range(budget, 0, 200);
		struct failing_allocator failing;
		static unsigned char out[6 * K], in[6 * K];
		uint64_t done = 0;
		failing_allocator_init(&failing, SIZE_MAX);
		struct memmap_mm *poor = create(&failing.allocator);
		map_anon(poor, AT, 8 * K, RW, FIXED);
		fill(out, sizeof(out), (unsigned)budget);
		failing.budget = budget;
		int err = memmap_mm_copy_out(poor, AT + 50, out, sizeof(out), NULL, &done);
		bool failed = failing.nr_refused > 0;
		failing.budget = SIZE_MAX;
		assert_int_equal(err, failed ? -ENOMEM : 0);
		assert_true(failed ? done < sizeof(out) : done == sizeof(out));
		assert_int_equal(memmap_mm_verify(poor), 0);
		/* Just what was said to be done is done. */
		memset(out + done, 0, sizeof(out) - done);
		assert_int_equal(memmap_mm_copy_in(poor, AT + 50, in, sizeof(in), NULL, NULL), 0);
		assert_memory_equal(in, out, sizeof(in));
		memmap_mm_release(poor);
		assert_int_equal(failing.nr_live, 0);
		if (!failed)
			break;
	}
	/* No pages are left. */
	unsigned char c = 1;
	uint64_t done, old;
	map_anon(mm, AT, 8 * K, RW, FIXED);
	assert_int_equal(memmap_mm_copy_out(mm, AT, &c, 1, NULL, NULL), 0);
	memmap_memory_file_set_limit(mf, 1);
	static unsigned char two[2 * K];
	assert_int_equal(memmap_mm_copy_out(mm, AT, two, 2 * K, NULL, &done), -ENOMEM);
	assert_int_equal(done, K);
	assert_int_equal(memmap_mm_swap_u64(mm, AT + 3 * K, 1, &old), -ENOMEM);
	assert_int_equal(memmap_mm_swap_u64(mm, AT, 1, &old), 0);
	memmap_memory_file_set_limit(mf, 0);
}

/*
 * Under valgrind a stack does not always grow when a signal is delivered to it, so it is made to grow
 * before there are any.
 */
static void grow_stack(void)
{
	volatile char room[128 << 10];
	for (size_t at = sizeof(room); at >= 4096; at -= 4096)
		room[at - 1] = 0;
}

int main(void)
{
	grow_stack();
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_bytes),
		TEST(test_how_far),
		TEST(test_stacks_grow),
		TEST(test_ignoring_permissions),
		TEST(test_files),
		TEST(test_between_spaces_without_mapping),
		TEST(test_files_that_shrink),
		TEST(test_copies_that_overlap),
		TEST(test_without_pages),
		TEST(test_strings),
		TEST(test_vectors),
		TEST(test_atomics),
		TEST(test_atomics_of_files),
		TEST(test_atomics_of_threads),
		TEST(test_futex_keys),
		TEST(test_mincore),
		TEST(test_mincore_at_length),
		TEST(test_out_of_memory),
	};
	return cmocka_run_group_tests_name("mm/access", tests, NULL, NULL);
}
