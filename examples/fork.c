/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fork: two address spaces with the same bytes, until one of them writes.
 *
 * The embedding program reads and writes a guest's memory with memmap_mm_copy_in() and
 * memmap_mm_copy_out(), which touch it as the guest would: pages come in, and private ones are copied
 * before they are changed.
 */
#include <memmap/memory_file.h>
#include <memmap/mm.h>
#include <memmap/mm_access.h>
#include <memmap/mm_report.h>

#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

static const struct memmap_addr_range everywhere = {0, 0x7ffffffff000};

static void say(const char *who, struct memmap_mm *mm, uint64_t addr)
{
	char text[32];
	struct memmap_mm_usage usage;
	int err = memmap_mm_copy_string_in(mm, addr, text, sizeof(text), NULL, NULL);
	assert(err == 0);
	memmap_mm_get_usage(mm, everywhere, &usage);
	printf("%s: \"%s\", %lu KiB its own, %lu KiB shared\n", who, text,
	       (unsigned long)(usage.private_clean + usage.private_dirty) >> 10,
	       (unsigned long)(usage.shared_clean + usage.shared_dirty) >> 10);
}

int main(void)
{
	/* Where private pages live. */
	struct memmap_memory_file *memory;
	int err = memmap_memory_file_create(NULL, &memory);
	assert(err == 0);

	struct memmap_mm_options options = {.memory_file = memory};
	memmap_mm_layout_default(&options.layout);
	memmap_mm_limits_default(&options.limits);
	struct memmap_mm *parent, *child;
	err = memmap_mm_create(&options, &parent);
	assert(err == 0);

	/* Three pages, of which two are written to. */
	int64_t at = memmap_mm_sys_mmap(parent, 0, 3 * MEMMAP_PAGE_SIZE, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_ANONYMOUS, NULL, 0, NULL);
	assert(at > 0);
	uint64_t addr = (uint64_t)at;
	uint64_t second = addr + MEMMAP_PAGE_SIZE;
	err = memmap_mm_copy_out(parent, addr, "from before", 12, NULL, NULL);
	assert(err == 0);
	err = memmap_mm_copy_out(parent, second, "more", 5, NULL, NULL);
	assert(err == 0);
	say("parent alone     ", parent, addr);

	err = memmap_mm_fork(parent, NULL, &child);
	assert(err == 0);
	say("parent forked    ", parent, addr);

	/* What the child writes is the child's. */
	uint64_t done;
	err = memmap_mm_copy_out(child, addr, "from the child", 15, NULL, &done);
	assert(err == 0 && done == 15);
	say("child has written", child, addr);
	say("parent           ", parent, addr);

	char text[12];
	err = memmap_mm_copy_in(parent, addr, text, sizeof(text), NULL, NULL);
	assert(err == 0 && strcmp(text, "from before") == 0);

	memmap_mm_release(child);
	memmap_mm_release(parent);
	memmap_memory_file_release(memory);
	return 0;
}
