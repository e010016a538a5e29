/* SPDX-License-Identifier: Apache-2.0 */
/* An even degree that is a power of two, tracking gaps; offsets. */
#define MODEL_DEGREE     4
#define MODEL_TRACK_GAPS 1
#define MODEL_OFFSETS
#include "segment/model_body.h"
