/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The address space beside the kernel's own: what calls, forks, copies and touches cost.
 *
 *   bench_mm [--rounds=N] [--only=WHAT]      (a group: pairs, pages, copies, memory; or a part of a
 *                                            row's name)
 *
 * Each row is measured on both sides by turns, first one side first, then the other, so that
 * whatever else the machine does meets both. CPU time (of children too); wall time where several
 * threads run. The ratio is taken within each round and its median shown; the noise is half the
 * spread of the middle half of the ratios, against their median: a difference below it says
 * nothing. Last comes what VMAs and pages take in memory.
 *
 * Exit status: 0; 1: something could not be measured; 2: wrong usage.
 */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench_mm.h"

#define MOST_ROUNDS 100
#define GIB         UINT64_C(262144) /* pages */

#define ROW(group_, name_, unit_, ours_, kernel_, n_, ...)                                         \
	{                                                                                          \
		.group = (group_), .name = (name_), .unit = (unit_), .ours = (ours_),              \
		.kernel = (kernel_), .n = (n_), __VA_ARGS__                                        \
	}
#define PAIRS(name, kind, n) ROW("pairs", name, "a pair", kind##_ours, kind##_kernel, n, )
/* Copies on write of 16 MiB, in order and at random. */
#define COPIES(what, ours, pages)                                                                  \
	ROW("copies", "in order, " what, "a page", ours, copies_kernel, 4096,                      \
	    .around = (pages)*PAGE),                                                               \
		ROW("copies", "at random, " what, "a page", ours, copies_kernel, 4096,             \
		    .around = (pages)*PAGE, .at_random = true)

static const struct row rows[] = {
	PAIRS("mmap + munmap among 10", pairs, 10),
	PAIRS("mmap + munmap among 1,000", pairs, 1000),
	PAIRS("mmap + munmap among 100,000", pairs, 100000),
	PAIRS("in their midst, among 10", pairs_fixed, 10),
	PAIRS("in their midst, among 1,000", pairs_fixed, 1000),
	PAIRS("in their midst, among 100,000", pairs_fixed, 100000),
	ROW("pages", "fork 16 MiB", "a fork", fork_ours, fork_kernel, 4096, ),
	ROW("pages", "fork 1 GiB", "a fork", fork_ours, fork_kernel, GIB, .needs = 2 * GIB * PAGE),
	ROW("pages", "fork 1 GiB, then write it all", "a page", copy_ours, copy_kernel, GIB,
	    .needs = 4 * GIB * PAGE),
	ROW("pages", "two threads fork 16 MiB and write 64 pages", "a fork", storm_ours,
	    storm_kernel, 0, .wall = true),
	COPIES("inproc, 1 page a fault at most", copies_inproc, 1),
	COPIES("inproc, 2 pages", copies_inproc, 2),
	COPIES("inproc, 4 pages", copies_inproc, 4),
	COPIES("inproc, 8 pages", copies_inproc, 8),
	COPIES("inproc, 16 pages (the default)", copies_inproc, 16),
	COPIES("inproc, 64 pages", copies_inproc, 64),
	COPIES("soft, 1 page a fault at most", copies_soft, 1),
	COPIES("soft, 2 pages", copies_soft, 2),
	COPIES("soft, 4 pages", copies_soft, 4),
	COPIES("soft, 8 pages", copies_soft, 8),
	COPIES("soft, 16 pages (the default)", copies_soft, 16),
	COPIES("soft, 64 pages", copies_soft, 64),
};
#define NR_ROWS (sizeof(rows) / sizeof(*rows))

void bench_die(const char *what)
{
	fflush(stdout);
	fprintf(stderr, "bench_mm: ");
	perror(what);
	exit(1);
}

void bench_check(bool good, const char *what)
{
	if (!good)
		bench_die(what);
}

uint64_t bench_random(uint64_t *state)
{
	uint64_t z = (*state += UINT64_C(0x9e3779b97f4a7c15));

	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static double nanoseconds(clockid_t clock)
{
	struct timespec t;

	(void)clock_gettime(clock, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

struct clocks clocks_now(void)
{
	struct rusage children;

	(void)getrusage(RUSAGE_CHILDREN, &children);
	return (struct clocks){
		.cpu = nanoseconds(CLOCK_PROCESS_CPUTIME_ID) +
		       (double)(children.ru_utime.tv_sec + children.ru_stime.tv_sec) * 1e9 +
		       (double)(children.ru_utime.tv_usec + children.ru_stime.tv_usec) * 1e3,
		.wall = nanoseconds(CLOCK_MONOTONIC),
	};
}

double bench_in_child(double (*measure)(const struct row *row), const struct row *row)
{
	double ns = 0;
	int ends[2], status;
	pid_t pid;

	bench_check(!pipe(ends), "pipe");
	fflush(stdout);
	pid = fork();
	bench_check(pid >= 0, "fork");
	if (pid == 0) {
		ns = measure(row);
		_exit(write(ends[1], &ns, sizeof(ns)) != (ssize_t)sizeof(ns));
	}
	close(ends[1]);
	bench_check(read(ends[0], &ns, sizeof(ns)) == (ssize_t)sizeof(ns), "the child's answer");
	close(ends[0]);
	bench_check(waitpid(pid, &status, 0) == pid && !status, "the child");
	return ns;
}

static int compare_doubles(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* The value below which this part of them lies. They are sorted. */
static double quantile(const double *values, unsigned int n, double part)
{
	return values[(unsigned int)(part * (double)(n - 1) + 0.5)];
}

static void measure(const struct row *row, unsigned int rounds)
{
	double ours[MOST_ROUNDS], kernel[MOST_ROUNDS], ratio[MOST_ROUNDS];

	for (unsigned int i = 0; i < rounds; i++) {
		if (i % 2)
			ours[i] = row->ours(row);
		kernel[i] = row->kernel(row);
		if (i % 2 == 0)
			ours[i] = row->ours(row);
		ratio[i] = ours[i] / kernel[i];
	}
	qsort(ours, rounds, sizeof(*ours), compare_doubles);
	qsort(kernel, rounds, sizeof(*kernel), compare_doubles);
	qsort(ratio, rounds, sizeof(*ratio), compare_doubles);
	printf("| %s | %s%s | %.0f | %.0f | %.2fx | %.0f %% |\n", row->name, row->unit,
	       row->wall ? ", wall" : "", quantile(ours, rounds, 0.5),
	       quantile(kernel, rounds, 0.5), quantile(ratio, rounds, 0.5),
	       (quantile(ratio, rounds, 0.75) - quantile(ratio, rounds, 0.25)) / 2 /
		       quantile(ratio, rounds, 0.5) * 100);
	fflush(stdout);
}

/* Is there memory enough? Says so when not. */
static bool is_possible(const struct row *row)
{
	FILE *in = fopen("/proc/meminfo", "re");
	unsigned long available = 0;
	char line[128];

	while (in && !available && fgets(line, sizeof(line), in))
		(void)sscanf(line, "MemAvailable: %lu", &available);
	if (in)
		fclose(in);
	if (!in || available >= row->needs >> 10)
		return true;
	printf("| %s | left out: %llu MiB of memory are too few | | | | |\n", row->name,
	       (unsigned long long)available >> 10);
	return false;
}

static void usage(void)
{
	fprintf(stderr, "usage: bench_mm [--rounds=N] [--only=WHAT]\n");
	exit(2);
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{"rounds", required_argument, NULL, 'r'},
		{"only", required_argument, NULL, 'o'},
		{NULL, 0, NULL, 0},
	};
	unsigned int rounds = 7;
	const char *only = NULL;
	int option;

	while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		if (option == 'r')
			rounds = (unsigned int)strtoul(optarg, NULL, 10);
		else if (option == 'o')
			only = optarg;
		else
			usage();
	}
	if (optind < argc || rounds < 1 || rounds > MOST_ROUNDS)
		usage();
	printf("Address spaces: nanoseconds an operation, medians of %u rounds, both sides taking "
	       "turns.\n",
	       rounds);
	if (most_vmas() < 100100)
		printf("A process may have no more than %llu VMAs here: that is what Linux has in "
		       "place of 100,000.\n",
		       (unsigned long long)most_vmas());
	printf("\n| | | memmap | Linux | ratio | noise |\n|---|---|---:|---:|---:|---:|\n");
	for (size_t i = 0; i < NR_ROWS; i++)
		if ((!only || !strcmp(only, rows[i].group) || strstr(rows[i].name, only)) &&
		    is_possible(&rows[i]))
			measure(&rows[i], rounds);
	if (!only || !strcmp(only, "memory"))
		report_memory();
	return 0;
}
