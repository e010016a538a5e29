/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls whose exit need not be seen. (How such a call is told, by a stop or by a notice, is the
 * engine's affair: platform/ptrace/notices.h.)
 *
 * A stop costs more than most calls. Where the model says that a call will succeed, and success
 * shows in maps, the program is not stopped at the call's exit: at the thread's next stop, or when
 * another thread of the space wants to make a call, the maps are compared at the addresses of the
 * call. They are as predicted only if the kernel has done what was predicted, at the address that
 * was predicted; then the result was the predicted one too.
 *
 * Watched as ever: calls that the model says will fail, calls whose success maps does not show,
 * calls without rules, and some of each kind, which tell how long the calls take. All are watched
 * when every call's result or duration is asked for (--strict, --log, --stacks), when the whole is
 * compared after every call (--whole), and in a process that was attached to, which stops at every
 * exit anyway. So it is once a difference was found: of an unwatched call the error is not known.
 */
#include <sys/mman.h>

#include "trace/trace.h"

/* Of each kind of call, those whose exit is seen, to know how long they take. */
#define WATCHED_AT_FIRST 2u
#define WATCHED_OF       16u

#define PERMISSIONS (MEMMAP_VM_READ | MEMMAP_VM_WRITE | MEMMAP_VM_EXEC)

static uint64_t permissions(uint64_t prot)
{
	return (prot & PROT_READ ? MEMMAP_VM_READ : 0) | (prot & PROT_WRITE ? MEMMAP_VM_WRITE : 0) |
	       (prot & PROT_EXEC ? MEMMAP_VM_EXEC : 0);
}

/* Something else may be there already, and may look as what is asked for will. */
static bool fixed_mmap_shows(struct memmap_mm *mm, const uint64_t args[6])
{
	struct memmap_vma vma;
	if (!memmap_mm_find_vma(mm, args[0], &vma) || vma.range.start > args[0])
		return true;
	if ((vma.flags & PERMISSIONS) != permissions(args[2]))
		return true;
	/* What is shared gets a file of its own, whose number is seen later. */
	if (args[3] & MAP_ANONYMOUS)
		return !(args[3] & MAP_SHARED) && vma.mappable != NULL;
	return !vma.mappable || vma.offset + (args[0] - vma.range.start) != args[5];
}

static bool same_pages(uint64_t a, uint64_t b)
{
	return memmap_page_round_up(a, &a) && memmap_page_round_up(b, &b) && a == b;
}

static bool brk_shows(struct memmap_mm *mm, uint64_t wanted)
{
	const struct memmap_mm_layout layout = memmap_mm_get_layout(mm);
	return wanted >= layout.start_brk && !same_pages(layout.brk, wanted);
}

bool call_shows(const struct thread *thread)
{
	struct memmap_mm *mm = thread->process->space->mm;
	const uint64_t *args = thread->call.args;
	struct memmap_vma vma;
	switch (thread->id) {
	case CALL_MMAP:
		return !(args[3] & MAP_FIXED) || fixed_mmap_shows(mm, args);
	case CALL_MUNMAP:
		return memmap_mm_find_vma(mm, args[0], &vma) &&
		       (vma.range.start <= args[0] || vma.range.start - args[0] < args[1]);
	case CALL_MPROTECT:
		return args[1] > 0 && memmap_mm_find_vma(mm, args[0], &vma) &&
		       vma.range.start <= args[0] &&
		       (vma.flags & PERMISSIONS) != permissions(args[2]);
	case CALL_MREMAP:
		return !same_pages(args[1], args[2]);
	case CALL_BRK:
		return brk_shows(mm, args[0]);
	default:
		return false;
	}
}

bool all_are_watched(const struct trace_options *options)
{
	return options->strict || options->log_path || options->stacks || options->pid;
}

bool may_go_unwatched(const struct trace *trace, const struct thread *thread, bool shows)
{
	const uint64_t nr = trace->calls.made[thread->id];
	if (thread->mode != MIRROR_DONE || !shows || thread->predicted < 0)
		return false;
	if (all_are_watched(trace->options) || trace->counts.differences > 0)
		return false;
	/* Only the whole will tell: others would have to halt it to know that it was made. */
	if (!check_near_decides(trace, thread->process->space))
		return false;
	/* The kernel answers a break that cannot be with the one that is. */
	if (thread->id == CALL_BRK && thread->predicted != (int64_t)thread->call.args[0])
		return false;
	return nr >= WATCHED_AT_FIRST && nr % WATCHED_OF != 0;
}
