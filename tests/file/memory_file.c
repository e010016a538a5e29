/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory file: where ranges go, what they read as, references, limits, and want of memory.
 */
#include <errno.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include <memmap/arch.h>
#include <memmap/memory_file.h>

#include "file/failing_host.h"
#include "memmap/failing_allocator.h"
#include "panic.h"

#define PAGE MEMMAP_PAGE_SIZE
#define MIB  (UINT64_C(1) << 20)

static struct memmap_memory_file *mf;

static int setup(void **state)
{
	(void)state;
	return memmap_memory_file_create(NULL, &mf);
}

static int teardown(void **state)
{
	(void)state;
	assert_int_equal(memmap_memory_file_verify(mf), 0);
	memmap_memory_file_release(mf);
	mf = NULL;
	return 0;
}

static struct memmap_file_range range(uint64_t start, uint64_t end)
{
	return (struct memmap_file_range){start, end};
}

static struct memmap_file_range allocate(uint64_t length, struct memmap_allocate_opts opts)
{
	struct memmap_file_range fr = {0};
	assert_int_equal(memmap_memory_file_allocate(mf, length, &opts, &fr), 0);
	assert_int_equal(memmap_file_range_length(fr), length);
	return fr;
}

static void inc_ref(struct memmap_file_range fr)
{
	memmap_file_inc_ref(memmap_memory_file_file(mf), fr, 0);
}

static void dec_ref(struct memmap_file_range fr)
{
	memmap_file_dec_ref(memmap_memory_file_file(mf), fr);
}

static unsigned char *bytes(struct memmap_file_range fr)
{
	struct memmap_block_seq seq;
	assert_int_equal(
		memmap_file_map_internal(memmap_memory_file_file(mf), fr, MEMMAP_READ_WRITE, &seq),
		0);
	assert_int_equal(memmap_block_seq_num_bytes(seq), memmap_file_range_length(fr));
	assert_int_equal(memmap_block_seq_num_blocks(seq), 1);
	return memmap_block_seq_head(seq).addr;
}

static void assert_zeros(struct memmap_file_range fr)
{
	const unsigned char *p = bytes(fr);
	for (uint64_t i = 0; i < memmap_file_range_length(fr); i++)
		assert_int_equal(p[i], 0);
}

static void assert_range(struct memmap_file_range fr, uint64_t start, uint64_t end)
{
	assert_int_equal(fr.start, start);
	assert_int_equal(fr.end, end);
}

static uint64_t usage(void)
{
	struct memmap_memory_usage u;
	memmap_memory_file_usage(mf, &u);
	return u.total;
}

/* ---- Where ranges go ---- */

static void test_first_fit(void **state)
{
	(void)state;
	assert_range(allocate(2 * PAGE, (struct memmap_allocate_opts){0}), 0, 2 * PAGE);
	struct memmap_file_range b = allocate(3 * PAGE, (struct memmap_allocate_opts){0});
	assert_range(b, 2 * PAGE, 5 * PAGE);
	assert_range(allocate(PAGE, (struct memmap_allocate_opts){0}), 5 * PAGE, 6 * PAGE);
	dec_ref(b);
	/* Too long for the gap, then what fits it. */
	assert_range(allocate(4 * PAGE, (struct memmap_allocate_opts){0}), 6 * PAGE, 10 * PAGE);
	assert_range(allocate(2 * PAGE, (struct memmap_allocate_opts){0}), 2 * PAGE, 4 * PAGE);
	assert_range(allocate(PAGE, (struct memmap_allocate_opts){0}), 4 * PAGE, 5 * PAGE);
	assert_range(allocate(PAGE, (struct memmap_allocate_opts){0}), 10 * PAGE, 11 * PAGE);
}

static void test_top_down(void **state)
{
	(void)state;
	const struct memmap_allocate_opts down = {.direction = MEMMAP_TOP_DOWN};
	struct memmap_file_range a = allocate(PAGE, down);
	struct memmap_file_range b = allocate(2 * PAGE, down);
	assert_int_equal(b.end, a.start);
	assert_int_equal(allocate(PAGE, down).end, b.start);
	dec_ref(b);
	assert_int_equal(allocate(PAGE, down).end, a.start);
	/* What was freed just now goes first; then from the bottom there is still everything. */
	assert_range(allocate(PAGE, (struct memmap_allocate_opts){0}), b.start, b.start + PAGE);
	assert_range(allocate(PAGE, (struct memmap_allocate_opts){0}), 0, PAGE);
	/* More than is left: the file grows, and it goes to the new end. */
	assert_true(allocate(a.end - PAGE, down).start >= a.end);
}

static void test_huge(void **state)
{
	(void)state;
	const struct memmap_allocate_opts huge = {.huge = true};
	allocate(PAGE, (struct memmap_allocate_opts){0});
	assert_range(allocate(2 * MIB, huge), 2 * MIB, 4 * MIB);
	/* Shorter than a huge page: anywhere. */
	assert_range(allocate(PAGE, huge), PAGE, 2 * PAGE);
	assert_range(allocate(2 * MIB + PAGE, huge), 4 * MIB, 6 * MIB + PAGE);
	const struct memmap_allocate_opts down = {.huge = true, .direction = MEMMAP_TOP_DOWN};
	allocate(PAGE, (struct memmap_allocate_opts){.direction = MEMMAP_TOP_DOWN});
	struct memmap_file_range fr = allocate(2 * MIB + PAGE, down);
	assert_true(memmap_is_huge_page_aligned(fr.start));

	/* Many gaps that are long enough, but only as they lie. */
	struct memmap_file_range gaps[40], walls[40];
	for (int i = 0; i < 40; i++) {
		gaps[i] = allocate(2 * MIB + PAGE, (struct memmap_allocate_opts){0});
		walls[i] = allocate(PAGE, (struct memmap_allocate_opts){0});
	}
	for (int i = 0; i < 40; i++)
		dec_ref(gaps[i]);
	fr = allocate(2 * MIB, huge);
	assert_true(memmap_is_huge_page_aligned(fr.start));
	for (int i = 0; i < 40; i++)
		assert_false(memmap_file_range_overlaps(fr, walls[i]));
}

static void test_hint(void **state)
{
	(void)state;
	allocate(PAGE, (struct memmap_allocate_opts){0});
	assert_range(allocate(PAGE, (struct memmap_allocate_opts){.hint = 8 * PAGE}), 8 * PAGE,
		     9 * PAGE);
	assert_range(allocate(PAGE, (struct memmap_allocate_opts){.hint = 9 * PAGE}), 9 * PAGE,
		     10 * PAGE);
	/* Taken, or no place for pages. */
	assert_range(allocate(2 * PAGE, (struct memmap_allocate_opts){.hint = 7 * PAGE}), PAGE,
		     3 * PAGE);
	assert_range(allocate(PAGE, (struct memmap_allocate_opts){.hint = 20 * PAGE + 1}), 3 * PAGE,
		     4 * PAGE);
	assert_range(allocate(PAGE, (struct memmap_allocate_opts){.hint = UINT64_MAX - PAGE + 1}),
		     4 * PAGE, 5 * PAGE);
}

/* ---- What they read as ---- */

static void test_zeros_again(void **state)
{
	(void)state;
	const uint64_t lengths[] = {PAGE, 3 * PAGE, MIB / 16, MIB, 3 * MIB};
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		struct memmap_file_range fr =
			allocate(lengths[i], (struct memmap_allocate_opts){0});
		assert_zeros(fr);
		memset(bytes(fr), 0xaa, lengths[i]);
		dec_ref(fr);
		struct memmap_file_range again =
			allocate(lengths[i], (struct memmap_allocate_opts){0});
		assert_range(again, fr.start, fr.end);
		assert_zeros(again);
		dec_ref(again);
	}
	/* Dirty here and there within what is allocated. */
	struct memmap_file_range fr = allocate(64 * PAGE, (struct memmap_allocate_opts){0});
	memset(bytes(fr), 0xaa, 64 * PAGE);
	for (uint64_t i = 3; i < 60; i += 7)
		dec_ref(range(fr.start + i * PAGE, fr.start + (i + 1) * PAGE));
	assert_int_equal(memmap_memory_file_verify(mf), 0);
	for (uint64_t i = 3; i < 60; i += 7) {
		struct memmap_file_range one = allocate(PAGE, (struct memmap_allocate_opts){0});
		assert_int_equal(one.start, fr.start + i * PAGE);
		assert_zeros(one);
	}
}

/* The system says no to punching holes: what is free is kept, and still reads as zeros. */
static void test_punch_fails(void **state)
{
	(void)state;
	struct memmap_file_range fr = allocate(8 * MIB, (struct memmap_allocate_opts){0});
	memset(bytes(fr), 0xaa, 8 * MIB);
	fail_host_calls(0, -EPERM);
	dec_ref(range(fr.start, fr.start + 4 * MIB));
	for (uint64_t at = fr.start + 4 * MIB; at < fr.end; at += 2 * PAGE)
		dec_ref(range(at, at + PAGE));
	assert_true(host_nr_refused > 0);
	assert_int_equal(memmap_memory_file_verify(mf), 0);
	assert_int_equal(memmap_memory_file_trim(mf), -EPERM);
	struct memmap_file_range again = allocate(2 * MIB, (struct memmap_allocate_opts){0});
	assert_zeros(again);
	memset(bytes(again), 0xaa, 2 * MIB);
	assert_int_equal(memmap_memory_file_decommit(mf, again), -EPERM);
	assert_zeros(again);
	fail_host_calls(HOST_WORKS, 0);
	for (uint64_t at = fr.start + 4 * MIB + PAGE; at < fr.end; at += 2 * PAGE)
		dec_ref(range(at, at + PAGE));
	dec_ref(again);
	assert_int_equal(memmap_memory_file_trim(mf), 0);
	assert_int_equal(memmap_memory_file_committed(mf), 0);
}

static void test_memory_is_returned(void **state)
{
	(void)state;
	/* As one range, and page by page in an order that leaves no neighbours. */
	struct memmap_file_range fr = allocate(16 * MIB, (struct memmap_allocate_opts){0});
	memset(bytes(fr), 1, 16 * MIB);
	assert_true(memmap_memory_file_committed(mf) >= 16 * MIB);
	dec_ref(fr);
	assert_int_equal(memmap_memory_file_committed(mf), 0);

	fr = allocate(16 * MIB, (struct memmap_allocate_opts){0});
	memset(bytes(fr), 1, 16 * MIB);
	for (uint64_t odd = 0; odd < 2; odd++) {
		for (uint64_t at = fr.start + odd * PAGE; at < fr.end; at += 2 * PAGE)
			dec_ref(range(at, at + PAGE));
		assert_true(memmap_memory_file_committed(mf) <= (odd ? 2 : 10) * MIB);
	}
	assert_int_equal(usage(), 0);
	assert_int_equal(memmap_memory_file_trim(mf), 0);
	assert_int_equal(memmap_memory_file_committed(mf), 0);
}

static void test_decommit(void **state)
{
	(void)state;
	struct memmap_file_range fr = allocate(4 * PAGE, (struct memmap_allocate_opts){0});
	memset(bytes(fr), 1, 4 * PAGE);
	uint64_t before = memmap_memory_file_committed(mf);
	assert_int_equal(memmap_memory_file_decommit(mf, range(PAGE, 3 * PAGE)), 0);
	assert_int_equal(memmap_memory_file_committed(mf), before - 2 * PAGE);
	assert_zeros(range(PAGE, 3 * PAGE));
	assert_int_equal(bytes(fr)[0], 1);
	assert_int_equal(bytes(fr)[3 * PAGE], 1);
	assert_int_equal(usage(), 4 * PAGE);
}

/* A range across chunks is one sequence of bytes. */
static void test_across_chunks(void **state)
{
	(void)state;
	struct memmap_file_range fr = allocate(200 * MIB, (struct memmap_allocate_opts){0});
	struct memmap_file_range part = range(fr.start + 64 * MIB - 3, fr.start + 192 * MIB + 5);
	struct memmap_block_seq seq;
	assert_int_equal(memmap_file_map_internal(memmap_memory_file_file(mf), part,
						  MEMMAP_READ_WRITE, &seq),
			 0);
	assert_int_equal(memmap_block_seq_num_bytes(seq), memmap_file_range_length(part));
	assert_int_equal(memmap_block_seq_num_blocks(seq), 3);
	char text[] = "over the edge";
	struct memmap_block_seq source = memmap_block_seq_of(memmap_block_safe(text, sizeof(text)));
	assert_int_equal(memmap_copy_seq(seq, source, NULL), 0);
	char read[sizeof(text)];
	uint64_t done;
	assert_int_equal(memmap_file_buffer_read_at(memmap_memory_file_file(mf), part.start, read,
						    sizeof(read), &done),
			 0);
	assert_string_equal(read, text);
	char by_fd[sizeof(text)];
	assert_int_equal(pread(memmap_file_fd(memmap_memory_file_file(mf)), by_fd, sizeof(by_fd),
			       (off_t)part.start),
			 sizeof(by_fd));
	assert_string_equal(by_fd, text);
}

static int nr_mmaps;

static int count_mmaps(const char *call)
{
	nr_mmaps += strcmp(call, "mmap") == 0;
	return 0;
}

/* However much is allocated and looked at, the file is mapped a few times only. */
static void test_chunks_are_mapped_once(void **state)
{
	(void)state;
	nr_mmaps = 0;
	memmap_host_hook = count_mmaps;
	for (int i = 0; i < 1000; i++)
		bytes(allocate(PAGE, (struct memmap_allocate_opts){0}))[0] = 1;
	/* One chunk, and the reserve of nodes for its pages. */
	assert_int_equal(nr_mmaps, 2);
	for (int i = 0; i < 100; i++)
		dec_ref(allocate(MIB, (struct memmap_allocate_opts){0}));
	assert_int_equal(nr_mmaps, 2);
	allocate(400 * MIB, (struct memmap_allocate_opts){0});
	assert_int_equal(nr_mmaps, 6);
	memmap_host_hook = NULL;
}

/* ---- References ---- */

static void test_references(void **state)
{
	(void)state;
	struct memmap_file_range fr = allocate(8 * PAGE, (struct memmap_allocate_opts){0});
	assert_true(memmap_memory_file_has_unique_ref(mf, fr));
	inc_ref(range(2 * PAGE, 5 * PAGE));
	assert_false(memmap_memory_file_has_unique_ref(mf, fr));
	assert_true(memmap_memory_file_has_unique_ref(mf, range(0, 2 * PAGE)));
	assert_false(memmap_memory_file_has_unique_ref(mf, range(PAGE, 3 * PAGE)));
	uint64_t end;
	assert_int_equal(memmap_memory_file_references(mf, range(0, 8 * PAGE), &end), 1);
	assert_int_equal(end, 2 * PAGE);
	assert_int_equal(memmap_memory_file_references(mf, range(PAGE, 2 * PAGE), &end), 1);
	assert_int_equal(end, 2 * PAGE);
	assert_int_equal(memmap_memory_file_references(mf, range(2 * PAGE, 8 * PAGE), &end), 2);
	assert_int_equal(end, 5 * PAGE);
	assert_true(memmap_memory_file_has_unique_ref(mf, range(5 * PAGE, 8 * PAGE)));
	inc_ref(fr);
	dec_ref(range(0, 8 * PAGE));
	dec_ref(range(0, 8 * PAGE));
	assert_int_equal(usage(), 3 * PAGE);
	assert_true(memmap_memory_file_has_unique_ref(mf, range(2 * PAGE, 5 * PAGE)));
	dec_ref(range(2 * PAGE, 5 * PAGE));
	assert_int_equal(usage(), 0);
}

static void test_violations(void **state)
{
	(void)state;
	struct memmap_file_range fr = allocate(4 * PAGE, (struct memmap_allocate_opts){0});
	dec_ref(range(PAGE, 2 * PAGE));
	assert_panics("dec_ref of [0x0, 0x3000): [0x1000, 0x2000) has 0 references",
		      dec_ref(range(0, 3 * PAGE)));
	assert_panics("inc_ref of [0x3000, 0x5000): [0x4000, 0x5000) has 0 references",
		      inc_ref(range(3 * PAGE, 5 * PAGE)));
	assert_panics("has_unique_ref of [0x1000, 0x2000)",
		      memmap_memory_file_has_unique_ref(mf, range(PAGE, 2 * PAGE)));
	assert_panics("decommit of [0x1000, 0x4000): [0x1000, 0x2000) has 0 references",
		      (void)memmap_memory_file_decommit(mf, range(PAGE, 4 * PAGE)));
	assert_panics("not a range of pages", dec_ref(range(0, 1)));
	assert_panics("not a range of pages", inc_ref(range(PAGE, PAGE)));
	assert_panics("allocating", (void)memmap_memory_file_allocate(mf, 1, NULL, &fr));
	assert_panics("allocating", (void)memmap_memory_file_allocate(mf, 0, NULL, &fr));
	struct memmap_block_seq seq;
	assert_panics("nothing was ever allocated",
		      (void)memmap_file_map_internal(memmap_memory_file_file(mf),
						     range(0, UINT64_C(1) << 40), MEMMAP_READ,
						     &seq));
}

/* ---- Limits and usage ---- */

static void test_limits(void **state)
{
	(void)state;
	const struct memmap_allocate_opts seven = {.mem_cg_id = 7, .kind = MEMMAP_MEMORY_SHARED};
	const struct memmap_allocate_opts nine = {.mem_cg_id = 9, .kind = MEMMAP_MEMORY_ANONYMOUS};
	struct memmap_file_range fr;
	struct memmap_memory_usage u;
	memmap_memory_file_set_limit(mf, 10 * PAGE);
	assert_int_equal(memmap_memory_file_set_cgroup_limit(mf, 7, 4 * PAGE), 0);
	struct memmap_file_range three = allocate(3 * PAGE, seven);
	assert_int_equal(memmap_memory_file_allocate(mf, 2 * PAGE, &seven, &fr), -ENOMEM);
	allocate(PAGE, seven);
	assert_int_equal(memmap_memory_file_allocate(mf, 7 * PAGE, &nine, &fr), -ENOMEM);
	allocate(6 * PAGE, nine);
	assert_int_equal(memmap_memory_file_allocate(mf, PAGE, &nine, &fr), -ENOMEM);
	memmap_memory_file_cgroup_usage(mf, 7, &u);
	assert_int_equal(u.total, 4 * PAGE);
	assert_int_equal(u.by_kind[MEMMAP_MEMORY_SHARED], 4 * PAGE);
	memmap_memory_file_cgroup_usage(mf, 8, &u);
	assert_int_equal(u.total, 0);
	/* References of others do not move a page to their cgroup. */
	memmap_file_inc_ref(memmap_memory_file_file(mf), three, 9);
	dec_ref(three);
	memmap_memory_file_cgroup_usage(mf, 7, &u);
	assert_int_equal(u.total, 4 * PAGE);
	dec_ref(three);
	memmap_memory_file_usage(mf, &u);
	assert_int_equal(u.total, 7 * PAGE);
	assert_int_equal(u.by_kind[MEMMAP_MEMORY_SHARED], PAGE);
	assert_int_equal(u.by_kind[MEMMAP_MEMORY_ANONYMOUS], 6 * PAGE);
	/* A limit below what is used stops only what comes. */
	memmap_memory_file_set_limit(mf, PAGE);
	assert_int_equal(memmap_memory_file_allocate(mf, PAGE, &nine, &fr), -ENOMEM);
	memmap_memory_file_set_limit(mf, 0);
	allocate(PAGE, nine);
	assert_int_equal(memmap_memory_file_allocate(mf, UINT64_C(1) << 60, &nine, &fr), -ENOMEM);
}

static void test_dump(void **state)
{
	(void)state;
	allocate(2 * PAGE,
		 (struct memmap_allocate_opts){.kind = MEMMAP_MEMORY_SHARED, .mem_cg_id = 3});
	allocate(PAGE, (struct memmap_allocate_opts){.kind = MEMMAP_MEMORY_ANONYMOUS});
	inc_ref(range(PAGE, 3 * PAGE));
	char *text = memmap_memory_file_dump(mf);
	const char *lines[] = {
		"[0x0, 0x1000)                                      4096 shared              3     "
		"     1\n",
		"[0x1000, 0x2000)                                   4096 shared              3     "
		"     2\n",
		"[0x2000, 0x3000)                                   4096 anonymous           0     "
		"     2\n",
		"total                                             12288, freed but kept 0, file "
		"size ",
	};
	const char *at = text;
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		at = strstr(at, lines[i]);
		assert_non_null(at);
	}
	memmap_free(text);
}

/* ---- Want of memory ---- */

/* Every allocation and every system call of creating and of allocating fails, one by one. */
static void test_failures(void **state)
{
	(void)state;
	struct failing_allocator failing;
	const struct memmap_allocate_opts opts = {.mem_cg_id = 5};
	for (int host = 0; host < 2; host++) {
		int err = -1;
		for (size_t n = 0; err; n++) {
			assert_true(n < 50);
			failing_allocator_init(&failing, host ? SIZE_MAX : n);
			if (host)
				fail_host_calls(n, -ENFILE);
			struct memmap_memory_file *other = NULL;
			const struct memmap_memory_file_options options = {
				.allocator = &failing.allocator,
			};
			err = memmap_memory_file_create(&options, &other);
			if (!err) {
				struct memmap_file_range fr = {7, 7};
				err = memmap_memory_file_allocate(other, 100 * MIB, &opts, &fr);
				if (err) {
					assert_int_equal(err, -ENOMEM);
					assert_range(fr, 7, 7);
				}
				assert_int_equal(memmap_memory_file_verify(other), 0);
				/* It can be tried again. */
				fail_host_calls(HOST_WORKS, 0);
				failing.budget = SIZE_MAX;
				struct memmap_memory_usage u;
				memmap_memory_file_usage(other, &u);
				assert_int_equal(u.total, err ? 0 : 100 * MIB);
				assert_int_equal(
					memmap_memory_file_allocate(other, MIB, &opts, &fr), 0);
				memmap_memory_file_release(other);
			} else {
				assert_int_equal(err, host ? -ENFILE : -ENOMEM);
			}
			assert_int_equal(failing.nr_live, 0);
		}
		fail_host_calls(HOST_WORKS, 0);
	}
}

/* References come and go without any memory, until each page is a run of its own. */
static void test_references_without_memory(void **state)
{
	(void)state;
	const uint64_t nr = 16384;
	struct failing_allocator failing;
	failing_allocator_init(&failing, SIZE_MAX);
	const struct memmap_memory_file_options options = {.allocator = &failing.allocator};
	struct memmap_memory_file *other;
	struct memmap_file_range fr;
	assert_int_equal(memmap_memory_file_create(&options, &other), 0);
	assert_int_equal(memmap_memory_file_allocate(other, nr * PAGE, NULL, &fr), 0);
	struct memmap_file *file = memmap_memory_file_file(other);
	failing.budget = 0;
	for (uint64_t i = 0; i < nr; i++) {
		const uint64_t page = i * 7919 % nr;
		for (uint64_t count = 0; count < page % 3; count++)
			memmap_file_inc_ref(file, range(page * PAGE, (page + 1) * PAGE), 0);
	}
	assert_true(failing.nr_refused > 100);
	assert_int_equal(memmap_memory_file_verify(other), 0);
	/* One of three goes: held and dirty take turns. */
	memmap_file_dec_ref(file, fr);
	struct memmap_memory_usage u;
	memmap_memory_file_usage(other, &u);
	assert_int_equal(u.total, (nr - (nr + 2) / 3) * PAGE);
	assert_int_equal(memmap_memory_file_verify(other), 0);
	for (uint64_t i = 0; i < nr; i++) {
		const uint64_t page = i * 7919 % nr;
		for (uint64_t count = 0; count < page % 3; count++)
			memmap_file_dec_ref(file, range(page * PAGE, (page + 1) * PAGE));
	}
	memmap_memory_file_usage(other, &u);
	assert_int_equal(u.total, 0);
	assert_int_equal(memmap_memory_file_verify(other), 0);
	memmap_memory_file_release(other);
	assert_int_equal(failing.nr_live, 0);
	memmap_memory_file_release(NULL);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_first_fit),
		TEST(test_top_down),
		TEST(test_huge),
		TEST(test_hint),
		TEST(test_zeros_again),
		TEST(test_punch_fails),
		TEST(test_memory_is_returned),
		TEST(test_decommit),
		TEST(test_across_chunks),
		TEST(test_chunks_are_mapped_once),
		TEST(test_references),
		TEST(test_violations),
		TEST(test_limits),
		TEST(test_dump),
		cmocka_unit_test(test_failures),
		cmocka_unit_test(test_references_without_memory),
	};
	return cmocka_run_group_tests_name("file/memory_file", tests, NULL, NULL);
}
