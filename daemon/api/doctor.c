/* SPDX-License-Identifier: Apache-2.0 */
/* The child's output is smaller than a pipe, so it is read in one go when the child has ended. A
 * doctor_run belongs to its child and is freed when that has ended. */

#include "api/doctor.h"

#include <event2/event.h>
#include <fcntl.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "api/values.h"
#include "rpc/request.h"
#include "sandbox/cgroup.h"
#include "sandbox/config.h"
#include "sandbox/manager.h"
#include "secret/agent-secrets-health.h"
#include "secret/audit.h"
#include "secret/ready.h"
#include "secret/vault.h"
#include "util/checks.h"
#include "util/child.h"
#include "util/fd.h"
#include "util/strings.h"
#include "util/time.h"

#define OUTPUT_MAX 65536
#define TIMEOUT_SECONDS 20

struct doctor_run {
	struct manager *manager;
	struct request *request;
	struct child *child;
	struct event *timer; /* first the child's limit, then the freeing of all this */
	int output;
};

static struct json_object *check_value(const struct check *c)
{
	struct json_object *o = json_object_new_object();
	struct json_object *fix;
	size_t i;

	value_add_string(o, "name", c->name);
	json_object_object_add(o, "ok", c->skipped ? NULL : json_object_new_boolean(c->ok));
	value_add_string(o, "severity", c->severity == CHECK_REQUIRED ? "required" : "optional");
	json_object_object_add(o, "detail", value_string(c->detail));
	json_object_object_add(o, "hint", value_string(c->hint));
	if (!c->fix[0])
		return o;
	fix = json_object_new_array();
	for (i = 0; c->fix[i]; i++)
		(void)json_object_array_add(fix, value_string(c->fix[i])); /* memory: shorter */
	json_object_object_add(o, "fix", fix);
	return o;
}

enum finding { BAD, GOOD, NOT_LOOKED_AT };

/* A check that is none of the table's: it is about us, not the host. */
static struct json_object *own_check(const char *name, enum finding f, const char *detail,
				     const char *hint)
{
	struct json_object *o = json_object_new_object();

	value_add_string(o, "name", name);
	json_object_object_add(o, "ok",
			       f == NOT_LOOKED_AT ? NULL : json_object_new_boolean(f == GOOD));
	value_add_string(o, "severity", "optional");
	json_object_object_add(o, "detail", value_string(detail));
	json_object_object_add(o, "hint", value_string(hint));
	return o;
}

/* If a secret comes from there. */
static void add_agent_secrets(struct json_object *list, const struct config *config)
{
	const char *path = config->secrets.agent_secrets_socket;
	CLEANUP_ERROR struct error e = { 0 };
	struct agent_secrets_health health;
	const struct config_secret *s;
	char detail[128];

	for (s = config->secrets.list; s && strcmp(s->provider, "agent-secrets") != 0; s = s->next)
		;
	if (!s)
		return;
	if (!path) {
		(void)json_object_array_add(list, own_check("agent-secrets", BAD, "no HOME",
							    "[secrets] agent_secrets_socket"));
	} else if (agent_secrets_ask_health(path, &health, &e) < 0) {
		(void)json_object_array_add(list,
					    own_check("agent-secrets", BAD, e.message, e.hint));
	} else {
		(void)snprintf(detail, sizeof(detail), "answers: %lld secrets, %lld leases",
			       (long long)health.secrets, (long long)health.leases);
		(void)json_object_array_add(list, own_check("agent-secrets", GOOD, detail, NULL));
	}
}

/* Of the table's, one that the daemon itself knows better: its keepers have cgroups elsewhere, or
 * none where a daemon could make some that is alone in its own. */
static const char limits_name[] = "limits";

int doctor_print(const struct config *config, const char *libexec_dir)
{
	const struct config_runtime *standard = config_runtime(config, config->runtime);
	const struct checks_scope scope = { .uid = geteuid(),
					    .state_dir = config->state_dir,
					    .runtime_dir = config->runtime_dir,
					    .crun = config_runtime(config, "crun")->path,
					    .runc = config_runtime(config, "runc")->path,
					    .runsc = config_runtime(config, "runsc")->path,
					    .runtime = runtime_type_to_string(
						    standard ? standard->type : RUNTIME_CRUN),
					    .min_free = config->min_free,
					    .libexec_dir = libexec_dir };
	struct json_object *result = json_object_new_object();
	struct json_object *list = json_object_new_array();
	struct check checks[CHECKS_MAX];
	size_t i, n = checks_run(&scope, checks);
	const char *text;
	int r;

	for (i = 0; i < n; i++)
		if (strcmp(checks[i].name, limits_name) != 0)
			(void)json_object_array_add(list,
						    check_value(&checks[i])); /* memory: shorter */
	add_agent_secrets(list, config);
	json_object_object_add(result, "checks", list);
	text = json_object_to_json_string_ext(result, JSON_C_TO_STRING_PLAIN);
	r = !text || puts(text) < 0 || fflush(stdout) != 0 ? -EIO : 0;
	(void)json_object_put(result); /* 1: it was the last reference */
	return r;
}

static void run_free(struct doctor_run *run)
{
	if (!run)
		return;
	if (run->timer)
		event_free(run->timer);
	run->child = child_free(run->child);
	run->output = close_fd(run->output);
	free(run);
}
DEFINE_CLEANUP(struct doctor_run *, run_free);

static struct json_object *read_result(int fd)
{
	struct json_object *o;
	char *text = malloc(OUTPUT_MAX);
	ssize_t n = text ? read(fd, text, OUTPUT_MAX - 1) : -1;

	if (n <= 0) {
		free(text);
		return NULL;
	}
	text[n] = '\0';
	o = json_tokener_parse(text);
	free(text);
	return o;
}

/* ---- what this process alone knows ---- */

static void add_limits(struct json_object *list, const struct manager *m)
{
	static const char hint[] =
		"run sandboxd as a service, or alone in a cgroup of its own; without limits only "
		"the number of processes and /dev/shm are limited";
	static const struct {
		const char *name;
		uint32_t bit;
	} wanted[] = { { "memory", KEEPER_CONTROLLER_MEMORY },
		       { "cpu", KEEPER_CONTROLLER_CPU },
		       { "pids", KEEPER_CONTROLLER_PIDS } };
	const uint32_t works = cgroups_controllers(m->cgroups);
	char detail[64];
	size_t i, n = 0;
	int size;

	size = snprintf(detail, sizeof(detail),
			"cgroup %s, enforced:", cgroups_version(m->cgroups));
	for (i = 0; i < ARRAY_SIZE(wanted); i++)
		if (works & wanted[i].bit)
			size += snprintf(detail + size, sizeof(detail) - (size_t)size, "%s %s",
					 n++ ? "," : "", wanted[i].name);
	(void)json_object_array_add(list,
				    own_check(limits_name, n == ARRAY_SIZE(wanted) ? GOOD : BAD,
					      detail, n == ARRAY_SIZE(wanted) ? NULL : hint));
}

static void add_store(struct json_object *list, struct manager *m)
{
	static const char name[] = "secret store";
	CLEANUP_ERROR struct error e = { 0 };
	char key[VAULT_KEY_TEXT_SIZE], detail[VAULT_KEY_TEXT_SIZE + 64];
	bool lost = vault_was_lost(m->vault);

	if (vault_check_open(m->vault, &e) < 0) {
		(void)json_object_array_add(list, own_check(name, BAD, e.message, e.hint));
		return;
	}
	vault_describe_key(m->vault, key, sizeof(key));
	(void)snprintf(detail, sizeof(detail), "%s; key: %s",
		       lost ? "new and empty, for secrets.vault was gone" : "open", key);
	(void)json_object_array_add(list, own_check(name, lost ? BAD : GOOD, detail,
						    lost ? "stop sandboxd and bring secrets.vault "
							   "back; or set the secrets anew"
							 : NULL));
}

static void add_audit(struct json_object *list, struct manager *m)
{
	static const char name[] = "audit log", hint[] = "sandboxctl audit verify";
	CLEANUP_ERROR struct error e = { 0 };
	enum finding found = NOT_LOOKED_AT;
	struct audit_state s;
	char detail[160], when[TIME_TEXT_SIZE];

	if (audit_look(m, &s, &e) < 0) {
		(void)json_object_array_add(list, own_check(name, BAD, e.message, e.hint));
		return;
	}
	if (s.checked_at_ms == 0) {
		(void)snprintf(detail, sizeof(detail),
			       "not looked at: sandboxctl audit verify checks its %" PRId64
			       " entries",
			       s.entries);
	} else {
		time_format(s.checked_at_ms, when);
		found = s.bad == 0 ? GOOD : BAD;
		if (found == GOOD)
			(void)snprintf(detail, sizeof(detail), "as it was written, at %s", when);
		else
			(void)snprintf(detail, sizeof(detail),
				       "entry %" PRId64 " was not as it was written, at %s", s.bad,
				       when);
	}
	(void)json_object_array_add(list,
				    own_check(name, found, detail, found == BAD ? hint : NULL));
}

/* Who asks is known, too. */
static void add_tool(const struct tool_ready *t, void *userdata)
{
	CLEANUP_STR char *name = string_format("secrets: %s", t->tool);
	struct json_object *o =
		own_check(name ? name : "secrets", t->ready ? GOOD : BAD, t->detail, t->hint);

	(void)json_object_array_add(userdata, o); /* memory: shorter */
}

static void on_ended(struct child *c, bool exited, int status, void *userdata)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct doctor_run *run = userdata;
	struct request *r = TAKE_PTR(run->request);
	struct timeval now = { 0 };
	struct json_object *result, *checks;

	(void)c;
	result = exited && status == 0 ? read_result(run->output) : NULL;
	if (result) {
		if (json_object_object_get_ex(result, "checks", &checks)) {
			add_limits(checks, run->manager);
			add_store(checks, run->manager);
			add_audit(checks, run->manager);
			tools_ready_each(run->manager, request_uid(r), add_tool, checks);
		}
		request_reply(r, result);
	} else {
		(void)error_set(&e, ERROR_TIMEOUT, NULL, "run sandboxctl doctor without the daemon",
				"the checks did not end well");
		request_fail(r, &e);
	}
	(void)event_add(run->timer, &now); /* it was added before, so there is memory */
}

static void on_timer(evutil_socket_t fd, short events, void *userdata)
{
	struct doctor_run *run = userdata;

	(void)fd;
	(void)events;
	if (run->request)
		(void)child_kill(run->child, SIGKILL); /* its end comes by itself */
	else
		run_free(run);
}

static int run_start(struct doctor_run *run, struct manager *m, int out)
{
	const char *file = m->config->file;
	const char *const argv[] = { "/proc/self/exe",
				     "--doctor",
				     "--state-dir",
				     m->config->state_dir,
				     "--runtime-dir",
				     m->config->runtime_dir,
				     file ? "--config" : NULL,
				     file,
				     NULL };
	const int fds[] = { -1, out, -1 };
	const struct child_config config = { .base = m->base,
					     .argv = argv,
					     .fds = fds,
					     .n_fds = 3,
					     .ended = on_ended,
					     .userdata = run };
	struct timeval limit = { .tv_sec = TIMEOUT_SECONDS };

	run->timer = evtimer_new(m->base, on_timer, run);
	if (!run->timer || event_add(run->timer, &limit) < 0)
		return -ENOMEM;
	return child_start(&run->child, &config);
}

void doctor_answer(struct manager *m, struct request *r)
{
	CLEANUP_ERROR struct error e = { 0 };
	CLEANUP(run_freep) struct doctor_run *run = calloc(1, sizeof(*run));
	CLEANUP_FD int out = -1;
	int pipes[2];
	int result = -ENOMEM;

	if (run) {
		run->output = -1;
		result = pipe2(pipes, O_CLOEXEC | O_NONBLOCK) < 0 ? -errno : 0;
	}
	if (result == 0) {
		run->output = pipes[0];
		out = pipes[1];
		run->manager = m;
		run->request = r;
		result = run_start(run, m, out);
	}
	if (result == 0) {
		(void)TAKE_PTR(run); /* its child's now */
		return;
	}
	(void)error_set_errno(&e, result, "the checks cannot be run");
	request_fail(r, &e);
}
