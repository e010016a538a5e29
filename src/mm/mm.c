/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of an address space: its layout, its making and unmaking, and looking at it.
 *
 * Glossary
 * --------
 *   VMA           a range of addresses that are mapped alike
 *   PMA           what is mapped there now, from where; see pma.c
 *   Mappable      what a VMA maps: an inode; told of every mapping that comes, goes or moves
 *   identity      the open file behind a VMA: keeps the Mappable alive, names it
 *   anon_vma      the owner of a VMA's anonymous pages; see anon.c
 *   placement     choosing an address; see unmapped_area.c
 *   guard gap     what is kept clear below a VMA that grows down
 *   accounted     promised to be there when it is written to (VM_ACCOUNT)
 *   the break     the end of the heap, which begins at start_brk
 *
 * Lock order
 * ----------
 * Every public function takes the locks that it needs (lock.h says how):
 *
 *   1. the mapping lock, over VMAs and all that belongs to them; hooks are called under it
 *   2. the locks of Mappables and identities (add_mapping(), translate(), msync() and their kin)
 *   3. the active lock, over PMAs; invalidate(), called under a Mappable's locks, takes it alone
 *   4. the platform's locks; the locks of Files, the memory file among them
 *
 * fork() holds both locks of the parent and of the child, the parent's before the child's; nobody
 * else holds locks of two address spaces.
 */
#include "internal.h"

/*
 * ---- Layout ----
 */

void memmap_mm_layout_default(struct memmap_mm_layout *layout)
{
	*layout = (struct memmap_mm_layout){
		.min_addr = UINT64_C(0x10000),
		.min_fixed_addr = UINT64_C(0x10000),
		.task_size = UINT64_C(0x7ffffffff000),
		/* The stack may have 128 MiB. */
		.mmap_base = UINT64_C(0x7ffff7fff000),
		/* A third of the way up. */
		.mmap_legacy_base = UINT64_C(0x2aaaaaaab000),
		/* Behind a small program that is loaded two thirds of the way up. */
		.start_brk = UINT64_C(0x555555559000),
		.brk = UINT64_C(0x555555559000),
		.start_stack = UINT64_C(0x7fffffffe000),
		.stack_guard_gap = UINT64_C(0x100000),
		.vsyscall = true,
	};
}

bool mm_layout_is_consistent(const struct memmap_mm_layout *l)
{
	return memmap_is_page_aligned(l->min_addr | l->task_size | l->mmap_base |
				      l->mmap_legacy_base | l->stack_guard_gap) &&
	       l->min_addr < l->task_size && l->task_size <= UINT64_C(1) << 56 &&
	       l->mmap_base <= l->task_size && l->mmap_legacy_base <= l->task_size &&
	       l->stack_guard_gap < l->task_size && l->start_brk <= l->brk &&
	       l->brk <= l->task_size && l->start_code <= l->end_code &&
	       l->start_data <= l->end_data;
}

struct memmap_mm_layout memmap_mm_get_layout(const struct memmap_mm *mm)
{
	MM_LOCK_READ(mm);
	return mm->layout;
}

int memmap_mm_set_layout(struct memmap_mm *mm, const struct memmap_mm_layout *layout)
{
	if (!mm_layout_is_consistent(layout))
		return -EINVAL;
	MM_LOCK_WRITE(mm);
	mm->layout = *layout;
	return 0;
}

/*
 * ---- Life ----
 */

/* How far faults go by default: as far as Linux's, for files. */
#define FAULT_AROUND UINT64_C(0x10000)

static const struct memmap_mapping_space_ops space_ops = {.invalidate = mm_invalidate};

struct memmap_mm *mm_allocate(const struct memmap_allocator *allocator)
{
	struct memmap_mm *mm = memmap_allocate(allocator, sizeof(*mm), _Alignof(struct memmap_mm));
	if (!mm)
		return NULL;
	*mm = (struct memmap_mm){.space.ops = &space_ops};
	if (allocator) {
		mm->allocator_storage = *allocator;
		mm->allocator = &mm->allocator_storage;
	}
	vma_set_init(&mm->vmas, mm->allocator);
	pma_set_init(&mm->pmas, mm->allocator);
	mm_lock_init(&mm->mapping_lock);
	mm_lock_init(&mm->active_lock);
	return mm;
}

int memmap_mm_create(const struct memmap_mm_options *options, struct memmap_mm **out)
{
	if (!mm_layout_is_consistent(&options->layout) ||
	    (options->fault_around & (options->fault_around - 1)) ||
	    (options->fault_around && options->fault_around < MEMMAP_PAGE_SIZE))
		return -EINVAL;
	struct memmap_mm *mm = mm_allocate(options->allocator);
	if (!mm)
		return -ENOMEM;
	mm->layout = options->layout;
	mm->limits = options->limits;
	mm->hooks = options->hooks;
	mm->context = options->context;
	if (options->memory_file) {
		mm->memory_file = options->memory_file;
		mm->memory = memmap_memory_file_file(options->memory_file);
		mm->address_space = options->address_space;
		mm->fault_around = options->fault_around ? options->fault_around : FAULT_AROUND;
		/* Its own faults know. */
		mm->hooks.has_anonymous = NULL;
	}
	*out = mm;
	return 0;
}

void mm_remove_all(struct memmap_mm *mm)
{
	struct mm_unmap unmap = {.range = {.start = 0, .end = UINT64_MAX}, .nr_vmas = mm->nr_vmas};
	/* Whole runs are taken away, which parts no mapping and so needs no memory. */
	int err = mm_unmap_tell(mm, &unmap);
	if (err)
		memmap_panic("memmap_mm: a Mappable refuses to have a whole mapping removed: %s",
			     memmap_strerror(err));
	mm_unmap_commit(mm, &unmap);
}

void memmap_mm_release(struct memmap_mm *mm)
{
	if (!mm)
		return;
	{
		MM_LOCK_WRITE(mm);
		mm_remove_all(mm);
	}
	mm_release_zeros(mm);
	mm_release_copy_buffer(mm);
	vma_set_destroy(&mm->vmas);
	pma_set_destroy(&mm->pmas);
	mm_release_names(mm);
	mm_lock_destroy(&mm->mapping_lock);
	mm_lock_destroy(&mm->active_lock);
	/* The allocator's table lies in what is being freed. */
	struct memmap_allocator allocator = mm->allocator_storage;
	memmap_deallocate(mm->allocator ? &allocator : NULL, mm, sizeof(*mm));
}

int memmap_mm_exec(struct memmap_mm *mm, const struct memmap_mm_layout *layout)
{
	if (!mm_layout_is_consistent(layout))
		return -EINVAL;
	MM_LOCK_WRITE(mm);
	mm_remove_all(mm);
	mm->layout = *layout;
	mm->def_flags = 0;
	mm->locked_pages = mm->stale_locked_pages = 0;
	mm->peak_pages = 0;
	MM_LOCK_ACTIVE(mm);
	mm->peak_resident_pages = 0;
	return 0;
}

struct memmap_mapping_space *memmap_mm_mapping_space(struct memmap_mm *mm)
{
	return &mm->space;
}

/*
 * ---- Looking at it ----
 */

bool memmap_mm_find_vma(const struct memmap_mm *mm, uint64_t addr, struct memmap_vma *out)
{
	MM_LOCK_READ(mm);
	struct vma_iterator it = mm_find(mm, addr);
	if (!vma_iterator_ok(it))
		return false;
	/* Faults give owners of anonymous pages under this one. */
	MM_LOCK_ACTIVE_READ(mm);
	*out = vma_export(it);
	return true;
}

void memmap_mm_get_stats(const struct memmap_mm *mm, struct memmap_mm_stats *out)
{
	MM_LOCK_READ(mm);
	*out = (struct memmap_mm_stats){
		.nr_vmas = mm->nr_vmas,
		.total_pages = mm->total_pages,
		.peak_pages = mm->peak_pages > mm->total_pages ? mm->peak_pages : mm->total_pages,
		.data_pages = mm->data_pages,
		.exec_pages = mm->exec_pages,
		.stack_pages = mm->stack_pages,
		.locked_pages = mm->locked_pages,
	};
	if (mm_has_pages(mm)) {
		MM_LOCK_ACTIVE_READ(mm);
		mm_count_resident(mm, out);
	}
}
