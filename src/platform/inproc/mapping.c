/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the region maps.
 *
 * The set `mapped` says what the kernel maps, run by run; it merges runs exactly where the kernel
 * merges its VMAs: side by side, in the same file, of the same permissions. Between them the region
 * is reserved. So the kernel's VMAs are counted without asking it: a run each, and each stretch
 * between runs.
 *
 *   |reserved|== run a ==|== run b ==|  reserved  |== run c ==|reserved|      six
 *
 * Mapping makes room first: while there would be more VMAs than the budget permits, runs are
 * dropped from where the hand stands on, several with one call, since between runs that are dropped
 * the reservation grows together. The hand goes round, so what was mapped last is dropped last.
 *
 * What is mapped is populated at once, for the address space has said that these pages be present:
 * one system call then does for a run what the kernel's own faults would do page by page.
 *
 * Unmapping must not fail. What can: to cut a run in two costs a VMA, which the kernel may not
 * have, and memory. Then the whole run goes, whose edges are edges already, and if the kernel will
 * have none of that either, the whole region. Only if it refuses even that we panic, for the pages
 * are about to be somebody else's.
 *
 * Invariants: runs lie within the region; nr_host_vmas is what counting gives; the kernel's VMAs
 * are never more than that.
 *
 * Locking: `lock` over all of it, also during the kernel's work, so that what the set says is so.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <sys/mman.h>

#include "platform/inproc/host.h"
#include "platform/inproc/internal.h"
#include <memmap/error.h>

/* Of the budget, what is dropped at once at most; and runs longer than this are spared at first. */
#define DROP_SHARE      8
#define SPARE_FROM      MEMMAP_HUGE_PAGE_SIZE
#define MOST_DROP_BYTES (8 * MEMMAP_HUGE_PAGE_SIZE)

static struct memmap_inproc *inproc_of(struct memmap_address_space *as)
{
	return (struct memmap_inproc *)as;
}

/* ---- Counting ---- */

/* The VMAs that hold addresses of [start - 1, end + 1), cut to the region. */
static uint64_t count_around(const struct memmap_inproc *inproc, struct memmap_addr_range ar)
{
	uint64_t at = ar.start > inproc->region.start ? ar.start - 1 : ar.start;
	const uint64_t end = ar.end < inproc->region.end ? ar.end + 1 : ar.end;
	uint64_t nr = 0;
	struct mapped_iterator it = mapped_set_lower_bound_segment(&inproc->mapped, at);
	while (at < end) {
		nr++;
		if (!mapped_iterator_ok(it)) {
			break;
		} else if (mapped_iterator_start(it) <= at) {
			at = mapped_iterator_end(it);
			it = mapped_iterator_next_segment(it);
		} else {
			at = mapped_iterator_start(it);
		}
	}
	return nr;
}

/* As count_around(), once all of `ar` is one run of what `m` says (NULL: is reserved). */
static uint64_t count_then(const struct memmap_inproc *inproc, struct memmap_addr_range ar,
			   const struct host_mapping *m)
{
	uint64_t nr = 1;
	struct host_mapping merged;
	if (ar.start > inproc->region.start) {
		struct mapped_iterator it = mapped_set_find_segment(&inproc->mapped, ar.start - 1);
		if (mapped_iterator_ok(it)) {
			struct memmap_addr_range left = {mapped_iterator_start(it), ar.start};
			struct host_mapping value = mapped_iterator_value(it), then = {0};
			if (m)
				then = *m;
			nr += !m || !host_mapping_merge(left, &value, ar, &then, &merged);
		} else {
			nr += m != NULL;
		}
	}
	if (ar.end < inproc->region.end) {
		struct mapped_iterator it = mapped_set_find_segment(&inproc->mapped, ar.end);
		if (mapped_iterator_ok(it)) {
			struct memmap_addr_range right = {ar.end, mapped_iterator_end(it)};
			struct host_mapping value = mapped_iterator_value(it), then = {0};
			value.offset += ar.end - mapped_iterator_start(it);
			if (m)
				then = *m;
			nr += !m || !host_mapping_merge(ar, &then, right, &value, &merged);
		} else {
			nr += m != NULL;
		}
	}
	return nr;
}

/* Would the VMAs, with `ar` being what `m` says, be more than the budget? */
static bool exceeds_budget(const struct memmap_inproc *inproc, struct memmap_addr_range ar,
			   const struct host_mapping *m)
{
	return inproc->nr_host_vmas - count_around(inproc, ar) + count_then(inproc, ar, m) +
		       2 * (uint64_t)inproc->userfault.nr_refused >
	       inproc->max_host_vmas;
}

/* ---- Clearing ---- */

int inproc_clear(struct memmap_inproc *inproc, struct memmap_addr_range ar)
{
	const bool watched = inproc->userfault.fd >= 0;
	if (watched && inproc_userfault_clear(inproc, ar) == 0)
		return 0;
	int err = memmap_inproc_host_clear(ar);
	/*
	 * Unwatched, the kernel's touches are -EFAULT until it is mapped; the guest's come to us.
	 */
	if (!err && watched)
		(void)memmap_inproc_host_watch(inproc->userfault.fd, ar);
	return err;
}

/* Note that `ar` is clear. Whole runs need no memory. */
static int note_clear(struct memmap_inproc *inproc, struct memmap_addr_range ar)
{
	const uint64_t before = count_around(inproc, ar);
	int err = mapped_set_remove_range(&inproc->mapped, ar, NULL);
	if (!err)
		inproc->nr_host_vmas = inproc->nr_host_vmas - before + count_around(inproc, ar);
	return err;
}

/*
 * Drop some runs, at most as many as the budget's share, from the hand on. False: there are none,
 * or the kernel does not let them go.
 */
static bool drop_some(struct memmap_inproc *inproc)
{
	struct mapped_iterator it = mapped_set_lower_bound_segment(&inproc->mapped, inproc->hand);
	if (!mapped_iterator_ok(it))
		it = mapped_set_first_segment(&inproc->mapped);
	if (!mapped_iterator_ok(it))
		return false;

	/* The next one that is not long; a whole turn without one ends where it began. */
	const uint64_t began = mapped_iterator_start(it);
	while (mapped_iterator_end(it) - mapped_iterator_start(it) > SPARE_FROM) {
		it = mapped_iterator_next_segment(it);
		if (!mapped_iterator_ok(it))
			it = mapped_set_first_segment(&inproc->mapped);
		if (mapped_iterator_start(it) == began)
			break;
	}

	struct memmap_addr_range ar = mapped_iterator_range(it);
	uint64_t nr = 1;
	const uint64_t most = inproc->max_host_vmas / DROP_SHARE;
	for (it = mapped_iterator_next_segment(it); mapped_iterator_ok(it) && nr < most; nr++) {
		const uint64_t length = mapped_iterator_end(it) - mapped_iterator_start(it);
		if (length > SPARE_FROM || mapped_iterator_end(it) - ar.start > MOST_DROP_BYTES)
			break;
		ar.end = mapped_iterator_end(it);
		it = mapped_iterator_next_segment(it);
	}
	if (inproc_clear(inproc, ar) != 0)
		return false;
	int err = note_clear(inproc, ar);
	memmap_assert(!err);
	inproc->nr_dropped += nr;
	inproc->hand = ar.end;
	return true;
}

static void keep_to_budget(struct memmap_inproc *inproc, struct memmap_addr_range ar,
			   const struct host_mapping *m)
{
	while (exceeds_budget(inproc, ar, m) && drop_some(inproc))
		;
}

/* Is anything of `ar` mapped? Then `*ar` is cut to what is. */
static bool cut_to_mapped(const struct memmap_inproc *inproc, struct memmap_addr_range *ar)
{
	struct mapped_iterator first = mapped_set_lower_bound_segment(&inproc->mapped, ar->start);
	if (!mapped_iterator_ok(first) || mapped_iterator_start(first) >= ar->end)
		return false;
	struct mapped_iterator last = mapped_set_upper_bound_segment(&inproc->mapped, ar->end - 1);
	if (mapped_iterator_start(first) > ar->start)
		ar->start = mapped_iterator_start(first);
	if (mapped_iterator_end(last) < ar->end)
		ar->end = mapped_iterator_end(last);
	return true;
}

/* `ar`, whose edges are in runs, made wider so that it cuts none. */
static struct memmap_addr_range whole_runs(const struct memmap_inproc *inproc,
					   struct memmap_addr_range ar)
{
	ar.start = mapped_iterator_start(mapped_set_lower_bound_segment(&inproc->mapped, ar.start));
	ar.end = mapped_iterator_end(mapped_set_upper_bound_segment(&inproc->mapped, ar.end - 1));
	return ar;
}

void inproc_drop(struct memmap_inproc *inproc, struct memmap_addr_range ar)
{
	if (!cut_to_mapped(inproc, &ar))
		return;
	keep_to_budget(inproc, ar, NULL);
	if (!cut_to_mapped(inproc, &ar))
		return;
	/* Without memory to note that a part is gone, or a VMA to show it, the whole is. */
	if (mapped_set_reserve(&inproc->mapped, 1) != 0 || exceeds_budget(inproc, ar, NULL))
		ar = whole_runs(inproc, ar);
	if (inproc_clear(inproc, ar) != 0) {
		ar = whole_runs(inproc, ar);
		if (inproc_clear(inproc, ar) != 0) {
			ar = inproc->region;
			int err = inproc_clear(inproc, ar);
			if (err)
				memmap_panic("inproc platform: the kernel does not let go of "
					     "mappings: %s",
					     memmap_strerror(err));
		}
	}
	int err = note_clear(inproc, ar);
	memmap_assert(!err);
}

/* ---- The operations ---- */

/* Is `ar` part of a run that maps the same, with the same permitted? */
static bool is_mapped(const struct memmap_inproc *inproc, struct memmap_addr_range ar,
		      const struct host_mapping *m)
{
	struct mapped_iterator it = mapped_set_find_segment(&inproc->mapped, ar.start);
	if (!mapped_iterator_ok(it) || mapped_iterator_end(it) < ar.end)
		return false;
	const struct host_mapping value = mapped_iterator_value(it);
	return value.file == m->file && value.fd == m->fd && value.at == m->at &&
	       value.offset + (ar.start - mapped_iterator_start(it)) == m->offset;
}

static int map_file_locked(struct memmap_inproc *inproc, struct memmap_addr_range ar,
			   const struct host_mapping *m, bool precommit)
{
	/* Two threads that touched the same page: the second finds it there. */
	if (is_mapped(inproc, ar, m)) {
		/* It was populated, but pages may have been reclaimed since. */
		if (precommit)
			(void)memmap_inproc_host_populate(ar, (m->at & MEMMAP_WRITE) != 0);
		return 0;
	}
	/* For cutting out what was there, and for the new run. */
	if (mapped_set_reserve(&inproc->mapped, 2) != 0)
		return -ENOMEM;
	keep_to_budget(inproc, ar, m);
	if (exceeds_budget(inproc, ar, m))
		return -ENOMEM;
	int err;
	do {
		err = memmap_inproc_host_map(ar, m->fd, m->offset, m->at, true);
		/* Older kernels leave a hole then, which the program's own mmap(2) could get. */
		if (err)
			(void)inproc_clear(inproc, ar);
		/* The kernel is out of VMAs sooner than the budget: others have them. */
	} while (err == -ENOMEM && drop_some(inproc));
	if (err) {
		/* What was there may be gone: nothing is, then. */
		inproc_drop(inproc, ar);
		return err;
	}
	const uint64_t before = count_around(inproc, ar);
	err = mapped_set_remove_range(&inproc->mapped, ar, NULL);
	if (!err)
		err = mapped_set_add(&inproc->mapped, ar, *m);
	memmap_assert(!err);
	inproc->nr_host_vmas = inproc->nr_host_vmas - before + count_around(inproc, ar);
	return 0;
}

static int map_file(struct memmap_address_space *as, uint64_t addr, struct memmap_file *file,
		    struct memmap_file_range fr, memmap_access at, bool precommit)
{
	struct memmap_inproc *inproc = inproc_of(as);
	struct host_mapping m = {
		.file = file,
		.offset = fr.start,
		.at = memmap_access_effective(at),
	};
	struct memmap_addr_range ar;
	memmap_assert(memmap_is_page_aligned(addr) && fr.start < fr.end && at);
	if (!memmap_addr_to_range(addr, fr.end - fr.start, &ar) ||
	    ar.start < inproc->region.start || ar.end > inproc->region.end)
		return -EINVAL;
	int err = memmap_file_data_fd(file, fr, &m.fd);
	if (err)
		return err == -EBADF ? -EOPNOTSUPP : err;

	(void)pthread_mutex_lock(&inproc->lock);
	err = map_file_locked(inproc, ar, &m, precommit);
	(void)pthread_mutex_unlock(&inproc->lock);
	return err;
}

/* The part of `ar` that is in the region. */
static bool cut_to_region(const struct memmap_inproc *inproc, struct memmap_addr_range *ar)
{
	*ar = memmap_addr_range_intersect(*ar, inproc->region);
	return ar->start < ar->end;
}

static void unmap(struct memmap_address_space *as, struct memmap_addr_range ar)
{
	struct memmap_inproc *inproc = inproc_of(as);
	if (!cut_to_region(inproc, &ar))
		return;
	(void)pthread_mutex_lock(&inproc->lock);
	inproc_drop(inproc, ar);
	(void)pthread_mutex_unlock(&inproc->lock);
}

/* All of `ar` is in one run: leave of its permissions those in `at`. */
static void protect_run(struct memmap_inproc *inproc, struct memmap_addr_range ar,
			const struct host_mapping *m)
{
	keep_to_budget(inproc, ar, m);
	struct mapped_iterator it = mapped_set_find_segment(&inproc->mapped, ar.start);
	if (!mapped_iterator_ok(it))
		return; /* dropped for the budget */
	if (exceeds_budget(inproc, ar, m) || mapped_set_reserve(&inproc->mapped, 2) != 0 ||
	    memmap_inproc_host_protect(ar, m->at) != 0) {
		inproc_drop(inproc, ar);
		return;
	}
	const uint64_t before = count_around(inproc, ar);
	int err = mapped_set_remove_range(&inproc->mapped, ar, NULL);
	if (!err)
		err = mapped_set_add(&inproc->mapped, ar, *m);
	memmap_assert(!err);
	inproc->nr_host_vmas = inproc->nr_host_vmas - before + count_around(inproc, ar);
}

static void protect(struct memmap_address_space *as, struct memmap_addr_range ar, memmap_access at)
{
	struct memmap_inproc *inproc = inproc_of(as);
	if (!cut_to_region(inproc, &ar))
		return;
	at = memmap_access_effective(at);
	(void)pthread_mutex_lock(&inproc->lock);
	for (uint64_t addr = ar.start; addr < ar.end;) {
		struct mapped_iterator it = mapped_set_lower_bound_segment(&inproc->mapped, addr);
		if (!mapped_iterator_ok(it) || mapped_iterator_start(it) >= ar.end)
			break;
		struct memmap_addr_range run = mapped_iterator_range(it);
		struct host_mapping m = mapped_iterator_value(it);
		if (run.start < ar.start) {
			m.offset += ar.start - run.start;
			run.start = ar.start;
		}
		if (run.end > ar.end)
			run.end = ar.end;
		addr = run.end;
		if (memmap_access_superset_of(at, m.at))
			continue;
		m.at &= at;
		if (m.at)
			protect_run(inproc, run, &m);
		else
			inproc_drop(inproc, run);
	}
	(void)pthread_mutex_unlock(&inproc->lock);
}

const struct memmap_address_space_ops inproc_ops = {
	.map_file = map_file,
	.unmap = unmap,
	.protect = protect,
	.maps_descriptors = true,
};

int inproc_verify_locked(struct memmap_inproc *inproc)
{
	int err = mapped_set_verify(&inproc->mapped);
	if (err)
		return err;
	uint64_t nr = 0, at = inproc->region.start;
	struct mapped_iterator it = mapped_set_first_segment(&inproc->mapped);
	for (; mapped_iterator_ok(it); it = mapped_iterator_next_segment(it)) {
		nr += mapped_iterator_start(it) > at ? 2 : 1;
		if (mapped_iterator_start(it) < at ||
		    mapped_iterator_end(it) > inproc->region.end) {
			(void)fprintf(stderr, "inproc: a run lies outside of the region\n");
			return -EINVAL;
		}
		at = mapped_iterator_end(it);
	}
	nr += at < inproc->region.end;
	if (nr != inproc->nr_host_vmas || nr > inproc->max_host_vmas) {
		(void)fprintf(stderr,
			      "inproc: %" PRIu64 " VMAs, said to be %" PRIu64 " of %" PRIu64 "\n",
			      nr, inproc->nr_host_vmas, inproc->max_host_vmas);
		return -EINVAL;
	}
	return 0;
}
