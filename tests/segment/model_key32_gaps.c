/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of 32 bits, nodes chosen for them, tracking gaps. */
#define MODEL_KEY        uint32_t
#define MODEL_TRACK_GAPS 1
#include "segment/model_body.h"
