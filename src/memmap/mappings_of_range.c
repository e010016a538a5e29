/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sets of mappings: the values of segments, and those that a program makes.
 *
 * One that owns its mappings keeps a single one inside; more are in a hash table with open
 * addressing, linear probing and no tombstones. What is hashed is a mapping's space, start and
 * `writable`, but not its end: so that merging two segments, which moves nothing but ends, changes
 * every mapping in place and cannot fail.
 *
 * Invariants of an own table: nr_slots is 0 or a power of two of at least MIN_SLOTS; at most 3/4 of
 * the slots are used; no two mappings are equal; from its hash's slot to where a mapping is, all
 * slots are used. Of a view: each piece of the index covers all of its range or nothing of it; when
 * the index is settled, nr_begins and nr_ends count the pieces that begin and end with the range.
 *
 * Locking: none; see <memmap/mapping_set.h>.
 */
#include "memmap/mappings_of_range.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include <memmap/error.h>

#define MIN_SLOTS 8

typedef struct memmap_mappings_of_range mappings;
typedef struct memmap_mapping_of_range mapping;

void memmap_mappings_of_range_init(mappings *v, const struct memmap_allocator *allocator)
{
	memset(v, 0, sizeof(*v));
	v->allocator = allocator;
}

struct memmap_mappings_of_range mappings_view(struct memmap_mapping_index *index,
					      struct memmap_mappable_range of)
{
	mappings v = {.allocator = index->allocator, .view_of = index};
	v.in.view = (struct memmap_mappings_view){.of = of};
	return v;
}

void memmap_mappings_of_range_clear(mappings *v)
{
	if (v->view_of) {
		if (v->in.view.keeps)
			mapping_index_put(v->view_of);
	} else if (v->in.own.nr_slots > 0) {
		memmap_deallocate(v->allocator, v->in.own.at.slots,
				  v->in.own.nr_slots * sizeof(mapping));
	}
	memmap_mappings_of_range_init(v, v->allocator);
}

size_t memmap_mappings_of_range_count(const mappings *v)
{
	return v->view_of ? mapping_index_count(v->view_of, v->in.view.of.start) : v->in.own.nr;
}

/*
 * ---- The table of own mappings ----
 */

static size_t mapping_hash(const mapping *m)
{
	uint64_t x = (uint64_t)(uintptr_t)m->space * UINT64_C(0x9e3779b97f4a7c15);
	x ^= m->addr_range.start + m->writable;
	x = (x ^ (x >> 32)) * UINT64_C(0xd6e8feb86659fd93);
	return (size_t)(x ^ (x >> 32));
}

/* Where `m` is, or the unused slot where it would be. There is a table with an unused slot. */
static mapping *table_probe(const mappings *v, const mapping *m)
{
	size_t mask = v->in.own.nr_slots - 1;
	size_t i = mapping_hash(m) & mask;
	mapping *slots = v->in.own.at.slots;
	while (slots[i].space && !memmap_mapping_of_range_equal(slots[i], *m))
		i = (i + 1) & mask;
	return &slots[i];
}

/*
 * Empty a slot, and move back what could only be found across it:
 *
 *   slot    hole   a   b   c      b's hash leads to the hole or before it, a's does not
 *           b      a   .   c      the new hole is where b was; go on from there
 */
static void table_vacate(mappings *v, mapping *slot)
{
	mapping *slots = v->in.own.at.slots;
	size_t mask = v->in.own.nr_slots - 1;
	size_t hole = (size_t)(slot - slots);
	for (size_t i = (hole + 1) & mask; slots[i].space; i = (i + 1) & mask) {
		size_t home = mapping_hash(&slots[i]) & mask;
		if (((i - home) & mask) >= ((i - hole) & mask)) {
			slots[hole] = slots[i];
			hole = i;
		}
	}
	slots[hole].space = NULL;
}

/* Own mappings in turn; begin and end with NULL. */
static mapping *own_next(mappings *v, mapping *m)
{
	if (v->in.own.nr_slots == 0)
		return m || v->in.own.nr == 0 ? NULL : &v->in.own.at.one;
	for (m = m ? m + 1 : v->in.own.at.slots; m < v->in.own.at.slots + v->in.own.nr_slots; m++) {
		if (m->space)
			return m;
	}
	return NULL;
}

#define for_each_own(m, v) for (mapping *m = own_next(v, NULL); m; m = own_next(v, m))

static mapping *own_find(mappings *v, const mapping *m)
{
	/* An unused slot is no mapping, even when asked for one without a space. */
	if (!m->space || v->in.own.nr == 0)
		return NULL;
	mapping *at = v->in.own.nr_slots > 0 ? table_probe(v, m) : &v->in.own.at.one;
	return at->space && memmap_mapping_of_range_equal(*at, *m) ? at : NULL;
}

/* Add `m`, which may be there already; there is room for it. */
static void own_put(mappings *v, const mapping *m)
{
	if (own_find(v, m))
		return;
	if (v->in.own.nr_slots > 0)
		*table_probe(v, m) = *m;
	else
		v->in.own.at.one = *m;
	v->in.own.nr++;
}

static bool own_put_each(mapping m, void *arg)
{
	own_put(arg, &m);
	return true;
}

/* Make `*out` an empty set with room for `n`. */
static int own_make(mappings *out, const struct memmap_allocator *allocator, size_t n)
{
	memmap_mappings_of_range_init(out, allocator);
	if (n <= 1)
		return 0;
	size_t nr_slots = MIN_SLOTS;
	while (nr_slots / 4 * 3 < n) {
		if (nr_slots > PTRDIFF_MAX / sizeof(mapping) / 2)
			return -ENOMEM;
		nr_slots *= 2;
	}
	mapping *slots = memmap_allocate(allocator, nr_slots * sizeof(mapping), _Alignof(mapping));
	if (!slots)
		return -ENOMEM;
	memset(slots, 0, nr_slots * sizeof(mapping));
	out->in.own.at.slots = slots;
	out->in.own.nr_slots = nr_slots;
	return 0;
}

int mappings_own(mappings *v, size_t more)
{
	size_t room = v->in.own.nr_slots > 0 ? v->in.own.nr_slots / 4 * 3 : 1;
	if (!v->view_of && more <= room - v->in.own.nr)
		return 0;
	mappings own;
	int err = own_make(&own, v->allocator, memmap_mappings_of_range_count(v) + more);
	if (err)
		return err;
	memmap_mappings_of_range_visit(v, own_put_each, &own);
	if (v->view_of)
		v->view_of->unsettled = true;
	memmap_mappings_of_range_clear(v);
	*v = own;
	return 0;
}

/*
 * ---- Views ----
 */

static mapping view_mapping(const mappings *v, const struct mapping_key *key)
{
	struct memmap_mappable_range of = v->in.view.of;
	return (mapping){key->space, {of.start + key->delta, of.end + key->delta}, key->writable};
}

static bool view_contains(const mappings *v, const mapping *m)
{
	struct memmap_mappable_range of = v->in.view.of;
	if (m->addr_range.end - m->addr_range.start != of.end - of.start)
		return false;
	struct mapping_key key = {m->space, m->addr_range.start - of.start, m->writable};
	const struct mapping_piece *piece = mapping_index_find(v->view_of, &key, of.start);
	return piece && piece->extent->start <= of.start;
}

struct view_visit {
	const mappings *v;
	bool (*visit)(mapping m, void *arg);
	void *arg;
};

static bool view_visit_piece(const struct mapping_piece *piece, void *arg)
{
	const struct view_visit *w = arg;
	return w->visit(view_mapping(w->v, &piece->key), w->arg);
}

/* Does what `v1` shows end where what `v2` shows begins, all of it in the same index? */
static bool views_touch(const mappings *v1, const mappings *v2)
{
	return v1->view_of && v1->view_of == v2->view_of &&
	       v1->in.view.of.end == v2->in.view.of.start;
}

static mappings views_joined(const mappings *v1, const mappings *v2)
{
	mappings joined = *v1;
	joined.in.view.of.end = v2->in.view.of.end;
	joined.in.view.nr_ends = v2->in.view.nr_ends;
	return joined;
}

/*
 * ---- One mapping ----
 */

bool memmap_mappings_of_range_contains(const mappings *v, mapping m)
{
	if (v->view_of)
		return view_contains(v, &m);
	/* Only looked at. */
	return own_find((mappings *)v, &m) != NULL;
}

int memmap_mappings_of_range_add(mappings *v, mapping m)
{
	if (!m.space)
		memmap_panic("a mapping of no space cannot be added");
	if (memmap_mappings_of_range_contains(v, m))
		return 0;
	int err = mappings_own(v, 1);
	if (err)
		return err;
	own_put(v, &m);
	return 0;
}

int memmap_mappings_of_range_remove(mappings *v, mapping m)
{
	if (!memmap_mappings_of_range_contains(v, m))
		return 0;
	int err = mappings_own(v, 0);
	if (err)
		return err;
	if (v->in.own.nr_slots > 0)
		table_vacate(v, own_find(v, &m));
	v->in.own.nr--;
	return 1;
}

/*
 * ---- All mappings ----
 */

bool memmap_mappings_of_range_visit(const mappings *v, bool (*visit)(mapping m, void *arg),
				    void *arg)
{
	if (v->view_of) {
		struct view_visit w = {v, visit, arg};
		return mapping_index_visit(v->view_of, v->in.view.of.start, view_visit_piece, &w);
	}
	for_each_own(m, (mappings *)v)
	{
		if (!visit(*m, arg))
			return false;
	}
	return true;
}

static bool mapping_before(const mapping *a, const mapping *b)
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
	mapping *heap;
	size_t len, cap;
	size_t nr; /* shown in all */
};

static void listing_sift_down(mapping *heap, size_t len, size_t i)
{
	mapping sinking = heap[i];
	for (size_t child; (child = 2 * i + 1) < len; i = child) {
		if (child + 1 < len && mapping_before(&heap[child], &heap[child + 1]))
			child++;
		if (!mapping_before(&sinking, &heap[child]))
			break;
		heap[i] = heap[child];
	}
	heap[i] = sinking;
}

static bool listing_show(mapping m, void *arg)
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

size_t memmap_mappings_of_range_list(const mappings *v, mapping *out, size_t cap)
{
	struct listing l = {.heap = out, .cap = cap};
	memmap_mappings_of_range_visit(v, listing_show, &l);
	for (size_t len = l.len; len > 1; len--) {
		mapping last = out[0];
		out[0] = out[len - 1];
		out[len - 1] = last;
		listing_sift_down(out, len - 1, 0);
	}
	return l.nr;
}

int memmap_mappings_of_range_duplicate(const mappings *v, mappings *out)
{
	mappings copy;
	int err = own_make(&copy, v->allocator, memmap_mappings_of_range_count(v));
	if (err)
		return err;
	memmap_mappings_of_range_visit(v, own_put_each, &copy);
	*out = copy;
	return 0;
}

/*
 * ---- Merging and parting, with the segments that they are values of ----
 */

struct merge_check {
	const mappings *v2;
	uint64_t length2;
};

static bool merge_goes_on(mapping m, void *arg)
{
	const struct merge_check *c = arg;
	mapping next = m;
	next.addr_range.start = m.addr_range.end;
	next.addr_range.end = m.addr_range.end + c->length2;
	return memmap_mappings_of_range_contains(c->v2, next);
}

bool mappings_merge(struct memmap_mappable_range r1, mappings *v1, struct memmap_mappable_range r2,
		    mappings *v2, mappings *out)
{
	(void)r1;
	if (views_touch(v1, v2) && !v1->view_of->unsettled) {
		if (v1->in.view.nr_ends > 0 || v2->in.view.nr_begins > 0)
			return false;
		*out = views_joined(v1, v2);
		return true;
	}
	struct merge_check check = {v2, memmap_mappable_range_length(r2)};
	if (memmap_mappings_of_range_count(v1) != memmap_mappings_of_range_count(v2) ||
	    !memmap_mappings_of_range_visit(v1, merge_goes_on, &check))
		return false;
	/* What goes on from an offset to the next has one key: it is one piece. */
	if (views_touch(v1, v2)) {
		*out = views_joined(v1, v2);
		return true;
	}
	if (mappings_own(v1, 0))
		return false;
	memmap_mappings_of_range_clear(v2);
	for_each_own(m, v1) m->addr_range.end += check.length2;
	*out = *v1;
	return true;
}

struct parting {
	uint64_t distance;
	mappings *low, *high;
};

static bool part_mapping(mapping m, void *arg)
{
	const struct parting *p = arg;
	mapping low = m, high = m;
	low.addr_range.end = m.addr_range.start + p->distance;
	high.addr_range.start = low.addr_range.end;
	own_put(p->low, &low);
	own_put(p->high, &high);
	return true;
}

int mappings_parted(struct memmap_mappable_range r, const mappings *v, uint64_t at, mappings *out1,
		    mappings *out2)
{
	size_t nr = memmap_mappings_of_range_count(v);
	mappings low, high;
	int err = own_make(&low, v->allocator, nr + 1);
	if (err)
		return err;
	err = own_make(&high, v->allocator, nr + 1);
	if (err) {
		memmap_mappings_of_range_clear(&low);
		return err;
	}
	struct parting p = {at - r.start, &low, &high};
	memmap_mappings_of_range_visit(v, part_mapping, &p);
	*out1 = low;
	*out2 = high;
	return 0;
}

int mappings_part(struct memmap_mappable_range r, mappings *v, uint64_t at, mappings *out1,
		  mappings *out2)
{
	mappings whole = *v;
	struct memmap_mappable_range of = whole.in.view.of;
	if (whole.view_of && memmap_mappable_range_can_split_at(of, of.start + (at - r.start))) {
		*out1 = whole;
		*out2 = whole;
		out1->in.view.of.end = out2->in.view.of.start = of.start + (at - r.start);
		out1->in.view.nr_ends = out2->in.view.nr_begins = 0;
		return 0;
	}
	/*
	 * The segment has been moved so that a view cannot show what comes of it, or it is no view.
	 */
	int err = mappings_parted(r, &whole, at, out1, out2);
	if (err)
		return err;
	memmap_mappings_of_range_clear(&whole);
	return 0;
}

/*
 * The second part of each mapping tells its end, and its start as well: as much lower as the parts
 * are apart. The first part does not tell the end. What the first parts were in has room for all.
 */
void mappings_unpart(struct memmap_mappable_range r, uint64_t at, mappings *v1, mappings *v2,
		     mappings *out)
{
	if (v1->view_of) {
		*out = views_joined(v1, v2);
		return;
	}
	mappings whole = *v1;
	whole.in.own.nr = 0;
	if (whole.in.own.nr_slots > 0)
		memset(whole.in.own.at.slots, 0, whole.in.own.nr_slots * sizeof(mapping));
	for_each_own(m, v2)
	{
		mapping joined = *m;
		joined.addr_range.start -= at - r.start;
		own_put(&whole, &joined);
	}
	memmap_mappings_of_range_clear(v2);
	*out = whole;
}

struct memmap_mapping_of_range mapping_of_subset(struct memmap_mappable_range whole,
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
	return (mapping){ms, {start, start + memmap_mappable_range_length(subset)}, writable};
}
