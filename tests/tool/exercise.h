/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What programs to be traced share.
 */
#ifndef MEMMAP_TESTS_EXERCISE_H
#define MEMMAP_TESTS_EXERCISE_H

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096ul
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW   (PROT_READ | PROT_WRITE)

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "exercise: %s:%d: %s: %s\n", __FILE__, __LINE__,           \
				#condition, strerror(errno));                                      \
			_exit(99);                                                                 \
		}                                                                                  \
	} while (0)

static inline char *map(void *addr, size_t length, int prot, int flags, int fd, off_t offset)
{
	char *p = mmap(addr, length, prot, flags, fd, offset);
	CHECK(p != MAP_FAILED);
	return p;
}

static inline int await(pid_t pid)
{
	int status;
	CHECK(waitpid(pid, &status, 0) == pid);
	return status;
}

#endif /* MEMMAP_TESTS_EXERCISE_H */
