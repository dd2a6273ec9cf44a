/* SPDX-License-Identifier: Apache-2.0 */
/* Who needs a template gets it from here, at once or when its build is done.
 *
 * A row is in the database before its build makes anything: what a crash leaves is a row that says
 * "building", loaded as failed, and its layer is removed by the next build of that name. A row owns
 * its waiters; whoever asks while a build runs joins it, so there is one per layer. Answers always
 * come from the event loop. */

#include "sandbox/template-row.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keeper-wire.h"
#include "macro.h"
#include "sandbox/disk-floor.h"
#include "sandbox/pool.h"
#include "sandbox/template-build.h"
#include "sandbox/template-debian.h"
#include "util/id.h"
#include "util/log.h"
#include "util/strings.h"
#include "util/time.h"

/* ---- answers ---- */

void answer_free(struct answer *a)
{
	LIST_REMOVE(a, link);
	if (a->event)
		event_free(a->event);
	free(a->name);
	string_list_deinit(&a->layers);
	free(a);
}

static void tell(const struct template_wait *wait, const char *name,
		 const struct string_list *layers)
{
	const struct template_resolved resolved = {
		.name = name,
		.layers = { .items = (const char *const *)layers->items, .count = layers->count },
	};

	wait->done(&resolved, NULL, wait->userdata);
}

static void on_answer(evutil_socket_t fd, short what, void *userdata)
{
	struct answer *a = userdata;

	(void)fd;
	(void)what;
	tell(&a->wait, a->name, &a->layers);
	answer_free(a); /* the last thing; event_free() in its own callback is libevent's way */
}

/* ROW NULL: the host template. */
static int answer_later(struct template_table *t, const struct row *row,
			const struct template_wait *wait)
{
	struct answer *a = calloc(1, sizeof(*a));
	int r;

	if (!a)
		return -ENOMEM;
	LIST_INSERT_HEAD(&t->answers, a, link);
	a->wait = *wait;
	a->event = event_new(t->manager->base, -1, 0, on_answer, a);
	r = a->event ? string_copy(row ? row->name : HOST_TEMPLATE, &a->name) : -ENOMEM;
	if (r == 0 && row)
		r = row_layers(row, &a->layers);
	if (r < 0) {
		answer_free(a);
		return r;
	}
	event_active(a->event, 0, 0);
	return 0;
}

/* ---- builds ---- */

static void on_build_progress(const char *message, void *userdata)
{
	struct row *row = userdata;
	struct waiter *w;

	LIST_FOREACH (w, &row->waiters, link)
		if (w->wait.progress)
			w->wait.progress(message, w->wait.userdata);
}

/* What went wrong, once for each who waited. */
static void tell_failure(const struct waiter *w, const struct error *e)
{
	CLEANUP_ERROR struct error copy = { 0 };

	error_set(&copy, e->kind, e->field, e->hint, "%s", e->message ? e->message : "");
	if (e->resource)
		error_set_resource(&copy, "%s", e->resource);
	w->wait.done(NULL, &copy, w->wait.userdata);
}

/* Pops one after the other: a callback may forget another waiter. */
void row_tell_waiters(struct row *row, const struct error *e)
{
	CLEANUP_STRINGS struct string_list layers = { 0 };
	CLEANUP_ERROR struct error own = { 0 };
	struct waiter *w;
	int r = e ? 0 : row_layers(row, &layers);

	if (r < 0) {
		error_set_errno(&own, r, "the template %s cannot be used", row->name);
		e = &own;
	}
	while ((w = LIST_FIRST(&row->waiters))) {
		LIST_REMOVE(w, link);
		if (e)
			tell_failure(w, e);
		else
			tell(&w->wait, row->name, &layers);
		free(w);
	}
}

/* The row of a failed build goes, unless a layer of an earlier one may still be there. */
static void forget_failed(struct row *row)
{
	struct template_table *t = row->table;
	int r;

	if (!row->stale_layer) {
		r = store_template_delete(t->manager->store, row->owner, row->name);
		if (r < 0)
			log_errno(LOG_LEVEL_WARNING, r, "template %s: its row stays as failed",
				  row->name);
		row_drop(row);
		return;
	}
	free(row->layer);
	row->layer = TAKE_PTR(row->stale_layer);
	row->state = TEMPLATE_STATE_FAILED;
	r = row_store(row, false);
	if (r < 0)
		log_errno(LOG_LEVEL_WARNING, r, "template %s: its row is out of date", row->name);
}

static void on_build_ended(uint64_t size_bytes, struct error *e, void *userdata)
{
	struct row *row = userdata;
	CLEANUP_ERROR struct error own = { 0 };
	int r;

	row->build = NULL;
	row->debian = NULL;
	if (!e) {
		free(TAKE_PTR(row->stale_layer));
		row->size_bytes = size_bytes;
		row->state = TEMPLATE_STATE_READY;
		pool_template_changed(row->table->manager);
		r = row_store(row, false);
		if (r < 0) { /* a stale layer of the next build's */
			error_set_errno(&own, r, "the template %s cannot be remembered", row->name);
			row->stale_layer = string_format("%s", row->layer);
			e = &own;
		}
	}
	if (e)
		log_warning("template %s for uid %u: %s", row->name, (unsigned)row->owner,
			    e->message ? e->message : "");
	row_tell_event(row, NULL,
		       template_state_to_string(e ? TEMPLATE_STATE_FAILED : TEMPLATE_STATE_READY),
		       e ? e->message : NULL);
	row_tell_waiters(row, e);
	if (e)
		forget_failed(row);
}

static int add_waiter(struct row *row, const struct template_wait *wait)
{
	struct waiter *w = calloc(1, sizeof(*w));

	if (!w)
		return -ENOMEM;
	w->wait = *wait;
	LIST_INSERT_HEAD(&row->waiters, w, link);
	return 0;
}

/* A layer that is asked for. */
struct wanted {
	const struct template_query *query;
	struct tool_choice choice;
	const char *suite; /* of debian; NULL: the tool's of CHOICE */
	bool force;
	char name[TOOL_VERSION_SIZE + 64]; /* of the template */
	char digest[SHA256_TEXT_SIZE];
};

/* A fresh row, or what is left of an earlier one of the same name, made ready to be
 * built: a new layer name, the old one as the stale layer. */
static int prepare_row(struct template_table *t, const struct wanted *w, struct row **ret)
{
	struct row *old = row_find(t, w->query->owner, w->name), *row;
	char id[SHORT_ID_SIZE];
	CLEANUP_STR char *layer = NULL;
	struct store_template stored;
	int r = id_make_short(id);

	if (r < 0)
		return r;
	if (w->suite)
		layer = string_format("debian-%s-%s" KEEPER_ROOT_SUFFIX, w->suite, id);
	else
		layer = string_format("%s-%s-%s", w->choice.profile->name, w->choice.version, id);
	if (!layer)
		return -ENOMEM;
	stored = (struct store_template){
		.name = w->name,
		.owner = w->query->owner,
		.peer = w->query->peer,
		.digest = w->digest,
		.base = w->suite ? NULL : w->choice.profile->base,
		.tool = w->suite ? NULL : w->choice.profile->name,
		.version = w->suite ? w->suite : w->choice.version,
		.layer = layer,
		.created_at_ms = time_realtime_ms(),
		.state = template_state_to_string(TEMPLATE_STATE_BUILDING),
	};
	r = row_new(&row, t, &stored);
	if (r < 0)
		return r;
	row->state = TEMPLATE_STATE_BUILDING;
	pool_template_changed(t->manager);
	r = old ? store_template_update(t->manager->store, &stored)
		: store_template_insert(t->manager->store, &stored);
	if (r < 0) {
		row_free(row);
		return r;
	}
	if (old) {
		row->stale_layer = TAKE_PTR(old->layer);
		row_drop(old);
	}
	TAILQ_INSERT_TAIL(&t->rows, row, link);
	row_tell_event(row, NULL, stored.state, NULL);
	*ret = row;
	return 0;
}

static int start_tool(const struct wanted *w, struct row *row, struct error *reterr)
{
	const struct build_config config = {
		.manager = row->table->manager,
		.owner = row->owner,
		.peer = row->peer,
		.choice = w->choice,
		.layer = row->layer,
		.stale_layer = row->stale_layer,
		.on_progress = on_build_progress,
		.on_ended = on_build_ended,
		.userdata = row,
	};

	return build_new(&row->build, &config, reterr);
}

static int start_debian(const struct wanted *w, struct row *row, struct error *reterr)
{
	const struct debian_config config = {
		.manager = row->table->manager,
		.owner = row->owner,
		.suite = w->suite,
		.layer = row->layer,
		.stale_layer = row->stale_layer,
		.on_progress = on_build_progress,
		.on_ended = on_build_ended,
		.userdata = row,
	};

	return debian_new(&row->debian, &config, reterr);
}

static int start_build(struct template_table *t, const struct wanted *w, struct row **ret,
		       struct error *reterr)
{
	struct row *row;
	int r;

	if ((w->suite && debian_check(w->suite, reterr) < 0) ||
	    disk_floor_check(t->manager, reterr) < 0)
		return -1;
	r = prepare_row(t, w, &row);
	if (r < 0)
		return error_set_errno(reterr, r, "the template %s cannot be built", w->name);
	r = w->suite ? start_debian(w, row, reterr) : start_tool(w, row, reterr);
	if (r < 0) {
		forget_failed(row);
		return -1;
	}
	log_info("template %s: building for uid %u", w->name, (unsigned)w->query->owner);
	*ret = row;
	return 0;
}

/* ---- resolving ---- */

/* A template that was saved by that name, or NULL. */
static struct row *find_saved(const struct template_table *t, const struct template_query *q)
{
	struct row *row = q->template_name ? row_find(t, q->owner, q->template_name) : NULL;

	return row && row_is_saved(row) ? row : NULL;
}

/* Like resolve_layer() for what cannot be made again. */
static int check_saved(const struct row *row, struct error *reterr)
{
	if (row->removing)
		return error_set(reterr, ERROR_CONFLICT, NULL, NULL,
				 "the template %s is being removed", row->name);
	if (row->state != TEMPLATE_STATE_BUILDING && !row_layer_exists(row))
		return error_set(reterr, ERROR_INVALID_STATE, "template",
				 "remove it, and save it again",
				 "the files of template %s are gone", row->name);
	return 0;
}

/* PEER may know that somebody else has it, in whose keeper it cannot be used. */
static int refuse_unknown(const struct template_table *t, const struct template_query *q,
			  struct error *reterr)
{
	CLEANUP_STR char *hint = NULL;
	const struct row *row;

	TAILQ_FOREACH (row, &t->rows, link)
		if (!row->orphan && string_equal(row->name, q->template_name) &&
		    (q->peer == 0 || q->peer == row->peer))
			break;
	if (row)
		hint = string_format("it belongs to uid %u: name a workspace of theirs",
				     (unsigned)row->owner);
	error_set(reterr, ERROR_NOT_FOUND, "template",
		  hint ? hint
		       : "sandboxctl template ls; host, or a tool such as claude or claude@2.1.42",
		  "there is no template %s%s", q->template_name, row ? " here" : "");
	error_set_resource(reterr, "template %s", q->template_name);
	return -1;
}

/* A tool's layer stands on host and finds its libraries there. */
static int choose_debian(struct wanted *w, const struct tool_choice *tool, struct error *reterr)
{
	if (tool->profile && tool->version[0])
		return error_set(reterr, ERROR_UNAVAILABLE, "template",
				 "the tool shell, or the template host",
				 "the layer of tool %s does not stand on debian",
				 tool->profile->name);
	w->suite = debian_suite(w->query->template_name);
	return 1;
}

/* What the query asks for. Returns 1: a layer, in *W; 0: host; -1 with *RETERR. */
static int choose(const struct template_table *t, struct wanted *w, struct error *reterr)
{
	const struct config *config = t->manager->config;
	const struct template_query *q = w->query;
	const char *name = q->template_name;

	if (q->tool && tool_choose(config, q->tool, "tool", &w->choice, reterr) < 0)
		return -1;
	if (!name)
		return w->choice.profile && w->choice.version[0];
	if (string_equal(name, HOST_TEMPLATE))
		return 0;
	if (debian_suite(name))
		return choose_debian(w, &w->choice, reterr);
	if (!tool_find(config, name))
		return refuse_unknown(t, q, reterr);
	if (tool_choose(config, name, "template", &w->choice, reterr) < 0)
		return -1;
	return w->choice.version[0] != '\0';
}

static int name_wanted(struct wanted *w)
{
	if (w->suite) {
		(void)snprintf(w->name, sizeof(w->name), "debian@%.64s", w->suite);
		debian_digest(w->suite, w->digest);
		return 0;
	}
	(void)snprintf(w->name, sizeof(w->name), "%s@%s", w->choice.profile->name,
		       w->choice.version); /* always fits */
	return template_digest(&w->choice, w->digest);
}

/* May the layer of ROW be used as it is? A changed recipe asks for a new one, but not while
 * sandboxes stand on the old. */
static bool row_is_good(const struct row *row, const char *digest)
{
	struct row_user user;

	if (row->state != TEMPLATE_STATE_READY || row->removing || !row_layer_exists(row))
		return false;
	return string_equal(row->digest, digest) || row_in_use(row, true, &user);
}

/* The row to wait for or to use. */
static int resolve_layer(struct template_table *t, const struct wanted *w, struct row **ret,
			 struct error *reterr)
{
	struct row *row = row_find(t, w->query->owner, w->name);
	struct row_user user;

	if (row && row->removing)
		return error_set(reterr, ERROR_CONFLICT, NULL, "try again in a moment",
				 "the template %s is being removed", w->name);
	if (row && row->build && build_is_over(row->build))
		return error_set(reterr, ERROR_CONFLICT, NULL, "try again in a moment",
				 "the last build of the template %s is being cleaned up", w->name);
	if (row &&
	    (row->state == TEMPLATE_STATE_BUILDING || (!w->force && row_is_good(row, w->digest)))) {
		*ret = row;
		return 0;
	}
	if (row && row_in_use(row, true, &user))
		return row_refuse_in_use(row, &user, reterr);
	return start_build(t, w, ret, reterr);
}

bool template_peek(struct manager *m, const struct template_query *query, char **ret_name,
		   struct string_list *ret_layers)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct template_table *t = m->templates;
	struct wanted w = { .query = query };
	struct row *row = find_saved(t, query);
	int r;

	if (row) {
		if (row->state != TEMPLATE_STATE_READY || check_saved(row, &e) < 0 ||
		    !row_has_tool(row, query))
			return false;
	} else {
		r = choose(t, &w, &e);
		if (r > 0) {
			row = name_wanted(&w) < 0 ? NULL : row_find(t, query->owner, w.name);
			if (!row || !row_is_good(row, w.digest))
				return false;
		} else if (r < 0) {
			return false;
		}
	}
	if (string_copy(row ? row->name : HOST_TEMPLATE, ret_name) < 0)
		return false;
	return !row || row_layers(row, ret_layers) == 0;
}

static int wait_for(struct template_table *t, struct row *row, const struct template_wait *wait)
{
	if (row && row->state == TEMPLATE_STATE_BUILDING)
		return add_waiter(row, wait);
	return answer_later(t, row, wait);
}

int template_build(struct manager *m, const struct template_query *query, bool force,
		   const struct template_wait *wait, struct error *reterr)
{
	struct template_table *t = m->templates;
	struct wanted w = { .query = query, .force = force };
	struct row *row = find_saved(t, query);
	int r = row ? check_saved(row, reterr) : choose(t, &w, reterr);

	if (r < 0)
		return -1;
	if (row && force)
		return error_set(reterr, ERROR_INVALID_PARAMS, "force",
				 "remove it, and save it again",
				 "the template %s was saved and cannot be built", row->name);
	if (row) {
		r = row_pair(row, query, wait, reterr);
		if (r != 0)
			return r < 0 ? -1 : 0;
	} else if (r > 0) {
		r = name_wanted(&w);
		if (r < 0)
			return error_set_errno(reterr, r, "the template %s cannot be looked up",
					       w.name);
		if (resolve_layer(t, &w, &row, reterr) < 0)
			return -1;
	}
	r = wait_for(t, row, wait);
	return r < 0 ? error_set_errno(reterr, r, "a template cannot be waited for") : 0;
}

int template_resolve(struct manager *m, const struct template_query *query,
		     template_resolve_done *done, template_progress *progress, void *userdata,
		     struct error *reterr)
{
	const struct template_wait wait = { done, progress, userdata };

	return template_build(m, query, false, &wait, reterr);
}

void template_forget(struct manager *m, const void *userdata)
{
	struct template_table *t = m->templates;
	struct answer *a, *next_answer;
	struct waiter *w, *next;
	struct row *row;

	pairing_forget(t, userdata);
	for (a = LIST_FIRST(&t->answers); a; a = next_answer) {
		next_answer = LIST_NEXT(a, link);
		if (a->wait.userdata == userdata)
			answer_free(a);
	}
	TAILQ_FOREACH (row, &t->rows, link) {
		bool had = !LIST_EMPTY(&row->waiters);

		for (w = LIST_FIRST(&row->waiters); w; w = next) {
			next = LIST_NEXT(w, link);
			if (w->wait.userdata == userdata) {
				LIST_REMOVE(w, link);
				free(w);
			}
		}
		if (had && LIST_EMPTY(&row->waiters) && row->build)
			build_cancel(row->build);
		if (had && LIST_EMPTY(&row->waiters) && row->debian)
			debian_cancel(row->debian);
	}
}
