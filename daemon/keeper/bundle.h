/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The OCI configuration of a sandbox, written by us and read by the runtime. */

#include <stdbool.h>
#include <stdint.h>

#include "claim.h"
#include "ids.h"
#include "json.h"

#define BUNDLE_HOSTNAME "sandbox"

struct bundle {
	const struct ids *ids;
	const char *root; /* absolute path of the merged file system */
	const char *init; /* absolute path of the init binary, for the keeper */
	const char
		*empty; /* a directory to cover others with; NULL: the runtime masks them itself */
	/* gVisor: a directory with init, seccomp and socket, shown at /run/sandboxd; else NULL */
	const char *gvisor_run;
	const struct claim_mounts *mounts; /* gVisor: lie in mounts_path by number; may be NULL */
	const char *mounts_path;
	bool network_host;
	bool own_root;      /* nothing of the host's is bound: it has a /usr */
	uint64_t shm_bytes; /* 0: the default */
};

/* Appends the whole config.json to J. */
void bundle_config(struct json *j, const struct bundle *b);
/* Makes the file PATH, relative to DIR, that holds it. Returns 0 or negative errno. */
int bundle_write(int dir, const char *path, const struct bundle *b);
