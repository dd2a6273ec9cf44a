/* SPDX-License-Identifier: Apache-2.0 */
/* template.list, get, build, remove, and sandbox.save, whose result is a template. */

#include <errno.h>
#include <json-c/json.h>
#include <stdlib.h>
#include <string.h>

#include "api/api.h"
#include "api/progress.h"
#include "api/values.h"
#include "params.h"
#include "sandbox/sandbox.h"
#include "sandbox/template.h"
#include "util/strings.h"

/* docs/rpc.md, Template. */
static struct json_object *value_template(const struct template_facts *t)
{
	struct json_object *o = json_object_new_object();

	json_object_object_add(o, "name", value_string(t->name));
	json_object_object_add(o, "digest", value_string(t->digest));
	value_add_string(o, "base", t->base);
	value_add_string(o, "tool", t->tool);
	value_add_string(o, "version", t->version);
	value_add_int(o, "sizeBytes", (int64_t)t->size_bytes);
	json_object_object_add(o, "createdAt", value_time(t->created_at_ms));
	value_add_string(o, "state", template_state_to_string(t->state));
	return o;
}

/* ---- list ---- */

struct listing {
	const struct list_params *params;
	struct template_facts *items;
	size_t count;
	bool failed;
};

static bool is_wanted(const struct template_facts *t, const struct list_params *p)
{
	if (p->filter.tool && !string_equal(p->filter.tool, t->tool))
		return false;
	if (p->filter.state && !string_equal(p->filter.state, template_state_to_string(t->state)))
		return false;
	return !p->after || strcmp(t->name, p->after) > 0;
}

static bool collect(const struct template_facts *t, void *userdata)
{
	struct listing *l = userdata;
	struct template_facts *items;

	if (!is_wanted(t, l->params))
		return true;
	items = reallocarray(l->items, l->count + 1, sizeof(*items));
	if (!items) {
		l->failed = true;
		return false;
	}
	items[l->count++] = *t;
	l->items = items;
	return true;
}

static int by_name(const void *a, const void *b)
{
	const struct template_facts *x = a, *y = b;
	int order = strcmp(x->name, y->name);

	return order ? order : (x->owner > y->owner) - (x->owner < y->owner);
}

/* What a template does not have cannot be asked for. */
static int check_filter(const struct filter_params *f, struct error *reterr)
{
	const char *field = f->loop_id        ? "filter.loopId"
			    : f->sandbox      ? "filter.sandbox"
			    : f->labels.count ? "filter.labels"
					      : NULL;

	return field ? error_set(reterr, ERROR_INVALID_PARAMS, field, "tool, state",
				 "templates cannot be filtered by %s", field)
		     : 0;
}

void method_template_list(struct request *r, void *userdata)
{
	const struct list_params *p = request_params(r);
	struct listing l = { .params = p };
	struct error e = { 0 };
	struct json_object *result, *list;
	size_t limit = (size_t)p->limit; /* the gate has given it its default and bounds */

	if (check_filter(&p->filter, &e) < 0) {
		request_fail(r, &e);
		return;
	}
	template_each(userdata, request_uid(r), collect, &l);
	if (l.failed) {
		free(l.items);
		error_set_errno(&e, -ENOMEM, "templates cannot be listed");
		request_fail(r, &e);
		return;
	}
	if (l.count)
		qsort(l.items, l.count, sizeof(*l.items), by_name);
	list = json_object_new_array();
	for (size_t i = 0; i < l.count && i < limit; i++)
		json_object_array_add(list, value_template(&l.items[i]));
	free(l.items);
	result = json_object_new_object();
	json_object_object_add(result, "templates", list);
	request_reply(r, result);
}

/* ---- get ---- */

static void reply_template(struct request *r, struct manager *m, const char *name)
{
	struct template_facts facts;
	struct error e = { 0 };

	if (template_get(m, request_uid(r), name, &facts, &e) < 0)
		request_fail(r, &e);
	else
		request_reply(r, value_template(&facts));
}

void method_template_get(struct request *r, void *userdata)
{
	const struct template_ref_params *p = request_params(r);

	reply_template(r, userdata, p->template_name);
}

/* ---- build ---- */

/* One template.build in flight; freed with its answer. */
struct building {
	struct request *request;
	struct manager *manager;
};

static void on_progress(const char *message, void *userdata)
{
	const struct building *b = userdata;

	progress_notify(message, b->request);
}

static void on_built(const struct template_resolved *t, struct error *e, void *userdata)
{
	struct building *b = userdata;
	struct request *r = b->request;
	struct manager *m = b->manager;

	free(b);
	if (t)
		reply_template(r, m, t->name);
	else
		request_fail(r, e);
}

static void on_given_up(struct request *r, void *userdata)
{
	struct building *b = userdata;
	struct error e = { 0 };

	template_forget(b->manager, b);
	free(b);
	error_set(&e, ERROR_CANCELLED, NULL, NULL, "the build was cancelled");
	request_fail(r, &e);
}

static int check_build(const struct template_build_params *p, struct error *reterr)
{
	if (p->tool && p->template_name)
		return error_set(reterr, ERROR_INVALID_PARAMS, "template", "one of them",
				 "a tool's layer or a template can be built, not both");
	if (!p->tool && !p->template_name)
		return error_set(reterr, ERROR_INVALID_PARAMS, "tool", "tool, or template: debian",
				 "it is not said what to build");
	return 0;
}

void method_template_build(struct request *r, void *userdata)
{
	static const struct request_watch watch = { .on_cancel = on_given_up,
						    .on_disconnect = on_given_up };
	const struct template_build_params *p = request_params(r);
	const struct template_query query = {
		.peer = request_uid(r),
		.owner = request_uid(r),
		.tool = p->tool,
		.template_name = p->template_name,
	};
	struct building *b;
	struct template_wait wait = { on_built, on_progress, NULL };
	struct error e = { 0 };

	if (check_build(p, &e) < 0) {
		request_fail(r, &e);
		return;
	}
	wait.userdata = b = malloc(sizeof(*b));
	if (!b) {
		error_set_errno(&e, -ENOMEM, "the template cannot be built");
		request_fail(r, &e);
		return;
	}
	*b = (struct building){ .request = r, .manager = userdata };
	if (template_build(userdata, &query, p->force, &wait, &e) < 0) {
		free(b);
		request_fail(r, &e);
		return;
	}
	request_watch(r, &watch, b);
}

/* ---- save ---- */

/* A client that goes away does not undo it. */
static void on_saved(const struct template_facts *t, struct error *e, void *userdata)
{
	struct request *r = userdata;

	if (t)
		request_reply(r, value_template(t));
	else
		request_fail(r, e);
}

void method_sandbox_save(struct request *r, void *userdata)
{
	const struct sandbox_save_params *p = request_params(r);
	const struct template_save_query query = {
		.manager = userdata,
		.peer = request_uid(r),
		.name = p->template_name,
	};
	struct error e = { 0 };
	struct sandbox *s = sandbox_find(userdata, query.peer, p->sandbox, &e);

	if (!s || template_save(s, &query, on_saved, r, &e) < 0)
		request_fail(r, &e);
}

/* ---- remove ---- */

static void on_removed(struct error *e, void *userdata)
{
	struct request *r = userdata;

	if (e)
		request_fail(r, e);
	else
		request_reply(r, json_object_new_object());
}

void method_template_remove(struct request *r, void *userdata)
{
	const struct template_ref_params *p = request_params(r);
	const struct template_remove_query query = {
		.peer = request_uid(r),
		.name = p->template_name,
		.force = p->force,
	};
	struct error e = { 0 };

	if (template_remove(userdata, &query, on_removed, r, &e) < 0)
		request_fail(r, &e);
}
