/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of mappings that were given by copy: each text is kept once an address space and lives as
 * long as that does, so that VMAs hold and compare plain pointers.
 */
#include "internal.h"

#include <string.h>

struct mm_name {
	struct mm_name *next;
	size_t size;
	char text[];
};

const char *mm_intern_name(struct memmap_mm *mm, const char *text)
{
	for (const struct mm_name *name = mm->names; name; name = name->next) {
		if (strcmp(name->text, text) == 0)
			return name->text;
	}
	size_t length = strlen(text) + 1, size = sizeof(struct mm_name) + length;
	struct mm_name *name = memmap_allocate(mm->allocator, size, _Alignof(struct mm_name));
	if (!name)
		return NULL;
	name->next = mm->names;
	name->size = size;
	memcpy(name->text, text, length);
	mm->names = name;
	return name->text;
}

bool mm_owns_name(const struct memmap_mm *mm, const char *text)
{
	for (const struct mm_name *name = mm->names; name; name = name->next) {
		if (name->text == text)
			return true;
	}
	return false;
}

void mm_release_names(struct memmap_mm *mm)
{
	while (mm->names) {
		struct mm_name *name = mm->names;
		mm->names = name->next;
		memmap_deallocate(mm->allocator, name, name->size);
	}
}
