/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saving and restoring an address space, as <memmap/state.h> does it for what lies below.
 *
 * What is saved is what was asked for: the VMAs, the layout, the limits, and what future calls
 * depend on. What private pages hold is not; nor are hooks, the context and the allocator, which
 * are the program's. Mappables and identities are written as ids, which the program gives and finds
 * again through its callbacks.
 */
#ifndef MEMMAP_MM_STATE_H
#define MEMMAP_MM_STATE_H

#include <memmap/api.h>
#include <memmap/mm.h>
#include <memmap/state.h>

MEMMAP_BEGIN_DECLS

/** What an address space is called in the bytes. */
MEMMAP_API const char *memmap_mm_state_type_name(void);

/** What its fields are called there; the list ends with NULL. */
MEMMAP_API const char *const *memmap_mm_state_fields(void);

/**
 * Append the address space to the sink.
 *
 * Locking:     takes the mapping lock for reading; id_of() is called under it
 * Returns:     0
 *              -EINVAL  memmap_mm_verify() would refuse it; or it maps something, and the sink was
 *                       given no references
 *              -ENOMEM, and what the program's id_of() returned
 * On failure:  the sink is as it was
 */
MEMMAP_API int memmap_mm_state_save(const struct memmap_mm *mm, struct memmap_state_sink *sink);

/**
 * Read the next object of the source into an address space without VMAs, as memmap_mm_create() made
 * it. Its layout and limits become those that were saved.
 *
 * Each Mappable is told of its mappings, as it was when they were made; one that has restored its
 * mapping set from the same state knows them already. Each VMA takes a reference to its identity.
 *
 * Locking:     takes the mapping lock for writing; object_of() and Mappables are called under it
 * Returns:     0
 *              -EEXIST      there are VMAs
 *              -EPROTOTYPE  the next object is of another type
 *              -EBADMSG     the bytes are not what saving writes, or end too early
 *              -EINVAL      there are ids, and the source was given no references
 *              -ENOMEM, what the program's object_of() returned, and what a Mappable refused with
 * On failure:  the address space and the source are as they were
 */
MEMMAP_API int memmap_mm_state_load(struct memmap_mm *mm, struct memmap_state_source *source);

MEMMAP_END_DECLS

#endif /* MEMMAP_MM_STATE_H */
