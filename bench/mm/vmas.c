/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mmap + munmap among many VMAs: the calls of the address space beside the kernel's own.
 *
 * Both sides have the same VMAs: one range of one page each, every other one read-only, so that no
 * two merge. Ours is an address space of this process; the kernel's is that of a child process,
 * which measures itself and answers through a pipe.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "bench_mm.h"

#define AT       UINT64_C(0x200000000000)
#define NR_PAIRS 20000

uint64_t most_vmas(void)
{
	FILE *in = fopen("/proc/sys/vm/max_map_count", "re");
	unsigned long n = 65530;

	if (in) {
		if (fscanf(in, "%lu", &n) != 1)
			n = 65530;
		fclose(in);
	}
	return n;
}

/* ---- Ours ---- */

static struct memmap_mm *make_ours(uint64_t n)
{
	struct memmap_mm_options options = {0};
	struct memmap_mm *mm;

	memmap_mm_layout_default(&options.layout);
	memmap_mm_limits_default(&options.limits);
	options.limits.max_map_count = UINT32_MAX;
	bench_check(!memmap_mm_create(&options, &mm), "memmap_mm_create");
	for (uint64_t i = 0; i < n; i++)
		bench_check(
			memmap_mm_sys_mmap(mm, AT + i * PAGE, PAGE,
					   i % 2 ? PROT_READ : PROT_READ | PROT_WRITE,
					   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE,
					   NULL, 0, NULL) > 0,
			"mmap");
	return mm;
}

double pairs_ours(const struct row *row)
{
	struct memmap_mm *mm = make_ours(row->n);
	const double start = clocks_now().cpu;
	double ns;

	for (int i = 0; i < NR_PAIRS; i++) {
		const int64_t at = memmap_mm_sys_mmap(mm, 0, 4 * PAGE, PROT_READ | PROT_WRITE,
						      MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0, NULL);

		bench_check(at > 0 && !memmap_mm_sys_munmap(mm, (uint64_t)at, 4 * PAGE), "pair");
	}
	ns = (clocks_now().cpu - start) / NR_PAIRS;
	memmap_mm_release(mm);
	return ns;
}

/* Over a page somewhere in the midst: what was there is replaced, unmapped, and put back. */
double pairs_fixed_ours(const struct row *row)
{
	struct memmap_mm *mm = make_ours(row->n);
	uint64_t random = 42;
	double start, ns;

	start = clocks_now().cpu;
	for (int i = 0; i < NR_PAIRS; i++) {
		const uint64_t nr = bench_random(&random) % row->n;
		const int prot = nr % 2 ? PROT_READ : PROT_READ | PROT_WRITE;

		bench_check(!memmap_mm_sys_munmap(mm, AT + nr * PAGE, PAGE), "munmap");
		bench_check(
			memmap_mm_sys_mmap(mm, AT + nr * PAGE, PAGE, (uint64_t)prot,
					   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE,
					   NULL, 0, NULL) > 0,
			"mmap");
	}
	ns = (clocks_now().cpu - start) / NR_PAIRS;
	memmap_mm_release(mm);
	return ns;
}

/* ---- The kernel's ---- */

static double measure_kernel(const struct row *row, bool fixed)
{
	const uint64_t most = most_vmas() - 100;
	const uint64_t n = row->n < most ? row->n : most;
	uint64_t random = 42;
	double start;

	for (uint64_t i = 0; i < n; i++)
		bench_check(mmap((char *)AT + i * PAGE, PAGE,
				 i % 2 ? PROT_READ : PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1,
				 0) != MAP_FAILED,
			    "the kernel's mmap");
	start = clocks_now().cpu;
	for (int i = 0; i < NR_PAIRS; i++) {
		const uint64_t nr = bench_random(&random) % n;
		const int prot = nr % 2 ? PROT_READ : PROT_READ | PROT_WRITE;
		char *at = (char *)AT + nr * PAGE;

		if (fixed) {
			bench_check(!munmap(at, PAGE) && mmap(at, PAGE, prot,
							      MAP_PRIVATE | MAP_ANONYMOUS |
								      MAP_FIXED | MAP_NORESERVE,
							      -1, 0) == at,
				    "the kernel's pair");
		} else {
			at = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			bench_check(at != MAP_FAILED && !munmap(at, 4 * PAGE), "the kernel's pair");
		}
	}
	return (clocks_now().cpu - start) / NR_PAIRS;
}

static double measure_chosen(const struct row *row)
{
	return measure_kernel(row, false);
}

static double measure_fixed(const struct row *row)
{
	return measure_kernel(row, true);
}

double pairs_kernel(const struct row *row)
{
	return bench_in_child(measure_chosen, row);
}

double pairs_fixed_kernel(const struct row *row)
{
	return bench_in_child(measure_fixed, row);
}
