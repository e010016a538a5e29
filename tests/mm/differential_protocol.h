/* SPDX-License-Identifier: Apache-2.0 */
/* What the differential fuzzer and its executor say to each other; no libc here, see the latter. */
#ifndef DIFFERENTIAL_PROTOCOL_H
#define DIFFERENTIAL_PROTOCOL_H

#include <stdint.h>

#define EXECUTOR_MAX_PROCESSES 8

/* Descriptors of the executor, put there before it is executed. */
#define EXECUTOR_FILE_FD(i)    (100 + (i)) /* the files to map */
#define EXECUTOR_ZERO_FD       90          /* /dev/zero: reading from it writes memory */
#define EXECUTOR_SCRATCH_FD    91          /* writing to it reads memory */
#define EXECUTOR_PATTERN_FD    92          /* reading from it writes bytes that vary */
#define EXECUTOR_COMMAND_FD(p) (200 + 2 * (p))
#define EXECUTOR_REPLY_FD(p)   (201 + 2 * (p))

/* Numbers of x86-64, so that the executor needs no libc header. */
#define EXECUTOR_SYS_READ         0
#define EXECUTOR_SYS_WRITE        1
#define EXECUTOR_SYS_RT_SIGACTION 13
#define EXECUTOR_SYS_MINCORE      27
#define EXECUTOR_SYS_CLONE        56
#define EXECUTOR_SYS_EXIT_GROUP   231
#define EXECUTOR_SIGCHLD          17

/* Commands that are no system calls. */
#define EXECUTOR_FORK    UINT64_MAX       /* let the child be process args[0]; both reply */
#define EXECUTOR_PEEK    (UINT64_MAX - 1) /* load args[1] bytes at args[0] */
#define EXECUTOR_POKE    (UINT64_MAX - 2) /* store args[2], args[1] bytes, at args[0] */
#define EXECUTOR_ADD     (UINT64_MAX - 3) /* add args[2] atomically; the result is the old value */
#define EXECUTOR_SUM     (UINT64_MAX - 4) /* checksum args[1] bytes at args[0] */
#define EXECUTOR_MINCORE (UINT64_MAX - 5) /* of args[1] bytes at args[0] */
#define EXECUTOR_PROCESS_VM                                                                        \
	(UINT64_MAX - 6)              /* call args[0] of process_vm_* with process args[1]:
                                                 local address, remote address, bytes */
#define EXECUTOR_RUN (UINT64_MAX - 7) /* call the function at args[0]: a "ret" */
#define EXECUTOR_RET 0xc3

struct executor_command {
	uint64_t number;
	uint64_t args[6];
};

/* `detail`: where a touch faulted, or what there is to see beside the result. */
struct executor_reply {
	int64_t result;
	uint64_t detail;
};

/* Results of a touch that faulted, in the manner of errors. */
#define EXECUTOR_SEGV_MAPERR 10001
#define EXECUTOR_SEGV_ACCERR 10002
#define EXECUTOR_BUS_ADRERR  10003
#define EXECUTOR_SEGV_KERNEL 10004 /* the address was not canonical */
#define EXECUTOR_ILL         10005 /* what was to be run is not a "ret" */
#define EXECUTOR_SIGNAL      10006 /* another one */

/*
 * Checksums: of a range, each page in turn, where what cannot be touched counts as well. Positive,
 * to be a result.
 */
#define EXECUTOR_SUM_START UINT64_C(0x9e3779b97f4a7c15)

static inline uint64_t executor_sum_word(uint64_t sum, uint64_t word)
{
	sum = (sum ^ word) * UINT64_C(0xff51afd7ed558ccd);
	return sum ^ (sum >> 29);
}

static inline int64_t executor_sum_result(uint64_t sum)
{
	return (int64_t)(sum >> 2);
}

/* What mincore tells: a bit for each page where there is room, else a checksum. */
#define EXECUTOR_MINCORE_PAGES 512
#define EXECUTOR_MINCORE_BITS  62

static inline int64_t executor_mincore_result(const unsigned char *vec, uint64_t pages)
{
	uint64_t sum = EXECUTOR_SUM_START, bits = 0;

	for (uint64_t i = 0; i < pages; i++) {
		sum = executor_sum_word(sum, vec[i] & 1);
		if (i < EXECUTOR_MINCORE_BITS)
			bits |= (uint64_t)(vec[i] & 1) << i;
	}
	return pages <= EXECUTOR_MINCORE_BITS ? (int64_t)bits : executor_sum_result(sum);
}

#endif /* DIFFERENTIAL_PROTOCOL_H */
