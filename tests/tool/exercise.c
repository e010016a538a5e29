/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program to be traced: each exercise uses the address space in one particular way, and exits
 * with 0 when all went as it should. `exercise NAME [ARG]...`; without a name it lists them.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/shm.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096ul
#define ANON (MAP_PRIVATE | MAP_ANONYMOUS)
#define RW   (PROT_READ | PROT_WRITE)

extern char **environ;

#define CHECK(condition)                                                                           \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			fprintf(stderr, "exercise: line %d: %s: %s\n", __LINE__, #condition,       \
				strerror(errno));                                                  \
			_exit(99);                                                                 \
		}                                                                                  \
	} while (0)

static char *map(void *addr, size_t length, int prot, int flags, int fd, off_t offset)
{
	char *p = mmap(addr, length, prot, flags, fd, offset);
	CHECK(p != MAP_FAILED);
	return p;
}

static int await(pid_t pid)
{
	int status;
	CHECK(waitpid(pid, &status, 0) == pid);
	return status;
}

/* ---- anonymous memory ---- */

/* Thousands of VMAs, and calls about a few of them each. */
static void many(void)
{
	const size_t nr = 8000;
	unsigned int seed = 1;
	char *p = map(NULL, nr * PAGE, RW, ANON, -1, 0);
	for (size_t i = 0; i < nr; i += 2)
		CHECK(mprotect(p + i * PAGE, PAGE, PROT_READ) == 0);
	for (int i = 0; i < 2000; i++) {
		char *q = p + (size_t)rand_r(&seed) % nr * PAGE;
		CHECK(mprotect(q, PAGE, i & 1 ? PROT_READ : RW) == 0);
	}
}

static void anonymous(void)
{
	char *p = map(NULL, 64 * PAGE, RW, ANON, -1, 0);
	memset(p, 1, 64 * PAGE);
	CHECK(mprotect(p + 8 * PAGE, 8 * PAGE, PROT_READ) == 0);
	CHECK(mprotect(p + 8 * PAGE, 8 * PAGE, RW) == 0);
	CHECK(munmap(p + 20 * PAGE, 4 * PAGE) == 0);
	map(p + 20 * PAGE, 4 * PAGE, RW, ANON | MAP_FIXED, -1, 0);
	CHECK(madvise(p, 8 * PAGE, MADV_DONTNEED) == 0);
	CHECK(madvise(p, 8 * PAGE, MADV_DONTFORK) == 0);
	CHECK(madvise(p, 8 * PAGE, MADV_DOFORK) == 0);
	CHECK(madvise(p, PAGE, 12345) == -1 && errno == EINVAL);
	CHECK(munmap(p + 40 * PAGE, PAGE) == 0);
	CHECK(mprotect(p + 36 * PAGE, 8 * PAGE, PROT_READ) == -1 && errno == ENOMEM);
	CHECK(munmap(p, 64 * PAGE) == 0);
	CHECK(mmap(NULL, 0, RW, ANON, -1, 0) == MAP_FAILED && errno == EINVAL);
	CHECK(mmap(NULL, PAGE, RW, MAP_PRIVATE, 999, 0) == MAP_FAILED && errno == EBADF);
	map(NULL, 5ul << 20, RW, ANON, -1, 0);
	map(NULL, 2ul << 20, RW, ANON | MAP_NORESERVE, -1, 0);
	map(NULL, PAGE, PROT_NONE, ANON | MAP_STACK, -1, 0);
	map(NULL, 3 * PAGE, RW, ANON | MAP_POPULATE, -1, 0);
}

/*
 * Who owns the anonymous pages decides what merges, even when the pages themselves are gone:
 *
 *   |--- a, written ---|   gap   |--- b, written ---|    their owners differ
 */
static void owners(void)
{
	char *p = map(NULL, 32 * PAGE, PROT_NONE, ANON, -1, 0);
	char *a = map(p, 4 * PAGE, RW, ANON | MAP_FIXED, -1, 0);
	char *b = map(p + 8 * PAGE, 4 * PAGE, RW, ANON | MAP_FIXED, -1, 0);
	a[0] = b[0] = 1;
	CHECK(madvise(a, 4 * PAGE, MADV_DONTNEED) == 0);
	CHECK(madvise(b, 4 * PAGE, MADV_DONTNEED) == 0);
	map(p + 4 * PAGE, 4 * PAGE, RW, ANON | MAP_FIXED, -1, 0);
	/* The same, but only the page that was written is unmapped. */
	a = map(p + 16 * PAGE, 4 * PAGE, RW, ANON | MAP_FIXED, -1, 0);
	b = map(p + 24 * PAGE, 4 * PAGE, RW, ANON | MAP_FIXED, -1, 0);
	a[0] = b[3 * PAGE] = 1;
	CHECK(munmap(a, PAGE) == 0 && munmap(b + 3 * PAGE, PAGE) == 0);
	map(p + 20 * PAGE, 4 * PAGE, RW, ANON | MAP_FIXED, -1, 0);
	/*
	 * Two neighbours that differ only in their permissions share an owner, and still do when
	 * they are parted. The second is written when it has been found to have no pages before.
	 */
	p = map(NULL, 16 * PAGE, PROT_NONE, ANON, -1, 0);
	a = map(p, 4 * PAGE, RW, ANON | MAP_FIXED, -1, 0);
	a[PAGE] = 1;
	b = map(p + 4 * PAGE, 4 * PAGE, RW | PROT_EXEC, ANON | MAP_FIXED, -1, 0);
	CHECK(munmap(a, PAGE) == 0);
	b[3 * PAGE] = 1;
	CHECK(munmap(a + 2 * PAGE, 2 * PAGE) == 0);
	CHECK(mprotect(b, 4 * PAGE, RW) == 0);
	map(p + 2 * PAGE, 2 * PAGE, RW, ANON | MAP_FIXED, -1, 0);
}

static void heap(void)
{
	char *start = sbrk(0);
	CHECK(sbrk(1 << 20) != (void *)-1);
	memset(start, 1, 1 << 20);
	CHECK(sbrk(-(1 << 19)) != (void *)-1);
	for (int i = 0; i < 200; i++)
		free(malloc((size_t)i * 5000));
	CHECK(brk((char *)1) == 0 || errno == ENOMEM);
}

static void low(void)
{
	for (int i = 0; i < 8; i++) {
		char *p = map(NULL, (size_t)(1 + i) * PAGE, RW, ANON | MAP_32BIT, -1, 0);
		CHECK((uintptr_t)p < 1ul << 31);
		*p = 1;
	}
}

static void grows_down(void)
{
	char *p = map((void *)0x500000000, 16 * PAGE, RW, ANON | MAP_GROWSDOWN | MAP_FIXED, -1, 0);
	for (unsigned long i = 0; i < 40; i++)
		p[-(long)(i * PAGE)] = 1;
	CHECK(mprotect(p - 8 * PAGE, 4 * PAGE, PROT_READ) == 0);
	/* Right up to the guard gap, and not into it. */
	map(p - 2048 * PAGE, PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0);
	CHECK(munmap(p, 16 * PAGE) == 0);
}

static int deepen(int depth)
{
	volatile char frame[16384];
	frame[0] = (char)depth;
	return depth == 0 ? frame[0] : deepen(depth - 1) + frame[0] * 0;
}

static void deep_stack(void)
{
	deepen(200);
	map(NULL, PAGE, RW, ANON, -1, 0);
	deepen(400);
	CHECK(mlockall(MCL_CURRENT) == 0 || errno == ENOMEM || errno == EPERM);
	munlockall();
}

static void moved(void)
{
	char *p = map(NULL, 32 * PAGE, RW, ANON, -1, 0);
	memset(p, 1, 32 * PAGE);
	p = mremap(p, 32 * PAGE, 16 * PAGE, 0);
	CHECK(p != MAP_FAILED);
	p = mremap(p, 16 * PAGE, 700 * PAGE, MREMAP_MAYMOVE);
	CHECK(p != MAP_FAILED);
	char *q = map(NULL, 900 * PAGE, PROT_NONE, ANON, -1, 0);
	p = mremap(p, 700 * PAGE, 700 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, q + 100 * PAGE);
	CHECK(p == q + 100 * PAGE);
	p = mremap(p, 10 * PAGE, 10 * PAGE, MREMAP_MAYMOVE | 4 /* DONTUNMAP */, NULL);
	CHECK(p != MAP_FAILED);
	CHECK(mremap(p, 10 * PAGE, 20 * PAGE, 99) == MAP_FAILED && errno == EINVAL);
}

/*
 * Moving memory that may be merged with other pages has these come apart first, which any pending
 * signal, and a tracer's asking, cuts short.
 */
static void merged(void)
{
	char *p = map(NULL, 4 * PAGE, RW, ANON, -1, 0);
	memset(p, 1, 4 * PAGE);
	CHECK(madvise(p, 4 * PAGE, MADV_MERGEABLE) == 0 || errno == EINVAL);
	for (size_t i = 0; i < 100; i++) {
		const size_t before = i % 2 ? 8 : 4, after = 12 - before;
		char *q = map(NULL, 8 * PAGE, PROT_NONE, ANON, -1, 0);
		p = mremap(p, before * PAGE, after * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, q);
		CHECK(p == q);
	}
}

static void locked(void)
{
	char *p = map(NULL, 16 * PAGE, RW, ANON, -1, 0);
	CHECK(mlock(p + 4 * PAGE, 4 * PAGE) == 0);
	CHECK(munlock(p + 5 * PAGE, PAGE) == 0);
	CHECK(munlock(p, 16 * PAGE) == 0);
	CHECK(mlock((void *)0x10000, PAGE) == -1 && errno == ENOMEM);
	map(NULL, 2 * PAGE, RW, ANON | MAP_LOCKED, -1, 0);
}

static void limited(void)
{
	struct rlimit limit;
	CHECK(getrlimit(RLIMIT_AS, &limit) == 0);
	limit.rlim_cur = 100ul << 20;
	CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
	CHECK(mmap(NULL, 90ul << 20, RW, ANON, -1, 0) != MAP_FAILED || errno == ENOMEM);
	CHECK(mmap(NULL, 90ul << 20, RW, ANON, -1, 0) == MAP_FAILED && errno == ENOMEM);
	limit.rlim_cur = limit.rlim_max;
	CHECK(setrlimit(RLIMIT_AS, &limit) == 0);
	CHECK(getrlimit(RLIMIT_DATA, &limit) == 0);
	limit.rlim_cur = 8ul << 20;
	CHECK(setrlimit(RLIMIT_DATA, &limit) == 0);
	CHECK(mmap(NULL, 9ul << 20, RW, ANON, -1, 0) == MAP_FAILED && errno == ENOMEM);
	CHECK(mmap(NULL, 9ul << 20, PROT_READ, ANON, -1, 0) != MAP_FAILED);
}

#define RWX (RW | PROT_EXEC)

static void write_exec_denied(void)
{
	CHECK(mmap(NULL, PAGE, RWX, ANON, -1, 0) == MAP_FAILED && errno == EACCES);
	CHECK(mprotect(map(NULL, PAGE, RW, ANON, -1, 0), PAGE, PROT_EXEC) == -1);
}

static void write_exec_granted(void)
{
	CHECK(mprotect(map(NULL, PAGE, RWX, ANON, -1, 0), PAGE, RWX) == 0);
}

/* What can be written cannot be executed: here, and in children and after an exec or not. */
static void deny_write_exec(void)
{
	const int set = 65, refuse = 1, do_not_inherit = 2; /* PR_SET_MDWE, and its bits */
	char *const denied[] = {"exercise", "write_exec_denied", NULL};
	char *const granted[] = {"exercise", "write_exec_granted", NULL};
	write_exec_granted();
	if (prctl(set, refuse | do_not_inherit, 0, 0, 0) != 0) {
		puts("not tested: this kernel has no PR_SET_MDWE");
		return;
	}
	CHECK(prctl(set, refuse, 0, 0, 0) == -1 && errno == EPERM);
	write_exec_denied();
	pid_t pid = fork();
	if (pid == 0) {
		write_exec_granted();
		CHECK(prctl(set, refuse, 0, 0, 0) == 0);
		pid = fork();
		if (pid == 0) {
			write_exec_denied();
			execv("/proc/self/exe", denied);
		}
		_exit(await(pid) == 0 ? 0 : 1);
	}
	CHECK(await(pid) == 0);
	execv("/proc/self/exe", granted);
}

/* A limit that another process sets, which knows the first one by another number. */
static void limited_by_others(void)
{
	if (unshare(CLONE_NEWUSER | CLONE_NEWPID) != 0) {
		puts("not tested: no PID namespace can be made here");
		return;
	}
	pid_t pid = fork();
	if (pid == 0) {
		CHECK(getpid() == 1);
		pid_t other = fork();
		if (other == 0) {
			const struct rlimit little = {64ul << 20, RLIM_INFINITY};
			CHECK(prlimit(1, RLIMIT_AS, &little, NULL) == 0);
			map(NULL, 128ul << 20, RW, ANON, -1, 0);
			_exit(0);
		}
		CHECK(await(other) == 0);
		CHECK(mmap(NULL, 128ul << 20, RW, ANON, -1, 0) == MAP_FAILED);
		_exit(0);
	}
	CHECK(await(pid) == 0);
}

static void sealed(void)
{
	char *p = map(NULL, 8 * PAGE, RW, ANON, -1, 0);
	if (syscall(462, p + 2 * PAGE, 2 * PAGE, 0) == -1 && errno == ENOSYS)
		return;
	CHECK(munmap(p, 8 * PAGE) == -1 && errno == EPERM);
	CHECK(mprotect(p + 2 * PAGE, PAGE, PROT_READ) == -1 && errno == EPERM);
	CHECK(munmap(p + 6 * PAGE, 2 * PAGE) == 0);
}

/* ---- files ---- */

static int temporary_file(const char *name, off_t size)
{
	int fd = open(name, O_RDWR | O_CREAT | O_TRUNC, 0600);
	CHECK(fd >= 0 && ftruncate(fd, size) == 0);
	return fd;
}

static void files(void)
{
	char name[64];
	snprintf(name, sizeof(name), "exercise-file-%d", (int)getpid());
	int fd = temporary_file(name, 64 * PAGE), again = open(name, O_RDONLY);
	char *p = map(NULL, 16 * PAGE, RW, MAP_SHARED, fd, 0);
	memset(p, 1, 16 * PAGE);
	char *q = map(NULL, 16 * PAGE, RW, MAP_PRIVATE, fd, 16 * PAGE);
	memset(q, 1, 4 * PAGE);
	/* Side by side through two open files: the kernel keeps them apart. */
	char *r = map(NULL, 8 * PAGE, PROT_NONE, ANON, -1, 0);
	map(r, 4 * PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0);
	map(r + 4 * PAGE, 4 * PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, again, 4 * PAGE);
	/* And through one, duplicated: they merge. */
	int duplicate = dup(fd);
	char *s = map(NULL, 8 * PAGE, PROT_NONE, ANON, -1, 0);
	map(s, 4 * PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, fd, 0);
	map(s + 4 * PAGE, 4 * PAGE, PROT_READ, MAP_PRIVATE | MAP_FIXED, duplicate, 4 * PAGE);
	CHECK(close(fd) == 0 && close(again) == 0 && close(duplicate) == 0);
	CHECK(msync(p, 16 * PAGE, MS_SYNC) == 0);
	CHECK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, fd, 0) == MAP_FAILED && errno == EBADF);
	CHECK(unlink(name) == 0);
	CHECK(munmap(p, PAGE) == 0);
}

static void denied(void)
{
	char name[64];
	snprintf(name, sizeof(name), "exercise-denied-%d", (int)getpid());
	close(temporary_file(name, PAGE));
	int in = open(name, O_RDONLY), out = open(name, O_WRONLY), path = open(name, O_PATH);
	CHECK(mmap(NULL, PAGE, RW, MAP_SHARED, in, 0) == MAP_FAILED && errno == EACCES);
	CHECK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, out, 0) == MAP_FAILED && errno == EACCES);
	CHECK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, path, 0) == MAP_FAILED && errno == EBADF);
	char *p = map(NULL, PAGE, PROT_READ, MAP_SHARED, in, 0);
	CHECK(mprotect(p, PAGE, RW) == -1 && errno == EACCES);
	/* Which file systems do MAP_SYNC, ignore it, and refuse it sooner or later, differs. */
	char *q = map(NULL, 4 * PAGE, RW, ANON, -1, 0);
	mmap(q + PAGE, PAGE, PROT_READ, MAP_SHARED_VALIDATE | MAP_SYNC | MAP_FIXED, in, 0);
	mmap(q, PAGE, PROT_READ, MAP_SHARED_VALIDATE | MAP_SYNC | MAP_FIXED, out, 0);
	mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_SYNC, in, 0);
	int pipes[2];
	CHECK(pipe(pipes) == 0);
	CHECK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, pipes[0], 0) == MAP_FAILED &&
	      errno == ENODEV);
	CHECK(unlink(name) == 0);
}

static void renamed(void)
{
	char name[64], other[64];
	snprintf(name, sizeof(name), "exercise-old-%d", (int)getpid());
	snprintf(other, sizeof(other), "exercise new\n-%d", (int)getpid());
	int fd = temporary_file(name, 16 * PAGE);
	char *p = map(NULL, 16 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	CHECK(rename(name, other) == 0);
	CHECK(mprotect(p, 4 * PAGE, PROT_NONE) == 0);
	CHECK(unlink(other) == 0);
	CHECK(mprotect(p, 4 * PAGE, PROT_READ) == 0);
	map(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
}

static void memory_files(void)
{
	int fd = memfd_create("exercise", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	CHECK(fd >= 0 && ftruncate(fd, 64 * PAGE) == 0);
	char *p = map(NULL, 64 * PAGE, RW, MAP_SHARED, fd, 0);
	memset(p, 1, 64 * PAGE);
	CHECK(munmap(p, 64 * PAGE) == 0);
	CHECK(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE) == 0);
	CHECK(mmap(NULL, PAGE, RW, MAP_SHARED, fd, 0) == MAP_FAILED && errno == EPERM);
	p = map(NULL, 4 * PAGE, PROT_READ, MAP_SHARED, fd, 0);
	p = mremap(p, 0, 8 * PAGE, MREMAP_MAYMOVE);
	CHECK(p != MAP_FAILED);
}

static void devices(void)
{
	int zero = open("/dev/zero", O_RDWR), null = open("/dev/null", O_RDWR);
	char *p = map(NULL, 4 * PAGE, RW, MAP_PRIVATE, zero, 0);
	memset(p, 1, 4 * PAGE);
	p = map(NULL, 4 * PAGE, RW, MAP_SHARED, zero, 0);
	memset(p, 1, 4 * PAGE);
	CHECK(munmap(p, PAGE) == 0);
	CHECK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, null, 0) == MAP_FAILED);
	int status = open("/proc/self/status", O_RDONLY);
	CHECK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE, status, 0) == MAP_FAILED);
	map(NULL, PAGE, RW, ANON, -1, 0);
}

static void segments(void)
{
	int id = shmget(IPC_PRIVATE, 5 * PAGE + 1, IPC_CREAT | 0600);
	CHECK(id >= 0);
	char *p = shmat(id, NULL, 0);
	CHECK(p != (void *)-1);
	memset(p, 1, 5 * PAGE);
	/* What has been cut does not come together by vanishing, but may change sides. */
	CHECK(mprotect(p, PAGE, PROT_READ) == 0);
	CHECK(mprotect(p, PAGE, RW) == 0);
	CHECK(mprotect(p, 3 * PAGE, PROT_READ) == 0);
	CHECK(mprotect(p + PAGE, PAGE, RW) == 0);
	CHECK(mprotect(p + 2 * PAGE, PAGE, RW) == 0);
	CHECK(mprotect(p, 6 * PAGE, PROT_READ) == 0);
	CHECK(mprotect(p, 6 * PAGE, RW) == 0);
	char *q = shmat(id, NULL, SHM_RDONLY);
	CHECK(q != (void *)-1);
	CHECK(munmap(p + PAGE, PAGE) == 0);
	CHECK(shmdt(p) == 0);
	CHECK(shmdt(q) == 0);
	CHECK(shmdt(q) == -1 && errno == EINVAL);
	CHECK(shmctl(id, IPC_RMID, NULL) == 0);
}

static void aio(void)
{
	aio_context_t context = 0;
	if (syscall(SYS_io_setup, 64, &context) == -1)
		return;
	map(NULL, PAGE, RW, ANON, -1, 0);
	CHECK(syscall(SYS_io_destroy, context) == 0);
	map(NULL, PAGE, RW, ANON, -1, 0);
}

/* ---- processes ---- */

static void forked(void)
{
	char *shared = map(NULL, 16 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	char *mine = map(NULL, 16 * PAGE, RW, ANON, -1, 0);
	char *kept = map(NULL, 16 * PAGE, RW, ANON, -1, 0);
	memset(mine, 1, 4 * PAGE);
	CHECK(madvise(kept, 16 * PAGE, MADV_DONTFORK) == 0);
	for (int i = 0; i < 3; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			shared[i] = 1;
			memset(mine, 2, 8 * PAGE);
			CHECK(mprotect(mine + 4 * PAGE, 4 * PAGE, PROT_READ) == 0);
			CHECK(mprotect(mine + 4 * PAGE, 4 * PAGE, RW) == 0);
			CHECK(munmap(shared + 8 * PAGE, PAGE) == 0);
			map(kept, 16 * PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0);
			pid_t grandchild = fork();
			if (grandchild == 0) {
				map(NULL, 5 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
				_exit(7);
			}
			_exit(WEXITSTATUS(await(grandchild)) == 7 ? 5 : 98);
		}
		memset(mine + 4 * PAGE, 3, PAGE);
		CHECK(WEXITSTATUS(await(pid)) == 5);
	}
	CHECK(shared[0] && shared[1] && shared[2]);
}

static char *const true_argv[] = {"/bin/true", NULL};

static void spawned(void)
{
	for (int i = 0; i < 3; i++) {
		pid_t pid;
		CHECK(posix_spawn(&pid, true_argv[0], NULL, NULL, true_argv, environ) == 0);
		CHECK(await(pid) == 0);
	}
	pid_t pid;
	char *const missing[] = {"/nonexistent", NULL};
	CHECK(posix_spawn(&pid, missing[0], NULL, NULL, missing, environ) == ENOENT);
	pid = vfork();
	if (pid == 0) {
		/* In the parent's memory. */
		if (mmap(NULL, 3 * PAGE, RW, ANON, -1, 0) == MAP_FAILED)
			_exit(1);
		_exit(4);
	}
	CHECK(WEXITSTATUS(await(pid)) == 4);
	map(NULL, PAGE, RW, ANON, -1, 0);
}

static int in_shared_memory(void *arg)
{
	(void)arg;
	for (int i = 0; i < 20; i++)
		CHECK(mmap(NULL, PAGE, i & 1 ? RW : PROT_READ, ANON, -1, 0) != MAP_FAILED);
	return 6;
}

/* A child in the same memory that outlives nothing, and runs beside its parent. */
static void cloned(void)
{
	char *stack = map(NULL, 64 * PAGE, RW, ANON, -1, 0);
	pid_t pid = clone(in_shared_memory, stack + 64 * PAGE, CLONE_VM | SIGCHLD, NULL);
	CHECK(pid > 0);
	for (int i = 0; i < 20; i++)
		map(NULL, 2 * PAGE, RW, ANON, -1, 0);
	CHECK(WEXITSTATUS(await(pid)) == 6);
	/* A child that asks not to be traced is followed all the same. */
	pid = clone(in_shared_memory, stack + 64 * PAGE, CLONE_UNTRACED | SIGCHLD, NULL);
	CHECK(pid > 0);
	CHECK(WEXITSTATUS(await(pid)) == 6);
}

static void *busy_thread(void *arg)
{
	unsigned int seed = (unsigned int)(uintptr_t)arg;
	for (int i = 0; i < 100; i++) {
		const size_t length = (1 + (size_t)rand_r(&seed) % 64) * PAGE;
		char *p = map(NULL, length, RW, ANON, -1, 0);
		p[0] = 1;
		if (rand_r(&seed) & 1)
			CHECK(mprotect(p, PAGE, PROT_READ) == 0);
		if (rand_r(&seed) % 4)
			CHECK(munmap(p, length) == 0);
	}
	return NULL;
}

/* The same calls, one after the other, and more of them. */
static void busy(void)
{
	for (uintptr_t i = 0; i < 20; i++)
		busy_thread((void *)i);
}

static void threads(void)
{
	pthread_t ids[8];
	for (uintptr_t i = 0; i < 8; i++)
		CHECK(pthread_create(&ids[i], NULL, busy_thread, (void *)i) == 0);
	for (int i = 0; i < 3; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			busy_thread((void *)77);
			_exit(0);
		}
		CHECK(await(pid) == 0);
	}
	for (int i = 0; i < 8; i++)
		CHECK(pthread_join(ids[i], NULL) == 0);
}

/* Shared memory that takes the place of shared memory looks the same, but for a number. */
static void replaced(void)
{
	const int shared = MAP_SHARED | MAP_ANONYMOUS;
	char *p = map(NULL, 4 * PAGE, RW, shared, -1, 0);
	for (int i = 0; i < 100; i++) {
		CHECK(map(p, 4 * PAGE, RW, shared | MAP_FIXED, -1, 0) == p);
		p[0] = 1;
	}
}

enum { MEETING_THREADS = 6, MEETINGS = 300 };
static pthread_barrier_t meeting;

static void *meet(void *arg)
{
	(void)arg;
	for (int i = 0; i < MEETINGS; i++) {
		char *p = map(NULL, 4 * PAGE, RW, ANON, -1, 0);
		pthread_barrier_wait(&meeting);
		CHECK(mprotect(p, PAGE, PROT_READ) == 0);
		pthread_barrier_wait(&meeting);
		CHECK(munmap(p, 4 * PAGE) == 0);
	}
	return NULL;
}

/*
 * Reserves of their own, which threads change piece by piece, so that the order of their calls is
 * all the same; and pages that they share, where it is not.
 */
static char *shared_pages;

static void *change_reserve(void *arg)
{
	enum { PAGES = 2048, STEPS = 1500 };
	uint32_t random = (uint32_t)(uintptr_t)arg * 7919 + 1;
	char *p = map(NULL, PAGES * PAGE, PROT_NONE, ANON | MAP_NORESERVE, -1, 0);
	size_t top = 0;
	for (size_t i = 0; i < STEPS; i++) {
		random = random * 1103515245 + 12345;
		const size_t at = top > 4 ? (random >> 18) % (top - 2) : 0;
		const uint32_t what = (random >> 16) % 8;
		if (what < 6) {
			const size_t nr = 1 + (random >> 20) % 4;
			top = top + nr > PAGES - 8 ? 0 : top;
			CHECK(mprotect(p + top * PAGE, nr * PAGE, RW) == 0);
			if (what & 1)
				p[top * PAGE] = 1;
			top += nr;
		} else if (what == 6) {
			CHECK(mprotect(p + at * PAGE, 2 * PAGE, PROT_READ) == 0);
		} else {
			CHECK(mprotect(p + at * PAGE, 2 * PAGE, PROT_NONE) == 0);
			CHECK(mprotect(p + at * PAGE, 2 * PAGE, RW) == 0);
			p[at * PAGE] = 1;
		}
		if (i % 4 == 0)
			CHECK(mprotect(shared_pages + (random >> 24) % 4 * PAGE, PAGE,
				       random >> 22 & 1 ? PROT_NONE : PROT_READ) == 0);
		if (i % 64 == 0)
			munmap(map(NULL, 4 * PAGE, RW, ANON, -1, 0), 4 * PAGE);
	}
	return NULL;
}

static void reserves(void)
{
	pthread_t ids[6];
	shared_pages = map(NULL, 4 * PAGE, PROT_NONE, ANON, -1, 0);
	for (uintptr_t i = 0; i < 6; i++)
		CHECK(pthread_create(&ids[i], NULL, change_reserve, (void *)i) == 0);
	for (int i = 0; i < 6; i++)
		CHECK(pthread_join(ids[i], NULL) == 0);
}

/* Threads that make their calls at the same time, and none again before all have made theirs. */
static void meetings(void)
{
	pthread_t ids[MEETING_THREADS];
	CHECK(pthread_barrier_init(&meeting, NULL, MEETING_THREADS) == 0);
	for (int i = 0; i < MEETING_THREADS; i++)
		CHECK(pthread_create(&ids[i], NULL, meet, NULL) == 0);
	for (int i = 0; i < MEETING_THREADS; i++)
		CHECK(pthread_join(ids[i], NULL) == 0);
}

static atomic_bool enough;

static void *map_until_enough(void *arg)
{
	(void)arg;
	while (!enough)
		CHECK(munmap(map(NULL, 2 * PAGE, PROT_READ, ANON, -1, 0), 2 * PAGE) == 0);
	return NULL;
}

/* Children that share the memory end while another thread is in a call. */
static void vfork_ends(void)
{
	pthread_t id;
	CHECK(pthread_create(&id, NULL, map_until_enough, NULL) == 0);
	for (int i = 0; i < 200; i++) {
		pid_t pid = vfork();
		if (pid == 0)
			_exit(0);
		CHECK(await(pid) == 0);
	}
	enough = true;
	CHECK(pthread_join(id, NULL) == 0);
}

static void *map_when_told(void *arg)
{
	const int *fds = arg;
	char c;
	while (read(fds[0], &c, 1) == 1) {
		usleep(150);
		munmap(map(NULL, 2 * PAGE, PROT_READ, ANON, -1, 0), 2 * PAGE);
		CHECK(write(fds[3], &c, 1) == 1);
	}
	return NULL;
}

/* Sleeping in poll, while another thread makes calls, is not interrupted. */
static void undisturbed(void)
{
	int fds[4];
	char c;
	pthread_t id;
	CHECK(pipe(fds) == 0 && pipe(fds + 2) == 0);
	CHECK(pthread_create(&id, NULL, map_when_told, fds) == 0);
	for (size_t i = 0; i < 600; i++) {
		char *p = map(NULL, (1 + i % 3) * PAGE, RW, ANON, -1, 0);
		struct pollfd ready = {.fd = fds[2], .events = POLLIN};
		CHECK(write(fds[1], "x", 1) == 1);
		CHECK(poll(&ready, 1, -1) == 1);
		CHECK(read(fds[2], &c, 1) == 1);
		CHECK(munmap(p, (1 + i % 3) * PAGE) == 0);
	}
	close(fds[1]);
	CHECK(pthread_join(id, NULL) == 0);
}

static void *end_all(void *arg)
{
	usleep((unsigned int)(uintptr_t)arg);
	_exit(0);
}

/* A thread ends its process, while the first one stands at a call or is in it. */
static void group_exits(void)
{
	for (uintptr_t i = 0; i < 60; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			pthread_t id;
			CHECK(pthread_create(&id, NULL, end_all, (void *)(200 + i * 29)) == 0);
			map_until_enough(NULL);
		}
		CHECK(await(pid) == 0);
	}
}

static void *fork_until_gone(void *arg)
{
	(void)arg;
	for (;;) {
		pid_t pid = fork();
		if (pid == 0) {
			munmap(map(NULL, 2 * PAGE, PROT_READ, ANON, -1, 0), 2 * PAGE);
			_exit(0);
		}
		await(pid);
	}
	return NULL;
}

/* Processes that end, or run another program, while one of their threads makes a child. */
static void orphans(void)
{
	int fds[2];
	char c;
	CHECK(pipe2(fds, O_CLOEXEC) == 0);
	for (unsigned int i = 0; i < 100; i++) {
		pid_t pid = fork();
		if (pid == 0) {
			pthread_t id;
			CHECK(pthread_create(&id, NULL, fork_until_gone, NULL) == 0);
			usleep(1000 + i * 37);
			if (i % 2)
				execv(true_argv[0], true_argv);
			_exit(0);
		}
		CHECK(await(pid) == 0);
	}
	/* Its other end is closed when all children of theirs have ended too. */
	close(fds[1]);
	CHECK(read(fds[0], &c, 1) == 0);
}

/* An exec, or a signal, ends threads that make calls, or wait for their turn. */
static void killed(void)
{
	for (unsigned int i = 0; i < 12; i++) {
		const bool by_signal = i % 2 == 1;
		pid_t pid = fork();
		if (pid == 0) {
			pthread_t id;
			for (int n = 0; n < 4; n++)
				CHECK(pthread_create(&id, NULL, map_until_enough, NULL) == 0);
			if (by_signal)
				map_until_enough(NULL);
			usleep(2000);
			execv(true_argv[0], true_argv);
		}
		usleep(2000 + 300 * i);
		if (by_signal)
			CHECK(kill(pid, SIGKILL) == 0);
		CHECK(WTERMSIG(await(pid)) == (by_signal ? SIGKILL : 0));
	}
}

static void *map_once_and_end_all(void *arg)
{
	(void)arg;
	while (!enough)
		usleep(100);
	usleep(2000);
	map(NULL, PAGE, PROT_READ, ANON, -1, 0);
	_exit(0);
}

static void *fork_from_here(void *arg)
{
	(void)arg;
	for (int nr = 250; nr < 262; nr++) {
		pid_t pid = fork();
		if (pid == 0) {
			pthread_t id;
			CHECK(pthread_create(&id, NULL, map_once_and_end_all, NULL) == 0);
			for (int i = 0; i < nr; i++)
				map(NULL, (size_t)(1 + i % 2) * PAGE, PROT_READ, ANON, -1, 0);
			enough = true;
			syscall(SYS_exit, 0);
		}
		CHECK(await(pid) == 0);
	}
	return NULL;
}

/* First threads that end before others do, in processes that were made by no first thread. */
static void first_ends(void)
{
	pthread_t id;
	CHECK(pthread_create(&id, NULL, fork_from_here, NULL) == 0);
	CHECK(pthread_join(id, NULL) == 0);
}

static void *executing_thread(void *arg)
{
	(void)arg;
	execv(true_argv[0], true_argv);
	return NULL;
}

/* A thread that is not the first one calls exec: the whole process becomes the new program. */
static void thread_exec(void)
{
	pthread_t id, other;
	CHECK(pthread_create(&other, NULL, busy_thread, NULL) == 0);
	CHECK(pthread_create(&id, NULL, executing_thread, NULL) == 0);
	pause();
}

static void exec_again(void)
{
	char *const missing[] = {"/nonexistent", NULL};
	CHECK(execv(missing[0], missing) == -1 && errno == ENOENT);
	map(NULL, PAGE, RW, ANON, -1, 0);
	execv(true_argv[0], true_argv);
	CHECK(0);
}

/* ---- signals ---- */

static volatile sig_atomic_t nr_signals;

static void on_signal(int signal)
{
	(void)signal;
	nr_signals++;
	/* A memory call within a handler, and so perhaps within another call. */
	CHECK(mmap(NULL, PAGE, RW, ANON, -1, 0) != MAP_FAILED);
}

static void signals(void)
{
	struct sigaction action = {.sa_handler = on_signal};
	CHECK(sigaction(SIGALRM, &action, NULL) == 0);
	CHECK(ualarm(200, 200) == 0);
	while (nr_signals < 20)
		CHECK(munmap(map(NULL, 8 * PAGE, RW, ANON, -1, 0), 8 * PAGE) == 0);
	ualarm(0, 0);
	/* Stopping and going on is what it was. */
	pid_t pid = fork();
	if (pid == 0) {
		raise(SIGSTOP);
		_exit(3);
	}
	int status;
	CHECK(waitpid(pid, &status, WUNTRACED) == pid && WIFSTOPPED(status) &&
	      WSTOPSIG(status) == SIGSTOP);
	CHECK(poll(NULL, 0, 50) == 0 && waitpid(pid, &status, WNOHANG) == 0);
	CHECK(kill(pid, SIGCONT) == 0);
	CHECK(waitpid(pid, &status, 0) == pid && WEXITSTATUS(status) == 3);
	pid = fork();
	if (pid == 0)
		abort();
	CHECK(WTERMSIG(await(pid)) == SIGABRT);
}

/*
 * A seccomp filter that hands calls to a tracer: there is none of its own, so that they are refused,
 * whether memmap has its eye on them (mremap) or not (getppid).
 */
static void own_filter(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_msync, 2, 0),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getppid, 0, 2),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRACE | 5),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	const struct sock_fprog program = {sizeof(filter) / sizeof(filter[0]), filter};
	char *p = map(NULL, PAGE, RW, ANON, -1, 0);
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	CHECK(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) == 0);
	CHECK(msync(p, PAGE, MS_ASYNC) == -1 && errno == ENOSYS);
	CHECK(syscall(SYS_getppid) == -1 && errno == ENOSYS);
	CHECK(munmap(p, PAGE) == 0);
}

/* Asks to be told of system calls, which one of all filters can have. Exits with 3: refused. */
static void supervise(void)
{
	struct sock_filter filter[] = {BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW)};
	const struct sock_fprog program = {1, filter};
	CHECK(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0);
	const long listener = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
				      SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
	CHECK(listener >= 0 || errno == EBUSY);
	if (listener < 0)
		exit(3);
}

/* Die by a signal. */
static void die(const char *arg)
{
	const struct rlimit none = {0, 0};
	setrlimit(RLIMIT_CORE, &none);
	signal(atoi(arg), SIG_DFL);
	raise(atoi(arg));
	_exit(0);
}

/* A system call of the i386 ABI: number 20 is getpid there. */
static void foreign(void)
{
	long result = 20;
	__asm__ volatile("int $0x80" : "+a"(result) : : "memory", "r8", "r9", "r10", "r11");
	_exit(result > 0 ? 0 : 1);
}

/* Tell that it runs, wait for a line, map some memory. The outside may change things meanwhile. */
static void interfered(void)
{
	char line[16];
	char *p = map(NULL, PAGE, RW, ANON, -1, 0);
	*p = 1;
	printf("%d\n", (int)getpid());
	fflush(stdout);
	CHECK(fgets(line, sizeof(line), stdin) != NULL);
	void *q = mmap(NULL, 64ul << 20, RW, ANON, -1, 0);
	printf("%s\n", q == MAP_FAILED ? "refused" : "mapped");
}

/* The same with the heap: what was refused before is granted after. */
static void interfered_heap(void)
{
	char line[16];
	const struct rlimit none = {0, RLIM_INFINITY};
	CHECK(setrlimit(RLIMIT_DATA, &none) == 0);
	CHECK(sbrk(PAGE) == (void *)-1);
	CHECK(dprintf(1, "%d\n", (int)getpid()) > 0);
	CHECK(read(0, line, sizeof(line)) > 0);
	CHECK(sbrk(3 * PAGE) != (void *)-1);
	CHECK(sbrk(-4096) != (void *)-1);
	map(NULL, PAGE, RW, ANON, -1, 0);
	CHECK(sbrk(PAGE) != (void *)-1);
	CHECK(dprintf(1, "granted\n") > 0);
}

/* Count the signals that come until SIGTERM, then exit with their number. */
static void terminated(void)
{
	sigset_t set;
	int signal, nr = 0;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	printf("%d\n", (int)getpid());
	fflush(stdout);
	do
		CHECK(sigwait(&set, &signal) == 0 && ++nr);
	while (signal != SIGTERM);
	_exit(40 + nr);
}

static void wait_forever(void)
{
	pid_t pid = fork();
	CHECK(pid >= 0);
	if (pid > 0) {
		printf("%d\n", (int)getpid());
		fflush(stdout);
	}
	for (;;)
		pause();
}

static volatile int is_over;
static volatile int nr_rounds;

static void *run_on(void *arg)
{
	const struct timespec moment = {0, 500000};
	for (uintptr_t seed = (uintptr_t)arg; !is_over; seed++) {
		char *p = map(NULL, 8 * PAGE, RW, ANON, -1, 0);
		p[0] = 1;
		CHECK(mprotect(p, PAGE, PROT_READ) == 0);
		CHECK(munmap(p, 8 * PAGE) == 0);
		__atomic_add_fetch(&nr_rounds, 1, __ATOMIC_SEQ_CST);
		nanosleep(&moment, NULL);
	}
	return NULL;
}

/* Segments that were attached before: what is cut in them does not come together again. */
static void attached_segments(void)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
	int id = shmget(IPC_PRIVATE, 5 * PAGE, IPC_CREAT | 0600);
	CHECK(id >= 0);
	char *p = shmat(id, NULL, 0);
	CHECK(p != (void *)-1 && shmat(id, NULL, SHM_RDONLY) != (void *)-1);
	CHECK(shmctl(id, IPC_RMID, NULL) == 0);
	printf("%d\n", (int)getpid());
	fflush(stdout);
	while (poll(&input, 1, 5) == 0) {
		CHECK(mprotect(p, 2 * PAGE, PROT_READ) == 0);
		CHECK(mprotect(p, 2 * PAGE, RW) == 0);
	}
	_exit(7);
}

/*
 * Run for long, for whoever wants to attach: threads that map and unmap, children, a heap that
 * grows and shrinks, until a line comes; then end with 7 if all went well.
 */
static void attached(void)
{
	struct pollfd input = {.fd = STDIN_FILENO, .events = POLLIN};
	pthread_t ids[3];
	char *const heap = sbrk(0);
	map(NULL, 4 * PAGE, PROT_NONE, ANON, -1, 0);
	for (uintptr_t i = 0; i < 3; i++)
		CHECK(pthread_create(&ids[i], NULL, run_on, (void *)i) == 0);
	printf("%d\n", (int)getpid());
	fflush(stdout);
	while (poll(&input, 1, 5) == 0) {
		CHECK(brk(heap + 5 * PAGE + 100) == 0);
		heap[PAGE] = 1;
		pid_t pid = fork();
		if (pid == 0) {
			munmap(map(NULL, PAGE, RW, ANON, -1, 0), PAGE);
			_exit(3);
		}
		CHECK(WEXITSTATUS(await(pid)) == 3);
		CHECK(brk(heap) == 0);
	}
	is_over = 1;
	for (int i = 0; i < 3; i++)
		CHECK(pthread_join(ids[i], NULL) == 0);
	_exit(7);
}

static const struct {
	const char *name;
	void (*run)(void);
} exercises[] = {
	{"many", many},
	{"anonymous", anonymous},
	{"owners", owners},
	{"heap", heap},
	{"low", low},
	{"grows_down", grows_down},
	{"deep_stack", deep_stack},
	{"moved", moved},
	{"merged", merged},
	{"locked", locked},
	{"limited", limited},
	{"limited_by_others", limited_by_others},
	{"write_exec_denied", write_exec_denied},
	{"write_exec_granted", write_exec_granted},
	{"deny_write_exec", deny_write_exec},
	{"sealed", sealed},
	{"files", files},
	{"denied", denied},
	{"renamed", renamed},
	{"memory_files", memory_files},
	{"devices", devices},
	{"segments", segments},
	{"aio", aio},
	{"forked", forked},
	{"spawned", spawned},
	{"cloned", cloned},
	{"busy", busy},
	{"threads", threads},
	{"meetings", meetings},
	{"reserves", reserves},
	{"undisturbed", undisturbed},
	{"vfork_ends", vfork_ends},
	{"group_exits", group_exits},
	{"orphans", orphans},
	{"killed", killed},
	{"first_ends", first_ends},
	{"replaced", replaced},
	{"thread_exec", thread_exec},
	{"exec_again", exec_again},
	{"signals", signals},
	{"own_filter", own_filter},
	{"supervise", supervise},
	{"attached", attached},
	{"attached_segments", attached_segments},
	{"foreign", foreign},
	{"interfered", interfered},
	{"interfered_heap", interfered_heap},
	{"terminated", terminated},
	{"wait_forever", wait_forever},
};

int main(int argc, char **argv)
{
	const size_t nr = sizeof(exercises) / sizeof(exercises[0]);
	if (argc == 3 && strcmp(argv[1], "die") == 0)
		die(argv[2]);
	if (argc == 3 && strcmp(argv[1], "exit") == 0)
		return atoi(argv[2]);
	for (size_t i = 0; i < nr; i++) {
		if (argc < 2) {
			puts(exercises[i].name);
		} else if (strcmp(argv[1], exercises[i].name) == 0) {
			exercises[i].run();
			return 0;
		}
	}
	return argc < 2 ? 0 : 98;
}
