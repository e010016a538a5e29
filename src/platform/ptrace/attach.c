/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Attaching to a process that runs already, and letting it go again.
 *
 *   seize every thread, until a look at /proc/PID/task shows none that is not ours
 *   interrupt each, and wait until all stand still
 *   ... tracing ...
 *   interrupt each that runs, and detach it where it stops, with the signal that it was about to
 *   get
 *
 * Invariants: no option kills anything: whatever becomes of the tracer, the process runs on. What
 * waitpid(2) reports while the threads come to a halt, other than the halt itself, is kept and
 * looked at afterwards: those threads stand still as well.
 *
 * A thread that starts while we attach is traced from its birth when its parent already is, and
 * found in /proc/PID/task otherwise. A call that a thread was in has been made, or is made again
 * from its beginning, when it goes on.
 */
#include "tracer_internal.h"

#include <dirent.h>
#include <errno.h>
#include <linux/audit.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

#define OPTIONS                                                                                    \
	(PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACEEXEC | PTRACE_O_TRACEFORK | PTRACE_O_TRACEVFORK |   \
	 PTRACE_O_TRACECLONE | PTRACE_O_TRACEEXIT)

/* Set by a signal. waitpid() may have been entered in between: an alarm then ends it again. */
static volatile sig_atomic_t asked_to_leave;

/*
 * ---- Asking to end ----
 */

static void ask(int signal)
{
	(void)signal;
	asked_to_leave = 1;
	alarm(1);
}

static void remember_alarm(int signal)
{
	(void)signal;
	alarm(1);
}

void tracer_leave_on_signals(void)
{
	static const int signals[] = {SIGINT, SIGTERM, SIGHUP};
	struct sigaction action = {.sa_handler = ask}, old;
	sigemptyset(&action.sa_mask);
	for (size_t i = 0; i < sizeof(signals) / sizeof(signals[0]); i++)
		if (sigaction(signals[i], NULL, &old) == 0 && old.sa_handler != SIG_IGN)
			(void)sigaction(signals[i], &action, NULL);
	action.sa_handler = remember_alarm;
	(void)sigaction(SIGALRM, &action, NULL);
}

bool tracer_asked_to_leave(void)
{
	return asked_to_leave != 0;
}

/*
 * ---- Attaching ----
 */

/* Does this process trace the thread already: was it born traced? */
static bool is_ours(pid_t pid, pid_t tid)
{
	char path[64], line[128];
	long tracer = 0;
	snprintf(path, sizeof(path), "/proc/%d/task/%d/status", (int)pid, (int)tid);
	FILE *file = fopen(path, "re");
	while (file && fgets(line, sizeof(line), file))
		if (strncmp(line, "TracerPid:", 10) == 0)
			tracer = strtol(line + 10, NULL, 10);
	if (file)
		fclose(file);
	return tracer == (long)getpid();
}

/* Seize one thread. Returns 1; 0 when there is nothing to do; a negative errno. */
static int seize(struct memmap_tracer *tracer, pid_t tid)
{
	if (tracer_find_task(tracer, tid))
		return 0;
	if (ptrace(PTRACE_SEIZE, tid, 0, OPTIONS)) {
		if (tid != tracer->root && (errno == ESRCH || is_ours(tracer->root, tid)))
			return 0;
		return -errno;
	}
	struct memmap_task *task = tracer_add_task(tracer, tid);
	if (!task)
		return -ENOMEM;
	task->attached = true;
	task->untold = true;
	tracer->nr_untold++;
	(void)ptrace(PTRACE_INTERRUPT, tid, 0, 0);
	return 1;
}

/* Seize every thread that /proc shows. Returns how many there were, or a negative errno. */
static int seize_all(struct memmap_tracer *tracer)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/task", (int)tracer->root);
	DIR *threads = opendir(path);
	if (!threads)
		return errno == ENOENT ? -ESRCH : -errno;
	int nr = seize(tracer, tracer->root);
	for (const struct dirent *entry; nr >= 0 && (entry = readdir(threads));) {
		const pid_t tid = (pid_t)strtol(entry->d_name, NULL, 10);
		const int one = tid > 0 ? seize(tracer, tid) : 0;
		nr = one < 0 ? one : nr + one;
	}
	closedir(threads);
	return nr;
}

static int keep(struct memmap_tracer *tracer, pid_t tid, int status)
{
	if (tracer->nr_reports == tracer->report_capacity) {
		const size_t capacity = tracer->report_capacity ? 2 * tracer->report_capacity : 16;
		struct tracer_report *reports =
			realloc(tracer->reports, capacity * sizeof(*reports));
		if (!reports)
			return -ENOMEM;
		tracer->reports = reports;
		tracer->report_capacity = capacity;
	}
	tracer->reports[tracer->nr_reports++] = (struct tracer_report){tid, status};
	return 0;
}

/* The signal that a stopped thread was about to get; 0: none. */
static int signal_of(int status)
{
	const int signal = WSTOPSIG(status);
	return status >> 16 == 0 && signal != (SIGTRAP | 0x80) ? signal : 0;
}

static bool all_stand_still(const struct memmap_tracer *tracer)
{
	for (size_t i = 0; i < TRACER_NR_BUCKETS; i++)
		for (const struct memmap_task *task = tracer->buckets[i]; task;
		     task = task->next_in_bucket)
			if (!task->stopped)
				return false;
	return true;
}

/* Wait until every thread stands still. A thread that ends meanwhile is forgotten. */
static int halt(struct memmap_tracer *tracer)
{
	while (!all_stand_still(tracer)) {
		int status;
		pid_t tid = waitpid(-1, &status, __WALL);
		if (tid < 0 && errno == EINTR)
			continue;
		if (tid < 0)
			return -errno;
		struct memmap_task *task = tracer_find_task(tracer, tid);
		if (task && !WIFSTOPPED(status)) {
			tracer->nr_untold -= task->untold;
			tracer_remove_task(tracer, task);
			if (tid == tracer->root)
				return -ESRCH;
			continue;
		}
		if (task)
			task->stopped = true;
		if (task && status >> 16 == PTRACE_EVENT_STOP) {
			task->listening = WSTOPSIG(status) != SIGTRAP;
			continue;
		}
		if (task) {
			task->kept = true;
			task->deliver = signal_of(status);
		}
		int err = keep(tracer, tid, status);
		if (err)
			return err;
	}
	return 0;
}

/* A native process? Any of its threads tells. */
static bool is_native(const struct memmap_tracer *tracer)
{
	struct __ptrace_syscall_info info;
	return ptrace(PTRACE_GET_SYSCALL_INFO, tracer->root, sizeof(info), &info) <= 0 ||
	       info.arch == AUDIT_ARCH_X86_64;
}

int memmap_tracer_attach(pid_t pid, struct memmap_tracer **out, enum memmap_tracer_stage *stage)
{
	struct memmap_tracer *tracer = calloc(1, sizeof(*tracer));
	*stage = MEMMAP_TRACER_ATTACH;
	if (!tracer)
		return -ENOMEM;
	tracer->root = pid;
	tracer->attached = true;
	tracer->options = OPTIONS;
	tracer_leave_on_signals();
	int nr, err = 0;
	do {
		nr = seize_all(tracer);
		if (nr < 0)
			err = nr;
	} while (nr > 0);
	if (!err)
		err = halt(tracer);
	if (!err && !is_native(tracer)) {
		*stage = MEMMAP_TRACER_FOREIGN;
		err = -ENOEXEC;
	}
	if (err) {
		memmap_tracer_release(tracer);
		return err;
	}
	*out = tracer;
	return 0;
}

static struct memmap_task *find_untold(struct memmap_tracer *tracer)
{
	struct memmap_task *leader = tracer_find_task(tracer, tracer->root);
	if (leader && leader->untold)
		return leader;
	for (size_t i = 0; i < TRACER_NR_BUCKETS; i++)
		for (struct memmap_task *task = tracer->buckets[i]; task;
		     task = task->next_in_bucket)
			if (task->untold)
				return task;
	return NULL;
}

struct memmap_task *tracer_next_untold(struct memmap_tracer *tracer)
{
	struct memmap_task *task = find_untold(tracer);
	tracer->nr_untold--;
	task->untold = false;
	return task;
}

/*
 * ---- Letting go ----
 */

static void detach(struct memmap_tracer *tracer, struct memmap_task *task, int deliver)
{
	if (task->stripped)
		tracer_restore_untraced(task);
	(void)ptrace(PTRACE_DETACH, task->tid, 0, deliver);
	tracer_remove_task(tracer, task);
}

/* Those that stand still go at once; the others are made to stop. */
static void detach_or_interrupt(struct memmap_tracer *tracer)
{
	for (size_t i = 0; i < TRACER_NR_BUCKETS; i++) {
		struct memmap_task *next;
		for (struct memmap_task *task = tracer->buckets[i]; task; task = next) {
			next = task->next_in_bucket;
			if (task->stopped)
				detach(tracer, task, task->deliver);
			else
				(void)ptrace(PTRACE_INTERRUPT, task->tid, 0, 0);
		}
	}
}

void tracer_let_go(struct memmap_tracer *tracer)
{
	alarm(0);
	for (; tracer->next_report < tracer->nr_reports; tracer->next_report++) {
		const struct tracer_report *report = &tracer->reports[tracer->next_report];
		if (WIFSTOPPED(report->status) && !tracer_find_task(tracer, report->tid))
			(void)ptrace(PTRACE_DETACH, report->tid, 0, signal_of(report->status));
	}
	detach_or_interrupt(tracer);
	tracer->nr_untold = 0;
	tracer->newborn = tracer->untold = NULL;
	for (;;) {
		int status;
		pid_t tid = waitpid(-1, &status, __WALL);
		if (tid < 0 && errno == EINTR)
			continue;
		if (tid < 0)
			break;
		struct memmap_task *task = tracer_find_task(tracer, tid);
		if (WIFSTOPPED(status) && task)
			detach(tracer, task, signal_of(status));
		else if (WIFSTOPPED(status))
			(void)ptrace(PTRACE_DETACH, tid, 0, signal_of(status));
		else if (task)
			tracer_remove_task(tracer, task);
	}
}
