// SPDX-License-Identifier: Apache-2.0
/*
 * Our answers: reads a sequence of operations (see README.md), carries it out on our own sets, and
 * prints a line for each.
 *
 *   ours [--whole] [--verify] < SEQUENCE
 *
 * --whole prints long lines as they are instead of their length and a hash; --verify has every
 * invariant of the set checked after each operation instead of with each `dump`.
 */
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <memmap/error.h>

#include "ours.h"

/* Longer lines are printed as their length and a hash, as the other program does it. */
#define LONGEST_LINE 300

static const struct {
	const char *name;
	int nr_args;
} operations[] = {
#define OPERATION_ENTRY(name, nr_args) [OP_##name] = {#name, nr_args},
	OPERATIONS(OPERATION_ENTRY)
#undef OPERATION_ENTRY
};

static const struct {
	const char *name;
	void (*run)(enum operation_code code, const uint64_t *a, struct text *out);
	int (*verify)(void);
	void (*end)(void);
} kinds[] = {
	{"equal", equal_run, equal_verify, equal_end},
	{"offset", offset_run, offset_verify, offset_end},
	{"mapping", mapping_run, mapping_verify, mapping_end},
};

__attribute__((format(printf, 1, 2), noreturn)) static void fail(const char *format, ...)
{
	va_list args;

	va_start(args, format);
	fputs("ours: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(2);
}

void text_add(struct text *text, const char *format, ...)
{
	va_list args;

	for (;;) {
		va_start(args, format);
		int len = vsnprintf(text->bytes + text->len, text->cap - text->len, format, args);
		va_end(args);
		if (len < 0)
			fail("cannot format");
		if (text->len + (size_t)len < text->cap) {
			text->len += (size_t)len;
			return;
		}
		text->cap = 2 * (text->cap + (size_t)len) + 256;
		text->bytes = realloc(text->bytes, text->cap);
		if (!text->bytes)
			fail("out of memory");
	}
}

static uint64_t fnv1a(const struct text *text)
{
	uint64_t hash = 0xcbf29ce484222325;

	for (size_t i = 0; i < text->len; i++)
		hash = (hash ^ (unsigned char)text->bytes[i]) * 0x100000001b3;
	return hash;
}

/* ---- Panics: an operation that panics says so, and the next goes on ---- */

static sigjmp_buf after_panic;
static char panic_words[1024];

static void remember_panic(const char *message)
{
	snprintf(panic_words, sizeof(panic_words), "%s", message);
	siglongjmp(after_panic, 1);
}

/* Returns whether it panicked. */
static bool carry_out(size_t kind, enum operation_code code, const uint64_t *args, struct text *out)
{
	if (sigsetjmp(after_panic, 0) != 0) {
		out->len = 0;
		text_add(out, "panic");
		return true;
	}
	kinds[kind].run(code, args, out);
	return false;
}

/* ---- Reading ---- */

static enum operation_code find_operation(const char *name)
{
	for (int i = 0; i < NR_OPERATIONS; i++)
		if (strcmp(operations[i].name, name) == 0)
			return (enum operation_code)i;
	fail("unknown operation \"%s\"", name);
}

static enum operation_code parse(char *line, uint64_t *args)
{
	char *rest, *word = strtok_r(line, " \n", &rest);
	enum operation_code code = find_operation(word);

	for (int i = 0; i < operations[code].nr_args; i++) {
		char *end;

		word = strtok_r(NULL, " \n", &rest);
		if (!word)
			fail("%s: too few arguments", operations[code].name);
		args[i] = strtoull(word, &end, 16);
		if (*end)
			fail("%s: \"%s\" is no number", operations[code].name, word);
	}
	return code;
}

int main(int argc, char **argv)
{
	bool whole = false, verify = false;
	struct text out = {.bytes = malloc(1024), .cap = 1024};
	char line[256];
	size_t kind = 0, nr_kinds = sizeof(kinds) / sizeof(kinds[0]);

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--whole") == 0)
			whole = true;
		else if (strcmp(argv[i], "--verify") == 0)
			verify = true;
		else
			fail("usage: ours [--whole] [--verify] < SEQUENCE");
	}

	if (!out.bytes)
		fail("out of memory");
	memmap_set_panic_handler(remember_panic);
	if (!fgets(line, sizeof(line), stdin))
		fail("no sequence");
	line[strcspn(line, "\n")] = '\0';
	while (kind < nr_kinds && strcmp(kinds[kind].name, line) != 0)
		kind++;
	if (kind == nr_kinds)
		fail("unknown kind of set \"%s\"", line);

	for (size_t nr = 1; fgets(line, sizeof(line), stdin); nr++) {
		uint64_t args[OPERATIONS_MAX_ARGS];

		if (line[0] == '#' || line[0] == '\n')
			continue;
		enum operation_code code = parse(line, args);
		out.len = 0;
		text_add(&out, "%s", "");
		if (carry_out(kind, code, args, &out) && whole)
			fprintf(stderr, "ours: operation %zu panics: %s\n", nr, panic_words);
		if ((verify || code == OP_dump) && kinds[kind].verify() != 0)
			fail("operation %zu broke an invariant", nr);
		if (out.len > LONGEST_LINE && !whole)
			printf("%zu#%" PRIx64 "\n", out.len, fnv1a(&out));
		else
			printf("%s\n", out.bytes);
	}
	/* What a panic stopped was not carried out, so nothing is lost by it either. */
	kinds[kind].end();
	free(out.bytes);
	return 0;
}
