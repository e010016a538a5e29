/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Makes the seccomp filters when memmap is built: prints the instructions that libseccomp has
 * assembled, for seccomp_filter.c to include. A program that is traced so does not wait for that.
 *
 *   memmap_seccomp_generate stops|notices
 *
 * `stops`: every call stops. `notices`: the frequent ones are told by notices (see notices.h).
 *
 * Calls of a foreign ABI stop too: their numbers mean other things, so nothing could be checked
 * behind our back.
 */
#include "traced_calls.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* What the kernel does that builds this need not know of notices. */
#define API_WITH_NOTICES 5

static int add_rules(scmp_filter_ctx filter, bool by_notices)
{
	const uint32_t stop = SCMP_ACT_TRACE(0);
	int err = 0;
	for (size_t i = 0; i < sizeof(noticed_calls) / sizeof(noticed_calls[0]) && !err; i++)
		err = seccomp_rule_add(filter, by_notices ? SCMP_ACT_NOTIFY : stop,
				       noticed_calls[i], 0);
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
	/* There is room for one listener, ours: it will be refused. */
	if (!err && by_notices)
		err = seccomp_rule_add(
			filter, stop, SYS_seccomp, 2,
			SCMP_A0(SCMP_CMP_MASKED_EQ, UINT32_MAX, SECCOMP_SET_MODE_FILTER),
			SCMP_A1(SCMP_CMP_MASKED_EQ, SECCOMP_FILTER_FLAG_NEW_LISTENER,
				SECCOMP_FILTER_FLAG_NEW_LISTENER));
	/* A child that asks not to be traced would find its memory calls refused: see tracer.c. */
	if (!err)
		err = seccomp_rule_add(filter, stop, SYS_clone, 1,
				       SCMP_A0(SCMP_CMP_MASKED_EQ, CLONE_UNTRACED, CLONE_UNTRACED));
	return err;
}

static int make(scmp_filter_ctx filter, bool by_notices, int fd)
{
	int err = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_TRACE(0));
	/* A binary search over the calls' numbers instead of a chain of comparisons. */
	if (!err)
		err = seccomp_attr_set(filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
	if (!err)
		err = add_rules(filter, by_notices);
	return err ? err : seccomp_export_bpf(filter, fd);
}

int main(int argc, char **argv)
{
	const bool by_notices = argc == 2 && strcmp(argv[1], "notices") == 0;
	if (argc != 2 || (!by_notices && strcmp(argv[1], "stops") != 0)) {
		fprintf(stderr, "usage: memmap_seccomp_generate stops|notices\n");
		return 2;
	}
	(void)seccomp_api_set(API_WITH_NOTICES);
	/* libseccomp hands the program out only through a descriptor. */
	FILE *program = tmpfile();
	scmp_filter_ctx filter = seccomp_init(SCMP_ACT_ALLOW);
	int err = program && filter ? make(filter, by_notices, fileno(program)) : -ENOMEM;
	seccomp_release(filter);
	if (err) {
		fprintf(stderr, "seccomp_generate: %s\n", strerror(-err));
		return 1;
	}
	rewind(program);
	for (struct sock_filter i; fread(&i, sizeof(i), 1, program) == 1;)
		printf("{0x%04x, %u, %u, 0x%08x},\n", (unsigned int)i.code, (unsigned int)i.jt,
		       (unsigned int)i.jf, (unsigned int)i.k);
	fclose(program);
	return fflush(stdout) ? 1 : 0;
}
