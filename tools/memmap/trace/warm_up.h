/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Be ready when the program makes its first call.
 */
#ifndef MEMMAP_TOOL_TRACE_WARM_UP_H
#define MEMMAP_TOOL_TRACE_WARM_UP_H

/**
 * Have the pages that tracing is going to touch mapped at once, instead of one by one while the
 * program waits. Of no other effect; that it cannot be done is no error.
 */
void warm_up(void);

#endif /* MEMMAP_TOOL_TRACE_WARM_UP_H */
