/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking at the tree itself: as text, and checking every invariant.
 */

/* ---- As text: written twice, first only to measure it ---- */

struct SEGMENT_(text) {
	char *buf; /* NULL: only measure */
	size_t length;
};

SEGMENT_RARE __attribute__((format(printf, 2, 3))) void SEGMENT_(text_add)(struct SEGMENT_(text) *
										   text,
									   const char *format, ...)
{
	char line[512];
	va_list args;
	va_start(args, format);
	int n = vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	size_t length = n < 0 ? 0 : (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1;
	if (text->buf)
		memcpy(text->buf + text->length, line, length + 1);
	text->length += length;
}

SEGMENT_RARE void SEGMENT_(text_add_node)(struct SEGMENT_(text) * text, const SEGMENT_NODE *node,
					  unsigned level, unsigned depth)
{
	const int indent = (int)depth * 4;
	for (size_t i = 0; i < node->count; i++) {
		if (level > 0) {
			const SEGMENT_NODE *child = SEGMENT_(node_inner)(node)->children[i];
			SEGMENT_TEXT_ADD(text, "%*s- %3zu: %s of %u", indent, "", i,
					 level > 1 ? "node" : "leaf", child->count);
#if SEGMENT_TRACK_GAPS
			SEGMENT_TEXT_ADD(text, ", largest gap 0x%" PRIx64,
					 (uint64_t)child->max_gap);
#endif
			SEGMENT_TEXT_ADD(text, "\n");
			SEGMENT_(text_add_node)(text, child, level - 1, depth + 1);
			continue;
		}
		char range[MEMMAP_RANGE_FORMAT_SIZE];
		SEGMENT_ITERATOR seg = SEGMENT_(iterator_at)(node, i);
		SEGMENT_TEXT_ADD(text, "%*s- %3zu: %s", indent, "", i,
				 SEGMENT_RANGE_(format)(SEGMENT_(iterator_range)(seg), range,
							sizeof(range)));
#ifdef SEGMENT_FORMAT_VALUE
		char value[256];
		SEGMENT_TEXT_ADD(text, " => %s",
				 SEGMENT_FORMAT_VALUE(SEGMENT_(iterator_value_ptr)(seg), value,
						      sizeof(value)));
#endif
		SEGMENT_TEXT_ADD(text, "\n");
	}
}

SEGMENT_PUBLIC char *SEGMENT_(set_to_string)(const SEGMENT_SET *s)
{
	struct SEGMENT_(text) text;
	text.buf = NULL;
	text.length = 0;
	if (s->edge.parent)
		SEGMENT_(text_add_node)(&text, s->edge.parent, s->height, 0);
	text.buf = (char *)memmap_allocate(NULL, text.length + 1, 1);
	if (!text.buf)
		return NULL;
	text.buf[0] = '\0';
	text.length = 0;
	if (s->edge.parent)
		SEGMENT_(text_add_node)(&text, s->edge.parent, s->height, 0);
	return text.buf;
}

/* ---- Checking ---- */

/* How far a walk over the tree has come. */
struct SEGMENT_(walk) {
	const SEGMENT_SET *set;
	const SEGMENT_NODE *last_leaf; /* NULL: none yet */
	SEGMENT_KEY last_end;
	size_t nr_leaves;
	bool broken;
};

SEGMENT_RARE void SEGMENT_(walk_expect)(struct SEGMENT_(walk) * walk, bool holds, const char *what)
{
	if (holds)
		return;
	walk->broken = true;
	(void)fprintf(stderr, "%s_set_verify: %s (at leaf %zu, key 0x%" PRIx64 ")\n", SEGMENT_NAME,
		      what, walk->nr_leaves, (uint64_t)walk->last_end);
}

SEGMENT_RARE void SEGMENT_(walk_leaf)(struct SEGMENT_(walk) * walk, const SEGMENT_NODE *node)
{
	const SEGMENT_LEAF *leaf = SEGMENT_(node_leaf)(node);
#if SEGMENT_TRACK_GAPS
	SEGMENT_KEY largest = 0;
#endif
	SEGMENT_EXPECT(walk, node->count >= 1 && node->count <= SEGMENT_LEAF_CAPACITY,
		       "a leaf holds none or more than it can");
	SEGMENT_EXPECT(walk, node->count >= SEGMENT_LEAF_MIN || !node->parent || !node->next,
		       "a leaf holds too few");
	SEGMENT_EXPECT(walk, node->prev == walk->last_leaf, "a leaf's prev is wrong");
	SEGMENT_EXPECT(walk,
		       (walk->last_leaf ? walk->last_leaf->next : walk->set->edge.next) == node,
		       "a leaf's next, or the set's first leaf, is wrong");
	if (walk->broken)
		return;
	for (size_t i = 0; i < SEGMENT_LEAF_CAPACITY; i++) {
		if (i >= node->count) {
			SEGMENT_EXPECT(walk,
				       leaf->ends[i] == SEGMENT_LAST_KEY &&
					       leaf->starts[i] == SEGMENT_LAST_KEY,
				       "a leaf's padding is wrong");
			continue;
		}
		SEGMENT_EXPECT(walk, leaf->starts[i] >= walk->last_end,
			       "a segment overlaps the one before, or starts too low");
		SEGMENT_EXPECT(walk, leaf->starts[i] < leaf->ends[i], "a segment is empty");
#if SEGMENT_TRACK_GAPS
		SEGMENT_KEY gap = (SEGMENT_KEY)(leaf->starts[i] - walk->last_end);
		largest = gap > largest ? gap : largest;
#endif
		walk->last_end = leaf->ends[i];
	}
#if SEGMENT_TRACK_GAPS
	SEGMENT_EXPECT(walk, node->max_gap == largest, "a leaf's largest gap is wrong");
#endif
	walk->last_leaf = node;
	walk->nr_leaves++;
}

SEGMENT_RARE void SEGMENT_(walk_node)(struct SEGMENT_(walk) * walk, const SEGMENT_NODE *node,
				      unsigned level, bool right_edge)
{
	if (level == 0) {
		SEGMENT_(walk_leaf)(walk, node);
		return;
	}
	const SEGMENT_INNER *inner = SEGMENT_(node_inner)(node);
#if SEGMENT_TRACK_GAPS
	SEGMENT_KEY largest = 0;
#endif
	SEGMENT_EXPECT(walk, node->count >= 1 && node->count <= SEGMENT_INNER_CAPACITY,
		       "an inner node has no children or more than it can");
	SEGMENT_EXPECT(walk, node->count >= SEGMENT_INNER_MIN || right_edge,
		       "an inner node has too few children");
	SEGMENT_EXPECT(walk, node->count >= 2 || node->parent, "the root has one child");
	for (size_t i = 0; i < SEGMENT_INNER_CAPACITY && !walk->broken; i++) {
		if (i < node->count) {
			const SEGMENT_NODE *child = inner->children[i];
			SEGMENT_EXPECT(walk, child->parent == node, "a node's parent is wrong");
			const bool at_edge = right_edge && i + 1 == node->count;
			SEGMENT_(walk_node)(walk, child, level - 1, at_edge);
#if SEGMENT_TRACK_GAPS
			SEGMENT_EXPECT(walk, inner->gaps[i] == child->max_gap,
				       "a child's largest gap is wrong");
			largest = child->max_gap > largest ? child->max_gap : largest;
		} else {
			SEGMENT_EXPECT(walk, inner->gaps[i] == 0,
				       "a gap is recorded where there is no child");
#endif
		}
		SEGMENT_EXPECT(walk,
			       inner->separators[i] ==
				       (i + 1 < node->count ? walk->last_end : SEGMENT_LAST_KEY),
			       "a separator or its padding is wrong");
	}
#if SEGMENT_TRACK_GAPS
	SEGMENT_EXPECT(walk, node->max_gap == largest, "an inner node's largest gap is wrong");
#endif
}

SEGMENT_PUBLIC int SEGMENT_(set_verify)(const SEGMENT_SET *s)
{
	struct SEGMENT_(walk) walk;
	walk.set = s;
	walk.last_leaf = NULL;
	walk.last_end = SEGMENT_(key_min)();
	walk.nr_leaves = 0;
	walk.broken = false;
	SEGMENT_EXPECT(&walk, s->edge.count == 0, "the set's edge holds a segment");
	if (s->edge.parent) {
		SEGMENT_EXPECT(&walk, !s->edge.parent->parent, "the root has a parent");
		SEGMENT_(walk_node)(&walk, s->edge.parent, s->height, true);
		SEGMENT_EXPECT(&walk, walk.last_end <= SEGMENT_(key_max)(),
			       "the last segment reaches outside of the keys");
	} else {
		SEGMENT_EXPECT(&walk, !s->edge.next && s->height == 0,
			       "an empty set has a leaf or a height");
	}
	if (!walk.broken) {
		SEGMENT_EXPECT(&walk, s->edge.prev == walk.last_leaf,
			       "the set's last leaf is wrong");
		SEGMENT_EXPECT(&walk, !walk.last_leaf || !walk.last_leaf->next,
			       "the last leaf's next is wrong");
		SEGMENT_EXPECT(&walk, s->nr_leaves == walk.nr_leaves,
			       "the number of leaves is wrong");
	}
	size_t nr_leaves = 0, nr_inners = 0;
	for (const SEGMENT_NODE *node = s->spare_leaves; node; node = node->parent)
		nr_leaves++;
	for (const SEGMENT_NODE *node = s->spare_inners; node; node = node->parent)
		nr_inners++;
	SEGMENT_EXPECT(&walk, nr_leaves == s->nr_spare_leaves && nr_inners == s->nr_spare_inners,
		       "the number of nodes in hand is wrong");
	SEGMENT_EXPECT(&walk, s->promised > 0 || nr_leaves + nr_inners == 0,
		       "nodes are in hand that were not promised");
	return walk.broken ? -EINVAL : 0;
}
