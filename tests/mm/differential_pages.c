/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guests of the differential fuzzer's model. See differential_pages.h.
 *
 * The platform "table" is as plain as one can be: an array of pages in address order, each with the
 * file, the offset and the permissions that it was mapped with. A touch goes through
 * memmap_file_map_internal(). It holds no references, so that a page which the address space has
 * let go too early reads as something else.
 *
 * The platform inproc has the arena alone, of one guest at a time: elsewhere this process has things
 * of its own. There the processor itself touches memory; with a userfaultfd (the platform "userfault") the
 * kernel does, too, by system calls of this process.
 */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <memmap/error.h>
#include <memmap/mm_access.h>
#include <memmap/platform_inproc.h>
#include <memmap/platform_soft.h>

#include "differential_pages.h"
#include "platform/inproc/internal.h"

struct mapped_page {
	uint64_t address, offset;
	struct memmap_file *file;
	memmap_access at;
};

struct guest {
	struct memmap_address_space address_space;
	struct memmap_mm *mm;
	enum platform platform;
	struct memmap_soft *soft;
	struct memmap_soft_vcpu *vcpu;
	struct memmap_inproc *inproc; /* for the arena; the rest is in the table */
	struct mapped_page *pages;    /* in address order */
	size_t nr_pages, cap;
};

/* ---- The platform "table" ---- */

static struct guest *guest_of(struct memmap_address_space *as)
{
	return (struct guest *)(void *)as;
}

/* The first page at or above an address. */
static size_t table_find(const struct guest *guest, uint64_t address)
{
	size_t low = 0, high = guest->nr_pages;

	while (low < high) {
		const size_t middle = low + (high - low) / 2;

		if (guest->pages[middle].address < address)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static void table_unmap(struct memmap_address_space *as, struct memmap_addr_range ar)
{
	struct guest *guest = guest_of(as);
	const size_t from = table_find(guest, ar.start), to = table_find(guest, ar.end);

	if (from == to)
		return;
	memmove(guest->pages + from, guest->pages + to,
		(guest->nr_pages - to) * sizeof(*guest->pages));
	guest->nr_pages -= to - from;
}

static int table_map_file(struct memmap_address_space *as, uint64_t addr, struct memmap_file *file,
			  struct memmap_file_range fr, memmap_access at, bool precommit)
{
	struct guest *guest = guest_of(as);
	const uint64_t nr = (fr.end - fr.start) / PAGE;
	size_t at_index;

	(void)precommit;
	table_unmap(as, (struct memmap_addr_range){addr, addr + nr * PAGE});
	while (guest->nr_pages + nr > guest->cap) {
		guest->cap = guest->cap ? guest->cap * 2 : 64;
		guest->pages = realloc(guest->pages, guest->cap * sizeof(*guest->pages));
		if (!guest->pages)
			abort();
	}
	at_index = table_find(guest, addr);
	memmove(guest->pages + at_index + nr, guest->pages + at_index,
		(guest->nr_pages - at_index) * sizeof(*guest->pages));
	guest->nr_pages += nr;
	for (uint64_t i = 0; i < nr; i++)
		guest->pages[at_index + i] = (struct mapped_page){
			.address = addr + i * PAGE,
			.offset = fr.start + i * PAGE,
			.file = file,
			.at = at,
		};
	return 0;
}

static void table_protect(struct memmap_address_space *as, struct memmap_addr_range ar,
			  memmap_access at)
{
	struct guest *guest = guest_of(as);

	for (size_t i = table_find(guest, ar.start);
	     i < guest->nr_pages && guest->pages[i].address < ar.end; i++)
		guest->pages[i].at &= at;
}

static const struct memmap_address_space_ops table_ops = {
	.map_file = table_map_file,
	.unmap = table_unmap,
	.protect = table_protect,
};

/* ---- The platform inproc, in the arena ---- */

/* As much of the arena's surroundings as the reserved region has. */
#define REGION_BYTES (UINT64_C(64) << 20)

static bool in_region(const struct guest *guest, uint64_t address, uint64_t len)
{
	return guest->inproc && address >= ARENA && address + len <= ARENA + REGION_BYTES;
}

/* Is a part of it in the region, and a part not? */
static bool crosses_edge(const struct guest *guest, uint64_t address, uint64_t len)
{
	const uint64_t edges[] = {ARENA, ARENA + REGION_BYTES};

	for (size_t i = 0; i < 2 && guest->inproc; i++)
		if (address < edges[i] && edges[i] < address + len)
			return true;
	return false;
}

/* The part of a range that lies in the region; it may be empty. */
static struct memmap_addr_range region_part(struct memmap_addr_range ar)
{
	const struct memmap_addr_range region = {ARENA, ARENA + REGION_BYTES};

	return memmap_addr_range_intersect(ar, region);
}

static void hybrid_unmap(struct memmap_address_space *as, struct memmap_addr_range ar)
{
	const struct memmap_addr_range part = region_part(ar);

	table_unmap(as, ar);
	if (part.start < part.end)
		memmap_address_space_unmap(memmap_inproc_address_space(guest_of(as)->inproc), part);
}

static void hybrid_protect(struct memmap_address_space *as, struct memmap_addr_range ar,
			   memmap_access at)
{
	const struct memmap_addr_range part = region_part(ar);

	table_protect(as, ar, at);
	if (part.start < part.end)
		memmap_address_space_protect(memmap_inproc_address_space(guest_of(as)->inproc),
					     part, at);
}

static int hybrid_map_file(struct memmap_address_space *as, uint64_t addr, struct memmap_file *file,
			   struct memmap_file_range fr, memmap_access at, bool precommit)
{
	const uint64_t end = addr + (fr.end - fr.start);
	const uint64_t edges[] = {addr, ARENA, ARENA + REGION_BYTES, end};
	int err = 0;

	/* What lies below the region, in it, and above. */
	for (int i = 0; i < 3 && !err; i++) {
		const uint64_t from = edges[i] > addr ? edges[i] : addr;
		const uint64_t to = edges[i + 1] < end ? edges[i + 1] : end;
		const struct memmap_file_range part = {fr.start + (from - addr),
						       fr.start + (to - addr)};

		if (from >= to)
			continue;
		err = i == 1 ? memmap_address_space_map_file(
				       memmap_inproc_address_space(guest_of(as)->inproc), from,
				       file, part, at, precommit)
			     : table_map_file(as, from, file, part, at, precommit);
	}
	return err;
}

static const struct memmap_address_space_ops hybrid_ops = {
	.map_file = hybrid_map_file,
	.unmap = hybrid_unmap,
	.protect = hybrid_protect,
};

/* Where a touch of the region goes on after a fault, and which one it was. */
static sigjmp_buf after_fault;
static volatile bool touching;
static struct memmap_guest_fault last_fault;

static bool on_fault(void *context, const struct memmap_guest_fault *fault, void *ucontext)
{
	(void)context, (void)ucontext;
	if (!touching)
		return false;
	last_fault = *fault;
	siglongjmp(after_fault, 1);
}

/* There is one region at that address: only one guest has it, the others do with the table. */
static void try_region(struct guest *guest)
{
	const struct memmap_inproc_options options = {
		.addr = ARENA,
		.length = REGION_BYTES,
		.on_fault = on_fault,
		.userfaultfd = guest->platform == PLATFORM_USERFAULT,
	};
	const int err = memmap_inproc_create(&options, &guest->inproc);

	if (!err) {
		guest->address_space.ops = &hybrid_ops;
	} else if (options.userfaultfd && (err == -EPERM || err == -EOPNOTSUPP)) {
		printf("differential: skipped: userfaultfd: %s\n", strerror(-err));
		exit(77);
	} else if (err != -EEXIST)
		fprintf(stderr, "differential: memmap_inproc_create: %s\n", strerror(-err));
}

struct guest *guest_create(enum platform platform)
{
	struct guest *guest = calloc(1, sizeof(*guest));

	if (!guest)
		abort();
	guest->platform = platform;
	guest->address_space.ops = &table_ops;
	if (platform == PLATFORM_SOFT && (memmap_soft_create(NULL, &guest->soft) ||
					  memmap_soft_vcpu_create(guest->soft, &guest->vcpu)))
		abort();
	if (platform == PLATFORM_INPROC || platform == PLATFORM_USERFAULT)
		try_region(guest);
	return guest;
}

void guest_destroy(struct guest *guest)
{
	if (!guest)
		return;
	memmap_soft_vcpu_release(guest->vcpu);
	memmap_soft_release(guest->soft);
	memmap_inproc_release(guest->inproc);
	free(guest->pages);
	free(guest);
}

struct memmap_address_space *guest_address_space(struct guest *guest)
{
	if (guest->soft)
		return memmap_soft_address_space(guest->soft);
	return guest->platform == PLATFORM_NONE ? NULL : &guest->address_space;
}

void guest_set_mm(struct guest *guest, struct memmap_mm *mm)
{
	guest->mm = mm;
	if (guest->soft)
		memmap_soft_set_faults(guest->soft, memmap_faults_of_mm(mm));
	if (guest->inproc)
		memmap_inproc_set_faults(guest->inproc, memmap_faults_of_mm(mm));
}

bool guest_verify(struct guest *guest)
{
	if (guest->soft)
		return !memmap_soft_verify(guest->soft);
	if (guest->inproc && memmap_inproc_verify(guest->inproc))
		return false;
	for (size_t i = 0; i < guest->nr_pages; i++) {
		const struct mapped_page *page = &guest->pages[i];
		const memmap_access any = MEMMAP_READ | MEMMAP_WRITE | MEMMAP_EXEC;
		struct memmap_vma vma;

		if (!memmap_mm_find_vma(guest->mm, page->address, &vma) ||
		    vma.range.start > page->address) {
			fprintf(stderr, "differential: a page is mapped at %#llx, and no VMA is\n",
				(unsigned long long)page->address);
			return false;
		}
		if (!(vma.flags & (MEMMAP_VM_READ | MEMMAP_VM_WRITE | MEMMAP_VM_EXEC)) ||
		    ((page->at & MEMMAP_WRITE) && !(vma.flags & MEMMAP_VM_WRITE)) ||
		    ((page->at & MEMMAP_EXEC) && !(vma.flags & MEMMAP_VM_EXEC)) ||
		    (page->at & ~any)) {
			fprintf(stderr, "differential: the page at %#llx is mapped for %#x\n",
				(unsigned long long)page->address, (unsigned int)page->at);
			return false;
		}
	}
	return true;
}

/* ---- Touches ---- */

/* A fault that stays one, as the executor would tell of it. */
static int64_t fault_result(int err, enum memmap_fault_code code)
{
	if (err == -EFAULT)
		return code == MEMMAP_FAULT_UNMAPPED ? -EXECUTOR_SEGV_MAPERR
						     : -EXECUTOR_SEGV_ACCERR;
	return memmap_is_bus_error(err) ? -EXECUTOR_BUS_ADRERR : err;
}

/* Make the page of an address accessible. Returns 0, or what the executor would tell. */
static int64_t resolve(struct guest *guest, uint64_t address, memmap_access at,
		       struct mapped_page *out)
{
	for (int tries = 0; tries < 4; tries++) {
		const size_t i = table_find(guest, address & ~(PAGE - 1));
		enum memmap_fault_code code = MEMMAP_FAULT_UNMAPPED;
		int err;

		if (i < guest->nr_pages && guest->pages[i].address == (address & ~(PAGE - 1)) &&
		    (guest->pages[i].at & at) == at) {
			*out = guest->pages[i];
			return 0;
		}
		err = memmap_mm_handle_fault(guest->mm, address, at, &code);
		if (err)
			return fault_result(err, code);
	}
	fprintf(stderr, "differential: %#llx faults again and again\n",
		(unsigned long long)address);
	return -EDEADLK;
}

/* Copy between a part of one page and a buffer. */
static int64_t copy(const struct mapped_page *page, uint64_t address, void *buf, size_t len,
		    bool write)
{
	const uint64_t start = page->offset + address % PAGE;
	const struct memmap_file_range fr = {start, start + len};
	struct memmap_block_seq from, to;
	uint64_t done = 0;
	int err = memmap_file_map_internal(page->file, fr, write ? MEMMAP_WRITE : MEMMAP_READ,
					   write ? &to : &from);

	if (err)
		return err;
	if (write)
		from = memmap_block_seq_of(memmap_block_safe(buf, len));
	else
		to = memmap_block_seq_of(memmap_block_safe(buf, len));
	err = memmap_copy_seq(to, from, &done);
	return err ? err : done == len ? 0 : -EIO;
}

/* Touching from outside tells that it failed, not where: ask as the guest would have. */
static int64_t access_from_outside(struct guest *guest, uint64_t address, memmap_access at,
				   void *buf, size_t len, bool write, uint64_t *faulted)
{
	enum memmap_fault_code code = MEMMAP_FAULT_UNMAPPED;
	uint64_t done = 0;
	int err = 0;

	for (uint64_t page = address; page < address + len; page = (page | (PAGE - 1)) + 1) {
		*faulted = page;
		err = memmap_mm_handle_fault(guest->mm, page, at, &code);
		if (err)
			return fault_result(err, code);
	}
	if (write)
		err = memmap_mm_copy_out(guest->mm, address, buf, len, NULL, &done);
	else if (at != MEMMAP_EXEC)
		err = memmap_mm_copy_in(guest->mm, address, buf, len, NULL, &done);
	if (!err)
		*faulted = 0;
	return err ? fault_result(err, code) : 0;
}

static int soft_load(struct memmap_soft_vcpu *vcpu, uint64_t address, memmap_access at, void *buf,
		     size_t len)
{
	size_t done;

	switch (len) {
	case 1:
		return memmap_soft_load_at_u8(vcpu, address, at, buf);
	case 2:
		return memmap_soft_load_at_u16(vcpu, address, at, buf);
	case 4:
		return memmap_soft_load_at_u32(vcpu, address, at, buf);
	case 8:
		return memmap_soft_load_at_u64(vcpu, address, at, buf);
	default:
		return memmap_soft_read(vcpu, address, buf, len, &done);
	}
}

static int soft_store(struct memmap_soft_vcpu *vcpu, uint64_t address, const void *buf, size_t len)
{
	uint64_t value = 0;

	memcpy(&value, buf, len);
	switch (len) {
	case 1:
		return memmap_soft_store_u8(vcpu, address, (uint8_t)value);
	case 2:
		return memmap_soft_store_u16(vcpu, address, (uint16_t)value);
	case 4:
		return memmap_soft_store_u32(vcpu, address, (uint32_t)value);
	default:
		return memmap_soft_store_u64(vcpu, address, value);
	}
}

static int64_t access_by_soft(struct guest *guest, uint64_t address, memmap_access at, void *buf,
			      size_t len, bool write, uint64_t *faulted)
{
	struct memmap_guest_fault fault;
	int err;

	memmap_soft_enter(guest->vcpu);
	err = write ? soft_store(guest->vcpu, address, buf, len)
		    : soft_load(guest->vcpu, address, at, buf, len);
	memmap_soft_leave(guest->vcpu);
	if (!err)
		return 0;
	fault = memmap_soft_last_fault(guest->vcpu);
	*faulted = fault.addr;
	return fault_result(err, fault.code);
}

/* The processor's own access, of 1, 2, 4 or 8 bytes wherever they are; sanitizers see none of it. */
static void touch_host(uint64_t address, memmap_access at, void *buf, size_t len, bool write)
{
	uint64_t value = 0;

	if (write)
		memcpy(&value, buf, len);
	if (at == MEMMAP_EXEC) {             /* a "ret" is there, and uses no stack below ours */
		((void (*)(void))address)(); /* NOLINT(performance-no-int-to-ptr) */
	} else if (at == MEMMAP_WRITE && !write) { /* a load that demands to be able to store */
		__asm__ volatile("lock orb $0, (%0)" : : "r"(address) : "memory", "cc");
		__asm__ volatile("movq (%1), %0" : "=r"(value) : "r"(address) : "memory");
	} else if (write) {
		switch (len) {
		case 1:
			__asm__ volatile("movb %b0, (%1)" : : "q"(value), "r"(address) : "memory");
			break;
		case 2:
			__asm__ volatile("movw %w0, (%1)" : : "r"(value), "r"(address) : "memory");
			break;
		case 4:
			__asm__ volatile("movl %k0, (%1)" : : "r"(value), "r"(address) : "memory");
			break;
		default:
			__asm__ volatile("movq %0, (%1)" : : "r"(value), "r"(address) : "memory");
			break;
		}
	} else {
		switch (len) {
		case 1:
			__asm__ volatile("movzbl (%1), %k0"
					 : "=r"(value)
					 : "r"(address)
					 : "memory");
			break;
		case 2:
			__asm__ volatile("movzwl (%1), %k0"
					 : "=r"(value)
					 : "r"(address)
					 : "memory");
			break;
		case 4:
			__asm__ volatile("movl (%1), %k0" : "=r"(value) : "r"(address) : "memory");
			break;
		default:
			__asm__ volatile("movq (%1), %0" : "=r"(value) : "r"(address) : "memory");
			break;
		}
	}
	if (!write)
		memcpy(buf, &value, len);
}

static int64_t access_in_region(uint64_t address, memmap_access at, void *buf, size_t len,
				bool write, uint64_t *faulted)
{
	*faulted = 0;
	if (sigsetjmp(after_fault, 1)) {
		touching = false;
		*faulted = last_fault.addr;
		return fault_result(last_fault.error, last_fault.code);
	}
	touching = true;
	if (len <= 8)
		touch_host(address, at, buf, len, write);
	for (size_t i = 0; i < len && len > 8; i += 8)
		touch_host(address + i, at, (char *)buf + i, 8, write);
	touching = false;
	return 0;
}

/*
 * One instruction's access, to one page or two. Nothing is written unless all can be. `*faulted` is
 * where it faulted.
 */
static int64_t access_bytes(struct guest *guest, uint64_t address, memmap_access at, void *buf,
			    size_t len, bool write, uint64_t *faulted)
{
	const size_t first = PAGE - address % PAGE < len ? PAGE - address % PAGE : len;
	struct mapped_page pages[2];
	int64_t result;

	/* Neither the region nor the table could make such an access at once. */
	if (guest->platform == PLATFORM_NONE || crosses_edge(guest, address, len))
		return access_from_outside(guest, address, at, buf, len, write, faulted);
	if (in_region(guest, address, len))
		return access_in_region(address, at, buf, len, write, faulted);
	if (guest->platform == PLATFORM_SOFT) {
		*faulted = 0;
		return access_by_soft(guest, address, at, buf, len, write, faulted);
	}
	*faulted = address;
	result = resolve(guest, address, at, &pages[0]);
	if (!result && first < len) {
		*faulted = address + first;
		result = resolve(guest, address + first, at, &pages[1]);
		/* Growing a stack, or want of memory, may have taken the first one away. */
		if (!result)
			result = resolve(guest, address, at, &pages[0]);
	}
	if (!result)
		result = copy(&pages[0], address, buf, first, write);
	if (!result && first < len)
		result = copy(&pages[1], address + first, (char *)buf + first, len - first, write);
	if (!result)
		*faulted = 0;
	return result;
}

static struct outcome touch_sum(struct guest *guest, const struct step *step)
{
	uint64_t sum = EXECUTOR_SUM_START, faulted;

	for (uint64_t at = step->args[0]; at < step->args[0] + step->args[1]; at += PAGE) {
		uint64_t words[PAGE / 8];
		const int64_t result =
			access_bytes(guest, at, MEMMAP_READ, words, sizeof(words), false, &faulted);

		if (result)
			sum = executor_sum_word(sum, (uint64_t)result);
		for (size_t i = 0; i < PAGE / 8 && !result; i++)
			sum = executor_sum_word(sum, words[i]);
	}
	return (struct outcome){.result = executor_sum_result(sum)};
}

static struct outcome touch_run(struct guest *guest, uint64_t address)
{
	struct outcome outcome = {0};
	unsigned char instruction = 0;

	outcome.result =
		access_bytes(guest, address, MEMMAP_READ, &instruction, 1, false, &outcome.detail);
	if (!outcome.result && instruction != EXECUTOR_RET)
		outcome.result = -EXECUTOR_ILL;
	if (!outcome.result)
		outcome.result = access_bytes(guest, address, MEMMAP_EXEC, &instruction, 1, false,
					      &outcome.detail);
	return outcome;
}

static struct outcome add_from_outside(struct guest *guest, const uint64_t *a)
{
	const struct memmap_atomic add = {MEMMAP_ATOMIC_ADD, (unsigned int)a[1], a[2], 0};
	enum memmap_fault_code code = MEMMAP_FAULT_UNMAPPED;
	uint64_t old = 0;
	int err = memmap_mm_handle_fault(guest->mm, a[0], MEMMAP_WRITE, &code);

	if (!err)
		err = memmap_mm_atomic(guest->mm, a[0], &add, NULL, &old);
	return err ? (struct outcome){fault_result(err, code), a[0]}
		   : (struct outcome){(int64_t)old, 0};
}

static uint64_t add_at(void *host, uint64_t width, uint64_t value)
{
	switch (width) {
	case 1:
		return __atomic_fetch_add((uint8_t *)host, (uint8_t)value, __ATOMIC_SEQ_CST);
	case 2:
		return __atomic_fetch_add((uint16_t *)host, (uint16_t)value, __ATOMIC_SEQ_CST);
	case 4:
		return __atomic_fetch_add((uint32_t *)host, (uint32_t)value, __ATOMIC_SEQ_CST);
	default:
		return __atomic_fetch_add((uint64_t *)host, value, __ATOMIC_SEQ_CST);
	}
}

static struct outcome add_by_soft(struct guest *guest, const uint64_t *a)
{
	struct memmap_guest_fault fault;
	struct outcome outcome = {0};
	size_t length = a[1];
	void *host;
	int err;

	memmap_soft_enter(guest->vcpu);
	err = memmap_soft_translate(guest->vcpu, a[0], MEMMAP_WRITE, &host, &length);
	if (!err)
		outcome.result = (int64_t)add_at(host, a[1], a[2]);
	memmap_soft_leave(guest->vcpu);
	if (err) {
		fault = memmap_soft_last_fault(guest->vcpu);
		outcome = (struct outcome){fault_result(err, fault.code), fault.addr};
	}
	return outcome;
}

struct outcome guest_touch(struct guest *guest, const struct step *step)
{
	const uint64_t *a = step->args;
	struct outcome outcome = {0};
	uint64_t value = a[2], old = 0;

	switch (step->op) {
	case OP_PEEK:
		outcome.result =
			access_bytes(guest, a[0], MEMMAP_READ, &old, a[1], false, &outcome.detail);
		if (!outcome.result)
			outcome.result = (int64_t)old;
		return outcome;
	case OP_POKE:
		outcome.result = access_bytes(guest, a[0], MEMMAP_WRITE, &value, a[1], true,
					      &outcome.detail);
		return outcome;
	case OP_ADD: /* its first access is a write */
		if (guest->platform == PLATFORM_NONE)
			return add_from_outside(guest, a);
		if (guest->platform == PLATFORM_SOFT)
			return add_by_soft(guest, a);
		outcome.result =
			access_bytes(guest, a[0], MEMMAP_WRITE, &old, a[1], false, &outcome.detail);
		value += old;
		if (!outcome.result)
			outcome.result = access_bytes(guest, a[0], MEMMAP_WRITE, &value, a[1], true,
						      &outcome.detail);
		if (!outcome.result)
			outcome.result = (int64_t)old;
		return outcome;
	case OP_RUN:
		return touch_run(guest, a[0]);
	default:
		return touch_sum(guest, step);
	}
}

/* ---- Copies by the kernel ---- */

static bool writes_memory(enum op op)
{
	return op == OP_WRITE || op == OP_COPY_OUT;
}

/* The system call that the executor makes, from its byte `done` on; or a negative errno. */
static int64_t copy_call(const struct open_files *files, const struct step *step, uint64_t done)
{
	const uint64_t address = step->args[0] + done;
	int64_t result;

	/* By number: nobody in between must look at the memory. */
	switch (step->op) {
	case OP_READ:
		result = syscall(SYS_write, files->scratch_fd, address, 1);
		break;
	case OP_WRITE:
		result = syscall(SYS_read, files->zero_fd, address, 1);
		break;
	case OP_COPY_OUT:
		result = syscall(SYS_pread64, files->pattern_fd, address, step->args[1] - done,
				 step->args[2] % PAGE + done);
		break;
	default:
		result = syscall(SYS_pwrite64, files->scratch_fd, address, step->args[1] - done,
				 done);
		break;
	}
	return result < 0 ? -errno : result;
}

/* Nothing waits for the moment after which a refused page is watched again. */
static bool forgiven(struct guest *guest)
{
	for (int ms = 0; ms < 10000; ms++) {
		unsigned int nr;

		pthread_mutex_lock(&guest->inproc->lock);
		nr = guest->inproc->userfault.nr_refused;
		pthread_mutex_unlock(&guest->inproc->lock);
		if (!nr)
			return true;
		usleep(1000);
	}
	fprintf(stderr, "differential: a page that was refused stays so\n");
	return false;
}

/* Is the page mapped, so that the kernel can read it without waiting? */
static bool can_be_read(struct guest *guest, const struct open_files *files, uint64_t address)
{
	struct memmap_inproc_stats before, after;
	int64_t result;

	memmap_inproc_get_stats(guest->inproc, &before);
	result = syscall(SYS_pwrite64, files->scratch_fd, address, 1, MOST_FILE_BYTES);
	memmap_inproc_get_stats(guest->inproc, &after);
	return result == 1 && before.nr_kernel_waits == after.nr_kernel_waits;
}

/*
 * The kernel could not touch what is at an address. 0: rightly. 1: it was to write to what was mapped for
 * reading only, which is now mapped for writing. -EDEADLK: it should have been served.
 */
static int again(struct guest *guest, const struct open_files *files, uint64_t address, bool writes)
{
	enum memmap_fault_code code;
	struct memmap_vma vma;
	bool read_only;

	/* What is mapped without permission to write must not come to be by reading it. */
	if (!memmap_mm_find_vma(guest->mm, address, &vma) || vma.range.start > address ||
	    (writes && !(vma.flags & MEMMAP_VM_WRITE)))
		return 0;
	read_only = writes && can_be_read(guest, files, address);
	if (memmap_mm_handle_fault(guest->mm, address, writes ? MEMMAP_WRITE : MEMMAP_READ, &code))
		return 0;
	if (read_only)
		return 1;
	fprintf(stderr, "differential: the kernel should have been served at %#llx\n",
		(unsigned long long)address);
	return -EDEADLK;
}

bool guest_copy(struct guest *guest, const struct open_files *files, const struct step *step,
		struct outcome *outcome)
{
	const uint64_t address = step->args[0];
	const bool one = step->op == OP_READ || step->op == OP_WRITE;
	const uint64_t length = one ? 1 : step->args[1];
	uint64_t done = 0;
	int64_t result = 0;

	if (guest->platform != PLATFORM_USERFAULT || !in_region(guest, address, length))
		return false;
	if (!forgiven(guest)) {
		outcome->result = -EDEADLK;
		return true;
	}
	while (done < length) {
		result = copy_call(files, step, done);
		if (result > 0) {
			done += (uint64_t)result;
			continue;
		}
		if (result != -EFAULT)
			break;
		const int what = again(guest, files, address + done, writes_memory(step->op));
		if (what < 0) {
			outcome->result = what;
			return true;
		}
		if (!what)
			break;
	}
	if (one)
		outcome->result = done ? 0 : result;
	else
		outcome->result = done ? (int64_t)done : result;
	if (step->op == OP_COPY_IN && done)
		outcome->detail = open_files_scratch_sum(files, done);
	return true;
}
