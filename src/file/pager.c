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
 * Lock order: `changing`, which makes truncating and punching take turns; marks; the lock of
 * `mappings`, held only while mappings come, go or are invalidated; `lock`. Marks are waited for with
 * none of the two latter held.
 *
 * Refuses: translating for writing when there is no write function (-EACCES).
 */
#include <memmap/pager.h>

#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

#include <memmap/arch.h>
#include <memmap/block.h>
#include <memmap/error.h>

#include "file/memory_file.h"
#include "file/reverse_map.h"

/* The most that is read, written or taken away at once. */
#define MAX_IO (UINT64_C(256) << 10)

/* What is being done with pages. */
enum mark { UNMARKED, READING, WRITING, TAKEN };

struct cached_pages {
	uint64_t at; /* in the memory file */
	enum mark mark;
	bool dirty;
};

static bool merge_cached(struct memmap_mappable_range r1, struct cached_pages *v1,
			 struct memmap_mappable_range r2, struct cached_pages *v2,
			 struct cached_pages *out)
{
	(void)r2;
	*out = *v1;
	return v1->mark == UNMARKED && v2->mark == UNMARKED && v1->dirty == v2->dirty &&
	       v1->at + memmap_mappable_range_length(r1) == v2->at;
}

static int split_cached(struct memmap_mappable_range r, struct cached_pages *v, uint64_t at,
			struct cached_pages *v1, struct cached_pages *v2)
{
	const struct cached_pages whole = *v;
	*v1 = whole;
	*v2 = whole;
	v2->at += at - r.start;
	return 0;
}

/* clang-format off */
#define SEGMENT_PREFIX cached
#define SEGMENT_RANGE  memmap_mappable_range
#define SEGMENT_VALUE  struct cached_pages
#define SEGMENT_MERGE  merge_cached
#define SEGMENT_SPLIT  split_cached
#include <memmap/segment_set.h>
/* clang-format on */

struct pager {
	struct memmap_mappable mappable;
	struct memmap_mapping_identity identity;
	const struct memmap_allocator *allocator;
	struct memmap_memory_file *mf;
	const struct memmap_pager_ops *ops;
	void *context;
	uint64_t nr_refs; /* atomic */
	uint64_t device, inode;
	uint64_t cache_limit;
	uint32_t mem_cg_id;
	size_t name_size;

	pthread_mutex_t changing;
	struct memmap_reverse_map mappings;
	pthread_mutex_t lock;
	pthread_cond_t settled; /* a mark went, or the frozen range did */
	struct cached_set pages;
	uint64_t size, cached, dirty;
	uint64_t hand; /* where to look next for pages to take away */
	/* Absent pages in here are not read now. */
	struct memmap_mappable_range frozen;

	char name[];
};

static struct pager *of_mappable(struct memmap_mappable *m)
{
	return (struct pager *)m;
}

static struct pager *of_identity(struct memmap_mapping_identity *id)
{
	return (struct pager *)((char *)id - offsetof(struct pager, identity));
}

static uint64_t page_end(uint64_t size)
{
	return memmap_page_round_down(size + MEMMAP_PAGE_MASK); /* sizes are far from the top */
}

static struct memmap_mappable_range first_of(struct memmap_mappable_range r, uint64_t most)
{
	if (memmap_mappable_range_length(r) > most)
		r.end = r.start + most;
	return r;
}

static void wait_settled(struct pager *p)
{
	pthread_cond_wait(&p->settled, &p->lock);
}

/* ---- Runs; all with the lock held ---- */

static struct memmap_file_range file_range(struct cached_iterator it)
{
	const uint64_t at = cached_iterator_value_ptr(it)->at;
	return (struct memmap_file_range){
		at, at + memmap_mappable_range_length(cached_iterator_range(it))};
}

/* Make what of the run lies in `mr` a run of its own, and mark it. 0 or -ENOMEM. */
static int mark(struct pager *p, struct cached_iterator it, struct memmap_mappable_range mr,
		enum mark how, struct memmap_mappable_range *out)
{
	int err = cached_set_isolate(&p->pages, it, mr, &it);
	if (err)
		return err;
	cached_iterator_value_ptr(it)->mark = how;
	*out = cached_iterator_range(it);
	return 0;
}

/* The work on the run that begins at `start` is done. */
static void unmark(struct pager *p, uint64_t start, bool dirty)
{
	struct cached_iterator it = cached_set_find_segment(&p->pages, start);
	struct cached_pages *v = cached_iterator_value_ptr(it);
	const uint64_t length = memmap_mappable_range_length(cached_iterator_range(it));
	p->dirty += dirty ? length : 0;
	p->dirty -= v->dirty ? length : 0;
	v->mark = UNMARKED;
	v->dirty = dirty;
	cached_set_unisolate(&p->pages, it);
	pthread_cond_broadcast(&p->settled);
}

/* Drop the marked run that begins at `start`. */
static void drop(struct pager *p, uint64_t start)
{
	struct cached_iterator it = cached_set_find_segment(&p->pages, start);
	const struct memmap_file_range fr = file_range(it);
	const uint64_t length = memmap_file_range_length(fr);
	p->cached -= length;
	p->dirty -= cached_iterator_value_ptr(it)->dirty ? length : 0;
	cached_set_remove(&p->pages, it);
	memmap_file_dec_ref(memmap_memory_file_file(p->mf), fr);
	pthread_cond_broadcast(&p->settled);
}

/* The bytes of a run, which stay where they are while it is marked. */
static struct memmap_block_seq bytes_of(struct pager *p, struct memmap_file_range fr)
{
	struct memmap_block_seq seq = {0};
	(void)memmap_file_map_internal(memmap_memory_file_file(p->mf), fr, MEMMAP_READ_WRITE, &seq);
	return seq;
}

static void invalidate(struct pager *p, struct memmap_mappable_range mr, bool invalidate_private)
{
	pthread_mutex_lock(&p->mappings.lock);
	memmap_reverse_map_invalidate(&p->mappings, mr, invalidate_private);
	pthread_mutex_unlock(&p->mappings.lock);
}

/* ---- Writing back ---- */

/*
 * Write the dirty run `it`, or what of it lies in `mr`. The lock is released meanwhile. Returns 0, or
 * a negative errno with the pages still dirty; `*done` is where to go on.
 */
static int write_back(struct pager *p, struct cached_iterator it, struct memmap_mappable_range mr,
		      uint64_t *done)
{
	struct memmap_mappable_range run;
	mr = first_of(memmap_mappable_range_intersect(mr, cached_iterator_range(it)), MAX_IO);
	*done = mr.end;
	int err = mark(p, it, mr, WRITING, &run);
	if (err)
		return err;
	const struct memmap_file_range fr =
		file_range(cached_set_find_segment(&p->pages, run.start));
	const uint64_t size = p->size;
	pthread_mutex_unlock(&p->lock);

	/* From here on nobody stores into the pages. */
	invalidate(p, run, false);
	struct memmap_block_seq seq = bytes_of(p, fr);
	if (run.end > size)
		seq = memmap_block_seq_take_first(seq, size > run.start ? size - run.start : 0);
	uint64_t offset = run.start;
	while (!err && !memmap_block_seq_is_empty(seq)) {
		const struct memmap_block block = memmap_block_seq_head(seq);
		err = p->ops->write(p->context, offset, block.addr, block.len);
		offset += block.len;
		seq = memmap_block_seq_tail(seq);
	}

	pthread_mutex_lock(&p->lock);
	unmark(p, run.start, err != 0);
	return err;
}

/* Write all dirty pages of `mr`: 0 or the first error. With the lock held, which is released. */
static int write_back_range(struct pager *p, struct memmap_mappable_range mr)
{
	int first_err = 0;
	while (mr.start < mr.end) {
		struct cached_iterator it = cached_set_lower_bound_segment(&p->pages, mr.start);
		if (!cached_iterator_ok(it) || cached_iterator_start(it) >= mr.end)
			break;
		const struct cached_pages *v = cached_iterator_value_ptr(it);
		if (v->dirty && v->mark != UNMARKED) {
			wait_settled(p);
			continue;
		}
		uint64_t done = cached_iterator_end(it);
		if (v->dirty) {
			int err = write_back(p, it, mr, &done);
			if (!first_err)
				first_err = err;
		}
		mr.start = done;
	}
	return first_err;
}

/* ---- Taking away ---- */

/* What of `run` lies outside of `but`, its first part; empty when there is nothing. */
static struct memmap_mappable_range outside(struct memmap_mappable_range run,
					    struct memmap_mappable_range but)
{
	if (!memmap_mappable_range_overlaps(run, but))
		return run;
	if (run.start < but.start)
		return (struct memmap_mappable_range){run.start, but.start};
	return (struct memmap_mappable_range){but.end < run.end ? but.end : run.end, run.end};
}

/*
 * The next pages from the hand on that may be taken away, in `*out`; none of `but`. Terminal when
 * there are none.
 */
static struct cached_iterator next_victim(struct pager *p, struct memmap_mappable_range but,
					  struct memmap_mappable_range *out)
{
	struct cached_iterator it = cached_set_lower_bound_segment(&p->pages, p->hand);
	/* Around once, so that the run which the hand is in is come to twice. */
	for (bool wrapped = false;; it = cached_iterator_next_segment(it)) {
		if (!cached_iterator_ok(it)) {
			if (wrapped)
				return it;
			wrapped = true;
			p->hand = 0;
			it = cached_set_first_segment(&p->pages);
			if (!cached_iterator_ok(it))
				return it;
		}
		*out = cached_iterator_range(it);
		if (out->start < p->hand)
			out->start = p->hand;
		*out = outside(*out, but);
		if (cached_iterator_value_ptr(it)->mark == UNMARKED && out->start < out->end)
			return it;
	}
}

/*
 * Take pages away until at most `bytes` are cached, none of `but`. 0, or the first error of writing.
 * With the lock held, which is released meanwhile.
 */
static int shrink(struct pager *p, uint64_t bytes, struct memmap_mappable_range but)
{
	int first_err = 0;
	uint64_t failed =
		0; /* bytes that could not be written: after a whole round of them, stop */
	while (p->cached > bytes && failed <= p->dirty) {
		struct memmap_mappable_range run;
		struct cached_iterator it = next_victim(p, but, &run);
		if (!cached_iterator_ok(it))
			break;
		const uint64_t most = page_end(p->cached - bytes);
		run = first_of(run, most < MAX_IO ? most : MAX_IO);
		p->hand = run.end;
		if (cached_iterator_value_ptr(it)->dirty) {
			int err = write_back(p, it, run, &run.end);
			if (err) {
				first_err = first_err ? first_err : err;
				failed += memmap_mappable_range_length(run);
				continue;
			}
			/* Clean now, and the lock has not been released since. */
			it = cached_set_find_segment(&p->pages, run.start);
		}
		if (mark(p, it, run, TAKEN, &run)) {
			/* No memory to cut it out: all of the run goes, if it may. */
			const struct memmap_mappable_range whole = cached_iterator_range(it);
			if (memmap_mappable_range_overlaps(whole, but) ||
			    mark(p, it, whole, TAKEN, &run))
				break;
		}
		pthread_mutex_unlock(&p->lock);
		invalidate(p, run, false);
		pthread_mutex_lock(&p->lock);
		drop(p, run.start);
	}
	return first_err;
}

/* ---- Reading ---- */

static int read_bytes(struct pager *p, uint64_t offset, struct memmap_block_seq seq)
{
	int err = 0;
	while (!err && !memmap_block_seq_is_empty(seq)) {
		const struct memmap_block block = memmap_block_seq_head(seq);
		uint64_t done = 0;
		err = p->ops->read(p->context, offset, block.addr, block.len, &done);
		if (!err && done < block.len)
			(void)memmap_zero(memmap_block_drop_first(block, done), NULL);
		offset += block.len;
		seq = memmap_block_seq_tail(seq);
	}
	return err;
}

/* One call of translate(), and what it has tried. */
struct request {
	struct memmap_mappable_range required;
	bool write;
	bool made_room;   /* under the limit; if that was not enough, it is exceeded */
	bool made_memory; /* in the memory file */
	bool alone;       /* reading more than the page itself failed */
};

/*
 * Read the pages of `mr`, which are absent, or make room for them. 0: look again. -ENOMEM, or a bus
 * error. The lock is released meanwhile, but not before the pages are there, marked.
 */
static int read_in(struct pager *p, struct memmap_mappable_range mr, struct request *request)
{
	const uint64_t length = memmap_mappable_range_length(mr);
	if (p->cache_limit && p->cached + length > p->cache_limit && !request->made_room) {
		request->made_room = true;
		(void)shrink(p, length < p->cache_limit ? p->cache_limit - length : 0,
			     request->required);
		return 0;
	}
	const struct memmap_allocate_opts opts = {
		.kind = MEMMAP_MEMORY_PAGE_CACHE,
		.mem_cg_id = p->mem_cg_id,
	};
	struct memmap_file_range fr;
	int err = memmap_memory_file_allocate(p->mf, length, &opts, &fr);
	if (err && !request->made_memory) {
		request->made_memory = true;
		(void)shrink(p, p->cached > length ? p->cached - length : 0, request->required);
		return 0;
	}
	if (err)
		return err;
	err = cached_set_add(&p->pages, mr, (struct cached_pages){.at = fr.start, .mark = READING});
	if (err) {
		memmap_file_dec_ref(memmap_memory_file_file(p->mf), fr);
		return err;
	}
	p->cached += length;
	const uint64_t size = p->size;
	pthread_mutex_unlock(&p->lock);

	struct memmap_block_seq seq = bytes_of(p, fr);
	if (mr.end > size)
		seq = memmap_block_seq_take_first(seq, size > mr.start ? size - mr.start : 0);
	err = read_bytes(p, mr.start, seq);

	pthread_mutex_lock(&p->lock);
	request->made_room = false;
	request->made_memory = false;
	if (!err)
		unmark(p, mr.start, false);
	else
		drop(p, mr.start);
	return err ? memmap_bus_error(err) : 0;
}

/*
 * See that the page at `at` is there and may be translated: 1 when it is, up to `*end`; 0 to look
 * again, the lock having been released; or an error. What is absent is read with what of `optional` is absent around it.
 */
static int have_page(struct pager *p, uint64_t at, struct memmap_mappable_range optional,
		     struct request *request, uint64_t *end)
{
	struct cached_iterator it;
	struct cached_gap_iterator gap;
	if (cached_set_find(&p->pages, at, &it, &gap)) {
		const enum mark how = cached_iterator_value_ptr(it)->mark;
		*end = cached_iterator_end(it);
		if (how == UNMARKED || (how == WRITING && !request->write))
			return 1;
		wait_settled(p);
		return 0;
	}
	const struct memmap_mappable_range page = {at, at + MEMMAP_PAGE_SIZE};
	if (memmap_mappable_range_overlaps(p->frozen, page)) {
		wait_settled(p);
		return 0;
	}
	struct memmap_mappable_range mr =
		memmap_mappable_range_intersect(cached_gap_iterator_range(gap), optional);
	if (mr.start < at && at - mr.start > MAX_IO / 2)
		mr.start = at - MAX_IO / 2;
	mr = first_of(mr, MAX_IO);
	if (request->alone || memmap_mappable_range_overlaps(mr, p->frozen) ||
	    (p->cache_limit && memmap_mappable_range_length(mr) > p->cache_limit / 2))
		mr = page;
	/* What was taken away to make room may make the gap longer. */
	if (request->made_memory ||
	    (request->made_room && p->cached + memmap_mappable_range_length(mr) > p->cache_limit))
		mr = page;
	int err = read_in(p, mr, request);
	/* Perhaps only what was not asked for fails. */
	if (err && memmap_mappable_range_length(mr) > MEMMAP_PAGE_SIZE) {
		request->alone = true;
		return 0;
	}
	return err;
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
						       .file = memmap_memory_file_file(p->mf),
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
	struct request request = {.required = required, .write = write};
	int err = 0;
	if (write && !p->ops->write)
		return -EACCES;
	pthread_mutex_lock(&p->lock);
	struct memmap_mappable_range within = optional;
	uint64_t next = required.start;
	while (next < required.end) {
		uint64_t end = page_end(p->size);
		within.end = optional.end < end ? optional.end : end;
		if (memmap_context_is_cancelled(ctx))
			err = -EINTR;
		else if (next >= within.end)
			err = memmap_bus_error(-EFAULT);
		else
			err = have_page(p, next, within, &request, &end);
		if (err < 0) {
			required.end = next; /* what comes before it is there */
			break;
		}
		/* When the lock was released, what was there may have gone. */
		next = err == 1 ? end : required.start;
		err = 0;
	}
	for (next = required.start; next < required.end;) {
		int cannot = translate_run(p, cached_set_find_segment(&p->pages, next), next,
					   required, within, write, out, &next);
		if (cannot) {
			err = cannot;
			break;
		}
	}
	pthread_mutex_unlock(&p->lock);
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
		wait_settled(p);
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
			unmark(p, start, cached_iterator_value_ptr(it)->dirty);
		else
			drop(p, start);
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
	const struct memmap_mappable_range all = {0, page_end(p->size)};
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
			invalidate(p, mr, false);
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
	const uint64_t end = page_end(size);
	if (size == end || !cached_iterator_ok(it))
		return;
	const uint64_t at = cached_iterator_value_ptr(it)->at + (size - cached_iterator_start(it));
	(void)memmap_zero_seq(bytes_of(p, (struct memmap_file_range){at, at + (end - size)}), NULL);
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
	const struct memmap_mappable_range taken = {memmap_page_round_down(size), page_end(before)};
	const struct memmap_mappable_range cut = {page_end(size), page_end(before)};
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
		invalidate(p, cut, true);
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

static void inc_ref(struct memmap_mapping_identity *id)
{
	__atomic_add_fetch(&of_identity(id)->nr_refs, 1, __ATOMIC_RELAXED);
}

static int write_all(struct memmap_mapping_identity *id, struct memmap_context *ctx,
		     struct memmap_mappable_range mr)
{
	struct pager *p = of_identity(id);
	(void)ctx;
	pthread_mutex_lock(&p->lock);
	int err = write_back_range(p, mr);
	pthread_mutex_unlock(&p->lock);
	if (!err && p->ops->sync)
		err = p->ops->sync(p->context);
	return err;
}

static void dec_ref(struct memmap_mapping_identity *id, struct memmap_context *ctx)
{
	struct pager *p = of_identity(id);
	if (__atomic_sub_fetch(&p->nr_refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	if (!memmap_mapping_set_is_empty(&p->mappings.set))
		memmap_panic("pager: the last reference goes, but it is still mapped");
	(void)write_all(id, ctx, (struct memmap_mappable_range){0, page_end(p->size)});
	for (struct cached_iterator it = cached_set_first_segment(&p->pages);
	     cached_iterator_ok(it); it = cached_iterator_next_segment(it))
		memmap_file_dec_ref(memmap_memory_file_file(p->mf), file_range(it));
	cached_set_destroy(&p->pages);
	memmap_reverse_map_destroy(&p->mappings);
	pthread_cond_destroy(&p->settled);
	pthread_mutex_destroy(&p->lock);
	pthread_mutex_destroy(&p->changing);
	memmap_deallocate(p->allocator, p, sizeof(*p) + p->name_size);
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
	int err = shrink(p, bytes, (struct memmap_mappable_range){0, 0});
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
	const char *name = options->name ? options->name : "";
	const size_t name_size = strlen(name) + 1;
	struct pager *p =
		memmap_allocate(options->allocator, sizeof(*p) + name_size, _Alignof(struct pager));
	if (!p)
		return -ENOMEM;
	memset(p, 0, sizeof(*p));
	memcpy(p->name, name, name_size);
	p->name_size = name_size;
	p->mappable.ops = &mappable_ops;
	p->identity.ops = &identity_ops;
	p->allocator = options->allocator;
	p->mf = mf;
	p->ops = ops;
	p->context = context;
	p->nr_refs = 1;
	p->device = options->device;
	p->inode = options->device || options->inode ? options->inode
						     : memmap_memory_file_new_inode(mf);
	p->cache_limit = options->cache_limit;
	p->mem_cg_id = options->mem_cg_id;
	p->size = options->size;
	pthread_mutex_init(&p->changing, NULL);
	memmap_reverse_map_init(&p->mappings, options->allocator);
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->settled, NULL);
	cached_set_init(&p->pages, options->allocator);
	*identity = &p->identity;
	*mappable = &p->mappable;
	return 0;
}
