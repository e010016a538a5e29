/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inproc platform on many threads: a storm of touches, unmappings and truncations.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "guest.h"
#include "region.h"
#include "sanitizers.h"

#define NR_PAGES  32
#define NR_GUESTS 3

static struct world w;
static _Atomic(bool) stop;
static _Atomic(uint64_t) nr_good, nr_bad;

static _Thread_local struct ending *my_ending;

static bool end_my_touch(void *context, const struct memmap_guest_fault *fault, void *ucontext)
{
	(void)context;
	return end_touch(my_ending, fault, ucontext);
}

__attribute__((no_sanitize("thread"))) static void *guest(void *arg)
{
	struct ending *ending = calloc(1, sizeof(*ending));
	if (!ending)
		abort();
	my_ending = ending;
	uint64_t x = (uint64_t)(uintptr_t)arg * 2 + 88172645463325253u;
	while (!stop) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		const uint64_t page = x % NR_PAGES;
		uint64_t value = page * K;
		/* Pages hold their number, or nothing after they were cut off and came back. */
		const bool writes = x >> 40 & 1;
		if (try_touch(ending, w.base + page * K, writes ? MEMMAP_WRITE : MEMMAP_READ,
			      &value)) {
			if (value != page * K && value != 0)
				abort();
			nr_good++;
		} else {
			if (!memmap_is_bus_error(ending->fault.error) ||
			    ending->fault.addr != w.base + page * K)
				abort();
			nr_bad++;
		}
	}
	free(ending);
	return NULL;
}

static void storm(bool userfaultfd, bool truncate)
{
	const struct memmap_inproc_options options = {
		.on_fault = end_my_touch,
		.userfaultfd = userfaultfd,
		.max_host_vmas = 24,
	};
	int err = world_try(&w, options, NR_PAGES * K);
	if (err) {
		print_message("skipped: %s\n", memmap_strerror(err));
		skip();
	}
	test_mm_set(&w.mm, 0, (struct test_vma){{w.base, w.base + NR_PAGES * K}, RW, &w.file, 0});
	stop = false;
	nr_good = nr_bad = 0;
	pthread_t threads[NR_GUESTS];
	for (uintptr_t i = 0; i < NR_GUESTS; i++) {
		void *number = memmap_pointer_of_(i);
		assert_int_equal(pthread_create(&threads[i], NULL, guest, number), 0);
	}
	const int rounds = HAS_TSAN || RUNNING_ON_VALGRIND ? 200 : 2000;
	uint64_t x = 1;
	/* At least until the guests have had their turn, however busy the machine is. */
	for (int round = 0; round < rounds || (nr_good < 500 && round < 1000000); round++) {
		if (round % 16 == 0)
			usleep(100);
		x = x * 6364136223846793005 + 1442695040888963407;
		const uint64_t page = (x >> 33) % NR_PAGES;
		const uint64_t end = page + 1 + (x >> 50) % 4;
		struct memmap_addr_range ar = {w.base + page * K, w.base + end * K};
		if (truncate && x >> 20 & 1) {
			/* As a host file shrinks: behind the back of what is mapped. */
			assert_int_equal(ftruncate(w.file.fd, (off_t)(page * K)), 0);
			if (x >> 21 & 1)
				unmap(&w, ar.start, w.base + NR_PAGES * K);
			assert_int_equal(ftruncate(w.file.fd, NR_PAGES * K), 0);
		} else if (x >> 22 & 1) {
			memmap_address_space_protect(w.as, ar, MEMMAP_READ);
		} else {
			unmap(&w, ar.start, ar.end);
		}
	}
	stop = true;
	for (int i = 0; i < NR_GUESTS; i++)
		pthread_join(threads[i], NULL);
	print_message("%llu touches went well, %llu were bus errors\n", (unsigned long long)nr_good,
		      (unsigned long long)nr_bad);
	assert_int_not_equal(nr_good, 0);
	if (!truncate)
		assert_int_equal(nr_bad, 0);
	assert_in_range(host_vmas(&w), 1, 24);
	world_end(&w);
}

static void test_unmapping(void **state)
{
	(void)state;
	storm(false, false);
}

static void test_truncating(void **state)
{
	(void)state;
	if (HAS_TSAN) {
		print_message("left out: ThreadSanitizer cannot have handlers that fault\n");
		skip();
	}
	storm(false, true);
}

static void test_unmapping_watched(void **state)
{
	(void)state;
	storm(true, false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_unmapping),
		cmocka_unit_test(test_truncating),
		cmocka_unit_test(test_unmapping_watched),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
