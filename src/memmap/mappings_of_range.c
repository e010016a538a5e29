/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sets of mappings that own what they hold: the values of segments, and those that a program makes.
 *
 * A set of one mapping keeps it inside; a larger one has a hash table with open addressing, linear
 * probing and no tombstones. What is hashed is a mapping's space, start and `writable`, but not its
 * end: so that merging two segments, which moves nothing but ends, changes every mapping in place
 * and cannot fail.
 *
 * Invariants: nr_slots is 0 or a power of two of at least MIN_SLOTS; at most 3/4 of the slots are
 * used; no two mappings are equal; from its hash's slot to where a mapping is, all slots are used.
 *
 * Locking: none; see <memmap/mapping_set.h>.
 */
#include "memmap/mappings_of_range.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include <memmap/error.h>

#define MIN_SLOTS 8

void memmap_mappings_of_range_init(struct memmap_mappings_of_range *v,
				   const struct memmap_allocator *allocator)
{
	*v = (struct memmap_mappings_of_range){.allocator = allocator};
}

void memmap_mappings_of_range_clear(struct memmap_mappings_of_range *v)
{
	if (v->nr_slots > 0)
		memmap_deallocate(v->allocator, v->in.slots, v->nr_slots * sizeof(*v->in.slots));
	memmap_mappings_of_range_init(v, v->allocator);
}

size_t memmap_mappings_of_range_count(const struct memmap_mappings_of_range *v)
{
	return v->nr;
}

/*
 * ---- The table ----
 */

static size_t mapping_hash(const struct memmap_mapping_of_range *m)
{
	uint64_t x = (uint64_t)(uintptr_t)m->space * UINT64_C(0x9e3779b97f4a7c15);
	x ^= m->addr_range.start + m->writable;
	x = (x ^ (x >> 32)) * UINT64_C(0xd6e8feb86659fd93);
	return (size_t)(x ^ (x >> 32));
}

/* Where `m` is, or the unused slot where it would be. There is a table, and an unused slot in it.
 */
static struct memmap_mapping_of_range *table_probe(const struct memmap_mappings_of_range *v,
						   const struct memmap_mapping_of_range *m)
{
	size_t mask = v->nr_slots - 1;
	size_t i = mapping_hash(m) & mask;
	while (v->in.slots[i].space && !memmap_mapping_of_range_equal(v->in.slots[i], *m))
		i = (i + 1) & mask;
	return &v->in.slots[i];
}

/*
 * Empty a slot, and move back what could only be found across it:
 *
 *   slot    hole   a   b   c      b's hash leads to the hole or before it
 *           b      a   .   c      the new hole is where b was; go on from there
 */
static void table_vacate(struct memmap_mappings_of_range *v, struct memmap_mapping_of_range *slot)
{
	size_t mask = v->nr_slots - 1;
	size_t hole = (size_t)(slot - v->in.slots);
	for (size_t i = (hole + 1) & mask; v->in.slots[i].space; i = (i + 1) & mask) {
		size_t home = mapping_hash(&v->in.slots[i]) & mask;
		if (((i - home) & mask) >= ((i - hole) & mask)) {
			v->in.slots[hole] = v->in.slots[i];
			hole = i;
		}
	}
	v->in.slots[hole].space = NULL;
}

/* The used slots in turn; begin and end with NULL. */
static const struct memmap_mapping_of_range *mappings_next(const struct memmap_mappings_of_range *v,
							   const struct memmap_mapping_of_range *m)
{
	if (v->nr_slots == 0)
		return m || v->nr == 0 ? NULL : &v->in.one;
	for (m = m ? m + 1 : v->in.slots; m < v->in.slots + v->nr_slots; m++) {
		if (m->space)
			return m;
	}
	return NULL;
}

#define for_each_mapping(m, v)                                                                     \
	for (const struct memmap_mapping_of_range *m = mappings_next(v, NULL); m;                  \
	     m = mappings_next(v, m))

static struct memmap_mapping_of_range *mappings_find(const struct memmap_mappings_of_range *v,
						     const struct memmap_mapping_of_range *m)
{
	/* An unused slot is no mapping, even when asked for one without a space. */
	if (!m->space || v->nr == 0)
		return NULL;
	struct memmap_mapping_of_range *at = (struct memmap_mapping_of_range *)&v->in.one;
	if (v->nr_slots > 0)
		at = table_probe(v, m);
	return at->space && memmap_mapping_of_range_equal(*at, *m) ? at : NULL;
}

/* Add `m`, which may be there already; there is room for it. */
static void mappings_put(struct memmap_mappings_of_range *v,
			 const struct memmap_mapping_of_range *m)
{
	if (mappings_find(v, m))
		return;
	if (v->nr_slots > 0)
		*table_probe(v, m) = *m;
	else
		v->in.one = *m;
	v->nr++;
}

int memmap_mappings_of_range_reserve(struct memmap_mappings_of_range *v, size_t n)
{
	if (n <= 1 || n <= v->nr_slots / 4 * 3)
		return 0;
	size_t nr_slots = v->nr_slots > 0 ? v->nr_slots : MIN_SLOTS;
	while (nr_slots / 4 * 3 < n) {
		if (nr_slots > PTRDIFF_MAX / sizeof(*v->in.slots) / 2)
			return -ENOMEM;
		nr_slots *= 2;
	}
	struct memmap_mappings_of_range bigger = {.allocator = v->allocator, .nr_slots = nr_slots};
	bigger.in.slots = memmap_allocate(v->allocator, nr_slots * sizeof(*bigger.in.slots),
					  _Alignof(struct memmap_mapping_of_range));
	if (!bigger.in.slots)
		return -ENOMEM;
	memset(bigger.in.slots, 0, nr_slots * sizeof(*bigger.in.slots));
	for_each_mapping(m, v) mappings_put(&bigger, m);
	memmap_mappings_of_range_clear(v);
	*v = bigger;
	return 0;
}

/*
 * ---- One mapping ----
 */

bool memmap_mappings_of_range_contains(const struct memmap_mappings_of_range *v,
				       struct memmap_mapping_of_range m)
{
	return mappings_find(v, &m) != NULL;
}

int memmap_mappings_of_range_add(struct memmap_mappings_of_range *v,
				 struct memmap_mapping_of_range m)
{
	if (!m.space)
		memmap_panic("a mapping of no space cannot be added");
	if (mappings_find(v, &m))
		return 0;
	int err = memmap_mappings_of_range_reserve(v, v->nr + 1);
	if (err)
		return err;
	mappings_put(v, &m);
	return 0;
}

int memmap_mappings_of_range_remove(struct memmap_mappings_of_range *v,
				    struct memmap_mapping_of_range m)
{
	struct memmap_mapping_of_range *at = mappings_find(v, &m);
	if (!at)
		return 0;
	if (v->nr_slots > 0)
		table_vacate(v, at);
	v->nr--;
	return 1;
}

/*
 * ---- All mappings ----
 */

bool memmap_mappings_of_range_visit(const struct memmap_mappings_of_range *v,
				    bool (*visit)(struct memmap_mapping_of_range m, void *arg),
				    void *arg)
{
	for_each_mapping(m, v)
	{
		if (!visit(*m, arg))
			return false;
	}
	return true;
}

static bool mapping_before(const struct memmap_mapping_of_range *a,
			   const struct memmap_mapping_of_range *b)
{
	if (a->addr_range.start != b->addr_range.start)
		return a->addr_range.start < b->addr_range.start;
	if (a->addr_range.end != b->addr_range.end)
		return a->addr_range.end < b->addr_range.end;
	if (a->space != b->space)
		return (uintptr_t)a->space < (uintptr_t)b->space;
	return a->writable < b->writable;
}

/*
 * The first `cap` of the mappings that are shown to it, in a heap with the last of them on top. So
 * that listing needs no memory but the caller's.
 */
struct listing {
	struct memmap_mapping_of_range *heap;
	size_t len, cap;
	size_t nr; /* shown in all */
};

static void listing_sift_down(struct memmap_mapping_of_range *heap, size_t len, size_t i)
{
	struct memmap_mapping_of_range sinking = heap[i];
	for (size_t child; (child = 2 * i + 1) < len; i = child) {
		if (child + 1 < len && mapping_before(&heap[child], &heap[child + 1]))
			child++;
		if (!mapping_before(&sinking, &heap[child]))
			break;
		heap[i] = heap[child];
	}
	heap[i] = sinking;
}

static bool listing_show(struct memmap_mapping_of_range m, void *arg)
{
	struct listing *l = arg;
	l->nr++;
	if (l->len < l->cap) {
		size_t i = l->len++;
		for (; i > 0 && mapping_before(&l->heap[(i - 1) / 2], &m); i = (i - 1) / 2)
			l->heap[i] = l->heap[(i - 1) / 2];
		l->heap[i] = m;
	} else if (l->cap > 0 && mapping_before(&m, &l->heap[0])) {
		l->heap[0] = m;
		listing_sift_down(l->heap, l->len, 0);
	}
	return true;
}

size_t memmap_mappings_of_range_list(const struct memmap_mappings_of_range *v,
				     struct memmap_mapping_of_range *out, size_t cap)
{
	struct listing l = {.heap = out, .cap = cap};
	memmap_mappings_of_range_visit(v, listing_show, &l);
	for (size_t len = l.len; len > 1; len--) {
		struct memmap_mapping_of_range last = out[0];
		out[0] = out[len - 1];
		out[len - 1] = last;
		listing_sift_down(out, len - 1, 0);
	}
	return l.nr;
}

int memmap_mappings_of_range_duplicate(const struct memmap_mappings_of_range *v,
				       struct memmap_mappings_of_range *out)
{
	struct memmap_mappings_of_range copy = {.allocator = v->allocator};
	int err = memmap_mappings_of_range_reserve(&copy, v->nr);
	if (err)
		return err;
	for_each_mapping(m, v) mappings_put(&copy, m);
	*out = copy;
	return 0;
}

/*
 * ---- Merging and parting, with the segments that they are values of ----
 */

bool memmap_mappings_of_range_merge(struct memmap_mappable_range r1,
				    struct memmap_mappings_of_range *v1,
				    struct memmap_mappable_range r2,
				    struct memmap_mappings_of_range *v2,
				    struct memmap_mappings_of_range *out)
{
	(void)r1;
	if (v1->nr != v2->nr)
		return false;
	uint64_t length2 = memmap_mappable_range_length(r2);
	for_each_mapping(m, v1)
	{
		struct memmap_mapping_of_range next = *m;
		next.addr_range.start = m->addr_range.end;
		next.addr_range.end = m->addr_range.end + length2;
		if (!mappings_find(v2, &next))
			return false;
	}
	memmap_mappings_of_range_clear(v2);
	for_each_mapping(m, v1)((struct memmap_mapping_of_range *)m)->addr_range.end += length2;
	*out = *v1;
	return true;
}

int memmap_mappings_of_range_parted(struct memmap_mappable_range r,
				    const struct memmap_mappings_of_range *v, uint64_t at,
				    struct memmap_mappings_of_range *out1,
				    struct memmap_mappings_of_range *out2)
{
	if (!memmap_mappable_range_can_split_at(r, at)) {
		char text[MEMMAP_RANGE_FORMAT_SIZE];
		memmap_panic("cannot split the mappings of %s at 0x%" PRIx64,
			     memmap_mappable_range_format(r, text, sizeof(text)), at);
	}
	struct memmap_mappings_of_range low = {.allocator = v->allocator};
	struct memmap_mappings_of_range high = {.allocator = v->allocator};
	int err = memmap_mappings_of_range_reserve(&low, v->nr + 1);
	if (err)
		return err;
	err = memmap_mappings_of_range_reserve(&high, v->nr + 1);
	if (err) {
		memmap_mappings_of_range_clear(&low);
		return err;
	}
	for_each_mapping(m, v)
	{
		struct memmap_mapping_of_range part = *m;
		part.addr_range.end = m->addr_range.start + (at - r.start);
		mappings_put(&low, &part);
		part.addr_range.start = part.addr_range.end;
		part.addr_range.end = m->addr_range.end;
		mappings_put(&high, &part);
	}
	*out1 = low;
	*out2 = high;
	return 0;
}

int memmap_mappings_of_range_split(struct memmap_mappable_range r,
				   struct memmap_mappings_of_range *v, uint64_t at,
				   struct memmap_mappings_of_range *out1,
				   struct memmap_mappings_of_range *out2)
{
	struct memmap_mappings_of_range whole = *v;
	int err = memmap_mappings_of_range_parted(r, &whole, at, out1, out2);
	if (err)
		return err;
	memmap_mappings_of_range_clear(&whole);
	return 0;
}

/*
 * The second part of each mapping tells its end, and its start as well: `at - r.start` lower. The
 * first part does not tell the end. What the first parts were in has room for the whole ones.
 */
void memmap_mappings_of_range_unsplit(struct memmap_mappable_range r, uint64_t at,
				      struct memmap_mappings_of_range *v1,
				      struct memmap_mappings_of_range *v2,
				      struct memmap_mappings_of_range *out)
{
	struct memmap_mappings_of_range whole = *v1;
	whole.nr = 0;
	if (whole.nr_slots > 0)
		memset(whole.in.slots, 0, whole.nr_slots * sizeof(*whole.in.slots));
	for_each_mapping(m, v2)
	{
		struct memmap_mapping_of_range joined = *m;
		joined.addr_range.start -= at - r.start;
		mappings_put(&whole, &joined);
	}
	memmap_mappings_of_range_clear(v2);
	*out = whole;
}

struct memmap_mapping_of_range memmap_subset_mapping(struct memmap_mappable_range whole,
						     struct memmap_mappable_range subset,
						     struct memmap_mapping_space *ms, uint64_t addr,
						     bool writable)
{
	if (!memmap_mappable_range_is_superset_of(whole, subset)) {
		char text1[MEMMAP_RANGE_FORMAT_SIZE], text2[MEMMAP_RANGE_FORMAT_SIZE];
		memmap_panic("%s is not a superset of %s",
			     memmap_mappable_range_format(whole, text1, sizeof(text1)),
			     memmap_mappable_range_format(subset, text2, sizeof(text2)));
	}
	uint64_t start = addr + (subset.start - whole.start);
	return (struct memmap_mapping_of_range){
		.space = ms,
		.addr_range = {start, start + memmap_mappable_range_length(subset)},
		.writable = writable,
	};
}
