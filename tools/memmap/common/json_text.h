/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JSON that is whole or not written: values are put together without looking whether there was memory
 * for each, and whoever writes them asks once.
 *
 *   json_begin();
 *   json_t *object = json_object();
 *   json_object_set_new(object, "name", json_text(name));
 *   err = json_write(object, out);                         -ENOMEM when a part of it is missing
 *
 * Paths and arguments are bytes, JSON is Unicode: bytes that are no UTF-8 become U+FFFD.
 *
 * Locking: none; one thread makes JSON
 */
#ifndef MEMMAP_TOOL_JSON_TEXT_H
#define MEMMAP_TOOL_JSON_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

/** Begin: nothing has failed yet. */
void json_begin(void);

/** Has something that was made since json_begin() wanted memory? */
bool json_is_incomplete(void);

/** A string of `bytes`; NULL, which is one that wanted memory: that is what it gives, too. */
json_t *json_text(const char *bytes);

json_t *json_number(uint64_t n);

/** "0x7f0000000000" */
json_t *json_address(uint64_t address);

/**
 * Write `value` onto `out`, with a newline, and flush it. Takes the reference, which may be NULL.
 *
 * Returns:     0, -ENOMEM (it is incomplete; nothing was written), or the negative errno of writing
 */
int json_write(json_t *value, FILE *out);

#endif /* MEMMAP_TOOL_JSON_TEXT_H */
