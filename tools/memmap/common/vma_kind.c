/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a mapping is. See vma_kind.h.
 */
#include "common/vma_kind.h"

#include <string.h>

#include "plot/plot_internal.h"

bool vma_is_library_name(const char *name)
{
	const char *base = strrchr(name, '/');
	for (const char *so = strstr(base ? base : name, ".so"); so; so = strstr(so + 1, ".so")) {
		const char *after = so + strlen(".so");
		if (after[0] == '\0' || after[0] == ' ' ||
		    (after[0] == '.' && after[1] >= '0' && after[1] <= '9'))
			return true;
	}
	return false;
}

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

enum history_kind vma_kind_of_line(const char perms[4], uint64_t inode, const char *name,
				   const char *program)
{
	if (begins(name, "[heap]"))
		return HISTORY_HEAP;
	if (begins(name, "[stack"))
		return HISTORY_STACK;
	if (begins(name, "[anon_shmem:") || (perms[3] == 's' && perms[1] == 'w') ||
	    begins(name, "/dev/zero") || begins(name, "/SYSV"))
		return HISTORY_SHARED;
	if (begins(name, "[anon:") || (*name == '\0' && inode == 0))
		return HISTORY_ANONYMOUS;
	if (*name == '[')
		return HISTORY_SPECIAL;
	if (program && *program && strcmp(name, program) == 0)
		return HISTORY_PROGRAM;
	if (vma_is_library_name(name) || perms[2] == 'x')
		return HISTORY_LIBRARY;
	return HISTORY_FILE;
}

const char *vma_kind_name(enum history_kind kind)
{
	return plot_kinds[kind].name;
}
