/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An emulator's memory: a tiny interpreter whose guest has a whole Linux address space.
 *
 * The guest's addresses are nobody's here: each access goes through memmap_soft_load_u32() and its
 * like, which find the page, or have it made. The program counts to ten in memory, touches what is
 * not mapped, and is told so as Linux would tell it.
 */
#include <memmap/memory_file.h>
#include <memmap/mm.h>
#include <memmap/platform_soft.h>

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>

/* Instructions: a word of operation and operands, registers r0 to r3. */
enum op {
	HALT,
	SET,   /* r[a] = the next word */
	LOAD,  /* r[a] = memory at r[b] */
	STORE, /* memory at r[b] = r[a] */
	ADD,   /* r[a] += r[b] */
	LOOP,  /* if (r[a] < r[b]) go back by the next word's number of words */
};
#define INSTRUCTION(op, a, b) ((uint32_t)(op) | (uint32_t)(a) << 8 | (uint32_t)(b) << 16)

/* Run until HALT: 0; or until an access fails: its error. */
static int run(struct memmap_soft_vcpu *vcpu, uint64_t pc, uint32_t r[4])
{
	int err = 0;
	bool running = true;
	memmap_soft_enter(vcpu);
	while (running && !err) {
		uint32_t instruction, operand = 0;
		/* Others may be waiting for us to let go of a page. */
		memmap_soft_poll(vcpu);
		err = memmap_soft_fetch_u32(vcpu, pc, &instruction);
		if (err)
			break;
		pc += 4;
		uint32_t *a = &r[instruction >> 8 & 3];
		const uint32_t *b = &r[instruction >> 16 & 3];
		switch (instruction & 0xff) {
		case SET:
			err = memmap_soft_fetch_u32(vcpu, pc, a);
			pc += 4;
			break;
		case LOAD:
			err = memmap_soft_load_u32(vcpu, *b, a);
			break;
		case STORE:
			err = memmap_soft_store_u32(vcpu, *b, *a);
			break;
		case ADD:
			*a += *b;
			break;
		case LOOP:
			err = memmap_soft_fetch_u32(vcpu, pc, &operand);
			pc = *a < *b ? pc - (uint64_t)operand * 4 : pc + 4;
			break;
		default:
			running = false;
		}
	}
	memmap_soft_leave(vcpu);
	return err;
}

int main(void)
{
	struct memmap_memory_file *memory;
	struct memmap_soft *soft;
	struct memmap_mm *mm;
	struct memmap_soft_vcpu *vcpu;

	/* The guest's addresses have 32 bits: two levels of page table fewer. */
	const struct memmap_soft_options soft_options = {.address_bits = 32};
	int err = memmap_memory_file_create(NULL, &memory);
	assert(err == 0);
	err = memmap_soft_create(&soft_options, &soft);
	assert(err == 0);
	struct memmap_mm_options options = {
		.memory_file = memory,
		.address_space = memmap_soft_address_space(soft),
	};
	memmap_mm_layout_default(&options.layout);
	memmap_mm_limits_default(&options.limits);
	options.layout.task_size = UINT64_C(1) << 32;
	options.layout.mmap_base = 0xc0000000;
	options.layout.mmap_legacy_base = 0x40000000;
	options.layout.start_brk = options.layout.brk = 0x10000000;
	options.layout.start_stack = 0xfff00000;
	err = memmap_mm_create(&options, &mm);
	assert(err == 0);
	memmap_soft_set_faults(soft, memmap_faults_of_mm(mm));
	err = memmap_soft_vcpu_create(soft, &vcpu);
	assert(err == 0);

	/* The program, and a page for its data. */
	static const uint32_t program[] = {
		INSTRUCTION(SET, 0, 0),   0,          /* r0: counts */
		INSTRUCTION(SET, 1, 0),   1,          /* r1: one */
		INSTRUCTION(SET, 2, 0),   0x20000ffe, /* r2: where, across two pages */
		INSTRUCTION(SET, 3, 0),   10,         /* r3: how far */
		INSTRUCTION(ADD, 0, 1),               /* again: r0 += r1 */
		INSTRUCTION(STORE, 0, 2),             /* *r2 = r0 */
		INSTRUCTION(LOAD, 0, 2),              /* r0 = *r2 */
		INSTRUCTION(LOOP, 0, 3),  4,          /* while r0 < r3 */
		INSTRUCTION(HALT, 0, 0),
	};
	int64_t at = memmap_mm_sys_mmap(mm, 0x10000, 0x1000, PROT_READ | PROT_WRITE | PROT_EXEC,
					MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0, NULL);
	assert(at == 0x10000);
	at = memmap_mm_sys_mmap(mm, 0x20000000, 0x2000, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, NULL, 0, NULL);
	assert(at == 0x20000000);
	memmap_soft_enter(vcpu);
	err = memmap_soft_write(vcpu, 0x10000, program, sizeof(program), NULL);
	assert(err == 0);
	memmap_soft_leave(vcpu);

	uint32_t r[4] = {0};
	err = run(vcpu, 0x10000, r);
	printf("counted to %u\n", r[0]);
	assert(err == 0 && r[0] == 10);

	/* The data's second page goes: the program's next store is a SIGSEGV. */
	int64_t result = memmap_mm_sys_munmap(mm, 0x20001000, 0x1000);
	assert(result == 0);
	err = run(vcpu, 0x10000, r);
	assert(err == -EFAULT);
	const struct memmap_guest_fault fault = memmap_soft_last_fault(vcpu);
	printf("SIGSEGV at %#lx: %s\n", (unsigned long)fault.addr,
	       fault.code == MEMMAP_FAULT_UNMAPPED ? "nothing is mapped there" : "not permitted");
	assert(fault.addr == 0x20001000 && fault.at == MEMMAP_WRITE);

	memmap_soft_vcpu_release(vcpu);
	memmap_mm_release(mm);
	memmap_soft_release(soft);
	memmap_memory_file_release(memory);
	return 0;
}
