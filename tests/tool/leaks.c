/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program that leaves just so much mapped: 1 MiB whole, and of another 1 MiB all but two pages.
 * What it does besides leaves nothing. With an argument, it leaves 600 MiB in as many mappings.
 */
#include <stddef.h>
#include <sys/mman.h>

#define MIB  ((size_t)1 << 20)
#define PAGE 4096

static void *map(void)
{
	return mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

__attribute__((noinline)) static char *leaky_function(void)
{
	char *at = map();
	/* So that the call is no jump. */
	return at == MAP_FAILED ? NULL : at;
}

__attribute__((noinline)) static int tidy_function(void)
{
	void *at = map();
	return at != MAP_FAILED && munmap(at, MIB) == 0;
}

/* 600 of them. */
static int leave_many(void)
{
	for (volatile int i = 0; i < 600; i++)
		if (!leaky_function())
			return 1;
	return 0;
}

int main(int argc, char **argv)
{
	(void)argv;
	if (argc > 1)
		return leave_many();
	for (volatile int i = 0; i < 5; i++)
		if (!tidy_function())
			return 1;
	if (!leaky_function())
		return 1;
	char *partly = leaky_function();
	if (!partly || munmap(partly + PAGE, (size_t)2 * PAGE))
		return 1;
	/* What has moved is still what it was, and is gone. */
	char *moved = map();
	if (moved == MAP_FAILED)
		return 1;
	moved = mremap(moved, MIB, 4 * MIB, MREMAP_MAYMOVE);
	return moved == MAP_FAILED || munmap(moved, 4 * MIB);
}
