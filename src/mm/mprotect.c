/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mprotect, and pkey_mprotect as on a processor without protection keys.
 *
 * VMAs are changed one by one in address order, each merging with its neighbours or being split.
 * The first that may not be changed, or a hole, ends the call with an error, and what came before
 * stays changed: so it is with Linux. Want of memory alone changes nothing: at most the first and
 * the last VMA are split, and room for those two is made before.
 */
#include "abi.h"
#include "internal.h"

/* Change the part `r` of the VMA at `it` to `flags`. Linux's mprotect_fixup(). */
static int protect(struct memmap_mm *mm, struct vma_iterator it, struct memmap_addr_range r,
		   uint64_t flags, struct vma_iterator *out)
{
	const struct vma *v = vma_iterator_value_ptr(it);
	uint64_t old = v->flags, pages = range_pages(r);
	if (old & MEMMAP_VM_SEALED)
		return -EPERM;
	if (flags == old) {
		*out = it;
		return 0;
	}

	if (flags & MEMMAP_VM_WRITE) {
		/* Not refused for being over the limit already. */
		if (!mm_may_expand(mm, flags, pages) && mm_may_expand(mm, old, pages))
			return -ENOMEM;
		if (!(old & (MEMMAP_VM_ACCOUNT | MEMMAP_VM_WRITE | MEMMAP_VM_HUGETLB |
			     MEMMAP_VM_SHARED | MEMMAP_VM_NORESERVE))) {
			if (!mm_may_account(mm, pages))
				return -ENOMEM;
			flags |= MEMMAP_VM_ACCOUNT;
		}
	} else if ((old & MEMMAP_VM_ACCOUNT) && vma_is_anonymous(v) && !vma_has_anon(mm, it)) {
		/* Nothing was ever written there, so nothing need be kept any more. */
		flags &= ~MEMMAP_VM_ACCOUNT;
	}

	int err = mm_modify_flags(mm, it, r, flags, out);
	if (err)
		return err;
	/* What is locked and becomes writable is copied at once. */
	if ((old & (MEMMAP_VM_WRITE | MEMMAP_VM_SHARED | MEMMAP_VM_LOCKED)) == MEMMAP_VM_LOCKED &&
	    (flags & MEMMAP_VM_WRITE))
		mm_populate_locked(mm, r);
	return 0;
}

/* Change the VMAs of the range, one by one; `*at` is where it ended. */
static int protect_range(struct memmap_mm *mm, struct memmap_addr_range range, uint64_t prot,
			 uint64_t *at)
{
	bool read_implies_exec = mm->limits.read_implies_exec && (prot & PROT_READ);
	struct vma_iterator it = mm_find(mm, range.start);
	for (*at = range.start; *at < range.end;
	     *at = vma_iterator_end(it), it = vma_iterator_next_segment(it)) {
		if (!vma_iterator_ok(it) || vma_iterator_start(it) > *at)
			return -ENOMEM;
		const struct vma *v = vma_iterator_value_ptr(it);
		uint64_t flags = (v->flags & ~VM_ACCESS_FLAGS) | (prot & VM_ACCESS_FLAGS);
		if (read_implies_exec && (v->flags & MEMMAP_VM_MAYEXEC))
			flags |= MEMMAP_VM_EXEC;
		/* Each VM_MAY flag is four bits above the flag that it permits. */
		if (flags & ~(flags >> 4) & VM_ACCESS_FLAGS)
			return -EACCES;
		if (mm_denies_exec(mm, v->flags, flags))
			return -EACCES;
		uint64_t end = vma_iterator_end(it) < range.end ? vma_iterator_end(it) : range.end;
		int err = protect(mm, it, range_of(*at, end), flags, &it);
		if (err)
			return err;
	}
	*at = range.end;
	return 0;
}

/* Pages permit no more than their VMAs at once, and more when they are touched. */
static void protect_pages(struct memmap_mm *mm, struct memmap_addr_range range, uint64_t prot)
{
	if (mm->limits.read_implies_exec && (prot & PROT_READ))
		prot |= PROT_EXEC;
	if (!mm_has_pages(mm) || range.start >= range.end)
		return;
	MM_LOCK_ACTIVE(mm);
	mm_limit_pmas(mm, range, memmap_access_effective((memmap_access)(prot & VM_ACCESS_FLAGS)));
}

/* `key` as in pkey_mprotect(2), with which mprotect(2) shares all but the key: -1 there. */
static int64_t sys_mprotect(struct memmap_mm *mm, uint64_t addr, uint64_t length, uint64_t prot,
			    int key)
{
	const uint64_t grows = prot & (PROT_GROWSDOWN | PROT_GROWSUP);
	prot &= ~(uint64_t)(PROT_GROWSDOWN | PROT_GROWSUP);
	if (grows == (PROT_GROWSDOWN | PROT_GROWSUP) || !memmap_is_page_aligned(addr))
		return -EINVAL;
	if (length == 0)
		return 0;
	struct memmap_addr_range range = {.start = addr};
	if (!memmap_page_round_up(length, &length) ||
	    __builtin_add_overflow(addr, length, &range.end) || range.end <= range.start)
		return -ENOMEM;
	if (prot & ~(uint64_t)(PROT_READ | PROT_WRITE | PROT_EXEC | PROT_SEM))
		return -EINVAL;
	if (key != -1)
		return -EINVAL; /* no key was ever given out */

	struct vma_iterator it = mm_find(mm, range.start);
	if (!vma_iterator_ok(it) || vma_iterator_start(it) >= range.end)
		return -ENOMEM;
	if (grows & PROT_GROWSDOWN) {
		range.start = vma_iterator_start(it);
		if (!(vma_iterator_value_ptr(it)->flags & MEMMAP_VM_GROWSDOWN))
			return -EINVAL;
	} else {
		if (vma_iterator_start(it) > range.start)
			return -ENOMEM;
		if (grows & PROT_GROWSUP)
			return -EINVAL; /* nothing grows up here */
	}
	int err = mm_reserve(mm, 2, 2);
	if (err)
		return err;
	uint64_t at;
	err = protect_range(mm, range, prot, &at);
	protect_pages(mm, range_of(range.start, at), prot);
	return err;
}

int64_t memmap_mm_sys_mprotect(struct memmap_mm *mm, uint64_t addr, uint64_t length, uint64_t prot)
{
	mm_begin_write(mm);
	return mm_end_write_and_populate(mm, sys_mprotect(mm, addr, length, prot, -1));
}

int64_t memmap_mm_sys_pkey_mprotect(struct memmap_mm *mm, uint64_t addr, uint64_t length,
				    uint64_t prot, int key)
{
	mm_begin_write(mm);
	return mm_end_write_and_populate(mm, sys_mprotect(mm, addr, length, prot, key));
}
