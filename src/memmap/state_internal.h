/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files of save and restore share.
 */
#ifndef MEMMAP_SRC_MEMMAP_STATE_INTERNAL_H
#define MEMMAP_SRC_MEMMAP_STATE_INTERNAL_H

#include <memmap/state.h>

/*
 * What stands around the objects of a saved state:
 *
 *   55799(["memmap", version])  object …  h'checksum'
 */
#define STATE_TAG   55799 /* CBOR's own for "this is CBOR" */
#define STATE_MAGIC "memmap"

/* A byte string of the four bytes of the checksum, the highest first. */
#define STATE_CHECKSUM_SIZE 4
#define STATE_TRAILER_SIZE  (1 + STATE_CHECKSUM_SIZE)

/* CRC-32C: finds every damage that spans no more than 32 bits, wherever it is. */
uint32_t memmap_state_checksum(const unsigned char *bytes, size_t len);

/*
 * A mapping as a part of something else: without the name of its type, and with the id of its
 * space, by which mappings are put in order.
 */
struct memmap_state_mapping {
	struct memmap_mapping_of_range mapping;
	uint64_t id; /* if there is a space */
};

/* The least that a mapping takes: its keys, and one byte for each value and each map. */
#define MEMMAP_STATE_MAPPING_SIZE 42

/* The mapping and its space's id; when the program has none, the sink keeps the error. */
struct memmap_state_mapping memmap_state_identify(struct memmap_state_sink *sink,
						  struct memmap_mapping_of_range m);
void memmap_state_put_mapping(struct memmap_state_sink *sink, const struct memmap_state_mapping *m);
struct memmap_state_mapping memmap_state_get_mapping(struct memmap_state_source *source);

/* put_reference() and get_reference() in two steps: a pointer that is not NULL, and its id. */
bool memmap_state_id_of(struct memmap_state_sink *sink, enum memmap_state_kind kind,
			const void *object, uint64_t *id);
void memmap_state_put_id(struct memmap_state_sink *sink, const uint64_t *id);
void *memmap_state_get_identified(struct memmap_state_source *source, enum memmap_state_kind kind,
				  uint64_t *id);

#endif /* MEMMAP_SRC_MEMMAP_STATE_INTERNAL_H */
