/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The `memmap` command: which of its commands is meant.
 */
#include <string.h>

#include "maps/maps.h"
#include "options.h"
#include "replay/replay_command.h"
#include "trace/trace.h"

static const char usage[] =
	"Usage: memmap COMMAND [ARG]...\n"
	"\n"
	"  trace   run a program, and check the model of its address space against the\n"
	"          kernel after every memory call; report, plot and log what it does\n"
	"  replay  rebuild address spaces from such a log, at any moment\n"
	"  maps    show an address space, or what has changed from one to another\n"
	"\n"
	"Try:\n"
	"  memmap trace -- ls -l                  what a program does with its memory\n"
	"  memmap trace --plot=ls.html -- ls -l   the same as a picture to zoom into\n"
	"  memmap trace --stacks -p 1234          where a running process maps memory\n"
	"  memmap maps --by=file 1234             what a process has mapped\n"
	"\n"
	"'memmap COMMAND --help' tells more; 'man memmap' all; 'memmap --version' which.\n";

static int trace(int argc, char **argv)
{
	struct trace_options options;
	int status;
	if (!options_parse_trace(argc, argv, &options, &status))
		return status;
	return trace_command(&options);
}

static const struct {
	const char *name;
	int (*run)(int argc, char **argv); /* argv[0] is the name */
} commands[] = {
	{"trace", trace},
	{"replay", replay_command},
	{"maps", maps_command},
};

int main(int argc, char **argv)
{
	if (argc < 2) {
		error_line("no command given; try 'memmap trace -- ls' or 'memmap --help'");
		return EXIT_MEMMAP_FAILED;
	}
	const char *word = argv[1];
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0 || strcmp(word, "help") == 0)
		return options_print(usage);
	if (strcmp(word, "--version") == 0 || strcmp(word, "-V") == 0)
		return options_print("memmap " MEMMAP_VERSION "\n");
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
		if (strcmp(word, commands[i].name) == 0)
			return commands[i].run(argc - 1, argv + 1);
	error_line("unknown %s '%s'; see 'memmap --help'", word[0] == '-' ? "option" : "command",
		   word);
	return EXIT_MEMMAP_FAILED;
}
