/* SPDX-License-Identifier: Apache-2.0 */
/* A spare is a hidden sandbox in state `creating` whose op has ended. So its row is swept when the
 * daemon dies, it is in no list, and boot and remove are those of any sandbox.
 *
 * The sandbox owns its struct spare, from spare_new() to the end of the boot that made it
 * somebody's sandbox, or to its own end. The pool's list borrows it until it is taken. */

#include "sandbox/spare.h"

#include <event2/event.h>
#include <string.h>
#include <sys/stat.h>

#include "sandbox/config.h"
#include "sandbox/init-client.h"
#include "sandbox/pool-internal.h"
#include "sandbox/sandbox-internal.h"
#include "util/id.h"
#include "util/log.h"
#include "util/strings.h"
#include "util/time.h"

int spare_program_now(const struct manager *m, const char *runtime, struct spare_program *ret)
{
	const struct config_runtime *r = config_runtime(m->config, runtime);
	char path[RUNTIME_PATH_MAX];
	struct stat st;

	if (!r || runtime_program(r, path) < 0)
		return -ENOENT;
	if (stat(path, &st) < 0)
		return -errno;
	*ret = (struct spare_program){ .dev = st.st_dev,
				       .ino = st.st_ino,
				       .mtime_ns = st.st_mtim.tv_sec * INT64_C(1000000000) +
						   st.st_mtim.tv_nsec };
	return 0;
}

/* ---- life and death ---- */

void spare_free(struct spare *sp)
{
	if (!sp)
		return;
	(void)event_del(&sp->timer);
	pool_forget(sp);
	sp->sandbox->spare = NULL;
	free(sp);
}

static void on_created(struct sandbox *s, struct error *e, void *userdata)
{
	struct spare *sp = userdata;
	bool wanted = !sp->unwanted && !s->manager->stopping;

	if (e->kind != ERROR_NONE) {
		pool_on_end(sp, wanted ? e->message : NULL);
		spare_free(sp); /* what is left of the sandbox is being removed */
		return;
	}
	sp->state = SPARE_STATE_READY;
	sp->ready_ms = time_boottime_ms();
	pool_on_ready(sp);
	if (!wanted)
		spare_end(sp);
}

static void on_removed(struct sandbox *s, struct error *e, void *userdata)
{
	struct spare *sp = userdata;

	(void)s;
	if (e->kind != ERROR_NONE) {
		log_warning("a spare cannot be removed, trying again: %s",
			    e->message ? e->message : "no memory");
		sp->state = SPARE_STATE_STUCK;
		return;
	}
	pool_on_end(sp, NULL);
	spare_free(sp);
}

void spare_end(struct spare *sp)
{
	struct sandbox *s = sp->sandbox;

	switch (sp->state) {
	case SPARE_STATE_STARTING:
		sp->unwanted = true;
		sandbox_cancel_create(s);
		break;
	case SPARE_STATE_READY:
	case SPARE_STATE_STUCK:
		(void)event_del(&sp->timer);
		sp->asked = false;
		sp->state = SPARE_STATE_ENDING;
		if (sandbox_submit(s, SANDBOX_VERB_REMOVE, on_removed, sp, NULL,
				   SANDBOX_STATE_REMOVED) < 0)
			sp->state = SPARE_STATE_STUCK;
		break;
	case SPARE_STATE_TAKEN:
	case SPARE_STATE_ENDING:
	case SPARE_STATE_MAX:
		break;
	}
}

void spare_ready(struct sandbox *s)
{
	s->phase = SANDBOX_PHASE_NONE;
	sandbox_op_end(s, NULL);
}

void spare_lost(struct sandbox *s, const char *why)
{
	struct spare *sp = s->spare;

	if (!sp || sp->state != SPARE_STATE_READY)
		return; /* who makes, claims or ends it hears of it */
	log_warning("a spare of template %s for uid %u %s, removing it", s->facts.template_name,
		    (unsigned)s->facts.owner, why);
	pool_on_failure(sp->pool, why);
	spare_end(sp);
}

/* ---- is it there? ---- */

static void on_answer(int error, void *userdata)
{
	struct spare *sp = userdata;

	if (error < 0)
		return; /* its end is told elsewhere */
	(void)event_del(&sp->timer);
	sp->asked = sp->late = false;
	pool_on_proven(sp->pool);
	if (sp->state == SPARE_STATE_TAKEN)
		sandbox_warm_step(sp->sandbox);
}

static void on_timer(evutil_socket_t fd, short events, void *userdata)
{
	static const char why[] = "does not answer";
	struct spare *sp = userdata;
	CLEANUP_ERROR struct error e = { 0 };

	(void)fd;
	(void)events;
	if (sp->state == SPARE_STATE_TAKEN && !sp->sandbox->warm_claimed) {
		sp->late = true; /* nothing is undone before the keeper has answered */
	} else if (sp->state == SPARE_STATE_TAKEN) {
		(void)error_set(&e, ERROR_RUNTIME_FAILED, NULL, NULL, "the spare %s", why);
		sandbox_warm_fail(sp->sandbox, &e);
	} else {
		spare_lost(sp->sandbox, why);
	}
}

void spare_check(struct spare *sp)
{
	const int64_t ms =
		sp->state == SPARE_STATE_TAKEN ? SPARE_CLAIM_PATIENCE_MS : SPARE_PATIENCE_MS;
	const struct timeval patience = { .tv_sec = ms / 1000, .tv_usec = ms % 1000 * 1000 };

	if (!sp->sandbox->init || (sp->asked && sp->state != SPARE_STATE_TAKEN))
		return;
	sp->asked = true;
	if (event_add(&sp->timer, &patience) < 0 ||
	    init_client_ping(sp->sandbox->init, on_answer, sp) < 0)
		event_active(&sp->timer, 0, 0);
}

/* ---- making one ---- */

static int fill_in(struct sandbox *s, const struct spare_query *q)
{
	const struct config *config = s->manager->config;
	const struct limits_params none = { 0 };
	struct sandbox_facts *f = &s->facts;
	char id[ID_SIZE];
	size_t i;
	int r = id_make(id);

	f->peer = f->owner = q->owner;
	f->state = SANDBOX_STATE_CREATING;
	f->created_at_ms = time_realtime_ms();
	f->network = NETWORK_NONE;
	f->ttl_ms = f->idle_timeout_ms = -1;
	sandbox_fill_limits(s, &none, config_runtime(config, config->runtime));
	s->hidden = s->layers_given = true;
	if (r == 0)
		r = string_copy(id, &f->id);
	if (r == 0)
		r = string_copy(q->template_name, &f->template_name);
	if (r == 0)
		r = string_copy(config->runtime, &f->runtime);
	for (i = 0; r == 0 && i < q->layers->count; i++)
		r = string_list_add(&s->layers, q->layers->items[i]);
	if (r == 0)
		f->name = string_format("spare-%.8s", id);
	return r == 0 && !f->name ? -ENOMEM : r;
}

static int begin(struct sandbox *s, struct spare *sp)
{
	int r = sandbox_enter(s);

	if (r < 0)
		return r;
	r = sandbox_row_insert(s);
	if (r == 0) {
		r = sandbox_submit(s, SANDBOX_VERB_CREATE, on_created, sp, NULL,
				   SANDBOX_STATE_RUNNING);
		if (r < 0)
			(void)sandbox_row_delete(s);
	}
	if (r < 0)
		sandbox_leave(s);
	return r;
}

int spare_new(struct spare **ret, const struct spare_query *q, struct error *reterr)
{
	struct sandbox *s = sandbox_alloc(q->manager);
	struct spare *sp = s ? calloc(1, sizeof(*sp)) : NULL;
	int r = sp ? fill_in(s, q) : -ENOMEM;

	if (sp) {
		sp->pool = q->pool;
		sp->sandbox = s;
		sp->state = SPARE_STATE_STARTING;
		evtimer_assign(&sp->timer, q->manager->base, on_timer, sp);
		s->spare = sp;
		pool_remember(sp);
	}
	if (r == 0)
		r = spare_program_now(q->manager, s->facts.runtime, &sp->program);
	if (r == 0)
		r = begin(s, sp);
	(void)sandbox_unref(s); /* the table has it now, or nobody: then it frees SP, too */
	if (r < 0)
		return error_set_errno(reterr, r, "a spare cannot be made");
	*ret = sp;
	return 0;
}
