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
/* E's row is to be written soon, if it has one at all. */
void exec_table_save(struct exec_table *t, struct exec *e);
/* What E has in its spool has changed. */
void exec_table_spooled(struct exec_table *t, struct exec *e);
/* Nobody reads E any more: if there is too much output, its own may go now. */
void exec_table_unread(struct exec_table *t, const struct exec *e);
/* What PEER may see under ID, or NULL. */
struct exec *exec_table_find(struct exec_table *t, uid_t peer, const char *id);
struct exec *exec_table_by_key(struct exec_table *t, const char *key);
/* One message for whoever builds one within a call: 192 KB are not allocated for each exec. */
struct wire_message *exec_table_message(struct exec_table *t);
