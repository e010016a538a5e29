/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A capture: the text of /proc/PID/maps or /proc/PID/smaps, read from a process or from a file that
 * somebody saved, as a list of VMAs.
 *
 * Locking: none
 */
#ifndef MEMMAP_TOOL_CAPTURE_H
#define MEMMAP_TOOL_CAPTURE_H

#include <stdbool.h>
#include <stdint.h>

#include <memmap/range.h>

#include "common/array.h"
#include "history/history.h"

/* What smaps counts, in bytes; the order in which it is shown. */
enum capture_count {
	CAPTURE_RSS,
	CAPTURE_PSS,
	CAPTURE_SHARED_CLEAN,
	CAPTURE_SHARED_DIRTY,
	CAPTURE_PRIVATE_CLEAN,
	CAPTURE_PRIVATE_DIRTY,
	CAPTURE_REFERENCED,
	CAPTURE_ANONYMOUS,
	CAPTURE_HUGE,
	CAPTURE_SWAP,
	CAPTURE_LOCKED,
	CAPTURE_NR_COUNTS,
};

/** "rss", "private_dirty", ...: a constant. */
const char *capture_count_name(enum capture_count count);

struct capture_vma {
	struct memmap_addr_range range;
	char perms[5]; /* "rw-p" */
	uint64_t offset, inode;
	uint32_t major, minor;
	const char *name; /* "" when it has none */
	enum history_kind kind;
	uint64_t counts[CAPTURE_NR_COUNTS]; /* 0 without smaps */
};

struct capture {
	const char *source;             /* as the command line named it */
	bool has_counts;                /* it is of smaps */
	ARRAY(struct capture_vma) vmas; /* in address order, disjoint */
	char *text;                     /* what the names point into */
	size_t text_size;
	char program[4096]; /* what is executed, as maps shows it; "" when it is not known */
};

/**
 * Read a capture: `source` is a process's number, the name of a file, or "-" for standard input. A
 * file of that name goes before a process of that number.
 *
 * Says what is wrong with error_line(), and where: in which line.
 *
 * Returns:     true; false, and there is nothing to release
 */
bool capture_read(struct capture *capture, const char *source);

/** As capture_read(), of a text that is handed over (allocated by malloc()). */
bool capture_parse(struct capture *capture, const char *source, char *text, size_t length);

void capture_release(struct capture *capture);

#endif /* MEMMAP_TOOL_CAPTURE_H */
