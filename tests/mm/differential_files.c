/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files that scripts of the differential fuzzer map, and what they do to them otherwise.
 *
 * There are two sets of them: each side has its own, with the same contents, so that neither sees
 * what only the other has written. With pages to compare they are a few pages long, not all of them
 * whole; otherwise longer than any mapping.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/vfs.h>
#include <unistd.h>

#include <linux/magic.h>

#include "mm/abi.h"

#include "differential.h"

#ifndef XFS_SUPER_MAGIC
#	define XFS_SUPER_MAGIC 0x58465342
#endif

const char *const file_names[NR_FILES] = {
	[FILE_RW] = "rw",         [FILE_RW2] = "rw2",     [FILE_RO] = "ro",
	[FILE_WO] = "wo",         [FILE_OTHER] = "other", [FILE_MEM] = "mem",
	[FILE_MEM2] = "mem2",     [FILE_MEMRO] = "memro", [FILE_SEALED] = "sealed",
	[FILE_FUTURE] = "future", [FILE_DIR] = "dir",     [FILE_PATH] = "path",
	[FILE_NONE] = "none",
};

static int open_file_describe(struct open_file *file)
{
	struct stat st;
	struct statfs fs;
	struct statvfs vfs;
	char link[64];
	ssize_t len;
	int mode = fcntl(file->fd, F_GETFL);

	if (mode < 0 || fstat(file->fd, &st) || fstatfs(file->fd, &fs) || fstatvfs(file->fd, &vfs))
		return broken("cannot look at a file");
	snprintf(link, sizeof(link), "/proc/self/fd/%d", file->fd);
	len = readlink(link, file->name, sizeof(file->name) - 1);
	if (len < 0)
		return broken("cannot read a file's name");
	file->name[len] = '\0';
	file->dev = st.st_dev;
	file->ino = st.st_ino;
	file->readable = (mode & O_ACCMODE) != O_WRONLY;
	file->writable = (mode & O_ACCMODE) != O_RDONLY;
	file->no_exec = (vfs.f_flag & ST_NOEXEC) != 0;
	file->huge_aligned = fs.f_type == EXT4_SUPER_MAGIC || fs.f_type == XFS_SUPER_MAGIC ||
			     fs.f_type == BTRFS_SUPER_MAGIC;
	file->usable = !(mode & O_PATH);
	return 0;
}

static int reopen(int fd, int flags)
{
	char link[64];

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	return open(link, flags | O_CLOEXEC);
}

static int create_regular(const char *dir, const char *name, int fds[4])
{
	char path[300];

	snprintf(path, sizeof(path), "%s/memmap-differential-%d-%s", dir, (int)getpid(), name);
	fds[0] = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fds[0] < 0)
		return broken(path);
	fds[1] = open(path, O_RDWR | O_CLOEXEC);
	fds[2] = open(path, O_RDONLY | O_CLOEXEC);
	fds[3] = open(path, O_WRONLY | O_CLOEXEC);
	if (unlink(path) || fds[1] < 0 || fds[2] < 0 || fds[3] < 0)
		return broken(path);
	return 0;
}

static int create_memfd(const char *name)
{
	int fd = memfd_create(name, MFD_CLOEXEC | MFD_ALLOW_SEALING);

	return fd < 0 ? broken("cannot create a memfd") : fd;
}

/* The byte of a file, or of what copies come from, at an offset: the word it is in tells. */
static uint64_t pattern_word(uint64_t seed, uint64_t nr)
{
	return executor_sum_word(EXECUTOR_SUM_START + seed, nr);
}

size_t pattern_fill(uint64_t *words, uint64_t length, uint64_t seed)
{
	if (length > MOST_FILE_BYTES)
		length = MOST_FILE_BYTES;
	for (size_t i = 0; i < length / 8 + 1 && i < MOST_FILE_BYTES / 8; i++)
		words[i] = pattern_word(seed, i);
	words[2] = EXECUTOR_RET; /* so that something can be run */
	return length;
}

/* Write `length` bytes that vary with the seed; what pwrite(2) returns. */
static int64_t write_pattern(int fd, uint64_t offset, uint64_t length, uint64_t seed)
{
	uint64_t words[MOST_FILE_BYTES / 8];
	const ssize_t written = pwrite(fd, words, pattern_fill(words, length, seed), (off_t)offset);

	return written < 0 ? -errno : written;
}

/* Their first length, which is not always whole pages, and what of it is a hole. */
static const struct {
	enum file file;
	uint64_t length, hole, hole_end;
} contents[] = {
	{FILE_RW, 20 * PAGE + 0x123, 5 * PAGE, 7 * PAGE},
	{FILE_OTHER, 7 * PAGE, 0, 0},
	{FILE_MEM, 24 * PAGE + 0x10, 8 * PAGE, 12 * PAGE},
};

int open_files_reset(const struct open_files *files)
{
	for (size_t i = 0; i < sizeof(contents) / sizeof(*contents); i++) {
		const int fd = files->file[contents[i].file].fd;
		const uint64_t length = contents[i].length;

		if (ftruncate(fd, 0) || ftruncate(fd, (off_t)length))
			return broken("cannot change a file's length");
		for (uint64_t at = 0; at < length; at += PAGE) {
			const uint64_t most = length - at < PAGE ? length - at : PAGE;

			if (at >= contents[i].hole && at < contents[i].hole_end)
				continue;
			if (write_pattern(fd, at, most, i * 100 + at / PAGE) != (int64_t)most)
				return broken("cannot fill a file");
		}
	}
	return 0;
}

int64_t bytes_sum(const uint64_t *words, uint64_t length)
{
	uint64_t sum = executor_sum_word(EXECUTOR_SUM_START, length), last = 0;

	if (length <= 4) { /* short enough to be seen in a script */
		memcpy(&last, words, length);
		return (int64_t)last;
	}
	for (size_t i = 0; i < length / 8; i++)
		sum = executor_sum_word(sum, words[i]);
	memcpy(&last, words + length / 8, length % 8);
	return executor_sum_result(executor_sum_word(sum, last));
}

static int64_t read_sum(int fd, uint64_t offset, uint64_t length)
{
	uint64_t words[MOST_FILE_BYTES / 8];
	const ssize_t n =
		pread(fd, words, length < sizeof(words) ? length : sizeof(words), (off_t)offset);

	return n < 0 ? -errno : bytes_sum(words, (uint64_t)n);
}

int64_t open_files_step(const struct open_files *files, const struct step *step)
{
	const uint64_t *a = step->args;
	const int fd = files->file[a[0]].fd;

	switch (step->op) {
	case OP_FILE_WRITE:
		return write_pattern(fd, a[1], a[2], a[3]);
	case OP_FILE_READ:
		return read_sum(fd, a[1], a[2]);
	case OP_TRUNCATE:
		return ftruncate(fd, (off_t)a[1]) ? -errno : 0;
	case OP_PUNCH:
		return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)a[1],
				 (off_t)a[2])
			       ? -errno
			       : 0;
	default:
		return -EPROTO;
	}
}

uint64_t open_files_scratch_sum(const struct open_files *files, uint64_t length)
{
	return (uint64_t)read_sum(files->scratch_fd, 0, length);
}

int open_files_create(struct open_files *files, bool with_pages)
{
	const char *dir = getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp";
	int fds[4], other[4];

	memset(files, 0, sizeof(*files));
	for (int i = 0; i < NR_FILES; i++)
		files->file[i].fd = -1;
	if (create_regular(dir, "one", fds) || create_regular(dir, "other", other))
		return -1;
	for (int i = 0; i < 4; i++)
		files->file[FILE_RW + i].fd = fds[i];
	files->file[FILE_OTHER].fd = other[0];
	for (int i = 1; i < 4; i++)
		close(other[i]);
	files->file[FILE_MEM].fd = create_memfd("mem");
	files->file[FILE_SEALED].fd = create_memfd("sealed");
	files->file[FILE_FUTURE].fd = create_memfd("future");
	if (files->file[FILE_MEM].fd < 0 || files->file[FILE_SEALED].fd < 0 ||
	    files->file[FILE_FUTURE].fd < 0)
		return -1;
	for (int i = 0; i < FILE_DIR; i++)
		if (files->file[i].fd >= 0 && (i == FILE_RW || i == FILE_OTHER || i >= FILE_MEM) &&
		    ftruncate(files->file[i].fd, with_pages ? 16 * (off_t)PAGE : (off_t)FILE_BYTES))
			return broken("cannot give a file its length");
	for (uint64_t at = 0; at < 16 * PAGE; at += PAGE)
		if (with_pages &&
		    (write_pattern(files->file[FILE_SEALED].fd, at, PAGE, at + 1) < 0 ||
		     write_pattern(files->file[FILE_FUTURE].fd, at, PAGE, at + 2) < 0))
			return broken("cannot fill a file");
	if (fcntl(files->file[FILE_SEALED].fd, F_ADD_SEALS, F_SEAL_WRITE) ||
	    fcntl(files->file[FILE_FUTURE].fd, F_ADD_SEALS, F_SEAL_FUTURE_WRITE))
		return broken("cannot seal a memfd");
	files->file[FILE_SEALED].sealed = files->file[FILE_FUTURE].sealed = true;
	files->file[FILE_MEM2].fd = reopen(files->file[FILE_MEM].fd, O_RDWR);
	files->file[FILE_MEMRO].fd = reopen(files->file[FILE_MEM].fd, O_RDONLY);
	files->file[FILE_DIR].fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	files->file[FILE_DIR].no_mmap = true;
	files->file[FILE_PATH].fd = open(dir, O_PATH | O_CLOEXEC);
	for (int i = 0; i < FILE_NONE; i++)
		if (files->file[i].fd < 0 || open_file_describe(&files->file[i]))
			return broken(file_names[i]);
	files->zero_fd = open("/dev/zero", O_RDWR | O_CLOEXEC);
	files->scratch_fd = create_memfd("scratch");
	files->pattern_fd = create_memfd("pattern");
	if (files->zero_fd < 0 || files->scratch_fd < 0 || files->pattern_fd < 0 ||
	    ftruncate(files->scratch_fd, (off_t)FILE_BYTES))
		return broken("/dev/zero");
	for (uint64_t at = 0; at < PATTERN_BYTES; at += PAGE)
		if (write_pattern(files->pattern_fd, at, PAGE, at + 3) < 0)
			return broken("cannot fill a file");
	return 0;
}

void open_files_destroy(struct open_files *files)
{
	for (int i = 0; i < NR_FILES; i++)
		if (files->file[i].fd >= 0)
			close(files->file[i].fd);
	close(files->zero_fd);
	close(files->scratch_fd);
	close(files->pattern_fd);
}
