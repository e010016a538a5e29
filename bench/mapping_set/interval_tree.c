/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The yardstick: an augmented interval tree, which is what a kernel keeps its reverse maps in.
 *
 * A treap of mappings by where they start, each node with the largest end below it. A mapping is
 * removed by its node, which whoever added it remembers, and nobody is told which ranges became
 * mapped: so it does less than a mapping set must.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>

#define BENCH_NAME "interval tree"

struct mapping {
	struct mapping *left, *right, *parent;
	uint64_t start, end, largest_end;
	uint64_t addr;
	uint32_t space, priority;
};

struct bench_map {
	struct mapping *root;
	struct mapping **of; /* as the address spaces would remember them */
	uint32_t random_state;
};

#include "bench_body.h"

static void update(struct mapping *m)
{
	uint64_t largest = m->end;

	if (m->left && m->left->largest_end > largest)
		largest = m->left->largest_end;
	if (m->right && m->right->largest_end > largest)
		largest = m->right->largest_end;
	m->largest_end = largest;
}

static void replace_child(struct bench_map *map, struct mapping *parent, struct mapping *old,
			  struct mapping *new)
{
	if (!parent)
		map->root = new;
	else if (parent->left == old)
		parent->left = new;
	else
		parent->right = new;
	if (new)
		new->parent = parent;
}

/*
 *      p            m
 *     / \          / \
 *    m   c   ->   a   p      and the other way round
 *   / \              / \
 *  a   b            b   c
 */
static void rotate_up(struct bench_map *map, struct mapping *m)
{
	struct mapping *p = m->parent, *moved;

	replace_child(map, p->parent, p, m);
	if (p->left == m) {
		moved = p->left = m->right;
		m->right = p;
	} else {
		moved = p->right = m->left;
		m->left = p;
	}
	if (moved)
		moved->parent = p;
	p->parent = m;
	update(p);
	update(m);
}

static void bench_init(struct bench_map *map, size_t nr)
{
	map->of = calloc(nr * BENCH_NR_RANGES, sizeof(*map->of));
	if (!map->of)
		abort();
	map->random_state = 42;
}

static void bench_add(struct bench_map *map, size_t i, uint32_t space, uint64_t addr,
		      uint64_t start, uint64_t end)
{
	struct mapping *m = malloc(sizeof(*m)), *parent = NULL, **link = &map->root;

	if (!m)
		abort();
	map->random_state = map->random_state * 1664525 + 1013904223;
	*m = (struct mapping){.start = start,
			      .end = end,
			      .largest_end = end,
			      .addr = addr,
			      .space = space,
			      .priority = map->random_state};
	while (*link) {
		parent = *link;
		if (parent->largest_end < end)
			parent->largest_end = end;
		link = start < parent->start ? &parent->left : &parent->right;
	}
	m->parent = parent;
	*link = m;
	while (m->parent && m->parent->priority < m->priority)
		rotate_up(map, m);
	map->of[i] = m;
}

static void bench_remove(struct bench_map *map, size_t i, uint32_t space, uint64_t addr,
			 uint64_t start, uint64_t end)
{
	struct mapping *m = map->of[i];

	(void)space;
	(void)addr;
	(void)start;
	(void)end;
	while (m->left || m->right) {
		if (!m->right || (m->left && m->left->priority > m->right->priority))
			rotate_up(map, m->left);
		else
			rotate_up(map, m->right);
	}
	struct mapping *parent = m->parent;

	replace_child(map, parent, m, NULL);
	for (; parent; parent = parent->parent) {
		uint64_t before = parent->largest_end;

		update(parent);
		if (parent->largest_end == before && before != m->end)
			break;
	}
	free(m);
}

static void invalidate(const struct mapping *m, uint64_t start, uint64_t end)
{
	while (m && m->largest_end > start) {
		invalidate(m->left, start, end);
		if (m->start >= end)
			return;
		if (m->end > start) {
			uint64_t from = m->start > start ? m->start : start;
			uint64_t to = m->end < end ? m->end : end;

			bench_invalidated(m->space, m->addr + (from - m->start),
					  m->addr + (to - m->start));
		}
		m = m->right;
	}
}

static void bench_invalidate(struct bench_map *map, uint64_t start, uint64_t end)
{
	invalidate(map->root, start, end);
}

static void bench_destroy(struct bench_map *map)
{
	free(map->of);
}
