/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The operations of any kind of set: the body of a program, included once for each kind.
 *
 *   KIND    the kind: KIND_run() and so on are made; KIND_make(), KIND_show(), KIND_poke() and
 *           KIND_drop() make, print, change and release a value
 *   SET     the set's SEGMENT_PREFIX
 *   RANGE   its SEGMENT_RANGE
 *   VALUE   its SEGMENT_VALUE
 *   TRACKED whether it tracks gaps; if not, large gaps are looked for one by one
 */
#define PASTE_EXPANDED(a, b) a##_##b
#define PASTE(a, b)          PASTE_EXPANDED(a, b)
#define KIND_(name)          PASTE(KIND, name)
#define SET_(name)           PASTE(SET, name)
#define RANGE_(name)         PASTE(RANGE, name)

typedef struct SET_(iterator) segment_t;
typedef struct SET_(gap_iterator) gap_t;
typedef struct RANGE range_t;

static struct SET_(set) the_set;

static void add_segment(struct text *out, segment_t seg)
{
	if (!SET_(iterator_ok)(seg)) {
		text_add(out, "-");
		return;
	}
	text_add(out, "[%" PRIx64 ",%" PRIx64 ")=", SET_(iterator_start)(seg),
		 SET_(iterator_end)(seg));
	KIND_(show)(SET_(iterator_value_ptr)(seg), out);
}

static void add_gap(struct text *out, gap_t gap)
{
	if (SET_(gap_iterator_ok)(gap))
		text_add(out, "(%" PRIx64 ",%" PRIx64 ")", SET_(gap_iterator_start)(gap),
			 SET_(gap_iterator_end)(gap));
	else
		text_add(out, "-");
}

static void add_bool(struct text *out, bool value)
{
	text_add(out, value ? "true" : "false");
}

/* Nothing else may fail here. */
static bool done(int err)
{
	if (err != 0) {
		fprintf(stderr, "ours: error %d\n", err);
		abort();
	}
	return true;
}

static gap_t large(gap_t gap, uint64_t n, bool up)
{
#if TRACKED
	return up ? SET_(gap_iterator_next_large_enough_gap)(gap, n)
		  : SET_(gap_iterator_prev_large_enough_gap)(gap, n);
#else
	while (SET_(gap_iterator_ok)(gap)) {
		gap = up ? SET_(gap_iterator_next_gap)(gap) : SET_(gap_iterator_prev_gap)(gap);
		if (SET_(gap_iterator_ok)(gap) &&
		    SET_(gap_iterator_end)(gap) - SET_(gap_iterator_start)(gap) >= n)
			break;
	}
	return gap;
#endif
}

#if TRACKED
#	define FIRST_LARGE(n)    SET_(set_first_large_enough_gap)(&the_set, n)
#	define LAST_LARGE(n)     SET_(set_last_large_enough_gap)(&the_set, n)
#	define LOWER_LARGE(k, n) SET_(set_lower_bound_large_enough_gap)(&the_set, k, n)
#	define UPPER_LARGE(k, n) SET_(set_upper_bound_large_enough_gap)(&the_set, k, n)
#else
static gap_t large_from(gap_t gap, uint64_t n, bool up)
{
	if (SET_(gap_iterator_end)(gap) - SET_(gap_iterator_start)(gap) >= n)
		return gap;
	return large(gap, n, up);
}
#	define FIRST_LARGE(n)    large_from(SET_(set_first_gap)(&the_set), n, true)
#	define LAST_LARGE(n)     large_from(SET_(set_last_gap)(&the_set), n, false)
#	define LOWER_LARGE(k, n) large_from(SET_(set_lower_bound_gap)(&the_set, k), n, true)
#	define UPPER_LARGE(k, n) large_from(SET_(set_upper_bound_gap)(&the_set, k), n, false)
#endif

/* ---- Operations that take more than a line ---- */

static bool fits(range_t r, gap_t gap)
{
	return SET_(gap_iterator_ok)(gap) && RANGE_(length)(r) != 0 &&
	       RANGE_(is_superset_of)(SET_(gap_iterator_range)(gap), r);
}

/* A value that a panic leaves with us, to be released by the next insertion. */
static VALUE in_flight;
static bool is_in_flight;

static void land(void)
{
	if (is_in_flight)
		KIND_(drop)(&in_flight);
	is_in_flight = false;
}

static void insert(enum operation_code code, range_t r, uint64_t v, struct text *out)
{
	segment_t seg = {0};
	gap_t gap = SET_(set_find_gap)(&the_set, r.start);
	int err;

	land();
	KIND_(make)(r, v, &in_flight);
	is_in_flight = true;
	switch ((int)code) {
	case OP_add:
	case OP_addwm:
		err = code == OP_add ? SET_(set_add)(&the_set, r, in_flight)
				     : SET_(set_add_without_merging)(&the_set, r, in_flight);
		add_bool(out, err == 0);
		if (err)
			land();
		is_in_flight = false;
		if (err != -EEXIST)
			done(err);
		return;
	case OP_insertrange:
		err = SET_(set_insert_range)(&the_set, r, in_flight, &seg);
		break;
	case OP_tryinsert:
		err = SET_(set_try_insert_range)(&the_set, r, in_flight, &seg);
		if (err == -EEXIST) {
			land();
			err = 0;
		}
		break;
	default:
		if (!SET_(gap_iterator_ok)(gap) || (code == OP_insertraw && !fits(r, gap))) {
			land();
			err = 0;
			break;
		}
		err = code == OP_insert ? SET_(set_insert)(&the_set, gap, r, in_flight, &seg)
		      : code == OP_insertwm
			      ? SET_(set_insert_without_merging)(&the_set, gap, r, in_flight, &seg)
			      : SET_(set_insert_without_merging_unchecked)(&the_set, gap, r,
									   in_flight, &seg);
		break;
	}
	is_in_flight = false;
	if (done(err))
		add_segment(out, seg);
}

static void remove_something(enum operation_code code, const uint64_t *a, struct text *out)
{
	range_t r = {a[0], code == OP_removerange || code == OP_removefull ? a[1] : 0};
	segment_t seg = SET_(set_lower_bound_segment)(&the_set, a[0]);
	gap_t gap = {0};
	VALUE value;

	switch ((int)code) {
	case OP_removerange:
		done(SET_(set_remove_range)(&the_set, r, &gap));
		break;
	case OP_removefull:
		if (SET_(set_span_range)(&the_set, r) != RANGE_(length)(r))
			return;
		done(SET_(set_remove_full_range)(&the_set, r, &gap));
		break;
	default:
		if (!SET_(iterator_ok)(seg))
			return;
		if (code == OP_take) {
			gap = SET_(set_take)(&the_set, seg, &value);
			KIND_(show)(&value, out);
			KIND_(drop)(&value);
		} else {
			gap = SET_(set_remove)(&the_set, seg);
		}
		break;
	}
	add_gap(out, gap);
}

static void merge(enum operation_code code, const uint64_t *a, struct text *out)
{
	segment_t first = SET_(set_lower_bound_segment)(&the_set, a[0]), second;

	if (!SET_(iterator_ok)(first))
		return;
	switch ((int)code) {
	case OP_merge:
		second = SET_(set_lower_bound_segment)(&the_set, a[1]);
		if (!SET_(iterator_ok)(second))
			return;
		first = SET_(set_merge)(&the_set, first, second);
		break;
	case OP_mergeraw:
		second = SET_(iterator_next_segment)(first);
		if (!SET_(iterator_ok)(second))
			return;
		first = SET_(set_merge_unchecked)(&the_set, first, second);
		break;
	case OP_mergeprev:
		first = SET_(set_merge_prev)(&the_set, first);
		break;
	case OP_mergenext:
		first = SET_(set_merge_next)(&the_set, first);
		break;
	default:
		first = SET_(set_unisolate)(&the_set, first);
		break;
	}
	add_segment(out, first);
}

static void split(enum operation_code code, const uint64_t *a, struct text *out)
{
	segment_t seg = SET_(set_lower_bound_segment)(&the_set, a[0]), second = {0};

	if (!SET_(iterator_ok)(seg))
		return;
	range_t r = SET_(iterator_range)(seg);
	switch ((int)code) {
	case OP_split:
		done(SET_(set_split)(&the_set, seg, a[1], &seg, &second));
		break;
	case OP_splitraw:
		if (!RANGE_(can_split_at)(r, a[1]))
			return;
		done(SET_(set_split_unchecked)(&the_set, seg, a[1], &seg, &second));
		break;
	case OP_splitbefore:
		if (a[1] >= r.end)
			return;
		done(SET_(set_split_before)(&the_set, seg, a[1], &seg));
		break;
	case OP_splitafter:
		if (a[1] <= r.start)
			return;
		done(SET_(set_split_after)(&the_set, seg, a[1], &seg));
		break;
	default:
		if (!RANGE_(overlaps)(r, (range_t){a[1], a[2]}))
			return;
		done(SET_(set_isolate)(&the_set, seg, (range_t){a[1], a[2]}, &seg));
		break;
	}
	add_segment(out, seg);
	if (SET_(iterator_ok)(second))
		add_segment(out, second);
}

/* What the callbacks of apply, visit and mutate are told. */
struct over_range {
	struct text *out;
	uint64_t left;
	bool pokes;
	uint64_t value;
};

static bool visit(segment_t seg, void *arg)
{
	struct over_range *over = arg;

	add_segment(over->out, seg);
	if (over->pokes)
		KIND_(poke)(SET_(iterator_value_ptr)(seg), SET_(iterator_range)(seg), over->value);
	return --over->left != 0;
}

static void apply(segment_t seg, void *arg)
{
	visit(seg, arg);
}

/* Does a walk over `r` that ends after `left` segments (0: never) come to a key in no segment? */
static bool comes_to_gap(range_t r, uint64_t left)
{
	segment_t seg = SET_(set_find_segment)(&the_set, r.start);

	while (SET_(iterator_ok)(seg)) {
		uint64_t end = SET_(iterator_end)(seg);

		if (end >= r.end || --left == 0)
			return false;
		seg = SET_(set_find_segment)(&the_set, end);
	}
	return true;
}

static void over_range(enum operation_code code, const uint64_t *a, struct text *out)
{
	range_t r = {a[0], a[1]};
	struct over_range over = {.out = out};
	gap_t gap;

	switch ((int)code) {
	case OP_apply:
		over.pokes = a[2] & 1;
		over.value = a[2] >> 1;
		done(SET_(set_apply_contiguous)(&the_set, r, apply, &over, &gap));
		add_gap(out, gap);
		break;
	case OP_visit:
		over.left = a[2] % 8 + 1;
		SET_(set_visit_range)(&the_set, r, visit, &over);
		break;
	case OP_visitfull:
		over.left = a[2] % 8 + 1;
		SET_(set_visit_full_range)(&the_set, r, visit, &over);
		break;
	default:
		over.left = a[2] % 8;
		over.pokes = a[2] & 8;
		over.value = a[2] >> 4;
		if (code == OP_mutate)
			done(SET_(set_mutate_range)(&the_set, r, visit, &over));
		else if (comes_to_gap(r, over.left))
			text_add(out, "-"); /* it would panic with half of it done */
		else
			done(SET_(set_mutate_full_range)(&the_set, r, visit, &over));
		break;
	}
}

static void export_and_import(struct text *out)
{
	struct SET_(segment_data_slices) slices;
	struct SET_(set) target = {0};

	done(SET_(set_export_sorted_slices)(&the_set, &slices));
	done(SET_(set_import_sorted_slices)(&target, &slices));
	text_add(out, "%zu", slices.len);
	SET_(segment_data_slices_release)(&slices);
	SET_(set_destroy)(&the_set);
	SET_(set_move_from)(&the_set, &target);
	SET_(set_destroy)(&target);
}

static void import_bad(uint64_t how, uint64_t which, struct text *out)
{
	struct SET_(segment_data_slices) slices;
	struct SET_(set) target = {0};
	int err;

	done(SET_(set_export_sorted_slices)(&the_set, &slices));
	if (slices.len < 2) {
		text_add(out, "-");
		SET_(segment_data_slices_release)(&slices);
		return;
	}
	size_t i = which % (slices.len - 1);
	range_t r = {slices.start[i], slices.end[i]};
	switch (how) {
	case 0:
		slices.start[i] = slices.start[i + 1];
		slices.end[i] = slices.end[i + 1];
		slices.start[i + 1] = r.start;
		slices.end[i + 1] = r.end;
		break;
	case 1:
		slices.end[i] = slices.start[i + 1] + 1;
		break;
	case 2:
		slices.end[i] = slices.start[i];
		break;
	default:
		break;
	}
	err = SET_(set_import_sorted_slices)(how < 3 ? &target : &the_set, &slices);
	add_bool(out, err == (how < 3 ? -EINVAL : -EEXIST));
	/* The reference keeps what it imported before the error; ours must have nothing. */
	if (!SET_(set_is_empty)(&target))
		text_add(out, " but not empty");
	SET_(set_destroy)(&target);
	SET_(segment_data_slices_release)(&slices);
}

static void set_value(enum operation_code code, const uint64_t *a, struct text *out)
{
	segment_t seg = SET_(set_find_segment)(&the_set, a[0]);
	VALUE value;

	if (!SET_(iterator_ok)(seg))
		return;
	if (code == OP_setvalue) {
		KIND_(make)(SET_(iterator_range)(seg), a[1], &value);
		SET_(iterator_set_value)(seg, value);
	} else {
		KIND_(poke)(SET_(iterator_value_ptr)(seg), SET_(iterator_range)(seg), a[1]);
	}
	add_segment(out, seg);
}

static void set_bounds(enum operation_code code, const uint64_t *a, struct text *out)
{
	segment_t seg = SET_(set_lower_bound_segment)(&the_set, a[0]);

	if (!SET_(iterator_ok)(seg))
		return;
	range_t r = SET_(iterator_range)(seg);
	if (code == OP_setstart || code == OP_setstartraw)
		r.start = a[1];
	else if (code == OP_setend || code == OP_setendraw)
		r.end = a[1];
	else
		r = (range_t){a[1], a[2]};
	bool allowed = r.start < r.end &&
		       SET_(gap_iterator_start)(SET_(iterator_prev_gap)(seg)) <= r.start &&
		       r.end <= SET_(gap_iterator_end)(SET_(iterator_next_gap)(seg));
	switch ((int)code) {
	case OP_setstart:
		SET_(iterator_set_start)(seg, r.start);
		break;
	case OP_setend:
		SET_(iterator_set_end)(seg, r.end);
		break;
	case OP_setrange:
		SET_(iterator_set_range)(seg, r);
		break;
	default:
		if (!allowed)
			return;
		if (code == OP_setstartraw)
			SET_(iterator_set_start_unchecked)(seg, r.start);
		else if (code == OP_setendraw)
			SET_(iterator_set_end_unchecked)(seg, r.end);
		else
			SET_(iterator_set_range_unchecked)(seg, r);
		break;
	}
	add_segment(out, seg);
}

static void walk(uint64_t key, uint64_t way, struct text *out)
{
	const segment_t no_segment = {0};
	const gap_t no_gap = {0};
	segment_t seg;
	gap_t gap;

	SET_(set_find)(&the_set, key, &seg, &gap);
	for (int i = 0; i < 8; i++) {
		uint64_t step = way >> (3 * i) & 7;
		segment_t from = seg;

		if (SET_(iterator_ok)(seg)) {
			if (step == 0)
				seg = SET_(iterator_prev_segment)(from);
			else if (step == 1 || step == 6)
				seg = SET_(iterator_next_segment)(from);
			else if (step == 4)
				SET_(iterator_prev_non_empty)(from, &seg, &gap);
			else if (step == 5)
				SET_(iterator_next_non_empty)(from, &seg, &gap);
			else {
				gap = step == 2 ? SET_(iterator_prev_gap)(from)
						: SET_(iterator_next_gap)(from);
				seg = no_segment;
			}
		} else if (step == 0 || step == 4 || step == 1 || step == 5 || step == 6) {
			seg = step == 0 || step == 4 ? SET_(gap_iterator_prev_segment)(gap)
						     : SET_(gap_iterator_next_segment)(gap);
			gap = no_gap;
		} else {
			gap = step == 2 ? SET_(gap_iterator_prev_gap)(gap)
					: SET_(gap_iterator_next_gap)(gap);
		}
		add_segment(out, seg);
		add_gap(out, gap);
		if (SET_(gap_iterator_ok)(gap) && SET_(gap_iterator_is_empty)(gap))
			text_add(out, "e");
		if (!SET_(iterator_ok)(seg) && !SET_(gap_iterator_ok)(gap))
			return;
	}
}

/* Of the set as text, the ranges that head its lines. The nodes between are laid out otherwise. */
static void ranges_of_text(struct text *out)
{
	char *text = SET_(set_to_string)(&the_set), *line, *rest;

	done(text ? 0 : -ENOMEM);
	for (rest = text; (line = strsep(&rest, "\n"));) {
		char range[64];
		int length = 0;

		(void)sscanf(line, " - %*d: [%63[^)])%n", range, &length);
		if (length > 0)
			text_add(out, "[%s)", range);
	}
	memmap_free(text);
}

static void dump(struct text *out)
{
	segment_t seg = SET_(set_first_segment)(&the_set);

	for (gap_t gap = SET_(set_first_gap)(&the_set); SET_(gap_iterator_ok)(gap);
	     gap = SET_(gap_iterator_next_gap)(gap)) {
		add_gap(out, gap);
		if (SET_(iterator_ok)(seg)) {
			add_segment(out, seg);
			seg = SET_(iterator_next_segment)(seg);
		}
	}
	text_add(out, "|");
	seg = SET_(set_last_segment)(&the_set);
	for (gap_t gap = SET_(set_last_gap)(&the_set); SET_(gap_iterator_ok)(gap);
	     gap = SET_(gap_iterator_prev_gap)(gap)) {
		add_gap(out, gap);
		if (SET_(iterator_ok)(seg)) {
			text_add(out, "[%" PRIx64 ",%" PRIx64 ")", SET_(iterator_start)(seg),
				 SET_(iterator_end)(seg));
			seg = SET_(iterator_prev_segment)(seg);
		}
	}
}

/* ---- An operation ---- */

void KIND_(run)(enum operation_code code, const uint64_t *a, struct text *out)
{
	segment_t seg;
	gap_t gap;
	struct SET_(set) moved = {0};

	switch (code) {
	case OP_add:
	case OP_addwm:
	case OP_insert:
	case OP_insertwm:
	case OP_insertraw:
	case OP_insertrange:
	case OP_tryinsert:
		insert(code, (range_t){a[0], a[1]}, a[2], out);
		break;
	case OP_remove:
	case OP_take:
	case OP_removerange:
	case OP_removefull:
		remove_something(code, a, out);
		break;
	case OP_removeall:
		SET_(set_remove_all)(&the_set);
		break;
	case OP_merge:
	case OP_mergeraw:
	case OP_mergeprev:
	case OP_mergenext:
	case OP_unisolate:
		merge(code, a, out);
		break;
	case OP_mergeadj:
		SET_(set_merge_adjacent)(&the_set, (range_t){a[0], a[1]});
		break;
	case OP_mergeout:
		SET_(set_merge_outside_range)(&the_set, (range_t){a[0], a[1]});
		break;
	case OP_mergerange:
		SET_(set_merge_range)(&the_set, (range_t){a[0], a[1]});
		break;
	case OP_mergein:
		SET_(set_merge_inside_range)(&the_set, (range_t){a[0], a[1]});
		break;
	case OP_mergeall:
		SET_(set_merge_all)(&the_set);
		break;
	case OP_split:
	case OP_splitraw:
	case OP_splitbefore:
	case OP_splitafter:
	case OP_isolate:
		split(code, a, out);
		break;
	case OP_splitat:
		add_bool(out, SET_(set_split_at)(&the_set, a[0]) == 1);
		break;
	case OP_apply:
	case OP_visit:
	case OP_visitfull:
	case OP_mutate:
	case OP_mutatefull:
		over_range(code, a, out);
		break;
	case OP_exim:
		export_and_import(out);
		break;
	case OP_importbad:
		import_bad(a[0], a[1], out);
		break;
	case OP_movefrom:
		SET_(set_move_from)(&moved, &the_set);
		SET_(set_move_from)(&the_set, &moved);
		break;
	case OP_reserve:
		done(SET_(set_reserve)(&the_set, a[0]));
		break;
	case OP_span:
		text_add(out, "%" PRIx64, SET_(set_span)(&the_set));
		break;
	case OP_spanrange:
		text_add(out, "%" PRIx64, SET_(set_span_range)(&the_set, (range_t){a[0], a[1]}));
		break;
	case OP_empty:
		add_bool(out, SET_(set_is_empty)(&the_set));
		break;
	case OP_emptyrange:
		add_bool(out, SET_(set_is_empty_range)(&the_set, (range_t){a[0], a[1]}));
		break;
	case OP_first:
		add_segment(out, SET_(set_first_segment)(&the_set));
		break;
	case OP_last:
		add_segment(out, SET_(set_last_segment)(&the_set));
		break;
	case OP_firstgap:
		add_gap(out, SET_(set_first_gap)(&the_set));
		break;
	case OP_lastgap:
		add_gap(out, SET_(set_last_gap)(&the_set));
		break;
	case OP_find:
		SET_(set_find)(&the_set, a[0], &seg, &gap);
		add_segment(out, seg);
		add_gap(out, gap);
		break;
	case OP_findseg:
		add_segment(out, SET_(set_find_segment)(&the_set, a[0]));
		break;
	case OP_findgap:
		add_gap(out, SET_(set_find_gap)(&the_set, a[0]));
		break;
	case OP_lb:
		add_segment(out, SET_(set_lower_bound_segment)(&the_set, a[0]));
		break;
	case OP_ub:
		add_segment(out, SET_(set_upper_bound_segment)(&the_set, a[0]));
		break;
	case OP_lbg:
		add_gap(out, SET_(set_lower_bound_gap)(&the_set, a[0]));
		break;
	case OP_ubg:
		add_gap(out, SET_(set_upper_bound_gap)(&the_set, a[0]));
		break;
	case OP_setvalue:
	case OP_valueptr:
		set_value(code, a, out);
		break;
	case OP_setstart:
	case OP_setend:
	case OP_setrange:
	case OP_setstartraw:
	case OP_setendraw:
	case OP_setrangeraw:
		set_bounds(code, a, out);
		break;
	case OP_walk:
		walk(a[0], a[1], out);
		break;
	case OP_equal:
		add_bool(out, SET_(iterator_equal)(SET_(set_lower_bound_segment)(&the_set, a[0]),
						   SET_(set_upper_bound_segment)(&the_set, a[1])));
		break;
	case OP_equalgap:
		add_bool(out, SET_(gap_iterator_equal)(SET_(set_lower_bound_gap)(&the_set, a[0]),
						       SET_(set_upper_bound_gap)(&the_set, a[1])));
		break;
	case OP_nextlarge:
		add_gap(out, large(SET_(set_lower_bound_gap)(&the_set, a[0]), a[1], true));
		break;
	case OP_prevlarge:
		add_gap(out, large(SET_(set_upper_bound_gap)(&the_set, a[0]), a[1], false));
		break;
	case OP_firstlarge:
		add_gap(out, FIRST_LARGE(a[0]));
		break;
	case OP_lastlarge:
		add_gap(out, LAST_LARGE(a[0]));
		break;
	case OP_lblarge:
		add_gap(out, LOWER_LARGE(a[0], a[1]));
		break;
	case OP_ublarge:
		add_gap(out, UPPER_LARGE(a[0], a[1]));
		break;
	case OP_text:
		ranges_of_text(out);
		break;
	case OP_dump:
		dump(out);
		break;
	default:
		KIND_(run_own)(code, a, out);
		break;
	}
}

int KIND_(verify)(void)
{
	return SET_(set_verify)(&the_set);
}

void KIND_(end)(void)
{
	land();
	SET_(set_destroy)(&the_set);
}
