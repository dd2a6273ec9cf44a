/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Under which stage's profile an exec runs, and the namespaces that make the profile a fact. The
 * keeper makes them at first use; they are kept for the next exec of the same kind, until the
 * sandbox stops. */

#include <stdbool.h>
#include <stdint.h>

#include "error.h"

struct sandbox;
struct stages;
struct view;
struct views; /* those of one run of a sandbox */
struct wire_message;

/* One exec's share. Zeroed: none. */
struct view_use {
	struct views *views; /* referenced */
	struct view *view;   /* referenced; NULL: it sees what the sandbox sees */
	int64_t timeout_ms;  /* of the profile; -1: none */
};

/* An exec of STAGE (NULL: of none) is about to begin. -1 with *RETERR when it may not: an unknown
 * stage, another tool's sandbox, more network than there is, a runtime that cannot, or an exec with
 * another view is running, which it could reach through /proc. */
int view_enter(struct sandbox *s, const char *stage, struct view_use *ret, struct error *reterr);
/* It is over. LEFT_BY is its id when it left processes behind, else NULL. USE is zeroed. */
void view_leave(struct view_use *use, const char *left_by);

/* Whether the namespaces are there. */
bool view_ready(const struct view_use *use);
/* Has them made. DONE is called once, from the loop: 0 or negative errno. Returns 0 or negative
 * errno (then DONE is not called). */
typedef void view_done(int error, void *userdata);
int view_make(const struct view_use *use, struct sandbox *s, view_done *done, void *userdata);
/* Adds them to an INIT_EXEC, behind its other descriptors. Returns 0 or negative errno. */
int view_add(const struct view_use *use, struct wire_message *m);

/* The run is over: nothing of it is kept. */
void views_drop(struct sandbox *s);

/* How long a command of STAGE (may be NULL) may run when its call says nothing; -1: no limit. */
int64_t sandbox_stage_timeout(const struct sandbox *s, const char *stage);

/* What a command of STAGE (may be NULL) can reach. */
enum network_mode sandbox_stage_network(const struct sandbox *s, const char *stage);

/* The table that counts before the configuration's (NULL: none); a reference is taken. With one,
 * unknown stages are refused. */
void sandbox_set_stages(struct sandbox *s, struct stages *stages);
