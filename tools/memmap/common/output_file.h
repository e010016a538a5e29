/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A file that is written whole or not at all.
 *
 * It is opened beside its final name before the work begins, so that a place that cannot be written
 * is known in time, and renamed into place when it is complete. A name that is not that of a
 * regular file (/dev/stdout, a pipe) is written to directly. What replaces a file has its
 * permissions.
 */
#ifndef MEMMAP_TOOL_OUTPUT_FILE_H
#define MEMMAP_TOOL_OUTPUT_FILE_H

#include <stdbool.h>
#include <stdio.h>

struct output_file {
	FILE *stream; /* NULL: not open */
	const char *path;
	char *target;    /* what the path's links lead to, when it will be replaced */
	char *temporary; /* NULL: none, or written to directly */
	bool unnamed;    /* it has no name until it is complete */
};

/** Open; 0 or a negative errno. `path` must outlive the file. */
int output_file_open(struct output_file *file, const char *path);

/** Complete it: 0 or a negative errno, and then nothing stands under its name that was not before.
 */
int output_file_commit(struct output_file *file);

/** Forget it, if it is open. */
void output_file_abandon(struct output_file *file);

#endif /* MEMMAP_TOOL_OUTPUT_FILE_H */
