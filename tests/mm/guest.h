/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Address spaces with pages, for tests: a platform that keeps in a table what it was told to map, a
 * guest that touches memory through it alone, and a file whose pages can be truncated, evicted and
 * refused.
 *
 *   assert_pages(&guest, "10000-12000 rw- private\n"
 *                        "20000-21000 r-- shared\n");
 *
 * A line is a run of pages that are there: what is permitted without a fault, and of which kind they
 * are (private, cow, zero, shared, guard), with "lazy" behind it when they were freed lazily.
 * Include after the cmocka headers.
 */
#ifndef MEMMAP_TESTS_MM_GUEST_H
#define MEMMAP_TESTS_MM_GUEST_H

#include <pthread.h>

#include <memmap/address_space.h>
#include <memmap/memory_file.h>

#include "fixture.h"
#include "mm/pages.h"

/*
 * ---- The platform ----
 */

struct test_mapping {
	uint64_t page;
	struct memmap_file *file; /* NULL: nothing is mapped */
	uint64_t offset;
	memmap_access perms;
};

struct test_platform {
	struct memmap_address_space as;
	pthread_mutex_t lock;
	struct test_mapping *table;
	size_t nr;
	unsigned refuse_in; /* the how-manieth map_file() is refused; 0: none */
	unsigned nr_maps, nr_unmaps;
};

static struct test_platform *platform_of_(struct memmap_address_space *as)
{
	return (struct test_platform *)((char *)as - offsetof(struct test_platform, as));
}

static struct test_mapping *platform_entry_(struct test_platform *p, uint64_t page)
{
	for (size_t i = 0; i < p->nr; i++) {
		if (p->table[i].page == page)
			return &p->table[i];
	}
	p->table = realloc(p->table, (p->nr + 1) * sizeof(*p->table));
	p->table[p->nr] = (struct test_mapping){.page = page};
	return &p->table[p->nr++];
}

static int test_map_file_(struct memmap_address_space *as, uint64_t addr, struct memmap_file *file,
			  struct memmap_file_range fr, memmap_access at, bool precommit)
{
	struct test_platform *p = platform_of_(as);
	(void)precommit;
	pthread_mutex_lock(&p->lock);
	int err = 0;
	p->nr_maps++;
	if (p->refuse_in && --p->refuse_in == 0)
		err = -ENOSPC;
	for (uint64_t at_ = 0; !err && at_ < fr.end - fr.start; at_ += K) {
		struct test_mapping *m = platform_entry_(p, addr + at_);
		m->file = file;
		m->offset = fr.start + at_;
		m->perms = at;
	}
	pthread_mutex_unlock(&p->lock);
	return err;
}

static void test_unmap_(struct memmap_address_space *as, struct memmap_addr_range ar)
{
	struct test_platform *p = platform_of_(as);
	pthread_mutex_lock(&p->lock);
	p->nr_unmaps++;
	for (size_t i = 0; i < p->nr;) {
		if (p->table[i].page >= ar.start && p->table[i].page < ar.end)
			p->table[i] = p->table[--p->nr];
		else
			i++;
	}
	pthread_mutex_unlock(&p->lock);
}

static void test_protect_(struct memmap_address_space *as, struct memmap_addr_range ar,
			  memmap_access at)
{
	struct test_platform *p = platform_of_(as);
	pthread_mutex_lock(&p->lock);
	for (size_t i = 0; i < p->nr; i++) {
		if (p->table[i].page >= ar.start && p->table[i].page < ar.end)
			p->table[i].perms &= at;
	}
	pthread_mutex_unlock(&p->lock);
}

static const struct memmap_address_space_ops test_platform_ops_ = {
	.map_file = test_map_file_,
	.unmap = test_unmap_,
	.protect = test_protect_,
};

/* The same, which claims that its guests touch mappings of its own. */
__attribute__((unused)) static const struct memmap_address_space_ops test_mapping_platform_ops_ = {
	.map_file = test_map_file_,
	.unmap = test_unmap_,
	.protect = test_protect_,
	.maps_descriptors = true,
};

static void test_platform_init_(struct test_platform *p)
{
	*p = (struct test_platform){.as.ops = &test_platform_ops_};
	pthread_mutex_init(&p->lock, NULL);
}

static void test_platform_destroy_(struct test_platform *p)
{
	for (size_t i = 0; i < p->nr; i++)
		assert_null(p->table[i].file);
	free(p->table);
	pthread_mutex_destroy(&p->lock);
}

/*
 * ---- A file with pages ----
 */

struct paged_file {
	struct test_file file;       /* must be first */
	struct memmap_file *instead; /* of the memory file, as what holds its pages */
	pthread_mutex_t lock;
	struct memmap_memory_file *mf;
	struct memmap_file_range pages;
	uint64_t size;      /* bytes of it that there are, in whole pages */
	bool tracks_writes; /* translates for writing only when it is asked to */
	unsigned refuse_in; /* the how-manieth translate() is refused, for want of memory */
	unsigned nr_translated;
	void (*in_translate)(struct paged_file *f); /* called before an answer is returned */
	void (*in_remove)(struct paged_file *f);    /* called when a mapping has been removed */
	unsigned nr_synced;
};

static struct paged_file *paged_of_(struct memmap_mappable *m)
{
	return (struct paged_file *)inode_of_(m);
}

static int paged_add_(struct memmap_mappable *m, struct memmap_context *ctx,
		      struct memmap_mapping_space *ms, struct memmap_addr_range ar, uint64_t offset,
		      bool writable)
{
	struct paged_file *f = paged_of_(m);
	pthread_mutex_lock(&f->lock);
	int err = test_add_mapping_(m, ctx, ms, ar, offset, writable);
	pthread_mutex_unlock(&f->lock);
	return err;
}

static int paged_remove_(struct memmap_mappable *m, struct memmap_context *ctx,
			 struct memmap_mapping_space *ms, struct memmap_addr_range ar,
			 uint64_t offset, bool writable)
{
	struct paged_file *f = paged_of_(m);
	pthread_mutex_lock(&f->lock);
	int err = test_remove_mapping_(m, ctx, ms, ar, offset, writable);
	pthread_mutex_unlock(&f->lock);
	if (f->in_remove)
		f->in_remove(f);
	return err;
}

static int paged_copy_(struct memmap_mappable *m, struct memmap_context *ctx,
		       struct memmap_mapping_space *ms, struct memmap_addr_range src,
		       struct memmap_addr_range dst, uint64_t offset, bool writable)
{
	(void)src;
	return paged_add_(m, ctx, ms, dst, offset, writable);
}

static int paged_translate_(struct memmap_mappable *m, struct memmap_context *ctx,
			    struct memmap_mappable_range required,
			    struct memmap_mappable_range optional, memmap_access at,
			    struct memmap_translations *out)
{
	(void)ctx;
	struct paged_file *f = paged_of_(m);
	pthread_mutex_lock(&f->lock);
	f->nr_translated++;
	struct memmap_translation t = {
		.source = memmap_mappable_range_intersect(
			optional, (struct memmap_mappable_range){0, f->size}),
		.file = f->instead ? f->instead : memmap_memory_file_file(f->mf),
		.perms = f->tracks_writes && !(at & MEMMAP_WRITE)
				 ? (memmap_access)(MEMMAP_READ | MEMMAP_EXEC)
				 : MEMMAP_ANY_ACCESS,
	};
	t.offset = f->pages.start + t.source.start;
	int err = 0;
	if (f->refuse_in && --f->refuse_in == 0)
		err = -ENOMEM;
	else if (required.start >= f->size)
		err = memmap_bus_error(-EFAULT);
	else
		err = memmap_translations_append(out, t);
	pthread_mutex_unlock(&f->lock);
	if (f->in_translate)
		f->in_translate(f);
	return err;
}

static int paged_msync_(struct memmap_mapping_identity *id, struct memmap_context *ctx,
			struct memmap_mappable_range mr)
{
	(void)ctx;
	(void)mr;
	((struct paged_file *)file_of_(id))->nr_synced++;
	return 0;
}

static void paged_zero_(struct paged_file *f, struct memmap_mappable_range mr)
{
	struct memmap_file_range fr = {f->pages.start + mr.start, f->pages.start + mr.end};
	struct memmap_block_seq blocks;
	assert_int_equal(
		memmap_file_map_internal(memmap_memory_file_file(f->mf), fr, MEMMAP_WRITE, &blocks),
		0);
	assert_int_equal(memmap_zero_seq(blocks, NULL), 0);
}

static int paged_punch_(struct memmap_mapping_identity *id, struct memmap_context *ctx,
			struct memmap_mappable_range mr)
{
	(void)ctx;
	struct paged_file *f = (struct paged_file *)file_of_(id);
	pthread_mutex_lock(&f->lock);
	memmap_mapping_set_invalidate(&f->file.mappings, mr,
				      (struct memmap_invalidate_opts){false});
	mr = memmap_mappable_range_intersect(mr, (struct memmap_mappable_range){0, f->size});
	if (mr.start < mr.end)
		paged_zero_(f, mr);
	pthread_mutex_unlock(&f->lock);
	return 0;
}

static const struct memmap_mappable_ops paged_mappable_ops_ = {
	.add_mapping = paged_add_,
	.remove_mapping = paged_remove_,
	.copy_mapping = paged_copy_,
	.translate = paged_translate_,
};

static void paged_inc_ref_(struct memmap_mapping_identity *id)
{
	__atomic_add_fetch(&file_of_(id)->references, 1, __ATOMIC_SEQ_CST);
}

static void paged_dec_ref_(struct memmap_mapping_identity *id, struct memmap_context *ctx)
{
	(void)ctx;
	__atomic_sub_fetch(&file_of_(id)->references, 1, __ATOMIC_SEQ_CST);
}

static const struct memmap_mapping_identity_ops paged_identity_ops_ = {
	.inc_ref = paged_inc_ref_,
	.dec_ref = paged_dec_ref_,
	.mapped_name = test_mapped_name_,
	.device_id = test_device_id_,
	.inode_id = test_inode_id_,
	.msync = paged_msync_,
	.punch_hole = paged_punch_,
};

/* The byte that page `i` of a new file is full of. */
__attribute__((unused)) static char paged_byte(uint64_t i)
{
	return (char)('a' + i % 26);
}

__attribute__((unused)) static void paged_file_init(struct paged_file *f,
						    struct memmap_memory_file *mf, uint64_t size)
{
	*f = (struct paged_file){.mf = mf, .size = size};
	test_file_init(&f->file, "paged");
	f->file.identity.ops = &paged_identity_ops_;
	f->file.mappable.ops = &paged_mappable_ops_;
	pthread_mutex_init(&f->lock, NULL);
	struct memmap_allocate_opts opts = {.kind = MEMMAP_MEMORY_PAGE_CACHE};
	assert_int_equal(memmap_memory_file_allocate(mf, size, &opts, &f->pages), 0);
	struct memmap_block_seq blocks;
	assert_int_equal(memmap_file_map_internal(memmap_memory_file_file(mf), f->pages,
						  MEMMAP_WRITE, &blocks),
			 0);
	for (uint64_t i = 0; i < size / K; i++) {
		char page[K];
		memset(page, paged_byte(i), sizeof(page));
		assert_int_equal(
			memmap_copy_seq(memmap_block_seq_cut(blocks, i * K, K),
					memmap_block_seq_of(memmap_block_safe(page, sizeof(page))),
					NULL),
			0);
	}
}

__attribute__((unused)) static void paged_file_destroy(struct paged_file *f)
{
	test_file_destroy(&f->file);
	memmap_file_dec_ref(memmap_memory_file_file(f->mf), f->pages);
	pthread_mutex_destroy(&f->lock);
}

/* What it translated for `mr` is no longer so. */
__attribute__((unused)) static void paged_file_invalidate(struct paged_file *f,
							  struct memmap_mappable_range mr,
							  bool private)
{
	pthread_mutex_lock(&f->lock);
	memmap_mapping_set_invalidate(&f->file.mappings, mr,
				      (struct memmap_invalidate_opts){private});
	pthread_mutex_unlock(&f->lock);
}

__attribute__((unused)) static void paged_file_resize(struct paged_file *f, uint64_t size)
{
	pthread_mutex_lock(&f->lock);
	f->size = size;
	memmap_mapping_set_invalidate(&f->file.mappings,
				      (struct memmap_mappable_range){size, UINT64_MAX - 4095},
				      (struct memmap_invalidate_opts){true});
	pthread_mutex_unlock(&f->lock);
}

/*
 * ---- Guests ----
 */

struct guest {
	struct memmap_memory_file *mf;
	struct memmap_mm *mm;
	struct test_platform platform;
};

__attribute__((unused)) static struct memmap_mm_options guest_options(struct guest *g)
{
	struct memmap_mm_options options = small_options();
	options.memory_file = g->mf;
	options.address_space = &g->platform.as;
	options.fault_around = K;
	return options;
}

/* A guest whose faults make one page present. */
__attribute__((unused)) static void guest_init(struct guest *g, struct memmap_memory_file *mf)
{
	*g = (struct guest){.mf = mf};
	test_platform_init_(&g->platform);
	struct memmap_mm_options options = guest_options(g);
	assert_int_equal(memmap_mm_create(&options, &g->mm), 0);
}

__attribute__((unused)) static int guest_fork(struct guest *parent, struct guest *child)
{
	*child = (struct guest){.mf = parent->mf};
	test_platform_init_(&child->platform);
	struct memmap_mm_fork_options options = {.address_space = &child->platform.as};
	return memmap_mm_fork_into(parent->mm, &options, &child->mm);
}

__attribute__((unused)) static void guest_destroy(struct guest *g)
{
	memmap_mm_release(g->mm);
	test_platform_destroy_(&g->platform);
}

/* What the platform has mapped at the page of `addr`. */
static struct test_mapping guest_mapping(struct guest *g, uint64_t addr)
{
	struct test_mapping m = {0};
	pthread_mutex_lock(&g->platform.lock);
	for (size_t i = 0; i < g->platform.nr; i++) {
		if (g->platform.table[i].page == (addr & ~(K - 1)))
			m = g->platform.table[i];
	}
	pthread_mutex_unlock(&g->platform.lock);
	return m;
}

/*
 * Touch a byte: through what the platform has mapped, else by a fault. 0; 'M' or 'A': SIGSEGV,
 * SEGV_MAPERR or SEGV_ACCERR; 'B': SIGBUS; or a negative errno. `*byte` is read or written.
 */
__attribute__((unused)) static int guest_touch(struct guest *g, uint64_t addr, memmap_access at,
					       char *byte)
{
	for (int tries = 0; tries < 100; tries++) {
		struct test_mapping m = guest_mapping(g, addr);
		if (!m.file || (at & ~memmap_access_effective(m.perms))) {
			enum memmap_fault_code code;
			int err = memmap_mm_handle_fault(g->mm, addr, at, &code);
			if (err == -EFAULT)
				return code == MEMMAP_FAULT_UNMAPPED ? 'M' : 'A';
			if (memmap_is_bus_error(err))
				return 'B';
			if (err)
				return err;
			continue;
		}
		struct memmap_file_range fr = {m.offset + (addr & (K - 1)), 0};
		fr.end = fr.start + 1;
		struct memmap_block_seq blocks;
		if (memmap_file_map_internal(m.file, fr, at, &blocks) != 0)
			return -EIO;
		struct memmap_block_seq ours = memmap_block_seq_of(memmap_block_safe(byte, 1));
		return at & MEMMAP_WRITE ? memmap_copy_seq(blocks, ours, NULL)
					 : memmap_copy_seq(ours, blocks, NULL);
	}
	return -ELOOP;
}

/* What a guest reads; or what guest_touch() says, negated. */
__attribute__((unused)) static int guest_read(struct guest *g, uint64_t addr)
{
	char byte;
	int result = guest_touch(g, addr, MEMMAP_READ, &byte);
	return result > 0 ? -result : result < 0 ? result : byte;
}

__attribute__((unused)) static int guest_write(struct guest *g, uint64_t addr, char byte)
{
	return guest_touch(g, addr, MEMMAP_WRITE, &byte);
}

static int print_run_(void *arg, const struct memmap_vma *vma, const struct mm_resident *run)
{
	FILE *out = arg;
	(void)vma;
	if (!run)
		return 0;
	fprintf(out, "%" PRIx64 "-%" PRIx64 " %c%c%c %s%s\n", run->range.start, run->range.end,
		run->perms & MEMMAP_READ ? 'r' : '-', run->perms & MEMMAP_WRITE ? 'w' : '-',
		run->perms & MEMMAP_EXEC ? 'x' : '-',
		run->guard           ? "guard"
		: run->zero          ? "zero"
		: !run->private_     ? "shared"
		: run->copy_on_write ? "cow"
				     : "private",
		run->lazy_free ? " lazy" : "");
	return 0;
}

/* The table of pages; to be freed. */
static char *page_table(struct memmap_mm *mm)
{
	char *text = NULL;
	size_t size = 0;
	FILE *out = open_memstream(&text, &size);
	assert_non_null(out);
	(void)mm_for_each_resident(mm, (struct memmap_addr_range){0, UINT64_MAX}, print_run_, out);
	fclose(out);
	return text;
}

__attribute__((unused)) static void assert_pages_(struct guest *g, const char *expected,
						  const char *file, int line)
{
	assert_int_equal(memmap_mm_verify(g->mm), 0);
	assert_int_equal(memmap_memory_file_verify(g->mf), 0);
	char *found = page_table(g->mm);
	if (strcmp(found, expected) != 0) {
		print_error("%s:%d: the pages are\n%snot\n%s", file, line, found, expected);
		free(found);
		_fail(file, line);
	}
	free(found);
}
#define assert_pages(g, expected) assert_pages_(g, expected, __FILE__, __LINE__)

/* A new memory file. */
__attribute__((unused)) static struct memmap_memory_file *new_memory_file(void)
{
	struct memmap_memory_file *mf;
	assert_int_equal(memmap_memory_file_create(NULL, &mf), 0);
	return mf;
}

/* Nobody holds anything any more. */
__attribute__((unused)) static void release_memory_file(struct memmap_memory_file *mf)
{
	struct memmap_memory_usage usage;
	memmap_memory_file_usage(mf, &usage);
	assert_int_equal(usage.total, 0);
	assert_int_equal(memmap_memory_file_verify(mf), 0);
	memmap_memory_file_release(mf);
}

#endif /* MEMMAP_TESTS_MM_GUEST_H */
