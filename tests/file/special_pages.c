/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Special pages: what they read as, what they refuse, what they cost.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include <memmap/arch.h>
#include <memmap/error.h>
#include <memmap/special_pages.h>

#include "file/failing_host.h"
#include "file/recording_space.h"
#include "memmap/failing_allocator.h"
#include "panic.h"

#define PAGE MEMMAP_PAGE_SIZE

static void test_life(void **state)
{
	(void)state;
	unsigned char image[PAGE + 5], vec[3];
	char name[16], why[200];
	struct memmap_memory_file *mf;
	struct memmap_mapping_identity *identity;
	struct memmap_mappable *mappable;
	struct recording_space space;
	struct memmap_memory_usage usage;
	recording_space_init(&space);
	for (size_t i = 0; i < sizeof(image); i++)
		image[i] = (unsigned char)(i * 7 + 1);
	assert_int_equal(memmap_memory_file_create(NULL, &mf), 0);
	assert_int_equal(memmap_special_pages_create(mf, NULL, "[vdso]", image, sizeof(image),
						     &identity, &mappable),
			 0);
	memmap_memory_file_usage(mf, &usage);
	assert_int_equal(usage.by_kind[MEMMAP_MEMORY_SYSTEM], 2 * PAGE);
	assert_int_equal(memmap_mapping_identity_mapped_name(identity, NULL, name, sizeof(name)),
			 6);
	assert_string_equal(name, "[vdso]");
	assert_int_equal(memmap_mapping_identity_device_id(identity), 0);
	assert_int_equal(memmap_mapping_identity_inode_id(identity), 0);

	const struct memmap_addr_range ar = {0x10000, 0x13000};
	assert_int_equal(memmap_mappable_add_mapping(mappable, NULL, &space.space, ar, 0, true),
			 -EACCES);
	assert_int_equal(memmap_mappable_add_mapping(mappable, NULL, &space.space, ar, 0, false),
			 0);
	assert_int_equal(
		memmap_mappable_copy_mapping(mappable, NULL, &space.space, ar, ar, 0, true),
		-EACCES);
	assert_int_equal(memmap_mappable_resident(mappable, NULL,
						  (struct memmap_mappable_range){0, 3 * PAGE}, vec),
			 0);
	assert_memory_equal(vec, "\1\1\0", 3);

	struct memmap_translations ts = {0};
	const struct memmap_mappable_range first = {0, PAGE}, all = {0, 3 * PAGE};
	assert_int_equal(memmap_mappable_translate(mappable, NULL, first, all, MEMMAP_WRITE, &ts),
			 -EACCES);
	assert_int_equal(ts.len, 0);
	int err = memmap_mappable_translate(mappable, NULL, first, all, MEMMAP_READ | MEMMAP_EXEC,
					    &ts);
	assert_int_equal(err, 0);
	assert_int_equal(memmap_check_translate_result(first, all, MEMMAP_READ | MEMMAP_EXEC,
						       memmap_translations_data(&ts), ts.len, err,
						       why, sizeof(why)),
			 0);
	const struct memmap_translation t = memmap_translations_data(&ts)[0];
	assert_int_equal(t.source.end, 2 * PAGE);
	assert_false(t.perms & MEMMAP_WRITE);
	struct memmap_block_seq seq;
	assert_int_equal(memmap_file_map_internal(t.file, memmap_translation_file_range(t),
						  MEMMAP_READ, &seq),
			 0);
	const unsigned char *bytes = memmap_block_seq_head(seq).addr;
	assert_memory_equal(bytes, image, sizeof(image));
	for (size_t i = sizeof(image); i < 2 * PAGE; i++)
		assert_int_equal(bytes[i], 0);
	memmap_translations_release(&ts);

	err = memmap_mappable_translate(mappable, NULL, all, all, MEMMAP_READ, &ts);
	assert_true(memmap_is_bus_error(err));
	assert_int_equal(ts.len, 1);
	assert_int_equal(memmap_check_translate_result(all, all, MEMMAP_READ,
						       memmap_translations_data(&ts), ts.len, err,
						       why, sizeof(why)),
			 0);
	memmap_translations_release(&ts);
	err = memmap_mappable_translate(mappable, NULL,
					(struct memmap_mappable_range){2 * PAGE, 3 * PAGE}, all,
					MEMMAP_READ, &ts);
	assert_true(memmap_is_bus_error(err));
	assert_int_equal(ts.len, 0);

	memmap_special_pages_write(mappable, PAGE - 1, "ab", 2);
	assert_memory_equal(bytes + PAGE - 1, "ab", 2);
	memmap_special_pages_write(mappable, 2 * PAGE, NULL, 0);
	assert_panics("[vdso]: writing 0x2 bytes at 0x1fff of 0x2000",
		      memmap_special_pages_write(mappable, 2 * PAGE - 1, "ab", 2));
	assert_int_equal(memmap_mapping_identity_msync(identity, NULL, first), 0);
	assert_int_equal(memmap_mapping_identity_punch_hole(identity, NULL, first), -EOPNOTSUPP);
	assert_int_equal(memmap_mappable_invalidate_unsavable(mappable, NULL), 0);
	assert_int_equal(memmap_mappable_remove_mapping(mappable, NULL, &space.space, ar, 0, false),
			 0);
	memmap_mapping_identity_inc_ref(identity);
	memmap_mapping_identity_dec_ref(identity, NULL);
	memmap_mapping_identity_dec_ref(identity, NULL);
	memmap_memory_file_usage(mf, &usage);
	assert_int_equal(usage.total, 0);
	assert_panics("no length", (void)memmap_special_pages_create(mf, NULL, "[x]", "", 0,
								     &identity, &mappable));
	assert_int_equal(
		memmap_special_pages_create(mf, NULL, "[x]", "", UINT64_MAX, &identity, &mappable),
		-ENOMEM);
	memmap_memory_file_release(mf);
}

static void test_failures(void **state)
{
	(void)state;
	int err = -1;
	for (size_t n = 0; err; n++) {
		struct failing_allocator failing;
		struct memmap_memory_file *mf;
		struct memmap_mapping_identity *identity = NULL;
		struct memmap_mappable *mappable = NULL;
		failing_allocator_init(&failing, SIZE_MAX);
		const struct memmap_memory_file_options options = {.allocator = &failing.allocator};
		assert_int_equal(memmap_memory_file_create(&options, &mf), 0);
		failing.budget = n;
		err = memmap_special_pages_create(mf, &failing.allocator, "[vdso]", "bytes", 5,
						  &identity, &mappable);
		struct memmap_memory_usage usage;
		memmap_memory_file_usage(mf, &usage);
		assert_int_equal(usage.total, err ? 0 : PAGE);
		if (err) {
			assert_int_equal(err, -ENOMEM);
			assert_null(identity);
		} else {
			assert_true(n > 1);
			memmap_mapping_identity_dec_ref(identity, NULL);
		}
		memmap_memory_file_release(mf);
		assert_int_equal(failing.nr_live, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_failures),
	};
	return cmocka_run_group_tests_name("file/special_pages", tests, NULL, NULL);
}
