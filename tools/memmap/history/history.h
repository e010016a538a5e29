/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The address spaces of a traced program over time: what was mapped where, from when until when.
 *
 * The tracer tells of every memory call; history keeps only what changed, so that memory grows with
 * the changes and not with the calls. A *region* is a rectangle: a range of addresses during a span
 * of time in which its permissions and what it maps stayed the same. A *space* is one address space
 * of one process: a process begins a new one at each exec. plot.h draws all of it.
 *
 * Memory is bounded: when more regions have ended than the limit allows, those too short-lived to
 * be seen are joined with what follows them or forgotten, shortest first, and counted; so the
 * picture can say what it leaves out.
 *
 * Nothing here can harm the trace: when memory runs out, a function returns -ENOMEM, and the
 * history catches up with the whole address space at the next record of the same process.
 *
 * Typical use:
 *
 *   history_process(h, pid, 0, now, "ls -lR /etc");
 *   history_exec(h, pid, now, "ls -lR /etc", "/usr/bin/ls");
 *   history_record(h, pid, now, NULL, mm, HISTORY_EVERYWHERE);           after each (re)seeding
 *   history_record(h, pid, now, "mmap", mm, the range the call was about); after each call
 *   history_fork(h, pid, child, now);                                      fork: a copy of the
 * space history_process(h, child, pid, now, NULL);                             vfork, CLONE_VM:
 * none of its own history_exit(h, pid, now, wait_status);
 *
 * Units:    times are nanoseconds of any clock that does not go back; addresses and sizes are bytes
 * Locking:  none; one thread uses a history
 */
#ifndef MEMMAP_TOOL_HISTORY_H
#define MEMMAP_TOOL_HISTORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <memmap/allocator.h>
#include <memmap/range.h>

struct memmap_mm;

/* What a region is, as its colour tells it. */
enum history_kind {
	HISTORY_PROGRAM, /* the program's own file, and the zeroed memory that continues it (bss) */
	HISTORY_LIBRARY, /* a shared library, the same */
	HISTORY_HEAP,    /* what brk moves */
	HISTORY_STACK,   /* the main thread's stack */
	HISTORY_ANONYMOUS, /* private memory from mmap */
	HISTORY_FILE,      /* any other file */
	HISTORY_SHARED,    /* memory shared with other processes, files written through */
	HISTORY_SPECIAL,   /* what the kernel puts in: [vdso], [vvar], ... */
	HISTORY_NR_KINDS,
};

/* What history needs to know of one VMA. */
struct history_vma {
	struct memmap_addr_range range;
	uint64_t flags;         /* MEMMAP_VM_* */
	const void *identity;   /* tells one mapped thing from another; NULL: anonymous */
	uint64_t offset;        /* into what `identity` stands for */
	enum history_kind kind; /* PROGRAM and LIBRARY are told from FILE here, by the name */
};

/* An address space to be looked at. The kernel's mirror is one; tests bring their own. */
struct history_source {
	const void *context;
	/* The first VMA that ends above `addr`; false: there is none. */
	bool (*find)(const void *context, uint64_t addr, struct history_vma *out);
	/*
	 * Write the name of what `vma` maps, "" when it has none, into `buf`, always terminated.
	 * Any bytes may stand in it. Asked once for each new region.
	 */
	void (*name)(const void *context, const struct history_vma *vma, char *buf, size_t size);
};

#define HISTORY_EVERYWHERE ((struct memmap_addr_range){0, UINT64_MAX})

struct history;

/**
 * Begin an empty history.
 *
 * `max_regions` is how many ended regions are kept at most; 0: 100,000 (some 12 MB).
 *
 * Returns:     the history; NULL when out of memory
 */
struct history *history_create(const struct memmap_allocator *allocator, size_t max_regions);

/** Free a history. NULL is ignored. */
void history_release(struct history *h);

/**
 * A process begins that has no address space of its own yet: the first one before its exec, or one
 * made by vfork(2) or clone(CLONE_VM) until it execs.
 *
 * `parent` is 0 for the first. `command` may be NULL: as its parent's.
 *
 * Returns:     0, -ENOMEM
 */
int history_process(struct history *h, pid_t pid, pid_t parent, uint64_t time, const char *command);

/**
 * `child` begins with a copy of the address space of `parent`, as after fork(2).
 *
 * Returns:     0, -ENOMEM
 */
int history_fork(struct history *h, pid_t parent, pid_t child, uint64_t time);

/**
 * The process begins a new, empty address space.
 *
 * `command` may be NULL: as before. `program` is the path of the file that is executed as maps
 * shows it (/proc/PID/exe), or NULL when it is not known.
 *
 * Returns:     0, -ENOMEM
 */
int history_exec(struct history *h, pid_t pid, uint64_t time, const char *command,
		 const char *program);

/** The process ends. `wait_status` is as waitpid(2) gives it. Unknown processes are ignored. */
void history_exit(struct history *h, pid_t pid, uint64_t time, int wait_status);

/**
 * Look at the address space after a call, and keep what has changed.
 *
 * Only VMAs that touch or adjoin `touched` are looked at, so that the cost does not depend on how
 * many there are. A call that is about two ranges (mremap) is recorded twice, the second time with
 * `call` NULL. `call` is the name of the system call; it is kept as it is, so it must be a
 * constant. NULL also stands for changes without a call: a stack that grew, a model that
 * resynchronised.
 *
 * Returns:     0, -ENOMEM
 */
int history_record(struct history *h, pid_t pid, uint64_t time, const char *call,
		   const struct memmap_mm *mm, struct memmap_addr_range touched);

/** As history_record(), of any address space. */
int history_record_source(struct history *h, pid_t pid, uint64_t time, const char *call,
			  const struct history_source *source, struct memmap_addr_range touched);

#endif /* MEMMAP_TOOL_HISTORY_H */
