/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Bytes as text: UTF-8 checks and base64 (docs/protocol.md, Values). */

#include <stdbool.h>
#include <stddef.h>

/* Length of the longest prefix that is whole, well-formed UTF-8 (no overlong forms, surrogates or
 * anything beyond U+10FFFF). */
size_t utf8_valid_length(const void *data, size_t size);

/* True when what is behind utf8_valid_length() can only be the start of a character that more bytes
 * may complete. */
bool utf8_is_partial(const void *rest, size_t size);

/* How many leading bytes of DATA end at a character boundary: what of a chunk may be sent when more
 * is to come. A tail that can never become a character counts as whole. */
size_t utf8_complete_prefix(const void *data, size_t size);

/* Characters, without a NUL, that base64 of SIZE bytes takes. */
size_t base64_encoded_size(size_t size);
/* Writes exactly base64_encoded_size(size) characters, with padding, no NUL. */
void base64_encode(const void *data, size_t size, char *out);

/* Most bytes that SIZE characters can stand for. */
size_t base64_decoded_size(size_t size);
/* Standard alphabet, padding required, nothing else accepted. Returns 0 and *RET_SIZE, or -EINVAL.
 */
int base64_decode(const char *text, size_t size, void *out, size_t *ret_size);
