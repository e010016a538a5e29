/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process_madvise: advice for several ranges, of this or of another address space.
 *
 * Each range is advised as by madvise(2). The first that is refused ends the call; the bytes of
 * those before it are the result, if there are any. Others than oneself can be given only advice
 * that takes nothing from them.
 */
#include "abi.h"
#include "iovec.h"

/* May `advice` be given to another address space? */
static bool is_for_others(int advice)
{
	switch (advice) {
	case MADV_COLD:
	case MADV_PAGEOUT:
	case MADV_WILLNEED:
	case MADV_COLLAPSE:
		return true;
	default:
		return false;
	}
}

int64_t memmap_mm_sys_process_madvise(struct memmap_mm *caller, struct memmap_mm *target,
				      const struct memmap_iovec *vector, uint64_t nr, int advice,
				      uint64_t flags, bool cap_sys_nice)
{
	struct iovec_iter it;
	if ((uint32_t)flags != 0) /* the system call takes no more of it */
		return -EINVAL;
	int err = iovec_import(caller, vector, nr, &it);
	if (err)
		return err;
	if (caller != target) {
		if (!is_for_others(advice))
			return -EINVAL;
		if (!cap_sys_nice)
			return -EPERM;
	}

	int64_t result = 0;
	const uint64_t total = it.left;
	while (it.left > 0) {
		struct memmap_iovec range = iovec_iter_first(&it);
		result = memmap_mm_sys_madvise(target, range.base, range.length, advice);
		if (result < 0)
			break;
		iovec_iter_advance(&it, range.length);
	}
	return total > it.left ? (int64_t)(total - it.left) : result;
}
