/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the log of a trace. See log_reader.h.
 *
 * A record is a line that begins with its word, and the lines of changes that follow it. It is
 * known to be complete when the next one begins; so one line is read ahead.
 */
#include "log/log_reader.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "options.h"

/* Lines are as long as names are; beyond this it is no log. */
#define MAX_LINE (1 << 20)

/* What each kind of record holds behind its time, a letter each: see take_fields(). */
static const struct {
	const char *word, *fields;
	bool has_changes;
} kinds[] = {
	[LOG_COMMAND] = {"command", NULL, false}, [LOG_PROCESS] = {"process", "po", false},
	[LOG_EXEC] = {"exec", "pqr", true},       [LOG_ATTACH] = {"attach", "pqr", true},
	[LOG_FORK] = {"fork", "po", true},        [LOG_SHARE] = {"share", "po", false},
	[LOG_THREAD] = {"thread", "po", false},   [LOG_THREAD_END] = {"thread-end", "po", false},
	[LOG_CALL] = {"call", "npodc", true},     [LOG_GROW] = {"grow", "p", true},
	[LOG_LOOK] = {"look", "p", true},         [LOG_MAPS] = {"maps", "pnx", false},
	[LOG_EXIT] = {"exit", "ps", false},       [LOG_END] = {"end", "n", false},
};

/*
 * ---- Lines ----
 */

static enum log_result refuse(struct log_reader *reader, const char *format, ...)
	__attribute__((format(printf, 2, 3)));
static enum log_result refuse(struct log_reader *reader, const char *format, ...)
{
	char what[160];
	va_list args;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	snprintf(reader->error, sizeof(reader->error), "%s:%zu: %s", reader->path,
		 reader->line_number, what);
	return LOG_BAD;
}

static enum log_result no_memory(struct log_reader *reader)
{
	reader->wanted_memory = true;
	return refuse(reader, "out of memory");
}

static enum log_result cut_off(struct log_reader *reader)
{
	(void)refuse(reader,
		     "the log ends here, before its end: the trace was cut off, or the file "
		     "was");
	return LOG_CUT_OFF;
}

/* Have a line in reader->line, without its newline. LOG_OVER: there is none. */
static enum log_result read_line(struct log_reader *reader)
{
	if (reader->has_line)
		return LOG_GOOD;
	int c = 0;
	reader->length = 0;
	errno = 0;
	while (c != '\n' && (c = getc_unlocked(reader->in)) != EOF) {
		if (!array_reserve(NULL, (void **)&reader->line, &reader->capacity, reader->length,
				   1, 1))
			return no_memory(reader);
		reader->line[reader->length++] = (char)c;
		/* What has no lines (/dev/zero) is not read for ever. */
		if (reader->length > MAX_LINE) {
			reader->line_number++;
			return refuse(reader, "a line of more than %d bytes is in no log",
				      MAX_LINE);
		}
	}
	if (ferror(reader->in))
		return refuse(reader, "cannot be read on: %s", strerror(errno ? errno : EIO));
	if (reader->length == 0)
		return LOG_OVER;
	reader->line_number++;
	if (c != '\n')
		return cut_off(reader);
	reader->line[--reader->length] = '\0';
	if (strlen(reader->line) != reader->length)
		return refuse(reader, "there is a zero byte in this line; it is no log");
	reader->has_line = true;
	return LOG_GOOD;
}

/*
 * ---- Fields ----
 */

static bool take_number(const char **at, int base, uint64_t *out)
{
	char *end;
	const char first = **at;
	if (!((first >= '0' && first <= '9') || (base == 16 && first >= 'a' && first <= 'f')))
		return false;
	errno = 0;
	*out = strtoull(*at, &end, base);
	if (errno)
		return false;
	*at = end;
	return true;
}

/* A number that is a process's or a thread's; 0 too. */
static bool take_pid(const char **at, pid_t *out)
{
	uint64_t number;
	if (!take_number(at, 10, &number) || number > INT32_MAX)
		return false;
	*out = (pid_t)number;
	return true;
}

/* "12.000000034": seconds with nine decimals. */
static bool take_time(const char **at, uint64_t *out)
{
	uint64_t seconds, rest;
	if (!take_number(at, 10, &seconds) || seconds > UINT64_MAX / 1000000000 - 1 ||
	    *(*at)++ != '.')
		return false;
	const char *start = *at;
	if (!take_number(at, 10, &rest) || *at - start != 9)
		return false;
	*out = seconds * 1000000000 + rest;
	return true;
}

static bool put_char(struct log_record *record, char c)
{
	if (!ARRAY_RESERVE(NULL, &record->text, 1))
		return false;
	record->text.items[record->text.length++] = c;
	return true;
}

/* Put a quoted text into the record's, terminated. Pointers are made of offsets at the end. */
static bool take_quoted(const char **at, struct log_record *record)
{
	const char *p = *at;
	if (*p++ != '"')
		return false;
	for (; *p != '"'; p++) {
		unsigned int c = (unsigned char)*p;
		if (c == '\0')
			return false;
		if (c == '\\') {
			c = 0;
			for (int i = 0; i < 3; i++) {
				if (*++p < '0' || *p > '7')
					return false;
				c = 8 * c + (unsigned int)(*p - '0');
			}
			if (c == 0 || c > 255)
				return false;
		}
		if (!put_char(record, (char)c))
			return false;
	}
	*at = p + 1;
	return put_char(record, '\0');
}

static bool take_rest(const char **at, struct log_record *record)
{
	for (; **at; (*at)++)
		if (!put_char(record, **at))
			return false;
	return put_char(record, '\0');
}

/* "exited 0" or "killed 9", as a wait status. */
static bool take_status(const char **at, int *out)
{
	const bool killed = strncmp(*at, "killed ", 7) == 0;
	uint64_t number;
	if (!killed && strncmp(*at, "exited ", 7) != 0)
		return false;
	*at += 7;
	/* In a wait status, 0 and 127 are no signals. */
	if (!take_number(at, 10, &number) || number > (killed ? 126 : 255) ||
	    (killed && number == 0))
		return false;
	*out = killed ? (int)number : (int)number << 8;
	return true;
}

/* Where each text of a record begins in its text, until that is complete. */
struct offsets {
	size_t call, command, program;
};

static bool take_field(const char **at, char field, struct log_record *record,
		       struct offsets *offsets)
{
	switch (field) {
	case 'p':
		return take_pid(at, &record->pid);
	case 'o':
		return take_pid(at, &record->other);
	case 'n':
		return take_number(at, 10, &record->number);
	case 'x':
		return take_number(at, 16, &record->digest);
	case 'd':
		return take_time(at, &record->duration);
	case 's':
		return take_status(at, &record->wait_status);
	case 'q':
		offsets->command = record->text.length;
		return take_quoted(at, record);
	case 'r':
		offsets->program = record->text.length;
		return take_quoted(at, record);
	case 'c':
		offsets->call = record->text.length;
		return take_rest(at, record);
	default:
		return false;
	}
}

static bool take_fields(const char *at, struct log_record *record, struct offsets *offsets)
{
	if (!take_time(&at, &record->time))
		return false;
	for (const char *field = kinds[record->kind].fields; *field; field++)
		if (*at++ != ' ' || !take_field(&at, *field, record, offsets))
			return false;
	return *at == '\0';
}

/* The words of the command, as one text. */
static bool take_command(const char *at, struct log_record *record)
{
	for (;;) {
		if (!take_quoted(&at, record))
			return false;
		if (*at == '\0')
			return true;
		if (*at++ != ' ')
			return false;
		record->text.items[record->text.length - 1] = ' ';
	}
}

/*
 * ---- Records ----
 */

static enum log_result parse_head(struct log_reader *reader, struct log_record *record,
				  struct offsets *offsets)
{
	const char *line = reader->line;
	const size_t length = strcspn(line, " ");
	size_t kind = 0;
	while (kind < sizeof(kinds) / sizeof(kinds[0]) &&
	       (strlen(kinds[kind].word) != length || memcmp(kinds[kind].word, line, length) != 0))
		kind++;
	if (kind == sizeof(kinds) / sizeof(kinds[0]))
		return refuse(reader, "no record begins like this; the log is damaged");
	record->kind = (enum log_kind)kind;
	record->line_number = reader->line_number;
	const char *rest = line + length + (line[length] == ' ');
	errno = 0;
	const bool good = kind == LOG_COMMAND ? take_command(rest, record)
					      : take_fields(rest, record, offsets);
	if (!good && errno == ENOMEM)
		return no_memory(reader);
	if (!good)
		return refuse(reader, "this '%s' record is damaged", kinds[kind].word);
	return LOG_GOOD;
}

static enum log_result parse_change(struct log_reader *reader, struct log_record *record)
{
	struct log_change change = {.removed = reader->line[0] == '-',
				    .line_number = reader->line_number,
				    .text = record->text.length};
	const char *at = reader->line + 2;
	if (change.removed) {
		if (!take_number(&at, 16, &change.range.start) || *at++ != '-' ||
		    !take_number(&at, 16, &change.range.end) || *at ||
		    change.range.start >= change.range.end)
			return refuse(reader, "this removal of a mapping is damaged");
	} else {
		struct memmap_maps_line line;
		reader->line[reader->length] = '\n';
		if (!memmap_maps_text_next(&at, at + reader->length - 1, &line)) {
			reader->line[reader->length] = '\0';
			return refuse(reader, "this mapping is damaged");
		}
		change.range = line.range;
		if (!ARRAY_RESERVE(NULL, &record->text, line.text_length + 1))
			return no_memory(reader);
		memcpy(record->text.items + record->text.length, line.text, line.text_length + 1);
		record->text.length += line.text_length + 1;
	}
	if (!ARRAY_RESERVE(NULL, &record->changes, 1))
		return no_memory(reader);
	record->changes.items[record->changes.length++] = change;
	return LOG_GOOD;
}

static bool is_change(const struct log_reader *reader)
{
	return (reader->line[0] == '-' || reader->line[0] == '+') && reader->line[1] == ' ';
}

static enum log_result read_changes(struct log_reader *reader, struct log_record *record)
{
	for (;;) {
		enum log_result result = read_line(reader);
		if (result == LOG_OVER)
			return LOG_GOOD;
		if (result != LOG_GOOD || !is_change(reader))
			return result;
		result = parse_change(reader, record);
		if (result != LOG_GOOD)
			return result;
		reader->has_line = false;
	}
}

enum log_result log_reader_next(struct log_reader *reader, struct log_record *record)
{
	struct offsets offsets = {0};
	if (reader->over)
		return LOG_OVER;
	record->changes.length = 0;
	record->text.length = 0;
	record->call = record->command = record->program = NULL;
	enum log_result result = read_line(reader);
	if (result == LOG_OVER)
		return cut_off(reader);
	if (result == LOG_GOOD)
		result = parse_head(reader, record, &offsets);
	if (result != LOG_GOOD)
		return result;
	reader->has_line = false;
	if (kinds[record->kind].has_changes)
		result = read_changes(reader, record);
	if (result != LOG_GOOD)
		return result;
	if (record->kind == LOG_CALL)
		record->call = record->text.items + offsets.call;
	if (record->kind == LOG_COMMAND)
		record->command = record->text.items;
	if (record->kind == LOG_EXEC || record->kind == LOG_ATTACH) {
		record->command = record->text.items + offsets.command;
		record->program = record->text.items + offsets.program;
	}
	if (record->kind == LOG_END) {
		reader->over = true;
		result = read_line(reader);
		if (result == LOG_GOOD)
			return refuse(reader, "something follows the end of the log");
		return result == LOG_OVER ? LOG_GOOD : result;
	}
	return LOG_GOOD;
}

struct memmap_maps_line log_change_line(const struct log_record *record,
					const struct log_change *change)
{
	struct memmap_maps_line line = {.range = change->range};
	const char *at = record->text.items + change->text;
	const char *end = memchr(at, '\n', record->text.length - change->text);
	if (end)
		(void)memmap_maps_text_next(&at, end + 1, &line);
	return line;
}

/*
 * ---- Life ----
 */

int log_reader_open(struct log_reader *reader, const char *path)
{
	static const char magic[] = "memmap log ", version[] = "memmap log 1";
	*reader = (struct log_reader){.path = path};
	reader->in = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	if (!reader->in) {
		error_line("'%s' cannot be read: %s; name a file that memmap trace --log has "
			   "written",
			   path, strerror(errno));
		return -EINVAL;
	}
	const enum log_result result = read_line(reader);
	if (result == LOG_GOOD && strcmp(reader->line, version) == 0) {
		reader->has_line = false;
		return 0;
	}
	if (result == LOG_GOOD && strncmp(reader->line, magic, strlen(magic)) == 0)
		error_line("%s:1: this log is of a later version of memmap; use that one", path);
	else if (reader->wanted_memory)
		error_line("out of memory");
	else if (result == LOG_BAD && ferror(reader->in))
		error_line("'%s' cannot be read: %s", path, strerror(errno));
	else
		error_line("%s:1: this is no log; memmap trace --log writes one", path);
	log_reader_close(reader);
	return -EINVAL;
}

void log_reader_close(struct log_reader *reader)
{
	if (reader->in && reader->in != stdin)
		fclose(reader->in);
	memmap_deallocate(NULL, reader->line, reader->capacity);
	*reader = (struct log_reader){0};
}

void log_record_release(struct log_record *record)
{
	ARRAY_RELEASE(NULL, &record->changes);
	ARRAY_RELEASE(NULL, &record->text);
}
