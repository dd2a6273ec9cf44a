/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Stages of a loop (planner, reviewer, …): what a command of each may change and reach. A profile
 * is a fact of the sandbox's view (view.h), not a request to the agent. */

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "error.h"
#include "params.h"
#include "util/strings.h"

struct config;
struct stages; /* a table of profiles by name; shared by reference */

/* Everything is owned by the table and lives as long as it does. */
struct stage {
	char *name;
	enum stage_access access;    /* never UNSET in a table */
	struct string_list writable; /* with RO: directories of the first workspace, relative */
	struct string_list tools;    /* of whose sandboxes it may be; empty: any */
	int64_t timeout_ms;          /* of a command that says none; -1: none */
	enum network_mode network;   /* UNSET: the sandbox's own */
};

/* The built-in profiles: planner and reviewer read-only, test-writer read-only but for tests/,
 * implementor and judge (whose checks write build output) free. Returns 0 or -ENOMEM. */
int stages_new(struct stages **ret);
/* loop.create's own table. What an entry does not say is as in the configuration's (or the
 * built-in) profile of that name, else free. -1 with *RETERR, which names stages[i].field. */
int stages_from_params(struct stages **ret, const struct config *config,
		       const struct stages_params *params, struct error *reterr);
struct stages *stages_ref(struct stages *s);
struct stages *stages_unref(struct stages *s); /* NULL is fine; returns NULL */
DEFINE_CLEANUP(struct stages *, stages_unref);

/* The profile NAME, or NULL. S may be NULL. */
const struct stage *stages_find(const struct stages *s, const char *name);
size_t stages_count(const struct stages *s);
/* The one at I, in the order in which they were made. */
const struct stage *stages_at(const struct stages *s, size_t i);

/* The same profiles in the same order. */
bool stages_equal(const struct stages *a, const struct stages *b);

/* One block (a database blob) and back. Unpacking checks everything: -EBADMSG. */
int stages_pack(const struct stages *s, char **ret, size_t *ret_size);
int stages_unpack(struct stages **ret, const void *block, size_t size);

/* ---- for config.c: one [stage NAME] section ---- */

/* The profile NAME to be changed, made when it is not there. Returns 0, -EINVAL (no name), -E2BIG
 * or -ENOMEM. */
int stages_section(struct stages *s, const char *name, struct stage **ret);
/* Where it is being written: for problems. */
void stage_set_place(struct stage *stage, const char *path, unsigned line);
const char *stage_tools_place(const struct stage *stage, unsigned *ret_line); /* of its tools */
/* Its section holds something wrong: whatever else it says, it is read-only and without network. */
void stage_mark_wrong(struct stage *stage);
/* When all is read. */
void stages_close_wrong(struct stages *s);
/* One key of it. Return 0, -EINVAL (no such value), or -ENOMEM. */
int stage_set_workspace(const char *value, void *stage);
int stage_set_writable(const char *value, void *stage); /* "tests, docs/api" */
int stage_set_tools(const char *value, void *stage);
int stage_set_timeout(const char *value, void *stage);
int stage_set_network(const char *value, void *stage);
