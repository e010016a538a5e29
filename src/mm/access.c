/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading and writing a guest's bytes.
 *
 * Everything is one transfer() of a range: pages are made present as by touching them, and each run
 * of them is handed to a function that moves its bytes, under the locks that keep the pages what
 * they are. What has been moved is counted by us, since a run may be moved in part.
 *
 * Refuses nothing but what cannot be touched: a range that wraps around is good up to there.
 */

#include <errno.h>
#include <string.h>

#include <memmap/error.h>
#include <memmap/mm_access.h>

#include "page_copy.h"

/* ---- One range ---- */

/* A string ended: no error, and nothing behind it is to be touched. */
#define STRING_ENDED MM_STOP

struct transfer;
typedef int move_fn(struct transfer *t, struct page_bytes there, uint64_t *moved);

struct transfer {
	move_fn *move;
	char *dst;       /* copying in */
	const char *src; /* copying out */
	uint64_t done;   /* bytes; what lies behind them in `dst` and `src` comes next */
};

static int move_in(struct transfer *t, struct page_bytes there, uint64_t *moved)
{
	return page_bytes_read(there, t->dst + t->done, moved);
}

static int move_out(struct transfer *t, struct page_bytes there, uint64_t *moved)
{
	return page_bytes_write(there, t->src + t->done, moved);
}

static int move_zeros(struct transfer *t, struct page_bytes there, uint64_t *moved)
{
	(void)t;
	return page_bytes_zero(there, moved);
}

static int move_string(struct transfer *t, struct page_bytes there, uint64_t *moved)
{
	char *to = t->dst + t->done;
	int err = page_bytes_read(there, to, moved);
	const char *zero = memchr(to, '\0', *moved);
	if (!zero)
		return err;
	*moved = (uint64_t)(zero - to);
	return STRING_ENDED;
}

static int move_run(void *arg, const struct mm_page_run *run)
{
	struct transfer *t = arg;
	uint64_t moved = 0;
	int err = t->move(t, page_bytes_of(run), &moved);
	t->done += moved;
	return err;
}

/* Move the `length` bytes at `addr`; t->done counts on. */
static int transfer(struct memmap_mm *mm, uint64_t addr, uint64_t length, memmap_access at,
		    const struct memmap_access_opts *opts, struct transfer *t)
{
	struct memmap_addr_range ar;
	bool wraps = !memmap_addr_to_range(addr, length, &ar);
	if (wraps)
		ar = (struct memmap_addr_range){addr, UINT64_MAX};
	if (ar.start == ar.end)
		return wraps ? -EFAULT : 0;
	int err = mm_with_pages(mm, ar, at, opts && opts->ignore_permissions, move_run, t, NULL);
	return !err && wraps ? -EFAULT : err;
}

static int finish(int err, const struct transfer *t, uint64_t *done)
{
	if (done)
		*done = t->done;
	return err;
}

int memmap_mm_copy_in(struct memmap_mm *mm, uint64_t addr, void *dst, uint64_t length,
		      const struct memmap_access_opts *opts, uint64_t *done)
{
	struct transfer t = {.move = move_in, .dst = dst};
	return finish(transfer(mm, addr, length, MEMMAP_READ, opts, &t), &t, done);
}

int memmap_mm_copy_out(struct memmap_mm *mm, uint64_t addr, const void *src, uint64_t length,
		       const struct memmap_access_opts *opts, uint64_t *done)
{
	struct transfer t = {.move = move_out, .src = src};
	return finish(transfer(mm, addr, length, MEMMAP_WRITE, opts, &t), &t, done);
}

int memmap_mm_zero_out(struct memmap_mm *mm, uint64_t addr, uint64_t length,
		       const struct memmap_access_opts *opts, uint64_t *done)
{
	struct transfer t = {.move = move_zeros};
	return finish(transfer(mm, addr, length, MEMMAP_WRITE, opts, &t), &t, done);
}

int memmap_mm_copy_string_in(struct memmap_mm *mm, uint64_t addr, char *dst, uint64_t size,
			     const struct memmap_access_opts *opts, uint64_t *length)
{
	struct transfer t = {.move = move_string, .dst = dst};
	int err = 0;
	/* Page by page: those behind the string may be missing, or may wait for a disk. */
	while (!err && t.done < size) {
		uint64_t at = addr + t.done, n = MEMMAP_PAGE_SIZE - (at & MEMMAP_PAGE_MASK);
		if (at < addr) {
			err = -EFAULT;
			break;
		}
		err = transfer(mm, at, n < size - t.done ? n : size - t.done, MEMMAP_READ, opts,
			       &t);
	}
	if (!err)
		err = -ENAMETOOLONG;
	return finish(err == STRING_ENDED ? 0 : err, &t, length);
}

/* ---- Vectors ---- */

static int transfer_vector(struct memmap_mm *mm, const struct memmap_iovec *vector, size_t nr,
			   uint64_t length, memmap_access at, const struct memmap_access_opts *opts,
			   struct transfer *t)
{
	int err = 0;
	for (size_t i = 0; i < nr && !err && t->done < length; i++) {
		uint64_t n = vector[i].length, left = length - t->done;
		err = transfer(mm, vector[i].base, n < left ? n : left, at, opts, t);
	}
	return err;
}

int memmap_mm_copy_in_vector(struct memmap_mm *mm, const struct memmap_iovec *vector, size_t nr,
			     void *dst, uint64_t length, const struct memmap_access_opts *opts,
			     uint64_t *done)
{
	struct transfer t = {.move = move_in, .dst = dst};
	int err = transfer_vector(mm, vector, nr, length, MEMMAP_READ, opts, &t);
	return finish(err, &t, done);
}

int memmap_mm_copy_out_vector(struct memmap_mm *mm, const struct memmap_iovec *vector, size_t nr,
			      const void *src, uint64_t length,
			      const struct memmap_access_opts *opts, uint64_t *done)
{
	struct transfer t = {.move = move_out, .src = src};
	int err = transfer_vector(mm, vector, nr, length, MEMMAP_WRITE, opts, &t);
	return finish(err, &t, done);
}

int memmap_mm_zero_out_vector(struct memmap_mm *mm, const struct memmap_iovec *vector, size_t nr,
			      uint64_t length, const struct memmap_access_opts *opts,
			      uint64_t *done)
{
	struct transfer t = {.move = move_zeros};
	int err = transfer_vector(mm, vector, nr, length, MEMMAP_WRITE, opts, &t);
	return finish(err, &t, done);
}
