/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations on a segment set, compared after each with a sorted array that does the same by brute
 * force: the whole contents, walked both ways, and what searches answer.
 *
 * Small nodes and keys of 16 bits make deep trees and neighbours out of short inputs. Values are
 * where the keys lead to, so that splitting and merging them wrongly is seen. Memory runs out when
 * the input says so; then nothing may have changed.
 */
#include <errno.h>
#include <string.h>

#include "fuzz.h"
#include <memmap/range.h>

MEMMAP_RANGE_DEFINE(fuzz_range, uint16_t);

static bool fuzz_merge(struct fuzz_range r1, uint16_t *v1, struct fuzz_range r2, uint16_t *v2,
		       uint16_t *out)
{
	(void)r2;
	if (*v2 != (uint16_t)(*v1 + fuzz_range_length(r1)))
		return false;
	*out = *v1;
	return true;
}

static int fuzz_split(struct fuzz_range r, uint16_t *v, uint16_t at, uint16_t *out1, uint16_t *out2)
{
	uint16_t value = *v;

	*out1 = value;
	*out2 = (uint16_t)(value + (at - r.start));
	return 0;
}

/* clang-format off */
#define SEGMENT_PREFIX fuzz
#define SEGMENT_KEY uint16_t
#define SEGMENT_RANGE fuzz_range
#define SEGMENT_VALUE uint16_t
#define SEGMENT_MERGE fuzz_merge
#define SEGMENT_SPLIT fuzz_split
#define SEGMENT_TRACK_GAPS 1
#define SEGMENT_MIN_DEGREE 3
#include <memmap/segment_set.h>
/* clang-format on */

#define LAST_KEY UINT16_MAX

/* ---- The model ---- */

#define MAX_SEGMENTS 4096

struct model_segment {
	struct fuzz_range r;
	uint16_t value;
};

static struct model {
	size_t nr;
	struct model_segment at[MAX_SEGMENTS];
} model;

/* The first segment that ends after `key`. */
static size_t model_find(uint32_t key)
{
	size_t i = 0;

	while (i < model.nr && model.at[i].r.end <= key)
		i++;
	return i;
}

static struct fuzz_range model_gap(size_t i)
{
	uint16_t start = i > 0 ? model.at[i - 1].r.end : 0;
	uint16_t end = i < model.nr ? model.at[i].r.start : LAST_KEY;

	return (struct fuzz_range){start, end};
}

static void model_insert(size_t i, struct fuzz_range r, uint16_t value)
{
	FUZZ_CHECK(model.nr < MAX_SEGMENTS, "too many segments");
	memmove(&model.at[i + 1], &model.at[i], (model.nr++ - i) * sizeof(model.at[0]));
	model.at[i] = (struct model_segment){r, value};
}

static void model_remove(size_t i)
{
	memmove(&model.at[i], &model.at[i + 1], (--model.nr - i) * sizeof(model.at[0]));
}

/* Merge segment i with the next one, if they go on in each other. */
static bool model_merge(size_t i)
{
	if (i + 1 >= model.nr || model.at[i].r.end != model.at[i + 1].r.start)
		return false;
	if (model.at[i + 1].value !=
	    (uint16_t)(model.at[i].value + fuzz_range_length(model.at[i].r)))
		return false;
	model.at[i].r.end = model.at[i + 1].r.end;
	model_remove(i + 1);
	return true;
}

static bool model_split(uint32_t at)
{
	size_t i = model_find(at);

	if (i == model.nr || model.at[i].r.start >= at)
		return false;
	struct model_segment s = model.at[i];

	model.at[i].r.end = (uint16_t)at;
	model_insert(i + 1, (struct fuzz_range){(uint16_t)at, s.r.end},
		     (uint16_t)(s.value + (at - s.r.start)));
	return true;
}

/* ---- Both ---- */

static struct fuzz_set set;
static struct fuzz_memory memory;

static void same_segment(struct fuzz_iterator it, size_t i)
{
	if (i >= model.nr) {
		FUZZ_CHECK(!fuzz_iterator_ok(it), "a segment where there is none");
		return;
	}
	FUZZ_CHECK(fuzz_iterator_ok(it), "no segment where there is one");
	FUZZ_CHECK(fuzz_iterator_start(it) == model.at[i].r.start &&
			   fuzz_iterator_end(it) == model.at[i].r.end &&
			   fuzz_iterator_value(it) == model.at[i].value,
		   "[%x, %x) instead of [%x, %x)", fuzz_iterator_start(it), fuzz_iterator_end(it),
		   model.at[i].r.start, model.at[i].r.end);
}

/* Gap i lies before segment i; above the last there is none. */
static void same_gap(struct fuzz_gap_iterator gap, size_t i)
{
	if (i > model.nr) {
		FUZZ_CHECK(!fuzz_gap_iterator_ok(gap), "a gap where there is none");
		return;
	}
	struct fuzz_range r = model_gap(i);

	FUZZ_CHECK(fuzz_gap_iterator_ok(gap), "no gap where there is one");
	FUZZ_CHECK(fuzz_gap_iterator_start(gap) == r.start && fuzz_gap_iterator_end(gap) == r.end,
		   "(%x, %x) instead of (%x, %x)", fuzz_gap_iterator_start(gap),
		   fuzz_gap_iterator_end(gap), r.start, r.end);
}

static void same_contents(void)
{
	FUZZ_CHECK(fuzz_set_verify(&set) == 0, "an invariant is broken");

	struct fuzz_iterator it = fuzz_set_first_segment(&set);
	uint16_t span = 0;

	for (size_t i = 0; i < model.nr; i++) {
		same_segment(it, i);
		same_gap(fuzz_iterator_prev_gap(it), i);
		span = (uint16_t)(span + fuzz_range_length(model.at[i].r));
		it = fuzz_iterator_next_segment(it);
	}
	FUZZ_CHECK(!fuzz_iterator_ok(it), "more segments than there should be");
	it = fuzz_set_last_segment(&set);
	for (size_t i = model.nr; i > 0; i--) {
		same_segment(it, i - 1);
		same_gap(fuzz_iterator_next_gap(it), i);
		it = fuzz_iterator_prev_segment(it);
	}
	FUZZ_CHECK(fuzz_set_span(&set) == span, "span");
	FUZZ_CHECK(fuzz_set_is_empty(&set) == (model.nr == 0), "is_empty");
}

/* What every search for a key, or a gap of a size, says. */
static void same_searches(uint16_t key, uint16_t size)
{
	size_t i = model_find(key);
	bool hit = i < model.nr && model.at[i].r.start <= key;
	struct fuzz_iterator it;
	struct fuzz_gap_iterator gap;

	FUZZ_CHECK(fuzz_set_find(&set, key, &it, &gap) == hit, "find");
	same_segment(it, hit ? i : SIZE_MAX);
	same_gap(gap, hit ? SIZE_MAX : i);
	same_segment(fuzz_set_lower_bound_segment(&set, key), i);
	same_segment(fuzz_set_upper_bound_segment(&set, key), hit ? i : i - 1);
	same_gap(fuzz_set_lower_bound_gap(&set, key), hit ? i + 1 : i);
	same_gap(fuzz_set_upper_bound_gap(&set, key), i);

	size_t large = hit ? i + 1 : i;

	while (large <= model.nr && fuzz_range_length(model_gap(large)) < size)
		large++;
	same_gap(fuzz_set_lower_bound_large_enough_gap(&set, key, size), large);
	large = i;
	while (large <= model.nr && fuzz_range_length(model_gap(large)) < size)
		large--; /* below 0: no gap has such a number */
	same_gap(fuzz_set_upper_bound_large_enough_gap(&set, key, size), large);
}

/*
 * What a call that may run out of memory returned: when it did, memory must have run out, and the
 * model goes back to what it was.
 */
static bool failed(int err)
{
	if (err >= 0)
		return false;
	FUZZ_CHECK(err == -ENOMEM, "error %d", err);
	FUZZ_CHECK(memory.refused > 0, "out of memory while there was some");
	return true;
}

/* ---- Operations ---- */

static uint16_t a_key(struct fuzz_input *in)
{
	uint8_t byte = fuzz_byte(in);

	/* Few keys close together, also at both ends; some anywhere. */
	if (byte < 0xc0)
		return byte;
	if (byte < 0xe0)
		return (uint16_t)(LAST_KEY - (byte & 0x1f));
	return (uint16_t)(fuzz_byte(in) << 8 | byte);
}

static struct fuzz_range a_range(struct fuzz_input *in)
{
	uint16_t start = a_key(in);
	uint32_t length = fuzz_byte(in);

	if (length >= 0xf0) /* long ones */
		length = (length - 0xef) << 12;
	uint32_t end = start + length;

	return (struct fuzz_range){start, (uint16_t)(end > LAST_KEY ? LAST_KEY : end)};
}

static void op_insert(struct fuzz_input *in, unsigned how)
{
	struct fuzz_range r = a_range(in);
	uint16_t value = (uint16_t)(r.start + (fuzz_byte(in) % 3) * 0x5000);
	size_t i = model_find(r.start);
	bool fits = fuzz_range_is_superset_of(model_gap(i), r);
	struct fuzz_iterator it;
	int err;

	if (r.start == r.end)
		return;
	switch (how % 4) {
	case 0:
		err = fuzz_set_add(&set, r, value);
		break;
	case 1:
		err = fuzz_set_add_without_merging(&set, r, value);
		break;
	case 2:
		if (!fits)
			return;
		err = fuzz_set_insert_without_merging(&set, fuzz_set_find_gap(&set, r.start), r,
						      value, &it);
		break;
	default:
		err = fuzz_set_try_insert_range(&set, r, value, &it);
		break;
	}
	if (!fits) {
		FUZZ_CHECK(err == -EEXIST, "error %d instead of -EEXIST", err);
		return;
	}
	if (failed(err))
		return;
	model_insert(i, r, value);
	if (how % 4 == 0 || how % 4 == 3) {
		if (i > 0 && model_merge(i - 1))
			i--;
		model_merge(i);
	}
	if (how % 4 >= 2)
		same_segment(it, i);
}

static void op_remove(struct fuzz_input *in)
{
	uint16_t key = a_key(in);
	size_t i = model_find(key);
	struct fuzz_iterator it = fuzz_set_lower_bound_segment(&set, key);
	uint16_t value;

	if (!fuzz_iterator_ok(it))
		return;
	struct fuzz_gap_iterator gap = fuzz_set_take(&set, it, &value);

	FUZZ_CHECK(i < model.nr && value == model.at[i].value, "another value was taken");
	model_remove(i);
	same_gap(gap, i);
}

static void op_remove_range(struct fuzz_input *in)
{
	struct fuzz_range r = a_range(in);
	struct fuzz_gap_iterator gap;

	if (failed(fuzz_set_remove_range(&set, r, &gap)) || r.start == r.end)
		return;
	model_split(r.start);
	model_split(r.end);
	size_t i = model_find(r.start);

	while (i < model.nr && model.at[i].r.start < r.end)
		model_remove(i);
	same_gap(gap, i);
}

static void op_merge(struct fuzz_input *in, unsigned how)
{
	struct fuzz_range r = a_range(in);
	size_t i;

	switch (how % 3) {
	case 0:
		fuzz_set_merge_range(&set, r);
		i = model_find(r.start);
		while (i + 1 < model.nr && model.at[i + 1].r.start < r.end)
			if (!model_merge(i))
				i++;
		break;
	case 1:
		if (r.start == r.end)
			return;
		fuzz_set_merge_adjacent(&set, r);
		i = model_find(r.start);
		if (i > 0 && i < model.nr && model.at[i].r.start <= r.start)
			model_merge(i - 1);
		i = model_find((uint32_t)r.end - 1);
		if (i < model.nr && model.at[i].r.start < r.end)
			model_merge(i);
		break;
	default:
		fuzz_set_merge_all(&set);
		for (i = 0; i < model.nr;)
			if (!model_merge(i))
				i++;
		break;
	}
}

static void op_isolate(struct fuzz_input *in)
{
	struct fuzz_range r = a_range(in);
	struct fuzz_iterator it = fuzz_set_lower_bound_segment(&set, r.start);

	if (!fuzz_iterator_ok(it) || r.start == r.end || fuzz_iterator_start(it) >= r.end)
		return;
	if (failed(fuzz_set_isolate(&set, it, r, &it)))
		return;
	size_t i = model_find(r.start);

	model_split(r.start);
	if (i < model.nr && model.at[i].r.end <= r.start)
		i++;
	if (model.at[i].r.end > r.end)
		model_split(r.end);
	same_segment(it, i);
}

struct visits {
	size_t next, nr, limit;
};

/* Each call is about the next segment of the model, and changes both. */
static bool visit(struct fuzz_iterator it, void *arg)
{
	struct visits *visits = (struct visits *)arg;

	*fuzz_iterator_value_ptr(it) = fuzz_iterator_start(it);
	visits->nr++;
	return visits->nr != visits->limit;
}

static void apply(struct fuzz_iterator it, void *arg)
{
	visit(it, arg);
}

static void op_apply(struct fuzz_input *in)
{
	struct fuzz_range r = a_range(in);
	struct visits visits = {0};
	struct fuzz_gap_iterator gap;
	size_t i, nr = 0;

	if (failed(fuzz_set_apply_contiguous(&set, r, apply, &visits, &gap)))
		return;
	if (r.start == r.end) {
		FUZZ_CHECK(visits.nr == 0, "called for nothing");
		return;
	}
	uint32_t end = r.start;

	model_split(r.start);
	for (i = model_find(r.start); end < r.end; i++) {
		if (i == model.nr || model.at[i].r.start > end)
			break;
		if (model.at[i].r.end > r.end)
			model_split(r.end);
		model.at[i].value = model.at[i].r.start;
		end = model.at[i].r.end;
		nr++;
	}
	FUZZ_CHECK(visits.nr == nr, "%zu calls instead of %zu", visits.nr, nr);
	same_gap(gap, end < r.end && end < LAST_KEY ? i : SIZE_MAX);
}

static void op_mutate(struct fuzz_input *in)
{
	struct fuzz_range r = a_range(in);
	struct visits visits = {.limit = fuzz_byte(in) % 4};
	size_t nr = 0;
	bool more = true;

	if (failed(fuzz_set_mutate_range(&set, r, visit, &visits)) || r.start == r.end)
		return;
	model_split(r.start);
	bool splits_end = model_split(r.end);
	size_t i = model_find(r.start);

	while (more && i < model.nr && model.at[i].r.start < r.end) {
		model.at[i].value = model.at[i].r.start;
		more = ++nr != visits.limit;
		if (i > 0 && model_merge(i - 1))
			i--;
		if (more)
			i++;
		else
			model_merge(i);
	}
	i = model_find(r.end);
	if ((more || splits_end) && i > 0 && i < model.nr && model.at[i].r.start == r.end)
		model_merge(i - 1);
	FUZZ_CHECK(visits.nr == nr, "%zu calls instead of %zu", visits.nr, nr);
}

static void op_set_bounds(struct fuzz_input *in, unsigned how)
{
	uint16_t key = a_key(in);
	uint8_t by = fuzz_byte(in);
	size_t i = model_find(key);
	struct fuzz_iterator it = fuzz_set_lower_bound_segment(&set, key);

	if (i == model.nr)
		return;
	struct fuzz_range r = model.at[i].r, below = model_gap(i), above = model_gap(i + 1);

	/* Anywhere that is allowed. */
	r.start = (uint16_t)(below.start + (uint32_t)(r.end - 1 - below.start) * (by & 15) / 15);
	if (how % 3 != 0)
		r.end = (uint16_t)(r.start + 1 +
				   (uint32_t)(above.end - r.start - 1) * (by >> 4) / 15);
	if (how % 3 == 0) {
		fuzz_iterator_set_start(it, r.start);
	} else if (how % 3 == 1) {
		fuzz_iterator_set_range(it, r);
	} else {
		r.start = model.at[i].r.start;
		if (r.end <= r.start)
			r.end = (uint16_t)(r.start + 1);
		fuzz_iterator_set_end(it, r.end);
	}
	model.at[i].r = r;
}

static void op_import(void)
{
	struct fuzz_segment_data_slices slices;
	struct fuzz_set other;

	FUZZ_CHECK(fuzz_set_export_sorted_slices(&set, &slices) == 0, "no export");
	FUZZ_CHECK(slices.len == model.nr, "%zu exported", slices.len);
	fuzz_set_init(&other, &memory.allocator);
	if (failed(fuzz_set_import_sorted_slices(&other, &slices)))
		FUZZ_CHECK(fuzz_set_is_empty(&other), "imported in part");
	else
		fuzz_set_move_from(&set, &other);
	fuzz_set_destroy(&other);
	fuzz_segment_data_slices_release(&slices);
}

static void operate(struct fuzz_input *in)
{
	uint8_t code = fuzz_byte(in);
	uint16_t key;
	int err;

	/* One in eight runs short of memory. */
	memory.runs_out = code >= 0xe0;
	memory.left = code & 7;
	memory.refused = 0;
	if (memory.runs_out)
		code = fuzz_byte(in);
	switch (code % 16) {
	case 0:
	case 1:
	case 2:
	case 3:
	case 4:
		op_insert(in, code);
		break;
	case 5:
		op_remove(in);
		break;
	case 6:
		op_remove_range(in);
		break;
	case 7:
		op_merge(in, code / 16);
		break;
	case 8:
	case 9:
		key = a_key(in);
		err = fuzz_set_split_at(&set, key);
		if (!failed(err))
			FUZZ_CHECK(model_split(key) == (err == 1), "split_at: %d", err);
		break;
	case 10:
		op_isolate(in);
		break;
	case 11:
		op_apply(in);
		break;
	case 12:
		op_mutate(in);
		break;
	case 13:
		op_set_bounds(in, code / 16);
		break;
	case 14:
		op_import();
		break;
	default:
		if (code / 16 % 8 == 0) {
			fuzz_set_remove_all(&set);
			model.nr = 0;
		} else {
			(void)failed(fuzz_set_reserve(&set, code / 16));
		}
		break;
	}
	memory.runs_out = false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size > 2048 ? 2048 : size, 0};

	fuzz_memory_init(&memory);
	fuzz_set_init(&set, &memory.allocator);
	model.nr = 0;
	while (!fuzz_at_end(&in)) {
		operate(&in);
		same_contents();
		same_searches((uint16_t)(in.at * 7), (uint16_t)(in.at % 40));
		if (model.nr > 0)
			same_searches(model.at[in.at % model.nr].r.end, (uint16_t)(in.at % 3));
	}
	fuzz_set_destroy(&set);
	FUZZ_CHECK(memory.live == 0, "%zu pieces of memory are lost", memory.live);
	return 0;
}
