/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a mapping is, told from what its line in maps shows.
 *
 * Pure functions. Locking: none
 */
#ifndef MEMMAP_TOOL_VMA_KIND_H
#define MEMMAP_TOOL_VMA_KIND_H

#include <stdbool.h>
#include <stdint.h>

#include "history/history.h"

/** The letters of a kind's permissions are those of maps: "rw-p". */
enum history_kind vma_kind_of_line(const char perms[4], uint64_t inode, const char *name,
				   const char *program);

/** Is it the name of a shared library: does ".so" stand at its end, or before a version? */
bool vma_is_library_name(const char *name);

/** "program", "library", "heap", ...: a constant. */
const char *vma_kind_name(enum history_kind kind);

#endif /* MEMMAP_TOOL_VMA_KIND_H */
