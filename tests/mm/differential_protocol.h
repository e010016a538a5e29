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
#define EXECUTOR_COMMAND_FD(p) (200 + 2 * (p))
#define EXECUTOR_REPLY_FD(p)   (201 + 2 * (p))

/* Numbers of x86-64, so that the executor needs no libc header. */
#define EXECUTOR_SYS_READ       0
#define EXECUTOR_SYS_WRITE      1
#define EXECUTOR_SYS_CLONE      56
#define EXECUTOR_SYS_EXIT_GROUP 231
#define EXECUTOR_SIGCHLD        17

/* Not a system call: fork, and let the child be process args[0]. Both sides reply. */
#define EXECUTOR_FORK UINT64_MAX

struct executor_command {
	uint64_t number;
	uint64_t args[6];
};

#endif /* DIFFERENTIAL_PROTOCOL_H */
