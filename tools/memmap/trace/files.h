/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The files that traced programs map, as the model knows them.
 *
 * A *mapped file* is one inode: a Mappable with its reverse map (a MappingSet), shared by every
 * address space that is traced. An *opened file* is one open file of it: a MappingIdentity.
 * Mappings merge only within one opened file.
 *
 * Both live as long as a VMA (or a call at hand) holds a reference to the opened file, no longer:
 * an inode number may then come back as another file.
 *
 * What maps shows of a file (device, inode, name) may be other than what stat(2) says, and names
 * change when files are renamed or deleted: files_learn() takes over what maps shows.
 *
 * Locking: none
 */
#ifndef MEMMAP_TOOL_FILES_H
#define MEMMAP_TOOL_FILES_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <memmap/mapping_set.h>
#include <memmap/memmap.h>
#include <memmap/mm.h>

struct files;

/* How the model can follow a mapping of a file. */
enum file_class {
	FILE_ORDINARY,   /* as the rules for files say */
	FILE_UNMAPPABLE, /* ENODEV */
	FILE_URING,      /* io_uring's: the kernel alone knows how much there is to map */
	FILE_PECULIAR,   /* a device or the like: whatever the kernel makes of it is taken over */
};

struct mapped_file {
	struct memmap_mappable mappable;
	struct files *files;
	struct mapped_file *next;
	uint64_t device, inode; /* as stat(2) says; what it is found by */
	bool found_by_stat;     /* false: made by the kernel at exec, found by what maps shows */
	uint64_t shown_device, shown_inode;
	bool learned; /* what maps shows has been seen */
	struct memmap_mapping_set mappings;
	struct opened_file *opened;
};

struct opened_file {
	struct memmap_mapping_identity identity;
	struct mapped_file *file;
	struct opened_file *next;
	size_t nr_references;
	int local_fd; /* a duplicate, to compare with; -1: none */
	enum file_class class;
	bool may_change; /* what was found out may change: look again each time */
	struct memmap_mmap_file facts;
	uint64_t ring_size; /* of a ring of io_setup(2); 0: it is none */
	char *name;         /* as maps shows it, newlines escaped */
	size_t name_length;
};

struct files *files_create(void);
void files_release(struct files *files);

/**
 * The opened file behind descriptor `fd` of process `pid`, with a reference for the caller.
 *
 * Returns:     0; -EBADF: not open; another negative errno
 */
int files_open(struct files *files, pid_t pid, int fd, struct opened_file **out);

/** Process `pid` has ended: its number may come back. */
void files_forget_process(struct files *files, pid_t pid);

/**
 * A process that has been running has files open, and mapped: take those of one inode to be one
 * open file each, which is likely and cannot be known.
 */
void files_adopt_descriptors(struct files *files, pid_t pid);

/**
 * An opened file for what the kernel mapped itself: found by what maps shows, unless `fresh`.
 * With a reference for the caller.
 */
int files_show(struct files *files, uint64_t device, uint64_t inode, const char *name,
	       size_t name_length, struct opened_file **out);

/** New shared anonymous memory; its inode is learned. With a reference for the caller. */
int files_shared_anonymous(struct files *files, struct opened_file **out);

/** A new ring of io_setup(2); its inode is learned. With a reference for the caller. */
int files_ring(struct files *files, uint64_t size, struct opened_file **out);

/** A SysV shared memory segment. With a reference for the caller. */
int files_shm(struct files *files, int shmid, uint32_t key, struct opened_file **out);

void opened_file_put(struct opened_file *opened);

/** From the interface that a VMA holds to the file; NULL for NULL. */
struct opened_file *opened_file_of(struct memmap_mapping_identity *identity);

/**
 * Take over what maps shows of a file.
 *
 * Returns:     1 when something was learned
 *              0 when nothing was, or what is shown contradicts what is known: the device and inode
 *              of a file are learned once
 *              -ENOMEM
 */
int files_learn(struct opened_file *opened, uint64_t device, uint64_t inode, const char *name,
		size_t name_length);

/** Call `visit` for each mapped file until it returns false. */
bool files_visit(struct files *files, bool (*visit)(struct mapped_file *file, void *arg),
		 void *arg);

#endif /* MEMMAP_TOOL_FILES_H */
