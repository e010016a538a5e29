/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which sanitizer the tests are built with, and whether valgrind runs them: for the few that their
 * own ways with signals make impossible, and which then say so.
 */
#ifndef MEMMAP_TESTS_SANITIZERS_H
#define MEMMAP_TESTS_SANITIZERS_H

#include "base/sanitizers.h"

#if defined(__has_include) && __has_include(<valgrind/valgrind.h>)
#	include <valgrind/valgrind.h>
#else
#	define RUNNING_ON_VALGRIND 0
#endif

#endif /* MEMMAP_TESTS_SANITIZERS_H */
