/* SPDX-License-Identifier: Apache-2.0 */
/* A node whose capacity is no multiple of the search's group. */
#define MODEL_DEGREE 5
#include "segment/model_body.h"
