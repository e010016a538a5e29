/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who uses how much of a memory file: by kind, in all and for each memory cgroup; and their limits.
 */
#ifndef MEMMAP_SRC_FILE_MEMORY_ACCOUNTS_H
#define MEMMAP_SRC_FILE_MEMORY_ACCOUNTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <memmap/allocator.h>
#include <memmap/memory_file.h>

struct memmap_memory_account {
	uint32_t mem_cg_id;
	uint64_t limit; /* 0: none */
	struct memmap_memory_usage usage;
};

/* The accounts of cgroups, in order of their ids. */
struct memmap_memory_accounts {
	const struct memmap_allocator *allocator;
	struct memmap_memory_account *cgroups;
	size_t nr, cap;
	struct memmap_memory_account all;
};

void memmap_memory_accounts_destroy(struct memmap_memory_accounts *accounts);

/* The cgroup's account, or NULL when it never had one; valid until another one is opened. */
struct memmap_memory_account *memmap_memory_accounts_find(struct memmap_memory_accounts *accounts,
							  uint32_t mem_cg_id);

/* The same, opened if need be; NULL: out of memory. */
struct memmap_memory_account *memmap_memory_accounts_open(struct memmap_memory_accounts *accounts,
							  uint32_t mem_cg_id);

/* Is there room for `length` more under both limits? */
bool memmap_memory_accounts_permit(const struct memmap_memory_accounts *accounts,
				   const struct memmap_memory_account *cgroup, uint64_t length);

/* The cgroup has an account. */
void memmap_memory_accounts_charge(struct memmap_memory_accounts *accounts, uint32_t mem_cg_id,
				   enum memmap_memory_kind kind, uint64_t length);
void memmap_memory_accounts_uncharge(struct memmap_memory_accounts *accounts, uint32_t mem_cg_id,
				     enum memmap_memory_kind kind, uint64_t length);

#endif /* MEMMAP_SRC_FILE_MEMORY_ACCOUNTS_H */
