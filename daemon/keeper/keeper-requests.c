/* SPDX-License-Identifier: Apache-2.0 */
/* One function per request, behind one gate: version, known type, size of the struct, HELLO first.
 * Whoever sends nonsense gets -EBADMSG or -EINVAL and nothing changes. */

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "adopt.h"
#include "claim.h"
#include "files.h"
#include "keeper-wire.h"
#include "keeper.h"
#include "layer.h"
#include "macro.h"
#include "nudge.h"
#include "root-build.h"

#define PROBE_NAME_MAX (NAME_LENGTH_MAX + 16)

static void reply_reason(struct keeper *k, const struct wire_header *h, int error,
			 const char *reason)
{
	link_reply_text(&k->link, h->type, h->serial, error,
			(struct link_text){ sizeof(struct keeper_reason_reply),
					    offsetof(struct keeper_reason_reply, reason), reason });
}

/* A string that is a safe name, or NULL. */
static const char *get_name(const struct wire_message *m, struct wire_str s)
{
	bool bad = false;
	const char *text = wire_string(m, s, &bad);

	return !bad && name_good(text) ? text : NULL;
}

/* ---- HELLO ---- */

static int add_cgroups(struct keeper *k, struct wire_message *m)
{
	const struct keeper_hello *h = (const void *)m->data;
	char probe[PROBE_NAME_MAX];
	uint32_t i;
	int fd;

	(void)snprintf(probe, sizeof(probe), "%s-probe", k->instance);
	for (i = 0; i < h->n_cgroups; i++) {
		fd = wire_take_fd(m, h->cgroups[i].fd);
		if (fd < 0)
			return -EBADMSG;
		cgroups_add(&k->cgroups, fd, &h->cgroups[i], probe);
	}
	return 0;
}

struct hello_texts {
	const char *instance;
	const char *init;
};

/* A daemon that comes back: its sandboxes, directories and cgroups are there, what new sandboxes
 * are made of may have changed. */
static int greet_again(struct keeper *k, struct wire_message *m, const struct hello_texts *t,
		       const char **what)
{
	int seccomp;

	*what = "instance";
	if (strcmp(t->instance, k->instance) != 0)
		return -EEXIST;
	*what = "message";
	seccomp = wire_take_fd(m, 0);
	if (seccomp < 0)
		return -EBADMSG;
	(void)close_fd(k->seccomp);
	k->seccomp = seccomp;
	*what = t->init;
	return tree_copy_init(&k->tree, k->ids, t->init);
}

static int greet(struct keeper *k, struct wire_message *m, const struct hello_texts *t,
		 const char **what)
{
	const struct keeper_hello *h = (const void *)m->data;
	CLEANUP_FD int state = wire_take_fd(m, 1);
	int r;

	*what = "message";
	k->seccomp = wire_take_fd(m, 0);
	if (k->seccomp < 0 || state < 0)
		return -EBADMSG;
	(void)snprintf(k->instance, sizeof(k->instance), "%s", t->instance);
	*what = "state directory";
	r = tree_attach_state(&k->tree, state, h->state_is_mount);
	if (r < 0)
		return r;
	k->spools.dir = k->tree.spool;
	*what = t->init;
	r = tree_copy_init(&k->tree, k->ids, t->init);
	if (r < 0)
		return r;
	*what = "cgroups";
	return add_cgroups(k, m);
}

static int check_hello(struct wire_message *m, struct hello_texts *t)
{
	const struct keeper_hello *h = (const void *)m->data;
	bool bad = false;

	t->instance = get_name(m, h->instance);
	t->init = wire_string(m, h->init, &bad);
	if (bad || !t->instance || strlen(t->instance) > NAME_LENGTH_MAX / 2 || !t->init ||
	    t->init[0] != '/' || h->n_cgroups > KEEPER_CGROUPS_MAX)
		return -EBADMSG;
	return 0;
}

static void on_hello(struct keeper *k, struct wire_message *m)
{
	const uint64_t serial = wire_head(m)->serial;
	const uint64_t orphan_ms = ((const struct keeper_hello *)(const void *)m->data)->orphan_ms;
	struct keeper_hello_reply *reply;
	const char *what = "message";
	struct wire_message *out;
	struct hello_texts texts;
	char reason[512];
	int r;

	r = check_hello(m, &texts);
	if (r == 0)
		r = k->greeted ? greet_again(k, m, &texts, &what) : greet(k, m, &texts, &what);
	if (r == 0)
		k->orphan_ms = orphan_ms > INT64_MAX / 2 ? INT64_MAX / 2 : (int64_t)orphan_ms;
	out = link_begin(&k->link, KEEPER_HELLO, serial, sizeof(*reply));
	reply = (struct keeper_hello_reply *)(void *)out->data;
	reply->header.error = r;
	reply->controllers = k->cgroups.controllers;
	if (r < 0) {
		(void)snprintf(reason, sizeof(reason), "%s: %s", what, strerror(-r));
		(void)wire_add_string(out, offsetof(struct keeper_hello_reply, reason), reason);
	}
	link_send(&k->link);
	if (r == 0 && !k->greeted) {
		k->greeted = true;
		layer_sweep(&k->tree);
		keeper_empty_trash(k); /* of an earlier keeper */
	} else if (r < 0 && !k->greeted) {
		keeper_end(k); /* half-built: the daemon starts another one */
	}
}

/* ---- CREATE, CLAIM ---- */

/* The program's path, if the kind has one. */
static int parse_runtime(struct wire_message *m, struct runtime_job *job, const char **ret_program)
{
	const struct keeper_create *c = (const void *)m->data;
	bool bad = false;

	job->kind = runtime_kind(c->runtime);
	if (!job->kind)
		return -ENOSYS;
	*ret_program = wire_string(m, c->program, &bad);
	if (bad || (job->kind->has_program && (!*ret_program || (*ret_program)[0] != '/')))
		return -EINVAL;
	return 0;
}

static int parse_create(struct keeper *k, struct wire_message *m, struct runtime_job *job)
{
	const struct keeper_create *c = (const void *)m->data;
	const char *id = get_name(m, c->id);
	uint32_t i;

	if (!id || strlen(k->instance) + strlen(id) + 1 > NAME_LENGTH_MAX || m->n_fds != 1 ||
	    c->n_lowers > KEEPER_LOWERS_MAX || c->timeout_ms == 0 ||
	    c->timeout_ms > KEEPER_CREATE_TIMEOUT_MAX_MS)
		return -EINVAL;
	(void)snprintf(job->id, sizeof(job->id), "%s", id);
	(void)snprintf(job->name, sizeof(job->name), "%s-%s", k->instance, id);
	for (i = 0; i < c->n_lowers; i++) {
		job->lowers[i] = get_name(m, c->lowers[i]);
		if (!job->lowers[i])
			return -EINVAL;
	}
	job->n_lowers = c->n_lowers;
	job->flags = c->flags;
	job->timeout_ms = c->timeout_ms;
	job->limits = c->limits;
	return 0;
}

static const char *why_not_created(int r)
{
	switch (r) {
	case -EEXIST:
		return "a sandbox of this id is still there";
	case -ESHUTDOWN:
		return "the keeper is about to end";
	default:
		return "malformed";
	}
}

static void on_create(struct keeper *k, struct wire_message *m)
{
	const struct wire_header *h = wire_head(m);
	struct runtime_job job = { .tree = &k->tree,
				   .ids = k->ids,
				   .cgroups = &k->cgroups,
				   .nofile = &k->nofile,
				   .seccomp = k->seccomp,
				   .socket = -1 };
	const struct box *before;
	const char *program = NULL;
	int r = parse_create(k, m, &job);

	if (r == 0)
		r = parse_runtime(m, &job, &program);
	if (r == 0) {
		before = box_find(k, job.id);
		if (before && (before->state != BOX_PREPARED || !job.kind->listen))
			r = -EEXIST;
	}
	if (r == 0 && k->ending)
		r = -ESHUTDOWN;
	if (r < 0) {
		link_reply_text(&k->link, h->type, h->serial, r,
				(struct link_text){ sizeof(struct keeper_create_reply),
						    offsetof(struct keeper_create_reply, reason),
						    why_not_created(r) });
		return;
	}
	(void)ended_take(&k->ended, job.id, &(struct ended){ 0 }); /* of an earlier run */
	job.socket = wire_take_fd(m, 0);
	box_create(k, h->serial, &job, program);
}

static void unstage(struct keeper *k)
{
	struct worker_job job;

	if (!claim_take_staged())
		return;
	job = keeper_worker_job(k, -1);
	job.run = claim_unstage;
	job.arg = &k->tree;
	(void)worker_start(&k->workers, &job, NULL); /* else: with the next claim */
}

static void on_undo(struct keeper *k, struct wire_message *m)
{
	const struct keeper_claim *c = (const void *)m->data;
	const struct wire_header *h = &c->header;
	const struct box_end end = { h->type, (c->flags & KEEPER_CLAIM_GIVE_BACK) != 0, h->serial };
	const char *id = get_name(m, c->id);
	int r = id ? 0 : -EINVAL;

	if (id && box_find(k, id))
		r = -EBUSY;
	if (r == 0)
		r = box_undo(k, id, m, &end);
	if (r < 0)
		reply_reason(k, h, r, "what an earlier keeper left cannot be undone");
	unstage(k);
}

static void on_claim(struct keeper *k, struct wire_message *m)
{
	const struct keeper_claim *c = (const void *)m->data;
	const struct wire_header *h = &c->header;
	const char *id = get_name(m, c->id);
	struct box *b = id ? box_find(k, id) : NULL;
	struct claim_target target;
	char reason[CLAIM_REASON_MAX] = "";
	int r;

	if (c->flags & KEEPER_CLAIM_UNDO) {
		on_undo(k, m);
		return;
	}
	if (c->flags & KEEPER_CLAIM_BEFORE) {
		r = !id ? -EINVAL : b ? -EEXIST : box_prepare(k, id, m, reason);
		reply_reason(k, h, r, reason);
		unstage(k);
		return;
	}
	if (!b || b->state != BOX_RUNNING || b->pidfd < 0) {
		reply_reason(k, h, -ESRCH, "the sandbox is not running");
		return;
	}
	target = (struct claim_target){ .tree = &k->tree,
					.id = b->job.id,
					.pidfd = b->pidfd,
					.enters = b->job.kind->enters,
					.shm_bytes = b->job.limits.shm_bytes,
					.release = &b->release,
					.own = &b->own };
	b->claimed = true;
	r = claim_run(&target, m, reason);
	if (r == 0) {
		r = cgroup_limit(&k->cgroups, b->job.name, &b->job.limits, &c->limits);
		if (r < 0)
			(void)snprintf(reason, sizeof(reason), "limits: %s", strerror(-r));
	}
	if (r == 0)
		b->job.limits = c->limits;
	reply_reason(k, h, r, reason);
	unstage(k);
}

static void on_recall(struct keeper *k, struct wire_message *m)
{
	const struct wire_header h = *wire_head(m);
	const char *id = get_name(m, ((const struct keeper_claim *)(const void *)m->data)->id);
	struct box *b = id ? box_find(k, id) : NULL;
	char reason[CLAIM_REASON_MAX] = "";
	struct claim_target target;
	int r = -ESRCH;

	if (b && b->claimed) {
		r = -EEXIST;
	} else if (b && b->foreign && b->state == BOX_RUNNING) {
		target = (struct claim_target){ .tree = &k->tree,
						.id = b->job.id,
						.pidfd = b->pidfd,
						.enters = b->job.kind->enters,
						.release = &b->release,
						.own = &b->own };
		r = claim_recall(&target, m, reason);
		b->claimed = r == 0;
	}
	reply_reason(k, &h, r, reason);
	unstage(k);
}

/* ---- VIEW ---- */

static void on_view(struct keeper *k, struct wire_message *m)
{
	const struct keeper_view *v = (const void *)m->data;
	const struct wire_header h = v->header;
	const char *id = get_name(m, v->id);
	struct box *b = id ? box_find(k, id) : NULL;
	struct keeper_reason_reply *reply;
	char reason[VIEW_REASON_MAX] = "the sandbox is not running";
	struct wire_message *out;
	int mounts = -1, network = -1, r = -ESRCH;

	if (b && b->state == BOX_RUNNING && b->pidfd >= 0 && b->job.kind->enters)
		r = view_make(&(struct view_target){ b->pidfd, &b->own, &b->release }, m, &mounts,
			      &network, reason);
	if (r < 0) {
		reply_reason(k, &h, r, reason);
		return;
	}
	out = link_begin(&k->link, h.type, h.serial, sizeof(*reply));
	if (mounts >= 0)
		(void)wire_add_fd(out, mounts); /* two fit */
	if (network >= 0)
		(void)wire_add_fd(out, network);
	link_send(&k->link);
}

/* ---- KILL, REMOVE, FREEZE, NUDGE, STATS ---- */

static void reply_counters(struct keeper *k, const struct wire_header *h, int error,
			   const struct keeper_counters *counters)
{
	struct wire_message *m =
		link_begin(&k->link, h->type, h->serial, sizeof(struct keeper_counters_reply));
	struct keeper_counters_reply *reply = (struct keeper_counters_reply *)(void *)m->data;

	reply->header.error = error;
	if (counters)
		reply->counters = *counters;
	link_send(&k->link);
}

static void on_end(struct keeper *k, struct wire_message *m)
{
	const struct keeper_end *e = (const void *)m->data;
	const struct wire_header *h = &e->header;
	const char *id = get_name(m, e->id);
	struct box *b = id ? box_find(k, id) : NULL;
	struct box_end end = { h->type, e->give_back != 0, h->serial };
	int r;

	if (b) {
		box_end(b, &end);
		return;
	}
	r = id ? -ESRCH : -EINVAL;
	if (id && h->type == KEEPER_REMOVE) {
		(void)ended_take(&k->ended, id, &(struct ended){ 0 });
		r = runtime_discard_upper(&k->tree, id);
		if (r == -ENOENT)
			r = 0;
		keeper_empty_trash(k);
	}
	reply_counters(k, h, r, NULL);
}

static void on_freeze(struct keeper *k, struct wire_message *m)
{
	const struct keeper_end *e = (const void *)m->data;
	const struct wire_header *h = &e->header;
	const char *id = get_name(m, e->id);
	struct box *b = id ? box_find(k, id) : NULL;

	if (!b || b->state != BOX_RUNNING)
		link_reply(&k->link, h->type, h->serial, id ? -ESRCH : -EINVAL);
	else
		box_freeze(b, h->type, h->serial);
}

static void on_nudge(struct keeper *k, struct wire_message *m)
{
	const struct keeper_end *e = (const void *)m->data;
	const struct wire_header *h = &e->header;
	const char *id = get_name(m, e->id);
	const struct box *b = id ? box_find(k, id) : NULL;
	int r = id ? -ESRCH : -EINVAL;

	if (b && b->state == BOX_RUNNING)
		r = nudge(b->pid);
	link_reply(&k->link, h->type, h->serial, r < 0 ? r : 0);
}

static void on_stats(struct keeper *k, struct wire_message *m)
{
	const struct keeper_stats *s = (const void *)m->data;
	const struct wire_header *h = &s->header;
	const char *id = s->id.length == 0 ? "" : get_name(m, s->id);

	if (id)
		keeper_stats(k, h, id, s->flags);
	else
		link_reply(&k->link, h->type, h->serial, -EINVAL);
}

/* ---- layers ---- */

struct layer_request {
	struct keeper *keeper;
	uint16_t type;
	uint64_t serial;
	struct layer_job job;
};

static void reply_layer(struct keeper *k, struct wire_header h, const struct worker_result *result)
{
	struct wire_message *m =
		link_begin(&k->link, h.type, h.serial, sizeof(struct keeper_layer_reply));
	struct keeper_layer_reply *reply = (struct keeper_layer_reply *)(void *)m->data;

	reply->header.error = result->error;
	reply->size_bytes = result->size_bytes;
	if (result->reason[0] != '\0')
		(void)wire_add_string(m, offsetof(struct keeper_layer_reply, reason),
				      result->reason);
	link_send(&k->link);
}

static void on_layer_answer(void *owner, const struct worker_result *result)
{
	const struct layer_request *request = owner;

	reply_layer(request->keeper,
		    (struct wire_header){ .type = request->type, .serial = request->serial },
		    result);
}

static void on_layer_end(void *owner)
{
	struct layer_request *request = owner;

	layer_drop_unfinished(&request->keeper->tree, request->job.layer);
	keeper_empty_trash(request->keeper);
	free(request);
}

static int start_layer_worker(struct keeper *k, const struct wire_header *h, const char *id,
			      const char *layer)
{
	struct layer_request *request = calloc(1, sizeof(*request));
	struct worker_job job = keeper_worker_job(k, -1);
	int r;

	if (!request)
		return -ENOMEM;
	request->keeper = k;
	request->type = h->type;
	request->serial = h->serial;
	request->job.tree = &k->tree;
	(void)snprintf(request->job.id, sizeof(request->job.id), "%s", id);
	(void)snprintf(request->job.layer, sizeof(request->job.layer), "%s", layer);
	job.run = h->type == KEEPER_LAYER_COPY ? layer_copy : layer_save;
	job.arg = &request->job;
	job.on_answer = on_layer_answer;
	job.on_end = on_layer_end;
	job.owner = request;
	r = worker_start(&k->workers, &job, NULL);
	if (r < 0)
		free(request);
	return r;
}

static void on_layer(struct keeper *k, struct wire_message *m)
{
	const struct keeper_layer *l = (const void *)m->data;
	const struct wire_header *h = &l->header;
	const char *layer = get_name(m, l->layer);
	const char *id = get_name(m, l->id);
	struct worker_result result = { 0 };

	if (!layer || (h->type != KEEPER_LAYER_REMOVE && !id)) {
		result.error = -EINVAL;
	} else if (h->type == KEEPER_LAYER_REMOVE) {
		result.error = layer_remove(&k->tree, layer);
		keeper_empty_trash(k);
	} else {
		result.error = h->type == KEEPER_LAYER_SAVE && box_find(k, id)
				       ? -EBUSY
				       : start_layer_worker(k, h, id, layer);
		if (result.error == 0)
			return;
	}
	if (result.error < 0)
		(void)snprintf(result.reason, sizeof(result.reason), "layer: %s",
			       strerror(-result.error));
	reply_layer(k, *h, &result);
}

struct root_request {
	struct keeper *keeper;
	uint64_t serial;
	struct root_build_job job;
};

static void on_root_answer(void *owner, const struct worker_result *result)
{
	const struct root_request *request = owner;

	reply_layer(request->keeper,
		    (struct wire_header){ .type = KEEPER_ROOT_BUILD, .serial = request->serial },
		    result);
}

static void on_root_end(void *owner)
{
	struct root_request *request = owner;

	layer_drop_unfinished(&request->keeper->tree, request->job.layer);
	keeper_empty_trash(request->keeper);
	(void)close_fd(request->job.output);
	free(request);
}

static int parse_root_build(struct wire_message *m, struct root_build_job *job)
{
	const struct keeper_root_build *b = (const void *)m->data;
	const char *layer = get_name(m, b->layer), *suite = get_name(m, b->suite), *text;
	bool bad = false;
	uint32_t i;

	if (!layer || !suite || b->n_env > KEEPER_ROOT_ENV_MAX || m->n_fds != 1)
		return -EINVAL;
	for (i = 0; i < b->n_env; i++) {
		text = wire_string(m, b->env[i], &bad);
		if (bad || !text || strlen(text) >= ROOT_BUILD_TEXT_MAX)
			return -EINVAL;
		(void)snprintf(job->env[i], sizeof(job->env[i]), "%s", text);
	}
	job->n_env = b->n_env;
	(void)snprintf(job->layer, sizeof(job->layer), "%s", layer);
	(void)snprintf(job->suite, sizeof(job->suite), "%s", suite);
	return 0;
}

static int start_root_build(struct keeper *k, struct wire_message *m)
{
	struct root_request *request = calloc(1, sizeof(*request));
	struct worker_job job;
	int r = request ? parse_root_build(m, &request->job) : -ENOMEM;

	if (r < 0) {
		free(request);
		return r;
	}
	request->keeper = k;
	request->serial = wire_head(m)->serial;
	request->job.tree = &k->tree;
	request->job.ids = k->ids;
	request->job.output = wire_take_fd(m, 0);
	job = keeper_worker_job(k, request->job.output);
	job.run = root_build;
	job.arg = &request->job;
	job.timeout_ms = KEEPER_ROOT_BUILD_MS;
	job.on_answer = on_root_answer;
	job.on_end = on_root_end;
	job.owner = request;
	r = worker_start(&k->workers, &job, NULL);
	if (r < 0) {
		(void)close_fd(request->job.output);
		free(request);
		return r;
	}
	/* the worker's copy is the last one: the daemon sees its end */
	request->job.output = close_fd(request->job.output);
	return 0;
}

static void on_root_build(struct keeper *k, struct wire_message *m)
{
	struct worker_result result = { .error = start_root_build(k, m) };

	if (result.error < 0)
		reply_layer(k, *wire_head(m), &result);
}

/* ---- a daemon that came back ---- */

static void on_list(struct keeper *k, struct wire_message *m)
{
	adopt_list(k, wire_head(m));
}

static void on_adopt(struct keeper *k, struct wire_message *m)
{
	const struct keeper_adopt *a = (const void *)m->data;
	const char *id = get_name(m, a->id);

	if (id)
		adopt_sandbox(k, id, m);
	else
		link_reply(&k->link, a->header.type, a->header.serial, -EINVAL);
}

/* ---- spool, end ---- */

/* A sandbox that ended before its daemon knew does not end again. */
static void uncover_ended(struct keeper *k, const struct wire_message *m, struct wire_str sandbox)
{
	bool bad = false;
	const char *id = wire_string(m, sandbox, &bad);

	if (id && !box_find(k, id))
		spool_cover_end(&k->spools.covers, id);
}

static void on_spool_open(struct keeper *k, struct wire_message *m)
{
	const struct keeper_spool_open *request = (const void *)m->data;

	spools_open(&k->spools, m);
	uncover_ended(k, m, request->sandbox);
}

static void on_spool_finish(struct keeper *k, struct wire_message *m)
{
	spools_finish(&k->spools, m);
}

static void on_spool_hold(struct keeper *k, struct wire_message *m)
{
	spools_hold(&k->spools, m);
}

static void on_spool_adopt(struct keeper *k, struct wire_message *m)
{
	spools_adopt(&k->spools, m);
}

static void on_spool_drop_stdin(struct keeper *k, struct wire_message *m)
{
	spools_drop_stdin(&k->spools, m);
}

static void on_spool_mask(struct keeper *k, struct wire_message *m)
{
	const struct keeper_spool_mask *request = (const void *)m->data;

	spools_mask(&k->spools, m);
	uncover_ended(k, m, request->sandbox);
}

static void on_spool_remove(struct keeper *k, struct wire_message *m)
{
	spools_remove(&k->spools, m);
}

static void on_shutdown(struct keeper *k, struct wire_message *m)
{
	k->shutdown_serial = wire_head(m)->serial;
	keeper_end(k);
}

static const struct {
	size_t size;
	void (*handle)(struct keeper *k, struct wire_message *m);
} handlers[] = {
	[KEEPER_HELLO] = { sizeof(struct keeper_hello), on_hello },
	[KEEPER_CREATE] = { sizeof(struct keeper_create), on_create },
	[KEEPER_CLAIM] = { sizeof(struct keeper_claim), on_claim },
	[KEEPER_RECALL] = { sizeof(struct keeper_claim), on_recall },
	[KEEPER_KILL] = { sizeof(struct keeper_end), on_end },
	[KEEPER_REMOVE] = { sizeof(struct keeper_end), on_end },
	[KEEPER_STATS] = { sizeof(struct keeper_stats), on_stats },
	[KEEPER_SPOOL_OPEN] = { sizeof(struct keeper_spool_open), on_spool_open },
	[KEEPER_SPOOL_FINISH] = { sizeof(struct keeper_spool_finish), on_spool_finish },
	[KEEPER_SPOOL_REMOVE] = { sizeof(struct keeper_spool_ref), on_spool_remove },
	[KEEPER_SPOOL_HOLD] = { sizeof(struct keeper_spool_hold), on_spool_hold },
	[KEEPER_LAYER_SAVE] = { sizeof(struct keeper_layer), on_layer },
	[KEEPER_LAYER_REMOVE] = { sizeof(struct keeper_layer), on_layer },
	[KEEPER_LAYER_COPY] = { sizeof(struct keeper_layer), on_layer },
	[KEEPER_ROOT_BUILD] = { sizeof(struct keeper_root_build), on_root_build },
	[KEEPER_FREEZE] = { sizeof(struct keeper_end), on_freeze },
	[KEEPER_THAW] = { sizeof(struct keeper_end), on_freeze },
	[KEEPER_NUDGE] = { sizeof(struct keeper_end), on_nudge },
	[KEEPER_VIEW] = { sizeof(struct keeper_view), on_view },
	[KEEPER_LIST] = { sizeof(struct wire_header), on_list },
	[KEEPER_ADOPT] = { sizeof(struct keeper_adopt), on_adopt },
	[KEEPER_SPOOL_ADOPT] = { sizeof(struct keeper_spool_ref), on_spool_adopt },
	[KEEPER_SPOOL_DROP_STDIN] = { sizeof(struct keeper_spool_ref), on_spool_drop_stdin },
	[KEEPER_SPOOL_MASK] = { sizeof(struct keeper_spool_mask), on_spool_mask },
	[KEEPER_SHUTDOWN] = { sizeof(struct wire_header), on_shutdown },
};

void keeper_dispatch(struct keeper *k, struct wire_message *m)
{
	const struct wire_header *h = wire_head(m);
	int r = 0;

	if (h->version != KEEPER_WIRE_VERSION)
		r = -EPROTONOSUPPORT;
	else if (h->type >= ARRAY_SIZE(handlers) || !handlers[h->type].handle)
		r = -ENOSYS;
	else if (h->size < handlers[h->type].size)
		r = -EBADMSG;
	else if (!k->greeted && h->type != KEEPER_HELLO && h->type != KEEPER_SHUTDOWN)
		r = -EPROTO;
	if (r < 0)
		link_reply(&k->link, h->type, h->serial, r);
	else
		handlers[h->type].handle(k, m);
}
