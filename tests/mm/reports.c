/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an address space says of itself: smaps against the kernel's own of the same mappings and
 * touches; smaps_rollup, status and statm; counts of usage.
 *
 * Fields that mean something else here than with Linux are left out of the comparison: see
 * docs/DIFFERENCES.md.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sched.h>

#include <memmap/mm_report.h>

#include "paged_file.h"
#include "twin.h"

#define AT UINT64_C(0x30000000)

/* ---- Against the kernel ---- */

/* The part of the smaps of `pid` that is about the region; to be freed. */
static char *their_smaps(pid_t pid)
{
	char path[32], line[512], *text = NULL;
	size_t size = 0;
	bool inside = false;
	snprintf(path, sizeof(path), "/proc/%d/smaps", (int)pid);
	FILE *in = fopen(path, "r"), *out = open_memstream(&text, &size);
	assert_non_null(in);
	assert_non_null(out);
	while (fgets(line, sizeof(line), in)) {
		uint64_t start, end;
		if (sscanf(line, "%" SCNx64 "-%" SCNx64 " ", &start, &end) == 2)
			inside = start >= BASE && start < BASE + NR_PAGES * K;
		if (inside)
			fputs(line, out);
	}
	fclose(in);
	fclose(out);
	return text;
}

/* Of shared anonymous memory each side has made its own, so the inode is another. */
static void hide_inode(char *line)
{
	char *inode = strstr(line, " 00:01 "), *name = strstr(line, "/dev/zero (deleted)");
	if (inode && name)
		memset(inode + 7, '?', (size_t)(name - inode - 7));
}

static bool is_left_out(const char *line)
{
	static const char *const fields[] = {"Referenced:", "LazyFree:", "THPeligible:"};
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		if (strncmp(line, fields[i], strlen(fields[i])) == 0)
			return true;
	}
	return false;
}

static void assert_smaps_alike_(struct twin_process *p, const char *file, int at)
{
	struct memmap_text ours = {0};
	char *theirs = their_smaps(p->pid), *save_a, *save_b;
	assert_int_equal(memmap_mm_print_smaps(p->mm, &ours), 0);
	assert_int_equal(strlen(ours.data), ours.length);
	char *all_theirs = strdup(theirs), *all_ours = strdup(ours.data);
	char *a = strtok_r(theirs, "\n", &save_a), *b = strtok_r(ours.data, "\n", &save_b);
	for (; a && b; a = strtok_r(NULL, "\n", &save_a), b = strtok_r(NULL, "\n", &save_b)) {
		hide_inode(a);
		hide_inode(b);
		if (is_left_out(a) && strncmp(a, b, 10) == 0)
			continue;
		if (strcmp(a, b) != 0)
			break;
	}
	if (a || b) {
		print_error(
			"%s:%d: the kernel says\n%s\nnot\n%s\nFrom the kernel:\n%s\nFrom us:\n%s\n",
			file, at, a ? a : "nothing more", b ? b : "nothing more", all_theirs,
			all_ours);
		_fail(file, at);
	}
	free(all_theirs);
	free(all_ours);
	free(theirs);
	memmap_text_release(&ours);
}
#define assert_smaps_alike(process) assert_smaps_alike_(process, __FILE__, __LINE__)

static void test_smaps_of_private_memory(void **state)
{
	struct twin t;
	(void)state;
	twin_init(&t, "smaps");
	twin_map(&t, 0, 4, RW, TWIN_PRIVATE);
	twin_map(&t, 5, 3, PROT_READ, TWIN_PRIVATE);
	twin_map(&t, 8, 2, PROT_NONE, TWIN_PRIVATE);
	assert_smaps_alike(&t.self);
	twin_touch(&t, 0, true);
	twin_touch(&t, 1, false); /* the page of zeros is nowhere counted */
	twin_touch(&t, 2, false);
	twin_touch(&t, 2, true);
	/* What was only read is clean, where it is a page of its own: that is not known here. */
	if (!memmap_mm_get_limits(t.self.mm).no_zero_page)
		twin_touch(&t, 6, false);
	assert_smaps_alike(&t.self);
	twin_madvise(&t, 0, 1, MADV_DONTNEED);
	twin_madvise(&t, 2, 1, MADV_FREE);
	assert_smaps_alike(&t.self);
	twin_touch(&t, 2, true);
	twin_touch(&t, 3, true);
	twin_madvise(&t, 1, 1, MADV_GUARD_INSTALL);
	assert_smaps_alike(&t.self);
	twin_destroy(&t);
}

static void test_smaps_of_shared_memory(void **state)
{
	struct twin t;
	(void)state;
	twin_init(&t, "smaps");
	twin_map(&t, 0, 4, RW, TWIN_SHARED);
	twin_map(&t, 4, 4, RW, TWIN_FILE_SHARED);
	twin_map(&t, 10, 10, RW, TWIN_FILE_PRIVATE);
	twin_map(&t, 21, 2, PROT_READ, TWIN_FILE_SHARED);
	twin_touch(&t, 0, true);
	twin_touch(&t, 2, true);
	twin_touch(&t, 5, true);
	twin_touch(&t, 6, true);
	twin_touch(&t, 11, true);
	twin_touch(&t, 12, true);
	twin_touch(&t, 16, true);
	assert_smaps_alike(&t.self);
	/* Reading makes no private page of a file dirty. (A shared one may be dirty, for all we know.) */
	twin_touch(&t, 15, false);
	assert_smaps_alike(&t.self);
	twin_destroy(&t);
}

static void test_smaps_after_a_fork(void **state)
{
	struct twin t;
	(void)state;
	twin_init(&t, "smaps");
	twin_map(&t, 0, 6, RW, TWIN_PRIVATE);
	twin_map(&t, 8, 4, RW, TWIN_SHARED);
	twin_map(&t, 12, 1, PROT_READ, TWIN_FILE_PRIVATE);
	twin_map(&t, 14, 3, RW, TWIN_FILE_PRIVATE);
	for (uint64_t page = 0; page < 4; page++)
		twin_touch(&t, page, true);
	twin_touch(&t, 8, true);
	twin_touch(&t, 12, false);
	twin_touch(&t, 14, true);
	twin_touch(&t, 15, false);
	twin_fork(&t);
	/*
	 * Private pages are now two address spaces'; and so are those of a file that were read beside
	 * one that was written to. Where none was, the child has nothing yet.
	 */
	assert_smaps_alike(&t.self);
	assert_smaps_alike(&t.child);
	twin_touch(&t, 1, true);
	twin_touch(&t, 4, true);
	assert_smaps_alike(&t.self);
	twin_destroy(&t);
}

static void test_flags_of_vmas(void **state)
{
	static const int advice[] = {MADV_RANDOM,     MADV_SEQUENTIAL, MADV_DONTFORK,
				     MADV_WIPEONFORK, MADV_DONTDUMP,   MADV_HUGEPAGE,
				     MADV_NOHUGEPAGE, MADV_MERGEABLE};
	struct twin t;
	(void)state;
	twin_init(&t, "smaps");
	for (uint64_t i = 0; i < 8; i++) {
		twin_map(&t, 3 * i, 2, i % 2 ? PROT_READ : RW,
			 i < 6 ? (enum twin_kind)(i % TWIN_NR_KINDS) : TWIN_PRIVATE);
		int theirs = madvise((void *)(BASE + 3 * i * K), 2 * K, advice[i]);
		/* Kernels can be built without. */
		if (theirs != 0 && i >= 5)
			continue;
		assert_alike(native(theirs),
			     memmap_mm_sys_madvise(t.self.mm, BASE + 3 * i * K, 2 * K, advice[i]));
	}
	const uint64_t addr = BASE + 6 * K, droppable = BASE + 20 * K;
	assert_alike(native(syscall(SYS_mlock2, addr, 2 * K, MLOCK_ONFAULT)),
		     memmap_mm_sys_mlock2(t.self.mm, addr, 2 * K, MLOCK_ONFAULT));
	/* Sanitizers make mlock() do nothing. */
	assert_alike(native(syscall(SYS_mlock, BASE + 18 * K, K)),
		     memmap_mm_sys_mlock(t.self.mm, BASE + 18 * K, K));
	void *at = mmap((void *)droppable, K, RW, MAP_DROPPABLE | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
	if (at != MAP_FAILED)
		assert_int_equal(memmap_mm_sys_mmap(t.self.mm, droppable, K, RW,
						    MAP_DROPPABLE | MAP_ANONYMOUS | MAP_FIXED, NULL,
						    0, NULL),
				 droppable);
	assert_smaps_alike(&t.self);
	twin_destroy(&t);
}

/*
 * Have the kernel page out, too, whatever it can. Pages that another CPU has just made present escape
 * it, so that there must be none.
 */
static void stay_on_one_cpu(cpu_set_t *before)
{
	cpu_set_t one;
	CPU_ZERO(&one);
	CPU_SET((size_t)sched_getcpu(), &one);
	assert_int_equal(sched_getaffinity(0, sizeof(*before), before), 0);
	assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
}

static void test_smaps_after_paging_out(void **state)
{
	struct twin t;
	cpu_set_t cpus;
	(void)state;
	stay_on_one_cpu(&cpus);
	twin_init(&t, "smaps");
	twin_map(&t, 0, 4, RW, TWIN_PRIVATE);
	twin_map(&t, 5, 3, PROT_READ, TWIN_FILE_PRIVATE);
	twin_map(&t, 8, 4, RW, TWIN_FILE_PRIVATE);
	twin_map(&t, 13, 2, RW, TWIN_FILE_SHARED);
	twin_map(&t, 16, 4, RW, TWIN_SHARED);
	for (uint64_t page = 0; page < 20; page++)
		(void)twin_touch(&t, page, page % 3 == 0 || page >= 12);
	assert_smaps_alike(&t.self);
	/* There is no swap, so what is private stays; all else goes. */
	twin_madvise(&t, 0, 4, MADV_PAGEOUT);
	twin_madvise(&t, 5, 7, MADV_PAGEOUT);
	twin_madvise(&t, 13, 1, MADV_PAGEOUT);
	twin_madvise(&t, 17, 2, MADV_PAGEOUT);
	assert_smaps_alike(&t.self);
	/* All bytes are had again, and their pages. */
	assert_true(twin_is_alike(&t.self));
	for (uint64_t page = 0; page < 20; page++)
		(void)twin_touch(&t, page, page % 3 == 0 || page >= 12);
	assert_smaps_alike(&t.self);
	/* What was freed lazily goes, too. */
	twin_madvise(&t, 0, 3, MADV_FREE);
	twin_touch(&t, 1, true);
	twin_madvise(&t, 1, 3, MADV_PAGEOUT);
	assert_smaps_alike(&t.self);
	twin_madvise(&t, 0, 1, MADV_PAGEOUT);
	assert_smaps_alike(&t.self);
	assert_true(twin_is_alike(&t.self));
	/* What is mapped by others, too, stays. (Of private memory a fork may have copied what is read.) */
	twin_unmap(&t, 0, 16);
	twin_fork(&t);
	for (uint64_t page = 16; page < 18; page++) {
		unsigned char byte = 7;
		const off_t at = (off_t)(BASE + page * K);
		assert_int_equal(pwrite(t.child.mem, &byte, 1, at), 1);
		assert_int_equal(memmap_mm_copy_out(t.child.mm, (uint64_t)at, &byte, 1, NULL, NULL),
				 0);
	}
	twin_madvise(&t, 16, 4, MADV_PAGEOUT);
	assert_smaps_alike(&t.self);
	assert_smaps_alike(&t.child);
	twin_destroy(&t);
	assert_int_equal(sched_setaffinity(0, sizeof(cpus), &cpus), 0);
}

/* ---- Texts ---- */

static struct memmap_memory_file *mf;
static struct memmap_mm *mm;

static int setup(void **state)
{
	(void)state;
	assert_int_equal(memmap_memory_file_create(NULL, &mf), 0);
	struct memmap_mm_options options = small_options();
	options.memory_file = mf;
	options.fault_around = K;
	assert_int_equal(memmap_mm_create(&options, &mm), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	memmap_mm_release(mm);
	memmap_memory_file_release(mf);
	return 0;
}

static void touch(uint64_t addr)
{
	unsigned char c = 1;
	assert_int_equal(memmap_mm_copy_out(mm, addr, &c, 1, NULL, NULL), 0);
}

static void test_smaps_text(void **state)
{
	(void)state;
	struct memmap_text text = {0};
	struct memmap_mm_layout layout = memmap_mm_get_layout(mm);
	layout.vsyscall = true;
	assert_int_equal(memmap_mm_set_layout(mm, &layout), 0);
	map_anon(mm, AT, 3 * K, RW, FIXED | MAP_LOCKED);
	assert_int_equal(memmap_mm_sys_munlock(mm, AT, K), 0);
	assert_int_equal(memmap_mm_sys_prctl_set_vma(mm, AT, K, "stack of a thread"), 0);
	assert_int_equal(memmap_mm_sys_madvise(mm, AT, K, MADV_FREE), 0);
	assert_int_equal(memmap_mm_print_smaps(mm, &text), 0);
	assert_string_equal(
		text.data,
		"30000000-30001000 rw-p 00000000 00:00 0                                  "
		"[anon:stack of a thread]\n"
		"Size:                  4 kB\n"
		"KernelPageSize:        4 kB\n"
		"MMUPageSize:           4 kB\n"
		"Rss:                   4 kB\n"
		"Pss:                   4 kB\n"
		"Pss_Dirty:             0 kB\n"
		"Shared_Clean:          0 kB\n"
		"Shared_Dirty:          0 kB\n"
		"Private_Clean:         4 kB\n"
		"Private_Dirty:         0 kB\n"
		"Referenced:            0 kB\n"
		"Anonymous:             4 kB\n"
		"KSM:                   0 kB\n"
		"LazyFree:              4 kB\n"
		"AnonHugePages:         0 kB\n"
		"ShmemPmdMapped:        0 kB\n"
		"FilePmdMapped:         0 kB\n"
		"Shared_Hugetlb:        0 kB\n"
		"Private_Hugetlb:       0 kB\n"
		"Swap:                  0 kB\n"
		"SwapPss:               0 kB\n"
		"Locked:                0 kB\n"
		"THPeligible:           0\n"
		"VmFlags: rd wr mr mw me ac \n"
		"30001000-30003000 rw-p 00000000 00:00 0 \n"
		"Size:                  8 kB\n"
		"KernelPageSize:        4 kB\n"
		"MMUPageSize:           4 kB\n"
		"Rss:                   8 kB\n"
		"Pss:                   8 kB\n"
		"Pss_Dirty:             8 kB\n"
		"Shared_Clean:          0 kB\n"
		"Shared_Dirty:          0 kB\n"
		"Private_Clean:         0 kB\n"
		"Private_Dirty:         8 kB\n"
		"Referenced:            8 kB\n"
		"Anonymous:             8 kB\n"
		"KSM:                   0 kB\n"
		"LazyFree:              0 kB\n"
		"AnonHugePages:         0 kB\n"
		"ShmemPmdMapped:        0 kB\n"
		"FilePmdMapped:         0 kB\n"
		"Shared_Hugetlb:        0 kB\n"
		"Private_Hugetlb:       0 kB\n"
		"Swap:                  0 kB\n"
		"SwapPss:               0 kB\n"
		"Locked:                8 kB\n"
		"THPeligible:           0\n"
		"VmFlags: rd wr mr mw me lo ac \n"
		"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                  "
		"[vsyscall]\n"
		"Size:                  4 kB\n"
		"KernelPageSize:        4 kB\n"
		"MMUPageSize:           4 kB\n"
		"Rss:                   0 kB\n"
		"Pss:                   0 kB\n"
		"Pss_Dirty:             0 kB\n"
		"Shared_Clean:          0 kB\n"
		"Shared_Dirty:          0 kB\n"
		"Private_Clean:         0 kB\n"
		"Private_Dirty:         0 kB\n"
		"Referenced:            0 kB\n"
		"Anonymous:             0 kB\n"
		"KSM:                   0 kB\n"
		"LazyFree:              0 kB\n"
		"AnonHugePages:         0 kB\n"
		"ShmemPmdMapped:        0 kB\n"
		"FilePmdMapped:         0 kB\n"
		"Shared_Hugetlb:        0 kB\n"
		"Private_Hugetlb:       0 kB\n"
		"Swap:                  0 kB\n"
		"SwapPss:               0 kB\n"
		"Locked:                0 kB\n"
		"THPeligible:           0\n"
		"VmFlags: ex \n");
	memmap_text_release(&text);
}

static void test_huge_page_eligibility(void **state)
{
	(void)state;
	static const struct {
		int huge_pages, advice;
		bool eligible;
	} cases[] = {
		{0, MADV_HUGEPAGE, false},   {1, MADV_NORMAL, false}, {1, MADV_HUGEPAGE, true},
		{1, MADV_NOHUGEPAGE, false}, {2, MADV_NORMAL, true},  {2, MADV_NOHUGEPAGE, false},
	};
	struct memmap_text text = {0};
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct memmap_mm_limits limits = memmap_mm_get_limits(mm);
		limits.huge_pages = cases[i].huge_pages;
		memmap_mm_set_limits(mm, &limits);
		for (int large = 0; large < 2; large++) {
			map_anon(mm, AT + K, 4 * M - K - !large * K * 512, RW, FIXED);
			memmap_mm_sys_madvise(mm, AT + K, 4 * M - K - !large * K * 512,
					      cases[i].advice);
			assert_int_equal(memmap_mm_print_smaps(mm, &text), 0);
			bool eligible = strstr(text.data, "THPeligible:           1\n") != NULL;
			assert_int_equal(eligible, large && cases[i].eligible);
			memmap_mm_sys_munmap(mm, AT, 8 * M);
		}
	}
	memmap_text_release(&text);
}

static void test_rollup_text(void **state)
{
	(void)state;
	struct paged_file f;
	struct memmap_text text = {0};
	assert_int_equal(memmap_mm_print_smaps_rollup(mm, &text), 0);
	assert_int_equal(strncmp(text.data, "00000000-00000000 ---p 00000000 00:00 0   ", 42), 0);
	assert_non_null(strstr(text.data, " [rollup]\nRss:                   0 kB\nPss: "));
	paged_file_init(&f, mf, "/f", 8 * K);
	const struct memmap_shared_anonymous shared = {&f, paged_file_as_shared};
	map_anon(mm, AT, 3 * K, RW, FIXED);
	assert_int_equal(memmap_mm_sys_mmap(mm, AT + 5 * K, 2 * K, RW,
					    MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, NULL, 0,
					    &shared),
			 AT + 5 * K);
	touch(AT);
	touch(AT + K);
	touch(AT + 6 * K);
	assert_int_equal(memmap_mm_print_smaps_rollup(mm, &text), 0);
	assert_string_equal(
		text.data,
		"30000000-30007000 ---p 00000000 00:00 0                                  "
		"[rollup]\n"
		"Rss:                  12 kB\n"
		"Pss:                  12 kB\n"
		"Pss_Dirty:            12 kB\n"
		"Pss_Anon:              8 kB\n"
		"Pss_File:              0 kB\n"
		"Pss_Shmem:             4 kB\n"
		"Shared_Clean:          0 kB\n"
		"Shared_Dirty:          0 kB\n"
		"Private_Clean:         0 kB\n"
		"Private_Dirty:        12 kB\n"
		"Referenced:           12 kB\n"
		"Anonymous:             8 kB\n"
		"KSM:                   0 kB\n"
		"LazyFree:              0 kB\n"
		"AnonHugePages:         0 kB\n"
		"ShmemPmdMapped:        0 kB\n"
		"FilePmdMapped:         0 kB\n"
		"Shared_Hugetlb:        0 kB\n"
		"Private_Hugetlb:       0 kB\n"
		"Swap:                  0 kB\n"
		"SwapPss:               0 kB\n"
		"Locked:                0 kB\n");
	memmap_text_release(&text);
	memmap_mm_sys_munmap(mm, AT, 16 * K);
	paged_file_destroy(&f);
}

static void test_status_texts(void **state)
{
	(void)state;
	struct paged_file f;
	struct memmap_text text = {0};
	paged_file_init(&f, mf, "/bin/program", 8 * K);
	struct memmap_mmap_file open = paged_file_open(&f);
	struct memmap_mm_layout layout = memmap_mm_get_layout(mm);
	layout.start_code = AT + 10;
	layout.end_code = AT + K + 10;
	assert_int_equal(memmap_mm_set_layout(mm, &layout), 0);
	assert_int_equal(
		memmap_mm_sys_mmap(mm, AT, 5 * K, RX, MAP_PRIVATE | MAP_FIXED, &open, 0, NULL), AT);
	map_anon(mm, AT + 16 * K, 8 * K, RW, FIXED);
	map_anon(mm, AT + 32 * K, 4 * K, RW, FIXED | MAP_GROWSDOWN);
	map_anon(mm, AT + 40 * K, 3 * K, RW, FIXED | MAP_LOCKED);
	memmap_mm_sys_munmap(mm, AT + 16 * K, 2 * K);
	touch(AT + 20 * K);
	touch(AT + 33 * K);
	assert_int_equal(memmap_mm_print_status(mm, &text), 0);
	assert_string_equal(text.data, "VmPeak:\t      80 kB\n"
				       "VmSize:\t      72 kB\n"
				       "VmLck:\t      12 kB\n"
				       "VmPin:\t       0 kB\n"
				       "VmHWM:\t      20 kB\n"
				       "VmRSS:\t      20 kB\n"
				       "RssAnon:\t      20 kB\n"
				       "RssFile:\t       0 kB\n"
				       "RssShmem:\t       0 kB\n"
				       "VmData:\t      36 kB\n"
				       "VmStk:\t      16 kB\n"
				       "VmExe:\t       8 kB\n"
				       "VmLib:\t      12 kB\n"
				       "VmPTE:\t      12 kB\n"
				       "VmSwap:\t       0 kB\n");
	assert_int_equal(memmap_mm_print_statm(mm, &text), 0);
	assert_string_equal(text.data, "18 5 0 2 0 13 0\n");
	/* What goes stays in the peak; a page of zeros was never there. */
	unsigned char zero;
	assert_int_equal(memmap_mm_copy_in(mm, AT + 21 * K, &zero, 1, NULL, NULL), 0);
	assert_int_equal(memmap_mm_sys_madvise(mm, AT + 20 * K, 2 * K, MADV_DONTNEED), 0);
	assert_int_equal(memmap_mm_print_status(mm, &text), 0);
	assert_non_null(strstr(text.data, "VmHWM:\t      20 kB\nVmRSS:\t      16 kB\n"));
	assert_int_equal(memmap_mm_sys_mremap(mm, AT + 40 * K, 3 * K, 3 * K,
					      MREMAP_MAYMOVE | MREMAP_FIXED, AT + 50 * K),
			 AT + 50 * K);
	touch(AT + 20 * K);
	touch(AT + 22 * K);
	assert_int_equal(memmap_mm_verify(mm), 0);
	assert_int_equal(memmap_mm_print_status(mm, &text), 0);
	assert_non_null(strstr(text.data, "VmHWM:\t      24 kB\nVmRSS:\t      24 kB\n"));
	/* There cannot be more of the program's code than there is code. */
	layout.end_code = AT + 100 * K;
	assert_int_equal(memmap_mm_set_layout(mm, &layout), 0);
	assert_int_equal(memmap_mm_print_status(mm, &text), 0);
	assert_non_null(strstr(text.data, "VmExe:\t      20 kB\nVmLib:\t       0 kB\n"));
	/* A page in another table of page tables, and in another of those. */
	map_anon(mm, UINT64_C(1) << 40, K, RW, FIXED);
	touch(UINT64_C(1) << 40);
	map_anon(mm, AT + 4 * M, K, RW, FIXED);
	touch(AT + 4 * M);
	assert_int_equal(memmap_mm_print_status(mm, &text), 0);
	assert_non_null(strstr(text.data, "VmPTE:\t      28 kB\n"));
	memmap_text_release(&text);
	memmap_mm_sys_munmap(mm, AT, 16 * K);
	paged_file_destroy(&f);
}

/* ---- Counts ---- */

static void test_usage(void **state)
{
	(void)state;
	struct memmap_mm_usage u;
	struct memmap_mm *child, *grandchild;
	const struct memmap_addr_range all = {AT, AT + M};
	map_anon(mm, AT, 8 * K, RW, FIXED);
	for (uint64_t page = 0; page < 5; page++)
		touch(AT + page * K);
	/* Guards and pages of zeros are no memory. */
	unsigned char zero;
	assert_int_equal(memmap_mm_copy_in(mm, AT + 6 * K, &zero, 1, NULL, NULL), 0);
	assert_int_equal(memmap_mm_sys_madvise(mm, AT + 7 * K, K, MADV_GUARD_INSTALL), 0);
	assert_int_equal(memmap_mm_fork(mm, NULL, &child), 0);
	assert_int_equal(memmap_mm_fork(child, NULL, &grandchild), 0);
	memmap_mm_get_usage(mm, all, &u);
	assert_int_equal(u.rss, 5 * K);
	assert_int_equal(u.rss_anon, 5 * K);
	assert_int_equal(u.anonymous, 5 * K);
	assert_int_equal(u.shared_dirty, 5 * K);
	/* Linux cuts fractions off for each page. */
	assert_int_equal(u.pss, 5 * ((K << 12) / 3));
	assert_int_equal(u.pss_dirty, u.pss);
	assert_int_equal(u.pss_anon, u.pss);
	memmap_mm_release(grandchild);
	touch(AT + 2 * K);
	memmap_mm_get_usage(mm, all, &u);
	assert_int_equal(u.shared_dirty, 4 * K);
	assert_int_equal(u.private_dirty, K);
	assert_int_equal(u.pss, (4 * K / 2 + K) << 12);
	memmap_mm_get_usage(mm, (struct memmap_addr_range){AT + 2 * K, AT + 4 * K}, &u);
	assert_int_equal(u.rss, 2 * K);
	assert_int_equal(u.private_dirty, K);
	memmap_mm_release(child);
	memmap_mm_get_usage(mm, all, &u);
	assert_int_equal(u.private_dirty, 5 * K);
	assert_int_equal(u.pss, (5 * K) << 12);
	memmap_mm_get_usage(mm, (struct memmap_addr_range){AT, AT}, &u);
	assert_int_equal(u.rss, 0);
}

static void test_without_pages(void **state)
{
	(void)state;
	struct memmap_mm *bare = small_mm();
	struct memmap_text text = {0};
	map_anon(bare, AT, K, RW, FIXED);
	assert_int_equal(memmap_mm_print_smaps(bare, &text), 0);
	assert_non_null(strstr(text.data, "Rss:                   0 kB\n"));
	assert_int_equal(memmap_mm_print_status(bare, &text), 0);
	assert_non_null(strstr(text.data, "VmSize:\t       4 kB\n"));
	memmap_text_release(&text);
	memmap_mm_release(bare);
}

/* What is noted meanwhile is given back. */
static void test_references(void **state)
{
	(void)state;
	struct paged_file f;
	struct memmap_text text = {0};
	paged_file_init(&f, mf, "/f\nwith a line break", 8 * K);
	struct memmap_mmap_file open = paged_file_open(&f);
	for (uint64_t i = 0; i < 200; i++) {
		assert_int_equal(memmap_mm_sys_mmap(mm, AT + 2 * i * K, K, RX,
						    MAP_PRIVATE | MAP_FIXED, &open, 0, NULL),
				 AT + 2 * i * K);
	}
	map_anon(mm, AT + M * 4, K, RW, FIXED);
	assert_int_equal(memmap_mm_sys_prctl_set_vma(mm, AT + M * 4, K, "named"), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(memmap_mm_print_smaps(mm, &text), 0);
	assert_int_equal(f.references, 200);
	assert_non_null(strstr(text.data, "/f\\012with a line break\n"));
	assert_non_null(strstr(text.data, "[anon:named]\n"));
	memmap_text_release(&text);
	memmap_mm_sys_munmap(mm, AT, M * 8);
	paged_file_destroy(&f);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_smaps_of_private_memory),
		cmocka_unit_test(test_smaps_of_shared_memory),
		cmocka_unit_test(test_smaps_after_a_fork),
		cmocka_unit_test(test_smaps_after_paging_out),
		cmocka_unit_test(test_flags_of_vmas),
		TEST(test_smaps_text),
		TEST(test_huge_page_eligibility),
		TEST(test_rollup_text),
		TEST(test_status_texts),
		TEST(test_usage),
		TEST(test_without_pages),
		TEST(test_references),
	};
	return cmocka_run_group_tests_name("mm/reports", tests, NULL, NULL);
}
