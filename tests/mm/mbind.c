/* SPDX-License-Identifier: Apache-2.0 */
/*
 * NUMA policies: what they keep apart, what keeps them, and what is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"

#define AT UINT64_C(0x30000000)

static uint32_t policy_at(const struct memmap_mm *mm, uint64_t addr)
{
	return vma_at(mm, addr).policy;
}

static void test_neighbours(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm();
	assert_int_equal(map_anon(mm, AT, 8 * K, RW, FIXED), AT);
	assert_int_equal(memmap_mm_sys_mbind(mm, AT + 2 * K, 2 * K, 1), 0);
	assert_int_equal(memmap_mm_sys_mbind(mm, AT + 4 * K, K, 2), 0);
	assert_vmas(mm, "30000000-30002000 rw-p\n"
			"30002000-30004000 rw-p\n"
			"30004000-30005000 rw-p\n"
			"30005000-30008000 rw-p\n");
	assert_int_equal(policy_at(mm, AT), 0);
	assert_int_equal(policy_at(mm, AT + 3 * K), 1);
	assert_int_equal(policy_at(mm, AT + 4 * K), 2);
	/* To the byte, and equal to the one before. */
	assert_int_equal(memmap_mm_sys_mbind(mm, AT + 4 * K, 1, 1), 0);
	assert_vmas(mm, "30000000-30002000 rw-p\n"
			"30002000-30005000 rw-p\n"
			"30005000-30008000 rw-p\n");
	/* What comes anew has none. */
	assert_int_equal(map_anon(mm, AT + 3 * K, K, RW, FIXED), AT + 3 * K);
	assert_int_equal(policy_at(mm, AT + 3 * K), 0);
	assert_int_equal(memmap_mm_sys_mbind(mm, AT, 8 * K, 3), 0);
	assert_vmas(mm, "30000000-30008000 rw-p\n");
	assert_int_equal(policy_at(mm, AT), 3);
	memmap_mm_release(mm);
}

static void test_it_stays(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm(), *child;
	assert_int_equal(map_anon(mm, AT, 4 * K, RW, FIXED), AT);
	assert_int_equal(memmap_mm_sys_mbind(mm, AT, 4 * K, 5), 0);
	assert_int_equal(memmap_mm_sys_mprotect(mm, AT + K, K, PROT_READ), 0);
	assert_int_equal(policy_at(mm, AT + K), 5);
	assert_int_equal(
		memmap_mm_sys_mremap(mm, AT, K, 2 * K, MREMAP_MAYMOVE | MREMAP_FIXED, AT + 16 * K),
		AT + 16 * K);
	assert_int_equal(policy_at(mm, AT + 17 * K), 5);
	assert_int_equal(memmap_mm_fork(mm, NULL, &child), 0);
	assert_int_equal(policy_at(child, AT + 16 * K), 5);
	memmap_mm_release(child);
	memmap_mm_release(mm);
}

/* Neighbours share an owner of their anonymous pages only if their policies are equal. */
static void test_owners(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm();
	assert_int_equal(map_anon(mm, AT, 3 * K, RW, FIXED), AT);
	assert_int_equal(memmap_mm_sys_mprotect(mm, AT + K, K, RW | PROT_EXEC), 0);
	assert_int_equal(memmap_mm_sys_mbind(mm, AT + 2 * K, K, 1), 0);
	memmap_mm_note_anonymous(mm, (struct memmap_addr_range){AT, AT + 3 * K});
	assert_int_equal(vma_at(mm, AT).anon_vma, vma_at(mm, AT + K).anon_vma);
	assert_int_not_equal(vma_at(mm, AT).anon_vma, vma_at(mm, AT + 2 * K).anon_vma);
	memmap_mm_release(mm);
}

static void test_refused(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm();
	assert_int_equal(map_anon(mm, AT, 2 * K, RW, FIXED), AT);
	assert_int_equal(map_anon(mm, AT + 3 * K, K, RW, FIXED), AT + 3 * K);
	assert_int_equal(memmap_mm_sys_mbind(mm, AT + 1, K, 1), -EINVAL);
	assert_int_equal(memmap_mm_sys_mbind(mm, AT, UINT64_MAX - K, 1), -EINVAL);
	assert_int_equal(memmap_mm_sys_mbind(mm, AT, UINT64_MAX, 1), 0);
	assert_int_equal(memmap_mm_sys_mbind(mm, AT, 0, 1), 0);
	/* A hole before, in between, behind, and nothing else. */
	assert_int_equal(memmap_mm_sys_mbind(mm, AT - K, 2 * K, 1), -EFAULT);
	assert_int_equal(memmap_mm_sys_mbind(mm, AT, 4 * K, 1), -EFAULT);
	assert_int_equal(memmap_mm_sys_mbind(mm, AT + 3 * K, 2 * K, 1), -EFAULT);
	assert_int_equal(memmap_mm_sys_mbind(mm, AT + 2 * K, K, 0), -EFAULT);
	assert_int_equal(policy_at(mm, AT), 0);
	assert_int_equal(memmap_mm_sys_mbind(mm, AT, 2 * K, 1), 0);
	assert_int_equal(memmap_mm_sys_mbind(mm, AT - K, 8 * K, 0), 0);
	assert_int_equal(policy_at(mm, AT), 0);
	struct memmap_mm_limits limits = memmap_mm_get_limits(mm);
	limits.max_map_count = 2;
	memmap_mm_set_limits(mm, &limits);
	assert_int_equal(memmap_mm_sys_mbind(mm, AT, K, 1), -ENOMEM);
	assert_int_equal(memmap_mm_sys_mbind(mm, AT + 3 * K, K, 1), 0);
	memmap_mm_release(mm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_neighbours),
		cmocka_unit_test(test_it_stays),
		cmocka_unit_test(test_owners),
		cmocka_unit_test(test_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
