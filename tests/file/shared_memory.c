/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared memory: pages as they are touched, its end, holes, who is told, and want of memory.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include <cmocka.h>

#include <memmap/arch.h>
#include <memmap/error.h>
#include <memmap/shared_memory.h>

#include "file/failing_host.h"
#include "file/mappable.h"
#include "memmap/failing_allocator.h"
#include "panic.h"

#define CG 4

static struct memmap_memory_file *mf;

static int make(uint64_t size)
{
	recording_space_init(&space);
	return memmap_memory_file_create(NULL, &mf) ||
	       memmap_shared_memory_create(mf, size, CG, NULL, &identity, &mappable);
}

static int setup(void **state)
{
	(void)state;
	return make(8 * PAGE);
}

static uint64_t usage(void)
{
	struct memmap_memory_usage u, all;
	memmap_memory_file_usage(mf, &all);
	memmap_memory_file_cgroup_usage(mf, CG, &u);
	assert_int_equal(u.total, all.total);
	assert_int_equal(u.by_kind[MEMMAP_MEMORY_SHARED], u.total);
	return u.total / PAGE;
}

static int teardown(void **state)
{
	(void)state;
	memmap_mapping_identity_dec_ref(identity, NULL);
	assert_int_equal(usage(), 0);
	assert_int_equal(memmap_memory_file_verify(mf), 0);
	memmap_memory_file_release(mf);
	return 0;
}

/* translate(), checked; how much was translated in `*source`. */
static int translate(struct memmap_mappable_range required, struct memmap_mappable_range optional,
		     struct memmap_mappable_range *source, unsigned char **bytes)
{
	struct memmap_translations ts;
	const int err = translate_all(required, optional, MEMMAP_WRITE, &ts);
	*source = pages(0, 0);
	if (ts.len > 0) {
		const struct memmap_translation *t = memmap_translations_data(&ts);
		*source =
			(struct memmap_mappable_range){t[0].source.start, t[ts.len - 1].source.end};
		struct memmap_block_seq seq;
		assert_int_equal(memmap_file_map_internal(t[0].file,
							  memmap_translation_file_range(t[0]),
							  MEMMAP_WRITE, &seq),
				 0);
		*bytes = memmap_block_seq_head(seq).addr;
	}
	memmap_translations_release(&ts);
	return err;
}

static unsigned char *touch(uint64_t page)
{
	struct memmap_mappable_range source;
	unsigned char *bytes;
	assert_int_equal(translate(pages(page, page + 1), pages(page, page + 1), &source, &bytes),
			 0);
	return bytes;
}

#define assert_pages(mr, from, to)                                                                 \
	do {                                                                                       \
		assert_int_equal((mr).start, (from)*PAGE);                                         \
		assert_int_equal((mr).end, (to)*PAGE);                                             \
	} while (0)

static void test_names(void **state)
{
	(void)state;
	char name[64];
	assert_int_equal(memmap_mapping_identity_mapped_name(identity, NULL, name, sizeof(name)),
			 19);
	assert_string_equal(name, "/dev/zero (deleted)");
	assert_int_equal(memmap_mapping_identity_mapped_name(identity, NULL, NULL, 0), 19);
	assert_int_equal(memmap_mapping_identity_mapped_name(identity, NULL, name, 5), 19);
	assert_string_equal(name, "/dev");
	assert_int_equal(memmap_mapping_identity_device_id(identity), makedev(0, 1));

	struct memmap_mapping_identity *other;
	struct memmap_mappable *other_mappable;
	struct memmap_shared_memory_options options = {.name = "/memfd:x (deleted)"};
	assert_int_equal(memmap_shared_memory_create(mf, 1, 0, &options, &other, &other_mappable),
			 0);
	assert_int_not_equal(memmap_mapping_identity_inode_id(other),
			     memmap_mapping_identity_inode_id(identity));
	memmap_mapping_identity_mapped_name(other, NULL, name, sizeof(name));
	assert_string_equal(name, "/memfd:x (deleted)");
	memmap_mapping_identity_inc_ref(other);
	memmap_mapping_identity_dec_ref(other, NULL);
	memmap_mapping_identity_dec_ref(other, NULL);

	options = (struct memmap_shared_memory_options){.device = 5, .inode = 6};
	assert_int_equal(memmap_shared_memory_create(mf, 1, 0, &options, &other, &other_mappable),
			 0);
	assert_int_equal(memmap_mapping_identity_device_id(other), 5);
	assert_int_equal(memmap_mapping_identity_inode_id(other), 6);
	assert_int_equal(memmap_mapping_identity_msync(other, NULL, pages(0, 1)), 0);
	assert_int_equal(memmap_mappable_invalidate_unsavable(other_mappable, NULL), 0);
	memmap_mapping_identity_dec_ref(other, NULL);
	assert_int_equal(
		memmap_shared_memory_create(mf, UINT64_MAX, 0, NULL, &other, &other_mappable),
		-EINVAL);
}

static void test_lazily(void **state)
{
	(void)state;
	struct memmap_mappable_range source;
	unsigned char *bytes, vec[8];
	assert_int_equal(usage(), 0);
	memset(touch(2), 2, PAGE);
	memset(touch(3), 3, PAGE);
	assert_int_equal(usage(), 2);
	/* What is there already comes along, what is not does not. */
	assert_int_equal(translate(pages(2, 3), pages(0, 8), &source, &bytes), 0);
	assert_pages(source, 2, 4);
	assert_int_equal(bytes[0], 2);
	assert_int_equal(bytes[PAGE], 3);
	assert_int_equal(translate(pages(1, 6), pages(0, 8), &source, &bytes), 0);
	assert_pages(source, 1, 6);
	assert_int_equal(bytes[0], 0);
	assert_int_equal(usage(), 5);
	assert_int_equal(memmap_mappable_resident(mappable, NULL, pages(0, 8), vec), 0);
	assert_memory_equal(vec, "\0\1\1\1\1\1\0\0", 8);
	assert_int_equal(memmap_mappable_resident(mappable, NULL, pages(5, 7), vec), 0);
	assert_memory_equal(vec, "\1\0\1", 3);
}

static void test_end(void **state)
{
	(void)state;
	struct memmap_mappable_range source;
	unsigned char *bytes;
	assert_int_equal(memmap_shared_memory_truncate(mappable, 5 * PAGE + 1), 0);
	assert_int_equal(memmap_shared_memory_size(mappable), 5 * PAGE + 1);
	touch(5);
	int err = translate(pages(6, 7), pages(0, 8), &source, &bytes);
	assert_true(memmap_is_bus_error(err));
	assert_pages(source, 0, 0);
	err = translate(pages(4, 8), pages(0, 8), &source, &bytes);
	assert_true(memmap_is_bus_error(err));
	assert_pages(source, 4, 6);
	/* It grows, and the page is there. */
	assert_int_equal(memmap_shared_memory_truncate(mappable, 7 * PAGE), 0);
	touch(6);
	assert_int_equal(memmap_shared_memory_truncate(mappable, (uint64_t)INT64_MAX + 1), -EINVAL);
	assert_int_equal(memmap_shared_memory_truncate(mappable, INT64_MAX), 0);
	touch((uint64_t)INT64_MAX / PAGE);
}

static void test_truncate(void **state)
{
	(void)state;
	map(100, 108, 0);
	map(201, 203, 6);
	for (uint64_t i = 0; i < 7; i++)
		memset(touch(i), 7, PAGE);
	unsigned char *last = touch(4);
	assert_int_equal(memmap_shared_memory_truncate(mappable, 4 * PAGE + 10), 0);
	assert_true(strstr(space.said, "[0x69000, 0x6a000)private ") == space.said);
	assert_true(strstr(space.said, "[0x6a000, 0x6c000)private ") != NULL);
	assert_true(strstr(space.said, "[0xc9000, 0xcb000)private ") != NULL);
	assert_int_equal(strlen(space.said), 3 * strlen("[0x69000, 0x6a000)private "));
	space.said[0] = '\0';
	assert_int_equal(usage(), 5);
	assert_int_equal(last[9], 7);
	assert_int_equal(last[10], 0);
	assert_int_equal(last[PAGE - 1], 0);
	assert_int_equal(memmap_shared_memory_truncate(mappable, 8 * PAGE), 0);
	assert_said(&space, "");
	assert_int_equal(touch(5)[0], 0);
	assert_int_equal(touch(4)[9], 7);
	unmap(100, 108, 0);
	unmap(201, 203, 6);
}

static void test_punch_hole(void **state)
{
	(void)state;
	map(100, 108, 0);
	for (uint64_t i = 0; i < 6; i++)
		memset(touch(i), 7, PAGE);
	assert_int_equal(memmap_mapping_identity_punch_hole(identity, NULL, pages(2, 4)), 0);
	assert_said(&space, "[0x66000, 0x68000) ");
	assert_int_equal(usage(), 4);
	assert_int_equal(touch(2)[0], 0);
	assert_int_equal(touch(1)[0], 7);
	assert_int_equal(touch(4)[0], 7);
	/* Where nothing is, and past the end. */
	assert_int_equal(memmap_mapping_identity_punch_hole(identity, NULL, pages(6, 100)), 0);
	assert_said(&space, "");
	unmap(100, 108, 0);
}

static void touch_again(struct memmap_mapping_space *ms, struct memmap_addr_range ar,
			struct memmap_invalidate_opts opts)
{
	(void)ms;
	(void)ar;
	(void)opts;
	touch(3);
}

/*
 * While pages are being taken away, another thread touches one of them again, and gets the page of
 * the memory file that makes it one run with what comes after the hole. That stays.
 */
static void test_touched_while_punching(void **state)
{
	(void)state;
	static const struct memmap_mapping_space_ops ops = {.invalidate = touch_again};
	struct recording_space other = space;
	const struct memmap_addr_range ar = {100 * PAGE, 108 * PAGE};
	assert_int_equal(memmap_mappable_add_mapping(mappable, NULL, &other.space, ar, 0, true), 0);
	for (uint64_t i = 0; i < 6; i++)
		memset(touch(i), 7, PAGE);
	assert_int_equal(memmap_mapping_identity_punch_hole(identity, NULL, pages(3, 4)), 0);
	other.space.ops = &ops;
	assert_int_equal(memmap_mapping_identity_punch_hole(identity, NULL, pages(1, 4)), 0);
	assert_int_equal(touch(3)[0], 0);
	assert_int_equal(touch(4)[0], 7);
	assert_int_equal(touch(5)[0], 7);
	assert_int_equal(memmap_mappable_remove_mapping(mappable, NULL, &other.space, ar, 0, true),
			 0);
}

static void test_read_and_write(void **state)
{
	(void)state;
	char buf[3 * PAGE];
	uint64_t done;
	assert_int_equal(memmap_shared_memory_write(mappable, PAGE - 3, "across", 6, &done), 0);
	assert_int_equal(done, 6);
	assert_int_equal(usage(), 2);
	memset(buf, 1, sizeof(buf));
	assert_int_equal(memmap_shared_memory_read(mappable, PAGE - 4, buf, 2 * PAGE, &done), 0);
	assert_int_equal(done, 2 * PAGE);
	assert_memory_equal(buf, "\0across\0", 8);
	assert_int_equal(buf[2 * PAGE - 1], 0);
	assert_int_equal(usage(), 2);
	assert_memory_equal(touch(1), "oss", 4);
	/* At the end, beyond it, and growing. */
	assert_int_equal(memmap_shared_memory_read(mappable, 8 * PAGE - 1, buf, 10, &done), 0);
	assert_int_equal(done, 1);
	assert_int_equal(memmap_shared_memory_read(mappable, 8 * PAGE, buf, 10, &done), 0);
	assert_int_equal(done, 0);
	assert_int_equal(memmap_shared_memory_write(mappable, 9 * PAGE, "x", 1, &done), 0);
	assert_int_equal(memmap_shared_memory_size(mappable), 9 * PAGE + 1);
	assert_int_equal(memmap_shared_memory_write(mappable, INT64_MAX, "x", 1, &done), -EFBIG);
	assert_int_equal(memmap_shared_memory_write(mappable, UINT64_MAX, "x", 0, &done), 0);
	/* A limit in the middle. */
	memmap_memory_file_set_limit(mf, (usage() + 1) * PAGE);
	assert_int_equal(memmap_shared_memory_write(mappable, 20 * PAGE, buf, 3 * PAGE, &done),
			 -ENOMEM);
	assert_int_equal(done, PAGE);
	assert_int_equal(memmap_shared_memory_size(mappable), 21 * PAGE);
}

static void test_violations(void **state)
{
	(void)state;
	map(100, 108, 0);
	assert_panics("still mapped", memmap_mapping_identity_dec_ref(identity, NULL));
	unmap(100, 108, 0);
}

/* Copying a mapping adds it at the new place. */
static void test_copy_mapping(void **state)
{
	(void)state;
	map(100, 104, 2);
	assert_int_equal(
		memmap_mappable_copy_mapping(mappable, NULL, &space.space,
					     (struct memmap_addr_range){100 * PAGE, 104 * PAGE},
					     (struct memmap_addr_range){300 * PAGE, 304 * PAGE},
					     2 * PAGE, true),
		0);
	touch(3);
	assert_int_equal(memmap_mapping_identity_punch_hole(identity, NULL, pages(3, 4)), 0);
	assert_true(strstr(space.said, "[0x65000, 0x66000) ") != NULL);
	assert_true(strstr(space.said, "[0x12d000, 0x12e000) ") != NULL);
	unmap(100, 104, 2);
	unmap(300, 304, 2);
}

/* Each allocation of each operation fails once; nothing has changed then. */
static void test_failures(void **state)
{
	(void)state;
	for (int operation = 0; operation < 5; operation++) {
		int err = -1;
		for (size_t n = 0; err; n++) {
			assert_true(n < 50);
			struct failing_allocator failing;
			failing_allocator_init(&failing, SIZE_MAX);
			const struct memmap_shared_memory_options options = {
				.allocator = &failing.allocator,
			};
			const struct memmap_memory_file_options mf_options = {
				.allocator = &failing.allocator,
			};
			recording_space_init(&space);
			assert_int_equal(memmap_memory_file_create(&mf_options, &mf), 0);
			if (operation == 0)
				failing.budget = n;
			err = memmap_shared_memory_create(mf, 100 * PAGE, CG, &options, &identity,
							  &mappable);
			if (err) {
				memmap_memory_file_release(mf);
				assert_int_equal(failing.nr_live, 0);
				continue;
			}
			/* Runs that cannot be one, so that one more needs a node. */
			uint64_t nr = 0;
			if (operation > 0) {
				map(100, 200, 0);
				for (uint64_t i = 0; i < 94; i += 2)
					touch(i);
				touch(95);
				touch(96);
				touch(97);
				nr = usage();
			}
			failing.budget = n;
			struct memmap_mappable_range source;
			unsigned char *bytes;
			uint64_t done;
			switch (operation) {
			case 1:
				err = translate(pages(1, 20), pages(1, 20), &source, &bytes);
				nr += err ? usage() - nr : 10; /* in part is no harm */
				break;
			case 2:
				err = memmap_mapping_identity_punch_hole(identity, NULL,
									 pages(96, 97));
				nr -= err ? 0 : 1;
				break;
			case 3:
				err = memmap_shared_memory_truncate(mappable, 96 * PAGE);
				assert_int_equal(memmap_shared_memory_size(mappable),
						 err ? 100 * PAGE : 96 * PAGE);
				nr -= err ? 0 : 2;
				break;
			case 4:
				err = memmap_shared_memory_write(mappable, 98 * PAGE, "x", 1,
								 &done);
				assert_int_equal(done, err ? 0 : 1);
				nr += err ? 0 : 1;
				break;
			default:
				break;
			}
			assert_true(err == 0 || err == -ENOMEM);
			failing.budget = SIZE_MAX;
			assert_int_equal(usage(), nr);
			assert_int_equal(memmap_memory_file_verify(mf), 0);
			if (err)
				assert_said(&space, "");
			if (operation > 0)
				unmap(100, 200, 0);
			memmap_mapping_identity_dec_ref(identity, NULL);
			memmap_memory_file_release(mf);
			assert_int_equal(failing.nr_live, 0);
		}
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_names),
		TEST(test_lazily),
		TEST(test_end),
		TEST(test_truncate),
		TEST(test_punch_hole),
		TEST(test_read_and_write),
		TEST(test_touched_while_punching),
		TEST(test_violations),
		TEST(test_copy_mapping),
		cmocka_unit_test(test_failures),
	};
	return cmocka_run_group_tests_name("file/shared_memory", tests, NULL, NULL);
}
