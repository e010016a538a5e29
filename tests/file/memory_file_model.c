/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Random operations on a memory file and on an array of pages beside it, compared after each.
 *
 * Allocations fail now and then, and so do system calls. Every page in use is filled with a number of
 * its own, so that a page given to two, lost, or not zeroed is seen.
 *
 *   memory_file_model [SEED [ROUNDS]]     the seed is printed
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <memmap/arch.h>
#include <memmap/memory_file.h>

#include "file/failing_host.h"
#include "file/model.h"
#include "memmap/failing_allocator.h"

#define PAGE     MEMMAP_PAGE_SIZE
#define NR_PAGES 4096  /* that may be in use */
#define SPAN     49152 /* three chunks, the most that the file grows to: see HINTS */
#define HINTS    40000 /* where ranges are asked for, none of which then ends in a fourth chunk */
#define NR_CGS   3
#define STEPS    4000

struct model_page {
	uint32_t nr_refs, mem_cg_id;
	int kind;
	uint64_t stamp; /* its first bytes; 0: zeros */
};

static struct model_page pages[SPAN];
static uint64_t limit, cg_limits[NR_CGS];
static struct memmap_memory_file *mf;
static struct failing_allocator failing;

static uint64_t *bytes_of(uint64_t page)
{
	struct memmap_block_seq seq;
	if (memmap_file_map_internal(memmap_memory_file_file(mf),
				     (struct memmap_file_range){page * PAGE, (page + 1) * PAGE},
				     MEMMAP_READ_WRITE, &seq))
		fail("page %" PRIu64 " has no bytes", page);
	return memmap_block_seq_head(seq).addr;
}

static uint64_t model_usage(int kind, int mem_cg_id)
{
	uint64_t sum = 0;
	for (size_t i = 0; i < SPAN; i++)
		sum += pages[i].nr_refs > 0 && (kind < 0 || pages[i].kind == kind) &&
		       (mem_cg_id < 0 || pages[i].mem_cg_id == (uint32_t)mem_cg_id);
	return sum * PAGE;
}

static void check_usage(void)
{
	struct memmap_memory_usage u;
	memmap_memory_file_usage(mf, &u);
	if (u.total != model_usage(-1, -1))
		fail("usage %" PRIu64 " instead of %" PRIu64, u.total, model_usage(-1, -1));
	for (int kind = 0; kind < MEMMAP_MEMORY_NR_KINDS; kind++)
		if (u.by_kind[kind] != model_usage(kind, -1))
			fail("usage of kind %d", kind);
	for (int cg = 0; cg < NR_CGS; cg++) {
		memmap_memory_file_cgroup_usage(mf, (uint32_t)cg, &u);
		if (u.total != model_usage(-1, cg))
			fail("usage of cgroup %d", cg);
	}
	if (memmap_memory_file_verify(mf))
		fail("it does not verify");
}

/* A run of up to `most` pages that are all in use. */
static bool random_run(uint64_t most, uint64_t *start, uint64_t *end)
{
	const uint64_t from = below(SPAN);
	for (uint64_t i = 0; i < SPAN; i++) {
		const uint64_t page = (from + i) % SPAN;
		if (pages[page].nr_refs == 0)
			continue;
		*start = *end = page;
		const uint64_t length = 1 + below(most);
		while (*end < SPAN && *end - *start < length && pages[*end].nr_refs > 0)
			++*end;
		return true;
	}
	return false;
}

static void allocate(void)
{
	struct memmap_allocate_opts opts = {
		.kind = (enum memmap_memory_kind)below(MEMMAP_MEMORY_NR_KINDS),
		.mem_cg_id = (uint32_t)below(NR_CGS),
		.direction = below(4) ? MEMMAP_BOTTOM_UP : MEMMAP_TOP_DOWN,
		.huge = below(4) == 0,
		.hint = below(3) ? 0 : below(HINTS) * PAGE,
	};
	const uint64_t length = 1 + below(below(10) ? 8 : 1200);
	if (model_usage(-1, -1) / PAGE + length > NR_PAGES)
		return;
	const bool permitted =
		(!limit || model_usage(-1, -1) + length * PAGE <= limit) &&
		(!cg_limits[opts.mem_cg_id] ||
		 model_usage(-1, (int)opts.mem_cg_id) + length * PAGE <= cg_limits[opts.mem_cg_id]);
	struct memmap_file_range fr = {1, 2};
	const bool short_of = below(8) == 0;
	if (short_of)
		failing.budget = below(2);
	if (below(8) == 0)
		fail_host_calls(below(2), -ENOSPC);
	int err = memmap_memory_file_allocate(mf, length * PAGE, &opts, &fr);
	const bool refused = failing.nr_refused || host_nr_refused;
	failing.budget = SIZE_MAX;
	failing.nr_refused = 0;
	fail_host_calls(HOST_WORKS, 0);
	if (err) {
		if (err != -ENOMEM || (permitted && !refused))
			fail("allocate: %d", err);
		if (fr.start != 1 || fr.end != 2)
			fail("a failed allocation gave a range");
		return;
	}
	if (!permitted)
		fail("a limit was not kept");
	if (fr.end - fr.start != length * PAGE || fr.start % PAGE || fr.end > SPAN * PAGE)
		fail("allocated [%" PRIx64 ", %" PRIx64 ")", fr.start, fr.end);
	if (opts.huge && length * PAGE >= MEMMAP_HUGE_PAGE_SIZE &&
	    !memmap_is_huge_page_aligned(fr.start))
		fail("not aligned");
	for (uint64_t page = fr.start / PAGE; page < fr.end / PAGE; page++) {
		if (pages[page].nr_refs)
			fail("page %" PRIu64 " is given twice", page);
		pages[page] = (struct model_page){
			.nr_refs = 1,
			.mem_cg_id = opts.mem_cg_id,
			.kind = (int)opts.kind,
		};
		const uint64_t *bytes = bytes_of(page);
		for (size_t i = 0; i < PAGE / 8; i++)
			if (bytes[i])
				fail("page %" PRIu64 " is not zeros", page);
		if (below(4)) { /* some are never touched */
			pages[page].stamp = next_random() | 1;
			bytes_of(page)[0] = pages[page].stamp;
			bytes_of(page)[PAGE / 8 - 1] = pages[page].stamp;
		}
	}
}

static void change_references(bool up)
{
	uint64_t start, end;
	if (!random_run(below(4) ? 4 : 2000, &start, &end))
		return;
	const struct memmap_file_range fr = {start * PAGE, end * PAGE};
	/* What must not fail has no memory, and system calls that it makes may. */
	if (below(4) == 0)
		failing.budget = 0;
	if (below(8) == 0)
		fail_host_calls(0, -ENOSPC);
	if (up)
		memmap_file_inc_ref(memmap_memory_file_file(mf), fr, (uint32_t)below(9));
	else
		memmap_file_dec_ref(memmap_memory_file_file(mf), fr);
	failing.budget = SIZE_MAX;
	failing.nr_refused = 0;
	fail_host_calls(HOST_WORKS, 0);
	for (uint64_t page = start; page < end; page++) {
		pages[page].nr_refs += up ? 1 : UINT32_MAX;
		if (!pages[page].nr_refs)
			pages[page].stamp = 0;
	}
}

static void look(void)
{
	uint64_t start, end;
	if (!random_run(100, &start, &end))
		return;
	const struct memmap_file_range fr = {start * PAGE, end * PAGE};
	bool unique = true;
	uint64_t equal = start, to;
	for (uint64_t page = start; page < end; page++) {
		unique = unique && pages[page].nr_refs == 1;
		if (equal == page && pages[page].nr_refs == pages[start].nr_refs)
			equal = page + 1;
		const uint64_t *bytes = bytes_of(page);
		if (bytes[0] != pages[page].stamp || bytes[PAGE / 8 - 1] != pages[page].stamp)
			fail("page %" PRIu64 " lost its bytes", page);
	}
	if (memmap_memory_file_has_unique_ref(mf, fr) != unique)
		fail("has_unique_ref");
	if (memmap_memory_file_references(mf, fr, &to) != pages[start].nr_refs ||
	    to != equal * PAGE)
		fail("references");
}

static void decommit(void)
{
	uint64_t start, end;
	if (!random_run(50, &start, &end))
		return;
	if (below(4) == 0)
		fail_host_calls(0, -ENOSPC);
	const int expected = host_budget == 0 ? -ENOSPC : 0;
	if (memmap_memory_file_decommit(mf, (struct memmap_file_range){start * PAGE, end * PAGE}) !=
	    expected)
		fail("decommit");
	fail_host_calls(HOST_WORKS, 0);
	for (uint64_t page = start; page < end; page++)
		pages[page].stamp = 0;
}

static void set_limits(void)
{
	limit = below(3) ? 0 : below(NR_PAGES) * PAGE;
	memmap_memory_file_set_limit(mf, limit);
	const uint32_t cg = (uint32_t)below(NR_CGS);
	const uint64_t bytes = below(3) ? 0 : below(NR_PAGES / 2) * PAGE;
	if (below(4) == 0)
		failing.budget = 0;
	if (!memmap_memory_file_set_cgroup_limit(mf, cg, bytes))
		cg_limits[cg] = bytes;
	failing.budget = SIZE_MAX;
	failing.nr_refused = 0;
}

static void check_dump(void)
{
	char *text = memmap_memory_file_dump(mf);
	size_t nr_lines = 0, nr_runs = 0;
	for (const char *at = text; (at = strchr(at, '\n')); at++)
		nr_lines++;
	for (size_t i = 0; i < SPAN; i++) {
		const struct model_page *p = &pages[i], *q = i ? &pages[i - 1] : NULL;
		nr_runs += p->nr_refs && (!q || q->nr_refs != p->nr_refs || q->kind != p->kind ||
					  q->mem_cg_id != p->mem_cg_id);
	}
	if (nr_lines != nr_runs + 2)
		fail("%zu lines for %zu runs:\n%s", nr_lines, nr_runs, text);
	memmap_free(text);
}

static void run(void)
{
	random_state = seed;
	memset(pages, 0, sizeof(pages));
	limit = 0;
	memset(cg_limits, 0, sizeof(cg_limits));
	failing_allocator_init(&failing, SIZE_MAX);
	const struct memmap_memory_file_options options = {.allocator = &failing.allocator};
	if (memmap_memory_file_create(&options, &mf))
		fail("create");
	for (step = 0; step < STEPS; step++) {
		const uint64_t what = below(20);
		if (what < 6)
			allocate();
		else if (what < 10)
			change_references(true);
		else if (what < 15)
			change_references(false);
		else if (what < 18)
			look();
		else if (what < 19)
			decommit();
		else if (below(4) == 0)
			set_limits();
		else if (below(4) == 0)
			memmap_memory_file_trim(mf);
		if (step % 50 == 0) {
			check_usage();
			check_dump();
		}
	}
	/* All go. */
	uint64_t start, end;
	while (random_run(SPAN, &start, &end)) {
		memmap_file_dec_ref(memmap_memory_file_file(mf),
				    (struct memmap_file_range){start * PAGE, end * PAGE});
		for (uint64_t page = start; page < end; page++)
			pages[page].nr_refs--;
	}
	check_usage();
	if (memmap_memory_file_trim(mf) || memmap_memory_file_committed(mf))
		fail("memory is not returned");
	memmap_memory_file_release(mf);
	if (failing.nr_live)
		fail("%zu allocations are left", failing.nr_live);
}

int main(int argc, char **argv)
{
	seed = argc > 1 ? strtoull(argv[1], NULL, 0) : (uint64_t)time(NULL) * 1000;
	const uint64_t rounds = argc > 2 ? strtoull(argv[2], NULL, 0) : argc > 1 ? 1 : 5;
	printf("seed %" PRIu64 ", %" PRIu64 " rounds\n", seed, rounds);
	for (uint64_t i = 0; i < rounds; i++, seed++)
		run();
	return 0;
}
