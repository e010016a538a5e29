/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing SVG. The formats are ours, not printf's, so that no locale turns a decimal point into a
 * comma and no name gets out of its element. The first error is kept, and what follows is not
 * written.
 */
#include "plot/svg.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <string.h>

#include <memmap/error.h>

#include "plot/plot_text.h"

static void put_bytes(struct svg *svg, const char *bytes, size_t length)
{
	if (svg->error || length == 0)
		return;
	errno = 0;
	if (fwrite(bytes, 1, length, svg->out) != length)
		svg->error = errno ? -errno : -EIO;
}

/* A coordinate in hundredths, without zeros that say nothing: "12", "-0.5", "3.07". */
static void put_number(struct svg *svg, double number)
{
	if (!(number > -1e9 && number < 1e9))
		number = 0; /* never from our own geometry; and SVG has no infinity */
	int64_t hundredths = (int64_t)(number * 100 + (number < 0 ? -0.5 : 0.5));
	uint64_t size = (uint64_t)(hundredths < 0 ? -hundredths : hundredths);
	char buf[32];
	int length =
		snprintf(buf, sizeof(buf), "%s%" PRIu64, hundredths < 0 ? "-" : "", size / 100);
	if (size % 100 != 0)
		length += snprintf(buf + length, sizeof(buf) - (size_t)length,
				   size % 10 ? ".%02" PRIu64 : ".%" PRIu64,
				   size % 10 ? size % 100 : size % 100 / 10);
	put_bytes(svg, buf, (size_t)length);
}

static void put_text(struct svg *svg, const char *text)
{
	uint32_t c;
	for (const char *next; (next = plot_text_next(text, &c)) != text; text = next) {
		switch (c) {
		case '&':
			put_bytes(svg, "&amp;", 5);
			break;
		case '<':
			put_bytes(svg, "&lt;", 4);
			break;
		case '>':
			put_bytes(svg, "&gt;", 4);
			break;
		case '"':
			put_bytes(svg, "&quot;", 6);
			break;
		case 0xfffd:
			put_bytes(svg, "\xef\xbf\xbd", 3);
			break;
		default:
			put_bytes(svg, text, (size_t)(next - text));
		}
	}
}

/* NOLINTBEGIN(clang-analyzer-valist.Uninitialized): the analyser does not see the caller's va_start
 */
static void put_formatted(struct svg *svg, const char *format, va_list arguments)
{
	for (;;) {
		size_t literal = strcspn(format, "%");
		put_bytes(svg, format, literal);
		format += literal;
		if (format[0] == '\0')
			return;
		switch (format[1]) {
		case 'n':
			put_number(svg, va_arg(arguments, double));
			break;
		case 'd':
			put_number(svg, va_arg(arguments, int));
			break;
		case 's': {
			const char *markup = va_arg(arguments, const char *);
			put_bytes(svg, markup, strlen(markup));
			break;
		}
		case 't':
			put_text(svg, va_arg(arguments, const char *));
			break;
		case '%':
			put_bytes(svg, "%", 1);
			break;
		default:
			memmap_panic("svg_put: unknown format \"%s\"", format);
		}
		format += 2;
	}
}
/* NOLINTEND(clang-analyzer-valist.Uninitialized) */

void svg_put(struct svg *svg, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	put_formatted(svg, format, arguments);
	va_end(arguments);
}
