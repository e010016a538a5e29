/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel tells of a process, asked of this one.
 */
#include <errno.h>
#include <sched.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include <platform/ptrace/process_info.h>

#include "zero_page.h"

#define PAGE 4096ul

static struct memmap_addr_range range_of(const char *p, size_t length)
{
	return (struct memmap_addr_range){(uint64_t)(uintptr_t)p, (uint64_t)(uintptr_t)p + length};
}

static void anonymous_pages(void **state)
{
	(void)state;
	int fd = memmap_pagemap_open(getpid());
	assert_true(fd >= 0);
	char *p = mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(p, MAP_FAILED);
	assert_int_equal(memmap_has_anonymous_pages(fd, range_of(p, 16 * PAGE)), 0);
	/* Reading maps the zero page, which is nobody's, unless the kernel does without. */
	assert_int_equal(memmap_kernel_has_zero_page(), has_zero_page());
	const volatile char *reader = p;
	assert_int_equal(reader[3 * PAGE], 0);
	assert_int_equal(memmap_has_anonymous_pages(fd, range_of(p, 16 * PAGE)), !has_zero_page());
	madvise(p, 16 * PAGE, MADV_DONTNEED);
	p[5 * PAGE] = 1;
	assert_int_equal(memmap_has_anonymous_pages(fd, range_of(p, 16 * PAGE)), 1);
	assert_int_equal(memmap_has_anonymous_pages(fd, range_of(p, 5 * PAGE)), 0);
	assert_int_equal(memmap_has_anonymous_pages(fd, range_of(p + 5 * PAGE, PAGE)), 1);
	assert_int_equal(memmap_has_anonymous_pages(fd, range_of(p + 6 * PAGE, PAGE)), 0);
	munmap(p, 16 * PAGE);

	/* A file's pages are the file's, until they are copied for writing. */
	int file = memfd_create("pages", 0);
	assert_true(file >= 0 && ftruncate(file, 4 * PAGE) == 0);
	p = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE, file, 0);
	reader = p;
	assert_int_equal(reader[0], 0);
	assert_int_equal(memmap_has_anonymous_pages(fd, range_of(p, 4 * PAGE)), 0);
	p[PAGE] = 1;
	assert_int_equal(memmap_has_anonymous_pages(fd, range_of(p, 4 * PAGE)), 1);
	char *q = mmap(NULL, 4 * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
	memset(q, 1, 4 * PAGE);
	assert_int_equal(memmap_has_anonymous_pages(fd, range_of(q, 4 * PAGE)), 0);
	munmap(p, 4 * PAGE);
	munmap(q, 4 * PAGE);
	close(file);
	close(fd);
}

static void limits(void **state)
{
	(void)state;
	struct rlimit limit;
	struct memmap_process_limit found;
	getrlimit(RLIMIT_STACK, &limit);
	assert_int_equal(memmap_process_limit(getpid(), RLIMIT_STACK, &found), 0);
	assert_int_equal(found.soft, limit.rlim_cur);
	assert_int_equal(found.hard, limit.rlim_max);
	limit.rlim_cur = 12345678;
	assert_int_equal(setrlimit(RLIMIT_DATA, &limit), 0);
	assert_int_equal(memmap_process_limit(getpid(), RLIMIT_DATA, &found), 0);
	assert_int_equal(found.soft, 12345678);
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_DATA, &limit);
}

static int variable = 1;

static void layout(void **state)
{
	(void)state;
	struct memmap_process_layout found;
	struct memmap_process_auxv auxv;
	assert_int_equal(memmap_process_layout(getpid(), &found), 0);
	assert_int_equal(found.parent, getppid());
	assert_true(strncmp(found.command, "test_tool_proce", 15) == 0);
	const uint64_t code = (uint64_t)(uintptr_t)layout, data = (uint64_t)(uintptr_t)&variable;
	assert_true(found.start_code <= code && code < found.end_code);
	assert_true(found.start_data <= data && data < found.end_data);
	assert_true(found.start_stack > (uint64_t)(uintptr_t)&found);
	assert_true(found.start_brk != 0);
	assert_int_equal(memmap_process_auxv(getpid(), &auxv), 0);
	assert_true(found.start_code <= auxv.entry && auxv.entry < found.end_code);
	assert_int_equal(memmap_process_layout(-1, &found), -ENOENT);
}

static void readers(void **state)
{
	(void)state;
	struct memmap_proc_reader whole = {.fd = -1}, maps = {.fd = -1};
	assert_int_equal(memmap_proc_reader_open(&whole, getpid(), "maps"), 0);
	assert_int_equal(memmap_proc_reader_open(&maps, getpid(), "maps"), 0);
	/* More lines than fit one read. */
	char *p = mmap(NULL, 1000 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	for (size_t i = 0; i < 1000; i += 2)
		assert_int_equal(mprotect(p + i * PAGE, PAGE, PROT_NONE), 0);
	assert_int_equal(memmap_proc_reader_read(&whole), 0);
	assert_int_equal(memmap_proc_reader_read_maps(&maps), 0);
	assert_int_equal(memmap_proc_reader_read_maps(&maps), 0);
	assert_int_equal(memmap_proc_reader_read(&whole), 0);
	assert_int_equal(whole.length, maps.length);
	assert_memory_equal(whole.data, maps.data, maps.length);
	assert_true(maps.length > 40000);
	munmap(p, 1000 * PAGE);
	memmap_proc_reader_release(&whole);
	memmap_proc_reader_release(&maps);
	assert_int_equal(memmap_proc_reader_open(&maps, -1, "maps"), -ENOENT);
}

static void commands(void **state)
{
	(void)state;
	char text[512], cut[4];
	memmap_process_command(getpid(), text, sizeof(text));
	assert_non_null(strstr(text, "test_tool_process_info"));
	memmap_process_command(getpid(), cut, sizeof(cut));
	assert_int_equal(strlen(cut), 3);
	memmap_process_executable(getpid(), text, sizeof(text));
	assert_int_equal(text[0], '/');
	memmap_process_command(-1, text, sizeof(text));
	assert_string_equal(text, "?");
	assert_int_equal(memmap_sysctl("/proc/sys/no/such", 17), 17);
}

static void words(void **state)
{
	(void)state;
	uint64_t word = 0;
	const uint64_t there = 0x123456789abcdef;
	assert_int_equal(memmap_process_read(getpid(), (uint64_t)(uintptr_t)&there, &word, 8), 0);
	assert_int_equal(word, there);
	char *p = mmap(NULL, 2 * PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	munmap(p + PAGE, PAGE);
	const uint64_t edge = (uint64_t)(uintptr_t)p + PAGE;
	assert_int_equal(memmap_process_read(getpid(), edge - 8, &word, 8), 0);
	assert_int_equal(memmap_process_read(getpid(), edge - 4, &word, 8), -EFAULT);
	assert_int_equal(memmap_process_read(getpid(), edge, &word, 8), -EFAULT);
	munmap(p, PAGE);
	(void)memmap_kernel_has_protection_keys();
	char text[8];
	assert_int_equal(memmap_process_status_field(getpid(), "Tgid:", text, sizeof(text)), 0);
	assert_int_equal(strtol(text, NULL, 10), getpid());
	assert_int_equal(memmap_process_status_field(getpid(), "Tgid:", text, 2), 0);
	assert_int_equal(strlen(text), 1);
	assert_int_equal(memmap_process_status_field(getpid(), "None:", text, 8), -EPROTO);
	assert_int_equal(memmap_process_status_field(-1, "Tgid:", text, 8), -ENOENT);
	assert_true((long)memmap_kernel_possible_cpus() >= sysconf(_SC_NPROCESSORS_ONLN));
}

/* What cannot be seen could be. */
static void huge_pool(void **state)
{
	(void)state;
	assert_int_equal(memmap_kernel_huge_pool(63), -EINVAL);
	const pid_t pid = fork();
	if (pid == 0) {
		if ((unshare(CLONE_NEWNS) && unshare(CLONE_NEWUSER | CLONE_NEWNS)) ||
		    mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
		    mount("none", "/sys", "tmpfs", 0, NULL))
			_exit(77);
		_exit(memmap_kernel_huge_pool(0) == 1 ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		print_message("not tested: /sys cannot be hidden here\n");
	else
		assert_int_equal(status, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(anonymous_pages), cmocka_unit_test(limits),
		cmocka_unit_test(layout),          cmocka_unit_test(readers),
		cmocka_unit_test(commands),        cmocka_unit_test(words),
		cmocka_unit_test(huge_pool),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
