/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a region looks like and what it is called: the colours of its kind, the shade of what may be
 * done with it, its name in the picture.
 */
#include <string.h>

#include <memmap/mm.h>

#include "plot/plot_internal.h"

/* Hues by Okabe and Ito where they are, so that they differ for the colour-blind too; executable is
   dark, writable is full, readable is pale. */
const struct plot_kind plot_kinds[HISTORY_NR_KINDS] = {
	[HISTORY_PROGRAM] = {"p", "program", "#a63c00", "#e8702a", "#f8cdb0"},
	[HISTORY_LIBRARY] = {"l", "library", "#00548a", "#3f97d3", "#b9daf0"},
	[HISTORY_HEAP] = {"h", "heap", "#00573f", "#10a478", "#a9dfcd"},
	[HISTORY_STACK] = {"s", "stack", "#7d2a5e", "#cc6ba3", "#efcbe0"},
	[HISTORY_ANONYMOUS] = {"a", "anonymous", "#8f6a00", "#efb92c", "#fae7ae"},
	[HISTORY_FILE] = {"f", "file", "#5f5a54", "#99928a", "#d6d1ca"},
	[HISTORY_SHARED] = {"m", "shared", "#443089", "#8672cc", "#d3caf0"},
	[HISTORY_SPECIAL] = {"k", "kernel", "#111111", "#444444", "#777777"},
};

char plot_shade(uint64_t flags)
{
	if (flags & MEMMAP_VM_EXEC)
		return 'x';
	if (flags & MEMMAP_VM_WRITE)
		return 'w';
	return flags & MEMMAP_VM_READ ? 'r' : 'n';
}

const char *plot_region_label(const struct history *h, const struct history_region *region)
{
	const char *name = history_name(h, region->name);
	if (region->joined > 0)
		return "short-lived mappings";
	if (region->kind == HISTORY_HEAP)
		return "[heap]";
	if (region->kind == HISTORY_STACK)
		return "[stack]";
	if (*name == '\0' && plot_shade(region->flags) == 'n')
		return "reserved";
	if (*name == '\0')
		return plot_shade(region->flags) == 'x' ? "anonymous code" : "anonymous";
	if (strcmp(name, "/dev/zero (deleted)") == 0)
		return "shared anonymous";
	return plot_text_basename(name);
}
