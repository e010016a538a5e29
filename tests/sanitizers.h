/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which sanitizer the tests are built with, and whether valgrind runs them: for the few that their
 * own ways with signals make impossible, and which then say so.
 */
#ifndef MEMMAP_TESTS_SANITIZERS_H
#define MEMMAP_TESTS_SANITIZERS_H

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

#if defined(__has_include) && __has_include(<valgrind/valgrind.h>)
#	include <valgrind/valgrind.h>
#else
#	define RUNNING_ON_VALGRIND 0
#endif

#endif /* MEMMAP_TESTS_SANITIZERS_H */
