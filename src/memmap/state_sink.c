/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing a saved state.
 *
 * Every item is encoded in the one shortest form that CBOR has for it, maps have their keys in
 * order, nothing has an indefinite length: the same objects give the same bytes.
 *
 * Invariants: `at` tells where the next item goes and what it completes; `left` counts the items
 * that the open arrays and maps still lack (a pair of a map is two). After an error nothing is
 * written until the end of the object, which then takes back what was.
 *
 * Refused: saving into a finished sink, and whatever would not be a well-formed item; both panic,
 * since only the saving program's own mistake leads there.
 */
#include <memmap/state.h>

#include <cbor.h>
#include <errno.h>
#include <string.h>

#include "base/array.h"
#include "memmap/state_internal.h"
#include <memmap/error.h>

/* The longest head of an item: a byte and a 64-bit number. */
#define MAX_HEAD 9

void memmap_state_sink_init(struct memmap_state_sink *sink,
			    const struct memmap_state_references *references,
			    const struct memmap_allocator *allocator)
{
	memset(sink, 0, sizeof(*sink));
	sink->references = references;
	sink->allocator = allocator;
}

void memmap_state_sink_release(struct memmap_state_sink *sink)
{
	memmap_deallocate(sink->allocator, sink->bytes, sink->cap);
	memmap_state_sink_init(sink, sink->references, sink->allocator);
}

/* Room for `n` more bytes. */
static bool reserve(struct memmap_state_sink *sink, size_t n)
{
	if (n <= sink->cap - sink->at.len)
		return true;
	size_t need;
	size_t cap;
	if (__builtin_add_overflow(sink->at.len, n, &need))
		return false;
	unsigned char *bigger = memmap_array_bigger(sink->allocator, sink->bytes, sink->at.len,
						    need, sizeof(*bigger), 1, &cap);
	if (!bigger)
		return false;
	memmap_deallocate(sink->allocator, sink->bytes, sink->cap);
	sink->bytes = bigger;
	sink->cap = cap;
	return true;
}

/* Room for an item of `n` bytes after its head, or the error is kept. */
static bool may_put(struct memmap_state_sink *sink, size_t n)
{
	if (sink->err)
		return false;
	if (n > SIZE_MAX - MAX_HEAD || !reserve(sink, MAX_HEAD + n)) {
		sink->err = -ENOMEM;
		return false;
	}
	return true;
}

/* Leave the arrays and maps that have all their items. */
static void leave_complete(struct memmap_state_cursor *at)
{
	while (at->depth > 0 && at->left[at->depth - 1] == 0)
		at->depth--;
}

/* Note that one more item of what is open is there. */
static void count_item(struct memmap_state_cursor *at)
{
	leave_complete(at);
	if (at->depth == 0)
		memmap_panic("state: an item that is not in an object");
	at->left[at->depth - 1]--;
}

static void open_items(struct memmap_state_cursor *at, uint64_t nr)
{
	if (at->depth == MEMMAP_STATE_MAX_DEPTH)
		memmap_panic("state: more than %d arrays and maps within one another",
			     MEMMAP_STATE_MAX_DEPTH);
	at->left[at->depth] = nr;
	at->key[at->depth] = NULL;
	at->depth++;
}

/* Where the head of the next item goes; its size is then added to the length. */
#define PUT_HEAD(sink, encode, value)                                                              \
	((sink)->at.len += encode((value), (sink)->bytes + (sink)->at.len, MAX_HEAD))

/* What comes before the first object. */
static void put_header(struct memmap_state_sink *sink)
{
	const size_t magic_len = strlen(STATE_MAGIC);
	if (sink->at.len > 0 || !may_put(sink, magic_len + (size_t)3 * MAX_HEAD))
		return;
	PUT_HEAD(sink, cbor_encode_tag, STATE_TAG);
	PUT_HEAD(sink, cbor_encode_array_start, 2);
	PUT_HEAD(sink, cbor_encode_string_start, magic_len);
	memcpy(sink->bytes + sink->at.len, STATE_MAGIC, magic_len);
	sink->at.len += magic_len;
	PUT_HEAD(sink, cbor_encode_uint, MEMMAP_STATE_VERSION);
}

static void put_array_head(struct memmap_state_sink *sink, uint64_t nr_items)
{
	PUT_HEAD(sink, cbor_encode_array_start, nr_items);
	open_items(&sink->at, nr_items);
}

/* The error, if there is one; then all since `mark` is taken back. */
static int end(struct memmap_state_sink *sink, const struct memmap_state_cursor *mark)
{
	const int err = sink->err;
	if (err)
		sink->at = *mark;
	sink->err = 0;
	return err;
}

int memmap_state_sink_finish(struct memmap_state_sink *sink, const void **bytes, size_t *len)
{
	const struct memmap_state_cursor mark = sink->at;
	if (mark.depth > 0)
		memmap_panic("state: a sink is finished within an object");
	if (!sink->finished) {
		put_header(sink);
		if (may_put(sink, STATE_CHECKSUM_SIZE)) {
			uint32_t checksum = memmap_state_checksum(sink->bytes, sink->at.len);
			PUT_HEAD(sink, cbor_encode_bytestring_start, STATE_CHECKSUM_SIZE);
			for (int shift = 24; shift >= 0; shift -= 8)
				sink->bytes[sink->at.len++] = (unsigned char)(checksum >> shift);
		}
		int err = end(sink, &mark);
		if (err)
			return err;
		sink->finished = true;
	}
	*bytes = sink->bytes;
	*len = sink->at.len;
	return 0;
}

struct memmap_state_cursor memmap_state_put_object(struct memmap_state_sink *sink,
						   const char *type_name)
{
	if (sink->finished)
		memmap_panic("state: %s saved into a finished sink", type_name);
	const struct memmap_state_cursor mark = sink->at;
	put_header(sink);
	if (may_put(sink, 0)) {
		leave_complete(&sink->at);
		if (sink->at.depth > 0)
			count_item(&sink->at);
		put_array_head(sink, 2);
	}
	memmap_state_put_text(sink, type_name);
	return mark;
}

int memmap_state_end_put(struct memmap_state_sink *sink, struct memmap_state_cursor mark)
{
	if (!sink->err) {
		for (unsigned i = mark.depth; i < sink->at.depth; i++) {
			if (sink->at.left[i] != 0)
				memmap_panic("state: an object ends before all items are there");
		}
		sink->at.depth = mark.depth;
	}
	return end(sink, &mark);
}

void memmap_state_put_error(struct memmap_state_sink *sink, int err)
{
	if (!sink->err)
		sink->err = err;
}

bool memmap_state_put_failed(const struct memmap_state_sink *sink)
{
	return sink->err != 0;
}

void memmap_state_put_uint(struct memmap_state_sink *sink, uint64_t value)
{
	if (!may_put(sink, 0))
		return;
	count_item(&sink->at);
	PUT_HEAD(sink, cbor_encode_uint, value);
}

void memmap_state_put_bool(struct memmap_state_sink *sink, bool value)
{
	if (!may_put(sink, 0))
		return;
	count_item(&sink->at);
	PUT_HEAD(sink, cbor_encode_bool, value);
}

static void put_null(struct memmap_state_sink *sink)
{
	if (!may_put(sink, 0))
		return;
	count_item(&sink->at);
	sink->at.len += cbor_encode_null(sink->bytes + sink->at.len, MAX_HEAD);
}

void memmap_state_put_text(struct memmap_state_sink *sink, const char *text)
{
	const size_t len = strlen(text);
	if (!may_put(sink, len))
		return;
	count_item(&sink->at);
	PUT_HEAD(sink, cbor_encode_string_start, len);
	memcpy(sink->bytes + sink->at.len, text, len);
	sink->at.len += len;
}

void memmap_state_put_bytes(struct memmap_state_sink *sink, const void *bytes, size_t len)
{
	if (!may_put(sink, len))
		return;
	count_item(&sink->at);
	PUT_HEAD(sink, cbor_encode_bytestring_start, len);
	if (len > 0)
		memcpy(sink->bytes + sink->at.len, bytes, len);
	sink->at.len += len;
}

void memmap_state_put_array(struct memmap_state_sink *sink, uint64_t nr_items)
{
	if (!may_put(sink, 0))
		return;
	count_item(&sink->at);
	put_array_head(sink, nr_items);
}

void memmap_state_put_map(struct memmap_state_sink *sink, uint64_t nr_pairs)
{
	if (!may_put(sink, 0))
		return;
	count_item(&sink->at);
	PUT_HEAD(sink, cbor_encode_map_start, nr_pairs);
	open_items(&sink->at, 2 * nr_pairs);
}

/* The order of encoded texts: the length comes first. */
static bool key_before(const char *a, const char *b)
{
	const size_t a_len = strlen(a);
	const size_t b_len = strlen(b);
	return a_len != b_len ? a_len < b_len : strcmp(a, b) < 0;
}

void memmap_state_put_key(struct memmap_state_sink *sink, const char *key)
{
	memmap_state_put_text(sink, key);
	if (sink->err)
		return;
	const unsigned depth = sink->at.depth;
	if (depth == 0 || sink->at.left[depth - 1] % 2 == 0)
		memmap_panic("state: key '%s' where none belongs", key);
	const char **before = &sink->at.key[depth - 1];
	if (*before && !key_before(*before, key))
		memmap_panic("state: key '%s' after '%s'", key, *before);
	*before = key;
}

bool memmap_state_id_of(struct memmap_state_sink *sink, enum memmap_state_kind kind,
			const void *object, uint64_t *id)
{
	if (sink->err)
		return false;
	int err = -EINVAL;
	if (sink->references)
		err = sink->references->id_of(sink->references->context, kind, object, id);
	if (err)
		memmap_state_put_error(sink, err);
	return !err;
}

void memmap_state_put_id(struct memmap_state_sink *sink, const uint64_t *id)
{
	if (id)
		memmap_state_put_uint(sink, *id);
	else
		put_null(sink);
}

void memmap_state_put_reference(struct memmap_state_sink *sink, enum memmap_state_kind kind,
				const void *object)
{
	uint64_t id;
	if (!object)
		memmap_state_put_id(sink, NULL);
	else if (memmap_state_id_of(sink, kind, object, &id))
		memmap_state_put_id(sink, &id);
}
