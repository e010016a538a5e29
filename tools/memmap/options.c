/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line of `memmap trace`. Options end at the first word that is none, so that the
 * program's own options are its own.
 */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "trace/trace.h"

/* Options that have no letter. */
enum { OPTION_PLOT = 256, OPTION_LOG, OPTION_STACKS };

static const char usage[] =
	"Usage: memmap trace [OPTION]... [--] COMMAND [ARG]...\n"
	"       memmap trace [OPTION]... -p PID\n"
	"Run COMMAND, mirror its memory system calls into a model of its address space,\n"
	"and check the model against the kernel after every call.\n"
	"\n"
	"  -p, --pid=PID      attach to a running process; until it ends or ^C\n"
	"  -s, --strict       see every result; exit with 3 when any difference is found\n"
	"  -r, --report=FILE  write what was found to FILE, as JSON\n"
	"      --plot=FILE    draw the address space over time: FILE.svg or FILE.html\n"
	"      --log=FILE     write every call and what it changed, for memmap replay\n"
	"      --stacks       tell where in the program the calls are made\n"
	"  -w, --whole        compare the whole of maps after every call\n"
	"  -q, --quiet        print no summary\n"
	"  -h, --help         print this, and exit\n"
	"  -V, --version      print the version, and exit\n"
	"\n"
	"COMMAND keeps its input, output and exit status (128+N when signal N killed it);\n"
	"the summary goes to standard error. Exit status 125: memmap itself failed;\n"
	"126: COMMAND cannot be executed; 127: COMMAND was not found.\n";

void error_line(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fputs("memmap: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
}

void options_refuse(const char *command, char **argv, int result, int before)
{
	const char *word = argv[before];
	if (result == ':')
		error_line("option '%s' needs a value; see 'memmap %s --help'", word, command);
	else if (optopt && !(word[0] == '-' && word[1] == '-'))
		error_line("unknown option '-%c'; see 'memmap %s --help'", optopt, command);
	else
		error_line("unknown option '%s'; see 'memmap %s --help'", word, command);
}

int options_print(const char *text)
{
	fputs(text, stdout);
	if (fflush(stdout) == 0)
		return 0;
	error_line("the output could not be written: %s", strerror(errno));
	return EXIT_MEMMAP_FAILED;
}

static bool are_apart(const char *one, const char *path, const char *two, const char *other)
{
	if (!path || !other || strcmp(path, other) != 0)
		return true;
	error_line("the %s and the %s cannot both be '%s'; name two files", one, two, path);
	return false;
}

static bool parse_pid(const char *text, pid_t *out)
{
	char *end;
	errno = 0;
	const long value = strtol(text, &end, 10);
	*out = (pid_t)value;
	return !errno && end != text && *end == '\0' && value > 0 && value <= INT_MAX;
}

bool options_parse_trace(int argc, char **argv, struct trace_options *out, int *status)
{
	static const struct option options[] = {
		{"strict", no_argument, NULL, 's'},
		{"whole", no_argument, NULL, 'w'},
		{"quiet", no_argument, NULL, 'q'},
		{"pid", required_argument, NULL, 'p'},
		{"report", required_argument, NULL, 'r'},
		{"plot", required_argument, NULL, OPTION_PLOT},
		{"log", required_argument, NULL, OPTION_LOG},
		{"stacks", no_argument, NULL, OPTION_STACKS},
		{"help", no_argument, NULL, 'h'},
		{"version", no_argument, NULL, 'V'},
		{NULL, 0, NULL, 0},
	};
	*out = (struct trace_options){0};
	*status = EXIT_MEMMAP_FAILED;
	opterr = 0;
	optind = 1;
	for (;;) {
		const int before = optind;
		const int c = getopt_long(argc, argv, "+:sqwr:p:hV", options, NULL);
		if (c < 0)
			break;
		switch (c) {
		case 's':
			out->strict = true;
			break;
		case 'q':
			out->quiet = true;
			break;
		case 'w':
			out->whole = true;
			break;
		case 'p':
			if (!parse_pid(optarg, &out->pid)) {
				error_line("'%s' is no process; give its number, as ps shows it",
					   optarg);
				return false;
			}
			break;
		case 'r':
			out->report_path = optarg;
			break;
		case OPTION_PLOT:
			out->plot_path = optarg;
			break;
		case OPTION_LOG:
			out->log_path = optarg;
			break;
		case OPTION_STACKS:
			if (!stacks_supported()) {
				stacks_hand_over(argv);
				error_line(
					"this memmap was built without libdw, and no memmap-stacks "
					"is beside it, so that there is no --stacks; install "
					"libdw-dev and build it again");
				return false;
			}
			out->stacks = true;
			break;
		case 'h':
			*status = options_print(usage);
			return false;
		case 'V':
			*status = options_print("memmap " MEMMAP_VERSION "\n");
			return false;
		default:
			options_refuse("trace", argv, c, before);
			return false;
		}
	}
	if (out->pid && optind < argc) {
		error_line("both a process and a command, '%s', are given; give one of them",
			   argv[optind]);
		return false;
	}
	if (optind >= argc && !out->pid) {
		error_line("no command to trace; try 'memmap trace -- ls'");
		return false;
	}
	if (!are_apart("report", out->report_path, "plot", out->plot_path) ||
	    !are_apart("report", out->report_path, "log", out->log_path) ||
	    !are_apart("plot", out->plot_path, "log", out->log_path))
		return false;
	out->command = argv + optind;
	return true;
}
