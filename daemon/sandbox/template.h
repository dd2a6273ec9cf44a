/* SPDX-License-Identifier: Apache-2.0 */
#pragma once
/* Templates: what a sandbox starts from. `host` is embedded and always there; a tool's is a layer
 * on top, built on first use and kept per workspace owner. What sandbox.c needs is in manager.h
 * (template_resolve()); here is the rest. Knows no JSON. */

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "sandbox/manager.h"

struct config;

enum template_state {
	TEMPLATE_STATE_READY,
	TEMPLATE_STATE_BUILDING,
	TEMPLATE_STATE_FAILED,
	TEMPLATE_STATE_MAX,
};
const char *template_state_to_string(enum template_state s);

/* docs/rpc.md, Template. Strings are borrowed and live until the event loop is entered again; NULL
 * when absent. */
struct template_facts {
	const char *name;
	const char *digest;
	const char *base;
	const char *tool;
	const char *version;
	uid_t owner;
	uint64_t size_bytes;
	int64_t created_at_ms; /* CLOCK_REALTIME */
	enum template_state state;
};

/* Every template PEER may see (root: everyone's), `host` first, until FN returns false. */
void template_each(struct manager *m, uid_t peer,
		   bool (*fn)(const struct template_facts *t, void *userdata), void *userdata);

/* By name; a tool's name alone is its template at the pinned version. Returns 0, or -1 with
 * NOT_FOUND. */
int template_get(struct manager *m, uid_t peer, const char *name, struct template_facts *ret,
		 struct error *reterr);

/* Who wants to hear of a template, as in template_resolve(). */
struct template_wait {
	template_resolve_done *done;
	template_progress *progress; /* must not call back into here; may be NULL */
	void *userdata;
};

/* As template_resolve(); FORCE builds a layer anew even where it is ready (conflict while a sandbox
 * stands on it). */
int template_build(struct manager *m, const struct template_query *query, bool force,
		   const struct template_wait *wait, struct error *reterr);

/* Whoever waits with USERDATA hears nothing any more; a build for nobody is given up. Harmless when
 * nobody does. */
void template_forget(struct manager *m, const void *userdata);

#define TEMPLATE_NAME_SIZE 258 /* NAME, ":", TAG and NUL */

/* NAME as sandboxes show it: "claude@2.1.42" for "claude", "debian@bookworm" for "debian", "host"
 * for a tool without a layer; any other name as it is. */
void template_full_name(const struct config *config, const char *name,
			char ret[static TEMPLATE_NAME_SIZE]);

struct template_save_query {
	struct manager *manager;
	uid_t peer;
	const char *name; /* "NAME" or "NAME:TAG" */
};

/* Makes a template of what S has changed, on top of the layers that S stands on. A running S is
 * held still while it is copied, and goes on. Returns 0 and calls DONE later (T NULL: E says why),
 * or -1 with *RETERR and never calls it. */
typedef void template_saved(const struct template_facts *t, struct error *e, void *userdata);
int template_save(struct sandbox *s, const struct template_save_query *query, template_saved *done,
		  void *userdata, struct error *reterr);

struct template_remove_query {
	uid_t peer;
	const char *name;
	/* even where stopped sandboxes or other templates stand on it: its name goes, its layer
	 * with the last of them */
	bool force;
};

/* Removes a template and its layer. Returns 0 and calls DONE later (E NULL: it is gone), or -1 with
 * *RETERR (in use or being built: conflict) and never calls it. */
typedef void template_removed(struct error *e, void *userdata);
int template_remove(struct manager *m, const struct template_remove_query *query,
		    template_removed *done, void *userdata, struct error *reterr);
