/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of how faults reach whom they are for: children that begin with the default actions, a
 * page that cannot be touched, handlers that a program might have.
 *
 * Include after the cmocka headers.
 */
#ifndef MEMMAP_TESTS_BASE_FAULT_CHILD_H
#define MEMMAP_TESTS_BASE_FAULT_CHILD_H

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <setjmp.h>
#include <signal.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <memmap/block.h>

#include "child.h"

#define PAGE ((size_t)4096)

/* A page that cannot be touched. */
static unsigned char *hole;

__attribute__((unused)) static void set_action(int number, const struct sigaction *action)
{
	child_assert(sigaction(number, action, NULL) == 0);
}

/* What every child begins with: whatever a sanitizer or cmocka had installed is gone. */
__attribute__((unused)) static void begin(void)
{
	const struct sigaction by_default = {.sa_handler = SIG_DFL};
	set_action(SIGSEGV, &by_default);
	set_action(SIGBUS, &by_default);
	hole = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	child_assert(hole != MAP_FAILED);
}

/* A safe copy that must be caught. */
__attribute__((unused)) static bool copy_is_safe(void)
{
	unsigned char buf[16];
	uint64_t done = 999;
	return memmap_copy(memmap_block_safe(buf, sizeof(buf)),
			   memmap_block_unsafe(hole, sizeof(buf)), &done) == -EFAULT &&
	       done == 0;
}

/* A fault that is nobody's business but the program's. */
__attribute__((noinline, no_sanitize("address", "undefined", "thread"))) static void touch_hole(
	void)
{
	*(volatile unsigned char *)hole = 1;
}

/* ---- the program's handlers ---- */

static sigjmp_buf out_of_fault;
static _Atomic(int) nr_calls;
static siginfo_t last_info;
static sigset_t mask_in_handler;
static uintptr_t stack_in_handler;

__attribute__((unused)) static void note_and_jump(int number, siginfo_t *info, void *ucontext)
{
	(void)number;
	child_assert(ucontext != NULL);
	int here;
	nr_calls++;
	last_info = *info;
	stack_in_handler = (uintptr_t)&here;
	(void)pthread_sigmask(SIG_BLOCK, NULL, &mask_in_handler);
	siglongjmp(out_of_fault, number);
}

__attribute__((unused)) static void note_and_jump_plain(int number)
{
	nr_calls++;
	(void)pthread_sigmask(SIG_BLOCK, NULL, &mask_in_handler);
	siglongjmp(out_of_fault, number);
}

__attribute__((unused)) static void note_and_return(int number)
{
	(void)number;
	nr_calls++;
	errno = ENOTTY;
}

__attribute__((unused)) static const struct sigaction jump_action = {
	.sa_sigaction = note_and_jump,
	.sa_flags = SA_SIGINFO,
};

/* Touch the hole; the program's handler must have been called once, and jumped back. */
__attribute__((unused)) static void fault_reaches_program(void)
{
	const int before = nr_calls;
	const int number = sigsetjmp(out_of_fault, 1);
	if (number == 0) {
		touch_hole();
		child_not_reached();
	}
	child_assert(number == SIGSEGV);
	child_assert(nr_calls == before + 1);
}

/* ---- the kernel refuses ---- */

__attribute__((unused)) static void refuse_sigaction(void)
{
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigaction, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EPERM),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {.len = 4, .filter = code};
	child_assert(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	child_assert(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
}

/* ---- tests ---- */

#define SUCCEEDS(body)                                                                             \
	static void test_##body(void **state)                                                      \
	{                                                                                          \
		(void)state;                                                                       \
		assert_child_succeeds(body);                                                       \
	}
#define DIES(signal, body)                                                                         \
	static void test_##body(void **state)                                                      \
	{                                                                                          \
		(void)state;                                                                       \
		assert_child_dies_of(signal, body);                                                \
	}

#endif /* MEMMAP_TESTS_BASE_FAULT_CHILD_H */
