/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The summary's lines on memory. See summary.h.
 *
 *   peak        3.7 MiB mapped by 812 ls, 48 VMAs
 *               library 2.7 MiB, file 612 KiB, program 144 KiB, stack 132 KiB
 *               libc.so.6 1.87 MiB, locale-archive 348 KiB, [heap] 132 KiB, ...
 *   at exit     3.6 MiB mapped, 46 VMAs
 *   VMAs        ▂▃▄▅▆▇███  at most 48 of 65,530
 *   fragments   46 VMAs in 21 runs, 20 holes of 1.2 MiB in all, the largest 512 KiB
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/vma_kind.h"
#include "plot/plot_text.h"
#include "report/summary.h"
#include "report/usage.h"

#define CELL        32
#define SHOWN       5
#define SPARK_STEPS 32

/* "library 2.7 MiB, file 612 KiB": the largest first, none that are empty. */
static void print_kinds(const struct usage *usage)
{
	bool shown[HISTORY_NR_KINDS] = {false};
	const char *separator = "              ";
	for (int nr = 0; nr < SHOWN; nr++) {
		size_t most = HISTORY_NR_KINDS;
		for (size_t i = 0; i < HISTORY_NR_KINDS; i++)
			if (!shown[i] && usage->kinds[i] > 0 &&
			    (most == HISTORY_NR_KINDS || usage->kinds[i] > usage->kinds[most]))
				most = i;
		if (most == HISTORY_NR_KINDS)
			break;
		char bytes[CELL];
		shown[most] = true;
		fprintf(stderr, "%s%s %s", separator, vma_kind_name((enum history_kind)most),
			plot_text_bytes(usage->kinds[most], bytes, sizeof(bytes)));
		separator = ", ";
	}
	fputc('\n', stderr);
}

static void print_objects(const struct usage *usage)
{
	const char *separator = "              ";
	for (size_t i = 0; i < usage->objects.length && i < SHOWN; i++) {
		char bytes[CELL], name[64];
		plot_text_fit(usage->objects.items[i].name, 1, 15, name, sizeof(name));
		fprintf(stderr, "%s%s %s", separator, name,
			plot_text_bytes(usage->objects.items[i].bytes, bytes, sizeof(bytes)));
		separator = ", ";
	}
	if (usage->objects.length > SHOWN)
		fprintf(stderr, ", and %zu more", usage->objects.length - SHOWN);
	fputc('\n', stderr);
}

static void print_head(const char *label, const struct usage *usage, const char *whose)
{
	char bytes[CELL], reserved[CELL], vmas[CELL];
	fprintf(stderr, "  %-11s %s mapped%s, %s", label,
		plot_text_bytes(usage->bytes - usage->reserved, bytes, sizeof(bytes)), whose,
		plot_text_counted(usage->nr_vmas, "VMA", vmas, sizeof(vmas)));
	if (usage->reserved > 0)
		fprintf(stderr, ", %s reserved",
			plot_text_bytes(usage->reserved, reserved, sizeof(reserved)));
	fputc('\n', stderr);
}

static void print_moments(const struct trace *trace, const struct history_space *space)
{
	const struct history *h = trace->history;
	struct usage usage;
	char whose[96] = "";
	if (trace->counts.processes > 1) {
		char command[64];
		plot_text_fit(plot_text_command(history_name(h, space->command)), 1, 12, command,
			      sizeof(command));
		snprintf(whose, sizeof(whose), " by %d %s",
			 (int)h->processes.items[space->process].pid, command);
	}
	if (usage_at(&usage, h, space, usage_peak_time(space)) == 0) {
		print_head("peak", &usage, whose);
		print_kinds(&usage);
		print_objects(&usage);
		usage_release(&usage);
	}
	if (usage_at(&usage, h, space, usage_end_time(h, space)) == 0) {
		print_head("at exit", &usage, "");
		print_kinds(&usage);
		usage_release(&usage);
	}
}

static bool has_utf8(void)
{
	const char *names[] = {"LC_ALL", "LC_CTYPE", "LANG"};
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *value = getenv(names[i]);
		if (value && *value)
			return strcasestr(value, "utf-8") || strcasestr(value, "utf8");
	}
	return false;
}

static void print_vmas(const struct trace *trace, const struct history_space *space)
{
	static const char *const bars[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
	static const char *const plain[] = {"_", ".", ":", "-", "=", "+", "*", "#"};
	const char *const *marks = has_utf8() ? bars : plain;
	const uint64_t most = space->peak_nr_vmas, limit = trace->machine.max_map_count;
	uint64_t steps[SPARK_STEPS];
	char count[CELL], of[CELL];
	usage_vmas_over_time(trace->history, space, steps, SPARK_STEPS);
	fprintf(stderr, "  VMAs        ");
	for (size_t i = 0; i < SPARK_STEPS; i++)
		fputs(marks[most > 0 ? steps[i] * 7 / most : 0], stderr);
	fprintf(stderr, "  at most %s of %s (%.2g%%)\n",
		plot_text_count(most, count, sizeof(count)), plot_text_count(limit, of, sizeof(of)),
		limit > 0 ? 100.0 * (double)most / (double)limit : 0);
}

static void print_fragments(const struct trace *trace, const struct history_space *space)
{
	struct usage usage;
	char vmas[CELL], runs[CELL], holes[CELL], bytes[CELL], largest[CELL];
	if (usage_at(&usage, trace->history, space, usage_most_vmas_time(space)))
		return;
	fprintf(stderr, "  fragments   %s in %s",
		plot_text_counted(usage.nr_vmas, "VMA", vmas, sizeof(vmas)),
		plot_text_counted(usage.nr_runs, "run", runs, sizeof(runs)));
	if (usage.nr_holes > 0)
		fprintf(stderr, "; %s between them, %s in all, the largest %s",
			plot_text_counted(usage.nr_holes, "hole", holes, sizeof(holes)),
			plot_text_bytes(usage.hole_bytes, bytes, sizeof(bytes)),
			plot_text_bytes(usage.largest_hole, largest, sizeof(largest)));
	fputc('\n', stderr);
	usage_release(&usage);
}

void summary_print_memory(const struct trace *trace)
{
	if (!trace->history)
		return;
	const struct history_space *largest = usage_largest_space(trace->history);
	const struct history_space *most_cut = usage_most_cut_space(trace->history);
	if (!largest || !most_cut)
		return;
	print_moments(trace, largest);
	print_vmas(trace, most_cut);
	print_fragments(trace, most_cut);
}
