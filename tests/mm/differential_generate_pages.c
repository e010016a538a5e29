/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The part of the differential fuzzer's generator that has to do with what is in memory: touches,
 * copies by the kernel and between processes, residency, and files that change under their
 * mappings.
 *
 * What is written is mostly small and near the edges of pages, so that few pages are written by
 * many steps in many ways; lengths are those of the files, or about them.
 */
#include <string.h>
#include <sys/mman.h>

#include "mm/abi.h"

#include "differential_generate.h"

#define RUN_OFFSET 0x10 /* of a page: there are "ret"s */

/*
 * An address to touch, within reach of the end of a page; mostly in a mapping whose permissions are
 * such: 'r', 'w', 'x'.
 */
static uint64_t pick_byte(struct generator *g, const struct kernel *kernel, uint64_t width,
			  char permission)
{
	static const uint64_t offsets[] = {0, 8, 0x120, 0x128, 0x800, 0xff0, 0xff8};
	const struct kernel_vma *vma = pick_vma(g);
	uint64_t page;

	for (int tries = 0; tries < 4 && vma && !strchr(vma->perms, permission); tries++)
		vma = pick_vma(g);

	if (vma && chance(g, 85)) {
		const uint64_t pages = (vma->end - vma->start) / PAGE;

		page = vma->start + below(g, pages < 32 ? pages : 32) * PAGE;
		if (chance(g, 5)) /* just below, where a stack grows */
			page = vma->start - (1 + below(g, 3)) * PAGE;
	} else {
		page = pick_address(g, kernel) & ~(PAGE - 1);
	}
	if (chance(g, 12)) /* across the edge */
		return page + PAGE - 1 - below(g, width > 1 ? width - 1 : 1);
	return page + PICK(g, offsets);
}

static struct step step_touch(struct generator *g, const struct kernel *kernel)
{
	static const uint64_t widths[] = {1, 1, 2, 4, 8, 8};
	struct step step = {0};

	switch (below(g, 16)) {
	case 0:
		step.op = OP_ADD; /* across an edge it may be a trap of its own */
		step.args[1] = PICK(g, widths);
		step.args[0] = pick_byte(g, kernel, 1, 'w') & ~(uint64_t)7;
		step.args[2] = 1 + below(g, 100);
		break;
	case 1:
		step.op = OP_RUN;
		step.args[0] = (pick_byte(g, kernel, 1, 'x') & ~(PAGE - 1)) + RUN_OFFSET;
		break;
	case 2:
		step.op = OP_POKE;
		step.args[0] = (pick_byte(g, kernel, 1, 'w') & ~(PAGE - 1)) + RUN_OFFSET;
		step.args[1] = 1;
		step.args[2] = EXECUTOR_RET;
		break;
	case 3:
	case 4:
	case 5:
	case 6:
	case 7:
		step.op = OP_PEEK;
		step.args[1] = PICK(g, widths);
		step.args[0] = pick_byte(g, kernel, step.args[1], 'r');
		break;
	default:
		step.op = OP_POKE;
		step.args[1] = PICK(g, widths);
		step.args[0] = pick_byte(g, kernel, step.args[1], 'w');
		step.args[2] = below(g, 1 << 20) + 1;
		break;
	}
	return step;
}

/* An address and a length of bytes, some pages at most. */
static void pick_bytes(struct generator *g, const struct kernel *kernel, char permission,
		       uint64_t *address, uint64_t *length)
{
	*address = pick_byte(g, kernel, 1, permission);
	*length = chance(g, 50) ? 1 + below(g, 64) : 1 + below(g, 6 * PAGE);
}

static struct step step_copy(struct generator *g, const struct kernel *kernel, unsigned int process)
{
	struct step step = {.op = chance(g, 50) ? OP_COPY_OUT : OP_COPY_IN};
	unsigned int other = (unsigned int)below(g, EXECUTOR_MAX_PROCESSES);

	if (g->forks && chance(g, 40)) {
		const bool reads = g->pins && chance(g, 50);

		step.op = reads ? OP_VM_READ : OP_VM_WRITE;
		while (!kernel->alive[other])
			other = (other + 1) % EXECUTOR_MAX_PROCESSES;
		step.args[0] = other == process && chance(g, 80) ? 0 : other;
		if (!kernel->alive[step.args[0]])
			step.args[0] = process;
		pick_bytes(g, kernel, reads ? 'r' : 'w', &step.args[1], &step.args[2]);
		/* Bytes that are read and written at once would be copied in an order of their own. */
		if (step.args[2] > PAGE)
			step.args[2] = PAGE;
		/* At the same place of a page, so that it is no matter which byte goes first. */
		step.args[3] = (pick_byte(g, kernel, 1, reads ? 'w' : 'r') & ~(PAGE - 1)) +
			       step.args[1] % PAGE;
		return step;
	}
	pick_bytes(g, kernel, step.op == OP_COPY_OUT ? 'w' : 'r', &step.args[0], &step.args[1]);
	if (step.op == OP_COPY_OUT)
		step.args[2] = below(g, PAGE);
	return step;
}

static struct step step_file(struct generator *g)
{
	static const uint64_t files[] = {FILE_RW,  FILE_RW,  FILE_OTHER, FILE_MEM, FILE_MEM,
					 FILE_MEM, FILE_RW2, FILE_MEM2,  FILE_RO,  FILE_WO};
	struct step step = {.args = {PICK(g, files)}};

	switch (below(g, 10)) {
	case 0:
	case 1:
	case 2:
		step.op = OP_TRUNCATE;
		step.args[1] = below(g, 26) * PAGE;
		if (chance(g, 40))
			step.args[1] += below(g, PAGE);
		break;
	case 3:
		step.op = OP_PUNCH;
		step.args[1] = below(g, 24) * PAGE;
		step.args[2] = (1 + below(g, 4)) * PAGE;
		if (chance(g, 30))
			step.args[1] += below(g, PAGE);
		if (chance(g, 30))
			step.args[2] += below(g, PAGE);
		break;
	case 4:
	case 5:
	case 6:
		step.op = OP_FILE_READ;
		step.args[1] = below(g, 24 * PAGE);
		step.args[2] = 1 + below(g, 4 * PAGE);
		break;
	default:
		step.op = OP_FILE_WRITE;
		step.args[1] = below(g, 25 * PAGE);
		step.args[2] = chance(g, 50) ? 1 + below(g, 16) : 1 + below(g, 3 * PAGE);
		step.args[3] = below(g, 1000);
		break;
	}
	return step;
}

/* A range of pages, not too many of them to look at each. */
static struct step step_look(struct generator *g, const struct kernel *kernel)
{
	struct step step = {.op = chance(g, 30) ? OP_SUM : OP_MINCORE};

	pick_range(g, kernel, &step.args[0], &step.args[1]);
	if (step.op == OP_SUM) {
		step.args[0] &= ~(PAGE - 1);
		step.args[1] = (step.args[1] + PAGE - 1) & ~(PAGE - 1);
	}
	return step;
}

/* Advice that brings or takes pages. */
static struct step step_advise(struct generator *g, const struct kernel *kernel)
{
	static const uint64_t advices[] = {
		MADV_DONTNEED,      MADV_DONTNEED,       MADV_REMOVE,          MADV_POPULATE_READ,
		MADV_POPULATE_READ, MADV_POPULATE_WRITE, MADV_GUARD_INSTALL,   MADV_GUARD_INSTALL,
		MADV_GUARD_REMOVE,  MADV_GUARD_REMOVE,   MADV_DONTNEED_LOCKED, MADV_WIPEONFORK,
		MADV_FREE,          MADV_COLD,           MADV_PAGEOUT,         MADV_PAGEOUT,
	};
	struct step step = {.op = OP_MADVISE};

	pick_range(g, kernel, &step.args[0], &step.args[1]);
	step.args[2] = PICK(g, advices);
	if (g->huge_pages && chance(g, 50)) {
		step.args[2] = chance(g, 60) ? MADV_COLLAPSE : MADV_HUGEPAGE;
		if (chance(g, 70)) {
			step.args[0] &= ~(HUGE_PAGE - 1);
			step.args[1] = (1 + below(g, 2)) * HUGE_PAGE;
		}
	}
	return step;
}

struct step step_of_pages(struct generator *g, const struct kernel *kernel, unsigned int process)
{
	const uint64_t dice = below(g, 100);

	if (dice < 58)
		return step_touch(g, kernel);
	if (dice < 68)
		return step_copy(g, kernel, process);
	if (dice < 80 && !g->only_anonymous)
		return step_file(g);
	if (dice < 90)
		return step_look(g, kernel);
	return step_advise(g, kernel);
}

/* May the executor be touched there? Not where it needs what it has, nor where it has a meaning. */
static bool touchable(const struct generator *g, uint64_t address, uint64_t length)
{
	return address >= PAGE && length < TASK_END && address < TASK_END - length &&
	       !guarded(g, address, length) &&
	       (address >= g->special_end || address + length <= g->special_start);
}

bool harmless_of_pages(const struct generator *g, const struct step *step)
{
	const uint64_t *a = step->args;

	switch (step->op) {
	case OP_PEEK:
	case OP_POKE:
	case OP_ADD:
		return touchable(g, a[0], a[1]);
	case OP_RUN:
		return touchable(g, a[0], 1);
	case OP_SUM:
		return a[1] <= 64 * PAGE && a[1] && touchable(g, a[0], a[1]);
	case OP_MINCORE:
		return a[1] > TASK_END || (a[1] <= EXECUTOR_MINCORE_BITS * PAGE &&
					   (a[0] > TASK_END || touchable(g, a[0], a[1] + 1)));
	case OP_COPY_OUT:
	case OP_COPY_IN:
		return touchable(g, a[0], a[1]);
	case OP_MLOCK:
	case OP_MLOCK2: /* our side has no pages there */
		return !g->pages || !guarded(g, a[0], a[1]);
	case OP_VM_READ:
	case OP_VM_WRITE:
		/* The guards are in the same places in all processes. */
		return touchable(g, a[1], a[2]) && touchable(g, a[3], a[2]);
	default:
		return true;
	}
}
