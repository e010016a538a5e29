/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of the inproc platform share: a region with an address space of three lines, touches
 * of guests, and the kernel's own view of the region.
 *
 * Include after the cmocka headers and guest.h.
 */
#ifndef MEMMAP_TESTS_PLATFORM_REGION_H
#define MEMMAP_TESTS_PLATFORM_REGION_H

#include <inttypes.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include "guest.h"
#include <memmap/platform_inproc.h>

/*
 * For ThreadSanitizer: faults are handled in signal handlers, with all that takes. Included once in a
 * program.
 */
const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "report_signal_unsafe=0";
}

struct world {
	struct memmap_inproc *inproc;
	struct memmap_address_space *as;
	uint64_t base; /* of the region */
	struct test_mm mm;
	struct test_file file;
};

#define REGION_LENGTH (UINT64_C(256) << 20)

/* Negative: what making the region returned. */
__attribute__((unused)) static int world_try(struct world *w, struct memmap_inproc_options options,
					     uint64_t file_length)
{
	if (!options.length)
		options.length = REGION_LENGTH;
	*w = (struct world){0};
	int err = memmap_inproc_create(&options, &w->inproc);
	if (err)
		return err;
	w->as = memmap_inproc_address_space(w->inproc);
	w->base = memmap_inproc_range(w->inproc).start;
	test_mm_init(&w->mm, w->as);
	memmap_inproc_set_faults(w->inproc, test_mm_faults(&w->mm));
	test_file_init(&w->file, file_length);
	test_file_number(&w->file);
	return 0;
}

__attribute__((unused)) static void world_begin(struct world *w,
						struct memmap_inproc_options options)
{
	if (world_try(w, options, 4 * M) != 0)
		abort();
}

__attribute__((unused)) static void world_end(struct world *w)
{
	if (memmap_inproc_verify(w->inproc) != 0)
		abort();
	memmap_inproc_release(w->inproc);
	test_file_destroy(&w->file);
}

/* ---- Touches ---- */

/*
 * By the guest: that the platform maps pages under it meanwhile, which ThreadSanitizer takes for writing
 * to them, is what platforms are for.
 */
#define GUEST_TOUCH __attribute__((unused, noinline, no_sanitize("thread")))

GUEST_TOUCH static uint64_t touch_read(uint64_t addr)
{
	return *(volatile uint64_t *)memmap_pointer_of_(addr);
}

GUEST_TOUCH static void touch_write(uint64_t addr, uint64_t value)
{
	*(volatile uint64_t *)memmap_pointer_of_(addr) = value;
}

/* How a touch ended: where on_fault() leaves by. */
struct ending {
	sigjmp_buf back;
	struct memmap_guest_fault fault;
	int nr;
};

__attribute__((unused)) static bool end_touch(void *context, const struct memmap_guest_fault *fault,
					      void *ucontext)
{
	struct ending *ending = context;
	if (!ucontext)
		abort();
	ending->fault = *fault;
	ending->nr++;
	siglongjmp(ending->back, 1);
}

/* Did the touch go well? `*value` is what was read, or is to be written. */
__attribute__((unused)) static bool try_touch(struct ending *ending, uint64_t addr,
					      memmap_access at, uint64_t *value)
{
	if (sigsetjmp(ending->back, 1))
		return false;
	if (at & MEMMAP_WRITE)
		touch_write(addr, *value);
	else
		*value = touch_read(addr);
	return true;
}

/* ---- The kernel's view ---- */

/* How many VMAs of the region there are. */
__attribute__((unused)) static uint64_t host_vmas(const struct world *w)
{
	const struct memmap_addr_range region = memmap_inproc_range(w->inproc);
	FILE *maps = fopen("/proc/self/maps", "re");
	if (!maps)
		abort();
	char line[512];
	uint64_t nr = 0;
	while (fgets(line, sizeof(line), maps)) {
		uint64_t start, end;
		if (sscanf(line, "%" SCNx64 "-%" SCNx64, &start, &end) == 2 && start < region.end &&
		    end > region.start)
			nr++;
	}
	fclose(maps);
	return nr;
}

__attribute__((unused)) static struct memmap_inproc_stats stats_of(const struct world *w)
{
	struct memmap_inproc_stats stats;
	memmap_inproc_get_stats(w->inproc, &stats);
	return stats;
}

__attribute__((unused)) static int map(struct world *w, uint64_t addr, uint64_t offset,
				       uint64_t length, memmap_access at)
{
	return memmap_address_space_map_file(w->as, addr, &w->file.file,
					     (struct memmap_file_range){offset, offset + length},
					     at, false);
}

__attribute__((unused)) static void unmap(struct world *w, uint64_t start, uint64_t end)
{
	memmap_address_space_unmap(w->as, (struct memmap_addr_range){start, end});
}

#endif /* MEMMAP_TESTS_PLATFORM_REGION_H */
