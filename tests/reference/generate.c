// SPDX-License-Identifier: Apache-2.0
/*
 * Make a sequence of operations out of a seed.
 *
 *   generate KIND SEED OPERATIONS      KIND: equal, offset or mapping
 *
 * The seed also chooses what the sequence is like: how many keys there are and where, how long
 * ranges are, whether bounds are moved. Within a sequence the set grows and shrinks by turns, so
 * that trees become deep and fall together again. Operations name keys, never earlier results, so
 * that a sequence still means something when operations are left out of it.
 */
#include <inttypes.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "operations.h"

static const char *const operation_names[] = {
#define OPERATION_NAME(name, nr_args) [OP_##name] = #name,
	OPERATIONS(OPERATION_NAME)
#undef OPERATION_NAME
};

static const int operation_nr_args[] = {
#define OPERATION_NR_ARGS(name, nr_args) [OP_##name] = nr_args,
	OPERATIONS(OPERATION_NR_ARGS)
#undef OPERATION_NR_ARGS
};

/* ---- Numbers ---- */

static uint64_t random_state;

static uint64_t random64(void)
{
	uint64_t z = (random_state += 0x9e3779b97f4a7c15);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

static uint64_t below(uint64_t n)
{
	return random64() % n;
}

static bool one_in(uint64_t n)
{
	return below(n) == 0;
}

/* ---- What the sequence is like ---- */

static struct {
	bool mapping;
	bool moves_bounds;
	uint64_t base, unit, slots, longest;
} shape;

static const uint64_t units[] = {1, 0x1000, 0x1000, 0x200000};
static const uint64_t slots[] = {16, 64, 256, 2048, 16384, 16384};

static void choose_shape(const char *kind)
{
	shape.mapping = strcmp(kind, "mapping") == 0;
	shape.moves_bounds = one_in(shape.mapping ? 4 : 2);
	shape.unit = shape.mapping ? 0x1000 : units[below(sizeof(units) / sizeof(units[0]))];
	shape.slots = slots[below(sizeof(slots) / sizeof(slots[0]) - (shape.mapping ? 1 : 0))];
	shape.longest = one_in(3) ? 2 : 1 + below(shape.slots / 8 + 1);

	uint64_t size = shape.unit * shape.slots;
	switch (below(4)) {
	case 0:
	case 1:
		shape.base = 0;
		break;
	case 2: /* the highest key a range can end at */
		shape.base = (shape.mapping ? UINT64_MAX - 0xfff : UINT64_MAX) - size;
		break;
	default:
		shape.base = (random64() >> (1 + below(40))) / 0x1000 * 0x1000;
		if (shape.base > UINT64_MAX - 0xfff - size)
			shape.base -= size;
		break;
	}
}

static uint64_t a_key(void)
{
	uint64_t align = shape.mapping ? 0x1000 : 1;

	switch (below(shape.mapping ? 400 : 100)) {
	case 0: /* anywhere, large and small */
		return (random64() >> below(64)) / align * align;
	case 1:
		return below(8) * align;
	case 2:
		return (UINT64_MAX - below(8) * align) / align * align;
	case 3: /* between the usual keys */
		if (!shape.mapping)
			return shape.base + below(shape.unit * shape.slots);
		return shape.base;
	default:
		return shape.base + shape.unit * below(shape.slots + 1);
	}
}

static void a_range(uint64_t *start, uint64_t *end)
{
	uint64_t length = shape.unit * (one_in(2) ? 1 : 1 + below(shape.longest));

	if (one_in(500))
		length = random64() >> below(64);
	if (shape.mapping)
		length = length < 0x1000 ? 0x1000 : length / 0x1000 * 0x1000;
	*start = a_key();
	uint64_t last = shape.mapping ? UINT64_MAX - 0xfff : UINT64_MAX;
	if (*start >= last)
		*start = last - shape.unit;
	*end = last - *start < length || length == 0 ? last : *start + length;
}

/* ---- Mappings: those added are remembered, to be removed whole, in part, or not quite ---- */

struct mapping {
	uint64_t space, addr, length, offset, writable;
};

#define MAX_MAPPINGS 64

static struct mapping mappings[MAX_MAPPINGS];
static size_t nr_mappings;

static void a_mapping(struct mapping *m)
{
	uint64_t start, end;

	a_range(&start, &end);
	m->space = below(4);
	m->offset = start;
	m->length = end - start;
	/* Few distances between addresses and offsets, so that mappings go on in each other. */
	m->addr = shape.base <= UINT64_MAX / 4 && one_in(8)
			  ? start + 0x100000000 * (1 + below(2))
			  : (start - shape.base) + 0x100000 * below(2);
	if (m->addr > UINT64_MAX - 0xfff - m->length)
		m->addr = 0x10000;
	if (m->addr > UINT64_MAX - 0xfff - m->length) /* too long for any address */
		m->length = 0x1000;
	m->writable = one_in(4);
}

static void remembered_mapping(struct mapping *m)
{
	if (nr_mappings == 0) {
		a_mapping(m);
		return;
	}
	size_t i = below(nr_mappings);

	*m = mappings[i];
	uint64_t pages = m->length / 0x1000;
	switch (below(8)) {
	case 0: /* a part */
		if (pages > 1) {
			uint64_t skip = below(pages), rest = 1 + below(pages - skip);

			m->addr += skip * 0x1000;
			m->offset += skip * 0x1000;
			m->length = rest * 0x1000;
		}
		break;
	case 1: /* not quite */
		switch (below(3)) {
		case 0:
			m->writable = !m->writable;
			break;
		case 1:
			m->space = (m->space + 1) % 4;
			break;
		default:
			m->addr = m->addr >= 0x1000 ? m->addr - 0x1000 : 0x1000;
			break;
		}
		break;
	default:
		mappings[i] = mappings[--nr_mappings];
		break;
	}
}

/* ---- Operations ---- */

static void emit(enum operation_code code, const uint64_t *args)
{
	fputs(operation_names[code], stdout);
	for (int i = 0; i < operation_nr_args[code]; i++)
		printf(" %" PRIx64, args[i]);
	putchar('\n');
}

static void emit_mapping(enum operation_code code)
{
	struct mapping m;

	/* Never more than are remembered: the reference gets slower with the square of them. */
	if (code == OP_map && nr_mappings == MAX_MAPPINGS)
		code = OP_unmap;
	if (code == OP_unmap)
		remembered_mapping(&m);
	else
		a_mapping(&m);
	if (code == OP_map)
		mappings[nr_mappings++] = m;
	uint64_t args[] = {m.space, m.addr, m.length, m.offset, m.writable};
	emit(code, args);
}

/* Fill in the arguments that the operation takes, and say it. */
static void emit_any(enum operation_code code)
{
	uint64_t args[OPERATIONS_MAX_ARGS] = {0}, start, end;

	a_range(&start, &end);
	switch (code) {
	case OP_map:
	case OP_unmap:
		emit_mapping(code);
		return;
	case OP_inval:
		args[0] = start;
		args[1] = end;
		args[2] = below(2);
		break;
	case OP_invalall:
		args[0] = below(2);
		break;
	case OP_add:
	case OP_addwm:
	case OP_insert:
	case OP_insertwm:
	case OP_insertraw:
	case OP_insertrange:
	case OP_tryinsert:
		args[0] = start;
		args[1] = one_in(200) ? start : end; /* empty: a violation */
		args[2] = random64() >> 32;
		break;
	case OP_apply:
	case OP_visit:
	case OP_visitfull:
	case OP_mutate:
	case OP_mutatefull:
		args[0] = start;
		args[1] = end;
		args[2] = random64() >> 32;
		break;
	case OP_mergeadj:
	case OP_mergeout:
	case OP_mergerange:
	case OP_mergein:
	case OP_spanrange:
	case OP_emptyrange:
		args[0] = start;
		args[1] = one_in(50) ? start : end;
		break;
	case OP_removerange:
	case OP_removefull: /* not empty: see "Empty ranges" in docs/DIFFERENCES.md */
		args[0] = start;
		args[1] = end;
		break;
	case OP_merge:
	case OP_equal:
	case OP_equalgap:
		args[0] = start;
		args[1] = one_in(2) ? a_key() : start + shape.unit;
		break;
	case OP_split:
	case OP_splitraw:
	case OP_splitbefore:
	case OP_splitafter:
		args[0] = start;
		args[1] = one_in(4) ? a_key() : end;
		break;
	case OP_isolate:
		args[0] = one_in(4) ? a_key() : start;
		args[1] = start;
		args[2] = end;
		break;
	case OP_setstart:
	case OP_setend:
	case OP_setstartraw:
	case OP_setendraw:
		args[0] = start;
		args[1] = one_in(2) ? end : start - shape.unit * below(3);
		break;
	case OP_setrange:
	case OP_setrangeraw:
		args[0] = one_in(2) ? start : end;
		args[1] = start;
		args[2] = one_in(50) ? start : end;
		break;
	case OP_nextlarge:
	case OP_prevlarge:
	case OP_lblarge:
	case OP_ublarge:
		args[0] = start;
		args[1] = one_in(8) ? random64() >> below(64) : shape.unit * below(8);
		break;
	case OP_firstlarge:
	case OP_lastlarge:
		args[0] = one_in(8) ? random64() >> below(64) : shape.unit * below(8);
		break;
	case OP_importbad:
		args[0] = below(4);
		args[1] = random64() >> 32;
		break;
	case OP_reserve:
		args[0] = below(20);
		break;
	default:
		args[0] = start;
		args[1] = random64() >> 32;
		break;
	}
	emit(code, args);
}

/* ---- How often each comes: {always, while growing, while shrinking} ---- */

static const struct {
	enum operation_code code;
	unsigned growing, shrinking;
} weights[] = {
	{OP_add, 60, 10},        {OP_addwm, 120, 20},     {OP_insert, 60, 10},
	{OP_insertwm, 100, 15},  {OP_insertraw, 60, 10},  {OP_insertrange, 10, 2},
	{OP_tryinsert, 20, 4},   {OP_remove, 20, 180},    {OP_take, 5, 40},
	{OP_removerange, 4, 60}, {OP_removefull, 2, 20},  {OP_merge, 10, 20},
	{OP_mergeraw, 10, 20},   {OP_mergeprev, 5, 10},   {OP_mergenext, 5, 10},
	{OP_unisolate, 5, 10},   {OP_mergeadj, 10, 15},   {OP_mergeout, 3, 5},
	{OP_mergerange, 5, 10},  {OP_mergein, 3, 5},      {OP_split, 30, 10},
	{OP_splitraw, 20, 5},    {OP_splitat, 30, 5},     {OP_splitbefore, 10, 5},
	{OP_splitafter, 10, 5},  {OP_isolate, 30, 10},    {OP_apply, 15, 15},
	{OP_visit, 10, 10},      {OP_mutate, 15, 15},     {OP_exim, 1, 1},
	{OP_importbad, 1, 1},    {OP_movefrom, 1, 1},     {OP_reserve, 3, 3},
	{OP_span, 1, 1},         {OP_spanrange, 10, 10},  {OP_empty, 2, 2},
	{OP_emptyrange, 15, 15}, {OP_first, 4, 4},        {OP_last, 4, 4},
	{OP_firstgap, 4, 4},     {OP_lastgap, 4, 4},      {OP_find, 20, 20},
	{OP_findseg, 5, 5},      {OP_findgap, 5, 5},      {OP_lb, 20, 20},
	{OP_ub, 20, 20},         {OP_lbg, 20, 20},        {OP_ubg, 20, 20},
	{OP_setvalue, 15, 15},   {OP_valueptr, 15, 15},   {OP_walk, 60, 60},
	{OP_equal, 5, 5},        {OP_equalgap, 5, 5},     {OP_nextlarge, 30, 30},
	{OP_prevlarge, 30, 30},  {OP_firstlarge, 10, 10}, {OP_lastlarge, 10, 10},
	{OP_lblarge, 15, 15},    {OP_ublarge, 15, 15},    {OP_dump, 2, 2},
	{OP_visitfull, 10, 10},  {OP_mutatefull, 15, 15}, {OP_text, 1, 1},
};

static const struct {
	enum operation_code code;
	unsigned weight;
} bounds_weights[] =
	{
		{OP_setstart, 15},    {OP_setend, 15},    {OP_setrange, 15},
		{OP_setstartraw, 10}, {OP_setendraw, 10}, {OP_setrangeraw, 10},
},
  mapping_weights[] = {
	  {OP_map, 1500}, {OP_unmap, 1500}, {OP_inval, 200}, {OP_invalall, 3}, {OP_has, 60},
};

/* A bag of operations, each in it as often as its weight. */
struct bag {
	size_t nr;
	unsigned char codes[8192];
};

static void bag_add(struct bag *bag, enum operation_code code, unsigned weight)
{
	while (weight--)
		bag->codes[bag->nr++] = (unsigned char)code;
}

static void bag_fill(struct bag *bag, bool growing)
{
	for (size_t i = 0; i < sizeof(weights) / sizeof(weights[0]); i++)
		bag_add(bag, weights[i].code, growing ? weights[i].growing : weights[i].shrinking);
	if (shape.moves_bounds)
		for (size_t i = 0; i < sizeof(bounds_weights) / sizeof(bounds_weights[0]); i++)
			bag_add(bag, bounds_weights[i].code, bounds_weights[i].weight);
	if (!shape.mapping)
		return;
	for (size_t i = 0; i < sizeof(mapping_weights) / sizeof(mapping_weights[0]); i++) {
		unsigned weight = mapping_weights[i].weight;

		if (mapping_weights[i].code == (growing ? OP_unmap : OP_map))
			weight /= 3;
		bag_add(bag, mapping_weights[i].code, weight);
	}
}

int main(int argc, char **argv)
{
	static struct bag growing, shrinking;

	if (argc != 4) {
		fprintf(stderr, "usage: generate equal|offset|mapping SEED OPERATIONS\n");
		return 2;
	}
	uint64_t seed = strtoull(argv[2], NULL, 0);
	uint64_t nr_operations = strtoull(argv[3], NULL, 0);

	random_state = seed * 0x100000001b3 + (unsigned char)argv[1][0];
	choose_shape(argv[1]);
	bag_fill(&growing, true);
	bag_fill(&shrinking, false);

	/* With a big bag of operations that look at everything, deep sets would take too long. */
	printf("%s\n", argv[1]);
	uint64_t turn = shape.slots < 1000 ? 400 : 6000;
	for (uint64_t i = 0; i < nr_operations; i++) {
		struct bag *bag = i / turn % 2 ? &shrinking : &growing;

		if (one_in(5000))
			emit_any(one_in(4) ? OP_removeall : OP_mergeall);
		else
			emit_any(bag->codes[below(bag->nr)]);
	}
	emit(OP_dump, NULL);
	return 0;
}
