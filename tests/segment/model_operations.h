/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The model test's operations: each does the same to the set and to the model, and checks what the
 * set's functions returned. Included by model_body.h alone.
 */
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
