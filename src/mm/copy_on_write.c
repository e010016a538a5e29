/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Private pages: new ones, zeros for those who only read, and copies.
 *
 * A private page belongs to one address space alone, or, marked copy-on-write, to several (fork):
 * then none of them writes to it. Who wants to write makes a copy, or, being the last who holds the
 * page, takes it over. Nobody can take a further reference meanwhile: only fork() does, from an
 * address space that holds the page, and that is this one.
 *
 * Reading private memory before anything was written costs no memory: an area of zeros, allocated
 * once for each family of address spaces, is mapped read-only over and over, at offsets that follow
 * the addresses, so that a run of such pages is one PMA as long as the area. A copy of zeros is a new
 * page, which needs no copying. (With limits.no_zero_page the page is new at once, as with a kernel
 * that has no page of zeros.)
 *
 * When the memory file refuses, it is asked for one page instead of several; then what was freed
 * lazily (MADV_FREE) in this address space is dropped for good, and everything begins anew. Should
 * that not be enough either, it is gone all the same: as with Linux it may go at any time.
 *
 * Locking: the active lock is held for writing, but in mm_copy_from_mappable(), which takes it: what
 * is copied there may have to be read from a disk.
 */
#include "internal.h"

#include "file/memory_file.h"
#include <memmap/address_space.h>

/* The area of zeros. A power of two; aligned likewise in its file is not needed. */
#define ZEROS_SIZE UINT64_C(0x10000)

/* The most that is got at once when much is asked for. */
#define MOST_AT_ONCE MEMMAP_HUGE_PAGE_SIZE

/* What a PMA must be like to be part of a run: private pages that are zeros, or that are not. */
static bool is_of_run(struct pma_iterator it, bool zero)
{
	const struct pma *p = pma_iterator_value_ptr(it);
	return p->private_ && p->zero == zero;
}

/* How far private memory of the kind (zeros or not) reaches down from `addr`, at most `most`. */
static uint64_t run_before(const struct memmap_mm *mm, uint64_t addr, uint64_t most, bool zero)
{
	uint64_t start = addr;
	while (start > 0 && addr - start < most) {
		struct pma_iterator it = pma_set_find_segment(&mm->pmas, start - 1);
		if (!pma_iterator_ok(it) || !is_of_run(it, zero))
			break;
		start = pma_iterator_start(it);
	}
	return addr - start;
}

static uint64_t run_after(const struct memmap_mm *mm, uint64_t addr, uint64_t most, bool zero)
{
	uint64_t end = addr;
	while (end - addr < most) {
		struct pma_iterator it = pma_set_find_segment(&mm->pmas, end);
		if (!pma_iterator_ok(it) || !is_of_run(it, zero))
			break;
		end = pma_iterator_end(it);
	}
	return end - addr;
}

/* Is nothing at `addr`, or (for those who write) nothing but zeros? */
static bool is_free(const struct memmap_mm *mm, uint64_t addr, bool zero)
{
	struct pma_iterator it = pma_set_find_segment(&mm->pmas, addr);
	return !pma_iterator_ok(it) || (!zero && pma_iterator_value_ptr(it)->zero);
}

/* The greatest power of two that is not above `x`, which is not 0. */
static uint64_t power_of_two_below(uint64_t x)
{
	return UINT64_C(1) << (63 - __builtin_clzll(x));
}

/*
 * Which pages to make present: the one touched; up to f->end, if more is wanted; or as many as the
 * run has that it continues:
 *
 *      |--- run ---|*** page ... ***|            |*** ... page ***|--- run ---|
 *
 * Never what is there already, nor beyond the VMA or the aligned block that fault_around says.
 */
static struct memmap_addr_range batch(const struct mm_fault *f, bool zero)
{
	const struct memmap_mm *mm = f->mm;
	const struct memmap_addr_range vma = vma_iterator_range(f->vma);
	const uint64_t around = mm->fault_around;
	struct memmap_addr_range limit = memmap_addr_range_intersect(
		range_of(f->page & ~(around - 1), (f->page | (around - 1)) + 1), vma);
	struct memmap_addr_range ar = range_of(f->page, f->page + MEMMAP_PAGE_SIZE);

	uint64_t before = run_before(mm, ar.start, around, zero);
	if (f->end > ar.end) {
		ar.end = f->end - f->page < MOST_AT_ONCE ? f->end : f->page + MOST_AT_ONCE;
	} else if (around > MEMMAP_PAGE_SIZE && before) {
		ar.end = ar.start + power_of_two_below(before);
		if (ar.end > limit.end)
			ar.end = limit.end;
	} else if (around > MEMMAP_PAGE_SIZE) {
		uint64_t after = run_after(mm, ar.end, around, zero);
		uint64_t size = after ? power_of_two_below(after) : MEMMAP_PAGE_SIZE;
		ar.start = size > ar.end - limit.start ? limit.start : ar.end - size;
	}
	/* What lies between must be free. */
	for (uint64_t at = f->page; at > ar.start; at -= MEMMAP_PAGE_SIZE) {
		if (!is_free(mm, at - MEMMAP_PAGE_SIZE, zero))
			ar.start = at;
	}
	for (uint64_t at = f->page + MEMMAP_PAGE_SIZE; at < ar.end; at += MEMMAP_PAGE_SIZE) {
		if (!is_free(mm, at, zero))
			ar.end = at;
	}
	return ar;
}

/* Beyond this distance pages of one VMA are strangers. */
#define FAR_AWAY (UINT64_C(256) << 20)

/* Where the first page of a VMA goes: so far into the file, that there is room on both sides. */
#define STRANGERS (UINT64_C(64) << 20)

/* Is the PMA of private pages that were written to; for a copy: of those that were copied already? */
static bool is_neighbour(struct pma_iterator it, bool copies)
{
	return is_of_run(it, false) && !(copies && pma_iterator_value_ptr(it)->copy_on_write);
}

/*
 * Where in the memory file pages for `ar` would best be: as far from the pages of a neighbour as the
 * addresses are. When what lies between is touched later, in whichever order, it finds its place
 * free, and in the end all are one PMA, and one mapping to the platform. Only a wish: 0 and what is
 * taken are no harm.
 *
 *      addresses   |- neighbour -|          |*** ar ***|
 *      file        |- neighbour -|          |*** ar ***|
 *
 * Beside pages that are to be copied themselves there is no room: a copy goes by other copies, and the
 * first as far behind the page it is of as the VMA is long, so that all have their places there.
 */
static uint64_t best_offset(const struct mm_fault *f, struct memmap_addr_range ar)
{
	const struct pma_iterator of = pma_set_find_segment(&f->mm->pmas, ar.start);
	const bool copies = pma_iterator_ok(of) && pma_iterator_value_ptr(of)->copy_on_write &&
			    is_of_run(of, false);
	const struct pma_set *pmas = &f->mm->pmas;
	const struct memmap_addr_range vma = vma_iterator_range(f->vma);
	int tries = 4; /* zeros may be in between */
	struct pma_iterator it = {0};
	if (ar.start > vma.start)
		it = pma_set_upper_bound_segment(pmas, ar.start - 1);
	for (; tries > 0 && pma_iterator_ok(it) && pma_iterator_end(it) > vma.start; tries--) {
		if (is_neighbour(it, copies) && ar.start - pma_iterator_start(it) < FAR_AWAY)
			return pma_iterator_value_ptr(it)->offset +
			       (ar.start - pma_iterator_start(it));
		it = pma_iterator_prev_segment(it);
	}
	it = pma_find(pmas, ar.end);
	for (; tries > 0 && pma_iterator_ok(it) && pma_iterator_start(it) < vma.end; tries--) {
		const uint64_t distance = pma_iterator_start(it) - ar.start;
		if (is_neighbour(it, copies) && distance < FAR_AWAY &&
		    pma_iterator_value_ptr(it)->offset > distance)
			return pma_iterator_value_ptr(it)->offset - distance;
		it = pma_iterator_next_segment(it);
	}
	if (copies)
		return pma_file_range(of, ar).start + (vma.end - vma.start);
	return ar.start & (STRANGERS - 1);
}

/*
 * Allocate private pages for `*ar`, or for less of it, but for the page that is touched.
 *
 * Returns:     0, -ENOMEM; MM_RETRY: PMAs have changed for it
 */
static int allocate(struct mm_fault *f, struct memmap_addr_range *ar, struct memmap_file_range *fr)
{
	struct memmap_mm *mm = f->mm;
	struct memmap_allocate_opts opts = {
		.kind = MEMMAP_MEMORY_ANONYMOUS,
		.mem_cg_id = memmap_context_mem_cg_id(mm->context),
	};
	opts.hint = best_offset(f, *ar);
	int err = memmap_memory_file_allocate(mm->memory_file, ar->end - ar->start, &opts, fr);
	if (err && ar->end - ar->start > MEMMAP_PAGE_SIZE) {
		*ar = range_of(f->page, f->page + MEMMAP_PAGE_SIZE);
		err = memmap_memory_file_allocate(mm->memory_file, MEMMAP_PAGE_SIZE, &opts, fr);
	}
	return err && mm_reclaim_lazily_freed(mm) ? MM_RETRY : err;
}

/*
 * Let `ar` be mapped to the new private pages `fr`, whose references it takes over; on failure they
 * are dropped.
 */
static int put_private(struct mm_fault *f, struct memmap_addr_range ar, struct memmap_file_range fr)
{
	struct memmap_mm *mm = f->mm;
	struct pma p = {
		.file = mm->memory,
		.offset = fr.start,
		.perms = f->vma_perms,
		.max_perms = MEMMAP_ANY_ACCESS,
		.private_ = true,
		.copy_of = pma_copy_of(vma_iterator_value_ptr(f->vma)->mappable,
				       vma_offset_at(f->vma, ar.start), fr.start),
	};
	int err = mm_show(f, ar, p.file, p.offset, p.perms);
	if (err) {
		mm_platform_unmap(mm, ar);
		memmap_file_dec_ref(mm->memory, fr);
		return err;
	}
	if (!p.perms) /* it was not shown, but what was there may be */
		mm_platform_unmap(mm, ar);
	(void)mm_put_pma(mm, ar, p);
	vma_make_anon(mm, f->vma);
	f->done = ar.end;
	return 0;
}

int mm_new_private_pages(struct mm_fault *f)
{
	struct memmap_addr_range ar = batch(f, false);
	struct memmap_file_range fr;
	/* Zeros in the way may be in several pieces, but only those at the edges are cut. */
	int err = mm_reserve_pmas(f->mm, 3);
	if (!err)
		err = allocate(f, &ar, &fr);
	return err ? err : put_private(f, ar, fr);
}

/*
 * ---- Zeros ----
 */

static int have_zeros(struct memmap_mm *mm)
{
	const struct memmap_allocate_opts opts = {.kind = MEMMAP_MEMORY_SYSTEM};
	if (mm->zeros.start < mm->zeros.end)
		return 0;
	struct memmap_file_range fr;
	int err = memmap_memory_file_allocate(mm->memory_file, ZEROS_SIZE, &opts, &fr);
	if (err)
		return mm_reclaim_lazily_freed(mm) ? MM_RETRY : err;
	mm->zeros = fr;
	return 0;
}

int mm_map_zeros(struct mm_fault *f)
{
	struct memmap_mm *mm = f->mm;
	struct memmap_addr_range ar = memmap_addr_range_intersect(
		batch(f, true),
		range_of(f->page & ~(ZEROS_SIZE - 1), (f->page | (ZEROS_SIZE - 1)) + 1));
	int err = have_zeros(mm);
	if (!err)
		err = mm_reserve_pmas(mm, 2);
	if (err)
		return err;

	struct pma p = {
		.file = mm->memory,
		.offset = mm->zeros.start + (ar.start & (ZEROS_SIZE - 1)),
		.max_perms = MEMMAP_ANY_ACCESS,
		.private_ = true,
		.copy_on_write = true,
		.zero = true,
	};
	p.perms = memmap_access_intersect(pma_reach(&p), f->vma_perms);
	struct memmap_file_range fr = {p.offset, p.offset + (ar.end - ar.start)};
	pma_inc_ref(mm, p.file, fr);
	err = mm_show(f, ar, p.file, p.offset, p.perms);
	if (err) {
		mm_platform_unmap(mm, ar);
		memmap_file_dec_ref(p.file, fr);
		return err;
	}
	(void)mm_put_pma(mm, ar, p);
	/* A huge page of zeros has an owner, too. */
	if (vma_reading_makes_anon(mm, f->vma, ar))
		vma_make_anon(mm, f->vma);
	f->done = ar.end;
	return 0;
}

void mm_release_zeros(struct memmap_mm *mm)
{
	if (mm->zeros.start < mm->zeros.end)
		memmap_file_dec_ref(mm->memory, mm->zeros);
	mm->zeros = (struct memmap_file_range){0};
}

/*
 * ---- Copies ----
 */

/* Copy the bytes of `src` of `file` into the new pages `dst` of the memory file. */
static int copy_pages(struct memmap_mm *mm, struct memmap_file_range dst, struct memmap_file *file,
		      struct memmap_file_range src)
{
	struct memmap_block_seq to, from;
	int err = memmap_file_map_internal(mm->memory, dst, MEMMAP_WRITE, &to);
	if (err)
		return err;
	err = memmap_file_map_internal(file, src, MEMMAP_READ, &from);
	if (!err) {
		err = memmap_copy_seq(to, from, NULL);
	} else if (err == -EOPNOTSUPP) {
		err = 0;
		for (uint64_t at = src.start; !err && !memmap_block_seq_is_empty(to);
		     to = memmap_block_seq_tail(to)) {
			struct memmap_block b = memmap_block_seq_head(to);
			uint64_t done;
			err = memmap_file_buffer_read_at(file, at, b.addr, b.len, &done);
			at += b.len;
		}
	}
	/* The page is mapped, but nothing can be had from it. */
	return err && err != -ENOMEM ? memmap_bus_error(err) : err;
}

/* Pages are copied so many bytes at a time where they are not copied through mappings. */
#define COPY_BUFFER_SIZE 16384

void mm_release_copy_buffer(struct memmap_mm *mm)
{
	memmap_deallocate(mm->allocator, mm->copy_buffer, COPY_BUFFER_SIZE);
	mm->copy_buffer = NULL;
}

/* As copy_pages(), within the memory file, for a guest who is about to touch the copy. */
static int copy_for_guest(struct mm_fault *f, struct memmap_file_range dst,
			  struct memmap_file_range src)
{
	struct memmap_mm *mm = f->mm;
	if (f->show && mm->address_space && mm->address_space->ops->maps_descriptors) {
		if (!mm->copy_buffer)
			mm->copy_buffer =
				memmap_allocate(mm->allocator, COPY_BUFFER_SIZE, MEMMAP_PAGE_SIZE);
		if (mm->copy_buffer && !memmap_memory_file_copy(mm->memory_file, dst.start,
								src.start, src.end - src.start,
								mm->copy_buffer, COPY_BUFFER_SIZE))
			return 0;
	}
	return copy_pages(mm, dst, mm->memory, src);
}

/* Does nobody else hold the pages `ar` of the PMA? */
static bool is_ours(struct memmap_mm *mm, struct pma_iterator it, struct memmap_addr_range ar)
{
	return memmap_memory_file_has_unique_ref(mm->memory_file, pma_file_range(it, ar));
}

/* Nobody else holds the pages `ar` any more: they may be written to. */
static int take_over(struct mm_fault *f, struct pma_iterator it, struct memmap_addr_range ar)
{
	struct pma p = *pma_iterator_value_ptr(it);
	p.copy_on_write = p.lazy_free = false;
	p.perms = f->vma_perms;
	int err = f->show ? mm_show(f, ar, p.file, pma_file_range(it, ar).start, p.perms) : 0;
	if (err)
		return err;
	(void)mm_change_pma(f->mm, it, ar, p);
	vma_make_anon(f->mm, f->vma);
	f->done = ar.end;
	return 0;
}

/* How far the pages that are this address space's own reach down from `addr`, at most `most`. */
static uint64_t own_before(const struct mm_fault *f, uint64_t addr, uint64_t most)
{
	const uint64_t first = vma_iterator_start(f->vma);
	uint64_t start = addr;
	while (start > first && addr - start < most) {
		struct pma_iterator it = pma_set_find_segment(&f->mm->pmas, start - 1);
		if (!pma_iterator_ok(it) || !is_of_run(it, false) ||
		    pma_iterator_value_ptr(it)->copy_on_write)
			break;
		start = pma_iterator_start(it);
	}
	return addr - (start > first ? start : first);
}

/*
 * Which pages of the PMA, whose part in the VMA is `there`, to copy: the one that is touched; up to
 * f->end, if more is wanted; or as many as the run of copies has that it continues:
 *
 *      |--- copied ---|*** page ... ***|--- it ---|
 *
 * Never what nobody else holds, nor beyond the aligned block that fault_around says.
 *
 * docs/PERFORMANCE.md has the figures. With one page at a time a sequence of writes costs a fault
 * for each page; more pages at once, whatever is around them, cost memory and time to those who write
 * here and there. With fault_around of one page, one is copied, as by Linux: who shares what is
 * then exact.
 */
static struct memmap_addr_range copied_at_once(const struct mm_fault *f, struct pma_iterator it,
					       struct memmap_addr_range there)
{
	const uint64_t around = f->mm->fault_around;
	struct memmap_addr_range ar = range_of(f->page, f->page + MEMMAP_PAGE_SIZE);
	uint64_t end = there.end, same;
	if (f->end > ar.end) {
		if (end > f->end)
			end = f->end;
		if (end - ar.start > MOST_AT_ONCE)
			end = ar.start + MOST_AT_ONCE;
	} else {
		const uint64_t before =
			around > MEMMAP_PAGE_SIZE ? own_before(f, f->page, around) : 0;
		const uint64_t size = before ? power_of_two_below(before) : MEMMAP_PAGE_SIZE;
		if (end > (f->page | (around - 1)) + 1)
			end = (f->page | (around - 1)) + 1;
		if (end - ar.start > size)
			end = ar.start + size;
	}
	if (end == ar.end)
		return ar;
	ar.end = end;
	/* All of these have as many holders as the page, which is not ours alone. */
	const struct memmap_file_range fr = pma_file_range(it, ar);
	(void)memmap_memory_file_references(f->mm->memory_file, fr, &same);
	ar.end = ar.start + (same - fr.start);
	return ar;
}

int mm_break_copy_on_write(struct mm_fault *f, struct pma_iterator it)
{
	struct memmap_mm *mm = f->mm;
	struct memmap_addr_range there =
		memmap_addr_range_intersect(pma_iterator_range(it), vma_iterator_range(f->vma));
	struct memmap_addr_range page = range_of(f->page, f->page + MEMMAP_PAGE_SIZE);
	int err = mm_reserve_pmas(mm, 3);
	if (err)
		return err;
	if (is_ours(mm, it, page)) {
		const uint64_t mask = mm->fault_around - 1;
		struct memmap_addr_range around = memmap_addr_range_intersect(
			there, range_of(f->page & ~mask, (f->page | mask) + 1));
		return take_over(f, it, is_ours(mm, it, around) ? around : page);
	}

	struct memmap_addr_range ar = copied_at_once(f, it, there);
	struct memmap_file_range fr;
	err = allocate(f, &ar, &fr);
	if (err)
		return err;
	err = copy_for_guest(f, fr, pma_file_range(it, ar));
	if (err) {
		memmap_file_dec_ref(mm->memory, fr);
		return err;
	}
	return put_private(f, ar, fr);
}

/* Allocate a page, and copy what `src` of `file` holds; no lock is held. */
static int copy_to_new_page(struct mm_fault *f, struct memmap_file *file,
			    struct memmap_file_range src, struct memmap_file_range *fr)
{
	struct memmap_mm *mm = f->mm;
	int err;
	do {
		MM_LOCK_ACTIVE(mm);
		struct memmap_addr_range page = range_of(f->page, f->page + MEMMAP_PAGE_SIZE);
		err = allocate(f, &page, fr);
	} while (err == MM_RETRY);
	if (err)
		return err;
	err = copy_pages(mm, *fr, file, src);
	if (err)
		memmap_file_dec_ref(mm->memory, *fr);
	return err;
}

/* Put the copy in place, unless things have changed since it was begun. */
static int put_copy(struct mm_fault *f, struct memmap_file_range fr, uint64_t seen)
{
	struct memmap_mm *mm = f->mm;
	struct memmap_addr_range page = range_of(f->page, f->page + MEMMAP_PAGE_SIZE);
	MM_LOCK_ACTIVE(mm);
	struct pma_iterator it = pma_set_find_segment(&mm->pmas, f->page);
	int err = 0;
	if (mm->invalidations != seen ||
	    (pma_iterator_ok(it) && pma_iterator_value_ptr(it)->private_))
		err = MM_RETRY;
	if (!err)
		err = mm_reserve_pmas(mm, 2);
	if (err)
		memmap_file_dec_ref(mm->memory, fr);
	else
		err = put_private(f, page, fr);
	mm->pmas_owed = 0;
	return err;
}

int mm_copy_from_mappable(struct mm_fault *f, uint64_t seen)
{
	struct memmap_mm *mm = f->mm;
	struct memmap_addr_range page = range_of(f->page, f->page + MEMMAP_PAGE_SIZE);
	struct memmap_translations ts = {0};
	int err = mm_translate(f, page, MEMMAP_READ, &ts);
	if (err) {
		memmap_translations_release(&ts);
		return err;
	}
	/* As wide as the page, since no more was optional. */
	struct memmap_file *file = memmap_translations_data(&ts)->file;
	struct memmap_file_range src =
		memmap_translation_file_range(*memmap_translations_data(&ts));
	memmap_translations_release(&ts);
	{
		MM_LOCK_ACTIVE(mm);
		if (mm->invalidations != seen)
			return MM_RETRY;
		pma_inc_ref(mm, file, src);
	}
	struct memmap_file_range fr;
	err = copy_to_new_page(f, file, src, &fr);
	memmap_file_dec_ref(file, src);
	return err ? err : put_copy(f, fr, seen);
}
