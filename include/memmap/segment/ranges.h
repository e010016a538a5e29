/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations over a range: they split at its edges, then remove, change or show what lies within.
 *
 * Splitting is what can fail, and it is done first, at both edges or at neither.
 */

/* Put together again what SEGMENT_SPLIT made of `*out` at `at`; false: it cannot be. */
SEGMENT_PRIVATE bool SEGMENT_(value_unsplit)(SEGMENT_RANGE_TYPE r, SEGMENT_KEY at,
					     SEGMENT_VALUE_TYPE *value1, SEGMENT_VALUE_TYPE *value2,
					     SEGMENT_VALUE_TYPE *out)
{
#ifdef SEGMENT_UNSPLIT
	SEGMENT_UNSPLIT(r, at, value1, value2, out);
	return true;
#else
	SEGMENT_VALUE_TYPE merged;
	const SEGMENT_RANGE_TYPE r1 = SEGMENT_(key_range)(r.start, at);
	const SEGMENT_RANGE_TYPE r2 = SEGMENT_(key_range)(at, r.end);
	if (!SEGMENT_(value_merge)(r1, value1, r2, value2, &merged))
		return false;
	*out = merged;
	return true;
#endif
}

/*
 * Split two segments, or one twice:
 *
 *     |-- seg1 --|   ...   |-- seg2 --|         |---------- seg1 == seg2 ----------|
 *            at1              at2                       at1            at2
 *
 * Both values are split before the tree is touched, so that the first can be put together again
 * when the second cannot be split.
 */
SEGMENT_RARE int SEGMENT_(set_split_both)(SEGMENT_SET *s, SEGMENT_ITERATOR seg1, SEGMENT_KEY at1,
					  SEGMENT_ITERATOR seg2, SEGMENT_KEY at2)
{
	int err = SEGMENT_(tree_prepare_two)(s, seg1.node, seg2.node);
	if (err)
		return err;
	const bool same = SEGMENT_(iterator_equal)(seg1, seg2);
	const SEGMENT_RANGE_TYPE r1 = SEGMENT_(iterator_range)(seg1);
	SEGMENT_RANGE_TYPE r2 = SEGMENT_(iterator_range)(seg2);
	SEGMENT_VALUE_TYPE *value1 = SEGMENT_(iterator_value_ptr)(seg1);
	SEGMENT_VALUE_TYPE *value2 = SEGMENT_(iterator_value_ptr)(seg2);
	SEGMENT_VALUE_TYPE before1, after1, before2, after2;
	err = SEGMENT_(value_split)(r1, value1, at1, &before1, &after1);
	if (err) {
		SEGMENT_(tree_inserted)(s, 0);
		return err;
	}
	if (same) {
		r2.start = at1;
		value2 = &after1;
	}
	err = SEGMENT_(value_split)(r2, value2, at2, &before2, &after2);
	if (err) {
		const bool whole = SEGMENT_(value_unsplit)(r1, at1, &before1, &after1, value1);
		if (!whole)
			(void)SEGMENT_(tree_divide)(s, seg1, at1, before1, after1);
		SEGMENT_(tree_inserted)(s, whole ? 0 : 1);
		return err;
	}

	if (same) {
		seg2 = SEGMENT_(tree_divide)(s, seg1, at1, before1, before2);
		(void)SEGMENT_(tree_divide)(s, seg2, at2, before2, after2);
	} else {
		(void)SEGMENT_(tree_divide)(s, seg2, at2, before2, after2);
		seg1 = SEGMENT_(set_find_segment)(s, r1.start); /* it may have moved */
		(void)SEGMENT_(tree_divide)(s, seg1, at1, before1, after1);
	}
	SEGMENT_(tree_inserted)(s, 1);
	return 0;
}

/* The segment with keys on both sides of `at`; terminal when there is none. */
SEGMENT_PRIVATE SEGMENT_ITERATOR SEGMENT_(set_find_straddling)(const SEGMENT_SET *s, SEGMENT_KEY at)
{
	SEGMENT_ITERATOR seg = SEGMENT_(set_find_segment)(s, at);
	if (seg.node && SEGMENT_(iterator_start)(seg) == at)
		seg = SEGMENT_(iterator_at)(NULL, 0);
	return seg;
}

/* Split what crosses the edges of `r`, at the end only if `at_end`. Returns 0 or an error. */
SEGMENT_PRIVATE int SEGMENT_(set_split_edges)(SEGMENT_SET *s, SEGMENT_RANGE_TYPE r, bool at_end)
{
	SEGMENT_ITERATOR first = SEGMENT_(set_find_straddling)(s, r.start);
	SEGMENT_ITERATOR last = SEGMENT_(iterator_at)(NULL, 0);
	if (at_end)
		last = SEGMENT_(set_find_straddling)(s, r.end);
	if (first.node && last.node)
		return SEGMENT_(set_split_both)(s, first, r.start, last, r.end);
	if (first.node)
		return SEGMENT_(set_split_unchecked)(s, first, r.start, NULL, NULL);
	if (last.node)
		return SEGMENT_(set_split_unchecked)(s, last, r.end, NULL, NULL);
	return 0;
}

/*
 *     |--------- seg ---------|
 *            |<--- r --->|
 *     |------|--- *out --|----|
 */
SEGMENT_PUBLIC int SEGMENT_(set_isolate)(SEGMENT_SET *s, SEGMENT_ITERATOR seg, SEGMENT_RANGE_TYPE r,
					 SEGMENT_ITERATOR *out)
{
	if (MEMMAP_UNLIKELY(!seg.node))
		SEGMENT_(panic_terminal)("set_isolate");
	const SEGMENT_RANGE_TYPE range = SEGMENT_(iterator_range)(seg);
	if (!SEGMENT_RANGE_(can_split_at)(range, r.start))
		return SEGMENT_(set_split_after)(s, seg, r.end, out);
	if (!SEGMENT_RANGE_(can_split_at)(range, r.end) || r.end <= r.start)
		return SEGMENT_(set_split_before)(s, seg, r.start, out);
	int err = SEGMENT_(set_split_both)(s, seg, r.start, seg, r.end);
	if (!err && out)
		*out = SEGMENT_(set_find_segment)(s, r.start);
	return err;
}

/* Panic unless every key of `r` is in a segment. */
SEGMENT_PRIVATE void SEGMENT_(range_check_full)(const SEGMENT_SET *s, const char *function,
						SEGMENT_RANGE_TYPE r)
{
	while (r.start < r.end) {
		SEGMENT_ITERATOR seg = SEGMENT_(set_find_segment)(s, r.start);
		if (MEMMAP_UNLIKELY(!seg.node))
			SEGMENT_PANIC_RANGE(function, "missing segment at the start of", r);
		r.start = SEGMENT_(iterator_end)(seg);
	}
}

SEGMENT_PUBLIC int SEGMENT_(set_remove_range)(SEGMENT_SET *s, SEGMENT_RANGE_TYPE r,
					      SEGMENT_GAP_ITERATOR *out)
{
	SEGMENT_(range_check)("set_remove_range", r);
	struct SEGMENT_(place) at;
	if (r.start == r.end) {
		at = SEGMENT_(tree_search)(s, r.start);
		if (SEGMENT_(place_holds)(at, r.start) &&
		    SEGMENT_(node_leaf)(at.node)->starts[at.index] < r.start) {
			at.node = NULL;
			at.index = 0;
		}
	} else {
		int err = SEGMENT_(set_split_edges)(s, r, true);
		if (err)
			return err;
		at = SEGMENT_(tree_search)(s, r.start);
		while (at.index < at.node->count &&
		       SEGMENT_(node_leaf)(at.node)->starts[at.index] < r.end) {
			SEGMENT_(value_clear)(&SEGMENT_(node_leaf)(at.node)->values[at.index]);
			at = SEGMENT_(tree_remove)(s, at.node, at.index);
		}
	}
	if (out)
		*out = SEGMENT_(gap_iterator_at)(at.node, at.index);
	return 0;
}

SEGMENT_PUBLIC int SEGMENT_(set_remove_full_range)(SEGMENT_SET *s, SEGMENT_RANGE_TYPE r,
						   SEGMENT_GAP_ITERATOR *out)
{
	SEGMENT_(range_check)("set_remove_full_range", r);
	SEGMENT_(range_check_full)(s, "set_remove_full_range", r);
	return SEGMENT_(set_remove_range)(s, r, out);
}

/*
 *     |-- a --|-- b --|-- c --|     |-- d --|
 *         |<------------- r ----------->|        fn sees what of a, then b, c; the gap is *out
 *         |<------ r ----->|                     fn sees what of a, b, what of c; *out terminal
 */
SEGMENT_PUBLIC int SEGMENT_(set_apply_contiguous)(SEGMENT_SET *s, SEGMENT_RANGE_TYPE r,
						  void (*fn)(SEGMENT_ITERATOR seg, void *arg),
						  void *arg, SEGMENT_GAP_ITERATOR *out)
{
	SEGMENT_(range_check)("set_apply_contiguous", r);
	SEGMENT_ITERATOR seg;
	SEGMENT_GAP_ITERATOR gap;
	if (SEGMENT_(set_find)(s, r.start, &seg, &gap) && r.start < r.end) {
		while (SEGMENT_(iterator_end)(seg) < r.end) {
			SEGMENT_ITERATOR next = SEGMENT_(iterator_next_segment)(seg);
			if (!next.node ||
			    SEGMENT_(iterator_start)(next) != SEGMENT_(iterator_end)(seg))
				break;
			seg = next;
		}
		int err = SEGMENT_(set_split_edges)(s, r, SEGMENT_(iterator_end)(seg) >= r.end);
		if (err)
			return err;
		seg = SEGMENT_(set_find_segment)(s, r.start);
		while (seg.node) {
			fn(seg, arg);
			if (SEGMENT_(iterator_end)(seg) >= r.end)
				break;
			SEGMENT_(iterator_next_non_empty)(seg, &seg, &gap);
		}
	}
	if (out)
		*out = gap;
	return 0;
}

SEGMENT_PUBLIC void SEGMENT_(set_visit_range)(const SEGMENT_SET *s, SEGMENT_RANGE_TYPE r,
					      bool (*fn)(SEGMENT_ITERATOR seg, void *arg),
					      void *arg)
{
	SEGMENT_(range_check)("set_visit_range", r);
	if (r.start == r.end)
		return;
	SEGMENT_ITERATOR seg = SEGMENT_(set_lower_bound_segment)(s, r.start);
	while (seg.node && SEGMENT_(iterator_start)(seg) < r.end && fn(seg, arg))
		seg = SEGMENT_(iterator_next_segment)(seg);
}

SEGMENT_PUBLIC void SEGMENT_(set_visit_full_range)(const SEGMENT_SET *s, SEGMENT_RANGE_TYPE r,
						   bool (*fn)(SEGMENT_ITERATOR seg, void *arg),
						   void *arg)
{
	SEGMENT_(range_check)("set_visit_full_range", r);
	SEGMENT_ITERATOR seg = SEGMENT_(set_lower_bound_segment)(s, r.start);
	while (r.start < r.end) {
		if (MEMMAP_UNLIKELY(!seg.node || SEGMENT_(iterator_start)(seg) > r.start))
			SEGMENT_PANIC_RANGE("set_visit_full_range",
					    "missing segment at the start of", r);
		if (!fn(seg, arg))
			return;
		r.start = SEGMENT_(iterator_end)(seg);
		seg = SEGMENT_(iterator_next_segment)(seg);
	}
}

/* Both mutations; `full` names the one that panics when a key of `r` is in no segment. */
SEGMENT_PRIVATE int SEGMENT_(set_mutate)(SEGMENT_SET *s, SEGMENT_RANGE_TYPE r,
					 bool (*fn)(SEGMENT_ITERATOR seg, void *arg), void *arg,
					 const char *full)
{
	if (r.start == r.end)
		return 0;
	SEGMENT_ITERATOR seg = SEGMENT_(set_find_segment)(s, r.end);
	bool splits_end = seg.node && SEGMENT_(iterator_start)(seg) < r.end;
	int err = SEGMENT_(set_split_edges)(s, r, true);
	if (err)
		return err;
	seg = SEGMENT_(set_lower_bound_segment)(s, r.start);
	SEGMENT_KEY expected = r.start;
	bool more = true;
	while (more && expected < r.end) {
		bool missing = !seg.node || SEGMENT_(iterator_start)(seg) > expected;
		if (MEMMAP_UNLIKELY(full && missing))
			SEGMENT_PANIC_RANGE(full, "missing segment at the start of",
					    SEGMENT_(key_range)(expected, r.end));
		if (!seg.node || SEGMENT_(iterator_start)(seg) >= r.end)
			break;
		more = fn(seg, arg);
		expected = SEGMENT_(iterator_end)(seg);
		seg = SEGMENT_(set_merge_prev)(s, seg);
		if (more)
			seg = SEGMENT_(iterator_next_segment)(seg);
		else
			seg = SEGMENT_(set_merge_next)(s, seg);
	}
	/* Close the edge at the end when the loop came to it, or when it was split for nothing. */
	seg = SEGMENT_(set_find_segment)(s, r.end);
	if ((more || splits_end) && seg.node && SEGMENT_(iterator_start)(seg) == r.end)
		(void)SEGMENT_(set_merge_prev)(s, seg);
	return 0;
}

SEGMENT_PUBLIC int SEGMENT_(set_mutate_range)(SEGMENT_SET *s, SEGMENT_RANGE_TYPE r,
					      bool (*fn)(SEGMENT_ITERATOR seg, void *arg),
					      void *arg)
{
	SEGMENT_(range_check)("set_mutate_range", r);
	return SEGMENT_(set_mutate)(s, r, fn, arg, NULL);
}

SEGMENT_PUBLIC int SEGMENT_(set_mutate_full_range)(SEGMENT_SET *s, SEGMENT_RANGE_TYPE r,
						   bool (*fn)(SEGMENT_ITERATOR seg, void *arg),
						   void *arg)
{
	SEGMENT_(range_check)("set_mutate_full_range", r);
	return SEGMENT_(set_mutate)(s, r, fn, arg, "set_mutate_full_range");
}
