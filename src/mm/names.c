/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names of mappings.
 *
 * Those that were given by copy: each text is kept once an address space and lives as long as that
 * does, so that VMAs hold and compare plain pointers. Restoring a saved address space keeps the
 * kernel's names here, too, which are of another sort: see vma_is_whole().
 *
 * Those that programs gave to anonymous memory: each is a text that never changes, counted by the VMAs
 * that have it. An address space and what was forked from it share them, each under its own lock, so
 * the counts are atomic.
 */
#include "internal.h"

#include <string.h>

struct mm_name {
	struct mm_name *next;
	size_t size;
	bool whole; /* a name of the kernel's own */
	char text[];
};

const char *mm_intern_text(struct memmap_mm *mm, const char *text, size_t length, bool whole)
{
	for (const struct mm_name *name = mm->names; name; name = name->next) {
		if (name->whole == whole && strlen(name->text) == length &&
		    memcmp(name->text, text, length) == 0)
			return name->text;
	}
	size_t size = sizeof(struct mm_name) + length + 1;
	struct mm_name *name = memmap_allocate(mm->allocator, size, _Alignof(struct mm_name));
	if (!name)
		return NULL;
	name->next = mm->names;
	name->size = size;
	name->whole = whole;
	memcpy(name->text, text, length);
	name->text[length] = '\0';
	mm->names = name;
	return name->text;
}

const char *mm_intern_name(struct memmap_mm *mm, const char *text)
{
	return mm_intern_text(mm, text, strlen(text), false);
}

const char *mm_inherit_name(const struct memmap_mm *parent, struct memmap_mm *child,
			    const char *text)
{
	for (const struct mm_name *name = parent->names; name; name = name->next) {
		if (name->text == text)
			return mm_intern_text(child, text, strlen(text), name->whole);
	}
	return text;
}

bool mm_owns_name(const struct memmap_mm *mm, const char *text)
{
	for (const struct mm_name *name = mm->names; name; name = name->next) {
		if (name->text == text)
			return !name->whole;
	}
	return false;
}

void mm_drop_names(struct memmap_mm *mm, const struct mm_name *older)
{
	while (mm->names != older) {
		struct mm_name *name = mm->names;
		mm->names = name->next;
		memmap_deallocate(mm->allocator, name, name->size);
	}
}

void mm_release_names(struct memmap_mm *mm)
{
	mm_drop_names(mm, NULL);
}

/*
 * ---- Names that programs give to anonymous memory ----
 */

struct anon_name *anon_name_create(struct memmap_mm *mm, const char *text)
{
	size_t size = strlen(text) + 1;
	struct anon_name *name =
		memmap_allocate(mm->allocator, sizeof(*name) + size, _Alignof(struct anon_name));
	if (!name)
		return NULL;
	name->references = 1;
	memcpy(name->text, text, size);
	return name;
}

void anon_name_inc_ref(struct anon_name *name)
{
	if (name)
		(void)__atomic_add_fetch(&name->references, 1, __ATOMIC_RELAXED);
}

void anon_name_dec_ref(struct memmap_mm *mm, struct anon_name *name)
{
	if (name && __atomic_sub_fetch(&name->references, 1, __ATOMIC_ACQ_REL) == 0)
		memmap_deallocate(mm->allocator, name, sizeof(*name) + strlen(name->text) + 1);
}

bool anon_name_equal(const struct anon_name *a, const struct anon_name *b)
{
	return a == b || (a && b && strcmp(a->text, b->text) == 0);
}
