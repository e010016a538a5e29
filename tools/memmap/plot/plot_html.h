/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The picture of a history as a page that stands alone, with zoom and hover.
 *
 * The page of plot_page.html is filled with all regions of the address spaces that tell most, and
 * with the axes that the SVG has; it draws them itself.
 */
#ifndef MEMMAP_TOOL_PLOT_HTML_H
#define MEMMAP_TOOL_PLOT_HTML_H

#include <stdbool.h>
#include <stdio.h>

#include "plot/plot.h"

/** Write the page onto `out`, and flush it; as plot_write(). */
int plot_write_html(const struct history *h, FILE *out, const struct plot_options *options);

/** Is a picture under this name wanted as a page: does it end in .html or .htm? */
bool plot_is_html(const char *path);

/** Write the picture as the name of its file asks for. */
int plot_write_as(const char *path, const struct history *h, FILE *out,
		  const struct plot_options *options);

#endif /* MEMMAP_TOOL_PLOT_HTML_H */
