/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Blocks: memory of this process that may not be there when it is touched.
 *
 * A block is an address and a length, and says whether touching it may fault: because the file
 * behind it may shrink, a guest may unmap it, or a device may vanish. Copying, zeroing and the
 * atomics below touch such blocks *safely*: when the memory faults (SIGSEGV or SIGBUS) they stop
 * there and return -EFAULT with the number of bytes that were done, which is exact. A block that
 * needs no safe copy is touched as plain memory; if that faults, the program dies as it would
 * without memmap.
 *
 * A block sequence is several blocks read as one run of bytes. Blocks and sequences are small
 * values, copied freely; none of their functions allocates or fails.
 *
 * Faults are caught with handlers for SIGSEGV and SIGBUS: see memmap_block_install_handlers().
 */
#ifndef MEMMAP_BLOCK_H
#define MEMMAP_BLOCK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <memmap/api.h>

MEMMAP_BEGIN_DECLS

struct memmap_block {
	void *addr;
	size_t len;
	/* Touching the memory may raise SIGSEGV or SIGBUS. */
	bool need_safe_copy;
};

/**
 * The block of `len` bytes at `addr`, which can be touched without a fault.
 *
 * Requires:    `addr` + `len` does not overflow; otherwise panics
 */
MEMMAP_API struct memmap_block memmap_block_safe(void *addr, size_t len);

/**
 * The block of `len` bytes at `addr`, which may fault when touched.
 *
 * Requires:    `addr` + `len` does not overflow; otherwise panics
 */
MEMMAP_API struct memmap_block memmap_block_unsafe(void *addr, size_t len);

/** What is left of `b` after its first `n` bytes; the zero block when `n` >= its length. */
MEMMAP_API struct memmap_block memmap_block_drop_first(struct memmap_block b, uint64_t n);

/** The first `n` bytes of `b`: all of it when `n` >= its length, the zero block for 0. */
MEMMAP_API struct memmap_block memmap_block_take_first(struct memmap_block b, uint64_t n);

/* Enough for any block, with its terminating zero. */
#define MEMMAP_BLOCK_FORMAT_SIZE 48

/**
 * Write `b` as "[0x1000-0x3000)", with a '*' after it when it needs safe copy; a block at address 0
 * without a length is "<nil>".
 *
 * Returns:     `buf`; always terminated when `size` > 0, cut to fit
 */
MEMMAP_API char *memmap_block_format(struct memmap_block b, char *buf, size_t size);

/*
 * A sequence of blocks, none of them empty. The zero value is the empty sequence.
 *
 * The fields are private: ask through the functions. The first block is held inside, cut at both
 * ends as need be, so that a sequence of one block needs no memory elsewhere; the others are where
 * the caller put them.
 */
struct memmap_block_seq {
	struct memmap_block first;       /* len is 0 only in the empty sequence */
	const struct memmap_block *rest; /* NULL when nothing follows `first` */
	size_t nr_rest;                  /* some of them may be empty, or beyond nr_bytes */
	uint64_t nr_bytes;               /* in all blocks; the last one is cut to fit */
};

/** The sequence of the single block `b`; empty when `b` is. */
MEMMAP_API struct memmap_block_seq memmap_block_seq_of(struct memmap_block b);

/**
 * The sequence of the `nr` blocks at `blocks`; empty ones are skipped.
 *
 * The sequence refers to the array (unless at most one block is not empty): keep it unchanged for
 * as long as the sequence, or one made from it, is used.
 *
 * Requires:    the blocks' lengths add up to no more than UINT64_MAX; otherwise panics
 */
MEMMAP_API struct memmap_block_seq memmap_block_seq_from(const struct memmap_block *blocks,
							 size_t nr);

/** No blocks, which is to say no bytes. */
static inline bool memmap_block_seq_is_empty(struct memmap_block_seq seq)
{
	return seq.nr_bytes == 0;
}

/** The sum of the blocks' lengths. Constant time. */
static inline uint64_t memmap_block_seq_num_bytes(struct memmap_block_seq seq)
{
	return seq.nr_bytes;
}

/** How many blocks there are. They have to be counted. */
MEMMAP_API size_t memmap_block_seq_num_blocks(struct memmap_block_seq seq);

/**
 * The first block.
 *
 * Requires:    `seq` is not empty; otherwise panics
 */
MEMMAP_API struct memmap_block memmap_block_seq_head(struct memmap_block_seq seq);

/**
 * All blocks but the first.
 *
 * Requires:    `seq` is not empty; otherwise panics
 */
MEMMAP_API struct memmap_block_seq memmap_block_seq_tail(struct memmap_block_seq seq);

/** What is left of `seq` after its first `n` bytes; empty when `n` >= their number. */
MEMMAP_API struct memmap_block_seq memmap_block_seq_drop_first(struct memmap_block_seq seq,
							       uint64_t n);

/** The first `n` bytes of `seq`: all of it when `n` >= their number. */
MEMMAP_API struct memmap_block_seq memmap_block_seq_take_first(struct memmap_block_seq seq,
							       uint64_t n);

/** The `n` bytes of `seq` from its byte `from` on, as far as there are any. */
static inline struct memmap_block_seq memmap_block_seq_cut(struct memmap_block_seq seq,
							   uint64_t from, uint64_t n)
{
	return memmap_block_seq_take_first(memmap_block_seq_drop_first(seq, from), n);
}

/**
 * Write `seq` as its blocks between brackets: "[[0x1000-0x2000) [0x8000-0x9000)*]".
 *
 * Returns:     `buf`; always terminated when `size` > 0, cut to fit
 */
MEMMAP_API char *memmap_block_seq_format(struct memmap_block_seq seq, char *buf, size_t size);

/**
 * Copy as many bytes as the shorter of the two blocks has.
 *
 * What is stored in `dst` is unspecified when the blocks overlap.
 *
 * Locking:     none; other threads may change or unmap the memory meanwhile
 * Returns:     0; or -EFAULT when a block that needs safe copy faulted
 *              `*done` (NULL: not wanted): how many bytes were copied, exact in both cases
 */
MEMMAP_API int memmap_copy(struct memmap_block dst, struct memmap_block src, uint64_t *done);

/**
 * Copy as many bytes as the shorter of the two sequences has.
 *
 * What is stored in `dsts` is unspecified when the sequences overlap.
 *
 * Returns:     as memmap_copy()
 */
MEMMAP_API int memmap_copy_seq(struct memmap_block_seq dsts, struct memmap_block_seq srcs,
			       uint64_t *done);

/**
 * Set every byte of `dst` to 0.
 *
 * Returns:     0; or -EFAULT when a block that needs safe copy faulted
 *              `*done` (NULL: not wanted): how many bytes were zeroed, exact in both cases
 */
MEMMAP_API int memmap_zero(struct memmap_block dst, uint64_t *done);

/**
 * Set every byte of `dsts` to 0.
 *
 * Returns:     as memmap_zero()
 */
MEMMAP_API int memmap_zero_seq(struct memmap_block_seq dsts, uint64_t *done);

/**
 * Store `value` in the first 4 bytes of `b`, atomically (sequentially consistent).
 *
 * The fault is caught whether or not `b` needs safe copy; so it is in all four atomics.
 *
 * Requires:    `b` has at least 4 bytes; otherwise panics
 * Returns:     0 and, in `*old`, what was there before
 *              -EINVAL  the address is not a multiple of 4
 *              -EFAULT  the memory faulted
 * On failure:  nothing has changed
 */
MEMMAP_API int memmap_swap_u32(struct memmap_block b, uint32_t value, uint32_t *old);

/**
 * Store `value` in the first 8 bytes of `b`, atomically.
 *
 * Requires:    `b` has at least 8 bytes; otherwise panics
 * Returns:     as memmap_swap_u32(), the address being a multiple of 8
 */
MEMMAP_API int memmap_swap_u64(struct memmap_block b, uint64_t value, uint64_t *old);

/**
 * Store `value` in the first 4 bytes of `b` if they hold `expected`, atomically.
 *
 * Requires:    `b` has at least 4 bytes; otherwise panics
 * Returns:     0 and, in `*old`, what was there before: the store happened if it equals `expected`
 *              -EINVAL, -EFAULT  as memmap_swap_u32()
 * On failure:  nothing has changed
 */
MEMMAP_API int memmap_compare_and_swap_u32(struct memmap_block b, uint32_t expected, uint32_t value,
					   uint32_t *old);

/**
 * Store `value` in the first 8 bytes of `b` if they hold `expected`, atomically.
 *
 * Requires:    `b` has at least 8 bytes; otherwise panics
 * Returns:     as memmap_compare_and_swap_u32(), the address being a multiple of 8
 */
MEMMAP_API int memmap_compare_and_swap_u64(struct memmap_block b, uint64_t expected, uint64_t value,
					   uint64_t *old);

/**
 * Read the first 4 bytes of `b`, atomically.
 *
 * Requires:    `b` has at least 4 bytes; otherwise panics
 * Returns:     0 and the bytes in `*value`
 *              -EINVAL, -EFAULT  as memmap_swap_u32()
 */
MEMMAP_API int memmap_load_u32(struct memmap_block b, uint32_t *value);

/**
 * Read the first 8 bytes of `b`, atomically.
 *
 * Requires:    `b` has at least 8 bytes; otherwise panics
 * Returns:     as memmap_load_u32(), the address being a multiple of 8
 */
MEMMAP_API int memmap_load_u64(struct memmap_block b, uint64_t *value);

/**
 * Install the handlers for SIGSEGV and SIGBUS that safe copies need.
 *
 * The first safe copy of the process does it by itself. Call it earlier, to have it done at a known
 * time, and again after the program installed handlers of its own: ours come on top then, and the
 * program's get every fault that is not a safe copy's, called as the kernel would have called them
 * (flags, mask and all). Where there was no handler, such a fault ends the program as ever.
 *
 * A program that wants to keep its handlers on top offers each fault to memmap_block_handle_fault()
 * instead. A handler in which safe copies are done must not block the signal it handles
 * (SA_NODEFER), and no thread that does safe copies may block SIGSEGV or SIGBUS: the kernel would
 * kill the process.
 *
 * Locking:     any thread, any time
 * Returns:     0, also when ours are on top already
 *              -ENOSPC  the program changed its handlers so often that they cannot be kept apart
 *              -errno   of sigaction(2)
 */
MEMMAP_API int memmap_block_install_handlers(void);

/**
 * Offer a SIGSEGV or SIGBUS to the safe copy that the calling thread may be in, and to the guests of
 * this process (see <memmap/platform_inproc.h>).
 *
 * For the program's own signal handler, which must have been installed with SA_SIGINFO: hand on its
 * arguments, and return at once when the answer is true.
 *
 * Locking:     async-signal-safe, but for faults of guests
 * Returns:     true when the fault was a safe copy's: `*ucontext` has been changed so that
 *              returning from the handler makes the copy return -EFAULT (on some machines it does
 *              not return, but continues there); and when a guest's fault has been resolved or was
 *              taken by the program's on_fault(). False when it was none of these; but for a guest's
 *              fault, of which `*siginfo` then tells what Linux would have told, nothing has changed
 */
MEMMAP_API bool memmap_block_handle_fault(int signal, void *siginfo, void *ucontext);

MEMMAP_END_DECLS

#endif /* MEMMAP_BLOCK_H */
