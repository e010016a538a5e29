/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The interfaces: that each inline function calls its method with what it was given, the defaults
 * of File, contexts, and arrays of ranges.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <cmocka.h>

#include "memmap/failing_allocator.h"
#include <memmap/memmap.h>

/* ---- contexts ---- */

static void test_no_context(void **state)
{
	(void)state;
	assert_int_equal(memmap_context_mem_cg_id(NULL), 0);
	assert_null(memmap_context_user_data(NULL));
	assert_false(memmap_context_is_cancelled(NULL));
}

static void *cancel(void *ctx)
{
	memmap_context_cancel(ctx);
	return NULL;
}

static void test_context(void **state)
{
	(void)state;
	int mine;
	struct memmap_context ctx = {.mem_cg_id = 7, .user_data = &mine};
	assert_int_equal(memmap_context_mem_cg_id(&ctx), 7);
	assert_ptr_equal(memmap_context_user_data(&ctx), &mine);
	assert_false(memmap_context_is_cancelled(&ctx));
	pthread_t other;
	assert_int_equal(pthread_create(&other, NULL, cancel, &ctx), 0);
	while (!memmap_context_is_cancelled(&ctx))
		;
	assert_int_equal(pthread_join(other, NULL), 0);
}

/* ---- methods: each writes down what it was called with ---- */

static char called[256];

#define NOTE(...) (void)snprintf(called, sizeof(called), __VA_ARGS__)

static struct memmap_context context;
static struct memmap_mapping_space space;
static struct memmap_mapping_identity identity;
static struct memmap_mappable mappable;
static const struct memmap_addr_range ar = {0x1000, 0x2000};
static const struct memmap_addr_range ar2 = {0x3000, 0x4000};
static const struct memmap_mappable_range mr = {0x5000, 0x6000};
static const struct memmap_mappable_range mr2 = {0x4000, 0x7000};

static bool is_ar(struct memmap_addr_range r, struct memmap_addr_range other)
{
	return r.start == other.start && r.end == other.end;
}

static bool is_mr(struct memmap_mappable_range r, struct memmap_mappable_range other)
{
	return r.start == other.start && r.end == other.end;
}

static void note_invalidate(struct memmap_mapping_space *ms, struct memmap_addr_range r,
			    struct memmap_invalidate_opts opts)
{
	assert_ptr_equal(ms, &space);
	assert_true(is_ar(r, ar));
	NOTE("invalidate %d", opts.invalidate_private);
}

static void note_inc_ref(struct memmap_mapping_identity *id)
{
	assert_ptr_equal(id, &identity);
	NOTE("inc_ref");
}

static void note_dec_ref(struct memmap_mapping_identity *id, struct memmap_context *ctx)
{
	assert_ptr_equal(id, &identity);
	assert_ptr_equal(ctx, &context);
	NOTE("dec_ref");
}

static size_t note_mapped_name(struct memmap_mapping_identity *id, struct memmap_context *ctx,
			       char *buf, size_t size)
{
	assert_ptr_equal(id, &identity);
	assert_ptr_equal(ctx, &context);
	return (size_t)snprintf(buf, size, "/lib/libc.so.6");
}

static uint64_t note_device_id(struct memmap_mapping_identity *id)
{
	assert_ptr_equal(id, &identity);
	return 11;
}

static uint64_t note_inode_id(struct memmap_mapping_identity *id)
{
	assert_ptr_equal(id, &identity);
	return 22;
}

static int note_msync(struct memmap_mapping_identity *id, struct memmap_context *ctx,
		      struct memmap_mappable_range r)
{
	assert_ptr_equal(id, &identity);
	assert_ptr_equal(ctx, &context);
	assert_true(is_mr(r, mr));
	return -EIO;
}

static int note_add_mapping(struct memmap_mappable *m, struct memmap_context *ctx,
			    struct memmap_mapping_space *ms, struct memmap_addr_range r,
			    uint64_t offset, bool writable)
{
	assert_ptr_equal(m, &mappable);
	assert_ptr_equal(ctx, &context);
	assert_ptr_equal(ms, &space);
	assert_true(is_ar(r, ar));
	NOTE("add %#jx %d", (uintmax_t)offset, writable);
	return -ENOMEM;
}

static int note_remove_mapping(struct memmap_mappable *m, struct memmap_context *ctx,
			       struct memmap_mapping_space *ms, struct memmap_addr_range r,
			       uint64_t offset, bool writable)
{
	assert_ptr_equal(m, &mappable);
	assert_ptr_equal(ctx, &context);
	assert_ptr_equal(ms, &space);
	assert_true(is_ar(r, ar));
	NOTE("remove %#jx %d", (uintmax_t)offset, writable);
	return -ENOMEM;
}

static int note_copy_mapping(struct memmap_mappable *m, struct memmap_context *ctx,
			     struct memmap_mapping_space *ms, struct memmap_addr_range src_ar,
			     struct memmap_addr_range dst_ar, uint64_t offset, bool writable)
{
	assert_ptr_equal(m, &mappable);
	assert_ptr_equal(ctx, &context);
	assert_ptr_equal(ms, &space);
	assert_true(is_ar(src_ar, ar) && is_ar(dst_ar, ar2));
	NOTE("copy %#jx %d", (uintmax_t)offset, writable);
	return -ENOMEM;
}

static int note_translate(struct memmap_mappable *m, struct memmap_context *ctx,
			  struct memmap_mappable_range required,
			  struct memmap_mappable_range optional, memmap_access at,
			  struct memmap_translations *out)
{
	assert_ptr_equal(m, &mappable);
	assert_ptr_equal(ctx, &context);
	assert_true(is_mr(required, mr) && is_mr(optional, mr2));
	assert_int_equal(at, MEMMAP_EXEC);
	assert_int_equal(memmap_translations_append(out, (struct memmap_translation){0}), 0);
	return -EAGAIN;
}

static int note_invalidate_unsavable(struct memmap_mappable *m, struct memmap_context *ctx)
{
	assert_ptr_equal(m, &mappable);
	assert_ptr_equal(ctx, &context);
	return -EBUSY;
}

static int note_punch_hole(struct memmap_mapping_identity *id, struct memmap_context *ctx,
			   struct memmap_mappable_range r)
{
	assert_ptr_equal(id, &identity);
	assert_ptr_equal(ctx, &context);
	assert_true(is_mr(r, mr));
	return -ENOSPC;
}

static int note_resident(struct memmap_mappable *m, struct memmap_context *ctx,
			 struct memmap_mappable_range r, unsigned char *vec)
{
	assert_ptr_equal(m, &mappable);
	assert_ptr_equal(ctx, &context);
	assert_true(is_mr(r, mr));
	vec[0] = 1;
	return -EAGAIN;
}

static const struct memmap_mapping_space_ops space_ops = {.invalidate = note_invalidate};
static const struct memmap_mapping_identity_ops identity_ops = {
	.inc_ref = note_inc_ref,
	.dec_ref = note_dec_ref,
	.mapped_name = note_mapped_name,
	.device_id = note_device_id,
	.inode_id = note_inode_id,
	.msync = note_msync,
};
static const struct memmap_mappable_ops mappable_ops = {
	.add_mapping = note_add_mapping,
	.remove_mapping = note_remove_mapping,
	.copy_mapping = note_copy_mapping,
	.translate = note_translate,
	.invalidate_unsavable = note_invalidate_unsavable,
};

static void test_methods(void **state)
{
	(void)state;
	space.ops = &space_ops;
	identity.ops = &identity_ops;
	mappable.ops = &mappable_ops;

	memmap_mapping_space_invalidate(&space, ar, (struct memmap_invalidate_opts){true});
	assert_string_equal(called, "invalidate 1");
	memmap_mapping_space_invalidate(&space, ar, (struct memmap_invalidate_opts){false});
	assert_string_equal(called, "invalidate 0");

	memmap_mapping_identity_inc_ref(&identity);
	assert_string_equal(called, "inc_ref");
	memmap_mapping_identity_dec_ref(&identity, &context);
	assert_string_equal(called, "dec_ref");
	char name[5];
	assert_int_equal(memmap_mapping_identity_mapped_name(&identity, &context, name, 5), 14);
	assert_string_equal(name, "/lib");
	assert_int_equal(memmap_mapping_identity_device_id(&identity), 11);
	assert_int_equal(memmap_mapping_identity_inode_id(&identity), 22);
	assert_int_equal(memmap_mapping_identity_msync(&identity, &context, mr), -EIO);

	assert_int_equal(memmap_mappable_add_mapping(&mappable, &context, &space, ar, 0x8000, true),
			 -ENOMEM);
	assert_string_equal(called, "add 0x8000 1");
	assert_int_equal(
		memmap_mappable_remove_mapping(&mappable, &context, &space, ar, 0x9000, false),
		-ENOMEM);
	assert_string_equal(called, "remove 0x9000 0");
	assert_int_equal(
		memmap_mappable_copy_mapping(&mappable, &context, &space, ar, ar2, 0xa000, true),
		-ENOMEM);
	assert_string_equal(called, "copy 0xa000 1");
	struct memmap_translations ts = {0};
	assert_int_equal(memmap_mappable_translate(&mappable, &context, mr, mr2, MEMMAP_EXEC, &ts),
			 -EAGAIN);
	assert_int_equal(ts.len, 1);
	memmap_translations_release(&ts);
	assert_int_equal(memmap_mappable_invalidate_unsavable(&mappable, &context), -EBUSY);
}

static void test_optional_methods(void **state)
{
	(void)state;
	struct memmap_mapping_identity_ops with_punch_hole = identity_ops;
	struct memmap_mappable_ops with_resident = mappable_ops;
	unsigned char vec[64];
	const size_t nr = memmap_mappable_range_length(mr) / MEMMAP_PAGE_SIZE;
	assert_true(nr > 0 && nr < sizeof(vec));

	identity.ops = &identity_ops;
	mappable.ops = &mappable_ops;
	assert_int_equal(memmap_mapping_identity_punch_hole(&identity, &context, mr), -EOPNOTSUPP);
	memset(vec, 7, sizeof(vec));
	assert_int_equal(memmap_mappable_resident(&mappable, &context, mr, vec), 0);
	for (size_t i = 0; i < sizeof(vec); i++)
		assert_int_equal(vec[i], i < nr ? 0 : 7);

	with_punch_hole.punch_hole = note_punch_hole;
	with_resident.resident = note_resident;
	identity.ops = &with_punch_hole;
	mappable.ops = &with_resident;
	assert_int_equal(memmap_mapping_identity_punch_hole(&identity, &context, mr), -ENOSPC);
	assert_int_equal(memmap_mappable_resident(&mappable, &context, mr, vec), -EAGAIN);
	assert_int_equal(vec[0], 1);
}

/* ---- File ---- */

/* A file over a few bytes of memory, in two blocks of which the second may not be there. */
struct test_file {
	struct memmap_file file;
	unsigned char bytes[32];
	struct memmap_block blocks[2];
	int fd;
	int map_err;
	uint64_t shorter_by;
	memmap_access at;
};

static struct test_file *test_file_of(struct memmap_file *file)
{
	return (struct test_file *)((char *)file - offsetof(struct test_file, file));
}

static void file_inc_ref(struct memmap_file *file, struct memmap_file_range fr, uint32_t mem_cg_id)
{
	(void)file;
	NOTE("inc_ref [%#jx, %#jx) %u", (uintmax_t)fr.start, (uintmax_t)fr.end, mem_cg_id);
}

static void file_dec_ref(struct memmap_file *file, struct memmap_file_range fr)
{
	(void)file;
	NOTE("dec_ref [%#jx, %#jx)", (uintmax_t)fr.start, (uintmax_t)fr.end);
}

static int file_map_internal(struct memmap_file *file, struct memmap_file_range fr,
			     memmap_access at, struct memmap_block_seq *out)
{
	struct test_file *f = test_file_of(file);
	if (f->map_err)
		return f->map_err;
	f->at = at;
	*out = memmap_block_seq_cut(memmap_block_seq_from(f->blocks, 2), fr.start,
				    memmap_file_range_length(fr) - f->shorter_by);
	return 0;
}

static int file_fd(struct memmap_file *file)
{
	return test_file_of(file)->fd;
}

static const struct memmap_file_ops plain_file_ops = {
	.inc_ref = file_inc_ref,
	.dec_ref = file_dec_ref,
	.map_internal = file_map_internal,
	.fd = file_fd,
};

static void test_file_init(struct test_file *f)
{
	*f = (struct test_file){.file = {&plain_file_ops}, .fd = 5};
	for (size_t i = 0; i < sizeof(f->bytes); i++)
		f->bytes[i] = (unsigned char)i;
	f->blocks[0] = memmap_block_safe(f->bytes, 20);
	f->blocks[1] = memmap_block_unsafe(f->bytes + 20, 12);
}

static void test_file_methods(void **state)
{
	(void)state;
	struct test_file f;
	test_file_init(&f);
	memmap_file_inc_ref(&f.file, (struct memmap_file_range){0x1000, 0x2000}, 9);
	assert_string_equal(called, "inc_ref [0x1000, 0x2000) 9");
	memmap_file_dec_ref(&f.file, (struct memmap_file_range){0x2000, 0x3000});
	assert_string_equal(called, "dec_ref [0x2000, 0x3000)");
	struct memmap_block_seq seq;
	assert_int_equal(memmap_file_map_internal(&f.file, (struct memmap_file_range){2, 4},
						  MEMMAP_READ, &seq),
			 0);
	assert_ptr_equal(memmap_block_seq_head(seq).addr, f.bytes + 2);
	assert_int_equal(memmap_block_seq_num_bytes(seq), 2);
	assert_int_equal(memmap_file_fd(&f.file), 5);
}

static void test_file_defaults(void **state)
{
	(void)state;
	const struct memmap_file_range fr = {0, 0x1000};
	struct test_file f;
	test_file_init(&f);
	int fd = 77;
	assert_int_equal(memmap_file_data_fd(&f.file, fr, &fd), 0);
	assert_int_equal(fd, 5);
	f.fd = -1;
	assert_int_equal(memmap_file_data_fd(&f.file, fr, &fd), -EBADF);
	assert_int_equal(fd, 5);
	assert_int_equal(memmap_file_memory_type(&f.file), MEMMAP_MEMORY_WRITE_BACK);
}

static void test_file_buffered_by_default(void **state)
{
	(void)state;
	struct test_file f;
	unsigned char buf[32];
	for (uint64_t offset = 0; offset < 32; offset++) {
		for (uint64_t len = 1; offset + len <= 32; len++) {
			uint64_t done = 99;
			test_file_init(&f);
			memset(buf, 0xee, sizeof(buf));
			assert_int_equal(
				memmap_file_buffer_read_at(&f.file, offset, buf, len, &done), 0);
			assert_int_equal(done, len);
			assert_int_equal(f.at, MEMMAP_READ);
			assert_memory_equal(buf, f.bytes + offset, len);

			memset(buf, 0xee, sizeof(buf));
			done = 99;
			assert_int_equal(
				memmap_file_buffer_write_at(&f.file, offset, buf, len, &done), 0);
			assert_int_equal(done, len);
			assert_int_equal(f.at, MEMMAP_WRITE);
			for (uint64_t i = 0; i < 32; i++)
				assert_int_equal(f.bytes[i],
						 i - offset < len ? 0xee : (unsigned char)i);
		}
	}
}

static void check_buffered(struct test_file *f, uint64_t offset, uint64_t len, int err,
			   uint64_t expected)
{
	unsigned char buf[32] = {0};
	uint64_t done = 99;
	assert_int_equal(memmap_file_buffer_read_at(&f->file, offset, buf, len, &done), err);
	assert_int_equal(done, expected);
	done = 99;
	assert_int_equal(memmap_file_buffer_write_at(&f->file, offset, buf, len, &done), err);
	assert_int_equal(done, expected);
}

static void test_file_buffered_fails(void **state)
{
	(void)state;
	struct test_file f;
	test_file_init(&f);
	check_buffered(&f, UINT64_MAX - 3, 5, -EOVERFLOW, 0);

	f.map_err = -EOPNOTSUPP;
	check_buffered(&f, 0, 8, -EOPNOTSUPP, 0);

	/* A mapping that is too short must not pass for success. */
	test_file_init(&f);
	f.shorter_by = 3;
	check_buffered(&f, 0, 8, -EIO, 5);

	/* The second block has gone. */
	test_file_init(&f);
	void *hole = mmap(NULL, 4096, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(hole, MAP_FAILED);
	assert_int_equal(memmap_block_install_handlers(), 0);
	f.blocks[1] = memmap_block_unsafe(hole, 12);
	check_buffered(&f, 10, 20, -EFAULT, 10);
	assert_int_equal(munmap(hole, 4096), 0);
}

static int own_data_fd(struct memmap_file *file, struct memmap_file_range fr, int *fd)
{
	(void)file;
	*fd = (int)fr.start;
	return 0;
}

static enum memmap_memory_type own_memory_type(struct memmap_file *file)
{
	(void)file;
	return MEMMAP_MEMORY_UNCACHED;
}

static int own_buffer_read_at(struct memmap_file *file, uint64_t offset, void *buf, uint64_t len,
			      uint64_t *done)
{
	(void)file;
	memset(buf, 'r', len);
	*done = offset;
	return -EIO;
}

static int own_buffer_write_at(struct memmap_file *file, uint64_t offset, const void *buf,
			       uint64_t len, uint64_t *done)
{
	(void)file;
	NOTE("write %.*s", (int)len, (const char *)buf);
	*done = offset;
	return -ENOSPC;
}

static void test_file_with_everything(void **state)
{
	(void)state;
	struct memmap_file_ops ops = plain_file_ops;
	ops.data_fd = own_data_fd;
	ops.memory_type = own_memory_type;
	ops.buffer_read_at = own_buffer_read_at;
	ops.buffer_write_at = own_buffer_write_at;
	struct memmap_file file = {&ops};
	int fd;
	assert_int_equal(memmap_file_data_fd(&file, (struct memmap_file_range){33, 34}, &fd), 0);
	assert_int_equal(fd, 33);
	assert_int_equal(memmap_file_memory_type(&file), MEMMAP_MEMORY_UNCACHED);
	char buf[4] = "";
	uint64_t done;
	assert_int_equal(memmap_file_buffer_read_at(&file, 3, buf, 2, &done), -EIO);
	assert_string_equal(buf, "rr");
	assert_int_equal(done, 3);
	assert_int_equal(memmap_file_buffer_write_at(&file, 4, "abc", 3, &done), -ENOSPC);
	assert_string_equal(called, "write abc");
	assert_int_equal(done, 4);
}

/* ---- one mapping, and arrays of ranges ---- */

static void test_mapping_of_range(void **state)
{
	(void)state;
	struct memmap_mapping_space other;
	const struct memmap_mapping_of_range m = {&space, {0x1000, 0x2000}, true};
	struct memmap_mapping_of_range n = m;
	assert_true(memmap_mapping_of_range_equal(m, n));
	n.space = &other;
	assert_false(memmap_mapping_of_range_equal(m, n));
	n = m;
	n.addr_range.start = 0;
	assert_false(memmap_mapping_of_range_equal(m, n));
	n = m;
	n.addr_range.end = 0x3000;
	assert_false(memmap_mapping_of_range_equal(m, n));
	n = m;
	n.writable = false;
	assert_false(memmap_mapping_of_range_equal(m, n));

	char buf[MEMMAP_RANGE_FORMAT_SIZE];
	assert_ptr_equal(memmap_mapping_of_range_format(m, buf, sizeof(buf)), buf);
	assert_string_equal(buf, "[0x1000, 0x2000)");
	assert_string_equal(memmap_mapping_of_range_format(m, buf, 4), "[0x");
}

static void check_ranges(const struct memmap_mappable_ranges *ranges, size_t n)
{
	assert_int_equal(ranges->len, n);
	for (size_t i = 0; i < n; i++)
		assert_true(ranges->ranges[i].start == i && ranges->ranges[i].end == 2 * i + 1);
}

static void test_ranges_without_memory(void **state)
{
	(void)state;
	size_t budget = 0;
	for (size_t nr_refused = 1; nr_refused > 0; budget++) {
		struct failing_allocator failing;
		failing_allocator_init(&failing, budget);
		struct memmap_mappable_ranges ranges = {.allocator = &failing.allocator};
		size_t n = 0;
		int err = 0;
		while (n < 50 && !(err = memmap_mappable_ranges_append(
					   &ranges, (struct memmap_mappable_range){n, 2 * n + 1})))
			n++;
		check_ranges(&ranges, n);
		assert_int_equal(err, n < 50 ? -ENOMEM : 0);
		assert_int_equal(memmap_mappable_ranges_reserve(&ranges, SIZE_MAX), -ENOMEM);
		assert_int_equal(memmap_mappable_ranges_reserve(&ranges, SIZE_MAX / 16), -ENOMEM);
		check_ranges(&ranges, n);
		nr_refused = failing.nr_refused;
		memmap_mappable_ranges_release(&ranges);
		check_ranges(&ranges, 0);
		assert_int_equal(failing.nr_live, 0);
		assert_int_equal(failing.bytes_live, 0);
		/* Usable again, and released twice. */
		failing.budget = 1;
		assert_int_equal(memmap_mappable_ranges_append(
					 &ranges, (struct memmap_mappable_range){0, 1}),
				 0);
		check_ranges(&ranges, 1);
		memmap_mappable_ranges_release(&ranges);
		memmap_mappable_ranges_release(&ranges);
	}
	assert_true(budget > 2);
}

static void test_ranges_reserve(void **state)
{
	(void)state;
	for (size_t n = 0; n < 30; n++) {
		struct failing_allocator failing;
		failing_allocator_init(&failing, SIZE_MAX);
		struct memmap_mappable_ranges ranges = {.allocator = &failing.allocator};
		assert_int_equal(memmap_mappable_ranges_reserve(&ranges, n), 0);
		failing.budget = 0;
		for (size_t i = 0; i < n; i++)
			assert_int_equal(
				memmap_mappable_ranges_append(
					&ranges, (struct memmap_mappable_range){i, 2 * i + 1}),
				0);
		check_ranges(&ranges, n);
		memmap_mappable_ranges_release(&ranges);
	}
	/* The default allocator. */
	struct memmap_mappable_ranges ranges = {0};
	for (size_t i = 0; i < 20; i++)
		assert_int_equal(memmap_mappable_ranges_append(
					 &ranges, (struct memmap_mappable_range){i, 2 * i + 1}),
				 0);
	check_ranges(&ranges, 20);
	memmap_mappable_ranges_release(&ranges);
}

static void test_request_zero_value(void **state)
{
	(void)state;
	const struct memmap_mmap_opts opts = {0};
	assert_int_equal(opts.mlock_mode, MEMMAP_MLOCK_NONE);
	assert_int_equal(opts.platform_effect, MEMMAP_PLATFORM_EFFECT_DEFAULT);
	assert_true(MEMMAP_MLOCK_NONE < MEMMAP_MLOCK_EAGER &&
		    MEMMAP_MLOCK_EAGER < MEMMAP_MLOCK_LAZY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_context),
		cmocka_unit_test(test_context),
		cmocka_unit_test(test_methods),
		cmocka_unit_test(test_optional_methods),
		cmocka_unit_test(test_file_methods),
		cmocka_unit_test(test_file_defaults),
		cmocka_unit_test(test_file_buffered_by_default),
		cmocka_unit_test(test_file_buffered_fails),
		cmocka_unit_test(test_file_with_everything),
		cmocka_unit_test(test_mapping_of_range),
		cmocka_unit_test(test_ranges_without_memory),
		cmocka_unit_test(test_ranges_reserve),
		cmocka_unit_test(test_request_zero_value),
	};
	return cmocka_run_group_tests_name("memmap/interfaces", tests, NULL, NULL);
}
