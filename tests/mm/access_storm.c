/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything that reads, writes and counts the pages of two address spaces, at once with everything
 * that changes them: nothing hangs, nothing is torn that must not be, nothing is left over.
 *
 *   mm_access_storm [SEED [ROUNDS]]
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include <memmap/mm_access.h>
#include <memmap/mm_report.h>

#include "paged_file.h"

#define AT     UINT64_C(0x30000000)
#define PAGES  UINT64_C(16)
#define STABLE UINT64_C(0x38000000) /* a page that stays mapped in both: a counter, shared */

static uint64_t seed = 1, rounds = 400;
static struct memmap_memory_file *mf;
static struct memmap_mm *mms[2];
static struct paged_file file;

struct worker {
	pthread_t thread;
	uint64_t random;
	const char *failed;
};

static uint64_t below(struct worker *w, uint64_t bound)
{
	w->random = w->random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (w->random >> 33) % bound;
}

static uint64_t some_addr(struct worker *w)
{
	return AT + below(w, PAGES) * K + below(w, K);
}

static bool is_expected(int64_t err)
{
	return err >= 0 || err == -EFAULT || err == -ENOMEM || err == -ENAMETOOLONG ||
	       memmap_is_bus_error((int)err);
}

static void *between_spaces(void *arg)
{
	struct worker *w = arg;
	for (uint64_t i = 0; i < rounds && !w->failed; i++) {
		const struct memmap_iovec here[] = {{some_addr(w), below(w, 3 * K)},
						    {some_addr(w), below(w, 3 * K)}};
		const struct memmap_iovec there[] = {{some_addr(w), below(w, 5 * K)}};
		struct memmap_mm *local = mms[below(w, 2)], *remote = mms[below(w, 2)];
		int64_t result = (below(w, 2) ? memmap_mm_sys_process_vm_readv
					      : memmap_mm_sys_process_vm_writev)(
			local, here, 2, remote, there, 1, 0);
		if (!is_expected(result))
			w->failed = "process_vm";
	}
	return NULL;
}

static void *accesses(void *arg)
{
	struct worker *w = arg;
	unsigned char bytes[2 * K] = {1}, vec[PAGES];
	for (uint64_t i = 0; i < rounds && !w->failed; i++) {
		struct memmap_mm *mm = mms[below(w, 2)];
		struct memmap_futex_key key;
		uint64_t old;
		if (memmap_mm_fetch_add_u64(mms[i & 1], STABLE, 1, &old) != 0)
			w->failed = "counting";
		if (!is_expected(memmap_mm_copy_in(mm, some_addr(w), bytes, sizeof(bytes), NULL,
						   NULL)) ||
		    !is_expected(memmap_mm_copy_out(mm, some_addr(w), bytes,
						    below(w, sizeof(bytes)), NULL, NULL)) ||
		    !is_expected(memmap_mm_copy_string_in(mm, some_addr(w), (char *)bytes, K, NULL,
							  NULL)))
			w->failed = "copying";
		if (!is_expected(memmap_mm_sys_mincore(mm, AT, PAGES * K, vec)))
			w->failed = "mincore";
		if (memmap_mm_futex_key(mm, some_addr(w) & ~UINT64_C(3), false, &key) == 0)
			memmap_futex_key_release(&key);
	}
	return NULL;
}

static void *reports(void *arg)
{
	struct worker *w = arg;
	struct memmap_text text = {0};
	for (uint64_t i = 0; i < rounds / 2 && !w->failed; i++) {
		struct memmap_mm *mm = mms[i & 1];
		struct memmap_mm_usage u;
		memmap_mm_get_usage(mm, (struct memmap_addr_range){AT, AT + PAGES * K}, &u);
		if (u.rss != u.rss_anon + u.rss_file + u.rss_shmem ||
		    u.rss != u.shared_clean + u.shared_dirty + u.private_clean + u.private_dirty)
			w->failed = "usage";
		if (memmap_mm_print_smaps(mm, &text) || memmap_mm_print_smaps_rollup(mm, &text) ||
		    memmap_mm_print_status(mm, &text) || memmap_mm_print_statm(mm, &text))
			w->failed = "texts";
	}
	memmap_text_release(&text);
	return NULL;
}

static void map_something(struct worker *w, struct memmap_mm *mm)
{
	static const uint64_t prots[] = {RW, RW, PROT_READ, PROT_NONE};
	struct memmap_mmap_file open = paged_file_open(&file);
	uint64_t page = below(w, PAGES), n = 1 + below(w, PAGES - page);
	bool of_file = below(w, 2), shared = of_file && below(w, 2);
	(void)memmap_mm_sys_mmap(mm, AT + page * K, n * K, prots[below(w, 4)],
				 (shared ? MAP_SHARED : MAP_PRIVATE) | MAP_FIXED |
					 (of_file ? 0 : MAP_ANONYMOUS),
				 &open, page * K, NULL);
}

static void *changes(void *arg)
{
	struct worker *w = arg;
	for (uint64_t i = 0; i < rounds && !w->failed; i++) {
		struct memmap_mm *mm = mms[below(w, 2)], *child;
		uint64_t page = below(w, PAGES), n = 1 + below(w, PAGES - page);
		switch (below(w, 8)) {
		case 0:
			memmap_mm_sys_munmap(mm, AT + page * K, n * K);
			break;
		case 1:
			memmap_mm_sys_madvise(mm, AT + page * K, n * K, MADV_DONTNEED);
			break;
		case 2:
			memmap_mm_sys_mprotect(mm, AT + page * K, n * K, RW);
			break;
		case 3:
			memmap_mm_sys_prctl_set_vma(mm, AT + page * K, n * K, i & 1 ? "a" : NULL);
			break;
		case 4:
			if (memmap_mm_fork(mm, NULL, &child) == 0) {
				unsigned char c = 1;
				(void)memmap_mm_copy_out(child, some_addr(w), &c, 1, NULL, NULL);
				memmap_mm_release(child);
			}
			break;
		default:
			map_something(w, mm);
		}
	}
	return NULL;
}

static void test_storm(void **state)
{
	static void *(*const jobs[])(void *) = {between_spaces, between_spaces, accesses,
						accesses,       reports,        changes};
	enum { NR = sizeof(jobs) / sizeof(jobs[0]) };
	struct worker workers[NR] = {0};
	struct memmap_memory_usage usage;
	uint64_t count;
	(void)state;
	print_message("seed %" PRIu64 "\n", seed);
	assert_int_equal(memmap_block_install_handlers(), 0);
	assert_int_equal(memmap_memory_file_create(NULL, &mf), 0);
	/* Behind the pages that the region maps there is the counter's. */
	paged_file_init(&file, mf, "/f", (PAGES + 1) * K);
	struct memmap_mm_options options = small_options();
	options.memory_file = mf;
	struct memmap_mmap_file open = paged_file_open(&file);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(memmap_mm_create(&options, &mms[i]), 0);
		assert_int_equal(memmap_mm_sys_mmap(mms[i], STABLE, K, RW, MAP_SHARED | MAP_FIXED,
						    &open, PAGES * K, NULL),
				 STABLE);
	}
	for (int i = 0; i < NR; i++) {
		workers[i].random = seed * 100 + (uint64_t)i;
		assert_int_equal(pthread_create(&workers[i].thread, NULL, jobs[i], &workers[i]), 0);
	}
	for (int i = 0; i < NR; i++)
		assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
	for (int i = 0; i < NR; i++) {
		if (workers[i].failed)
			fail_msg("%s", workers[i].failed);
	}
	assert_int_equal(memmap_mm_load_u64(mms[0], STABLE, &count), 0);
	assert_int_equal(count, 2 * rounds);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(memmap_mm_verify(mms[i]), 0);
		memmap_mm_release(mms[i]);
	}
	paged_file_destroy(&file);
	memmap_memory_file_usage(mf, &usage);
	assert_int_equal(usage.total, 0);
	memmap_memory_file_release(mf);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_storm)};
	if (argc > 1)
		seed = strtoull(argv[1], NULL, 0);
	if (argc > 2)
		rounds = strtoull(argv[2], NULL, 0);
	return cmocka_run_group_tests_name("mm/access_storm", tests, NULL, NULL);
}
