/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the platforms of this process have in common.
 *
 * A platform runs guests: it is the struct memmap_address_space that an address space maps its
 * pages into, and it learns of each touch that finds nothing mapped. There are two here:
 *
 *   <memmap/platform_soft.h>    translation in software, for interpreters and emulators
 *   <memmap/platform_inproc.h>  a region of this process, for code that runs on the processor
 *
 * A platform is made first, the address space over it second, and then the platform is told whom to
 * ask about faults:
 *
 *	memmap_soft_create(NULL, &soft);
 *	options.address_space = memmap_soft_address_space(soft);
 *	memmap_mm_create(&options, &mm);
 *	memmap_soft_set_faults(soft, memmap_faults_of_mm(mm));
 *
 * and released in the opposite order, when no guest runs on it any more.
 */
#ifndef MEMMAP_PLATFORM_H
#define MEMMAP_PLATFORM_H

#include <stdint.h>
#include <string.h>

#include <memmap/address_space.h>
#include <memmap/api.h>
#include <memmap/arch.h>
#include <memmap/mm.h>

MEMMAP_BEGIN_DECLS

/*
 * Whom a platform asks about a touch that finds nothing mapped: as memmap_mm_handle_fault(), from
 * any thread. It maps what it gives through the platform's struct memmap_address_space.
 */
struct memmap_faults {
	int (*handle)(void *context, uint64_t addr, memmap_access at, enum memmap_fault_code *code);
	void *context;
};

static inline int memmap_faults_handle_by_mm(void *context, uint64_t addr, memmap_access at,
					     enum memmap_fault_code *code)
{
	return memmap_mm_handle_fault((struct memmap_mm *)context, addr, at, code);
}

/** Ask `mm`. */
static inline struct memmap_faults memmap_faults_of_mm(struct memmap_mm *mm)
{
	struct memmap_faults faults = {memmap_faults_handle_by_mm, mm};
	return faults;
}

/* A touch that ended badly. */
struct memmap_guest_fault {
	uint64_t addr;
	memmap_access at;
	/*
	 * What handling it returned: -EFAULT is SIGSEGV, a bus error SIGBUS; others (-ENOMEM,
	 * -EINTR, -EOPNOTSUPP) are for the embedding program to decide upon.
	 */
	int error;
	enum memmap_fault_code code; /* with -EFAULT */
};

/* The pointer that these bits are. */
static inline void *memmap_pointer_of_(uint64_t bits)
{
	const uintptr_t value = (uintptr_t)bits;
	void *pointer;
	memcpy(&pointer, &value, sizeof(pointer));
	return pointer;
}

MEMMAP_END_DECLS

#endif /* MEMMAP_PLATFORM_H */
