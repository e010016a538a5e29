/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is kept of a trace beside its checks: the history that the plot and the summary are made
 * of, and the log.
 *
 * trace.c tells of each event here, once the model is what the kernel is. Nothing here can harm the
 * trace: when memory runs out, less is kept.
 *
 * Locking: none
 */
#ifndef MEMMAP_TOOL_RECORD_H
#define MEMMAP_TOOL_RECORD_H

#include "trace/trace.h"

/* What is kept of an address space for the summary. */
struct space_record {
	struct origins origins;
	struct unwinder *unwinder;
	struct memmap_mappable *loader; /* the file of the dynamic loader; NULL: there is none */
	uint64_t brk;                   /* the heap's end, as far as it is known; 0: it is not */
};

/** Free. NULL is ignored. */
void space_record_release(struct space_record *record);

/** The first process begins; its exec follows. */
void record_process(struct trace *trace, const struct process *process);

/** `child` begins in its parent's address space: vfork(2), clone(CLONE_VM). */
void record_share(struct trace *trace, const struct process *parent, const struct process *child);

/** `child` begins with a copy of its parent's address space, which has been checked. */
void record_fork(struct trace *trace, const struct process *parent, const struct process *child);

/** The process has a new address space: after an exec, or (attach) when it is first seen. */
void record_exec(struct trace *trace, const struct process *process);
void record_attach(struct trace *trace, const struct process *process);

/** The process has a new thread. */
void record_thread(struct trace *trace, const struct thread *thread);

/** A call is about to be made: the thread stands still, the model has not made it yet. */
void record_entry(struct trace *trace, struct thread *thread);

/** A call has been made and checked. */
void record_call(struct trace *trace, const struct thread *thread);

/** A process is about to end: its address space can still be looked at. */
void record_leaving(struct trace *trace, const struct thread *thread);

/** A thread has ended, and others of its process live on. */
void record_thread_end(struct trace *trace, const struct thread *thread);

/** The process has ended. */
void record_exit(struct trace *trace, const struct process *process);

#endif /* MEMMAP_TOOL_RECORD_H */
