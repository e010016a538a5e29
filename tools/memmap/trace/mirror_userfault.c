/* SPDX-License-Identifier: Apache-2.0 */
/*
 * userfaultfd(2): what registering does to VMAs, and closing.
 *
 * The kernel alone knows what may be registered, so the model follows at the call's exit. The last
 * descriptor is closed without a call that stops; so before each call of a space that has
 * registrations it is looked whether the userfaultfd is still open in some process. A duplicate of
 * it here would keep it open; it is known by its inode, which is its own.
 */
#include <dirent.h>
#include <errno.h>
#include <linux/userfaultfd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "trace/trace.h"

/* A userfaultfd with which something of a space was registered. */
struct userfault {
	struct userfault *next;
	uint64_t inode;
	uint64_t number; /* the model's owner */
	pid_t pid;       /* where it was open when it was last looked for */
	int fd;
};

/* The inode of the userfaultfd that the descriptor is; 0: it is none. */
static uint64_t inode_of(pid_t pid, int fd)
{
	static const char name[] = "anon_inode:[userfaultfd]";
	char path[64], target[sizeof(name)];
	struct stat st;
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, fd);
	const ssize_t n = readlink(path, target, sizeof(target));
	if (n != sizeof(name) - 1 || memcmp(target, name, sizeof(name) - 1) != 0 || stat(path, &st))
		return 0;
	return st.st_ino;
}

static bool find_in(pid_t pid, struct userfault *u)
{
	char path[64];
	bool found = false;
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	DIR *descriptors = opendir(path);
	if (!descriptors)
		return false;
	for (const struct dirent *entry; !found && (entry = readdir(descriptors));) {
		const int fd = (int)strtol(entry->d_name, NULL, 10);
		if (entry->d_name[0] == '.' || inode_of(pid, fd) != u->inode)
			continue;
		u->pid = pid;
		u->fd = fd;
		found = true;
	}
	closedir(descriptors);
	return found;
}

static bool is_open(const struct trace *trace, struct userfault *u)
{
	if (inode_of(u->pid, u->fd) == u->inode)
		return true;
	for (const struct process *process = trace->processes; process; process = process->next)
		if (!process->ended && find_in(process->pid, u))
			return true;
	return false;
}

void userfaults_follow(const struct trace *trace, struct space *space)
{
	for (struct userfault **link = &space->userfaults; *link;) {
		struct userfault *u = *link;
		if (is_open(trace, u)) {
			link = &u->next;
			continue;
		}
		/* Without memory it stays registered, and the next difference tells. */
		(void)memmap_mm_userfault_release(space->mm, u->number);
		space->changed_elsewhere = true;
		*link = u->next;
		free(u);
	}
}

void userfaults_release(struct space *space)
{
	while (space->userfaults) {
		struct userfault *next = space->userfaults->next;
		free(space->userfaults);
		space->userfaults = next;
	}
}

/* The userfaultfd of another space: whatever is done with it is done there. */
static bool is_of_another(const struct trace *trace, const struct space *space, uint64_t inode)
{
	for (const struct space *other = trace->spaces; other; other = other->next)
		for (const struct userfault *u = other->userfaults; u; u = u->next)
			if (other != space && u->inode == inode)
				return true;
	return false;
}

/* The one with that inode, which is made known if it was not; NULL: out of memory. */
static struct userfault *find(struct space *space, uint64_t inode)
{
	static uint64_t last_number;
	struct userfault *u = space->userfaults;
	while (u && u->inode != inode)
		u = u->next;
	if (u)
		return u;
	u = calloc(1, sizeof(*u));
	if (!u)
		return NULL;
	u->inode = inode;
	u->number = ++last_number;
	u->next = space->userfaults;
	space->userfaults = u;
	return u;
}

static uint64_t flags_of(uint64_t mode)
{
	return (mode & UFFDIO_REGISTER_MODE_MISSING ? MEMMAP_VM_UFFD_MISSING : 0) |
	       (mode & UFFDIO_REGISTER_MODE_WP ? MEMMAP_VM_UFFD_WP : 0) |
	       (mode & UFFDIO_REGISTER_MODE_MINOR ? MEMMAP_VM_UFFD_MINOR : 0);
}

struct memmap_addr_range userfault_range(const struct thread *thread)
{
	struct uffdio_range asked;
	if (memmap_process_read(thread->task->tid, thread->call.args[2], &asked, sizeof(asked)))
		return (struct memmap_addr_range){0, 0};
	return (struct memmap_addr_range){asked.start, asked.start + asked.len};
}

void ioctl_exit(const struct trace *trace, struct thread *thread)
{
	const pid_t tid = thread->task->tid;
	const uint64_t *args = thread->call.args;
	struct space *space = thread->process->space;
	const int fd = (int)args[0];
	const uint64_t inode = inode_of(thread->process->pid, fd);
	thread->predicted = thread->call.result;
	if (thread->call.result < 0)
		return;
	int err;
	if (inode == 0 || is_of_another(trace, space, inode)) {
		err = -EXDEV;
	} else if ((uint32_t)args[1] == UFFDIO_UNREGISTER) {
		err = memmap_mm_userfault_unregister(space->mm, userfault_range(thread));
	} else {
		struct uffdio_register asked;
		struct userfault *u = find(space, inode);
		err = u ? memmap_process_read(tid, args[2], &asked, sizeof(asked)) : -ENOMEM;
		if (!err) {
			u->pid = thread->process->pid;
			u->fd = fd;
			err = memmap_mm_userfault_register(space->mm, userfault_range(thread),
							   u->number, flags_of(asked.mode));
		}
	}
	if (err)
		thread->mode = MIRROR_ADOPT;
}
