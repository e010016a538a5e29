/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The locks of an address space, and the order in which they are taken.
 *
 *   mapping lock    the VMAs, the layout, the limits; held while Mappables are called
 *     locks of Mappables
 *       active lock    what is mapped now (PMAs); invalidate() takes it alone
 *         locks of Files, of the platform
 *
 * Both are held for reading by many or for writing by one; writers go first, so nobody may take one
 * of them twice. Two spaces: only fork() holds locks of two, those of the parent before those of the
 * child, which nobody else can hold yet but for its active lock (invalidate()).
 *
 * Where MEMMAP_CHECK is 2 or more, each thread remembers what it holds, and taking a lock out of
 * order panics with words.
 *
 * In a function, as its first statement or at the beginning of a block:
 *
 *	MM_LOCK_WRITE(mm);
 *
 * holds the mapping lock to the end of the block; the other three likewise.
 */
#ifndef MEMMAP_SRC_MM_LOCK_H
#define MEMMAP_SRC_MM_LOCK_H

#include <pthread.h>
#include <stdint.h>

struct memmap_mm;

/* What a lock is, in the order of taking. */
enum mm_lock_rank {
	MM_LOCK_RANK_MAPPING = 1,
	MM_LOCK_RANK_MAPPING_OF_CHILD,
	MM_LOCK_RANK_ACTIVE,
	MM_LOCK_RANK_ACTIVE_OF_CHILD,
};

struct mm_lock {
	pthread_rwlock_t lock;
};

void mm_lock_init(struct mm_lock *lock);
void mm_lock_destroy(struct mm_lock *lock);
void mm_lock_read(const struct mm_lock *lock, enum mm_lock_rank rank);
void mm_lock_write(const struct mm_lock *lock, enum mm_lock_rank rank);
void mm_lock_unlock(const struct mm_lock *lock, enum mm_lock_rank rank);

/* A lock that is held until the end of a block. */
struct mm_held_lock {
	const struct mm_lock *lock;
	enum mm_lock_rank rank;
};

static inline struct mm_held_lock mm_hold_read(const struct mm_lock *lock, enum mm_lock_rank rank)
{
	mm_lock_read(lock, rank);
	return (struct mm_held_lock){lock, rank};
}

static inline struct mm_held_lock mm_hold_write(const struct mm_lock *lock, enum mm_lock_rank rank)
{
	mm_lock_write(lock, rank);
	return (struct mm_held_lock){lock, rank};
}

static inline void mm_held_unlock(struct mm_held_lock *held)
{
	mm_lock_unlock(held->lock, held->rank);
}

/* The mapping lock for writing; at the end what mm_reserve() promised is owed no more. */
struct memmap_mm *mm_begin_write(struct memmap_mm *mm);
void mm_end_write(struct memmap_mm *mm);

static inline void mm_unlock_write(struct memmap_mm **mm)
{
	mm_end_write(*mm);
}

#define MM_HOLD(name, how, lock, rank)                                                             \
	__attribute__((cleanup(mm_held_unlock), unused)) struct mm_held_lock name =                \
		mm_hold_##how(lock, rank)

#define MM_LOCK_READ(mm) MM_HOLD(mapping_lock_, read, &(mm)->mapping_lock, MM_LOCK_RANK_MAPPING)
#define MM_LOCK_WRITE(mm)                                                                          \
	__attribute__((cleanup(mm_unlock_write), unused)) struct memmap_mm *mapping_lock_ =        \
		mm_begin_write(mm)
#define MM_LOCK_ACTIVE_READ(mm) MM_HOLD(active_lock_, read, &(mm)->active_lock, MM_LOCK_RANK_ACTIVE)
#define MM_LOCK_ACTIVE(mm)      MM_HOLD(active_lock_, write, &(mm)->active_lock, MM_LOCK_RANK_ACTIVE)

#endif /* MEMMAP_SRC_MM_LOCK_H */
