/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many threads at once in one address space: faults, calls that change mappings and pages, forks,
 * invalidations, bytes read and written from outside. For a few seconds, and then everything must be
 * consistent and nothing may be held any more. Meant for ThreadSanitizer, but worth running without.
 *
 * What can be told of bytes while everything changes: each page is only ever written the byte that
 * belongs to its address, so that whoever reads finds that byte, a zero, or what the file has there.
 *
 *   storm [--seed N] [--seconds N]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <time.h>

#include "guest.h"

#define AT       UINT64_C(0x30000000)
#define NR_PAGES 96 /* private memory; then a private and a shared file, as long */
#define NR_FILE  32

#define NR_THREADS 6

static struct {
	uint64_t seed;
	double seconds;
	struct memmap_memory_file *mf;
	struct paged_file a, b;
	struct guest g;
	bool stop;
	bool failed;
	uint64_t nr_done;
} storm = {.seed = 1, .seconds = 2};

static uint64_t next_random(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static char byte_of(uint64_t addr)
{
	return (char)(0x80 | (addr / K & 0x3f));
}

/* Bytes are touched as the hardware does it: without data races. */
static int look_at(void *arg, const struct mm_page_run *run)
{
	struct memmap_file_range fr = {run->offset, run->offset + 4};
	struct memmap_block_seq blocks;
	int err = memmap_file_map_internal(run->file, fr, MEMMAP_READ, &blocks);
	if (err)
		return err;
	uint32_t word;
	err = memmap_load_u32(memmap_block_seq_head(blocks), &word);
	*(char *)arg = (char)(word & 0xff);
	return err;
}

static int change(void *arg, const struct mm_page_run *run)
{
	struct memmap_file_range fr = {run->offset, run->offset + 4};
	struct memmap_block_seq blocks;
	uint32_t old;
	int err = memmap_file_map_internal(run->file, fr, MEMMAP_WRITE, &blocks);
	if (err)
		return err;
	return memmap_swap_u32(memmap_block_seq_head(blocks), *(unsigned char *)arg, &old);
}

/* Read a page of `mm`, or write it, and see that it is what it can be. */
static void touch(struct memmap_mm *mm, uint64_t addr, bool write)
{
	struct memmap_addr_range word = {addr, addr + 4};
	char byte = byte_of(addr);
	int err = mm_with_pages(mm, word, write ? MEMMAP_WRITE : MEMMAP_READ, false,
				write ? change : look_at, &byte, NULL);
	if (err == 0 && byte != byte_of(addr) && byte != 0 && !(byte >= 'a' && byte <= 'z')) {
		print_error("0x%" PRIx64 " has %d\n", addr, byte);
		__atomic_store_n(&storm.failed, true, __ATOMIC_SEQ_CST);
	}
	if (err && err != -EFAULT && !memmap_is_bus_error(err)) {
		print_error("touching 0x%" PRIx64 ": %s\n", addr, memmap_strerror(err));
		__atomic_store_n(&storm.failed, true, __ATOMIC_SEQ_CST);
	}
}

static uint64_t page_of(uint64_t r)
{
	return AT + r % (NR_PAGES + 2 * NR_FILE) * K;
}

static void fork_and_touch(uint64_t *random)
{
	struct guest child;
	int err = guest_fork(&storm.g, &child);
	if (err) {
		test_platform_destroy_(&child.platform);
		return;
	}
	for (int i = 0; i < 20; i++) {
		uint64_t r = next_random(random);
		touch(child.mm, page_of(r >> 8), r & 1);
	}
	if (memmap_mm_verify(child.mm) != 0)
		__atomic_store_n(&storm.failed, true, __ATOMIC_SEQ_CST);
	guest_destroy(&child);
}

/* Map again what calls may have taken away. */
static void map_all(struct memmap_mm *mm)
{
	uint64_t file = AT + NR_PAGES * K, shared = file + NR_FILE * K;
	(void)map_anon(mm, AT, NR_PAGES * K, RW, FIXED);
	(void)map_file(mm, file, NR_FILE * K, RW, MAP_PRIVATE | MAP_FIXED, &storm.a.file, 0);
	(void)map_file(mm, shared, NR_FILE * K, RW, MAP_SHARED | MAP_FIXED, &storm.b.file, 0);
}

static void call(uint64_t *random)
{
	static const int advice[] = {MADV_DONTNEED,     MADV_FREE,           MADV_GUARD_INSTALL,
				     MADV_GUARD_REMOVE, MADV_POPULATE_WRITE, MADV_POPULATE_READ,
				     MADV_REMOVE};
	struct memmap_mm *mm = storm.g.mm;
	uint64_t r = next_random(random), addr = page_of(r >> 8);
	uint64_t length = (1 + (r >> 32) % 8) * K;
	switch (r % 12) {
	case 0:
		map_all(mm);
		break;
	case 1:
		(void)memmap_mm_sys_munmap(mm, addr, length);
		break;
	case 2:
		(void)memmap_mm_sys_mprotect(mm, addr, length, r >> 40 & 1 ? RW : PROT_READ);
		break;
	case 3: /* to elsewhere and back, so that each page keeps its byte */
		(void)memmap_mm_sys_mremap(mm, addr, length, length, MREMAP_MAYMOVE | MREMAP_FIXED,
					   addr + 64 * M);
		(void)memmap_mm_sys_mremap(mm, addr + 64 * M, length, length,
					   MREMAP_MAYMOVE | MREMAP_FIXED, addr);
		break;
	case 4:
		fork_and_touch(random);
		break;
	case 5: {
		struct memmap_mm_stats stats;
		struct memmap_vma vma;
		memmap_mm_get_stats(mm, &stats);
		(void)memmap_mm_find_vma(mm, addr, &vma);
		break;
	}
	case 6:
		(void)memmap_mm_handle_fault(mm, addr, MEMMAP_WRITE, NULL);
		break;
	default:
		(void)memmap_mm_sys_madvise(mm, addr, length,
					    advice[(r >> 40) % (sizeof(advice) / sizeof(int))]);
	}
}

/* What files do: evict, shrink and grow. */
static void disturb(uint64_t *random)
{
	uint64_t r = next_random(random);
	struct paged_file *f = r & 1 ? &storm.a : &storm.b;
	uint64_t start = (r >> 8) % NR_FILE * K;
	if (r & 14)
		paged_file_invalidate(f, (struct memmap_mappable_range){start, start + 4 * K},
				      false);
	else
		paged_file_resize(f, (NR_FILE - (r >> 16) % 8) * K);
}

static void *storm_thread(void *number)
{
	const uintptr_t n = (uintptr_t)number;
	uint64_t random = storm.seed * 1000 + n;
	uint64_t done = 0;
	for (; !__atomic_load_n(&storm.stop, __ATOMIC_RELAXED); done++) {
		if (n == 0) {
			disturb(&random);
		} else if (n <= 2) {
			call(&random);
		} else {
			uint64_t r = next_random(&random);
			touch(storm.g.mm, page_of(r >> 8), r & 1);
			if (r % 8 == 0)
				(void)memmap_mm_handle_fault(storm.g.mm, page_of(r >> 8),
							     MEMMAP_READ, NULL);
		}
	}
	__atomic_add_fetch(&storm.nr_done, done, __ATOMIC_SEQ_CST);
	return NULL;
}

static void everything_at_once(void **state)
{
	(void)state;
	storm.mf = new_memory_file();
	paged_file_init(&storm.a, storm.mf, NR_FILE * K);
	paged_file_init(&storm.b, storm.mf, NR_FILE * K);
	guest_init(&storm.g, storm.mf);
	map_all(storm.g.mm);

	pthread_t threads[NR_THREADS];
	for (uintptr_t i = 0; i < NR_THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, storm_thread, (void *)i), 0);
	struct timespec wait = {(time_t)storm.seconds,
				(long)((storm.seconds - (double)(time_t)storm.seconds) * 1e9)};
	(void)nanosleep(&wait, NULL);
	__atomic_store_n(&storm.stop, true, __ATOMIC_RELAXED);
	for (int i = 0; i < NR_THREADS; i++)
		pthread_join(threads[i], NULL);

	print_message("seed %" PRIu64 ": %" PRIu64 " steps\n", storm.seed, storm.nr_done);
	assert_false(storm.failed);
	assert_true(storm.nr_done > 0);
	assert_int_equal(memmap_mm_verify(storm.g.mm), 0);
	assert_int_equal(memmap_memory_file_verify(storm.mf), 0);
	assert_reverse_map(storm.g.mm, &storm.a.file);
	guest_destroy(&storm.g);
	paged_file_destroy(&storm.a);
	paged_file_destroy(&storm.b);
	release_memory_file(storm.mf);
}

int main(int argc, char **argv)
{
	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--seed") == 0)
			storm.seed = strtoull(argv[i + 1], NULL, 0);
		else if (strcmp(argv[i], "--seconds") == 0)
			storm.seconds = strtod(argv[i + 1], NULL);
	}
	const struct CMUnitTest tests[] = {cmocka_unit_test(everything_at_once)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
