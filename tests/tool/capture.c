/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Captures that nobody has captured: whatever stands in a file, it is refused or it is a list of
 * mappings in order.
 *
 * The random test prints its seed; MEMMAP_TEST_SEED sets it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#include "maps/capture.h"

static const char smaps[] =
	"55d0c0000000-55d0c0003000 r-xp 00002000 fe:00 1311                       /usr/bin/cat\n"
	"Size:                 12 kB\n"
	"Rss:                   8 kB\n"
	"VmFlags: rd ex mr mw me\n"
	"7f0000300000-7f0000301000 r--p 00000000 fe:00 99                         /lib/libc.so.6\n"
	"Rss:                   4 kB\n"
	"7ffc00000000-7ffc00021000 rw-p 00000000 00:00 0                          [stack]\n";

static bool parse(struct capture *capture, const char *text, size_t length)
{
	char *copy = malloc(length + 1);
	assert_non_null(copy);
	memcpy(copy, text, length);
	copy[length] = '\0';
	*capture = (struct capture){0};
	return capture_parse(capture, "test", copy, length);
}

static void what_is_in_it(void **state)
{
	struct capture capture;
	(void)state;
	assert_true(parse(&capture, smaps, strlen(smaps)));
	assert_true(capture.has_counts);
	assert_int_equal(capture.vmas.length, 3);
	assert_int_equal(capture.vmas.items[0].counts[CAPTURE_RSS], 8192);
	assert_int_equal(capture.vmas.items[1].counts[CAPTURE_RSS], 4096);
	assert_int_equal(capture.vmas.items[2].counts[CAPTURE_RSS], 0);
	assert_string_equal(capture.program, "/usr/bin/cat");
	assert_int_equal(capture.vmas.items[0].kind, HISTORY_PROGRAM);
	assert_int_equal(capture.vmas.items[1].kind, HISTORY_LIBRARY);
	assert_int_equal(capture.vmas.items[2].kind, HISTORY_STACK);
	assert_string_equal(capture.vmas.items[2].name, "[stack]");
	capture_release(&capture);
}

/* A capture that has been on a system which ends lines with two characters. */
static void carriage_returns(void **state)
{
	char text[2 * sizeof(smaps)];
	size_t length = 0;
	struct capture capture;
	(void)state;
	for (size_t i = 0; i < strlen(smaps); i++) {
		if (smaps[i] == '\n')
			text[length++] = '\r';
		text[length++] = smaps[i];
	}
	assert_true(parse(&capture, text, length));
	assert_int_equal(capture.vmas.length, 3);
	assert_int_equal(capture.vmas.items[0].counts[CAPTURE_RSS], 8192);
	assert_string_equal(capture.vmas.items[1].name, "/lib/libc.so.6");
	assert_int_equal(capture.vmas.items[2].kind, HISTORY_STACK);
	capture_release(&capture);
	/* A name can end so as well, when the other lines do not. */
	static const char odd[] = "1000-2000 r--p 00000000 fe:00 99    /odd\r\n"
				  "3000-4000 r--p 00000000 fe:00 98    /even\n";
	assert_true(parse(&capture, odd, strlen(odd)));
	assert_string_equal(capture.vmas.items[0].name, "/odd\r");
	capture_release(&capture);
}

static void cut_anywhere(void **state)
{
	(void)state;
	for (size_t length = 0; length < strlen(smaps); length++) {
		struct capture capture;
		const bool whole_lines = length > 0 && smaps[length - 1] == '\n';
		assert_int_equal(parse(&capture, smaps, length), whole_lines);
		if (whole_lines)
			capture_release(&capture);
	}
}

static uint64_t random_state;

static size_t below(size_t n)
{
	random_state = random_state * UINT64_C(6364136223846793005) + 1442695040888963407u;
	return (size_t)(random_state >> 33) % n;
}

static void changed_anywhere(void **state)
{
	(void)state;
	static const char bytes[] = "\0\n\t -:pxrw09afGk\x7f\x80\xff";
	const char *seed = getenv("MEMMAP_TEST_SEED");
	random_state = seed ? strtoull(seed, NULL, 10) : (uint64_t)time(NULL);
	print_message("seed: MEMMAP_TEST_SEED=%llu\n", (unsigned long long)random_state);
	size_t accepted = 0;
	for (int round = 0; round < 3000; round++) {
		char text[sizeof(smaps)];
		struct capture capture;
		memcpy(text, smaps, sizeof(smaps));
		for (size_t changes = 1 + below(3); changes > 0; changes--)
			text[below(strlen(smaps))] = bytes[below(sizeof(bytes) - 1)];
		if (!parse(&capture, text, strlen(smaps)))
			continue;
		accepted++;
		uint64_t end = 0;
		for (size_t i = 0; i < capture.vmas.length; i++) {
			const struct capture_vma *vma = &capture.vmas.items[i];
			assert_true(vma->range.start >= end);
			assert_true(vma->range.end > vma->range.start);
			assert_int_equal(strlen(vma->perms), 4);
			assert_null(strchr(vma->name, '\n'));
			end = vma->range.end;
		}
		capture_release(&capture);
	}
	assert_true(accepted > 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_is_in_it),
		cmocka_unit_test(carriage_returns),
		cmocka_unit_test(cut_anywhere),
		cmocka_unit_test(changed_anywhere),
	};
	/* What is refused is said on stderr, thousands of times. */
	if (!freopen("/dev/null", "w", stderr))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
