/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The memory file: which pages of a memfd are in use, by how many, and what becomes of the others.
 *
 *   offset 0 ─────────────────────────────────────────────────────────────▶ size of the memfd
 *   held     |== 1 ==|= 2 =|        |=== 1 ===|            |== 7 ==|
 *   dirty                  |==|               |=|
 *   the rest                  |.....|           |..........|       |.......  holes: no memory
 *
 * `held` has the pages in use: runs of equal reference count, kind and cgroup. Its gaps are free.
 * `dirty` has those free pages whose bytes have not been given back yet: punching a hole for each
 * page that is freed would cost a system call each time, and a fault when it is used again. Dirty
 * pages are the first to be allocated again, and are zeroed then. There are never more than
 * DIRTY_LIMIT of them for long: beyond that, runs of them are punched, and large ones at once.
 *
 * The memfd grows, and is mapped into this process, chunk by chunk (chunks.h). Allocating maps the
 * chunks that the range lies in; so finding the bytes of what has been allocated needs no lock and
 * cannot fail.
 *
 * References. Taking and dropping references cannot fail, though cutting a run in two needs memory.
 * When the allocator has none, nodes come from a reserve (node_reserve.h) that grows with the file:
 * there cannot be more runs than pages, so it is known how many nodes there can be.
 *
 * Invariants: runs of `held` have references; no page is both held and dirty; what is neither reads
 * as zeros; chunks [0, nr_chunks) are mapped, and the memfd reaches to the end of the last one; the
 * accounts say what `held` says.
 *
 * Locking: `lock` guards everything but the mapped chunks, which never change once they are there;
 * nr_chunks is published after them. Pages that are not free are their holders' business.
 *
 * Refuses: nothing that a guest can ask for, but memory beyond a limit. References that nobody
 * holds panic.
 *
 * Limits, usage, and looking at it: memory_file_report.c.
 */
#include <memmap/memory_file.h>

#include <errno.h>
#include <inttypes.h>
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>

#include <memmap/arch.h>
#include <memmap/block.h>
#include <memmap/error.h>

#include "file/host.h"
#include "file/memory_file.h"
#include "file/memory_file_internal.h"

/* Freed bytes that may wait to be used again. */
#define DIRTY_LIMIT (UINT64_C(2) << 20)
/* Zeroing this much by hand takes less time than punching it and faulting it in again. */
#define ZERO_BY_HAND (UINT64_C(64) << 10)

#define MAX_OF(a, b) ((a) > (b) ? (a) : (b))
#define NODE_SIZE                                                                                  \
	MAX_OF(MAX_OF(sizeof(struct held_leaf), sizeof(struct held_inner)),                        \
	       MAX_OF(sizeof(struct dirty_leaf), sizeof(struct dirty_inner)))

/*
 * Nodes that the pages of the chunk of this many bytes can come to need, were each a run of its
 * own. A leaf is filled with 12 runs at least, an inner node with 12 children, so that a node for
 * 10 pages would do, but for the few at the sets' right edges.
 */
#define NODES_OF(length) ((size_t)((length) / MEMMAP_PAGE_SIZE / 8 + 64))

static struct memmap_memory_file *of_file(struct memmap_file *file)
{
	return (struct memmap_memory_file *)file;
}

/* ---- Nodes ---- */

static void *node_allocate(void *context, size_t size, size_t alignment)
{
	struct memmap_memory_file *mf = context;
	void *node = memmap_allocate(mf->allocator, size, alignment);
	return node || !mf->must_succeed ? node : memmap_node_reserve_take(&mf->reserve);
}

static void node_deallocate(void *context, void *memory, size_t size)
{
	struct memmap_memory_file *mf = context;
	if (!memmap_node_reserve_give(&mf->reserve, memory))
		memmap_deallocate(mf->allocator, memory, size);
}

/* ---- Chunks ---- */

#define MAX_SIZE chunk_start(NR_CHUNKS)

/* Have the next chunk. On failure what was done is kept for the next time, and nobody sees it. */
static int add_chunk(struct memmap_memory_file *mf)
{
	const unsigned chunk = mf->nr_chunks;
	const uint64_t length = memmap_chunk_length(chunk, CHUNK_SHIFT);
	int err = 0;
	if (mf->reserve.nr_pieces <= chunk)
		err = memmap_node_reserve_grow(&mf->reserve, NODES_OF(length));
	if (!err && mf->size < chunk_start(chunk + 1)) {
		err = memmap_host_truncate(mf->fd, chunk_start(chunk + 1));
		if (!err)
			mf->size = chunk_start(chunk + 1);
	}
	void *addr;
	if (!err)
		err = memmap_host_map_shared(mf->fd, chunk_start(chunk), length,
					     PROT_READ | PROT_WRITE, &addr);
	if (err)
		return err;
	mf->chunks[chunk] = memmap_block_safe(addr, length);
	__atomic_store_n(&mf->nr_chunks, chunk + 1, __ATOMIC_RELEASE);
	return 0;
}

static struct memmap_block_seq bytes_of(struct memmap_memory_file *mf, struct memmap_file_range fr)
{
	return memmap_chunks_bytes(mf->chunks, CHUNK_SHIFT, fr);
}

static int map_internal(struct memmap_file *file, struct memmap_file_range fr, memmap_access at,
			struct memmap_block_seq *out)
{
	struct memmap_memory_file *mf = of_file(file);
	(void)at;
	if (MEMMAP_UNLIKELY(fr.start >= fr.end ||
			    fr.end >
				    chunk_start(__atomic_load_n(&mf->nr_chunks, __ATOMIC_ACQUIRE))))
		memmap_panic("memory file: map_internal of [0x%" PRIx64 ", 0x%" PRIx64
			     "), where nothing was ever allocated",
			     fr.start, fr.end);
	*out = bytes_of(mf, fr);
	return 0;
}

static int file_fd(struct memmap_file *file)
{
	return of_file(file)->fd;
}

/* Make `fr` zeros: cheaply for the one who touches it next, or so that it takes no memory. */
static void clear_bytes(struct memmap_memory_file *mf, struct memmap_file_range fr)
{
	const uint64_t length = memmap_file_range_length(fr);
	if (length > ZERO_BY_HAND && !memmap_host_punch_hole(mf->fd, fr.start, length))
		return;
	(void)memmap_zero_seq(bytes_of(mf, fr), NULL);
}

/* ---- Freed pages ---- */

/* Forget that the pages of `fr` are dirty. Nothing but `dirty` changes. */
static void dirty_forget(struct memmap_memory_file *mf, struct memmap_file_range fr)
{
	mf->dirty_bytes -= dirty_set_span_range(&mf->dirty, fr);
	mf->must_succeed = true;
	int err = dirty_set_remove_range(&mf->dirty, fr, NULL);
	mf->must_succeed = false;
	memmap_assert(!err);
}

/* Give the memory of a run of dirty pages back. */
static int dirty_punch(struct memmap_memory_file *mf, struct dirty_iterator it)
{
	const struct memmap_file_range fr = dirty_iterator_range(it);
	int err = memmap_host_punch_hole(mf->fd, fr.start, memmap_file_range_length(fr));
	if (err)
		return err;
	dirty_set_remove(&mf->dirty, it);
	mf->dirty_bytes -= memmap_file_range_length(fr);
	return 0;
}

/* `fr` is no longer held. Memory that cannot be given back now stays dirty. */
static void dirty_add(struct memmap_memory_file *mf, struct memmap_file_range fr)
{
	struct dirty_iterator it;
	mf->must_succeed = true;
	int err = dirty_set_insert_range(&mf->dirty, fr, (struct dirty_pages){0}, &it);
	mf->must_succeed = false;
	memmap_assert(!err);
	mf->dirty_bytes += memmap_file_range_length(fr);
	if (memmap_file_range_length(dirty_iterator_range(it)) >= DIRTY_LIMIT / 2)
		err = dirty_punch(mf, it);
	/* From the far end: what is near is more likely to be allocated again. */
	while (!err && mf->dirty_bytes > DIRTY_LIMIT)
		err = dirty_punch(mf, dirty_set_last_segment(&mf->dirty));
}

/* The least range with all dirty pages of `fr`; empty when there are none. */
static struct memmap_file_range dirty_hull(struct memmap_memory_file *mf,
					   struct memmap_file_range fr)
{
	struct memmap_file_range hull = {fr.start, fr.start};
	struct dirty_iterator it = dirty_set_lower_bound_segment(&mf->dirty, fr.start);
	if (!dirty_iterator_ok(it) || dirty_iterator_start(it) >= fr.end)
		return hull;
	hull.start = dirty_iterator_start(it);
	hull.end = dirty_iterator_end(dirty_set_upper_bound_segment(&mf->dirty, fr.end - 1));
	return memmap_file_range_intersect(hull, fr);
}

/* ---- Allocating ---- */

/* The lowest place in `gap` below `limit`, or the highest. */
static bool fits(struct memmap_file_range gap, uint64_t limit, uint64_t length, uint64_t alignment,
		 enum memmap_allocate_direction direction, struct memmap_file_range *out)
{
	const uint64_t end = gap.end < limit ? gap.end : limit;
	uint64_t start;
	if (gap.start >= end || end - gap.start < length)
		return false;
	if (direction == MEMMAP_TOP_DOWN) {
		start = (end - length) & ~(alignment - 1);
		if (start < gap.start)
			return false;
	} else {
		start = (gap.start + alignment - 1) & ~(alignment - 1);
		if (start > end - length)
			return false;
	}
	*out = (struct memmap_file_range){start, start + length};
	return true;
}

/* Gaps that are long enough but lie badly are many only where little else is free. */
#define MISALIGNED_TRIES 16

static bool find_upwards(struct memmap_memory_file *mf, uint64_t length, uint64_t alignment,
			 struct memmap_file_range *out)
{
	uint64_t enough = length;
	struct held_gap_iterator gap = held_set_first_large_enough_gap(&mf->held, enough);
	for (int i = 0; held_gap_iterator_ok(gap); i++) {
		if (fits(held_gap_iterator_range(gap), MAX_SIZE, length, alignment,
			 MEMMAP_BOTTOM_UP, out))
			return true;
		if (i == MISALIGNED_TRIES)
			enough = length + alignment - MEMMAP_PAGE_SIZE;
		gap = held_gap_iterator_next_large_enough_gap(gap, enough);
	}
	return false;
}

static bool find_downwards(struct memmap_memory_file *mf, uint64_t length, uint64_t alignment,
			   struct memmap_file_range *out)
{
	const uint64_t size = chunk_start(mf->nr_chunks);
	uint64_t enough = length;
	struct held_gap_iterator gap = {0};
	if (size > 0)
		gap = held_set_upper_bound_large_enough_gap(&mf->held, size - 1, enough);
	for (int i = 0; held_gap_iterator_ok(gap); i++) {
		if (fits(held_gap_iterator_range(gap), size, length, alignment, MEMMAP_TOP_DOWN,
			 out))
			return true;
		if (i == MISALIGNED_TRIES)
			enough = length + alignment - MEMMAP_PAGE_SIZE;
		gap = held_gap_iterator_prev_large_enough_gap(gap, enough);
	}
	/* The file must grow, and what is beyond its end is all in the last gap. */
	gap = held_set_last_gap(&mf->held);
	for (unsigned nr = mf->nr_chunks + 1; nr <= NR_CHUNKS; nr++) {
		if (fits(held_gap_iterator_range(gap), chunk_start(nr), length, alignment,
			 MEMMAP_TOP_DOWN, out))
			return true;
	}
	return false;
}

/*
 * Where `length` bytes are free: at the hint, then where pages were freed just now, then by search.
 */
static bool find_room(struct memmap_memory_file *mf, uint64_t length,
		      const struct memmap_allocate_opts *opts, struct memmap_file_range *out)
{
	const uint64_t alignment = opts->huge && length >= MEMMAP_HUGE_PAGE_SIZE
					   ? MEMMAP_HUGE_PAGE_SIZE
					   : MEMMAP_PAGE_SIZE;
	/* An empty file will have its first chunk in a moment. */
	const uint64_t size = mf->size ? mf->size : chunk_start(1);
	if (opts->hint != 0 && (opts->hint & (alignment - 1)) == 0 && opts->hint <= size &&
	    length <= MAX_SIZE - opts->hint) {
		*out = (struct memmap_file_range){opts->hint, opts->hint + length};
		if (held_set_is_empty_range(&mf->held, *out))
			return true;
	}
	if (alignment == MEMMAP_PAGE_SIZE && length <= ZERO_BY_HAND && mf->dirty_bytes > 0) {
		struct dirty_iterator it = opts->direction == MEMMAP_TOP_DOWN
						   ? dirty_set_last_segment(&mf->dirty)
						   : dirty_set_first_segment(&mf->dirty);
		if (fits(dirty_iterator_range(it), MAX_SIZE, length, alignment, opts->direction,
			 out))
			return true;
	}
	return opts->direction == MEMMAP_TOP_DOWN ? find_downwards(mf, length, alignment, out)
						  : find_upwards(mf, length, alignment, out);
}

/* With the lock held: `*dirty` is what of the range must be zeroed once the lock is not. */
static int allocate_locked(struct memmap_memory_file *mf, uint64_t length,
			   const struct memmap_allocate_opts *opts, struct memmap_file_range *fr,
			   struct memmap_file_range *dirty)
{
	struct memmap_memory_account *cgroup =
		memmap_memory_accounts_open(&mf->accounts, opts->mem_cg_id);
	if (!cgroup || !memmap_memory_accounts_permit(&mf->accounts, cgroup, length) ||
	    !find_room(mf, length, opts, fr))
		return -ENOMEM;
	while (chunk_start(mf->nr_chunks) < fr->end) {
		if (add_chunk(mf))
			return -ENOMEM;
	}
	int err = held_set_add(&mf->held, *fr,
			       (struct held_pages){
				       .nr_refs = 1,
				       .mem_cg_id = opts->mem_cg_id,
				       .kind = (uint8_t)opts->kind,
			       });
	if (err)
		return err;
	*dirty = dirty_hull(mf, *fr);
	if (memmap_file_range_length(*dirty) > 0)
		dirty_forget(mf, *dirty);
	memmap_memory_accounts_charge(&mf->accounts, opts->mem_cg_id, opts->kind, length);
	return 0;
}

int memmap_memory_file_allocate(struct memmap_memory_file *mf, uint64_t length,
				const struct memmap_allocate_opts *opts,
				struct memmap_file_range *out)
{
	static const struct memmap_allocate_opts none;
	if (!opts)
		opts = &none;
	if (length == 0 || !memmap_is_page_aligned(length) ||
	    (unsigned)opts->kind >= MEMMAP_MEMORY_NR_KINDS)
		memmap_panic("memory file: allocating 0x%" PRIx64 " bytes of kind %d", length,
			     (int)opts->kind);
	if (length > MAX_SIZE)
		return -ENOMEM;
	struct memmap_file_range fr, dirty;
	lock(mf);
	int err = allocate_locked(mf, length, opts, &fr, &dirty);
	unlock(mf);
	if (err)
		return err;
	/* Nobody else knows of the range yet. */
	if (memmap_file_range_length(dirty) > 0)
		clear_bytes(mf, dirty);
	*out = fr;
	return 0;
}

/* ---- References ---- */

static void check_range(struct memmap_file_range fr, const char *what)
{
	if (MEMMAP_UNLIKELY(fr.start >= fr.end || !memmap_is_page_aligned(fr.start) ||
			    !memmap_is_page_aligned(fr.end)))
		memmap_panic("memory file: %s of [0x%" PRIx64 ", 0x%" PRIx64
			     "), which is not a range of pages",
			     what, fr.start, fr.end);
}

/*
 * The first run of `fr`, all of whose pages must have between 1 and `max_refs` references.
 * Otherwise panics, without the lock and with nothing changed.
 */
static struct held_iterator find_held(struct memmap_memory_file *mf, struct memmap_file_range fr,
				      uint32_t max_refs, const char *what)
{
	struct held_iterator first = held_set_find_segment(&mf->held, fr.start);
	struct held_iterator it = first;
	uint64_t from = fr.start, to = fr.end;
	uint32_t nr_refs = 0;
	while (held_iterator_ok(it) && held_iterator_start(it) <= from) {
		if (held_iterator_value_ptr(it)->nr_refs > max_refs) {
			to = held_iterator_end(it);
			nr_refs = held_iterator_value_ptr(it)->nr_refs;
			break;
		}
		from = held_iterator_end(it);
		if (from >= fr.end)
			return first;
		it = held_iterator_next_segment(it);
	}
	if (nr_refs == 0) {
		it = held_set_lower_bound_segment(&mf->held, from);
		if (held_iterator_ok(it))
			to = held_iterator_start(it);
	}
	if (to > fr.end)
		to = fr.end;
	pthread_mutex_unlock(&mf->lock);
	memmap_panic("memory file: %s of [0x%" PRIx64 ", 0x%" PRIx64 "): [0x%" PRIx64 ", 0x%" PRIx64
		     ") has %" PRIu32 " references",
		     what, fr.start, fr.end, from, to, nr_refs);
}

/* What of `it` lies in `fr`, as a run of its own. */
static struct held_iterator isolate(struct memmap_memory_file *mf, struct held_iterator it,
				    struct memmap_file_range fr)
{
	const struct memmap_file_range run = held_iterator_range(it);
	if (memmap_file_range_is_superset_of(fr, run))
		return it;
	mf->must_succeed = true;
	int err = held_set_isolate(&mf->held, it, fr, &it);
	mf->must_succeed = false;
	memmap_assert(!err);
	return it;
}

static void inc_ref(struct memmap_file *file, struct memmap_file_range fr, uint32_t mem_cg_id)
{
	struct memmap_memory_file *mf = of_file(file);
	(void)mem_cg_id; /* a page stays with the cgroup that allocated it */
	check_range(fr, "inc_ref");
	lock(mf);
	struct held_iterator it = find_held(mf, fr, UINT32_MAX - 1, "inc_ref");
	for (;;) {
		it = isolate(mf, it, fr);
		held_iterator_value_ptr(it)->nr_refs++;
		it = held_set_merge_prev(&mf->held, it);
		if (held_iterator_end(it) >= fr.end)
			break;
		it = held_iterator_next_segment(it);
	}
	held_set_merge_next(&mf->held, it);
	unlock(mf);
}

static void dec_ref(struct memmap_file *file, struct memmap_file_range fr)
{
	struct memmap_memory_file *mf = of_file(file);
	check_range(fr, "dec_ref");
	lock(mf);
	struct held_iterator it = find_held(mf, fr, UINT32_MAX, "dec_ref");
	for (;;) {
		it = isolate(mf, it, fr);
		const struct memmap_file_range run = held_iterator_range(it);
		struct held_pages *pages = held_iterator_value_ptr(it);
		if (pages->nr_refs > 1) {
			pages->nr_refs--;
			it = held_set_merge_prev(&mf->held, it);
			if (run.end >= fr.end) {
				held_set_merge_next(&mf->held, it);
				break;
			}
			it = held_iterator_next_segment(it);
			continue;
		}
		memmap_memory_accounts_uncharge(&mf->accounts, pages->mem_cg_id,
						(enum memmap_memory_kind)pages->kind,
						memmap_file_range_length(run));
		struct held_gap_iterator gap = held_set_remove(&mf->held, it);
		it = held_gap_iterator_next_segment(gap);
		dirty_add(mf, run);
		if (run.end >= fr.end)
			break;
	}
	unlock(mf);
}

bool memmap_memory_file_has_unique_ref(struct memmap_memory_file *mf, struct memmap_file_range fr)
{
	check_range(fr, "has_unique_ref");
	lock(mf);
	struct held_iterator it = find_held(mf, fr, UINT32_MAX, "has_unique_ref");
	bool unique = true;
	while (unique && held_iterator_ok(it) && held_iterator_start(it) < fr.end) {
		unique = held_iterator_value_ptr(it)->nr_refs == 1;
		it = held_iterator_next_segment(it);
	}
	unlock(mf);
	return unique;
}

uint32_t memmap_memory_file_references(struct memmap_memory_file *mf, struct memmap_file_range fr,
				       uint64_t *end)
{
	check_range(fr, "references");
	lock(mf);
	struct held_iterator it = find_held(mf, fr, UINT32_MAX, "references");
	const uint32_t nr_refs = held_iterator_value_ptr(it)->nr_refs;
	do {
		*end = held_iterator_end(it) < fr.end ? held_iterator_end(it) : fr.end;
		it = held_iterator_next_segment(it);
	} while (*end < fr.end && held_iterator_value_ptr(it)->nr_refs == nr_refs);
	unlock(mf);
	return nr_refs;
}

int memmap_memory_file_decommit(struct memmap_memory_file *mf, struct memmap_file_range fr)
{
	check_range(fr, "decommit");
	lock(mf);
	(void)find_held(mf, fr, UINT32_MAX, "decommit");
	unlock(mf);
	int err = memmap_host_punch_hole(mf->fd, fr.start, memmap_file_range_length(fr));
	if (err)
		(void)memmap_zero_seq(bytes_of(mf, fr), NULL);
	return err;
}

int memmap_memory_file_trim(struct memmap_memory_file *mf)
{
	int err = 0;
	lock(mf);
	while (!err && mf->dirty_bytes > 0)
		err = dirty_punch(mf, dirty_set_last_segment(&mf->dirty));
	unlock(mf);
	return err;
}

/* ---- Life ---- */

static const struct memmap_file_ops file_ops = {
	.inc_ref = inc_ref,
	.dec_ref = dec_ref,
	.map_internal = map_internal,
	.fd = file_fd,
};

int memmap_memory_file_create(const struct memmap_memory_file_options *options,
			      struct memmap_memory_file **out)
{
	static const struct memmap_memory_file_options none;
	if (!options)
		options = &none;
	struct memmap_memory_file *mf = memmap_allocate(options->allocator, sizeof(*mf),
							_Alignof(struct memmap_memory_file));
	if (!mf)
		return -ENOMEM;
	memset(mf, 0, sizeof(*mf));
	int err = memmap_host_memfd_create(options->name ? options->name : "memmap", &mf->fd);
	if (err) {
		memmap_deallocate(options->allocator, mf, sizeof(*mf));
		return err;
	}
	mf->file.ops = &file_ops;
	mf->allocator = options->allocator;
	pthread_mutex_init(&mf->lock, NULL);
	mf->node_allocator = (struct memmap_allocator){node_allocate, node_deallocate, mf};
	memmap_node_reserve_init(&mf->reserve, NODE_SIZE);
	held_set_init(&mf->held, &mf->node_allocator);
	dirty_set_init(&mf->dirty, &mf->node_allocator);
	mf->accounts.allocator = options->allocator;
	mf->accounts.all.limit = options->limit;
	*out = mf;
	return 0;
}

void memmap_memory_file_release(struct memmap_memory_file *mf)
{
	if (!mf)
		return;
	held_set_destroy(&mf->held);
	dirty_set_destroy(&mf->dirty);
	memmap_memory_accounts_destroy(&mf->accounts);
	memmap_node_reserve_destroy(&mf->reserve);
	for (unsigned i = 0; i < mf->nr_chunks; i++)
		memmap_host_unmap(mf->chunks[i].addr, mf->chunks[i].len);
	memmap_host_close(mf->fd);
	pthread_mutex_destroy(&mf->lock);
	memmap_deallocate(mf->allocator, mf, sizeof(*mf));
}

struct memmap_file *memmap_memory_file_file(struct memmap_memory_file *mf)
{
	return &mf->file;
}

uint64_t memmap_memory_file_new_inode(struct memmap_memory_file *mf)
{
	return __atomic_add_fetch(&mf->last_inode, 1, __ATOMIC_RELAXED);
}
