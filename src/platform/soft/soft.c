/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The soft platform: what is mapped.
 *
 * map_file() puts the host pointers of a File's pages into the page table, unmap() takes them out, and
 * both see to it, by a shootdown, that no vCPU goes on with a pointer that is no longer there. Where
 * nothing was mapped nobody can have a pointer, so the usual map_file(), for a fault, asks nobody.
 *
 * Invariants: an entry of the page table stands for a page that the address space holds a reference
 * on. An entry with PTE_WINDOW is counted in its window; no other leads into one.
 *
 * Locking: `lock` over all of it. It is held while vCPUs are waited for: they do not need it to leave
 * their sections.
 *
 * Refused: pages that are not one piece of host memory, and Files with neither host pointers nor a
 * descriptor (-EOPNOTSUPP); addresses beyond the table's (-EINVAL).
 */
#include <errno.h>
#include <stddef.h>

#include "platform/soft/host.h"
#include "platform/soft/internal.h"
#include <memmap/error.h>

static struct memmap_soft *soft_of(struct memmap_address_space *as)
{
	return (struct memmap_soft *)as;
}

/* ---- Mapping ---- */

/* What map_file() is about to enter, a page at a time. */
struct mapping {
	struct memmap_soft *soft;
	struct memmap_addr_range ar;
	struct memmap_file *file;
	struct memmap_file_range fr;
	memmap_access at;
	bool in_windows;
	struct memmap_block_seq blocks; /* of what is left, unless in windows */
	uint64_t nr_windows_got;        /* pages that have their window already */
	bool replaced;                  /* an entry that vCPUs may know has changed */
};

static uint64_t entry_of(const struct mapping *m, uintptr_t host, bool slow)
{
	return (uint64_t)host << PTE_HOST_SHIFT | m->at | (slow ? PTE_SLOW : 0) |
	       (m->in_windows ? PTE_WINDOW : 0);
}

static void forget_window(struct memmap_soft *soft, uint64_t entry)
{
	if (entry & PTE_WINDOW)
		window_put(&soft->windows, (uintptr_t)(entry >> PTE_HOST_SHIFT));
}

/* Can each page be pointed to? */
static int check_blocks(struct memmap_block_seq blocks)
{
	for (; !memmap_block_seq_is_empty(blocks); blocks = memmap_block_seq_tail(blocks)) {
		const struct memmap_block b = memmap_block_seq_head(blocks);
		if (!memmap_is_page_aligned(b.len) ||
		    (uint64_t)(uintptr_t)b.addr >> (64 - PTE_HOST_SHIFT) != 0)
			return -EOPNOTSUPP;
	}
	return 0;
}

/* All pages of the mapping have their windows, or none has. */
static int get_windows(struct mapping *m)
{
	const bool writable = (m->at & MEMMAP_WRITE) != 0;
	for (uint64_t offset = m->fr.start; offset < m->fr.end; offset += MEMMAP_PAGE_SIZE) {
		struct window *w;
		int err = window_get(&m->soft->windows, m->file, offset, writable, &w);
		if (err)
			return err;
		m->nr_windows_got++;
	}
	return 0;
}

/* The window of a page that window_get() was called for. */
static uintptr_t window_host(struct mapping *m, uint64_t offset)
{
	struct window *w;
	int err = window_get(&m->soft->windows, m->file, offset, (m->at & MEMMAP_WRITE) != 0, &w);
	/* It is there, so getting it again makes nothing. */
	memmap_assert(!err);
	w->nr_pages--;
	return (uintptr_t)w->addr + (uintptr_t)(offset - w->offset);
}

static void put_windows(struct mapping *m)
{
	uint64_t offset = m->fr.start;
	for (; m->nr_windows_got > 0; m->nr_windows_got--, offset += MEMMAP_PAGE_SIZE)
		window_put(&m->soft->windows, window_host(m, offset));
	windows_trim(&m->soft->windows);
}

static uint64_t enter_page(void *context, uint64_t addr, uint64_t before)
{
	struct mapping *m = context;
	uint64_t after;
	if (m->in_windows) {
		after = entry_of(m, window_host(m, m->fr.start + (addr - m->ar.start)), true);
	} else {
		const struct memmap_block b = memmap_block_seq_head(m->blocks);
		const bool misaligned = (uintptr_t)b.addr % sizeof(uint64_t) != 0;
		after = entry_of(m, (uintptr_t)b.addr, b.need_safe_copy || misaligned);
		m->blocks = memmap_block_seq_drop_first(m->blocks, MEMMAP_PAGE_SIZE);
	}
	forget_window(m->soft, before);
	/* Who knows the same page with fewer permissions comes and asks again. */
	const bool only_more =
		((before ^ after) & ~PTE_ACCESS) == 0 &&
		memmap_access_superset_of(m->at, (memmap_access)(before & PTE_ACCESS));
	if (before && !only_more)
		m->replaced = true;
	return after;
}

/* Nodes of `ar` that hold nothing, and windows without pages, go once nobody looks at them. */
static void tidy(struct memmap_soft *soft, struct memmap_addr_range ar, bool must_shoot)
{
	struct page_table_node *empty = page_table_unlink_empty(&soft->table, ar);
	if (must_shoot || empty)
		soft_shoot_down(soft, ar);
	page_table_free(&soft->table, empty);
	windows_trim(&soft->windows);
}

static void populate(const struct mapping *m)
{
	const bool writable = (m->at & MEMMAP_WRITE) != 0;
	struct memmap_block_seq blocks = m->blocks;
	for (; !memmap_block_seq_is_empty(blocks); blocks = memmap_block_seq_tail(blocks)) {
		const struct memmap_block b = memmap_block_seq_head(blocks);
		if (memmap_is_page_aligned((uintptr_t)b.addr))
			(void)memmap_soft_host_populate(b.addr, b.len, writable);
	}
}

static int map_file(struct memmap_address_space *as, uint64_t addr, struct memmap_file *file,
		    struct memmap_file_range fr, memmap_access at, bool precommit)
{
	struct memmap_soft *soft = soft_of(as);
	struct mapping m = {
		.soft = soft,
		.file = file,
		.fr = fr,
		.at = memmap_access_effective(at),
	};
	memmap_assert(memmap_is_page_aligned(addr) && fr.start < fr.end && at);
	if (addr > soft->table.last || fr.end - fr.start - 1 > soft->table.last - addr)
		return -EINVAL;
	/* The last page of all addresses has no end that could be told. */
	if (!memmap_addr_to_range(addr, fr.end - fr.start, &m.ar))
		return -EINVAL;

	(void)pthread_mutex_lock(&soft->lock);
	int err = memmap_file_map_internal(file, fr, at, &m.blocks);
	if (err == -EOPNOTSUPP) {
		m.in_windows = true;
		m.blocks = (struct memmap_block_seq){0};
		err = get_windows(&m);
	} else if (!err) {
		err = check_blocks(m.blocks);
	}
	if (!err)
		err = page_table_reserve(&soft->table, m.ar);
	if (err) {
		put_windows(&m);
		tidy(soft, m.ar, false);
	} else {
		if (precommit && !m.in_windows)
			populate(&m);
		page_table_update(&soft->table, m.ar, true, enter_page, &m);
		if (m.replaced) {
			soft_shoot_down(soft, m.ar);
			windows_trim(&soft->windows);
		}
	}
	(void)pthread_mutex_unlock(&soft->lock);
	return err;
}

/* ---- Unmapping ---- */

struct taking {
	struct memmap_soft *soft;
	memmap_access leave;
	bool taken;
};

static uint64_t take_page(void *context, uint64_t addr, uint64_t before)
{
	struct taking *t = context;
	(void)addr;
	const uint64_t access = before & t->leave;
	if (access == (before & PTE_ACCESS))
		return before;
	t->taken = true;
	if (access)
		return (before & ~PTE_ACCESS) | access;
	forget_window(t->soft, before);
	return 0;
}

static void take(struct memmap_soft *soft, struct memmap_addr_range ar, memmap_access leave)
{
	struct taking t = {.soft = soft, .leave = leave};
	(void)pthread_mutex_lock(&soft->lock);
	page_table_update(&soft->table, ar, false, take_page, &t);
	tidy(soft, ar, t.taken);
	(void)pthread_mutex_unlock(&soft->lock);
}

static void unmap(struct memmap_address_space *as, struct memmap_addr_range ar)
{
	take(soft_of(as), ar, MEMMAP_NO_ACCESS);
}

static void protect(struct memmap_address_space *as, struct memmap_addr_range ar, memmap_access at)
{
	take(soft_of(as), ar, memmap_access_effective(at));
}

static const struct memmap_address_space_ops soft_ops = {
	.map_file = map_file,
	.unmap = unmap,
	.protect = protect,
};

/* ---- Life ---- */

static int no_faults(void *context, uint64_t addr, memmap_access at, enum memmap_fault_code *code)
{
	(void)context;
	(void)addr;
	(void)at;
	*code = MEMMAP_FAULT_UNMAPPED;
	return -EFAULT;
}

int memmap_soft_create(const struct memmap_soft_options *options, struct memmap_soft **out)
{
	static const struct memmap_soft_options defaults;
	if (!options)
		options = &defaults;
	const unsigned bits = options->address_bits ? options->address_bits : 48;
	const uint64_t host_page =
		options->host_page_size ? options->host_page_size : memmap_soft_host_page_size();
	if (bits <= MEMMAP_PAGE_SHIFT || bits > 64 || host_page < MEMMAP_PAGE_SIZE ||
	    host_page > UINT64_C(1) << 40 || (host_page & (host_page - 1)) != 0)
		return -EINVAL;

	struct memmap_soft *soft =
		memmap_allocate(options->allocator, sizeof(*soft), _Alignof(struct memmap_soft));
	if (!soft)
		return -ENOMEM;
	*soft = (struct memmap_soft){
		.address_space.ops = &soft_ops,
		.allocator = options->allocator,
		.faults.handle = no_faults,
		.windows.allocator = options->allocator,
		.windows.size = host_page > WINDOW_SIZE ? host_page : WINDOW_SIZE,
		.fences = memmap_soft_host_register_barrier() != 0,
	};
	if (page_table_init(&soft->table, options->allocator, bits)) {
		memmap_deallocate(options->allocator, soft, sizeof(*soft));
		return -ENOMEM;
	}
	(void)pthread_mutex_init(&soft->lock, NULL);
	(void)pthread_mutex_init(&soft->vcpu_lock, NULL);
	(void)pthread_cond_init(&soft->vcpu_moved, NULL);
	*out = soft;
	return 0;
}

void memmap_soft_release(struct memmap_soft *soft)
{
	if (!soft)
		return;
	if (soft->vcpus)
		memmap_panic("memmap_soft_release: there are vCPUs left");
	take(soft, (struct memmap_addr_range){0, UINT64_MAX}, MEMMAP_NO_ACCESS);
	/* Once more, for what the kernel did not let go at first. */
	windows_trim(&soft->windows);
	page_table_destroy(&soft->table);
	(void)pthread_cond_destroy(&soft->vcpu_moved);
	(void)pthread_mutex_destroy(&soft->vcpu_lock);
	(void)pthread_mutex_destroy(&soft->lock);
	memmap_deallocate(soft->allocator, soft, sizeof(*soft));
}

struct memmap_address_space *memmap_soft_address_space(struct memmap_soft *soft)
{
	return &soft->address_space;
}

void memmap_soft_set_faults(struct memmap_soft *soft, struct memmap_faults faults)
{
	soft->faults = faults;
}

void memmap_soft_get_stats(struct memmap_soft *soft, struct memmap_soft_stats *out)
{
	(void)pthread_mutex_lock(&soft->lock);
	(void)pthread_mutex_lock(&soft->vcpu_lock);
	*out = (struct memmap_soft_stats){
		.nr_pages = soft->table.nr_pages,
		.nr_nodes = soft->table.nr_nodes,
		.nr_windows = soft->windows.nr,
		.nr_shootdowns = soft->ticket,
	};
	(void)pthread_mutex_unlock(&soft->vcpu_lock);
	(void)pthread_mutex_unlock(&soft->lock);
}

int memmap_soft_verify(struct memmap_soft *soft)
{
	(void)pthread_mutex_lock(&soft->lock);
	int err = page_table_verify(&soft->table);
	(void)pthread_mutex_unlock(&soft->lock);
	return err;
}
