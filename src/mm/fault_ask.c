/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a fault asks others for: a Mappable for a translation, and the platform to map pages. Whoever
 * makes pages present needs both, whichever pages they are.
 *
 * Locking: the mapping lock is held. mm_translate() takes the active lock, and calls the Mappable
 * without it; mm_show() requires it.
 */
#include "internal.h"

#include <memmap/address_space.h>

int mm_show(const struct mm_fault *f, struct memmap_addr_range ar, struct memmap_file *file,
	    uint64_t offset, memmap_access perms)
{
	struct memmap_mm *mm = f->mm;
	if (!mm->address_space || !perms)
		return 0;
	if (!f->show) {
		/* It may show another page there. */
		mm_platform_unmap(mm, ar);
		return 0;
	}
	struct memmap_file_range fr = {offset, offset + (ar.end - ar.start)};
	return memmap_address_space_map_file(mm->address_space, ar.start, file, fr, perms,
					     f->precommit);
}

int mm_translate(struct mm_fault *f, struct memmap_addr_range optional, memmap_access at,
		 struct memmap_translations *ts)
{
	struct memmap_mm *mm = f->mm;
	const uint64_t offset = vma_offset_at(f->vma, f->page);
	struct memmap_mappable_range required = {offset, offset + MEMMAP_PAGE_SIZE};
	struct memmap_mappable_range wanted = {
		.start = vma_offset_at(f->vma, optional.start),
		.end = vma_offset_at(f->vma, optional.start) + (optional.end - optional.start),
	};
	if (memmap_context_is_cancelled(mm->context))
		return -EINTR;
	ts->allocator = mm->allocator;
	int err = memmap_mappable_translate(vma_iterator_value_ptr(f->vma)->mappable, mm->context,
					    required, wanted, at, ts);
	if (MEMMAP_CHECK >= 2) {
		char why[256];
		if (memmap_check_translate_result(required, wanted, at,
						  memmap_translations_data(ts), ts->len, err, why,
						  sizeof(why)) != 0)
			memmap_panic("memmap_mm: a Mappable broke its contract: %s", why);
	}
	/* The first one holds the page, so what it is that failed was not asked for. */
	if (!err || ts->len > 0)
		return 0;
	if (err == -ENOMEM) {
		MM_LOCK_ACTIVE(mm);
		if (mm_reclaim_lazily_freed(mm))
			return MM_RETRY;
	}
	return err;
}
