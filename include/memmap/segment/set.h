/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The set: finding, inserting, removing, merging and splitting single segments.
 */

SEGMENT_PUBLIC void SEGMENT_(set_init)(SEGMENT_SET *s, const struct memmap_allocator *allocator)
{
	memset((void *)s, 0, sizeof(*s));
	s->allocator = allocator;
}

SEGMENT_PUBLIC void SEGMENT_(set_remove_all)(SEGMENT_SET *s)
{
	SEGMENT_(tree_free_inners)(s, s->edge.parent, s->height);
	for (SEGMENT_NODE *leaf = s->edge.next, *next; leaf; leaf = next) {
		next = leaf->next;
		for (size_t i = 0; i < leaf->count; i++)
			SEGMENT_(value_clear)(&SEGMENT_(node_leaf)(leaf)->values[i]);
		SEGMENT_(tree_give_leaf)(s, leaf);
	}
	s->edge.parent = s->edge.prev = s->edge.next = NULL;
	s->height = 0;
}

SEGMENT_PUBLIC void SEGMENT_(set_destroy)(SEGMENT_SET *s)
{
	s->promised = 0;
	SEGMENT_(set_remove_all)(s);
	SEGMENT_(tree_trim)(s);
}

SEGMENT_PUBLIC void SEGMENT_(set_move_from)(SEGMENT_SET *s, SEGMENT_SET *s2)
{
	if (s == s2)
		return;
	SEGMENT_(set_destroy)(s);
	*s = *s2;
	SEGMENT_(set_init)(s2, s->allocator);
}

/* ---- Finding ---- */

SEGMENT_PUBLIC bool SEGMENT_(set_is_empty)(const SEGMENT_SET *s)
{
	return !s->edge.parent;
}

SEGMENT_PUBLIC SEGMENT_ITERATOR SEGMENT_(set_first_segment)(const SEGMENT_SET *s)
{
	return SEGMENT_(iterator_at)(s->edge.next, 0);
}

SEGMENT_PUBLIC SEGMENT_ITERATOR SEGMENT_(set_last_segment)(const SEGMENT_SET *s)
{
	const SEGMENT_NODE *last = s->edge.prev;
	return SEGMENT_(iterator_at)(last, last ? last->count - 1 : 0);
}

SEGMENT_PUBLIC SEGMENT_GAP_ITERATOR SEGMENT_(set_first_gap)(const SEGMENT_SET *s)
{
	return SEGMENT_(gap_iterator_at)(s->edge.next ? s->edge.next : &s->edge, 0);
}

SEGMENT_PUBLIC SEGMENT_GAP_ITERATOR SEGMENT_(set_last_gap)(const SEGMENT_SET *s)
{
	const SEGMENT_NODE *last = s->edge.prev ? s->edge.prev : &s->edge;
	return SEGMENT_(gap_iterator_at)(last, last->count);
}

SEGMENT_PUBLIC bool SEGMENT_(set_find)(const SEGMENT_SET *s, SEGMENT_KEY key, SEGMENT_ITERATOR *seg,
				       SEGMENT_GAP_ITERATOR *gap)
{
	struct SEGMENT_(place) at = SEGMENT_(tree_search)(s, key);
	bool found = SEGMENT_(place_holds)(at, key);
	*seg = SEGMENT_(iterator_at)(found ? at.node : NULL, found ? at.index : 0);
	*gap = SEGMENT_(gap_iterator_at)(found ? NULL : at.node, found ? 0 : at.index);
	return found;
}

SEGMENT_PUBLIC SEGMENT_ITERATOR SEGMENT_(set_find_segment)(const SEGMENT_SET *s, SEGMENT_KEY key)
{
	struct SEGMENT_(place) at = SEGMENT_(tree_search)(s, key);
	if (SEGMENT_(place_holds)(at, key))
		return SEGMENT_(iterator_at)(at.node, at.index);
	return SEGMENT_(iterator_at)(NULL, 0);
}

SEGMENT_PUBLIC SEGMENT_GAP_ITERATOR SEGMENT_(set_find_gap)(const SEGMENT_SET *s, SEGMENT_KEY key)
{
	struct SEGMENT_(place) at = SEGMENT_(tree_search)(s, key);
	if (SEGMENT_(place_holds)(at, key))
		return SEGMENT_(gap_iterator_at)(NULL, 0);
	return SEGMENT_(gap_iterator_at)(at.node, at.index);
}

SEGMENT_PUBLIC SEGMENT_ITERATOR SEGMENT_(set_lower_bound_segment)(const SEGMENT_SET *s,
								  SEGMENT_KEY min)
{
	struct SEGMENT_(place) at = SEGMENT_(tree_search)(s, min);
	if (at.index < at.node->count)
		return SEGMENT_(iterator_at)(at.node, at.index);
	return SEGMENT_(iterator_at)(NULL, 0);
}

SEGMENT_PUBLIC SEGMENT_ITERATOR SEGMENT_(set_upper_bound_segment)(const SEGMENT_SET *s,
								  SEGMENT_KEY max)
{
	struct SEGMENT_(place) at = SEGMENT_(tree_search)(s, max);
	SEGMENT_ITERATOR seg = SEGMENT_(iterator_at)(at.node, at.index);
	return SEGMENT_(place_holds)(at, max) ? seg : SEGMENT_(iterator_prev_segment)(seg);
}

SEGMENT_PUBLIC SEGMENT_GAP_ITERATOR SEGMENT_(set_lower_bound_gap)(const SEGMENT_SET *s,
								  SEGMENT_KEY min)
{
	struct SEGMENT_(place) at = SEGMENT_(tree_search)(s, min);
	SEGMENT_GAP_ITERATOR gap = SEGMENT_(gap_iterator_at)(at.node, at.index);
	return SEGMENT_(place_holds)(at, min) ? SEGMENT_(gap_iterator_next_gap)(gap) : gap;
}

SEGMENT_PUBLIC SEGMENT_GAP_ITERATOR SEGMENT_(set_upper_bound_gap)(const SEGMENT_SET *s,
								  SEGMENT_KEY max)
{
	/*
	 * The gap at the place found is the one that holds the key, or the one before its segment.
	 */
	struct SEGMENT_(place) at = SEGMENT_(tree_search)(s, max);
	return SEGMENT_(gap_iterator_at)(at.node, at.index);
}

SEGMENT_PRIVATE void SEGMENT_(range_check)(const char *function, SEGMENT_RANGE_TYPE r)
{
	if (MEMMAP_UNLIKELY(r.start > r.end))
		SEGMENT_PANIC_RANGE(function, "invalid range", r);
}

SEGMENT_PUBLIC bool SEGMENT_(set_is_empty_range)(const SEGMENT_SET *s, SEGMENT_RANGE_TYPE r)
{
	SEGMENT_(range_check)("set_is_empty_range", r);
	if (r.start == r.end)
		return true;
	struct SEGMENT_(place) at = SEGMENT_(tree_search)(s, r.start);
	return at.index == at.node->count ||
	       SEGMENT_(node_leaf)(at.node)->starts[at.index] >= r.end;
}

SEGMENT_PUBLIC SEGMENT_KEY SEGMENT_(set_span)(const SEGMENT_SET *s)
{
	SEGMENT_KEY span = 0;
	for (const SEGMENT_NODE *node = s->edge.next; node; node = node->next) {
		const SEGMENT_LEAF *leaf = SEGMENT_(node_leaf)(node);
		for (size_t i = 0; i < node->count; i++)
			span = (SEGMENT_KEY)(span + (leaf->ends[i] - leaf->starts[i]));
	}
	return span;
}

SEGMENT_PUBLIC SEGMENT_KEY SEGMENT_(set_span_range)(const SEGMENT_SET *s, SEGMENT_RANGE_TYPE r)
{
	SEGMENT_(range_check)("set_span_range", r);
	SEGMENT_KEY span = 0;
	SEGMENT_ITERATOR seg = SEGMENT_(set_lower_bound_segment)(s, r.start);
	while (seg.node && SEGMENT_(iterator_start)(seg) < r.end) {
		SEGMENT_RANGE_TYPE part =
			SEGMENT_RANGE_(intersect)(SEGMENT_(iterator_range)(seg), r);
		span = (SEGMENT_KEY)(span + (part.end - part.start));
		seg = SEGMENT_(iterator_next_segment)(seg);
	}
	return span;
}

/* ---- Removing ---- */

SEGMENT_PUBLIC SEGMENT_GAP_ITERATOR SEGMENT_(set_take)(SEGMENT_SET *s, SEGMENT_ITERATOR seg,
						       SEGMENT_VALUE_TYPE *out)
{
	if (MEMMAP_UNLIKELY(!seg.node))
		SEGMENT_(panic_terminal)("set_take");
	*out = SEGMENT_(iterator_value)(seg);
	struct SEGMENT_(place) at = SEGMENT_(tree_remove)(s, seg.node, seg.index);
	return SEGMENT_(gap_iterator_at)(at.node, at.index);
}

SEGMENT_PUBLIC SEGMENT_GAP_ITERATOR SEGMENT_(set_remove)(SEGMENT_SET *s, SEGMENT_ITERATOR seg)
{
	if (MEMMAP_UNLIKELY(!seg.node))
		SEGMENT_(panic_terminal)("set_remove");
	SEGMENT_(value_clear)(SEGMENT_(iterator_value_ptr)(seg));
	struct SEGMENT_(place) at = SEGMENT_(tree_remove)(s, seg.node, seg.index);
	return SEGMENT_(gap_iterator_at)(at.node, at.index);
}

/* ---- Merging ---- */

/* Ask SEGMENT_MERGE: true, and both values were consumed into `*out`. */
SEGMENT_PRIVATE bool SEGMENT_(value_merge)(SEGMENT_RANGE_TYPE r1, SEGMENT_VALUE_TYPE *value1,
					   SEGMENT_RANGE_TYPE r2, SEGMENT_VALUE_TYPE *value2,
					   SEGMENT_VALUE_TYPE *out)
{
#ifdef SEGMENT_MERGE
	return SEGMENT_MERGE(r1, value1, r2, value2, out);
#else
	(void)r1;
	(void)value1;
	(void)r2;
	(void)value2;
	(void)out;
	return false;
#endif
}

/*
 *     |-- first --|-- second --|
 *     |-------- merged --------|
 */
SEGMENT_PUBLIC SEGMENT_ITERATOR SEGMENT_(set_merge_unchecked)(SEGMENT_SET *s,
							      SEGMENT_ITERATOR first,
							      SEGMENT_ITERATOR second)
{
	SEGMENT_RANGE_TYPE r1 = SEGMENT_(iterator_range)(first);
	SEGMENT_RANGE_TYPE r2 = SEGMENT_(iterator_range)(second);
	SEGMENT_VALUE_TYPE merged;
	if (r1.end != r2.start ||
	    !SEGMENT_(value_merge)(r1, SEGMENT_(iterator_value_ptr)(first), r2,
				   SEGMENT_(iterator_value_ptr)(second), &merged))
		return SEGMENT_(iterator_at)(NULL, 0);
	/* Room first, so that no gap is ever of negative length. */
	struct SEGMENT_(place) at = SEGMENT_(tree_remove)(s, second.node, second.index);
	first = SEGMENT_(iterator_prev_segment)(SEGMENT_(iterator_at)(at.node, at.index));
	*SEGMENT_(iterator_value_ptr)(first) = merged;
	SEGMENT_(iterator_set_end_unchecked)(first, r2.end);
	return first;
}

SEGMENT_PUBLIC SEGMENT_ITERATOR SEGMENT_(set_merge)(SEGMENT_SET *s, SEGMENT_ITERATOR first,
						    SEGMENT_ITERATOR second)
{
	if (MEMMAP_UNLIKELY(!first.node || !second.node))
		SEGMENT_(panic_terminal)("set_merge");
	if (MEMMAP_UNLIKELY(
		    !SEGMENT_(iterator_equal)(SEGMENT_(iterator_next_segment)(first), second)))
		SEGMENT_PANIC_RANGES("set_merge", "attempt to merge non-neighbouring segments",
				     SEGMENT_(iterator_range)(first), "and",
				     SEGMENT_(iterator_range)(second));
	return SEGMENT_(set_merge_unchecked)(s, first, second);
}

SEGMENT_PUBLIC SEGMENT_ITERATOR SEGMENT_(set_merge_prev)(SEGMENT_SET *s, SEGMENT_ITERATOR seg)
{
	if (MEMMAP_UNLIKELY(!seg.node))
		SEGMENT_(panic_terminal)("set_merge_prev");
	SEGMENT_ITERATOR prev = SEGMENT_(iterator_prev_segment)(seg);
	if (!prev.node)
		return seg;
	SEGMENT_ITERATOR merged = SEGMENT_(set_merge_unchecked)(s, prev, seg);
	return merged.node ? merged : seg;
}

SEGMENT_PUBLIC SEGMENT_ITERATOR SEGMENT_(set_merge_next)(SEGMENT_SET *s, SEGMENT_ITERATOR seg)
{
	if (MEMMAP_UNLIKELY(!seg.node))
		SEGMENT_(panic_terminal)("set_merge_next");
	SEGMENT_ITERATOR next = SEGMENT_(iterator_next_segment)(seg);
	if (!next.node)
		return seg;
	SEGMENT_ITERATOR merged = SEGMENT_(set_merge_unchecked)(s, seg, next);
	return merged.node ? merged : seg;
}

SEGMENT_PUBLIC SEGMENT_ITERATOR SEGMENT_(set_unisolate)(SEGMENT_SET *s, SEGMENT_ITERATOR seg)
{
	if (MEMMAP_UNLIKELY(!seg.node))
		SEGMENT_(panic_terminal)("set_unisolate");
	return SEGMENT_(set_merge_next)(s, SEGMENT_(set_merge_prev)(s, seg));
}

/* Merge `seg` (terminal: nothing) with those after it that start before `end`, and so on. */
SEGMENT_PRIVATE void SEGMENT_(set_merge_from)(SEGMENT_SET *s, SEGMENT_ITERATOR seg, SEGMENT_KEY end)
{
	while (seg.node) {
		SEGMENT_ITERATOR next = SEGMENT_(iterator_next_segment)(seg);
		if (!next.node || SEGMENT_(iterator_start)(next) >= end)
			return;
		SEGMENT_ITERATOR merged = SEGMENT_(set_merge_unchecked)(s, seg, next);
		seg = merged.node ? merged : next;
	}
}

SEGMENT_PUBLIC void SEGMENT_(set_merge_range)(SEGMENT_SET *s, SEGMENT_RANGE_TYPE r)
{
	SEGMENT_(set_merge_from)(s, SEGMENT_(set_lower_bound_segment)(s, r.start), r.end);
}

SEGMENT_PUBLIC void SEGMENT_(set_merge_inside_range)(SEGMENT_SET *s, SEGMENT_RANGE_TYPE r)
{
	SEGMENT_(set_merge_range)(s, r);
}

SEGMENT_PUBLIC void SEGMENT_(set_merge_all)(SEGMENT_SET *s)
{
	/* No segment starts at the key type's maximum. */
	SEGMENT_(set_merge_from)(s, SEGMENT_(set_first_segment)(s), SEGMENT_LAST_KEY);
}

SEGMENT_PUBLIC void SEGMENT_(set_merge_adjacent)(SEGMENT_SET *s, SEGMENT_RANGE_TYPE r)
{
	SEGMENT_ITERATOR first = SEGMENT_(set_find_segment)(s, r.start);
	if (first.node)
		(void)SEGMENT_(set_merge_prev)(s, first);
	/* Before 0 comes the last key, which no segment holds. */
	SEGMENT_ITERATOR last = SEGMENT_(set_find_segment)(s, (SEGMENT_KEY)(r.end - 1));
	if (last.node)
		(void)SEGMENT_(set_merge_next)(s, last);
}

SEGMENT_PUBLIC void SEGMENT_(set_merge_outside_range)(SEGMENT_SET *s, SEGMENT_RANGE_TYPE r)
{
	SEGMENT_(set_merge_adjacent)(s, r);
}

/* ---- Inserting ---- */

SEGMENT_PUBLIC int SEGMENT_(set_insert_without_merging_unchecked)(SEGMENT_SET *s,
								  SEGMENT_GAP_ITERATOR gap,
								  SEGMENT_RANGE_TYPE r,
								  SEGMENT_VALUE_TYPE value,
								  SEGMENT_ITERATOR *out)
{
	int err = SEGMENT_(tree_prepare)(s, gap.node, gap.index);
	if (MEMMAP_UNLIKELY(err))
		return err;
	struct SEGMENT_(place) at = SEGMENT_(tree_insert)(s, gap.node, gap.index, r, value);
	SEGMENT_(tree_inserted)(s, 1);
	if (out)
		*out = SEGMENT_(iterator_at)(at.node, at.index);
	return 0;
}

/* Panic unless a segment with the range `r` fits into `gap`. */
SEGMENT_PRIVATE void SEGMENT_(gap_check)(const char *function, SEGMENT_GAP_ITERATOR gap,
					 SEGMENT_RANGE_TYPE r)
{
	if (MEMMAP_UNLIKELY(!gap.node))
		SEGMENT_(panic_terminal)(function);
	if (MEMMAP_UNLIKELY(r.start >= r.end))
		SEGMENT_PANIC_RANGE(function, "invalid segment range", r);
	SEGMENT_RANGE_TYPE room = SEGMENT_(gap_iterator_range)(gap);
	if (MEMMAP_UNLIKELY(r.start < room.start || r.end > room.end))
		SEGMENT_PANIC_RANGES(function, "cannot insert segment range", r, "into gap range",
				     room);
}

SEGMENT_PUBLIC int SEGMENT_(set_insert_without_merging)(SEGMENT_SET *s, SEGMENT_GAP_ITERATOR gap,
							SEGMENT_RANGE_TYPE r,
							SEGMENT_VALUE_TYPE value,
							SEGMENT_ITERATOR *out)
{
	SEGMENT_(gap_check)("set_insert_without_merging", gap, r);
	return SEGMENT_(set_insert_without_merging_unchecked)(s, gap, r, value, out);
}

/*
 * Insert into a gap that has room, merging:
 *
 *     |-- prev --|-- r --|              prev grows over r, and over next if that permits it
 *     |-- prev --|-- r --|-- next --|
 *                |-- r --|-- next --|   next grows over r
 */
SEGMENT_PRIVATE int SEGMENT_(set_insert_unchecked)(SEGMENT_SET *s, SEGMENT_GAP_ITERATOR gap,
						   SEGMENT_RANGE_TYPE r, SEGMENT_VALUE_TYPE value,
						   SEGMENT_ITERATOR *out)
{
#ifdef SEGMENT_MERGE
	SEGMENT_VALUE_TYPE merged;
	SEGMENT_ITERATOR prev = SEGMENT_(gap_iterator_prev_segment)(gap);
	if (prev.node && SEGMENT_(iterator_end)(prev) == r.start &&
	    SEGMENT_(value_merge)(SEGMENT_(iterator_range)(prev),
				  SEGMENT_(iterator_value_ptr)(prev), r, &value, &merged)) {
		*SEGMENT_(iterator_value_ptr)(prev) = merged;
		SEGMENT_(iterator_set_end_unchecked)(prev, r.end);
		prev = SEGMENT_(set_merge_next)(s, prev);
		if (out)
			*out = prev;
		SEGMENT_(tree_inserted)(s, 1);
		return 0;
	}
	SEGMENT_ITERATOR next = SEGMENT_(gap_iterator_next_segment)(gap);
	if (next.node && SEGMENT_(iterator_start)(next) == r.end &&
	    SEGMENT_(value_merge)(r, &value, SEGMENT_(iterator_range)(next),
				  SEGMENT_(iterator_value_ptr)(next), &merged)) {
		*SEGMENT_(iterator_value_ptr)(next) = merged;
		SEGMENT_(iterator_set_start_unchecked)(next, r.start);
		if (out)
			*out = next;
		SEGMENT_(tree_inserted)(s, 1);
		return 0;
	}
#endif
	return SEGMENT_(set_insert_without_merging_unchecked)(s, gap, r, value, out);
}

SEGMENT_PUBLIC int SEGMENT_(set_insert)(SEGMENT_SET *s, SEGMENT_GAP_ITERATOR gap,
					SEGMENT_RANGE_TYPE r, SEGMENT_VALUE_TYPE value,
					SEGMENT_ITERATOR *out)
{
	SEGMENT_(gap_check)("set_insert", gap, r);
	return SEGMENT_(set_insert_unchecked)(s, gap, r, value, out);
}

/* The gap that a segment with the range `r` fits into; terminal when it fits nowhere. */
SEGMENT_PRIVATE SEGMENT_GAP_ITERATOR SEGMENT_(set_find_room)(const SEGMENT_SET *s,
							     const char *function,
							     SEGMENT_RANGE_TYPE r)
{
	if (MEMMAP_UNLIKELY(r.start >= r.end))
		SEGMENT_PANIC_RANGE(function, "invalid segment range", r);
	struct SEGMENT_(place) at;
	at.node = s->edge.prev;
	if (at.node && r.start >= SEGMENT_(leaf_last_end)(at.node))
		at.index = at.node->count; /* after the last: inserting in order needs no search */
	else
		at = SEGMENT_(tree_search)(s, r.start);
	SEGMENT_GAP_ITERATOR gap = SEGMENT_(gap_iterator_at)(at.node, at.index);
	/* What ends after r.start either holds it or ends the gap. */
	if (r.end > SEGMENT_(gap_iterator_end)(gap) || r.start < SEGMENT_(key_min)())
		return SEGMENT_(gap_iterator_at)(NULL, 0);
	return gap;
}

SEGMENT_PUBLIC int SEGMENT_(set_add)(SEGMENT_SET *s, SEGMENT_RANGE_TYPE r, SEGMENT_VALUE_TYPE value)
{
	SEGMENT_GAP_ITERATOR gap = SEGMENT_(set_find_room)(s, "set_add", r);
	return gap.node ? SEGMENT_(set_insert_unchecked)(s, gap, r, value, NULL) : -EEXIST;
}

SEGMENT_PUBLIC int SEGMENT_(set_add_without_merging)(SEGMENT_SET *s, SEGMENT_RANGE_TYPE r,
						     SEGMENT_VALUE_TYPE value)
{
	SEGMENT_GAP_ITERATOR gap = SEGMENT_(set_find_room)(s, "set_add_without_merging", r);
	if (!gap.node)
		return -EEXIST;
	return SEGMENT_(set_insert_without_merging_unchecked)(s, gap, r, value, NULL);
}

SEGMENT_PUBLIC int SEGMENT_(set_try_insert_range)(SEGMENT_SET *s, SEGMENT_RANGE_TYPE r,
						  SEGMENT_VALUE_TYPE value, SEGMENT_ITERATOR *out)
{
	SEGMENT_GAP_ITERATOR gap = SEGMENT_(set_find_room)(s, "set_try_insert_range", r);
	return gap.node ? SEGMENT_(set_insert_unchecked)(s, gap, r, value, out) : -EEXIST;
}

SEGMENT_PUBLIC int SEGMENT_(set_insert_range)(SEGMENT_SET *s, SEGMENT_RANGE_TYPE r,
					      SEGMENT_VALUE_TYPE value, SEGMENT_ITERATOR *out)
{
	SEGMENT_GAP_ITERATOR gap = SEGMENT_(set_find_room)(s, "set_insert_range", r);
	if (MEMMAP_UNLIKELY(!gap.node)) {
		SEGMENT_ITERATOR seg = SEGMENT_(set_lower_bound_segment)(s, r.start);
		if (!seg.node)
			SEGMENT_PANIC_RANGE("set_insert_range", "segment range outside of the keys",
					    r);
		SEGMENT_PANIC_RANGES("set_insert_range", "new segment", r,
				     "overlaps existing segment", SEGMENT_(iterator_range)(seg));
	}
	return SEGMENT_(set_insert_unchecked)(s, gap, r, value, out);
}

/* ---- Splitting ---- */

/* Ask SEGMENT_SPLIT: 0, and `*value` was consumed into both; or its error. */
SEGMENT_PRIVATE int SEGMENT_(value_split)(SEGMENT_RANGE_TYPE r, SEGMENT_VALUE_TYPE *value,
					  SEGMENT_KEY at, SEGMENT_VALUE_TYPE *out1,
					  SEGMENT_VALUE_TYPE *out2)
{
#ifdef SEGMENT_SPLIT
	return SEGMENT_SPLIT(r, value, at, out1, out2);
#else
	(void)r;
	(void)at;
	*out1 = *value;
	*out2 = *value;
	return 0;
#endif
}

/* Divide a segment whose value was split, with the node for it in hand; returns the second part. */
SEGMENT_PRIVATE SEGMENT_ITERATOR SEGMENT_(tree_divide)(SEGMENT_SET *s, SEGMENT_ITERATOR seg,
						       SEGMENT_KEY at, SEGMENT_VALUE_TYPE value1,
						       SEGMENT_VALUE_TYPE value2)
{
	SEGMENT_LEAF *leaf = SEGMENT_(node_leaf)(seg.node);
	SEGMENT_RANGE_TYPE r2 = SEGMENT_(key_range)(at, leaf->ends[seg.index]);
	leaf->ends[seg.index] = at;
	leaf->values[seg.index] = value1;
	struct SEGMENT_(place) second =
		SEGMENT_(tree_insert)(s, seg.node, seg.index + 1, r2, value2);
	return SEGMENT_(iterator_at)(second.node, second.index);
}

SEGMENT_PUBLIC int SEGMENT_(set_split_unchecked)(SEGMENT_SET *s, SEGMENT_ITERATOR seg,
						 SEGMENT_KEY at, SEGMENT_ITERATOR *first,
						 SEGMENT_ITERATOR *second)
{
	int err = SEGMENT_(tree_prepare)(s, seg.node, seg.index + 1);
	if (MEMMAP_UNLIKELY(err))
		return err;
	SEGMENT_VALUE_TYPE value1, value2;
	err = SEGMENT_(value_split)(SEGMENT_(iterator_range)(seg),
				    SEGMENT_(iterator_value_ptr)(seg), at, &value1, &value2);
	if (MEMMAP_UNLIKELY(err)) {
		SEGMENT_(tree_trim)(s);
		return err;
	}
	SEGMENT_ITERATOR part = SEGMENT_(tree_divide)(s, seg, at, value1, value2);
	SEGMENT_(tree_inserted)(s, 1);
	if (first)
		*first = SEGMENT_(iterator_prev_segment)(part);
	if (second)
		*second = part;
	return 0;
}

SEGMENT_PUBLIC int SEGMENT_(set_split)(SEGMENT_SET *s, SEGMENT_ITERATOR seg, SEGMENT_KEY at,
				       SEGMENT_ITERATOR *first, SEGMENT_ITERATOR *second)
{
	if (MEMMAP_UNLIKELY(!seg.node))
		SEGMENT_(panic_terminal)("set_split");
	SEGMENT_RANGE_TYPE r = SEGMENT_(iterator_range)(seg);
	if (MEMMAP_UNLIKELY(!SEGMENT_RANGE_(can_split_at)(r, at))) {
		char buf[MEMMAP_RANGE_FORMAT_SIZE];
		memmap_panic("%s_set_split: cannot split %s at 0x%" PRIx64, SEGMENT_NAME,
			     SEGMENT_RANGE_(format)(r, buf, sizeof(buf)), (uint64_t)at);
	}
	return SEGMENT_(set_split_unchecked)(s, seg, at, first, second);
}

SEGMENT_PUBLIC int SEGMENT_(set_split_at)(SEGMENT_SET *s, SEGMENT_KEY at)
{
	SEGMENT_ITERATOR seg = SEGMENT_(set_find_segment)(s, at);
	if (!seg.node || SEGMENT_(iterator_start)(seg) == at)
		return 0;
	int err = SEGMENT_(set_split_unchecked)(s, seg, at, NULL, NULL);
	return err ? err : 1;
}

SEGMENT_PUBLIC int SEGMENT_(set_split_before)(SEGMENT_SET *s, SEGMENT_ITERATOR seg,
					      SEGMENT_KEY start, SEGMENT_ITERATOR *out)
{
	if (MEMMAP_UNLIKELY(!seg.node))
		SEGMENT_(panic_terminal)("set_split_before");
	if (SEGMENT_RANGE_(can_split_at)(SEGMENT_(iterator_range)(seg), start))
		return SEGMENT_(set_split_unchecked)(s, seg, start, NULL, out);
	if (out)
		*out = seg;
	return 0;
}

SEGMENT_PUBLIC int SEGMENT_(set_split_after)(SEGMENT_SET *s, SEGMENT_ITERATOR seg, SEGMENT_KEY end,
					     SEGMENT_ITERATOR *out)
{
	if (MEMMAP_UNLIKELY(!seg.node))
		SEGMENT_(panic_terminal)("set_split_after");
	if (SEGMENT_RANGE_(can_split_at)(SEGMENT_(iterator_range)(seg), end))
		return SEGMENT_(set_split_unchecked)(s, seg, end, out, NULL);
	if (out)
		*out = seg;
	return 0;
}
