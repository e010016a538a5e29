/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pager's work on pages: reading them, writing them back, taking them away. What a mark is and who
 * waits for whom is told in pager.c.
 *
 * Locking: everything here is called with the lock held, and releases it while it calls the program's
 * functions and while it invalidates; pages are marked then.
 */
#include "file/pager.h"

#include <memmap/error.h>

/* The most that is read, written or taken away at once. */
#define MAX_IO (UINT64_C(256) << 10)

static struct memmap_mappable_range first_of(struct memmap_mappable_range r, uint64_t most)
{
	if (memmap_mappable_range_length(r) > most)
		r.end = r.start + most;
	return r;
}

/* ---- Runs; all with the lock held ---- */

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

void pager_unmark(struct pager *p, uint64_t start, bool dirty)
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

void pager_drop(struct pager *p, uint64_t start)
{
	struct cached_iterator it = cached_set_find_segment(&p->pages, start);
	const struct memmap_file_range fr = pager_file_range(it);
	const uint64_t length = memmap_file_range_length(fr);
	p->cached -= length;
	p->dirty -= cached_iterator_value_ptr(it)->dirty ? length : 0;
	cached_set_remove(&p->pages, it);
	memmap_file_dec_ref(memmap_memory_file_file(p->own.mf), fr);
	pthread_cond_broadcast(&p->settled);
}

struct memmap_block_seq pager_bytes_of(struct pager *p, struct memmap_file_range fr)
{
	struct memmap_block_seq seq = {0};
	(void)memmap_file_map_internal(memmap_memory_file_file(p->own.mf), fr, MEMMAP_READ_WRITE,
				       &seq);
	return seq;
}

void pager_invalidate(struct pager *p, struct memmap_mappable_range mr, bool invalidate_private)
{
	pthread_mutex_lock(&p->own.mapped.lock);
	memmap_mapped_invalidate(&p->own.mapped, mr, invalidate_private);
	pthread_mutex_unlock(&p->own.mapped.lock);
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
		pager_file_range(cached_set_find_segment(&p->pages, run.start));
	const uint64_t size = p->size;
	pthread_mutex_unlock(&p->lock);

	/* From here on nobody stores into the pages. */
	pager_invalidate(p, run, false);
	struct memmap_block_seq seq = pager_bytes_of(p, fr);
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
	pager_unmark(p, run.start, err != 0);
	return err;
}

int pager_write_back_range(struct pager *p, struct memmap_mappable_range mr)
{
	int first_err = 0;
	while (mr.start < mr.end) {
		struct cached_iterator it = cached_set_lower_bound_segment(&p->pages, mr.start);
		if (!cached_iterator_ok(it) || cached_iterator_start(it) >= mr.end)
			break;
		const struct cached_pages *v = cached_iterator_value_ptr(it);
		if (v->dirty && v->mark != UNMARKED) {
			pager_wait_settled(p);
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

int pager_shrink(struct pager *p, uint64_t bytes, struct memmap_mappable_range but)
{
	int first_err = 0;
	uint64_t failed =
		0; /* bytes that could not be written: after a whole round of them, stop */
	while (p->cached > bytes && failed <= p->dirty) {
		struct memmap_mappable_range run;
		struct cached_iterator it = next_victim(p, but, &run);
		if (!cached_iterator_ok(it))
			break;
		const uint64_t most = pager_page_end(p->cached - bytes);
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
		pager_invalidate(p, run, false);
		pthread_mutex_lock(&p->lock);
		pager_drop(p, run.start);
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

/*
 * Read the pages of `mr`, which are absent, or make room for them. 0: look again. -ENOMEM, or a bus
 * error. The lock is released meanwhile, but not before the pages are there, marked.
 */
static int read_in(struct pager *p, struct memmap_mappable_range mr, struct pager_request *request)
{
	const uint64_t length = memmap_mappable_range_length(mr);
	if (p->cache_limit && p->cached + length > p->cache_limit && !request->made_room) {
		request->made_room = true;
		(void)pager_shrink(p, length < p->cache_limit ? p->cache_limit - length : 0,
				   request->required);
		return 0;
	}
	const struct memmap_allocate_opts opts = {
		.kind = MEMMAP_MEMORY_PAGE_CACHE,
		.mem_cg_id = p->mem_cg_id,
	};
	struct memmap_file_range fr;
	int err = memmap_memory_file_allocate(p->own.mf, length, &opts, &fr);
	if (err && !request->made_memory) {
		request->made_memory = true;
		(void)pager_shrink(p, p->cached > length ? p->cached - length : 0,
				   request->required);
		return 0;
	}
	if (err)
		return err;
	err = cached_set_add(&p->pages, mr, (struct cached_pages){.at = fr.start, .mark = READING});
	if (err) {
		memmap_file_dec_ref(memmap_memory_file_file(p->own.mf), fr);
		return err;
	}
	p->cached += length;
	const uint64_t size = p->size;
	pthread_mutex_unlock(&p->lock);

	struct memmap_block_seq seq = pager_bytes_of(p, fr);
	if (mr.end > size)
		seq = memmap_block_seq_take_first(seq, size > mr.start ? size - mr.start : 0);
	err = read_bytes(p, mr.start, seq);

	pthread_mutex_lock(&p->lock);
	request->made_room = false;
	request->made_memory = false;
	if (!err)
		pager_unmark(p, mr.start, false);
	else
		pager_drop(p, mr.start);
	return err ? memmap_bus_error(err) : 0;
}

int pager_have_page(struct pager *p, uint64_t at, struct memmap_mappable_range optional,
		    struct pager_request *request, uint64_t *end)
{
	struct cached_iterator it;
	struct cached_gap_iterator gap;
	if (cached_set_find(&p->pages, at, &it, &gap)) {
		*end = cached_iterator_end(it);
		if (pager_may_translate(it, request->write))
			return 1;
		pager_wait_settled(p);
		return 0;
	}
	const struct memmap_mappable_range page = {at, at + MEMMAP_PAGE_SIZE};
	if (memmap_mappable_range_overlaps(p->frozen, page)) {
		pager_wait_settled(p);
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
