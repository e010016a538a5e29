/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which call made which part of an address space, and what of it was left at the end.
 *
 * A mapping is *left* when the program made it by mmap, mremap or shmat after it had begun to run,
 * and it is still there when the process ends. Not counted: what the kernel mapped at exec, what
 * the dynamic loader mapped (the call came from the loader's own code), the heap, what a child
 * inherited, and an address space that an exec throws away. A part of a mapping that was unmapped is
 * not left.
 *
 * Locking: none
 */
#ifndef MEMMAP_TOOL_ORIGINS_H
#define MEMMAP_TOOL_ORIGINS_H

#include <sys/types.h>

#include <memmap/mm.h>

#include "common/array.h"
#include "stacks/stacks.h"
#include "trace/calls.h"

/* Who made a mapping. */
struct origin {
	uint64_t call; /* its number among all calls of the trace */
	uint32_t site; /* of the stack, or SITE_NONE */
	bool loader;
};

#define SEGMENT_PREFIX origin
#define SEGMENT_RANGE  memmap_addr_range
#define SEGMENT_VALUE  struct origin
#define SEGMENT_LINKAGE
#define SEGMENT_DECLARE_ONLY
#include <memmap/segment_set.h>

/* The origins in one address space. {0} is empty. */
struct origins {
	struct origin_set set; /* never merged; parts of one mapping may be several */
};

void origins_release(struct origins *origins);

/** Follow a call that has been made; want of memory forgets. */
void origins_follow(struct origins *origins, const struct memmap_mm *mm, enum call_id id,
		    const struct memmap_traced_call *call, struct origin origin);

/* Mappings that were left, of one call. */
struct leftover {
	pid_t pid;
	uint64_t call, bytes;
	uint64_t addr; /* the lowest */
	uint32_t site;
	char name[64]; /* of what is mapped there, cut to fit */
};

struct leftovers {
	uint64_t nr, bytes;             /* of all */
	ARRAY(struct leftover) largest; /* in no order; at most some */
};

/** The address space ends: take note of what is left, with the sites that it was made by, too. */
void leftovers_collect(struct leftovers *left, struct sites *sites, const struct origins *origins,
		       const struct memmap_mm *mm, pid_t pid);

/** Put the largest first. */
void leftovers_sort(struct leftovers *left);
void leftovers_release(struct leftovers *left);

#endif /* MEMMAP_TOOL_ORIGINS_H */
