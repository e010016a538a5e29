/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which calls stop a traced program. Two read this: the filter's generator (seccomp_generate.c),
 * and seccomp_filter.c, for processes that no filter can be put on.
 *
 * Those that change VMAs, those whose result depends on them, and those that change what decides
 * either (limits, personality). Attempts to trace stop too, since they fail, and so do, beside
 * notices, attempts to supervise. Where only some arguments matter, those are looked at, since a
 * stop costs ten times the call.
 */
#ifndef MEMMAP_PLATFORM_PTRACE_TRACED_CALLS_H
#define MEMMAP_PLATFORM_PTRACE_TRACED_CALLS_H

#include "tracer.h"

#include <linux/prctl.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>

#ifndef PR_SET_VMA
#	define PR_SET_VMA 0x53564d41
#endif
#ifndef PR_SET_MDWE
#	define PR_SET_MDWE 65
#endif
#ifndef PR_SET_MEMORY_MERGE
#	define PR_SET_MEMORY_MERGE 67
#endif

/* ioctls that register and unregister a range with userfaultfd(2): they set VMA flags. */
#define IOCTL_UFFDIO_REGISTER   0xc020aa00U
#define IOCTL_UFFDIO_UNREGISTER 0x8010aa01U

/*
 * Calls that are frequent, and that no pending signal cuts short: they may be told by notices (see
 * notices.h). (mremap() is cut short: where merged pages, MADV_MERGEABLE, have to come apart.)
 */
static const int noticed_calls[] = {SYS_mmap, SYS_munmap, SYS_mprotect, SYS_brk};

/* Other calls that always stop. */
static const int calls[] = {
	SYS_pkey_mprotect, SYS_mremap,          SYS_msync,    SYS_remap_file_pages, SYS_mlock,
	SYS_mlock2,        SYS_munlock,         SYS_mlockall, SYS_munlockall,       SYS_shmat,
	SYS_shmdt,         SYS_madvise,         SYS_io_setup, SYS_io_destroy,       SYS_mbind,
	MEMMAP_NR_MSEAL,   SYS_process_madvise,
};

/* Limits that the model needs. */
static const unsigned int resources[] = {RLIMIT_AS, RLIMIT_DATA, RLIMIT_STACK, RLIMIT_MEMLOCK};

/* Requests of ptrace(2) that make a tracer: they fail, and whoever makes them should be told of. */
static const unsigned int ptrace_requests[] = {PTRACE_TRACEME, PTRACE_ATTACH, PTRACE_SEIZE};

/* What prctl(2) can do to VMAs. */
static const unsigned int prctl_options[] = {PR_SET_VMA, PR_SET_MM, PR_SET_MDWE,
					     PR_SET_MEMORY_MERGE};

#endif /* MEMMAP_PLATFORM_PTRACE_TRACED_CALLS_H */
