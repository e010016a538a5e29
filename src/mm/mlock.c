/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

int64_t memmap_mm_sys_mlock(struct memmap_mm *mm, uint64_t addr, uint64_t length)
{
	(void)mm, (void)addr, (void)length;
	return -ENOSYS;
}

int64_t memmap_mm_sys_mlock2(struct memmap_mm *mm, uint64_t addr, uint64_t length, uint64_t flags)
{
	(void)mm, (void)addr, (void)length, (void)flags;
	return -ENOSYS;
}

int64_t memmap_mm_sys_munlock(struct memmap_mm *mm, uint64_t addr, uint64_t length)
{
	(void)mm, (void)addr, (void)length;
	return -ENOSYS;
}

int64_t memmap_mm_sys_mlockall(struct memmap_mm *mm, uint64_t flags)
{
	(void)mm, (void)flags;
	return -ENOSYS;
}

int64_t memmap_mm_sys_munlockall(struct memmap_mm *mm)
{
	(void)mm;
	return -ENOSYS;
}
