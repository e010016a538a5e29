/* SPDX-License-Identifier: Apache-2.0 */
#define BENCH_NAME "memmap"
#include "memmap_body.h"
