/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guests of the differential fuzzer's model: where the pages of an address space are touched.
 *
 * A guest is one process's memory behind a platform. A touch that finds nothing mapped asks the
 * address space (memmap_mm_handle_fault()) and is made again, as a processor does it.
 */
#ifndef DIFFERENTIAL_PAGES_H
#define DIFFERENTIAL_PAGES_H

#include <memmap/address_space.h>

#include "differential.h"

struct guest;

/* Returns NULL when the platform cannot be had here. */
struct guest *guest_create(enum platform platform);
void guest_destroy(struct guest *guest);
struct memmap_address_space *guest_address_space(struct guest *guest);
/* Whom to ask about faults. */
void guest_set_mm(struct guest *guest, struct memmap_mm *mm);

/* Do what one of OP_PEEK, OP_POKE, OP_ADD, OP_RUN, OP_SUM asks for. */
struct outcome guest_touch(struct guest *guest, const struct step *step);

/*
 * Do what one of OP_READ, OP_WRITE, OP_COPY_OUT, OP_COPY_IN asks for by a system call of this process, if
 * the memory is such that the kernel can touch it. False: it is not.
 */
bool guest_copy(struct guest *guest, const struct open_files *files, const struct step *step,
		struct outcome *outcome);

/* Is what is mapped now what the address space permits? Says what is not. */
bool guest_verify(struct guest *guest);

#endif /* DIFFERENTIAL_PAGES_H */
