/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bus errors, error texts and panics.
 *
 * A bus error is its errno shifted below every errno that Linux has (they end at 4095, the range
 * that the kernel keeps free for them).
 */
#include <memmap/error.h>

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MAX_ERRNO        4095
#define BUS_ERROR_OFFSET 0x10000

int memmap_bus_error(int err)
{
	if (memmap_is_bus_error(err))
		return err;
	if (err >= 0 || err < -MAX_ERRNO)
		memmap_panic("memmap_bus_error(%d): not a negative errno", err);
	return err - BUS_ERROR_OFFSET;
}

bool memmap_is_bus_error(int err)
{
	return err < -BUS_ERROR_OFFSET && err >= -BUS_ERROR_OFFSET - MAX_ERRNO;
}

int memmap_bus_error_unwrap(int err)
{
	return memmap_is_bus_error(err) ? err + BUS_ERROR_OFFSET : err;
}

/*
 * "BusError: " texts, made once: strerrordesc_np() has the plain ones as constants. No errno that
 * Linux has a text for lies beyond the last row, nor does its text beyond a row's end.
 */
#define LAST_ERRNO    EHWPOISON
#define NO_TEXT       "Unknown error"
#define BUS_ERROR(of) "BusError: " of
static char bus_error_texts[LAST_ERRNO + 1][72];

static const char *plain_text(int number)
{
	const char *text = strerrordesc_np(number);
	return text ? text : NO_TEXT;
}

static void make_bus_error_texts(void)
{
	for (int e = 1; e <= LAST_ERRNO; e++)
		(void)snprintf(bus_error_texts[e], sizeof(bus_error_texts[e]), BUS_ERROR("%s"),
			       plain_text(e));
}

const char *memmap_strerror(int err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	if (memmap_is_bus_error(err)) {
		int number = -memmap_bus_error_unwrap(err);
		if (number > LAST_ERRNO)
			return BUS_ERROR(NO_TEXT);
		(void)pthread_once(&once, make_bus_error_texts);
		return bus_error_texts[number];
	}
	return err <= 0 && err >= -MAX_ERRNO ? plain_text(-err) : NO_TEXT;
}

static _Atomic(memmap_panic_handler *) panic_handler;

memmap_panic_handler *memmap_set_panic_handler(memmap_panic_handler *handler)
{
	return atomic_exchange(&panic_handler, handler);
}

void memmap_panic(const char *format, ...)
{
	char message[1024];
	va_list args;
	va_start(args, format);
	(void)vsnprintf(message, sizeof(message), format, args);
	va_end(args);

	memmap_panic_handler *handler = atomic_load(&panic_handler);
	if (handler) {
		handler(message);
		(void)fprintf(stderr, "memmap: the panic handler returned from: %s\n", message);
	} else {
		(void)fprintf(stderr, "memmap: panic: %s\n", message);
	}
	abort();
}
