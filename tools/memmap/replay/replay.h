/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Rebuilding address spaces from the log of a trace.
 *
 *   replay.c          processes and their spaces, record by record
 *   replay_history.c  the same as a history, to be drawn
 *   replay_check.c    the same by the model, with the reverse map of every file
 *   replay_command.c  the command line
 *
 * Locking: none
 */
#ifndef MEMMAP_TOOL_REPLAY_H
#define MEMMAP_TOOL_REPLAY_H

#include <stdint.h>
#include <sys/types.h>

#include "common/terminal.h"
#include "history/history.h"
#include "log/log_reader.h"
#include "replay/image.h"
#include "trace/files.h"
#include "trace/process.h"

struct replay_process {
	pid_t pid, parent;
	uint32_t command, program; /* in the pool */
	struct space *space;       /* NULL: it has none yet. Kept when it has ended */
	pid_t shares;              /* whose space it began in, and still has; or 0 */
	bool ended;
	int wait_status;
	uint64_t end; /* when it ended, ns */
};

/* What has been checked, and what was wrong. */
struct replay_check {
	uint64_t nr_changes;      /* records of changes compared with the model */
	uint64_t nr_whole;        /* whole texts compared */
	uint64_t nr_digests;      /* with the kernel's */
	uint64_t nr_reverse_maps; /* comparisons of all reverse maps */
	uint64_t nr_differences;
};

/* Where to stop. */
struct replay_moment {
	bool has_number, has_time;
	uint64_t number; /* just after this call; 0: before the first */
	uint64_t time;   /* ns; after all that happened until then */
};

struct replay {
	const char *path;
	struct log_reader reader;
	struct log_record record;
	struct text_pool names; /* of mappings, commands and programs */
	struct space *spaces;
	ARRAY(struct replay_process) processes;
	size_t last_process; /* the one found last */
	uint32_t command;    /* of the trace */
	uint64_t nr_calls, time;
	struct history *history; /* NULL: no plot is wanted */
	bool checked;
	struct progress progress;
	uint64_t size; /* of the log, in bytes; 0: it is not known */
	struct replay_check check;
	struct files *files; /* of the model, when it is checked */
	char error[384];     /* why it could not go on; "": it did */
};

/** Begin. Says what is wrong. Returns true or false; release it either way. */
bool replay_open(struct replay *replay, const char *path, bool plotted, bool checked);
void replay_release(struct replay *replay);

/**
 * Replay the log up to a moment.
 *
 * Returns:     LOG_GOOD; LOG_CUT_OFF or LOG_BAD, and `error` says why; what came before is replayed
 */
enum log_result replay_run(struct replay *replay, const struct replay_moment *until);

/** The latest process with this number; NULL: there is none. */
struct replay_process *replay_find(struct replay *replay, pid_t pid);

/* ---- replay_history.c: 0 or -ENOMEM ---- */

/** Record what the record at hand has changed in `space`. */
int replay_history_changes(struct replay *replay, const struct space *space, const char *call);

/** Record the whole of a new space. */
int replay_history_space(struct replay *replay, const struct space *space);

/* ---- replay_check.c: 0 or a negative errno, which is of memory alone ---- */

/** A new space, empty or a copy. */
int replay_check_space(struct replay *replay, struct space *space, const struct space *parent);

/** A mapping goes, or comes. */
int replay_check_remove(struct replay *replay, struct space *space, struct memmap_addr_range range);
int replay_check_insert(struct replay *replay, struct space *space,
			const struct memmap_maps_line *line);

/** After a record: is the model what the image is, where that has changed? */
int replay_check_changes(struct replay *replay, struct space *space);

/** The whole of a space, and all reverse maps. */
int replay_check_whole(struct replay *replay, struct space *space);

/** What the kernel has shown: is it what the image is? */
int replay_check_digest(struct replay *replay, const struct space *space);

#endif /* MEMMAP_TOOL_REPLAY_H */
