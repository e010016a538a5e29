/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Making, forking, emptying and refilling address spaces, and looking at them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"

static void test_create(void **state)
{
	(void)state;
	struct memmap_mm *mm = NULL;
	struct memmap_mm_options good = {0}, bad;
	memmap_mm_layout_default(&good.layout);
	memmap_mm_limits_default(&good.limits);
#define REFUSED(change)                                                                            \
	do {                                                                                       \
		bad = good;                                                                        \
		bad.layout.change;                                                                 \
		assert_int_equal(memmap_mm_create(&bad, &mm), -EINVAL);                            \
		assert_null(mm);                                                                   \
	} while (0)
	REFUSED(min_addr = 1);
	REFUSED(min_addr = bad.layout.task_size);
	REFUSED(task_size = UINT64_C(0x7ffffffff001));
	REFUSED(task_size = UINT64_C(0xfffffffffffff000));
	REFUSED(mmap_base += 1);
	REFUSED(mmap_base = bad.layout.task_size + K);
	REFUSED(mmap_legacy_base += 1);
	REFUSED(mmap_legacy_base = bad.layout.task_size + K);
	REFUSED(stack_guard_gap += 1);
	REFUSED(stack_guard_gap = bad.layout.task_size);
	REFUSED(brk = bad.layout.start_brk - 1);
	REFUSED(brk = bad.layout.task_size + 1);
	REFUSED(start_code = 1);
	REFUSED(start_data = 1);
	assert_int_equal(memmap_mm_create(&good, &mm), 0);
	/* The same is looked at later. */
	bad = good;
	bad.layout.min_addr = 1;
	assert_int_equal(memmap_mm_set_layout(mm, &bad.layout), -EINVAL);
	assert_int_equal(memmap_mm_exec(mm, &bad.layout), -EINVAL);
	assert_int_equal(memmap_mm_get_layout(mm).min_addr, good.layout.min_addr);
	memmap_mm_release(mm);
	memmap_mm_release(NULL);
}

/* The layout by default is that of a program without address randomisation. */
static void test_defaults(void **state)
{
	(void)state;
	struct memmap_mm_options options = {0};
	memmap_mm_layout_default(&options.layout);
	memmap_mm_limits_default(&options.limits);
	struct memmap_mm *mm;
	assert_int_equal(memmap_mm_create(&options, &mm), 0);
	assert_int_equal(map_anon(mm, 0, K, RW, ANON), 0x7ffff7ffe000);
	assert_int_equal(map_anon(mm, 0, K, RW, ANON | MAP_LOCKED), 0x7ffff7ffd000);
	assert_int_equal(memmap_mm_sys_brk(mm, options.layout.brk + K), options.layout.brk + K);
	memmap_mm_release(mm);
}

static void test_fork(void **state)
{
	(void)state;
	struct test_file a, b;
	test_file_init(&a, "a");
	test_file_init(&b, "b");
	struct memmap_mm *mm = small_mm(), *child;
	map_file(mm, 0x30000000, 2 * K, RW, MAP_SHARED | MAP_FIXED, &a, K);
	map_file(mm, 0x30002000, 2 * K, RW, MAP_PRIVATE | MAP_FIXED | MAP_LOCKED, &a, 3 * K);
	map_file(mm, 0x30004000, K, RW, MAP_SHARED | MAP_FIXED, &b, 0);
	map_anon(mm, 0x30005000, K, RW, MAP_DROPPABLE | MAP_ANONYMOUS | MAP_FIXED);
	memmap_mm_note_anonymous(mm, (struct memmap_addr_range){0x30005000, 0x30006000});
	struct memmap_vma v = vma_at(mm, 0x30004000);
	v.flags |= MEMMAP_VM_DONTCOPY;
	assert_int_equal(memmap_mm_replace(mm, v.range, &v, 1), 0);
	uint64_t addr;
	struct memmap_mmap_opts named = {
		.length = K, .addr = 0x50000000, .fixed = true, .hint = "[named]"};
	assert_int_equal(memmap_mm_mmap(mm, &named, &addr), 0);

	assert_int_equal(memmap_mm_fork(mm, NULL, &child), 0);
	assert_vmas(child, "30000000-30002000 rw-s a+1000\n"
			   "30002000-30004000 rw-p a+3000\n"
			   "30005000-30006000 rw-p\n"
			   "50000000-50001000 ---p [named]\n");
	assert_false(vma_at(child, 0x30002000).flags & MEMMAP_VM_LOCKED);
	assert_true(vma_at(mm, 0x30002000).flags & MEMMAP_VM_LOCKED);
	/* What was locked was written to; what is wiped on a fork begins anew. */
	assert_true(vma_at(child, 0x30002000).fork_child);
	assert_int_equal(vma_at(child, 0x30005000).anon_vma, 0);
	assert_int_equal(a.references, 4);
	assert_int_equal(b.references, 1);
	assert_reverse_map(mm, &a);
	assert_reverse_map(child, &a);
	assert_reverse_map(child, &b);
	struct memmap_mm_stats stats;
	memmap_mm_get_stats(child, &stats);
	assert_int_equal(stats.total_pages, 6);
	assert_int_equal(stats.locked_pages, 0);
	/* The child stands on its own. */
	memmap_mm_release(mm);
	assert_int_equal(a.references, 2);
	assert_reverse_map(child, &a);
	assert_vmas(child, "30000000-30002000 rw-s a+1000\n"
			   "30002000-30004000 rw-p a+3000\n"
			   "30005000-30006000 rw-p\n"
			   "50000000-50001000 ---p [named]\n");
	memmap_mm_release(child);
	test_file_destroy(&a);
	test_file_destroy(&b);
}

static void test_fork_is_accounted(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm(), *child;
	map_anon(mm, 0x30000000, 4 * K, RW, FIXED);
	struct memmap_mm_limits l = memmap_mm_get_limits(mm);
	l.overcommit_pages = 3;
	memmap_mm_set_limits(mm, &l);
	assert_int_equal(memmap_mm_fork(mm, NULL, &child), -ENOMEM);
	l.overcommit_pages = 4;
	memmap_mm_set_limits(mm, &l);
	assert_int_equal(memmap_mm_fork(mm, NULL, &child), 0);
	memmap_mm_release(child);
	memmap_mm_release(mm);
}

static void test_exec(void **state)
{
	(void)state;
	struct test_file a;
	test_file_init(&a, "a");
	struct memmap_mm *mm = small_mm();
	map_file(mm, 0x30000000, 2 * K, RW, MAP_SHARED | MAP_FIXED, &a, K);
	map_anon(mm, 0x31000000, K, RW, FIXED | MAP_LOCKED);
	struct memmap_vma sealed = vma_at(mm, 0x31000000);
	sealed.flags |= MEMMAP_VM_SEALED;
	assert_int_equal(memmap_mm_replace(mm, sealed.range, &sealed, 1), 0);
	struct memmap_mm_layout layout = memmap_mm_get_layout(mm);
	layout.start_brk = layout.brk = 0x41000000;
	assert_int_equal(memmap_mm_exec(mm, &layout), 0);
	assert_vmas(mm, "");
	struct memmap_mm_stats stats;
	memmap_mm_get_stats(mm, &stats);
	assert_int_equal(stats.total_pages, 0);
	assert_int_equal(stats.locked_pages, 0);
	assert_int_equal(memmap_mm_sys_brk(mm, 0), 0x41000000);
	test_file_destroy(&a);
	memmap_mm_release(mm);
}

static void test_replace(void **state)
{
	(void)state;
	struct test_file a;
	test_file_init(&a, "a");
	struct memmap_mm *mm = small_mm();
	map_file(mm, 0x30000000, 8 * K, RW, MAP_SHARED | MAP_FIXED, &a, 0);
	const uint64_t rw = MEMMAP_VM_READ | MEMMAP_VM_WRITE | MEMMAP_VM_MAYREAD |
			    MEMMAP_VM_MAYWRITE | MEMMAP_VM_ACCOUNT;
	/* Two that would merge, and a hole: exactly these. */
	const struct memmap_vma vmas[] = {
		{.range = {0x30002000, 0x30003000}, .flags = rw, .offset = 0x30002000},
		{.range = {0x30003000, 0x30004000},
		 .flags = rw,
		 .offset = 0x30003000,
		 .anon_vma = 7,
		 .fork_child = true},
		{.range = {0x30005000, 0x30006000},
		 .flags = rw,
		 .identity = &a.identity,
		 .mappable = &a.mappable,
		 .offset = 0x9000},
	};
	const struct memmap_addr_range ar = {0x30002000, 0x30006000};
	assert_int_equal(memmap_mm_replace(mm, ar, vmas, 3), 0);
	assert_vmas(mm, "30000000-30002000 rw-s a+0\n"
			"30002000-30003000 rw-p\n"
			"30003000-30004000 rw-p\n"
			"30005000-30006000 rw-p a+9000\n"
			"30006000-30008000 rw-s a+6000\n");
	assert_int_equal(a.references, 3);
	assert_reverse_map(mm, &a);
	/* An owner given from outside is not given out again. */
	memmap_mm_note_anonymous(mm, (struct memmap_addr_range){0x30002000, 0x30003000});
	assert_int_equal(vma_at(mm, 0x30002000).anon_vma, 8);
	assert_int_equal(memmap_mm_replace(mm, ar, NULL, 0), 0);
	assert_vmas(mm, "30000000-30002000 rw-s a+0\n"
			"30006000-30008000 rw-s a+6000\n");

	/* What is not as it must be. */
	struct memmap_vma bad[2] = {vmas[0], vmas[1]};
	assert_int_equal(memmap_mm_replace(mm, (struct memmap_addr_range){1, K}, NULL, 0), -EINVAL);
	assert_int_equal(memmap_mm_replace(mm, (struct memmap_addr_range){2 * K, K}, NULL, 0),
			 -EINVAL);
	assert_int_equal(
		memmap_mm_replace(mm, (struct memmap_addr_range){0, UINT64_MAX - 0xfff}, NULL, 0),
		-EINVAL);
	bad[1].range.start = 0x30002000; /* overlaps */
	assert_int_equal(memmap_mm_replace(mm, ar, bad, 2), -EINVAL);
	bad[1].range.start = bad[1].range.end; /* is empty */
	assert_int_equal(memmap_mm_replace(mm, ar, bad, 2), -EINVAL);
	bad[1] = vmas[1];
	bad[1].range.end = 0x30007000; /* reaches out */
	assert_int_equal(memmap_mm_replace(mm, ar, bad, 2), -EINVAL);
	bad[1].range.end = 0x30003001;
	assert_int_equal(memmap_mm_replace(mm, ar, bad, 2), -EINVAL);
	bad[1] = vmas[1];
	bad[1].offset = 1;
	assert_int_equal(memmap_mm_replace(mm, ar, bad, 2), -EINVAL);
	bad[1] = vmas[1];
	bad[1].anon_vma = 0; /* inherited nothing */
	assert_int_equal(memmap_mm_replace(mm, ar, bad, 2), -EINVAL);
	bad[1] = vmas[2];
	bad[1].offset = UINT64_MAX - 0xfff; /* overflows */
	assert_int_equal(memmap_mm_replace(mm, ar, bad, 2), -EINVAL);
	assert_vmas(mm, "30000000-30002000 rw-s a+0\n"
			"30006000-30008000 rw-s a+6000\n");
	memmap_mm_release(mm);
	test_file_destroy(&a);
}

static void test_find(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm();
	struct memmap_vma v;
	assert_false(memmap_mm_find_vma(mm, 0, &v));
	map_anon(mm, 0x30000000, 2 * K, RW, FIXED);
	map_anon(mm, 0x30004000, 2 * K, RX, FIXED);
	assert_true(memmap_mm_find_vma(mm, 0, &v));
	assert_int_equal(v.range.start, 0x30000000);
	assert_true(memmap_mm_find_vma(mm, 0x30001fff, &v));
	assert_int_equal(v.range.start, 0x30000000);
	assert_true(memmap_mm_find_vma(mm, 0x30002000, &v));
	assert_int_equal(v.range.start, 0x30004000);
	assert_int_equal(v.range.end, 0x30006000);
	assert_int_equal(v.offset, 0x30004000);
	assert_false(memmap_mm_find_vma(mm, 0x30006000, &v));
	memmap_mm_release(mm);
}

/* The verifier sees what is broken: here the counts, through the back door. */
static void test_verify(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm();
	struct memmap_vma v = {.range = {0x30000000, 0x30001000}, .flags = MEMMAP_VM_SHARED};
	assert_int_equal(memmap_mm_replace(mm, v.range, &v, 1), 0);
	assert_int_equal(memmap_mm_verify(mm), -EINVAL); /* shared with nobody */
	v.flags = MEMMAP_VM_MAYSHARE;
	assert_int_equal(memmap_mm_replace(mm, v.range, &v, 1), 0);
	assert_int_equal(memmap_mm_verify(mm), -EINVAL); /* likewise, though never written to */
	v.anon_vma = 1;
	assert_int_equal(memmap_mm_replace(mm, v.range, &v, 1), 0);
	assert_int_equal(memmap_mm_verify(mm), -EINVAL); /* shared and copied */
	v.flags = MEMMAP_VM_READ;
	assert_int_equal(memmap_mm_replace(mm, v.range, &v, 1), 0);
	assert_int_equal(memmap_mm_verify(mm), 0);
	memmap_mm_release(mm);
}

static uint64_t peak(const struct memmap_mm *mm)
{
	struct memmap_mm_stats s;
	memmap_mm_get_stats(mm, &s);
	return s.peak_pages;
}

static void test_peak(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm(), *child;
	assert_int_equal(peak(mm), 0);
	map_anon(mm, 0x30000000, 8 * K, RW, FIXED);
	assert_int_equal(peak(mm), 8);
	memmap_mm_sys_munmap(mm, 0x30000000, 4 * K);
	map_anon(mm, 0x30000000, 2 * K, RW, FIXED);
	assert_int_equal(peak(mm), 8);
	/* A move is in two places at once, but only for itself. */
	assert_int_equal(memmap_mm_sys_mremap(mm, 0x30004000, 4 * K, 4 * K,
					      MREMAP_MAYMOVE | MREMAP_FIXED, 0x31000000),
			 0x31000000);
	assert_int_equal(peak(mm), 8);
	assert_int_equal(memmap_mm_sys_mremap(mm, 0x31000000, 4 * K, 7 * K,
					      MREMAP_MAYMOVE | MREMAP_FIXED, 0x32000000),
			 0x32000000);
	assert_int_equal(peak(mm), 9);
	memmap_mm_sys_munmap(mm, 0x32000000, 7 * K);
	assert_int_equal(memmap_mm_fork(mm, NULL, &child), 0);
	assert_int_equal(peak(child), 2);
	memmap_mm_release(child);
	struct memmap_mm_layout layout = memmap_mm_get_layout(mm);
	assert_int_equal(memmap_mm_exec(mm, &layout), 0);
	assert_int_equal(peak(mm), 0);
	memmap_mm_release(mm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_create), cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_fork),   cmocka_unit_test(test_fork_is_accounted),
		cmocka_unit_test(test_exec),   cmocka_unit_test(test_replace),
		cmocka_unit_test(test_find),   cmocka_unit_test(test_verify),
		cmocka_unit_test(test_peak),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
