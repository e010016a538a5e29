/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Host files: files of the system that this process runs on, mapped by descriptor.
 *
 * An open file is a MappingIdentity; the file it was opened on is a Mappable, and files opened
 * several times share it, which is what makes their shared mappings (and their futexes) one. Guests
 * get the file's own pages, those that every other process of the system sees.
 *
 * Where a file ends is asked of the system at each translation: a page wholly past the end is a bus
 * error, and is there when the file has grown. Whoever makes a file shorter, or punches holes into
 * it, does so with the functions below, which tell the spaces that map it; when somebody else did,
 * memmap_host_file_refresh() does that part.
 *
 * The device and inode numbers are those of fstat(2). On file systems that show others in
 * /proc/PID/maps (btrfs, overlayfs) they differ from the kernel's text.
 *
 * Locking: every function may be called from any thread. Those that invalidate mappings must be
 * called with no lock held that invalidate() of a space takes which maps the file.
 */
#ifndef MEMMAP_HOST_FILE_H
#define MEMMAP_HOST_FILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <memmap/allocator.h>
#include <memmap/api.h>
#include <memmap/memmap.h>

MEMMAP_BEGIN_DECLS

/* All host files of a program, or of a part of it that shares none with others. */
struct memmap_host_files;

/**
 * Make a set of host files with none in it. `allocator` may be NULL: the default.
 *
 * Returns:     0, -ENOMEM
 */
MEMMAP_API int memmap_host_files_create(const struct memmap_allocator *allocator,
					struct memmap_host_files **out);

/**
 * Free the set. NULL is ignored.
 *
 * Requires:    no file is open; otherwise panics
 */
MEMMAP_API void memmap_host_files_release(struct memmap_host_files *files);

/**
 * Open a file that the program has open as `fd`, which stays the program's: it may close it.
 *
 * `name` is what /proc/PID/maps shows, kept by copy; NULL: what the kernel would show, which follows
 * renames and says " (deleted)". The identity comes with one reference; the mappable lives while an
 * identity of its file has any.
 *
 * Returns:     0 and both in `*identity` and `*mappable`
 *              -ENODEV  not a regular file
 *              -EBADF   not open, or with O_PATH
 *              -ENOMEM
 *              or what the system says when the descriptor is duplicated or looked at
 */
MEMMAP_API int memmap_host_file_open(struct memmap_host_files *files, int fd, const char *name,
				     struct memmap_mapping_identity **identity,
				     struct memmap_mappable **mappable);

/* `identity` in all that follows is one that memmap_host_file_open() made. */

/** The identity's own descriptor, open while it has references. */
MEMMAP_API int memmap_host_file_fd(struct memmap_mapping_identity *identity);

/* What decides how an open file may be mapped. */
struct memmap_host_file_info {
	bool readable, writable; /* how it was opened */
	bool append_only;        /* the inode may only be appended to */
	bool no_exec;            /* it lies on a file system mounted noexec */
	bool seal_write;         /* F_SEAL_WRITE or F_SEAL_FUTURE_WRITE */
	bool huge_aligned;       /* its file system places large mappings for huge pages */
	bool dax;                /* MAP_SYNC works */
	bool refuses_sync; /* its file system knows MAP_SYNC, and does not do it for this file */
	uint64_t size;
};

/**
 * Look at the file as it is now.
 *
 * Returns:     0, or what the system says
 */
MEMMAP_API int memmap_host_file_look(struct memmap_mapping_identity *identity,
				     struct memmap_host_file_info *out);

/**
 * Set the file's size, as ftruncate(2) does; mappings of what is cut off are invalidated, private
 * copies included.
 *
 * Returns:     0, or what ftruncate(2) or fstat(2) failed with
 * On failure:  nothing has changed
 */
MEMMAP_API int memmap_host_file_truncate(struct memmap_mapping_identity *identity, uint64_t size);

/**
 * The file may have become shorter in another way: invalidate the mappings of all that is past its
 * end now, private copies included.
 *
 * Returns:     0, or what fstat(2) failed with
 */
MEMMAP_API int memmap_host_file_refresh(struct memmap_mapping_identity *identity);

MEMMAP_END_DECLS

#endif /* MEMMAP_HOST_FILE_H */
