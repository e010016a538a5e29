/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An address space of your own: the memory system calls of a guest, answered as Linux would.
 *
 * Nothing is mapped into this process; what is kept is who mapped what, exact to the kernel, down
 * to the text of /proc/PID/maps.
 */
#include <memmap/mm.h>

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>

int main(void)
{
	struct memmap_mm_options options = {0};
	memmap_mm_layout_default(&options.layout);
	memmap_mm_limits_default(&options.limits);

	struct memmap_mm *mm;
	int err = memmap_mm_create(&options, &mm);
	assert(err == 0);

	/* Four pages wherever there is room; then the second is protected: three VMAs. */
	int64_t at = memmap_mm_sys_mmap(mm, 0, 4 * MEMMAP_PAGE_SIZE, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0, NULL);
	assert(at > 0);
	uint64_t addr = (uint64_t)at;
	int64_t result =
		memmap_mm_sys_mprotect(mm, addr + MEMMAP_PAGE_SIZE, MEMMAP_PAGE_SIZE, PROT_READ);
	assert(result == 0);

	/* A second look at an address that is taken. */
	result = memmap_mm_sys_mmap(mm, addr, MEMMAP_PAGE_SIZE, PROT_READ,
				    MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE, NULL, 0,
				    NULL);
	assert(result == -EEXIST);

	/* Over a hole, mprotect does what lies before it and then says so: Linux does. */
	result = memmap_mm_sys_mprotect(mm, addr, 8 * MEMMAP_PAGE_SIZE, PROT_NONE);
	assert(result == -ENOMEM);

	struct memmap_text maps = {0};
	err = memmap_mm_print_maps(mm, &maps);
	assert(err == 0);
	printf("%s", maps.data);
	memmap_text_release(&maps);

	struct memmap_mm_stats stats;
	memmap_mm_get_stats(mm, &stats);
	assert(stats.nr_vmas == 1 && stats.total_pages == 4);

	memmap_mm_release(mm);
	return 0;
}
