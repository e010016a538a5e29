/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The handlers for SIGSEGV and SIGBUS.
 *
 *   a fault ──▶ our handler ── of a guest's memory? ──▶ resolved: touch it again
 *                    │ no, or it ends badly
 *                    ├── of a safe access? ──▶ it returns early, with -EFAULT
 *                    │ no
 *                    ▼
 *              what was installed before us, as the kernel would have called it
 *
 * A program may install handlers of its own on top of ours, which pass on to ours what they do not
 * know; and memmap_block_install_handlers() may then put us on top of those again. So that passing
 * on always goes down, never round in a circle, each installation is a *layer*: a handler function
 * of its own, which remembers what it covered. There are a few layers for each signal.
 *
 *   layer 1 ──▶ the program's handler ──▶ layer 0 ──▶ what was there at first
 *
 * Invariants: a layer's `covered` is complete before its function can be called, and is changed
 * by nobody afterwards (but for the one-shot mark). Layers below nr_layers are in use, for good.
 *
 * Locking: `lock` guards installing, with all signals blocked, so that a handler that does the
 * first safe access of its process cannot meet the lock taken by its own thread. The handlers take
 * no lock.
 *
 * Refused: catching faults of threads that block SIGSEGV or SIGBUS (the kernel kills the process),
 * and what signals sent by kill(2) and the like look like: they are never a safe access's.
 */
#include "base/fault_handler.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/safe_access.h"
#include <memmap/block.h>
#include <memmap/error.h>

#define MAX_LAYERS 4

struct layer {
	struct sigaction covered;
	/* `covered` had SA_RESETHAND and was called. */
	_Atomic(bool) spent;
};

struct handled_signal {
	int number;
	int nr_layers;
	struct layer layers[MAX_LAYERS];
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct handled_signal segv = {.number = SIGSEGV};
static struct handled_signal bus = {.number = SIGBUS};

_Atomic(bool) memmap_fault_handler_installed;
_Atomic(const struct memmap_fault_hook *) memmap_fault_hook;

/* Raised by the kernel because of what the thread did, not sent by anyone. */
static bool is_fault(const siginfo_t *info)
{
	return info->si_code > 0;
}

static bool has_flag(const struct sigaction *action, unsigned flag)
{
	return ((unsigned)action->sa_flags & flag) != 0;
}

/* A function, rather than SIG_DFL or SIG_IGN. */
static bool has_function(const struct sigaction *action)
{
	return has_flag(action, SA_SIGINFO) ||
	       (action->sa_handler != SIG_DFL && action->sa_handler != SIG_IGN);
}

/*
 * Let the default action happen as if we had never been there: the signal, with all that it told,
 * comes again when the handler has returned to where it was raised.
 */
static void die_by_default(int number, siginfo_t *info)
{
	const struct sigaction by_default = {.sa_handler = SIG_DFL};
	sigset_t this_signal;
	sigemptyset(&this_signal);
	sigaddset(&this_signal, number);
	(void)pthread_sigmask(SIG_BLOCK, &this_signal, NULL);
	(void)sigaction(number, &by_default, NULL);
	/* If this is refused, a fault comes again by itself. */
	(void)syscall(SYS_rt_tgsigqueueinfo, getpid(), (pid_t)syscall(SYS_gettid), number, info);
}

/* Call `action` as the kernel would have done. */
static void call_covered(const struct sigaction *action, int number, siginfo_t *info,
			 void *ucontext)
{
	sigset_t before;
	sigset_t during = action->sa_mask;
	if (!has_flag(action, SA_NODEFER))
		sigaddset(&during, number);
	(void)pthread_sigmask(SIG_BLOCK, &during, &before);
	if (has_flag(action, SA_SIGINFO))
		action->sa_sigaction(number, info, ucontext);
	else
		action->sa_handler(number);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
}

static void pass_on(struct layer *layer, int number, siginfo_t *info, void *ucontext)
{
	const struct sigaction *action = &layer->covered;
	if (has_function(action)) {
		if (!has_flag(action, SA_RESETHAND) || !atomic_exchange(&layer->spent, true))
			call_covered(action, number, info, ucontext);
		else
			die_by_default(number, info);
	} else if (action->sa_handler == SIG_DFL || is_fault(info)) {
		/* Faults cannot be ignored: the kernel takes the default action then. */
		die_by_default(number, info);
	}
}

bool memmap_block_handle_fault(int signal, void *siginfo, void *ucontext)
{
	siginfo_t *info = siginfo;
	if ((signal != SIGSEGV && signal != SIGBUS) || !is_fault(info))
		return false;
	const struct memmap_fault_hook *hook =
		atomic_load_explicit(&memmap_fault_hook, memory_order_acquire);
	struct memmap_fault_notes notes;
	enum memmap_fault_verdict verdict =
		hook ? hook->resolve(info, ucontext, &notes) : MEMMAP_FAULT_NOT_OF_GUEST;
	if (verdict == MEMMAP_FAULT_RESOLVED || memmap_safe_access_recover(info, ucontext))
		return true;
	return verdict == MEMMAP_FAULT_OF_GUEST && hook->deliver(info, ucontext, &notes);
}

static void pass_on_as(int number, siginfo_t *info, void *ucontext);

static void handle(struct layer *layer, int number, siginfo_t *info, void *ucontext)
{
	int saved_errno = errno;
	if (!memmap_block_handle_fault(number, info, ucontext)) {
		/* A guest's SIGSEGV may have turned out to be a SIGBUS, and the other way round. */
		if (!is_fault(info) || info->si_signo == number)
			pass_on(layer, number, info, ucontext);
		else
			pass_on_as(info->si_signo, info, ucontext);
	}
	errno = saved_errno;
}

/* One function for each layer of each signal, for they are told apart by nothing else. */
#define LAYER_FUNCTION(signal, i)                                                                  \
	static void handle_##signal##_##i(int number, siginfo_t *info, void *ucontext)             \
	{                                                                                          \
		handle(&signal.layers[i], number, info, ucontext);                                 \
	}
LAYER_FUNCTION(segv, 0)
LAYER_FUNCTION(segv, 1)
LAYER_FUNCTION(segv, 2)
LAYER_FUNCTION(segv, 3)
LAYER_FUNCTION(bus, 0)
LAYER_FUNCTION(bus, 1)
LAYER_FUNCTION(bus, 2)
LAYER_FUNCTION(bus, 3)

typedef void layer_function(int number, siginfo_t *info, void *ucontext);

static layer_function *const segv_functions[MAX_LAYERS] = {
	handle_segv_0,
	handle_segv_1,
	handle_segv_2,
	handle_segv_3,
};
static layer_function *const bus_functions[MAX_LAYERS] = {
	handle_bus_0,
	handle_bus_1,
	handle_bus_2,
	handle_bus_3,
};

/*
 * The other signal is what should have been raised: whoever would have been called for it, but for
 * us, is.
 */
static void pass_on_as(int number, siginfo_t *info, void *ucontext)
{
	struct handled_signal *s = number == SIGSEGV ? &segv : &bus;
	layer_function *const *functions = number == SIGSEGV ? segv_functions : bus_functions;
	struct layer now = {.spent = false};
	if (sigaction(number, NULL, &now.covered) != 0)
		return;
	for (int i = 0; i < MAX_LAYERS; i++) {
		if (now.covered.sa_sigaction == functions[i]) {
			pass_on(&s->layers[i], number, info, ucontext);
			return;
		}
	}
	/* The program's own is on top, and passes on to us what it does not know. */
	pass_on(&now, number, info, ucontext);
}

static bool same_action(const struct sigaction *a, const struct sigaction *b)
{
	if (a->sa_flags != b->sa_flags)
		return false;
	/* One by one: what lies behind the last signal of a set is anything. */
	for (int number = 1; number < NSIG; number++) {
		if (sigismember(&a->sa_mask, number) != sigismember(&b->sa_mask, number))
			return false;
	}
	return has_flag(a, SA_SIGINFO) ? a->sa_sigaction == b->sa_sigaction
				       : a->sa_handler == b->sa_handler;
}

/*
 * The layer to be on top of `now`: the one that is there already, one that covered the same before,
 * or a new one; -1 when there is none left. With `*now` what the layer covers.
 */
static int choose_layer(struct handled_signal *s, layer_function *const *functions,
			struct sigaction *now)
{
	for (int i = 0; i < s->nr_layers; i++) {
		/* Whatever its flags: signal(2), when it puts us back, does so without them. */
		if (now->sa_sigaction == functions[i]) {
			*now = s->layers[i].covered;
			return i;
		}
	}
	for (int i = 0; i < s->nr_layers; i++) {
		if (same_action(&s->layers[i].covered, now)) {
			atomic_store(&s->layers[i].spent, false);
			return i;
		}
	}
	if (s->nr_layers == MAX_LAYERS)
		return -1;
	s->layers[s->nr_layers].covered = *now;
	return s->nr_layers++;
}

static int install(struct handled_signal *s, layer_function *const *functions)
{
	struct sigaction now;
	if (sigaction(s->number, NULL, &now) != 0)
		return -errno;
	const int i = choose_layer(s, functions, &now);
	if (i < 0)
		return -ENOSPC;

	/*
	 * On the thread's alternate stack, if it has one, since whom we cover may count on it. Not
	 * blocking anything, since call_covered() does what whom we cover wants. System calls that
	 * a sent signal interrupts are restarted unless the covered handler would not have it.
	 */
	bool interrupts = has_function(&now) && !has_flag(&now, SA_RESTART);
	struct sigaction ours = {
		.sa_sigaction = functions[i],
		.sa_flags = SA_SIGINFO | SA_ONSTACK | SA_NODEFER | (interrupts ? 0 : SA_RESTART),
	};
	sigemptyset(&ours.sa_mask);
	return sigaction(s->number, &ours, NULL) == 0 ? 0 : -errno;
}

int memmap_block_install_handlers(void)
{
	sigset_t all;
	sigset_t before;
	sigfillset(&all);
	(void)pthread_sigmask(SIG_BLOCK, &all, &before);
	(void)pthread_mutex_lock(&lock);

	int err = install(&segv, segv_functions);
	if (!err)
		err = install(&bus, bus_functions);
	if (!err)
		atomic_store_explicit(&memmap_fault_handler_installed, true, memory_order_release);

	(void)pthread_mutex_unlock(&lock);
	(void)pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err;
}

void memmap_fault_handler_ensure_slow(void)
{
	int err = memmap_block_install_handlers();
	if (err)
		memmap_panic("cannot install the handlers that safe copies need: %s",
			     memmap_strerror(err));
}
