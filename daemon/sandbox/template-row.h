/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The rows of the template table, for template.c and its parts only: template-row.c keeps them,
 * template.c answers who needs one, template-remove.c shows and removes them. */

#include <event2/event.h>
#include <sys/queue.h>

#include "sandbox/template.h"
#include "sandbox/tool.h"
#include "store/templates.h"
#include "util/sha256.h"

#define HOST_TEMPLATE "host"

struct build;

/* Somebody who gets the answer of a build. */
struct waiter {
	struct template_wait wait;
	LIST_ENTRY(waiter) link;
};

/* An answer that is known, told from the event loop. */
struct answer {
	struct template_wait wait;
	struct event *event;
	char *name;
	char *layer; /* NULL: none */
	LIST_ENTRY(answer) link;
};

struct row {
	struct template_table *table;
	char *name;
	char *digest;
	char *base;
	char *tool;
	char *version;
	char *layer;
	char *stale_layer; /* while building: what is removed first */
	uid_t owner;
	uid_t peer;
	uint64_t size_bytes;
	int64_t created_at_ms;
	enum template_state state;
	bool removing;       /* the keeper was asked to */
	struct build *build; /* while building */
	LIST_HEAD(, waiter) waiters;
	TAILQ_ENTRY(row) link;
};

struct template_table {
	struct manager *manager;
	char host_digest[SHA256_TEXT_SIZE];
	TAILQ_HEAD(, row) rows;
	LIST_HEAD(, answer) answers;
};

/* A row as FROM says, not yet in the table. Returns 0 or -ENOMEM. */
int row_new(struct row **ret, struct template_table *t, const struct store_template *from);
void row_free(struct row *row);
void row_drop(struct row *row); /* out of the table, and freed */
struct row *row_find(const struct template_table *t, uid_t owner, const char *name);
/* Writes it as it is now. Returns 0 or negative errno. */
int row_store(const struct row *row);

/* A sandbox that stands on it, or NULL. STOPPED ones count too. */
const struct sandbox *row_user(const struct row *row, bool stopped);
int row_refuse_in_use(const struct row *row, const struct sandbox *user, struct error *reterr);
/* Somebody may have emptied the state directory: then it is built again instead of failing. */
bool row_layer_exists(const struct row *row);

/* A layer is what its recipe says: the same recipe, the same digest. */
int template_digest(const struct tool_choice *choice, char ret[static SHA256_TEXT_SIZE]);
void answer_free(struct answer *a);
