/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A balanced binary tree (AVL) whose nodes are part of what they order, for structures that look
 * for their own place and keep something about each subtree.
 *
 * The user walks down from the root, finds the link where a new node belongs and calls
 * balanced_insert(). `update` recomputes what a node keeps about its subtree from the node itself
 * and its children, whose own is right; NULL: there is nothing. It is a constant at each call, so
 * that it becomes part of the code.
 *
 * Invariants: the heights of a node's two subtrees differ by at most one; `height` is that of the
 * subtree, 1 for a node without children; what `update` computes is right for every node.
 */
#ifndef MEMMAP_SRC_MEMMAP_BALANCED_TREE_H
#define MEMMAP_SRC_MEMMAP_BALANCED_TREE_H

#include <stddef.h>

struct balanced_node {
	struct balanced_node *parent, *left, *right;
	unsigned height;
};

typedef void balanced_update(struct balanced_node *node);

#define BALANCED_INLINE static inline __attribute__((unused, always_inline))

BALANCED_INLINE unsigned balanced_height(const struct balanced_node *node)
{
	return node ? node->height : 0;
}

BALANCED_INLINE void balanced_refresh(struct balanced_node *node, balanced_update *update)
{
	unsigned left = balanced_height(node->left), right = balanced_height(node->right);
	node->height = (left > right ? left : right) + 1;
	if (update)
		update(node);
}

/* Where the pointer to `node` is. */
BALANCED_INLINE struct balanced_node **balanced_link(struct balanced_node **root,
						     const struct balanced_node *node)
{
	if (!node->parent)
		return root;
	return node->parent->left == node ? &node->parent->left : &node->parent->right;
}

/*
 *      node                 right
 *      /  \                 /   \
 *     a   right    ->    node    c
 *         /  \           /  \
 *        b    c         a    b
 */
BALANCED_INLINE struct balanced_node *balanced_rotate_left(struct balanced_node **root,
							   struct balanced_node *node,
							   balanced_update *update)
{
	struct balanced_node *right = node->right;
	*balanced_link(root, node) = right;
	right->parent = node->parent;
	node->right = right->left;
	if (node->right)
		node->right->parent = node;
	right->left = node;
	node->parent = right;
	balanced_refresh(node, update);
	balanced_refresh(right, update);
	return right;
}

/* The same, mirrored. */
BALANCED_INLINE struct balanced_node *balanced_rotate_right(struct balanced_node **root,
							    struct balanced_node *node,
							    balanced_update *update)
{
	struct balanced_node *left = node->left;
	*balanced_link(root, node) = left;
	left->parent = node->parent;
	node->left = left->right;
	if (node->left)
		node->left->parent = node;
	left->right = node;
	node->parent = left;
	balanced_refresh(node, update);
	balanced_refresh(left, update);
	return left;
}

/* Restore the invariants from `node` up: below it they hold. */
BALANCED_INLINE void balanced_repair(struct balanced_node **root, struct balanced_node *node,
				     balanced_update *update)
{
	for (; node; node = node->parent) {
		struct balanced_node *left = node->left, *right = node->right;
		if (left && left->height > balanced_height(right) + 1) {
			if (balanced_height(left->left) < balanced_height(left->right))
				balanced_rotate_left(root, left, update);
			node = balanced_rotate_right(root, node, update);
		} else if (right && right->height > balanced_height(left) + 1) {
			if (balanced_height(right->right) < balanced_height(right->left))
				balanced_rotate_right(root, right, update);
			node = balanced_rotate_left(root, node, update);
		} else {
			balanced_refresh(node, update);
		}
	}
}

/* Put `node` at `*link`, which is NULL and belongs to `parent` (NULL: it is the root). */
BALANCED_INLINE void balanced_insert(struct balanced_node **root, struct balanced_node *parent,
				     struct balanced_node **link, struct balanced_node *node,
				     balanced_update *update)
{
	node->parent = parent;
	node->left = NULL;
	node->right = NULL;
	*link = node;
	balanced_repair(root, node, update);
}

/* Take `node` out of the tree. */
BALANCED_INLINE void balanced_remove(struct balanced_node **root, struct balanced_node *node,
				     balanced_update *update)
{
	struct balanced_node *heir, *lowest; /* what takes its place; where subtrees changed */
	if (!node->left || !node->right) {
		heir = node->left ? node->left : node->right;
		lowest = node->parent;
	} else {
		heir = node->right;
		while (heir->left)
			heir = heir->left;
		lowest = heir->parent == node ? heir : heir->parent;
		if (heir->parent != node) {
			heir->parent->left = heir->right;
			if (heir->right)
				heir->right->parent = heir->parent;
			heir->right = node->right;
			heir->right->parent = heir;
		}
		heir->left = node->left;
		heir->left->parent = heir;
	}
	*balanced_link(root, node) = heir;
	if (heir)
		heir->parent = node->parent;
	balanced_repair(root, lowest, update);
}

BALANCED_INLINE struct balanced_node *balanced_first(struct balanced_node *root)
{
	while (root && root->left)
		root = root->left;
	return root;
}

BALANCED_INLINE struct balanced_node *balanced_next(const struct balanced_node *node)
{
	if (node->right)
		return balanced_first(node->right);
	while (node->parent && node->parent->right == node)
		node = node->parent;
	return node->parent;
}

#endif /* MEMMAP_SRC_MEMMAP_BALANCED_TREE_H */
