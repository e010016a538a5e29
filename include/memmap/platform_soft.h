/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The soft platform: guest memory for interpreters and emulators.
 *
 * Nothing of the guest is mapped at its own address. Each access is translated to a pointer into
 * this process, by a table of pages that the address space fills in, and in front of it a small TLB
 * for each virtual processor. A hit costs an index, a compare and an add, inline.
 *
 *	memmap_soft_enter(vcpu);
 *	while (running) {
 *		memmap_soft_poll(vcpu);
 *		err = memmap_soft_load_u32(vcpu, pc, &instruction);
 *		...
 *	}
 *	memmap_soft_leave(vcpu);
 *
 * Sections. Translating is done in a *section*, between enter and leave. A host pointer that
 * memmap_soft_translate() gave may be used until the next call, on the same vCPU, of leave, poll or
 * any function that translates (each of which may have to handle a fault). When the address space
 * takes a page away (unmap, protect, or mapping another page in its place), that call returns once
 * every vCPU that was in a section has since left it, polled or faulted; so after it no stale pointer
 * is in use, and the page may be given to somebody else.
 *
 * So a section must not block: poll at least once in a bounded time (at each branch of the guest,
 * say), and leave before system calls of the guest, before waiting for anything and before calling
 * the address space. To do so all the same from the thread that is in the section panics, since it
 * would wait for itself. Handling faults needs no care: translating functions leave the section while
 * they do so.
 *
 * A File's host pointers come from map_internal(). A File that says -EOPNOTSUPP there, but has a
 * descriptor, is mapped by the platform, in windows aligned to the host's page size; one that has
 * neither cannot be mapped: -EOPNOTSUPP. Guest pages are 4 KiB whatever the host's pages are.
 *
 * Memory that may vanish (a host file that shrinks) raises SIGBUS when it is touched through a host
 * pointer. The loads, stores, read and write below answer that with a bus error instead.
 *
 * Units:    addresses are the guest's, lengths are bytes; values are in the host's byte order
 * Locking:  a vCPU belongs to one thread at a time; everything else from any thread
 */
#ifndef MEMMAP_PLATFORM_SOFT_H
#define MEMMAP_PLATFORM_SOFT_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <memmap/allocator.h>
#include <memmap/api.h>
#include <memmap/arch.h>
#include <memmap/platform.h>

MEMMAP_BEGIN_DECLS

struct memmap_soft;

struct memmap_soft_options {
	const struct memmap_allocator *allocator; /* NULL: the default */
	/*
	 * The page size of the machine, a power of two of at least 4 KiB; 0: ask it. A larger one
	 * than the machine's is taken at its word: the platform's own mappings are then made in units
	 * of it.
	 */
	uint64_t host_page_size;
	/* Guest addresses have this many bits, 13 to 64; 0: 48. Fewer make misses cheaper. */
	unsigned address_bits;
};

/* ---- The platform ---- */

/**
 * Make a platform with nothing mapped. `options` may be NULL.
 *
 * Returns:     0
 *              -EINVAL  the options make no sense
 *              -ENOMEM
 */
MEMMAP_API int memmap_soft_create(const struct memmap_soft_options *options,
				  struct memmap_soft **out);

/**
 * Free the platform. NULL is ignored.
 *
 * Requires:    its vCPUs have been released, and no address space maps into it any more
 */
MEMMAP_API void memmap_soft_release(struct memmap_soft *soft);

/** Where an address space maps its pages: what memmap_mm_options.address_space wants. */
MEMMAP_API struct memmap_address_space *memmap_soft_address_space(struct memmap_soft *soft);

/**
 * Whom to ask about faults. Until this is called each is -EFAULT.
 *
 * Requires:    no vCPU is in a section
 */
MEMMAP_API void memmap_soft_set_faults(struct memmap_soft *soft, struct memmap_faults faults);

struct memmap_soft_stats {
	uint64_t nr_pages;      /* mapped now */
	uint64_t nr_nodes;      /* of the page table, 4 KiB each */
	uint64_t nr_windows;    /* mappings that the platform has made itself */
	uint64_t nr_shootdowns; /* how often vCPUs were asked to forget pages */
};
MEMMAP_API void memmap_soft_get_stats(struct memmap_soft *soft, struct memmap_soft_stats *out);

/** Walk the page table: 0, or -EINVAL and a line on stderr that names the broken invariant. */
MEMMAP_API int memmap_soft_verify(struct memmap_soft *soft);

/* ---- Virtual processors ---- */

#define MEMMAP_SOFT_TLB_ENTRIES 256
#define MEMMAP_SOFT_NR_PENDING  8

/*
 * What is known of one page. A tag is the page's address when accesses of its kind may go straight
 * to address + addend; with MEMMAP_SOFT_TLB_SLOW added when they may go there with care; and
 * MEMMAP_SOFT_TLB_NONE when they may not.
 */
struct memmap_soft_tlb_entry {
	uint64_t tags[3]; /* for reading, writing, executing */
	uint64_t addend;
};
#define MEMMAP_SOFT_TLB_NONE UINT64_C(1024)
#define MEMMAP_SOFT_TLB_SLOW UINT64_C(2048)

/* A virtual processor. All of it is private to the functions here. */
struct memmap_soft_vcpu {
	struct memmap_soft_tlb_entry tlb[MEMMAP_SOFT_TLB_ENTRIES];

	uint32_t inside;    /* atomic: it is in a section; written by its thread */
	uint32_t requested; /* atomic: it is to forget pages; written under the platform's lock */
	uintptr_t thread;   /* atomic: whose section it is */
	bool fences;        /* entering and leaving need fences: there is no membarrier(2) */

	struct memmap_soft *soft;
	struct memmap_soft_vcpu *next;
	uintptr_t faulting; /* atomic: the thread that handles a fault for it now; 0: none */
	uint64_t served;    /* all that was asked for up to this ticket has been forgotten */
	unsigned nr_pending;
	struct memmap_addr_range pending[MEMMAP_SOFT_NR_PENDING]; /* what to forget */
	struct memmap_guest_fault fault;
};

/** Make a vCPU that is in no section. Returns: 0, -ENOMEM. */
MEMMAP_API int memmap_soft_vcpu_create(struct memmap_soft *soft, struct memmap_soft_vcpu **out);

/** Requires: it is in no section. NULL is ignored. */
MEMMAP_API void memmap_soft_vcpu_release(struct memmap_soft_vcpu *vcpu);

/* What the inline functions leave to the library. */
MEMMAP_API void memmap_soft_serve_slow(struct memmap_soft_vcpu *vcpu);
MEMMAP_API int memmap_soft_translate_slow(struct memmap_soft_vcpu *vcpu, uint64_t addr,
					  memmap_access at, void **host, size_t *length);
MEMMAP_API int memmap_soft_load_slow(struct memmap_soft_vcpu *vcpu, uint64_t addr, memmap_access at,
				     void *value, size_t size);
MEMMAP_API int memmap_soft_store_slow(struct memmap_soft_vcpu *vcpu, uint64_t addr,
				      const void *value, size_t size);

/** Begin a section. Requires: the vCPU is in none. */
static inline void memmap_soft_enter(struct memmap_soft_vcpu *vcpu)
{
	/*
	 * Either we see the request, or whoever makes it sees us inside: between our store and our
	 * load stands a fence, which membarrier(2) lets us leave to the other side.
	 */
	__atomic_store_n(&vcpu->thread, (uintptr_t)pthread_self(), __ATOMIC_RELAXED);
	if (vcpu->fences) {
		(void)__atomic_exchange_n(&vcpu->inside, UINT32_C(1), __ATOMIC_SEQ_CST);
		if (MEMMAP_UNLIKELY(__atomic_load_n(&vcpu->requested, __ATOMIC_SEQ_CST)))
			memmap_soft_serve_slow(vcpu);
		return;
	}
	__atomic_store_n(&vcpu->inside, UINT32_C(1), __ATOMIC_RELEASE);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (MEMMAP_UNLIKELY(__atomic_load_n(&vcpu->requested, __ATOMIC_ACQUIRE)))
		memmap_soft_serve_slow(vcpu);
}

/** End the section: host pointers that it got must not be used any more. */
static inline void memmap_soft_leave(struct memmap_soft_vcpu *vcpu)
{
	if (vcpu->fences) {
		(void)__atomic_exchange_n(&vcpu->inside, UINT32_C(0), __ATOMIC_SEQ_CST);
		if (MEMMAP_UNLIKELY(__atomic_load_n(&vcpu->requested, __ATOMIC_SEQ_CST)))
			memmap_soft_serve_slow(vcpu);
		return;
	}
	__atomic_store_n(&vcpu->inside, UINT32_C(0), __ATOMIC_RELEASE);
	__atomic_signal_fence(__ATOMIC_SEQ_CST);
	if (MEMMAP_UNLIKELY(__atomic_load_n(&vcpu->requested, __ATOMIC_ACQUIRE)))
		memmap_soft_serve_slow(vcpu);
}

/** Between two uses of host pointers: let those go on who wait for this vCPU. One load. */
static inline void memmap_soft_poll(struct memmap_soft_vcpu *vcpu)
{
	if (MEMMAP_UNLIKELY(__atomic_load_n(&vcpu->requested, __ATOMIC_ACQUIRE)))
		memmap_soft_serve_slow(vcpu);
}

/** What the last translation of this vCPU that failed was, for the signal to its guest. */
static inline struct memmap_guest_fault memmap_soft_last_fault(const struct memmap_soft_vcpu *vcpu)
{
	return vcpu->fault;
}

/* ---- Translation ---- */

/* The tag that decides for accesses of the kinds `at`: that of writing, executing or reading. */
static inline unsigned memmap_soft_tag_index_(memmap_access at)
{
	return at & MEMMAP_WRITE ? 1 : at & MEMMAP_EXEC ? 2 : 0;
}

static inline struct memmap_soft_tlb_entry *memmap_soft_tlb_entry_(struct memmap_soft_vcpu *vcpu,
								   uint64_t addr)
{
	return &vcpu->tlb[(addr >> MEMMAP_PAGE_SHIFT) & (MEMMAP_SOFT_TLB_ENTRIES - 1)];
}

/**
 * Where the guest's byte at `addr` is, for accesses of the kinds `at`, handling a fault if need be.
 *
 * `*length` (at least 1) is how many bytes from there on are the guest's, too.
 *
 * Requires:    the vCPU is in a section; `at` is not 0, and not writing and executing at once
 * Returns:     0
 *              -EFAULT      SIGSEGV; memmap_soft_last_fault() has the code
 *              a bus error  SIGBUS
 *              -EOPNOTSUPP  the File behind it has no memory that could be pointed to
 *              -EAGAIN      the page was taken away each of the many times that it was mapped
 *              -ENOMEM, -EINTR, and what else handling the fault returns
 */
static inline int memmap_soft_translate(struct memmap_soft_vcpu *vcpu, uint64_t addr,
					memmap_access at, void **host, size_t *length)
{
	const struct memmap_soft_tlb_entry *entry = memmap_soft_tlb_entry_(vcpu, addr);
	if (MEMMAP_LIKELY(entry->tags[memmap_soft_tag_index_(at)] == (addr & ~MEMMAP_PAGE_MASK))) {
		*host = memmap_pointer_of_(addr + entry->addend);
		*length = (size_t)(MEMMAP_PAGE_SIZE - (addr & MEMMAP_PAGE_MASK));
		return 0;
	}
	return memmap_soft_translate_slow(vcpu, addr, at, host, length);
}

/*
 * memmap_soft_load_u8(vcpu, addr, &value), ..._u16, _u32, _u64; memmap_soft_store_u8(vcpu, addr,
 * value) and so on; memmap_soft_fetch_u8() and so on load an instruction.
 *
 * At any address, across pages, too. One that is aligned is atomic (relaxed); one that fails has
 * stored nothing, unless it crosses into a page that vanishes while it is stored to.
 *
 * Requires and returns as memmap_soft_translate()
 */
/* clang-format off */
#define MEMMAP_SOFT_ACCESSORS_(bits)                                                               \
	static inline int memmap_soft_load_at_u##bits(struct memmap_soft_vcpu *vcpu,               \
						      uint64_t addr, memmap_access at,             \
						      uint##bits##_t *value)                       \
	{                                                                                          \
		const struct memmap_soft_tlb_entry *entry = memmap_soft_tlb_entry_(vcpu, addr);    \
		/* One compare for both: the right page, and aligned. */                           \
		if (MEMMAP_LIKELY(entry->tags[memmap_soft_tag_index_(at)] ==                       \
				  (addr & (~MEMMAP_PAGE_MASK | (bits / 8 - 1))))) {                \
			*value = __atomic_load_n(                                                  \
				(const uint##bits##_t *)memmap_pointer_of_(addr + entry->addend),  \
				__ATOMIC_RELAXED);                                                 \
			return 0;                                                                  \
		}                                                                                  \
		return memmap_soft_load_slow(vcpu, addr, at, value, bits / 8);                     \
	}                                                                                          \
	static inline int memmap_soft_load_u##bits(struct memmap_soft_vcpu *vcpu, uint64_t addr,   \
						   uint##bits##_t *value)                          \
	{                                                                                          \
		return memmap_soft_load_at_u##bits(vcpu, addr, MEMMAP_READ, value);                \
	}                                                                                          \
	static inline int memmap_soft_fetch_u##bits(struct memmap_soft_vcpu *vcpu, uint64_t addr,  \
						    uint##bits##_t *value)                         \
	{                                                                                          \
		return memmap_soft_load_at_u##bits(vcpu, addr, MEMMAP_EXEC, value);                \
	}                                                                                          \
	static inline int memmap_soft_store_u##bits(struct memmap_soft_vcpu *vcpu, uint64_t addr,  \
						    uint##bits##_t value)                          \
	{                                                                                          \
		const struct memmap_soft_tlb_entry *entry = memmap_soft_tlb_entry_(vcpu, addr);    \
		if (MEMMAP_LIKELY(entry->tags[1] ==                                                \
				  (addr & (~MEMMAP_PAGE_MASK | (bits / 8 - 1))))) {                \
			__atomic_store_n((uint##bits##_t *)memmap_pointer_of_(addr + entry->addend), \
					 value, __ATOMIC_RELAXED);                                 \
			return 0;                                                                  \
		}                                                                                  \
		return memmap_soft_store_slow(vcpu, addr, &value, bits / 8);                       \
	}
/* clang-format on */
MEMMAP_SOFT_ACCESSORS_(8)
MEMMAP_SOFT_ACCESSORS_(16)
MEMMAP_SOFT_ACCESSORS_(32)
MEMMAP_SOFT_ACCESSORS_(64)

/**
 * Read or write `length` bytes, across as many pages as they take, in ascending order.
 *
 * Requires:    the vCPU is in a section; addr + length does not overflow
 * Returns:     as memmap_soft_translate(); `*done` (NULL: not wanted) is how many bytes were copied,
 *              all of them when 0 is returned
 */
MEMMAP_API int memmap_soft_read(struct memmap_soft_vcpu *vcpu, uint64_t addr, void *buf,
				size_t length, size_t *done);
MEMMAP_API int memmap_soft_write(struct memmap_soft_vcpu *vcpu, uint64_t addr, const void *buf,
				 size_t length, size_t *done);

MEMMAP_END_DECLS

#endif /* MEMMAP_PLATFORM_SOFT_H */
