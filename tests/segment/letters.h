/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A segment set for tests that people read: its values are letters, each in a block of its own on
 * the heap, so that one which is freed twice or never is found. Sets are written as text:
 *
 *   "10-20a 20-30b"   [10, 20) has the value a, [20, 30) has b
 *
 * Equal letters merge, but capitals never do. A split of '!' fails with -EDOM.
 *
 * Define LETTERS_TRACK_GAPS or LETTERS_DEGREE before including it to choose. Include after the
 * cmocka headers.
 */
#ifndef TESTS_SEGMENT_LETTERS_H
#define TESTS_SEGMENT_LETTERS_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <memmap/allocator.h>
#include <memmap/range.h>

#ifndef LETTERS_TRACK_GAPS
#	define LETTERS_TRACK_GAPS 1
#endif
#ifndef LETTERS_DEGREE
#	define LETTERS_DEGREE 3
#endif
#define LETTERS_MAX 1000

/* ---- Memory, of nodes and of values, of which the Nth request can be made to fail ---- */

static long blocks_live;        /* not freed yet */
static long requests_made;      /* since it was last set to 0 */
static long request_that_fails; /* counted from 1; 0: none */

static void *failing_allocate(void *context, size_t size, size_t alignment)
{
	(void)context;
	if (++requests_made == request_that_fails)
		return NULL;
	blocks_live++;
	return memmap_allocate(NULL, size, alignment);
}

static void failing_deallocate(void *context, void *memory, size_t size)
{
	(void)context;
	blocks_live--;
	memmap_deallocate(NULL, memory, size);
}

static const struct memmap_allocator failing = {failing_allocate, failing_deallocate, NULL};

/* ---- Letters ---- */

typedef char *letter;

static letter letter_make(char c)
{
	letter v = (letter)failing_allocate(NULL, 1, 1);
	if (v)
		*v = c;
	return v;
}

static void letter_clear(letter *v)
{
	assert_non_null(*v);
	failing_deallocate(NULL, *v, 1);
	*v = NULL;
}

static bool letter_merge(struct memmap_addr_range r1, letter *v1, struct memmap_addr_range r2,
			 letter *v2, letter *out)
{
	assert_true(r1.end == r2.start && r1.start < r1.end && r2.start < r2.end);
	if (**v1 != **v2 || (**v1 >= 'A' && **v1 <= 'Z'))
		return false;
	letter_clear(v2);
	*out = *v1;
	return true;
}

static int letter_split(struct memmap_addr_range r, letter *v, uint64_t at, letter *out1,
			letter *out2)
{
	assert_true(r.start < at && at < r.end);
	if (**v == '!')
		return -EDOM;
	letter copy = letter_make(**v);
	if (!copy)
		return -ENOMEM;
	*out1 = *v;
	*out2 = copy;
	return 0;
}

static void letter_unsplit(struct memmap_addr_range r, uint64_t at, letter *v1, letter *v2,
			   letter *out)
{
	assert_true(r.start < at && at < r.end);
	assert_int_equal(**v1, **v2);
	letter_clear(v2);
	*out = *v1;
}

static int letter_dup(const letter *in, letter *out)
{
	letter copy = letter_make(**in);
	if (!copy)
		return -ENOMEM;
	*out = copy;
	return 0;
}

__attribute__((unused)) static char *letter_format(const letter *v, char *buf, size_t size)
{
	(void)snprintf(buf, size, "%c", **v);
	return buf;
}

#define SEGMENT_PREFIX       letters
#define SEGMENT_RANGE        memmap_addr_range
#define SEGMENT_VALUE        letter
#define SEGMENT_MAX_KEY      LETTERS_MAX
#define SEGMENT_CLEAR_VALUE  letter_clear
#define SEGMENT_MERGE        letter_merge
#define SEGMENT_SPLIT        letter_split
#define SEGMENT_UNSPLIT      letter_unsplit
#define SEGMENT_DUP_VALUE    letter_dup
#define SEGMENT_FORMAT_VALUE letter_format
#define SEGMENT_TRACK_GAPS   LETTERS_TRACK_GAPS
#define SEGMENT_MIN_DEGREE   LETTERS_DEGREE
#include <memmap/segment_set.h>

/* ---- Sets as text ---- */

__attribute__((unused)) static struct memmap_addr_range range(uint64_t start, uint64_t end)
{
	struct memmap_addr_range r = {start, end};
	return r;
}

/* A set, over the allocator above, of what `text` says. */
__attribute__((unused)) static void letters_make(struct letters_set *s, const char *text)
{
	letters_set_init(s, &failing);
	unsigned start, end;
	char c;
	int length;
	while (sscanf(text, "%u-%u%c%n", &start, &end, &c, &length) == 3) {
		assert_int_equal(
			letters_set_add_without_merging(s, range(start, end), letter_make(c)), 0);
		text += length;
	}
}

/* What a set holds as text; overwritten by the next call but one. */
__attribute__((unused)) static const char *letters_show(const struct letters_set *s)
{
	static char texts[2][1 << 14];
	static unsigned turn;
	char *text = texts[turn++ % 2];
	size_t length = 0;
	text[0] = '\0';
	struct letters_iterator it = letters_set_first_segment(s);
	for (; letters_iterator_ok(it); it = letters_iterator_next_segment(it))
		length += (size_t)snprintf(text + length, sizeof(texts[0]) - length, "%s%u-%u%c",
					   length ? " " : "", (unsigned)letters_iterator_start(it),
					   (unsigned)letters_iterator_end(it),
					   *letters_iterator_value(it));
	return text;
}

/* The set holds `text`, and its tree is as it must be. */
#define assert_letters(s, text)                                                                    \
	do {                                                                                       \
		assert_string_equal(letters_show(s), text);                                        \
		assert_int_equal(letters_set_verify(s), 0);                                        \
	} while (0)

/* The set, gone, leaves nothing behind. */
__attribute__((unused)) static void letters_done(struct letters_set *s)
{
	letters_set_destroy(s);
	assert_int_equal(blocks_live, 0);
}

#define assert_segment(it, from, to, c)                                                            \
	do {                                                                                       \
		struct letters_iterator it_ = it;                                                  \
		assert_true(letters_iterator_ok(it_));                                             \
		assert_int_equal(letters_iterator_start(it_), from);                               \
		assert_int_equal(letters_iterator_end(it_), to);                                   \
		assert_int_equal(*letters_iterator_value(it_), c);                                 \
	} while (0)

#define assert_gap(gap, from, to)                                                                  \
	do {                                                                                       \
		struct letters_gap_iterator gap_ = gap;                                            \
		assert_true(letters_gap_iterator_ok(gap_));                                        \
		assert_int_equal(letters_gap_iterator_start(gap_), from);                          \
		assert_int_equal(letters_gap_iterator_end(gap_), to);                              \
		assert_int_equal(letters_gap_iterator_is_empty(gap_), (from) == (to));             \
	} while (0)

#endif /* TESTS_SEGMENT_LETTERS_H */
