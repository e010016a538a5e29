/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pager: pages of a file that the program reads and writes itself.
 *
 * `pages` knows each page that is cached: where in the memory file it is, whether it is dirty, and
 * whether somebody is at work on it. Work is done without the lock, on a run of pages that is marked
 * for as long:
 *
 *             read ──▶ [reading] ──▶ clean ◀──────────────┐
 *   absent ◀───────────────┘ fails    │ ▲ translate(WRITE) │ written
 *     ▲                               │ └──────▶ dirty ──▶ [writing] ──▶ dirty again: it failed
 *     └──────────── [taken] ◀─────────┴────────────┘ cut off or punched
 *
 * Only who marked a run changes, splits or removes it; everybody else waits for `settled`, but for
 * who reads pages that are being written. So a marked run is the page lock of other systems.
 *
 * Invariants: every page in `pages` has a reference of ours; pages that may be translated for writing
 * are dirty and not marked; `cached` and `dirty` count bytes.
 *
 * Lock order: `changing`, which makes truncating and punching take turns; marks; the lock over who
 * maps it (mapped.h), held only while mappings come, go or are invalidated; `lock`. Marks are waited
 * for with none of the two latter held.
 *
 * Refuses: translating for writing when there is no write function (-EACCES).
 */
#include <memmap/pager.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <memmap/error.h>

#include "file/memory_file.h"
#include "file/pager.h"

static struct pager *of_mappable(struct memmap_mappable *m)
{
	return (struct pager *)m;
}

static struct pager *of_identity(struct memmap_mapping_identity *id)
{
	return (struct pager *)memmap_own_file_of(id);
}

/* ---- The Mappable ---- */

/* Translate from `at` on as far as one run goes; `*next` is its end. */
static int translate_run(struct pager *p, struct cached_iterator it, uint64_t at,
			 struct memmap_mappable_range required,
			 struct memmap_mappable_range optional, bool write,
			 struct memmap_translations *out, uint64_t *next)
{
	/* The list has room before anything is called dirty. */
	int err = memmap_translations_reserve(out, 1);
	if (err)
		return err;
	if (write && !cached_iterator_value_ptr(it)->dirty) {
		err = cached_set_isolate(&p->pages, it,
					 (struct memmap_mappable_range){at, required.end}, &it);
		if (err)
			return err;
		cached_iterator_value_ptr(it)->dirty = true;
		p->dirty += memmap_mappable_range_length(cached_iterator_range(it));
		it = cached_set_unisolate(&p->pages, it);
	}
	const struct cached_pages *v = cached_iterator_value_ptr(it);
	const struct memmap_mappable_range run = cached_iterator_range(it);
	struct memmap_mappable_range source = memmap_mappable_range_intersect(run, optional);
	if (at > required.start)
		source.start = at; /* what comes before has its translation */
	*next = source.end;
	return memmap_translations_append(out, (struct memmap_translation){
						       .source = source,
						       .file = memmap_memory_file_file(p->own.mf),
						       .offset = v->at + (source.start - run.start),
						       .perms = v->dirty && v->mark == UNMARKED
									? MEMMAP_ANY_ACCESS
									: MEMMAP_READ | MEMMAP_EXEC,
					       });
}

static int translate(struct memmap_mappable *m, struct memmap_context *ctx,
		     struct memmap_mappable_range required, struct memmap_mappable_range optional,
		     memmap_access at, struct memmap_translations *out)
{
	struct pager *p = of_mappable(m);
	const bool write = (at & MEMMAP_WRITE) != 0;
	struct pager_request request = {.required = required, .write = write};
	int err = 0;
	if (write && !p->ops->write)
		return -EACCES;
	pthread_mutex_lock(&p->lock);
	struct memmap_mappable_range within = optional;
	uint64_t next = required.start;
	while (next < required.end) {
		uint64_t end = pager_page_end(p->size);
		within.end = optional.end < end ? optional.end : end;
		if (memmap_context_is_cancelled(ctx))
			err = -EINTR;
		else if (next >= within.end)
			err = memmap_bus_error(-EFAULT);
		else
			err = pager_have_page(p, next, within, &request, &end);
		if (err < 0) {
			required.end = next; /* what comes before it is there */
			break;
		}
		/* When the lock was released, what was there may have gone. */
		next = err == 1 ? end : required.start;
		err = 0;
	}
	for (next = required.start; next < required.end;) {
		struct cached_iterator it = cached_set_find_segment(&p->pages, next);
		/* Reading what comes after it failed, and what was there has gone meanwhile. */
		if (err && !(cached_iterator_ok(it) && pager_may_translate(it, write)))
			break;
		int cannot = translate_run(p, it, next, required, within, write, out, &next);
		if (cannot) {
			err = cannot;
			break;
		}
	}
	pthread_mutex_unlock(&p->lock);
	return err;
}

static int resident(struct memmap_mappable *m, struct memmap_context *ctx,
		    struct memmap_mappable_range mr, unsigned char *vec)
{
	struct pager *p = of_mappable(m);
	(void)ctx;
	memset(vec, 0, memmap_mappable_range_length(mr) / MEMMAP_PAGE_SIZE);
	pthread_mutex_lock(&p->lock);
	struct cached_iterator it = cached_set_lower_bound_segment(&p->pages, mr.start);
	for (; cached_iterator_ok(it) && cached_iterator_start(it) < mr.end;
	     it = cached_iterator_next_segment(it)) {
		const struct memmap_mappable_range part =
			memmap_mappable_range_intersect(cached_iterator_range(it), mr);
		if (cached_iterator_value_ptr(it)->mark != READING)
			memset(vec + (part.start - mr.start) / MEMMAP_PAGE_SIZE, 1,
			       memmap_mappable_range_length(part) / MEMMAP_PAGE_SIZE);
	}
	pthread_mutex_unlock(&p->lock);
	return 0;
}

/* ---- Cutting off and punching ---- */

/*
 * Mark all cached pages of `mr` as taken, and have no absent ones read. On failure nothing is marked.
 * With the lock held, which is released while others are at work there.
 */
static int take_pages(struct pager *p, struct memmap_mappable_range mr)
{
	/* What crosses an edge is split there; nobody joins it again behind our back while we look. */
	for (;;) {
		struct cached_iterator it = cached_set_lower_bound_segment(&p->pages, mr.start);
		while (cached_iterator_ok(it) && cached_iterator_start(it) < mr.end &&
		       cached_iterator_value_ptr(it)->mark == UNMARKED)
			it = cached_iterator_next_segment(it);
		if (!cached_iterator_ok(it) || cached_iterator_start(it) >= mr.end)
			break;
		pager_wait_settled(p);
	}
	int err = cached_set_split_at(&p->pages, mr.start);
	if (err >= 0)
		err = cached_set_split_at(&p->pages, mr.end);
	if (err < 0)
		return err;
	p->frozen = mr;
	struct cached_iterator it = cached_set_lower_bound_segment(&p->pages, mr.start);
	for (; cached_iterator_ok(it) && cached_iterator_start(it) < mr.end;
	     it = cached_iterator_next_segment(it))
		cached_iterator_value_ptr(it)->mark = TAKEN;
	return 0;
}

/* Give the pages back as they were, or drop them. With the lock held. */
static void release_pages(struct pager *p, struct memmap_mappable_range mr, bool keep)
{
	while (mr.start < mr.end) {
		struct cached_iterator it = cached_set_lower_bound_segment(&p->pages, mr.start);
		if (!cached_iterator_ok(it) || cached_iterator_start(it) >= mr.end)
			break;
		const uint64_t start = cached_iterator_start(it);
		mr.start = cached_iterator_end(it);
		if (keep)
			pager_unmark(p, start, cached_iterator_value_ptr(it)->dirty);
		else
			pager_drop(p, start);
	}
	p->frozen = (struct memmap_mappable_range){0, 0};
	pthread_cond_broadcast(&p->settled);
}

static int punch_hole(struct memmap_mapping_identity *id, struct memmap_context *ctx,
		      struct memmap_mappable_range mr)
{
	struct pager *p = of_identity(id);
	(void)ctx;
	if (!p->ops->punch_hole)
		return -EOPNOTSUPP;
	pthread_mutex_lock(&p->changing);
	pthread_mutex_lock(&p->lock);
	const struct memmap_mappable_range all = {0, pager_page_end(p->size)};
	const uint64_t size = p->size;
	mr = memmap_mappable_range_intersect(mr, all);
	int err = 0;
	if (mr.start < mr.end)
		err = take_pages(p, mr);
	pthread_mutex_unlock(&p->lock);
	if (!err && mr.start < mr.end) {
		const uint64_t end = mr.end < size ? mr.end : size;
		err = p->ops->punch_hole(p->context, mr.start, end - mr.start);
		if (!err)
			pager_invalidate(p, mr, false);
		pthread_mutex_lock(&p->lock);
		release_pages(p, mr, err != 0);
		pthread_mutex_unlock(&p->lock);
	}
	pthread_mutex_unlock(&p->changing);
	return err;
}

/* Zero what is cached of the last page's bytes from `size` on. With the lock held. */
static void zero_tail(struct pager *p, uint64_t size)
{
	struct cached_iterator it = cached_set_find_segment(&p->pages, size);
	const uint64_t end = pager_page_end(size);
	if (size == end || !cached_iterator_ok(it))
		return;
	const uint64_t at = cached_iterator_value_ptr(it)->at + (size - cached_iterator_start(it));
	(void)memmap_zero_seq(pager_bytes_of(p, (struct memmap_file_range){at, at + (end - size)}),
			      NULL);
}

/*
 *   pages    |=====|=====|=====|=====|
 *   size              to ▲         ▲ from
 *   taken          |—————————————————|     so that nothing of it is being written meanwhile
 *   dropped              |———————————|
 */
int memmap_pager_truncate(struct memmap_mappable *mappable, uint64_t size)
{
	struct pager *p = of_mappable(mappable);
	if (size > INT64_MAX)
		return -EINVAL;
	if (!p->ops->truncate)
		return -EOPNOTSUPP;
	pthread_mutex_lock(&p->changing);
	pthread_mutex_lock(&p->lock);
	const uint64_t before = p->size;
	const bool shorter = size < before;
	const struct memmap_mappable_range taken = {memmap_page_round_down(size),
						    pager_page_end(before)};
	const struct memmap_mappable_range cut = {pager_page_end(size), pager_page_end(before)};
	int err = shorter ? take_pages(p, taken) : 0;
	if (err)
		goto out;
	err = shorter ? cached_set_split_at(&p->pages, cut.start) : 0;
	if (err < 0)
		goto release;
	pthread_mutex_unlock(&p->lock);
	err = p->ops->truncate(p->context, size);
	pthread_mutex_lock(&p->lock);
	if (!err) {
		p->size = size;
		zero_tail(p, shorter ? size : before);
	}
	if (!err && cut.start < cut.end) {
		pthread_mutex_unlock(&p->lock);
		pager_invalidate(p, cut, true);
		pthread_mutex_lock(&p->lock);
		release_pages(p, cut, false);
	}
release:
	if (shorter)
		release_pages(p, taken, true);
out:
	pthread_mutex_unlock(&p->lock);
	pthread_mutex_unlock(&p->changing);
	return err;
}

/* ---- The identity ---- */

static int write_all(struct memmap_mapping_identity *id, struct memmap_context *ctx,
		     struct memmap_mappable_range mr)
{
	struct pager *p = of_identity(id);
	(void)ctx;
	pthread_mutex_lock(&p->lock);
	int err = pager_write_back_range(p, mr);
	pthread_mutex_unlock(&p->lock);
	if (!err && p->ops->sync)
		err = p->ops->sync(p->context);
	return err;
}

static void dec_ref(struct memmap_mapping_identity *id, struct memmap_context *ctx)
{
	struct pager *p = of_identity(id);
	if (!memmap_own_file_drop(id, "pager"))
		return;
	(void)write_all(id, ctx, (struct memmap_mappable_range){0, pager_page_end(p->size)});
	for (struct cached_iterator it = cached_set_first_segment(&p->pages);
	     cached_iterator_ok(it); it = cached_iterator_next_segment(it))
		memmap_file_dec_ref(memmap_memory_file_file(p->own.mf), pager_file_range(it));
	cached_set_destroy(&p->pages);
	pthread_cond_destroy(&p->settled);
	pthread_mutex_destroy(&p->lock);
	pthread_mutex_destroy(&p->changing);
	memmap_own_file_free(&p->own);
}

/* ---- Life ---- */

uint64_t memmap_pager_size(struct memmap_mappable *mappable)
{
	struct pager *p = of_mappable(mappable);
	pthread_mutex_lock(&p->lock);
	const uint64_t size = p->size;
	pthread_mutex_unlock(&p->lock);
	return size;
}

int memmap_pager_shrink(struct memmap_mappable *mappable, uint64_t bytes)
{
	struct pager *p = of_mappable(mappable);
	pthread_mutex_lock(&p->lock);
	int err = pager_shrink(p, bytes, (struct memmap_mappable_range){0, 0});
	pthread_mutex_unlock(&p->lock);
	return err;
}

void memmap_pager_get_stats(struct memmap_mappable *mappable, struct memmap_pager_stats *out)
{
	struct pager *p = of_mappable(mappable);
	pthread_mutex_lock(&p->lock);
	*out = (struct memmap_pager_stats){.cached = p->cached, .dirty = p->dirty};
	pthread_mutex_unlock(&p->lock);
}

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
	.msync = write_all,
	.punch_hole = punch_hole,
};

int memmap_pager_create(struct memmap_memory_file *mf, const struct memmap_pager_ops *ops,
			void *context, const struct memmap_pager_options *options,
			struct memmap_mapping_identity **identity,
			struct memmap_mappable **mappable)
{
	if (options->size > INT64_MAX)
		return -EINVAL;
	const struct memmap_own_file_options own = {
		.mappable_ops = &mappable_ops,
		.identity_ops = &identity_ops,
		.allocator = options->allocator,
		.mf = mf,
		.name = options->name ? options->name : "",
		.device = options->device,
		.inode = options->device || options->inode ? options->inode
							   : memmap_memory_file_new_inode(mf),
	};
	struct pager *p = memmap_own_file_create(sizeof(*p), &own);
	if (!p)
		return -ENOMEM;
	p->ops = ops;
	p->context = context;
	p->cache_limit = options->cache_limit;
	p->mem_cg_id = options->mem_cg_id;
	p->size = options->size;
	pthread_mutex_init(&p->changing, NULL);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->settled, NULL);
	cached_set_init(&p->pages, options->allocator);
	*identity = &p->own.identity;
	*mappable = &p->own.mapped.mappable;
	return 0;
}
