/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The life of an address space: its layout, its making and unmaking, and looking at it.
 *
 * Glossary
 * --------
 *   VMA           a range of addresses that are mapped alike
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
 * An address space takes no lock of its own: whoever uses it sees to it that a writer is alone (the
 * mapping lock). Under the mapping lock come, in this order, the locks of Mappables (add_mapping()
 * and its kin), then what they take. invalidate() is called under a Mappable's locks and takes
 * none.
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

static bool layout_is_consistent(const struct memmap_mm_layout *l)
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
	return mm->layout;
}

int memmap_mm_set_layout(struct memmap_mm *mm, const struct memmap_mm_layout *layout)
{
	if (!layout_is_consistent(layout))
		return -EINVAL;
	mm->layout = *layout;
	return 0;
}

/*
 * ---- Life ----
 */

/* Mappables invalidate translations; a space that only keeps VMAs has none. */
static void invalidate(struct memmap_mapping_space *ms, struct memmap_addr_range ar,
		       struct memmap_invalidate_opts opts)
{
	(void)ms;
	(void)ar;
	(void)opts;
}

static const struct memmap_mapping_space_ops space_ops = {.invalidate = invalidate};

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
	return mm;
}

int memmap_mm_create(const struct memmap_mm_options *options, struct memmap_mm **out)
{
	if (!layout_is_consistent(&options->layout))
		return -EINVAL;
	struct memmap_mm *mm = mm_allocate(options->allocator);
	if (!mm)
		return -ENOMEM;
	mm->layout = options->layout;
	mm->limits = options->limits;
	mm->hooks = options->hooks;
	mm->context = options->context;
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
	mm_remove_all(mm);
	vma_set_destroy(&mm->vmas);
	mm_release_names(mm);
	/* The allocator's table lies in what is being freed. */
	struct memmap_allocator allocator = mm->allocator_storage;
	memmap_deallocate(mm->allocator ? &allocator : NULL, mm, sizeof(*mm));
}

int memmap_mm_exec(struct memmap_mm *mm, const struct memmap_mm_layout *layout)
{
	if (!layout_is_consistent(layout))
		return -EINVAL;
	mm_remove_all(mm);
	mm->layout = *layout;
	mm->def_flags = 0;
	mm->locked_pages = mm->stale_locked_pages = 0;
	mm->peak_pages = 0;
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
	struct vma_iterator it = mm_find(mm, addr);
	if (!vma_iterator_ok(it))
		return false;
	*out = vma_export(it);
	return true;
}

void memmap_mm_get_stats(const struct memmap_mm *mm, struct memmap_mm_stats *out)
{
	*out = (struct memmap_mm_stats){
		.nr_vmas = mm->nr_vmas,
		.total_pages = mm->total_pages,
		.peak_pages = mm->peak_pages > mm->total_pages ? mm->peak_pages : mm->total_pages,
		.data_pages = mm->data_pages,
		.exec_pages = mm->exec_pages,
		.stack_pages = mm->stack_pages,
		.locked_pages = mm->locked_pages,
	};
}
