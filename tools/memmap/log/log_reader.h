/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading the log of a trace, a record at a time. docs/log-format.md describes the lines.
 *
 * Whatever a file holds, it is read or refused; every refusal says in which line.
 *
 * Locking: none
 */
#ifndef MEMMAP_TOOL_LOG_READER_H
#define MEMMAP_TOOL_LOG_READER_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

#include <platform/ptrace/maps_text.h>

#include "common/array.h"

enum log_kind {
	LOG_COMMAND,
	LOG_PROCESS,
	LOG_EXEC,
	LOG_ATTACH,
	LOG_FORK,
	LOG_SHARE,
	LOG_THREAD,
	LOG_THREAD_END,
	LOG_CALL,
	LOG_GROW,
	LOG_LOOK,
	LOG_MAPS,
	LOG_EXIT,
	LOG_END,
};

/* A mapping that comes or goes. */
struct log_change {
	bool removed;
	size_t line_number;
	struct memmap_addr_range range;
	size_t text; /* where its line begins in the record's text, for one that comes */
};

struct log_record {
	enum log_kind kind;
	size_t line_number;
	uint64_t time; /* ns since the start */
	pid_t pid;
	pid_t other;         /* parent, child or thread */
	uint64_t number;     /* CALL: its own; MAPS: of VMAs; END: of calls */
	uint64_t digest;     /* MAPS */
	uint64_t duration;   /* CALL */
	const char *call;    /* CALL: "mmap(...) = 0x..." */
	const char *command; /* EXEC, ATTACH; COMMAND: the words with spaces between */
	const char *program; /* EXEC, ATTACH */
	int wait_status;     /* EXIT */
	ARRAY(struct log_change) changes;
	ARRAY(char) text; /* what the pointers point into */
};

enum log_result {
	LOG_GOOD,
	LOG_OVER,    /* the end record has been read */
	LOG_CUT_OFF, /* the file ends without one: said what and where in `error` */
	LOG_BAD,     /* what stands there is no log: the same */
};

struct log_reader {
	FILE *in;
	const char *path;
	char *line; /* read ahead; NULL: nothing is */
	size_t capacity, length;
	bool has_line, over, wanted_memory;
	size_t line_number; /* of that line */
	char error[256];
};

/**
 * Begin to read; "-" is standard input. Returns 0 or a negative errno. `path` must outlive it.
 */
int log_reader_open(struct log_reader *reader, const char *path);
void log_reader_close(struct log_reader *reader);

/** Read the next record with all its changes into `record`, which begins as {0} and is kept. */
enum log_result log_reader_next(struct log_reader *reader, struct log_record *record);

/** The mapping that a change brings. */
struct memmap_maps_line log_change_line(const struct log_record *record,
					const struct log_change *change);

void log_record_release(struct log_record *record);

#endif /* MEMMAP_TOOL_LOG_READER_H */
