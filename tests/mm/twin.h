/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A region of this very process, and an address space that holds the same: each thing is done to
 * both, and must come out alike. A fork makes a child of each.
 *
 *   BASE  |  |  |  |  ... pages  |
 *
 * What is mapped: private and shared anonymous memory, and a memfd of FILE_SIZE bytes, shared or
 * private; page p of the region maps page p of it. Include after the cmocka headers.
 */
#ifndef MEMMAP_TESTS_MM_TWIN_H
#define MEMMAP_TESTS_MM_TWIN_H

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memmap/mm_access.h>
#include <memmap/shared_memory.h>

#include "fixture.h"

#define BASE      UINT64_C(0x20000000)
#define NR_PAGES  24
#define FILE_SIZE (17 * K + 123)

/* One of the two processes: ours, or the child. */
struct twin_process {
	pid_t pid;
	int mem; /* /proc/PID/mem */
	struct memmap_mm *mm;
};

struct twin {
	struct memmap_memory_file *mf;
	struct twin_process self, child; /* the child's mm is NULL until there is one */
	int parent_end;                  /* the child lives as long as it is open */
	int memfd;
	struct memmap_mmap_file file;
	struct memmap_shared_anonymous shared_anonymous;
};

enum twin_kind { TWIN_PRIVATE, TWIN_SHARED, TWIN_FILE_SHARED, TWIN_FILE_PRIVATE, TWIN_NR_KINDS };

/* Do readers of private memory share a page of zeros? Such a page is nowhere counted. */
static bool twin_has_zero_page_(void)
{
	char line[128];
	unsigned long rss = 0;
	uint64_t start, end;
	bool inside = false;
	volatile char *page = mmap((void *)BASE, K, RW, ANON | MAP_FIXED, -1, 0);
	assert_ptr_equal(page, (void *)BASE);
	(void)page[0];
	FILE *in = fopen("/proc/self/smaps", "r");
	assert_non_null(in);
	while (fgets(line, sizeof(line), in)) {
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &start, &end) == 2)
			inside = start == BASE;
		if (inside && sscanf(line, "Rss: %lu kB", &rss) == 1)
			break;
	}
	fclose(in);
	munmap((void *)BASE, K);
	return rss == 0;
}

static int twin_create_shared_(void *context, uint64_t length, struct memmap_mmap_file *out)
{
	struct twin *t = context;
	*out = (struct memmap_mmap_file){.readable = true, .writable = true};
	return memmap_shared_memory_create(t->mf, length, 0, NULL, &out->identity, &out->mappable);
}

/* `name` is the memfd's. */
static void twin_init(struct twin *t, const char *name)
{
	static unsigned char bytes[FILE_SIZE];
	char mapped_name[64];
	struct stat st;
	uint64_t done;
	*t = (struct twin){.self.pid = getpid(), .parent_end = -1};
	/* cmocka puts its own on top for each test. */
	assert_int_equal(memmap_block_install_handlers(), 0);
	t->shared_anonymous = (struct memmap_shared_anonymous){t, twin_create_shared_};
	munmap((void *)BASE, NR_PAGES * K); /* what a failed test left */
	assert_int_equal(memmap_memory_file_create(NULL, &t->mf), 0);

	struct memmap_mm_options options = small_options();
	options.memory_file = t->mf;
	options.fault_around = K;
	options.limits.no_zero_page = !twin_has_zero_page_();
	assert_int_equal(memmap_mm_create(&options, &t->self.mm), 0);
	t->self.mem = open("/proc/self/mem", O_RDWR | O_CLOEXEC);
	assert_true(t->self.mem >= 0);

	t->memfd = memfd_create(name, MFD_CLOEXEC);
	assert_true(t->memfd >= 0);
	assert_int_equal(ftruncate(t->memfd, FILE_SIZE), 0);
	assert_int_equal(fstat(t->memfd, &st), 0);
	snprintf(mapped_name, sizeof(mapped_name), "/memfd:%s (deleted)", name);
	const struct memmap_shared_memory_options file_options = {
		.name = mapped_name,
		.device = st.st_dev,
		.inode = st.st_ino,
	};
	t->file = (struct memmap_mmap_file){.readable = true, .writable = true};
	assert_int_equal(memmap_shared_memory_create(t->mf, FILE_SIZE, 0, &file_options,
						     &t->file.identity, &t->file.mappable),
			 0);
	/* Two of its pages have bytes. */
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (unsigned char)(i % 253 + 1);
	assert_int_equal(pwrite(t->memfd, bytes, 2 * K, 0), 2 * K);
	assert_int_equal(memmap_shared_memory_write(t->file.mappable, 0, bytes, 2 * K, &done), 0);
}

/* Fork both. Afterwards t->child is what was forked. */
__attribute__((unused)) static void twin_fork(struct twin *t)
{
	int ends[2];
	char path[32], byte;
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	t->child.pid = fork();
	assert_true(t->child.pid >= 0);
	if (t->child.pid == 0) {
		close(ends[1]);
		(void)!read(ends[0], &byte, 1); /* until our parent is gone, or wants us to be */
		_exit(0);
	}
	close(ends[0]);
	t->parent_end = ends[1];
	snprintf(path, sizeof(path), "/proc/%d/mem", (int)t->child.pid);
	t->child.mem = open(path, O_RDWR | O_CLOEXEC);
	assert_true(t->child.mem >= 0);
	assert_int_equal(memmap_mm_fork(t->self.mm, NULL, &t->child.mm), 0);
}

static void twin_destroy(struct twin *t)
{
	struct memmap_memory_usage usage;
	if (t->child.mm) {
		close(t->parent_end);
		close(t->child.mem);
		assert_int_equal(waitpid(t->child.pid, NULL, 0), t->child.pid);
		memmap_mm_release(t->child.mm);
	}
	munmap((void *)BASE, NR_PAGES * K);
	memmap_mm_release(t->self.mm);
	close(t->self.mem);
	close(t->memfd);
	memmap_mapping_identity_dec_ref(t->file.identity, NULL);
	memmap_memory_file_usage(t->mf, &usage);
	assert_int_equal(usage.total, 0);
	memmap_memory_file_release(t->mf);
}

/* What a system call's wrapper returned, as the kernel does. */
static int64_t native(int64_t result)
{
	return result < 0 ? -errno : result;
}

#define assert_alike(theirs, ours)                                                                 \
	do {                                                                                       \
		int64_t theirs_ = (theirs), ours_ = (ours);                                        \
		if (theirs_ != ours_) {                                                            \
			print_error("%s:%d: %s is %" PRId64 " with the kernel, not %" PRId64 "\n", \
				    __FILE__, __LINE__, #ours, theirs_, ours_);                    \
			_fail(__FILE__, __LINE__);                                                 \
		}                                                                                  \
	} while (0)

__attribute__((unused)) static void twin_map(struct twin *t, uint64_t page, uint64_t n, int prot,
					     enum twin_kind kind)
{
	static const int flags[TWIN_NR_KINDS] = {
		[TWIN_PRIVATE] = MAP_PRIVATE | MAP_ANONYMOUS,
		[TWIN_SHARED] = MAP_SHARED | MAP_ANONYMOUS,
		[TWIN_FILE_SHARED] = MAP_SHARED,
		[TWIN_FILE_PRIVATE] = MAP_PRIVATE,
	};
	const bool file = kind == TWIN_FILE_SHARED || kind == TWIN_FILE_PRIVATE;
	const uint64_t offset = file ? page * K : 0, addr = BASE + page * K;
	void *at = mmap((void *)addr, n * K, prot, flags[kind] | MAP_FIXED, file ? t->memfd : -1,
			(off_t)offset);
	assert_alike(at == MAP_FAILED ? -errno : (int64_t)(intptr_t)at,
		     memmap_mm_sys_mmap(t->self.mm, addr, n * K, (uint64_t)prot,
					(uint64_t)flags[kind] | MAP_FIXED, file ? &t->file : NULL,
					offset, &t->shared_anonymous));
}

__attribute__((unused)) static void twin_unmap(struct twin *t, uint64_t page, uint64_t n)
{
	assert_alike(native(munmap((void *)(BASE + page * K), n * K)),
		     memmap_mm_sys_munmap(t->self.mm, BASE + page * K, n * K));
}

__attribute__((unused)) static void twin_madvise(struct twin *t, uint64_t page, uint64_t n,
						 int advice)
{
	assert_alike(native(madvise((void *)(BASE + page * K), n * K, advice)),
		     memmap_mm_sys_madvise(t->self.mm, BASE + page * K, n * K, advice));
}

/* Touch a byte of a page in both: it works in both, or in neither. */
__attribute__((unused)) static bool twin_touch(struct twin *t, uint64_t page, bool write)
{
	const uint64_t addr = BASE + page * K + page % 7 * 500;
	unsigned char byte = (unsigned char)(page + 100);
	struct memmap_block there = memmap_block_unsafe((void *)addr, 1);
	struct memmap_block here = memmap_block_safe(&byte, 1);
	int theirs, ours;
	if (write) {
		theirs = memmap_copy(there, here, NULL);
		ours = memmap_mm_copy_out(t->self.mm, addr, &byte, 1, NULL, NULL);
	} else {
		theirs = memmap_copy(here, there, NULL);
		ours = memmap_mm_copy_in(t->self.mm, addr, &byte, 1, NULL, NULL);
	}
	if ((theirs != 0) != (ours != 0)) {
		print_error("%s page %" PRIu64 " is %d with the kernel, not %d\n",
			    write ? "writing to" : "reading", page, theirs, ours);
		fail();
	}
	return ours == 0;
}

/* Are all bytes of the region the same in both? */
__attribute__((unused)) static bool twin_is_alike(struct twin_process *p)
{
	static unsigned char theirs[K], ours[K];
	const struct memmap_access_opts force = {.ignore_permissions = true};
	for (uint64_t page = 0; page < NR_PAGES; page++) {
		const uint64_t addr = BASE + page * K;
		bool there = pread(p->mem, theirs, K, (off_t)addr) == (ssize_t)K;
		bool here = memmap_mm_copy_in(p->mm, addr, ours, K, &force, NULL) == 0;
		if (there == here && (!there || memcmp(theirs, ours, K) == 0))
			continue;
		print_error("page %" PRIu64 " %s\n", page,
			    there == here ? "has other bytes with the kernel"
			    : there       ? "is there with the kernel"
					  : "is not there with the kernel");
		for (size_t i = 0, shown = 0; there && here && i < K && shown < 8; i++) {
			if (theirs[i] != ours[i] && ++shown)
				print_error("  at %zx: %02x, not %02x\n", i, theirs[i], ours[i]);
		}
		return false;
	}
	return memmap_mm_verify(p->mm) == 0;
}

/* ---- Chance ---- */

static uint64_t random_state_;

/* Below `bound`. */
static uint64_t random_below(uint64_t bound)
{
	uint64_t z = random_state_ += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return (z ^ z >> 31) % bound;
}

/* Mappings, holes and touches at random. */
__attribute__((unused)) static void twin_fill(struct twin *t)
{
	static const int prots[] = {RW, RW, RW, PROT_READ, PROT_NONE, PROT_WRITE, RX};
	for (int i = 0; i < 12; i++) {
		uint64_t page = random_below(NR_PAGES), n = 1 + random_below(4);
		if (n > NR_PAGES - page)
			n = NR_PAGES - page;
		if (random_below(6) == 0)
			twin_unmap(t, page, n);
		else
			twin_map(t, page, n, prots[random_below(7)],
				 (enum twin_kind)random_below(TWIN_NR_KINDS));
	}
	for (int i = 0; i < 12; i++)
		(void)twin_touch(t, random_below(NR_PAGES), random_below(2));
}

#endif /* MEMMAP_TESTS_MM_TWIN_H */
