/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The soft platform's system calls.
 */
#include "platform/soft/host.h"

#include <errno.h>
#include <linux/membarrier.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#ifndef MADV_POPULATE_READ
#	define MADV_POPULATE_READ  22
#	define MADV_POPULATE_WRITE 23
#endif

int (*memmap_soft_host_hook)(const char *call, uint64_t offset, uint64_t length);

static int ask(const char *call, uint64_t offset, uint64_t length)
{
	return memmap_soft_host_hook ? memmap_soft_host_hook(call, offset, length) : 0;
}

/*
 * The kernel knows its own page size only; for a larger one, room is reserved that holds an aligned
 * range, the file is mapped over that, and what is left at both sides is given back.
 */
int memmap_soft_host_map(int fd, uint64_t offset, uint64_t length, uint64_t alignment,
			 bool writable, void **out)
{
	int err = ask("mmap", offset, length);
	if (err)
		return err;
	char *room = mmap(NULL, length + alignment, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (room == MAP_FAILED)
		return -errno;
	const uint64_t before = (alignment - ((uintptr_t)room & (alignment - 1))) & (alignment - 1);
	char *addr = room + before;
	if (mmap(addr, length, writable ? PROT_READ | PROT_WRITE : PROT_READ,
		 MAP_SHARED | MAP_FIXED, fd, (off_t)offset) == MAP_FAILED) {
		err = -errno;
		(void)munmap(room, length + alignment);
		return err;
	}
	/* Should these fail, some reserved addresses are lost, and nothing else. */
	if (before)
		(void)munmap(room, before);
	(void)munmap(addr + length, alignment - before);
	*out = addr;
	return 0;
}

int memmap_soft_host_unmap(void *addr, uint64_t length)
{
	int err = ask("munmap", 0, length);
	if (err)
		return err;
	return munmap(addr, length) == 0 ? 0 : -errno;
}

int memmap_soft_host_populate(void *addr, uint64_t length, bool writable)
{
	int err = ask("madvise", 0, length);
	if (err)
		return err;
	return madvise(addr, length, writable ? MADV_POPULATE_WRITE : MADV_POPULATE_READ) == 0
		       ? 0
		       : -errno;
}

int memmap_soft_host_register_barrier(void)
{
	int err = ask("membarrier", 0, 0);
	if (err)
		return err;
	return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED, 0, 0) == 0
		       ? 0
		       : -errno;
}

int memmap_soft_host_barrier(void)
{
	int err = ask("barrier", 0, 0);
	if (err)
		return err;
	return syscall(SYS_membarrier, MEMBARRIER_CMD_PRIVATE_EXPEDITED, 0, 0) == 0 ? 0 : -errno;
}

uint64_t memmap_soft_host_page_size(void)
{
	return (uint64_t)sysconf(_SC_PAGESIZE);
}
