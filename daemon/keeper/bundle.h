/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The OCI configuration of a sandbox, written by us and read by the runtime. */

#include <stdbool.h>
#include <stdint.h>

#include "ids.h"
#include "json.h"

#define BUNDLE_HOSTNAME "sandbox"

struct bundle {
	const struct ids *ids;
	const char *root; /* absolute path of the merged file system */
	const char *init; /* absolute path of the init binary, for the keeper */
	bool network_host;
	uint64_t shm_bytes; /* 0: the default */
};

/* Appends the whole config.json to J. */
void bundle_config(struct json *j, const struct bundle *b);
