/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Mapped files and opened files.
 *
 * Invariants: a mapped file exists exactly as long as it has opened files; an opened file as long
 * as it is referenced. The duplicate of a descriptor is closed with its opened file, so that no
 * file stays open longer than the program's own mappings keep it (a program that was just written
 * could not be executed otherwise: ETXTBSY).
 */
#include "trace/files.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <platform/ptrace/open_file.h>

#define NR_BUCKETS 256u
#define NR_ASKED   16u

/* A process whose descriptors were asked about not long ago. */
struct asked {
	pid_t pid;                /* 0: nobody */
	int pidfd;                /* negative: there is none */
	struct opened_file *last; /* likely to be asked for again; NULL: it is gone */
};

struct files {
	struct asked asked[NR_ASKED];
	struct mapped_file *buckets[NR_BUCKETS];
};

/*
 * ---- The interfaces ----
 */

static struct mapped_file *file_of(struct memmap_mappable *m)
{
	return (struct mapped_file *)m;
}

static int add_mapping(struct memmap_mappable *m, struct memmap_context *ctx,
		       struct memmap_mapping_space *ms, struct memmap_addr_range ar,
		       uint64_t offset, bool writable)
{
	(void)ctx;
	return memmap_mapping_set_add_mapping(&file_of(m)->mappings, ms, ar, offset, writable,
					      NULL);
}

static int remove_mapping(struct memmap_mappable *m, struct memmap_context *ctx,
			  struct memmap_mapping_space *ms, struct memmap_addr_range ar,
			  uint64_t offset, bool writable)
{
	(void)ctx;
	return memmap_mapping_set_remove_mapping(&file_of(m)->mappings, ms, ar, offset, writable,
						 NULL);
}

static int copy_mapping(struct memmap_mappable *m, struct memmap_context *ctx,
			struct memmap_mapping_space *ms, struct memmap_addr_range src_ar,
			struct memmap_addr_range dst_ar, uint64_t offset, bool writable)
{
	(void)src_ar;
	return add_mapping(m, ctx, ms, dst_ar, offset, writable);
}

/* The bytes stay in the traced program: there is nothing to translate to. */
static int translate(struct memmap_mappable *m, struct memmap_context *ctx,
		     struct memmap_mappable_range required, struct memmap_mappable_range optional,
		     memmap_access at, struct memmap_translations *out)
{
	(void)m, (void)ctx, (void)required, (void)optional, (void)at, (void)out;
	return -EOPNOTSUPP;
}

static int invalidate_unsavable(struct memmap_mappable *m, struct memmap_context *ctx)
{
	(void)m, (void)ctx;
	return 0;
}

static const struct memmap_mappable_ops mappable_ops = {
	.add_mapping = add_mapping,
	.remove_mapping = remove_mapping,
	.copy_mapping = copy_mapping,
	.translate = translate,
	.invalidate_unsavable = invalidate_unsavable,
};

struct opened_file *opened_file_of(struct memmap_mapping_identity *identity)
{
	return (struct opened_file *)identity;
}

static void inc_ref(struct memmap_mapping_identity *id)
{
	opened_file_of(id)->nr_references++;
}

static void dec_ref(struct memmap_mapping_identity *id, struct memmap_context *ctx)
{
	(void)ctx;
	opened_file_put(opened_file_of(id));
}

static size_t mapped_name(struct memmap_mapping_identity *id, struct memmap_context *ctx, char *buf,
			  size_t size)
{
	(void)ctx;
	const struct opened_file *opened = opened_file_of(id);
	if (size > 0) {
		size_t n = opened->name_length < size ? opened->name_length : size - 1;
		memcpy(buf, opened->name, n);
		buf[n] = '\0';
	}
	return opened->name_length;
}

static uint64_t device_id(struct memmap_mapping_identity *id)
{
	return opened_file_of(id)->file->shown_device;
}

static uint64_t inode_id(struct memmap_mapping_identity *id)
{
	return opened_file_of(id)->file->shown_inode;
}

static int msync(struct memmap_mapping_identity *id, struct memmap_context *ctx,
		 struct memmap_mappable_range mr)
{
	(void)id, (void)ctx, (void)mr;
	return 0;
}

static const struct memmap_mapping_identity_ops identity_ops = {
	.inc_ref = inc_ref,
	.dec_ref = dec_ref,
	.mapped_name = mapped_name,
	.device_id = device_id,
	.inode_id = inode_id,
	.msync = msync,
};

/*
 * ---- Making and finding ----
 */

static struct mapped_file **bucket_of(struct files *files, uint64_t device, uint64_t inode)
{
	return &files->buckets[(inode * 31 + device) % NR_BUCKETS];
}

static struct mapped_file *find_by_stat(struct files *files, uint64_t device, uint64_t inode)
{
	struct mapped_file *file = *bucket_of(files, device, inode);
	while (file && !(file->found_by_stat && file->device == device && file->inode == inode))
		file = file->next;
	return file;
}

static struct mapped_file *find_shown(struct files *files, uint64_t device, uint64_t inode)
{
	/* Nearly always what stat(2) says as well. */
	for (struct mapped_file *file = *bucket_of(files, device, inode); file; file = file->next)
		if (file->shown_device == device && file->shown_inode == inode)
			return file;
	for (size_t i = 0; i < NR_BUCKETS; i++)
		for (struct mapped_file *file = files->buckets[i]; file; file = file->next)
			if (file->learned && file->shown_device == device &&
			    file->shown_inode == inode)
				return file;
	return NULL;
}

static struct mapped_file *make_file(struct files *files, uint64_t device, uint64_t inode)
{
	struct mapped_file *file = calloc(1, sizeof(*file));
	if (!file)
		return NULL;
	file->mappable.ops = &mappable_ops;
	file->files = files;
	file->device = file->shown_device = device;
	file->inode = file->shown_inode = inode;
	struct mapped_file **bucket = bucket_of(files, device, inode);
	file->next = *bucket;
	*bucket = file;
	return file;
}

static void free_file(struct mapped_file *file)
{
	struct mapped_file **link = bucket_of(file->files, file->device, file->inode);
	while (*link != file)
		link = &(*link)->next;
	*link = file->next;
	memmap_mapping_set_destroy(&file->mappings);
	free(file);
}

/* Set the name, as maps writes it: a newline becomes \012. */
static int set_name(struct opened_file *opened, const char *name, size_t length)
{
	char *escaped = malloc(4 * length + 1);
	if (!escaped)
		return -ENOMEM;
	size_t n = 0;
	for (size_t i = 0; i < length; i++) {
		if (name[i] == '\n') {
			memcpy(escaped + n, "\\012", 4);
			n += 4;
		} else {
			escaped[n++] = name[i];
		}
	}
	escaped[n] = '\0';
	free(opened->name);
	opened->name = escaped;
	opened->name_length = n;
	return 0;
}

/* An opened file of `file`, which is freed when that fails and it has no other. */
static struct opened_file *make_opened(struct mapped_file *file, const char *name, size_t length)
{
	struct opened_file *opened = calloc(1, sizeof(*opened));
	if (!opened || set_name(opened, name, length)) {
		free(opened);
		if (!file->opened)
			free_file(file);
		return NULL;
	}
	opened->identity.ops = &identity_ops;
	opened->file = file;
	opened->nr_references = 1;
	opened->local_fd = -1;
	opened->facts = (struct memmap_mmap_file){
		.identity = &opened->identity,
		.mappable = &file->mappable,
		.readable = true,
		.writable = true,
	};
	opened->next = file->opened;
	file->opened = opened;
	return opened;
}

void opened_file_put(struct opened_file *opened)
{
	if (--opened->nr_references > 0)
		return;
	struct mapped_file *file = opened->file;
	struct opened_file **link = &file->opened;
	while (*link != opened)
		link = &(*link)->next;
	*link = opened->next;
	for (size_t i = 0; i < NR_ASKED; i++)
		if (file->files->asked[i].last == opened)
			file->files->asked[i].last = NULL;
	if (opened->local_fd >= 0)
		close(opened->local_fd);
	free(opened->name);
	free(opened);
	if (!file->opened)
		free_file(file);
}

/*
 * ---- Descriptors ----
 */

static enum file_class classify(const struct opened_file *opened,
				const struct memmap_open_file *found)
{
	static const char uring[] = "anon_inode:[io_uring]";
	if (opened->name_length == sizeof(uring) - 1 &&
	    memcmp(opened->name, uring, sizeof(uring) - 1) == 0 && found->peculiar)
		return FILE_URING;
	if (found->pipe_like)
		return FILE_UNMAPPABLE;
	if (!S_ISREG(found->mode) || found->peculiar || found->hugetlb)
		return FILE_PECULIAR;
	return FILE_ORDINARY;
}

static void set_facts(struct opened_file *opened, const struct memmap_open_file *found)
{
	struct memmap_mmap_file *facts = &opened->facts;
	opened->class = classify(opened, found);
	opened->may_change = found->writable && found->sealable;
	facts->readable = found->readable;
	facts->writable = found->writable;
	facts->append_only = found->append_only;
	facts->no_exec = found->no_exec || opened->class == FILE_URING;
	facts->no_mmap = opened->class == FILE_UNMAPPABLE;
	facts->huge_aligned = found->huge_aligned;
	facts->map_sync = found->map_sync;
	facts->refuses_sync = found->refuses_sync;
	facts->seal_write = found->seal_write;
	facts->max_offset = 0;
	if (opened->class == FILE_URING)
		facts->extra_flags = MEMMAP_VM_DONTEXPAND | MEMMAP_VM_MIXEDMAP;
}

/* The opened file of `file` that descriptor `fd` is; NULL: none. */
static struct opened_file *find_opened(struct mapped_file *file, pid_t pid, int fd)
{
	for (struct opened_file *opened = file->opened; opened; opened = opened->next)
		if (opened->local_fd >= 0 && memmap_open_file_same(pid, fd, opened->local_fd) == 1)
			return opened;
	return NULL;
}

static struct asked *slot_of(struct files *files, pid_t pid)
{
	return &files->asked[(unsigned int)pid % NR_ASKED];
}

static void forget(struct asked *asked)
{
	if (asked->pid != 0 && asked->pidfd >= 0)
		close(asked->pidfd);
	*asked = (struct asked){0};
}

static struct asked *ask_about(struct files *files, pid_t pid)
{
	struct asked *asked = slot_of(files, pid);
	if (asked->pid != pid) {
		forget(asked);
		*asked = (struct asked){pid, memmap_open_file_pidfd_open(pid), NULL};
	}
	return asked;
}

void files_forget_process(struct files *files, pid_t pid)
{
	struct asked *asked = slot_of(files, pid);
	if (asked->pid == pid)
		forget(asked);
}

int files_open(struct files *files, pid_t pid, int fd, struct opened_file **out)
{
	struct asked *asked = ask_about(files, pid);
	struct opened_file *opened = asked->last;
	/* The dynamic loader maps the same open file several times in a row. */
	if (opened && !opened->may_change && opened->local_fd >= 0 &&
	    memmap_open_file_same(pid, fd, opened->local_fd) == 1) {
		opened->nr_references++;
		*out = opened;
		return 0;
	}
	struct memmap_open_file found;
	int err = memmap_open_file_look(pid, asked->pidfd, fd, &found);
	if (err)
		return err;
	if (found.path_only) {
		if (found.local_fd >= 0)
			close(found.local_fd);
		return -EBADF;
	}
	struct mapped_file *file = find_by_stat(files, found.device, found.inode);
	opened = file ? find_opened(file, pid, fd) : NULL;
	if (opened) {
		opened->nr_references++;
		set_facts(opened, &found);
		if (found.local_fd >= 0)
			close(found.local_fd);
	} else {
		char name[PATH_MAX + 16];
		memmap_open_file_name(pid, fd, found.local_fd, name, sizeof(name));
		if (!file)
			file = make_file(files, found.device, found.inode);
		if (file)
			file->found_by_stat = true;
		opened = file ? make_opened(file, name, strlen(name)) : NULL;
		if (!opened) {
			if (found.local_fd >= 0)
				close(found.local_fd);
			return -ENOMEM;
		}
		set_facts(opened, &found);
		opened->local_fd = found.local_fd;
	}
	asked->last = opened;
	*out = opened;
	return 0;
}

/* Where descriptor `fd` is of an inode that is mapped, it stands for the mappings from now on. */
static void adopt_descriptor(struct files *files, pid_t pid, int fd)
{
	struct memmap_open_file found;
	if (memmap_open_file_look(pid, ask_about(files, pid)->pidfd, fd, &found))
		return;
	struct mapped_file *file = find_by_stat(files, found.device, found.inode);
	if (file && file->opened && file->opened->local_fd < 0 && found.local_fd >= 0) {
		set_facts(file->opened, &found);
		file->opened->local_fd = found.local_fd;
	} else if (found.local_fd >= 0) {
		close(found.local_fd);
	}
}

void files_adopt_descriptors(struct files *files, pid_t pid)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	DIR *descriptors = opendir(path);
	if (!descriptors)
		return;
	for (const struct dirent *entry; (entry = readdir(descriptors));)
		if (entry->d_name[0] != '.')
			adopt_descriptor(files, pid, (int)strtol(entry->d_name, NULL, 10));
	closedir(descriptors);
}

/* Is it a segment of System V shared memory, by what maps shows of it? */
static bool is_segment(uint64_t device, const char *name, size_t name_length)
{
	static const char beginning[] = "/SYSV";
	return device == makedev(0, 1) && name_length >= sizeof(beginning) - 1 &&
	       memcmp(name, beginning, sizeof(beginning) - 1) == 0;
}

int files_show(struct files *files, uint64_t device, uint64_t inode, const char *name,
	       size_t name_length, struct opened_file **out)
{
	struct mapped_file *file = find_shown(files, device, inode);
	if (!file) {
		file = make_file(files, device, inode);
		if (!file)
			return -ENOMEM;
		/* What maps shows is nearly always what stat(2) says. */
		file->found_by_stat = true;
		file->learned = true;
	}
	struct opened_file *opened = make_opened(file, name, name_length);
	if (!opened)
		return -ENOMEM;
	if (is_segment(device, name, name_length))
		opened->facts.extra_flags = MEMMAP_VM_CLOSES;
	*out = opened;
	return 0;
}

/* A file of the kernel's own that nobody can open: its numbers are learned. */
static int make_hidden(struct files *files, const char *name, struct opened_file **out)
{
	struct mapped_file *file = make_file(files, makedev(0, 1), 0);
	*out = file ? make_opened(file, name, strlen(name)) : NULL;
	return *out ? 0 : -ENOMEM;
}

int files_shared_anonymous(struct files *files, struct opened_file **out)
{
	return make_hidden(files, "/dev/zero (deleted)", out);
}

int files_ring(struct files *files, uint64_t size, struct opened_file **out)
{
	const int err = make_hidden(files, "/[aio] (deleted)", out);
	if (err)
		return err;
	(*out)->ring_size = size;
	(*out)->facts.no_exec = true;
	(*out)->facts.extra_flags = MEMMAP_VM_DONTEXPAND;
	return 0;
}

int files_shm(struct files *files, int shmid, uint32_t key, struct opened_file **out)
{
	/* The inode of a segment is its id; the device is the kernel's own, learned from maps. */
	const uint64_t device = UINT64_MAX;
	struct mapped_file *file = find_by_stat(files, device, (uint64_t)shmid);
	if (!file) {
		file = make_file(files, device, (uint64_t)shmid);
		if (!file)
			return -ENOMEM;
		file->found_by_stat = true;
		file->shown_device = makedev(0, 1);
	}
	char name[32];
	int n = snprintf(name, sizeof(name), "/SYSV%08x (deleted)", key);
	struct opened_file *opened = make_opened(file, name, (size_t)n);
	if (!opened)
		return -ENOMEM;
	/* The segment counts its attachments. */
	opened->facts.extra_flags = MEMMAP_VM_CLOSES;
	*out = opened;
	return 0;
}

/*
 * ---- Learning ----
 */

int files_learn(struct opened_file *opened, uint64_t device, uint64_t inode, const char *name,
		size_t name_length)
{
	struct mapped_file *file = opened->file;
	int learned = 0;
	if (file->shown_device != device || file->shown_inode != inode) {
		if (file->learned)
			return 0;
		file->shown_device = device;
		file->shown_inode = inode;
		learned = 1;
	}
	file->learned = true;
	if (opened->name_length != name_length || memcmp(opened->name, name, name_length) != 0) {
		/* The text is escaped already, and holds no newline that could be again. */
		if (set_name(opened, name, name_length))
			return -ENOMEM;
		learned = 1;
	}
	return learned;
}

/*
 * ---- Life ----
 */

struct files *files_create(void)
{
	return calloc(1, sizeof(struct files));
}

void files_release(struct files *files)
{
	for (size_t i = 0; files && i < NR_ASKED; i++)
		forget(&files->asked[i]);
	free(files);
}

bool files_visit(struct files *files, bool (*visit)(struct mapped_file *file, void *arg), void *arg)
{
	for (size_t i = 0; i < NR_BUCKETS; i++)
		for (struct mapped_file *file = files->buckets[i]; file; file = file->next)
			if (!visit(file, arg))
				return false;
	return true;
}
