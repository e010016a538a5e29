/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The generator of the differential fuzzer: from a seed, and from what the kernel says is mapped
 * now, the next step.
 *
 * Everything happens in small places (an arena of 64 pages, the heap, where the kernel places
 * mappings, below the stack) so that mappings collide, merge and split all the time. What the
 * executor needs to go on living is guarded: no step that could change it is made. Each script has
 * a character of its own: only some lock, lower limits, fork or seal, because each of those
 * forbids something else (locked memory is populated, so then nothing huge may be mapped).
 */
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/resource.h>

#include "mm/abi.h"

#include "differential_generate.h"

uint64_t random_next(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ULL);

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

uint64_t below(struct generator *g, uint64_t bound)
{
	return random_next(&g->state) % bound;
}

bool chance(struct generator *g, uint64_t percent)
{
	return below(g, 100) < percent;
}

void generator_start(struct generator *g, uint64_t seed, bool pages, const struct kernel *kernel,
		     struct script *script)
{
	memset(g, 0, sizeof(*g));
	g->state = seed;
	g->pages = script->with.pages = pages;
	g->locks = chance(g, 50);
	g->limits = chance(g, 25);
	g->past_end = !g->locks && chance(g, 50);
	g->forks = chance(g, 50);
	g->seals = chance(g, 15);
	g->arena_pages = ARENA_PAGES >> below(g, 4);
	g->only_anonymous = chance(g, 25);
	script->with.no_ipc_lock = chance(g, 50);
	script->with.bottom_up = chance(g, 20);
	if (pages) { /* its files are short: what lies past their ends is of its own kind */
		g->past_end = false;
		script->with.host_memfds = chance(g, 40);
		g->arena_pages = ARENA_PAGES >> below(g, 3);
		g->pages_out = chance(g, 50);
		g->pins = chance(g, 50);
		g->huge_pages = script->with.huge_pages = chance(g, 15);
		script->with.around = chance(g, 25);
	}
	kernel_vmas_parse(&g->vmas, kernel->process[0].maps);
	for (size_t i = 0; i < g->vmas.len && g->nr_guarded + 2 <= 64; i++) {
		/* It does not need [vdso] and [vvar]. */
		if (!strncmp(g->vmas.vmas[i].name, "[v", 2) && g->vmas.vmas[i].end < TASK_END) {
			if (!g->special_start)
				g->special_start = g->vmas.vmas[i].start;
			g->special_end = g->vmas.vmas[i].end;
			continue;
		}
		g->guarded[g->nr_guarded++] = g->vmas.vmas[i].start;
		g->guarded[g->nr_guarded++] = g->vmas.vmas[i].end;
	}
}

void generator_release(struct generator *g)
{
	kernel_vmas_release(&g->vmas);
}

bool guarded(const struct generator *g, uint64_t start, uint64_t length)
{
	uint64_t end = start + length;

	start &= ~(PAGE - 1);
	if (end < start) /* the kernel refuses what wraps around */
		return false;
	end = (end + PAGE - 1) & ~(PAGE - 1);
	for (size_t i = 0; i < g->nr_guarded; i += 2)
		if (start < g->guarded[i + 1] && g->guarded[i] < end)
			return true;
	return false;
}

/* A mapping of the script's own, or NULL when there is none (or chance does not find it). */
const struct kernel_vma *pick_vma(struct generator *g)
{
	for (int tries = 0; tries < 8 && g->vmas.len; tries++) {
		const struct kernel_vma *vma = &g->vmas.vmas[below(g, g->vmas.len)];

		if (!guarded(g, vma->start, vma->end - vma->start))
			return vma;
	}
	return NULL;
}

uint64_t pick_address(struct generator *g, const struct kernel *kernel)
{
	static const uint64_t absurd[] = {
		0,          PAGE,     TASK_END - PAGE,      TASK_END, TASK_END + PAGE,
		1ULL << 63, 0 - PAGE, 0xffffffffff600000ULL};
	const struct kernel_vma *vma;
	uint64_t address;

	switch (below(g, 20)) {
	default:
		address = ARENA + below(g, g->arena_pages) * PAGE;
		break;
	case 9:
	case 10:
	case 11:
	case 12:
	case 13: /* about an edge of something that is there */
		vma = pick_vma(g);
		if (!vma)
			return ARENA;
		address = (chance(g, 50) ? vma->start : vma->end) + below(g, 5) * PAGE - 2 * PAGE;
		break;
	case 14:
	case 15: /* inside of something that is there */
		vma = pick_vma(g);
		if (!vma)
			return ARENA;
		address = vma->start + below(g, (vma->end - vma->start) / PAGE) * PAGE;
		break;
	case 16:
		address = kernel->bases.top + (below(g, 128) - 64) * PAGE;
		break;
	case 17:
		address = kernel->bases.brk + below(g, 24) * PAGE;
		break;
	case 18:
		if (chance(g, 80))
			return ARENA + below(g, g->arena_pages) * PAGE;
		address = kernel->bases.stack - below(g, 400) * PAGE;
		break;
	case 19:
		if (chance(g, 80))
			return ARENA + below(g, g->arena_pages) * PAGE;
		address = PICK(g, absurd);
		break;
	}
	if (chance(g, 2))
		address += 1 + below(g, PAGE - 1);
	return address;
}

static uint64_t pick_length(struct generator *g, uint64_t address)
{
	static const uint64_t absurd[] = {
		0, 0 - 1ULL, 0 - PAGE, 1ULL << 47, TASK_END, (1ULL << 47) + PAGE, 1ULL << 63};
	static const uint64_t large[] = {2ULL << 20, (2ULL << 20) + PAGE, 4ULL << 20, 1ULL << 20};

	static const uint64_t huge[] = {1ULL << 30,  8ULL << 30, 20ULL << 30, 24ULL << 30,
					32ULL << 30, 1ULL << 40, 1ULL << 45};

	if (chance(g, 2))
		return PICK(g, absurd);
	if (chance(g, 3))
		return PICK(g, large);
	if (g->past_end && chance(g, 2))
		return PICK(g, huge);
	if (chance(g, 2))
		return below(g, 16) * PAGE + below(g, PAGE);
	if (chance(g, 20)) /* to the end of what is there */
		for (size_t i = 0; i < g->vmas.len; i++)
			if (address < g->vmas.vmas[i].end && address >= g->vmas.vmas[i].start)
				return g->vmas.vmas[i].end - (address & ~(PAGE - 1));
	return (1 + below(g, chance(g, 70) ? 4 : 16)) * PAGE;
}

/* A range that mostly begins at what is there, and ends in it or beside it. */
void pick_range(struct generator *g, const struct kernel *kernel, uint64_t *address,
		uint64_t *length)
{
	const struct kernel_vma *vma = pick_vma(g);
	uint64_t pages;

	*address = pick_address(g, kernel);
	*length = pick_length(g, *address);
	if (!vma || chance(g, 30))
		return;
	pages = (vma->end - vma->start) / PAGE;
	*address = vma->start + (chance(g, 40) ? 0 : below(g, pages) * PAGE);
	if (chance(g, 40))
		*length = vma->end - *address;
	else if (chance(g, 70))
		*length = (1 + below(g, (vma->end - *address) / PAGE)) * PAGE;
}

static uint64_t pick_prot(struct generator *g)
{
	static const uint64_t usual[] = {
		PROT_READ | PROT_WRITE,
		PROT_READ | PROT_WRITE,
		PROT_READ | PROT_WRITE,
		PROT_READ,
		PROT_NONE,
		PROT_READ | PROT_EXEC,
	};

	if (chance(g, 90))
		return PICK(g, usual);
	return below(g, 8);
}

static struct step step_mmap(struct generator *g, const struct kernel *kernel)
{
	struct step step = {.op = OP_MMAP};
	static const uint64_t types[] = {MAP_PRIVATE, MAP_PRIVATE, MAP_PRIVATE,
					 MAP_PRIVATE, MAP_SHARED,  MAP_SHARED};
	static const uint64_t extras[] = {MAP_GROWSDOWN, MAP_GROWSDOWN, MAP_NORESERVE,
					  MAP_STACK,     MAP_DENYWRITE, MAP_EXECUTABLE,
					  MAP_LOCKED,    MAP_POPULATE,  MAP_POPULATE | MAP_NONBLOCK,
					  MAP_32BIT,     MAP_SYNC,      0x4000000,
					  0x40000000};
	static const uint64_t files[] = {FILE_RW,   FILE_RW,    FILE_RW,  FILE_RW2,
					 FILE_RO,   FILE_OTHER, FILE_MEM, FILE_MEM,
					 FILE_MEM2, FILE_MEMRO, FILE_RW,  FILE_RO};
	static const uint64_t odd_files[] = {FILE_WO,   FILE_SEALED, FILE_FUTURE, FILE_DIR,
					     FILE_PATH, FILE_NONE,   FILE_SEALED, FILE_FUTURE};
	uint64_t flags = PICK(g, types);
	const struct kernel_vma *vma;

	step.args[0] = chance(g, 20) ? 0 : pick_address(g, kernel);
	step.args[1] = pick_length(g, step.args[0]);
	if (g->huge_pages && chance(g, 15)) {
		step.args[0] = ARENA + below(g, 4) * HUGE_PAGE;
		step.args[1] = (1 + below(g, 2)) * HUGE_PAGE;
	}
	step.args[2] = pick_prot(g);
	if (chance(g, 2))
		flags = below(g, 16);
	if (chance(g, 2))
		flags = MAP_DROPPABLE;
	if (g->only_anonymous || chance(g, 45)) {
		flags |= MAP_ANONYMOUS;
		step.args[4] = FILE_NONE;
		if (chance(g, 5))
			step.args[5] = below(g, 4) * PAGE;
	} else {
		step.args[4] = chance(g, 92) ? PICK(g, files) : PICK(g, odd_files);
		step.args[5] = below(g, 24) * PAGE;
		/* Often at the offset that would continue a neighbour. */
		vma = pick_vma(g);
		if (vma && vma->ino && chance(g, 60)) {
			step.args[0] = vma->end;
			step.args[5] = vma->offset + (vma->end - vma->start);
			if (chance(g, 50))
				flags |= MAP_FIXED;
		}
		if (chance(g, 2))
			step.args[5] += 1 + below(g, PAGE - 1);
		if (g->past_end && chance(g, 2))
			step.args[5] = PICK(
				g, ((const uint64_t[]){0 - PAGE, 1ULL << 63, 0x7ffffffffffff000ULL,
						       0x7fffffffffffe000ULL}));
	}
	if (step.args[0] && chance(g, 60))
		flags |= MAP_FIXED;
	if (step.args[0] && chance(g, 8))
		flags |= MAP_FIXED_NOREPLACE;
	while (chance(g, 15)) {
		uint64_t extra = PICK(g, extras);

		if ((extra & MAP_LOCKED) && !g->locks)
			continue;
		if ((extra & MAP_POPULATE) && g->past_end)
			continue;
		flags |= extra;
	}
	step.args[3] = flags;
	return step;
}

static struct step step_mremap(struct generator *g, const struct kernel *kernel)
{
	struct step step = {.op = OP_MREMAP};
	static const uint64_t usual[] = {0,
					 MREMAP_MAYMOVE,
					 MREMAP_MAYMOVE,
					 MREMAP_MAYMOVE | MREMAP_FIXED,
					 MREMAP_MAYMOVE | MREMAP_FIXED,
					 MREMAP_MAYMOVE | MREMAP_FIXED,
					 MREMAP_MAYMOVE | MREMAP_DONTUNMAP,
					 MREMAP_MAYMOVE | MREMAP_DONTUNMAP | MREMAP_FIXED};
	const struct kernel_vma *vma = pick_vma(g);

	step.args[0] = pick_address(g, kernel);
	if (vma && chance(g, 60))
		step.args[0] =
			vma->start +
			(chance(g, 60) ? 0 : below(g, (vma->end - vma->start) / PAGE) * PAGE);
	step.args[1] = pick_length(g, step.args[0]);
	if (vma && chance(g, 30))
		step.args[1] = vma->end - (step.args[0] & ~(PAGE - 1));
	if (step.args[1] > 1ULL << 47 && chance(g, 80))
		step.args[1] = PAGE;
	if (chance(g, 5))
		step.args[1] = 0;
	step.args[2] = chance(g, 50) ? step.args[1] : pick_length(g, step.args[0]);
	step.args[3] = chance(g, 96) ? PICK(g, usual) : below(g, 16);
	step.args[4] = pick_address(g, kernel);
	return step;
}

static struct step step_madvise(struct generator *g, const struct kernel *kernel)
{
	struct step step = {.op = OP_MADVISE};
	static const uint64_t changing[] = {
		MADV_NORMAL,     MADV_RANDOM,    MADV_SEQUENTIAL, MADV_DONTFORK,   MADV_DOFORK,
		MADV_DONTDUMP,   MADV_DODUMP,    MADV_WIPEONFORK, MADV_KEEPONFORK, MADV_HUGEPAGE,
		MADV_NOHUGEPAGE, MADV_MERGEABLE, MADV_UNMERGEABLE};
	static const uint64_t others[] = {
		MADV_DONTNEED,      MADV_FREE,           MADV_REMOVE,
		MADV_WILLNEED,      MADV_COLD,           MADV_PAGEOUT,
		MADV_POPULATE_READ, MADV_POPULATE_WRITE, MADV_DONTNEED_LOCKED,
		MADV_GUARD_INSTALL, MADV_GUARD_REMOVE};

	pick_range(g, kernel, &step.args[0], &step.args[1]);
	if (chance(g, 60))
		step.args[2] = PICK(g, changing);
	else if (chance(g, 95))
		step.args[2] = PICK(g, others);
	else
		step.args[2] = below(g, 110);
	return step;
}

static struct step step_limit(struct generator *g, struct kernel *kernel, unsigned int process)
{
	struct step step = {.op = OP_LIMIT};
	struct kernel_stats stats = {0};

	kernel_read_stats(kernel, process, &stats);
	switch (below(g, 4)) {
	case 0:
		step.args[0] = RLIMIT_AS;
		step.args[1] = (stats.total_pages + below(g, 32)) * PAGE;
		break;
	case 1:
		step.args[0] = RLIMIT_DATA;
		step.args[1] = (stats.data_pages + below(g, 16)) * PAGE;
		break;
	case 2:
		step.args[0] = RLIMIT_MEMLOCK;
		step.args[1] = (stats.locked_pages + below(g, 16)) * PAGE;
		break;
	default:
		step.args[0] = RLIMIT_STACK;
		step.args[1] = below(g, 64) * PAGE;
		break;
	}
	if (chance(g, 30))
		step.args[1] = UINT64_MAX;
	if (chance(g, 5))
		step.args[1] = below(g, 1 << 20);
	return step;
}

static struct step step_lock(struct generator *g, const struct kernel *kernel)
{
	struct step step = {.op = OP_MLOCK};
	static const uint64_t all[] = {MCL_CURRENT, MCL_FUTURE, MCL_CURRENT | MCL_FUTURE,
				       MCL_FUTURE | MCL_ONFAULT, MCL_CURRENT | MCL_ONFAULT};

	pick_range(g, kernel, &step.args[0], &step.args[1]);
	switch (below(g, 12)) {
	case 0:
		step.op = OP_MLOCKALL;
		step.args[0] = chance(g, 90) ? PICK(g, all) : below(g, 10);
		break;
	case 1:
		step.op = OP_MUNLOCKALL;
		break;
	case 2:
	case 3:
	case 4:
	case 5:
		step.op = OP_MUNLOCK;
		break;
	case 6:
	case 7:
		step.op = OP_MLOCK2;
		step.args[2] = chance(g, 80) ? 1 : below(g, 4);
		break;
	default:
		break;
	}
	return step;
}

static struct step step_any(struct generator *g, struct kernel *kernel, unsigned int process)
{
	struct step step = {0};
	uint64_t dice = below(g, 100);

	if (g->pages && chance(g, 60))
		return step_of_pages(g, kernel, process);
	if (dice < 24)
		return step_mmap(g, kernel);
	if (dice < 38) {
		step.op = OP_MREMAP;
		return step_mremap(g, kernel);
	}
	if (dice < 52)
		return step_madvise(g, kernel);
	pick_range(g, kernel, &step.args[0], &step.args[1]);
	if (dice < 67) {
		step.op = chance(g, 75) ? OP_WRITE : OP_READ;
		step.args[1] = 0;
		return step;
	}
	if (dice < 73) {
		step.op = OP_MUNMAP;
	} else if (dice < 87) {
		step.op = OP_MPROTECT;
		step.args[2] = pick_prot(g);
		if (chance(g, 4))
			step.args[2] |= chance(g, 50) ? PROT_GROWSDOWN : 1ULL << below(g, 32);
	} else if (dice < 91) {
		step.op = OP_BRK;
		step.args[0] = kernel->bases.brk + below(g, 24) * PAGE;
		if (chance(g, 20))
			step.args[0] += below(g, PAGE);
		if (chance(g, 3))
			step.args[0] = pick_address(g, kernel);
	} else if (dice < 93) {
		step.op = OP_MSYNC;
		step.args[2] = below(g, 8);
		if (chance(g, 70)) /* writing back for good takes its time */
			step.args[2] &= ~(uint64_t)MS_SYNC;
	} else if (dice < 98) {
		if (g->locks)
			return step_lock(g, kernel);
		step.op = OP_MUNLOCK;
	} else if (dice < 99 && g->seals) {
		step.op = OP_MSEAL;
		step.args[2] = chance(g, 90) ? 0 : 1;
	} else if (g->limits) {
		return step_limit(g, kernel, process);
	} else if (chance(g, 10)) {
		step.op = OP_PERSONALITY;
		step.args[0] = chance(g, 50) ? READ_IMPLIES_EXEC : 0;
	} else {
		step.op = OP_WRITE;
	}
	return step;
}

static bool maps_files(const struct generator *g, uint64_t address, uint64_t length)
{
	for (size_t i = 0; i < g->vmas.len; i++)
		if (g->vmas.vmas[i].ino && address < g->vmas.vmas[i].end &&
		    (g->vmas.vmas[i].start <= address || g->vmas.vmas[i].start - address < length))
			return true;
	return false;
}

/* Does mremap make shared anonymous memory longer than its file is? */
static bool grows_shared_anonymous(const struct generator *g, const uint64_t *args)
{
	for (size_t i = 0; i < g->vmas.len; i++)
		if (args[0] >= g->vmas.vmas[i].start && args[0] < g->vmas.vmas[i].end)
			return args[2] > ((args[1] + PAGE - 1) & ~(PAGE - 1)) &&
			       !strncmp(g->vmas.vmas[i].name, "/dev/zero", 9);
	return false;
}

/* Is there a special mapping, [vdso] or [vvar], at the address? */
bool is_special(const struct generator *g, uint64_t address)
{
	for (size_t i = 0; i < g->vmas.len; i++)
		if (address >= g->vmas.vmas[i].start && address < g->vmas.vmas[i].end)
			return !strncmp(g->vmas.vmas[i].name, "[v", 2);
	return false;
}

/* May the step be made: does it leave alone what the executor needs? */
static bool harmless(const struct generator *g, const struct step *step)
{
	const uint64_t *args = step->args;

	switch (step->op) {
	case OP_MMAP:
		/* The kernel counts shared memory where the model does not make it. */
		if (args[1] > 1ULL << 29 && args[1] <= 1ULL << 46 &&
		    (!g->past_end ||
		     (args[3] & (MAP_SHARED | MAP_ANONYMOUS)) == (MAP_SHARED | MAP_ANONYMOUS)))
			return false;
		if (g->pages_out && (args[3] & MAP_TYPE) == MAP_DROPPABLE)
			return false; /* see PAGEOUT */
		return !(args[3] & MAP_FIXED) || args[1] > TASK_END - args[0] ||
		       (args[3] & MAP_FIXED_NOREPLACE) || !guarded(g, args[0], args[1]);
	case OP_MREMAP:
		if (g->pages && args[0] < g->special_end &&
		    (args[1] > TASK_END || args[0] + args[1] > g->special_start))
			return false; /* [vdso] has contents, which are not ours to know */
		if (grows_shared_anonymous(g, args) && !g->past_end && !g->pages)
			return false;
		/* The destination goes first, whatever becomes of the rest. */
		if ((args[3] & (MREMAP_FIXED | MREMAP_DONTUNMAP)) &&
		    args[2] <= TASK_END - args[4] && guarded(g, args[4], args[2]))
			return false;
		return args[1] > TASK_END || args[2] > TASK_END ||
		       !guarded(g, args[0], args[1] ? args[1] : PAGE);
	case OP_MUNMAP:
		return args[1] > TASK_END - args[0] || !guarded(g, args[0], args[1]);
	case OP_READ: /* special mappings, and page 0, may fail in ways of their own */
	case OP_WRITE:
		return args[0] >= PAGE && !is_special(g, args[0]) &&
		       (!g->pages || !guarded(g, args[0], 1));
	case OP_MADVISE:
		/*
		 * What is populated must be there, and guards keep it from being populated. A
		 * touch that fails at both cannot be told apart.
		 */
		if (args[2] == MADV_GUARD_INSTALL && (g->locks || g->past_end) && !g->pages)
			return false;
		if ((args[2] == MADV_POPULATE_READ || args[2] == MADV_POPULATE_WRITE) &&
		    (g->past_end || !g->locks) && !g->pages)
			return false;
		/*
		 * Where there can be no huge pages, the kernel refuses to make some. One of a file
		 * lets its guest touch what lies past the file's end.
		 */
		if (g->pages && args[2] == MADV_COLLAPSE &&
		    (!g->huge_pages || maps_files(g, args[0], args[1])))
			return false;
		/* What was freed lazily goes when it is paged out, but not always at once. */
		if (g->pages && args[2] == (g->pages_out ? MADV_FREE : MADV_PAGEOUT))
			return false;
		return !guarded(g, args[0], args[1]);
	case OP_MPROTECT:
	case OP_MSEAL:
		return !guarded(g, args[0], args[1]);
	default:
		return harmless_of_pages(g, step);
	}
}

struct step generator_next(struct generator *g, struct kernel *kernel)
{
	unsigned int process = 0;
	struct step step;

	if (g->forks)
		process = (unsigned int)below(g, EXECUTOR_MAX_PROCESSES);
	while (!kernel->alive[process])
		process = (process + 1) % EXECUTOR_MAX_PROCESSES;
	kernel_vmas_parse(&g->vmas, kernel->process[process].maps);
	if (g->forks && chance(g, 2)) {
		unsigned int child = 0, living = 0;

		for (unsigned int i = 0; i < EXECUTOR_MAX_PROCESSES; i++) {
			if (kernel->alive[i])
				living++;
			else
				child = i;
		}
		if (child && chance(g, 70)) {
			step = (struct step){.op = OP_FORK, .args = {child}};
			step.process = process;
			return step;
		}
		if (living > 1) {
			step = (struct step){.op = OP_EXIT, .process = process};
			return step;
		}
	}
	do
		step = step_any(g, kernel, process);
	while (!harmless(g, &step));
	step.process = process;
	return step;
}
