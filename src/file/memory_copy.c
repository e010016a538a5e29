/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Copies within a memory file, by system calls (memory_file.h says when that pays).
 *
 * Locking: none: whoever calls holds the pages.
 */
#include "file/host.h"
#include "file/memory_file.h"

int memmap_memory_file_copy(struct memmap_memory_file *mf, uint64_t to, uint64_t from,
			    uint64_t length, void *buffer, size_t size)
{
	const struct memmap_file_range all = {from, from + length};
	int fd;
	int err = memmap_file_data_fd(memmap_memory_file_file(mf), all, &fd);
	for (uint64_t done = 0, n; !err && done < length; done += n) {
		n = length - done < size ? length - done : size;
		err = memmap_host_read(fd, buffer, n, from + done);
		if (!err)
			err = memmap_host_write(fd, buffer, n, to + done);
	}
	return err;
}
