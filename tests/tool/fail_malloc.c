/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Linked into a memmap: allocations that fail, the one after FAIL_AFTER others, and with FAIL_ON all
 * that follow.
 */
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>

extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t nr, size_t size);
extern void *__libc_realloc(void *memory, size_t size);
extern void *__libc_memalign(size_t alignment, size_t size);

static int fails(void)
{
	static long left = -1;
	static int begun, goes_on;
	if (!begun) {
		const char *after = getenv("FAIL_AFTER");
		begun = 1;
		goes_on = getenv("FAIL_ON") != NULL;
		left = after ? atol(after) : -1;
	}
	if (left < 0)
		return 0;
	if (left > 0) {
		left--;
		return 0;
	}
	if (!goes_on)
		left = -1;
	errno = ENOMEM;
	return 1;
}

void *malloc(size_t size)
{
	return fails() ? NULL : __libc_malloc(size);
}

void *calloc(size_t nr, size_t size)
{
	return fails() ? NULL : __libc_calloc(nr, size);
}

void *realloc(void *memory, size_t size)
{
	return fails() ? NULL : __libc_realloc(memory, size);
}

void *aligned_alloc(size_t alignment, size_t size)
{
	return fails() ? NULL : __libc_memalign(alignment, size);
}

int posix_memalign(void **out, size_t alignment, size_t size)
{
	if (fails())
		return ENOMEM;
	*out = __libc_memalign(alignment, size);
	return *out ? 0 : ENOMEM;
}
