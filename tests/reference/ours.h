/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the parts of the program over our sets share: text that grows, and sequences' operations.
 */
#ifndef MEMMAP_TESTS_REFERENCE_OURS_H
#define MEMMAP_TESTS_REFERENCE_OURS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "operations.h"

/* What an operation prints. */
struct text {
	char *bytes;
	size_t len, cap;
};

void text_add(struct text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Each carries out one operation on its one set, and has that set verified. */
void equal_run(enum operation_code code, const uint64_t *a, struct text *out);
void offset_run(enum operation_code code, const uint64_t *a, struct text *out);
void mapping_run(enum operation_code code, const uint64_t *a, struct text *out);
int equal_verify(void);
int offset_verify(void);
int mapping_verify(void);
void equal_end(void);
void offset_end(void);
void mapping_end(void);

#endif /* MEMMAP_TESTS_REFERENCE_OURS_H */
