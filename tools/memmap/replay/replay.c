/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rebuilding address spaces from a log. See replay.h.
 *
 * A log that contradicts itself (a mapping that comes where one is, one that goes and never came, a
 * process that nobody started) is refused in the line where it does.
 */
#include "replay/replay.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "trace/calls.h"

/* Whole address spaces are checked after each so many calls, and where the log has a digest. */
#define CALLS_BETWEEN_WHOLE_CHECKS 1000

static enum log_result bad(struct replay *replay, size_t line, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
static enum log_result bad(struct replay *replay, size_t line, const char *format, ...)
{
	char what[160];
	va_list args;
	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	snprintf(replay->error, sizeof(replay->error), "%s:%zu: %s", replay->path, line, what);
	return LOG_BAD;
}

static enum log_result of_errno(struct replay *replay, int err)
{
	return err ? bad(replay, replay->record.line_number, "%s", strerror(-err)) : LOG_GOOD;
}

/*
 * ---- Processes ----
 */

struct replay_process *replay_find(struct replay *replay, pid_t pid)
{
	struct replay_process *processes = replay->processes.items;
	if (replay->last_process < replay->processes.length &&
	    processes[replay->last_process].pid == pid && !processes[replay->last_process].ended)
		return &processes[replay->last_process];
	for (size_t i = replay->processes.length; i-- > 0;) {
		if (processes[i].pid == pid) {
			replay->last_process = i;
			return &processes[i];
		}
	}
	return NULL;
}

/* The process of the record at hand, alive; or NULL, and the record is refused. */
static struct replay_process *find_alive(struct replay *replay)
{
	struct replay_process *process = replay_find(replay, replay->record.pid);
	if (process && !process->ended)
		return process;
	(void)bad(replay, replay->record.line_number,
		  "process %d has not begun, or has ended; the log is damaged",
		  (int)replay->record.pid);
	return NULL;
}

/* A new one, last in the list; invalidates pointers to others. NULL: said why. */
static struct replay_process *add_process(struct replay *replay, pid_t pid, pid_t parent)
{
	const struct replay_process *there = replay_find(replay, pid);
	if (there && !there->ended) {
		(void)bad(replay, replay->record.line_number,
			  "process %d has begun already; the log is damaged", (int)pid);
		return NULL;
	}
	if (!ARRAY_RESERVE(NULL, &replay->processes, 1)) {
		(void)of_errno(replay, -ENOMEM);
		return NULL;
	}
	const struct replay_process *from = replay_find(replay, parent);
	const struct replay_process process = {
		.pid = pid,
		.parent = parent,
		.command = from ? from->command : replay->command,
		.program = from ? from->program : replay->command,
	};
	replay->processes.items[replay->processes.length] = process;
	return &replay->processes.items[replay->processes.length++];
}

static bool is_used(const struct replay *replay, const struct space *space)
{
	for (size_t i = 0; i < replay->processes.length; i++)
		if (replay->processes.items[i].space == space && !replay->processes.items[i].ended)
			return true;
	return false;
}

/* Give a process a space of its own. */
static enum log_result new_space(struct replay *replay, struct replay_process *process,
				 const struct space *parent)
{
	struct space *space = space_create(&replay->spaces, process->pid);
	if (space)
		space->image = parent ? image_copy(parent->image) : image_create();
	if (!space || !space->image) {
		space_put(space);
		return of_errno(replay, -ENOMEM);
	}
	space_put(process->space);
	process->space = space;
	process->shares = 0;
	return replay->checked ? of_errno(replay, replay_check_space(replay, space, parent))
			       : LOG_GOOD;
}

/*
 * ---- Changes ----
 */

static enum log_result change(struct replay *replay, struct space *space,
			      const struct log_change *change)
{
	int err;
	if (change->removed) {
		err = image_remove(space->image, change->range);
		if (err == -ENOENT)
			return bad(replay, change->line_number,
				   "no such mapping has come before; the log is damaged");
		if (replay->checked)
			err = replay_check_remove(replay, space, change->range);
		return of_errno(replay, err);
	}
	const struct memmap_maps_line line = log_change_line(&replay->record, change);
	err = image_insert(space->image, &replay->names, &line);
	if (err == -EEXIST)
		return bad(replay, change->line_number,
			   "another mapping is in the way of this one; the log is damaged");
	if (!err && replay->checked)
		err = replay_check_insert(replay, space, &line);
	return of_errno(replay, err);
}

/* Let the space follow the record at hand. */
static enum log_result apply(struct replay *replay, struct space *space)
{
	const struct log_record *record = &replay->record;
	enum log_result result = LOG_GOOD;
	if (!space && record->changes.length > 0)
		return bad(replay, record->line_number,
			   "process %d has no address space to change; the log is damaged",
			   (int)record->pid);
	for (size_t i = 0; i < record->changes.length && result == LOG_GOOD; i++)
		result = change(replay, space, &record->changes.items[i]);
	if (result == LOG_GOOD && replay->checked && record->changes.length > 0)
		result = of_errno(replay, replay_check_changes(replay, space));
	return result;
}

/*
 * ---- Records ----
 */

static enum log_result command_record(struct replay *replay)
{
	const char *command = replay->record.command;
	const uint32_t name = text_pool_intern(&replay->names, command, strlen(command));
	if (name == TEXT_POOL_FULL)
		return of_errno(replay, -ENOMEM);
	replay->command = name;
	return LOG_GOOD;
}

/* A process without an address space of its own begins, for the plot. */
static enum log_result begin_history(struct replay *replay, pid_t pid, pid_t parent)
{
	if (!replay->history)
		return LOG_GOOD;
	return of_errno(replay,
			history_process(replay->history, pid, parent, replay->record.time, NULL));
}

static enum log_result process_record(struct replay *replay)
{
	const struct log_record *record = &replay->record;
	if (!add_process(replay, record->pid, record->other))
		return LOG_BAD;
	return begin_history(replay, record->pid, record->other);
}

static enum log_result exec_record(struct replay *replay)
{
	const struct log_record *record = &replay->record;
	const bool is_new = record->kind == LOG_ATTACH && !replay_find(replay, record->pid);
	struct replay_process *process =
		is_new ? add_process(replay, record->pid, 0) : find_alive(replay);
	if (!process || (is_new && begin_history(replay, record->pid, 0) != LOG_GOOD))
		return LOG_BAD;
	const uint32_t command =
		text_pool_intern(&replay->names, record->command, strlen(record->command));
	const uint32_t program =
		text_pool_intern(&replay->names, record->program, strlen(record->program));
	if (command == TEXT_POOL_FULL || program == TEXT_POOL_FULL)
		return of_errno(replay, -ENOMEM);
	process->command = command;
	process->program = program;
	enum log_result result = new_space(replay, process, NULL);
	if (result == LOG_GOOD)
		result = apply(replay, process->space);
	if (result == LOG_GOOD && replay->history) {
		int err = history_exec(replay->history, record->pid, record->time, record->command,
				       record->program);
		if (!err)
			err = replay_history_space(replay, process->space);
		result = of_errno(replay, err);
	}
	return result;
}

static enum log_result fork_record(struct replay *replay)
{
	const struct log_record *record = &replay->record;
	struct replay_process *parent = find_alive(replay);
	if (!parent)
		return LOG_BAD;
	struct space *from = parent->space;
	struct replay_process *child = add_process(replay, record->other, record->pid);
	if (!child)
		return LOG_BAD;
	if (!from)
		return bad(replay, record->line_number,
			   "process %d has no address space to copy; the log is damaged",
			   (int)record->pid);
	enum log_result result = LOG_GOOD;
	if (record->kind == LOG_SHARE) {
		from->nr_references++;
		child->space = from;
		child->shares = record->pid;
		return begin_history(replay, record->other, record->pid);
	}
	result = new_space(replay, child, from);
	if (result == LOG_GOOD)
		result = apply(replay, child->space);
	if (result == LOG_GOOD && replay->history) {
		int err = history_fork(replay->history, record->pid, record->other, record->time);
		if (!err)
			err = replay_history_space(replay, child->space);
		result = of_errno(replay, err);
	}
	return result;
}

/* The name of a call, as a constant; NULL: what is logged is none. */
static const char *name_of_call(const char *call)
{
	const size_t length = strcspn(call, "(");
	for (int i = 0; i < NR_CALLS; i++) {
		const char *name = call_name((enum call_id)i);
		if (strlen(name) == length && memcmp(name, call, length) == 0)
			return name;
	}
	return call_name(CALL_OTHER);
}

static enum log_result change_record(struct replay *replay)
{
	const struct log_record *record = &replay->record;
	const struct replay_process *process = find_alive(replay);
	if (!process)
		return LOG_BAD;
	if (record->kind == LOG_CALL && record->number != replay->nr_calls + 1)
		return bad(replay, record->line_number,
			   "call %" PRIu64 " follows call %" PRIu64 "; the log is damaged",
			   record->number, replay->nr_calls);
	enum log_result result = apply(replay, process->space);
	if (result != LOG_GOOD)
		return result;
	if (record->kind == LOG_CALL) {
		replay->nr_calls++;
		if (replay->checked && process->space &&
		    replay->nr_calls % CALLS_BETWEEN_WHOLE_CHECKS == 0)
			result = of_errno(replay, replay_check_whole(replay, process->space));
	}
	if (result == LOG_GOOD && replay->history && process->space) {
		const char *call = record->kind == LOG_CALL ? name_of_call(record->call) : NULL;
		result = of_errno(replay, replay_history_changes(replay, process->space, call));
	}
	return result;
}

static enum log_result maps_record(struct replay *replay)
{
	const struct replay_process *process = find_alive(replay);
	if (!process)
		return LOG_BAD;
	if (!process->space)
		return bad(replay, replay->record.line_number,
			   "process %d has no address space to compare; the log is damaged",
			   (int)replay->record.pid);
	int err = 0;
	if (replay->checked) {
		err = replay_check_digest(replay, process->space);
		if (!err)
			err = replay_check_whole(replay, process->space);
	}
	return of_errno(replay, err);
}

static enum log_result exit_record(struct replay *replay)
{
	const struct log_record *record = &replay->record;
	struct replay_process *process = replay_find(replay, record->pid);
	/* One that was killed before it could be looked at is known by its end alone. */
	if (!process)
		return LOG_GOOD;
	if (process->ended)
		return bad(replay, record->line_number,
			   "process %d has ended already; the log is damaged", (int)record->pid);
	process->ended = true;
	process->wait_status = record->wait_status;
	process->end = record->time;
	if (replay->history)
		history_exit(replay->history, record->pid, record->time, record->wait_status);
	if (process->space && !is_used(replay, process->space)) {
		memmap_mm_release(process->space->mm);
		process->space->mm = NULL;
	}
	return LOG_GOOD;
}

static enum log_result take(struct replay *replay)
{
	const struct log_record *record = &replay->record;
	replay->time = record->time > replay->time ? record->time : replay->time;
	switch (record->kind) {
	case LOG_COMMAND:
		return command_record(replay);
	case LOG_PROCESS:
		return process_record(replay);
	case LOG_EXEC:
	case LOG_ATTACH:
		return exec_record(replay);
	case LOG_FORK:
	case LOG_SHARE:
		return fork_record(replay);
	case LOG_THREAD:
	case LOG_THREAD_END:
		return find_alive(replay) ? LOG_GOOD : LOG_BAD;
	case LOG_CALL:
	case LOG_GROW:
	case LOG_LOOK:
		return change_record(replay);
	case LOG_MAPS:
		return maps_record(replay);
	case LOG_EXIT:
		return exit_record(replay);
	case LOG_END:
		if (record->number != replay->nr_calls)
			return bad(replay, record->line_number,
				   "%" PRIu64 " calls were made, and %" PRIu64
				   " are in the log; it is damaged",
				   record->number, replay->nr_calls);
		return LOG_OVER;
	}
	return LOG_GOOD;
}

/* Has the moment come, with the record at hand still to be taken? */
static bool has_come(const struct replay *replay, const struct replay_moment *until)
{
	const struct log_record *record = &replay->record;
	if (until->has_time && record->kind != LOG_COMMAND && record->time > until->time)
		return true;
	/* Once a call has been made, what follows it is later; before the first, all but a call. */
	return until->has_number && replay->nr_calls >= until->number &&
	       (until->number > 0 || record->kind == LOG_CALL);
}

static void show_progress(struct replay *replay)
{
	const long at = ftell(replay->reader.in);
	if (replay->size > 0 && at >= 0)
		progress_show(&replay->progress, "memmap: %s: call %" PRIu64 ", %d%%", replay->path,
			      replay->nr_calls, (int)((double)at * 100 / (double)replay->size));
	else
		progress_show(&replay->progress, "memmap: %s: call %" PRIu64, replay->path,
			      replay->nr_calls);
}

enum log_result replay_run(struct replay *replay, const struct replay_moment *until)
{
	for (;;) {
		enum log_result result = log_reader_next(&replay->reader, &replay->record);
		if (result == LOG_BAD || result == LOG_CUT_OFF) {
			snprintf(replay->error, sizeof(replay->error), "%s", replay->reader.error);
			/* All that was asked for may have come before. */
			if (result == LOG_CUT_OFF && until->has_number && until->number > 0 &&
			    replay->nr_calls >= until->number)
				return LOG_GOOD;
			return result;
		}
		if (result == LOG_OVER || has_come(replay, until))
			return LOG_GOOD;
		result = take(replay);
		if (replay->record.line_number % 256 == 0 && progress_due(&replay->progress))
			show_progress(replay);
		if (result == LOG_OVER)
			return LOG_GOOD;
		if (result != LOG_GOOD)
			return result;
	}
}

/*
 * ---- Life ----
 */

bool replay_open(struct replay *replay, const char *path, bool plotted, bool checked)
{
	struct stat st;
	*replay = (struct replay){.path = path, .checked = checked};
	if (log_reader_open(&replay->reader, path))
		return false;
	replay->history = plotted ? history_create(NULL, 0) : NULL;
	replay->files = checked ? files_create() : NULL;
	replay->command = text_pool_intern(&replay->names, "", 0);
	if (fstat(fileno(replay->reader.in), &st) == 0 && S_ISREG(st.st_mode))
		replay->size = (uint64_t)st.st_size;
	if ((plotted && !replay->history) || (checked && !replay->files) ||
	    replay->command == TEXT_POOL_FULL) {
		snprintf(replay->error, sizeof(replay->error), "out of memory");
		return false;
	}
	return true;
}

void replay_release(struct replay *replay)
{
	for (size_t i = 0; i < replay->processes.length; i++)
		space_put(replay->processes.items[i].space);
	ARRAY_RELEASE(NULL, &replay->processes);
	files_release(replay->files);
	history_release(replay->history);
	log_record_release(&replay->record);
	log_reader_close(&replay->reader);
	text_pool_release(&replay->names);
}
