/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Unwinding by libdw. See stacks.h.
 *
 * The tracer has the thread stopped already, so libdw must neither attach nor wait: it only reads
 * registers and memory. Debug information is not looked for; the symbol tables and the unwind
 * tables that every file brings with it do. Looking up a symbol walks the whole table: so what an
 * address reads as is kept.
 */
#include "stacks/stacks.h"

#include <dwarf.h>
#include <elfutils/libdwfl.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Frames that a site is told by: enough to get out of an allocator into its caller's caller. */
#define MAX_FRAMES 12
#define FRAME_SIZE 160

struct known_pc {
	uint64_t pc; /* 0: free */
	uint32_t text;
};

struct unwinder {
	Dwfl *dwfl;
	bool outdated;
	struct text_pool frames;
	struct known_pc *known; /* open addressing */
	size_t nr_known, known_size;
};

bool stacks_supported(void)
{
	return true;
}

/* None: what would be found lies in other files, or on servers. */
static int no_debug_information(Dwfl_Module *module, void **user, const char *name, Dwarf_Addr base,
				const char *file, const char *link, GElf_Word crc,
				char **debug_file)
{
	(void)module;
	(void)user;
	(void)name;
	(void)base;
	(void)file;
	(void)link;
	(void)crc;
	(void)debug_file;
	return -1;
}

static const Dwfl_Callbacks callbacks = {
	.find_elf = dwfl_linux_proc_find_elf,
	.find_debuginfo = no_debug_information,
};

void unwinder_release(struct unwinder *unwinder)
{
	if (!unwinder)
		return;
	if (unwinder->dwfl)
		dwfl_end(unwinder->dwfl);
	text_pool_release(&unwinder->frames);
	free(unwinder->known);
	free(unwinder);
}

void unwinder_outdate(struct unwinder *unwinder)
{
	if (unwinder)
		unwinder->outdated = true;
}

static void forget_addresses(struct unwinder *unwinder)
{
	free(unwinder->known);
	unwinder->known = NULL;
	unwinder->nr_known = unwinder->known_size = 0;
}

static bool report(struct unwinder *unwinder, pid_t pid)
{
	dwfl_report_begin(unwinder->dwfl);
	const bool good = dwfl_linux_proc_report(unwinder->dwfl, pid) == 0;
	dwfl_report_end(unwinder->dwfl, NULL, NULL);
	unwinder->outdated = false;
	forget_addresses(unwinder);
	return good;
}

static struct unwinder *create(pid_t pid)
{
	struct unwinder *unwinder = calloc(1, sizeof(*unwinder));
	if (!unwinder)
		return NULL;
	unwinder->dwfl = dwfl_begin(&callbacks);
	if (!unwinder->dwfl || !report(unwinder, pid) ||
	    dwfl_linux_proc_attach(unwinder->dwfl, pid, true) != 0) {
		unwinder_release(unwinder);
		return NULL;
	}
	return unwinder;
}

/*
 * ---- Addresses in words ----
 */

static const char *basename_of(const char *path)
{
	const char *slash = path ? strrchr(path, '/') : NULL;
	return slash ? slash + 1 : path;
}

/* "malloc+0x1b (libc.so.6)", "0x1139 (program)", "0x7f0000001139" */
static void describe(Dwfl *dwfl, uint64_t pc, uint64_t lookup, char *buf, size_t size)
{
	Dwfl_Module *module = dwfl_addrmodule(dwfl, lookup);
	if (!module) {
		snprintf(buf, size, "0x%" PRIx64, pc);
		return;
	}
	GElf_Off offset = 0;
	GElf_Sym symbol;
	Dwarf_Addr start = 0;
	const char *file =
		basename_of(dwfl_module_info(module, NULL, &start, NULL, NULL, NULL, NULL, NULL));
	const char *name = dwfl_module_addrinfo(module, lookup, &offset, &symbol, NULL, NULL, NULL);
	if (name)
		snprintf(buf, size, "%s+0x%" PRIx64 " (%s)", name, (uint64_t)offset + (pc - lookup),
			 file ? file : "?");
	else
		snprintf(buf, size, "0x%" PRIx64 " (%s)", pc - start, file ? file : "?");
}

static bool grow_known(struct unwinder *unwinder)
{
	const size_t size = unwinder->known_size ? 2 * unwinder->known_size : 256;
	struct known_pc *known = calloc(size, sizeof(*known));
	if (!known)
		return false;
	for (size_t i = 0; i < unwinder->known_size; i++) {
		const struct known_pc *one = &unwinder->known[i];
		if (one->pc == 0)
			continue;
		size_t slot = (size_t)(one->pc * UINT64_C(0x9e3779b97f4a7c15) >> 32) & (size - 1);
		while (known[slot].pc != 0)
			slot = (slot + 1) & (size - 1);
		known[slot] = *one;
	}
	free(unwinder->known);
	unwinder->known = known;
	unwinder->known_size = size;
	return true;
}

/* What an address reads as; NULL when out of memory. */
static const char *frame_text(struct unwinder *unwinder, uint64_t pc, uint64_t lookup)
{
	if (2 * (unwinder->nr_known + 1) > unwinder->known_size && !grow_known(unwinder))
		return NULL;
	const size_t mask = unwinder->known_size - 1;
	size_t slot = (size_t)(pc * UINT64_C(0x9e3779b97f4a7c15) >> 32) & mask;
	while (unwinder->known[slot].pc != 0 && unwinder->known[slot].pc != pc)
		slot = (slot + 1) & mask;
	if (unwinder->known[slot].pc == 0) {
		char text[FRAME_SIZE];
		describe(unwinder->dwfl, pc, lookup, text, sizeof(text));
		const uint32_t number = text_pool_intern(&unwinder->frames, text, strlen(text));
		if (number == TEXT_POOL_FULL)
			return NULL;
		unwinder->known[slot] = (struct known_pc){pc, number};
		unwinder->nr_known++;
	}
	return text_pool_get(&unwinder->frames, unwinder->known[slot].text);
}

/*
 * ---- Stacks ----
 */

struct stack {
	uint64_t pcs[MAX_FRAMES], lookups[MAX_FRAMES];
	size_t nr;
};

static int add_frame(Dwfl_Frame *frame, void *arg)
{
	struct stack *stack = arg;
	Dwarf_Addr pc;
	bool is_activation;
	if (!dwfl_frame_pc(frame, &pc, &is_activation))
		return DWARF_CB_ABORT;
	stack->pcs[stack->nr] = pc;
	/* A return address may lie behind the function that called last thing. */
	stack->lookups[stack->nr] = is_activation || pc == 0 ? pc : pc - 1;
	return ++stack->nr == MAX_FRAMES ? DWARF_CB_ABORT : DWARF_CB_OK;
}

uint32_t stacks_unwind(struct sites *sites, struct unwinder **unwinder, pid_t pid, pid_t tid)
{
	char text[MAX_FRAMES * (FRAME_SIZE + 4)];
	struct stack stack = {.nr = 0};
	size_t length = 0;
	if (!*unwinder)
		*unwinder = create(pid);
	else if ((*unwinder)->outdated)
		(void)report(*unwinder, pid);
	if (*unwinder)
		(void)dwfl_getthread_frames((*unwinder)->dwfl, tid, add_frame, &stack);
	/*
	 * Without even the first frame, the thread was killed before its registers were read. libdw
	 * believes it attached from then on, and would abort at the next thread.
	 */
	if (stack.nr == 0) {
		unwinder_release(*unwinder);
		*unwinder = NULL;
	}
	for (size_t i = 0; i < stack.nr; i++) {
		const char *frame = frame_text(*unwinder, stack.pcs[i], stack.lookups[i]);
		if (!frame)
			break;
		length += (size_t)snprintf(text + length, sizeof(text) - length, "%s%s",
					   i > 0 ? " < " : "", frame);
	}
	const uint32_t site =
		length > 0 ? text_pool_intern(&sites->texts, text, length) : TEXT_POOL_FULL;
	if (site == TEXT_POOL_FULL) {
		sites->nr_failed++;
		return SITE_NONE;
	}
	while (sites->sites.length <= site) {
		if (!ARRAY_RESERVE(NULL, &sites->sites, 1))
			return SITE_NONE;
		sites->sites.items[sites->sites.length++] = (struct site){0};
	}
	return site;
}
