/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What it costs to run under `memmap trace`: real programs alone, with the tracing engine alone
 * (engine.c), traced, and traced strictly, when the exit of every call is seen.
 *
 *   bench_trace [--rounds=N] [--only=NAME] MEMMAP ENGINE [PLOT.svg]
 *
 * The four ways take turns, in an order that changes from round to round, so that whatever else
 * the machine does meets all of them alike. A ratio is taken within each round, and the median over
 * the rounds is shown, so that drift cancels. The noise is half the spread of the middle half of
 * the runs alone: a difference below it says nothing.
 *
 * Exit status: 0; 1: something could not be measured; 2: wrong usage.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <inttypes.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "../../tools/memmap/plot/plot_text.h"
#include "../../tools/memmap/plot/svg.h"

enum { DEFAULT_ROUNDS = 15, MOST_ROUNDS = 1000, MOST_ARGUMENTS = 16 };

/* ---- What is run ---- */

struct workload {
	const char *name;
	const char *what;
	const char *argv[MOST_ARGUMENTS];
};

#define FILL_A_TABLE(rows)                                                                         \
	"create table t(a, b);"                                                                    \
	"with recursive c(i) as (select 1 union all select i + 1 from c where i < " rows ")"       \
	" insert into t select i, i * 7919 % 1000 from c;"                                         \
	"create index x on t(b); select b, sum(a) from t group by b having b < 10;"

/* Four threads that take and give back memory, each in an arena of its own. */
#define FOUR_THREADS                                                                               \
	"import threading\n"                                                                       \
	"def fill():\n"                                                                            \
	" for _ in range(8): kept = [bytearray(j) for j in range(4000)]\n"                         \
	"threads = [threading.Thread(target=fill) for _ in range(4)]\n"                            \
	"[t.start() for t in threads]\n"                                                           \
	"[t.join() for t in threads]\n"

static const struct workload workloads[] = {
	/* One process. */
	{"ls", "ls -lR /etc", {"ls", "-lR", "/etc"}},
	{"python3",
	 "python3 -c 'import json, decimal, asyncio'",
	 {"/usr/bin/python3", "-c", "import json, decimal, asyncio"}},
	{"gcc",
	 "gcc -O2 -c on a file of 800 lines",
	 {"gcc", "-O2", "-std=gnu17", "-D_GNU_SOURCE", "-I", MEMMAP_INCLUDE_DIR, "-I",
	  MEMMAP_TOOL_DIR, "-c", MEMMAP_SAMPLE_SOURCE, "-o", "/dev/null"}},
	{"sqlite3",
	 "sqlite3, 100,000 rows, an index, a query",
	 {"sqlite3", ":memory:", FILL_A_TABLE("100000")}},
	{"million", "sqlite3, a million rows", {"sqlite3", ":memory:", FILL_A_TABLE("1000000")}},
	{"xz", "xz -c on a C library", {"xz", "-c", "/lib/x86_64-linux-gnu/libc.so.6"}},
	/* Threads. */
	{"xz -T2",
	 "xz -T2 -c on a C library",
	 {"xz", "-T2", "--block-size=256KiB", "-c", "/lib/x86_64-linux-gnu/libc.so.6"}},
	{"sort",
	 "seq | sort -R, two threads",
	 {"sh", "-c", "seq 200000 | sort -R --parallel=2 -S 20M"}},
	{"go", "go list std: a garbage collector's threads", {"go", "list", "std"}},
	{"arenas", "C, four threads of malloc, each in an arena", {MEMMAP_ARENAS}},
	{"threads",
	 "python3, four threads of malloc in turns",
	 {"/usr/bin/python3", "-c", FOUR_THREADS}},
	/* Processes. */
	{"build",
	 "four times gcc -O2 -c, two at a time",
	 {"sh", "-c",
	  "seq 4 | xargs -P 2 -I % gcc -O2 -std=gnu17 -D_GNU_SOURCE -I " MEMMAP_INCLUDE_DIR
	  " -I " MEMMAP_TOOL_DIR " -c " MEMMAP_SAMPLE_SOURCE " -o /dev/null"}},
	{"cmake",
	 "cmake configures a small project",
	 {"sh", "-c",
	  "d=$(mktemp -d) && cmake -G Ninja -S " MEMMAP_CONFIGURE_DIR " -B $d && rm -r $d"}},
	{"perl",
	 "perl, 50 forks",
	 {"perl", "-e", "for (1 .. 50) { my $p = fork; exit 0 unless $p; waitpid $p, 0 }"}},
	{"shell",
	 "bash, 20 pipelines of three",
	 {"bash", "-c", "for i in {1..20}; do ls /etc | sort -r | head -n 3; done"}},
};
#define NR_WORKLOADS (sizeof(workloads) / sizeof(workloads[0]))

/* ---- How it is run ---- */

enum way { ALONE, ENGINE, TRACED, STRICT, NR_WAYS };

static const char *memmap_path, *engine_path;

/* What one run took, in ns. */
struct cost {
	double wall; /* from the start until it was waited for */
	double cpu;  /* of the program and of the tracer, user and system */
};

static double timeval_ns(struct timeval time)
{
	return (double)time.tv_sec * 1e9 + (double)time.tv_usec * 1e3;
}

/* Run it; false: it failed, and words say so. */
static bool run(const struct workload *workload, enum way way, const char *report,
		struct cost *cost)
{
	const char *argv[MOST_ARGUMENTS + 8] = {0};
	char report_option[64];
	size_t nr = 0;
	if (way == ENGINE)
		argv[nr++] = engine_path;
	if (way == TRACED || way == STRICT) {
		argv[nr++] = memmap_path;
		argv[nr++] = "trace";
		argv[nr++] = "--quiet";
		if (way == STRICT)
			argv[nr++] = "--strict";
		if (report) {
			(void)snprintf(report_option, sizeof(report_option), "--report=%s", report);
			argv[nr++] = report_option;
		}
		argv[nr++] = "--";
	}
	for (size_t i = 0; workload->argv[i]; i++)
		argv[nr++] = workload->argv[i];

	posix_spawn_file_actions_t quiet;
	if (!argv[0] || posix_spawn_file_actions_init(&quiet) != 0)
		return false;
	(void)posix_spawn_file_actions_addopen(&quiet, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	(void)posix_spawn_file_actions_addopen(&quiet, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	struct timespec start, end;
	struct rusage usage = {0};
	pid_t pid;
	int status = 0;
	(void)clock_gettime(CLOCK_MONOTONIC, &start);
	int err = posix_spawnp(&pid, argv[0], &quiet, NULL, (char *const *)argv, environ);
	if (err == 0)
		while (wait4(pid, &status, 0, &usage) < 0 && errno == EINTR)
			;
	(void)clock_gettime(CLOCK_MONOTONIC, &end);
	(void)posix_spawn_file_actions_destroy(&quiet);
	if (err != 0) {
		(void)fprintf(stderr, "\n%s cannot be run: %s\n", argv[0], strerror(err));
		return false;
	}
	if (status != 0) {
		(void)fprintf(stderr, "\n%s%s failed: wait status 0x%x\n", workload->name,
			      way == ALONE ? "" : ", traced,", (unsigned int)status);
		return false;
	}
	cost->wall =
		(double)(end.tv_sec - start.tv_sec) * 1e9 + (double)(end.tv_nsec - start.tv_nsec);
	cost->cpu = timeval_ns(usage.ru_utime) + timeval_ns(usage.ru_stime);
	return true;
}

/* ---- Results ---- */

struct result {
	bool measured;
	double alone; /* ms, median */
	double noise; /* half the middle half's spread, as a part of the median */
	double ratio[NR_WAYS], low[NR_WAYS], high[NR_WAYS]; /* median and quartiles */
	double cpu_ratio;                                   /* of processor time, traced; median */
	uint64_t calls, processes;
	double model, checks; /* parts of the time, in the tracer */
	double call_us;       /* what tracing adds, by call */
};

static int compare_doubles(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

/* The value below which `part` of the sorted values lie. */
static double quantile(const double *sorted, size_t nr, double part)
{
	double at = part * (double)(nr - 1);
	size_t below = (size_t)at;
	if (below + 1 >= nr)
		return sorted[nr - 1];
	return sorted[below] + (at - (double)below) * (sorted[below + 1] - sorted[below]);
}

/* How many calls and processes the tracer saw, from its report. */
static bool read_report(const char *path, struct result *result)
{
	json_error_t error;
	json_t *report = json_load_file(path, 0, &error);
	if (!report) {
		(void)fprintf(stderr, "\n%s: %s\n", path, error.text);
		return false;
	}
	result->calls = (uint64_t)json_integer_value(json_object_get(report, "calls"));
	const double seconds = json_real_value(json_object_get(report, "seconds"));
	if (seconds > 0) {
		result->model = json_real_value(json_object_get(report, "model_seconds")) / seconds;
		result->checks =
			json_real_value(json_object_get(report, "checks_seconds")) / seconds;
	}
	result->processes = json_array_size(json_object_get(report, "processes"));
	json_decref(report);
	return true;
}

static bool count_calls(const struct workload *workload, struct result *result)
{
	char path[] = "/tmp/memmap-bench-XXXXXX";
	int fd = mkstemp(path);
	if (fd < 0) {
		(void)fprintf(stderr, "\n%s: %s\n", path, strerror(errno));
		return false;
	}
	(void)close(fd);
	struct cost cost;
	bool done = run(workload, TRACED, path, &cost) && read_report(path, result);
	(void)unlink(path);
	return done;
}

static void show_progress(const char *name, size_t round, size_t rounds)
{
	if (isatty(STDERR_FILENO))
		(void)fprintf(stderr, "\r\033[K%s: round %zu of %zu", name, round, rounds);
	else if (round == 1)
		(void)fprintf(stderr, "measuring %s, %zu rounds\n", name, rounds);
}

/* `times` has room for the rounds of all ways, and once more. */
static bool measure(const struct workload *workload, size_t rounds, double *times,
		    struct result *result)
{
	/* Once without the clock: caches fill, and a program that is missing shows. */
	struct cost costs[NR_WAYS];
	if (!run(workload, ALONE, NULL, &costs[ALONE]) || !count_calls(workload, result))
		return false;
	double *alone = times, *cpu_ratios = times + NR_WAYS * rounds, *ratios[NR_WAYS];
	for (size_t way = ENGINE; way < NR_WAYS; way++)
		ratios[way] = times + way * rounds;
	for (size_t round = 0; round < rounds; round++) {
		show_progress(workload->name, round + 1, rounds);
		for (size_t i = 0; i < NR_WAYS; i++) {
			enum way way = (enum way)((round + i) % NR_WAYS);
			if (!run(workload, way, NULL, &costs[way]))
				return false;
		}
		alone[round] = costs[ALONE].wall;
		for (size_t way = ENGINE; way < NR_WAYS; way++)
			ratios[way][round] = costs[way].wall / costs[ALONE].wall;
		cpu_ratios[round] = costs[TRACED].cpu / costs[ALONE].cpu;
	}
	qsort(alone, rounds, sizeof(*alone), compare_doubles);
	double median = quantile(alone, rounds, 0.5);
	result->alone = median / 1e6;
	result->noise =
		(quantile(alone, rounds, 0.75) - quantile(alone, rounds, 0.25)) / 2 / median;
	for (size_t way = ENGINE; way < NR_WAYS; way++) {
		qsort(ratios[way], rounds, sizeof(double), compare_doubles);
		result->ratio[way] = quantile(ratios[way], rounds, 0.5);
		result->low[way] = quantile(ratios[way], rounds, 0.25);
		result->high[way] = quantile(ratios[way], rounds, 0.75);
	}
	qsort(cpu_ratios, rounds, sizeof(double), compare_doubles);
	result->cpu_ratio = quantile(cpu_ratios, rounds, 0.5);
	if (result->calls > 0)
		result->call_us =
			(result->ratio[TRACED] - 1) * median / 1e3 / (double)result->calls;
	result->measured = true;
	return true;
}

/* ---- What is shown ---- */

static void print_table(const struct result *results)
{
	printf("\n%-9s %10s %7s %8s %9s %9s %10s %8s %10s %9s %7s %7s\n", "program", "alone",
	       "noise", "engine", "traced", "its CPU", "--strict", "calls", "processes", "a call",
	       "model", "checks");
	for (size_t i = 0; i < NR_WORKLOADS; i++) {
		const struct result *r = &results[i];
		if (!r->measured)
			continue;
		char call[32] = "in noise";
		if (r->ratio[TRACED] - 1 > r->noise)
			(void)snprintf(call, sizeof(call), "%.1f us", r->call_us);
		printf("%-9s %7.1f ms %5.1f %% %7.2fx %8.2fx %8.2fx %9.2fx %8" PRIu64 " %10" PRIu64
		       " %9s %5.1f %% %5.1f %%\n",
		       workloads[i].name, r->alone, 100 * r->noise, r->ratio[ENGINE],
		       r->ratio[TRACED], r->cpu_ratio, r->ratio[STRICT], r->calls, r->processes,
		       call, 100 * r->model, 100 * r->checks);
	}
	puts("\n"
	     "alone      median; noise: half the spread of the middle half of these runs\n"
	     "engine     the tracing engine alone: it is told of each call, and does nothing\n"
	     "traced     against the run alone of the same round, median; so are its neighbours\n"
	     "its CPU    processor time, the tracer's included\n"
	     "--strict   traced, with --strict: each call stops twice\n"
	     "a call     what tracing adds, start-up included, for each memory call\n"
	     "model      of the time traced, in the model of the address space; checks: in looking "
	     "at\n"
	     "           the kernel's maps, mostly beside the program");
}

enum {
	PLOT_WIDTH = 900,
	PLOT_LEFT = 250,
	PLOT_RIGHT = 800,
	PLOT_TOP = 96,
	ROW = 54,
	BAR = 11,
};

static double scale_x(double ratio, double most)
{
	return PLOT_LEFT + (PLOT_RIGHT - PLOT_LEFT) * ratio / most;
}

static void draw_row(struct svg *svg, const struct workload *workload, const struct result *result,
		     double y, double most)
{
	static const char *const classes[NR_WAYS] = {"", "engine", "traced", "strict"};
	char text[PLOT_TEXT_SIZE];
	plot_text_fit(workload->what, 10, PLOT_LEFT - 34, text, sizeof(text));
	svg_put(svg,
		"<text class=\"n\" x=\"%d\" y=\"%n\" font-size=\"12\" "
		"text-anchor=\"end\">%t</text>\n",
		PLOT_LEFT - 12, y + 11, workload->name);
	svg_put(svg,
		"<text class=\"d\" x=\"%d\" y=\"%n\" font-size=\"10\" "
		"text-anchor=\"end\">%t</text>\n",
		PLOT_LEFT - 12, y + 25, text);
	for (size_t way = TRACED; way < NR_WAYS; way++, y += BAR + 2) {
		double x = scale_x(result->ratio[way], most), middle = y + BAR / 2.0;
		svg_put(svg, "<rect class=\"%s\" x=\"%d\" y=\"%n\" width=\"%n\" height=\"%d\"/>\n",
			classes[way], PLOT_LEFT, y, x - PLOT_LEFT, BAR);
		svg_put(svg, "<path class=\"spread\" d=\"M%n %nH%nM%n %nv6M%n %nv6\"/>\n",
			scale_x(result->low[way], most), middle, scale_x(result->high[way], most),
			scale_x(result->low[way], most), middle - 3,
			scale_x(result->high[way], most), middle - 3);
		(void)snprintf(text, sizeof(text), "%.2f", result->ratio[way]);
		double beside = result->high[way] > result->ratio[way]
					? scale_x(result->high[way], most)
					: x;
		svg_put(svg, "<text x=\"%n\" y=\"%n\" font-size=\"11\">%t</text>\n", beside + 7,
			middle + 4, text);
	}
}

static int draw_plot(const char *path, const struct result *results)
{
	FILE *out = fopen(path, "w");
	if (!out)
		return -errno;
	struct svg svg = {.out = out};
	double most = 1.5;
	int rows = 0;
	for (size_t i = 0; i < NR_WORKLOADS; i++) {
		rows += results[i].measured;
		for (size_t way = ENGINE; way < NR_WAYS; way++)
			if (results[i].measured && results[i].high[way] > most)
				most = results[i].high[way];
	}
	most *= 1.05;
	int bottom = PLOT_TOP + rows * ROW;
	svg_put(&svg,
		"<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" "
		"viewBox=\"0 0 %d %d\">\n<title>The cost of memmap trace</title>\n"
		"<style>text{font-family:\"DejaVu "
		"Sans\",Verdana,sans-serif;fill:#222}.n{font-weight:"
		"bold}.d{fill:#666}.engine{fill:#bbb}.traced{fill:#0072b2}.strict{fill:#8cc3e6}."
		"spread{stroke:#222;"
		"fill:none}.grid{stroke:#ddd}.one{stroke:#222}</style>\n"
		"<rect width=\"%d\" height=\"%d\" fill=\"#fdfdfb\"/>\n",
		PLOT_WIDTH, bottom + 40, PLOT_WIDTH, bottom + 40, PLOT_WIDTH, bottom + 40);
	svg_put(&svg,
		"<text class=\"n\" x=\"20\" y=\"32\" font-size=\"17\">The cost of memmap "
		"trace</text>"
		"<text class=\"d\" x=\"20\" y=\"52\" font-size=\"11\">time against running alone; "
		"median of ratios and their middle half</text>\n");
	static const struct {
		const char *class, *what;
		int x;
	} keys[] = {{"engine", "told of each call, nothing else", 20},
		    {"traced", "traced and checked", 260},
		    {"strict", "with --strict, each call stopped twice", 420}};
	for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
		svg_put(&svg,
			"<rect class=\"%s\" x=\"%d\" y=\"64\" width=\"14\" height=\"11\"/><text "
			"x=\"%d\" y=\"74\" font-size=\"11\">%t</text>\n",
			keys[i].class, keys[i].x, keys[i].x + 18, keys[i].what);
	double step = most > 8 ? 2 : most > 4 ? 1 : most > 2 ? 0.5 : 0.25;
	for (int i = 0; step * i <= most; i++) {
		char text[32];
		double x = scale_x(step * i, most);
		(void)snprintf(text, sizeof(text), "%.2f", step * i);
		svg_put(&svg, "<path class=\"%s\" d=\"M%n %dV%d\"/>",
			step * i == 1 ? "one" : "grid", x, PLOT_TOP - 6, bottom);
		svg_put(&svg,
			"<text class=\"d\" x=\"%n\" y=\"%d\" font-size=\"10\" "
			"text-anchor=\"middle\">%t</text>\n",
			x, bottom + 16, text);
	}
	double y = PLOT_TOP;
	for (size_t i = 0; i < NR_WORKLOADS; i++) {
		if (!results[i].measured)
			continue;
		draw_row(&svg, &workloads[i], &results[i], y, most);
		y += ROW;
	}
	svg_put(&svg, "</svg>\n");
	if (fclose(out) != 0 && svg.error == 0)
		return -errno;
	return svg.error;
}

static int usage(void)
{
	(void)fputs("usage: bench_trace [--rounds=N] [--only=NAME] MEMMAP ENGINE [PLOT.svg]\n",
		    stderr);
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"rounds", required_argument, NULL, 'r'},
						{"only", required_argument, NULL, 'o'},
						{0}};
	size_t rounds = DEFAULT_ROUNDS;
	const char *only = NULL;
	int option;
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (option == 'o')
			only = optarg;
		else if (option == 'r')
			rounds = strtoul(optarg, NULL, 10);
		else
			return usage();
	}
	if (rounds < 3 || rounds > MOST_ROUNDS || argc - optind < 2 || argc - optind > 3)
		return usage();
	memmap_path = argv[optind];
	engine_path = argv[optind + 1];

	double *times = calloc((NR_WAYS + 1) * rounds, sizeof(*times));
	if (!times)
		return 1;
	struct result results[NR_WORKLOADS] = {0};
	bool whole = true, any = false;
	for (size_t i = 0; i < NR_WORKLOADS; i++) {
		if (only && strcmp(only, workloads[i].name) != 0)
			continue;
		any = true;
		whole = measure(&workloads[i], rounds, times, &results[i]) && whole;
	}
	free(times);
	if (!any) {
		(void)fprintf(stderr, "bench_trace: no program is called %s\n", only);
		return 2;
	}
	if (isatty(STDERR_FILENO))
		(void)fputs("\r\033[K", stderr);
	print_table(results);
	if (argc - optind == 3) {
		const char *path = argv[optind + 2];
		int err = draw_plot(path, results);
		if (err < 0) {
			(void)fprintf(stderr, "%s: %s\n", path, strerror(-err));
			return 1;
		}
		printf("plot: %s\n", path);
	}
	return whole ? 0 : 1;
}
