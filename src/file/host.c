/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system calls of this floor: the only place that makes them.
 *
 * Each returns 0 or a negative errno; results go to the last parameter and are written on success
 * only. A call that a signal interrupted (EINTR) is made again, but for close(2), which has closed.
 *
 * Locking: none; the hook is set by tests while nobody else is here.
 */
#include "file/host.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include <memmap/api.h>

int (*memmap_host_hook)(const char *call);

static int before(const char *call)
{
	int (*hook)(const char *) = __atomic_load_n(&memmap_host_hook, __ATOMIC_RELAXED);
	return MEMMAP_UNLIKELY(hook != NULL) ? hook(call) : 0;
}

/* Make the system call `name` until it is not interrupted; leave the function when it fails. */
#define CALL(name, result, ...)                                                                    \
	do {                                                                                       \
		int refused_ = before(#name);                                                      \
		if (refused_ < 0)                                                                  \
			return refused_;                                                           \
		do                                                                                 \
			(result) = name(__VA_ARGS__);                                              \
		while ((result) == -1 && errno == EINTR);                                          \
		if ((result) == -1)                                                                \
			return -errno;                                                             \
	} while (0)

int memmap_host_memfd_create(const char *name, int *fd)
{
	int result;
	CALL(memfd_create, result, name, MFD_CLOEXEC);
	*fd = result;
	return 0;
}

int memmap_host_dup(int fd, int *out)
{
	int result;
	CALL(fcntl, result, fd, F_DUPFD_CLOEXEC, 0);
	*out = result;
	return 0;
}

void memmap_host_close(int fd)
{
	(void)close(fd);
}

int memmap_host_truncate(int fd, uint64_t size)
{
	int result;
	if (size > INT64_MAX)
		return -EFBIG;
	CALL(ftruncate, result, fd, (off_t)size);
	return 0;
}

int memmap_host_punch_hole(int fd, uint64_t offset, uint64_t length)
{
	int result;
	CALL(fallocate, result, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)offset,
	     (off_t)length);
	return 0;
}

int memmap_host_stat(int fd, struct stat *out)
{
	int result;
	struct stat st;
	CALL(fstat, result, fd, &st);
	*out = st;
	return 0;
}

int memmap_host_statfs(int fd, struct statfs *out)
{
	int result;
	struct statfs st;
	CALL(fstatfs, result, fd, &st);
	*out = st;
	return 0;
}

int memmap_host_attributes(int fd, uint64_t *out)
{
	int result;
	struct statx stx;
	CALL(statx, result, fd, "", AT_EMPTY_PATH, 0, &stx);
	*out = stx.stx_attributes & stx.stx_attributes_mask;
	return 0;
}

int memmap_host_open_flags(int fd, int *out)
{
	int result;
	CALL(fcntl, result, fd, F_GETFL);
	*out = result;
	return 0;
}

int memmap_host_seals(int fd, int *out)
{
	int result = before("fcntl");
	if (result < 0)
		return result;
	result = fcntl(fd, F_GET_SEALS);
	if (result == -1 && errno != EINVAL)
		return -errno;
	*out = result == -1 ? 0 : result;
	return 0;
}

int memmap_host_name(int fd, char *buf, size_t size, size_t *length)
{
	char link[40];
	ssize_t result;
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	CALL(readlink, result, link, buf, size - 1);
	buf[result] = '\0';
	*length = (size_t)result;
	return 0;
}

static int map(size_t length, int prot, int flags, int fd, uint64_t offset, void **out)
{
	int refused = before("mmap");
	if (refused < 0)
		return refused;
	void *result = mmap(NULL, length, prot, flags, fd, (off_t)offset);
	if (result == MAP_FAILED)
		return -errno;
	*out = result;
	return 0;
}

int memmap_host_map_anonymous(size_t length, void **out)
{
	return map(length, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1,
		   0, out);
}

int memmap_host_map_shared(int fd, uint64_t offset, size_t length, int prot, void **out)
{
	return map(length, prot, MAP_SHARED, fd, offset, out);
}

void memmap_host_unmap(void *addr, size_t length)
{
	(void)munmap(addr, length);
}

int memmap_host_resident(void *addr, size_t length, unsigned char *vec)
{
	int result;
	CALL(mincore, result, addr, length, vec);
	return 0;
}

int memmap_host_read(int fd, void *buf, size_t size, uint64_t offset)
{
	for (size_t done = 0; done < size;) {
		ssize_t result;
		CALL(pread, result, fd, (char *)buf + done, size - done, (off_t)(offset + done));
		if (result == 0)
			return -EIO;
		done += (size_t)result;
	}
	return 0;
}

int memmap_host_write(int fd, const void *buf, size_t size, uint64_t offset)
{
	for (size_t done = 0; done < size;) {
		ssize_t result;
		CALL(pwrite, result, fd, (const char *)buf + done, size - done,
		     (off_t)(offset + done));
		if (result == 0)
			return -EIO;
		done += (size_t)result;
	}
	return 0;
}

int memmap_host_sync_mapping(void *addr, size_t length)
{
	int result;
	CALL(msync, result, addr, length, MS_SYNC);
	return 0;
}

int memmap_host_sync_data(int fd)
{
	int result;
	CALL(fdatasync, result, fd);
	return 0;
}
