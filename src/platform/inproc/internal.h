/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The inproc platform, as its files share it.
 */
#ifndef MEMMAP_SRC_PLATFORM_INPROC_INTERNAL_H
#define MEMMAP_SRC_PLATFORM_INPROC_INTERNAL_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include <memmap/platform_inproc.h>

/* A run of pages that the kernel maps for us. */
struct host_mapping {
	struct memmap_file *file;
	int fd;
	uint64_t offset;
	memmap_access at;
};

static inline bool host_mapping_merge(struct memmap_addr_range r1, struct host_mapping *m1,
				      struct memmap_addr_range r2, struct host_mapping *m2,
				      struct host_mapping *out)
{
	(void)r2;
	if (m1->file != m2->file || m1->fd != m2->fd || m1->at != m2->at ||
	    m1->offset + (r1.end - r1.start) != m2->offset)
		return false;
	*out = *m1;
	return true;
}

static inline int host_mapping_split(struct memmap_addr_range r, struct host_mapping *m,
				     uint64_t at, struct host_mapping *out1,
				     struct host_mapping *out2)
{
	struct host_mapping second = *m;
	second.offset += at - r.start;
	*out1 = *m;
	*out2 = second;
	return 0;
}

#define SEGMENT_PREFIX mapped
#define SEGMENT_RANGE  memmap_addr_range
#define SEGMENT_VALUE  struct host_mapping
#define SEGMENT_MERGE  host_mapping_merge
#define SEGMENT_SPLIT  host_mapping_split
#include <memmap/segment_set.h>

/* Pages whose touches were refused a moment ago, and which nothing waits at (see userfault.c). */
#define MAX_REFUSED 8

struct userfault {
	int fd;   /* -1: there is none */
	int stop; /* an eventfd: the server ends */
	int go;   /* an eventfd: one of these has been set */
	_Atomic(bool) moving, over;
	uint64_t stencil; /* as long as the region, watched, and never touched */
	pthread_t server, reader;
	unsigned nr_refused; /* under the platform's lock */
	uint64_t refused[MAX_REFUSED];
};

struct memmap_inproc {
	struct memmap_address_space address_space; /* first: found again from its address */
	const struct memmap_allocator *allocator;
	struct memmap_addr_range region;
	struct memmap_faults faults;
	bool (*on_fault)(void *context, const struct memmap_guest_fault *fault, void *ucontext);
	void *context;

	pthread_mutex_t lock; /* over what follows */
	struct mapped_set mapped;
	uint64_t nr_host_vmas, max_host_vmas;
	uint64_t hand; /* where to look for the next mapping to drop */
	uint64_t nr_dropped;
	struct userfault userfault;

	_Atomic(uint64_t) nr_faults, nr_kernel_waits;
};

/* mapping.c */
extern const struct memmap_address_space_ops inproc_ops;
/*
 * Nothing is mapped in `ar`, which is page-aligned, not empty and within the region, or in more.
 * Under the lock.
 */
void inproc_drop(struct memmap_inproc *inproc, struct memmap_addr_range ar);
/* Make `ar` untouchable, or watched: 0, or -errno and nothing has changed. Under the lock. */
int inproc_clear(struct memmap_inproc *inproc, struct memmap_addr_range ar);
int inproc_verify_locked(struct memmap_inproc *inproc);

/* signal.c: touches of the region come to us: 0, -ENOSPC, what installing the handlers returns. */
int inproc_signals_begin(struct memmap_inproc *inproc);
void inproc_signals_end(struct memmap_inproc *inproc);

/* userfault.c */
int inproc_userfault_begin(struct memmap_inproc *inproc);
/*
 * Have `ar` watched instead of what is mapped there; -errno: nothing may be mapped. Under the lock.
 */
int inproc_userfault_clear(struct memmap_inproc *inproc, struct memmap_addr_range ar);
void inproc_userfault_end(struct memmap_inproc *inproc);

#endif /* MEMMAP_SRC_PLATFORM_INPROC_INTERNAL_H */
