/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's side of the differential fuzzer: the executor, and what /proc tells of it.
 *
 * Address randomisation is switched off for the executor, so that a script means the same every
 * time. Descriptors are put at fixed numbers before it is executed; the fuzzer's own ends are
 * close-on-exec, so that an executor whose fuzzer has died reads the end of its commands and
 * leaves.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>
#include <sys/wait.h>
#include <unistd.h>

#include "mm/abi.h"

#include "../zero_page.h"
#include "differential.h"

#ifndef SYS_mseal
#	define SYS_mseal 462
#endif

int broken(const char *what)
{
	fprintf(stderr, "differential: %s: %s\n", what, strerror(errno));
	return -1;
}

/* ---- Reading /proc ---- */

/* Read all of an open file of /proc from its beginning into a buffer that grows. */
static int read_whole(int fd, char **buf, size_t *len, size_t *cap)
{
	*len = 0;
	for (;;) {
		ssize_t n;

		if (*cap - *len < 4096) {
			size_t bigger = *cap ? *cap * 2 : 65536;
			char *moved = realloc(*buf, bigger);

			if (!moved)
				return broken("out of memory");
			*buf = moved;
			*cap = bigger;
		}
		n = pread(fd, *buf + *len, *cap - *len - 1, (off_t)*len);
		if (n < 0)
			return broken("cannot read /proc");
		*len += (size_t)n;
		(*buf)[*len] = '\0';
		if (n == 0)
			return 0;
	}
}

static struct kernel_vma *kernel_vmas_add(struct kernel_vmas *vmas)
{
	if (vmas->len == vmas->cap) {
		size_t bigger = vmas->cap ? vmas->cap * 2 : 64;

		vmas->vmas = realloc(vmas->vmas, bigger * sizeof(*vmas->vmas));
		if (!vmas->vmas)
			abort();
		vmas->cap = bigger;
	}
	memset(&vmas->vmas[vmas->len], 0, sizeof(*vmas->vmas));
	return &vmas->vmas[vmas->len++];
}

void kernel_vmas_release(struct kernel_vmas *vmas)
{
	free(vmas->vmas);
	memset(vmas, 0, sizeof(*vmas));
}

/* Parse one line of maps; false: it is none (smaps has other lines too). */
static bool parse_maps_line(const char *line, size_t len, struct kernel_vma *vma)
{
	unsigned int major, minor;
	int name_at = 0;
	char text[512];

	if (len >= sizeof(text))
		len = sizeof(text) - 1;
	memcpy(text, line, len);
	text[len] = '\0';
	if (sscanf(text, "%lx-%lx %4s %lx %x:%x %lu %n", &vma->start, &vma->end, vma->perms,
		   &vma->offset, &major, &minor, &vma->ino, &name_at) < 7)
		return false;
	vma->dev = ((uint64_t)minor & 0xff) | ((uint64_t)major << 8) |
		   (((uint64_t)minor & ~0xffULL) << 12);
	if (name_at)
		snprintf(vma->name, sizeof(vma->name), "%.255s", text + name_at);
	return true;
}

void kernel_vmas_parse(struct kernel_vmas *vmas, const char *maps)
{
	vmas->len = 0;
	while (*maps) {
		const char *end = strchrnul(maps, '\n');
		struct kernel_vma vma = {0};

		if (parse_maps_line(maps, (size_t)(end - maps), &vma))
			*kernel_vmas_add(vmas) = vma;
		maps = *end ? end + 1 : end;
	}
}

static uint64_t parse_flag(const char *name)
{
	static const struct {
		char name[3];
		uint64_t flag;
	} table[] = {
		{"rd", MEMMAP_VM_READ},        {"wr", MEMMAP_VM_WRITE},
		{"ex", MEMMAP_VM_EXEC},        {"sh", MEMMAP_VM_SHARED},
		{"mr", MEMMAP_VM_MAYREAD},     {"mw", MEMMAP_VM_MAYWRITE},
		{"me", MEMMAP_VM_MAYEXEC},     {"ms", MEMMAP_VM_MAYSHARE},
		{"gd", MEMMAP_VM_GROWSDOWN},   {"pf", MEMMAP_VM_PFNMAP},
		{"lo", MEMMAP_VM_LOCKED},      {"io", MEMMAP_VM_IO},
		{"sr", MEMMAP_VM_SEQ_READ},    {"rr", MEMMAP_VM_RAND_READ},
		{"dc", MEMMAP_VM_DONTCOPY},    {"de", MEMMAP_VM_DONTEXPAND},
		{"lf", MEMMAP_VM_LOCKONFAULT}, {"ac", MEMMAP_VM_ACCOUNT},
		{"nr", MEMMAP_VM_NORESERVE},   {"ht", MEMMAP_VM_HUGETLB},
		{"sf", MEMMAP_VM_SYNC},        {"wf", MEMMAP_VM_WIPEONFORK},
		{"dd", MEMMAP_VM_DONTDUMP},    {"mm", MEMMAP_VM_MIXEDMAP},
		{"hg", MEMMAP_VM_HUGEPAGE},    {"nh", MEMMAP_VM_NOHUGEPAGE},
		{"mg", MEMMAP_VM_MERGEABLE},   {"dp", MEMMAP_VM_DROPPABLE},
		{"sl", MEMMAP_VM_SEALED},      {"gu", MEMMAP_VM_MAYBE_GUARD},
	};

	for (size_t i = 0; i < sizeof(table) / sizeof(*table); i++)
		if (!strncmp(name, table[i].name, 2))
			return table[i].flag;
	return 0;
}

int kernel_read_maps(struct kernel *kernel, unsigned int process)
{
	struct kernel_process *p = &kernel->process[process];

	return read_whole(p->maps_fd, &p->maps, &p->maps_len, &p->maps_cap);
}

/* A line of smaps that holds a number of kB. */
static void parse_count(const char *line, struct kernel_vma *vma)
{
	const struct {
		const char *name;
		uint64_t *to; /* is added to */
	} counts[] = {
		{"Rss:", &vma->rss},
		{"Pss:", &vma->pss},
		{"Shared_Clean:", &vma->shared},
		{"Shared_Dirty:", &vma->shared},
		{"Private_Clean:", &vma->private_},
		{"Private_Dirty:", &vma->private_},
		{"Anonymous:", &vma->anonymous},
		{"Locked:", &vma->locked},
	};

	for (size_t i = 0; i < sizeof(counts) / sizeof(*counts); i++) {
		const size_t len = strlen(counts[i].name);

		if (!strncmp(line, counts[i].name, len))
			*counts[i].to += strtoull(line + len, NULL, 10);
	}
}

void kernel_vmas_parse_smaps(struct kernel_vmas *vmas, const char *smaps)
{
	struct kernel_vma *vma = NULL;

	vmas->len = 0;
	for (const char *line = smaps; *line;) {
		const char *end = strchrnul(line, '\n');
		struct kernel_vma parsed = {0};

		if ((*line >= '0' && *line <= '9') || (*line >= 'a' && *line <= 'f')) {
			if (parse_maps_line(line, (size_t)(end - line), &parsed)) {
				vma = kernel_vmas_add(vmas);
				*vma = parsed;
			}
		} else if (vma && !strncmp(line, "VmFlags: ", 9)) {
			for (const char *flag = line + 9; flag + 2 <= end; flag += 3)
				vma->flags |= parse_flag(flag);
		} else if (vma) {
			parse_count(line, vma);
		}
		line = *end ? end + 1 : end;
	}
}

int kernel_read_smaps(struct kernel *kernel, unsigned int process, struct kernel_vmas *vmas)
{
	struct kernel_process *p = &kernel->process[process];

	if (read_whole(p->smaps_fd, &p->smaps, &p->smaps_len, &p->smaps_cap))
		return -1;
	kernel_vmas_parse_smaps(vmas, p->smaps);
	return 0;
}

bool kernel_has_swap(void)
{
	struct sysinfo info;

	return sysinfo(&info) || info.totalswap > 0;
}

bool kernel_shows_guards(void)
{
	static int shown = -1;
	char *text = NULL;
	size_t len, cap = 0;
	void *page;
	int fd;

	if (shown >= 0)
		return shown;
	shown = 0;
	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	fd = open("/proc/self/smaps", O_RDONLY | O_CLOEXEC);
	if (page != MAP_FAILED && !madvise(page, PAGE, MADV_GUARD_INSTALL) && fd >= 0 &&
	    !read_whole(fd, &text, &len, &cap))
		shown = strstr(text, " gu") != NULL;
	free(text);
	if (fd >= 0)
		close(fd);
	if (page != MAP_FAILED)
		munmap(page, PAGE);
	return shown;
}

static uint64_t status_pages(const char *status, const char *field)
{
	const char *at = strstr(status, field);

	return at ? strtoull(at + strlen(field), NULL, 10) / 4 : 0;
}

int kernel_read_stats(struct kernel *kernel, unsigned int process, struct kernel_stats *stats)
{
	char buf[4096];
	ssize_t n = pread(kernel->process[process].status_fd, buf, sizeof(buf) - 1, 0);

	if (n <= 0)
		return broken("cannot read status");
	buf[n] = '\0';
	stats->total_pages = status_pages(buf, "\nVmSize:");
	stats->locked_pages = status_pages(buf, "\nVmLck:");
	stats->data_pages = status_pages(buf, "\nVmData:");
	stats->stack_pages = status_pages(buf, "\nVmStk:");
	stats->anon_pages = status_pages(buf, "\nRssAnon:");
	/* What is the program's own and what is not, together all that is executable. */
	stats->exec_pages = status_pages(buf, "\nVmExe:") + status_pages(buf, "\nVmLib:");
	return 0;
}

static int read_number(const char *path, uint64_t *out)
{
	char buf[64] = "";
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	if (fd < 0 || read(fd, buf, sizeof(buf) - 1) <= 0)
		return broken(path);
	close(fd);
	*out = strtoull(buf, NULL, 10);
	return 0;
}

/* ---- Processes ---- */

static int open_proc(pid_t pid, const char *name)
{
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? broken(path) : fd;
}

static int process_open(struct kernel *kernel, unsigned int process, pid_t pid)
{
	struct kernel_process *p = &kernel->process[process];

	p->pid = pid;
	kernel->alive[process] = true;
	p->maps_fd = open_proc(pid, "maps");
	p->smaps_fd = open_proc(pid, "smaps");
	p->status_fd = open_proc(pid, "status");
	return p->maps_fd < 0 || p->smaps_fd < 0 || p->status_fd < 0 ? -1 : 0;
}

static void process_close(struct kernel *kernel, unsigned int process)
{
	struct kernel_process *p = &kernel->process[process];

	close(p->maps_fd);
	close(p->smaps_fd);
	close(p->status_fd);
	free(p->maps);
	free(p->smaps);
	memset(p, 0, sizeof(*p));
	kernel->alive[process] = false;
}

/* In the child, between fork and exec. Everything is set up by number; then nothing returns. */
static void become_executor(const struct open_files *files, int (*ends)[2],
			    struct surroundings with)
{
	static char *const nothing[] = {NULL};
	static char name[] = "executor";
	static char *const argv[] = {name, NULL};

	for (int i = 0; i < NR_FILES; i++)
		if (files->file[i].fd >= 0 && dup2(files->file[i].fd, EXECUTOR_FILE_FD(i)) < 0)
			_exit(120);
	if (dup2(files->zero_fd, EXECUTOR_ZERO_FD) < 0 ||
	    dup2(files->scratch_fd, EXECUTOR_SCRATCH_FD) < 0 ||
	    dup2(files->pattern_fd, EXECUTOR_PATTERN_FD) < 0)
		_exit(120);
	for (int i = 0; i < EXECUTOR_MAX_PROCESSES; i++)
		if (dup2(ends[i][0], EXECUTOR_COMMAND_FD(i)) < 0 ||
		    dup2(ends[i][1], EXECUTOR_REPLY_FD(i)) < 0)
			_exit(120);
	signal(SIGCHLD, SIG_IGN); /* children of the executor leave no zombies */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (with.no_ipc_lock)
		prctl(PR_CAPBSET_DROP, CAP_IPC_LOCK, 0, 0, 0);
	if (with.pages && !with.huge_pages) /* which pages a huge one brings with it is chance */
		prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	if (personality(ADDR_NO_RANDOMIZE | (with.bottom_up ? ADDR_COMPAT_LAYOUT : 0)) < 0)
		_exit(121);
	execve(DIFFERENTIAL_EXECUTOR, argv, nothing);
	_exit(122);
}

static int read_stat(pid_t pid, struct memmap_mm_layout *layout)
{
	int fd = open_proc(pid, "stat");
	char buf[2048];
	ssize_t n;
	char *at, *save = NULL;
	int field = 3;

	if (fd < 0)
		return -1;
	n = read(fd, buf, sizeof(buf) - 1);
	close(fd);
	if (n <= 0)
		return broken("cannot read stat");
	buf[n] = '\0';
	at = strrchr(buf, ')');
	if (!at)
		return broken("stat is not as expected");
	for (char *word = strtok_r(at + 1, " ", &save); word; word = strtok_r(NULL, " ", &save)) {
		uint64_t value = strtoull(word, NULL, 10);

		switch (field++) {
		case 26:
			layout->start_code = value;
			break;
		case 27:
			layout->end_code = value;
			break;
		case 28:
			layout->start_stack = value;
			break;
		case 45:
			layout->start_data = value;
			break;
		case 46:
			layout->end_data = value;
			break;
		case 47:
			layout->start_brk = value;
			break;
		default:
			break;
		}
	}
	return 0;
}

static bool has_capability(pid_t pid, unsigned int capability)
{
	int fd = open_proc(pid, "status");
	char buf[4096];
	ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf) - 1);
	const char *at;

	if (fd >= 0)
		close(fd);
	if (n <= 0)
		return false;
	buf[n] = '\0';
	at = strstr(buf, "CapEff:");
	return at && ((strtoull(at + 7, NULL, 16) >> capability) & 1);
}

/* The mode of transparent huge pages: "always [madvise] never", say. */
static int read_huge_pages(void)
{
	char text[64] = "";
	int fd = open("/sys/kernel/mm/transparent_hugepage/enabled", O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		if (read(fd, text, sizeof(text) - 1) < 0)
			text[0] = '\0';
		close(fd);
	}
	return strstr(text, "[always]") ? 2 : strstr(text, "[madvise]") ? 1 : 0;
}

static int read_limits(pid_t pid, struct memmap_mm_limits *limits)
{
	struct rlimit as, data, stack, memlock;
	struct sysinfo info;
	uint64_t max_map_count, overcommit;

	if (prlimit(pid, RLIMIT_AS, NULL, &as) || prlimit(pid, RLIMIT_DATA, NULL, &data) ||
	    prlimit(pid, RLIMIT_STACK, NULL, &stack) ||
	    prlimit(pid, RLIMIT_MEMLOCK, NULL, &memlock) || sysinfo(&info))
		return broken("cannot read limits");
	if (read_number("/proc/sys/vm/max_map_count", &max_map_count) ||
	    read_number("/proc/sys/vm/overcommit_memory", &overcommit))
		return -1;
	limits->address_space = as.rlim_cur;
	limits->data = data.rlim_cur;
	limits->data_max = data.rlim_max;
	limits->stack = stack.rlim_cur;
	limits->memlock = memlock.rlim_cur;
	limits->max_map_count = (uint32_t)max_map_count;
	limits->overcommit = (int)overcommit;
	limits->overcommit_pages = (info.totalram + info.totalswap) * info.mem_unit / PAGE;
	limits->huge_pages = read_huge_pages();
	limits->no_zero_page = !has_zero_page();
	limits->cap_ipc_lock = has_capability(pid, CAP_IPC_LOCK);
	limits->cap_sys_rawio = has_capability(pid, CAP_SYS_RAWIO);
	return 0;
}

/*
 * The lowest address that the kernel gives to a hint. vm.mmap_min_addr does not say: the kernel may
 * have been built with a higher one for what has no capability.
 */
static int probe_min_addr(struct kernel *kernel, uint64_t *out)
{
	const struct step map = {
		.op = OP_MMAP,
		.args = {PAGE, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, FILE_NONE},
	};
	struct step unmap = {.op = OP_MUNMAP, .args = {0, PAGE}};
	struct outcome outcome;

	if (kernel_run(kernel, &map, &outcome))
		return -1;
	unmap.args[0] = *out = (uint64_t)outcome.result;
	return kernel_run(kernel, &unmap, &outcome);
}

/* Find the layout of a fresh executor from what /proc says of it. */
static int read_layout(struct kernel *kernel, bool bottom_up)
{
	struct memmap_mm_layout *layout = &kernel->layout;
	struct kernel_vmas vmas = {0};

	memmap_mm_layout_default(layout);
	if (read_stat(kernel->process[0].pid, layout) ||
	    read_number("/proc/sys/vm/mmap_min_addr", &layout->min_fixed_addr) ||
	    probe_min_addr(kernel, &layout->min_addr) || kernel_read_maps(kernel, 0))
		return -1;
	layout->brk = layout->start_brk;
	layout->mmap_base = 0;
	kernel->bases.brk = layout->start_brk;
	kernel_vmas_parse(&vmas, kernel->process[0].maps);
	layout->vsyscall = false;
	for (size_t i = 0; i < vmas.len; i++) {
		const struct kernel_vma *vma = &vmas.vmas[i];

		if (!strcmp(vma->name, "[stack]")) {
			kernel->bases.stack = vma->start;
		} else if (!strcmp(vma->name, "[vsyscall]")) {
			layout->vsyscall = true;
		} else if (vma->start > layout->start_brk) {
			if (!layout->mmap_base)
				kernel->bases.top = vma->start;
			layout->mmap_base = vma->end;
		}
	}
	kernel_vmas_release(&vmas);
	if (bottom_up) {
		/* The special mappings were the first that were placed, upwards. */
		const uint64_t end = layout->mmap_base;

		layout->bottom_up = true;
		layout->mmap_base = layout->mmap_legacy_base = kernel->bases.top;
		kernel->bases.top = end;
	}
	if (!layout->mmap_base || !kernel->bases.stack) {
		fprintf(stderr, "differential: the executor's maps are not as expected:\n%s",
			kernel->process[0].maps);
		return -1;
	}
	return 0;
}

int kernel_start(struct kernel *kernel, const struct open_files *files, struct surroundings with)
{
	int ends[EXECUTOR_MAX_PROCESSES][2];
	const struct step probe = {.op = OP_BRK};
	struct outcome brk;
	pid_t pid;

	memset(kernel, 0, sizeof(*kernel));
	kernel->files = files;
	for (int i = 0; i < EXECUTOR_MAX_PROCESSES; i++) {
		int command[2], reply[2];

		if (pipe2(command, O_CLOEXEC) || pipe2(reply, O_CLOEXEC))
			return broken("cannot create a pipe");
		ends[i][0] = command[0];
		ends[i][1] = reply[1];
		kernel->command_fd[i] = command[1];
		kernel->reply_fd[i] = reply[0];
	}
	pid = fork();
	if (pid < 0)
		return broken("cannot fork");
	if (pid == 0)
		become_executor(files, ends, with);
	for (int i = 0; i < EXECUTOR_MAX_PROCESSES; i++) {
		close(ends[i][0]);
		close(ends[i][1]);
	}
	kernel->executor = kernel->process[0].pid = pid;
	kernel->alive[0] = true;
	kernel->process[0].maps_fd = kernel->process[0].smaps_fd = -1;
	kernel->process[0].status_fd = -1;
	/* It answers once it is executed: only then is its /proc what it will be. */
	if (kernel_run(kernel, &probe, &brk) || process_open(kernel, 0, pid) ||
	    read_layout(kernel, with.bottom_up))
		return -1;
	memmap_mm_limits_default(&kernel->limits);
	if (read_limits(pid, &kernel->limits))
		return -1;
	if (with.pages && !with.huge_pages)
		kernel->limits.huge_pages = 0;
	return 0;
}

void kernel_stop(struct kernel *kernel)
{
	pid_t first = kernel->executor;

	/* The executor itself is waited for; what it forked leaves no zombies. */
	for (unsigned int i = 0; i < EXECUTOR_MAX_PROCESSES; i++) {
		if (kernel->alive[i]) {
			kill(kernel->process[i].pid, SIGKILL);
			process_close(kernel, i);
		}
		close(kernel->command_fd[i]);
		close(kernel->reply_fd[i]);
	}
	if (first > 0)
		waitpid(first, NULL, 0);
	memset(kernel, 0, sizeof(*kernel));
}

static int send_command(struct kernel *kernel, unsigned int process,
			const struct executor_command *command)
{
	if (write(kernel->command_fd[process], command, sizeof(*command)) !=
	    (ssize_t)sizeof(*command))
		return broken("cannot command the executor");
	return 0;
}

static int read_reply(struct kernel *kernel, unsigned int process, struct outcome *outcome)
{
	struct pollfd ready = {.fd = kernel->reply_fd[process], .events = POLLIN};
	struct executor_reply reply;

	/* Others of the executor hold the pipe too, so that a death does not show as its end. */
	if (poll(&ready, 1, 60000) != 1 ||
	    read(ready.fd, &reply, sizeof(reply)) != (ssize_t)sizeof(reply)) {
		fprintf(stderr, "differential: process %u of the executor has died\n", process);
		return -1;
	}
	*outcome = (struct outcome){.result = reply.result, .detail = reply.detail};
	return 0;
}

/* Wait until a process, which is not a child of ours, has ended. */
static int wait_for_end(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd ready = {.fd = fd, .events = POLLIN};
	int result;

	if (fd < 0) /* it has gone already */
		return errno == ESRCH ? 0 : broken("cannot watch a process");
	result = poll(&ready, 1, 60000) == 1 ? 0 : broken("a process does not end");
	close(fd);
	return result;
}

static int kernel_limit(struct kernel *kernel, const struct step *step)
{
	pid_t pid = kernel->process[step->process].pid;
	const __rlimit_resource_t which = (__rlimit_resource_t)step->args[0];
	struct rlimit limit;

	if (prlimit(pid, which, NULL, &limit))
		return broken("prlimit");
	limit.rlim_cur = step->args[1] > limit.rlim_max ? limit.rlim_max : step->args[1];
	if (prlimit(pid, which, &limit, NULL))
		return broken("prlimit");
	return 0;
}

static int kernel_fork(struct kernel *kernel, const struct step *step, struct outcome *outcome)
{
	const unsigned int child = (unsigned int)step->args[0];
	const struct executor_command command = {EXECUTOR_FORK, {child}};
	struct outcome zero;
	pid_t pid;

	if (send_command(kernel, step->process, &command) ||
	    read_reply(kernel, step->process, outcome))
		return -1;
	if (outcome->result < 0)
		return 0;
	pid = (pid_t)outcome->result;
	outcome->result = 0;
	return read_reply(kernel, child, &zero) || process_open(kernel, child, pid) ||
			       kernel_read_maps(kernel, child)
		       ? -1
		       : 0;
}

/* Which command is `step`? Its arguments go as they are but where this says otherwise. */
static struct executor_command step_command(const struct kernel *kernel, const struct step *step)
{
	static const uint64_t numbers[NR_OPS] = {
		[OP_MMAP] = SYS_mmap,
		[OP_MUNMAP] = SYS_munmap,
		[OP_MPROTECT] = SYS_mprotect,
		[OP_MREMAP] = SYS_mremap,
		[OP_BRK] = SYS_brk,
		[OP_MADVISE] = SYS_madvise,
		[OP_MLOCK] = SYS_mlock,
		[OP_MLOCK2] = SYS_mlock2,
		[OP_MUNLOCK] = SYS_munlock,
		[OP_MLOCKALL] = SYS_mlockall,
		[OP_MUNLOCKALL] = SYS_munlockall,
		[OP_MSEAL] = SYS_mseal,
		[OP_MSYNC] = SYS_msync,
		[OP_READ] = SYS_write,
		[OP_WRITE] = SYS_read,
		[OP_EXIT] = SYS_exit_group,
		[OP_PERSONALITY] = SYS_personality,
		[OP_PEEK] = EXECUTOR_PEEK,
		[OP_POKE] = EXECUTOR_POKE,
		[OP_ADD] = EXECUTOR_ADD,
		[OP_RUN] = EXECUTOR_RUN,
		[OP_SUM] = EXECUTOR_SUM,
		[OP_MINCORE] = EXECUTOR_MINCORE,
		[OP_COPY_OUT] = SYS_pread64,
		[OP_COPY_IN] = SYS_pwrite64,
		[OP_VM_READ] = EXECUTOR_PROCESS_VM,
		[OP_VM_WRITE] = EXECUTOR_PROCESS_VM,
	};
	struct executor_command command = {.number = numbers[step->op]};
	const uint64_t *a = step->args;
	const uint64_t vm = step->op == OP_VM_READ ? SYS_process_vm_readv : SYS_process_vm_writev;

	switch (step->op) {
	case OP_READ:
	case OP_WRITE:
		command = (struct executor_command){
			command.number,
			{step->op == OP_READ ? EXECUTOR_SCRATCH_FD : EXECUTOR_ZERO_FD, a[0], 1}};
		break;
	case OP_COPY_OUT:
		command = (struct executor_command){command.number,
						    {EXECUTOR_PATTERN_FD, a[0], a[1], a[2] % PAGE}};
		break;
	case OP_COPY_IN:
		command = (struct executor_command){command.number,
						    {EXECUTOR_SCRATCH_FD, a[0], a[1], 0}};
		break;
	case OP_VM_READ:
	case OP_VM_WRITE:
		command = (struct executor_command){
			command.number,
			{vm, (uint64_t)kernel->process[a[0]].pid, a[3], a[1], a[2]}};
		break;
	default:
		memcpy(command.args, a, sizeof(command.args));
		break;
	}
	if (step->op == OP_MMAP)
		command.args[4] = EXECUTOR_FILE_FD(a[4]);
	return command;
}

static int kernel_stripe(struct kernel *kernel, const struct step *step, struct outcome *outcome)
{
	for (uint64_t i = 0; i < step->args[1] && outcome->result == 0; i++) {
		const struct step protect = stripe_step(step, i);

		if (kernel_run(kernel, &protect, outcome))
			return -1;
	}
	return 0;
}

/* Of what a system call returned, what is worth comparing. */
static void see_more(struct kernel *kernel, const struct step *step, struct outcome *outcome)
{
	switch (step->op) {
	case OP_READ: /* only whether it could be made */
	case OP_WRITE:
	case OP_PERSONALITY: /* what there was */
		if (outcome->result > 0)
			outcome->result = 0;
		break;
	case OP_COPY_IN:
		if (outcome->result > 0)
			outcome->detail =
				open_files_scratch_sum(kernel->files, (uint64_t)outcome->result);
		break;
	default:
		break;
	}
}

int kernel_run(struct kernel *kernel, const struct step *step, struct outcome *outcome)
{
	const struct executor_command command = step_command(kernel, step);

	*outcome = (struct outcome){0};
	switch (step->op) {
	case OP_LIMIT:
		return kernel_limit(kernel, step);
	case OP_FORK:
		return kernel_fork(kernel, step, outcome);
	case OP_STRIPE:
		return kernel_stripe(kernel, step, outcome);
	case OP_VMAS:
		return 0;
	case OP_FILE_WRITE:
	case OP_FILE_READ:
	case OP_TRUNCATE:
	case OP_PUNCH:
		outcome->result = open_files_step(kernel->files, step);
		return 0;
	case OP_EXIT:
		if (send_command(kernel, step->process, &command))
			return -1;
		/* Its number may be given away next: nobody must be left to read its commands. */
		if (wait_for_end(kernel->process[step->process].pid))
			return -1;
		process_close(kernel, step->process);
		return 0;
	default:
		if (send_command(kernel, step->process, &command) ||
		    read_reply(kernel, step->process, outcome))
			return -1;
		see_more(kernel, step, outcome);
		return 0;
	}
}
