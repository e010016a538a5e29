/* SPDX-License-Identifier: Apache-2.0 */
#include "notices.h"

#include "open_file.h"
#include "seccomp_filter.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ptrace.h>
#include <sys/reg.h>
#include <sys/signalfd.h>
#include <unistd.h>

/* What the C library's headers may not know yet. */
#define IOCTL_SET_FLAGS _IOW('!', 4, uint64_t)
#define SYNC_WAKE_UP    UINT64_C(1)

/* The kernel's own: a call is made again, after a handler only if it has SA_RESTART, or always. */
#define ERESTARTSYS    512
#define ERESTARTNOINTR 513

static int duplicate(pid_t pid, int fd)
{
	const int pidfd = memmap_open_file_pidfd_open(pid);
	if (pidfd < 0)
		return pidfd;
	const int own = memmap_open_file_duplicate(pidfd, fd);
	close(pidfd);
	return own;
}

bool notices_possible(int fd)
{
	const int own = duplicate(getpid(), fd);
	if (own >= 0)
		close(own);
	return own >= 0;
}

/* Blocked, it waits to be read; ignored, it would not be sent. */
static int open_signals(sigset_t *former)
{
	struct sigaction action;
	sigset_t child;
	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	const int fd = signalfd(-1, &child, SFD_CLOEXEC | SFD_NONBLOCK);
	if (fd < 0)
		return -errno;
	if (sigaction(SIGCHLD, NULL, &action) == 0 && action.sa_handler == SIG_IGN)
		(void)signal(SIGCHLD, SIG_DFL);
	(void)sigprocmask(SIG_BLOCK, &child, former);
	return fd;
}

/* Is who is woken up by the listener, or by us, to run where the waker runs? False: as ever. */
static bool wake_up_here(int listener, bool here)
{
	return ioctl(listener, IOCTL_SET_FLAGS, here ? SYNC_WAKE_UP : 0) == 0;
}

int notices_open(struct notices *notices, pid_t pid, int fd)
{
	const int listener = duplicate(pid, fd);
	if (listener < 0)
		return listener;
	sigset_t former;
	const int signals = open_signals(&former);
	if (signals < 0) {
		close(listener);
		return signals;
	}
	*notices = (struct notices){
		.listener = listener,
		.signals = signals,
		.former = former,
		.ptrace = true,
		.chooses = wake_up_here(listener, true),
	};
	return 0;
}

void notices_close(struct notices *notices)
{
	if (notices->listener >= 0)
		close(notices->listener);
	close(notices->signals);
	(void)sigprocmask(SIG_SETMASK, &notices->former, NULL);
}

enum notices_sign notices_wait(struct notices *notices, int timeout)
{
	struct pollfd fds[] = {{.fd = notices->signals, .events = POLLIN},
			       {.fd = notices->listener, .events = POLLIN}};
	struct signalfd_siginfo info;
	const int nr = poll(fds, 2, timeout);
	/* The kernel sends no signal when some ends, of processes that have asked for none. */
	notices->ptrace |= nr == 0;
	if (nr <= 0)
		return NOTICES_NOTHING;
	if (fds[0].revents & POLLIN) {
		/* Before waitpid(): what comes meanwhile is told once more. */
		while (read(notices->signals, &info, sizeof(info)) == (ssize_t)sizeof(info))
			;
		notices->ptrace = true;
		return NOTICES_PTRACE;
	}
	if (fds[1].revents & POLLIN)
		return NOTICES_CALL;
	/* All who were under the filter are gone. */
	close(notices->listener);
	notices->listener = -1;
	return NOTICES_NOTHING;
}

bool notices_read(const struct notices *notices, struct seccomp_notif *out)
{
	memset(out, 0, sizeof(*out));
	return ioctl(notices->listener, SECCOMP_IOCTL_NOTIF_RECV, out) == 0;
}

void notices_answer(const struct notices *notices, uint64_t id)
{
	struct seccomp_notif_resp answer = {.id = id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
	if (notices->chooses)
		(void)wake_up_here(notices->listener, false);
	(void)ioctl(notices->listener, SECCOMP_IOCTL_NOTIF_SEND, &answer);
	if (notices->chooses)
		(void)wake_up_here(notices->listener, true);
}

void notices_restart(pid_t tid)
{
	errno = 0;
	const long result = ptrace(PTRACE_PEEKUSER, tid, (long)(sizeof(long) * RAX), 0);
	if (errno || result != -ERESTARTSYS)
		return;
	const long number = ptrace(PTRACE_PEEKUSER, tid, (long)(sizeof(long) * ORIG_RAX), 0);
	if (number >= 0 && memmap_seccomp_filter_notices((uint64_t)number))
		ptrace(PTRACE_POKEUSER, tid, (long)(sizeof(long) * RAX), (long)-ERESTARTNOINTR);
}
