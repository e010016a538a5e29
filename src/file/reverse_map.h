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
#ifndef MEMMAP_SRC_FILE_REVERSE_MAP_H
#define MEMMAP_SRC_FILE_REVERSE_MAP_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include <memmap/mapping_set.h>

struct memmap_reverse_map {
	pthread_mutex_t lock;
	struct memmap_mapping_set set;
};

static inline void memmap_reverse_map_init(struct memmap_reverse_map *map,
					   const struct memmap_allocator *allocator)
{
	pthread_mutex_init(&map->lock, NULL);
	memmap_mapping_set_init(&map->set, allocator);
}

static inline void memmap_reverse_map_destroy(struct memmap_reverse_map *map)
{
	memmap_mapping_set_destroy(&map->set);
	pthread_mutex_destroy(&map->lock);
}

static inline int memmap_reverse_map_add(struct memmap_reverse_map *map,
					 struct memmap_mapping_space *ms,
					 struct memmap_addr_range ar, uint64_t offset,
					 bool writable)
{
	pthread_mutex_lock(&map->lock);
	int err = memmap_mapping_set_add_mapping(&map->set, ms, ar, offset, writable, NULL);
	pthread_mutex_unlock(&map->lock);
	return err;
}

static inline int memmap_reverse_map_remove(struct memmap_reverse_map *map,
					    struct memmap_mapping_space *ms,
					    struct memmap_addr_range ar, uint64_t offset,
					    bool writable)
{
	pthread_mutex_lock(&map->lock);
	int err = memmap_mapping_set_remove_mapping(&map->set, ms, ar, offset, writable, NULL);
	pthread_mutex_unlock(&map->lock);
	return err;
}

/* With the lock held. */
static inline void memmap_reverse_map_invalidate(struct memmap_reverse_map *map,
						 struct memmap_mappable_range mr,
						 bool invalidate_private)
{
	memmap_mapping_set_invalidate(
		&map->set, mr,
		(struct memmap_invalidate_opts){.invalidate_private = invalidate_private});
}

#endif /* MEMMAP_SRC_FILE_REVERSE_MAP_H */
