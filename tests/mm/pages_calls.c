/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What system calls do to pages: each case makes the same small address space, does one thing to it,
 * and says which pages are there then and what is read from them.
 *
 *   30000000  8 pages of private memory: 0 to 3 written to, 4 read, 5 to 7 never touched
 *   30100000  4 pages of a private file: 0 written to, 1 read
 *   30200000  4 pages of a shared file: 0 written to, 1 read
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "guest.h"
#include "panic.h"

#define AT     UINT64_C(0x30000000)
#define FILE_  (AT + M)
#define SHARED (AT + 2 * M)
#define DEST   (AT + 4 * M)

#define LINES_ANON   "30000000-30004000 rw- private\n"
#define LINES_ZERO   "30004000-30005000 r-- zero\n"
#define LINES_FILE   "30100000-30101000 rw- private\n30101000-30102000 r-- shared\n"
#define LINES_SHARED "30200000-30202000 rw- shared\n"

struct world {
	struct memmap_memory_file *mf;
	struct paged_file a, b;
	struct guest g;
};

static void world_init(struct world *w)
{
	w->mf = new_memory_file();
	paged_file_init(&w->a, w->mf, 4 * K);
	paged_file_init(&w->b, w->mf, 4 * K);
	guest_init(&w->g, w->mf);
	struct memmap_mm *mm = w->g.mm;
	assert_int_equal(map_anon(mm, AT, 8 * K, RW, FIXED), AT);
	assert_int_equal(map_file(mm, FILE_, 4 * K, RW, MAP_PRIVATE | MAP_FIXED, &w->a.file, 0),
			 FILE_);
	assert_int_equal(map_file(mm, SHARED, 4 * K, RW, MAP_SHARED | MAP_FIXED, &w->b.file, 0),
			 SHARED);
	for (uint64_t i = 0; i < 4; i++)
		assert_int_equal(guest_write(&w->g, AT + i * K, (char)('0' + i)), 0);
	assert_int_equal(guest_read(&w->g, AT + 4 * K), 0);
	assert_int_equal(guest_write(&w->g, FILE_, 'F'), 0);
	assert_int_equal(guest_read(&w->g, FILE_ + K), 'b');
	assert_int_equal(guest_write(&w->g, SHARED, 'S'), 0);
	assert_int_equal(guest_read(&w->g, SHARED + K), 'b');
	assert_pages(&w->g, LINES_ANON LINES_ZERO LINES_FILE LINES_SHARED);
}

static void world_destroy(struct world *w)
{
	assert_reverse_map(w->g.mm, &w->a.file);
	assert_reverse_map(w->g.mm, &w->b.file);
	guest_destroy(&w->g);
	paged_file_destroy(&w->a);
	paged_file_destroy(&w->b);
	release_memory_file(w->mf);
}

#define MADVISE(name, addr, length, advice)                                                        \
	static int64_t name(struct memmap_mm *mm)                                                  \
	{                                                                                          \
		return memmap_mm_sys_madvise(mm, addr, length, advice);                            \
	}
MADVISE(dontneed, AT + K, 2 * K, MADV_DONTNEED)
MADVISE(dontneed_file, FILE_, 4 * K, MADV_DONTNEED)
MADVISE(dontneed_shared, SHARED, 4 * K, MADV_DONTNEED)
MADVISE(free_some, AT + K, 2 * K, MADV_FREE)
MADVISE(free_file, FILE_, 2 * K, MADV_FREE)
MADVISE(remove_shared, SHARED, 2 * K, MADV_REMOVE)
MADVISE(remove_private, FILE_, 2 * K, MADV_REMOVE)
MADVISE(guard, AT + 3 * K, 3 * K, MADV_GUARD_INSTALL)
MADVISE(cold, AT, 8 * K, MADV_COLD)
MADVISE(pageout, AT, 8 * K, MADV_PAGEOUT)
MADVISE(pageout_middle, AT + K, K, MADV_PAGEOUT)
MADVISE(pageout_file, FILE_, 4 * K, MADV_PAGEOUT)
MADVISE(pageout_shared, SHARED, K, MADV_PAGEOUT)
MADVISE(populate_read, AT, 8 * K, MADV_POPULATE_READ)
MADVISE(populate_write, AT, 8 * K, MADV_POPULATE_WRITE)
MADVISE(populate_file, FILE_, 4 * K, MADV_POPULATE_WRITE)
MADVISE(populate_shared, SHARED, 4 * K, MADV_POPULATE_READ)
MADVISE(populate_too_much, AT, 9 * K, MADV_POPULATE_READ)

static int64_t unmap_middle(struct memmap_mm *mm)
{
	return memmap_mm_sys_munmap(mm, AT + K, 2 * K);
}

static int64_t unmap_all(struct memmap_mm *mm)
{
	return memmap_mm_sys_munmap(mm, AT, 4 * M);
}

static int64_t map_over(struct memmap_mm *mm)
{
	return map_anon(mm, AT + 2 * K, M, RW, FIXED) - (int64_t)(AT + 2 * K);
}

static int64_t protect_read(struct memmap_mm *mm)
{
	return memmap_mm_sys_mprotect(mm, AT + K, K, PROT_READ);
}

static int64_t protect_none(struct memmap_mm *mm)
{
	return memmap_mm_sys_mprotect(mm, AT, 8 * K, PROT_NONE);
}

static int64_t protect_to_a_hole(struct memmap_mm *mm)
{
	return memmap_mm_sys_mprotect(mm, AT + K, M, PROT_READ);
}

static int64_t protect_and_back(struct memmap_mm *mm)
{
	int64_t err = memmap_mm_sys_mprotect(mm, AT, 8 * K, PROT_NONE);
	return err ? err : memmap_mm_sys_mprotect(mm, AT, 8 * K, RW);
}

static int64_t move_anon(struct memmap_mm *mm)
{
	return memmap_mm_sys_mremap(mm, AT + 2 * K, 4 * K, 4 * K, MREMAP_MAYMOVE | MREMAP_FIXED,
				    DEST) -
	       (int64_t)DEST;
}

static int64_t move_and_keep(struct memmap_mm *mm)
{
	return memmap_mm_sys_mremap(mm, AT, 8 * K, 8 * K,
				    MREMAP_MAYMOVE | MREMAP_FIXED | 4 /* DONTUNMAP */, DEST) -
	       (int64_t)DEST;
}

static int64_t move_shared_over_file(struct memmap_mm *mm)
{
	return memmap_mm_sys_mremap(mm, SHARED, 2 * K, 4 * K, MREMAP_MAYMOVE | MREMAP_FIXED,
				    FILE_) -
	       (int64_t)FILE_;
}

static int64_t duplicate_shared(struct memmap_mm *mm)
{
	return memmap_mm_sys_mremap(mm, SHARED, 0, 2 * K, MREMAP_MAYMOVE | MREMAP_FIXED, DEST) -
	       (int64_t)DEST;
}

static int64_t move_everything(struct memmap_mm *mm)
{
	return memmap_mm_sys_mremap(mm, AT, 3 * M, 3 * M, MREMAP_MAYMOVE | MREMAP_FIXED, DEST) -
	       (int64_t)DEST;
}

static int64_t shrink(struct memmap_mm *mm)
{
	return memmap_mm_sys_mremap(mm, AT, 8 * K, 3 * K, 0, 0) - (int64_t)AT;
}

static int64_t lock_all(struct memmap_mm *mm)
{
	return memmap_mm_sys_mlock(mm, AT, 8 * K);
}

static int64_t lock_on_fault(struct memmap_mm *mm)
{
	return memmap_mm_sys_mlock2(mm, AT, 8 * K, MLOCK_ONFAULT);
}

static int64_t locked_becomes_writable(struct memmap_mm *mm)
{
	int64_t err = memmap_mm_sys_mprotect(mm, FILE_, 4 * K, PROT_READ);
	if (!err)
		err = memmap_mm_sys_mlock(mm, FILE_, 4 * K);
	return err ? err : memmap_mm_sys_mprotect(mm, FILE_, 4 * K, RW);
}

static int64_t exec(struct memmap_mm *mm)
{
	struct memmap_mm_layout layout = memmap_mm_get_layout(mm);
	return memmap_mm_exec(mm, &layout);
}

static int64_t replace(struct memmap_mm *mm)
{
	struct memmap_addr_range ar = {AT + 3 * K, AT + 8 * K};
	return memmap_mm_replace(mm, ar, NULL, 0);
}

static int64_t nothing(struct memmap_mm *mm)
{
	(void)mm;
	return 0;
}

static const struct {
	const char *name;
	int64_t (*call)(struct memmap_mm *mm);
	int64_t result;
	const char *pages;
	/* What is then read where: addresses, and bytes or what guest_read() says; up to addr 0. */
	struct {
		uint64_t addr;
		int byte;
	} reads[6];
} cases[] = {
	{"nothing",
	 nothing,
	 0,
	 LINES_ANON LINES_ZERO LINES_FILE LINES_SHARED,
	 {{AT + 3 * K, '3'}, {AT + 4 * K, 0}, {FILE_, 'F'}, {FILE_ + 1, 'a'}, {SHARED, 'S'}}},
	{"munmap in the middle",
	 unmap_middle,
	 0,
	 "30000000-30001000 rw- private\n30003000-30004000 rw- private\n" LINES_ZERO LINES_FILE
		 LINES_SHARED,
	 {{AT, '0'}, {AT + K, -'M'}, {AT + 2 * K, -'M'}, {AT + 3 * K, '3'}}},
	{"munmap of everything", unmap_all, 0, "", {{AT, -'M'}, {SHARED, -'M'}}},
	{"MAP_FIXED over it",
	 map_over,
	 0,
	 "30000000-30002000 rw- private\n" LINES_SHARED,
	 {{AT + K, '1'}, {AT + 2 * K, 0}, {FILE_, 0}, {FILE_ + 2 * K, 'c'}, {SHARED, 'S'}}},
	{"mprotect of a page",
	 protect_read,
	 0,
	 "30000000-30001000 rw- private\n30001000-30002000 r-- private\n"
	 "30002000-30004000 rw- private\n" LINES_ZERO LINES_FILE LINES_SHARED,
	 {{AT + K, '1'}}},
	{"mprotect of everything",
	 protect_none,
	 0,
	 "30000000-30004000 --- private\n30004000-30005000 --- zero\n" LINES_FILE LINES_SHARED,
	 {{AT, -'A'}, {AT + 7 * K, -'A'}}},
	{"mprotect up to a hole",
	 protect_to_a_hole,
	 -ENOMEM,
	 "30000000-30001000 rw- private\n30001000-30004000 r-- private\n" LINES_ZERO LINES_FILE
		 LINES_SHARED,
	 {{AT + K, '1'}}},
	{"mprotect and back",
	 protect_and_back,
	 0,
	 "30000000-30004000 --- private\n30004000-30005000 --- zero\n" LINES_FILE LINES_SHARED,
	 {{AT, '0'}, {AT + 4 * K, 0}, {AT + 7 * K, 0}}},
	{"DONTNEED",
	 dontneed,
	 0,
	 "30000000-30001000 rw- private\n30003000-30004000 rw- private\n" LINES_ZERO LINES_FILE
		 LINES_SHARED,
	 {{AT, '0'}, {AT + K, 0}, {AT + 2 * K, 0}, {AT + 3 * K, '3'}}},
	{"DONTNEED of a private file",
	 dontneed_file,
	 0,
	 LINES_ANON LINES_ZERO LINES_SHARED,
	 {{FILE_, 'a'}, {FILE_ + K, 'b'}}},
	{"DONTNEED of a shared file",
	 dontneed_shared,
	 0,
	 LINES_ANON LINES_ZERO LINES_FILE,
	 {{SHARED, 'S'}, {SHARED + K, 'b'}}},
	{"FREE",
	 free_some,
	 0,
	 "30000000-30001000 rw- private\n30001000-30003000 r-- private lazy\n"
	 "30003000-30004000 rw- private\n" LINES_ZERO LINES_FILE LINES_SHARED,
	 {{AT + K, '1'}, {AT + 2 * K, '2'}}},
	{"FREE of a file",
	 free_file,
	 -EINVAL,
	 LINES_ANON LINES_ZERO LINES_FILE LINES_SHARED,
	 {{FILE_, 'F'}}},
	{"REMOVE",
	 remove_shared,
	 0,
	 LINES_ANON LINES_ZERO LINES_FILE,
	 {{SHARED, 0}, {SHARED + K, 0}, {SHARED + 2 * K, 'c'}}},
	{"REMOVE of private memory",
	 remove_private,
	 -EACCES,
	 LINES_ANON LINES_ZERO LINES_FILE LINES_SHARED,
	 {{FILE_, 'F'}}},
	{"GUARD_INSTALL",
	 guard,
	 0,
	 "30000000-30003000 rw- private\n30003000-30006000 --- guard\n" LINES_FILE LINES_SHARED,
	 {{AT + 2 * K, '2'}, {AT + 3 * K, -'M'}, {AT + 5 * K, -'M'}, {AT + 6 * K, 0}}},
	{"COLD", cold, 0, LINES_ANON LINES_ZERO LINES_FILE LINES_SHARED, {{AT, '0'}}},
	{"PAGEOUT", pageout, 0, LINES_ANON LINES_ZERO LINES_FILE LINES_SHARED, {{AT, '0'}}},
	{"PAGEOUT in the middle",
	 pageout_middle,
	 0,
	 LINES_ANON LINES_ZERO LINES_FILE LINES_SHARED,
	 {{AT + K, '1'}}},
	{"PAGEOUT of a private file",
	 pageout_file,
	 0,
	 LINES_ANON LINES_ZERO "30100000-30101000 rw- private\n" LINES_SHARED,
	 {{FILE_, 'F'}, {FILE_ + K, 'b'}}},
	{"PAGEOUT of a page of a shared file",
	 pageout_shared,
	 0,
	 LINES_ANON LINES_ZERO LINES_FILE "30201000-30202000 rw- shared\n",
	 {{SHARED, 'S'}, {SHARED + K, 'b'}}},
	{"POPULATE_READ",
	 populate_read,
	 0,
	 LINES_ANON "30004000-30008000 r-- zero\n" LINES_FILE LINES_SHARED,
	 {{AT, '0'}}},
	{"POPULATE_WRITE",
	 populate_write,
	 0,
	 "30000000-30008000 rw- private\n" LINES_FILE LINES_SHARED,
	 {{AT, '0'}, {AT + 7 * K, 0}}},
	{"POPULATE_WRITE of a private file",
	 populate_file,
	 0,
	 LINES_ANON LINES_ZERO "30100000-30104000 rw- private\n" LINES_SHARED,
	 {{FILE_, 'F'}, {FILE_ + K, 'b'}, {FILE_ + 3 * K, 'd'}}},
	{"POPULATE_READ of a shared file",
	 populate_shared,
	 0,
	 LINES_ANON LINES_ZERO LINES_FILE "30200000-30204000 rw- shared\n",
	 {{SHARED, 'S'}, {SHARED + 3 * K, 'd'}}},
	{"POPULATE_READ up to a hole",
	 populate_too_much,
	 -ENOMEM,
	 LINES_ANON "30004000-30008000 r-- zero\n" LINES_FILE LINES_SHARED,
	 {{AT, '0'}}},
	{"mremap to another place",
	 move_anon,
	 0,
	 "30000000-30002000 rw- private\n" LINES_FILE LINES_SHARED
	 "30400000-30402000 rw- private\n30402000-30403000 r-- zero\n",
	 {{AT + K, '1'}, {AT + 2 * K, -'M'}, {DEST, '2'}, {DEST + K, '3'}, {DEST + 2 * K, 0}}},
	{"mremap that keeps the source",
	 move_and_keep,
	 0,
	 LINES_FILE LINES_SHARED "30400000-30404000 rw- private\n30404000-30405000 r-- zero\n",
	 {{AT, 0}, {AT + K, 0}, {DEST, '0'}, {DEST + 3 * K, '3'}, {DEST + 7 * K, 0}}},
	{"mremap over a file, and growing",
	 move_shared_over_file,
	 0,
	 LINES_ANON LINES_ZERO "30100000-30102000 rw- shared\n",
	 {{FILE_, 'S'}, {FILE_ + 3 * K, 'd'}, {SHARED, -'M'}, {SHARED + 2 * K, 'c'}}},
	{"mremap of nothing: once more",
	 duplicate_shared,
	 0,
	 LINES_ANON LINES_ZERO LINES_FILE LINES_SHARED,
	 {{SHARED, 'S'}, {DEST, 'S'}, {DEST + K, 'b'}}},
	{"mremap of everything",
	 move_everything,
	 0,
	 "30400000-30404000 rw- private\n30404000-30405000 r-- zero\n"
	 "30500000-30501000 rw- private\n30501000-30502000 r-- shared\n"
	 "30600000-30602000 rw- shared\n",
	 {{AT, -'M'}, {DEST + K, '1'}, {DEST + M, 'F'}, {DEST + 2 * M, 'S'}}},
	{"mremap that shrinks",
	 shrink,
	 0,
	 "30000000-30003000 rw- private\n" LINES_FILE LINES_SHARED,
	 {{AT + 2 * K, '2'}, {AT + 3 * K, -'M'}}},
	{"mlock",
	 lock_all,
	 0,
	 "30000000-30008000 rw- private\n" LINES_FILE LINES_SHARED,
	 {{AT, '0'}}},
	{"mlock on fault",
	 lock_on_fault,
	 0,
	 LINES_ANON LINES_ZERO LINES_FILE LINES_SHARED,
	 {{AT, '0'}}},
	{"mprotect of what is locked",
	 locked_becomes_writable,
	 0,
	 LINES_ANON LINES_ZERO "30100000-30104000 rw- private\n" LINES_SHARED,
	 {{FILE_, 'F'}, {FILE_ + 3 * K, 'd'}}},
	{"exec", exec, 0, "", {{AT, -'M'}}},
	{"replace",
	 replace,
	 0,
	 "30000000-30003000 rw- private\n" LINES_FILE LINES_SHARED,
	 {{AT + 2 * K, '2'}, {AT + 3 * K, -'M'}}},
};

/* Without caring for how private pages that are not side by side in the file are shown. */
static char *joined(const char *table)
{
	char *out = calloc(1, strlen(table) + 1);
	char last_end[32] = "", last_rest[64] = "";
	char *last_at = NULL;
	for (const char *line = table; *line; line = strchr(line, '\n') + 1) {
		char start[32], end[32], rest[64];
		assert_int_equal(sscanf(line, "%31[^-]-%31s %63[^\n]", start, end, rest), 3);
		char *at = out + strlen(out);
		if (last_at && strcmp(start, last_end) == 0 && strcmp(rest, last_rest) == 0) {
			char first[32];
			assert_int_equal(sscanf(last_at, "%31[^-]", first), 1);
			sprintf(last_at, "%s-%s %s\n", first, end, rest);
		} else {
			sprintf(at, "%s-%s %s\n", start, end, rest);
			last_at = at;
		}
		strcpy(last_end, end);
		strcpy(last_rest, rest);
	}
	return out;
}

static void calls_keep_pages_right(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct world w;
		world_init(&w);
		print_message("%s\n", cases[i].name);
		assert_int_equal(cases[i].call(w.g.mm), cases[i].result);
		assert_int_equal(memmap_mm_verify(w.g.mm), 0);
		char *table = page_table(w.g.mm), *found = joined(table);
		assert_string_equal(found, cases[i].pages);
		free(table);
		free(found);
		for (size_t j = 0; j < 6 && cases[i].reads[j].addr; j++)
			assert_int_equal(guest_read(&w.g, cases[i].reads[j].addr),
					 cases[i].reads[j].byte);
		assert_int_equal(memmap_mm_verify(w.g.mm), 0);
		world_destroy(&w);
	}
}

static void guards_stay_until_they_are_removed(void **state)
{
	(void)state;
	struct world w;
	world_init(&w);
	struct memmap_mm *mm = w.g.mm;
	assert_int_equal(memmap_mm_sys_madvise(mm, AT, 2 * K, MADV_GUARD_INSTALL), 0);
	assert_int_equal(memmap_mm_sys_madvise(mm, FILE_, K, MADV_GUARD_INSTALL), 0);
	assert_int_equal(memmap_mm_sys_madvise(mm, AT, 8 * K, MADV_DONTNEED), 0);
	assert_int_equal(memmap_mm_sys_madvise(mm, AT, 8 * K, MADV_FREE), 0);
	paged_file_resize(&w.a, 0);
	assert_int_equal(memmap_mm_sys_mprotect(mm, AT, 8 * K, PROT_READ), 0);
	assert_int_equal(guest_read(&w.g, AT + K), -'M');
	assert_int_equal(guest_read(&w.g, FILE_), -'M');
	assert_int_equal(guest_read(&w.g, FILE_ + K), -'B');
	assert_int_equal(memmap_mm_sys_madvise(mm, AT, 8 * K, MADV_POPULATE_READ), -EFAULT);
	/* They move with their mapping. */
	assert_int_equal(
		memmap_mm_sys_mremap(mm, AT, 8 * K, 8 * K, MREMAP_MAYMOVE | MREMAP_FIXED, DEST),
		DEST);
	assert_int_equal(guest_read(&w.g, DEST + K), -'M');
	assert_int_equal(guest_read(&w.g, DEST + 2 * K), 0);
	assert_int_equal(memmap_mm_sys_madvise(mm, DEST, 8 * K, MADV_GUARD_REMOVE), 0);
	assert_int_equal(guest_read(&w.g, DEST + K), 0);
	assert_pages(&w.g, "30100000-30101000 --- guard\n"
			   "30200000-30202000 rw- shared\n"
			   "30401000-30403000 r-- zero\n");
	world_destroy(&w);
}

static void what_is_freed_lazily_goes_when_memory_is_short(void **state)
{
	(void)state;
	struct world w;
	world_init(&w);
	struct memmap_memory_usage usage;
	assert_int_equal(memmap_mm_sys_madvise(w.g.mm, AT, 3 * K, MADV_FREE), 0);
	/* A write keeps the page. */
	assert_int_equal(guest_write(&w.g, AT + K + 1, 'x'), 0);
	memmap_memory_file_usage(w.mf, &usage);
	memmap_memory_file_set_limit(w.mf, usage.total);
	assert_int_equal(guest_write(&w.g, AT + 6 * K, 'y'), 0);
	assert_int_equal(guest_read(&w.g, AT), 0);
	assert_int_equal(guest_read(&w.g, AT + K), '1');
	assert_int_equal(guest_read(&w.g, AT + 2 * K), 0);
	assert_int_equal(guest_read(&w.g, AT + 3 * K), '3');
	/* Then there is nothing more to be had. */
	assert_int_equal(guest_write(&w.g, AT + 7 * K, 'z'), 0);
	assert_int_equal(guest_write(&w.g, AT + 5 * K, 'z'), -ENOMEM);
	assert_int_equal(guest_read(&w.g, AT + 6 * K), 'y');
	memmap_memory_file_set_limit(w.mf, 0);
	assert_int_equal(guest_write(&w.g, AT + 5 * K, 'z'), 0);
	world_destroy(&w);
}

static void msync_reaches_the_file(void **state)
{
	(void)state;
	struct world w;
	world_init(&w);
	assert_int_equal(memmap_mm_sys_msync(w.g.mm, SHARED, 4 * K, MS_SYNC), 0);
	assert_int_equal(w.b.nr_synced, 1);
	assert_int_equal(memmap_mm_sys_msync(w.g.mm, FILE_, 4 * K, MS_SYNC), 0);
	assert_int_equal(w.a.nr_synced, 0);
	assert_int_equal(memmap_mm_sys_msync(w.g.mm, SHARED, 4 * K, MS_ASYNC), 0);
	assert_int_equal(w.b.nr_synced, 1);
	world_destroy(&w);
}

/*
 * ---- Invalidation ----
 */

static void what_is_invalidated(void **state)
{
	(void)state;
	static const struct {
		uint64_t start, end; /* in pages of the private file */
		bool private;
		const char *pages;
	} ways[] = {
		{0, 1, false, "30100000-30103000 rw- private\n30103000-30104000 r-- shared\n"},
		{0, 1, true, "30101000-30103000 rw- private\n30103000-30104000 r-- shared\n"},
		{1, 2, true,
		 "30100000-30101000 rw- private\n30102000-30103000 rw- private\n"
		 "30103000-30104000 r-- shared\n"},
		{2, 4, true, "30100000-30102000 rw- private\n"},
		{2, 4, false, "30100000-30103000 rw- private\n"},
		{4, 9, true, "30100000-30103000 rw- private\n30103000-30104000 r-- shared\n"},
	};
	for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++) {
		struct world w;
		world_init(&w);
		assert_int_equal(memmap_mm_sys_munmap(w.g.mm, AT, 8 * K), 0);
		assert_int_equal(memmap_mm_sys_munmap(w.g.mm, SHARED, 4 * K), 0);
		assert_int_equal(guest_write(&w.g, FILE_ + K, 'G'), 0);
		assert_int_equal(guest_write(&w.g, FILE_ + 2 * K, 'H'), 0);
		assert_int_equal(guest_read(&w.g, FILE_ + 3 * K), 'd');
		paged_file_invalidate(
			&w.a, (struct memmap_mappable_range){ways[i].start * K, ways[i].end * K},
			ways[i].private);
		char *table = page_table(w.g.mm), *found = joined(table);
		assert_string_equal(found, ways[i].pages);
		free(table);
		free(found);
		assert_int_equal(guest_read(&w.g, FILE_),
				 ways[i].private && ways[i].start == 0 ? 'a' : 'F');
		world_destroy(&w);
	}
}

static void cut_off(struct paged_file *f)
{
	f->in_remove = NULL;
	paged_file_resize(f, K);
}

/* The file is truncated when it knows of the destination only, and the pages are not there yet. */
static void what_is_invalidated_while_it_moves(void **state)
{
	(void)state;
	struct world w;
	world_init(&w);
	assert_int_equal(guest_write(&w.g, FILE_ + 2 * K, 'H'), 0);
	assert_int_equal(memmap_mm_sys_munmap(w.g.mm, AT, 8 * K), 0);
	w.a.in_remove = w.b.in_remove = cut_off;
	assert_int_equal(memmap_mm_sys_mremap(w.g.mm, SHARED, 4 * K, 4 * K,
					      MREMAP_MAYMOVE | MREMAP_FIXED, DEST),
			 DEST);
	assert_int_equal(memmap_mm_sys_mremap(w.g.mm, FILE_, 4 * K, 4 * K,
					      MREMAP_MAYMOVE | MREMAP_FIXED, DEST + 4 * K),
			 DEST + 4 * K);
	assert_pages(&w.g, "30400000-30401000 rw- shared\n30404000-30405000 rw- private\n");
	/* What is invalidated later is not taken for that. */
	paged_file_invalidate(&w.b, (struct memmap_mappable_range){0, K}, true);
	assert_pages(&w.g, "30404000-30405000 rw- private\n");
	world_destroy(&w);
}

/*
 *      AT           FILE_                SHARED
 *                   |--- a ***|          |*** b ---|
 *
 * Both are told that they are unmapped, `b` refuses, and `a` has been truncated by then.
 */
static void what_is_invalidated_before_unmapping_goes_back(void **state)
{
	(void)state;
	struct world w;
	world_init(&w);
	assert_int_equal(map_file(w.g.mm, FILE_, 4 * K, RW, MAP_SHARED | MAP_FIXED, &w.a.file, 0),
			 FILE_);
	for (uint64_t i = 0; i < 4; i++)
		assert_int_equal(guest_read(&w.g, FILE_ + i * K), paged_byte(i));
	char *vmas = vma_table(w.g.mm);
	w.a.in_remove = cut_off;
	w.b.file.refuse_in = 1;
	assert_int_equal(memmap_mm_sys_munmap(w.g.mm, FILE_ + K, SHARED - FILE_), -ENOMEM);
	char *after = vma_table(w.g.mm);
	assert_string_equal(after, vmas);
	free(after);
	free(vmas);
	assert_int_equal(memmap_mm_verify(w.g.mm), 0);
	assert_int_equal(guest_read(&w.g, FILE_), 'a');
	assert_int_equal(guest_read(&w.g, FILE_ + K), -'B');
	assert_int_equal(guest_read(&w.g, FILE_ + 3 * K), -'B');
	assert_int_equal(guest_read(&w.g, SHARED), 'S');
	/* What is invalidated from now on is told again. */
	paged_file_resize(&w.a, 0);
	assert_int_equal(guest_read(&w.g, FILE_), -'B');
	world_destroy(&w);
}

static void *no_memory(void *context, size_t size, size_t alignment)
{
	return *(bool *)context ? NULL : memmap_allocate(NULL, size, alignment);
}

static void give_back(void *context, void *memory, size_t size)
{
	(void)context;
	memmap_deallocate(NULL, memory, size);
}

/* Without memory for another node, again and again: what is shared goes, and nothing breaks. */
static void invalidating_needs_no_memory(void **state)
{
	(void)state;
	const uint64_t nr = 600;
	struct memmap_memory_file *mf = new_memory_file();
	struct paged_file f;
	struct guest g = {.mf = mf};
	bool none = false;
	struct memmap_allocator allocator = {no_memory, give_back, &none};
	paged_file_init(&f, mf, nr * K);
	test_platform_init_(&g.platform);
	struct memmap_mm_options options = guest_options(&g);
	options.allocator = &allocator;
	options.fault_around = M;
	assert_int_equal(memmap_mm_create(&options, &g.mm), 0);
	assert_int_equal(map_file(g.mm, AT, nr * K, RW, MAP_SHARED | MAP_FIXED, &f.file, 0), AT);
	assert_int_equal(map_file(g.mm, AT + 4 * M, nr * K, RW,
				  MAP_PRIVATE | MAP_FIXED | MAP_POPULATE, &f.file, 0),
			 AT + 4 * M);
	for (uint64_t i = 0; i < nr; i++)
		assert_int_equal(guest_read(&g, AT + i * K), paged_byte(i));
	none = true;
	for (uint64_t i = 1; i < nr; i += 2) {
		struct memmap_mappable_range page = {i * K, (i + 1) * K};
		paged_file_invalidate(&f, page, i % 4 == 1);
		/* Nothing that was translated for it is there any more. */
		assert_null(guest_mapping(&g, AT + i * K).file);
	}
	none = false;
	assert_int_equal(memmap_mm_verify(g.mm), 0);
	for (uint64_t i = 0; i < nr; i++) {
		assert_int_equal(guest_read(&g, AT + i * K), paged_byte(i));
		assert_int_equal(guest_read(&g, AT + 4 * M + i * K), paged_byte(i));
	}
	guest_destroy(&g);
	paged_file_destroy(&f);
	release_memory_file(mf);
}

/*
 * Private copies of one page after the other, mapped side by side, and no memory at all when what is
 * behind every second one is cut off:
 *
 *      |F . |F . |F . |  ...      before: |FF|FF|FF| ...     after: |F |F |F | ...
 */
static void cutting_off_private_pages_needs_no_memory(void **state)
{
	(void)state;
	const uint64_t nr = 300;
	struct memmap_memory_file *mf = new_memory_file();
	struct paged_file f;
	struct guest g = {.mf = mf};
	bool none = false;
	struct memmap_allocator allocator = {no_memory, give_back, &none};
	paged_file_init(&f, mf, 2 * K);
	test_platform_init_(&g.platform);
	struct memmap_mm_options options = guest_options(&g);
	options.allocator = &allocator;
	assert_int_equal(memmap_mm_create(&options, &g.mm), 0);
	for (uint64_t i = 0; i < nr; i++)
		assert_int_equal(map_file(g.mm, AT + 2 * i * K, 2 * K, RW, MAP_PRIVATE | MAP_FIXED,
					  &f.file, 0),
				 AT + 2 * i * K);
	for (uint64_t i = 0; i < 2 * nr; i++)
		assert_int_equal(guest_write(&g, AT + i * K, 'p'), 0);
	none = true;
	paged_file_resize(&f, K);
	for (uint64_t i = 0; i < nr; i++) {
		assert_null(guest_mapping(&g, AT + (2 * i + 1) * K).file);
		assert_int_equal(guest_read(&g, AT + 2 * i * K), 'p');
		assert_int_equal(guest_read(&g, AT + (2 * i + 1) * K), -'B');
	}
	none = false;
	assert_int_equal(memmap_mm_verify(g.mm), 0);
	guest_destroy(&g);
	paged_file_destroy(&f);
	release_memory_file(mf);
}

/*
 * ---- Locks ----
 */

static int64_t call_back(void *context)
{
	return memmap_mm_sys_munmap(context, AT, K);
}

static uint64_t random_that_calls_back(void *context, uint64_t bound)
{
	(void)bound;
	return (uint64_t)call_back(*(struct memmap_mm **)context);
}

static void map_with_a_hook_that_calls_back(void)
{
	struct memmap_mm *mm = NULL;
	struct memmap_mm_options options = small_options();
	options.hooks.context = &mm;
	options.hooks.random = random_that_calls_back;
	assert_int_equal(memmap_mm_create(&options, &mm), 0);
	(void)map_anon(mm, 0, K, RW, ANON | MAP_32BIT);
}

static void locks_out_of_order_are_told(void **state)
{
	(void)state;
	if (MEMMAP_CHECK < 2)
		skip();
	assert_panics(
		"the mapping lock of an address space is taken while the mapping lock is held",
		map_with_a_hook_that_calls_back());
}

static void the_heap_is_memory(void **state)
{
	(void)state;
	struct world w;
	world_init(&w);
	const uint64_t heap = 0x40000000;
	assert_int_equal(memmap_mm_sys_brk(w.g.mm, heap + 3 * K), heap + 3 * K);
	assert_int_equal(guest_write(&w.g, heap + 2 * K, 'h'), 0);
	assert_int_equal(memmap_mm_sys_brk(w.g.mm, heap + K), heap + K);
	assert_int_equal(guest_read(&w.g, heap + 2 * K), -'M');
	assert_int_equal(memmap_mm_sys_brk(w.g.mm, heap + 3 * K), heap + 3 * K);
	assert_int_equal(guest_read(&w.g, heap + 2 * K), 0);
	world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(calls_keep_pages_right),
		cmocka_unit_test(guards_stay_until_they_are_removed),
		cmocka_unit_test(what_is_freed_lazily_goes_when_memory_is_short),
		cmocka_unit_test(msync_reaches_the_file),
		cmocka_unit_test(the_heap_is_memory),
		cmocka_unit_test(what_is_invalidated),
		cmocka_unit_test(what_is_invalidated_while_it_moves),
		cmocka_unit_test(what_is_invalidated_before_unmapping_goes_back),
		cmocka_unit_test(invalidating_needs_no_memory),
		cmocka_unit_test(cutting_off_private_pages_needs_no_memory),
		cmocka_unit_test(locks_out_of_order_are_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
