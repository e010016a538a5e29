/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Saving and restoring an address space: what was saved comes back, and gives the same bytes again;
 * and whatever the bytes say, loading them ends with a negative error and an address space that
 * nothing has happened to.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/mman.h>

#include "mm/fixture.h"

#include "memmap/state_internal.h"
#include <memmap/mm_state.h>

/* ---- Memory of which the Nth request can be made to fail ---- */

static long blocks_live, requests_made, request_that_fails;
static size_t bytes_live, bytes_peak;

static void *test_allocate(void *context, size_t size, size_t alignment)
{
	(void)context;
	if (++requests_made == request_that_fails)
		return NULL;
	blocks_live++;
	bytes_live += size;
	if (bytes_peak < bytes_live)
		bytes_peak = bytes_live;
	return memmap_allocate(NULL, size, alignment);
}

static void test_deallocate(void *context, void *memory, size_t size)
{
	(void)context;
	if (!memory)
		return;
	blocks_live--;
	bytes_live -= size;
	memmap_deallocate(NULL, memory, size);
}

static const struct memmap_allocator allocator = {test_allocate, test_deallocate, NULL};

/* ---- Two files, in this run and in the next ---- */

#define NR_FILES 2
static struct test_file files[NR_FILES];
static int references_err;

static int id_of(void *context, enum memmap_state_kind kind, const void *object, uint64_t *id)
{
	(void)context;
	for (unsigned i = 0; i < NR_FILES; i++) {
		if ((kind == MEMMAP_STATE_MAPPABLE && object == &files[i].mappable) ||
		    (kind == MEMMAP_STATE_IDENTITY && object == &files[i].identity)) {
			*id = 1000 * (uint64_t)i + 7;
			return references_err;
		}
	}
	return -ENOENT;
}

static int object_of(void *context, enum memmap_state_kind kind, uint64_t id, void **object)
{
	(void)context;
	if (id % 1000 != 7 || id / 1000 >= NR_FILES)
		return -ENOENT;
	if (kind == MEMMAP_STATE_MAPPABLE)
		*object = &files[id / 1000].mappable;
	else if (kind == MEMMAP_STATE_IDENTITY)
		*object = &files[id / 1000].identity;
	else
		return -ENOENT;
	return references_err;
}

static const struct memmap_state_references references = {id_of, object_of, NULL};

static struct memmap_mm *make_mm(void)
{
	struct memmap_mm_options options = {.allocator = &allocator};
	struct memmap_mm *mm = NULL;
	memmap_mm_layout_default(&options.layout);
	memmap_mm_limits_default(&options.limits);
	assert_int_equal(memmap_mm_create(&options, &mm), 0);
	return mm;
}

/* One of everything that a VMA can be. */
static struct memmap_mm *make_full(void)
{
	struct memmap_mm *mm = make_mm();
	struct memmap_mm_layout layout = memmap_mm_get_layout(mm);
	layout.brk += 0x3000;
	layout.start_code = 0x400000;
	layout.end_code = 0x401000;
	layout.bottom_up = true;
	assert_int_equal(memmap_mm_set_layout(mm, &layout), 0);
	struct memmap_mm_limits limits = memmap_mm_get_limits(mm);
	limits.data = 1 << 30;
	limits.overcommit = 1;
	limits.huge_pages = 2;
	limits.cap_ipc_lock = true;
	limits.max_map_count = 1000;
	memmap_mm_set_limits(mm, &limits);
	struct memmap_mmap_file a = {.identity = &files[0].identity,
				     .mappable = &files[0].mappable,
				     .readable = true,
				     .writable = true};
	struct memmap_mmap_file b = {.identity = &files[1].identity,
				     .mappable = &files[1].mappable,
				     .readable = true,
				     .huge_aligned = true};
	assert_true(memmap_mm_sys_mmap(mm, 0x100000, 4 * K, RW, FIXED, NULL, 0, NULL) > 0);
	assert_true(memmap_mm_sys_mmap(mm, 0x200000, 4 * K, RW, MAP_SHARED | MAP_FIXED, &a, 2 * K,
				       NULL) > 0);
	assert_true(memmap_mm_sys_mmap(mm, 0x300000, 4 * K, RX, MAP_PRIVATE | MAP_FIXED, &b, 0,
				       NULL) > 0);
	assert_true(memmap_mm_sys_mmap(mm, 0x400000, 8 * K, RW, FIXED | MAP_GROWSDOWN, NULL, 0,
				       NULL) > 0);
	assert_int_equal(memmap_mm_sys_mprotect(mm, 0x101000, K, PROT_READ), 0);
	assert_int_equal(memmap_mm_sys_prctl_set_vma(mm, 0x400000, 2 * K, "heap of names"), 0);
	assert_int_equal(memmap_mm_sys_mlock(mm, 0x300000, K), 0);
	assert_int_equal(memmap_mm_sys_mbind(mm, 0x201000, K, 7), 0);
	assert_int_equal(
		memmap_mm_userfault_register(mm, (struct memmap_addr_range){0x102000, 0x103000}, 9,
					     MEMMAP_VM_UFFD_WP),
		0);
	memmap_mm_note_anonymous(mm, (struct memmap_addr_range){0x100000, 0x101000});
	struct memmap_vma vdso = {
		.range = {0x7ffff7ff0000, 0x7ffff7ff2000},
		.flags = MEMMAP_VM_READ | MEMMAP_VM_EXEC | MEMMAP_VM_MAYREAD,
		.name = "[vdso]",
	};
	assert_int_equal(memmap_mm_replace(mm, vdso.range, &vdso, 1), 0);
	uint64_t addr = 0x500000;
	struct memmap_mmap_opts opts = {.length = K,
					.addr = addr,
					.fixed = true,
					.unmap = true,
					.perms = MEMMAP_READ,
					.max_perms = MEMMAP_READ_WRITE,
					.private_ = true,
					.hint = "[mine]"};
	assert_int_equal(memmap_mm_mmap(mm, &opts, &addr), 0);
	assert_int_equal(memmap_mm_sys_mlockall(mm, MCL_FUTURE), 0);
	assert_int_equal(memmap_mm_verify(mm), 0);
	return mm;
}

static char *maps_of(const struct memmap_mm *mm)
{
	struct memmap_text text = {0};
	assert_int_equal(memmap_mm_print_maps(mm, &text), 0);
	char *copy = strdup(text.data);
	memmap_text_release(&text);
	return copy;
}

/* ---- Bytes ---- */

struct bytes {
	size_t len;
	unsigned char at[8192];
};

static int save(const struct memmap_mm *mm, struct bytes *out)
{
	struct memmap_state_sink sink;
	memmap_state_sink_init(&sink, &references, NULL);
	int err = memmap_mm_state_save(mm, &sink);
	const void *at;
	if (!err)
		err = memmap_state_sink_finish(&sink, &at, &out->len);
	if (!err) {
		assert_true(out->len <= sizeof(out->at));
		memcpy(out->at, at, out->len);
	}
	memmap_state_sink_release(&sink);
	return err;
}

static int load(struct memmap_mm *mm, const void *bytes, size_t len)
{
	struct memmap_state_source source;
	int err = memmap_state_source_init(&source, bytes, len, &references);
	if (err)
		return err;
	const size_t at = source.at;
	err = memmap_mm_state_load(mm, &source);
	assert_true(err == 0 ? memmap_state_source_at_end(&source) : source.at == at);
	return err;
}

/* Put the right checksum at the end, over whatever is before it. */
static void seal(unsigned char *bytes, size_t len)
{
	const size_t body = len - STATE_TRAILER_SIZE;
	const uint32_t checksum = memmap_state_checksum(bytes, body);
	bytes[body] = 0x44;
	for (unsigned i = 0; i < 4; i++)
		bytes[body + 1 + i] = (unsigned char)(checksum >> (24 - 8 * i));
}

/* Member by member: what lies between them may be anything. */
#define assert_same(a, b, member) assert_int_equal((a)->member, (b)->member)

static void assert_layouts_equal(const struct memmap_mm_layout *a, const struct memmap_mm_layout *b)
{
	assert_same(a, b, min_addr);
	assert_same(a, b, min_fixed_addr);
	assert_same(a, b, task_size);
	assert_same(a, b, mmap_base);
	assert_same(a, b, mmap_legacy_base);
	assert_same(a, b, bottom_up);
	assert_same(a, b, start_brk);
	assert_same(a, b, brk);
	assert_same(a, b, start_stack);
	assert_same(a, b, start_code);
	assert_same(a, b, end_code);
	assert_same(a, b, start_data);
	assert_same(a, b, end_data);
	assert_same(a, b, stack_guard_gap);
	assert_same(a, b, vsyscall);
}

static void assert_limits_equal(const struct memmap_mm_limits *a, const struct memmap_mm_limits *b)
{
	assert_same(a, b, address_space);
	assert_same(a, b, data);
	assert_same(a, b, data_max);
	assert_same(a, b, stack);
	assert_same(a, b, memlock);
	assert_same(a, b, max_map_count);
	assert_same(a, b, overcommit);
	assert_same(a, b, overcommit_pages);
	assert_same(a, b, cap_ipc_lock);
	assert_same(a, b, cap_sys_rawio);
	assert_same(a, b, read_implies_exec);
	assert_same(a, b, deny_write_exec);
	assert_same(a, b, huge_pages);
	assert_same(a, b, no_zero_page);
}

/* An address space in which nothing has happened, and which has taken no memory. */
struct untouched {
	struct memmap_mm *mm;
	struct memmap_mm_layout layout;
	struct memmap_mm_limits limits;
	long blocks;
};

static struct untouched untouched_make(void)
{
	struct untouched u = {.mm = make_mm()};
	u.layout = memmap_mm_get_layout(u.mm);
	u.limits = memmap_mm_get_limits(u.mm);
	u.blocks = blocks_live;
	return u;
}

static void assert_untouched(const struct untouched *u)
{
	struct memmap_vma v;
	struct memmap_mm_layout layout = memmap_mm_get_layout(u->mm);
	struct memmap_mm_limits limits = memmap_mm_get_limits(u->mm);
	assert_false(memmap_mm_find_vma(u->mm, 0, &v));
	assert_layouts_equal(&layout, &u->layout);
	assert_limits_equal(&limits, &u->limits);
	assert_int_equal(memmap_mm_verify(u->mm), 0);
	for (unsigned i = 0; i < NR_FILES; i++) {
		assert_int_equal(files[i].references, 0);
		assert_int_equal(files[i].told, 0);
	}
}

/* Loading what may be anything: an address space, or an error and nothing. Returns the error. */
static int load_whatever(const void *bytes, size_t len)
{
	struct untouched u = untouched_make();
	int err = load(u.mm, bytes, len);
	assert_true(err <= 0);
	if (err)
		assert_untouched(&u);
	else
		assert_int_equal(memmap_mm_verify(u.mm), 0);
	struct bytes again;
	if (err == 0) {
		assert_int_equal(save(u.mm, &again), 0);
		assert_int_equal(again.len, len);
		assert_memory_equal(again.at, bytes, len);
	}
	memmap_mm_release(u.mm);
	for (unsigned i = 0; i < NR_FILES; i++)
		memmap_mapping_set_destroy(&files[i].mappings);
	assert_int_equal(blocks_live, 0);
	return err;
}

static struct bytes full_bytes(void)
{
	struct bytes bytes;
	struct memmap_mm *mm = make_full();
	assert_int_equal(save(mm, &bytes), 0);
	memmap_mm_release(mm);
	return bytes;
}

/* ---- Tests ---- */

static int set_up(void **state)
{
	(void)state;
	test_file_init(&files[0], "/a");
	test_file_init(&files[1], "/b");
	references_err = 0;
	request_that_fails = 0;
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	for (unsigned i = 0; i < NR_FILES; i++) {
		assert_int_equal(files[i].references, 0);
		memmap_mapping_set_destroy(&files[i].mappings);
	}
	assert_int_equal(blocks_live, 0);
	return 0;
}

static void round_trip(void **state)
{
	(void)state;
	struct memmap_mm *mm = make_full();
	struct bytes bytes, again;
	assert_int_equal(save(mm, &bytes), 0);
	char *maps = maps_of(mm);
	struct memmap_mm_stats stats, restored_stats;
	memmap_mm_get_stats(mm, &stats);
	struct memmap_mm_layout layout = memmap_mm_get_layout(mm);
	struct memmap_mm_limits limits = memmap_mm_get_limits(mm);
	memmap_mm_release(mm);

	mm = make_mm();
	assert_int_equal(load(mm, bytes.at, bytes.len), 0);
	assert_int_equal(memmap_mm_verify(mm), 0);
	char *restored_maps = maps_of(mm);
	assert_string_equal(restored_maps, maps);
	memmap_mm_get_stats(mm, &restored_stats);
	assert_int_equal(restored_stats.nr_vmas, stats.nr_vmas);
	assert_int_equal(restored_stats.locked_pages, stats.locked_pages);
	struct memmap_mm_layout restored_layout = memmap_mm_get_layout(mm);
	struct memmap_mm_limits restored_limits = memmap_mm_get_limits(mm);
	assert_layouts_equal(&restored_layout, &layout);
	assert_limits_equal(&restored_limits, &limits);
	assert_int_equal(save(mm, &again), 0);
	assert_int_equal(again.len, bytes.len);
	assert_memory_equal(again.at, bytes.at, bytes.len);
	free(maps);
	free(restored_maps);

	/* It goes on as the old one would have: new mappings are locked, [vdso] is not split but other
	 * names are, and the Mappables hear of what goes. */
	assert_int_equal(memmap_mm_sys_munmap(mm, 0x7ffff7ff0000, K), -EINVAL);
	assert_int_equal(files[0].told, 4 * K);
	assert_int_equal(memmap_mm_sys_munmap(mm, 0x200000, K), 0);
	assert_int_equal(files[0].told, 3 * K);
	int64_t addr = memmap_mm_sys_mmap(mm, 0, K, RW, ANON, NULL, 0, NULL);
	struct memmap_vma v;
	assert_true(addr > 0 && memmap_mm_find_vma(mm, (uint64_t)addr, &v));
	assert_true(v.flags & MEMMAP_VM_LOCKED);

	/* The names of a restored one outlive it in its child. */
	struct memmap_mm *child;
	assert_int_equal(memmap_mm_fork(mm, NULL, &child), 0);
	memmap_mm_release(mm);
	assert_true(memmap_mm_find_vma(child, 0x7ffff7ff0000, &v));
	assert_string_equal(v.name, "[vdso]");
	assert_int_equal(memmap_mm_sys_munmap(child, 0x7ffff7ff0000, K), -EINVAL);
	assert_true(memmap_mm_find_vma(child, 0x500000, &v));
	assert_string_equal(v.name, "[mine]");
	memmap_mm_release(child);
}

static void names(void **state)
{
	(void)state;
	assert_string_equal(memmap_mm_state_type_name(), "memmap_mm");
	const char *const *fields = memmap_mm_state_fields();
	unsigned nr = 0;
	while (fields[nr])
		nr++;
	assert_int_equal(nr, 7);
}

static void empty(void **state)
{
	(void)state;
	struct memmap_mm *mm = make_mm();
	struct bytes bytes;
	assert_int_equal(save(mm, &bytes), 0);
	memmap_mm_release(mm);
	assert_int_equal(load_whatever(bytes.at, bytes.len), 0);
}

static void destination_must_be_empty(void **state)
{
	(void)state;
	struct bytes bytes = full_bytes();
	struct memmap_mm *mm = make_mm();
	assert_true(memmap_mm_sys_mmap(mm, 0x100000, K, RW, FIXED, NULL, 0, NULL) > 0);
	assert_int_equal(load(mm, bytes.at, bytes.len), -EEXIST);
	memmap_mm_release(mm);
}

static void cut_at_every_byte(void **state)
{
	(void)state;
	struct bytes bytes = full_bytes();
	for (size_t len = 0; len < bytes.len; len++) {
		/* As it is, and sealed again. An exact copy, so that reading beyond it is seen. */
		unsigned char *cut = malloc(len + 1);
		assert_non_null(cut);
		memcpy(cut, bytes.at, len);
		assert_int_equal(load_whatever(cut, len), -EBADMSG);
		if (len > STATE_TRAILER_SIZE) {
			seal(cut, len);
			assert_true(load_whatever(cut, len) < 0);
		}
		free(cut);
	}
}

static void every_byte_changed(void **state)
{
	(void)state;
	struct bytes bytes = full_bytes();
	int nr_loaded = 0;
	for (size_t i = 0; i < bytes.len; i++) {
		for (unsigned bit = 0; bit < 8; bit++) {
			struct bytes changed = bytes;
			changed.at[i] ^= (unsigned char)(1 << bit);
			assert_true(load_whatever(changed.at, changed.len) < 0);
			seal(changed.at, changed.len);
			if (i < bytes.len - STATE_TRAILER_SIZE)
				nr_loaded += load_whatever(changed.at, changed.len) == 0;
		}
	}
	/* Many a number may be another one; most of the bytes may not. */
	assert_in_range(nr_loaded, 10, bytes.len * 4);
}

static void random_changes(void **state)
{
	(void)state;
	struct bytes bytes = full_bytes();
	uint64_t x = 1;
	for (unsigned round = 0; round < 4000; round++) {
		struct bytes changed = bytes;
		for (unsigned i = 0; i < 1 + round % 5; i++) {
			x = x * 6364136223846793005u + 1442695040888963407u;
			size_t at = (size_t)((x >> 33) % (bytes.len - STATE_TRAILER_SIZE));
			changed.at[at] = (unsigned char)(x >> 20);
		}
		seal(changed.at, changed.len);
		size_t before = bytes_live;
		bytes_peak = bytes_live;
		(void)load_whatever(changed.at, changed.len);
		assert_true(bytes_peak - before < 64 * bytes.len);
	}
}

static void without_memory(void **state)
{
	(void)state;
	struct bytes bytes = full_bytes();
	int nr_failures = 0;
	for (long n = 1;; n++) {
		struct untouched u = untouched_make();
		requests_made = 0;
		request_that_fails = n;
		int err = load(u.mm, bytes.at, bytes.len);
		request_that_fails = 0;
		if (err) {
			assert_int_equal(err, -ENOMEM);
			assert_untouched(&u);
			nr_failures++;
			/* Another try works. */
			assert_int_equal(load(u.mm, bytes.at, bytes.len), 0);
		}
		assert_int_equal(memmap_mm_verify(u.mm), 0);
		memmap_mm_release(u.mm);
		assert_int_equal(blocks_live, 0);
		if (!err)
			break;
	}
	assert_true(nr_failures >= 4);
}

static void mappables_that_refuse(void **state)
{
	(void)state;
	struct bytes bytes = full_bytes();
	for (unsigned which = 0; which < NR_FILES; which++) {
		struct untouched u = untouched_make();
		files[which].refuse_in = 1;
		assert_int_equal(load(u.mm, bytes.at, bytes.len), -ENOMEM);
		assert_untouched(&u);
		memmap_mm_release(u.mm);
	}
}

static void references_that_fail(void **state)
{
	(void)state;
	struct bytes bytes = full_bytes(), none;
	references_err = -EIO;
	assert_int_equal(load_whatever(bytes.at, bytes.len), -EIO);
	references_err = 0;
	struct memmap_mm *mm = make_full();
	references_err = -EIO;
	assert_int_equal(save(mm, &none), -EIO);
	references_err = 0;
	memmap_mm_release(mm);
}

/* Another value for a key's first occurrence: what stands there must be of the same length. */
static int load_with(const struct bytes *bytes, const char *key, unsigned char head,
		     unsigned char value)
{
	struct bytes changed = *bytes;
	unsigned char *at = memmem(changed.at, changed.len, key, strlen(key));
	assert_non_null(at);
	at += strlen(key);
	*at = head;
	if (value)
		at[1] = value;
	seal(changed.at, changed.len);
	return load_whatever(changed.at, changed.len);
}

static void what_cannot_be(void **state)
{
	(void)state;
	struct bytes bytes = full_bytes();
	assert_int_equal(load_with(&bytes, "vmas", 0x86, 0), -EBADMSG);
	assert_int_equal(load_with(&bytes, "flags", 0x60, 0), -EBADMSG);
	/* An owner that was never given out; one for a shared mapping, too. */
	assert_int_equal(load_with(&bytes, "anon_vma", 0x17, 0), -EBADMSG);
	/* Inherited from nobody. */
	assert_int_equal(load_with(&bytes, "fork_child", 0xf5, 0), 0);
	/* Special, without a name. */
	assert_int_equal(load_with(&bytes, "whole", 0xf5, 0), -EBADMSG);
	/* Shared anonymous memory that is not there. */
	assert_int_equal(load_with(&bytes, "shared_anonymous", 0xf5, 0), -EBADMSG);
	/* Not of two truths. */
	assert_int_equal(load_with(&bytes, "huge_aligned", 0xf6, 0), -EBADMSG);
	assert_int_equal(load_with(&bytes, "def_flags", 0x19, 0xff), -EBADMSG);

	/* Shared with nobody: it would get private pages. What is not saved is not loaded either. */
	struct memmap_mm *mm = make_full();
	struct memmap_vma v = {.range = {0x10000, 0x11000}, .flags = MEMMAP_VM_SHARED};
	struct bytes none;
	assert_int_equal(memmap_mm_replace(mm, v.range, &v, 1), 0);
	assert_int_equal(save(mm, &none), -EINVAL);
	v.flags = MEMMAP_VM_MAYSHARE;
	assert_int_equal(memmap_mm_replace(mm, v.range, &v, 1), 0);
	assert_int_equal(save(mm, &none), -EINVAL);
	memmap_mm_release(mm);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(round_trip),
		TEST(names),
		TEST(empty),
		TEST(destination_must_be_empty),
		TEST(cut_at_every_byte),
		TEST(every_byte_changed),
		TEST(random_changes),
		TEST(without_memory),
		TEST(mappables_that_refuse),
		TEST(references_that_fail),
		TEST(what_cannot_be),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
