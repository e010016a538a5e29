/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words of the picture. Names come from file systems and command lines, so any byte may stand in
 * them; whatever leaves this file is UTF-8 that XML allows and that shows itself in reading order.
 *
 * Numbers are formatted without the locale and without floating point, so that the picture of a
 * history is the same everywhere.
 */
#include "plot/plot_text.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#define REPLACEMENT 0xfffd
#define ELLIPSIS    "\xe2\x80\xa6"

/* ---- Characters ---- */

static bool may_be_shown(uint32_t c)
{
	if (c < 0x20 || (c >= 0x7f && c < 0xa0))
		return false; /* controls */
	if ((c >= 0xd800 && c < 0xe000) || c > 0x10ffff || (c & 0xfffe) == 0xfffe)
		return false; /* surrogates and noncharacters */
	if ((c >= 0x200b && c <= 0x200f) || (c >= 0x2028 && c <= 0x202e) ||
	    (c >= 0x2060 && c <= 0x206f) || c == 0x061c || c == 0xfeff)
		return false; /* invisible, or changes the direction of what follows */
	return true;
}

const char *plot_text_next(const char *text, uint32_t *character)
{
	const unsigned char *s = (const unsigned char *)text;
	static const struct {
		unsigned char mask, lead;
		uint32_t least; /* shorter forms are overlong */
	} forms[] = {
		{0x80, 0x00, 0}, {0xe0, 0xc0, 0x80}, {0xf0, 0xe0, 0x800}, {0xf8, 0xf0, 0x10000}};

	*character = REPLACEMENT;
	if (s[0] == '\0')
		return text;
	for (size_t extra = 0; extra < 4; extra++) {
		if ((s[0] & forms[extra].mask) != forms[extra].lead)
			continue;
		uint32_t c = s[0] & (unsigned char)~forms[extra].mask;
		for (size_t i = 1; i <= extra; i++) {
			if ((s[i] & 0xc0) != 0x80)
				return text + 1;
			c = c << 6 | (s[i] & 0x3f);
		}
		if (c < forms[extra].least)
			return text + 1;
		if (may_be_shown(c))
			*character = c;
		return text + 1 + extra;
	}
	return text + 1;
}

/* Append `c` to what ends at `*end`, leaving room for the terminating zero; false: it is full. */
static bool append_character(uint32_t c, char **end, const char *limit)
{
	char bytes[4];
	size_t nr;
	if (c < 0x80) {
		bytes[0] = (char)c;
		nr = 1;
	} else if (c < 0x800) {
		bytes[0] = (char)(0xc0 | c >> 6);
		bytes[1] = (char)(0x80 | (c & 0x3f));
		nr = 2;
	} else if (c < 0x10000) {
		bytes[0] = (char)(0xe0 | c >> 12);
		bytes[1] = (char)(0x80 | (c >> 6 & 0x3f));
		bytes[2] = (char)(0x80 | (c & 0x3f));
		nr = 3;
	} else {
		bytes[0] = (char)(0xf0 | c >> 18);
		bytes[1] = (char)(0x80 | (c >> 12 & 0x3f));
		bytes[2] = (char)(0x80 | (c >> 6 & 0x3f));
		bytes[3] = (char)(0x80 | (c & 0x3f));
		nr = 4;
	}
	if ((size_t)(limit - *end) <= nr)
		return false;
	memcpy(*end, bytes, nr);
	*end += nr;
	return true;
}

/* ---- Width ---- */

/*
 * Thousandths of the font's size that ASCII from the space on takes in DejaVu Sans, which is as
 * wide as Verdana and wider than nearly all other sans-serif fonts.
 */
static const uint16_t widths[95] = {
	318,  401, 460, 838, 636, 950, 780, 275, 390, 390, 500, 838, 318, 361, 318, 337,
	636,  636, 636, 636, 636, 636, 636, 636, 636, 636, 337, 337, 838, 838, 838, 531,
	1000, 684, 686, 698, 770, 632, 575, 775, 752, 295, 500, 656, 557, 863, 748, 787,
	603,  787, 695, 635, 611, 732, 684, 989, 685, 611, 685, 390, 337, 390, 838, 500,
	500,  613, 635, 550, 635, 615, 352, 635, 634, 278, 278, 579, 278, 974, 634, 612,
	635,  635, 411, 521, 392, 634, 592, 818, 592, 592, 525, 636, 337, 636, 838,
};

static double character_width(uint32_t c)
{
	if (c >= ' ' && c < 0x7f)
		return widths[c - ' '] / 1000.0;
	return 1.05; /* as wide as the widest: ideographs, the replacement character */
}

double plot_text_width(const char *text, double font_size)
{
	double width = 0;
	uint32_t c;
	for (const char *next; (next = plot_text_next(text, &c)) != text; text = next)
		width += character_width(c);
	return width * font_size;
}

void plot_text_fit(const char *text, double font_size, double width, char *buf, size_t size)
{
	if (size == 0)
		return;
	/* Where it is cut when the whole does not fit: the last place that leaves room for "...".
	 */
	char *cut = buf, *end = buf;
	const char *limit = buf + size;
	double used = 0, ellipsis = character_width(0x2026) * font_size;
	bool whole = true;
	uint32_t c;
	for (const char *next; (next = plot_text_next(text, &c)) != text; text = next) {
		if (used + ellipsis <= width && (size_t)(limit - end) > strlen(ELLIPSIS))
			cut = end;
		used += character_width(c) * font_size;
		if (used > width || !append_character(c, &end, limit)) {
			whole = false;
			break;
		}
	}
	if (!whole) {
		end = cut;
		if (ellipsis <= width)
			(void)append_character(0x2026, &end, limit);
	}
	*end = '\0';
}

const char *plot_text_basename(const char *path)
{
	const char *slash = strrchr(path, '/');
	return slash && slash[1] ? slash + 1 : path;
}

const char *plot_text_command(const char *command)
{
	const char *start = command;
	for (const char *c = command; *c && *c != ' '; c++)
		if (*c == '/' && c[1] && c[1] != ' ')
			start = c + 1;
	return start;
}

/* ---- Numbers ---- */

/* value / unit with at most three digits that count and no trailing zeros: "12", "1.5", "0.25". */
static void format_quotient(uint64_t value, uint64_t unit, const char *name, char *buf, size_t size)
{
	/* So that a rest, times 100, fits 64 bits. */
	while (unit >> 50 != 0) {
		value >>= 10;
		unit >>= 10;
	}
	uint64_t whole = value / unit;
	unsigned int decimals = whole >= 100 ? 0 : whole >= 10 ? 1 : 2;
	uint64_t scale = decimals == 0 ? 1 : decimals == 1 ? 10 : 100;
	uint64_t fraction = (value % unit * scale + unit / 2) / unit;
	if (fraction >= scale) {
		whole++;
		fraction = 0;
	}
	while (decimals > 0 && fraction % 10 == 0) {
		fraction /= 10;
		decimals--;
	}
	if (decimals == 0)
		(void)snprintf(buf, size, "%" PRIu64 " %s", whole, name);
	else
		(void)snprintf(buf, size, "%" PRIu64 ".%0*" PRIu64 " %s", whole, (int)decimals,
			       fraction, name);
}

char *plot_text_bytes(uint64_t bytes, char *buf, size_t size)
{
	static const char *const names[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
	size_t i = 0;
	while (i + 1 < sizeof(names) / sizeof(names[0]) && bytes >> (10 * (i + 1)) != 0)
		i++;
	format_quotient(bytes, UINT64_C(1) << (10 * i), names[i], buf, size);
	return buf;
}

char *plot_text_duration(uint64_t ns, char *buf, size_t size)
{
	if (ns == 0)
		(void)snprintf(buf, size, "0");
	else if (ns < 1000)
		format_quotient(ns, 1, "ns", buf, size);
	else if (ns < 1000000)
		format_quotient(ns, 1000, "\xc2\xb5s", buf, size);
	else if (ns < 1000000000)
		format_quotient(ns, 1000000, "ms", buf, size);
	else if (ns < UINT64_C(120000000000))
		format_quotient(ns, 1000000000, "s", buf, size);
	else
		(void)snprintf(buf, size, "%" PRIu64 " min %" PRIu64 " s",
			       ns / UINT64_C(60000000000), ns / 1000000000 % 60);
	return buf;
}

char *plot_text_time(uint64_t ns, char *buf, size_t size)
{
	static const struct {
		uint64_t unit;
		const char *name;
	} units[] = {{1000000000, "s"}, {1000000, "ms"}, {1000, "\xc2\xb5s"}, {1, "ns"}};
	size_t i = 0;
	while (i + 1 < sizeof(units) / sizeof(units[0]) && ns < units[i].unit)
		i++;
	/* The rest as nine decimals, without the zeros at their end. */
	uint64_t unit = units[i].unit;
	char decimals[32];
	(void)snprintf(decimals, sizeof(decimals), ".%09" PRIu64, ns % unit * (1000000000 / unit));
	size_t length = strlen(decimals);
	while (decimals[length - 1] == '0')
		length--;
	decimals[length == 1 ? 0 : length] = '\0';
	if (ns == 0)
		(void)snprintf(buf, size, "0");
	else
		(void)snprintf(buf, size, "%" PRIu64 "%s %s", ns / unit, decimals, units[i].name);
	return buf;
}

char *plot_text_count(uint64_t count, char *buf, size_t size)
{
	char digits[24];
	(void)snprintf(digits, sizeof(digits), "%" PRIu64, count);
	size_t length = strlen(digits), used = 0;
	for (size_t i = 0; i < length && used + 2 < size; i++) {
		if (i > 0 && (length - i) % 3 == 0)
			buf[used++] = ',';
		buf[used++] = digits[i];
	}
	buf[used] = '\0';
	return buf;
}

char *plot_text_counted(uint64_t count, const char *noun, char *buf, size_t size)
{
	char number[32];
	plot_text_count(count, number, sizeof(number));
	(void)snprintf(buf, size, "%s %s%s", number, noun, count == 1 ? "" : "s");
	return buf;
}
