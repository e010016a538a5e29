/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A fault loop over a Mappable of your own.
 *
 * The Mappable is a computed file: page n holds the number n in every byte, made when it is first
 * asked for. The loop does what a platform does for a guest: a touch is looked up, translated,
 * checked and read, with no page made that nobody touched.
 */
#include <memmap/arch.h>
#include <memmap/block.h>
#include <memmap/error.h>
#include <memmap/mapping_set.h>
#include <memmap/memmap.h>

#include <assert.h>
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NR_PAGES 64

/* Both the Mappable (which offsets there are) and the File (where their bytes are). */
struct computed {
	struct memmap_mappable mappable;
	struct memmap_file file;
	struct memmap_mapping_set mappings;
	unsigned char *pages[NR_PAGES];
	int nr_made;
};

static struct computed *of_mappable(struct memmap_mappable *m)
{
	return (struct computed *)m;
}

static struct computed *of_file(struct memmap_file *f)
{
	return (struct computed *)((char *)f - offsetof(struct computed, file));
}

static int add_mapping(struct memmap_mappable *m, struct memmap_context *ctx,
		       struct memmap_mapping_space *ms, struct memmap_addr_range ar,
		       uint64_t offset, bool writable)
{
	(void)ctx;
	return memmap_mapping_set_add_mapping(&of_mappable(m)->mappings, ms, ar, offset, writable,
					      NULL);
}

static int remove_mapping(struct memmap_mappable *m, struct memmap_context *ctx,
			  struct memmap_mapping_space *ms, struct memmap_addr_range ar,
			  uint64_t offset, bool writable)
{
	(void)ctx;
	return memmap_mapping_set_remove_mapping(&of_mappable(m)->mappings, ms, ar, offset,
						 writable, NULL);
}

static int copy_mapping(struct memmap_mappable *m, struct memmap_context *ctx,
			struct memmap_mapping_space *ms, struct memmap_addr_range src_ar,
			struct memmap_addr_range dst_ar, uint64_t offset, bool writable)
{
	(void)src_ar;
	return add_mapping(m, ctx, ms, dst_ar, offset, writable);
}

/* Make what is required; a page past the end of the file is a bus error, as Linux has it. */
static int translate(struct memmap_mappable *m, struct memmap_context *ctx,
		     struct memmap_mappable_range required, struct memmap_mappable_range optional,
		     memmap_access at, struct memmap_translations *out)
{
	struct computed *c = of_mappable(m);
	(void)ctx;
	(void)optional;
	(void)at;
	if (required.end > NR_PAGES * MEMMAP_PAGE_SIZE)
		return memmap_bus_error(-EFAULT);
	for (uint64_t page = required.start / MEMMAP_PAGE_SIZE;
	     page < required.end / MEMMAP_PAGE_SIZE; page++) {
		if (c->pages[page])
			continue;
		c->pages[page] = malloc(MEMMAP_PAGE_SIZE);
		if (!c->pages[page])
			return -ENOMEM;
		memset(c->pages[page], (int)page, MEMMAP_PAGE_SIZE);
		c->nr_made++;
	}
	return memmap_translations_append(out, (struct memmap_translation){
						       .source = required,
						       .file = &c->file,
						       .offset = required.start,
						       .perms = MEMMAP_READ,
					       });
}

static int invalidate_unsavable(struct memmap_mappable *m, struct memmap_context *ctx)
{
	(void)m;
	(void)ctx;
	return 0;
}

static const struct memmap_mappable_ops mappable_ops = {
	.add_mapping = add_mapping,
	.remove_mapping = remove_mapping,
	.copy_mapping = copy_mapping,
	.translate = translate,
	.invalidate_unsavable = invalidate_unsavable,
};

/* Pages live until the end of the program: references need not be counted. */
static void file_inc_ref(struct memmap_file *f, struct memmap_file_range fr, uint32_t mem_cg_id)
{
	(void)f;
	(void)fr;
	(void)mem_cg_id;
}

static void file_dec_ref(struct memmap_file *f, struct memmap_file_range fr)
{
	(void)f;
	(void)fr;
}

static int file_map_internal(struct memmap_file *f, struct memmap_file_range fr, memmap_access at,
			     struct memmap_block_seq *out)
{
	unsigned char *page = of_file(f)->pages[fr.start / MEMMAP_PAGE_SIZE];
	(void)at;
	*out = memmap_block_seq_of(memmap_block_safe(page + (fr.start & MEMMAP_PAGE_MASK),
						     memmap_file_range_length(fr)));
	return 0;
}

static int file_fd(struct memmap_file *f)
{
	(void)f;
	return -1;
}

static const struct memmap_file_ops file_ops = {
	.inc_ref = file_inc_ref,
	.dec_ref = file_dec_ref,
	.map_internal = file_map_internal,
	.fd = file_fd,
};

static void invalidate(struct memmap_mapping_space *ms, struct memmap_addr_range ar,
		       struct memmap_invalidate_opts opts)
{
	(void)ms;
	(void)ar;
	(void)opts; /* this loop keeps no translation */
}

/* The guest reads one byte: 0, or how its fault ends. */
static int guest_read(struct computed *c, struct memmap_addr_range mapped, uint64_t addr,
		      unsigned char *out)
{
	if (!memmap_addr_range_contains(mapped, addr))
		return -EFAULT; /* SIGSEGV */

	uint64_t offset = addr - mapped.start;
	struct memmap_mappable_range required = {
		memmap_page_round_down(offset),
		memmap_page_round_down(offset) + MEMMAP_PAGE_SIZE,
	};
	struct memmap_translations ts = {0};
	int err =
		memmap_mappable_translate(&c->mappable, NULL, required, required, MEMMAP_READ, &ts);

	/* Trust nobody: a Mappable that breaks its contract is found here, not by its guests. */
	char why[128];
	if (memmap_check_translate_result(required, required, MEMMAP_READ,
					  memmap_translations_data(&ts), ts.len, err, why,
					  sizeof(why)) != 0)
		memmap_panic("translate: %s", why);

	if (err == 0) {
		struct memmap_file_range fr =
			memmap_translation_file_range(memmap_translations_data(&ts)[0]);
		fr.start += addr & MEMMAP_PAGE_MASK;
		fr.end = fr.start + 1;
		struct memmap_block_seq bytes;
		err = memmap_file_map_internal(&c->file, fr, MEMMAP_READ, &bytes);
		if (err == 0)
			err = memmap_copy(memmap_block_safe(out, 1), memmap_block_seq_head(bytes),
					  NULL);
	}
	memmap_translations_release(&ts);
	return err;
}

int main(void)
{
	static const struct memmap_mapping_space_ops space_ops = {.invalidate = invalidate};
	struct memmap_mapping_space space = {.ops = &space_ops};
	struct computed c = {.mappable.ops = &mappable_ops, .file.ops = &file_ops};

	/* The guest has mapped two pages more than the file has. */
	struct memmap_addr_range mapped = {0x400000, 0x400000 + (NR_PAGES + 2) * MEMMAP_PAGE_SIZE};
	int err = memmap_mappable_add_mapping(&c.mappable, NULL, &space, mapped, 0, false);
	assert(err == 0);

	const uint64_t touches[] = {0x400000, 0x405123, 0x405fff, 0x43f000, 0x440000, 0x3fffff};
	for (size_t i = 0; i < sizeof(touches) / sizeof(touches[0]); i++) {
		unsigned char byte = 0;
		err = guest_read(&c, mapped, touches[i], &byte);
		if (err == 0)
			printf("%#lx: %d\n", (unsigned long)touches[i], byte);
		else
			printf("%#lx: %s\n", (unsigned long)touches[i],
			       memmap_is_bus_error(err) ? "SIGBUS" : "SIGSEGV");
		assert(err != 0 || byte == (touches[i] - mapped.start) / MEMMAP_PAGE_SIZE);
	}
	assert(err == -EFAULT && c.nr_made == 3);

	err = memmap_mappable_remove_mapping(&c.mappable, NULL, &space, mapped, 0, false);
	assert(err == 0 && memmap_mapping_set_is_empty(&c.mappings));
	memmap_mapping_set_destroy(&c.mappings);
	for (size_t i = 0; i < NR_PAGES; i++)
		free(c.pages[i]);
	return 0;
}
