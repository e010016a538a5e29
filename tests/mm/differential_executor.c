/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The process whose address space the differential fuzzer plays with.
 *
 * It makes the system calls it is told to make, and touches the memory it is told to touch: no
 * libc, no heap, no data, no stack beyond the pages it starts with, so that every mapping it has is
 * known to the fuzzer and stays where it is. A touch is one instruction; when it faults, the signal
 * handler notes how and goes on behind it. The kernel can be made to touch memory, too (read(2)
 * from /dev/zero, write(2) to a scratch file): then a bad touch is EFAULT and not a signal.
 *
 * Commands come through one descriptor and replies go through another; both are given by the number
 * of the process, and a process made by fork goes on with the number that the command names.
 */
#include <stdbool.h>

#include "differential_protocol.h"

#define PAGE 4096ULL

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

static int64_t raw_call4(uint64_t number, uint64_t a, uint64_t b, uint64_t c, uint64_t d)
{
	const uint64_t args[6] = {a, b, c, d, 0, 0};

	return raw_call(number, args);
}

__attribute__((noreturn)) static void leave(void)
{
	for (;;)
		raw_call4(EXECUTOR_SYS_EXIT_GROUP, 0, 0, 0, 0);
}

/* ---- Touches ---- */

/* How a touch faulted; result is 0 when it did not. */
struct fault {
	int64_t result;
	uint64_t address;
};

/* Of siginfo_t and ucontext_t, what is needed here. */
#define SIGBUS  7
#define SIGSEGV 11

struct signal_info {
	int signo, error, code, padding;
	uint64_t address;
};

struct signal_context {
	uint64_t flags, link, stack[3];
	uint64_t r8, r9, r10, r11, r12, r13, r14, r15, di, si, bp, bx, dx, ax, cx, sp, ip;
};

/* Every touch has in r15 where to note a fault, and in r14 where to go on after one. */
__attribute__((used)) void executor_handler(int signo, const struct signal_info *info,
					    struct signal_context *context)
{
	struct fault *fault = (struct fault *)context->r15;

	fault->address = info->address;
	if (signo == SIGSEGV && info->code == 1)
		fault->result = -EXECUTOR_SEGV_MAPERR;
	else if (signo == SIGSEGV && info->code == 2)
		fault->result = -EXECUTOR_SEGV_ACCERR;
	else if (signo == SIGSEGV && info->code == 128)
		fault->result = -EXECUTOR_SEGV_KERNEL;
	else if (signo == SIGBUS && info->code == 2)
		fault->result = -EXECUTOR_BUS_ADRERR;
	else
		fault->result = -EXECUTOR_SIGNAL;
	context->ip = context->r14;
}

/* The kernel's own return from a signal handler. */
__asm__(".globl executor_restorer\nexecutor_restorer:\n\tmov $15, %eax\n\tsyscall\n");
extern char executor_restorer[];

static void catch_signal(int signo)
{
	/* The kernel's struct sigaction: handler; INFO, RESTORER, NODEFER; restorer; mask. */
	const uint64_t action[4] = {(uint64_t)executor_handler, 0x4UL | 0x04000000UL | 0x40000000UL,
				    (uint64_t)executor_restorer, 0};

	raw_call4(EXECUTOR_SYS_RT_SIGACTION, (uint64_t)signo, (uint64_t)action, 0, 8);
}

#define TOUCH(instruction, ...)                                                                    \
	do {                                                                                       \
		register struct fault *r15 __asm__("r15") = fault;                                 \
                                                                                                   \
		__asm__ volatile("lea 1f(%%rip), %%r14\n\t" instruction "\n1:" __VA_ARGS__         \
				 : "r14", "memory", "cc");                                         \
	} while (0)

static uint64_t load(uint64_t address, uint64_t width, struct fault *fault)
{
	uint64_t value = 0;

	switch (width) {
	case 1:
		TOUCH("movzbl (%1), %k0", : "+r"(value) : "r"(address), "r"(r15));
		break;
	case 2:
		TOUCH("movzwl (%1), %k0", : "+r"(value) : "r"(address), "r"(r15));
		break;
	case 4:
		TOUCH("movl (%1), %k0", : "+r"(value) : "r"(address), "r"(r15));
		break;
	default:
		TOUCH("movq (%1), %0", : "+r"(value) : "r"(address), "r"(r15));
		break;
	}
	return value;
}

static void store(uint64_t address, uint64_t width, uint64_t value, struct fault *fault)
{
	switch (width) {
	case 1:
		TOUCH("movb %b0, (%1)", : : "q"(value), "r"(address), "r"(r15));
		break;
	case 2:
		TOUCH("movw %w0, (%1)", : : "r"(value), "r"(address), "r"(r15));
		break;
	case 4:
		TOUCH("movl %k0, (%1)", : : "r"(value), "r"(address), "r"(r15));
		break;
	default:
		TOUCH("movq %0, (%1)", : : "r"(value), "r"(address), "r"(r15));
		break;
	}
}

static uint64_t add(uint64_t address, uint64_t width, uint64_t value, struct fault *fault)
{
	switch (width) {
	case 1:
		TOUCH("lock xaddb %b0, (%1)", : "+q"(value) : "r"(address), "r"(r15));
		return value & 0xff;
	case 2:
		TOUCH("lock xaddw %w0, (%1)", : "+r"(value) : "r"(address), "r"(r15));
		return value & 0xffff;
	case 4:
		TOUCH("lock xaddl %k0, (%1)", : "+r"(value) : "r"(address), "r"(r15));
		return value & 0xffffffff;
	default:
		TOUCH("lock xaddq %0, (%1)", : "+r"(value) : "r"(address), "r"(r15));
		return value;
	}
}

/* Call what is there, when it is a "ret" and nothing else: only that can be trusted. */
static void run(uint64_t address, struct fault *fault)
{
	register struct fault *r15 __asm__("r15");
	const uint64_t first = load(address, 1, fault);

	if (!fault->result && first != EXECUTOR_RET)
		fault->result = -EXECUTOR_ILL;
	if (fault->result)
		return;
	r15 = fault;
	/* A call that faults has put its return address on the stack already. */
	__asm__ volatile("lea 1f(%%rip), %%r14\n\tmov %%rsp, %%r13\n\tcall *%0\n1:\n\t"
			 "mov %%r13, %%rsp"
			 :
			 : "r"(address), "r"(r15)
			 : "r13", "r14", "memory", "cc");
}

/* Sum up what is there, and how it faults where nothing is. */
static uint64_t sum(uint64_t address, uint64_t length)
{
	uint64_t total = EXECUTOR_SUM_START;

	for (uint64_t page = address; page < address + length; page += PAGE) {
		struct fault fault = {0, 0};

		for (uint64_t at = page; at < page + PAGE && !fault.result; at += 8) {
			const uint64_t word = load(at, 8, &fault);

			total = executor_sum_word(total,
						  fault.result ? (uint64_t)fault.result : word);
		}
	}
	return total;
}

/* ---- Commands ---- */

static void mincore(const uint64_t *args, struct executor_reply *reply)
{
	unsigned char vec[EXECUTOR_MINCORE_PAGES];
	const uint64_t pages = args[1] / PAGE + (args[1] % PAGE != 0);
	const bool fits = pages <= EXECUTOR_MINCORE_PAGES;

	reply->result =
		raw_call4(EXECUTOR_SYS_MINCORE, args[0], args[1], fits ? (uint64_t)vec : 0, 0);
	if (reply->result == 0 && fits)
		reply->result = executor_mincore_result(vec, pages);
}

static int64_t process_vm(const uint64_t *args)
{
	const uint64_t local[2] = {args[2], args[4]}, remote[2] = {args[3], args[4]};
	const uint64_t vm_args[6] = {args[1], (uint64_t)local, 1, (uint64_t)remote, 1, 0};

	return raw_call(args[0], vm_args);
}

static void touch(const struct executor_command *command, struct executor_reply *reply)
{
	const uint64_t *args = command->args;
	struct fault fault = {0, 0};
	uint64_t value = 0;

	switch (command->number) {
	case EXECUTOR_PEEK:
		value = load(args[0], args[1], &fault);
		break;
	case EXECUTOR_POKE:
		store(args[0], args[1], args[2], &fault);
		break;
	case EXECUTOR_ADD:
		value = add(args[0], args[1], args[2], &fault);
		break;
	default:
		run(args[0], &fault);
		break;
	}
	reply->result = fault.result ? fault.result : (int64_t)value;
	reply->detail = fault.address;
}

static void obey(const struct executor_command *command, struct executor_reply *reply,
		 uint64_t *self)
{
	const uint64_t clone_args[6] = {EXECUTOR_SIGCHLD, 0, 0, 0, 0, 0};

	reply->detail = 0;
	switch (command->number) {
	case EXECUTOR_FORK:
		reply->result = raw_call(EXECUTOR_SYS_CLONE, clone_args);
		if (reply->result == 0)
			*self = command->args[0];
		break;
	case EXECUTOR_PEEK:
	case EXECUTOR_POKE:
	case EXECUTOR_ADD:
	case EXECUTOR_RUN:
		touch(command, reply);
		break;
	case EXECUTOR_SUM:
		reply->result = executor_sum_result(sum(command->args[0], command->args[1]));
		break;
	case EXECUTOR_MINCORE:
		mincore(command->args, reply);
		break;
	case EXECUTOR_PROCESS_VM:
		reply->result = process_vm(command->args);
		break;
	default:
		reply->result = raw_call(command->number, command->args);
		break;
	}
}

__attribute__((noreturn, used)) void executor_main(void)
{
	uint64_t self = 0;

	catch_signal(SIGBUS);
	catch_signal(SIGSEGV);
	for (;;) {
		struct executor_command command;
		struct executor_reply reply;

		if (raw_call4(EXECUTOR_SYS_READ, EXECUTOR_COMMAND_FD(self), (uint64_t)&command,
			      sizeof(command), 0) != (int64_t)sizeof(command))
			leave();
		obey(&command, &reply, &self);
		if (raw_call4(EXECUTOR_SYS_WRITE, EXECUTOR_REPLY_FD(self), (uint64_t)&reply,
			      sizeof(reply), 0) != (int64_t)sizeof(reply))
			leave();
	}
}

/* The stack is 16-byte aligned at entry and there is no return address: call, to make one. */
__asm__(".globl _start\n_start:\n\txor %ebp, %ebp\n\tcall executor_main\n\thlt\n");
