/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The history against a naive one that keeps a whole copy of the address space after each change,
 * the bound on its memory, and memory that runs out at every allocation.
 *
 * The random test prints its seed; MEMMAP_TEST_SEED sets it.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "history_fixture.h"

#define PAGE      UINT64_C(0x1000)
#define PAGES(nr) ((uint64_t)(nr)*PAGE)

static uint64_t random_state;

static uint64_t random_below(uint64_t bound)
{
	random_state += UINT64_C(0x9e3779b97f4a7c15);
	uint64_t z = random_state;
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return (z ^ (z >> 31)) % bound;
}

static void seed_random(void)
{
	const char *given = getenv("MEMMAP_TEST_SEED");
	random_state = given ? strtoull(given, NULL, 0) : 42;
	print_message("seed: MEMMAP_TEST_SEED=%llu\n", (unsigned long long)random_state);
}

/* The live regions are the VMAs of the toy, and the sums are right. */
static void assert_live_equals(const struct history_space *space, const struct toy *toy)
{
	uint64_t mapped = 0, reserved = 0;
	assert_int_equal(space->live.length, toy->vmas.length);
	for (size_t i = 0; i < toy->vmas.length; i++) {
		const struct history_region *region = &space->regions.items[space->live.items[i]];
		const struct history_vma *vma = &toy->vmas.items[i].vma;
		assert_int_equal(region->to, HISTORY_ALIVE);
		assert_int_equal(region->range.start, vma->range.start);
		assert_int_equal(region->range.end, vma->range.end);
		assert_int_equal(region->flags, vma->flags);
		assert_ptr_equal(region->identity, vma->identity);
		uint64_t length = vma->range.end - vma->range.start;
		if (vma->flags & RWX)
			mapped += length;
		else
			reserved += length;
	}
	assert_int_equal(space->mapped, mapped);
	assert_int_equal(space->reserved, reserved);
	assert_int_equal(space->nr_vmas, toy->vmas.length);
}

static int compare_regions(const void *a, const void *b)
{
	const struct history_region *x = a, *y = b;
	return (x->range.start > y->range.start) - (x->range.start < y->range.start);
}

/* The regions that lasted at `time` are the VMAs of the toy. */
static void assert_past_equals(const struct history_space *space, uint64_t time,
			       const struct toy *toy)
{
	struct history_region *then = calloc(space->regions.length + 1, sizeof(*then));
	assert_non_null(then);
	size_t nr = 0;
	for (size_t i = 0; i < space->regions.length; i++) {
		const struct history_region *region = &space->regions.items[i];
		if (region->from <= time && time < region->to)
			then[nr++] = *region;
	}
	qsort(then, nr, sizeof(*then), compare_regions);
	assert_int_equal(nr, toy->vmas.length);
	for (size_t i = 0; i < nr; i++) {
		assert_int_equal(then[i].range.start, toy->vmas.items[i].vma.range.start);
		assert_int_equal(then[i].range.end, toy->vmas.items[i].vma.range.end);
		assert_int_equal(then[i].flags, toy->vmas.items[i].vma.flags);
	}
	free(then);
}

/* What a region continues is the same mapping, and ended where it begins. */
static void assert_chains(const struct history_space *space)
{
	for (size_t i = 0; i < space->regions.length; i++) {
		const struct history_region *region = &space->regions.items[i];
		if (region->continues == HISTORY_NONE)
			continue;
		assert_true(region->continues < i);
		const struct history_region *before = &space->regions.items[region->continues];
		assert_int_equal(before->to, region->from);
		assert_int_equal(before->flags, region->flags);
		assert_int_equal(before->kind, region->kind);
		assert_int_equal(before->name, region->name);
	}
}

static const char *const toy_names[] = {NULL, NULL, "/usr/lib/libc.so.6", "/etc/passwd"};

static struct memmap_addr_range random_change(struct toy *toy)
{
	static const uint64_t flags[] = {0, R, RW, RX};
	struct memmap_addr_range range;
	range.start = PAGES(1 + random_below(60));
	range.end = range.start + PAGES(1 + random_below(random_below(4) == 0 ? 30 : 5));
	switch (random_below(5)) {
	case 0:
	case 1:
		toy_unmap(toy, range.start, range.end);
		break;
	case 2:
		toy_protect(toy, range.start, range.end, flags[random_below(4)]);
		break;
	default: {
		const char *name = toy_names[random_below(4)];
		toy_map(toy, range.start, range.end, flags[random_below(4)],
			name ? HISTORY_FILE : HISTORY_ANONYMOUS, name,
			name ? PAGES(random_below(3)) + range.start : 0);
	}
	}
	return range;
}

static void test_random_changes_are_remembered(void **state)
{
	(void)state;
	enum { STEPS = 2000 };
	seed_random();
	struct toy toy = {0};
	struct toy *past = calloc(STEPS, sizeof(*past));
	struct history *h = history_create(NULL, 0);
	struct history_source source = toy_source(&toy);
	assert_int_equal(history_process(h, 7, 0, 0, "toy"), 0);
	assert_int_equal(history_exec(h, 7, 0, NULL, "/bin/toy"), 0);
	for (uint64_t i = 0; i < STEPS; i++) {
		struct memmap_addr_range touched = random_change(&toy);
		assert_int_equal(history_record_source(h, 7, 10 * i, "mmap", &source, touched), 0);
		assert_live_equals(&h->spaces.items[0], &toy);
		toy_copy(&past[i], &toy);
	}
	assert_chains(&h->spaces.items[0]);
	for (uint64_t i = 0; i < STEPS; i += 7)
		assert_past_equals(&h->spaces.items[0], 10 * i + 5, &past[i]);
	assert_int_equal(h->calls, STEPS);
	history_exit(h, 7, UINT64_C(10) * STEPS, 0);
	assert_int_equal(h->spaces.items[0].nr_vmas, 0);
	assert_int_equal(h->spaces.items[0].mapped, 0);
	assert_int_equal(h->spaces.items[0].reserved, 0);

	for (size_t i = 0; i < STEPS; i++)
		toy_release(&past[i]);
	free(past);
	toy_release(&toy);
	history_release(h);
}

static void test_a_call_without_effect_keeps_nothing(void **state)
{
	(void)state;
	struct toy toy = {0};
	struct history *h = history_create(NULL, 0);
	struct history_source source = toy_source(&toy);
	toy_map(&toy, PAGES(4), PAGES(8), RW, HISTORY_ANONYMOUS, NULL, 0);
	assert_int_equal(history_process(h, 7, 0, 0, "toy"), 0);
	assert_int_equal(history_exec(h, 7, 0, NULL, NULL), 0);
	for (uint64_t i = 0; i < 1000; i++)
		assert_int_equal(
			history_record_source(h, 7, i, "madvise", &source, HISTORY_EVERYWHERE), 0);
	/* An empty range: the call counts, nothing is looked at. */
	toy_unmap(&toy, PAGES(4), PAGES(8));
	struct memmap_addr_range empty = {PAGES(4), PAGES(4)};
	assert_int_equal(history_record_source(h, 7, 1000, "munmap", &source, empty), 0);
	assert_int_equal(h->spaces.items[0].regions.length, 1);
	assert_int_equal(h->spaces.items[0].samples.length, 1);
	assert_int_equal(h->spaces.items[0].changes, 1);
	assert_int_equal(h->spaces.items[0].calls, 1001);
	toy_release(&toy);
	history_release(h);
}

static void test_kinds(void **state)
{
	(void)state;
	static const struct {
		const char *name;
		uint64_t flags;
		enum history_kind told, expected;
	} cases[] = {
		{"/bin/toy", R, HISTORY_FILE, HISTORY_PROGRAM},
		{"/lib/libc.so.6", R, HISTORY_FILE, HISTORY_LIBRARY},
		{"/lib/libc.so", RW, HISTORY_FILE, HISTORY_LIBRARY},
		{"/lib/x.so (deleted)", R, HISTORY_FILE, HISTORY_LIBRARY},
		{"/lib/x.cpython-311.so", R, HISTORY_FILE, HISTORY_LIBRARY},
		{"/lib/addon.node", RX, HISTORY_FILE, HISTORY_LIBRARY},
		{"/etc/ld.so.cache", R, HISTORY_FILE, HISTORY_FILE},
		{"/usr/lib/x.so.d/data", R, HISTORY_FILE, HISTORY_FILE},
		{"/usr/share/a.sound", R, HISTORY_FILE, HISTORY_FILE},
		{"/memfd:x", RW, HISTORY_SHARED, HISTORY_SHARED},
		{"[vdso]", RX, HISTORY_SPECIAL, HISTORY_SPECIAL},
		{NULL, RX, HISTORY_ANONYMOUS, HISTORY_ANONYMOUS},
	};
	enum { NR = sizeof(cases) / sizeof(cases[0]) };
	struct toy toy = {0};
	struct history *h = history_create(NULL, 0);
	struct history_source source = toy_source(&toy);
	assert_int_equal(history_process(h, 7, 0, 0, "toy"), 0);
	assert_int_equal(history_exec(h, 7, 0, NULL, "/bin/toy"), 0);
	for (size_t i = 0; i < NR; i++)
		toy_map(&toy, PAGES(10 * i), PAGES(10 * i + 1), cases[i].flags, cases[i].told,
			cases[i].name, 0);
	assert_int_equal(history_record_source(h, 7, 1, NULL, &source, HISTORY_EVERYWHERE), 0);
	for (size_t i = 0; i < NR; i++)
		if (h->spaces.items[0].regions.items[i].kind != cases[i].expected)
			fail_msg("%s became kind %d", cases[i].name,
				 h->spaces.items[0].regions.items[i].kind);
	toy_release(&toy);
	history_release(h);
}

static void test_bss_belongs_to_its_library(void **state)
{
	(void)state;
	struct toy toy = {0};
	struct history *h = history_create(NULL, 0);
	struct history_source source = toy_source(&toy);
	assert_int_equal(history_process(h, 7, 0, 0, "toy"), 0);
	assert_int_equal(history_exec(h, 7, 0, NULL, "/bin/toy"), 0);
	const char *lib = "/lib/libc.so.6";
	toy_map(&toy, PAGES(1), PAGES(3), RX, HISTORY_FILE, lib, 0);
	toy_map(&toy, PAGES(3), PAGES(4), RW, HISTORY_FILE, lib, PAGES(2));
	toy_map(&toy, PAGES(4), PAGES(6), RW, HISTORY_ANONYMOUS, NULL, 0);
	/* Not behind data: behind text, or with a hole between. */
	toy_map(&toy, PAGES(20), PAGES(21), RX, HISTORY_FILE, lib, 0);
	toy_map(&toy, PAGES(21), PAGES(22), RW, HISTORY_ANONYMOUS, NULL, 0);
	assert_int_equal(history_record_source(h, 7, 1, NULL, &source, HISTORY_EVERYWHERE), 0);
	const struct history_region *regions = h->spaces.items[0].regions.items;
	assert_int_equal(regions[2].kind, HISTORY_LIBRARY);
	assert_true(regions[2].tail);
	assert_string_equal(history_name(h, regions[2].name), lib);
	assert_int_equal(regions[4].kind, HISTORY_ANONYMOUS);
	assert_false(regions[4].tail);
	/* Looked at again, it is still the same. */
	assert_int_equal(history_record_source(h, 7, 2, "brk", &source, HISTORY_EVERYWHERE), 0);
	assert_int_equal(h->spaces.items[0].regions.length, 5);
	toy_release(&toy);
	history_release(h);
}

static void test_fork_copies_and_exec_begins_anew(void **state)
{
	(void)state;
	struct toy parent = {0}, child = {0};
	struct history *h = history_create(NULL, 0);
	struct history_source of_parent = toy_source(&parent), of_child = toy_source(&child);
	assert_int_equal(history_process(h, 7, 0, 100, "sh"), 0);
	assert_int_equal(history_exec(h, 7, 100, NULL, "/bin/sh"), 0);
	toy_map(&parent, PAGES(1), PAGES(3), RX, HISTORY_FILE, "/bin/sh", 0);
	toy_map(&parent, PAGES(8), PAGES(9), RW, HISTORY_ANONYMOUS, NULL, 0);
	assert_int_equal(history_record_source(h, 7, 110, NULL, &of_parent, HISTORY_EVERYWHERE), 0);
	assert_int_equal(history_fork(h, 7, 8, 120), 0);
	assert_int_equal(h->spaces.length, 2);
	assert_live_equals(&h->spaces.items[1], &parent);
	assert_true(h->spaces.items[1].forked);
	assert_string_equal(history_name(h, h->processes.items[1].command), "sh");

	/* What the child does is its own. */
	toy_copy(&child, &parent);
	toy_unmap(&child, PAGES(8), PAGES(9));
	struct memmap_addr_range gone = {PAGES(8), PAGES(9)};
	assert_int_equal(history_record_source(h, 8, 130, "munmap", &of_child, gone), 0);
	assert_live_equals(&h->spaces.items[0], &parent);
	assert_live_equals(&h->spaces.items[1], &child);

	assert_int_equal(history_exec(h, 8, 140, "ls -l", "/bin/ls"), 0);
	assert_int_equal(h->spaces.items[1].to, 140);
	assert_int_equal(h->spaces.items[1].nr_vmas, 0);
	assert_int_equal(h->spaces.items[2].from, 140);
	assert_string_equal(history_name(h, h->spaces.items[2].command), "ls -l");

	/* A child that shares the space has none of its own until it execs. */
	assert_int_equal(history_process(h, 9, 7, 150, NULL), 0);
	assert_int_equal(history_record_source(h, 9, 151, "munmap", &of_parent, HISTORY_EVERYWHERE),
			 0);
	assert_int_equal(h->spaces.length, 3);
	assert_int_equal(h->processes.items[2].space, HISTORY_NONE);

	/* A pid may be used again once its process has ended. */
	history_exit(h, 8, 160, 0x100);
	assert_int_equal(h->processes.items[1].to, 160);
	assert_int_equal(history_fork(h, 7, 8, 170), 0);
	assert_int_equal(h->processes.length, 4);
	assert_int_equal(h->processes.items[3].to, HISTORY_ALIVE);
	/* Who is not known is not recorded, and does no harm. */
	assert_int_equal(history_record_source(h, 99, 171, "brk", &of_child, HISTORY_EVERYWHERE),
			 0);
	history_exit(h, 99, 172, 0);
	toy_release(&parent);
	toy_release(&child);
	history_release(h);
}

/* A heap that grows without end, and mappings that come and go, in little memory. */
static void test_memory_is_bounded(void **state)
{
	(void)state;
	enum { LIMIT = 500, STEPS = 20000 };
	struct toy toy = {0};
	struct failing_allocator allocator;
	failing_allocator_init(&allocator, 0);
	struct history *h = history_create(&allocator.allocator, LIMIT);
	struct history_source source = toy_source(&toy);
	assert_int_equal(history_process(h, 7, 0, 0, "toy"), 0);
	assert_int_equal(history_exec(h, 7, 0, NULL, NULL), 0);
	uint64_t heap = PAGES(100);
	for (uint64_t i = 0; i < STEPS; i++) {
		struct memmap_addr_range touched = {PAGES(10), PAGES(11)};
		if (i % 4 == 0) {
			touched = (struct memmap_addr_range){heap, heap + PAGE};
			heap += PAGE;
			toy_map(&toy, PAGES(100), heap, RW, HISTORY_HEAP, NULL, 0);
		} else if (i % 4 == 1) {
			toy_map(&toy, PAGES(10), PAGES(11), RW, HISTORY_ANONYMOUS, NULL, 0);
		} else {
			toy_unmap(&toy, PAGES(10), PAGES(11));
		}
		assert_int_equal(history_record_source(h, 7, i, "mmap", &source, touched), 0);
		assert_live_equals(&h->spaces.items[0], &toy);
		assert_true(h->nr_ended <= LIMIT);
		assert_int_equal(h->nr_ended, h->spaces.items[0].nr_ended);
	}
	const struct history_space *space = &h->spaces.items[0];
	assert_chains(space);
	assert_true(space->nr_forgotten > 1000);
	assert_true(space->longest_forgotten < STEPS / 100);
	assert_true(space->samples.length <= 4096);
	assert_true(allocator.live_bytes < 1 << 20);
	/* What came and went is one region that stands for all of it. */
	const struct history_region *joined = NULL;
	for (size_t i = 0; i < space->regions.length; i++)
		if (space->regions.items[i].joined > 0) {
			assert_null(joined);
			joined = &space->regions.items[i];
		}
	assert_non_null(joined);
	assert_int_equal(joined->joined, space->nr_forgotten);
	assert_int_equal(joined->kind, HISTORY_ANONYMOUS);
	assert_int_equal(joined->range.start, PAGES(10));
	assert_int_equal(joined->range.end, PAGES(11));
	assert_true(joined->from < 100 && joined->to > STEPS / 2);
	/* The heap's life has no hole: following it back leads to the beginning. */
	uint32_t id = space->live.items[space->live.length - 1];
	size_t steps = 0;
	while (space->regions.items[id].continues != HISTORY_NONE) {
		id = space->regions.items[id].continues;
		steps++;
	}
	assert_int_equal(space->regions.items[id].from, 0);
	assert_true(steps > 20);
	toy_release(&toy);
	history_release(h);
	assert_int_equal(allocator.live_bytes, 0);
}

static void test_many_processes_are_counted(void **state)
{
	(void)state;
	struct history *h = history_create(NULL, 0);
	assert_int_equal(history_process(h, 1, 0, 0, "sh"), 0);
	assert_int_equal(history_exec(h, 1, 0, NULL, NULL), 0);
	for (pid_t i = 2; i < 10002; i++) {
		assert_int_equal(history_fork(h, 1, i, (uint64_t)i), 0);
		assert_int_equal(history_exec(h, i, (uint64_t)i, "ls", NULL), 0);
		history_exit(h, i, (uint64_t)i, 0);
	}
	assert_int_equal(h->processes.length + h->nr_uncounted_processes, 10001);
	assert_true(h->processes.length <= 4096);
	history_release(h);
}

/* 65,000 VMAs: a change in the middle costs no walk over all of them. */
static void test_many_vmas(void **state)
{
	(void)state;
	enum { NR = 65000 };
	struct toy toy = {0};
	struct history *h = history_create(NULL, 0);
	struct history_source source = toy_source(&toy);
	assert_int_equal(history_process(h, 7, 0, 0, "toy"), 0);
	assert_int_equal(history_exec(h, 7, 0, NULL, NULL), 0);
	for (size_t i = 0; i < NR; i++)
		toy_insert_at(&toy, i,
			      (struct history_vma){.range = {PAGES(2 * i), PAGES(2 * i + 1)},
						   .flags = RW,
						   .kind = HISTORY_ANONYMOUS});
	assert_int_equal(history_record_source(h, 7, 1, NULL, &source, HISTORY_EVERYWHERE), 0);
	assert_int_equal(h->spaces.items[0].live.length, NR);
	for (size_t i = 0; i < 1000; i++) {
		size_t at = i * 64;
		toy.vmas.items[at].vma.flags = R;
		assert_int_equal(history_record_source(h, 7, 2 + i, "mprotect", &source,
						       toy.vmas.items[at].vma.range),
				 0);
	}
	/* All of them at once. */
	for (size_t i = 0; i < NR; i++)
		toy.vmas.items[i].vma.flags = RX;
	assert_int_equal(history_record_source(h, 7, 2000, "mprotect", &source, HISTORY_EVERYWHERE),
			 0);
	assert_live_equals(&h->spaces.items[0], &toy);
	assert_int_equal(h->spaces.items[0].peak_nr_vmas, NR);
	toy_release(&toy);
	history_release(h);
}

/*
 * A small life in which each allocation in turn fails. Whatever was refused, the next record sees
 * the address space as it is.
 */
static bool live_with_failure_at(size_t fail_at)
{
	struct failing_allocator failing;
	failing_allocator_init(&failing, fail_at);
	struct toy toy = {0};
	struct history_source source = toy_source(&toy);
	struct history *h = history_create(&failing.allocator, 20);
	if (!h) {
		assert_int_equal(failing.live_bytes, 0);
		return true;
	}
	int process = history_process(h, 7, 0, 0, "toy");
	if (process < 0) {
		assert_int_equal(process, -ENOMEM);
		assert_int_equal(history_process(h, 7, 0, 0, "toy"), 0);
	}
	int exec = history_exec(h, 7, 0, NULL, "/bin/toy");
	if (exec < 0) {
		assert_int_equal(exec, -ENOMEM);
		assert_int_equal(history_exec(h, 7, 0, NULL, "/bin/toy"), 0);
	}
	random_state = 7;
	for (uint64_t i = 0; i < 200; i++) {
		struct memmap_addr_range touched = random_change(&toy);
		size_t before = h->spaces.items[0].regions.length;
		int err = history_record_source(h, 7, i, "mmap", &source, touched);
		if (err < 0) {
			assert_int_equal(err, -ENOMEM);
			assert_int_equal(h->spaces.items[0].regions.length, before);
			assert_true(h->spaces.items[0].stale);
			continue;
		}
		assert_live_equals(&h->spaces.items[0], &toy);
		assert_chains(&h->spaces.items[0]);
	}
	int fork = history_fork(h, 7, 8, 201);
	assert_true(fork == 0 || fork == -ENOMEM);
	history_exec(h, 8, 202, "other", "/bin/other");
	assert_int_equal(history_record_source(h, 7, 203, NULL, &source, HISTORY_EVERYWHERE), 0);
	assert_live_equals(&h->spaces.items[0], &toy);
	history_exit(h, 7, 204, 0);
	bool failed = failing.count >= fail_at;
	toy_release(&toy);
	history_release(h);
	assert_int_equal(failing.live_bytes, 0);
	return failed;
}

static void test_memory_runs_out_anywhere(void **state)
{
	(void)state;
	size_t fail_at = 1;
	while (live_with_failure_at(fail_at))
		fail_at++;
	print_message("%zu allocations failed in turn\n", fail_at - 1);
	assert_true(fail_at > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_random_changes_are_remembered),
		cmocka_unit_test(test_a_call_without_effect_keeps_nothing),
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_bss_belongs_to_its_library),
		cmocka_unit_test(test_fork_copies_and_exec_begins_anew),
		cmocka_unit_test(test_memory_is_bounded),
		cmocka_unit_test(test_many_processes_are_counted),
		cmocka_unit_test(test_many_vmas),
		cmocka_unit_test(test_memory_runs_out_anywhere),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
