/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The answer to a refresh, on disk before anybody is told: the refresh token it replaces works no
 * more. Sealed, so nothing is there in plain; bound to the request, so that it answers no other. */

#include <stddef.h>
#include <stdint.h>

#include "broker-wire.h"

enum stored_outcome { STORED_NONE = 1 };

/* Makes sure that an answer of any size can be written. Returns 0 or negative errno. */
int stored_reserve(int fd);
/* Writes the answer BODY to REQUEST and waits for the disk. Returns 0 or negative errno. */
int stored_write(int fd, const uint8_t key[BROKER_KEY_BYTES], const uint8_t *request,
		 size_t request_size, const uint8_t *body, size_t size);
/* What an earlier broker wrote for the same REQUEST, in BODY (BROKER_ANSWER_MAX bytes). Returns 0,
 * STORED_NONE (nothing, something else, another key's), or negative errno. */
int stored_read(int fd, const uint8_t key[BROKER_KEY_BYTES], const uint8_t *request,
		size_t request_size, uint8_t *body, size_t *ret_size);
