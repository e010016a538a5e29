/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mmap: creating mappings, for a guest's system call and for the embedding program.
 *
 * Checks are made in Linux's order, so that of two mistakes the same one is told. Replacing what
 * lay there and creating the new mapping are one transaction: until the last step that can fail has
 * succeeded, the old mappings stand. (When Linux itself refuses at that late point, the old VMAs
 * stay split at the edges of the range; so they do here.)
 *
 * Refused: huge-page memory (MAP_HUGETLB), as by a kernel whose pool of huge pages is empty; what
 * was in the way is gone then.
 */
#include "abi.h"
#include "internal.h"

#include <limits.h>
#include <string.h>

#include <memmap/shared_memory.h>

/* What MAP_SHARED ignores the rest of, and MAP_SHARED_VALIDATE refuses it. */
#define LEGACY_MAP_FLAGS                                                                           \
	((uint64_t)(MAP_SHARED | MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS | MAP_DENYWRITE |         \
		    MAP_EXECUTABLE | MAP_GROWSDOWN | MAP_LOCKED | MAP_NORESERVE | MAP_POPULATE |   \
		    MAP_NONBLOCK | MAP_STACK | MAP_HUGETLB | MAP_32BIT | MAP_ABOVE4G) |            \
	 (uint64_t)MAP_HUGE_2MB | (uint64_t)MAP_HUGE_1GB)

/* A mapping that has passed its checks. `value` owns a reference only if `owns_reference`. */
struct new_mapping {
	struct memmap_addr_range range;
	struct vma value;
	bool owns_reference;
	/* Not NULL: shared anonymous memory, to be created when all else is known to succeed. */
	const struct memmap_shared_anonymous *shared_anonymous;
	/* Not 0: what the file's own mmap method refuses it with. */
	int refusal;
};

/* What shared anonymous memory is when nobody says otherwise. It may outlive the address space. */
static int create_shared_memory(void *context, uint64_t length, struct memmap_mmap_file *out)
{
	struct memmap_mm *mm = context;
	return memmap_shared_memory_create(mm->memory_file, length,
					   memmap_context_mem_cg_id(mm->context), NULL,
					   &out->identity, &out->mappable);
}

static int create_shared_anonymous(struct memmap_mm *mm, struct new_mapping *n)
{
	struct memmap_mmap_file file = {0};
	if (!(n->value.flags & MEMMAP_VM_NORESERVE) && !mm_may_account(mm, range_pages(n->range)))
		return -ENOMEM;
	int err = n->shared_anonymous->create(n->shared_anonymous->context,
					      n->range.end - n->range.start, &file);
	if (err)
		return err;
	n->value.identity = file.identity;
	n->value.mappable = file.mappable;
	n->value.huge_aligned = file.huge_aligned;
	n->value.shared_anonymous = true;
	n->owns_reference = true;
	return 0;
}

/* Do the limits permit it, in place of what `unmap` takes away? Sets VM_ACCOUNT. */
static bool within_limits(const struct memmap_mm *mm, struct new_mapping *n,
			  const struct mm_unmap *unmap)
{
	uint64_t pages = range_pages(n->range);
	if (!mm_may_expand(mm, n->value.flags, pages - unmap->nr_pages))
		return false;
	if (!vm_flags_accountable(n->value.flags))
		return true;
	n->value.flags |= MEMMAP_VM_ACCOUNT;
	return pages == unmap->nr_accounted || mm_may_account(mm, pages - unmap->nr_accounted);
}

/* What can fail for want of memory or by refusal of others; nothing is changed when it does. */
static int prepare(struct memmap_mm *mm, struct new_mapping *n, const struct mm_unmap *unmap)
{
	int err = n->shared_anonymous ? create_shared_anonymous(mm, n) : 0;
	if (err)
		return err;
	err = mm_unmap_tell(mm, unmap);
	if (!err) {
		err = mm_mapping_add(mm, n->range, &n->value);
		if (err)
			mm_unmap_untell(mm, unmap);
	}
	if (err && n->owns_reference)
		memmap_mapping_identity_dec_ref(n->value.identity, mm->context);
	return err;
}

/* Replace whatever is in the range by the new mapping. Linux's mmap_region(). */
static int map_region(struct memmap_mm *mm, struct new_mapping *n)
{
	struct mm_unmap unmap;
	int err = mm_reserve(mm, MM_UNMAP_RESERVE + 1, MM_UNMAP_RESERVE);
	if (!err)
		err = mm_unmap_check(mm, n->range, &unmap);
	if (err)
		return err;
	if (!within_limits(mm, n, &unmap)) {
		mm_unmap_split(mm, &unmap);
		return -ENOMEM;
	}
	/* The file is asked last, and by then Linux has taken away what was in the way. */
	err = n->refusal ? mm_unmap_tell(mm, &unmap) : prepare(mm, n, &unmap);
	if (err)
		return err;
	mm_unmap_commit(mm, &unmap);
	if (n->refusal)
		return n->refusal;

	struct vma_merge m = {.range = n->range, .value = n->value};
	bool merged = vma_iterator_ok(mm_merge_new(mm, &m));
	if (n->value.identity && merged == n->owns_reference) {
		if (merged)
			memmap_mapping_identity_dec_ref(n->value.identity, mm->context);
		else
			memmap_mapping_identity_inc_ref(n->value.identity);
	}
	if (!merged) {
		struct vma v = n->value;
		/* Only now: for merging, Linux takes it for locked. */
		if (v.flags & VM_NEVER_LOCKED)
			v.flags &= ~VM_LOCKED_MASK;
		(void)mm_insert(mm, n->range, &v);
	}
	return 0;
}

/*
 * ---- The system call ----
 */

static uint64_t flags_of_request(const struct memmap_mm *mm, uint64_t prot, uint64_t map_flags)
{
	uint64_t flags = (prot & VM_ACCESS_FLAGS) | VM_MAY_FLAGS | mm->def_flags;
	if (map_flags & MAP_GROWSDOWN)
		flags |= MEMMAP_VM_GROWSDOWN;
	if (map_flags & MAP_LOCKED)
		flags |= MEMMAP_VM_LOCKED;
	if (map_flags & MAP_SYNC)
		flags |= MEMMAP_VM_SYNC;
	if (map_flags & MAP_STACK)
		flags |= MEMMAP_VM_NOHUGEPAGE;
	return flags;
}

static bool offset_fits(const struct memmap_mmap_file *file, uint64_t offset, uint64_t length)
{
	uint64_t max = file->max_offset ? file->max_offset : (uint64_t)LLONG_MAX;
	return length <= max && offset >> MEMMAP_PAGE_SHIFT <= (max - length) >> MEMMAP_PAGE_SHIFT;
}

/* May `file` be mapped so? Completes `*flags`, and drops from `*map_flags` what is ignored. */
static int check_file(const struct memmap_mmap_file *file, uint64_t prot, uint64_t *map_flags,
		      uint64_t *flags)
{
	uint64_t type = *map_flags & MAP_TYPE;
	if (type == MAP_SHARED || type == MAP_SHARED_VALIDATE) {
		if (type == MAP_SHARED)
			*map_flags &= LEGACY_MAP_FLAGS;
		const bool knows_sync = file->map_sync || file->refuses_sync;
		uint64_t known = LEGACY_MAP_FLAGS | (knows_sync ? (uint64_t)MAP_SYNC : 0);
		if (*map_flags & ~known)
			return -EOPNOTSUPP;
		if ((prot & PROT_WRITE) && !file->writable)
			return -EACCES;
		if (file->append_only && file->writable)
			return -EACCES;
		*flags |= MEMMAP_VM_SHARED | MEMMAP_VM_MAYSHARE;
		if (!file->writable)
			*flags &= ~(MEMMAP_VM_MAYWRITE | MEMMAP_VM_SHARED);
	} else if (type != MAP_PRIVATE) {
		return -EINVAL;
	}

	if (!file->readable)
		return -EACCES;
	if (file->no_exec) {
		if (*flags & MEMMAP_VM_EXEC)
			return -EPERM;
		*flags &= ~MEMMAP_VM_MAYEXEC;
	}
	if (file->no_mmap)
		return -ENODEV;
	if (*flags & MEMMAP_VM_GROWSDOWN)
		return -EINVAL;
	if (file->seal_write && (*flags & MEMMAP_VM_SHARED)) {
		if (*flags & MEMMAP_VM_WRITE)
			return -EPERM;
		*flags &= ~MEMMAP_VM_MAYWRITE;
	}
	return 0;
}

/* May anonymous memory be mapped so? Completes `*flags`. */
static int check_anonymous(uint64_t map_flags, uint64_t *flags)
{
	switch (map_flags & MAP_TYPE) {
	case MAP_SHARED:
		if (*flags & MEMMAP_VM_GROWSDOWN)
			return -EINVAL;
		*flags |= MEMMAP_VM_SHARED | MEMMAP_VM_MAYSHARE;
		return 0;
	case MAP_DROPPABLE:
		if ((map_flags & MAP_LOCKED) || (*flags & MEMMAP_VM_GROWSDOWN))
			return -EINVAL;
		*flags |= MEMMAP_VM_DROPPABLE | MEMMAP_VM_NORESERVE | MEMMAP_VM_WIPEONFORK |
			  MEMMAP_VM_DONTDUMP;
		return 0;
	case MAP_PRIVATE:
		return 0;
	default:
		return -EINVAL;
	}
}

/* The bits within a huge page of the size that MAP_HUGETLB asks for. */
static uint64_t huge_mask(uint64_t map_flags)
{
	const uint64_t shift = map_flags >> MAP_HUGE_SHIFT & MAP_HUGE_MASK;
	return (UINT64_C(1) << (shift ? shift : MEMMAP_HUGE_PAGE_SHIFT)) - 1;
}

/* Round the length to the huge page size that MAP_HUGETLB asks for; -EINVAL: there is no such. */
static int huge_length(uint64_t map_flags, uint64_t *length)
{
	const uint64_t mask = huge_mask(map_flags);
	if (mask != MEMMAP_HUGE_PAGE_MASK && mask != (UINT64_C(1) << 30) - 1)
		return -EINVAL;
	*length = (*length + mask) & ~mask;
	return 0;
}

/*
 * May huge-page memory be mapped so? To Linux it is a file, so that what a file may not be is asked
 * for it, too. Completes `*flags`.
 */
static int check_huge(uint64_t map_flags, uint64_t *flags)
{
	switch (map_flags & MAP_TYPE) {
	case MAP_SHARED_VALIDATE:
		if (map_flags & ~LEGACY_MAP_FLAGS)
			return -EOPNOTSUPP;
		__attribute__((fallthrough));
	case MAP_SHARED:
		*flags |= MEMMAP_VM_SHARED | MEMMAP_VM_MAYSHARE;
		break;
	case MAP_PRIVATE:
		break;
	default:
		return -EINVAL;
	}
	if (*flags & MEMMAP_VM_GROWSDOWN)
		return -EINVAL;
	*flags |= MEMMAP_VM_HUGETLB;
	return 0;
}

/* Choose and check the address of the mapping. */
static int choose_range(struct memmap_mm *mm, uint64_t addr, uint64_t length, uint64_t map_flags,
			const struct memmap_mmap_file *file, uint64_t offset,
			struct memmap_addr_range *range)
{
	if (!(map_flags & MAP_FIXED)) {
		addr = memmap_page_round_down(addr);
		if (addr && addr < mm->layout.min_addr)
			addr = mm->layout.min_addr;
	}
	struct mm_placement p = {
		.hint = addr,
		.length = length,
		.offset = file ? offset : 0,
		.map_flags = map_flags,
		.file = file || (map_flags & MAP_SHARED),
		.huge_aligned = file && file->huge_aligned,
	};
	if ((map_flags & MAP_HUGETLB) && (map_flags & MAP_FIXED) &&
	    length <= mm->layout.task_size && (addr & huge_mask(map_flags)))
		return -EINVAL;
	int err = mm_get_unmapped_area(mm, &p, &addr);
	if (err)
		return err;
	*range = range_of(addr, addr + length);
	if ((map_flags & MAP_FIXED_NOREPLACE) && !vma_set_is_empty_range(&mm->vmas, *range))
		return -EEXIST;
	return 0;
}

static int64_t sys_mmap(struct memmap_mm *mm, uint64_t addr, uint64_t length, uint64_t prot,
			uint64_t map_flags, const struct memmap_mmap_file *file, uint64_t offset,
			const struct memmap_shared_anonymous *shared_anonymous)
{
	int err;
	if (!memmap_is_page_aligned(offset))
		return -EINVAL;
	if (map_flags & MAP_ANONYMOUS) {
		file = NULL;
		err = map_flags & MAP_HUGETLB ? huge_length(map_flags, &length) : 0;
		if (err)
			return err;
	} else if (!file) {
		return -EBADF;
	} else if (map_flags & MAP_HUGETLB) {
		return -EINVAL;
	}

	if (length == 0)
		return -EINVAL;
	if ((prot & PROT_READ) && mm->limits.read_implies_exec && !(file && file->no_exec))
		prot |= PROT_EXEC;
	if (map_flags & MAP_FIXED_NOREPLACE)
		map_flags |= MAP_FIXED;
	if (!memmap_page_round_up(length, &length) || mm->nr_vmas > mm->limits.max_map_count)
		return -ENOMEM;

	const struct memmap_shared_anonymous of_memory_file = {mm, create_shared_memory};
	struct new_mapping n = {0};
	err = choose_range(mm, addr, length, map_flags, file, offset, &n.range);
	if (err)
		return err;
	uint64_t flags = flags_of_request(mm, prot, map_flags);
	if ((map_flags & MAP_LOCKED) && !mm_may_lock(mm))
		return -EPERM;
	if (!mm_may_lock_more(mm, flags, length))
		return -EAGAIN;
	if (file && !offset_fits(file, offset, length))
		return -EOVERFLOW;
	if (file)
		err = check_file(file, prot, &map_flags, &flags);
	else if (map_flags & MAP_HUGETLB)
		err = check_huge(map_flags, &flags);
	else
		err = check_anonymous(map_flags, &flags);
	if (err)
		return err;
	/* Asking for no reserve is heard only where overcommitting is permitted. */
	if ((map_flags & MAP_NORESERVE) && mm->limits.overcommit != 2)
		flags |= MEMMAP_VM_NORESERVE;

	n.value.flags = flags;
	if (file) {
		n.value.flags |= file->extra_flags;
		n.value.identity = file->identity;
		n.value.mappable = file->mappable;
		n.value.huge_aligned = file->huge_aligned;
		n.value.offset = offset;
		if ((flags & MEMMAP_VM_SYNC) && file->refuses_sync)
			n.refusal = -EOPNOTSUPP;
	} else if (flags & MEMMAP_VM_HUGETLB) {
		n.refusal = offset & huge_mask(map_flags) ? -EINVAL : -ENOMEM;
	} else if (flags & MEMMAP_VM_SHARED) {
		if (!shared_anonymous && !mm_has_pages(mm))
			return -ENODEV;
		n.shared_anonymous = shared_anonymous ? shared_anonymous : &of_memory_file;
	} else {
		n.value.offset = n.range.start;
	}
	if (mm_denies_exec(mm, flags, flags))
		return -EACCES;
	err = map_region(mm, &n);
	if (err)
		return err;
	if ((n.value.flags & MEMMAP_VM_LOCKED) ||
	    (map_flags & (MAP_POPULATE | MAP_NONBLOCK)) == MAP_POPULATE)
		(void)mm_populate(mm, n.range, true);
	return (int64_t)n.range.start;
}

int64_t memmap_mm_sys_mmap(struct memmap_mm *mm, uint64_t addr, uint64_t length, uint64_t prot,
			   uint64_t map_flags, const struct memmap_mmap_file *file, uint64_t offset,
			   const struct memmap_shared_anonymous *shared_anonymous)
{
	mm_begin_write(mm);
	return mm_end_write_and_populate(
		mm, sys_mmap(mm, addr, length, prot, map_flags, file, offset, shared_anonymous));
}

/*
 * ---- The embedding program's own mappings ----
 */

static uint64_t flags_of_opts(const struct memmap_mm *mm, const struct memmap_mmap_opts *opts)
{
	/* VM_READ, VM_WRITE and VM_EXEC are the bits of memmap_access, VM_MAY* four bits above. */
	uint64_t flags = (uint64_t)opts->perms |
			 (uint64_t)memmap_access_effective(opts->max_perms) << 4 | mm->def_flags;
	if (opts->mappable && !opts->private_) {
		flags |= MEMMAP_VM_MAYSHARE;
		if (opts->max_perms & MEMMAP_WRITE)
			flags |= MEMMAP_VM_SHARED;
	}
	if (opts->grows_down)
		flags |= MEMMAP_VM_GROWSDOWN;
	if (opts->stack)
		flags |= MEMMAP_VM_NOHUGEPAGE;
	if (opts->mlock_mode != MEMMAP_MLOCK_NONE)
		flags |= MEMMAP_VM_LOCKED;
	if (opts->mlock_mode == MEMMAP_MLOCK_LAZY && !(mm->def_flags & MEMMAP_VM_LOCKED))
		flags |= MEMMAP_VM_LOCKONFAULT;
	if (opts->mlock_mode == MEMMAP_MLOCK_EAGER)
		flags &= ~MEMMAP_VM_LOCKONFAULT;
	return flags;
}

/* Where opts ask for it to be. */
static int range_of_opts(struct memmap_mm *mm, const struct memmap_mmap_opts *opts, uint64_t length,
			 struct memmap_addr_range *range)
{
	bool fixed = opts->fixed || opts->no_replace;
	if (opts->force) {
		if (!memmap_is_page_aligned(opts->addr) ||
		    !memmap_addr_to_range(opts->addr, length, range))
			return -EINVAL;
		return 0;
	}
	struct mm_placement p = {
		.hint = fixed ? opts->addr : memmap_page_round_down(opts->addr),
		.length = length,
		.offset = opts->mappable ? opts->offset : 0,
		.map_flags = fixed             ? MAP_FIXED
			     : opts->map_32bit ? MAP_32BIT
					       : 0,
		.file = opts->mappable != NULL,
	};
	uint64_t addr;
	int err = mm_get_unmapped_area(mm, &p, &addr);
	if (err)
		return err == -EPERM ? -ENOMEM : err;
	*range = range_of(addr, addr + length);
	if (!opts->unmap && !vma_set_is_empty_range(&mm->vmas, *range))
		return opts->no_replace ? -EEXIST : -ENOMEM;
	return 0;
}

static int map_as_opts_say(struct memmap_mm *mm, const struct memmap_mmap_opts *opts,
			   uint64_t *addr)
{
	uint64_t length, end;
	if (opts->length == 0 || (opts->unmap && (!opts->fixed || opts->no_replace)) ||
	    (opts->force && !(opts->fixed && opts->unmap)) ||
	    !memmap_access_superset_of(MEMMAP_ANY_ACCESS, opts->max_perms) ||
	    !memmap_access_superset_of(memmap_access_effective(opts->max_perms), opts->perms) ||
	    (opts->mappable && opts->grows_down) || (opts->identity && !opts->mappable))
		return -EINVAL;
	if (!memmap_page_round_up(opts->length, &length))
		return -ENOMEM;
	if (opts->mappable && (!memmap_is_page_aligned(opts->offset) ||
			       __builtin_add_overflow(opts->offset, length, &end)))
		return -EINVAL;
	if (mm->nr_vmas > mm->limits.max_map_count)
		return -ENOMEM;

	struct new_mapping n = {0};
	int err = range_of_opts(mm, opts, length, &n.range);
	if (err)
		return err;
	n.value.flags = flags_of_opts(mm, opts);
	if (!mm_may_lock_more(mm, n.value.flags, length))
		return -EAGAIN;
	n.value.identity = opts->identity;
	n.value.mappable = opts->mappable;
	n.value.offset = opts->mappable ? opts->offset : n.range.start;
	if (opts->hint && opts->hint[0] != '\0') {
		n.value.name = mm_intern_name(mm, opts->hint);
		if (!n.value.name)
			return -ENOMEM;
	}
	err = map_region(mm, &n);
	if (err)
		return err;
	if ((n.value.flags & MEMMAP_VM_LOCKED) || opts->precommit ||
	    opts->platform_effect == MEMMAP_PLATFORM_EFFECT_COMMIT ||
	    (mm_has_pages(mm) && opts->platform_effect == MEMMAP_PLATFORM_EFFECT_POPULATE))
		(void)mm_populate(mm, n.range, true);
	*addr = n.range.start;
	return 0;
}

int memmap_mm_mmap(struct memmap_mm *mm, const struct memmap_mmap_opts *opts, uint64_t *addr)
{
	mm_begin_write(mm);
	return (int)mm_end_write_and_populate(mm, map_as_opts_say(mm, opts, addr));
}
