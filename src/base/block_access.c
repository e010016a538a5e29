/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Touching blocks: copies, zeroing and atomics that survive the memory's absence.
 *
 * Whoever is about to touch memory that may fault first sees to it that the handlers are there.
 */
#include <memmap/block.h>

#include <errno.h>
#include <string.h>

#include "base/fault_handler.h"
#include "base/safe_access.h"
#include "base/sanitizers.h"
#include <memmap/error.h>

/*
 * Blocks are the memory of programs, which may use it while we do. What they race for is their own
 * affair: ThreadSanitizer must not report it as ours. (safe_access.h's accesses it does not see.)
 */
#if HAS_TSAN
void AnnotateIgnoreReadsBegin(const char *file, int line);
void AnnotateIgnoreReadsEnd(const char *file, int line);
void AnnotateIgnoreWritesBegin(const char *file, int line);
void AnnotateIgnoreWritesEnd(const char *file, int line);
#endif

static void let_race(void)
{
#if HAS_TSAN
	AnnotateIgnoreReadsBegin(__FILE__, __LINE__);
	AnnotateIgnoreWritesBegin(__FILE__, __LINE__);
#endif
}

static void end_race(void)
{
#if HAS_TSAN
	AnnotateIgnoreWritesEnd(__FILE__, __LINE__);
	AnnotateIgnoreReadsEnd(__FILE__, __LINE__);
#endif
}

/* The result of an access that did `done` of `n` bytes. */
static int result(uint64_t n, uint64_t done, uint64_t *out)
{
	if (out)
		*out = done;
	return done < n ? -EFAULT : 0;
}

int memmap_copy(struct memmap_block dst, struct memmap_block src, uint64_t *done)
{
	size_t n = dst.len < src.len ? dst.len : src.len;
	if (n == 0)
		return result(0, 0, done);
	if (!dst.need_safe_copy && !src.need_safe_copy) {
		let_race();
		memmove(dst.addr, src.addr, n);
		end_race();
		return result(n, n, done);
	}
	memmap_fault_handler_ensure();
	return result(n, memmap_safe_access_copy(dst.addr, src.addr, n), done);
}

int memmap_zero(struct memmap_block dst, uint64_t *done)
{
	if (dst.len == 0)
		return result(0, 0, done);
	if (!dst.need_safe_copy) {
		let_race();
		memset(dst.addr, 0, dst.len);
		end_race();
		return result(dst.len, dst.len, done);
	}
	memmap_fault_handler_ensure();
	return result(dst.len, memmap_safe_access_zero(dst.addr, dst.len), done);
}

int memmap_copy_seq(struct memmap_block_seq dsts, struct memmap_block_seq srcs, uint64_t *done)
{
	uint64_t total = 0;
	int err = 0;
	while (!err && !memmap_block_seq_is_empty(dsts) && !memmap_block_seq_is_empty(srcs)) {
		uint64_t n;
		err = memmap_copy(dsts.first, srcs.first, &n);
		total += n;
		dsts = memmap_block_seq_drop_first(dsts, n);
		srcs = memmap_block_seq_drop_first(srcs, n);
	}
	if (done)
		*done = total;
	return err;
}

int memmap_zero_seq(struct memmap_block_seq dsts, uint64_t *done)
{
	uint64_t total = 0;
	int err = 0;
	for (; !err && !memmap_block_seq_is_empty(dsts); dsts = memmap_block_seq_tail(dsts)) {
		uint64_t n;
		err = memmap_zero(dsts.first, &n);
		total += n;
	}
	if (done)
		*done = total;
	return err;
}

/*
 * May the first `size` bytes of `b` be touched atomically? 0, or -EINVAL when they are misaligned;
 * a block that is too short is the caller's mistake.
 */
static int prepare_atomic(const char *function, struct memmap_block b, size_t size)
{
	if (b.len < size)
		memmap_panic("%s: block of %zu bytes is shorter than %zu", function, b.len, size);
	if ((uintptr_t)b.addr % size != 0)
		return -EINVAL;
	memmap_fault_handler_ensure();
	return 0;
}

int memmap_swap_u32(struct memmap_block b, uint32_t value, uint32_t *old)
{
	int err = prepare_atomic(__func__, b, sizeof(value));
	if (err)
		return err;
	return memmap_safe_access_swap_u32(b.addr, value, old) ? 0 : -EFAULT;
}

int memmap_swap_u64(struct memmap_block b, uint64_t value, uint64_t *old)
{
	int err = prepare_atomic(__func__, b, sizeof(value));
	if (err)
		return err;
	return memmap_safe_access_swap_u64(b.addr, value, old) ? 0 : -EFAULT;
}

int memmap_compare_and_swap_u32(struct memmap_block b, uint32_t expected, uint32_t value,
				uint32_t *old)
{
	int err = prepare_atomic(__func__, b, sizeof(value));
	if (err)
		return err;
	return memmap_safe_access_cas_u32(b.addr, expected, value, old) ? 0 : -EFAULT;
}

int memmap_compare_and_swap_u64(struct memmap_block b, uint64_t expected, uint64_t value,
				uint64_t *old)
{
	int err = prepare_atomic(__func__, b, sizeof(value));
	if (err)
		return err;
	return memmap_safe_access_cas_u64(b.addr, expected, value, old) ? 0 : -EFAULT;
}

int memmap_load_u32(struct memmap_block b, uint32_t *value)
{
	int err = prepare_atomic(__func__, b, sizeof(*value));
	if (err)
		return err;
	return memmap_safe_access_load_u32(b.addr, value) ? 0 : -EFAULT;
}

int memmap_load_u64(struct memmap_block b, uint64_t *value)
{
	int err = prepare_atomic(__func__, b, sizeof(*value));
	if (err)
		return err;
	return memmap_safe_access_load_u64(b.addr, value) ? 0 : -EFAULT;
}
