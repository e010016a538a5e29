/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The pages of the differential fuzzer's model: the memory file that they live in, the files that
 * are mapped, and the steps that have to do with what is in memory.
 *
 * Files are host files; a memfd of the kernel's side is either one, too, or shared memory, as the
 * script says. What must be seen in maps (device, inode,
 * name) is the kernel's: the files show nothing else of themselves.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <memmap/error.h>
#include <memmap/host_file.h>
#include <memmap/mm_access.h>
#include <memmap/shared_memory.h>

#include "differential_model.h"

enum platform model_platform;

int model_pages_start(struct model *model)
{
	int err = memmap_memory_file_create(NULL, &model->memory_file);

	if (err) {
		fprintf(stderr, "differential: memmap_memory_file_create: %s\n", strerror(-err));
		return -1;
	}
	if (memmap_host_files_create(NULL, &model->host_files))
		return -1;
	model->guest[0] = guest_create(model_platform);
	return model->guest[0] ? 0 : -1;
}

bool model_pages_stop(struct model *model)
{
	struct memmap_memory_usage usage;
	bool clean = true;

	for (int i = 0; i < EXECUTOR_MAX_PROCESSES; i++)
		guest_destroy(model->guest[i]);
	memmap_memory_file_usage(model->memory_file, &usage);
	if (usage.total) {
		char *dump = memmap_memory_file_dump(model->memory_file);

		fprintf(stderr, "differential: memory is left over:\n%s", dump ? dump : "");
		memmap_free(dump);
		clean = false;
	}
	memmap_host_files_release(model->host_files);
	memmap_memory_file_release(model->memory_file);
	return clean;
}

bool model_pages_check(struct model *model)
{
	bool good = !memmap_memory_file_verify(model->memory_file);

	for (int i = 0; i < EXECUTOR_MAX_PROCESSES; i++)
		if (model->guest[i])
			good &= guest_verify(model->guest[i]);
	return good;
}

/* ---- Files ---- */

/* What is in a file of ours: copied from the system's file, but for holes. */
static int64_t copy_contents(struct memmap_mappable *to, int fd)
{
	const off_t length = lseek(fd, 0, SEEK_END);
	unsigned char page[PAGE];

	for (off_t at = 0; at < length; at += (off_t)PAGE) {
		const ssize_t n = pread(fd, page, sizeof(page), at);
		uint64_t done;

		if (n < 0)
			return -errno;
		if (lseek(fd, at, SEEK_DATA) != at)
			continue;
		if (memmap_shared_memory_write(to, (uint64_t)at, page, (uint64_t)n, &done))
			return -ENOMEM;
	}
	return memmap_shared_memory_truncate(to, (uint64_t)length);
}

int model_pages_file(struct model *model, enum file nr, struct file_object *file)
{
	const int fd = model->own_files->file[nr].fd;
	struct inode *inode = file->inode;
	int err;

	if (nr >= FILE_MEM && !model->with.host_memfds) {
		err = memmap_shared_memory_create(model->memory_file, 0, 0, NULL,
						  &inode->real_identity, &inode->real);
		if (!err)
			err = (int)copy_contents(inode->real, fd);
	} else {
		inode->on_host = true;
		err = memmap_host_file_open(model->host_files, fd, NULL, &inode->real_identity,
					    &inode->real);
	}
	if (err)
		fprintf(stderr, "differential: a file cannot be made: %s\n", strerror(-err));
	return err;
}

int model_pages_shared(struct model *model, uint64_t length, uint64_t dev, uint64_t ino,
		       struct memmap_mmap_file *out)
{
	const struct memmap_shared_memory_options options = {.device = dev, .inode = ino};

	out->readable = out->writable = true;
	return memmap_shared_memory_create(model->memory_file, length, 0, &options, &out->identity,
					   &out->mappable);
}

/* The bytes [from, to) are zeros from now on, though they are no whole page. */
static int64_t zero_bytes(struct inode *inode, int fd, uint64_t from, uint64_t to)
{
	static const unsigned char zeros[PAGE];
	const uint64_t page = from & ~(PAGE - 1);
	uint64_t done, size;
	unsigned char there;

	if (from >= to)
		return 0;
	if (inode->on_host)
		return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)from,
				 (off_t)(to - from))
			       ? -errno
			       : 0;
	size = memmap_shared_memory_size(inode->real);
	if (to > size)
		to = size;
	if (from >= to ||
	    memmap_mappable_resident(inode->real, NULL,
				     (struct memmap_mappable_range){page, page + PAGE}, &there) ||
	    !there)
		return 0;
	return memmap_shared_memory_write(inode->real, from, zeros, to - from, &done);
}

static int64_t punch(struct inode *inode, int fd, uint64_t offset, uint64_t length)
{
	const uint64_t end = offset + length;
	const uint64_t first = (offset + PAGE - 1) & ~(PAGE - 1), last = end & ~(PAGE - 1);

	if (!length)
		return -EINVAL;
	if (first > last)
		return zero_bytes(inode, fd, offset, end);
	if (zero_bytes(inode, fd, offset, first) || zero_bytes(inode, fd, last, end))
		return -EIO;
	if (first == last)
		return 0;
	return memmap_mapping_identity_punch_hole(inode->real_identity, NULL,
						  (struct memmap_mappable_range){first, last});
}

static int64_t file_write(struct inode *inode, int fd, const uint64_t *a)
{
	uint64_t words[MOST_FILE_BYTES / 8], done = 0;
	const size_t length = pattern_fill(words, a[2], a[3]);
	ssize_t written;
	int err;

	if (inode->on_host) {
		written = pwrite(fd, words, length, (off_t)a[1]);
		return written < 0 ? -errno : written;
	}
	err = memmap_shared_memory_write(inode->real, a[1], words, length, &done);
	return done ? (int64_t)done : err;
}

static int64_t file_read(struct inode *inode, int fd, const uint64_t *a)
{
	uint64_t words[MOST_FILE_BYTES / 8], done = 0;
	const size_t length = a[2] < sizeof(words) ? a[2] : sizeof(words);
	ssize_t n;
	int err;

	if (inode->on_host) {
		n = pread(fd, words, length, (off_t)a[1]);
		return n < 0 ? -errno : bytes_sum(words, (uint64_t)n);
	}
	err = memmap_shared_memory_read(inode->real, a[1], words, length, &done);
	return err ? err : bytes_sum(words, done);
}

static int64_t file_step(struct model *model, const struct step *step)
{
	const uint64_t *a = step->args;
	const struct open_file *own = &model->own_files->file[a[0]];
	struct inode *inode = ((struct file_object *)(void *)model->open[a[0]].identity)->inode;

	if (step->op == OP_FILE_READ ? !own->readable : !own->writable)
		return step->op == OP_TRUNCATE ? -EINVAL : -EBADF;
	switch (step->op) {
	case OP_FILE_WRITE:
		return file_write(inode, own->fd, a);
	case OP_FILE_READ:
		return file_read(inode, own->fd, a);
	case OP_TRUNCATE:
		return inode->on_host ? memmap_host_file_truncate(inode->real_identity, a[1])
				      : memmap_shared_memory_truncate(inode->real, a[1]);
	default:
		return punch(inode, own->fd, a[1], a[2]);
	}
}

/* ---- Steps ---- */

int64_t model_pages_fork(struct model *model, const struct step *step)
{
	const unsigned int child = (unsigned int)step->args[0];
	struct memmap_mm_fork_options options = {0};
	int err;

	model->guest[child] = guest_create(model_platform);
	if (!model->guest[child])
		return -ENOMEM;
	options.address_space = guest_address_space(model->guest[child]);
	err = memmap_mm_fork_into(model->mm[step->process], &options, &model->mm[child]);
	if (!err) {
		guest_set_mm(model->guest[child], model->mm[child]);
	} else {
		guest_destroy(model->guest[child]);
		model->guest[child] = NULL;
	}
	return err;
}

/* The kernel reads or writes memory, in a place and of a length that a step says. */
static struct outcome copy_step(struct model *model, const struct step *step)
{
	struct memmap_mm *mm = model->mm[step->process];
	const uint64_t *a = step->args, len = step->op < OP_PEEK ? 1 : a[1];
	uint64_t words[MOST_FILE_BYTES / 8] = {0}, done = 0;
	struct outcome outcome = {0};
	int err;

	if (guest_copy(model->guest[step->process], model->own_files, step, &outcome))
		return outcome;
	if (len > sizeof(words))
		return (struct outcome){.result = -EPROTO};
	if (step->op == OP_COPY_OUT &&
	    pread(model->own_files->pattern_fd, words, len, (off_t)(a[2] % PAGE)) != (ssize_t)len)
		return (struct outcome){.result = -EPROTO};
	if (step->op == OP_COPY_OUT || step->op == OP_WRITE)
		err = memmap_mm_copy_out(mm, a[0], words, len, NULL, &done);
	else
		err = memmap_mm_copy_in(mm, a[0], words, len, NULL, &done);
	if (!done && err)
		outcome.result = memmap_is_bus_error(err) ? -EFAULT : err;
	else if (step->op > OP_PEEK)
		outcome.result = (int64_t)done;
	if (step->op == OP_COPY_IN && outcome.result > 0)
		outcome.detail = (uint64_t)bytes_sum(words, done);
	return outcome;
}

static int64_t process_vm(struct model *model, const struct step *step)
{
	const uint64_t *a = step->args;
	const struct memmap_iovec local = {a[3], a[2]}, remote = {a[1], a[2]};
	struct memmap_mm *here = model->mm[step->process], *there = model->mm[a[0]];

	return step->op == OP_VM_READ
		       ? memmap_mm_sys_process_vm_readv(here, &local, 1, there, &remote, 1, 0)
		       : memmap_mm_sys_process_vm_writev(here, &local, 1, there, &remote, 1, 0);
}

/*
 * Is the page one of a host file? Which of those are in memory is the system's own affair; as is
 * what stays of shared memory when it is paged out: pages that nobody has written to need not.
 */
static bool is_kernels_own(const struct model *model, struct memmap_mm *mm, uint64_t page)
{
	struct memmap_vma vma;

	if (!memmap_mm_find_vma(mm, page, &vma) || vma.range.start > page || !vma.mappable)
		return false;
	if (model->pages_go)
		return true;
	for (const struct inode *inode = model->inodes; inode; inode = inode->next)
		if (vma.mappable == inode->real)
			return inode->on_host;
	return false;
}

static int64_t mincore_step(const struct model *model, const struct step *step, int64_t from_kernel)
{
	struct memmap_mm *mm = model->mm[step->process];
	const uint64_t *a = step->args, pages = a[1] / PAGE + (a[1] % PAGE != 0);
	unsigned char vec[EXECUTOR_MINCORE_PAGES];
	const int64_t result = memmap_mm_sys_mincore(mm, a[0], a[1], vec);

	if (result)
		return result;
	if (from_kernel >= 0 && (model->with.huge_pages || model->with.around ||
				 (model->pages_go && kernel_has_swap())))
		return from_kernel;
	for (uint64_t i = 0; i < pages && pages <= EXECUTOR_MINCORE_BITS; i++)
		if (is_kernels_own(model, mm, a[0] + i * PAGE))
			vec[i] = (from_kernel >> i) & 1;
	return executor_mincore_result(vec, pages);
}

struct outcome model_pages_run(struct model *model, const struct step *step,
			       const struct outcome *from_kernel)
{
	switch (step->op) {
	case OP_READ:
	case OP_WRITE:
	case OP_COPY_OUT:
	case OP_COPY_IN:
		return copy_step(model, step);
	case OP_VM_READ:
	case OP_VM_WRITE:
		return (struct outcome){.result = process_vm(model, step)};
	case OP_FILE_WRITE:
	case OP_FILE_READ:
	case OP_TRUNCATE:
	case OP_PUNCH:
		return (struct outcome){.result = file_step(model, step)};
	case OP_MINCORE:
		return (struct outcome){.result = mincore_step(model, step, from_kernel->result)};
	default:
		return guest_touch(model->guest[step->process], step);
	}
}
