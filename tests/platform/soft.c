/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The soft platform on one thread: what translates to what, and what becomes of it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "guest.h"
#include "memmap/failing_allocator.h"
#include "panic.h"
#include "platform/soft/host.h"
#include <memmap/platform_soft.h>

#define A UINT64_C(0x7f0000400000) /* where guests begin: at a page-table node's edge */

struct world {
	struct memmap_soft *soft;
	struct memmap_soft_vcpu *vcpu;
	struct memmap_address_space *as;
	struct test_mm mm;
	struct test_file file;
};

static void world_begin(struct world *w, const struct memmap_soft_options *options)
{
	assert_int_equal(memmap_soft_create(options, &w->soft), 0);
	w->as = memmap_soft_address_space(w->soft);
	test_mm_init(&w->mm, w->as);
	memmap_soft_set_faults(w->soft, test_mm_faults(&w->mm));
	test_file_init(&w->file, 4 * M);
	test_file_number(&w->file);
	assert_int_equal(memmap_soft_vcpu_create(w->soft, &w->vcpu), 0);
	memmap_soft_enter(w->vcpu);
}

static void world_end(struct world *w)
{
	memmap_soft_leave(w->vcpu);
	assert_int_equal(memmap_soft_verify(w->soft), 0);
	memmap_soft_vcpu_release(w->vcpu);
	memmap_soft_release(w->soft);
	test_file_destroy(&w->file);
}

/* As the address space may: outside of the section. */
static void unmap(struct world *w, uint64_t start, uint64_t end)
{
	memmap_soft_leave(w->vcpu);
	memmap_address_space_unmap(w->as, (struct memmap_addr_range){start, end});
	memmap_soft_enter(w->vcpu);
}

static int map(struct world *w, uint64_t addr, uint64_t offset, uint64_t length, memmap_access at)
{
	memmap_soft_leave(w->vcpu);
	int err = memmap_address_space_map_file(w->as, addr, &w->file.file,
						(struct memmap_file_range){offset, offset + length},
						at, false);
	memmap_soft_enter(w->vcpu);
	return err;
}

static struct memmap_soft_stats stats_of(struct world *w)
{
	struct memmap_soft_stats stats;
	memmap_soft_get_stats(w->soft, &stats);
	return stats;
}

static void test_loads_and_stores(void **state)
{
	(void)state;
	struct world w;
	world_begin(&w, NULL);
	test_mm_set(&w.mm, 0, (struct test_vma){{A, A + 16 * K}, RW, &w.file, 4 * K});

	/* The first touch faults, the others do not. */
	uint64_t u64;
	for (int i = 0; i < 3; i++) {
		assert_int_equal(memmap_soft_load_u64(w.vcpu, A + 3 * K, &u64), 0);
		assert_int_equal(u64, 7 * K);
		assert_int_equal(w.mm.nr_faults, 1);
	}

	/* Each size, at each address around a page's end, aligned or not. */
	for (uint64_t addr = A + 5 * K - 24; addr < A + 5 * K + 24; addr++) {
		const unsigned char *there = w.file.bytes + 4 * K + (addr - A);
		uint8_t u8;
		uint16_t u16, want16;
		uint32_t u32, want32;
		uint64_t want64;
		assert_int_equal(memmap_soft_store_u8(w.vcpu, addr, 0x5a), 0);
		assert_int_equal(*there, 0x5a);
		assert_int_equal(memmap_soft_store_u16(w.vcpu, addr, 0xbeef), 0);
		memcpy(&want16, there, 2);
		assert_int_equal(want16, 0xbeef);
		assert_int_equal(memmap_soft_store_u32(w.vcpu, addr, 0xdeadbeef), 0);
		memcpy(&want32, there, 4);
		assert_int_equal(want32, 0xdeadbeef);
		assert_int_equal(memmap_soft_store_u64(w.vcpu, addr, addr * 0x0123456789), 0);
		memcpy(&want64, there, 8);
		assert_int_equal(want64, addr * 0x0123456789);

		assert_int_equal(memmap_soft_load_u8(w.vcpu, addr, &u8), 0);
		assert_int_equal(u8, *there);
		assert_int_equal(memmap_soft_load_u16(w.vcpu, addr, &u16), 0);
		memcpy(&want16, there, 2);
		assert_int_equal(u16, want16);
		assert_int_equal(memmap_soft_load_u32(w.vcpu, addr, &u32), 0);
		memcpy(&want32, there, 4);
		assert_int_equal(u32, want32);
		assert_int_equal(memmap_soft_load_u64(w.vcpu, addr, &u64), 0);
		assert_int_equal(u64, want64);
	}

	/* Spans of many pages, and a pointer. */
	static unsigned char buf[9 * K];
	size_t done = 0;
	for (size_t i = 0; i < sizeof(buf); i++)
		buf[i] = (unsigned char)(i * 31 >> 3);
	assert_int_equal(memmap_soft_write(w.vcpu, A + 6 * K + 123, buf, sizeof(buf), &done), 0);
	assert_int_equal(done, sizeof(buf));
	assert_memory_equal(w.file.bytes + 10 * K + 123, buf, sizeof(buf));
	memset(buf, 0, sizeof(buf));
	assert_int_equal(memmap_soft_read(w.vcpu, A + 6 * K + 123, buf, sizeof(buf), NULL), 0);
	assert_memory_equal(w.file.bytes + 10 * K + 123, buf, sizeof(buf));
	void *host;
	size_t length;
	assert_int_equal(
		memmap_soft_translate(w.vcpu, A + 7 * K + 100, MEMMAP_READ, &host, &length), 0);
	assert_ptr_equal(host, w.file.bytes + 11 * K + 100);
	assert_int_equal(length, K - 100);
	world_end(&w);
}

static void test_what_fails(void **state)
{
	(void)state;
	struct world w;
	world_begin(&w, NULL);
	test_mm_set(&w.mm, 0, (struct test_vma){{A, A + 2 * K}, RW, &w.file, 0});
	test_mm_set(&w.mm, 1,
		    (struct test_vma){{A + 2 * K, A + 3 * K}, MEMMAP_READ, &w.file, 2 * K});

	/* Into a page that may not be written: nothing is stored, not even in the one before. */
	const uint64_t at = A + 2 * K - 3;
	assert_int_equal(memmap_soft_store_u64(w.vcpu, at, UINT64_MAX), -EFAULT);
	struct memmap_guest_fault fault = memmap_soft_last_fault(w.vcpu);
	assert_int_equal(fault.addr, A + 2 * K);
	assert_int_equal(fault.at, MEMMAP_WRITE);
	assert_int_equal(fault.error, -EFAULT);
	assert_int_equal(fault.code, MEMMAP_FAULT_NOT_PERMITTED);
	assert_int_equal(w.file.bytes[2 * K - 3], 0);

	/* A load across the same edge is fine, and one beyond the end is not. */
	uint64_t u64;
	uint32_t u32;
	assert_int_equal(memmap_soft_load_u64(w.vcpu, at, &u64), 0);
	assert_int_equal(memmap_soft_load_u64(w.vcpu, A + 3 * K - 4, &u64), -EFAULT);
	fault = memmap_soft_last_fault(w.vcpu);
	assert_int_equal(fault.addr, A + 3 * K);
	assert_int_equal(fault.code, MEMMAP_FAULT_UNMAPPED);

	/* Nothing here may be executed. */
	assert_int_equal(memmap_soft_fetch_u32(w.vcpu, A, &u32), -EFAULT);
	assert_int_equal(memmap_soft_last_fault(w.vcpu).at, MEMMAP_EXEC);
	assert_int_equal(memmap_soft_last_fault(w.vcpu).code, MEMMAP_FAULT_NOT_PERMITTED);
	test_mm_set(&w.mm, 2,
		    (struct test_vma){{A + 8 * K, A + 9 * K}, MEMMAP_EXEC, &w.file, 3 * K});
	assert_int_equal(memmap_soft_fetch_u32(w.vcpu, A + 8 * K, &u32), 0);
	assert_int_equal(u32, 3 * K);
	assert_int_equal(memmap_soft_load_u32(w.vcpu, A + 8 * K, &u32), 0);

	/* A span stops where it must, and says how far it came. */
	static unsigned char buf[4 * K];
	size_t done = 99;
	assert_int_equal(memmap_soft_read(w.vcpu, A + K, buf, sizeof(buf), &done), -EFAULT);
	assert_int_equal(done, 2 * K);
	assert_int_equal(memmap_soft_write(w.vcpu, A + K, buf, sizeof(buf), &done), -EFAULT);
	assert_int_equal(done, K);

	/* Addresses that are none. */
	static const uint64_t wild[] = {
		0, 1, UINT64_MAX, UINT64_MAX - 7, UINT64_C(1) << 63, UINT64_C(1) << 48, 1024, 2048};
	for (size_t i = 0; i < sizeof(wild) / sizeof(wild[0]); i++) {
		assert_int_equal(memmap_soft_load_u64(w.vcpu, wild[i], &u64), -EFAULT);
		assert_int_equal(memmap_soft_store_u64(w.vcpu, wild[i], u64), -EFAULT);
		assert_int_equal(memmap_soft_store_u8(w.vcpu, wild[i], 1), -EFAULT);
	}

	/* A platform that nobody told whom to ask. */
	struct memmap_soft *bare;
	struct memmap_soft_vcpu *vcpu;
	assert_int_equal(memmap_soft_create(NULL, &bare), 0);
	assert_int_equal(memmap_soft_vcpu_create(bare, &vcpu), 0);
	memmap_soft_enter(vcpu);
	assert_int_equal(memmap_soft_load_u64(vcpu, A, &u64), -EFAULT);
	memmap_soft_leave(vcpu);
	memmap_soft_vcpu_release(vcpu);
	memmap_soft_release(bare);
	world_end(&w);
}

static void test_unmap_and_protect(void **state)
{
	(void)state;
	struct world w;
	world_begin(&w, NULL);
	w.mm.fault_around = 64 * K;
	test_mm_set(&w.mm, 0, (struct test_vma){{A, A + 64 * K}, RW, &w.file, 0});
	uint64_t u64;
	assert_int_equal(memmap_soft_load_u64(w.vcpu, A + 5 * K, &u64), 0);
	assert_int_equal(stats_of(&w).nr_pages, 64);
	assert_int_equal(stats_of(&w).nr_shootdowns, 0);

	/* Less is permitted: stores fault, loads do not. */
	memmap_soft_leave(w.vcpu);
	memmap_address_space_protect(w.as, (struct memmap_addr_range){A + 4 * K, A + 6 * K},
				     MEMMAP_READ);
	memmap_soft_enter(w.vcpu);
	w.mm.vmas[0].at = MEMMAP_READ;
	uint64_t nr_faults = w.mm.nr_faults;
	assert_int_equal(memmap_soft_load_u64(w.vcpu, A + 5 * K, &u64), 0);
	assert_int_equal(w.mm.nr_faults, nr_faults);
	assert_int_equal(memmap_soft_store_u64(w.vcpu, A + 5 * K, 1), -EFAULT);
	assert_int_equal(memmap_soft_store_u64(w.vcpu, A + 6 * K, 1), 0);
	assert_int_equal(memmap_soft_store_u64(w.vcpu, A + 3 * K, 1), 0);

	/* Nothing is mapped: it faults, and finds what is there now. */
	test_mm_set(&w.mm, 1, (struct test_vma){0});
	unmap(&w, A + 6 * K, A + 8 * K);
	w.mm.vmas[0].offset = K;
	w.mm.fault_around = 0;
	assert_int_equal(memmap_soft_load_u64(w.vcpu, A + 7 * K, &u64), 0);
	assert_int_equal(u64, 8 * K);
	assert_int_equal(memmap_soft_load_u64(w.vcpu, A + 9 * K, &u64), 0);
	assert_int_equal(u64, 9 * K);

	/* Another page in the place of one that is known. */
	assert_int_equal(map(&w, A + 9 * K, 20 * K, K, RW), 0);
	assert_int_equal(memmap_soft_load_u64(w.vcpu, A + 9 * K, &u64), 0);
	assert_int_equal(u64, 20 * K);

	/* All of it, wherever it ends: the page table is as empty as at first. */
	assert_int_not_equal(stats_of(&w).nr_nodes, 1);
	unmap(&w, 0, UINT64_C(1) << 63);
	assert_int_equal(stats_of(&w).nr_pages, 0);
	assert_int_equal(stats_of(&w).nr_nodes, 1);
	world_end(&w);
}

static int nr_barriers;

static int count_barriers(const char *call, uint64_t offset, uint64_t length)
{
	(void)offset;
	(void)length;
	nr_barriers += strcmp(call, "barrier") == 0;
	return 0;
}

/* Whoever takes pages away makes the fence that vCPUs save; but for nothing, and for itself, none. */
static void test_barriers(void **state)
{
	(void)state;
	struct world w;
	world_begin(&w, NULL);
	if (w.vcpu->fences) {
		world_end(&w);
		print_message("there is no membarrier(2)\n");
		skip();
	}
	test_mm_set(&w.mm, 0, (struct test_vma){{A, A + 4 * K}, RW, &w.file, 0});
	uint64_t u64;
	nr_barriers = 0;
	memmap_soft_host_hook = count_barriers;
	assert_int_equal(memmap_soft_load_u64(w.vcpu, A, &u64), 0);
	unmap(&w, A + K, A + 4 * K);
	assert_int_equal(nr_barriers, 0);
	unmap(&w, A, A + 4 * K);
	assert_int_equal(nr_barriers, 1);
	memmap_soft_host_hook = NULL;
	world_end(&w);
}

/* Many pages that share entries of the TLB, and requests beyond those that can be noted. */
static void test_tlb_conflicts(void **state)
{
	(void)state;
	struct world w;
	world_begin(&w, NULL);
	test_mm_set(&w.mm, 0, (struct test_vma){{A, A + 1024 * K}, RW, &w.file, 0});
	uint64_t u64;
	for (int round = 0; round < 2; round++) {
		for (uint64_t page = 0; page < 1024; page++) {
			assert_int_equal(memmap_soft_load_u64(w.vcpu, A + page * K, &u64), 0);
			assert_int_equal(u64, page * K);
		}
	}
	assert_int_equal(w.mm.nr_faults, 1024);

	memmap_soft_leave(w.vcpu);
	for (uint64_t page = 1000; page < 1024; page++)
		memmap_address_space_unmap(
			w.as, (struct memmap_addr_range){A + page * K, A + (page + 1) * K});
	w.mm.vmas[0].offset = K;
	w.mm.vmas[0].ar.end -= K;
	memmap_soft_enter(w.vcpu);
	for (uint64_t page = 990; page < 1023; page++) {
		assert_int_equal(memmap_soft_load_u64(w.vcpu, A + page * K, &u64), 0);
		assert_int_equal(u64, (page < 1000 ? page : page + 1) * K);
	}
	world_end(&w);
}

/* Every number of address bits: the first and the last page, and what lies beyond. */
static void test_address_bits(void **state)
{
	(void)state;
	for (unsigned bits = 13; bits <= 64; bits++) {
		struct world w;
		const struct memmap_soft_options options = {.address_bits = bits};
		world_begin(&w, &options);
		const uint64_t end = bits == 64 ? UINT64_MAX & ~(K - 1) : UINT64_C(1) << bits;
		assert_int_equal(map(&w, 0, 3 * K, K, RW), 0);
		assert_int_equal(map(&w, end - K, 5 * K, K, RW), 0);
		uint64_t u64;
		assert_int_equal(memmap_soft_load_u64(w.vcpu, 0, &u64), 0);
		assert_int_equal(u64, 3 * K);
		assert_int_equal(memmap_soft_load_u64(w.vcpu, end - K, &u64), 0);
		assert_int_equal(u64, 5 * K);
		assert_int_equal(memmap_soft_load_u64(w.vcpu, end, &u64), -EFAULT);
		if (bits < 64) {
			assert_int_equal(map(&w, end, 0, K, RW), -EINVAL);
			assert_int_equal(map(&w, end - K, 0, 2 * K, RW), -EINVAL);
		}
		assert_int_equal(map(&w, UINT64_MAX - K + 1, 0, K, RW), -EINVAL);
		assert_int_equal(stats_of(&w).nr_pages, 2);
		world_end(&w);
	}
	struct memmap_soft *soft;
	static const struct memmap_soft_options wrong[] = {
		{.address_bits = 12},     {.address_bits = 65},     {.host_page_size = 1},
		{.host_page_size = 2048}, {.host_page_size = 5000}, {.host_page_size = 12288},
	};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(memmap_soft_create(&wrong[i], &soft), -EINVAL);
}

/* ---- Files of all kinds ---- */

static uint64_t forced_page_size;
static int nr_mmaps;

static int check_alignment(const char *call, uint64_t offset, uint64_t length)
{
	if (strcmp(call, "mmap") == 0) {
		nr_mmaps++;
		assert_int_equal(offset % forced_page_size, 0);
		assert_int_equal(length % forced_page_size, 0);
		assert_int_not_equal(length, 0);
	}
	return 0;
}

/* A File without host pointers: windows, on machines of every page size. */
static void test_windows(void **state)
{
	(void)state;
	static const uint64_t sizes[] = {0x1000, 0x4000, 0x10000, 0x400000};
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct world w;
		const struct memmap_soft_options options = {.host_page_size = sizes[i]};
		world_begin(&w, &options);
		forced_page_size = sizes[i];
		nr_mmaps = 0;
		memmap_soft_host_hook = check_alignment;
		w.file.no_pointers = true;

		/* Guest pages from all over the file, at addresses that have nothing to do with it. */
		test_mm_set(&w.mm, 0, (struct test_vma){{A, A + 700 * K}, RW, &w.file, 3 * K});
		test_mm_set(&w.mm, 1,
			    (struct test_vma){
				    {A + 701 * K, A + 800 * K}, MEMMAP_READ, &w.file, 901 * K});
		uint64_t u64;
		for (uint64_t page = 0; page < 700; page += 7) {
			assert_int_equal(memmap_soft_load_u64(w.vcpu, A + page * K, &u64), 0);
			assert_int_equal(u64, (page + 3) * K);
			assert_int_equal(memmap_soft_store_u64(w.vcpu, A + page * K + 8, page), 0);
			memcpy(&u64, w.file.bytes + (page + 3) * K + 8, sizeof(u64));
			assert_int_equal(u64, page);
		}
		for (uint64_t page = 701; page < 800; page++) {
			assert_int_equal(memmap_soft_load_u64(w.vcpu, A + page * K, &u64), 0);
			assert_int_equal(u64, (page - 701 + 901) * K);
		}
		assert_in_range(nr_mmaps, 1, 4);
		assert_int_equal(stats_of(&w).nr_windows, nr_mmaps);

		/* Mapping over itself changes no count. */
		assert_int_equal(map(&w, A + 7 * K, 10 * K, 3 * K, RW), 0);
		assert_int_equal(map(&w, A + 7 * K, 10 * K, 3 * K, RW), 0);
		unmap(&w, A, A + 800 * K);
		assert_int_equal(stats_of(&w).nr_windows, 0);
		memmap_soft_host_hook = NULL;
		world_end(&w);
	}
}

static void test_no_way_to_map(void **state)
{
	(void)state;
	struct world w;
	world_begin(&w, NULL);
	test_mm_set(&w.mm, 0, (struct test_vma){{A, A + 4 * K}, RW, &w.file, 0});
	w.file.no_pointers = w.file.no_fd = true;
	uint64_t u64;
	assert_int_equal(memmap_soft_load_u64(w.vcpu, A, &u64), -EOPNOTSUPP);
	assert_int_equal(memmap_soft_last_fault(w.vcpu).error, -EOPNOTSUPP);
	assert_int_equal(stats_of(&w).nr_pages, 0);
	assert_int_equal(stats_of(&w).nr_nodes, 1);
	world_end(&w);
}

/* Blocks that are many, that are not aligned, or that cut a page. */
static struct memmap_block odd_blocks[3];

static int odd_map_internal(struct memmap_file *file, struct memmap_file_range fr, memmap_access at,
			    struct memmap_block_seq *out)
{
	(void)file;
	(void)fr;
	(void)at;
	*out = memmap_block_seq_from(odd_blocks, 3);
	return 0;
}

static void test_odd_blocks(void **state)
{
	(void)state;
	static unsigned char memory[8 * K] __attribute__((aligned(4096)));
	struct memmap_file_ops ops = test_file_ops_;
	ops.map_internal = odd_map_internal;
	struct world w;
	world_begin(&w, NULL);
	w.file.file.ops = &ops;
	test_mm_set(&w.mm, 0, (struct test_vma){{A, A + 4 * K}, RW, &w.file, 0});
	w.mm.fault_around = 4 * K;
	odd_blocks[0] = memmap_block_safe(memory + 3, K);
	odd_blocks[1] = memmap_block_unsafe(memory + 5 * K, 2 * K);
	odd_blocks[2] = memmap_block_safe(memory + 2 * K + 8, K);
	for (uint64_t i = 0; i < 4; i++)
		assert_int_equal(memmap_soft_store_u32(w.vcpu, A + i * K + 16, 0x10 + (uint32_t)i),
				 0);
	assert_int_equal(memory[3 + 16], 0x10);
	assert_int_equal(memory[5 * K + 16], 0x11);
	assert_int_equal(memory[6 * K + 16], 0x12);
	assert_int_equal(memory[2 * K + 8 + 16], 0x13);
	assert_int_equal(w.mm.nr_faults, 1);

	/* Mapping them again with care taken of one more. */
	odd_blocks[2].need_safe_copy = true;
	assert_int_equal(map(&w, A, 0, 4 * K, RW), 0);
	uint32_t u32;
	assert_int_equal(memmap_soft_load_u32(w.vcpu, A + 3 * K + 16, &u32), 0);
	assert_int_equal(u32, 0x13);

	unmap(&w, A, A + 4 * K);
	odd_blocks[0].len -= 8;
	odd_blocks[2].len += 8;
	assert_int_equal(memmap_soft_store_u32(w.vcpu, A, 1), -EOPNOTSUPP);
	assert_int_equal(stats_of(&w).nr_pages, 0);
	world_end(&w);
}

/* A file that shrinks under the guest: bus errors from safe copies, and back when it grows. */
static void test_shrinking_file(void **state)
{
	(void)state;
	/* cmocka puts its own handlers on top for each test. */
	assert_int_equal(memmap_block_install_handlers(), 0);
	for (int windows = 0; windows < 2; windows++) {
		struct world w;
		world_begin(&w, NULL);
		w.file.vanishing = true;
		w.file.no_pointers = windows;
		test_mm_set(&w.mm, 0, (struct test_vma){{A, A + 8 * K}, RW, &w.file, 0});
		w.mm.fault_around = 8 * K;
		uint64_t u64;
		assert_int_equal(memmap_soft_load_u64(w.vcpu, A + 4 * K, &u64), 0);
		assert_int_equal(u64, 4 * K);
		assert_int_equal(memmap_soft_store_u64(w.vcpu, A + 4 * K + 8, u64), 0);

		assert_int_equal(ftruncate(w.file.fd, 4 * K), 0);
		int err = memmap_soft_load_u64(w.vcpu, A + 4 * K, &u64);
		assert_true(memmap_is_bus_error(err));
		assert_int_equal(memmap_soft_last_fault(w.vcpu).error, err);
		assert_true(memmap_is_bus_error(memmap_soft_store_u16(w.vcpu, A + 4 * K, 1)));
		assert_int_equal(memmap_soft_last_fault(w.vcpu).addr, A + 4 * K);
		assert_int_equal(memmap_soft_last_fault(w.vcpu).at, MEMMAP_WRITE);

		/* Across the edge, the bytes that are there are done, and counted. */
		unsigned char buf[64];
		size_t done;
		err = memmap_soft_read(w.vcpu, A + 4 * K - 24, buf, sizeof(buf), &done);
		assert_true(memmap_is_bus_error(err));
		assert_int_equal(done, 24);
		assert_int_equal(memmap_soft_last_fault(w.vcpu).addr, A + 4 * K);

		/* The Mappable says the same, once it is asked again. */
		unmap(&w, A, A + 8 * K);
		assert_true(memmap_is_bus_error(memmap_soft_load_u64(w.vcpu, A + 4 * K, &u64)));
		assert_int_equal(ftruncate(w.file.fd, (off_t)w.file.length), 0);
		assert_int_equal(memmap_soft_load_u64(w.vcpu, A + 4 * K, &u64), 0);
		assert_int_equal(u64, 0);
		world_end(&w);
	}
}

/* ---- Faults that change what is mapped ---- */

/* A fault handler that copies on write, unmapping as it goes: the vCPU must not wait for itself. */
struct cow {
	struct world *w;
	int nr_copies;
};

static int cow_fault(void *context, uint64_t addr, memmap_access at, enum memmap_fault_code *code)
{
	struct cow *cow = context;
	(void)code;
	const uint64_t page = addr & ~(K - 1);
	const uint64_t from = page - A, to = 512 * K + from;
	unsigned char *bytes = cow->w->file.bytes;
	if (!(at & MEMMAP_WRITE))
		return memmap_address_space_map_file(cow->w->as, page, &cow->w->file.file,
						     (struct memmap_file_range){from, from + K},
						     MEMMAP_READ, false);
	cow->nr_copies++;
	memcpy(bytes + to, bytes + from, K);
	memmap_address_space_unmap(cow->w->as, (struct memmap_addr_range){page, page + K});
	return memmap_address_space_map_file(cow->w->as, page, &cow->w->file.file,
					     (struct memmap_file_range){to, to + K}, RW, false);
}

static void test_copy_on_write(void **state)
{
	(void)state;
	struct world w;
	world_begin(&w, NULL);
	struct cow cow = {.w = &w};
	memmap_soft_leave(w.vcpu);
	memmap_soft_set_faults(w.soft, (struct memmap_faults){cow_fault, &cow});
	memmap_soft_enter(w.vcpu);
	nr_barriers = 0;
	memmap_soft_host_hook = count_barriers;
	uint64_t u64;
	for (uint64_t page = 0; page < 300; page++) {
		assert_int_equal(memmap_soft_load_u64(w.vcpu, A + page * K, &u64), 0);
		assert_int_equal(u64, page * K);
		assert_int_equal(memmap_soft_store_u64(w.vcpu, A + page * K, ~page), 0);
		assert_int_equal(memmap_soft_load_u64(w.vcpu, A + page * K, &u64), 0);
		assert_int_equal(u64, ~page);
		memcpy(&u64, w.file.bytes + page * K, sizeof(u64));
		assert_int_equal(u64, page * K);
	}
	assert_int_equal(cow.nr_copies, 300);
	assert_int_equal(nr_barriers, 0);
	memmap_soft_host_hook = NULL;
	world_end(&w);
}

/* A handler that says that all is well and maps nothing. */
static int lying_fault(void *context, uint64_t addr, memmap_access at, enum memmap_fault_code *code)
{
	(void)addr;
	(void)at;
	(void)code;
	++*(int *)context;
	return 0;
}

static void test_never_mapped(void **state)
{
	(void)state;
	struct world w;
	world_begin(&w, NULL);
	int nr_faults = 0;
	memmap_soft_set_faults(w.soft, (struct memmap_faults){lying_fault, &nr_faults});
	uint64_t u64;
	assert_int_equal(memmap_soft_load_u64(w.vcpu, A, &u64), -EAGAIN);
	assert_in_range(nr_faults, 100, 100000);
	world_end(&w);
}

static void test_contracts(void **state)
{
	(void)state;
	struct world w;
	world_begin(&w, NULL);
	test_mm_set(&w.mm, 0, (struct test_vma){{A, A + 4 * K}, RW, &w.file, 0});
	uint64_t u64;
	assert_int_equal(memmap_soft_load_u64(w.vcpu, A, &u64), 0);
	assert_panics("within a section of the same thread",
		      memmap_address_space_unmap(w.as, (struct memmap_addr_range){A, A + K}));
	assert_panics("is in a section", memmap_soft_vcpu_release(w.vcpu));
	assert_panics("vCPUs left", memmap_soft_release(w.soft));
	memmap_soft_leave(w.vcpu);
	assert_panics("is_inside", (void)memmap_soft_load_u64(w.vcpu, A + K, &u64));
	memmap_soft_enter(w.vcpu);
	memmap_soft_release(NULL);
	memmap_soft_vcpu_release(NULL);
	world_end(&w);
}

/* ---- Without memory, and without the kernel's help ---- */

static void test_out_of_memory(void **state)
{
	(void)state;
	struct test_file file;
	test_file_init(&file, 4 * M);
	size_t n = 0;
	for (bool refused = true; refused; n++) {
		for (int windows = 0; windows < 2; windows++) {
			struct failing_allocator failing;
			failing_allocator_init(&failing, n);
			const struct memmap_soft_options options = {.allocator =
									    &failing.allocator};
			struct memmap_soft *soft;
			refused = false;
			file.no_pointers = windows;
			if (memmap_soft_create(&options, &soft) == 0) {
				struct memmap_soft_vcpu *vcpu = NULL;
				int err = memmap_soft_vcpu_create(soft, &vcpu);
				assert_true(err == 0 || err == -ENOMEM);
				/* Across an edge of the topmost node's slots. */
				const uint64_t addr = (UINT64_C(1) << 39) - 2 * K;
				struct memmap_address_space *as = memmap_soft_address_space(soft);
				err = memmap_address_space_map_file(
					as, addr, &file.file,
					(struct memmap_file_range){510 * K, 515 * K}, RW, false);
				assert_true(err == 0 || err == -ENOMEM);
				struct memmap_soft_stats stats;
				memmap_soft_get_stats(soft, &stats);
				assert_int_equal(stats.nr_pages, err ? 0 : 5);
				if (err) {
					assert_int_equal(stats.nr_nodes, 1);
					assert_int_equal(stats.nr_windows, 0);
				}
				assert_int_equal(memmap_soft_verify(soft), 0);
				memmap_soft_vcpu_release(vcpu);
				memmap_soft_release(soft);
			}
			refused = failing.nr_refused > 0;
			assert_int_equal(failing.nr_live, 0);
		}
	}
	assert_in_range(n, 8, 20);
	test_file_destroy(&file);
}

static int calls_before_failure;
static int nr_failed_calls;

static int fail_nth_call(const char *call, uint64_t offset, uint64_t length)
{
	(void)offset;
	(void)length;
	/* What was registered for is not refused. */
	if (strcmp(call, "barrier") == 0 || calls_before_failure-- != 0)
		return 0;
	nr_failed_calls++;
	return -ENOMEM;
}

static void test_failing_calls(void **state)
{
	(void)state;
	memmap_soft_host_hook = NULL;
	int n = 0;
	do {
		nr_failed_calls = 0;
		calls_before_failure = n;
		memmap_soft_host_hook = fail_nth_call;
		struct world w;
		world_begin(&w, NULL);
		for (int windows = 0; windows < 2; windows++) {
			w.file.no_pointers = windows;
			w.mm.populate = true;
			w.mm.fault_around = 8 * K;
			test_mm_set(&w.mm, 0,
				    (struct test_vma){{A, A + 8 * K}, RW, &w.file, 508 * K});
			uint64_t u64;
			int err = memmap_soft_load_u64(w.vcpu, A + 2 * K, &u64);
			if (err) {
				assert_int_equal(err, -ENOMEM);
				assert_int_equal(stats_of(&w).nr_pages, 0);
				err = memmap_soft_load_u64(w.vcpu, A + 2 * K, &u64);
			}
			assert_int_equal(err, 0);
			assert_int_equal(u64, 510 * K);
			unmap(&w, A, A + 8 * K);
			assert_int_equal(stats_of(&w).nr_pages, 0);
		}
		/* A window that the kernel did not let go is let go later. */
		unmap(&w, A, A + 8 * K);
		assert_int_equal(stats_of(&w).nr_windows, 0);
		world_end(&w);
		n++;
	} while (nr_failed_calls > 0);
	memmap_soft_host_hook = NULL;
	assert_in_range(n, 5, 12);
}

/* ---- Anything, against a table ---- */

#define NR_MODEL_PAGES 96

/* Pages around the edges of nodes of every level. */
static uint64_t model_addr(unsigned i)
{
	static const uint64_t edges[] = {
		UINT64_C(1) << 21, UINT64_C(1) << 30, UINT64_C(1) << 39,
		UINT64_C(3) << 39, UINT64_C(5) << 30, UINT64_C(7) << 21,
	};
	return edges[i / 16] + (uint64_t)(i % 16) * K - 8 * K;
}

static void test_model(void **state)
{
	(void)state;
	const char *env = getenv("SEED");
	const uint64_t seed = env ? strtoull(env, NULL, 0) : 42;
	print_message("SEED=%llu\n", (unsigned long long)seed);
	uint64_t x = seed * 2 + 1;
	struct world w;
	world_begin(&w, NULL);
	struct {
		uint64_t offset;
		memmap_access at;
	} model[NR_MODEL_PAGES] = {0};
	for (int step = 0; step < 20000; step++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		const unsigned i = (unsigned)(x >> 8) % NR_MODEL_PAGES;
		unsigned n = 1 + (unsigned)(x >> 20) % 6;
		if (i % 16 + n > 16)
			n = 16 - i % 16;
		const uint64_t addr = model_addr(i);
		const memmap_access at = (memmap_access)(1 + (x >> 30) % 7);
		const memmap_access effective = memmap_access_effective(at);
		const uint64_t offset = (x >> 40) % 1000 * K;
		w.file.no_pointers = x >> 60 & 1;
		switch (x % 4) {
		case 0:
			assert_int_equal(map(&w, addr, offset, n * K, at), 0);
			for (unsigned k = 0; k < n; k++) {
				model[i + k].offset = offset + k * K;
				model[i + k].at = effective;
			}
			break;
		case 1:
			unmap(&w, addr, addr + n * K);
			for (unsigned k = 0; k < n; k++)
				model[i + k].at = 0;
			break;
		case 2:
			memmap_soft_leave(w.vcpu);
			memmap_address_space_protect(
				w.as, (struct memmap_addr_range){addr, addr + n * K}, at);
			memmap_soft_enter(w.vcpu);
			for (unsigned k = 0; k < n; k++)
				model[i + k].at &= effective;
			break;
		default:
			for (unsigned k = 0; k < n; k++) {
				static const memmap_access kinds[] = {1, 2, 4, 3, 5};
				const memmap_access kind = kinds[(x >> 33) % 5];
				uint64_t u64 = 0;
				void *host;
				size_t length;
				int err = memmap_soft_translate(w.vcpu, addr + k * K, kind, &host,
								&length);
				if (memmap_access_superset_of(model[i + k].at, kind)) {
					assert_int_equal(err, 0);
					memcpy(&u64, host, sizeof(u64));
					assert_int_equal(u64, model[i + k].offset);
				} else {
					assert_int_equal(err, -EFAULT);
				}
			}
			break;
		}
		if (step % 64 == 0)
			assert_int_equal(memmap_soft_verify(w.soft), 0);
	}
	unsigned nr_pages = 0;
	for (unsigned i = 0; i < NR_MODEL_PAGES; i++)
		nr_pages += model[i].at != 0;
	assert_int_equal(stats_of(&w).nr_pages, nr_pages);
	unmap(&w, 0, UINT64_C(1) << 48);
	assert_int_equal(stats_of(&w).nr_windows, 0);
	assert_int_equal(stats_of(&w).nr_nodes, 1);
	world_end(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_loads_and_stores),  cmocka_unit_test(test_what_fails),
		cmocka_unit_test(test_unmap_and_protect), cmocka_unit_test(test_barriers),
		cmocka_unit_test(test_tlb_conflicts),     cmocka_unit_test(test_address_bits),
		cmocka_unit_test(test_windows),           cmocka_unit_test(test_no_way_to_map),
		cmocka_unit_test(test_odd_blocks),        cmocka_unit_test(test_shrinking_file),
		cmocka_unit_test(test_copy_on_write),     cmocka_unit_test(test_never_mapped),
		cmocka_unit_test(test_contracts),         cmocka_unit_test(test_out_of_memory),
		cmocka_unit_test(test_failing_calls),     cmocka_unit_test(test_model),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
