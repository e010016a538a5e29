/* SPDX-License-Identifier: Apache-2.0 */
/* Which sanitizer this is compiled for: HAS_ASAN and HAS_TSAN are 0 or 1. */
#ifndef MEMMAP_BASE_SANITIZERS_H
#define MEMMAP_BASE_SANITIZERS_H

#ifdef __has_feature
#	define HAS_ASAN __has_feature(address_sanitizer)
#	define HAS_TSAN __has_feature(thread_sanitizer)
#else
#	ifdef __SANITIZE_ADDRESS__
#		define HAS_ASAN 1
#	else
#		define HAS_ASAN 0
#	endif
#	ifdef __SANITIZE_THREAD__
#		define HAS_TSAN 1
#	else
#		define HAS_TSAN 0
#	endif
#endif

#endif /* MEMMAP_BASE_SANITIZERS_H */
