/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program to be traced: calls that few programs make. `exercise_rare NAME`; without a name it
 * lists them. Each exercise varies its calls by a generator, the same way each time.
 */
#include <fcntl.h>
#include <linux/aio_abi.h>
#include <linux/io_uring.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "exercise.h"

static unsigned int seed = 1;

static size_t any(size_t below)
{
	return (size_t)rand_r(&seed) % below;
}

/* ---- rings of AIO ---- */

static aio_context_t set_up(unsigned int nr_events)
{
	aio_context_t context = 0;
	CHECK(syscall(SYS_io_setup, nr_events, &context) == 0);
	return context;
}

static void tear_down(aio_context_t context)
{
	CHECK(syscall(SYS_io_destroy, context) == 0);
}

static void refused_aio(void)
{
	static const unsigned int too_many[] = {0,           1u << 22,    (1u << 22) + 1,
						0x7fffffffu, 0x80000000u, 0xffffffffu};
	aio_context_t context = 0;
	for (size_t i = 0; i < sizeof(too_many) / sizeof(too_many[0]); i++)
		CHECK(syscall(SYS_io_setup, too_many[i], &context) == -1);
	CHECK(syscall(SYS_io_setup, 1, NULL) == -1 && errno == EFAULT);
	context = 5;
	CHECK(syscall(SYS_io_setup, 1, &context) == -1 && errno == EINVAL);
	CHECK(syscall(SYS_io_destroy, 5) == -1 && errno == EINVAL);
	/* Nowhere to write the number: the ring comes and goes. */
	aio_context_t *unwritable = (void *)map(NULL, PAGE, PROT_READ, ANON, -1, 0);
	CHECK(syscall(SYS_io_setup, 1, unwritable) == -1 && errno == EFAULT);
}

/* Rings that were cut, moved, filled and copied. */
static void changed_rings(void)
{
	char *ring = (char *)set_up(1000);
	CHECK(mprotect(ring + 4 * PAGE, 2 * PAGE, PROT_READ) == 0);
	CHECK(munmap(ring + 9 * PAGE, PAGE) == 0);
	char *inside = map(ring + 9 * PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0);
	*inside = 1;
	CHECK(mprotect(ring + 4 * PAGE, 2 * PAGE, PROT_EXEC) == -1 && errno == EACCES);
	tear_down((aio_context_t)ring);

	ring = (char *)set_up(64);
	char *place = map(NULL, 8 * PAGE, PROT_NONE, ANON, -1, 0);
	CHECK(mremap(ring, 2 * PAGE, 4 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED && errno == EFAULT);
	CHECK(mremap(ring, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place + PAGE) ==
	      place + PAGE);
	CHECK(syscall(SYS_io_destroy, ring) == -1);
	pid_t pid = fork();
	if (pid == 0) {
		CHECK(syscall(SYS_io_destroy, place + PAGE) == -1 && errno == EINVAL);
		CHECK(munmap(place + PAGE, PAGE) == 0);
		tear_down(set_up(1));
		_exit(0);
	}
	CHECK(await(pid) == 0);
	tear_down((aio_context_t)(place + PAGE));
}

static void aio(void)
{
	aio_context_t contexts[8] = {0};
	char *maps[8] = {NULL};
	refused_aio();
	changed_rings();
	for (int i = 0; i < 100; i++) {
		const size_t at = any(8);
		if (any(3) == 0 && maps[at]) {
			CHECK(munmap(maps[at], 4 * PAGE) == 0);
			maps[at] = NULL;
		} else if (any(2) == 0 && !maps[at]) {
			maps[at] = map(NULL, 4 * PAGE, RW, ANON, -1, 0);
		} else if (contexts[at]) {
			tear_down(contexts[at]);
			contexts[at] = 0;
		} else {
			contexts[at] = set_up((unsigned int)(1 + any(2000)));
		}
	}
	CHECK(mlockall(MCL_FUTURE) == 0 || errno == ENOMEM || errno == EPERM);
	contexts[0] = set_up(3);
	munlockall();
}

/* ---- protection keys ---- */

/* Keys, where there are any; everywhere the order in which mistakes are told. */
static void keys(void)
{
	static const int wrong[] = {-2, -1, 0, 1, 15, 16, 1 << 30};
	static const int prots[] = {PROT_NONE,
				    PROT_READ,
				    RW,
				    RW | PROT_EXEC,
				    PROT_GROWSDOWN,
				    PROT_GROWSDOWN | PROT_GROWSUP,
				    0x40,
				    PROT_READ | PROT_GROWSUP};
	char *p = map(NULL, 48 * PAGE, RW, ANON, -1, 0);
	CHECK(munmap(p + 24 * PAGE, 2 * PAGE) == 0);
	for (int i = 0; i < 400; i++) {
		char *at = p + any(32) * PAGE + (any(8) == 0 ? 8 : 0);
		const size_t length = any(16) == 0 ? SIZE_MAX - any(2) * PAGE : any(8 * PAGE);
		const int key = any(2) == 0 ? -1 : wrong[any(sizeof(wrong) / sizeof(wrong[0]))];
		syscall(SYS_pkey_mprotect, at, length, prots[any(8)], key);
	}
}

/* ---- NUMA policies ---- */

#define STATIC_NODES   (1 << 15)
#define RELATIVE_NODES (1 << 14)
#define BALANCING      (1 << 13)
#define MOVE_ALL       4

/* Policies that there are where the first node is, some of them equal to others. */
static const struct {
	int mode;
	unsigned long nodes;
} good[] = {
	{0, 0},
	{4, 0},
	{1, 0},
	{1, 1},
	{2, 1},
	{2, 3},
	{3, 1},
	{5, 1},
	{2 | BALANCING, 1},
	{2 | STATIC_NODES, 1},
	{2 | STATIC_NODES, 3},
	{3 | RELATIVE_NODES, 2},
};

static void bind_well(char *addr, size_t length)
{
	const size_t i = any(2) ? any(4) : any(sizeof(good) / sizeof(good[0]));
	syscall(SYS_mbind, addr, length, good[i].mode, &good[i].nodes, 64, 0);
}

static void bind(char *addr, size_t length)
{
	static const int modes[] = {0, 0, 1, 2, 2, 3, 4, 5, 6, 7, -1};
	static const int mode_flags[] = {
		0, 0, 0, STATIC_NODES, RELATIVE_NODES, BALANCING, STATIC_NODES | RELATIVE_NODES};
	static const unsigned int flags[] = {0, 0, 0, 0, 1, 2, 3, MOVE_ALL, 8, MOVE_ALL | 8};
	static const unsigned long masks[][2] = {{1, 0}, {1, 0}, {0, 0}, {2, 0}, {3, 0}, {1, 1}};
	static const unsigned long sizes[] = {0, 1, 2, 3, 64, 65, 66, 128, 1025, 32769, 32770};
	const int mode = modes[any(11)] | mode_flags[any(7)];
	const unsigned long *mask = any(8) == 0 ? NULL : masks[any(6)];
	if (any(32) == 0)
		mask = (unsigned long *)8;
	syscall(SYS_mbind, addr, length, mode, mask, any(2) ? 2 : sizes[any(11)], flags[any(10)]);
}

/* Alike but for their policies, or not; cut, moved, copied, and bound again. */
static void change_bound(char *p, size_t pages)
{
	for (int i = 0; i < 700; i++) {
		const size_t at = any(pages - 16), nr = 1 + any(12);
		char *q = p + at * PAGE;
		switch (any(10)) {
		case 0:
			map(q, nr * PAGE, RW, ANON | MAP_FIXED, -1, 0);
			break;
		case 1:
			mprotect(q, nr * PAGE, any(3) ? RW : PROT_READ);
			break;
		case 2:
			if (any(4) == 0)
				munmap(q, PAGE);
			break;
		case 3:
			mremap(q, nr * PAGE, nr * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			       p + any(pages - 16) * PAGE);
			break;
		case 4:
			if (mprotect(q, PAGE, RW) == 0)
				*q = 1;
			break;
		case 5:
		case 6:
		case 7:
			bind_well(q, nr * PAGE);
			break;
		default:
			bind(q + (any(32) == 0), nr * PAGE - any(2));
			break;
		}
	}
}

static void policies(void)
{
	char *p = map(NULL, 96 * PAGE, RW, ANON, -1, 0);
	char *shared = map(NULL, 64 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	change_bound(p, 96);
	change_bound(shared, 64);
	pid_t pid = fork();
	if (pid == 0) {
		change_bound(p, 96);
		_exit(0);
	}
	CHECK(await(pid) == 0);
	bind(p, 0);
	bind(p, SIZE_MAX);
	bind(p, SIZE_MAX - PAGE);
	bind(sbrk(0), PAGE);
	bind((char *)0x10000, PAGE);
	/* One bit beyond what any kernel knows, and in the same word another that does not count. */
	const unsigned long far[32] = {1, [16] = 2};
	syscall(SYS_mbind, p, PAGE, 2, far, 1024 + 2, 0);
	syscall(SYS_mbind, p, PAGE, 2, far, 1024 + 1, 0);
	/* Beside what is bound, the heap grows on its own. */
	char *heap = sbrk(4 * PAGE);
	const unsigned long first = 1;
	syscall(SYS_mbind, heap, 2 * PAGE, 2, &first, 2, 0);
	sbrk(2 * PAGE);
	syscall(SYS_mbind, heap + 4 * PAGE, 2 * PAGE, 2, &first, 2, 0);
	sbrk(2 * PAGE);
}

/* ---- huge pages ---- */

/* Where there are none: refused early or late, so that what was in the way is there still or gone. */
static void huge(void)
{
	static const int flags[] = {MAP_FIXED,    MAP_FIXED,     MAP_FIXED_NOREPLACE,
				    MAP_LOCKED,   MAP_GROWSDOWN, MAP_32BIT,
				    MAP_POPULATE, MAP_SYNC,      0};
	static const int types[] = {MAP_PRIVATE,         MAP_PRIVATE, MAP_SHARED,
				    MAP_SHARED_VALIDATE, 0,           8};
	static const unsigned int shifts[] = {0, 0, 0, 21, 21, 16, 22, 1, 34};
	const size_t size = 2ul << 20;
	char *p = map(NULL, 34 * size, RW, ANON, -1, 0);
	p += size - (uintptr_t)p % size;
	for (int i = 0; i < 300; i++) {
		char *at = p + any(31) * size + (any(8) ? 0 : PAGE);
		const size_t length = any(16) ? 1 + any(2 * size) : SIZE_MAX - any(2) * size;
		const int how = types[any(6)] | flags[any(9)] | flags[any(9)] |
				(int)(shifts[any(9)] << 26) | (any(16) ? MAP_ANONYMOUS : 0);
		mmap(at, length, any(4) ? RW : PROT_READ | PROT_EXEC, how | MAP_HUGETLB, -1,
		     any(8) ? 0 : PAGE);
		if (any(4) == 0)
			map(p + any(31) * size, size, RW, ANON | MAP_FIXED, -1, 0);
	}
}

/* ---- userfaultfd ---- */

static int open_userfault(void)
{
	struct uffdio_api api = {.api = UFFD_API};
	const int fd = (int)syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (fd >= 0)
		CHECK(ioctl(fd, UFFDIO_API, &api) == 0);
	return fd;
}

static void change_registered(char *p, size_t pages, int fds[2])
{
	for (int i = 0; i < 500; i++) {
		const size_t at = any(pages - 16), nr = 1 + any(12);
		char *q = p + at * PAGE;
		const struct uffdio_range range = {(uintptr_t)q, nr * PAGE - (any(16) == 0)};
		struct uffdio_register asked = {.range = range, .mode = any(4)};
		switch (any(12)) {
		case 0:
			map(q, nr * PAGE, RW, ANON | MAP_FIXED, -1, 0);
			break;
		case 1:
			mprotect(q, nr * PAGE, any(3) ? RW : PROT_READ);
			break;
		case 2:
			if (any(4) == 0)
				munmap(q, PAGE);
			break;
		case 3:
		case 4:
			mremap(q, nr * PAGE, nr * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED,
			       p + any(pages - 16) * PAGE);
			break;
		case 5:
			mremap(q, nr * PAGE, (nr + 1) * PAGE, any(2) ? MREMAP_MAYMOVE : 0);
			break;
		case 6:
		case 7:
			ioctl(fds[any(2)], UFFDIO_UNREGISTER, &range);
			break;
		case 8: {
			/* The last descriptor, or not; what was registered comes together again. */
			const size_t which = any(2);
			const int copy = any(3) ? -1 : dup(fds[which]);
			if (any(3))
				break;
			close(fds[which]);
			fds[which] = copy >= 0 ? copy : open_userfault();
			break;
		}
		default:
			ioctl(fds[any(3) == 0], UFFDIO_REGISTER, &asked);
			break;
		}
	}
}

static void userfaults(void)
{
	int fds[2] = {open_userfault(), open_userfault()};
	if (fds[0] < 0)
		return;
	char *p = map(NULL, 96 * PAGE, RW, ANON, -1, 0);
	char *shared = map(NULL, 64 * PAGE, RW, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	change_registered(p, 96, fds);
	change_registered(shared, 64, fds);
	pid_t pid = fork();
	if (pid == 0) {
		close(fds[0]);
		close(fds[1]);
		fds[0] = open_userfault();
		fds[1] = open_userfault();
		change_registered(p, 96, fds);
		_exit(0);
	}
	CHECK(await(pid) == 0);
	change_registered(p, 96, fds);
	close(fds[0]);
	close(fds[1]);
	map(NULL, PAGE, RW, ANON, -1, 0);
}

/* ---- io_uring ---- */

static void rings(void)
{
	static const off_t offsets[] = {0, 0x8000000, 0x10000000, 0x20000000, 0x80000000};
	int fds[4];
	char *maps[8] = {NULL};
	for (size_t i = 0; i < 4; i++) {
		struct io_uring_params params = {0};
		fds[i] = (int)syscall(SYS_io_uring_setup, 1 + any(300), &params);
	}
	for (int i = 0; i < 300 && fds[0] >= 0; i++) {
		const size_t at = any(8), nr = 1 + any(4);
		char *hint = any(16) ? NULL : map(NULL, nr * PAGE, PROT_NONE, ANON, -1, 0);
		if (maps[at]) {
			if (any(3) == 0)
				CHECK(mprotect(maps[at], PAGE, PROT_READ) == 0);
			if (any(6) == 0)
				mprotect(maps[at], PAGE, PROT_READ | PROT_EXEC);
			CHECK(munmap(maps[at], PAGE) == 0);
			maps[at] = NULL;
			continue;
		}
		maps[at] = mmap(hint, nr * PAGE, any(8) ? RW : PROT_READ | PROT_EXEC,
				(any(4) ? MAP_SHARED : MAP_PRIVATE) | (any(2) ? MAP_POPULATE : 0) |
					(any(4) ? 0 : MAP_FIXED_NOREPLACE),
				fds[any(4)], offsets[any(5)]);
		if (maps[at] == MAP_FAILED)
			maps[at] = NULL;
		map(NULL, nr * PAGE, RW, ANON, -1, 0);
	}
}

/* ---- marks of the heap and the stack ---- */

/* The numbers of /proc/self/stat from `first` on; the first is 1. */
static void read_stat(int first, unsigned long *out, int nr)
{
	char text[2048];
	FILE *file = fopen("/proc/self/stat", "r");
	CHECK(file && fgets(text, sizeof(text), file) && fclose(file) == 0);
	char *at = strrchr(text, ')') + 1;
	for (int i = 3; i < first + nr; i++) {
		at += strspn(at, " ");
		if (i >= first)
			out[i - first] = strtoul(at, NULL, 10);
		at += strcspn(at, " ");
	}
}

/* The heap goes elsewhere, the stack is called otherwise, and mistakes change nothing. */
static void marks(void)
{
	unsigned long code[3], data[7], heap = (unsigned long)syscall(SYS_brk, 0);
	read_stat(26, code, 3);
	read_stat(45, data, 7);
	char *region = map(NULL, 256 * PAGE, RW, ANON, -1, 0);
	CHECK(munmap(region + 64 * PAGE, 128 * PAGE) == 0);
	struct prctl_mm_map m = {
		.start_code = code[0],
		.end_code = code[1],
		.start_data = data[0],
		.end_data = data[1],
		.start_brk = data[2],
		.brk = heap,
		.start_stack = code[2],
		.arg_start = data[3],
		.arg_end = data[4],
		.env_start = data[5],
		.env_end = data[6],
		.exe_fd = (uint32_t)-1,
	};
	unsigned int size;
	if (prctl(PR_SET_MM, PR_SET_MM_MAP_SIZE, &size, 0, 0) || size != sizeof(m) ||
	    prctl(PR_SET_MM, PR_SET_MM_MAP, &m, sizeof(m), 0)) {
		puts("not tested: this kernel has no such PR_SET_MM_MAP");
		return;
	}
	for (int i = 0; i < 200; i++) {
		struct prctl_mm_map to = m;
		to.start_brk = (uintptr_t)region + any(160 * PAGE);
		to.brk = to.start_brk + any(4) * PAGE + any(PAGE) - (any(16) == 0 ? 8 * PAGE : 0);
		if (any(4) == 0)
			to.start_stack = (uintptr_t)region + any(256) * PAGE;
		if (any(16) == 0)
			to.start_code = to.end_code;
		prctl(PR_SET_MM, PR_SET_MM_MAP, any(16) ? &to : NULL, sizeof(to), 0);
		prctl(PR_SET_MM, PR_SET_MM_MAP, &to, sizeof(to) - any(2), 0);
		for (int j = 0; j < 4; j++)
			syscall(SYS_brk, to.start_brk + any(16 * PAGE));
	}
	CHECK(prctl(PR_SET_MM, PR_SET_MM_MAP, &m, sizeof(m), 0) == 0);
	syscall(SYS_brk, heap + 4 * PAGE);
}

/* ---- advice by a pidfd ---- */

static void advise(int pidfd, char *region)
{
	struct iovec ranges[4];
	const size_t nr = any(4);
	for (size_t i = 0; i < nr; i++) {
		ranges[i].iov_base = region + any(40) * PAGE + (any(16) == 0);
		ranges[i].iov_len = any(4) * PAGE + any(2);
	}
	syscall(SYS_process_madvise, pidfd, any(32) ? ranges : NULL, nr, (int)any(30),
		any(32) == 0);
}

/* Any advice to oneself, some of which a child inherits; and to a child, which changes nothing. */
static void advised(void)
{
	char *region = map(NULL, 48 * PAGE, PROT_NONE, ANON, -1, 0); /* a third is not touched */
	map(region, 32 * PAGE, RW, ANON | MAP_FIXED, -1, 0);
	const int self = (int)syscall(SYS_pidfd_open, getpid(), 0);
	CHECK(self >= 0);
	for (int i = 0; i < 300; i++) {
		region[any(32) * PAGE] = 1;
		advise(any(8) ? self : -10000 - (int)any(3), region);
		if (any(8) == 0)
			map(region, 32 * PAGE, RW, ANON | MAP_FIXED, -1, 0);
	}
	map(region, 32 * PAGE, RW, ANON | MAP_FIXED, -1, 0);
	struct iovec range = {region + 2 * PAGE, 3 * PAGE};
	CHECK(syscall(SYS_process_madvise, self, &range, 1, MADV_DONTFORK, 0) == 3 * PAGE);
	pid_t pid = fork();
	if (pid == 0) {
		CHECK(map(region + 2 * PAGE, 3 * PAGE, RW, ANON | MAP_FIXED_NOREPLACE, -1, 0) ==
		      region + 2 * PAGE);
		pause();
	}
	const int child = (int)syscall(SYS_pidfd_open, pid, 0);
	CHECK(child >= 0);
	for (int i = 0; i < 50; i++)
		advise(child, region);
	CHECK(kill(pid, SIGKILL) == 0);
	await(pid);
	advise(child, region);
	close(child);
	advise(child, region);
}

static const struct {
	const char *name;
	void (*run)(void);
} exercises[] = {
	{"aio", aio},
	{"keys", keys},
	{"policies", policies},
	{"huge", huge},
	{"userfaults", userfaults},
	{"rings", rings},
	{"marks", marks},
	{"advised", advised},
};

int main(int argc, char **argv)
{
	const size_t nr = sizeof(exercises) / sizeof(exercises[0]);
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
