/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* All execs of the daemon: by key, by sandbox, in order of their start; and the rows of those that
 * can be found again. For the exec-*.c files only. */

#include <stddef.h>
#include <sys/types.h>

#include "error.h"

struct exec;
struct exec_table;
struct wire_message;

/* Enters E, which counts as running; the table keeps a reference until it is dropped. Its key is
 * made from ID (NULL: a new one). Returns 0, or -1 with *RETERR. */
int exec_table_add(struct exec_table *t, struct exec *e, const char *id, struct error *reterr);
/* E ended: it is kept for a while. */
void exec_table_ended(struct exec_table *t, struct exec *e);
/* What its row says of E has changed: it is written soon, if it has one at all. */
void exec_table_save(struct exec_table *t, struct exec *e);
/* The same at once, if it has one; what fails is logged. */
void exec_table_save_now(struct exec_table *t, struct exec *e);
/* E, which never began, is gone with its row and its files. */
void exec_table_erase(struct exec_table *t, struct exec *e);
/* Before init is asked: one that can be found again by its id alone gets its row. Returns 0, or -1
 * with *RETERR: then it must not be begun. */
int exec_table_commit(struct exec_table *t, struct exec *e, struct error *reterr);
/* E, which never began, is as if it had never been asked for; the caller has a reference. */
void exec_table_withdraw(struct exec_table *t, struct exec *e);
/* What E has in its spool has changed. */
void exec_table_spooled(struct exec_table *t, struct exec *e);
/* Nobody reads E any more: if there is too much output, its own may go now. */
void exec_table_unread(struct exec_table *t, const struct exec *e);
/* What PEER may see under ID, or NULL. */
struct exec *exec_table_find(struct exec_table *t, uid_t peer, const char *id);
struct exec *exec_table_by_key(struct exec_table *t, const char *key);
/* One message for whoever builds one within a call: 192 KB are not allocated for each exec. */
struct wire_message *exec_table_message(struct exec_table *t);
