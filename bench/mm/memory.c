/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What VMAs and pages take in memory, beside the kernel's: ours counted by an allocator, the
 * kernel's from /proc/slabinfo (which only root may read) and /proc/self/status.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

#include "bench_mm.h"

#define AT UINT64_C(0x200000000000)
#define N  UINT64_C(60000)

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
	printf("| a VMA, made at random | %.0f | |\n", vma_bytes(true));
}
