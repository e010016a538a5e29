/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The index of whole mappings; see mapping_index.h for what it is.
 *
 * Invariants: the pieces of a key neither overlap nor touch; each piece is in its extent's list; no
 * two extents are equal, none is without pieces; a key's tree hangs by its root in the bucket of
 * the key's hash, the roots of a bucket in a chain.
 *
 * A bucket table that cannot grow stays as it is: it is only slower then. The very first one must
 * be had.
 */
#include "memmap/mapping_index.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include <memmap/error.h>

#define MIN_BUCKETS 16

static struct mapping_extent *extent_of(const struct balanced_node *node)
{
	return (struct mapping_extent *)node;
}

static struct mapping_piece *piece_of(const struct balanced_node *node)
{
	return (struct mapping_piece *)node;
}

/*
 * ---- Memory ----
 */

static struct balanced_node *spare_pop(struct balanced_node **list, size_t *nr)
{
	struct balanced_node *node = *list;
	memmap_assert(node);
	*list = node->parent;
	--*nr;
	return node;
}

static void spare_push(struct balanced_node **list, size_t *nr, struct balanced_node *node)
{
	node->parent = *list;
	*list = node;
	++*nr;
}

static int spare_fill(const struct memmap_allocator *allocator, struct balanced_node **list,
		      size_t *nr, size_t need, size_t size)
{
	while (*nr < need) {
		struct balanced_node *node =
			memmap_allocate(allocator, size, _Alignof(max_align_t));
		if (!node)
			return -ENOMEM;
		spare_push(list, nr, node);
	}
	return 0;
}

/* Give back what is more than one operation takes. */
static void spare_trim(const struct memmap_allocator *allocator, struct balanced_node **list,
		       size_t *nr, size_t keep, size_t size)
{
	while (*nr > keep)
		memmap_deallocate(allocator, spare_pop(list, nr), size);
}

static void index_trim(struct memmap_mapping_index *index, size_t extents, size_t pieces)
{
	if (MEMMAP_LIKELY(index->nr_spare_extents <= extents && index->nr_spare_pieces <= pieces))
		return;
	spare_trim(index->allocator, &index->spare_extents, &index->nr_spare_extents, extents,
		   sizeof(struct mapping_extent));
	spare_trim(index->allocator, &index->spare_pieces, &index->nr_spare_pieces, pieces,
		   sizeof(struct mapping_piece));
}

struct memmap_mapping_index *mapping_index_create(const struct memmap_allocator *allocator)
{
	struct memmap_mapping_index *index =
		memmap_allocate(allocator, sizeof(*index), _Alignof(struct memmap_mapping_index));
	if (index)
		*index = (struct memmap_mapping_index){.allocator = allocator, .nr_users = 1};
	return index;
}

void mapping_index_clear(struct memmap_mapping_index *index)
{
	for (struct balanced_node *node = balanced_first(index->extents), *next; node;
	     node = next) {
		struct mapping_piece *piece = extent_of(node)->pieces;
		while (piece) {
			struct mapping_piece *next_piece = piece->next;
			memmap_deallocate(index->allocator, piece, sizeof(*piece));
			piece = next_piece;
		}
		/* In order of the tree, so that what is freed is not looked at again. */
		next = balanced_next(node);
		*balanced_link(&index->extents, node) = node->right;
		if (node->right)
			node->right->parent = node->parent;
		memmap_deallocate(index->allocator, node, sizeof(struct mapping_extent));
	}
	index->extents = NULL;
	memmap_deallocate(index->allocator, index->buckets,
			  index->nr_buckets * sizeof(struct mapping_bucket));
	index->buckets = NULL;
	index->nr_buckets = 0;
	index->nr_pieces = 0;
	index_trim(index, 0, 0);
}

void mapping_index_put(struct memmap_mapping_index *index)
{
	if (!index || --index->nr_users > 0)
		return;
	mapping_index_clear(index);
	memmap_deallocate(index->allocator, index, sizeof(*index));
}

/*
 * ---- Keys ----
 */

static size_t key_hash(const struct mapping_key *key)
{
	uint64_t x = (uint64_t)(uintptr_t)key->space * UINT64_C(0x9e3779b97f4a7c15);
	x ^= key->delta + key->writable;
	x = (x ^ (x >> 32)) * UINT64_C(0xd6e8feb86659fd93);
	return (size_t)(x ^ (x >> 32));
}

static bool key_equal(const struct mapping_key *a, const struct mapping_key *b)
{
	return a->space == b->space && a->delta == b->delta && a->writable == b->writable;
}

/* Where the pointer to the root of the key's tree is, or the NULL at the end of its bucket. */
static struct mapping_piece **key_link(const struct memmap_mapping_index *index,
				       const struct mapping_key *key)
{
	struct mapping_piece **link = &index->buckets[key_hash(key) & (index->nr_buckets - 1)].root;
	while (*link && !key_equal(&(*link)->key, key))
		link = &(*link)->chain;
	return link;
}

/* The tree at `*link` had the root `old`, which hung in the chain; now it has `root`. */
static void key_set_root(struct mapping_piece **link, struct mapping_piece *old,
			 struct mapping_piece *root)
{
	if (root == old)
		return;
	struct mapping_piece *chain = old ? old->chain : NULL;
	if (root) {
		root->chain = chain;
		*link = root;
	} else {
		*link = chain;
	}
}

static int index_grow_buckets(struct memmap_mapping_index *index)
{
	if (index->nr_pieces < index->nr_buckets)
		return 0;
	size_t nr = index->nr_buckets > 0 ? index->nr_buckets * 2 : MIN_BUCKETS;
	struct mapping_bucket *buckets =
		nr > PTRDIFF_MAX / sizeof(*buckets)
			? NULL
			: memmap_allocate(index->allocator, nr * sizeof(*buckets),
					  _Alignof(struct mapping_bucket));
	if (!buckets)
		return index->buckets ? 0 : -ENOMEM;
	memset(buckets, 0, nr * sizeof(*buckets));
	for (size_t i = 0; i < index->nr_buckets; i++) {
		for (struct mapping_piece *root = index->buckets[i].root, *next; root;
		     root = next) {
			struct mapping_bucket *bucket = &buckets[key_hash(&root->key) & (nr - 1)];
			next = root->chain;
			root->chain = bucket->root;
			bucket->root = root;
		}
	}
	memmap_deallocate(index->allocator, index->buckets, index->nr_buckets * sizeof(*buckets));
	index->buckets = buckets;
	index->nr_buckets = nr;
	return 0;
}

/* Have at least so many in hand. */
static int index_fill(struct memmap_mapping_index *index, size_t extents, size_t pieces)
{
	int err = spare_fill(index->allocator, &index->spare_extents, &index->nr_spare_extents,
			     extents, sizeof(struct mapping_extent));
	if (!err)
		err = spare_fill(index->allocator, &index->spare_pieces, &index->nr_spare_pieces,
				 pieces, sizeof(struct mapping_piece));
	return err;
}

int mapping_index_stock(struct memmap_mapping_index *index)
{
	int err = index_grow_buckets(index);
	return err ? err : index_fill(index, MAPPING_INDEX_NEW_EXTENTS, MAPPING_INDEX_NEW_PIECES);
}

/* The lowest piece of the tree below `piece` that ends after `x`. */
static struct mapping_piece *pieces_find(struct mapping_piece *piece, uint64_t x)
{
	struct mapping_piece *found = NULL;
	while (piece) {
		if (piece->extent->end > x) {
			found = piece;
			piece = piece_of(piece->node.left);
		} else {
			piece = piece_of(piece->node.right);
		}
	}
	return found;
}

struct mapping_piece *mapping_index_find(const struct memmap_mapping_index *index,
					 const struct mapping_key *key, uint64_t x)
{
	return index->nr_buckets > 0 ? pieces_find(*key_link(index, key), x) : NULL;
}

struct mapping_piece *mapping_piece_next(const struct mapping_piece *piece)
{
	return piece_of(balanced_next(&piece->node));
}

/*
 * ---- Extents ----
 */

static void extent_update(struct balanced_node *node)
{
	struct mapping_extent *extent = extent_of(node);
	uint64_t max = extent->muted ? 0 : extent->end;
	if (node->left && extent_of(node->left)->max_end > max)
		max = extent_of(node->left)->max_end;
	if (node->right && extent_of(node->right)->max_end > max)
		max = extent_of(node->right)->max_end;
	extent->max_end = max;
}

void mapping_extent_set_muted(struct mapping_extent *extent, bool muted)
{
	extent->muted = muted;
	for (struct balanced_node *node = &extent->node; node; node = node->parent) {
		uint64_t max_end = extent_of(node)->max_end;
		extent_update(node);
		if (extent_of(node)->max_end == max_end)
			break;
	}
}

/* The extent [start, end), made if need be. */
static struct mapping_extent *extent_get(struct memmap_mapping_index *index, uint64_t start,
					 uint64_t end)
{
	struct balanced_node *parent = NULL, **link = &index->extents;
	while (*link) {
		struct mapping_extent *extent = extent_of(*link);
		if (extent->start == start && extent->end == end)
			return extent;
		parent = *link;
		if (start < extent->start || (start == extent->start && end < extent->end))
			link = &parent->left;
		else
			link = &parent->right;
	}
	struct mapping_extent *extent =
		extent_of(spare_pop(&index->spare_extents, &index->nr_spare_extents));
	*extent = (struct mapping_extent){.start = start, .end = end};
	balanced_insert(&index->extents, parent, link, &extent->node, extent_update);
	return extent;
}

static void piece_join_extent(struct mapping_piece *piece, struct mapping_extent *extent)
{
	piece->extent = extent;
	piece->prev = NULL;
	piece->next = extent->pieces;
	if (piece->next)
		piece->next->prev = piece;
	extent->pieces = piece;
	extent->nr_pieces++;
}

static void piece_leave_extent(struct memmap_mapping_index *index, struct mapping_piece *piece)
{
	struct mapping_extent *extent = piece->extent;
	if (piece->prev)
		piece->prev->next = piece->next;
	else
		extent->pieces = piece->next;
	if (piece->next)
		piece->next->prev = piece->prev;
	if (--extent->nr_pieces > 0)
		return;
	balanced_remove(&index->extents, &extent->node, extent_update);
	spare_push(&index->spare_extents, &index->nr_spare_extents, &extent->node);
}

/*
 * ---- Pieces ----
 */

/* A new piece of a key, whose tree is at `link`; it overlaps none of the others. */
static void piece_insert(struct memmap_mapping_index *index, struct mapping_piece **link,
			 const struct mapping_key *key, uint64_t start, uint64_t end)
{
	struct mapping_piece *piece =
		piece_of(spare_pop(&index->spare_pieces, &index->nr_spare_pieces));
	*piece = (struct mapping_piece){.key = *key};
	struct mapping_piece *old = *link;
	struct balanced_node *root = old ? &old->node : NULL, *parent = NULL, **at = &root;
	while (*at) {
		parent = *at;
		at = start < piece_of(parent)->extent->start ? &parent->left : &parent->right;
	}
	piece_join_extent(piece, extent_get(index, start, end));
	balanced_insert(&root, parent, at, &piece->node, NULL);
	key_set_root(link, old, piece_of(root));
	index->nr_pieces++;
}

static void piece_remove(struct memmap_mapping_index *index, struct mapping_piece **link,
			 struct mapping_piece *piece)
{
	struct mapping_piece *old = *link;
	struct balanced_node *root = &old->node;
	piece_leave_extent(index, piece);
	balanced_remove(&root, &piece->node, NULL);
	key_set_root(link, old, piece_of(root));
	spare_push(&index->spare_pieces, &index->nr_spare_pieces, &piece->node);
	index->nr_pieces--;
}

/* Change the extent of a piece, which keeps its place among those of its key. */
static void piece_move(struct memmap_mapping_index *index, struct mapping_piece *piece,
		       uint64_t start, uint64_t end)
{
	piece_leave_extent(index, piece);
	piece_join_extent(piece, extent_get(index, start, end));
}

static void no_edge_changed(void *arg, uint64_t at, enum mapping_edge edge, ptrdiff_t change)
{
	(void)arg;
	(void)at;
	(void)edge;
	(void)change;
}

/*
 * The lowest piece that `r` overlaps or touches grows to hold `r` and the others, which go:
 *
 *   r                    |==========|
 *   pieces      |..1..|      |..2..||..3..|     1 is not touched, 3 is
 *   become      |..1..|  |.......2........|
 */
void mapping_index_add(struct memmap_mapping_index *index, const struct mapping_key *key,
		       struct memmap_mappable_range r, mapping_edge_changed *changed, void *arg)
{
	if (!changed)
		changed = no_edge_changed;
	struct mapping_piece **link = key_link(index, key);
	/* What touches ends at r.start or later; r.start - 1 may not be below 0. */
	struct mapping_piece *piece = pieces_find(*link, r.start > 0 ? r.start - 1 : 0);
	if (!piece || piece->extent->start > r.end) {
		piece_insert(index, link, key, r.start, r.end);
		changed(arg, r.start, MAPPING_BEGINS, 1);
		changed(arg, r.end, MAPPING_ENDS, 1);
		return;
	}
	uint64_t start = piece->extent->start, end = piece->extent->end;
	uint64_t joined_start = start < r.start ? start : r.start;
	uint64_t joined_end = end > r.end ? end : r.end;
	uint64_t last_end = end; /* of the pieces that are joined so far */
	for (struct mapping_piece *next = mapping_piece_next(piece);
	     next && next->extent->start <= r.end; next = mapping_piece_next(piece)) {
		changed(arg, last_end, MAPPING_ENDS, -1);
		changed(arg, next->extent->start, MAPPING_BEGINS, -1);
		last_end = next->extent->end;
		if (last_end > joined_end)
			joined_end = last_end;
		piece_remove(index, link, next);
	}
	if (joined_start != start) {
		changed(arg, start, MAPPING_BEGINS, -1);
		changed(arg, joined_start, MAPPING_BEGINS, 1);
	}
	if (joined_end != last_end) {
		changed(arg, last_end, MAPPING_ENDS, -1);
		changed(arg, joined_end, MAPPING_ENDS, 1);
	}
	if (joined_start != start || joined_end != end)
		piece_move(index, piece, joined_start, joined_end);
	index_trim(index, MAPPING_INDEX_NEW_EXTENTS, MAPPING_INDEX_NEW_PIECES);
}

/*
 *   r                 |===========|
 *   pieces      |..1..|..   |.2.| |..3..|       1 loses its end, 2 goes, 3 loses its start;
 *               |...........4...........|       one that has `r` inside becomes two
 */
void mapping_index_cut(struct memmap_mapping_index *index, const struct mapping_key *key,
		       struct memmap_mappable_range r, mapping_edge_changed *changed, void *arg)
{
	if (!changed)
		changed = no_edge_changed;
	/* Before `done`, the key maps nothing of `r` any more. */
	for (uint64_t done = r.start; done < r.end && index->nr_buckets > 0;) {
		/* Not before the loop: the key may go with its last piece. */
		struct mapping_piece **link = key_link(index, key);
		struct mapping_piece *piece = pieces_find(*link, done);
		if (!piece || piece->extent->start >= r.end)
			break;
		uint64_t start = piece->extent->start, end = piece->extent->end;
		const bool keeps_low = start < r.start;
		const bool keeps_high = end > r.end;
		done = end;
		if (keeps_low)
			changed(arg, r.start, MAPPING_ENDS, 1);
		else
			changed(arg, start, MAPPING_BEGINS, -1);
		if (keeps_high)
			changed(arg, r.end, MAPPING_BEGINS, 1);
		else
			changed(arg, end, MAPPING_ENDS, -1);
		if (keeps_low) {
			piece_move(index, piece, start, r.start);
			if (keeps_high)
				piece_insert(index, link, key, r.end, end);
		} else if (keeps_high) {
			piece_move(index, piece, r.end, end);
		} else {
			piece_remove(index, link, piece);
		}
	}
	index_trim(index, MAPPING_INDEX_NEW_EXTENTS, MAPPING_INDEX_NEW_PIECES);
}

/*
 * What a cut leaves of a piece moves to an extent of its own. The one that it leaves is in hand
 * then, unless others have it too:
 *
 *   r                 |===========|
 *   low, high     |..1..|  |.2.| |..3..|        1 leaves a part and so does 3, one extent each
 *   low = high  |...........4...........|       4 leaves two: two extents, and one piece more
 */
int mapping_index_stock_cut(struct memmap_mapping_index *index, const struct mapping_key *key,
			    struct memmap_mappable_range r)
{
	const struct mapping_piece *low = mapping_index_find(index, key, r.start);
	if (low && low->extent->start >= r.start)
		low = NULL;
	const struct mapping_piece *high = mapping_index_find(index, key, r.end);
	if (high && high->extent->start >= r.end)
		high = NULL;
	size_t extents = 0;
	if (low && low->extent->nr_pieces > 1)
		extents++;
	if (high && (high == low || high->extent->nr_pieces > 1))
		extents++;
	return index_fill(index, extents, high && high == low ? 1 : 0);
}

struct memmap_mapping_index *mapping_index_clone(const struct memmap_mapping_index *index)
{
	struct memmap_mapping_index *clone = mapping_index_create(index->allocator);
	if (!clone)
		return NULL;
	clone->unsettled = index->unsettled;
	for (struct balanced_node *node = balanced_first(index->extents); node;
	     node = balanced_next(node)) {
		struct memmap_mappable_range r = {extent_of(node)->start, extent_of(node)->end};
		for (struct mapping_piece *piece = extent_of(node)->pieces; piece;
		     piece = piece->next) {
			if (mapping_index_reserve(clone)) {
				mapping_index_put(clone);
				return NULL;
			}
			mapping_index_add(clone, &piece->key, r, NULL, NULL);
		}
	}
	return clone;
}

/*
 * ---- Questions ----
 */

struct mapping_extent *mapping_index_first_extent(const struct memmap_mapping_index *index)
{
	return extent_of(balanced_first(index->extents));
}

struct mapping_extent *mapping_extent_next(const struct mapping_extent *extent)
{
	return extent_of(balanced_next(&extent->node));
}

static bool extents_visit(const struct balanced_node *node, uint64_t x, mapping_piece_visit *visit,
			  void *arg)
{
	while (node && extent_of(node)->max_end > x) {
		const struct mapping_extent *extent = extent_of(node);
		if (!extents_visit(node->left, x, visit, arg))
			return false;
		if (extent->start > x)
			return true;
		if (extent->end > x) {
			for (const struct mapping_piece *piece = extent->pieces; piece;
			     piece = piece->next) {
				if (!visit(piece, arg))
					return false;
			}
		}
		node = node->right;
	}
	return true;
}

bool mapping_index_visit(const struct memmap_mapping_index *index, uint64_t x,
			 mapping_piece_visit *visit, void *arg)
{
	return extents_visit(index->extents, x, visit, arg);
}

static size_t extents_count(const struct balanced_node *node, uint64_t x)
{
	size_t nr = 0;
	while (node && extent_of(node)->max_end > x) {
		const struct mapping_extent *extent = extent_of(node);
		nr += extents_count(node->left, x);
		if (extent->start > x)
			break;
		if (extent->end > x)
			nr += extent->nr_pieces;
		node = node->right;
	}
	return nr;
}

size_t mapping_index_count(const struct memmap_mapping_index *index, uint64_t x)
{
	return extents_count(index->extents, x);
}

struct mapping_piece *mapping_index_any(const struct memmap_mapping_index *index,
					struct memmap_mappable_range r)
{
	const struct balanced_node *node = r.start < r.end ? index->extents : NULL;
	while (node) {
		const struct mapping_extent *extent = extent_of(node);
		if (extent->start < r.end && extent->end > r.start)
			return extent->pieces;
		/*
		 * When something in the left subtree reaches beyond r.start, but does not overlap
		 * `r`, it starts at or after r.end, and so does all to its right.
		 */
		if (node->left && extent_of(node->left)->max_end > r.start)
			node = node->left;
		else
			node = node->right;
	}
	return NULL;
}

/* The greatest end of what begins at or before `x` and is not muted; 0: nothing does. */
static uint64_t extents_reach(const struct memmap_mapping_index *index, uint64_t x)
{
	uint64_t reach = 0;
	for (const struct balanced_node *node = index->extents; node;) {
		const struct mapping_extent *extent = extent_of(node);
		if (extent->start > x) {
			node = node->left;
			continue;
		}
		if (!extent->muted && extent->end > reach)
			reach = extent->end;
		if (node->left && extent_of(node->left)->max_end > reach)
			reach = extent_of(node->left)->max_end;
		node = node->right;
	}
	return reach;
}

/* The lowest start after `x`; UINT64_MAX: there is none. */
static uint64_t extents_next_start(const struct memmap_mapping_index *index, uint64_t x)
{
	uint64_t next = UINT64_MAX;
	for (const struct balanced_node *node = index->extents; node;) {
		const struct mapping_extent *extent = extent_of(node);
		if (extent->start > x) {
			next = extent->start;
			node = node->left;
		} else {
			node = node->right;
		}
	}
	return next;
}

/*
 * From an offset that something maps, on to where all that begins at or before it ends; from one
 * that nothing maps, to where something begins.
 */
bool mapping_index_next_hole(const struct memmap_mapping_index *index, uint64_t *at, uint64_t end,
			     struct memmap_mappable_range *hole)
{
	while (*at < end) {
		uint64_t reach = extents_reach(index, *at);
		if (reach > *at) {
			*at = reach;
			continue;
		}
		uint64_t next = extents_next_start(index, *at);
		*hole = (struct memmap_mappable_range){*at, next < end ? next : end};
		*at = hole->end;
		return true;
	}
	return false;
}

/*
 * ---- Verifying ----
 */

static int broken(const char *what)
{
	(void)fprintf(stderr, "mapping index: %s\n", what);
	return -EINVAL;
}

/* Heights, links and balance below `node`; its height in `*height`. */
static int tree_verify(const struct balanced_node *node, const struct balanced_node *parent,
		       unsigned *height)
{
	*height = 0;
	if (!node)
		return 0;
	if (node->parent != parent)
		return broken("a node's parent is another");
	unsigned left, right;
	if (tree_verify(node->left, node, &left) || tree_verify(node->right, node, &right))
		return -EINVAL;
	if (left > right + 1 || right > left + 1)
		return broken("a tree is out of balance");
	*height = (left > right ? left : right) + 1;
	return node->height == *height ? 0 : broken("a height is wrong");
}

static int extents_verify(const struct memmap_mapping_index *index, size_t *nr_pieces)
{
	*nr_pieces = 0;
	const struct mapping_extent *prev = NULL;
	for (struct balanced_node *node = balanced_first(index->extents); node;
	     node = balanced_next(node)) {
		struct mapping_extent *extent = extent_of(node);
		if (extent->start >= extent->end)
			return broken("an extent is empty");
		if (prev && (prev->start > extent->start ||
			     (prev->start == extent->start && prev->end >= extent->end)))
			return broken("extents are out of order");
		prev = extent;
		struct mapping_extent same = *extent;
		extent_update(&same.node);
		if (same.max_end != extent->max_end || extent->muted)
			return broken("an extent's reach is wrong, or it is muted");
		size_t nr = 0;
		const struct mapping_piece *prev_piece = NULL;
		for (const struct mapping_piece *piece = extent->pieces; piece;
		     piece = piece->next) {
			nr++;
			if (piece->extent != extent || piece->prev != prev_piece)
				return broken("a piece is in another extent's list");
			prev_piece = piece;
		}
		if (nr == 0 || nr != extent->nr_pieces)
			return broken("an extent's pieces are miscounted");
		*nr_pieces += nr;
	}
	return 0;
}

static int keys_verify(const struct memmap_mapping_index *index, size_t *nr_pieces)
{
	*nr_pieces = 0;
	for (size_t i = 0; i < index->nr_buckets; i++) {
		for (const struct mapping_piece *root = index->buckets[i].root; root;
		     root = root->chain) {
			unsigned height;
			if (tree_verify(&root->node, NULL, &height))
				return -EINVAL;
			if ((key_hash(&root->key) & (index->nr_buckets - 1)) != i)
				return broken("a key is in the wrong bucket");
			const struct mapping_piece *prev = NULL;
			for (const struct balanced_node *node =
				     balanced_first((struct balanced_node *)&root->node);
			     node; node = balanced_next(node)) {
				const struct mapping_piece *piece = piece_of(node);
				if (!key_equal(&piece->key, &root->key))
					return broken("a piece is in another key's tree");
				if (prev && prev->extent->end >= piece->extent->start)
					return broken("pieces of a key overlap or touch");
				prev = piece;
				++*nr_pieces;
			}
		}
	}
	return 0;
}

int mapping_index_verify(const struct memmap_mapping_index *index)
{
	unsigned height;
	size_t in_extents, in_keys;
	if (tree_verify(index->extents, NULL, &height) || extents_verify(index, &in_extents) ||
	    keys_verify(index, &in_keys))
		return -EINVAL;
	if (in_extents != index->nr_pieces || in_keys != index->nr_pieces)
		return broken("pieces are miscounted");
	return 0;
}
