/* SPDX-License-Identifier: Apache-2.0 */
/* Keys of 8 bits, where every key and both limits are met. */
#define MODEL_KEY        uint8_t
#define MODEL_DEGREE     3
#define MODEL_TRACK_GAPS 1
#include "segment/model_body.h"
