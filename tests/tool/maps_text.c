/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Taking the kernel's texts apart: lines as they come, and texts that no kernel prints.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include <memmap/mm.h>
#include <platform/ptrace/maps_text.h>

static bool next(const char **text, struct memmap_maps_line *line)
{
	return memmap_maps_text_next(text, *text + strlen(*text), line);
}

static void a_file(void **state)
{
	(void)state;
	const char text[] = "55d2c0a0b000-55d2c0a2d000 r-xp 0000f000 fe:1f 247134    "
			    "                 /usr/bin/a name (deleted)\nrest";
	const char *at = text;
	struct memmap_maps_line line;
	assert_true(next(&at, &line));
	assert_int_equal(line.range.start, 0x55d2c0a0b000);
	assert_int_equal(line.range.end, 0x55d2c0a2d000);
	assert_memory_equal(line.perms, "r-xp", 4);
	assert_int_equal(line.offset, 0xf000);
	assert_int_equal(line.major, 0xfe);
	assert_int_equal(line.minor, 0x1f);
	assert_int_equal(line.inode, 247134);
	assert_int_equal(line.name_length, strlen("/usr/bin/a name (deleted)"));
	assert_memory_equal(line.name, "/usr/bin/a name (deleted)", line.name_length);
	assert_string_equal(at, "rest");
	assert_ptr_equal(line.text, text);
	assert_int_equal(line.text_length, strlen(text) - strlen("\nrest"));
	/* What is no line is left where it is. */
	assert_false(next(&at, &line));
	assert_string_equal(at, "rest");
}

static void no_name(void **state)
{
	(void)state;
	const char *at =
		"7f0000000000-7f0000001000 ---p 00000000 00:00 0 \n"
		"ffffffffff600000-ffffffffff601000 --xp 00000000 00:00 0         [vsyscall]\n";
	struct memmap_maps_line line;
	assert_true(next(&at, &line));
	assert_int_equal(line.name_length, 0);
	assert_true(next(&at, &line));
	assert_int_equal(line.range.end, 0xffffffffff601000);
	assert_memory_equal(line.name, "[vsyscall]", 10);
	assert_string_equal(at, "");
	assert_false(next(&at, &line));
}

static void refused(void **state)
{
	(void)state;
	static const char *const texts[] = {
		"",
		"\n",
		"7f0000000000-7f0000001000 ---p 00000000 00:00 0 ", /* no end of line */
		"7f0000000000 7f0000001000 ---p 00000000 00:00 0 \n",
		"7f0000001000-7f0000000000 ---p 00000000 00:00 0 \n",            /* backwards */
		"7f0000000000-7f0000000000 ---p 00000000 00:00 0 \n",            /* empty */
		"17f0000000000000-7f00000000010000000 ---p 00000000 00:00 0 \n", /* overflow */
		"7f0000000000-7f0000001000 ---p\n",
		"7f0000000000-7f0000001000 --\n",
		"7f0000000000-7f0000001000 ---p 00000000 00-00 0 \n",
		"7f0000000000-7f0000001000 ---p 00000000 00:00 x \n",
		"7f0000000000-7f0000001000 ---p 00000000 00:00 99999999999999999999 \n",
		"Size:                136 kB\n",
	};
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		const char *at = texts[i];
		struct memmap_maps_line line;
		assert_false(next(&at, &line));
		assert_ptr_equal(at, texts[i]);
	}
}

static bool continues(const char *text)
{
	struct memmap_maps_line first, second;
	assert_true(next(&text, &first));
	assert_true(next(&text, &second));
	return memmap_maps_line_continues(&first, &second);
}

static void look_alikes(void **state)
{
	(void)state;
	assert_true(
		continues("1000-2000 r--p 00000000 00:00 0 \n2000-3000 r--p 00000000 00:00 0 \n"));
	assert_false(
		continues("1000-2000 r--p 00000000 00:00 0 \n3000-4000 r--p 00000000 00:00 0 \n"));
	assert_false(
		continues("1000-2000 r--p 00000000 00:00 0 \n2000-3000 rw-p 00000000 00:00 0 \n"));
	assert_false(continues("1000-2000 r--p 00000000 00:00 0 \n"
			       "2000-3000 r--p 00000000 00:00 0    [heap]\n"));
	assert_true(continues("1000-3000 r--p 00001000 00:01 5    /a\n"
			      "3000-4000 r--p 00003000 00:01 5    /a\n"));
	assert_false(continues("1000-3000 r--p 00001000 00:01 5    /a\n"
			       "3000-4000 r--p 00002000 00:01 5    /a\n"));
	assert_false(continues("1000-3000 r--p 00001000 00:01 5    /a\n"
			       "3000-4000 r--p 00003000 00:01 6    /a\n"));
	assert_false(continues("1000-3000 r--p 00001000 00:01 5    /a\n"
			       "3000-4000 r--p 00003000 00:02 5    /a\n"));
}

static void smaps(void **state)
{
	(void)state;
	const char text[] = "1000-3000 rw-p 00000000 00:00 0    [stack]\n"
			    "Size:                  8 kB\n"
			    "VmFlags: rd wr mr mw me gd ac ?? zz sd \n"
			    "3000-4000 r--s 00000000 00:01 7    /VmFlags: rd wr\n"
			    "VmFlags: rd mr me ms sl\n"
			    "5000-6000 r--s 00000000 00:01 7    /no flags\n";
	const char *at = text, *end = text + strlen(text);
	struct memmap_addr_range range;
	uint64_t flags;
	assert_true(memmap_smaps_text_next(&at, end, &range, &flags));
	assert_int_equal(range.start, 0x1000);
	assert_int_equal(range.end, 0x3000);
	assert_int_equal(flags, MEMMAP_VM_READ | MEMMAP_VM_WRITE | MEMMAP_VM_MAYREAD |
					MEMMAP_VM_MAYWRITE | MEMMAP_VM_MAYEXEC |
					MEMMAP_VM_GROWSDOWN | MEMMAP_VM_ACCOUNT);
	assert_true(memmap_smaps_text_next(&at, end, &range, &flags));
	assert_int_equal(range.start, 0x3000);
	assert_int_equal(flags, MEMMAP_VM_READ | MEMMAP_VM_MAYREAD | MEMMAP_VM_MAYEXEC |
					MEMMAP_VM_MAYSHARE | MEMMAP_VM_SEALED);
	assert_false(memmap_smaps_text_next(&at, end, &range, &flags));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file),      cmocka_unit_test(no_name), cmocka_unit_test(refused),
		cmocka_unit_test(look_alikes), cmocka_unit_test(smaps),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
