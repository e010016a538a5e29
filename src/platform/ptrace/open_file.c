/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Looking at another process's descriptors.
 *
 * With pidfd_getfd(2) (Linux 5.6) everything is asked of a duplicate. Where it is missing or
 * forbidden, /proc/PID/fd and /proc/PID/fdinfo tell nearly as much; what is lost is telling two
 * open files of one inode apart, and with it the boundaries between their mappings.
 */
#include "open_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <linux/magic.h>
#include <linux/stat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/shm.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef XFS_SUPER_MAGIC
#	define XFS_SUPER_MAGIC 0x58465342
#endif
#ifndef ANON_INODE_FS_MAGIC
#	define ANON_INODE_FS_MAGIC 0x09041934
#endif
#ifndef F_SEAL_FUTURE_WRITE
#	define F_SEAL_FUTURE_WRITE 0x0010
#endif

int memmap_open_file_pidfd_open(pid_t pid)
{
	const int pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	return pidfd < 0 ? -errno : pidfd;
}

int memmap_open_file_duplicate(int pidfd, int fd)
{
	const int local = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	return local < 0 ? -errno : local;
}

/* The number that /proc/PID/fdinfo/FD shows after `label`; -1 when it cannot be read. */
static int number_in_fdinfo(pid_t pid, int fd, const char *label, int base)
{
	char path[64], line[128];
	const size_t length = strlen(label);
	snprintf(path, sizeof(path), "/proc/%d/fdinfo/%d", (int)pid, fd);
	FILE *file = fopen(path, "re");
	int number = -1;
	while (file && number < 0 && fgets(line, sizeof(line), file))
		if (strncmp(line, label, length) == 0)
			number = (int)strtol(line + length, NULL, base);
	if (file)
		fclose(file);
	return number;
}

static int flags_by_fdinfo(pid_t pid, int fd)
{
	return number_in_fdinfo(pid, fd, "flags:", 8);
}

pid_t memmap_open_file_pidfd(pid_t pid, int fd)
{
	return number_in_fdinfo(pid, fd, "Pid:", 10);
}

static void classify_file_system(int fd, const char *path, uint64_t attributes,
				 struct memmap_open_file *out)
{
	struct statfs fs;
	if (fd >= 0 ? fstatfs(fd, &fs) : statfs(path, &fs))
		return;
	out->no_exec = ((unsigned long)fs.f_flags & ST_NOEXEC) != 0;
	switch ((unsigned long)fs.f_type) {
	case EXT4_SUPER_MAGIC:
	case XFS_SUPER_MAGIC:
		out->huge_aligned = true;
		out->map_sync = (attributes & STATX_ATTR_DAX) != 0;
		out->refuses_sync = !out->map_sync;
		break;
	case BTRFS_SUPER_MAGIC:
		out->huge_aligned = true;
		break;
	case HUGETLBFS_MAGIC:
		out->hugetlb = true;
		break;
	case ANON_INODE_FS_MAGIC:
	case PROC_SUPER_MAGIC:
	case SYSFS_MAGIC:
	case DEBUGFS_MAGIC:
	case TRACEFS_MAGIC:
	case CGROUP_SUPER_MAGIC:
	case CGROUP2_SUPER_MAGIC:
		out->peculiar = true;
		break;
	default:
		break;
	}
}

int memmap_open_file_look(pid_t pid, int pidfd, int fd, struct memmap_open_file *out)
{
	if (fd < 0)
		return -EBADF;
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, fd);
	*out = (struct memmap_open_file){
		.local_fd = pidfd < 0 ? -1 : memmap_open_file_duplicate(pidfd, fd)};
	if (out->local_fd == -EBADF)
		return -EBADF;
	if (out->local_fd < 0)
		out->local_fd = -1;
	const int local = out->local_fd;
	struct statx st;
	const int flags = local >= 0 ? fcntl(local, F_GETFL) : flags_by_fdinfo(pid, fd);
	if (flags < 0 || (local >= 0 ? statx(local, "", AT_EMPTY_PATH, STATX_BASIC_STATS, &st)
				     : statx(AT_FDCWD, path, 0, STATX_BASIC_STATS, &st))) {
		int err = errno == ENOENT ? -EBADF : -errno;
		if (local >= 0)
			close(local);
		return err;
	}
	out->device = makedev(st.stx_dev_major, st.stx_dev_minor);
	out->inode = st.stx_ino;
	out->size = st.stx_size;
	out->mode = st.stx_mode;
	out->major = st.stx_rdev_major;
	out->minor = st.stx_rdev_minor;
	out->path_only = (flags & O_PATH) != 0;
	out->readable = (flags & O_ACCMODE) != O_WRONLY;
	out->writable = (flags & O_ACCMODE) != O_RDONLY;
	out->pipe_like = S_ISFIFO(st.stx_mode) || S_ISSOCK(st.stx_mode) || S_ISDIR(st.stx_mode) ||
			 S_ISLNK(st.stx_mode);
	classify_file_system(local, path, st.stx_attributes, out);
	if (out->writable && S_ISREG(st.stx_mode)) {
		out->append_only = (st.stx_attributes & STATX_ATTR_APPEND) != 0;
		const int seals = local >= 0 ? fcntl(local, F_GET_SEALS) : -1;
		out->sealable = seals >= 0;
		out->seal_write = seals >= 0 && (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE));
	}
	return 0;
}

void memmap_open_file_name(pid_t pid, int fd, int local_fd, char *buf, size_t size)
{
	char path[64];
	if (local_fd >= 0)
		snprintf(path, sizeof(path), "/proc/self/fd/%d", local_fd);
	else
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", (int)pid, fd);
	ssize_t n = readlink(path, buf, size - 1);
	buf[n > 0 ? n : 0] = '\0';
}

int memmap_open_file_same(pid_t pid, int fd, int local_fd)
{
	long order = syscall(SYS_kcmp, pid, getpid(), KCMP_FILE, fd, local_fd);
	return order < 0 ? -errno : order == 0;
}

int memmap_shm_segment(int shmid, uint64_t *size, uint32_t *key)
{
	struct shmid_ds segment;
	if (shmctl(shmid, IPC_STAT, &segment))
		return -errno;
	*size = segment.shm_segsz;
	*key = (uint32_t)segment.shm_perm.__key;
	return 0;
}
