/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Restoring from what is not well: bytes that were cut, damaged, or made up by someone who knows
 * how to compute a checksum. Each time: a negative error, nothing changed, nothing leaked, and no
 * more memory asked for than a small multiple of the bytes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "memmap/state_world.h"
#include <memmap/error.h>
#include <memmap/mapping_set.h>
#include <memmap/state.h>

#define P MEMMAP_PAGE_SIZE

/* The most memory that loading may take for each byte of the source, and for none at all. */
#define MEMORY_FACTOR 64
#define MEMORY_BASE   4096

enum type { FILE_RANGE, MAPPING, SLICES, SET, NR_TYPES };

static void example_set(struct memmap_mapping_set *set)
{
	static const struct {
		size_t space;
		struct memmap_addr_range ar;
		uint64_t offset;
		bool writable;
	} mappings[] = {
		{0, {0x100 * P, 0x104 * P}, 0, true},
		{1, {0x200 * P, 0x203 * P}, 2 * P, false},
		{1, {0x200 * P, 0x203 * P}, 2 * P, true},
		{2, {0x200 * P, 0x203 * P}, 2 * P, true},
		{5, {0x300 * P, 0x301 * P}, 0x10000 * P, true},
	};
	for (size_t i = 0; i < sizeof(mappings) / sizeof(mappings[0]); i++)
		assert_int_equal(memmap_mapping_set_add_mapping(set, &spaces[mappings[i].space],
								mappings[i].ar, mappings[i].offset,
								mappings[i].writable, NULL),
				 0);
}

static struct bytes example(enum type type)
{
	struct memmap_state_sink sink;
	memmap_state_sink_init(&sink, &references, NULL);
	const struct memmap_file_range fr = {0x1000, 0x300000};
	const struct memmap_mapping_of_range m = {&spaces[0], {0x1000, 0x300000}, true};
	struct memmap_mapping_set set = {0};
	struct memmap_mapping_segment_data_slices slices = {0};
	example_set(&set);
	int err = 0;
	switch (type) {
	case FILE_RANGE:
		err = memmap_file_range_state_save(&fr, &sink);
		break;
	case MAPPING:
		err = memmap_mapping_of_range_state_save(&m, &sink);
		break;
	case SLICES:
		assert_int_equal(memmap_mapping_set_export_sorted_slices(&set, &slices), 0);
		err = memmap_mapping_segment_data_slices_state_save(&slices, &sink);
		memmap_mapping_segment_data_slices_release(&slices);
		break;
	case SET:
	default:
		err = memmap_mapping_set_state_save(&set, &sink);
		break;
	}
	assert_int_equal(err, 0);
	memmap_mapping_set_destroy(&set);
	return bytes_of_sink(&sink);
}

/*
 * Load an object of `type`. If that works, save it again into `sink`, and whatever else the source
 * has is left; if not, what was to be loaded must be untouched.
 */
static int load_one(enum type type, struct memmap_state_source *source,
		    struct memmap_state_sink *sink)
{
	const size_t live = memory_live;
	union {
		struct memmap_file_range fr;
		struct memmap_mapping_of_range m;
		struct memmap_mapping_segment_data_slices slices;
	} to, before;
	struct memmap_mapping_set set = {0};
	memset(&to, 0x5a, sizeof(to));
	before = to;
	int err;
	switch (type) {
	case FILE_RANGE:
		err = memmap_file_range_state_load(&to.fr, source);
		if (!err)
			assert_int_equal(memmap_file_range_state_save(&to.fr, sink), 0);
		break;
	case MAPPING:
		err = memmap_mapping_of_range_state_load(&to.m, source);
		if (!err)
			assert_int_equal(memmap_mapping_of_range_state_save(&to.m, sink), 0);
		break;
	case SLICES:
		err = memmap_mapping_segment_data_slices_state_load(&to.slices, source);
		if (!err) {
			assert_int_equal(
				memmap_mapping_segment_data_slices_state_save(&to.slices, sink), 0);
			memmap_mapping_segment_data_slices_release(&to.slices);
		}
		break;
	case SET:
	default:
		err = memmap_mapping_set_state_load(&set, source);
		assert_int_equal(memmap_mapping_set_verify(&set), 0);
		if (err)
			assert_true(memmap_mapping_set_is_empty(&set));
		else
			assert_int_equal(memmap_mapping_set_state_save(&set, sink), 0);
		memmap_mapping_set_destroy(&set);
		break;
	}
	if (err) {
		assert_memory_equal(&to, &before, sizeof(to));
		assert_int_equal(memory_live, live);
		assert_true(err < 0);
	}
	return err;
}

/* The words of the last failure. */
static char why[200];

/*
 * Load one object of `type` and nothing else from `bytes`. When that works, saving it must give the
 * very bytes.
 */
static int load_all(enum type type, const struct bytes *bytes)
{
	/* In memory of their own, so that reading beyond them is noticed. */
	unsigned char *exactly = malloc(bytes->len + 1);
	assert_non_null(exactly);
	unsigned char *at = exactly + 1;
	memcpy(at, bytes->at, bytes->len);
	struct memmap_state_source source;
	struct memmap_state_sink sink;
	memmap_state_sink_init(&sink, &references, NULL);
	memory_peak = memory_bytes;
	const size_t memory_before = memory_bytes;

	int err = memmap_state_source_init(&source, at, bytes->len, &references);
	if (err) {
		struct memmap_file_range fr;
		(void)snprintf(why, sizeof(why), "%s", memmap_state_source_why(&source));
		assert_true(memmap_state_source_at_end(&source));
		assert_int_equal(memmap_file_range_state_load(&fr, &source), -EBADMSG);
	} else {
		err = load_one(type, &source, &sink);
		(void)snprintf(why, sizeof(why), "%s", memmap_state_source_why(&source));
		if (err) {
			/* The source is as it was: it fails in the same way again. */
			assert_int_equal(load_one(type, &source, &sink), err);
		} else if (memmap_state_source_at_end(&source)) {
			const struct bytes again = bytes_of_sink(&sink);
			assert_bytes_equal(&again, bytes);
		}
	}
	assert_true(memory_peak - memory_before <= MEMORY_BASE + MEMORY_FACTOR * bytes->len);
	memmap_state_sink_release(&sink);
	assert_int_equal(memory_bytes, memory_before);
	free(exactly);
	return err;
}

static void test_examples_are_well(void **state)
{
	(void)state;
	for (int type = 0; type < NR_TYPES; type++) {
		const struct bytes bytes = example((enum type)type);
		assert_int_equal(load_all((enum type)type, &bytes), 0);
	}
}

static void test_cut_at_every_byte(void **state)
{
	(void)state;
	for (int type = 0; type < NR_TYPES; type++) {
		const struct bytes bytes = example((enum type)type);
		for (size_t len = 0; len < bytes.len; len++) {
			struct bytes cut = bytes;
			cut.len = len;
			assert_int_equal(load_all((enum type)type, &cut), -EBADMSG);
			assert_non_null(
				strstr(why, len < HEADER_SIZE - 1 ? "no saved state" : "at byte"));
		}
	}
}

/* The same with a checksum that is right: cut anywhere, and bytes taken out of the middle. */
static void test_cut_and_sealed(void **state)
{
	(void)state;
	for (int type = 0; type < NR_TYPES; type++) {
		const struct bytes bytes = example((enum type)type);
		const size_t body = bytes.len - HEADER_SIZE - STATE_TRAILER_SIZE;
		for (size_t len = 0; len < body; len++) {
			const struct bytes cut = bytes_around(bytes.at + HEADER_SIZE, len);
			assert_int_equal(load_all((enum type)type, &cut), -EBADMSG);
		}
		for (size_t out = 0; out < body; out++) {
			struct bytes shorter = bytes;
			memmove(shorter.at + HEADER_SIZE + out, shorter.at + HEADER_SIZE + out + 1,
				body - out - 1);
			shorter.len--;
			bytes_seal(&shorter);
			/* Rarely another object remains, with something behind it. */
			(void)load_all((enum type)type, &shorter);
		}
	}
}

static void test_every_byte_changed(void **state)
{
	(void)state;
	for (int type = 0; type < NR_TYPES; type++) {
		struct bytes bytes = example((enum type)type);
		for (size_t i = 0; i < bytes.len; i++) {
			const unsigned char before = bytes.at[i];
			for (unsigned change = 1; change < 256; change++) {
				bytes.at[i] = (unsigned char)(before ^ change);
				const int err = load_all((enum type)type, &bytes);
				assert_true(err == -EBADMSG ||
					    (err == -EPROTONOSUPPORT && i == HEADER_SIZE - 1));
			}
			bytes.at[i] = before;
		}
	}
}

/* By someone who seals them: then it is another object, which gives these bytes, or an error. */
static void test_every_byte_changed_and_sealed(void **state)
{
	(void)state;
	size_t nr_loaded = 0;
	size_t nr_refused = 0;
	for (int type = 0; type < NR_TYPES; type++) {
		struct bytes bytes = example((enum type)type);
		for (size_t i = 0; i < bytes.len - STATE_TRAILER_SIZE; i++) {
			const unsigned char before = bytes.at[i];
			for (unsigned change = 1; change < 256; change++) {
				bytes.at[i] = (unsigned char)(before ^ change);
				bytes_seal(&bytes);
				if (load_all((enum type)type, &bytes) == 0)
					nr_loaded++;
				else
					nr_refused++;
			}
			bytes.at[i] = before;
		}
	}
	assert_true(nr_loaded > 500);
	assert_true(nr_refused > 10000);
}

/* Several changes at once: bytes set, copied, taken out and put in. */
static void test_random_changes_sealed(void **state)
{
	(void)state;
	static struct bytes examples[NR_TYPES];
	for (int type = 0; type < NR_TYPES; type++)
		examples[type] = example((enum type)type);
	srand(42);
	for (int round = 0; round < 10000; round++) {
		const enum type type = (enum type)(rand() % NR_TYPES);
		struct bytes bytes = examples[type];
		for (int changes = 1 + rand() % 4; changes > 0; changes--) {
			const size_t body = bytes.len - STATE_TRAILER_SIZE;
			const size_t at = HEADER_SIZE + (size_t)rand() % (body - HEADER_SIZE);
			const size_t from = HEADER_SIZE + (size_t)rand() % (body - HEADER_SIZE);
			switch (rand() % 4) {
			case 0:
				bytes.at[at] = (unsigned char)rand();
				break;
			case 1:
				bytes.at[at] = bytes.at[from];
				break;
			case 2:
				memmove(bytes.at + at, bytes.at + at + 1, bytes.len - at - 1);
				bytes.len--;
				break;
			default:
				memmove(bytes.at + at + 1, bytes.at + at, bytes.len - at);
				bytes.at[at] = (unsigned char)rand();
				bytes.len++;
				break;
			}
		}
		bytes_seal(&bytes);
		(void)load_all(type, &bytes);
	}
}

static void test_header(void **state)
{
	(void)state;
	static const struct {
		const char *header;
		size_t len;
		int err;
		const char *words;
	} cases[] = {
		{"", 0, -EBADMSG, "at byte 0: this is no saved state of memmap"},
		{"\x00", 1, -EBADMSG, "no saved state"},
		{"#!/bin/sh\n", 10, -EBADMSG, "no saved state"},
		{"\xd9\xd9\xf7", 3, -EBADMSG, "no saved state"},
		{"\xd9\xd9\xf8\x82\x66memmap\x01", 12, -EBADMSG, "no saved state"},
		{"\xd9\xd9\xf7\x83\x66memmap\x01", 12, -EBADMSG, "no saved state"},
		{"\xd9\xd9\xf7\x82\x66memmop\x01", 12, -EBADMSG, "no saved state"},
		{"\xd9\xd9\xf7\x82\x46memmap\x01", 12, -EBADMSG, "no saved state"},
		{"\xda\x00\x00\xd9\xf7\x82\x66memmap\x01", 14, -EBADMSG, "no saved state"},
		{"\xd9\xd9\xf7\x82\x66memmap\x00", 12, -EPROTONOSUPPORT,
		 "at byte 11: version 0; only 1 is known"},
		{"\xd9\xd9\xf7\x82\x66memmap\x02", 12, -EPROTONOSUPPORT,
		 "at byte 11: version 2; only 1 is known"},
		{"\xd9\xd9\xf7\x82\x66memmap\x1b\xff\xff\xff\xff\xff\xff\xff\xff", 20,
		 -EPROTONOSUPPORT, "version 18446744073709551615; only 1 is known"},
		{"\xd9\xd9\xf7\x82\x66memmap\x18\x01", 13, -EBADMSG, "longer than it need be"},
		{"\xd9\xd9\xf7\x82\x66memmap\x20", 12, -EBADMSG, "expected an unsigned number"},
		{"\xd9\xd9\xf7\x82\x66memmap\x61\x31", 13, -EBADMSG, "expected an unsigned number"},
		{"\xd9\xd9\xf7\x82\x66memmap", 11, -EBADMSG, "at byte 11: "},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		/* Sealed, and without anything more. */
		struct bytes bytes = {.len = cases[i].len + STATE_TRAILER_SIZE};
		memcpy(bytes.at, cases[i].header, cases[i].len);
		bytes_seal(&bytes);
		assert_int_equal(load_all(SET, &bytes), cases[i].err);
		if (!strstr(why, cases[i].words))
			fail_msg("case %zu: said '%s'", i, why);
		bytes.len -= STATE_TRAILER_SIZE;
		assert_true(load_all(SET, &bytes) < 0);
	}
	/* No bytes at all, not even an address. */
	struct memmap_state_source source;
	assert_int_equal(memmap_state_source_init(&source, NULL, 0, NULL), -EBADMSG);
}

static void test_trailer(void **state)
{
	(void)state;
	struct bytes bytes = bytes_around("", 0);
	bytes.len = HEADER_SIZE;
	assert_int_equal(load_all(SET, &bytes), -EBADMSG);
	assert_non_null(strstr(why, "there is no checksum"));
	bytes = bytes_around("\x01", 1);
	bytes.at[HEADER_SIZE + 1 + 3] ^= 1;
	assert_int_equal(load_all(SET, &bytes), -EBADMSG);
	assert_non_null(strstr(why, "cut or damaged: wrong checksum"));
	/* Not a byte string, though its bytes are right. */
	bytes = bytes_around("\x01", 1);
	bytes.at[HEADER_SIZE + 1] = 0x64;
	assert_int_equal(load_all(SET, &bytes), -EBADMSG);
	bytes.at[HEADER_SIZE + 1] = 0x43;
	assert_int_equal(load_all(SET, &bytes), -EBADMSG);
}

/* clang-format off */
#define TYPE_FR     "\x82\x71memmap_file_range"
#define TYPE_M      "\x82\x77memmap_mapping_of_range"
#define TYPE_SET    "\x82\x72memmap_mapping_set\xa1\x68segments"
#define END         "\x63" "end"
#define START       "\x65" "start"
#define VALUES      "\x66" "values"
#define RANGE(s, e) "\xa2" END e START s
#define MAPPING_(id, w, range)                                                                     \
	"\xa3\x65space" id "\x68writable" w "\x6a" "addr_range" range
#define YES         "\xf5"
#define NO          "\xf4"
/* Ids 3 and 24 are those of spaces. */
#define ID3         "\x03"
#define ID24        "\x18\x18"
#define MAX64       "\x1b\xff\xff\xff\xff\xff\xff\xff\xff"
#define OBJECT(text) text, sizeof(text) - 1

/* Made by hand, each wrong in one way. */
static const struct {
	const char *name;
	enum type type;
	const char *object;
	size_t len;
	int err;
	const char *words;
} made_up[] = {
	{"right", FILE_RANGE, OBJECT(TYPE_FR RANGE("\x01", "\x02")), 0, ""},
	{"right, 64 bits", FILE_RANGE, OBJECT(TYPE_FR RANGE("\x00", MAX64)), 0, ""},
	{"right mapping", MAPPING, OBJECT(TYPE_M MAPPING_(ID3, YES, RANGE("\x01", "\x02"))), 0, ""},
	{"right, no space", MAPPING, OBJECT(TYPE_M MAPPING_("\xf6", YES, RANGE("\x01", "\x02"))), 0,
	 ""},
	{"right set", SET,
	 OBJECT(TYPE_SET "\xa3" END "\x82\x02\x05" START "\x82\x01\x02" VALUES "\x82\x80\x82"
		MAPPING_(ID3, NO, RANGE("\x07", "\x0a")) MAPPING_(ID3, YES, RANGE("\x07", "\x0a"))),
	 0, ""},
	{"right, no segments", SET, OBJECT(TYPE_SET "\xa3" END "\x80" START "\x80" VALUES "\x80"),
	 0, ""},

	/* Objects. */
	{"nothing", FILE_RANGE, OBJECT(""), -EBADMSG, "the bytes end where an array is expected"},
	{"a number", FILE_RANGE, OBJECT("\x07"), -EBADMSG, "expected an array, found an unsigned"},
	{"one item", FILE_RANGE, OBJECT("\x81\x71memmap_file_range"), -EBADMSG, "not an object"},
	{"three items", FILE_RANGE, OBJECT("\x83\x71memmap_file_range"), -EBADMSG, "not an object"},
	{"name is no text", FILE_RANGE, OBJECT("\x82\x51memmap_file_range"), -EBADMSG,
	 "expected a text, found bytes"},
	{"another type", FILE_RANGE, OBJECT("\x82\x75memmap_mappable_range"), -EPROTOTYPE,
	 "at byte 12: another type than memmap_file_range"},
	{"unknown type", SET, OBJECT("\x82\x60\x00"), -EPROTOTYPE, "another type than"},
	{"a longer name", FILE_RANGE, OBJECT("\x82\x72memmap_file_rangex"), -EPROTOTYPE, "another"},
	{"a shorter name", FILE_RANGE, OBJECT("\x82\x70memmap_file_rang"), -EPROTOTYPE, "another"},

	/* Fields. */
	{"no map", FILE_RANGE, OBJECT(TYPE_FR "\x82\x01\x02"), -EBADMSG, "expected a map, found an a"},
	{"a field missing", FILE_RANGE, OBJECT(TYPE_FR "\xa1" END "\x02"), -EBADMSG,
	 "a map of 1 pairs where there should be 2"},
	{"a field more", FILE_RANGE, OBJECT(TYPE_FR "\xa3" END "\x02" START "\x01\x66" "values\x01"),
	 -EBADMSG, "a map of 3 pairs where there should be 2"},
	{"unsorted keys", FILE_RANGE, OBJECT(TYPE_FR "\xa2" START "\x01" END "\x02"), -EBADMSG,
	 "another key than 'end'"},
	{"a key twice", FILE_RANGE, OBJECT(TYPE_FR "\xa2" END "\x02" END "\x02"), -EBADMSG,
	 "another key than 'start'"},
	{"unknown key", FILE_RANGE, OBJECT(TYPE_FR "\xa2\x63" "ena\x02" START "\x01"), -EBADMSG,
	 "another key than 'end'"},
	{"key in bytes", FILE_RANGE, OBJECT(TYPE_FR "\xa2\x43" "end\x02" START "\x01"), -EBADMSG,
	 "expected a text, found bytes"},
	{"key is a map", FILE_RANGE, OBJECT(TYPE_FR "\xa2\xa0\x02" START "\x01"), -EBADMSG,
	 "expected a text, found a map"},

	/* Numbers. */
	{"negative", FILE_RANGE, OBJECT(TYPE_FR RANGE("\x20", "\x02")), -EBADMSG,
	 "expected an unsigned number, found something else"},
	{"negative 8", FILE_RANGE, OBJECT(TYPE_FR RANGE("\x38\xff", "\x02")), -EBADMSG, "found some"},
	{"negative 64", FILE_RANGE, OBJECT(TYPE_FR RANGE("\x3b\xff\xff\xff\xff\xff\xff\xff\xff", "\x02")),
	 -EBADMSG, "found something else"},
	{"a bignum", FILE_RANGE, OBJECT(TYPE_FR RANGE("\xc2\x41\x01", "\x02")), -EBADMSG,
	 "expected an unsigned number, found a tag"},
	{"half", FILE_RANGE, OBJECT(TYPE_FR RANGE("\xf9\x3c\x00", "\x02")), -EBADMSG, "found some"},
	{"float", FILE_RANGE, OBJECT(TYPE_FR RANGE("\xfa\x3f\x80\x00\x00", "\x02")), -EBADMSG, "found"},
	{"double", FILE_RANGE, OBJECT(TYPE_FR RANGE("\xfb\x3f\xf0\x00\x00\x00\x00\x00\x00", "\x02")),
	 -EBADMSG, "found something else"},
	{"null", FILE_RANGE, OBJECT(TYPE_FR RANGE("\xf6", "\x02")), -EBADMSG, "found null"},
	{"undefined", FILE_RANGE, OBJECT(TYPE_FR RANGE("\xf7", "\x02")), -EBADMSG, "found some"},
	{"true", FILE_RANGE, OBJECT(TYPE_FR RANGE("\xf5", "\x02")), -EBADMSG, "found a truth value"},
	{"simple value", FILE_RANGE, OBJECT(TYPE_FR RANGE("\xe0", "\x02")), -EBADMSG, "not an item"},
	{"reserved", FILE_RANGE, OBJECT(TYPE_FR RANGE("\x1c", "\x02")), -EBADMSG, "not an item"},
	{"break", FILE_RANGE, OBJECT(TYPE_FR RANGE("\xff", "\x02")), -EBADMSG, "found something else"},
	{"8 bits too many", FILE_RANGE, OBJECT(TYPE_FR RANGE("\x18\x17", "\x18\x18")), -EBADMSG,
	 "an item is longer than it need be"},
	{"16 bits too many", FILE_RANGE, OBJECT(TYPE_FR RANGE("\x01", "\x19\x00\xff")), -EBADMSG,
	 "an item is longer than it need be"},
	{"32 bits too many", FILE_RANGE, OBJECT(TYPE_FR RANGE("\x01", "\x1a\x00\x00\xff\xff")),
	 -EBADMSG, "an item is longer than it need be"},
	{"64 bits too many", FILE_RANGE,
	 OBJECT(TYPE_FR RANGE("\x01", "\x1b\x00\x00\x00\x00\xff\xff\xff\xff")), -EBADMSG,
	 "an item is longer than it need be"},
	{"wrong way round", FILE_RANGE, OBJECT(TYPE_FR RANGE("\x02", "\x01")), -EBADMSG,
	 "a range ends before it starts"},

	/* Lengths. */
	{"endless text", FILE_RANGE, OBJECT("\x82\x7b\xff\xff\xff\xff\xff\xff\xff\xff" "abc"),
	 -EBADMSG, "the bytes end within an item"},
	{"text, high bit", FILE_RANGE, OBJECT("\x82\x7b\x80\x00\x00\x00\x00\x00\x00\x00" "abc"),
	 -EBADMSG, "the bytes end within an item"},
	{"text without its length", FILE_RANGE, OBJECT("\x82\x7b\xff\xff"), -EBADMSG, "within an item"},
	{"endless bytes", MAPPING, OBJECT(TYPE_M "\x5b\xff\xff\xff\xff\xff\xff\xff\xff"), -EBADMSG,
	 "the bytes end within an item"},
	{"endless map", FILE_RANGE, OBJECT(TYPE_FR "\xbb\xff\xff\xff\xff\xff\xff\xff\xff"), -EBADMSG,
	 "a map of 18446744073709551615 pairs where"},
	{"endless array", SET, OBJECT(TYPE_SET "\xa3" END "\x9b\xff\xff\xff\xff\xff\xff\xff\xff"),
	 -EBADMSG, "an array of 18446744073709551615 items in 0 bytes"},
	{"array of 2^61", SET, OBJECT(TYPE_SET "\xa3" END "\x9b\x20\x00\x00\x00\x00\x00\x00\x00"),
	 -EBADMSG, "an array of 2305843009213693952 items"},
	{"array of a little more", SET,
	 OBJECT(TYPE_SET "\xa3" END "\x87\x01\x02\x03\x04\x05\x06\x07" START "\x80"), -EBADMSG,
	 "an array of 7 items in 14 bytes"},
	{"endless mappings", SET,
	 OBJECT(TYPE_SET "\xa3" END "\x81\x01" START "\x81\x00" VALUES
			 "\x81\x9b\xff\xff\xff\xff\xff\xff\xff\xff"),
	 -EBADMSG, "an array of 18446744073709551615 items"},
	{"indefinite array", SET, OBJECT(TYPE_SET "\xa3" END "\x9f\x01\xff"), -EBADMSG,
	 "expected an array, found something else"},
	{"indefinite map", FILE_RANGE, OBJECT(TYPE_FR "\xbf" END "\x02" START "\x01\xff"), -EBADMSG,
	 "expected a map, found something else"},
	{"indefinite text", FILE_RANGE, OBJECT("\x82\x7f\x71memmap_file_range\xff"), -EBADMSG,
	 "expected a text, found something else"},
	{"long array head", FILE_RANGE, OBJECT("\x98\x02\x71memmap_file_range"), -EBADMSG,
	 "longer than it need be"},
	{"long text head", FILE_RANGE, OBJECT("\x82\x78\x11memmap_file_range"), -EBADMSG,
	 "longer than it need be"},
	{"long map head", FILE_RANGE, OBJECT(TYPE_FR "\xb8\x02" END "\x02" START "\x01"), -EBADMSG,
	 "longer than it need be"},

	/* Mappings. */
	{"unknown id", MAPPING, OBJECT(TYPE_M MAPPING_("\x07", YES, RANGE("\x01", "\x02"))), -ENOENT,
	 "nothing has id 7: No such file or directory"},
	{"unknown long id", MAPPING,
	 OBJECT(TYPE_M MAPPING_("\x1b\xff\xff\xff\xff\xff\xff\xff\xfe", YES, RANGE("\x01", "\x02"))),
	 -ENOENT, "nothing has id 18446744073709551614"},
	{"id is a text", MAPPING, OBJECT(TYPE_M MAPPING_("\x61" "3", YES, RANGE("\x01", "\x02"))),
	 -EBADMSG, "expected an unsigned number, found a text"},
	{"writable is a number", MAPPING, OBJECT(TYPE_M MAPPING_(ID3, "\x01", RANGE("\x01", "\x02"))),
	 -EBADMSG, "expected a truth value, found an unsigned number"},
	{"writable is null", MAPPING, OBJECT(TYPE_M MAPPING_(ID3, "\xf6", RANGE("\x01", "\x02"))),
	 -EBADMSG, "expected a truth value, found null"},
	{"writable is long", MAPPING, OBJECT(TYPE_M MAPPING_(ID3, "\xf8\x15", RANGE("\x01", "\x02"))),
	 -EBADMSG, "at byte"},
	{"range wrong way round", MAPPING, OBJECT(TYPE_M MAPPING_(ID3, YES, RANGE("\x03", "\x02"))),
	 -EBADMSG, "a range ends before it starts"},

	/* Sets. */
	{"empty segment", SET, OBJECT(TYPE_SET "\xa3" END "\x81\x01" START "\x81\x01" VALUES "\x81\x80"),
	 -EBADMSG, "an empty segment"},
	{"segment wrong way round", SET,
	 OBJECT(TYPE_SET "\xa3" END "\x81\x01" START "\x81\x02" VALUES "\x81\x80"), -EBADMSG,
	 "an empty segment"},
	{"segments overlap", SET,
	 OBJECT(TYPE_SET "\xa3" END "\x82\x03\x05" START "\x82\x01\x02" VALUES "\x82\x80\x80"),
	 -EBADMSG, "segments out of order"},
	{"segments unsorted", SET,
	 OBJECT(TYPE_SET "\xa3" END "\x82\x05\x03" START "\x82\x04\x02" VALUES "\x82\x80\x80"),
	 -EBADMSG, "segments out of order"},
	{"fewer starts", SET, OBJECT(TYPE_SET "\xa3" END "\x82\x03\x05" START "\x81\x01" VALUES "\x80"),
	 -EBADMSG, "not as many items as segments"},
	{"more values", SET,
	 OBJECT(TYPE_SET "\xa3" END "\x81\x03" START "\x81\x01" VALUES "\x82\x80\x80"), -EBADMSG,
	 "not as many items as segments"},
	{"values is a number", SET, OBJECT(TYPE_SET "\xa3" END "\x81\x03" START "\x81\x01" VALUES "\x00"),
	 -EBADMSG, "expected an array, found an unsigned number"},
	{"mapping without a space", SET,
	 OBJECT(TYPE_SET "\xa3" END "\x81\x03" START "\x81\x01" VALUES "\x81\x81"
		MAPPING_("\xf6", YES, RANGE("\x07", "\x09"))),
	 -EBADMSG, "a mapping without a space"},
	{"mapping too long", SET,
	 OBJECT(TYPE_SET "\xa3" END "\x81\x03" START "\x81\x01" VALUES "\x81\x81"
		MAPPING_(ID3, YES, RANGE("\x07", "\x0a"))),
	 -EBADMSG, "a mapping that is not as long as its segment"},
	{"mapping twice", SET,
	 OBJECT(TYPE_SET "\xa3" END "\x81\x03" START "\x81\x01" VALUES "\x81\x82"
		MAPPING_(ID3, YES, RANGE("\x07", "\x09")) MAPPING_(ID3, YES, RANGE("\x07", "\x09"))),
	 -EBADMSG, "mappings out of order"},
	{"writable first", SET,
	 OBJECT(TYPE_SET "\xa3" END "\x81\x03" START "\x81\x01" VALUES "\x81\x82"
		MAPPING_(ID3, YES, RANGE("\x07", "\x09")) MAPPING_(ID3, NO, RANGE("\x07", "\x09"))),
	 -EBADMSG, "mappings out of order"},
	{"ids unsorted", SET,
	 OBJECT(TYPE_SET "\xa3" END "\x81\x03" START "\x81\x01" VALUES "\x81\x82"
		MAPPING_(ID24, YES, RANGE("\x07", "\x09")) MAPPING_(ID3, YES, RANGE("\x07", "\x09"))),
	 -EBADMSG, "mappings out of order"},
	{"addresses unsorted", SET,
	 OBJECT(TYPE_SET "\xa3" END "\x81\x03" START "\x81\x01" VALUES "\x81\x82"
		MAPPING_(ID3, YES, RANGE("\x08", "\x0a")) MAPPING_(ID24, YES, RANGE("\x07", "\x09"))),
	 -EBADMSG, "mappings out of order"},
};
/* clang-format on */

static void test_made_up(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(made_up) / sizeof(made_up[0]); i++) {
		const struct bytes bytes = bytes_around(made_up[i].object, made_up[i].len);
		const int err = load_all(made_up[i].type, &bytes);
		if (err != made_up[i].err || !strstr(why, made_up[i].words))
			fail_msg("%s: %d, said '%s'", made_up[i].name, err, why);
	}
}

/* Nesting as deep as there are bytes, in every kind of bracket. */
static void test_deep_nesting(void **state)
{
	(void)state;
	static const unsigned char brackets[] = {0x81, 0x82, 0x9f, 0xa1, 0xbf, 0xc1, 0x7f, 0x5f};
	static unsigned char deep[16000];
	for (size_t i = 0; i < sizeof(brackets); i++) {
		memset(deep, brackets[i], sizeof(deep));
		const struct bytes bare = bytes_around(deep, sizeof(deep));
		struct bytes within = bytes_around(deep, sizeof(deep));
		memcpy(within.at + HEADER_SIZE, TYPE_SET, sizeof(TYPE_SET) - 1);
		bytes_seal(&within);
		for (int type = 0; type < NR_TYPES; type++) {
			assert_int_equal(load_all((enum type)type, &bare), -EBADMSG);
			assert_true(load_all((enum type)type, &within) < 0);
		}
	}
}

/* After the wrong type the right one can be asked for. */
static void test_wrong_type_then_right(void **state)
{
	(void)state;
	for (int type = 0; type < NR_TYPES; type++) {
		const struct bytes bytes = example((enum type)type);
		struct memmap_state_source source;
		struct memmap_state_sink sink;
		memmap_state_sink_init(&sink, &references, NULL);
		assert_int_equal(
			memmap_state_source_init(&source, bytes.at, bytes.len, &references), 0);
		for (int other = 0; other < NR_TYPES; other++) {
			if (other != type)
				assert_int_equal(load_one((enum type)other, &source, &sink),
						 -EPROTOTYPE);
		}
		assert_int_equal(load_one((enum type)type, &source, &sink), 0);
		const struct bytes again = bytes_of_sink(&sink);
		assert_bytes_equal(&again, &bytes);
	}
}

static int same_space(void *context, enum memmap_state_kind kind, uint64_t id, void **object)
{
	(void)context;
	(void)kind;
	(void)id;
	*object = &spaces[0];
	return 0;
}

static int no_object(void *context, enum memmap_state_kind kind, uint64_t id, void **object)
{
	(void)context;
	(void)kind;
	(void)id;
	*object = NULL;
	return 0;
}

/* The program resolves different ids to one space, or to none: no set comes of it. */
static void test_references_that_make_no_sense(void **state)
{
	(void)state;
	const struct bytes bytes = example(SET);
	const struct {
		struct memmap_state_references references;
		const char *words;
	} cases[] = {
		{{NULL, same_space, NULL}, "two ids of one space"},
		{{NULL, no_object, NULL}, "a mapping without a space"},
	};
	for (size_t i = 0; i < 2; i++) {
		struct memmap_state_source source;
		struct memmap_mapping_set set = {0};
		assert_int_equal(memmap_state_source_init(&source, bytes.at, bytes.len,
							  &cases[i].references),
				 0);
		assert_int_equal(memmap_mapping_set_state_load(&set, &source), -EBADMSG);
		assert_non_null(strstr(memmap_state_source_why(&source), cases[i].words));
		assert_true(memmap_mapping_set_is_empty(&set));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_examples_are_well),
		cmocka_unit_test(test_cut_at_every_byte),
		cmocka_unit_test(test_cut_and_sealed),
		cmocka_unit_test(test_every_byte_changed),
		cmocka_unit_test(test_every_byte_changed_and_sealed),
		cmocka_unit_test(test_random_changes_sealed),
		cmocka_unit_test(test_header),
		cmocka_unit_test(test_trailer),
		cmocka_unit_test(test_made_up),
		cmocka_unit_test(test_deep_nesting),
		cmocka_unit_test(test_wrong_type_then_right),
		cmocka_unit_test(test_references_that_make_no_sense),
	};
	return cmocka_run_group_tests_name("memmap/state_hostile", tests, NULL, NULL);
}
