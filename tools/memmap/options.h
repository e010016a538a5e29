/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line.
 */
#ifndef MEMMAP_TOOL_OPTIONS_H
#define MEMMAP_TOOL_OPTIONS_H

#include <stdbool.h>
#include <sys/types.h>

struct trace_options {
	bool strict;
	bool quiet;
	bool stacks;             /* unwind the stack of each call */
	bool whole;              /* compare the whole of maps after every call */
	const char *report_path; /* NULL: none */
	const char *plot_path;   /* NULL: none */
	const char *log_path;    /* NULL: none */
	pid_t pid;               /* of the process to attach to; 0: a command is run */
	char **command;          /* argv of the program, ending with NULL */
};

/**
 * Read the arguments of `memmap trace`; argv[0] is "trace".
 *
 * Returns:     true: `*out` says what to do
 *              false: all is done (help, an error that was printed): exit with `*status`
 */
bool options_parse_trace(int argc, char **argv, struct trace_options *out, int *status);

/**
 * Say which word of the command line getopt_long() has refused: `result` is what it returned,
 * `before` was optind before the call.
 */
void options_refuse(const char *command, char **argv, int result, int before);

/** Print a help text. Returns the exit status. */
int options_print(const char *text);

/** Print a one-line error on stderr: "memmap: ...". */
void error_line(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif /* MEMMAP_TOOL_OPTIONS_H */
