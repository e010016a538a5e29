/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Out of memory: each operation that allocates is tried with its first allocation failing, then
 * with its second, and so on until it succeeds. After each failure the set must be what it was,
 * down to its iterators, and nothing may have leaked. The values are allocated too, so that this
 * fails splits of values as well as nodes.
 *
 * And what set_reserve() promises: insertions by an adversary who always picks the fullest nodes.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "segment/letters.h"

#define NR_SEGMENTS 36 /* the root and all below it are full: one more makes the tree deeper */

static struct letters_set s;

static struct letters_iterator at(uint64_t key)
{
	return letters_set_find_segment(&s, key);
}

/* Segments of 10 keys every `step` keys; those at the keys given to the callbacks below are 'x'. */
static void make_full(uint64_t step)
{
	letters_set_init(&s, &failing);
	for (uint64_t i = 0; i < NR_SEGMENTS; i++)
		assert_int_equal(letters_set_add(&s, range(step * i, step * i + 10),
						 letter_make((char)('a' + i % 3))),
				 0);
	assert_int_equal(s.height, 1);
}

/* ---- Operations, each returning what it returned; values that were not taken are cleared ---- */

static int insert_with(int (*insert)(struct letters_set *, struct memmap_addr_range, letter),
		       uint64_t start, uint64_t end)
{
	letter v = letter_make('z');
	if (!v)
		return -ENOMEM;
	int err = insert(&s, range(start, end), v);
	if (err)
		letter_clear(&v);
	return err;
}

static int add(void)
{
	return insert_with(letters_set_add, 132, 138);
}

static int add_first(void)
{
	return insert_with(letters_set_add_without_merging, 10, 12);
}

static int add_last(void)
{
	return insert_with(letters_set_add, 900, 950);
}

static int insert_into_gap(void)
{
	letter v = letter_make('z');
	if (!v)
		return -ENOMEM;
	struct letters_iterator out = {0};
	int err = letters_set_insert(&s, letters_set_find_gap(&s, 215), range(212, 217), v, &out);
	assert_int_equal(letters_iterator_ok(out), err == 0);
	if (err)
		letter_clear(&v);
	return err;
}

static int try_insert_range(void)
{
	letter v = letter_make('z');
	if (!v)
		return -ENOMEM;
	int err = letters_set_try_insert_range(&s, range(212, 217), v, NULL);
	if (err)
		letter_clear(&v);
	return err;
}

static int split(void)
{
	return letters_set_split(&s, at(200), 205, NULL, NULL);
}

static int split_at(void)
{
	int err = letters_set_split_at(&s, 5);
	return err < 0 ? err : 0;
}

static int split_before(void)
{
	return letters_set_split_before(&s, at(700), 701, NULL);
}

static int split_after(void)
{
	return letters_set_split_after(&s, at(700), 709, NULL);
}

static int isolate(void)
{
	struct letters_iterator out = {0};
	int err = letters_set_isolate(&s, at(200), range(203, 207), &out);
	assert_int_equal(letters_iterator_ok(out), err == 0);
	return err;
}

static int isolate_one_edge(void)
{
	return letters_set_isolate(&s, at(200), range(203, 400), NULL);
}

static int remove_range_inside(void)
{
	return letters_set_remove_range(&s, range(403, 407), NULL);
}

static int remove_range_over(void)
{
	return letters_set_remove_range(&s, range(105, 485), NULL);
}

static int remove_full_range(void)
{
	return letters_set_remove_full_range(&s, range(105, 235), NULL);
}

static int calls;

static void apply_fn(struct letters_iterator seg, void *arg)
{
	(void)arg;
	calls++;
	**letters_iterator_value_ptr(seg) = 'x';
}

static bool mutate_fn(struct letters_iterator seg, void *arg)
{
	apply_fn(seg, arg);
	return true;
}

static int apply_contiguous(void)
{
	calls = 0;
	int err = letters_set_apply_contiguous(&s, range(105, 235), apply_fn, NULL, NULL);
	assert_true(err == 0 || calls == 0);
	return err;
}

static int apply_inside_one(void)
{
	calls = 0;
	int err = letters_set_apply_contiguous(&s, range(203, 207), apply_fn, NULL, NULL);
	assert_true(err == 0 || calls == 0);
	return err;
}

static int mutate_range(void)
{
	calls = 0;
	int err = letters_set_mutate_range(&s, range(105, 485), mutate_fn, NULL);
	assert_true(err == 0 || calls == 0);
	return err;
}

static int mutate_full_range(void)
{
	calls = 0;
	int err = letters_set_mutate_full_range(&s, range(105, 235), mutate_fn, NULL);
	assert_true(err == 0 || calls == 0);
	return err;
}

static int reserve(void)
{
	return letters_set_reserve(&s, 20);
}

/* Into an empty set. */
static struct letters_segment_data_slices slices;

static int import_slices(void)
{
	return letters_set_import_sorted_slices(&s, &slices);
}

static int export_slices(void)
{
	struct letters_segment_data_slices out;
	memset((void *)&out, 0x5a, sizeof(out));
	struct letters_segment_data_slices untouched = out;
	int err = letters_set_export_sorted_slices(&s, &out);
	if (err)
		assert_memory_equal(&out, &untouched, sizeof(out));
	else
		letters_segment_data_slices_release(&out);
	return err;
}

/* ---- Trying ---- */

struct places {
	struct letters_iterator segs[NR_SEGMENTS];
	struct letters_gap_iterator gaps[NR_SEGMENTS + 1];
	letter values[NR_SEGMENTS];
	size_t n;
};

static struct places places_of(void)
{
	struct places p;
	p.n = 0;
	struct letters_iterator it = letters_set_first_segment(&s);
	p.gaps[0] = letters_set_first_gap(&s);
	for (; letters_iterator_ok(it); it = letters_iterator_next_segment(it)) {
		p.segs[p.n] = it;
		p.values[p.n] = letters_iterator_value(it);
		p.gaps[++p.n] = letters_iterator_next_gap(it);
	}
	return p;
}

/* Try `op` with each allocation failing; returns how many it makes. */
static long try_each(const char *name, int (*op)(void), void (*make)(uint64_t), uint64_t step)
{
	for (long n = 1;; n++) {
		make(step);
		char before[1 << 14];
		strcpy(before, letters_show(&s));
		struct places places = places_of();
		long blocks = blocks_live;

		requests_made = 0;
		request_that_fails = n;
		int err = op();
		request_that_fails = 0;
		if (err == 0) {
			assert_int_equal(letters_set_verify(&s), 0);
			assert_true(requests_made < n);
			letters_set_destroy(&s);
			return n - 1;
		}
		if (err != -ENOMEM)
			fail_msg("%s, allocation %ld: error %d", name, n, err);
		assert_int_equal(blocks_live, blocks);
		assert_letters(&s, before);
		struct places now = places_of();
		assert_int_equal(now.n, places.n);
		for (size_t i = 0; i < now.n; i++) {
			assert_true(letters_iterator_equal(now.segs[i], places.segs[i]));
			assert_ptr_equal(now.values[i], places.values[i]);
		}
		for (size_t i = 0; i <= now.n; i++)
			assert_true(letters_gap_iterator_equal(now.gaps[i], places.gaps[i]));
		letters_set_destroy(&s);
	}
}

static void make_nothing(uint64_t step)
{
	(void)step;
	letters_set_init(&s, &failing);
}

static void each_allocation_fails_once(void **state)
{
	(void)state;
#define OP(name) #name, name
	static const struct {
		const char *name;
		int (*op)(void);
		uint64_t step;
		long at_least; /* allocations that it makes, so that something was tried */
	} ops[] = {
		{OP(add), 20, 4},
		{OP(add_first), 20, 4},
		{OP(add_last), 20, 4},
		{OP(insert_into_gap), 20, 4},
		{OP(try_insert_range), 20, 4},
		{OP(split), 20, 4},
		{OP(split_at), 20, 4},
		{OP(split_before), 20, 4},
		{OP(split_after), 20, 4},
		{OP(isolate), 20, 5},
		{OP(isolate_one_edge), 20, 4},
		{OP(remove_range_inside), 20, 5},
		{OP(remove_range_over), 20, 5},
		{OP(remove_full_range), 10, 5},
		{OP(apply_contiguous), 10, 5},
		{OP(apply_inside_one), 20, 5},
		{OP(mutate_range), 20, 5},
		{OP(mutate_full_range), 10, 5},
		{OP(reserve), 20, 10},
	};
	long blocks = blocks_live;
	for (size_t i = 0; i < sizeof(ops) / sizeof(ops[0]); i++) {
		long n = try_each(ops[i].name, ops[i].op, make_full, ops[i].step);
		if (n < ops[i].at_least)
			fail_msg("%s made only %ld allocations", ops[i].name, n);
		assert_int_equal(blocks_live, blocks);
	}
}

static void import_and_export_fail(void **state)
{
	(void)state;
	make_full(20);
	assert_int_equal(letters_set_export_sorted_slices(&s, &slices), 0);
	letters_set_destroy(&s);
	/* Values, 6 leaves and a root. */
	assert_int_equal(try_each(OP(import_slices), make_nothing, 0), NR_SEGMENTS + 7);
	letters_segment_data_slices_release(&slices);
	assert_int_equal(try_each(OP(export_slices), make_full, 20), NR_SEGMENTS);
	assert_int_equal(blocks_live, 0);
}

/* A value that refuses to be split: the error is passed on, and the other one is whole again. */
static void a_value_refuses_to_split(void **state)
{
	(void)state;
	static const struct {
		const char *before;
		struct memmap_addr_range r;
	} cases[] = {
		{"10-20! 30-40b", {15, 35}}, {"10-20a 30-40!", {15, 35}}, {"10-20!", {12, 18}},
		{"10-20a 20-30!", {15, 25}}, {"10-20! 20-30b", {15, 25}},
	};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct memmap_addr_range r = cases[i].r;
		letters_make(&s, cases[i].before);
		calls = 0;
		assert_int_equal(letters_set_remove_range(&s, r, NULL), -EDOM);
		assert_int_equal(letters_set_mutate_range(&s, r, mutate_fn, NULL), -EDOM);
		if (letters_set_span_range(&s, r) == r.end - r.start) {
			assert_int_equal(letters_set_remove_full_range(&s, r, NULL), -EDOM);
			assert_int_equal(letters_set_mutate_full_range(&s, r, mutate_fn, NULL),
					 -EDOM);
			assert_int_equal(letters_set_apply_contiguous(&s, r, apply_fn, NULL, NULL),
					 -EDOM);
		}
		assert_int_equal(calls, 0);
		assert_letters(&s, cases[i].before);
		letters_done(&s);
	}
	letters_make(&s, "10-20!");
	assert_int_equal(letters_set_split(&s, at(10), 15, NULL, NULL), -EDOM);
	assert_int_equal(letters_set_split_at(&s, 15), -EDOM);
	assert_int_equal(letters_set_split_before(&s, at(10), 15, NULL), -EDOM);
	assert_int_equal(letters_set_split_after(&s, at(10), 15, NULL), -EDOM);
	assert_int_equal(letters_set_isolate(&s, at(10), range(12, 18), NULL), -EDOM);
	assert_letters(&s, "10-20!");
	letters_done(&s);
}

/* ---- Promises ---- */

/* How many nodes an insertion into `leaf` would take: what the adversary wants most of. */
static unsigned fullness(const struct letters_node *leaf)
{
	if (leaf->count < 2 * LETTERS_DEGREE)
		return 0;
	unsigned n = 1;
	for (leaf = leaf->parent; leaf && leaf->count == 2 * LETTERS_DEGREE; leaf = leaf->parent)
		n++;
	return n;
}

/* Insert one key where that takes the most nodes; the allocator fails. */
static void insert_where_it_hurts(bool at_end)
{
	struct letters_iterator best = {0};
	unsigned most = 0;
	struct letters_iterator it = letters_set_first_segment(&s);
	for (; letters_iterator_ok(it); it = letters_iterator_next_segment(it)) {
		struct letters_gap_iterator gap = letters_iterator_next_gap(it);
		if (letters_gap_iterator_is_empty(gap) || (at_end && gap.node->next))
			continue;
		unsigned n = fullness(it.node);
		if (!letters_iterator_ok(best) || n > most) {
			best = it;
			most = n;
		}
	}
	struct letters_gap_iterator gap = letters_iterator_ok(best)
						  ? letters_iterator_next_gap(best)
						  : letters_set_last_gap(&s);
	uint64_t start = letters_gap_iterator_start(gap);
	letter v = letter_make('A');
	requests_made = 0;
	request_that_fails = 1;
	int err = letters_set_insert_without_merging(&s, gap, range(start, start + 1), v, NULL);
	request_that_fails = 0;
	assert_int_equal(err, 0);
	assert_int_equal(requests_made, 0);
}

static void promises_are_kept(void **state)
{
	(void)state;
	for (uint64_t nr_before = 0; nr_before <= 300; nr_before = nr_before * 5 / 4 + 1) {
		for (size_t n = 1; n <= 64; n = n * 3 / 2 + 1) {
			for (int way = 0; way < 4; way++) {
				letters_set_init(&s, &failing);
				for (uint64_t i = 0; i < nr_before; i++)
					assert_int_equal(letters_set_add(&s,
									 range(3 * i, 3 * i + 1),
									 letter_make('A')),
							 0);
				assert_int_equal(letters_set_reserve(&s, n), 0);
				for (size_t i = 0; i < n; i++) {
					insert_where_it_hurts(way == 1 || (way == 2 && i % 2));
					/* Removals make merged, so full nodes. */
					if (way == 3 && i % 2)
						letters_set_remove(&s,
								   letters_set_last_segment(&s));
					if (way == 3 && i % 3 && !letters_set_is_empty(&s))
						letters_set_remove(&s,
								   letters_set_first_segment(&s));
				}
				assert_int_equal(letters_set_verify(&s), 0);
				/* The promise is spent, and its memory returned. */
				assert_int_equal(s.nr_spare_leaves + s.nr_spare_inners, 0);
				letters_done(&s);
			}
		}
	}
}

static void a_promise_survives_a_failed_one_and_emptying(void **state)
{
	(void)state;
	letters_set_init(&s, &failing);
	assert_int_equal(letters_set_reserve(&s, 10), 0);
	requests_made = 0;
	request_that_fails = 2;
	assert_int_equal(letters_set_reserve(&s, 1000), -ENOMEM);
	request_that_fails = 0;
	for (int i = 0; i < 5; i++)
		insert_where_it_hurts(false);
	letters_set_remove_all(&s);
	for (int i = 0; i < 5; i++)
		insert_where_it_hurts(false);
	assert_int_equal(s.promised, 0);
	assert_int_equal(letters_set_verify(&s), 0);
	letters_done(&s);
	/* It moves with the set. */
	struct letters_set other;
	letters_set_init(&other, &failing);
	assert_int_equal(letters_set_reserve(&other, 10), 0);
	letters_set_move_from(&s, &other);
	assert_int_equal(letters_set_verify(&other), 0);
	for (int i = 0; i < 10; i++)
		insert_where_it_hurts(false);
	assert_int_equal(letters_set_verify(&s), 0);
	letters_done(&s);
	assert_int_equal(letters_set_reserve(&s, 10), 0);
	assert_true(blocks_live > 0);
	letters_done(&s); /* destroying gives the memory back */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_allocation_fails_once),
		cmocka_unit_test(import_and_export_fail),
		cmocka_unit_test(a_value_refuses_to_split),
		cmocka_unit_test(promises_are_kept),
		cmocka_unit_test(a_promise_survives_a_failed_one_and_emptying),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
