/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of this floor as guests see them: two address spaces map a file of each kind, write, cut,
 * punch and write back; and threads do so all at once, with a small cache.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include <memmap/arch.h>
#include <memmap/error.h>
#include <memmap/host_file.h>
#include <memmap/mm.h>
#include <memmap/mm_access.h>
#include <memmap/mmap_file.h>
#include <memmap/pager.h>
#include <memmap/shared_memory.h>
#include <memmap/special_pages.h>

#define PAGE     MEMMAP_PAGE_SIZE
#define NR_PAGES 32
#define LENGTH   (NR_PAGES * PAGE)

static struct memmap_memory_file *mf;
static struct memmap_mm *one, *two;

/* ---- Three kinds of file, each with its way to be cut ---- */

static unsigned char store[LENGTH];

static int store_read(void *context, uint64_t offset, void *buf, uint64_t length, uint64_t *done)
{
	(void)context;
	memcpy(buf, store + offset, length);
	*done = length;
	return 0;
}

static int store_write(void *context, uint64_t offset, const void *buf, uint64_t length)
{
	(void)context;
	memcpy(store + offset, buf, length);
	return 0;
}

static int store_truncate(void *context, uint64_t size)
{
	(void)context;
	memset(store + size, 0, LENGTH - size);
	return 0;
}

static int store_punch_hole(void *context, uint64_t offset, uint64_t length)
{
	(void)context;
	memset(store + offset, 0, length);
	return 0;
}

static const struct memmap_pager_ops pager_ops = {
	.read = store_read,
	.write = store_write,
	.truncate = store_truncate,
	.punch_hole = store_punch_hole,
};

enum kind { SHARED_MEMORY, PAGER, HOST_FILE, NR_FILE_KINDS };

static struct memmap_host_files *files;
static struct memmap_mmap_file file;
static enum kind kind;

static void open_file(enum kind which)
{
	struct memmap_mapping_identity *id;
	struct memmap_mappable *m;
	const struct memmap_pager_options options = {.size = LENGTH, .cache_limit = 8 * PAGE};
	kind = which;
	memset(store, 0, sizeof(store));
	switch (kind) {
	case SHARED_MEMORY:
		assert_int_equal(memmap_shared_memory_create(mf, LENGTH, 0, NULL, &id, &m), 0);
		break;
	case PAGER:
		assert_int_equal(memmap_pager_create(mf, &pager_ops, NULL, &options, &id, &m), 0);
		break;
	default: {
		int fd = memfd_create("served", MFD_CLOEXEC);
		assert_int_equal(ftruncate(fd, LENGTH), 0);
		assert_int_equal(memmap_host_file_open(files, fd, NULL, &id, &m), 0);
		close(fd);
		break;
	}
	}
	memmap_shared_memory_mmap_file(id, m, true, &file);
}

static int truncate_file(uint64_t size)
{
	return kind == SHARED_MEMORY ? memmap_shared_memory_truncate(file.mappable, size)
	       : kind == PAGER       ? memmap_pager_truncate(file.mappable, size)
				     : memmap_host_file_truncate(file.identity, size);
}

static int make_mm(struct memmap_mm **mm)
{
	struct memmap_mm_options options = {.memory_file = mf};
	memmap_mm_layout_default(&options.layout);
	memmap_mm_limits_default(&options.limits);
	return memmap_mm_create(&options, mm);
}

static int setup(void **state)
{
	(void)state;
	return memmap_memory_file_create(NULL, &mf) || make_mm(&one) || make_mm(&two) ||
	       memmap_host_files_create(NULL, &files);
}

static int teardown(void **state)
{
	(void)state;
	struct memmap_memory_usage usage;
	memmap_mm_release(one);
	memmap_mm_release(two);
	memmap_memory_file_usage(mf, &usage);
	assert_int_equal(usage.total, 0);
	memmap_host_files_release(files);
	memmap_memory_file_release(mf);
	return 0;
}

static uint64_t map(struct memmap_mm *mm, int flags)
{
	const int64_t addr = memmap_mm_sys_mmap(mm, 0, LENGTH, PROT_READ | PROT_WRITE,
						(uint64_t)flags, &file, 0, NULL);
	assert_true(addr > 0);
	return (uint64_t)addr;
}

static int read_byte(struct memmap_mm *mm, uint64_t addr)
{
	unsigned char byte = 0xee;
	int err = memmap_mm_copy_in(mm, addr, &byte, 1, NULL, NULL);
	return err ? err : byte;
}

static int write_byte(struct memmap_mm *mm, uint64_t addr, unsigned char byte)
{
	return memmap_mm_copy_out(mm, addr, &byte, 1, NULL, NULL);
}

static void test_two_guests(void **state)
{
	(void)state;
	for (enum kind which = 0; which < NR_FILE_KINDS; which++) {
		open_file(which);
		const uint64_t a = map(one, MAP_SHARED), b = map(two, MAP_SHARED);
		const uint64_t mine = map(two, MAP_PRIVATE);
		/* What one writes, the other reads; what is written privately, nobody else. */
		for (uint64_t i = 0; i < NR_PAGES; i++) {
			assert_int_equal(write_byte(one, a + i * PAGE, (unsigned char)(i + 1)), 0);
			assert_int_equal(read_byte(two, b + i * PAGE), i + 1);
			if (i % 2)
				assert_int_equal(write_byte(two, mine + i * PAGE, 99), 0);
		}
		for (uint64_t i = 0; i < NR_PAGES; i++) {
			assert_int_equal(read_byte(two, b + i * PAGE), i + 1);
			assert_int_equal(read_byte(two, mine + i * PAGE), i % 2 ? 99 : (int)i + 1);
		}
		assert_int_equal(memmap_mm_sys_msync(one, a, LENGTH, MS_SYNC), 0);
		if (which == PAGER) {
			for (uint64_t i = 0; i < NR_PAGES; i++)
				assert_int_equal(store[i * PAGE], i + 1);
		}
		/* A hole: gone for all but the private copies. */
		assert_int_equal(memmap_mm_sys_madvise(one, a + 4 * PAGE, 2 * PAGE, MADV_REMOVE),
				 0);
		assert_int_equal(read_byte(two, b + 4 * PAGE), 0);
		assert_int_equal(read_byte(one, a + 5 * PAGE), 0);
		assert_int_equal(read_byte(two, mine + 4 * PAGE), 0);
		assert_int_equal(read_byte(two, mine + 5 * PAGE), 99);
		/* Cut: gone for all. */
		assert_int_equal(truncate_file(10 * PAGE + 1), 0);
		for (uint64_t i = 9; i < 14; i++) {
			const bool there = i <= 10;
			assert_int_equal(memmap_is_bus_error(read_byte(one, a + i * PAGE)), !there);
			assert_int_equal(memmap_is_bus_error(write_byte(two, b + i * PAGE, 1)),
					 !there);
			assert_int_equal(memmap_is_bus_error(read_byte(two, mine + i * PAGE)),
					 !there);
		}
		assert_int_equal(truncate_file(LENGTH), 0);
		assert_int_equal(read_byte(one, a + 13 * PAGE), 0);
		assert_int_equal(read_byte(two, mine + 13 * PAGE), 0);
		assert_int_equal(memmap_mm_sys_munmap(one, a, LENGTH), 0);
		assert_int_equal(memmap_mm_sys_munmap(two, b, LENGTH), 0);
		assert_int_equal(memmap_mm_sys_munmap(two, mine, LENGTH), 0);
		memmap_mapping_identity_dec_ref(file.identity, NULL);
	}
}

static void test_vdso(void **state)
{
	(void)state;
	struct memmap_mapping_identity *id;
	struct memmap_mappable *m;
	assert_int_equal(memmap_special_pages_create(mf, NULL, "[vdso]", "code", 4, &id, &m), 0);
	const struct memmap_mmap_opts opts = {
		.length = PAGE,
		.identity = id,
		.mappable = m,
		.perms = MEMMAP_READ | MEMMAP_EXEC,
		.max_perms = MEMMAP_ANY_ACCESS,
		.private_ = true,
		.hint = "[vdso]",
	};
	uint64_t addr;
	assert_int_equal(memmap_mm_mmap(one, &opts, &addr), 0);
	memmap_mapping_identity_dec_ref(id, NULL);
	assert_int_equal(read_byte(one, addr), 'c');
	assert_int_equal(write_byte(one, addr, 'x'), -EFAULT);
	/* As a debugger does it. */
	const struct memmap_access_opts debugger = {.ignore_permissions = true};
	assert_int_equal(memmap_mm_copy_out(one, addr, "\xcc", 1, &debugger, NULL), 0);
	assert_int_equal(read_byte(one, addr), 0xcc);
	assert_int_equal(read_byte(one, addr + 1), 'o');
	assert_int_equal(memmap_mm_sys_munmap(one, addr, PAGE), 0);
}

/* ---- All at once ---- */

#define STORM 600

struct guest {
	struct memmap_mm *mm;
	uint64_t addr, me, wrong;
	unsigned char last[NR_PAGES];
};

static void *storm(void *arg)
{
	struct guest *g = arg;
	uint64_t x = g->me * 7919 + 1;
	for (int i = 0; i < STORM; i++) {
		x = x * UINT64_C(6364136223846793005) + 1442695040888963407;
		const uint64_t page = (x >> 40) % NR_PAGES, at = g->addr + page * PAGE + g->me;
		g->wrong += read_byte(g->mm, at) != g->last[page];
		g->last[page] = (unsigned char)(x >> 20);
		g->wrong += write_byte(g->mm, at, g->last[page]) != 0;
		if (i % 20 == 0)
			g->wrong += memmap_mm_sys_msync(g->mm, g->addr, LENGTH, MS_SYNC) != 0;
		if (i % 30 == 0 && kind == PAGER)
			g->wrong += memmap_pager_shrink(file.mappable, 0) != 0;
	}
	return NULL;
}

static void test_storm(void **state)
{
	(void)state;
	for (enum kind which = 0; which < NR_FILE_KINDS; which++) {
		open_file(which);
		struct guest guests[4] = {{.mm = one, .me = 1},
					  {.mm = one, .me = 2},
					  {.mm = two, .me = 3},
					  {.mm = two, .me = 4}};
		pthread_t threads[4];
		for (int i = 0; i < 4; i++) {
			guests[i].addr = map(guests[i].mm, MAP_SHARED);
			assert_int_equal(pthread_create(&threads[i], NULL, storm, &guests[i]), 0);
		}
		for (int i = 0; i < 4; i++) {
			assert_int_equal(pthread_join(threads[i], NULL), 0);
			assert_int_equal(guests[i].wrong, 0);
		}
		for (int i = 0; i < 4; i++)
			assert_int_equal(memmap_mm_sys_munmap(guests[i].mm, guests[i].addr, LENGTH),
					 0);
		memmap_mapping_identity_dec_ref(file.identity, NULL);
		for (int i = 0; i < 4 && which == PAGER; i++)
			for (uint64_t page = 0; page < NR_PAGES; page++)
				assert_int_equal(store[page * PAGE + guests[i].me],
						 guests[i].last[page]);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_two_guests),
		TEST(test_vdso),
		TEST(test_storm),
	};
	return cmocka_run_group_tests_name("file/served", tests, NULL, NULL);
}
