/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Safe access in C, for machines without instructions of their own for it.
 *
 * Before it touches foreign memory, a function notes for its thread which addresses it is about to
 * touch and where to jump back to. Signal handlers may do safe accesses while one is under way, so
 * the notes form a stack: each points to the one that it interrupted. A fault is ours exactly when
 * its address is among those noted last.
 *
 * Copies go by words. A word that faulted may have been done in part, so its bytes are then done
 * again one by one, to know the exact number.
 *
 * Not instrumented by the sanitizers, on purpose: the memory is not ours to judge.
 */
#include "base/safe_access.h"

#ifndef MEMMAP_SAFE_ACCESS_X86_64

#	include <errno.h>
#	include <setjmp.h>
#	include <ucontext.h>

#	define FOREIGN_MEMORY                                                                     \
		__attribute__((noinline, no_sanitize("address", "thread", "undefined")))

struct attempt {
	sigjmp_buf back;
	struct attempt *interrupted;
	/* Before the access: a handler that is jumped out of does not put it back. */
	int saved_errno;
	/* The addresses that are touched: `len` bytes from each. */
	uintptr_t dst, src;
	size_t len;
	/* Bytes done; read after a jump back, so really stored after each step. */
	volatile size_t done;
	volatile bool by_bytes;
};

/* Found by a signal handler at any time, so it must not need to be allocated at first use. */
static _Thread_local struct attempt *volatile current_attempt
	__attribute__((tls_model("initial-exec")));

/* A word at any address, which may hold anything. */
struct word {
	uint64_t value;
} __attribute__((packed, may_alias));

static void begin(struct attempt *attempt, const void *dst, const void *src, size_t len)
{
	attempt->dst = (uintptr_t)dst;
	attempt->src = (uintptr_t)src;
	attempt->len = len;
	attempt->interrupted = current_attempt;
	attempt->saved_errno = errno;
	current_attempt = attempt;
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
}

static void end(const struct attempt *attempt)
{
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	current_attempt = attempt->interrupted;
	errno = attempt->saved_errno;
}

FOREIGN_MEMORY size_t memmap_safe_access_copy(void *dst, const void *src, size_t n)
{
	struct attempt attempt = {.done = 0};
	begin(&attempt, dst, src, n);
	if (sigsetjmp(attempt.back, 0)) {
		if (attempt.by_bytes)
			goto out;
		attempt.by_bytes = true;
	}
	while (!attempt.by_bytes && n - attempt.done >= sizeof(struct word)) {
		((volatile struct word *)((char *)dst + attempt.done))->value =
			((const volatile struct word *)((const char *)src + attempt.done))->value;
		attempt.done += sizeof(struct word);
	}
	attempt.by_bytes = true;
	while (attempt.done < n) {
		((volatile char *)dst)[attempt.done] = ((const volatile char *)src)[attempt.done];
		attempt.done++;
	}
out:
	end(&attempt);
	return attempt.done;
}

FOREIGN_MEMORY size_t memmap_safe_access_zero(void *dst, size_t n)
{
	struct attempt attempt = {.done = 0};
	begin(&attempt, dst, dst, n);
	if (sigsetjmp(attempt.back, 0)) {
		if (attempt.by_bytes)
			goto out;
		attempt.by_bytes = true;
	}
	while (!attempt.by_bytes && n - attempt.done >= sizeof(struct word)) {
		((volatile struct word *)((char *)dst + attempt.done))->value = 0;
		attempt.done += sizeof(struct word);
	}
	attempt.by_bytes = true;
	while (attempt.done < n) {
		((volatile char *)dst)[attempt.done] = 0;
		attempt.done++;
	}
out:
	end(&attempt);
	return attempt.done;
}

/* clang-format off */
#define ATOMICS(bits)                                                                              \
	FOREIGN_MEMORY bool memmap_safe_access_swap_u##bits(void *addr, uint##bits##_t value,      \
							    uint##bits##_t *old)                   \
	{                                                                                          \
		struct attempt attempt = {.done = 0};                                              \
		begin(&attempt, addr, addr, sizeof(value));                                        \
		if (!sigsetjmp(attempt.back, 0)) {                                                 \
			*old = __atomic_exchange_n((uint##bits##_t *)addr, value,                  \
						   __ATOMIC_SEQ_CST);                              \
			attempt.done = 1;                                                          \
		}                                                                                  \
		end(&attempt);                                                                     \
		return attempt.done;                                                               \
	}                                                                                          \
	FOREIGN_MEMORY bool memmap_safe_access_cas_u##bits(void *addr, uint##bits##_t expected,    \
							   uint##bits##_t value,                   \
							   uint##bits##_t *old)                    \
	{                                                                                          \
		struct attempt attempt = {.done = 0};                                              \
		begin(&attempt, addr, addr, sizeof(value));                                        \
		if (!sigsetjmp(attempt.back, 0)) {                                                 \
			uint##bits##_t found = expected;                                           \
			(void)__atomic_compare_exchange_n((uint##bits##_t *)addr, &found, value,   \
							  false, __ATOMIC_SEQ_CST,                 \
							  __ATOMIC_SEQ_CST);                       \
			*old = found;                                                              \
			attempt.done = 1;                                                          \
		}                                                                                  \
		end(&attempt);                                                                     \
		return attempt.done;                                                               \
	}                                                                                          \
	FOREIGN_MEMORY bool memmap_safe_access_load_u##bits(void *addr, uint##bits##_t *old)       \
	{                                                                                          \
		struct attempt attempt = {.done = 0};                                              \
		begin(&attempt, addr, addr, sizeof(*old));                                         \
		if (!sigsetjmp(attempt.back, 0)) {                                                 \
			*old = __atomic_load_n((uint##bits##_t *)addr, __ATOMIC_SEQ_CST);          \
			attempt.done = 1;                                                          \
		}                                                                                  \
		end(&attempt);                                                                     \
		return attempt.done;                                                               \
	}
/* clang-format on */

ATOMICS(32)
ATOMICS(64)

bool memmap_safe_access_recover(const siginfo_t *info, void *ucontext)
{
	struct attempt *attempt = current_attempt;
	if (!attempt)
		return false;
	/* SI_KERNEL: an address that is none (not canonical), and so is not told. */
	uintptr_t addr = (uintptr_t)info->si_addr;
	if (info->si_code != SI_KERNEL && addr - attempt->dst >= attempt->len &&
	    addr - attempt->src >= attempt->len)
		return false;
	/* The handler ends by a jump, so what its return would restore is restored here. */
	(void)pthread_sigmask(SIG_SETMASK, &((ucontext_t *)ucontext)->uc_sigmask, NULL);
	siglongjmp(attempt->back, 1);
}

#endif /* !MEMMAP_SAFE_ACCESS_X86_64 */
