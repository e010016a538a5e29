/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies on write, by the most that one fault may copy: a page after the other, and at random.
 *
 * All pages of 16 MiB are written, a fork is made, and its parent writes them once more; that alone
 * is measured. Rows differ in fault_around, which bounds what a fault copies; with one page a fault
 * copies one page. The kernel's side copies one page at a fault, always. At random the order is a
 * permutation, the same on both sides.
 */
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memmap/memory_file.h>
#include <memmap/platform_inproc.h>
#include <memmap/platform_soft.h>

#include "bench_mm.h"

/* The page that is written as the i-th. */
static uint64_t page_at(const struct row *row, uint64_t i)
{
	/* n is a power of two, and so all of them come by. */
	return row->at_random ? (i * UINT64_C(0x9e3779b1) + 12345) & (row->n - 1) : i;
}

/* An address space on a platform, one of them, and its pages, all of which were written. */
struct space {
	struct memmap_memory_file *memory;
	struct memmap_inproc *inproc;
	struct memmap_soft *soft;
	struct memmap_soft_vcpu *vcpu;
	struct memmap_mm *mm;
	uint64_t pages;
};

static void write_to(const struct space *s, uint64_t addr)
{
	if (s->inproc) {
		(*(volatile char *)(uintptr_t)addr)++;
		return;
	}
	memmap_soft_poll(s->vcpu);
	bench_check(!memmap_soft_store_u64(s->vcpu, addr, addr), "memmap_soft_store_u64");
}

static void write_in_order_of(const struct space *s, const struct row *row)
{
	if (s->soft)
		memmap_soft_enter(s->vcpu);
	for (uint64_t i = 0; i < row->n; i++)
		write_to(s, s->pages + page_at(row, i) * PAGE);
	if (s->soft)
		memmap_soft_leave(s->vcpu);
}

static void make_platform(struct space *s, const struct row *row, bool inproc,
			  struct memmap_mm_options *options)
{
	const struct memmap_inproc_options inproc_options = {.length = (row->n + 4096) * PAGE * 2};

	if (!inproc) {
		bench_check(!memmap_soft_create(NULL, &s->soft) &&
				    !memmap_soft_vcpu_create(s->soft, &s->vcpu),
			    "memmap_soft_create");
		memmap_mm_layout_default(&options->layout);
		options->address_space = memmap_soft_address_space(s->soft);
		return;
	}
	bench_check(!memmap_inproc_create(&inproc_options, &s->inproc), "memmap_inproc_create");
	memmap_inproc_layout(s->inproc, &options->layout);
	options->address_space = memmap_inproc_address_space(s->inproc);
}

static double measure_ours(const struct row *row, bool inproc)
{
	const struct row in_order = {.n = row->n};
	struct memmap_mm_options options = {.fault_around = row->around};
	struct space s = {0};
	struct memmap_mm *child;
	double start, ns;
	int64_t at;

	memmap_mm_limits_default(&options.limits);
	bench_check(!memmap_memory_file_create(NULL, &s.memory), "memmap_memory_file_create");
	make_platform(&s, row, inproc, &options);
	options.memory_file = s.memory;
	bench_check(!memmap_mm_create(&options, &s.mm), "memmap_mm_create");
	if (inproc)
		memmap_inproc_set_faults(s.inproc, memmap_faults_of_mm(s.mm));
	else
		memmap_soft_set_faults(s.soft, memmap_faults_of_mm(s.mm));
	at = memmap_mm_sys_mmap(s.mm, 0, row->n * PAGE, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0, NULL);
	bench_check(at > 0, "mmap");
	s.pages = (uint64_t)at;
	write_in_order_of(&s, &in_order);
	bench_check(!memmap_mm_fork(s.mm, NULL, &child), "memmap_mm_fork");
	start = clocks_now().cpu;
	write_in_order_of(&s, row);
	ns = (clocks_now().cpu - start) / (double)row->n;
	memmap_mm_release(child);
	memmap_mm_release(s.mm);
	memmap_soft_vcpu_release(s.vcpu);
	memmap_soft_release(s.soft);
	memmap_inproc_release(s.inproc);
	memmap_memory_file_release(s.memory);
	return ns;
}

double copies_inproc(const struct row *row)
{
	return measure_ours(row, true);
}

double copies_soft(const struct row *row)
{
	return measure_ours(row, false);
}

static double measure_kernel(const struct row *row)
{
	volatile char *pages = mmap(NULL, row->n * PAGE, PROT_READ | PROT_WRITE,
				    MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	double start, ns;
	int ends[2];
	char byte;
	pid_t pid;

	bench_check(pages != MAP_FAILED && !pipe(ends), "the kernel's mmap");
	for (uint64_t i = 0; i < row->n; i++)
		pages[i * PAGE]++;
	pid = fork();
	if (pid == 0) {
		close(ends[1]);
		_exit(read(ends[0], &byte, 1) != 0);
	}
	start = clocks_now().cpu;
	for (uint64_t i = 0; i < row->n; i++)
		pages[page_at(row, i) * PAGE]++;
	ns = (clocks_now().cpu - start) / (double)row->n;
	close(ends[1]);
	bench_check(pid > 0 && waitpid(pid, NULL, 0) == pid, "fork");
	return ns;
}

double copies_kernel(const struct row *row)
{
	return bench_in_child(measure_kernel, row);
}
