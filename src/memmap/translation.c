/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Translations: the array that holds a Mappable's answer, and the check of what it answered.
 *
 * The check refuses to judge an answer to a question that must not be asked: broken preconditions
 * panic. It believes nothing else: the translations may hold any values whatever.
 */
#include <memmap/memmap.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>

#include "base/array.h"
#include <memmap/error.h>

struct memmap_file_range memmap_translation_file_range(struct memmap_translation t)
{
	return (struct memmap_file_range){
		t.offset,
		t.offset + memmap_mappable_range_length(t.source),
	};
}

static size_t translations_cap(const struct memmap_translations *ts)
{
	return ts->outside ? ts->cap : MEMMAP_TRANSLATIONS_INSIDE;
}

int memmap_translations_reserve(struct memmap_translations *ts, size_t n)
{
	if (n <= translations_cap(ts) - ts->len)
		return 0;
	size_t need;
	if (__builtin_add_overflow(ts->len, n, &need))
		return -ENOMEM;
	size_t cap;
	struct memmap_translation *bigger =
		memmap_array_bigger(ts->allocator, memmap_translations_data(ts), ts->len, need,
				    sizeof(*bigger), _Alignof(struct memmap_translation), &cap);
	if (!bigger)
		return -ENOMEM;
	memmap_deallocate(ts->allocator, ts->outside, ts->cap * sizeof(*bigger));
	ts->outside = bigger;
	ts->cap = cap;
	return 0;
}

int memmap_translations_append(struct memmap_translations *ts, struct memmap_translation t)
{
	int err = memmap_translations_reserve(ts, 1);
	if (err)
		return err;
	(ts->outside ? ts->outside : ts->inside)[ts->len++] = t;
	return 0;
}

void memmap_translations_release(struct memmap_translations *ts)
{
	memmap_deallocate(ts->allocator, ts->outside, ts->cap * sizeof(*ts->outside));
	ts->outside = NULL;
	ts->cap = 0;
	ts->len = 0;
}

/* Enough for "[0x…, 0x…) -> 0x… rwx" with 64-bit numbers. */
#define TRANSLATION_TEXT_SIZE (MEMMAP_RANGE_FORMAT_SIZE + 32)

static const char *translation_text(struct memmap_translation t, char *buf)
{
	char source[MEMMAP_RANGE_FORMAT_SIZE];
	char perms[MEMMAP_ACCESS_FORMAT_SIZE];
	(void)snprintf(buf, TRANSLATION_TEXT_SIZE, "%s -> 0x%" PRIx64 " %s",
		       memmap_mappable_range_format(t.source, source, sizeof(source)), t.offset,
		       memmap_access_format(t.perms, perms, sizeof(perms)));
	return buf;
}

static bool is_aligned(struct memmap_mappable_range r)
{
	return memmap_is_page_aligned(r.start) && memmap_is_page_aligned(r.end);
}

static bool is_valid(struct memmap_mappable_range r)
{
	return memmap_mappable_range_well_formed(r) && memmap_mappable_range_length(r) > 0;
}

/* What translate() may be asked. */
static void require_valid_question(struct memmap_mappable_range required,
				   struct memmap_mappable_range optional)
{
	char r[MEMMAP_RANGE_FORMAT_SIZE];
	char o[MEMMAP_RANGE_FORMAT_SIZE];
	memmap_mappable_range_format(required, r, sizeof(r));
	memmap_mappable_range_format(optional, o, sizeof(o));
	if (!is_valid(required))
		memmap_panic("translate: invalid required range %s", r);
	if (!is_aligned(required))
		memmap_panic("translate: required range %s is not page-aligned", r);
	if (!memmap_mappable_range_is_superset_of(optional, required))
		memmap_panic("translate: optional range %s is not a superset of required range %s",
			     o, r);
	if (!is_aligned(optional))
		memmap_panic("translate: optional range %s is not page-aligned", o);
}

/* Where the words go. */
struct verdict {
	char *why;
	size_t size;
};

__attribute__((format(printf, 2, 3))) static int broken(const struct verdict *verdict,
							const char *format, ...)
{
	if (verdict->why) {
		va_list args;
		va_start(args, format);
		(void)vsnprintf(verdict->why, verdict->size, format, args);
		va_end(args);
	}
	return -EPROTO;
}

/* The postconditions of one translation; `before` is the one before it, NULL for the first. */
static int check_translation(const struct verdict *verdict, struct memmap_mappable_range required,
			     struct memmap_mappable_range optional, memmap_access at,
			     const struct memmap_translation *before, struct memmap_translation t)
{
	char words[TRANSLATION_TEXT_SIZE];
	char other[TRANSLATION_TEXT_SIZE];
	char range[MEMMAP_RANGE_FORMAT_SIZE];
	translation_text(t, words);

	if (!is_valid(t.source))
		return broken(verdict, "translation %s has an invalid source", words);
	if (!is_aligned(t.source))
		return broken(verdict, "translation %s has a source that is not page-aligned",
			      words);
	if (!t.file)
		return broken(verdict, "translation %s has no file", words);
	if (!memmap_is_page_aligned(t.offset))
		return broken(verdict, "translation %s has an offset that is not page-aligned",
			      words);
	if (before && before->source.end != t.source.start)
		return broken(verdict, "translation %s and translation %s are not contiguous",
			      translation_text(*before, other), words);
	if (memmap_mappable_range_length(memmap_mappable_range_intersect(t.source, required)) == 0)
		return broken(verdict, "translation %s lies entirely outside required range %s",
			      words, memmap_mappable_range_format(required, range, sizeof(range)));
	if (!memmap_mappable_range_is_superset_of(optional, t.source))
		return broken(verdict, "translation %s reaches outside optional range %s", words,
			      memmap_mappable_range_format(optional, range, sizeof(range)));
	if (!memmap_access_superset_of(t.perms, at))
		return broken(verdict, "translation %s does not permit all requested accesses %s",
			      words, memmap_access_format(at, range, sizeof(range)));
	return 0;
}

int memmap_check_translate_result(struct memmap_mappable_range required,
				  struct memmap_mappable_range optional, memmap_access at,
				  const struct memmap_translation *ts, size_t nr_ts, int terr,
				  char *why, size_t why_size)
{
	const struct verdict verdict = {why, why_size};
	char words[TRANSLATION_TEXT_SIZE];
	char range[MEMMAP_RANGE_FORMAT_SIZE];

	require_valid_question(required, optional);
	memmap_mappable_range_format(required, range, sizeof(range));

	if (nr_ts > 0 && !memmap_mappable_range_contains(ts[0].source, required.start))
		return broken(
			&verdict,
			"first translation %s does not contain the start of required range %s",
			translation_text(ts[0], words), range);
	for (size_t i = 0; i < nr_ts; i++) {
		int err = check_translation(&verdict, required, optional, at,
					    i > 0 ? &ts[i - 1] : NULL, ts[i]);
		if (err)
			return err;
	}
	/* An error says why not all that was required is there; none of them is positive. */
	if (terr > 0)
		return broken(&verdict, "translate returned %d, neither 0 nor a negative error",
			      terr);
	if (terr == 0 && nr_ts == 0)
		return broken(&verdict, "no translations and no error");
	if (terr == 0 && !memmap_mappable_range_contains(ts[nr_ts - 1].source, required.end - 1))
		return broken(&verdict,
			      "last translation %s does not reach the end of required range %s, "
			      "but there is no error",
			      translation_text(ts[nr_ts - 1], words), range);
	return 0;
}
