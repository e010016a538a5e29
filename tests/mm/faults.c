/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults: what is permitted, what becomes present, and what the guest then reads.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "guest.h"

#define AT UINT64_C(0x30000000)

static void touches_are_permitted_as_by_the_kernel(void **state)
{
	(void)state;
	static const struct {
		uint64_t prot;
		int read, write, exec;
	} cases[] = {
		{PROT_NONE, 'A', 'A', 'A'}, {PROT_READ, 0, 'A', 'A'}, {PROT_WRITE, 0, 0, 'A'},
		{PROT_EXEC, 0, 'A', 0},     {RW, 0, 0, 'A'},          {RX, 0, 'A', 0},
		{RW | PROT_EXEC, 0, 0, 0},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct memmap_memory_file *mf = new_memory_file();
		struct guest g;
		char byte = 0;
		guest_init(&g, mf);
		assert_int_equal(map_anon(g.mm, AT, 3 * K, cases[i].prot, FIXED), AT);
		assert_int_equal(guest_touch(&g, AT, MEMMAP_READ, &byte), cases[i].read);
		assert_int_equal(guest_touch(&g, AT + K, MEMMAP_WRITE, &byte), cases[i].write);
		assert_int_equal(guest_touch(&g, AT + 2 * K, MEMMAP_EXEC, &byte), cases[i].exec);
		assert_int_equal(guest_touch(&g, AT - 1, MEMMAP_READ, &byte), 'M');
		assert_int_equal(guest_touch(&g, AT + 3 * K, MEMMAP_READ, &byte), 'M');
		assert_int_equal(guest_touch(&g, UINT64_MAX, MEMMAP_READ, &byte), 'M');
		guest_destroy(&g);
		release_memory_file(mf);
	}
}

static void without_a_memory_file_there_are_no_faults(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm();
	assert_int_equal(map_anon(mm, AT, K, RW, FIXED), AT);
	assert_int_equal(memmap_mm_handle_fault(mm, AT, MEMMAP_READ, NULL), -ENOSYS);
	memmap_mm_release(mm);
}

static void what_is_read_first_is_zero_and_takes_no_memory(void **state)
{
	(void)state;
	struct memmap_memory_file *mf = new_memory_file();
	struct guest g;
	guest_init(&g, mf);
	assert_int_equal(map_anon(g.mm, AT, 64 * K, RW, FIXED), AT);
	for (int i = 0; i < 64; i++)
		assert_int_equal(guest_read(&g, AT + (uint64_t)i * K), 0);
	struct memmap_memory_usage usage;
	memmap_memory_file_usage(mf, &usage);
	assert_int_equal(usage.by_kind[MEMMAP_MEMORY_ANONYMOUS], 0);
	assert_int_equal(vma_at(g.mm, AT).anon_vma, 0);

	assert_int_equal(guest_write(&g, AT + 5 * K, 'x'), 0);
	assert_int_equal(guest_read(&g, AT + 5 * K), 'x');
	assert_int_equal(guest_read(&g, AT + 5 * K + 1), 0);
	assert_int_equal(guest_read(&g, AT + 4 * K), 0);
	memmap_memory_file_usage(mf, &usage);
	assert_int_equal(usage.by_kind[MEMMAP_MEMORY_ANONYMOUS], K);
	assert_int_equal(vma_at(g.mm, AT).anon_vma, 1);
	struct memmap_mm_stats stats;
	memmap_mm_get_stats(g.mm, &stats);
	assert_int_equal(stats.rss_anon_pages, 1);
	assert_int_equal(stats.rss_file_pages + stats.rss_shmem_pages, 0);
	guest_destroy(&g);
	release_memory_file(mf);
}

static void without_a_page_of_zeros_reading_takes_memory(void **state)
{
	(void)state;
	struct memmap_memory_file *mf = new_memory_file();
	struct guest g = {.mf = mf};
	test_platform_init_(&g.platform);
	struct memmap_mm_options options = guest_options(&g);
	options.limits.no_zero_page = true;
	assert_int_equal(memmap_mm_create(&options, &g.mm), 0);
	assert_int_equal(map_anon(g.mm, AT, 4 * K, RW, FIXED), AT);
	assert_int_equal(guest_read(&g, AT + K), 0);
	assert_pages(&g, "30001000-30002000 rw- private\n");
	assert_int_equal(vma_at(g.mm, AT).anon_vma, 1);
	guest_destroy(&g);
	release_memory_file(mf);
}

static void one_touch_is_one_page(void **state)
{
	(void)state;
	struct memmap_memory_file *mf = new_memory_file();
	struct guest g;
	guest_init(&g, mf);
	assert_int_equal(map_anon(g.mm, AT, 8 * K, RW, FIXED), AT);
	assert_int_equal(guest_write(&g, AT + K, 1), 0);
	assert_int_equal(guest_write(&g, AT + 2 * K, 2), 0);
	assert_int_equal(guest_read(&g, AT + 4 * K), 0);
	assert_int_equal(guest_write(&g, AT + 7 * K, 3), 0);
	assert_pages(&g, "30001000-30003000 rw- private\n"
			 "30004000-30005000 r-- zero\n"
			 "30007000-30008000 rw- private\n");
	guest_destroy(&g);
	release_memory_file(mf);
}

static void touching_page_after_page_has_ever_fewer_faults(void **state)
{
	(void)state;
	struct memmap_memory_file *mf = new_memory_file();
	struct guest g = {.mf = mf};
	test_platform_init_(&g.platform);
	struct memmap_mm_options options = guest_options(&g);
	options.fault_around = 0;
	assert_int_equal(memmap_mm_create(&options, &g.mm), 0);
	assert_int_equal(map_anon(g.mm, AT, 1024 * K, RW, FIXED), AT);
	assert_int_equal(guest_write(&g, AT, 1), 0);
	assert_pages(&g, "30000000-30001000 rw- private\n");
	assert_int_equal(guest_write(&g, AT + K, 1), 0);
	assert_int_equal(guest_write(&g, AT + 2 * K, 1), 0);
	assert_pages(&g, "30000000-30004000 rw- private\n");
	for (uint64_t i = 0; i < 1024; i++)
		assert_int_equal(guest_write(&g, AT + i * K, 1), 0);
	assert_pages(&g, "30000000-30400000 rw- private\n");
	/* 1, 1, 2, 4, 8 to the end of the first block, then 16 at a time. */
	assert_int_equal(g.platform.nr_maps, 5 + 63);
	guest_destroy(&g);
	release_memory_file(mf);
}

static void in_whichever_order_pages_come_they_are_one_run(void **state)
{
	(void)state;
	struct memmap_memory_file *mf = new_memory_file();
	struct guest g;
	guest_init(&g, mf);
	assert_int_equal(map_anon(g.mm, AT, 256 * K, RW, FIXED), AT);
	for (uint64_t i = 0; i < 256; i++)
		assert_int_equal(guest_write(&g, AT + (i * 101 + 77) % 256 * K, (char)i), 0);
	assert_pages(&g, "30000000-30100000 rw- private\n");
	for (uint64_t i = 0; i < 256; i++)
		assert_int_equal((char)guest_read(&g, AT + (i * 101 + 77) % 256 * K), (char)i);
	guest_destroy(&g);
	release_memory_file(mf);
}

static void a_stack_grows_by_faults(void **state)
{
	(void)state;
	struct memmap_memory_file *mf = new_memory_file();
	struct guest g;
	guest_init(&g, mf);
	assert_int_equal(map_anon(g.mm, AT, K, RW, FIXED | MAP_GROWSDOWN), AT);
	assert_int_equal(guest_write(&g, AT - 3 * K + 8, 7), 0);
	assert_vmas(g.mm, "2fffd000-30001000 rw-p\n");
	assert_pages(&g, "2fffd000-2fffe000 rw- private\n");
	struct memmap_mm_limits limits = memmap_mm_get_limits(g.mm);
	limits.stack = 4 * K;
	memmap_mm_set_limits(g.mm, &limits);
	assert_int_equal(guest_write(&g, AT - 4 * K, 7), 'M');
	guest_destroy(&g);
	release_memory_file(mf);
}

/*
 * ---- Files ----
 */

static void a_shared_file_is_one_for_all(void **state)
{
	(void)state;
	struct memmap_memory_file *mf = new_memory_file();
	struct paged_file f;
	struct guest a, b;
	paged_file_init(&f, mf, 4 * K);
	guest_init(&a, mf);
	guest_init(&b, mf);
	assert_int_equal(map_file(a.mm, AT, 4 * K, RW, MAP_SHARED | MAP_FIXED, &f.file, 0), AT);
	assert_int_equal(map_file(b.mm, AT, 2 * K, PROT_READ, MAP_SHARED | MAP_FIXED, &f.file, K),
			 AT);
	assert_int_equal(guest_read(&b, AT), 'b');
	assert_int_equal(guest_write(&a, AT + K, 'X'), 0);
	assert_int_equal(guest_read(&b, AT), 'X');
	assert_pages(&a, "30001000-30002000 rw- shared\n");
	assert_pages(&b, "30000000-30001000 r-- shared\n");
	guest_destroy(&a);
	guest_destroy(&b);
	paged_file_destroy(&f);
	release_memory_file(mf);
}

static void a_private_file_is_copied_when_written(void **state)
{
	(void)state;
	struct memmap_memory_file *mf = new_memory_file();
	struct paged_file f;
	struct guest g;
	paged_file_init(&f, mf, 4 * K);
	guest_init(&g, mf);
	assert_int_equal(map_file(g.mm, AT, 4 * K, RW, MAP_PRIVATE | MAP_FIXED, &f.file, 0), AT);
	assert_int_equal(guest_read(&g, AT), 'a');
	assert_int_equal(guest_write(&g, AT, 'X'), 0);
	assert_int_equal(guest_write(&g, AT + K, 'Y'), 0);
	assert_int_equal(guest_read(&g, AT), 'X');
	assert_int_equal(guest_read(&g, AT + 1), 'a');
	assert_int_equal(guest_read(&g, AT + K + 1), 'b');
	assert_int_equal(guest_read(&g, AT + 2 * K), 'c');
	assert_pages(&g, "30000000-30002000 rw- private\n"
			 "30002000-30003000 r-- shared\n");
	/* Evicting the file's pages leaves private ones alone; truncating it does not. */
	paged_file_invalidate(&f, (struct memmap_mappable_range){0, 4 * K}, false);
	assert_pages(&g, "30000000-30002000 rw- private\n");
	assert_int_equal(guest_read(&g, AT + 2 * K), 'c');
	paged_file_resize(&f, K);
	assert_pages(&g, "30000000-30001000 rw- private\n");
	assert_int_equal(guest_read(&g, AT), 'X');
	assert_int_equal(guest_read(&g, AT + K), -'B');
	assert_int_equal(guest_write(&g, AT + K, 1), 'B');
	/* And back. */
	paged_file_resize(&f, 2 * K);
	assert_int_equal(guest_read(&g, AT + K), 'b');
	guest_destroy(&g);
	paged_file_destroy(&f);
	release_memory_file(mf);
}

static void writes_are_asked_for_when_they_come(void **state)
{
	(void)state;
	struct memmap_memory_file *mf = new_memory_file();
	struct paged_file f;
	struct guest g;
	paged_file_init(&f, mf, 4 * K);
	f.tracks_writes = true;
	guest_init(&g, mf);
	assert_int_equal(map_file(g.mm, AT, 4 * K, RW, MAP_SHARED | MAP_FIXED, &f.file, 0), AT);
	assert_int_equal(guest_read(&g, AT), 'a');
	assert_pages(&g, "30000000-30001000 r-- shared\n");
	assert_int_equal(guest_write(&g, AT, 'X'), 0);
	assert_pages(&g, "30000000-30001000 rw- shared\n");
	assert_int_equal(f.nr_translated, 2);
	guest_destroy(&g);
	paged_file_destroy(&f);
	release_memory_file(mf);
}

static void what_a_file_has_around_comes_along(void **state)
{
	(void)state;
	struct memmap_memory_file *mf = new_memory_file();
	struct paged_file f;
	struct guest g = {.mf = mf};
	paged_file_init(&f, mf, 40 * K);
	test_platform_init_(&g.platform);
	struct memmap_mm_options options = guest_options(&g);
	options.fault_around = 0;
	assert_int_equal(memmap_mm_create(&options, &g.mm), 0);
	assert_int_equal(map_file(g.mm, AT, 64 * K, RW, MAP_PRIVATE | MAP_FIXED, &f.file, 0), AT);
	assert_int_equal(guest_write(&g, AT + 3 * K, 'X'), 0);
	assert_int_equal(guest_read(&g, AT + 7 * K), 'h');
	assert_int_equal(guest_read(&g, AT + 33 * K), 'h');
	assert_pages(&g, "30003000-30004000 rw- private\n"
			 "30004000-30010000 r-- shared\n"
			 "30020000-30028000 r-- shared\n");
	guest_destroy(&g);
	paged_file_destroy(&f);
	release_memory_file(mf);
}

static unsigned invalidations_left;

static void *invalidate_all(void *file)
{
	paged_file_invalidate(file, (struct memmap_mappable_range){0, 4 * K}, false);
	return NULL;
}

static void invalidate_from_another_thread(struct paged_file *f)
{
	pthread_t thread;
	if (invalidations_left == 0)
		return;
	invalidations_left--;
	assert_int_equal(pthread_create(&thread, NULL, invalidate_all, f), 0);
	pthread_join(thread, NULL);
}

static void an_answer_that_is_outdated_is_asked_for_again(void **state)
{
	(void)state;
	static const struct {
		uint64_t flags;
		memmap_access at;
		const char *pages;
	} cases[] = {
		{MAP_SHARED, MEMMAP_READ, "30000000-30001000 rw- shared\n"},
		{MAP_SHARED, MEMMAP_WRITE, "30000000-30001000 rw- shared\n"},
		{MAP_PRIVATE, MEMMAP_READ, "30000000-30001000 r-- shared\n"},
		{MAP_PRIVATE, MEMMAP_WRITE, "30000000-30001000 rw- private\n"},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct memmap_memory_file *mf = new_memory_file();
		struct paged_file f;
		struct guest g;
		char byte = 'X';
		paged_file_init(&f, mf, 4 * K);
		f.in_translate = invalidate_from_another_thread;
		guest_init(&g, mf);
		invalidations_left = 3;
		assert_int_equal(
			map_file(g.mm, AT, 4 * K, RW, cases[i].flags | MAP_FIXED, &f.file, 0), AT);
		assert_int_equal(guest_touch(&g, AT, cases[i].at, &byte), 0);
		assert_int_equal(f.nr_translated, 4);
		assert_pages(&g, cases[i].pages);
		guest_destroy(&g);
		paged_file_destroy(&f);
		release_memory_file(mf);
	}
}

/*
 * A File that must be read without a mapping, and whose page changes while it is read for the first
 * time.
 */
static struct paged_file *read_slowly;
static unsigned nr_reads;

static void no_ref(struct memmap_file *file, struct memmap_file_range fr, uint32_t mem_cg_id)
{
	(void)file;
	(void)fr;
	(void)mem_cg_id;
}

static void no_deref(struct memmap_file *file, struct memmap_file_range fr)
{
	(void)file;
	(void)fr;
}

static int not_mapped(struct memmap_file *file, struct memmap_file_range fr, memmap_access at,
		      struct memmap_block_seq *out)
{
	(void)file;
	(void)fr;
	(void)at;
	(void)out;
	return -EOPNOTSUPP;
}

static int read_and_invalidate(struct memmap_file *file, uint64_t offset, void *buf, uint64_t len,
			       uint64_t *done)
{
	(void)file;
	(void)offset;
	memset(buf, 'A' + (int)nr_reads, len);
	if (nr_reads++ == 0)
		paged_file_invalidate(read_slowly, (struct memmap_mappable_range){0, 4 * K}, true);
	*done = len;
	return 0;
}

static void what_changes_while_it_is_copied_is_copied_again(void **state)
{
	(void)state;
	static const struct memmap_file_ops ops = {
		.inc_ref = no_ref,
		.dec_ref = no_deref,
		.map_internal = not_mapped,
		.buffer_read_at = read_and_invalidate,
	};
	struct memmap_file slow = {&ops};
	struct memmap_memory_file *mf = new_memory_file();
	struct paged_file f;
	struct guest g;
	paged_file_init(&f, mf, 4 * K);
	f.instead = &slow;
	read_slowly = &f;
	nr_reads = 0;
	guest_init(&g, mf);
	assert_int_equal(map_file(g.mm, AT, 4 * K, RW, MAP_PRIVATE | MAP_FIXED, &f.file, 0), AT);
	assert_int_equal(guest_write(&g, AT, 'x'), 0);
	assert_int_equal(nr_reads, 2);
	assert_int_equal(guest_read(&g, AT + 1), 'B');
	assert_pages(&g, "30000000-30001000 rw- private\n");
	guest_destroy(&g);
	paged_file_destroy(&f);
	release_memory_file(mf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(touches_are_permitted_as_by_the_kernel),
		cmocka_unit_test(without_a_memory_file_there_are_no_faults),
		cmocka_unit_test(what_is_read_first_is_zero_and_takes_no_memory),
		cmocka_unit_test(without_a_page_of_zeros_reading_takes_memory),
		cmocka_unit_test(one_touch_is_one_page),
		cmocka_unit_test(touching_page_after_page_has_ever_fewer_faults),
		cmocka_unit_test(in_whichever_order_pages_come_they_are_one_run),
		cmocka_unit_test(a_stack_grows_by_faults),
		cmocka_unit_test(a_shared_file_is_one_for_all),
		cmocka_unit_test(a_private_file_is_copied_when_written),
		cmocka_unit_test(writes_are_asked_for_when_they_come),
		cmocka_unit_test(what_a_file_has_around_comes_along),
		cmocka_unit_test(an_answer_that_is_outdated_is_asked_for_again),
		cmocka_unit_test(what_changes_while_it_is_copied_is_copied_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
