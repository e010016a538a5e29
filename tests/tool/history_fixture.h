/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An address space for tests of the history and of its picture: a sorted array of VMAs that behaves
 * as mmap, munmap and mprotect do, merging included.
 */
#ifndef MEMMAP_TEST_HISTORY_FIXTURE_H
#define MEMMAP_TEST_HISTORY_FIXTURE_H

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <memmap/mm.h>

#include "../../tools/memmap/history/history_data.h"

#define R   MEMMAP_VM_READ
#define RW  (MEMMAP_VM_READ | MEMMAP_VM_WRITE)
#define RX  (MEMMAP_VM_READ | MEMMAP_VM_EXEC)
#define RWX (MEMMAP_VM_READ | MEMMAP_VM_WRITE | MEMMAP_VM_EXEC)

/* One VMA of a toy address space. */
struct toy_vma {
	struct history_vma vma; /* vma.identity is the name, or NULL */
};

struct toy {
	ARRAY(struct toy_vma) vmas;
};

static inline bool toy_find(const void *context, uint64_t addr, struct history_vma *out)
{
	const struct toy *toy = context;
	size_t low = 0, high = toy->vmas.length;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (toy->vmas.items[middle].vma.range.end > addr)
			high = middle;
		else
			low = middle + 1;
	}
	if (low == toy->vmas.length)
		return false;
	*out = toy->vmas.items[low].vma;
	return true;
}

static inline void toy_name(const void *context, const struct history_vma *vma, char *buf,
			    size_t size)
{
	(void)context;
	const char *name = vma->identity ? vma->identity : "";
	strncpy(buf, name, size - 1);
	buf[size - 1] = '\0';
}

static inline struct history_source toy_source(const struct toy *toy)
{
	return (struct history_source){.context = toy, .find = toy_find, .name = toy_name};
}

static inline void toy_release(struct toy *toy)
{
	ARRAY_RELEASE(NULL, &toy->vmas);
}

static inline void toy_insert_at(struct toy *toy, size_t at, struct history_vma vma)
{
	if (!ARRAY_RESERVE(NULL, &toy->vmas, 1))
		abort();
	memmove(&toy->vmas.items[at + 1], &toy->vmas.items[at],
		(toy->vmas.length - at) * sizeof(*toy->vmas.items));
	toy->vmas.items[at].vma = vma;
	toy->vmas.length++;
}

static inline void toy_remove_at(struct toy *toy, size_t at)
{
	toy->vmas.length--;
	memmove(&toy->vmas.items[at], &toy->vmas.items[at + 1],
		(toy->vmas.length - at) * sizeof(*toy->vmas.items));
}

/* Split the VMA that straddles `addr`, if there is one. */
static inline void toy_split(struct toy *toy, uint64_t addr)
{
	for (size_t i = 0; i < toy->vmas.length; i++) {
		struct history_vma *vma = &toy->vmas.items[i].vma;
		if (vma->range.start < addr && addr < vma->range.end) {
			struct history_vma upper = *vma;
			upper.offset += addr - vma->range.start;
			upper.range.start = addr;
			vma->range.end = addr;
			toy_insert_at(toy, i + 1, upper);
			return;
		}
	}
}

static inline void toy_merge(struct toy *toy)
{
	for (size_t i = 1; i < toy->vmas.length;) {
		struct history_vma *a = &toy->vmas.items[i - 1].vma, *b = a + 1;
		if (a->range.end == b->range.start && a->flags == b->flags && a->kind == b->kind &&
		    a->identity == b->identity &&
		    (!a->identity || a->offset + (a->range.end - a->range.start) == b->offset)) {
			a->range.end = b->range.end;
			toy_remove_at(toy, i);
		} else {
			i++;
		}
	}
}

static inline void toy_unmap(struct toy *toy, uint64_t start, uint64_t end)
{
	toy_split(toy, start);
	toy_split(toy, end);
	for (size_t i = 0; i < toy->vmas.length;) {
		struct memmap_addr_range range = toy->vmas.items[i].vma.range;
		if (range.start >= start && range.end <= end)
			toy_remove_at(toy, i);
		else
			i++;
	}
}

static inline void toy_map(struct toy *toy, uint64_t start, uint64_t end, uint64_t flags,
			   enum history_kind kind, const char *name, uint64_t offset)
{
	toy_unmap(toy, start, end);
	size_t at = 0;
	while (at < toy->vmas.length && toy->vmas.items[at].vma.range.start < start)
		at++;
	toy_insert_at(toy, at,
		      (struct history_vma){.range = {start, end},
					   .flags = flags,
					   .identity = name,
					   .offset = offset,
					   .kind = kind});
	toy_merge(toy);
}

static inline void toy_protect(struct toy *toy, uint64_t start, uint64_t end, uint64_t flags)
{
	toy_split(toy, start);
	toy_split(toy, end);
	for (size_t i = 0; i < toy->vmas.length; i++) {
		struct history_vma *vma = &toy->vmas.items[i].vma;
		if (vma->range.start >= start && vma->range.end <= end)
			vma->flags = flags;
	}
	toy_merge(toy);
}

static inline void toy_copy(struct toy *to, const struct toy *from)
{
	to->vmas.length = 0;
	if (!ARRAY_RESERVE(NULL, &to->vmas, from->vmas.length))
		abort();
	if (from->vmas.length)
		memcpy(to->vmas.items, from->vmas.items,
		       from->vmas.length * sizeof(*from->vmas.items));
	to->vmas.length = from->vmas.length;
}

/* An allocator that fails the Nth allocation, and counts what is not given back. */
struct failing_allocator {
	struct memmap_allocator allocator;
	size_t fail_at; /* 1: the next one; 0: never */
	size_t count;
	size_t live_bytes;
};

static inline void *failing_allocate(void *context, size_t size, size_t alignment)
{
	struct failing_allocator *failing = context;
	if (++failing->count == failing->fail_at)
		return NULL;
	void *memory = memmap_allocate(NULL, size, alignment);
	if (memory)
		failing->live_bytes += size;
	return memory;
}

static inline void failing_deallocate(void *context, void *memory, size_t size)
{
	struct failing_allocator *failing = context;
	failing->live_bytes -= size;
	memmap_deallocate(NULL, memory, size);
}

static inline void failing_allocator_init(struct failing_allocator *failing, size_t fail_at)
{
	*failing = (struct failing_allocator){
		.allocator = {failing_allocate, failing_deallocate, failing},
		.fail_at = fail_at,
	};
}

#endif /* MEMMAP_TEST_HISTORY_FIXTURE_H */
