/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The tracing engine: runs a program, or attaches to a process that runs already, stops it at its
 * memory calls, and tells what happens.
 *
 * A *task* is one thread that is traced. The engine starts one program, or attaches to all threads
 * of one process, and follows everything that descends from it. Its user pulls events, one at a
 * time, and lets the task of each event go on with memmap_tracer_resume(), at once or later: a task
 * that is not resumed stays stopped, which is how the memory calls of one address space are kept
 * from overlapping.
 *
 *   struct memmap_trace_event ev;
 *   while ((err = memmap_tracer_next(tracer, &ev)) == 0 && ev.kind != MEMMAP_TRACE_DONE) {
 *           ... look at ev ...
 *           if (ev.stopped)
 *                   memmap_tracer_resume(tracer, ev.task);
 *   }
 *
 * The traced program notices nothing: signals, job control, wait statuses and exit codes are what
 * they would be. What it can notice: it cannot be traced a second time; without CAP_SYS_ADMIN
 * set-user-ID programs gain nothing (no_new_privs).
 *
 * A process that runs already cannot be put under a seccomp filter: it stops at every call, entry
 * and exit, and those that are of no interest go on at once. When the tracer goes, it runs on.
 *
 * Nothing here knows what a memory call means; that is the mirror's affair.
 *
 * Locking:  none; ptrace ties a tracer to the thread that created it
 */
#ifndef MEMMAP_PLATFORM_PTRACE_TRACER_H
#define MEMMAP_PLATFORM_PTRACE_TRACER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* Calls whose numbers the C library's headers may not know yet. */
#define MEMMAP_NR_MSEAL 462

/* One traced thread. */
struct memmap_task {
	pid_t tid;
	void *user; /* the embedding program's own */

	/* The rest is the engine's. */
	struct memmap_task *next_in_bucket;
	bool attached; /* its parent's event has been seen */
	bool stopped;
	bool is_thread;       /* another is its process's first: its end is told once, as EXITED */
	bool no_exit;         /* it does not stop on its way out */
	bool in_call;         /* between a call's two stops */
	bool noticed;         /* it stands at a call that was told by a notice */
	uint64_t notice;      /* which one */
	bool halts_at_exit;   /* from such a call, where its exit is wanted */
	bool halting;         /* asked to halt: its next stop is told, whatever it is for */
	bool listening;       /* stopped by job control */
	bool untold;          /* attached to, and not told of yet */
	bool kept;            /* its stop has been kept, to be looked at later */
	bool born_dead;       /* it ended before its parent's event */
	uint64_t early_since; /* it waits for its parent's event, from this time (ns) on; 0: no */
	bool stripped;        /* the call is a clone whose CLONE_UNTRACED was taken out */
	int deliver;          /* the signal to deliver when it is resumed */
	int dead_status;
};

/* A system call, as it was made. */
struct memmap_traced_call {
	uint64_t number;
	uint64_t args[6];
	int64_t result; /* at its exit: non-negative or a negative errno */
	uint64_t ip;    /* behind the instruction that makes it */
};

enum memmap_trace_kind {
	MEMMAP_TRACE_ATTACHED, /* a thread of the process that was attached to; the first one is
	                            the leader's, and all others stand still as well then */
	MEMMAP_TRACE_LEAVING,  /* the tracer was asked to end. No task makes a memory call until the
	                            next event is asked for, which lets all go; those that were not
	                            attached to are killed, and go on to tell of their end */
	MEMMAP_TRACE_CALL_ENTRY, /* a memory call is about to be made */
	MEMMAP_TRACE_CALL_EXIT,  /* it has been made */
	MEMMAP_TRACE_FOREIGN,    /* a call of another ABI (i386, x32): the engine cannot follow */
	MEMMAP_TRACE_EXEC,       /* the task runs a new program, in a new address space */
	MEMMAP_TRACE_CLONE,      /* the task has a new child (or thread) */
	MEMMAP_TRACE_EXITING,    /* the first thread of a process (perhaps another, too) is about to
	                            end, its address space is still there */
	MEMMAP_TRACE_EXITED,     /* the task is gone; its struct is freed at the next event */
	MEMMAP_TRACE_HALTED,     /* as memmap_tracer_halt() asked: what it was in is over */
	MEMMAP_TRACE_ORPHAN,     /* a new process that no CLONE told of: what made it was killed, or
	                            replaced by an exec, meanwhile */
	MEMMAP_TRACE_DONE,       /* nobody is left */
};

struct memmap_trace_event {
	enum memmap_trace_kind kind;
	struct memmap_task *task;
	bool stopped;                   /* the task waits for memmap_tracer_resume() */
	struct memmap_traced_call call; /* CALL_ENTRY, CALL_EXIT (number and result), FOREIGN */
	struct memmap_task *child;      /* CLONE: runs on its own; NULL when it has died already */
	pid_t child_tid;                /* CLONE */
	uint64_t clone_flags;           /* CLONE: CLONE_VM, CLONE_THREAD, ... as asked for */
	void *former_user;              /* EXEC by a thread: the `user` of the task that it was */
	bool was_thread;                /* EXEC: the task was not the leader of its group */
	int status;                     /* EXITING, EXITED: as waitpid(2) gives it */
	bool ends_process;              /* EXITING: the other threads of the process end as well */
};

/* What made starting fail. */
enum memmap_tracer_stage {
	MEMMAP_TRACER_FORK,    /* no process or no memory */
	MEMMAP_TRACER_SEIZE,   /* not permitted to trace */
	MEMMAP_TRACER_SECCOMP, /* the kernel refused the filter */
	MEMMAP_TRACER_EXEC,    /* the command could not be run */
	MEMMAP_TRACER_DIED,    /* it was killed before it ran, or before it could be attached to */
	MEMMAP_TRACER_ATTACH,  /* not permitted to attach, or no such process */
	MEMMAP_TRACER_FOREIGN, /* a process of another ABI (i386) cannot be followed */
};

struct memmap_tracer;

/**
 * Start `argv[0]` (looked up in PATH) under trace. A child is on its way to execute it when this
 * returns: do what else there is to do, and then wait for it with memmap_tracer_await_exec().
 *
 * `exits`: the exits of most calls will be wanted. If not, frequent calls are told in a way that
 * costs half as much, where the kernel can (see notices.h): a program that wants to supervise
 * system calls itself is refused it (EBUSY), and SIGCHLD is blocked here until the tracer is
 * released.
 *
 * Signals that come to this process afterwards and were meant for the program are passed on to it;
 * see memmap_tracer_forward_signals().
 *
 * Returns:     0
 *              a negative errno, and in `*stage` what failed; the child is gone
 */
int memmap_tracer_start(char *const argv[], bool exits, struct memmap_tracer **out,
			enum memmap_tracer_stage *stage);

/**
 * Wait until the program that was started is executed. It has not run an instruction yet when this
 * returns: its EXEC event is the first.
 *
 * Returns:     0
 *              a negative errno, and in `*stage` what failed; the child is gone, and nothing but
 *              memmap_tracer_release() is left to do
 */
int memmap_tracer_await_exec(struct memmap_tracer *tracer, enum memmap_tracer_stage *stage);

/**
 * Attach to all threads of a process that runs already. They stand still when this returns; the
 * first events are one ATTACHED for each.
 *
 * From now on, SIGINT, SIGTERM and SIGHUP to this process ask to end: LEAVING is told, and then all
 * tasks are let go.
 *
 * Returns:     0
 *              a negative errno, and in `*stage` what failed; all threads run on as before
 */
int memmap_tracer_attach(pid_t pid, struct memmap_tracer **out, enum memmap_tracer_stage *stage);

/** Kill (attached: let go) what is still traced, and free the tracer. NULL is ignored. */
void memmap_tracer_release(struct memmap_tracer *tracer);

/** The first process. */
pid_t memmap_tracer_root(const struct memmap_tracer *tracer);

/**
 * Wait for the next event.
 *
 * Returns:     0
 *              -ENOMEM, or another negative errno that the kernel gave: tracing cannot go on
 */
int memmap_tracer_next(struct memmap_tracer *tracer, struct memmap_trace_event *event);

/** Let a stopped task go on. A task that was killed meanwhile is no error. */
void memmap_tracer_resume(struct memmap_tracer *tracer, struct memmap_task *task);

/**
 * Let a task that stands at a CALL_ENTRY go on without a stop at the call's exit: no CALL_EXIT is
 * told. Its next event, of whatever kind, comes after the call has been made, but for the end of a
 * task that was killed and the exec of another thread. Not for what was attached to: there every
 * call stops.
 */
void memmap_tracer_resume_past_exit(struct memmap_tracer *tracer, struct memmap_task *task);

/**
 * Make a running task halt as soon as it is in no call, and tell of it: HALTED; or another event
 * of the task, when that comes first. A task that sleeps in a call such as epoll_wait(2) leaves it
 * with EINTR, as at any stop signal: see signal(7).
 */
void memmap_tracer_halt(struct memmap_tracer *tracer, struct memmap_task *task);

/**
 * Kill every task with SIGKILL; they go on to tell of their end. What was attached to is not
 * killed: all are let go at the next event, which is DONE.
 */
void memmap_tracer_kill_all(struct memmap_tracer *tracer);

/**
 * From now on, until the first process ends: signals that a process sends to this one (SIGTERM,
 * SIGHUP, SIGINT, SIGQUIT, SIGUSR1, SIGUSR2) go on to the first process; those that the terminal
 * sends (^C, ^\, hanging up) have reached it already and are ignored here. When it has ended,
 * SIGINT, SIGTERM and SIGHUP ask to end: LEAVING is told, and then all that is left is killed.
 */
void memmap_tracer_forward_signals(struct memmap_tracer *tracer);

#endif /* MEMMAP_PLATFORM_PTRACE_TRACER_H */
