/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Files of this floor mapped into an address space: what maps then shows is what the kernel shows of
 * the same calls, and what mmap refuses the kernel refuses.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include <memmap/host_file.h>
#include <memmap/mm.h>
#include <memmap/mmap_file.h>

#include "file/failing_host.h"

#define LENGTH 0x3000

static struct memmap_memory_file *mf;
static struct memmap_mm *mm;
static struct memmap_host_files *files;

static int setup(void **state)
{
	(void)state;
	struct memmap_mm_options options = {0};
	memmap_mm_layout_default(&options.layout);
	memmap_mm_limits_default(&options.limits);
	return memmap_memory_file_create(NULL, &mf) || memmap_mm_create(&options, &mm) ||
	       memmap_host_files_create(NULL, &files);
}

static int teardown(void **state)
{
	(void)state;
	fail_host_calls(HOST_WORKS, 0);
	memmap_mm_release(mm);
	memmap_host_files_release(files);
	memmap_memory_file_release(mf);
	return 0;
}

/* The same call here and there: the same errno, or the same text after the addresses. */
static void compare(int fd, int prot, int flags, const struct memmap_mmap_file *file,
		    const struct memmap_shared_anonymous *shared)
{
	const int64_t here =
		memmap_mm_sys_mmap(mm, 0, LENGTH, (uint64_t)prot, (uint64_t)flags, file, 0, shared);
	void *there = mmap(NULL, LENGTH, prot, flags, fd, 0);
	if (there == MAP_FAILED) {
		assert_int_equal(here, -errno);
		return;
	}
	assert_true(here > 0);
	struct memmap_text text = {0};
	assert_int_equal(memmap_mm_print_maps(mm, &text), 0);
	char *mine = strchr(text.data, ' ');
	assert_non_null(mine);
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512] = "", *theirs = NULL;
	assert_non_null(maps);
	while (fgets(line, sizeof(line), maps)) {
		if (strtoull(line, &theirs, 16) == (uintptr_t)there)
			break;
	}
	(void)fclose(maps);
	theirs = strchr(line, ' ');
	assert_non_null(theirs);
	mine[strcspn(mine, "\n") + 1] = '\0';
	if (flags & MAP_ANONYMOUS) { /* the inode number is the kernel's own affair */
		assert_memory_equal(mine, theirs, strlen(" rw-s 00000000 00:01 "));
		assert_string_equal(strchr(mine, '/'), strchr(theirs, '/'));
	} else {
		assert_string_equal(mine, theirs);
	}
	memmap_text_release(&text);
	munmap(there, LENGTH);
	assert_int_equal(memmap_mm_sys_munmap(mm, (uint64_t)here, LENGTH), 0);
}

static void test_host_files(void **state)
{
	(void)state;
	static const int prots[] = {PROT_READ, PROT_READ | PROT_WRITE, PROT_READ | PROT_EXEC};
	static const int modes[] = {O_RDONLY, O_WRONLY, O_RDWR, O_RDWR | O_APPEND};
	char path[] = "/tmp/memmap-mmap-file-XXXXXX";
	int made = mkstemp(path);
	assert_true(made >= 0);
	for (size_t i = 0; i < sizeof(modes) / sizeof(modes[0]); i++) {
		struct memmap_mapping_identity *identity;
		struct memmap_mappable *mappable;
		struct memmap_mmap_file file;
		int fd = open(path, modes[i] | O_CLOEXEC);
		assert_int_equal(memmap_host_file_open(files, fd, NULL, &identity, &mappable), 0);
		assert_int_equal(memmap_host_file_mmap_file(identity, mappable, &file), 0);
		for (size_t j = 0; j < sizeof(prots) / sizeof(prots[0]); j++) {
			compare(fd, prots[j], MAP_SHARED, &file, NULL);
			compare(fd, prots[j], MAP_PRIVATE, &file, NULL);
		}
		for (size_t n = 0; n < 5; n++) {
			fail_host_calls(n, -EIO);
			assert_int_equal(memmap_host_file_mmap_file(identity, mappable, &file),
					 -EIO);
			fail_host_calls(HOST_WORKS, 0);
		}
		memmap_mapping_identity_dec_ref(identity, NULL);
		close(fd);
	}
	close(made);
	unlink(path);
}

static void test_seals(void **state)
{
	(void)state;
	struct memmap_mapping_identity *identity;
	struct memmap_mappable *mappable;
	struct memmap_mmap_file file;
	int fd = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(memmap_host_file_open(files, fd, NULL, &identity, &mappable), 0);
	assert_int_equal(memmap_host_file_mmap_file(identity, mappable, &file), 0);
	compare(fd, PROT_READ | PROT_WRITE, MAP_SHARED, &file, NULL);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	assert_int_equal(memmap_host_file_mmap_file(identity, mappable, &file), 0);
	compare(fd, PROT_READ | PROT_WRITE, MAP_SHARED, &file, NULL);
	compare(fd, PROT_READ, MAP_SHARED, &file, NULL);
	compare(fd, PROT_READ | PROT_WRITE, MAP_PRIVATE, &file, NULL);
	memmap_mapping_identity_dec_ref(identity, NULL);
	close(fd);
}

static void test_shared_anonymous(void **state)
{
	(void)state;
	struct memmap_shared_anonymous_source source = {.memory_file = mf};
	const struct memmap_shared_anonymous shared = memmap_shared_anonymous_from(&source);
	compare(-1, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, NULL, &shared);
	compare(-1, PROT_READ, MAP_SHARED | MAP_ANONYMOUS, NULL, &shared);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_host_files),
		TEST(test_seals),
		TEST(test_shared_anonymous),
	};
	return cmocka_run_group_tests_name("file/mmap_file", tests, NULL, NULL);
}
