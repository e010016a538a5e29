/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who is traced: processes, their threads, and the address spaces that they share.
 *
 *   struct process   one thread group; kept to the end, for the report
 *   struct thread    one thread that lives; hangs on the engine's task
 *   struct space     one address space: the model of it, and how to look at the kernel's. Shared by
 *                    the processes that share memory (vfork, clone(CLONE_VM)); referenced by each
 *
 * The memory calls of one space that could meet never overlap: the second waits, stopped, in the
 * space's queue.
 *
 * Locking: none
 */
#ifndef MEMMAP_TOOL_PROCESS_H
#define MEMMAP_TOOL_PROCESS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <memmap/mm.h>

#include <platform/ptrace/process_info.h>
#include <platform/ptrace/tracer.h>

#include "trace/calls.h"

struct image;
struct space_record;
struct opened_file;
struct thread;
struct userfault;

#define NR_EMPTY 8u

struct space {
	struct memmap_mm *mm;
	size_t nr_references;
	struct space *next, **link; /* the list of all spaces */
	pid_t pid;                  /* a process that has it: whom /proc is asked about */
	pid_t recorder;             /* the process under whose name history records it */
	struct memmap_proc_reader maps;
	int pagemap_fd; /* -1: not opened yet */
	/*
	 * While it is copied: the copy, which is asked about pages. It stands still, and has those
	 * that were there when the kernel made it; other threads may have written since.
	 */
	struct space *copy;
	/* Without anonymous pages, and gets none before a call changes it: allocators' reserves. */
	struct memmap_addr_range empty[NR_EMPTY];
	size_t next_empty;
	struct memmap_text text;
	struct process *limits_of; /* whose limits the model has now */
	struct thread *in_flight;  /* whose calls are being made: see turns.c */
	struct thread *first_waiting, *last_waiting;
	bool born_beside; /* copied while other threads ran: what they did just then is open */
	bool brk_unknown; /* attached to: where within a page the break is has not been seen */
	bool uncertain;   /* a call was cut off by a death: the kernel's view is taken over next */
	bool wants_whole; /* what a call was about was not as expected: the whole will tell */
	struct userfault *userfaults; /* with which something is registered: mirror_userfault.c */
	struct image *image;          /* what the log has told of it; NULL: nothing */
	size_t nr_near;               /* calls since the whole of maps was compared */
	bool changed_elsewhere;       /* than where the call at hand was about: see record.c */
	struct space_record *record;  /* what is known of who made what; see record.h */
};

/* How the model takes part in a call. */
enum mirror_mode {
	MIRROR_DONE,    /* it has made the call before the kernel: `predicted` is its result */
	MIRROR_AT_EXIT, /* it needs the kernel's result first */
	MIRROR_ADOPT,   /* it has no rules for the call: the kernel's view is taken over */
	MIRROR_NOTHING, /* the call changes no VMA, but facts that are read again at its exit */
};

struct thread {
	struct process *process;
	struct thread *next, **link; /* the process's threads */
	struct memmap_task *task;
	struct thread *next_waiting, *next_in_flight;
	struct memmap_addr_range around; /* what the call in flight may cut or join: see turns.c */
	/* The call at hand. */
	struct memmap_traced_call call;
	enum call_id id;
	enum mirror_mode mode;
	int64_t predicted;
	uint32_t policy;       /* what mbind(2) asks for: see mirror_policy.c */
	bool predicts_address; /* the kernel was free to choose where */
	bool unwatched;        /* it goes on without a stop at its exit: see unwatched.c */
	bool alone;            /* the process had no other thread when it was begun */
	uint64_t call_began, call_ended; /* as the tracer sees it */
	uint32_t site;                   /* where the program makes it: see stacks.h */
};

/* Calls by their kind. */
struct call_counts {
	uint64_t made[NR_CALLS];
	uint64_t timed[NR_CALLS]; /* those whose exit was seen */
	uint64_t ns[NR_CALLS];    /* how long those took */
};

struct process {
	pid_t pid, parent;
	char *command;
	struct space *space; /* NULL once it has ended */
	struct thread *threads;
	size_t nr_threads;
	size_t nr_copies; /* children that were forked */
	bool ended;
	int status; /* as waitpid(2) gives it */
	struct call_counts calls;
	const struct call_counts *calls_of_all; /* of all processes together */
	size_t max_vmas;
	uint64_t peak_bytes;
	/* What decides results but belongs to the process, not to its address space. */
	struct memmap_mm_limits limits;
	uint64_t stack_limit_at_exec;
	uint32_t personality;
	bool denial_ends; /* limits.deny_write_exec: with this address space, neither fork nor exec
	                     hand it on */
	bool credentials_stale; /* an exec may have changed them since they were read */
	struct process *next;   /* in the order in which they came */
};

/** A space without a model yet, with one reference, in `list`; NULL when out of memory. */
struct space *space_create(struct space **list, pid_t pid);

/** Drop a reference; the last one frees the model. NULL is ignored. */
void space_put(struct space *space);

/** Forget the space's userfaultfds (mirror_userfault.c). */
void userfaults_release(struct space *space);

/**
 * Ask whether `ar` has anonymous pages: the model's hook, whose context is the space.
 */
bool space_has_anonymous(void *context, struct memmap_addr_range ar);

/** `ar` has no anonymous pages, and gets none before a call changes it: remember that. */
void space_note_empty(struct space *space, struct memmap_addr_range ar);

/** A call changes `ar`: of what is remembered around it, the larger part is kept. */
void space_forget_empty(struct space *space, struct memmap_addr_range ar);

/**
 * How long the calls of one kind took, all together, in ns. Where the exits of some only were seen,
 * the others are taken to have been alike; where those of none, like those of all processes.
 */
uint64_t process_call_ns(const struct process *process, enum call_id id);

/**
 * The process has an address space of its own, from a fork or an exec: what ended with the other.
 */
void process_renew(struct process *process);

/** Read the capabilities, which decide what may be locked and how low may be mapped. */
void process_refresh_credentials(struct process *process);

/** Read the limits that the model needs from the kernel. */
void process_refresh_limits(struct process *process);

/** Give the space the limits of `process`, if it has others. */
void process_use_limits(struct process *process);

/** What holds for every process of this machine: vm.max_map_count, overcommit and the like. */
void limits_of_machine(struct memmap_mm_limits *limits);

#endif /* MEMMAP_TOOL_PROCESS_H */
