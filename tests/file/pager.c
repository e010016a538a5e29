/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pager: what it reads and writes and when, errors, who waits for whom, and a storm of threads.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <memmap/arch.h>
#include <memmap/error.h>
#include <memmap/pager.h>

#include "file/failing_host.h"
#include "file/mappable.h"
#include "memmap/failing_allocator.h"
#include "panic.h"

#define NR_PAGES 64

/* ---- Where the bytes are kept ---- */

static unsigned char store[NR_PAGES * PAGE];
static char log_text[1024]; /* "r0+2 w1+1 " */
static bool logging;
static int read_error, write_error, sync_error, truncate_error, punch_error;

/* Called while bytes are being read, in place of another thread. */
static void (*while_reading)(void);

/* A reader of this page waits until it is told to go on. */
static pthread_mutex_t gate_lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t gate_changed = PTHREAD_COND_INITIALIZER;
static uint64_t gated_page = UINT64_MAX;
static int nr_at_gate;

static void note(char what, uint64_t offset, uint64_t length)
{
	const size_t used = strlen(log_text);
	if (logging)
		(void)snprintf(log_text + used, sizeof(log_text) - used,
			       "%c%" PRIu64 "+%" PRIu64 " ", what, offset / PAGE,
			       (length + PAGE - 1) / PAGE);
}

#define assert_log(text)                                                                           \
	do {                                                                                       \
		assert_string_equal(log_text, text);                                               \
		log_text[0] = '\0';                                                                \
	} while (0)

static int store_read(void *context, uint64_t offset, void *buf, uint64_t length, uint64_t *done)
{
	(void)context;
	note('r', offset, length);
	pthread_mutex_lock(&gate_lock);
	if (offset <= gated_page * PAGE && gated_page * PAGE < offset + length) {
		nr_at_gate++;
		pthread_cond_broadcast(&gate_changed);
		while (gated_page != UINT64_MAX)
			pthread_cond_wait(&gate_changed, &gate_lock);
	}
	pthread_mutex_unlock(&gate_lock);
	if (while_reading)
		while_reading();
	if (read_error)
		return read_error;
	memcpy(buf, store + offset, length);
	*done = length;
	return 0;
}

static int store_write(void *context, uint64_t offset, const void *buf, uint64_t length)
{
	(void)context;
	note('w', offset, length);
	if (write_error)
		return write_error;
	memcpy(store + offset, buf, length);
	return 0;
}

static int store_sync(void *context)
{
	(void)context;
	return sync_error;
}

static int store_truncate(void *context, uint64_t size)
{
	(void)context;
	(void)size;
	return truncate_error;
}

static int store_punch_hole(void *context, uint64_t offset, uint64_t length)
{
	(void)context;
	note('p', offset, length);
	if (!punch_error)
		memset(store + offset, 0, length);
	return punch_error;
}

static const struct memmap_pager_ops all_ops = {
	.read = store_read,
	.write = store_write,
	.sync = store_sync,
	.truncate = store_truncate,
	.punch_hole = store_punch_hole,
};

static struct memmap_memory_file *mf;

static int make(const struct memmap_pager_ops *ops, struct memmap_pager_options options)
{
	recording_space_init(&space);
	log_text[0] = '\0';
	logging = true;
	read_error = write_error = sync_error = truncate_error = punch_error = 0;
	for (size_t i = 0; i < sizeof(store); i++)
		store[i] = (unsigned char)(1 + i / PAGE);
	return memmap_memory_file_create(NULL, &mf) ||
	       memmap_pager_create(mf, ops, NULL, &options, &identity, &mappable);
}

static int setup(void **state)
{
	(void)state;
	return make(&all_ops, (struct memmap_pager_options){.size = 16 * PAGE - 100});
}

static int teardown(void **state)
{
	(void)state;
	struct memmap_memory_usage usage;
	memmap_mapping_identity_dec_ref(identity, NULL);
	memmap_memory_file_usage(mf, &usage);
	assert_int_equal(usage.total, 0);
	memmap_memory_file_release(mf);
	return 0;
}

static unsigned char *bytes_of(struct memmap_translation t)
{
	struct memmap_block_seq seq;
	assert_int_equal(memmap_file_map_internal(t.file, memmap_translation_file_range(t),
						  MEMMAP_READ_WRITE, &seq),
			 0);
	return memmap_block_seq_head(seq).addr;
}

static unsigned char *touch(uint64_t page, memmap_access at)
{
	struct memmap_translation t;
	assert_int_equal(translate_first(pages(page, page + 1), pages(page, page + 1), at, &t), 0);
	return bytes_of(t);
}

static void assert_stats(uint64_t cached, uint64_t dirty)
{
	struct memmap_pager_stats stats;
	memmap_pager_get_stats(mappable, &stats);
	assert_int_equal(stats.cached, cached * PAGE);
	assert_int_equal(stats.dirty, dirty * PAGE);
}

/* ---- Tests ---- */

static void test_reading(void **state)
{
	(void)state;
	struct memmap_translation t;
	assert_int_equal(translate_first(pages(3, 4), pages(2, 6), MEMMAP_READ, &t), 0);
	assert_log("r2+4 ");
	assert_int_equal(t.source.start, 2 * PAGE);
	assert_int_equal(t.source.end, 6 * PAGE);
	assert_false(t.perms & MEMMAP_WRITE);
	assert_int_equal(bytes_of(t)[0], 3);
	assert_int_equal(bytes_of(t)[PAGE], 4);
	touch(4, MEMMAP_READ);
	assert_log("");
	/* The last page: only what is in the file is read, the rest is zeros. */
	const unsigned char *last = touch(15, MEMMAP_READ);
	assert_int_equal(last[PAGE - 101], 16);
	assert_int_equal(last[PAGE - 100], 0);
	assert_int_equal(translate_first(pages(16, 17), pages(0, 20), MEMMAP_READ, &t),
			 memmap_bus_error(-EFAULT));
	assert_int_equal(translate_first(pages(14, 18), pages(0, 20), MEMMAP_READ, &t),
			 memmap_bus_error(-EFAULT));
	assert_int_equal(t.source.start, 6 * PAGE); /* up to the page that was there already */
	assert_int_equal(t.source.end, 15 * PAGE);
	assert_stats(14, 0);
}

static void test_read_errors(void **state)
{
	(void)state;
	struct memmap_translation t;
	read_error = -EHOSTDOWN;
	assert_int_equal(translate_first(pages(3, 4), pages(0, 9), MEMMAP_READ, &t),
			 memmap_bus_error(-EHOSTDOWN));
	/* First all of it, then what is needed alone. */
	assert_log("r0+9 r3+1 ");
	assert_stats(0, 0);
	read_error = 0;
	assert_int_equal(touch(3, MEMMAP_READ)[0], 4);
}

static void take_all_away(void)
{
	(void)memmap_pager_shrink(mappable, 0);
}

/* What was there before the page that cannot be read may be gone once that is known. */
static void test_read_error_after_others_went(void **state)
{
	(void)state;
	struct memmap_translation t;
	touch(3, MEMMAP_READ);
	read_error = -EHOSTDOWN;
	while_reading = take_all_away;
	assert_int_equal(translate_first(pages(3, 5), pages(3, 5), MEMMAP_READ, &t),
			 memmap_bus_error(-EHOSTDOWN));
	while_reading = NULL;
	assert_null(t.file);
	assert_stats(0, 0);
	/* What is still there is told. */
	read_error = 0;
	touch(3, MEMMAP_READ);
	read_error = -EHOSTDOWN;
	assert_int_equal(translate_first(pages(3, 5), pages(3, 5), MEMMAP_READ, &t),
			 memmap_bus_error(-EHOSTDOWN));
	assert_int_equal(t.source.end, 4 * PAGE);
}

static void test_dirty(void **state)
{
	(void)state;
	struct memmap_translation t;
	*touch(1, MEMMAP_WRITE) = 77;
	touch(2, MEMMAP_READ);
	assert_stats(2, 1);
	/* A reader of a dirty page may write; the clean one beside it is another translation. */
	assert_int_equal(translate_first(pages(1, 2), pages(1, 3), MEMMAP_READ, &t), 0);
	assert_true(t.perms & MEMMAP_WRITE);
	assert_int_equal(t.source.end, 2 * PAGE);
	log_text[0] = '\0';
	const struct memmap_addr_range ar = {0x100000, 0x110000};
	assert_int_equal(memmap_mappable_add_mapping(mappable, NULL, &space.space, ar, 0, true), 0);
	assert_int_equal(memmap_mapping_identity_msync(identity, NULL, pages(2, 9)), 0);
	assert_log("");
	assert_said(&space, "");
	assert_int_equal(memmap_mapping_identity_msync(identity, NULL, pages(0, 9)), 0);
	assert_log("w1+1 ");
	assert_said(&space, "[0x101000, 0x102000) ");
	assert_int_equal(store[PAGE], 77);
	assert_stats(2, 0);
	/* The last page is written as far as the file goes. */
	store[16 * PAGE - 1] = 99;
	touch(15, MEMMAP_WRITE)[PAGE - 1] = 88;
	assert_int_equal(memmap_mapping_identity_msync(identity, NULL, pages(0, 16)), 0);
	assert_int_equal(store[16 * PAGE - 1], 99);
	assert_int_equal(memmap_mappable_remove_mapping(mappable, NULL, &space.space, ar, 0, true),
			 0);
}

static void test_write_errors(void **state)
{
	(void)state;
	*touch(1, MEMMAP_WRITE) = 77;
	*touch(5, MEMMAP_WRITE) = 78;
	write_error = -ENOSPC;
	assert_int_equal(memmap_mapping_identity_msync(identity, NULL, pages(0, 16)), -ENOSPC);
	assert_stats(2, 2);
	assert_int_equal(memmap_pager_shrink(mappable, 0), -ENOSPC);
	assert_stats(2, 2);
	assert_int_equal(*touch(1, MEMMAP_READ), 77);
	write_error = 0;
	sync_error = -EIO;
	assert_int_equal(memmap_mapping_identity_msync(identity, NULL, pages(0, 16)), -EIO);
	assert_stats(2, 0);
	assert_int_equal(store[PAGE], 77);
	assert_int_equal(store[5 * PAGE], 78);
	assert_int_equal(memmap_pager_shrink(mappable, 0), 0);
	assert_stats(0, 0);
}

static void test_read_only(void **state)
{
	(void)state;
	static const struct memmap_pager_ops ops = {.read = store_read};
	struct memmap_translation t;
	char name[8];
	assert_int_equal(make(&ops, (struct memmap_pager_options){.size = 4 * PAGE,
								  .name = "archive",
								  .device = 3}),
			 0);
	assert_int_equal(translate_first(pages(0, 1), pages(0, 1), MEMMAP_WRITE, &t), -EACCES);
	touch(0, MEMMAP_READ);
	assert_int_equal(memmap_pager_truncate(mappable, 0), -EOPNOTSUPP);
	assert_int_equal(memmap_mapping_identity_punch_hole(identity, NULL, pages(0, 1)),
			 -EOPNOTSUPP);
	assert_int_equal(memmap_mapping_identity_msync(identity, NULL, pages(0, 1)), 0);
	assert_int_equal(memmap_mapping_identity_mapped_name(identity, NULL, name, sizeof(name)),
			 7);
	assert_string_equal(name, "archive");
	assert_int_equal(memmap_mapping_identity_device_id(identity), 3);
	assert_int_equal(memmap_mapping_identity_inode_id(identity), 0);
	assert_int_equal(memmap_mappable_invalidate_unsavable(mappable, NULL), 0);
	struct memmap_context ctx = {.cancelled = true};
	struct memmap_translations ts = {0};
	assert_int_equal(memmap_mappable_translate(mappable, &ctx, pages(0, 1), pages(0, 1),
						   MEMMAP_READ, &ts),
			 -EINTR);
	assert_int_equal(ts.len, 0);
}

static void test_limit(void **state)
{
	(void)state;
	assert_int_equal(make(&all_ops, (struct memmap_pager_options){.size = NR_PAGES * PAGE,
								      .cache_limit = 8 * PAGE}),
			 0);
	for (uint64_t round = 0; round < 3; round++) {
		for (uint64_t page = 0; page < NR_PAGES; page++) {
			unsigned char *bytes = touch(page, page % 3 ? MEMMAP_READ : MEMMAP_WRITE);
			assert_int_equal(bytes[0], 1 + page + (page % 3 ? 0 : round));
			if (page % 3 == 0)
				bytes[0]++;
			struct memmap_pager_stats stats;
			memmap_pager_get_stats(mappable, &stats);
			assert_true(stats.cached <= 8 * PAGE);
		}
	}
	/* The memory file's limit counts too. */
	assert_int_equal(memmap_pager_shrink(mappable, 0), 0);
	memmap_memory_file_set_limit(mf, 3 * PAGE);
	for (uint64_t page = 0; page < NR_PAGES; page++)
		touch(page, MEMMAP_WRITE);
	struct memmap_translation t;
	write_error = -EIO;
	assert_int_equal(memmap_pager_shrink(mappable, PAGE), -EIO);
	assert_int_equal(translate_first(pages(3, 4), pages(3, 4), MEMMAP_READ, &t), -ENOMEM);
	write_error = 0;
	touch(3, MEMMAP_READ);
}

static void test_truncate(void **state)
{
	(void)state;
	const struct memmap_addr_range ar = {0x100000, 0x110000};
	assert_int_equal(memmap_mappable_add_mapping(mappable, NULL, &space.space, ar, 0, true), 0);
	for (uint64_t page = 0; page < 8; page++)
		*touch(page, MEMMAP_WRITE) = 50;
	truncate_error = -EIO;
	assert_int_equal(memmap_pager_truncate(mappable, PAGE), -EIO);
	assert_stats(8, 8);
	assert_said(&space, "");
	assert_int_equal(memmap_pager_size(mappable), 16 * PAGE - 100);
	truncate_error = 0;
	unsigned char *page3 = touch(3, MEMMAP_READ);
	assert_int_equal(memmap_pager_truncate(mappable, 3 * PAGE + 10), 0);
	assert_said(&space, "[0x104000, 0x110000)private ");
	assert_stats(4, 4);
	assert_int_equal(page3[9], 4);
	assert_int_equal(page3[10], 0);
	/* What is stored past the end does not come back. */
	page3[20] = 5;
	assert_int_equal(memmap_pager_truncate(mappable, 16 * PAGE), 0);
	assert_int_equal(page3[20], 0);
	assert_int_equal(memmap_pager_truncate(mappable, UINT64_MAX), -EINVAL);
	/* Nothing of what was cut off was written. */
	assert_true(strchr(log_text, 'w') == NULL);
	assert_int_equal(memmap_mappable_remove_mapping(mappable, NULL, &space.space, ar, 0, true),
			 0);
}

static void test_punch_hole(void **state)
{
	(void)state;
	*touch(1, MEMMAP_WRITE) = 50;
	*touch(2, MEMMAP_WRITE) = 50;
	punch_error = -EIO;
	assert_int_equal(memmap_mapping_identity_punch_hole(identity, NULL, pages(2, 4)), -EIO);
	assert_stats(2, 2);
	assert_int_equal(*touch(2, MEMMAP_READ), 50);
	punch_error = 0;
	log_text[0] = '\0';
	assert_int_equal(memmap_mapping_identity_punch_hole(identity, NULL, pages(2, 4)), 0);
	assert_log("p2+2 ");
	assert_int_equal(memmap_mapping_identity_punch_hole(identity, NULL, pages(20, 40)), 0);
	assert_log("");
	assert_stats(1, 1);
	assert_int_equal(*touch(2, MEMMAP_READ), 0);
	assert_int_equal(*touch(3, MEMMAP_READ), 0);
	assert_int_equal(*touch(4, MEMMAP_READ), 5);
}

static void *touch_gated(void *arg)
{
	struct memmap_translation t;
	const uint64_t page = (uintptr_t)arg;
	return (void *)(intptr_t)(translate_first(pages(page, page + 1), pages(page, page + 1),
						  MEMMAP_READ, &t) != 0);
}

/* While one page is being read, others are served; whoever wants the same one waits for it. */
static void test_waiting(void **state)
{
	(void)state;
	pthread_t slow, same;
	void *result;
	logging = false;
	pthread_mutex_lock(&gate_lock);
	gated_page = 3;
	nr_at_gate = 0;
	assert_int_equal(pthread_create(&slow, NULL, touch_gated, (void *)3), 0);
	while (nr_at_gate == 0)
		pthread_cond_wait(&gate_changed, &gate_lock);
	pthread_mutex_unlock(&gate_lock);
	/* Page 3 is being read now, and will be until we say so. */
	assert_int_equal(*touch(4, MEMMAP_READ), 5);
	*touch(5, MEMMAP_WRITE) = 9;
	assert_int_equal(memmap_mapping_identity_msync(identity, NULL, pages(0, 16)), 0);
	assert_int_equal(memmap_pager_shrink(mappable, PAGE), 0);
	unsigned char vec[16];
	assert_int_equal(memmap_mappable_resident(mappable, NULL, pages(0, 16), vec), 0);
	assert_int_equal(vec[3], 0);
	assert_int_equal(pthread_create(&same, NULL, touch_gated, (void *)3), 0);
	pthread_mutex_lock(&gate_lock);
	gated_page = UINT64_MAX;
	pthread_cond_broadcast(&gate_changed);
	pthread_mutex_unlock(&gate_lock);
	assert_int_equal(pthread_join(slow, &result), 0);
	assert_null(result);
	assert_int_equal(pthread_join(same, &result), 0);
	assert_null(result);
	assert_int_equal(nr_at_gate, 1);
	assert_int_equal(store[5 * PAGE], 9);
}

static void test_violations(void **state)
{
	(void)state;
	const struct memmap_addr_range ar = {0x100000, 0x110000}, to = {0x200000, 0x210000};
	assert_int_equal(memmap_mappable_add_mapping(mappable, NULL, &space.space, ar, 0, true), 0);
	assert_int_equal(
		memmap_mappable_copy_mapping(mappable, NULL, &space.space, ar, to, 0, true), 0);
	assert_panics("still mapped", memmap_mapping_identity_dec_ref(identity, NULL));
	assert_int_equal(memmap_mappable_remove_mapping(mappable, NULL, &space.space, ar, 0, true),
			 0);
	assert_int_equal(memmap_mappable_remove_mapping(mappable, NULL, &space.space, to, 0, true),
			 0);
	struct memmap_mapping_identity *id;
	struct memmap_mappable *m;
	const struct memmap_pager_options options = {.size = UINT64_MAX};
	assert_int_equal(memmap_pager_create(mf, &all_ops, NULL, &options, &id, &m), -EINVAL);
}

/* ---- A storm ---- */

#define NR_THREADS 3
#define STORM      1500

/* A guest with one mapping of the whole file: what it was told, under its lock. */
struct guest {
	struct memmap_mapping_space space;
	pthread_mutex_t lock;
	uint64_t nr_invalidations;
	struct memmap_translation present[NR_PAGES]; /* file NULL: none */
	uint64_t me, seed;
	uint64_t wrong;
};

static void guest_invalidate(struct memmap_mapping_space *ms, struct memmap_addr_range ar,
			     struct memmap_invalidate_opts opts)
{
	struct guest *g = (struct guest *)ms;
	(void)opts;
	pthread_mutex_lock(&g->lock);
	g->nr_invalidations++;
	for (uint64_t page = ar.start / PAGE; page < ar.end / PAGE; page++) {
		if (g->present[page].file)
			memmap_file_dec_ref(g->present[page].file,
					    memmap_translation_file_range(g->present[page]));
		g->present[page].file = NULL;
	}
	pthread_mutex_unlock(&g->lock);
}

static const struct memmap_mapping_space_ops guest_ops = {.invalidate = guest_invalidate};

/* Add one to the guest's own number in a page. */
static void add_one(struct guest *g, uint64_t page)
{
	for (;;) {
		pthread_mutex_lock(&g->lock);
		struct memmap_translation *t = &g->present[page];
		if (t->file && (t->perms & MEMMAP_WRITE)) {
			struct memmap_block_seq seq;
			(void)memmap_file_map_internal(t->file, memmap_translation_file_range(*t),
						       MEMMAP_WRITE, &seq);
			((uint64_t *)memmap_block_seq_head(seq).addr)[g->me]++;
			pthread_mutex_unlock(&g->lock);
			return;
		}
		const uint64_t before = g->nr_invalidations;
		pthread_mutex_unlock(&g->lock);
		struct memmap_translations ts = {0};
		const struct memmap_mappable_range mr = pages(page, page + 1);
		if (memmap_mappable_translate(mappable, NULL, mr, mr, MEMMAP_WRITE, &ts)) {
			g->wrong++;
			return;
		}
		pthread_mutex_lock(&g->lock);
		if (g->nr_invalidations == before) {
			if (t->file)
				memmap_file_dec_ref(t->file, memmap_translation_file_range(*t));
			*t = memmap_translations_data(&ts)[0];
			memmap_file_inc_ref(t->file, memmap_translation_file_range(*t), 0);
		}
		pthread_mutex_unlock(&g->lock);
		memmap_translations_release(&ts);
	}
}

static void *storm(void *arg)
{
	struct guest *g = arg;
	const struct memmap_addr_range ar = {0, NR_PAGES * PAGE};
	if (memmap_mappable_add_mapping(mappable, NULL, &g->space, ar, 0, true))
		abort();
	for (int i = 0; i < STORM; i++) {
		g->seed = g->seed * UINT64_C(6364136223846793005) + 1442695040888963407;
		add_one(g, (g->seed >> 40) % NR_PAGES);
		if (i % 64 == 0)
			g->wrong += memmap_mapping_identity_msync(identity, NULL,
								  pages(0, NR_PAGES)) != 0;
		if (i % 100 == 0)
			g->wrong += memmap_pager_shrink(mappable, 4 * PAGE) != 0;
	}
	guest_invalidate(&g->space, ar, (struct memmap_invalidate_opts){0});
	if (memmap_mappable_remove_mapping(mappable, NULL, &g->space, ar, 0, true))
		abort();
	return NULL;
}

static void test_storm(void **state)
{
	(void)state;
	static struct guest guests[NR_THREADS];
	pthread_t threads[NR_THREADS];
	assert_int_equal(make(&all_ops, (struct memmap_pager_options){.size = NR_PAGES * PAGE,
								      .cache_limit = 24 * PAGE}),
			 0);
	logging = false;
	memset(store, 0, sizeof(store));
	memset(guests, 0, sizeof(guests));
	for (uint64_t i = 0; i < NR_THREADS; i++) {
		guests[i].space.ops = &guest_ops;
		guests[i].me = i;
		guests[i].seed = i + 1;
		pthread_mutex_init(&guests[i].lock, NULL);
		assert_int_equal(pthread_create(&threads[i], NULL, storm, &guests[i]), 0);
	}
	for (size_t i = 0; i < NR_THREADS; i++) {
		assert_int_equal(pthread_join(threads[i], NULL), 0);
		assert_int_equal(guests[i].wrong, 0);
		pthread_mutex_destroy(&guests[i].lock);
	}
	assert_int_equal(memmap_mapping_identity_msync(identity, NULL, pages(0, NR_PAGES)), 0);
	/* Each addition of each guest has come to where the bytes are kept. */
	for (uint64_t i = 0; i < NR_THREADS; i++) {
		uint64_t sum = 0, number;
		for (uint64_t page = 0; page < NR_PAGES; page++) {
			memcpy(&number, store + page * PAGE + i * sizeof(number), sizeof(number));
			sum += number;
		}
		assert_int_equal(sum, STORM);
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_reading),
		TEST(test_read_errors),
		TEST(test_read_error_after_others_went),
		TEST(test_dirty),
		TEST(test_write_errors),
		TEST(test_truncate),
		TEST(test_punch_hole),
		TEST(test_waiting),
		TEST(test_violations),
		cmocka_unit_test_teardown(test_read_only, teardown),
		cmocka_unit_test_teardown(test_limit, teardown),
		cmocka_unit_test_teardown(test_storm, teardown),
	};
	return cmocka_run_group_tests_name("file/pager", tests, NULL, NULL);
}
