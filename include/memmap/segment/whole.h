/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whole sets: memory for insertions to come, and copying all segments out and in.
 */

/*
 * No more than this many splits of nodes of one level can come of `n` insertions into it.
 *
 * A node that was split in the middle takes half its capacity before it is full again, so of
 * splitting twice only the nodes there now can be the first. The last node is left full when what
 * is inserted comes at its end, and may so be split once more; the new one takes its whole
 * capacity. A removal that fills a node by merging two brings the other one back.
 */
SEGMENT_PRIVATE size_t SEGMENT_(reserve_splits)(size_t n, size_t nr_nodes, size_t capacity)
{
	size_t splits = nr_nodes + n / (capacity / 2) + 1 + n / capacity;
	return splits < n ? splits : n;
}

SEGMENT_PUBLIC int SEGMENT_(set_reserve)(SEGMENT_SET *s, size_t n)
{
	if (n <= s->promised)
		return 0;
	if (n > SIZE_MAX / sizeof(SEGMENT_LEAF))
		return -ENOMEM; /* more than can be addressed, before asking for all that can */
	const size_t nr_insertions = 2 * n; /* a range may split what crosses either edge of it */
	size_t nr_nodes = s->nr_leaves;
	size_t splits = SEGMENT_(reserve_splits)(nr_insertions, nr_nodes, SEGMENT_LEAF_CAPACITY);
	size_t nr_leaves = splits, nr_inners = 0;
	if (nr_nodes == 0)
		nr_leaves++; /* the first one comes of no split */
	if (s->height == 0 &&
	    (s->edge.parent ? s->edge.parent->count : 0) + nr_insertions <= SEGMENT_LEAF_CAPACITY) {
		nr_leaves -= splits;
		splits = 0;
	}
	for (unsigned level = 1; level <= s->height; level++) {
		/*
		 * The most that there can be, each holding its least but the one at the right edge.
		 */
		nr_nodes = level == s->height ? 1 : nr_nodes / SEGMENT_INNER_MIN + 1;
		splits = SEGMENT_(reserve_splits)(splits, nr_nodes, SEGMENT_INNER_CAPACITY);
		nr_inners += splits;
	}
	/* What a root and its splits come to needs a new root, and so on. */
	for (nr_nodes = splits + 1; nr_nodes > 1;) {
		size_t above = 1;
		if (nr_nodes > SEGMENT_INNER_CAPACITY)
			above += 1 + nr_nodes / (SEGMENT_INNER_CAPACITY / 2);
		nr_inners += above;
		nr_nodes = above;
	}
	int err = SEGMENT_(tree_stock)(s, nr_leaves, nr_inners);
	if (!err)
		s->promised = n;
	return err;
}

SEGMENT_PRIVATE int SEGMENT_(value_duplicate)(const SEGMENT_VALUE_TYPE *in, SEGMENT_VALUE_TYPE *out)
{
#ifdef SEGMENT_DUP_VALUE
	return SEGMENT_DUP_VALUE(in, out);
#else
	*out = *in;
	return 0;
#endif
}

SEGMENT_PUBLIC void SEGMENT_(segment_data_slices_release)(SEGMENT_SLICES *slices)
{
	for (size_t i = 0; i < slices->len; i++)
		SEGMENT_(value_clear)(&slices->values[i]);
	memmap_deallocate(NULL, slices->start, slices->len * sizeof(SEGMENT_KEY));
	memmap_deallocate(NULL, slices->end, slices->len * sizeof(SEGMENT_KEY));
	memmap_deallocate(NULL, slices->values, slices->len * sizeof(SEGMENT_VALUE_TYPE));
	memset((void *)slices, 0, sizeof(*slices));
}

SEGMENT_PUBLIC int SEGMENT_(set_export_sorted_slices)(const SEGMENT_SET *s, SEGMENT_SLICES *out)
{
	size_t n = 0;
	for (const SEGMENT_NODE *leaf = s->edge.next; leaf; leaf = leaf->next)
		n += leaf->count;
	SEGMENT_SLICES slices;
	memset((void *)&slices, 0, sizeof(slices));
	int err = 0;
	if (n > 0) {
		const size_t alignment = __alignof__(max_align_t);
		slices.start =
			(SEGMENT_KEY *)memmap_allocate(NULL, n * sizeof(SEGMENT_KEY), alignment);
		slices.end =
			(SEGMENT_KEY *)memmap_allocate(NULL, n * sizeof(SEGMENT_KEY), alignment);
		slices.values = (SEGMENT_VALUE_TYPE *)memmap_allocate(
			NULL, n * sizeof(SEGMENT_VALUE_TYPE), alignment);
		if (!slices.start || !slices.end || !slices.values)
			err = -ENOMEM;
	}
	SEGMENT_ITERATOR seg = SEGMENT_(set_first_segment)(s);
	for (; seg.node && !err; seg = SEGMENT_(iterator_next_segment)(seg)) {
		slices.start[slices.len] = SEGMENT_(iterator_start)(seg);
		slices.end[slices.len] = SEGMENT_(iterator_end)(seg);
		err = SEGMENT_(value_duplicate)(SEGMENT_(iterator_value_ptr)(seg),
						&slices.values[slices.len]);
		if (!err)
			slices.len++;
	}
	if (err)
		SEGMENT_(segment_data_slices_release)(&slices);
	else
		*out = slices;
	return err;
}

SEGMENT_PUBLIC int SEGMENT_(set_import_sorted_slices)(SEGMENT_SET *s, const SEGMENT_SLICES *slices)
{
	if (!SEGMENT_(set_is_empty)(s))
		return -EEXIST;
	SEGMENT_KEY end = SEGMENT_(key_min)();
	for (size_t i = 0; i < slices->len; i++) {
		if (slices->start[i] < end || slices->start[i] >= slices->end[i] ||
		    slices->end[i] > SEGMENT_(key_max)())
			return -EINVAL;
		end = slices->end[i];
	}
	/* What a promise keeps must be there again when this fails: it all comes back. */
	int err = 0;
	for (size_t i = 0; i < slices->len && !err; i++) {
		SEGMENT_VALUE_TYPE value;
		SEGMENT_GAP_ITERATOR gap = SEGMENT_(set_last_gap)(s);
		err = SEGMENT_(tree_prepare)(s, gap.node, gap.index);
		if (!err)
			err = SEGMENT_(value_duplicate)(&slices->values[i], &value);
		if (!err)
			(void)SEGMENT_(tree_insert)(
				s, gap.node, gap.index,
				SEGMENT_(key_range)(slices->start[i], slices->end[i]), value);
	}
	if (err)
		SEGMENT_(set_remove_all)(s);
	SEGMENT_(tree_inserted)(s, err ? 0 : slices->len);
	return err;
}
