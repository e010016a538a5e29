/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls and faults in an address space with pages, when something is refused: for every N, the Nth
 * allocation, the Nth mapping by the platform, the Nth translation, or all memory but N pages. The
 * call must say so, and then all must be as it was: VMAs, pages, bytes, and who holds which page of
 * the memory file. What is populated page by page may have come some way; then only nothing may be
 * lost.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "guest.h"

#define AT     UINT64_C(0x30000000)
#define FILE_  (AT + M)
#define SHARED (AT + 2 * M)
#define FORKED (AT + 3 * M)
#define DEST   (AT + 4 * M)

enum refusal {
	REFUSE_ALLOCATION,
	REFUSE_ALL_ALLOCATIONS,
	REFUSE_MAP,
	REFUSE_TRANSLATE,
	REFUSE_PAGES
};

struct world {
	struct memmap_allocator allocator;
	unsigned countdown; /* the how-manieth allocation fails; 0: none does */
	bool for_good;      /* and all after it */
	bool failed;

	struct memmap_memory_file *mf;
	struct paged_file a, b;
	struct guest g, child;
	struct guest made; /* by the call */
};

static void *allocate(void *context, size_t size, size_t alignment)
{
	struct world *w = context;
	if (w->countdown && --w->countdown == 0) {
		w->failed = true;
		if (w->for_good)
			w->countdown = 1;
		return NULL;
	}
	return memmap_allocate(NULL, size, alignment);
}

static void deallocate(void *context, void *memory, size_t size)
{
	(void)context;
	memmap_deallocate(NULL, memory, size);
}

static void world_init(struct world *w)
{
	*w = (struct world){.allocator = {allocate, deallocate, w}};
	w->mf = new_memory_file();
	paged_file_init(&w->a, w->mf, 4 * K);
	paged_file_init(&w->b, w->mf, 4 * K);
	w->b.tracks_writes = true;
	w->g.mf = w->mf;
	test_platform_init_(&w->g.platform);
	struct memmap_mm_options options = guest_options(&w->g);
	options.allocator = &w->allocator;
	assert_int_equal(memmap_mm_create(&options, &w->g.mm), 0);
	struct memmap_mm *mm = w->g.mm;
	assert_int_equal(map_anon(mm, AT, 64 * K, RW, FIXED), AT);
	assert_int_equal(map_file(mm, FILE_, 4 * K, RW, MAP_PRIVATE | MAP_FIXED, &w->a.file, 0),
			 FILE_);
	assert_int_equal(map_file(mm, SHARED, 4 * K, RW, MAP_SHARED | MAP_FIXED, &w->b.file, 0),
			 SHARED);
	assert_int_equal(map_anon(mm, FORKED, 4 * K, RW, FIXED), FORKED);
	for (uint64_t i = 0; i < 4; i++)
		assert_int_equal(guest_write(&w->g, FORKED + i * K, (char)('0' + i)), 0);
	assert_int_equal(guest_fork(&w->g, &w->child), 0);
	/* Many runs of pages, so that nodes are full somewhere. */
	for (uint64_t i = 0; i < 64; i += 2)
		assert_int_equal(guest_write(&w->g, AT + i * K, (char)('0' + i)), 0);
	assert_int_equal(guest_write(&w->g, AT + K, 'x'), 0);
	assert_int_equal(guest_write(&w->g, AT + 3 * K, 'y'), 0);
	assert_int_equal(guest_read(&w->g, AT + 5 * K), 0);
	assert_int_equal(guest_write(&w->g, FILE_, 'F'), 0);
	assert_int_equal(guest_read(&w->g, FILE_ + K), 'b');
	assert_int_equal(guest_read(&w->g, SHARED), 'a');
}

static void world_destroy(struct world *w)
{
	assert_reverse_map(w->g.mm, &w->a.file);
	if (w->made.mm)
		guest_destroy(&w->made);
	guest_destroy(&w->child);
	guest_destroy(&w->g);
	paged_file_destroy(&w->a);
	paged_file_destroy(&w->b);
	release_memory_file(w->mf);
}

/*
 * ---- What there is, as text ----
 */

static int print_bytes(void *arg, const struct memmap_vma *vma, const struct mm_resident *run)
{
	(void)vma;
	if (!run || run->guard)
		return 0;
	for (uint64_t at = 0; at < run->range.end - run->range.start; at += K) {
		struct memmap_file_range fr = {run->offset + at, run->offset + at + 8};
		struct memmap_block_seq blocks;
		char bytes[8];
		assert_int_equal(memmap_file_map_internal(run->file, fr, MEMMAP_READ, &blocks), 0);
		assert_int_equal(memmap_copy_seq(memmap_block_seq_of(
							 memmap_block_safe(bytes, sizeof(bytes))),
						 blocks, NULL),
				 0);
		fprintf(arg, "%" PRIx64 ":", run->range.start + at);
		for (size_t i = 0; i < sizeof(bytes); i++)
			fprintf(arg, " %02x", (unsigned char)bytes[i]);
		fputc('\n', arg);
	}
	return 0;
}

static char *snapshot(struct world *w)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	struct guest *guests[] = {&w->g, &w->child};
	assert_non_null(out);
	for (size_t i = 0; i < 2; i++) {
		char *vmas = vma_table(guests[i]->mm), *pages = page_table(guests[i]->mm);
		fprintf(out, "VMAs\n%spages\n%s", vmas, pages);
		free(vmas);
		free(pages);
		(void)mm_for_each_resident(guests[i]->mm, (struct memmap_addr_range){0, UINT64_MAX},
					   print_bytes, out);
	}
	char *dump = memmap_memory_file_dump(w->mf);
	/* What the file keeps of what was freed is its own affair. */
	char *total = strstr(dump, "\ntotal");
	assert_non_null(total);
	*total = '\0';
	fprintf(out, "memory\n%s", dump);
	memmap_free(dump);
	fclose(out);
	return text;
}

/*
 * ---- The calls ----
 */

static int64_t unmap_middle(struct world *w)
{
	return memmap_mm_sys_munmap(w->g.mm, AT + 2 * K, K);
}

static int64_t unmap_page_of_file(struct world *w)
{
	return memmap_mm_sys_munmap(w->g.mm, SHARED, K);
}

static int64_t map_over(struct world *w)
{
	return map_anon(w->g.mm, AT + 2 * K, K, PROT_READ, FIXED);
}

static int64_t map_file_over(struct world *w)
{
	return map_file(w->g.mm, AT + 2 * K, K, RW, MAP_SHARED | MAP_FIXED, &w->b.file, 0);
}

static int64_t map_shared_memory(struct world *w)
{
	return map_anon(w->g.mm, AT + 2 * K, K, RW, MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED);
}

static int64_t protect(struct world *w)
{
	return memmap_mm_sys_mprotect(w->g.mm, AT + 2 * K, K, PROT_READ);
}

static int64_t move(struct world *w)
{
	return memmap_mm_sys_mremap(w->g.mm, AT + K, 40 * K, 40 * K, MREMAP_MAYMOVE | MREMAP_FIXED,
				    DEST);
}

static int64_t move_over(struct world *w)
{
	return memmap_mm_sys_mremap(w->g.mm, SHARED + K, K, 2 * K, MREMAP_MAYMOVE | MREMAP_FIXED,
				    AT + 2 * K);
}

static int64_t move_and_keep(struct world *w)
{
	return memmap_mm_sys_mremap(w->g.mm, AT, 64 * K, 64 * K,
				    MREMAP_MAYMOVE | MREMAP_FIXED | 4 /* DONTUNMAP */, DEST);
}

static int64_t discard(struct world *w)
{
	return memmap_mm_sys_madvise(w->g.mm, AT + 2 * K, K, MADV_DONTNEED);
}

static int64_t free_lazily(struct world *w)
{
	return memmap_mm_sys_madvise(w->g.mm, AT + 2 * K, K, MADV_FREE);
}

static int64_t guard(struct world *w)
{
	return memmap_mm_sys_madvise(w->g.mm, AT + 2 * K, K, MADV_GUARD_INSTALL);
}

static int64_t fork_(struct world *w)
{
	int err = guest_fork(&w->g, &w->made);
	if (err) {
		test_platform_destroy_(&w->made.platform);
		w->made.mm = NULL;
	}
	return err;
}

static int64_t break_heap(struct world *w)
{
	uint64_t brk = memmap_mm_get_layout(w->g.mm).brk;
	int64_t now = memmap_mm_sys_brk(w->g.mm, brk + 2 * K);
	return now == (int64_t)brk ? -ENOMEM : 0;
}

static int64_t write_new(struct world *w)
{
	return guest_write(&w->g, AT + 7 * K, 'n');
}

static int64_t write_zeros(struct world *w)
{
	return guest_write(&w->g, AT + 5 * K, 'n');
}

static int64_t write_lazy(struct world *w)
{
	return guest_write(&w->g, AT + 2 * K, 'n');
}

static int64_t read_zeros(struct world *w)
{
	return guest_read(&w->g, AT + 7 * K);
}

static int64_t write_file(struct world *w)
{
	return guest_write(&w->g, FILE_ + K, 'n');
}

static int64_t write_shared(struct world *w)
{
	return guest_write(&w->g, SHARED, 'a');
}

static int64_t read_shared(struct world *w)
{
	int byte = guest_read(&w->g, SHARED + 2 * K);
	return byte == 'c' ? 0 : byte;
}

static int64_t write_forked(struct world *w)
{
	return guest_write(&w->g, FORKED + 2 * K, 'n');
}

static int64_t populate(struct world *w)
{
	return memmap_mm_sys_madvise(w->g.mm, AT, 64 * K, MADV_POPULATE_WRITE);
}

static int64_t populate_files(struct world *w)
{
	int64_t err = memmap_mm_sys_madvise(w->g.mm, FILE_, 4 * K, MADV_POPULATE_WRITE);
	return err ? err : memmap_mm_sys_madvise(w->g.mm, SHARED, 4 * K, MADV_POPULATE_WRITE);
}

static int64_t populate_forked(struct world *w)
{
	return memmap_mm_sys_madvise(w->g.mm, FORKED, 4 * K, MADV_POPULATE_WRITE);
}

static const struct {
	const char *name;
	int64_t (*call)(struct world *w);
	bool progress; /* what was done before it failed stays done */
} calls[] = {
	{"munmap of one page", unmap_middle, false},
	{"munmap of a page of a file", unmap_page_of_file, false},
	{"mmap over", map_over, false},
	{"mmap of a file over", map_file_over, false},
	{"mmap of shared memory over", map_shared_memory, false},
	{"mprotect", protect, false},
	{"mremap", move, false},
	{"mremap over", move_over, false},
	{"mremap that keeps the source", move_and_keep, false},
	{"DONTNEED", discard, false},
	{"FREE", free_lazily, false},
	{"GUARD_INSTALL", guard, false},
	{"fork", fork_, false},
	{"brk", break_heap, false},
	{"write of what is new", write_new, false},
	{"write over zeros", write_zeros, false},
	{"write of what is there", write_lazy, false},
	{"read of what is new", read_zeros, false},
	{"write to a private file", write_file, false},
	{"write to a shared file", write_shared, false},
	{"read of a shared file", read_shared, false},
	{"write of what was forked", write_forked, false},
	{"populating", populate, true},
	{"populating files", populate_files, true},
	{"populating what was forked", populate_forked, true},
};

static void arm(struct world *w, enum refusal how, unsigned n)
{
	struct memmap_memory_usage usage;
	memmap_memory_file_usage(w->mf, &usage);
	switch (how) {
	case REFUSE_ALLOCATION:
	case REFUSE_ALL_ALLOCATIONS:
		w->countdown = n;
		w->for_good = how == REFUSE_ALL_ALLOCATIONS;
		break;
	case REFUSE_MAP:
		w->g.platform.refuse_in = n;
		break;
	case REFUSE_TRANSLATE:
		w->a.refuse_in = w->b.refuse_in = n;
		break;
	case REFUSE_PAGES:
		memmap_memory_file_set_limit(w->mf, usage.total + (n - 1) * K);
		break;
	}
}

static void disarm(struct world *w)
{
	w->countdown = 0;
	w->for_good = false;
	w->g.platform.refuse_in = w->a.refuse_in = w->b.refuse_in = 0;
	memmap_memory_file_set_limit(w->mf, 0);
}

static void fail_with_difference(const char *before, const char *after, const char *name,
				 enum refusal how, unsigned n)
{
	size_t line = 0;
	for (size_t i = 0; before[i] == after[i]; i++) {
		if (before[i] == '\n')
			line = i + 1;
	}
	fail_msg("%s, refusal %u of kind %d: there was\n%.*s\nand is\n%.*s", name, n, (int)how,
		 (int)strcspn(before + line, "\n"), before + line, (int)strcspn(after + line, "\n"),
		 after + line);
}

/* Did the call fail when it was refused for the nth time? */
static bool refused(size_t call, enum refusal how, unsigned n, bool lazily)
{
	struct world w;
	world_init(&w);
	if (lazily)
		assert_int_equal(memmap_mm_sys_madvise(w.g.mm, AT, 8 * K, MADV_FREE), 0);
	char *before = snapshot(&w);
	arm(&w, how, n);
	int64_t result = calls[call].call(&w);
	disarm(&w);
	assert_int_equal(memmap_mm_verify(w.g.mm), 0);
	assert_int_equal(memmap_memory_file_verify(w.mf), 0);
	const bool failed = result < 0;
	if (failed && !calls[call].progress) {
		char *after = snapshot(&w);
		if (strcmp(before, after) != 0)
			fail_with_difference(before, after, calls[call].name, how, n);
		free(after);
	}
	/* It can be done all the same. */
	if (failed)
		assert_true(calls[call].call(&w) >= 0);
	assert_int_equal(memmap_mm_verify(w.g.mm), 0);
	free(before);
	world_destroy(&w);
	return failed;
}

static unsigned test_all(enum refusal how, bool lazily)
{
	unsigned nr = 0;
	for (size_t i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
		/* Allocations that a call can do without may fail between those that it needs. */
		unsigned since = 0;
		for (unsigned n = 1; n < 200 && since < 4; n++) {
			if (refused(i, how, n, lazily)) {
				since = 0;
				nr++;
			} else {
				since++;
			}
		}
	}
	return nr;
}

static void an_allocation_fails(void **state)
{
	(void)state;
	assert_in_range(test_all(REFUSE_ALLOCATION, false), 20, 1000);
}

static void all_allocations_fail(void **state)
{
	(void)state;
	assert_in_range(test_all(REFUSE_ALL_ALLOCATIONS, false), 20, 1000);
}

static void the_platform_refuses(void **state)
{
	(void)state;
	assert_in_range(test_all(REFUSE_MAP, false), 8, 1000);
}

static void a_file_refuses(void **state)
{
	(void)state;
	assert_in_range(test_all(REFUSE_TRANSLATE, false), 3, 1000);
}

static void memory_is_short(void **state)
{
	(void)state;
	assert_in_range(test_all(REFUSE_PAGES, false), 4, 1000);
}

static void an_allocation_fails_when_pages_are_free(void **state)
{
	(void)state;
	assert_in_range(test_all(REFUSE_ALLOCATION, true), 20, 1000);
	assert_in_range(test_all(REFUSE_MAP, true), 8, 1000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_allocation_fails),
		cmocka_unit_test(all_allocations_fail),
		cmocka_unit_test(the_platform_refuses),
		cmocka_unit_test(a_file_refuses),
		cmocka_unit_test(memory_is_short),
		cmocka_unit_test(an_allocation_fails_when_pages_are_free),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
