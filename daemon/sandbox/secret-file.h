/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Files of secrets. They can be where a sandbox's home is memory: the directories in which its
 * tool's profile has such a file. Init writes them, and removes them when the last exec that holds
 * one has ended (init-wire.h). */

#include <stdbool.h>
#include <stdint.h>

#include "error.h"
#include "params.h"

struct exec;
struct init_client;
struct sandbox;
struct string_list;

/* Those of S, absolute inside, each once and none in another. */
int secret_file_directories(const struct sandbox *s, struct string_list *ret);
/* S runs: what its tool seeds in them is put there, for the layer's own is hidden. */
void secret_file_seed(const struct sandbox *s);

/* Whether PATH, below the agent's home, can be one in S. Returns 0, or -1 with *RETERR, which names
 * the field "secrets". */
int secret_file_check(const struct sandbox *s, const char *path, struct error *reterr);

/* Gives exec number EXEC, which is asked for next, the file PATH; when init cannot write it, EXEC
 * does not start. Returns 0 or negative errno. */
int secret_file_put(struct init_client *c, uint64_t exec, const char *path,
		    const struct bytes *value);
/* E, which runs, gets another value in its file, or is to have none. Returns 0 or negative errno.
 */
int secret_file_renew(const struct exec *e, const char *path, const struct bytes *value);
int secret_file_drop(const struct exec *e, const char *path);
