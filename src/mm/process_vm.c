/* SPDX-License-Identifier: Apache-2.0 */
/*
 * process_vm_readv, process_vm_writev: bytes from one address space to another.
 *
 * No lock of the one is held while the other's are taken, and no bytes are parked in between: the
 * pages that are read are held by references (as Linux pins them), and are then copied to where
 * they go, under the locks of the space that is written to. So what is written is written to what
 * is mapped there at that moment; what is read may be a page that was there a moment ago.
 *
 *   a step:   source ──hold()──▶ a few runs of pages ──put()──▶ destination
 *
 * A step ends at the end of a local range, or when MAX_RUNS or MAX_STEP are held. Linux reaches the
 * remote side through get_user_pages(), before it touches the local one.
 *
 * Refuses: what Linux refuses, in its order: flags, the local ranges, the remote ones. Nothing is
 * copied then. Later failures end the copying, and count only if nothing was copied before.
 */
#include "iovec.h"

#include <memmap/error.h>

#include "page_copy.h"

#define MAX_RUNS 16
#define MAX_STEP (UINT64_C(1) << 20)

/* Of the remote side, Linux gets hold of so much at once. */
#define MAX_TOUCHED (1024 * MEMMAP_PAGE_SIZE)

/* Pages that are held, and how many of their bytes are wanted. */
struct held_runs {
	struct page_bytes runs[MAX_RUNS];
	size_t nr;
	uint64_t bytes;
	uint32_t mem_cg_id;
};

static struct memmap_file_range pages_of(struct memmap_file_range fr)
{
	/* Cannot overflow: the page is in a file. */
	return (struct memmap_file_range){
		memmap_page_round_down(fr.start),
		memmap_page_round_down(fr.end + MEMMAP_PAGE_MASK),
	};
}

static int hold_run(void *arg, const struct mm_page_run *run)
{
	struct held_runs *held = arg;
	if (held->nr == MAX_RUNS)
		return MM_STOP;
	struct page_bytes bytes = page_bytes_of(run);
	memmap_file_inc_ref(bytes.file, pages_of(bytes.fr), held->mem_cg_id);
	held->runs[held->nr++] = bytes;
	held->bytes += memmap_file_range_length(bytes.fr);
	return 0;
}

static void release_runs(struct held_runs *held)
{
	for (size_t i = 0; i < held->nr; i++)
		memmap_file_dec_ref(held->runs[i].file, pages_of(held->runs[i].fr));
	held->nr = 0;
}

/* What is held goes to the destination. */
struct put {
	const struct held_runs *held;
	size_t run;      /* comes next, */
	uint64_t offset; /* from here on */
	uint64_t done;
};

static int put_run(void *arg, const struct mm_page_run *to_run)
{
	struct put *put = arg;
	struct page_bytes to = page_bytes_of(to_run);
	while (to.fr.start < to.fr.end) {
		struct page_bytes from = put->held->runs[put->run];
		uint64_t there = memmap_file_range_length(from.fr) - put->offset;
		uint64_t n = memmap_file_range_length(to.fr), done;
		if (n > there)
			n = there;
		from.fr.start += put->offset;
		from.fr.end = from.fr.start + n;
		struct page_bytes part = {to.file, {to.fr.start, to.fr.start + n}};
		int err = page_bytes_copy(part, from, &done);
		put->done += done;
		if (err)
			return err;
		to.fr.start += n;
		put->offset += n;
		if (n == there) {
			put->run++;
			put->offset = 0;
		}
	}
	return 0;
}

/*
 * How many of the `length` bytes at `addr` get_user_pages() may reach, in one VMA; 0: none. Stacks
 * do not grow for it, and what it reads must be readable in so many words.
 */
static uint64_t reach(const struct memmap_mm *mm, uint64_t addr, uint64_t length, bool write)
{
	struct memmap_vma v;
	if (!memmap_mm_find_vma(mm, addr, &v) || addr < v.range.start ||
	    !(v.flags & (write ? MEMMAP_VM_WRITE : MEMMAP_VM_READ)) ||
	    (v.flags & (MEMMAP_VM_IO | MEMMAP_VM_PFNMAP)))
		return 0;
	return length < v.range.end - addr ? length : v.range.end - addr;
}

static int touch_run(void *arg, const struct mm_page_run *run)
{
	(void)arg;
	(void)run;
	return 0;
}

/*
 * Have the remote pages of `length` bytes at `addr` come in, whether or not there will be anything
 * to do with them: so does Linux, which gets hold of them before it looks at the local side.
 *
 * Returns:     how many of the bytes are there; 0: not even the first
 */
static uint64_t touch(struct memmap_mm *mm, uint64_t addr, uint64_t length, bool write)
{
	uint64_t touched = 0, n, done;
	while (touched < length && (n = reach(mm, addr + touched, length - touched, write)) > 0) {
		struct memmap_addr_range ar = range_of(addr + touched, addr + touched + n);
		int err = mm_with_pages(mm, ar, write ? MEMMAP_WRITE : MEMMAP_READ, false,
					touch_run, NULL, &done);
		touched += done;
		if (err)
			break;
	}
	return touched;
}

/* Copy some of `length` bytes: 0 and `*done` of them, or how it failed; some may be done then. */
static int step(struct memmap_mm *from, uint64_t from_addr, struct memmap_mm *to, uint64_t to_addr,
		uint64_t length, uint64_t *done)
{
	struct held_runs held = {.mem_cg_id = memmap_context_mem_cg_id(from->context)};
	if (length > MAX_STEP)
		length = MAX_STEP;
	*done = 0;
	int err = mm_with_pages(from, range_of(from_addr, from_addr + length), MEMMAP_READ, false,
				hold_run, &held, NULL);
	if (err == MM_STOP) /* no error: there is no room for more */
		err = 0;
	if (held.bytes > 0) {
		struct put put = {.held = &held};
		int put_err = mm_with_pages(to, range_of(to_addr, to_addr + held.bytes),
					    MEMMAP_WRITE, false, put_run, &put, NULL);
		*done = put.done;
		if (put_err)
			err = put_err;
	}
	release_runs(&held);
	return err;
}

/*
 * Within one address space, what is read may be written by the same step. Where a fork shares the
 * page, the write would copy it, and the reading go on in the page that was: give the space its own
 * first. Linux does that as it takes hold of anonymous pages.
 *
 *   from      |-----------------|
 *   to              |-----------------|
 *   own pages  . . .|-----------|. . .
 */
static void own_overlap(struct memmap_mm *mm, uint64_t from, uint64_t to, uint64_t length)
{
	if (length > MAX_STEP)
		length = MAX_STEP;
	uint64_t at = memmap_page_round_down(from > to ? from : to);
	const uint64_t end =
		memmap_page_round_down((from < to ? from : to) + length - 1) + MEMMAP_PAGE_SIZE;
	struct memmap_vma v;
	while (at < end && memmap_mm_find_vma(mm, at, &v) && v.range.start < end) {
		const uint64_t first = at > v.range.start ? at : v.range.start;
		at = end < v.range.end ? end : v.range.end;
		if (!v.mappable)
			(void)touch(mm, first, at - first, true);
	}
}

/* Copy between the `length` remote bytes at `addr`, which are there, and the local ranges. */
static int copy(struct memmap_mm *local, struct iovec_iter *mine, struct memmap_mm *remote,
		uint64_t addr, uint64_t length, bool write)
{
	int err = 0;
	while (!err && length > 0 && mine->left > 0) {
		struct memmap_iovec ours = iovec_iter_first(mine);
		uint64_t n = ours.length < length ? ours.length : length, done;
		if (local == remote && !write)
			own_overlap(local, addr, ours.base, n);
		err = write ? step(local, ours.base, remote, addr, n, &done)
			    : step(remote, addr, local, ours.base, n, &done);
		iovec_iter_advance(mine, done);
		addr += done;
		length -= done;
	}
	return err;
}

static int64_t error_of(int err)
{
	return memmap_is_bus_error(err) ? -EFAULT : err;
}

static int64_t process_vm(struct memmap_mm *local, const struct memmap_iovec *local_vector,
			  uint64_t nr_local, struct memmap_mm *remote,
			  const struct memmap_iovec *remote_vector, uint64_t nr_remote,
			  uint64_t flags, bool write)
{
	struct iovec_iter mine;
	if (flags != 0)
		return -EINVAL;
	int err = iovec_import(local, local_vector, nr_local, &mine);
	if (err || mine.left == 0)
		return err;
	iovec_iter_advance(&mine, 0);
	err = iovec_check(remote_vector, nr_remote);
	if (err)
		return err;

	const uint64_t total = mine.left;
	for (size_t i = 0; i < nr_remote && mine.left > 0 && !err; i++) {
		uint64_t addr = remote_vector[i].base, length = remote_vector[i].length;
		while (length > 0 && mine.left > 0 && !err) {
			uint64_t n = MAX_TOUCHED - (addr & MEMMAP_PAGE_MASK);
			n = touch(remote, addr, n < length ? n : length, write);
			err = n == 0 ? -EFAULT : copy(local, &mine, remote, addr, n, write);
			addr += n;
			length -= n;
		}
	}
	return total > mine.left ? (int64_t)(total - mine.left) : error_of(err);
}

int64_t memmap_mm_sys_process_vm_readv(struct memmap_mm *local,
				       const struct memmap_iovec *local_vector, uint64_t nr_local,
				       struct memmap_mm *remote,
				       const struct memmap_iovec *remote_vector, uint64_t nr_remote,
				       uint64_t flags)
{
	return process_vm(local, local_vector, nr_local, remote, remote_vector, nr_remote, flags,
			  false);
}

int64_t memmap_mm_sys_process_vm_writev(struct memmap_mm *local,
					const struct memmap_iovec *local_vector, uint64_t nr_local,
					struct memmap_mm *remote,
					const struct memmap_iovec *remote_vector,
					uint64_t nr_remote, uint64_t flags)
{
	return process_vm(local, local_vector, nr_local, remote, remote_vector, nr_remote, flags,
			  true);
}
