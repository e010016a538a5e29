/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inproc platform's system calls.
 */
#include "platform/inproc/host.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <memmap/block.h>
#include <memmap/platform.h>

#ifndef MREMAP_DONTUNMAP
#	define MREMAP_DONTUNMAP 4
#endif
#ifndef MADV_POPULATE_READ
#	define MADV_POPULATE_READ  22
#	define MADV_POPULATE_WRITE 23
#endif

#define RESERVED (MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE)

int (*memmap_inproc_host_hook)(const char *call);

static int ask(const char *call)
{
	return memmap_inproc_host_hook ? memmap_inproc_host_hook(call) : 0;
}

int memmap_inproc_host_reserve(uint64_t *addr, uint64_t length)
{
	int err = ask("reserve");
	if (err)
		return err;
	void *got = mmap(memmap_pointer_of_(*addr), length, PROT_NONE,
			 RESERVED | (*addr ? MAP_FIXED_NOREPLACE : 0), -1, 0);
	if (got == MAP_FAILED)
		return -errno;
	/* A kernel that does not know MAP_FIXED_NOREPLACE takes the address for a hint. */
	if (*addr && (uintptr_t)got != *addr) {
		(void)munmap(got, length);
		return -EEXIST;
	}
	*addr = (uintptr_t)got;
	return 0;
}

int memmap_inproc_host_release(struct memmap_addr_range ar)
{
	int err = ask("release");
	if (err)
		return err;
	return munmap(memmap_pointer_of_(ar.start), ar.end - ar.start) == 0 ? 0 : -errno;
}

int memmap_inproc_host_clear(struct memmap_addr_range ar)
{
	int err = ask("clear");
	if (err)
		return err;
	return mmap(memmap_pointer_of_(ar.start), ar.end - ar.start, PROT_NONE,
		    RESERVED | MAP_FIXED, -1, 0) != MAP_FAILED
		       ? 0
		       : -errno;
}

int memmap_inproc_host_map(struct memmap_addr_range ar, int fd, uint64_t offset, memmap_access at,
			   bool populate)
{
	int err = ask("map");
	if (err)
		return err;
	return mmap(memmap_pointer_of_(ar.start), ar.end - ar.start, at,
		    MAP_SHARED | MAP_FIXED | (populate ? MAP_POPULATE : 0), fd,
		    (off_t)offset) != MAP_FAILED
		       ? 0
		       : -errno;
}

int memmap_inproc_host_protect(struct memmap_addr_range ar, memmap_access at)
{
	int err = ask("protect");
	if (err)
		return err;
	return mprotect(memmap_pointer_of_(ar.start), ar.end - ar.start, at) == 0 ? 0 : -errno;
}

int memmap_inproc_host_populate(struct memmap_addr_range ar, bool writable)
{
	int err = ask("populate");
	if (err)
		return err;
	return madvise(memmap_pointer_of_(ar.start), ar.end - ar.start,
		       writable ? MADV_POPULATE_WRITE : MADV_POPULATE_READ) == 0
		       ? 0
		       : -errno;
}

int memmap_inproc_host_userfaultfd(void)
{
	int err = ask("userfaultfd");
	if (err)
		return err;
	const int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOSYS ? -EOPNOTSUPP : -errno;
	struct uffdio_api api = {.api = UFFD_API, .features = UFFD_FEATURE_EVENT_REMAP};
	err = ask("userfaultfd api");
	if (!err && ioctl(fd, UFFDIO_API, &api) != 0)
		err = -errno;
	if (!err)
		return fd;
	memmap_inproc_host_close(fd);
	return err;
}

/*
 * It becomes accessible last: until it is watched nobody must be able to touch it.
 */
int memmap_inproc_host_watch(int fd, struct memmap_addr_range ar)
{
	struct uffdio_register reg = {
		.range = {.start = ar.start, .len = ar.end - ar.start},
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};
	int err = ask("watch");
	if (err)
		return err;
	if (ioctl(fd, UFFDIO_REGISTER, &reg) != 0)
		return -errno;
	return memmap_inproc_host_protect(ar, MEMMAP_READ_WRITE);
}

int memmap_inproc_host_wait(int fd, int stop, int ms)
{
	struct pollfd fds[] = {{.fd = fd, .events = POLLIN}, {.fd = stop, .events = POLLIN}};
	int err = ask("wait");
	if (err)
		return err;
	if (poll(fds, 2, ms) < 0)
		return -errno;
	return (fds[0].revents ? MEMMAP_INPROC_READABLE : 0) |
	       (fds[1].revents ? MEMMAP_INPROC_STOPPED : 0);
}

int memmap_inproc_host_read_fault(int fd, uint64_t *addr, bool *writes)
{
	struct uffd_msg message;
	int err = ask("read fault");
	if (err)
		return err;
	const ssize_t nr = read(fd, &message, sizeof(message));
	if (nr < 0)
		return -errno;
	if (nr != (ssize_t)sizeof(message) || message.event != UFFD_EVENT_PAGEFAULT)
		return -EAGAIN;
	*addr = message.arg.pagefault.address;
	*writes = message.arg.pagefault.flags & UFFD_PAGEFAULT_FLAG_WRITE;
	return 0;
}

int memmap_inproc_host_wake(int fd, struct memmap_addr_range ar)
{
	struct uffdio_range range = {.start = ar.start, .len = ar.end - ar.start};
	int err = ask("wake");
	if (err)
		return err;
	return ioctl(fd, UFFDIO_WAKE, &range) == 0 ? 0 : -errno;
}

int memmap_inproc_host_copy_watched(uint64_t from, struct memmap_addr_range ar)
{
	const size_t length = ar.end - ar.start;
	int err = ask("copy watched");
	if (err)
		return err;
	return mremap(memmap_pointer_of_(from), length, length,
		      MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP,
		      memmap_pointer_of_(ar.start)) != MAP_FAILED
		       ? 0
		       : -errno;
}

int memmap_inproc_host_event(void)
{
	int err = ask("eventfd");
	if (err)
		return err;
	const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return fd >= 0 ? fd : -errno;
}

int memmap_inproc_host_signal_event(int fd)
{
	const uint64_t one = 1;
	int err = ask("signal event");
	if (err)
		return err;
	return write(fd, &one, sizeof(one)) == (ssize_t)sizeof(one) ? 0 : -errno;
}

int memmap_inproc_host_clear_event(int fd)
{
	uint64_t nr;
	int err = ask("clear event");
	if (err)
		return err;
	return read(fd, &nr, sizeof(nr)) == (ssize_t)sizeof(nr) ? 0 : -errno;
}

/* The descriptor is gone whatever close(2) says. */
void memmap_inproc_host_close(int fd)
{
	(void)ask("close");
	(void)close(fd);
}

int memmap_inproc_host_handlers(void)
{
	int err = ask("handlers");
	return err ? err : memmap_block_install_handlers();
}

int memmap_inproc_host_thread(pthread_t *thread, void *(*run)(void *arg), void *arg)
{
	sigset_t all, before;
	int err = ask("thread");
	if (err)
		return err;
	sigfillset(&all);
	sigdelset(&all, SIGSEGV);
	sigdelset(&all, SIGBUS);
	(void)pthread_sigmask(SIG_BLOCK, &all, &before);
	err = -pthread_create(thread, NULL, run, arg);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err;
}

int memmap_inproc_host_signal_stack(const stack_t *stack, stack_t *before)
{
	int err = ask("signal stack");
	if (err)
		return err;
	return sigaltstack(stack, before) == 0 ? 0 : -errno;
}
