/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What touching memory for the first time costs on each platform, against the kernel's own faults; and
 * what a translation in software costs once it is known.
 *
 *	bench_platform [ROUNDS]
 *
 * The contestants take turns in each round, beginning with another one each time. A ratio is taken
 * within a round, and the median over the rounds is shown, so that what else the machine does cancels.
 * The noise is half the spread of the middle half of a contestant's times: below it a difference says
 * nothing. Times are CPU time of the thread.
 *
 * Every contestant touches each page once, with a store. First of memory that is there and only has to
 * be mapped: what a fault alone costs. "Its own" faults are a handler that maps a run of that many bytes
 * around the touch: the platform without an address space. Then of fresh memory, which has to be
 * allocated and zeroed, too: "address space" is all of memmap, anonymous private memory of a memmap_mm
 * with the memory file below it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <memmap/error.h>
#include <memmap/memory_file.h>
#include <memmap/mm.h>
#include <memmap/platform_inproc.h>
#include <memmap/platform_soft.h>

#define PAGE       UINT64_C(4096)
#define NR_PAGES   UINT64_C(4096)
#define LENGTH     (NR_PAGES * PAGE)
#define MAX_ROUNDS 101

static void die(const char *what, int err)
{
	fprintf(stderr, "bench_platform: %s: %s\n", what, memmap_strerror(err));
	exit(1);
}

static double now(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec * 1e9 + (double)t.tv_nsec;
}

/* ---- Orders of touching ---- */

static uint64_t in_order[NR_PAGES], at_random[NR_PAGES];

static void make_orders(void)
{
	uint64_t x = 42;
	for (uint64_t i = 0; i < NR_PAGES; i++)
		in_order[i] = at_random[i] = i * PAGE;
	for (uint64_t i = NR_PAGES - 1; i > 0; i--) {
		x = x * 6364136223846793005 + 1442695040888963407;
		const uint64_t j = (x >> 33) % (i + 1);
		const uint64_t other = at_random[j];
		at_random[j] = at_random[i];
		at_random[i] = other;
	}
}

static double touch(uint64_t base, const uint64_t *order)
{
	const double start = now();
	for (uint64_t i = 0; i < NR_PAGES; i++)
		*(volatile uint64_t *)memmap_pointer_of_(base + order[i]) = i;
	return (now() - start) / (double)NR_PAGES;
}

static double touch_soft(struct memmap_soft_vcpu *vcpu, uint64_t base, const uint64_t *order)
{
	const double start = now();
	memmap_soft_enter(vcpu);
	for (uint64_t i = 0; i < NR_PAGES; i++) {
		memmap_soft_poll(vcpu);
		int err = memmap_soft_store_u64(vcpu, base + order[i], i);
		if (err)
			die("store", err);
	}
	memmap_soft_leave(vcpu);
	return (now() - start) / (double)NR_PAGES;
}

/* ---- A File, and faults served from it ---- */

struct memory {
	struct memmap_file file;
	int fd;
	char *bytes;
	/* Its own faults. */
	struct memmap_address_space *as;
	uint64_t base, run;
};

static void no_ref(struct memmap_file *file, struct memmap_file_range fr)
{
	(void)file;
	(void)fr;
}

static void no_inc_ref(struct memmap_file *file, struct memmap_file_range fr, uint32_t cg)
{
	(void)cg;
	no_ref(file, fr);
}

static int map_internal(struct memmap_file *file, struct memmap_file_range fr, memmap_access at,
			struct memmap_block_seq *out)
{
	(void)at;
	*out = memmap_block_seq_of(
		memmap_block_safe(((struct memory *)file)->bytes + fr.start, fr.end - fr.start));
	return 0;
}

static int fd_of(struct memmap_file *file)
{
	return ((struct memory *)file)->fd;
}

static const struct memmap_file_ops file_ops = {
	.inc_ref = no_inc_ref,
	.dec_ref = no_ref,
	.map_internal = map_internal,
	.fd = fd_of,
};

static void memory_begin(struct memory *m)
{
	*m = (struct memory){.file.ops = &file_ops};
	m->fd = memfd_create("bench", MFD_CLOEXEC);
	if (m->fd < 0 || ftruncate(m->fd, (off_t)LENGTH) != 0)
		die("memfd_create", -errno);
	m->bytes = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_SHARED, m->fd, 0);
	if (m->bytes == MAP_FAILED)
		die("mmap", -errno);
}

static void memory_end(struct memory *m)
{
	munmap(m->bytes, LENGTH);
	close(m->fd);
}

static int own_fault(void *context, uint64_t addr, memmap_access at, enum memmap_fault_code *code)
{
	struct memory *m = context;
	(void)at;
	(void)code;
	const uint64_t offset = (addr - m->base) & ~(m->run - 1);
	const struct memmap_file_range fr = {offset, offset + m->run};
	return memmap_address_space_map_file(m->as, m->base + offset, &m->file, fr,
					     MEMMAP_READ_WRITE, true);
}

/* ---- The contestants ---- */

static double native_anonymous(uint64_t unused, const uint64_t *order)
{
	(void)unused;
	char *p = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (p == MAP_FAILED)
		die("mmap", -errno);
	(void)madvise(p, LENGTH, MADV_NOHUGEPAGE);
	const double ns = touch((uintptr_t)p, order);
	munmap(p, LENGTH);
	return ns;
}

/* Through a new mapping of memory that is there; or with a system call for all of it: the limit. */
static struct memory present;

static double touch_mapped(struct memory *m, bool populate, const uint64_t *order)
{
	const double start = now();
	char *p = mmap(NULL, LENGTH, PROT_READ | PROT_WRITE,
		       MAP_SHARED | (populate ? MAP_POPULATE : 0), m->fd, 0);
	const double mapped = (now() - start) / (double)NR_PAGES;
	if (p == MAP_FAILED)
		die("mmap", -errno);
	const double ns = touch((uintptr_t)p, order);
	munmap(p, LENGTH);
	return mapped + ns;
}

static double native_present(uint64_t populate, const uint64_t *order)
{
	return touch_mapped(&present, populate, order);
}

static double native_memfd(uint64_t populate, const uint64_t *order)
{
	struct memory m;
	memory_begin(&m);
	const double ns = touch_mapped(&m, populate, order);
	memory_end(&m);
	return ns;
}

static double inproc_own(uint64_t run, const uint64_t *order)
{
	static const struct memmap_inproc_options options = {.length = 2 * LENGTH};
	struct memory *m = &present;
	struct memmap_inproc *inproc;
	int err = memmap_inproc_create(&options, &inproc);
	if (err)
		die("inproc", err);
	m->run = run;
	m->as = memmap_inproc_address_space(inproc);
	m->base = (memmap_inproc_range(inproc).start + run - 1) & ~(run - 1);
	memmap_inproc_set_faults(inproc, (struct memmap_faults){own_fault, m});
	const double ns = touch(m->base, order);
	memmap_inproc_release(inproc);
	return ns;
}

static double soft_own(uint64_t run, const uint64_t *order)
{
	struct memory *m = &present;
	struct memmap_soft *soft;
	struct memmap_soft_vcpu *vcpu;
	int err = memmap_soft_create(NULL, &soft);
	if (!err)
		err = memmap_soft_vcpu_create(soft, &vcpu);
	if (err)
		die("soft", err);
	m->run = run;
	m->as = memmap_soft_address_space(soft);
	m->base = UINT64_C(1) << 40;
	memmap_soft_set_faults(soft, (struct memmap_faults){own_fault, m});
	const double ns = touch_soft(vcpu, m->base, order);
	memmap_soft_vcpu_release(vcpu);
	memmap_soft_release(soft);
	return ns;
}

/* Anonymous private memory of an address space. */
static uint64_t mm_begin(struct memmap_mm_options *options, struct memmap_mm **mm)
{
	memmap_mm_limits_default(&options->limits);
	int err = memmap_memory_file_create(NULL, &options->memory_file);
	if (!err)
		err = memmap_mm_create(options, mm);
	if (err)
		die("address space", err);
	const int64_t at = memmap_mm_sys_mmap(*mm, 0, LENGTH, PROT_READ | PROT_WRITE,
					      MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0, NULL);
	if (at < 0)
		die("mmap", (int)at);
	return (uint64_t)at;
}

static double inproc_mm(uint64_t fault_around, const uint64_t *order)
{
	static const struct memmap_inproc_options inproc_options = {.length = 4 * LENGTH};
	struct memmap_mm_options options = {.fault_around = fault_around};
	struct memmap_mm *mm;
	struct memmap_inproc *inproc;
	int err = memmap_inproc_create(&inproc_options, &inproc);
	if (err)
		die("inproc", err);
	memmap_inproc_layout(inproc, &options.layout);
	options.address_space = memmap_inproc_address_space(inproc);
	const uint64_t base = mm_begin(&options, &mm);
	memmap_inproc_set_faults(inproc, memmap_faults_of_mm(mm));
	const double ns = touch(base, order);
	memmap_mm_release(mm);
	memmap_inproc_release(inproc);
	memmap_memory_file_release(options.memory_file);
	return ns;
}

static double soft_mm(uint64_t fault_around, const uint64_t *order)
{
	struct memmap_mm_options options = {.fault_around = fault_around};
	struct memmap_mm *mm;
	struct memmap_soft *soft;
	struct memmap_soft_vcpu *vcpu;
	int err = memmap_soft_create(NULL, &soft);
	if (!err)
		err = memmap_soft_vcpu_create(soft, &vcpu);
	if (err)
		die("soft", err);
	memmap_mm_layout_default(&options.layout);
	options.address_space = memmap_soft_address_space(soft);
	const uint64_t base = mm_begin(&options, &mm);
	memmap_soft_set_faults(soft, memmap_faults_of_mm(mm));
	const double ns = touch_soft(vcpu, base, order);
	memmap_soft_vcpu_release(vcpu);
	memmap_mm_release(mm);
	memmap_soft_release(soft);
	memmap_memory_file_release(options.memory_file);
	return ns;
}

struct contestant {
	const char *name;
	double (*run)(uint64_t parameter, const uint64_t *order);
	uint64_t parameter;
};

/* The base of all ratios is the first. */
static const struct contestant of_present[] = {
	{"kernel: shared memfd", native_present, false},
	{"kernel: populated by one call (the limit)", native_present, true},
	{"inproc, its own faults of 4 KiB", inproc_own, PAGE},
	{"inproc, its own faults of 64 KiB", inproc_own, 16 * PAGE},
	{"inproc, its own faults of 2 MiB", inproc_own, 512 * PAGE},
	{"soft, its own faults of 4 KiB", soft_own, PAGE},
	{"soft, its own faults of 64 KiB", soft_own, 16 * PAGE},
	{0},
};
static const struct contestant of_fresh[] = {
	{"kernel: anonymous memory", native_anonymous, 0},
	{"kernel: shared memfd", native_memfd, false},
	{"kernel: memfd populated by one call (the limit)", native_memfd, true},
	{"inproc, address space", inproc_mm, 0},
	{"inproc, address space, fault_around 2 MiB", inproc_mm, 512 * PAGE},
	{"soft, address space", soft_mm, 0},
	{0},
};
#define MAX_CONTESTANTS 8

/* ---- Figures ---- */

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

/* The median of `n` numbers; `*spread` is half of what the middle half of them spans. */
static double median(const double *numbers, int n, double *spread)
{
	double sorted[MAX_ROUNDS];
	memcpy(sorted, numbers, (size_t)n * sizeof(*sorted));
	qsort(sorted, (size_t)n, sizeof(*sorted), compare);
	if (spread)
		*spread = (sorted[n * 3 / 4] - sorted[n / 4]) / 2;
	return sorted[n / 2];
}

static void faults(int rounds, const char *title, const struct contestant *who,
		   const uint64_t *order)
{
	static double ns[MAX_CONTESTANTS][MAX_ROUNDS];
	size_t nr = 0;
	while (who[nr].name)
		nr++;
	for (int round = -1; round < rounds; round++) {
		for (size_t k = 0; k < nr; k++) {
			/* Another one begins each time; what the first round finds cold is not counted. */
			const size_t i = (k + (size_t)(round + 1)) % nr;
			ns[i][round < 0 ? 0 : round] = who[i].run(who[i].parameter, order);
		}
	}
	printf("| %s | ns a page | noise | against the first |\n|---|---:|---:|---:|\n", title);
	for (size_t i = 0; i < nr; i++) {
		double ratios[MAX_ROUNDS], spread;
		for (int round = 0; round < rounds; round++)
			ratios[round] = ns[i][round] / ns[0][round];
		const double mid = median(ns[i], rounds, &spread);
		printf("| %s | %.0f | %.0f %% | %.2f |\n", who[i].name, mid, 100 * spread / mid,
		       median(ratios, rounds, NULL));
	}
	printf("\n");
	(void)fflush(stdout);
}

/* ---- Translations that are known ---- */

#define NR_LOADS (UINT64_C(1) << 20)

/* Loads from the `span` first pages, in an order that is not theirs; through `vcpu`, or plainly. */
static double loads(struct memmap_soft_vcpu *vcpu, uint64_t base, uint64_t span, uint64_t *sum)
{
	uint32_t value = 0;
	uint64_t at = 0, total = 0;
	const double start = now();
	if (vcpu)
		memmap_soft_enter(vcpu);
	for (uint64_t i = 0; i < NR_LOADS; i++) {
		at = (at + 37 * PAGE + 64) & (span * PAGE - 1);
		if (!vcpu)
			value = *(volatile uint32_t *)memmap_pointer_of_(base + at);
		else if (memmap_soft_load_u32(vcpu, base + at, &value))
			die("load", -EFAULT);
		total += value;
	}
	if (vcpu)
		memmap_soft_leave(vcpu);
	*sum += total;
	return (now() - start) / (double)NR_LOADS;
}

static void translations(int rounds)
{
	static const uint64_t spans[] = {1, 16, 256, 4096};
	static double plain[4][MAX_ROUNDS], soft[4][MAX_ROUNDS], sections[MAX_ROUNDS];
	struct memory *m = &present;
	struct memmap_soft *platform;
	struct memmap_soft_vcpu *vcpu;
	uint64_t sum = 0;
	m->run = 512 * PAGE;
	int err = memmap_soft_create(NULL, &platform);
	if (!err)
		err = memmap_soft_vcpu_create(platform, &vcpu);
	if (err)
		die("soft", err);
	m->as = memmap_soft_address_space(platform);
	m->base = UINT64_C(1) << 40;
	memmap_soft_set_faults(platform, (struct memmap_faults){own_fault, m});
	for (int round = -1; round < rounds; round++) {
		const int at = round < 0 ? 0 : round;
		for (int i = 0; i < 4; i++) {
			plain[i][at] = loads(NULL, (uintptr_t)m->bytes, spans[i], &sum);
			soft[i][at] = loads(vcpu, m->base, spans[i], &sum);
		}
		const double start = now();
		for (int i = 0; i < 100000; i++) {
			memmap_soft_enter(vcpu);
			memmap_soft_leave(vcpu);
		}
		sections[at] = (now() - start) / 1e5;
	}
	printf("| soft: a 32-bit load, known | plain, ns | translated, ns | noise |\n"
	       "|---|---:|---:|---:|\n");
	for (int i = 0; i < 4; i++) {
		double spread;
		const double mid = median(soft[i], rounds, &spread);
		printf("| among %" PRIu64 " pages%s | %.1f | %.1f | %.0f %% |\n", spans[i],
		       spans[i] > MEMMAP_SOFT_TLB_ENTRIES ? " (the TLB misses)" : "",
		       median(plain[i], rounds, NULL), mid, 100 * spread / mid);
	}
	printf("| entering and leaving a section | | %.1f | |\n\n", median(sections, rounds, NULL));
	if (sum == 0)
		printf("(impossible)\n");
	memmap_soft_vcpu_release(vcpu);
	memmap_soft_release(platform);
}

int main(int argc, char **argv)
{
	const int rounds = argc > 1 ? atoi(argv[1]) : 15;
	if (argc > 2 || rounds < 3 || rounds > MAX_ROUNDS) {
		fprintf(stderr, "usage: bench_platform [ROUNDS (3 to %d)]\n", MAX_ROUNDS);
		return 2;
	}
	make_orders();
	printf("The platforms: CPU time, medians of %d rounds in which all take turns.\n\n",
	       rounds);
	memory_begin(&present);
	memset(present.bytes, 1, LENGTH);
	faults(rounds, "memory that is there, in order", of_present, in_order);
	faults(rounds, "memory that is there, at random", of_present, at_random);
	faults(rounds, "fresh memory, in order", of_fresh, in_order);
	faults(rounds, "fresh memory, at random", of_fresh, at_random);
	translations(rounds);
	memory_end(&present);
	return 0;
}
