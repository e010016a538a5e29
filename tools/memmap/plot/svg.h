/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing SVG: text with numbers and names put in safely.
 */
#ifndef MEMMAP_TOOL_SVG_H
#define MEMMAP_TOOL_SVG_H

#include <stdio.h>

struct svg {
	FILE *out;
	int error; /* the first negative errno; nothing is written after it */
};

/**
 * Write `format`, in which stand for the next argument
 *
 *   %n  a double: a coordinate, with at most two decimals
 *   %d  an int
 *   %s  a string that is SVG itself
 *   %t  a string that is text: made safe to show (plot_text.h) and escaped
 *   %%  a percent sign
 */
void svg_put(struct svg *svg, const char *format, ...);

#endif /* MEMMAP_TOOL_SVG_H */
