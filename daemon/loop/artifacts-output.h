/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The script that looks at a workspace, and what it prints (artifacts.sh). */

#include <stdbool.h>
#include <stddef.h>

struct artifacts_result;

#define ARTIFACTS_NAMES_BYTES_MAX (1u << 20) /* of touched, with their NULs */
#define ARTIFACTS_GITS_BYTES_MAX (64u << 10) /* of gits */
/* What the script prints besides names and patch, generously. */
#define ARTIFACTS_RECORDS_BYTES_MAX 8192

extern const char artifacts_script[];

/* Reads SIZE bytes of the script's output into the zeroed *R. Returns 0; -EBADMSG: it ends too
 * early, or was not written by the script (what was read of it until then stays in *R);
 * -ENOMEM. */
int artifacts_parse(struct artifacts_result *r, const void *output, size_t size);
/* What artifacts_parse() makes R of again: a block to be freed by the caller. Returns 0 or
 * -ENOMEM. */
int artifacts_pack(const struct artifacts_result *r, char **ret, size_t *ret_size);
/* "KEYWORD: sentence"; replaces what was there. Returns 0 or -ENOMEM. */
int artifacts_say_empty(struct artifacts_result *r, const char *keyword, const char *sentence);
void artifacts_result_deinit(struct artifacts_result *r);
