/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the trace found, for programs: one JSON object. memmap(1) describes its members.
 *
 * Paths and arguments are bytes, JSON is Unicode: bytes that are no UTF-8 become U+FFFD.
 */
#include <errno.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

#include "trace.h"

/* The length of the UTF-8 sequence at `s`; 0: there is none. */
static size_t sequence_length(const unsigned char *s)
{
	static const struct {
		unsigned char mask, lead;
		size_t length;
	} kinds[] = {{0x80, 0x00, 1}, {0xe0, 0xc0, 2}, {0xf0, 0xe0, 3}, {0xf8, 0xf0, 4}};
	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if ((s[0] & kinds[i].mask) != kinds[i].lead)
			continue;
		for (size_t k = 1; k < kinds[i].length; k++)
			if ((s[k] & 0xc0) != 0x80)
				return 0;
		return kinds[i].length;
	}
	return 0;
}

static json_t *text(const char *bytes)
{
	static const char replacement[] = "\xef\xbf\xbd";
	json_t *string = json_string(bytes);
	if (string)
		return string;
	char *fixed = malloc(3 * strlen(bytes) + 1), *out = fixed;
	if (!fixed)
		return NULL;
	for (const unsigned char *s = (const unsigned char *)bytes; *s;) {
		size_t n = sequence_length(s);
		json_t *one = n > 0 ? json_stringn((const char *)s, n) : NULL;
		if (one) {
			memcpy(out, s, n);
			out += n;
			s += n;
		} else {
			memcpy(out, replacement, 3);
			out += 3;
			s++;
		}
		json_decref(one);
	}
	string = json_stringn(fixed, (size_t)(out - fixed));
	free(fixed);
	return string;
}

static json_t *number(uint64_t n)
{
	return json_integer((json_int_t)n);
}

static json_t *command_of(const struct trace *trace)
{
	json_t *words = json_array();
	for (char **word = trace->options->command; *word; word++)
		json_array_append_new(words, text(*word));
	return words;
}

static json_t *counts_of(const struct process *process)
{
	json_t *calls = json_object();
	for (size_t i = 0; i < NR_CALLS; i++)
		if (process->counts[i] > 0)
			json_object_set_new(calls, call_name((enum call_id)i),
					    number(process->counts[i]));
	return calls;
}

static json_t *process_of(const struct process *process)
{
	json_t *object = json_object();
	json_object_set_new(object, "pid", json_integer(process->pid));
	json_object_set_new(object, "parent", json_integer(process->parent));
	json_object_set_new(object, "command", text(process->command ? process->command : "?"));
	json_object_set_new(object, "exit_status",
			    process->ended && WIFEXITED(process->status)
				    ? json_integer(WEXITSTATUS(process->status))
				    : json_null());
	json_object_set_new(object, "signal",
			    process->ended && WIFSIGNALED(process->status)
				    ? json_integer(WTERMSIG(process->status))
				    : json_null());
	json_object_set_new(object, "calls", counts_of(process));
	json_object_set_new(object, "max_vmas", number(process->max_vmas));
	json_object_set_new(object, "peak_mapped_bytes", number(process->peak_bytes));
	return object;
}

/* "mmap(NULL, 0x1000)" without its name and parentheses. */
static json_t *arguments_of(const char *call)
{
	const char *open = strchr(call, '(');
	if (!open)
		return text(call);
	char *arguments = strdup(open + 1);
	if (!arguments)
		return NULL;
	const size_t length = strlen(arguments);
	if (length > 0 && arguments[length - 1] == ')')
		arguments[length - 1] = '\0';
	json_t *string = text(arguments);
	free(arguments);
	return string;
}

static json_t *difference_of(const struct difference *difference)
{
	json_t *object = json_object();
	json_object_set_new(object, "pid", json_integer(difference->pid));
	json_object_set_new(object, "call", text(call_name(difference->call)));
	json_object_set_new(object, "arguments", arguments_of(difference->text));
	json_object_set_new(object, "expected", text(difference->expected));
	json_object_set_new(object, "found", text(difference->found));
	return object;
}

static json_t *checks_of(const struct trace_counts *c)
{
	json_t *object = json_object();
	json_object_set_new(object, "results", number(c->results));
	json_object_set_new(object, "maps", number(c->maps));
	json_object_set_new(object, "reverse_maps", number(c->reverse_maps));
	json_object_set_new(object, "total", number(c->results + c->maps + c->reverse_maps));
	return object;
}

static json_t *pair(const char *first, uint64_t a, const char *second, uint64_t b)
{
	json_t *object = json_object();
	json_object_set_new(object, first, number(a));
	json_object_set_new(object, second, number(b));
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
	json_object_set_new(report, "exit_status",
			    trace->root && trace->root->ended
				    ? json_integer(exit_code_of(trace->root->status))
				    : json_null());
	json_object_set_new(report, "failure",
			    trace->failure[0] ? text(trace->failure) : json_null());
	json_object_set_new(report, "seconds",
			    json_real((double)(trace->ended - trace->began) / 1e9));
	json_object_set_new(report, "calls", number(c->calls));
	json_object_set_new(report, "adopted", number(c->adopted));
	json_object_set_new(report, "checks", checks_of(c));
	json_object_set_new(
		report, "addresses",
		pair("predicted", c->addresses_predicted, "missed", c->addresses_missed));
	json_t *boundaries =
		pair("exact", c->boundaries_exact, "kernel_only", c->boundaries_kernel_only);
	json_object_set_new(boundaries, "unordered", number(c->boundaries_unordered));
	json_object_set_new(report, "boundaries", boundaries);
	json_object_set_new(report, "nr_differences", number(c->differences));
	json_object_set_new(report, "differences", differences);
	json_object_set_new(report, "processes", processes);
	return report;
}

int report_write(const struct trace *trace, FILE *out)
{
	/* A member that could not be made for want of memory is missing; so no member is tested. */
	json_t *report = report_of(trace);
	if (!report)
		return -ENOMEM;
	errno = 0;
	int err = json_dumpf(report, out, JSON_INDENT(2)) ? -(errno ? errno : EIO) : 0;
	if (!err && fputc('\n', out) == EOF)
		err = -errno;
	json_decref(report);
	return err;
}
