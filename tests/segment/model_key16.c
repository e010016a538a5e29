/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of 16 bits with limits of their own; offsets. */
#define MODEL_KEY     uint16_t
#define MODEL_MIN_KEY 100
#define MODEL_MAX_KEY 60000
#define MODEL_DEGREE  4
#define MODEL_OFFSETS
#include "segment/model_body.h"
