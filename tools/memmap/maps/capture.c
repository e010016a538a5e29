/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading captures of maps and smaps.
 *
 *   55d2c0a0b000-55d2c0a2d000 r-xp 00002000 fe:00 247134       /usr/bin/cat      both have this
 *   Size:                136 kB                                                  smaps goes on
 *   Rss:                 136 kB
 *   ...
 *   VmFlags: rd ex mr mw me
 *
 * What is no such text is refused with the number of its line, so that nobody takes the sums of
 * half a capture for the whole. Keys of smaps that are not known here are passed over. Where every
 * line ends with a carriage return too, it is none of the text's own.
 */
#include "maps/capture.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <platform/ptrace/maps_text.h>
#include <platform/ptrace/process_info.h>

#include "common/vma_kind.h"
#include "options.h"

/* No capture is larger: 65,530 VMAs of smaps are some 60 MB. */
#define MAX_TEXT (UINT64_C(1) << 30)

static const struct {
	const char *key, *name;
} counts[CAPTURE_NR_COUNTS] = {
	[CAPTURE_RSS] = {"Rss", "rss"},
	[CAPTURE_PSS] = {"Pss", "pss"},
	[CAPTURE_SHARED_CLEAN] = {"Shared_Clean", "shared_clean"},
	[CAPTURE_SHARED_DIRTY] = {"Shared_Dirty", "shared_dirty"},
	[CAPTURE_PRIVATE_CLEAN] = {"Private_Clean", "private_clean"},
	[CAPTURE_PRIVATE_DIRTY] = {"Private_Dirty", "private_dirty"},
	[CAPTURE_REFERENCED] = {"Referenced", "referenced"},
	[CAPTURE_ANONYMOUS] = {"Anonymous", "anonymous"},
	[CAPTURE_HUGE] = {"AnonHugePages", "anon_huge_pages"},
	[CAPTURE_SWAP] = {"Swap", "swap"},
	[CAPTURE_LOCKED] = {"Locked", "locked"},
};

const char *capture_count_name(enum capture_count count)
{
	return counts[count].name;
}

/*
 * ---- Lines ----
 */

struct parser {
	struct capture *capture;
	char *at, *end;
	size_t line;
};

/* "FILE:3: ...": what a line that is in no capture begins with, made safe to print. */
static bool refuse_line(const struct parser *p, const char *line, const char *why)
{
	char shown[48];
	size_t i = 0;
	for (; i + 1 < sizeof(shown) && line < p->end && *line != '\n' && *line; i++, line++)
		shown[i] = (*line >= ' ' && *line < 127) ? *line : '?';
	shown[i] = '\0';
	error_line("%s:%zu: %s: '%s'; save a capture with: cat /proc/PID/smaps > FILE",
		   p->capture->source, p->line, why, shown);
	return false;
}

static bool is_perms(const char *p)
{
	return (p[0] == 'r' || p[0] == '-') && (p[1] == 'w' || p[1] == '-') &&
	       (p[2] == 'x' || p[2] == '-') && (p[3] == 'p' || p[3] == 's');
}

static bool add_vma(struct parser *p, char *start)
{
	struct capture *capture = p->capture;
	const char *at = start;
	struct memmap_maps_line line;
	if (!memmap_maps_text_next(&at, p->end, &line) || !is_perms(line.perms))
		return refuse_line(p, start, "this is no line of maps or smaps");
	const struct capture_vma *last =
		capture->vmas.length > 0 ? &capture->vmas.items[capture->vmas.length - 1] : NULL;
	if (last && line.range.start < last->range.end)
		return refuse_line(p, start, "this begins before the mapping above it ends");
	if (!ARRAY_RESERVE(NULL, &capture->vmas, 1)) {
		error_line("out of memory");
		return false;
	}
	struct capture_vma *vma = &capture->vmas.items[capture->vmas.length++];
	*vma = (struct capture_vma){
		.range = line.range,
		.offset = line.offset,
		.inode = line.inode,
		.major = line.major,
		.minor = line.minor,
		.name = line.name,
	};
	memcpy(vma->perms, line.perms, sizeof(line.perms));
	return true;
}

static bool begins_mapping(const char *line)
{
	const char *p = line;
	while (isxdigit((unsigned char)*p) && !isupper((unsigned char)*p))
		p++;
	return p > line && *p == '-';
}

/* "Key:   12 kB"; the line has been cut at its end. */
static bool add_count(struct parser *p, const char *line)
{
	struct capture *capture = p->capture;
	const size_t length = strcspn(line, ":");
	if (length == 0 || line[length] != ':' || strcspn(line, " \t") < length ||
	    !isupper((unsigned char)line[0]) || capture->vmas.length == 0)
		return refuse_line(p, line, "this is no line of maps or smaps");
	capture->has_counts = true;
	for (size_t i = 0; i < CAPTURE_NR_COUNTS; i++) {
		if (strlen(counts[i].key) != length || memcmp(counts[i].key, line, length) != 0)
			continue;
		char *rest;
		errno = 0;
		const unsigned long long kib = strtoull(line + length + 1, &rest, 10);
		if (errno || rest == line + length + 1 || strcmp(rest, " kB") != 0 ||
		    kib > UINT64_MAX / 1024)
			return refuse_line(p, line, "this is no size");
		capture->vmas.items[capture->vmas.length - 1].counts[i] = kib * 1024;
	}
	return true;
}

static bool parse_line(struct parser *p)
{
	char *line = p->at;
	char *newline = memchr(line, '\n', (size_t)(p->end - line));
	p->line++;
	if (!newline)
		return refuse_line(p, line, "the text is cut off in this line");
	p->at = newline + 1;
	if (memchr(line, '\0', (size_t)(newline - line)))
		return refuse_line(p, line, "this is no line of maps or smaps");
	if (begins_mapping(line)) {
		if (!add_vma(p, line))
			return false;
		*newline = '\0'; /* it ends the name */
		return true;
	}
	*newline = '\0';
	return add_count(p, line);
}

/* Take the carriage returns away if every line has one. Returns how long the text is then. */
static size_t without_carriage_returns(char *text, size_t length)
{
	const char *end = text + length, *from = text;
	for (const char *at = text; at < end; at++) {
		at = memchr(at, '\n', (size_t)(end - at));
		if (!at || at == text || at[-1] != '\r')
			return length;
	}
	size_t left = 0;
	for (; from < end; from++)
		if (!(*from == '\r' && from[1] == '\n'))
			text[left++] = *from;
	return left;
}

/* The first file that is executed and no library, where nobody knows better. */
static void guess_program(struct capture *capture)
{
	for (size_t i = 0; i < capture->vmas.length && capture->program[0] == '\0'; i++) {
		const struct capture_vma *vma = &capture->vmas.items[i];
		if (vma->perms[2] == 'x' && vma->name[0] == '/' && !vma_is_library_name(vma->name))
			snprintf(capture->program, sizeof(capture->program), "%s", vma->name);
	}
}

bool capture_parse(struct capture *capture, const char *source, char *text, size_t length)
{
	length = without_carriage_returns(text, length);
	capture->source = source;
	capture->text = text;
	capture->text_size = length;
	struct parser p = {.capture = capture, .at = text, .end = text + length};
	bool good = true;
	while (good && p.at < p.end)
		good = parse_line(&p);
	if (good && capture->vmas.length == 0) {
		error_line(
			"%s: there are no mappings in it; kernel threads have none, and a process "
			"that has ended",
			source);
		good = false;
	}
	if (!good) {
		capture_release(capture);
		return false;
	}
	guess_program(capture);
	for (size_t i = 0; i < capture->vmas.length; i++) {
		struct capture_vma *vma = &capture->vmas.items[i];
		vma->kind = vma_kind_of_line(vma->perms, vma->inode, vma->name, capture->program);
	}
	return true;
}

/*
 * ---- Sources ----
 */

/* All that `fd` has, and a zero behind it. Returns 0 or a negative errno. */
static int read_all(int fd, char **out, size_t *length)
{
	size_t capacity = 0, used = 0;
	char *text = NULL;
	for (;;) {
		if (capacity - used < 2) {
			capacity = capacity ? 2 * capacity : 65536;
			char *more = capacity <= MAX_TEXT ? realloc(text, capacity) : NULL;
			if (!more) {
				free(text);
				return capacity <= MAX_TEXT ? -ENOMEM : -EFBIG;
			}
			text = more;
		}
		const ssize_t n = read(fd, text + used, capacity - used - 1);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			const int err = -errno;
			free(text);
			return err;
		}
		if (n == 0)
			break;
		used += (size_t)n;
	}
	text[used] = '\0';
	*out = text;
	*length = used;
	return 0;
}

static int read_path(const char *path, char **text, size_t *length)
{
	const int fd =
		strcmp(path, "-") == 0 ? dup(STDIN_FILENO) : open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	const int err = read_all(fd, text, length);
	close(fd);
	return err;
}

static bool is_pid(const char *source)
{
	return *source && source[strspn(source, "0123456789")] == '\0' && strlen(source) < 10 &&
	       access(source, F_OK) != 0;
}

static bool read_process(struct capture *capture, const char *source, char **text, size_t *length)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%s/smaps", source);
	int err = read_path(path, text, length);
	if (err == -ENOENT && access("/proc/self/maps", F_OK) == 0) {
		/* A kernel without smaps has the process all the same. */
		snprintf(path, sizeof(path), "/proc/%s/maps", source);
		err = read_path(path, text, length);
	}
	if (err == -ENOENT || err == -ESRCH)
		error_line("there is no process %s, nor a file of that name; see: ps -e", source);
	else if (err == -EACCES || err == -EPERM)
		error_line("the maps of process %s may not be read; only its owner and root may",
			   source);
	else if (err)
		error_line("the maps of process %s cannot be read: %s", source, strerror(-err));
	if (!err)
		memmap_process_executable((pid_t)strtol(source, NULL, 10), capture->program,
					  sizeof(capture->program));
	return err == 0;
}

bool capture_read(struct capture *capture, const char *source)
{
	char *text = NULL;
	size_t length = 0;
	*capture = (struct capture){.source = source};
	if (is_pid(source)) {
		if (!read_process(capture, source, &text, &length))
			return false;
	} else {
		const int err = read_path(source, &text, &length);
		if (err) {
			error_line("'%s' cannot be read: %s; name a process, or a file with the "
				   "text of its maps or smaps",
				   source, strerror(-err));
			return false;
		}
	}
	return capture_parse(capture, source, text, length);
}

void capture_release(struct capture *capture)
{
	ARRAY_RELEASE(NULL, &capture->vmas);
	free(capture->text);
	capture->text = NULL;
}
