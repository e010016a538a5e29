/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The semantics of memory mappings: who maps what, and where it leads.
 *
 *   address ── address space ──▶ (Mappable, offset) ── translate() ──▶ (File, offset) ──▶ memory
 *               MappingSpace ◀── invalidate() ── Mappable
 *
 * An address space (a MappingSpace) maps ranges of addresses to offsets of a Mappable. A Mappable
 * knows, for each of its offsets, which offset of which File holds the bytes now; it may change its
 * mind, and then tells every address space that maps the offset through invalidate(). A File is
 * what can really be mapped or touched: reference-counted pages behind a file descriptor. A
 * MappingIdentity keeps a Mappable alive and gives it a name.
 *
 * Interfaces are structs whose first member is a pointer to a constant table of functions; an
 * implementation embeds the struct and finds itself again from its address. Every function of a
 * table must be there unless its comment names a default. Call them through the inline functions
 * below, which are also where the defaults are.
 *
 * What all methods of a Mappable require: ranges are not empty, addresses and offsets are
 * page-aligned.
 *
 * Lock order: the address space's mapping lock, the Mappable's locks, the address space's lock over
 * what is mapped now, the File's locks. So invalidate(), which a Mappable calls under its locks,
 * must not take the mapping lock.
 */
#ifndef MEMMAP_MEMMAP_H
#define MEMMAP_MEMMAP_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <memmap/allocator.h>
#include <memmap/api.h>
#include <memmap/arch.h>
#include <memmap/block.h>
#include <memmap/range.h>

MEMMAP_BEGIN_DECLS

/*
 * ---- Context: on whose behalf ----
 */

/*
 * What accompanies an operation through all floors. Passed as NULL where there is nothing to say:
 * every function here takes that.
 */
struct memmap_context {
	/* The memory cgroup that pages allocated on the way are charged to. */
	uint32_t mem_cg_id;
	/*
	 * Set through memmap_context_cancel(): long operations stop with -EINTR when they see it.
	 */
	bool cancelled;
	/* The program's own. */
	void *user_data;
};

/** The memory cgroup of `ctx`; 0 when `ctx` is NULL. */
static inline uint32_t memmap_context_mem_cg_id(const struct memmap_context *ctx)
{
	return ctx ? ctx->mem_cg_id : 0;
}

/** The program's own data of `ctx`; NULL when `ctx` is NULL. */
static inline void *memmap_context_user_data(const struct memmap_context *ctx)
{
	return ctx ? ctx->user_data : NULL;
}

/** Ask the operation that runs with `ctx` to stop. Any thread, any time, signal handlers too. */
static inline void memmap_context_cancel(struct memmap_context *ctx)
{
	__atomic_store_n(&ctx->cancelled, true, __ATOMIC_RELEASE);
}

/** Has `ctx` been cancelled? Never, when it is NULL. */
static inline bool memmap_context_is_cancelled(const struct memmap_context *ctx)
{
	return ctx && __atomic_load_n(&ctx->cancelled, __ATOMIC_ACQUIRE);
}

/*
 * ---- MappingSpace: what is told when a translation ends ----
 */

struct memmap_mapping_space;

struct memmap_invalidate_opts {
	/* Private pages of the range are to be discarded as well: their data is lost. */
	bool invalidate_private;
};

struct memmap_mapping_space_ops {
	/*
	 * What Mappables translated for the addresses `ar` is no longer valid: forget it, and
	 * touch none of it once this has returned.
	 *
	 * Requires:    `ar` is page-aligned and not empty
	 * Locking:     called under the Mappable's locks; must not take the mapping lock, nor call
	 *              back into the Mappable
	 */
	void (*invalidate)(struct memmap_mapping_space *ms, struct memmap_addr_range ar,
			   struct memmap_invalidate_opts opts);
};

/* A mutable mapping from addresses to (Mappable, offset); an address space. */
struct memmap_mapping_space {
	const struct memmap_mapping_space_ops *ops;
};

static inline void memmap_mapping_space_invalidate(struct memmap_mapping_space *ms,
						   struct memmap_addr_range ar,
						   struct memmap_invalidate_opts opts)
{
	ms->ops->invalidate(ms, ar, opts);
}

/*
 * ---- MappingIdentity: what keeps a Mappable alive and names it ----
 */

struct memmap_mapping_identity;

struct memmap_mapping_identity_ops {
	/* Locking: any; must not block. Requires: at least one reference is held. */
	void (*inc_ref)(struct memmap_mapping_identity *id);

	/*
	 * Drop a reference; the last one may free `id` and its Mappable.
	 *
	 * Locking:     the caller holds none of the Mappable's or the File's locks
	 */
	void (*dec_ref)(struct memmap_mapping_identity *id, struct memmap_context *ctx);

	/*
	 * The name that /proc/PID/maps shows; as snprintf() does, cut to fit and terminated when
	 * `size` > 0.
	 *
	 * Returns:     the length of the whole name, without its terminating zero
	 */
	size_t (*mapped_name)(struct memmap_mapping_identity *id, struct memmap_context *ctx,
			      char *buf, size_t size);

	/* The device number and the inode number that /proc/PID/maps shows. */
	uint64_t (*device_id)(struct memmap_mapping_identity *id);
	uint64_t (*inode_id)(struct memmap_mapping_identity *id);

	/*
	 * Write the bytes of `mr` back to where they are kept, as fdatasync(2) of that range.
	 *
	 * Returns:     0 or a negative errno
	 */
	int (*msync)(struct memmap_mapping_identity *id, struct memmap_context *ctx,
		     struct memmap_mappable_range mr);

	/*
	 * The bytes of `mr` read as zeros from now on and take no room where they are kept, as
	 * madvise(MADV_REMOVE) asks: fallocate(FALLOC_FL_PUNCH_HOLE). The mappings of `mr` are
	 * invalidated, but not private pages. What of `mr` lies past the end of the file is ignored.
	 *
	 * Default (NULL): -EOPNOTSUPP.
	 *
	 * Requires:    `mr` is page-aligned and not empty
	 * Locking:     the caller holds none of the Mappable's locks, nor those that invalidate()
	 *              of a space that maps `mr` takes
	 * Returns:     0 or a negative errno
	 */
	int (*punch_hole)(struct memmap_mapping_identity *id, struct memmap_context *ctx,
			  struct memmap_mappable_range mr);
};

/*
 * Reference-counted. It is not the Mappable itself: several identities may stand for one Mappable,
 * as several open files do for one inode, and Mappables that share their bytes are one and the same
 * pointer, which is what shared futexes compare.
 */
struct memmap_mapping_identity {
	const struct memmap_mapping_identity_ops *ops;
};

static inline void memmap_mapping_identity_inc_ref(struct memmap_mapping_identity *id)
{
	id->ops->inc_ref(id);
}

static inline void memmap_mapping_identity_dec_ref(struct memmap_mapping_identity *id,
						   struct memmap_context *ctx)
{
	id->ops->dec_ref(id, ctx);
}

static inline size_t memmap_mapping_identity_mapped_name(struct memmap_mapping_identity *id,
							 struct memmap_context *ctx, char *buf,
							 size_t size)
{
	return id->ops->mapped_name(id, ctx, buf, size);
}

static inline uint64_t memmap_mapping_identity_device_id(struct memmap_mapping_identity *id)
{
	return id->ops->device_id(id);
}

static inline uint64_t memmap_mapping_identity_inode_id(struct memmap_mapping_identity *id)
{
	return id->ops->inode_id(id);
}

static inline int memmap_mapping_identity_msync(struct memmap_mapping_identity *id,
						struct memmap_context *ctx,
						struct memmap_mappable_range mr)
{
	return id->ops->msync(id, ctx, mr);
}

/** As the function of the table says, the default included. */
static inline int memmap_mapping_identity_punch_hole(struct memmap_mapping_identity *id,
						     struct memmap_context *ctx,
						     struct memmap_mappable_range mr)
{
	return id->ops->punch_hole ? id->ops->punch_hole(id, ctx, mr) : -EOPNOTSUPP;
}

/*
 * ---- File: what can really be mapped and touched ----
 */

struct memmap_file;

/* How the processor may cache a mapping of a File. */
enum memmap_memory_type {
	MEMMAP_MEMORY_WRITE_BACK,    /* plain memory */
	MEMMAP_MEMORY_WRITE_COMBINE, /* a frame buffer */
	MEMMAP_MEMORY_UNCACHED,      /* device registers */
};

struct memmap_file_ops {
	/*
	 * Take a reference on every page of `fr`, and charge pages that are new to the memory
	 * cgroup `mem_cg_id`; that of a page which exists already stays as it is.
	 *
	 * Requires:    `fr` is page-aligned and not empty; a reference is held on all its pages
	 *              (how the first one is taken is the implementation's affair)
	 * Locking:     must not block on anything that takes the Mappable's locks
	 */
	void (*inc_ref)(struct memmap_file *file, struct memmap_file_range fr, uint32_t mem_cg_id);

	/*
	 * Drop a reference on every page of `fr`; a page without references may be freed.
	 *
	 * Requires:    `fr` is page-aligned and not empty; a reference is held on all its pages
	 */
	void (*dec_ref)(struct memmap_file *file, struct memmap_file_range fr);

	/*
	 * Where the bytes of `fr` are in this process, for accesses of the kinds `at`.
	 *
	 * `fr` need not be page-aligned. The blocks stay valid while a reference is held on the
	 * pages; together they have exactly the length of `fr`.
	 *
	 * Requires:    `fr` is not empty; a reference is held on all its pages
	 * Returns:     0 and the blocks in `*out`
	 *              -EOPNOTSUPP  the file cannot be mapped here: use buffer_read_at() and
	 *                           buffer_write_at()
	 *              another negative errno
	 */
	int (*map_internal)(struct memmap_file *file, struct memmap_file_range fr, memmap_access at,
			    struct memmap_block_seq *out);

	/*
	 * The file descriptor behind the file, which the caller may do nothing with but map pages
	 * from it. Negative when there is none.
	 */
	int (*fd)(struct memmap_file *file);

	/*
	 * As fd(), once the bytes of `fr` are really there: may block until they have been read.
	 * `fr` need not be page-aligned. Default (NULL): fd(), or -EBADF when that is negative.
	 *
	 * Requires:    `fr` is not empty; a reference is held on all its pages
	 * Returns:     0 and the descriptor in `*fd`, or a negative errno
	 */
	int (*data_fd)(struct memmap_file *file, struct memmap_file_range fr, int *fd);

	/* Default (NULL): MEMMAP_MEMORY_WRITE_BACK. */
	enum memmap_memory_type (*memory_type)(struct memmap_file *file);

	/*
	 * Read or write the `len` bytes at `offset` without a mapping, for files whose
	 * map_internal() says -EOPNOTSUPP. Default (NULL): through map_internal().
	 *
	 * Requires:    `len` > 0; a reference is held on all the pages touched
	 * Returns:     0 or a negative errno; `*done` is how many bytes were read or written, all
	 *              of them when 0 is returned
	 */
	int (*buffer_read_at)(struct memmap_file *file, uint64_t offset, void *buf, uint64_t len,
			      uint64_t *done);
	int (*buffer_write_at)(struct memmap_file *file, uint64_t offset, const void *buf,
			       uint64_t len, uint64_t *done);
};

/* Pages, each with a reference count, that can be mapped into address spaces. */
struct memmap_file {
	const struct memmap_file_ops *ops;
};

static inline void memmap_file_inc_ref(struct memmap_file *file, struct memmap_file_range fr,
				       uint32_t mem_cg_id)
{
	file->ops->inc_ref(file, fr, mem_cg_id);
}

static inline void memmap_file_dec_ref(struct memmap_file *file, struct memmap_file_range fr)
{
	file->ops->dec_ref(file, fr);
}

static inline int memmap_file_map_internal(struct memmap_file *file, struct memmap_file_range fr,
					   memmap_access at, struct memmap_block_seq *out)
{
	return file->ops->map_internal(file, fr, at, out);
}

static inline int memmap_file_fd(struct memmap_file *file)
{
	return file->ops->fd(file);
}

/* These four give the defaults to files that leave the function out. */
MEMMAP_API int memmap_file_data_fd(struct memmap_file *file, struct memmap_file_range fr, int *fd);
MEMMAP_API enum memmap_memory_type memmap_file_memory_type(struct memmap_file *file);
MEMMAP_API int memmap_file_buffer_read_at(struct memmap_file *file, uint64_t offset, void *buf,
					  uint64_t len, uint64_t *done);
MEMMAP_API int memmap_file_buffer_write_at(struct memmap_file *file, uint64_t offset,
					   const void *buf, uint64_t len, uint64_t *done);

/*
 * ---- Translation: what a Mappable answers ----
 */

/* The bytes at `source` of a Mappable are those of `file` from `offset` on. */
struct memmap_translation {
	struct memmap_mappable_range source;
	struct memmap_file *file;
	uint64_t offset;
	/* The kinds of access for which the file's pages may be mapped or touched. */
	memmap_access perms;
};

/** The range of the file that `t` leads to. */
MEMMAP_API struct memmap_file_range memmap_translation_file_range(struct memmap_translation t);

#define MEMMAP_TRANSLATIONS_INSIDE 3

/*
 * A growable array of translations. {0} is empty. The first few live inside, so that the usual
 * answer of translate() allocates nothing. Do not copy by assignment; hand on a pointer.
 */
struct memmap_translations {
	size_t len;
	size_t cap;                               /* of `outside` */
	struct memmap_translation *outside;       /* NULL while they fit inside */
	const struct memmap_allocator *allocator; /* NULL: the default */
	struct memmap_translation inside[MEMMAP_TRANSLATIONS_INSIDE];
};

/** The elements; valid until the array is appended to or released. */
static inline const struct memmap_translation *memmap_translations_data(
	const struct memmap_translations *ts)
{
	return ts->outside ? ts->outside : ts->inside;
}

/**
 * Append `t`.
 *
 * Returns:     0, or -ENOMEM
 * On failure:  nothing has changed
 */
MEMMAP_API int memmap_translations_append(struct memmap_translations *ts,
					  struct memmap_translation t);

/**
 * Make room for `n` more elements: the next `n` appends cannot fail.
 *
 * Returns:     0, or -ENOMEM
 * On failure:  nothing has changed
 */
MEMMAP_API int memmap_translations_reserve(struct memmap_translations *ts, size_t n);

/** Empty the array and free its memory; it may be used again. */
MEMMAP_API void memmap_translations_release(struct memmap_translations *ts);

/**
 * Check what a Mappable answered to translate(required, optional, at).
 *
 * `terr` is what it returned, `ts` the `nr_ts` translations that it gave. The postconditions, in
 * the order in which they are checked:
 *   - the first translation contains required.start; then, for each translation,
 *   - its source is well-formed, not empty and page-aligned; it has a file; its offset is
 *     page-aligned; it begins where the one before it ends; a part of it is required; all of it is
 *     optional; it permits at least `at`;
 *   - without an error there is at least one translation, and the last one reaches required.end.
 *
 * Requires:    what translate() requires of `required` and `optional`; otherwise panics
 * Returns:     0; or -EPROTO and in `why` (NULL: not wanted) the first postcondition that is
 *              broken, in words, cut to `why_size`
 */
MEMMAP_API int memmap_check_translate_result(struct memmap_mappable_range required,
					     struct memmap_mappable_range optional,
					     memmap_access at, const struct memmap_translation *ts,
					     size_t nr_ts, int terr, char *why, size_t why_size);

/*
 * ---- Mappable: what can be mapped ----
 */

struct memmap_mappable;

struct memmap_mappable_ops {
	/*
	 * The addresses `ar` of `ms` now map the offsets [offset, offset + length of ar).
	 *
	 * `writable`: the bytes may be changed through the mapping, which is to say that it is
	 * shared and translate() may be called for MEMMAP_WRITE. It stays the same while the
	 * mapping lives.
	 *
	 * Requires:    `ar` is page-aligned and not empty; `offset` is page-aligned, and
	 *              offset + length does not overflow
	 * Locking:     the caller holds the mapping lock of `ms` for writing
	 * Returns:     0 or a negative errno
	 * On failure:  nothing has changed
	 */
	int (*add_mapping)(struct memmap_mappable *m, struct memmap_context *ctx,
			   struct memmap_mapping_space *ms, struct memmap_addr_range ar,
			   uint64_t offset, bool writable);

	/*
	 * The addresses `ar` of `ms` no longer map those offsets.
	 *
	 * Requires:    as add_mapping(); the mapping exists, with the same `writable`. It may be a
	 *              part of what was added, or several such parts side by side
	 * Locking:     the caller holds the mapping lock of `ms` for writing
	 * Returns:     0, or -ENOMEM when noting that only a part is gone needs memory
	 * On failure:  nothing has changed
	 */
	int (*remove_mapping)(struct memmap_mappable *m, struct memmap_context *ctx,
			      struct memmap_mapping_space *ms, struct memmap_addr_range ar,
			      uint64_t offset, bool writable);

	/*
	 * The mapping at `src_ar` of `ms` is being copied to `dst_ar` of the same space, as
	 * mremap(2) does; for most implementations this is adding the mapping at `dst_ar`. The two
	 * lengths may differ, and that of `src_ar` may be 0.
	 *
	 * Requires:    as add_mapping() for both ranges, but for the length of `src_ar`; the
	 *              mapping at `src_ar` exists, with the same `writable`
	 * Locking:     the caller holds the mapping lock of `ms` for writing
	 * Returns:     0 or a negative errno
	 * On failure:  nothing has changed
	 */
	int (*copy_mapping)(struct memmap_mappable *m, struct memmap_context *ctx,
			    struct memmap_mapping_space *ms, struct memmap_addr_range src_ar,
			    struct memmap_addr_range dst_ar, uint64_t offset, bool writable);

	/*
	 * Where the bytes of `required`, and at most those of `optional`, are now, for accesses of
	 * the kinds `at`: appended to `out`, which comes empty.
	 *
	 * A translation is valid until invalidate() is called for an address that maps its offsets,
	 * or the caller removes its mapping of them. So long, the Mappable holds at least one
	 * reference on every page that a valid translation leads to.
	 *
	 * Requires:    `required` is not empty, `optional` is a superset of it, both are
	 *              page-aligned; the caller has added a mapping of all of `required`; the
	 *              caller sees to it that translating and invalidating do not overtake each
	 *              other
	 * Returns:     0 when all of `required` is translated; otherwise a negative errno or a bus
	 *              error, which says why, with the translations of a first part (or none) in
	 *              `out`. memmap_check_translate_result() knows all that must hold
	 */
	int (*translate)(struct memmap_mappable *m, struct memmap_context *ctx,
			 struct memmap_mappable_range required,
			 struct memmap_mappable_range optional, memmap_access at,
			 struct memmap_translations *out);

	/*
	 * Invalidate the translations that would not survive saving and restoring.
	 *
	 * Locking:     no other method is called meanwhile
	 * Returns:     0 or a negative errno
	 */
	int (*invalidate_unsavable)(struct memmap_mappable *m, struct memmap_context *ctx);

	/*
	 * Which pages of `mr` are in memory, so that touching them needs no wait, as mincore(2)
	 * tells: a byte for each page in `vec`, 1 or 0. What it says may be outdated when it
	 * returns.
	 *
	 * Default (NULL): none are, but for those that the caller has mapped.
	 *
	 * Requires:    `mr` is page-aligned and not empty
	 * Locking:     as translate()
	 * Returns:     0, or a negative errno with `vec` unspecified
	 */
	int (*resident)(struct memmap_mappable *m, struct memmap_context *ctx,
			struct memmap_mappable_range mr, unsigned char *vec);
};

/* A mutable mapping from offsets to (File, offset). */
struct memmap_mappable {
	const struct memmap_mappable_ops *ops;
};

static inline int memmap_mappable_add_mapping(struct memmap_mappable *m, struct memmap_context *ctx,
					      struct memmap_mapping_space *ms,
					      struct memmap_addr_range ar, uint64_t offset,
					      bool writable)
{
	return m->ops->add_mapping(m, ctx, ms, ar, offset, writable);
}

static inline int memmap_mappable_remove_mapping(struct memmap_mappable *m,
						 struct memmap_context *ctx,
						 struct memmap_mapping_space *ms,
						 struct memmap_addr_range ar, uint64_t offset,
						 bool writable)
{
	return m->ops->remove_mapping(m, ctx, ms, ar, offset, writable);
}

static inline int memmap_mappable_copy_mapping(struct memmap_mappable *m,
					       struct memmap_context *ctx,
					       struct memmap_mapping_space *ms,
					       struct memmap_addr_range src_ar,
					       struct memmap_addr_range dst_ar, uint64_t offset,
					       bool writable)
{
	return m->ops->copy_mapping(m, ctx, ms, src_ar, dst_ar, offset, writable);
}

static inline int memmap_mappable_translate(struct memmap_mappable *m, struct memmap_context *ctx,
					    struct memmap_mappable_range required,
					    struct memmap_mappable_range optional, memmap_access at,
					    struct memmap_translations *out)
{
	return m->ops->translate(m, ctx, required, optional, at, out);
}

static inline int memmap_mappable_invalidate_unsavable(struct memmap_mappable *m,
						       struct memmap_context *ctx)
{
	return m->ops->invalidate_unsavable(m, ctx);
}

/** As the function of the table says, the default included. */
static inline int memmap_mappable_resident(struct memmap_mappable *m, struct memmap_context *ctx,
					   struct memmap_mappable_range mr, unsigned char *vec)
{
	if (m->ops->resident)
		return m->ops->resident(m, ctx, mr, vec);
	for (uint64_t i = 0; i < memmap_mappable_range_length(mr) / MEMMAP_PAGE_SIZE; i++)
		vec[i] = 0;
	return 0;
}

/*
 * ---- One mapping of a range, and arrays of ranges ----
 */

/* A mapping of some range of a Mappable: by which space, where, and whether it may write. */
struct memmap_mapping_of_range {
	struct memmap_mapping_space *space;
	struct memmap_addr_range addr_range;
	bool writable;
};

/** The same space, addresses and writability? */
static inline bool memmap_mapping_of_range_equal(struct memmap_mapping_of_range a,
						 struct memmap_mapping_of_range b)
{
	return a.space == b.space && a.addr_range.start == b.addr_range.start &&
	       a.addr_range.end == b.addr_range.end && a.writable == b.writable;
}

/** Write the addresses of `m` as memmap_addr_range_format() does. Returns `buf`. */
MEMMAP_API char *memmap_mapping_of_range_format(struct memmap_mapping_of_range m, char *buf,
						size_t size);

/* A growable array of ranges. {0} is empty. */
struct memmap_mappable_ranges {
	struct memmap_mappable_range *ranges;
	size_t len, cap;
	const struct memmap_allocator *allocator; /* NULL: the default */
};

/**
 * Append `r`.
 *
 * Returns:     0, or -ENOMEM
 * On failure:  nothing has changed
 */
MEMMAP_API int memmap_mappable_ranges_append(struct memmap_mappable_ranges *ranges,
					     struct memmap_mappable_range r);

/**
 * Make room for `n` more elements: the next `n` appends cannot fail.
 *
 * Returns:     0, or -ENOMEM
 * On failure:  nothing has changed
 */
MEMMAP_API int memmap_mappable_ranges_reserve(struct memmap_mappable_ranges *ranges, size_t n);

/** Empty the array and free its memory; it may be used again. */
MEMMAP_API void memmap_mappable_ranges_release(struct memmap_mappable_ranges *ranges);

/*
 * ---- What a mapping is asked to be ----
 */

/* How a mapping locks memory. The order matters: the default of a space is compared with it. */
enum memmap_mlock_mode {
	/* Not at all. The zero value. */
	MEMMAP_MLOCK_NONE,
	/* Pages are made resident as soon as possible and kept so, as mlock(2): VM_LOCKED. */
	MEMMAP_MLOCK_EAGER,
	/* Pages are kept once a fault has made them resident: VM_LOCKED | VM_LOCKONFAULT. */
	MEMMAP_MLOCK_LAZY,
};

/* What the platform should do about a new mapping beyond noting it. */
enum memmap_platform_effect {
	MEMMAP_PLATFORM_EFFECT_DEFAULT,  /* nothing in particular */
	MEMMAP_PLATFORM_EFFECT_POPULATE, /* map all its pages now */
	MEMMAP_PLATFORM_EFFECT_COMMIT,   /* map them and have memory allocated for them now */
};

/* A request to create a mapping. */
struct memmap_mmap_opts {
	/* In bytes. */
	uint64_t length;

	/*
	 * Keeps `mappable` alive and gives what /proc/PID/maps shows of it. A successful request
	 * takes a reference.
	 */
	struct memmap_mapping_identity *identity;

	/* NULL: the mapping is anonymous. Must live while a reference to `identity` is held. */
	struct memmap_mappable *mappable;

	/* Where in `mappable`, page-aligned; ignored for an anonymous mapping. */
	uint64_t offset;

	/* The address suggested, or demanded when `fixed`. */
	uint64_t addr;

	/* The mapping must be at `addr`. */
	bool fixed;

	/* Mappings that are in the way may be replaced. Needs `fixed`. */
	bool unmap;

	/* Nothing may be replaced: -EEXIST when something is in the way. Implies `fixed`. */
	bool no_replace;

	/* Every address of the mapping must fit in 32 bits (its end need not). Ignored when
	 * `fixed`. */
	bool map_32bit;

	/* What the mapping permits now. */
	memmap_access perms;

	/*
	 * What it may ever be made to permit; an effective access. All translations of `mappable`
	 * must support all of it.
	 */
	memmap_access max_perms;

	/* Writes go to a copy of the page that only this address space sees. */
	bool private_;

	/* Grows downwards on faults just below it. */
	bool grows_down;

	/* MAP_STACK, which asks for nothing that must be done. */
	bool stack;

	/* The platform should commit memory to the mapping at once. */
	bool precommit;

	/* The finer form of `precommit`; the stronger of the two counts. */
	enum memmap_platform_effect platform_effect;

	enum memmap_mlock_mode mlock_mode;

	/*
	 * The name in /proc/PID/maps; NULL or "": that of `identity`. Borrowed for the time of the
	 * call.
	 */
	const char *hint;

	/* The name may be changed later, as prctl(PR_SET_VMA_ANON_NAME) does. */
	bool name_mut;

	/*
	 * Skip the checks of `addr` and `length` against the layout: for special mappings outside
	 * of it. Needs `fixed` and `unmap`.
	 */
	bool force;

	/* Nobody but the program that uses memmap can change the bytes behind the mapping. */
	bool owned_content;
};

MEMMAP_END_DECLS

#endif /* MEMMAP_MEMMAP_H */
