/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Nodes: their layout, the search inside one, and moving entries within and between them.
 *
 * A leaf keeps the ends of its segments apart from their starts and their values, because only ends
 * are searched. Whatever a node does not use of `ends`, `starts` and `separators` holds the key
 * type's maximum, which is above every key searched for: so the search counts over the whole array,
 * in a fixed number of steps and without a branch that depends on the keys.
 */

struct SEGMENT_(leaf) {
	SEGMENT_NODE node;
	SEGMENT_KEY ends[SEGMENT_LEAF_CAPACITY];
	SEGMENT_KEY starts[SEGMENT_LEAF_CAPACITY];
	SEGMENT_VALUE_TYPE values[SEGMENT_LEAF_CAPACITY];
};

struct SEGMENT_(inner) {
	SEGMENT_NODE node;
	/* The end of the last segment below each child but the last. */
	SEGMENT_KEY separators[SEGMENT_INNER_CAPACITY];
	SEGMENT_NODE *children[SEGMENT_INNER_CAPACITY];
#if SEGMENT_TRACK_GAPS
	SEGMENT_KEY gaps[SEGMENT_INNER_CAPACITY]; /* each child's max_gap; 0 where there is none */
#endif
};

/* A place among the segments of the tree: before segment `index` of the leaf `node`. */
struct SEGMENT_(place) {
	SEGMENT_NODE *node;
	size_t index;
};

SEGMENT_PRIVATE SEGMENT_LEAF *SEGMENT_(node_leaf)(const SEGMENT_NODE *node)
{
	return (SEGMENT_LEAF *)node;
}

SEGMENT_PRIVATE SEGMENT_INNER *SEGMENT_(node_inner)(const SEGMENT_NODE *node)
{
	return (SEGMENT_INNER *)node;
}

/* The limits as functions: comparing with a constant 0 or 255 draws warnings. */
SEGMENT_PRIVATE SEGMENT_KEY SEGMENT_(key_min)(void)
{
	return SEGMENT_MIN_KEY;
}

SEGMENT_PRIVATE SEGMENT_KEY SEGMENT_(key_max)(void)
{
	return SEGMENT_MAX_KEY;
}

SEGMENT_PRIVATE SEGMENT_RANGE_TYPE SEGMENT_(key_range)(SEGMENT_KEY start, SEGMENT_KEY end)
{
	SEGMENT_RANGE_TYPE r;
	r.start = start;
	r.end = end;
	return r;
}

/* How many of eight keys are at or below `key`. */
SEGMENT_PRIVATE size_t SEGMENT_(keys_rank8)(const SEGMENT_KEY *keys, SEGMENT_KEY key)
{
	/* As a tree of sums: a compiler must not make a chain of eight of them. */
	size_t a = (size_t)(keys[0] <= key) + (size_t)(keys[1] <= key);
	size_t b = (size_t)(keys[2] <= key) + (size_t)(keys[3] <= key);
	size_t c = (size_t)(keys[4] <= key) + (size_t)(keys[5] <= key);
	size_t d = (size_t)(keys[6] <= key) + (size_t)(keys[7] <= key);
	return (a + b) + (c + d);
}

/*
 * How many of `capacity` sorted keys are at or below `key`. `capacity` is a constant.
 *
 * One probe in each group of eight finds the group, then its eight are counted.
 */
SEGMENT_PRIVATE __attribute__((always_inline)) size_t SEGMENT_(keys_rank)(const SEGMENT_KEY *keys,
									  size_t capacity,
									  SEGMENT_KEY key)
{
	size_t rank = 0;
	if (capacity % 8 != 0) {
		for (size_t i = 0; i < capacity; i++)
			rank += keys[i] <= key;
		return rank;
	}
	for (size_t group = 8; group < capacity; group += 8)
		rank += (size_t)(keys[group - 1] <= key) * 8;
	return rank + SEGMENT_(keys_rank8)(keys + rank, key);
}

SEGMENT_PRIVATE SEGMENT_KEY SEGMENT_(leaf_last_end)(const SEGMENT_NODE *leaf)
{
	return SEGMENT_(node_leaf)(leaf)->ends[leaf->count - 1];
}

/* Where the gap before segment `index` begins. */
SEGMENT_PRIVATE SEGMENT_KEY SEGMENT_(leaf_gap_start)(const SEGMENT_NODE *leaf, size_t index)
{
	if (index > 0)
		return SEGMENT_(node_leaf)(leaf)->ends[index - 1];
	return leaf->prev ? SEGMENT_(leaf_last_end)(leaf->prev) : SEGMENT_(key_min)();
}

/*
 * Segments are moved by fours, ends, starts and values in one loop: a call of memmove() for each
 * would mispredict its way through the sizes every time. Fours that would reach beyond the arrays,
 * and values that are large, take the plain way.
 */
#define SEGMENT_MOVES_BY_FOURS (sizeof(SEGMENT_VALUE_TYPE) <= 16)

/* Four segments on their way from one place in a leaf to another. */
struct SEGMENT_(four) {
	SEGMENT_KEY ends[4];
	SEGMENT_KEY starts[4];
	SEGMENT_VALUE_TYPE values[4];
};

SEGMENT_PRIVATE __attribute__((always_inline)) void SEGMENT_(leaf_load_four)(
	const SEGMENT_LEAF *leaf, size_t index, struct SEGMENT_(four) * four)
{
	memcpy(four->ends, leaf->ends + index, sizeof(four->ends));
	memcpy(four->starts, leaf->starts + index, sizeof(four->starts));
	memcpy((void *)four->values, (const void *)(leaf->values + index), sizeof(four->values));
}

SEGMENT_PRIVATE __attribute__((always_inline)) void SEGMENT_(leaf_store_four)(
	SEGMENT_LEAF *leaf, size_t index, const struct SEGMENT_(four) * four)
{
	memcpy(leaf->ends + index, four->ends, sizeof(four->ends));
	memcpy(leaf->starts + index, four->starts, sizeof(four->starts));
	memcpy((void *)(leaf->values + index), (const void *)four->values, sizeof(four->values));
}

/* Move `n` segments within a leaf. */
SEGMENT_PRIVATE void SEGMENT_(leaf_move)(SEGMENT_LEAF *leaf, size_t to, size_t from, size_t n)
{
	memmove(leaf->ends + to, leaf->ends + from, n * sizeof(SEGMENT_KEY));
	memmove(leaf->starts + to, leaf->starts + from, n * sizeof(SEGMENT_KEY));
	memmove((void *)(leaf->values + to), (void *)(leaf->values + from),
		n * sizeof(SEGMENT_VALUE_TYPE));
}

/* Open a slot at `index` of a leaf that is not full; what is in it is for the caller to write. */
SEGMENT_PRIVATE void SEGMENT_(leaf_open)(SEGMENT_LEAF *leaf, size_t index)
{
	const size_t count = leaf->node.count++;
	if (index == count)
		return; /* appending is common enough to be spared all this */
	if (!SEGMENT_MOVES_BY_FOURS || index + 5 > SEGMENT_LEAF_CAPACITY) {
		SEGMENT_(leaf_move)(leaf, index + 1, index, count - index);
		return;
	}
	/* The lowest four are taken first and put last, so that the others may overlap them. */
	struct SEGMENT_(four) lowest, four;
	SEGMENT_(leaf_load_four)(leaf, index, &lowest);
	for (size_t i = count; i > index + 4; i -= 4) {
		SEGMENT_(leaf_load_four)(leaf, i - 4, &four);
		SEGMENT_(leaf_store_four)(leaf, i - 3, &four);
	}
	SEGMENT_(leaf_store_four)(leaf, index + 1, &lowest);
}

/* Close the slot at `index`; its value has left. */
SEGMENT_PRIVATE void SEGMENT_(leaf_close)(SEGMENT_LEAF *leaf, size_t index)
{
	const size_t last = --leaf->node.count;
	size_t i = index;
	if (SEGMENT_MOVES_BY_FOURS) {
		struct SEGMENT_(four) four;
		for (; i < last && i + 5 <= SEGMENT_LEAF_CAPACITY; i += 4) {
			SEGMENT_(leaf_load_four)(leaf, i + 1, &four);
			SEGMENT_(leaf_store_four)(leaf, i, &four);
		}
	}
	if (i < last)
		SEGMENT_(leaf_move)(leaf, i, i + 1, last - i);
	leaf->ends[last] = SEGMENT_LAST_KEY;
	leaf->starts[last] = SEGMENT_LAST_KEY;
}

/* Copy `n` segments to unused slots of another leaf, or from slots that will be overwritten. */
SEGMENT_PRIVATE void SEGMENT_(leaf_copy)(SEGMENT_LEAF *to, size_t to_index, SEGMENT_LEAF *from,
					 size_t from_index, size_t n)
{
	memmove(to->ends + to_index, from->ends + from_index, n * sizeof(SEGMENT_KEY));
	memmove(to->starts + to_index, from->starts + from_index, n * sizeof(SEGMENT_KEY));
	memmove((void *)(to->values + to_index), (void *)(from->values + from_index),
		n * sizeof(SEGMENT_VALUE_TYPE));
}

/* Set the count and fill the slots from there up to `used`. */
SEGMENT_PRIVATE void SEGMENT_(leaf_truncate)(SEGMENT_LEAF *leaf, size_t count, size_t used)
{
	for (size_t i = count; i < used; i++) {
		leaf->ends[i] = SEGMENT_LAST_KEY;
		leaf->starts[i] = SEGMENT_LAST_KEY;
	}
	leaf->node.count = (uint32_t)count;
}

/* Which child of its parent `node` is. */
SEGMENT_PRIVATE size_t SEGMENT_(inner_position)(const SEGMENT_INNER *parent,
						const SEGMENT_NODE *node)
{
	size_t i = 0;
	while (parent->children[i] != node)
		i++;
	return i;
}

/* Put `child` at slot `index`, which is unused or will be overwritten. */
SEGMENT_PRIVATE void SEGMENT_(inner_put)(SEGMENT_INNER *inner, size_t index, SEGMENT_NODE *child)
{
	inner->children[index] = child;
	child->parent = &inner->node;
#if SEGMENT_TRACK_GAPS
	inner->gaps[index] = child->max_gap;
#endif
}

/* Copy `n` children, and the separators after each of the first `n_separators` of them. */
SEGMENT_PRIVATE void SEGMENT_(inner_copy)(SEGMENT_INNER *to, size_t to_index, SEGMENT_INNER *from,
					  size_t from_index, size_t n, size_t n_separators)
{
	memmove(to->separators + to_index, from->separators + from_index,
		n_separators * sizeof(SEGMENT_KEY));
	memmove(to->children + to_index, from->children + from_index, n * sizeof(SEGMENT_NODE *));
#if SEGMENT_TRACK_GAPS
	memmove(to->gaps + to_index, from->gaps + from_index, n * sizeof(SEGMENT_KEY));
#endif
	if (to != from) {
		for (size_t i = to_index; i < to_index + n; i++)
			to->children[i]->parent = &to->node;
	}
}

/* Set the count and fill what is unused then, up to slot `used`. */
SEGMENT_PRIVATE void SEGMENT_(inner_truncate)(SEGMENT_INNER *inner, size_t count, size_t used)
{
	for (size_t i = count > 0 ? count - 1 : 0; i < used; i++)
		inner->separators[i] = SEGMENT_LAST_KEY;
#if SEGMENT_TRACK_GAPS
	for (size_t i = count; i < used; i++)
		inner->gaps[i] = 0;
#endif
	inner->node.count = (uint32_t)count;
}

#if SEGMENT_TRACK_GAPS

SEGMENT_PRIVATE SEGMENT_KEY SEGMENT_(key_larger)(SEGMENT_KEY a, SEGMENT_KEY b)
{
	return a > b ? a : b;
}

/* The largest gap before a segment of `leaf`, from the segments themselves. */
SEGMENT_PRIVATE SEGMENT_KEY SEGMENT_(leaf_largest_gap)(const SEGMENT_NODE *node)
{
	const SEGMENT_LEAF *leaf = SEGMENT_(node_leaf)(node);
	if (node->count == 0)
		return 0;
	/* Two at a time, which do not wait for each other. */
	SEGMENT_KEY odd = 0;
	SEGMENT_KEY even = (SEGMENT_KEY)(leaf->starts[0] - SEGMENT_(leaf_gap_start)(node, 0));
	size_t i = 1;
	for (; i + 1 < node->count; i += 2) {
		odd = SEGMENT_(key_larger)(odd, (SEGMENT_KEY)(leaf->starts[i] - leaf->ends[i - 1]));
		even = SEGMENT_(key_larger)(even,
					    (SEGMENT_KEY)(leaf->starts[i + 1] - leaf->ends[i]));
	}
	if (i < node->count)
		odd = SEGMENT_(key_larger)(odd, (SEGMENT_KEY)(leaf->starts[i] - leaf->ends[i - 1]));
	return SEGMENT_(key_larger)(odd, even);
}

/* The capacity is even, and what is unused is 0. */
SEGMENT_PRIVATE SEGMENT_KEY SEGMENT_(inner_largest_gap)(const SEGMENT_INNER *inner)
{
	SEGMENT_KEY odd = 0, even = 0;
	for (size_t i = 0; i < SEGMENT_INNER_CAPACITY; i += 2) {
		even = SEGMENT_(key_larger)(even, inner->gaps[i]);
		odd = SEGMENT_(key_larger)(odd, inner->gaps[i + 1]);
	}
	return SEGMENT_(key_larger)(odd, even);
}

/* Record `gap` as the largest below `node`, here and as far up as it makes a difference. */
SEGMENT_PRIVATE void SEGMENT_(node_set_max_gap)(SEGMENT_NODE *node, SEGMENT_KEY gap)
{
	while (gap != node->max_gap) {
		SEGMENT_KEY old = node->max_gap;
		node->max_gap = gap;
		if (!node->parent)
			return;
		SEGMENT_INNER *parent = SEGMENT_(node_inner)(node->parent);
		parent->gaps[SEGMENT_(inner_position)(parent, node)] = gap;
		node = &parent->node;
		/* Above, it matters as the largest, or as what was the largest. */
		if (gap > old ? gap <= node->max_gap : old < node->max_gap)
			return;
		if (gap < old)
			gap = SEGMENT_(inner_largest_gap)(parent);
	}
}

#endif

/* The gaps before the segments of `leaf` (NULL: none) may have changed. */
SEGMENT_PRIVATE void SEGMENT_(leaf_gaps_changed)(SEGMENT_NODE *leaf)
{
#if SEGMENT_TRACK_GAPS
	if (leaf)
		SEGMENT_(node_set_max_gap)(leaf, SEGMENT_(leaf_largest_gap)(leaf));
#else
	(void)leaf;
#endif
}

/* The gap before segment `index` of `leaf` has grown, or come. */
SEGMENT_PRIVATE void SEGMENT_(leaf_gap_grown)(SEGMENT_NODE *leaf, size_t index)
{
#if SEGMENT_TRACK_GAPS
	if (index == leaf->count)
		return; /* the set's last gap */
	SEGMENT_KEY gap = (SEGMENT_KEY)(SEGMENT_(node_leaf)(leaf)->starts[index] -
					SEGMENT_(leaf_gap_start)(leaf, index));
	if (gap > leaf->max_gap)
		SEGMENT_(node_set_max_gap)(leaf, gap);
#else
	(void)leaf;
	(void)index;
#endif
}

/* A gap of `leaf` that was of length `gap` has shrunk, or gone. */
SEGMENT_PRIVATE void SEGMENT_(leaf_gap_shrunk)(SEGMENT_NODE *leaf, SEGMENT_KEY gap)
{
#if SEGMENT_TRACK_GAPS
	if (gap == leaf->max_gap && gap != 0)
		SEGMENT_(node_set_max_gap)(leaf, SEGMENT_(leaf_largest_gap)(leaf));
#else
	(void)leaf;
	(void)gap;
#endif
}

/* The last segment of a leaf that is not empty ends elsewhere: correct the one separator of it. */
SEGMENT_PRIVATE void SEGMENT_(leaf_last_end_changed)(SEGMENT_NODE *leaf)
{
	if (!leaf->next)
		return;
	for (SEGMENT_NODE *node = leaf; node->parent; node = node->parent) {
		SEGMENT_INNER *parent = SEGMENT_(node_inner)(node->parent);
		size_t position = SEGMENT_(inner_position)(parent, node);
		if (position + 1 < parent->node.count) {
			parent->separators[position] = SEGMENT_(leaf_last_end)(leaf);
			return;
		}
	}
}
