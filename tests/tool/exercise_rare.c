/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A program to be traced: calls that few programs make. `exercise_rare NAME`; without a name it
 * lists them. Each exercise varies its calls by a generator, the same way each time.
 */
#include <linux/aio_abi.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/syscall.h>

#include "exercise.h"

static unsigned int seed = 1;

static size_t any(size_t below)
{
	return (size_t)rand_r(&seed) % below;
}

/* ---- rings of AIO ---- */

static aio_context_t set_up(unsigned int nr_events)
{
	aio_context_t context = 0;
	CHECK(syscall(SYS_io_setup, nr_events, &context) == 0);
	return context;
}

static void tear_down(aio_context_t context)
{
	CHECK(syscall(SYS_io_destroy, context) == 0);
}

static void refused_aio(void)
{
	static const unsigned int too_many[] = {0,           1u << 22,    (1u << 22) + 1,
						0x7fffffffu, 0x80000000u, 0xffffffffu};
	aio_context_t context = 0;
	for (size_t i = 0; i < sizeof(too_many) / sizeof(too_many[0]); i++)
		CHECK(syscall(SYS_io_setup, too_many[i], &context) == -1);
	CHECK(syscall(SYS_io_setup, 1, NULL) == -1 && errno == EFAULT);
	context = 5;
	CHECK(syscall(SYS_io_setup, 1, &context) == -1 && errno == EINVAL);
	CHECK(syscall(SYS_io_destroy, 5) == -1 && errno == EINVAL);
	/* Nowhere to write the number: the ring comes and goes. */
	aio_context_t *unwritable = (void *)map(NULL, PAGE, PROT_READ, ANON, -1, 0);
	CHECK(syscall(SYS_io_setup, 1, unwritable) == -1 && errno == EFAULT);
}

/* Rings that were cut, moved, filled and copied. */
static void changed_rings(void)
{
	char *ring = (char *)set_up(1000);
	CHECK(mprotect(ring + 4 * PAGE, 2 * PAGE, PROT_READ) == 0);
	CHECK(munmap(ring + 9 * PAGE, PAGE) == 0);
	char *inside = map(ring + 9 * PAGE, PAGE, RW, ANON | MAP_FIXED, -1, 0);
	*inside = 1;
	CHECK(mprotect(ring + 4 * PAGE, 2 * PAGE, PROT_EXEC) == -1 && errno == EACCES);
	tear_down((aio_context_t)ring);

	ring = (char *)set_up(64);
	char *place = map(NULL, 8 * PAGE, PROT_NONE, ANON, -1, 0);
	CHECK(mremap(ring, 2 * PAGE, 4 * PAGE, MREMAP_MAYMOVE) == MAP_FAILED && errno == EFAULT);
	CHECK(mremap(ring, 2 * PAGE, 2 * PAGE, MREMAP_MAYMOVE | MREMAP_FIXED, place + PAGE) ==
	      place + PAGE);
	CHECK(syscall(SYS_io_destroy, ring) == -1);
	pid_t pid = fork();
	if (pid == 0) {
		CHECK(syscall(SYS_io_destroy, place + PAGE) == -1 && errno == EINVAL);
		CHECK(munmap(place + PAGE, PAGE) == 0);
		tear_down(set_up(1));
		_exit(0);
	}
	CHECK(await(pid) == 0);
	tear_down((aio_context_t)(place + PAGE));
}

static void aio(void)
{
	aio_context_t contexts[8] = {0};
	char *maps[8] = {NULL};
	refused_aio();
	changed_rings();
	for (int i = 0; i < 100; i++) {
		const size_t at = any(8);
		if (any(3) == 0 && maps[at]) {
			CHECK(munmap(maps[at], 4 * PAGE) == 0);
			maps[at] = NULL;
		} else if (any(2) == 0 && !maps[at]) {
			maps[at] = map(NULL, 4 * PAGE, RW, ANON, -1, 0);
		} else if (contexts[at]) {
			tear_down(contexts[at]);
			contexts[at] = 0;
		} else {
			contexts[at] = set_up((unsigned int)(1 + any(2000)));
		}
	}
	CHECK(mlockall(MCL_FUTURE) == 0 || errno == ENOMEM || errno == EPERM);
	contexts[0] = set_up(3);
	munlockall();
}

/* ---- protection keys ---- */

/* Keys, where there are any; everywhere the order in which mistakes are told. */
static void keys(void)
{
	static const int wrong[] = {-2, -1, 0, 1, 15, 16, 1 << 30};
	static const int prots[] = {PROT_NONE,
				    PROT_READ,
				    RW,
				    RW | PROT_EXEC,
				    PROT_GROWSDOWN,
				    PROT_GROWSDOWN | PROT_GROWSUP,
				    0x40,
				    PROT_READ | PROT_GROWSUP};
	char *p = map(NULL, 48 * PAGE, RW, ANON, -1, 0);
	CHECK(munmap(p + 24 * PAGE, 2 * PAGE) == 0);
	for (int i = 0; i < 400; i++) {
		char *at = p + any(32) * PAGE + (any(8) == 0 ? 8 : 0);
		const size_t length = any(16) == 0 ? SIZE_MAX - any(2) * PAGE : any(8 * PAGE);
		const int key = any(2) == 0 ? -1 : wrong[any(sizeof(wrong) / sizeof(wrong[0]))];
		syscall(SYS_pkey_mprotect, at, length, prots[any(8)], key);
	}
}

static const struct {
	const char *name;
	void (*run)(void);
} exercises[] = {
	{"aio", aio},
	{"keys", keys},
};

int main(int argc, char **argv)
{
	const size_t nr = sizeof(exercises) / sizeof(exercises[0]);
	for (size_t i = 0; i < nr; i++) {
		if (argc < 2) {
			puts(exercises[i].name);
		} else if (strcmp(argv[1], exercises[i].name) == 0) {
			exercises[i].run();
			return 0;
		}
	}
	return argc < 2 ? 0 : 98;
}
