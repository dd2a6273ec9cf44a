/* SPDX-License-Identifier: Apache-2.0 */
/* secret.set, secret.list and secret.remove. The store has what these write; what other providers
 * have is theirs, and only listed. */

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/secret-input.h"
#include "api/values.h"
#include "params.h"
#include "rpc/request.h"
#include "sandbox/config.h"
#include "sandbox/manager.h"
#include "secret/audit.h"
#include "secret/login.h"
#include "secret/provider.h"
#include "secret/ready.h"
#include "secret/vault.h"
#include "util/log.h"

/* A change that is under way. */
struct secret_change {
	struct manager *manager;
	struct request *request;
	const char *action;         /* "set", "remove" */
	struct secret_input *input; /* NULL: the value is there */
	const char *name;           /* the request's */
	uid_t owner;
};

/* A line of a list. Strings are the configuration's and the vault's. */
struct secret_row {
	const char *name;
	const struct config_secret *config; /* NULL: no section */
	size_t size;
	int64_t created_at_ms; /* 0: it is not in the store */
	int64_t updated_at_ms;
};

/* docs/rpc.md, Secret. */
static struct json_object *value_secret(struct manager *m, uid_t peer, const struct secret_row *row)
{
	const struct config_secret *c = row->config;
	struct json_object *o = json_object_new_object();
	CLEANUP_STR char *problem = secret_problem(m, peer, row->name);
	int64_t max = m->config->secrets.max_ttl_ms;

	if (c && c->max_ttl_ms > 0 && c->max_ttl_ms < max)
		max = c->max_ttl_ms;
	value_add_string(o, "secret", row->name);
	value_add_string(o, "provider", c ? c->provider : "store");
	json_object_object_add(o, "available", json_object_new_boolean(!problem));
	value_add_string(o, "problem", problem);
	if (row->created_at_ms > 0) {
		value_add_int(o, "sizeBytes", (int64_t)row->size);
		json_object_object_add(o, "createdAt", value_time(row->created_at_ms));
		json_object_object_add(o, "updatedAt", value_time(row->updated_at_ms));
	}
	value_add_int(o, "maxTtlMs", max);
	return o;
}

/* Whose secret of the store NAME is for PEER. -1 with *RETERR: nobody's that PEER may change. */
static int find_owner(const struct manager *m, uid_t peer, const char *name, uid_t *ret,
		      struct error *reterr)
{
	const struct config_secret *c = config_secret_for(m->config, m->uid, peer, name);

	if (c && strcmp(c->provider, "store") != 0)
		return error_set(reterr, ERROR_INVALID_STATE, "secret",
				 "change it there, or take the section out",
				 "[secret %s] in the configuration says that it comes from "
				 "the provider %s",
				 name, c->provider);
	if (c && peer != m->uid)
		return error_set(reterr, ERROR_DENIED, "secret", "take another name",
				 "the secret %s is shared by the daemon's user", name);
	*ret = peer;
	return 0;
}

/* ---- set and remove ---- */

static void change_free(struct secret_change *c)
{
	if (!c)
		return;
	secret_input_free(c->input);
	free(c);
}

static int note(const struct secret_change *c, const char *result, struct error *reterr)
{
	const struct audit_entry entry = { .action = c->action,
					   .result = result,
					   .uid = request_uid(c->request),
					   .pid = request_pid(c->request),
					   .secret = c->name,
					   .provider = "store" };

	return audit_write(c->manager, &entry, reterr);
}

/* It was noted before it was begun: that it did not come to be is one more entry. */
static void note_failure(const struct secret_change *c, const struct error *e)
{
	CLEANUP_ERROR struct error error = { 0 };

	if (note(c, error_kind_name(e->kind), &error) < 0 && log_ratelimit())
		log_warning("that the %s of a secret failed is not in the audit log, going on",
			    c->action);
}

/* R is answered, and C gone. */
static void fail(struct secret_change *c, struct error *e)
{
	struct request *r = c->request;

	change_free(c);
	request_fail(r, e);
}

static bool find_row(const struct vault_entry *e, void *userdata)
{
	struct secret_row *row = userdata;

	if (strcmp(e->name, row->name) != 0)
		return true;
	row->size = e->size;
	row->created_at_ms = e->created_at_ms;
	row->updated_at_ms = e->updated_at_ms;
	return false;
}

static void on_set(struct error *e, void *userdata)
{
	CLEANUP_ERROR struct error ignored = { 0 };
	struct secret_change *c = userdata;
	struct manager *m = c->manager;
	struct request *r = c->request;
	struct secret_row row = { .name = c->name };

	if (e) {
		note_failure(c, e);
		fail(c, e);
		return;
	}
	login_changed(m, c->owner, c->name);
	row.config = config_secret_for(m->config, m->uid, c->owner, c->name);
	(void)vault_each(m->vault, c->owner, find_row, &row, &ignored); /* it was open just now */
	request_reply(r, value_secret(m, c->owner, &row));
	change_free(c);
}

static void set_value(struct secret_change *c, const struct bytes *value)
{
	static const struct request_watch none;
	struct vault *v = c->manager->vault;
	struct error e = { 0 };
	int r;

	request_watch(c->request, &none, NULL); /* what is being written cannot be taken back */
	r = vault_check_set(v, c->owner, c->name, value, &e);
	if (r == 0)
		r = note(c, "ok", &e);
	if (r == 0 && (r = vault_set(v, c->owner, c->name, value, on_set, c, &e)) < 0)
		note_failure(c, &e);
	if (r < 0)
		fail(c, &e);
}

static void on_input(const struct bytes *value, struct error *e, void *userdata)
{
	struct secret_change *c = userdata;

	c->input = NULL; /* gone after this */
	if (value)
		set_value(c, value);
	else
		fail(c, e);
}

static void on_given_up(struct request *r, void *userdata)
{
	struct error e = { 0 };

	(void)r;
	(void)error_set(&e, ERROR_CANCELLED, NULL, NULL, "the request was cancelled");
	fail(userdata, &e);
}

static int read_value(struct secret_change *c, const struct stdin_params *value,
		      struct error *reterr)
{
	const struct request_watch watch = { .on_cancel = on_given_up,
					     .on_disconnect = on_given_up };

	if (secret_input_new(c->manager, request_uid(c->request),
			     request_take_fd(c->request, value->fd), on_input, c, &c->input,
			     reterr) < 0)
		return -1;
	request_watch(c->request, &watch, c);
	return 0;
}

static struct secret_change *change_new(struct request *r, struct manager *m, const char *action,
					const char *name, struct error *reterr)
{
	struct secret_change *c = calloc(1, sizeof(*c));

	if (!c) {
		(void)error_set_errno(reterr, -ENOMEM, "the secret cannot be changed");
		return NULL;
	}
	*c = (struct secret_change){ .manager = m, .request = r, .action = action, .name = name };
	if (find_owner(m, request_uid(r), name, &c->owner, reterr) == 0)
		return c;
	free(c);
	return NULL;
}

void method_secret_set(struct request *r, void *userdata)
{
	const struct secret_set_params *params = request_params(r);
	struct error e = { 0 };
	struct secret_change *c = change_new(r, userdata, "set", params->secret, &e);

	if (!c) {
		request_fail(r, &e);
		return;
	}
	if (params->value.kind == STDIN_BYTES)
		set_value(c, &params->value.data);
	else if (read_value(c, &params->value, &e) < 0)
		fail(c, &e);
}

static void on_removed(struct error *e, void *userdata)
{
	struct secret_change *c = userdata;
	struct request *r = c->request;

	if (e) {
		note_failure(c, e);
		fail(c, e);
		return;
	}
	login_changed(c->manager, c->owner, c->name);
	change_free(c);
	request_reply(r, json_object_new_object());
}

static int begin_remove(struct secret_change *c, struct error *reterr)
{
	struct vault *v = c->manager->vault;

	/* one that is not there, or that cannot be looked for, is nothing to note */
	if (vault_has(v, c->owner, c->name) && note(c, "ok", reterr) < 0)
		return -1;
	return vault_remove(v, c->owner, c->name, on_removed, c, reterr);
}

void method_secret_remove(struct request *r, void *userdata)
{
	const struct secret_ref_params *params = request_params(r);
	struct error e = { 0 };
	struct secret_change *c = change_new(r, userdata, "remove", params->secret, &e);

	if (!c)
		request_fail(r, &e);
	else if (begin_remove(c, &e) < 0)
		fail(c, &e);
}

/* ---- list ---- */

struct listing {
	struct manager *manager;
	uid_t peer;
	const char *after;
	struct secret_row *items;
	size_t count;
	size_t room;
	bool failed;
};

static void add_row(struct listing *l, const struct secret_row *row)
{
	struct secret_row *items;

	if (l->failed || (l->after && strcmp(row->name, l->after) <= 0))
		return;
	if (l->count == l->room) {
		l->room = l->room > 0 ? l->room * 2 : 16;
		items = reallocarray(l->items, l->room, sizeof(*items));
		l->failed = !items;
		if (!items)
			return;
		l->items = items;
	}
	l->items[l->count++] = *row;
}

static const struct config_secret *section_of(const struct listing *l, const char *name)
{
	return config_secret_for(l->manager->config, l->manager->uid, l->peer, name);
}

/* One that has a section comes with that. */
static bool collect_own(const struct vault_entry *e, void *userdata)
{
	struct listing *l = userdata;
	struct secret_row row = { .name = e->name };

	(void)find_row(e, &row);
	if (!section_of(l, e->name))
		add_row(l, &row);
	return !l->failed;
}

static int collect_sections(struct listing *l, struct error *reterr)
{
	const struct manager *m = l->manager;
	const struct config_secret *c;

	for (c = m->config->secrets.list; c; c = c->next) {
		struct secret_row row = { .name = c->name, .config = c };

		if (section_of(l, c->name) != c)
			continue;
		if (strcmp(c->provider, "store") == 0 &&
		    vault_each(m->vault, m->uid, find_row, &row, reterr) < 0)
			return -1;
		add_row(l, &row);
	}
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct secret_row *)a)->name, ((const struct secret_row *)b)->name);
}

/* docs/rpc.md, ToolReady. */
static void add_tool(const struct tool_ready *t, void *userdata)
{
	struct json_object *o = json_object_new_object();

	value_add_string(o, "tool", t->tool);
	json_object_object_add(o, "ready", json_object_new_boolean(t->ready));
	value_add_string(o, "secret", t->secret);
	value_add_string(o, "detail", t->detail);
	json_object_object_add(o, "hint", value_string(t->hint));
	json_object_object_add(o, "stored", json_object_new_boolean(t->is_stored));
	(void)json_object_array_add(userdata, o); /* memory: shorter */
}

static struct json_object *value_list(struct listing *l, size_t limit)
{
	struct json_object *result = json_object_new_object(), *list = json_object_new_array();
	struct json_object *tools = json_object_new_array();
	size_t i;

	if (l->count > 0)
		qsort(l->items, l->count, sizeof(*l->items), by_name);
	for (i = 0; i < l->count && i < limit; i++)
		(void)json_object_array_add(list, value_secret(l->manager, l->peer,
							       &l->items[i])); /* memory */
	tools_ready_each(l->manager, l->peer, add_tool, tools);
	json_object_object_add(result, "secrets", list);
	json_object_object_add(result, "tools", tools);
	return result;
}

void method_secret_list(struct request *r, void *userdata)
{
	const struct secret_list_params *params = request_params(r);
	struct listing l = { .manager = userdata, .peer = request_uid(r), .after = params->after };
	struct error e = { 0 };
	int error = vault_each(l.manager->vault, l.peer, collect_own, &l, &e);

	if (error == 0)
		error = collect_sections(&l, &e);
	if (error == 0 && l.failed)
		error = error_set_errno(&e, -ENOMEM, "secrets cannot be listed");
	if (error < 0)
		request_fail(r, &e);
	else
		request_reply(r, value_list(&l, (size_t)params->limit));
	free(l.items);
}
