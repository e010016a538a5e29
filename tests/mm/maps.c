/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The text of /proc/PID/maps: literal texts, and this process's own maps, line by line.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <sys/sysmacros.h>
#include <unistd.h>

#include "fixture.h"

static void assert_maps(const struct memmap_mm *mm, const char *expected)
{
	struct memmap_text text = {0};
	assert_int_equal(memmap_mm_print_maps(mm, &text), 0);
	assert_string_equal(text.data, expected);
	assert_int_equal(text.length, strlen(expected));
	memmap_text_release(&text);
	assert_null(text.data);
}

static void test_empty(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm();
	assert_maps(mm, "");
	struct memmap_mm_layout layout = memmap_mm_get_layout(mm);
	layout.vsyscall = true;
	assert_int_equal(memmap_mm_set_layout(mm, &layout), 0);
	assert_maps(mm, "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                 "
			" [vsyscall]\n");
	memmap_mm_release(mm);
}

static void test_fields(void **state)
{
	(void)state;
	struct test_file a, b, c;
	test_file_init(&a, "/usr/lib/x86_64-linux-gnu/libc.so.6");
	a.ino = 332835;
	test_file_init(&b, "/a\nb\\c d\n");
	b.device = makedev(0x103, 0x12345);
	b.ino = UINT64_MAX;
	test_file_init(&c, "");
	struct memmap_mm *mm = small_mm();
	map_file(mm, 0x10000, K, RX, MAP_PRIVATE | MAP_FIXED, &a, 0x26000);
	map_file(mm, 0x7fffffffd000, K, PROT_WRITE, MAP_SHARED | MAP_FIXED, &b, 0x7fffffffffffe000);
	map_anon(mm, 0x7fffffffe000, K, PROT_NONE, FIXED);
	map_file(mm, 0x30000000, K, PROT_NONE, MAP_SHARED | MAP_FIXED, &c, 0x123456789000);
	assert_maps(mm,
		    "00010000-00011000 r-xp 00026000 fe:00 332835                             "
		    "/usr/lib/x86_64-linux-gnu/libc.so.6\n"
		    "30000000-30001000 ---s 123456789000 fe:00 1234                           \n"
		    "7fffffffd000-7fffffffe000 -w-s 7fffffffffffe000 103:12345 "
		    "18446744073709551615  /a\\012b\\c d\\012\n"
		    "7fffffffe000-7ffffffff000 ---p 00000000 00:00 0 \n");
	memmap_mm_release(mm);
	test_file_destroy(&a);
	test_file_destroy(&b);
	test_file_destroy(&c);
}

static void assert_maps_range(const struct memmap_mm *mm, uint64_t start, uint64_t end,
			      const char *expected)
{
	struct memmap_text text = {0};
	const struct memmap_addr_range range = {start, end};
	assert_int_equal(memmap_mm_print_maps_range(mm, range, &text), 0);
	assert_string_equal(text.data, expected);
	memmap_text_release(&text);
}

static void test_range(void **state)
{
	(void)state;
	static const char first[] = "00010000-00014000 rw-p 00000000 00:00 0 \n";
	static const char second[] = "00020000-00021000 rw-p 00000000 00:00 0 \n";
	struct memmap_mm *mm = small_mm();
	map_anon(mm, 0x10000, 4 * K, RW, FIXED);
	map_anon(mm, 0x20000, K, RW, FIXED);
	assert_maps_range(mm, 0, 0x10000, "");
	assert_maps_range(mm, 0, 0x10001, first);
	assert_maps_range(mm, 0x13fff, 0x20000, first);
	assert_maps_range(mm, 0x14000, 0x20000, "");
	assert_maps_range(mm, 0x14000, 0x20001, second);
	struct memmap_mm_layout layout = memmap_mm_get_layout(mm);
	layout.vsyscall = true;
	assert_int_equal(memmap_mm_set_layout(mm, &layout), 0);
	assert_maps_range(mm, 0x20000, 0xffffffffff600000, second);
	assert_maps_range(mm, 0xffffffffff600fff, UINT64_MAX,
			  "ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0                 "
			  " [vsyscall]\n");
	memmap_mm_release(mm);
}

static void test_heap_and_stack(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm();
	struct memmap_mm_layout layout = memmap_mm_get_layout(mm);
	layout.start_stack = 0x50001000;
	assert_int_equal(memmap_mm_set_layout(mm, &layout), 0);
	assert_int_equal(memmap_mm_sys_brk(mm, 0x40001800), 0x40001800);
	/* A boundary that the stack's start touches is the stack's; one at the heap's is not. */
	map_anon(mm, 0x3ffff000, K, PROT_READ, FIXED);
	map_anon(mm, 0x40002000, K, PROT_READ, FIXED);
	map_anon(mm, 0x50000000, K, PROT_READ, FIXED);
	map_anon(mm, 0x50001000, K, RW, FIXED);
	map_anon(mm, 0x50002000, K, PROT_READ, FIXED);
	const char *maps =
		"3ffff000-40000000 r--p 00000000 00:00 0 \n"
		"40000000-40002000 rw-p 00000000 00:00 0                                  [heap]\n"
		"40002000-40003000 r--p 00000000 00:00 0 \n"
		"50000000-50001000 r--p 00000000 00:00 0                                  [stack]\n"
		"50001000-50002000 rw-p 00000000 00:00 0                                  [stack]\n"
		"50002000-50003000 r--p 00000000 00:00 0 \n";
	assert_maps(mm, maps);
	/* A page-aligned break ends the heap too. */
	assert_int_equal(memmap_mm_sys_munmap(mm, 0x40002000, K), 0);
	assert_int_equal(memmap_mm_sys_brk(mm, 0x40002000), 0x40002000);
	map_anon(mm, 0x40002000, K, PROT_READ, FIXED);
	assert_maps(mm, maps);
	memmap_mm_release(mm);
}

/* Names of any length, whatever the text can hold already. */
static void test_long_names(void **state)
{
	(void)state;
	struct test_file file;
	char name[9000];
	for (size_t length = 1; length < sizeof(name); length = length * 3 / 2 + 1) {
		memset(name, length % 2 ? '\n' : 'n', length);
		name[length] = '\0';
		test_file_init(&file, name);
		struct memmap_mm *mm = small_mm();
		for (uint64_t i = 0; i < 3; i++)
			map_file(mm, 0x30000000 + 2 * i * K, K, RW, MAP_SHARED | MAP_FIXED, &file,
				 0);
		struct memmap_text text = {0};
		assert_int_equal(memmap_mm_print_maps(mm, &text), 0);
		size_t each = 73 + 1 + length * (length % 2 ? 4 : 1);
		assert_int_equal(text.length, 3 * each);
		for (size_t i = 0; i < 3; i++) {
			assert_int_equal(text.data[(i + 1) * each - 1], '\n');
			assert_memory_equal(text.data + i * each + 72, length % 2 ? " \\012" : " n",
					    2);
		}
		assert_int_equal(strlen(text.data), text.length);
		memmap_text_release(&text);
		memmap_mm_release(mm);
		test_file_destroy(&file);
	}
}

static void test_special_names(void **state)
{
	(void)state;
	struct memmap_mm *mm = small_mm();
	const struct memmap_vma vdso = {
		.range = {0x7fff00000000, 0x7fff00002000},
		.flags = MEMMAP_VM_READ | MEMMAP_VM_EXEC | MEMMAP_VM_MAYREAD | MEMMAP_VM_MAYEXEC,
		.name = "[vdso]",
	};
	assert_int_equal(memmap_mm_replace(mm, vdso.range, &vdso, 1), 0);
	assert_maps(mm, "7fff00000000-7fff00002000 r-xp 00000000 00:00 0                          "
			"[vdso]\n");
	memmap_mm_release(mm);
}

/*
 * ---- The kernel's own text ----
 */

/* One line of the kernel's maps as a VMA; the name is made static by `files`. */
struct read_line {
	struct memmap_vma vma;
	struct test_file file;
	char name[512];
};

static bool read_line(const char *line, struct read_line *out)
{
	char perms[5];
	uint64_t offset, ino;
	unsigned maj, min;
	int name_at = 0;
	*out = (struct read_line){0};
	if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %x:%x %" SCNu64 " %n",
		   &out->vma.range.start, &out->vma.range.end, perms, &offset, &maj, &min, &ino,
		   &name_at) < 7)
		return false;
	snprintf(out->name, sizeof(out->name), "%s", line + name_at);
	out->vma.flags =
		(perms[0] == 'r' ? MEMMAP_VM_READ : 0) | (perms[1] == 'w' ? MEMMAP_VM_WRITE : 0) |
		(perms[2] == 'x' ? MEMMAP_VM_EXEC : 0) | (perms[3] == 's' ? MEMMAP_VM_MAYSHARE : 0);
	if (maj || min || ino) {
		test_file_init(&out->file, out->name);
		out->file.device = makedev(maj, min);
		out->file.ino = ino;
		out->vma.identity = &out->file.identity;
		out->vma.mappable = &out->file.mappable;
		out->vma.offset = offset;
	} else if (out->name[0] != '\0') {
		out->vma.name = out->name;
	}
	return true;
}

static void test_own_maps(void **state)
{
	(void)state;
	static struct read_line lines[256];
	struct memmap_mm *mm = small_mm();
	FILE *in = fopen("/proc/self/maps", "r");
	assert_non_null(in);
	char line[1024];
	char *all = NULL;
	size_t size = 0, nr = 0;
	FILE *out = open_memstream(&all, &size);
	assert_non_null(out);
	while (fgets(line, sizeof(line), in)) {
		assert_true(nr < 256);
		fputs(line, out);
		line[strcspn(line, "\n")] = '\0';
		assert_true(read_line(line, &lines[nr]));
		struct read_line *l = &lines[nr++];
		if (strcmp(l->name, "[vsyscall]") == 0) {
			struct memmap_mm_layout layout = memmap_mm_get_layout(mm);
			layout.vsyscall = true;
			assert_int_equal(memmap_mm_set_layout(mm, &layout), 0);
			continue;
		}
		assert_int_equal(memmap_mm_replace(mm, l->vma.range, &l->vma, 1), 0);
	}
	fclose(in);
	fclose(out);
	assert_in_range(nr, 5, 255);
	assert_maps(mm, all);
	free(all);
	memmap_mm_release(mm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_empty),      cmocka_unit_test(test_fields),
		cmocka_unit_test(test_range),      cmocka_unit_test(test_heap_and_stack),
		cmocka_unit_test(test_long_names), cmocka_unit_test(test_special_names),
		cmocka_unit_test(test_own_maps),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
