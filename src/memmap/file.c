/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a File does that leaves out the optional functions of its table.
 */
#include <memmap/memmap.h>

#include <errno.h>

int memmap_file_data_fd(struct memmap_file *file, struct memmap_file_range fr, int *fd)
{
	if (file->ops->data_fd)
		return file->ops->data_fd(file, fr, fd);
	int plain = file->ops->fd(file);
	if (plain < 0)
		return -EBADF;
	*fd = plain;
	return 0;
}

enum memmap_memory_type memmap_file_memory_type(struct memmap_file *file)
{
	return file->ops->memory_type ? file->ops->memory_type(file) : MEMMAP_MEMORY_WRITE_BACK;
}

/* The blocks behind [offset, offset + len), for buffered access through a mapping. */
static int map_for_buffer(struct memmap_file *file, uint64_t offset, uint64_t len, memmap_access at,
			  struct memmap_block_seq *out)
{
	struct memmap_file_range fr = {offset, offset};
	if (__builtin_add_overflow(offset, len, &fr.end))
		return -EOVERFLOW;
	return file->ops->map_internal(file, fr, at, out);
}

/* Copy, and see to it that a mapping too short for the request does not pass for success. */
static int copy_all(struct memmap_block_seq dsts, struct memmap_block_seq srcs, uint64_t len,
		    uint64_t *done)
{
	int err = memmap_copy_seq(dsts, srcs, done);
	return !err && *done < len ? -EIO : err;
}

int memmap_file_buffer_read_at(struct memmap_file *file, uint64_t offset, void *buf, uint64_t len,
			       uint64_t *done)
{
	if (file->ops->buffer_read_at)
		return file->ops->buffer_read_at(file, offset, buf, len, done);
	*done = 0;
	struct memmap_block_seq bytes;
	int err = map_for_buffer(file, offset, len, MEMMAP_READ, &bytes);
	if (err)
		return err;
	return copy_all(memmap_block_seq_of(memmap_block_safe(buf, len)), bytes, len, done);
}

int memmap_file_buffer_write_at(struct memmap_file *file, uint64_t offset, const void *buf,
				uint64_t len, uint64_t *done)
{
	if (file->ops->buffer_write_at)
		return file->ops->buffer_write_at(file, offset, buf, len, done);
	*done = 0;
	struct memmap_block_seq bytes;
	int err = map_for_buffer(file, offset, len, MEMMAP_WRITE, &bytes);
	if (err)
		return err;
	/* The block is only read from, though its type has no const to say so. */
	struct memmap_block source = memmap_block_safe((void *)buf, len);
	return copy_all(bytes, memmap_block_seq_of(source), len, done);
}
