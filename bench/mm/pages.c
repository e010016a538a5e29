/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Forks, copies on write, and both at once on two threads.
 *
 * Ours is an address space on the inproc platform, whose memory the processor itself touches; its
 * child is no process, and has no platform: it is touched from outside. The kernel's side is a
 * process of its own, which forks, so that nothing of the benchmark's is copied along; it is the
 * parent that writes, on both sides.
 */
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memmap/memory_file.h>
#include <memmap/mm_access.h>
#include <memmap/platform_inproc.h>

#include "bench_mm.h"

#define NR_STORMS      100
#define TOUCHED        64 /* pages of a child, in a storm */
#define NR_STORM_PAGES 4096

/* How many forks are measured at once: many of what is small. */
static int nr_forks(const struct row *row)
{
	return row->n < 10000 ? 20 : 2;
}

/* ---- Ours ---- */

struct ours {
	struct memmap_memory_file *memory;
	struct memmap_inproc *inproc;
	struct memmap_mm *mm;
	char *pages;
	uint64_t nr;
};

static void write_all(char *pages, uint64_t nr)
{
	for (uint64_t i = 0; i < nr; i++)
		((volatile char *)pages)[i * PAGE]++;
}

static struct ours make_ours(uint64_t nr)
{
	struct memmap_inproc_options inproc = {.length = (nr + 4096) * PAGE * 2};
	struct memmap_mm_options options = {0};
	struct ours o = {.nr = nr};
	int64_t at;

	memmap_mm_limits_default(&options.limits);
	bench_check(!memmap_memory_file_create(NULL, &o.memory), "memmap_memory_file_create");
	bench_check(!memmap_inproc_create(&inproc, &o.inproc), "memmap_inproc_create");
	memmap_inproc_layout(o.inproc, &options.layout);
	options.memory_file = o.memory;
	options.address_space = memmap_inproc_address_space(o.inproc);
	bench_check(!memmap_mm_create(&options, &o.mm), "memmap_mm_create");
	memmap_inproc_set_faults(o.inproc, memmap_faults_of_mm(o.mm));
	at = memmap_mm_sys_mmap(o.mm, 0, nr * PAGE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0, NULL);
	bench_check(at > 0, "mmap");
	o.pages = (char *)(uintptr_t)at;
	write_all(o.pages, nr);
	return o;
}

static void drop_ours(struct ours *o)
{
	memmap_mm_release(o->mm);
	memmap_inproc_release(o->inproc);
	memmap_memory_file_release(o->memory);
}

double fork_ours(const struct row *row)
{
	struct ours o = make_ours(row->n);
	const double start = clocks_now().cpu;
	double ns;

	for (int i = 0; i < nr_forks(row); i++) {
		struct memmap_mm *child;

		bench_check(!memmap_mm_fork(o.mm, NULL, &child), "memmap_mm_fork");
		memmap_mm_release(child);
	}
	ns = (clocks_now().cpu - start) / nr_forks(row);
	drop_ours(&o);
	return ns;
}

double copy_ours(const struct row *row)
{
	struct ours o = make_ours(row->n);
	const double start = clocks_now().cpu;
	struct memmap_mm *child;
	double ns;

	bench_check(!memmap_mm_fork(o.mm, NULL, &child), "memmap_mm_fork");
	write_all(o.pages, o.nr);
	ns = (clocks_now().cpu - start) / (double)row->n;
	memmap_mm_release(child);
	drop_ours(&o);
	return ns;
}

static void *storm_of_ours(void *arg)
{
	const struct ours *o = arg;

	for (int i = 0; i < NR_STORMS; i++) {
		struct memmap_mm *child;

		bench_check(!memmap_mm_fork(o->mm, NULL, &child), "memmap_mm_fork");
		for (uint64_t page = 0; page < TOUCHED; page++) {
			const uint64_t at = (uint64_t)(uintptr_t)o->pages +
					    (page * 61 + (uint64_t)i) % o->nr * PAGE;

			bench_check(!memmap_mm_copy_out(child, at, &page, sizeof(page), NULL, NULL),
				    "memmap_mm_copy_out");
		}
		memmap_mm_release(child);
	}
	return NULL;
}

static double on_two_threads(void *(*fn)(void *), void *arg)
{
	const double start = clocks_now().wall;
	pthread_t threads[2];

	for (int i = 0; i < 2; i++)
		bench_check(!pthread_create(&threads[i], NULL, fn, arg), "pthread_create");
	for (int i = 0; i < 2; i++)
		pthread_join(threads[i], NULL);
	return (clocks_now().wall - start) / (2.0 * NR_STORMS);
}

double storm_ours(const struct row *row)
{
	struct ours o = make_ours(NR_STORM_PAGES);
	const double ns = on_two_threads(storm_of_ours, &o);

	(void)row;
	drop_ours(&o);
	return ns;
}

/* ---- The kernel's ---- */

static char *make_kernels(uint64_t nr)
{
	char *pages =
		mmap(NULL, nr * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	bench_check(pages != MAP_FAILED, "the kernel's mmap");
	write_all(pages, nr);
	return pages;
}

static double measure_fork(const struct row *row)
{
	double start;

	(void)make_kernels(row->n);
	start = clocks_now().cpu;
	for (int i = 0; i < nr_forks(row); i++) {
		const pid_t pid = fork();

		if (pid == 0)
			_exit(0);
		bench_check(pid > 0 && waitpid(pid, NULL, 0) == pid, "fork");
	}
	return (clocks_now().cpu - start) / nr_forks(row);
}

double fork_kernel(const struct row *row)
{
	return bench_in_child(measure_fork, row);
}

static double measure_copy(const struct row *row)
{
	char *pages = make_kernels(row->n), byte;
	int ends[2];
	double start, ns;
	pid_t pid;

	bench_check(!pipe(ends), "pipe");
	start = clocks_now().cpu;
	pid = fork();
	if (pid == 0) {
		close(ends[1]);
		_exit(read(ends[0], &byte, 1) != 0);
	}
	write_all(pages, row->n);
	ns = (clocks_now().cpu - start) / (double)row->n;
	close(ends[1]);
	bench_check(pid > 0 && waitpid(pid, NULL, 0) == pid, "fork");
	return ns;
}

double copy_kernel(const struct row *row)
{
	return bench_in_child(measure_copy, row);
}

static void *storm_of_kernels(void *arg)
{
	char *pages = arg;

	for (int i = 0; i < NR_STORMS; i++) {
		const pid_t pid = fork();

		for (uint64_t page = 0; pid == 0 && page < TOUCHED; page++)
			((volatile char *)
				 pages)[(page * 61 + (uint64_t)i) % NR_STORM_PAGES * PAGE]++;
		if (pid == 0)
			_exit(0);
		bench_check(pid > 0 && waitpid(pid, NULL, 0) == pid, "fork");
	}
	return NULL;
}

static double measure_storm(const struct row *row)
{
	(void)row;
	return on_two_threads(storm_of_kernels, make_kernels(NR_STORM_PAGES));
}

double storm_kernel(const struct row *row)
{
	return bench_in_child(measure_storm, row);
}
