/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The differential fuzzer: memory system calls run twice, by the running kernel and by memmap, and
 * everything that can be seen of the two address spaces is compared after each of them.
 *
 *   generate ──▶ step ──▶ kernel side: an executor process makes the call     ──▶ result, maps,
 * smaps │                                                                   │ compare └────▶ model
 * side: a memmap_mm does the same                ──▶ result, maps, flags
 *
 * Words: a *step* is one system call (or touch, fork, limit) of one process; a *script* is a list
 * of steps and can be printed and read back; a *world* is the executor with all that forked from
 * it, and the address spaces that mirror them. Whether a world finds a difference depends on the
 * script alone: address randomisation is off, and nothing else goes on in the executor.
 */
#ifndef DIFFERENTIAL_H
#define DIFFERENTIAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/types.h>

#include <memmap/mm.h>

#include "differential_protocol.h"

#define PAGE        4096ULL
#define HUGE_PAGE   (2ULL << 20)
#define ARENA       0x10000000ULL
#define ARENA_PAGES 64
#define TASK_END    0x7ffffffff000ULL

/* ---- Steps ---- */

enum op {
	OP_MMAP,
	OP_MUNMAP,
	OP_MPROTECT,
	OP_MREMAP,
	OP_BRK,
	OP_MADVISE,
	OP_MLOCK,
	OP_MLOCK2,
	OP_MUNLOCK,
	OP_MLOCKALL,
	OP_MUNLOCKALL,
	OP_MSEAL,
	OP_MSYNC,
	OP_READ,  /* touch a byte */
	OP_WRITE, /* touch a byte */
	OP_FORK,  /* the child gets the number in args[0] */
	OP_EXIT,
	OP_LIMIT, /* set a soft limit: which, bytes */
	OP_PERSONALITY,
	OP_STRIPE, /* many calls: mprotect every other page, args[1] of them, to PROT_READ */
	OP_VMAS,   /* no call: the range args[0..1) must be made of args[2] VMAs */
	/* Only where there are pages: */
	OP_PEEK, /* load */
	OP_POKE, /* store */
	OP_ADD,  /* fetch and add */
	OP_RUN,  /* call a "ret" */
	OP_SUM,  /* load all */
	OP_MINCORE,
	OP_COPY_OUT,   /* the kernel writes memory */
	OP_COPY_IN,    /* the kernel reads memory */
	OP_VM_READ,    /* process_vm_readv */
	OP_VM_WRITE,   /* process_vm_writev */
	OP_FILE_WRITE, /* pwrite */
	OP_FILE_READ,  /* pread */
	OP_TRUNCATE,   /* ftruncate */
	OP_PUNCH,      /* fallocate: punch a hole */
	NR_OPS
};

struct step {
	enum op op;
	unsigned int process;
	uint64_t args[6];
	bool expects; /* the script says what both sides must return */
	int64_t expected;
};

/* What came of a step. */
struct outcome {
	int64_t result;  /* or -EXECUTOR_SEGV_MAPERR and the like */
	uint64_t detail; /* where it faulted; a checksum of what was read */
};

/* What the executor is started with. */
struct surroundings {
	bool pages;       /* there are pages, and what is in them is compared */
	bool host_memfds; /* with pages: memfds are host files on our side, not shared memory */
	bool huge_pages; /* with pages: some may be huge, so that which are there is not compared */
	bool around;     /* with pages: ours makes more present than is touched; likewise */
	bool no_ipc_lock; /* it lacks CAP_IPC_LOCK: RLIMIT_MEMLOCK counts */
	bool bottom_up;   /* the legacy layout */
};

struct script {
	struct step *steps;
	size_t len, cap;
	struct surroundings with;
	bool maps_only; /* there are too many VMAs to compare more than maps after each step */
};

/* The i-th call of an OP_STRIPE. */
struct step stripe_step(const struct step *step, uint64_t i);

void script_append(struct script *script, struct step step);
void script_release(struct script *script);

/* Where symbolic addresses begin; found when a world starts, the same in all of them. */
struct bases {
	uint64_t brk;   /* B: the start of the heap */
	uint64_t top;   /* T: where what the kernel places first will end; bottom-up: begin */
	uint64_t stack; /* S: the start of the stack's VMA */
};

void step_print(FILE *out, const struct step *step, const struct bases *bases);
void script_print(FILE *out, const struct script *script, const struct bases *bases);
/* Returns 0, or -1 and a message on stderr. */
int script_read(const char *path, struct script *script, const struct bases *bases);
const char *error_name(int64_t error);
const char *op_name(enum op op);

/* ---- Files that the executor has open ---- */

enum file {
	FILE_RW,     /* a regular file */
	FILE_RW2,    /* the same inode, opened once more */
	FILE_RO,     /* the same inode, for reading only */
	FILE_WO,     /* the same inode, for writing only */
	FILE_OTHER,  /* another regular file */
	FILE_MEM,    /* a memfd */
	FILE_MEM2,   /* the same memfd, opened once more */
	FILE_MEMRO,  /* the same memfd, for reading only */
	FILE_SEALED, /* a memfd with F_SEAL_WRITE */
	FILE_FUTURE, /* a memfd with F_SEAL_FUTURE_WRITE */
	FILE_DIR,    /* a directory: it cannot be mapped */
	FILE_PATH,   /* opened with O_PATH: no file at all for mmap */
	FILE_NONE,   /* a descriptor that is not open */
	NR_FILES
};

#define FILE_BYTES (1ULL << 28) /* all of them are longer than any sane mapping */

extern const char *const file_names[NR_FILES];

struct open_file {
	int fd;
	uint64_t dev, ino;
	bool readable, writable, huge_aligned, no_exec, no_mmap, sealed, usable;
	char name[256]; /* as maps shows it */
};

struct open_files {
	struct open_file file[NR_FILES];
	int zero_fd, scratch_fd, pattern_fd;
};

#define MOST_FILE_BYTES (32 * PAGE) /* that one step reads or writes */
#define PATTERN_BYTES   (64 * PAGE)

/* These return 0, or -1 with a message on stderr. */
int open_files_create(struct open_files *files, bool with_pages);
int open_files_reset(const struct open_files *files); /* the contents, as they were at first */
void open_files_destroy(struct open_files *files);
/* Do to a file what the step says: what the system call returns. */
int64_t open_files_step(const struct open_files *files, const struct step *step);
/* Bytes that vary with the seed: how many there are, MOST_FILE_BYTES at most. */
size_t pattern_fill(uint64_t *words, uint64_t length, uint64_t seed);
/* A checksum of bytes; up to 4, the bytes themselves. */
int64_t bytes_sum(const uint64_t *words, uint64_t length);
/* Of the first bytes that were copied in. */
uint64_t open_files_scratch_sum(const struct open_files *files, uint64_t length);
/* Say what failed, with errno. Returns -1. */
int broken(const char *what);

/* ---- The kernel's side ---- */

/* One line of /proc/PID/maps, and what smaps knows beyond it. */
struct kernel_vma {
	uint64_t start, end, offset, dev, ino;
	char perms[5];
	char name[256];
	/* Only where smaps was read: */
	uint64_t flags;                                         /* MEMMAP_VM_* */
	uint64_t rss, pss, shared, private_, anonymous, locked; /* kB */
};

struct kernel_vmas {
	struct kernel_vma *vmas;
	size_t len, cap;
};

void kernel_vmas_parse(struct kernel_vmas *vmas, const char *maps);
void kernel_vmas_parse_smaps(struct kernel_vmas *vmas, const char *smaps);
void kernel_vmas_release(struct kernel_vmas *vmas);

struct kernel_process {
	pid_t pid;
	int maps_fd, smaps_fd, status_fd;
	char *maps; /* the text, as read last */
	size_t maps_len, maps_cap;
	char *smaps;
	size_t smaps_len, smaps_cap;
};

struct kernel_stats {
	uint64_t total_pages, locked_pages, data_pages, stack_pages, exec_pages, anon_pages;
};

struct kernel {
	int command_fd[EXECUTOR_MAX_PROCESSES]; /* the fuzzer's ends of the pipes */
	int reply_fd[EXECUTOR_MAX_PROCESSES];
	struct kernel_process process[EXECUTOR_MAX_PROCESSES];
	bool alive[EXECUTOR_MAX_PROCESSES];
	pid_t executor; /* process 0, which all others come from */
	const struct open_files *files;
	struct memmap_mm_layout layout;
	struct memmap_mm_limits limits;
	struct bases bases;
};

/* All return 0 or more, or -1 with a message on stderr: then the harness itself is broken. */
int kernel_start(struct kernel *kernel, const struct open_files *files, struct surroundings with);
void kernel_stop(struct kernel *kernel);
int kernel_run(struct kernel *kernel, const struct step *step, struct outcome *outcome);
int kernel_read_maps(struct kernel *kernel, unsigned int process);
int kernel_read_smaps(struct kernel *kernel, unsigned int process, struct kernel_vmas *vmas);
/* Does smaps show where guard pages may be? */
bool kernel_shows_guards(void);
/* Is there somewhere for anonymous pages to go? */
bool kernel_has_swap(void);
int kernel_read_stats(struct kernel *kernel, unsigned int process, struct kernel_stats *stats);

/* ---- The model's side ---- */

/* What runs the guests of address spaces with pages. */
enum platform {
	PLATFORM_TABLE,     /* the fuzzer's own: a table of pages */
	PLATFORM_NONE,      /* memory is touched from outside: <memmap/mm_access.h> */
	PLATFORM_SOFT,      /* <memmap/platform_soft.h> */
	PLATFORM_INPROC,    /* <memmap/platform_inproc.h> */
	PLATFORM_USERFAULT, /* the same with a userfaultfd: there the kernel itself copies, too */
	NR_PLATFORMS
};
extern enum platform model_platform;

struct model;

int model_start(struct model **out, struct kernel *kernel, const struct open_files *files,
		const struct open_files *own_files, struct surroundings with);
/* Returns false, with a message, when something was left over. */
bool model_stop(struct model *model);
/* What would come of it? What only the pages can tell is taken from the kernel, without pages. */
struct outcome model_run(struct model *model, const struct kernel *kernel, const struct step *step,
			 const struct outcome *from_kernel);
const char *model_maps(struct model *model, unsigned int process);
struct memmap_mm *model_mm(struct model *model, unsigned int process);
/* Is what the files know of their mappings what the address spaces say? */
bool model_check_files(struct model *model);

/* ---- What smaps and status say ---- */

/* What steps that were made have left to the kernel. */
struct unknowns {
	bool pages_go; /* pages of files may have gone from memory by themselves (PAGEOUT) */
	bool pinned;   /* pages were read by process_vm_readv: who shares them is not compared */
};

/* Do both sides say the same of what is resident? `vmas` is what the kernel's smaps says. */
bool same_usage(struct kernel *kernel, struct memmap_mm *mm, unsigned int process,
		const struct kernel_vmas *vmas, struct unknowns unknowns, bool verbose);

/* ---- The generator ---- */

struct generator {
	uint64_t state;
	struct kernel_vmas vmas;
	bool pages;           /* there are pages */
	bool locks;           /* this script locks memory: then nothing huge is mapped */
	bool past_end;        /* this script maps past the ends of files: it populates nothing */
	bool only_anonymous;  /* this script maps no files */
	uint64_t arena_pages; /* how much of the arena it uses */
	bool limits;          /* this script lowers limits */
	bool forks;           /* this script forks */
	bool seals;           /* this script seals */
	bool pins;            /* this script reads other processes' memory */
	bool pages_out;  /* this script asks for pages to be paged out, and frees none lazily */
	bool huge_pages; /* pages may be huge */
	uint64_t guarded[64]; /* ranges that must stay as they are: start, end, start, end ... */
	size_t nr_guarded;
	uint64_t special_start, special_end; /* where [vdso] and [vvar] are at first */
};

uint64_t random_next(uint64_t *state);
void generator_start(struct generator *g, uint64_t seed, bool pages, const struct kernel *kernel,
		     struct script *script);
void generator_release(struct generator *g);
struct step generator_next(struct generator *g, struct kernel *kernel);

#endif /* DIFFERENTIAL_H */
