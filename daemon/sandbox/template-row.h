/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* The rows of the template table, for template.c and its parts only: template-row.c keeps them,
 * template.c answers who needs one, template-save.c makes them of sandboxes, template-tool.c adds
 * tools to those, template-remove.c
 * shows and removes them. */

#include <event2/event.h>
#include <sys/queue.h>

#include "sandbox/template.h"
#include "sandbox/tool.h"
#include "store/templates.h"
#include "util/sha256.h"
#include "util/strings.h"

#define HOST_TEMPLATE "host"
#define SAVED_LAYER_PREFIX "saved-"

struct build;
struct debian;
struct pairing; /* template-tool.c */
struct save;    /* template-save.c */

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
	struct string_list layers; /* topmost first; none: host */
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
	char *stale_layer;         /* while building: what is removed first */
	struct string_list lowers; /* layers below, topmost first; they have rows of their own */
	uid_t owner;
	uid_t peer;
	uint64_t size_bytes;
	int64_t created_at_ms;
	enum template_state state;
	bool removing;         /* the keeper was asked to */
	bool orphan;           /* nobody sees it; its layer goes with its last user */
	struct build *build;   /* while building */
	struct debian *debian; /* or this */
	struct save *save;     /* while it is saved */
	LIST_HEAD(, waiter) waiters;
	TAILQ_ENTRY(row) link;
};

struct template_table {
	struct manager *manager;
	char host_digest[SHA256_TEXT_SIZE];
	TAILQ_HEAD(, row) rows;
	LIST_HEAD(, answer) answers;
	LIST_HEAD(, pairing) pairings;
};

/* A row as FROM says, not yet in the table. Returns 0 or -ENOMEM. */
int row_new(struct row **ret, struct template_table *t, const struct store_template *from);
void row_free(struct row *row);
void row_drop(struct row *row); /* out of the table, and freed */
struct row *row_find(const struct template_table *t, uid_t owner, const char *name);
/* Writes it as it is now, FRESH: for the first time (-EEXIST: there is one). Returns 0 or negative
 * errno. */
int row_store(const struct row *row, bool fresh);

/* Tells of it as an event: NAME (NULL: its own) is in STATE. */
void row_tell_event(const struct row *row, const char *name, const char *state, const char *reason);
#define TEMPLATE_REMOVED "removed" /* a state for events only */

/* Who stands on the layer of a row: one of them is set. */
struct row_user {
	const struct sandbox *sandbox;
	const struct row *row; /* another template, or an orphan of the same layer */
	bool coming;           /* a sandbox that is about to be made */
};
/* Returns whether there is one. STOPPED: sandboxes that do not run and templates count, too. */
bool row_in_use(const struct row *row, bool stopped, struct row_user *ret);
int row_refuse_in_use(const struct row *row, const struct row_user *user, struct error *reterr);
/* Of a sandbox's files, by template-save.c: "web", "web:1". What is built has a version. */
bool row_is_saved(const struct row *row);
/* Its layer and those below. Returns 0 or -ENOMEM. */
int row_layers(const struct row *row, struct string_list *ret);
/* Somebody may have emptied the state directory: then it is built again instead of failing. */
bool row_layer_exists(const struct row *row);

/* A layer is what its recipe says: the same recipe, the same digest. */
int template_digest(const struct tool_choice *choice, char ret[static SHA256_TEXT_SIZE]);
void answer_free(struct answer *a);

/* ---- template-save.c ---- */
void row_free_save(struct row *row);

/* ---- template-tool.c ---- */
/* Whose layer of TOOL is among LAYERS, be it an orphan; NULL: there is none. */
const struct row *row_of_tool(const struct template_table *t, uid_t owner,
			      const struct string_list *layers, const char *tool);
/* Whether the query's tool has to be added to a saved template. 0: no; 1: WAIT is answered later
 * with both; -1 with *RETERR. */
int row_pair(struct row *row, const struct template_query *q, const struct template_wait *wait,
	     struct error *reterr);
/* Whether it is as the query wants it: nothing has to be added. */
bool row_has_tool(const struct row *row, const struct template_query *q);
/* Whoever waits with USERDATA hears nothing any more. */
void pairing_forget(struct template_table *t, const void *userdata);
void pairing_free(struct pairing *p);

/* ---- template-remove.c ---- */
void row_facts(const struct row *row, struct template_facts *ret);
/* ROW is no template any more. Its layer is removed with its last user: see template_sweep().
 * Returns 0 or negative errno (then it is as it was). */
int row_orphan(struct row *row);

/* ---- template.c ---- */
/* Answers all who wait for ROW; E NULL: it is ready. */
void row_tell_waiters(struct row *row, const struct error *e);
