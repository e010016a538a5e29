/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtual processors: their TLBs, their sections, and how they are asked to forget.
 *
 * A shootdown:
 *
 *   the asker, after it changed the page table     a vCPU
 *     notes the range with each vCPU                 enters: inside = 1; are there requests?
 *     requested = 1                                  uses pointers
 *     barrier                                        polls: are there requests?
 *     waits while it is inside and has not served    leaves: inside = 0; are there requests?
 *
 * The barrier stands between the asker's store to `requested` and its load of `inside`, and, since
 * membarrier(2) makes every running thread pass one, also between each vCPU's store to `inside` and
 * its load of `requested`. So either the vCPU sees the request, and forgets before it translates; or
 * the asker sees it inside, and waits; and one that leaves sees that it is waited for. Where there is
 * no membarrier(2), the vCPUs' stores and loads are sequentially consistent instead.
 *
 * Looking up the page table and filling in the TLB happen between two looks at `requested` by the
 * same thread, so nothing that was forgotten comes back.
 *
 * Invariants: what a TLB says, the page table says too, or said before a request that is still
 * pending; a tag without MEMMAP_SOFT_TLB_SLOW means aligned memory that does not fault.
 *
 * Locking: the TLB belongs to the vCPU's thread. `pending` and `served` are under vcpu_lock.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "platform/soft/host.h"
#include "platform/soft/internal.h"
#include <memmap/block.h>
#include <memmap/error.h>

/* A page that is taken away so often while one access is made is in trouble, not in use. */
#define MAX_TRIES 1000

/* ---- TLB ---- */

static void flush_all(struct memmap_soft_vcpu *vcpu)
{
	for (size_t i = 0; i < MEMMAP_SOFT_TLB_ENTRIES; i++) {
		for (unsigned kind = 0; kind < 3; kind++)
			vcpu->tlb[i].tags[kind] = MEMMAP_SOFT_TLB_NONE;
	}
}

static void flush(struct memmap_soft_vcpu *vcpu, struct memmap_addr_range ar)
{
	if ((ar.end - ar.start) / MEMMAP_PAGE_SIZE >= MEMMAP_SOFT_TLB_ENTRIES) {
		flush_all(vcpu);
		return;
	}
	for (uint64_t addr = ar.start; addr < ar.end; addr += MEMMAP_PAGE_SIZE) {
		struct memmap_soft_tlb_entry *entry = memmap_soft_tlb_entry_(vcpu, addr);
		for (unsigned kind = 0; kind < 3; kind++) {
			if ((entry->tags[kind] & ~MEMMAP_SOFT_TLB_SLOW) == addr)
				entry->tags[kind] = MEMMAP_SOFT_TLB_NONE;
		}
	}
}

static void fill(struct memmap_soft_vcpu *vcpu, uint64_t page, uint64_t entry)
{
	static const memmap_access kinds[3] = {MEMMAP_READ, MEMMAP_WRITE, MEMMAP_EXEC};
	struct memmap_soft_tlb_entry *e = memmap_soft_tlb_entry_(vcpu, page);
	for (unsigned kind = 0; kind < 3; kind++) {
		if (entry & kinds[kind])
			e->tags[kind] = page | (entry & PTE_SLOW ? MEMMAP_SOFT_TLB_SLOW : 0);
		else
			e->tags[kind] = MEMMAP_SOFT_TLB_NONE;
	}
	e->addend = (entry >> PTE_HOST_SHIFT) - page;
}

/* ---- Sections ---- */

static bool is_inside(const struct memmap_soft_vcpu *vcpu)
{
	return __atomic_load_n(&vcpu->inside, __ATOMIC_SEQ_CST) != 0;
}

void memmap_soft_serve_slow(struct memmap_soft_vcpu *vcpu)
{
	struct memmap_soft *soft = vcpu->soft;
	(void)pthread_mutex_lock(&soft->vcpu_lock);
	if (vcpu->nr_pending > MEMMAP_SOFT_NR_PENDING) {
		flush_all(vcpu);
	} else {
		for (unsigned i = 0; i < vcpu->nr_pending; i++)
			flush(vcpu, vcpu->pending[i]);
	}
	vcpu->nr_pending = 0;
	vcpu->served = soft->ticket;
	__atomic_store_n(&vcpu->requested, UINT32_C(0), __ATOMIC_SEQ_CST);
	(void)pthread_cond_broadcast(&soft->vcpu_moved);
	(void)pthread_mutex_unlock(&soft->vcpu_lock);
}

/* Ask `vcpu` to forget `ar`. */
static void request(struct memmap_soft_vcpu *vcpu, struct memmap_addr_range ar)
{
	if (vcpu->nr_pending < MEMMAP_SOFT_NR_PENDING)
		vcpu->pending[vcpu->nr_pending] = ar;
	/* One beyond the last: there was more than could be noted. */
	if (vcpu->nr_pending <= MEMMAP_SOFT_NR_PENDING)
		vcpu->nr_pending++;
	__atomic_store_n(&vcpu->requested, UINT32_C(1), __ATOMIC_SEQ_CST);
}

void soft_shoot_down(struct memmap_soft *soft, struct memmap_addr_range ar)
{
	const uintptr_t self = (uintptr_t)pthread_self();
	(void)pthread_mutex_lock(&soft->vcpu_lock);
	const uint64_t ticket = ++soft->ticket;
	bool others = false;
	for (struct memmap_soft_vcpu *v = soft->vcpus; v; v = v->next) {
		request(v, ar);
		/* One whose fault this thread is handling is outside, and stays there. */
		if (__atomic_load_n(&v->faulting, __ATOMIC_RELAXED) != self)
			others = true;
	}
	if (others && !soft->fences && memmap_soft_host_barrier() != 0)
		memmap_panic("soft platform: membarrier(2), which had been granted, is refused");

	struct memmap_soft_vcpu *v = soft->vcpus;
	while (others && v) {
		if (!is_inside(v) || v->served >= ticket) {
			v = v->next;
			continue;
		}
		if (__atomic_load_n(&v->thread, __ATOMIC_RELAXED) == self)
			memmap_panic("soft platform: the address space was called from within a "
				     "section of the same thread (see memmap_soft_leave())");
		(void)pthread_cond_wait(&soft->vcpu_moved, &soft->vcpu_lock);
		/* The list may have changed: from the start. */
		v = soft->vcpus;
	}
	(void)pthread_mutex_unlock(&soft->vcpu_lock);
}

int memmap_soft_vcpu_create(struct memmap_soft *soft, struct memmap_soft_vcpu **out)
{
	struct memmap_soft_vcpu *vcpu =
		memmap_allocate(soft->allocator, sizeof(*vcpu), _Alignof(struct memmap_soft_vcpu));
	if (!vcpu)
		return -ENOMEM;
	memset(vcpu, 0, sizeof(*vcpu));
	flush_all(vcpu);
	vcpu->soft = soft;
	vcpu->fences = soft->fences;

	(void)pthread_mutex_lock(&soft->vcpu_lock);
	vcpu->served = soft->ticket;
	vcpu->next = soft->vcpus;
	soft->vcpus = vcpu;
	(void)pthread_mutex_unlock(&soft->vcpu_lock);
	*out = vcpu;
	return 0;
}

void memmap_soft_vcpu_release(struct memmap_soft_vcpu *vcpu)
{
	if (!vcpu)
		return;
	if (is_inside(vcpu))
		memmap_panic("memmap_soft_vcpu_release: the vCPU is in a section");
	struct memmap_soft *soft = vcpu->soft;
	(void)pthread_mutex_lock(&soft->vcpu_lock);
	struct memmap_soft_vcpu **link = &soft->vcpus;
	while (*link != vcpu)
		link = &(*link)->next;
	*link = vcpu->next;
	(void)pthread_cond_broadcast(&soft->vcpu_moved);
	(void)pthread_mutex_unlock(&soft->vcpu_lock);
	memmap_deallocate(soft->allocator, vcpu, sizeof(*vcpu));
}

/* ---- Translation ---- */

/* Handle a fault, outside of the section. */
static int handle_fault(struct memmap_soft_vcpu *vcpu, uint64_t addr, memmap_access at)
{
	const struct memmap_faults faults = vcpu->soft->faults;
	enum memmap_fault_code code = MEMMAP_FAULT_UNMAPPED;
	memmap_soft_leave(vcpu);
	__atomic_store_n(&vcpu->faulting, (uintptr_t)pthread_self(), __ATOMIC_RELAXED);
	int err = faults.handle(faults.context, addr, at, &code);
	__atomic_store_n(&vcpu->faulting, (uintptr_t)0, __ATOMIC_RELAXED);
	memmap_soft_enter(vcpu);
	if (err)
		vcpu->fault = (struct memmap_guest_fault){addr, at, err, code};
	return err;
}

/* The TLB has an entry for `addr` that permits `at`: `*entry`. */
static int look_up(struct memmap_soft_vcpu *vcpu, uint64_t addr, memmap_access at,
		   struct memmap_soft_tlb_entry **entry)
{
	const uint64_t page = addr & ~MEMMAP_PAGE_MASK;
	memmap_assert(is_inside(vcpu));
	memmap_assert(at && (at & (MEMMAP_WRITE | MEMMAP_EXEC)) != (MEMMAP_WRITE | MEMMAP_EXEC));
	*entry = memmap_soft_tlb_entry_(vcpu, addr);
	const uint64_t *tag = &(*entry)->tags[memmap_soft_tag_index_(at)];
	for (int i = 0; i < MAX_TRIES; i++) {
		if ((*tag & ~MEMMAP_SOFT_TLB_SLOW) == page)
			return 0;
		memmap_soft_poll(vcpu);
		const uint64_t pte = page_table_lookup(&vcpu->soft->table, addr);
		if (memmap_access_superset_of((memmap_access)(pte & PTE_ACCESS), at)) {
			fill(vcpu, page, pte);
			return 0;
		}
		int err = handle_fault(vcpu, addr, at);
		if (err)
			return err;
	}
	vcpu->fault = (struct memmap_guest_fault){.addr = addr, .at = at, .error = -EAGAIN};
	return -EAGAIN;
}

int memmap_soft_translate_slow(struct memmap_soft_vcpu *vcpu, uint64_t addr, memmap_access at,
			       void **host, size_t *length)
{
	struct memmap_soft_tlb_entry *entry;
	int err = look_up(vcpu, addr, at, &entry);
	if (err)
		return err;
	*host = memmap_pointer_of_(addr + entry->addend);
	*length = (size_t)(MEMMAP_PAGE_SIZE - (addr & MEMMAP_PAGE_MASK));
	return 0;
}

/* The block of at most `length` bytes at `addr`, all on one page. */
static int block_at(struct memmap_soft_vcpu *vcpu, uint64_t addr, memmap_access at, size_t length,
		    struct memmap_block *out)
{
	struct memmap_soft_tlb_entry *entry;
	int err = look_up(vcpu, addr, at, &entry);
	if (err)
		return err;
	const size_t on_page = (size_t)(MEMMAP_PAGE_SIZE - (addr & MEMMAP_PAGE_MASK));
	*out = (struct memmap_block){
		.addr = memmap_pointer_of_(addr + entry->addend),
		.len = length < on_page ? length : on_page,
		.need_safe_copy =
			(entry->tags[memmap_soft_tag_index_(at)] & MEMMAP_SOFT_TLB_SLOW) != 0,
	};
	return 0;
}

/* The memory of a block vanished after `done` bytes from `addr`. */
static int vanished(struct memmap_soft_vcpu *vcpu, uint64_t addr, memmap_access at, uint64_t done)
{
	vcpu->fault = (struct memmap_guest_fault){
		.addr = addr + done,
		.at = at,
		.error = memmap_bus_error(-EFAULT),
	};
	return vcpu->fault.error;
}

/* Copy between the guest's memory and ours: out of the guest, or into it when `at` is writing. */
static int copy(struct memmap_soft_vcpu *vcpu, uint64_t addr, memmap_access at, char *buf,
		size_t length, size_t *done)
{
	int err = 0;
	*done = 0;
	while (!err && *done < length) {
		const uint64_t here = addr + *done;
		struct memmap_block guest;
		err = block_at(vcpu, here, at, length - *done, &guest);
		if (err)
			break;
		const struct memmap_block ours = memmap_block_safe(buf + *done, guest.len);
		uint64_t n;
		if (at & MEMMAP_WRITE)
			err = memmap_copy(guest, ours, &n);
		else
			err = memmap_copy(ours, guest, &n);
		*done += (size_t)n;
		if (err)
			err = vanished(vcpu, here, at, n);
	}
	return err;
}

int memmap_soft_read(struct memmap_soft_vcpu *vcpu, uint64_t addr, void *buf, size_t length,
		     size_t *done)
{
	size_t n;
	return copy(vcpu, addr, MEMMAP_READ, buf, length, done ? done : &n);
}

int memmap_soft_write(struct memmap_soft_vcpu *vcpu, uint64_t addr, const void *buf, size_t length,
		      size_t *done)
{
	size_t n;
	return copy(vcpu, addr, MEMMAP_WRITE, (char *)buf, length, done ? done : &n);
}

/* ---- What the accessors leave to us: misses, misaligned ones, and pages that need care ---- */

/* An access that lies on one aligned piece of plain memory: done, atomically. */
static bool load_plain(const struct memmap_block *guest, void *value, size_t size)
{
	if (guest->need_safe_copy || guest->len < size || (uintptr_t)guest->addr % size != 0)
		return false;
	switch (size) {
	case 1:
		*(uint8_t *)value = __atomic_load_n((const uint8_t *)guest->addr, __ATOMIC_RELAXED);
		return true;
	case 2:
		*(uint16_t *)value =
			__atomic_load_n((const uint16_t *)guest->addr, __ATOMIC_RELAXED);
		return true;
	case 4:
		*(uint32_t *)value =
			__atomic_load_n((const uint32_t *)guest->addr, __ATOMIC_RELAXED);
		return true;
	default:
		*(uint64_t *)value =
			__atomic_load_n((const uint64_t *)guest->addr, __ATOMIC_RELAXED);
		return true;
	}
}

static bool store_plain(const struct memmap_block *guest, const void *value, size_t size)
{
	if (guest->need_safe_copy || guest->len < size || (uintptr_t)guest->addr % size != 0)
		return false;
	switch (size) {
	case 1:
		__atomic_store_n((uint8_t *)guest->addr, *(const uint8_t *)value, __ATOMIC_RELAXED);
		return true;
	case 2:
		__atomic_store_n((uint16_t *)guest->addr, *(const uint16_t *)value,
				 __ATOMIC_RELAXED);
		return true;
	case 4:
		__atomic_store_n((uint32_t *)guest->addr, *(const uint32_t *)value,
				 __ATOMIC_RELAXED);
		return true;
	default:
		__atomic_store_n((uint64_t *)guest->addr, *(const uint64_t *)value,
				 __ATOMIC_RELAXED);
		return true;
	}
}

int memmap_soft_load_slow(struct memmap_soft_vcpu *vcpu, uint64_t addr, memmap_access at,
			  void *value, size_t size)
{
	struct memmap_block guest;
	int err = block_at(vcpu, addr, at, size, &guest);
	if (err || load_plain(&guest, value, size))
		return err;
	size_t done;
	char bytes[sizeof(uint64_t)];
	err = copy(vcpu, addr, at, bytes, size, &done);
	if (!err)
		memcpy(value, bytes, size);
	return err;
}

int memmap_soft_store_slow(struct memmap_soft_vcpu *vcpu, uint64_t addr, const void *value,
			   size_t size)
{
	struct memmap_block guest;
	int err = block_at(vcpu, addr, MEMMAP_WRITE, size, &guest);
	if (err || store_plain(&guest, value, size))
		return err;
	/* Across two pages: the second must be there before anything is stored in the first. */
	if (guest.len < size) {
		struct memmap_block second;
		err = block_at(vcpu, addr + guest.len, MEMMAP_WRITE, size - guest.len, &second);
		if (err)
			return err;
	}
	size_t done;
	return copy(vcpu, addr, MEMMAP_WRITE, (char *)value, size, &done);
}
