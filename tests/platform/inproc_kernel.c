/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's own touches of a region: refused where nothing is mapped, and with userfaultfd served.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "guest.h"
#include "platform/inproc/host.h"
#include "region.h"
#include "sanitizers.h"

/* Skips the test where the kernel refuses. */
static void begin_watched(struct world *w, struct memmap_inproc_options options)
{
	options.userfaultfd = true;
	int err = world_try(w, options, 4 * M);
	if (err) {
		print_message("skipped: userfaultfd: %s\n", memmap_strerror(err));
		skip();
	}
}

/* By hand, below what sanitizers check before a system call: they would touch it themselves. */
static ssize_t raw_read(int fd, uint64_t addr, size_t n)
{
	return syscall(SYS_read, fd, memmap_pointer_of_(addr), n);
}

static ssize_t raw_write(int fd, uint64_t addr, size_t n)
{
	return syscall(SYS_write, fd, memmap_pointer_of_(addr), n);
}

/* A pipe that holds two pages of 'x'. */
static void fill_pipe(int fds[2])
{
	static char text[2 * K];
	memset(text, 'x', sizeof(text));
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(write(fds[1], text, sizeof(text)), sizeof(text));
}

static void close_pipe(int fds[2])
{
	close(fds[0]);
	close(fds[1]);
}

static void test_without(void **state)
{
	(void)state;
	struct world w;
	world_begin(&w, (struct memmap_inproc_options){0});
	const uint64_t a = w.base + 16 * K;
	test_mm_set(&w.mm, 0, (struct test_vma){{a, a + 16 * K}, RW, &w.file, 0});
	int fds[2];
	fill_pipe(fds);
	assert_int_equal(raw_read(fds[0], a, 100), -1);
	assert_int_equal(errno, EFAULT);
	assert_int_equal(w.mm.nr_faults, 0);
	/* Once it is mapped, it goes. */
	touch_write(a, 1);
	assert_int_equal(raw_read(fds[0], a, 100), 100);
	assert_int_equal(w.file.bytes[99], 'x');
	close_pipe(fds);
	world_end(&w);
}

static void test_with(void **state)
{
	(void)state;
	struct ending ending = {0};
	struct world w;
	begin_watched(&w,
		      (struct memmap_inproc_options){.on_fault = end_touch, .context = &ending});
	const uint64_t a = w.base + 16 * K;
	test_mm_set(&w.mm, 0, (struct test_vma){{a, a + 16 * K}, RW, &w.file, 0});
	int fds[2];

	/* Into pages that nobody has touched, across their edge; and out of others. */
	fill_pipe(fds);
	assert_int_equal(raw_read(fds[0], a + K / 2, 2 * K), 2 * K);
	assert_int_equal(w.file.bytes[K / 2 - 1], 0);
	for (uint64_t i = K / 2; i < 2 * K + K / 2; i++)
		assert_int_equal(w.file.bytes[i], 'x');
	assert_int_equal(w.mm.nr_faults, 3);
	assert_int_equal(stats_of(&w).nr_kernel_waits, 3);
	assert_int_equal(raw_write(fds[1], a + 7 * K, 64), 64);
	uint64_t value = 0;
	assert_int_equal(read(fds[0], &value, sizeof(value)), sizeof(value));
	assert_int_equal(value, 7 * K);
	close_pipe(fds);

	/* The guest's own touches take the same way. */
	assert_int_equal(touch_read(a + 9 * K), 9 * K);
	assert_int_equal(host_vmas(&w), stats_of(&w).nr_host_vmas);
	/* Gone, and there again. */
	unmap(&w, a, a + 16 * K);
	assert_int_equal(host_vmas(&w), 1);
	fill_pipe(fds);
	assert_int_equal(raw_read(fds[0], a + 12 * K, 100), 100);
	close_pipe(fds);

	/* Refused: the kernel is told, the guest gets its signal. */
	fill_pipe(fds);
	const uint64_t hole = a + 100 * K;
	assert_int_equal(raw_read(fds[0], hole, 100), -1);
	assert_int_equal(errno, EFAULT);
	assert_false(try_touch(&ending, hole + K, MEMMAP_READ, &value));
	assert_int_equal(ending.fault.code, MEMMAP_FAULT_UNMAPPED);
	assert_int_equal(ending.fault.addr, hole + K);

	/* Mapped after it was refused: to the guest at once, to the kernel after a moment. */
	test_mm_set(&w.mm, 1, (struct test_vma){{hole, hole + 2 * K}, RW, &w.file, 32 * K});
	assert_true(try_touch(&ending, hole + K, MEMMAP_READ, &value));
	assert_int_equal(value, 33 * K);
	ssize_t got = -1;
	for (int i = 0; got < 0 && i < 2000; i++) {
		got = raw_read(fds[0], hole, 100);
		if (got < 0)
			usleep(1000);
	}
	assert_int_equal(got, 100);
	close_pipe(fds);

	/* More refusals than are kept. */
	fill_pipe(fds);
	for (uint64_t i = 0; i < 20; i++)
		assert_int_equal(raw_read(fds[0], a + (200 + 2 * i) * K, 8), -1);
	close_pipe(fds);
	for (int i = 0; host_vmas(&w) != 5 && i < 2000; i++)
		usleep(1000);
	assert_int_equal(host_vmas(&w), 5);
	world_end(&w);
}

/* A file mapped for reading only: the kernel may read there, not write. */
static void test_permissions(void **state)
{
	(void)state;
	struct world w;
	begin_watched(&w, (struct memmap_inproc_options){0});
	const uint64_t a = w.base;
	test_mm_set(&w.mm, 0, (struct test_vma){{a, a + 4 * K}, MEMMAP_READ, &w.file, 0});
	int fds[2];
	fill_pipe(fds);
	assert_int_equal(raw_read(fds[0], a, 8), -1);
	assert_int_equal(errno, EFAULT);
	assert_int_equal(raw_write(fds[1], a + K, 8), 8);
	assert_int_equal(raw_read(fds[0], a + K, 8), -1);
	close_pipe(fds);
	world_end(&w);
}

/* The budget holds here, too. */
static void test_budget(void **state)
{
	(void)state;
	struct world w;
	begin_watched(&w, (struct memmap_inproc_options){.max_host_vmas = 32});
	test_mm_set(&w.mm, 0, (struct test_vma){{w.base, w.base + REGION_LENGTH}, RW, &w.file, 0});
	w.mm.never_bus_error = true;
	for (uint64_t i = 0; i < 300; i++) {
		const uint64_t page = i * 37 % 1000;
		assert_int_equal(touch_read(w.base + page * K), page * K);
		assert_in_range(host_vmas(&w), 1, 32);
	}
	world_end(&w);
}

/* Of the calls by that name, so many succeed. */
static const char *failing_call;
static int nr_to_succeed;

static int fail_call(const char *call)
{
	return strcmp(call, failing_call) == 0 && nr_to_succeed-- <= 0 ? -EPERM : 0;
}

static void test_refused_by_the_kernel(void **state)
{
	(void)state;
	static const char *const calls[] = {"reserve", "userfaultfd", "userfaultfd api",
					    "watch",   "protect",     "eventfd",
					    "thread",  "handlers"};
	memmap_inproc_host_hook = fail_call;
	const int lowest_fd = dup(0);
	close(lowest_fd);
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		const struct memmap_inproc_options options = {.length = M, .userfaultfd = true};
		struct memmap_inproc *inproc;
		int nr = 0, err;
		failing_call = calls[i];
		for (;; nr++) {
			nr_to_succeed = nr;
			err = memmap_inproc_create(&options, &inproc);
			if (!err)
				memmap_inproc_release(inproc);
			const int fd = dup(0);
			assert_int_equal(fd, lowest_fd);
			close(fd);
			if (!err)
				break;
			assert_int_equal(err, -EPERM);
		}
		assert_in_range(nr, 1, 2);
	}
	memmap_inproc_host_hook = NULL;
}

/* Of the calls by that name, so many are refused. */
static const char *refused_call;
static _Atomic(int) nr_to_refuse, nr_refused;

static int refuse_some(const char *call)
{
	if (strcmp(call, refused_call) != 0 || nr_to_refuse == 0)
		return 0;
	nr_to_refuse--;
	nr_refused++;
	return -ENOMEM;
}

/* What the thread that serves faults needs: refused for a while, it delays a touch, and no more. */
static void test_refused_while_serving(void **state)
{
	(void)state;
	static const char *const calls[] = {"wait",  "read fault",   "wake",       "signal event",
					    "close", "copy watched", "clear event"};
	const int lowest_fd = dup(0);
	close(lowest_fd);
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		struct ending ending = {0};
		struct world w;
		int fds[2];
		refused_call = calls[i];
		nr_to_refuse = nr_refused = 0;
		memmap_inproc_host_hook = refuse_some;
		begin_watched(&w, (struct memmap_inproc_options){.on_fault = end_touch,
								 .context = &ending});
		const uint64_t a = w.base, hole = a + 100 * K;
		test_mm_set(&w.mm, 0, (struct test_vma){{a, a + 16 * K}, RW, &w.file, 0});
		fill_pipe(fds);
		(void)alarm(60); /* who is forgotten waits for ever */
		nr_to_refuse = 3;
		assert_int_equal(raw_read(fds[0], a + K, K), K);
		assert_int_equal(w.file.bytes[K], 'x');
		assert_int_equal(w.mm.nr_faults, 1);
		uint64_t value = 0;
		assert_true(try_touch(&ending, a + 9 * K, MEMMAP_READ, &value));
		assert_int_equal(value, 9 * K);
		assert_int_equal(raw_read(fds[0], hole, 8), -1);
		assert_int_equal(errno, EFAULT);
		/* Gone, one by one, and there again. */
		for (uint64_t page = a; page < a + 16 * K; page += K)
			unmap(&w, page, page + K);
		assert_true(try_touch(&ending, a + 9 * K, MEMMAP_READ, &value));
		assert_int_equal(value, 9 * K);
		assert_int_equal(raw_write(fds[1], a + 11 * K, 8), 8);
		assert_int_equal(memmap_inproc_verify(w.inproc), 0);
		/* The thread may be late. */
		for (int ms = 0; strcmp(refused_call, "clear event") == 0 && nr_to_refuse > 0;
		     ms++) {
			assert_in_range(ms, 0, 20000);
			usleep(1000);
		}
		close_pipe(fds);
		world_end(&w);
		(void)alarm(0);
		memmap_inproc_host_hook = NULL;
		assert_in_range(nr_refused, 2, 3);
		const int fd = dup(0);
		assert_int_equal(fd, lowest_fd);
		close(fd);
	}
}

static _Atomic(bool) armed, held;
static _Atomic(int) nr_signals;

/* Once armed, the thread that serves goes on clearing when the region's end has begun. */
static int clear_late(const char *call)
{
	if (strcmp(call, "signal event") != 0)
		return 0;
	if (held) {
		nr_signals++;
	} else if (armed) {
		held = true;
		for (int ms = 0; nr_signals == 0 && ms < 5000; ms++)
			usleep(1000);
		usleep(20000);
	}
	return 0;
}

/* Pages that were refused are cleared by the thread that serves while that is to stop. */
static void test_end_while_clearing(void **state)
{
	(void)state;
	struct world w;
	int fds[2];
	armed = held = false;
	nr_signals = 0;
	memmap_inproc_host_hook = clear_late;
	begin_watched(&w, (struct memmap_inproc_options){0});
	(void)alarm(60);
	fill_pipe(fds);
	while (!held) {
		armed = false;
		assert_int_equal(raw_read(fds[0], w.base, 8), -1);
		assert_int_equal(raw_read(fds[0], w.base + 2 * K, 8), -1);
		armed = true;
		for (int ms = 0; !held && ms < 100; ms++)
			usleep(1000);
	}
	close_pipe(fds);
	/* Not verified first: that would wait for the one that clears. */
	memmap_inproc_release(w.inproc);
	test_file_destroy(&w.file);
	(void)alarm(0);
	memmap_inproc_host_hook = NULL;
	assert_in_range(nr_signals, 2, 3);
}

/* Many threads that read(2) into the same pages, while these are taken away. */
static _Atomic(bool) stop;

static void *reader(void *arg)
{
	struct world *w = arg;
	const int zeros = open("/dev/zero", O_RDONLY | O_CLOEXEC);
	uint64_t i = 0;
	while (!stop) {
		const uint64_t addr = w->base + i++ % 16 * K + 100;
		if (raw_read(zeros, addr, 2 * K) != 2 * K)
			abort();
	}
	close(zeros);
	return NULL;
}

static void test_storm(void **state)
{
	(void)state;
	struct world w;
	begin_watched(&w, (struct memmap_inproc_options){0});
	test_mm_set(&w.mm, 0, (struct test_vma){{w.base, w.base + 32 * K}, RW, &w.file, 0});
	stop = false;
	pthread_t threads[3];
	for (int i = 0; i < 3; i++)
		assert_int_equal(pthread_create(&threads[i], NULL, reader, &w), 0);
	for (uint64_t i = 0; i < 2000; i++) {
		const uint64_t addr = w.base + i * 7 % 18 * K;
		unmap(&w, addr, addr + 3 * K);
	}
	stop = true;
	for (int i = 0; i < 3; i++)
		pthread_join(threads[i], NULL);
	world_end(&w);
}

int main(void)
{
	if (HAS_TSAN) {
		puts("skipped: threads wait for each other in the kernel here, which "
		     "ThreadSanitizer does "
		     "not see");
		return 77;
	}
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_without),
		cmocka_unit_test(test_with),
		cmocka_unit_test(test_permissions),
		cmocka_unit_test(test_budget),
		cmocka_unit_test(test_refused_by_the_kernel),
		cmocka_unit_test(test_refused_while_serving),
		cmocka_unit_test(test_end_while_clearing),
		cmocka_unit_test(test_storm),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
