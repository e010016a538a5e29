/* SPDX-License-Identifier: Apache-2.0 */
/*
 * `memmap trace`, from the command line to the exit status: open what is to be written, start the
 * program or attach to it, have its events dealt with (events.c), and report.
 */
#include "trace/trace.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "common/output_file.h"
#include "log/log_writer.h"
#include "plot/plot_html.h"
#include "trace/warm_up.h"

/* Say why the program could not be started. Returns the exit status. */
static int explain_start(const char *command, enum memmap_tracer_stage stage, int err)
{
	switch (stage) {
	case MEMMAP_TRACER_EXEC:
		if (err == -ENOENT && strchr(command, '/') && access(command, F_OK) == 0) {
			error_line("'%s' is there, but its interpreter is not; see its first line, "
				   "or with 'readelf -l' which loader it wants",
				   command);
			return EXIT_NOT_FOUND;
		}
		if (err == -ENOENT || err == -ENOTDIR) {
			error_line("'%s' was not found; check the name and the PATH", command);
			return EXIT_NOT_FOUND;
		}
		error_line("'%s' cannot be executed: %s", command, strerror(-err));
		return EXIT_NOT_EXECUTABLE;
	case MEMMAP_TRACER_SEIZE:
		error_line("no permission to trace: %s; allow ptrace (in a container: the "
			   "capability SYS_PTRACE; see also /proc/sys/kernel/yama/ptrace_scope)",
			   strerror(-err));
		break;
	case MEMMAP_TRACER_SECCOMP:
		error_line("this kernel refuses seccomp filters: %s; memmap trace needs "
			   "CONFIG_SECCOMP_FILTER and permission to use it",
			   strerror(-err));
		break;
	case MEMMAP_TRACER_DIED:
		error_line("'%s' was killed before it ran", command);
		break;
	case MEMMAP_TRACER_ATTACH:
	case MEMMAP_TRACER_FOREIGN:
		break; /* see explain_attach() */
	case MEMMAP_TRACER_FORK:
		error_line("the program cannot be started: %s; free some memory or processes",
			   strerror(-err));
		break;
	}
	return EXIT_MEMMAP_FAILED;
}

/*
 * A kernel thread, and a process that has ended and is remembered for its parent, have no program.
 */
static bool has_no_memory(pid_t pid)
{
	char path[64], program[1];
	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	return readlink(path, program, sizeof(program)) < 0 && errno == ENOENT;
}

/* Say why the process could not be attached to. Returns the exit status. */
static int explain_attach(pid_t pid, enum memmap_tracer_stage stage, int err)
{
	uint64_t capabilities;
	pid_t group, tracer;
	if (err == -ESRCH || memmap_process_status(pid, &capabilities, &group, &tracer))
		error_line("there is no process %d; look for it with ps", (int)pid);
	else if (stage == MEMMAP_TRACER_FOREIGN)
		error_line("process %d makes 32-bit system calls, which cannot be followed",
			   (int)pid);
	else if (tracer != 0)
		error_line("process %d is traced already, by process %d; end that first", (int)pid,
			   (int)tracer);
	else if (pid == getpid())
		error_line("memmap cannot trace itself; give another process");
	else if (has_no_memory(pid))
		error_line("process %d has no memory: it is a thread of the kernel, or has ended",
			   (int)pid);
	else if (err == -EPERM || err == -EACCES)
		error_line("no permission to attach to process %d; do it as its owner or as root, "
			   "and see /proc/sys/kernel/yama/ptrace_scope",
			   (int)pid);
	else
		error_line("process %d cannot be attached to: %s", (int)pid, strerror(-err));
	return EXIT_MEMMAP_FAILED;
}

/* The words of the command line of a process, ending with NULL; NULL: out of memory. */
static char **command_of(pid_t pid)
{
	char text[4096];
	memmap_process_command(pid, text, sizeof(text));
	char **command = calloc(2, sizeof(*command));
	if (command)
		command[0] = strdup(text);
	return command;
}

static int attach(struct trace *trace, enum memmap_tracer_stage *stage)
{
	const pid_t pid = trace->options->pid;
	uint64_t capabilities;
	pid_t group, tracer;
	*stage = MEMMAP_TRACER_ATTACH;
	int err = memmap_process_status(pid, &capabilities, &group, &tracer);
	if (err)
		return -ESRCH;
	/* A number of a thread stands for its process. */
	return memmap_tracer_attach(group, &trace->tracer, stage);
}

static bool open_output(struct output_file *file, const char *path, const char *what)
{
	if (!path)
		return true;
	int err = output_file_open(file, path);
	if (err)
		error_line("the %s '%s' cannot be written: %s; name a file that can", what, path,
			   strerror(-err));
	return err == 0;
}

static bool close_output(struct output_file *file, const char *what, int err)
{
	if (!file->stream)
		return true;
	if (err)
		output_file_abandon(file);
	else
		err = output_file_commit(file);
	if (err)
		error_line("the %s '%s' could not be written: %s", what, file->path,
			   strerror(-err));
	return err == 0;
}

static bool log_written(const char *path, int err)
{
	if (err)
		error_line("the log '%s' could not be written to its end: %s", path,
			   strerror(-err));
	return err == 0;
}

/* Keep a duplicate for each mapped file: that may be many. The program started before. */
static void allow_many_files(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
		limit.rlim_cur = limit.rlim_max;
		(void)setrlimit(RLIMIT_NOFILE, &limit);
	}
}

static void release(struct trace *trace)
{
	while (trace->processes) {
		struct process *process = trace->processes;
		trace->processes = process->next;
		space_put(process->space);
		struct thread *next;
		for (struct thread *thread = process->threads; thread; thread = next) {
			next = thread->next;
			free(thread);
		}
		free(process->command);
		free(process);
	}
	for (size_t i = 0; i < trace->differences.length; i++) {
		free(trace->differences.items[i].text);
		free(trace->differences.items[i].expected);
		free(trace->differences.items[i].found);
	}
	ARRAY_RELEASE(NULL, &trace->differences);
	for (size_t i = 0; i < trace->special_names.length; i++)
		free(trace->special_names.items[i]);
	ARRAY_RELEASE(NULL, &trace->special_names);
	ARRAY_RELEASE(NULL, &trace->policies);
	comparison_release(&trace->comparison);
	memmap_proc_reader_release(&trace->smaps);
	files_release(trace->files);
	log_release(trace->log);
	sites_release(&trace->sites);
	leftovers_release(&trace->leftovers);
	history_release(trace->history);
	memmap_tracer_release(trace->tracer);
}

/* Everything is over: tell of it. Returns the exit status. */
static int conclude(struct trace *trace, struct output_file *report, struct output_file *plot)
{
	const struct trace_options *options = trace->options;
	bool written = true;
	leftovers_sort(&trace->leftovers);
	if (report->stream)
		written &= close_output(report, "report", report_write(trace, report->stream));
	if (plot->stream) {
		const struct plot_options how = {0};
		written &=
			close_output(plot, "plot",
				     plot_write_as(plot->path, trace->history, plot->stream, &how));
	}
	if (trace->log)
		written &= log_written(options->log_path, log_end(trace->log, trace->ended));
	if (trace->failure[0] != '\0')
		error_line("%s", trace->failure);
	if (!options->quiet)
		summary_print(trace);
	if (trace->failure[0] != '\0' || !written || !trace->root)
		return EXIT_MEMMAP_FAILED;
	if (options->strict && trace->counts.differences > 0)
		return EXIT_DIFFERENCES;
	return options->pid ? 0 : exit_code_of(trace->root->status);
}

/* What is needed before the first event. False, having said so: out of memory. */
static bool prepare(struct trace *trace)
{
	const struct trace_options *options = trace->options;
	const bool wants_history = options->plot_path || options->report_path || !options->quiet;
	warm_up();
	trace->files = files_create();
	trace->history = wants_history ? history_create(NULL, 0) : NULL;
	limits_of_machine(&trace->machine);
	trace->min_addr = memmap_kernel_min_addr();
	trace->has_anon_names = memmap_kernel_has_anon_names();
	trace->has_protection_keys = memmap_kernel_has_protection_keys();
	trace->min_fixed_addr = memmap_sysctl("/proc/sys/vm/mmap_min_addr", 65536);
	trace->legacy_layout = memmap_sysctl("/proc/sys/vm/legacy_va_layout", 0) != 0;
	const bool made = trace->files && (trace->history || !wants_history);
	if (!made)
		error_line("out of memory");
	return made;
}

/* Start the program, or attach. Returns 0, or the exit status, having said what failed. */
static int begin(struct trace *trace)
{
	const struct trace_options *options = trace->options;
	enum memmap_tracer_stage stage;
	int err;
	trace->began = memmap_monotonic_ns();
	if (options->pid) {
		if (!prepare(trace))
			return EXIT_MEMMAP_FAILED;
		err = attach(trace, &stage);
		return err ? explain_attach(options->pid, stage, err) : 0;
	}
	err = memmap_tracer_start(options->command, all_are_watched(options), &trace->tracer,
				  &stage);
	/* The child is on its way meanwhile. */
	if (!err && !prepare(trace))
		return EXIT_MEMMAP_FAILED;
	if (!err)
		err = memmap_tracer_await_exec(trace->tracer, &stage);
	return err ? explain_start(options->command[0], stage, err) : 0;
}

static int trace_it(const struct trace_options *options)
{
	struct trace trace = {.options = options, .smaps = {.fd = -1}};
	struct output_file report = {0}, plot = {0};
	int status = EXIT_MEMMAP_FAILED;
	trace.last_process = &trace.processes;
	if (access("/proc/self/maps", R_OK)) {
		error_line("/proc is not mounted; mount it: mount -t proc proc /proc");
		return EXIT_MEMMAP_FAILED;
	}
	if (!open_output(&report, options->report_path, "report") ||
	    !open_output(&plot, options->plot_path, "plot")) {
		output_file_abandon(&report);
		return EXIT_MEMMAP_FAILED;
	}
	const int log_err = options->log_path ? log_open(options->log_path, &trace.log) : 0;
	if (log_err) {
		error_line("the log '%s' cannot be written: %s; name a file that can",
			   options->log_path, strerror(-log_err));
		output_file_abandon(&report);
		output_file_abandon(&plot);
		return EXIT_MEMMAP_FAILED;
	}
	const int failed = begin(&trace);
	if (failed) {
		status = failed;
	} else {
		signal(SIGPIPE, SIG_IGN);
		if (trace.log)
			log_begin(trace.log, trace.began, options->command);
		if (!options->pid)
			memmap_tracer_forward_signals(trace.tracer);
		allow_many_files();
		progress_begin(&trace.progress, options->quiet || !options->pid);
		trace_events(&trace);
		progress_end(&trace.progress);
		trace.ended = memmap_monotonic_ns();
		status = conclude(&trace, &report, &plot);
	}
	output_file_abandon(&report);
	output_file_abandon(&plot);
	release(&trace);
	return status;
}

int trace_command(const struct trace_options *options)
{
	struct trace_options copy = *options;
	if (!options->pid)
		return trace_it(options);
	copy.command = command_of(options->pid);
	if (!copy.command || !copy.command[0]) {
		free(copy.command);
		error_line("out of memory");
		return EXIT_MEMMAP_FAILED;
	}
	const int status = trace_it(&copy);
	free(copy.command[0]);
	free(copy.command);
	return status;
}
