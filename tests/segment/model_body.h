/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The segment set against a model: the same random operations on a set and on a plain sorted array,
 * compared after every step, with allocations and splits of values that fail now and then.
 *
 * A variant is a file that defines some flags and includes this one:
 *   MODEL_KEY          the key type (uint64_t)
 *   MODEL_TRACK_GAPS   0 or 1 (0)
 *   MODEL_DEGREE       SEGMENT_MIN_DEGREE (the template's own choice)
 *   MODEL_OFFSETS      values are offsets that advance on a split (else colours, equal ones merge)
 *   MODEL_MIN_KEY, MODEL_MAX_KEY  the limits (the key type's)
 *
 * Every value is a ticket in a ledger, so that one which is cleared twice, used after it left, or
 * never cleared is found at once.
 *
 * Usage: PROGRAM [seed [runs [steps]]], or MEMMAP_SEED=seed PROGRAM. A failure is shrunk and
 * printed as a script; `PROGRAM --script "op a b c; ..."` plays one.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <memmap/allocator.h>
#include <memmap/error.h>
#include <memmap/range.h>

#ifndef MODEL_KEY
#	define MODEL_KEY uint64_t
#endif
#ifndef MODEL_TRACK_GAPS
#	define MODEL_TRACK_GAPS 0
#endif
#define MODEL_LAST_KEY ((MODEL_KEY) ~(MODEL_KEY)0)
#ifndef MODEL_MIN_KEY
#	define MODEL_MIN_KEY ((MODEL_KEY)0)
#endif
#ifndef MODEL_MAX_KEY
#	define MODEL_MAX_KEY MODEL_LAST_KEY
#endif

#include "segment/model_state.h"

#include "segment/model_operations.h"

/* ---- Playing scripts of operations ---- */

typedef void op_fn(const struct op *op);
static const struct {
	const char *name;
	op_fn *fn;
	unsigned weight;
} ops[] = {
	{"add", op_add, 30},
	{"remove", op_remove, 8},
	{"remove_range", op_remove_range, 5},
	{"split", op_split, 8},
	{"isolate", op_isolate, 5},
	{"merge", op_merge, 5},
	{"apply_contiguous", op_apply, 4},
	{"visit", op_visit, 3},
	{"mutate", op_mutate, 4},
	{"set_bounds", op_set_bounds, 6},
	{"set_value", op_set_value, 2},
	{"find", op_find, 8},
#if MODEL_TRACK_GAPS
	{"large_gap", op_large_gap, 8},
#endif
	{"whole", op_whole, 1},
	{"reserve", op_reserve, 1},
};
#define NR_OPS (sizeof(ops) / sizeof(ops[0]))

static uint64_t random_state;

static uint64_t random_next(void)
{
	uint64_t z = (random_state += UINT64_C(0x9e3779b97f4a7c15));
	z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
	return z ^ (z >> 31);
}

static unsigned random_op(void)
{
	unsigned total = 0;
	for (size_t i = 0; i < NR_OPS; i++)
		total += ops[i].weight;
	unsigned x = (unsigned)(random_next() % total);
	unsigned i = 0;
	while (x >= ops[i].weight)
		x -= ops[i++].weight;
	return i;
}

/* The first of a script: where the keys lie. */
static void begin(const struct op *op)
{
	static const uint64_t spreads[] = {16, 100, 250, 1000, 10000, 100000};
	key_spread = spreads[op->a % 6];
	uint64_t room = (uint64_t)(MODEL_MAX_KEY - MODEL_MIN_KEY);
	if (key_spread > room)
		key_spread = room;
	switch (op->b % 3) {
	case 0:
		key_base = MODEL_MIN_KEY;
		break;
	case 1:
		key_base = (model_key)(MODEL_MAX_KEY - key_spread);
		break;
	default:
		key_base = (model_key)(MODEL_MIN_KEY + (room - key_spread) / 2);
		break;
	}
}

static void play(const struct op *script, size_t n)
{
	begin(&script[0]);
	model.n = 0;
	model_set_init(&set, &counting);
	compare();
	for (current_step = 1; current_step < n; current_step++) {
		const struct op *op = &script[current_step];
		current_op = ops[op->code % NR_OPS].name;
		/* About one operation in four runs out of memory or cannot split, if it tries. */
		allocations_until_failure = op->c >> 40 & 7 ? 0 : 1 + (op->c >> 43 & 3);
		splits_until_failure = op->c >> 50 & 7 ? 0 : 1 + (op->c >> 53 & 1);
		ops[op->code % NR_OPS].fn(op);
		allocations_until_failure = splits_until_failure = 0;
		compare();
		if (model.n > MAX_SEGMENTS - 64) {
			model_set_remove_all(&set);
			model.n = 0;
		}
	}
	current_op = "end";
	model_set_destroy(&set);
	expect(nr_live == 0, "%u values were never cleared", nr_live);
	expect(nr_blocks == 0, "%zu nodes were never freed", nr_blocks);
	nr_tickets = 0;
}

/* Play in a child; did it fail? */
static bool fails(const struct op *script, size_t n, bool quiet)
{
	(void)fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		if (quiet && !freopen("/dev/null", "w", stderr))
			_exit(2);
		play(script, n);
		exit(0);
	}
	int status = 0;
	if (pid < 0 || waitpid(pid, &status, 0) != pid) {
		perror("fork");
		exit(2);
	}
	return status != 0;
}

/* Leave out what the failure does not need. */
static size_t shrink(struct op *script, size_t n)
{
	struct op *attempt = (struct op *)malloc(n * sizeof(*script));
	for (size_t chunk = n / 2; chunk > 0;
	     chunk = chunk > 1 && chunk < 4 ? chunk - 1 : chunk / 2) {
		for (size_t at = 1; at < n;) {
			size_t left_out = n - at < chunk ? n - at : chunk;
			memcpy(attempt, script, at * sizeof(*script));
			memcpy(attempt + at, script + at + left_out,
			       (n - at - left_out) * sizeof(*script));
			if (fails(attempt, n - left_out, true)) {
				n -= left_out;
				memcpy(script, attempt, n * sizeof(*script));
			} else {
				at += left_out;
			}
		}
	}
	free(attempt);
	return n;
}

static void print_script(const struct op *script, size_t n)
{
	(void)fprintf(stderr, "--script \"");
	for (size_t i = 0; i < n; i++)
		(void)fprintf(stderr, "%u %#lx %#lx %#lx; ", script[i].code,
			      (unsigned long)script[i].a, (unsigned long)script[i].b,
			      (unsigned long)script[i].c);
	(void)fprintf(stderr, "\"\n");
}

static int play_text(const char *text)
{
	static struct op script[1 << 16];
	size_t n = 0;
	int length;
	while (sscanf(text, "%u %" SCNx64 " %" SCNx64 " %" SCNx64 ";%n", &script[n].code,
		      &script[n].a, &script[n].b, &script[n].c, &length) == 4) {
		text += length;
		n++;
	}
	play(script, n);
	(void)printf("%zu steps, nothing wrong\n", n);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc > 2 && strcmp(argv[1], "--script") == 0)
		return play_text(argv[2]);
	const char *seed_text = argc > 1 ? argv[1] : getenv("MEMMAP_SEED");
	uint64_t seed = seed_text ? strtoull(seed_text, NULL, 0) : 42;
	size_t runs = argc > 2 ? strtoul(argv[2], NULL, 0) : 300;
	size_t steps = argc > 3 ? strtoul(argv[3], NULL, 0) : 600;
	struct op *script = (struct op *)malloc((steps + 1) * sizeof(*script));
	for (size_t run = 0; run < runs; run++) {
		random_state = seed + run;
		for (size_t i = 0; i <= steps; i++) {
			script[i].code = random_op();
			script[i].a = random_next();
			script[i].b = random_next();
			script[i].c = random_next();
		}
		if (fails(script, steps + 1, false)) {
			(void)fprintf(stderr, "seed %lu failed; shrinking\n",
				      (unsigned long)(seed + run));
			size_t n = shrink(script, steps + 1);
			(void)fails(script, n, false);
			print_script(script, n);
			return 1;
		}
	}
	(void)printf("seeds %lu to %lu, %zu steps each: nothing wrong\n", (unsigned long)seed,
		     (unsigned long)(seed + runs - 1), steps);
	free(script);
	return 0;
}
