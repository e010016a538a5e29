/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An address space of the model as a source for the history.
 *
 * What maps calls [heap] and [stack] is told by the layout, as Linux does it.
 */
#include <string.h>
#include <sys/mman.h>

#include <memmap/mm.h>

#include "history/history.h"

struct mm_source {
	const struct memmap_mm *mm;
	struct memmap_mm_layout layout;
};

static enum history_kind vma_kind(const struct memmap_mm_layout *layout,
				  const struct memmap_vma *vma)
{
	if (vma->name)
		return HISTORY_SPECIAL;
	if (vma->identity) {
		uint64_t written = MEMMAP_VM_MAYSHARE | MEMMAP_VM_MAYWRITE;
		return (vma->flags & written) == written ? HISTORY_SHARED : HISTORY_FILE;
	}
	if (vma->range.start < layout->brk && vma->range.end > layout->start_brk)
		return HISTORY_HEAP;
	if (vma->range.start <= layout->start_stack && vma->range.end >= layout->start_stack)
		return HISTORY_STACK;
	return HISTORY_ANONYMOUS;
}

static bool mm_find(const void *context, uint64_t addr, struct history_vma *out)
{
	const struct mm_source *source = context;
	struct memmap_vma vma;
	if (!memmap_mm_find_vma(source->mm, addr, &vma))
		return false;
	*out = (struct history_vma){
		.range = vma.range,
		.flags = vma.flags,
		.identity = vma.identity ? (const void *)vma.identity : vma.name,
		.offset = vma.offset,
		.kind = vma_kind(&source->layout, &vma),
	};
	return true;
}

static void mm_name(const void *context, const struct history_vma *vma, char *buf, size_t size)
{
	const struct mm_source *source = context;
	struct memmap_vma whole;
	buf[0] = '\0';
	if (!memmap_mm_find_vma(source->mm, vma->range.start, &whole))
		return;
	if (whole.name) {
		(void)strncpy(buf, whole.name, size - 1);
		buf[size - 1] = '\0';
	} else if (whole.identity) {
		(void)whole.identity->ops->mapped_name(whole.identity, NULL, buf, size);
	}
}

int history_record(struct history *h, pid_t pid, uint64_t time, const char *call,
		   const struct memmap_mm *mm, struct memmap_addr_range touched)
{
	struct mm_source context = {.mm = mm, .layout = memmap_mm_get_layout(mm)};
	struct history_source source = {.context = &context, .find = mm_find, .name = mm_name};
	return history_record_source(h, pid, time, call, &source, touched);
}
