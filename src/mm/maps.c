/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of /proc/PID/maps.
 *
 *   start-end perms offset dev inode                      name
 *   7f9564618000-7f956463e000 r--p 00000000 fe:00 332835                     /usr/lib/libc.so.6
 *
 * The name begins in column 73 (and a line without one ends behind the space that follows the
 * inode). It is that of the file, or that of a special mapping, or what the layout says the VMA is (the
 * heap and the stack have no names of their own), or what the program called its anonymous memory.
 *
 * Formatted by hand: a tracer prints this after every call that it watches.
 */
#include "text.h"

#include <endian.h>
#include <string.h>
#include <sys/sysmacros.h>

#define NAME_COLUMN 72
#define FIXED_PART  160 /* more than everything but the name can take */

void memmap_text_release(struct memmap_text *text)
{
	memmap_deallocate(NULL, text->data, text->capacity);
	*text = (struct memmap_text){0};
}

bool text_reserve(struct memmap_text *text, size_t more)
{
	if (text->capacity - text->length >= more)
		return true;
	size_t capacity = text->capacity ? text->capacity : 4096;
	while (capacity - text->length < more) {
		if (__builtin_mul_overflow(capacity, 2, &capacity))
			return false;
	}
	char *data = memmap_allocate(NULL, capacity, 1);
	if (!data)
		return false;
	if (text->length)
		memcpy(data, text->data, text->length);
	memmap_deallocate(NULL, text->data, text->capacity);
	text->data = data;
	text->capacity = capacity;
	return true;
}

/* Eight hexadecimal digits, in the order in which they are stored, without a branch. */
static uint64_t hex_digits(uint32_t x)
{
	const uint64_t each = UINT64_C(0x0101010101010101);
	uint64_t v = x; /* a digit in every byte, the lowest first: */
	v = (v << 16 | v) & UINT64_C(0x0000ffff0000ffff);
	v = (v << 8 | v) & UINT64_C(0x00ff00ff00ff00ff);
	v = (v << 4 | v) & UINT64_C(0x0f0f0f0f0f0f0f0f);
	uint64_t letters = ((v + 6 * each) >> 4) & each; /* 1 where it is above 9 */
	return htobe64(v + '0' * each + letters * ('a' - '0' - 10));
}

/*
 * At least `width` digits. Returns the end, behind which there is room for 16 more: all is written.
 */
static char *put_hex(char *p, uint64_t x, unsigned width)
{
	unsigned digits = (64 - (unsigned)__builtin_clzll(x | 1) + 3) / 4;
	if (digits < width)
		digits = width;
	x <<= 64 - 4 * digits;
	const uint64_t all[2] = {hex_digits((uint32_t)(x >> 32)), hex_digits((uint32_t)x)};
	memcpy(p, all, sizeof(all));
	return p + digits;
}

static char *put_decimal(char *p, uint64_t x)
{
	char digits[20];
	size_t n = 0;
	do {
		digits[n++] = (char)('0' + x % 10);
		x /= 10;
	} while (x);
	while (n > 0)
		*p++ = digits[--n];
	return p;
}

/* Pad to the column of names, which is always preceded by a space. */
static char *put_padding(char *p, const char *line)
{
	size_t length = (size_t)(p - line);
	size_t padding = length < NAME_COLUMN ? NAME_COLUMN + 1 - length : 1;
	memset(p, ' ', padding);
	return p + padding;
}

/* Everything before the name. */
static char *put_fields(char *p, const struct memmap_vma *v)
{
	p = put_hex(p, v->range.start, 8);
	*p++ = '-';
	p = put_hex(p, v->range.end, 8);
	*p++ = ' ';
	*p++ = v->flags & MEMMAP_VM_READ ? 'r' : '-';
	*p++ = v->flags & MEMMAP_VM_WRITE ? 'w' : '-';
	*p++ = v->flags & MEMMAP_VM_EXEC ? 'x' : '-';
	*p++ = v->flags & MEMMAP_VM_MAYSHARE ? 's' : 'p';
	*p++ = ' ';
	if (!v->identity)
		return stpcpy(p, "00000000 00:00 0 ");
	p = put_hex(p, v->offset, 8);
	*p++ = ' ';
	uint64_t device = memmap_mapping_identity_device_id(v->identity);
	p = put_hex(p, major(device), 2);
	*p++ = ':';
	p = put_hex(p, minor(device), 2);
	*p++ = ' ';
	p = put_decimal(p, memmap_mapping_identity_inode_id(v->identity));
	*p++ = ' ';
	return p;
}

/*
 * The name of a VMA, but for that of a file; NULL: it has none. One that the program gave stands
 * between `*before` and `*after`.
 */
static const char *plain_name(const struct memmap_mm *mm, const struct memmap_vma *v,
			      const char **before, const char **after)
{
	const struct memmap_mm_layout *l = &mm->layout;
	*before = *after = "";
	if (v->name)
		return v->name;
	if (v->identity) {
		*before = "[anon_shmem:";
		*after = "]";
		return v->anon_name;
	}
	if (v->range.start < l->brk && v->range.end > l->start_brk)
		return "[heap]";
	if (v->range.start <= l->start_stack && v->range.end >= l->start_stack)
		return "[stack]";
	if (!v->anon_name)
		return NULL;
	*before = "[anon:";
	*after = "]";
	return v->anon_name;
}

/*
 * Newlines in the `length` bytes at `p` become \012, for which there is room. Returns the length.
 */
static size_t escape_newlines(char *p, size_t length)
{
	static const char escaped_newline[4] = {'\\', '0', '1', '2'};
	size_t newlines = 0;
	for (size_t i = 0; i < length; i++)
		newlines += p[i] == '\n';
	const size_t escaped = length + 3 * newlines;
	for (size_t from = length, to = escaped; from < to;) {
		char c = p[--from];
		if (c == '\n') {
			to -= 4;
			memcpy(p + to, escaped_newline, sizeof(escaped_newline));
		} else {
			p[--to] = c;
		}
	}
	return escaped;
}

/* Append the name of the file behind the VMA. */
static bool append_file_name(const struct memmap_mm *mm, struct memmap_text *text,
			     struct memmap_mapping_identity *identity)
{
	size_t room = text->capacity - text->length;
	size_t length = memmap_mapping_identity_mapped_name(identity, mm->context,
							    text->data + text->length, room);
	if (length >= room || memchr(text->data + text->length, '\n', length)) {
		/* Again, with room enough; what did not fit has not been seen yet. */
		if (!text_reserve(text, 4 * length + 1))
			return false;
		room = length + 1;
		size_t again = memmap_mapping_identity_mapped_name(identity, mm->context,
								   text->data + text->length, room);
		if (again < length)
			length = again;
		length = escape_newlines(text->data + text->length, length);
	}
	text->length += length;
	return true;
}

bool text_append(struct memmap_text *text, const char *string)
{
	size_t length = strlen(string);
	if (!text_reserve(text, length))
		return false;
	memcpy(text->data + text->length, string, length);
	text->length += length;
	return true;
}

bool text_append_vma(const struct memmap_mm *mm, struct memmap_text *text,
		     const struct memmap_vma *v)
{
	if (!text_reserve(text, FIXED_PART))
		return false;
	char *line = text->data + text->length;
	char *p = put_fields(line, v);
	if (v->identity && !v->name && !v->anon_name) {
		p = put_padding(p, line);
		text->length = (size_t)(p - text->data);
		if (!append_file_name(mm, text, v->identity))
			return false;
	} else {
		const char *before, *after;
		const char *name = plain_name(mm, v, &before, &after);
		if (name)
			p = put_padding(p, line);
		text->length = (size_t)(p - text->data);
		if (name && !(text_append(text, before) && text_append(text, name) &&
			      text_append(text, after)))
			return false;
	}
	if (!text_reserve(text, 1))
		return false;
	text->data[text->length++] = '\n';
	return true;
}

bool text_append_vsyscall(struct memmap_text *text)
{
	if (!text_reserve(text, FIXED_PART))
		return false;
	char *line = text->data + text->length, *p = line;
	p = stpcpy(p, "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0 ");
	p = put_padding(p, line);
	p = stpcpy(p, "[vsyscall]\n");
	text->length += (size_t)(p - line);
	return true;
}

#define VSYSCALL_START UINT64_C(0xffffffffff600000)
#define VSYSCALL_END   UINT64_C(0xffffffffff601000)

int memmap_mm_print_maps_range(const struct memmap_mm *mm, struct memmap_addr_range ar,
			       struct memmap_text *text)
{
	MM_LOCK_READ(mm);
	MM_LOCK_ACTIVE_READ(mm);
	text->length = 0;
	for (struct vma_iterator it = vma_set_lower_bound_segment(&mm->vmas, ar.start);
	     vma_iterator_ok(it) && vma_iterator_start(it) < ar.end;
	     it = vma_iterator_next_segment(it)) {
		const struct memmap_vma vma = vma_export(it);
		if (!text_append_vma(mm, text, &vma))
			goto out_of_memory;
	}
	if (mm->layout.vsyscall && ar.start < VSYSCALL_END && ar.end > VSYSCALL_START &&
	    !text_append_vsyscall(text))
		goto out_of_memory;
	if (!text_reserve(text, 1))
		goto out_of_memory;
	text->data[text->length] = '\0';
	return 0;

out_of_memory:
	text->length = 0;
	return -ENOMEM;
}

int memmap_mm_print_maps(const struct memmap_mm *mm, struct memmap_text *text)
{
	const struct memmap_addr_range everywhere = {0, UINT64_MAX};
	return memmap_mm_print_maps_range(mm, everywhere, text);
}
