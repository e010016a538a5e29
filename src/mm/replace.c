/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Putting VMAs in as they are, for an embedding program that knows them from elsewhere.
 *
 * Neither limits nor merging are thought of, and a seal protects nothing here. All that can fail
 * comes first, as everywhere.
 */
#include "internal.h"

#include <string.h>

static bool is_acceptable(const struct memmap_mm *mm, struct memmap_addr_range ar,
			  const struct memmap_vma *vmas, size_t nr_vmas)
{
	uint64_t at = ar.start, length;
	if (!memmap_is_page_aligned(ar.start | ar.end) || ar.start > ar.end ||
	    ar.end > mm->layout.task_size)
		return false;
	for (size_t i = 0; i < nr_vmas; i++) {
		const struct memmap_vma *v = &vmas[i];
		if (!memmap_is_page_aligned(v->range.start | v->range.end | v->offset) ||
		    v->range.start < at || v->range.start >= v->range.end ||
		    v->range.end > ar.end || (v->fork_child && !v->anon_vma) ||
		    (v->anon_name && (v->identity || v->mappable) && !v->shared_anonymous) ||
		    (v->shared_anonymous && !v->identity) ||
		    (v->mappable &&
		     __builtin_add_overflow(v->offset, v->range.end - v->range.start, &length)))
			return false;
		at = v->range.end;
	}
	return true;
}

static struct vma import(const struct memmap_vma *v)
{
	return (struct vma){
		.flags = v->flags,
		.identity = v->identity,
		.mappable = v->mappable,
		.offset = v->offset,
		.name = v->name,
		.anon_vma = v->anon_vma,
		.policy = v->policy,
		.userfault = v->userfault,
		.fork_child = v->fork_child,
		.huge_aligned = v->huge_aligned,
		.shared_anonymous = v->shared_anonymous,
	};
}

/* Tell the Mappables of all the new VMAs, or of none. */
static int add_mappings(struct memmap_mm *mm, const struct memmap_vma *vmas, size_t nr_vmas)
{
	for (size_t i = 0; i < nr_vmas; i++) {
		struct vma v = import(&vmas[i]);
		int err = mm_mapping_add(mm, vmas[i].range, &v);
		if (!err)
			continue;
		/* What was added a moment ago is whole, so removing it needs no memory. */
		while (i-- > 0) {
			v = import(&vmas[i]);
			(void)mm_mapping_remove(mm, vmas[i].range, &v);
		}
		return err;
	}
	return 0;
}

/* The first half of replacing, which may fail: room, and everybody told. */
static int prepare(struct memmap_mm *mm, const struct mm_unmap *unmap,
		   const struct memmap_vma *vmas, size_t nr_vmas)
{
	int err = mm_reserve(mm, MM_UNMAP_RESERVE + nr_vmas, MM_UNMAP_RESERVE);
	if (!err)
		err = mm_unmap_tell(mm, unmap);
	if (err)
		return err;
	err = add_mappings(mm, vmas, nr_vmas);
	if (err)
		mm_unmap_untell(mm, unmap);
	return err;
}

/* A name that a VMA is to get. */
struct copied_name {
	struct anon_name *name;
};

/* Copies of the VMAs' names, one after the other in the array `*names`, which may be NULL. */
static int copy_names(struct memmap_mm *mm, const struct memmap_vma *vmas, size_t nr_vmas,
		      struct copied_name **names)
{
	size_t nr_names = 0;
	*names = NULL;
	for (size_t i = 0; i < nr_vmas; i++)
		nr_names += vmas[i].anon_name != NULL;
	if (nr_names == 0)
		return 0;
	struct copied_name *all = memmap_allocate(mm->allocator, nr_vmas * sizeof(*all),
						  _Alignof(struct copied_name));
	if (!all)
		return -ENOMEM;
	*names = all;
	memset(all, 0, nr_vmas * sizeof(*all));
	for (size_t i = 0; i < nr_vmas; i++) {
		if (!vmas[i].anon_name)
			continue;
		all[i].name = anon_name_create(mm, vmas[i].anon_name);
		if (!all[i].name)
			return -ENOMEM;
	}
	return 0;
}

/* Free the array, and the names too that no VMA has got. */
static void release_names(struct memmap_mm *mm, struct copied_name *names, size_t nr_vmas)
{
	for (size_t i = 0; names && i < nr_vmas; i++)
		anon_name_dec_ref(mm, names[i].name);
	memmap_deallocate(mm->allocator, names, nr_vmas * sizeof(*names));
}

int mm_replace(struct memmap_mm *mm, struct memmap_addr_range ar, const struct memmap_vma *vmas,
	       size_t nr_vmas)
{
	if (!is_acceptable(mm, ar, vmas, nr_vmas))
		return -EINVAL;
	if (ar.start == ar.end)
		return 0;
	struct mm_unmap unmap = {.range = ar, .nr_vmas = mm->nr_vmas};
	struct copied_name *names;
	int err = copy_names(mm, vmas, nr_vmas, &names);
	if (!err)
		err = prepare(mm, &unmap, vmas, nr_vmas);
	if (err)
		goto out;

	mm_unmap_commit(mm, &unmap);
	for (size_t i = 0; i < nr_vmas; i++) {
		struct vma v = import(&vmas[i]);
		if (names)
			v.anon_name = names[i].name;
		vma_inc_ref(&v);
		if (v.anon_vma > mm->last_anon_vma)
			mm->last_anon_vma = v.anon_vma;
		(void)mm_insert(mm, vmas[i].range, &v);
	}
out:
	release_names(mm, names, nr_vmas);
	return err;
}

int memmap_mm_replace(struct memmap_mm *mm, struct memmap_addr_range ar,
		      const struct memmap_vma *vmas, size_t nr_vmas)
{
	MM_LOCK_WRITE(mm);
	return mm_replace(mm, ar, vmas, nr_vmas);
}
