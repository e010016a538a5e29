/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What may be done when a stream is a terminal: colours, and a line that tells how far the work is.
 *
 * Locking: none
 */
#ifndef MEMMAP_TOOL_TERMINAL_H
#define MEMMAP_TOOL_TERMINAL_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

/** May `stream` be given colours? A terminal that is not dumb, and NO_COLOR is unset or empty. */
bool terminal_has_colours(FILE *stream);

/** The columns of the terminal behind `stream`; 80 where it is none. */
unsigned int terminal_width(FILE *stream);

/* What is written before and after something in colour; all "" where there are none. */
struct terminal_colours {
	const char *bold, *dim, *red, *green, *yellow, *cyan, *off;
};
struct terminal_colours terminal_colours(FILE *stream);

/** Write `text`, with a '?' for each character that could move the cursor of a terminal. */
void terminal_put_text(FILE *out, const char *text);

/*
 * A status line on standard error while long work goes on. It appears only on a terminal, not
 * before the work has lasted a while, and is gone when progress_end() returns. {0} shows nothing.
 */
struct progress {
	bool on, shown;
	uint64_t next; /* when it is drawn again: CLOCK_MONOTONIC, ns */
};

/** Begin; `quiet`: show nothing. */
void progress_begin(struct progress *progress, bool quiet);

/** Is it time to draw it again? Cheap; ask before working out what to show. */
bool progress_due(struct progress *progress);

/** Draw it, cut to the terminal's width. */
void progress_show(struct progress *progress, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/** Erase it; it may be drawn again. */
void progress_erase(struct progress *progress);

/** Erase it for good. */
void progress_end(struct progress *progress);

#endif /* MEMMAP_TOOL_TERMINAL_H */
