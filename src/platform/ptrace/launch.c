/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting a program under trace.
 *
 *   parent                          child
 *   fork ─────────────────────────▶ wait for the parent's word
 *   seize it, set options
 *   say go ───────────────────────▶ install the filter
 *                                   exec the program, or write what failed and exit
 *
 * The filter comes after seizing, since a call that it stops fails with ENOSYS when nobody traces;
 * it comes in the child, since it cannot be put on another process. Both pipes close at exec.
 *
 * Seizing, unlike PTRACE_TRACEME, leaves SIGSTOP and job control to the program.
 */
#include "launch.h"

#include "seccomp_filter.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/ptrace.h>
#include <sys/wait.h>
#include <unistd.h>

static ssize_t read_again(int fd, void *buf, size_t size)
{
	ssize_t n;
	do
		n = read(fd, buf, size);
	while (n < 0 && errno == EINTR);
	return n;
}

static ssize_t write_again(int fd, const void *buf, size_t size)
{
	ssize_t n;
	do
		n = write(fd, buf, size);
	while (n < 0 && errno == EINTR);
	return n;
}

/* The child's life up to its exec. */
static _Noreturn void become(char *const argv[], int go_fd, int failure_fd)
{
	struct memmap_launch_failure failure = {.stage = MEMMAP_TRACER_SECCOMP};
	char go;
	if (read_again(go_fd, &go, 1) != 1)
		_exit(125); /* the parent has given up, or is gone */
	failure.err = memmap_seccomp_filter_install();
	if (!failure.err) {
		execvp(argv[0], argv);
		failure.stage = MEMMAP_TRACER_EXEC;
		failure.err = -errno;
	}
	(void)write_again(failure_fd, &failure, sizeof(failure));
	_exit(125);
}

static void give_up(pid_t pid)
{
	kill(pid, SIGKILL);
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static int fork_and_seize(char *const argv[], const int go[2], const int failure[2], pid_t *out,
			  enum memmap_tracer_stage *stage)
{
	*stage = MEMMAP_TRACER_FORK;
	pid_t pid = fork();
	if (pid < 0)
		return -errno;
	if (pid == 0) {
		close(go[1]);
		close(failure[0]);
		become(argv, go[0], failure[1]);
	}
	if (ptrace(PTRACE_SEIZE, pid, 0, MEMMAP_LAUNCH_OPTIONS)) {
		int err = -errno;
		*stage = MEMMAP_TRACER_SEIZE;
		give_up(pid);
		return err;
	}
	if (write_again(go[1], "", 1) != 1) {
		int err = -errno;
		give_up(pid);
		return err;
	}
	*out = pid;
	return 0;
}

int memmap_launch(char *const argv[], pid_t *pid, int *failure_fd, enum memmap_tracer_stage *stage)
{
	int go[2], failure[2], err;
	*stage = MEMMAP_TRACER_FORK;
	if (pipe2(go, O_CLOEXEC)) {
		err = -errno;
	} else if (pipe2(failure, O_CLOEXEC)) {
		err = -errno;
		close(go[0]);
		close(go[1]);
	} else {
		err = fork_and_seize(argv, go, failure, pid, stage);
		close(go[0]);
		close(go[1]);
		close(failure[1]);
		if (err)
			close(failure[0]);
		else
			*failure_fd = failure[0];
	}
	return err;
}

bool memmap_launch_failure(int failure_fd, struct memmap_launch_failure *out)
{
	bool told = read_again(failure_fd, out, sizeof(*out)) == (ssize_t)sizeof(*out);
	close(failure_fd);
	return told;
}
