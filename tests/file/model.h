/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the random tests beside a model share: numbers from a seed, and saying where it went wrong.
 */
#ifndef MEMMAP_TESTS_FILE_MODEL_H
#define MEMMAP_TESTS_FILE_MODEL_H

#include <inttypes.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t seed, random_state;
static int step;

static inline uint64_t next_random(void)
{
	uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15);
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static inline uint64_t below(uint64_t n)
{
	return next_random() % n;
}

__attribute__((format(printf, 1, 2), noreturn)) static inline void fail(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fprintf(stderr, "seed %" PRIu64 " step %d: ", seed, step);
	vfprintf(stderr, format, args);
	fprintf(stderr, "\n");
	va_end(args);
	exit(1);
}

#endif /* MEMMAP_TESTS_FILE_MODEL_H */
