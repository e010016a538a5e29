/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What set_reserve() promises, tried on one kind of set: PROMISES(name) makes the names, and
 * SEGMENT_MIN_DEGREE and SEGMENT_TRACK_GAPS may be defined. Included by promises.c once for each.
 */

#define SEGMENT_PREFIX PROMISES(cells)
#define SEGMENT_RANGE  memmap_addr_range
#define SEGMENT_VALUE  uint8_t
#define SEGMENT_MERGE  merge_equal
#include <memmap/segment_set.h>

#define CELLS(name) PROMISES(cells_##name)

static bool PROMISES(change)(struct PROMISES(cells_iterator) seg, void *arg)
{
	*CELLS(iterator_value_ptr)(seg) = *(uint8_t *)arg;
	return random_below(8) != 0;
}

static void PROMISES(apply)(struct PROMISES(cells_iterator) seg, void *arg)
{
	*CELLS(iterator_value_ptr)(seg) = *(uint8_t *)arg;
}

/* One operation that inserts or splits, somewhere; never out of memory while there is a promise. */
static int PROMISES(operate)(struct PROMISES(cells_set) * s, bool low)
{
	uint8_t value = (uint8_t)random_below(200);
	uint64_t span = low ? 4000 : LAST_KEY - 4000;
	uint64_t start = low ? random_below(span) : LAST_KEY - 4000 + random_below(4000);
	struct memmap_addr_range r = {start, start + 1 + random_below(random_below(8) ? 30 : 900)};
	struct PROMISES(cells_iterator) seg = CELLS(set_lower_bound_segment)(s, start);
	struct memmap_addr_range own = {0, 0};
	if (CELLS(iterator_ok)(seg))
		own = CELLS(iterator_range)(seg);
	if (own.end - own.start >= 3) {
		r.start = own.start + 1;
		r.end = own.end - 1;
	}
	int err = 0;
	switch (random_below(9)) {
	case 0:
		return CELLS(set_remove_range)(s, r, NULL);
	case 1:
		return CELLS(set_mutate_range)(s, r, PROMISES(change), &value);
	case 2:
		return CELLS(set_apply_contiguous)(s, r, PROMISES(apply), &value, NULL);
	case 3:
		return CELLS(set_split_at)(s, r.start) < 0 ? -ENOMEM : 0;
	case 4:
		err = CELLS(set_add)(s, r, value);
		return err == -EEXIST ? 0 : err;
	case 5:
		err = CELLS(set_try_insert_range)(s, (struct memmap_addr_range){start, start + 1},
						  value, NULL);
		return err == -EEXIST ? 0 : err;
	case 6:
		r.start = LAST_KEY - 2 * random_below(4000);
		err = CELLS(set_add_without_merging)(
			s, (struct memmap_addr_range){r.start, r.start + 1}, value);
		return err == -EEXIST ? 0 : err;
	default:
		if (own.end - own.start >= 3)
			return CELLS(set_isolate)(s, seg, r, NULL);
		return 0;
	}
}

static void PROMISES(kept)(void **state)
{
	(void)state;
	for (int round = 0; round < 2000; round++) {
		struct PROMISES(cells_set) s;
		CELLS(set_init)(&s, &when_permitted);
		permitted = true;
		uint64_t nr = random_below(random_below(4) ? 60 : 700);
		for (uint64_t i = 0; i < nr; i++)
			(void)CELLS(set_add)(&s, (struct memmap_addr_range){i * 100, i * 100 + 60},
					     (uint8_t)i);
		size_t n = 1 + (size_t)random_below(random_below(4) ? 6 : 60);
		assert_int_equal(CELLS(set_reserve)(&s, n), 0);
		permitted = false;
		bool low = random_below(2) == 0;
		for (size_t i = 0; i < n; i++) {
			assert_int_equal(PROMISES(operate)(&s, low), 0);
			/* What comes between does not count. */
			if (random_below(3) == 0 && !CELLS(set_is_empty)(&s))
				(void)CELLS(set_remove)(&s, random_below(2)
								    ? CELLS(set_first_segment)(&s)
								    : CELLS(set_last_segment)(&s));
			if (random_below(10) == 0)
				CELLS(set_merge_all)(&s);
		}
		assert_int_equal(CELLS(set_verify)(&s), 0);
		CELLS(set_destroy)(&s);
		assert_int_equal(nr_blocks, 0);
	}
}

/* Two splits at every place, of every number of segments up to where there are three levels. */
static void PROMISES(of_both_edges)(void **state)
{
	(void)state;
	for (size_t nr = 1; nr < 300; nr++) {
		for (size_t which = 0; which < nr; which += 1 + nr / 8) {
			struct PROMISES(cells_set) s;
			CELLS(set_init)(&s, &when_permitted);
			permitted = true;
			for (uint64_t i = 0; i < nr; i++)
				assert_int_equal(CELLS(set_add)(&s,
								(struct memmap_addr_range){
									i * 100, i * 100 + 60},
								0),
						 0);
			assert_int_equal(CELLS(set_reserve)(&s, 1), 0);
			permitted = false;
			struct memmap_addr_range r = {which * 100 + 10, which * 100 + 20};
			assert_int_equal(CELLS(set_remove_range)(&s, r, NULL), 0);
			/* The promise is spent, and its memory returned. */
			assert_int_equal(s.promised + s.nr_spare_leaves + s.nr_spare_inners, 0);
			assert_int_equal(CELLS(set_verify)(&s), 0);
			CELLS(set_destroy)(&s);
			assert_int_equal(nr_blocks, 0);
		}
	}
}

static void PROMISES(beyond_all_memory)(void **state)
{
	(void)state;
	struct PROMISES(cells_set) s;
	CELLS(set_init)(&s, &when_permitted);
	permitted = true;
	nr_requests = 0;
	assert_int_equal(CELLS(set_reserve)(&s, SIZE_MAX), -ENOMEM);
	assert_int_equal(CELLS(set_reserve)(&s, SIZE_MAX / 64), -ENOMEM);
	assert_int_equal(nr_requests, 0); /* asking for all there is would starve others */
	assert_int_equal(CELLS(set_verify)(&s), 0);
}

#undef CELLS
