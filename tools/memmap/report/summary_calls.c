/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The summary's lines on calls: how long they took, where they came from, what they have left. See
 * summary.h.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "plot/plot_text.h"
#include "report/summary.h"

#define CELL        32
#define SHOWN_LEFT  5
#define SHOWN_SITES 10
#define FRAMES      5 /* of a stack that are shown */

struct kind_time {
	uint64_t ns;
	enum call_id id;
};

static int by_time(const void *a, const void *b)
{
	const struct kind_time *first = a, *second = b;
	return first->ns > second->ns ? -1 : first->ns < second->ns;
}

void summary_print_times(const struct trace *trace)
{
	struct kind_time times[NR_CALLS];
	uint64_t all = 0;
	bool estimated = false;
	char time[CELL];
	for (size_t i = 0; i < NR_CALLS; i++)
		times[i] = (struct kind_time){0, (enum call_id)i};
	for (const struct process *p = trace->processes; p; p = p->next) {
		for (size_t i = 0; i < NR_CALLS; i++) {
			const uint64_t ns = process_call_ns(p, (enum call_id)i);
			times[i].ns += ns;
			all += ns;
			estimated |= p->calls.timed[i] < p->calls.made[i];
		}
	}
	if (all == 0)
		return;
	qsort(times, NR_CALLS, sizeof(times[0]), by_time);
	fprintf(stderr, "  in calls    %s%s", estimated ? "about " : "",
		plot_text_duration(all, time, sizeof(time)));
	for (size_t i = 0; i < NR_CALLS && times[i].ns > 0; i++)
		fprintf(stderr, "%s%s %s", i > 0 ? ", " : " (", call_name(times[i].id),
			plot_text_duration(times[i].ns, time, sizeof(time)));
	fprintf(stderr, ")\n");
}

/* The stack of a site, cut to its first frames and indented. */
static void print_stack(const struct trace *trace, uint32_t site, const char *indent)
{
	const char *at = site_text(&trace->sites, site);
	for (int i = 0; i < FRAMES && *at; i++) {
		const char *next = strstr(at, " < ");
		const int length = (int)(next ? next - at : (ptrdiff_t)strlen(at));
		fprintf(stderr, "%s%.*s\n", indent, length, at);
		at = next ? next + 3 : at + length;
	}
}

void summary_print_left(const struct trace *trace)
{
	const struct leftovers *left = &trace->leftovers;
	char count[CELL], bytes[CELL];
	if (left->nr == 0) {
		fprintf(stderr, "  left mapped nothing that the program mapped itself\n");
		return;
	}
	fprintf(stderr, "  left mapped %s that the program made and did not unmap, %s\n",
		plot_text_counted(left->nr, "mapping", count, sizeof(count)),
		plot_text_bytes(left->bytes, bytes, sizeof(bytes)));
	for (size_t i = 0; i < left->largest.length && i < SHOWN_LEFT; i++) {
		const struct leftover *one = &left->largest.items[i];
		char name[64];
		plot_text_fit(one->name, 1, 15, name, sizeof(name));
		fprintf(stderr, "              %9s of %s at 0x%" PRIx64 ", made by call %" PRIu64,
			plot_text_bytes(one->bytes, bytes, sizeof(bytes)), name, one->addr,
			one->call);
		if (trace->counts.processes > 1)
			fprintf(stderr, " of process %d", (int)one->pid);
		fputc('\n', stderr);
	}
}

/*
 * ---- Call sites ----
 */

struct ranked_site {
	const struct site *site;
	uint32_t number;
};

static int by_weight(const void *a, const void *b)
{
	const struct site *first = ((const struct ranked_site *)a)->site;
	const struct site *second = ((const struct ranked_site *)b)->site;
	if (first->nr_calls != second->nr_calls)
		return first->nr_calls > second->nr_calls ? -1 : 1;
	return first->mapped > second->mapped ? -1 : first->mapped < second->mapped;
}

/* Made by the dynamic loader: they come with every program, so one line is enough for all. */
static bool is_loaders(const struct trace *trace, uint32_t number)
{
	const char *text = site_text(&trace->sites, number);
	const size_t first = strcspn(text, "<");
	return memmem(text, first, "(ld-linux", strlen("(ld-linux")) ||
	       memmem(text, first, "(ld-musl", strlen("(ld-musl"));
}

static void add_site(struct site *sum, const struct site *site)
{
	sum->nr_calls += site->nr_calls;
	sum->ns += site->ns;
	sum->mapped += site->mapped;
	sum->left += site->left;
}

static void print_site(const struct site *site, const char *who)
{
	char count[CELL], mapped[CELL], left[CELL], time[CELL];
	fprintf(stderr, "    %s%s in %s, %s mapped", who,
		plot_text_counted(site->nr_calls, "call", count, sizeof(count)),
		plot_text_duration(site->ns, time, sizeof(time)),
		plot_text_bytes(site->mapped, mapped, sizeof(mapped)));
	if (site->left > 0)
		fprintf(stderr, ", %s left", plot_text_bytes(site->left, left, sizeof(left)));
	fprintf(stderr, "\n");
}

void summary_print_sites(const struct trace *trace)
{
	const size_t nr = trace->sites.sites.length;
	if (!trace->options->stacks)
		return;
	struct ranked_site *ranked = nr > 0 ? calloc(nr, sizeof(*ranked)) : NULL;
	fprintf(stderr, "  call sites  %zu", nr);
	if (trace->sites.nr_failed > 0)
		fprintf(stderr, "; %" PRIu64 " calls from stacks that cannot be unwound",
			trace->sites.nr_failed);
	fprintf(stderr, "\n");
	if (!ranked)
		return;
	struct site loader = {0};
	size_t nr_ranked = 0;
	for (size_t i = 0; i < nr; i++) {
		const struct site *site = &trace->sites.sites.items[i];
		if (is_loaders(trace, (uint32_t)i))
			add_site(&loader, site);
		else
			ranked[nr_ranked++] = (struct ranked_site){site, (uint32_t)i};
	}
	qsort(ranked, nr_ranked, sizeof(*ranked), by_weight);
	if (loader.nr_calls > 0)
		print_site(&loader, "the dynamic loader: ");
	for (size_t i = 0; i < nr_ranked && i < SHOWN_SITES; i++) {
		print_site(ranked[i].site, "");
		print_stack(trace, ranked[i].number, "      ");
	}
	free(ranked);
}
