/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks and sequences of blocks, as values. Touching the memory is in block_access.c.
 *
 * A sequence keeps three invariants, all made by seq_of_parts():
 *   - it is empty exactly when nr_bytes is 0, and then all its fields are 0;
 *   - otherwise `first` is not empty and no longer than nr_bytes;
 *   - `rest` is NULL exactly when `first` is all there is.
 */
#include <memmap/block.h>

#include <inttypes.h>
#include <stdio.h>

#include <memmap/error.h>

static struct memmap_block make_block(void *addr, size_t len, bool need_safe_copy)
{
	uintptr_t end;
	if (__builtin_add_overflow((uintptr_t)addr, len, &end))
		memmap_panic("block at %p with length %zu overflows", addr, len);
	return (struct memmap_block){addr, len, need_safe_copy};
}

struct memmap_block memmap_block_safe(void *addr, size_t len)
{
	return make_block(addr, len, false);
}

struct memmap_block memmap_block_unsafe(void *addr, size_t len)
{
	return make_block(addr, len, true);
}

struct memmap_block memmap_block_drop_first(struct memmap_block b, uint64_t n)
{
	if (n >= b.len)
		return (struct memmap_block){0};
	/* Not pointer arithmetic: the block may be at address 0. NOLINTNEXTLINE(*-int-to-ptr) */
	b.addr = (void *)((uintptr_t)b.addr + n);
	b.len -= n;
	return b;
}

struct memmap_block memmap_block_take_first(struct memmap_block b, uint64_t n)
{
	if (n == 0)
		return (struct memmap_block){0};
	if (n < b.len)
		b.len = n;
	return b;
}

char *memmap_block_format(struct memmap_block b, char *buf, size_t size)
{
	uintptr_t start = (uintptr_t)b.addr;
	if (!b.addr && b.len == 0)
		(void)snprintf(buf, size, "<nil>");
	else
		(void)snprintf(buf, size, "[0x%" PRIxPTR "-0x%" PRIxPTR ")%s", start, start + b.len,
			       b.need_safe_copy ? "*" : "");
	return buf;
}

/*
 * The first `nr_bytes` bytes of `blocks`.
 *
 * Requires: there are that many.
 */
static struct memmap_block_seq seq_of_parts(const struct memmap_block *blocks, size_t nr,
					    uint64_t nr_bytes)
{
	if (nr_bytes == 0)
		return (struct memmap_block_seq){0};
	memmap_assert(blocks);
	while (blocks->len == 0) {
		blocks++;
		nr--;
	}
	struct memmap_block_seq seq = {
		.first = memmap_block_take_first(*blocks, nr_bytes),
		.nr_bytes = nr_bytes,
	};
	if (seq.first.len < nr_bytes) {
		seq.rest = blocks + 1;
		seq.nr_rest = nr - 1;
	}
	return seq;
}

struct memmap_block_seq memmap_block_seq_of(struct memmap_block b)
{
	return seq_of_parts(&b, 1, b.len);
}

struct memmap_block_seq memmap_block_seq_from(const struct memmap_block *blocks, size_t nr)
{
	uint64_t nr_bytes = 0;
	for (size_t i = 0; i < nr; i++) {
		if (__builtin_add_overflow(nr_bytes, blocks[i].len, &nr_bytes))
			memmap_panic("block sequence: lengths of %zu blocks overflow", nr);
	}
	return seq_of_parts(blocks, nr, nr_bytes);
}

struct memmap_block memmap_block_seq_head(struct memmap_block_seq seq)
{
	if (memmap_block_seq_is_empty(seq))
		memmap_panic("head of an empty block sequence");
	return seq.first;
}

struct memmap_block_seq memmap_block_seq_tail(struct memmap_block_seq seq)
{
	if (memmap_block_seq_is_empty(seq))
		memmap_panic("tail of an empty block sequence");
	return seq_of_parts(seq.rest, seq.nr_rest, seq.nr_bytes - seq.first.len);
}

size_t memmap_block_seq_num_blocks(struct memmap_block_seq seq)
{
	size_t nr = 0;
	for (; !memmap_block_seq_is_empty(seq); seq = memmap_block_seq_tail(seq))
		nr++;
	return nr;
}

struct memmap_block_seq memmap_block_seq_drop_first(struct memmap_block_seq seq, uint64_t n)
{
	if (n >= seq.nr_bytes)
		return (struct memmap_block_seq){0};
	while (n >= seq.first.len) {
		n -= seq.first.len;
		seq = memmap_block_seq_tail(seq);
	}
	seq.first = memmap_block_drop_first(seq.first, n);
	seq.nr_bytes -= n;
	return seq;
}

struct memmap_block_seq memmap_block_seq_take_first(struct memmap_block_seq seq, uint64_t n)
{
	if (n >= seq.nr_bytes)
		return seq;
	seq.first = memmap_block_take_first(seq.first, n);
	seq.nr_bytes = n;
	if (seq.first.len == n) {
		seq.rest = NULL;
		seq.nr_rest = 0;
	}
	return seq;
}

/* Append `text` at `*at`, as much as fits before the terminating zero. */
static void append_text(char *buf, size_t size, size_t *at, const char *text)
{
	for (; *text && *at + 1 < size; text++)
		buf[(*at)++] = *text;
	if (size > 0)
		buf[*at] = '\0';
}

char *memmap_block_seq_format(struct memmap_block_seq seq, char *buf, size_t size)
{
	size_t at = 0;
	const char *separator = "";
	append_text(buf, size, &at, "[");
	for (; !memmap_block_seq_is_empty(seq); seq = memmap_block_seq_tail(seq)) {
		char text[MEMMAP_BLOCK_FORMAT_SIZE];
		append_text(buf, size, &at, separator);
		append_text(buf, size, &at, memmap_block_format(seq.first, text, sizeof(text)));
		separator = " ";
	}
	append_text(buf, size, &at, "]");
	return buf;
}
