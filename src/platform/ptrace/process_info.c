/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading /proc.
 *
 * maps is read after every traced call, so it costs no more than it must: one descriptor and one
 * buffer for the life of an address space, and no further read once its last line is there.
 *
 * Whether a private mapping has anonymous pages is asked with the PAGEMAP_SCAN ioctl (Linux 6.7),
 * which walks the page tables in the kernel and returns runs; older kernels are asked page by page
 * through pagemap itself, where the zero page cannot be told from others without privilege.
 */
#include "process_info.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <unistd.h>

#include <memmap/arch.h>

/*
 * ---- Whole files ----
 */

int memmap_proc_reader_open(struct memmap_proc_reader *reader, pid_t pid, const char *file)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (reader->fd >= 0)
		close(reader->fd);
	reader->fd = fd;
	reader->length = 0;
	return 0;
}

static int grow(struct memmap_proc_reader *reader)
{
	size_t capacity = reader->capacity ? reader->capacity * 2 : 16384;
	char *data = realloc(reader->data, capacity);
	if (!data)
		return -ENOMEM;
	reader->data = data;
	reader->capacity = capacity;
	return 0;
}

static int read_until(struct memmap_proc_reader *reader, const char *last, size_t last_length)
{
	size_t length = 0;
	for (;;) {
		/* A record that does not fit is not returned: keep a page of room. */
		if (reader->capacity - length < 4096) {
			int err = grow(reader);
			if (err)
				return err;
		}
		ssize_t n = pread(reader->fd, reader->data + length, reader->capacity - length,
				  (off_t)length);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		length += (size_t)n;
		if (n == 0 || (last && length >= last_length &&
			       memcmp(reader->data + length - last_length, last, last_length) == 0))
			break;
	}
	reader->length = length;
	return 0;
}

int memmap_proc_reader_read(struct memmap_proc_reader *reader)
{
	return read_until(reader, NULL, 0);
}

int memmap_proc_reader_read_maps(struct memmap_proc_reader *reader)
{
	/* No name of a file can end like this: a name begins with a slash. */
	static const char last[] = "                  [vsyscall]\n";
	return read_until(reader, last, sizeof(last) - 1);
}

void memmap_proc_reader_release(struct memmap_proc_reader *reader)
{
	if (reader->fd >= 0)
		close(reader->fd);
	free(reader->data);
	*reader = (struct memmap_proc_reader){.fd = -1};
}

/* From linux/fs.h of Linux 6.11, which the C library's headers may be older than. */
struct procmap_query {
	uint64_t size, query_flags, query_addr;
	uint64_t vma_start, vma_end, vma_flags, vma_page_size, vma_offset, inode;
	uint32_t dev_major, dev_minor, vma_name_size, build_id_size;
	uint64_t vma_name_addr, build_id_addr;
};
#define QUERY_IOCTL        _IOWR('f', 17, struct procmap_query)
#define QUERY_READABLE     UINT64_C(0x01)
#define QUERY_WRITABLE     UINT64_C(0x02)
#define QUERY_EXECUTABLE   UINT64_C(0x04)
#define QUERY_SHARED       UINT64_C(0x08)
#define QUERY_THIS_OR_NEXT UINT64_C(0x10)

int memmap_maps_query(const struct memmap_proc_reader *maps, uint64_t addr,
		      struct memmap_kernel_vma *out)
{
	struct procmap_query query = {
		.size = sizeof(query),
		.query_flags = QUERY_THIS_OR_NEXT,
		.query_addr = addr,
		.vma_name_size = sizeof(out->name),
		.vma_name_addr = (uint64_t)(uintptr_t)out->name,
	};
	if (ioctl(maps->fd, QUERY_IOCTL, &query))
		return -errno;
	out->range = (struct memmap_addr_range){query.vma_start, query.vma_end};
	out->perms[0] = query.vma_flags & QUERY_READABLE ? 'r' : '-';
	out->perms[1] = query.vma_flags & QUERY_WRITABLE ? 'w' : '-';
	out->perms[2] = query.vma_flags & QUERY_EXECUTABLE ? 'x' : '-';
	out->perms[3] = query.vma_flags & QUERY_SHARED ? 's' : 'p';
	out->offset = query.vma_offset;
	out->inode = query.inode;
	out->major = query.dev_major;
	out->minor = query.dev_minor;
	/* The size counts the terminating zero. */
	out->name_length = query.vma_name_size ? query.vma_name_size - 1 : 0;
	return 0;
}

/* A small file, whole, terminated. Returns its length or a negative errno. */
static ssize_t read_small(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	size_t length = 0;
	while (length + 1 < size) {
		ssize_t n = read(fd, buf + length, size - 1 - length);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			int err = -errno;
			close(fd);
			return err;
		}
		if (n == 0)
			break;
		length += (size_t)n;
	}
	close(fd);
	buf[length] = '\0';
	return (ssize_t)length;
}

/*
 * ---- Layout, limits, credentials ----
 */

/* The fields of /proc/PID/stat, as proc(5) numbers them. */
enum stat_field {
	STAT_PPID = 4,
	STAT_START_CODE = 26,
	STAT_END_CODE = 27,
	STAT_START_STACK = 28,
	STAT_START_DATA = 45,
	STAT_END_DATA = 46,
	STAT_START_BRK = 47,
};

int memmap_process_layout(pid_t pid, struct memmap_process_layout *out)
{
	char path[64], buf[2048];
	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	ssize_t n = read_small(path, buf, sizeof(buf));
	if (n < 0)
		return (int)n;
	/* The name stands in parentheses and may hold some itself. */
	char *open = strchr(buf, '('), *close = strrchr(buf, ')');
	if (!open || !close || close < open)
		return -EPROTO;
	*out = (struct memmap_process_layout){0};
	*close = '\0';
	snprintf(out->command, sizeof(out->command), "%s", open + 1);
	char *at = close + 1;
	int field = 3;
	for (char *word = strtok_r(at, " \n", &at); word; word = strtok_r(NULL, " \n", &at)) {
		const uint64_t value = strtoull(word, NULL, 10);
		switch (field++) {
		case STAT_PPID:
			out->parent = (pid_t)value;
			break;
		case STAT_START_CODE:
			out->start_code = value;
			break;
		case STAT_END_CODE:
			out->end_code = value;
			break;
		case STAT_START_STACK:
			out->start_stack = value;
			break;
		case STAT_START_DATA:
			out->start_data = value;
			break;
		case STAT_END_DATA:
			out->end_data = value;
			break;
		case STAT_START_BRK:
			out->start_brk = value;
			break;
		default:
			break;
		}
	}
	return field > STAT_START_BRK ? 0 : -EPROTO;
}

int memmap_process_auxv(pid_t pid, struct memmap_process_auxv *out)
{
	char path[64];
	uint64_t pairs[128];
	snprintf(path, sizeof(path), "/proc/%d/auxv", (int)pid);
	ssize_t n = read_small(path, (char *)pairs, sizeof(pairs));
	if (n < 0)
		return (int)n;
	*out = (struct memmap_process_auxv){0};
	for (size_t i = 0; i + 2 <= (size_t)n / sizeof(pairs[0]); i += 2) {
		if (pairs[i] == AT_BASE)
			out->base = pairs[i + 1];
		else if (pairs[i] == AT_ENTRY)
			out->entry = pairs[i + 1];
		else if (pairs[i] == AT_SYSINFO_EHDR)
			out->vdso = pairs[i + 1];
	}
	return 0;
}

static const char *limit_name(int resource)
{
	switch (resource) {
	case RLIMIT_AS:
		return "Max address space ";
	case RLIMIT_DATA:
		return "Max data size ";
	case RLIMIT_STACK:
		return "Max stack size ";
	case RLIMIT_MEMLOCK:
		return "Max locked memory ";
	default:
		return "?";
	}
}

static uint64_t parse_limit(char **at)
{
	while (**at == ' ')
		(*at)++;
	if (strncmp(*at, "unlimited", 9) == 0) {
		*at += 9;
		return UINT64_MAX;
	}
	return strtoull(*at, at, 10);
}

int memmap_process_limit(pid_t pid, int resource, struct memmap_process_limit *out)
{
	struct rlimit64 limit;
	if (prlimit64(pid, (enum __rlimit_resource)resource, NULL, &limit) == 0) {
		out->soft = limit.rlim_cur;
		out->hard = limit.rlim_max;
		return 0;
	}
	/* Another user's process: its limits can still be read as text. */
	char path[64], buf[4096];
	snprintf(path, sizeof(path), "/proc/%d/limits", (int)pid);
	ssize_t n = read_small(path, buf, sizeof(buf));
	if (n < 0)
		return (int)n;
	char *at = strstr(buf, limit_name(resource));
	if (!at)
		return -EPROTO;
	at += strlen(limit_name(resource));
	out->soft = parse_limit(&at);
	out->hard = parse_limit(&at);
	return 0;
}

int memmap_process_status(pid_t pid, uint64_t *capabilities, pid_t *tgid, pid_t *tracer)
{
	char path[64], buf[4096];
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	ssize_t n = read_small(path, buf, sizeof(buf));
	if (n < 0)
		return (int)n;
	const char *caps = strstr(buf, "\nCapEff:"), *group = strstr(buf, "\nTgid:");
	const char *traced_by = strstr(buf, "\nTracerPid:");
	if (!caps || !group || !traced_by)
		return -EPROTO;
	*tracer = (pid_t)strtol(traced_by + 11, NULL, 10);
	*capabilities = strtoull(caps + 8, NULL, 16);
	*tgid = (pid_t)strtol(group + 6, NULL, 10);
	return 0;
}

int memmap_process_status_field(pid_t tid, const char *label, char *out, size_t size)
{
	char path[64], buf[4096];
	snprintf(path, sizeof(path), "/proc/%d/status", (int)tid);
	const ssize_t n = read_small(path, buf, sizeof(buf));
	if (n < 0)
		return (int)n;
	for (char *line = buf; line; line = strchr(line, '\n') ? strchr(line, '\n') + 1 : NULL) {
		if (strncmp(line, label, strlen(label)) != 0)
			continue;
		line += strlen(label);
		line += strspn(line, " \t");
		snprintf(out, size, "%.*s", (int)strcspn(line, "\n"), line);
		return 0;
	}
	return -EPROTO;
}

uint32_t memmap_process_personality(pid_t pid)
{
	char path[64], buf[32];
	snprintf(path, sizeof(path), "/proc/%d/personality", (int)pid);
	return read_small(path, buf, sizeof(buf)) > 0 ? (uint32_t)strtoul(buf, NULL, 16) : 0;
}

void memmap_process_command(pid_t pid, char *buf, size_t size)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/cmdline", (int)pid);
	ssize_t n = read_small(path, buf, size);
	if (n <= 0) {
		snprintf(path, sizeof(path), "/proc/%d/comm", (int)pid);
		n = read_small(path, buf, size);
		if (n <= 0)
			snprintf(buf, size, "?");
		buf[strcspn(buf, "\n")] = '\0';
		return;
	}
	while (n > 0 && buf[n - 1] == '\0')
		n--;
	for (ssize_t i = 0; i < n; i++)
		if (buf[i] == '\0')
			buf[i] = ' ';
}

void memmap_process_executable(pid_t pid, char *buf, size_t size)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/exe", (int)pid);
	ssize_t n = readlink(path, buf, size - 1);
	buf[n > 0 ? n : 0] = '\0';
}

uint64_t memmap_sysctl(const char *path, uint64_t otherwise)
{
	char buf[64];
	return read_small(path, buf, sizeof(buf)) > 0 ? strtoull(buf, NULL, 10) : otherwise;
}

/*
 * ---- Pages ----
 */

/* From linux/prctl.h of Linux 5.17. */
#ifndef PR_SET_VMA
#	define PR_SET_VMA           0x53564d41
#	define PR_SET_VMA_ANON_NAME 0
#endif

/* From linux/fs.h of Linux 6.7, which the C library's headers may be older than. */
struct scan_region {
	uint64_t start, end, categories;
};
struct scan_arg {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t category_inverted, category_mask, category_anyof_mask, return_mask;
};
#define SCAN_IOCTL   _IOWR('f', 16, struct scan_arg)
#define SCAN_FILE    (UINT64_C(1) << 2)
#define SCAN_PRESENT (UINT64_C(1) << 3)
#define SCAN_SWAPPED (UINT64_C(1) << 4)
#define SCAN_PFNZERO (UINT64_C(1) << 5)

/* Bits of a pagemap entry. */
#define ENTRY_FILE    (UINT64_C(1) << 61)
#define ENTRY_SWAPPED (UINT64_C(1) << 62)
#define ENTRY_PRESENT (UINT64_C(1) << 63)

int memmap_pagemap_open(pid_t pid)
{
	char path[64];
	snprintf(path, sizeof(path), "/proc/%d/pagemap", (int)pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* The same, page by page. */
static int has_anonymous_by_entries(int fd, struct memmap_addr_range ar)
{
	uint64_t entries[512];
	for (uint64_t at = ar.start; at < ar.end;) {
		uint64_t want = (ar.end - at) >> MEMMAP_PAGE_SHIFT;
		if (want > 512)
			want = 512;
		ssize_t n = pread(fd, entries, want * sizeof(entries[0]),
				  (off_t)((at >> MEMMAP_PAGE_SHIFT) * sizeof(entries[0])));
		if (n < 0)
			return -errno;
		const size_t nr = (size_t)n / sizeof(entries[0]);
		if (nr == 0)
			break;
		for (size_t i = 0; i < nr; i++)
			if ((entries[i] & (ENTRY_PRESENT | ENTRY_SWAPPED)) &&
			    !(entries[i] & ENTRY_FILE))
				return 1;
		at += nr * MEMMAP_PAGE_SIZE;
	}
	return 0;
}

int memmap_has_anonymous_pages(int fd, struct memmap_addr_range ar)
{
	struct scan_region region;
	struct scan_arg arg = {
		.size = sizeof(arg),
		.start = ar.start,
		.end = ar.end,
		.vec = (uint64_t)(uintptr_t)&region,
		.vec_len = 1,
		.max_pages = 1,
		.category_inverted = SCAN_FILE | SCAN_PFNZERO,
		.category_mask = SCAN_FILE | SCAN_PFNZERO,
		.category_anyof_mask = SCAN_PRESENT | SCAN_SWAPPED,
		.return_mask = SCAN_PRESENT,
	};
	int n = ioctl(fd, SCAN_IOCTL, &arg);
	if (n < 0)
		return errno == ENOTTY || errno == EINVAL ? has_anonymous_by_entries(fd, ar)
							  : -errno;
	return n > 0;
}

bool memmap_kernel_has_zero_page(void)
{
	volatile char *page =
		mmap(NULL, MEMMAP_PAGE_SIZE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return true;
	(void)*page;
	const uint64_t at = (uint64_t)(uintptr_t)page;
	int fd = memmap_pagemap_open(getpid());
	const bool anonymous =
		fd >= 0 && memmap_has_anonymous_pages(
				   fd, (struct memmap_addr_range){at, at + MEMMAP_PAGE_SIZE}) == 1;
	if (fd >= 0)
		close(fd);
	munmap((void *)page, MEMMAP_PAGE_SIZE);
	return !anonymous;
}

uint64_t memmap_kernel_min_addr(void)
{
	uint64_t lowest = memmap_sysctl("/proc/sys/vm/mmap_min_addr", 65536);
	lowest = (lowest + MEMMAP_PAGE_MASK) & ~MEMMAP_PAGE_MASK;
	/* NOLINTNEXTLINE(performance-no-int-to-ptr): a hint */
	void *page = mmap((void *)(uintptr_t)MEMMAP_PAGE_SIZE, MEMMAP_PAGE_SIZE, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (page == MAP_FAILED)
		return lowest;
	munmap(page, MEMMAP_PAGE_SIZE);
	const uint64_t found = (uint64_t)(uintptr_t)page;
	/* Far above it: something lay there already. */
	return found >= lowest && found <= UINT64_C(1) << 20 ? found : lowest;
}

int memmap_kernel_huge_pool(uint64_t shift)
{
	static const char pools[] = "/sys/kernel/mm/hugepages/hugepages-%" PRIu64 "kB/%s";
	static const char *const counts[] = {"nr_hugepages", "nr_overcommit_hugepages"};
	char path[128];
	if (shift == 0)
		shift = MEMMAP_HUGE_PAGE_SHIFT;
	const uint64_t kib = shift >= 10 ? UINT64_C(1) << (shift - 10) : 0;
	bool any = false;
	if (access("/sys/kernel/mm", F_OK))
		return 1;
	for (size_t i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), pools, kib, counts[i]);
		const uint64_t count = memmap_sysctl(path, UINT64_MAX);
		if (count == UINT64_MAX)
			return -EINVAL;
		any |= count > 0;
	}
	return any;
}

int memmap_kernel_huge_pages(void)
{
	char buf[64];
	if (read_small("/sys/kernel/mm/transparent_hugepage/enabled", buf, sizeof(buf)) <= 0 ||
	    strstr(buf, "[never]"))
		return 0;
	return strstr(buf, "[always]") ? 2 : 1;
}

bool memmap_kernel_has_anon_names(void)
{
	/* Names nothing at all, where there is such a call. */
	return prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, 0, 0, NULL) == 0;
}

bool memmap_kernel_has_protection_keys(void)
{
	const int key = pkey_alloc(0, 0);
	if (key >= 0)
		(void)pkey_free(key);
	return key >= 0;
}

unsigned int memmap_kernel_possible_cpus(void)
{
	char buf[4096];
	unsigned int nr = 0;
	/* A list of ranges: "0-3,8". */
	if (read_small("/sys/devices/system/cpu/possible", buf, sizeof(buf)) > 0) {
		char *at = buf;
		do {
			const unsigned long first = strtoul(at, &at, 10);
			const unsigned long last = *at == '-' ? strtoul(at + 1, &at, 10) : first;
			nr += last >= first ? (unsigned int)(last - first + 1) : 0;
		} while (*at++ == ',');
	}
	return nr > 0 ? nr : (unsigned int)sysconf(_SC_NPROCESSORS_CONF);
}

int memmap_process_read(pid_t tid, uint64_t addr, void *buf, size_t size)
{
	struct iovec local = {buf, size};
	/* NOLINTNEXTLINE(performance-no-int-to-ptr): an address of the other process */
	struct iovec remote = {(void *)(uintptr_t)addr, size};
	const ssize_t n = process_vm_readv(tid, &local, 1, &remote, 1, 0);
	if (n < 0)
		return -errno;
	return (size_t)n == size ? 0 : -EFAULT;
}

int memmap_process_read_string(pid_t tid, uint64_t addr, char *buf, size_t size)
{
	size_t length = 0;
	while (length + 1 < size) {
		/* Not beyond the page: the next one may not be there. */
		const uint64_t at = addr + length;
		size_t want = MEMMAP_PAGE_SIZE - (size_t)(at & MEMMAP_PAGE_MASK);
		if (want > size - 1 - length)
			want = size - 1 - length;
		struct iovec local = {buf + length, want};
		/* NOLINTNEXTLINE(performance-no-int-to-ptr): an address of the other process */
		struct iovec remote = {(void *)(uintptr_t)at, want};
		ssize_t n = process_vm_readv(tid, &local, 1, &remote, 1, 0);
		if (n < 0)
			return -errno;
		if (memchr(buf + length, '\0', (size_t)n))
			return 0;
		length += (size_t)n;
	}
	buf[length] = '\0';
	return 0;
}
