/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line of `memmap maps`. See maps.h.
 */
#include "maps/maps.h"

#include <errno.h>
#include <getopt.h>
#include <string.h>

#include "options.h"
#include "trace/trace.h"

static const char usage[] =
	"Usage: memmap maps [OPTION]... PID|FILE\n"
	"       memmap maps --diff [OPTION]... PID|FILE PID|FILE\n"
	"Show an address space: that of a process, or a saved /proc/PID/maps or smaps\n"
	"(- is standard input), as a table with readable sizes and totals.\n"
	"\n"
	"  -b, --by=WHAT     group the mappings by file, kind or perm\n"
	"  -s, --sort=KEY    in the order of address, size, rss, pss or name\n"
	"  -d, --diff        show what has changed from the first to the second\n"
	"  -j, --json        print JSON\n"
	"  -h, --help        print this, and exit\n"
	"\n"
	"RSS and PSS (what is in memory; its fair share of it) are shown where smaps has\n"
	"them. Exit status 3: --diff found a difference; 125: an error.\n";

/* The index of `word` in `words`, or -1. */
static int choose(const char *option, const char *word, const char *const *words)
{
	for (int i = 0; words[i]; i++)
		if (strcmp(words[i], word) == 0)
			return i;
	char known[128] = "";
	for (int i = 0; words[i]; i++)
		snprintf(known + strlen(known), sizeof(known) - strlen(known), "%s%s",
			 i > 0 ? ", " : "", words[i]);
	error_line("--%s takes one of %s, not '%s'", option, known, word);
	return -1;
}

static bool take_option(int c, char **argv, int before, struct maps_options *out)
{
	static const char *const by[] = {"file", "kind", "perm", NULL};
	static const char *const sort[] = {"address", "size", "rss", "pss", "name", NULL};
	int choice;
	switch (c) {
	case 'b':
		choice = choose("by", optarg, by);
		out->by = (enum maps_by)(MAPS_BY_FILE + choice);
		return choice >= 0;
	case 's':
		choice = choose("sort", optarg, sort);
		out->sort = (enum maps_sort)(MAPS_SORT_ADDRESS + choice);
		return choice >= 0;
	case 'd':
		out->diff = true;
		return true;
	case 'j':
		out->json = true;
		return true;
	default:
		options_refuse("maps", argv, c, before);
		return false;
	}
}

static bool parse(int argc, char **argv, struct maps_options *out, int *status)
{
	static const struct option options[] = {
		{"by", required_argument, NULL, 'b'}, {"sort", required_argument, NULL, 's'},
		{"diff", no_argument, NULL, 'd'},     {"json", no_argument, NULL, 'j'},
		{"help", no_argument, NULL, 'h'},     {NULL, 0, NULL, 0},
	};
	*out = (struct maps_options){0};
	*status = EXIT_MEMMAP_FAILED;
	opterr = 0;
	optind = 1;
	for (;;) {
		const int before = optind;
		const int c = getopt_long(argc, argv, ":b:s:djh", options, NULL);
		if (c < 0)
			break;
		if (c == 'h') {
			*status = options_print(usage);
			return false;
		}
		if (!take_option(c, argv, before, out))
			return false;
	}
	const int wanted = out->diff ? 2 : 1;
	if (argc - optind != wanted) {
		error_line(out->diff ? "--diff compares two captures; %d given"
				     : "one process or file is shown at a time; %d given; see "
				       "'memmap maps --help'",
			   argc - optind);
		return false;
	}
	if (out->diff && out->sort != MAPS_SORT_DEFAULT) {
		error_line("--diff has an order of its own; leave out --sort");
		return false;
	}
	for (int i = 0; i < wanted; i++)
		out->sources[i] = argv[optind + i];
	return true;
}

/* Somebody who has stopped reading (head, less) has seen enough: no error. */
static int conclude(int err, int status)
{
	if (err == 0 || err == -EPIPE)
		return status;
	error_line("the output could not be written: %s", strerror(-err));
	return EXIT_MEMMAP_FAILED;
}

int maps_command(int argc, char **argv)
{
	struct maps_options options;
	struct capture captures[2];
	int status;
	if (!parse(argc, argv, &options, &status))
		return status;
	if (!capture_read(&captures[0], options.sources[0]))
		return EXIT_MEMMAP_FAILED;
	if (!options.diff) {
		const int err = options.json ? maps_print_json(&captures[0], &options, stdout)
					     : maps_print_table(&captures[0], &options, stdout);
		capture_release(&captures[0]);
		return conclude(err, 0);
	}
	status = EXIT_MEMMAP_FAILED;
	if (capture_read(&captures[1], options.sources[1])) {
		bool differs;
		const int err =
			maps_print_diff(&captures[0], &captures[1], &options, stdout, &differs);
		status = conclude(err, differs ? EXIT_DIFFERENCES : 0);
		capture_release(&captures[1]);
	}
	capture_release(&captures[0]);
	return status;
}
