/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of the address space share: the address space itself, the VMA as the set keeps it,
 * and the steps that system calls are made of.
 *
 * How a call is built
 * -------------------
 * 1. Check, in Linux's order, what Linux checks; each failure returns its errno.
 * 2. Prepare what can fail for want of memory: vma_set_reserve() for every split and insertion to
 *    come, references, and telling the Mappables (mm_unmap_tell(), mm_mapping_add()).
 * 3. Commit with steps that cannot fail: the functions below that return nothing or an iterator.
 *
 * Failing for want of memory in step 2 leaves everything as it was. Where Linux itself leaves a
 * failed call half done (VMAs split, the first part changed), so do we, with the same VMAs.
 *
 * Counts
 * ------
 * Every step that changes VMAs keeps all counts of the address space right (pages, locked pages,
 * accounted pages, VMAs): callers do not count. memmap_mm_verify() checks them.
 *
 * Iterators
 * ---------
 * A step that inserts or removes a VMA invalidates every iterator but those that it returns;
 * changing the range or the value of a VMA in place does not.
 */
#ifndef MEMMAP_SRC_MM_INTERNAL_H
#define MEMMAP_SRC_MM_INTERNAL_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <memmap/error.h>
#include <memmap/memory_file.h>
#include <memmap/mm.h>

#include "lock.h"
#include "pma.h"

/*
 * ---- The VMA as the set keeps it ----
 */

/* Linux's groups of flags. */
#define VM_ACCESS_FLAGS (MEMMAP_VM_READ | MEMMAP_VM_WRITE | MEMMAP_VM_EXEC)
#define VM_MAY_FLAGS    (MEMMAP_VM_MAYREAD | MEMMAP_VM_MAYWRITE | MEMMAP_VM_MAYEXEC)
#define VM_LOCKED_MASK  (MEMMAP_VM_LOCKED | MEMMAP_VM_LOCKONFAULT)
/* Never merged. */
#define VM_SPECIAL (MEMMAP_VM_IO | MEMMAP_VM_DONTEXPAND | MEMMAP_VM_PFNMAP | MEMMAP_VM_MIXEDMAP)
/* Keeps no neighbours apart; what they merge into has it if one of them had. */
#define VM_STICKY MEMMAP_VM_MAYBE_GUARD
/* What a registration with a userfaultfd sets. */
#define VM_USERFAULT (MEMMAP_VM_UFFD_MISSING | MEMMAP_VM_UFFD_WP | MEMMAP_VM_UFFD_MINOR)
/* Never locked: asking for it does nothing. */
#define VM_NEVER_LOCKED (VM_SPECIAL | MEMMAP_VM_HUGETLB | MEMMAP_VM_DROPPABLE)

/*
 * A VMA but for its range. It holds one reference to its identity.
 *
 * For the members see struct memmap_vma.
 */
struct vma {
	uint64_t flags;
	struct memmap_mapping_identity *identity;
	struct memmap_mappable *mappable;
	uint64_t offset;
	const char *name;
	struct anon_name *anon_name; /* a reference, too */
	uint64_t anon_vma;
	uint64_t userfault;
	uint32_t policy;
	bool fork_child;
	bool huge_aligned;
	bool shared_anonymous;
};

/* SEGMENT_SPLIT: parts the offset and takes the second piece's references. Cannot fail. */
int vma_split_value(struct memmap_addr_range r, struct vma *v, uint64_t at, struct vma *first,
		    struct vma *second);

/* clang-format off */
#define SEGMENT_PREFIX vma
#define SEGMENT_RANGE memmap_addr_range
#define SEGMENT_VALUE struct vma
#define SEGMENT_SPLIT vma_split_value
#define SEGMENT_TRACK_GAPS 1
#include <memmap/segment_set.h>
/* clang-format on */

/* See populate.c. */
struct mm_to_populate {
	struct memmap_addr_range range;
	bool ignore_errors; /* pass over what cannot be populated */
	bool locked_only;   /* VMAs that are not locked are left alone */
};

struct memmap_mm {
	struct memmap_mapping_space space; /* as Mappables know it */
	/* Over the VMAs and all that is not said to be under the active lock. */
	struct mm_lock mapping_lock;
	struct vma_set vmas;
	size_t nr_vmas; /* Linux's map_count */

	const struct memmap_allocator *allocator; /* NULL, or allocator_storage */
	struct memmap_allocator allocator_storage;
	struct memmap_context *context;
	struct memmap_mm_hooks hooks;
	struct memmap_mm_layout layout;
	struct memmap_mm_limits limits;

	uint64_t def_flags; /* VM_LOCKED_MASK bits that new mappings get: mlockall(MCL_FUTURE) */

	/* Pages of all VMAs, and of those that Linux's is_data_mapping() and so on say. */
	uint64_t total_pages, data_pages, exec_pages, stack_pages;
	uint64_t peak_pages;      /* the most that total_pages was, before it became less */
	uint64_t locked_pages;    /* of VMAs with VM_LOCKED, and stale_locked_pages */
	uint64_t accounted_pages; /* of VMAs with VM_ACCOUNT */
	/* Pages that are no longer locked but that Linux goes on counting: see mremap.c. */
	uint64_t stale_locked_pages;

	uint64_t last_anon_vma; /* the greatest identity given to an owner of anonymous pages */

	struct mm_name *names; /* texts of names that were given by copy */

	/*
	 * What is to be populated once the mapping lock has been released: see populate.c. Empty:
	 * nothing.
	 */
	struct mm_to_populate to_populate;

	/* ---- Pages ---- */

	struct memmap_memory_file *memory_file; /* NULL: VMAs only, there are no pages */
	struct memmap_file *memory;             /* the same as a File */
	struct memmap_address_space *address_space;
	uint64_t fault_around; /* bytes, a power of two */

	/*
	 * Over the PMAs, and over the owners of anonymous pages (anon_vma) while the mapping lock
	 * is held for reading only.
	 */
	struct mm_lock active_lock;
	struct pma_set pmas;
	uint64_t resident_pages;      /* of all PMAs but guards and pages of zeros */
	uint64_t peak_resident_pages; /* the most that was, before it became less */
	size_t pmas_owed;             /* insertions that the operation under way was promised */
	uint64_t invalidations;       /* how often something was invalidated */
	/*
	 * While a move is under way: where the pages are still, and where Mappables take them to be
	 * already. Empty: there is none.
	 */
	struct memmap_addr_range moving_from;
	uint64_t moving_to;
	/* Pages of zeros for those who read before anything was written; empty: none yet. */
	struct memmap_file_range zeros;
	void *copy_buffer; /* COPY_BUFFER_SIZE bytes, once pages were copied through it; or NULL */
};

/* Linux's map_deny_write_exec(): may a mapping with the flags `old` not have these new ones? */
static inline bool mm_denies_exec(const struct memmap_mm *mm, uint64_t old, uint64_t flags)
{
	return mm->limits.deny_write_exec && (flags & MEMMAP_VM_EXEC) &&
	       ((flags & MEMMAP_VM_WRITE) || !(old & MEMMAP_VM_EXEC));
}

/* Does the address space have pages, or only VMAs? */
static inline bool mm_has_pages(const struct memmap_mm *mm)
{
	return mm->memory_file != NULL;
}

static inline uint64_t range_pages(struct memmap_addr_range r)
{
	return (r.end - r.start) >> MEMMAP_PAGE_SHIFT;
}

static inline struct memmap_addr_range range_of(uint64_t start, uint64_t end)
{
	return (struct memmap_addr_range){.start = start, .end = end};
}

/* Private memory that no file and no special mapping is behind; Linux's vma_is_anonymous(). */
static inline bool vma_is_anonymous(const struct vma *v)
{
	return !v->identity && !v->mappable && !v->name;
}

/*
 * A mapping of the kernel's own, such as [vdso], whose size it counts on: Linux refuses to split it
 * (-EINVAL). Names that the embedding program gave to its mappings mean nothing of the kind.
 */
bool vma_is_whole(const struct memmap_mm *mm, const struct vma *v);

static inline bool vma_is_accessible(const struct vma *v)
{
	return (v->flags & VM_ACCESS_FLAGS) != 0;
}

/* What add_mapping() and its kin call `writable`. It stays the same while the mapping lives. */
static inline bool vma_is_shared_writable(const struct vma *v)
{
	const uint64_t mask = MEMMAP_VM_SHARED | MEMMAP_VM_MAYWRITE;
	return (v->flags & mask) == mask;
}

/* The offset into the Mappable that `addr` of the VMA at `it` maps. */
static inline uint64_t vma_offset_at(struct vma_iterator it, uint64_t addr)
{
	return vma_iterator_value_ptr(it)->offset + (addr - vma_iterator_start(it));
}

/* The first VMA that ends above `addr`, as Linux's find_vma(); terminal: none. */
static inline struct vma_iterator mm_find(const struct memmap_mm *mm, uint64_t addr)
{
	return vma_set_lower_bound_segment(&mm->vmas, addr);
}

/* Take another reference to what `v` refers to: for a copy of it that is to be a VMA, too. */
void vma_inc_ref(const struct vma *v);

/* The VMA at `it` as the embedding program sees it. */
struct memmap_vma vma_export(struct vma_iterator it);

/*
 * Where the address space below the VMA at `it` must stay clear from: its start, or the start of
 * the guard gap when it grows down. Linux's vm_start_gap().
 */
uint64_t mm_start_gap(const struct memmap_mm *mm, struct vma_iterator it);

/*
 * ---- Life (mm.c) ----
 */

/* An address space without layout and limits; NULL: out of memory. */
struct memmap_mm *mm_allocate(const struct memmap_allocator *allocator);

/* Unmap everything, seals or not. */
void mm_remove_all(struct memmap_mm *mm);

/* Does the layout not contradict itself? */
bool mm_layout_is_consistent(const struct memmap_mm_layout *layout);

/* memmap_mm_replace() under the mapping lock, held for writing (replace.c). */
int mm_replace(struct memmap_mm *mm, struct memmap_addr_range ar, const struct memmap_vma *vmas,
	       size_t nr_vmas);

/*
 * ---- Names that were given by copy (names.c) ----
 */

/*
 * A copy of `text` that lives as long as the address space, one for equal texts; NULL: no memory.
 */
const char *mm_intern_name(struct memmap_mm *mm, const char *text);

/*
 * Likewise `length` bytes; `whole`: it is to be taken for a name of the kernel's, not for a copy.
 */
const char *mm_intern_text(struct memmap_mm *mm, const char *text, size_t length, bool whole);

/* The name `text` of the parent's for its child: where need be a copy. NULL: no memory. */
const char *mm_inherit_name(const struct memmap_mm *parent, struct memmap_mm *child,
			    const char *text);

/* Is `text` such a copy? */
bool mm_owns_name(const struct memmap_mm *mm, const char *text);

/* Free those that came after `older` was the newest (NULL: all): no VMA has one of them. */
void mm_drop_names(struct memmap_mm *mm, const struct mm_name *older);

/* Free all of them: no VMA is left. */
void mm_release_names(struct memmap_mm *mm);

/*
 * ---- Names that programs give to anonymous memory (names.c) ----
 */

/* One such name, never changed, and counted: each VMA that has it holds a reference. */
struct anon_name {
	size_t references;
	char text[];
};

/* A name with one reference; NULL: no memory. */
struct anon_name *anon_name_create(struct memmap_mm *mm, const char *text);

/* NULL is ignored. */
void anon_name_inc_ref(struct anon_name *name);

/* Drop a reference, in any address space with the same allocator. NULL is ignored. */
void anon_name_dec_ref(struct memmap_mm *mm, struct anon_name *name);

/* The same name, or none both times? */
bool anon_name_equal(const struct anon_name *a, const struct anon_name *b);

/*
 * ---- Anonymous pages (anon.c) ----
 *
 * Linux gives a VMA an owner of its anonymous pages (an anon_vma) when it first gets one, and
 * merges VMAs or not depending on theirs. We ask the has_anonymous() hook when a decision depends
 * on it.
 */

/* Has the VMA an anon_vma? Asks the hook when that is not known yet. */
bool vma_has_anon(struct memmap_mm *mm, struct vma_iterator it);

/*
 * The VMA gets its first anonymous page now, if it has none: a neighbour's anon_vma, or a new one.
 */
void vma_make_anon(struct memmap_mm *mm, struct vma_iterator it);

/*
 * Ask about every VMA that overlaps `ar`, before pages there go away or VMAs there are cut: later
 * the hook could no longer tell.
 */
void mm_settle_anon(struct memmap_mm *mm, struct memmap_addr_range ar);

/*
 * Would reading the pages of `ar` in the VMA at `it` give it an owner? A page of zeros belongs to
 * nobody, unless it is a huge one: then Linux sees to an owner first. Where there is no page of
 * zeros, what is read is a page of the VMA's own.
 */
bool vma_reading_makes_anon(const struct memmap_mm *mm, struct vma_iterator it,
			    struct memmap_addr_range ar);

/*
 * ---- Populating (populate.c) ----
 */

/*
 * Pages of `ar` are to be populated, as by mmap(MAP_POPULATE) and mlock(2). Holes are passed over.
 * Linux's __mm_populate(). Without pages, private writable VMAs get their anon_vma at once; with
 * them it is noted, for mm_end_write_and_populate().
 *
 * Requires:    the mapping lock for writing
 * Returns:     0
 *              -EFAULT  (without pages) a VMA permits no access, and `ignore_errors` is false
 */
int mm_populate(struct memmap_mm *mm, struct memmap_addr_range ar, bool ignore_errors);

/* The same for those VMAs of `ar` that are locked. */
void mm_populate_locked(struct memmap_mm *mm, struct memmap_addr_range ar);

/*
 * mm_end_write(), and what has been noted is populated. Returns `result`, unless populating fails
 * and errors are not to be ignored: then what mlock(2) says.
 */
int64_t mm_end_write_and_populate(struct memmap_mm *mm, int64_t result);

/*
 * Touch each page of `ar`, a part of the VMA at `it`.
 *
 * Requires:    the mapping lock, for reading at least; the VMA permits it
 * Returns:     as memmap_mm_handle_fault()
 */
int mm_touch_pages(struct memmap_mm *mm, struct vma_iterator it, struct memmap_addr_range ar,
		   memmap_access at);

/*
 * ---- Limits and counts (limits.c) ----
 */

/* Add (or with `sign` -1 take away) `pages` pages of a VMA with `flags` in all counts. */
void mm_count(struct memmap_mm *mm, uint64_t flags, uint64_t pages, int sign);

/* Do RLIMIT_AS and RLIMIT_DATA permit `pages` more pages of a VMA with `flags`? */
bool mm_may_expand(const struct memmap_mm *mm, uint64_t flags, uint64_t pages);

/* Does the overcommit policy permit accounting `pages` more pages? */
bool mm_may_account(const struct memmap_mm *mm, uint64_t pages);

/* May anything be locked at all? Linux's can_do_mlock(). */
bool mm_may_lock(const struct memmap_mm *mm);

/*
 * Does RLIMIT_MEMLOCK permit `length` more bytes of a VMA with `flags`? Linux's mlock_future_ok().
 */
bool mm_may_lock_more(const struct memmap_mm *mm, uint64_t flags, uint64_t length);

/* Are mappings with `flags` (and this identity) accounted? Linux's accountable_mapping(). */
static inline bool vm_flags_accountable(uint64_t flags)
{
	return (flags & (MEMMAP_VM_NORESERVE | MEMMAP_VM_SHARED | MEMMAP_VM_WRITE |
			 MEMMAP_VM_HUGETLB)) == MEMMAP_VM_WRITE;
}

/*
 * ---- Placement (unmapped_area.c) ----
 */

/* MAP_FIXED, for those that need nothing else of <sys/mman.h>. */
#define MM_FIXED UINT64_C(0x10)

struct mm_placement {
	uint64_t hint;      /* where the caller would like it; 0: anywhere */
	uint64_t length;    /* page-aligned, not 0 */
	uint64_t offset;    /* into the file, in bytes; 0 for anonymous memory */
	uint64_t map_flags; /* MAP_FIXED, MAP_32BIT, MAP_ABOVE4G */
	bool file;          /* a file is mapped, or shared anonymous memory */
	bool huge_aligned;  /* as in struct memmap_mmap_file: huge pages shall fit */
};

/* What an existing VMA at `it` would ask for if it were placed anew, as mremap(2) does. */
struct mm_placement vma_placement(struct vma_iterator it, uint64_t hint, uint64_t length,
				  uint64_t offset, uint64_t map_flags);

/*
 * Choose (or, with MAP_FIXED, check) an address. Linux's get_unmapped_area().
 *
 * Returns:     0, -ENOMEM, -EINVAL (unaligned), -EPERM (below mmap_min_addr)
 */
int mm_get_unmapped_area(struct memmap_mm *mm, const struct mm_placement *p, uint64_t *addr);

/*
 * ---- Changing VMAs: steps that cannot fail (vma.c) ----
 *
 * All require that vma_set_reserve() was called for the splits and insertions they may do.
 */

/*
 * Insert a VMA into a gap, without merging. Takes over the reference that `v` holds. Reserve 1.
 */
struct vma_iterator mm_insert(struct memmap_mm *mm, struct memmap_addr_range range,
			      const struct vma *v);

/*
 * Take a whole VMA out and drop its reference. The Mappable has been told already. Returns the gap.
 */
struct vma_gap_iterator mm_remove(struct memmap_mm *mm, struct vma_iterator it);

/*
 * Split the VMA at `it` at `at`, which is inside. Reserve 1. `first` and `second` may be NULL.
 * Does not look at max_map_count, as Linux's __split_vma().
 */
void mm_split(struct memmap_mm *mm, struct vma_iterator it, uint64_t at, struct vma_iterator *first,
	      struct vma_iterator *second);

/*
 * A merge that may come: Linux's vma_merge_struct.
 *
 * `range` shall hold `value` (which owns nothing here). Its neighbours are looked for at its edges.
 */
struct vma_merge {
	struct memmap_addr_range range;
	struct vma value;
	struct vma_iterator
		middle;         /* existing: the VMA that `range` is (a part of); else terminal */
	bool just_expand;       /* new: join the VMA before or none (brk) */
	bool copied_fork_child; /* new: the copied VMA's anon_vma came over a fork (mremap) */
};

/*
 * Merge a new range with the VMAs before and after, if Linux would (vma_merge_new_range()). The
 * range is empty of VMAs. No reference is taken or dropped for the new range; that of a VMA that
 * vanishes is dropped.
 *
 * Returns:     the merged VMA, or terminal: nothing has changed, insert it
 */
struct vma_iterator mm_merge_new(struct memmap_mm *mm, const struct vma_merge *m);

/*
 * Give `r`, a part (or all) of the VMA at `it`, the flags `flags`: by merging with its neighbours,
 * or else by splitting and changing it. Linux's vma_modify_flags(). Reserve 2.
 *
 * Returns:     0, and in `*out` the VMA that holds `r` now
 *              -ENOMEM  splitting would exceed max_map_count
 *              -EINVAL  it may not be split
 *              `r` is unchanged then, but as with Linux the VMA may have been split at r.start
 */
int mm_modify_flags(struct memmap_mm *mm, struct vma_iterator it, struct memmap_addr_range r,
		    uint64_t flags, struct vma_iterator *out);

/* Likewise the name `name`, to which a reference is taken where need be; NULL: none. */
int mm_modify_anon_name(struct memmap_mm *mm, struct vma_iterator it, struct memmap_addr_range r,
			struct anon_name *name, struct vma_iterator *out);

/* Likewise the NUMA policy `policy`. */
int mm_modify_policy(struct memmap_mm *mm, struct vma_iterator it, struct memmap_addr_range r,
		     uint32_t policy, struct vma_iterator *out);

/* Likewise the userfaultfd `owner`, and the flags `flags`. */
int mm_modify_userfault(struct memmap_mm *mm, struct vma_iterator it, struct memmap_addr_range r,
			uint64_t owner, uint64_t flags, struct vma_iterator *out);

/*
 * ---- Telling Mappables (vma.c) ----
 */

/*
 * add_mapping() of `range`, a VMA `v` (whose offset is that of range.start); 0 without a Mappable.
 */
int mm_mapping_add(struct memmap_mm *mm, struct memmap_addr_range range, const struct vma *v);

/* remove_mapping() likewise. */
int mm_mapping_remove(struct memmap_mm *mm, struct memmap_addr_range range, const struct vma *v);

/*
 * ---- Unmapping (munmap.c) ----
 *
 *   int err = vma_set_reserve(&mm->vmas, MM_UNMAP_RESERVE);  nothing done on failure
 *   err = mm_unmap_check(mm, range, &unmap);                 Linux's refusals
 *   err = mm_unmap_tell(mm, &unmap);                         memory; nothing done on failure
 *   mm_unmap_commit(mm, &unmap);
 *
 * Between telling and committing, mm_unmap_untell() goes back. mm_unmap() is all four.
 */
#define MM_UNMAP_RESERVE 2

struct mm_unmap {
	struct memmap_addr_range range;
	uint64_t nr_pages;     /* mapped pages that go */
	uint64_t nr_accounted; /* those of VMAs with VM_ACCOUNT */
	size_t nr_vmas;        /* VMAs that go, once the edges are split */
};

/*
 * Could Linux unmap `range`? -EPERM: a part is sealed; -ENOMEM: it would exceed max_map_count;
 * -EINVAL: a VMA at an edge may not be split. As with Linux, a refusal may leave the VMAs split
 * that the range cuts.
 */
int mm_unmap_check(struct memmap_mm *mm, struct memmap_addr_range range, struct mm_unmap *unmap);

/* Split the VMAs that the range cuts, and no more: what Linux leaves when it fails later on. */
void mm_unmap_split(struct memmap_mm *mm, const struct mm_unmap *unmap);

int mm_unmap_tell(struct memmap_mm *mm, const struct mm_unmap *unmap);
void mm_unmap_untell(struct memmap_mm *mm, const struct mm_unmap *unmap);
void mm_unmap_commit(struct memmap_mm *mm, const struct mm_unmap *unmap);

/* Unmap `range` (page-aligned, not empty): 0, -EPERM or -ENOMEM. Reserves for itself. */
int mm_unmap(struct memmap_mm *mm, struct memmap_addr_range range);

/*
 * ---- Stacks (stack.c) ----
 */

/*
 * Let the VMA at `it`, which grows down, begin at the page of `addr`. Linux's expand_downwards().
 */
int mm_expand_down(struct memmap_mm *mm, struct vma_iterator it, uint64_t addr);

/*
 * ---- PMAs (pma.c) ----
 *
 * What changes them requires the active lock for writing, but for mm_reserve() and mm_hide_pages(),
 * which take it.
 */

enum pma_kinds {
	PMA_SHARED = 1,
	PMA_PRIVATE = 2,
	PMA_GUARD = 4,
	PMA_PAGES = PMA_SHARED | PMA_PRIVATE,
	PMA_ALL = PMA_PAGES | PMA_GUARD,
};

/*
 * Have room for the next `nr_vmas` splits and insertions of VMAs, and `nr_pmas` of PMAs: 0, or
 * -ENOMEM. Requires the mapping lock for writing.
 */
int mm_reserve(struct memmap_mm *mm, size_t nr_vmas, size_t nr_pmas);

/* The same for PMAs only. */
int mm_reserve_pmas(struct memmap_mm *mm, size_t n);

void mm_platform_unmap(struct memmap_mm *mm, struct memmap_addr_range ar);

/* The platform may do `at` in `ar` at most. */
void mm_platform_limit(struct memmap_mm *mm, struct memmap_addr_range ar, memmap_access at);

/*
 * Take the pages of `ar` from the guest, before Mappables are told that they are not mapped any
 * more. The PMAs stay, so that nothing has changed if it comes to nothing: the mapping lock, held
 * for writing, keeps faults waiting meanwhile.
 */
void mm_hide_pages(struct memmap_mm *mm, struct memmap_addr_range ar);

/* Take a reference on pages of a file, on behalf of the address space. */
void pma_inc_ref(struct memmap_mm *mm, struct memmap_file *file, struct memmap_file_range fr);

/* Drop what of `ar` is of these kinds; the platform does not map it any more. Reserve 1. */
void mm_drop_pmas(struct memmap_mm *mm, struct memmap_addr_range ar, enum pma_kinds kinds);

/*
 * Drop all pages that were freed lazily, but for runs that are locked, be it in part. Were there
 * any? Requires the mapping lock, too, for reading at least.
 */
bool mm_reclaim_lazily_freed(struct memmap_mm *mm);

/*
 * Let `ar` be mapped as `p` says, in place of what was there, and take over the references that `p`
 * holds. Reserve 2.
 */
struct pma_iterator mm_put_pma(struct memmap_mm *mm, struct memmap_addr_range ar, struct pma p);

/* Let `part` of the PMA at `it` be as `p` says, at the offsets where it is. Reserve 2. */
struct pma_iterator mm_change_pma(struct memmap_mm *mm, struct pma_iterator it,
				  struct memmap_addr_range part, struct pma p);

/* Permit `at` in `ar`, at most, without a fault. Reserve 2. */
void mm_limit_pmas(struct memmap_mm *mm, struct memmap_addr_range ar, memmap_access at);

/* MADV_FREE of the private pages of `ar`. Reserve 2. */
void mm_free_pmas_lazily(struct memmap_mm *mm, struct memmap_addr_range ar);

/* How many PMAs overlap `ar`? */
size_t mm_nr_pmas(const struct memmap_mm *mm, struct memmap_addr_range ar);

/*
 * Move what is mapped in `from`, which the platform does not map any more, to `to`, where nothing
 * is. Reserve as many as overlap `from`, and 1.
 */
void mm_move_pmas(struct memmap_mm *mm, struct memmap_addr_range from, uint64_t to);

/* invalidate() of the address space as a MappingSpace. Takes the active lock. */
void mm_invalidate(struct memmap_mapping_space *ms, struct memmap_addr_range ar,
		   struct memmap_invalidate_opts opts);

/*
 * ---- Advice for pages (madvise_pages.c); the mapping lock is held for writing ----
 */

/* Have room for whatever advice for `range` does to PMAs: 0 or -ENOMEM. */
int mm_reserve_for_advice(struct memmap_mm *mm, struct memmap_addr_range range);

/* Do to the pages of `range` what advice says that the VMAs permit. */
void mm_advise_pages(struct memmap_mm *mm, struct memmap_addr_range range, int advice);

/*
 * MADV_REMOVE of `part` of the VMA at `it`, which maps a file: 0 or what the file refuses it with.
 */
int mm_punch_hole(struct memmap_mm *mm, struct vma_iterator it, struct memmap_addr_range part);

/* MADV_POPULATE_READ, or _WRITE; takes the mapping lock. */
int mm_populate_as_advised(struct memmap_mm *mm, struct memmap_addr_range range, bool write);

/* The pages of a fork's child (fork_pages.c): 0 or -ENOMEM. Takes the active locks of both. */
int mm_fork_pages(struct memmap_mm *parent, struct memmap_mm *child);

/* What is resident (resident.c); the active lock is held, for reading at least. */
void mm_count_resident(const struct memmap_mm *mm, struct memmap_mm_stats *out);

/*
 * How many mappings have the page at fr.start of `file`, which a PMA maps, and in `*end` up to
 * where in `fr` as many have all pages. Only of the memory file that is known; else it is 1.
 */
uint64_t mm_nr_sharers(const struct memmap_mm *mm, const struct memmap_file *file, bool private,
		       struct memmap_file_range fr, uint64_t *end);

/*
 * ---- Faults: fault.c, which uses copy_on_write.c, and both fault_ask.c ----
 */

/* One touch. */
struct mm_fault {
	struct memmap_mm *mm;
	struct vma_iterator vma;
	memmap_access vma_perms; /* what the VMA permits, effectively */
	uint64_t page;           /* that is touched; page-aligned, within the VMA */
	uint64_t end;            /* up to here pages will be touched next; at least page + 1 page */
	memmap_access at;
	bool show;      /* have the platform map what is got */
	bool precommit; /* at once */
	/* Out: what is there has been made present up to here. */
	uint64_t done;
	enum memmap_fault_code code; /* why it is -EFAULT */
};

/* A touch of [page, end), a part of the VMA at `it`. */
struct mm_fault mm_fault_of(struct memmap_mm *mm, struct vma_iterator it, uint64_t page,
			    uint64_t end, memmap_access at);

/*
 * Make the page present for accesses of the kinds `at`, which the VMA (or, for what ignores its
 * permissions, what it may be made to permit) allows.
 *
 * Requires:    the mapping lock, for reading at least; not the active lock
 * Returns:     0, and f->done; or as memmap_mm_handle_fault()
 */
int mm_get_pages(struct mm_fault *f);

/* Have the platform map `ar`, a part of what is behind `offset` of `file`. */
int mm_show(const struct mm_fault *f, struct memmap_addr_range ar, struct memmap_file *file,
	    uint64_t offset, memmap_access perms);

/* Private page(s) that nobody has written to yet; the active lock is held. */
int mm_new_private_pages(struct mm_fault *f);

/* The page of zeros, until it is written to; the active lock is held. */
int mm_map_zeros(struct mm_fault *f);

/* The private page at `it` is to be written to; the active lock is held. */
int mm_break_copy_on_write(struct mm_fault *f, struct pma_iterator it);

/*
 * A private page with the contents of the Mappable's, which is asked; the active lock is not held.
 * `seen` is what mm->invalidations was when it was known that this is needed.
 */
int mm_copy_from_mappable(struct mm_fault *f, uint64_t seen);

/* Drop the area of zeros: no page is left. */
void mm_release_zeros(struct memmap_mm *mm);
void mm_release_copy_buffer(struct memmap_mm *mm);

/*
 * Translate the page, and what of `optional` there is besides; the active lock is not held.
 * MM_RETRY: there was no memory, but some has been dropped for it.
 */
int mm_translate(struct mm_fault *f, struct memmap_addr_range optional, memmap_access at,
		 struct memmap_translations *ts);

/* What mm_get_pages() and its steps return when something has changed meanwhile: look again. */
#define MM_RETRY 1

#endif /* MEMMAP_SRC_MM_INTERNAL_H */
