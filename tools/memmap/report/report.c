/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the trace found, for programs: one JSON object. memmap(1) describes its members.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "common/json_text.h"
#include "trace/trace.h"

static json_t *command_of(const struct trace *trace)
{
	json_t *words = json_array();
	for (char **word = trace->options->command; *word; word++)
		json_array_append_new(words, json_text(*word));
	return words;
}

static uint64_t count_of(const struct process *process, enum call_id id)
{
	return process->calls.made[id];
}

/* Of how many calls the exit was seen: from those, the times of all are estimated. */
static uint64_t timed_of(const struct process *process, enum call_id id)
{
	return process->calls.timed[id];
}

/* Something of each kind of call that was made, by name. */
static json_t *by_call(const struct process *process,
		       uint64_t (*number)(const struct process *process, enum call_id id))
{
	json_t *calls = json_object();
	for (size_t i = 0; i < NR_CALLS; i++)
		if (process->calls.made[i] > 0)
			json_object_set_new(calls, call_name((enum call_id)i),
					    json_number(number(process, (enum call_id)i)));
	return calls;
}

/* The stack of a site, innermost first; null: it is not known. */
static json_t *stack_of(const struct trace *trace, uint32_t site)
{
	if (site >= trace->sites.sites.length)
		return json_null();
	json_t *frames = json_array();
	for (const char *at = site_text(&trace->sites, site); *at;) {
		const char *next = strstr(at, " < ");
		char *frame = strndup(at, next ? (size_t)(next - at) : strlen(at));
		json_array_append_new(frames, json_text(frame));
		free(frame);
		at = next ? next + 3 : at + strlen(at);
	}
	return frames;
}

static json_t *left_of(const struct trace *trace)
{
	json_t *object = json_object(), *largest = json_array();
	for (size_t i = 0; i < trace->leftovers.largest.length; i++) {
		const struct leftover *left = &trace->leftovers.largest.items[i];
		json_t *one = json_object();
		json_object_set_new(one, "pid", json_integer(left->pid));
		json_object_set_new(one, "call", json_number(left->call));
		json_object_set_new(one, "address", json_address(left->addr));
		json_object_set_new(one, "bytes", json_number(left->bytes));
		json_object_set_new(one, "name", json_text(left->name));
		json_object_set_new(one, "stack", stack_of(trace, left->site));
		json_array_append_new(largest, one);
	}
	json_object_set_new(object, "mappings", json_number(trace->leftovers.nr));
	json_object_set_new(object, "bytes", json_number(trace->leftovers.bytes));
	json_object_set_new(object, "largest", largest);
	return object;
}

static json_t *sites_of(const struct trace *trace)
{
	if (!trace->options->stacks)
		return json_null();
	json_t *list = json_array();
	for (size_t i = 0; i < trace->sites.sites.length; i++) {
		const struct site *site = &trace->sites.sites.items[i];
		json_t *one = json_object();
		json_object_set_new(one, "calls", json_number(site->nr_calls));
		json_object_set_new(one, "ns", json_number(site->ns));
		json_object_set_new(one, "mapped_bytes", json_number(site->mapped));
		json_object_set_new(one, "left_bytes", json_number(site->left));
		json_object_set_new(one, "stack", stack_of(trace, (uint32_t)i));
		json_array_append_new(list, one);
	}
	return list;
}

static json_t *process_of(const struct process *process)
{
	json_t *object = json_object();
	json_object_set_new(object, "pid", json_integer(process->pid));
	json_object_set_new(object, "parent", json_integer(process->parent));
	json_object_set_new(object, "command",
			    json_text(process->command ? process->command : "?"));
	json_object_set_new(object, "exit_status",
			    process->ended && WIFEXITED(process->status)
				    ? json_integer(WEXITSTATUS(process->status))
				    : json_null());
	json_object_set_new(object, "signal",
			    process->ended && WIFSIGNALED(process->status)
				    ? json_integer(WTERMSIG(process->status))
				    : json_null());
	json_object_set_new(object, "calls", by_call(process, count_of));
	json_object_set_new(object, "call_ns", by_call(process, process_call_ns));
	json_object_set_new(object, "calls_timed", by_call(process, timed_of));
	json_object_set_new(object, "max_vmas", json_number(process->max_vmas));
	json_object_set_new(object, "peak_mapped_bytes", json_number(process->peak_bytes));
	return object;
}

/* "mmap(NULL, 0x1000)" without its name and parentheses. */
static json_t *arguments_of(const char *call)
{
	const char *open = strchr(call, '(');
	if (!open)
		return json_text(call);
	char *arguments = strdup(open + 1);
	const size_t length = arguments ? strlen(arguments) : 0;
	if (length > 0 && arguments[length - 1] == ')')
		arguments[length - 1] = '\0';
	json_t *string = json_text(arguments);
	free(arguments);
	return string;
}

static json_t *difference_of(const struct difference *difference)
{
	json_t *object = json_object();
	json_object_set_new(object, "pid", json_integer(difference->pid));
	json_object_set_new(object, "call", json_text(call_name(difference->call)));
	json_object_set_new(object, "arguments", arguments_of(difference->text));
	json_object_set_new(object, "expected", json_text(difference->expected));
	json_object_set_new(object, "found", json_text(difference->found));
	return object;
}

static json_t *checks_of(const struct trace_counts *c)
{
	json_t *object = json_object();
	json_object_set_new(object, "results", json_number(c->results));
	json_object_set_new(object, "results_read_off_maps", json_number(c->unwatched));
	json_object_set_new(object, "near", json_number(c->near));
	json_object_set_new(object, "maps", json_number(c->maps));
	json_object_set_new(object, "reverse_maps", json_number(c->reverse_maps));
	json_object_set_new(
		object, "total",
		json_number(c->results + c->unwatched + c->near + c->maps + c->reverse_maps));
	return object;
}

static json_t *pair(const char *first, uint64_t a, const char *second, uint64_t b)
{
	json_t *object = json_object();
	json_object_set_new(object, first, json_number(a));
	json_object_set_new(object, second, json_number(b));
	return object;
}

static json_t *report_of(const struct trace *trace)
{
	const struct trace_counts *c = &trace->counts;
	json_t *report = json_object(), *processes = json_array(), *differences = json_array();
	for (const struct process *p = trace->processes; p; p = p->next)
		json_array_append_new(processes, process_of(p));
	for (size_t i = 0; i < trace->differences.length; i++)
		json_array_append_new(differences, difference_of(&trace->differences.items[i]));
	json_object_set_new(report, "memmap", json_string(MEMMAP_VERSION));
	json_object_set_new(report, "command", command_of(trace));
	json_object_set_new(report, "attached", json_boolean(trace->options->pid != 0));
	json_object_set_new(report, "exit_status",
			    trace->root && trace->root->ended
				    ? json_integer(exit_code_of(trace->root->status))
				    : json_null());
	json_object_set_new(report, "failure",
			    trace->failure[0] ? json_text(trace->failure) : json_null());
	json_object_set_new(report, "seconds",
			    json_real((double)(trace->ended - trace->began) / 1e9));
	json_object_set_new(report, "model_seconds", json_real((double)trace->model_ns / 1e9));
	json_object_set_new(report, "checks_seconds", json_real((double)trace->checks_ns / 1e9));
	json_object_set_new(report, "calls", json_number(c->calls));
	json_object_set_new(report, "refused_tracing", json_number(c->refused_tracing));
	json_object_set_new(report, "refused_supervising", json_number(c->refused_supervising));
	json_object_set_new(report, "adopted", json_number(c->adopted));
	json_object_set_new(report, "checks", checks_of(c));
	json_object_set_new(
		report, "addresses",
		pair("predicted", c->addresses_predicted, "missed", c->addresses_missed));
	json_t *boundaries =
		pair("exact", c->boundaries_exact, "kernel_only", c->boundaries_kernel_only);
	json_object_set_new(boundaries, "unordered", json_number(c->boundaries_unordered));
	json_object_set_new(report, "boundaries", boundaries);
	json_object_set_new(report, "left", left_of(trace));
	json_object_set_new(report, "sites", sites_of(trace));
	json_object_set_new(report, "nr_differences", json_number(c->differences));
	json_object_set_new(report, "differences", differences);
	json_object_set_new(report, "processes", processes);
	return report;
}

int report_write(const struct trace *trace, FILE *out)
{
	json_begin();
	return json_write(report_of(trace), out);
}
