/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bytes as JSON strings.
 *
 * Paths and arguments are bytes, JSON is Unicode: bytes that are no UTF-8 become U+FFFD.
 */
#ifndef MEMMAP_TOOL_JSON_TEXT_H
#define MEMMAP_TOOL_JSON_TEXT_H

#include <jansson.h>
#include <stdint.h>

/** A string; NULL when out of memory. */
json_t *json_text(const char *bytes);

json_t *json_number(uint64_t n);

/** "0x7f0000000000" */
json_t *json_address(uint64_t address);

/**
 * Write `value` onto `out`, with a newline, and flush it. Takes the reference, which may be NULL.
 *
 * Returns:     0, -ENOMEM (`value` is NULL), or the negative errno of writing
 */
int json_write(json_t *value, FILE *out);

#endif /* MEMMAP_TOOL_JSON_TEXT_H */
