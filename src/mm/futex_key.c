/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Futex keys: what a futex is known by. Linux's get_futex_key().
 *
 * Memory that may be shared is known by its Mappable, since Mappables that share their bytes are one
 * and the same; the key holds a reference to the identity, so that the pointer stays what it is.
 * Private memory is known by address space and address. An address space does not outlive its
 * futexes: whoever waits in it runs in it.
 *
 * Linux goes by the page that it finds, we by the mapping. That shows with a private mapping of a
 * file only: there Linux takes a page that was never written to for the file's, and one that was for
 * the address space's; we take both for the address space's.
 */
#include "pages.h"

#include <errno.h>
#include <string.h>

#include <memmap/error.h>
#include <memmap/mm_access.h>

#include "internal.h"

enum key_kind {
	KEY_PROCESS_PRIVATE = 1, /* FUTEX_PRIVATE_FLAG */
	KEY_PRIVATE_MEMORY,
	KEY_SHARED_MEMORY,
};

struct search {
	struct memmap_futex_key *key;
	uint64_t addr;
};

/* The VMA that holds the address: all locks are held, so that the identity is there. */
static int make_key(void *arg, const struct memmap_vma *vma, const struct mm_resident *run)
{
	const struct search *s = arg;
	struct memmap_futex_key *key = s->key;
	if (run || !(vma->flags & MEMMAP_VM_READ))
		return -EFAULT;
	if (vma->mappable && (vma->flags & (MEMMAP_VM_SHARED | MEMMAP_VM_MAYSHARE))) {
		key->object = vma->mappable;
		key->offset = vma->offset + (s->addr - vma->range.start);
		key->kind = KEY_SHARED_MEMORY;
		key->identity = vma->identity;
		if (key->identity)
			memmap_mapping_identity_inc_ref(key->identity);
	} else {
		key->kind = KEY_PRIVATE_MEMORY;
	}
	return MM_STOP; /* found */
}

static int look(void *arg, const struct mm_page_run *run)
{
	(void)arg;
	(void)run;
	return 0;
}

int memmap_mm_futex_key(struct memmap_mm *mm, uint64_t addr, bool process_private,
			struct memmap_futex_key *out)
{
	struct memmap_futex_key key = {
		.object = mm,
		.offset = addr,
		.kind = KEY_PROCESS_PRIVATE,
		.context = mm->context,
	};
	const struct memmap_addr_range word = {addr, addr + 4};
	if (addr & 3)
		return -EINVAL;
	if (addr > memmap_mm_get_layout(mm).task_size - 4)
		return -EFAULT;
	if (!process_private) {
		/* Linux wants to see the page: it may be missing, or beyond the end of its file. */
		int err = mm_with_pages(mm, word, MEMMAP_READ, false, look, NULL, NULL);
		if (err && err != -ENOSYS)
			return memmap_is_bus_error(err) ? -EFAULT : err;
		struct search s = {&key, addr};
		err = mm_for_each_resident(mm, word, make_key, &s);
		if (err != MM_STOP)
			return err ? err : -EFAULT;
	}
	*out = key;
	return 0;
}

void memmap_futex_key_release(struct memmap_futex_key *key)
{
	if (key->identity)
		memmap_mapping_identity_dec_ref(key->identity, key->context);
	*key = (struct memmap_futex_key){0};
}

uint64_t memmap_futex_key_hash(const struct memmap_futex_key *key)
{
	/* Multiplying by odd numbers and folding the upper half spreads pointers and offsets. */
	uint64_t h = (uint64_t)(uintptr_t)key->object * UINT64_C(0x9e3779b97f4a7c15);
	h = (h ^ key->offset ^ (uint64_t)key->kind) * UINT64_C(0xbf58476d1ce4e5b9);
	return h ^ h >> 32;
}
