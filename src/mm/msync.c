/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

int64_t memmap_mm_sys_msync(struct memmap_mm *mm, uint64_t addr, uint64_t length, uint64_t flags)
{
	(void)mm, (void)addr, (void)length, (void)flags;
	return -ENOSYS;
}
