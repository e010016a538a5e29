/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forks and copies: what a parent and its children see of each other, who holds which page, and what
 * is left when all are gone.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "file/host.h"
#include "guest.h"

#define AT UINT64_C(0x30000000)

static uint64_t anonymous_pages(struct memmap_memory_file *mf)
{
	struct memmap_memory_usage usage;
	memmap_memory_file_usage(mf, &usage);
	return usage.by_kind[MEMMAP_MEMORY_ANONYMOUS] / K;
}

static void whoever_writes_has_a_copy(void **state)
{
	(void)state;
	struct memmap_memory_file *mf = new_memory_file();
	struct guest parent, child;
	guest_init(&parent, mf);
	assert_int_equal(map_anon(parent.mm, AT, 4 * K, RW, FIXED), AT);
	for (uint64_t i = 0; i < 3; i++)
		assert_int_equal(guest_write(&parent, AT + i * K, (char)('a' + i)), 0);
	assert_int_equal(guest_fork(&parent, &child), 0);
	assert_pages(&parent, "30000000-30003000 r-- cow\n");
	assert_pages(&child, "30000000-30003000 r-- cow\n");
	assert_int_equal(anonymous_pages(mf), 3);

	assert_int_equal(guest_write(&child, AT, 'X'), 0);
	assert_int_equal(guest_write(&parent, AT + K, 'Y'), 0);
	assert_int_equal(anonymous_pages(mf), 5);
	assert_int_equal(guest_read(&parent, AT), 'a');
	assert_int_equal(guest_read(&parent, AT + K), 'Y');
	assert_int_equal(guest_read(&child, AT), 'X');
	assert_int_equal(guest_read(&child, AT + K), 'b');
	assert_int_equal(guest_read(&child, AT + 2 * K), 'c');
	assert_int_equal(guest_read(&child, AT + 3 * K), 0);
	/* The last who holds a page takes it over. */
	guest_destroy(&child);
	assert_int_equal(anonymous_pages(mf), 3);
	assert_int_equal(guest_write(&parent, AT, 'Z'), 0);
	assert_int_equal(guest_write(&parent, AT + 2 * K, 'Z'), 0);
	assert_int_equal(anonymous_pages(mf), 3);
	assert_pages(&parent, "30000000-30001000 rw- private\n"
			      "30001000-30002000 rw- private\n"
			      "30002000-30003000 rw- private\n");
	guest_destroy(&parent);
	release_memory_file(mf);
}

static void three_generations(void **state)
{
	(void)state;
	struct memmap_memory_file *mf = new_memory_file();
	struct guest g[3];
	guest_init(&g[0], mf);
	assert_int_equal(map_anon(g[0].mm, AT, 8 * K, RW, FIXED), AT);
	for (uint64_t i = 0; i < 8; i++)
		assert_int_equal(guest_write(&g[0], AT + i * K, (char)i), 0);
	for (int i = 1; i < 3; i++) {
		assert_int_equal(guest_fork(&g[i - 1], &g[i]), 0);
		assert_int_equal(guest_write(&g[i], AT + (uint64_t)i * K, (char)(10 * i)), 0);
	}
	static const char expected[3][8] = {
		{0, 1, 2, 3, 4, 5, 6, 7}, {0, 10, 2, 3, 4, 5, 6, 7}, {0, 10, 20, 3, 4, 5, 6, 7}};
	for (int i = 0; i < 3; i++) {
		for (uint64_t page = 0; page < 8; page++)
			assert_int_equal(guest_read(&g[i], AT + page * K), expected[i][page]);
	}
	assert_int_equal(anonymous_pages(mf), 10);
	guest_destroy(&g[1]);
	assert_int_equal(guest_read(&g[2], AT + K), 10);
	/* Everybody writes everything. */
	for (uint64_t page = 0; page < 8; page++) {
		assert_int_equal(guest_write(&g[0], AT + page * K, 50), 0);
		assert_int_equal(guest_write(&g[2], AT + page * K, 60), 0);
	}
	assert_int_equal(anonymous_pages(mf), 16);
	assert_int_equal(guest_read(&g[0], AT + 3 * K), 50);
	assert_int_equal(guest_read(&g[2], AT + 3 * K), 60);
	guest_destroy(&g[0]);
	guest_destroy(&g[2]);
	release_memory_file(mf);
}

static void what_a_child_has(void **state)
{
	(void)state;
	struct memmap_memory_file *mf = new_memory_file();
	struct paged_file f;
	struct guest parent, child;
	paged_file_init(&f, mf, 4 * K);
	guest_init(&parent, mf);
	struct memmap_mm *mm = parent.mm;
	/* Kept, wiped, left out; a private and a shared file; shared memory; guard pages. */
	for (uint64_t i = 0; i < 3; i++) {
		uint64_t addr = AT + 2 * i * M;
		assert_int_equal(map_anon(mm, addr, 2 * K, RW, FIXED), addr);
		assert_int_equal(guest_write(&parent, addr, 'p'), 0);
	}
	assert_int_equal(memmap_mm_sys_madvise(mm, AT + 2 * M, 2 * K, MADV_WIPEONFORK), 0);
	assert_int_equal(memmap_mm_sys_madvise(mm, AT + 4 * M, 2 * K, MADV_DONTFORK), 0);
	const uint64_t file = AT + 6 * M, shared = AT + 8 * M, memory = AT + 10 * M;
	assert_int_equal(map_file(mm, file, 2 * K, RW, MAP_PRIVATE | MAP_FIXED, &f.file, 0), file);
	assert_int_equal(map_file(mm, shared, 2 * K, RW, MAP_SHARED | MAP_FIXED, &f.file, 0),
			 shared);
	assert_int_equal(map_anon(mm, memory, 2 * K, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED),
			 memory);
	assert_int_equal(guest_write(&parent, file, 'F'), 0);
	assert_int_equal(guest_read(&parent, file + K), 'b');
	assert_int_equal(guest_write(&parent, shared, 'S'), 0);
	assert_int_equal(guest_write(&parent, memory, 'M'), 0);
	assert_int_equal(memmap_mm_sys_madvise(mm, AT + K, K, MADV_GUARD_INSTALL), 0);

	assert_int_equal(guest_fork(&parent, &child), 0);
	assert_pages(&child, "30000000-30001000 r-- cow\n"
			     "30001000-30002000 --- guard\n"
			     "30600000-30601000 r-- cow\n"
			     "30601000-30602000 r-- shared\n");
	assert_int_equal(guest_read(&child, AT), 'p');
	assert_int_equal(guest_read(&child, AT + K), -'M');
	assert_int_equal(guest_read(&child, AT + 2 * M), 0);
	assert_int_equal(guest_read(&child, AT + 4 * M), -'M');
	assert_int_equal(guest_read(&child, file), 'F');
	assert_int_equal(guest_read(&child, file + K), 'b');
	assert_int_equal(guest_write(&child, shared + 1, 'T'), 0);
	assert_int_equal(guest_write(&child, memory + 1, 'N'), 0);
	assert_int_equal(guest_read(&parent, shared + 1), 'T');
	assert_int_equal(guest_read(&parent, memory + 1), 'N');
	assert_int_equal(guest_read(&child, memory), 'M');
	/* What the child got without asking for it goes as what it asked for. */
	paged_file_resize(&f, K);
	assert_int_equal(guest_read(&child, file + K), -'B');
	guest_destroy(&parent);
	assert_int_equal(guest_read(&child, memory), 'M');
	assert_int_equal(guest_write(&child, file, 'G'), 0);
	guest_destroy(&child);
	paged_file_destroy(&f);
	release_memory_file(mf);
}

static void fork_is_about_runs_not_pages(void **state)
{
	(void)state;
	struct memmap_memory_file *mf = new_memory_file();
	struct guest parent, child;
	guest_init(&parent, mf);
	assert_int_equal(map_anon(parent.mm, AT, 8 * M, RW, FIXED | MAP_POPULATE), AT);
	assert_int_equal(anonymous_pages(mf), 8 * M / K);
	assert_int_equal(guest_fork(&parent, &child), 0);
	assert_pages(&child, "30000000-30800000 r-- cow\n");
	assert_int_equal(anonymous_pages(mf), 8 * M / K);
	guest_destroy(&child);
	guest_destroy(&parent);
	release_memory_file(mf);
}

static void what_may_not_be_written_to_is_still_copied(void **state)
{
	(void)state;
	struct memmap_memory_file *mf = new_memory_file();
	struct guest parent, child;
	guest_init(&parent, mf);
	assert_int_equal(map_anon(parent.mm, AT, 2 * K, RW, FIXED), AT);
	assert_int_equal(guest_write(&parent, AT, 'a'), 0);
	assert_int_equal(memmap_mm_sys_mprotect(parent.mm, AT, 2 * K, PROT_READ), 0);
	assert_int_equal(guest_fork(&parent, &child), 0);
	assert_int_equal(memmap_mm_sys_mprotect(child.mm, AT, 2 * K, RW), 0);
	assert_int_equal(guest_write(&parent, AT, 'b'), 'A');
	assert_int_equal(guest_write(&child, AT, 'b'), 0);
	assert_int_equal(guest_read(&parent, AT), 'a');
	guest_destroy(&child);
	guest_destroy(&parent);
	release_memory_file(mf);
}

/* As guest_init(), with fault_around, and all of `pages` written to: to the page's number. */
static void init_written(struct guest *g, struct memmap_memory_file *mf, uint64_t around,
			 uint64_t pages)
{
	*g = (struct guest){.mf = mf};
	test_platform_init_(&g->platform);
	struct memmap_mm_options options = guest_options(g);
	options.fault_around = around;
	assert_int_equal(memmap_mm_create(&options, &g->mm), 0);
	assert_int_equal(map_anon(g->mm, AT, pages * K, RW, FIXED), AT);
	for (uint64_t i = 0; i < pages; i++)
		assert_int_equal(guest_write(g, AT + i * K, (char)i), 0);
}

static void who_writes_on_and_on_copies_more_at_once(void **state)
{
	(void)state;
	static const struct {
		uint64_t around;
		uint64_t copied[18]; /* after so many writes, page after page */
	} cases[] = {
		{K, {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17}},
		{2 * K, {0, 1, 2, 4, 4, 6, 6, 8, 8, 10, 10, 12, 12, 14, 14, 16, 16, 18}},
		{4 * K, {0, 1, 2, 4, 4, 8, 8, 8, 8, 12, 12, 12, 12, 16, 16, 16, 16, 20}},
		{16 * K, {0, 1, 2, 4, 4, 8, 8, 8, 8, 16, 16, 16, 16, 16, 16, 16, 16, 32}},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct memmap_memory_file *mf = new_memory_file();
		struct guest parent, child;
		init_written(&parent, mf, cases[i].around, 40);
		assert_int_equal(guest_fork(&parent, &child), 0);
		const uint64_t before = anonymous_pages(mf);
		for (uint64_t page = 0; page < 17; page++) {
			assert_int_equal(guest_write(&parent, AT + page * K, 'X'), 0);
			assert_int_equal(anonymous_pages(mf) - before, cases[i].copied[page + 1]);
		}
		for (uint64_t page = 0; page < 40; page++) {
			assert_int_equal(guest_read(&parent, AT + page * K),
					 page < 17 ? 'X' : (int)page);
			assert_int_equal(guest_read(&child, AT + page * K), (int)page);
		}
		guest_destroy(&child);
		guest_destroy(&parent);
		release_memory_file(mf);
	}
}

static void what_nobody_else_holds_is_not_copied(void **state)
{
	(void)state;
	struct memmap_memory_file *mf = new_memory_file();
	struct guest parent, child;
	init_written(&parent, mf, 16 * K, 16);
	assert_int_equal(guest_fork(&parent, &child), 0);
	/* The parent is the last who holds the page 6, and its VMAs end at 7. */
	assert_int_equal(memmap_mm_sys_munmap(child.mm, AT + 6 * K, K), 0);
	assert_int_equal(memmap_mm_sys_mprotect(parent.mm, AT + 7 * K, 9 * K, PROT_READ), 0);
	const uint64_t before = anonymous_pages(mf);
	assert_int_equal(guest_read(&parent, AT + 6 * K), 6);
	const uint64_t own = guest_mapping(&parent, AT + 6 * K).offset;
	for (uint64_t page = 0; page < 7; page++)
		assert_int_equal(guest_write(&parent, AT + page * K, 'X'), 0);
	assert_int_equal(anonymous_pages(mf) - before, 6);
	assert_int_equal(guest_mapping(&parent, AT + 6 * K).offset, own);
	assert_int_equal(guest_read(&child, AT + 5 * K), 5);
	assert_int_equal(guest_read(&parent, AT + 7 * K), 7);
	/* Here and there: a page each. */
	assert_int_equal(guest_write(&child, AT + 9 * K, 'Y'), 0);
	assert_int_equal(guest_write(&child, AT + 12 * K, 'Y'), 0);
	assert_int_equal(anonymous_pages(mf) - before, 8);
	guest_destroy(&child);
	guest_destroy(&parent);
	release_memory_file(mf);
}

/* Copies that are made in whichever order lie side by side in the end. */
static void copies_come_together(void **state)
{
	(void)state;
	struct memmap_memory_file *mf = new_memory_file();
	struct guest parent, child;
	init_written(&parent, mf, K, 64);
	assert_int_equal(guest_fork(&parent, &child), 0);
	for (uint64_t i = 0; i < 64; i++)
		assert_int_equal(guest_write(&parent, AT + (i * 29 + 7) % 64 * K, 'X'), 0);
	assert_pages(&parent, "30000000-30040000 rw- private\n");
	for (uint64_t i = 0; i < 64; i++)
		assert_int_equal(guest_read(&child, AT + i * K), (int)i);
	guest_destroy(&child);
	guest_destroy(&parent);
	release_memory_file(mf);
}

static unsigned calls_until_failure;

static int fail_a_call(const char *call)
{
	(void)call;
	return calls_until_failure && --calls_until_failure == 0 ? -EIO : 0;
}

/* Copied by calls of the system, or, when one of them fails, through mappings. */
static void copies_for_platforms_that_map_descriptors(void **state)
{
	(void)state;
	for (unsigned failing = 0; failing < 6; failing++) {
		struct memmap_memory_file *mf = new_memory_file();
		struct guest parent, child;
		init_written(&parent, mf, 16 * K, 32);
		parent.platform.as.ops = &test_mapping_platform_ops_;
		for (uint64_t i = 0; i < 32; i++)
			assert_int_equal(guest_write(&parent, AT + i * K + K - 1, (char)(i + 64)),
					 0);
		assert_int_equal(guest_fork(&parent, &child), 0);
		calls_until_failure = failing;
		memmap_host_hook = fail_a_call;
		for (uint64_t i = 0; i < 32; i++)
			assert_int_equal(guest_write(&parent, AT + i * K, 'X'), 0);
		memmap_host_hook = NULL;
		for (uint64_t i = 0; i < 32; i++) {
			assert_int_equal(guest_read(&parent, AT + i * K), 'X');
			assert_int_equal(guest_read(&parent, AT + i * K + K - 1), (int)i + 64);
			assert_int_equal(guest_read(&child, AT + i * K), (int)i);
		}
		guest_destroy(&child);
		guest_destroy(&parent);
		release_memory_file(mf);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_writes_on_and_on_copies_more_at_once),
		cmocka_unit_test(what_nobody_else_holds_is_not_copied),
		cmocka_unit_test(copies_come_together),
		cmocka_unit_test(copies_for_platforms_that_map_descriptors),
		cmocka_unit_test(whoever_writes_has_a_copy),
		cmocka_unit_test(three_generations),
		cmocka_unit_test(what_a_child_has),
		cmocka_unit_test(fork_is_about_runs_not_pages),
		cmocka_unit_test(what_may_not_be_written_to_is_still_copied),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
