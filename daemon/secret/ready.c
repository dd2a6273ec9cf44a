/* SPDX-License-Identifier: Apache-2.0 */
#include "secret/ready.h"

#include <stdlib.h>
#include <string.h>

#include "macro.h"
#include "sandbox/config-secret.h"
#include "sandbox/config.h"
#include "sandbox/manager.h"
#include "sandbox/tool-profile.h"
#include "secret/login.h"
#include "secret/provider.h"
#include "util/strings.h"

/* "claude setup-token, then sandboxctl secret set claude_setup_token" */
static char *mend_store(const struct tool_profile *p, const struct tool_secret *s, const char *name)
{
	bool logs_in = p->login && p->login[0];

	return string_format("%s%ssandboxctl secret set %s%s%s", logs_in ? p->login : "",
			     logs_in ? ", then " : "", name, s->file ? " --file ~/" : "",
			     s->file ? s->file : "");
}

static char *mend_provider(const struct config_secret *c)
{
	if (c->variable && strcmp(c->provider, "env") == 0)
		return string_format("start sandboxd with %s in its environment", c->variable);
	if (c->path && strcmp(c->provider, "file") == 0)
		return string_format("put it in %s", c->path);
	if (c->credential && strcmp(c->provider, "systemd") == 0)
		return string_format("LoadCredential=%s in sandboxd.service", c->credential);
	if (c->command.count > 0 && strcmp(c->provider, "command") == 0)
		return string_format("install %s", c->command.items[0]);
	return strdup("secrets serve");
}

/* How NAME, which is not there, gets there. NULL: no memory. */
static char *mend(struct manager *m, uid_t peer, const struct tool_profile *p,
		  const struct tool_secret *s, const char *name, bool *ret_is_stored)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct provider_call call;
	const struct provider *provider = provider_of(m, peer, name, &call, &e);

	*ret_is_stored = provider && strcmp(provider->name, "store") == 0;
	if (!provider)
		return strdup(e.hint ? e.hint : "");
	return *ret_is_stored ? mend_store(p, s, name) : mend_provider(call.config);
}

/* Of the login in NAME, if that is one. Of what another provider has nobody knows whether it is
 * still the one that was refused. */
static const struct error *refusal(struct manager *m, uid_t peer, const char *name)
{
	struct provider_call call;
	const struct provider *p = provider_of(m, peer, name, &call, NULL);

	return p && strcmp(p->name, "store") == 0 ? login_refused(m, call.owner, name) : NULL;
}

char *secret_problem(struct manager *m, uid_t peer, const char *name)
{
	const struct error *refused = refusal(m, peer, name);
	CLEANUP_STR char *hint = NULL;
	CLEANUP_ERROR struct error e = { 0 };
	struct provider_call call;
	const struct provider *p = provider_of(m, peer, name, &call, &e);

	if (!p)
		return string_format("%s", e.message ? e.message : "it has no provider");
	if (refused)
		return string_format("%s: %s", refused->message, refused->hint);
	if (p->has(&call))
		return NULL;
	hint = strcmp(p->name, "store") == 0 ? string_format("sandboxctl secret set %s", name)
					     : mend_provider(call.config);
	return hint ? string_format("it is not there: %s", hint) : NULL;
}

/* The first of all that P could have and PEER has; NULL: none. */
static const char *find(struct manager *m, uid_t peer, const struct tool_profile *p)
{
	const struct tool_secret *s;
	size_t i;

	for (s = p->secrets.first; s; s = s->next)
		for (i = 0; i < s->names.count; i++)
			if (provider_has(m, peer, s->names.items[i]))
				return s->names.items[i];
	return NULL;
}

/* "no a, b or c" */
static char *describe_missing(const struct tool_profile *p)
{
	const struct tool_secret *s;
	char *text = strdup("no "), *longer;
	size_t i;

	for (s = p->secrets.first; s; s = s->next) {
		for (i = 0; i < s->names.count && text; i++) {
			bool first = s == p->secrets.first && i == 0;
			bool last = !s->next && i + 1 == s->names.count;

			longer = string_format("%s%s%s", text, first ? "" : (last ? " or " : ", "),
					       s->names.items[i]);
			free(text);
			text = longer;
		}
	}
	return text;
}

static void look(struct manager *m, uid_t peer, const struct tool_profile *p, struct tool_ready *t,
		 char **ret_detail, char **ret_hint)
{
	const struct tool_secret *s = p->secrets.first;

	const struct error *refused;

	t->tool = p->name;
	t->secret = find(m, peer, p);
	refused = t->secret ? refusal(m, peer, t->secret) : NULL;
	t->ready = t->secret && !refused;
	if (t->ready) {
		*ret_detail = string_format("%s is there", t->secret);
		return;
	}
	if (refused) {
		t->is_stored = true;
		*ret_detail = string_format("%s", refused->message);
		*ret_hint = string_format("%s", refused->hint);
		return;
	}
	t->secret = s->names.items[0];
	*ret_detail = describe_missing(p);
	*ret_hint = mend(m, peer, p, s, t->secret, &t->is_stored);
}

void tools_ready_each(struct manager *m, uid_t peer,
		      void (*fn)(const struct tool_ready *t, void *userdata), void *userdata)
{
	const struct tool_profile *p;

	for (p = m->config->tools; p; p = p->next) {
		CLEANUP_STR char *detail = NULL, *hint = NULL;
		struct tool_ready t = { 0 };

		if (p->broken || !p->secrets.first)
			continue;
		look(m, peer, p, &t, &detail, &hint);
		t.detail = detail ? detail : "";
		t.hint = hint;
		fn(&t, userdata);
	}
}
