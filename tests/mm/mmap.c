/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mmap: each error with its condition, the flags that a VMA gets, limits, and replacing.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"

static int64_t map_open(struct memmap_mm *mm, uint64_t prot, uint64_t flags,
			struct memmap_mmap_file open)
{
	return memmap_mm_sys_mmap(mm, 0x50000000, K, prot, flags | MAP_FIXED, &open, 0, NULL);
}

static void test_errors_of_arguments(void **state)
{
	(void)state;
	struct test_file file;
	test_file_init(&file, "a");
	struct memmap_mmap_file open = test_file_open(&file);
	struct memmap_mm *mm = small_mm();

	/* The offset is looked at before the descriptor, and that before the length. */
	assert_int_equal(memmap_mm_sys_mmap(mm, 0, 0, RW, MAP_PRIVATE, NULL, 1, NULL), -EINVAL);
	assert_int_equal(memmap_mm_sys_mmap(mm, 0, 0, RW, MAP_PRIVATE, NULL, 0, NULL), -EBADF);
	assert_int_equal(
		memmap_mm_sys_mmap(mm, 0, K, RW, MAP_PRIVATE | MAP_HUGETLB, &open, 0, NULL),
		-EINVAL);
	assert_int_equal(map_anon(mm, 0, 0, RW, ANON), -EINVAL);
	assert_int_equal(map_anon(mm, 0, UINT64_MAX, RW, ANON), -ENOMEM);
	assert_int_equal(map_anon(mm, 0, 0x7ffffffff001, RW, ANON), -ENOMEM);
	/* No type, and one that there is not. */
	assert_int_equal(map_anon(mm, 0, K, RW, MAP_ANONYMOUS), -EINVAL);
	assert_int_equal(map_anon(mm, 0, K, RW, MAP_ANONYMOUS | MAP_SHARED_VALIDATE), -EINVAL);
	assert_int_equal(map_anon(mm, 0, K, RW, MAP_ANONYMOUS | 0xf), -EINVAL);
	assert_int_equal(map_file(mm, 0, K, RW, 0, &file, 0), -EINVAL);
	assert_int_equal(map_file(mm, 0, K, RW, MAP_DROPPABLE, &file, 0), -EINVAL);
	/* Fixed addresses: too high before unaligned before too low. */
	assert_int_equal(map_anon(mm, 0x7ffffffff000, K, RW, FIXED), -ENOMEM);
	assert_int_equal(map_anon(mm, 0x7fffffffe001, K, RW, FIXED), -ENOMEM);
	assert_int_equal(map_anon(mm, 0x30000001, K, RW, FIXED), -EINVAL);
	assert_int_equal(map_anon(mm, 1, K, RW, FIXED), -EINVAL);
	assert_int_equal(map_anon(mm, 0xf000, K, RW, FIXED), -EPERM);
	assert_int_equal(map_anon(mm, 0, K, RW, FIXED), -EPERM);
	assert_int_equal(map_anon(mm, 0x10000, K, RW, FIXED), 0x10000);
	/* The two lowest addresses may differ. */
	struct memmap_mm_layout layout = memmap_mm_get_layout(mm);
	layout.min_fixed_addr = 0x8000;
	assert_int_equal(memmap_mm_set_layout(mm, &layout), 0);
	assert_int_equal(map_anon(mm, 0x7000, K, RW, FIXED), -EPERM);
	assert_int_equal(map_anon(mm, 0x8000, K, RW, FIXED), 0x8000);
	assert_int_equal(memmap_mm_sys_munmap(mm, 0x8000, 0x9000), 0);
	assert_int_equal(map_anon(mm, 0x9000, K, RW, ANON), 0x10000);
	struct memmap_mm_limits limits = memmap_mm_get_limits(mm);
	limits.cap_sys_rawio = true;
	memmap_mm_set_limits(mm, &limits);
	assert_int_equal(map_anon(mm, 0, K, RW, FIXED), 0);
	/* Unknown protection bits are nothing. */
	assert_int_equal(map_anon(mm, 0x20000000, K, 0xfffffff8, FIXED), 0x20000000);
	assert_vmas(mm, "0-1000 rw-p\n"
			"10000-11000 rw-p\n"
			"20000000-20001000 ---p\n");
	memmap_mm_release(mm);
	test_file_destroy(&file);
}

static void test_noreplace(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm();
	const uint64_t flags = ANON | MAP_FIXED_NOREPLACE;
	assert_int_equal(map_anon(mm, 0x30000000, 2 * K, RW, flags), 0x30000000);
	assert_int_equal(map_anon(mm, 0x2ffff000, 2 * K, RW, flags), -EEXIST);
	assert_int_equal(map_anon(mm, 0x30001000, 2 * K, RW, flags | MAP_FIXED), -EEXIST);
	assert_int_equal(map_anon(mm, 0x2ffff000, 4 * K, RW, flags), -EEXIST);
	assert_int_equal(map_anon(mm, 0x30002000, K, RW, flags), 0x30002000);
	/* What is wrong with the place comes before what is there, and that before all else. */
	assert_int_equal(map_anon(mm, 0x30000001, K, RW, flags), -EINVAL);
	assert_int_equal(map_anon(mm, 0x30000000, K, RW, MAP_ANONYMOUS | MAP_FIXED_NOREPLACE),
			 -EEXIST);
	assert_vmas(mm, "30000000-30003000 rw-p\n");
	memmap_mm_release(mm);
}

static void test_errors_of_files(void **state)
{
	(void)state;
	struct test_file file;
	test_file_init(&file, "a");
	struct memmap_mm *mm = small_mm();
	const struct memmap_mmap_file rw = test_file_open(&file);
	struct memmap_mmap_file f = rw;

	f.writable = false;
	assert_int_equal(map_open(mm, RW, MAP_SHARED, f), -EACCES);
	assert_int_equal(map_open(mm, RW, MAP_PRIVATE, f), 0x50000000);
	f = rw;
	f.readable = false;
	assert_int_equal(map_open(mm, PROT_WRITE, MAP_SHARED, f), -EACCES);
	assert_int_equal(map_open(mm, PROT_NONE, MAP_PRIVATE, f), -EACCES);
	f = rw;
	f.append_only = true;
	assert_int_equal(map_open(mm, PROT_READ, MAP_SHARED, f), -EACCES);
	assert_int_equal(map_open(mm, RW, MAP_PRIVATE, f), 0x50000000);
	f.writable = false;
	assert_int_equal(map_open(mm, PROT_READ, MAP_SHARED, f), 0x50000000);
	f = rw;
	f.no_exec = true;
	assert_int_equal(map_open(mm, RX, MAP_PRIVATE, f), -EPERM);
	assert_int_equal(map_open(mm, RW, MAP_SHARED, f), 0x50000000);
	assert_int_equal(memmap_mm_sys_mprotect(mm, 0x50000000, K, RX), -EACCES);
	f = rw;
	f.no_mmap = true;
	assert_int_equal(map_open(mm, RW, MAP_PRIVATE, f), -ENODEV);
	f = rw;
	assert_int_equal(map_open(mm, RW, MAP_PRIVATE | MAP_GROWSDOWN, f), -EINVAL);
	f.seal_write = true;
	assert_int_equal(map_open(mm, RW, MAP_SHARED, f), -EPERM);
	assert_int_equal(map_open(mm, RW, MAP_PRIVATE, f), 0x50000000);
	assert_int_equal(map_open(mm, PROT_READ, MAP_SHARED, f), 0x50000000);
	assert_int_equal(memmap_mm_sys_mprotect(mm, 0x50000000, K, RW), -EACCES);
	memmap_mm_release(mm);
	test_file_destroy(&file);
}

static void test_map_sync(void **state)
{
	(void)state;
	struct test_file file;
	test_file_init(&file, "a");
	struct memmap_mm *mm = small_mm();
	struct memmap_mmap_file f = test_file_open(&file);

	/* MAP_SHARED ignores what it does not know, MAP_SHARED_VALIDATE refuses it. */
	assert_int_equal(map_open(mm, RW, MAP_SHARED_VALIDATE | MAP_SYNC, f), -EOPNOTSUPP);
	assert_int_equal(map_open(mm, RW, MAP_SHARED_VALIDATE | MAP_FIXED_NOREPLACE, f),
			 -EOPNOTSUPP);
	assert_int_equal(map_open(mm, RW, MAP_SHARED_VALIDATE | MAP_NORESERVE, f), 0x50000000);
	assert_int_equal(map_open(mm, RW, MAP_SHARED | MAP_SYNC, f), 0x50000000);
	assert_true(vma_at(mm, 0x50000000).flags & MEMMAP_VM_SYNC);
	f.map_sync = true;
	assert_int_equal(map_open(mm, RW, MAP_SHARED_VALIDATE | MAP_SYNC, f), 0x50000000);
	/* A refusal by the file itself comes when the old mapping is gone. */
	f.refuses_sync = true;
	assert_int_equal(map_open(mm, RW, MAP_PRIVATE | MAP_SYNC, f), -EOPNOTSUPP);
	assert_vmas(mm, "");
	/* So it is where the file system knows the flag, but not for this file: not sooner. */
	f.map_sync = false;
	assert_int_equal(map_open(mm, RW, MAP_SHARED, f), 0x50000000);
	assert_int_equal(map_open(mm, RW, MAP_SHARED_VALIDATE | MAP_SYNC, f), -EOPNOTSUPP);
	assert_vmas(mm, "");
	f.readable = false;
	assert_int_equal(map_open(mm, RW, MAP_SHARED_VALIDATE | MAP_SYNC, f), -EACCES);
	memmap_mm_release(mm);
	test_file_destroy(&file);
}

static void test_offsets(void **state)
{
	(void)state;
	struct test_file file;
	test_file_init(&file, "a");
	struct memmap_mm *mm = small_mm();
	const uint64_t last = 0x7fffffffffffe000; /* of which one page can be mapped */
	assert_int_equal(map_file(mm, 0, K, RW, MAP_SHARED, &file, last + K), -EOVERFLOW);
	assert_int_equal(map_file(mm, 0, 2 * K, RW, MAP_SHARED, &file, last), -EOVERFLOW);
	assert_int_equal(map_file(mm, 0, K, RW, MAP_SHARED, &file, last), 0x6ffff000);
	assert_int_equal(map_file(mm, 0, K, RW, MAP_SHARED, &file, UINT64_MAX - K + 1), -EOVERFLOW);
	struct memmap_mmap_file small = test_file_open(&file);
	small.max_offset = 4 * K;
	assert_int_equal(memmap_mm_sys_mmap(mm, 0, 4 * K, RW, MAP_SHARED, &small, 0, NULL),
			 0x6fffb000);
	assert_int_equal(memmap_mm_sys_mmap(mm, 0, 4 * K, RW, MAP_SHARED, &small, K, NULL),
			 -EOVERFLOW);
	assert_int_equal(memmap_mm_sys_mmap(mm, 0, 5 * K, RW, MAP_SHARED, &small, 0, NULL),
			 -EOVERFLOW);
	/* Anonymous memory has none: any will do. */
	assert_int_equal(memmap_mm_sys_mmap(mm, 0, K, RW, ANON, NULL, UINT64_MAX - K + 1, NULL),
			 0x6fffa000);
	assert_reverse_map(mm, &file);
	memmap_mm_release(mm);
	test_file_destroy(&file);
}

static void test_flags(void **state)
{
	(void)state;
	const uint64_t may = MEMMAP_VM_MAYREAD | MEMMAP_VM_MAYWRITE | MEMMAP_VM_MAYEXEC;
	const uint64_t r = MEMMAP_VM_READ, w = MEMMAP_VM_WRITE, x = MEMMAP_VM_EXEC;
	const uint64_t shared = MEMMAP_VM_SHARED | MEMMAP_VM_MAYSHARE;
	const uint64_t account = MEMMAP_VM_ACCOUNT, noreserve = MEMMAP_VM_NORESERVE;
	static const struct {
		uint64_t prot, flags;
		int file; /* 0: anonymous, 1: opened for reading, 2: and writing */
	} calls[] = {
		{RW, MAP_PRIVATE, 0},
		{PROT_READ, MAP_PRIVATE, 0},
		{RW, MAP_PRIVATE | MAP_STACK, 0},
		{RW, MAP_PRIVATE | MAP_NORESERVE, 0},
		{RW, MAP_PRIVATE | MAP_GROWSDOWN, 0},
		{RW, MAP_DROPPABLE, 0},
		{RW, MAP_SHARED, 0},
		{PROT_READ, MAP_SHARED, 1},
		{RX, MAP_SHARED, 2},
		{RW, MAP_PRIVATE, 1},
		{RW, MAP_SHARED, 2},
		{RW, MAP_PRIVATE | MAP_LOCKED, 2},
	};
	const uint64_t flags[] = {
		r | w | may | account,
		r | may,
		r | w | may | account | MEMMAP_VM_NOHUGEPAGE,
		r | w | may | noreserve,
		r | w | may | account | MEMMAP_VM_GROWSDOWN,
		r | w | may | noreserve | MEMMAP_VM_DROPPABLE | MEMMAP_VM_WIPEONFORK |
			MEMMAP_VM_DONTDUMP,
		r | w | may | shared,
		(r | may | MEMMAP_VM_MAYSHARE) & ~MEMMAP_VM_MAYWRITE,
		r | x | may | shared,
		r | w | may | account,
		r | w | may | shared,
		r | w | may | account | MEMMAP_VM_LOCKED,
	};
	struct test_file file;
	struct test_shared anonymous;
	test_file_init(&file, "a");
	test_shared_init(&anonymous);
	struct memmap_mm *mm = small_mm();
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		struct memmap_mmap_file open = test_file_open(&file);
		open.writable = calls[i].file == 2;
		uint64_t map_flags =
			calls[i].flags | MAP_FIXED | (calls[i].file ? 0 : MAP_ANONYMOUS);
		assert_int_equal(memmap_mm_sys_mmap(mm, 0x50000000, K, calls[i].prot, map_flags,
						    calls[i].file ? &open : NULL, 0,
						    &anonymous.create),
				 0x50000000);
		if (vma_at(mm, 0x50000000).flags != flags[i])
			fail_msg("call %zu: flags 0x%" PRIx64 ", not 0x%" PRIx64, i,
				 vma_at(mm, 0x50000000).flags, flags[i]);
	}
	/* What the file's mmap method sets. */
	struct memmap_mmap_file device = test_file_open(&file);
	device.extra_flags = MEMMAP_VM_PFNMAP | MEMMAP_VM_DONTEXPAND;
	assert_int_equal(map_open(mm, RW, MAP_SHARED | MAP_LOCKED, device), 0x50000000);
	assert_int_equal(vma_at(mm, 0x50000000).flags, r | w | may | shared | device.extra_flags);
	memmap_mm_release(mm);
	test_file_destroy(&file);
	test_shared_destroy(&anonymous);
}

static void test_droppable(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm();
	const uint64_t flags = MAP_DROPPABLE | MAP_ANONYMOUS;
	assert_int_equal(map_anon(mm, 0, K, RW, flags | MAP_LOCKED), -EINVAL);
	assert_int_equal(map_anon(mm, 0, K, RW, flags | MAP_HUGETLB), -EINVAL);
	assert_int_equal(map_anon(mm, 0, K, RW, flags | MAP_GROWSDOWN), -EINVAL);
	assert_int_equal(map_anon(mm, 0, K, RW, flags), 0x6ffff000);
	memmap_mm_release(mm);
}

static void test_huge_pages_are_refused(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm();
	const uint64_t flags = ANON | MAP_HUGETLB;
	assert_int_equal(map_anon(mm, 0, 0, RW, flags), -EINVAL);
	assert_int_equal(map_anon(mm, 0, K, RW, flags), -ENOMEM);
	assert_int_equal(map_anon(mm, 0, K, RW, flags | (uint64_t)MAP_HUGE_2MB), -ENOMEM);
	assert_int_equal(map_anon(mm, 0, K, RW, flags | (uint64_t)MAP_HUGE_1GB), -ENOMEM);
	assert_int_equal(map_anon(mm, 0, K, RW, flags | UINT64_C(25) << 26), -EINVAL);
	/* Late: what was in the way is gone. */
	assert_int_equal(map_anon(mm, 0x30000000, 4 * K, RW, FIXED), 0x30000000);
	assert_int_equal(map_anon(mm, 0x30001000, K, RW, flags | MAP_FIXED), -EINVAL);
	assert_int_equal(map_anon(mm, 0x30000000, K, RW, flags | MAP_GROWSDOWN), -EINVAL);
	assert_int_equal(map_anon(mm, 0x30000000, K, RW, flags | MAP_FIXED_NOREPLACE), -EEXIST);
	assert_vmas(mm, "30000000-30004000 rw-p\n");
	assert_int_equal(map_anon(mm, 0x30000000, K, RW, flags | MAP_FIXED), -ENOMEM);
	assert_vmas(mm, "");
	memmap_mm_release(mm);
}

/* prctl(PR_SET_MDWE), as Linux 6.18 answers. */
static void test_deny_write_exec(void **state)
{
	(void)state;
	struct memmap_mm_options options = small_options();
	struct memmap_mm *mm, *child;
	const uint64_t rx = PROT_READ | PROT_EXEC, rwx = RW | PROT_EXEC;
	assert_int_equal(memmap_mm_create(&options, &mm), 0);
	assert_int_equal(map_anon(mm, 0x30000000, K, rwx, FIXED), 0x30000000);
	struct memmap_mm_limits limits = memmap_mm_get_limits(mm);
	limits.deny_write_exec = true;
	memmap_mm_set_limits(mm, &limits);
	assert_int_equal(map_anon(mm, 0x31000000, K, rwx, FIXED), -EACCES);
	assert_int_equal(map_anon(mm, 0x31000000, K, rx, FIXED), 0x31000000);
	assert_int_equal(map_anon(mm, 0x32000000, K, RW, FIXED), 0x32000000);
	/* It stays as it is, may lose, and may not gain. */
	assert_int_equal(memmap_mm_sys_mprotect(mm, 0x30000000, K, rwx), -EACCES);
	assert_int_equal(memmap_mm_sys_mprotect(mm, 0x30000000, K, rx), 0);
	assert_int_equal(memmap_mm_sys_mprotect(mm, 0x31000000, K, rx), 0);
	assert_int_equal(memmap_mm_sys_mprotect(mm, 0x31000000, K, rwx), -EACCES);
	assert_int_equal(memmap_mm_sys_mprotect(mm, 0x32000000, K, rx), -EACCES);
	assert_int_equal(memmap_mm_sys_mprotect(mm, 0x31000000, K, PROT_READ), 0);
	assert_int_equal(memmap_mm_sys_mprotect(mm, 0x31000000, K, rx), -EACCES);
	assert_vmas(mm, "30000000-30001000 r-xp\n"
			"31000000-31001000 r--p\n"
			"32000000-32001000 rw-p\n");
	assert_int_equal(memmap_mm_fork(mm, NULL, &child), 0);
	assert_int_equal(memmap_mm_sys_mprotect(child, 0x32000000, K, rx), -EACCES);
	memmap_mm_release(child);
	memmap_mm_release(mm);
}

static void test_read_implies_exec(void **state)
{
	(void)state;
	struct test_file file;
	test_file_init(&file, "a");
	struct memmap_mm_options options = small_options();
	options.limits.read_implies_exec = true;
	struct memmap_mm *mm;
	assert_int_equal(memmap_mm_create(&options, &mm), 0);
	struct memmap_mmap_file open = test_file_open(&file);
	open.no_exec = true;
	assert_int_equal(map_anon(mm, 0x30000000, K, PROT_READ, FIXED), 0x30000000);
	assert_int_equal(map_anon(mm, 0x31000000, K, PROT_WRITE, FIXED), 0x31000000);
	assert_int_equal(map_open(mm, PROT_READ, MAP_PRIVATE, open), 0x50000000);
	assert_int_equal(memmap_mm_sys_brk(mm, 0x40001000), 0x40001000);
	assert_vmas(mm, "30000000-30001000 r-xp\n"
			"31000000-31001000 -w-p\n"
			"40000000-40001000 rwxp\n"
			"50000000-50001000 r--p a+0\n");
	/* mprotect too, where the mapping may be executable. */
	assert_int_equal(memmap_mm_sys_mprotect(mm, 0x31000000, K, RW), 0);
	assert_int_equal(memmap_mm_sys_mprotect(mm, 0x50000000, K, RW), 0);
	assert_vmas(mm, "30000000-30001000 r-xp\n"
			"31000000-31001000 rwxp\n"
			"40000000-40001000 rwxp\n"
			"50000000-50001000 rw-p a+0\n");
	memmap_mm_release(mm);
	test_file_destroy(&file);
}

static void test_replacing(void **state)
{
	(void)state;
	struct test_file a, b;
	test_file_init(&a, "a");
	test_file_init(&b, "b");
	struct memmap_mm *mm = small_mm();
	/*
	 *      |---- a ----|---- b ----|   |-- anon --|
	 *             |========= anonymous ======|
	 */
	assert_int_equal(map_file(mm, 0x30000000, 4 * K, RX, MAP_PRIVATE | MAP_FIXED, &a, 8 * K),
			 0x30000000);
	assert_int_equal(map_file(mm, 0x30004000, 4 * K, RW, MAP_SHARED | MAP_FIXED, &b, 0),
			 0x30004000);
	assert_int_equal(map_anon(mm, 0x3000a000, 4 * K, RX, FIXED), 0x3000a000);
	assert_int_equal(map_anon(mm, 0x30003000, 9 * K, RW, FIXED), 0x30003000);
	assert_vmas(mm, "30000000-30003000 r-xp a+8000\n"
			"30003000-3000c000 rw-p\n"
			"3000c000-3000e000 r-xp\n");
	assert_reverse_map(mm, &a);
	assert_reverse_map(mm, &b);
	assert_int_equal(a.references, 1);
	assert_int_equal(b.references, 0);
	/* In the middle of one: two are left of it. */
	assert_int_equal(map_file(mm, 0x30001000, K, RW, MAP_SHARED | MAP_FIXED, &b, K),
			 0x30001000);
	assert_vmas(mm, "30000000-30001000 r-xp a+8000\n"
			"30001000-30002000 rw-s b+1000\n"
			"30002000-30003000 r-xp a+a000\n"
			"30003000-3000c000 rw-p\n"
			"3000c000-3000e000 r-xp\n");
	assert_int_equal(a.references, 2);
	/* The same once more, over itself. */
	assert_int_equal(map_file(mm, 0x30001000, K, RW, MAP_SHARED | MAP_FIXED, &b, K),
			 0x30001000);
	assert_reverse_map(mm, &a);
	assert_reverse_map(mm, &b);
	assert_int_equal(b.references, 1);
	memmap_mm_release(mm);
	test_file_destroy(&a);
	test_file_destroy(&b);
}

static void test_shared_anonymous(void **state)
{
	(void)state;
	struct test_shared shared;
	test_shared_init(&shared);
	struct memmap_mm *mm = small_mm();
	const uint64_t flags = MAP_SHARED | MAP_ANONYMOUS;
	assert_int_equal(memmap_mm_sys_mmap(mm, 0, 2 * K, RW, flags, NULL, 0, NULL), -ENODEV);
	assert_int_equal(memmap_mm_sys_mmap(mm, 0, 2 * K, RW, flags, NULL, 7 * K, &shared.create),
			 0x6fffe000);
	/* Each is a file of its own. */
	assert_int_equal(memmap_mm_sys_mmap(mm, 0, 2 * K, RW, flags, NULL, 0, &shared.create),
			 0x6fffc000);
	assert_vmas(mm, "6fffc000-6fffe000 rw-s /dev/zero (deleted)+0\n"
			"6fffe000-70000000 rw-s /dev/zero (deleted)+0\n");
	shared.error = -ENFILE;
	assert_int_equal(memmap_mm_sys_mmap(mm, 0x6fffe000, K, RW, flags | MAP_FIXED, NULL, 0,
					    &shared.create),
			 -ENFILE);
	/* Not asked for where something else is wrong. */
	assert_int_equal(
		memmap_mm_sys_mmap(mm, 0, K, RW, flags | MAP_GROWSDOWN, NULL, 0, &shared.create),
		-EINVAL);
	assert_vmas(mm, "6fffc000-6fffe000 rw-s /dev/zero (deleted)+0\n"
			"6fffe000-70000000 rw-s /dev/zero (deleted)+0\n");
	assert_int_equal(shared.nr, 2);
	/* A new file that cannot be told of the mapping is dropped again. */
	shared.error = 0;
	shared.refuse_in = 1;
	assert_int_equal(memmap_mm_sys_mmap(mm, 0, K, RW, flags, NULL, 0, &shared.create), -ENOMEM);
	assert_int_equal(shared.nr, 3);
	assert_int_equal(shared.files[2].references, 0);
	/* One that is already there, and just fits, is no second reference. */
	struct test_file a;
	test_file_init(&a, "a");
	shared.instead = &a;
	map_file(mm, 0x30001000, K, RW, MAP_SHARED | MAP_FIXED, &a, K);
	assert_int_equal(memmap_mm_sys_mmap(mm, 0x30000000, K, RW, flags | MAP_FIXED, NULL, 0,
					    &shared.create),
			 0x30000000);
	assert_int_equal(vma_at(mm, 0x30000000).range.end, 0x30002000);
	assert_int_equal(a.references, 1);
	assert_int_equal(shared.files[0].references, 1);
	memmap_mm_release(mm);
	test_file_destroy(&a);
	test_shared_destroy(&shared);
}

/*
 * ---- Limits ----
 */

static void set_limits(struct memmap_mm *mm, struct memmap_mm_limits changed)
{
	memmap_mm_set_limits(mm, &changed);
}

static void test_limit_of_address_space(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm();
	struct memmap_mm_limits l = memmap_mm_get_limits(mm);
	l.address_space = 4 * K + 1;
	set_limits(mm, l);
	assert_int_equal(map_anon(mm, 0x30000000, 5 * K, PROT_NONE, FIXED), -ENOMEM);
	assert_int_equal(map_anon(mm, 0x30000000, 4 * K, PROT_NONE, FIXED), 0x30000000);
	assert_int_equal(map_anon(mm, 0, K, PROT_NONE, ANON), -ENOMEM);
	/* Replacing counts what it takes away. */
	assert_int_equal(map_anon(mm, 0x30000000, 4 * K, PROT_READ, FIXED), 0x30000000);
	assert_int_equal(map_anon(mm, 0x30001000, 4 * K, PROT_READ, FIXED), -ENOMEM);
	assert_int_equal(memmap_mm_sys_brk(mm, 0x40001000), 0x40000000);
	/* The refusal came when the edges had been split. */
	assert_vmas(mm, "30000000-30001000 r--p\n"
			"30001000-30004000 r--p\n");
	memmap_mm_release(mm);
}

static void test_limit_of_data(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm();
	struct memmap_mm_limits l = memmap_mm_get_limits(mm);
	l.data = 2 * K;
	set_limits(mm, l);
	assert_int_equal(map_anon(mm, 0x30000000, 3 * K, RW, FIXED), -ENOMEM);
	assert_int_equal(map_anon(mm, 0x30000000, 2 * K, RW, FIXED), 0x30000000);
	/* Only private writable memory that is no stack counts. */
	assert_int_equal(map_anon(mm, 0x31000000, K, RX, FIXED), 0x31000000);
	assert_int_equal(map_anon(mm, 0x33000000, K, RW, FIXED | MAP_GROWSDOWN), 0x33000000);
	assert_int_equal(memmap_mm_sys_mprotect(mm, 0x31000000, K, RW), -ENOMEM);
	/* What is over the limit already is not refused for it. */
	l.data = K;
	set_limits(mm, l);
	assert_int_equal(memmap_mm_sys_mprotect(mm, 0x30000000, 2 * K, RX | PROT_WRITE), 0);
	/* Valgrind's case: a soft limit of 0 leaves the hard one. */
	l.data = 0;
	l.data_max = 3 * K;
	set_limits(mm, l);
	assert_int_equal(map_anon(mm, 0x32000000, K, RW, FIXED), 0x32000000);
	assert_int_equal(map_anon(mm, 0x32001000, K, RW, FIXED), -ENOMEM);
	struct memmap_mm_stats stats;
	memmap_mm_get_stats(mm, &stats);
	assert_int_equal(stats.data_pages, 3);
	assert_int_equal(stats.exec_pages, 1);
	assert_int_equal(stats.stack_pages, 1);
	assert_int_equal(stats.total_pages, 5);
	assert_int_equal(stats.nr_vmas, 4);
	memmap_mm_release(mm);
}

static void test_limit_of_locked_memory(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm();
	struct memmap_mm_limits l = memmap_mm_get_limits(mm);
	l.memlock = 0;
	set_limits(mm, l);
	assert_int_equal(map_anon(mm, 0, K, RW, ANON | MAP_LOCKED), -EPERM);
	l.memlock = 2 * K;
	set_limits(mm, l);
	assert_int_equal(map_anon(mm, 0, 3 * K, RW, ANON | MAP_LOCKED), -EAGAIN);
	assert_int_equal(map_anon(mm, 0, 2 * K, RW, ANON | MAP_LOCKED), 0x6fffe000);
	assert_int_equal(map_anon(mm, 0, K, RW, ANON | MAP_LOCKED), -EAGAIN);
	/* Replacing does not count what it takes away. */
	assert_int_equal(map_anon(mm, 0x6fffe000, K, RW, FIXED | MAP_LOCKED), -EAGAIN);
	l.cap_ipc_lock = true;
	l.memlock = 0;
	set_limits(mm, l);
	assert_int_equal(map_anon(mm, 0, K, RW, ANON | MAP_LOCKED), 0x6fffd000);
	struct memmap_mm_stats stats;
	memmap_mm_get_stats(mm, &stats);
	assert_int_equal(stats.locked_pages, 3);
	memmap_mm_release(mm);
}

static void test_max_map_count(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm();
	struct memmap_mm_limits l = memmap_mm_get_limits(mm);
	l.max_map_count = 2;
	set_limits(mm, l);
	assert_int_equal(map_anon(mm, 0x30000000, K, RW, FIXED), 0x30000000);
	assert_int_equal(map_anon(mm, 0x31000000, K, RW, FIXED), 0x31000000);
	/* Linux lets there be one more than the limit. */
	assert_int_equal(map_anon(mm, 0x32000000, 3 * K, RW, FIXED), 0x32000000);
	assert_int_equal(map_anon(mm, 0x30000000, K, RX, FIXED), -ENOMEM);
	assert_int_equal(memmap_mm_sys_munmap(mm, 0x32001000, K), -ENOMEM);
	assert_int_equal(memmap_mm_sys_mprotect(mm, 0x32001000, K, RX), -ENOMEM);
	assert_int_equal(memmap_mm_sys_brk(mm, 0x40001000), 0x40000000);
	/* Cutting off an end takes no VMA more. */
	assert_int_equal(memmap_mm_sys_munmap(mm, 0x32002000, K), 0);
	assert_vmas(mm, "30000000-30001000 rw-p\n"
			"31000000-31001000 rw-p\n"
			"32000000-32002000 rw-p\n");
	assert_int_equal(memmap_mm_sys_munmap(mm, 0x32000000, K), 0);
	assert_int_equal(map_anon(mm, 0x32000000, K, RW, FIXED), -ENOMEM);
	/* Just at the limit no split is left. */
	l.max_map_count = 3;
	set_limits(mm, l);
	assert_int_equal(map_anon(mm, 0x32000000, K, RW, FIXED), 0x32000000);
	assert_int_equal(memmap_mm_sys_mprotect(mm, 0x32001000, K, RX), -ENOMEM);
	assert_int_equal(memmap_mm_sys_mprotect(mm, 0x32000000, K, RX), -ENOMEM);
	/* Two more are needed, one is there: Linux has split once by then. */
	l.max_map_count = 4;
	set_limits(mm, l);
	assert_int_equal(map_anon(mm, 0x32002000, K, RW, FIXED), 0x32002000);
	assert_int_equal(memmap_mm_sys_mprotect(mm, 0x32001000, K, RX), -ENOMEM);
	assert_vmas(mm, "30000000-30001000 rw-p\n"
			"31000000-31001000 rw-p\n"
			"32000000-32001000 rw-p\n"
			"32001000-32003000 rw-p\n");
	memmap_mm_release(mm);
}

static void test_overcommit(void **state)
{
	(void)state;
	struct test_shared shared;
	test_shared_init(&shared);
	struct memmap_mm *mm = small_mm();
	struct memmap_mm_limits l = memmap_mm_get_limits(mm);
	l.overcommit_pages = 4;
	set_limits(mm, l);
	/* Guessing: each request for itself, and only what is private and writable. */
	assert_int_equal(map_anon(mm, 0, 5 * K, RW, ANON), -ENOMEM);
	assert_int_equal(map_anon(mm, 0, 5 * K, RW, ANON | MAP_NORESERVE), 0x6fffb000);
	assert_int_equal(map_anon(mm, 0, 5 * K, RX, ANON), 0x6fff6000);
	assert_int_equal(memmap_mm_sys_mprotect(mm, 0x6fff6000, 5 * K, RW), -ENOMEM);
	assert_int_equal(map_anon(mm, 0, 4 * K, RW, ANON), 0x6fff2000);
	assert_int_equal(map_anon(mm, 0, 4 * K, RW, ANON), 0x6ffee000);
	assert_int_equal(memmap_mm_sys_mmap(mm, 0, 5 * K, RW, MAP_SHARED | MAP_ANONYMOUS, NULL, 0,
					    &shared.create),
			 -ENOMEM);
	assert_int_equal(memmap_mm_sys_brk(mm, 0x40005000), 0x40000000);
	/* Replacing needs what it does not take over. */
	assert_int_equal(map_anon(mm, 0x6ffed000, 5 * K, RW, FIXED), 0x6ffed000);
	l.overcommit = 1;
	set_limits(mm, l);
	assert_int_equal(map_anon(mm, 0, 5 * K, RW, ANON), 0x6ffe8000);
	/* Never: all together, and asking for no reserve is not heard. */
	l.overcommit = 2;
	l.overcommit_pages = 15;
	set_limits(mm, l);
	assert_int_equal(map_anon(mm, 0, 2 * K, RW, ANON | MAP_NORESERVE), -ENOMEM);
	assert_int_equal(map_anon(mm, 0x10000, K, RW, FIXED | MAP_NORESERVE), 0x10000);
	assert_true(vma_at(mm, 0x10000).flags & MEMMAP_VM_ACCOUNT);
	/* What takes over all that it needs is not refused for what there is already. */
	l.overcommit_pages = 1;
	set_limits(mm, l);
	assert_int_equal(map_anon(mm, 0x10000, K, RW, FIXED | MAP_STACK), 0x10000);
	assert_int_equal(map_anon(mm, 0x11000, K, RW, FIXED), -ENOMEM);
	memmap_mm_release(mm);
	test_shared_destroy(&shared);
}

/*
 * ---- The embedding program's form ----
 */

static void test_opts(void **state)
{
	(void)state;
	struct test_file file;
	test_file_init(&file, "a");
	struct memmap_mm *mm = small_mm();
	uint64_t addr = 0;
	struct memmap_mmap_opts o = {
		.length = K + 1, .perms = MEMMAP_READ, .max_perms = MEMMAP_READ_WRITE};
	assert_int_equal(memmap_mm_mmap(mm, &o, &addr), 0);
	assert_int_equal(addr, 0x6fffe000);
	o = (struct memmap_mmap_opts){.length = K,
				      .mappable = &file.mappable,
				      .identity = &file.identity,
				      .offset = 2 * K,
				      .addr = 0x30000000,
				      .fixed = true,
				      .unmap = true,
				      .perms = MEMMAP_READ_WRITE,
				      .max_perms = MEMMAP_READ_WRITE};
	assert_int_equal(memmap_mm_mmap(mm, &o, &addr), 0);
	assert_int_equal(addr, 0x30000000);
	assert_int_equal(file.references, 1);
	o.unmap = false;
	assert_int_equal(memmap_mm_mmap(mm, &o, &addr), -ENOMEM);
	o.no_replace = true;
	assert_int_equal(memmap_mm_mmap(mm, &o, &addr), -EEXIST);
	o.unmap = true;
	assert_int_equal(memmap_mm_mmap(mm, &o, &addr), -EINVAL);
	o.no_replace = false;
	o.offset = 1;
	assert_int_equal(memmap_mm_mmap(mm, &o, &addr), -EINVAL);
	o.offset = 0 - K;
	o.length = 2 * K;
	assert_int_equal(memmap_mm_mmap(mm, &o, &addr), -EINVAL);
	o.offset = 0;
	o.perms = MEMMAP_ANY_ACCESS;
	assert_int_equal(memmap_mm_mmap(mm, &o, &addr), -EINVAL);
	/* There is no such access; as a flag of a VMA the bit means something else. */
	o.perms = o.max_perms = 0x80 | MEMMAP_READ;
	assert_int_equal(memmap_mm_mmap(mm, &o, &addr), -EINVAL);
	o.perms = o.max_perms = MEMMAP_READ;
	o.private_ = true;
	o.mlock_mode = MEMMAP_MLOCK_LAZY;
	assert_int_equal(memmap_mm_mmap(mm, &o, &addr), 0);
	assert_int_equal(vma_at(mm, addr).flags, MEMMAP_VM_READ | MEMMAP_VM_MAYREAD |
							 MEMMAP_VM_LOCKED | MEMMAP_VM_LOCKONFAULT);
	/* A special mapping: named, and outside of the layout. Its name is kept by copy. */
	char name[] = "[special]";
	o = (struct memmap_mmap_opts){.length = K,
				      .addr = 0x1000,
				      .fixed = true,
				      .unmap = true,
				      .force = true,
				      .hint = name,
				      .perms = MEMMAP_READ | MEMMAP_EXEC,
				      .max_perms = MEMMAP_ANY_ACCESS};
	assert_int_equal(memmap_mm_mmap(mm, &o, &addr), 0);
	memset(name, 'X', sizeof(name) - 1);
	/* A neighbour of the same name joins it. */
	o.addr = 0x2000;
	o.hint = "[special]";
	assert_int_equal(memmap_mm_mmap(mm, &o, &addr), 0);
	o.addr = 0x3000;
	o.hint = "[other]";
	assert_int_equal(memmap_mm_mmap(mm, &o, &addr), 0);
	o.force = o.fixed = o.unmap = false;
	o.length = 0;
	assert_int_equal(memmap_mm_mmap(mm, &o, &addr), -EINVAL);
	o.length = UINT64_MAX;
	assert_int_equal(memmap_mm_mmap(mm, &o, &addr), -ENOMEM);
	assert_vmas(mm, "1000-3000 r-xp [special]\n"
			"3000-4000 r-xp [other]\n"
			"30000000-30002000 r--p a+0\n"
			"6fffe000-70000000 r--p\n");
	assert_reverse_map(mm, &file);
	memmap_mm_release(mm);
	test_file_destroy(&file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_errors_of_arguments),
		cmocka_unit_test(test_noreplace),
		cmocka_unit_test(test_errors_of_files),
		cmocka_unit_test(test_map_sync),
		cmocka_unit_test(test_offsets),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_droppable),
		cmocka_unit_test(test_huge_pages_are_refused),
		cmocka_unit_test(test_deny_write_exec),
		cmocka_unit_test(test_read_implies_exec),
		cmocka_unit_test(test_replacing),
		cmocka_unit_test(test_shared_anonymous),
		cmocka_unit_test(test_limit_of_address_space),
		cmocka_unit_test(test_limit_of_data),
		cmocka_unit_test(test_limit_of_locked_memory),
		cmocka_unit_test(test_max_map_count),
		cmocka_unit_test(test_overcommit),
		cmocka_unit_test(test_opts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
