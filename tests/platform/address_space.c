/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole address spaces on the platforms: fork and copy-on-write, anything against a table, and a storm
 * of system calls beside guests that run.
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
#include <memmap/memory_file.h>
#include <memmap/mm.h>
#include <memmap/platform_soft.h>

#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)

/* An address space on one platform or the other. */
struct machine {
	struct memmap_memory_file *memory;
	struct memmap_mm *mm;
	struct memmap_soft *soft;
	struct memmap_soft_vcpu *vcpu;
	struct memmap_inproc *inproc;
	struct ending ending;
};

static void begin_soft(struct machine *m)
{
	assert_int_equal(memmap_soft_create(NULL, &m->soft), 0);
	assert_int_equal(memmap_soft_vcpu_create(m->soft, &m->vcpu), 0);
}

static void machine_begin(struct machine *m, bool soft, uint64_t max_host_vmas)
{
	*m = (struct machine){0};
	assert_int_equal(memmap_memory_file_create(NULL, &m->memory), 0);
	struct memmap_mm_options options = {.memory_file = m->memory};
	memmap_mm_limits_default(&options.limits);
	if (soft) {
		begin_soft(m);
		memmap_mm_layout_default(&options.layout);
		options.address_space = memmap_soft_address_space(m->soft);
	} else {
		const struct memmap_inproc_options inproc_options = {
			.length = 256 * M,
			.max_host_vmas = max_host_vmas,
			.on_fault = end_touch,
			.context = &m->ending,
		};
		assert_int_equal(memmap_inproc_create(&inproc_options, &m->inproc), 0);
		memmap_inproc_layout(m->inproc, &options.layout);
		options.address_space = memmap_inproc_address_space(m->inproc);
	}
	assert_int_equal(memmap_mm_create(&options, &m->mm), 0);
	if (soft)
		memmap_soft_set_faults(m->soft, memmap_faults_of_mm(m->mm));
	else
		memmap_inproc_set_faults(m->inproc, memmap_faults_of_mm(m->mm));
}

static void machine_end(struct machine *m, bool last)
{
	assert_int_equal(memmap_mm_verify(m->mm), 0);
	if (m->soft)
		assert_int_equal(memmap_soft_verify(m->soft), 0);
	else
		assert_int_equal(memmap_inproc_verify(m->inproc), 0);
	memmap_mm_release(m->mm);
	memmap_soft_vcpu_release(m->vcpu);
	memmap_soft_release(m->soft);
	memmap_inproc_release(m->inproc);
	if (last)
		memmap_memory_file_release(m->memory);
}

/* The guest touches: did it go well? */
static bool guest_touch(struct machine *m, uint64_t addr, memmap_access at, uint64_t *value)
{
	if (!m->soft)
		return try_touch(&m->ending, addr, at, value);
	memmap_soft_enter(m->vcpu);
	int err = at & MEMMAP_WRITE ? memmap_soft_store_u64(m->vcpu, addr, *value)
				    : memmap_soft_load_u64(m->vcpu, addr, value);
	memmap_soft_leave(m->vcpu);
	m->ending.fault = memmap_soft_last_fault(m->vcpu);
	return err == 0;
}

static void must_write(struct machine *m, uint64_t addr, uint64_t value)
{
	assert_true(guest_touch(m, addr, MEMMAP_WRITE, &value));
}

static uint64_t must_read(struct machine *m, uint64_t addr)
{
	uint64_t value = 0;
	assert_true(guest_touch(m, addr, MEMMAP_READ, &value));
	return value;
}

/* ---- fork ---- */

/* The child is on the soft platform: two guests in this process cannot have the same addresses. */
static void fork_on(bool soft)
{
	struct machine parent, child = {0};
	machine_begin(&parent, soft, 0);
	const uint64_t nr = 40;
	const int64_t at = memmap_mm_sys_mmap(parent.mm, 0, nr * K, PROT_READ | PROT_WRITE, ANON,
					      NULL, 0, NULL);
	assert_true(at > 0);
	const uint64_t a = (uint64_t)at;
	for (uint64_t i = 0; i < nr; i++)
		must_write(&parent, a + i * K, i + 1);

	begin_soft(&child);
	const struct memmap_mm_fork_options options = {
		.address_space = memmap_soft_address_space(child.soft),
	};
	assert_int_equal(memmap_mm_fork_into(parent.mm, &options, &child.mm), 0);
	memmap_soft_set_faults(child.soft, memmap_faults_of_mm(child.mm));

	for (uint64_t i = 0; i < nr; i++) {
		/* Whoever writes first; each sees its own. */
		if (i % 2 == 0) {
			must_write(&parent, a + i * K, 1000 + i);
			assert_int_equal(must_read(&child, a + i * K), i + 1);
			must_write(&child, a + i * K, 2000 + i);
		} else {
			assert_int_equal(must_read(&child, a + i * K), i + 1);
			must_write(&child, a + i * K, 2000 + i);
			assert_int_equal(must_read(&parent, a + i * K), i + 1);
			must_write(&parent, a + i * K, 1000 + i);
		}
	}
	for (uint64_t i = 0; i < nr; i++) {
		assert_int_equal(must_read(&parent, a + i * K), 1000 + i);
		assert_int_equal(must_read(&child, a + i * K), 2000 + i);
	}
	child.memory = parent.memory;
	machine_end(&child, false);
	for (uint64_t i = 0; i < nr; i++)
		assert_int_equal(must_read(&parent, a + i * K), 1000 + i);
	machine_end(&parent, true);
}

static void test_fork_from_inproc(void **state)
{
	(void)state;
	fork_on(false);
}

static void test_fork_from_soft(void **state)
{
	(void)state;
	fork_on(true);
}

/* ---- Anything, against a table ---- */

#define NR_PAGES 64

static void model_on(bool soft, uint64_t max_host_vmas)
{
	const char *env = getenv("SEED");
	const uint64_t seed = env ? strtoull(env, NULL, 0) : 42;
	print_message("SEED=%llu\n", (unsigned long long)seed);
	uint64_t x = seed * 2 + 1;
	struct machine m;
	machine_begin(&m, soft, max_host_vmas);
	int64_t got = memmap_mm_sys_mmap(m.mm, 0, NR_PAGES * K, PROT_NONE, ANON, NULL, 0, NULL);
	assert_true(got > 0);
	const uint64_t a = (uint64_t)got;
	struct {
		int prot; /* -1: not mapped */
		uint64_t value;
	} model[NR_PAGES] = {0};
	for (int step = 0; step < 6000; step++) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		const unsigned i = (unsigned)(x >> 8) % NR_PAGES;
		unsigned n = 1 + (unsigned)(x >> 20) % 12;
		if (i + n > NR_PAGES)
			n = NR_PAGES - i;
		const uint64_t addr = a + i * K;
		static const int prots[] = {PROT_READ | PROT_WRITE, PROT_READ, PROT_NONE,
					    PROT_READ | PROT_WRITE};
		const int prot = prots[(x >> 30) % 4];
		bool whole = true;
		for (unsigned k = 0; k < n; k++)
			whole &= model[i + k].prot >= 0;
		switch (x % 8) {
		case 0:
			got = memmap_mm_sys_mmap(m.mm, addr, n * K, (uint64_t)prot,
						 ANON | MAP_FIXED, NULL, 0, NULL);
			assert_int_equal(got, addr);
			for (unsigned k = 0; k < n; k++) {
				model[i + k].prot = prot;
				model[i + k].value = 0;
			}
			break;
		case 1:
			assert_int_equal(memmap_mm_sys_munmap(m.mm, addr, n * K), 0);
			for (unsigned k = 0; k < n; k++)
				model[i + k].prot = -1;
			break;
		case 2:
			if (!whole)
				break;
			assert_int_equal(memmap_mm_sys_mprotect(m.mm, addr, n * K, (uint64_t)prot),
					 0);
			for (unsigned k = 0; k < n; k++)
				model[i + k].prot = prot;
			break;
		case 3:
			if (!whole)
				break;
			assert_int_equal(memmap_mm_sys_madvise(m.mm, addr, n * K, MADV_DONTNEED),
					 0);
			for (unsigned k = 0; k < n; k++)
				model[i + k].value = 0;
			break;
		default:
			for (unsigned k = 0; k < n; k++) {
				const uint64_t at = addr + k * K + 8 * ((x >> 40) % 3);
				const int now = model[i + k].prot;
				const bool writes = x >> (k + 1) & 1;
				uint64_t value = writes ? x + k : 0;
				const bool well = guest_touch(
					&m, at, writes ? MEMMAP_WRITE : MEMMAP_READ, &value);
				assert_int_equal(well, now >= 0 && (now & (writes ? PROT_WRITE
										  : PROT_READ)));
				if (!well) {
					assert_int_equal(m.ending.fault.error, -EFAULT);
					assert_int_equal(m.ending.fault.addr, at);
					assert_int_equal(m.ending.fault.code,
							 now < 0 ? MEMMAP_FAULT_UNMAPPED
								 : MEMMAP_FAULT_NOT_PERMITTED);
				} else if (at % K == 0) {
					if (writes)
						model[i + k].value = value;
					else
						assert_int_equal(value, model[i + k].value);
				}
			}
		}
	}
	machine_end(&m, true);
}

static void test_model_on_soft(void **state)
{
	(void)state;
	model_on(true, 0);
}

static void test_model_on_inproc(void **state)
{
	(void)state;
	model_on(false, 0);
}

static void test_model_on_small_inproc(void **state)
{
	(void)state;
	model_on(false, 16);
}

/* ---- A storm ---- */

static struct machine shared;
static uint64_t base;
static _Atomic(bool) stop;
static _Atomic(uint64_t) nr_good, nr_bad;
static _Thread_local struct ending *my_ending;

static bool end_my_touch(void *context, const struct memmap_guest_fault *fault, void *ucontext)
{
	(void)context;
	return end_touch(my_ending, fault, ucontext);
}

/* Pages hold their number, or nothing yet. */
__attribute__((no_sanitize("thread"))) static void *inproc_guest(void *arg)
{
	struct ending *ending = calloc(1, sizeof(*ending));
	if (!ending)
		abort();
	my_ending = ending;
	uint64_t x = (uint64_t)(uintptr_t)arg * 2 + 88172645463325253u;
	while (!stop) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		const uint64_t page = x % NR_PAGES;
		uint64_t value = page;
		if (try_touch(ending, base + page * K, x >> 40 & 1 ? MEMMAP_WRITE : MEMMAP_READ,
			      &value)) {
			if (value != page && value != 0)
				abort();
			nr_good++;
		} else {
			if (ending->fault.error != -EFAULT)
				abort();
			nr_bad++;
		}
	}
	free(ending);
	return NULL;
}

static void *soft_guest(void *arg)
{
	struct memmap_soft_vcpu *vcpu;
	if (memmap_soft_vcpu_create(shared.soft, &vcpu))
		abort();
	uint64_t x = (uint64_t)(uintptr_t)arg * 2 + 88172645463325253u;
	while (!stop) {
		memmap_soft_enter(vcpu);
		for (int i = 0; i < 20; i++) {
			x ^= x << 13, x ^= x >> 7, x ^= x << 17;
			const uint64_t page = x % NR_PAGES;
			uint64_t value = page;
			int err = x >> 40 & 1 ? memmap_soft_store_u64(vcpu, base + page * K, page)
					      : memmap_soft_load_u64(vcpu, base + page * K, &value);
			if (err && err != -EFAULT)
				abort();
			if (!err && value != page && value != 0)
				abort();
			if (err)
				nr_bad++;
			else
				nr_good++;
		}
		memmap_soft_leave(vcpu);
	}
	memmap_soft_vcpu_release(vcpu);
	return NULL;
}

static void storm(bool soft)
{
	machine_begin(&shared, soft, 32);
	if (!soft) {
		/* Each thread has an ending of its own. */
		memmap_mm_release(shared.mm);
		memmap_inproc_release(shared.inproc);
		const struct memmap_inproc_options inproc_options = {
			.length = 256 * M, .max_host_vmas = 32, .on_fault = end_my_touch};
		assert_int_equal(memmap_inproc_create(&inproc_options, &shared.inproc), 0);
		struct memmap_mm_options options = {
			.memory_file = shared.memory,
			.address_space = memmap_inproc_address_space(shared.inproc),
		};
		memmap_mm_limits_default(&options.limits);
		memmap_inproc_layout(shared.inproc, &options.layout);
		assert_int_equal(memmap_mm_create(&options, &shared.mm), 0);
		memmap_inproc_set_faults(shared.inproc, memmap_faults_of_mm(shared.mm));
	}
	const int64_t at = memmap_mm_sys_mmap(shared.mm, 0, NR_PAGES * K, PROT_READ | PROT_WRITE,
					      ANON, NULL, 0, NULL);
	assert_true(at > 0);
	base = (uint64_t)at;
	stop = false;
	nr_good = nr_bad = 0;
	pthread_t threads[3];
	for (uintptr_t i = 0; i < 3; i++) {
		void *number = memmap_pointer_of_(i);
		assert_int_equal(
			pthread_create(&threads[i], NULL, soft ? soft_guest : inproc_guest, number),
			0);
	}
	uint64_t x = 1;
	const int rounds = HAS_TSAN || RUNNING_ON_VALGRIND ? 150 : 1000;
	for (int round = 0; round < rounds || (nr_good < 500 && round < 100000); round++) {
		x = x * 6364136223846793005 + 1442695040888963407;
		const uint64_t addr = base + (x >> 33) % NR_PAGES * K;
		uint64_t length = (1 + (x >> 50) % 8) * K;
		if (addr + length > base + NR_PAGES * K)
			length = base + NR_PAGES * K - addr;
		switch (x >> 20 & 3) {
		case 0:
			(void)memmap_mm_sys_munmap(shared.mm, addr, length);
			break;
		case 1:
			(void)memmap_mm_sys_mprotect(shared.mm, addr, length, PROT_READ);
			break;
		case 2:
			(void)memmap_mm_sys_madvise(shared.mm, addr, length, MADV_DONTNEED);
			break;
		default:
			(void)memmap_mm_sys_mmap(shared.mm, addr, 2 * length,
						 PROT_READ | PROT_WRITE, ANON | MAP_FIXED, NULL, 0,
						 NULL);
		}
		if (round % 8 == 0)
			usleep(50);
	}
	stop = true;
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	print_message("%llu touches went well, %llu did not\n", (unsigned long long)nr_good,
		      (unsigned long long)nr_bad);
	machine_end(&shared, true);
}

static void test_storm_on_soft(void **state)
{
	(void)state;
	storm(true);
}

static void test_storm_on_inproc(void **state)
{
	(void)state;
	storm(false);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fork_from_inproc),
		cmocka_unit_test(test_fork_from_soft),
		cmocka_unit_test(test_model_on_soft),
		cmocka_unit_test(test_model_on_inproc),
		cmocka_unit_test(test_model_on_small_inproc),
		cmocka_unit_test(test_storm_on_soft),
		cmocka_unit_test(test_storm_on_inproc),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
