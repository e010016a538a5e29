/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Running a piece of a test in a child process: what changes signal handlers, or dies.
 *
 * Include after the cmocka headers. In the child cmocka's assertions mean nothing: use
 * child_assert().
 */
#ifndef MEMMAP_TESTS_CHILD_H
#define MEMMAP_TESTS_CHILD_H

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <unistd.h>

/* Coverage counters of a child that does not exit() are lost without this. */
extern void __gcov_dump(void) __attribute__((weak));

/* End a child without running what the parent wanted at its exit. */
__attribute__((unused, noreturn)) static void child_exit(int status)
{
	(void)fflush(NULL);
	if (__gcov_dump)
		__gcov_dump();
	_exit(status);
}

__attribute__((unused)) static void child_dump_(int number)
{
	(void)number;
	__gcov_dump();
}

/* The same for a child that will abort(), which it does when the handler returns. */
__attribute__((unused)) static void child_may_abort(void)
{
	if (__gcov_dump)
		(void)signal(SIGABRT, child_dump_);
}

#define child_assert(condition)                                                                    \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			(void)fprintf(stderr, "%s:%d: in a child: not so: %s\n", __FILE__,         \
				      __LINE__, #condition);                                       \
			child_exit(1);                                                             \
		}                                                                                  \
	} while (0)

/* Where a child must not come. */
#define child_not_reached()                                                                        \
	do {                                                                                       \
		(void)fprintf(stderr, "%s:%d: in a child: reached\n", __FILE__, __LINE__);         \
		child_exit(1);                                                                     \
	} while (0)

/* Run `body` in a child, which exits with 0 when `body` returns. Returns its wait status. */
__attribute__((unused)) static int child_run(void (*body)(void))
{
	(void)fflush(NULL);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		child_may_abort();
		body();
		child_exit(0);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

/* `body` runs in a child, and all its child_assert()s hold. */
#define assert_child_succeeds(body) assert_int_equal(child_run(body), 0)

/* `body` ends its child by `signal`. */
#define assert_child_dies_of(signal, body)                                                         \
	do {                                                                                       \
		int status_ = child_run(body);                                                     \
		if (!WIFSIGNALED(status_) || WTERMSIG(status_) != (signal))                        \
			fail_msg("%s: expected death of %s; wait status 0x%x", #body, #signal,     \
				 (unsigned)status_);                                               \
	} while (0)

#endif /* MEMMAP_TESTS_CHILD_H */
