/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One address space: what Linux calls an mm.
 *
 * The address space keeps VMAs (what was asked for): a segment set over addresses with gap
 * tracking, each VMA a range with its flags and what it maps. Every memory system call has a
 * function here that does what Linux does: the same checks in the same order, the same result or
 * errno, the same resulting VMAs, split and merged where Linux splits and merges, and the same text
 * of /proc/PID/maps, byte for byte.
 *
 * What is mapped is given through the interfaces of <memmap/memmap.h>: a Mappable is the inode (its
 * pages, shared by everybody who maps them, and the reverse map of who does), a MappingIdentity is
 * the open file (what keeps it alive and how it is named in maps). The address space is a
 * MappingSpace: it tells each Mappable of every mapping that comes, goes or moves.
 *
 * Given a memory file, the address space has pages too. It keeps PMAs (what is mapped now, and from
 * where) in a second segment set: memmap_mm_handle_fault() gets the page that a guest has touched,
 * and every call keeps pages right: what is unmapped is given back, what moves takes its pages
 * along, and fork() shares private pages until somebody writes. A platform
 * (<memmap/address_space.h>) makes them real; without one, whoever reads and writes for the guest
 * asks for each page.
 *
 * Functions that stand for a system call take its raw arguments and return what it returns: a
 * non-negative result or a negative errno. They never panic on any argument. Where Linux leaves a
 * call that it refuses half done, so does memmap: mprotect(2) that comes to a hole has changed what
 * lies before it; munmap(2) and mmap(MAP_FIXED) that are refused late (a seal, a limit) have split
 * the VMAs that their range cuts. Otherwise a failed call has changed nothing. Above all, want of
 * memory changes nothing: all that can fail for it is done first. (One exception: when memory runs
 * out while Mappables are being told of what goes, and again when they are told that it stays after
 * all, then what they cannot take back is unmapped.)
 *
 * Units:    addresses, lengths and offsets are bytes; ranges are half-open
 * Locking:  an address space is thread-safe: every function here may be called from any thread at
 *           any time, but for memmap_mm_release(), which must be the last. Hooks, and methods of
 *           Mappables and MappingIdentities, are called under locks of the address space: they must
 *           not call back into it, invalidate() aside
 */
#ifndef MEMMAP_MM_H
#define MEMMAP_MM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <memmap/allocator.h>
#include <memmap/api.h>
#include <memmap/arch.h>
#include <memmap/memmap.h>
#include <memmap/range.h>

MEMMAP_BEGIN_DECLS

/* ---- VMAs ---- */

/* VMA flags: the bits of Linux's vm_flags that a user can see or that decide merging. */
#define MEMMAP_VM_READ         UINT64_C(0x00000001)
#define MEMMAP_VM_WRITE        UINT64_C(0x00000002)
#define MEMMAP_VM_EXEC         UINT64_C(0x00000004)
#define MEMMAP_VM_SHARED       UINT64_C(0x00000008)
#define MEMMAP_VM_MAYREAD      UINT64_C(0x00000010)
#define MEMMAP_VM_MAYWRITE     UINT64_C(0x00000020)
#define MEMMAP_VM_MAYEXEC      UINT64_C(0x00000040)
#define MEMMAP_VM_MAYSHARE     UINT64_C(0x00000080) /* shared: prints as 's' */
#define MEMMAP_VM_GROWSDOWN    UINT64_C(0x00000100)
#define MEMMAP_VM_UFFD_MISSING UINT64_C(0x00000200)
#define MEMMAP_VM_PFNMAP       UINT64_C(0x00000400)
#define MEMMAP_VM_MAYBE_GUARD  UINT64_C(0x00000800) /* it had guard pages */
#define MEMMAP_VM_UFFD_WP      UINT64_C(0x00001000)
#define MEMMAP_VM_LOCKED       UINT64_C(0x00002000)
#define MEMMAP_VM_IO           UINT64_C(0x00004000)
#define MEMMAP_VM_SEQ_READ     UINT64_C(0x00008000)
#define MEMMAP_VM_RAND_READ    UINT64_C(0x00010000)
#define MEMMAP_VM_DONTCOPY     UINT64_C(0x00020000)
#define MEMMAP_VM_DONTEXPAND   UINT64_C(0x00040000)
#define MEMMAP_VM_LOCKONFAULT  UINT64_C(0x00080000)
#define MEMMAP_VM_ACCOUNT      UINT64_C(0x00100000)
#define MEMMAP_VM_NORESERVE    UINT64_C(0x00200000)
#define MEMMAP_VM_HUGETLB      UINT64_C(0x00400000)
#define MEMMAP_VM_SYNC         UINT64_C(0x00800000)
#define MEMMAP_VM_WIPEONFORK   UINT64_C(0x02000000)
#define MEMMAP_VM_DONTDUMP     UINT64_C(0x04000000)
#define MEMMAP_VM_MIXEDMAP     UINT64_C(0x10000000)
#define MEMMAP_VM_HUGEPAGE     UINT64_C(0x20000000)
#define MEMMAP_VM_NOHUGEPAGE   UINT64_C(0x40000000)
#define MEMMAP_VM_MERGEABLE    UINT64_C(0x80000000)
#define MEMMAP_VM_DROPPABLE    (UINT64_C(1) << 40)
#define MEMMAP_VM_UFFD_MINOR   (UINT64_C(1) << 41)
#define MEMMAP_VM_SEALED       (UINT64_C(1) << 42)
/*
 * No flag of Linux, but a rule: the file is told when a VMA goes (vm_ops->close; System V shared
 * memory), and so no VMA of it vanishes into a neighbour. For memmap_mmap_file.extra_flags.
 */
#define MEMMAP_VM_CLOSES (UINT64_C(1) << 62)

/*
 * One VMA, as it is shown to and taken from the embedding program.
 *
 * `identity` and `mappable` are both NULL for private anonymous memory. Otherwise `identity` is the
 * open file: two VMAs of one file merge only when they have the same one.
 */
struct memmap_vma {
	struct memmap_addr_range range;
	uint64_t flags; /* MEMMAP_VM_* */
	struct memmap_mapping_identity *identity;
	struct memmap_mappable *mappable;
	uint64_t offset;       /* into `mappable`; for anonymous memory Linux's vm_pgoff
	                      in bytes: the address where it was first mapped */
	const char *name;      /* a special mapping's name ("[vdso]"), else NULL; must
	                      outlive the address space (a string constant) */
	const char *anon_name; /* what PR_SET_VMA_ANON_NAME called anonymous memory, else
	                          NULL; shown: valid until the address space changes,
	                          taken: by copy. Differing names keep neighbours apart */
	uint64_t anon_vma;     /* identity of its anonymous pages' owner; 0: it never
	                      had any. Differing owners keep neighbours apart */
	uint32_t policy;       /* its NUMA policy, see memmap_mm_sys_mbind() */
	uint64_t userfault;    /* which userfaultfd it is registered with; 0: none. See
	                          memmap_mm_userfault_register() */
	bool fork_child;       /* its anon_vma came over a fork: it merges with nothing
	                      that has none */
	bool huge_aligned;     /* as in struct memmap_mmap_file: mremap(2) places it
	                      anew by that */
	bool shared_anonymous; /* `identity` stands for shared anonymous memory */
};

/* ---- Layout, limits and facts from outside ---- */

/*
 * Where things go. memmap_mm_layout_default() fills in x86-64 Linux's values without randomisation.
 */
struct memmap_mm_layout {
	uint64_t min_addr;         /* where hints and searches begin: the greater of
	                              vm.mmap_min_addr and CONFIG_LSM_MMAP_MIN_ADDR,
	                              rounded up to a page */
	uint64_t min_fixed_addr;   /* vm.mmap_min_addr: below it a fixed address needs
	                              cap_sys_rawio */
	uint64_t task_size;        /* the end of user addresses: 0x7ffffffff000 */
	uint64_t mmap_base;        /* where the top-down search begins */
	uint64_t mmap_legacy_base; /* where the bottom-up search begins */
	bool bottom_up;            /* the legacy layout: search bottom-up first */
	uint64_t start_brk, brk;   /* the heap; brk is the break now */
	uint64_t start_stack;      /* within the VMA that maps prints as [stack] */
	uint64_t start_code, end_code, start_data, end_data;
	uint64_t stack_guard_gap; /* bytes kept clear below a VMA that grows down: 1 MiB */
	bool vsyscall;            /* maps ends with the [vsyscall] line */
};

/*
 * Resource limits and capabilities that decide results. memmap_mm_limits_default() has no limits.
 */
struct memmap_mm_limits {
	uint64_t address_space;    /* RLIMIT_AS; UINT64_MAX: unlimited, as in all of these */
	uint64_t data, data_max;   /* RLIMIT_DATA, soft and hard */
	uint64_t stack;            /* RLIMIT_STACK */
	uint64_t memlock;          /* RLIMIT_MEMLOCK */
	uint32_t max_map_count;    /* vm.max_map_count */
	int overcommit;            /* vm.overcommit_memory: 0 heuristic, 1 always, 2 never */
	uint64_t overcommit_pages; /* the most pages that may be accounted: by one request when it
	                              is 0 (all of RAM and swap), in all when it is 2 */
	bool cap_ipc_lock;         /* may lock beyond `memlock` */
	bool cap_sys_rawio;        /* may map below min_fixed_addr */
	bool read_implies_exec;    /* personality(READ_IMPLIES_EXEC) */
	bool deny_write_exec;      /* prctl(PR_SET_MDWE): nothing may be writable and executable,
	                              nor become executable later */
	int huge_pages;            /* transparent huge pages: 0 never, 1 where advised, 2 always.
	                              Reading one makes a VMA's memory anonymous */
	bool no_zero_page;         /* there is no page of zeros that readers share (under some
	                              hypervisors): reading makes private memory anonymous, too */
};

/* What the address space must ask of whoever holds the real pages. All may be NULL. */
struct memmap_mm_hooks {
	void *context;
	/*
	 * Has any page of `ar` (page-aligned, within one private VMA) ever been made anonymous, as
	 * by a write fault? Linux's merging and accounting depend on it. Asked only when it
	 * matters: when two neighbours that both might have such pages could merge, when accounting
	 * depends on it, before a VMA is cut or its pages go, and on a fork. Never asked of what
	 * never was writable, nor again of a VMA once answered with true. NULL: only
	 * memmap_mm_note_anonymous() tells.
	 */
	bool (*has_anonymous)(void *context, struct memmap_addr_range ar);
	/* A random number below `bound` (a power of two); NULL: 0. MAP_32BIT places at random. */
	uint64_t (*random)(void *context, uint64_t bound);
};

struct memmap_memory_file;
struct memmap_address_space;

struct memmap_mm_options {
	const struct memmap_allocator *allocator; /* NULL: the default */
	/*
	 * Where private pages live. NULL: the address space keeps VMAs only, has no pages, and
	 * serves no faults; only then hooks.has_anonymous is asked. Must outlive the address space.
	 */
	struct memmap_memory_file *memory_file;
	/* The platform that runs the guest; NULL: none. Must outlive the address space. */
	struct memmap_address_space *address_space;
	/*
	 * How many bytes a fault may make present around the touched page, as a power of two. 0:
	 * the default, 64 KiB. One page: just what was touched, as Linux does it for anonymous
	 * memory. Of pages that a fork shares it is what a write may copy at once, when it goes on
	 * where others have ended.
	 */
	uint64_t fault_around;
	struct memmap_mm_layout layout;
	struct memmap_mm_limits limits;
	struct memmap_mm_hooks hooks;
	struct memmap_context *context; /* handed to every Mappable and MappingIdentity */
};

/** Linux's layout on x86-64, without randomisation. All of `*layout` is filled in. */
MEMMAP_API void memmap_mm_layout_default(struct memmap_mm_layout *layout);
/** No limits, no capabilities; huge pages where advised. All of `*limits` is filled in. */
MEMMAP_API void memmap_mm_limits_default(struct memmap_mm_limits *limits);

/* ---- Life ---- */

struct memmap_mm;

/**
 * Make an empty address space.
 *
 * Returns:     0
 *              -EINVAL  the layout contradicts itself
 *              -ENOMEM
 */
MEMMAP_API int memmap_mm_create(const struct memmap_mm_options *options, struct memmap_mm **out);

/** Unmap everything (every Mappable is told) and free the address space. NULL is ignored. */
MEMMAP_API void memmap_mm_release(struct memmap_mm *mm);

/**
 * Duplicate an address space, as fork(2) does.
 *
 * VMAs marked DONTFORK are left out; locks are not inherited, nor is future locking; each VMA with
 * anonymous pages gets an owner of its own for them, marked as inherited. Every Mappable is told of
 * the copies. The child has its parent's layout, limits, context and allocator, but its own hooks
 * (NULL: none).
 *
 * Returns:     0
 *              -ENOMEM  also when the overcommit policy refuses a VMA's copy
 * On failure:  nothing has changed
 */
MEMMAP_API int memmap_mm_fork(struct memmap_mm *parent, const struct memmap_mm_hooks *hooks,
			      struct memmap_mm **child);

struct memmap_mm_fork_options {
	const struct memmap_mm_hooks *hooks;        /* of the child; NULL: none */
	struct memmap_address_space *address_space; /* the platform that runs it; NULL: none */
};

/**
 * memmap_mm_fork() for a child that is run by a platform. `options` may be NULL.
 *
 * Private pages are shared by both, and copied when one of them writes: the parent's platform is
 * told that its guest may not. What is shared with others the child gets when it touches it.
 *
 * Returns:     as memmap_mm_fork()
 */
MEMMAP_API int memmap_mm_fork_into(struct memmap_mm *parent,
				   const struct memmap_mm_fork_options *options,
				   struct memmap_mm **child);

/**
 * Empty an address space and give it a new layout, as execve(2) does. Limits and hooks stay.
 * Future locking (mlockall(MCL_FUTURE)) is forgotten.
 *
 * Returns:     0, -EINVAL (the layout contradicts itself)
 */
MEMMAP_API int memmap_mm_exec(struct memmap_mm *mm, const struct memmap_mm_layout *layout);

/** The layout as it is now, the break with it. */
MEMMAP_API struct memmap_mm_layout memmap_mm_get_layout(const struct memmap_mm *mm);
/** Change the layout; VMAs stay where they are. Returns: 0, -EINVAL (it contradicts itself). */
MEMMAP_API int memmap_mm_set_layout(struct memmap_mm *mm, const struct memmap_mm_layout *layout);
/** The limits as they are now. */
MEMMAP_API struct memmap_mm_limits memmap_mm_get_limits(const struct memmap_mm *mm);
/** Change the limits, from the next call on: what is mapped already stays. */
MEMMAP_API void memmap_mm_set_limits(struct memmap_mm *mm, const struct memmap_mm_limits *limits);

/** The address space as Mappables know it. */
MEMMAP_API struct memmap_mapping_space *memmap_mm_mapping_space(struct memmap_mm *mm);

/* ---- System calls ---- */

/* An open file, as mmap(2) sees it. */
struct memmap_mmap_file {
	struct memmap_mapping_identity *identity; /* the open file */
	struct memmap_mappable *mappable;         /* the inode */
	bool readable, writable;                  /* how it was opened */
	bool append_only;                         /* the inode is append-only */
	bool no_exec;                             /* it lies on a file system mounted noexec */
	bool no_mmap;                             /* it cannot be mapped: ENODEV */
	bool huge_aligned;    /* its file system places mappings of 2 MiB and more so
	                         that huge pages fit (ext4, xfs, btrfs) */
	bool map_sync;        /* it supports MAP_SYNC */
	bool refuses_sync;    /* it does not, and its mmap method says so, when it
	                         is late (ext4, xfs): EOPNOTSUPP, and what was in
	                         the way is gone. Elsewhere MAP_SYNC is ignored */
	bool seal_write;      /* F_SEAL_WRITE or F_SEAL_FUTURE_WRITE */
	uint64_t max_offset;  /* one past the largest offset; 0: LLONG_MAX */
	uint64_t extra_flags; /* MEMMAP_VM_* that its mmap method sets */
};

/* Where memmap_mm_sys_mmap() gets shared anonymous memory from. */
struct memmap_shared_anonymous {
	void *context;
	int (*create)(void *context, uint64_t length, struct memmap_mmap_file *out);
};

/**
 * mmap(2) with its six raw arguments; `file` stands for the descriptor and is NULL exactly where
 * the descriptor is not open. With MAP_ANONYMOUS it is not looked at. For shared anonymous memory
 * `shared_anonymous` is asked for a new file when everything else is known to succeed but for want
 * of memory; it must give a mappable and an identity with one reference, which the address space
 * then owns; NULL: shared memory of the address space's memory file, -ENODEV without one.
 *
 * MAP_HUGETLB is refused with ENOMEM, as by a kernel whose pool of huge pages is empty: late, when
 * with MAP_FIXED what was in the way is gone.
 *
 * Returns:     the address, or a negative errno
 * On failure:  see the top of this page
 * See:         mmap(2)
 */
MEMMAP_API int64_t memmap_mm_sys_mmap(struct memmap_mm *mm, uint64_t addr, uint64_t length,
				      uint64_t prot, uint64_t flags,
				      const struct memmap_mmap_file *file, uint64_t offset,
				      const struct memmap_shared_anonymous *shared_anonymous);

/**
 * Map as `opts` says, for the embedding program's own mappings (the reference's form of mmap).
 *
 * A `hint` is kept by copy and is the VMA's name. `name_mut`, `owned_content` and the platform's
 * effects beyond populating say nothing about VMAs and are ignored.
 *
 * Returns:     0
 *              -EINVAL  `opts` contradict themselves, or ask for kinds of access that there are
 *                       not
 *              -EEXIST  something is in the way (no_replace)
 *              -ENOMEM  no room, something is in the way (fixed without unmap), limits, memory
 *              -EAGAIN  RLIMIT_MEMLOCK
 *              -EPERM   a sealed mapping is in the way
 *              or what the Mappable refuses it with
 */
MEMMAP_API int memmap_mm_mmap(struct memmap_mm *mm, const struct memmap_mmap_opts *opts,
			      uint64_t *addr);

/*
 * What follows stands for the calls of its names: the same arguments, and 0 or a negative errno
 * where nothing else is said.
 */

/** munmap(2): holes are no error; what crosses an edge is split. */
MEMMAP_API int64_t memmap_mm_sys_munmap(struct memmap_mm *mm, uint64_t addr, uint64_t length);
/**
 * mprotect(2), PROT_GROWSDOWN and PROT_GROWSUP included. -ENOMEM at a hole: what lies before it
 * has changed.
 */
MEMMAP_API int64_t memmap_mm_sys_mprotect(struct memmap_mm *mm, uint64_t addr, uint64_t length,
					  uint64_t prot);
/** There are no protection keys: any `key` but -1 is -EINVAL, after what is checked before it. */
MEMMAP_API int64_t memmap_mm_sys_pkey_mprotect(struct memmap_mm *mm, uint64_t addr, uint64_t length,
					       uint64_t prot, int key);
/** mremap(2) in every form. Returns the address, or a negative errno. */
MEMMAP_API int64_t memmap_mm_sys_mremap(struct memmap_mm *mm, uint64_t addr, uint64_t old_length,
					uint64_t new_length, uint64_t flags, uint64_t new_addr);
/** brk(2), the raw call: the break as it is afterwards, never an error. */
MEMMAP_API int64_t memmap_mm_sys_brk(struct memmap_mm *mm, uint64_t brk);
/** madvise(2). -ENOMEM where there was a hole: everything else has been advised. */
MEMMAP_API int64_t memmap_mm_sys_madvise(struct memmap_mm *mm, uint64_t addr, uint64_t length,
					 int advice);
/** mlock(2): locked pages are made present. */
MEMMAP_API int64_t memmap_mm_sys_mlock(struct memmap_mm *mm, uint64_t addr, uint64_t length);
/** mlock2(2): `flags` is 0 or MLOCK_ONFAULT. */
MEMMAP_API int64_t memmap_mm_sys_mlock2(struct memmap_mm *mm, uint64_t addr, uint64_t length,
					uint64_t flags);
/** munlock(2). */
MEMMAP_API int64_t memmap_mm_sys_munlock(struct memmap_mm *mm, uint64_t addr, uint64_t length);
/** mlockall(2): `flags` of MCL_CURRENT, MCL_FUTURE and MCL_ONFAULT. */
MEMMAP_API int64_t memmap_mm_sys_mlockall(struct memmap_mm *mm, uint64_t flags);
/** munlockall(2): future mappings are not locked any more either. */
MEMMAP_API int64_t memmap_mm_sys_munlockall(struct memmap_mm *mm);
/** mseal(2): cannot be undone. `flags` is 0. */
MEMMAP_API int64_t memmap_mm_sys_mseal(struct memmap_mm *mm, uint64_t addr, uint64_t length,
				       uint64_t flags);
/**
 * msync(2): MS_SYNC has the identity's msync() called. -ENOMEM where there was a hole: the rest
 * has been done.
 */
MEMMAP_API int64_t memmap_mm_sys_msync(struct memmap_mm *mm, uint64_t addr, uint64_t length,
				       uint64_t flags);

/**
 * Give memory a NUMA policy, as mbind(2) does once it has understood which one. Policies are
 * numbers here: equal ones are equal policies, 0 is the default one, and what they say is the
 * caller's.
 *
 * Returns:     0
 *              -EINVAL  `addr` is not page-aligned, the range wraps around, or a mapping that may
 *                       not be split would be
 *              -EFAULT  there is a hole, or for the default policy: nothing but a hole
 *              -ENOMEM  no memory for splitting VMAs, or max_map_count is reached
 * On failure:  without memory nothing has changed; otherwise, as with Linux, what comes before the
 *              VMA that cannot be split has been changed
 * See:         mbind(2)
 */
MEMMAP_API int64_t memmap_mm_sys_mbind(struct memmap_mm *mm, uint64_t addr, uint64_t length,
				       uint32_t policy);

/**
 * Name anonymous memory, as prctl(PR_SET_VMA, PR_SET_VMA_ANON_NAME, addr, length, name) does; NULL:
 * take the name away. maps shows private memory as [anon:NAME], shared as [anon_shmem:NAME].
 *
 * Holes are passed over; a VMA of a file ends the call, and what lies before it has been named.
 *
 * Returns:     0
 *              -EINVAL  `addr` is not page-aligned, the range wraps around, or the name is no name:
 *                       more than 79 characters, or one that does not print or is among \`$[]; or a
 *                       mapping that may not be split would be
 *              -EBADF   there is a VMA of a file
 *              -ENOMEM  there is a hole, and everything else has been named; or no memory for the
 *                       name itself
 *              -EAGAIN  no memory for splitting VMAs, or max_map_count is reached
 * On failure:  without memory nothing has changed
 * See:         PR_SET_VMA(2const)
 */
MEMMAP_API int64_t memmap_mm_sys_prctl_set_vma(struct memmap_mm *mm, uint64_t addr, uint64_t length,
					       const char *name);

/**
 * Mirror that userfaultfd `owner`, a number, was permitted to register `ar`: its VMAs get `flags`
 * (MEMMAP_VM_UFFD_*), and are kept apart from those of other owners.
 *
 * What userfaultfd(2) does beyond that is not done: faults are told to nobody.
 *
 * Returns:     0
 *              -EINVAL  `ar` is not page-aligned; no owner, no flags, or other flags
 *              -ENOMEM  no memory for splitting VMAs, or max_map_count is reached
 * See:         ioctl_userfaultfd(2)
 */
MEMMAP_API int memmap_mm_userfault_register(struct memmap_mm *mm, struct memmap_addr_range ar,
					    uint64_t owner, uint64_t flags);

/** Mirror UFFDIO_UNREGISTER. Returns 0, -EINVAL, or -ENOMEM as above. */
MEMMAP_API int memmap_mm_userfault_unregister(struct memmap_mm *mm, struct memmap_addr_range ar);

/**
 * The userfaultfd `owner` was closed: what is registered with it no longer is. Returns likewise.
 */
MEMMAP_API int memmap_mm_userfault_release(struct memmap_mm *mm, uint64_t owner);

/**
 * Grow a stack: a touch at `addr` that lies below a VMA which grows down.
 *
 * Returns:     0 when the VMA now reaches `addr`, or already did
 *              -EFAULT   nothing at or above `addr` grows down to it
 *              -EPERM    `addr` is below the layout's min_addr
 *              -ENOMEM   RLIMIT_STACK, RLIMIT_AS, the guard gap below, overcommit or a locked limit
 *                        forbids it
 */
MEMMAP_API int memmap_mm_expand_stack(struct memmap_mm *mm, uint64_t addr);

/* ---- Faults ---- */

/* What SIGSEGV would say in si_code. */
enum memmap_fault_code {
	MEMMAP_FAULT_UNMAPPED,      /* SEGV_MAPERR: nothing is mapped there */
	MEMMAP_FAULT_NOT_PERMITTED, /* SEGV_ACCERR: what is mapped forbids it */
};

/**
 * The guest touches `addr` for accesses of the kinds `at`: make it possible.
 *
 * Checks what is permitted, grows stacks, gets the page (translate() of a Mappable, a new page, a
 * copy of one) and has the platform map it.
 *
 * Units:       `addr` is any address; `at` is not 0
 * Locking:     any thread; must not be called with a Mappable's or a File's lock held
 * Returns:     0: touch it again
 *              -EFAULT      SIGSEGV; `*code` (NULL: not wanted) says of which kind
 *              a bus error  SIGBUS: see memmap_is_bus_error()
 *              -ENOMEM      no memory for the page
 *              -EINTR       the context was cancelled
 *              -ENOSYS      the address space has no memory file
 * On failure:  nothing has changed, but for a stack that may have grown
 */
MEMMAP_API int memmap_mm_handle_fault(struct memmap_mm *mm, uint64_t addr, memmap_access at,
				      enum memmap_fault_code *code);

/** Tell that pages of `ar` have been made anonymous (a private write fault). Holes are ignored. */
MEMMAP_API void memmap_mm_note_anonymous(struct memmap_mm *mm, struct memmap_addr_range ar);

/* ---- Looking at it ---- */

/** The first VMA that ends above `addr`, as Linux's find_vma; false: there is none. */
MEMMAP_API bool memmap_mm_find_vma(const struct memmap_mm *mm, uint64_t addr,
				   struct memmap_vma *out);

struct memmap_mm_stats {
	size_t nr_vmas;
	uint64_t total_pages, data_pages, exec_pages, stack_pages, locked_pages;
	uint64_t peak_pages; /* the most that total_pages ever was, since exec */
	/*
	 * Pages that are there now, but for those of zeros: private ones, those of shared anonymous
	 * memory (of the space's own memory file), and those of other files. They are counted when
	 * they are asked for, in time proportional to the runs of pages.
	 */
	uint64_t rss_anon_pages, rss_shmem_pages, rss_file_pages;
	uint64_t peak_rss_pages; /* the most that their sum ever was, since exec */
};
/** Count what there is now. */
MEMMAP_API void memmap_mm_get_stats(const struct memmap_mm *mm, struct memmap_mm_stats *out);

/* A growable text, kept by its owner from one printing to the next. {0} is empty. */
struct memmap_text {
	char *data;
	size_t length, capacity;
};
/** Free the text's memory: it is {0} then. */
MEMMAP_API void memmap_text_release(struct memmap_text *text);

/**
 * Print the address space as /proc/PID/maps does, byte for byte, replacing what `text` held.
 *
 * An identity's device is encoded as st_dev of stat(2) is. A terminating zero follows the text.
 *
 * Returns:     0, -ENOMEM (the text is then empty)
 */
MEMMAP_API int memmap_mm_print_maps(const struct memmap_mm *mm, struct memmap_text *text);

/** As memmap_mm_print_maps(), of those VMAs alone that `ar` touches; they are printed whole. */
MEMMAP_API int memmap_mm_print_maps_range(const struct memmap_mm *mm, struct memmap_addr_range ar,
					  struct memmap_text *text);

/**
 * Put exactly these VMAs into `ar`, in place of whatever was there: no checks of limits, no
 * merging.
 *
 * For an embedding program that knows better, such as a tracer that takes over an address space
 * that the kernel has made. `vmas` are in address order, page-aligned, within `ar` and the layout.
 * Seals protect nothing here. Each VMA takes a reference to its identity.
 *
 * Returns:     0, -EINVAL (they are not as required), -ENOMEM
 * On failure:  nothing has changed
 */
MEMMAP_API int memmap_mm_replace(struct memmap_mm *mm, struct memmap_addr_range ar,
				 const struct memmap_vma *vmas, size_t nr_vmas);

/** Walk the whole structure: 0, or -EINVAL and a line on stderr that names the broken invariant. */
MEMMAP_API int memmap_mm_verify(const struct memmap_mm *mm);

MEMMAP_END_DECLS

#endif /* MEMMAP_MM_H */
