/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Names that programs give to their anonymous memory: prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME).
 *
 * A name goes where VMAs go: a split, a move and a fork keep it, and neighbours with different names
 * stay apart. Memory that names take (see names.c) is bounded by the number of VMAs, whatever a guest
 * calls them.
 *
 * Naming goes over the VMAs of the range in order, as madvise(2) does: holes are passed over and
 * reported at the end; a VMA of a file ends the call, and what came before stays named. Want of
 * memory alone changes nothing: at most the first and the last VMA are split, and room for those two
 * is made before.
 */
#include "internal.h"

#include <string.h>

#define NAME_SIZE 80 /* the most that a name takes, with its terminating zero */

/* Printable, and none of those that would confuse whoever reads maps. */
static bool is_name_char(char c)
{
	return c > 0x1f && c < 0x7f && !strchr("\\`$[]", c);
}

static bool is_name(const char *text)
{
	size_t length = strnlen(text, NAME_SIZE);
	if (length == NAME_SIZE)
		return false;
	for (size_t i = 0; i < length; i++) {
		if (!is_name_char(text[i]))
			return false;
	}
	return true;
}

/* Name `part` of the VMA at `it`; `*out` is the VMA that holds it then. */
static int name_part(struct memmap_mm *mm, struct vma_iterator it, struct memmap_addr_range part,
		     struct anon_name *name, struct vma_iterator *out)
{
	const struct vma *v = vma_iterator_value_ptr(it);

	*out = it;
	if ((v->identity || v->mappable) && !v->shared_anonymous)
		return -EBADF;
	if (anon_name_equal(v->anon_name, name))
		return 0;
	int err = mm_modify_anon_name(mm, it, part, name, out);
	return err == -ENOMEM ? -EAGAIN : err;
}

static int64_t name_range(struct memmap_mm *mm, struct memmap_addr_range range,
			  struct anon_name *name)
{
	int64_t result = 0;
	MM_LOCK_WRITE(mm);

	if (vma_set_reserve(&mm->vmas, 2) != 0)
		return -EAGAIN;
	struct vma_iterator it = mm_find(mm, range.start);
	for (uint64_t at = range.start; at < range.end;
	     at = vma_iterator_end(it), it = vma_iterator_next_segment(it)) {
		/*
		 *      |--- it ---|  hole  |--- it ---|
		 */
		if (!vma_iterator_ok(it))
			return -ENOMEM;
		if (vma_iterator_start(it) > at) {
			result = -ENOMEM;
			at = vma_iterator_start(it);
			if (at >= range.end)
				break;
		}
		uint64_t end = vma_iterator_end(it) < range.end ? vma_iterator_end(it) : range.end;
		int err = name_part(mm, it, range_of(at, end), name, &it);
		if (err)
			return err;
	}
	return result;
}

int64_t memmap_mm_sys_prctl_set_vma(struct memmap_mm *mm, uint64_t addr, uint64_t length,
				    const char *text)
{
	struct anon_name *name = NULL;
	struct memmap_addr_range range = {.start = addr};

	if (text) {
		if (!is_name(text))
			return -EINVAL;
		name = anon_name_create(mm, text);
		if (!name)
			return -ENOMEM;
	}
	int64_t result;
	if (!memmap_is_page_aligned(addr) || !memmap_page_round_up(length, &length) ||
	    __builtin_add_overflow(addr, length, &range.end))
		result = -EINVAL;
	else
		result = range.start == range.end ? 0 : name_range(mm, range, name);
	anon_name_dec_ref(mm, name);
	return result;
}
