/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does this kernel have a page of zeros that all readers share? Asked of the kernel's own answer for
 * one page that was read, in another way than the tool asks.
 */
#ifndef MEMMAP_TESTS_ZERO_PAGE_H
#define MEMMAP_TESTS_ZERO_PAGE_H

#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

#define PAGEMAP_MAPPED_ONCE (UINT64_C(1) << 56)

/* True too when it cannot be told. */
__attribute__((unused)) static bool has_zero_page(void)
{
	uint64_t entry = 0;
	char *page = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return true;
	(void)*(volatile char *)page;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		const off_t at = (off_t)((uintptr_t)page / 4096 * sizeof(entry));
		if (pread(fd, &entry, sizeof(entry), at) != (ssize_t)sizeof(entry))
			entry = 0;
		close(fd);
	}
	munmap(page, 4096);
	return !(entry & PAGEMAP_MAPPED_ONCE);
}

#endif /* MEMMAP_TESTS_ZERO_PAGE_H */
