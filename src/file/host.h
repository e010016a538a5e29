/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system calls of this floor, each of which returns 0 or a negative errno and is tried again
 * when a signal interrupted it.
 */
#ifndef MEMMAP_SRC_FILE_HOST_H
#define MEMMAP_SRC_FILE_HOST_H

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>
#include <sys/vfs.h>

/*
 * For tests: called before each system call that can fail, with its name; what it returns, when that
 * is negative, is the call's result, and the call is not made. NULL: none.
 */
extern int (*memmap_host_hook)(const char *call);

int memmap_host_memfd_create(const char *name, int *fd);
int memmap_host_dup(int fd, int *out);
void memmap_host_close(int fd);

int memmap_host_truncate(int fd, uint64_t size);
/* The file's size stays. */
int memmap_host_punch_hole(int fd, uint64_t offset, uint64_t length);
int memmap_host_stat(int fd, struct stat *out);
int memmap_host_statfs(int fd, struct statfs *out);
/* STATX_ATTR_*, those that the file system knows. */
int memmap_host_attributes(int fd, uint64_t *out);
int memmap_host_open_flags(int fd, int *out);
/* F_SEAL_*; 0 for files that have none. */
int memmap_host_seals(int fd, int *out);
/* What the link /proc/self/fd/FD says, cut to fit and terminated. */
int memmap_host_name(int fd, char *buf, size_t size, size_t *length);

/* Anonymous memory that is taken when it is touched, and not before. */
int memmap_host_map_anonymous(size_t length, void **out);
/* MAP_SHARED; `prot` as for mmap(2). */
int memmap_host_map_shared(int fd, uint64_t offset, size_t length, int prot, void **out);
/* Of what was mapped whole, which cannot fail. */
void memmap_host_unmap(void *addr, size_t length);
int memmap_host_resident(void *addr, size_t length, unsigned char *vec);

/* All of it: -EIO when the file ends before. */
int memmap_host_read(int fd, void *buf, size_t size, uint64_t offset);
int memmap_host_write(int fd, const void *buf, size_t size, uint64_t offset);
/* Write back and wait: msync(MS_SYNC) of a mapping, fdatasync(2) of a file. */
int memmap_host_sync_mapping(void *addr, size_t length);
int memmap_host_sync_data(int fd);

#endif /* MEMMAP_SRC_FILE_HOST_H */
