/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a page of the memory file, of shared memory, of a host file and of a pager costs, beside what
 * the kernel takes for the nearest thing. Prints a table of nanoseconds of processor time an operation:
 * medians of rounds that take turns.
 */
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <memmap/arch.h>
#include <memmap/host_file.h>
#include <memmap/memory_file.h>
#include <memmap/pager.h>
#include <memmap/shared_memory.h>

#define PAGE   MEMMAP_PAGE_SIZE
#define ROUNDS 7
#define NR     4096 /* pages that most rows go over */

static struct memmap_memory_file *mf;
static struct memmap_file *file;
static uint64_t checksum;

/* Processor time of all threads: the machine may have other work. */
static double now(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static void must(int err)
{
	if (err) {
		fprintf(stderr, "bench: failed with %d\n", err);
		exit(1);
	}
}

static struct memmap_file_range allocate(uint64_t length)
{
	static const struct memmap_allocate_opts opts = {.kind = MEMMAP_MEMORY_ANONYMOUS};
	struct memmap_file_range fr;
	must(memmap_memory_file_allocate(mf, length, &opts, &fr));
	return fr;
}

static char *bytes(struct memmap_file_range fr)
{
	struct memmap_block_seq seq;
	must(memmap_file_map_internal(file, fr, MEMMAP_READ_WRITE, &seq));
	return memmap_block_seq_head(seq).addr;
}

/* ---- The memory file; each row returns nanoseconds an operation ---- */

static double allocate_and_free(void)
{
	const double start = now();
	for (int i = 0; i < 20 * NR; i++)
		memmap_file_dec_ref(file, allocate(PAGE));
	return (now() - start) / (20 * NR);
}

static double allocate_touch_and_free(void)
{
	const double start = now();
	for (int i = 0; i < 20 * NR; i++) {
		const struct memmap_file_range fr = allocate(PAGE);
		*bytes(fr) = 1;
		memmap_file_dec_ref(file, fr);
	}
	return (now() - start) / (20 * NR);
}

/* More than waits to be used again: memory is taken from the system and given back. */
static double allocate_touch_and_free_many(void)
{
	static struct memmap_file_range held[4 * NR];
	const double start = now();
	for (int i = 0; i < 4 * NR; i++) {
		held[i] = allocate(PAGE);
		*bytes(held[i]) = 1;
	}
	for (int i = 0; i < 4 * NR; i++)
		memmap_file_dec_ref(file, held[i]);
	return (now() - start) / (4 * NR);
}

static double kernel_touch_and_punch(void)
{
	const int fd = memfd_create("bench", MFD_CLOEXEC);
	must(ftruncate(fd, 4 * NR * (off_t)PAGE));
	char *p = mmap(NULL, 4 * NR * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	const double start = now();
	for (int i = 0; i < 4 * NR; i++)
		p[(size_t)i * PAGE] = 1;
	must(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4 * NR * (off_t)PAGE));
	const double took = (now() - start) / (4 * NR);
	munmap(p, 4 * NR * PAGE);
	close(fd);
	return took;
}

static double kernel_punch_one(void)
{
	const int fd = memfd_create("bench", MFD_CLOEXEC);
	must(ftruncate(fd, NR * (off_t)PAGE));
	char *p = mmap(NULL, NR * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	const double start = now();
	for (int i = 0; i < NR; i++) {
		p[(size_t)i * PAGE] = 1;
		must(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, i * (off_t)PAGE,
			       PAGE));
	}
	const double took = (now() - start) / NR;
	munmap(p, NR * PAGE);
	close(fd);
	return took;
}

static double reference_one(void)
{
	const struct memmap_file_range fr = allocate(NR * PAGE);
	const double start = now();
	for (int i = 0; i < 20 * NR; i++) {
		const uint64_t at = fr.start + (uint64_t)i * 7919 % NR * PAGE;
		const struct memmap_file_range page = {at, at + PAGE};
		memmap_file_inc_ref(file, page, 0);
		memmap_file_dec_ref(file, page);
	}
	const double took = (now() - start) / (20 * NR);
	memmap_file_dec_ref(file, fr);
	return took;
}

static double reference_gib(void)
{
	const struct memmap_file_range fr = allocate(UINT64_C(1) << 30);
	const double start = now();
	for (int i = 0; i < 20 * NR; i++) {
		memmap_file_inc_ref(file, fr, 0);
		memmap_file_dec_ref(file, fr);
	}
	const double took = (now() - start) / (20 * NR);
	memmap_file_dec_ref(file, fr);
	return took;
}

/* Every other page of 100,000 is held twice, so that there are as many runs. */
static double reference_among_runs(void)
{
	const uint64_t nr = 100000;
	const struct memmap_file_range fr = allocate(nr * PAGE);
	for (uint64_t i = 0; i < nr; i += 2)
		memmap_file_inc_ref(
			file,
			(struct memmap_file_range){i * PAGE + fr.start, (i + 1) * PAGE + fr.start},
			0);
	const double start = now();
	for (uint64_t i = 0; i < 20 * NR; i++) {
		const uint64_t at = fr.start + i * 7919 % nr * PAGE;
		const struct memmap_file_range page = {at, at + PAGE};
		memmap_file_inc_ref(file, page, 0);
		memmap_file_dec_ref(file, page);
	}
	const double took = (now() - start) / (20 * NR);
	for (uint64_t i = 0; i < nr; i += 2)
		memmap_file_dec_ref(file, (struct memmap_file_range){i * PAGE + fr.start,
								     (i + 1) * PAGE + fr.start});
	memmap_file_dec_ref(file, fr);
	return took;
}

static double internal_mapping(void)
{
	const struct memmap_file_range fr = allocate(NR * PAGE);
	const double start = now();
	for (uint64_t i = 0; i < 100 * NR; i++) {
		const uint64_t at = fr.start + i * 7919 % NR * PAGE;
		checksum += (uintptr_t)bytes((struct memmap_file_range){at, at + PAGE});
	}
	const double took = (now() - start) / (100 * NR);
	memmap_file_dec_ref(file, fr);
	return took;
}

static void *pairs(void *arg)
{
	(void)arg;
	for (int i = 0; i < 20 * NR; i++)
		memmap_file_dec_ref(file, allocate(PAGE));
	return NULL;
}

/* Two threads, each as many pairs as the row with one: what a pair costs both of them. */
static double allocate_and_free_by_two(void)
{
	pthread_t other;
	const double start = now();
	must(pthread_create(&other, NULL, pairs, NULL));
	pairs(NULL);
	must(pthread_join(other, NULL));
	return (now() - start) / (2 * 20 * NR);
}

/* ---- Mappables ---- */

static void translate(struct memmap_mappable *m, uint64_t page, memmap_access at)
{
	const struct memmap_mappable_range mr = {page * PAGE, (page + 1) * PAGE};
	struct memmap_translations ts = {0};
	must(memmap_mappable_translate(m, NULL, mr, mr, at, &ts));
	checksum += memmap_translations_data(&ts)->offset;
	memmap_translations_release(&ts);
}

static double translate_all(struct memmap_mappable *m, uint64_t rounds, memmap_access at)
{
	const double start = now();
	for (uint64_t i = 0; i < rounds * NR; i++)
		translate(m, i * 7919 % NR, at);
	return (now() - start) / (double)(rounds * NR);
}

static double shared_first, pager_first, pager_write_back;

static double shared_again(void)
{
	struct memmap_mapping_identity *id;
	struct memmap_mappable *m;
	must(memmap_shared_memory_create(mf, NR * PAGE, 0, NULL, &id, &m));
	const double start = now();
	for (uint64_t i = 0; i < NR; i++)
		translate(m, i, MEMMAP_WRITE);
	shared_first = (now() - start) / NR;
	const double took = translate_all(m, 20, MEMMAP_WRITE);
	memmap_mapping_identity_dec_ref(id, NULL);
	return took;
}

static double host_file(void)
{
	struct memmap_host_files *files;
	struct memmap_mapping_identity *id;
	struct memmap_mappable *m;
	const int fd = memfd_create("bench", MFD_CLOEXEC);
	must(ftruncate(fd, NR * (off_t)PAGE));
	must(memmap_host_files_create(NULL, &files));
	must(memmap_host_file_open(files, fd, NULL, &id, &m));
	const double took = translate_all(m, 10, MEMMAP_WRITE);
	memmap_mapping_identity_dec_ref(id, NULL);
	memmap_host_files_release(files);
	close(fd);
	return took;
}

static char store[NR * PAGE];

static int store_read(void *context, uint64_t offset, void *buf, uint64_t length, uint64_t *done)
{
	(void)context;
	memcpy(buf, store + offset, length);
	*done = length;
	return 0;
}

static int store_write(void *context, uint64_t offset, const void *buf, uint64_t length)
{
	(void)context;
	memcpy(store + offset, buf, length);
	return 0;
}

static double pager_again(void)
{
	static const struct memmap_pager_ops ops = {.read = store_read, .write = store_write};
	const struct memmap_pager_options options = {.size = NR * PAGE};
	struct memmap_mapping_identity *id;
	struct memmap_mappable *m;
	must(memmap_pager_create(mf, &ops, NULL, &options, &id, &m));
	double start = now();
	for (uint64_t i = 0; i < NR; i++)
		translate(m, i, MEMMAP_WRITE);
	pager_first = (now() - start) / NR;
	const double took = translate_all(m, 20, MEMMAP_WRITE);
	start = now();
	must(memmap_mapping_identity_msync(id, NULL, (struct memmap_mappable_range){0, NR * PAGE}));
	pager_write_back = (now() - start) / NR;
	memmap_mapping_identity_dec_ref(id, NULL);
	return took;
}

static double get_shared_first(void)
{
	return shared_first;
}

static double get_pager_first(void)
{
	return pager_first;
}

static double get_pager_write_back(void)
{
	return pager_write_back;
}

/* ---- The table ---- */

static const struct row {
	const char *name;
	double (*measure)(void);
} rows[] = {
	{"allocate and free a page", allocate_and_free},
	{"the same by two threads at once", allocate_and_free_by_two},
	{"allocate, touch and free a page", allocate_touch_and_free},
	{"the same, 16,384 pages at a time", allocate_touch_and_free_many},
	{"*kernel: touch 16,384 pages, punch them at once*", kernel_touch_and_punch},
	{"*kernel: touch a page, punch it*", kernel_punch_one},
	{"take and drop a reference to a page", reference_one},
	{"the same among 100,000 runs", reference_among_runs},
	{"take and drop references to 1 GiB", reference_gib},
	{"find the bytes of a page", internal_mapping},
	{"shared memory: translate a page again", shared_again},
	{"shared memory: translate a page for the first time", get_shared_first},
	{"host file: translate a page", host_file},
	{"pager: translate a page again", pager_again},
	{"pager: translate a page for the first time", get_pager_first},
	{"pager: write a page back", get_pager_write_back},
};

#define NR_ROWS (sizeof(rows) / sizeof(rows[0]))

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;
	return x < y ? -1 : x > y;
}

int main(void)
{
	static double took[NR_ROWS][ROUNDS];
	memset(store, 1, sizeof(store));
	must(memmap_memory_file_create(NULL, &mf));
	file = memmap_memory_file_file(mf);
	for (int round = 0; round < ROUNDS; round++)
		for (size_t i = 0; i < NR_ROWS; i++)
			took[i][round] = rows[i].measure();
	printf("| %-52s | %8s |\n|%.54s|%.10s|\n", "files", "ns",
	       "------------------------------------------------------", "---------:");
	for (size_t i = 0; i < NR_ROWS; i++) {
		qsort(took[i], ROUNDS, sizeof(double), compare);
		printf("| %-52s | %8.0f |\n", rows[i].name, took[i][ROUNDS / 2]);
	}
	memmap_memory_file_release(mf);
	return checksum == 1; /* so that nothing is left out */
}
