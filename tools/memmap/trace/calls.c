/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of calls, and their arguments in words. Bits that have no name are shown as a number, so
 * nothing is left out.
 */
#include "trace/calls.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/mman.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>

/* How an argument reads. */
enum kind {
	END,
	ADDRESS, /* NULL or 0x... */
	SIZE,    /* 0x... */
	INT,
	PROT,
	MAP,
	MREMAP,
	ADVICE,
	MSYNC,
	MLOCK2,
	MLOCKALL,
	RESOURCE,
	HEX,
};

static const struct {
	uint64_t number;
	const char *name;
	enum call_id id;
	enum kind args[7];
} calls[] = {
	{SYS_mmap, "mmap", CALL_MMAP, {ADDRESS, SIZE, PROT, MAP, INT, SIZE}},
	{SYS_munmap, "munmap", CALL_MUNMAP, {ADDRESS, SIZE}},
	{SYS_mprotect, "mprotect", CALL_MPROTECT, {ADDRESS, SIZE, PROT}},
	{SYS_pkey_mprotect, "pkey_mprotect", CALL_PKEY_MPROTECT, {ADDRESS, SIZE, PROT, INT}},
	{SYS_mremap, "mremap", CALL_MREMAP, {ADDRESS, SIZE, SIZE, MREMAP, ADDRESS}},
	{SYS_brk, "brk", CALL_BRK, {ADDRESS}},
	{SYS_madvise, "madvise", CALL_MADVISE, {ADDRESS, SIZE, ADVICE}},
	{SYS_process_madvise,
	 "process_madvise",
	 CALL_PROCESS_MADVISE,
	 {INT, ADDRESS, INT, ADVICE, HEX}},
	{SYS_msync, "msync", CALL_MSYNC, {ADDRESS, SIZE, MSYNC}},
	{SYS_mlock, "mlock", CALL_MLOCK, {ADDRESS, SIZE}},
	{SYS_mlock2, "mlock2", CALL_MLOCK2, {ADDRESS, SIZE, MLOCK2}},
	{SYS_munlock, "munlock", CALL_MUNLOCK, {ADDRESS, SIZE}},
	{SYS_mlockall, "mlockall", CALL_MLOCKALL, {MLOCKALL}},
	{SYS_munlockall, "munlockall", CALL_MUNLOCKALL, {END}},
	{MEMMAP_NR_MSEAL, "mseal", CALL_MSEAL, {ADDRESS, SIZE, HEX}},
	{SYS_remap_file_pages,
	 "remap_file_pages",
	 CALL_REMAP_FILE_PAGES,
	 {ADDRESS, SIZE, PROT, SIZE, MAP}},
	{SYS_shmat, "shmat", CALL_SHMAT, {INT, ADDRESS, HEX}},
	{SYS_shmdt, "shmdt", CALL_SHMDT, {ADDRESS}},
	{SYS_prctl, "prctl", CALL_PRCTL, {HEX, HEX, HEX, HEX, HEX}},
	{SYS_setrlimit, "setrlimit", CALL_SETRLIMIT, {RESOURCE, ADDRESS}},
	{SYS_prlimit64, "prlimit64", CALL_PRLIMIT64, {INT, RESOURCE, ADDRESS, ADDRESS}},
	{SYS_personality, "personality", CALL_PERSONALITY, {HEX}},
	{SYS_io_setup, "io_setup", CALL_IO_SETUP, {INT, ADDRESS}},
	{SYS_io_destroy, "io_destroy", CALL_IO_DESTROY, {ADDRESS}},
	{SYS_mbind, "mbind", CALL_MBIND, {ADDRESS, SIZE, INT, ADDRESS, INT, HEX}},
	{SYS_ioctl, "ioctl", CALL_IOCTL, {INT, HEX, ADDRESS}},
	{SYS_ptrace, "ptrace", CALL_PTRACE, {HEX, INT, ADDRESS, HEX}},
	{SYS_seccomp, "seccomp", CALL_SECCOMP, {INT, HEX, ADDRESS}},
	{UINT64_MAX, "other", CALL_OTHER, {HEX, HEX, HEX, HEX, HEX, HEX}},
};

static size_t index_of(uint64_t number)
{
	size_t i = 0;
	while (i < NR_CALLS - 1 && calls[i].number != number)
		i++;
	return i;
}

enum call_id call_by_number(uint64_t number)
{
	return calls[index_of(number)].id;
}

const char *call_name(enum call_id call)
{
	return calls[call].name;
}

/*
 * ---- Text ----
 */

/* A text that grows into the caller's buffer and stops where it is full. */
struct writer {
	char *at, *end;
};

static void put(struct writer *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(struct writer *w, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	int n = vsnprintf(w->at, (size_t)(w->end - w->at), format, args);
	va_end(args);
	if (n > 0)
		w->at += n < w->end - w->at ? n : w->end - w->at - 1;
}

struct name {
	uint64_t value;
	const char *text;
};

static const struct name prot_names[] = {
	{PROT_READ, "PROT_READ"},
	{PROT_WRITE, "PROT_WRITE"},
	{PROT_EXEC, "PROT_EXEC"},
	{0x8, "PROT_SEM"},
	{PROT_GROWSDOWN, "PROT_GROWSDOWN"},
	{PROT_GROWSUP, "PROT_GROWSUP"},
	{0, NULL},
};

static const struct name map_names[] = {
	{MAP_FIXED, "MAP_FIXED"},
	{MAP_ANONYMOUS, "MAP_ANONYMOUS"},
	{MAP_32BIT, "MAP_32BIT"},
	{0x80, "MAP_ABOVE4G"},
	{MAP_GROWSDOWN, "MAP_GROWSDOWN"},
	{MAP_DENYWRITE, "MAP_DENYWRITE"},
	{MAP_EXECUTABLE, "MAP_EXECUTABLE"},
	{MAP_LOCKED, "MAP_LOCKED"},
	{MAP_NORESERVE, "MAP_NORESERVE"},
	{MAP_POPULATE, "MAP_POPULATE"},
	{MAP_NONBLOCK, "MAP_NONBLOCK"},
	{MAP_STACK, "MAP_STACK"},
	{MAP_HUGETLB, "MAP_HUGETLB"},
	{MAP_SYNC, "MAP_SYNC"},
	{MAP_FIXED_NOREPLACE, "MAP_FIXED_NOREPLACE"},
	{0, NULL},
};

static const struct name map_type_names[] = {
	{MAP_SHARED, "MAP_SHARED"},
	{MAP_PRIVATE, "MAP_PRIVATE"},
	{MAP_SHARED_VALIDATE, "MAP_SHARED_VALIDATE"},
	{0x8, "MAP_DROPPABLE"},
	{0, NULL},
};

static const struct name mremap_names[] = {
	{MREMAP_MAYMOVE, "MREMAP_MAYMOVE"},
	{MREMAP_FIXED, "MREMAP_FIXED"},
	{MREMAP_DONTUNMAP, "MREMAP_DONTUNMAP"},
	{0, NULL},
};

static const struct name msync_names[] = {
	{MS_ASYNC, "MS_ASYNC"}, {MS_INVALIDATE, "MS_INVALIDATE"}, {MS_SYNC, "MS_SYNC"}, {0, NULL}};

static const struct name mlock2_names[] = {{1, "MLOCK_ONFAULT"}, {0, NULL}};

static const struct name mlockall_names[] = {
	{MCL_CURRENT, "MCL_CURRENT"}, {MCL_FUTURE, "MCL_FUTURE"}, {4, "MCL_ONFAULT"}, {0, NULL}};

static const struct name advice_names[] = {
	{0, "MADV_NORMAL"},          {1, "MADV_RANDOM"},
	{2, "MADV_SEQUENTIAL"},      {3, "MADV_WILLNEED"},
	{4, "MADV_DONTNEED"},        {8, "MADV_FREE"},
	{9, "MADV_REMOVE"},          {10, "MADV_DONTFORK"},
	{11, "MADV_DOFORK"},         {12, "MADV_MERGEABLE"},
	{13, "MADV_UNMERGEABLE"},    {14, "MADV_HUGEPAGE"},
	{15, "MADV_NOHUGEPAGE"},     {16, "MADV_DONTDUMP"},
	{17, "MADV_DODUMP"},         {18, "MADV_WIPEONFORK"},
	{19, "MADV_KEEPONFORK"},     {20, "MADV_COLD"},
	{21, "MADV_PAGEOUT"},        {22, "MADV_POPULATE_READ"},
	{23, "MADV_POPULATE_WRITE"}, {24, "MADV_DONTNEED_LOCKED"},
	{25, "MADV_COLLAPSE"},       {100, "MADV_HWPOISON"},
	{101, "MADV_SOFT_OFFLINE"},  {102, "MADV_GUARD_INSTALL"},
	{103, "MADV_GUARD_REMOVE"},  {0, NULL},
};

static const struct name resource_names[] = {
	{RLIMIT_AS, "RLIMIT_AS"},
	{RLIMIT_DATA, "RLIMIT_DATA"},
	{RLIMIT_STACK, "RLIMIT_STACK"},
	{RLIMIT_MEMLOCK, "RLIMIT_MEMLOCK"},
	{0, NULL},
};

/* One of several values. */
static void put_one(struct writer *w, const struct name *names, uint64_t value)
{
	for (; names->text; names++) {
		if (names->value == value) {
			put(w, "%s", names->text);
			return;
		}
	}
	put(w, "%" PRIu64, value);
}

/* A set of bits, `zero` when there are none. */
static void put_bits(struct writer *w, const struct name *names, uint64_t bits, const char *zero)
{
	bool some = false;
	for (; names->text; names++) {
		if ((bits & names->value) == 0)
			continue;
		put(w, "%s%s", some ? "|" : "", names->text);
		bits &= ~names->value;
		some = true;
	}
	if (bits || !some) {
		if (bits)
			put(w, "%s0x%" PRIx64, some ? "|" : "", bits);
		else
			put(w, "%s", zero);
	}
}

static void put_map_flags(struct writer *w, uint64_t flags)
{
	const uint64_t type = flags & MAP_TYPE;
	put_one(w, map_type_names, type);
	if (flags & ~(uint64_t)MAP_TYPE) {
		put(w, "|");
		put_bits(w, map_names, flags & ~(uint64_t)MAP_TYPE, "");
	}
}

static void put_arg(struct writer *w, enum kind kind, uint64_t value)
{
	switch (kind) {
	case ADDRESS:
		if (value == 0)
			put(w, "NULL");
		else
			put(w, "0x%" PRIx64, value);
		break;
	case INT:
		put(w, "%d", (int)value);
		break;
	case PROT:
		put_bits(w, prot_names, value, "PROT_NONE");
		break;
	case MAP:
		put_map_flags(w, value);
		break;
	case MREMAP:
		put_bits(w, mremap_names, value, "0");
		break;
	case ADVICE:
		put_one(w, advice_names, value);
		break;
	case MSYNC:
		put_bits(w, msync_names, value, "0");
		break;
	case MLOCK2:
		put_bits(w, mlock2_names, value, "0");
		break;
	case MLOCKALL:
		put_bits(w, mlockall_names, value, "0");
		break;
	case RESOURCE:
		put_one(w, resource_names, value);
		break;
	case SIZE:
	case HEX:
		if (value == 0)
			put(w, "0");
		else
			put(w, "0x%" PRIx64, value);
		break;
	case END:
		break;
	}
}

char *call_format(const struct memmap_traced_call *call, char *buf, size_t size)
{
	struct writer w = {buf, buf + size};
	const size_t i = index_of(call->number);
	if (call->number == UINT64_MAX) {
		put(&w, "no call yet");
		return buf;
	}
	if (calls[i].id == CALL_OTHER)
		put(&w, "system call %" PRIu64 "(", call->number);
	else
		put(&w, "%s(", calls[i].name);
	for (size_t arg = 0; arg < 6 && calls[i].args[arg] != END; arg++) {
		if (arg > 0)
			put(&w, ", ");
		/* mremap's fifth argument counts only where a flag says so. */
		if (calls[i].id == CALL_MREMAP && arg == 4 &&
		    !(call->args[3] & (MREMAP_FIXED | MREMAP_DONTUNMAP))) {
			w.at -= 2;
			break;
		}
		put_arg(&w, calls[i].args[arg], call->args[arg]);
	}
	put(&w, ")");
	return buf;
}

char *call_format_result(enum call_id call, int64_t result, char *buf, size_t size)
{
	const bool is_address =
		call == CALL_MMAP || call == CALL_MREMAP || call == CALL_BRK || call == CALL_SHMAT;
	if (result < 0 && result > -4096) {
		const char *name = strerrorname_np((int)-result);
		if (name)
			snprintf(buf, size, "-%s", name);
		else
			snprintf(buf, size, "%" PRId64, result);
	} else if (is_address) {
		snprintf(buf, size, "0x%" PRIx64, (uint64_t)result);
	} else {
		snprintf(buf, size, "%" PRId64, result);
	}
	return buf;
}
