/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory calls, made by the model.
 *
 * The model makes a call at its entry, before the kernel does: what decides how VMAs merge (which
 * of them have anonymous pages) can be asked of the kernel then, and not any more when the call has
 * taken pages away. A call whose outcome rests on something that cannot be known beforehand is made
 * at its exit, with the kernel's result. Calls without rules are not made: take_over.c looks at
 * what has become of the address space.
 */
#include <errno.h>
#include <linux/mman.h>
#include <linux/prctl.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/shm.h>
#include <sys/stat.h>

#include <platform/ptrace/open_file.h>

#include "trace/trace.h"

/* Where MAP_32BIT places: see mmap(2). */
#define LOW_START UINT64_C(0x40000000)
#define LOW_END   UINT64_C(0x80000000)

#define PR_SET_MDWE        65
#define PR_MDWE_NO_INHERIT 2

/*
 * ---- mmap ----
 */

static int create_shared(void *context, uint64_t length, struct memmap_mmap_file *out)
{
	(void)length;
	struct opened_file *opened;
	int err = files_shared_anonymous(context, &opened);
	if (!err)
		*out = opened->facts;
	return err;
}

static int64_t model_mmap(struct trace *trace, struct thread *thread, uint64_t addr, uint64_t flags,
			  const struct opened_file *opened)
{
	const uint64_t *args = thread->call.args;
	const struct memmap_shared_anonymous shared = {trace->files, create_shared};
	const uint64_t before = memmap_monotonic_ns();
	const int64_t result =
		memmap_mm_sys_mmap(thread->process->space->mm, addr, args[1], args[2], flags,
				   opened ? &opened->facts : NULL, args[5], &shared);
	trace->model_ns += memmap_monotonic_ns() - before;
	return result;
}

/* Does the kernel place it at random, for MAP_32BIT? */
static bool is_placed_low(const struct thread *thread)
{
	return (thread->call.args[3] & MAP_32BIT) && thread->predicts_address &&
	       !(thread->process->personality & ADDR_NO_RANDOMIZE);
}

static enum mirror_mode mmap_entry(struct trace *trace, struct thread *thread)
{
	const uint64_t *args = thread->call.args, flags = args[3];
	struct process *process = thread->process;
	struct opened_file *opened = NULL;
	enum mirror_mode mode = MIRROR_DONE;
	if ((flags & MAP_HUGETLB) && (flags & MAP_ANONYMOUS)) {
		const int pool = memmap_kernel_huge_pool(flags >> MAP_HUGE_SHIFT & MAP_HUGE_MASK);
		if (pool < 0)
			thread->predicted = -EINVAL;
		if (pool != 0 || (flags & MAP_NORESERVE))
			return pool < 0 ? MIRROR_DONE : MIRROR_ADOPT;
	}
	const bool is_low =
		(flags & (MAP_FIXED | MAP_FIXED_NOREPLACE)) && args[0] < trace->min_addr;
	if ((flags & MAP_LOCKED) || (is_low && process->credentials_stale)) {
		process_refresh_credentials(process);
		process_use_limits(process);
	}
	thread->predicts_address = !(flags & (MAP_FIXED | MAP_FIXED_NOREPLACE));
	if (!(flags & MAP_ANONYMOUS)) {
		int err = files_open(trace->files, process->pid, (int)args[4], &opened);
		if (err && err != -EBADF)
			return MIRROR_ADOPT;
	}
	if (opened && opened->class == FILE_PECULIAR)
		mode = MIRROR_ADOPT;
	else if ((opened && opened->class == FILE_URING) || is_placed_low(thread))
		mode = MIRROR_AT_EXIT;
	else
		thread->predicted = model_mmap(trace, thread, args[0], flags, opened);
	if (opened)
		opened_file_put(opened);
	return mode;
}

/*
 * MAP_32BIT places at random. Where the kernel has placed it within the rules, the model places it
 * there as well; otherwise the model places it by its own lights, and the difference shows.
 */
static void place_low(struct thread *thread, uint64_t *addr, uint64_t *flags)
{
	const uint64_t result = (uint64_t)thread->call.result;
	thread->predicts_address = false;
	if (thread->call.result > 0 && result >= LOW_START && result < LOW_END &&
	    thread->call.args[1] <= LOW_END - result) {
		*addr = result;
		*flags = (*flags & ~(uint64_t)MAP_32BIT) | MAP_FIXED_NOREPLACE;
	}
}

/* What could not be known when the call was made: io_uring's size, and where chance places. */
static void mmap_exit(struct trace *trace, struct thread *thread)
{
	const uint64_t *args = thread->call.args;
	uint64_t addr = args[0], flags = args[3];
	struct opened_file *opened = NULL;
	if (!(flags & MAP_ANONYMOUS) &&
	    files_open(trace->files, thread->process->pid, (int)args[4], &opened))
		opened = NULL;
	if (is_placed_low(thread))
		place_low(thread, &addr, &flags);
	/* Of io_uring nothing is mapped where it is asked to be. */
	if (opened && opened->class == FILE_URING && thread->call.result < 0)
		thread->predicted = thread->call.result;
	else if (opened && opened->class == FILE_URING && addr != 0)
		thread->predicted = -EINVAL;
	else
		thread->predicted = model_mmap(trace, thread, addr, flags, opened);
	if (opened)
		opened_file_put(opened);
}

/*
 * ---- System V shared memory ----
 */

static void shmat_exit(struct trace *trace, struct thread *thread)
{
	const uint64_t *args = thread->call.args;
	struct memmap_mm *mm = thread->process->space->mm;
	uint64_t size;
	uint32_t key;
	struct opened_file *opened;
	if (memmap_shm_segment((int)args[0], &size, &key) ||
	    files_shm(trace->files, (int)args[0], key, &opened)) {
		thread->mode = MIRROR_ADOPT;
		return;
	}
	uint64_t prot = PROT_READ, flags = MAP_SHARED, addr = args[1];
	if (!(args[2] & SHM_RDONLY))
		prot |= PROT_WRITE;
	if (args[2] & SHM_EXEC)
		prot |= PROT_EXEC;
	if (addr) {
		if (args[2] & SHM_RND)
			addr = memmap_page_round_down(addr);
		flags |= args[2] & SHM_REMAP ? MAP_FIXED : MAP_FIXED_NOREPLACE;
	}
	opened->facts.writable = (prot & PROT_WRITE) != 0;
	thread->predicts_address = addr == 0;
	thread->predicted =
		memmap_mm_sys_mmap(mm, addr, size, prot, flags, &opened->facts, 0, NULL);
	opened_file_put(opened);
}

/* Detach every part of the segment that is attached at the address, wherever it was cut. */
static void shmdt_exit(struct thread *thread)
{
	struct memmap_mm *mm = thread->process->space->mm;
	const uint64_t addr = thread->call.args[0];
	struct memmap_vma vma;
	struct memmap_mappable *segment = NULL;
	thread->predicted = -EINVAL;
	for (uint64_t at = addr; memmap_mm_find_vma(mm, at, &vma); at = vma.range.end) {
		if (!vma.mappable || vma.range.start < addr ||
		    vma.range.start - addr != vma.offset || (segment && vma.mappable != segment))
			continue;
		segment = vma.mappable;
		thread->predicted = memmap_mm_sys_munmap(mm, vma.range.start,
							 memmap_addr_range_length(vma.range));
		if (thread->predicted)
			return;
	}
}

/*
 * ---- remap_file_pages ----
 */

/* Do the VMAs of one file, alike and side by side, reach to `end` from `vma` on? */
static bool reaches(const struct memmap_mm *mm, const struct memmap_vma *vma, uint64_t end)
{
	struct memmap_vma at = *vma, next;
	while (at.range.end < end) {
		if (!memmap_mm_find_vma(mm, at.range.end, &next) ||
		    next.range.start != at.range.end || next.identity != vma->identity ||
		    next.flags != vma->flags)
			return false;
		at = next;
	}
	return true;
}

/* Linux maps the pages anew, as mmap(2) would, through the same open file. */
static int64_t model_remap_file_pages(struct memmap_mm *mm, const uint64_t *args)
{
	const uint64_t start = memmap_page_round_down(args[0]);
	const uint64_t size = memmap_page_round_down(args[1]), page = args[3];
	struct memmap_vma vma;
	if (args[2] || start + size <= start || page + (size >> MEMMAP_PAGE_SHIFT) < page ||
	    !memmap_mm_find_vma(mm, start, &vma) || vma.range.start > start ||
	    !(vma.flags & MEMMAP_VM_SHARED) || !vma.identity || !reaches(mm, &vma, start + size))
		return -EINVAL;
	uint64_t prot = 0, flags = MAP_SHARED | MAP_FIXED | MAP_POPULATE;
	if (vma.flags & MEMMAP_VM_READ)
		prot |= PROT_READ;
	if (vma.flags & MEMMAP_VM_WRITE)
		prot |= PROT_WRITE;
	if (vma.flags & MEMMAP_VM_EXEC)
		prot |= PROT_EXEC;
	if (vma.flags & MEMMAP_VM_LOCKED)
		flags |= MAP_LOCKED;
	flags |= args[4] & MAP_NONBLOCK;
	if (page > UINT64_MAX >> MEMMAP_PAGE_SHIFT)
		return -EOVERFLOW;
	struct opened_file *opened = opened_file_of(vma.identity);
	opened->nr_references++;
	const int64_t result = memmap_mm_sys_mmap(mm, start, size, prot, flags, &opened->facts,
						  page << MEMMAP_PAGE_SHIFT, NULL);
	opened_file_put(opened);
	return result < 0 ? result : 0;
}

/*
 * ---- prctl ----
 */

#ifndef PR_SET_VMA
#	define PR_SET_VMA           0x53564d41
#	define PR_SET_VMA_ANON_NAME 0
#endif

/* Names of anonymous memory; the other forms have no rules. */
static enum mirror_mode prctl_entry(const struct trace *trace, struct thread *thread)
{
	const uint64_t *args = thread->call.args;
	char name[MEMMAP_ANON_NAME_SIZE + 1];
	if ((uint32_t)args[0] == PR_SET_MDWE)
		return MIRROR_NOTHING;
	if ((uint32_t)args[0] == PR_SET_MM)
		return MIRROR_AT_EXIT;
	if ((uint32_t)args[0] != PR_SET_VMA)
		return MIRROR_ADOPT;
	if (!trace->has_anon_names || args[1] != PR_SET_VMA_ANON_NAME) {
		thread->predicted = -EINVAL;
		return MIRROR_DONE;
	}
	if (args[4] && memmap_process_read_string(thread->task->tid, args[4], name, sizeof(name)))
		return MIRROR_ADOPT;
	thread->predicted = memmap_mm_sys_prctl_set_vma(thread->process->space->mm, args[2],
							args[3], args[4] ? name : NULL);
	return MIRROR_DONE;
}

/*
 * ---- Facts that calls change ----
 */

/* prctl(PR_SET_MDWE) holds for all who share the address space. */
static void deny_write_exec(struct trace *trace, const struct thread *thread)
{
	for (struct process *process = trace->processes; process; process = process->next) {
		if (process->space != thread->process->space)
			continue;
		process->limits.deny_write_exec = true;
		process->denial_ends = (thread->call.args[1] & PR_MDWE_NO_INHERIT) != 0;
	}
	thread->process->space->limits_of = NULL;
}

/*
 * prlimit() names whom it is about as the caller's PID namespace numbers it, and any thread will
 * do: it is rare enough to ask for the limits of all.
 */
static void limits_exit(struct trace *trace, struct thread *thread)
{
	if (thread->id == CALL_PRCTL) {
		if (thread->call.result == 0)
			deny_write_exec(trace, thread);
		return;
	}
	if (thread->id != CALL_PRLIMIT64 || thread->call.args[0] == 0) {
		process_refresh_limits(thread->process);
		return;
	}
	for (struct process *process = trace->processes; process; process = process->next)
		if (!process->ended)
			process_refresh_limits(process);
}

/* PR_SET_MM_MAP moves all marks of the heap and the stack at once. False: not as the model can. */
static bool set_marks(const struct thread *thread)
{
	struct prctl_mm_map marks;
	struct memmap_mm *mm = thread->process->space->mm;
	struct memmap_mm_layout layout = memmap_mm_get_layout(mm);
	if (memmap_process_read(thread->task->tid, thread->call.args[2], &marks, sizeof(marks)))
		return false;
	layout.start_brk = marks.start_brk;
	layout.brk = marks.brk;
	layout.start_stack = marks.start_stack;
	layout.start_code = marks.start_code;
	layout.end_code = marks.end_code;
	layout.start_data = marks.start_data;
	layout.end_data = marks.end_data;
	return memmap_mm_set_layout(mm, &layout) == 0;
}

/* The other forms of PR_SET_MM move one mark each: read what the kernel shows of them. */
static void read_marks(const struct thread *thread)
{
	struct memmap_process_layout found;
	struct memmap_mm *mm = thread->process->space->mm;
	if (memmap_process_layout(thread->process->pid, &found))
		return;
	struct memmap_mm_layout layout = memmap_mm_get_layout(mm);
	layout.start_brk = found.start_brk;
	layout.start_stack = found.start_stack;
	layout.start_code = found.start_code;
	layout.end_code = found.end_code;
	layout.start_data = found.start_data;
	layout.end_data = found.end_data;
	(void)memmap_mm_set_layout(mm, &layout);
}

static void set_mm_exit(struct thread *thread)
{
	const uint64_t form = thread->call.args[1];
	thread->predicted = thread->call.result;
	if (thread->call.result != 0 || form == PR_SET_MM_MAP_SIZE ||
	    (form == PR_SET_MM_MAP && set_marks(thread)))
		return;
	read_marks(thread);
	thread->mode = MIRROR_ADOPT;
}

/* The break of a process that was attached to is seen for the first time. */
static void brk_exit(const struct thread *thread)
{
	struct space *space = thread->process->space;
	struct memmap_mm_layout layout = memmap_mm_get_layout(space->mm);
	layout.brk = (uint64_t)thread->call.result;
	space->brk_unknown = memmap_mm_set_layout(space->mm, &layout) != 0;
}

/*
 * ---- All calls ----
 */

/*
 * The call's outcome can depend on how far a stack has grown, when it is about addresses at a
 * stack, or counts against a limit of the whole.
 */
static void follow_growth(struct trace *trace, const struct thread *thread)
{
	const uint64_t addr = memmap_page_round_down(thread->call.args[0]);
	struct space *space = thread->process->space;
	struct memmap_vma vma;
	if (thread->process->limits.address_space != UINT64_MAX || thread->id == CALL_MLOCKALL ||
	    trace->cannot_query) {
		if (check_capture(space))
			check_growth(trace, space);
	} else if (thread->id != CALL_BRK && addr != 0 &&
		   memmap_mm_find_vma(space->mm, addr, &vma) && (vma.flags & MEMMAP_VM_GROWSDOWN)) {
		check_growth_of(space, &vma);
	}
}

/* Could a VMA have anonymous pages that the model has not been told of? */
static bool is_open(const struct trace *trace, const struct memmap_vma *vma)
{
	const uint64_t written = MEMMAP_VM_WRITE | MEMMAP_VM_ACCOUNT | MEMMAP_VM_NORESERVE;
	if (vma->anon_vma != 0 || (vma->flags & MEMMAP_VM_MAYSHARE) || vma->name)
		return false;
	return (vma->flags & written) || (trace->machine.no_zero_page && !vma->identity);
}

/* Memory that is only reserved gets no pages by itself. */
static bool gets_no_pages(const struct memmap_vma *vma)
{
	return !(vma->flags & (MEMMAP_VM_READ | MEMMAP_VM_WRITE | MEMMAP_VM_EXEC |
			       MEMMAP_VM_UFFD_MISSING | MEMMAP_VM_UFFD_WP | MEMMAP_VM_UFFD_MINOR));
}

/*
 * Tell the model of the anonymous pages in the VMAs that a call is about to cut, move or empty, and
 * in those beside them. They decide which VMAs may merge from now on; once pages are gone, or
 * neighbours are no longer side by side, the kernel cannot be asked any more.
 */
void settle_anonymous(const struct trace *trace, struct space *space, uint64_t addr,
		      uint64_t length)
{
	struct memmap_vma vma;
	struct memmap_addr_range range;
	if (!memmap_addr_to_range(memmap_page_round_down(addr), length, &range) || length == 0 ||
	    range.end > memmap_mm_get_layout(space->mm).task_size)
		return;
	for (uint64_t at = range.start > 0 ? range.start - 1 : 0;
	     memmap_mm_find_vma(space->mm, at, &vma) && vma.range.start <= range.end;
	     at = vma.range.end) {
		if (!is_open(trace, &vma))
			continue;
		if (space_has_anonymous(space, vma.range))
			memmap_mm_note_anonymous(space->mm, vma.range);
		else if (gets_no_pages(&vma))
			space_note_empty(space, vma.range);
	}
}

static struct memmap_addr_range range_at(uint64_t addr, uint64_t length)
{
	struct memmap_addr_range range = {0, 0};
	uint64_t end;
	if (!memmap_addr_to_range(addr, length, &range) || !memmap_page_round_up(range.end, &end))
		return (struct memmap_addr_range){0, 0};
	range.start = memmap_page_round_down(range.start);
	range.end = end;
	return range;
}

/* Where a call is about to cut, move or empty VMAs: at two places at most, empty where unused. */
struct place {
	uint64_t addr, length;
};

static void places_changed(const struct thread *thread, struct place places[2])
{
	const uint64_t *args = thread->call.args;
	struct space *space = thread->process->space;
	places[0] = places[1] = (struct place){0, 0};
	switch (thread->id) {
	case CALL_MMAP:
		if (args[3] & MAP_FIXED)
			places[0] = (struct place){args[0], args[1]};
		break;
	case CALL_MUNMAP:
	case CALL_MPROTECT:
	case CALL_PKEY_MPROTECT:
	case CALL_MADVISE:
	case CALL_MBIND:
		places[0] = (struct place){args[0], args[1]};
		break;
	case CALL_IOCTL: {
		const struct memmap_addr_range range = userfault_range(thread);
		places[0] = (struct place){range.start, range.end - range.start};
		break;
	}
	case CALL_IO_DESTROY:
		places[0] = (struct place){args[0], ring_size_at(space, args[0])};
		break;
	case CALL_MREMAP:
		places[0] = (struct place){args[0], args[1]};
		if (args[3] & MREMAP_FIXED)
			places[1] = (struct place){args[4], args[2]};
		break;
	case CALL_BRK: {
		const struct memmap_mm_layout layout = memmap_mm_get_layout(space->mm);
		if (args[0] >= layout.start_brk && args[0] < layout.brk)
			places[0] = (struct place){args[0], layout.brk - args[0]};
		break;
	}
	default:
		break;
	}
}

static enum mirror_mode make_call(struct trace *trace, struct thread *thread)
{
	struct memmap_mm *mm = thread->process->space->mm;
	const uint64_t *args = thread->call.args;
	int64_t *predicted = &thread->predicted;
	switch (thread->id) {
	case CALL_MMAP:
		return mmap_entry(trace, thread);
	case CALL_MUNMAP:
		*predicted = memmap_mm_sys_munmap(mm, args[0], args[1]);
		return MIRROR_DONE;
	case CALL_PKEY_MPROTECT:
		if (trace->has_protection_keys && (int)args[3] != -1)
			return MIRROR_ADOPT;
		*predicted =
			memmap_mm_sys_pkey_mprotect(mm, args[0], args[1], args[2], (int)args[3]);
		return MIRROR_DONE;
	case CALL_MPROTECT:
		*predicted = memmap_mm_sys_mprotect(mm, args[0], args[1], args[2]);
		return MIRROR_DONE;
	case CALL_MREMAP:
		thread->predicts_address = !(args[3] & MREMAP_FIXED);
		*predicted = memmap_mm_sys_mremap(mm, args[0], args[1], args[2], args[3], args[4]);
		if (*predicted == (int64_t)args[0])
			thread->predicts_address = false;
		return MIRROR_DONE;
	case CALL_BRK:
		if (thread->process->space->brk_unknown)
			return MIRROR_ADOPT;
		*predicted = memmap_mm_sys_brk(mm, args[0]);
		return MIRROR_DONE;
	case CALL_MADVISE:
		*predicted = memmap_mm_sys_madvise(mm, args[0], args[1], (int)args[2]);
		return MIRROR_DONE;
	case CALL_PROCESS_MADVISE:
		return process_madvise_entry(trace, thread);
	case CALL_MSYNC:
		*predicted = memmap_mm_sys_msync(mm, args[0], args[1], args[2]);
		return MIRROR_DONE;
	case CALL_MLOCK:
		*predicted = memmap_mm_sys_mlock(mm, args[0], args[1]);
		return MIRROR_DONE;
	case CALL_MLOCK2:
		*predicted = memmap_mm_sys_mlock2(mm, args[0], args[1], args[2]);
		return MIRROR_DONE;
	case CALL_MUNLOCK:
		*predicted = memmap_mm_sys_munlock(mm, args[0], args[1]);
		return MIRROR_DONE;
	case CALL_MLOCKALL:
		*predicted = memmap_mm_sys_mlockall(mm, args[0]);
		return MIRROR_DONE;
	case CALL_MUNLOCKALL:
		*predicted = memmap_mm_sys_munlockall(mm);
		return MIRROR_DONE;
	case CALL_MSEAL:
		*predicted = memmap_mm_sys_mseal(mm, args[0], args[1], args[2]);
		return MIRROR_DONE;
	case CALL_REMAP_FILE_PAGES:
		*predicted = model_remap_file_pages(mm, args);
		return MIRROR_DONE;
	case CALL_PRCTL:
		return prctl_entry(trace, thread);
	case CALL_IO_SETUP:
		return io_setup_entry(thread);
	case CALL_MBIND:
		return mbind_entry(trace, thread);
	case CALL_SHMAT:
	case CALL_SHMDT:
	case CALL_IO_DESTROY:
	case CALL_IOCTL:
		return MIRROR_AT_EXIT;
	case CALL_SETRLIMIT:
	case CALL_PRLIMIT64:
	case CALL_PERSONALITY:
	case CALL_PTRACE:
	case CALL_SECCOMP:
		return MIRROR_NOTHING;
	default:
		return MIRROR_ADOPT;
	}
}

void mirror_entry(struct trace *trace, struct thread *thread)
{
	thread->predicts_address = false;
	thread->predicted = 0;
	switch (thread->id) {
	case CALL_MLOCK:
	case CALL_MLOCK2:
	case CALL_MLOCKALL:
	case CALL_SHMAT:
		process_refresh_credentials(thread->process);
		break;
	default:
		break;
	}
	struct space *space = thread->process->space;
	process_use_limits(thread->process);
	userfaults_follow(trace, space);
	follow_growth(trace, thread);
	struct place places[2];
	places_changed(thread, places);
	for (size_t i = 0; i < 2; i++)
		settle_anonymous(trace, space, places[i].addr, places[i].length);
	const bool shows = call_shows(thread);
	const uint64_t before = memmap_monotonic_ns();
	thread->mode = make_call(trace, thread);
	/* mmap() looks at files first, and measures the model by itself. */
	if (thread->id != CALL_MMAP)
		trace->model_ns += memmap_monotonic_ns() - before;
	for (size_t i = 0; i < 2; i++)
		space_forget_empty(space, range_at(places[i].addr, places[i].length));
	thread->unwatched = may_go_unwatched(trace, thread, shows);
}

void mirror_exit(struct trace *trace, struct thread *thread)
{
	if (thread->mode == MIRROR_NOTHING) {
		if (thread->id == CALL_PTRACE && thread->call.result < 0)
			trace_refused_tracing(trace, thread);
		else if (thread->id == CALL_SECCOMP && thread->call.result == -EBUSY)
			trace_refused_supervising(trace, thread);
		else if (thread->id != CALL_PTRACE && thread->id != CALL_SECCOMP)
			limits_exit(trace, thread);
		return;
	}
	if (thread->mode == MIRROR_ADOPT && thread->id == CALL_BRK)
		brk_exit(thread);
	if (thread->mode != MIRROR_AT_EXIT)
		return;
	if (thread->id == CALL_MMAP) {
		mmap_exit(trace, thread);
	} else if (thread->id == CALL_IO_SETUP) {
		io_setup_exit(trace, thread);
	} else if (thread->id == CALL_IO_DESTROY) {
		io_destroy_exit(thread);
	} else if (thread->id == CALL_MBIND) {
		mbind_exit(thread);
	} else if (thread->id == CALL_IOCTL) {
		ioctl_exit(trace, thread);
	} else if (thread->id == CALL_PRCTL) {
		set_mm_exit(thread);
	} else if (thread->call.result < 0 && thread->call.result > -4096) {
		/* What made it fail has nothing to do with the address space: nothing changed. */
		thread->predicted = thread->call.result;
	} else if (thread->id == CALL_SHMAT) {
		shmat_exit(trace, thread);
	} else {
		shmdt_exit(thread);
	}
}

/*
 * ---- What a call was about ----
 */

void mirror_touched(const struct thread *thread, struct memmap_addr_range touched[2])
{
	const uint64_t *args = thread->call.args, result = (uint64_t)thread->call.result;
	const bool failed = thread->call.result < 0 && thread->call.result > -4096;
	touched[0] = touched[1] = (struct memmap_addr_range){0, 0};
	switch (thread->id) {
	case CALL_MMAP:
		if (!failed)
			touched[0] = range_at(result, args[1]);
		break;
	case CALL_MREMAP:
		touched[0] = range_at(args[0], args[1] > args[2] ? args[1] : args[2]);
		if (!failed)
			touched[1] = range_at(result, args[2]);
		break;
	case CALL_MUNMAP:
	case CALL_MPROTECT:
	case CALL_PKEY_MPROTECT:
	case CALL_MADVISE:
	case CALL_MLOCK:
	case CALL_MLOCK2:
	case CALL_MUNLOCK:
	case CALL_MSEAL:
	case CALL_REMAP_FILE_PAGES:
	case CALL_MBIND:
		touched[0] = range_at(args[0], args[1]);
		break;
	case CALL_PRCTL:
		if ((uint32_t)args[0] == PR_SET_VMA)
			touched[0] = range_at(args[2], args[3]);
		else
			touched[0] = HISTORY_EVERYWHERE;
		break;
	case CALL_MSYNC:
	case CALL_PTRACE:
	case CALL_SECCOMP:
		break;
	case CALL_BRK: {
		const uint64_t start = memmap_mm_get_layout(thread->process->space->mm).start_brk;
		/* The break may have gone either way: look at the heap and what follows it. */
		if (result >= start && args[0] != 0)
			touched[0] = range_at(start, result - start + MEMMAP_PAGE_SIZE);
		break;
	}
	default:
		touched[0] = HISTORY_EVERYWHERE;
		break;
	}
}
