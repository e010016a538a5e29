/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Threads that allocate, share, hand over and free pages of one memory file, each page stamped by who
 * holds it. Run under ThreadSanitizer too.
 */
#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include <memmap/arch.h>
#include <memmap/memory_file.h>

#define PAGE       MEMMAP_PAGE_SIZE
#define NR_THREADS 4
#define NR_HELD    32
#define STEPS      8000

static struct memmap_memory_file *mf;

/* One page that a thread left for any other to take; 0: none. */
static uint64_t handed_over;

static uint64_t *bytes_of(struct memmap_file_range fr)
{
	struct memmap_block_seq seq;
	if (memmap_file_map_internal(memmap_memory_file_file(mf), fr, MEMMAP_READ_WRITE, &seq))
		abort();
	return memmap_block_seq_head(seq).addr;
}

static void *storm(void *arg)
{
	const uint64_t me = (uintptr_t)arg;
	struct memmap_file *file = memmap_memory_file_file(mf);
	struct memmap_file_range held[NR_HELD] = {{0, 0}};
	uint64_t x = me * 7919, wrong = 0;
	for (int i = 0; i < STEPS; i++) {
		x = x * UINT64_C(6364136223846793005) + 1442695040888963407;
		struct memmap_file_range *fr = &held[(x >> 40) % NR_HELD];
		if (fr->end == 0) {
			const struct memmap_allocate_opts opts = {
				.kind = MEMMAP_MEMORY_ANONYMOUS,
				.mem_cg_id = (uint32_t)me,
				.direction = (x >> 20) % 2 ? MEMMAP_TOP_DOWN : MEMMAP_BOTTOM_UP,
			};
			const uint64_t length = (1 + (x >> 33) % 4) * PAGE;
			if (memmap_memory_file_allocate(mf, length, &opts, fr))
				abort();
			wrong += bytes_of(*fr)[0] != 0;
			wrong += bytes_of(*fr)[length / 8 - 1] != 0;
			bytes_of(*fr)[0] = me;
			bytes_of(*fr)[length / 8 - 1] = me;
			continue;
		}
		wrong += bytes_of(*fr)[0] != me;
		const uint64_t end = fr->end;
		switch ((x >> 50) % 4) {
		case 0: /* a second reference, for a while */
			memmap_file_inc_ref(file, *fr, 0);
			wrong += memmap_memory_file_has_unique_ref(mf, *fr);
			memmap_file_dec_ref(file, *fr);
			break;
		case 1: /* page by page */
			for (uint64_t at = fr->start; at < end; at += PAGE)
				memmap_file_dec_ref(file,
						    (struct memmap_file_range){at, at + PAGE});
			fr->end = 0;
			break;
		case 2: { /* the first page goes to whoever frees it */
			uint64_t other =
				__atomic_exchange_n(&handed_over, fr->start + 1, __ATOMIC_ACQ_REL);
			fr->start += PAGE;
			if (fr->start == end)
				fr->end = 0;
			else
				bytes_of(*fr)[0] = me;
			if (other)
				memmap_file_dec_ref(file, (struct memmap_file_range){
								  other - 1, other - 1 + PAGE});
			break;
		}
		default:
			memmap_file_dec_ref(file, *fr);
			fr->end = 0;
			break;
		}
		if (i % 1000 == 0)
			wrong += memmap_memory_file_verify(mf) != 0;
	}
	for (int i = 0; i < NR_HELD; i++)
		if (held[i].end)
			memmap_file_dec_ref(file, held[i]);
	return (void *)(uintptr_t)wrong;
}

static void test_storm(void **state)
{
	(void)state;
	pthread_t threads[NR_THREADS];
	struct memmap_memory_usage usage;
	assert_int_equal(memmap_memory_file_create(NULL, &mf), 0);
	for (uintptr_t i = 0; i < NR_THREADS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, storm, (void *)(i + 1)), 0);
	for (int i = 0; i < NR_THREADS; i++) {
		void *wrong;
		assert_int_equal(pthread_join(threads[i], &wrong), 0);
		assert_null(wrong);
	}
	if (handed_over)
		memmap_file_dec_ref(
			memmap_memory_file_file(mf),
			(struct memmap_file_range){handed_over - 1, handed_over - 1 + PAGE});
	memmap_memory_file_usage(mf, &usage);
	assert_int_equal(usage.total, 0);
	assert_int_equal(memmap_memory_file_verify(mf), 0);
	memmap_memory_file_release(mf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_storm),
	};
	return cmocka_run_group_tests_name("file/memory_file_threads", tests, NULL, NULL);
}
