/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words of the picture: names made safe to show, their width before any font is known, and numbers
 * as people read them.
 */
#ifndef MEMMAP_TOOL_PLOT_TEXT_H
#define MEMMAP_TOOL_PLOT_TEXT_H

#include <stddef.h>
#include <stdint.h>

/* Room for any short text of the picture. */
#define PLOT_TEXT_SIZE 512

/**
 * The next character of `text`, as it may be shown: bytes that are not UTF-8, control characters,
 * characters that XML forbids and those that reorder text become U+FFFD.
 *
 * Returns:     where the one after it starts; `text` itself at the end
 */
const char *plot_text_next(const char *text, uint32_t *character);

/** At least as wide as `text` is in any usual sans-serif font of `font_size`; in the same unit. */
double plot_text_width(const char *text, double font_size);

/** Copy `text`, made safe to show, and cut with an ellipsis when it is wider than `width`. */
void plot_text_fit(const char *text, double font_size, double width, char *buf, size_t size);

/** What stands behind the last slash of a path. */
const char *plot_text_basename(const char *path);

/** A command without the directory of its program: "cc1 -quiet" of "/usr/lib/gcc/cc1 -quiet". */
const char *plot_text_command(const char *command);

/** "4 KiB", "1.5 MiB", "47 TiB" */
char *plot_text_bytes(uint64_t bytes, char *buf, size_t size);

/** "0", "250 ns", "1.25 ms", "3.2 s", "2 min 5 s"; three digits that count */
char *plot_text_duration(uint64_t ns, char *buf, size_t size);

/** A round time with all its digits: "0", "250 ms", "10.0025 s" */
char *plot_text_time(uint64_t ns, char *buf, size_t size);

/** "12,345" */
char *plot_text_count(uint64_t count, char *buf, size_t size);

/** "1 call", "12,345 calls": `noun` takes an s unless `count` is 1. */
char *plot_text_counted(uint64_t count, const char *noun, char *buf, size_t size);

#endif /* MEMMAP_TOOL_PLOT_TEXT_H */
