/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a history holds, for those who draw it. Only history.c and history_thin.c write it.
 */
#ifndef MEMMAP_TOOL_HISTORY_DATA_H
#define MEMMAP_TOOL_HISTORY_DATA_H

#include "common/array.h"
#include "history/history.h"

#define HISTORY_NONE   UINT32_MAX /* no region, no process, no space */
#define HISTORY_ALIVE  UINT64_MAX /* the end of what has not ended */
#define HISTORY_NOBODY 0          /* the id of the empty name */

/* A range of addresses that stayed what it was from `from` until `to`. */
struct history_region {
	struct memmap_addr_range range;
	uint64_t from, to;               /* to: HISTORY_ALIVE while it lasts */
	uint64_t from_call, to_call;     /* how many calls the program had made by then */
	const char *from_name, *to_name; /* which call did it; NULL: none */

	/* Whether it is still the same, and whether what follows continues it. */
	uint64_t flags;       /* those of MEMMAP_VM_* that count */
	const void *identity; /* only compared while it lasts, never looked into */
	uint64_t offset;

	uint32_t name;      /* of what it maps: an index into names */
	uint32_t continues; /* the region that it goes on from: the same mapping with another range,
			       ended in the moment when this one began; or HISTORY_NONE */
	uint32_t joined; /* 0; otherwise it is none itself, but stands for so many short-lived ones
			    that came and went within it */
	uint8_t kind;    /* enum history_kind */
	bool tail;       /* the zeroed memory behind a file's data: bss */
};

/* How much was mapped from `time` until the next sample. */
struct history_sample {
	uint64_t time;
	uint64_t changes; /* of this space so far, this one included */
	uint64_t mapped;  /* bytes that can be accessed */
	uint64_t nr_vmas;
};

/* One address space of one process. */
struct history_space {
	uint32_t process;
	uint32_t command, program; /* names */
	bool forked;               /* it began as a copy of the parent's, not with an exec */
	bool stale;                /* memory ran out: the next record looks everywhere */
	uint64_t from, to;
	uint64_t calls, changes;

	ARRAY(struct history_region) regions; /* in the order in which they began */
	ARRAY(uint32_t) live; /* those that last, as indices into regions, in address order */
	ARRAY(struct history_sample) samples;
	size_t nr_ended; /* how many of the regions have ended */

	uint64_t mapped, reserved, nr_vmas; /* now; reserved: bytes that nobody can access */
	uint64_t peak_mapped, peak_reserved, peak_nr_vmas;

	uint64_t nr_forgotten;      /* regions that were left out to bound memory */
	uint64_t longest_forgotten; /* ns */
};

struct history_process {
	pid_t pid;
	uint32_t parent; /* an index into processes */
	uint32_t command;
	uint32_t space; /* that it has now; HISTORY_NONE: it has its parent's, or has ended */
	uint64_t from, to;
	uint64_t calls;
	int wait_status; /* once it has ended */
};

struct history {
	const struct memmap_allocator *allocator;
	size_t max_regions;

	ARRAY(struct history_process) processes;
	ARRAY(struct history_space) spaces;
	uint64_t nr_uncounted_processes; /* beyond the limit: known only to have been */

	/* Names: each kept once; names.items[id] is the text's start within text. */
	ARRAY(uint32_t) names;
	ARRAY(char) text;
	uint32_t *name_table; /* open addressing; 0: free, otherwise an id + 1 */
	size_t name_table_size;

	ARRAY(struct history_vma) scratch; /* of the record at hand */
	ARRAY(uint32_t) scratch_live;
	uint64_t from, to; /* the first and the last time that was told */
	uint64_t calls;
	uint32_t last_process;      /* the one found last */
	size_t nr_ended, nr_joined; /* regions of all spaces; nr_joined: that stand for others */
};

static inline const char *history_name(const struct history *h, uint32_t id)
{
	return h->text.items + h->names.items[id];
}

/** When a region or space ended, or the end of the history while it lasts. */
static inline uint64_t history_end(const struct history *h, uint64_t to)
{
	return to == HISTORY_ALIVE ? h->to : to;
}

/* Keep the number of ended regions within the limit, by dropping the most short-lived. */
void history_thin_out(struct history *h);

#endif /* MEMMAP_TOOL_HISTORY_DATA_H */
