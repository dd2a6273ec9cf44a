/* SPDX-License-Identifier: Apache-2.0 */
/* The owner's home as one boot shows it (home.h). It is looked at while the runtime works, so that
 * a boot rarely waits for it; and who he is to git is believed for some seconds, for a loop makes
 * many sandboxes at once. A claim takes far less time than a look: so while an owner has spares
 * ready he is looked at now and then, and a claim believes what was seen then.
 *
 * Git's identity becomes part of the sandbox's own /etc/gitconfig at its create, below everything
 * that a repository or the agent says. Overlays are mounted at every boot. */

#include <stdlib.h>

#include "sandbox/config.h"
#include "sandbox/home.h"
#include "sandbox/sandbox-internal.h"
#include "sandbox/tool.h"
#include "util/log.h"
#include "util/time.h"

#define CACHED_OWNERS 8
#define BELIEVED_MS 5000
#define BELIEVED_CLAIM_MS 30000 /* by a claim, */
#define LOOK_AGAIN_MS 12000     /* while there are spares */

struct home_cache {
	struct {
		uid_t owner;
		int64_t seen_ms; /* CLOCK_MONOTONIC; 0: never */
		char *git_config;
	} items[CACHED_OWNERS];
	size_t next;
	struct home_look *look; /* for nobody in particular; NULL: none is under way */
	uid_t looking_at;
};

static const struct string_list no_overlays;

int home_cache_new(struct home_cache **ret)
{
	*ret = calloc(1, sizeof(**ret));
	return *ret ? 0 : -ENOMEM;
}

void home_cache_free(struct home_cache *c)
{
	if (c)
		c->look = home_look_free(c->look);
	for (size_t i = 0; c && i < CACHED_OWNERS; i++)
		free(c->items[i].git_config);
	free(c);
}

/* True: OWNER was looked at in the last MS. *RET (may be NULL) is what is known, a copy. */
static bool cache_find(const struct home_cache *c, uid_t owner, int64_t ms, char **ret)
{
	for (size_t i = 0; i < CACHED_OWNERS; i++)
		if (c->items[i].owner == owner && c->items[i].seen_ms > 0 &&
		    time_monotonic_ms() - c->items[i].seen_ms < ms)
			return !ret || string_copy(c->items[i].git_config, ret) == 0;
	return false;
}

static void cache_keep(struct home_cache *c, uid_t owner, const char *git_config)
{
	size_t i;
	char *copy;

	if (string_copy(git_config, &copy) < 0)
		return;
	for (i = 0; i < CACHED_OWNERS && c->items[i].owner != owner; i++)
		;
	if (i == CACHED_OWNERS)
		i = c->next++ % CACHED_OWNERS;
	free(c->items[i].git_config);
	c->items[i].owner = owner;
	c->items[i].git_config = copy;
	c->items[i].seen_ms = time_monotonic_ms();
}

static void on_seen(struct home_view *view, void *userdata)
{
	struct sandbox *s = userdata;
	void (*then)(struct sandbox * s) = s->home_then;

	s->home_look = NULL;
	home_view_deinit(&s->home_view);
	s->home_view = *view;
	if (s->home_wants_identity)
		cache_keep(s->manager->homes, s->facts.owner, view->git_config);
	s->home_then = NULL;
	if (then)
		then(s);
}

static void on_looked(struct home_view *view, void *userdata)
{
	struct home_cache *c = userdata;

	c->look = NULL;
	cache_keep(c, c->looking_at, view->git_config);
	home_view_deinit(view);
}

void sandbox_home_keep(struct manager *m, uid_t owner)
{
	struct home_query q = {
		.base = m->base, .owner = owner, .git_identity = true, .overlays = &no_overlays
	};
	struct home_cache *c = m->homes;

	if (!m->config->git_identity || c->look || cache_find(c, owner, LOOK_AGAIN_MS, NULL))
		return;
	c->looking_at = owner;
	if (home_look(&c->look, &q, on_looked, c) < 0)
		log_debug("the home of uid %u cannot be looked at, the next claim does",
			  (unsigned)owner);
}

void sandbox_home_begin(struct sandbox *s)
{
	const int64_t believed_ms = sandbox_is_claimed(s) ? BELIEVED_CLAIM_MS : BELIEVED_MS;
	const struct config *config = s->manager->config;
	const struct tool_profile *profile = tool_find(config, s->facts.tool);
	struct home_query q = {
		.base = s->manager->base,
		.owner = s->facts.owner,
		.git_identity = config->git_identity && s->ops->verb == SANDBOX_VERB_CREATE,
		.overlays = profile ? &profile->overlays : &no_overlays,
	};
	int r;

	if (s->home_look || s->home_seen || s->hidden || sandbox_runtime(s) == RUNTIME_HOST)
		return; /* the runtime host shows all of it */
	s->home_seen = true;
	s->home_wants_identity = q.git_identity;
	if (q.overlays->count == 0 &&
	    (!q.git_identity ||
	     cache_find(s->manager->homes, s->facts.owner, believed_ms, &s->home_view.git_config)))
		return;
	r = home_look(&s->home_look, &q, on_seen, s);
	if (r < 0)
		log_errno(LOG_LEVEL_WARNING, r, "sandbox %s: nothing of its owner's home is shown",
			  s->facts.name);
}

bool sandbox_home_wait(struct sandbox *s, void (*then)(struct sandbox *s))
{
	s->home_then = then;
	return s->home_look != NULL;
}

void sandbox_home_end(struct sandbox *s)
{
	s->home_look = home_look_free(s->home_look);
	home_view_deinit(&s->home_view);
	s->home_seen = false;
	s->home_then = NULL;
}
