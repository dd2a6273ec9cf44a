/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Files that execs were lent: secrets. Each is gone when the last exec that holds it has ended,
 * whether a daemon is there or not. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "init-wire.h"

#define LENT_MAX 512 /* files times execs */

struct lent_hold {
	uint64_t exec;
	uint32_t uid;
	uint32_t gid;
	char path[INIT_FILE_PATH_MAX];
};

struct lent {
	size_t count;
	struct lent_hold holds[LENT_MAX];
	uint64_t failed; /* the exec whose file could not be put last; 0: none */
	int error;       /* and why */
};

/* Is M plausible with N_FDS descriptors? */
bool lent_request_ok(const struct init_put_file *m, size_t n_fds);
/* Puts the file, M->size bytes at DATA. RUNS: its exec does. Returns 0 or negative errno. */
int lent_put(struct lent *l, const struct init_put_file *m, const char *data, bool runs);
/* EXEC does not need the file at PATH any more. -ENOENT: it did not have it. */
int lent_drop(struct lent *l, uint64_t exec, const char *path);
/* 0, or negative errno: EXEC, which is to start now, has not got what it should have. */
int lent_check(const struct lent *l, uint64_t exec);
/* EXEC has ended, or will not start. */
void lent_end(struct lent *l, uint64_t exec);
/* Calls lent_end() for every one that RUNS says does not. */
void lent_end_strays(struct lent *l, bool (*runs)(uint64_t exec, void *userdata), void *userdata);
