/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The `memmap` command: which of its commands is meant.
 */
#include <stdio.h>
#include <string.h>

#include "options.h"
#include "trace.h"

static const char usage[] =
	"Usage: memmap COMMAND [ARG]...\n"
	"\n"
	"  trace   run a program and check the model of its address space against the kernel\n"
	"\n"
	"'memmap COMMAND --help' tells more; 'memmap --version' prints the version.\n";

static int print(const char *text)
{
	fputs(text, stdout);
	return fflush(stdout) ? EXIT_MEMMAP_FAILED : 0;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		error_line("no command given; try 'memmap trace -- ls' or 'memmap --help'");
		return EXIT_MEMMAP_FAILED;
	}
	const char *word = argv[1];
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0)
		return print(usage);
	if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0)
		return print("memmap " MEMMAP_VERSION "\n");
	if (strcmp(word, "trace") == 0) {
		struct trace_options options;
		int status;
		if (!options_parse_trace(argc - 1, argv + 1, &options, &status))
			return status;
		return trace_command(&options);
	}
	error_line("unknown %s '%s'; see 'memmap --help'", word[0] == '-' ? "option" : "command",
		   word);
	return EXIT_MEMMAP_FAILED;
}
