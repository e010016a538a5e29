/* SPDX-License-Identifier: Apache-2.0 */
/*
 * munmap, mprotect, brk and the growth of stacks.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"

/* As mseal(2) leaves it. */
static void seal(struct memmap_mm *mm, uint64_t addr)
{
	struct memmap_vma v = vma_at(mm, addr);
	v.flags |= MEMMAP_VM_SEALED;
	assert_int_equal(memmap_mm_replace(mm, v.range, &v, 1), 0);
}

/*
 * ---- munmap ----
 */

static void test_munmap_errors(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm();
	assert_int_equal(map_anon(mm, 0x30000000, 4 * K, RW, FIXED), 0x30000000);
	assert_int_equal(memmap_mm_sys_munmap(mm, 0x30000001, K), -EINVAL);
	assert_int_equal(memmap_mm_sys_munmap(mm, 0x30000000, 0), -EINVAL);
	assert_int_equal(memmap_mm_sys_munmap(mm, 0x30000000, 0x7fffcffff001), -EINVAL);
	assert_int_equal(memmap_mm_sys_munmap(mm, 0x7fffffffe000, 2 * K), -EINVAL);
	assert_int_equal(memmap_mm_sys_munmap(mm, 0x800000000000, K), -EINVAL);
	assert_int_equal(memmap_mm_sys_munmap(mm, 0x30000000, UINT64_MAX), -EINVAL);
	assert_int_equal(memmap_mm_sys_munmap(mm, 0x7ffffffff000, 0), -EINVAL);
	assert_vmas(mm, "30000000-30004000 rw-p\n");
	/* Holes are no error, and a length is rounded up. */
	assert_int_equal(memmap_mm_sys_munmap(mm, 0x20000000, K), 0);
	assert_int_equal(memmap_mm_sys_munmap(mm, 0x2fff0000, 0x10000 + 1), 0);
	assert_int_equal(memmap_mm_sys_munmap(mm, 0x10000, 0x7ffffffef000), 0);
	assert_vmas(mm, "");
	memmap_mm_release(mm);
}

static void test_munmap_cuts(void **state)
{
	(void)state;
	struct test_file file;
	test_file_init(&file, "a");
	struct memmap_mm *mm = small_mm();
	const uint64_t flags = MAP_SHARED | MAP_FIXED;
	assert_int_equal(map_file(mm, 0x30000000, 8 * K, RW, flags, &file, 0), 0x30000000);
	/*      |--------|   front, back, middle */
	assert_int_equal(memmap_mm_sys_munmap(mm, 0x30000000, K), 0);
	assert_int_equal(memmap_mm_sys_munmap(mm, 0x30007000, K), 0);
	assert_int_equal(memmap_mm_sys_munmap(mm, 0x30003000, 2 * K), 0);
	assert_vmas(mm, "30001000-30003000 rw-s a+1000\n"
			"30005000-30007000 rw-s a+5000\n");
	assert_int_equal(file.references, 2);
	assert_reverse_map(mm, &file);
	/* Across a hole, cutting both. */
	assert_int_equal(memmap_mm_sys_munmap(mm, 0x30002000, 4 * K), 0);
	assert_vmas(mm, "30001000-30002000 rw-s a+1000\n"
			"30006000-30007000 rw-s a+6000\n");
	assert_reverse_map(mm, &file);
	/* Neighbours that the file knows as one mapping, of which the first goes. */
	assert_int_equal(map_file(mm, 0x30002000, K, PROT_READ, flags, &file, 2 * K), 0x30002000);
	assert_int_equal(map_file(mm, 0x30003000, K, RW, flags, &file, 3 * K), 0x30003000);
	assert_int_equal(memmap_mm_sys_munmap(mm, 0x30001000, K), 0);
	assert_vmas(mm, "30002000-30003000 r--s a+2000\n"
			"30003000-30004000 rw-s a+3000\n"
			"30006000-30007000 rw-s a+6000\n");
	assert_reverse_map(mm, &file);
	memmap_mm_release(mm);
	test_file_destroy(&file);
}

static void test_munmap_sealed(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm();
	assert_int_equal(map_anon(mm, 0x30000000, 4 * K, PROT_READ, FIXED), 0x30000000);
	assert_int_equal(map_anon(mm, 0x30004000, 4 * K, RW, FIXED), 0x30004000);
	seal(mm, 0x30004000);
	assert_int_equal(memmap_mm_sys_munmap(mm, 0x30005000, K), -EPERM);
	assert_int_equal(memmap_mm_sys_munmap(mm, 0x30004000, 4 * K), -EPERM);
	assert_vmas(mm, "30000000-30004000 r--p\n"
			"30004000-30008000 rw-p\n");
	/* Linux has split the first by the time it comes to the seal. */
	assert_int_equal(memmap_mm_sys_munmap(mm, 0x30002000, 4 * K), -EPERM);
	assert_int_equal(map_anon(mm, 0x30001000, 4 * K, RW, FIXED), -EPERM);
	assert_vmas(mm, "30000000-30001000 r--p\n"
			"30001000-30002000 r--p\n"
			"30002000-30004000 r--p\n"
			"30004000-30008000 rw-p\n");
	memmap_mm_release(mm);
}

/*
 * ---- mprotect ----
 */

static void test_mprotect_errors(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm();
	assert_int_equal(map_anon(mm, 0x30000000, 4 * K, RW, FIXED), 0x30000000);
	assert_int_equal(map_anon(mm, 0x30005000, K, RW, FIXED), 0x30005000);
	assert_int_equal(memmap_mm_sys_mprotect(mm, 0x30000001, 0, 0x77), -EINVAL);
	assert_int_equal(memmap_mm_sys_mprotect(mm, 0x20000000, 0, 0x77), 0);
	assert_int_equal(memmap_mm_sys_mprotect(mm, 0x30000000, UINT64_MAX, 0x77), -ENOMEM);
	assert_int_equal(memmap_mm_sys_mprotect(mm, 0x30000000, 0 - UINT64_C(0x30000000), 0x77),
			 -ENOMEM);
	assert_int_equal(memmap_mm_sys_mprotect(mm, 0x20000000, K, 0x10), -EINVAL);
	assert_int_equal(memmap_mm_sys_mprotect(mm, 0x20000000, K, RW), -ENOMEM);
	assert_int_equal(memmap_mm_sys_mprotect(mm, 0x2ffff000, 2 * K, PROT_READ), -ENOMEM);
	assert_int_equal(
		memmap_mm_sys_mprotect(mm, 0x2ffff000, 2 * K, PROT_READ | (uint64_t)PROT_GROWSUP),
		-ENOMEM);
	assert_vmas(mm, "30000000-30004000 rw-p\n"
			"30005000-30006000 rw-p\n");
	/* A hole ends it after what lies before it. PROT_SEM is nothing. */
	assert_int_equal(memmap_mm_sys_mprotect(mm, 0x30002000, 4 * K, PROT_READ | PROT_SEM),
			 -ENOMEM);
	assert_vmas(mm, "30000000-30002000 rw-p\n"
			"30002000-30004000 r--p\n"
			"30005000-30006000 rw-p\n");
	/* So does what may not be, after what may; and a seal. */
	struct test_file file;
	test_file_init(&file, "a");
	struct memmap_mmap_file ro = test_file_open(&file);
	ro.writable = false;
	assert_int_equal(memmap_mm_sys_mmap(mm, 0x30004000, K, PROT_READ, MAP_SHARED | MAP_FIXED,
					    &ro, 0, NULL),
			 0x30004000);
	assert_int_equal(memmap_mm_sys_mprotect(mm, 0x30003000, 3 * K, RW), -EACCES);
	assert_vmas(mm, "30000000-30002000 rw-p\n"
			"30002000-30003000 r--p\n"
			"30003000-30004000 rw-p\n"
			"30004000-30005000 r--s a+0\n"
			"30005000-30006000 rw-p\n");
	seal(mm, 0x30002000);
	assert_int_equal(memmap_mm_sys_mprotect(mm, 0x30000000, 4 * K, PROT_READ), -EPERM);
	/* What is sealed is refused even when nothing would change. */
	assert_int_equal(memmap_mm_sys_mprotect(mm, 0x30002000, K, PROT_READ), -EPERM);
	assert_vmas(mm, "30000000-30002000 r--p\n"
			"30002000-30003000 r--p\n"
			"30003000-30004000 rw-p\n"
			"30004000-30005000 r--s a+0\n"
			"30005000-30006000 rw-p\n");
	memmap_mm_release(mm);
	test_file_destroy(&file);
}

static void test_mprotect_grows(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm();
	assert_int_equal(map_anon(mm, 0x30000000, 4 * K, RW, FIXED | MAP_GROWSDOWN), 0x30000000);
	assert_int_equal(map_anon(mm, 0x31000000, 4 * K, RW, FIXED), 0x31000000);
	const uint64_t down = PROT_GROWSDOWN, up = PROT_GROWSUP;
	assert_int_equal(memmap_mm_sys_mprotect(mm, 0x30002000, K, RX | down | up), -EINVAL);
	assert_int_equal(memmap_mm_sys_mprotect(mm, 0x31002000, K, RX | down), -EINVAL);
	assert_int_equal(memmap_mm_sys_mprotect(mm, 0x31002000, K, RX | up), -EINVAL);
	assert_int_equal(memmap_mm_sys_mprotect(mm, 0x32000000, K, RX | down), -ENOMEM);
	/* From the start of the stack. */
	assert_int_equal(memmap_mm_sys_mprotect(mm, 0x30002000, K, RX | down), 0);
	assert_vmas(mm, "30000000-30003000 r-xp\n"
			"30003000-30004000 rw-p\n"
			"31000000-31004000 rw-p\n");
	memmap_mm_release(mm);
}

/* What becomes private and writable is accounted, and stays so once it has been written to. */
static void test_mprotect_accounting(void **state)
{
	(void)state;
	struct test_file file;
	test_file_init(&file, "a");
	struct memmap_mm *mm = small_mm();
	const uint64_t at = 0x30000000;
	assert_int_equal(map_anon(mm, at, 2 * K, PROT_READ, FIXED), at);
	assert_int_equal(memmap_mm_sys_mprotect(mm, at, 2 * K, RW), 0);
	assert_true(vma_at(mm, at).flags & MEMMAP_VM_ACCOUNT);
	/* Never written to: it is forgotten again. */
	assert_int_equal(memmap_mm_sys_mprotect(mm, at, 2 * K, PROT_READ), 0);
	assert_false(vma_at(mm, at).flags & MEMMAP_VM_ACCOUNT);
	assert_int_equal(memmap_mm_sys_mprotect(mm, at, 2 * K, RW), 0);
	memmap_mm_note_anonymous(mm, (struct memmap_addr_range){at, at + K});
	assert_int_equal(memmap_mm_sys_mprotect(mm, at, 2 * K, PROT_READ), 0);
	assert_true(vma_at(mm, at).flags & MEMMAP_VM_ACCOUNT);
	/* And so it does not merge with a neighbour that never was writable. */
	assert_int_equal(map_anon(mm, at + 2 * K, K, PROT_READ, FIXED), at + 2 * K);
	/* A file's is never forgotten; what asked for no reserve is never accounted. */
	const uint64_t f = 0x31000000, n = 0x32000000;
	assert_int_equal(map_file(mm, f, K, RW, MAP_PRIVATE | MAP_FIXED, &file, 0), f);
	assert_int_equal(memmap_mm_sys_mprotect(mm, f, K, PROT_READ), 0);
	assert_true(vma_at(mm, f).flags & MEMMAP_VM_ACCOUNT);
	assert_int_equal(map_anon(mm, n, K, PROT_READ, FIXED | MAP_NORESERVE), n);
	assert_int_equal(memmap_mm_sys_mprotect(mm, n, K, RW), 0);
	assert_false(vma_at(mm, n).flags & MEMMAP_VM_ACCOUNT);
	assert_vmas(mm, "30000000-30002000 r--p\n"
			"30002000-30003000 r--p\n"
			"31000000-31001000 r--p a+0\n"
			"32000000-32001000 rw-p\n");
	memmap_mm_release(mm);
	test_file_destroy(&file);
}

/* Each VMA merges with its neighbours as the walk comes to it. */
static void test_mprotect_walks(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm();
	const uint64_t at = 0x30000000;
	assert_int_equal(map_anon(mm, at, 6 * K, PROT_READ, FIXED), at);
	for (uint64_t i = 0; i < 3; i++)
		assert_int_equal(memmap_mm_sys_mprotect(mm, at + (2 * i + 1) * K, K, RX), 0);
	assert_vmas(mm, "30000000-30001000 r--p\n"
			"30001000-30002000 r-xp\n"
			"30002000-30003000 r--p\n"
			"30003000-30004000 r-xp\n"
			"30004000-30005000 r--p\n"
			"30005000-30006000 r-xp\n");
	assert_int_equal(memmap_mm_sys_mprotect(mm, at + K, 4 * K, PROT_NONE), 0);
	assert_vmas(mm, "30000000-30001000 r--p\n"
			"30001000-30005000 ---p\n"
			"30005000-30006000 r-xp\n");
	assert_int_equal(memmap_mm_sys_mprotect(mm, at + K, 4 * K, RX), 0);
	assert_int_equal(memmap_mm_sys_mprotect(mm, at, 6 * K, RX), 0);
	assert_vmas(mm, "30000000-30006000 r-xp\n");
	/* The boundary moves between neighbours, either way. */
	assert_int_equal(memmap_mm_sys_mprotect(mm, at, 3 * K, PROT_READ), 0);
	assert_int_equal(memmap_mm_sys_mprotect(mm, at + 2 * K, K, RX), 0);
	assert_vmas(mm, "30000000-30002000 r--p\n"
			"30002000-30006000 r-xp\n");
	assert_int_equal(memmap_mm_sys_mprotect(mm, at + 2 * K, 2 * K, PROT_READ), 0);
	assert_vmas(mm, "30000000-30004000 r--p\n"
			"30004000-30006000 r-xp\n");
	memmap_mm_release(mm);
}

/*
 * ---- brk ----
 */

static void test_brk(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm();
	const int64_t heap = 0x40000000;
	assert_int_equal(memmap_mm_sys_brk(mm, 0), heap);
	assert_int_equal(memmap_mm_sys_brk(mm, 0x3ffffff0), heap);
	assert_int_equal(memmap_mm_sys_brk(mm, UINT64_MAX), heap);
	assert_int_equal(memmap_mm_sys_brk(mm, 0x40000010), 0x40000010);
	assert_int_equal(memmap_mm_sys_brk(mm, 0x40000ff0), 0x40000ff0);
	assert_vmas(mm, "40000000-40001000 rw-p\n");
	assert_int_equal(memmap_mm_sys_brk(mm, 0x40003001), 0x40003001);
	assert_vmas(mm, "40000000-40004000 rw-p\n");
	assert_int_equal(memmap_mm_get_layout(mm).brk, 0x40003001);
	/* A page stays clear below whatever comes next. */
	assert_int_equal(map_anon(mm, 0x40008000, K, PROT_READ, FIXED), 0x40008000);
	assert_int_equal(memmap_mm_sys_brk(mm, 0x40007001), 0x40003001);
	assert_int_equal(memmap_mm_sys_brk(mm, 0x40007000), 0x40007000);
	/* And the guard gap below a stack. */
	assert_int_equal(map_anon(mm, 0x40208000, K, RW, FIXED | MAP_GROWSDOWN), 0x40208000);
	assert_int_equal(memmap_mm_sys_munmap(mm, 0x40008000, K), 0);
	assert_int_equal(memmap_mm_sys_brk(mm, 0x40107001), 0x40007000);
	assert_int_equal(memmap_mm_sys_brk(mm, 0x40107000), 0x40107000);
	/* Shrinking, also to nothing. */
	assert_int_equal(memmap_mm_sys_brk(mm, 0x40002fff), 0x40002fff);
	assert_int_equal(memmap_mm_sys_brk(mm, 0x40000000), 0x40000000);
	assert_vmas(mm, "40208000-40209000 rw-p\n");
	memmap_mm_release(mm);
}

static void test_brk_joins(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm();
	/* What ends at start_brk is not the heap's, though it would merge. */
	assert_int_equal(map_anon(mm, 0x3ffff000, K, RW, FIXED), 0x3ffff000);
	assert_int_equal(memmap_mm_sys_brk(mm, 0x40001000), 0x40001000);
	assert_vmas(mm, "3ffff000-40000000 rw-p\n"
			"40000000-40001000 rw-p\n");
	/* Other permissions: a VMA of its own. */
	assert_int_equal(memmap_mm_sys_mprotect(mm, 0x40000000, K, PROT_READ), 0);
	assert_int_equal(memmap_mm_sys_brk(mm, 0x40002000), 0x40002000);
	assert_int_equal(memmap_mm_sys_brk(mm, 0x40003000), 0x40003000);
	assert_vmas(mm, "3ffff000-40000000 rw-p\n"
			"40000000-40001000 r--p\n"
			"40001000-40003000 rw-p\n");
	/*
	 * A hole where the heap was: shrinking over it does what there is, and if nothing, fails.
	 */
	assert_int_equal(memmap_mm_sys_munmap(mm, 0x40001000, 2 * K), 0);
	assert_int_equal(memmap_mm_sys_brk(mm, 0x40002000), 0x40003000);
	assert_int_equal(memmap_mm_sys_brk(mm, 0x40000000), 0x40000000);
	assert_vmas(mm, "3ffff000-40000000 rw-p\n");
	memmap_mm_release(mm);
}

static void test_brk_limits(void **state)
{
	(void)state;
	struct memmap_mm_options options = small_options();
	options.layout.start_data = 0x20000;
	options.layout.end_data = 0x21800;
	options.limits.data = 4 * K;
	struct memmap_mm *mm;
	assert_int_equal(memmap_mm_create(&options, &mm), 0);
	/* The program's own data counts, to the byte. */
	assert_int_equal(memmap_mm_sys_brk(mm, 0x40002801), 0x40000000);
	assert_int_equal(memmap_mm_sys_brk(mm, 0x40002800), 0x40002800);
	/* Even shrinking is refused while it is exceeded. */
	struct memmap_mm_limits l = memmap_mm_get_limits(mm);
	l.data = K;
	memmap_mm_set_limits(mm, &l);
	assert_int_equal(memmap_mm_sys_brk(mm, 0x40000001), 0x40002800);
	assert_vmas(mm, "40000000-40003000 rw-p\n");
	l.data = UINT64_MAX;
	l.address_space = 4 * K;
	memmap_mm_set_limits(mm, &l);
	assert_int_equal(memmap_mm_sys_brk(mm, 0x40005000), 0x40002800);
	assert_int_equal(memmap_mm_sys_brk(mm, 0x40004000), 0x40004000);
	seal(mm, 0x40000000);
	assert_int_equal(memmap_mm_sys_brk(mm, 0x40003000), 0x40004000);
	memmap_mm_release(mm);
}

/*
 * ---- Stacks ----
 */

static void test_stack_grows(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm();
	assert_int_equal(map_anon(mm, 0x30200000, 2 * K, RW, FIXED | MAP_GROWSDOWN), 0x30200000);
	assert_int_equal(map_anon(mm, 0x30300000, K, RW, FIXED), 0x30300000);
	assert_int_equal(memmap_mm_expand_stack(mm, 0x30200fff), 0);
	assert_vmas(mm, "30200000-30202000 rw-p\n"
			"30300000-30301000 rw-p\n");
	assert_int_equal(memmap_mm_expand_stack(mm, 0x301ff123), 0);
	assert_vmas(mm, "301ff000-30202000 rw-p\n"
			"30300000-30301000 rw-p\n");
	assert_int_equal(vma_at(mm, 0x301ff000).offset, 0x301ff000);
	assert_int_not_equal(vma_at(mm, 0x301ff000).anon_vma, 0);
	/* Nothing there, or nothing that grows. */
	assert_int_equal(memmap_mm_expand_stack(mm, 0x30202000), -EFAULT);
	assert_int_equal(memmap_mm_expand_stack(mm, 0x30400000), -EFAULT);
	assert_int_equal(memmap_mm_expand_stack(mm, 0xffff), -EPERM);
	memmap_mm_release(mm);
}

static void test_stack_guard(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm();
	assert_int_equal(map_anon(mm, 0x30200000, K, RW, FIXED | MAP_GROWSDOWN), 0x30200000);
	assert_int_equal(map_anon(mm, 0x30000000, K, PROT_READ, FIXED), 0x30000000);
	assert_int_equal(memmap_mm_expand_stack(mm, 0x30100000), -ENOMEM);
	assert_int_equal(memmap_mm_expand_stack(mm, 0x30101000), 0);
	/* What permits no access guards for itself, and a stack may touch a stack. */
	assert_int_equal(memmap_mm_sys_mprotect(mm, 0x30000000, K, PROT_NONE), 0);
	assert_int_equal(memmap_mm_expand_stack(mm, 0x30050000), 0);
	assert_int_equal(map_anon(mm, 0x30000000, K, RW, FIXED | MAP_GROWSDOWN), 0x30000000);
	assert_int_equal(memmap_mm_expand_stack(mm, 0x30001000), 0);
	/* They touch and are alike, but growing merges nothing. */
	assert_vmas(mm, "30000000-30001000 rw-p\n"
			"30001000-30201000 rw-p\n");
	memmap_mm_release(mm);
}

static void test_stack_limits(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm();
	struct memmap_mm_limits l = memmap_mm_get_limits(mm);
	assert_int_equal(map_anon(mm, 0x30200000, K, RW, FIXED | MAP_GROWSDOWN | MAP_LOCKED),
			 0x30200000);
	l.stack = 3 * K;
	memmap_mm_set_limits(mm, &l);
	assert_int_equal(memmap_mm_expand_stack(mm, 0x301fd000), -ENOMEM);
	assert_int_equal(memmap_mm_expand_stack(mm, 0x301fe000), 0);
	l.stack = UINT64_MAX;
	l.address_space = 4 * K;
	memmap_mm_set_limits(mm, &l);
	assert_int_equal(memmap_mm_expand_stack(mm, 0x301fc000), -ENOMEM);
	l.address_space = UINT64_MAX;
	l.memlock = 3 * K;
	memmap_mm_set_limits(mm, &l);
	assert_int_equal(memmap_mm_expand_stack(mm, 0x301fd000), -ENOMEM);
	l.memlock = UINT64_MAX;
	l.overcommit_pages = 0;
	memmap_mm_set_limits(mm, &l);
	assert_int_equal(memmap_mm_expand_stack(mm, 0x301fd000), -ENOMEM);
	assert_vmas(mm, "301fe000-30201000 rw-p\n");
	struct memmap_mm_stats stats;
	memmap_mm_get_stats(mm, &stats);
	assert_int_equal(stats.stack_pages, 3);
	assert_int_equal(stats.locked_pages, 3);
	memmap_mm_release(mm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_munmap_errors),  cmocka_unit_test(test_munmap_cuts),
		cmocka_unit_test(test_munmap_sealed),  cmocka_unit_test(test_mprotect_errors),
		cmocka_unit_test(test_mprotect_grows), cmocka_unit_test(test_mprotect_accounting),
		cmocka_unit_test(test_mprotect_walks), cmocka_unit_test(test_brk),
		cmocka_unit_test(test_brk_joins),      cmocka_unit_test(test_brk_limits),
		cmocka_unit_test(test_stack_grows),    cmocka_unit_test(test_stack_guard),
		cmocka_unit_test(test_stack_limits),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
