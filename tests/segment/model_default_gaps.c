/* SPDX-License-Identifier: Apache-2.0 */
/* The nodes that users get, tracking gaps; offsets that advance on a split. */
#define MODEL_TRACK_GAPS 1
#define MODEL_OFFSETS
#include "segment/model_body.h"
