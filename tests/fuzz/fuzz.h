/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the fuzz targets share: reading an input as a sequence of choices, memory that runs out when
 * the input says so, and giving up with words.
 *
 * A target defines LLVMFuzzerTestOneInput(). Built for libFuzzer it is a fuzzer; linked with
 * replay.c, by any compiler, it is the test that takes the corpus again.
 */
#ifndef MEMMAP_TESTS_FUZZ_H
#define MEMMAP_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <memmap/allocator.h>

#pragma GCC visibility push(default)
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
#pragma GCC visibility pop

/* What must hold, or the input has found something. */
#define FUZZ_CHECK(condition, ...)                                                                 \
	do {                                                                                       \
		if (!(condition)) {                                                                \
			(void)fprintf(stderr, "%s:%d: %s: ", __FILE__, __LINE__, #condition);      \
			(void)fprintf(stderr, __VA_ARGS__);                                        \
			(void)fputc('\n', stderr);                                                 \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

/* ---- The input: what is missing at its end reads as 0 ---- */

struct fuzz_input {
	const uint8_t *data;
	size_t size, at;
};

__attribute__((unused)) static bool fuzz_at_end(const struct fuzz_input *in)
{
	return in->at >= in->size;
}

__attribute__((unused)) static uint8_t fuzz_byte(struct fuzz_input *in)
{
	return in->at < in->size ? in->data[in->at++] : 0;
}

/* ---- Memory that runs out, and that must all come back ---- */

struct fuzz_memory {
	struct memmap_allocator allocator;
	bool runs_out;
	unsigned left; /* allocations that still succeed, if it runs out */
	size_t refused, live;
};

__attribute__((unused)) static void *fuzz_allocate(void *context, size_t size, size_t alignment)
{
	struct fuzz_memory *memory = (struct fuzz_memory *)context;
	void *at = NULL;

	if (memory->runs_out && memory->left == 0) {
		memory->refused++;
		return NULL;
	}
	if (memory->runs_out)
		memory->left--;
	if (alignment < sizeof(void *))
		alignment = sizeof(void *);
	if (posix_memalign(&at, alignment, size) != 0)
		abort();
	memory->live++;
	return at;
}

__attribute__((unused)) static void fuzz_deallocate(void *context, void *at, size_t size)
{
	struct fuzz_memory *memory = (struct fuzz_memory *)context;

	(void)size;
	memory->live--;
	free(at);
}

__attribute__((unused)) static void fuzz_memory_init(struct fuzz_memory *memory)
{
	*memory = (struct fuzz_memory){
		.allocator = {fuzz_allocate, fuzz_deallocate, memory},
	};
}

#endif /* MEMMAP_TESTS_FUZZ_H */
