/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop: what waitpid(2) reports, and notices of calls (notices.h), told as events.
 *
 * The stops of a traced task, and what becomes of each:
 *
 *   seccomp event        a call of the filter's list: CALL_ENTRY. Resumed with PTRACE_SYSCALL, so
 *                        that its exit stops too, unless that is not wanted
 *   system-call stop     that exit: CALL_EXIT. Resumed with PTRACE_CONT: the next call of no
 *                        interest runs at full speed
 *   exec, exit events    EXEC, EXITING
 *   an interrupt's stop  of a task that was asked to halt: HALTED; or at the exit of a call that
 *                        was told by a notice: CALL_EXIT
 *   fork, vfork, clone   CLONE. The child's first stop may be reported before this event or after
 *                        it; a child that comes first is kept stopped until its parent tells
 *   a signal             delivered, at once
 *   a group stop         the task is left stopped with PTRACE_LISTEN, as job control wants it
 *
 * A task that is stopped can be killed at any moment: every request then fails with ESRCH, which is
 * no error here, since waitpid() will tell of the end. Or it stops once more, on its way out,
 * before anything was asked about the first stop: the answers are about the second then.
 *
 * A task that is killed while it makes a child tells nothing of the child, which would wait for
 * ever: it becomes an ORPHAN after a while.
 */
#include "tracer_internal.h"

#include "clock.h"
#include "launch.h"
#include "process_info.h"
#include "seccomp_filter.h"

#include <errno.h>
#include <linux/audit.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/reg.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <unistd.h>

/* Of some ends of processes no signal tells: so often they are looked for. */
#define NOTICES_AWAITED_MS 200

/* How long a child waits for its parent's event. The parent only needs to be given a processor. */
#define EARLY_NS      UINT64_C(500000000)
#define EARLY_LOOK_NS 1000000

#define X32_CALL_BIT UINT64_C(0x40000000)

/* The process to which signals are passed on; 0: none. Written before signals can come. */
static volatile sig_atomic_t forward_to;

/*
 * ---- Tasks ----
 */

static struct memmap_task **bucket_of(struct memmap_tracer *tracer, pid_t tid)
{
	return &tracer->buckets[(unsigned int)tid % TRACER_NR_BUCKETS];
}

struct memmap_task *tracer_find_task(struct memmap_tracer *tracer, pid_t tid)
{
	struct memmap_task *task = *bucket_of(tracer, tid);
	while (task && task->tid != tid)
		task = task->next_in_bucket;
	return task;
}

struct memmap_task *tracer_add_task(struct memmap_tracer *tracer, pid_t tid)
{
	struct memmap_task *task = calloc(1, sizeof(*task));
	if (!task)
		return NULL;
	task->tid = tid;
	struct memmap_task **bucket = bucket_of(tracer, tid);
	task->next_in_bucket = *bucket;
	*bucket = task;
	tracer->nr_tasks++;
	return task;
}

/* Take `task` out of the table; the caller has it then. */
static void unlink_task(struct memmap_tracer *tracer, struct memmap_task *task)
{
	struct memmap_task **link = bucket_of(tracer, task->tid);
	while (*link != task)
		link = &(*link)->next_in_bucket;
	*link = task->next_in_bucket;
	tracer->nr_tasks--;
}

void tracer_remove_task(struct memmap_tracer *tracer, struct memmap_task *task)
{
	unlink_task(tracer, task);
	free(task);
}

/* The task waits for its parent's event from now on. */
static void begin_early(struct memmap_tracer *tracer, struct memmap_task *task)
{
	if (task->early_since != 0)
		return;
	task->early_since = memmap_monotonic_ns();
	tracer->nr_early++;
}

/* It waits no longer, or has no need to. */
static void end_early(struct memmap_tracer *tracer, struct memmap_task *task)
{
	if (task->early_since == 0)
		return;
	task->early_since = 0;
	tracer->nr_early--;
}

/*
 * ---- Resuming ----
 */

/* Go on with a call that was told by a notice. */
static void answer(struct memmap_tracer *tracer, struct memmap_task *task)
{
	task->noticed = false;
	/* It sleeps, and is not woken up by this: it halts when the call has been made. */
	task->halts_at_exit = task->in_call && ptrace(PTRACE_INTERRUPT, task->tid, 0, 0) == 0;
	notices_answer(&tracer->notices, task->notice);
}

void memmap_tracer_resume(struct memmap_tracer *tracer, struct memmap_task *task)
{
	if (!task->stopped)
		return;
	task->stopped = false;
	if (task->noticed) {
		answer(tracer, task);
		return;
	}
	if (task->listening) {
		task->listening = false;
		ptrace(PTRACE_LISTEN, task->tid, 0, 0);
		return;
	}
	if (task->no_exit != task->is_thread) {
		/* A stop less for each thread; a child begins with its parent's options. */
		task->no_exit = task->is_thread;
		ptrace(PTRACE_SETOPTIONS, task->tid, 0,
		       task->no_exit ? tracer->options & ~PTRACE_O_TRACEEXIT : tracer->options);
	}
	const int deliver = task->deliver;
	task->deliver = 0;
	ptrace(task->in_call || tracer->attached ? PTRACE_SYSCALL : PTRACE_CONT, task->tid, 0,
	       deliver);
}

void memmap_tracer_resume_past_exit(struct memmap_tracer *tracer, struct memmap_task *task)
{
	task->in_call = false;
	memmap_tracer_resume(tracer, task);
}

void memmap_tracer_halt(struct memmap_tracer *tracer, struct memmap_task *task)
{
	(void)tracer;
	if (task->stopped || task->halting)
		return;
	task->halting = ptrace(PTRACE_INTERRUPT, task->tid, 0, 0) == 0;
}

void memmap_tracer_kill_all(struct memmap_tracer *tracer)
{
	if (tracer->attached) {
		tracer->leaving = true;
		return;
	}
	for (size_t i = 0; i < TRACER_NR_BUCKETS; i++)
		for (struct memmap_task *task = tracer->buckets[i]; task;
		     task = task->next_in_bucket)
			kill(task->tid, SIGKILL);
}

/*
 * ---- Calls ----
 */

/* A native x86-64 call? The x32 ABI shares the architecture and marks its numbers. */
static bool is_native(uint32_t arch, uint64_t number)
{
	return arch == AUDIT_ARCH_X86_64 && !(number & X32_CALL_BIT);
}

/*
 * A clone() that asks for a child that is not traced. The child would inherit the filter, and with
 * nobody to trace it all its memory calls would fail: so it is traced all the same.
 */
static void strip_untraced(struct memmap_task *task, uint64_t flags)
{
	flags &= ~(uint64_t)CLONE_UNTRACED;
	if (ptrace(PTRACE_POKEUSER, task->tid, (long)(sizeof(long) * RDI), flags) == 0) {
		task->stripped = true;
		task->in_call = true;
	}
}

void tracer_restore_untraced(struct memmap_task *task)
{
	task->stripped = false;
	errno = 0;
	long flags = ptrace(PTRACE_PEEKUSER, task->tid, (long)(sizeof(long) * RDI), 0);
	if (errno == 0)
		ptrace(PTRACE_POKEUSER, task->tid, (long)(sizeof(long) * RDI),
		       flags | CLONE_UNTRACED);
}

/* At a call's entry. Returns whether there is an event to tell. */
static bool call_entry(struct memmap_task *task, const struct __ptrace_syscall_info *info,
		       uint64_t number, const uint64_t args[6], struct memmap_trace_event *event)
{
	event->call.number = number;
	event->call.ip = info->instruction_pointer;
	memcpy(event->call.args, args, sizeof(event->call.args));
	if (!is_native(info->arch, number)) {
		event->kind = MEMMAP_TRACE_FOREIGN;
		return true;
	}
	if (number == SYS_clone) {
		strip_untraced(task, args[0]);
		return false;
	}
	task->in_call = true;
	event->kind = MEMMAP_TRACE_CALL_ENTRY;
	return true;
}

/* Did a filter of the program's own send it to a tracer? Ours has no data, and its own list. */
static bool is_of_own_filter(const struct __ptrace_syscall_info *info)
{
	uint64_t args[6];
	memcpy(args, info->seccomp.args, sizeof(args));
	return info->seccomp.ret_data != 0 ||
	       (is_native(info->arch, info->seccomp.nr) &&
		!memmap_seccomp_filter_stops(info->seccomp.nr, args));
}

/* What becomes of such a call where nobody traces: the kernel skips it, with -ENOSYS. */
static void refuse_call(pid_t tid)
{
	ptrace(PTRACE_POKEUSER, tid, (long)(sizeof(long) * ORIG_RAX), -1L);
	ptrace(PTRACE_POKEUSER, tid, (long)(sizeof(long) * RAX), (long)-ENOSYS);
}

/* At a seccomp stop: a call of the filter's list. */
static bool seccomp_stop(struct memmap_task *task, struct memmap_trace_event *event)
{
	struct __ptrace_syscall_info info;
	if (ptrace(PTRACE_GET_SYSCALL_INFO, task->tid, sizeof(info), &info) <= 0 ||
	    info.op != PTRACE_SYSCALL_INFO_SECCOMP) {
		task->stopped = false; /* killed: its next stop is told of by itself */
		return false;
	}
	if (is_of_own_filter(&info)) {
		refuse_call(task->tid);
		return false;
	}
	return call_entry(task, &info, info.seccomp.nr, info.seccomp.args, event);
}

/* A call that is told by a notice. Returns whether there is an event to tell. */
static bool notice(struct memmap_tracer *tracer, struct memmap_trace_event *event)
{
	struct seccomp_notif notice;
	if (!notices_read(&tracer->notices, &notice))
		return false;
	struct memmap_task *task = tracer_find_task(tracer, (pid_t)notice.pid);
	if (!task) {
		notices_answer(&tracer->notices, notice.id);
		return false;
	}
	task->stopped = task->noticed = task->in_call = true;
	task->notice = notice.id;
	event->kind = MEMMAP_TRACE_CALL_ENTRY;
	event->task = task;
	event->stopped = true;
	event->call.number = (uint64_t)notice.data.nr;
	event->call.ip = notice.data.instruction_pointer;
	memcpy(event->call.args, notice.data.args, sizeof(event->call.args));
	return true;
}

/* At the exit of a call. */
static bool call_exit(struct memmap_task *task, struct memmap_trace_event *event)
{
	task->in_call = task->halts_at_exit = false;
	if (task->stripped) {
		tracer_restore_untraced(task);
		return false;
	}
	errno = 0;
	long result = ptrace(PTRACE_PEEKUSER, task->tid, (long)(sizeof(long) * RAX), 0);
	if (errno)
		return false;
	event->kind = MEMMAP_TRACE_CALL_EXIT;
	event->call.result = result;
	return true;
}

/* At either end of a call: with a filter always its exit, without one of any call. */
static bool call_stop(const struct memmap_tracer *tracer, struct memmap_task *task,
		      struct memmap_trace_event *event)
{
	struct __ptrace_syscall_info info;
	if (!tracer->attached)
		return call_exit(task, event);
	if (ptrace(PTRACE_GET_SYSCALL_INFO, task->tid, sizeof(info), &info) <= 0)
		return false;
	if (info.op == PTRACE_SYSCALL_INFO_EXIT)
		return task->in_call && call_exit(task, event);
	if (info.op != PTRACE_SYSCALL_INFO_ENTRY)
		return false;
	task->in_call = false;
	if (is_native(info.arch, info.entry.nr) &&
	    !memmap_seccomp_filter_stops(info.entry.nr, info.entry.args))
		return false;
	return call_entry(task, &info, info.entry.nr, info.entry.args, event);
}

/*
 * ---- Children ----
 */

/* What kind of child the call at hand makes, as the flags of clone(2). */
static uint64_t clone_flags(pid_t tid)
{
	struct user_regs_struct regs;
	if (ptrace(PTRACE_GETREGS, tid, 0, &regs))
		return 0;
	switch (regs.orig_rax) {
	case SYS_vfork:
		return CLONE_VM | CLONE_VFORK | SIGCHLD;
	case SYS_clone:
		return regs.rdi;
	case SYS_clone3: {
		/* struct clone_args begins with its flags. */
		uint64_t flags = 0;
		struct iovec local = {&flags, sizeof(flags)};
		/* NOLINTNEXTLINE(performance-no-int-to-ptr): an address of the other process */
		struct iovec remote = {(void *)regs.rdi, sizeof(flags)};
		if (process_vm_readv(tid, &local, 1, &remote, 1, 0) != (ssize_t)sizeof(flags))
			return 0;
		return flags;
	}
	default:
		return SIGCHLD;
	}
}

/*
 * What the task's stop of this sort carries. False: it has been killed, and stands there no more.
 */
static bool event_message(const struct memmap_task *task, int sort, unsigned long *message)
{
	siginfo_t info;
	return ptrace(PTRACE_GETEVENTMSG, task->tid, 0, message) == 0 &&
	       ptrace(PTRACE_GETSIGINFO, task->tid, 0, &info) == 0 &&
	       info.si_code == (SIGTRAP | sort << 8);
}

/* At a fork, vfork or clone event of `task`: which one is its sort. */
static int clone_event(struct memmap_tracer *tracer, struct memmap_task *task, int sort,
		       struct memmap_trace_event *event)
{
	unsigned long message = 0;
	if (!event_message(task, sort, &message)) {
		task->stopped = false;
		return 0;
	}
	const pid_t tid = (pid_t)message;
	struct memmap_task *child = tracer_find_task(tracer, tid);
	if (!child)
		child = tracer_add_task(tracer, tid);
	if (!child)
		return -ENOMEM;
	if (child->attached)
		return 0; /* told of as an orphan */
	end_early(tracer, child);
	child->attached = true;
	child->no_exit = task->no_exit;
	event->kind = MEMMAP_TRACE_CLONE;
	event->clone_flags = clone_flags(task->tid);
	child->is_thread = (event->clone_flags & CLONE_THREAD) != 0;
	event->child_tid = tid;
	event->child = child;
	if (child->born_dead)
		tracer->untold = child;
	else
		tracer->newborn = child;
	return 1;
}

/*
 * ---- Waiting ----
 */

/* A task has ended. */
static int task_ended(struct memmap_tracer *tracer, struct memmap_task *task, int status,
		      struct memmap_trace_event *event)
{
	if (task->tid == tracer->root && forward_to != 0) {
		forward_to = 0;
		tracer_leave_on_signals();
	}
	if (!task->attached) {
		/* Killed before its parent's event: told after that. */
		begin_early(tracer, task);
		task->born_dead = true;
		task->stopped = false;
		task->dead_status = status;
		return 0;
	}
	unlink_task(tracer, task);
	tracer->gone = task;
	event->kind = MEMMAP_TRACE_EXITED;
	event->status = status;
	event->stopped = false;
	return 1;
}

/* A thread that was not the leader has called exec: it has taken the leader's place and number. */
static void leave_thread(struct memmap_tracer *tracer, struct memmap_task *leader,
			 struct memmap_trace_event *event)
{
	unsigned long former = 0;
	if (!event_message(leader, PTRACE_EVENT_EXEC, &former) || (pid_t)former == leader->tid)
		return;
	struct memmap_task *thread = tracer_find_task(tracer, (pid_t)former);
	event->was_thread = true;
	if (thread) {
		leader->no_exit = thread->no_exit; /* to the kernel, it is that thread */
		event->former_user = thread->user;
		unlink_task(tracer, thread);
		free(thread);
	}
}

/* What a task that is about to end will be said to have ended with. */
static int exit_status(pid_t tid)
{
	unsigned long status = 0;
	return ptrace(PTRACE_GETEVENTMSG, tid, 0, &status) == 0 ? (int)status : SIGKILL;
}

/*
 * Does its whole process end for certain? An exec by another thread ends a task as well, as if it
 * had ended with 0.
 */
static bool ends_process(pid_t tid, int status)
{
	return WIFSIGNALED(status) ||
	       ptrace(PTRACE_PEEKUSER, tid, (long)(sizeof(long) * ORIG_RAX), 0) == SYS_exit_group;
}

/* A task has stopped. Returns whether there is an event; otherwise it has been dealt with. */
static int task_stopped(struct memmap_tracer *tracer, struct memmap_task *task, int status,
			struct memmap_trace_event *event)
{
	const int signal = WSTOPSIG(status);
	task->stopped = true;
	task->noticed = false; /* killed: the call is off */
	event->stopped = true;
	int told = 0;
	switch (status >> 16) {
	case PTRACE_EVENT_SECCOMP:
		told = seccomp_stop(task, event);
		break;
	case PTRACE_EVENT_FORK:
	case PTRACE_EVENT_VFORK:
	case PTRACE_EVENT_CLONE:
		told = clone_event(tracer, task, status >> 16, event);
		break;
	case PTRACE_EVENT_EXEC:
		leave_thread(tracer, task, event);
		task->in_call = false;
		event->kind = MEMMAP_TRACE_EXEC;
		told = 1;
		break;
	case PTRACE_EVENT_EXIT:
		task->in_call = task->halts_at_exit = false;
		event->kind = MEMMAP_TRACE_EXITING;
		event->status = exit_status(task->tid);
		event->ends_process = ends_process(task->tid, event->status);
		told = 1;
		break;
	case PTRACE_EVENT_STOP:
		/* A group stop has the signal that caused it; a new child's first stop SIGTRAP. */
		task->listening = signal != SIGTRAP;
		if (task->halts_at_exit)
			told = call_exit(task, event);
		break;
	case 0:
		if (signal == (SIGTRAP | 0x80)) {
			told = call_stop(tracer, task, event);
		} else {
			task->deliver = signal;
			if (tracer->by_notices)
				notices_restart(task->tid);
		}
		break;
	default:
		break;
	}
	/* Whatever it has stopped for, that is the halt: mostly any stop takes the asking back. */
	if (told == 0 && task->halting) {
		event->kind = MEMMAP_TRACE_HALTED;
		told = 1;
	}
	task->halting = false;
	if (told == 0 && task->attached)
		memmap_tracer_resume(tracer, task);
	if (told == 0 && !task->attached)
		begin_early(tracer, task);
	return told;
}

/* A task that has waited for its parent's event for too long; NULL: none. */
static struct memmap_task *find_overdue(struct memmap_tracer *tracer)
{
	const uint64_t now = memmap_monotonic_ns();
	for (size_t i = 0; i < TRACER_NR_BUCKETS; i++)
		for (struct memmap_task *task = tracer->buckets[i]; task;
		     task = task->next_in_bucket)
			if (task->early_since != 0 && now - task->early_since > EARLY_NS)
				return task;
	return NULL;
}

/*
 * Nobody will tell of this task, if it is a process; a thread ends together with what made it.
 * Returns whether there is an event.
 */
static bool overdue(struct memmap_tracer *tracer, struct memmap_task *task,
		    struct memmap_trace_event *event)
{
	uint64_t capabilities;
	pid_t group, by;
	end_early(tracer, task);
	if (task->born_dead) {
		tracer_remove_task(tracer, task);
		return false;
	}
	if (memmap_process_status(task->tid, &capabilities, &group, &by) || group != task->tid) {
		begin_early(tracer, task);
		return false;
	}
	task->attached = true;
	task->no_exit = true; /* perhaps: whether its maker stopped on its way out is not known */
	event->kind = MEMMAP_TRACE_ORPHAN;
	event->task = task;
	event->stopped = true;
	return true;
}

/* What there is to look at next. */
enum sign {
	SIGN_REPORT,  /* by waitpid(2) */
	SIGN_NOTICE,  /* there may be one */
	SIGN_OVERDUE, /* a task has waited too long for its parent's event */
	SIGN_ERROR,   /* of waitpid(2), in errno */
};

static enum sign wait_for_sign(struct memmap_tracer *tracer, pid_t *tid, int *status)
{
	const struct timespec pause = {.tv_nsec = EARLY_LOOK_NS};
	for (;;) {
		const bool goes_on = tracer->by_notices || tracer->nr_early > 0;
		if (!tracer->by_notices || tracer->notices.ptrace) {
			*tid = waitpid(-1, status, __WALL | (goes_on ? WNOHANG : 0));
			if (*tid != 0)
				return *tid < 0 ? SIGN_ERROR : SIGN_REPORT;
			tracer->notices.ptrace = false;
		}
		if (tracer->nr_early > 0 && find_overdue(tracer))
			return SIGN_OVERDUE;
		if (!tracer->by_notices) {
			nanosleep(&pause, NULL);
			continue;
		}
		const int ms = tracer->nr_early > 0 ? EARLY_LOOK_NS / 1000000 : NOTICES_AWAITED_MS;
		switch (notices_wait(&tracer->notices, ms)) {
		case NOTICES_CALL:
			return SIGN_NOTICE;
		case NOTICES_NOTHING:
			if (tracer_asked_to_leave()) {
				errno = EINTR;
				return SIGN_ERROR;
			}
			break;
		case NOTICES_PTRACE:
			break;
		}
	}
}

static enum sign next_sign(struct memmap_tracer *tracer, pid_t *tid, int *status)
{
	if (tracer->next_report == tracer->nr_reports)
		return wait_for_sign(tracer, tid, status);
	const struct tracer_report *report = &tracer->reports[tracer->next_report++];
	*tid = report->tid;
	*status = report->status;
	return SIGN_REPORT;
}

static int next(struct memmap_tracer *tracer, struct memmap_trace_event *event)
{
	for (;;) {
		*event = (struct memmap_trace_event){0};
		if (!tracer->leaving && tracer_asked_to_leave()) {
			tracer->leaving = true;
			event->kind = MEMMAP_TRACE_LEAVING;
			return 0;
		}
		int status;
		pid_t tid;
		const enum sign sign = next_sign(tracer, &tid, &status);
		if (sign == SIGN_ERROR && errno == EINTR)
			continue;
		if (sign == SIGN_ERROR && errno != ECHILD)
			return -errno;
		if (sign == SIGN_ERROR) {
			event->kind = MEMMAP_TRACE_DONE;
			return 0;
		}
		if (sign != SIGN_REPORT) {
			if (sign == SIGN_NOTICE ? notice(tracer, event)
						: overdue(tracer, find_overdue(tracer), event))
				return 0;
			continue;
		}
		struct memmap_task *task = tracer_find_task(tracer, tid);
		if (!task)
			task = tracer_add_task(tracer, tid);
		if (!task)
			return -ENOMEM;
		event->task = task;
		task->kept = false;
		int told;
		if (WIFSTOPPED(status))
			told = task_stopped(tracer, task, status, event);
		else
			told = task_ended(tracer, task, status, event);
		if (told)
			return told < 0 ? told : 0;
	}
}

int memmap_tracer_next(struct memmap_tracer *tracer, struct memmap_trace_event *event)
{
	free(tracer->gone);
	tracer->gone = NULL;
	if (tracer->newborn)
		memmap_tracer_resume(tracer, tracer->newborn);
	tracer->newborn = NULL;
	if (tracer->has_early) {
		tracer->has_early = false;
		*event = tracer->early;
		return 0;
	}
	if (tracer->leaving && tracer->attached) {
		tracer_let_go(tracer);
		*event = (struct memmap_trace_event){.kind = MEMMAP_TRACE_DONE};
		return 0;
	}
	if (tracer->leaving)
		memmap_tracer_kill_all(tracer);
	if (tracer->nr_untold > 0) {
		struct memmap_task *task = tracer_next_untold(tracer);
		*event = (struct memmap_trace_event){
			.kind = MEMMAP_TRACE_ATTACHED, .task = task, .stopped = !task->kept};
		return 0;
	}
	if (tracer->untold) {
		struct memmap_task *task = tracer->untold;
		tracer->untold = NULL;
		*event = (struct memmap_trace_event){.task = task};
		task_ended(tracer, task, task->dead_status, event);
		return 0;
	}
	return next(tracer, event);
}

/*
 * ---- Life ----
 */

/*
 * Wait for tasks that have been killed. Their end itself is a stop that they must be let go from.
 */
static void reap_all(void)
{
	for (;;) {
		int status;
		pid_t tid = waitpid(-1, &status, __WALL);
		if (tid < 0 && errno != EINTR)
			return;
		if (tid > 0 && WIFSTOPPED(status))
			(void)ptrace(PTRACE_CONT, tid, 0, SIGKILL);
	}
}

int memmap_tracer_start(char *const argv[], bool exits, struct memmap_tracer **out,
			enum memmap_tracer_stage *stage)
{
	struct memmap_tracer *tracer = calloc(1, sizeof(*tracer));
	*stage = MEMMAP_TRACER_FORK;
	if (!tracer)
		return -ENOMEM;
	tracer->options = MEMMAP_LAUNCH_OPTIONS;
	int err = memmap_launch(argv, !exits, &tracer->root, &tracer->launch, stage);
	if (err) {
		free(tracer);
		return err;
	}
	struct memmap_task *root = tracer_add_task(tracer, tracer->root);
	if (!root) {
		kill(tracer->root, SIGKILL);
		reap_all();
		memmap_tracer_release(tracer);
		return -ENOMEM;
	}
	root->attached = true;
	*out = tracer;
	return 0;
}

/* The child stands at its first call under the filter: it may have a listener for us. */
static int take_over_listener(struct memmap_tracer *tracer)
{
	const int fd = memmap_launch_listener(tracer->launch);
	if (fd < 0 || tracer->by_notices)
		return 0;
	const int err = notices_open(&tracer->notices, tracer->root, fd);
	tracer->by_notices = !err;
	return err;
}

int memmap_tracer_await_exec(struct memmap_tracer *tracer, enum memmap_tracer_stage *stage)
{
	/*
	 * Up to the exec, the only stops of interest are the exec itself, the one before it, and
	 * the end of the child.
	 */
	*stage = MEMMAP_TRACER_FORK;
	int err = 0;
	bool waiting = true;
	while (waiting) {
		err = memmap_tracer_next(tracer, &tracer->early);
		if (!err && tracer->early.kind == MEMMAP_TRACE_CALL_ENTRY)
			err = take_over_listener(tracer);
		waiting = !err && tracer->early.kind != MEMMAP_TRACE_EXEC &&
			  tracer->early.kind != MEMMAP_TRACE_EXITED;
		if (waiting && tracer->early.stopped)
			memmap_tracer_resume_past_exit(tracer, tracer->early.task);
	}
	if (err)
		return err;
	err = memmap_launch_end(tracer->launch, stage);
	tracer->launch = NULL;
	if (!err && tracer->early.kind == MEMMAP_TRACE_EXITED) {
		*stage = MEMMAP_TRACER_DIED;
		err = -EINTR;
	}
	tracer->has_early = !err;
	return err;
}

void memmap_tracer_release(struct memmap_tracer *tracer)
{
	if (!tracer)
		return;
	forward_to = 0;
	memmap_tracer_kill_all(tracer);
	if (tracer->attached)
		tracer_let_go(tracer);
	else if (tracer->nr_tasks > 0)
		reap_all();
	enum memmap_tracer_stage stage;
	(void)memmap_launch_end(tracer->launch, &stage);
	if (tracer->by_notices)
		notices_close(&tracer->notices);
	for (size_t i = 0; i < TRACER_NR_BUCKETS; i++) {
		struct memmap_task *next;
		for (struct memmap_task *task = tracer->buckets[i]; task; task = next) {
			next = task->next_in_bucket;
			free(task);
		}
	}
	free(tracer->reports);
	free(tracer->gone);
	free(tracer);
}

pid_t memmap_tracer_root(const struct memmap_tracer *tracer)
{
	return tracer->root;
}

/*
 * ---- Signals to the tracer ----
 */

static void forward(int signal, siginfo_t *info, void *context)
{
	(void)context;
	/* A positive code is the kernel's: the terminal has told the program as well. */
	if (info->si_code <= 0 && forward_to > 0) {
		const int saved = errno;
		kill(forward_to, signal);
		errno = saved;
	}
}

void memmap_tracer_forward_signals(struct memmap_tracer *tracer)
{
	static const int signals[] = {SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2};
	forward_to = tracer->root;
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		struct sigaction action = {.sa_sigaction = forward,
					   .sa_flags = SA_SIGINFO | SA_RESTART};
		sigemptyset(&action.sa_mask);
		struct sigaction old;
		if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			sigaction(signals[i], &action, NULL);
	}
}
