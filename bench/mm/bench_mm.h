/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the address space's benchmark share. See main.c. */
#ifndef BENCH_MM_H
#define BENCH_MM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <memmap/allocator.h>
#include <memmap/mm.h>

#define PAGE UINT64_C(4096)

/* A reading of both clocks: CPU time of the process and of children that were waited for; and the
 * wall's. Nanoseconds. */
struct clocks {
	double cpu, wall;
};
struct clocks clocks_now(void);

/* One thing that is measured: once ours, once the kernel's, in turns. Nanoseconds an operation. */
struct row {
	const char *group, *name;
	const char *unit; /* what one operation is */
	double (*ours)(const struct row *row);
	double (*kernel)(const struct row *row); /* NULL: there is none */
	uint64_t n;                              /* the row's size */
	bool wall;                               /* wall time: it runs on several threads */
	bool at_random;                          /* in what order pages are written */
	uint64_t around;                         /* fault_around; 0: the default */
	uint64_t needs;                          /* bytes that must be available; 0: few */
};

uint64_t bench_random(uint64_t *state);
/* Say what went wrong and leave. */
void bench_die(const char *what) __attribute__((noreturn));
void bench_check(bool good, const char *what);

/* Measure in a child process, which has an address space of its own. */
double bench_in_child(double (*measure)(const struct row *row), const struct row *row);

/* ---- vmas.c: mapping and unmapping among many VMAs ---- */

double pairs_ours(const struct row *row);
double pairs_kernel(const struct row *row);
double pairs_fixed_ours(const struct row *row);
double pairs_fixed_kernel(const struct row *row);
/* How many VMAs a process may have here. */
uint64_t most_vmas(void);

/* ---- memory.c: what a VMA and a page take ---- */

void report_memory(void);

/* ---- pages.c: fork, copy-on-write, storms ---- */

double fork_ours(const struct row *row);
double fork_kernel(const struct row *row);
double copy_ours(const struct row *row);
double copy_kernel(const struct row *row);
double storm_ours(const struct row *row);
double storm_kernel(const struct row *row);

/* ---- copies.c: copies on write, by how much is copied at once ---- */

double copies_inproc(const struct row *row);
double copies_soft(const struct row *row);
double copies_kernel(const struct row *row);

#endif /* BENCH_MM_H */
