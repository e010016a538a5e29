/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading a saved state, believing nothing.
 *
 * libcbor tells one item at a time, without allocating and without descending; what an item must
 * be, its reader knows. So neither how deep the bytes nest nor what lengths they claim costs
 * anything. Only what state_sink.c writes is accepted: an item that could have been written
 * shorter, an indefinite length, a key out of place is damage, and therefore what was loaded gives
 * the same bytes when it is saved again.
 *
 * Invariants: `at` <= `len`. After an error nothing is read until the end of the object, which then
 * goes back to its beginning.
 */
#include <memmap/state.h>

#include <cbor.h>
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "memmap/state_internal.h"
#include <memmap/error.h>

enum kind {
	NOTHING,
	UNSIGNED,
	TEXT,
	BYTES,
	ARRAY,
	MAP,
	BOOLEAN,
	NULL_ITEM,
	TAG,
	STRANGE, /* an item that is never written */
};

static const char *const kind_names[] = {
	[NOTHING] = "nothing",
	[UNSIGNED] = "an unsigned number",
	[TEXT] = "a text",
	[BYTES] = "bytes",
	[ARRAY] = "an array",
	[MAP] = "a map",
	[BOOLEAN] = "a truth value",
	[NULL_ITEM] = "null",
	[TAG] = "a tag",
	[STRANGE] = "something else",
};

/* One item, or the head of one. */
struct item {
	enum kind kind;
	uint64_t value; /* the number, the length or the truth */
	const unsigned char *data;
};

/* ---- libcbor's callbacks ---- */

static void set(struct item *item, enum kind kind, uint64_t value)
{
	item->kind = kind;
	item->value = value;
}

static void on_uint8(void *item, uint8_t value)
{
	set(item, UNSIGNED, value);
}

static void on_uint16(void *item, uint16_t value)
{
	set(item, UNSIGNED, value);
}

static void on_uint32(void *item, uint32_t value)
{
	set(item, UNSIGNED, value);
}

static void on_uint64(void *item, uint64_t value)
{
	set(item, UNSIGNED, value);
}

static void on_text(void *item, cbor_data data, size_t len)
{
	set(item, TEXT, len);
	((struct item *)item)->data = data;
}

static void on_bytes(void *item, cbor_data data, size_t len)
{
	set(item, BYTES, len);
	((struct item *)item)->data = data;
}

static void on_array(void *item, size_t nr)
{
	set(item, ARRAY, nr);
}

static void on_map(void *item, size_t nr)
{
	set(item, MAP, nr);
}

static void on_tag(void *item, uint64_t value)
{
	set(item, TAG, value);
}

static void on_bool(void *item, bool value)
{
	set(item, BOOLEAN, value);
}

static void on_null(void *item)
{
	set(item, NULL_ITEM, 0);
}

/* What is never written leaves the item strange. */
static const struct cbor_callbacks callbacks = {
	.uint8 = on_uint8,
	.uint16 = on_uint16,
	.uint32 = on_uint32,
	.uint64 = on_uint64,
	.string = on_text,
	.byte_string = on_bytes,
	.array_start = on_array,
	.map_start = on_map,
	.tag = on_tag,
	.boolean = on_bool,
	.null = on_null,

	.negint8 = cbor_null_negint8_callback,
	.negint16 = cbor_null_negint16_callback,
	.negint32 = cbor_null_negint32_callback,
	.negint64 = cbor_null_negint64_callback,
	.byte_string_start = cbor_null_byte_string_start_callback,
	.string_start = cbor_null_string_start_callback,
	.indef_array_start = cbor_null_indef_array_start_callback,
	.indef_map_start = cbor_null_indef_map_start_callback,
	.float2 = cbor_null_float2_callback,
	.float4 = cbor_null_float4_callback,
	.float8 = cbor_null_float8_callback,
	.undefined = cbor_null_undefined_callback,
	.indef_break = cbor_null_indef_break_callback,
};

/* ---- errors ---- */

__attribute__((format(printf, 4, 5))) static void fail(struct memmap_state_source *source, int err,
						       size_t at, const char *format, ...)
{
	if (source->err)
		return;
	source->err = err;
	int n = snprintf(source->why, sizeof(source->why), "at byte %zu: ", at);
	va_list args;
	va_start(args, format);
	(void)vsnprintf(source->why + n, sizeof(source->why) - (size_t)n, format, args);
	va_end(args);
}

void memmap_state_get_error(struct memmap_state_source *source, int err, const char *why)
{
	fail(source, err, source->at, "%s", why);
}

bool memmap_state_get_failed(const struct memmap_state_source *source)
{
	return source->err != 0;
}

const char *memmap_state_source_why(const struct memmap_state_source *source)
{
	return source->why[0] ? source->why : "no error";
}

/* ---- items ---- */

/* The bytes that the shortest head with this number takes. */
static size_t head_size(const struct item *item)
{
	if (item->kind == BOOLEAN || item->kind == NULL_ITEM || item->value < 24)
		return 1;
	if (item->value <= UINT8_MAX)
		return 2;
	if (item->value <= UINT16_MAX)
		return 3;
	return item->value <= UINT32_MAX ? 5 : 9;
}

/* The next item, which must be of one of two kinds; otherwise NOTHING, and the error is kept. */
static struct item get_either(struct memmap_state_source *source, enum kind kind, enum kind other)
{
	const struct item nothing = {.kind = NOTHING};
	const size_t at = source->at;
	if (source->err)
		return nothing;
	if (at == source->len) {
		fail(source, -EBADMSG, at, "the bytes end where %s is expected", kind_names[kind]);
		return nothing;
	}
	struct item item = {.kind = STRANGE};
	const struct cbor_decoder_result result =
		cbor_stream_decode(source->bytes + at, source->len - at, &callbacks, &item);
	if (result.status != CBOR_DECODER_FINISHED) {
		fail(source, -EBADMSG, at,
		     result.status == CBOR_DECODER_NEDATA ? "the bytes end within an item"
							  : "not an item");
		return nothing;
	}
	if (item.kind != kind && item.kind != other) {
		fail(source, -EBADMSG, at, "expected %s, found %s", kind_names[kind],
		     kind_names[item.kind]);
		return nothing;
	}
	const size_t body = item.kind == TEXT || item.kind == BYTES ? item.value : 0;
	if (result.read != head_size(&item) + body) {
		fail(source, -EBADMSG, at, "an item is longer than it need be");
		return nothing;
	}
	source->at += result.read;
	return item;
}

static struct item get(struct memmap_state_source *source, enum kind kind)
{
	return get_either(source, kind, kind);
}

uint64_t memmap_state_get_uint(struct memmap_state_source *source)
{
	return get(source, UNSIGNED).value;
}

bool memmap_state_get_bool(struct memmap_state_source *source)
{
	return get(source, BOOLEAN).value != 0;
}

const char *memmap_state_get_text(struct memmap_state_source *source, size_t *len)
{
	const struct item item = get(source, TEXT);
	*len = item.value;
	return item.kind == TEXT ? (const char *)item.data : "";
}

const void *memmap_state_get_bytes(struct memmap_state_source *source, size_t *len)
{
	const struct item item = get(source, BYTES);
	*len = item.value;
	return item.data;
}

size_t memmap_state_get_array(struct memmap_state_source *source, size_t item_size)
{
	memmap_assert(item_size > 0);
	const size_t at = source->at;
	const struct item item = get(source, ARRAY);
	if (item.value > (source->len - source->at) / item_size) {
		fail(source, -EBADMSG, at, "an array of %" PRIu64 " items in %zu bytes", item.value,
		     source->len - source->at);
		return 0;
	}
	return item.value;
}

void memmap_state_get_map(struct memmap_state_source *source, uint64_t nr_pairs)
{
	const size_t at = source->at;
	const struct item item = get(source, MAP);
	if (item.kind == MAP && item.value != nr_pairs)
		fail(source, -EBADMSG, at,
		     "a map of %" PRIu64 " pairs where there should be %" PRIu64, item.value,
		     nr_pairs);
}

static bool is_text(const struct item *item, const char *text)
{
	const size_t len = strlen(text);
	return item->kind == TEXT && item->value == len && memcmp(item->data, text, len) == 0;
}

void memmap_state_get_key(struct memmap_state_source *source, const char *key)
{
	const size_t at = source->at;
	const struct item item = get(source, TEXT);
	if (!is_text(&item, key))
		fail(source, -EBADMSG, at, "another key than '%s'", key);
}

void *memmap_state_get_identified(struct memmap_state_source *source, enum memmap_state_kind kind,
				  uint64_t *id)
{
	const size_t at = source->at;
	const struct item item = get_either(source, UNSIGNED, NULL_ITEM);
	*id = item.value;
	if (item.kind != UNSIGNED)
		return NULL;
	if (!source->references) {
		fail(source, -EINVAL, at, "a reference, and nobody to resolve it");
		return NULL;
	}
	void *object = NULL;
	int err = source->references->object_of(source->references->context, kind, item.value,
						&object);
	if (err) {
		fail(source, err, at, "nothing has id %" PRIu64 ": %s", item.value,
		     memmap_strerror(err));
		return NULL;
	}
	return object;
}

void *memmap_state_get_reference(struct memmap_state_source *source, enum memmap_state_kind kind)
{
	uint64_t id;
	return memmap_state_get_identified(source, kind, &id);
}

/* ---- objects ---- */

size_t memmap_state_get_object(struct memmap_state_source *source, const char *type_name)
{
	const size_t mark = source->at;
	if (get(source, ARRAY).value != 2)
		fail(source, -EBADMSG, mark, "not an object");
	const struct item name = get(source, TEXT);
	if (!is_text(&name, type_name))
		fail(source, -EPROTOTYPE, mark, "another type than %s", type_name);
	return mark;
}

int memmap_state_end_get(struct memmap_state_source *source, size_t mark)
{
	const int err = source->err;
	if (err)
		source->at = mark;
	source->err = 0;
	return err;
}

bool memmap_state_source_at_end(const struct memmap_state_source *source)
{
	return source->at == source->len;
}

/* ---- what stands around them ---- */

static void get_header(struct memmap_state_source *source)
{
	const struct item tag = get(source, TAG);
	const struct item array = get(source, ARRAY);
	const struct item magic = get(source, TEXT);
	if (tag.value != STATE_TAG || array.value != 2 || !is_text(&magic, STATE_MAGIC)) {
		/* Whatever was strange about the items: this is what it means. */
		source->err = 0;
		fail(source, -EBADMSG, 0, "this is no saved state of memmap");
		return;
	}
	const size_t at = source->at;
	const struct item version = get(source, UNSIGNED);
	if (version.kind == UNSIGNED && version.value != MEMMAP_STATE_VERSION)
		fail(source, -EPROTONOSUPPORT, at, "version %" PRIu64 "; only %d is known",
		     version.value, MEMMAP_STATE_VERSION);
}

static void check_trailer(struct memmap_state_source *source)
{
	if (source->err)
		return;
	if (source->len - source->at < STATE_TRAILER_SIZE) {
		fail(source, -EBADMSG, source->len, "the bytes were cut: there is no checksum");
		return;
	}
	/* From here on the objects end where the trailer begins. */
	const size_t start = source->len - STATE_TRAILER_SIZE;
	struct memmap_state_source trailer = *source;
	trailer.at = start;
	size_t len;
	const unsigned char *stored = memmap_state_get_bytes(&trailer, &len);
	uint32_t checksum = 0;
	for (size_t i = 0; i < len; i++)
		checksum = checksum << 8 | stored[i];
	if (len != STATE_CHECKSUM_SIZE || checksum != memmap_state_checksum(source->bytes, start))
		fail(source, -EBADMSG, start, "the bytes were cut or damaged: wrong checksum");
	source->len = start;
}

int memmap_state_source_init(struct memmap_state_source *source, const void *bytes, size_t len,
			     const struct memmap_state_references *references)
{
	memset(source, 0, sizeof(*source));
	source->references = references;
	source->bytes = bytes;
	source->len = len;
	get_header(source);
	check_trailer(source);
	const int err = source->err;
	/* Nothing can be loaded from what is not whole. */
	if (err)
		source->at = source->len = 0;
	source->err = 0;
	return err;
}
