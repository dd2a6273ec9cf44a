/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* A daemon has come back: what the keeper tells it of sandboxes that an earlier one made. */

#include "keeper.h"

/* Answers a KEEPER_LIST. */
void adopt_list(struct keeper *k, const struct wire_header *h);
/* Answers M, a KEEPER_ADOPT of sandbox ID. */
void adopt_sandbox(struct keeper *k, const char *id, struct wire_message *m);
