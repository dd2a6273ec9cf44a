/* SPDX-License-Identifier: Apache-2.0 */
/* loop.* but loop.run: a verb that takes time carries its request as userdata and answers it when
 * it is done, whether the client is still there or not. */

#include "loop/loop.h"

#include <json-c/json.h>
#include <string.h>

#include "api/api.h"
#include "api/loop-result.h"
#include "api/progress.h"
#include "api/values.h"
#include "params.h"
#include "util/pairs.h"
#include "util/strings.h"

/* ---- create ---- */

static void on_done(struct loop *l, struct error *e, void *userdata)
{
	struct request *r = userdata;

	if (e->kind != ERROR_NONE)
		request_fail(r, e);
	else
		request_reply(r, value_loop(l));
}

static void on_cancel(struct request *r, void *userdata)
{
	(void)r; /* answered by on_done() */
	loop_create_cancel(userdata);
}

/* A client that goes away does not take its loop along: the create goes on. */
void method_loop_create(struct request *r, void *userdata)
{
	static const struct request_watch watch = { .on_cancel = on_cancel };
	const struct loop_create create = { request_params(r), progress_notify, on_done, r };
	CLEANUP_ERROR struct error e = { 0 };
	struct loop_op *op;

	if (loop_create(userdata, request_uid(r), &create, &op, &e) < 0)
		request_fail(r, &e);
	else
		request_watch(r, &watch, op); /* lives until on_done() at least */
}

/* ---- get, cancel, destroy ---- */

/* The loop that R names, or NULL: then R was answered. */
static struct loop *find(struct request *r, struct manager *m)
{
	const struct loop_ref_params *p = request_params(r);
	CLEANUP_ERROR struct error e = { 0 };
	struct loop *l = loop_find(m, request_uid(r), p->loop_id, &e);

	if (!l)
		request_fail(r, &e);
	return l;
}

void method_loop_get(struct request *r, void *userdata)
{
	const struct loop *l = find(r, userdata);

	if (!l)
		return;
	loop_sample(l);
	request_reply(r, value_loop(l));
}

void method_loop_cancel(struct request *r, void *userdata)
{
	const struct loop_ref_params *p = request_params(r);
	CLEANUP_ERROR struct error e = { 0 };
	struct loop *l = find(r, userdata);

	if (l && loop_cancel(l, p->reason, on_done, r, &e) < 0)
		request_fail(r, &e);
}

static void on_destroyed(struct loop *l, struct error *e, void *userdata)
{
	struct request *r = userdata;

	if (e->kind != ERROR_NONE)
		request_fail(r, e);
	else
		request_reply(r, value_receipt(l));
}

static enum receipt_outcome choose_outcome(const struct loop *l, enum loop_outcome given)
{
	if (given == LOOP_OUTCOME_FAILED)
		return RECEIPT_FAILED;
	if (given == LOOP_OUTCOME_UNSET && loop_facts(l)->state == LOOP_STATE_CANCELLED)
		return RECEIPT_CANCELLED;
	return RECEIPT_COMPLETED;
}

void method_loop_destroy(struct request *r, void *userdata)
{
	const struct loop_ref_params *p = request_params(r);
	struct loop_destroy how = { .force = p->force, .done = on_destroyed, .userdata = r };
	CLEANUP_ERROR struct error e = { 0 };
	struct loop *l = find(r, userdata);

	if (!l)
		return;
	how.outcome = choose_outcome(l, p->outcome);
	if (loop_destroy(l, &how, &e) < 0)
		request_fail(r, &e);
}

/* ---- list ---- */

struct listing {
	const struct list_params *params;
	uid_t peer;
	const struct loop *after; /* not reached yet; NULL: collect */
	struct json_object *list;
};

static bool has_tool(const struct string_list *tools, const char *wanted)
{
	size_t i;

	for (i = 0; i < tools->count; i++)
		if (strcmp(tools->items[i], wanted) == 0)
			return true;
	return false;
}

static bool matches(const struct loop_facts *f, const struct filter_params *filter)
{
	if (filter->loop_id && strcmp(filter->loop_id, f->id) != 0)
		return false;
	if (filter->tool && !has_tool(&f->tools, filter->tool))
		return false;
	if (filter->state && strcmp(filter->state, loop_state_to_string(f->state)) != 0)
		return false;
	return pairs_include(&f->labels, &filter->labels);
}

static bool list_one(struct loop *l, void *userdata)
{
	const struct loop_facts *f = loop_facts(l);
	struct listing *listing = userdata;

	if (listing->after) {
		if (listing->after == l)
			listing->after = NULL;
		return true;
	}
	if ((listing->peer != 0 && f->peer != listing->peer) ||
	    !matches(f, &listing->params->filter))
		return true;
	(void)json_object_array_add(listing->list, value_loop(l)); /* out of memory: shorter */
	return (int64_t)json_object_array_length(listing->list) < listing->params->limit;
}

/* Root sees several of one name: the last of them, so that paging comes to an end. */
static bool find_last(struct loop *l, void *userdata)
{
	struct listing *listing = userdata;
	const struct loop_facts *f = loop_facts(l);

	if ((listing->peer == 0 || f->peer == listing->peer) &&
	    strcmp(f->id, listing->params->after) == 0)
		listing->after = l;
	return true;
}

static int check_list(struct listing *l, struct manager *m, struct error *reterr)
{
	if (l->params->filter.sandbox)
		return error_set(reterr, ERROR_INVALID_PARAMS, "filter.sandbox",
				 "loopId, tool, state, labels",
				 "loops cannot be filtered by sandbox");
	if (!l->params->after)
		return 0;
	loop_each(m, find_last, l);
	if (l->after)
		return 0;
	return error_set(reterr, ERROR_NOT_FOUND, "after", "list from the start again",
			 "there is no loop %s any more", l->params->after);
}

void method_loop_list(struct request *r, void *userdata)
{
	struct listing l = { .params = request_params(r), .peer = request_uid(r) };
	CLEANUP_ERROR struct error e = { 0 };
	struct json_object *result;

	if (check_list(&l, userdata, &e) < 0) {
		request_fail(r, &e);
		return;
	}
	result = json_object_new_object();
	l.list = json_object_new_array();
	loop_each(userdata, list_one, &l);
	json_object_object_add(result, "loops", l.list);
	request_reply(r, result);
}
