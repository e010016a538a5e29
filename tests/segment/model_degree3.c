/* SPDX-License-Identifier: Apache-2.0 */
/* The smallest nodes, so the deepest trees; offsets that advance on a split. */
#define MODEL_DEGREE 3
#define MODEL_OFFSETS
#include "segment/model_body.h"
