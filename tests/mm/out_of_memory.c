/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mmap, munmap, mprotect, brk, fork and their like when memory runs out: for every N, the Nth
 * allocation of a call fails, once alone and once with all that follow. The call must say so, and
 * all must be as it was: VMAs, counts, references, and what the files know of their mappings.
 *
 * The address space takes its memory from that allocator. So do the files that it maps where one
 * allocation fails; where all do, they must still be able to forget all that they know of a
 * mapping, which <memmap/memmap.h> asks of them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"

#define AT    UINT64_C(0x30000000)
#define FILES UINT64_C(0x34000000)
#define HEAP  UINT64_C(0x40000000)
#define STACK UINT64_C(0x50200000)

struct world {
	struct memmap_allocator allocator;
	unsigned countdown; /* the how-manieth allocation fails; 0: none does */
	bool for_good;      /* and all after it */
	bool failed;

	struct memmap_mm *mm;
	struct memmap_mm *child; /* made by the call */
	struct test_file a, b, c, d;
	struct test_shared shared;
};

static void *allocate(void *context, size_t size, size_t alignment)
{
	struct world *w = context;
	if (w->countdown && --w->countdown == 0) {
		w->failed = true;
		if (w->for_good)
			w->countdown = 1;
		return NULL;
	}
	return memmap_allocate(NULL, size, alignment);
}

static void deallocate(void *context, void *memory, size_t size)
{
	(void)context;
	memmap_deallocate(NULL, memory, size);
}

static struct memmap_mm_options world_options(struct world *w)
{
	struct memmap_mm_options options = small_options();
	options.allocator = &w->allocator;
	return options;
}

/*
 *      AT   |r|rw|r|rw| ...  64 of 2 pages   FILES   |a|a|b|b|c|c| ...   HEAP |rw|   STACK |rw|
 */
static void world_init(struct world *w, bool for_good)
{
	*w = (struct world){.allocator = {allocate, deallocate, w}, .for_good = for_good};
	struct memmap_mm_options options = world_options(w);
	assert_int_equal(memmap_mm_create(&options, &w->mm), 0);
	struct test_file *files[] = {&w->a, &w->b, &w->c, &w->d};
	static const char *const names[] = {"a", "b", "c", "d"};
	for (size_t i = 0; i < 4; i++) {
		test_file_init(files[i], names[i]);
		if (!for_good)
			memmap_mapping_set_init(&files[i]->mappings, &w->allocator);
	}
	test_shared_init(&w->shared);
	for (uint64_t i = 0; i < 64; i++)
		map_anon(w->mm, AT + i * 2 * K, 2 * K, i % 2 ? RW : PROT_READ, FIXED);
	for (uint64_t i = 0; i < 30; i++)
		map_file(w->mm, FILES + i * 4 * K, 4 * K, i % 2 ? RW : PROT_READ,
			 MAP_SHARED | MAP_FIXED, files[i / 10], i % 10 * 4 * K);
	assert_int_equal(memmap_mm_sys_brk(w->mm, HEAP + 2 * K), HEAP + 2 * K);
	map_anon(w->mm, STACK, K, RW, FIXED | MAP_GROWSDOWN);
}

static void world_destroy(struct world *w)
{
	memmap_mm_release(w->child);
	memmap_mm_release(w->mm);
	test_file_destroy(&w->a);
	test_file_destroy(&w->b);
	test_file_destroy(&w->c);
	test_file_destroy(&w->d);
	test_shared_destroy(&w->shared);
}

static void world_check(struct world *w)
{
	struct test_file *files[] = {&w->a, &w->b, &w->c, &w->d};
	assert_int_equal(memmap_mm_verify(w->mm), 0);
	for (size_t i = 0; i < 4; i++)
		assert_reverse_map(w->mm, files[i]);
}

/* All that can be seen; to be freed. */
static char *world_snapshot(const struct world *w)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	assert_non_null(out);
	struct memmap_vma v;
	for (uint64_t at = 0; memmap_mm_find_vma(w->mm, at, &v); at = v.range.end)
		fprintf(out, "%" PRIx64 "-%" PRIx64 " %" PRIx64 " %p+%" PRIx64 " %" PRIu64 "\n",
			v.range.start, v.range.end, v.flags, (void *)v.identity, v.offset,
			v.anon_vma);
	struct memmap_mm_stats s;
	memmap_mm_get_stats(w->mm, &s);
	fprintf(out, "%zu VMAs, %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " pages\n", s.nr_vmas,
		s.total_pages, s.data_pages, s.stack_pages, s.locked_pages);
	struct memmap_mm_layout layout = memmap_mm_get_layout(w->mm);
	fprintf(out, "brk %" PRIx64 ", references %d %d %d %d, %s child\n", layout.brk,
		w->a.references, w->b.references, w->c.references, w->d.references,
		w->child ? "a" : "no");
	fclose(out);
	return text;
}

/*
 * ---- The calls ----
 */

#define CALL(name, expression)                                                                     \
	static int64_t name(struct world *w)                                                       \
	{                                                                                          \
		return (expression);                                                               \
	}

CALL(mmap_new, map_anon(w->mm, 0, 3 * K, RX, ANON))
CALL(mmap_joining, map_anon(w->mm, AT + 128 * K, K, RW, FIXED))
CALL(mmap_inside, map_anon(w->mm, AT + 65 * K, K, PROT_NONE, FIXED))
CALL(mmap_file, map_file(w->mm, AT + 33 * K, 3 * K, RW, MAP_SHARED | MAP_FIXED, &w->d, K))
CALL(mmap_file_over_file,
     map_file(w->mm, FILES + K, 2 * K, RW, MAP_SHARED | MAP_FIXED, &w->d, 7 * K))
CALL(mmap_file_over_itself, map_file(w->mm, FILES + K, K, RX, MAP_SHARED | MAP_FIXED, &w->a, K))
CALL(mmap_over_many, map_anon(w->mm, FILES + K, 110 * K, RW, FIXED))
CALL(mmap_shared,
     memmap_mm_sys_mmap(w->mm, 0, K, RW, MAP_SHARED | MAP_ANONYMOUS, NULL, 0, &w->shared.create))
CALL(munmap_whole, memmap_mm_sys_munmap(w->mm, AT, 128 * K))
CALL(munmap_inside, memmap_mm_sys_munmap(w->mm, FILES + K, 2 * K))
CALL(munmap_two_files, memmap_mm_sys_munmap(w->mm, FILES + 2 * K, 100 * K))
CALL(protect_inside, memmap_mm_sys_mprotect(w->mm, FILES + K, K, PROT_NONE))
CALL(protect_many, memmap_mm_sys_mprotect(w->mm, AT + K, 120 * K, PROT_NONE))
CALL(grow_stack, memmap_mm_expand_stack(w->mm, STACK - 1))

/* A break that stays is a refusal. */
static int64_t brk_or_error(struct world *w, uint64_t brk)
{
	return memmap_mm_sys_brk(w->mm, brk) == (int64_t)brk ? 0 : -ENOMEM;
}
CALL(brk_grows, brk_or_error(w, HEAP + 9 * K))
CALL(brk_shrinks, brk_or_error(w, HEAP + K))
CALL(brk_begins_anew, memmap_mm_sys_mprotect(w->mm, HEAP, 2 * K, PROT_READ) == 0
			      ? brk_or_error(w, HEAP + 3 * K)
			      : -ENOMEM)

CALL(fork_all, memmap_mm_fork(w->mm, NULL, &w->child))

static int64_t replace(struct world *w)
{
	const uint64_t flags = MEMMAP_VM_SHARED | MEMMAP_VM_MAYSHARE | MEMMAP_VM_MAYWRITE;
	struct memmap_vma vmas[20] = {0};
	for (uint64_t i = 0; i < 20; i++)
		vmas[i] = (struct memmap_vma){
			.range = {FILES + (2 * i + 1) * K, FILES + (2 * i + 2) * K},
			.flags = flags,
			.identity = i % 2 ? &w->a.identity : &w->d.identity,
			.mappable = i % 2 ? &w->a.mappable : &w->d.mappable,
			.offset = i * K,
		};
	return memmap_mm_replace(w->mm, (struct memmap_addr_range){FILES + K, FILES + 42 * K}, vmas,
				 20);
}

static int64_t own_mapping(struct world *w)
{
	uint64_t addr;
	struct memmap_mmap_opts opts = {
		.length = K, .addr = AT + K, .fixed = true, .unmap = true, .hint = "[named]"};
	return memmap_mm_mmap(w->mm, &opts, &addr);
}

struct call {
	const char *name;
	int64_t (*make)(struct world *w);
};

static const struct call calls[] = {
	{"mmap_new", mmap_new},
	{"mmap_joining", mmap_joining},
	{"mmap_inside", mmap_inside},
	{"mmap_file", mmap_file},
	{"mmap_file_over_file", mmap_file_over_file},
	{"mmap_file_over_itself", mmap_file_over_itself},
	{"mmap_over_many", mmap_over_many},
	{"mmap_shared", mmap_shared},
	{"munmap_whole", munmap_whole},
	{"munmap_inside", munmap_inside},
	{"munmap_two_files", munmap_two_files},
	{"protect_inside", protect_inside},
	{"protect_many", protect_many},
	{"grow_stack", grow_stack},
	{"brk_grows", brk_grows},
	{"brk_shrinks", brk_shrinks},
	{"brk_begins_anew", brk_begins_anew},
	{"fork_all", fork_all},
	{"replace", replace},
	{"own_mapping", own_mapping},
};

/* The call, with its Nth allocation failing. False: it was not that many. */
static bool fail_once(const struct call *call, unsigned n, bool for_good, unsigned *refusals)
{
	struct world w;
	world_init(&w, for_good);
	char *before = world_snapshot(&w);
	w.countdown = n;
	int64_t result = call->make(&w);
	w.countdown = 0;
	world_check(&w);
	char *after = world_snapshot(&w);
	if (result < 0) {
		++*refusals;
		if (!w.failed || result != -ENOMEM)
			fail_msg("%s, allocation %u: %" PRId64, call->name, n, result);
		if (strcmp(before, after) != 0)
			fail_msg("%s, allocation %u: \n%sbecame\n%s", call->name, n, before, after);
	} else {
		assert_string_not_equal(before, after);
	}
	bool failed = w.failed;
	world_destroy(&w);
	free(before);
	free(after);
	return failed;
}

static unsigned fail_each(bool for_good)
{
	unsigned refusals = 0;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		for (unsigned n = 1; fail_once(&calls[i], n, for_good, &refusals); n++)
			;
	}
	return refusals;
}

static void test_one_allocation_fails(void **state)
{
	(void)state;
	assert_in_range(fail_each(false), 40, 10000);
}

static void test_all_allocations_fail(void **state)
{
	(void)state;
	assert_in_range(fail_each(true), 20, 10000);
}

static void test_create(void **state)
{
	(void)state;
	struct world w = {.allocator = {allocate, deallocate, &w}, .countdown = 1};
	struct memmap_mm_options options = world_options(&w);
	assert_int_equal(memmap_mm_create(&options, &w.mm), -ENOMEM);
	assert_null(w.mm);
}

/*
 * ---- Refusals of Mappables ----
 */

/* The Nth change that a file is told of is refused, alone or with all after it. */
static void test_files_refuse(void **state)
{
	(void)state;
	unsigned refusals = 0;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		for (unsigned which = 0; which < 4; which++) {
			for (unsigned n = 1, done = 0; !done; n++) {
				struct world w;
				world_init(&w, false);
				struct test_file *files[] = {&w.a, &w.b, &w.c, &w.d};
				char *before = world_snapshot(&w);
				files[which]->refuse_in = n;
				int64_t result = calls[i].make(&w);
				files[which]->refuse_in = 0;
				char *after = world_snapshot(&w);
				world_check(&w);
				if (result < 0) {
					refusals++;
					assert_int_equal(result, -ENOMEM);
					assert_string_equal(before, after);
				} else {
					done = 1;
				}
				world_destroy(&w);
				free(before);
				free(after);
			}
		}
	}
	assert_in_range(refusals, 20, 10000);
}

/* What was taken away and cannot be put back: a gap, but one that all agree on. */
static void test_gap(void **state)
{
	(void)state;
	struct world w;
	world_init(&w, false);
	w.a.refuse_in = 2; /* it lets go of its part, and does not take it back */
	w.a.refuse_on = true;
	w.c.refuse_in = 1;
	assert_int_equal(memmap_mm_sys_munmap(w.mm, FILES + 2 * K, 100 * K), -ENOMEM);
	w.a.refuse_in = w.c.refuse_in = 0;
	world_check(&w);
	/* All of a's part of the range is gone, and nothing else. */
	struct memmap_vma v;
	assert_true(memmap_mm_find_vma(w.mm, FILES + 2 * K, &v));
	assert_int_equal(v.range.start, FILES + 40 * K);
	assert_int_equal(vma_at(w.mm, FILES + K).range.end, FILES + 2 * K);
	world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_allocation_fails),
		cmocka_unit_test(test_all_allocations_fail),
		cmocka_unit_test(test_create),
		cmocka_unit_test(test_files_refuse),
		cmocka_unit_test(test_gap),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
