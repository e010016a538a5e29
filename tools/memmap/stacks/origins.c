/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which call made which part of an address space. See origins.h.
 */
#include "stacks/origins.h"

#include <linux/mman.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "plot/plot_text.h"
#include "trace/files.h"

/* How many are kept to be told of; all are counted. */
#define MAX_KEPT 256

void origins_release(struct origins *origins)
{
	origin_set_destroy(&origins->set);
}

/* The pages of a range; empty when there are none. */
static struct memmap_addr_range pages(uint64_t addr, uint64_t length)
{
	struct memmap_addr_range range;
	uint64_t end;
	if (!memmap_addr_to_range(addr, length, &range) || !memmap_page_round_up(range.end, &end))
		return (struct memmap_addr_range){0, 0};
	return (struct memmap_addr_range){memmap_page_round_down(addr), end};
}

static void forget(struct origins *origins, struct memmap_addr_range range)
{
	if (range.start < range.end)
		(void)origin_set_remove_range(&origins->set, range, NULL);
}

static void set(struct origins *origins, struct memmap_addr_range range, struct origin origin)
{
	forget(origins, range);
	if (range.start < range.end && origin_set_is_empty_range(&origins->set, range))
		(void)origin_set_add_without_merging(&origins->set, range, origin);
}

/* A mapping that moves or grows stays the one who made it. */
static void follow_mremap(struct origins *origins, const struct memmap_traced_call *call,
			  struct origin origin)
{
	const uint64_t *args = call->args;
	struct origin_iterator it =
		origin_set_find_segment(&origins->set, memmap_page_round_down(args[0]));
	if (origin_iterator_ok(it))
		origin = origin_iterator_value(it);
	if (args[1] > 0 && !(args[3] & MREMAP_DONTUNMAP))
		forget(origins, pages(args[0], args[1]));
	set(origins, pages((uint64_t)call->result, args[2]), origin);
}

/* The whole segment that is attached at an address. */
static struct memmap_addr_range attached(const struct memmap_mm *mm, uint64_t addr)
{
	struct memmap_vma vma;
	if (memmap_mm_find_vma(mm, addr, &vma) && vma.range.start == addr)
		return vma.range;
	return (struct memmap_addr_range){0, 0};
}

void origins_follow(struct origins *origins, const struct memmap_mm *mm, enum call_id id,
		    const struct memmap_traced_call *call, struct origin origin)
{
	const uint64_t result = (uint64_t)call->result;
	if (call->result < 0 && call->result > -4096)
		return;
	switch (id) {
	case CALL_MMAP:
		set(origins, pages(result, call->args[1]), origin);
		break;
	case CALL_MUNMAP:
		forget(origins, pages(call->args[0], call->args[1]));
		break;
	case CALL_MREMAP:
		follow_mremap(origins, call, origin);
		break;
	case CALL_SHMAT:
		set(origins, attached(mm, result), origin);
		break;
	default:
		break;
	}
}

/*
 * ---- What is left ----
 */

static int by_bytes(const void *a, const void *b)
{
	const struct leftover *first = a, *second = b;
	if (first->bytes != second->bytes)
		return first->bytes > second->bytes ? -1 : 1;
	return first->call < second->call ? -1 : first->call > second->call;
}

void leftovers_sort(struct leftovers *left)
{
	if (left->largest.length > 0)
		qsort(left->largest.items, left->largest.length, sizeof(struct leftover), by_bytes);
}

/* Count it, and keep it, if it is among the largest. */
static void keep(struct leftovers *left, struct sites *sites, const struct leftover *one)
{
	left->nr++;
	left->bytes += one->bytes;
	if (one->site < sites->sites.length)
		sites->sites.items[one->site].left += one->bytes;
	if (left->largest.length == MAX_KEPT) {
		leftovers_sort(left);
		left->largest.length /= 2;
	}
	if (ARRAY_RESERVE(NULL, &left->largest, 1))
		left->largest.items[left->largest.length++] = *one;
}

/* How much of a range is mapped. */
static uint64_t mapped_in(const struct memmap_mm *mm, struct memmap_addr_range range)
{
	uint64_t bytes = 0;
	struct memmap_vma vma;
	for (uint64_t at = range.start;
	     memmap_mm_find_vma(mm, at, &vma) && vma.range.start < range.end; at = vma.range.end) {
		const uint64_t start =
			vma.range.start > range.start ? vma.range.start : range.start;
		const uint64_t end = vma.range.end < range.end ? vma.range.end : range.end;
		bytes += end - start;
	}
	return bytes;
}

/* What is mapped at the beginning of what is left. */
static void name_it(struct leftover *one, const struct memmap_mm *mm)
{
	struct memmap_vma vma;
	const char *name = "anonymous memory";
	if (memmap_mm_find_vma(mm, one->addr, &vma) && vma.identity) {
		const struct opened_file *opened = opened_file_of(vma.identity);
		name = plot_text_basename(opened->name);
		if (strcmp(opened->name, "/dev/zero (deleted)") == 0)
			name = "shared memory";
	}
	snprintf(one->name, sizeof(one->name), "%s", name);
}

void leftovers_collect(struct leftovers *left, struct sites *sites, const struct origins *origins,
		       const struct memmap_mm *mm, pid_t pid)
{
	struct leftover one = {0};
	for (struct origin_iterator it = origin_set_first_segment(&origins->set);
	     origin_iterator_ok(it); it = origin_iterator_next_segment(it)) {
		const struct origin origin = origin_iterator_value(it);
		const uint64_t bytes = origin.loader ? 0 : mapped_in(mm, origin_iterator_range(it));
		if (bytes == 0)
			continue;
		/* Parts of one mapping lie in a row. */
		if (one.bytes > 0 && one.call != origin.call) {
			keep(left, sites, &one);
			one.bytes = 0;
		}
		if (one.bytes == 0) {
			one = (struct leftover){.pid = pid,
						.call = origin.call,
						.addr = origin_iterator_start(it),
						.site = origin.site};
			name_it(&one, mm);
		}
		one.bytes += bytes;
	}
	if (one.bytes > 0)
		keep(left, sites, &one);
}

void leftovers_release(struct leftovers *left)
{
	ARRAY_RELEASE(NULL, &left->largest);
}
