/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What every public header needs: linkage for C and C++, visibility, and the few attributes used.
 */
#ifndef MEMMAP_API_H
#define MEMMAP_API_H

#ifdef __cplusplus
#	define MEMMAP_BEGIN_DECLS extern "C" {
#	define MEMMAP_END_DECLS   }
#else
#	define MEMMAP_BEGIN_DECLS
#	define MEMMAP_END_DECLS
#endif

/* A public function or object: visible outside the shared library. */
#define MEMMAP_API __attribute__((visibility("default")))

#define MEMMAP_LIKELY(x)   __builtin_expect(!!(x), 1)
#define MEMMAP_UNLIKELY(x) __builtin_expect(!!(x), 0)

/*
 * How much is checked at run time, set when the code is compiled:
 *   0  nothing but documented panics of checked functions
 *   1  cheap assertions (constant time)
 *   2  whole structures are verified now and then
 *   3  whole structures are verified after every change
 */
#ifndef MEMMAP_CHECK
#	define MEMMAP_CHECK 1
#endif

#endif /* MEMMAP_API_H */
