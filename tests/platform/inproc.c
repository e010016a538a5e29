/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inproc platform on one thread: touches, what is mapped for them, the budget, and refusals of
 * every kind.
 */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "guest.h"
#include "memmap/failing_allocator.h"
#include "panic.h"
#include "platform/inproc/host.h"
#include "region.h"
#include "sanitizers.h"

static void test_touches(void **state)
{
	(void)state;
	struct ending ending = {0};
	struct world w;
	world_begin(&w, (struct memmap_inproc_options){.on_fault = end_touch, .context = &ending});
	const uint64_t a = w.base + M;
	test_mm_set(&w.mm, 0, (struct test_vma){{a, a + 64 * K}, RW, &w.file, 8 * K});
	test_mm_set(&w.mm, 1,
		    (struct test_vma){{a + 64 * K, a + 80 * K}, MEMMAP_READ, &w.file, 72 * K});
	assert_int_equal(host_vmas(&w), 1);

	/* One fault for each page that is touched, and none after. */
	for (int round = 0; round < 2; round++) {
		for (uint64_t page = 0; page < 16; page++)
			assert_int_equal(touch_read(a + page * K), (page + 8) * K);
	}
	assert_int_equal(stats_of(&w).nr_faults, 16);
	assert_int_equal(w.mm.nr_faults, 16);
	/* Side by side in the region and in the file: one VMA, and the reservation around it. */
	assert_int_equal(host_vmas(&w), 3);
	assert_int_equal(stats_of(&w).nr_host_vmas, 3);
	assert_int_equal(stats_of(&w).nr_mappings, 1);
	assert_int_equal(stats_of(&w).mapped, 16 * K);

	touch_write(a + 20 * K + 8, 12345);
	uint64_t value;
	memcpy(&value, w.file.bytes + 28 * K + 8, sizeof(value));
	assert_int_equal(value, 12345);

	/* Around the touch, when the address space says so. */
	w.mm.fault_around = 32 * K;
	w.mm.populate = true;
	const uint64_t before = stats_of(&w).nr_faults;
	for (uint64_t page = 32; page < 64; page++)
		assert_int_equal(touch_read(a + page * K), (page + 8) * K);
	assert_int_equal(stats_of(&w).nr_faults, before + 1);

	/* What ends badly. */
	value = 1;
	assert_false(try_touch(&ending, a + 70 * K, MEMMAP_WRITE, &value));
	assert_int_equal(ending.fault.addr, a + 70 * K);
	assert_int_equal(ending.fault.at, MEMMAP_WRITE);
	assert_int_equal(ending.fault.error, -EFAULT);
	assert_int_equal(ending.fault.code, MEMMAP_FAULT_NOT_PERMITTED);
	assert_true(try_touch(&ending, a + 70 * K, MEMMAP_READ, &value));
	assert_int_equal(value, 78 * K);
	/* Mapped for reading now: a write is a fault of another kind to the kernel, the same to us. */
	assert_false(try_touch(&ending, a + 70 * K + 16, MEMMAP_WRITE, &value));
	assert_int_equal(ending.fault.code, MEMMAP_FAULT_NOT_PERMITTED);
	assert_false(try_touch(&ending, w.base, MEMMAP_READ, &value));
	assert_int_equal(ending.fault.code, MEMMAP_FAULT_UNMAPPED);
	assert_int_equal(ending.fault.at, MEMMAP_READ);
	assert_int_equal(ending.nr, 3);
	assert_int_equal(host_vmas(&w), stats_of(&w).nr_host_vmas);
	world_end(&w);
}

static void test_unmap_and_protect(void **state)
{
	(void)state;
	struct ending ending = {0};
	struct world w;
	world_begin(&w, (struct memmap_inproc_options){.on_fault = end_touch, .context = &ending});
	const uint64_t a = w.base;
	test_mm_set(&w.mm, 0, (struct test_vma){{a, a + 64 * K}, RW, &w.file, 0});
	assert_int_equal(map(&w, a, 0, 64 * K, RW), 0);
	assert_int_equal(host_vmas(&w), 2);

	memmap_address_space_protect(w.as, (struct memmap_addr_range){a + 10 * K, a + 20 * K},
				     MEMMAP_READ);
	assert_int_equal(host_vmas(&w), 4);
	assert_int_equal(stats_of(&w).nr_host_vmas, 4);
	w.mm.vmas[0].at = MEMMAP_READ;
	uint64_t value = 7;
	assert_true(try_touch(&ending, a + 15 * K, MEMMAP_READ, &value));
	assert_int_equal(value, 15 * K);
	assert_false(try_touch(&ending, a + 15 * K, MEMMAP_WRITE, &value));
	assert_true(try_touch(&ending, a + 20 * K, MEMMAP_WRITE, &value));
	assert_int_equal(w.mm.nr_faults, 1);

	/* No kind of access is left: it is gone, and so are holes left alone. */
	memmap_address_space_protect(w.as, (struct memmap_addr_range){a + 8 * K, a + 12 * K},
				     MEMMAP_EXEC);
	memmap_address_space_protect(w.as, (struct memmap_addr_range){a + 60 * K, a + 100 * K},
				     MEMMAP_WRITE);
	assert_int_equal(host_vmas(&w), stats_of(&w).nr_host_vmas);
	unmap(&w, a + 30 * K, a + 31 * K);
	assert_int_equal(stats_of(&w).mapped, 63 * K);
	assert_int_equal(host_vmas(&w), stats_of(&w).nr_host_vmas);
	assert_true(try_touch(&ending, a + 30 * K, MEMMAP_READ, &value));
	assert_int_equal(w.mm.nr_faults, 2);

	/* Over nothing, and over more than the region. */
	unmap(&w, a + 200 * K, a + 300 * K);
	unmap(&w, 0, UINT64_C(1) << 62);
	assert_int_equal(stats_of(&w).mapped, 0);
	assert_int_equal(host_vmas(&w), 1);
	world_end(&w);
}

static void test_refusals(void **state)
{
	(void)state;
	struct world w;
	world_begin(&w, (struct memmap_inproc_options){.length = 64 * K});
	const uint64_t a = w.base;
	assert_int_equal(map(&w, a - K, 0, K, RW), -EINVAL);
	assert_int_equal(map(&w, a + 63 * K, 0, 2 * K, RW), -EINVAL);
	assert_int_equal(map(&w, UINT64_MAX - K + 1, 0, K, RW), -EINVAL);
	w.file.no_fd = true;
	assert_int_equal(map(&w, a, 0, K, RW), -EOPNOTSUPP);
	w.file.no_fd = false;
	/* What the descriptor does not permit. */
	char path[64];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", w.file.fd);
	const int writable = w.file.fd;
	w.file.fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(map(&w, a, 0, K, MEMMAP_READ), 0);
	assert_int_equal(map(&w, a, 0, K, RW), -EACCES);
	assert_int_equal(host_vmas(&w), stats_of(&w).nr_host_vmas);
	close(w.file.fd);
	w.file.fd = writable;

	struct memmap_inproc *other;
	struct memmap_inproc_options options = {.addr = a, .length = 64 * K};
	assert_int_equal(memmap_inproc_create(&options, &other), -EEXIST);
	static const struct memmap_inproc_options wrong[] = {
		{.addr = 1},
		{.length = 100},
		{.addr = UINT64_MAX - 0xfff, .length = 0x2000},
		{.max_host_vmas = 15},
	};
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(memmap_inproc_create(&wrong[i], &other), -EINVAL);
	world_end(&w);

	/* At an address of one's own, which is free now. */
	assert_int_equal(memmap_inproc_create(&options, &other), 0);
	assert_int_equal(memmap_inproc_range(other).start, a);
	assert_int_equal(memmap_inproc_range(other).end, a + 64 * K);
	memmap_inproc_release(other);
	memmap_inproc_release(NULL);

	/* As many as there may be. */
	struct memmap_inproc *all[65] = {0};
	options = (struct memmap_inproc_options){.length = K};
	for (int i = 0; i < 64; i++)
		assert_int_equal(memmap_inproc_create(&options, &all[i]), 0);
	assert_int_equal(memmap_inproc_create(&options, &all[64]), -ENOSPC);
	for (int i = 0; i < 64; i++)
		memmap_inproc_release(all[i]);
}

/* The layout serves an address space. */
static void test_layout(void **state)
{
	(void)state;
	for (uint64_t length = M; length <= 64 * 1024 * M; length *= 256) {
		const struct memmap_inproc_options inproc_options = {.length = length};
		struct memmap_inproc *inproc;
		assert_int_equal(memmap_inproc_create(&inproc_options, &inproc), 0);
		const struct memmap_addr_range region = memmap_inproc_range(inproc);
		struct memmap_mm_options options = {0};
		memmap_mm_limits_default(&options.limits);
		memmap_inproc_layout(inproc, &options.layout);
		struct memmap_mm *mm;
		assert_int_equal(memmap_mm_create(&options, &mm), 0);
		for (int i = 0; i < 4; i++) {
			int64_t at = memmap_mm_sys_mmap(mm, 0, 16 * K, PROT_READ,
							MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0, NULL);
			assert_in_range(at, region.start, region.end - 16 * K);
		}
		const uint64_t brk = (uint64_t)memmap_mm_sys_brk(mm, 0);
		assert_int_equal(memmap_mm_sys_brk(mm, brk + 8 * K), brk + 8 * K);
		assert_in_range(brk, region.start, region.end);
		assert_true(memmap_mm_sys_mmap(mm, region.end, K, PROT_READ,
					       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0,
					       NULL) < 0);
		/* Nobody could touch what lay there. */
		assert_int_equal(memmap_mm_sys_mmap(mm, region.start - K, K, PROT_READ,
						    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL,
						    0, NULL),
				 -EPERM);
		memmap_mm_release(mm);
		memmap_inproc_release(inproc);
	}
}

/* ---- Safe copies ---- */

static void test_safe_copies(void **state)
{
	(void)state;
	struct ending ending = {0};
	struct world w;
	world_begin(&w, (struct memmap_inproc_options){.on_fault = end_touch, .context = &ending});
	const uint64_t a = w.base + 5 * M;
	test_mm_set(&w.mm, 0, (struct test_vma){{a, a + 4 * K}, RW, &w.file, 0});
	test_mm_set(&w.mm, 1,
		    (struct test_vma){{a + 4 * K, a + 6 * K}, MEMMAP_READ, &w.file, 4 * K});
	static unsigned char buf[8 * K];
	uint64_t done;

	/* Out of the region: faults are resolved on the way, and it ends where the guest would. */
	int err = memmap_copy(memmap_block_safe(buf, sizeof(buf)),
			      memmap_block_unsafe(memmap_pointer_of_(a), sizeof(buf)), &done);
	assert_int_equal(err, -EFAULT);
	assert_int_equal(done, 6 * K);
	assert_int_equal(w.mm.nr_faults, 7);
	assert_memory_equal(buf, w.file.bytes, 6 * K);
	/* Into it. */
	memset(buf, 0x77, sizeof(buf));
	err = memmap_copy(memmap_block_unsafe(memmap_pointer_of_(a), sizeof(buf)),
			  memmap_block_safe(buf, sizeof(buf)), &done);
	assert_int_equal(err, -EFAULT);
	assert_int_equal(done, 4 * K);
	assert_memory_equal(buf, w.file.bytes, 4 * K);
	/* An atomic, and zeroing. */
	unmap(&w, a, a + 6 * K);
	uint32_t old;
	assert_int_equal(
		memmap_swap_u32(memmap_block_unsafe(memmap_pointer_of_(a + K), 4), 5, &old), 0);
	assert_int_equal(old, 0x77777777);
	assert_int_equal(
		memmap_swap_u32(memmap_block_unsafe(memmap_pointer_of_(a + 5 * K), 4), 5, &old),
		-EFAULT);
	assert_int_equal(memmap_zero(memmap_block_unsafe(memmap_pointer_of_(a), 2 * K), NULL), 0);
	/* The file shrank: a bus error of the guest's, -EFAULT of the copy's. */
	assert_int_equal(ftruncate(w.file.fd, 2 * K), 0);
	err = memmap_copy(memmap_block_safe(buf, sizeof(buf)),
			  memmap_block_unsafe(memmap_pointer_of_(a + K), 3 * K), &done);
	assert_int_equal(err, -EFAULT);
	assert_int_equal(done, K);
	assert_int_equal(ending.nr, 0);
	world_end(&w);
}

/* The file shrinks under the guest, and grows again; with and without an address space that knows. */
static void test_shrinking_file(void **state)
{
	(void)state;
	/* Finding out what an address space does not know takes a fault within a handler. */
	if (HAS_TSAN)
		print_message("left out: ThreadSanitizer cannot have handlers that fault\n");
	for (int unknowing = 0; unknowing < (HAS_TSAN ? 1 : 2); unknowing++) {
		struct ending ending = {0};
		struct world w;
		world_begin(&w, (struct memmap_inproc_options){.on_fault = end_touch,
							       .context = &ending});
		w.mm.never_bus_error = unknowing;
		const uint64_t a = w.base;
		test_mm_set(&w.mm, 0, (struct test_vma){{a, a + 8 * K}, RW, &w.file, 0});
		uint64_t value = 0;
		assert_true(try_touch(&ending, a + 6 * K, MEMMAP_READ, &value));
		assert_int_equal(ftruncate(w.file.fd, 4 * K), 0);
		assert_false(try_touch(&ending, a + 6 * K, MEMMAP_READ, &value));
		assert_true(memmap_is_bus_error(ending.fault.error));
		assert_int_equal(ending.fault.addr, a + 6 * K);
		assert_int_equal(ending.fault.at, MEMMAP_READ);
		assert_false(try_touch(&ending, a + 7 * K + 8, MEMMAP_WRITE, &value));
		assert_true(memmap_is_bus_error(ending.fault.error));
		assert_int_equal(ending.fault.at, MEMMAP_WRITE);
		assert_int_equal(ftruncate(w.file.fd, (off_t)w.file.length), 0);
		assert_true(try_touch(&ending, a + 6 * K, MEMMAP_READ, &value));
		assert_int_equal(value, 0);
		value = 99;
		assert_true(try_touch(&ending, a + 7 * K + 8, MEMMAP_WRITE, &value));
		assert_int_equal(ending.nr, 2);
		world_end(&w);
	}
}

/* ---- Code ---- */

static void test_guest_code(void **state)
{
	(void)state;
#if defined(__x86_64__)
	/* lea (%rdi,%rsi), %rax; ret */
	static const unsigned char code[] = {0x48, 0x8d, 0x04, 0x37, 0xc3};
#elif defined(__aarch64__)
	/* add x0, x0, x1; ret */
	static const unsigned char code[] = {0x00, 0x00, 0x01, 0x8b, 0xc0, 0x03, 0x5f, 0xd6};
#endif
	struct ending ending = {0};
	struct world w;
	world_begin(&w, (struct memmap_inproc_options){.on_fault = end_touch, .context = &ending});
	const uint64_t a = w.base + 3 * K;
	memcpy(w.file.bytes + 5 * K, code, sizeof(code));
	__builtin___clear_cache((char *)w.file.bytes, (char *)w.file.bytes + 6 * K);
	long (*add)(long, long);
	void *entry = memmap_pointer_of_(a);
	memcpy(&add, &entry, sizeof(add));

	/* Not executable: the fault says so. */
	test_mm_set(&w.mm, 0, (struct test_vma){{a, a + K}, RW, &w.file, 5 * K});
	assert_int_equal(touch_read(a) & 0xff, code[0]);
	if (sigsetjmp(ending.back, 1) == 0) {
		(void)add(1, 2);
		fail();
	}
	assert_int_equal(ending.fault.at, MEMMAP_EXEC);
	assert_int_equal(ending.fault.addr, a);
	assert_int_equal(ending.fault.code, MEMMAP_FAULT_NOT_PERMITTED);

	test_mm_set(&w.mm, 0, (struct test_vma){{a, a + K}, MEMMAP_EXEC, &w.file, 5 * K});
	assert_int_equal(add(40, 2), 42);
	world_end(&w);
}

/* ---- The budget ---- */

static void test_budget(void **state)
{
	(void)state;
	struct world w;
	assert_int_equal(world_try(&w,
				   (struct memmap_inproc_options){.length = UINT64_C(1) << 30,
								  .max_host_vmas = 64},
				   16 * M),
			 0);
	/* Pages of the file backwards, so that none continues another. */
	uint64_t x = 1;
	static uint64_t addrs[10000];
	const uint64_t nr_region_pages = (UINT64_C(1) << 30) / K;
	for (size_t i = 0; i < 10000; i++) {
		x = x * 6364136223846793005 + 1442695040888963407;
		/* Scattered at first, then all side by side. */
		const uint64_t page = i < 5000 ? (x >> 33) % nr_region_pages : i;
		addrs[i] = w.base + page * K;
		const uint64_t offset = (10000 - i) % 4096 * K;
		assert_int_equal(map(&w, addrs[i], offset, K, RW), 0);
		assert_int_equal(touch_read(addrs[i]), offset);
		if (i % 997 == 0) {
			assert_int_equal(memmap_inproc_verify(w.inproc), 0);
			assert_in_range(host_vmas(&w), 1, 64);
			assert_int_equal(host_vmas(&w), stats_of(&w).nr_host_vmas);
		}
	}
	assert_in_range(stats_of(&w).nr_dropped, 5000, 10000);
	/* Not much more is dropped than must be. */
	assert_in_range(stats_of(&w).nr_host_vmas, 40, 64);

	/* A long run is spared while there are short ones, and holes cut into it keep to the budget. */
	assert_int_equal(map(&w, w.base + 512 * M, 0, 16 * M, RW), 0);
	for (size_t i = 0; i < 1000; i++)
		assert_int_equal(map(&w, addrs[i], (10000 - i) % 4096 * K, K, RW), 0);
	const uint64_t nr_faults = stats_of(&w).nr_faults;
	assert_int_equal(touch_read(w.base + 512 * M + 5 * K), 5 * K);
	assert_int_equal(stats_of(&w).nr_faults, nr_faults);
	for (uint64_t page = 1; page < 2000; page += 2) {
		const uint64_t at = w.base + 512 * M + page * K;
		unmap(&w, at, at + K);
		memmap_address_space_protect(
			w.as, (struct memmap_addr_range){at + 2 * K, at + 3 * K}, MEMMAP_READ);
		assert_in_range(stats_of(&w).nr_host_vmas, 1, 64);
		if (page % 201 == 0)
			assert_in_range(host_vmas(&w), 1, 64);
	}
	world_end(&w);
}

/* ---- Anything, against a table ---- */

#define NR_MODEL_PAGES 48

static void test_model(void **state)
{
	(void)state;
	const char *env = getenv("SEED");
	const uint64_t seed = env ? strtoull(env, NULL, 0) : 42;
	print_message("SEED=%llu\n", (unsigned long long)seed);
	uint64_t x = seed * 2 + 1;
	for (int budget = 0; budget < 2; budget++) {
		struct ending ending = {0};
		struct world w;
		/* The whole region, so that its edges are met, too. */
		world_begin(&w, (struct memmap_inproc_options){
					.on_fault = end_touch,
					.context = &ending,
					.length = NR_MODEL_PAGES * K,
					.max_host_vmas = budget ? 16 : 0,
				});
		struct {
			uint64_t offset;
			memmap_access at;
		} model[NR_MODEL_PAGES] = {0};
		const int nr_steps = RUNNING_ON_VALGRIND ? 300 : 4000;
		for (int step = 0; step < nr_steps; step++) {
			x ^= x << 13, x ^= x >> 7, x ^= x << 17;
			const unsigned i = (unsigned)(x >> 8) % NR_MODEL_PAGES;
			unsigned n = 1 + (unsigned)(x >> 20) % 8;
			if (i + n > NR_MODEL_PAGES)
				n = NR_MODEL_PAGES - i;
			const uint64_t addr = w.base + i * K;
			const memmap_access at = x >> 30 & 1 ? RW : MEMMAP_READ;
			/* Often what continues the neighbours. */
			const uint64_t offset = x >> 31 & 1 ? i * K : (x >> 40) % 1000 * K;
			uint64_t value;
			switch (x % 4) {
			case 0:
				assert_int_equal(map(&w, addr, offset, n * K, at), 0);
				for (unsigned k = 0; k < n; k++) {
					model[i + k].offset = offset + k * K;
					model[i + k].at = at;
				}
				break;
			case 1:
				unmap(&w, addr, addr + n * K);
				for (unsigned k = 0; k < n; k++)
					model[i + k].at = 0;
				break;
			case 2:
				memmap_address_space_protect(
					w.as, (struct memmap_addr_range){addr, addr + n * K}, at);
				for (unsigned k = 0; k < n; k++)
					model[i + k].at &= at;
				break;
			default:
				/* No faults are served: what is there is what was mapped. */
				for (unsigned k = 0; k < n; k++) {
					const bool went_well = try_touch(&ending, addr + k * K,
									 MEMMAP_READ, &value);
					const uint64_t wanted = model[i + k].offset;
					if (went_well)
						assert_int_equal(value, wanted);
					/* With a small budget it may have been dropped. */
					if (!budget || !model[i + k].at)
						assert_int_equal(went_well, model[i + k].at != 0);
					value = wanted;
					const bool wrote = try_touch(&ending, addr + k * K,
								     MEMMAP_WRITE, &value);
					if (!budget || !(model[i + k].at & MEMMAP_WRITE))
						assert_int_equal(wrote, (model[i + k].at &
									 MEMMAP_WRITE) != 0);
				}
			}
			assert_int_equal(memmap_inproc_verify(w.inproc), 0);
			if (step % 64 == 0)
				assert_int_equal(host_vmas(&w), stats_of(&w).nr_host_vmas);
		}
		world_end(&w);
	}
}

/* ---- Without the kernel's help, and without memory ---- */

static int calls_before_failure;
static int nr_failures_left;
static int nr_failed_calls;

static int fail_nth_call(const char *call)
{
	(void)call;
	if (calls_before_failure > 0) {
		calls_before_failure--;
		return 0;
	}
	if (nr_failures_left == 0)
		return 0;
	nr_failures_left--;
	nr_failed_calls++;
	return -ENOMEM;
}

/* Low: free under every sanitizer. */
#define PLACE UINT64_C(0x20000000)

static int count_entries(const char *path)
{
	int nr = 0;
	DIR *directory = opendir(path);
	assert_non_null(directory);
	while (readdir(directory))
		nr++;
	closedir(directory);
	return nr;
}

/* What a region takes of the process: so it is before there is one. */
static void assert_nothing_left(int nr_fds, int nr_threads)
{
	assert_int_equal(count_entries("/proc/self/fd"), nr_fds);
	assert_int_equal(count_entries("/proc/self/task"), nr_threads);
	void *place = mmap(memmap_pointer_of_(PLACE), 4 * M, PROT_NONE,
			   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0);
	assert_ptr_equal(place, memmap_pointer_of_(PLACE));
	assert_int_equal(munmap(place, 4 * M), 0);
}

/* All that can be done with a region, with what the Nth call (and those after it) fails. */
static void with_failing_calls(int n, int nr_failures, bool userfaultfd)
{
	struct world w;
	const int nr_fds = count_entries("/proc/self/fd");
	const int nr_threads = count_entries("/proc/self/task");
	nr_failed_calls = 0;
	calls_before_failure = n;
	nr_failures_left = nr_failures;
	memmap_inproc_host_hook = fail_nth_call;
	const struct memmap_inproc_options options = {
		.addr = PLACE, .length = 4 * M, .userfaultfd = userfaultfd};
	int err = world_try(&w, options, M);
	if (err) {
		assert_int_equal(err, -ENOMEM);
		/* Releasing the addresses may have been refused, too. */
		if (nr_failures > 1)
			(void)munmap(memmap_pointer_of_(PLACE), 4 * M);
		assert_nothing_left(nr_fds, nr_threads);
		return;
	}
	const uint64_t a = w.base;
	test_mm_set(&w.mm, 0, (struct test_vma){{a, a + 64 * K}, RW, &w.file, 0});
	/* Tried again, as a guest would. */
	while ((err = map(&w, a, 0, 64 * K, RW)) != 0)
		assert_int_equal(err, -ENOMEM);
	while ((err = memmap_address_space_map_file(w.as, a + 4 * K, &w.file.file,
						    (struct memmap_file_range){0, 64 * K}, RW,
						    true)) != 0)
		assert_int_equal(err, -ENOMEM);
	while ((err = memmap_address_space_map_file(w.as, a + 8 * K, &w.file.file,
						    (struct memmap_file_range){4 * K, 8 * K}, RW,
						    true)) != 0)
		assert_int_equal(err, -ENOMEM);
	assert_int_equal(memmap_inproc_verify(w.inproc), 0);
	memmap_address_space_protect(w.as, (struct memmap_addr_range){a + 16 * K, a + 20 * K},
				     MEMMAP_READ);
	assert_int_equal(memmap_inproc_verify(w.inproc), 0);
	unmap(&w, a + 30 * K, a + 31 * K);
	assert_int_equal(memmap_inproc_verify(w.inproc), 0);
	/* Nothing is mapped where it must not be: the kernel says so, too. */
	if (!userfaultfd)
		assert_int_equal(write(w.file.fd, memmap_pointer_of_(a + 30 * K), 1), -1);
	assert_in_range(host_vmas(&w), 1, 20);
	memmap_inproc_host_hook = NULL;
	world_end(&w);
	assert_nothing_left(nr_fds, nr_threads);
}

/* Kernels that fail late have taken away what was there: nobody else must get that place. */
static struct memmap_addr_range hole;

static int leave_hole(const char *call)
{
	if (strcmp(call, "map") != 0)
		return 0;
	assert_int_equal(munmap(memmap_pointer_of_(hole.start), hole.end - hole.start), 0);
	return -ENODEV;
}

static void test_holes(void **state)
{
	(void)state;
	struct world w;
	world_begin(&w, (struct memmap_inproc_options){0});
	const uint64_t a = w.base + 7 * K;
	hole = (struct memmap_addr_range){a, a + 3 * K};
	for (int mapped = 0; mapped < 2; mapped++) {
		if (mapped)
			assert_int_equal(map(&w, a + K, 0, 4 * K, RW), 0);
		memmap_inproc_host_hook = leave_hole;
		assert_int_equal(map(&w, a, 8 * K, 3 * K, RW), -ENODEV);
		memmap_inproc_host_hook = NULL;
		assert_int_equal(memmap_inproc_verify(w.inproc), 0);
		assert_ptr_equal(mmap(memmap_pointer_of_(a), 3 * K, PROT_READ,
				      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, -1, 0),
				 MAP_FAILED);
		assert_int_equal(errno, EEXIST);
	}
	world_end(&w);
}

static void test_failing_calls(void **state)
{
	(void)state;
	/* Is there a userfaultfd? */
	struct world probe;
	const struct memmap_inproc_options watched = {
		.addr = PLACE, .length = 4 * M, .userfaultfd = true};
	const int nr_ways = world_try(&probe, watched, M) == 0 ? 2 : 1;
	if (nr_ways == 2)
		world_end(&probe);
	for (int way = 0; way < nr_ways; way++) {
		for (int nr_failures = 1; nr_failures <= 2; nr_failures++) {
			int n = 0;
			do {
				with_failing_calls(n++, nr_failures, way == 1);
			} while (nr_failed_calls > 0);
			assert_in_range(n, way ? 12 : 7, 40);
		}
	}
	memmap_inproc_host_hook = NULL;

	/* If the kernel never lets go, it is said in words. */
	struct world w;
	world_begin(&w, (struct memmap_inproc_options){0});
	assert_int_equal(map(&w, w.base, 0, 64 * K, RW), 0);
	nr_failures_left = -1;
	calls_before_failure = 0;
	memmap_inproc_host_hook = fail_nth_call;
	assert_panics("does not let go", unmap(&w, w.base, w.base + K));
	memmap_inproc_host_hook = NULL;
	world_end(&w);
}

static void test_out_of_memory(void **state)
{
	(void)state;
	size_t n = 0;
	/* Each of the first, and then some. */
	for (bool refused = true; refused; n += 1 + n / 16) {
		struct failing_allocator failing;
		failing_allocator_init(&failing, n);
		struct world w;
		int err = world_try(
			&w, (struct memmap_inproc_options){.allocator = &failing.allocator}, M);
		refused = failing.nr_refused > 0;
		assert_int_equal(err, refused ? -ENOMEM : 0);
		if (!err) {
			/* Scattered pages, so that the set grows. */
			uint64_t nr_mapped = 0;
			for (uint64_t i = 0; i < 100; i++) {
				err = map(&w, w.base + i * 4 * K, i * 2 * K, 3 * K, RW);
				assert_true(err == 0 || err == -ENOMEM);
				nr_mapped += err == 0;
				assert_int_equal(stats_of(&w).nr_mappings, nr_mapped);
			}
			/* Removing parts needs memory, or takes the whole. */
			for (uint64_t i = 0; i < 100; i++) {
				const uint64_t at = w.base + i * 4 * K + K;
				unmap(&w, at, at + K);
				memmap_address_space_protect(
					w.as, (struct memmap_addr_range){at - K, at}, MEMMAP_READ);
				assert_int_equal(memmap_inproc_verify(w.inproc), 0);
			}
			assert_int_equal(host_vmas(&w), stats_of(&w).nr_host_vmas);
			refused = failing.nr_refused > 0;
			world_end(&w);
		}
		assert_int_equal(failing.nr_live, 0);
	}
	assert_in_range(n, 3, 5000);
}

/* ---- A thread on the guest's own stack ---- */

/* Each call for an alternate stack fails in its turn: then there is none, or still the one there was. */
static void test_failing_signal_stacks(void **state)
{
	(void)state;
	const stack_t none = {.ss_flags = SS_DISABLE};
	stack_t mine, now;
	/* Sanitizers give threads one. */
	assert_int_equal(sigaltstack(&none, &mine), 0);
	int n = 0;
	do {
		nr_failed_calls = 0;
		calls_before_failure = n++;
		nr_failures_left = 1;
		memmap_inproc_host_hook = fail_nth_call;
		int err = memmap_inproc_thread_begin();
		assert_int_equal(err, nr_failed_calls ? -ENOMEM : 0);
		assert_int_equal(sigaltstack(NULL, &now), 0);
		assert_int_equal(now.ss_flags & SS_DISABLE, err ? SS_DISABLE : 0);
		if (!err) {
			memmap_inproc_thread_end();
			assert_int_equal(sigaltstack(NULL, &now), 0);
			/* It was refused: what the kernel still writes to must not be freed. */
			if (nr_failed_calls) {
				assert_false(now.ss_flags & SS_DISABLE);
				memset(now.ss_sp, 1, now.ss_size);
			}
			memmap_inproc_host_hook = NULL;
			memmap_inproc_thread_end();
			assert_int_equal(sigaltstack(NULL, &now), 0);
			assert_true(now.ss_flags & SS_DISABLE);
		}
	} while (nr_failed_calls > 0);
	assert_int_equal(n, 5); /* asking and giving, asking and taking away; and none */
	memmap_inproc_host_hook = NULL;
	/* Somebody else took it away: it is given again, and not lost. */
	assert_int_equal(memmap_inproc_thread_begin(), 0);
	assert_int_equal(sigaltstack(&none, &now), 0);
	assert_int_equal(memmap_inproc_thread_begin(), 0);
	memmap_inproc_thread_end();
	if (!(mine.ss_flags & SS_DISABLE))
		assert_int_equal(sigaltstack(&mine, NULL), 0);
}

#if defined(__x86_64__) && !HAS_ASAN && !HAS_TSAN
static uint64_t sum_on_stack(uint64_t n)
{
	volatile unsigned char frame[3000];
	frame[0] = (unsigned char)n;
	const uint64_t below = n == 0 ? 0 : sum_on_stack(n - 1);
	return frame[0] + below;
}

static uint64_t call_on_stack(uint64_t top)
{
	uint64_t result;
	__asm__ volatile("movq %%rsp, %%rbx\n"
			 "movq %[top], %%rsp\n"
			 "movq $50, %%rdi\n"
			 "call *%[function]\n"
			 "movq %%rbx, %%rsp\n"
			 : "=a"(result)
			 : [top] "r"(top), [function] "r"(sum_on_stack)
			 : "rbx", "rcx", "rdx", "rdi", "rsi", "r8", "r9", "r10", "r11", "memory",
			   "cc");
	return result;
}
#endif

static void test_guest_stack(void **state)
{
	(void)state;
#if defined(__x86_64__) && !HAS_ASAN && !HAS_TSAN
	if (RUNNING_ON_VALGRIND)
		skip();
	struct world w;
	world_begin(&w, (struct memmap_inproc_options){0});
	const uint64_t top = w.base + 512 * K;
	test_mm_set(&w.mm, 0, (struct test_vma){{w.base, top}, RW, &w.file, 0});
	assert_int_equal(memmap_inproc_thread_begin(), 0);
	assert_int_equal(memmap_inproc_thread_begin(), 0);
	assert_int_equal(call_on_stack(top), 50 * 51 / 2);
	assert_in_range(w.mm.nr_faults, 30, 60);
	memmap_inproc_thread_end();
	memmap_inproc_thread_end();
	stack_t now;
	assert_int_equal(sigaltstack(NULL, &now), 0);
	assert_true(now.ss_flags & SS_DISABLE);
	world_end(&w);
#else
	skip();
#endif
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_touches),       cmocka_unit_test(test_unmap_and_protect),
		cmocka_unit_test(test_refusals),      cmocka_unit_test(test_layout),
		cmocka_unit_test(test_safe_copies),   cmocka_unit_test(test_shrinking_file),
		cmocka_unit_test(test_guest_code),    cmocka_unit_test(test_budget),
		cmocka_unit_test(test_model),         cmocka_unit_test(test_failing_calls),
		cmocka_unit_test(test_out_of_memory), cmocka_unit_test(test_guest_stack),
		cmocka_unit_test(test_holes),         cmocka_unit_test(test_failing_signal_stacks),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
