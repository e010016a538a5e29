/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared memory: a Mappable whose only store is the memory file.
 *
 * Invariants: every page in `pages` has a reference of ours; none lies wholly at or beyond `size`.
 *
 * What is stored through a mapping in the last page beyond `size` is there when the file grows later:
 * so it is in Linux's tmpfs, unlike in other file systems. Truncating zeroes it.
 *
 * Locking: the lock over who maps it, as mapped.h says, is also held for changes of the size and for
 * punching, which so come one after another. `lock`, inside of it, guards `pages` and `size`.
 *
 * Refuses: sizes that off_t cannot say. Seals are not kept.
 */
#include <memmap/shared_memory.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

#include <memmap/arch.h>
#include <memmap/block.h>
#include <memmap/error.h>

#include "file/memory_file.h"
#include "file/own_file.h"
#include "file/page_map.h"

struct shared_memory {
	struct memmap_own_file own;
	uint32_t mem_cg_id;

	pthread_mutex_t lock;
	struct page_map_set pages;
	uint64_t size;
};

static struct shared_memory *of_mappable(struct memmap_mappable *m)
{
	return (struct shared_memory *)m;
}

static struct shared_memory *of_identity(struct memmap_mapping_identity *id)
{
	return (struct shared_memory *)memmap_own_file_of(id);
}

static uint64_t page_end(uint64_t size)
{
	return memmap_page_round_down(size + MEMMAP_PAGE_MASK); /* sizes are far from the top */
}

/* ---- Pages ---- */

/* See that all of `mr` has pages. What was allocated stays when more cannot be. With the lock held. */
static int populate(struct shared_memory *sm, struct memmap_mappable_range mr)
{
	while (mr.start < mr.end) {
		struct page_map_iterator it;
		struct page_map_gap_iterator gap;
		if (page_map_set_find(&sm->pages, mr.start, &it, &gap)) {
			mr.start = page_map_iterator_end(it);
			continue;
		}
		const struct memmap_mappable_range hole =
			memmap_mappable_range_intersect(page_map_gap_iterator_range(gap), mr);
		const struct memmap_allocate_opts opts = {
			.kind = MEMMAP_MEMORY_SHARED,
			.mem_cg_id = sm->mem_cg_id,
			.huge = true,
			.hint = memmap_page_map_hint(&sm->pages, hole.start),
		};
		struct memmap_file_range fr;
		int err = memmap_memory_file_allocate(
			sm->own.mf, memmap_mappable_range_length(hole), &opts, &fr);
		if (err)
			return err;
		err = page_map_set_insert(&sm->pages, gap, hole, fr.start, NULL);
		if (err) {
			memmap_file_dec_ref(memmap_memory_file_file(sm->own.mf), fr);
			return err;
		}
		mr.start = hole.end;
	}
	return 0;
}

/* Pages that are the set's no more, and still have our reference. */
struct taken_pages {
	struct memmap_file_range *runs;
	size_t nr;
};

/*
 * Take the pages of `mr` out of the set, all or none, so that translate() does not give them any
 * more. With the lock held all the while: a page that is touched again meanwhile could become one
 * run with pages outside of `mr`. 0 or -ENOMEM.
 */
static int take_pages(struct shared_memory *sm, struct memmap_mappable_range mr,
		      struct taken_pages *out)
{
	const struct page_map_iterator first =
		page_map_set_lower_bound_segment(&sm->pages, mr.start);
	struct page_map_iterator it;
	size_t nr = 0;
	*out = (struct taken_pages){0};
	for (it = first; page_map_iterator_ok(it) && page_map_iterator_start(it) < mr.end;
	     it = page_map_iterator_next_segment(it))
		nr++;
	if (nr == 0)
		return 0;
	struct memmap_file_range *runs = memmap_allocate(sm->own.allocator, nr * sizeof(*runs),
							 _Alignof(struct memmap_file_range));
	if (!runs)
		return -ENOMEM;
	it = first;
	for (size_t i = 0; i < nr; i++) {
		runs[i] = memmap_page_map_part(
			it, memmap_mappable_range_intersect(page_map_iterator_range(it), mr));
		it = page_map_iterator_next_segment(it);
	}
	int err = page_map_set_remove_range(&sm->pages, mr, NULL);
	if (err) {
		memmap_deallocate(sm->own.allocator, runs, nr * sizeof(*runs));
		return err;
	}
	*out = (struct taken_pages){.runs = runs, .nr = nr};
	return 0;
}

/* Nobody sees the pages any more. */
static void let_go(struct shared_memory *sm, struct taken_pages taken)
{
	for (size_t i = 0; i < taken.nr; i++)
		memmap_file_dec_ref(memmap_memory_file_file(sm->own.mf), taken.runs[i]);
	memmap_deallocate(sm->own.allocator, taken.runs, taken.nr * sizeof(*taken.runs));
}

/* Zero what is there of `mr`, which need not be page-aligned. With the lock held. */
static void zero_pages(struct shared_memory *sm, struct memmap_mappable_range mr)
{
	struct page_map_iterator it = page_map_set_lower_bound_segment(&sm->pages, mr.start);
	for (; page_map_iterator_ok(it) && page_map_iterator_start(it) < mr.end;
	     it = page_map_iterator_next_segment(it)) {
		const struct memmap_mappable_range part =
			memmap_mappable_range_intersect(page_map_iterator_range(it), mr);
		struct memmap_block_seq bytes;
		/* The memory file's own mapping neither fails nor faults. */
		if (!memmap_file_map_internal(memmap_memory_file_file(sm->own.mf),
					      memmap_page_map_part(it, part), MEMMAP_WRITE, &bytes))
			(void)memmap_zero_seq(bytes, NULL);
	}
}

/* ---- The Mappable ---- */

static int translate(struct memmap_mappable *m, struct memmap_context *ctx,
		     struct memmap_mappable_range required, struct memmap_mappable_range optional,
		     memmap_access at, struct memmap_translations *out)
{
	struct shared_memory *sm = of_mappable(m);
	(void)ctx;
	(void)at;
	pthread_mutex_lock(&sm->lock);
	const uint64_t end = page_end(sm->size);
	int beyond = 0;
	if (required.end > end) {
		beyond = memmap_bus_error(-EFAULT);
		required.end = end;
	}
	if (optional.end > end)
		optional.end = end;
	int err = beyond;
	if (required.start < required.end) {
		err = populate(sm, required);
		if (!err)
			err = memmap_page_map_translate(&sm->pages,
							memmap_memory_file_file(sm->own.mf),
							required, optional, MEMMAP_ANY_ACCESS, out);
		if (!err)
			err = beyond;
	}
	pthread_mutex_unlock(&sm->lock);
	return err;
}

static int resident(struct memmap_mappable *m, struct memmap_context *ctx,
		    struct memmap_mappable_range mr, unsigned char *vec)
{
	struct shared_memory *sm = of_mappable(m);
	(void)ctx;
	memset(vec, 0, memmap_mappable_range_length(mr) / MEMMAP_PAGE_SIZE);
	pthread_mutex_lock(&sm->lock);
	struct page_map_iterator it = page_map_set_lower_bound_segment(&sm->pages, mr.start);
	for (; page_map_iterator_ok(it) && page_map_iterator_start(it) < mr.end;
	     it = page_map_iterator_next_segment(it)) {
		const struct memmap_mappable_range part =
			memmap_mappable_range_intersect(page_map_iterator_range(it), mr);
		memset(vec + (part.start - mr.start) / MEMMAP_PAGE_SIZE, 1,
		       memmap_mappable_range_length(part) / MEMMAP_PAGE_SIZE);
	}
	pthread_mutex_unlock(&sm->lock);
	return 0;
}

/* ---- The identity ---- */

static void dec_ref(struct memmap_mapping_identity *id, struct memmap_context *ctx)
{
	struct shared_memory *sm = of_identity(id);
	(void)ctx;
	if (!memmap_own_file_drop(id, "shared memory"))
		return;
	for (struct page_map_iterator it = page_map_set_first_segment(&sm->pages);
	     page_map_iterator_ok(it); it = page_map_iterator_next_segment(it))
		memmap_file_dec_ref(memmap_memory_file_file(sm->own.mf),
				    memmap_page_map_file_range(it));
	page_map_set_destroy(&sm->pages);
	pthread_mutex_destroy(&sm->lock);
	memmap_own_file_free(&sm->own);
}

static int punch_hole(struct memmap_mapping_identity *id, struct memmap_context *ctx,
		      struct memmap_mappable_range mr)
{
	struct shared_memory *sm = of_identity(id);
	(void)ctx;
	struct taken_pages taken;
	pthread_mutex_lock(&sm->own.mapped.lock);
	pthread_mutex_lock(&sm->lock);
	int err = take_pages(sm, mr, &taken);
	pthread_mutex_unlock(&sm->lock);
	if (taken.nr > 0) {
		memmap_mapped_invalidate(&sm->own.mapped, mr, false);
		let_go(sm, taken);
	}
	pthread_mutex_unlock(&sm->own.mapped.lock);
	return err;
}

/* ---- As a file ---- */

uint64_t memmap_shared_memory_size(struct memmap_mappable *mappable)
{
	struct shared_memory *sm = of_mappable(mappable);
	pthread_mutex_lock(&sm->lock);
	const uint64_t size = sm->size;
	pthread_mutex_unlock(&sm->lock);
	return size;
}

/*
 *   pages   |=====|=====|=====|=====|
 *   size          to ▲          ▲ from
 *                     000        dropped from the end of the last page that stays
 */
int memmap_shared_memory_truncate(struct memmap_mappable *mappable, uint64_t size)
{
	struct shared_memory *sm = of_mappable(mappable);
	if (size > INT64_MAX)
		return -EINVAL;
	struct taken_pages taken = {0};
	int err = 0;
	pthread_mutex_lock(&sm->own.mapped.lock);
	pthread_mutex_lock(&sm->lock);
	const uint64_t before = sm->size;
	const struct memmap_mappable_range cut = {page_end(size), page_end(before)};
	if (cut.start < cut.end)
		err = take_pages(sm, cut, &taken);
	if (!err) {
		sm->size = size;
		if (size <= before)
			zero_pages(sm, (struct memmap_mappable_range){size, page_end(size)});
	}
	pthread_mutex_unlock(&sm->lock);
	if (!err && cut.start < cut.end) {
		/* All at once: private copies lie also where no page of ours does. */
		memmap_mapped_invalidate(&sm->own.mapped, cut, true);
		let_go(sm, taken);
	}
	pthread_mutex_unlock(&sm->own.mapped.lock);
	return err;
}

/* Copy between `buf` and the pages of [offset, offset + length), which all exist or are read. */
static void copy_pages(struct shared_memory *sm, uint64_t offset, char *buf, uint64_t length,
		       bool write)
{
	const struct memmap_mappable_range mr = {offset, offset + length};
	struct page_map_iterator it = page_map_set_lower_bound_segment(&sm->pages, offset);
	if (!write)
		memset(buf, 0, length);
	for (; page_map_iterator_ok(it) && page_map_iterator_start(it) < mr.end;
	     it = page_map_iterator_next_segment(it)) {
		const struct memmap_mappable_range part =
			memmap_mappable_range_intersect(page_map_iterator_range(it), mr);
		const uint64_t n = memmap_mappable_range_length(part);
		struct memmap_block_seq mine =
			memmap_block_seq_of(memmap_block_safe(buf + (part.start - offset), n));
		struct memmap_block_seq pages;
		if (memmap_file_map_internal(memmap_memory_file_file(sm->own.mf),
					     memmap_page_map_part(it, part), MEMMAP_READ_WRITE,
					     &pages))
			continue; /* never: see memory_file.c */
		(void)memmap_copy_seq(write ? pages : mine, write ? mine : pages, NULL);
	}
}

int memmap_shared_memory_read(struct memmap_mappable *mappable, uint64_t offset, void *buf,
			      uint64_t length, uint64_t *done)
{
	struct shared_memory *sm = of_mappable(mappable);
	pthread_mutex_lock(&sm->lock);
	uint64_t n = offset < sm->size ? sm->size - offset : 0;
	if (n > length)
		n = length;
	if (n > 0)
		copy_pages(sm, offset, buf, n, false);
	pthread_mutex_unlock(&sm->lock);
	*done = n;
	return 0;
}

int memmap_shared_memory_write(struct memmap_mappable *mappable, uint64_t offset, const void *buf,
			       uint64_t length, uint64_t *done)
{
	struct shared_memory *sm = of_mappable(mappable);
	const char *bytes = buf;
	int err = 0;
	*done = 0;
	if (length == 0)
		return 0;
	if (offset > INT64_MAX || length > INT64_MAX - offset)
		return -EFBIG;
	/* Sizes change one after another. */
	pthread_mutex_lock(&sm->own.mapped.lock);
	pthread_mutex_lock(&sm->lock);
	while (!err && *done < length) {
		const uint64_t at = offset + *done;
		uint64_t n = MEMMAP_PAGE_SIZE - (at & MEMMAP_PAGE_MASK);
		if (n > length - *done)
			n = length - *done;
		const uint64_t page = memmap_page_round_down(at);
		err = populate(sm, (struct memmap_mappable_range){page, page + MEMMAP_PAGE_SIZE});
		if (err)
			break;
		copy_pages(sm, at, (char *)bytes + *done, n, true); /* only read from */
		*done += n;
		if (at + n > sm->size)
			sm->size = at + n;
	}
	pthread_mutex_unlock(&sm->lock);
	pthread_mutex_unlock(&sm->own.mapped.lock);
	return err;
}

/* ---- Life ---- */

static const struct memmap_mappable_ops mappable_ops = {
	.add_mapping = memmap_mapped_add,
	.remove_mapping = memmap_mapped_remove,
	.copy_mapping = memmap_mapped_copy,
	.translate = translate,
	.invalidate_unsavable = memmap_mapped_all_savable,
	.resident = resident,
};

static const struct memmap_mapping_identity_ops identity_ops = {
	.inc_ref = memmap_own_file_inc_ref,
	.dec_ref = dec_ref,
	.mapped_name = memmap_own_file_mapped_name,
	.device_id = memmap_own_file_device_id,
	.inode_id = memmap_own_file_inode_id,
	.msync = memmap_own_file_msync_nothing,
	.punch_hole = punch_hole,
};

int memmap_shared_memory_create(struct memmap_memory_file *mf, uint64_t length, uint32_t mem_cg_id,
				const struct memmap_shared_memory_options *options,
				struct memmap_mapping_identity **identity,
				struct memmap_mappable **mappable)
{
	static const struct memmap_shared_memory_options none;
	if (!options)
		options = &none;
	if (length > INT64_MAX)
		return -EINVAL;
	const struct memmap_own_file_options own = {
		.mappable_ops = &mappable_ops,
		.identity_ops = &identity_ops,
		.allocator = options->allocator,
		.mf = mf,
		.name = options->name ? options->name : "/dev/zero (deleted)",
		.device = options->device ? options->device : makedev(0, 1),
		.inode = options->inode ? options->inode : memmap_memory_file_new_inode(mf),
	};
	struct shared_memory *sm = memmap_own_file_create(sizeof(*sm), &own);
	if (!sm)
		return -ENOMEM;
	sm->mem_cg_id = mem_cg_id;
	pthread_mutex_init(&sm->lock, NULL);
	page_map_set_init(&sm->pages, options->allocator);
	sm->size = length;
	*identity = &sm->own.identity;
	*mappable = &sm->own.mapped.mappable;
	return 0;
}
