/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of /proc/PID/maps and of the VmFlags of /proc/PID/smaps, taken apart.
 *
 * Locking: none; pure functions over their arguments
 */
#ifndef MEMMAP_PLATFORM_PTRACE_MAPS_TEXT_H
#define MEMMAP_PLATFORM_PTRACE_MAPS_TEXT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <memmap/range.h>

/* One line of maps. `name` points into the text and is not terminated. */
struct memmap_maps_line {
	struct memmap_addr_range range;
	uint64_t offset;
	uint64_t inode;
	uint32_t major, minor;
	char perms[4]; /* "rw-p" */
	const char *name;
	size_t name_length;
	const char *text; /* the whole line, without its newline */
	size_t text_length;
};

/**
 * Take the first line off `*text`.
 *
 * Returns:     true; false at the end of the text, or where a line is not one of maps (`*text` then
 *              stays before it, not at `end`)
 */
bool memmap_maps_text_next(const char **text, const char *end, struct memmap_maps_line *out);

/* Do these show a file? The first segment of SysV shared memory has the inode 0, but a device. */
static inline bool memmap_maps_shows_file(uint64_t inode, uint32_t major, uint32_t minor)
{
	return (inode | major | minor) != 0;
}

static inline bool memmap_maps_line_is_file(const struct memmap_maps_line *line)
{
	return memmap_maps_shows_file(line->inode, line->major, line->minor);
}

/* Do two lines show the same, but for where they begin and end? Their offsets must continue. */
bool memmap_maps_line_continues(const struct memmap_maps_line *first,
				const struct memmap_maps_line *second);

/**
 * The next VMA of smaps: its range and its VmFlags as MEMMAP_VM_* bits.
 *
 * Letters that stand for no bit of ours are left out.
 *
 * Returns:     true; false at the end of the text
 */
bool memmap_smaps_text_next(const char **text, const char *end, struct memmap_addr_range *range,
			    uint64_t *flags);

#endif /* MEMMAP_PLATFORM_PTRACE_MAPS_TEXT_H */
