/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host files: which opens are one file, where they end, what they permit, who is told, and system
 * calls that fail. What maps shows is compared with what the kernel shows of a mapping of its own.
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
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cmocka.h>

#include <memmap/arch.h>
#include <memmap/error.h>
#include <memmap/host_file.h>

#include "file/failing_host.h"
#include "file/mappable.h"
#include "memmap/failing_allocator.h"
#include "panic.h"

static struct memmap_host_files *files;
static char path[64];
static int fd; /* the program's own, read and write */

/* A file of four pages, page n filled with n + 1. */
static int setup(void **state)
{
	(void)state;
	unsigned char page[PAGE];
	recording_space_init(&space);
	strcpy(path, "/tmp/memmap-host-file-XXXXXX");
	fd = mkstemp(path);
	if (fd < 0)
		return -1;
	for (int i = 0; i < 4; i++) {
		memset(page, i + 1, PAGE);
		if (pwrite(fd, page, PAGE, i * (off_t)PAGE) != (ssize_t)PAGE)
			return -1;
	}
	return memmap_host_files_create(NULL, &files) ||
	       memmap_host_file_open(files, fd, NULL, &identity, &mappable);
}

static int teardown(void **state)
{
	(void)state;
	fail_host_calls(HOST_WORKS, 0);
	host_call = NULL;
	memmap_mapping_identity_dec_ref(identity, NULL);
	memmap_host_files_release(files);
	close(fd);
	unlink(path);
	return 0;
}

static struct memmap_block block_of(struct memmap_translation t, memmap_access at)
{
	struct memmap_block_seq seq;
	assert_int_equal(
		memmap_file_map_internal(t.file, memmap_translation_file_range(t), at, &seq), 0);
	assert_int_equal(memmap_block_seq_num_bytes(seq), memmap_mappable_range_length(t.source));
	assert_true(memmap_block_seq_head(seq).need_safe_copy);
	return memmap_block_seq_head(seq);
}

/* ---- Which opens are one file ---- */

static void test_what_can_be_opened(void **state)
{
	(void)state;
	struct memmap_mapping_identity *id;
	struct memmap_mappable *m;
	int ends[2], other;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(memmap_host_file_open(files, ends[0], NULL, &id, &m), -ENODEV);
	close(ends[0]);
	close(ends[1]);
	assert_int_equal(memmap_host_file_open(files, ends[0], NULL, &id, &m), -EBADF);
	other = open("/tmp", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(memmap_host_file_open(files, other, NULL, &id, &m), -ENODEV);
	close(other);
	other = open(path, O_PATH | O_CLOEXEC);
	assert_int_equal(memmap_host_file_open(files, other, NULL, &id, &m), -EBADF);
	close(other);
}

static void test_opens_share_a_mappable(void **state)
{
	(void)state;
	struct memmap_mapping_identity *again, *another;
	struct memmap_mappable *m, *another_mappable;
	int ro = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(memmap_host_file_open(files, ro, NULL, &again, &m), 0);
	assert_ptr_equal(m, mappable);
	assert_ptr_not_equal(again, identity);
	close(ro);
	int memfd = memfd_create("other", MFD_CLOEXEC);
	assert_int_equal(memmap_host_file_open(files, memfd, NULL, &another, &another_mappable), 0);
	close(memfd);
	assert_ptr_not_equal(another_mappable, mappable);
	assert_true(fcntl(memmap_host_file_fd(again), F_GETFD) & FD_CLOEXEC);

	/* The first open goes; the file is still there through the second. */
	memmap_mapping_identity_inc_ref(identity);
	memmap_mapping_identity_dec_ref(identity, NULL);
	memmap_mapping_identity_dec_ref(identity, NULL);
	struct memmap_translation t;
	assert_int_equal(translate_first(pages(1, 2), pages(1, 2), MEMMAP_READ, &t), 0);
	assert_int_equal(*(unsigned char *)block_of(t, MEMMAP_READ).addr, 2);
	assert_panics("released while 2 are open", memmap_host_files_release(files));
	memmap_mapping_identity_dec_ref(another, NULL);
	identity = again;
}

/* The device, inode and name of the line that the kernel shows for `addr`. */
static void kernel_shows(const void *addr, char *out, size_t size)
{
	FILE *maps = fopen("/proc/self/maps", "re");
	char line[512];
	assert_non_null(maps);
	out[0] = '\0';
	while (fgets(line, sizeof(line), maps)) {
		unsigned long start;
		int at = 0;
		if (sscanf(line, "%lx-%*x %*s %*x %n", &start, &at) != 1 ||
		    start != (unsigned long)addr)
			continue;
		line[strcspn(line, "\n")] = '\0';
		(void)snprintf(out, size, "%s", line + at);
	}
	(void)fclose(maps);
}

static void assert_as_the_kernel(void)
{
	char shown[512], name[256], device[32], text[512];
	unsigned long inode;
	int at;
	void *addr = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(addr, MAP_FAILED);
	kernel_shows(addr, shown, sizeof(shown));
	munmap(addr, PAGE);
	assert_int_equal(sscanf(shown, "%31s %lu %n", device, &inode, &at), 2);
	memmap_mapping_identity_mapped_name(identity, NULL, name, sizeof(name));
	assert_string_equal(name, shown + at);
	assert_int_equal(memmap_mapping_identity_inode_id(identity), inode);
	const uint64_t dev = memmap_mapping_identity_device_id(identity);
	(void)snprintf(text, sizeof(text), "%02x:%02x", major(dev), minor(dev));
	assert_string_equal(text, device);
}

static void test_names(void **state)
{
	(void)state;
	char moved[80], name[16];
	assert_as_the_kernel();
	(void)snprintf(moved, sizeof(moved), "%s moved", path);
	assert_int_equal(rename(path, moved), 0);
	assert_as_the_kernel();
	unlink(moved);
	assert_as_the_kernel();
	struct memmap_mapping_identity *named;
	struct memmap_mappable *m;
	assert_int_equal(memmap_host_file_open(files, fd, "/bin/guest", &named, &m), 0);
	assert_int_equal(memmap_mapping_identity_mapped_name(named, NULL, name, sizeof(name)), 10);
	assert_string_equal(name, "/bin/guest");
	memmap_mapping_identity_dec_ref(named, NULL);
	fail_host_calls(0, -EACCES);
	assert_int_equal(memmap_mapping_identity_mapped_name(identity, NULL, name, sizeof(name)),
			 0);
	assert_string_equal(name, "");
}

/* ---- Where they end, what they permit ---- */

static void test_end(void **state)
{
	(void)state;
	struct memmap_translation t;
	assert_int_equal(translate_first(pages(1, 2), pages(0, 9), MEMMAP_READ, &t), 0);
	assert_int_equal(t.source.start, 0);
	assert_int_equal(t.source.end, 4 * PAGE);
	assert_int_equal(t.offset, 0);
	int err = translate_first(pages(3, 6), pages(2, 9), MEMMAP_READ, &t);
	assert_true(memmap_is_bus_error(err));
	assert_int_equal(t.source.end, 4 * PAGE);
	err = translate_first(pages(4, 5), pages(0, 9), MEMMAP_READ, &t);
	assert_true(memmap_is_bus_error(err));
	assert_int_equal(memmap_bus_error_unwrap(err), -EFAULT);
	assert_null(t.file);
	/* Somebody writes past the end. */
	assert_int_equal(pwrite(fd, "x", 1, 6 * (off_t)PAGE), 1);
	assert_int_equal(translate_first(pages(4, 7), pages(4, 9), MEMMAP_READ, &t), 0);
	assert_int_equal(t.source.end, 7 * PAGE);
	assert_int_equal(((char *)block_of(t, MEMMAP_READ).addr)[2 * PAGE], 'x');
}

static void test_permissions(void **state)
{
	(void)state;
	struct memmap_mapping_identity *ro, *wo, *rw;
	struct memmap_translation t, before;
	/* Only for writing, then for reading too, then both at once. */
	memmap_mapping_identity_dec_ref(identity, NULL);
	int as_wo = open(path, O_WRONLY | O_CLOEXEC), as_ro = open(path, O_RDONLY | O_CLOEXEC);
	assert_int_equal(memmap_host_file_open(files, as_wo, NULL, &wo, &mappable), 0);
	assert_int_equal(translate_first(pages(0, 1), pages(0, 1), MEMMAP_READ, &t), -EACCES);
	unsigned char vec[2] = {9, 9};
	assert_int_equal(memmap_mappable_resident(mappable, NULL, pages(0, 2), vec), 0);
	assert_int_equal(vec[0] + vec[1], 0);
	assert_int_equal(memmap_host_file_open(files, as_ro, NULL, &ro, &mappable), 0);
	assert_int_equal(translate_first(pages(0, 1), pages(0, 1), MEMMAP_WRITE, &t), -EACCES);
	assert_int_equal(translate_first(pages(0, 1), pages(0, 1), MEMMAP_READ, &before), 0);
	assert_false(before.perms & MEMMAP_WRITE);
	struct memmap_block_seq seq;
	assert_int_equal(memmap_file_map_internal(before.file,
						  memmap_translation_file_range(before),
						  MEMMAP_WRITE, &seq),
			 -EACCES);
	assert_int_equal(memmap_host_file_open(files, fd, NULL, &rw, &mappable), 0);
	assert_int_equal(translate_first(pages(0, 1), pages(0, 1), MEMMAP_WRITE, &t), 0);
	assert_true(fcntl(memmap_file_fd(t.file), F_GETFL) & O_RDWR);
	/* Both lead to the same bytes. */
	*(volatile char *)block_of(t, MEMMAP_WRITE).addr = 'w';
	assert_int_equal(*(char *)block_of(before, MEMMAP_READ).addr, 'w');
	char byte;
	assert_int_equal(pread(fd, &byte, 1, 0), 1);
	assert_int_equal(byte, 'w');
	close(as_wo);
	close(as_ro);
	memmap_mapping_identity_dec_ref(ro, NULL);
	memmap_mapping_identity_dec_ref(wo, NULL);
	identity = rw;
}

static void test_sealed(void **state)
{
	(void)state;
	struct memmap_mapping_identity *id;
	struct memmap_mappable *m, *before = mappable;
	struct memmap_translation t;
	struct memmap_host_file_info info;
	int memfd = memfd_create("sealed", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	assert_int_equal(pwrite(memfd, "text", 4, 0), 4);
	assert_int_equal(fcntl(memfd, F_ADD_SEALS, F_SEAL_WRITE), 0);
	assert_int_equal(memmap_host_file_open(files, memfd, NULL, &id, &m), 0);
	assert_int_equal(memmap_host_file_look(id, &info), 0);
	assert_true(info.seal_write && info.writable && info.readable);
	assert_int_equal(info.size, 4);
	mappable = m;
	assert_int_equal(translate_first(pages(0, 1), pages(0, 1), MEMMAP_READ, &t), 0);
	assert_memory_equal(block_of(t, MEMMAP_READ).addr, "text", 4);
	mappable = before;
	memmap_mapping_identity_dec_ref(id, NULL);
	close(memfd);
	assert_int_equal(memmap_host_file_look(identity, &info), 0);
	assert_false(info.seal_write || info.append_only);
	assert_int_equal(info.size, 4 * PAGE);
}

/* ---- Who is told ---- */

static void test_truncate(void **state)
{
	(void)state;
	struct memmap_translation t;
	struct stat st;
	map(100, 110, 0);
	assert_int_equal(translate_first(pages(0, 1), pages(0, 4), MEMMAP_READ, &t), 0);
	struct memmap_block block = block_of(t, MEMMAP_READ);
	assert_int_equal(memmap_host_file_truncate(identity, 2 * PAGE + 7), 0);
	assert_said(&space, "[0x67000, 0x6e000)private ");
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, 2 * PAGE + 7);
	/* Behind our back, the memory is gone; a safe copy says where. */
	unsigned char copy[4 * PAGE];
	uint64_t done;
	assert_int_equal(memmap_copy(memmap_block_safe(copy, sizeof(copy)), block, &done), -EFAULT);
	assert_int_equal(done, 3 * PAGE);
	assert_int_equal(copy[2 * PAGE + 6], 3);
	assert_int_equal(copy[2 * PAGE + 7], 0);
	/* Growing tells nobody. */
	assert_int_equal(memmap_host_file_truncate(identity, 8 * PAGE), 0);
	assert_said(&space, "");
	assert_int_equal(translate_first(pages(7, 8), pages(7, 8), MEMMAP_READ, &t), 0);
	/* Somebody else cuts it. */
	assert_int_equal(ftruncate(fd, PAGE), 0);
	assert_int_equal(memmap_host_file_refresh(identity), 0);
	assert_said(&space, "[0x65000, 0x6e000)private ");
	assert_int_equal(memmap_host_file_truncate(identity, UINT64_MAX), -EFBIG);
	assert_said(&space, "");
	unmap(100, 110, 0);
}

static void test_punch_hole(void **state)
{
	(void)state;
	struct memmap_translation t;
	map(100, 104, 0);
	int err = memmap_mapping_identity_punch_hole(identity, NULL, pages(1, 3));
	if (err != -EOPNOTSUPP) { /* not every file system can */
		assert_int_equal(err, 0);
		assert_said(&space, "[0x65000, 0x67000) ");
		assert_int_equal(translate_first(pages(0, 4), pages(0, 4), MEMMAP_READ, &t), 0);
		const unsigned char *bytes = block_of(t, MEMMAP_READ).addr;
		assert_int_equal(bytes[PAGE - 1], 1);
		assert_int_equal(bytes[PAGE], 0);
		assert_int_equal(bytes[3 * PAGE - 1], 0);
		assert_int_equal(bytes[3 * PAGE], 4);
	}
	assert_int_equal(
		memmap_mapping_identity_punch_hole(
			identity, NULL, (struct memmap_mappable_range){0, UINT64_C(1) << 63}),
		-EFBIG);
	unmap(100, 104, 0);
}

/* ---- Written back, in memory ---- */

static void test_msync(void **state)
{
	(void)state;
	struct memmap_translation t;
	assert_int_equal(translate_first(pages(0, 1), pages(0, 4), MEMMAP_WRITE, &t), 0);
	memset(block_of(t, MEMMAP_WRITE).addr, 9, 4 * PAGE);
	assert_int_equal(memmap_mapping_identity_msync(identity, NULL, pages(0, 4)), 0);
	/* It is the range that is written, or, when it cannot be mapped, everything. */
	host_call = "msync";
	fail_host_calls(0, -EIO);
	assert_int_equal(memmap_mapping_identity_msync(identity, NULL, pages(0, 4)), -EIO);
	host_call = "fdatasync";
	fail_host_calls(0, -EIO);
	assert_int_equal(memmap_mapping_identity_msync(identity, NULL, pages(0, 4)), 0);
	assert_int_equal(memmap_mapping_identity_msync(
				 identity, NULL,
				 (struct memmap_mappable_range){
					 UINT64_C(1) << 63, memmap_page_round_down(UINT64_MAX)}),
			 -EIO);
}

static void test_resident(void **state)
{
	(void)state;
	unsigned char vec[6];
	memset(vec, 9, sizeof(vec));
	assert_int_equal(memmap_mappable_resident(mappable, NULL, pages(0, 6), vec), 0);
	assert_memory_equal(vec, "\1\1\1\1\0\0", 6);
	assert_int_equal(memmap_mappable_resident(mappable, NULL, pages(4, 6), vec), 0);
	assert_memory_equal(vec, "\0\0", 2);
	/* Across chunks, in a sparse file. */
	static unsigned char many[1024];
	assert_int_equal(ftruncate(fd, 1024 * (off_t)PAGE), 0);
	assert_int_equal(pwrite(fd, "x", 1, 1000 * (off_t)PAGE), 1);
	assert_int_equal(memmap_mappable_resident(mappable, NULL, pages(0, 1024), many), 0);
	assert_int_equal(many[0] & 1, 1);
	assert_int_equal(many[1000] & 1, 1);
	assert_int_equal(memmap_mappable_invalidate_unsavable(mappable, NULL), 0);
}

static void test_copy_mapping(void **state)
{
	(void)state;
	map(100, 104, 0);
	assert_int_equal(memmap_mappable_copy_mapping(
				 mappable, NULL, &space.space,
				 (struct memmap_addr_range){100 * PAGE, 104 * PAGE},
				 (struct memmap_addr_range){200 * PAGE, 204 * PAGE}, 0, true),
			 0);
	assert_panics("still mapped", memmap_mapping_identity_dec_ref(identity, NULL));
	unmap(100, 104, 0);
	unmap(200, 204, 0);
}

static void test_page_references(void **state)
{
	(void)state;
	struct memmap_translation t;
	assert_int_equal(translate_first(pages(0, 2), pages(0, 2), MEMMAP_READ, &t), 0);
	const struct memmap_file_range fr = memmap_translation_file_range(t);
	memmap_file_inc_ref(t.file, fr, 0);
	if (MEMMAP_CHECK >= 2) {
		assert_panics("references to its pages are held",
			      memmap_mapping_identity_dec_ref(identity, NULL));
		assert_panics("more references than were taken",
			      (memmap_file_dec_ref(t.file, fr), memmap_file_dec_ref(t.file, fr)));
	}
	memmap_file_dec_ref(t.file, fr);
}

/* ---- Failing system calls and allocations, one by one ---- */

static int all_of_it(struct failing_allocator *failing, bool host, size_t n)
{
	struct memmap_host_files *own = NULL;
	struct memmap_mapping_identity *id = NULL;
	struct memmap_host_file_info info;
	struct memmap_block_seq seq;
	struct memmap_translation t;
	struct stat st, before;
	unsigned char vec[4];
	if (host)
		fail_host_calls(n, -EIO);
	int err = memmap_host_files_create(&failing->allocator, &own);
	if (err)
		return err;
	struct memmap_mappable *m = NULL, *of_test = mappable;
	err = memmap_host_file_open(own, fd, "name", &id, &m);
	if (err) {
		assert_null(m);
		memmap_host_files_release(own);
		return err;
	}
	mappable = m;
	const struct memmap_addr_range ar = {PAGE, 5 * PAGE};
	bool mapped = false;
	err = memmap_mappable_add_mapping(m, NULL, &space.space, ar, 0, true);
	mapped = !err;
	if (!err)
		err = translate_first(pages(0, 1), pages(0, 4), MEMMAP_WRITE, &t);
	if (!err)
		err = memmap_file_map_internal(t.file, memmap_translation_file_range(t),
					       MEMMAP_WRITE, &seq);
	if (!err)
		err = memmap_host_file_look(id, &info);
	if (!err)
		err = memmap_mappable_resident(m, NULL, pages(0, 4), vec);
	if (!err)
		err = memmap_mapping_identity_msync(id, NULL, pages(0, 4));
	if (!err)
		err = memmap_host_file_refresh(id);
	space.said[0] = '\0';
	if (!err) {
		err = memmap_mapping_identity_punch_hole(id, NULL, pages(0, 1));
		if (err == -EOPNOTSUPP)
			err = 0;
		else if (err)
			assert_said(&space, "");
	}
	space.said[0] = '\0';
	assert_int_equal(fstat(fd, &before), 0);
	if (!err) {
		err = memmap_host_file_truncate(id, 3 * PAGE);
		assert_int_equal(fstat(fd, &st), 0);
		assert_int_equal(st.st_size, err ? before.st_size : 3 * (off_t)PAGE);
		if (err)
			assert_said(&space, "");
		else
			assert_int_equal(ftruncate(fd, 4 * (off_t)PAGE), 0);
	}
	failing->budget = SIZE_MAX;
	if (mapped)
		assert_int_equal(memmap_mappable_remove_mapping(m, NULL, &space.space, ar, 0, true),
				 0);
	memmap_mapping_identity_dec_ref(id, NULL);
	memmap_host_files_release(own);
	mappable = of_test;
	return err;
}

static void test_failures(void **state)
{
	(void)state;
	for (int host = 0; host < 2; host++) {
		int err = -1;
		size_t n = 0;
		for (; err; n++) {
			assert_true(n < 60);
			struct failing_allocator failing;
			failing_allocator_init(&failing, host ? SIZE_MAX : n);
			const int free_before = dup(fd);
			close(free_before);
			err = all_of_it(&failing, host, n);
			fail_host_calls(HOST_WORKS, 0);
			assert_true(err == 0 || err == (host ? -EIO : -ENOMEM));
			assert_int_equal(failing.nr_live, 0);
			const int free_now = dup(fd);
			close(free_now);
			assert_int_equal(free_now, free_before); /* no descriptor is left open */
			space.said[0] = '\0';
		}
		assert_true(n > (host ? 12 : 4));
	}
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(test_what_can_be_opened),
		TEST(test_opens_share_a_mappable),
		TEST(test_names),
		TEST(test_end),
		TEST(test_permissions),
		TEST(test_sealed),
		TEST(test_truncate),
		TEST(test_punch_hole),
		TEST(test_msync),
		TEST(test_resident),
		TEST(test_copy_mapping),
		TEST(test_page_references),
		TEST(test_failures),
	};
	memmap_host_files_release(NULL);
	return cmocka_run_group_tests_name("file/host_file", tests, NULL, NULL);
}
