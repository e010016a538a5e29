/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Bus errors, error texts and panics.
 *
 * A bus error is its errno shifted below every errno that Linux has (they end at 4095, the range
 * that the kernel keeps free for them).
 */
#include <memmap/error.h>

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

/* "BusError: " texts, made once: strerrordesc_np() has the plain ones as constants. */
static char bus_error_texts[MAX_ERRNO + 1][64];

static void make_bus_error_texts(void)
{
	for (int e = 1; e <= MAX_ERRNO; e++) {
		const char *plain = strerrordesc_np(e);
		(void)snprintf(bus_error_texts[e], sizeof(bus_error_texts[e]), "BusError: %s",
			       plain ? plain : "Unknown error");
	}
}

const char *memmap_strerror(int err)
{
	static pthread_once_t once = PTHREAD_ONCE_INIT;

	if (memmap_is_bus_error(err)) {
		pthread_once(&once, make_bus_error_texts);
		return bus_error_texts[-memmap_bus_error_unwrap(err)];
	}
	const char *plain = err <= 0 && err >= -MAX_ERRNO ? strerrordesc_np(-err) : NULL;
	return plain ? plain : "Unknown error";
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
	if (handler)
		handler(message);
	else
		(void)fprintf(stderr, "memmap: panic: %s\n", message);
	abort();
}
