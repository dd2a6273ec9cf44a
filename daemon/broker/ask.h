/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* One HTTP POST of a JSON body, by libcurl. */

#include <stddef.h>
#include <stdint.h>

#include "broker-wire.h"

/* Whether a refresh token may be sent there: https, or http to this machine itself. */
int ask_url_is_good(const char *url);
/* Posts BODY to URL and waits for the answer, TIMEOUT_MS at most. ANSWER has room for
 * BROKER_ANSWER_MAX bytes. Fills *RET in whole; follows no redirect. */
void ask(const char *url, const uint8_t *body, size_t body_size, uint32_t timeout_ms,
	 uint8_t *answer, struct broker_reply *ret);
