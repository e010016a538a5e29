/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a process ended, in words.
 */
#ifndef MEMMAP_TOOL_WAIT_STATUS_H
#define MEMMAP_TOOL_WAIT_STATUS_H

#include <stddef.h>

/**
 * "exited with 3", "killed by SIGKILL", "killed by SIGRTMIN+6", "killed by signal 32": `status` is as
 * waitpid(2) gives it. Returns `buf`.
 */
char *wait_status_text(int status, char *buf, size_t size);

#endif /* MEMMAP_TOOL_WAIT_STATUS_H */
