/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an address space asks of a platform.
 *
 * struct memmap_mm decides what each page of a guest is; a platform makes it so, for guests that it
 * runs: it maps pages of Files at addresses of the guest. What it maps is a cache of what the
 * address space knows: a platform may drop any of it at any time, and the guest's next touch comes
 * back as a fault (memmap_mm_handle_fault()).
 *
 * Lock order: a platform's own locks come after the address space's lock over what is mapped now,
 * under which every function here is called, and before those of Files. A platform calls
 * memmap_mm_handle_fault() with none of its locks held.
 */
#ifndef MEMMAP_ADDRESS_SPACE_H
#define MEMMAP_ADDRESS_SPACE_H

#include <stdbool.h>
#include <stdint.h>

#include <memmap/api.h>
#include <memmap/arch.h>
#include <memmap/memmap.h>
#include <memmap/range.h>

MEMMAP_BEGIN_DECLS

struct memmap_address_space;

struct memmap_address_space_ops {
	/*
	 * From now on a guest that touches [addr, addr + length of fr) touches the bytes `fr` of
	 * `file`, for accesses of the kinds `at`; other kinds fault. Replaces what was mapped there.
	 *
	 * With `precommit`, make touching them free of faults now, as far as that can be; otherwise
	 * that is left to the platform.
	 *
	 * Requires:    `addr` and `fr` are page-aligned, `fr` is not empty, `at` is not 0; the
	 *              caller holds a reference on all pages of `fr`, and calls unmap() before it
	 *              drops it
	 * Returns:     0, or a negative errno
	 * On failure:  nothing is mapped there any more, or what was mapped there before still is:
	 *              a later touch faults, or succeeds as it would have before
	 */
	int (*map_file)(struct memmap_address_space *as, uint64_t addr, struct memmap_file *file,
			struct memmap_file_range fr, memmap_access at, bool precommit);

	/*
	 * Nothing is mapped in `ar` any more: every touch from now on faults, and none that began
	 * before is still under way when this returns. Cannot fail. More than `ar` may be dropped.
	 *
	 * Requires:    `ar` is page-aligned and not empty
	 */
	void (*unmap)(struct memmap_address_space *as, struct memmap_addr_range ar);

	/*
	 * Accesses in `ar` of kinds that are not in `at` fault from now on, what is mapped there
	 * stays mapped for the others. Default (NULL): unmap().
	 *
	 * Requires:    `ar` is page-aligned and not empty, `at` is not 0
	 */
	void (*protect)(struct memmap_address_space *as, struct memmap_addr_range ar,
			memmap_access at);

	/*
	 * Guests touch Files through mappings of the platform's own, made from descriptors, and not
	 * where map_internal() says. For speed only: what is to be shown to guests is then better
	 * not touched there.
	 */
	bool maps_descriptors;
};

/* Where the pages of one guest address space become real. */
struct memmap_address_space {
	const struct memmap_address_space_ops *ops;
};

static inline int memmap_address_space_map_file(struct memmap_address_space *as, uint64_t addr,
						struct memmap_file *file,
						struct memmap_file_range fr, memmap_access at,
						bool precommit)
{
	return as->ops->map_file(as, addr, file, fr, at, precommit);
}

static inline void memmap_address_space_unmap(struct memmap_address_space *as,
					      struct memmap_addr_range ar)
{
	as->ops->unmap(as, ar);
}

static inline void memmap_address_space_protect(struct memmap_address_space *as,
						struct memmap_addr_range ar, memmap_access at)
{
	if (as->ops->protect)
		as->ops->protect(as, ar, at);
	else
		as->ops->unmap(as, ar);
}

MEMMAP_END_DECLS

#endif /* MEMMAP_ADDRESS_SPACE_H */
