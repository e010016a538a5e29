/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Segment sets: maps from ranges of keys that do not overlap to values.
 *
 * A *segment* is a non-empty range of keys and the value that all of its keys have. Between the
 * segments, before the first and after the last there are *gaps*, which may be empty. A set finds
 * what a key lies in, inserts and removes segments, splits them at any key, and merges neighbours
 * whose values permit it. With SEGMENT_TRACK_GAPS it also finds the next gap of a given size in
 * logarithmic time.
 *
 * This header is a template. It is included once for each set type, after its parameters were
 * defined; it undefines them again. A whole program:
 *
 *	#include <stdio.h>
 *	#include <memmap/range.h>
 *
 *	MEMMAP_RANGE_DEFINE(page_range, uint64_t);
 *
 *	static bool same_owner(struct page_range r1, int *owner1, struct page_range r2, int *owner2,
 *			       int *merged)
 *	{
 *		(void)r1, (void)r2;
 *		*merged = *owner1;
 *		return *owner1 == *owner2;
 *	}
 *
 *	#define SEGMENT_PREFIX owners
 *	#define SEGMENT_RANGE  page_range
 *	#define SEGMENT_VALUE  int
 *	#define SEGMENT_MERGE  same_owner
 *	#include <memmap/segment_set.h>
 *
 *	int main(void)
 *	{
 *		struct owners_set set = {0};
 *		struct page_range low = {0, 10}, high = {10, 30}, hole = {5, 15};
 *		if (owners_set_add(&set, low, 1) || owners_set_add(&set, high, 1) ||
 *		    owners_set_remove_range(&set, hole, NULL))
 *			return 1;
 *		struct owners_iterator it = owners_set_first_segment(&set);
 *		for (; owners_iterator_ok(it); it = owners_iterator_next_segment(it))
 *			printf("[%d, %d) belongs to %d\n", (int)owners_iterator_start(it),
 *			       (int)owners_iterator_end(it), owners_iterator_value(it));
 *		owners_set_destroy(&set);
 *	}
 *
 * prints [0, 5) and [15, 30).
 *
 * Parameters (P stands for SEGMENT_PREFIX):
 *
 *	SEGMENT_PREFIX       names: struct P_set, P_iterator, P_gap_iterator, P_set_add() ... (names
 *			     that begin P_tree_, P_node_, P_leaf_, P_inner_, P_value and the like are private)
 *	SEGMENT_RANGE        the name given to MEMMAP_RANGE_DEFINE
 *	SEGMENT_VALUE        the type of the values; moved by assignment and by copying its bytes
 *	SEGMENT_KEY          the unsigned type of the keys (uint64_t)
 *	SEGMENT_MIN_KEY, SEGMENT_MAX_KEY
 *			     the lowest key (0), and the highest + 1 (the key type's maximum, which is
 *			     thus never inside a segment)
 *	SEGMENT_CLEAR_VALUE  void f(VALUE *v): release what `*v` owns (nothing to release)
 *	SEGMENT_MERGE        bool f(RANGE r1, VALUE *v1, RANGE r2, VALUE *v2, VALUE *out): true, and both
 *			     are consumed into `*out`; or false, and all are untouched (never merges).
 *			     `r2` begins where `r1` ends
 *	SEGMENT_SPLIT        int f(RANGE r, VALUE *v, KEY at, VALUE *out1, VALUE *out2): 0, and `*v` is
 *			     consumed into both; or a negative errno, and `*v` is untouched (a plain
 *			     copy to both)
 *	SEGMENT_UNSPLIT      void f(RANGE r, KEY at, VALUE *v1, VALUE *v2, VALUE *out): make again of the
 *			     parts what SEGMENT_SPLIT had split; must not fail. Only for a SEGMENT_SPLIT
 *			     that can fail (SEGMENT_MERGE)
 *	SEGMENT_DUP_VALUE    int f(const VALUE *in, VALUE *out): 0 or a negative errno (a plain copy)
 *	SEGMENT_FORMAT_VALUE char *f(const VALUE *v, char *buf, size_t size): as text, returns `buf`
 *			     (values are not shown by P_set_to_string())
 *	SEGMENT_TRACK_GAPS   1: keep the largest gap below each node (0)
 *	SEGMENT_MIN_DEGREE   the least fill of a node, at least 3 (chosen from the sizes)
 *	SEGMENT_LINKAGE      what each function's definition begins with (static inline)
 *
 * The functions named must not touch the set. The functions that come of this are described in
 * <memmap/segment/declarations.h>.
 *
 * One translation unit can own the code: a header defines SEGMENT_DECLARE_ONLY beside the parameters
 * and gets types and declarations; one source file includes that header, defines the same parameters
 * again with SEGMENT_IMPLEMENT_ONLY, and gets the definitions. In both forms SEGMENT_LINKAGE stands
 * before each function and is empty by default; a library gives its visibility attribute.
 *
 * Ownership. A set owns its values. One leaves by SEGMENT_CLEAR_VALUE, exactly once; by a merge (two
 * in, one out); by a split (one in, two out); or by P_set_take(), to the caller. A value given to a
 * function that fails stays with the caller. P_iterator_set_value() clears the value it replaces.
 *
 * Out of memory. A function that returns -ENOMEM, or the error of SEGMENT_SPLIT, has changed nothing:
 * the segments and their values are the same, and so are the iterators. What two splits take is had
 * before the first is made. When the second value of two cannot be split, the first is put together
 * again with SEGMENT_UNSPLIT; without it with SEGMENT_MERGE; and if that refuses, one segment stays
 * split where it was asked to be, which no key can tell.
 *
 * Iterators. One that is a set's stays valid until the set changes: insertions, removals, splits and
 * merges invalidate every iterator but those that they return, and with them the pointers got from
 * P_iterator_value_ptr(). Changing a segment's range or value through an iterator invalidates
 * nothing. All zeros is the terminal iterator. A set may be moved in memory by copying its bytes, but
 * then the gap iterator of an empty one is invalid.
 *
 * The tree is a B+ tree. All segments are in its leaves, which are linked in order; an inner node
 * has, for each child but the last, the end of the last segment below it. So:
 *
 *   - a leaf holds 1 to its capacity of segments, in ascending order; an inner node that many
 *     children; each, but the root and the nodes on the right edge of the tree, holds no less than
 *     the least fill (appending leaves full nodes behind, and begins the next with one entry);
 *   - all leaves are at the same depth, and an inner root has two children at least;
 *   - unused ends, starts and separators are the key type's maximum, so that a search in a node
 *     takes the same steps whatever it finds;
 *   - a node knows its parent, and a leaf its neighbours, so that iterators, which are a leaf and
 *     an index, need no set;
 *   - the gap before a segment belongs to the segment's leaf, and with SEGMENT_TRACK_GAPS every node
 *     knows the largest of those below it, and its parent does; the set's last gap is no one's;
 *   - an empty set has no node: its one gap is at `edge`, a leaf without segments inside the set.
 */
/* clang-format off */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <memmap/allocator.h>
#include <memmap/api.h>
#include <memmap/error.h>
#include <memmap/range.h>

#include <memmap/segment/parameters.h>

#ifndef SEGMENT_IMPLEMENT_ONLY
#	include <memmap/segment/types.h>
#	ifdef SEGMENT_DECLARE_ONLY
MEMMAP_BEGIN_DECLS
#	endif
#	include <memmap/segment/declarations.h>
#	ifdef SEGMENT_DECLARE_ONLY
MEMMAP_END_DECLS
#	endif
#endif

#ifndef SEGMENT_DECLARE_ONLY
#	include <memmap/segment/node.h>
#	include <memmap/segment/tree.h>
#	include <memmap/segment/iterator.h>
#	include <memmap/segment/set.h>
#	include <memmap/segment/ranges.h>
#	if SEGMENT_TRACK_GAPS
#		include <memmap/segment/gaps.h>
#	endif
#	include <memmap/segment/whole.h>
#	include <memmap/segment/inspect.h>
#endif

#include <memmap/segment/undefine.h>
