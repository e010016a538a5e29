/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON that is whole, and bytes as its strings. See json_text.h.
 */
#include "common/json_text.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

/* jansson's functions take no context, so neither can this. */
static bool incomplete;

static void *allocate(size_t size)
{
	void *memory = malloc(size);
	incomplete |= !memory;
	return memory;
}

void json_begin(void)
{
	json_set_alloc_funcs(allocate, free);
	incomplete = false;
}

bool json_is_incomplete(void)
{
	return incomplete;
}

/* The length of the UTF-8 sequence at `s`; 0: there is none. */
static size_t sequence_length(const unsigned char *s)
{
	static const struct {
		unsigned char mask, lead;
		size_t length;
	} kinds[] = {{0x80, 0x00, 1}, {0xe0, 0xc0, 2}, {0xf0, 0xe0, 3}, {0xf8, 0xf0, 4}};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if ((s[0] & kinds[i].mask) != kinds[i].lead)
			continue;
		for (size_t k = 1; k < kinds[i].length; k++)
			if ((s[k] & 0xc0) != 0x80)
				return 0;
		return kinds[i].length;
	}
	return 0;
}

json_t *json_text(const char *bytes)
{
	static const char replacement[3] = {'\xef', '\xbf', '\xbd'};
	json_t *string = bytes ? json_string(bytes) : NULL;
	if (string)
		return string;
	char *fixed = bytes ? allocate(3 * strlen(bytes) + 1) : NULL, *out = fixed;
	if (!fixed) {
		incomplete = true;
		return NULL;
	}
	for (const unsigned char *s = (const unsigned char *)bytes; *s;) {
		size_t n = sequence_length(s);
		json_t *one = n > 0 ? json_stringn((const char *)s, n) : NULL;
		if (one) {
			memcpy(out, s, n);
			out += n;
			s += n;
		} else {
			memcpy(out, replacement, 3);
			out += 3;
			s++;
		}
		json_decref(one);
	}
	string = json_stringn(fixed, (size_t)(out - fixed));
	free(fixed);
	return string;
}

json_t *json_number(uint64_t n)
{
	/* Beyond what the integers of JSON's readers hold, most of which read it so anyway. */
	return n <= INT64_MAX ? json_integer((json_int_t)n) : json_real((double)n);
}

json_t *json_address(uint64_t address)
{
	char text[24];
	snprintf(text, sizeof(text), "0x%" PRIx64, address);
	return json_string(text);
}

int json_write(json_t *value, FILE *out)
{
	if (!value || incomplete) {
		json_decref(value);
		return -ENOMEM;
	}
	errno = 0;
	int err = json_dumpf(value, out, JSON_INDENT(2)) ? -(errno ? errno : EIO) : 0;
	if (!err && (fputc('\n', out) == EOF || fflush(out)))
		err = -(errno ? errno : EIO);
	json_decref(value);
	return err;
}
