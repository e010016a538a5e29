/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where in the program the memory calls are made: call stacks by return address and symbol, unwound
 * by libdw (elfutils) while the calling thread stands still.
 *
 * A *site* is a stack in words, innermost frame first: two calls are of one site when their stacks
 * read the same. What no file backs (code made at run time) reads as an address.
 *
 * Without libdw nothing is unwound: stacks_supported() says so.
 *
 * Locking: none
 */
#ifndef MEMMAP_TOOL_STACKS_H
#define MEMMAP_TOOL_STACKS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "common/array.h"
#include "common/text_pool.h"

#define SITE_NONE UINT32_MAX

struct site {
	uint64_t nr_calls, ns;
	uint64_t mapped; /* bytes that its calls have mapped in all */
	uint64_t left;   /* bytes of them that were there at the end */
};

/* All sites of a trace. {0} is empty. */
struct sites {
	struct text_pool texts; /* number N is the stack of site N */
	ARRAY(struct site) sites;
	uint64_t nr_failed; /* calls whose stack could not be unwound */
};

bool stacks_supported(void);

/**
 * Become the program beside this one that was built with libdw: memmap-stacks. `argv` is that of
 * `memmap trace`, from "trace" on. Returns when there is none.
 */
void stacks_hand_over(char **argv);

/* The files of one address space, as the unwinder knows them. */
struct unwinder;

/** Free. NULL is ignored. */
void unwinder_release(struct unwinder *unwinder);

/** Files have been mapped or unmapped: look again before the next unwinding. NULL is ignored. */
void unwinder_outdate(struct unwinder *unwinder);

/**
 * The site of the call that thread `tid`, stopped, is about to make. `*unwinder` is made when it is
 * needed; it is of the address space of process `pid`.
 *
 * Returns:     its number, or SITE_NONE
 */
uint32_t stacks_unwind(struct sites *sites, struct unwinder **unwinder, pid_t pid, pid_t tid);

/** The stack of a site, in words. */
const char *site_text(const struct sites *sites, uint32_t site);

void sites_release(struct sites *sites);

#endif /* MEMMAP_TOOL_STACKS_H */
