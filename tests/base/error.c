/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bus errors, error texts, panics and assertions.
 */
#include <errno.h>
#include <limits.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "panic.h"

static void test_bus_error_round_trip(void **state)
{
	(void)state;
	for (int e = 1; e <= 4095; e++) {
		int bus = memmap_bus_error(-e);
		assert_true(bus < -4095);
		assert_true(memmap_is_bus_error(bus));
		assert_false(memmap_is_bus_error(-e));
		assert_int_equal(memmap_bus_error_unwrap(bus), -e);
		assert_int_equal(memmap_bus_error_unwrap(-e), -e);
		assert_int_equal(memmap_bus_error(bus), bus);
	}
}

static void test_any_int_may_be_asked_about(void **state)
{
	(void)state;
	static const int not_bus_errors[] = {
		0, 1, INT_MAX, INT_MIN, INT_MIN + 1, -1, -4095, -4096, -0x10000, -0x10000 - 4096,
	};
	for (size_t i = 0; i < sizeof(not_bus_errors) / sizeof(not_bus_errors[0]); i++) {
		assert_false(memmap_is_bus_error(not_bus_errors[i]));
		assert_int_equal(memmap_bus_error_unwrap(not_bus_errors[i]), not_bus_errors[i]);
	}
}

static void test_bus_error_of_what_is_no_error(void **state)
{
	(void)state;
	static const int no_errors[] = {0, 1, INT_MAX, INT_MIN, -4096};
	for (size_t i = 0; i < sizeof(no_errors) / sizeof(no_errors[0]); i++)
		assert_panics("not a negative errno", memmap_bus_error(no_errors[i]));
	assert_panics("memmap_bus_error(5)", memmap_bus_error(5));
}

static void test_strerror_words(void **state)
{
	(void)state;
	static const struct {
		int err;
		const char *words;
	} cases[] = {
		{0, "Success"},
		{-EIO, "Input/output error"},
		{-ENOMEM, "Cannot allocate memory"},
		{-4095, "Unknown error"},
		{-4096, "Unknown error"},
		{EIO, "Unknown error"},
		{INT_MIN, "Unknown error"},
		{INT_MAX, "Unknown error"},
		{-0x10000, "Unknown error"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		assert_string_equal(memmap_strerror(cases[i].err), cases[i].words);
	assert_string_equal(memmap_strerror(memmap_bus_error(-EIO)),
			    "BusError: Input/output error");
	assert_string_equal(memmap_strerror(memmap_bus_error(-4095)), "BusError: Unknown error");
}

/* No text is cut, and asking again gives the same constant. */
static void test_strerror_of_every_errno(void **state)
{
	(void)state;
	for (int e = 1; e <= 4095; e++) {
		char expected[256];
		const char *plain = memmap_strerror(-e);
		(void)snprintf(expected, sizeof(expected), "BusError: %s", plain);
		const char *bus = memmap_strerror(memmap_bus_error(-e));
		assert_string_equal(bus, expected);
		assert_ptr_equal(bus, memmap_strerror(memmap_bus_error(-e)));
		const char *libc = strerrordesc_np(e);
		assert_string_equal(plain, libc ? libc : "Unknown error");
	}
}

static void *ask_for_text(void *arg)
{
	(void)arg;
	return (void *)(uintptr_t)memmap_strerror(memmap_bus_error(-EFAULT));
}

static void test_strerror_from_many_threads(void **state)
{
	(void)state;
	pthread_t threads[8];
	for (size_t i = 0; i < 8; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, ask_for_text, NULL), 0);
	for (size_t i = 0; i < 8; i++) {
		void *text;
		assert_int_equal(pthread_join(threads[i], &text), 0);
		assert_string_equal(text, "BusError: Bad address");
	}
}

static jmp_buf back;
static char said[2048];

static void jump_back(const char *message)
{
	(void)snprintf(said, sizeof(said), "%s", message);
	longjmp(back, 1);
}

static void test_panic_handler_may_jump_out(void **state)
{
	(void)state;
	assert_null(memmap_set_panic_handler(jump_back));
	if (setjmp(back) == 0) {
		memmap_panic("%d and %s", 7, "words");
	} else {
		assert_string_equal(said, "7 and words");
	}
	/* And again: the handler stays, and nothing was left half done. */
	if (setjmp(back) == 0) {
		memmap_bus_error(0);
	} else {
		assert_non_null(strstr(said, "memmap_bus_error(0)"));
	}
	assert_ptr_equal(memmap_set_panic_handler(NULL), jump_back);
	assert_null(memmap_set_panic_handler(NULL));
}

static void test_long_panic_is_cut(void **state)
{
	(void)state;
	static char words[3000];
	memset(words, 'x', sizeof(words) - 1);
	memmap_set_panic_handler(jump_back);
	if (setjmp(back) == 0) {
		memmap_panic("%s", words);
	} else {
		assert_int_equal(strlen(said), 1023);
		assert_memory_equal(said, words, 1023);
	}
	memmap_set_panic_handler(NULL);
}

static void return_quietly(const char *message)
{
	(void)message;
}

/* What a child that panics with `handler` prints; it must die of SIGABRT. */
static void panic_in_child(memmap_panic_handler *handler, char *printed, size_t size)
{
	int fds[2];
	assert_int_equal(pipe(fds), 0);
	(void)fflush(NULL);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		dup2(fds[1], STDERR_FILENO);
		close(fds[0]);
		memmap_set_panic_handler(handler);
		child_may_abort();
		memmap_panic("the %s words", "right");
	}
	close(fds[1]);
	size_t len = 0;
	ssize_t n;
	while (len < size - 1 && (n = read(fds[0], printed + len, size - 1 - len)) > 0)
		len += (size_t)n;
	printed[len] = '\0';
	close(fds[0]);
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGABRT);
}

static void test_panic_prints_and_aborts(void **state)
{
	(void)state;
	char printed[1024];
	panic_in_child(NULL, printed, sizeof(printed));
	assert_non_null(strstr(printed, "memmap: panic: the right words\n"));
}

static void test_handler_that_returns_aborts(void **state)
{
	(void)state;
	char printed[1024];
	panic_in_child(return_quietly, printed, sizeof(printed));
	assert_non_null(
		strstr(printed, "memmap: the panic handler returned from: the right words\n"));
}

static int nr_evaluations;

static bool evaluated(bool result)
{
	nr_evaluations++;
	return result;
}

static void test_assertions(void **state)
{
	(void)state;
	nr_evaluations = 0;
	memmap_assert(evaluated(true));
	memmap_assert_internal(evaluated(true));
	memmap_assert_expensive(evaluated(true));
	assert_int_equal(nr_evaluations, MEMMAP_CHECK);
	assert_panics("assertion failed: 1 + 1 == 3", MEMMAP_ASSERT_AT_GRADE(0, 1 + 1 == 3));
	assert_panics("tests/base/error.c", MEMMAP_ASSERT_AT_GRADE(0, false));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_bus_error_round_trip),
		cmocka_unit_test(test_any_int_may_be_asked_about),
		cmocka_unit_test(test_bus_error_of_what_is_no_error),
		cmocka_unit_test(test_strerror_words),
		cmocka_unit_test(test_strerror_of_every_errno),
		cmocka_unit_test(test_strerror_from_many_threads),
		cmocka_unit_test(test_panic_handler_may_jump_out),
		cmocka_unit_test(test_long_panic_is_cut),
		cmocka_unit_test(test_panic_prints_and_aborts),
		cmocka_unit_test(test_handler_that_returns_aborts),
		cmocka_unit_test(test_assertions),
	};
	return cmocka_run_group_tests_name("base/error", tests, NULL, NULL);
}
