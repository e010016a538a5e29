/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A mapping space that writes down what it is told.
 */
#ifndef MEMMAP_TESTS_FILE_RECORDING_SPACE_H
#define MEMMAP_TESTS_FILE_RECORDING_SPACE_H

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <memmap/memmap.h>

struct recording_space {
	struct memmap_mapping_space space;
	char said[1024]; /* "[0x1000, 0x2000)private " for each call */
};

__attribute__((unused)) static void recording_invalidate_(struct memmap_mapping_space *ms,
							  struct memmap_addr_range ar,
							  struct memmap_invalidate_opts opts)
{
	struct recording_space *space = (struct recording_space *)ms;
	const size_t used = strlen(space->said);
	(void)snprintf(space->said + used, sizeof(space->said) - used,
		       "[0x%" PRIx64 ", 0x%" PRIx64 ")%s ", ar.start, ar.end,
		       opts.invalidate_private ? "private" : "");
}

static const struct memmap_mapping_space_ops recording_ops_ = {.invalidate = recording_invalidate_};

__attribute__((unused)) static void recording_space_init(struct recording_space *space)
{
	space->space.ops = &recording_ops_;
	space->said[0] = '\0';
}

/* What it was told since the last time. */
#define assert_said(recording, text)                                                               \
	do {                                                                                       \
		assert_string_equal((recording)->said, text);                                      \
		(recording)->said[0] = '\0';                                                       \
	} while (0)

#endif /* MEMMAP_TESTS_FILE_RECORDING_SPACE_H */
