/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parts of the summary, each a few lines on stderr: see summary.c.
 */
#ifndef MEMMAP_TOOL_SUMMARY_H
#define MEMMAP_TOOL_SUMMARY_H

#include "trace/trace.h"

/** How long calls took, by kind. */
void summary_print_times(const struct trace *trace);

/** What was mapped by whom at the peak and at the end, the VMAs over time, fragmentation. */
void summary_print_memory(const struct trace *trace);

/** What was mapped and never unmapped. */
void summary_print_left(const struct trace *trace);

/** The call sites, with --stacks. */
void summary_print_sites(const struct trace *trace);

#endif /* MEMMAP_TOOL_SUMMARY_H */
