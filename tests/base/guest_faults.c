/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Faults at memory of guests, which a floor above resolves or has delivered: who is asked first, and
 * whose handler gets a fault that is another signal to the guest than to this process.
 *
 * Each case is a child process that begins with the default actions.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/fault_child.h"
#include "base/fault_handler.h"

static enum memmap_fault_verdict guest_verdict; /* of faults at `hole` */
static int guest_signal;                        /* what Linux would have raised */
static _Atomic(int) nr_delivered;               /* how often it was asked to be delivered */
static int delivered_until;                     /* from then on, the fault is made good */

static enum memmap_fault_verdict guest_resolve(const siginfo_t *info, void *ucontext,
					       struct memmap_fault_notes *notes)
{
	(void)ucontext;
	if (info->si_addr != hole)
		return MEMMAP_FAULT_NOT_OF_GUEST;
	if (guest_verdict == MEMMAP_FAULT_RESOLVED)
		child_assert(mprotect(hole, PAGE, PROT_READ | PROT_WRITE) == 0);
	notes->words[0] = 42;
	return guest_verdict;
}

static bool guest_deliver(siginfo_t *info, void *ucontext, const struct memmap_fault_notes *notes)
{
	(void)ucontext;
	child_assert(notes->words[0] == 42);
	if (++nr_delivered > delivered_until) {
		child_assert(mprotect(hole, PAGE, PROT_READ | PROT_WRITE) == 0);
		return true;
	}
	info->si_signo = guest_signal;
	return false;
}

static void begin_with_guest(enum memmap_fault_verdict verdict, int signal)
{
	static const struct memmap_fault_hook hook = {guest_resolve, guest_deliver};
	begin();
	guest_verdict = verdict;
	guest_signal = signal;
	delivered_until = 1000;
	atomic_store(&memmap_fault_hook, &hook);
}

static void guest_fault_is_resolved(void)
{
	begin_with_guest(MEMMAP_FAULT_RESOLVED, 0);
	child_assert(memmap_block_install_handlers() == 0);
	touch_hole();
	child_assert(*hole == 1);
	/* So is one of a safe copy, which then succeeds. */
	child_assert(mprotect(hole, PAGE, PROT_NONE) == 0);
	child_assert(!copy_is_safe());
	child_assert(nr_delivered == 0);
}

static void guest_fault_is_delivered(void)
{
	begin_with_guest(MEMMAP_FAULT_OF_GUEST, 0);
	delivered_until = 0;
	child_assert(memmap_block_install_handlers() == 0);
	child_assert(copy_is_safe());
	child_assert(nr_delivered == 0);
	touch_hole();
	child_assert(nr_delivered == 1);
}

static void fault_of_no_guest(void)
{
	begin_with_guest(MEMMAP_FAULT_NOT_OF_GUEST, 0);
	set_action(SIGSEGV, &jump_action);
	child_assert(memmap_block_install_handlers() == 0);
	child_assert(copy_is_safe());
	fault_reaches_program();
	child_assert(nr_delivered == 0);
}

/* The fault, a SIGSEGV of this process, is a SIGBUS of the guest; whose handler gets it. */
static void handler_of_bus_is_called(void)
{
	const int number = sigsetjmp(out_of_fault, 1);
	if (number == 0)
		touch_hole();
	child_assert(number == SIGBUS);
	child_assert(last_info.si_signo == SIGBUS);
	child_assert(last_info.si_addr == hole);
}

static void other_signal_reaches_who_came_first(void)
{
	begin_with_guest(MEMMAP_FAULT_OF_GUEST, SIGBUS);
	set_action(SIGBUS, &jump_action);
	child_assert(memmap_block_install_handlers() == 0);
	handler_of_bus_is_called();
	/* In whichever layer: here in the second. */
	struct sigaction action = jump_action;
	sigaddset(&action.sa_mask, SIGUSR1);
	set_action(SIGBUS, &action);
	child_assert(memmap_block_install_handlers() == 0);
	handler_of_bus_is_called();
}

/* It may do without jumping away, too: here it makes the fault good. */
static void make_good(int number)
{
	child_assert(number == SIGBUS);
	child_assert(mprotect(hole, PAGE, PROT_READ | PROT_WRITE) == 0);
	nr_calls++;
}

static void other_signal_is_handled(void)
{
	begin_with_guest(MEMMAP_FAULT_OF_GUEST, SIGBUS);
	const struct sigaction action = {.sa_handler = make_good};
	set_action(SIGBUS, &action);
	child_assert(memmap_block_install_handlers() == 0);
	touch_hole();
	child_assert(nr_calls == 1);
	child_assert(nr_delivered == 1);
}

static void other_signal_reaches_who_came_later(void)
{
	begin_with_guest(MEMMAP_FAULT_OF_GUEST, SIGBUS);
	child_assert(memmap_block_install_handlers() == 0);
	set_action(SIGBUS, &jump_action);
	handler_of_bus_is_called();
}

/* The other way round: a SIGBUS of this process is a SIGSEGV of the guest. */
static void bus_becomes_segv(void)
{
	begin_with_guest(MEMMAP_FAULT_OF_GUEST, SIGSEGV);
	int fd = memfd_create("empty", MFD_CLOEXEC);
	child_assert(fd >= 0);
	hole = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	child_assert(hole != MAP_FAILED);
	set_action(SIGSEGV, &jump_action);
	child_assert(memmap_block_install_handlers() == 0);
	const int number = sigsetjmp(out_of_fault, 1);
	if (number == 0)
		touch_hole();
	child_assert(number == SIGSEGV);
	child_assert(last_info.si_signo == SIGSEGV);
}

static void other_signal_is_death_by_default(void)
{
	begin_with_guest(MEMMAP_FAULT_OF_GUEST, SIGBUS);
	child_assert(memmap_block_install_handlers() == 0);
	touch_hole();
}

/* Whom to give a signal to cannot be asked: the fault comes again, until its cause is gone. */
static void no_handlers_known(void)
{
	begin_with_guest(MEMMAP_FAULT_OF_GUEST, SIGBUS);
	set_action(SIGBUS, &jump_action);
	child_assert(memmap_block_install_handlers() == 0);
	refuse_sigaction();
	delivered_until = 2;
	touch_hole();
	child_assert(nr_delivered == 3);
	child_assert(nr_calls == 0);
}

/* clang-format off */
SUCCEEDS(guest_fault_is_resolved)
SUCCEEDS(guest_fault_is_delivered)
SUCCEEDS(fault_of_no_guest)
SUCCEEDS(other_signal_reaches_who_came_first)
SUCCEEDS(other_signal_is_handled)
SUCCEEDS(other_signal_reaches_who_came_later)
SUCCEEDS(bus_becomes_segv)
DIES(SIGBUS, other_signal_is_death_by_default)
SUCCEEDS(no_handlers_known)
/* clang-format on */

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_guest_fault_is_resolved),
		cmocka_unit_test(test_guest_fault_is_delivered),
		cmocka_unit_test(test_fault_of_no_guest),
		cmocka_unit_test(test_other_signal_reaches_who_came_first),
		cmocka_unit_test(test_other_signal_is_handled),
		cmocka_unit_test(test_other_signal_reaches_who_came_later),
		cmocka_unit_test(test_bus_becomes_segv),
		cmocka_unit_test(test_other_signal_is_death_by_default),
		cmocka_unit_test(test_no_handlers_known),
	};
	return cmocka_run_group_tests_name("base/guest_faults", tests, NULL, NULL);
}
