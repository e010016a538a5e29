/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part that every Mappable of this floor has: who maps it, behind a lock of its own.
 *
 * Two locks keep a Mappable out of the way of those who map it. This one is held while mappings come
 * and go and while they are invalidated, so it comes before every lock that invalidate() takes; a
 * Mappable's other locks (over what its pages are) are taken by translate(), which may be called with
 * those held, so they are never held while invalidating. Whoever takes pages away therefore
 *   1. takes this lock,
 *   2. makes translate() not give the pages any more,
 *   3. invalidates,
 *   4. lets the pages go.
 */
#ifndef MEMMAP_SRC_FILE_MAPPED_H
#define MEMMAP_SRC_FILE_MAPPED_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <memmap/mapping_set.h>

/* The first member of a Mappable. */
struct memmap_mapped {
	struct memmap_mappable mappable;
	pthread_mutex_t lock;
	struct memmap_mapping_set mappings;
};

void memmap_mapped_init(struct memmap_mapped *mapped, const struct memmap_mappable_ops *ops,
			const struct memmap_allocator *allocator);

void memmap_mapped_destroy(struct memmap_mapped *mapped);

/* The last reference goes: panics when it is still mapped. `what` names it. */
void memmap_mapped_check_unmapped(const struct memmap_mapped *mapped, const char *what);

/* With the lock held. */
void memmap_mapped_invalidate(struct memmap_mapped *mapped, struct memmap_mappable_range mr,
			      bool invalidate_private);

/* ---- For the table of functions ---- */

int memmap_mapped_add(struct memmap_mappable *m, struct memmap_context *ctx,
		      struct memmap_mapping_space *ms, struct memmap_addr_range ar, uint64_t offset,
		      bool writable);

int memmap_mapped_remove(struct memmap_mappable *m, struct memmap_context *ctx,
			 struct memmap_mapping_space *ms, struct memmap_addr_range ar,
			 uint64_t offset, bool writable);

/* Adds the copy, by the Mappable's own add_mapping(). */
int memmap_mapped_copy(struct memmap_mappable *m, struct memmap_context *ctx,
		       struct memmap_mapping_space *ms, struct memmap_addr_range src_ar,
		       struct memmap_addr_range dst_ar, uint64_t offset, bool writable);

/* There are no translations that would not survive. */
int memmap_mapped_all_savable(struct memmap_mappable *m, struct memmap_context *ctx);

#endif /* MEMMAP_SRC_FILE_MAPPED_H */
