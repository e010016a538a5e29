/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saving and restoring what is well: the exact bytes, round trips, order that does not depend on
 * addresses, and memory that runs out.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "memmap/state_world.h"
#include "panic.h"
#include <memmap/mapping_set.h>
#include <memmap/state.h>

#define P MEMMAP_PAGE_SIZE

static void test_checksum(void **state)
{
	(void)state;
	/* Known answers of CRC-32C. */
	static const unsigned char zeros[32];
	assert_true(memmap_state_checksum((const unsigned char *)"123456789", 9) == 0xe3069283);
	assert_true(memmap_state_checksum(zeros, 32) == 0x8a9136aa);
	assert_true(memmap_state_checksum(zeros, 0) == 0);
}

/* The format does not change by accident: docs/state-format.md shows these bytes. */
static void test_exact_bytes(void **state)
{
	(void)state;
	static const unsigned char expected[] =
		HEADER "\x82\x71memmap_file_range\xa2\x63"
		       "end\x19\x30\x00\x65start\x19\x10\x00"
		       "\x82\x77memmap_mapping_of_range\xa3\x65space\x03\x68writable\xf5\x6a"
		       "addr_range\xa2\x63"
		       "end\x1a\x00\x01\x20\x00\x65start\x1a\x00\x01\x00\x00"
		       "\x44\x1c\xb6\x96\x49";
	const struct memmap_file_range fr = {0x1000, 0x3000};
	const struct memmap_mapping_of_range m = {&spaces[1], {0x10000, 0x12000}, true};
	struct memmap_state_sink sink = new_sink();
	assert_int_equal(memmap_file_range_state_save(&fr, &sink), 0);
	assert_int_equal(memmap_mapping_of_range_state_save(&m, &sink), 0);
	const struct bytes bytes = bytes_of_sink(&sink);
	assert_int_equal(bytes.len, sizeof(expected) - 1);
	assert_memory_equal(bytes.at, expected, sizeof(expected) - 1);
}

static void check_names(const char *type_name, const char *expected_name, const char *const *fields,
			const char *expected_fields)
{
	char joined[100] = "";
	assert_string_equal(type_name, expected_name);
	for (; *fields; fields++) {
		strcat(joined, *fields);
		strcat(joined, " ");
	}
	assert_string_equal(joined, expected_fields);
}

static void test_names(void **state)
{
	(void)state;
#define CHECK_NAMES(type, fields)                                                                  \
	check_names(type##_state_type_name(), #type, type##_state_fields(), fields)
	CHECK_NAMES(memmap_addr_range, "start end ");
	CHECK_NAMES(memmap_file_range, "start end ");
	CHECK_NAMES(memmap_mappable_range, "start end ");
	CHECK_NAMES(memmap_mapping_of_range, "space addr_range writable ");
	CHECK_NAMES(memmap_mapping_segment_data_slices, "start end values ");
	CHECK_NAMES(memmap_mapping_set, "segments ");
}

static const uint64_t keys[] = {
	0,      1,       23,         24,          0xff,           0x100,
	0xffff, 0x10000, 0xffffffff, 0x100000000, 0x7fffffffffff, UINT64_MAX,
};
#define NR_KEYS (sizeof(keys) / sizeof(keys[0]))

/* Every width of number there is. */
static void test_ranges_round_trip(void **state)
{
	(void)state;
	struct memmap_state_sink sink = new_sink();
	for (size_t i = 0; i < NR_KEYS; i++) {
		for (size_t j = i; j < NR_KEYS; j++) {
			const struct memmap_addr_range ar = {keys[i], keys[j]};
			const struct memmap_file_range fr = {keys[i], keys[j]};
			const struct memmap_mappable_range mr = {keys[i], keys[j]};
			assert_int_equal(memmap_addr_range_state_save(&ar, &sink), 0);
			assert_int_equal(memmap_file_range_state_save(&fr, &sink), 0);
			assert_int_equal(memmap_mappable_range_state_save(&mr, &sink), 0);
		}
	}
	const struct bytes bytes = bytes_of_sink(&sink);
	struct memmap_state_source source = source_of(&bytes);
	for (size_t i = 0; i < NR_KEYS; i++) {
		for (size_t j = i; j < NR_KEYS; j++) {
			struct memmap_addr_range ar = {7, 7};
			struct memmap_file_range fr = {7, 7};
			struct memmap_mappable_range mr = {7, 7};
			assert_false(memmap_state_source_at_end(&source));
			assert_int_equal(memmap_addr_range_state_load(&ar, &source), 0);
			assert_int_equal(memmap_file_range_state_load(&fr, &source), 0);
			assert_int_equal(memmap_mappable_range_state_load(&mr, &source), 0);
			assert_true(ar.start == keys[i] && ar.end == keys[j]);
			assert_true(fr.start == keys[i] && fr.end == keys[j]);
			assert_true(mr.start == keys[i] && mr.end == keys[j]);
		}
	}
	assert_true(memmap_state_source_at_end(&source));
	struct memmap_file_range fr = {7, 7};
	assert_int_equal(memmap_file_range_state_load(&fr, &source), -EBADMSG);
	assert_non_null(strstr(memmap_state_source_why(&source), "the bytes end where"));
	assert_true(fr.start == 7 && fr.end == 7);
	assert_true(memmap_state_source_at_end(&source));
}

static void test_mapping_of_range_round_trip(void **state)
{
	(void)state;
	for (size_t i = 0; i <= NR_SPACES; i++) {
		for (int writable = 0; writable < 2; writable++) {
			const struct memmap_mapping_of_range m = {
				i < NR_SPACES ? &spaces[i] : NULL, {0x1000, 0x2000}, writable};
			struct memmap_mapping_of_range loaded = {0};
			struct memmap_state_sink sink = new_sink();
			assert_int_equal(memmap_mapping_of_range_state_save(&m, &sink), 0);
			const struct bytes bytes = bytes_of_sink(&sink);
			struct memmap_state_source source = source_of(&bytes);
			assert_int_equal(memmap_mapping_of_range_state_load(&loaded, &source), 0);
			assert_true(memmap_mapping_of_range_equal(m, loaded));
			assert_string_equal(memmap_state_source_why(&source), "no error");
		}
	}
}

static void test_empty_state(void **state)
{
	(void)state;
	struct memmap_state_sink sink = new_sink();
	const struct bytes bytes = bytes_of_sink(&sink);
	const struct bytes expected = bytes_around("", 0);
	assert_bytes_equal(&bytes, &expected);
	struct memmap_state_source source = source_of(&bytes);
	assert_true(memmap_state_source_at_end(&source));
}

static void test_finishing_twice(void **state)
{
	(void)state;
	struct memmap_state_sink sink = new_sink();
	const void *first;
	const void *second;
	size_t first_len;
	size_t second_len;
	assert_int_equal(memmap_state_sink_finish(&sink, &first, &first_len), 0);
	assert_int_equal(memmap_state_sink_finish(&sink, &second, &second_len), 0);
	assert_ptr_equal(first, second);
	assert_int_equal(first_len, second_len);
	const struct memmap_file_range fr = {0, 1};
	assert_panics("memmap_file_range saved into a finished sink",
		      memmap_file_range_state_save(&fr, &sink));
	memmap_state_sink_release(&sink);
	/* And it is good for another. */
	assert_int_equal(memmap_file_range_state_save(&fr, &sink), 0);
	memmap_state_sink_release(&sink);
}

/* ---- mapping sets ---- */

struct mapping {
	size_t space;
	uint64_t first_page, nr_pages, first_offset_page;
	bool writable;
};

static void add(struct memmap_mapping_set *set, const struct mapping *m)
{
	const struct memmap_addr_range ar = {m->first_page * P, (m->first_page + m->nr_pages) * P};
	assert_int_equal(memmap_mapping_set_add_mapping(set, &spaces[m->space], ar,
							m->first_offset_page * P, m->writable,
							NULL),
			 0);
}

static const struct mapping mappings[] = {
	{0, 0x100, 8, 0, true},    {1, 0x200, 4, 2, false},  {2, 0x200, 4, 2, false},
	{2, 0x200, 4, 2, true},    {3, 0x300, 1, 100, true}, {0, 0x400, 2, 101, false},
	{0, 0x402, 2, 103, false}, {4, 0x500, 6, 1, true},   {5, 0x500, 6, 1, true},
	{3, 0x600, 3, 200, true},
};
#define NR_MAPPINGS (sizeof(mappings) / sizeof(mappings[0]))

static struct bytes save_set(const struct memmap_mapping_set *set)
{
	struct memmap_state_sink sink = new_sink();
	assert_int_equal(memmap_mapping_set_state_save(set, &sink), 0);
	return bytes_of_sink(&sink);
}

/* The same segments with the same mappings? */
static void assert_sets_equal(const struct memmap_mapping_set *a,
			      const struct memmap_mapping_set *b)
{
	struct memmap_mapping_iterator i = memmap_mapping_set_first_segment(a);
	struct memmap_mapping_iterator j = memmap_mapping_set_first_segment(b);
	for (; memmap_mapping_iterator_ok(i); i = memmap_mapping_iterator_next_segment(i),
					      j = memmap_mapping_iterator_next_segment(j)) {
		struct memmap_mapping_of_range in_a[NR_MAPPINGS];
		struct memmap_mapping_of_range in_b[NR_MAPPINGS];
		assert_true(memmap_mapping_iterator_ok(j));
		assert_true(memmap_mapping_iterator_start(i) == memmap_mapping_iterator_start(j));
		assert_true(memmap_mapping_iterator_end(i) == memmap_mapping_iterator_end(j));
		const size_t nr = memmap_mapping_iterator_mappings(i, in_a, NR_MAPPINGS);
		assert_int_equal(memmap_mapping_iterator_mappings(j, in_b, NR_MAPPINGS), nr);
		for (size_t k = 0; k < nr; k++)
			assert_true(memmap_mapping_of_range_equal(in_a[k], in_b[k]));
	}
	assert_false(memmap_mapping_iterator_ok(j));
}

static void test_set_round_trip(void **state)
{
	(void)state;
	struct memmap_mapping_set set = {0};
	for (size_t nr = 0; nr <= NR_MAPPINGS; nr++) {
		const struct bytes bytes = save_set(&set);
		struct memmap_mapping_set loaded = {0};
		struct memmap_state_source source = source_of(&bytes);
		assert_int_equal(memmap_mapping_set_state_load(&loaded, &source), 0);
		assert_true(memmap_state_source_at_end(&source));
		assert_int_equal(memmap_mapping_set_verify(&loaded), 0);
		assert_sets_equal(&set, &loaded);
		const struct bytes again = save_set(&loaded);
		assert_bytes_equal(&bytes, &again);
		memmap_mapping_set_destroy(&loaded);
		if (nr < NR_MAPPINGS)
			add(&set, &mappings[nr]);
	}
	memmap_mapping_set_destroy(&set);
	assert_int_equal(memory_live, 0);
}

/* A restored set goes on where the saved one stopped. */
static void test_restored_set_works(void **state)
{
	(void)state;
	struct memmap_mapping_set set = {0};
	for (size_t i = 0; i < NR_MAPPINGS; i++)
		add(&set, &mappings[i]);
	const struct bytes bytes = save_set(&set);
	memmap_mapping_set_destroy(&set);
	struct memmap_state_source source = source_of(&bytes);
	assert_int_equal(memmap_mapping_set_state_load(&set, &source), 0);
	for (size_t i = 0; i < NR_MAPPINGS; i++) {
		const struct mapping *m = &mappings[i];
		const struct memmap_addr_range ar = {m->first_page * P,
						     (m->first_page + m->nr_pages) * P};
		assert_int_equal(memmap_mapping_set_remove_mapping(&set, &spaces[m->space], ar,
								   m->first_offset_page * P,
								   m->writable, NULL),
				 0);
	}
	assert_true(memmap_mapping_set_is_empty(&set));
	memmap_mapping_set_destroy(&set);
}

/* Neither the order in which things were added nor where the spaces are shows in the bytes. */
static void test_set_bytes_are_the_same(void **state)
{
	(void)state;
	srand(42);
	struct memmap_mapping_set set = {0};
	/* Of one range only, so that no order of adding splits it in another way. */
	static const struct mapping same[] = {
		{0, 0x100, 8, 0, true},  {1, 0x100, 8, 0, false}, {2, 0x100, 8, 0, true},
		{2, 0x100, 8, 0, false}, {3, 0x900, 8, 0, true},  {4, 0x080, 8, 0, true},
		{5, 0x100, 8, 0, true},
	};
	const size_t nr = sizeof(same) / sizeof(same[0]);
	for (size_t i = 0; i < nr; i++)
		add(&set, &same[i]);
	const struct bytes expected = save_set(&set);
	memmap_mapping_set_destroy(&set);
	for (int round = 0; round < 50; round++) {
		size_t order[16];
		for (size_t i = 0; i < nr; i++) {
			const size_t j = (size_t)rand() % (i + 1);
			order[i] = order[j];
			order[j] = i;
		}
		for (size_t i = 0; i < nr; i++)
			add(&set, &same[order[i]]);
		const struct bytes bytes = save_set(&set);
		assert_bytes_equal(&bytes, &expected);
		memmap_mapping_set_destroy(&set);
	}
}

static void test_slices_round_trip(void **state)
{
	(void)state;
	struct memmap_mapping_set set = {0};
	for (size_t i = 0; i < NR_MAPPINGS; i++)
		add(&set, &mappings[i]);
	struct memmap_mapping_segment_data_slices slices;
	assert_int_equal(memmap_mapping_set_export_sorted_slices(&set, &slices), 0);
	struct memmap_state_sink sink = new_sink();
	assert_int_equal(memmap_mapping_segment_data_slices_state_save(&slices, &sink), 0);
	const struct bytes bytes = bytes_of_sink(&sink);
	memmap_mapping_segment_data_slices_release(&slices);

	struct memmap_state_source source = source_of(&bytes);
	assert_int_equal(memmap_mapping_segment_data_slices_state_load(&slices, &source), 0);
	struct memmap_mapping_set loaded = {0};
	assert_int_equal(memmap_mapping_set_import_sorted_slices(&loaded, &slices), 0);
	assert_sets_equal(&set, &loaded);
	memmap_mapping_segment_data_slices_release(&slices);
	memmap_mapping_set_destroy(&loaded);
	memmap_mapping_set_destroy(&set);
	assert_int_equal(memory_live, 0);
}

static void test_load_into_a_set_that_is_not_empty(void **state)
{
	(void)state;
	struct memmap_mapping_set set = {0};
	add(&set, &mappings[0]);
	const struct bytes bytes = save_set(&set);
	struct memmap_state_source source = source_of(&bytes);
	assert_int_equal(memmap_mapping_set_state_load(&set, &source), -EEXIST);
	const struct bytes after = save_set(&set);
	assert_bytes_equal(&bytes, &after);
	/* The source is as it was. */
	memmap_mapping_set_destroy(&set);
	assert_int_equal(memmap_mapping_set_state_load(&set, &source), 0);
	memmap_mapping_set_destroy(&set);
}

/* ---- what cannot be saved ---- */

/* Saving fails with `err`, and the sink is as it was: another object can still be saved. */
#define CHECK_UNSAVABLE(type, object, err)                                                         \
	do {                                                                                       \
		const struct memmap_file_range fr_ = {1, 2};                                       \
		struct memmap_state_sink sink_ = new_sink();                                       \
		struct memmap_state_sink other_ = new_sink();                                      \
		assert_int_equal(type##_state_save(object, &sink_), err);                          \
		assert_int_equal(memmap_file_range_state_save(&fr_, &sink_), 0);                   \
		assert_int_equal(type##_state_save(object, &sink_), err);                          \
		assert_int_equal(memmap_file_range_state_save(&fr_, &other_), 0);                  \
		const struct bytes bytes_ = bytes_of_sink(&sink_);                                 \
		const struct bytes expected_ = bytes_of_sink(&other_);                             \
		assert_bytes_equal(&bytes_, &expected_);                                           \
	} while (0)

static void test_invalid_objects_are_not_saved(void **state)
{
	(void)state;
	const struct memmap_addr_range ar = {2, 1};
	const struct memmap_file_range fr = {2, 1};
	const struct memmap_mappable_range mr = {UINT64_MAX, 0};
	const struct memmap_mapping_of_range m = {&spaces[0], {2, 1}, true};
	CHECK_UNSAVABLE(memmap_addr_range, &ar, -EINVAL);
	CHECK_UNSAVABLE(memmap_file_range, &fr, -EINVAL);
	CHECK_UNSAVABLE(memmap_mappable_range, &mr, -EINVAL);
	CHECK_UNSAVABLE(memmap_mapping_of_range, &m, -EINVAL);
}

static void test_invalid_slices_are_not_saved(void **state)
{
	(void)state;
	static const struct {
		uint64_t start[2], end[2];
	} cases[] = {
		{{0, 2 * P}, {P, 2 * P}}, /* empty */
		{{P, 3 * P}, {0, 4 * P}}, /* the wrong way round */
		{{P, 0}, {2 * P, P}},     /* unsorted */
		{{0, P}, {2 * P, 3 * P}}, /* overlapping */
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct memmap_mappings_of_range values[2] = {{0}, {0}};
		uint64_t start[2];
		uint64_t end[2];
		memcpy(start, cases[i].start, sizeof(start));
		memcpy(end, cases[i].end, sizeof(end));
		const struct memmap_mapping_segment_data_slices slices = {2, start, end, values};
		CHECK_UNSAVABLE(memmap_mapping_segment_data_slices, &slices, -EINVAL);
	}
	/* A mapping that is not as long as its segment. */
	struct memmap_mappings_of_range value = {0};
	assert_int_equal(
		memmap_mappings_of_range_add(
			&value, (struct memmap_mapping_of_range){&spaces[0], {0, P}, true}),
		0);
	uint64_t start = 0;
	uint64_t end = 2 * P;
	const struct memmap_mapping_segment_data_slices slices = {1, &start, &end, &value};
	CHECK_UNSAVABLE(memmap_mapping_segment_data_slices, &slices, -EINVAL);
	memmap_mappings_of_range_clear(&value);
}

static void test_references_that_fail(void **state)
{
	(void)state;
	struct memmap_mapping_set set = {0};
	for (size_t i = 0; i < NR_MAPPINGS; i++)
		add(&set, &mappings[i]);
	const struct memmap_mapping_of_range m = {&spaces[1], {0x1000, 0x2000}, true};
	const struct bytes bytes = save_set(&set);
	struct memmap_mapping_set loaded = {0};

	references_err = -EDOM;
	CHECK_UNSAVABLE(memmap_mapping_of_range, &m, -EDOM);
	CHECK_UNSAVABLE(memmap_mapping_set, &set, -EDOM);
	struct memmap_state_source source = source_of(&bytes);
	assert_int_equal(memmap_mapping_set_state_load(&loaded, &source), -EDOM);
	assert_true(memmap_mapping_set_is_empty(&loaded));
	/* It may be tried again. */
	references_err = 0;
	assert_int_equal(memmap_mapping_set_state_load(&loaded, &source), 0);
	memmap_mapping_set_destroy(&loaded);

	/* Nobody to ask. */
	struct memmap_state_sink sink;
	memmap_state_sink_init(&sink, NULL, NULL);
	assert_int_equal(memmap_mapping_of_range_state_save(&m, &sink), -EINVAL);
	assert_int_equal(memmap_mapping_set_state_save(&set, &sink), -EINVAL);
	memmap_state_sink_release(&sink);
	assert_int_equal(memmap_state_source_init(&source, bytes.at, bytes.len, NULL), 0);
	assert_int_equal(memmap_mapping_set_state_load(&loaded, &source), -EINVAL);
	assert_non_null(strstr(memmap_state_source_why(&source), "nobody to resolve it"));
	assert_true(memmap_mapping_set_is_empty(&loaded));
	memmap_mapping_set_destroy(&set);
}

static int one_id_for_all(void *context, enum memmap_state_kind kind, const void *object,
			  uint64_t *id)
{
	(void)context;
	(void)kind;
	(void)object;
	*id = 5;
	return 0;
}

static void test_one_id_for_two_spaces(void **state)
{
	(void)state;
	const struct memmap_state_references wrong = {one_id_for_all, world_object_of, spaces};
	struct memmap_mapping_set set = {0};
	const struct mapping a = {1, 0x100, 1, 0, true};
	const struct mapping b = {2, 0x100, 1, 0, true};
	add(&set, &a);
	add(&set, &b);
	struct memmap_state_sink sink;
	memmap_state_sink_init(&sink, &wrong, NULL);
	assert_int_equal(memmap_mapping_set_state_save(&set, &sink), -EINVAL);
	memmap_state_sink_release(&sink);
	memmap_mapping_set_destroy(&set);
}

/* ---- memory that runs out ---- */

static void test_save_without_memory(void **state)
{
	(void)state;
	struct memmap_mapping_set set = {0};
	for (size_t i = 0; i < NR_MAPPINGS; i++)
		add(&set, &mappings[i]);
	const struct bytes expected = save_set(&set);
	const size_t live = memory_live;
	size_t budget = 0;
	for (bool refused = true; refused; budget++) {
		struct memmap_state_sink sink = new_sink();
		memory_budget = budget;
		memory_refused = 0;
		const void *bytes;
		size_t len;
		int err = memmap_mapping_set_state_save(&set, &sink);
		const bool saved = err == 0;
		if (saved)
			err = memmap_state_sink_finish(&sink, &bytes, &len);
		refused = memory_refused > 0;
		assert_int_equal(err, refused ? -ENOMEM : 0);
		/* With memory it goes on where it was. */
		memory_budget = SIZE_MAX;
		if (!saved)
			assert_int_equal(memmap_mapping_set_state_save(&set, &sink), 0);
		const struct bytes again = bytes_of_sink(&sink);
		assert_bytes_equal(&again, &expected);
		assert_int_equal(memory_live, live);
	}
	assert_true(budget > 10);
	memmap_mapping_set_destroy(&set);
}

/* The bytes grow at every place where they can, so finishing meets a full sink as well. */
static void test_finish_without_memory(void **state)
{
	(void)state;
	size_t nr_refused = 0;
	for (size_t nr = 0; nr < 40; nr++) {
		struct memmap_state_sink sink = new_sink();
		const struct memmap_file_range fr = {1, 2};
		for (size_t i = 0; i < nr; i++)
			assert_int_equal(memmap_file_range_state_save(&fr, &sink), 0);
		memory_budget = 0;
		const void *bytes;
		size_t len;
		const int err = memmap_state_sink_finish(&sink, &bytes, &len);
		memory_budget = SIZE_MAX;
		assert_true(err == 0 || err == -ENOMEM);
		nr_refused += err != 0;
		if (err) {
			assert_int_equal(memmap_file_range_state_save(&fr, &sink), 0);
			assert_int_equal(memmap_state_sink_finish(&sink, &bytes, &len), 0);
		}
		memmap_state_sink_release(&sink);
	}
	assert_true(nr_refused > 0);
	assert_int_equal(memory_live, 0);
}

static void test_load_without_memory(void **state)
{
	(void)state;
	struct memmap_mapping_set set = {0};
	for (size_t i = 0; i < NR_MAPPINGS; i++)
		add(&set, &mappings[i]);
	const struct bytes bytes = save_set(&set);
	memmap_mapping_set_destroy(&set);
	assert_int_equal(memory_live, 0);
	size_t nr_failed = 0;
	size_t budget = 0;
	for (bool refused = true; refused; budget++) {
		struct memmap_state_source source = source_of(&bytes);
		memory_budget = budget;
		memory_refused = 0;
		int err = memmap_mapping_set_state_load(&set, &source);
		refused = memory_refused > 0;
		memory_budget = SIZE_MAX;
		/* What the set asks for only to be faster may be refused. */
		assert_true(err == 0 || (err == -ENOMEM && refused));
		if (err) {
			nr_failed++;
			assert_true(memmap_mapping_set_is_empty(&set));
			assert_int_equal(memmap_mapping_set_verify(&set), 0);
			assert_non_null(strstr(memmap_state_source_why(&source), "out of memory"));
			err = memmap_mapping_set_state_load(&set, &source);
		}
		assert_int_equal(err, 0);
		const struct bytes again = save_set(&set);
		assert_bytes_equal(&again, &bytes);
		memmap_mapping_set_destroy(&set);
		assert_int_equal(memory_live, 0);
	}
	assert_true(nr_failed > 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_checksum),
		cmocka_unit_test(test_exact_bytes),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_ranges_round_trip),
		cmocka_unit_test(test_mapping_of_range_round_trip),
		cmocka_unit_test(test_empty_state),
		cmocka_unit_test(test_finishing_twice),
		cmocka_unit_test(test_set_round_trip),
		cmocka_unit_test(test_restored_set_works),
		cmocka_unit_test(test_set_bytes_are_the_same),
		cmocka_unit_test(test_slices_round_trip),
		cmocka_unit_test(test_load_into_a_set_that_is_not_empty),
		cmocka_unit_test(test_invalid_objects_are_not_saved),
		cmocka_unit_test(test_invalid_slices_are_not_saved),
		cmocka_unit_test(test_references_that_fail),
		cmocka_unit_test(test_one_id_for_two_spaces),
		cmocka_unit_test(test_save_without_memory),
		cmocka_unit_test(test_finish_without_memory),
		cmocka_unit_test(test_load_without_memory),
	};
	return cmocka_run_group_tests_name("memmap/state", tests, NULL, NULL);
}
