/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mremap, madvise, the mlock family and mseal when memory runs out: for every N, the Nth allocation
 * of a call fails, once alone and once with all that follow. The call must say so, and everything
 * must be as it was: VMAs, counts, references, and what the files know of their mappings. When
 * there is no memory even for going back, these must at least agree with each other.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"

#define A UINT64_C(0x10000000)

/* ---- An allocator that fails ---- */

struct failing {
	struct memmap_allocator allocator;
	unsigned int countdown; /* the how-manieth allocation fails; 0: none */
	bool for_good;          /* and all after it */
	bool failed;
};

static void *failing_allocate(void *context, size_t size, size_t alignment)
{
	struct failing *f = context;

	if (f->countdown && --f->countdown == 0) {
		f->failed = true;
		if (f->for_good)
			f->countdown = 1;
		return NULL;
	}
	return memmap_allocate(NULL, size, alignment);
}

static void failing_deallocate(void *context, void *memory, size_t size)
{
	(void)context;
	memmap_deallocate(NULL, memory, size);
}

/* ---- What a call may not change ---- */

struct setting {
	struct failing failing;
	struct test_file file, other;
	struct memmap_mm *mm;
};

/* Everything that can be seen of the address space, and of what the files hold of it. */
static char *snapshot(const struct setting *s)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	struct memmap_mm_stats stats;
	struct memmap_vma v;

	assert_non_null(out);
	for (uint64_t at = 0; memmap_mm_find_vma(s->mm, at, &v); at = v.range.end)
		fprintf(out, "%" PRIx64 "-%" PRIx64 " %" PRIx64 " %" PRIx64 " %p %" PRIu64 " %d\n",
			v.range.start, v.range.end, v.flags, v.offset, (void *)v.identity,
			v.anon_vma, v.fork_child);
	memmap_mm_get_stats(s->mm, &stats);
	fprintf(out, "%zu %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 "\n",
		stats.nr_vmas, stats.total_pages, stats.data_pages, stats.exec_pages,
		stats.stack_pages, stats.locked_pages);
	fprintf(out, "%d %d\n", s->file.references, s->other.references);
	fclose(out);
	return text;
}

static void setting_check(struct setting *s)
{
	assert_int_equal(memmap_mm_verify(s->mm), 0);
	assert_reverse_map(s->mm, &s->file);
	assert_reverse_map(s->mm, &s->other);
}

/*
 * Many VMAs, so that the tree has several levels and splitting needs memory at each of them:
 *
 *      A                        A+0x40000              A+0x80000
 *      |anon r|anon rw|anon r|..|file s|file p|file s|..|other, one piece|
 */
static void setting_init(struct setting *s)
{
	struct memmap_mm_options options = small_options();

	memset(s, 0, sizeof(*s));
	s->failing.allocator.allocate = failing_allocate;
	s->failing.allocator.deallocate = failing_deallocate;
	s->failing.allocator.context = &s->failing;
	options.allocator = &s->failing.allocator;
	assert_int_equal(memmap_mm_create(&options, &s->mm), 0);
	test_file_init(&s->file, "file");
	test_file_init(&s->other, "other");
	memmap_mapping_set_init(&s->file.mappings, &s->failing.allocator);
	memmap_mapping_set_init(&s->other.mappings, &s->failing.allocator);
	for (uint64_t i = 0; i < 32; i++) {
		uint64_t anon = A + i * 2 * K, file = A + 0x40000 + i * 2 * K;

		assert_int_equal(map_anon(s->mm, anon, 2 * K, i % 2 ? RW : PROT_READ, FIXED), anon);
		assert_int_equal(map_file(s->mm, file, 2 * K, PROT_READ,
					  MAP_FIXED | (i % 2 ? MAP_PRIVATE : MAP_SHARED), &s->file,
					  i * 2 * K),
				 file);
	}
	assert_int_equal(
		map_file(s->mm, A + 0x80000, 32 * K, RW, MAP_SHARED | MAP_FIXED, &s->other, 0),
		A + 0x80000);
	memmap_mm_note_anonymous(s->mm,
				 (struct memmap_addr_range){.start = A + 2 * K, .end = A + 3 * K});
}

static void setting_destroy(struct setting *s)
{
	memmap_mm_release(s->mm);
	test_file_destroy(&s->file);
	test_file_destroy(&s->other);
}

/* ---- The calls ---- */

struct call {
	const char *name;
	int64_t (*make)(struct memmap_mm *mm);
	int64_t error; /* what it says when memory runs out */
	/*
	 * It replaces mappings of a file. When there is no memory even for going back, these stay
	 * unmapped; see munmap.c.
	 */
	bool may_leave_gap;
};

#define CALL(name, expression)                                                                     \
	static int64_t name(struct memmap_mm *mm)                                                  \
	{                                                                                          \
		return expression;                                                                 \
	}

CALL(move_anon, memmap_mm_sys_mremap(mm, A + 2 * K, K, K, MREMAP_MAYMOVE | MREMAP_FIXED, A + 8 * M))
CALL(grow_moving, memmap_mm_sys_mremap(mm, A + 2 * K, K, 3 * K, MREMAP_MAYMOVE, 0))
CALL(grow_in_place, memmap_mm_sys_mremap(mm, A + 0x80000, 32 * K, 40 * K, 0, 0))
CALL(shrink, memmap_mm_sys_mremap(mm, A + 0x80000, 16 * K, 8 * K, 0, 0))
CALL(move_file_over_anon, memmap_mm_sys_mremap(mm, A + 0x80000 + 4 * K, 8 * K, 8 * K,
					       MREMAP_MAYMOVE | MREMAP_FIXED, A + 3 * K))
CALL(move_file_over_file, memmap_mm_sys_mremap(mm, A + 0x80000 + 4 * K, 8 * K, 8 * K,
					       MREMAP_MAYMOVE | MREMAP_FIXED, A + 0x40000 + 3 * K))
CALL(move_file_over_itself,
     memmap_mm_sys_mremap(mm, A + 0x80000 + 4 * K, 8 * K, 8 * K, MREMAP_MAYMOVE | MREMAP_FIXED,
			  A + 0x80000 + 20 * K))
CALL(move_shrinking, memmap_mm_sys_mremap(mm, A + 0x80000 + 4 * K, 12 * K, 4 * K,
					  MREMAP_MAYMOVE | MREMAP_FIXED, A + 0x40000 + 3 * K))
CALL(keep,
     memmap_mm_sys_mremap(mm, A + 0x80000 + 4 * K, 8 * K, 8 * K,
			  MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, A + 0x40000 + 3 * K))
CALL(duplicate, memmap_mm_sys_mremap(mm, A + 0x80000 + 4 * K, 0, 8 * K, MREMAP_MAYMOVE, 0))
CALL(duplicate_over, memmap_mm_sys_mremap(mm, A + 0x80000 + 4 * K, 0, 8 * K,
					  MREMAP_MAYMOVE | MREMAP_FIXED, A + 0x40000 + 3 * K))
CALL(advise, memmap_mm_sys_madvise(mm, A + K, 30 * K, MADV_SEQUENTIAL))
CALL(advise_inside, memmap_mm_sys_madvise(mm, A + 0x80000 + K, 8 * K, MADV_DONTFORK))
CALL(lock, memmap_mm_sys_mlock(mm, A + K, 30 * K))
CALL(lock_inside, memmap_mm_sys_mlock2(mm, A + 0x80000 + K, 8 * K, MLOCK_ONFAULT))
CALL(lock_all, memmap_mm_sys_mlockall(mm, MCL_CURRENT))
CALL(seal, memmap_mm_sys_mseal(mm, A + K, 30 * K, 0))
CALL(seal_inside, memmap_mm_sys_mseal(mm, A + 0x80000 + K, 8 * K, 0))
CALL(bind, memmap_mm_sys_mbind(mm, A + K, 30 * K, 1))
CALL(bind_inside, memmap_mm_sys_mbind(mm, A + 0x80000 + K, 8 * K, 1))
CALL(userfault,
     memmap_mm_userfault_register(mm,
				  (struct memmap_addr_range){A + 0x80000 + K, A + 0x80000 + 9 * K},
				  1, MEMMAP_VM_UFFD_MISSING))

static const struct call calls[] = {
	{"move_anon", move_anon, -ENOMEM, false},
	{"grow_moving", grow_moving, -ENOMEM, false},
	{"grow_in_place", grow_in_place, -ENOMEM, false},
	{"shrink", shrink, -ENOMEM, false},
	{"move_file_over_anon", move_file_over_anon, -ENOMEM, false},
	{"move_file_over_file", move_file_over_file, -ENOMEM, true},
	{"move_file_over_itself", move_file_over_itself, -ENOMEM, true},
	{"move_shrinking", move_shrinking, -ENOMEM, true},
	{"keep", keep, -ENOMEM, true},
	{"duplicate", duplicate, -ENOMEM, false},
	{"duplicate_over", duplicate_over, -ENOMEM, true},
	{"advise", advise, -EAGAIN, false},
	{"advise_inside", advise_inside, -EAGAIN, false},
	{"lock", lock, -ENOMEM, false},
	{"lock_inside", lock_inside, -ENOMEM, false},
	{"lock_all", lock_all, -ENOMEM, false},
	{"seal", seal, -ENOMEM, false},
	{"seal_inside", seal_inside, -ENOMEM, false},
	{"bind", bind, -ENOMEM, false},
	{"bind_inside", bind_inside, -ENOMEM, false},
	{"userfault", userfault, -ENOMEM, false},
};

/* Let the Nth allocation of the call fail, for every N, until one goes through without failing. */
static unsigned int fail_each(const struct call *call, bool for_good)
{
	unsigned int failures = 0;

	for (unsigned int n = 1;; n++) {
		struct setting s;
		char *before, *after;
		int64_t result;

		setting_init(&s);
		before = snapshot(&s);
		s.failing.countdown = n;
		s.failing.for_good = for_good;
		result = call->make(s.mm);
		s.failing.countdown = 0;
		setting_check(&s);
		after = snapshot(&s);
		if (!s.failing.failed) {
			/* Nothing failed: then it must have worked, and done something. */
			if (result < 0 || !strcmp(before, after))
				fail_msg("%s: %" PRId64 " without any failure", call->name, result);
		} else if (result >= 0) {
			/* It could do without that memory. */
			assert_string_not_equal(before, after);
		} else {
			failures++;
			if (result != call->error ||
			    (strcmp(before, after) != 0 && !(for_good && call->may_leave_gap)))
				fail_msg("%s, allocation %u: %" PRId64 "\n%s\nbecame\n%s",
					 call->name, n, result, before, after);
		}
		setting_destroy(&s);
		free(before);
		free(after);
		if (!s.failing.failed)
			return failures;
	}
}

static void test_one_allocation_fails(void **state)
{
	unsigned int failures = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		failures += fail_each(&calls[i], false);
	assert_true(failures > 20); /* otherwise this tests nothing */
}

static void test_all_allocations_fail_from_then_on(void **state)
{
	unsigned int failures = 0;

	(void)state;
	for (size_t i = 0; i < sizeof(calls) / sizeof(*calls); i++)
		failures += fail_each(&calls[i], true);
	assert_true(failures > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_one_allocation_fails),
		cmocka_unit_test(test_all_allocations_fail_from_then_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
