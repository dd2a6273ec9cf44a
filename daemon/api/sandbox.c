/* SPDX-License-Identifier: Apache-2.0 */
/* sandbox.*: a verb that takes time carries its request as userdata and answers it when it is done,
 * whether the client is still there or not. */

#include "sandbox/sandbox.h"

#include <json.h>
#include <string.h>

#include "api/api.h"
#include "api/values.h"
#include "bounds.h"
#include "params.h"
#include "sandbox/manager.h"
#include "util/pairs.h"

static void on_done(struct sandbox *s, struct error *e, void *userdata)
{
	struct request *r = userdata;

	if (e->kind != ERROR_NONE)
		request_fail(r, e);
	else
		request_reply(r, value_sandbox(s));
}

/* The sandbox that R names, or NULL: then R was answered. */
static struct sandbox *find(struct request *r, struct manager *m)
{
	const struct sandbox_ref_params *p = request_params(r);
	CLEANUP_ERROR struct error e = { 0 };
	struct sandbox *s = sandbox_find(m, request_uid(r), p->sandbox, &e);

	if (!s)
		request_fail(r, &e);
	return s;
}

void method_sandbox_get(struct request *r, void *userdata)
{
	const struct sandbox *s = find(r, userdata);

	if (s)
		request_reply(r, value_sandbox(s));
}

void method_sandbox_stop(struct request *r, void *userdata)
{
	const struct sandbox_ref_params *p = request_params(r);
	const struct sandbox_end_how how = { "stopped", p->timeout_ms, p->force };
	CLEANUP_ERROR struct error e = { 0 };
	struct sandbox *s = find(r, userdata);

	if (s && sandbox_stop(s, &how, on_done, r, &e) < 0)
		request_fail(r, &e);
}

void method_sandbox_start(struct request *r, void *userdata)
{
	const struct sandbox_ref_params *p = request_params(r);
	CLEANUP_ERROR struct error e = { 0 };
	struct sandbox *s = find(r, userdata);

	if (s && sandbox_start(s, p->timeout_ms, on_done, r, &e) < 0)
		request_fail(r, &e);
}

void method_sandbox_pause(struct request *r, void *userdata)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct sandbox *s = find(r, userdata);

	if (s && sandbox_pause(s, on_done, r, &e) < 0)
		request_fail(r, &e);
}

void method_sandbox_resume(struct request *r, void *userdata)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct sandbox *s = find(r, userdata);

	if (s && sandbox_resume(s, on_done, r, &e) < 0)
		request_fail(r, &e);
}

void method_sandbox_remove(struct request *r, void *userdata)
{
	const struct sandbox_ref_params *p = request_params(r);
	const struct sandbox_end_how how = { NULL, p->timeout_ms, p->force };
	CLEANUP_ERROR struct error e = { 0 };
	struct sandbox *s = find(r, userdata);

	if (s && sandbox_remove(s, &how, on_done, r, &e) < 0)
		request_fail(r, &e);
}

/* ---- list ---- */

struct listing {
	const struct list_params *params;
	uid_t peer;
	struct json_object *list;
};

static bool matches(const struct sandbox_facts *f, const struct filter_params *filter)
{
	if (filter->loop_id && (!f->loop_id || strcmp(filter->loop_id, f->loop_id) != 0))
		return false;
	if (filter->sandbox && strcmp(filter->sandbox, f->name) != 0 &&
	    strcmp(filter->sandbox, f->id) != 0)
		return false;
	if (filter->tool && (!f->tool || strcmp(filter->tool, f->tool) != 0))
		return false;
	if (filter->state && strcmp(filter->state, sandbox_state_to_string(f->state)) != 0)
		return false;
	return pairs_include(&f->labels, &filter->labels);
}

static bool list_one(struct sandbox *s, void *userdata)
{
	const struct sandbox_facts *f = sandbox_facts(s);
	struct listing *l = userdata;

	if (sandbox_is_hidden(s) || (l->peer != 0 && f->peer != l->peer) ||
	    !matches(f, &l->params->filter))
		return true;
	(void)json_object_array_add(l->list, value_sandbox(s)); /* out of memory: shorter */
	return (int64_t)json_object_array_length(l->list) < l->params->limit;
}

void method_sandbox_list(struct request *r, void *userdata)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct json_object *result;
	struct sandbox *after = NULL;
	struct listing l = { .params = request_params(r), .peer = request_uid(r) };

	if (l.params->after) {
		after = sandbox_find(userdata, l.peer, l.params->after, &e);
		if (!after) {
			(void)error_set(&e, ERROR_NOT_FOUND, "after", "list from the start again",
					"there is no sandbox %s any more", l.params->after);
			request_fail(r, &e);
			return;
		}
	}
	result = json_object_new_object();
	l.list = json_object_new_array();
	if (after)
		manager_each_sandbox_after(after, list_one, &l);
	else
		manager_each_sandbox(userdata, list_one, &l);
	json_object_object_add(result, "sandboxes", l.list);
	request_reply(r, result);
}
