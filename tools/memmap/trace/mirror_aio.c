/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rings of io_setup(2): a shared mapping of a file of the kernel's own, large enough for twice
 * as many events as were asked for. Its address is the number of the context.
 *
 * How many rings there are in the whole system decides, too, whether there may be one more; so the
 * model makes the call at its exit.
 */
#include <errno.h>
#include <sys/mman.h>

#include "trace/trace.h"

/* sizeof(struct io_event), and that of the ring's header. */
#define EVENT_SIZE  32u
#define HEADER_SIZE 32u
#define MOST_EVENTS (0x10000000u / EVENT_SIZE)

/* Linux's ioctx_alloc(): room for what each CPU keeps to itself; it overflows as there. */
static uint32_t events_for(uint32_t asked)
{
	const uint32_t least = memmap_kernel_possible_cpus() * 4;
	return (asked > least ? asked : least) * 2;
}

static int setup_error(const struct thread *thread)
{
	const uint32_t asked = (uint32_t)thread->call.args[0], nr = events_for(asked);
	uint64_t context;
	if (memmap_process_read(thread->task->tid, thread->call.args[1], &context, sizeof(context)))
		return -EFAULT;
	if (context != 0 || asked == 0 || nr > MOST_EVENTS)
		return -EINVAL;
	if (nr == 0 || asked > memmap_sysctl("/proc/sys/fs/aio-max-nr", UINT64_MAX))
		return -EAGAIN;
	return 0;
}

enum mirror_mode io_setup_entry(struct thread *thread)
{
	thread->predicted = setup_error(thread);
	return thread->predicted ? MIRROR_DONE : MIRROR_AT_EXIT;
}

void io_setup_exit(struct trace *trace, struct thread *thread)
{
	const int64_t result = thread->call.result;
	struct opened_file *ring;
	uint64_t size, context;
	thread->predicted = result;
	if (result != 0 && result != -ENOMEM)
		return; /* too many in the system, or nowhere to write the number: it is gone */
	/* Two more, for luck. */
	size = HEADER_SIZE +
	       EVENT_SIZE * ((uint64_t)events_for((uint32_t)thread->call.args[0]) + 2);
	size = (size + MEMMAP_PAGE_MASK) & ~MEMMAP_PAGE_MASK;
	if (files_ring(trace->files, size, &ring)) {
		thread->mode = MIRROR_ADOPT;
		return;
	}
	const int64_t placed =
		memmap_mm_sys_mmap(thread->process->space->mm, 0, size, PROT_READ | PROT_WRITE,
				   MAP_SHARED, &ring->facts, 0, NULL);
	opened_file_put(ring);
	thread->predicted = placed < 0 ? -ENOMEM : 0;
	if (result == 0 && !memmap_process_read(thread->task->tid, thread->call.args[1], &context,
						sizeof(context))) {
		if ((int64_t)context == placed)
			trace->counts.addresses_predicted++;
		else
			trace->counts.addresses_missed++;
	}
}

uint64_t ring_size_at(const struct space *space, uint64_t addr)
{
	struct memmap_vma vma;
	if (!memmap_mm_find_vma(space->mm, addr, &vma) || vma.range.start > addr || !vma.identity)
		return 0;
	return opened_file_of(vma.identity)->ring_size;
}

void io_destroy_exit(struct thread *thread)
{
	const uint64_t context = thread->call.args[0];
	struct space *space = thread->process->space;
	const uint64_t size = ring_size_at(space, context);
	thread->predicted = thread->call.result < 0 ? -EINVAL : 0;
	if (thread->call.result < 0)
		return;
	/* As much as there was, whatever lies there now. */
	if (size > 0)
		(void)memmap_mm_sys_munmap(space->mm, context, size);
	else
		thread->mode = MIRROR_ADOPT;
}
