/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads a picture back, for the tests: is it well-formed XML, and where does its text stand?
 */
#ifndef MEMMAP_TEST_PLOT_READER_H
#define MEMMAP_TEST_PLOT_READER_H

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../tools/memmap/plot/plot_text.h"

/* Where a piece of text is, at most. */
struct text_box {
	double left, right, top, bottom;
	char text[256];
};

struct picture {
	char why[256]; /* it is not well-formed; empty: it is */
	double width, height;
	struct text_box *boxes;
	size_t nr_boxes;
	size_t nr_shapes; /* rect and path elements */
};

#define READER_MAX_DEPTH 32

struct reader {
	struct picture *picture;
	const char *begin, *at;
	char open[READER_MAX_DEPTH][32];
	int depth;
};

static inline bool reader_fail(struct reader *r, const char *what)
{
	if (r->picture->why[0] == '\0')
		(void)snprintf(r->picture->why, sizeof(r->picture->why), "%s at byte %td: %.40s",
			       what, r->at - r->begin, r->at);
	return false;
}

/* Characters that XML 1.0 allows, in valid UTF-8. */
static inline bool reader_check_characters(struct reader *r)
{
	for (const unsigned char *s = (const unsigned char *)r->begin; *s;) {
		r->at = (const char *)s;
		if (*s < 0x80) {
			if (*s < 0x20 && *s != '\n' && *s != '\t' && *s != '\r')
				return reader_fail(r, "control character");
			s++;
			continue;
		}
		size_t extra = *s >= 0xf0 ? 3 : *s >= 0xe0 ? 2 : 1;
		uint32_t c = *s & (0x3fu >> extra);
		if (*s < 0xc2 || *s > 0xf4)
			return reader_fail(r, "invalid UTF-8");
		for (size_t i = 1; i <= extra; i++) {
			if ((s[i] & 0xc0) != 0x80)
				return reader_fail(r, "invalid UTF-8");
			c = c << 6 | (s[i] & 0x3fu);
		}
		if ((extra == 2 && c < 0x800) || (extra == 3 && (c < 0x10000 || c > 0x10ffff)) ||
		    (c >= 0xd800 && c < 0xe000) || c == 0xfffe || c == 0xffff)
			return reader_fail(r, "character that XML forbids");
		s += extra + 1;
	}
	r->at = r->begin;
	return true;
}

/* Copy text up to `end`, with its references resolved; false: a reference that XML does not know.
 */
static inline bool reader_unescape(const char *text, const char *end, char *buf, size_t size)
{
	static const struct {
		const char *reference;
		char character;
	} known[] = {{"&amp;", '&'}, {"&lt;", '<'}, {"&gt;", '>'}, {"&quot;", '"'}};
	size_t used = 0;
	while (text < end) {
		char c = *text;
		size_t length = 1;
		if (c == '<')
			return false;
		if (c == '&') {
			length = 0;
			for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
				if (strncmp(text, known[i].reference, strlen(known[i].reference)) ==
				    0) {
					c = known[i].character;
					length = strlen(known[i].reference);
				}
			}
			if (length == 0)
				return false;
		}
		if (used + 1 < size)
			buf[used++] = c;
		text += length;
	}
	buf[used] = '\0';
	return true;
}

/* The value of an attribute within a tag, or NULL. */
static inline const char *reader_attribute(const char *tag, const char *end, const char *name,
					   char *buf, size_t size)
{
	char pattern[40];
	(void)snprintf(pattern, sizeof(pattern), " %s=\"", name);
	const char *found = strstr(tag, pattern);
	if (!found || found >= end)
		return NULL;
	found += strlen(pattern);
	return reader_unescape(found, strchr(found, '"'), buf, size) ? buf : NULL;
}

static inline double reader_number(const char *tag, const char *end, const char *name,
				   double otherwise)
{
	char buf[64];
	return reader_attribute(tag, end, name, buf, sizeof(buf)) ? strtod(buf, NULL) : otherwise;
}

/* Attributes: name="value", values without < and with known references only. */
static inline bool reader_check_attributes(struct reader *r, const char *at, const char *end)
{
	while (at < end) {
		if (*at != ' ')
			return reader_fail(r, "no space before an attribute");
		at++;
		const char *name = at;
		while (isalnum((unsigned char)*at) || *at == '-' || *at == ':')
			at++;
		if (at == name || at[0] != '=' || at[1] != '"')
			return reader_fail(r, "malformed attribute");
		const char *value = at + 2;
		at = strchr(value, '"');
		char buf[4096];
		if (!at || at >= end || !reader_unescape(value, at, buf, sizeof(buf)))
			return reader_fail(r, "malformed value");
		at++;
	}
	return true;
}

/* A text element with its tspans becomes a box. */
static inline bool reader_text(struct reader *r, const char *tag, const char *tag_end)
{
	struct text_box box = {0};
	char buf[256], class_name[32] = "", anchor[16] = "start";
	(void)reader_attribute(tag, tag_end, "class", class_name, sizeof(class_name));
	(void)reader_attribute(tag, tag_end, "text-anchor", anchor, sizeof(anchor));
	double x = reader_number(tag, tag_end, "x", -1), y = reader_number(tag, tag_end, "y", -1);
	double size = reader_number(tag, tag_end, "font-size", 0), width = 0;
	bool mono = strcmp(class_name, "addr") == 0, bold = strcmp(class_name, "h") == 0;
	const char *close = strstr(tag_end, "</text>");
	if (x < 0 || y < 0 || size <= 0 || !close)
		return reader_fail(r, "text without a place");
	for (const char *at = tag_end + 1; at < close;) {
		const char *end = strchr(at, '<');
		if (!reader_unescape(at, end, buf, sizeof(buf)))
			return reader_fail(r, "unknown reference in text");
		width += mono ? 0.603 * size * (double)strlen(buf)
			      : plot_text_width(buf, size) * (bold ? 1.13 : 1);
		if (strlen(box.text) + strlen(buf) < sizeof(box.text))
			strcat(box.text, buf);
		if (end == close)
			break;
		const char *inner_end = strchr(end, '>');
		if (strncmp(end, "<tspan", 6) == 0)
			width += reader_number(end, inner_end, "dx", 0);
		else if (strncmp(end, "</tspan>", 8) != 0)
			return reader_fail(r, "unknown element in text");
		at = inner_end + 1;
	}
	box.left = strcmp(anchor, "end") == 0      ? x - width
		   : strcmp(anchor, "middle") == 0 ? x - width / 2
						   : x;
	box.right = box.left + width;
	/* Capitals and descenders as they are in usual fonts. */
	box.top = y - 0.76 * size;
	box.bottom = y + 0.2 * size;
	struct text_box *grown =
		realloc(r->picture->boxes, (r->picture->nr_boxes + 1) * sizeof(box));
	if (!grown)
		abort();
	r->picture->boxes = grown;
	grown[r->picture->nr_boxes++] = box;
	return true;
}

static inline bool reader_tag(struct reader *r)
{
	const char *end = strchr(r->at, '>');
	if (!end)
		return reader_fail(r, "tag without an end");
	if (r->at[1] == '/') {
		size_t length = (size_t)(end - r->at - 2);
		if (r->depth == 0 || strlen(r->open[r->depth - 1]) != length ||
		    strncmp(r->open[r->depth - 1], r->at + 2, length) != 0)
			return reader_fail(r, "closed what was not open");
		r->depth--;
		r->at = end + 1;
		return true;
	}
	bool empty = end[-1] == '/';
	const char *name = r->at + 1, *name_end = name;
	while (isalnum((unsigned char)*name_end))
		name_end++;
	size_t length = (size_t)(name_end - name);
	if (length == 0 || length >= sizeof(r->open[0]))
		return reader_fail(r, "tag without a name");
	if (!reader_check_attributes(r, name_end, empty ? end - 1 : end))
		return false;
	if (strncmp(name, "script", length) == 0 && length == 6)
		return reader_fail(r, "a script");
	if (strncmp(name, "svg", length) == 0 && length == 3) {
		r->picture->width = reader_number(r->at, end, "width", 0);
		r->picture->height = reader_number(r->at, end, "height", 0);
	}
	if (length == 4 && (strncmp(name, "rect", 4) == 0 || strncmp(name, "path", 4) == 0))
		r->picture->nr_shapes++;
	if (length == 4 && strncmp(name, "text", 4) == 0 && !reader_text(r, r->at, end))
		return false;
	if (!empty) {
		if (r->depth == READER_MAX_DEPTH)
			return reader_fail(r, "too deep");
		memcpy(r->open[r->depth], name, length);
		r->open[r->depth++][length] = '\0';
	}
	r->at = end + 1;
	return true;
}

/* Read the picture; `why` says what is wrong with it. Free it with picture_release(). */
static inline void picture_read(struct picture *picture, const char *svg)
{
	*picture = (struct picture){0};
	struct reader r = {.picture = picture, .begin = svg, .at = svg};
	if (!reader_check_characters(&r))
		return;
	const char *prolog = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n";
	if (strncmp(svg, prolog, strlen(prolog)) != 0) {
		(void)reader_fail(&r, "no prolog");
		return;
	}
	r.at += strlen(prolog);
	bool rooted = false;
	while (*r.at) {
		if (*r.at == '<') {
			if (rooted && r.depth == 0 && r.at[1] != '/') {
				(void)reader_fail(&r, "a second root");
				return;
			}
			rooted = true;
			if (!reader_tag(&r))
				return;
			continue;
		}
		const char *end = r.at + strcspn(r.at, "<");
		char buf[16];
		if (!reader_unescape(r.at, end, buf, sizeof(buf))) {
			(void)reader_fail(&r, "unknown reference");
			return;
		}
		r.at = end;
	}
	if (r.depth != 0 || !rooted)
		(void)reader_fail(&r, "ends too early");
}

static inline void picture_release(struct picture *picture)
{
	free(picture->boxes);
}

/* Two pieces of text that cover each other, or one that leaves the page: in words, or NULL. */
static inline const char *picture_find_overlap(const struct picture *picture, char *buf,
					       size_t size)
{
	for (size_t i = 0; i < picture->nr_boxes; i++) {
		const struct text_box *a = &picture->boxes[i];
		if (a->left < 0 || a->right > picture->width || a->top < 0 ||
		    a->bottom > picture->height) {
			(void)snprintf(buf, size,
				       "\"%s\" leaves the page: %.1f to %.1f, %.1f to %.1f",
				       a->text, a->left, a->right, a->top, a->bottom);
			return buf;
		}
		for (size_t k = 0; k < i; k++) {
			const struct text_box *b = &picture->boxes[k];
			if (a->left < b->right && b->left < a->right && a->top < b->bottom &&
			    b->top < a->bottom) {
				(void)snprintf(buf, size,
					       "\"%.80s\" covers \"%.80s\" near (%.1f, %.1f)",
					       a->text, b->text, a->left, a->top);
				return buf;
			}
		}
	}
	return NULL;
}

#endif /* MEMMAP_TEST_PLOT_READER_H */
