/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system calls that are traced: their names, and how they read.
 */
#ifndef MEMMAP_TOOL_CALLS_H
#define MEMMAP_TOOL_CALLS_H

#include <stddef.h>
#include <stdint.h>

#include <platform/ptrace/tracer.h>

/* Every call that the filter stops, in the order in which reports show them. */
enum call_id {
	CALL_MMAP,
	CALL_MUNMAP,
	CALL_MPROTECT,
	CALL_PKEY_MPROTECT,
	CALL_MREMAP,
	CALL_BRK,
	CALL_MADVISE,
	CALL_PROCESS_MADVISE,
	CALL_MSYNC,
	CALL_MLOCK,
	CALL_MLOCK2,
	CALL_MUNLOCK,
	CALL_MLOCKALL,
	CALL_MUNLOCKALL,
	CALL_MSEAL,
	CALL_REMAP_FILE_PAGES,
	CALL_SHMAT,
	CALL_SHMDT,
	CALL_PRCTL,
	CALL_SETRLIMIT,
	CALL_PRLIMIT64,
	CALL_PERSONALITY,
	CALL_IO_SETUP,
	CALL_IO_DESTROY,
	CALL_MBIND,
	CALL_IOCTL,
	CALL_PTRACE,
	CALL_SECCOMP,
	CALL_OTHER,
	NR_CALLS,
};

/** Which call has this number; CALL_OTHER for one that should not have stopped. */
enum call_id call_by_number(uint64_t number);

/** The call's name, a constant. */
const char *call_name(enum call_id call);

/**
 * Write a call with its arguments in words, as a C programmer would:
 * "mmap(NULL, 0x2000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)". A number of
 * UINT64_MAX reads "no call yet": an exec or a fork has just made the space. Cut to fit, always
 * terminated. Returns `buf`.
 */
char *call_format(const struct memmap_traced_call *call, char *buf, size_t size);

/** Write a result: "0", "0x7f0000000000", "-ENOMEM". Returns `buf`. */
char *call_format_result(enum call_id call, int64_t result, char *buf, size_t size);

#endif /* MEMMAP_TOOL_CALLS_H */
