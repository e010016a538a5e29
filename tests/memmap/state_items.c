/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The items that savable types are made of: a type of one's own, what happens after an error, and
 * the saving program's mistakes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "memmap/state_world.h"
#include "panic.h"

/* ---- a type of one's own ---- */

static int some_id_of(void *context, enum memmap_state_kind kind, const void *object, uint64_t *id)
{
	(void)context;
	*id = (uint64_t)kind * 100 + (uint64_t)(*(const char *)object - 'a');
	return 0;
}

static const char letters[] = "abcdefghij";

static int some_object_of(void *context, enum memmap_state_kind kind, uint64_t id, void **object)
{
	(void)context;
	if (id / 100 != (uint64_t)kind || id % 100 >= 10)
		return -ENOENT;
	*object = (void *)&letters[id % 100];
	return 0;
}

static const struct memmap_state_references some_references = {some_id_of, some_object_of, NULL};

static int save_own(struct memmap_state_sink *sink)
{
	const struct memmap_file_range fr = {3, 4};
	const struct memmap_state_cursor mark = memmap_state_put_object(sink, "own");
	memmap_state_put_array(sink, 5);
	memmap_state_put_map(sink, 3);
	memmap_state_put_key(sink, "b");
	memmap_state_put_bytes(sink, "\x00\x01", 2);
	memmap_state_put_key(sink, "c");
	memmap_state_put_bytes(sink, NULL, 0);
	memmap_state_put_key(sink, "aa");
	memmap_state_put_text(sink, "text");
	memmap_state_put_array(sink, 0);
	/* An object within an object. */
	(void)memmap_file_range_state_save(&fr, sink);
	memmap_state_put_array(sink, 5);
	memmap_state_put_reference(sink, MEMMAP_STATE_SPACE, &letters[1]);
	memmap_state_put_reference(sink, MEMMAP_STATE_MAPPABLE, &letters[2]);
	memmap_state_put_reference(sink, MEMMAP_STATE_FILE, &letters[3]);
	memmap_state_put_reference(sink, MEMMAP_STATE_IDENTITY, &letters[4]);
	memmap_state_put_reference(sink, MEMMAP_STATE_IDENTITY, NULL);
	memmap_state_put_bool(sink, false);
	return memmap_state_end_put(sink, mark);
}

static void load_own(struct memmap_state_source *source)
{
	struct memmap_file_range fr;
	size_t len;
	const size_t mark = memmap_state_get_object(source, "own");
	assert_int_equal(memmap_state_get_array(source, 1), 5);
	memmap_state_get_map(source, 3);
	memmap_state_get_key(source, "b");
	const void *bytes = memmap_state_get_bytes(source, &len);
	assert_int_equal(len, 2);
	assert_memory_equal(bytes, "\x00\x01", 2);
	memmap_state_get_key(source, "c");
	(void)memmap_state_get_bytes(source, &len);
	assert_int_equal(len, 0);
	memmap_state_get_key(source, "aa");
	const char *text = memmap_state_get_text(source, &len);
	assert_int_equal(len, 4);
	assert_memory_equal(text, "text", 4);
	assert_int_equal(memmap_state_get_array(source, 1), 0);
	assert_int_equal(memmap_file_range_state_load(&fr, source), 0);
	assert_true(fr.start == 3 && fr.end == 4);
	assert_int_equal(memmap_state_get_array(source, 1), 5);
	assert_ptr_equal(memmap_state_get_reference(source, MEMMAP_STATE_SPACE), &letters[1]);
	assert_ptr_equal(memmap_state_get_reference(source, MEMMAP_STATE_MAPPABLE), &letters[2]);
	assert_ptr_equal(memmap_state_get_reference(source, MEMMAP_STATE_FILE), &letters[3]);
	assert_ptr_equal(memmap_state_get_reference(source, MEMMAP_STATE_IDENTITY), &letters[4]);
	assert_null(memmap_state_get_reference(source, MEMMAP_STATE_IDENTITY));
	assert_false(memmap_state_get_failed(source));
	assert_false(memmap_state_get_bool(source));
	assert_int_equal(memmap_state_end_get(source, mark), 0);
}

static void test_own_type(void **state)
{
	(void)state;
	struct memmap_state_sink sink;
	memmap_state_sink_init(&sink, &some_references, NULL);
	assert_int_equal(save_own(&sink), 0);
	assert_int_equal(save_own(&sink), 0);
	const struct bytes bytes = bytes_of_sink(&sink);
	struct memmap_state_source source;
	assert_int_equal(memmap_state_source_init(&source, bytes.at, bytes.len, &some_references),
			 0);
	load_own(&source);
	load_own(&source);
	assert_true(memmap_state_source_at_end(&source));
}

/* After an error all that is got is nothing, and the first words stay. */
static void test_get_after_an_error(void **state)
{
	(void)state;
	const struct bytes bytes = bytes_around("\x82\x63own\x01", 6);
	struct memmap_state_source source = source_of(&bytes);
	const size_t mark = memmap_state_get_object(&source, "own");
	assert_int_equal(memmap_state_get_array(&source, 1), 0);
	assert_true(memmap_state_get_failed(&source));
	assert_true(memmap_state_get_uint(&source) == 0);
	assert_false(memmap_state_get_bool(&source));
	size_t len = 9;
	assert_string_equal(memmap_state_get_text(&source, &len), "");
	assert_int_equal(len, 0);
	assert_null(memmap_state_get_bytes(&source, &len));
	assert_null(memmap_state_get_reference(&source, MEMMAP_STATE_SPACE));
	memmap_state_get_map(&source, 5);
	memmap_state_get_key(&source, "key");
	memmap_state_get_error(&source, -EDOM, "other words");
	assert_int_equal(memmap_state_end_get(&source, mark), -EBADMSG);
	assert_string_equal(memmap_state_source_why(&source),
			    "at byte 17: expected an array, found an unsigned number");
	/* Once more, the right way. */
	const size_t again = memmap_state_get_object(&source, "own");
	assert_true(memmap_state_get_uint(&source) == 1);
	assert_int_equal(memmap_state_end_get(&source, again), 0);
}

static void test_put_after_an_error(void **state)
{
	(void)state;
	struct memmap_state_sink sink = new_sink();
	struct memmap_state_cursor mark = memmap_state_put_object(&sink, "own");
	assert_false(memmap_state_put_failed(&sink));
	memmap_state_put_error(&sink, -EDOM);
	assert_true(memmap_state_put_failed(&sink));
	memmap_state_put_error(&sink, -ERANGE);
	memmap_state_put_uint(&sink, 1);
	memmap_state_put_uint(&sink, 2);
	memmap_state_put_bool(&sink, true);
	memmap_state_put_text(&sink, "");
	memmap_state_put_bytes(&sink, "", 1);
	memmap_state_put_map(&sink, 1);
	memmap_state_put_array(&sink, 1);
	memmap_state_put_key(&sink, "key");
	memmap_state_put_reference(&sink, MEMMAP_STATE_SPACE, NULL);
	memmap_state_put_reference(&sink, MEMMAP_STATE_SPACE, &spaces[0]);
	(void)memmap_state_put_object(&sink, "inner");
	assert_int_equal(memmap_state_end_put(&sink, mark), -EDOM);
	assert_false(memmap_state_put_failed(&sink));
	/* More bytes than there can be. */
	mark = memmap_state_put_object(&sink, "own");
	memmap_state_put_bytes(&sink, "", SIZE_MAX);
	assert_int_equal(memmap_state_end_put(&sink, mark), -ENOMEM);
	mark = memmap_state_put_object(&sink, "own");
	memmap_state_put_bytes(&sink, "", SIZE_MAX - 20);
	assert_int_equal(memmap_state_end_put(&sink, mark), -ENOMEM);
	const struct bytes bytes = bytes_of_sink(&sink);
	const struct bytes expected = bytes_around("", 0);
	assert_bytes_equal(&bytes, &expected);
}

/* ---- the program's mistakes ---- */

static struct memmap_state_sink broken_sink;

static void begin_broken(void)
{
	memmap_state_sink_init(&broken_sink, &references, NULL);
	(void)memmap_state_put_object(&broken_sink, "own");
}

static void item_outside(void)
{
	memmap_state_sink_init(&broken_sink, &references, NULL);
	memmap_state_put_uint(&broken_sink, 1);
}

static void too_many_items(void)
{
	begin_broken();
	memmap_state_put_uint(&broken_sink, 1);
	memmap_state_put_uint(&broken_sink, 1);
}

static void too_few_items(void)
{
	memmap_state_sink_init(&broken_sink, &references, NULL);
	const struct memmap_state_cursor mark = memmap_state_put_object(&broken_sink, "own");
	memmap_state_put_array(&broken_sink, 2);
	memmap_state_put_uint(&broken_sink, 1);
	(void)memmap_state_end_put(&broken_sink, mark);
}

static void two_keys(const char *first, const char *second)
{
	begin_broken();
	memmap_state_put_map(&broken_sink, 2);
	memmap_state_put_key(&broken_sink, first);
	memmap_state_put_uint(&broken_sink, 1);
	memmap_state_put_key(&broken_sink, second);
}

static void key_for_a_value(void)
{
	begin_broken();
	memmap_state_put_map(&broken_sink, 1);
	memmap_state_put_key(&broken_sink, "a");
	memmap_state_put_key(&broken_sink, "b");
}

static void too_deep(void)
{
	begin_broken();
	for (int i = 0; i < MEMMAP_STATE_MAX_DEPTH; i++)
		memmap_state_put_array(&broken_sink, 1);
}

static void finished_within(void)
{
	const void *bytes;
	size_t len;
	begin_broken();
	(void)memmap_state_sink_finish(&broken_sink, &bytes, &len);
}

static void items_of_no_size(void)
{
	const struct bytes bytes = bytes_around("\x80", 1);
	struct memmap_state_source source = source_of(&bytes);
	(void)memmap_state_get_array(&source, 0);
}

static void test_program_mistakes(void **state)
{
	(void)state;
	assert_panics("an item that is not in an object", item_outside());
	assert_panics("an item that is not in an object", too_many_items());
	assert_panics("an object ends before all items are there", too_few_items());
	assert_panics("key 'b' after 'b'", two_keys("b", "b"));
	assert_panics("key 'a' after 'b'", two_keys("b", "a"));
	assert_panics("key 'b' after 'aa'", two_keys("aa", "b"));
	assert_panics("key 'b' where none belongs", key_for_a_value());
	assert_panics("more than 12 arrays and maps", too_deep());
	assert_panics("finished within an object", finished_within());
	assert_panics("item_size > 0", items_of_no_size());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_own_type),
		cmocka_unit_test(test_get_after_an_error),
		cmocka_unit_test(test_put_after_an_error),
		cmocka_unit_test(test_program_mistakes),
	};
	return cmocka_run_group_tests_name("memmap/state_items", tests, NULL, NULL);
}
