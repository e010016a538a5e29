/* SPDX-License-Identifier: Apache-2.0 */
/* The nodes that users get. */
#include "segment/model_body.h"
