/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Searching for gaps that are large enough, led by the largest gap recorded for each child.
 *
 * What is recorded is each gap before a segment. The set's last gap is looked at by itself. Unused
 * slots of an inner node record 0, so that a search for more than nothing may run over them.
 */

SEGMENT_PRIVATE SEGMENT_KEY SEGMENT_(gap_length)(SEGMENT_GAP_ITERATOR gap)
{
	return (SEGMENT_KEY)(SEGMENT_(gap_iterator_end)(gap) - SEGMENT_(gap_iterator_start)(gap));
}

/* The first child from `index` on with a gap of at least `min_size` > 0; the capacity: none. */
SEGMENT_PRIVATE size_t SEGMENT_(inner_gap_from)(const SEGMENT_INNER *inner, size_t index,
						SEGMENT_KEY min_size)
{
	while (index < SEGMENT_INNER_CAPACITY && inner->gaps[index] < min_size)
		index++;
	return index;
}

/* The lowest large gap at segment `index` of `leaf` or after it, in that leaf; or terminal. */
SEGMENT_PRIVATE SEGMENT_GAP_ITERATOR SEGMENT_(leaf_gap_from)(const SEGMENT_NODE *node, size_t index,
							     SEGMENT_KEY min_size)
{
	const SEGMENT_LEAF *leaf = SEGMENT_(node_leaf)(node);
	if (node->max_gap < min_size || index >= node->count)
		return SEGMENT_(gap_iterator_at)(NULL, 0);
	SEGMENT_KEY end = SEGMENT_(leaf_gap_start)(node, index);
	for (; index < node->count; index++) {
		if ((SEGMENT_KEY)(leaf->starts[index] - end) >= min_size)
			return SEGMENT_(gap_iterator_at)(node, index);
		end = leaf->ends[index];
	}
	return SEGMENT_(gap_iterator_at)(NULL, 0);
}

/*
 * The highest large gap before segment `index` - 1 of `leaf` or lower, in that leaf; or terminal.
 */
SEGMENT_PRIVATE SEGMENT_GAP_ITERATOR SEGMENT_(leaf_gap_below)(const SEGMENT_NODE *node,
							      size_t index, SEGMENT_KEY min_size)
{
	if (node->max_gap < min_size)
		return SEGMENT_(gap_iterator_at)(NULL, 0);
	while (index-- > 0) {
		SEGMENT_GAP_ITERATOR gap = SEGMENT_(gap_iterator_at)(node, index);
		if (SEGMENT_(gap_length)(gap) >= min_size)
			return gap;
	}
	return SEGMENT_(gap_iterator_at)(NULL, 0);
}

/* The lowest large gap below `node`, `level` levels above the leaves, which has one. */
SEGMENT_PRIVATE SEGMENT_GAP_ITERATOR SEGMENT_(node_first_gap)(const SEGMENT_NODE *node,
							      unsigned level, SEGMENT_KEY min_size)
{
	for (; level > 0; level--) {
		const SEGMENT_INNER *inner = SEGMENT_(node_inner)(node);
		node = inner->children[SEGMENT_(inner_gap_from)(inner, 0, min_size)];
	}
	return SEGMENT_(leaf_gap_from)(node, 0, min_size);
}

/* The highest one. */
SEGMENT_PRIVATE SEGMENT_GAP_ITERATOR SEGMENT_(node_last_gap)(const SEGMENT_NODE *node,
							     unsigned level, SEGMENT_KEY min_size)
{
	for (; level > 0; level--) {
		const SEGMENT_INNER *inner = SEGMENT_(node_inner)(node);
		size_t i = node->count - 1;
		while (inner->gaps[i] < min_size)
			i--;
		node = inner->children[i];
	}
	return SEGMENT_(leaf_gap_below)(node, node->count, min_size);
}

SEGMENT_PUBLIC SEGMENT_GAP_ITERATOR
SEGMENT_(gap_iterator_next_large_enough_gap)(SEGMENT_GAP_ITERATOR gap, SEGMENT_KEY min_size)
{
	if (MEMMAP_UNLIKELY(!gap.node))
		SEGMENT_(panic_terminal)("gap_iterator_next_large_enough_gap");
	if (gap.index == gap.node->count)
		return SEGMENT_(gap_iterator_at)(NULL, 0);
	if (min_size == 0)
		return SEGMENT_(gap_iterator_next_gap)(gap);
	const SEGMENT_NODE *node = gap.node;
	/* A key of the leaf's last segment: it leads from any node above to the leaf. */
	const SEGMENT_KEY key = (SEGMENT_KEY)(SEGMENT_(leaf_last_end)(node) - 1);
	gap = SEGMENT_(leaf_gap_from)(node, gap.index + 1, min_size);
	if (gap.node)
		return gap;
	/* Up to where something to the right has one, then down to it. */
	unsigned level = 0;
	for (; node->parent; node = node->parent, level++) {
		const SEGMENT_INNER *parent = SEGMENT_(node_inner)(node->parent);
		if (parent->node.max_gap < min_size)
			continue;
		size_t i = SEGMENT_(keys_rank)(parent->separators, SEGMENT_INNER_CAPACITY, key);
		i = SEGMENT_(inner_gap_from)(parent, i + 1, min_size);
		if (i < SEGMENT_INNER_CAPACITY)
			return SEGMENT_(node_first_gap)(parent->children[i], level, min_size);
	}
	/* Only the last gap is left. */
	for (; level > 0; level--)
		node = SEGMENT_(node_inner)(node)->children[node->count - 1];
	gap = SEGMENT_(gap_iterator_at)(node, node->count);
	return SEGMENT_(gap_length)(gap) >= min_size ? gap : SEGMENT_(gap_iterator_at)(NULL, 0);
}

SEGMENT_PUBLIC SEGMENT_GAP_ITERATOR
SEGMENT_(gap_iterator_prev_large_enough_gap)(SEGMENT_GAP_ITERATOR gap, SEGMENT_KEY min_size)
{
	if (MEMMAP_UNLIKELY(!gap.node))
		SEGMENT_(panic_terminal)("gap_iterator_prev_large_enough_gap");
	if (min_size == 0)
		return SEGMENT_(gap_iterator_prev_gap)(gap);
	const SEGMENT_NODE *node = gap.node;
	if (node->count == 0)
		return SEGMENT_(gap_iterator_at)(NULL, 0); /* the one gap of an empty set */
	const SEGMENT_KEY key = (SEGMENT_KEY)(SEGMENT_(leaf_last_end)(node) - 1);
	gap = SEGMENT_(leaf_gap_below)(node, gap.index, min_size);
	if (gap.node)
		return gap;
	unsigned level = 0;
	for (; node->parent; node = node->parent, level++) {
		const SEGMENT_INNER *parent = SEGMENT_(node_inner)(node->parent);
		if (parent->node.max_gap < min_size)
			continue;
		size_t i = SEGMENT_(keys_rank)(parent->separators, SEGMENT_INNER_CAPACITY, key);
		while (i-- > 0) {
			if (parent->gaps[i] >= min_size)
				return SEGMENT_(node_last_gap)(parent->children[i], level,
							       min_size);
		}
	}
	return SEGMENT_(gap_iterator_at)(NULL, 0);
}

SEGMENT_PUBLIC SEGMENT_GAP_ITERATOR SEGMENT_(set_first_large_enough_gap)(const SEGMENT_SET *s,
									 SEGMENT_KEY min_size)
{
	if (min_size == 0)
		return SEGMENT_(set_first_gap)(s);
	if (s->edge.parent && s->edge.parent->max_gap >= min_size)
		return SEGMENT_(node_first_gap)(s->edge.parent, s->height, min_size);
	SEGMENT_GAP_ITERATOR last = SEGMENT_(set_last_gap)(s);
	return SEGMENT_(gap_length)(last) >= min_size ? last : SEGMENT_(gap_iterator_at)(NULL, 0);
}

SEGMENT_PUBLIC SEGMENT_GAP_ITERATOR SEGMENT_(set_last_large_enough_gap)(const SEGMENT_SET *s,
									SEGMENT_KEY min_size)
{
	SEGMENT_GAP_ITERATOR last = SEGMENT_(set_last_gap)(s);
	if (SEGMENT_(gap_length)(last) >= min_size)
		return last;
	if (s->edge.parent && s->edge.parent->max_gap >= min_size)
		return SEGMENT_(node_last_gap)(s->edge.parent, s->height, min_size);
	return SEGMENT_(gap_iterator_at)(NULL, 0);
}

SEGMENT_PUBLIC SEGMENT_GAP_ITERATOR SEGMENT_(set_lower_bound_large_enough_gap)(const SEGMENT_SET *s,
									       SEGMENT_KEY min,
									       SEGMENT_KEY min_size)
{
	SEGMENT_GAP_ITERATOR gap = SEGMENT_(set_lower_bound_gap)(s, min);
	if (SEGMENT_(gap_length)(gap) >= min_size)
		return gap;
	return SEGMENT_(gap_iterator_next_large_enough_gap)(gap, min_size);
}

SEGMENT_PUBLIC SEGMENT_GAP_ITERATOR SEGMENT_(set_upper_bound_large_enough_gap)(const SEGMENT_SET *s,
									       SEGMENT_KEY max,
									       SEGMENT_KEY min_size)
{
	SEGMENT_GAP_ITERATOR gap = SEGMENT_(set_upper_bound_gap)(s, max);
	if (SEGMENT_(gap_length)(gap) >= min_size)
		return gap;
	return SEGMENT_(gap_iterator_prev_large_enough_gap)(gap, min_size);
}
