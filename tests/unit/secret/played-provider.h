/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The one provider there is: it keeps a login of OWNER's, and does with a new one as it is told. */

#include <stdbool.h>
#include <stdint.h>

#include "secret/provider.h"

#define OWNER 1000
#define NAME "codex_auth_json"

extern struct provider fake;
extern struct secret_value *kept; /* NULL: there is none */
extern bool lease_later;          /* it answers from the event loop */
extern bool replace_fails;        /* its disk is full */
extern bool replace_waits;        /* until replacing_end() */
/* What it is asked to keep instead; no callback: nothing. */
extern struct replacing {
	struct secret_value *value;
	provider_replaced *done;
	void *userdata;
} replacing;

void fake_begin(void);
void fake_end(void);
/* It has this text. */
void keep(const char *text);
/* It has login N, good for LIFE_MS from FROM_MS on. */
void keep_login(unsigned n, int64_t from_ms, int64_t life_ms);
/* The new value is on its disk, or (replace_fails) is not. */
void replacing_end(void);
