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
struct exec_secrets;
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

/* Whether none of B's, which may be NULL, would take the place of another secret that a command of
 * S still has: it could not be told whose the file is when one of them ends. Returns 0, or -1 with
 * *RETERR. */
int secret_files_check_free(const struct sandbox *s, const struct exec_secrets *b,
			    struct error *reterr);
/* Gives E, which init is asked for next, the secrets that are files; when init cannot write one, E
 * does not start. Returns 0 or negative errno: it has none of them. */
int secret_files_lend(const struct exec *e);
/* E is not asked for after all. */
void secret_files_withdraw(const struct exec *e);
/* LEASE, which E has as the file PATH, below the agent's home, has another value, or (NULL) is
 * over: so is the file. The spools of its sandbox cover the new value before the file has it. While
 * E is being adopted it waits for secret_files_catch_up(). */
void secret_file_update(struct exec *e, const char *lease, const char *path,
			struct secret_value *v);
/* E is adopted. */
void secret_files_catch_up(struct exec *e);
/* E has ended: nothing waits any more. */
void secret_files_forget(struct exec *e);
