/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of anonymous memory: what may be a name and what may have one, how VMAs split and merge by
 * them, where they go, and how maps shows them.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"
#include "memmap/failing_allocator.h"

#define AT UINT64_C(0x30000000)

/* Ranges and given names of all VMAs, a line each; to be freed. */
static char *names_of(const struct memmap_mm *mm)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	assert_non_null(out);
	struct memmap_vma v;
	for (uint64_t at = 0; memmap_mm_find_vma(mm, at, &v); at = v.range.end)
		fprintf(out, "%" PRIx64 "-%" PRIx64 " %s\n", v.range.start, v.range.end,
			v.anon_name ? v.anon_name : "-");
	fclose(out);
	return text;
}

static void assert_names_(const struct memmap_mm *mm, const char *expected, const char *file,
			  int line)
{
	assert_int_equal(memmap_mm_verify(mm), 0);
	char *found = names_of(mm);
	if (strcmp(found, expected) != 0) {
		print_error("%s:%d: the VMAs are\n%snot\n%s", file, line, found, expected);
		free(found);
		_fail(file, line);
	}
	free(found);
}
#define assert_names(mm, expected) assert_names_(mm, expected, __FILE__, __LINE__)

static int64_t name(struct memmap_mm *mm, uint64_t addr, uint64_t length, const char *text)
{
	return memmap_mm_sys_prctl_set_vma(mm, addr, length, text);
}

static void test_what_may_be_a_name(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm();
	char text[82];
	map_anon(mm, AT, K, RW, FIXED);
	for (int c = 1; c < 256; c++) {
		bool good = c > 0x1f && c < 0x7f && c != '\\' && c != '`' && c != '$' && c != '[' &&
			    c != ']';
		snprintf(text, sizeof(text), "a%cz", c);
		assert_int_equal(name(mm, AT, K, text), good ? 0 : -EINVAL);
	}
	memset(text, 'x', sizeof(text));
	text[80] = '\0';
	assert_int_equal(name(mm, AT, K, text), -EINVAL);
	text[79] = '\0';
	assert_int_equal(name(mm, AT, K, text), 0);
	assert_string_equal(vma_at(mm, AT).anon_name, text);
	/* No name, and a name that is empty, are not the same. */
	assert_int_equal(name(mm, AT, K, ""), 0);
	assert_names(mm, "30000000-30001000 \n");
	assert_int_equal(name(mm, AT, K, NULL), 0);
	assert_names(mm, "30000000-30001000 -\n");
	memmap_mm_release(mm);
}

static void test_ranges(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm();
	map_anon(mm, AT, 2 * K, RW, FIXED);
	map_anon(mm, AT + 3 * K, K, RW, FIXED);
	assert_int_equal(name(mm, AT + 1, K, "a"), -EINVAL);
	assert_int_equal(name(mm, AT, UINT64_MAX, "a"), -EINVAL);
	assert_int_equal(name(mm, AT, UINT64_MAX - AT - K + 2, "a"), -EINVAL);
	assert_int_equal(name(mm, AT, 0, "a"), 0);
	assert_int_equal(name(mm, 0, 0, "a"), 0);
	assert_names(mm, "30000000-30002000 -\n30003000-30004000 -\n");
	/* The name is looked at before the range. */
	assert_int_equal(name(mm, AT, 0, "["), -EINVAL);
	/* A length is rounded up; holes are reported when the rest is done. */
	assert_int_equal(name(mm, AT, 1, "a"), 0);
	assert_names(mm, "30000000-30001000 a\n30001000-30002000 -\n30003000-30004000 -\n");
	assert_int_equal(name(mm, AT + K, 3 * K, "b"), -ENOMEM);
	assert_names(mm, "30000000-30001000 a\n30001000-30002000 b\n30003000-30004000 b\n");
	assert_int_equal(name(mm, AT + 2 * K, K, "c"), -ENOMEM);
	assert_int_equal(name(mm, AT + 4 * K, K, "c"), -ENOMEM);
	assert_int_equal(name(mm, AT - K, 2 * K, "d"), -ENOMEM);
	assert_names(mm, "30000000-30001000 d\n30001000-30002000 b\n30003000-30004000 b\n");
	memmap_mm_release(mm);
}

static void test_only_anonymous_memory(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm();
	struct test_file file;
	struct test_shared shared;
	test_file_init(&file, "/f");
	test_shared_init(&shared);
	map_anon(mm, AT, K, RW, FIXED);
	map_file(mm, AT + K, K, RW, MAP_PRIVATE | MAP_FIXED, &file, 0);
	map_anon(mm, AT + 2 * K, K, RW, FIXED);
	assert_int_equal(memmap_mm_sys_mmap(mm, AT + 3 * K, 2 * K, RW,
					    MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, NULL, 0,
					    &shared.create),
			 AT + 3 * K);
	/* What lies before the file has been named. */
	assert_int_equal(name(mm, AT, 3 * K, "a"), -EBADF);
	assert_int_equal(name(mm, AT + 4 * K, K, "s"), 0);
	assert_names(mm, "30000000-30001000 a\n30001000-30002000 -\n30002000-30003000 -\n"
			 "30003000-30004000 -\n30004000-30005000 s\n");
	struct memmap_text text = {0};
	assert_int_equal(memmap_mm_print_maps(mm, &text), 0);
	assert_string_equal(
		text.data,
		"30000000-30001000 rw-p 00000000 00:00 0                                  "
		"[anon:a]\n"
		"30001000-30002000 rw-p 00000000 fe:00 1234                               /f\n"
		"30002000-30003000 rw-p 00000000 00:00 0 \n"
		"30003000-30004000 rw-s 00000000 00:01 1234                               "
		"/dev/zero (deleted)\n"
		"30004000-30005000 rw-s 00001000 00:01 1234                               "
		"[anon_shmem:s]\n");
	memmap_text_release(&text);
	/* With the name gone the two are one again. */
	assert_int_equal(name(mm, AT + 3 * K, 2 * K, NULL), 0);
	assert_names(mm, "30000000-30001000 a\n30001000-30002000 -\n30002000-30003000 -\n"
			 "30003000-30005000 -\n");
	memmap_mm_release(mm);
	test_file_destroy(&file);
	test_shared_destroy(&shared);
}

static void test_heap_and_stack_keep_theirs(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm();
	assert_int_equal(memmap_mm_sys_brk(mm, 0x40001000), 0x40001000);
	assert_int_equal(name(mm, 0x40000000, K, "mine"), 0);
	struct memmap_text text = {0};
	assert_int_equal(memmap_mm_print_maps(mm, &text), 0);
	assert_non_null(strstr(text.data, "[heap]\n"));
	assert_null(strstr(text.data, "mine"));
	/* The heap grows without the name, so not in one piece. */
	assert_int_equal(memmap_mm_sys_brk(mm, 0x40002000), 0x40002000);
	assert_names(mm, "40000000-40001000 mine\n40001000-40002000 -\n");
	memmap_text_release(&text);
	memmap_mm_release(mm);
}

static void test_splitting_and_merging(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm();
	map_anon(mm, AT, 6 * K, RW, FIXED);
	assert_int_equal(name(mm, AT + 2 * K, 2 * K, "a"), 0);
	assert_names(mm, "30000000-30002000 -\n30002000-30004000 a\n30004000-30006000 -\n");
	/* An equal name, given another time, is the same name. */
	assert_int_equal(name(mm, AT + 4 * K, 2 * K, "a"), 0);
	assert_names(mm, "30000000-30002000 -\n30002000-30006000 a\n");
	assert_int_equal(name(mm, AT, 6 * K, "a"), 0);
	assert_names(mm, "30000000-30006000 a\n");
	/* Part of one goes over to its neighbour, at either side. */
	assert_int_equal(name(mm, AT, 3 * K, "b"), 0);
	assert_int_equal(name(mm, AT + 2 * K, K, "a"), 0);
	assert_names(mm, "30000000-30002000 b\n30002000-30006000 a\n");
	assert_int_equal(name(mm, AT + 2 * K, K, "b"), 0);
	assert_names(mm, "30000000-30003000 b\n30003000-30006000 a\n");
	/* Unmapping and protecting keep what is left as it was called. */
	assert_int_equal(memmap_mm_sys_munmap(mm, AT + K, K), 0);
	assert_int_equal(memmap_mm_sys_mprotect(mm, AT + 4 * K, K, PROT_READ), 0);
	assert_names(mm, "30000000-30001000 b\n30002000-30003000 b\n30003000-30004000 a\n"
			 "30004000-30005000 a\n30005000-30006000 a\n");
	assert_int_equal(memmap_mm_sys_mprotect(mm, AT + 4 * K, K, RW), 0);
	/* New memory has no name, and merges with none that has. */
	map_anon(mm, AT + K, K, RW, FIXED);
	assert_names(mm, "30000000-30001000 b\n30001000-30002000 -\n30002000-30003000 b\n"
			 "30003000-30006000 a\n");
	assert_int_equal(name(mm, AT + K, K, "b"), 0);
	assert_names(mm, "30000000-30003000 b\n30003000-30006000 a\n");
	memmap_mm_release(mm);
}

static void test_limits(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm();
	map_anon(mm, AT, 6 * K, RW, FIXED);
	struct memmap_mm_limits limits = memmap_mm_get_limits(mm);
	limits.max_map_count = 2;
	memmap_mm_set_limits(mm, &limits);
	/* As with Linux, the first of the two splits has been done. */
	assert_int_equal(name(mm, AT + 2 * K, K, "a"), -EAGAIN);
	assert_names(mm, "30000000-30002000 -\n30002000-30006000 -\n");
	memmap_mm_release(mm);

	/* Seals are no hindrance. What may not be split is one. */
	mm = small_mm();
	const struct memmap_vma vdso = {
		.range = {AT, AT + 2 * K},
		.flags = MEMMAP_VM_READ | MEMMAP_VM_MAYREAD,
		.name = "[vdso]",
	};
	assert_int_equal(memmap_mm_replace(mm, vdso.range, &vdso, 1), 0);
	assert_int_equal(memmap_mm_sys_mseal(mm, AT, 2 * K, 0), 0);
	assert_int_equal(name(mm, AT, K, "a"), -EINVAL);
	assert_int_equal(name(mm, AT, 2 * K, "a"), 0);
	assert_names(mm, "30000000-30002000 a\n");
	memmap_mm_release(mm);
}

static void test_moves_forks_and_replacing(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm(), *child;
	map_anon(mm, AT, 4 * K, RW, FIXED);
	assert_int_equal(name(mm, AT + K, 2 * K, "a"), 0);
	assert_int_equal(
		memmap_mm_sys_mremap(mm, AT + K, K, K, MREMAP_MAYMOVE | MREMAP_FIXED, AT + 16 * K),
		AT + 16 * K);
	/* Growing in place keeps the name. */
	assert_int_equal(memmap_mm_sys_mremap(mm, AT + 16 * K, K, 2 * K, 0, 0), AT + 16 * K);
	assert_int_equal(memmap_mm_fork(mm, NULL, &child), 0);
	assert_int_equal(name(mm, AT + 2 * K, K, "b"), 0);
	assert_names(mm, "30000000-30001000 -\n30002000-30003000 b\n30003000-30004000 -\n"
			 "30010000-30012000 a\n");
	memmap_mm_release(mm);
	/* The child's names outlive its parent. */
	assert_names(child, "30000000-30001000 -\n30002000-30003000 a\n30003000-30004000 -\n"
			    "30010000-30012000 a\n");
	struct memmap_vma vmas[3] = {vma_at(child, AT + 2 * K), vma_at(child, AT + 3 * K),
				     vma_at(child, AT + 16 * K)};
	assert_int_equal(memmap_mm_replace(child, (struct memmap_addr_range){AT, AT + M}, vmas, 3),
			 0);
	assert_names(child, "30002000-30003000 a\n30003000-30004000 -\n30010000-30012000 a\n");
	vmas[0].shared_anonymous = true;
	assert_int_equal(memmap_mm_replace(child, (struct memmap_addr_range){AT, AT + M}, vmas, 3),
			 -EINVAL);
	memmap_mm_release(child);
}

/*
 * ---- Want of memory ----
 */

static int64_t call_name(struct memmap_mm *mm)
{
	return name(mm, AT + K, K, "new");
}

static int64_t call_replace(struct memmap_mm *mm)
{
	struct memmap_vma vmas[2] = {vma_at(mm, AT), vma_at(mm, AT + 100 * K)};
	vmas[0].anon_name = "x";
	vmas[1].anon_name = "y";
	return memmap_mm_replace(mm, (struct memmap_addr_range){AT, AT + M}, vmas, 2);
}

static void out_of_memory(int64_t (*call)(struct memmap_mm *mm), bool again)
{
	for (size_t budget = 0;; budget++) {
		assert_in_range(budget, 0, 100);
		struct failing_allocator failing;
		failing_allocator_init(&failing, SIZE_MAX);
		struct memmap_mm_options options = small_options();
		options.allocator = &failing.allocator;
		struct memmap_mm *mm;
		assert_int_equal(memmap_mm_create(&options, &mm), 0);
		/* Enough VMAs that no node has room for two more. */
		for (uint64_t i = 0; i < 120; i++)
			map_anon(mm, AT + 2 * i * K, 2 * K, i % 2 ? RW : PROT_READ, FIXED);
		for (uint64_t i = 0; i < 120; i++)
			assert_int_equal(name(mm, AT + 2 * i * K, 2 * K, "old"), 0);
		char *before = names_of(mm);
		failing.budget = budget;
		int64_t result = call(mm);
		bool failed = failing.nr_refused > 0;
		failing.budget = SIZE_MAX;
		if (failed) {
			assert_true(result == -ENOMEM || (again && result == -EAGAIN));
			assert_names(mm, before);
		}
		free(before);
		memmap_mm_release(mm);
		assert_int_equal(failing.nr_live, 0);
		if (!failed) {
			assert_int_equal(result, 0);
			assert_true(budget > 0);
			return;
		}
	}
}

static void test_out_of_memory(void **state)
{
	(void)state;
	out_of_memory(call_name, true);
	out_of_memory(call_replace, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_what_may_be_a_name),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_only_anonymous_memory),
		cmocka_unit_test(test_heap_and_stack_keep_theirs),
		cmocka_unit_test(test_splitting_and_merging),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_moves_forks_and_replacing),
		cmocka_unit_test(test_out_of_memory),
	};
	return cmocka_run_group_tests_name("mm/anon_name", tests, NULL, NULL);
}
