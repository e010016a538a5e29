/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the differential fuzzer's model share. */
#ifndef DIFFERENTIAL_MODEL_H
#define DIFFERENTIAL_MODEL_H

#include <memmap/mapping_set.h>
#include <memmap/memory_file.h>

#include "differential_pages.h"

/* An inode: a stand-in that knows its mappings, or with pages a real one. */
struct inode {
	struct memmap_mappable mappable;
	struct memmap_mapping_set mappings;
	struct memmap_mappable *real;
	struct memmap_mapping_identity *real_identity; /* one reference */
	bool on_host;                                  /* a host file; otherwise shared memory */
	uint64_t dev, ino;
	struct inode *next;
};

/* An open file. It shows the kernel's device, inode and name, whatever is behind it. */
struct file_object {
	struct memmap_mapping_identity identity;
	struct inode *inode;
	long references; /* of mappings, beyond the model's own */
	char name[256];
	struct file_object *next;
};

struct model {
	struct memmap_mm *mm[EXECUTOR_MAX_PROCESSES];
	struct memmap_text maps[EXECUTOR_MAX_PROCESSES];
	struct inode *inodes;
	struct file_object *files;
	struct memmap_mmap_file open[NR_FILES];
	const struct open_files *described;
	/* Only with pages: */
	const struct open_files *own_files;
	struct guest *guest[EXECUTOR_MAX_PROCESSES];
	struct memmap_memory_file *memory_file;
	struct memmap_host_files *host_files;
	struct surroundings with;
	bool pages_go; /* pages were to be paged out */
};

struct inode *model_inode(struct model *model, uint64_t dev, uint64_t ino);
struct file_object *model_file(struct model *model, uint64_t dev, uint64_t ino, const char *name);

/* ---- With pages ---- */

int model_pages_start(struct model *model);
/* Returns false, with a message, when memory was left over. */
bool model_pages_stop(struct model *model);
/* Put the real one behind an open file. */
int model_pages_file(struct model *model, enum file nr, struct file_object *file);
int model_pages_shared(struct model *model, uint64_t length, uint64_t dev, uint64_t ino,
		       struct memmap_mmap_file *out);
int64_t model_pages_fork(struct model *model, const struct step *step);
struct outcome model_pages_run(struct model *model, const struct step *step,
			       const struct outcome *from_kernel);
bool model_pages_check(struct model *model);

#endif /* DIFFERENTIAL_MODEL_H */
