/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Registrations with userfaultfds: what they keep apart, what loses them, and what is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"

#define AT UINT64_C(0x30000000)

static const uint64_t missing = MEMMAP_VM_UFFD_MISSING, wp = MEMMAP_VM_UFFD_WP;

static struct memmap_addr_range pages(uint64_t first, uint64_t nr)
{
	return (struct memmap_addr_range){AT + first * K, AT + (first + nr) * K};
}

static void assert_registered(const struct memmap_mm *mm, uint64_t n, uint64_t owner,
			      uint64_t flags)
{
	const struct memmap_vma vma = vma_at(mm, AT + n * K);
	assert_int_equal(vma.userfault, owner);
	assert_int_equal(vma.flags & (missing | wp | MEMMAP_VM_UFFD_MINOR), flags);
}

static void test_registering(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm();
	assert_int_equal(map_anon(mm, AT, 8 * K, RW, FIXED), AT);
	assert_int_equal(memmap_mm_userfault_register(mm, pages(2, 2), 1, missing), 0);
	assert_int_equal(memmap_mm_userfault_register(mm, pages(4, 2), 2, missing), 0);
	assert_vmas(mm, "30000000-30002000 rw-p\n"
			"30002000-30004000 rw-p\n"
			"30004000-30006000 rw-p\n"
			"30006000-30008000 rw-p\n");
	assert_registered(mm, 3, 1, missing);
	assert_registered(mm, 5, 2, missing);
	assert_registered(mm, 6, 0, 0);
	/* Other flags replace them, fewer are there already. */
	assert_int_equal(memmap_mm_userfault_register(mm, pages(2, 1), 1, missing | wp), 0);
	assert_int_equal(memmap_mm_userfault_register(mm, pages(2, 2), 1, missing), 0);
	assert_registered(mm, 2, 1, missing | wp);
	assert_int_equal(memmap_mm_userfault_register(mm, pages(2, 2), 1, wp), 0);
	assert_registered(mm, 2, 1, missing | wp);
	assert_registered(mm, 3, 1, wp);
	assert_int_equal(memmap_mm_userfault_unregister(mm, pages(3, 2)), 0);
	assert_vmas(mm, "30000000-30002000 rw-p\n"
			"30002000-30003000 rw-p\n"
			"30003000-30005000 rw-p\n"
			"30005000-30006000 rw-p\n"
			"30006000-30008000 rw-p\n");
	assert_int_equal(memmap_mm_userfault_release(mm, 1), 0);
	assert_vmas(mm, "30000000-30005000 rw-p\n"
			"30005000-30006000 rw-p\n"
			"30006000-30008000 rw-p\n");
	assert_int_equal(memmap_mm_userfault_release(mm, 2), 0);
	assert_vmas(mm, "30000000-30008000 rw-p\n");
	memmap_mm_release(mm);
}

static void test_moving_and_forking(void **state)
{
	(void)state;
	const uint64_t fixed = MREMAP_MAYMOVE | MREMAP_FIXED;
	struct memmap_mm *mm = small_mm(), *child;
	assert_int_equal(map_anon(mm, AT, 8 * K, RW, FIXED), AT);
	assert_int_equal(memmap_mm_userfault_register(mm, pages(2, 2), 1, missing), 0);
	assert_int_equal(memmap_mm_fork(mm, NULL, &child), 0);
	assert_registered(child, 2, 0, 0);
	memmap_mm_release(child);
	/* With others it is not moved, alone it is, and is registered no more. */
	assert_int_equal(memmap_mm_sys_mremap(mm, AT + 2 * K, 3 * K, 3 * K, fixed, AT + 16 * K),
			 -EFAULT);
	assert_registered(mm, 2, 1, missing);
	assert_int_equal(memmap_mm_sys_mremap(mm, AT + 2 * K, 2 * K, 2 * K, fixed, AT + 16 * K),
			 AT + 16 * K);
	assert_registered(mm, 16, 0, 0);
	memmap_mm_release(mm);
}

static void test_refused(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm();
	assert_int_equal(map_anon(mm, AT, 4 * K, RW, FIXED), AT);
	assert_int_equal(memmap_mm_userfault_register(mm, pages(0, 1), 0, missing), -EINVAL);
	assert_int_equal(memmap_mm_userfault_register(mm, pages(0, 1), 1, 0), -EINVAL);
	assert_int_equal(memmap_mm_userfault_register(mm, pages(0, 1), 1, MEMMAP_VM_IO), -EINVAL);
	const struct memmap_addr_range half = {AT, AT + K / 2};
	assert_int_equal(memmap_mm_userfault_register(mm, half, 1, missing), -EINVAL);
	assert_int_equal(memmap_mm_userfault_unregister(mm, half), -EINVAL);
	assert_int_equal(memmap_mm_userfault_release(mm, 0), -EINVAL);
	struct memmap_mm_limits limits = memmap_mm_get_limits(mm);
	limits.max_map_count = 1;
	memmap_mm_set_limits(mm, &limits);
	assert_int_equal(memmap_mm_userfault_register(mm, pages(1, 1), 1, missing), -ENOMEM);
	assert_registered(mm, 1, 0, 0);
	memmap_mm_release(mm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_registering),
		cmocka_unit_test(test_moving_and_forking),
		cmocka_unit_test(test_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
