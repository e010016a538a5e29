/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process whose address space the differential fuzzer plays with.
 *
 * It makes the system calls it is told to make, and nothing else: no libc, no heap, no stack beyond
 * the page it starts with, so that every mapping it has is known to the fuzzer and stays where it
 * is. It never touches the memory that the fuzzer maps: touches are system calls too (read(2) from
 * /dev/zero, write(2) to a scratch file), so a bad one is EFAULT and not a signal.
 *
 * Commands come through one descriptor and replies go through another; both are given by the number
 * of the process, and a process made by fork goes on with the number that the command names.
 */
#include "differential_protocol.h"

static int64_t raw_call(uint64_t number, const uint64_t *args)
{
	register uint64_t r10 __asm__("r10") = args[3];
	register uint64_t r8 __asm__("r8") = args[4];
	register uint64_t r9 __asm__("r9") = args[5];
	int64_t result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(args[0]), "S"(args[1]), "d"(args[2]), "r"(r10), "r"(r8),
			   "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

static int64_t raw_call3(uint64_t number, uint64_t a, uint64_t b, uint64_t c)
{
	const uint64_t args[6] = {a, b, c, 0, 0, 0};

	return raw_call(number, args);
}

__attribute__((noreturn)) static void leave(void)
{
	for (;;)
		raw_call3(EXECUTOR_SYS_EXIT_GROUP, 0, 0, 0);
}

__attribute__((noreturn, used)) void executor_main(void)
{
	uint64_t self = 0;

	for (;;) {
		struct executor_command command = {0};
		int64_t result;

		if (raw_call3(EXECUTOR_SYS_READ, EXECUTOR_COMMAND_FD(self), (uint64_t)&command,
			      sizeof(command)) != (int64_t)sizeof(command))
			leave();
		if (command.number == EXECUTOR_FORK) {
			const uint64_t clone_args[6] = {EXECUTOR_SIGCHLD, 0, 0, 0, 0, 0};

			result = raw_call(EXECUTOR_SYS_CLONE, clone_args);
			if (result == 0)
				self = command.args[0];
		} else {
			result = raw_call(command.number, command.args);
		}
		if (raw_call3(EXECUTOR_SYS_WRITE, EXECUTOR_REPLY_FD(self), (uint64_t)&result,
			      sizeof(result)) != (int64_t)sizeof(result))
			leave();
	}
}

/* The stack is 16-byte aligned at entry and there is no return address: call, to make one. */
__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tcall executor_main\n\thlt\n");
