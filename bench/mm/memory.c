/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What VMAs and pages take in memory, beside the kernel's: ours counted by an allocator, the
 * kernel's from /proc/slabinfo (which only root may read) and /proc/self/status.
 *
 * Of pages both sides need the kernel's page tables, and its struct page (64 bytes) for each page of
 * memory, which are not counted. Ours are on the inproc platform, with the default fault_around.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include <memmap/memory_file.h>
#include <memmap/platform_inproc.h>

#include "bench_mm.h"

#define AT UINT64_C(0x200000000000)
#define N  UINT64_C(60000)

#define NR_PAGES UINT64_C(16384)

static void *count_allocate(void *context, size_t size, size_t alignment)
{
	*(uint64_t *)context += size;
	return memmap_allocate(NULL, size, alignment);
}

static void count_deallocate(void *context, void *memory, size_t size)
{
	*(uint64_t *)context -= size;
	memmap_deallocate(NULL, memory, size);
}

/* Bytes that one VMA takes, of N that do not merge, made in order or at random. */
static double vma_bytes(bool at_random)
{
	uint64_t live = 0, before, random = 42;
	const struct memmap_allocator allocator = {count_allocate, count_deallocate, &live};
	struct memmap_mm_options options = {.allocator = &allocator};
	struct memmap_mm_stats stats;
	struct memmap_mm *mm;
	double bytes;

	memmap_mm_layout_default(&options.layout);
	memmap_mm_limits_default(&options.limits);
	bench_check(!memmap_mm_create(&options, &mm), "memmap_mm_create");
	before = live;
	for (uint64_t i = 0; i < N; i++) {
		const uint64_t nr = at_random ? bench_random(&random) % (N * 8) : i;

		bench_check(memmap_mm_sys_mmap(mm, AT + nr * 2 * PAGE, PAGE, PROT_READ,
					       MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0,
					       NULL) > 0,
			    "mmap");
	}
	memmap_mm_get_stats(mm, &stats);
	bytes = (double)(live - before) / (double)stats.nr_vmas;
	memmap_mm_release(mm);
	return bytes;
}

/* The size of one object of a slab; 0: it cannot be told. */
static unsigned long slab_size(const char *name)
{
	FILE *in = fopen("/proc/slabinfo", "re");
	unsigned long size = 0;
	char line[512];

	while (in && fgets(line, sizeof(line), in)) {
		const size_t len = strlen(name);

		if (!strncmp(line, name, len) && line[len] == ' ' &&
		    sscanf(line + len, "%*u %*u %lu", &size) == 1)
			break;
		size = 0;
	}
	if (in)
		fclose(in);
	return size;
}

/* Pages of the kernel's page tables of this process, in bytes. */
static double page_tables(void)
{
	FILE *in = fopen("/proc/self/status", "re");
	unsigned long kb = 0;
	char line[256];

	while (in && !kb && fgets(line, sizeof(line), in))
		(void)sscanf(line, "VmPTE: %lu", &kb);
	if (in)
		fclose(in);
	return (double)kb * 1024;
}

struct page_cost {
	double own;    /* bytes of ours a page */
	double tables; /* bytes of page tables a page */
};

static void touch_all(char *pages, bool at_random)
{
	for (uint64_t i = 0; i < NR_PAGES; i++) {
		const uint64_t nr = at_random ? i * UINT64_C(0x9e3779b1) & (NR_PAGES - 1) : i;

		((volatile char *)pages)[nr * PAGE] = 1;
	}
}

/* What pages that are there take, beyond the VMA and the platform that hold none yet. */
static struct page_cost page_cost(bool shared, bool at_random)
{
	uint64_t live = 0, before;
	const struct memmap_allocator allocator = {count_allocate, count_deallocate, &live};
	const struct memmap_memory_file_options memory_options = {.allocator = &allocator};
	const struct memmap_inproc_options inproc_options = {
		.allocator = &allocator,
		.length = NR_PAGES * PAGE * 4,
	};
	struct memmap_mm_options options = {.allocator = &allocator};
	const double tables = page_tables();
	struct memmap_memory_file *memory = NULL;
	struct memmap_inproc *inproc = NULL;
	struct page_cost cost;
	struct memmap_mm *mm;
	int64_t at;

	memmap_mm_limits_default(&options.limits);
	bench_check(!memmap_memory_file_create(&memory_options, &memory) &&
			    !memmap_inproc_create(&inproc_options, &inproc),
		    "memmap_inproc_create");
	memmap_inproc_layout(inproc, &options.layout);
	options.memory_file = memory;
	options.address_space = memmap_inproc_address_space(inproc);
	bench_check(!memmap_mm_create(&options, &mm), "memmap_mm_create");
	memmap_inproc_set_faults(inproc, memmap_faults_of_mm(mm));
	at = memmap_mm_sys_mmap(mm, 0, NR_PAGES * PAGE, PROT_READ | PROT_WRITE,
				(shared ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS, NULL, 0, NULL);
	bench_check(at > 0, "mmap");
	before = live;
	touch_all((char *)(uintptr_t)at, at_random);
	cost.own = (double)(live - before) / NR_PAGES;
	cost.tables = (page_tables() - tables) / NR_PAGES;
	memmap_mm_release(mm);
	memmap_inproc_release(inproc);
	memmap_memory_file_release(memory);
	return cost;
}

static double page_cost_of_kernel(bool shared)
{
	const double before = page_tables();
	double after;
	char *pages = mmap(NULL, NR_PAGES * PAGE, PROT_READ | PROT_WRITE,
			   (shared ? MAP_SHARED : MAP_PRIVATE) | MAP_ANONYMOUS, -1, 0);

	bench_check(pages != MAP_FAILED, "the kernel's mmap");
	touch_all(pages, false);
	after = page_tables();
	munmap(pages, NR_PAGES * PAGE);
	return (after - before) / NR_PAGES;
}

static void report_pages(bool shared)
{
	const char *const what = shared ? "shared" : "private";
	const struct page_cost in_order = page_cost(shared, false);
	const struct page_cost at_random = page_cost(shared, true);

	printf("| a page of %s anonymous memory, touched in order | %.1f + %.1f of page tables "
	       "| %.1f of page tables |\n",
	       what, in_order.own, in_order.tables, page_cost_of_kernel(shared));
	printf("| the same, at random | %.1f + %.1f | the same |\n", at_random.own,
	       at_random.tables);
}

void report_memory(void)
{
	const unsigned long vma = slab_size("vm_area_struct"), node = slab_size("maple_node");

	printf("\n| memory, bytes | memmap | Linux |\n|---|---:|---:|\n");
	printf("| a VMA, %" PRIu64 " made in order | %.0f | ", N, vma_bytes(false));
	/* A full node of the maple tree has 16 entries, for ranges and for the gaps between them. */
	if (vma)
		printf("%lu + %lu |\n", vma, node / 8);
	else
		printf("? |\n");
	printf("| a VMA, made at random | %.0f | the same |\n", vma_bytes(true));
	report_pages(false);
	report_pages(true);
}
