/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Logs that no trace has written: cut off anywhere, changed anywhere. Each is replayed with the
 * model and as a history, which is drawn, or refused with the number of a line.
 *
 * The random tests print their seed; MEMMAP_TEST_SEED sets it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "plot/plot_html.h"
#include "replay/replay.h"

static const char good[] =
	"memmap log 1\n"
	"command \"a\" \"b\\040c\"\n"
	"process 0.000000001 10 0\n"
	"exec 0.000000002 10 \"a b c\" \"/bin/a\"\n"
	"+ 00400000-00402000 r-xp 00000000 fe:00 7                        /bin/a\n"
	"+ 7ffc2d949000-7ffc2d96a000 rw-p 00000000 00:00 0                          [stack]\n"
	"call 0.000000003 1 10 10 0.000000001 mmap(NULL, 0x2000, PROT_READ, MAP_SHARED, 3, 0) = "
	"0x500000\n"
	"+ 00500000-00502000 r--s 00000000 fe:00 8                        /file\n"
	"call 0.000000004 2 10 10 0.000000001 munmap(0x501000, 0x1000) = 0\n"
	"- 00500000-00502000\n"
	"+ 00500000-00501000 r--s 00000000 fe:00 8                        /file\n"
	"grow 0.000000005 10\n"
	"- 7ffc2d949000-7ffc2d96a000\n"
	"+ 7ffc2d940000-7ffc2d96a000 rw-p 00000000 00:00 0                          [stack]\n"
	"fork 0.000000006 10 11\n"
	"- 00500000-00501000\n"
	"share 0.000000007 11 12\n"
	"thread 0.000000008 10 13\n"
	"call 0.000000009 3 12 12 0.000000001 brk(NULL) = 0x600000\n"
	"exit 0.000000010 12 killed 9\n"
	"look 0.000000011 10\n"
	"- 00500000-00501000\n"
	"+ 00500000-00501000 r--s 00000000 fe:00 8                        /new\n"
	"thread-end 0.000000012 10 13\n"
	"exit 0.000000013 11 exited 0\n"
	"exit 0.000000014 10 exited 3\n"
	"end 0.000000015 3\n";

/* Replay a text as a log. What it said when it was refused is in `error`. */
static enum log_result replay_text(const char *text, size_t length, char *error, size_t size,
				   uint64_t *differences)
{
	char path[] = "/tmp/memmap-test-log.XXXXXX";
	const int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, length), length);
	close(fd);
	struct replay replay;
	const struct replay_moment end = {0};
	enum log_result result = LOG_BAD;
	error[0] = '\0';
	if (replay_open(&replay, path, true, true)) {
		result = replay_run(&replay, &end);
		if (result != LOG_GOOD)
			snprintf(error, size, "%s", replay.error + strlen(path));
	} else {
		snprintf(error, size, ":1: refused");
	}
	*differences = replay.check.nr_differences;
	if (replay.history) {
		/* Whatever has come of it can be drawn. */
		FILE *nowhere = fopen("/dev/null", "w");
		const struct plot_options how = {0};
		assert_non_null(nowhere);
		assert_int_equal(plot_write(replay.history, nowhere, &how), 0);
		assert_int_equal(plot_write_html(replay.history, nowhere, &how), 0);
		fclose(nowhere);
	}
	replay_release(&replay);
	unlink(path);
	return result;
}

static void as_it_is(void **state)
{
	(void)state;
	char error[512];
	uint64_t differences;
	assert_int_equal(replay_text(good, strlen(good), error, sizeof(error), &differences),
			 LOG_GOOD);
	assert_string_equal(error, "");
	assert_int_equal(differences, 0);
}

static void cut_anywhere(void **state)
{
	(void)state;
	for (size_t length = 0; length < strlen(good); length++) {
		char error[512], expected[32];
		uint64_t differences;
		size_t line = 1;
		for (size_t i = 0; i < length; i++)
			line += good[i] == '\n';
		/* At the end of a line, it is cut off in that line. */
		if (length > 0 && good[length - 1] == '\n')
			line--;
		const enum log_result result =
			replay_text(good, length, error, sizeof(error), &differences);
		snprintf(expected, sizeof(expected), ":%zu: ", line);
		assert_true(result == LOG_CUT_OFF || (result == LOG_BAD && line == 1));
		assert_memory_equal(error, expected, strlen(expected));
	}
}

static uint64_t random_state;

static size_t below(size_t n)
{
	random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (size_t)(random_state >> 33) % n;
}

static void assert_refused_or_good(const char *text, size_t length)
{
	char error[512];
	uint64_t differences;
	const enum log_result result =
		replay_text(text, length, error, sizeof(error), &differences);
	if (result == LOG_GOOD)
		return;
	size_t line = 0;
	assert_int_equal(sscanf(error, ":%zu: ", &line), 1);
	assert_true(line >= 1 && line <= 40);
}

static void bytes_changed(void **state)
{
	(void)state;
	static const char bytes[] = "\0\n\t -+:\"\\pxrw0197afGk=.\x7f\x80\xff";
	for (int round = 0; round < 1500; round++) {
		char text[sizeof(good)];
		memcpy(text, good, sizeof(good));
		for (size_t changes = 1 + below(3); changes > 0; changes--)
			text[below(strlen(good))] = bytes[below(sizeof(bytes) - 1)];
		assert_refused_or_good(text, strlen(good));
	}
}

/* Lines that are left out, doubled, or exchanged. */
static void lines_changed(void **state)
{
	(void)state;
	const char *lines[64];
	size_t nr = 0;
	for (const char *at = good; *at; at = strchr(at, '\n') + 1)
		lines[nr++] = at;
	lines[nr] = good + strlen(good);
	for (int round = 0; round < 1500; round++) {
		char text[2 * sizeof(good)];
		size_t order[64], used = 0;
		for (size_t i = 0; i < nr; i++)
			order[i] = i;
		for (size_t changes = 1 + below(4); changes > 0; changes--)
			order[below(nr)] = below(nr);
		const size_t left_out = below(3 * nr);
		for (size_t i = 0; i < nr; i++) {
			const char *line = lines[order[i]];
			const size_t length = (size_t)(lines[order[i] + 1] - line);
			if (i == left_out || used + length > sizeof(text))
				continue;
			memcpy(text + used, line, length);
			used += length;
		}
		assert_refused_or_good(text, used);
	}
}

/* Numbers that are not what they were, the largest too. */
static void numbers_changed(void **state)
{
	(void)state;
	static const char digits[] = "0123456789abcdef";
	static const char *const numbers[] = {
		"0",
		"1",
		"000000000",
		"999999999",
		"2147483647",
		"7fffffffffff",
		"7ffffffff000",
		"ffffffffff600000",
		"fffffffffffff000",
		"ffffffffffffffff",
		"9223372036854775808",
		"18446744073709551615",
		"18446744072",
		"99999999999999999999",
	};
	for (int round = 0; round < 1500; round++) {
		char text[2 * sizeof(good)];
		memcpy(text, good, sizeof(good));
		for (size_t changes = 1 + below(3); changes > 0; changes--) {
			char *at = text + below(strlen(text));
			at += strcspn(at, digits);
			const char *number = numbers[below(sizeof(numbers) / sizeof(numbers[0]))];
			char *rest = at + strspn(at, digits);
			const size_t length = strlen(rest) + 1;
			memmove(at + strlen(number), rest, length);
			memcpy(at, number, strlen(number));
		}
		assert_refused_or_good(text, strlen(text));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_it_is),        cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(bytes_changed),   cmocka_unit_test(lines_changed),
		cmocka_unit_test(numbers_changed),
	};
	const char *seed = getenv("MEMMAP_TEST_SEED");
	random_state = seed ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL);
	print_message("seed: MEMMAP_TEST_SEED=%llu\n", (unsigned long long)random_state);
	/* What is refused is said on stderr, thousands of times. */
	if (!freopen("/dev/null", "w", stderr))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
