/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inproc platform: its life, and what it tells of itself.
 *
 * Making one goes: reserve, watch (if asked for), be found by the signal handlers. Each step that fails
 * undoes those before it.
 *
 * Refused: machines whose pages are not the guest's, since then neither could be mapped by itself.
 */
#include <errno.h>
#include <stddef.h>
#include <unistd.h>

#include "platform/inproc/host.h"
#include "platform/inproc/internal.h"
#include <memmap/error.h>

#define DEFAULT_LENGTH    (UINT64_C(64) << 30)
#define DEFAULT_HOST_VMAS 16384
#define LEAST_HOST_VMAS   16

#if defined(__x86_64__) || defined(__aarch64__)
#	define MACHINE_SUPPORTED true
#else
#	define MACHINE_SUPPORTED false
#endif

static int no_faults(void *context, uint64_t addr, memmap_access at, enum memmap_fault_code *code)
{
	(void)context;
	(void)addr;
	(void)at;
	*code = MEMMAP_FAULT_UNMAPPED;
	return -EFAULT;
}

static int begin(struct memmap_inproc *inproc, const struct memmap_inproc_options *options)
{
	int err = memmap_inproc_host_reserve(&inproc->region.start, inproc->region.end);
	if (err)
		return err;
	inproc->region.end += inproc->region.start;
	inproc->hand = inproc->region.start;
	if (options->userfaultfd)
		err = inproc_userfault_begin(inproc);
	if (!err) {
		err = inproc_signals_begin(inproc);
		if (!err)
			return 0;
		inproc_userfault_end(inproc);
	}
	(void)memmap_inproc_host_release(inproc->region);
	return err;
}

int memmap_inproc_create(const struct memmap_inproc_options *options, struct memmap_inproc **out)
{
	static const struct memmap_inproc_options defaults;
	if (!options)
		options = &defaults;
	const uint64_t length = options->length ? options->length : DEFAULT_LENGTH;
	const uint64_t vmas = options->max_host_vmas ? options->max_host_vmas : DEFAULT_HOST_VMAS;
	uint64_t end;
	if (!memmap_is_page_aligned(options->addr) || !memmap_is_page_aligned(length) ||
	    __builtin_add_overflow(options->addr, length, &end) || vmas < LEAST_HOST_VMAS)
		return -EINVAL;
	if (!MACHINE_SUPPORTED || (uint64_t)sysconf(_SC_PAGESIZE) != MEMMAP_PAGE_SIZE)
		return -EOPNOTSUPP;

	struct memmap_inproc *inproc = memmap_allocate(options->allocator, sizeof(*inproc),
						       _Alignof(struct memmap_inproc));
	if (!inproc)
		return -ENOMEM;
	*inproc = (struct memmap_inproc){
		.address_space.ops = &inproc_ops,
		.allocator = options->allocator,
		/* Its end is its length until it is reserved. */
		.region = {options->addr, length},
		.faults.handle = no_faults,
		.on_fault = options->on_fault,
		.context = options->context,
		.nr_host_vmas = 1,
		.max_host_vmas = vmas,
		.userfault.fd = -1,
	};
	(void)pthread_mutex_init(&inproc->lock, NULL);
	mapped_set_init(&inproc->mapped, options->allocator);
	int err = begin(inproc, options);
	if (err) {
		mapped_set_destroy(&inproc->mapped);
		(void)pthread_mutex_destroy(&inproc->lock);
		memmap_deallocate(options->allocator, inproc, sizeof(*inproc));
		return err;
	}
	*out = inproc;
	return 0;
}

void memmap_inproc_release(struct memmap_inproc *inproc)
{
	if (!inproc)
		return;
	inproc_signals_end(inproc);
	inproc_userfault_end(inproc);
	/* Should this be refused, addresses are lost, but nothing that is mapped there. */
	if (memmap_inproc_host_release(inproc->region) != 0)
		(void)memmap_inproc_host_clear(inproc->region);
	mapped_set_destroy(&inproc->mapped);
	(void)pthread_mutex_destroy(&inproc->lock);
	memmap_deallocate(inproc->allocator, inproc, sizeof(*inproc));
}

struct memmap_address_space *memmap_inproc_address_space(struct memmap_inproc *inproc)
{
	return &inproc->address_space;
}

void memmap_inproc_set_faults(struct memmap_inproc *inproc, struct memmap_faults faults)
{
	(void)pthread_mutex_lock(&inproc->lock);
	inproc->faults = faults;
	(void)pthread_mutex_unlock(&inproc->lock);
}

struct memmap_addr_range memmap_inproc_range(const struct memmap_inproc *inproc)
{
	return inproc->region;
}

/*
 *   |  heap ──▶           mappings, bottom-up ──▶      ◀── mappings, top-down |      ◀── stack|
 *   0                     1/4                                               7/8               1
 */
void memmap_inproc_layout(const struct memmap_inproc *inproc, struct memmap_mm_layout *layout)
{
	const struct memmap_addr_range region = inproc->region;
	const uint64_t length = region.end - region.start;
	memmap_mm_layout_default(layout);
	layout->min_addr = layout->min_fixed_addr = region.start;
	layout->task_size = region.end;
	layout->start_code = layout->end_code = region.start;
	layout->start_data = layout->end_data = region.start;
	layout->start_brk = layout->brk = region.start;
	layout->mmap_legacy_base = region.start + memmap_page_round_down(length / 4);
	layout->mmap_base = region.start + memmap_page_round_down(length / 8 * 7);
	layout->start_stack = region.end - MEMMAP_PAGE_SIZE;
	layout->vsyscall = false;
}

void memmap_inproc_get_stats(struct memmap_inproc *inproc, struct memmap_inproc_stats *out)
{
	(void)pthread_mutex_lock(&inproc->lock);
	*out = (struct memmap_inproc_stats){
		.nr_host_vmas = inproc->nr_host_vmas + 2 * (uint64_t)inproc->userfault.nr_refused,
		.mapped = mapped_set_span(&inproc->mapped),
		.nr_dropped = inproc->nr_dropped,
		.nr_faults = inproc->nr_faults,
		.nr_kernel_waits = inproc->nr_kernel_waits,
	};
	struct mapped_iterator it = mapped_set_first_segment(&inproc->mapped);
	for (; mapped_iterator_ok(it); it = mapped_iterator_next_segment(it))
		out->nr_mappings++;
	(void)pthread_mutex_unlock(&inproc->lock);
}

int memmap_inproc_verify(struct memmap_inproc *inproc)
{
	(void)pthread_mutex_lock(&inproc->lock);
	int err = inproc_verify_locked(inproc);
	(void)pthread_mutex_unlock(&inproc->lock);
	return err;
}
