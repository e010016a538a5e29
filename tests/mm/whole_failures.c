/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole operations on the real platforms, with real files, when something fails: for every N, the
 * Nth allocation of anybody (address space, memory file, host files, platform), or the Nth system
 * call that the files make, or the Nth that the platform makes, once alone and once with all that
 * follow.
 *
 * An operation that says it failed has changed nothing: maps, bytes, and who holds which page of the
 * memory file. One that says it succeeded has: an error that it could do without was not needed.
 * Nothing is lost in either case: at the end nobody holds anything.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <memmap/error.h>
#include <memmap/host_file.h>
#include <memmap/mm_access.h>
#include <memmap/platform_inproc.h>
#include <memmap/platform_soft.h>
#include <memmap/shared_memory.h>

#include "file/host.h"
#include "platform/inproc/host.h"

#define K      UINT64_C(4096)
#define REGION UINT64_C(0x20000000) /* low: free under every sanitizer */
#define ANON   (REGION + 16 * K)
#define SHARED (REGION + 64 * K)
#define COPIED (REGION + 96 * K)
#define FILE_  (REGION + 128 * K)
#define PLACE  (REGION + 256 * K)
#define STACK  (REGION + 1024 * K)
#define PAGES  8
#define RW     (PROT_READ | PROT_WRITE)

enum what { FAIL_ALLOCATION, FAIL_FILE_CALL, FAIL_PLATFORM_CALL, NR_WHATS };

/* What fails: the how-manieth (0: nothing), and whether all that follow do. */
static struct {
	enum what what;
	unsigned int countdown;
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

static uint64_t live_bytes;

static void *allocate(void *context, size_t size, size_t alignment)
{
	void *memory = fails(FAIL_ALLOCATION) ? NULL : memmap_allocate(NULL, size, alignment);

	(void)context;
	if (memory)
		live_bytes += size;
	return memory;
}

static void deallocate(void *context, void *memory, size_t size)
{
	(void)context;
	if (memory)
		live_bytes -= size;
	memmap_deallocate(NULL, memory, size);
}

static const struct memmap_allocator allocator = {allocate, deallocate, NULL};

static int file_hook(const char *call)
{
	(void)call;
	return fails(FAIL_FILE_CALL) ? -ENOMEM : 0;
}

/* Unmapping cannot fail: when the kernel does not let go of anything at all, the platform panics. */
static int platform_hook(const char *call)
{
	if (failing.for_good && !strcmp(call, "clear"))
		return 0;
	return fails(FAIL_PLATFORM_CALL) ? -ENOMEM : 0;
}

struct world {
	struct memmap_memory_file *memory;
	struct memmap_host_files *files;
	struct memmap_mapping_identity *id, *shared_id;
	struct memmap_mappable *file, *shared;
	struct memmap_inproc *inproc;
	struct memmap_soft *soft;
	struct memmap_mm *mm, *sibling, *made;
};

static void map(struct world *w, uint64_t at, int flags, const struct memmap_mmap_file *file)
{
	assert_int_equal(memmap_mm_sys_mmap(w->mm, at, PAGES * K, RW, (uint64_t)(flags | MAP_FIXED),
					    file, 0, NULL),
			 at);
}

static void put_byte(struct world *w, uint64_t at, char byte)
{
	assert_int_equal(memmap_mm_copy_out(w->mm, at, &byte, 1, NULL, NULL), 0);
}

static void touch(struct world *w, uint64_t at, memmap_access how)
{
	assert_int_equal(memmap_mm_handle_fault(w->mm, at, how, NULL), 0);
}

/*
 * ANON |w w . . w w . .|  SHARED |w w . . . . . .|  COPIED |c c f f . . . .|  FILE_ |f f . . . . . .|
 *
 * The first two pages of ANON are shared with a child.
 */
static void world_init(struct world *w, bool inproc)
{
	struct memmap_memory_file_options memory = {.allocator = &allocator};
	struct memmap_inproc_options region = {
		.allocator = &allocator, .addr = REGION, .length = 4096 * K};
	struct memmap_soft_options soft = {.allocator = &allocator};
	struct memmap_mm_options options = {.allocator = &allocator};
	struct memmap_shared_memory_options sm = {.allocator = &allocator};
	char path[] = "/tmp/memmap-whole-XXXXXX", page[4096];
	const int fd = mkstemp(path);

	*w = (struct world){0};
	assert_true(fd >= 0 && !unlink(path));
	for (int i = 0; i < PAGES; i++) {
		memset(page, 'a' + i, sizeof(page));
		assert_int_equal(write(fd, page, sizeof(page)), sizeof(page));
	}
	assert_int_equal(memmap_memory_file_create(&memory, &w->memory), 0);
	assert_int_equal(memmap_host_files_create(&allocator, &w->files), 0);
	assert_int_equal(memmap_host_file_open(w->files, fd, NULL, &w->id, &w->file), 0);
	close(fd);
	assert_int_equal(memmap_shared_memory_create(w->memory, PAGES * K, 0, &sm, &w->shared_id,
						     &w->shared),
			 0);
	memmap_mm_limits_default(&options.limits);
	memmap_mm_layout_default(&options.layout);
	options.memory_file = w->memory;
	options.fault_around = K;
	if (inproc) {
		assert_int_equal(memmap_inproc_create(&region, &w->inproc), 0);
		options.address_space = memmap_inproc_address_space(w->inproc);
		memmap_inproc_layout(w->inproc, &options.layout);
	} else {
		assert_int_equal(memmap_soft_create(&soft, &w->soft), 0);
		options.address_space = memmap_soft_address_space(w->soft);
	}
	options.layout.stack_guard_gap = K;
	assert_int_equal(memmap_mm_create(&options, &w->mm), 0);

	const struct memmap_mmap_file f = {
		.identity = w->id, .mappable = w->file, .readable = true, .writable = true};
	const struct memmap_mmap_file s = {.identity = w->shared_id,
					   .mappable = w->shared,
					   .readable = true,
					   .writable = true};
	map(w, ANON, MAP_PRIVATE | MAP_ANONYMOUS, NULL);
	map(w, SHARED, MAP_SHARED, &s);
	map(w, COPIED, MAP_PRIVATE, &f);
	map(w, FILE_, MAP_SHARED, &f);
	map(w, STACK, MAP_PRIVATE | MAP_ANONYMOUS | MAP_GROWSDOWN, NULL);
	put_byte(w, ANON, 'x');
	put_byte(w, ANON + K, 'y');
	assert_int_equal(memmap_mm_fork(w->mm, NULL, &w->sibling), 0);
	put_byte(w, ANON + 4 * K, 'z');
	put_byte(w, ANON + 5 * K, 'z');
	put_byte(w, SHARED, 's');
	put_byte(w, SHARED + K, 't');
	put_byte(w, COPIED, 'c');
	put_byte(w, COPIED + K, 'd');
	for (uint64_t i = 0; i < 4; i++)
		touch(w, COPIED + i * K, MEMMAP_READ);
	touch(w, STACK, MEMMAP_READ); /* zeros, which are kept once they are there */
	touch(w, FILE_, MEMMAP_WRITE);
	touch(w, FILE_ + K, MEMMAP_READ);
	touch(w, ANON + 4 * K, MEMMAP_WRITE);
}

static void world_destroy(struct world *w)
{
	struct memmap_memory_usage usage;

	memmap_mm_release(w->made);
	memmap_mm_release(w->sibling);
	memmap_mm_release(w->mm);
	memmap_inproc_release(w->inproc);
	memmap_soft_release(w->soft);
	memmap_mapping_identity_dec_ref(w->id, NULL);
	memmap_mapping_identity_dec_ref(w->shared_id, NULL);
	memmap_host_files_release(w->files);
	memmap_memory_file_usage(w->memory, &usage);
	assert_int_equal(usage.total, 0);
	memmap_memory_file_release(w->memory);
	assert_int_equal(live_bytes, 0);
}

/* Maps and who holds what, to be freed. */
static char *snapshot(struct world *w)
{
	struct memmap_text maps = {0};
	char *dump = memmap_memory_file_dump(w->memory), *text = NULL;

	assert_int_equal(memmap_mm_print_maps(w->mm, &maps), 0);
	assert_non_null(dump);
	*strstr(dump, "\ntotal") = '\0'; /* what was freed may be kept for the next */
	assert_true(asprintf(&text, "%s%s%s", maps.data, dump, w->made ? "a child" : "") > 0);
	memmap_free(dump);
	memmap_text_release(&maps);
	return text;
}

/* All that can be read; pages come in by it. */
static uint64_t sum_of_bytes(struct world *w)
{
	static const uint64_t places[] = {ANON, SHARED, COPIED, FILE_, STACK};
	uint64_t sum = 0;

	for (size_t i = 0; i < sizeof(places) / sizeof(*places); i++)
		for (uint64_t at = places[i]; at < places[i] + PAGES * K; at += K) {
			unsigned char page[4096];

			if (memmap_mm_copy_in(w->mm, at, page, sizeof(page), NULL, NULL))
				continue;
			for (size_t j = 0; j < sizeof(page); j++)
				sum = (sum ^ page[j]) * UINT64_C(1099511628211);
			sum ^= at;
		}
	return sum;
}

static void check(struct world *w)
{
	assert_int_equal(memmap_mm_verify(w->mm), 0);
	assert_int_equal(memmap_memory_file_verify(w->memory), 0);
	if (w->inproc)
		assert_int_equal(memmap_inproc_verify(w->inproc), 0);
	else
		assert_int_equal(memmap_soft_verify(w->soft), 0);
}

/*
 * ---- The operations ----
 */

#define OPERATION(name, expression)                                                                \
	static int64_t name(struct world *w)                                                       \
	{                                                                                          \
		return (expression);                                                               \
	}
#define MM          w->mm
#define ANY_PRIVATE (uint64_t)(MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED)

OPERATION(map_over, memmap_mm_sys_mmap(MM, ANON + K, 2 * K, RW, ANY_PRIVATE, NULL, 0, NULL))
OPERATION(unmap_anon, memmap_mm_sys_munmap(MM, ANON + K, 4 * K))
OPERATION(unmap_shared, memmap_mm_sys_munmap(MM, SHARED + K, K))
OPERATION(unmap_copied, memmap_mm_sys_munmap(MM, COPIED + K, 2 * K))
OPERATION(unmap_all, memmap_mm_sys_munmap(MM, REGION, 512 * K))
OPERATION(protect_none, memmap_mm_sys_mprotect(MM, ANON + K, 4 * K, PROT_NONE))
OPERATION(protect_file, memmap_mm_sys_mprotect(MM, COPIED + K, 2 * K, PROT_READ))
OPERATION(move_anon,
	  memmap_mm_sys_mremap(MM, ANON, PAGES *K, PAGES *K, MREMAP_MAYMOVE | MREMAP_FIXED, PLACE))
OPERATION(move_copied, memmap_mm_sys_mremap(MM, COPIED + K, 2 * K, 2 * K,
					    MREMAP_MAYMOVE | MREMAP_FIXED, ANON + K))
OPERATION(grow_shared, memmap_mm_sys_mremap(MM, SHARED, PAGES *K, 2 * PAGES * K,
					    MREMAP_MAYMOVE | MREMAP_FIXED, PLACE))
OPERATION(guards, memmap_mm_sys_madvise(MM, ANON, 5 * K, 102))
OPERATION(dont_need, memmap_mm_sys_madvise(MM, ANON, PAGES *K, MADV_DONTNEED))
OPERATION(free_lazily, memmap_mm_sys_madvise(MM, ANON, PAGES *K, MADV_FREE))
OPERATION(advise, memmap_mm_sys_madvise(MM, ANON + K, K, MADV_DONTFORK))
OPERATION(fork_it, memmap_mm_fork(MM, NULL, &w->made))
OPERATION(read_anon, memmap_mm_handle_fault(MM, ANON + 3 * K, MEMMAP_READ, NULL))
OPERATION(write_anon, memmap_mm_handle_fault(MM, ANON + 7 * K, MEMMAP_WRITE, NULL))
OPERATION(break_copy, memmap_mm_handle_fault(MM, ANON + K, MEMMAP_WRITE, NULL))
OPERATION(read_shared, memmap_mm_handle_fault(MM, SHARED + 4 * K, MEMMAP_READ, NULL))
OPERATION(read_file, memmap_mm_handle_fault(MM, FILE_ + 5 * K, MEMMAP_READ, NULL))
OPERATION(write_file, memmap_mm_handle_fault(MM, FILE_ + K, MEMMAP_WRITE, NULL))
OPERATION(copy_file_page, memmap_mm_handle_fault(MM, COPIED + 2 * K, MEMMAP_WRITE, NULL))
OPERATION(copy_new_page, memmap_mm_handle_fault(MM, COPIED + 6 * K, MEMMAP_WRITE, NULL))

static const struct operation {
	const char *name;
	int64_t (*run)(struct world *w);
	bool file_keeps; /* a page that the file has made by then is its own */
} operations[] = {
#define ENTRY(name)                                                                                \
	{                                                                                          \
#		name, name, false                                                                 \
	}
	ENTRY(map_over),
	ENTRY(unmap_anon),
	ENTRY(unmap_shared),
	ENTRY(unmap_copied),
	ENTRY(unmap_all),
	ENTRY(protect_none),
	ENTRY(protect_file),
	ENTRY(move_anon),
	ENTRY(move_copied),
	ENTRY(grow_shared),
	ENTRY(guards),
	ENTRY(dont_need),
	ENTRY(free_lazily),
	ENTRY(advise),
	ENTRY(fork_it),
	ENTRY(read_anon),
	ENTRY(write_anon),
	ENTRY(break_copy),
	{"read_shared", read_shared, true},
	ENTRY(read_file),
	ENTRY(write_file),
	ENTRY(copy_file_page),
	ENTRY(copy_new_page),
};

/* Make one operation fail at its Nth need. Returns false when it has fewer than N. */
static bool fail_at(const struct operation *op, bool inproc, enum what what, bool for_good,
		    unsigned int n)
{
	struct world w;
	char *before, *after;
	uint64_t sum;
	int64_t result;
	bool failed;

	world_init(&w, inproc);
	/* What there is to read, of a world just like it. */
	sum = sum_of_bytes(&w);
	world_destroy(&w);
	world_init(&w, inproc);
	before = snapshot(&w);
	memset(&failing, 0, sizeof(failing));
	failing.what = what;
	failing.for_good = for_good;
	failing.countdown = n;
	result = op->run(&w);
	failed = failing.failed;
	failing.countdown = 0;
	if (failed && result < 0) {
		after = snapshot(&w);
		if (strcmp(before, after) != 0 && !op->file_keeps)
			fail_msg("%s: something of kind %d failed, the %uth, and was not undone:\n"
				 "%s\n---\n%s",
				 op->name, (int)what, n, before, after);
		free(after);
		if (sum_of_bytes(&w) != sum)
			fail_msg("%s: something of kind %d failed, the %uth: other bytes", op->name,
				 (int)what, n);
		if (result != -ENOMEM && result != -EAGAIN &&
		    (!memmap_is_bus_error((int)result) || what == FAIL_ALLOCATION))
			fail_msg("%s: something of kind %d failed, the %uth: %lld", op->name,
				 (int)what, n, (long long)result);
	} else if (result < 0) {
		fail_msg("%s failed by itself: %lld", op->name, (long long)result);
	}
	check(&w);
	free(before);
	world_destroy(&w);
	return failed;
}

static void fail_everything(bool inproc)
{
	unsigned int nr_failures = 0;

	memmap_host_hook = file_hook;
	memmap_inproc_host_hook = platform_hook;
	for (size_t i = 0; i < sizeof(operations) / sizeof(*operations); i++)
		for (int what = 0; what < NR_WHATS; what++)
			for (int for_good = 0; for_good < 2; for_good++) {
				unsigned int n = 1;

				while (fail_at(&operations[i], inproc, (enum what)what, for_good,
					       n))
					n++;
				nr_failures += n - 1;
			}
	memmap_host_hook = NULL;
	memmap_inproc_host_hook = NULL;
	/* Enough was needed for this to mean anything. */
	assert_true(nr_failures > 50);
	print_message("%u failures\n", nr_failures);
}

static void test_soft(void **state)
{
	(void)state;
	fail_everything(false);
}

static void test_inproc(void **state)
{
	(void)state;
	fail_everything(true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_soft),
		cmocka_unit_test(test_inproc),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
