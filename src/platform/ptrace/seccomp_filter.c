/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The seccomp filter: which calls stop.
 *
 * Those that change VMAs, those whose result depends on them, and those that change what decides
 * either (limits, personality). Attempts to trace stop too, since they fail. Where only some arguments matter, the filter looks at them, since a
 * stop costs ten times the call. Calls of a foreign ABI stop too: their numbers mean other things,
 * so nothing could be checked behind our back.
 *
 * A filter of the traced program's own that refuses a call takes precedence over this one: the call
 * is not made, and rightly nothing stops.
 */
#include "seccomp_filter.h"

#include "tracer.h"

#include <errno.h>
#include <linux/prctl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <seccomp.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

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

/* Calls that always stop. */
static const int calls[] = {
	SYS_mmap,    SYS_munmap,   SYS_mprotect,         SYS_pkey_mprotect, SYS_mremap,
	SYS_brk,     SYS_msync,    SYS_remap_file_pages, SYS_mlock,         SYS_mlock2,
	SYS_munlock, SYS_mlockall, SYS_munlockall,       SYS_shmat,         SYS_shmdt,
	SYS_madvise, SYS_io_setup, SYS_io_destroy,       SYS_mbind,         MEMMAP_NR_MSEAL,
};

/* Limits that the model needs. */
static const unsigned int resources[] = {RLIMIT_AS, RLIMIT_DATA, RLIMIT_STACK, RLIMIT_MEMLOCK};

/* Requests of ptrace(2) that make a tracer: they fail, and whoever makes them should be told of. */
static const unsigned int ptrace_requests[] = {PTRACE_TRACEME, PTRACE_ATTACH, PTRACE_SEIZE};

/* What prctl(2) can do to VMAs. */
static const unsigned int prctl_options[] = {PR_SET_VMA, PR_SET_MM, PR_SET_MDWE,
					     PR_SET_MEMORY_MERGE};

static int add_rules(scmp_filter_ctx filter)
{
	const uint32_t stop = SCMP_ACT_TRACE(0);
	int err = 0;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]) && !err; i++)
		err = seccomp_rule_add(filter, stop, calls[i], 0);
	for (size_t i = 0; i < sizeof(prctl_options) / sizeof(prctl_options[0]) && !err; i++)
		err = seccomp_rule_add(filter, stop, SYS_prctl, 1,
				       SCMP_A0(SCMP_CMP_MASKED_EQ, UINT32_MAX, prctl_options[i]));
	for (size_t i = 0; i < sizeof(ptrace_requests) / sizeof(ptrace_requests[0]) && !err; i++)
		err = seccomp_rule_add(filter, stop, SYS_ptrace, 1,
				       SCMP_A0(SCMP_CMP_MASKED_EQ, UINT32_MAX, ptrace_requests[i]));
	for (size_t i = 0; i < sizeof(resources) / sizeof(resources[0]) && !err; i++) {
		err = seccomp_rule_add(filter, stop, SYS_setrlimit, 1,
				       SCMP_A0(SCMP_CMP_MASKED_EQ, UINT32_MAX, resources[i]));
		/* prlimit64() only asks when its third argument, the new limit, is NULL. */
		if (!err)
			err = seccomp_rule_add(
				filter, stop, SYS_prlimit64, 2,
				SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, resources[i]),
				SCMP_A2(SCMP_CMP_NE, 0, 0));
	}
	/* personality(0xffffffff) only asks. */
	if (!err)
		err = seccomp_rule_add(filter, stop, SYS_personality, 1,
				       SCMP_A0(SCMP_CMP_NE, UINT32_MAX, 0));
	if (!err)
		err = seccomp_rule_add(
			filter, stop, SYS_ioctl, 1,
			SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, IOCTL_UFFDIO_REGISTER));
	if (!err)
		err = seccomp_rule_add(
			filter, stop, SYS_ioctl, 1,
			SCMP_A1(SCMP_CMP_MASKED_EQ, UINT32_MAX, IOCTL_UFFDIO_UNREGISTER));
	/* A child that asks not to be traced would find its memory calls refused: see tracer.c. */
	if (!err)
		err = seccomp_rule_add(filter, stop, SYS_clone, 1,
				       SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_UNTRACED, CLONE_UNTRACED));
	return err;
}

/* libseccomp hands the program out only through a descriptor. */
static int export_program(scmp_filter_ctx filter, struct sock_fprog *out)
{
	int fd = memfd_create("seccomp", MFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	struct stat st;
	int err = seccomp_export_bpf(filter, fd);
	if (!err && fstat(fd, &st))
		err = -errno;
	struct sock_filter *instructions = NULL;
	if (!err) {
		instructions = malloc((size_t)st.st_size);
		if (!instructions)
			err = -ENOMEM;
		else if (pread(fd, instructions, (size_t)st.st_size, 0) != st.st_size)
			err = -EIO;
	}
	close(fd);
	if (err) {
		free(instructions);
		return err;
	}
	out->len = (unsigned short)((size_t)st.st_size / sizeof(*instructions));
	out->filter = instructions;
	return 0;
}

int memmap_seccomp_filter_build(struct sock_fprog *out)
{
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	if (!filter)
		return -ENOMEM;
	int err = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_TRACE(0));
	/* A binary search over the calls' numbers instead of a chain of comparisons. */
	if (!err)
		err = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (!err)
		err = add_rules(filter);
	if (!err)
		err = export_program(filter, out);
	seccomp_release(filter);
	return err;
}

int memmap_seccomp_filter_install(const struct sock_fprog *program)
{
	/* Without CAP_SYS_ADMIN a filter needs no_new_privs. */
	const unsigned int flags = SECCOMP_FILTER_FLAG_SPEC_ALLOW;
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, program) == 0)
		return 0;
	if (errno == EACCES) {
		if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
			return -errno;
		if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, flags, program) == 0)
			return 0;
	}
	return -errno;
}

static bool is_one_of(uint64_t value, const unsigned int *values, size_t nr)
{
	for (size_t i = 0; i < nr; i++)
		if ((uint32_t)value == values[i])
			return true;
	return false;
}

#define IS_ONE_OF(value, values) is_one_of(value, values, sizeof(values) / sizeof((values)[0]))

bool memmap_seccomp_filter_stops(uint64_t number, const uint64_t args[6])
{
	switch (number) {
	case SYS_prctl:
		return IS_ONE_OF(args[0], prctl_options);
	case SYS_ptrace:
		return IS_ONE_OF(args[0], ptrace_requests);
	case SYS_setrlimit:
		return IS_ONE_OF(args[0], resources);
	case SYS_prlimit64:
		return IS_ONE_OF(args[1], resources) && args[2] != 0;
	case SYS_personality:
		return args[0] != UINT32_MAX;
	case SYS_ioctl:
		return (uint32_t)args[1] == IOCTL_UFFDIO_REGISTER ||
		       (uint32_t)args[1] == IOCTL_UFFDIO_UNREGISTER;
	case SYS_clone:
		return (args[0] & CLONE_UNTRACED) != 0;
	default:
		for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++)
			if (number == (uint64_t)calls[i])
				return true;
		return false;
	}
}
