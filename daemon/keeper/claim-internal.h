/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Inside claim*.c: a claim under way, and the mounts that it prepares. */

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "claim.h"
#include "keeper-wire.h"
#include "record.h"

struct part {     /* one mount to be moved */
	int tree; /* -1 until made: a cover, memory */
	bool directory;
	bool optional; /* where it cannot be put it is left out: the agent may have been there */
	bool cover;    /* a file system of its own, empty but for the targets of later parts */
	bool memory;   /* likewise, and the agent's to write: claim-memory.c */
	bool read_only;
	bool placed; /* it is where it belongs */
	dev_t device;
	const char *target;
};

struct claim {
	const struct claim_target *target;
	struct wire_message *m;
	const struct keeper_claim *request;
	struct record record;
	char *reason;
	int roots[KEEPER_ROOTS_MAX];
	struct part parts[KEEPER_MOUNTS_MAX];
	size_t n_parts;
	const char *hostname;
	const char *git_config;
	const char *failed; /* the target at which the helper stopped */
};

struct walk {
	const struct claim *claim;
	dev_t root; /* where directories may be made and opened up: the sandbox's own file system */
	dev_t run;
	char name[NAME_MAX + 1];
};

/* Notes what failed, unless something has before. Returns ERROR. */
int claim_explain(struct claim *c, int error, const char *what, const char *where);

/* ---- claim-inside.c ---- */
/* In the helper: moves every part to its target and makes it the sandbox of who claims it. CLAIM is
 * a struct claim. Returns 0 or negative errno, with C->failed. */
int claim_move_inside(void *claim);
/* In the helper: notes what is the sandbox's own. CLAIM and the result as before. */
int claim_look_inside(void *claim);
/* Takes the next component off *PATH; false at its end, or with *ERROR set. */
bool claim_next_component(const char **path, char *name, int *error);
/* Opens W->name in DIR, made first if it is missing in a file system of ours. Returns an O_PATH
 * descriptor or negative errno. */
int claim_open_step(const struct walk *w, int dir, bool directory);

/* ---- claim-memory.c ---- */
/* Makes the file system of a cover, writable until its targets are in it, or of one that is
 * memory. */
int claim_make_memory(struct part *p);
/* Those that were made are the sandbox's own. Returns 0 or -E2BIG. */
int claim_note_memory(const struct claim *c, struct view_own *own);

/* claim-attach.c: attaches every part below TREE/mounts, for who cannot be entered. */
int claim_attach_all(struct claim *c);
