/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the differential fuzzer's generator share. */
#ifndef DIFFERENTIAL_GENERATE_H
#define DIFFERENTIAL_GENERATE_H

#include "differential.h"

uint64_t below(struct generator *g, uint64_t bound);
bool chance(struct generator *g, uint64_t percent);

#define PICK(g, array) ((array)[below((g), sizeof(array) / sizeof(*(array)))])

/* Would a step there change what the executor needs? */
bool guarded(const struct generator *g, uint64_t start, uint64_t length);
/* Is there a special mapping, [vdso] or [vvar], at the address? */
bool is_special(const struct generator *g, uint64_t address);
/* A mapping of the script's own, or NULL when there is none (or chance does not find it). */
const struct kernel_vma *pick_vma(struct generator *g);
uint64_t pick_address(struct generator *g, const struct kernel *kernel);
/* A range that mostly begins at what is there, and ends in it or beside it. */
void pick_range(struct generator *g, const struct kernel *kernel, uint64_t *address,
		uint64_t *length);

/* ---- Touches, copies and files ---- */

struct step step_of_pages(struct generator *g, const struct kernel *kernel, unsigned int process);
bool harmless_of_pages(const struct generator *g, const struct step *step);

#endif /* DIFFERENTIAL_GENERATE_H */
