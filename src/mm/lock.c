/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Locks that know their order.
 *
 * A thread that asks for a lock while it holds one of the same or a later rank would sooner or later
 * wait for ever; in checked builds it panics the first time, whether or not anybody is in its way.
 */
#include "lock.h"

#include <memmap/error.h>

void mm_lock_init(struct mm_lock *lock)
{
	pthread_rwlockattr_t attributes;
	int err = pthread_rwlockattr_init(&attributes);
#ifdef __GLIBC__
	/* A storm of faults must not keep out those who would unmap. */
	if (!err)
		err = pthread_rwlockattr_setkind_np(&attributes,
						    PTHREAD_RWLOCK_PREFER_WRITER_NONRECURSIVE_NP);
#endif
	if (!err)
		err = pthread_rwlock_init(&lock->lock, &attributes);
	if (err)
		memmap_panic("memmap_mm: making a lock failed: %s", memmap_strerror(-err));
	(void)pthread_rwlockattr_destroy(&attributes);
}

void mm_lock_destroy(struct mm_lock *lock)
{
	(void)pthread_rwlock_destroy(&lock->lock);
}

#if MEMMAP_CHECK >= 2

#	define MOST_HELD 8

static _Thread_local struct {
	unsigned nr;
	enum mm_lock_rank ranks[MOST_HELD];
} held;

static const char *rank_name(enum mm_lock_rank rank)
{
	switch (rank) {
	case MM_LOCK_RANK_MAPPING:
		return "the mapping lock";
	case MM_LOCK_RANK_MAPPING_OF_CHILD:
		return "the mapping lock of a child";
	case MM_LOCK_RANK_ACTIVE:
		return "the active lock";
	default:
		return "the active lock of a child";
	}
}

static void note_taken(enum mm_lock_rank rank)
{
	for (unsigned i = 0; i < held.nr; i++) {
		if (held.ranks[i] >= rank)
			memmap_panic("memmap_mm: %s of an address space is taken while %s is held",
				     rank_name(rank), rank_name(held.ranks[i]));
	}
	if (held.nr == MOST_HELD)
		memmap_panic("memmap_mm: a thread holds too many locks");
	held.ranks[held.nr++] = rank;
}

static void note_released(enum mm_lock_rank rank)
{
	for (unsigned i = held.nr; i-- > 0;) {
		if (held.ranks[i] != rank)
			continue;
		for (held.nr--; i < held.nr; i++)
			held.ranks[i] = held.ranks[i + 1];
		return;
	}
	memmap_panic("memmap_mm: %s of an address space is released but not held", rank_name(rank));
}

#else

static void note_taken(enum mm_lock_rank rank)
{
	(void)rank;
}

static void note_released(enum mm_lock_rank rank)
{
	(void)rank;
}

#endif

/* Whoever may only look at an address space may still lock it. */
static pthread_rwlock_t *lock_of(const struct mm_lock *lock)
{
	return (pthread_rwlock_t *)&lock->lock;
}

static void check(int err)
{
	if (MEMMAP_UNLIKELY(err))
		memmap_panic("memmap_mm: taking a lock failed: %s", memmap_strerror(-err));
}

void mm_lock_read(const struct mm_lock *lock, enum mm_lock_rank rank)
{
	note_taken(rank);
	check(pthread_rwlock_rdlock(lock_of(lock)));
}

void mm_lock_write(const struct mm_lock *lock, enum mm_lock_rank rank)
{
	note_taken(rank);
	check(pthread_rwlock_wrlock(lock_of(lock)));
}

void mm_lock_unlock(const struct mm_lock *lock, enum mm_lock_rank rank)
{
	check(pthread_rwlock_unlock(lock_of(lock)));
	note_released(rank);
}
