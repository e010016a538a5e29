/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory for what must not fail: the nodes of the memory file's sets when the allocator has none.
 */
#ifndef MEMMAP_SRC_FILE_NODE_RESERVE_H
#define MEMMAP_SRC_FILE_NODE_RESERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define MEMMAP_NODE_RESERVE_PIECES 24

struct memmap_node_reserve {
	size_t slot_size;
	void *free; /* a list through the slots that were given back */
	struct memmap_node_reserve_piece {
		char *slots;
		size_t nr_slots, nr_taken; /* the first nr_taken were handed out once */
	} pieces[MEMMAP_NODE_RESERVE_PIECES];
	size_t nr_pieces;
	size_t nr_in_use;
};

/* Slots of `slot_size` bytes, aligned as any type needs; there are none yet. */
void memmap_node_reserve_init(struct memmap_node_reserve *reserve, size_t slot_size);
void memmap_node_reserve_destroy(struct memmap_node_reserve *reserve);

/* Have `nr_slots` more. 0, or a negative errno with nothing changed. */
int memmap_node_reserve_grow(struct memmap_node_reserve *reserve, size_t nr_slots);

/* A slot. Panics when there are no more: whoever grew it miscounted. */
void *memmap_node_reserve_take(struct memmap_node_reserve *reserve);

/* Give `slot` back if it is one: false when it comes from elsewhere. */
bool memmap_node_reserve_give(struct memmap_node_reserve *reserve, void *slot);

#endif /* MEMMAP_SRC_FILE_NODE_RESERVE_H */
