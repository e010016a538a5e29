/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an address space may hold: counts of its pages, and the limits that they are held against.
 *
 * Each page is counted once in total_pages, and in at most one of exec_pages, stack_pages and
 * data_pages, by the flags of its VMA. Nothing here changes VMAs.
 */
#include "internal.h"

/* Linux's is_data_mapping(): private, writable, and no stack. */
static bool is_data(uint64_t flags)
{
	return (flags & (MEMMAP_VM_WRITE | MEMMAP_VM_SHARED | MEMMAP_VM_GROWSDOWN)) ==
	       MEMMAP_VM_WRITE;
}

static bool is_exec(uint64_t flags)
{
	return (flags & (MEMMAP_VM_EXEC | MEMMAP_VM_WRITE | MEMMAP_VM_GROWSDOWN)) == MEMMAP_VM_EXEC;
}

static bool is_stack(uint64_t flags)
{
	return (flags & MEMMAP_VM_GROWSDOWN) != 0;
}

void mm_count(struct memmap_mm *mm, uint64_t flags, uint64_t pages, int sign)
{
	if (sign < 0) {
		if (mm->total_pages > mm->peak_pages)
			mm->peak_pages = mm->total_pages;
		pages = 0 - pages;
	}
	mm->total_pages += pages;
	if (is_exec(flags))
		mm->exec_pages += pages;
	else if (is_stack(flags))
		mm->stack_pages += pages;
	else if (is_data(flags))
		mm->data_pages += pages;
	if (flags & MEMMAP_VM_LOCKED)
		mm->locked_pages += pages;
	if (flags & MEMMAP_VM_ACCOUNT)
		mm->accounted_pages += pages;
}

bool mm_may_expand(const struct memmap_mm *mm, uint64_t flags, uint64_t pages)
{
	const struct memmap_mm_limits *l = &mm->limits;
	if (mm->total_pages + pages > l->address_space >> MEMMAP_PAGE_SHIFT)
		return false;
	if (!is_data(flags) || mm->data_pages + pages <= l->data >> MEMMAP_PAGE_SHIFT)
		return true;
	/* Valgrind sets the soft limit to 0 and counts for itself: then the hard one holds. */
	return l->data == 0 && mm->data_pages + pages <= l->data_max >> MEMMAP_PAGE_SHIFT;
}

bool mm_may_account(const struct memmap_mm *mm, uint64_t pages)
{
	const struct memmap_mm_limits *l = &mm->limits;
	switch (l->overcommit) {
	case 1: /* always */
		return true;
	case 2: /* never */
		return pages <= l->overcommit_pages &&
		       mm->accounted_pages <= l->overcommit_pages - pages;
	default: /* a guess: only what could never be fulfilled is refused */
		return pages <= l->overcommit_pages;
	}
}

bool mm_may_lock(const struct memmap_mm *mm)
{
	return mm->limits.memlock != 0 || mm->limits.cap_ipc_lock;
}

bool mm_may_lock_more(const struct memmap_mm *mm, uint64_t flags, uint64_t length)
{
	if (!(flags & MEMMAP_VM_LOCKED) || mm->limits.cap_ipc_lock)
		return true;
	uint64_t pages = mm->locked_pages + (length >> MEMMAP_PAGE_SHIFT);
	return pages <= mm->limits.memlock >> MEMMAP_PAGE_SHIFT;
}

void memmap_mm_limits_default(struct memmap_mm_limits *limits)
{
	*limits = (struct memmap_mm_limits){
		.address_space = UINT64_MAX,
		.data = UINT64_MAX,
		.data_max = UINT64_MAX,
		.stack = UINT64_MAX,
		.memlock = UINT64_MAX,
		.max_map_count = UINT32_MAX,
		.overcommit = 0,
		.overcommit_pages = UINT64_MAX,
		.huge_pages = 1,
	};
}

struct memmap_mm_limits memmap_mm_get_limits(const struct memmap_mm *mm)
{
	MM_LOCK_READ(mm);
	return mm->limits;
}

void memmap_mm_set_limits(struct memmap_mm *mm, const struct memmap_mm_limits *limits)
{
	MM_LOCK_WRITE(mm);
	mm->limits = *limits;
}
