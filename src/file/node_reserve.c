/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Address space set aside for nodes. It takes memory only where it was ever used, and it is used
 * only when the allocator has nothing left; so its price is addresses.
 *
 * Invariants: each slot is in use, on the free list, or at or beyond nr_taken of its piece.
 *
 * Locking: the caller's.
 */
#include "file/node_reserve.h"

#include <string.h>

#include <memmap/error.h>

#include "file/host.h"

void memmap_node_reserve_init(struct memmap_node_reserve *reserve, size_t slot_size)
{
	const size_t alignment = _Alignof(max_align_t);
	memset(reserve, 0, sizeof(*reserve));
	reserve->slot_size = (slot_size + alignment - 1) / alignment * alignment;
}

void memmap_node_reserve_destroy(struct memmap_node_reserve *reserve)
{
	memmap_assert(reserve->nr_in_use == 0);
	for (size_t i = 0; i < reserve->nr_pieces; i++)
		memmap_host_unmap(reserve->pieces[i].slots,
				  reserve->pieces[i].nr_slots * reserve->slot_size);
	reserve->nr_pieces = 0;
	reserve->free = NULL;
}

int memmap_node_reserve_grow(struct memmap_node_reserve *reserve, size_t nr_slots)
{
	memmap_assert(reserve->nr_pieces < MEMMAP_NODE_RESERVE_PIECES);
	void *slots;
	int err = memmap_host_map_anonymous(nr_slots * reserve->slot_size, &slots);
	if (err)
		return err;
	reserve->pieces[reserve->nr_pieces++] = (struct memmap_node_reserve_piece){
		.slots = slots,
		.nr_slots = nr_slots,
	};
	return 0;
}

void *memmap_node_reserve_take(struct memmap_node_reserve *reserve)
{
	void *slot = reserve->free;
	if (slot) {
		memcpy(&reserve->free, slot, sizeof(reserve->free));
		reserve->nr_in_use++;
		return slot;
	}
	for (size_t i = 0; i < reserve->nr_pieces; i++) {
		struct memmap_node_reserve_piece *piece = &reserve->pieces[i];
		if (piece->nr_taken < piece->nr_slots) {
			reserve->nr_in_use++;
			return piece->slots + piece->nr_taken++ * reserve->slot_size;
		}
	}
	memmap_panic("the reserve of nodes is used up: %zu are in use", reserve->nr_in_use);
}

bool memmap_node_reserve_give(struct memmap_node_reserve *reserve, void *slot)
{
	const uintptr_t addr = (uintptr_t)slot;
	for (size_t i = 0; i < reserve->nr_pieces; i++) {
		const struct memmap_node_reserve_piece *piece = &reserve->pieces[i];
		const uintptr_t start = (uintptr_t)piece->slots;
		if (addr - start >= piece->nr_taken * reserve->slot_size)
			continue;
		memcpy(slot, &reserve->free, sizeof(reserve->free));
		reserve->free = slot;
		reserve->nr_in_use--;
		return true;
	}
	return false;
}
