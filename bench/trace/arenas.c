/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Four threads that allocate and free, to be run under `memmap trace`: each in an arena of its own,
 * which grows by one mprotect(2) for every few allocations.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

enum { NR_THREADS = 4, ROUNDS = 4, NR_BLOCKS = 3000, LEAST = 1000, WORK = 2000000 };

static void *fill(void *arg)
{
	char **blocks = arg;
	for (int round = 0; round < ROUNDS; round++) {
		for (size_t i = 0; i < NR_BLOCKS; i++) {
			blocks[i] = malloc(LEAST + i);
			if (!blocks[i])
				abort();
			memset(blocks[i], 1, LEAST + i);
		}
		for (size_t i = 0; i < NR_BLOCKS; i++)
			free(blocks[i]);
		for (volatile int i = 0; i < WORK; i++)
			;
	}
	return NULL;
}

int main(void)
{
	static char *blocks[NR_THREADS][NR_BLOCKS];
	pthread_t threads[NR_THREADS];
	for (size_t i = 0; i < NR_THREADS; i++)
		if (pthread_create(&threads[i], NULL, fill, blocks[i]) != 0)
			return 1;
	for (size_t i = 0; i < NR_THREADS; i++)
		(void)pthread_join(threads[i], NULL);
	return 0;
}
