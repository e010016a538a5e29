/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The differential fuzzer's main program: run scripts on both sides, compare, shrink what differs.
 *
 *   differential [--seed N] [--steps N] [--seconds N] [--length N] [--failures N] [--no-fresh]
 *                [--verbose] [--counts]
 *   differential [--any-kernel] --replay FILE...
 *
 * With --pages memory has contents: it is touched, copied, and its files change. --platform says
 * what runs our side's guests. With --kernel-only the kernel is asked alone, and compared with what
 * scripts expect.
 *
 * A seed stands for one script of --length steps, generated while it runs. Without --replay, the
 * seeds are N, N+1, ... (N is 1 unless --seed says otherwise) until --steps or --seconds are used
 * up; then, unless --no-fresh, as many again from a fresh seed, which is printed.
 *
 * After each step the result and the whole text of /proc/PID/maps are compared; every few steps the
 * flags of each VMA (smaps), the counts of pages (status), with pages what is resident (smaps), the
 * model's own invariants, and what the files know of their mappings. A difference is shrunk to a shortest script that still shows it,
 * checking everything after each step; the script is printed and can be given to --replay.
 *
 * Exit status: 0 no difference, 1 differences, 2 bad usage, 77 the kernel cannot be asked here.
 */
#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "mm/abi.h"

#include "differential.h"

#define STEPS_BETWEEN_FULL_CHECKS 24

static struct options {
	uint64_t seed, steps;
	double seconds;
	size_t length;
	bool fresh, verbose, counts, kernel_only, pages;
	unsigned int max_failures;
} options = {.seed = 1,
	     .steps = UINT64_MAX,
	     .seconds = 8,
	     .length = 300,
	     .fresh = true,
	     .max_failures = 1};

/* Those that are long; those that are short, of the kernel's side and of the model's. */
static struct open_files files, short_files, own_files;

/* How often each call succeeded and failed: a call that always fails tests little. */
static uint64_t good_calls[NR_OPS], failed_calls[NR_OPS];

struct world {
	struct kernel kernel;
	struct model *model;
	struct surroundings with;
	struct unknowns unknowns;
};

enum kind {
	KIND_NONE,
	KIND_RESULT,
	KIND_EXPECTED,
	KIND_MAPS,
	KIND_FLAGS,
	KIND_STATS,
	KIND_USAGE,
	KIND_INVARIANT,
	KIND_REVERSE_MAP,
	KIND_LEFTOVER,
	KIND_HARNESS, /* the harness is broken, not the model */
};

static const char *const kind_names[] = {
	"nothing",
	"the result",
	"the expected result",
	"maps",
	"the flags of a VMA",
	"the counts of pages",
	"what is resident",
	"an invariant of the model",
	"the reverse map",
	"what is left at the end",
	"the harness",
};

struct difference {
	enum kind kind;
	size_t at; /* the step */
	struct step step;
	struct outcome expected, found;
};

/* ---- Comparing ---- */

/* Print the lines that only one of two texts has. */
static void print_lines_apart(const char *name, const char *text, const char *other)
{
	while (*text) {
		const char *end = strchrnul(text, '\n');
		size_t len = (size_t)(end - text);
		bool found = false;

		for (const char *line = other; *line && !found;) {
			const char *line_end = strchrnul(line, '\n');

			found = (size_t)(line_end - line) == len && !memcmp(line, text, len);
			line = *line_end ? line_end + 1 : line_end;
		}
		if (!found)
			fprintf(stderr, "    %s %.*s\n", name, (int)len, text);
		text = *end ? end + 1 : end;
	}
}

static bool same_flags(struct world *world, unsigned int process, const struct kernel_vmas *vmas,
		       bool verbose)
{
	/* Not every kernel of those that have guard pages shows where there may be some. */
	const uint64_t hidden = kernel_shows_guards() ? 0 : MEMMAP_VM_MAYBE_GUARD;
	bool same = true;

	for (size_t i = 0; i < vmas->len; i++) {
		const struct kernel_vma *k = &vmas->vmas[i];
		struct memmap_vma m = {0};

		if (k->start >= TASK_END)
			continue;
		if (memmap_mm_find_vma(model_mm(world->model, process), k->start, &m) &&
		    !((m.flags ^ k->flags) & ~hidden))
			continue;
		same = false;
		if (verbose)
			fprintf(stderr,
				"    %#llx: kernel %#llx, model %#llx: differing bits %#llx\n",
				(unsigned long long)k->start, (unsigned long long)k->flags,
				(unsigned long long)m.flags,
				(unsigned long long)((m.flags ^ k->flags) & ~hidden));
	}
	return same;
}

static bool same_stats(struct world *world, unsigned int process, bool verbose)
{
	struct memmap_mm_stats model;
	struct kernel_stats kernel;
	bool same = true;

	if (kernel_read_stats(&world->kernel, process, &kernel))
		return false;
	memmap_mm_get_stats(model_mm(world->model, process), &model);
	const struct {
		const char *name;
		uint64_t kernel, model;
	} counts[] = {
		{"total", kernel.total_pages, model.total_pages},
		{"locked", kernel.locked_pages, model.locked_pages},
		{"data", kernel.data_pages, model.data_pages},
		{"stack", kernel.stack_pages, model.stack_pages},
		{"exec", kernel.exec_pages, model.exec_pages},
	};
	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		if (counts[i].kernel == counts[i].model)
			continue;
		same = false;
		if (verbose)
			fprintf(stderr, "    %s pages: kernel %llu, model %llu\n", counts[i].name,
				(unsigned long long)counts[i].kernel,
				(unsigned long long)counts[i].model);
	}
	return same;
}

static enum kind compare_maps(struct world *world, unsigned int process, bool verbose)
{
	const char *model = model_maps(world->model, process);
	const char *kernel = world->kernel.process[process].maps;

	if (!strcmp(model, kernel))
		return KIND_NONE;
	if (verbose) {
		print_lines_apart("kernel", kernel, model);
		print_lines_apart("model ", model, kernel);
	}
	return KIND_MAPS;
}

/* What smaps says. */
static enum kind compare_smaps(struct world *world, unsigned int process, bool verbose)
{
	struct kernel_vmas vmas = {0};
	enum kind kind = KIND_NONE;

	if (kernel_read_smaps(&world->kernel, process, &vmas))
		kind = KIND_HARNESS;
	else if (!same_flags(world, process, &vmas, verbose))
		kind = KIND_FLAGS;
	else if (world->with.pages && !world->with.huge_pages && !world->with.around &&
		 !(world->unknowns.pages_go && kernel_has_swap()) &&
		 !same_usage(&world->kernel, model_mm(world->model, process), process, &vmas,
			     world->unknowns, verbose))
		kind = KIND_USAGE;
	kernel_vmas_release(&vmas);
	return kind;
}

static enum kind compare_all(struct world *world, unsigned int process, bool verbose)
{
	const enum kind kind = compare_smaps(world, process, verbose);

	if (kind)
		return kind;
	if (!same_stats(world, process, verbose))
		return KIND_STATS;
	if (memmap_mm_verify(model_mm(world->model, process)))
		return KIND_INVARIANT;
	if (!model_check_files(world->model))
		return KIND_REVERSE_MAP;
	return KIND_NONE;
}

/* Make one step on both sides and compare. */
static enum kind run_step(struct world *world, const struct step *step, bool all, bool verbose,
			  struct difference *difference)
{
	struct kernel *kernel = &world->kernel;
	enum kind kind;
	struct outcome found, expected;

	if (kernel_run(kernel, step, &expected))
		return KIND_HARNESS;
	if (kernel->alive[step->process] && kernel_read_maps(kernel, step->process))
		return KIND_HARNESS;
	found = options.kernel_only ? expected : model_run(world->model, kernel, step, &expected);
	if (step->op == OP_MADVISE && step->args[2] == MADV_PAGEOUT)
		world->unknowns.pages_go = true;
	if (step->op == OP_VM_READ)
		world->unknowns.pinned = true;
	if (expected.result < 0)
		failed_calls[step->op]++;
	else
		good_calls[step->op]++;
	difference->expected = expected;
	difference->found = found;
	if (found.result != expected.result || found.detail != expected.detail)
		return KIND_RESULT;
	if (step->expects && found.result != step->expected) {
		difference->expected = (struct outcome){.result = step->expected};
		return KIND_EXPECTED;
	}
	if (!kernel->alive[step->process] || options.kernel_only)
		return KIND_NONE;
	const bool forked = step->op == OP_FORK && expected.result == 0;

	kind = compare_maps(world, step->process, verbose);
	if (!kind && forked)
		kind = compare_maps(world, (unsigned int)step->args[0], verbose);
	if (!kind && all)
		kind = compare_all(world, step->process, verbose);
	if (!kind && all && forked)
		kind = compare_all(world, (unsigned int)step->args[0], verbose);
	return kind;
}

static int world_start(struct world *world, struct surroundings with)
{
	const struct open_files *kernels = with.pages ? &short_files : &files;

	memset(world, 0, sizeof(*world));
	world->with = with;
	if (with.pages && (open_files_reset(&short_files) || open_files_reset(&own_files)))
		return -1;
	if (kernel_start(&world->kernel, kernels, with))
		return -1;
	if (options.kernel_only)
		return 0;
	return model_start(&world->model, &world->kernel, kernels, with.pages ? &own_files : NULL,
			   with);
}

static bool world_stop(struct world *world)
{
	kernel_stop(&world->kernel);
	return !world->model || model_stop(world->model);
}

/* Can the step be made at all, after others have been left out? */
static bool step_possible(const struct world *world, const struct step *step)
{
	const bool *alive = world->kernel.alive;

	if ((step->op == OP_VM_READ || step->op == OP_VM_WRITE) && !alive[step->args[0]])
		return false;
	return alive[step->process] && (step->op != OP_FORK || !alive[step->args[0]]);
}

/* A step as a script would have it, with what it returned. */
static void print_step_made(const struct step *step, const struct difference *difference,
			    const struct bases *bases)
{
	struct step made = *step;

	made.expects = true;
	made.expected = difference->expected.result;
	step_print(stderr, &made, bases);
}

/* Run a whole script in a world of its own. */
static void run_script(const struct script *script, bool all, bool verbose,
		       struct difference *difference)
{
	struct world world;

	memset(difference, 0, sizeof(*difference));
	if (world_start(&world, script->with)) {
		difference->kind = KIND_HARNESS;
		return;
	}
	if (!options.kernel_only)
		difference->kind = compare_maps(&world, 0, verbose);
	for (size_t i = 0; i < script->len && !difference->kind; i++) {
		if (!step_possible(&world, &script->steps[i]))
			continue;
		difference->at = i;
		difference->step = script->steps[i];
		difference->kind = run_step(&world, &script->steps[i], all, verbose, difference);
		if (options.verbose)
			print_step_made(&script->steps[i], difference, &world.kernel.bases);
	}
	if (!world_stop(&world) && !difference->kind)
		difference->kind = KIND_LEFTOVER;
}

/* ---- Shrinking ---- */

static struct script without(const struct script *script, size_t from, size_t count)
{
	struct script shorter = {.with = script->with};

	for (size_t i = 0; script->steps && i < script->len; i++)
		if (i < from || i >= from + count)
			script_append(&shorter, script->steps[i]);
	return shorter;
}

/* The script with one fork left out: what its child did is done by the parent. */
static struct script without_fork(const struct script *script, size_t at, struct step fork)
{
	const unsigned int parent = fork.process, child = (unsigned int)fork.args[0];
	struct script shorter = {.with = script->with};

	for (size_t i = 0; script->steps && i < script->len; i++) {
		struct step step = script->steps[i];

		if (i == at)
			continue;
		if (i > at && step.process == child)
			step.process = parent;
		script_append(&shorter, step);
	}
	return shorter;
}

/* Does the shorter script show the same? Then it takes the place of the longer one. */
static bool try_shorter(struct script *script, struct script shorter, struct difference *difference)
{
	struct difference now;

	run_script(&shorter, true, false, &now);
	if (now.kind != difference->kind || now.step.op != difference->step.op) {
		script_release(&shorter);
		return false;
	}
	shorter.len = now.at + 1;
	script_release(script);
	*script = shorter;
	*difference = now;
	return true;
}

/* Leave out whatever can be left out: halves, quarters, ... single steps, until nothing can. */
static void shrink(struct script *script, struct difference *difference)
{
	bool again = true;

	if (!script->len) /* what was read from a fresh executor differs already */
		return;
	script->len = difference->at + 1;
	for (size_t chunk = script->len / 2 ? script->len / 2 : 1; chunk && (again || chunk > 1);) {
		again = false;
		for (size_t from = 0; from + chunk < script->len;) {
			if (try_shorter(script, without(script, from, chunk), difference))
				again = true;
			else
				from += chunk;
		}
		for (size_t i = 0; script->steps && i < script->len && chunk == 1; i++)
			if (script->steps[i].op == OP_FORK && i + 1 < script->len &&
			    try_shorter(script, without_fork(script, i, script->steps[i]),
					difference))
				again = true;
		if (chunk > 1)
			chunk = chunk / 2;
		else if (!again)
			break;
	}
}

static void print_outcome(const char *what, const struct outcome *outcome)
{
	fprintf(stderr, "%s ", what);
	if (outcome->result < 0)
		fprintf(stderr, "%s", error_name(outcome->result));
	else
		fprintf(stderr, "%#llx", (unsigned long long)outcome->result);
	if (outcome->detail)
		fprintf(stderr, " (%#llx)", (unsigned long long)outcome->detail);
	fprintf(stderr, "\n");
}

static void print_difference(const struct script *script, const struct difference *difference,
			     const struct bases *bases)
{
	struct difference again;

	fprintf(stderr, "differential: %s differs at the last step of this script:\n",
		kind_names[difference->kind]);
	script_print(stderr, script, bases);
	print_outcome("  expected", &difference->expected);
	print_outcome("     found", &difference->found);
	run_script(script, !script->maps_only, true, &again);
}

/* ---- Running seeds ---- */

/* Generate and run the script of one seed. Returns the number of steps made; sets `*failed`. */
static size_t run_seed(uint64_t seed, bool *failed)
{
	struct script script = {0};
	struct generator generator;
	struct difference difference = {0};
	struct world world = {0};
	struct bases bases;
	struct kernel probe;
	char no_maps[1] = "";
	size_t steps;

	/* What the script is like decides how the executor is started, and is needed first. */
	memset(&probe, 0, sizeof(probe));
	probe.process[0].maps = no_maps;
	generator_start(&generator, seed, options.pages, &probe, &script);
	generator_release(&generator);
	if (world_start(&world, script.with))
		exit(77);
	generator_start(&generator, seed, options.pages, &world.kernel, &script);
	bases = world.kernel.bases;
	if (!options.kernel_only)
		difference.kind = compare_maps(&world, 0, true);
	for (size_t i = 0; i < options.length && !difference.kind; i++) {
		const struct step step = generator_next(&generator, &world.kernel);
		const bool all = i % STEPS_BETWEEN_FULL_CHECKS == STEPS_BETWEEN_FULL_CHECKS - 1;

		script_append(&script, step);
		difference.at = i;
		difference.step = step;
		difference.kind = run_step(&world, &step, all, false, &difference);
		if (options.verbose)
			print_step_made(&step, &difference, &bases);
	}
	generator_release(&generator);
	if (!world_stop(&world) && !difference.kind)
		difference.kind = KIND_LEFTOVER;
	steps = script.len;
	if (difference.kind) {
		struct difference first;

		*failed = true;
		/* Where does it begin, when everything is checked after each step? */
		run_script(&script, true, false, &first);
		fprintf(stderr, "differential: seed %llu: %s differs after %zu steps%s\n",
			(unsigned long long)seed, kind_names[difference.kind], difference.at + 1,
			first.kind ? "" : ", but not when run again");
		if (first.kind && first.kind != KIND_HARNESS) {
			shrink(&script, &first);
			print_difference(&script, &first, &bases);
		} else {
			script_print(stderr, &script, &bases);
		}
	}
	script_release(&script);
	return steps;
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

/* Run seeds from `seed` on. Returns how many of them failed. */
static unsigned int run_seeds(uint64_t seed)
{
	const double start = now();
	unsigned int failures = 0, scripts = 0;
	uint64_t steps = 0;

	while (steps < options.steps && now() - start < options.seconds &&
	       failures < options.max_failures) {
		bool failed = false;

		steps += run_seed(seed++, &failed);
		failures += failed;
		scripts++;
	}
	printf("differential: %llu steps in %u scripts, %u with a difference, %.1f s\n",
	       (unsigned long long)steps, scripts, failures, now() - start);
	fflush(stdout);
	return failures;
}

static unsigned int replay(const char *path)
{
	struct script script = {0};
	struct difference difference;
	struct kernel kernel;
	struct bases bases;
	unsigned int failures = 0;

	/* What it is to be started with decides where things are, and is needed first. */
	memset(&bases, 0, sizeof(bases));
	if (script_read(path, &script, &bases))
		return 1;
	if (kernel_start(&kernel, script.with.pages ? &short_files : &files, script.with))
		exit(77);
	bases = kernel.bases;
	kernel_stop(&kernel);
	script_release(&script);
	if (script_read(path, &script, &bases))
		return 1;
	run_script(&script, !script.maps_only, false, &difference);
	if (difference.kind) {
		fprintf(stderr, "differential: %s:\n", path);
		if (script.len)
			script.len = difference.at + 1;
		print_difference(&script, &difference, &bases);
		failures = 1;
	}
	printf("differential: %s: %zu steps, %s\n", path, script.len, failures ? "FAILED" : "good");
	script_release(&script);
	return failures;
}

static const char *const platform_names[NR_PLATFORMS] = {"table", "none", "soft", "inproc",
							 "userfault"};

static void usage(void)
{
	fprintf(stderr, "usage: differential [--seed N] [--steps N] [--seconds N] [--length N]\n"
			"                    [--failures N] [--no-fresh] [--verbose] [--counts]\n"
			"                    [--any-kernel] [--kernel-only] [--pages]\n"
			"                    [--platform table|none|soft|inproc|userfault]\n"
			"       differential --replay FILE...\n");
	exit(2);
}

static enum platform platform_of(const char *name)
{
	for (int i = 0; i < NR_PLATFORMS; i++)
		if (!strcmp(name, platform_names[i]))
			return (enum platform)i;
	usage();
	return NR_PLATFORMS;
}

static uint64_t number(const char *text)
{
	char *end;
	uint64_t value = strtoull(text, &end, 0);

	if (!*text || *end)
		usage();
	return value;
}

/* The model is that of Linux 6.18: older kernels differ, and that is no news. */
static bool kernel_is_too_old(void)
{
	struct utsname name;
	unsigned int major = 0, minor = 0;

	if (uname(&name) || sscanf(name.release, "%u.%u", &major, &minor) != 2)
		return false;
	if (major > 6 || (major == 6 && minor >= 18))
		return false;
	printf("differential: skipped: the model follows Linux 6.18 and later, this is %s "
	       "(--any-kernel compares all the same)\n",
	       name.release);
	return true;
}

int main(int argc, char **argv)
{
	static const struct option longs[] = {
		{"seed", required_argument, NULL, 's'},
		{"steps", required_argument, NULL, 'n'},
		{"seconds", required_argument, NULL, 't'},
		{"length", required_argument, NULL, 'l'},
		{"failures", required_argument, NULL, 'f'},
		{"no-fresh", no_argument, NULL, 'F'},
		{"verbose", no_argument, NULL, 'v'},
		{"counts", no_argument, NULL, 'c'},
		{"replay", no_argument, NULL, 'r'},
		{"any-kernel", no_argument, NULL, 'a'},
		{"kernel-only", no_argument, NULL, 'k'},
		{"pages", no_argument, NULL, 'p'},
		{"platform", required_argument, NULL, 'P'},
		{NULL, 0, NULL, 0},
	};
	unsigned int failures = 0;
	bool replaying = false, any_kernel = false;
	int option;

	while ((option = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (option) {
		case 's':
			options.seed = number(optarg);
			break;
		case 'n':
			options.steps = number(optarg);
			break;
		case 't':
			options.seconds = (double)number(optarg);
			break;
		case 'l':
			options.length = number(optarg);
			break;
		case 'f':
			options.max_failures = (unsigned int)number(optarg);
			break;
		case 'F':
			options.fresh = false;
			break;
		case 'c':
			options.counts = true;
			break;
		case 'v':
			options.verbose = true;
			break;
		case 'r':
			replaying = true;
			break;
		case 'a':
			any_kernel = true;
			break;
		case 'k':
			options.kernel_only = true;
			break;
		case 'p':
			options.pages = true;
			break;
		case 'P':
			model_platform = platform_of(optarg);
			break;
		default:
			usage();
		}
	}
	if (replaying == (optind == argc))
		usage();
	if (!any_kernel && kernel_is_too_old())
		return 77;
	signal(SIGPIPE, SIG_IGN);
	if (open_files_create(&files, false) || open_files_create(&short_files, true) ||
	    open_files_create(&own_files, true)) {
		printf("differential: skipped: the files to map cannot be made here\n");
		return 77;
	}
	if (replaying) {
		for (; optind < argc; optind++)
			failures += replay(argv[optind]);
	} else {
		failures = run_seeds(options.seed);
		if (options.fresh && !failures) {
			uint64_t fresh =
				(unsigned long)time(NULL) * 1000003UL + (unsigned long)getpid();

			printf("differential: fresh seed %llu\n", (unsigned long long)fresh);
			failures += run_seeds(fresh);
		}
	}
	for (int op = 0; op < NR_OPS && options.counts; op++)
		printf("  %-12s %10llu good %10llu failed\n", op_name((enum op)op),
		       (unsigned long long)good_calls[op], (unsigned long long)failed_calls[op]);
	open_files_destroy(&files);
	open_files_destroy(&short_files);
	open_files_destroy(&own_files);
	return failures ? 1 : 0;
}
