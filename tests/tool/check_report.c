/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Is FILE a report of `memmap trace`, with all its members and with totals that agree?
 *
 *   check_report FILE [DIFFERENCES]
 *
 * The report must tell of exactly so many differences; without a number, of none.
 */
#include <jansson.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int failures;

static void fail(const char *where, const char *what)
{
	fprintf(stderr, "check_report: %s: %s\n", where, what);
	failures++;
}

/* The member of an object, which must be there and of this type. */
static json_t *member(const json_t *object, const char *name, json_type type)
{
	json_t *value = json_object_get(object, name);
	if (!value)
		fail(name, "is missing");
	else if (json_typeof(value) != type)
		fail(name, "is of another type");
	else
		return value;
	return NULL;
}

static json_int_t count(const json_t *object, const char *name)
{
	const json_t *value = member(object, name, JSON_INTEGER);
	const json_int_t n = value ? json_integer_value(value) : 0;
	if (n < 0)
		fail(name, "is negative");
	return n;
}

/* Those that were attached to may go on after the report. */
static bool attached;

static json_int_t check_process(const json_t *process)
{
	json_int_t total = 0;
	const char *name;
	json_t *calls = member(process, "calls", JSON_OBJECT), *n;
	json_object_foreach(calls, name, n)
	{
		if (json_integer_value(n) <= 0)
			fail(name, "is not a count of calls");
		total += json_integer_value(n);
	}
	if (count(process, "pid") <= 0)
		fail("pid", "is not one");
	(void)count(process, "parent");
	member(process, "command", JSON_STRING);
	const json_t *status = json_object_get(process, "exit_status");
	const json_t *signal = json_object_get(process, "signal");
	if (!status || !signal)
		fail("process", "does not tell how it ended");
	else if (json_is_integer(status) == json_is_integer(signal) &&
		 !(attached && json_is_null(status)))
		fail("process", "has both an exit status and a signal, or neither");
	if (total > 0 && count(process, "max_vmas") == 0)
		fail("max_vmas", "is 0 though calls were made");
	if (total > 0 && count(process, "peak_mapped_bytes") == 0)
		fail("peak_mapped_bytes", "is 0 though calls were made");
	return total;
}

/* An earlier process; 0 for the first, and for one whose parent was gone too soon to tell of it. */
static void check_parent(const json_t *processes, size_t i)
{
	const json_int_t parent = count(json_array_get(processes, i), "parent");
	bool found = parent == 0;
	for (size_t k = 0; k < i; k++)
		found |= count(json_array_get(processes, k), "pid") == parent;
	if (!found || (i == 0 && parent != 0))
		fail("parent", "is no process that began before");
}

static void check_processes(const json_t *report)
{
	json_int_t calls = 0;
	json_t *processes = member(report, "processes", JSON_ARRAY);
	for (size_t i = 0; i < json_array_size(processes); i++) {
		const json_t *process = json_array_get(processes, i);
		calls += check_process(process);
		check_parent(processes, i);
	}
	if (json_array_size(processes) == 0)
		fail("processes", "is empty");
	if (calls != count(report, "calls"))
		fail("calls", "is not the sum over all processes");
}

static void check_differences(const json_t *report, json_int_t expected)
{
	json_t *differences = member(report, "differences", JSON_ARRAY);
	for (size_t i = 0; i < json_array_size(differences); i++) {
		const json_t *difference = json_array_get(differences, i);
		if (count(difference, "pid") <= 0)
			fail("pid", "of a difference is not one");
		member(difference, "call", JSON_STRING);
		member(difference, "arguments", JSON_STRING);
		const json_t *e = member(difference, "expected", JSON_STRING);
		const json_t *f = member(difference, "found", JSON_STRING);
		if (e && f && strcmp(json_string_value(e), json_string_value(f)) == 0)
			fail("difference", "found what was expected");
	}
	if (count(report, "nr_differences") != expected ||
	    (json_int_t)json_array_size(differences) != expected)
		fail("differences", "are not as many as they should be");
}

static void check_totals(const json_t *report)
{
	const json_t *checks = member(report, "checks", JSON_OBJECT);
	const json_t *addresses = member(report, "addresses", JSON_OBJECT);
	const json_t *boundaries = member(report, "boundaries", JSON_OBJECT);
	const json_int_t calls = count(report, "calls"),
			 results =
				 count(checks, "results") + count(checks, "results_read_off_maps");
	if (results > calls)
		fail("checks", "are of more results than there were calls");
	if (count(checks, "total") !=
	    results + count(checks, "near") + count(checks, "maps") + count(checks, "reverse_maps"))
		fail("total", "is not the sum of all checks");
	/* Of most calls the result and the maps are compared. */
	if (results + count(report, "adopted") < calls * 3 / 4)
		fail("checks", "are of too few results");
	if (json_is_null(json_object_get(report, "failure")) &&
	    count(checks, "near") + count(checks, "maps") < results)
		fail("checks", "are of fewer maps than results");
	if (count(addresses, "predicted") + count(addresses, "missed") > calls)
		fail("addresses", "are more than calls");
	if (calls > 0 && count(boundaries, "exact") == 0)
		fail("boundaries", "are none though calls were made");
	(void)count(boundaries, "kernel_only");
	(void)count(boundaries, "unordered");
}

int main(int argc, char **argv)
{
	json_error_t error;
	json_t *report = argc > 1 ? json_load_file(argv[1], JSON_REJECT_DUPLICATES, &error) : NULL;
	if (!report) {
		fprintf(stderr, "check_report: %s\n", argc > 1 ? error.text : "no file");
		return 2;
	}
	member(report, "memmap", JSON_STRING);
	const json_t *command = member(report, "command", JSON_ARRAY);
	if (json_array_size(command) == 0)
		fail("command", "is empty");
	if (!json_object_get(report, "exit_status") || !json_object_get(report, "failure"))
		fail("report", "does not tell how it ended");
	attached = json_is_true(json_object_get(report, "attached"));
	member(report, "seconds", JSON_REAL);
	check_processes(report);
	check_differences(report, argc > 2 ? atoi(argv[2]) : 0);
	check_totals(report);
	json_decref(report);
	return failures > 0;
}
