/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random touches, writing back, evicting, cutting and punching of a pager's file, beside an array of
 * bytes that says what every read must see. Reads, writes, truncations, allocations fail now and
 * then: nothing stored may be lost by that.
 *
 *   pager_model [SEED [ROUNDS]]     the seed is printed
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <memmap/arch.h>
#include <memmap/error.h>
#include <memmap/pager.h>

#include "file/model.h"
#include "memmap/failing_allocator.h"

#define PAGE     MEMMAP_PAGE_SIZE
#define NR_PAGES 200
#define NR_BYTES (NR_PAGES * PAGE)
#define BASE     UINT64_C(0x10000000)
#define STEPS    6000

/* ---- Where the bytes are kept ---- */

static unsigned char store[NR_BYTES], model[NR_BYTES];
static uint64_t store_size, model_size;
static unsigned fail_one_in; /* 0: none */
static size_t nr_failed;

static int maybe_fail(void)
{
	if (fail_one_in == 0 || below(fail_one_in) > 0)
		return 0;
	nr_failed++;
	return -EIO;
}

static int store_read(void *context, uint64_t offset, void *buf, uint64_t length, uint64_t *done)
{
	(void)context;
	if (offset + length > model_size)
		fail("reading past the end");
	memset(buf, 0xee, length); /* what is not read is not kept */
	if (maybe_fail())
		return -EIO;
	/* Zeros at the end are not always kept. */
	uint64_t n = length;
	while (n > 0 && store[offset + n - 1] == 0 && below(2))
		n--;
	memcpy(buf, store + offset, n);
	*done = n;
	return 0;
}

static int store_write(void *context, uint64_t offset, const void *buf, uint64_t length)
{
	(void)context;
	if (offset + length > store_size)
		fail("writing past the end");
	if (maybe_fail()) {
		memcpy(store + offset, buf, length / 2); /* who knows what was written */
		return -EIO;
	}
	memcpy(store + offset, buf, length);
	return 0;
}

static int store_truncate(void *context, uint64_t size)
{
	(void)context;
	if (maybe_fail())
		return -EIO;
	if (size < store_size)
		memset(store + size, 0, store_size - size);
	store_size = size;
	return 0;
}

static int store_punch_hole(void *context, uint64_t offset, uint64_t length)
{
	(void)context;
	if (maybe_fail())
		return -EIO;
	memset(store + offset, 0, length);
	return 0;
}

static int store_sync(void *context)
{
	(void)context;
	return maybe_fail();
}

static const struct memmap_pager_ops ops = {
	.read = store_read,
	.write = store_write,
	.sync = store_sync,
	.truncate = store_truncate,
	.punch_hole = store_punch_hole,
};

/* ---- A space that maps the whole file ---- */

static struct memmap_memory_file *mf;
static struct memmap_mapping_identity *identity;
static struct memmap_mappable *mappable;
static struct failing_allocator failing;
static uint64_t cache_limit;

static struct {
	unsigned char *bytes; /* NULL: not translated */
	uint64_t offset;
	bool writable;
} present[NR_PAGES];

static void drop_present(uint64_t page)
{
	if (!present[page].bytes)
		return;
	memmap_file_dec_ref(
		memmap_memory_file_file(mf),
		(struct memmap_file_range){present[page].offset, present[page].offset + PAGE});
	present[page].bytes = NULL;
}

static void invalidate(struct memmap_mapping_space *ms, struct memmap_addr_range ar,
		       struct memmap_invalidate_opts opts)
{
	(void)ms;
	(void)opts;
	for (uint64_t at = ar.start; at < ar.end; at += PAGE)
		drop_present((at - BASE) / PAGE);
}

static const struct memmap_mapping_space_ops space_ops = {.invalidate = invalidate};
static struct memmap_mapping_space space = {.ops = &space_ops};

/* Have the page: 0 or the error. */
static int touch(uint64_t page, bool write)
{
	if (present[page].bytes && (present[page].writable || !write))
		return 0;
	const struct memmap_mappable_range required = {page * PAGE,
						       (page + 1 + below(3) / 2) * PAGE};
	struct memmap_mappable_range optional = {page - below(page < 20 ? page + 1 : 20),
						 page + 2 + below(20)};
	optional.start *= PAGE;
	optional.end *= PAGE;
	const memmap_access at = write ? MEMMAP_READ_WRITE : MEMMAP_READ;
	struct memmap_translations ts = {.allocator = &failing.allocator};
	char why[200];
	int err = memmap_mappable_translate(mappable, NULL, required, optional, at, &ts);
	const struct memmap_translation *t = memmap_translations_data(&ts);
	if (ts.len == 0 && !err)
		fail("translate gave nothing");
	if (ts.len > 0 &&
	    memmap_check_translate_result(required, optional, at, t, ts.len, err, why, sizeof(why)))
		fail("%s", why);
	for (size_t i = 0; i < ts.len; i++) {
		for (uint64_t p = t[i].source.start / PAGE; p < t[i].source.end / PAGE; p++) {
			const uint64_t offset = t[i].offset + p * PAGE - t[i].source.start;
			const struct memmap_file_range fr = {offset, offset + PAGE};
			struct memmap_block_seq seq;
			if (p >= NR_PAGES || p * PAGE >= model_size)
				fail("page %" PRIu64 " is past the end", p);
			if (p != page && below(2))
				continue;
			drop_present(p);
			memmap_file_inc_ref(t[i].file, fr, 0);
			if (memmap_file_map_internal(t[i].file, fr, at, &seq))
				fail("map_internal");
			present[p].bytes = memmap_block_seq_head(seq).addr;
			present[p].offset = offset;
			present[p].writable = (t[i].perms & MEMMAP_WRITE) != 0;
		}
	}
	memmap_translations_release(&ts);
	if (present[page].bytes && (present[page].writable || !write))
		return 0;
	if (!err)
		fail("translate did not give what was required");
	return err;
}

static void check_error(int err, uint64_t page)
{
	const bool beyond = page * PAGE >= model_size;
	if (beyond && err == memmap_bus_error(-EFAULT))
		return;
	if (!beyond && err == memmap_bus_error(-EIO) && nr_failed > 0)
		return;
	if (err == -ENOMEM && failing.nr_refused > 0)
		return;
	fail("page %" PRIu64 " of %" PRIu64 " bytes: %s", page, model_size, memmap_strerror(err));
}

static void guest_write(void)
{
	const uint64_t page = below(NR_PAGES);
	int err = touch(page, true);
	if (err) {
		check_error(err, page);
		return;
	}
	if (page * PAGE >= model_size)
		fail("written past the end");
	const uint64_t at = below(PAGE);
	const unsigned char value = (unsigned char)next_random();
	present[page].bytes[at] = value;
	if (page * PAGE + at < model_size)
		model[page * PAGE + at] = value;
}

static void guest_read(void)
{
	const uint64_t page = below(NR_PAGES);
	int err = touch(page, false);
	if (err) {
		check_error(err, page);
		return;
	}
	if (page * PAGE >= model_size)
		fail("read past the end");
	const uint64_t in_file = model_size - page * PAGE;
	const uint64_t n = in_file < PAGE ? in_file : PAGE;
	if (memcmp(present[page].bytes, model + page * PAGE, n) != 0)
		fail("page %" PRIu64 " reads wrong", page);
}

static struct memmap_mappable_range random_pages(void)
{
	const uint64_t start = below(NR_PAGES);
	const uint64_t end = start + 1 + below(below(2) ? 4 : NR_PAGES);
	return (struct memmap_mappable_range){start * PAGE,
					      (end < NR_PAGES ? end : NR_PAGES) * PAGE};
}

static void expect(int err, const char *what)
{
	if (err && !(err == -EIO && nr_failed > 0) && !(err == -ENOMEM && failing.nr_refused > 0))
		fail("%s: %s", what, memmap_strerror(err));
}

static void msync_some(void)
{
	struct memmap_mappable_range mr = random_pages();
	int err = memmap_mapping_identity_msync(identity, NULL, mr);
	expect(err, "msync");
	if (mr.end > model_size)
		mr.end = model_size;
	if (!err && mr.start < mr.end &&
	    memcmp(store + mr.start, model + mr.start, mr.end - mr.start) != 0)
		fail("msync did not write all");
}

static void truncate_some(void)
{
	const uint64_t size = below(3) ? below(NR_BYTES) : NR_BYTES - below(10 * PAGE);
	int err = memmap_pager_truncate(mappable, size);
	expect(err, "truncate");
	if (!err) {
		if (size < model_size)
			memset(model + size, 0, model_size - size);
		model_size = size;
	}
	if (memmap_pager_size(mappable) != model_size)
		fail("size");
	for (uint64_t page = 0; page < NR_PAGES; page++)
		if (present[page].bytes && page * PAGE >= model_size)
			fail("page %" PRIu64 " is still present", page);
}

static void punch_some(void)
{
	struct memmap_mappable_range mr = random_pages();
	int err = memmap_mapping_identity_punch_hole(identity, NULL, mr);
	expect(err, "punch_hole");
	if (!err)
		memset(model + mr.start, 0, mr.end - mr.start);
}

static void check_all(void)
{
	struct memmap_pager_stats stats;
	struct memmap_memory_usage usage;
	unsigned char vec[NR_PAGES];
	uint64_t nr = 0;
	memmap_pager_get_stats(mappable, &stats);
	memmap_memory_file_usage(mf, &usage);
	if (stats.dirty > stats.cached)
		fail("more is dirty than cached");
	if (memmap_mappable_resident(mappable, NULL, (struct memmap_mappable_range){0, NR_BYTES},
				     vec))
		fail("resident");
	for (size_t i = 0; i < NR_PAGES; i++) {
		nr += vec[i];
		if (present[i].bytes && !vec[i])
			fail("page %zu is present but not cached", i);
	}
	if (stats.cached != usage.total || usage.by_kind[MEMMAP_MEMORY_PAGE_CACHE] != usage.total)
		fail("%" PRIu64 " cached, %" PRIu64 " used", stats.cached, usage.total);
	if (nr * PAGE != stats.cached)
		fail("%" PRIu64 " pages are resident of %" PRIu64 " bytes", nr, stats.cached);
	if (memmap_memory_file_verify(mf))
		fail("the memory file does not verify");
}

static void run(void)
{
	random_state = seed;
	memset(store, 0, sizeof(store));
	memset(present, 0, sizeof(present));
	model_size = store_size = below(NR_BYTES);
	for (uint64_t i = 0; i < store_size; i++)
		store[i] = below(4) ? (unsigned char)(i * 31 + i / PAGE) : 0;
	memcpy(model, store, sizeof(model));
	cache_limit = below(3) ? (4 + below(NR_PAGES)) * PAGE : 0;
	failing_allocator_init(&failing, SIZE_MAX);
	const struct memmap_memory_file_options mf_options = {.allocator = &failing.allocator};
	const struct memmap_pager_options options = {
		.allocator = &failing.allocator,
		.name = "model",
		.size = model_size,
		.cache_limit = cache_limit,
	};
	const struct memmap_addr_range ar = {BASE, BASE + NR_BYTES};
	if (memmap_memory_file_create(&mf_options, &mf) ||
	    memmap_pager_create(mf, &ops, NULL, &options, &identity, &mappable) ||
	    memmap_mappable_add_mapping(mappable, NULL, &space, ar, 0, true))
		fail("create");
	for (step = 0; step < STEPS; step++) {
		fail_one_in = below(4) ? 0 : 4;
		nr_failed = 0;
		failing.nr_refused = 0;
		failing.budget = below(6) ? SIZE_MAX : below(3);
		struct memmap_pager_stats before, after;
		memmap_pager_get_stats(mappable, &before);
		const uint64_t what = below(100);
		if (what < 45)
			guest_write();
		else if (what < 85)
			guest_read();
		else if (what < 91)
			msync_some();
		else if (what < 94)
			expect(memmap_pager_shrink(mappable, below(NR_BYTES)), "shrink");
		else if (what < 97)
			truncate_some();
		else
			punch_some();
		failing.budget = SIZE_MAX;
		if (step % 20 == 0)
			check_all();
		/* Nothing that failed: then there was room to make. */
		memmap_pager_get_stats(mappable, &after);
		if (cache_limit && after.cached > before.cached && after.cached > cache_limit &&
		    nr_failed == 0 && failing.nr_refused == 0)
			fail("%" PRIu64 " bytes are cached", after.cached);
	}
	fail_one_in = 0;
	nr_failed = 0;
	failing.nr_refused = 0;
	if (below(2)) {
		if (memmap_mapping_identity_msync(identity, NULL,
						  (struct memmap_mappable_range){0, NR_BYTES}))
			fail("the last msync");
		if (memcmp(store, model, model_size) != 0)
			fail("something was lost");
		if (memmap_pager_shrink(mappable, 0))
			fail("the last shrink");
		check_all();
	}
	for (uint64_t page = 0; page < NR_PAGES; page++)
		drop_present(page);
	if (memmap_mappable_remove_mapping(mappable, NULL, &space, ar, 0, true))
		fail("remove_mapping");
	memmap_mapping_identity_dec_ref(identity, NULL);
	if (memcmp(store, model, model_size) != 0)
		fail("something was lost at the end");
	struct memmap_memory_usage usage;
	memmap_memory_file_usage(mf, &usage);
	if (usage.total)
		fail("pages are left");
	memmap_memory_file_release(mf);
	if (failing.nr_live)
		fail("%zu allocations are left", failing.nr_live);
}

int main(int argc, char **argv)
{
	seed = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)time(NULL) * 1000;
	const uint64_t rounds = argc > 2 ? strtoull(argv[2], NULL, 0) : argc > 1 ? 1 : 8;
	printf("seed %" PRIu64 ", %" PRIu64 " rounds\n", seed, rounds);
	(void)fflush(stdout);
	for (uint64_t i = 0; i < rounds; i++, seed++)
		run();
	return 0;
}
