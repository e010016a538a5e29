/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations on a mapping set, compared after each with what the reverse map means, done by brute
 * force: an array of segments, each with an array of its mappings. Also compared: which ranges
 * became mapped or unmapped, and which spaces an invalidation tells of what.
 *
 * Few pages and few spaces, so that mappings meet. Memory runs out when the input says so; then
 * nothing may have changed.
 */
#include <errno.h>
#include <string.h>

#include "fuzz.h"
#include <memmap/mapping_set.h>

#define PAGE        ((uint64_t)0x1000)
#define NR_PAGES    32
#define NR_SPACES   3
#define MAX_OF_ONE  512
#define ANY_ADDRESS ((uint64_t)0x100000)

static struct fuzz_memory memory;
static struct memmap_mapping_set set;
static struct memmap_mapping_space spaces[NR_SPACES];

/* ---- The model: segments in order; relative to its segment a mapping never changes ---- */

struct model_mapping {
	unsigned space;
	uint64_t delta; /* address - offset */
	bool writable;
};

struct model_segment {
	uint64_t start, end;
	size_t nr;
	struct model_mapping mappings[MAX_OF_ONE];
};

static size_t nr_segments;
static struct model_segment segments[NR_PAGES + 1];

static bool same_mapping(struct model_mapping a, struct model_mapping b)
{
	return a.space == b.space && a.delta == b.delta && a.writable == b.writable;
}

static size_t find_mapping(const struct model_segment *s, struct model_mapping m)
{
	size_t i = 0;

	while (i < s->nr && !same_mapping(s->mappings[i], m))
		i++;
	return i;
}

static size_t model_find(uint64_t key)
{
	size_t i = 0;

	while (i < nr_segments && segments[i].end <= key)
		i++;
	return i;
}

static void model_insert(size_t i, uint64_t start, uint64_t end)
{
	FUZZ_CHECK(nr_segments < NR_PAGES, "too many segments");
	memmove(&segments[i + 1], &segments[i], (nr_segments++ - i) * sizeof(segments[0]));
	segments[i].start = start;
	segments[i].end = end;
	segments[i].nr = 0;
}

static void model_remove(size_t i)
{
	memmove(&segments[i], &segments[i + 1], (--nr_segments - i) * sizeof(segments[0]));
}

static bool model_split(uint64_t at)
{
	size_t i = model_find(at);

	if (i == nr_segments || segments[i].start >= at)
		return false;
	uint64_t end = segments[i].end;

	segments[i].end = at;
	model_insert(i + 1, at, end);
	segments[i + 1].nr = segments[i].nr;
	memcpy(segments[i + 1].mappings, segments[i].mappings, sizeof(segments[i].mappings));
	return true;
}

/* Segment i and the next become one when each mapping of the one goes on in the other. */
static bool model_merge(size_t i)
{
	if (i + 1 >= nr_segments || segments[i].end != segments[i + 1].start ||
	    segments[i].nr != segments[i + 1].nr)
		return false;
	for (size_t j = 0; j < segments[i].nr; j++)
		if (find_mapping(&segments[i + 1], segments[i].mappings[j]) == segments[i].nr)
			return false;
	segments[i].end = segments[i + 1].end;
	model_remove(i + 1);
	return true;
}

/* Merge at the two edges of a range, as a segment set's merge_adjacent() does. */
static void model_merge_adjacent(uint64_t start, uint64_t end)
{
	size_t i = model_find(start);

	if (i > 0 && i < nr_segments && segments[i].start <= start)
		model_merge(i - 1);
	i = model_find(end - 1);
	if (i < nr_segments && segments[i].start < end)
		model_merge(i);
}

/* ---- Calls of invalidate(): each must be one that is expected ---- */

struct call {
	unsigned space;
	uint64_t start, end;
	bool made;
};

static size_t nr_expected, nr_made;
static struct call expected[NR_PAGES * MAX_OF_ONE];
static bool expected_private;

static void invalidated(struct memmap_mapping_space *ms, struct memmap_addr_range ar,
			struct memmap_invalidate_opts opts)
{
	unsigned space = (unsigned)(ms - spaces);

	FUZZ_CHECK(opts.invalidate_private == expected_private, "other options");
	nr_made++;
	for (size_t i = 0; i < nr_expected; i++) {
		struct call *call = &expected[i];

		if (!call->made && call->space == space && call->start == ar.start &&
		    call->end == ar.end) {
			call->made = true;
			return;
		}
	}
	FUZZ_CHECK(false, "space %u was told of [%#jx, %#jx)", space, (uintmax_t)ar.start,
		   (uintmax_t)ar.end);
}

static const struct memmap_mapping_space_ops space_ops = {.invalidate = invalidated};

/* ---- Both ---- */

static void same_contents(void)
{
	FUZZ_CHECK(memmap_mapping_set_verify(&set) == 0, "an invariant is broken");
	struct memmap_mapping_iterator it = memmap_mapping_set_first_segment(&set);

	for (size_t i = 0; i < nr_segments; i++) {
		const struct model_segment *s = &segments[i];

		FUZZ_CHECK(memmap_mapping_iterator_ok(it), "segment %zu is missing", i);
		FUZZ_CHECK(memmap_mapping_iterator_start(it) == s->start &&
				   memmap_mapping_iterator_end(it) == s->end,
			   "segment %zu", i);
		FUZZ_CHECK(memmap_mapping_iterator_nr_mappings(it) == s->nr, "mappings of %zu", i);
		for (size_t j = 0; j < s->nr; j++) {
			struct memmap_mapping_of_range m = {
				.space = &spaces[s->mappings[j].space],
				.addr_range = {s->start + s->mappings[j].delta,
					       s->end + s->mappings[j].delta},
				.writable = s->mappings[j].writable,
			};
			FUZZ_CHECK(memmap_mapping_iterator_has_mapping(it, m),
				   "segment %zu misses mapping %zu", i, j);
		}
		it = memmap_mapping_iterator_next_segment(it);
	}
	FUZZ_CHECK(!memmap_mapping_iterator_ok(it), "more segments than there should be");
}

static bool failed(int err)
{
	if (err >= 0)
		return false;
	FUZZ_CHECK(err == -ENOMEM, "error %d", err);
	FUZZ_CHECK(memory.refused > 0, "out of memory while there was some");
	return true;
}

static void same_ranges(const struct memmap_mappable_ranges *ranges,
			const struct memmap_mappable_range *expected_ranges, size_t nr)
{
	FUZZ_CHECK(ranges->len == nr, "%zu ranges instead of %zu", ranges->len, nr);
	for (size_t i = 0; i < nr; i++)
		FUZZ_CHECK(ranges->ranges[i].start == expected_ranges[i].start &&
				   ranges->ranges[i].end == expected_ranges[i].end,
			   "range %zu", i);
}

/* ---- Operations ---- */

static void a_range(struct fuzz_input *in, uint64_t *start, uint64_t *end)
{
	uint8_t byte = fuzz_byte(in);

	*start = byte % NR_PAGES;
	*end = *start + 1 + fuzz_byte(in) % (NR_PAGES / 2);
	if (*end > NR_PAGES)
		*end = NR_PAGES;
	*start *= PAGE;
	*end *= PAGE;
}

static struct model_mapping a_mapping(struct fuzz_input *in)
{
	uint8_t byte = fuzz_byte(in);

	return (struct model_mapping){
		.space = byte % NR_SPACES,
		.delta = ANY_ADDRESS + byte / NR_SPACES % 3 * 0x10000000,
		.writable = byte / 16 % 4 == 3,
	};
}

static void op_add(struct fuzz_input *in)
{
	struct memmap_mappable_ranges ranges = {0};
	struct memmap_mappable_range newly[NR_PAGES];
	struct model_mapping m = a_mapping(in);
	uint64_t start, end;
	size_t nr = 0;

	a_range(in, &start, &end);
	if (failed(memmap_mapping_set_add_mapping(
		    &set, &spaces[m.space],
		    (struct memmap_addr_range){start + m.delta, end + m.delta}, start, m.writable,
		    &ranges))) {
		FUZZ_CHECK(ranges.len == 0, "ranges although it failed");
		memmap_mappable_ranges_release(&ranges);
		return;
	}
	model_split(start);
	model_split(end);
	for (uint64_t at = start; at < end;) {
		size_t i = model_find(at);

		if (i == nr_segments || segments[i].start > at) {
			uint64_t to = i < nr_segments && segments[i].start < end ? segments[i].start
										 : end;

			newly[nr++] = (struct memmap_mappable_range){at, to};
			model_insert(i, at, to);
			/* As the reference inserts it: without mappings yet, so that it becomes
			 * one with neighbours that have none either. */
			if (i > 0 && model_merge(i - 1))
				i--;
			model_merge(i);
			model_split(start);
			model_split(end);
			i = model_find(at);
		}
		if (find_mapping(&segments[i], m) == segments[i].nr) {
			FUZZ_CHECK(segments[i].nr < MAX_OF_ONE, "too many mappings");
			segments[i].mappings[segments[i].nr++] = m;
		}
		at = segments[i].end;
	}
	same_ranges(&ranges, newly, nr);
	memmap_mappable_ranges_release(&ranges);
}

static void op_remove(struct fuzz_input *in)
{
	struct memmap_mappable_ranges ranges = {0};
	struct memmap_mappable_range newly[NR_PAGES];
	struct model_mapping m = a_mapping(in);
	uint64_t start, end;
	size_t nr = 0;

	a_range(in, &start, &end);
	size_t i = model_find(start);

	if (i == nr_segments || segments[i].start > start)
		return; /* would panic */
	if (failed(memmap_mapping_set_remove_mapping(
		    &set, &spaces[m.space],
		    (struct memmap_addr_range){start + m.delta, end + m.delta}, start, m.writable,
		    &ranges))) {
		FUZZ_CHECK(ranges.len == 0, "ranges although it failed");
		memmap_mappable_ranges_release(&ranges);
		return;
	}
	model_split(start);
	model_split(end);
	i = model_find(start);
	while (i < nr_segments && segments[i].start < end) {
		struct model_segment *s = &segments[i];
		size_t j = find_mapping(s, m);

		if (j < s->nr)
			s->mappings[j] = s->mappings[--s->nr];
		if (s->nr > 0) {
			i++;
			continue;
		}
		newly[nr++] = (struct memmap_mappable_range){s->start, s->end};
		model_remove(i);
	}
	model_merge_adjacent(start, end);
	same_ranges(&ranges, newly, nr);
	memmap_mappable_ranges_release(&ranges);
}

static void op_invalidate(struct fuzz_input *in)
{
	uint64_t start, end;

	a_range(in, &start, &end);
	expected_private = fuzz_byte(in) & 1;
	nr_expected = nr_made = 0;
	for (size_t i = model_find(start); i < nr_segments && segments[i].start < end; i++) {
		const struct model_segment *s = &segments[i];
		uint64_t from = s->start > start ? s->start : start;
		uint64_t to = s->end < end ? s->end : end;

		for (size_t j = 0; j < s->nr; j++)
			expected[nr_expected++] =
				(struct call){s->mappings[j].space, from + s->mappings[j].delta,
					      to + s->mappings[j].delta, false};
	}
	memmap_mapping_set_invalidate(
		&set, (struct memmap_mappable_range){start, end},
		(struct memmap_invalidate_opts){.invalidate_private = expected_private});
	FUZZ_CHECK(nr_made == nr_expected, "%zu calls instead of %zu", nr_made, nr_expected);
}

/* What every segment set can do. */
static void op_segments(struct fuzz_input *in, unsigned how)
{
	struct memmap_mapping_segment_data_slices slices;
	struct memmap_mapping_set other;
	uint64_t start, end;
	size_t i;
	int err;

	a_range(in, &start, &end);
	struct memmap_mappable_range r = {start, end};

	switch (how % 8) {
	case 0:
	case 1:
		err = memmap_mapping_set_split_at(&set, start);
		if (!failed(err))
			FUZZ_CHECK(model_split(start) == (err == 1), "split_at: %d", err);
		break;
	case 2:
		memmap_mapping_set_merge_adjacent(&set, r);
		model_merge_adjacent(start, end);
		break;
	case 3:
		memmap_mapping_set_merge_range(&set, r);
		i = model_find(start);
		while (i + 1 < nr_segments && segments[i + 1].start < end)
			if (!model_merge(i))
				i++;
		break;
	case 4:
		if (failed(memmap_mapping_set_remove_range(&set, r, NULL)))
			break;
		model_split(start);
		model_split(end);
		i = model_find(start);
		while (i < nr_segments && segments[i].start < end)
			model_remove(i);
		break;
	case 5: /* a segment of no mappings */
		i = model_find(start);
		err = memmap_mapping_set_add_without_merging(
			&set, r, (struct memmap_mappings_of_range){.allocator = &memory.allocator});
		if (i < nr_segments && segments[i].start < end)
			FUZZ_CHECK(err == -EEXIST, "added over something: %d", err);
		else if (!failed(err))
			model_insert(i, start, end);
		break;
	case 6:
		if (memmap_mapping_set_export_sorted_slices(&set, &slices) != 0)
			break;
		memmap_mapping_set_init(&other, &memory.allocator);
		if (!failed(memmap_mapping_set_import_sorted_slices(&other, &slices)))
			memmap_mapping_set_move_from(&set, &other);
		memmap_mapping_set_destroy(&other);
		memmap_mapping_segment_data_slices_release(&slices);
		break;
	default:
		memmap_mapping_set_merge_all(&set);
		for (i = 0; i < nr_segments;)
			if (!model_merge(i))
				i++;
		break;
	}
}

static void operate(struct fuzz_input *in)
{
	uint8_t code = fuzz_byte(in);

	memory.runs_out = code >= 0xe0;
	memory.left = code & 15;
	memory.refused = 0;
	if (memory.runs_out)
		code = fuzz_byte(in);
	switch (code % 8) {
	case 0:
	case 1:
	case 2:
		op_add(in);
		break;
	case 3:
	case 4:
		op_remove(in);
		break;
	case 5:
		op_invalidate(in);
		break;
	default:
		op_segments(in, code / 8);
		break;
	}
	memory.runs_out = false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size > 1024 ? 1024 : size, 0};

	for (size_t i = 0; i < NR_SPACES; i++)
		spaces[i].ops = &space_ops;
	fuzz_memory_init(&memory);
	memmap_mapping_set_init(&set, &memory.allocator);
	nr_segments = 0;
	while (!fuzz_at_end(&in)) {
		operate(&in);
		same_contents();
	}
	memmap_mapping_set_destroy(&set);
	FUZZ_CHECK(memory.live == 0, "%zu pieces of memory are lost", memory.live);
	return 0;
}
