/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `memmap replay`: the command line, and what it prints. See replay.h.
 */
#include "replay/replay_command.h"

#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "common/output_file.h"
#include "common/terminal.h"
#include "common/wait_status.h"
#include "options.h"
#include "plot/plot_html.h"
#include "plot/plot_text.h"
#include "replay/replay.h"
#include "trace/trace.h"

static const char usage[] =
	"Usage: memmap replay [OPTION]... LOG\n"
	"Rebuild address spaces from a log of memmap trace --log, without the program.\n"
	"\n"
	"  -n, --at=N         just after call number N (0: before the first)\n"
	"  -t, --at-time=T    T seconds after the start; default: at the end\n"
	"  -m, --maps         print maps as /proc/PID/maps has it (this is the default)\n"
	"  -p, --pid=PID      of this process alone\n"
	"  -c, --check        replay by the model too, and check it: its maps against\n"
	"                     the log's and the kernel's, and each file's reverse map\n"
	"      --plot=FILE    draw the address space over time: FILE.svg or FILE.html\n"
	"  -q, --quiet        print no maps, no result of --check that is good\n"
	"  -h, --help         print this, and exit\n"
	"\n"
	"Of several processes, maps shows those that live at that moment, or at the end\n"
	"all. LOG may be - for standard input. Exit status 3: --check found a difference;\n"
	"125: an error, or the log is cut off or damaged (what came before is shown).\n";

struct replay_options {
	struct replay_moment until;
	pid_t pid; /* 0: all */
	bool maps, check, quiet;
	const char *plot_path, *log_path;
};

enum { OPTION_PLOT = 256 };

/*
 * ---- Options ----
 */

static bool parse_number(const char *option, const char *text, uint64_t *out)
{
	char *end;
	errno = 0;
	*out = strtoull(text, &end, 10);
	if (*text >= '0' && *text <= '9' && *end == '\0' && !errno)
		return true;
	error_line("--%s takes a number, not '%s'", option, text);
	return false;
}

/* Seconds with at most nine decimals. */
static bool parse_time(const char *text, uint64_t *out)
{
	uint64_t scale = 1000000000, ns = 0;
	const char *p = text;
	bool good = false, fraction = false;
	for (; (*p >= '0' && *p <= '9') || (*p == '.' && !fraction); p++) {
		if (*p == '.') {
			fraction = true;
			continue;
		}
		good = true;
		if (fraction)
			scale /= 10;
		if (!fraction && ns > UINT64_MAX / 20)
			return false;
		ns = fraction ? ns + (uint64_t)(*p - '0') * scale
			      : ns * 10 + (uint64_t)(*p - '0') * 1000000000;
	}
	*out = ns;
	return good && *p == '\0';
}

static bool take_option(int c, char **argv, int before, struct replay_options *out)
{
	uint64_t number;
	switch (c) {
	case 'n':
		out->until.has_number = true;
		return parse_number("at", optarg, &out->until.number);
	case 't':
		out->until.has_time = true;
		if (parse_time(optarg, &out->until.time))
			return true;
		error_line("--at-time takes seconds since the start, as 1.25, not '%s'", optarg);
		return false;
	case 'm':
		out->maps = true;
		return true;
	case 'p':
		if (!parse_number("pid", optarg, &number))
			return false;
		out->pid = (pid_t)number;
		if (number > 0 && number <= INT32_MAX)
			return true;
		error_line("'%s' is no process; leave out --pid to see which there are", optarg);
		return false;
	case 'c':
		out->check = true;
		return true;
	case 'q':
		out->quiet = true;
		return true;
	case OPTION_PLOT:
		out->plot_path = optarg;
		return true;
	default:
		options_refuse("replay", argv, c, before);
		return false;
	}
}

static bool parse(int argc, char **argv, struct replay_options *out, int *status)
{
	static const struct option options[] = {
		{"at", required_argument, NULL, 'n'},
		{"at-time", required_argument, NULL, 't'},
		{"maps", no_argument, NULL, 'm'},
		{"pid", required_argument, NULL, 'p'},
		{"check", no_argument, NULL, 'c'},
		{"plot", required_argument, NULL, OPTION_PLOT},
		{"quiet", no_argument, NULL, 'q'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	*out = (struct replay_options){0};
	*status = EXIT_MEMMAP_FAILED;
	opterr = 0;
	optind = 1;
	for (;;) {
		const int before = optind;
		const int c = getopt_long(argc, argv, ":n:t:mp:cqh", options, NULL);
		if (c < 0)
			break;
		if (c == 'h') {
			*status = options_print(usage);
			return false;
		}
		if (!take_option(c, argv, before, out))
			return false;
	}
	if (argc - optind != 1) {
		error_line("one log is replayed at a time; %d given; see 'memmap replay --help'",
			   argc - optind);
		return false;
	}
	if (out->until.has_number && out->until.has_time) {
		error_line("--at and --at-time are two moments; name one");
		return false;
	}
	out->log_path = argv[optind];
	/* Maps are what is printed unless something else is asked for. */
	if (!out->check && !out->plot_path)
		out->maps = true;
	if (out->quiet)
		out->maps = false;
	return true;
}

/*
 * ---- Output ----
 */

static const char *text_of(const struct replay *replay, uint32_t number)
{
	return text_pool_get(&replay->names, number);
}

static void print_head(const struct replay *replay, const struct replay_process *process, FILE *out)
{
	const struct terminal_colours c = terminal_colours(out);
	char time[64], how[64];
	fprintf(out, "%s==> %d ", c.bold, (int)process->pid);
	terminal_put_text(out, text_of(replay, process->command));
	if (process->shares)
		fprintf(out, ", in the address space of %d", (int)process->shares);
	if (process->ended) {
		fprintf(out, ", %s at %s", wait_status_text(process->wait_status, how, sizeof(how)),
			plot_text_duration(process->end, time, sizeof(time)));
	}
	fprintf(out, " <==%s\n", c.off);
}

static int print_process(const struct replay *replay, const struct replay_process *process,
			 bool head, FILE *out)
{
	struct memmap_text text = {0};
	if (head)
		print_head(replay, process, out);
	/* What is shared is printed with the one that it is shared with. */
	if (!process->space || (head && process->shares))
		return 0;
	const int err = image_print(process->space->image, &replay->names, &text);
	if (!err)
		fwrite(text.data, 1, text.length, out);
	memmap_text_release(&text);
	return err;
}

/* Print the maps that are asked for. Returns 0 or a negative errno; -ESRCH: said what is missing. */
static int print_maps(struct replay *replay, const struct replay_options *options, FILE *out)
{
	size_t nr_alive = 0, nr_shown = 0;
	int err = 0;
	if (options->pid) {
		const struct replay_process *process = replay_find(replay, options->pid);
		if (!process || !process->space) {
			error_line("the log has no address space of process %d at that moment; "
				   "leave out --pid to see which there are",
				   (int)options->pid);
			return -ESRCH;
		}
		err = print_process(replay, process, false, out);
	} else {
		for (size_t i = 0; i < replay->processes.length; i++)
			nr_alive += !replay->processes.items[i].ended;
		for (size_t i = 0; i < replay->processes.length; i++)
			nr_shown += nr_alive == 0 || !replay->processes.items[i].ended;
		for (size_t i = 0; i < replay->processes.length && !err; i++) {
			const struct replay_process *process = &replay->processes.items[i];
			if (nr_alive == 0 || !process->ended)
				err = print_process(replay, process, nr_shown > 1, out);
		}
	}
	errno = 0;
	if (!err && (fflush(out) || ferror(out)))
		err = -(errno ? errno : EIO);
	return err;
}

static int write_plot(const struct replay *replay, struct output_file *plot)
{
	const struct plot_options how = {.title = text_of(replay, replay->command)};
	int err = plot_write_as(plot->path, replay->history, plot->stream, &how);
	if (err)
		output_file_abandon(plot);
	else
		err = output_file_commit(plot);
	return err;
}

static void print_check(const struct replay *replay)
{
	const struct replay_check *check = &replay->check;
	printf("%s: %" PRIu64 " calls replayed by the model\n", replay->path, replay->nr_calls);
	printf("  changes       %" PRIu64 " compared with the log\n", check->nr_changes);
	printf("  whole maps    %" PRIu64 " compared with the log, %" PRIu64
	       " with what the kernel showed\n",
	       check->nr_whole, check->nr_digests);
	printf("  reverse maps  %" PRIu64 " times compared with all VMAs\n",
	       check->nr_reverse_maps);
	if (check->nr_differences > 0)
		printf("  differences   %" PRIu64 "\n", check->nr_differences);
	else
		printf("  differences   none\n");
}

/* Check every space that is left, at the end. */
static int check_rest(struct replay *replay)
{
	int err = 0;
	for (struct space *space = replay->spaces; space && !err; space = space->next)
		if (space->mm)
			err = replay_check_whole(replay, space);
	return err;
}

/* Do what is asked for at the moment that has come. Returns the exit status. */
static int conclude(struct replay *replay, const struct replay_options *options,
		    struct output_file *plot)
{
	int status = 0, err = 0;
	if (options->check) {
		err = check_rest(replay);
		if (!err && !options->quiet)
			print_check(replay);
		if (replay->check.nr_differences > 0)
			status = EXIT_DIFFERENCES;
	}
	if (!err && plot->stream) {
		err = write_plot(replay, plot);
		if (err) {
			error_line("the plot '%s' could not be written: %s", options->plot_path,
				   strerror(-err));
			return EXIT_MEMMAP_FAILED;
		}
	}
	if (!err && options->maps)
		err = print_maps(replay, options, stdout);
	errno = 0;
	if (!err && fflush(stdout))
		err = -(errno ? errno : EIO);
	if (err == 0 || err == -EPIPE)
		return status;
	if (err != -ESRCH)
		error_line("the output could not be written: %s", strerror(-err));
	return EXIT_MEMMAP_FAILED;
}

static int run(struct replay *replay, const struct replay_options *options,
	       struct output_file *plot)
{
	progress_begin(&replay->progress, options->quiet);
	const enum log_result result = replay_run(replay, &options->until);
	progress_end(&replay->progress);
	if (result == LOG_GOOD && options->until.has_number &&
	    replay->nr_calls < options->until.number) {
		error_line("%s: the log has %" PRIu64 " calls, and no call %" PRIu64,
			   options->log_path, replay->nr_calls, options->until.number);
		return EXIT_MEMMAP_FAILED;
	}
	const int status = conclude(replay, options, plot);
	if (result == LOG_GOOD)
		return status;
	fflush(stdout);
	error_line("%s; %s", replay->error,
		   result == LOG_CUT_OFF ? "all that came before has been replayed"
					 : "what came before can be seen with --at");
	return EXIT_MEMMAP_FAILED;
}

int replay_command(int argc, char **argv)
{
	struct replay_options options;
	struct output_file plot = {0};
	struct replay replay;
	int status;
	if (!parse(argc, argv, &options, &status))
		return status;
	status = EXIT_MEMMAP_FAILED;
	const int err = options.plot_path ? output_file_open(&plot, options.plot_path) : 0;
	if (err) {
		error_line("the plot '%s' cannot be written: %s; name a file that can",
			   options.plot_path, strerror(-err));
		return status;
	}
	if (replay_open(&replay, options.log_path, options.plot_path != NULL, options.check))
		status = run(&replay, &options, &plot);
	else if (replay.error[0])
		error_line("%s", replay.error);
	output_file_abandon(&plot);
	replay_release(&replay);
	return status;
}
