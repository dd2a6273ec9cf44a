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
struct secret_value;
struct string_list;

/* Those of S, absolute inside, each once and none in another. */
int secret_file_directories(const struct sandbox *s, struct string_list *ret);
/* S runs: what its tool seeds in them is put there, for the layer's own is hidden. */
void secret_file_seed(const struct sandbox *s);

/* Whether PATH, below the agent's home, can be one in S. Returns 0, or -1 with *RETERR, which names
 * the field "secrets". */
int secret_file_check(const struct sandbox *s, const char *path, struct error *reterr);

/* Gives E, which init is asked for next, the secrets that are files; when init cannot write one, E
 * does not start. Returns 0 or negative errno: it has none of them. */
int secret_files_lend(const struct exec *e);
/* E is not asked for after all. */
void secret_files_withdraw(const struct exec *e);
/* E's lease LEASE of SECRET has another value, or (NULL) is over: so is the file, if it is one. Its
 * spool covers the new value before the file has it. After a restart of the daemon only those that
 * the tool's profile names are known. */
void secret_file_update(struct exec *e, const char *lease, const char *secret,
			struct secret_value *v);
