/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the kernel tells of a traced process: its maps, its layout, its limits, its anonymous pages.
 *
 * Units:    bytes and addresses
 * Locking:  none
 */
#ifndef MEMMAP_PLATFORM_PTRACE_PROCESS_INFO_H
#define MEMMAP_PLATFORM_PTRACE_PROCESS_INFO_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <memmap/range.h>

/*
 * A reader of one /proc/PID file, kept open with its buffer. A descriptor of maps, smaps or pagemap
 * stays bound to the address space that the process had when it was opened: open it again after an
 * exec. {.fd = -1} is closed.
 */
struct memmap_proc_reader {
	int fd;
	char *data;
	size_t length, capacity;
};

/** Open /proc/`pid`/`file`, closing what was open. Returns 0 or a negative errno. */
int memmap_proc_reader_open(struct memmap_proc_reader *reader, pid_t pid, const char *file);

/**
 * Read the whole file into `data`.
 *
 * Returns:     0; -ENOMEM; -ESRCH when the process is gone; another negative errno
 */
int memmap_proc_reader_read(struct memmap_proc_reader *reader);

/** As memmap_proc_reader_read(), for maps: knows its last line when it sees it. */
int memmap_proc_reader_read_maps(struct memmap_proc_reader *reader);

/** Close and free. */
void memmap_proc_reader_release(struct memmap_proc_reader *reader);

/* One VMA, as memmap_maps_query() tells of it: what its line of maps shows. */
struct memmap_kernel_vma {
	struct memmap_addr_range range;
	char perms[4]; /* "rw-p" */
	uint64_t offset;
	uint64_t inode;
	uint32_t major, minor;
	size_t name_length; /* `name` is not terminated; a newline in it is not escaped */
	char name[PATH_MAX];
};

/**
 * Ask for the first VMA that ends above `addr`, without reading all of maps.
 *
 * Returns:     0; -ENOENT: there is none
 *              -ENOTTY: the kernel cannot (it is older than Linux 6.11); another negative errno
 */
int memmap_maps_query(const struct memmap_proc_reader *maps, uint64_t addr,
		      struct memmap_kernel_vma *out);

/* What /proc/PID/stat says of an address space's layout. */
struct memmap_process_layout {
	uint64_t start_code, end_code, start_data, end_data;
	uint64_t start_brk, start_stack;
	char command[64]; /* the process's name */
	pid_t parent;
};
int memmap_process_layout(pid_t pid, struct memmap_process_layout *out);

/* What an exec has told the program of where things are; 0 where there is no such thing. */
struct memmap_process_auxv {
	uint64_t base;  /* of the dynamic loader */
	uint64_t entry; /* of the program */
	uint64_t vdso;
};
int memmap_process_auxv(pid_t pid, struct memmap_process_auxv *out);

/* The soft and the hard limit, UINT64_MAX for none. */
struct memmap_process_limit {
	uint64_t soft, hard;
};

/** The limit `resource` (RLIMIT_*) of a process. Returns 0 or a negative errno. */
int memmap_process_limit(pid_t pid, int resource, struct memmap_process_limit *out);

/**
 * The effective capabilities, as a mask; the thread group; and who traces it (0: nobody). Returns 0
 * or a negative errno.
 */
int memmap_process_status(pid_t pid, uint64_t *capabilities, pid_t *tgid, pid_t *tracer);

/**
 * What stands in a process's or thread's status after `label` ("Mems_allowed:"), without spaces
 * before it, cut to fit. Returns 0, -EPROTO: there is no such line; another negative errno.
 */
int memmap_process_status_field(pid_t tid, const char *label, char *out, size_t size);

/** personality(2) of a process; 0 when it cannot be told. */
uint32_t memmap_process_personality(pid_t pid);

/** The command line with spaces between its arguments, cut to fit; the name when it has none. */
void memmap_process_command(pid_t pid, char *buf, size_t size);

/** The file that a process executes, as maps would show it; "" when it cannot be told. */
void memmap_process_executable(pid_t pid, char *buf, size_t size);

/** A number from a file of /proc/sys; `otherwise` when it cannot be read. */
uint64_t memmap_sysctl(const char *path, uint64_t otherwise);

/**
 * Open what memmap_has_anonymous_pages() needs to ask of the address space that `pid` has now.
 *
 * Returns:     a descriptor, or a negative errno
 */
int memmap_pagemap_open(pid_t pid);

/**
 * Has `ar` any anonymous page: a private page that was written, in memory or swapped; not the zero
 * page?
 *
 * Returns:     1, 0; a negative errno
 */
int memmap_has_anonymous_pages(int pagemap_fd, struct memmap_addr_range ar);

/**
 * The lowest address that the kernel gives to a hint: the greater of vm.mmap_min_addr and what it
 * was built with (CONFIG_LSM_MMAP_MIN_ADDR), which nothing shows. Found out by mapping a page.
 */
uint64_t memmap_kernel_min_addr(void);

/** Does the kernel know names of anonymous memory (CONFIG_ANON_VMA_NAME)? */
bool memmap_kernel_has_anon_names(void);

/** Are there protection keys: does the processor know them, and the kernel give them out? */
bool memmap_kernel_has_protection_keys(void);

/* A name of anonymous memory, with its terminating zero, is no longer than this. */
#define MEMMAP_ANON_NAME_SIZE 80

/** Read `size` bytes of a process at `addr`. Returns 0; -EFAULT; another negative errno. */
int memmap_process_read(pid_t tid, uint64_t addr, void *buf, size_t size);

/**
 * Read a string of a process into `buf`, cut to fit and terminated. Returns 0 or a negative errno.
 */
int memmap_process_read_string(pid_t tid, uint64_t addr, char *buf, size_t size);

/** How many CPUs the machine could have, the most that the kernel was made ready for. */
unsigned int memmap_kernel_possible_cpus(void);

/**
 * Could there be a huge page for mmap(MAP_HUGETLB) of the size 1 << `shift`, or of 2 MiB (0)?
 *
 * Returns:     1, also where /sys is not mounted to tell
 *              0: the pool is empty, and not to grow
 *              -EINVAL: there are none of that size
 */
int memmap_kernel_huge_pool(uint64_t shift);

/**
 * Transparent huge pages of anonymous memory: 0 never, 1 where madvise(2) asked for them, 2 always.
 */
int memmap_kernel_huge_pages(void);

/**
 * Does reading private anonymous memory map a page of zeros that all readers share? Some
 * hypervisors have their guests do without one. Found out by reading a page; true when that cannot
 * be told.
 */
bool memmap_kernel_has_zero_page(void);

#endif /* MEMMAP_PLATFORM_PTRACE_PROCESS_INFO_H */
