/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saving and restoring an address space.
 *
 * The layout and the limits are written from tables of their members, so that reading and writing
 * agree. VMAs are restored by mm_replace(), which tells the Mappables of all or of none;
 * everything else is put back when that fails.
 *
 * Refused, both when saving and when loading: what memmap_mm_verify() would refuse. Nothing else is
 * believed of bytes that were read: lengths are held against what is left of them, numbers that are
 * counted up from must be far from their end.
 *
 * Locking: see <memmap/mm_state.h>.
 */
#include <memmap/mm_state.h>

#include <string.h>

#include "internal.h"

/* Counts of pages, and owners of anonymous pages, are below: there is room to count on. */
#define MOST_OF_ANYTHING (UINT64_C(1) << 62)

/* The least that one VMA takes in the bytes: its keys, and one byte for each value. */
#define VMA_SIZE 144

static const char *const out_of_memory = "out of memory";

/*
 * ---- Tables of members ----
 */

enum member_kind { MEMBER_U64, MEMBER_U32, MEMBER_INT, MEMBER_BOOL };

struct member {
	const char *key;
	size_t offset;
	enum member_kind kind;
};

#define MEMBER(type, name, kind)                                                                   \
	{                                                                                          \
#		name, offsetof(struct type, name), MEMBER_##kind                                  \
	}

/* In the order of keys: the shorter first, then by their letters. */
static const struct member layout_members[] = {
	MEMBER(memmap_mm_layout, brk, U64),
	MEMBER(memmap_mm_layout, end_code, U64),
	MEMBER(memmap_mm_layout, end_data, U64),
	MEMBER(memmap_mm_layout, min_addr, U64),
	MEMBER(memmap_mm_layout, vsyscall, BOOL),
	MEMBER(memmap_mm_layout, bottom_up, BOOL),
	MEMBER(memmap_mm_layout, mmap_base, U64),
	MEMBER(memmap_mm_layout, start_brk, U64),
	MEMBER(memmap_mm_layout, task_size, U64),
	MEMBER(memmap_mm_layout, start_code, U64),
	MEMBER(memmap_mm_layout, start_data, U64),
	MEMBER(memmap_mm_layout, start_stack, U64),
	MEMBER(memmap_mm_layout, min_fixed_addr, U64),
	MEMBER(memmap_mm_layout, stack_guard_gap, U64),
	MEMBER(memmap_mm_layout, mmap_legacy_base, U64),
};

static const struct member limits_members[] = {
	MEMBER(memmap_mm_limits, data, U64),
	MEMBER(memmap_mm_limits, stack, U64),
	MEMBER(memmap_mm_limits, memlock, U64),
	MEMBER(memmap_mm_limits, data_max, U64),
	MEMBER(memmap_mm_limits, huge_pages, INT),
	MEMBER(memmap_mm_limits, overcommit, INT),
	MEMBER(memmap_mm_limits, cap_ipc_lock, BOOL),
	MEMBER(memmap_mm_limits, no_zero_page, BOOL),
	MEMBER(memmap_mm_limits, address_space, U64),
	MEMBER(memmap_mm_limits, cap_sys_rawio, BOOL),
	MEMBER(memmap_mm_limits, max_map_count, U32),
	MEMBER(memmap_mm_limits, deny_write_exec, BOOL),
	MEMBER(memmap_mm_limits, overcommit_pages, U64),
	MEMBER(memmap_mm_limits, read_implies_exec, BOOL),
};

#define NR_MEMBERS(table) (sizeof(table) / sizeof((table)[0]))

static void put_members(struct memmap_state_sink *sink, const void *object,
			const struct member *members, size_t nr)
{
	memmap_state_put_map(sink, nr);
	for (size_t i = 0; i < nr; i++) {
		const void *at = (const char *)object + members[i].offset;
		memmap_state_put_key(sink, members[i].key);
		switch (members[i].kind) {
		case MEMBER_U64:
			memmap_state_put_uint(sink, *(const uint64_t *)at);
			break;
		case MEMBER_U32:
			memmap_state_put_uint(sink, *(const uint32_t *)at);
			break;
		case MEMBER_INT:
			if (*(const int *)at < 0)
				memmap_state_put_error(sink, -EINVAL);
			memmap_state_put_uint(sink, (unsigned)*(const int *)at);
			break;
		case MEMBER_BOOL:
			memmap_state_put_bool(sink, *(const bool *)at);
			break;
		}
	}
}

/* A number that is at most `most`. */
static uint64_t get_at_most(struct memmap_state_source *source, uint64_t most)
{
	const uint64_t value = memmap_state_get_uint(source);
	if (value <= most)
		return value;
	memmap_state_get_error(source, -EBADMSG, "a number that is too large");
	return 0;
}

static void get_members(struct memmap_state_source *source, void *object,
			const struct member *members, size_t nr)
{
	memmap_state_get_map(source, nr);
	for (size_t i = 0; i < nr; i++) {
		void *at = (char *)object + members[i].offset;
		memmap_state_get_key(source, members[i].key);
		switch (members[i].kind) {
		case MEMBER_U64:
			*(uint64_t *)at = memmap_state_get_uint(source);
			break;
		case MEMBER_U32:
			*(uint32_t *)at = (uint32_t)get_at_most(source, UINT32_MAX);
			break;
		case MEMBER_INT:
			*(int *)at = (int)get_at_most(source, INT32_MAX);
			break;
		case MEMBER_BOOL:
			*(bool *)at = memmap_state_get_bool(source);
			break;
		}
	}
}

/*
 * ---- VMAs ----
 */

/* What is wrong with `v`, when owners up to `last_anon_vma` have been given out; NULL: nothing. */
static const char *vma_mistake(const struct memmap_vma *v, uint64_t last_anon_vma)
{
	const uint64_t shared = MEMMAP_VM_SHARED | MEMMAP_VM_MAYSHARE;
	if (v->anon_vma && (v->flags & shared))
		return "a shared VMA with anonymous pages";
	if (v->anon_vma > last_anon_vma)
		return "an owner of anonymous pages that was never given out";
	if (v->identity && !v->mappable)
		return "an identity without a Mappable";
	if ((v->flags & shared) && !v->mappable)
		return "a shared VMA without a Mappable";
	return NULL;
}

/* A text, or none (NULL): an array of as many. */
static void put_optional_text(struct memmap_state_sink *sink, const char *text)
{
	memmap_state_put_array(sink, text ? 1 : 0);
	if (text)
		memmap_state_put_text(sink, text);
}

static void put_vma(struct memmap_state_sink *sink, const struct memmap_mm *mm,
		    struct vma_iterator it)
{
	const struct memmap_vma v = vma_export(it);
	if (vma_mistake(&v, mm->last_anon_vma))
		memmap_state_put_error(sink, -EINVAL);
	memmap_state_put_map(sink, 15);
	memmap_state_put_key(sink, "end");
	memmap_state_put_uint(sink, v.range.end);
	memmap_state_put_key(sink, "name");
	put_optional_text(sink, v.name);
	memmap_state_put_key(sink, "flags");
	memmap_state_put_uint(sink, v.flags);
	memmap_state_put_key(sink, "start");
	memmap_state_put_uint(sink, v.range.start);
	memmap_state_put_key(sink, "whole");
	memmap_state_put_bool(sink, vma_is_whole(mm, vma_iterator_value_ptr(it)));
	memmap_state_put_key(sink, "offset");
	memmap_state_put_uint(sink, v.offset);
	memmap_state_put_key(sink, "policy");
	memmap_state_put_uint(sink, v.policy);
	memmap_state_put_key(sink, "anon_vma");
	memmap_state_put_uint(sink, v.anon_vma);
	memmap_state_put_key(sink, "identity");
	memmap_state_put_reference(sink, MEMMAP_STATE_IDENTITY, v.identity);
	memmap_state_put_key(sink, "mappable");
	memmap_state_put_reference(sink, MEMMAP_STATE_MAPPABLE, v.mappable);
	memmap_state_put_key(sink, "anon_name");
	put_optional_text(sink, v.anon_name);
	memmap_state_put_key(sink, "userfault");
	memmap_state_put_uint(sink, v.userfault);
	memmap_state_put_key(sink, "fork_child");
	memmap_state_put_bool(sink, v.fork_child);
	memmap_state_put_key(sink, "huge_aligned");
	memmap_state_put_bool(sink, v.huge_aligned);
	memmap_state_put_key(sink, "shared_anonymous");
	memmap_state_put_bool(sink, v.shared_anonymous);
}

/* A text that has no zero in it, or NULL. */
static const char *get_optional_text(struct memmap_state_source *source, size_t *len)
{
	const size_t nr = memmap_state_get_array(source, 1);
	if (nr == 0)
		return NULL;
	if (nr > 1)
		memmap_state_get_error(source, -EBADMSG, "more than one name");
	const char *text = memmap_state_get_text(source, len);
	if (memchr(text, '\0', *len))
		memmap_state_get_error(source, -EBADMSG, "a name with a zero in it");
	return memmap_state_get_failed(source) ? NULL : text;
}

/* VMAs that are being loaded. Their anonymous names are copies, to be freed. */
struct loading {
	struct memmap_mm *mm;
	struct memmap_vma *vmas;
	size_t nr, cap;
};

static char *copy_text(const struct memmap_mm *mm, const char *text, size_t len)
{
	char *copy = memmap_allocate(mm->allocator, len + 1, 1);
	if (copy) {
		memcpy(copy, text, len);
		copy[len] = '\0';
	}
	return copy;
}

static void get_vma(struct memmap_state_source *source, struct loading *l)
{
	struct memmap_vma v = {0};
	size_t name_len = 0, anon_name_len = 0;
	memmap_state_get_map(source, 15);
	memmap_state_get_key(source, "end");
	v.range.end = memmap_state_get_uint(source);
	memmap_state_get_key(source, "name");
	const char *name = get_optional_text(source, &name_len);
	memmap_state_get_key(source, "flags");
	v.flags = memmap_state_get_uint(source);
	memmap_state_get_key(source, "start");
	v.range.start = memmap_state_get_uint(source);
	memmap_state_get_key(source, "whole");
	const bool whole = memmap_state_get_bool(source);
	memmap_state_get_key(source, "offset");
	v.offset = memmap_state_get_uint(source);
	memmap_state_get_key(source, "policy");
	v.policy = (uint32_t)get_at_most(source, UINT32_MAX);
	memmap_state_get_key(source, "anon_vma");
	v.anon_vma = memmap_state_get_uint(source);
	memmap_state_get_key(source, "identity");
	v.identity = memmap_state_get_reference(source, MEMMAP_STATE_IDENTITY);
	memmap_state_get_key(source, "mappable");
	v.mappable = memmap_state_get_reference(source, MEMMAP_STATE_MAPPABLE);
	memmap_state_get_key(source, "anon_name");
	const char *anon_name = get_optional_text(source, &anon_name_len);
	memmap_state_get_key(source, "userfault");
	v.userfault = memmap_state_get_uint(source);
	memmap_state_get_key(source, "fork_child");
	v.fork_child = memmap_state_get_bool(source);
	memmap_state_get_key(source, "huge_aligned");
	v.huge_aligned = memmap_state_get_bool(source);
	memmap_state_get_key(source, "shared_anonymous");
	v.shared_anonymous = memmap_state_get_bool(source);
	if (!name && whole)
		memmap_state_get_error(source, -EBADMSG, "a special mapping without a name");
	if (memmap_state_get_failed(source))
		return;

	if (name)
		v.name = mm_intern_text(l->mm, name, name_len, whole);
	if (anon_name)
		v.anon_name = copy_text(l->mm, anon_name, anon_name_len);
	if ((name && !v.name) || (anon_name && !v.anon_name))
		memmap_state_get_error(source, -ENOMEM, out_of_memory);
	l->vmas[l->nr++] = v;
}

static void get_vmas(struct memmap_state_source *source, struct loading *l)
{
	l->cap = memmap_state_get_array(source, VMA_SIZE);
	if (l->cap == 0)
		return;
	l->vmas = memmap_allocate(l->mm->allocator, l->cap * sizeof(*l->vmas),
				  _Alignof(struct memmap_vma));
	if (!l->vmas) {
		memmap_state_get_error(source, -ENOMEM, out_of_memory);
		return;
	}
	for (size_t i = 0; i < l->cap && !memmap_state_get_failed(source); i++)
		get_vma(source, l);
}

static void release_vmas(struct loading *l)
{
	for (size_t i = 0; i < l->nr; i++) {
		const char *text = l->vmas[i].anon_name;
		if (text)
			memmap_deallocate(l->mm->allocator, (char *)text, strlen(text) + 1);
	}
	memmap_deallocate(l->mm->allocator, l->vmas, l->cap * sizeof(*l->vmas));
}

/*
 * ---- The address space ----
 */

const char *memmap_mm_state_type_name(void)
{
	return "memmap_mm";
}

const char *const *memmap_mm_state_fields(void)
{
	static const char *const fields[] = {
		"layout",     "limits", "vmas", "def_flags", "last_anon_vma", "stale_locked_pages",
		"peak_pages", NULL,
	};
	return fields;
}

int memmap_mm_state_save(const struct memmap_mm *mm, struct memmap_state_sink *sink)
{
	MM_LOCK_READ(mm);
	MM_LOCK_ACTIVE_READ(mm); /* for the owners of anonymous pages */
	const struct memmap_state_cursor mark =
		memmap_state_put_object(sink, memmap_mm_state_type_name());
	memmap_state_put_map(sink, 7);
	memmap_state_put_key(sink, "vmas");
	memmap_state_put_array(sink, mm->nr_vmas);
	for (struct vma_iterator it = vma_set_first_segment(&mm->vmas);
	     vma_iterator_ok(it) && !memmap_state_put_failed(sink);
	     it = vma_iterator_next_segment(it))
		put_vma(sink, mm, it);
	memmap_state_put_key(sink, "layout");
	put_members(sink, &mm->layout, layout_members, NR_MEMBERS(layout_members));
	memmap_state_put_key(sink, "limits");
	put_members(sink, &mm->limits, limits_members, NR_MEMBERS(limits_members));
	memmap_state_put_key(sink, "def_flags");
	memmap_state_put_uint(sink, mm->def_flags);
	memmap_state_put_key(sink, "peak_pages");
	memmap_state_put_uint(sink, mm->peak_pages);
	memmap_state_put_key(sink, "last_anon_vma");
	if (mm->last_anon_vma > MOST_OF_ANYTHING)
		memmap_state_put_error(sink, -EINVAL);
	memmap_state_put_uint(sink, mm->last_anon_vma);
	memmap_state_put_key(sink, "stale_locked_pages");
	memmap_state_put_uint(sink, mm->stale_locked_pages);
	return memmap_state_end_put(sink, mark);
}

/* Everything that was got, put in place: all of it, or nothing and the reason in the source. */
static void install(struct loading *l, const struct memmap_mm *got,
		    struct memmap_state_source *source)
{
	struct memmap_mm *mm = l->mm;
	for (size_t i = 0; i < l->nr; i++) {
		const char *mistake = vma_mistake(&l->vmas[i], got->last_anon_vma);
		if (mistake) {
			memmap_state_get_error(source, -EBADMSG, mistake);
			return;
		}
	}
	const struct memmap_mm_layout layout = mm->layout;
	if (!mm_layout_is_consistent(&got->layout)) {
		memmap_state_get_error(source, -EBADMSG, "a layout that contradicts itself");
		return;
	}
	mm->layout = got->layout;
	int err = mm_replace(mm, range_of(0, mm->layout.task_size), l->vmas, l->nr);
	if (err) {
		mm->layout = layout;
		if (err == -EINVAL)
			memmap_state_get_error(source, -EBADMSG, "VMAs that cannot be");
		else
			memmap_state_get_error(source, err, "no memory, or a Mappable refuses");
		return;
	}
	mm->limits = got->limits;
	mm->def_flags = got->def_flags;
	mm->peak_pages = got->peak_pages;
	mm->last_anon_vma = got->last_anon_vma;
	mm->stale_locked_pages = got->stale_locked_pages;
	mm->locked_pages += got->stale_locked_pages;
}

int memmap_mm_state_load(struct memmap_mm *mm, struct memmap_state_source *source)
{
	MM_LOCK_WRITE(mm);
	if (mm->nr_vmas > 0)
		return -EEXIST;
	const struct mm_name *names = mm->names;
	struct loading loading = {.mm = mm};
	struct memmap_mm got = {0};
	const size_t mark = memmap_state_get_object(source, memmap_mm_state_type_name());
	memmap_state_get_map(source, 7);
	memmap_state_get_key(source, "vmas");
	get_vmas(source, &loading);
	memmap_state_get_key(source, "layout");
	get_members(source, &got.layout, layout_members, NR_MEMBERS(layout_members));
	memmap_state_get_key(source, "limits");
	get_members(source, &got.limits, limits_members, NR_MEMBERS(limits_members));
	memmap_state_get_key(source, "def_flags");
	got.def_flags = memmap_state_get_uint(source);
	if (got.def_flags & ~VM_LOCKED_MASK)
		memmap_state_get_error(source, -EBADMSG, "flags that new mappings cannot get");
	memmap_state_get_key(source, "peak_pages");
	got.peak_pages = get_at_most(source, MOST_OF_ANYTHING);
	memmap_state_get_key(source, "last_anon_vma");
	got.last_anon_vma = get_at_most(source, MOST_OF_ANYTHING);
	memmap_state_get_key(source, "stale_locked_pages");
	got.stale_locked_pages = get_at_most(source, MOST_OF_ANYTHING);
	if (!memmap_state_get_failed(source))
		install(&loading, &got, source);
	release_vmas(&loading);
	int err = memmap_state_end_get(source, mark);
	if (err)
		mm_drop_names(mm, names);
	return err;
}
