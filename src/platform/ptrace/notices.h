/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls that are told by notices instead of stops.
 *
 * A seccomp filter can hand a call to a supervisor, who reads a notice of it and lets the kernel go
 * on with the call (seccomp_unotify(2)). The thread sleeps meanwhile, as if it was stopped. That is
 * half the work of a stop, and the kernel can have the supervisor run where the thread ran, so that
 * no other processor has to be woken up: a call costs half of what it costs by ptrace(2). Children,
 * execs, ends and signals are told by ptrace all the same; so one thing is waited for, whichever
 * comes first.
 *
 * The thread, when it goes on, is not to run where we run: what is traced would gather on one
 * processor, while others are idle (a parallel build took 1.4 times its time alone).
 *
 * What goes with notices:
 *
 *   a signal       that comes before the notice is read ends the call with ERESTARTSYS, so that a
 *                  handler without SA_RESTART would have the program see EINTR, which memory calls
 *                  never give: notices_restart() has it made again, handler or not
 *   the result     is not told. Where it is wanted, the thread is interrupted (PTRACE_INTERRUPT)
 *                  before it is let go: it halts on its way out of the call, before anything else
 *   one listener   is all that the kernel allows a thread: a program that asks for one itself gets
 *                  EBUSY
 *
 * Needs Linux 5.19 (a call whose notice was read is not interrupted); for where to run, 6.6.
 */
#ifndef MEMMAP_PLATFORM_PTRACE_NOTICES_H
#define MEMMAP_PLATFORM_PTRACE_NOTICES_H

#include <linux/seccomp.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct notices {
	int listener; /* -1: all who could be told of are gone */
	int signals;  /* a signalfd(2) for SIGCHLD: ptrace has something to tell */
	sigset_t former;
	bool ptrace;  /* waitpid(2) may have something to tell, still */
	bool chooses; /* the kernel can be told where to run who is woken up */
};

enum notices_sign {
	NOTICES_CALL,    /* there may be a notice */
	NOTICES_PTRACE,  /* waitpid(2) may have something to tell */
	NOTICES_NOTHING, /* so much time has passed, or a signal has come */
};

/* May a listener be taken over from a child? `fd` is any descriptor of our own. */
bool notices_possible(int fd);

/*
 * Take over the listener that is descriptor `fd` of the child `pid`. From now on SIGCHLD is blocked
 * here. Returns 0, or a negative errno, and nothing has changed.
 */
int notices_open(struct notices *notices, pid_t pid, int fd);

/* Close what was opened; SIGCHLD is as it was before. */
void notices_close(struct notices *notices);

/* Wait for either, for `timeout` ms at most. */
enum notices_sign notices_wait(struct notices *notices, int timeout);

/* Read a notice. False: the call is off, or there is none. */
bool notices_read(const struct notices *notices, struct seccomp_notif *out);

/* Let the kernel go on with the call. That it is off is no error. */
void notices_answer(const struct notices *notices, uint64_t id);

/* The task is about to get a signal: if that has cut off a notice, the call is to be made again. */
void notices_restart(pid_t tid);

#endif /* MEMMAP_PLATFORM_PTRACE_NOTICES_H */
