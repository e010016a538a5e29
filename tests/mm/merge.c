/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which neighbours become one VMA: likeness, offsets, open files, and owners of anonymous pages.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "fixture.h"

#define AT UINT64_C(0x30000000)

/* Map page `n` from AT. */
static void map_page(struct memmap_mm *mm, uint64_t n, uint64_t prot, uint64_t flags)
{
	assert_int_equal(map_anon(mm, AT + n * K, K, prot, FIXED | flags), AT + n * K);
}

/* Something was written to page `n`. */
static void touch(struct memmap_mm *mm, uint64_t n)
{
	memmap_mm_note_anonymous(mm, (struct memmap_addr_range){AT + n * K, AT + (n + 1) * K});
}

static uint64_t owner(const struct memmap_mm *mm, uint64_t n)
{
	return vma_at(mm, AT + n * K).anon_vma;
}

static void test_new_mappings_join(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm();
	map_page(mm, 0, RW, 0);
	map_page(mm, 1, RW, 0); /* with the one before */
	map_page(mm, 4, RW, 0);
	map_page(mm, 3, RW, 0); /* with the one after */
	assert_vmas(mm, "30000000-30002000 rw-p\n"
			"30003000-30005000 rw-p\n");
	map_page(mm, 2, RW, 0); /* with both */
	assert_vmas(mm, "30000000-30005000 rw-p\n");
	/* Not what is different. */
	map_page(mm, 5, PROT_READ, 0);
	map_page(mm, 6, RW, MAP_NORESERVE);
	map_page(mm, 7, RW, MAP_STACK);
	map_page(mm, 8, RW, MAP_GROWSDOWN);
	map_page(mm, 9, RW, 0);
	assert_vmas(mm, "30000000-30005000 rw-p\n"
			"30005000-30006000 r--p\n"
			"30006000-30007000 rw-p\n"
			"30007000-30008000 rw-p\n"
			"30008000-30009000 rw-p\n"
			"30009000-3000a000 rw-p\n");
	memmap_mm_release(mm);
}

static void test_files(void **state)
{
	(void)state;
	struct test_file a, again;
	test_file_init(&a, "a");
	test_file_init(&again, "again"); /* the same inode opened once more */
	again.inode = &a;
	struct memmap_mm *mm = small_mm();
	const uint64_t flags = MAP_PRIVATE | MAP_FIXED;
	map_file(mm, AT, K, PROT_READ, flags, &a, 5 * K);
	map_file(mm, AT + K, K, PROT_READ, flags, &a, 6 * K);
	map_file(mm, AT + 2 * K, K, PROT_READ, flags, &a, 8 * K);
	map_file(mm, AT + 3 * K, K, PROT_READ, flags, &again, 9 * K);
	map_file(mm, AT + 4 * K, K, PROT_READ, MAP_SHARED | MAP_FIXED, &again, 10 * K);
	assert_vmas(mm, "30000000-30002000 r--p a+5000\n"
			"30002000-30003000 r--p a+8000\n"
			"30003000-30004000 r--p again+9000\n"
			"30004000-30005000 r--s again+a000\n");
	/* Each VMA holds one reference, whatever it merged with. */
	assert_int_equal(a.references, 2);
	assert_int_equal(again.references, 2);
	map_file(mm, AT + 2 * K, K, PROT_READ, flags, &a, 7 * K);
	assert_vmas(mm, "30000000-30003000 r--p a+5000\n"
			"30003000-30004000 r--p again+9000\n"
			"30004000-30005000 r--s again+a000\n");
	assert_int_equal(a.references, 1);
	assert_reverse_map(mm, &a);
	memmap_mm_release(mm);
	assert_int_equal(again.references, 0);
	test_file_destroy(&a);
}

/* What the file's method marks as special merges with nothing, not even its like. */
static void test_special(void **state)
{
	(void)state;
	struct test_file a;
	test_file_init(&a, "a");
	struct memmap_mm *mm = small_mm();
	struct memmap_mmap_file device = test_file_open(&a);
	device.extra_flags = MEMMAP_VM_IO;
	for (uint64_t i = 0; i < 2; i++)
		assert_int_equal(memmap_mm_sys_mmap(mm, AT + i * K, K, RW, MAP_SHARED | MAP_FIXED,
						    &device, i * K, NULL),
				 AT + i * K);
	for (int i = 0; i < 2; i++) {
		assert_vmas(mm, "30000000-30001000 rw-s a+0\n"
				"30001000-30002000 rw-s a+1000\n");
		assert_int_equal(memmap_mm_sys_mprotect(mm, AT, K, PROT_READ), 0);
		assert_int_equal(memmap_mm_sys_mprotect(mm, AT, K, RW), 0);
	}
	memmap_mm_release(mm);
	test_file_destroy(&a);
}

/* Two that were written to on their own stay apart, and so does what comes between them. */
/* A VMA that its file wants to see go does not vanish into a neighbour; parts may change sides. */
static void test_closing(void **state)
{
	(void)state;
	struct test_file segment;
	test_file_init(&segment, "segment");
	struct memmap_mmap_file file = test_file_open(&segment);
	file.extra_flags = MEMMAP_VM_CLOSES;
	const uint64_t flags = MAP_SHARED | MAP_FIXED;
	struct memmap_mm *mm = small_mm();
	assert_int_equal(memmap_mm_sys_mmap(mm, AT, 6 * K, RW, flags, &file, 0, NULL), AT);
	assert_int_equal(memmap_mm_sys_mprotect(mm, AT, 2 * K, PROT_READ), 0);
	assert_int_equal(memmap_mm_sys_mprotect(mm, AT + 4 * K, 2 * K, PROT_READ), 0);
	/* The whole of it would go. */
	assert_int_equal(memmap_mm_sys_mprotect(mm, AT, 2 * K, RW), 0);
	assert_vmas(mm, "30000000-30002000 rw-s segment+0\n"
			"30002000-30004000 rw-s segment+2000\n"
			"30004000-30006000 r--s segment+4000\n");
	/* To both sides, or to one. */
	assert_int_equal(memmap_mm_sys_mprotect(mm, AT, 2 * K, PROT_READ), 0);
	assert_int_equal(memmap_mm_sys_mprotect(mm, AT + 2 * K, 2 * K, PROT_READ), 0);
	assert_vmas(mm, "30000000-30002000 r--s segment+0\n"
			"30002000-30004000 r--s segment+2000\n"
			"30004000-30006000 r--s segment+4000\n");
	/* A part of it does not go. */
	assert_int_equal(memmap_mm_sys_mprotect(mm, AT, 2 * K, RW), 0);
	assert_int_equal(memmap_mm_sys_mprotect(mm, AT + 2 * K, K, RW), 0);
	assert_vmas(mm, "30000000-30003000 rw-s segment+0\n"
			"30003000-30004000 r--s segment+3000\n"
			"30004000-30006000 r--s segment+4000\n");
	memmap_mm_release(mm);
	/* A new mapping between two joins the one before it; the one after it stays. */
	mm = small_mm();
	assert_int_equal(memmap_mm_sys_mmap(mm, AT, K, RW, flags, &file, 0, NULL), AT);
	assert_int_equal(memmap_mm_sys_mmap(mm, AT + 2 * K, K, RW, flags, &file, 2 * K, NULL),
			 AT + 2 * K);
	assert_int_equal(memmap_mm_sys_mmap(mm, AT + K, K, RW, flags, &file, K, NULL), AT + K);
	assert_vmas(mm, "30000000-30002000 rw-s segment+0\n"
			"30002000-30003000 rw-s segment+2000\n");
	memmap_mm_release(mm);
	test_file_destroy(&segment);
}

static void test_owners_keep_apart(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm();
	map_page(mm, 0, RW, 0);
	map_page(mm, 2, RW, 0);
	touch(mm, 0);
	touch(mm, 2);
	assert_int_not_equal(owner(mm, 0), owner(mm, 2));
	map_page(mm, 1, RW, 0); /* goes to the one before */
	assert_vmas(mm, "30000000-30002000 rw-p\n"
			"30002000-30003000 rw-p\n");
	/* Without an owner on one side all three become one, and it is the other's. */
	assert_int_equal(memmap_mm_sys_munmap(mm, AT, 2 * K), 0);
	map_page(mm, 0, RW, 0);
	uint64_t second = owner(mm, 2);
	map_page(mm, 1, RW, 0);
	assert_vmas(mm, "30000000-30003000 rw-p\n");
	assert_int_equal(owner(mm, 0), second);
	memmap_mm_release(mm);
}

/* Parts of what was one share their owner, and become one again. */
static void test_parts_rejoin(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm();
	assert_int_equal(map_anon(mm, AT, 3 * K, RW, FIXED), AT);
	touch(mm, 2);
	assert_int_equal(memmap_mm_sys_mprotect(mm, AT + K, K, PROT_NONE), 0);
	assert_int_equal(owner(mm, 0), owner(mm, 2));
	assert_int_equal(memmap_mm_sys_mprotect(mm, AT + K, K, RW), 0);
	assert_vmas(mm, "30000000-30003000 rw-p\n");
	memmap_mm_release(mm);
}

/* A neighbour that differs in permissions alone gives its owner; the one after is asked first. */
static void test_owner_is_taken_over(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm();
	assert_int_equal(map_anon(mm, AT, 3 * K, RW, FIXED), AT);
	assert_int_equal(memmap_mm_sys_mprotect(mm, AT + K, K, RX | PROT_WRITE), 0);
	assert_vmas(mm, "30000000-30001000 rw-p\n"
			"30001000-30002000 rwxp\n"
			"30002000-30003000 rw-p\n");
	touch(mm, 1);
	touch(mm, 0);
	touch(mm, 2);
	assert_int_equal(owner(mm, 0), owner(mm, 1));
	assert_int_equal(owner(mm, 2), owner(mm, 1));
	assert_int_equal(memmap_mm_sys_mprotect(mm, AT + K, K, RW), 0);
	assert_vmas(mm, "30000000-30003000 rw-p\n");

	/* The outer ones first: then the middle one takes that of the one after. */
	assert_int_equal(map_anon(mm, AT, 3 * K, RW, FIXED), AT);
	assert_int_equal(memmap_mm_sys_mprotect(mm, AT + K, K, RX | PROT_WRITE), 0);
	touch(mm, 0);
	touch(mm, 2);
	assert_int_not_equal(owner(mm, 0), owner(mm, 2));
	touch(mm, 1);
	assert_int_equal(owner(mm, 1), owner(mm, 2));
	assert_int_equal(memmap_mm_sys_mprotect(mm, AT + K, K, RW), 0);
	assert_vmas(mm, "30000000-30001000 rw-p\n"
			"30001000-30003000 rw-p\n");
	memmap_mm_release(mm);
}

/* But not one that maps another part of the file, or stands on the other side of a gap. */
static void test_owner_of_another_part(void **state)
{
	(void)state;
	struct test_file a;
	test_file_init(&a, "a");
	struct memmap_mm *mm = small_mm();
	for (uint64_t i = 0; i < 3; i++) {
		map_file(mm, AT + i * K, K, RW, MAP_PRIVATE | MAP_FIXED, &a, 2 * i * K);
		touch(mm, i);
	}
	map_page(mm, 5, RW, 0);
	map_page(mm, 7, RX | PROT_WRITE, 0);
	touch(mm, 5);
	touch(mm, 7);
	assert_int_not_equal(owner(mm, 0), owner(mm, 1));
	assert_int_not_equal(owner(mm, 1), owner(mm, 2));
	assert_int_not_equal(owner(mm, 5), owner(mm, 7));
	memmap_mm_release(mm);
	test_file_destroy(&a);
}

/* What joins a neighbour without an owner brings its own along. */
static void test_owner_comes_along(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm();
	map_page(mm, 0, RW, 0);
	map_page(mm, 1, RX | PROT_WRITE, 0);
	touch(mm, 1);
	uint64_t middle = owner(mm, 1);
	/* To the one before, all of it; and from there to the one after, half of it. */
	assert_int_equal(memmap_mm_sys_mprotect(mm, AT + K, K, RW), 0);
	assert_vmas(mm, "30000000-30002000 rw-p\n");
	assert_int_equal(owner(mm, 0), middle);
	map_page(mm, 2, RX | PROT_WRITE, 0);
	assert_int_equal(memmap_mm_sys_mprotect(mm, AT + K, K, RX | PROT_WRITE), 0);
	assert_vmas(mm, "30000000-30001000 rw-p\n"
			"30001000-30003000 rwxp\n");
	assert_int_equal(owner(mm, 2), middle);
	memmap_mm_release(mm);
}

/*
 * ---- The hook ----
 */

struct pages {
	uint64_t written; /* one bit a page from AT */
	unsigned nr_asked;
};

static bool has_anonymous(void *context, struct memmap_addr_range ar)
{
	struct pages *pages = context;
	pages->nr_asked++;
	for (uint64_t at = ar.start; at < ar.end; at += K) {
		if (at >= AT && at < AT + 64 * K && (pages->written >> (at - AT) / K & 1))
			return true;
	}
	return false;
}

static struct memmap_mm *hooked_mm(struct pages *pages)
{
	struct memmap_mm_options options = small_options();
	options.hooks = (struct memmap_mm_hooks){.context = pages, .has_anonymous = has_anonymous};
	struct memmap_mm *mm;
	assert_int_equal(memmap_mm_create(&options, &mm), 0);
	return mm;
}

/* Where memory is moved to, the hook still sees what was there before. */
static void test_hook_is_asked_before_memory_moves(void **state)
{
	(void)state;
	const uint64_t fixed = MREMAP_MAYMOVE | MREMAP_FIXED;
	struct pages pages = {.written = UINT64_C(1) << 30 | 1};
	struct memmap_mm *mm = hooked_mm(&pages);
	map_page(mm, 0, RW, 0);
	assert_int_equal(memmap_mm_sys_mprotect(mm, AT, K, PROT_READ), 0);
	for (uint64_t n = 1; n < 8; n++)
		map_page(mm, n, RW, 0);
	/* It merges with its own source, from which it is then cut. */
	assert_int_equal(memmap_mm_sys_mremap(mm, AT + 4 * K, K, K, fixed, AT), AT);
	assert_vmas(mm, "30000000-30004000 rw-p\n"
			"30005000-30008000 rw-p\n");
	assert_int_equal(owner(mm, 0), 0);
	assert_int_equal(owner(mm, 7), 0);
	assert_int_equal(memmap_mm_sys_munmap(mm, AT, 8 * K), 0);
	/*
	 * 20 goes to 30, which was written, and joins 31; then 22, which was written at 32, goes
	 * there again and joins both.
	 */
	map_page(mm, 32, RW, 0);
	touch(mm, 32);
	assert_int_equal(memmap_mm_sys_mremap(mm, AT + 32 * K, K, K, fixed, AT + 22 * K),
			 AT + 22 * K);
	map_page(mm, 20, RW, 0);
	map_page(mm, 30, RW, 0);
	assert_int_equal(memmap_mm_sys_mprotect(mm, AT + 30 * K, K, PROT_READ), 0);
	map_page(mm, 31, RW, 0);
	assert_int_equal(memmap_mm_sys_mremap(mm, AT + 20 * K, 3 * K, 3 * K, fixed, AT + 30 * K),
			 AT + 30 * K);
	assert_vmas(mm, "3001e000-30021000 rw-p\n");
	memmap_mm_release(mm);
}

static void test_hook_is_asked_when_it_matters(void **state)
{
	(void)state;
	struct pages pages = {0};
	struct memmap_mm *mm = hooked_mm(&pages);
	map_page(mm, 0, RW, 0);
	map_page(mm, 1, RW, 0);
	map_page(mm, 3, RW, 0);
	map_page(mm, 7, PROT_READ, 0);
	/* Joining one neighbour, or unmapping whole, depends on nothing. */
	map_page(mm, 5, RW, 0);
	assert_int_equal(memmap_mm_sys_munmap(mm, AT + 5 * K, K), 0);
	assert_int_equal(pages.nr_asked, 0);
	/* Joining two does: the first has nothing, so the second need not be asked. */
	map_page(mm, 2, RW, 0);
	assert_int_equal(pages.nr_asked, 1);
	assert_vmas(mm, "30000000-30004000 rw-p\n"
			"30007000-30008000 r--p\n");
	/* What was never writable is not asked about. */
	assert_int_equal(memmap_mm_sys_mprotect(mm, AT + 7 * K, K, PROT_NONE), 0);
	assert_int_equal(pages.nr_asked, 1);
	/* Cutting asks about the whole, once; a yes is never asked for again. */
	pages.written = 1;
	assert_int_equal(memmap_mm_sys_munmap(mm, AT, K), 0);
	assert_int_equal(pages.nr_asked, 2);
	assert_int_not_equal(owner(mm, 1), 0);
	assert_int_equal(memmap_mm_sys_mprotect(mm, AT + K, K, PROT_READ), 0);
	assert_int_equal(pages.nr_asked, 2);
	assert_true(vma_at(mm, AT + K).flags & MEMMAP_VM_ACCOUNT);
	memmap_mm_release(mm);
}

static void test_hook_keeps_apart(void **state)
{
	(void)state;
	struct pages pages = {.written = 0x5};
	struct memmap_mm *mm = hooked_mm(&pages);
	map_page(mm, 0, RW, 0);
	map_page(mm, 2, RW, 0);
	map_page(mm, 1, RW, 0);
	assert_vmas(mm, "30000000-30002000 rw-p\n"
			"30002000-30003000 rw-p\n");
	/* Both unknown, of an existing mapping that comes to fit. */
	assert_int_equal(memmap_mm_sys_munmap(mm, AT, 3 * K), 0);
	pages.written = 0x2;
	map_page(mm, 0, RW, 0);
	map_page(mm, 1, PROT_READ, 0);
	assert_int_equal(memmap_mm_sys_mprotect(mm, AT + K, K, RW), 0);
	assert_vmas(mm, "30000000-30002000 rw-p\n");
	memmap_mm_release(mm);
}

/* The account is kept where something was written, by what the hook says. */
static void test_hook_decides_accounting(void **state)
{
	(void)state;
	struct pages pages = {.written = 0x2};
	struct memmap_mm *mm = hooked_mm(&pages);
	map_page(mm, 0, RW, 0);
	map_page(mm, 1, RW, MAP_STACK);
	assert_int_equal(memmap_mm_sys_mprotect(mm, AT, 2 * K, PROT_READ), 0);
	assert_false(vma_at(mm, AT).flags & MEMMAP_VM_ACCOUNT);
	assert_true(vma_at(mm, AT + K).flags & MEMMAP_VM_ACCOUNT);
	memmap_mm_release(mm);
}

/*
 * ---- After a fork ----
 */

static void test_fork_child(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm(), *child;
	map_page(mm, 0, RW, 0);
	map_page(mm, 4, RW, 0);
	assert_int_equal(memmap_mm_sys_brk(mm, 0x40001000), 0x40001000);
	touch(mm, 0);
	memmap_mm_note_anonymous(mm, (struct memmap_addr_range){0x40000000, 0x40001000});
	assert_int_equal(memmap_mm_fork(mm, NULL, &child), 0);
	assert_true(vma_at(child, AT).fork_child);
	assert_false(vma_at(child, AT + 4 * K).fork_child);
	/* What was inherited with pages takes in nothing; what had none is as good as new. */
	map_page(child, 1, RW, 0);
	map_page(child, 5, RW, 0);
	assert_int_equal(memmap_mm_sys_brk(child, 0x40002000), 0x40002000);
	assert_vmas(child, "30000000-30001000 rw-p\n"
			   "30001000-30002000 rw-p\n"
			   "30004000-30006000 rw-p\n"
			   "40000000-40001000 rw-p\n"
			   "40001000-40002000 rw-p\n");
	/* The new part of the heap goes on by itself. */
	assert_int_equal(memmap_mm_sys_brk(child, 0x40003000), 0x40003000);
	/* Nor does it take in what only comes to be alike. */
	assert_int_equal(memmap_mm_sys_mprotect(child, AT + K, K, PROT_READ), 0);
	assert_int_equal(memmap_mm_sys_mprotect(child, AT + K, K, RW), 0);
	assert_int_equal(vma_at(child, AT).range.end, AT + K);
	/* Parts of what was inherited become one again; a new neighbour's owner is not shared. */
	assert_int_equal(memmap_mm_sys_mprotect(child, AT + K, K, PROT_READ), 0);
	touch(child, 1);
	assert_int_not_equal(owner(child, 1), owner(child, 0));
	assert_int_equal(memmap_mm_sys_mprotect(child, AT + K, K, RW), 0);
	assert_vmas(child, "30000000-30001000 rw-p\n"
			   "30001000-30002000 rw-p\n"
			   "30004000-30006000 rw-p\n"
			   "40000000-40001000 rw-p\n"
			   "40001000-40003000 rw-p\n");
	/* The parent goes on as before. */
	map_page(mm, 1, RW, 0);
	assert_int_equal(memmap_mm_sys_brk(mm, 0x40002000), 0x40002000);
	assert_vmas(mm, "30000000-30002000 rw-p\n"
			"30004000-30005000 rw-p\n"
			"40000000-40002000 rw-p\n");
	memmap_mm_release(child);
	memmap_mm_release(mm);
}

/* Two VMAs with one owner get an owner each, and so can no longer become one. */
static void test_fork_parts_owners(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm(), *child;
	assert_int_equal(map_anon(mm, AT, 2 * K, RW, FIXED), AT);
	touch(mm, 0);
	assert_int_equal(memmap_mm_sys_mprotect(mm, AT + K, K, PROT_READ), 0);
	assert_int_equal(memmap_mm_fork(mm, NULL, &child), 0);
	assert_int_not_equal(owner(child, 0), owner(child, 1));
	assert_int_equal(memmap_mm_sys_mprotect(child, AT + K, K, RW), 0);
	assert_int_equal(memmap_mm_sys_mprotect(mm, AT + K, K, RW), 0);
	assert_vmas(mm, "30000000-30002000 rw-p\n");
	assert_vmas(child, "30000000-30001000 rw-p\n"
			   "30001000-30002000 rw-p\n");
	/* But what is split only now has one owner, and joins again. */
	assert_int_equal(map_anon(child, AT, 2 * K, RW, FIXED), AT);
	touch(child, 0);
	struct memmap_mm *grandchild;
	assert_int_equal(memmap_mm_fork(child, NULL, &grandchild), 0);
	assert_int_equal(memmap_mm_sys_mprotect(grandchild, AT + K, K, PROT_READ), 0);
	assert_int_equal(memmap_mm_sys_mprotect(grandchild, AT + K, K, RW), 0);
	assert_vmas(grandchild, "30000000-30002000 rw-p\n");
	memmap_mm_release(grandchild);
	memmap_mm_release(child);
	memmap_mm_release(mm);
}

/* MAP_POPULATE writes to private writable memory, and so gives it an owner at once. */
static void test_populate(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm();
	map_page(mm, 0, RW, MAP_POPULATE);
	map_page(mm, 2, RW, MAP_LOCKED);
	map_page(mm, 4, PROT_READ, MAP_POPULATE);
	map_page(mm, 6, RW, MAP_POPULATE | MAP_NONBLOCK);
	map_page(mm, 8, PROT_NONE, MAP_LOCKED);
	assert_int_not_equal(owner(mm, 0), 0);
	assert_int_not_equal(owner(mm, 2), 0);
	assert_int_equal(owner(mm, 4), 0);
	assert_int_equal(owner(mm, 6), 0);
	assert_int_equal(owner(mm, 8), 0);
	/* So does making what is locked writable. */
	map_page(mm, 10, PROT_READ, MAP_LOCKED);
	assert_int_equal(owner(mm, 10), 0);
	assert_int_equal(memmap_mm_sys_mprotect(mm, AT + 10 * K, K, RW), 0);
	assert_int_not_equal(owner(mm, 10), 0);
	memmap_mm_release(mm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_new_mappings_join),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_special),
		cmocka_unit_test(test_closing),
		cmocka_unit_test(test_owners_keep_apart),
		cmocka_unit_test(test_parts_rejoin),
		cmocka_unit_test(test_owner_is_taken_over),
		cmocka_unit_test(test_owner_of_another_part),
		cmocka_unit_test(test_owner_comes_along),
		cmocka_unit_test(test_hook_is_asked_when_it_matters),
		cmocka_unit_test(test_hook_is_asked_before_memory_moves),
		cmocka_unit_test(test_hook_keeps_apart),
		cmocka_unit_test(test_hook_decides_accounting),
		cmocka_unit_test(test_fork_child),
		cmocka_unit_test(test_fork_parts_owners),
		cmocka_unit_test(test_populate),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
