/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model test's set and model: values and their ledger, an allocator that counts and fails, the
 * set made from the template, the sorted array that is its model, and comparing the two. Included
 * by model_body.h alone.
 */
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
