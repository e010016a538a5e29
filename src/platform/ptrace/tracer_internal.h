/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the two halves of the engine share: tracer.c (the event loop) and attach.c (processes that
 * run already).
 */
#ifndef MEMMAP_PLATFORM_PTRACE_TRACER_INTERNAL_H
#define MEMMAP_PLATFORM_PTRACE_TRACER_INTERNAL_H

#include "notices.h"
#include "tracer.h"

#define TRACER_NR_BUCKETS 1024u

/* What waitpid(2) has reported, to be looked at later. */
struct tracer_report {
	pid_t tid;
	int status;
};

struct memmap_tracer {
	pid_t root;
	struct memmap_launch *launch; /* until the program is executed */
	int options;                  /* of ptrace(2), that every task has at first */
	bool attached;                /* to a process that ran already: every call stops */
	bool by_notices;              /* frequent calls are told by `notices` */
	struct notices notices;
	bool leaving; /* at the next event all are killed; attached: let go */
	size_t nr_tasks;
	size_t nr_early;             /* tasks that wait for their parent's event */
	struct memmap_task *gone;    /* told of as EXITED: freed at the next event */
	struct memmap_task *untold;  /* born dead: its EXITED is the next event */
	struct memmap_task *newborn; /* told of as CLONE's child: goes on at the next event */
	bool has_early;              /* `early` is the next event */
	struct memmap_trace_event early;
	/* What came while attaching: `next_report` is the first that was not looked at. */
	struct tracer_report *reports;
	size_t nr_reports, next_report, report_capacity;
	size_t nr_untold; /* threads attached to and not told of yet */
	struct memmap_task *buckets[TRACER_NR_BUCKETS];
};

struct memmap_task *tracer_find_task(struct memmap_tracer *tracer, pid_t tid);
/* NULL: out of memory. */
struct memmap_task *tracer_add_task(struct memmap_tracer *tracer, pid_t tid);
void tracer_remove_task(struct memmap_tracer *tracer, struct memmap_task *task);
/* Give a clone() that was changed back what it asked for. */
void tracer_restore_untraced(struct memmap_task *task);

/* The next thread that was attached to and is told of now; NULL: none. The leader comes first. */
struct memmap_task *tracer_next_untold(struct memmap_tracer *tracer);
/* From now on, SIGINT, SIGTERM and SIGHUP ask the tracer to end. */
void tracer_leave_on_signals(void);
/* Was it asked to? */
bool tracer_asked_to_leave(void);
/* Let everything go, as if it had never been traced. */
void tracer_let_go(struct memmap_tracer *tracer);

#endif /* MEMMAP_PLATFORM_PTRACE_TRACER_INTERNAL_H */
