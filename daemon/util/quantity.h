/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Sizes, durations and numbers as people write them: on sandboxctl's command line and in
 * sandboxd.conf. */

#include <stdint.h>

#define QUANTITY_TEXT_SIZE 64

/* Each returns 0, -EINVAL (not one) or -ERANGE (beyond what 63 bits or the unit can hold); the
 * value is written only on success. */
int quantity_size(const char *text, int64_t *ret_bytes);  /* 512M; K, M, G, T are powers of 1024 */
int quantity_duration(const char *text, int64_t *ret_ms); /* 500ms, 30s, 15min, 1h30min, 2d */
int quantity_cpus(const char *text, int64_t *ret_milli);  /* 1.5 */
int quantity_count(const char *text, int64_t *ret);       /* decimal digits and nothing else */

/* What is not negative as the functions above read it: "1h30min", "8M". */
void quantity_duration_text(int64_t ms, char text[static QUANTITY_TEXT_SIZE]);
void quantity_size_text(int64_t bytes, char text[static QUANTITY_TEXT_SIZE]);
