/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a file is mapped into this process: in chunks of which each is twice as long as the one before.
 *
 *   chunk   0     1           2                       3
 *   offset  |—————|———————————|———————————————————————|——————— ...     in units of the first one:
 *           0     1           3                       7                2^c - 1
 *
 * So there are few, a table of fixed size holds them, and the chunk of an offset is known from the
 * offset's highest bit. A chunk is mapped once and stays.
 */
#ifndef MEMMAP_SRC_FILE_CHUNKS_H
#define MEMMAP_SRC_FILE_CHUNKS_H

#include <stdint.h>

#include <memmap/block.h>
#include <memmap/range.h>

/* `shift`: the first chunk has 2^shift bytes. */
static inline unsigned memmap_chunk_of(uint64_t offset, unsigned shift)
{
	return 63 - (unsigned)__builtin_clzll((offset >> shift) + 1);
}

static inline uint64_t memmap_chunk_start(unsigned chunk, unsigned shift)
{
	return ((UINT64_C(1) << chunk) - 1) << shift;
}

static inline uint64_t memmap_chunk_length(unsigned chunk, unsigned shift)
{
	return UINT64_C(1) << (shift + chunk);
}

/* The bytes of `fr`, which is not empty, in a table of chunks that are mapped where it lies. */
static inline struct memmap_block_seq memmap_chunks_bytes(const struct memmap_block *chunks,
							  unsigned shift,
							  struct memmap_file_range fr)
{
	const unsigned first = memmap_chunk_of(fr.start, shift);
	const unsigned last = memmap_chunk_of(fr.end - 1, shift);
	const uint64_t from = fr.start - memmap_chunk_start(first, shift);
	const uint64_t length = memmap_file_range_length(fr);
	if (MEMMAP_LIKELY(first == last)) {
		struct memmap_block block = chunks[first];
		block.addr = (char *)block.addr + from;
		block.len = length;
		return memmap_block_seq_of(block);
	}
	return memmap_block_seq_cut(memmap_block_seq_from(&chunks[first], last - first + 1), from,
				    length);
}

#endif /* MEMMAP_SRC_FILE_CHUNKS_H */
