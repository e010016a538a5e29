/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The segment set against a model: the same random operations on a set and on a plain sorted array,
 * compared after every step, with allocations and splits of values that fail now and then.
 *
 * A variant is a file that defines some flags and includes this one:
 *   MODEL_KEY          the key type (uint64_t)
 *   MODEL_TRACK_GAPS   0 or 1 (0)
 *   MODEL_DEGREE       SEGMENT_MIN_DEGREE (the template's own choice)
 *   MODEL_OFFSETS      values are offsets that advance on a split (else colours, equal ones merge)
 *   MODEL_MIN_KEY, MODEL_MAX_KEY  the limits (the key type's)
 *
 * Every value is a ticket in a ledger, so that one which is cleared twice, used after it left, or
 * never cleared is found at once.
 *
 * Usage: PROGRAM [seed [runs [steps]]], or MEMMAP_SEED=seed PROGRAM. A failure is shrunk and
 * printed as a script; `PROGRAM --script "op a b c; ..."` plays one.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memmap/allocator.h>
#include <memmap/error.h>
#include <memmap/range.h>

#ifndef MODEL_KEY
#	define MODEL_KEY uint64_t
#endif
#ifndef MODEL_TRACK_GAPS
#	define MODEL_TRACK_GAPS 0
#endif
#define MODEL_LAST_KEY ((MODEL_KEY) ~(MODEL_KEY)0)
#ifndef MODEL_MIN_KEY
#	define MODEL_MIN_KEY ((MODEL_KEY)0)
#endif
#ifndef MODEL_MAX_KEY
#	define MODEL_MAX_KEY MODEL_LAST_KEY
#endif

typedef MODEL_KEY model_key;
MEMMAP_RANGE_DEFINE(model_range, MODEL_KEY);

/* ---- Failing ---- */

#define expect(condition, ...)                                                                     \
	do {                                                                                       \
		if (!(condition))                                                                  \
			failed(__LINE__, #condition, __VA_ARGS__);                                 \
	} while (0)

static size_t current_step;
static const char *current_op = "";

__attribute__((format(printf, 3, 4), noreturn)) static void failed(int line, const char *condition,
								   const char *format, ...)
{
	va_list args;
	va_start(args, format);
	(void)fprintf(stderr, "step %zu (%s), line %d: expected %s: ", current_step, current_op,
		      line, condition);
	(void)vfprintf(stderr, format, args);
	(void)fputc('\n', stderr);
	va_end(args);
	exit(1);
}

/* ---- Values and their ledger ---- */

struct model_value {
	uint32_t ticket;
	uint32_t colour;
	uint64_t offset;
};

#define MAX_TICKETS (1u << 22)
static uint8_t live[MAX_TICKETS];
static uint32_t nr_tickets, nr_live;

static struct model_value value_make(uint32_t colour, uint64_t offset)
{
	expect(nr_tickets + 1 < MAX_TICKETS, "no more tickets");
	struct model_value v = {++nr_tickets, colour, offset};
	live[v.ticket] = 1;
	nr_live++;
	return v;
}

static void value_clear(struct model_value *v)
{
	expect(v->ticket != 0 && live[v->ticket], "value %u cleared that is not live", v->ticket);
	live[v->ticket] = 0;
	nr_live--;
	v->ticket = 0;
}

static bool values_mergeable(struct model_range r1, const struct model_value *v1,
			     const struct model_value *v2)
{
	if (v1->colour != v2->colour)
		return false;
#ifdef MODEL_OFFSETS
	return v1->offset + model_range_length(r1) == v2->offset;
#else
	(void)r1;
	return true;
#endif
}

static bool value_merge(struct model_range r1, struct model_value *v1, struct model_range r2,
			struct model_value *v2, struct model_value *out)
{
	expect(r1.end == r2.start && r1.start < r1.end && r2.start < r2.end,
	       "merge of what is apart");
	expect(live[v1->ticket] && live[v2->ticket], "merge of a dead value");
	if (!values_mergeable(r1, v1, v2))
		return false;
	struct model_value merged = value_make(v1->colour, v1->offset);
	value_clear(v1);
	value_clear(v2);
	*out = merged;
	return true;
}

static unsigned splits_until_failure; /* 0: none fails */

static int value_split(struct model_range r, struct model_value *v, model_key at,
		       struct model_value *out1, struct model_value *out2)
{
	expect(r.start < at && at < r.end, "split outside");
	expect(live[v->ticket], "split of a dead value");
	if (splits_until_failure && --splits_until_failure == 0)
		return -EDOM;
	struct model_value old = *v;
	value_clear(v);
	*out1 = value_make(old.colour, old.offset);
#ifdef MODEL_OFFSETS
	old.offset += (uint64_t)(at - r.start);
#endif
	*out2 = value_make(old.colour, old.offset);
	return 0;
}

static void value_unsplit(struct model_range r, model_key at, struct model_value *v1,
			  struct model_value *v2, struct model_value *out)
{
	expect(r.start < at && at < r.end, "unsplit outside");
	struct model_value whole = value_make(v1->colour, v1->offset);
	value_clear(v1);
	value_clear(v2);
	*out = whole;
}

static int value_dup(const struct model_value *in, struct model_value *out)
{
	expect(live[in->ticket], "copy of a dead value");
	*out = value_make(in->colour, in->offset);
	return 0;
}

static char *value_format(const struct model_value *v, char *buf, size_t size)
{
	(void)snprintf(buf, size, "%u+%#lx", v->colour, (unsigned long)v->offset);
	return buf;
}

#define SEGMENT_PREFIX       model
#define SEGMENT_KEY          MODEL_KEY
#define SEGMENT_RANGE        model_range
#define SEGMENT_VALUE        struct model_value
#define SEGMENT_MIN_KEY      MODEL_MIN_KEY
#define SEGMENT_MAX_KEY      MODEL_MAX_KEY
#define SEGMENT_CLEAR_VALUE  value_clear
#define SEGMENT_MERGE        value_merge
#define SEGMENT_SPLIT        value_split
#define SEGMENT_UNSPLIT      value_unsplit
#define SEGMENT_DUP_VALUE    value_dup
#define SEGMENT_FORMAT_VALUE value_format
#define SEGMENT_TRACK_GAPS   MODEL_TRACK_GAPS
#ifdef MODEL_DEGREE
#	define SEGMENT_MIN_DEGREE MODEL_DEGREE
#endif
#include <memmap/segment_set.h>

/* ---- An allocator that counts and fails ---- */

static size_t nr_blocks;
static unsigned allocations_until_failure; /* 0: none fails */

static void *counting_allocate(void *context, size_t size, size_t alignment)
{
	(void)context;
	if (allocations_until_failure && --allocations_until_failure == 0)
		return NULL;
	void *memory = memmap_allocate(NULL, size, alignment);
	memset(memory, 0xa5, size);
	nr_blocks++;
	return memory;
}

static void counting_deallocate(void *context, void *memory, size_t size)
{
	(void)context;
	memset(memory, 0x5a, size);
	nr_blocks--;
	memmap_deallocate(NULL, memory, size);
}

static const struct memmap_allocator counting = {counting_allocate, counting_deallocate, NULL};

/* ---- The model ---- */

struct model_segment {
	struct model_range r;
	uint32_t colour;
	uint64_t offset;
};

#define MAX_SEGMENTS 4096
struct model {
	struct model_segment segs[MAX_SEGMENTS];
	size_t n;
};

static struct model model, saved;
static struct model_set set;

/* The first segment that ends after `key`. */
static size_t model_find(model_key key)
{
	size_t i = 0;
	while (i < model.n && model.segs[i].r.end <= key)
		i++;
	return i;
}

static bool model_holds(size_t i, model_key key)
{
	return i < model.n && model.segs[i].r.start <= key && key < model.segs[i].r.end;
}

static struct model_range model_gap(size_t i)
{
	struct model_range r = {i > 0 ? model.segs[i - 1].r.end : MODEL_MIN_KEY,
				i < model.n ? model.segs[i].r.start : MODEL_MAX_KEY};
	return r;
}

static void model_insert_at(size_t i, struct model_range r, uint32_t colour, uint64_t offset)
{
	expect(model.n < MAX_SEGMENTS, "the model is full");
	memmove(&model.segs[i + 1], &model.segs[i], (model.n - i) * sizeof(model.segs[0]));
	model.segs[i] = (struct model_segment){r, colour, offset};
	model.n++;
}

static void model_remove_at(size_t i)
{
	model.n--;
	memmove(&model.segs[i], &model.segs[i + 1], (model.n - i) * sizeof(model.segs[0]));
}

static bool model_merge_at(size_t i)
{
	if (i + 1 >= model.n)
		return false;
	struct model_segment *a = &model.segs[i], *b = a + 1;
	struct model_value v1 = {1, a->colour, a->offset}, v2 = {1, b->colour, b->offset};
	if (a->r.end != b->r.start || !values_mergeable(a->r, &v1, &v2))
		return false;
	a->r.end = b->r.end;
	model_remove_at(i + 1);
	return true;
}

static void model_split_at(size_t i, model_key at)
{
	struct model_segment seg = model.segs[i];
	struct model_range tail = {at, seg.r.end};
	model.segs[i].r.end = at;
#ifdef MODEL_OFFSETS
	seg.offset += (uint64_t)(at - seg.r.start);
#endif
	model_insert_at(i + 1, tail, seg.colour, seg.offset);
}

/* Split what straddles `at`; true if something did. */
static bool model_split_straddling(model_key at)
{
	size_t i = model_find(at);
	if (!model_holds(i, at) || model.segs[i].r.start == at)
		return false;
	model_split_at(i, at);
	return true;
}

/* ---- Comparing ---- */

static void expect_segment(struct model_iterator it, size_t i)
{
	expect(model_iterator_ok(it) == (i < model.n), "segment %zu of %zu", i, model.n);
	if (i >= model.n)
		return;
	const struct model_segment *seg = &model.segs[i];
	struct model_value v = model_iterator_value(it);
	expect(model_iterator_start(it) == seg->r.start && model_iterator_end(it) == seg->r.end,
	       "segment %zu is [%#lx, %#lx), not [%#lx, %#lx)", i,
	       (unsigned long)model_iterator_start(it), (unsigned long)model_iterator_end(it),
	       (unsigned long)seg->r.start, (unsigned long)seg->r.end);
	expect(v.colour == seg->colour, "segment %zu: colour %u, not %u", i, v.colour, seg->colour);
#ifdef MODEL_OFFSETS
	expect(v.offset == seg->offset, "segment %zu: offset", i);
#endif
	expect(live[v.ticket], "segment %zu holds a dead value", i);
}

static void expect_gap(struct model_gap_iterator g, size_t i)
{
	expect(model_gap_iterator_ok(g), "gap %zu is terminal", i);
	struct model_range r = model_gap(i), got = model_gap_iterator_range(g);
	expect(got.start == r.start && got.end == r.end,
	       "gap %zu is [%#lx, %#lx), not [%#lx, %#lx)", i, (unsigned long)got.start,
	       (unsigned long)got.end, (unsigned long)r.start, (unsigned long)r.end);
	expect(model_gap_iterator_is_empty(g) == (r.start == r.end), "gap %zu", i);
}

static struct model_iterator nth_segment(size_t i)
{
	struct model_iterator it = model_set_first_segment(&set);
	while (i-- > 0)
		it = model_iterator_next_segment(it);
	return it;
}

static struct model_gap_iterator nth_gap(size_t i)
{
	struct model_gap_iterator g = model_set_first_gap(&set);
	while (i-- > 0)
		g = model_gap_iterator_next_gap(g);
	return g;
}

static void compare(void)
{
	expect(model_set_verify(&set) == 0, "verify");
	expect(nr_live == model.n, "%u live values for %zu segments", nr_live, model.n);
	expect(model_set_is_empty(&set) == (model.n == 0), "is_empty");
	struct model_iterator it = model_set_first_segment(&set);
	struct model_gap_iterator g = model_set_first_gap(&set);
	expect(!model_gap_iterator_ok(model_gap_iterator_prev_gap(g)), "before the first gap");
	model_key span = 0;
	for (size_t i = 0; i < model.n; i++) {
		expect_segment(it, i);
		expect_gap(g, i);
		expect(model_gap_iterator_equal(g, model_iterator_prev_gap(it)), "gap %zu", i);
		expect(model_iterator_equal(it, model_gap_iterator_next_segment(g)), "gap %zu", i);
		struct model_gap_iterator after = model_iterator_next_gap(it);
		expect(model_gap_iterator_equal(after, model_gap_iterator_next_gap(g)), "gap");
		expect(model_gap_iterator_equal(g, model_gap_iterator_prev_gap(after)), "gap");
		expect(model_iterator_equal(it, model_gap_iterator_prev_segment(after)), "gap");
		g = after;
		struct model_iterator next = model_iterator_next_segment(it);
		if (model_iterator_ok(next))
			expect(model_iterator_equal(model_iterator_prev_segment(next), it), "prev");
		else
			expect(model_iterator_equal(model_set_last_segment(&set), it), "last");
		it = next;
		span = (model_key)(span + model_range_length(model.segs[i].r));
	}
	expect(!model_iterator_ok(it), "more segments than %zu", model.n);
	expect_gap(g, model.n);
	expect(model_gap_iterator_equal(g, model_set_last_gap(&set)), "last gap");
	expect(!model_gap_iterator_ok(model_gap_iterator_next_gap(g)), "after the last gap");
	expect(model_set_span(&set) == span, "span");
}

/* ---- Operations ---- */

struct op {
	unsigned code;
	uint64_t a, b, c;
};

/* Keys lie near one of a few places, so that they meet; which is up to the run. */
static model_key key_base;
static uint64_t key_spread;

static model_key key_of(uint64_t x)
{
	uint64_t offset = x % key_spread;
	uint64_t room = (uint64_t)(MODEL_MAX_KEY - key_base);
	return (model_key)(key_base + (offset < room ? offset : room));
}

static struct model_range range_of(uint64_t a, uint64_t b)
{
	static const uint64_t lengths[] = {1, 2, 4, 16, 64, 256};
	struct model_range r;
	r.start = key_of(a);
	uint64_t length = b % (lengths[(b >> 32) % 6] + 1);
	uint64_t room = (uint64_t)(MODEL_MAX_KEY - r.start);
	r.end = (model_key)(r.start + (length < room ? length : room));
	return r;
}

static struct model_value value_of(uint64_t c, struct model_range r)
{
	/* Offsets that continue each other, and some that do not. */
	return value_make((uint32_t)(c % 3), (uint64_t)r.start + (c % 16 == 0 ? 1 : 0));
}

/* After a failure nothing may have changed: neither the segments nor which iterators are valid. */
static struct model_iterator probe_segment;
static struct model_gap_iterator probe_gap;
static size_t probe_index;

static void probe_take(uint64_t c)
{
	probe_index = model.n ? c % model.n : 0;
	probe_segment = nth_segment(probe_index);
	probe_gap = nth_gap(probe_index);
	saved = model;
}

static void probe_check(int err)
{
	expect(err == -ENOMEM || err == -EDOM, "error %d", err);
	model = saved;
	if (model.n)
		expect_segment(probe_segment, probe_index);
	expect_gap(probe_gap, probe_index);
}

static void model_add(struct model_range r, struct model_value v, bool merge)
{
	size_t i = model_find(r.start);
	model_insert_at(i, r, v.colour, v.offset);
	if (!merge)
		return;
	if (i > 0 && model_merge_at(i - 1)) {
		model_merge_at(i - 1);
		return;
	}
	model_merge_at(i);
}

static bool room_for(struct model_range r)
{
	size_t i = model_find(r.start);
	struct model_range gap = model_gap(i);
	return !model_holds(i, r.start) && gap.start <= r.start && r.end <= gap.end;
}

static void op_add(const struct op *op)
{
	struct model_range r = range_of(op->a, op->b);
	if (r.start == r.end)
		return;
	probe_take(op->c);
	struct model_value v = value_of(op->c, r);
	unsigned way = (unsigned)(op->c >> 8) % 5;
	bool room = room_for(r);
	bool merge = way != 1 && way != 3;
	size_t gap_index = model_find(r.start);
	struct model_iterator out = {0};
	int err;
	if (!room && way >= 2)
		way = 4;
	switch (way) {
	case 0:
		err = model_set_add(&set, r, v);
		break;
	case 1:
		err = model_set_add_without_merging(&set, r, v);
		break;
	case 2:
		err = model_set_insert(&set, nth_gap(gap_index), r, v, &out);
		break;
	case 3:
		err = model_set_insert_without_merging(&set, nth_gap(gap_index), r, v, &out);
		break;
	default:
		err = model_set_try_insert_range(&set, r, v, &out);
		break;
	}
	expect((err == -EEXIST) == !room, "error %d", err);
	if (err) {
		value_clear(&v); /* it is still ours */
		if (err != -EEXIST)
			probe_check(err);
		return;
	}
	model_add(r, v, merge);
	if (way >= 2)
		expect_segment(out, model_find(r.start));
}

static void op_remove(const struct op *op)
{
	if (model.n == 0)
		return;
	size_t i = op->a % model.n;
	struct model_gap_iterator g;
	if (op->b % 2) {
		struct model_value v;
		g = model_set_take(&set, nth_segment(i), &v);
		expect(v.colour == model.segs[i].colour && live[v.ticket], "taken");
		value_clear(&v);
	} else {
		g = model_set_remove(&set, nth_segment(i));
	}
	model_remove_at(i);
	expect_gap(g, i);
	expect(model_gap_iterator_equal(g, nth_gap(i)), "the gap is not the gap");
}

static void op_remove_range(const struct op *op)
{
	struct model_range r = range_of(op->a, op->b);
	probe_take(op->c);
	bool inside = model_holds(model_find(r.start), r.start) &&
		      model.segs[model_find(r.start)].r.start < r.start;
	bool full = true;
	for (model_key k = r.start; k < r.end; k = model.segs[model_find(k)].r.end) {
		if (!model_holds(model_find(k), k)) {
			full = false;
			break;
		}
	}
	struct model_gap_iterator g;
	int err = full && op->c % 2 ? model_set_remove_full_range(&set, r, &g)
				    : model_set_remove_range(&set, r, &g);
	if (err) {
		probe_check(err);
		return;
	}
	if (r.start == r.end) {
		expect(model_gap_iterator_ok(g) == !inside, "the gap of an empty range");
		return;
	}
	model_split_straddling(r.start);
	model_split_straddling(r.end);
	while (model_find(r.start) < model.n && model.segs[model_find(r.start)].r.start < r.end)
		model_remove_at(model_find(r.start));
	expect_gap(g, model_find(r.start));
	expect(model_gap_iterator_equal(g, nth_gap(model_find(r.start))), "the gap is not the gap");
}

static void op_split(const struct op *op)
{
	model_key at = key_of(op->a);
	size_t i = model_find(at);
	bool can = model_holds(i, at) && model.segs[i].r.start < at;
	probe_take(op->c);
	struct model_iterator first = {0}, second = {0};
	int err;
	switch (op->b % 4) {
	case 0:
		err = model_set_split_at(&set, at);
		expect(err < 0 || err == can, "split_at returned %d", err);
		err = err > 0 ? 0 : err;
		break;
	case 1:
		if (!can)
			return;
		err = model_set_split(&set, nth_segment(i), at, &first, &second);
		break;
	case 2:
		if (!model_holds(i, at))
			return;
		err = model_set_split_before(&set, nth_segment(i), at, &second);
		break;
	default:
		if (!can)
			return;
		err = model_set_split_after(&set, nth_segment(i), at, &first);
		break;
	}
	if (err) {
		probe_check(err);
		return;
	}
	model_split_straddling(at);
	if (model_iterator_ok(first))
		expect_segment(first, i);
	if (model_iterator_ok(second))
		expect_segment(second, model_find(at));
}

static void op_isolate(const struct op *op)
{
	struct model_range r = range_of(op->a, op->b);
	size_t i = model_find(r.start);
	if (i >= model.n || !model_range_overlaps(model.segs[i].r, r) || r.start == r.end)
		return;
	probe_take(op->c);
	struct model_iterator out;
	int err = model_set_isolate(&set, nth_segment(i), r, &out);
	if (err) {
		probe_check(err);
		return;
	}
	model_key start = model.segs[i].r.start;
	model_key end = model.segs[i].r.end;
	if (start < r.start)
		model_split_straddling(start = r.start);
	if (r.end < end)
		model_split_straddling(r.end);
	expect_segment(out, model_find(start));
	if (op->c % 4 == 0) {
		out = model_set_unisolate(&set, out);
		i = model_find(start);
		if (i > 0 && model_merge_at(i - 1))
			i--;
		model_merge_at(i);
		expect_segment(out, i);
	}
}

static void op_merge(const struct op *op)
{
	struct model_range r = range_of(op->a, op->b);
	size_t i = model.n ? op->a % model.n : 0;
	struct model_iterator out;
	switch (op->c % 6) {
	case 0:
		if (i + 1 < model.n) {
			out = model_set_merge(&set, nth_segment(i), nth_segment(i + 1));
			bool merged = model_merge_at(i);
			expect(model_iterator_ok(out) == merged, "merge");
			if (merged)
				expect_segment(out, i);
		}
		break;
	case 1:
		if (i < model.n) {
			out = model_set_merge_prev(&set, nth_segment(i));
			expect_segment(out, i > 0 && model_merge_at(i - 1) ? i - 1 : i);
		}
		break;
	case 2:
		if (i < model.n) {
			out = model_set_merge_next(&set, nth_segment(i));
			model_merge_at(i);
			expect_segment(out, i);
		}
		break;
	case 3:
		model_set_merge_adjacent(&set, r);
		i = model_find(r.start);
		if (model_holds(i, r.start) && i > 0)
			model_merge_at(i - 1);
		if (r.end > MODEL_MIN_KEY) {
			i = model_find((model_key)(r.end - 1));
			if (model_holds(i, (model_key)(r.end - 1)))
				model_merge_at(i);
		}
		break;
	case 4:
		model_set_merge_range(&set, r);
		for (i = model_find(r.start); i + 1 < model.n && model.segs[i + 1].r.start < r.end;)
			i += !model_merge_at(i);
		break;
	default:
		if (op->a % 8)
			break;
		model_set_merge_all(&set);
		for (i = 0; i + 1 < model.n;)
			i += !model_merge_at(i);
		break;
	}
}

/* What a callback saw. */
static size_t visited_first, nr_visited, visit_limit;
static uint32_t visit_colour;

static void apply_fn(struct model_iterator seg, void *arg)
{
	expect(arg == &set, "arg");
	model_iterator_value_ptr(seg)->colour = visit_colour;
	nr_visited++;
}

static void op_apply(const struct op *op)
{
	struct model_range r = range_of(op->a, op->b);
	probe_take(op->c);
	visit_colour = (uint32_t)(op->c % 3);
	nr_visited = 0;
	struct model_gap_iterator g;
	int err = model_set_apply_contiguous(&set, r, apply_fn, &set, &g);
	if (err) {
		expect(nr_visited == 0, "applied before it failed");
		probe_check(err);
		return;
	}
	size_t i = model_find(r.start);
	if (!model_holds(i, r.start)) {
		expect_gap(g, i);
		return;
	}
	if (r.start == r.end) {
		expect(!model_gap_iterator_ok(g) && nr_visited == 0, "an empty range");
		return;
	}
	model_split_straddling(r.start);
	i = model_find(r.start);
	model_key at = r.start;
	size_t n = 0;
	while (at < r.end && model_holds(model_find(at), at)) {
		i = model_find(at);
		if (model.segs[i].r.end > r.end)
			model_split_at(i, r.end);
		model.segs[i].colour = visit_colour;
		at = model.segs[i].r.end;
		n++;
	}
	expect(n == nr_visited, "%zu applied, not %zu", nr_visited, n);
	expect(model_gap_iterator_ok(g) == (at < r.end && at < MODEL_MAX_KEY), "apply's gap");
	if (model_gap_iterator_ok(g))
		expect_gap(g, i + 1);
}

static bool visit_fn(struct model_iterator seg, void *arg)
{
	expect(arg == &set, "arg");
	expect_segment(seg, visited_first + nr_visited);
	return ++nr_visited < visit_limit;
}

static void op_visit(const struct op *op)
{
	struct model_range r = range_of(op->a, op->b);
	visited_first = model_find(r.start);
	nr_visited = 0;
	visit_limit = op->c % 8;
	model_set_visit_range(&set, r, visit_fn, &set);
	size_t n = 0;
	if (r.start < r.end) {
		while (visited_first + n < model.n &&
		       model.segs[visited_first + n].r.start < r.end) {
			if (++n >= visit_limit)
				break;
		}
	}
	expect(n == nr_visited, "%zu visited, not %zu", nr_visited, n);
}

static bool mutate_fn(struct model_iterator seg, void *arg)
{
	const struct model_range *r = (const struct model_range *)arg;
	expect(model_range_is_superset_of(*r, model_iterator_range(seg)), "mutate sees outside");
	model_iterator_value_ptr(seg)->colour = visit_colour;
	return ++nr_visited < visit_limit;
}

static void op_mutate(const struct op *op)
{
	struct model_range r = range_of(op->a, op->b);
	probe_take(op->c);
	visit_colour = (uint32_t)(op->c % 3);
	nr_visited = 0;
	visit_limit = op->c % 5 + 1;
	int err = model_set_mutate_range(&set, r, mutate_fn, &r);
	if (err) {
		expect(nr_visited == 0, "mutated before it failed");
		probe_check(err);
		return;
	}
	if (r.start == r.end)
		return;
	size_t i = model_find(r.end), n = 0;
	bool splits_end = i < model.n && model.segs[i].r.start < r.end;
	model_split_straddling(r.start);
	model_split_straddling(r.end);
	i = model_find(r.start);
	while (i < model.n && model.segs[i].r.start < r.end) {
		model.segs[i].colour = visit_colour;
		n++;
		if (i > 0 && model_merge_at(i - 1))
			i--;
		if (n >= visit_limit) {
			model_merge_at(i);
			break;
		}
		i++;
	}
	i = model_find(r.end);
	bool closes_end = n < visit_limit || splits_end;
	if (closes_end && i < model.n && i > 0 && model.segs[i].r.start == r.end)
		model_merge_at(i - 1);
	expect(n == nr_visited, "%zu mutated, not %zu", nr_visited, n);
}

static void op_set_bounds(const struct op *op)
{
	if (model.n == 0)
		return;
	size_t i = op->a % model.n;
	struct model_iterator it = nth_segment(i);
	probe_take(op->c);
	struct model_range before = model_gap(i), after = model_gap(i + 1), r = model.segs[i].r;
	/* Mostly within what is there, sometimes grown over a whole gap, that may be very long. */
	uint64_t down = op->b % 8 == 0 ? (uint64_t)(before.end - before.start)
				       : op->b % ((uint64_t)(before.end - before.start) % 16 + 1);
	uint64_t up = op->c % 8 == 0 ? (uint64_t)(after.end - after.start)
				     : op->c % ((uint64_t)(after.end - after.start) % 16 + 1);
	if (up > 1024 || down > 1024)
		up = down = 1;
	if (up > (uint64_t)(after.end - after.start) ||
	    down > (uint64_t)(before.end - before.start))
		up = down = 0;
	uint64_t length = model_range_length(r);
	switch ((op->b >> 16) % 6) {
	case 0:
		model_iterator_set_start(it, r.start = (model_key)(r.start - down));
		break;
	case 1:
		model_iterator_set_end(it, r.end = (model_key)(r.end + up));
		break;
	case 2:
		r.start = (model_key)(r.start - down);
		r.end = (model_key)(r.end + up);
		model_iterator_set_range(it, r);
		break;
	case 3:
		model_iterator_set_start(it, r.start = (model_key)(r.start + op->c % length));
		break;
	case 4:
		model_iterator_set_end(it, r.end = (model_key)(r.end - op->c % length));
		break;
	default:
		/* Somewhere else in its gap. */
		r.start = (model_key)(before.start + (before.end - before.start) / 2);
		r.end = (model_key)(r.start + (model.segs[i].r.end - r.start) / 2 + 1);
		if (r.end > after.end)
			r = model.segs[i].r;
		model_iterator_set_range(it, r);
		break;
	}
	model.segs[i].r = r;
	expect_segment(it, i);
	if (model.n)
		expect_segment(probe_segment, probe_index);
	expect_gap(probe_gap, probe_index);
}

static void op_set_value(const struct op *op)
{
	if (model.n == 0)
		return;
	size_t i = op->a % model.n;
	struct model_value v = value_of(op->c, model.segs[i].r);
	model_iterator_set_value(nth_segment(i), v);
	model.segs[i].colour = v.colour;
	model.segs[i].offset = v.offset;
}

static void op_find(const struct op *op)
{
	static const uint64_t special[] = {0, 1, 2};
	model_key key =
		op->b % 16 == 0 ? (model_key)(MODEL_LAST_KEY - special[op->c % 3]) : key_of(op->a);
	size_t i = model_find(key);
	bool holds = model_holds(i, key);
	struct model_iterator it;
	struct model_gap_iterator g;
	expect(model_set_find(&set, key, &it, &g) == holds, "find %#lx", (unsigned long)key);
	expect(model_iterator_ok(it) == holds && model_gap_iterator_ok(g) == !holds, "find");
	expect(model_iterator_equal(it, model_set_find_segment(&set, key)), "find_segment");
	expect(model_gap_iterator_equal(g, model_set_find_gap(&set, key)), "find_gap");
	if (holds)
		expect_segment(it, i);
	else
		expect_gap(g, i);
	expect_segment(model_set_lower_bound_segment(&set, key), i);
	it = model_set_upper_bound_segment(&set, key);
	if (holds)
		expect_segment(it, i);
	else if (i > 0)
		expect_segment(it, i - 1);
	else
		expect(!model_iterator_ok(it), "upper_bound_segment");
	expect_gap(model_set_lower_bound_gap(&set, key), holds ? i + 1 : i);
	expect_gap(model_set_upper_bound_gap(&set, key), i);

	struct model_range r = range_of(op->a, op->b);
	model_key span = 0;
	for (size_t j = 0; j < model.n; j++)
		span = (model_key)(span +
				   model_range_length(model_range_intersect(model.segs[j].r, r)));
	expect(model_set_span_range(&set, r) == span, "span_range");
	expect(model_set_is_empty_range(&set, r) == (span == 0), "is_empty_range");
	if (model.n) {
		i = op->c % model.n;
		bool adjacent = model_gap(i).start == model_gap(i).end;
		model_iterator_prev_non_empty(nth_segment(i), &it, &g);
		expect(model_iterator_ok(it) == (adjacent && i > 0), "prev_non_empty");
		expect(model_gap_iterator_ok(g) == !adjacent, "prev_non_empty");
		adjacent = model_gap(i + 1).start == model_gap(i + 1).end;
		model_iterator_next_non_empty(nth_segment(i), &it, &g);
		expect(model_iterator_ok(it) == (adjacent && i + 1 < model.n), "next_non_empty");
		expect(model_gap_iterator_ok(g) == !adjacent, "next_non_empty");
	}
}

#if MODEL_TRACK_GAPS

static void expect_large(struct model_gap_iterator g, size_t from, bool up, model_key size)
{
	for (size_t i = from; i <= model.n; i = up ? i + 1 : i - 1) {
		if (model_range_length(model_gap(i)) >= size) {
			expect_gap(g, i);
			expect(model_gap_iterator_equal(g, nth_gap(i)), "the gap is not the gap");
			return;
		}
	}
	expect(!model_gap_iterator_ok(g), "a large gap where there is none");
}

static void op_large_gap(const struct op *op)
{
	model_key size = op->b % 8 == 0 && model.n
				 ? model_range_length(model_gap(op->c % (model.n + 1)))
				 : (model_key)(op->b % 40);
	size = (model_key)(size + op->c % 2);
	model_key key = key_of(op->a);
	size_t i = model_find(key);
	bool holds = model_holds(i, key);
	expect_large(model_set_first_large_enough_gap(&set, size), 0, true, size);
	expect_large(model_set_last_large_enough_gap(&set, size), model.n, false, size);
	expect_large(model_set_lower_bound_large_enough_gap(&set, key, size), holds ? i + 1 : i,
		     true, size);
	expect_large(model_set_upper_bound_large_enough_gap(&set, key, size), i, false, size);
	i = op->c % (model.n + 1);
	expect_large(model_gap_iterator_next_large_enough_gap(nth_gap(i), size), i + 1, true, size);
	expect_large(model_gap_iterator_prev_large_enough_gap(nth_gap(i), size), i - 1, false,
		     size);
}

#endif

static void op_whole(const struct op *op)
{
	if (op->a % 4)
		return;
	struct model_segment_data_slices slices;
	probe_take(op->c);
	switch (op->b % 4) {
	case 0:
		expect(model_set_export_sorted_slices(&set, &slices) == 0, "export");
		expect(slices.len == model.n, "export: %zu", slices.len);
		expect(model_set_import_sorted_slices(&set, &slices) == (model.n ? -EEXIST : 0),
		       "import into what is not empty");
		model_set_remove_all(&set);
		{
			struct model_gap_iterator g = model_set_first_gap(&set);
			int err = model_set_import_sorted_slices(&set, &slices);
			if (err) {
				expect(err == -ENOMEM, "import: %d", err);
				model.n = 0;
				expect_gap(g, 0);
			}
		}
		model_segment_data_slices_release(&slices);
		break;
	case 1: {
		struct model_set other;
		model_set_init(&other, &counting);
		model_set_move_from(&other, &set);
		expect(model_set_is_empty(&set) && model_set_verify(&set) == 0, "moved from");
		model_set_move_from(&set, &other);
		expect(model_set_is_empty(&other) && model_set_verify(&other) == 0, "moved from");
		model_set_destroy(&other);
		break;
	}
	case 2: {
		char *text = model_set_to_string(&set);
		size_t lines = 0;
		for (const char *p = text; (p = strstr(p, " => ")); p++)
			lines++;
		expect(lines == model.n, "%zu segments in the text", lines);
		memmap_free(text);
		break;
	}
	default:
		if (op->c % 8 == 0) {
			model_set_remove_all(&set);
			model.n = 0;
		}
		break;
	}
}

/* Insertions that were promised must not fail though nothing can be allocated. */
static void op_reserve(const struct op *op)
{
	size_t n = op->a % 40;
	probe_take(op->c);
	unsigned failing = allocations_until_failure;
	int err = model_set_reserve(&set, n);
	if (err) {
		expect(failing, "reserve failed");
		probe_check(err);
		return;
	}
	allocations_until_failure = 0;
	uint64_t x = op->c;
	for (size_t i = 0; i < n; i++) {
		allocations_until_failure = 1;
		x = x * UINT64_C(6364136223846793005) + 1;
		if (x >> 60 == 0 && model.n) {
			struct op removal = {0, x >> 20, x >> 10, 0};
			op_remove(&removal);
		}
		size_t at = (op->b % 3 == 0 ? model.n : (size_t)(x >> 33) % (model.n + 1));
		struct model_range gap = model_gap(at);
		if (gap.start < gap.end) {
			struct model_range r = {gap.start, (model_key)(gap.start + 1)};
			struct model_value v = value_of(x >> 40, r);
			err = model_set_insert_without_merging(&set, nth_gap(at), r, v, NULL);
			expect(err == 0, "a promised insertion failed");
			model_insert_at(at, r, v.colour, v.offset);
		} else if (at < model.n && model_range_length(model.segs[at].r) > 1) {
			model_key split = (model_key)(model.segs[at].r.start + 1);
			splits_until_failure = 0;
			err = model_set_split_at(&set, split);
			expect(err == 1, "a promised split failed");
			model_split_at(at, split);
		}
		allocations_until_failure = 0;
		if (op->b % 5 == 0)
			compare();
	}
}

typedef void op_fn(const struct op *op);
static const struct {
	const char *name;
	op_fn *fn;
	unsigned weight;
} ops[] = {
	{"add", op_add, 30},
	{"remove", op_remove, 8},
	{"remove_range", op_remove_range, 5},
	{"split", op_split, 8},
	{"isolate", op_isolate, 5},
	{"merge", op_merge, 5},
	{"apply_contiguous", op_apply, 4},
	{"visit", op_visit, 3},
	{"mutate", op_mutate, 4},
	{"set_bounds", op_set_bounds, 6},
	{"set_value", op_set_value, 2},
	{"find", op_find, 8},
#if MODEL_TRACK_GAPS
	{"large_gap", op_large_gap, 8},
#endif
	{"whole", op_whole, 1},
	{"reserve", op_reserve, 1},
};
#define NR_OPS (sizeof(ops) / sizeof(ops[0]))

static uint64_t random_state;

static uint64_t random_next(void)
{
	uint64_t z = (random_state += UINT64_C(0x9e3779b97f4a7c15));
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static unsigned random_op(void)
{
	unsigned total = 0;
	for (size_t i = 0; i < NR_OPS; i++)
		total += ops[i].weight;
	unsigned x = (unsigned)(random_next() % total);
	unsigned i = 0;
	while (x >= ops[i].weight)
		x -= ops[i++].weight;
	return i;
}

/* The first of a script: where the keys lie. */
static void begin(const struct op *op)
{
	static const uint64_t spreads[] = {16, 100, 250, 1000, 10000, 100000};
	key_spread = spreads[op->a % 6];
	uint64_t room = (uint64_t)(MODEL_MAX_KEY - MODEL_MIN_KEY);
	if (key_spread > room)
		key_spread = room;
	switch (op->b % 3) {
	case 0:
		key_base = MODEL_MIN_KEY;
		break;
	case 1:
		key_base = (model_key)(MODEL_MAX_KEY - key_spread);
		break;
	default:
		key_base = (model_key)(MODEL_MIN_KEY + (room - key_spread) / 2);
		break;
	}
}

static void play(const struct op *script, size_t n)
{
	begin(&script[0]);
	model.n = 0;
	model_set_init(&set, &counting);
	compare();
	for (current_step = 1; current_step < n; current_step++) {
		const struct op *op = &script[current_step];
		current_op = ops[op->code % NR_OPS].name;
		/* About one operation in four runs out of memory or cannot split, if it tries. */
		allocations_until_failure = op->c >> 40 & 7 ? 0 : 1 + (op->c >> 43 & 3);
		splits_until_failure = op->c >> 50 & 7 ? 0 : 1 + (op->c >> 53 & 1);
		ops[op->code % NR_OPS].fn(op);
		allocations_until_failure = splits_until_failure = 0;
		compare();
		if (model.n > MAX_SEGMENTS - 64) {
			model_set_remove_all(&set);
			model.n = 0;
		}
	}
	current_op = "end";
	model_set_destroy(&set);
	expect(nr_live == 0, "%u values were never cleared", nr_live);
	expect(nr_blocks == 0, "%zu nodes were never freed", nr_blocks);
	nr_tickets = 0;
}

/* Play in a child; did it fail? */
static bool fails(const struct op *script, size_t n, bool quiet)
{
	(void)fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		if (quiet && !freopen("/dev/null", "w", stderr))
			_exit(2);
		play(script, n);
		exit(0);
	}
	int status = 0;
	if (pid < 0 || waitpid(pid, &status, 0) != pid) {
		perror("fork");
		exit(2);
	}
	return status != 0;
}

/* Leave out what the failure does not need. */
static size_t shrink(struct op *script, size_t n)
{
	struct op *attempt = (struct op *)malloc(n * sizeof(*script));
	for (size_t chunk = n / 2; chunk > 0;
	     chunk = chunk > 1 && chunk < 4 ? chunk - 1 : chunk / 2) {
		for (size_t at = 1; at < n;) {
			size_t left_out = n - at < chunk ? n - at : chunk;
			memcpy(attempt, script, at * sizeof(*script));
			memcpy(attempt + at, script + at + left_out,
			       (n - at - left_out) * sizeof(*script));
			if (fails(attempt, n - left_out, true)) {
				n -= left_out;
				memcpy(script, attempt, n * sizeof(*script));
			} else {
				at += left_out;
			}
		}
	}
	free(attempt);
	return n;
}

static void print_script(const struct op *script, size_t n)
{
	(void)fprintf(stderr, "--script \"");
	for (size_t i = 0; i < n; i++)
		(void)fprintf(stderr, "%u %#lx %#lx %#lx; ", script[i].code,
			      (unsigned long)script[i].a, (unsigned long)script[i].b,
			      (unsigned long)script[i].c);
	(void)fprintf(stderr, "\"\n");
}

static int play_text(const char *text)
{
	static struct op script[1 << 16];
	size_t n = 0;
	int length;
	while (sscanf(text, "%u %" SCNx64 " %" SCNx64 " %" SCNx64 ";%n", &script[n].code,
		      &script[n].a, &script[n].b, &script[n].c, &length) == 4) {
		text += length;
		n++;
	}
	play(script, n);
	(void)printf("%zu steps, nothing wrong\n", n);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 2 && strcmp(argv[1], "--script") == 0)
		return play_text(argv[2]);
	const char *seed_text = argc > 1 ? argv[1] : getenv("MEMMAP_SEED");
	uint64_t seed = seed_text ? strtoull(seed_text, NULL, 0) : 42;
	size_t runs = argc > 2 ? strtoul(argv[2], NULL, 0) : 60;
	size_t steps = argc > 3 ? strtoul(argv[3], NULL, 0) : 400;
	struct op *script = (struct op *)malloc((steps + 1) * sizeof(*script));
	for (size_t run = 0; run < runs; run++) {
		random_state = seed + run;
		for (size_t i = 0; i <= steps; i++) {
			script[i].code = random_op();
			script[i].a = random_next();
			script[i].b = random_next();
			script[i].c = random_next();
		}
		if (fails(script, steps + 1, false)) {
			(void)fprintf(stderr, "seed %lu failed; shrinking\n",
				      (unsigned long)(seed + run));
			size_t n = shrink(script, steps + 1);
			(void)fails(script, n, false);
			print_script(script, n);
			return 1;
		}
	}
	(void)printf("seeds %lu to %lu, %zu steps each: nothing wrong\n", (unsigned long)seed,
		     (unsigned long)(seed + runs - 1), steps);
	free(script);
	return 0;
}
