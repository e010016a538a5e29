/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Arrays of a guest's ranges, checked in Linux's order.
 *
 * The number of ranges comes first, then each length, then where they lie. Bytes beyond
 * MM_MAX_RW_COUNT in all are left out without a word. A single range is cut to that length before it
 * is looked at where it lies, several are looked at whole: so it is with Linux.
 */
#include "iovec.h"

#define IOV_MAX_RANGES 1024

int iovec_check(const struct memmap_iovec *vector, uint64_t nr)
{
	if (nr > IOV_MAX_RANGES)
		return -EINVAL;
	for (size_t i = 0; i < nr; i++) {
		if (vector[i].length > INT64_MAX)
			return -EINVAL;
	}
	return 0;
}

static bool ends_by(uint64_t limit, uint64_t base, uint64_t length)
{
	uint64_t end;
	return !__builtin_add_overflow(base, length, &end) && end <= limit;
}

int iovec_import(const struct memmap_mm *mm, const struct memmap_iovec *vector, uint64_t nr,
		 struct iovec_iter *out)
{
	int err = iovec_check(vector, nr);
	if (err)
		return err;
	*out = (struct iovec_iter){.vector = vector, .nr = nr};
	const uint64_t limit = memmap_mm_get_layout(mm).task_size;
	for (size_t i = 0; i < nr; i++) {
		uint64_t length = vector[i].length, room = MM_MAX_RW_COUNT - out->left;
		if (nr == 1 && length > room)
			length = room;
		if (!ends_by(limit, vector[i].base, length))
			return -EFAULT;
		out->left += length < room ? length : room;
	}
	return 0;
}

void iovec_iter_advance(struct iovec_iter *it, uint64_t n)
{
	if (it->left == 0)
		return;
	it->left -= n;
	it->offset += n;
	while (it->nr > 0 && it->offset >= it->vector->length) {
		it->offset -= it->vector->length;
		it->vector++;
		it->nr--;
	}
}
