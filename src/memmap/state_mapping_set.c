/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saving and restoring a mapping set, by way of its sorted slices.
 *
 * A segment's mappings are written in the order of start, end, the space's id, and read-only before
 * writable: what the set's own order has of it, without the addresses that this run gave to things.
 *
 * Refused, both when saving and when loading: segments that are empty, unsorted or overlap,
 * mappings that are not as long as their segment or have no space, and the same mapping twice.
 */
#include <memmap/mapping_set.h>

#include <errno.h>
#include <stdlib.h>

#include "memmap/state_internal.h"
#include <memmap/allocator.h>

static const char *const out_of_memory = "out of memory";

/* ---- order and validity, which are the same both ways ---- */

static int compare(uint64_t a, uint64_t b)
{
	return (a > b) - (a < b);
}

static int compare_mappings(const void *left, const void *right)
{
	const struct memmap_state_mapping *a = left;
	const struct memmap_state_mapping *b = right;
	int order = compare(a->mapping.addr_range.start, b->mapping.addr_range.start);
	if (order == 0)
		order = compare(a->mapping.addr_range.end, b->mapping.addr_range.end);
	if (order == 0)
		order = compare(a->id, b->id);
	return order ? order : compare(a->mapping.writable, b->mapping.writable);
}

/* What is wrong with segment `i`, given the ones before it; NULL: nothing. */
static const char *segment_mistake(const uint64_t *start, const uint64_t *end, size_t i)
{
	if (start[i] >= end[i])
		return "an empty segment";
	if (i > 0 && start[i] < end[i - 1])
		return "segments out of order";
	return NULL;
}

/* What is wrong with a mapping of a segment of `length`, after `before` (NULL: the first). */
static const char *mapping_mistake(const struct memmap_state_mapping *before,
				   const struct memmap_state_mapping *m, uint64_t length)
{
	if (!m->mapping.space)
		return "a mapping without a space";
	if (memmap_addr_range_length(m->mapping.addr_range) != length)
		return "a mapping that is not as long as its segment";
	if (before && compare_mappings(before, m) >= 0)
		return "mappings out of order";
	return NULL;
}

/* ---- saving ---- */

struct collector {
	struct memmap_state_sink *sink;
	struct memmap_state_mapping *mappings;
	size_t nr;
};

static bool collect(struct memmap_mapping_of_range m, void *arg)
{
	struct collector *collector = arg;
	collector->mappings[collector->nr++] = memmap_state_identify(collector->sink, m);
	return !memmap_state_put_failed(collector->sink);
}

/* One segment's mappings, by way of an array in which they are put in order. */
static void put_mappings(struct memmap_state_sink *sink, const struct memmap_mappings_of_range *v,
			 uint64_t length)
{
	const size_t nr = memmap_mappings_of_range_count(v);
	memmap_state_put_array(sink, nr);
	if (nr == 0)
		return;
	struct collector collector = {.sink = sink};
	const size_t size = nr * sizeof(*collector.mappings);
	collector.mappings =
		memmap_allocate(sink->allocator, size, _Alignof(struct memmap_state_mapping));
	if (!collector.mappings) {
		memmap_state_put_error(sink, -ENOMEM);
		return;
	}
	if (memmap_mappings_of_range_visit(v, collect, &collector)) {
		struct memmap_state_mapping *ms = collector.mappings;
		qsort(ms, nr, sizeof(*ms), compare_mappings);
		for (size_t i = 0; i < nr; i++) {
			if (mapping_mistake(i > 0 ? &ms[i - 1] : NULL, &ms[i], length))
				memmap_state_put_error(sink, -EINVAL);
			memmap_state_put_mapping(sink, &ms[i]);
		}
	}
	memmap_deallocate(sink->allocator, collector.mappings, size);
}

static void put_keys(struct memmap_state_sink *sink, const uint64_t *keys, size_t nr)
{
	memmap_state_put_array(sink, nr);
	for (size_t i = 0; i < nr; i++)
		memmap_state_put_uint(sink, keys[i]);
}

static void put_slices(struct memmap_state_sink *sink,
		       const struct memmap_mapping_segment_data_slices *slices)
{
	for (size_t i = 0; i < slices->len; i++) {
		if (segment_mistake(slices->start, slices->end, i))
			memmap_state_put_error(sink, -EINVAL);
	}
	memmap_state_put_map(sink, 3);
	memmap_state_put_key(sink, "end");
	put_keys(sink, slices->end, slices->len);
	memmap_state_put_key(sink, "start");
	put_keys(sink, slices->start, slices->len);
	memmap_state_put_key(sink, "values");
	memmap_state_put_array(sink, slices->len);
	for (size_t i = 0; i < slices->len && !memmap_state_put_failed(sink); i++)
		put_mappings(sink, &slices->values[i], slices->end[i] - slices->start[i]);
}

/* ---- loading ---- */

static void get_mappings(struct memmap_state_source *source, struct memmap_mappings_of_range *v,
			 uint64_t length)
{
	struct memmap_state_mapping before;
	const size_t nr = memmap_state_get_array(source, MEMMAP_STATE_MAPPING_SIZE);
	for (size_t i = 0; i < nr; i++) {
		const struct memmap_state_mapping m = memmap_state_get_mapping(source);
		if (memmap_state_get_failed(source))
			return;
		const char *mistake = mapping_mistake(i > 0 ? &before : NULL, &m, length);
		if (!mistake && memmap_mappings_of_range_contains(v, m.mapping))
			mistake = "two ids of one space";
		if (mistake) {
			memmap_state_get_error(source, -EBADMSG, mistake);
			return;
		}
		if (memmap_mappings_of_range_add(v, m.mapping) != 0) {
			memmap_state_get_error(source, -ENOMEM, out_of_memory);
			return;
		}
		before = m;
	}
}

static void get_keys(struct memmap_state_source *source, uint64_t *keys, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		keys[i] = memmap_state_get_uint(source);
}

static void get_same_array(struct memmap_state_source *source, size_t nr)
{
	if (memmap_state_get_array(source, 1) != nr)
		memmap_state_get_error(source, -EBADMSG, "not as many items as segments");
}

static bool allocate_slices(struct memmap_mapping_segment_data_slices *slices, size_t nr)
{
	const size_t alignment = _Alignof(max_align_t);
	slices->start = memmap_allocate(NULL, nr * sizeof(*slices->start), alignment);
	slices->end = memmap_allocate(NULL, nr * sizeof(*slices->end), alignment);
	slices->values = memmap_allocate(NULL, nr * sizeof(*slices->values), alignment);
	return slices->start && slices->end && slices->values;
}

/* The values, once all keys are there. `slices->len` counts those that have been begun. */
static void get_values(struct memmap_state_source *source,
		       struct memmap_mapping_segment_data_slices *slices, size_t nr)
{
	for (size_t i = 0; i < nr && !memmap_state_get_failed(source); i++) {
		const char *mistake = segment_mistake(slices->start, slices->end, i);
		if (mistake)
			memmap_state_get_error(source, -EBADMSG, mistake);
		memmap_mappings_of_range_init(&slices->values[i], NULL);
		slices->len++;
		get_mappings(source, &slices->values[i], slices->end[i] - slices->start[i]);
	}
}

/* The slices, complete or not, are the caller's to release. */
static struct memmap_mapping_segment_data_slices get_slices(struct memmap_state_source *source)
{
	struct memmap_mapping_segment_data_slices slices = {0};
	memmap_state_get_map(source, 3);
	memmap_state_get_key(source, "end");
	/* Each segment has an item in all three arrays. */
	const size_t nr = memmap_state_get_array(source, 3);
	if (nr > 0 && !allocate_slices(&slices, nr)) {
		memmap_state_get_error(source, -ENOMEM, out_of_memory);
		return slices;
	}
	get_keys(source, slices.end, nr);
	memmap_state_get_key(source, "start");
	get_same_array(source, nr);
	get_keys(source, slices.start, nr);
	memmap_state_get_key(source, "values");
	get_same_array(source, nr);
	get_values(source, &slices, nr);
	return slices;
}

/* ---- the savable types ---- */

const char *memmap_mapping_segment_data_slices_state_type_name(void)
{
	return "memmap_mapping_segment_data_slices";
}

const char *const *memmap_mapping_segment_data_slices_state_fields(void)
{
	static const char *const fields[] = {"start", "end", "values", NULL};
	return fields;
}

int memmap_mapping_segment_data_slices_state_save(
	const struct memmap_mapping_segment_data_slices *slices, struct memmap_state_sink *sink)
{
	const struct memmap_state_cursor mark =
		memmap_state_put_object(sink, memmap_mapping_segment_data_slices_state_type_name());
	put_slices(sink, slices);
	return memmap_state_end_put(sink, mark);
}

int memmap_mapping_segment_data_slices_state_load(struct memmap_mapping_segment_data_slices *slices,
						  struct memmap_state_source *source)
{
	const size_t mark = memmap_state_get_object(
		source, memmap_mapping_segment_data_slices_state_type_name());
	struct memmap_mapping_segment_data_slices loaded = get_slices(source);
	int err = memmap_state_end_get(source, mark);
	if (err)
		memmap_mapping_segment_data_slices_release(&loaded);
	else
		*slices = loaded;
	return err;
}

const char *memmap_mapping_set_state_type_name(void)
{
	return "memmap_mapping_set";
}

const char *const *memmap_mapping_set_state_fields(void)
{
	static const char *const fields[] = {"segments", NULL};
	return fields;
}

int memmap_mapping_set_state_save(const struct memmap_mapping_set *set,
				  struct memmap_state_sink *sink)
{
	struct memmap_mapping_segment_data_slices slices;
	int err = memmap_mapping_set_export_sorted_slices(set, &slices);
	if (err)
		return err;
	const struct memmap_state_cursor mark =
		memmap_state_put_object(sink, memmap_mapping_set_state_type_name());
	memmap_state_put_map(sink, 1);
	memmap_state_put_key(sink, "segments");
	put_slices(sink, &slices);
	memmap_mapping_segment_data_slices_release(&slices);
	return memmap_state_end_put(sink, mark);
}

int memmap_mapping_set_state_load(struct memmap_mapping_set *set,
				  struct memmap_state_source *source)
{
	if (!memmap_mapping_set_is_empty(set))
		return -EEXIST;
	const size_t mark = memmap_state_get_object(source, memmap_mapping_set_state_type_name());
	memmap_state_get_map(source, 1);
	memmap_state_get_key(source, "segments");
	struct memmap_mapping_segment_data_slices slices = get_slices(source);
	if (!memmap_state_get_failed(source)) {
		/* The slices are valid: there is nothing but memory that importing may lack. */
		if (memmap_mapping_set_import_sorted_slices(set, &slices) != 0)
			memmap_state_get_error(source, -ENOMEM, out_of_memory);
	}
	memmap_mapping_segment_data_slices_release(&slices);
	return memmap_state_end_get(source, mark);
}
