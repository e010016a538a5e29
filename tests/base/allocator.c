/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The default allocator, and that a program's own is given exactly what it was asked for.
 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <memmap/allocator.h>

/* What a sanitizer would take for a mistake is the point of a test here. */
const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
	return "allocator_may_return_null=1";
}

const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
	return "allocator_may_return_null=1";
}

static void test_default_gives_aligned_memory(void **state)
{
	(void)state;
	for (size_t alignment = 1; alignment <= 4096; alignment *= 2) {
		for (size_t size = 1; size < 5000; size = size * 3 + 1) {
			void *memory = memmap_allocate(NULL, size, alignment);
			assert_non_null(memory);
			assert_int_equal((uintptr_t)memory % alignment, 0);
			memset(memory, 0xa5, size);
			memmap_deallocate(NULL, memory, size);
		}
	}
}

static void test_default_out_of_memory(void **state)
{
	(void)state;
	/* Volatile: or the compiler warns of what is the point here. */
	volatile size_t too_much = SIZE_MAX / 2 - 4096;
	assert_null(memmap_allocate(NULL, too_much, 1));
	assert_null(memmap_allocate(NULL, too_much, 4096));
}

static void test_null_is_ignored(void **state)
{
	(void)state;
	memmap_deallocate(NULL, NULL, 0);
	memmap_deallocate(NULL, NULL, 100);
	memmap_free(NULL);
}

static void test_free_of_default_memory(void **state)
{
	(void)state;
	char *text = memmap_allocate(NULL, 6, 1);
	assert_non_null(text);
	memcpy(text, "words", 6);
	memmap_free(text);
}

struct calls {
	size_t nr_allocate, nr_deallocate;
	size_t size, alignment;
	void *memory;
	bool refuse;
	_Alignas(64) char storage[64];
};

static void *noting_allocate(void *context, size_t size, size_t alignment)
{
	struct calls *calls = context;
	calls->nr_allocate++;
	calls->size = size;
	calls->alignment = alignment;
	return calls->refuse ? NULL : calls->storage;
}

static void noting_deallocate(void *context, void *memory, size_t size)
{
	struct calls *calls = context;
	calls->nr_deallocate++;
	calls->memory = memory;
	calls->size = size;
}

static void test_own_allocator(void **state)
{
	(void)state;
	struct calls calls = {0};
	const struct memmap_allocator allocator = {noting_allocate, noting_deallocate, &calls};

	void *memory = memmap_allocate(&allocator, 48, 32);
	assert_ptr_equal(memory, calls.storage);
	assert_int_equal(calls.nr_allocate, 1);
	assert_int_equal(calls.size, 48);
	assert_int_equal(calls.alignment, 32);

	memmap_deallocate(&allocator, memory, 47);
	assert_int_equal(calls.nr_deallocate, 1);
	assert_ptr_equal(calls.memory, calls.storage);
	assert_int_equal(calls.size, 47);

	memmap_deallocate(&allocator, NULL, 47);
	assert_int_equal(calls.nr_deallocate, 1);

	calls.refuse = true;
	assert_null(memmap_allocate(&allocator, 1, 1));
	assert_int_equal(calls.nr_allocate, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_default_gives_aligned_memory),
		cmocka_unit_test(test_default_out_of_memory),
		cmocka_unit_test(test_null_is_ignored),
		cmocka_unit_test(test_free_of_default_memory),
		cmocka_unit_test(test_own_allocator),
	};
	return cmocka_run_group_tests_name("base/allocator", tests, NULL, NULL);
}
