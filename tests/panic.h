/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Proving that something panics, with its words: it runs in a child process, so that what it leaves
 * half done disturbs nobody.
 *
 *   assert_panics("not a negative errno", memmap_bus_error(5));
 *
 * Include after the cmocka headers.
 */
#ifndef MEMMAP_TESTS_PANIC_H
#define MEMMAP_TESTS_PANIC_H

#include <stdio.h>
#include <string.h>

#include "child.h"
#include <memmap/error.h>

/* How a child says that it panicked. */
#define PANIC_STATUS 66

static int panic_pipe_;

__attribute__((unused)) static void panic_to_pipe_(const char *message)
{
	size_t len = strlen(message);
	if (write(panic_pipe_, message, len) != (ssize_t)len)
		_exit(1);
	child_exit(PANIC_STATUS);
}

/* In the parent: what the child said, which must contain `words`. */
__attribute__((unused)) static void panic_check_(pid_t child, int from_child, const char *words,
						 const char *file, int line)
{
	char said[1100];
	size_t len = 0;
	ssize_t n;
	while ((n = read(from_child, said + len, sizeof(said) - 1 - len)) > 0)
		len += (size_t)n;
	said[len] = '\0';
	close(from_child);
	int status;
	if (waitpid(child, &status, 0) != child)
		fail_msg("%s:%d: waitpid failed", file, line);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != PANIC_STATUS)
		fail_msg("%s:%d: expected a panic with '%s'; wait status 0x%x, it said '%s'", file,
			 line, words, (unsigned)status, said);
	if (!strstr(said, words))
		fail_msg("%s:%d: expected a panic with '%s'; it said '%s'", file, line, words,
			 said);
}

#define assert_panics(words, ...)                                                                  \
	do {                                                                                       \
		int pipe_[2];                                                                      \
		assert_int_equal(pipe(pipe_), 0);                                                  \
		(void)fflush(NULL);                                                                \
		pid_t child_ = fork();                                                             \
		assert_true(child_ >= 0);                                                          \
		if (child_ == 0) {                                                                 \
			close(pipe_[0]);                                                           \
			panic_pipe_ = pipe_[1];                                                    \
			memmap_set_panic_handler(panic_to_pipe_);                                  \
			__VA_ARGS__;                                                               \
			_exit(0);                                                                  \
		}                                                                                  \
		close(pipe_[1]);                                                                   \
		panic_check_(child_, pipe_[0], words, __FILE__, __LINE__);                         \
	} while (0)

#endif /* MEMMAP_TESTS_PANIC_H */
