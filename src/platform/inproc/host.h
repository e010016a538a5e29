/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inproc platform's system calls: nowhere else does it make any. Each returns 0 or a negative
 * errno unless it says otherwise.
 */
#ifndef MEMMAP_SRC_PLATFORM_INPROC_HOST_H
#define MEMMAP_SRC_PLATFORM_INPROC_HOST_H

#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <memmap/arch.h>
#include <memmap/range.h>

/* For tests: asked before each call, by name; a negative errno is returned in its place. */
extern int (*memmap_inproc_host_hook)(const char *call);

/* Reserve `length` bytes, at `*addr` unless that is 0. */
int memmap_inproc_host_reserve(uint64_t *addr, uint64_t length);
int memmap_inproc_host_release(struct memmap_addr_range ar);
/* Make a part of what is reserved untouchable again, whatever is mapped there. */
int memmap_inproc_host_clear(struct memmap_addr_range ar);
int memmap_inproc_host_map(struct memmap_addr_range ar, int fd, uint64_t offset, memmap_access at,
			   bool populate);
int memmap_inproc_host_protect(struct memmap_addr_range ar, memmap_access at);
int memmap_inproc_host_populate(struct memmap_addr_range ar, bool writable);

/* A new userfaultfd, which has been asked for its features; or a negative errno. */
int memmap_inproc_host_userfaultfd(void);
/* Have touches of `ar`, which is clear, wait at `fd`. */
int memmap_inproc_host_watch(int fd, struct memmap_addr_range ar);
int memmap_inproc_host_wake(int fd, struct memmap_addr_range ar);
/*
 * What is mapped in `ar` is replaced, at once, by as much from `from` on, which is watched and
 * stays so. Returns when somebody else has read from the userfaultfd. On failure nothing may be
 * mapped in `ar`.
 */
int memmap_inproc_host_copy_watched(uint64_t from, struct memmap_addr_range ar);
int memmap_inproc_host_event(void); /* an eventfd */
int memmap_inproc_host_signal_event(int fd);
int memmap_inproc_host_clear_event(int fd);
/*
 * Until `fd` can be read, or the event `stop` was signalled, or `ms` (-1: no end): which of these.
 */
#define MEMMAP_INPROC_READABLE 1
#define MEMMAP_INPROC_STOPPED  2
int memmap_inproc_host_wait(int fd, int stop, int ms);
/* A touch that waits. -EAGAIN: there is none (any more). */
int memmap_inproc_host_read_fault(int fd, uint64_t *addr, bool *writes);
void memmap_inproc_host_close(int fd);

/* Have faults come to base's handlers, see memmap_block_install_handlers(). */
int memmap_inproc_host_handlers(void);
/* A new thread, with all signals blocked that others may send. */
int memmap_inproc_host_thread(pthread_t *thread, void *(*run)(void *arg), void *arg);
/* sigaltstack(2). */
int memmap_inproc_host_signal_stack(const stack_t *stack, stack_t *before);

#endif /* MEMMAP_SRC_PLATFORM_INPROC_HOST_H */
