/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The bytes of a guest: reading, writing and changing them from outside, with fault handling.
 *
 * Each function here touches the guest's memory as the guest would: pages that are not there come
 * in, a private page that is written to is copied first, stacks grow, and permissions count. What
 * cannot be touched ends the operation; how many bytes were done before is told exactly. Nothing is
 * mapped for it in a platform, and the guest may run meanwhile.
 *
 * Addresses and lengths are a guest's: every value is permitted, none panics.
 *
 * Results that all functions share:
 *
 *   0            all was done
 *   -EFAULT      nothing is mapped there, the mapping forbids it, or the range wraps around
 *   a bus error  there is nothing behind the mapping, such as beyond the end of a file: see
 *                memmap_is_bus_error(). What stands for a system call returns -EFAULT for it
 *   -ENOMEM      no memory for the pages
 *   -EINTR       the address space's context was cancelled
 *   -ENOSYS      the address space has no memory file, and so no pages
 *   or what a File refuses it with
 *
 * Locking: any thread; must not be called with a Mappable's or a File's lock held
 */
#ifndef MEMMAP_MM_ACCESS_H
#define MEMMAP_MM_ACCESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <memmap/api.h>
#include <memmap/mm.h>

MEMMAP_BEGIN_DECLS

/* How to touch. NULL where it is taken stands for {0}. */
struct memmap_access_opts {
	/*
	 * Permitted is what the mapping could be made to permit, as for ptrace(2): reading what is
	 * only executable, or writing to private memory that is read-only, which is copied.
	 */
	bool ignore_permissions;
};

/* ---- Bytes ---- */

/**
 * Read `length` bytes of the guest at `addr` into `dst`.
 *
 * Returns:     as above; `*done` (NULL: not wanted): the bytes read
 * On failure:  what lies behind them in `dst` is unchanged
 */
MEMMAP_API int memmap_mm_copy_in(struct memmap_mm *mm, uint64_t addr, void *dst, uint64_t length,
				 const struct memmap_access_opts *opts, uint64_t *done);

/**
 * Write the `length` bytes at `src` to the guest at `addr`.
 *
 * Returns:     as above; `*done` (NULL: not wanted): the bytes written
 * On failure:  what lies behind them in the guest is unchanged
 */
MEMMAP_API int memmap_mm_copy_out(struct memmap_mm *mm, uint64_t addr, const void *src,
				  uint64_t length, const struct memmap_access_opts *opts,
				  uint64_t *done);

/**
 * Write `length` zeros to the guest at `addr`.
 *
 * Returns:     as above; `*done` (NULL: not wanted): the bytes written
 */
MEMMAP_API int memmap_mm_zero_out(struct memmap_mm *mm, uint64_t addr, uint64_t length,
				  const struct memmap_access_opts *opts, uint64_t *done);

/**
 * Read a string of the guest at `addr`, with its terminating zero, into the `size` bytes at `dst`.
 *
 * Pages behind the string are not touched.
 *
 * Returns:     0 and in `*length` (NULL: not wanted) its length without the zero
 *              -ENAMETOOLONG  `size` bytes hold no zero
 *              otherwise as above
 * On failure:  `*length` is the number of bytes that were read to `dst`
 */
MEMMAP_API int memmap_mm_copy_string_in(struct memmap_mm *mm, uint64_t addr, char *dst,
					uint64_t size, const struct memmap_access_opts *opts,
					uint64_t *length);

/* ---- Vectors ---- */

/* A range of a guest's memory, as in its struct iovec. */
struct memmap_iovec {
	uint64_t base;
	uint64_t length;
};

/**
 * Read the guest's ranges, one after the other, into the `length` bytes at `dst`: as many bytes as
 * the shorter of the two has. Ranges of length 0 are not looked at.
 *
 * Returns:     as above; `*done` (NULL: not wanted): the bytes read
 */
MEMMAP_API int memmap_mm_copy_in_vector(struct memmap_mm *mm, const struct memmap_iovec *vector,
					size_t nr, void *dst, uint64_t length,
					const struct memmap_access_opts *opts, uint64_t *done);

/** Write to the guest's ranges; otherwise as memmap_mm_copy_in_vector(). */
MEMMAP_API int memmap_mm_copy_out_vector(struct memmap_mm *mm, const struct memmap_iovec *vector,
					 size_t nr, const void *src, uint64_t length,
					 const struct memmap_access_opts *opts, uint64_t *done);

/** Write at most `length` zeros to the guest's ranges; otherwise as memmap_mm_copy_in_vector(). */
MEMMAP_API int memmap_mm_zero_out_vector(struct memmap_mm *mm, const struct memmap_iovec *vector,
					 size_t nr, uint64_t length,
					 const struct memmap_access_opts *opts, uint64_t *done);

/* ---- Atomics ---- */

enum memmap_atomic_op {
	MEMMAP_ATOMIC_LOAD,             /* changes nothing, and needs to read only */
	MEMMAP_ATOMIC_SWAP,             /* `operand` comes in */
	MEMMAP_ATOMIC_COMPARE_AND_SWAP, /* `operand` comes in if `expected` is there */
	MEMMAP_ATOMIC_ADD,
	MEMMAP_ATOMIC_AND,
	MEMMAP_ATOMIC_OR,
	MEMMAP_ATOMIC_XOR,
};

struct memmap_atomic {
	enum memmap_atomic_op op;
	unsigned size; /* bytes: 1, 2, 4 or 8; higher bits of the operands are ignored */
	uint64_t operand, expected;
};

/**
 * Do `atomic` at `addr` of the guest: whole or not at all, and in one order with all other atomic
 * operations on the same bytes, the guest's own included.
 *
 * Requires:    `atomic` is as said; otherwise panics
 * Returns:     0 and in `*old` (NULL: not wanted) what was there before
 *              -EINVAL      `addr` is not a multiple of the size
 *              -EOPNOTSUPP  it is to be changed, but the file behind it can only be read and
 *                           written, not mapped
 *              otherwise as above
 * On failure:  nothing has changed
 */
MEMMAP_API int memmap_mm_atomic(struct memmap_mm *mm, uint64_t addr,
				const struct memmap_atomic *atomic,
				const struct memmap_access_opts *opts, uint64_t *old);

/*
 * The same for each size: memmap_mm_load_u32(mm, addr, &value), memmap_mm_swap_u32(mm, addr,
 * value, &old), memmap_mm_compare_and_swap_u32(mm, addr, expected, value, &old),
 * memmap_mm_fetch_add_u32(mm, addr, value, &old), memmap_mm_fetch_or_u32(mm, addr, value, &old).
 */
#define MEMMAP_MM_ATOMIC_(bits, name, which, expects)                                              \
	static inline int memmap_mm_##name##_u##bits(struct memmap_mm *mm, uint64_t addr,          \
						     uint##bits##_t value, uint##bits##_t *old)    \
	{                                                                                          \
		struct memmap_atomic atomic = {which, bits / 8, value, 0};                         \
		uint64_t was = 0;                                                                  \
		int err = memmap_mm_atomic(mm, addr, &atomic, NULL, &was);                         \
		if (!err)                                                                          \
			*old = (uint##bits##_t)was;                                                \
		return err;                                                                        \
	}
#define MEMMAP_MM_ATOMICS_(bits)                                                                   \
	static inline int memmap_mm_load_u##bits(struct memmap_mm *mm, uint64_t addr,              \
						 uint##bits##_t *value)                            \
	{                                                                                          \
		struct memmap_atomic atomic = {MEMMAP_ATOMIC_LOAD, bits / 8, 0, 0};                \
		uint64_t was = 0;                                                                  \
		int err = memmap_mm_atomic(mm, addr, &atomic, NULL, &was);                         \
		if (!err)                                                                          \
			*value = (uint##bits##_t)was;                                              \
		return err;                                                                        \
	}                                                                                          \
	static inline int memmap_mm_compare_and_swap_u##bits(                                      \
		struct memmap_mm *mm, uint64_t addr, uint##bits##_t expected,                      \
		uint##bits##_t value, uint##bits##_t *old)                                         \
	{                                                                                          \
		struct memmap_atomic atomic = {MEMMAP_ATOMIC_COMPARE_AND_SWAP, bits / 8, value,    \
					       expected};                                          \
		uint64_t was = 0;                                                                  \
		int err = memmap_mm_atomic(mm, addr, &atomic, NULL, &was);                         \
		if (!err)                                                                          \
			*old = (uint##bits##_t)was;                                                \
		return err;                                                                        \
	}                                                                                          \
	MEMMAP_MM_ATOMIC_(bits, swap, MEMMAP_ATOMIC_SWAP, )                                        \
	MEMMAP_MM_ATOMIC_(bits, fetch_add, MEMMAP_ATOMIC_ADD, )                                    \
	MEMMAP_MM_ATOMIC_(bits, fetch_or, MEMMAP_ATOMIC_OR, )

MEMMAP_MM_ATOMICS_(8)
MEMMAP_MM_ATOMICS_(16)
MEMMAP_MM_ATOMICS_(32)
MEMMAP_MM_ATOMICS_(64)

#undef MEMMAP_MM_ATOMICS_
#undef MEMMAP_MM_ATOMIC_

/* ---- Futexes ---- */

/*
 * What a futex is known by: two words of memory are one futex if their keys are equal. The members
 * are private.
 */
struct memmap_futex_key {
	const void *object; /* the address space, or the Mappable */
	uint64_t offset;    /* in it */
	int kind;
	struct memmap_mapping_identity *identity; /* a reference; NULL: none */
	struct memmap_context *context;
};

/**
 * The key of the futex at `addr`.
 *
 * With `process_private` (FUTEX_PRIVATE_FLAG) it is the address space and the address, whatever is
 * mapped there. Otherwise memory that others may share is known by what is mapped and the offset in
 * it: the same from every address space that maps it. Private memory is known by the address space
 * and the address, though not as the same futex as with `process_private`, as with Linux.
 *
 * Returns:     0 and the key in `*out`; it keeps what is mapped alive until it is released
 *              -EINVAL  `addr` is not a multiple of 4
 *              -EFAULT  it lies beyond the layout; or, but for `process_private`, it cannot be read
 *              -ENOMEM, -EINTR
 */
MEMMAP_API int memmap_mm_futex_key(struct memmap_mm *mm, uint64_t addr, bool process_private,
				   struct memmap_futex_key *out);

/** Drop what the key holds. One that is {0} is ignored. */
MEMMAP_API void memmap_futex_key_release(struct memmap_futex_key *key);

/** The same futex? */
static inline bool memmap_futex_key_equal(const struct memmap_futex_key *a,
					  const struct memmap_futex_key *b)
{
	return a->object == b->object && a->offset == b->offset && a->kind == b->kind;
}

/** A number to find the key by in a table: equal keys have equal ones. */
MEMMAP_API uint64_t memmap_futex_key_hash(const struct memmap_futex_key *key);

/* ---- System calls ---- */

/**
 * process_vm_readv(2): read `remote`'s ranges into `local`'s. The two may be the same address
 * space. The arrays are those that the guest's pointers led to.
 *
 * Bytes go from page to page, through no buffer. Bytes of `remote` are reached as by
 * get_user_pages(): its stacks do not grow, and memory that is not readable is not read even where
 * the hardware would let it be.
 *
 * Returns:     the bytes copied, as long as there are any; else
 *              -EINVAL  `flags` is not 0, more than 1024 ranges (IOV_MAX), or one of more than
 *                       SSIZE_MAX bytes
 *              -EFAULT  a local range lies beyond the layout, or the first byte cannot be copied
 *              -ENOMEM, -EINTR, -ENOSYS
 */
MEMMAP_API int64_t memmap_mm_sys_process_vm_readv(struct memmap_mm *local,
						  const struct memmap_iovec *local_vector,
						  uint64_t nr_local, struct memmap_mm *remote,
						  const struct memmap_iovec *remote_vector,
						  uint64_t nr_remote, uint64_t flags);

/** process_vm_writev(2): write `local`'s ranges to `remote`'s; as process_vm_readv(2). */
MEMMAP_API int64_t memmap_mm_sys_process_vm_writev(struct memmap_mm *local,
						   const struct memmap_iovec *local_vector,
						   uint64_t nr_local, struct memmap_mm *remote,
						   const struct memmap_iovec *remote_vector,
						   uint64_t nr_remote, uint64_t flags);

/**
 * process_madvise(2) by `caller` for ranges of `target`. Whether `caller` may look at `target` at
 * all is for the embedding program to say; `cap_sys_nice` is whether it has that capability, which
 * it needs for others than itself.
 *
 * Returns:     the bytes of the ranges that were advised whole, as long as there are any; else what
 *              memmap_mm_sys_madvise() says of the first, or
 *              -EINVAL  `flags` is not 0, more than 1024 ranges, one of more than SSIZE_MAX bytes,
 *                       or advice that cannot be given to others
 *              -EFAULT  a range lies beyond the layout
 *              -EPERM   it needs `cap_sys_nice`
 */
MEMMAP_API int64_t memmap_mm_sys_process_madvise(struct memmap_mm *caller, struct memmap_mm *target,
						 const struct memmap_iovec *vector, uint64_t nr,
						 int advice, uint64_t flags, bool cap_sys_nice);

/**
 * mincore(2): for each page of [addr, addr + length), whether touching it needs no wait, in the
 * lowest bit of a byte of `vec`. The other bits are 0.
 *
 * That is so when the page is there, be it only the page of zeros; and for files (private mappings
 * too) also when the Mappable says it is `resident`. Of special mappings, and when the Mappable
 * answers -EPERM because whoever asks may not know, all pages are said to be there.
 *
 * Returns:     0
 *              -EINVAL  `addr` is not page-aligned
 *              -ENOMEM  the range reaches beyond the layout, or there is a hole: `vec` has been
 *                       filled up to it
 *              or what the Mappable failed with
 */
MEMMAP_API int64_t memmap_mm_sys_mincore(struct memmap_mm *mm, uint64_t addr, uint64_t length,
					 unsigned char *vec);

MEMMAP_END_DECLS

#endif /* MEMMAP_MM_ACCESS_H */
