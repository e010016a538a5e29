// SPDX-License-Identifier: Apache-2.0
/* The mapping set: the operations of every set, and its own. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <memmap/mapping_set.h>

#include "ours.h"

#define NR_SPACES 4

/* ---- Calls of invalidate(), as they arrive ---- */

struct call {
	struct memmap_addr_range ar;
	long space;
	bool invalidate_private;
};

static struct call *calls;
static size_t nr_calls, max_calls;

static struct memmap_mapping_space spaces[NR_SPACES];

static void remember_call(struct memmap_mapping_space *ms, struct memmap_addr_range ar,
			  struct memmap_invalidate_opts opts)
{
	if (nr_calls == max_calls) {
		max_calls = 2 * max_calls + 16;
		calls = realloc(calls, max_calls * sizeof(*calls));
		if (!calls)
			abort();
	}
	calls[nr_calls++] = (struct call){ar, ms - spaces, opts.invalidate_private};
}

static const struct memmap_mapping_space_ops space_ops = {.invalidate = remember_call};
static struct memmap_mapping_space spaces[NR_SPACES] = {
	{&space_ops}, {&space_ops}, {&space_ops}, {&space_ops}};

static int compare_calls(const void *left, const void *right)
{
	const struct call *a = left, *b = right;

	if (a->ar.start != b->ar.start)
		return a->ar.start < b->ar.start ? -1 : 1;
	if (a->ar.end != b->ar.end)
		return a->ar.end < b->ar.end ? -1 : 1;
	return (a->space > b->space) - (a->space < b->space);
}

/* ---- Values ---- */

/* Make a mapping of `r` out of bits: mostly one that fits the range. */
static struct memmap_mapping_of_range a_mapping(struct memmap_mappable_range r, uint64_t bits)
{
	uint64_t start = (r.start & 0xffffffff) + (bits >> 3 & 1) * 0x100000;
	uint64_t length = memmap_mappable_range_length(r);

	if ((bits >> 4 & 3) == 3 || length > (uint64_t)1 << 40)
		length = 0x1000;
	return (struct memmap_mapping_of_range){
		.space = &spaces[bits & 3],
		.addr_range = {start, start + length},
		.writable = (bits >> 2 & 1) != 0,
	};
}

static void must(int err)
{
	if (err < 0) {
		fprintf(stderr, "ours: error %d\n", err);
		abort();
	}
}

static void mapping_make(struct memmap_mappable_range r, uint64_t v,
			 struct memmap_mappings_of_range *out)
{
	memmap_mappings_of_range_init(out, NULL);
	for (uint64_t i = 0; i < (v & 3); i++)
		must(memmap_mappings_of_range_add(out, a_mapping(r, v >> (2 + 6 * i))));
}

static void mapping_poke(struct memmap_mappings_of_range *value, struct memmap_mappable_range r,
			 uint64_t v)
{
	struct memmap_mapping_of_range m = a_mapping(r, v);

	if (memmap_mappings_of_range_contains(value, m))
		must(memmap_mappings_of_range_remove(value, m));
	else
		must(memmap_mappings_of_range_add(value, m));
}

static void show(const struct memmap_mapping_of_range *all, size_t nr, struct text *out)
{
	text_add(out, "{");
	for (size_t i = 0; i < nr; i++)
		text_add(out, "%td@%" PRIx64 "-%" PRIx64 "%s ", all[i].space - spaces,
			 all[i].addr_range.start, all[i].addr_range.end,
			 all[i].writable ? "w" : "");
	text_add(out, "}");
}

static void mapping_show(const struct memmap_mappings_of_range *value, struct text *out)
{
	size_t nr = memmap_mappings_of_range_count(value);
	struct memmap_mapping_of_range all[nr + 1];

	if (memmap_mappings_of_range_list(value, all, nr) != nr)
		text_add(out, "count and list differ");
	show(all, nr, out);
}

static void mapping_drop(struct memmap_mappings_of_range *value)
{
	memmap_mappings_of_range_clear(value);
}

static void mapping_run_own(enum operation_code code, const uint64_t *a, struct text *out);

#define KIND  mapping
#define SET   memmap_mapping
#define RANGE memmap_mappable_range
#define VALUE struct memmap_mappings_of_range
#undef TRACKED
#define TRACKED 0
#include "ours_set.h"

/* ---- The mapping set's own operations ---- */

static void show_calls(struct memmap_mappable_range mr, struct text *out)
{
	size_t next = 0;

	for (segment_t seg = memmap_mapping_set_lower_bound_segment(&the_set, mr.start);
	     memmap_mapping_iterator_ok(seg) && memmap_mapping_iterator_start(seg) < mr.end;
	     seg = memmap_mapping_iterator_next_segment(seg)) {
		size_t nr = memmap_mapping_iterator_nr_mappings(seg);

		if (nr > nr_calls - next) {
			text_add(out, "too few calls");
			break;
		}
		qsort(calls + next, nr, sizeof(*calls), compare_calls);
		for (; nr > 0; nr--, next++)
			text_add(out, "%ld@%" PRIx64 "-%" PRIx64 "%s ", calls[next].space,
				 calls[next].ar.start, calls[next].ar.end,
				 calls[next].invalidate_private ? "true" : "false");
		text_add(out, ";");
	}
	text_add(out, "%zu", nr_calls - next);
	nr_calls = 0;
}

static void mapping_run_own(enum operation_code code, const uint64_t *a, struct text *out)
{
	struct memmap_mappable_ranges ranges = {0};
	struct memmap_mappable_range mr;
	struct memmap_addr_range ar;
	segment_t seg;

	switch ((int)code) {
	case OP_map:
	case OP_unmap:
		ar = (struct memmap_addr_range){a[1], a[1] + a[2]};
		if (code == OP_map)
			must(memmap_mapping_set_add_mapping(&the_set, &spaces[a[0]], ar, a[3],
							    a[4] != 0, &ranges));
		else
			must(memmap_mapping_set_remove_mapping(&the_set, &spaces[a[0]], ar, a[3],
							       a[4] != 0, &ranges));
		for (size_t i = 0; i < ranges.len; i++)
			text_add(out, "[%" PRIx64 ",%" PRIx64 ")", ranges.ranges[i].start,
				 ranges.ranges[i].end);
		memmap_mappable_ranges_release(&ranges);
		break;
	case OP_inval:
		mr = (struct memmap_mappable_range){a[0], a[1]};
		memmap_mapping_set_invalidate(
			&the_set, mr, (struct memmap_invalidate_opts){.invalidate_private = a[2]});
		show_calls(mr, out);
		break;
	case OP_invalall:
		memmap_mapping_set_invalidate_all(
			&the_set, (struct memmap_invalidate_opts){.invalidate_private = a[0]});
		show_calls((struct memmap_mappable_range){0, UINT64_MAX}, out);
		break;
	case OP_has:
		seg = memmap_mapping_set_find_segment(&the_set, a[0]);
		if (!memmap_mapping_iterator_ok(seg))
			break;
		mr = memmap_mapping_iterator_range(seg);
		add_bool(out, memmap_mapping_iterator_has_mapping(seg, a_mapping(mr, a[1])));
		break;
	default:
		break;
	}
}
