/* SPDX-License-Identifier: Apache-2.0 */
/* A build goes through its phases in order; every step has one asynchronous call under way, and its
 * callback takes the next step. Where something fails, the error is kept and the sandbox is
 * removed. Saving is the last thing that can fail, so a failed build leaves no layer. on_ended
 * comes last, from an event of its own, when nothing of the build runs any more, and the build
 * frees itself behind it.
 *
 * The build owns its sandbox (a reference, and the duty to remove it) and its current exec. Nothing
 * a step prints is believed; only its exit status counts, and the tail of its output goes into the
 * error. */

#include "sandbox/template-build.h"

#include <ctype.h>
#include <errno.h>
#include <event2/event.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "keeper-wire.h"
#include "macro.h"
#include "sandbox/config.h"
#include "sandbox/exec.h"
#include "sandbox/keeper-client.h"
#include "sandbox/manager.h"
#include "sandbox/sandbox.h"
#include "sandbox/tool-env.h"
#include "sandbox/tool-steps.h"
#include "util/strings.h"

#define TAIL_MAX 2000 /* bytes of a failed step's output that go into the error */

enum build_phase {
	BUILD_PHASE_CREATING,
	BUILD_PHASE_CLEARING, /* the stale layer */
	BUILD_PHASE_RUNNING,  /* step after step */
	BUILD_PHASE_STOPPING,
	BUILD_PHASE_SAVING,
	BUILD_PHASE_REMOVING, /* the sandbox */
	BUILD_PHASE_ENDED,
};

struct build {
	struct build_config config;
	struct config *held; /* whose profile the choice is */
	char *layer;
	char *stale_layer;
	char *registry;
	struct tool_steps steps;
	enum build_phase phase;
	size_t step;
	struct sandbox *sandbox;    /* referenced */
	struct exec *exec;          /* of the current step */
	struct exec_follow *follow; /* our place at it */
	struct event *ending;       /* calls on_ended and frees the build */
	uint64_t size_bytes;
	struct error error;
	bool failed;
	bool creating; /* sandbox_create_own() has not answered yet */
};

static void take_next_step(struct build *b);
static void remove_sandbox(struct build *b);

static void say(struct build *b, const char *message)
{
	if (b->config.on_progress)
		b->config.on_progress(message, b->config.userdata);
}

/* Keeps the first error; what comes after it is a consequence. */
static void note_failure(struct build *b, struct error *e)
{
	if (!b->failed)
		error_move(&b->error, e);
	else
		error_clear(e);
	b->failed = true;
}

static void fail_errno(struct build *b, int r, const char *what)
{
	struct error e = { 0 };

	error_set_errno(&e, r, "the template %s cannot be built: %s",
			b->config.choice.profile->name, what);
	note_failure(b, &e);
}

static void fail_runtime(struct build *b, const char *what, const char *reason)
{
	struct error e = { 0 };

	error_set(&e, ERROR_RUNTIME_FAILED, NULL, NULL, "the template %s cannot be built: %s: %s",
		  b->config.choice.profile->name, what, reason);
	note_failure(b, &e);
}

static void on_ending(evutil_socket_t fd, short what, void *userdata)
{
	struct build *b = userdata;

	(void)fd;
	(void)what;
	b->config.on_ended(b->size_bytes, b->failed ? &b->error : NULL, b->config.userdata);
	(void)build_free(b);
}

static void end(struct build *b)
{
	b->phase = BUILD_PHASE_ENDED;
	event_active(b->ending, 0, 0);
}

/* ---- the end: the sandbox goes ---- */

static void on_sandbox_removed(struct sandbox *s, struct error *e, void *userdata)
{
	struct build *b = userdata;

	(void)s;
	if (e->kind != ERROR_NONE)
		note_failure(b, e);
	b->sandbox = sandbox_unref(b->sandbox);
	end(b);
}

static void remove_sandbox(struct build *b)
{
	static const struct sandbox_end_how how = { .grace_ms = -1, .force = true };
	CLEANUP_ERROR struct error e = { 0 };

	b->phase = BUILD_PHASE_REMOVING;
	if (!b->sandbox) {
		end(b);
		return;
	}
	if (sandbox_remove(b->sandbox, &how, on_sandbox_removed, b, &e) < 0)
		on_sandbox_removed(b->sandbox, &e, b);
}

/* ---- keeper: the stale layer goes, the new one comes ---- */

/* Why the keeper could not do it, from its reply. */
static void fail_keeper(struct build *b, int error, struct wire_message *m, const char *what)
{
	const char *reason = NULL;
	bool bad = false;

	if (m && m->size >= sizeof(struct keeper_layer_reply)) {
		const struct keeper_layer_reply *reply = (const void *)m->data;

		reason = wire_string(m, reply->reason, &bad);
	}
	fail_runtime(b, what, reason ? reason : strerror(-error));
}

static int call_layer(struct build *b, struct keeper_client *k, uint16_t type, const char *layer,
		      keeper_reply *done)
{
	struct wire_message *m = malloc(sizeof(*m));
	int r;

	if (!m)
		return -ENOMEM;
	wire_begin(m, KEEPER_WIRE_VERSION, type, 0, sizeof(struct keeper_layer));
	r = wire_add_string(m, offsetof(struct keeper_layer, layer), layer);
	if (r == 0 && b->sandbox)
		r = wire_add_string(m, offsetof(struct keeper_layer, id), sandbox_id(b->sandbox));
	if (r == 0)
		r = keeper_client_call(k, m, done, b);
	wire_message_done(m);
	free(m);
	return r;
}

static void on_layer_saved(struct keeper_client *k, int error, struct wire_message *m,
			   void *userdata)
{
	struct build *b = userdata;

	(void)k;
	if (error < 0 || !m || m->size < sizeof(struct keeper_layer_reply)) {
		fail_keeper(b, error < 0 ? error : -EBADMSG, m, "saving the layer");
	} else {
		const struct keeper_layer_reply *reply = (const void *)m->data;

		b->size_bytes = reply->size_bytes;
	}
	remove_sandbox(b);
}

static void on_keeper(struct keeper_client *k, struct error *e, void *userdata)
{
	struct build *b = userdata;
	int r;

	if (!k) {
		note_failure(b, e);
		remove_sandbox(b);
		return;
	}
	r = call_layer(b, k, KEEPER_LAYER_SAVE, b->layer, on_layer_saved);
	if (r < 0) {
		fail_errno(b, r, "saving the layer");
		remove_sandbox(b);
	}
}

static void on_sandbox_stopped(struct sandbox *s, struct error *e, void *userdata)
{
	struct build *b = userdata;
	CLEANUP_ERROR struct error own = { 0 };

	(void)s;
	if (e->kind != ERROR_NONE)
		note_failure(b, e);
	if (b->failed) {
		remove_sandbox(b);
		return;
	}
	b->phase = BUILD_PHASE_SAVING;
	say(b, "saving the layer");
	if (manager_keeper(b->config.manager, b->config.owner, on_keeper, b, &own) < 0) {
		note_failure(b, &own);
		remove_sandbox(b);
	}
}

static void stop_sandbox(struct build *b)
{
	static const struct sandbox_end_how how = { "build_finished", -1, false };
	CLEANUP_ERROR struct error e = { 0 };

	b->phase = BUILD_PHASE_STOPPING;
	if (sandbox_stop(b->sandbox, &how, on_sandbox_stopped, b, &e) < 0) {
		note_failure(b, &e);
		remove_sandbox(b);
	}
}

static void on_stale_removed(struct keeper_client *k, int error, struct wire_message *m,
			     void *userdata)
{
	struct build *b = userdata;

	(void)k;
	if (error < 0 && error != -ENOENT) {
		fail_keeper(b, error, m, "removing what an earlier build left");
		remove_sandbox(b);
		return;
	}
	take_next_step(b);
}

static void clear_stale(struct build *b)
{
	int r;

	b->phase = BUILD_PHASE_CLEARING;
	r = call_layer(b, sandbox_keeper(b->sandbox), KEEPER_LAYER_REMOVE, b->stale_layer,
		       on_stale_removed);
	if (r < 0) {
		fail_errno(b, r, "removing what an earlier build left");
		remove_sandbox(b);
	}
}

/* ---- steps ---- */

/* The last bytes that a step printed, in one line: control characters become spaces. */
static void read_tail(const struct exec *e, char tail[static TAIL_MAX + 1])
{
	CLEANUP_FD int fd = exec_open_spool(e, KEEPER_STREAM_OUTPUT);
	uint64_t size = exec_facts(e)->stream[KEEPER_STREAM_OUTPUT].end;
	ssize_t n = 0;
	size_t used = 0;

	if (fd >= 0)
		n = pread(fd, tail, TAIL_MAX, size > TAIL_MAX ? (off_t)(size - TAIL_MAX) : 0);
	for (ssize_t i = 0; i < n; i++) {
		char c = iscntrl((unsigned char)tail[i]) ? ' ' : tail[i];

		if (c != ' ' || (used && tail[used - 1] != ' '))
			tail[used++] = c;
	}
	while (used && tail[used - 1] == ' ')
		used--;
	tail[used] = '\0';
}

static void note_bad_step(struct build *b, const struct exec *e)
{
	const struct tool_choice *choice = &b->config.choice;
	const struct exec_result *result = &exec_facts(e)->result;
	struct error error = { 0 };
	char tail[TAIL_MAX + 1], how[64];

	if (result->cause == EXEC_CAUSE_EXITED)
		(void)snprintf(how, sizeof(how), "exit status %d", result->exit_code);
	else
		(void)snprintf(how, sizeof(how), "%s", exec_cause_to_string(result->cause));
	read_tail(e, tail);
	error_set(&error,
		  result->cause == EXEC_CAUSE_CANCELLED ? ERROR_CANCELLED : ERROR_RUNTIME_FAILED,
		  NULL, NULL, "the template %s@%s cannot be built: %s: %s%s%s",
		  choice->profile->name, choice->version, b->steps.items[b->step].message, how,
		  tail[0] ? ": " : "", tail);
	error_set_resource(&error, "template %s@%s", choice->profile->name, choice->version);
	note_failure(b, &error);
}

static void on_step_ended(struct exec *e, void *userdata)
{
	struct build *b = userdata;
	const struct exec_result *result = &exec_facts(e)->result;

	if (result->cause != EXEC_CAUSE_EXITED || result->exit_code != 0)
		note_bad_step(b, e);
	b->follow = exec_unfollow(b->follow);
	b->exec = exec_unref(b->exec);
	b->step++;
	take_next_step(b);
}

static int step_environment(const struct build *b, const struct tool_step *step,
			    struct string_list *l)
{
	CLEANUP_STR char *prefix = tool_prefix(step->profile);
	int r = prefix ? tool_environment_of_host(b->registry, l) : -ENOMEM;

	if (r == 0)
		r = string_list_set_env(l, "TOOL_PREFIX", prefix);
	if (r == 0)
		r = string_list_set_env(l, "TOOL_VERSION", step->version);
	if (r == 0)
		r = string_list_set_env(l, "NODE_VERSION", step->node);
	if (r == 0 && step->profile->npm)
		r = string_list_set_env(l, "NPM_PACKAGE", step->profile->npm);
	if (r == 0 && !step->as_agent)
		r = string_list_set_env(l, "HOME", "/tmp/build-home");
	return r;
}

/* Splits the list's "K=V" in place. */
static int to_pairs(struct string_list *l, struct pair **ret)
{
	struct pair *items = calloc(l->count + 1, sizeof(*items));

	if (!items)
		return -ENOMEM;
	for (size_t i = 0; i < l->count; i++) {
		char *equals = strchr(l->items[i], '=');

		*equals = '\0';
		items[i] = (struct pair){ .key = l->items[i], .value = equals + 1 };
	}
	*ret = items;
	return 0;
}

static int start_step(struct build *b, const struct tool_step *step, struct error *reterr)
{
	static const struct exec_follower follower = { .on_ended = on_step_ended };
	const char *command[] = { "/bin/sh", "-euc", step->script, NULL };
	CLEANUP_STRINGS struct string_list l = { 0 };
	struct exec_run_params params = {
		.command = { .items = command, .count = 3 },
		.work_dir = "/",
		.user = step->as_agent ? "agent" : "root",
		.capture = CAPTURE_MERGED,
		.timeout_ms = b->config.choice.build_timeout_ms,
		.grace_ms = -1,
		.fds = 0,
		.max_output_bytes = -1,
		.on_disconnect = DISCONNECT_KEEP,
	};
	int fds[3] = { -1, -1, -1 };
	struct pair *items = NULL;
	int r = step_environment(b, step, &l);

	if (r == 0)
		r = to_pairs(&l, &items);
	if (r < 0)
		return error_set_errno(reterr, r, "a build step cannot be started");
	params.env = (struct pairs){ .items = items, .count = l.count };
	r = exec_start(b->config.manager, b->sandbox, &params, fds, &b->exec, reterr);
	free(items);
	if (r < 0)
		return -1;
	r = exec_follow(b->exec, &follower, b, &b->follow);
	if (r < 0) {
		exec_end(b->exec, EXEC_CAUSE_CANCELLED);
		b->exec = exec_unref(b->exec);
		return error_set_errno(reterr, r, "a build step cannot be followed");
	}
	return 0;
}

static void take_next_step(struct build *b)
{
	CLEANUP_ERROR struct error e = { 0 };

	b->phase = BUILD_PHASE_RUNNING;
	if (b->failed) {
		remove_sandbox(b);
	} else if (b->step == b->steps.count) {
		stop_sandbox(b);
	} else {
		say(b, b->steps.items[b->step].message);
		if (start_step(b, &b->steps.items[b->step], &e) < 0) {
			note_failure(b, &e);
			remove_sandbox(b);
		}
	}
}

/* ---- the beginning ---- */

static void on_sandbox_created(struct sandbox *s, struct error *e, void *userdata)
{
	struct build *b = userdata;

	(void)s;
	b->creating = false;
	if (e->kind != ERROR_NONE)
		note_failure(b, e);
	if (b->failed)
		remove_sandbox(b);
	else if (b->stale_layer)
		clear_stale(b);
	else
		take_next_step(b);
}

static int create_sandbox(struct build *b, struct error *reterr)
{
	const struct sandbox_origin origin = { .peer = b->config.manager->uid,
					       .owner = b->config.owner,
					       .hidden = true };
	const struct sandbox_create_params params = {
		.network = { .mode = NETWORK_HOST }, /* until there is a gateway */
		.ttl_ms = -1,
		.idle_timeout_ms = -1,
	};
	struct sandbox *s = NULL;

	b->creating = true;
	if (sandbox_create_own(b->config.manager, &origin, &params, on_sandbox_created, b, &s,
			       reterr) < 0)
		return -1;
	b->sandbox = sandbox_ref(s);
	return 0;
}

int build_new(struct build **ret, const struct build_config *config, struct error *reterr)
{
	struct build *b = calloc(1, sizeof(*b));
	int r = -ENOMEM;

	if (!b)
		return error_set_errno(reterr, r, "a build cannot be started");
	b->config = *config;
	b->held = config_ref(config->choice.config);    /* a reload may replace it meanwhile */
	b->config.layer = b->config.stale_layer = NULL; /* our copies count */
	b->ending = event_new(config->manager->base, -1, 0, on_ending, b);
	if (b->ending)
		r = string_copy(config->layer, &b->layer);
	if (r == 0)
		r = string_copy(config->stale_layer, &b->stale_layer);
	if (r == 0)
		r = string_copy(config->choice.registry, &b->registry);
	if (r == 0)
		r = tool_steps_make(&b->steps, &b->config.choice);
	if (r < 0)
		error_set_errno(reterr, r, "a build cannot be started");
	else
		r = create_sandbox(b, reterr);
	if (r < 0) {
		(void)build_free(b);
		return -1;
	}
	*ret = b;
	return 0;
}

void build_cancel(struct build *b)
{
	struct error e = { 0 };

	if (b->phase >= BUILD_PHASE_SAVING || b->failed)
		return; /* what is being saved is wanted by the next one who asks */
	error_set(&e, ERROR_CANCELLED, NULL, NULL, "the build of template %s was cancelled",
		  b->config.choice.profile->name);
	note_failure(b, &e);
	if (b->exec)
		exec_end(b->exec, EXEC_CAUSE_CANCELLED);
}

bool build_is_over(const struct build *b)
{
	return b->failed;
}

struct build *build_free(struct build *b)
{
	if (!b)
		return NULL;
	if (b->follow)
		b->follow = exec_unfollow(b->follow);
	if (b->exec)
		b->exec = exec_unref(b->exec);
	if (b->sandbox)
		b->sandbox = sandbox_unref(b->sandbox);
	if (b->ending)
		event_free(b->ending);
	error_clear(&b->error);
	free(b->layer);
	free(b->stale_layer);
	free(b->registry);
	tool_steps_deinit(&b->steps);
	config_unref(b->held);
	free(b);
	return NULL;
}
