/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Safe access on x86-64: each function touches foreign memory with exactly one instruction.
 *
 * The table below tells, for each of these instructions, where to go on when it faults. A fault is
 * ours exactly when the program counter is in the table, so nothing is noted before the access: no
 * state, nothing to nest, nothing that a signal could find half done.
 *
 * Two things are for emulators such as valgrind's, which are less exact than the hardware. How far a
 * string instruction came is read off RDI, which advances with each byte that was really stored; RCX
 * is counted first. And no function begins with its faulting instruction, whose address would be
 * that of the call.
 *
 * Invisible to the sanitizers, on purpose: the memory is not ours to judge.
 */
#include "base/safe_access.h"

#ifdef MEMMAP_SAFE_ACCESS_X86_64

#	include <ucontext.h>

/* clang-format off */
#define FUNCTION(name)                             \
	".globl " name "\n"                        \
	".hidden " name "\n"                       \
	".type " name ", @function\n"              \
	".balign 16\n"                             \
	name ":\n"                                 \
	".cfi_startproc\n"                         \
	"	endbr64\n"
#define END(name)                                  \
	".cfi_endproc\n"                           \
	".size " name ", . - " name "\n"
#define LABEL(name)                                \
	".globl " name "\n"                        \
	".hidden " name "\n"                       \
	name ":\n"

#define RETURN_TRUE                                \
	"	movl $1, %eax\n"                   \
	"	ret\n"

__asm__(
	".pushsection .text\n"

	/* size_t copy(rdi dst, rsi src, rdx n) */
	FUNCTION("memmap_safe_access_copy")
	"	movq %rdi, %rax\n"
	"	movq %rdx, %rcx\n"
	LABEL("memmap_safe_access_at_copy")
	"	rep movsb\n"
	LABEL("memmap_safe_access_after_copy")
	"	subq %rax, %rdi\n"
	"	movq %rdi, %rax\n"
	"	ret\n"
	END("memmap_safe_access_copy")

	/* size_t zero(rdi dst, rsi n) */
	FUNCTION("memmap_safe_access_zero")
	"	movq %rdi, %rdx\n"
	"	movq %rsi, %rcx\n"
	"	xorl %eax, %eax\n"
	LABEL("memmap_safe_access_at_zero")
	"	rep stosb\n"
	LABEL("memmap_safe_access_after_zero")
	"	subq %rdx, %rdi\n"
	"	movq %rdi, %rax\n"
	"	ret\n"
	END("memmap_safe_access_zero")

	/* bool swap(rdi addr, rsi value, rdx old) */
	FUNCTION("memmap_safe_access_swap_u32")
	LABEL("memmap_safe_access_at_swap_u32")
	"	xchgl %esi, (%rdi)\n"
	"	movl %esi, (%rdx)\n"
	RETURN_TRUE
	END("memmap_safe_access_swap_u32")

	FUNCTION("memmap_safe_access_swap_u64")
	LABEL("memmap_safe_access_at_swap_u64")
	"	xchgq %rsi, (%rdi)\n"
	"	movq %rsi, (%rdx)\n"
	RETURN_TRUE
	END("memmap_safe_access_swap_u64")

	/* bool cas(rdi addr, rsi expected, rdx value, rcx old) */
	FUNCTION("memmap_safe_access_cas_u32")
	"	movl %esi, %eax\n"
	LABEL("memmap_safe_access_at_cas_u32")
	"	lock cmpxchgl %edx, (%rdi)\n"
	"	movl %eax, (%rcx)\n"
	RETURN_TRUE
	END("memmap_safe_access_cas_u32")

	FUNCTION("memmap_safe_access_cas_u64")
	"	movq %rsi, %rax\n"
	LABEL("memmap_safe_access_at_cas_u64")
	"	lock cmpxchgq %rdx, (%rdi)\n"
	"	movq %rax, (%rcx)\n"
	RETURN_TRUE
	END("memmap_safe_access_cas_u64")

	/* bool load(rdi addr, rsi old) */
	FUNCTION("memmap_safe_access_load_u32")
	LABEL("memmap_safe_access_at_load_u32")
	"	movl (%rdi), %eax\n"
	"	movl %eax, (%rsi)\n"
	RETURN_TRUE
	END("memmap_safe_access_load_u32")

	FUNCTION("memmap_safe_access_load_u64")
	LABEL("memmap_safe_access_at_load_u64")
	"	movq (%rdi), %rax\n"
	"	movq %rax, (%rsi)\n"
	RETURN_TRUE
	END("memmap_safe_access_load_u64")

	/* Where the atomics go on after a fault: the stack is as it was when they were called. */
	FUNCTION("memmap_safe_access_return_false")
	"	xorl %eax, %eax\n"
	"	ret\n"
	END("memmap_safe_access_return_false")
	".popsection\n"
);
/* clang-format on */

/* The labels above, as C sees them. */
#	define HIDDEN            __attribute__((visibility("hidden")))
#	define INSTRUCTION(name) extern const char memmap_safe_access_##name[] HIDDEN
INSTRUCTION(at_copy);
INSTRUCTION(after_copy);
INSTRUCTION(at_zero);
INSTRUCTION(after_zero);
INSTRUCTION(at_swap_u32);
INSTRUCTION(at_swap_u64);
INSTRUCTION(at_cas_u32);
INSTRUCTION(at_cas_u64);
INSTRUCTION(at_load_u32);
INSTRUCTION(at_load_u64);
INSTRUCTION(return_false);

static const struct {
	const char *faulting;
	const char *go_on;
} table[] = {
	{memmap_safe_access_at_copy, memmap_safe_access_after_copy},
	{memmap_safe_access_at_zero, memmap_safe_access_after_zero},
	{memmap_safe_access_at_swap_u32, memmap_safe_access_return_false},
	{memmap_safe_access_at_swap_u64, memmap_safe_access_return_false},
	{memmap_safe_access_at_cas_u32, memmap_safe_access_return_false},
	{memmap_safe_access_at_cas_u64, memmap_safe_access_return_false},
	{memmap_safe_access_at_load_u32, memmap_safe_access_return_false},
	{memmap_safe_access_at_load_u64, memmap_safe_access_return_false},
};

bool memmap_safe_access_recover(const siginfo_t *info, void *ucontext)
{
	(void)info;
	greg_t *pc = &((ucontext_t *)ucontext)->uc_mcontext.gregs[REG_RIP];
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (*pc == (greg_t)(uintptr_t)table[i].faulting) {
			*pc = (greg_t)(uintptr_t)table[i].go_on;
			return true;
		}
	}
	return false;
}

#endif /* MEMMAP_SAFE_ACCESS_X86_64 */
