/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Terminals. See terminal.h.
 */
#include "common/terminal.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <platform/ptrace/clock.h>

#define SECOND         UINT64_C(1000000000)
#define FIRST_SHOWN    (SECOND / 2) /* short work shows nothing */
#define BETWEEN_SHOWN  (SECOND / 5)
#define ERASE_THE_LINE "\r\033[K"

bool terminal_has_colours(FILE *stream)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
	return isatty(fileno(stream)) && !(no_color && *no_color) && term && *term &&
	       strcmp(term, "dumb") != 0;
}

unsigned int terminal_width(FILE *stream)
{
	struct winsize size;
	if (ioctl(fileno(stream), TIOCGWINSZ, &size) == 0 && size.ws_col > 0)
		return size.ws_col;
	return 80;
}

struct terminal_colours terminal_colours(FILE *stream)
{
	if (!terminal_has_colours(stream))
		return (struct terminal_colours){"", "", "", "", "", "", ""};
	return (struct terminal_colours){"\033[1m",  "\033[2m",  "\033[31m", "\033[32m",
					 "\033[33m", "\033[36m", "\033[0m"};
}

void terminal_put_text(FILE *out, const char *text)
{
	for (; *text; text++)
		fputc((unsigned char)*text < ' ' || *text == 127 ? '?' : *text, out);
}

void progress_begin(struct progress *progress, bool quiet)
{
	const char *term = getenv("TERM");
	*progress = (struct progress){0};
	progress->on =
		!quiet && isatty(STDERR_FILENO) && term && *term && strcmp(term, "dumb") != 0;
	if (progress->on)
		progress->next = memmap_monotonic_ns() + FIRST_SHOWN;
}

bool progress_due(struct progress *progress)
{
	return progress->on && memmap_monotonic_ns() >= progress->next;
}

void progress_show(struct progress *progress, const char *format, ...)
{
	char line[512];
	if (!progress->on)
		return;
	va_list args;
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	/* What may be no text of this terminal's must not move its cursor. */
	for (char *c = line; *c; c++)
		if ((unsigned char)*c < ' ' || *c == 127)
			*c = '?';
	fprintf(stderr, ERASE_THE_LINE "%.*s", (int)terminal_width(stderr) - 1, line);
	fflush(stderr);
	progress->shown = true;
	progress->next = memmap_monotonic_ns() + BETWEEN_SHOWN;
}

void progress_erase(struct progress *progress)
{
	if (!progress->shown)
		return;
	fputs(ERASE_THE_LINE, stderr);
	fflush(stderr);
	progress->shown = false;
}

void progress_end(struct progress *progress)
{
	progress_erase(progress);
	progress->on = false;
}
