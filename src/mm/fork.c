/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fork: a copy of an address space.
 *
 * Left out are VMAs marked DONTCOPY. Locks are not inherited, nor are registrations with a
 * userfaultfd and future locking. A VMA with
 * anonymous pages gets an owner of its own for them, marked as having come over a fork; one that is
 * wiped on fork begins anew. Nothing is merged.
 *
 * The parent is asked for its anonymous pages, but otherwise only read. For the pages see
 * fork_pages.c.
 */
#include "internal.h"

static struct vma child_value(struct memmap_mm *child, const struct vma *parent)
{
	struct vma v = *parent;
	v.flags &= ~(VM_LOCKED_MASK | VM_USERFAULT);
	v.userfault = 0;
	v.anon_vma = 0;
	v.fork_child = false;
	if (parent->anon_vma && !(v.flags & MEMMAP_VM_WIPEONFORK)) {
		v.anon_vma = ++child->last_anon_vma;
		v.fork_child = true;
	}
	return v;
}

/* Names are the address space's own: find those of `parent` again in `child`. */
static int own_name(const struct memmap_mm *parent, struct memmap_mm *child, struct vma *v)
{
	if (!v->name)
		return 0;
	v->name = mm_inherit_name(parent, child, v->name);
	return v->name ? 0 : -ENOMEM;
}

static int copy_vmas(struct memmap_mm *parent, struct memmap_mm *child)
{
	for (struct vma_iterator it = vma_set_first_segment(&parent->vmas); vma_iterator_ok(it);
	     it = vma_iterator_next_segment(it)) {
		struct memmap_addr_range range = vma_iterator_range(it);
		if (vma_iterator_value_ptr(it)->flags & MEMMAP_VM_DONTCOPY)
			continue;
		(void)vma_has_anon(parent, it);
		struct vma v = child_value(child, vma_iterator_value_ptr(it));
		if ((v.flags & MEMMAP_VM_ACCOUNT) && !mm_may_account(parent, range_pages(range)))
			return -ENOMEM;
		int err = own_name(parent, child, &v);
		if (!err)
			err = mm_mapping_add(child, range, &v);
		if (err)
			return err;
		vma_inc_ref(&v);
		(void)mm_insert(child, range, &v);
	}
	return 0;
}

/* A child without VMAs. */
static struct memmap_mm *make_child(struct memmap_mm *parent,
				    const struct memmap_mm_fork_options *options)
{
	struct memmap_mm *child = mm_allocate(parent->allocator);
	if (!child)
		return NULL;
	child->layout = parent->layout;
	child->limits = parent->limits;
	child->context = parent->context;
	child->memory_file = parent->memory_file;
	child->memory = parent->memory;
	child->fault_around = parent->fault_around;
	if (mm_has_pages(parent))
		child->address_space = options->address_space;
	if (options->hooks)
		child->hooks = *options->hooks;
	if (mm_has_pages(parent))
		child->hooks.has_anonymous = NULL;
	return child;
}

static int copy(struct memmap_mm *parent, struct memmap_mm *child)
{
	MM_HOLD(child_lock, write, &child->mapping_lock, MM_LOCK_RANK_MAPPING_OF_CHILD);
	int err = vma_set_reserve(&child->vmas, parent->nr_vmas);
	if (!err)
		err = copy_vmas(parent, child);
	return err ? err : mm_fork_pages(parent, child);
}

int memmap_mm_fork_into(struct memmap_mm *parent, const struct memmap_mm_fork_options *options,
			struct memmap_mm **out)
{
	static const struct memmap_mm_fork_options none = {0};
	struct memmap_mm *child;
	int err = -ENOMEM;
	{
		MM_LOCK_WRITE(parent);
		child = make_child(parent, options ? options : &none);
		if (child)
			err = copy(parent, child);
	}
	if (err) {
		memmap_mm_release(child);
		return err;
	}
	*out = child;
	return 0;
}

int memmap_mm_fork(struct memmap_mm *parent, const struct memmap_mm_hooks *hooks,
		   struct memmap_mm **out)
{
	const struct memmap_mm_fork_options options = {.hooks = hooks};
	return memmap_mm_fork_into(parent, &options, out);
}
