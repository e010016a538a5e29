/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Putting VMAs in as they are, for an embedding program that knows them from elsewhere.
 *
 * Neither limits nor merging are thought of, and a seal protects nothing here. All that can fail
 * comes first, as everywhere.
 */
#include "internal.h"

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
		.fork_child = v->fork_child,
		.huge_aligned = v->huge_aligned,
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

int memmap_mm_replace(struct memmap_mm *mm, struct memmap_addr_range ar,
		      const struct memmap_vma *vmas, size_t nr_vmas)
{
	if (!is_acceptable(mm, ar, vmas, nr_vmas))
		return -EINVAL;
	int err = vma_set_reserve(&mm->vmas, MM_UNMAP_RESERVE + nr_vmas);
	if (err || ar.start == ar.end)
		return err;
	struct mm_unmap unmap = {.range = ar, .nr_vmas = mm->nr_vmas};
	err = mm_unmap_tell(mm, &unmap);
	if (err)
		return err;
	err = add_mappings(mm, vmas, nr_vmas);
	if (err) {
		mm_unmap_untell(mm, &unmap);
		return err;
	}

	mm_unmap_commit(mm, &unmap);
	for (size_t i = 0; i < nr_vmas; i++) {
		struct vma v = import(&vmas[i]);
		if (v.identity)
			memmap_mapping_identity_inc_ref(v.identity);
		if (v.anon_vma > mm->last_anon_vma)
			mm->last_anon_vma = v.anon_vma;
		(void)mm_insert(mm, vmas[i].range, &v);
	}
	return 0;
}
