/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Shared memory: a Mappable whose only store is the memory file.
 *
 * Invariants: every page in `pages` has a reference of ours; none lies wholly at or beyond `size`,
 * but while a truncation is under way.
 *
 * What is stored through a mapping in the last page beyond `size` is there when the file grows later:
 * so it is in Linux's tmpfs, unlike in other file systems. Truncating zeroes it.
 *
 * Locking: `mappings` as reverse_map.h says; it is also held for changes of the size and for punching,
 * which so come one after another. `lock`, inside of it, guards `pages` and `size`.
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
#include "file/page_map.h"
#include "file/reverse_map.h"

struct shared_memory {
	struct memmap_mappable mappable;
	struct memmap_mapping_identity identity;
	const struct memmap_allocator *allocator;
	struct memmap_memory_file *mf;
	uint64_t nr_refs; /* atomic */
	uint64_t device, inode;
	uint32_t mem_cg_id;
	size_t name_size;

	struct memmap_reverse_map mappings;
	pthread_mutex_t lock;
	struct page_map_set pages;
	uint64_t size;

	char name[];
};

static struct shared_memory *of_mappable(struct memmap_mappable *m)
{
	return (struct shared_memory *)m;
}

static struct shared_memory *of_identity(struct memmap_mapping_identity *id)
{
	return (struct shared_memory *)((char *)id - offsetof(struct shared_memory, identity));
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
		int err = memmap_memory_file_allocate(sm->mf, memmap_mappable_range_length(hole),
						      &opts, &fr);
		if (err)
			return err;
		err = page_map_set_insert(&sm->pages, gap, hole, fr.start, NULL);
		if (err) {
			memmap_file_dec_ref(memmap_memory_file_file(sm->mf), fr);
			return err;
		}
		mr.start = hole.end;
	}
	return 0;
}

/*
 * Take the pages of `mr` away, one run after another; no run crosses an edge of `mr`. With the
 * mappings' lock held.
 */
static void drop_pages(struct shared_memory *sm, struct memmap_mappable_range mr, bool invalidate)
{
	for (;;) {
		pthread_mutex_lock(&sm->lock);
		struct page_map_iterator it =
			page_map_set_lower_bound_segment(&sm->pages, mr.start);
		if (!page_map_iterator_ok(it) || page_map_iterator_start(it) >= mr.end) {
			pthread_mutex_unlock(&sm->lock);
			return;
		}
		const struct memmap_mappable_range run = page_map_iterator_range(it);
		const struct memmap_file_range fr = memmap_page_map_file_range(it);
		page_map_set_remove(&sm->pages, it);
		pthread_mutex_unlock(&sm->lock);
		if (invalidate)
			memmap_reverse_map_invalidate(&sm->mappings, run, false);
		memmap_file_dec_ref(memmap_memory_file_file(sm->mf), fr);
	}
}

/* Zero what is there of `mr`, which need not be page-aligned. With the lock held. */
static void zero_pages(struct shared_memory *sm, struct memmap_mappable_range mr)
{
	struct page_map_iterator it = page_map_set_lower_bound_segment(&sm->pages, mr.start);
	for (; page_map_iterator_ok(it) && page_map_iterator_start(it) < mr.end;
	     it = page_map_iterator_next_segment(it)) {
		const struct memmap_mappable_range run = page_map_iterator_range(it);
		const struct memmap_mappable_range part = memmap_mappable_range_intersect(run, mr);
		const uint64_t at = page_map_iterator_value(it) + (part.start - run.start);
		const struct memmap_file_range fr = {at, at + memmap_mappable_range_length(part)};
		struct memmap_block_seq bytes;
		/* The memory file's own mapping neither fails nor faults. */
		if (!memmap_file_map_internal(memmap_memory_file_file(sm->mf), fr, MEMMAP_WRITE,
					      &bytes))
			(void)memmap_zero_seq(bytes, NULL);
	}
}

/* ---- The Mappable ---- */

static int add_mapping(struct memmap_mappable *m, struct memmap_context *ctx,
		       struct memmap_mapping_space *ms, struct memmap_addr_range ar,
		       uint64_t offset, bool writable)
{
	(void)ctx;
	return memmap_reverse_map_add(&of_mappable(m)->mappings, ms, ar, offset, writable);
}

static int remove_mapping(struct memmap_mappable *m, struct memmap_context *ctx,
			  struct memmap_mapping_space *ms, struct memmap_addr_range ar,
			  uint64_t offset, bool writable)
{
	(void)ctx;
	return memmap_reverse_map_remove(&of_mappable(m)->mappings, ms, ar, offset, writable);
}

static int copy_mapping(struct memmap_mappable *m, struct memmap_context *ctx,
			struct memmap_mapping_space *ms, struct memmap_addr_range src_ar,
			struct memmap_addr_range dst_ar, uint64_t offset, bool writable)
{
	(void)src_ar;
	return add_mapping(m, ctx, ms, dst_ar, offset, writable);
}

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
			err = memmap_page_map_translate(&sm->pages, memmap_memory_file_file(sm->mf),
							required, optional, MEMMAP_ANY_ACCESS, out);
		if (!err)
			err = beyond;
	}
	pthread_mutex_unlock(&sm->lock);
	return err;
}

static int invalidate_unsavable(struct memmap_mappable *m, struct memmap_context *ctx)
{
	(void)m;
	(void)ctx;
	return 0;
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

static void inc_ref(struct memmap_mapping_identity *id)
{
	__atomic_add_fetch(&of_identity(id)->nr_refs, 1, __ATOMIC_RELAXED);
}

static void dec_ref(struct memmap_mapping_identity *id, struct memmap_context *ctx)
{
	struct shared_memory *sm = of_identity(id);
	(void)ctx;
	if (__atomic_sub_fetch(&sm->nr_refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	if (!memmap_mapping_set_is_empty(&sm->mappings.set))
		memmap_panic("shared memory: the last reference goes, but it is still mapped");
	for (struct page_map_iterator it = page_map_set_first_segment(&sm->pages);
	     page_map_iterator_ok(it); it = page_map_iterator_next_segment(it))
		memmap_file_dec_ref(memmap_memory_file_file(sm->mf),
				    memmap_page_map_file_range(it));
	page_map_set_destroy(&sm->pages);
	memmap_reverse_map_destroy(&sm->mappings);
	pthread_mutex_destroy(&sm->lock);
	memmap_deallocate(sm->allocator, sm, sizeof(*sm) + sm->name_size);
}

static size_t mapped_name(struct memmap_mapping_identity *id, struct memmap_context *ctx, char *buf,
			  size_t size)
{
	(void)ctx;
	return (size_t)snprintf(buf, size, "%s", of_identity(id)->name);
}

static uint64_t device_id(struct memmap_mapping_identity *id)
{
	return of_identity(id)->device;
}

static uint64_t inode_id(struct memmap_mapping_identity *id)
{
	return of_identity(id)->inode;
}

static int msync_nothing(struct memmap_mapping_identity *id, struct memmap_context *ctx,
			 struct memmap_mappable_range mr)
{
	(void)id;
	(void)ctx;
	(void)mr;
	return 0;
}

static int punch_hole(struct memmap_mapping_identity *id, struct memmap_context *ctx,
		      struct memmap_mappable_range mr)
{
	struct shared_memory *sm = of_identity(id);
	(void)ctx;
	pthread_mutex_lock(&sm->mappings.lock);
	pthread_mutex_lock(&sm->lock);
	int err = page_map_set_split_at(&sm->pages, mr.start);
	if (err >= 0)
		err = page_map_set_split_at(&sm->pages, mr.end);
	pthread_mutex_unlock(&sm->lock);
	if (err >= 0)
		drop_pages(sm, mr, true);
	pthread_mutex_unlock(&sm->mappings.lock);
	return err < 0 ? err : 0;
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
	pthread_mutex_lock(&sm->mappings.lock);
	pthread_mutex_lock(&sm->lock);
	const uint64_t before = sm->size;
	int err = size < before ? page_map_set_split_at(&sm->pages, page_end(size)) : 0;
	if (err >= 0) {
		sm->size = size;
		if (size <= before)
			zero_pages(sm, (struct memmap_mappable_range){size, page_end(size)});
	}
	pthread_mutex_unlock(&sm->lock);
	if (err >= 0 && page_end(size) < page_end(before)) {
		/* All at once: private copies lie also where no page of ours does. */
		const struct memmap_mappable_range cut = {page_end(size), page_end(before)};
		memmap_reverse_map_invalidate(&sm->mappings, cut, true);
		drop_pages(sm, cut, false);
	}
	pthread_mutex_unlock(&sm->mappings.lock);
	return err < 0 ? err : 0;
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
		const struct memmap_mappable_range run = page_map_iterator_range(it);
		const struct memmap_mappable_range part = memmap_mappable_range_intersect(run, mr);
		const uint64_t at = page_map_iterator_value(it) + (part.start - run.start);
		const uint64_t n = memmap_mappable_range_length(part);
		struct memmap_block_seq mine =
			memmap_block_seq_of(memmap_block_safe(buf + (part.start - offset), n));
		struct memmap_block_seq pages;
		if (memmap_file_map_internal(memmap_memory_file_file(sm->mf),
					     (struct memmap_file_range){at, at + n},
					     MEMMAP_READ_WRITE, &pages))
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
	pthread_mutex_lock(&sm->mappings.lock);
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
	pthread_mutex_unlock(&sm->mappings.lock);
	return err;
}

/* ---- Life ---- */

static const struct memmap_mappable_ops mappable_ops = {
	.add_mapping = add_mapping,
	.remove_mapping = remove_mapping,
	.copy_mapping = copy_mapping,
	.translate = translate,
	.invalidate_unsavable = invalidate_unsavable,
	.resident = resident,
};

static const struct memmap_mapping_identity_ops identity_ops = {
	.inc_ref = inc_ref,
	.dec_ref = dec_ref,
	.mapped_name = mapped_name,
	.device_id = device_id,
	.inode_id = inode_id,
	.msync = msync_nothing,
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
	const char *name = options->name ? options->name : "/dev/zero (deleted)";
	const size_t name_size = strlen(name) + 1;
	struct shared_memory *sm = memmap_allocate(options->allocator, sizeof(*sm) + name_size,
						   _Alignof(struct shared_memory));
	if (!sm)
		return -ENOMEM;
	memset(sm, 0, sizeof(*sm));
	memcpy(sm->name, name, name_size);
	sm->name_size = name_size;
	sm->mappable.ops = &mappable_ops;
	sm->identity.ops = &identity_ops;
	sm->allocator = options->allocator;
	sm->mf = mf;
	sm->nr_refs = 1;
	sm->device = options->device ? options->device : makedev(0, 1);
	sm->inode = options->inode ? options->inode : memmap_memory_file_new_inode(mf);
	sm->mem_cg_id = mem_cg_id;
	memmap_reverse_map_init(&sm->mappings, options->allocator);
	pthread_mutex_init(&sm->lock, NULL);
	page_map_set_init(&sm->pages, options->allocator);
	sm->size = length;
	*identity = &sm->identity;
	*mappable = &sm->mappable;
	return 0;
}
