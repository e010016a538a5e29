/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Atomic operations on a guest's memory.
 *
 * They are done where this process has the page mapped, which is the same memory that the guest has:
 * so they are atomic towards the guest, too. Loads, swaps and compare-and-swaps of 4 and 8 bytes are
 * the instructions; the rest is built from compare-and-swap, smaller ones on the word around them
 * (which lies in the same page).
 *
 * Refuses to change what cannot be mapped: reading and writing it would not be atomic.
 */
#include "pages.h"

#include <errno.h>
#include <string.h>

#include <memmap/block.h>
#include <memmap/error.h>
#include <memmap/mm_access.h>

struct request {
	const struct memmap_atomic *atomic;
	uint64_t old;
};

/* What is there afterwards, by what was there before. */
static uint64_t result(const struct memmap_atomic *a, uint64_t old)
{
	switch (a->op) {
	case MEMMAP_ATOMIC_SWAP:
		return a->operand;
	case MEMMAP_ATOMIC_COMPARE_AND_SWAP: {
		const uint64_t mask = UINT64_MAX >> (64 - 8 * a->size);
		return ((old ^ a->expected) & mask) == 0 ? a->operand : old;
	}
	case MEMMAP_ATOMIC_ADD:
		return old + a->operand;
	case MEMMAP_ATOMIC_AND:
		return old & a->operand;
	case MEMMAP_ATOMIC_OR:
		return old | a->operand;
	case MEMMAP_ATOMIC_XOR:
		return old ^ a->operand;
	default:
		return old;
	}
}

static int do_u64(struct memmap_block word, const struct memmap_atomic *a, uint64_t *old)
{
	if (a->op == MEMMAP_ATOMIC_SWAP)
		return memmap_swap_u64(word, a->operand, old);
	if (a->op == MEMMAP_ATOMIC_COMPARE_AND_SWAP)
		return memmap_compare_and_swap_u64(word, a->expected, a->operand, old);
	int err = memmap_load_u64(word, old);
	while (!err && a->op != MEMMAP_ATOMIC_LOAD) {
		const uint64_t seen = *old;
		err = memmap_compare_and_swap_u64(word, seen, result(a, seen), old);
		if (*old == seen)
			break;
	}
	return err;
}

/* Up to 4 bytes, which begin `shift` bits into the word. */
static int do_u32(struct memmap_block word, unsigned shift, const struct memmap_atomic *a,
		  uint64_t *old)
{
	const uint32_t mask = UINT32_MAX >> (32 - 8 * a->size);
	uint32_t there;
	int err = memmap_load_u32(word, &there);
	while (!err) {
		*old = (there >> shift) & mask;
		if (a->op == MEMMAP_ATOMIC_LOAD)
			break;
		const uint32_t seen = there;
		const uint32_t part = (uint32_t)result(a, *old) & mask;
		err = memmap_compare_and_swap_u32(
			word, seen, (seen & ~(mask << shift)) | part << shift, &there);
		if (there == seen)
			break;
	}
	return err;
}

/* The block of `size` bytes at `offset`. */
static int block_at(struct memmap_file *file, uint64_t offset, uint64_t size, memmap_access at,
		    struct memmap_block *out)
{
	struct memmap_block_seq blocks;
	int err = memmap_file_map_internal(file, (struct memmap_file_range){offset, offset + size},
					   at, &blocks);
	if (err)
		return err;
	*out = memmap_block_seq_head(blocks);
	return out->len < size ? -EIO : 0;
}

/* The file cannot be mapped: read it. */
static int load_buffered(const struct mm_page_run *run, unsigned size, uint64_t *old)
{
	union {
		uint8_t u8;
		uint16_t u16;
		uint32_t u32;
		uint64_t u64;
	} value;
	uint64_t done;
	int err = memmap_file_buffer_read_at(run->file, run->offset, &value, size, &done);
	if (err)
		return err;
	*old = size == 1 ? value.u8 : size == 2 ? value.u16 : size == 4 ? value.u32 : value.u64;
	return 0;
}

static int do_atomic(void *arg, const struct mm_page_run *run)
{
	struct request *r = arg;
	const struct memmap_atomic *a = r->atomic;
	const bool load = a->op == MEMMAP_ATOMIC_LOAD;
	const unsigned word_size = a->size == 8 ? 8 : 4;
	const uint64_t word = run->offset & ~(uint64_t)(word_size - 1);
	struct memmap_block block;

	int err = block_at(run->file, word, word_size, load ? MEMMAP_READ : MEMMAP_READ_WRITE,
			   &block);
	if (err == -EOPNOTSUPP && load)
		return load_buffered(run, a->size, &r->old);
	if (err)
		return err;
	unsigned shift = (unsigned)(run->offset - word) * 8;
	if (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)
		shift = (word_size - a->size) * 8 - shift;
	err = a->size == 8 ? do_u64(block, a, &r->old) : do_u32(block, shift, a, &r->old);
	return err == -EFAULT ? memmap_bus_error(err) : err;
}

int memmap_mm_atomic(struct memmap_mm *mm, uint64_t addr, const struct memmap_atomic *atomic,
		     const struct memmap_access_opts *opts, uint64_t *old)
{
	const unsigned size = atomic->size;
	if ((size != 1 && size != 2 && size != 4 && size != 8) ||
	    (unsigned)atomic->op > MEMMAP_ATOMIC_XOR)
		memmap_panic("memmap_mm_atomic: no such operation: %d on %u bytes", (int)atomic->op,
			     size);
	if (addr & (size - 1))
		return -EINVAL;
	struct memmap_addr_range ar;
	if (!memmap_addr_to_range(addr, size, &ar))
		return -EFAULT;
	struct request r = {.atomic = atomic};
	int err = mm_with_pages(mm, ar,
				atomic->op == MEMMAP_ATOMIC_LOAD ? MEMMAP_READ : MEMMAP_READ_WRITE,
				opts && opts->ignore_permissions, do_atomic, &r, NULL);
	if (!err && old)
		*old = r.old;
	return err;
}
