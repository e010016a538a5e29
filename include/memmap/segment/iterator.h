/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Iterators: going from segment to segment and gap to gap, and changing a segment in place.
 *
 * Every gap has one form: the place before the segment after it, or the end of the last leaf. Only
 * so can gap iterators be compared.
 */

/* Panic with a range, or with two. */
SEGMENT_RARE __attribute__((noreturn)) void SEGMENT_(panic_range)(const char *function,
								  const char *what,
								  SEGMENT_RANGE_TYPE r)
{
	char buf[MEMMAP_RANGE_FORMAT_SIZE];
	memmap_panic("%s_%s: %s %s", SEGMENT_NAME, function, what,
		     SEGMENT_RANGE_(format)(r, buf, sizeof(buf)));
}

SEGMENT_RARE __attribute__((noreturn)) void SEGMENT_(panic_ranges)(const char *function,
								   const char *what,
								   SEGMENT_RANGE_TYPE r,
								   const char *relation,
								   SEGMENT_RANGE_TYPE r2)
{
	char buf[MEMMAP_RANGE_FORMAT_SIZE], buf2[MEMMAP_RANGE_FORMAT_SIZE];
	memmap_panic("%s_%s: %s %s %s %s", SEGMENT_NAME, function, what,
		     SEGMENT_RANGE_(format)(r, buf, sizeof(buf)), relation,
		     SEGMENT_RANGE_(format)(r2, buf2, sizeof(buf2)));
}

SEGMENT_RARE __attribute__((noreturn)) void SEGMENT_(panic_terminal)(const char *function)
{
	memmap_panic("%s_%s: the iterator is terminal", SEGMENT_NAME, function);
}

/* A cheap assertion (see MEMMAP_CHECK) of the functions that are too small to check always. */
SEGMENT_PRIVATE void SEGMENT_(assert_not_terminal)(const SEGMENT_NODE *node, const char *function)
{
	if (MEMMAP_CHECK >= 1 && MEMMAP_UNLIKELY(!node))
		SEGMENT_(panic_terminal)(function);
}

SEGMENT_PRIVATE SEGMENT_ITERATOR SEGMENT_(iterator_at)(const SEGMENT_NODE *node, size_t index)
{
	SEGMENT_ITERATOR seg;
	seg.node = (SEGMENT_NODE *)node;
	seg.index = index;
	return seg;
}

SEGMENT_PRIVATE SEGMENT_GAP_ITERATOR SEGMENT_(gap_iterator_at)(const SEGMENT_NODE *node,
							       size_t index)
{
	SEGMENT_GAP_ITERATOR gap;
	gap.node = (SEGMENT_NODE *)node;
	gap.index = index;
	return gap;
}

SEGMENT_PRIVATE void SEGMENT_(value_clear)(SEGMENT_VALUE_TYPE *value)
{
#ifdef SEGMENT_CLEAR_VALUE
	SEGMENT_CLEAR_VALUE(value);
#else
	(void)value;
#endif
}

SEGMENT_PUBLIC bool SEGMENT_(iterator_ok)(SEGMENT_ITERATOR seg)
{
	return seg.node != NULL;
}

SEGMENT_PUBLIC bool SEGMENT_(iterator_equal)(SEGMENT_ITERATOR a, SEGMENT_ITERATOR b)
{
	return a.node == b.node && a.index == b.index;
}

SEGMENT_PUBLIC SEGMENT_KEY SEGMENT_(iterator_start)(SEGMENT_ITERATOR seg)
{
	SEGMENT_(assert_not_terminal)(seg.node, "iterator_start");
	return SEGMENT_(node_leaf)(seg.node)->starts[seg.index];
}

SEGMENT_PUBLIC SEGMENT_KEY SEGMENT_(iterator_end)(SEGMENT_ITERATOR seg)
{
	SEGMENT_(assert_not_terminal)(seg.node, "iterator_end");
	return SEGMENT_(node_leaf)(seg.node)->ends[seg.index];
}

SEGMENT_PUBLIC SEGMENT_RANGE_TYPE SEGMENT_(iterator_range)(SEGMENT_ITERATOR seg)
{
	return SEGMENT_(key_range)(SEGMENT_(iterator_start)(seg), SEGMENT_(iterator_end)(seg));
}

SEGMENT_PUBLIC SEGMENT_VALUE_TYPE *SEGMENT_(iterator_value_ptr)(SEGMENT_ITERATOR seg)
{
	SEGMENT_(assert_not_terminal)(seg.node, "iterator_value_ptr");
	return &SEGMENT_(node_leaf)(seg.node)->values[seg.index];
}

SEGMENT_PUBLIC SEGMENT_VALUE_TYPE SEGMENT_(iterator_value)(SEGMENT_ITERATOR seg)
{
	return *SEGMENT_(iterator_value_ptr)(seg);
}

SEGMENT_PUBLIC void SEGMENT_(iterator_set_value)(SEGMENT_ITERATOR seg, SEGMENT_VALUE_TYPE value)
{
	SEGMENT_VALUE_TYPE *place = SEGMENT_(iterator_value_ptr)(seg);
	SEGMENT_(value_clear)(place);
	*place = value;
}

SEGMENT_PUBLIC SEGMENT_ITERATOR SEGMENT_(iterator_prev_segment)(SEGMENT_ITERATOR seg)
{
	SEGMENT_(assert_not_terminal)(seg.node, "iterator_prev_segment");
	if (MEMMAP_LIKELY(seg.index > 0)) {
		seg.index--;
		return seg;
	}
	seg.node = seg.node->prev;
	seg.index = seg.node ? seg.node->count - 1 : 0;
	return seg;
}

SEGMENT_PUBLIC SEGMENT_ITERATOR SEGMENT_(iterator_next_segment)(SEGMENT_ITERATOR seg)
{
	SEGMENT_(assert_not_terminal)(seg.node, "iterator_next_segment");
	if (MEMMAP_LIKELY(++seg.index < seg.node->count))
		return seg;
	seg.node = seg.node->next;
	seg.index = 0;
	return seg;
}

SEGMENT_PUBLIC SEGMENT_GAP_ITERATOR SEGMENT_(iterator_prev_gap)(SEGMENT_ITERATOR seg)
{
	SEGMENT_(assert_not_terminal)(seg.node, "iterator_prev_gap");
	return SEGMENT_(gap_iterator_at)(seg.node, seg.index);
}

SEGMENT_PUBLIC SEGMENT_GAP_ITERATOR SEGMENT_(iterator_next_gap)(SEGMENT_ITERATOR seg)
{
	SEGMENT_(assert_not_terminal)(seg.node, "iterator_next_gap");
	if (seg.index + 1 == seg.node->count && seg.node->next)
		return SEGMENT_(gap_iterator_at)(seg.node->next, 0);
	return SEGMENT_(gap_iterator_at)(seg.node, seg.index + 1);
}

SEGMENT_PUBLIC bool SEGMENT_(gap_iterator_ok)(SEGMENT_GAP_ITERATOR gap)
{
	return gap.node != NULL;
}

SEGMENT_PUBLIC bool SEGMENT_(gap_iterator_equal)(SEGMENT_GAP_ITERATOR a, SEGMENT_GAP_ITERATOR b)
{
	return a.node == b.node && a.index == b.index;
}

SEGMENT_PUBLIC SEGMENT_KEY SEGMENT_(gap_iterator_start)(SEGMENT_GAP_ITERATOR gap)
{
	SEGMENT_(assert_not_terminal)(gap.node, "gap_iterator_start");
	return SEGMENT_(leaf_gap_start)(gap.node, gap.index);
}

SEGMENT_PUBLIC SEGMENT_KEY SEGMENT_(gap_iterator_end)(SEGMENT_GAP_ITERATOR gap)
{
	SEGMENT_(assert_not_terminal)(gap.node, "gap_iterator_end");
	if (gap.index < gap.node->count)
		return SEGMENT_(node_leaf)(gap.node)->starts[gap.index];
	return SEGMENT_(key_max)();
}

SEGMENT_PUBLIC SEGMENT_RANGE_TYPE SEGMENT_(gap_iterator_range)(SEGMENT_GAP_ITERATOR gap)
{
	return SEGMENT_(key_range)(SEGMENT_(gap_iterator_start)(gap),
				   SEGMENT_(gap_iterator_end)(gap));
}

SEGMENT_PUBLIC bool SEGMENT_(gap_iterator_is_empty)(SEGMENT_GAP_ITERATOR gap)
{
	return SEGMENT_(gap_iterator_start)(gap) == SEGMENT_(gap_iterator_end)(gap);
}

SEGMENT_PUBLIC SEGMENT_ITERATOR SEGMENT_(gap_iterator_prev_segment)(SEGMENT_GAP_ITERATOR gap)
{
	SEGMENT_(assert_not_terminal)(gap.node, "gap_iterator_prev_segment");
	return SEGMENT_(iterator_prev_segment)(SEGMENT_(iterator_at)(gap.node, gap.index));
}

SEGMENT_PUBLIC SEGMENT_ITERATOR SEGMENT_(gap_iterator_next_segment)(SEGMENT_GAP_ITERATOR gap)
{
	SEGMENT_(assert_not_terminal)(gap.node, "gap_iterator_next_segment");
	if (gap.index < gap.node->count)
		return SEGMENT_(iterator_at)(gap.node, gap.index);
	return SEGMENT_(iterator_at)(NULL, 0);
}

SEGMENT_PUBLIC SEGMENT_GAP_ITERATOR SEGMENT_(gap_iterator_prev_gap)(SEGMENT_GAP_ITERATOR gap)
{
	SEGMENT_ITERATOR seg = SEGMENT_(gap_iterator_prev_segment)(gap);
	return SEGMENT_(gap_iterator_at)(seg.node, seg.index);
}

SEGMENT_PUBLIC SEGMENT_GAP_ITERATOR SEGMENT_(gap_iterator_next_gap)(SEGMENT_GAP_ITERATOR gap)
{
	SEGMENT_(assert_not_terminal)(gap.node, "gap_iterator_next_gap");
	if (gap.index == gap.node->count)
		return SEGMENT_(gap_iterator_at)(NULL, 0);
	return SEGMENT_(iterator_next_gap)(SEGMENT_(iterator_at)(gap.node, gap.index));
}

SEGMENT_PUBLIC void SEGMENT_(iterator_prev_non_empty)(SEGMENT_ITERATOR it, SEGMENT_ITERATOR *seg,
						      SEGMENT_GAP_ITERATOR *gap)
{
	SEGMENT_GAP_ITERATOR before = SEGMENT_(iterator_prev_gap)(it);
	bool empty = SEGMENT_(gap_iterator_is_empty)(before);
	*seg = empty ? SEGMENT_(iterator_prev_segment)(it) : SEGMENT_(iterator_at)(NULL, 0);
	*gap = empty ? SEGMENT_(gap_iterator_at)(NULL, 0) : before;
}

SEGMENT_PUBLIC void SEGMENT_(iterator_next_non_empty)(SEGMENT_ITERATOR it, SEGMENT_ITERATOR *seg,
						      SEGMENT_GAP_ITERATOR *gap)
{
	SEGMENT_GAP_ITERATOR after = SEGMENT_(iterator_next_gap)(it);
	bool empty = SEGMENT_(gap_iterator_is_empty)(after);
	*seg = empty ? SEGMENT_(iterator_next_segment)(it) : SEGMENT_(iterator_at)(NULL, 0);
	*gap = empty ? SEGMENT_(gap_iterator_at)(NULL, 0) : after;
}

SEGMENT_PUBLIC void SEGMENT_(iterator_set_start_unchecked)(SEGMENT_ITERATOR seg, SEGMENT_KEY start)
{
	SEGMENT_(node_leaf)(seg.node)->starts[seg.index] = start;
	SEGMENT_(leaf_gaps_changed)(seg.node);
}

SEGMENT_PUBLIC void SEGMENT_(iterator_set_end_unchecked)(SEGMENT_ITERATOR seg, SEGMENT_KEY end)
{
	SEGMENT_(node_leaf)(seg.node)->ends[seg.index] = end;
	if (seg.index + 1 < seg.node->count) {
		SEGMENT_(leaf_gaps_changed)(seg.node);
	} else {
		SEGMENT_(leaf_last_end_changed)(seg.node);
		SEGMENT_(leaf_gaps_changed)(seg.node->next);
	}
}

SEGMENT_PUBLIC void SEGMENT_(iterator_set_range_unchecked)(SEGMENT_ITERATOR seg,
							   SEGMENT_RANGE_TYPE r)
{
	SEGMENT_(node_leaf)(seg.node)->starts[seg.index] = r.start;
	SEGMENT_(iterator_set_end_unchecked)(seg, r.end);
	SEGMENT_(leaf_gaps_changed)(seg.node);
}

/*
 * Panic unless a segment at `seg` could have the range `r`:
 *
 *     prev.end |<---- r ---->| next.start
 */
SEGMENT_PRIVATE void SEGMENT_(iterator_check_range)(const char *function, SEGMENT_ITERATOR seg,
						    SEGMENT_RANGE_TYPE r)
{
	if (MEMMAP_UNLIKELY(!seg.node))
		SEGMENT_(panic_terminal)(function);
	if (MEMMAP_UNLIKELY(r.start >= r.end || r.start < SEGMENT_(key_min)() ||
			    r.end > SEGMENT_(key_max)()))
		SEGMENT_PANIC_RANGE(function, "invalid segment range", r);
	SEGMENT_ITERATOR prev = SEGMENT_(iterator_prev_segment)(seg);
	if (MEMMAP_UNLIKELY(prev.node && r.start < SEGMENT_(iterator_end)(prev)))
		SEGMENT_PANIC_RANGES(function, "new segment range", r, "overlaps segment",
				     SEGMENT_(iterator_range)(prev));
	SEGMENT_ITERATOR next = SEGMENT_(iterator_next_segment)(seg);
	if (MEMMAP_UNLIKELY(next.node && r.end > SEGMENT_(iterator_start)(next)))
		SEGMENT_PANIC_RANGES(function, "new segment range", r, "overlaps segment",
				     SEGMENT_(iterator_range)(next));
}

SEGMENT_PUBLIC void SEGMENT_(iterator_set_start)(SEGMENT_ITERATOR seg, SEGMENT_KEY start)
{
	if (MEMMAP_UNLIKELY(!seg.node))
		SEGMENT_(panic_terminal)("iterator_set_start");
	const SEGMENT_RANGE_TYPE r = SEGMENT_(key_range)(start, SEGMENT_(iterator_end)(seg));
	SEGMENT_(iterator_check_range)("iterator_set_start", seg, r);
	SEGMENT_(iterator_set_start_unchecked)(seg, start);
}

SEGMENT_PUBLIC void SEGMENT_(iterator_set_end)(SEGMENT_ITERATOR seg, SEGMENT_KEY end)
{
	if (MEMMAP_UNLIKELY(!seg.node))
		SEGMENT_(panic_terminal)("iterator_set_end");
	const SEGMENT_RANGE_TYPE r = SEGMENT_(key_range)(SEGMENT_(iterator_start)(seg), end);
	SEGMENT_(iterator_check_range)("iterator_set_end", seg, r);
	SEGMENT_(iterator_set_end_unchecked)(seg, end);
}

SEGMENT_PUBLIC void SEGMENT_(iterator_set_range)(SEGMENT_ITERATOR seg, SEGMENT_RANGE_TYPE r)
{
	SEGMENT_(iterator_check_range)("iterator_set_range", seg, r);
	SEGMENT_(iterator_set_range_unchecked)(seg, r);
}
