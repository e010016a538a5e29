/* SPDX-License-Identifier: Apache-2.0 */
/* The smallest nodes, tracking gaps. */
#define MODEL_DEGREE     3
#define MODEL_TRACK_GAPS 1
#include "segment/model_body.h"
