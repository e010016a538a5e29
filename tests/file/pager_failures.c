/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a pager does, when something is refused: for every N, the Nth call of the program's functions,
 * the Nth allocation, the Nth system call, or all memory but N pages; once, or from then on.
 *
 * Whatever fails, no byte that was stored is lost or made up: who reads the file afterwards finds what
 * was there before, or, when it is said that all went well, what should be there. What can be stored
 * into without asking is known to be dirty. And nothing is left in the end.
 */
#include <errno.h>
#include <inttypes.h>
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

#include "file/host.h"

#define PAGE     MEMMAP_PAGE_SIZE
#define NR_PAGES 12 /* of which the operations are about */
#define NR_MORE  18 /* runs of a page behind those, every second page */
#define ALL      (NR_PAGES + 2 * NR_MORE)
#define SIZE     (ALL * PAGE - 100)
#define BASE     UINT64_C(0x10000000)

enum what { FAIL_READ, FAIL_CHANGE, FAIL_ALLOCATION, FAIL_HOST_CALL, FAIL_PAGES, NR_WHATS };

/* What fails: the how-manieth (0: nothing), and whether all that follow do. */
static struct {
	enum what what;
	unsigned countdown;
	bool for_good, failed;
} failing;

static bool fails(enum what what)
{
	if (failing.what != what || !failing.countdown || --failing.countdown)
		return false;
	failing.failed = true;
	if (failing.for_good)
		failing.countdown = 1;
	return true;
}

/* ---- What can fail ---- */

static size_t nr_live;

static void *allocate(void *context, size_t size, size_t alignment)
{
	(void)context;
	void *memory = fails(FAIL_ALLOCATION) ? NULL : memmap_allocate(NULL, size, alignment);
	nr_live += memory != NULL;
	return memory;
}

static void deallocate(void *context, void *memory, size_t size)
{
	(void)context;
	nr_live -= memory != NULL;
	memmap_deallocate(NULL, memory, size);
}

static const struct memmap_allocator allocator = {allocate, deallocate, NULL};

static int host_hook(const char *call)
{
	(void)call;
	return fails(FAIL_HOST_CALL) ? -ENOMEM : 0;
}

static unsigned char store[(ALL + 4) * PAGE];
static uint64_t store_size;

static int store_read(void *context, uint64_t offset, void *buf, uint64_t length, uint64_t *done)
{
	(void)context;
	assert_true(offset + length <= store_size);
	memset(buf, 0xee, length); /* must not be taken for what is kept */
	if (fails(FAIL_READ))
		return -EIO;
	memcpy(buf, store + offset, length);
	*done = length;
	return 0;
}

static int store_write(void *context, uint64_t offset, const void *buf, uint64_t length)
{
	(void)context;
	assert_true(offset + length <= store_size);
	const bool failed = fails(FAIL_CHANGE);
	memcpy(store + offset, buf, failed ? length / 2 : length);
	return failed ? -EIO : 0;
}

static int store_sync(void *context)
{
	(void)context;
	return fails(FAIL_CHANGE) ? -EIO : 0;
}

static int store_truncate(void *context, uint64_t size)
{
	(void)context;
	if (fails(FAIL_CHANGE))
		return -EIO;
	if (size < store_size)
		memset(store + size, 0, store_size - size);
	store_size = size;
	return 0;
}

static int store_punch_hole(void *context, uint64_t offset, uint64_t length)
{
	(void)context;
	if (fails(FAIL_CHANGE))
		return -EIO;
	memset(store + offset, 0, length);
	return 0;
}

static const struct memmap_pager_ops ops = {
	.read = store_read,
	.write = store_write,
	.sync = store_sync,
	.truncate = store_truncate,
	.punch_hole = store_punch_hole,
};

/* ---- A file, and a space that maps all of it ---- */

struct world {
	struct memmap_mapping_space space;
	bool writable[ALL + 4]; /* what it may store into without asking */
	struct memmap_memory_file *mf;
	struct memmap_mapping_identity *identity;
	struct memmap_mappable *mappable;
};

static void invalidate(struct memmap_mapping_space *ms, struct memmap_addr_range ar,
		       struct memmap_invalidate_opts opts)
{
	struct world *w = (struct world *)ms;
	(void)opts;
	for (uint64_t at = ar.start; at < ar.end && at < BASE + (ALL + 4) * PAGE; at += PAGE)
		w->writable[(at - BASE) / PAGE] = false;
}

static const struct memmap_mapping_space_ops space_ops = {.invalidate = invalidate};

static struct memmap_mappable_range pages(uint64_t first, uint64_t n)
{
	return (struct memmap_mappable_range){first * PAGE, (first + n) * PAGE};
}

/* Translate a page, and what of `around` is offered besides. `bytes` (NULL: not wanted): the page. */
static int get(struct world *w, uint64_t page, struct memmap_mappable_range around,
	       memmap_access at, unsigned char **bytes)
{
	struct memmap_translations ts = {.allocator = &allocator};
	int err = memmap_mappable_translate(w->mappable, NULL, pages(page, 1), around, at, &ts);
	const struct memmap_translation *t = memmap_translations_data(&ts);
	for (size_t i = 0; i < ts.len; i++)
		for (uint64_t offset = t[i].source.start; offset < t[i].source.end; offset += PAGE)
			w->writable[offset / PAGE] = t[i].perms & MEMMAP_WRITE;
	if (!err && bytes) {
		const struct memmap_file_range fr = memmap_translation_file_range(t[0]);
		struct memmap_block_seq seq;
		assert_int_equal(memmap_file_map_internal(t[0].file, fr, at, &seq), 0);
		assert_true(t[0].source.start <= page * PAGE && t[0].source.end > page * PAGE);
		*bytes = (unsigned char *)memmap_block_seq_head(seq).addr +
			 (page * PAGE - t[0].source.start);
	}
	memmap_translations_release(&ts);
	return err;
}

static void put_byte(struct world *w, uint64_t page, unsigned char byte)
{
	unsigned char *bytes;
	assert_int_equal(get(w, page, pages(page, 1), MEMMAP_READ_WRITE, &bytes), 0);
	bytes[0] = bytes[3000] = byte;
}

/*
 * What is cached: |c c D c D . . . D c . .|. c . c ...| where D has not been written back. There are
 * `nr_more` of the last kind: with some number of them, nodes are full.
 */
static void world_init(struct world *w, uint64_t cache_limit, unsigned nr_more)
{
	const struct memmap_memory_file_options memory = {.allocator = &allocator};
	const struct memmap_pager_options options = {
		.allocator = &allocator,
		.size = SIZE,
		.cache_limit = cache_limit,
	};
	*w = (struct world){.space.ops = &space_ops};
	memset(store, 0, sizeof(store));
	store_size = SIZE;
	for (size_t i = 0; i < SIZE; i++)
		store[i] = (unsigned char)(1 + i / PAGE);
	assert_int_equal(memmap_memory_file_create(&memory, &w->mf), 0);
	assert_int_equal(
		memmap_pager_create(w->mf, &ops, NULL, &options, &w->identity, &w->mappable), 0);
	assert_int_equal(memmap_mappable_add_mapping(
				 w->mappable, NULL, &w->space,
				 (struct memmap_addr_range){BASE, BASE + (ALL + 4) * PAGE}, 0,
				 true),
			 0);
	assert_int_equal(get(w, 0, pages(0, 5), MEMMAP_READ, NULL), 0);
	assert_int_equal(get(w, 8, pages(8, 2), MEMMAP_READ, NULL), 0);
	put_byte(w, 2, 'x');
	put_byte(w, 4, 'y');
	put_byte(w, 8, 'z');
	for (uint64_t i = 0; i < nr_more; i++)
		assert_int_equal(get(w, NR_PAGES + 2 * i + 1, pages(NR_PAGES + 2 * i + 1, 1),
				     MEMMAP_READ, NULL),
				 0);
}

static void world_destroy(struct world *w)
{
	struct memmap_memory_usage usage;
	assert_int_equal(memmap_mappable_remove_mapping(
				 w->mappable, NULL, &w->space,
				 (struct memmap_addr_range){BASE, BASE + (ALL + 4) * PAGE}, 0,
				 true),
			 0);
	memmap_mapping_identity_dec_ref(w->identity, NULL);
	memmap_memory_file_usage(w->mf, &usage);
	assert_int_equal(usage.total, 0);
	assert_int_equal(memmap_memory_file_verify(w->mf), 0);
	memmap_memory_file_release(w->mf);
	assert_int_equal(nr_live, 0);
}

/* What is stored into unnoticed is lost. */
static void assert_writable_is_dirty(struct world *w)
{
	struct memmap_pager_stats stats;
	uint64_t nr = 0;
	for (size_t i = 0; i < ALL + 4; i++)
		nr += w->writable[i];
	memmap_pager_get_stats(w->mappable, &stats);
	assert_true(stats.dirty >= nr * PAGE);
	assert_true(stats.cached >= stats.dirty);
}

/* A number for all that who reads the file finds. */
static uint64_t view(struct world *w)
{
	uint64_t sum = memmap_pager_size(w->mappable);
	for (uint64_t i = 0; i < ALL + 4; i++) {
		unsigned char *bytes;
		int err = get(w, i, pages(i, 1), MEMMAP_READ, &bytes);
		assert_int_equal(err != 0, i * PAGE >= memmap_pager_size(w->mappable));
		for (size_t j = 0; !err && j < PAGE; j += sizeof(uint64_t)) {
			uint64_t word;
			memcpy(&word, bytes + j, sizeof(word));
			sum = (sum ^ word) * UINT64_C(1099511628211);
		}
		sum = (sum ^ i) * UINT64_C(1099511628211);
	}
	return sum;
}

/* The same once all has been written back and forgotten. */
static uint64_t stored_view(struct world *w)
{
	struct memmap_pager_stats stats;
	assert_int_equal(memmap_mapping_identity_msync(w->identity, NULL, pages(0, ALL + 4)), 0);
	assert_int_equal(memmap_pager_shrink(w->mappable, 0), 0);
	memmap_pager_get_stats(w->mappable, &stats);
	assert_int_equal(stats.cached, 0);
	assert_int_equal(stats.dirty, 0);
	return view(w);
}

/* ---- The operations ---- */

static int read_page(struct world *w)
{
	return get(w, 6, pages(6, 1), MEMMAP_READ, NULL);
}

static int read_around(struct world *w)
{
	return get(w, 6, pages(0, ALL + 4), MEMMAP_READ, NULL);
}

static int write_new(struct world *w)
{
	return get(w, 10, pages(9, 3), MEMMAP_READ_WRITE, NULL);
}

static int write_cached(struct world *w)
{
	return get(w, 1, pages(0, 5), MEMMAP_READ_WRITE, NULL);
}

static int write_back(struct world *w)
{
	return memmap_mapping_identity_msync(w->identity, NULL, pages(0, ALL));
}

static int write_back_one(struct world *w)
{
	return memmap_mapping_identity_msync(w->identity, NULL, pages(4, 1));
}

static int forget_all(struct world *w)
{
	return memmap_pager_shrink(w->mappable, 0);
}

static int forget_a_page(struct world *w)
{
	struct memmap_pager_stats stats;
	memmap_pager_get_stats(w->mappable, &stats);
	return memmap_pager_shrink(w->mappable, stats.cached - PAGE);
}

static int cut_off(struct world *w)
{
	return memmap_pager_truncate(w->mappable, 4 * PAGE + 1000);
}

static int cut_off_pages(struct world *w)
{
	return memmap_pager_truncate(w->mappable, 3 * PAGE);
}

static int grow(struct world *w)
{
	return memmap_pager_truncate(w->mappable, (ALL + 3) * PAGE);
}

static int punch(struct world *w)
{
	return memmap_mapping_identity_punch_hole(w->identity, NULL, pages(1, 2));
}

static int punch_all(struct world *w)
{
	return memmap_mapping_identity_punch_hole(w->identity, NULL, pages(0, ALL));
}

static int unmap(struct world *w)
{
	const struct memmap_addr_range ar = {BASE + 3 * PAGE, BASE + 5 * PAGE};
	int err = memmap_mappable_remove_mapping(w->mappable, NULL, &w->space, ar, 3 * PAGE, true);
	if (err)
		return err;
	/* It can be told again, without fail: as it was. */
	failing.countdown = 0;
	return memmap_mappable_add_mapping(w->mappable, NULL, &w->space, ar, 3 * PAGE, true);
}

static int copy_mapping(struct world *w)
{
	const struct memmap_addr_range from = {BASE, BASE + PAGE};
	const struct memmap_addr_range to = {BASE + 64 * PAGE, BASE + 65 * PAGE};
	int err = memmap_mappable_copy_mapping(w->mappable, NULL, &w->space, from, to, 0, true);
	if (err)
		return err;
	failing.countdown = 0;
	return memmap_mappable_remove_mapping(w->mappable, NULL, &w->space, to, 0, true);
}

/* In a memory file of its own, which has no memory yet. */
static int make_another(struct world *w)
{
	const struct memmap_memory_file_options memory = {.allocator = &allocator};
	const struct memmap_pager_options options = {
		.allocator = &allocator, .size = PAGE, .name = "another"};
	struct world another = {0};
	(void)w;
	int err = memmap_memory_file_create(&memory, &another.mf);
	if (err)
		return err;
	err = memmap_pager_create(another.mf, &ops, NULL, &options, &another.identity,
				  &another.mappable);
	if (!err) {
		err = get(&another, 0, pages(0, 1), MEMMAP_READ, NULL);
		memmap_mapping_identity_dec_ref(another.identity, NULL);
	}
	memmap_memory_file_release(another.mf);
	return err;
}

static const struct operation {
	const char *name;
	int (*run)(struct world *w);
	uint64_t cache_limit;
} operations[] = {
	{"reading a page", read_page, 0},
	{"reading much", read_around, 0},
	{"reading, and making room", read_page, 7 * PAGE},
	{"writing to a new page", write_new, 0},
	{"writing to a new page, and making room", write_new, 7 * PAGE},
	{"writing to a page that is there", write_cached, 0},
	{"writing back", write_back, 0},
	{"writing a page back", write_back_one, 0},
	{"forgetting all", forget_all, 0},
	{"forgetting a page", forget_a_page, 0},
	{"cutting off", cut_off, 0},
	{"cutting off whole pages", cut_off_pages, 0},
	{"growing", grow, 0},
	{"punching", punch, 0},
	{"punching everything", punch_all, 0},
	{"unmapping a part", unmap, 0},
	{"mapping once more", copy_mapping, 0},
	{"making another", make_another, 0},
};

/* ---- The Nth failure ---- */

static void arm(struct world *w, enum what what, bool for_good, unsigned n)
{
	memset(&failing, 0, sizeof(failing));
	failing.what = what;
	if (what != FAIL_PAGES) {
		failing.for_good = for_good;
		failing.countdown = n;
		return;
	}
	/* Taking away what is cached does not help either. */
	struct memmap_memory_usage usage;
	struct memmap_pager_stats stats;
	memmap_memory_file_usage(w->mf, &usage);
	memmap_pager_get_stats(w->mappable, &stats);
	memmap_memory_file_set_limit(w->mf, usage.total - stats.cached + n * PAGE);
	failing.failed = n < 12;
}

static void disarm(struct world *w)
{
	failing.countdown = 0;
	memmap_memory_file_set_limit(w->mf, 0);
}

/* Is it an error that says what happened? */
static bool is_clear(int err, enum what what)
{
	switch (what) {
	case FAIL_READ:
		return memmap_is_bus_error(err) && memmap_bus_error_unwrap(err) == -EIO;
	case FAIL_CHANGE:
		return err == -EIO;
	default:
		return err == -ENOMEM;
	}
}

/* Make one operation fail at its Nth need. Returns false when it has fewer than N. */
static bool fail_at(const struct operation *op, enum what what, bool for_good, unsigned n,
		    unsigned nr_more, unsigned *nr_failures)
{
	struct world w;
	world_init(&w, op->cache_limit, nr_more);
	const uint64_t before = view(&w);
	assert_int_equal(op->run(&w), 0);
	const uint64_t after = view(&w);
	assert_int_equal(stored_view(&w), after);
	world_destroy(&w);

	world_init(&w, op->cache_limit, nr_more);
	arm(&w, what, for_good, n);
	int err = op->run(&w);
	const bool failed = failing.failed;
	disarm(&w);
	if (err && !is_clear(err, what))
		fail_msg("%s, failure %u of kind %d: %s", op->name, n, (int)what,
			 memmap_strerror(err));
	assert_writable_is_dirty(&w);
	if (view(&w) != (err ? before : after))
		fail_msg("%s, failure %u of kind %d (%s): other bytes", op->name, n, (int)what,
			 memmap_strerror(err));
	/* It can be done all the same. */
	if (err)
		assert_int_equal(op->run(&w), 0);
	assert_writable_is_dirty(&w);
	if (stored_view(&w) != after)
		fail_msg("%s, failure %u of kind %d (%s): other bytes are stored", op->name, n,
			 (int)what, memmap_strerror(err));
	world_destroy(&w);
	*nr_failures += err != 0;
	return failed;
}

static void every_failure(enum what what, unsigned max_more, unsigned least)
{
	unsigned nr_failures = 0;
	memmap_host_hook = host_hook;
	for (size_t i = 0; i < sizeof(operations) / sizeof(operations[0]); i++) {
		for (unsigned more = 0; more <= max_more; more++) {
			for (int for_good = 0; for_good < 2; for_good++) {
				unsigned n = 1;
				while (fail_at(&operations[i], what, for_good, n, more,
					       &nr_failures))
					n++;
				assert_in_range(n, 1, 60);
			}
		}
	}
	memmap_host_hook = NULL;
	print_message("%u failures\n", nr_failures);
	assert_true(nr_failures >= least);
}

static void reads(void **state)
{
	(void)state;
	every_failure(FAIL_READ, 1, 5);
}

static void changes(void **state)
{
	(void)state;
	every_failure(FAIL_CHANGE, 1, 20);
}

static void allocations(void **state)
{
	(void)state;
	every_failure(FAIL_ALLOCATION, NR_MORE, 50);
}

static void system_calls(void **state)
{
	(void)state;
	every_failure(FAIL_HOST_CALL, 0, 3);
}

static void memory(void **state)
{
	(void)state;
	every_failure(FAIL_PAGES, 0, 5);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads),       cmocka_unit_test(changes),
		cmocka_unit_test(allocations), cmocka_unit_test(system_calls),
		cmocka_unit_test(memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
