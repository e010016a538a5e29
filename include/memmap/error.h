/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Errors and panics.
 *
 * A function that can fail returns a negative errno. A *bus error* is such an error marked as one
 * that must become SIGBUS when it makes a page fault fail; it is still negative, and equal to no
 * plain errno. A broken contract is no error: it panics.
 */
#ifndef MEMMAP_ERROR_H
#define MEMMAP_ERROR_H

#include <stdbool.h>

#include <memmap/api.h>

MEMMAP_BEGIN_DECLS

/**
 * Mark an error as one that is delivered as SIGBUS.
 *
 * A bus error given again is returned as it is.
 *
 * Requires:    `err` is a negative errno or a bus error; otherwise panics
 * Returns:     a negative value that memmap_is_bus_error() knows
 */
MEMMAP_API int memmap_bus_error(int err);

/** Is `err` a bus error? Any int may be asked about. */
MEMMAP_API bool memmap_is_bus_error(int err);

/** The errno that memmap_bus_error() was given; any other value comes back as it is. */
MEMMAP_API int memmap_bus_error_unwrap(int err);

/**
 * Describe an error in words.
 *
 * Returns:     a constant string for 0, every negative errno ("Input/output error") and every bus
 *              error ("BusError: Input/output error"); for other values "Unknown error". Never
 *              NULL, never to be freed, safe from any thread
 */
MEMMAP_API const char *memmap_strerror(int err);

/**
 * Called with the words of a violated contract. Must not return (it may longjmp, throw or exit);
 * when it does return, the program is aborted.
 */
typedef void memmap_panic_handler(const char *message);

/**
 * Install the program's own panic handler.
 *
 * The handler is the one thing in memmap that is global. NULL restores the default, which prints
 * the message to stderr.
 *
 * Locking:     any thread, any time
 * Returns:     the handler that was installed before, NULL for the default
 */
MEMMAP_API memmap_panic_handler *memmap_set_panic_handler(memmap_panic_handler *handler);

/**
 * Report a violated contract and abort.
 *
 * Allocates nothing; a message longer than 1 KiB is cut.
 */
MEMMAP_API void memmap_panic(const char *format, ...)
	__attribute__((format(printf, 1, 2), noreturn, cold));

MEMMAP_END_DECLS

/* Graded assertions: see MEMMAP_CHECK. The condition is not evaluated below its grade. */
#define MEMMAP_ASSERT_AT_GRADE(grade, condition)                                                   \
	do {                                                                                       \
		if ((grade) <= MEMMAP_CHECK && MEMMAP_UNLIKELY(!(condition)))                      \
			memmap_panic("%s:%d: %s: assertion failed: %s", __FILE__, __LINE__,        \
				     __func__, #condition);                                        \
	} while (0)

#define memmap_assert(condition)           MEMMAP_ASSERT_AT_GRADE(1, condition)
#define memmap_assert_internal(condition)  MEMMAP_ASSERT_AT_GRADE(2, condition)
#define memmap_assert_expensive(condition) MEMMAP_ASSERT_AT_GRADE(3, condition)

#endif /* MEMMAP_ERROR_H */
