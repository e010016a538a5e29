/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting a program under trace.
 *
 *   parent                          child
 *   clone ────────────────────────▶ wait for the parent's word
 *   seize it, set options
 *   say go ───────────────────────▶ install the filter
 *   take over the listener  ◀────── stop, if it has one (see notices.h)
 *   go on                           exec the program, or note what failed and exit
 *
 * The filter comes after seizing, since a call that it stops fails with ENOSYS when nobody traces;
 * it comes in the child, since it cannot be put on another process.
 *
 * Seizing, unlike PTRACE_TRACEME, leaves SIGSTOP and job control to the program.
 *
 * Invariants: the child has no memory of its own. As in vfork(2), copying the parent's would cost
 * more than all else that the child does; unlike there, the parent goes on, since it has to seize.
 * So the child makes its system calls by itself, for the C library would set the parent's errno; it
 * allocates nothing; and all that it writes to is its stack and its struct memmap_launch, which
 * stays until it has executed the program or died.
 */
#include "launch.h"

#include "notices.h"
#include "seccomp_filter.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#	define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

/* The sanitizers keep books of each thread, and the child is none. */
#define IN_CHILD __attribute__((noinline, no_sanitize("address", "thread", "undefined")))

/* Enough for a few frames, and for what a sanitizer or a signal puts there. */
#define STACK_SIZE ((size_t)64 << 10)

struct memmap_launch {
	char *const *argv;
	const char **shell_argv; /* to have a script without #! run by a shell; [1] is its path */
	const char *path;        /* where to look for argv[0]; NULL: it is a path itself */
	int go[2];
	bool by_notices;
	volatile int listener; /* -1: none */
	char candidate[PATH_MAX];
	/* What the child says of itself when it could not become the program. */
	volatile enum memmap_tracer_stage stage;
	volatile int err; /* a negative errno */
	_Alignas(16) char stack[STACK_SIZE];
};

/*
 * ---- The child ----
 */

/* A system call. Returns what the kernel does: a result or a negative errno. */
IN_CHILD static long call(long number, long a, long b, long c)
{
	long result;
	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(a), "S"(b), "d"(c)
			 : "rcx", "r11", "memory");
	return result;
}

/* Returns what seccomp(2) does: with a listener, its descriptor. */
IN_CHILD static int install(bool by_notices)
{
	const struct sock_fprog *filter = memmap_seccomp_filter(by_notices);
	unsigned long flags = SECCOMP_FILTER_FLAG_SPEC_ALLOW;
	if (by_notices)
		flags |= SECCOMP_FILTER_FLAG_NEW_LISTENER | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
	long result = call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, (long)flags, (long)filter);
	/* Without CAP_SYS_ADMIN a filter needs no_new_privs. */
	if (result == -EACCES) {
		result = call(SYS_prctl, PR_SET_NO_NEW_PRIVS, 1, 0);
		if (!result)
			result = call(SYS_seccomp, SECCOMP_SET_MODE_FILTER, (long)flags,
				      (long)filter);
	}
	return (int)result;
}

IN_CHILD static int install_filter(struct memmap_launch *launch)
{
	if (launch->by_notices)
		launch->listener = install(true);
	/* An older kernel, or a supervisor already. */
	if (launch->listener < 0)
		return install(false);
	/* It fails, since somebody traces already: but the filter stops it. */
	call(SYS_ptrace, PTRACE_TRACEME, 0, 0);
	return 0;
}

/* Execute the file at `path`. Returns a negative errno. */
IN_CHILD static int execute(struct memmap_launch *launch, const char *path)
{
	long err = call(SYS_execve, (long)path, (long)launch->argv, (long)environ);
	if (err == -ENOEXEC) {
		launch->shell_argv[1] = path;
		err = call(SYS_execve, (long)launch->shell_argv[0], (long)launch->shell_argv,
			   (long)environ);
	}
	return (int)err;
}

/* `directory`/`name` into the launch's candidate. False: too long. */
IN_CHILD static bool make_candidate(struct memmap_launch *launch, const char *directory,
				    size_t length, const char *name)
{
	size_t at = 0;
	if (length > PATH_MAX - 2)
		return false;
	for (; at < length; at++)
		launch->candidate[at] = directory[at];
	if (length > 0)
		launch->candidate[at++] = '/';
	for (; *name && at < PATH_MAX - 1; name++)
		launch->candidate[at++] = *name;
	launch->candidate[at] = '\0';
	return *name == '\0';
}

/* Is an error such that execvp(3) looks in the next directory? */
IN_CHILD static bool goes_on(int err)
{
	return err == -ENOENT || err == -ENOTDIR || err == -EACCES || err == -ESTALE ||
	       err == -ENODEV || err == -ETIMEDOUT || err == -ENAMETOOLONG;
}

/* Execute argv[0], looked for as by execvp(3). Returns a negative errno. */
IN_CHILD static int execute_found(struct memmap_launch *launch)
{
	const char *name = launch->argv[0];
	bool forbidden = false;
	if (!launch->path)
		return execute(launch, name);
	for (const char *directory = launch->path;; directory++) {
		size_t length = 0;
		while (directory[length] && directory[length] != ':')
			length++;
		int err = -ENAMETOOLONG;
		if (make_candidate(launch, directory, length, name))
			err = execute(launch, launch->candidate);
		if (!goes_on(err))
			return err;
		forbidden |= err == -EACCES;
		directory += length;
		if (!*directory)
			return forbidden ? -EACCES : err;
	}
}

IN_CHILD static int become(void *arg)
{
	struct memmap_launch *launch = arg;
	long n;
	char go;
	call(SYS_close, launch->go[1], 0, 0);
	do
		n = call(SYS_read, launch->go[0], (long)&go, 1);
	while (n == -EINTR);
	/* Otherwise the parent has given up, or is gone. */
	if (n == 1) {
		launch->stage = MEMMAP_TRACER_SECCOMP;
		launch->err = install_filter(launch);
		if (!launch->err) {
			launch->stage = MEMMAP_TRACER_EXEC;
			launch->err = execute_found(launch);
		}
	}
	call(SYS_exit_group, 125, 0, 0);
	__builtin_unreachable();
}

/*
 * ---- The parent ----
 */

static struct memmap_launch *prepare(char *const argv[])
{
	size_t nr = 1;
	while (argv[nr])
		nr++;
	struct memmap_launch *launch = malloc(sizeof(*launch));
	const char **shell_argv = calloc(nr + 2, sizeof(*shell_argv));
	if (!launch || !shell_argv) {
		free(launch);
		free(shell_argv);
		return NULL;
	}
	launch->argv = argv;
	shell_argv[0] = "/bin/sh";
	for (size_t i = 1; i < nr; i++)
		shell_argv[i + 1] = argv[i];
	launch->shell_argv = shell_argv;
	launch->path = NULL;
	/* A name that is empty is nowhere, as a path that is empty. */
	if (argv[0][0] != '\0' && !strchr(argv[0], '/')) {
		const char *path = getenv("PATH");
		launch->path = path ? path : "/bin:/usr/bin";
	}
	launch->listener = -1;
	launch->stage = MEMMAP_TRACER_FORK;
	launch->err = 0;
	return launch;
}

int memmap_launch_listener(const struct memmap_launch *launch)
{
	return launch->listener < 0 ? -1 : launch->listener;
}

int memmap_launch_end(struct memmap_launch *launch, enum memmap_tracer_stage *stage)
{
	if (!launch)
		return 0;
	const int err = launch->err;
	if (err)
		*stage = launch->stage;
	free(launch->shell_argv);
	free(launch);
	return err;
}

static void give_up(pid_t pid)
{
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, __WALL) < 0 && errno == EINTR)
		;
}

static int say_go(int fd)
{
	ssize_t n;
	do
		n = write(fd, "", 1);
	while (n < 0 && errno == EINTR);
	return n == 1 ? 0 : -errno;
}

static int clone_and_seize(struct memmap_launch *launch, pid_t *out,
			   enum memmap_tracer_stage *stage)
{
	*stage = MEMMAP_TRACER_FORK;
	pid_t pid = clone(become, launch->stack + STACK_SIZE, CLONE_VM | SIGCHLD, launch);
	if (pid < 0)
		return -errno;
	int err = 0;
	if (ptrace(PTRACE_SEIZE, pid, 0, MEMMAP_LAUNCH_OPTIONS)) {
		err = -errno;
		*stage = MEMMAP_TRACER_SEIZE;
	} else {
		err = say_go(launch->go[1]);
	}
	if (err)
		give_up(pid);
	*out = pid;
	return err;
}

int memmap_launch(char *const argv[], bool by_notices, pid_t *pid, struct memmap_launch **out,
		  enum memmap_tracer_stage *stage)
{
	*stage = MEMMAP_TRACER_FORK;
	struct memmap_launch *launch = prepare(argv);
	int err = launch ? 0 : -ENOMEM;
	if (!err && pipe2(launch->go, O_CLOEXEC))
		err = -errno;
	if (err) {
		memmap_launch_end(launch, stage);
		return err;
	}
	launch->by_notices = by_notices && notices_possible(launch->go[0]);
	err = clone_and_seize(launch, pid, stage);
	close(launch->go[0]);
	close(launch->go[1]);
	if (err) {
		enum memmap_tracer_stage of_child;
		memmap_launch_end(launch, &of_child);
		return err;
	}
	*out = launch;
	return 0;
}
