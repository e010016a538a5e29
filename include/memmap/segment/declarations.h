/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The segment set's public functions and what they promise.
 *
 * Throughout: a range given as that of a segment must not be empty, and an iterator must not be
 * terminal unless the function says otherwise; both panic in checked functions. "Invalidates" names
 * what a call that succeeds does to iterators (and to pointers got from them); a call that fails
 * invalidates nothing. Functions that read may run beside each other, one that changes the set may
 * not run beside any other.
 */

/* ---- The set ---- */

/**
 * Make an empty set over an allocator (NULL: the default). A set of zeros needs no initialising.
 *
 * The allocator must live as long as the set.
 */
SEGMENT_PUBLIC void SEGMENT_(set_init)(SEGMENT_SET *s, const struct memmap_allocator *allocator);

/**
 * Clear every value and free all memory, what set_reserve() keeps included.
 *
 * The set is then empty and usable, over the same allocator.
 *
 * Invalidates: every iterator
 */
SEGMENT_PUBLIC void SEGMENT_(set_destroy)(SEGMENT_SET *s);

/** Does the set hold no segment? */
SEGMENT_PUBLIC bool SEGMENT_(set_is_empty)(const SEGMENT_SET *s);

/**
 * Does no segment overlap `r`? True of an empty range.
 *
 * Requires:    `r` is well-formed; otherwise panics
 */
SEGMENT_PUBLIC bool SEGMENT_(set_is_empty_range)(const SEGMENT_SET *s, SEGMENT_RANGE_TYPE r);

/** The sum of the lengths of all segments. */
SEGMENT_PUBLIC SEGMENT_KEY SEGMENT_(set_span)(const SEGMENT_SET *s);

/**
 * The sum of the lengths of what of the segments lies in `r`.
 *
 * Requires:    `r` is well-formed; otherwise panics
 */
SEGMENT_PUBLIC SEGMENT_KEY SEGMENT_(set_span_range)(const SEGMENT_SET *s, SEGMENT_RANGE_TYPE r);

/* ---- Finding ---- */

/** The lowest segment; terminal when the set is empty. */
SEGMENT_PUBLIC SEGMENT_ITERATOR SEGMENT_(set_first_segment)(const SEGMENT_SET *s);

/** The highest segment; terminal when the set is empty. */
SEGMENT_PUBLIC SEGMENT_ITERATOR SEGMENT_(set_last_segment)(const SEGMENT_SET *s);

/** The gap before the first segment, which may be empty; an empty set's one gap. */
SEGMENT_PUBLIC SEGMENT_GAP_ITERATOR SEGMENT_(set_first_gap)(const SEGMENT_SET *s);

/** The gap after the last segment, which may be empty; an empty set's one gap. */
SEGMENT_PUBLIC SEGMENT_GAP_ITERATOR SEGMENT_(set_last_gap)(const SEGMENT_SET *s);

/**
 * Find the segment or the gap that holds `key`. The outputs must not be NULL.
 *
 * A key at or above SEGMENT_MAX_KEY is in the last gap.
 *
 * Returns:     true, `*seg` holds `key` and `*gap` is terminal; or
 *              false, `*gap` holds `key` and `*seg` is terminal
 */
SEGMENT_PUBLIC bool SEGMENT_(set_find)(const SEGMENT_SET *s, SEGMENT_KEY key, SEGMENT_ITERATOR *seg,
				       SEGMENT_GAP_ITERATOR *gap);

/** The segment that holds `key`; terminal when none does. */
SEGMENT_PUBLIC SEGMENT_ITERATOR SEGMENT_(set_find_segment)(const SEGMENT_SET *s, SEGMENT_KEY key);

/** The gap that holds `key`; terminal when a segment does. */
SEGMENT_PUBLIC SEGMENT_GAP_ITERATOR SEGMENT_(set_find_gap)(const SEGMENT_SET *s, SEGMENT_KEY key);

/** The lowest segment that holds a key at or above `min`; terminal when none does. */
SEGMENT_PUBLIC SEGMENT_ITERATOR SEGMENT_(set_lower_bound_segment)(const SEGMENT_SET *s,
								  SEGMENT_KEY min);

/** The highest segment that holds a key at or below `max`; terminal when none does. */
SEGMENT_PUBLIC SEGMENT_ITERATOR SEGMENT_(set_upper_bound_segment)(const SEGMENT_SET *s,
								  SEGMENT_KEY max);

/** The gap that holds `min`, or else the one after the segment that does, which may be empty. */
SEGMENT_PUBLIC SEGMENT_GAP_ITERATOR SEGMENT_(set_lower_bound_gap)(const SEGMENT_SET *s,
								  SEGMENT_KEY min);

/** The gap that holds `max`, or else the one before the segment that does, which may be empty. */
SEGMENT_PUBLIC SEGMENT_GAP_ITERATOR SEGMENT_(set_upper_bound_gap)(const SEGMENT_SET *s,
								  SEGMENT_KEY max);

/* ---- Inserting. On success the set owns the value; on failure it stays with the caller. ---- */

/**
 * Insert a segment, merging it with its neighbours where they permit it.
 *
 * Requires:    `r` is not empty; otherwise panics
 * Invalidates: every iterator
 * Returns:     0
 *              -EEXIST  `r` overlaps a segment, or reaches outside of the keys
 *              -ENOMEM
 * On failure:  nothing has changed
 */
SEGMENT_PUBLIC int SEGMENT_(set_add)(SEGMENT_SET *s, SEGMENT_RANGE_TYPE r,
				     SEGMENT_VALUE_TYPE value);

/** Like set_add(), as a segment of its own. */
SEGMENT_PUBLIC int SEGMENT_(set_add_without_merging)(SEGMENT_SET *s, SEGMENT_RANGE_TYPE r,
						     SEGMENT_VALUE_TYPE value);

/**
 * Insert a segment into a gap, merging it with its neighbours where they permit it: with the one
 * before first, then what came of that with the one after.
 *
 * Requires:    `r` is not empty and lies in `gap`; otherwise panics
 * Invalidates: every iterator but `*out`
 * Returns:     0, and `*out` (`out` may be NULL) is the segment that holds `r`
 *              -ENOMEM
 * On failure:  nothing has changed
 */
SEGMENT_PUBLIC int SEGMENT_(set_insert)(SEGMENT_SET *s, SEGMENT_GAP_ITERATOR gap,
					SEGMENT_RANGE_TYPE r, SEGMENT_VALUE_TYPE value,
					SEGMENT_ITERATOR *out);

/** Like set_insert(), as a segment of its own. */
SEGMENT_PUBLIC int SEGMENT_(set_insert_without_merging)(SEGMENT_SET *s, SEGMENT_GAP_ITERATOR gap,
							SEGMENT_RANGE_TYPE r,
							SEGMENT_VALUE_TYPE value,
							SEGMENT_ITERATOR *out);

/** Like set_insert_without_merging(), without checking what that requires. */
SEGMENT_PUBLIC int SEGMENT_(set_insert_without_merging_unchecked)(SEGMENT_SET *s,
								  SEGMENT_GAP_ITERATOR gap,
								  SEGMENT_RANGE_TYPE r,
								  SEGMENT_VALUE_TYPE value,
								  SEGMENT_ITERATOR *out);

/** Like set_try_insert_range(), but panics where that returns -EEXIST. */
SEGMENT_PUBLIC int SEGMENT_(set_insert_range)(SEGMENT_SET *s, SEGMENT_RANGE_TYPE r,
					      SEGMENT_VALUE_TYPE value, SEGMENT_ITERATOR *out);

/** set_add() that tells the segment which holds `r` then (`out` may be NULL). */
SEGMENT_PUBLIC int SEGMENT_(set_try_insert_range)(SEGMENT_SET *s, SEGMENT_RANGE_TYPE r,
						  SEGMENT_VALUE_TYPE value, SEGMENT_ITERATOR *out);

/**
 * Have the memory for the next `n` operations that insert or split, so that none of them can fail
 * for want of a node: SEGMENT_SPLIT may still fail.
 *
 * One that may split twice, at both edges of a range, counts once; importing counts each segment.
 * The promise holds through removals and merges between them. It is not added to what an earlier
 * call promised; the memory is kept until `n` operations have come, or set_destroy().
 *
 * Returns:     0
 *              -ENOMEM
 * On failure:  nothing has changed; an earlier promise holds
 */
SEGMENT_PUBLIC int SEGMENT_(set_reserve)(SEGMENT_SET *s, size_t n);

/* ---- Removing ---- */

/**
 * Remove a segment and clear its value.
 *
 * Invalidates: every iterator but the one returned
 * Returns:     the gap that it leaves
 */
SEGMENT_PUBLIC SEGMENT_GAP_ITERATOR SEGMENT_(set_remove)(SEGMENT_SET *s, SEGMENT_ITERATOR seg);

/** Like set_remove(), but hands the value over instead of clearing it. */
SEGMENT_PUBLIC SEGMENT_GAP_ITERATOR SEGMENT_(set_take)(SEGMENT_SET *s, SEGMENT_ITERATOR seg,
						       SEGMENT_VALUE_TYPE *out);

/**
 * Clear every value and free the nodes, but keep what set_reserve() promised.
 *
 * Invalidates: every iterator
 */
SEGMENT_PUBLIC void SEGMENT_(set_remove_all)(SEGMENT_SET *s);

/**
 * Remove what lies in `r`, splitting the segments that cross its edges.
 *
 * An empty range removes nothing; `*out` is then the gap that `r.start` lies in or begins a segment
 * at the end of, terminal when it lies inside a segment.
 *
 * Requires:    `r` is well-formed; otherwise panics
 * Invalidates: every iterator but `*out`
 * Returns:     0, and `*out` (`out` may be NULL) is the gap that holds `r`
 *              -ENOMEM, or what SEGMENT_SPLIT returned
 * On failure:  nothing has changed (see SEGMENT_UNSPLIT)
 */
SEGMENT_PUBLIC int SEGMENT_(set_remove_range)(SEGMENT_SET *s, SEGMENT_RANGE_TYPE r,
					      SEGMENT_GAP_ITERATOR *out);

/** Like set_remove_range(), but panics when some key of `r` is in no segment. */
SEGMENT_PUBLIC int SEGMENT_(set_remove_full_range)(SEGMENT_SET *s, SEGMENT_RANGE_TYPE r,
						   SEGMENT_GAP_ITERATOR *out);

/**
 * Replace what `s` holds with what `s2` holds; `s2` is then empty.
 *
 * Nodes are not copied, so `s` takes over the allocator of `s2`, and what set_reserve() promised of
 * it; what was promised of `s` goes. Moving a set from itself does nothing.
 *
 * Invalidates: every iterator into `s`, and gap iterators into an empty `s2`; other iterators into
 *              `s2` are iterators into `s` then
 */
SEGMENT_PUBLIC void SEGMENT_(set_move_from)(SEGMENT_SET *s, SEGMENT_SET *s2);

/* ---- Merging ---- */

/**
 * Merge two neighbours, if nothing lies between them and SEGMENT_MERGE permits it.
 *
 * Requires:    `second` comes next after `first`; otherwise panics
 * Invalidates: when they merge, every iterator but the one returned
 * Returns:     the merged segment; terminal when they do not merge
 */
SEGMENT_PUBLIC SEGMENT_ITERATOR SEGMENT_(set_merge)(SEGMENT_SET *s, SEGMENT_ITERATOR first,
						    SEGMENT_ITERATOR second);

/** Like set_merge(), without checking what that requires. */
SEGMENT_PUBLIC SEGMENT_ITERATOR SEGMENT_(set_merge_unchecked)(SEGMENT_SET *s,
							      SEGMENT_ITERATOR first,
							      SEGMENT_ITERATOR second);

/**
 * Merge `seg` with the segment before it, if there is one and it permits it.
 *
 * For loops that change segments in ascending order.
 *
 * Invalidates: when they merge, every iterator but the one returned
 * Returns:     the segment that holds what `seg` held
 */
SEGMENT_PUBLIC SEGMENT_ITERATOR SEGMENT_(set_merge_prev)(SEGMENT_SET *s, SEGMENT_ITERATOR seg);

/** Like set_merge_prev(), with the segment after it. */
SEGMENT_PUBLIC SEGMENT_ITERATOR SEGMENT_(set_merge_next)(SEGMENT_SET *s, SEGMENT_ITERATOR seg);

/** set_merge_prev(), then set_merge_next(): for what set_isolate() cut out. */
SEGMENT_PUBLIC SEGMENT_ITERATOR SEGMENT_(set_unisolate)(SEGMENT_SET *s, SEGMENT_ITERATOR seg);

/**
 * Merge the segment that holds `r.start` with the one before it, and the segment that holds
 * `r.end - 1` with the one after it, where they permit it.
 *
 * Invalidates: every iterator
 */
SEGMENT_PUBLIC void SEGMENT_(set_merge_adjacent)(SEGMENT_SET *s, SEGMENT_RANGE_TYPE r);

/** The same as set_merge_adjacent(): its name in the family's later form. */
SEGMENT_PUBLIC void SEGMENT_(set_merge_outside_range)(SEGMENT_SET *s, SEGMENT_RANGE_TYPE r);

/**
 * Merge all neighbours that both hold a key of `r`, where they permit it.
 *
 * Invalidates: every iterator
 */
SEGMENT_PUBLIC void SEGMENT_(set_merge_range)(SEGMENT_SET *s, SEGMENT_RANGE_TYPE r);

/** The same as set_merge_range(): its name in the family's later form. */
SEGMENT_PUBLIC void SEGMENT_(set_merge_inside_range)(SEGMENT_SET *s, SEGMENT_RANGE_TYPE r);

/** Merge all neighbours, where they permit it. Invalidates every iterator. */
SEGMENT_PUBLIC void SEGMENT_(set_merge_all)(SEGMENT_SET *s);

/* ---- Splitting ---- */

/**
 * Split a segment at a key.
 *
 * Requires:    `at` is inside the segment and not its start; otherwise panics
 * Invalidates: every iterator but the outputs
 * Returns:     0, and `*first` and `*second` (either may be NULL) are the two
 *              -ENOMEM, or what SEGMENT_SPLIT returned
 * On failure:  nothing has changed
 */
SEGMENT_PUBLIC int SEGMENT_(set_split)(SEGMENT_SET *s, SEGMENT_ITERATOR seg, SEGMENT_KEY at,
				       SEGMENT_ITERATOR *first, SEGMENT_ITERATOR *second);

/** Like set_split(), without checking what that requires. */
SEGMENT_PUBLIC int SEGMENT_(set_split_unchecked)(SEGMENT_SET *s, SEGMENT_ITERATOR seg,
						 SEGMENT_KEY at, SEGMENT_ITERATOR *first,
						 SEGMENT_ITERATOR *second);

/**
 * Split the segment that straddles a key, if there is one.
 *
 * Invalidates: when it splits, every iterator
 * Returns:     1  it split one
 *              0  no segment lies on both sides of `at`
 *              -ENOMEM, or what SEGMENT_SPLIT returned
 * On failure:  nothing has changed
 */
SEGMENT_PUBLIC int SEGMENT_(set_split_at)(SEGMENT_SET *s, SEGMENT_KEY at);

/**
 * See that a segment does not begin before `start`, by splitting it there if it does.
 *
 * Requires:    `start` is below the segment's end
 * Invalidates: when it splits, every iterator but `*out`
 * Returns:     0, and `*out` (may be NULL) is the part from `start`, or `seg`
 *              -ENOMEM, or what SEGMENT_SPLIT returned
 * On failure:  nothing has changed
 */
SEGMENT_PUBLIC int SEGMENT_(set_split_before)(SEGMENT_SET *s, SEGMENT_ITERATOR seg,
					      SEGMENT_KEY start, SEGMENT_ITERATOR *out);

/**
 * See that a segment does not end after `end`: like set_split_before(), `*out` the part up to it.
 */
SEGMENT_PUBLIC int SEGMENT_(set_split_after)(SEGMENT_SET *s, SEGMENT_ITERATOR seg, SEGMENT_KEY end,
					     SEGMENT_ITERATOR *out);

/**
 * See that a segment does not reach outside of `r`, by splitting it at the edges that it crosses.
 *
 * Requires:    the segment overlaps `r`
 * Invalidates: when it splits, every iterator but `*out`
 * Returns:     0, and `*out` (may be NULL) is the part in `r`
 *              -ENOMEM, or what SEGMENT_SPLIT returned
 * On failure:  nothing has changed (see SEGMENT_UNSPLIT)
 */
SEGMENT_PUBLIC int SEGMENT_(set_isolate)(SEGMENT_SET *s, SEGMENT_ITERATOR seg, SEGMENT_RANGE_TYPE r,
					 SEGMENT_ITERATOR *out);

/* ---- Over ranges. The callbacks must not invalidate iterators; they may change the value. ---- */

/**
 * Call `fn` for the segments of `r` from its start up to the first gap, having split those that
 * cross the edges of `r`.
 *
 * All splitting is done before the first call; a segment that crosses the end of `r` behind a gap
 * is not split. For an empty range nothing is called.
 *
 * Requires:    `r` is well-formed; otherwise panics
 * Invalidates: every iterator but `*out`
 * Returns:     0, and `*out` (may be NULL) is the gap that ended it; terminal when there was none
 *              -ENOMEM, or what SEGMENT_SPLIT returned
 * On failure:  nothing has changed, `fn` was not called (see SEGMENT_UNSPLIT)
 */
SEGMENT_PUBLIC int SEGMENT_(set_apply_contiguous)(SEGMENT_SET *s, SEGMENT_RANGE_TYPE r,
						  void (*fn)(SEGMENT_ITERATOR seg, void *arg),
						  void *arg, SEGMENT_GAP_ITERATOR *out);

/**
 * Call `fn` for each segment that overlaps `r`, in ascending order, until it returns false.
 *
 * Nothing is split: the first and the last may reach outside of `r`.
 *
 * Requires:    `r` is well-formed; otherwise panics
 */
SEGMENT_PUBLIC void SEGMENT_(set_visit_range)(const SEGMENT_SET *s, SEGMENT_RANGE_TYPE r,
					      bool (*fn)(SEGMENT_ITERATOR seg, void *arg),
					      void *arg);

/** Like set_visit_range(), but panics on coming to a key of `r` that is in no segment. */
SEGMENT_PUBLIC void SEGMENT_(set_visit_full_range)(const SEGMENT_SET *s, SEGMENT_RANGE_TYPE r,
						   bool (*fn)(SEGMENT_ITERATOR seg, void *arg),
						   void *arg);

/**
 * Call `fn`, which may change values, for each segment that overlaps `r`, in ascending order, until
 * it returns false; it sees only segments within `r`.
 *
 * Segments that cross the edges of `r` are split before the first call. Each segment that `fn` has
 * seen is then merged with its neighbours, where they permit it, and so are the two sides of each
 * edge that was split, also when `fn` did not come that far.
 *
 * Requires:    `r` is well-formed; otherwise panics
 * Invalidates: every iterator
 * Returns:     0
 *              -ENOMEM, or what SEGMENT_SPLIT returned
 * On failure:  nothing has changed, `fn` was not called (see SEGMENT_UNSPLIT)
 */
SEGMENT_PUBLIC int SEGMENT_(set_mutate_range)(SEGMENT_SET *s, SEGMENT_RANGE_TYPE r,
					      bool (*fn)(SEGMENT_ITERATOR seg, void *arg),
					      void *arg);

/** Like set_mutate_range(), but panics on coming to a key of `r` that is in no segment. */
SEGMENT_PUBLIC int SEGMENT_(set_mutate_full_range)(SEGMENT_SET *s, SEGMENT_RANGE_TYPE r,
						   bool (*fn)(SEGMENT_ITERATOR seg, void *arg),
						   void *arg);

/* ---- Whole sets ---- */

/**
 * Copy all segments out, in ascending order, values duplicated with SEGMENT_DUP_VALUE.
 *
 * The memory is the default allocator's.
 *
 * Returns:     0, and `*out`, to be released with segment_data_slices_release()
 *              -ENOMEM, or what SEGMENT_DUP_VALUE returned
 */
SEGMENT_PUBLIC int SEGMENT_(set_export_sorted_slices)(const SEGMENT_SET *s, SEGMENT_SLICES *out);

/** Clear the values, free the memory and leave the slices empty. */
SEGMENT_PUBLIC void SEGMENT_(segment_data_slices_release)(SEGMENT_SLICES *slices);

/**
 * Fill an empty set with duplicates of the segments in `slices`; nothing is merged.
 *
 * Invalidates: every iterator
 * Returns:     0
 *              -EEXIST  the set is not empty
 *              -EINVAL  a segment is empty, reaches outside of the keys, overlaps another, or comes
 *                       after a higher one
 *              -ENOMEM, or what SEGMENT_DUP_VALUE returned
 * On failure:  nothing has changed
 */
SEGMENT_PUBLIC int SEGMENT_(set_import_sorted_slices)(SEGMENT_SET *s, const SEGMENT_SLICES *slices);

/**
 * The tree as text for people to read, indented by depth.
 *
 * Returns:     a string to be freed with memmap_free(); NULL when out of memory
 */
SEGMENT_PUBLIC char *SEGMENT_(set_to_string)(const SEGMENT_SET *s);

/**
 * Check every invariant of the whole tree.
 *
 * Returns:     0
 *              -EINVAL  one is broken: a line on stderr says which
 */
SEGMENT_PUBLIC int SEGMENT_(set_verify)(const SEGMENT_SET *s);

/* ---- Segment iterators ---- */

/** Is the iterator not terminal? */
SEGMENT_PUBLIC bool SEGMENT_(iterator_ok)(SEGMENT_ITERATOR seg);

/** Are both the same segment, or both terminal? */
SEGMENT_PUBLIC bool SEGMENT_(iterator_equal)(SEGMENT_ITERATOR a, SEGMENT_ITERATOR b);

SEGMENT_PUBLIC SEGMENT_RANGE_TYPE SEGMENT_(iterator_range)(SEGMENT_ITERATOR seg);
SEGMENT_PUBLIC SEGMENT_KEY SEGMENT_(iterator_start)(SEGMENT_ITERATOR seg);
SEGMENT_PUBLIC SEGMENT_KEY SEGMENT_(iterator_end)(SEGMENT_ITERATOR seg);

/** A shallow copy of the value: what it owns is still the set's. */
SEGMENT_PUBLIC SEGMENT_VALUE_TYPE SEGMENT_(iterator_value)(SEGMENT_ITERATOR seg);

/** The value where it lies, to be read or changed; valid as long as the iterator. */
SEGMENT_PUBLIC SEGMENT_VALUE_TYPE *SEGMENT_(iterator_value_ptr)(SEGMENT_ITERATOR seg);

/**
 * Clear the value and put another one in its place, which the set then owns.
 *
 * To change a value, or to keep the old one, go through iterator_value_ptr() instead: it clears
 * nothing.
 *
 * Invalidates: nothing
 */
SEGMENT_PUBLIC void SEGMENT_(iterator_set_value)(SEGMENT_ITERATOR seg, SEGMENT_VALUE_TYPE value);

/**
 * Move a segment's start; the value stays as it is.
 *
 * Requires:    the segment is not empty then, overlaps no other and stays within the keys;
 *              otherwise panics
 * Invalidates: nothing
 */
SEGMENT_PUBLIC void SEGMENT_(iterator_set_start)(SEGMENT_ITERATOR seg, SEGMENT_KEY start);

/** Like iterator_set_start(), the end. */
SEGMENT_PUBLIC void SEGMENT_(iterator_set_end)(SEGMENT_ITERATOR seg, SEGMENT_KEY end);

/** Like iterator_set_start(), both; the new range need not touch the old one. */
SEGMENT_PUBLIC void SEGMENT_(iterator_set_range)(SEGMENT_ITERATOR seg, SEGMENT_RANGE_TYPE r);

/** Like iterator_set_start(), without checking what that requires. */
SEGMENT_PUBLIC void SEGMENT_(iterator_set_start_unchecked)(SEGMENT_ITERATOR seg, SEGMENT_KEY start);

/** Like iterator_set_end(), without checking what that requires. */
SEGMENT_PUBLIC void SEGMENT_(iterator_set_end_unchecked)(SEGMENT_ITERATOR seg, SEGMENT_KEY end);

/** Like iterator_set_range(), without checking what that requires. */
SEGMENT_PUBLIC void SEGMENT_(iterator_set_range_unchecked)(SEGMENT_ITERATOR seg,
							   SEGMENT_RANGE_TYPE r);

/** The segment before; terminal when this is the first. */
SEGMENT_PUBLIC SEGMENT_ITERATOR SEGMENT_(iterator_prev_segment)(SEGMENT_ITERATOR seg);

/** The segment after; terminal when this is the last. */
SEGMENT_PUBLIC SEGMENT_ITERATOR SEGMENT_(iterator_next_segment)(SEGMENT_ITERATOR seg);

/** The gap before, which may be empty. */
SEGMENT_PUBLIC SEGMENT_GAP_ITERATOR SEGMENT_(iterator_prev_gap)(SEGMENT_ITERATOR seg);

/** The gap after, which may be empty. */
SEGMENT_PUBLIC SEGMENT_GAP_ITERATOR SEGMENT_(iterator_next_gap)(SEGMENT_ITERATOR seg);

/**
 * The segment before if it is adjacent, else the gap before; the outputs must not be NULL.
 *
 * The other output is terminal; both are when the segment starts at the lowest key.
 */
SEGMENT_PUBLIC void SEGMENT_(iterator_prev_non_empty)(SEGMENT_ITERATOR it, SEGMENT_ITERATOR *seg,
						      SEGMENT_GAP_ITERATOR *gap);

/** The segment after if it is adjacent, else the gap after: like iterator_prev_non_empty(). */
SEGMENT_PUBLIC void SEGMENT_(iterator_next_non_empty)(SEGMENT_ITERATOR it, SEGMENT_ITERATOR *seg,
						      SEGMENT_GAP_ITERATOR *gap);

/* ---- Gap iterators. Between adjacent segments there is a gap too, an empty one. ---- */

/** Is the iterator not terminal? */
SEGMENT_PUBLIC bool SEGMENT_(gap_iterator_ok)(SEGMENT_GAP_ITERATOR gap);

/** Are both the same gap, or both terminal? */
SEGMENT_PUBLIC bool SEGMENT_(gap_iterator_equal)(SEGMENT_GAP_ITERATOR a, SEGMENT_GAP_ITERATOR b);

SEGMENT_PUBLIC SEGMENT_RANGE_TYPE SEGMENT_(gap_iterator_range)(SEGMENT_GAP_ITERATOR gap);
SEGMENT_PUBLIC SEGMENT_KEY SEGMENT_(gap_iterator_start)(SEGMENT_GAP_ITERATOR gap);
SEGMENT_PUBLIC SEGMENT_KEY SEGMENT_(gap_iterator_end)(SEGMENT_GAP_ITERATOR gap);
SEGMENT_PUBLIC bool SEGMENT_(gap_iterator_is_empty)(SEGMENT_GAP_ITERATOR gap);

/** The segment before; terminal when this is the first gap. */
SEGMENT_PUBLIC SEGMENT_ITERATOR SEGMENT_(gap_iterator_prev_segment)(SEGMENT_GAP_ITERATOR gap);

/** The segment after; terminal when this is the last gap. */
SEGMENT_PUBLIC SEGMENT_ITERATOR SEGMENT_(gap_iterator_next_segment)(SEGMENT_GAP_ITERATOR gap);

/** The gap before, which may be empty; terminal when this is the first. */
SEGMENT_PUBLIC SEGMENT_GAP_ITERATOR SEGMENT_(gap_iterator_prev_gap)(SEGMENT_GAP_ITERATOR gap);

/** The gap after, which may be empty; terminal when this is the last. */
SEGMENT_PUBLIC SEGMENT_GAP_ITERATOR SEGMENT_(gap_iterator_next_gap)(SEGMENT_GAP_ITERATOR gap);

/*
 * ---- Large gaps, when SEGMENT_TRACK_GAPS is 1. With a `min_size` of 0 every gap is large enough.
 */

#if SEGMENT_TRACK_GAPS
#	define SEGMENT_GAPS_ONLY SEGMENT_PUBLIC
#elif defined(__has_attribute)
#	if __has_attribute(error)
#		define SEGMENT_GAPS_ONLY                                                          \
			__attribute__((error("this set does not track gaps: "                      \
					     "define SEGMENT_TRACK_GAPS 1")))
#	endif
#endif

#ifdef SEGMENT_GAPS_ONLY

/** The lowest gap of at least `min_size` keys; terminal when there is none. */
SEGMENT_GAPS_ONLY SEGMENT_GAP_ITERATOR SEGMENT_(set_first_large_enough_gap)(const SEGMENT_SET *s,
									    SEGMENT_KEY min_size);

/** The highest gap of at least `min_size` keys; terminal when there is none. */
SEGMENT_GAPS_ONLY SEGMENT_GAP_ITERATOR SEGMENT_(set_last_large_enough_gap)(const SEGMENT_SET *s,
									   SEGMENT_KEY min_size);

/**
 * The lowest gap of at least `min_size` keys among set_lower_bound_gap() of `min` and those after.
 *
 * Its whole length counts: of the gap that holds `min` there may be less above `min`.
 */
SEGMENT_GAPS_ONLY SEGMENT_GAP_ITERATOR SEGMENT_(set_lower_bound_large_enough_gap)(
	const SEGMENT_SET *s, SEGMENT_KEY min, SEGMENT_KEY min_size);

/** The highest one among set_upper_bound_gap() of `max` and those before: the same downwards. */
SEGMENT_GAPS_ONLY SEGMENT_GAP_ITERATOR SEGMENT_(set_upper_bound_large_enough_gap)(
	const SEGMENT_SET *s, SEGMENT_KEY max, SEGMENT_KEY min_size);

/** The lowest gap of at least `min_size` keys after this one; terminal when there is none. */
SEGMENT_GAPS_ONLY SEGMENT_GAP_ITERATOR SEGMENT_(gap_iterator_next_large_enough_gap)(
	SEGMENT_GAP_ITERATOR gap, SEGMENT_KEY min_size);

/** The highest gap of at least `min_size` keys before this one; terminal when there is none. */
SEGMENT_GAPS_ONLY SEGMENT_GAP_ITERATOR SEGMENT_(gap_iterator_prev_large_enough_gap)(
	SEGMENT_GAP_ITERATOR gap, SEGMENT_KEY min_size);

#	undef SEGMENT_GAPS_ONLY
#endif
