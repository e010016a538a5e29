/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a process ended. See wait_status.h.
 */
#include "common/wait_status.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>

char *wait_status_text(int status, char *buf, size_t size)
{
	const int number = WTERMSIG(status);
	const char *name = WIFSIGNALED(status) ? sigabbrev_np(number) : NULL;
	if (!WIFSIGNALED(status))
		(void)snprintf(buf, size, "exited with %d", WEXITSTATUS(status));
	else if (name)
		(void)snprintf(buf, size, "killed by SIG%s", name);
	else if (number >= SIGRTMIN && number <= SIGRTMAX)
		(void)snprintf(buf, size, "killed by SIGRTMIN+%d", number - SIGRTMIN);
	else
		(void)snprintf(buf, size, "killed by signal %d", number);
	return buf;
}
