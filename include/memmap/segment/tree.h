/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tree: nodes in hand, inserting at a place, removing from one, and keeping nodes filled.
 *
 * Nothing here can fail but tree_stock(): who inserts first sees to it that the nodes which that
 * may take are in hand.
 */

SEGMENT_PRIVATE void SEGMENT_(tree_free)(SEGMENT_SET *s, SEGMENT_NODE *list, size_t size)
{
	while (list) {
		SEGMENT_NODE *next = list->parent;
		memmap_deallocate(s->allocator, list, size);
		list = next;
	}
}

/* Give back the nodes in hand, unless they were promised. */
SEGMENT_RARE void SEGMENT_(tree_trim)(SEGMENT_SET *s)
{
	if (s->promised > 0)
		return;
	SEGMENT_(tree_free)(s, s->spare_leaves, sizeof(SEGMENT_LEAF));
	SEGMENT_(tree_free)(s, s->spare_inners, sizeof(SEGMENT_INNER));
	s->spare_leaves = s->spare_inners = NULL;
	s->nr_spare_leaves = s->nr_spare_inners = 0;
}

/* Have at least so many nodes in hand: 0, or -ENOMEM and none more than before. */
SEGMENT_RARE int SEGMENT_(tree_stock)(SEGMENT_SET *s, size_t nr_leaves, size_t nr_inners)
{
	while (s->nr_spare_leaves < nr_leaves) {
		SEGMENT_NODE *leaf = (SEGMENT_NODE *)memmap_allocate(
			s->allocator, sizeof(SEGMENT_LEAF), __alignof__(SEGMENT_LEAF));
		if (!leaf) {
			SEGMENT_(tree_trim)(s);
			return -ENOMEM;
		}
		leaf->parent = s->spare_leaves;
		s->spare_leaves = leaf;
		s->nr_spare_leaves++;
	}
	while (s->nr_spare_inners < nr_inners) {
		SEGMENT_NODE *inner = (SEGMENT_NODE *)memmap_allocate(
			s->allocator, sizeof(SEGMENT_INNER), __alignof__(SEGMENT_INNER));
		if (!inner) {
			SEGMENT_(tree_trim)(s);
			return -ENOMEM;
		}
		inner->parent = s->spare_inners;
		s->spare_inners = inner;
		s->nr_spare_inners++;
	}
	return 0;
}

/*
 * `n` of what set_reserve() promises have come. What is in hand beyond what they took goes, unless
 * more were promised.
 */
SEGMENT_PRIVATE void SEGMENT_(tree_inserted)(SEGMENT_SET *s, size_t n)
{
	if (MEMMAP_LIKELY(s->promised == 0 && !s->spare_leaves && !s->spare_inners))
		return;
	s->promised -= n < s->promised ? n : s->promised;
	SEGMENT_(tree_trim)(s);
}

SEGMENT_PRIVATE SEGMENT_NODE *SEGMENT_(tree_take_leaf)(SEGMENT_SET *s)
{
	SEGMENT_NODE *node = s->spare_leaves;
	s->spare_leaves = node->parent;
	s->nr_spare_leaves--;
	s->nr_leaves++;
	node->parent = node->prev = node->next = NULL;
#if SEGMENT_TRACK_GAPS
	node->max_gap = 0;
#endif
	SEGMENT_(leaf_truncate)(SEGMENT_(node_leaf)(node), 0, SEGMENT_LEAF_CAPACITY);
	return node;
}

SEGMENT_PRIVATE SEGMENT_INNER *SEGMENT_(tree_take_inner)(SEGMENT_SET *s)
{
	SEGMENT_NODE *node = s->spare_inners;
	s->spare_inners = node->parent;
	s->nr_spare_inners--;
	node->parent = node->prev = node->next = NULL;
	SEGMENT_(inner_truncate)(SEGMENT_(node_inner)(node), 0, SEGMENT_INNER_CAPACITY);
	return SEGMENT_(node_inner)(node);
}

SEGMENT_PRIVATE void SEGMENT_(tree_give_leaf)(SEGMENT_SET *s, SEGMENT_NODE *node)
{
	s->nr_leaves--;
	if (s->promised == 0) {
		memmap_deallocate(s->allocator, node, sizeof(SEGMENT_LEAF));
		return;
	}
	node->parent = s->spare_leaves;
	s->spare_leaves = node;
	s->nr_spare_leaves++;
}

SEGMENT_PRIVATE void SEGMENT_(tree_give_inner)(SEGMENT_SET *s, SEGMENT_NODE *node)
{
	if (s->promised == 0) {
		memmap_deallocate(s->allocator, node, sizeof(SEGMENT_INNER));
		return;
	}
	node->parent = s->spare_inners;
	s->spare_inners = node;
	s->nr_spare_inners++;
}

/*
 * The neighbour below the same parent that a full leaf can share its segments with, instead of
 * being split; NULL: neither has enough room to make it worth while.
 */
SEGMENT_PRIVATE SEGMENT_NODE *SEGMENT_(leaf_with_room)(const SEGMENT_NODE *leaf)
{
	const uint32_t most = SEGMENT_LEAF_CAPACITY - (SEGMENT_LEAF_CAPACITY + 3) / 4;
	if (!leaf->parent)
		return NULL;
	if (leaf->next && leaf->next->parent == leaf->parent && leaf->next->count <= most)
		return leaf->next;
	if (leaf->prev && leaf->prev->parent == leaf->parent && leaf->prev->count <= most)
		return leaf->prev;
	return NULL;
}

/* Does inserting there come after everything? Then the full leaf is left full. */
SEGMENT_PRIVATE bool SEGMENT_(place_is_end)(const SEGMENT_NODE *leaf, size_t index)
{
	return !leaf->next && index == leaf->count;
}

SEGMENT_RARE int SEGMENT_(tree_prepare_split)(SEGMENT_SET *s, const SEGMENT_NODE *leaf,
					      size_t index)
{
	size_t nr_inners = 0;
	if (leaf != &s->edge) {
		if (!SEGMENT_(place_is_end)(leaf, index) && SEGMENT_(leaf_with_room)(leaf))
			return 0;
		const SEGMENT_NODE *node = leaf->parent;
		while (node && node->count == SEGMENT_INNER_CAPACITY) {
			nr_inners++;
			node = node->parent;
		}
		if (!node)
			nr_inners++;
	}
	return SEGMENT_(tree_stock)(s, 1, nr_inners);
}

/* Have in hand what one insertion before segment `index` of `leaf` takes. */
SEGMENT_PRIVATE int SEGMENT_(tree_prepare)(SEGMENT_SET *s, const SEGMENT_NODE *leaf, size_t index)
{
	if (MEMMAP_LIKELY(leaf->count < SEGMENT_LEAF_CAPACITY && leaf != &s->edge))
		return 0;
	return SEGMENT_(tree_prepare_split)(s, leaf, index);
}

/*
 * Have in hand what an insertion into each of two leaves, or two into the same one, may take. While
 * there is a promise, it is: set_reserve() counts two insertions for each operation.
 */
SEGMENT_PRIVATE int SEGMENT_(tree_prepare_two)(SEGMENT_SET *s, const SEGMENT_NODE *leaf1,
					       const SEGMENT_NODE *leaf2)
{
	const size_t each = leaf1 == leaf2 ? 2 : 1;
	if (s->promised > 0 || (leaf1->count + each <= SEGMENT_LEAF_CAPACITY &&
				leaf2->count + each <= SEGMENT_LEAF_CAPACITY))
		return 0;
	/* Two leaves come at most, so that nothing above splits while both parents have room. */
	const SEGMENT_NODE *above1 = leaf1->parent, *above2 = leaf2->parent;
	if (above1 && above1->count + 2 <= SEGMENT_INNER_CAPACITY &&
	    above2->count + 2 <= SEGMENT_INNER_CAPACITY)
		return SEGMENT_(tree_stock)(s, 2, 0);
	/* Of each level two, and a new root. */
	return SEGMENT_(tree_stock)(s, 2, 2 * (size_t)s->height + 1);
}

/*
 * Make `right`, which is new, the child after `left`; below `left` the last segment ends at
 * `separator`. `at_end`: `right` comes after everything, and will be filled from there on.
 */
SEGMENT_RARE void SEGMENT_(tree_add_child)(SEGMENT_SET *s, SEGMENT_NODE *left, SEGMENT_NODE *right,
					   SEGMENT_KEY separator, bool at_end)
{
	if (!left->parent) {
		SEGMENT_INNER *root = SEGMENT_(tree_take_inner)(s);
		SEGMENT_(inner_put)(root, 0, left);
		SEGMENT_(inner_put)(root, 1, right);
		root->separators[0] = separator;
		root->node.count = 2;
#if SEGMENT_TRACK_GAPS
		root->node.max_gap = SEGMENT_(inner_largest_gap)(root);
#endif
		s->edge.parent = &root->node;
		s->height++;
		return;
	}

	SEGMENT_INNER *parent = SEGMENT_(node_inner)(left->parent);
	size_t position = SEGMENT_(inner_position)(parent, left);
	if (parent->node.count == SEGMENT_INNER_CAPACITY) {
		SEGMENT_INNER *half = SEGMENT_(tree_take_inner)(s);
		if (at_end) {
			/* Nothing will come before: leave `parent` full. */
			SEGMENT_(inner_put)(half, 0, right);
			half->node.count = 1;
#if SEGMENT_TRACK_GAPS
			half->node.max_gap = right->max_gap;
#endif
			SEGMENT_(tree_add_child)(s, &parent->node, &half->node, separator, true);
			return;
		}
		const size_t keep = SEGMENT_INNER_CAPACITY / 2;
		const size_t leave = SEGMENT_INNER_CAPACITY - keep;
		SEGMENT_KEY middle = parent->separators[keep - 1];
		SEGMENT_(inner_copy)(half, 0, parent, keep, leave, leave - 1);
		half->node.count = (uint32_t)leave;
		SEGMENT_(inner_truncate)(parent, keep, SEGMENT_INNER_CAPACITY);
#if SEGMENT_TRACK_GAPS
		parent->node.max_gap = SEGMENT_(inner_largest_gap)(parent);
		half->node.max_gap = SEGMENT_(inner_largest_gap)(half);
#endif
		SEGMENT_(tree_add_child)(s, &parent->node, &half->node, middle, false);
		if (position >= keep) {
			parent = half;
			position -= keep;
		}
	}

	size_t after = parent->node.count - 1 - position;
	SEGMENT_(inner_copy)(parent, position + 2, parent, position + 1, after, 0);
	memmove(parent->separators + position + 1, parent->separators + position,
		after * sizeof(SEGMENT_KEY));
	parent->separators[position] = separator;
	parent->node.count++;
	SEGMENT_(inner_put)(parent, position + 1, right);
#if SEGMENT_TRACK_GAPS
	parent->gaps[position] = left->max_gap;
#endif
}

/* Share the segments of children `index` and `index` + 1 of `parent` out evenly. */
SEGMENT_PRIVATE void SEGMENT_(tree_balance_leaves)(SEGMENT_INNER *parent, size_t index)
{
	SEGMENT_LEAF *left = SEGMENT_(node_leaf)(parent->children[index]);
	SEGMENT_LEAF *right = SEGMENT_(node_leaf)(parent->children[index + 1]);
	size_t nr_left = left->node.count, nr_right = right->node.count;
	size_t keep = (nr_left + nr_right) / 2;
	if (nr_left > keep) {
		size_t n = nr_left - keep;
		SEGMENT_(leaf_copy)(right, n, right, 0, nr_right);
		SEGMENT_(leaf_copy)(right, 0, left, keep, n);
		right->node.count = (uint32_t)(nr_right + n);
		SEGMENT_(leaf_truncate)(left, keep, nr_left);
	} else {
		size_t n = keep - nr_left;
		SEGMENT_(leaf_copy)(left, nr_left, right, 0, n);
		left->node.count = (uint32_t)keep;
		SEGMENT_(leaf_copy)(right, 0, right, n, nr_right - n);
		SEGMENT_(leaf_truncate)(right, nr_right - n, nr_right);
	}
	parent->separators[index] = left->ends[keep - 1];
	SEGMENT_(leaf_gaps_changed)(&left->node);
	SEGMENT_(leaf_gaps_changed)(&right->node);
}

/* Share the segments of a full leaf with `other`, beside it; returns where `index` is then. */
SEGMENT_RARE struct SEGMENT_(place)
	SEGMENT_(tree_share)(SEGMENT_NODE *leaf, SEGMENT_NODE *other, size_t index)
{
	SEGMENT_INNER *parent = SEGMENT_(node_inner)(leaf->parent);
	SEGMENT_NODE *left = other == leaf->next ? leaf : other;
	SEGMENT_NODE *right = other == leaf->next ? other : leaf;
	if (leaf == right)
		index += left->count;
	SEGMENT_(tree_balance_leaves)(parent, SEGMENT_(inner_position)(parent, left));
	struct SEGMENT_(place) at;
	at.node = index < left->count ? left : right;
	at.index = index < left->count ? index : index - left->count;
	return at;
}

/* Make room at `index` of a full leaf; returns where that is then. */
SEGMENT_RARE struct SEGMENT_(place)
	SEGMENT_(tree_make_room)(SEGMENT_SET *s, SEGMENT_NODE *left, size_t index)
{
	const bool at_end = SEGMENT_(place_is_end)(left, index);
	SEGMENT_NODE *other = at_end ? NULL : SEGMENT_(leaf_with_room)(left);
	if (other)
		return SEGMENT_(tree_share)(left, other, index);

	/* Whoever inserts in ascending order is to have full leaves. */
	SEGMENT_NODE *right = SEGMENT_(tree_take_leaf)(s);
	size_t keep = at_end ? SEGMENT_LEAF_CAPACITY : SEGMENT_LEAF_CAPACITY / 2;
	size_t leave = SEGMENT_LEAF_CAPACITY - keep;
	SEGMENT_(leaf_copy)(SEGMENT_(node_leaf)(right), 0, SEGMENT_(node_leaf)(left), keep, leave);
	right->count = (uint32_t)leave;
	SEGMENT_(leaf_truncate)(SEGMENT_(node_leaf)(left), keep, SEGMENT_LEAF_CAPACITY);

	right->prev = left;
	right->next = left->next;
	left->next = right;
	if (right->next)
		right->next->prev = right;
	else
		s->edge.prev = right;
#if SEGMENT_TRACK_GAPS
	left->max_gap = SEGMENT_(leaf_largest_gap)(left);
	right->max_gap = SEGMENT_(leaf_largest_gap)(right);
#endif
	SEGMENT_(tree_add_child)(s, left, right, SEGMENT_(leaf_last_end)(left), at_end);

	struct SEGMENT_(place) at;
	at.node = index < keep ? left : right;
	at.index = index < keep ? index : index - keep;
	return at;
}

/*
 * Insert a segment before segment `index` of `leaf`; what that takes is in hand.
 *
 * When it becomes the last one of a leaf that is not the set's last, the leaf's last end must stay
 * what it was: so it is when a segment is split, and no other insertion comes there.
 */
SEGMENT_PRIVATE struct SEGMENT_(place)
	SEGMENT_(tree_insert)(SEGMENT_SET *s, SEGMENT_NODE *node, size_t index,
			      SEGMENT_RANGE_TYPE r, SEGMENT_VALUE_TYPE value)
{
	struct SEGMENT_(place) at;
	at.node = node;
	at.index = index;
	if (MEMMAP_UNLIKELY(node == &s->edge)) {
		at.node = SEGMENT_(tree_take_leaf)(s);
		s->edge.parent = s->edge.prev = s->edge.next = at.node;
	} else if (MEMMAP_UNLIKELY(node->count == SEGMENT_LEAF_CAPACITY)) {
		at = SEGMENT_(tree_make_room)(s, node, index);
	}
	SEGMENT_LEAF *leaf = SEGMENT_(node_leaf)(at.node);
	const bool last = at.index == at.node->count;
	const SEGMENT_KEY start = SEGMENT_(leaf_gap_start)(at.node, at.index);
	SEGMENT_(leaf_open)(leaf, at.index);
	leaf->ends[at.index] = r.end;
	leaf->starts[at.index] = r.start;
	leaf->values[at.index] = value;
	if (last) {
		SEGMENT_(leaf_gap_grown)(at.node, at.index);
	} else {
		const SEGMENT_KEY gap = (SEGMENT_KEY)(leaf->starts[at.index + 1] - start);
		SEGMENT_(leaf_gap_shrunk)(at.node, gap);
	}
	return at;
}

/* Take child `index` > 0 out of `parent`, with the separator before it. */
SEGMENT_PRIVATE void SEGMENT_(inner_close)(SEGMENT_INNER *parent, size_t index)
{
	size_t last = --parent->node.count;
	SEGMENT_(inner_copy)(parent, index, parent, index + 1, last - index, 0);
	memmove(parent->separators + index - 1, parent->separators + index,
		(last - index) * sizeof(SEGMENT_KEY));
	parent->separators[last - 1] = SEGMENT_LAST_KEY;
#if SEGMENT_TRACK_GAPS
	parent->gaps[last] = 0;
#endif
}

/* Move all of `right` to the end of `left`, children `index` and `index` + 1 of `parent`. */
SEGMENT_PRIVATE void SEGMENT_(tree_merge_inners)(SEGMENT_SET *s, SEGMENT_INNER *parent,
						 size_t index)
{
	SEGMENT_INNER *left = SEGMENT_(node_inner)(parent->children[index]);
	SEGMENT_INNER *right = SEGMENT_(node_inner)(parent->children[index + 1]);
	const size_t nr_left = left->node.count, nr_right = right->node.count;
	left->separators[nr_left - 1] = parent->separators[index];
	SEGMENT_(inner_copy)(left, nr_left, right, 0, nr_right, nr_right - 1);
	left->node.count += right->node.count;
#if SEGMENT_TRACK_GAPS
	left->node.max_gap = SEGMENT_(inner_largest_gap)(left);
	parent->gaps[index] = left->node.max_gap;
#endif
	SEGMENT_(inner_close)(parent, index + 1);
	SEGMENT_(tree_give_inner)(s, &right->node);
}

/* Share the children of `left` and `right` out evenly; the same two. */
SEGMENT_PRIVATE void SEGMENT_(tree_balance_inners)(SEGMENT_INNER *parent, size_t index)
{
	SEGMENT_INNER *left = SEGMENT_(node_inner)(parent->children[index]);
	SEGMENT_INNER *right = SEGMENT_(node_inner)(parent->children[index + 1]);
	size_t nr_left = left->node.count, nr_right = right->node.count;
	size_t keep = (nr_left + nr_right) / 2;
	if (nr_left > keep) {
		size_t n = nr_left - keep;
		SEGMENT_(inner_copy)(right, n, right, 0, nr_right, nr_right - 1);
		SEGMENT_(inner_copy)(right, 0, left, keep, n, n - 1);
		right->separators[n - 1] = parent->separators[index];
		right->node.count = (uint32_t)(nr_right + n);
		parent->separators[index] = left->separators[keep - 1];
		SEGMENT_(inner_truncate)(left, keep, SEGMENT_INNER_CAPACITY);
	} else {
		size_t n = keep - nr_left;
		left->separators[nr_left - 1] = parent->separators[index];
		SEGMENT_(inner_copy)(left, nr_left, right, 0, n, n - 1);
		left->node.count = (uint32_t)keep;
		parent->separators[index] = right->separators[n - 1];
		SEGMENT_(inner_copy)(right, 0, right, n, nr_right - n, nr_right - n - 1);
		SEGMENT_(inner_truncate)(right, nr_right - n, SEGMENT_INNER_CAPACITY);
	}
#if SEGMENT_TRACK_GAPS
	parent->gaps[index] = left->node.max_gap = SEGMENT_(inner_largest_gap)(left);
	parent->gaps[index + 1] = right->node.max_gap = SEGMENT_(inner_largest_gap)(right);
#endif
}

/* `node` lost a child: see that it and those above hold enough. */
SEGMENT_RARE void SEGMENT_(tree_refill_inner)(SEGMENT_SET *s, SEGMENT_NODE *node)
{
	while (node->parent && node->count < SEGMENT_INNER_MIN) {
		SEGMENT_INNER *parent = SEGMENT_(node_inner)(node->parent);
		if (parent->node.count == 1)
			return; /* alone, on the right edge, where a node may hold few */
		size_t position = SEGMENT_(inner_position)(parent, node);
		size_t index = position > 0 ? position - 1 : 0;
		size_t total = parent->children[index]->count + parent->children[index + 1]->count;
		if (total > SEGMENT_INNER_MERGED) {
			SEGMENT_(tree_balance_inners)(parent, index);
			return;
		}
		SEGMENT_(tree_merge_inners)(s, parent, index);
		node = &parent->node;
	}
	SEGMENT_NODE *root = s->edge.parent;
	while (s->height > 0 && root->count == 1) {
		SEGMENT_NODE *child = SEGMENT_(node_inner)(root)->children[0];
		SEGMENT_(tree_give_inner)(s, root);
		child->parent = NULL;
		s->edge.parent = root = child;
		s->height--;
	}
}

/* The first leaf never goes while there is another: what is left of two is the left one. */
SEGMENT_PRIVATE void SEGMENT_(tree_unlink_leaf)(SEGMENT_SET *s, const SEGMENT_NODE *leaf)
{
	leaf->prev->next = leaf->next;
	if (leaf->next)
		leaf->next->prev = leaf->prev;
	else
		s->edge.prev = leaf->prev;
}

/* Drop the set's last leaf, which is empty, not the only one, and alone below its parent. */
SEGMENT_RARE void SEGMENT_(tree_drop_last_leaf)(SEGMENT_SET *s, SEGMENT_NODE *leaf)
{
	SEGMENT_NODE *parent = leaf->parent;
	SEGMENT_(tree_unlink_leaf)(s, leaf);
	SEGMENT_(tree_give_leaf)(s, leaf);
	while (parent->count == 1) {
		SEGMENT_NODE *up = parent->parent;
		SEGMENT_(tree_give_inner)(s, parent);
		parent = up;
	}
	SEGMENT_(inner_close)(SEGMENT_(node_inner)(parent), parent->count - 1);
#if SEGMENT_TRACK_GAPS
	const SEGMENT_KEY gap = SEGMENT_(inner_largest_gap)(SEGMENT_(node_inner)(parent));
	SEGMENT_(node_set_max_gap)(parent, gap);
#endif
	SEGMENT_(tree_refill_inner)(s, parent);
}

/* Move all of `right` to the end of `left`, children `index` and `index` + 1 of `parent`. */
SEGMENT_PRIVATE void SEGMENT_(tree_merge_leaves)(SEGMENT_SET *s, SEGMENT_INNER *parent,
						 size_t index)
{
	SEGMENT_NODE *left = parent->children[index], *right = parent->children[index + 1];
	SEGMENT_LEAF *to = SEGMENT_(node_leaf)(left), *from = SEGMENT_(node_leaf)(right);
	SEGMENT_(leaf_copy)(to, left->count, from, 0, right->count);
	left->count += right->count;
	SEGMENT_(tree_unlink_leaf)(s, right);
#if SEGMENT_TRACK_GAPS
	if (left->max_gap < right->max_gap)
		left->max_gap = parent->gaps[index] = right->max_gap;
#endif
	SEGMENT_(inner_close)(parent, index + 1);
	SEGMENT_(tree_give_leaf)(s, right);
}

/* A leaf with a parent lost a segment and holds too few; returns where the place `at` in it is
 * then. */
SEGMENT_RARE struct SEGMENT_(place)
	SEGMENT_(tree_refill_leaf)(SEGMENT_SET *s, struct SEGMENT_(place) at)
{
	SEGMENT_NODE *leaf = at.node;
	SEGMENT_INNER *parent = SEGMENT_(node_inner)(leaf->parent);
	if (parent->node.count == 1) {
		/* Alone, on the right edge, where a node may hold few, but not none. */
		if (leaf->count == 0) {
			at.node = leaf->prev;
			at.index = leaf->prev->count;
			SEGMENT_(tree_drop_last_leaf)(s, leaf);
		}
		return at;
	}

	size_t position = SEGMENT_(inner_position)(parent, leaf);
	size_t index = position > 0 ? position - 1 : 0;
	SEGMENT_NODE *left = parent->children[index], *right = parent->children[index + 1];
	size_t nr_left = left->count, total = nr_left + right->count;
	if (total <= SEGMENT_LEAF_MERGED || leaf->count == 0) {
		SEGMENT_(tree_merge_leaves)(s, parent, index);
		if (at.node == right) {
			at.node = left;
			at.index += nr_left;
		}
		SEGMENT_(leaf_last_end_changed)(left);
		SEGMENT_(tree_refill_inner)(s, &parent->node);
		return at;
	}
	if (!leaf->next && leaf->count > 0)
		return at; /* the right edge again: leave the full leaf before it full */

	SEGMENT_(tree_balance_leaves)(parent, index);
	size_t place = at.index + (at.node == right ? nr_left : 0);
	at.node = place < left->count ? left : right;
	at.index = place < left->count ? place : place - left->count;
	SEGMENT_(leaf_last_end_changed)(right);
	return at;
}

/* Remove a segment, whose value has left; returns the place of the gap. */
SEGMENT_PRIVATE struct SEGMENT_(place)
	SEGMENT_(tree_remove)(SEGMENT_SET *s, SEGMENT_NODE *leaf, size_t index)
{
	struct SEGMENT_(place) at;
	at.node = leaf;
	at.index = index;
	const SEGMENT_KEY gap = (SEGMENT_KEY)(SEGMENT_(node_leaf)(leaf)->starts[index] -
					      SEGMENT_(leaf_gap_start)(leaf, index));
	SEGMENT_(leaf_close)(SEGMENT_(node_leaf)(leaf), index);
	if (index == leaf->count)
		SEGMENT_(leaf_gap_shrunk)(leaf, gap); /* it becomes one with the gap after it */
	if (MEMMAP_UNLIKELY(leaf->count < SEGMENT_LEAF_MIN)) {
		if (leaf->parent) {
			at = SEGMENT_(tree_refill_leaf)(s, at);
		} else if (leaf->count == 0) {
			SEGMENT_(tree_give_leaf)(s, leaf);
			s->edge.parent = s->edge.prev = s->edge.next = NULL;
			at.node = &s->edge;
			return at;
		}
	} else if (index == leaf->count) {
		SEGMENT_(leaf_last_end_changed)(leaf);
	}
	if (at.index == at.node->count && at.node->next) {
		at.node = at.node->next;
		at.index = 0;
	}
	SEGMENT_(leaf_gap_grown)(at.node, at.index);
	return at;
}

SEGMENT_RARE void SEGMENT_(tree_free_inners)(SEGMENT_SET *s, SEGMENT_NODE *node, unsigned level)
{
	if (level == 0)
		return;
	for (size_t i = 0; i < node->count; i++)
		SEGMENT_(tree_free_inners)(s, SEGMENT_(node_inner)(node)->children[i], level - 1);
	SEGMENT_(tree_give_inner)(s, node);
}

/*
 * Ask for what a search will look at next, before it knows at which index. In a set of many the
 * leaf comes from memory, and its ends, starts and values lie in lines of their own: so they come
 * together, not one after the other.
 */
SEGMENT_PRIVATE void SEGMENT_(leaf_prefetch)(const SEGMENT_LEAF *leaf)
{
	const size_t line = 64;
	for (size_t i = 0; i < sizeof(leaf->starts); i += line)
		__builtin_prefetch((const char *)leaf->starts + i);
	for (size_t i = 0; SEGMENT_MOVES_BY_FOURS && i < sizeof(leaf->values); i += line)
		__builtin_prefetch((const char *)leaf->values + i);
}

/*
 * The first segment that ends after `key`: its leaf and index. When there is none, the last leaf
 * and its count; in an empty set, the edge and 0.
 */
SEGMENT_PRIVATE struct SEGMENT_(place) SEGMENT_(tree_search)(const SEGMENT_SET *s, SEGMENT_KEY key)
{
	struct SEGMENT_(place) at;
	at.node = s->edge.parent;
	at.index = 0;
	if (MEMMAP_UNLIKELY(!at.node)) {
		at.node = (SEGMENT_NODE *)&s->edge;
		return at;
	}
	if (MEMMAP_UNLIKELY(key == SEGMENT_LAST_KEY)) {
		at.node = s->edge.prev;
		at.index = at.node->count;
		return at;
	}
	for (unsigned level = s->height; level > 0; level--) {
		const SEGMENT_INNER *inner = SEGMENT_(node_inner)(at.node);
		at.node = inner->children[SEGMENT_(keys_rank)(inner->separators,
							      SEGMENT_INNER_CAPACITY, key)];
	}
	const SEGMENT_LEAF *leaf = SEGMENT_(node_leaf)(at.node);
	if (MEMMAP_UNLIKELY(s->height >= SEGMENT_HEIGHT_OF_MANY))
		SEGMENT_(leaf_prefetch)(leaf);
	at.index = SEGMENT_(keys_rank)(leaf->ends, SEGMENT_LEAF_CAPACITY, key);
	return at;
}

/* Does `at`, found for `key`, hold it? Otherwise `key` is in the gap there. */
SEGMENT_PRIVATE bool SEGMENT_(place_holds)(struct SEGMENT_(place) at, SEGMENT_KEY key)
{
	return at.index < at.node->count && SEGMENT_(node_leaf)(at.node)->starts[at.index] <= key;
}
