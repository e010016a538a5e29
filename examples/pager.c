/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest that maps a file which is nowhere but in this program.
 *
 * The file is kept in capital letters; a guest sees and writes small ones. The pager reads what the
 * guest touches, knows what it wrote, and writes that back when the guest asks for it with msync(2).
 */
#include <memmap/arch.h>
#include <memmap/memory_file.h>
#include <memmap/mm.h>
#include <memmap/mmap_file.h>
#include <memmap/pager.h>

#include <assert.h>
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>

static char kept[] = "THE QUICK BROWN FOX JUMPS OVER THE LAZY DOG";

static int read_small(void *context, uint64_t offset, void *buf, uint64_t length, uint64_t *done)
{
	(void)context;
	for (uint64_t i = 0; i < length; i++)
		((char *)buf)[i] = (char)tolower(kept[offset + i]);
	*done = length;
	return 0;
}

static int write_capital(void *context, uint64_t offset, const void *buf, uint64_t length)
{
	(void)context;
	for (uint64_t i = 0; i < length; i++)
		kept[offset + i] = (char)toupper(((const char *)buf)[i]);
	return 0;
}

/* What a platform does when a guest touches a page: where its bytes are. */
static char *touch(struct memmap_mappable *file, uint64_t page, memmap_access at)
{
	const struct memmap_mappable_range mr = {page * MEMMAP_PAGE_SIZE,
						 (page + 1) * MEMMAP_PAGE_SIZE};
	struct memmap_translations ts = {0};
	int err = memmap_mappable_translate(file, NULL, mr, mr, at, &ts);
	assert(err == 0);
	const struct memmap_translation t = memmap_translations_data(&ts)[0];
	struct memmap_block_seq bytes;
	err = memmap_file_map_internal(t.file, memmap_translation_file_range(t), at, &bytes);
	assert(err == 0);
	memmap_translations_release(&ts);
	return memmap_block_seq_head(bytes).addr;
}

int main(void)
{
	static const struct memmap_pager_ops ops = {.read = read_small, .write = write_capital};
	const struct memmap_pager_options options = {.name = "/letters", .size = sizeof(kept) - 1};
	struct memmap_memory_file *memory;
	struct memmap_mapping_identity *open_file;
	struct memmap_mappable *inode;
	struct memmap_mm *mm;

	int err = memmap_memory_file_create(NULL, &memory);
	assert(err == 0);
	err = memmap_pager_create(memory, &ops, NULL, &options, &open_file, &inode);
	assert(err == 0);

	/* A guest maps it. */
	struct memmap_mm_options mm_options = {0};
	memmap_mm_layout_default(&mm_options.layout);
	memmap_mm_limits_default(&mm_options.limits);
	err = memmap_mm_create(&mm_options, &mm);
	assert(err == 0);
	const struct memmap_mmap_file file = {
		.identity = open_file,
		.mappable = inode,
		.readable = true,
		.writable = true,
	};
	const int64_t addr = memmap_mm_sys_mmap(mm, 0, MEMMAP_PAGE_SIZE, PROT_READ | PROT_WRITE,
						MAP_SHARED, &file, 0, NULL);
	assert(addr > 0);
	struct memmap_text maps = {0};
	err = memmap_mm_print_maps(mm, &maps);
	assert(err == 0);
	printf("%s", maps.data);
	memmap_text_release(&maps);

	/* It reads, and writes. */
	printf("guest reads: %s\n", touch(inode, 0, MEMMAP_READ));
	memcpy(touch(inode, 0, MEMMAP_READ_WRITE) + 4, "swift", 5);
	struct memmap_pager_stats stats;
	memmap_pager_get_stats(inode, &stats);
	printf("dirty: %d bytes; kept: %s\n", (int)stats.dirty, kept);
	assert(stats.dirty == MEMMAP_PAGE_SIZE && strncmp(kept, "THE QUICK ", 10) == 0);

	err = (int)memmap_mm_sys_msync(mm, (uint64_t)addr, MEMMAP_PAGE_SIZE, MS_SYNC);
	assert(err == 0);
	printf("after msync: %s\n", kept);
	assert(strncmp(kept, "THE SWIFT ", 10) == 0);

	memmap_mm_release(mm);
	memmap_mapping_identity_dec_ref(open_file, NULL);
	memmap_memory_file_release(memory);
	return 0;
}
