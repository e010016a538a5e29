/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The verifier of mapping sets finds what is wrong: each thing that it looks for is made wrong, told
 * with its words, and made right again. And what is behind the public functions: contracts, and
 * requests that no memory could satisfy.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "memmap/failing_allocator.h"
#include "memmap/mapping_set_internal.h"
#include "panic.h"

static struct memmap_mapping_space a, b;
static struct memmap_mapping_set set;
static struct failing_allocator memory;

static void add(struct memmap_mapping_space *ms, uint64_t addr, uint64_t offset, uint64_t length)
{
	assert_int_equal(memmap_mapping_set_add_mapping(
				 &set, ms, (struct memmap_addr_range){addr, addr + length}, offset,
				 false, NULL),
			 0);
}

/*
 * Three pieces of a, alike but for their place, and one of b that covers the first, by itself:
 *
 *	0x1000  a b     0x3000  a     0x5000  a
 */
static int setup(void **state)
{
	(void)state;
	failing_allocator_init(&memory, SIZE_MAX);
	memmap_mapping_set_init(&set, &memory.allocator);
	add(&a, 0x11000, 0x1000, 0x1000);
	add(&a, 0x13000, 0x3000, 0x1000);
	add(&a, 0x15000, 0x5000, 0x1000);
	add(&b, 0x70000, 0x1000, 0x1000);
	assert_int_equal(memmap_mapping_set_verify(&set), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	memmap_mapping_set_destroy(&set);
	assert_int_equal(memory.nr_live, 0);
	return 0;
}

static void assert_verify_says(const char *words)
{
	char said[512] = "";
	FILE *saved = stderr, *text = fmemopen(said, sizeof(said) - 1, "w");
	assert_non_null(text);
	stderr = text;
	int err = memmap_mapping_set_verify(&set);
	stderr = saved;
	(void)fclose(text);
	assert_int_equal(err, -EINVAL);
	if (!strstr(said, words))
		fail_msg("expected '%s', it said '%s'", words, said);
}

/* With `place` holding `wrong`, the verifier complains in these words; then it is put back. */
#define assert_found(words, place, wrong)                                                          \
	do {                                                                                       \
		__typeof__(place) right_ = place;                                                  \
		place = wrong;                                                                     \
		assert_verify_says(words);                                                         \
		place = right_;                                                                    \
		assert_int_equal(memmap_mapping_set_verify(&set), 0);                              \
	} while (0)

static struct mapping_piece *piece_of_a(uint64_t offset)
{
	const struct mapping_key key = {&a, 0x10000, false};
	struct mapping_piece *piece = mapping_index_find(set.index, &key, offset);
	assert_non_null(piece);
	assert_int_equal(piece->extent->start, offset);
	return piece;
}

static void test_trees(void **state)
{
	(void)state;
	struct balanced_node *root = set.index->extents;
	assert_non_null(root->left);
	assert_non_null(root->right);
	assert_found("a node's parent is another", root->left->parent, root->right);
	assert_found("a node's parent is another", root->right->parent, NULL);
	assert_found("a height is wrong", root->height, 3);
	assert_found("a height is wrong", root->left->height, 2);
	/* Without its other side, what is left of a tree of three levels is out of balance. */
	add(&b, 0x90000, 0x7000, 0x1000);
	root = set.index->extents;
	if (root->left->height > root->right->height)
		assert_found("a tree is out of balance", root->right, NULL);
	else
		assert_found("a tree is out of balance", root->left, NULL);
	/* Trees of keys are verified, too. */
	const struct mapping_piece *last = piece_of_a(0x5000);
	assert_found("a height is wrong", piece_of_a(0x1000)->node.height, 7);
	assert_found("a height is wrong", ((struct mapping_piece *)last)->node.height, 7);
}

static void test_extents(void **state)
{
	(void)state;
	struct mapping_extent *first = piece_of_a(0x1000)->extent;
	struct mapping_extent *second = piece_of_a(0x3000)->extent;
	assert_found("an extent is empty", first->start, first->end);
	assert_found("extents are out of order", second->start, 0x800);
	assert_found("reach is wrong", second->max_end, 0x9000);
	assert_found("muted", first->muted, true);
	assert_found("miscounted", first->nr_pieces, 3);
	assert_found("miscounted", set.index->nr_pieces, 5);
}

/* Two that begin together are in the order of their ends. */
static void test_extents_that_begin_together(void **state)
{
	(void)state;
	memmap_mapping_set_remove_all(&set);
	add(&a, 0x11000, 0x1000, 0x1000);
	add(&b, 0x71000, 0x1000, 0x2000);
	struct mapping_extent *shorter = piece_of_a(0x1000)->extent;
	assert_int_equal(shorter->end, 0x2000);
	assert_found("extents are out of order", shorter->end, 0x3000);
}

static void test_pieces(void **state)
{
	(void)state;
	struct mapping_piece *first = piece_of_a(0x1000);
	struct mapping_piece *second = piece_of_a(0x3000);
	struct mapping_piece *third = piece_of_a(0x5000);
	assert_int_equal(first->extent->nr_pieces, 2);
	assert_found("another extent's list", second->extent, third->extent);
	assert_found("another extent's list", second->prev, third);
	assert_found("miscounted", first->extent->pieces, NULL);

	assert_found("another key's tree", first->key.writable, true);
	assert_found("another key's tree", third->key.space, &b);
	/* As if two runs of one key had not been joined. */
	assert_found("overlap or touch", third->extent->start, 0x4000);
}

static void test_buckets(void **state)
{
	(void)state;
	struct memmap_mapping_index *index = set.index;
	/* All of them exchanged: none is where its hash says. */
	assert_true(index->nr_buckets >= 2);
	for (size_t i = 0; i < index->nr_buckets; i++) {
		if (!index->buckets[i].root)
			continue;
		struct mapping_bucket *other = &index->buckets[i ^ 1];
		struct mapping_bucket saved = *other;
		*other = index->buckets[i];
		index->buckets[i] = saved;
		assert_verify_says("a key is in the wrong bucket");
		index->buckets[i] = *other;
		*other = saved;
		assert_int_equal(memmap_mapping_set_verify(&set), 0);
		assert_found("pieces are miscounted", index->buckets[i].root, NULL);
	}
}

static struct memmap_mappings_view *view_at(uint64_t offset)
{
	segment_iterator seg = memmap_mapped_set_find_segment(&set.segments, offset);
	assert_true(memmap_mapped_iterator_ok(seg));
	return &memmap_mapped_iterator_value_ptr(seg)->in.view;
}

static void test_views(void **state)
{
	(void)state;
	assert_int_equal(view_at(0x1000)->nr_begins, 2);
	assert_found("no view of the segment", view_at(0x3000)->of.start, 0x2000);
	assert_found("no view of the segment", view_at(0x3000)->of.end, 0x3800);
	assert_found("no view of the segment", view_at(0x3000)->keeps, true);
	assert_found("miscounts the edges", view_at(0x3000)->nr_begins, 0);
	assert_found("miscounts the edges", view_at(0x3000)->nr_ends, 2);
}

/* A view whose mappings become its own tells the index, which then agrees no longer. */
static void test_own_mappings(void **state)
{
	(void)state;
	segment_iterator seg = memmap_mapped_set_find_segment(&set.segments, 0x3000);
	assert_false(set.index->unsettled);
	assert_int_equal(mappings_own(memmap_mapped_iterator_value_ptr(seg), 0), 0);
	assert_true(set.index->unsettled);
	assert_int_equal(memmap_mapping_set_verify(&set), 0);
	add(&b, 0x90000, 0x3000, 0x1000);
	assert_false(set.index->unsettled);
	assert_int_equal(memmap_mapping_set_verify(&set), 0);
}

/*
 * Segments that went or moved without the index: raw operations on the segments inside, which only
 * the set itself may use.
 */
static void test_segments_behind_the_index(void **state)
{
	(void)state;
	struct memmap_mapped_set *segments = &set.segments;
	segment_iterator seg;

	/* A segment longer than its mappings, its view grown with it. */
	seg = memmap_mapped_set_find_segment(segments, 0x3000);
	memmap_mapped_iterator_set_end_unchecked(seg, 0x4800);
	view_at(0x3000)->of.end = 0x4800;
	assert_verify_says("a mapping ends inside the segment");
	view_at(0x3000)->of.end = 0x4000;
	memmap_mapped_iterator_set_end_unchecked(seg, 0x4000);
	assert_int_equal(memmap_mapping_set_verify(&set), 0);

	/* One where nothing is mapped. */
	struct memmap_mappable_range r = {0x8000, 0x9000};
	assert_int_equal(memmap_mapped_set_add(segments, r, mappings_view(set.index, r)), 0);
	assert_verify_says("the segment has no mappings");
	(void)memmap_mapped_set_remove(segments, memmap_mapped_set_find_segment(segments, 0x8000));
	assert_int_equal(memmap_mapping_set_verify(&set), 0);

	/* A segment in two at a place where no mapping ends is well; without one half it is not. */
	assert_int_equal(memmap_mapping_set_split_at(&set, 0x3800), 1);
	assert_int_equal(memmap_mapping_set_verify(&set), 0);
	(void)memmap_mapped_set_remove(segments, memmap_mapped_set_find_segment(segments, 0x3000));
	assert_verify_says("something maps a gap");
	(void)memmap_mapped_set_remove(segments, memmap_mapped_set_find_segment(segments, 0x3800));
	(void)memmap_mapped_set_remove(segments, memmap_mapped_set_find_segment(segments, 0x5000));
	assert_verify_says("something maps a gap");

	/* A mapping that begins and ends inside of a segment which another covers. */
	memmap_mapping_set_remove_all(&set);
	add(&a, 0x11000, 0x1000, 0x4000);
	const struct mapping_key key = {&b, 0, false};
	r = (struct memmap_mappable_range){0x2000, 0x3000};
	assert_int_equal(mapping_index_reserve(set.index), 0);
	mapping_index_add(set.index, &key, r, NULL, NULL);
	assert_verify_says("a mapping has an edge inside a segment");
	assert_int_equal(mapping_index_reserve(set.index), 0);
	mapping_index_cut(set.index, &key, r, NULL, NULL);
	assert_int_equal(memmap_mapping_set_verify(&set), 0);
}

/*
 * Settling cuts what the index has behind the last segment; that may need memory. Here segments are
 * taken out as views, so that the index keeps their mappings, and the set goes on with a copy of the
 * index, with little memory in hand, which cutting the first hole uses up:
 *
 *	page        1   2   3   4   5   6   7
 *	a           |===================|
 *	c and d             |===============|
 *	e                           |===|
 *	segments    |---|   |---|
 */
static void test_settling_the_end_out_of_memory(void **state)
{
	(void)state;
	static struct memmap_mapping_space c, d, e;
	static const uint64_t holes[] = {0x2000, 0x4000, 0x5000, 0x6000};
	int err = -ENOMEM;
	size_t nr_failed = 0;
	for (size_t budget = 0; err; budget++) {
		memmap_mapping_set_destroy(&set);
		memmap_mapping_set_init(&set, &memory.allocator);
		add(&a, 0x11000, 0x1000, 0x5000);
		add(&c, 0x23000, 0x3000, 0x4000);
		add(&d, 0x33000, 0x3000, 0x4000);
		add(&e, 0x45000, 0x5000, 0x1000);
		assert_int_equal(memmap_mapping_set_split_at(&set, 0x2000), 1);
		assert_int_equal(memmap_mapping_set_split_at(&set, 0x4000), 1);
		struct memmap_mappings_of_range taken[4];
		memory.budget = 0;
		for (size_t i = 0; i < 4; i++)
			(void)memmap_mapping_set_take(
				&set, memmap_mapping_set_find_segment(&set, holes[i]), &taken[i]);
		memory.budget = budget;
		err = memmap_mapping_set_add_mapping(&set, &b,
						     (struct memmap_addr_range){0x70000, 0x71000},
						     0x1000, false, NULL);
		memory.budget = SIZE_MAX;
		for (size_t i = 0; i < 4; i++)
			memmap_mappings_of_range_clear(&taken[i]);
		if (err) {
			assert_int_equal(err, -ENOMEM);
			nr_failed++;
		}
		assert_int_equal(memmap_mapping_set_span(&set), 0x2000);
		assert_int_equal(
			memmap_mapping_iterator_nr_mappings(memmap_mapping_set_first_segment(&set)),
			err ? 1 : 2);
		assert_int_equal(
			memmap_mapping_iterator_nr_mappings(memmap_mapping_set_last_segment(&set)),
			3);
		assert_int_equal(memmap_mapping_set_verify(&set), 0);
		assert_true(budget < 100);
	}
	assert_true(nr_failed > 0);
}

static void test_more_than_there_can_be(void **state)
{
	(void)state;
	struct memmap_mappings_of_range v = {0};
	/* Their table would be larger than the address space. */
	for (size_t more = (size_t)1 << 57; more != 0; more <<= 1)
		assert_int_equal(mappings_own(&v, more), -ENOMEM);
	assert_int_equal(memmap_mappings_of_range_count(&v), 0);
	memmap_mappings_of_range_clear(&v);
}

static void test_contracts(void **state)
{
	(void)state;
	const struct memmap_mappable_range whole = {0x1000, 0x3000}, more = {0x1000, 0x4000};
	const struct memmap_mapping_of_range m = mapping_of_subset(
		whole, (struct memmap_mappable_range){0x2000, 0x3000}, &a, 0x70000, false);
	assert_int_equal(m.addr_range.start, 0x71000);
	assert_int_equal(m.addr_range.end, 0x72000);
	assert_panics("[0x1000, 0x3000) is not a superset of [0x1000, 0x4000)",
		      (void)mapping_of_subset(whole, more, &a, 0x70000, false));
}

int main(void)
{
#define test(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		test(test_trees),
		test(test_extents),
		test(test_extents_that_begin_together),
		test(test_pieces),
		test(test_buckets),
		test(test_views),
		test(test_own_mappings),
		test(test_segments_behind_the_index),
		test(test_settling_the_end_out_of_memory),
		test(test_more_than_there_can_be),
		test(test_contracts),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
