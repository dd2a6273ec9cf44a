/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* What the daemon must remember across a restart: one SQLite database. Rows are plain structs; who
 * they belong to is the caller's business.
 *
 * Writers return 0 or negative errno: -ENOSPC when the disk (or the quota) is full, -EROFS when it
 * takes no writes, -EEXIST when a unique key is taken, -EBADMSG when it is damaged, -EIO for what
 * else SQLite says (these two were logged). They commit before they return, but within a batch. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "macro.h"

struct error;
struct store;

/* The newest layout this program knows: number of files in migrations/. */
#define STORE_VERSION 13

/* Opens or makes PATH and brings it to STORE_VERSION. A damaged one is saved aside first, and what
 * can be read of it taken over (rescue.h). -EPROTO: made by a newer program, else errno; nothing of
 * it was changed then, and the reason was logged. DURABLE: synchronous=FULL. */
int store_open(struct store **ret, const char *path, bool durable);
void store_free(struct store *s);
DEFINE_CLEANUP(struct store *, store_free);

/* What is written from here to store_batch_end() is committed there, all or nothing. -EIO: it is
 * committed one by one. Batches do not nest. */
int store_batch_begin(struct store *s);
/* Whether one is under way. */
bool store_in_batch(const struct store *s);
/* 0, or as a writer: then nothing of the batch is stored. Without a batch it does nothing. */
int store_batch_end(struct store *s);

/* Tells who asked that WHAT ("sandbox x") cannot be recorded, as a writer returned ERROR. Returns
 * -1 with *RETERR (LIMIT_REACHED, UNAVAILABLE, INTERNAL). */
int store_refuse(int error, const char *what, struct error *reterr);

/* Moves what the log holds into the database as far as readers allow; for an idle timer. */
void store_checkpoint(struct store *s);

/* meta: small named texts (the instance id). *RET is NULL when absent, else freed by the caller. */
int store_meta_get(struct store *s, const char *key, char **ret);
int store_meta_set(struct store *s, const char *key, const char *value);
#define STORE_META_EVENTS "events" /* the name of the log of events; a rescue forgets it */
