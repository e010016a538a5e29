/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saving and restoring ranges and single mappings. The fields of each are written here once more
 * for the types that contain it: as a map without the type's name.
 */
#include "memmap/state_internal.h"

#include <errno.h>

/* All ranges look the same in the bytes, but for their type. */
struct bounds {
	uint64_t start, end;
};

static void put_bounds(struct memmap_state_sink *sink, uint64_t start, uint64_t end)
{
	if (start > end)
		memmap_state_put_error(sink, -EINVAL);
	memmap_state_put_map(sink, 2);
	memmap_state_put_key(sink, "end");
	memmap_state_put_uint(sink, end);
	memmap_state_put_key(sink, "start");
	memmap_state_put_uint(sink, start);
}

static struct bounds get_bounds(struct memmap_state_source *source)
{
	struct bounds b;
	memmap_state_get_map(source, 2);
	memmap_state_get_key(source, "end");
	b.end = memmap_state_get_uint(source);
	memmap_state_get_key(source, "start");
	b.start = memmap_state_get_uint(source);
	if (b.start > b.end)
		memmap_state_get_error(source, -EBADMSG, "a range ends before it starts");
	return b;
}

static const char *const range_fields[] = {"start", "end", NULL};

/* clang-format off */
#define DEFINE_RANGE_STATE(name)                                                                   \
	const char *name##_state_type_name(void)                                                   \
	{                                                                                          \
		return #name;                                                                      \
	}                                                                                          \
	const char *const *name##_state_fields(void)                                               \
	{                                                                                          \
		return range_fields;                                                               \
	}                                                                                          \
	int name##_state_save(const struct name *r, struct memmap_state_sink *sink)                \
	{                                                                                          \
		const struct memmap_state_cursor mark =                                            \
			memmap_state_put_object(sink, name##_state_type_name());                   \
		put_bounds(sink, r->start, r->end);                                                \
		return memmap_state_end_put(sink, mark);                                           \
	}                                                                                          \
	int name##_state_load(struct name *r, struct memmap_state_source *source)                  \
	{                                                                                          \
		const size_t mark = memmap_state_get_object(source, name##_state_type_name());     \
		const struct bounds b = get_bounds(source);                                        \
		int err = memmap_state_end_get(source, mark);                                      \
		if (!err) {                                                                        \
			r->start = b.start;                                                        \
			r->end = b.end;                                                            \
		}                                                                                  \
		return err;                                                                        \
	}
/* clang-format on */

DEFINE_RANGE_STATE(memmap_addr_range)
DEFINE_RANGE_STATE(memmap_file_range)
DEFINE_RANGE_STATE(memmap_mappable_range)

struct memmap_state_mapping memmap_state_identify(struct memmap_state_sink *sink,
						  struct memmap_mapping_of_range m)
{
	struct memmap_state_mapping identified = {.mapping = m};
	if (m.space)
		(void)memmap_state_id_of(sink, MEMMAP_STATE_SPACE, m.space, &identified.id);
	return identified;
}

void memmap_state_put_mapping(struct memmap_state_sink *sink, const struct memmap_state_mapping *m)
{
	memmap_state_put_map(sink, 3);
	memmap_state_put_key(sink, "space");
	memmap_state_put_id(sink, m->mapping.space ? &m->id : NULL);
	memmap_state_put_key(sink, "writable");
	memmap_state_put_bool(sink, m->mapping.writable);
	memmap_state_put_key(sink, "addr_range");
	put_bounds(sink, m->mapping.addr_range.start, m->mapping.addr_range.end);
}

struct memmap_state_mapping memmap_state_get_mapping(struct memmap_state_source *source)
{
	struct memmap_state_mapping m;
	memmap_state_get_map(source, 3);
	memmap_state_get_key(source, "space");
	m.mapping.space = memmap_state_get_identified(source, MEMMAP_STATE_SPACE, &m.id);
	memmap_state_get_key(source, "writable");
	m.mapping.writable = memmap_state_get_bool(source);
	memmap_state_get_key(source, "addr_range");
	const struct bounds b = get_bounds(source);
	m.mapping.addr_range.start = b.start;
	m.mapping.addr_range.end = b.end;
	return m;
}

const char *memmap_mapping_of_range_state_type_name(void)
{
	return "memmap_mapping_of_range";
}

const char *const *memmap_mapping_of_range_state_fields(void)
{
	static const char *const fields[] = {"space", "addr_range", "writable", NULL};
	return fields;
}

int memmap_mapping_of_range_state_save(const struct memmap_mapping_of_range *m,
				       struct memmap_state_sink *sink)
{
	const struct memmap_state_cursor mark =
		memmap_state_put_object(sink, memmap_mapping_of_range_state_type_name());
	const struct memmap_state_mapping identified = memmap_state_identify(sink, *m);
	memmap_state_put_mapping(sink, &identified);
	return memmap_state_end_put(sink, mark);
}

int memmap_mapping_of_range_state_load(struct memmap_mapping_of_range *m,
				       struct memmap_state_source *source)
{
	const size_t mark =
		memmap_state_get_object(source, memmap_mapping_of_range_state_type_name());
	const struct memmap_state_mapping loaded = memmap_state_get_mapping(source);
	int err = memmap_state_end_get(source, mark);
	if (!err)
		*m = loaded.mapping;
	return err;
}
