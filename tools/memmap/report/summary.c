/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the trace found, for people.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "common/wait_status.h"
#include "plot/plot_text.h"
#include "report/summary.h"

/* How many differences are printed; the report has them all. */
#define PRINTED_DIFFERENCES 20

/* Room for a number with its unit. */
#define SIZE_TEXT 32

static const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

/* Lines of a quotation, each behind a label of its own width. */
static void print_lines(const char *label, const char *text)
{
	while (*text) {
		const size_t length = strcspn(text, "\n");
		fprintf(stderr, "    %-9s %.*s\n", label, (int)length, text);
		text += length + (text[length] == '\n');
		label = "";
	}
}

static void print_differences(const struct trace *trace)
{
	for (size_t i = 0; i < trace->differences.length && i < PRINTED_DIFFERENCES; i++) {
		const struct difference *d = &trace->differences.items[i];
		fprintf(stderr, "  difference in process %d: %s\n", (int)d->pid, d->text);
		print_lines("expected", d->expected[0] ? d->expected : "(nothing)");
		print_lines("found", d->found[0] ? d->found : "(nothing)");
	}
	if (trace->counts.differences > PRINTED_DIFFERENCES)
		fprintf(stderr, "  ... and %" PRIu64 " more differences\n",
			trace->counts.differences - PRINTED_DIFFERENCES);
}

static void print_end(const struct trace *trace)
{
	const struct process *root = trace->root;
	char how[64];
	if (trace->options->pid && root && !root->ended)
		fprintf(stderr, "(process %d) was let go", (int)root->pid);
	else if (!root || !root->ended)
		fprintf(stderr, "ended");
	else
		fputs(wait_status_text(root->status, how, sizeof(how)), stderr);
	fprintf(stderr, " after %.3f s", (double)(trace->ended - trace->began) / 1e9);
}

static void print_calls(const struct trace *trace)
{
	uint64_t totals[NR_CALLS] = {0};
	for (const struct process *p = trace->processes; p; p = p->next)
		for (size_t i = 0; i < NR_CALLS; i++)
			totals[i] += p->calls.made[i];
	const char *separator = " (";
	fprintf(stderr, "  calls       %" PRIu64, trace->counts.calls);
	for (size_t i = 0; i < NR_CALLS; i++) {
		if (totals[i] == 0)
			continue;
		fprintf(stderr, "%s%s %" PRIu64, separator, call_name((enum call_id)i), totals[i]);
		separator = ", ";
	}
	fprintf(stderr, "%s\n", trace->counts.calls > 0 ? ")" : "");
}

/* What is known without a history. */
static void print_peaks(const struct trace *trace)
{
	const struct process *most = NULL, *largest = NULL;
	for (const struct process *p = trace->processes; p; p = p->next) {
		if (!most || p->max_vmas > most->max_vmas)
			most = p;
		if (!largest || p->peak_bytes > largest->peak_bytes)
			largest = p;
	}
	if (!most)
		return;
	char bytes[SIZE_TEXT];
	fprintf(stderr, "  peak        %s mapped, %zu VMAs\n",
		plot_text_bytes(largest->peak_bytes, bytes, sizeof(bytes)), most->max_vmas);
}

void summary_print(const struct trace *trace)
{
	const struct trace_counts *c = &trace->counts;
	const uint64_t placed = c->addresses_predicted + c->addresses_missed;
	fprintf(stderr, "memmap: %s ", trace->options->command[0]);
	print_end(trace);
	fprintf(stderr, "\n");
	print_calls(trace);
	summary_print_times(trace);
	fprintf(stderr,
		"  checks      %" PRIu64 " results and %" PRIu64 " read off the maps, %" PRIu64
		" parts of maps, %" PRIu64 " whole maps, %" PRIu64 " times the reverse maps\n",
		c->results, c->unwatched, c->near, c->maps, c->reverse_maps);
	fprintf(stderr, "  addresses   %" PRIu64 " of %" PRIu64 " predicted\n",
		c->addresses_predicted, placed);
	fprintf(stderr, "  boundaries  %" PRIu64 " exact, %" PRIu64 " kept by the kernel only",
		c->boundaries_exact, c->boundaries_kernel_only);
	if (c->boundaries_unordered > 0)
		fprintf(stderr, ", %" PRIu64 " left open by threads", c->boundaries_unordered);
	fprintf(stderr, "\n");
	if (c->adopted > 0)
		fprintf(stderr, "  adopted     %" PRIu64 " call%s without rules in the model\n",
			c->adopted, plural(c->adopted));
	if (c->processes > 1)
		fprintf(stderr, "  processes   %" PRIu64 "\n", c->processes);
	if (trace->history)
		summary_print_memory(trace);
	else
		print_peaks(trace);
	summary_print_left(trace);
	summary_print_sites(trace);
	const struct terminal_colours colours = terminal_colours(stderr);
	if (c->differences == 0)
		fprintf(stderr, "  differences %snone%s\n", colours.green, colours.off);
	else
		fprintf(stderr, "  differences %s%" PRIu64 "%s\n", colours.red, c->differences,
			colours.off);
	print_differences(trace);
}
