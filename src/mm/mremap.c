/* SPDX-License-Identifier: Apache-2.0 */
#include "internal.h"

int64_t memmap_mm_sys_mremap(struct memmap_mm *mm, uint64_t addr, uint64_t old_length,
			     uint64_t new_length, uint64_t flags, uint64_t new_addr)
{
	(void)mm, (void)addr, (void)old_length, (void)new_length, (void)flags, (void)new_addr;
	return -ENOSYS;
}
