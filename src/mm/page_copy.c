/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies from and to the pages of Files: through this process's own mapping of them where there is
 * one, with copies that survive a file which shrinks meanwhile; else through the File's own reading
 * and writing, by way of a buffer where both sides need one.
 *
 * Locking: none of its own; whoever calls sees to it that the pages stay what they are.
 */
#include "page_copy.h"

#include <errno.h>

#include <memmap/block.h>
#include <memmap/error.h>

#define BUFFER_SIZE 1024

/* A safe copy met a fault: what was behind the mapping is gone. */
static int fault(int err)
{
	return err == -EFAULT ? memmap_bus_error(err) : err;
}

static uint64_t length_of(struct page_bytes b)
{
	return memmap_file_range_length(b.fr);
}

static int blocks_of(struct page_bytes b, memmap_access at, struct memmap_block_seq *out)
{
	return memmap_file_map_internal(b.file, b.fr, at, out);
}

int page_bytes_read(struct page_bytes from, void *dst, uint64_t *done)
{
	struct memmap_block_seq blocks, to;
	*done = 0;
	int err = blocks_of(from, MEMMAP_READ, &blocks);
	if (err == -EOPNOTSUPP)
		return memmap_file_buffer_read_at(from.file, from.fr.start, dst, length_of(from),
						  done);
	if (err)
		return err;
	to = memmap_block_seq_of(memmap_block_safe(dst, length_of(from)));
	return fault(memmap_copy_seq(to, blocks, done));
}

int page_bytes_write(struct page_bytes to, const void *src, uint64_t *done)
{
	struct memmap_block_seq blocks, from;
	*done = 0;
	int err = blocks_of(to, MEMMAP_WRITE, &blocks);
	if (err == -EOPNOTSUPP)
		return memmap_file_buffer_write_at(to.file, to.fr.start, src, length_of(to), done);
	if (err)
		return err;
	/* The block is only read from, though its type has no const to say so. */
	from = memmap_block_seq_of(memmap_block_safe((void *)src, length_of(to)));
	return fault(memmap_copy_seq(blocks, from, done));
}

int page_bytes_zero(struct page_bytes to, uint64_t *done)
{
	static const unsigned char zeros[BUFFER_SIZE];
	struct memmap_block_seq blocks;
	*done = 0;
	int err = blocks_of(to, MEMMAP_WRITE, &blocks);
	if (err != -EOPNOTSUPP)
		return err ? err : fault(memmap_zero_seq(blocks, done));
	for (err = 0; !err && *done < length_of(to);) {
		uint64_t n = length_of(to) - *done, written = 0;
		if (n > sizeof(zeros))
			n = sizeof(zeros);
		err = memmap_file_buffer_write_at(to.file, to.fr.start + *done, zeros, n, &written);
		*done += written;
	}
	return err;
}

/* By way of a buffer. */
static int copy_buffered(struct page_bytes to, struct page_bytes from, uint64_t *done)
{
	unsigned char buffer[BUFFER_SIZE];
	int err = 0;
	while (!err && *done < length_of(to)) {
		uint64_t n = length_of(to) - *done, read = 0, written = 0;
		if (n > sizeof(buffer))
			n = sizeof(buffer);
		struct page_bytes src = {
			.file = from.file,
			.fr = {from.fr.start + *done, from.fr.start + *done + n},
		};
		err = page_bytes_read(src, buffer, &read);
		if (read == 0)
			break;
		struct page_bytes dst = {
			.file = to.file,
			.fr = {to.fr.start + *done, to.fr.start + *done + read},
		};
		int write_err = page_bytes_write(dst, buffer, &written);
		*done += written;
		if (write_err)
			err = write_err;
	}
	return err;
}

int page_bytes_copy(struct page_bytes to, struct page_bytes from, uint64_t *done)
{
	struct memmap_block_seq dst, src;
	*done = 0;
	int err = blocks_of(to, MEMMAP_WRITE, &dst);
	if (!err)
		err = blocks_of(from, MEMMAP_READ, &src);
	if (err == -EOPNOTSUPP)
		return copy_buffered(to, from, done);
	return err ? err : fault(memmap_copy_seq(dst, src, done));
}
