/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A radix tree of guest pages.
 *
 * Invariants: level 0 nodes hold entries, those above pointers to nodes of the level below; nr_used
 * is exact; the root is always there. A node is filled in before it is linked, and unlinked before
 * it is freed; between the two its freer waits until no vCPU looks at the table any more.
 *
 * Locking: slots are read without any lock, so each is written by one atomic store. The counts belong
 * to the platform's lock.
 */
#include "platform/soft/page_table.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <memmap/platform.h>

static unsigned level_shift(unsigned level)
{
	return MEMMAP_PAGE_SHIFT + PAGE_TABLE_BITS * level;
}

static unsigned slot_of(unsigned level, uint64_t addr)
{
	return (unsigned)(addr >> level_shift(level)) & (PAGE_TABLE_SLOTS - 1);
}

/* The last address of the slot of `level` that holds `addr`. */
static uint64_t slot_last(unsigned level, uint64_t addr)
{
	return addr | ((UINT64_C(1) << level_shift(level)) - 1);
}

static struct page_table_node *child_of(const struct page_table_node *node, unsigned slot)
{
	return memmap_pointer_of_(__atomic_load_n(&node->slots[slot], __ATOMIC_ACQUIRE));
}

static void set_slot(struct page_table_node *node, unsigned slot, uint64_t value)
{
	const uint64_t before = __atomic_load_n(&node->slots[slot], __ATOMIC_RELAXED);
	node->nr_used += (value != 0) - (unsigned)(before != 0);
	__atomic_store_n(&node->slots[slot], value, __ATOMIC_RELEASE);
}

static struct page_table_node *new_node(struct page_table *pt)
{
	struct page_table_node *node =
		memmap_allocate(pt->allocator, sizeof(*node), _Alignof(struct page_table_node));
	if (!node)
		return NULL;
	memset(node, 0, sizeof(*node));
	pt->nr_nodes++;
	return node;
}

int page_table_init(struct page_table *pt, const struct memmap_allocator *allocator,
		    unsigned address_bits)
{
	*pt = (struct page_table){
		.allocator = allocator,
		.nr_levels =
			(address_bits - MEMMAP_PAGE_SHIFT + PAGE_TABLE_BITS - 1) / PAGE_TABLE_BITS,
		.last = address_bits == 64 ? UINT64_MAX : (UINT64_C(1) << address_bits) - 1,
	};
	pt->root = new_node(pt);
	return pt->root ? 0 : -ENOMEM;
}

static void destroy_node(struct page_table *pt, struct page_table_node *node, unsigned level)
{
	for (unsigned i = 0; level > 0 && node->nr_used > 0 && i < PAGE_TABLE_SLOTS; i++) {
		struct page_table_node *child = child_of(node, i);
		if (child)
			destroy_node(pt, child, level - 1);
	}
	memmap_deallocate(pt->allocator, node, sizeof(*node));
}

void page_table_destroy(struct page_table *pt)
{
	if (pt->root)
		destroy_node(pt, pt->root, pt->nr_levels - 1);
	pt->root = NULL;
}

uint64_t page_table_lookup(const struct page_table *pt, uint64_t addr)
{
	if (addr > pt->last)
		return 0;
	const struct page_table_node *node = pt->root;
	for (unsigned level = pt->nr_levels - 1; level > 0; level--) {
		node = child_of(node, slot_of(level, addr));
		if (!node)
			return 0;
	}
	return __atomic_load_n(&node->slots[slot_of(0, addr)], __ATOMIC_ACQUIRE);
}

/* The path to the leaf of `addr`. */
static int reserve_leaf(struct page_table *pt, uint64_t addr)
{
	struct page_table_node *node = pt->root;
	for (unsigned level = pt->nr_levels - 1; level > 0; level--) {
		const unsigned slot = slot_of(level, addr);
		struct page_table_node *child = child_of(node, slot);
		if (!child) {
			child = new_node(pt);
			if (!child)
				return -ENOMEM;
			set_slot(node, slot, (uint64_t)(uintptr_t)child);
		}
		node = child;
	}
	return 0;
}

int page_table_reserve(struct page_table *pt, struct memmap_addr_range ar)
{
	for (uint64_t addr = ar.start;; addr = slot_last(1, addr) + 1) {
		int err = reserve_leaf(pt, addr);
		if (err || slot_last(1, addr) >= ar.end - 1)
			return err;
	}
}

struct update {
	struct page_table *pt;
	bool all;
	page_table_change *change;
	void *context;
};

static void update_node(const struct update *u, struct page_table_node *node, unsigned level,
			uint64_t first, uint64_t last)
{
	for (uint64_t addr = first;; addr = slot_last(level, addr) + 1) {
		const unsigned slot = slot_of(level, addr);
		const uint64_t here = slot_last(level, addr) < last ? slot_last(level, addr) : last;
		if (level > 0) {
			struct page_table_node *child = child_of(node, slot);
			if (child)
				update_node(u, child, level - 1, addr, here);
		} else {
			const uint64_t before =
				__atomic_load_n(&node->slots[slot], __ATOMIC_RELAXED);
			if (before || u->all) {
				const uint64_t after = u->change(u->context, addr, before);
				u->pt->nr_pages += (after != 0) - (uint64_t)(before != 0);
				if (after != before)
					set_slot(node, slot, after);
			}
		}
		if (here == last)
			return;
	}
}

/* The part of `ar` that there is: false when there is none. */
static bool clamp(const struct page_table *pt, struct memmap_addr_range ar, uint64_t *first,
		  uint64_t *last)
{
	*first = ar.start;
	*last = ar.end - 1 < pt->last ? ar.end - 1 : pt->last;
	return *first <= *last;
}

void page_table_update(struct page_table *pt, struct memmap_addr_range ar, bool all,
		       page_table_change *change, void *context)
{
	const struct update u = {pt, all, change, context};
	uint64_t first, last;
	if (clamp(pt, ar, &first, &last))
		update_node(&u, pt->root, pt->nr_levels - 1, first, last);
}

static void unlink_below(struct page_table *pt, struct page_table_node *node, unsigned level,
			 uint64_t first, uint64_t last, struct page_table_node **list)
{
	for (uint64_t addr = first;; addr = slot_last(level, addr) + 1) {
		const unsigned slot = slot_of(level, addr);
		const uint64_t here = slot_last(level, addr) < last ? slot_last(level, addr) : last;
		struct page_table_node *child = child_of(node, slot);
		if (child) {
			if (level > 1)
				unlink_below(pt, child, level - 1, addr, here, list);
			if (child->nr_used == 0) {
				set_slot(node, slot, 0);
				child->next = *list;
				*list = child;
			}
		}
		if (here == last)
			return;
	}
}

struct page_table_node *page_table_unlink_empty(struct page_table *pt, struct memmap_addr_range ar)
{
	struct page_table_node *list = NULL;
	uint64_t first, last;
	if (pt->nr_levels > 1 && clamp(pt, ar, &first, &last))
		unlink_below(pt, pt->root, pt->nr_levels - 1, first, last, &list);
	return list;
}

void page_table_free(struct page_table *pt, struct page_table_node *nodes)
{
	while (nodes) {
		struct page_table_node *next = nodes->next;
		memmap_deallocate(pt->allocator, nodes, sizeof(*nodes));
		pt->nr_nodes--;
		nodes = next;
	}
}

static int verify_node(const struct page_table_node *node, unsigned level, uint64_t *nr_pages,
		       uint64_t *nr_nodes)
{
	unsigned nr_used = 0;
	++*nr_nodes;
	for (unsigned i = 0; i < PAGE_TABLE_SLOTS; i++) {
		const uint64_t slot = __atomic_load_n(&node->slots[i], __ATOMIC_ACQUIRE);
		if (!slot)
			continue;
		nr_used++;
		if (level == 0) {
			++*nr_pages;
			if (slot & PTE_ACCESS)
				continue;
			(void)fprintf(stderr, "page table: an entry permits nothing\n");
			return -EINVAL;
		}
		int err = verify_node(child_of(node, i), level - 1, nr_pages, nr_nodes);
		if (err)
			return err;
	}
	if (nr_used == node->nr_used)
		return 0;
	(void)fprintf(stderr, "page table: %u slots in use, said to be %u\n", nr_used,
		      node->nr_used);
	return -EINVAL;
}

int page_table_verify(const struct page_table *pt)
{
	uint64_t nr_pages = 0, nr_nodes = 0;
	int err = verify_node(pt->root, pt->nr_levels - 1, &nr_pages, &nr_nodes);
	if (!err && (nr_pages != pt->nr_pages || nr_nodes != pt->nr_nodes)) {
		(void)fprintf(stderr,
			      "page table: %" PRIu64 " pages and %" PRIu64
			      " nodes, said to be %" PRIu64 " and %" PRIu64 "\n",
			      nr_pages, nr_nodes, pt->nr_pages, pt->nr_nodes);
		err = -EINVAL;
	}
	return err;
}
