/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inproc platform: a guest that runs in a region of this process.
 *
 * A range of this process's addresses is reserved, and guest addresses are host addresses: code of
 * the guest runs on the processor, loads and stores as they are. A touch of what is not mapped
 * raises SIGSEGV, which the address space resolves by having pages of Files mapped there; then the
 * touch goes on. What is mapped is a cache: it is kept below a budget of the kernel's VMAs by
 * dropping what has been mapped longest.
 *
 *	memmap_inproc_create(&inproc_options, &inproc);
 *	memmap_inproc_layout(inproc, &options.layout);
 *	options.address_space = memmap_inproc_address_space(inproc);
 *	memmap_mm_create(&options, &mm);
 *	memmap_inproc_set_faults(inproc, memmap_faults_of_mm(mm));
 *
 * Signals. Making the first region installs memmap's handlers (memmap_block_install_handlers()). A
 * fault that the address space says is a real one is given to on_fault(), and if that does not take
 * it, to the handler that was there before ours, with the signal, si_code and si_addr that Linux
 * would have raised. A program that installs handlers of its own later calls
 * memmap_block_install_handlers() again, or offers each fault to memmap_block_handle_fault(). While
 * a fault is being handled, signals that are sent to the thread wait.
 *
 * A safe copy (<memmap/block.h>) that touches the region faults as a guest would, and returns
 * -EFAULT only where the guest would have got a signal.
 *
 * What must not be: touching the region while holding a lock that handling a fault takes (those of
 * the address space, of a Mappable, of the allocator); a thread that touches it with SIGSEGV or
 * SIGBUS blocked; running on a stack within the region without an alternate signal stack (see
 * memmap_inproc_thread_begin()).
 *
 * The kernel's own touches (read(2) straight into the region) get -EFAULT where nothing is mapped,
 * or less than they need. With the option `userfaultfd` they are served, too, by a thread: what is
 * not mapped is then faulted in on behalf of the kernel as it would be for the guest. Every fault
 * of what is not mapped takes that way then, and costs ten times as much. What the kernel writes to
 * where only reading is mapped (a page that is not yet copied, say) still is -EFAULT: touch it for
 * writing first. And a page that was refused stays so to the kernel for some milliseconds, should
 * it be mapped just then.
 *
 * Under ThreadSanitizer set report_signal_unsafe=0: faults are handled in a signal handler, but
 * only such as the thread itself has caused, where it holds no lock.
 *
 * Machines: x86-64 and AArch64, with host pages of 4 KiB.
 */
#ifndef MEMMAP_PLATFORM_INPROC_H
#define MEMMAP_PLATFORM_INPROC_H

#include <stdbool.h>
#include <stdint.h>

#include <memmap/allocator.h>
#include <memmap/api.h>
#include <memmap/platform.h>

MEMMAP_BEGIN_DECLS

struct memmap_inproc;

struct memmap_inproc_options {
	const struct memmap_allocator *allocator; /* NULL: the default */
	/* Where the region begins and how long it is, in whole pages; 0: anywhere, 64 GiB. */
	uint64_t addr, length;
	/* The most VMAs of the kernel that the region may consist of, at least 16; 0: 16,384. */
	uint64_t max_host_vmas;
	/* Serve the kernel's own touches. */
	bool userfaultfd;
	/*
	 * The guest's touch ended badly: what the program makes of it, in the signal handler of the
	 * thread that touched. True: taken care of, go on with `*ucontext` (a ucontext_t *) as it
	 * is then. False, and also where this is NULL: it is a signal of this process.
	 *
	 * May leave by siglongjmp(3).
	 */
	bool (*on_fault)(void *context, const struct memmap_guest_fault *fault, void *ucontext);
	void *context;
};

/**
 * Reserve a region.
 *
 * Returns:     0
 *              -EINVAL      the options make no sense
 *              -EEXIST      something is mapped at `addr`
 *              -ENOMEM      memory, or addresses
 *              -ENOSPC      there are too many regions (64), or see memmap_block_install_handlers()
 *              -EOPNOTSUPP  this machine, or this kernel has no userfaultfd(2)
 *              -EPERM       the kernel does not grant userfaultfd(2)
 *              what else the kernel refused
 * On failure:  nothing has changed, but that the handlers may be installed
 */
MEMMAP_API int memmap_inproc_create(const struct memmap_inproc_options *options,
				    struct memmap_inproc **out);

/**
 * Unmap the region. NULL is ignored.
 *
 * Requires:    nobody touches it any more, no address space maps into it
 */
MEMMAP_API void memmap_inproc_release(struct memmap_inproc *inproc);

/** Where an address space maps its pages: what memmap_mm_options.address_space wants. */
MEMMAP_API struct memmap_address_space *memmap_inproc_address_space(struct memmap_inproc *inproc);

/**
 * Whom to ask about faults. Until this is called each is -EFAULT. Requires: nobody touches it yet.
 */
MEMMAP_API void memmap_inproc_set_faults(struct memmap_inproc *inproc, struct memmap_faults faults);

/** The region. */
MEMMAP_API struct memmap_addr_range memmap_inproc_range(const struct memmap_inproc *inproc);

/** A layout that lies within the region: Linux's, made smaller. All of `*layout` is filled in. */
MEMMAP_API void memmap_inproc_layout(const struct memmap_inproc *inproc,
				     struct memmap_mm_layout *layout);

struct memmap_inproc_stats {
	uint64_t nr_host_vmas;    /* that the region consists of now; never less than there are */
	uint64_t nr_mappings;     /* runs of pages that are mapped */
	uint64_t mapped;          /* bytes */
	uint64_t nr_dropped;      /* mappings that were dropped for the budget, so far */
	uint64_t nr_faults;       /* by signal */
	uint64_t nr_kernel_waits; /* faults that came through userfaultfd */
};
MEMMAP_API void memmap_inproc_get_stats(struct memmap_inproc *inproc,
					struct memmap_inproc_stats *out);

/** Walk what is known to be mapped: 0, or -EINVAL and a line on stderr. */
MEMMAP_API int memmap_inproc_verify(struct memmap_inproc *inproc);

/**
 * Give the calling thread an alternate signal stack, if it has none, so that it may run on a stack
 * within the region.
 *
 * Returns:     0, -ENOMEM, what sigaltstack(2) failed with
 */
MEMMAP_API int memmap_inproc_thread_begin(void);

/**
 * Take away what memmap_inproc_thread_begin() gave the calling thread, if it did. Should the system
 * refuse, the thread keeps it, and this may be called again.
 */
MEMMAP_API void memmap_inproc_thread_end(void);

MEMMAP_END_DECLS

#endif /* MEMMAP_PLATFORM_INPROC_H */
