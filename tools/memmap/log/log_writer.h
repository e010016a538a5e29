/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The log of a trace: every call with the mappings that it changed, and all else that an address
 * space goes through, so that it can be rebuilt at any moment. docs/log-format.md describes the
 * lines.
 *
 * A log is written as the trace goes on, a record at a time: whatever becomes of the tracer, what
 * is there is good. When it cannot be written any more, it ends there and the error is kept.
 *
 * Times are those of memmap_monotonic_ns(). The image of a space is what the log has told of it; it belongs
 * to the space.
 *
 * Locking: none
 */
#ifndef MEMMAP_TOOL_LOG_WRITER_H
#define MEMMAP_TOOL_LOG_WRITER_H

#include <sys/types.h>

#include <memmap/mm.h>

#include "replay/image.h"

struct log_writer;

/**
 * Open a log; what the file held stays until log_begin().
 *
 * Returns:     0 or a negative errno
 */
int log_open(const char *path, struct log_writer **out);

/** Begin: the program has been started. */
void log_begin(struct log_writer *log, uint64_t began, char *const *command);

/** End: everything has ended. Returns 0 or the first error of writing. */
int log_end(struct log_writer *log, uint64_t time);

/** Close and free; a log that never began leaves the file as it was. NULL is ignored. */
void log_release(struct log_writer *log);

/** The first process, before its exec. */
void log_process(struct log_writer *log, uint64_t time, pid_t pid, pid_t parent);

/*
 * A process with an address space that the log knows nothing of: `what` is "exec", or "attach" when
 * it was there before the trace.
 */
void log_exec(struct log_writer *log, const char *what, uint64_t time, pid_t pid,
	      const char *command, const char *program, const struct memmap_mm *mm,
	      struct image **image);

/** A child with a copy of its parent's address space, but for what a fork leaves out. */
void log_fork(struct log_writer *log, uint64_t time, pid_t pid, pid_t child,
	      const struct image *parent_image, const struct memmap_mm *child_mm,
	      struct image **child_image);

/** A child in its parent's address space; a thread; a thread's end. */
void log_share(struct log_writer *log, uint64_t time, pid_t pid, pid_t child);
void log_thread(struct log_writer *log, uint64_t time, pid_t pid, pid_t tid);
void log_thread_end(struct log_writer *log, uint64_t time, pid_t pid, pid_t tid);

/* A call as it is logged. */
struct log_call {
	uint64_t time, duration;
	pid_t pid, tid;
	const char *call, *result;           /* in words */
	struct memmap_addr_range touched[2]; /* what it was about; empty ones are allowed */
	bool everywhere;                     /* something may have changed elsewhere, too */
};
void log_call(struct log_writer *log, const struct log_call *call, const struct memmap_mm *mm,
	      struct image *image);

/** What has changed without a call, if anything has. */
void log_look(struct log_writer *log, uint64_t time, pid_t pid, const struct memmap_mm *mm,
	      struct image *image);

/** What the kernel shows as a whole, to check a replay against. */
void log_maps(struct log_writer *log, uint64_t time, pid_t pid, size_t nr_vmas, uint64_t digest);

/** The end of a process, with the status of waitpid(2). */
void log_exit(struct log_writer *log, uint64_t time, pid_t pid, int wait_status);

#endif /* MEMMAP_TOOL_LOG_WRITER_H */
