/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The soft platform, as its files share it.
 *
 * Locks: `lock` over what is mapped, then `vcpu_lock` over the list of vCPUs and what they are asked.
 * A vCPU in a section takes neither but in memmap_soft_serve_slow(), where it counts as outside.
 */
#ifndef MEMMAP_SRC_PLATFORM_SOFT_INTERNAL_H
#define MEMMAP_SRC_PLATFORM_SOFT_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "platform/soft/page_table.h"
#include "platform/soft/window.h"
#include <memmap/platform_soft.h>

struct memmap_soft {
	struct memmap_address_space address_space; /* first: found again from its address */
	const struct memmap_allocator *allocator;
	struct memmap_faults faults;
	bool fences; /* see struct memmap_soft_vcpu */

	pthread_mutex_t lock;
	struct page_table table;
	struct windows windows;

	pthread_mutex_t vcpu_lock;
	pthread_cond_t vcpu_moved; /* one has left its section, or done what it was asked */
	struct memmap_soft_vcpu *vcpus;
	uint64_t ticket; /* of the last request */
};

/*
 * No vCPU knows what the page table used to say of `ar`, nor is about to look at nodes that are no
 * longer linked. The caller has changed the page table, and holds `lock`.
 */
void soft_shoot_down(struct memmap_soft *soft, struct memmap_addr_range ar);

#endif /* MEMMAP_SRC_PLATFORM_SOFT_INTERNAL_H */
