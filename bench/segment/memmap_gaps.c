/* SPDX-License-Identifier: Apache-2.0 */
#define BENCH_NAME     "memmap, gaps tracked"
#define BENCH_HAS_GAPS 1
#include "memmap_body.h"
