/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls in words.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/syscall.h>

#include <cmocka.h>

#include "trace/calls.h"

static void reads(const char *expected, struct memmap_traced_call call)
{
	char text[512];
	assert_string_equal(call_format(&call, text, sizeof(text)), expected);
}

static void arguments(void **state)
{
	(void)state;
	reads("mmap(NULL, 0x2000, PROT_READ|PROT_WRITE, MAP_PRIVATE|MAP_ANONYMOUS, -1, 0)",
	      (struct memmap_traced_call){
		      .number = SYS_mmap,
		      .args = {0, 0x2000, 3, 0x22, (uint64_t)-1, 0},
	      });
	reads("mmap(0x7000, 0x10, PROT_NONE, MAP_SHARED_VALIDATE|MAP_FIXED|0x80000000, 3, 0x5000)",
	      (struct memmap_traced_call){
		      .number = SYS_mmap,
		      .args = {0x7000, 0x10, 0, 0x80000013, 3, 0x5000},
	      });
	reads("mprotect(0x7000, 0x1000, PROT_EXEC|PROT_GROWSDOWN|0x40)",
	      (struct memmap_traced_call){
		      .number = SYS_mprotect,
		      .args = {0x7000, 0x1000, 0x1000044},
	      });
	reads("mremap(0x7000, 0x1000, 0x2000, MREMAP_MAYMOVE)",
	      (struct memmap_traced_call){
		      .number = SYS_mremap,
		      .args = {0x7000, 0x1000, 0x2000, 1, 0x12345},
	      });
	reads("mremap(0x7000, 0x1000, 0x2000, MREMAP_MAYMOVE|MREMAP_FIXED, 0x9000)",
	      (struct memmap_traced_call){
		      .number = SYS_mremap,
		      .args = {0x7000, 0x1000, 0x2000, 3, 0x9000},
	      });
	reads("madvise(0x7000, 0, MADV_DONTNEED)",
	      (struct memmap_traced_call){.number = SYS_madvise, .args = {0x7000, 0, 4}});
	reads("madvise(0x7000, 0, 77)",
	      (struct memmap_traced_call){.number = SYS_madvise, .args = {0x7000, 0, 77}});
	reads("brk(NULL)", (struct memmap_traced_call){.number = SYS_brk});
	reads("munlockall()", (struct memmap_traced_call){.number = SYS_munlockall});
	reads("mseal(0x1000, 0x2000, 0)",
	      (struct memmap_traced_call){.number = 462, .args = {0x1000, 0x2000, 0}});
	reads("setrlimit(RLIMIT_AS, 0x10)",
	      (struct memmap_traced_call){.number = SYS_setrlimit, .args = {9, 0x10}});
	reads("process_madvise(3, 0x7000, 2, MADV_DONTFORK, 0)",
	      (struct memmap_traced_call){
		      .number = SYS_process_madvise,
		      .args = {3, 0x7000, 2, 10, 0},
	      });
	reads("no call yet", (struct memmap_traced_call){.number = UINT64_MAX});
	reads("system call 1(0x1, 0, 0, 0, 0, 0)",
	      (struct memmap_traced_call){.number = SYS_write, .args = {1}});
}

static void cut(void **state)
{
	(void)state;
	struct memmap_traced_call call = {.number = SYS_mmap, .args = {0, 0x2000, 3, 0x22, 0, 0}};
	char whole[512];
	call_format(&call, whole, sizeof(whole));
	for (size_t size = 1; size <= strlen(whole) + 1; size++) {
		char text[513];
		memset(text, 'x', sizeof(text));
		call_format(&call, text, size);
		assert_true(strlen(text) < size);
		assert_memory_equal(text, whole, strlen(text));
		assert_int_equal(text[size], 'x');
	}
}

static void results(void **state)
{
	(void)state;
	char text[64];
	assert_string_equal(call_format_result(CALL_MMAP, 0x7f00, text, sizeof(text)), "0x7f00");
	assert_string_equal(call_format_result(CALL_MMAP, -12, text, sizeof(text)), "-ENOMEM");
	assert_string_equal(call_format_result(CALL_MUNMAP, 0, text, sizeof(text)), "0");
	assert_string_equal(call_format_result(CALL_MUNMAP, -514, text, sizeof(text)), "-514");
}

static void names(void **state)
{
	(void)state;
	for (unsigned int i = 0; i < NR_CALLS; i++)
		assert_non_null(call_name(i));
	assert_int_equal(call_by_number(SYS_mremap), CALL_MREMAP);
	assert_string_equal(call_name(CALL_MREMAP), "mremap");
	assert_int_equal(call_by_number(SYS_write), CALL_OTHER);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(arguments),
		cmocka_unit_test(cut),
		cmocka_unit_test(results),
		cmocka_unit_test(names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
