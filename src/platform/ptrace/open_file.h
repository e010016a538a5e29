/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files that a traced process has open.
 *
 * Linux merges two mappings of a file only when they were made through one open file (one struct
 * file), which neither maps nor the inode tells. So a descriptor is duplicated out of the process
 * (pidfd_getfd) and kept for as long as the mapping lives; kcmp(2) then tells whether another
 * descriptor is the same open file.
 *
 * Keeping the duplicate changes nothing for the program as long as a mapping made from it exists,
 * since that keeps the open file alive as well; it must be closed no later than the mapping goes.
 */
#ifndef MEMMAP_PLATFORM_PTRACE_OPEN_FILE_H
#define MEMMAP_PLATFORM_PTRACE_OPEN_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

/* What decides how a descriptor can be mapped. */
struct memmap_open_file {
	int local_fd; /* the duplicate, to be closed by the caller; -1 when there could be none */
	uint64_t device, inode; /* as stat(2) says: maps may show others (overlayfs, btrfs) */
	uint64_t size;
	uint32_t mode;         /* st_mode */
	uint32_t major, minor; /* of a device file */
	bool readable, writable;
	bool path_only;    /* opened with O_PATH: mmap fails with EBADF */
	bool append_only;  /* the inode may only be appended to */
	bool no_exec;      /* on a file system mounted noexec */
	bool seal_write;   /* F_SEAL_WRITE or F_SEAL_FUTURE_WRITE */
	bool huge_aligned; /* the file system aligns large mappings to huge pages */
	bool map_sync;     /* MAP_SYNC works (DAX) */
	bool refuses_sync; /* the file system knows MAP_SYNC, and does not do it for this file */
	bool hugetlb;      /* hugetlbfs */
	bool peculiar;  /* of a file system (proc, anon_inode, ...) whose files map in ways of their
			   own */
	bool sealable;  /* F_GET_SEALS works: seals may be added at any time */
	bool pipe_like; /* pipe, socket, directory, ...: cannot be mapped */
};

/** A pidfd of the process `pid`; a negative errno: there is none. */
int memmap_open_file_pidfd_open(pid_t pid);

/** A duplicate of descriptor `fd` of the process that `pidfd` is of; or a negative errno. */
int memmap_open_file_duplicate(int pidfd, int fd);

/**
 * Look at descriptor `fd` of process `pid`. `pidfd` is of that process; negative: do without, and
 * without a duplicate.
 *
 * Returns:     0; -EBADF when it is not open; another negative errno when it cannot be told
 */
int memmap_open_file_look(pid_t pid, int pidfd, int fd, struct memmap_open_file *out);

/** The name that maps would show, from the duplicate or, without one, from the process's own. */
void memmap_open_file_name(pid_t pid, int fd, int local_fd, char *buf, size_t size);

/**
 * Is descriptor `fd` of `pid` the same open file as our own `local_fd`?
 *
 * Returns:     1 yes, 0 no; a negative errno when it cannot be told (-EBADF: `fd` is not open)
 */
int memmap_open_file_same(pid_t pid, int fd, int local_fd);

/**
 * The process or thread that the pidfd `fd` of `pid` names; -1: it is no pidfd, or that has ended.
 */
pid_t memmap_open_file_pidfd(pid_t pid, int fd);

/** The size that a SysV shared memory segment was made with; a negative errno when there is none.
 */
int memmap_shm_segment(int shmid, uint64_t *size, uint32_t *key);

#endif /* MEMMAP_PLATFORM_PTRACE_OPEN_FILE_H */
