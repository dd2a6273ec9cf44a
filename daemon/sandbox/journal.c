/* SPDX-License-Identifier: Apache-2.0 */
/* Keys are in the database only: a look-up is a primary key's, and nobody asks often. */

#include "sandbox/journal.h"

#include <errno.h>
#include <event2/event.h>
#include <event2/event_struct.h>
#include <stdlib.h>
#include <string.h>

#include "bounds.h"
#include "sandbox/exec.h"
#include "sandbox/manager.h"
#include "sandbox/sandbox.h"
#include "store/keys.h"
#include "util/log.h"
#include "util/strings.h"
#include "util/time.h"

#define SWEEP_SECONDS 1800

struct journal {
	struct manager *manager;
	int64_t count; /* of keys, at least */
	struct event timer;
};

/* ---- calls ---- */

static void begin_digest(struct sha256 *h, struct journal_call *call, uid_t peer, const char *key,
			 enum journal_method method)
{
	*call = (struct journal_call){ .peer = peer, .key = key, .method = method };
	sha256_init(h);
	sha256_add(h, &call->method, sizeof(call->method));
}

static void add_number(struct sha256 *h, int64_t n)
{
	sha256_add(h, &n, sizeof(n));
}

static void add_bytes(struct sha256 *h, const struct bytes *b)
{
	add_number(h, (int64_t)b->size);
	sha256_add(h, b->data, b->size);
}

static void add_strings(struct sha256 *h, const struct strings *s)
{
	size_t i;

	add_number(h, (int64_t)s->count);
	for (i = 0; i < s->count; i++)
		sha256_add_text(h, s->items[i]);
}

static void add_files(struct sha256 *h, const struct files_params *f)
{
	size_t i;

	add_number(h, (int64_t)f->count);
	for (i = 0; i < f->count; i++) {
		sha256_add_text(h, f->items[i].path);
		add_number(h, (int64_t)f->items[i].mode);
		add_bytes(h, &f->items[i].data);
	}
}

void journal_call_exec(struct journal_call *call, uid_t peer, const struct exec_run_params *p)
{
	struct sha256 h;

	begin_digest(&h, call, peer, p->idempotency_key, JOURNAL_EXEC_RUN);
	sha256_add_text(&h, p->sandbox);
	add_strings(&h, &p->command);
	sha256_add_text(&h, p->work_dir);
	sha256_add_text(&h, p->user);
	add_number(&h, p->tty.given);
	add_number(&h, p->in.kind);
	if (p->in.kind == STDIN_BYTES)
		add_bytes(&h, &p->in.data);
	add_files(&h, &p->files);
	sha256_end_text(&h, call->digest);
}

void journal_call_loop_run(struct journal_call *call, uid_t peer, const struct loop_run_params *p)
{
	struct sha256 h;

	begin_digest(&h, call, peer, p->idempotency_key, JOURNAL_LOOP_RUN);
	sha256_add_text(&h, p->loop_id);
	sha256_add_text(&h, p->tool);
	add_bytes(&h, &p->prompt);
	sha256_add_text(&h, p->model);
	add_strings(&h, &p->args);
	sha256_add_text(&h, p->stage);
	sha256_add_text(&h, p->work_dir);
	add_files(&h, &p->files);
	sha256_end_text(&h, call->digest);
}

static void add_workspace(struct sha256 *h, const struct workspace_params *w)
{
	sha256_add_text(h, w->path);
	add_number(h, w->read_only);
}

void journal_call_create(struct journal_call *call, uid_t peer,
			 const struct sandbox_create_params *p)
{
	struct sha256 h;
	size_t i;

	begin_digest(&h, call, peer, p->idempotency_key, JOURNAL_SANDBOX_CREATE);
	sha256_add_text(&h, p->name);
	sha256_add_text(&h, p->tool);
	sha256_add_text(&h, p->template_name);
	sha256_add_text(&h, p->runtime);
	add_number(&h, p->network.mode);
	add_workspace(&h, &p->workspace);
	add_number(&h, (int64_t)p->extra_workspaces.count);
	for (i = 0; i < p->extra_workspaces.count; i++)
		add_workspace(&h, &p->extra_workspaces.items[i]);
	sha256_end_text(&h, call->digest);
}

/* ---- look up ---- */

void journal_entry_deinit(struct journal_entry *e)
{
	free(e->subject);
	free(e->exec);
	free(e->base_sha);
	free(e->result);
	*e = (struct journal_entry){ 0 };
}

struct looking {
	const struct journal_call *call; /* NULL: any */
	struct journal_entry *entry;
	bool same;
	int error;
};

static void take_row(const struct store_key *row, void *userdata)
{
	struct looking *l = userdata;
	struct journal_entry *e = l->entry;

	l->same = !l->call || (row->method == (uint32_t)l->call->method &&
			       string_equal(row->digest, l->call->digest));
	if (!l->same)
		return;
	e->method = (enum journal_method)row->method;
	e->done = row->done;
	l->error = string_copy(row->subject, &e->subject);
	if (l->error == 0)
		l->error = string_copy(row->exec, &e->exec);
	if (l->error == 0)
		l->error = string_copy(row->base_sha, &e->base_sha);
	if (l->error == 0)
		l->error = string_copy(row->result, &e->result);
}

static int look_up(struct manager *m, uid_t peer, const char *key, struct looking *l,
		   struct error *reterr)
{
	int r = store_key_get(m->store, peer, key, take_row, l);

	if (r > 0 && l->error < 0)
		r = l->error;
	if (r < 0) {
		journal_entry_deinit(l->entry);
		return error_set_errno(reterr, r, "the idempotency key cannot be looked up");
	}
	return r;
}

int journal_look_up(struct manager *m, const struct journal_call *call, struct journal_entry *ret,
		    struct error *reterr)
{
	struct looking l = { .call = call, .entry = ret };
	int r = look_up(m, call->peer, call->key, &l, reterr);

	if (r <= 0 || l.same)
		return r;
	(void)error_set(reterr, ERROR_CONFLICT, "idempotencyKey",
			"a new key for a new call; the key for the same call",
			"the key %s was used for another call", call->key);
	return -1;
}

int journal_look_up_exec(struct manager *m, const struct journal_call *call,
			 struct journal_entry *ret, struct exec **ret_exec, struct error *reterr)
{
	int r = journal_look_up(m, call, ret, reterr);

	if (r <= 0)
		return r;
	*ret_exec = ret->exec ? exec_of_key(m, ret->exec) : NULL;
	if (*ret_exec || ret->done)
		return 1;
	journal_forget(m, call->peer, call->key); /* its daemon ended before it was forked */
	return 0;
}

int journal_find(struct manager *m, uid_t peer, const char *key, struct journal_entry *ret,
		 struct error *reterr)
{
	struct looking l = { .entry = ret };

	return look_up(m, peer, key, &l, reterr);
}

/* ---- begin and end ---- */

static int refuse(int r, struct error *reterr)
{
	if (r == -ENOSPC)
		return error_set(reterr, ERROR_LIMIT_REACHED, "idempotencyKey",
				 "free some space for the state directory",
				 "no space left to record the key");
	return error_set_errno(reterr, r, "the idempotency key cannot be recorded");
}

int journal_begin(struct manager *m, const struct journal_call *call,
		  const struct journal_entry *details, struct error *reterr)
{
	const struct store_key row = { .peer = call->peer,
				       .key = call->key,
				       .method = (uint32_t)call->method,
				       .digest = call->digest,
				       .subject = details->subject,
				       .exec = details->exec,
				       .base_sha = details->base_sha,
				       .created_at_ms = time_realtime_ms() };
	int r;

	if (m->journal->count >= JOURNAL_KEYS_MAX)
		return error_set(reterr, ERROR_LIMIT_REACHED, "idempotencyKey",
				 "keys are kept for 24 hours after their call has ended",
				 "there are %d idempotency keys already", JOURNAL_KEYS_MAX);
	r = store_key_insert(m->store, &row);
	if (r < 0)
		return refuse(r, reterr);
	m->journal->count++;
	return 0;
}

/* What is not noted is not lost: the same call finds the command itself for as long as it is known,
 * and after that it is refused. */
static void log_failure(int r, const char *key)
{
	if (r < 0 && r != -ENOENT && log_ratelimit())
		log_errno(LOG_LEVEL_WARNING, r, "the outcome of idempotency key %s is not noted",
			  key);
}

void journal_forget(struct manager *m, uid_t peer, const char *key)
{
	log_failure(store_key_delete(m->store, peer, key), key);
}

void journal_done(struct manager *m, uid_t peer, const char *key, const char *result)
{
	log_failure(store_key_done(m->store, peer, key, result), key);
}

/* ---- execs ---- */

void journal_exec_ended(const struct exec *e, const char *exec_key)
{
	struct manager *m = sandbox_manager(exec_sandbox(e));
	CLEANUP_STR char *result = m->describe_result ? m->describe_result(e) : NULL;

	if (result)
		log_failure(store_key_exec_done(m->store, exec_key, JOURNAL_EXEC_RUN, result),
			    exec_key);
}

void journal_exec_dropped(struct manager *m, const char *exec_key)
{
	log_failure(store_key_exec_done(m->store, exec_key, UINT32_MAX, NULL), exec_key);
}

void journal_exec_never_ran(struct manager *m, const char *exec_key)
{
	log_failure(store_key_delete_exec(m->store, exec_key), exec_key);
}

/* ---- life ---- */

static void sweep(struct journal *j)
{
	struct store *s = j->manager->store;
	int r = store_key_delete_old(s, time_realtime_ms() - JOURNAL_KEPT_MS);
	int64_t count = store_key_count(s);

	if (r < 0)
		log_errno(LOG_LEVEL_WARNING, r, "old idempotency keys stay");
	if (count >= 0)
		j->count = count;
}

static void on_timer(evutil_socket_t fd, short events, void *userdata)
{
	(void)fd;
	(void)events;
	sweep(userdata);
}

int journal_new(struct manager *m, struct journal **ret)
{
	const struct timeval interval = { .tv_sec = SWEEP_SECONDS };
	struct journal *j = calloc(1, sizeof(*j));
	int r;

	if (!j)
		return -ENOMEM;
	j->manager = m;
	event_assign(&j->timer, m->base, -1, EV_PERSIST, on_timer, j);
	r = event_add(&j->timer, &interval) < 0 ? -ENOMEM : 0;
	if (r == 0)
		r = store_key_settle_creates(m->store, JOURNAL_SANDBOX_CREATE);
	if (r < 0) {
		journal_free(j);
		return r;
	}
	sweep(j);
	*ret = j;
	return 0;
}

void journal_free(struct journal *j)
{
	if (!j)
		return;
	(void)event_del(&j->timer);
	free(j);
}
