/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* SHA-256 (FIPS 180-4), for digests of templates and requests. Not for secrets: not constant time
 * in the message's length. */

#include <stddef.h>
#include <stdint.h>

#define SHA256_TEXT_SIZE 65 /* hexadecimal and NUL */

struct sha256 {
	uint32_t state[8];
	uint64_t size;
	uint8_t block[64];
};

void sha256_init(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *data, size_t size);
/* TEXT with its NUL, so that neighbours cannot run into each other; NULL counts as "". */
void sha256_add_text(struct sha256 *s, const char *text);
void sha256_end_text(struct sha256 *s, char ret[static SHA256_TEXT_SIZE]);
