/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `memmap trace`: run a program, mirror its memory calls into the model, check each.
 */
#ifndef MEMMAP_TOOL_TRACE_H
#define MEMMAP_TOOL_TRACE_H

#include <stdbool.h>
#include <stdint.h>

#include <platform/ptrace/clock.h>

#include "common/terminal.h"
#include "history/history.h"
#include "options.h"
#include "stacks/origins.h"
#include "stacks/stacks.h"
#include "trace/compare.h"
#include "trace/files.h"
#include "trace/process.h"

struct log_writer;

/* What memmap itself exits with; otherwise it is the program's own status. */
enum exit_code {
	EXIT_DIFFERENCES = 3, /* --strict, and some were found */
	EXIT_MEMMAP_FAILED = 125,
	EXIT_NOT_EXECUTABLE = 126,
	EXIT_NOT_FOUND = 127,
	EXIT_SIGNAL_BASE = 128, /* plus the signal's number */
};

/* Something that the model expected and the kernel did otherwise. */
struct difference {
	pid_t pid;
	enum call_id call;
	char *text; /* the call with its arguments */
	char *expected, *found;
};

/* How many differences are kept in full; all are counted. */
#define MAX_KEPT_DIFFERENCES 10000

struct trace_counts {
	uint64_t calls;        /* traced calls that were made */
	uint64_t results;      /* results compared */
	uint64_t unwatched;    /* results read off the maps: see unwatched.c */
	uint64_t near;         /* of maps, what a call was about, compared */
	uint64_t maps;         /* whole maps compared */
	uint64_t reverse_maps; /* reverse maps compared with the VMAs */
	uint64_t adopted;      /* calls without rules: what the kernel did was taken over */
	uint64_t addresses_predicted, addresses_missed;
	uint64_t boundaries_exact, boundaries_kernel_only;
	uint64_t boundaries_unordered; /* only the model's, beside other threads: see check.c */
	uint64_t differences;
	uint64_t refused_tracing;     /* attempts of programs to trace that failed */
	uint64_t refused_supervising; /* those to supervise system calls by seccomp */
	uint64_t processes;
};

/* A NUMA policy: see mirror_policy.c. No padding: compared byte by byte. */
#define NR_NODE_WORDS 16u
struct node_set {
	uint64_t words[NR_NODE_WORDS];
};
struct policy {
	uint32_t mode, flags;
	struct node_set named; /* what the program said, where that is to be kept */
	struct node_set nodes;
};

struct trace {
	const struct trace_options *options;
	struct memmap_tracer *tracer;
	struct files *files;
	struct history *history; /* NULL: neither plot, report nor summary is wanted */
	struct log_writer *log;  /* NULL: no log is wanted */
	struct sites sites;      /* with --stacks */
	struct leftovers leftovers;
	struct progress progress; /* shown when the terminal is not the program's: with -p */
	struct space *spaces;
	struct process *processes;
	struct process **last_process;
	struct process *root;
	struct memmap_mm_limits machine;
	bool has_anon_names; /* the kernel knows names of anonymous memory */
	bool has_protection_keys;
	bool cannot_query;       /* the kernel has no way to ask for one VMA: the whole is read */
	uint64_t min_fixed_addr; /* vm.mmap_min_addr */
	bool legacy_layout;      /* vm.legacy_va_layout */
	uint64_t min_addr;       /* where hints and searches begin, on this machine */
	struct trace_counts counts;
	struct call_counts calls; /* of all processes */
	uint64_t calls_at_reverse_check;
	uint64_t model_ns, checks_ns; /* spent in the model, and in looking at the kernel's maps */
	ARRAY(struct difference) differences;
	uint64_t began, ended; /* CLOCK_MONOTONIC, in ns */
	char failure[512];     /* why the trace could not go on; "": it did */
	/* Kept for their memory. */
	struct comparison comparison;
	struct memmap_proc_reader smaps;
	ARRAY(struct policy) policies; /* by their numbers, from 1 on */
	ARRAY(char *) special_names;   /* of [vdso] and its like: VMAs point to them */
};

/** Run the program of `options`, and report. Returns the exit status of memmap. */
int trace_command(const struct trace_options *options);

/* ---- events.c ---- */

/** Deal with every event until nobody is left, or until the trace cannot go on. */
void trace_events(struct trace *trace);

/** What became of a call is known: count it, and keep what is kept of it. */
void call_tell(struct trace *trace, struct thread *thread);

/* ---- turns.c: whose call may be made when ---- */

/** The thread stands at its call's entry: begin it, or have it wait for its turn. */
void turns_ask(struct trace *trace, struct thread *thread);

/** Is a call of the thread in flight? */
bool turns_is_in_flight(const struct space *space, const struct thread *thread);

/** Is a call of anybody, still? One whose exit is not seen is over when the maps show it. */
bool turns_in_flight(struct trace *trace, struct space *space);

/**
 * The thread has stopped, so its call whose exit is not seen has been made: check it. False: it is
 * in no such call.
 */
bool turns_own_made(struct trace *trace, struct thread *thread);

/** The same, and then those that waited may go. */
void turns_halted(struct trace *trace, struct thread *thread);

/** The thread's call is over and has been checked. */
void turns_end(struct trace *trace, struct thread *thread);

/** Those that wait may go, as far as what is in flight lets them. */
void turns_go_on(struct trace *trace, struct space *space);

/**
 * The thread goes while its call is in flight, or waits for its turn. `made`: it was not killed, so
 * a call whose exit is not seen has been made.
 */
void turns_leave(struct trace *trace, struct thread *thread, bool made);

/* ---- findings.c: what is found ---- */

/** Note a difference. Lack of memory loses its words, not its being counted. */
void trace_difference(struct trace *trace, const struct thread *thread, const char *expected,
		      const char *found);

/** The trace cannot go on: say why, and kill the program. */
void trace_fail(struct trace *trace, const char *format, ...) __attribute__((format(printf, 2, 3)));

/** A thread could not trace, or be traced, since it is traced: tell, the first time, at once. */
void trace_refused_tracing(struct trace *trace, const struct thread *thread);

/** A thread could not be told of system calls by seccomp, since memmap is: tell, the first time. */
void trace_refused_supervising(struct trace *trace, const struct thread *thread);

/** The exit status that stands for a wait status: N, or 128 + the signal. */
int exit_code_of(int wait_status);

/* ---- seed.c: an address space that the kernel has just made ---- */

/** Give `process` the model of the address space that an exec has made. 0 or a negative errno. */
int seed_space(struct trace *trace, struct process *process);

/**
 * A process that has been running: what a new space cannot have, and what nobody can be asked
 * about.
 */
void seed_running(struct trace *trace, struct process *process);

/* ---- take_over.c: what the kernel shows becomes what the model says ---- */

/**
 * Replace all of the model's VMAs in `range` by what `lines` show there. Flags come from smaps, the
 * rest from what the model had before.
 *
 * `range` cuts none of the lines. Returns 0 or a negative errno.
 */
int take_over(struct trace *trace, struct space *space, struct memmap_addr_range range,
	      const struct memmap_maps_line *lines, size_t nr_lines);

/* ---- mirror.c: calls, made by the model ---- */

/**
 * A call is about to be made: let the model make it, if it can say now what will happen.
 * `thread->unwatched` says whether the call's exit need not be seen.
 */
void mirror_entry(struct trace *trace, struct thread *thread);

/** A call has been made, with the result in `thread->call`: what the model could not do before. */
void mirror_exit(struct trace *trace, struct thread *thread);

/** The addresses that a call was about, in one range or two (mremap); empty where unused. */
void mirror_touched(const struct thread *thread, struct memmap_addr_range touched[2]);

/**
 * Advice and its like are about to change VMAs in the range: have the model know which of them, and
 * of their neighbours, have anonymous pages, where that decides what merges.
 */
void settle_anonymous(const struct trace *trace, struct space *space, uint64_t addr,
		      uint64_t length);

/* ---- mirror_advice.c ---- */

enum mirror_mode process_madvise_entry(struct trace *trace, struct thread *thread);

/* ---- mirror_aio.c ---- */

enum mirror_mode io_setup_entry(struct thread *thread);
void io_setup_exit(struct trace *trace, struct thread *thread);
void io_destroy_exit(struct thread *thread);

/** The size of the ring that is mapped at `addr`; 0: there is none that is known. */
uint64_t ring_size_at(const struct space *space, uint64_t addr);

/* ---- mirror_policy.c ---- */

enum mirror_mode mbind_entry(struct trace *trace, struct thread *thread);
void mbind_exit(struct thread *thread);

/* ---- mirror_userfault.c ---- */

/**
 * A call of the space is about to be made: which of its userfaultfds have been closed meanwhile?
 */
void userfaults_follow(const struct trace *trace, struct space *space);

/** What the ioctl at hand is about, empty when that cannot be read. */
struct memmap_addr_range userfault_range(const struct thread *thread);

/** UFFDIO_REGISTER or UFFDIO_UNREGISTER was called. */
void ioctl_exit(const struct trace *trace, struct thread *thread);

/* ---- unwatched.c: calls whose exit need not be seen ---- */

/**
 * Will maps show it when the call that is about to be made succeeds? To be asked before the model
 * makes it.
 */
bool call_shows(const struct thread *thread);

/** Is every call's result or duration asked for? */
bool all_are_watched(const struct trace_options *options);

/**
 * The model has made the call, whose success `shows`. May the program go on without a stop at the
 * call's exit?
 */
bool may_go_unwatched(const struct trace *trace, const struct thread *thread, bool shows);

/* ---- check.c: is the model what the kernel is? ---- */

/** Read the kernel's maps, while no call can change them. False: the process is gone. */
bool check_capture(struct space *space);

/**
 * Compare the result of a call, and the kernel's maps with the model: what the call was about, and
 * now and then the whole.
 */
void check_call(struct trace *trace, struct thread *thread);

/** Do the maps show that a call whose exit is not seen has been made, as predicted? */
bool check_seen(struct trace *trace, const struct thread *thread);

/** What check_call() does, for a call whose exit was not seen. It has been made. */
void check_unwatched(struct trace *trace, const struct thread *thread);

/**
 * Compare what the kernel's maps and the model show at and beside the addresses of the call. False:
 * they differ there, or it is time to compare the whole, which decides.
 */
bool check_near(struct trace *trace, struct space *space, const struct thread *thread);

/** Is it check_near() that decides next? If not, it says false whatever it is about. */
bool check_near_decides(const struct trace *trace, const struct space *space);

/** Compare the captured maps alone, after a fork or an exec. `silently`: take over, note nothing.
 */
void check_maps(struct trace *trace, struct space *space, const struct thread *thread,
		bool silently);

/** Stacks grow without a call: let the model's grow as far as the kernel's, now. */
void check_growth(struct trace *trace, struct space *space);

/** The same for one VMA of the model that grows down. */
void check_growth_of(struct space *space, const struct memmap_vma *stack);

/**
 * Is the union of the reverse maps of all files what the VMAs of all spaces say? Notes a difference
 * when it is not.
 */
void check_reverse_maps(struct trace *trace, const struct thread *thread);

/**
 * What is wrong with the reverse maps of `files`, which are all that the spaces map; NULL: nothing.
 */
const char *reverse_maps_wrong(struct files *files, const struct space *spaces);

/* ---- summary.c, report.c ---- */

/** Print what was found, for people, on stderr. */
void summary_print(const struct trace *trace);

/** Write the report as JSON. Returns 0 or a negative errno. */
int report_write(const struct trace *trace, FILE *out);

#endif /* MEMMAP_TOOL_TRACE_H */
