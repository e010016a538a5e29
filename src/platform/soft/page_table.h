/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The page table of the soft platform: guest page ↦ host pointer, as hardware keeps it.
 *
 * A radix tree with nine bits of the address a level. Looking up takes no lock and may run beside a
 * change; all else is done under the platform's lock.
 */
#ifndef MEMMAP_SRC_PLATFORM_SOFT_PAGE_TABLE_H
#define MEMMAP_SRC_PLATFORM_SOFT_PAGE_TABLE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <memmap/allocator.h>
#include <memmap/arch.h>
#include <memmap/range.h>

#define PAGE_TABLE_BITS  9
#define PAGE_TABLE_SLOTS (1u << PAGE_TABLE_BITS)

/*
 * An entry: the host pointer in the upper 56 bits, and below it the kinds of access and how to go
 * about them. 0: nothing is mapped.
 */
#define PTE_ACCESS     UINT64_C(0x07) /* memmap_access */
#define PTE_SLOW       UINT64_C(0x08) /* touching it may fault, or it is not aligned */
#define PTE_WINDOW     UINT64_C(0x10) /* it lies in a window of the platform's own */
#define PTE_HOST_SHIFT 8

struct page_table_node {
	uint64_t slots[PAGE_TABLE_SLOTS]; /* atomic: entries, or pointers to nodes */
	unsigned nr_used;                 /* slots that are not 0 */
	struct page_table_node *next;     /* among nodes that are to be freed */
};

struct page_table {
	const struct memmap_allocator *allocator;
	unsigned nr_levels;
	uint64_t last; /* the last address there is */
	uint64_t nr_pages, nr_nodes;
	struct page_table_node *root;
};

int page_table_init(struct page_table *pt, const struct memmap_allocator *allocator,
		    unsigned address_bits);
void page_table_destroy(struct page_table *pt);

/* The entry for `addr`, any address. */
uint64_t page_table_lookup(const struct page_table *pt, uint64_t addr);

/* Make the nodes that entries in `ar` (within the table's addresses) need: 0, -ENOMEM. */
int page_table_reserve(struct page_table *pt, struct memmap_addr_range ar);

/*
 * Call `change` for each page of `ar` that is mapped, or with `all` for each page whose nodes are
 * there; what it returns becomes the entry.
 */
typedef uint64_t page_table_change(void *context, uint64_t addr, uint64_t entry);
void page_table_update(struct page_table *pt, struct memmap_addr_range ar, bool all,
		       page_table_change *change, void *context);

/* Unlink the nodes of `ar` that hold nothing; to be freed when nobody can be looking at them. */
struct page_table_node *page_table_unlink_empty(struct page_table *pt, struct memmap_addr_range ar);
void page_table_free(struct page_table *pt, struct page_table_node *nodes);

/* 0, or -EINVAL and a line on stderr. */
int page_table_verify(const struct page_table *pt);

#endif /* MEMMAP_SRC_PLATFORM_SOFT_PAGE_TABLE_H */
