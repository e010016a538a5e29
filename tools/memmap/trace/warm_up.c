/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A trace touches some 60 pages of its own before a small program has ended. Each first touch is a
 * fault, which costs ten times what mapping a page among many does, on a virtual machine even more.
 */
#include "trace/warm_up.h"

#include <malloc.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#ifndef MADV_POPULATE_READ
#	define MADV_POPULATE_READ  22
#	define MADV_POPULATE_WRITE 23
#endif

/* What a small program makes the heap grow to. */
#define HEAP_SIZE ((size_t)192 << 10)

/* Of the linker: where this program and its initialised data begin and end. */
extern const char __executable_start[], __data_start[], etext[], end[];

static void populate(const void *from, const void *to, int how)
{
	const uintptr_t mask = (uintptr_t)sysconf(_SC_PAGESIZE) - 1;
	const uintptr_t start = (uintptr_t)from & ~mask;
	/* NOLINTNEXTLINE(performance-no-int-to-ptr): the page of `from` */
	(void)madvise((void *)start, ((uintptr_t)to - start + mask) & ~mask, how);
}

static void populate_heap(void)
{
	if (mallopt(M_TOP_PAD, (int)HEAP_SIZE) == 0)
		return;
	free(malloc(HEAP_SIZE / 2)); /* the heap begins, or grows */
	const char *top = sbrk(0);
	populate(top - HEAP_SIZE, top, MADV_POPULATE_WRITE);
}

void warm_up(void)
{
	populate(__executable_start, etext, MADV_POPULATE_READ);
	populate(etext, __data_start, MADV_POPULATE_READ);
	populate(__data_start, end, MADV_POPULATE_WRITE);
	populate_heap();
}
