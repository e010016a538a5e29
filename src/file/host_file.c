/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Open host files, and the registry that knows which of them are opens of the same file.
 *
 * A file is known by its device and inode numbers. They cannot come to mean another file while we
 * have one open that bears them, and an inode is in the registry exactly as long.
 *
 * Invariants: `inodes` is in order of (device, inode); each has an open.
 *
 * Locking: `files->lock` guards the registry and the inodes' nr_opens. It is taken with no lock held
 * and none of the inode's is taken in it, but for adding a descriptor.
 *
 * Refuses: whatever is not a regular file.
 */
#include <memmap/host_file.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <linux/stat.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/statvfs.h>

#include <memmap/arch.h>
#include <memmap/error.h>

#include "base/array.h"
#include "file/host.h"
#include "file/host_inode.h"

#ifndef XFS_SUPER_MAGIC
#	define XFS_SUPER_MAGIC 0x58465342
#endif
#ifndef F_SEAL_FUTURE_WRITE
#	define F_SEAL_FUTURE_WRITE 0x0010
#endif
#ifndef STATX_ATTR_DAX
#	define STATX_ATTR_DAX 0x00200000
#endif

struct memmap_host_files {
	const struct memmap_allocator *allocator;
	pthread_mutex_t lock;
	struct memmap_host_inode **inodes;
	size_t nr, cap;
};

struct host_file {
	struct memmap_mapping_identity identity;
	struct memmap_host_files *files;
	struct memmap_host_inode *inode;
	int fd;
	uint64_t nr_refs; /* atomic */
	size_t name_size; /* 0: the kernel knows the name */
	char name[];
};

static struct host_file *of_identity(struct memmap_mapping_identity *id)
{
	return (struct host_file *)id;
}

/* ---- The registry ---- */

/* How many inodes come before this one. */
static size_t rank(const struct memmap_host_files *files, uint64_t device, uint64_t inode)
{
	size_t low = 0, high = files->nr;
	while (low < high) {
		const size_t middle = low + (high - low) / 2;
		const struct memmap_host_inode *at = files->inodes[middle];
		if (at->device < device || (at->device == device && at->inode < inode))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Drop an open of the inode; the last one frees it. */
static void put_inode(struct memmap_host_files *files, struct memmap_host_inode *inode)
{
	pthread_mutex_lock(&files->lock);
	const bool last = --inode->nr_opens == 0;
	if (last) {
		const size_t i = rank(files, inode->device, inode->inode);
		files->nr--;
		memmove(&files->inodes[i], &files->inodes[i + 1],
			(files->nr - i) * sizeof(struct memmap_host_inode *));
	}
	pthread_mutex_unlock(&files->lock);
	if (last) {
		memmap_host_inode_destroy(inode);
		memmap_deallocate(files->allocator, inode, sizeof(*inode));
	}
}

static int make_room(struct memmap_host_files *files)
{
	if (files->nr < files->cap)
		return 0;
	size_t cap;
	struct memmap_host_inode **bigger = memmap_array_bigger(
		files->allocator, files->inodes, files->nr, files->nr + 1,
		sizeof(struct memmap_host_inode *), _Alignof(struct memmap_host_inode *), &cap);
	if (!bigger)
		return -ENOMEM;
	memmap_deallocate(files->allocator, files->inodes,
			  files->cap * sizeof(struct memmap_host_inode *));
	files->inodes = bigger;
	files->cap = cap;
	return 0;
}

/* The inode of `st`, with one more open. */
static int get_inode(struct memmap_host_files *files, const struct stat *st, bool no_exec,
		     struct memmap_host_inode **out)
{
	struct memmap_host_inode *inode = NULL;
	int err = 0;
	pthread_mutex_lock(&files->lock);
	const size_t i = rank(files, st->st_dev, st->st_ino);
	if (i < files->nr && files->inodes[i]->device == st->st_dev &&
	    files->inodes[i]->inode == st->st_ino) {
		inode = files->inodes[i];
	} else {
		err = make_room(files);
		if (!err) {
			inode = memmap_allocate(files->allocator, sizeof(*inode),
						_Alignof(struct memmap_host_inode));
			err = inode ? 0 : -ENOMEM;
		}
		if (!err) {
			memmap_host_inode_init(inode, files->allocator);
			inode->device = st->st_dev;
			inode->inode = st->st_ino;
			inode->no_exec = no_exec;
			memmove(&files->inodes[i + 1], &files->inodes[i],
				(files->nr - i) * sizeof(struct memmap_host_inode *));
			files->inodes[i] = inode;
			files->nr++;
		}
	}
	if (!err) {
		inode->nr_opens++;
		*out = inode;
	}
	pthread_mutex_unlock(&files->lock);
	return err;
}

int memmap_host_files_create(const struct memmap_allocator *allocator,
			     struct memmap_host_files **out)
{
	struct memmap_host_files *files =
		memmap_allocate(allocator, sizeof(*files), _Alignof(struct memmap_host_files));
	if (!files)
		return -ENOMEM;
	memset(files, 0, sizeof(*files));
	files->allocator = allocator;
	pthread_mutex_init(&files->lock, NULL);
	*out = files;
	return 0;
}

void memmap_host_files_release(struct memmap_host_files *files)
{
	if (!files)
		return;
	if (files->nr > 0)
		memmap_panic("host files: released while %zu are open", files->nr);
	memmap_deallocate(files->allocator, files->inodes,
			  files->cap * sizeof(struct memmap_host_inode *));
	pthread_mutex_destroy(&files->lock);
	memmap_deallocate(files->allocator, files, sizeof(*files));
}

/* ---- The identity ---- */

static void inc_ref(struct memmap_mapping_identity *id)
{
	__atomic_add_fetch(&of_identity(id)->nr_refs, 1, __ATOMIC_RELAXED);
}

static void dec_ref(struct memmap_mapping_identity *id, struct memmap_context *ctx)
{
	struct host_file *hf = of_identity(id);
	(void)ctx;
	if (__atomic_sub_fetch(&hf->nr_refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	struct memmap_host_files *files = hf->files;
	put_inode(files, hf->inode);
	memmap_host_close(hf->fd);
	memmap_deallocate(files->allocator, hf, sizeof(*hf) + hf->name_size);
}

static size_t mapped_name(struct memmap_mapping_identity *id, struct memmap_context *ctx, char *buf,
			  size_t size)
{
	const struct host_file *hf = of_identity(id);
	char name[4097]; /* more than the kernel ever says */
	size_t length;
	(void)ctx;
	if (hf->name_size > 0)
		return (size_t)snprintf(buf, size, "%s", hf->name);
	if (memmap_host_name(hf->fd, name, sizeof(name), &length))
		name[0] = '\0';
	return (size_t)snprintf(buf, size, "%s", name);
}

static uint64_t device_id(struct memmap_mapping_identity *id)
{
	return of_identity(id)->inode->device;
}

static uint64_t inode_id(struct memmap_mapping_identity *id)
{
	return of_identity(id)->inode->inode;
}

static int sync_range(struct memmap_mapping_identity *id, struct memmap_context *ctx,
		      struct memmap_mappable_range mr)
{
	const struct host_file *hf = of_identity(id);
	(void)ctx;
	return memmap_host_inode_sync(hf->inode, hf->fd, mr);
}

/* The system does the same to its own mappings of the file, ours included: nobody sees old bytes. */
static int punch_hole(struct memmap_mapping_identity *id, struct memmap_context *ctx,
		      struct memmap_mappable_range mr)
{
	const struct host_file *hf = of_identity(id);
	(void)ctx;
	if (mr.end > INT64_MAX)
		return -EFBIG;
	pthread_mutex_lock(&hf->inode->mapped.lock);
	int err = memmap_host_punch_hole(hf->fd, mr.start, memmap_mappable_range_length(mr));
	if (!err)
		memmap_mapped_invalidate(&hf->inode->mapped, mr, false);
	pthread_mutex_unlock(&hf->inode->mapped.lock);
	return err;
}

static const struct memmap_mapping_identity_ops identity_ops = {
	.inc_ref = inc_ref,
	.dec_ref = dec_ref,
	.mapped_name = mapped_name,
	.device_id = device_id,
	.inode_id = inode_id,
	.msync = sync_range,
	.punch_hole = punch_hole,
};

/* ---- Opening ---- */

int memmap_host_file_open(struct memmap_host_files *files, int fd, const char *name,
			  struct memmap_mapping_identity **identity,
			  struct memmap_mappable **mappable)
{
	struct stat st;
	int flags;
	int err = memmap_host_open_flags(fd, &flags);
	if (!err && (flags & O_PATH))
		err = -EBADF;
	if (!err)
		err = memmap_host_stat(fd, &st);
	if (!err && !S_ISREG(st.st_mode))
		err = -ENODEV;
	struct statfs fs;
	if (!err)
		err = memmap_host_statfs(fd, &fs);
	if (err)
		return err;
	const size_t name_size = name ? strlen(name) + 1 : 0;
	struct host_file *hf = memmap_allocate(files->allocator, sizeof(*hf) + name_size,
					       _Alignof(struct host_file));
	if (!hf)
		return -ENOMEM;
	memset(hf, 0, sizeof(*hf));
	hf->identity.ops = &identity_ops;
	hf->files = files;
	hf->nr_refs = 1;
	hf->name_size = name_size;
	if (name)
		memcpy(hf->name, name, name_size);
	err = memmap_host_dup(fd, &hf->fd);
	if (err)
		goto free_file;
	err = get_inode(files, &st, ((unsigned long)fs.f_flags & ST_NOEXEC) != 0, &hf->inode);
	if (err)
		goto close_file;
	err = memmap_host_inode_add_descriptor(hf->inode, hf->fd, (flags & O_ACCMODE) != O_WRONLY,
					       (flags & O_ACCMODE) == O_RDWR);
	if (err)
		goto put;
	*identity = &hf->identity;
	*mappable = &hf->inode->mapped.mappable;
	return 0;
put:
	put_inode(files, hf->inode);
close_file:
	memmap_host_close(hf->fd);
free_file:
	memmap_deallocate(files->allocator, hf, sizeof(*hf) + name_size);
	return err;
}

int memmap_host_file_fd(struct memmap_mapping_identity *identity)
{
	return of_identity(identity)->fd;
}

int memmap_host_file_look(struct memmap_mapping_identity *identity,
			  struct memmap_host_file_info *out)
{
	const int fd = memmap_host_file_fd(identity);
	struct stat st;
	struct statfs fs;
	int flags, seals;
	uint64_t attributes;
	int err = memmap_host_open_flags(fd, &flags);
	if (!err)
		err = memmap_host_stat(fd, &st);
	if (!err)
		err = memmap_host_statfs(fd, &fs);
	if (!err)
		err = memmap_host_seals(fd, &seals);
	if (!err)
		err = memmap_host_attributes(fd, &attributes);
	if (err)
		return err;
	const unsigned long type = (unsigned long)fs.f_type;
	const bool knows_sync = type == EXT4_SUPER_MAGIC || type == XFS_SUPER_MAGIC;
	const bool dax = (attributes & STATX_ATTR_DAX) != 0;
	*out = (struct memmap_host_file_info){
		.readable = (flags & O_ACCMODE) != O_WRONLY,
		.writable = (flags & O_ACCMODE) != O_RDONLY,
		.append_only = (attributes & STATX_ATTR_APPEND) != 0,
		.no_exec = ((unsigned long)fs.f_flags & ST_NOEXEC) != 0,
		.seal_write = (seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) != 0,
		.huge_aligned = knows_sync || type == BTRFS_SUPER_MAGIC,
		.dax = dax,
		.refuses_sync = knows_sync && !dax,
		.size = (uint64_t)st.st_size,
	};
	return 0;
}

/* ---- Sizes ---- */

/* Invalidate what lies wholly past `size`. With the mappings' lock held. */
static void invalidate_past(struct memmap_host_inode *inode, uint64_t size)
{
	const struct memmap_mappable_range past = {
		memmap_page_round_down(size + MEMMAP_PAGE_MASK),
		memmap_page_round_down(UINT64_MAX),
	};
	memmap_mapped_invalidate(&inode->mapped, past, true);
}

int memmap_host_file_truncate(struct memmap_mapping_identity *identity, uint64_t size)
{
	const struct host_file *hf = of_identity(identity);
	struct stat st;
	pthread_mutex_lock(&hf->inode->mapped.lock);
	int err = memmap_host_stat(hf->fd, &st);
	if (!err)
		err = memmap_host_truncate(hf->fd, size);
	if (!err && size < (uint64_t)st.st_size)
		invalidate_past(hf->inode, size);
	pthread_mutex_unlock(&hf->inode->mapped.lock);
	return err;
}

int memmap_host_file_refresh(struct memmap_mapping_identity *identity)
{
	const struct host_file *hf = of_identity(identity);
	struct stat st;
	pthread_mutex_lock(&hf->inode->mapped.lock);
	int err = memmap_host_stat(hf->fd, &st);
	if (!err)
		invalidate_past(hf->inode, (uint64_t)st.st_size);
	pthread_mutex_unlock(&hf->inode->mapped.lock);
	return err;
}
