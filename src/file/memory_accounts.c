/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A memory file's accounts. An account once opened stays: there are as many as there are cgroups.
 *
 * Invariants: the kinds of an account add up to its total; the cgroups' add up to that of all.
 *
 * Locking: the caller's.
 */
#include "file/memory_accounts.h"

#include <string.h>

#include <memmap/error.h>

#include "base/array.h"

void memmap_memory_accounts_destroy(struct memmap_memory_accounts *accounts)
{
	memmap_deallocate(accounts->allocator, accounts->cgroups,
			  accounts->cap * sizeof(*accounts->cgroups));
	accounts->cgroups = NULL;
	accounts->nr = 0;
	accounts->cap = 0;
}

/* How many accounts have a lower id. */
static size_t rank(const struct memmap_memory_accounts *accounts, uint32_t mem_cg_id)
{
	size_t low = 0, high = accounts->nr;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (accounts->cgroups[middle].mem_cg_id < mem_cg_id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct memmap_memory_account *memmap_memory_accounts_find(struct memmap_memory_accounts *accounts,
							  uint32_t mem_cg_id)
{
	size_t i = rank(accounts, mem_cg_id);
	if (i == accounts->nr || accounts->cgroups[i].mem_cg_id != mem_cg_id)
		return NULL;
	return &accounts->cgroups[i];
}

struct memmap_memory_account *memmap_memory_accounts_open(struct memmap_memory_accounts *accounts,
							  uint32_t mem_cg_id)
{
	struct memmap_memory_account *account = memmap_memory_accounts_find(accounts, mem_cg_id);
	if (account)
		return account;
	if (accounts->nr == accounts->cap) {
		size_t cap;
		struct memmap_memory_account *bigger = memmap_array_bigger(
			accounts->allocator, accounts->cgroups, accounts->nr, accounts->nr + 1,
			sizeof(*bigger), _Alignof(struct memmap_memory_account), &cap);
		if (!bigger)
			return NULL;
		memmap_deallocate(accounts->allocator, accounts->cgroups,
				  accounts->cap * sizeof(*bigger));
		accounts->cgroups = bigger;
		accounts->cap = cap;
	}
	size_t i = rank(accounts, mem_cg_id);
	account = &accounts->cgroups[i];
	memmove(account + 1, account, (accounts->nr - i) * sizeof(*account));
	accounts->nr++;
	*account = (struct memmap_memory_account){.mem_cg_id = mem_cg_id};
	return account;
}

static bool has_room(const struct memmap_memory_account *account, uint64_t length)
{
	return account->limit == 0 || (account->usage.total <= account->limit &&
				       length <= account->limit - account->usage.total);
}

bool memmap_memory_accounts_permit(const struct memmap_memory_accounts *accounts,
				   const struct memmap_memory_account *cgroup, uint64_t length)
{
	return has_room(&accounts->all, length) && has_room(cgroup, length);
}

void memmap_memory_accounts_charge(struct memmap_memory_accounts *accounts, uint32_t mem_cg_id,
				   enum memmap_memory_kind kind, uint64_t length)
{
	struct memmap_memory_account *cgroup = memmap_memory_accounts_find(accounts, mem_cg_id);
	memmap_assert(cgroup);
	cgroup->usage.total += length;
	cgroup->usage.by_kind[kind] += length;
	accounts->all.usage.total += length;
	accounts->all.usage.by_kind[kind] += length;
}

void memmap_memory_accounts_uncharge(struct memmap_memory_accounts *accounts, uint32_t mem_cg_id,
				     enum memmap_memory_kind kind, uint64_t length)
{
	struct memmap_memory_account *cgroup = memmap_memory_accounts_find(accounts, mem_cg_id);
	memmap_assert(cgroup && cgroup->usage.by_kind[kind] >= length);
	cgroup->usage.total -= length;
	cgroup->usage.by_kind[kind] -= length;
	accounts->all.usage.total -= length;
	accounts->all.usage.by_kind[kind] -= length;
}
