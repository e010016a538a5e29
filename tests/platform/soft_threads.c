/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The soft platform on many threads: once unmap() has returned, nobody touches the page any more.
 *
 * Guests load and store as fast as they can while another thread takes their pages away, and then
 * uses the memory without any lock: a stale pointer is a data race, which ThreadSanitizer sees, and a
 * store through one lands where nothing may be stored, which the test sees.
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
#include "platform/soft/host.h"
#include "sanitizers.h"
#include <memmap/platform_soft.h>

#define A         UINT64_C(0x400000)
#define NR_PAGES  16
#define NR_GUESTS 3

/* Each guest page is one of two pages of the file, and changes between them. */
struct world {
	struct memmap_soft *soft;
	struct memmap_address_space *as;
	struct test_file file;
	pthread_mutex_t lock;
	unsigned half[NR_PAGES];
	memmap_access at[NR_PAGES];
	_Atomic(bool) stop;
	_Atomic(uint64_t) nr_loads, nr_stores;
};

static int fault(void *context, uint64_t addr, memmap_access at, enum memmap_fault_code *code)
{
	struct world *w = context;
	const uint64_t page = (addr - A) / K;
	int err = -EFAULT;
	pthread_mutex_lock(&w->lock);
	*code = MEMMAP_FAULT_NOT_PERMITTED;
	if (memmap_access_superset_of(w->at[page], at)) {
		const uint64_t offset = (w->half[page] * NR_PAGES + page) * K;
		err = memmap_address_space_map_file(w->as, A + page * K, &w->file.file,
						    (struct memmap_file_range){offset, offset + K},
						    w->at[page], false);
	}
	pthread_mutex_unlock(&w->lock);
	return err;
}

static void *guest(void *arg)
{
	struct world *w = arg;
	struct memmap_soft_vcpu *vcpu;
	if (memmap_soft_vcpu_create(w->soft, &vcpu))
		abort();
	uint64_t x = (uint64_t)(uintptr_t)&vcpu | 1;
	uint64_t nr_loads = 0, nr_stores = 0;
	while (!w->stop) {
		memmap_soft_enter(vcpu);
		for (int i = 0; i < 200; i++) {
			x ^= x << 13, x ^= x >> 7, x ^= x << 17;
			const uint64_t addr = A + x % NR_PAGES * K + (x >> 32) % (K / 8) * 8;
			uint64_t value;
			int err = memmap_soft_load_u64(vcpu, addr, &value);
			if (err)
				abort();
			nr_loads++;
			/* Pages that nobody maps hold this. */
			if (value == UINT64_C(0xdeadbeefdeadbeef))
				abort();
			err = memmap_soft_store_u64(vcpu, addr, x >> 1);
			if (err && err != -EFAULT)
				abort();
			nr_stores += err == 0;
			if (i % 8 == 0)
				memmap_soft_poll(vcpu);
		}
		memmap_soft_leave(vcpu);
	}
	w->nr_loads += nr_loads;
	w->nr_stores += nr_stores;
	memmap_soft_vcpu_release(vcpu);
	return NULL;
}

/* Take pages away, now and then only for writing, and use the memory they were in. */
static void take_pages_away(struct world *w, int rounds)
{
	uint64_t x = 88172645463325252u;
	for (int round = 0; round < rounds; round++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		const uint64_t page = x % NR_PAGES;
		const struct memmap_addr_range ar = {A + page * K, A + (page + 1) * K};
		uint64_t *old =
			(uint64_t *)(void *)(w->file.bytes + (w->half[page] * NR_PAGES + page) * K);
		uint64_t *new = (uint64_t *)(void *)(w->file.bytes +
						     ((1 - w->half[page]) * NR_PAGES + page) * K);
		pthread_mutex_lock(&w->lock);
		if (x >> 32 & 1) {
			/* Nobody writes: what is read twice is the same. */
			w->at[page] = MEMMAP_READ;
			memmap_address_space_protect(w->as, ar, MEMMAP_READ);
			const uint64_t before = old[7];
			for (int i = 0; i < 100; i++)
				assert_int_equal(before, old[7]);
		} else {
			w->at[page] = RW;
			memmap_address_space_unmap(w->as, ar);
			w->half[page] = 1 - w->half[page];
			for (size_t i = 0; i < K / 8; i++)
				new[i] = 1;
			for (size_t i = 0; i < K / 8; i++)
				old[i] = UINT64_C(0xdeadbeefdeadbeef);
			/* Sometimes the new page is put in before anybody asks for it. */
			if (x >> 33 & 1) {
				const uint64_t offset = (w->half[page] * NR_PAGES + page) * K;
				assert_int_equal(
					memmap_address_space_map_file(
						w->as, ar.start, &w->file.file,
						(struct memmap_file_range){offset, offset + K}, RW,
						false),
					0);
			}
			for (size_t i = 0; i < K / 8; i++)
				assert_int_equal(old[i], UINT64_C(0xdeadbeefdeadbeef));
		}
		pthread_mutex_unlock(&w->lock);
	}
}

static int no_membarrier(const char *call, uint64_t offset, uint64_t length)
{
	(void)offset;
	(void)length;
	return strcmp(call, "membarrier") == 0 ? -ENOSYS : 0;
}

static void storm(int rounds)
{
	static struct world w;
	w = (struct world){0};
	assert_int_equal(memmap_soft_create(NULL, &w.soft), 0);
	w.as = memmap_soft_address_space(w.soft);
	pthread_mutex_init(&w.lock, NULL);
	memmap_soft_set_faults(w.soft, (struct memmap_faults){fault, &w});
	test_file_init(&w.file, 2 * NR_PAGES * K);
	for (unsigned i = 0; i < NR_PAGES; i++)
		w.at[i] = RW;

	pthread_t threads[NR_GUESTS];
	for (int i = 0; i < NR_GUESTS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, guest, &w), 0);
	take_pages_away(&w, rounds);
	w.stop = true;
	for (int i = 0; i < NR_GUESTS; i++)
		pthread_join(threads[i], NULL);
	assert_int_not_equal(w.nr_loads, 0);
	print_message("%llu loads, %llu stores\n", (unsigned long long)w.nr_loads,
		      (unsigned long long)w.nr_stores);
	assert_int_equal(memmap_soft_verify(w.soft), 0);
	memmap_soft_release(w.soft);
	test_file_destroy(&w.file);
}

static void test_storm(void **state)
{
	(void)state;
	storm(HAS_TSAN || RUNNING_ON_VALGRIND ? 1000 : 10000);
}

/* The same where the vCPUs have to make their own fences. */
static void test_storm_with_fences(void **state)
{
	(void)state;
	memmap_soft_host_hook = no_membarrier;
	storm(HAS_TSAN || RUNNING_ON_VALGRIND ? 1000 : 10000);
	memmap_soft_host_hook = NULL;
}

/* ---- Guests whose faults take away what the others use ---- */

static int stealing_fault(void *context, uint64_t addr, memmap_access at,
			  enum memmap_fault_code *code)
{
	struct world *w = context;
	(void)at;
	(void)code;
	const uint64_t page = (addr - A) / K;
	pthread_mutex_lock(&w->lock);
	const uint64_t other = (page + 1) % NR_PAGES;
	memmap_address_space_unmap(w->as,
				   (struct memmap_addr_range){A + other * K, A + (other + 1) * K});
	int err = memmap_address_space_map_file(
		w->as, A + page * K, &w->file.file,
		(struct memmap_file_range){page * K, (page + 1) * K}, RW, false);
	pthread_mutex_unlock(&w->lock);
	return err;
}

static void *stealing_guest(void *arg)
{
	struct world *w = arg;
	struct memmap_soft_vcpu *vcpu;
	if (memmap_soft_vcpu_create(w->soft, &vcpu))
		abort();
	memmap_soft_enter(vcpu);
	for (uint64_t i = 0; i < 3000; i++) {
		uint64_t value;
		int err = memmap_soft_load_u64(vcpu, A + i % NR_PAGES * K, &value);
		if (err && err != -EAGAIN)
			abort();
		memmap_soft_poll(vcpu);
	}
	memmap_soft_leave(vcpu);
	memmap_soft_vcpu_release(vcpu);
	return NULL;
}

/* Nobody waits for ever: the test ends. */
static void test_faults_that_unmap(void **state)
{
	(void)state;
	static struct world w;
	w = (struct world){0};
	assert_int_equal(memmap_soft_create(NULL, &w.soft), 0);
	w.as = memmap_soft_address_space(w.soft);
	pthread_mutex_init(&w.lock, NULL);
	memmap_soft_set_faults(w.soft, (struct memmap_faults){stealing_fault, &w});
	test_file_init(&w.file, NR_PAGES * K);
	pthread_t threads[NR_GUESTS];
	for (int i = 0; i < NR_GUESTS; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, stealing_guest, &w), 0);
	for (int i = 0; i < NR_GUESTS; i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(memmap_soft_verify(w.soft), 0);
	memmap_soft_release(w.soft);
	test_file_destroy(&w.file);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_storm),
		cmocka_unit_test(test_storm_with_fences),
		cmocka_unit_test(test_faults_that_unmap),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
