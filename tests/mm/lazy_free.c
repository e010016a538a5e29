/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What MADV_FREE gave up goes when memory is short: not before, all of a page or nothing of it, for
 * whoever needs memory, and never what is locked.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "guest.h"

#define AT     UINT64_C(0x30000000)
#define SHARED (AT + M)

struct world {
	struct memmap_memory_file *mf;
	struct guest g;
};

/* Sixteen pages of private memory, of which 0 to 3 hold their number, and 2 and 3 are given up. */
static void world_init(struct world *w, uint64_t fault_around)
{
	w->mf = new_memory_file();
	w->g = (struct guest){.mf = w->mf};
	test_platform_init_(&w->g.platform);
	struct memmap_mm_options options = guest_options(&w->g);
	options.fault_around = fault_around;
	assert_int_equal(memmap_mm_create(&options, &w->g.mm), 0);
	assert_int_equal(map_anon(w->g.mm, AT, 16 * K, RW, FIXED), AT);
	assert_int_equal(
		map_anon(w->g.mm, SHARED, 4 * K, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED),
		SHARED);
	for (uint64_t i = 0; i < 4; i++)
		assert_int_equal(guest_write(&w->g, AT + i * K, (char)('0' + i)), 0);
	/* So that the page of zeros is there, too, and its end is what is written to next. */
	assert_int_equal(guest_read(&w->g, AT + 8 * K), 0);
	assert_int_equal(memmap_mm_sys_madvise(w->g.mm, AT + 2 * K, 2 * K, MADV_FREE), 0);
}

static void world_destroy(struct world *w)
{
	assert_int_equal(memmap_mm_verify(w->g.mm), 0);
	guest_destroy(&w->g);
	release_memory_file(w->mf);
}

/* There are so many pages left to be had. */
static void leave(struct world *w, uint64_t nr_pages)
{
	struct memmap_memory_usage usage;
	memmap_memory_file_usage(w->mf, &usage);
	memmap_memory_file_set_limit(w->mf, usage.total + nr_pages * K);
}

static uint64_t nr_lazy(struct world *w)
{
	uint64_t nr = 0;
	char *table = page_table(w->g.mm);
	for (const char *at = table; (at = strstr(at, "lazy")); at++)
		nr++;
	free(table);
	return nr;
}

/* A batch that is too big is no reason to give anything up: a page is enough. */
static void not_while_a_page_can_be_had(void **state)
{
	(void)state;
	struct world w;
	world_init(&w, 64 * K);
	leave(&w, 1);
	assert_int_equal(guest_write(&w.g, AT + 4 * K, '4'), 0);
	assert_int_equal(nr_lazy(&w), 1);
	assert_int_equal(guest_read(&w.g, AT + 2 * K), '2');
	assert_int_equal(guest_read(&w.g, AT + 3 * K), '3');
	/* Now it is. */
	assert_int_equal(guest_write(&w.g, AT + 12 * K, '5'), 0);
	assert_int_equal(nr_lazy(&w), 0);
	assert_int_equal(guest_read(&w.g, AT + 4 * K), '4');
	assert_int_equal(guest_read(&w.g, AT + 3 * K), 0);
	world_destroy(&w);
}

static void never_what_is_locked(void **state)
{
	(void)state;
	struct world w;
	world_init(&w, K);
	/* Locking would write to it, and so keep it, if it could. */
	assert_int_equal(memmap_mm_sys_mprotect(w.g.mm, AT + 2 * K, 2 * K, PROT_READ), 0);
	assert_int_equal(memmap_mm_sys_mlock(w.g.mm, AT + 2 * K, 2 * K), 0);
	leave(&w, 0);
	assert_int_equal(guest_write(&w.g, AT + 4 * K, '4'), -ENOMEM);
	assert_int_equal(guest_read(&w.g, AT + 2 * K), '2');
	assert_int_equal(guest_read(&w.g, AT + 3 * K), '3');
	/* What is locked no longer can go. */
	assert_int_equal(memmap_mm_sys_munlock(w.g.mm, AT + 2 * K, 2 * K), 0);
	assert_int_equal(guest_write(&w.g, AT + 4 * K, '4'), 0);
	assert_int_equal(guest_read(&w.g, AT + 3 * K), 0);
	world_destroy(&w);
}

/* Also when it is a Mappable that needs memory. */
static void for_shared_memory_too(void **state)
{
	(void)state;
	struct world w;
	world_init(&w, K);
	leave(&w, 0);
	assert_int_equal(guest_write(&w.g, SHARED, 's'), 0);
	assert_int_equal(guest_read(&w.g, AT + K), '1');
	assert_int_equal(guest_read(&w.g, AT + 3 * K), 0);
	world_destroy(&w);
}

/* When even that is not enough, it is gone, as with Linux, and nothing else is. */
static void and_nothing_else(void **state)
{
	(void)state;
	struct world w;
	world_init(&w, K);
	struct memmap_memory_usage usage;
	memmap_memory_file_usage(w.mf, &usage);
	memmap_memory_file_set_limit(w.mf, usage.total - 3 * K);
	char *vmas = vma_table(w.g.mm);
	assert_int_equal(guest_write(&w.g, AT + 5 * K, '5'), -ENOMEM);
	char *after = vma_table(w.g.mm);
	assert_string_equal(after, vmas);
	free(after);
	free(vmas);
	assert_pages(&w.g, "30000000-30002000 rw- private\n30008000-30009000 r-- zero\n");
	memmap_memory_file_set_limit(w.mf, 0);
	assert_int_equal(guest_read(&w.g, AT + K), '1');
	assert_int_equal(guest_write(&w.g, AT + 5 * K, '5'), 0);
	world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(not_while_a_page_can_be_had),
		cmocka_unit_test(never_what_is_locked),
		cmocka_unit_test(for_shared_memory_too),
		cmocka_unit_test(and_nothing_else),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
