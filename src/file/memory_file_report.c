/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a memory file says of itself: who uses how much, and may; what is held by whom; whether its
 * structure is sound.
 *
 * Locking: `lock`, as in memory_file.c. Nothing changes here but limits.
 */
#include <memmap/memory_file.h>

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "file/host.h"
#include "file/memory_file_internal.h"

/* ---- Limits and usage ---- */

void memmap_memory_file_set_limit(struct memmap_memory_file *mf, uint64_t bytes)
{
	lock(mf);
	mf->accounts.all.limit = bytes;
	unlock(mf);
}

int memmap_memory_file_set_cgroup_limit(struct memmap_memory_file *mf, uint32_t mem_cg_id,
					uint64_t bytes)
{
	lock(mf);
	struct memmap_memory_account *cgroup =
		memmap_memory_accounts_open(&mf->accounts, mem_cg_id);
	if (cgroup)
		cgroup->limit = bytes;
	unlock(mf);
	return cgroup ? 0 : -ENOMEM;
}

void memmap_memory_file_usage(struct memmap_memory_file *mf, struct memmap_memory_usage *out)
{
	lock(mf);
	*out = mf->accounts.all.usage;
	unlock(mf);
}

void memmap_memory_file_cgroup_usage(struct memmap_memory_file *mf, uint32_t mem_cg_id,
				     struct memmap_memory_usage *out)
{
	lock(mf);
	const struct memmap_memory_account *cgroup =
		memmap_memory_accounts_find(&mf->accounts, mem_cg_id);
	if (cgroup)
		*out = cgroup->usage;
	else
		memset(out, 0, sizeof(*out));
	unlock(mf);
}

uint64_t memmap_memory_file_committed(struct memmap_memory_file *mf)
{
	struct stat st;
	return memmap_host_stat(mf->fd, &st) ? 0 : (uint64_t)st.st_blocks * 512;
}

/* ---- Looking at it ---- */

#define DUMP_LINE 128

static const char *const kind_names[MEMMAP_MEMORY_NR_KINDS] = {
	[MEMMAP_MEMORY_SYSTEM] = "system",
	[MEMMAP_MEMORY_ANONYMOUS] = "anonymous",
	[MEMMAP_MEMORY_SHARED] = "shared",
	[MEMMAP_MEMORY_PAGE_CACHE] = "page cache",
};

char *memmap_memory_file_dump(struct memmap_memory_file *mf)
{
	lock(mf);
	size_t nr_lines = 2;
	for (struct held_iterator it = held_set_first_segment(&mf->held); held_iterator_ok(it);
	     it = held_iterator_next_segment(it))
		nr_lines++;
	const size_t size = nr_lines * DUMP_LINE;
	char *text = memmap_allocate(NULL, size, 1);
	if (!text) {
		unlock(mf);
		return NULL;
	}
	size_t used = (size_t)snprintf(text, DUMP_LINE, "%-40s %14s %-10s %10s %10s\n", "range",
				       "bytes", "kind", "cgroup", "references");
	for (struct held_iterator it = held_set_first_segment(&mf->held); held_iterator_ok(it);
	     it = held_iterator_next_segment(it)) {
		const struct memmap_file_range fr = held_iterator_range(it);
		const struct held_pages *pages = held_iterator_value_ptr(it);
		char range[MEMMAP_RANGE_FORMAT_SIZE];
		used += (size_t)snprintf(text + used, size - used,
					 "%-40s %14" PRIu64 " %-10s %10" PRIu32 " %10" PRIu32 "\n",
					 memmap_file_range_format(fr, range, sizeof(range)),
					 memmap_file_range_length(fr), kind_names[pages->kind],
					 pages->mem_cg_id, pages->nr_refs);
	}
	(void)snprintf(text + used, size - used,
		       "%-40s %14" PRIu64 ", freed but kept %" PRIu64 ", file size %" PRIu64 "\n",
		       "total", mf->accounts.all.usage.total, mf->dirty_bytes, mf->size);
	unlock(mf);
	return text;
}

static int broken(const char *what)
{
	(void)fprintf(stderr, "memory file: %s\n", what);
	return -EINVAL;
}

static int verify_locked(struct memmap_memory_file *mf)
{
	struct memmap_memory_usage usage = {0};
	if (held_set_verify(&mf->held) || dirty_set_verify(&mf->dirty))
		return broken("a set is broken");
	for (struct held_iterator it = held_set_first_segment(&mf->held); held_iterator_ok(it);
	     it = held_iterator_next_segment(it)) {
		const struct held_pages *pages = held_iterator_value_ptr(it);
		if (pages->nr_refs == 0)
			return broken("a page without references is held");
		if (!dirty_set_is_empty_range(&mf->dirty, held_iterator_range(it)))
			return broken("a page is both held and dirty");
		const uint64_t length = memmap_file_range_length(held_iterator_range(it));
		usage.total += length;
		usage.by_kind[pages->kind] += length;
	}
	struct held_iterator last = held_set_last_segment(&mf->held);
	if (held_iterator_ok(last) && held_iterator_end(last) > chunk_start(mf->nr_chunks))
		return broken("a page is held that is not mapped");
	if (mf->size < chunk_start(mf->nr_chunks))
		return broken("chunks are mapped beyond the end of the file");
	if (memcmp(&usage, &mf->accounts.all.usage, sizeof(usage)) != 0)
		return broken("the usage is not that of the pages held");
	struct memmap_memory_usage sum = {0};
	for (size_t i = 0; i < mf->accounts.nr; i++) {
		sum.total += mf->accounts.cgroups[i].usage.total;
		for (int kind = 0; kind < MEMMAP_MEMORY_NR_KINDS; kind++)
			sum.by_kind[kind] += mf->accounts.cgroups[i].usage.by_kind[kind];
	}
	if (memcmp(&usage, &sum, sizeof(usage)) != 0)
		return broken("the cgroups' usage does not add up");
	if (dirty_set_span(&mf->dirty) != mf->dirty_bytes)
		return broken("the dirty bytes are miscounted");
	return 0;
}

int memmap_memory_file_verify(struct memmap_memory_file *mf)
{
	lock(mf);
	int err = verify_locked(mf);
	unlock(mf);
	return err;
}
