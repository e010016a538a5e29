/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The segment set's types as its users see them. What the members hold is the set's own business.
 */

/*
 * The value by one word: SEGMENT_VALUE may be a pointer type, which two declarators cannot share.
 */
typedef SEGMENT_VALUE SEGMENT_VALUE_TYPE;

/*
 * What every node of the tree begins with, and all there is of the empty leaf inside the set.
 */
struct SEGMENT_(node) {
	SEGMENT_NODE *parent; /* the inner node above; NULL: the root */
	SEGMENT_NODE *prev;   /* of a leaf: the leaf before, NULL: the first */
	SEGMENT_NODE *next;   /* of a leaf: the leaf after, NULL: the last */
	uint32_t count;       /* segments of a leaf, children of an inner node */
#if SEGMENT_TRACK_GAPS
	/* The largest of the gaps before each segment below; the gap after the last is no one's. */
	SEGMENT_KEY max_gap;
#endif
};

struct SEGMENT_(set) {
	/*
	 * The leaf that an empty set's one gap lies in; never holds a segment. Of a set that is not
	 * empty: parent is the root, next the first leaf, prev the last.
	 */
	SEGMENT_NODE edge;
	const struct memmap_allocator *allocator; /* NULL: the default */
	/* Nodes in hand, so that what comes next cannot fail; linked by parent. */
	SEGMENT_NODE *spare_leaves, *spare_inners;
	size_t nr_spare_leaves, nr_spare_inners;
	size_t nr_leaves; /* in the tree */
	size_t promised;  /* what set_reserve() said cannot fail and is still to come */
	unsigned height;  /* levels of inner nodes: 0 while the root is a leaf */
};

struct SEGMENT_(iterator) {
	SEGMENT_NODE *node; /* a leaf; NULL: terminal */
	size_t index;       /* of the segment in it */
};

struct SEGMENT_(gap_iterator) {
	SEGMENT_NODE *node; /* a leaf, or the empty set's edge; NULL: terminal */
	size_t index;       /* of the segment after the gap; the count: the set's last gap */
};

struct SEGMENT_(segment_data_slices) {
	size_t len;
	SEGMENT_KEY *start;
	SEGMENT_KEY *end;
	SEGMENT_VALUE_TYPE *values;
};
