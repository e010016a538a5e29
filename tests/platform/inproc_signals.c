/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults of guests that end badly, and the program's own handlers: before ours, after ours, none.
 *
 * Each case is a child process that begins with the default actions.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <ucontext.h>

#include <cmocka.h>

#include "child.h"
#include "guest.h"
#include "region.h"
#include "sanitizers.h"

static struct world w;
static uint64_t a;

static void default_actions(void)
{
	const struct sigaction by_default = {.sa_handler = SIG_DFL};
	child_assert(sigaction(SIGSEGV, &by_default, NULL) == 0);
	child_assert(sigaction(SIGBUS, &by_default, NULL) == 0);
}

/*
 * a: two pages that may be read and written; a + 2 K: one that may be read; a + 3 K: one past the end
 * of its file; a + 4 K: nothing.
 */
static void begin(struct memmap_inproc_options options)
{
	world_begin(&w, options);
	a = w.base + 7 * K;
	test_mm_set(&w.mm, 0, (struct test_vma){{a, a + 2 * K}, RW, &w.file, 0});
	test_mm_set(&w.mm, 1,
		    (struct test_vma){{a + 2 * K, a + 3 * K}, MEMMAP_READ, &w.file, 2 * K});
	test_mm_set(&w.mm, 2,
		    (struct test_vma){{a + 3 * K, a + 4 * K}, RW, &w.file, w.file.length});
}

/* ---- The program's handler ---- */

static sigjmp_buf back;
static siginfo_t last;
static int nr_calls;
static int nr_offers_taken;

static void note(int number, siginfo_t *info, void *ucontext)
{
	child_assert(ucontext != NULL && number == info->si_signo);
	last = *info;
	nr_calls++;
	siglongjmp(back, number);
}

/* One that knows of memmap. */
static void offer_and_note(int number, siginfo_t *info, void *ucontext)
{
	if (memmap_block_handle_fault(number, info, ucontext)) {
		nr_offers_taken++;
		return;
	}
	last = *info;
	nr_calls++;
	siglongjmp(back, info->si_signo);
}

static void install(void (*handler)(int, siginfo_t *, void *))
{
	struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | SA_NODEFER};
	sigemptyset(&action.sa_mask);
	child_assert(sigaction(SIGSEGV, &action, NULL) == 0);
	child_assert(sigaction(SIGBUS, &action, NULL) == 0);
}

/* The touch reaches the program's handler as that signal. */
static void check_signal(uint64_t addr, memmap_access at, int number, int code)
{
	const int before = nr_calls;
	const int got = sigsetjmp(back, 1);
	if (got == 0) {
		if (at & MEMMAP_WRITE)
			touch_write(addr, 1);
		else
			(void)touch_read(addr);
		child_not_reached();
	}
	child_assert(got == number && nr_calls == before + 1);
	child_assert(last.si_code == code && last.si_errno == 0);
	child_assert((uintptr_t)last.si_addr == addr);
}

/* As Linux would tell each, though the kernel told us something else. */
static void check_signals(void)
{
	child_assert(touch_read(a) == 0);
	check_signal(a + 4 * K + 8, MEMMAP_READ, SIGSEGV, SEGV_MAPERR);
	check_signal(a + 4 * K + 8, MEMMAP_WRITE, SIGSEGV, SEGV_MAPERR);
	check_signal(a + 2 * K + 16, MEMMAP_WRITE, SIGSEGV, SEGV_ACCERR);
	child_assert(touch_read(a + 2 * K) == 2 * K);
	check_signal(a + 2 * K + 16, MEMMAP_WRITE, SIGSEGV, SEGV_ACCERR);
	check_signal(a + 3 * K, MEMMAP_READ, SIGBUS, BUS_ADRERR);
	check_signal(a + 3 * K, MEMMAP_WRITE, SIGBUS, BUS_ADRERR);
	/* What is mapped vanishes: the kernel's SIGBUS, and ours. */
	touch_write(a + K, 1);
	child_assert(ftruncate(w.file.fd, K) == 0);
	check_signal(a + K, MEMMAP_READ, SIGBUS, BUS_ADRERR);
	touch_write(a, 2);
}

/* A fault that has nothing to do with the region. */
static void check_foreign(void)
{
	void *hole = mmap(NULL, K, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	child_assert(hole != MAP_FAILED);
	check_signal((uintptr_t)hole, MEMMAP_READ, SIGSEGV, SEGV_ACCERR);
}

/* What no page would help against is not the region's, though it is said to be there. */
static void check_not_of_a_page(int number, int code)
{
	siginfo_t info = {.si_signo = number, .si_code = code};
	info.si_addr = memmap_pointer_of_(a);
	touch_write(a, 1);
	const int before = nr_calls;
	if (sigsetjmp(back, 1) == 0) {
		(void)syscall(SYS_rt_tgsigqueueinfo, getpid(), (pid_t)syscall(SYS_gettid), number,
			      &info);
		child_not_reached();
	}
	child_assert(nr_calls == before + 1 && last.si_code == code);
	child_assert((uintptr_t)last.si_addr == a);
}

static void handler_before(void)
{
	default_actions();
	install(note);
	begin((struct memmap_inproc_options){0});
	check_signals();
	check_foreign();
	check_not_of_a_page(SIGBUS, BUS_ADRALN);
	check_not_of_a_page(SIGSEGV, SEGV_PKUERR);
	world_end(&w);
	check_foreign();
}

static void handler_after(void)
{
	default_actions();
	begin((struct memmap_inproc_options){0});
	install(offer_and_note);
	check_signals();
	check_foreign();
	child_assert(nr_offers_taken > 0);
	world_end(&w);
}

static void handler_after_and_ours_again(void)
{
	default_actions();
	begin((struct memmap_inproc_options){0});
	install(note);
	child_assert(memmap_block_install_handlers() == 0);
	check_signals();
	check_foreign();
	world_end(&w);
}

/* SIGSEGV is ours; SIGBUS has a handler of the program's on top, which gets what is one. */
static void handler_for_bus_only(void)
{
	default_actions();
	begin((struct memmap_inproc_options){0});
	struct sigaction action = {.sa_sigaction = note, .sa_flags = SA_SIGINFO};
	child_assert(sigaction(SIGBUS, &action, NULL) == 0);
	check_signal(a + 3 * K, MEMMAP_READ, SIGBUS, BUS_ADRERR);
	check_signal(a + 3 * K, MEMMAP_WRITE, SIGBUS, BUS_ADRERR);
	world_end(&w);
}

/* ---- No handler: the program dies, of the signal that Linux would have raised ---- */

static void dies_of_segv(void)
{
	default_actions();
	begin((struct memmap_inproc_options){0});
	(void)touch_read(a + 4 * K);
}

static void dies_of_bus(void)
{
	default_actions();
	begin((struct memmap_inproc_options){0});
	(void)touch_read(a + 3 * K);
}

static int out_of_memory(void *context, uint64_t addr, memmap_access at,
			 enum memmap_fault_code *code)
{
	(void)context;
	(void)addr;
	(void)at;
	(void)code;
	return -ENOMEM;
}

static void dies_for_want_of_memory(void)
{
	default_actions();
	begin((struct memmap_inproc_options){0});
	memmap_inproc_set_faults(w.inproc, (struct memmap_faults){out_of_memory, NULL});
	(void)touch_read(a);
}

/* ---- on_fault() ---- */

static bool decline(void *context, const struct memmap_guest_fault *fault, void *ucontext)
{
	(void)ucontext;
	*(struct memmap_guest_fault *)context = *fault;
	return false;
}

static struct memmap_guest_fault declined;

static void on_fault_declines(void)
{
	default_actions();
	install(note);
	begin((struct memmap_inproc_options){.on_fault = decline, .context = &declined});
	check_signal(a + 4 * K, MEMMAP_WRITE, SIGSEGV, SEGV_MAPERR);
	child_assert(declined.addr == a + 4 * K && declined.at == MEMMAP_WRITE);
	child_assert(declined.error == -EFAULT && declined.code == MEMMAP_FAULT_UNMAPPED);
	world_end(&w);
}

/* Taken: what the program makes of the context is gone on with. */
static bool map_it_after_all(void *context, const struct memmap_guest_fault *fault, void *ucontext)
{
	(void)ucontext;
	++*(int *)context;
	test_mm_set(&w.mm, 3, (struct test_vma){{a + 4 * K, a + 5 * K}, RW, &w.file, 9 * K});
	return fault->addr == a + 4 * K;
}

static void on_fault_takes(void)
{
	static int nr;
	default_actions();
	begin((struct memmap_inproc_options){.on_fault = map_it_after_all, .context = &nr});
	child_assert(touch_read(a + 4 * K) == 9 * K);
	child_assert(nr == 1);
	world_end(&w);
}

/* ---- Signals that are sent while a fault is handled ---- */

static volatile sig_atomic_t nr_sent, in_fault, sent_in_fault;

static void on_usr1(int number)
{
	(void)number;
	nr_sent++;
	sent_in_fault = in_fault;
	/* It may touch the region itself. */
	(void)touch_read(a + K);
}

static int slow_fault(void *context, uint64_t addr, memmap_access at, enum memmap_fault_code *code)
{
	in_fault = 1;
	child_assert(raise(SIGUSR1) == 0);
	child_assert(nr_sent == 0 || addr >= a + K);
	int err = test_mm_fault(context, addr, at, code);
	in_fault = 0;
	return err;
}

static void signals_wait(void)
{
	default_actions();
	begin((struct memmap_inproc_options){0});
	const struct sigaction action = {.sa_handler = on_usr1};
	child_assert(sigaction(SIGUSR1, &action, NULL) == 0);
	memmap_inproc_set_faults(w.inproc, (struct memmap_faults){slow_fault, &w.mm});
	child_assert(touch_read(a) == 0);
	child_assert(nr_sent > 0 && !sent_in_fault);
	world_end(&w);
}

/* ---- */

static void must_succeed(void (*body)(void))
{
	assert_int_equal(child_run(body), 0);
}

static void must_die_of(void (*body)(void), int number)
{
	const int status = child_run(body);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), number);
}

static void test_handlers(void **state)
{
	(void)state;
	must_succeed(handler_before);
	must_succeed(handler_after);
	must_succeed(handler_after_and_ours_again);
	must_succeed(handler_for_bus_only);
}

static void test_deaths(void **state)
{
	(void)state;
	must_die_of(dies_of_segv, SIGSEGV);
	must_die_of(dies_of_bus, SIGBUS);
	must_die_of(dies_for_want_of_memory, SIGBUS);
}

static void test_on_fault(void **state)
{
	(void)state;
	must_succeed(on_fault_declines);
	must_succeed(on_fault_takes);
}

static void test_signals_wait(void **state)
{
	(void)state;
	if (HAS_TSAN) {
		print_message("left out: ThreadSanitizer runs handlers with SIGSEGV blocked\n");
		skip();
	}
	must_succeed(signals_wait);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_handlers),
		cmocka_unit_test(test_deaths),
		cmocka_unit_test(test_on_fault),
		cmocka_unit_test(test_signals_wait),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
