/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

int64_t memmap_mm_sys_madvise(struct memmap_mm *mm, uint64_t addr, uint64_t length, int advice)
{
	(void)mm, (void)addr, (void)length, (void)advice;
	return -ENOSYS;
}
