/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Living with a program's own handlers for SIGSEGV and SIGBUS: it gets every fault that is not a
 * safe copy's, called as the kernel would have called it, whoever came first.
 *
 * Each case is a child process that begins with the default actions.
 */
#include <errno.h>
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/user.h>
#include <time.h>

#include <cmocka.h>

#include "base/fault_child.h"
#include "sanitizers.h"
#include <memmap/error.h>

/* ---- who came first ---- */

static void program_came_first(void)
{
	begin();
	set_action(SIGSEGV, &jump_action);
	set_action(SIGBUS, &jump_action);
	child_assert(copy_is_safe());
	child_assert(nr_calls == 0);
	fault_reaches_program();
	child_assert(last_info.si_signo == SIGSEGV);
	child_assert(last_info.si_code == SEGV_ACCERR);
	child_assert(last_info.si_addr == hole);
	/* Jumping out of a handler leaves nothing behind. */
	child_assert(copy_is_safe());
	fault_reaches_program();
	child_assert(copy_is_safe());
}

static void program_came_first_without_siginfo(void)
{
	begin();
	const struct sigaction action = {.sa_handler = note_and_jump_plain};
	set_action(SIGSEGV, &action);
	child_assert(copy_is_safe());
	fault_reaches_program();
	child_assert(copy_is_safe());
}

static void bus_reaches_program(void)
{
	begin();
	set_action(SIGBUS, &jump_action);
	child_assert(memmap_block_install_handlers() == 0);
	int fd = memfd_create("empty", MFD_CLOEXEC);
	child_assert(fd >= 0);
	hole = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	child_assert(hole != MAP_FAILED);
	child_assert(copy_is_safe());
	const int number = sigsetjmp(out_of_fault, 1);
	if (number == 0) {
		touch_hole();
		child_not_reached();
	}
	child_assert(number == SIGBUS);
	child_assert(last_info.si_code == BUS_ADRERR && last_info.si_addr == hole);
	child_assert(nr_calls == 1);
}

static void program_came_later(void)
{
	begin();
	child_assert(copy_is_safe());
	set_action(SIGSEGV, &jump_action);
	child_assert(memmap_block_install_handlers() == 0);
	child_assert(copy_is_safe());
	fault_reaches_program();
	child_assert(memmap_block_install_handlers() == 0);
	child_assert(copy_is_safe());
}

/* The program passes on what it does not know, to what it covered: us. */
static struct sigaction covered_by_program;

static void pass_down(int number, siginfo_t *info, void *ucontext)
{
	nr_calls++;
	child_assert(nr_calls < 10);
	child_assert(covered_by_program.sa_flags & SA_SIGINFO);
	covered_by_program.sa_sigaction(number, info, ucontext);
}

static void cover(void)
{
	const struct sigaction action = {.sa_sigaction = pass_down, .sa_flags = SA_SIGINFO};
	child_assert(sigaction(SIGSEGV, &action, &covered_by_program) == 0);
}

static void program_passes_down(void)
{
	begin();
	set_action(SIGSEGV, &jump_action);
	child_assert(memmap_block_install_handlers() == 0);
	cover();
	/* The program's handler is on top, and hands us what is ours. */
	child_assert(copy_is_safe());
	child_assert(nr_calls > 0);
	nr_calls = 0;
	const int number = sigsetjmp(out_of_fault, 1);
	if (number == 0)
		touch_hole();
	child_assert(number == SIGSEGV && nr_calls == 2);

	/* Layered: ours on the program's, on ours, on the program's first one. */
	child_assert(memmap_block_install_handlers() == 0);
	nr_calls = 0;
	child_assert(copy_is_safe());
	child_assert(nr_calls == 0);
	const int again = sigsetjmp(out_of_fault, 1);
	if (again == 0)
		touch_hole();
	child_assert(again == SIGSEGV && nr_calls == 2);
}

static void passing_down_ends_by_default(void)
{
	begin();
	child_assert(memmap_block_install_handlers() == 0);
	cover();
	child_assert(memmap_block_install_handlers() == 0);
	touch_hole();
}

static void offer(int number, siginfo_t *info, void *ucontext)
{
	nr_calls++;
	if (memmap_block_handle_fault(number, info, ucontext))
		return;
	siglongjmp(out_of_fault, number);
}

static void program_stays_on_top_and_offers(void)
{
	begin();
	child_assert(memmap_block_install_handlers() == 0);
	const struct sigaction action = {.sa_sigaction = offer, .sa_flags = SA_SIGINFO};
	set_action(SIGSEGV, &action);
	child_assert(copy_is_safe());
	child_assert(copy_is_safe());
	child_assert(nr_calls >= 2);
	fault_reaches_program();
	child_assert(copy_is_safe());
	/* The mask is as it was, however the copy was left. */
	sigset_t mask;
	child_assert(pthread_sigmask(SIG_BLOCK, NULL, &mask) == 0);
	child_assert(!sigismember(&mask, SIGSEGV));
}

static void only_faults_are_taken(void)
{
	begin();
	siginfo_t info = {0};
	ucontext_t ucontext;
	memset(&ucontext, 0, sizeof(ucontext));
	info.si_code = SEGV_MAPERR;
	child_assert(!memmap_block_handle_fault(SIGFPE, &info, &ucontext));
	child_assert(!memmap_block_handle_fault(SIGSEGV, &info, &ucontext));
	info.si_code = SI_USER;
	child_assert(!memmap_block_handle_fault(SIGSEGV, &info, &ucontext));
	info.si_code = SI_TKILL;
	child_assert(!memmap_block_handle_fault(SIGBUS, &info, &ucontext));
}

/* signal(2) puts a handler back without its flags; the next installation mends that. */
static void put_back_by_signal(void)
{
	begin();
	child_assert(memmap_block_install_handlers() == 0);
	void (*ours)(int) = signal(SIGSEGV, note_and_jump_plain);
	child_assert(ours != SIG_ERR && ours != SIG_DFL);
	child_assert(signal(SIGSEGV, ours) == note_and_jump_plain);
	child_assert(memmap_block_install_handlers() == 0);
	struct sigaction now;
	child_assert(sigaction(SIGSEGV, NULL, &now) == 0);
	child_assert(now.sa_flags & SA_SIGINFO);
	child_assert(copy_is_safe());
	child_assert(nr_calls == 0);
}

static void coming_back_takes_no_new_layer(void)
{
	begin();
	const struct sigaction plain = {.sa_handler = note_and_jump_plain};
	for (int i = 0; i < 50; i++) {
		set_action(SIGSEGV, i % 2 ? &jump_action : &plain);
		child_assert(memmap_block_install_handlers() == 0);
		child_assert(copy_is_safe());
		fault_reaches_program();
	}
}

static void layers_run_out(void)
{
	begin();
	int err = 0;
	int nr = 0;
	for (int other = SIGRTMIN; !err && other <= SIGRTMAX; other++, nr++) {
		/* Each time a different mask: a different handler to return to. */
		struct sigaction action = jump_action;
		sigaddset(&action.sa_mask, other);
		set_action(SIGSEGV, &action);
		err = memmap_block_install_handlers();
	}
	child_assert(err == -ENOSPC);
	child_assert(nr > 3);
	/* The program's handler is what it was. */
	struct sigaction now;
	child_assert(sigaction(SIGSEGV, NULL, &now) == 0);
	child_assert(now.sa_sigaction == note_and_jump);
	fault_reaches_program();
}

/* Every layer of both signals catches, and passes on. */
static void every_layer_works(void)
{
	begin();
	int fd = memfd_create("empty", MFD_CLOEXEC);
	child_assert(fd >= 0);
	unsigned char *segv_hole = hole;
	unsigned char *bus_hole = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	child_assert(bus_hole != MAP_FAILED);
	int err = 0;
	for (int other = SIGRTMIN; !err && other <= SIGRTMAX; other++) {
		struct sigaction action = jump_action;
		sigaddset(&action.sa_mask, other);
		set_action(SIGSEGV, &action);
		set_action(SIGBUS, &action);
		err = memmap_block_install_handlers();
		if (err)
			break;
		hole = segv_hole;
		child_assert(copy_is_safe());
		fault_reaches_program();
		hole = bus_hole;
		child_assert(copy_is_safe());
		const int number = sigsetjmp(out_of_fault, 1);
		if (number == 0)
			touch_hole();
		child_assert(number == SIGBUS);
	}
	child_assert(err == -ENOSPC);
}

/* ---- called as the kernel would have done ---- */

static void mask_is_the_handlers(void)
{
	begin();
	struct sigaction action = jump_action;
	sigaddset(&action.sa_mask, SIGUSR1);
	set_action(SIGSEGV, &action);
	child_assert(memmap_block_install_handlers() == 0);
	fault_reaches_program();
	child_assert(sigismember(&mask_in_handler, SIGSEGV) == 1);
	child_assert(sigismember(&mask_in_handler, SIGUSR1) == 1);
	/* ThreadSanitizer runs handlers with all signals blocked. */
	if (HAS_TSAN)
		return;
	child_assert(sigismember(&mask_in_handler, SIGUSR2) == 0);

	action.sa_flags |= SA_NODEFER;
	sigemptyset(&action.sa_mask);
	set_action(SIGSEGV, &action);
	child_assert(memmap_block_install_handlers() == 0);
	fault_reaches_program();
	child_assert(sigismember(&mask_in_handler, SIGSEGV) == 0);
	child_assert(sigismember(&mask_in_handler, SIGUSR1) == 0);
}

static void mask_is_restored_on_return(void)
{
	begin();
	struct sigaction action = {.sa_handler = note_and_return};
	sigaddset(&action.sa_mask, SIGUSR1);
	set_action(SIGSEGV, &action);
	child_assert(memmap_block_install_handlers() == 0);
	errno = EXDEV;
	child_assert(raise(SIGSEGV) == 0);
	child_assert(nr_calls == 1);
	/* Nor does the handler's errno leak, which our way back must not change either. */
	child_assert(errno == EXDEV);
	sigset_t mask;
	child_assert(pthread_sigmask(SIG_BLOCK, NULL, &mask) == 0);
	child_assert(!sigismember(&mask, SIGUSR1) && !sigismember(&mask, SIGSEGV));
}

static void errno_survives_a_safe_copy(void)
{
	begin();
	child_assert(memmap_block_install_handlers() == 0);
	errno = EXDEV;
	child_assert(copy_is_safe());
	child_assert(errno == EXDEV);
}

static void one_shot_handler_is_called_once(void)
{
	begin();
	struct sigaction action = jump_action;
	action.sa_flags = (int)((unsigned)action.sa_flags | SA_RESETHAND);
	set_action(SIGSEGV, &action);
	child_assert(memmap_block_install_handlers() == 0);
	fault_reaches_program();
	child_assert(copy_is_safe());
	touch_hole();
}

static void one_shot_handler_may_be_set_again(void)
{
	begin();
	struct sigaction action = jump_action;
	action.sa_flags = (int)((unsigned)action.sa_flags | SA_RESETHAND);
	for (int i = 0; i < 3; i++) {
		set_action(SIGSEGV, &action);
		child_assert(memmap_block_install_handlers() == 0);
		fault_reaches_program();
	}
}

static void alternate_stack_is_used(void)
{
	begin();
	const size_t size = 1 << 16;
	stack_t stack = {.ss_sp = malloc(size), .ss_size = size};
	child_assert(stack.ss_sp && sigaltstack(&stack, NULL) == 0);
	struct sigaction action = jump_action;
	action.sa_flags |= SA_ONSTACK;
	set_action(SIGSEGV, &action);
	child_assert(memmap_block_install_handlers() == 0);
	fault_reaches_program();
	/* A sanitizer may keep the handler's variables elsewhere altogether. */
#if !HAS_ASAN
	child_assert(stack_in_handler - (uintptr_t)stack.ss_sp < size);
#endif
	child_assert(copy_is_safe());
}

/* A system call that a sent signal interrupts: restarted or not, as the covered handler wants. */
static pthread_t reader;
static _Atomic(bool) reading;

static void *send_while_reading(void *arg)
{
	const int fd = *(int *)arg;
	while (!reading)
		;
	while (nr_calls == 0) {
		(void)usleep(1000);
		(void)pthread_kill(reader, SIGSEGV);
	}
	(void)usleep(1000);
	return write(fd, "x", 1) == 1 ? NULL : arg;
}

static ssize_t read_with_flags(int flags)
{
	begin();
	struct sigaction action = {.sa_handler = note_and_return, .sa_flags = flags};
	set_action(SIGSEGV, &action);
	child_assert(memmap_block_install_handlers() == 0);
	int fds[2];
	child_assert(pipe(fds) == 0);
	reader = pthread_self();
	pthread_t sender;
	child_assert(pthread_create(&sender, NULL, send_while_reading, &fds[1]) == 0);
	char c;
	reading = true;
	ssize_t n = read(fds[0], &c, 1);
	if (n < 0)
		child_assert(errno == EINTR);
	void *failed;
	child_assert(pthread_join(sender, &failed) == 0 && !failed);
	child_assert(nr_calls > 0);
	return n;
}

static void read_is_interrupted(void)
{
	child_assert(read_with_flags(0) == -1);
}

static void read_is_restarted(void)
{
	child_assert(read_with_flags(SA_RESTART) == 1);
}

/* ---- no handler ---- */

static void default_is_death(void)
{
	begin();
	child_assert(copy_is_safe());
	touch_hole();
}

static void default_is_death_when_sent(void)
{
	begin();
	child_assert(copy_is_safe());
	child_assert(raise(SIGSEGV) == 0);
}

static void bus_default_is_death_when_sent(void)
{
	begin();
	child_assert(copy_is_safe());
	child_assert(kill(getpid(), SIGBUS) == 0);
	(void)pause();
}

static void ignored_when_sent(void)
{
	begin();
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	set_action(SIGSEGV, &ignore);
	child_assert(copy_is_safe());
	child_assert(raise(SIGSEGV) == 0);
	child_assert(copy_is_safe());
}

static void faults_cannot_be_ignored(void)
{
	begin();
	const struct sigaction ignore = {.sa_handler = SIG_IGN};
	set_action(SIGSEGV, &ignore);
	child_assert(copy_is_safe());
	touch_hole();
}

/* ---- what a debugger or a core file sees of a death by default ---- */

static pid_t traced_child(void (*body)(void))
{
	(void)fflush(NULL);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		begin();
		child_assert(copy_is_safe());
		if (ptrace(PTRACE_TRACEME, 0, NULL, NULL) != 0)
			child_exit(77);
		body();
		child_exit(0);
	}
	return child;
}

struct stop {
	siginfo_t info;
	uintptr_t pc;
};

/* Wait for the child to stop at a signal. False when it may not be traced here. */
static bool wait_for_stop(pid_t child, struct stop *stop)
{
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		return false;
	assert_true(WIFSTOPPED(status));
	assert_int_equal(WSTOPSIG(status), SIGSEGV);
	assert_int_equal(ptrace(PTRACE_GETSIGINFO, child, NULL, &stop->info), 0);
	stop->pc = 0;
#ifdef __x86_64__
	struct user_regs_struct regs;
	assert_int_equal(ptrace(PTRACE_GETREGS, child, NULL, &regs), 0);
	stop->pc = regs.rip;
#endif
	return true;
}

static void test_death_tells_the_truth(void **state)
{
	(void)state;
	pid_t child = traced_child(touch_hole);
	struct stop first;
	struct stop last;
	if (!wait_for_stop(child, &first))
		skip();
	assert_int_equal(first.info.si_code, SEGV_ACCERR);
	/* It goes to our handler, which gives it back, at the same place. */
	assert_int_equal(ptrace(PTRACE_CONT, child, NULL, (void *)(uintptr_t)SIGSEGV), 0);
	assert_true(wait_for_stop(child, &last));
	assert_int_equal(last.info.si_code, first.info.si_code);
	assert_ptr_equal(last.info.si_addr, first.info.si_addr);
	assert_true(last.pc == first.pc);
	assert_int_equal(ptrace(PTRACE_CONT, child, NULL, (void *)(uintptr_t)SIGSEGV), 0);
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status));
	assert_int_equal(WTERMSIG(status), SIGSEGV);
}

static void raise_segv(void)
{
	child_assert(raise(SIGSEGV) == 0);
}

static void test_sent_signal_is_given_back_as_it_came(void **state)
{
	(void)state;
	pid_t child = traced_child(raise_segv);
	struct stop first;
	struct stop last;
	if (!wait_for_stop(child, &first))
		skip();
	assert_int_equal(first.info.si_code, SI_TKILL);
	assert_int_equal(ptrace(PTRACE_CONT, child, NULL, (void *)(uintptr_t)SIGSEGV), 0);
	assert_true(wait_for_stop(child, &last));
	assert_int_equal(last.info.si_code, SI_TKILL);
	assert_int_equal(last.info.si_pid, first.info.si_pid);
	assert_true(last.pc == first.pc);
	/* Withheld, so that the child lives on: it comes back from raise(). */
	assert_int_equal(ptrace(PTRACE_CONT, child, NULL, NULL), 0);
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* The second time a one-shot handler's signal comes, that is the default action. */
static void raise_at_one_shot_handler(void)
{
	const struct sigaction action = {.sa_handler = note_and_return,
					 .sa_flags = (int)SA_RESETHAND};
	set_action(SIGSEGV, &action);
	child_assert(memmap_block_install_handlers() == 0);
	child_assert(raise(SIGSEGV) == 0);
	child_assert(nr_calls == 1);
	child_assert(raise(SIGSEGV) == 0);
	child_assert(nr_calls == 1);
}

static void test_spent_handler_is_not_called(void **state)
{
	(void)state;
	pid_t child = traced_child(raise_at_one_shot_handler);
	struct stop stop;
	/* Raised once, raised again, and then as the default action, which is withheld. */
	for (int i = 0; i < 3; i++) {
		if (!wait_for_stop(child, &stop))
			skip();
		assert_int_equal(stop.info.si_code, SI_TKILL);
		const uintptr_t signal = i < 2 ? SIGSEGV : 0;
		assert_int_equal(ptrace(PTRACE_CONT, child, NULL, (void *)signal), 0);
	}
	int status;
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* ---- signals sent in the middle of a safe copy are not its faults ---- */

static _Atomic(bool) stop_copying;
static _Atomic(int) nr_failed_copies, nr_copies;

static void *copy_all_the_time(void *arg)
{
	const size_t size = 1 << 18;
	unsigned char *from = arg;
	unsigned char *to = malloc(size);
	child_assert(to);
	while (!stop_copying) {
		uint64_t done = 0;
		if (memmap_copy(memmap_block_unsafe(to, size), memmap_block_unsafe(from, size),
				&done) != 0 ||
		    done != size)
			nr_failed_copies++;
		nr_copies++;
	}
	free(to);
	return NULL;
}

static void sent_in_the_middle_of_a_copy(void)
{
	begin();
	const struct sigaction action = {.sa_handler = note_and_return};
	set_action(SIGSEGV, &action);
	unsigned char *from = calloc(1, 1 << 18);
	child_assert(from);
	pthread_t thread;
	child_assert(pthread_create(&thread, NULL, copy_all_the_time, from) == 0);
	while (nr_copies == 0)
		;
	for (int i = 0; i < 500; i++) {
		child_assert(pthread_kill(thread, SIGSEGV) == 0);
		(void)usleep(20);
	}
	stop_copying = true;
	child_assert(pthread_join(thread, NULL) == 0);
	free(from);
	child_assert(nr_calls > 0);
	child_assert(nr_failed_copies == 0);
}

/* ---- a handler that interrupts a safe copy, and faults itself ---- */

static _Atomic(int) nr_ticks;

static void fault_on_tick(int number)
{
	(void)number;
	if (sigsetjmp(out_of_fault, 1) == 0)
		touch_hole();
	nr_ticks++;
}

static void fault_in_the_middle_of_a_copy(void)
{
	begin();
	if (HAS_ASAN || HAS_TSAN) {
		/* Neither's siglongjmp() or signal mask would survive it. */
		(void)fprintf(stderr, "left out: a sanitizer cannot have handlers that fault\n");
		return;
	}
	struct sigaction action = jump_action;
	action.sa_flags |= SA_NODEFER;
	set_action(SIGSEGV, &action);
	const struct sigaction tick = {.sa_handler = fault_on_tick, .sa_flags = SA_RESTART};
	set_action(SIGALRM, &tick);
	const size_t size = 1 << 18;
	unsigned char *from = calloc(1, size);
	unsigned char *to = malloc(size);
	child_assert(from && to);
	const struct itimerval often = {{0, 300}, {0, 300}};
	child_assert(setitimer(ITIMER_REAL, &often, NULL) == 0);
	/* Ticks that are lost must not hold up the test for ever. */
	const time_t deadline = time(NULL) + 20;
	while (nr_ticks < 100 && time(NULL) < deadline) {
		uint64_t done = 0;
		child_assert(memmap_copy(memmap_block_unsafe(to, size),
					 memmap_block_unsafe(from, size), &done) == 0);
		child_assert(done == size);
	}
	const struct itimerval never = {{0, 0}, {0, 0}};
	child_assert(setitimer(ITIMER_REAL, &never, NULL) == 0);
	child_assert(nr_calls >= 100);
	free(from);
	free(to);
}

/* ---- the kernel refuses ---- */

static void exit_quietly(const char *message)
{
	child_assert(strstr(message, "cannot install the handlers that safe copies need: "
				     "Operation not permitted"));
	child_exit(0);
}

static void no_handlers_no_copies(void)
{
	begin();
	refuse_sigaction();
	child_assert(memmap_block_install_handlers() == -EPERM);
	memmap_set_panic_handler(exit_quietly);
	(void)copy_is_safe();
	child_not_reached();
}

/* clang-format off */
SUCCEEDS(program_came_first)
SUCCEEDS(program_came_first_without_siginfo)
SUCCEEDS(bus_reaches_program)
SUCCEEDS(program_came_later)
SUCCEEDS(program_passes_down)
DIES(SIGSEGV, passing_down_ends_by_default)
SUCCEEDS(program_stays_on_top_and_offers)
SUCCEEDS(only_faults_are_taken)
SUCCEEDS(put_back_by_signal)
SUCCEEDS(coming_back_takes_no_new_layer)
SUCCEEDS(layers_run_out)
SUCCEEDS(every_layer_works)
SUCCEEDS(mask_is_the_handlers)
SUCCEEDS(mask_is_restored_on_return)
SUCCEEDS(errno_survives_a_safe_copy)
DIES(SIGSEGV, one_shot_handler_is_called_once)
SUCCEEDS(one_shot_handler_may_be_set_again)
SUCCEEDS(alternate_stack_is_used)
SUCCEEDS(read_is_interrupted)
SUCCEEDS(read_is_restarted)
DIES(SIGSEGV, default_is_death)
DIES(SIGSEGV, default_is_death_when_sent)
DIES(SIGBUS, bus_default_is_death_when_sent)
SUCCEEDS(ignored_when_sent)
DIES(SIGSEGV, faults_cannot_be_ignored)
SUCCEEDS(sent_in_the_middle_of_a_copy)
SUCCEEDS(fault_in_the_middle_of_a_copy)
SUCCEEDS(no_handlers_no_copies)
/* clang-format on */

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_program_came_first),
		cmocka_unit_test(test_program_came_first_without_siginfo),
		cmocka_unit_test(test_bus_reaches_program),
		cmocka_unit_test(test_program_came_later),
		cmocka_unit_test(test_program_passes_down),
		cmocka_unit_test(test_passing_down_ends_by_default),
		cmocka_unit_test(test_program_stays_on_top_and_offers),
		cmocka_unit_test(test_only_faults_are_taken),
		cmocka_unit_test(test_put_back_by_signal),
		cmocka_unit_test(test_coming_back_takes_no_new_layer),
		cmocka_unit_test(test_layers_run_out),
		cmocka_unit_test(test_every_layer_works),
		cmocka_unit_test(test_mask_is_the_handlers),
		cmocka_unit_test(test_mask_is_restored_on_return),
		cmocka_unit_test(test_errno_survives_a_safe_copy),
		cmocka_unit_test(test_one_shot_handler_is_called_once),
		cmocka_unit_test(test_one_shot_handler_may_be_set_again),
		cmocka_unit_test(test_alternate_stack_is_used),
		cmocka_unit_test(test_read_is_interrupted),
		cmocka_unit_test(test_read_is_restarted),
		cmocka_unit_test(test_default_is_death),
		cmocka_unit_test(test_default_is_death_when_sent),
		cmocka_unit_test(test_bus_default_is_death_when_sent),
		cmocka_unit_test(test_ignored_when_sent),
		cmocka_unit_test(test_faults_cannot_be_ignored),
		cmocka_unit_test(test_death_tells_the_truth),
		cmocka_unit_test(test_sent_signal_is_given_back_as_it_came),
		cmocka_unit_test(test_spent_handler_is_not_called),
		cmocka_unit_test(test_sent_in_the_middle_of_a_copy),
		cmocka_unit_test(test_fault_in_the_middle_of_a_copy),
		cmocka_unit_test(test_no_handlers_no_copies),
	};
	return cmocka_run_group_tests_name("base/fault_handler", tests, NULL, NULL);
}
