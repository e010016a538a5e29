/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Parsing what the kernel prints about address spaces.
 *
 *   55d2c0a0b000-55d2c0a2d000 r-xp 00002000 fe:00 247134       /usr/bin/cat
 *   start        end          perms offset  dev   inode        name (may hold anything but \n)
 *
 * Everything is checked: what does not look like that is no line.
 */
#include "maps_text.h"

#include <string.h>

#include <memmap/mm.h>

/* Hexadecimal or decimal digits; false when there are none or they overflow. */
static bool take_number(const char **at, const char *end, unsigned int base, uint64_t *out)
{
	uint64_t value = 0;
	const char *p = *at;
	for (; p < end; p++) {
		unsigned int digit;
		if (*p >= '0' && *p <= '9')
			digit = (unsigned int)(*p - '0');
		else if (base == 16 && *p >= 'a' && *p <= 'f')
			digit = (unsigned int)(*p - 'a') + 10;
		else
			break;
		if (__builtin_mul_overflow(value, base, &value) ||
		    __builtin_add_overflow(value, digit, &value))
			return false;
	}
	if (p == *at)
		return false;
	*at = p;
	*out = value;
	return true;
}

static bool take_char(const char **at, const char *end, char c)
{
	if (*at >= end || **at != c)
		return false;
	(*at)++;
	return true;
}

static bool take_range(const char **at, const char *end, struct memmap_addr_range *out)
{
	return take_number(at, end, 16, &out->start) && take_char(at, end, '-') &&
	       take_number(at, end, 16, &out->end) && take_char(at, end, ' ') &&
	       out->start < out->end;
}

bool memmap_maps_text_next(const char **text, const char *end, struct memmap_maps_line *out)
{
	const char *at = *text;
	const char *line_end = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
	if (!line_end)
		return false;
	struct memmap_maps_line line = {.text = at, .text_length = (size_t)(line_end - at)};
	uint64_t major, minor;
	if (!take_range(&at, line_end, &line.range) || line_end - at < 5)
		return false;
	memcpy(line.perms, at, sizeof(line.perms));
	at += sizeof(line.perms);
	if (!take_char(&at, line_end, ' ') || !take_number(&at, line_end, 16, &line.offset) ||
	    !take_char(&at, line_end, ' ') || !take_number(&at, line_end, 16, &major) ||
	    !take_char(&at, line_end, ':') || !take_number(&at, line_end, 16, &minor) ||
	    !take_char(&at, line_end, ' ') || !take_number(&at, line_end, 10, &line.inode))
		return false;
	while (at < line_end && *at == ' ')
		at++;
	line.major = (uint32_t)major;
	line.minor = (uint32_t)minor;
	line.name = at;
	line.name_length = (size_t)(line_end - at);
	*text = line_end + 1;
	*out = line;
	return true;
}

bool memmap_maps_line_continues(const struct memmap_maps_line *first,
				const struct memmap_maps_line *second)
{
	return first->range.end == second->range.start && first->inode == second->inode &&
	       first->major == second->major && first->minor == second->minor &&
	       memcmp(first->perms, second->perms, sizeof(first->perms)) == 0 &&
	       first->name_length == second->name_length &&
	       memcmp(first->name, second->name, first->name_length) == 0 &&
	       (!memmap_maps_line_is_file(first) ||
		first->offset + memmap_addr_range_length(first->range) == second->offset);
}

static const struct {
	char letters[3];
	uint64_t flag;
} vm_flags[] = {
	{"rd", MEMMAP_VM_READ},       {"wr", MEMMAP_VM_WRITE},       {"ex", MEMMAP_VM_EXEC},
	{"sh", MEMMAP_VM_SHARED},     {"mr", MEMMAP_VM_MAYREAD},     {"mw", MEMMAP_VM_MAYWRITE},
	{"me", MEMMAP_VM_MAYEXEC},    {"ms", MEMMAP_VM_MAYSHARE},    {"gd", MEMMAP_VM_GROWSDOWN},
	{"pf", MEMMAP_VM_PFNMAP},     {"lo", MEMMAP_VM_LOCKED},      {"io", MEMMAP_VM_IO},
	{"sr", MEMMAP_VM_SEQ_READ},   {"rr", MEMMAP_VM_RAND_READ},   {"dc", MEMMAP_VM_DONTCOPY},
	{"de", MEMMAP_VM_DONTEXPAND}, {"lf", MEMMAP_VM_LOCKONFAULT}, {"ac", MEMMAP_VM_ACCOUNT},
	{"nr", MEMMAP_VM_NORESERVE},  {"ht", MEMMAP_VM_HUGETLB},     {"sf", MEMMAP_VM_SYNC},
	{"wf", MEMMAP_VM_WIPEONFORK}, {"dd", MEMMAP_VM_DONTDUMP},    {"mm", MEMMAP_VM_MIXEDMAP},
	{"hg", MEMMAP_VM_HUGEPAGE},   {"nh", MEMMAP_VM_NOHUGEPAGE},  {"mg", MEMMAP_VM_MERGEABLE},
	{"dp", MEMMAP_VM_DROPPABLE},  {"sl", MEMMAP_VM_SEALED},      {"um", MEMMAP_VM_UFFD_MISSING},
	{"uw", MEMMAP_VM_UFFD_WP},    {"ui", MEMMAP_VM_UFFD_MINOR},
};

static uint64_t parse_vm_flags(const char *at, const char *end)
{
	uint64_t flags = 0;
	while (end - at >= 2) {
		if (*at == ' ') {
			at++;
			continue;
		}
		for (size_t i = 0; i < sizeof(vm_flags) / sizeof(vm_flags[0]); i++)
			if (memcmp(at, vm_flags[i].letters, 2) == 0)
				flags |= vm_flags[i].flag;
		at += 2;
	}
	return flags;
}

bool memmap_smaps_text_next(const char **text, const char *end, struct memmap_addr_range *range,
			    uint64_t *flags)
{
	static const char label[] = "VmFlags:";
	struct memmap_maps_line line;
	bool within = false;
	while (*text < end) {
		const char *at = *text;
		const char *line_end = memchr(at, '\n', (size_t)(end - at));
		if (!line_end)
			return false;
		if (memmap_maps_text_next(text, end, &line)) {
			*range = line.range;
			within = true;
			continue;
		}
		*text = line_end + 1;
		if (within && (size_t)(line_end - at) >= sizeof(label) - 1 &&
		    memcmp(at, label, sizeof(label) - 1) == 0) {
			*flags = parse_vm_flags(at + sizeof(label) - 1, line_end);
			return true;
		}
	}
	return false;
}
