/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies, zeroing and atomics on memory that is not there: exact counts around every page boundary,
 * SIGSEGV and SIGBUS, from signal handlers and from many threads.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/time.h>

#include <cmocka.h>

#include "panic.h"
#include "sanitizers.h"
#include <memmap/block.h>

#define PAGE ((size_t)4096)

/* A page, then one that cannot be touched, then another page. */
static unsigned char *arena;
#define HOLE (arena + PAGE)

static int make_arena(void **state)
{
	(void)state;
	arena = mmap(NULL, 3 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	return arena == MAP_FAILED || mprotect(HOLE, PAGE, PROT_NONE) != 0;
}

static int free_arena(void **state)
{
	(void)state;
	return munmap(arena, 3 * PAGE);
}

/* cmocka puts handlers of its own on top of ours before each test. */
static void come_on_top(void **state)
{
	(void)state;
	assert_int_equal(memmap_block_install_handlers(), 0);
}

static unsigned char pattern(size_t i)
{
	return (unsigned char)(i * 7 + 1);
}

static void fill_pattern(unsigned char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++)
		bytes[i] = pattern(i);
}

/* `n` bytes of the pattern, and then up to `len` nothing but `rest`. */
static void check_pattern(const unsigned char *bytes, size_t n, size_t len, unsigned char rest)
{
	for (size_t i = 0; i < n; i++)
		assert_int_equal(bytes[i], pattern(i));
	for (size_t i = n; i < len; i++)
		assert_int_equal(bytes[i], rest);
}

#define MAX_LEN ((size_t)70)

/* Every length from every distance before the hole: where the source ends. */
static void test_copy_from_before_a_hole(void **state)
{
	come_on_top(state);
	unsigned char to[MAX_LEN];
	for (size_t before = 0; before < MAX_LEN; before++) {
		unsigned char *from = HOLE - before;
		fill_pattern(from, before);
		for (size_t len = 0; len <= MAX_LEN; len++) {
			const size_t expected = len < before ? len : before;
			for (int unsafe_dst = 0; unsafe_dst < 2; unsafe_dst++) {
				struct memmap_block dst = {to, sizeof(to), unsafe_dst};
				uint64_t done = 999;
				memset(to, 0xee, sizeof(to));
				int err = memmap_copy(dst, memmap_block_unsafe(from, len), &done);
				assert_int_equal(err, len > before ? -EFAULT : 0);
				assert_int_equal(done, expected);
				check_pattern(to, expected, sizeof(to), 0xee);
			}
		}
	}
}

/* And where the destination ends. */
static void test_copy_to_before_a_hole(void **state)
{
	come_on_top(state);
	unsigned char from[MAX_LEN];
	fill_pattern(from, sizeof(from));
	for (size_t before = 0; before < MAX_LEN; before++) {
		unsigned char *to = HOLE - before;
		for (size_t len = 0; len <= MAX_LEN; len++) {
			const size_t expected = len < before ? len : before;
			for (int unsafe_src = 0; unsafe_src < 2; unsafe_src++) {
				struct memmap_block src = {from, sizeof(from), unsafe_src};
				uint64_t done = 999;
				memset(to, 0xee, before);
				int err = memmap_copy(memmap_block_unsafe(to, len), src, &done);
				assert_int_equal(err, len > before ? -EFAULT : 0);
				assert_int_equal(done, expected);
				check_pattern(to, expected, before, 0xee);
			}
		}
	}
}

/* Both end, at different distances: the nearer one tells. */
static void test_copy_between_two_holes(void **state)
{
	come_on_top(state);
	unsigned char *other =
		mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(other, MAP_FAILED);
	assert_int_equal(munmap(other + PAGE, PAGE), 0);
	for (size_t before_src = 0; before_src < 20; before_src++) {
		for (size_t before_dst = 0; before_dst < 20; before_dst++) {
			unsigned char *from = HOLE - before_src;
			unsigned char *to = other + PAGE - before_dst;
			const size_t expected = before_src < before_dst ? before_src : before_dst;
			uint64_t done;
			fill_pattern(from, before_src);
			memset(to, 0xee, before_dst);
			assert_int_equal(memmap_copy(memmap_block_unsafe(to, 64),
						     memmap_block_unsafe(from, 64), &done),
					 -EFAULT);
			assert_int_equal(done, expected);
			check_pattern(to, expected, before_dst, 0xee);
		}
	}
	assert_int_equal(munmap(other, PAGE), 0);
}

static void test_zero_before_a_hole(void **state)
{
	come_on_top(state);
	for (size_t before = 0; before < MAX_LEN; before++) {
		unsigned char *at = HOLE - before;
		for (size_t len = 0; len <= MAX_LEN; len++) {
			const size_t expected = len < before ? len : before;
			uint64_t done = 999;
			memset(at, 0xee, before);
			assert_int_equal(memmap_zero(memmap_block_unsafe(at, len), &done),
					 len > before ? -EFAULT : 0);
			assert_int_equal(done, expected);
			for (size_t i = 0; i < before; i++)
				assert_int_equal(at[i], i < expected ? 0 : 0xee);
		}
	}
}

/* Nothing at all can be touched: holes, write protection, no page, no address. */
static void test_nothing_done(void **state)
{
	come_on_top(state);
	unsigned char buf[16];
	unsigned char *gone = mmap(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(gone, MAP_FAILED);
	assert_int_equal(munmap(gone + PAGE, PAGE), 0);
	const struct {
		void *addr;
		bool readable;
	} cases[] = {
		{HOLE, false},
		{HOLE + PAGE - 1, false},
		{gone + PAGE, false},
		{gone, true},
		{NULL, false},
		{(void *)(uintptr_t)1, false},
		{(void *)(uintptr_t)0x8000000000000000, false}, /* not canonical on x86-64 */
		{(void *)(UINTPTR_MAX - 100), false},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct memmap_block bad = memmap_block_unsafe(cases[i].addr, sizeof(buf));
		const struct memmap_block good = memmap_block_safe(buf, sizeof(buf));
		uint64_t done = 999;
		assert_int_equal(memmap_copy(bad, good, &done), -EFAULT);
		assert_int_equal(done, 0);
		done = 999;
		assert_int_equal(memmap_zero(bad, &done), -EFAULT);
		assert_int_equal(done, 0);
		done = 999;
		assert_int_equal(memmap_copy(good, bad, &done), cases[i].readable ? 0 : -EFAULT);
		assert_int_equal(done, cases[i].readable ? sizeof(buf) : 0);
		assert_int_equal(memmap_copy(bad, good, NULL), -EFAULT);
	}
	assert_int_equal(munmap(gone, PAGE), 0);
}

/* A file that shrinks under its mapping: SIGBUS, from the first page past its end. */
static void test_file_truncated_under_a_mapping(void **state)
{
	come_on_top(state);
	unsigned char buf[64];
	int fd = memfd_create("truncated", MFD_CLOEXEC);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)(2 * PAGE)), 0);
	unsigned char *file = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(file, MAP_FAILED);
	memset(file, 'a', 2 * PAGE);
	const struct memmap_block good = memmap_block_safe(buf, sizeof(buf));
	const struct memmap_block across = memmap_block_unsafe(file + PAGE - 13, sizeof(buf));
	uint64_t done;
	assert_int_equal(memmap_copy(good, across, &done), 0);

	assert_int_equal(ftruncate(fd, 5), 0);
	assert_int_equal(memmap_copy(good, across, &done), -EFAULT);
	assert_int_equal(done, 13);
	/* The rest of the file's last page reads as zero. */
	for (size_t i = 0; i < 13; i++)
		assert_int_equal(buf[i], 0);
	assert_int_equal(memmap_copy(across, good, &done), -EFAULT);
	assert_int_equal(done, 13);
	assert_int_equal(memmap_zero(across, &done), -EFAULT);
	assert_int_equal(done, 13);
	uint32_t old;
	assert_int_equal(memmap_load_u32(memmap_block_unsafe(file + PAGE, 4), &old), -EFAULT);

	/* Growing it brings the page back. */
	assert_int_equal(ftruncate(fd, (off_t)(2 * PAGE)), 0);
	assert_int_equal(memmap_copy(good, across, &done), 0);
	assert_int_equal(munmap(file, 2 * PAGE), 0);
	assert_int_equal(close(fd), 0);
}

static void test_large_copy_with_a_hole(void **state)
{
	come_on_top(state);
	const size_t nr_pages = 64;
	unsigned char *from = mmap(NULL, nr_pages * PAGE, PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	unsigned char *to = malloc(nr_pages * PAGE);
	assert_ptr_not_equal(from, MAP_FAILED);
	assert_non_null(to);
	fill_pattern(from, nr_pages * PAGE);
	assert_int_equal(mprotect(from + 37 * PAGE, PAGE, PROT_NONE), 0);
	for (size_t start = 0; start < 9; start++) {
		uint64_t done;
		memset(to, 0, nr_pages * PAGE);
		assert_int_equal(memmap_copy(memmap_block_safe(to, nr_pages * PAGE),
					     memmap_block_unsafe(from + start, 60 * PAGE), &done),
				 -EFAULT);
		assert_int_equal(done, 37 * PAGE - start);
		assert_memory_equal(to, from + start, done);
		assert_int_equal(to[done], 0);
	}
	free(to);
	assert_int_equal(munmap(from, nr_pages * PAGE), 0);
}

static void test_plain_memory(void **state)
{
	come_on_top(state);
	unsigned char from[100];
	unsigned char to[100] = {0};
	fill_pattern(from, sizeof(from));
	uint64_t done;
	assert_int_equal(
		memmap_copy(memmap_block_safe(to, 60), memmap_block_safe(from, 100), &done), 0);
	assert_int_equal(done, 60);
	check_pattern(to, 60, sizeof(to), 0);
	assert_int_equal(memmap_copy(memmap_block_safe(to, 100), memmap_block_safe(from, 80), NULL),
			 0);
	check_pattern(to, 80, sizeof(to), 0);
	assert_int_equal(memmap_zero(memmap_block_safe(to, 30), &done), 0);
	assert_int_equal(done, 30);
	assert_int_equal(to[29], 0);
	assert_int_equal(to[30], pattern(30));
	assert_int_equal(memmap_zero(memmap_block_safe(NULL, 0), &done), 0);
	assert_int_equal(done, 0);
	assert_int_equal(memmap_copy(memmap_block_safe(NULL, 0), memmap_block_safe(from, 1), &done),
			 0);
	assert_int_equal(done, 0);
}

/* Blocks of unequal cut on both sides, as if they were one run of bytes. */
static void test_copy_seq(void **state)
{
	come_on_top(state);
	unsigned char from[96];
	unsigned char to[96];
	fill_pattern(from, sizeof(from));
	const struct memmap_block srcs[] = {
		memmap_block_safe(from, 10),
		memmap_block_unsafe(from + 10, 0),
		memmap_block_unsafe(from + 10, 33),
		memmap_block_safe(from + 43, 53),
	};
	const struct memmap_block dsts[] = {
		memmap_block_unsafe(to, 1),
		memmap_block_safe(to + 1, 41),
		memmap_block_unsafe(to + 42, 1),
		memmap_block_unsafe(to + 43, 40),
	};
	for (uint64_t n_src = 0; n_src <= 96; n_src += 8) {
		for (uint64_t n_dst = 0; n_dst <= 83; n_dst++) {
			uint64_t done = 999;
			memset(to, 0xee, sizeof(to));
			struct memmap_block_seq dst = memmap_block_seq_from(dsts, 4);
			struct memmap_block_seq src = memmap_block_seq_from(srcs, 4);
			assert_int_equal(memmap_copy_seq(memmap_block_seq_take_first(dst, n_dst),
							 memmap_block_seq_take_first(src, n_src),
							 &done),
					 0);
			assert_int_equal(done, n_src < n_dst ? n_src : n_dst);
			check_pattern(to, done, sizeof(to), 0xee);
		}
	}
}

static void test_seq_that_faults(void **state)
{
	come_on_top(state);
	unsigned char buf[200];
	const struct memmap_block blocks[] = {
		memmap_block_safe(buf + 100, 30),
		memmap_block_unsafe(HOLE - 11, 11),
		memmap_block_unsafe(HOLE - 7, 20),
		memmap_block_safe(buf + 150, 50),
	};
	const struct memmap_block_seq seq = memmap_block_seq_from(blocks, 4);
	uint64_t done;
	memset(buf, 1, sizeof(buf));
	assert_int_equal(memmap_zero_seq(seq, &done), -EFAULT);
	assert_int_equal(done, 30 + 11 + 7);
	assert_int_equal(buf[129], 0);
	assert_int_equal(buf[150], 1);
	assert_int_equal(memmap_zero_seq(memmap_block_seq_take_first(seq, 48), &done), 0);
	assert_int_equal(done, 48);
	assert_int_equal(memmap_zero_seq(seq, NULL), -EFAULT);

	const struct memmap_block_seq whole = memmap_block_seq_of(memmap_block_safe(buf, 100));
	assert_int_equal(memmap_copy_seq(seq, whole, &done), -EFAULT);
	assert_int_equal(done, 48);
	assert_int_equal(memmap_copy_seq(whole, seq, &done), -EFAULT);
	assert_int_equal(done, 48);
	assert_int_equal(memmap_copy_seq(whole, seq, NULL), -EFAULT);
	assert_int_equal(memmap_copy_seq((struct memmap_block_seq){0}, seq, &done), 0);
	assert_int_equal(done, 0);
}

static void test_atomics(void **state)
{
	come_on_top(state);
	uint64_t word64 = 0x1122334455667788;
	uint32_t word32 = 0xaabbccdd;
	uint64_t old64;
	uint32_t old32;
	for (int unsafe = 0; unsafe < 2; unsafe++) {
		const struct memmap_block b64 = {&word64, 8, unsafe};
		const struct memmap_block b32 = {&word32, 4, unsafe};

		word64 = 0x1122334455667788;
		assert_int_equal(memmap_load_u64(b64, &old64), 0);
		assert_true(old64 == 0x1122334455667788);
		assert_int_equal(memmap_swap_u64(b64, 0xfedcba9876543210, &old64), 0);
		assert_true(old64 == 0x1122334455667788 && word64 == 0xfedcba9876543210);
		assert_int_equal(memmap_compare_and_swap_u64(b64, 1, 2, &old64), 0);
		assert_true(old64 == 0xfedcba9876543210 && word64 == 0xfedcba9876543210);
		assert_int_equal(memmap_compare_and_swap_u64(b64, 0xfedcba9876543210,
							     0x8000000000000001, &old64),
				 0);
		assert_true(old64 == 0xfedcba9876543210 && word64 == 0x8000000000000001);

		word32 = 0xaabbccdd;
		assert_int_equal(memmap_load_u32(b32, &old32), 0);
		assert_true(old32 == 0xaabbccdd);
		assert_int_equal(memmap_swap_u32(b32, 0x01020304, &old32), 0);
		assert_true(old32 == 0xaabbccdd && word32 == 0x01020304);
		assert_int_equal(memmap_compare_and_swap_u32(b32, 1, 2, &old32), 0);
		assert_true(old32 == 0x01020304 && word32 == 0x01020304);
		assert_int_equal(memmap_compare_and_swap_u32(b32, 0x01020304, 9, &old32), 0);
		assert_true(old32 == 0x01020304 && word32 == 9);
	}
	/* Only the first bytes of a longer block. */
	uint32_t pair[2] = {1, 2};
	assert_int_equal(memmap_swap_u32(memmap_block_safe(pair, 8), 7, &old32), 0);
	assert_true(pair[0] == 7 && pair[1] == 2);
}

/* All six, at `addr`: each must return `err`, and leave the output alone. */
static void check_atomics_fail(void *addr, size_t offset, int err32, int err64)
{
	const struct memmap_block b = memmap_block_unsafe((char *)addr + offset, 8);
	uint32_t old32 = 77;
	uint64_t old64 = 77;
	assert_int_equal(memmap_swap_u32(b, 1, &old32), err32);
	assert_int_equal(memmap_compare_and_swap_u32(b, 0, 1, &old32), err32);
	assert_int_equal(memmap_load_u32(b, &old32), err32);
	assert_int_equal(old32, 77);
	assert_int_equal(memmap_swap_u64(b, 1, &old64), err64);
	assert_int_equal(memmap_compare_and_swap_u64(b, 0, 1, &old64), err64);
	assert_int_equal(memmap_load_u64(b, &old64), err64);
	assert_int_equal(old64, 77);
}

static void test_atomics_that_fail(void **state)
{
	come_on_top(state);
	uint64_t words[2] = {0};
	check_atomics_fail(HOLE, 0, -EFAULT, -EFAULT);
	check_atomics_fail(HOLE, PAGE - 8, -EFAULT, -EFAULT);
	for (size_t offset = 1; offset < 8; offset++) {
		if (offset == 4)
			check_atomics_fail(HOLE, offset, -EFAULT, -EINVAL);
		else
			check_atomics_fail(words, offset, -EINVAL, -EINVAL);
	}
	assert_true(words[0] == 0 && words[1] == 0);
	/* Reading a page that cannot be written works; storing does not. */
	assert_int_equal(mprotect(arena, PAGE, PROT_READ), 0);
	uint32_t old;
	assert_int_equal(memmap_load_u32(memmap_block_unsafe(arena, 4), &old), 0);
	assert_int_equal(memmap_swap_u32(memmap_block_unsafe(arena, 4), 1, &old), -EFAULT);
	assert_int_equal(mprotect(arena, PAGE, PROT_READ | PROT_WRITE), 0);
}

static void test_atomics_of_short_blocks(void **state)
{
	come_on_top(state);
	uint64_t word = 0;
	uint32_t old32;
	uint64_t old64;
	const struct memmap_block three = memmap_block_safe(&word, 3);
	const struct memmap_block seven = memmap_block_safe(&word, 7);
	assert_panics("memmap_swap_u32: block of 3 bytes is shorter than 4",
		      memmap_swap_u32(three, 0, &old32));
	assert_panics("memmap_compare_and_swap_u32: block of 3 bytes",
		      memmap_compare_and_swap_u32(three, 0, 0, &old32));
	assert_panics("memmap_load_u32: block of 3 bytes", memmap_load_u32(three, &old32));
	assert_panics("memmap_swap_u64: block of 7 bytes is shorter than 8",
		      memmap_swap_u64(seven, 0, &old64));
	assert_panics("memmap_compare_and_swap_u64: block of 7 bytes",
		      memmap_compare_and_swap_u64(seven, 0, 0, &old64));
	assert_panics("memmap_load_u64: block of 7 bytes", memmap_load_u64(seven, &old64));
}

/* A signal handler's own safe copy, in the middle of another. */
static _Atomic(int) nr_ticks, nr_wrong_ticks;

static void copy_on_tick(int signal)
{
	(void)signal;
	unsigned char buf[32];
	uint64_t done = 999;
	int err = memmap_copy(memmap_block_safe(buf, sizeof(buf)),
			      memmap_block_unsafe(HOLE - 9, sizeof(buf)), &done);
	if (err != -EFAULT || done != 9)
		nr_wrong_ticks++;
	nr_ticks++;
}

static void test_copies_in_signal_handlers(void **state)
{
	come_on_top(state);
#if HAS_ASAN && defined(MEMMAP_SAFE_ACCESS_IN_C)
	/* It reads /proc/self/maps at each siglongjmp(), with locks that the signal interrupted. */
	print_message("skipped: AddressSanitizer's siglongjmp() is not async-signal-safe\n");
	skip();
#elif HAS_TSAN
	print_message("skipped: ThreadSanitizer runs signal handlers with SIGSEGV blocked\n");
	skip();
#endif
	if (RUNNING_ON_VALGRIND) {
		print_message("skipped: valgrind takes the fault for one of the stack\n");
		skip();
	}
	struct sigaction action = {.sa_handler = copy_on_tick, .sa_flags = SA_RESTART};
	struct sigaction before;
	assert_int_equal(sigaction(SIGALRM, &action, &before), 0);
	const struct itimerval often = {{0, 200}, {0, 200}};
	const struct itimerval never = {{0, 0}, {0, 0}};
	assert_int_equal(setitimer(ITIMER_REAL, &often, NULL), 0);
	unsigned char *buf = malloc(PAGE);
	assert_non_null(buf);
	while (nr_ticks < 300) {
		uint64_t done = 999;
		int err = memmap_copy(memmap_block_safe(buf, PAGE),
				      memmap_block_unsafe(HOLE - 4000, PAGE), &done);
		assert_int_equal(err, -EFAULT);
		assert_int_equal(done, 4000);
	}
	assert_int_equal(setitimer(ITIMER_REAL, &never, NULL), 0);
	assert_int_equal(sigaction(SIGALRM, &before, NULL), 0);
	free(buf);
	assert_int_equal(nr_wrong_ticks, 0);
}

/* Threads copy from pages that come and go: a prefix is copied, or all of it. */
static unsigned char *flickering;
static _Atomic(bool) stop;

static void *copy_until_stopped(void *arg)
{
	_Atomic(size_t) *nr_faults = arg;
	unsigned char buf[2 * 4096];
	while (!stop) {
		uint64_t done;
		int err = memmap_copy(memmap_block_safe(buf, sizeof(buf)),
				      memmap_block_unsafe(flickering, sizeof(buf)), &done);
		if (err ? done >= sizeof(buf) : done != sizeof(buf))
			return (void *)"wrong count";
		for (size_t i = 0; i < done; i += 511) {
			if (buf[i] != 'f')
				return (void *)"wrong bytes";
		}
		uint32_t word;
		err = memmap_load_u32(memmap_block_unsafe(flickering + 4096, 4), &word);
		if (!err && word != 0x66666666)
			return (void *)"wrong word";
		if (err)
			(*nr_faults)++;
	}
	return NULL;
}

static void test_threads(void **state)
{
	come_on_top(state);
	_Atomic(size_t) nr_faults = 0;
	flickering =
		mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(flickering, MAP_FAILED);
	memset(flickering, 'f', 2 * PAGE);
	pthread_t threads[4];
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, copy_until_stopped, &nr_faults),
				 0);
	for (int round = 0; round < 2000 || nr_faults < 50; round++) {
		assert_int_equal(mprotect(flickering + PAGE, PAGE, PROT_NONE), 0);
		assert_int_equal(mprotect(flickering + PAGE, PAGE, PROT_READ), 0);
	}
	stop = true;
	for (size_t i = 0; i < 4; i++) {
		void *complaint;
		assert_int_equal(pthread_join(threads[i], &complaint), 0);
		assert_null(complaint);
	}
	assert_int_equal(munmap(flickering, 2 * PAGE), 0);
}

/* Sums by compare-and-swap from many threads lose nothing. */
static uint64_t sum64;
static uint32_t sum32;

static void *add_by_cas(void *arg)
{
	(void)arg;
	const struct memmap_block b64 = memmap_block_unsafe(&sum64, 8);
	const struct memmap_block b32 = memmap_block_unsafe(&sum32, 4);
	for (int i = 0; i < 5000; i++) {
		uint64_t expected64;
		uint64_t found64;
		(void)memmap_load_u64(b64, &found64);
		do {
			expected64 = found64;
			(void)memmap_compare_and_swap_u64(b64, expected64, expected64 + 3,
							  &found64);
		} while (found64 != expected64);
		uint32_t expected32;
		uint32_t found32;
		(void)memmap_load_u32(b32, &found32);
		do {
			expected32 = found32;
			(void)memmap_compare_and_swap_u32(b32, expected32, expected32 + 3,
							  &found32);
		} while (found32 != expected32);
	}
	return NULL;
}

static void test_atomics_are_atomic(void **state)
{
	come_on_top(state);
	pthread_t threads[4];
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, add_by_cas, NULL), 0);
	for (size_t i = 0; i < 4; i++)
		assert_int_equal(pthread_join(threads[i], NULL), 0);
	assert_true(sum64 == 60000);
	assert_true(sum32 == 60000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_copy_from_before_a_hole),
		cmocka_unit_test(test_copy_to_before_a_hole),
		cmocka_unit_test(test_copy_between_two_holes),
		cmocka_unit_test(test_zero_before_a_hole),
		cmocka_unit_test(test_nothing_done),
		cmocka_unit_test(test_file_truncated_under_a_mapping),
		cmocka_unit_test(test_large_copy_with_a_hole),
		cmocka_unit_test(test_plain_memory),
		cmocka_unit_test(test_copy_seq),
		cmocka_unit_test(test_seq_that_faults),
		cmocka_unit_test(test_atomics),
		cmocka_unit_test(test_atomics_that_fail),
		cmocka_unit_test(test_atomics_of_short_blocks),
		cmocka_unit_test(test_copies_in_signal_handlers),
		cmocka_unit_test(test_threads),
		cmocka_unit_test(test_atomics_are_atomic),
	};
	return cmocka_run_group_tests_name("base/block_access", tests, make_arena, free_arena);
}
