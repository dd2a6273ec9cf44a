/* SPDX-License-Identifier: Apache-2.0 */
#undef NDEBUG
#include "exec-fixture.h"

#include <assert.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bounds.h"
#include "macro.h"
#include "sandbox/disk-watch.h"
#include "sandbox/event-log.h"
#include "sandbox/event.h"
#include "sandbox/exec-activity.h"
#include "sandbox/journal.h"
#include "sandbox/keeper-client.h"
#include "sandbox/runtime.h"
#include "sandbox/secret-file.h"
#include "sandbox/view.h"
#include "secret/lease.h"
#include "store/execs.h"
#include "store/store.h"

/* ---- the made-up sandbox ---- */

struct sandbox box;
char box_id[] = "boxid", box_name[] = "box";
unsigned rows;
int batch_error, insert_error;
static unsigned rows_before; /* the batch */
struct stored_execs stored;
struct sandbox others[OTHERS_MAX];
static char other_ids[OTHERS_MAX][16];

struct sandbox *sandbox_ref(struct sandbox *s)
{
	return s;
}

struct sandbox *sandbox_unref(struct sandbox *s)
{
	(void)s;
	return NULL;
}

enum sandbox_state sandbox_state(const struct sandbox *s)
{
	return s->init || s->runs ? SANDBOX_STATE_RUNNING : SANDBOX_STATE_STOPPED;
}

unsigned leases_ended;

void lease_end_for(struct manager *m, enum lease_holder holder, uid_t holder_peer,
		   const char *holder_id, enum lease_end why, bool kill)
{
	(void)m;
	(void)holder_peer;
	assert(holder == LEASE_HOLDER_EXEC && holder_id[0] && why == LEASE_END_RELEASED && !kill);
	leases_ended++;
}

unsigned leases_given_back;
bool lease_is_gone;

struct lease {
	int unused;
};

struct lease *lease_find(struct manager *m, uid_t peer, const char *id, struct error *reterr)
{
	static struct lease one;

	(void)m;
	(void)peer;
	(void)reterr;
	assert(id[0]);
	return lease_is_gone ? NULL : &one;
}

void lease_end(struct manager *m, struct lease *l, enum lease_end why, bool kill)
{
	(void)m;
	assert(l && why == LEASE_END_RELEASED && !kill);
	leases_given_back++;
}

void lease_forget(struct lease_pending *p)
{
	assert(!p); /* none is ever waited for here */
}

void sandbox_note_activity(struct sandbox *s)
{
	(void)s;
}

const char *sandbox_state_hint(enum sandbox_state s)
{
	(void)s;
	return NULL;
}

const char *sandbox_state_to_string(enum sandbox_state s)
{
	return s == SANDBOX_STATE_RUNNING ? "running" : "stopped";
}

const char *sandbox_id(const struct sandbox *s)
{
	return s->facts.id;
}

const char *sandbox_name(const struct sandbox *s)
{
	return s->facts.name;
}

uid_t sandbox_owner(const struct sandbox *s)
{
	return s->facts.owner;
}

const struct sandbox_facts *sandbox_facts(const struct sandbox *s)
{
	return &s->facts;
}

struct init_client *sandbox_init(const struct sandbox *s)
{
	return s->init;
}

struct keeper_client *sandbox_keeper(const struct sandbox *s)
{
	return s->has_keeper ? (struct keeper_client *)&box : NULL;
}

bool sandbox_is_ready(const struct sandbox *s)
{
	return sandbox_state(s) == SANDBOX_STATE_RUNNING && sandbox_init(s) && sandbox_keeper(s);
}

const char *sandbox_default_workdir(const struct sandbox *s)
{
	(void)s;
	return "/work";
}

int sandbox_environment(const struct sandbox *s, uid_t uid, const struct pairs *extra, char ***ret)
{
	char **env = calloc(2, sizeof(*env));

	(void)s;
	(void)uid;
	(void)extra;
	assert(env);
	env[0] = strdup("A=1");
	*ret = env;
	return 0;
}

uint32_t sandbox_nproc_limit(const struct sandbox *s)
{
	(void)s;
	return 0;
}

uint64_t sandbox_oom_kills(struct sandbox *s)
{
	return s->oom_kills;
}

enum runtime_type sandbox_runtime(const struct sandbox *s)
{
	(void)s;
	return RUNTIME_CRUN;
}

bool runtime_can(enum runtime_type type, enum runtime_capability what)
{
	(void)type;
	(void)what;
	return true;
}

void keeper_client_owner(const struct keeper_client *k, uint32_t *ret_uid, uint32_t *ret_gid)
{
	(void)k;
	*ret_uid = *ret_gid = 1000;
}

enum keeper_map keeper_client_map(const struct keeper_client *k)
{
	(void)k;
	return box.has_users ? KEEPER_MAP_OWNER : KEEPER_MAP_SINGLE;
}

bool sandbox_is_hidden(const struct sandbox *s)
{
	return s->hidden;
}

int64_t sandbox_run_since_ms(const struct sandbox *s)
{
	(void)s;
	return 0;
}

void sandbox_note_foreign_user(struct sandbox *s)
{
	(void)s;
}

void disk_watch_touch(struct sandbox *s)
{
	(void)s; /* it has no limit */
}

struct sandbox *sandbox_find(struct manager *m, uid_t peer, const char *name, struct error *reterr)
{
	(void)m;
	(void)peer;
	(void)reterr;
	if (strncmp(name, "other", 5) == 0)
		return &others[atoi(name + 5)];
	return strcmp(name, box_id) == 0 ? &box : NULL;
}

/* ---- no stages ---- */

int view_enter(struct sandbox *s, const char *stage, struct view_use *ret, struct error *reterr)
{
	(void)s;
	(void)stage;
	(void)reterr;
	*ret = (struct view_use){ .timeout_ms = -1 };
	return 0;
}

void view_leave(struct view_use *use, const char *left_by)
{
	(void)use;
	(void)left_by;
}

bool view_ready(const struct view_use *use)
{
	return !use->view;
}

int view_make(const struct view_use *use, struct sandbox *s, view_done *done, void *userdata)
{
	(void)use;
	(void)s;
	(void)done;
	(void)userdata;
	return -ENOSYS;
}

int view_add(const struct view_use *use, struct wire_message *m)
{
	(void)use;
	(void)m;
	return 0;
}

/* ---- the made-up store ---- */

int store_batch_begin(struct store *s)
{
	(void)s;
	rows_before = rows;
	return 0;
}

int store_batch_end(struct store *s)
{
	(void)s;
	if (batch_error < 0)
		rows = rows_before;
	return batch_error;
}

/* ---- the made-up event log ---- */

unsigned told_started, told_ended;

void event_log_batch_begin(struct manager *m)
{
	(void)m;
	(void)store_batch_begin(NULL);
}

int event_log_batch_end(struct manager *m)
{
	(void)m;
	return store_batch_end(NULL);
}

void event_log_set_writer(struct manager *m, void (*fn)(void *userdata), void *userdata)
{
	(void)m;
	(void)fn;
	(void)userdata;
}

void exec_activity_begin(struct exec *e)
{
	(void)e;
}

void exec_activity_end(struct exec *e)
{
	(void)e;
}

void event_exec_started(struct exec *e)
{
	(void)e;
	told_started++;
}

void event_exec_ended(struct exec *e)
{
	(void)e;
	told_ended++;
}

/* ---- the journal: no command here has a key ---- */

int journal_begin(struct manager *m, const struct journal_call *call,
		  const struct journal_entry *details, struct error *reterr)
{
	(void)m;
	(void)call;
	(void)details;
	(void)reterr;
	abort(); /* no call has a key */
	return -1;
}

void journal_forget(struct manager *m, uid_t peer, const char *key)
{
	(void)m;
	(void)peer;
	(void)key;
	abort(); /* no call has a key */
}

void journal_exec_ended(const struct exec *e, const char *exec_key)
{
	(void)e;
	(void)exec_key;
	abort(); /* no call has a key */
}

void journal_exec_never_ran(struct manager *m, const char *exec_key)
{
	(void)m;
	(void)exec_key;
	abort(); /* no call has a key */
}

void journal_exec_dropped(struct manager *m, const char *exec_key)
{
	(void)m;
	(void)exec_key;
	abort(); /* no call has a key */
}

void journal_entry_deinit(struct journal_entry *e)
{
	assert(!e->exec || e->subject);
	free(e->subject);
	free(e->exec);
}

/* ---- the store ---- */

int store_exec_insert(struct store *s, const struct store_exec *row)
{
	(void)s;
	(void)row;
	if (insert_error == 0)
		rows++;
	return insert_error;
}

int store_exec_update(struct store *s, const struct store_exec *row)
{
	(void)s;
	(void)row;
	return 0;
}

int store_exec_delete(struct store *s, const char *id)
{
	(void)s;
	(void)id;
	rows--;
	return 0;
}

int store_exec_delete_sandbox(struct store *s, const char *sandbox)
{
	(void)s;
	(void)sandbox;
	rows = 0;
	return 0;
}

static void load_ended(store_exec_row *fn, void *userdata, const char *sandbox, unsigned n)
{
	char id[64];
	const struct store_exec row = { .id = id,
					.sandbox = sandbox,
					.peer = 7,
					.command = "true",
					.command_size = 5,
					.state = EXEC_STATE_ENDED,
					.detached = true };
	unsigned i;

	for (i = 0; i < n; i++) {
		(void)snprintf(id, sizeof(id), "%s-%u", sandbox, i);
		assert(fn(&row, userdata) == 0);
		rows++;
	}
}

static void load_others(store_exec_row *fn, void *userdata)
{
	unsigned i;

	for (i = 0; i < stored.others; i++) {
		(void)snprintf(other_ids[i], sizeof(other_ids[i]), "other%u", i);
		others[i] = (struct sandbox){
			.facts = { .id = other_ids[i], .name = other_ids[i], .peer = 7, .owner = 7 }
		};
		load_ended(fn, userdata, other_ids[i], stored.of_each);
	}
}

int store_exec_load(struct store *s, store_exec_row *fn, void *userdata)
{
	static const struct store_exec mine = { .id = "old",
						.sandbox = "boxid",
						.peer = 7,
						.command = "true",
						.command_size = 5,
						.state = EXEC_STATE_RUNNING,
						.detached = true,
						.run = { .init_exec = OLD_EXEC,
							 .deadline_ms = -1,
							 .left_ms = -1,
							 .grace_ms = 60,
							 .ending = EXEC_CAUSE_MAX } };
	struct store_exec first = mine, young = mine;
	static const struct store_exec orphan = { .id = "7.gone", .sandbox = "nobox", .peer = 7 };

	(void)s;
	first.detached = !stored.waited_for;
	assert(fn(&first, userdata) == 0);
	rows = 2;
	if (stored.never_begun) {
		young.id = "young";
		young.state = EXEC_STATE_STARTING;
		young.run.init_exec = YOUNG_EXEC;
		assert(fn(&young, userdata) == 0);
		rows++;
	}
	load_others(fn, userdata);
	load_ended(fn, userdata, box_id, stored.of_box);
	return fn(&orphan, userdata);
}

/* ---- the made-up keeper: answers from the loop ---- */

struct fake_spool spool;
static keeper_reply *answer;
static void *answer_userdata;
static uint32_t answer_streams;
static struct event *answer_event;
static int pipes[KEEPER_STREAM_MAX]; /* our ends */

static void on_answer(evutil_socket_t fd, short what, void *userdata)
{
	struct wire_message *m = calloc(1, sizeof(*m));
	keeper_reply *done = answer;
	int i, ends[2];

	(void)fd;
	(void)what;
	(void)userdata;
	assert(m && done);
	answer = NULL;
	wire_begin(m, KEEPER_WIRE_VERSION, KEEPER_SPOOL_OPEN, 1,
		   sizeof(struct keeper_spool_finish_reply));
	for (i = 0; spool.error == 0 && i < KEEPER_STREAM_MAX; i++) {
		if ((answer_streams & (1u << i)) == 0)
			continue;
		assert(pipe2(ends, O_CLOEXEC) == 0);
		pipes[i] = ends[0];
		(void)wire_add_fd(m, ends[1]);
	}
	answer_streams = 0;
	done(NULL, spool.error, spool.error < 0 ? NULL : m, answer_userdata);
	wire_message_done(m);
	free(m);
}

static void answer_later(keeper_reply *done, void *userdata, uint32_t streams)
{
	answer = done;
	answer_userdata = userdata;
	answer_streams = streams;
	event_active(answer_event, 0, 0);
}

int keeper_client_spool_open(struct keeper_client *k, const struct spool_request *request,
			     keeper_reply *done, void *userdata)
{
	(void)k;
	(void)close_fd(request->pty);
	spool.masked += request->masks >= 0;
	(void)close_fd(request->masks);
	answer_later(done, userdata, request->pty < 0 ? request->streams : 0);
	return 0;
}

int keeper_client_spool_mask(struct keeper_client *k, const char *sandbox, int masks, bool stays,
			     keeper_reply *done, void *userdata)
{
	(void)k;
	(void)sandbox;
	(void)stays;
	spool.masked++;
	(void)close_fd(masks);
	answer_later(done, userdata, 0);
	return 0;
}

int keeper_client_spool_finish(struct keeper_client *k, const char *exec, uint32_t wait_ms,
			       bool remove, keeper_reply *done, void *userdata)
{
	(void)k;
	(void)exec;
	(void)remove;
	assert(wait_ms == EXEC_DRAIN_MS);
	spool.finishes++;
	answer_later(done, userdata, 0);
	return 0;
}

int keeper_client_spool_hold(struct keeper_client *k, const char *exec,
			     const uint64_t offset[KEEPER_STREAM_MAX])
{
	(void)k;
	(void)exec;
	(void)offset;
	return 0;
}

int keeper_client_spool_adopt(struct keeper_client *k, const char *exec, keeper_reply *done,
			      void *userdata)
{
	(void)k;
	(void)exec;
	(void)done;
	(void)userdata;
	return -ENOSYS; /* it is not there any more */
}

int keeper_client_spool_drop_stdin(struct keeper_client *k, const char *exec)
{
	(void)k;
	(void)exec;
	return 0;
}

int keeper_client_spool_remove(struct keeper_client *k, const char *exec)
{
	(void)k;
	(void)exec;
	return 0;
}

void keeper_begin(struct event_base *base)
{
	answer_event = event_new(base, -1, 0, on_answer, NULL);
	assert(answer_event);
}

void keeper_end(void)
{
	size_t i;

	event_free(answer_event);
	for (i = 0; i < KEEPER_STREAM_MAX; i++)
		if (pipes[i] > 0)
			(void)close(pipes[i]);
}

/* None of its secrets is a file. */
int secret_files_check_free(const struct sandbox *s, const struct exec_secrets *b,
			    struct error *reterr)
{
	(void)s;
	(void)b;
	(void)reterr;
	return 0;
}

int secret_files_lend(const struct exec *e)
{
	(void)e;
	return 0;
}

void secret_files_withdraw(const struct exec *e)
{
	(void)e;
}

void secret_files_catch_up(struct exec *e)
{
	(void)e;
}

void secret_files_forget(struct exec *e)
{
	(void)e;
}
