/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest on the processor itself: its memory is a region of this process.
 *
 * Guest addresses are this process's addresses, so guest code runs as it is. Pages come when they are
 * touched; a touch that Linux would answer with SIGSEGV comes to us instead of killing anybody.
 */
#include <memmap/block.h>
#include <memmap/memory_file.h>
#include <memmap/mm.h>
#include <memmap/platform_inproc.h>

#include <assert.h>
#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

static sigjmp_buf out_of_guest;
static struct memmap_guest_fault last_fault;

/* The guest's touch ended badly: note it, and leave the guest. */
static bool on_fault(void *context, const struct memmap_guest_fault *fault, void *ucontext)
{
	(void)context;
	(void)ucontext;
	last_fault = *fault;
	siglongjmp(out_of_guest, 1);
}

/* The guest's program: fill `n` words at `at` with their numbers, and add them up. */
static uint64_t guest_program(uint64_t *at, uint64_t n)
{
	uint64_t sum = 0;
	for (uint64_t i = 0; i < n; i++)
		at[i] = i;
	for (uint64_t i = 0; i < n; i++)
		sum += at[i];
	return sum;
}

int main(void)
{
	struct memmap_memory_file *memory;
	struct memmap_inproc *inproc;
	struct memmap_mm *mm;

	const struct memmap_inproc_options inproc_options = {.on_fault = on_fault};
	int err = memmap_memory_file_create(NULL, &memory);
	assert(err == 0);
	err = memmap_inproc_create(&inproc_options, &inproc);
	if (err == -EOPNOTSUPP) {
		printf("not on this machine\n");
		return 0;
	}
	assert(err == 0);
	struct memmap_mm_options options = {
		.memory_file = memory,
		.address_space = memmap_inproc_address_space(inproc),
	};
	memmap_inproc_layout(inproc, &options.layout);
	memmap_mm_limits_default(&options.limits);
	err = memmap_mm_create(&options, &mm);
	assert(err == 0);
	memmap_inproc_set_faults(inproc, memmap_faults_of_mm(mm));

	/* A MiB of memory, of which the guest uses a half. */
	int64_t at = memmap_mm_sys_mmap(mm, 0, 1 << 20, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0, NULL);
	assert(at > 0);
	uint64_t *words;
	const uintptr_t address = (uintptr_t)at;
	memcpy(&words, &address, sizeof(words));
	const uint64_t n = (1 << 19) / sizeof(*words);
	const uint64_t sum = guest_program(words, n);
	assert(sum == n * (n - 1) / 2);

	struct memmap_inproc_stats stats;
	memmap_inproc_get_stats(inproc, &stats);
	printf("the sum is %lu; %lu KiB were touched, with %lu faults, in %lu mapping(s)\n",
	       (unsigned long)sum, (unsigned long)stats.mapped >> 10,
	       (unsigned long)stats.nr_faults, (unsigned long)stats.nr_mappings);

	/* Read-only from now on: the guest's next store is a fault that ends badly. */
	int64_t result = memmap_mm_sys_mprotect(mm, (uint64_t)at, 1 << 20, PROT_READ);
	assert(result == 0);
	if (sigsetjmp(out_of_guest, 1) == 0) {
		(void)guest_program(words, n);
		abort(); /* never reached */
	}
	printf("SIGSEGV at the guest's word %lu: %s\n",
	       (unsigned long)(last_fault.addr - (uint64_t)at) / sizeof(*words),
	       last_fault.code == MEMMAP_FAULT_NOT_PERMITTED ? "not permitted"
							     : "nothing is there");
	assert(last_fault.addr == (uint64_t)at && last_fault.at == MEMMAP_WRITE);

	/* We, too, may look at the guest's memory, safely. */
	uint64_t word;
	err = memmap_copy(memmap_block_safe(&word, sizeof(word)),
			  memmap_block_unsafe(words + 1000, sizeof(word)), NULL);
	assert(err == 0 && word == 1000);

	memmap_mm_release(mm);
	memmap_inproc_release(inproc);
	memmap_memory_file_release(memory);
	return 0;
}
