/* SPDX-License-Identifier: Apache-2.0 */
/* A refresh token is used once, so what came of it must not be lost. The broker keeps the server's
 * answer, sealed, in STATE/logins/ before it tells us; the file goes when the provider has the new
 * login on disk. Should we die between, or the provider's disk be full, the login at the provider
 * is the old one, and the next refresh begins with a broker that finds the answer there.
 *
 * The broker is told by a pipe, and ends by itself in BROKER_TIMEOUT_MS: nobody kills it. Under
 * systemd it is a service of its own. In ours it would be killed when we crash, and could reach no
 * network. */

#include "secret/login-flight.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "broker/broker-wire.h"
#include "sandbox/config.h"
#include "sandbox/manager.h"
#include "secret/audit.h"
#include "secret/provider.h"
#include "secret/vault.h"
#include "util/child.h"
#include "util/fault.h"
#include "util/fd.h"
#include "util/id.h"
#include "util/log.h"
#include "util/strings.h"
#include "util/time.h"
#include "util/unit.h"

#define LOGINS_DIR "logins"
#define REPLY_ROOM (sizeof(struct broker_reply) + BROKER_ANSWER_MAX + 1)

struct login_flight {
	struct manager *manager;
	uid_t owner;
	char *secret;
	char *stored; /* path of the broker's file below the state directory */
	struct codex_auth *auth;
	uint8_t id[CODEX_LOGIN_ID_BYTES];
	struct child *child;
	struct unit_start *unit; /* instead of CHILD */
	struct event *event;
	int fd; /* the reply comes here */
	struct secret_value *reply;
	uint8_t *data; /* of REPLY */
	size_t got;
	struct secret_value *fresh; /* the new login */
	const struct provider *provider;
	struct provider_pending *asked; /* what it has now; NULL: it is not asked */
	bool replacing;                 /* it has to call back, whoever is told of it */
	login_flight_done *done;        /* NULL: nobody is told */
	void *userdata;
};

static void flight_free(struct login_flight *f)
{
	if (!f)
		return;
	if (f->event)
		event_free(f->event);
	f->fd = close_fd(f->fd);
	(void)child_release(f->child);
	f->unit = unit_start_free(f->unit);
	if (f->asked)
		f->provider->cancel(f->asked);
	codex_auth_free(f->auth);
	(void)secret_value_unref(f->reply);
	(void)secret_value_unref(f->fresh);
	free(f->stored);
	free(f->secret);
	free(f);
}
DEFINE_CLEANUP(struct login_flight *, flight_free);

static void write_audit(struct login_flight *f, enum login_flight_end end, const struct error *e)
{
	CLEANUP_ERROR struct error unwritten = { 0 };
	struct audit_entry entry = {
		.action = "refresh", .result = "ok", .uid = f->owner, .secret = f->secret
	};

	if (e)
		entry.result = error_kind_name(e->kind);
	else if (end == LOGIN_CHANGED)
		entry.result = error_kind_name(ERROR_CONFLICT);
	/* it has happened: leases that cannot be written are refused by themselves */
	if (f->manager->audit && audit_write(f->manager, &entry, &unwritten) < 0)
		log_warning("the audit does not say that a login was refreshed: %s",
			    unwritten.message ? unwritten.message : "no memory");
}

static void finish(struct login_flight *f, enum login_flight_end end, struct error *e)
{
	struct secret_value *v = end == LOGIN_REFRESHED ? secret_value_ref(f->fresh) : NULL;
	login_flight_done *done = f->done;
	void *userdata = f->userdata;

	if (e && log_ratelimit())
		log_warning("the login in secret %s of uid %u was not refreshed: %s", f->secret,
			    (unsigned)f->owner, e->message ? e->message : "no memory");
	write_audit(f, end, e);
	flight_free(f);
	if (done)
		done(end, v, e, userdata);
	(void)secret_value_unref(v);
}

static void fail(struct login_flight *f, int error_number)
{
	CLEANUP_ERROR struct error e = { 0 };

	(void)error_set_errno(&e, error_number, "the login in secret %s cannot be refreshed",
			      f->secret);
	finish(f, LOGIN_FAILED, &e);
}

/* What is in it is of no use any more. */
static void drop_stored(const struct login_flight *f)
{
	if (unlinkat(f->manager->state_fd, f->stored, 0) < 0 && errno != ENOENT)
		log_errno(LOG_LEVEL_WARNING, -errno, "cannot remove %s, going on", f->stored);
}

/* ---- the answer ---- */

static void on_replaced(struct error *e, void *userdata)
{
	struct login_flight *f = userdata;

	if (e) { /* the broker's file stays: the next refresh begins with it */
		finish(f, LOGIN_FAILED, e);
		return;
	}
	drop_stored(f);
	log_info("the login in secret %s of uid %u was refreshed", f->secret, (unsigned)f->owner);
	finish(f, LOGIN_REFRESHED, NULL);
}

static void replace(struct login_flight *f)
{
	const struct bytes bytes = { secret_value_data(f->fresh), secret_value_size(f->fresh) };
	CLEANUP_ERROR struct error e = { 0 };
	struct provider_call call;
	const struct provider *p = provider_of(f->manager, f->owner, f->secret, &call, &e);

	if (p && !p->replace)
		(void)error_set(&e, ERROR_UNAVAILABLE, "secret", NULL,
				"the provider of %s is another now, and cannot take a login",
				f->secret);
	f->replacing = p && p->replace && p->replace(&call, &bytes, on_replaced, f, &e) == 0;
	if (!f->replacing)
		finish(f, LOGIN_FAILED, &e); /* the broker's file stays */
}

/* What the provider has now: only if that is the login that was refreshed it is replaced. */
static void on_current(struct provider_grant *g, struct error *e, void *userdata)
{
	CLEANUP(codex_auth_freep) struct codex_auth *now = NULL;
	struct login_flight *f = userdata;
	uint8_t id[CODEX_LOGIN_ID_BYTES] = { 0 };

	f->asked = NULL;
	if (e && e->kind != ERROR_NOT_FOUND) {
		finish(f, LOGIN_FAILED, e);
		return;
	}
	if (g && codex_auth_read(g->value, &now) == 0)
		codex_auth_id(now, id);
	if (g)
		g->value = secret_value_unref(g->value);
	if (memcmp(id, f->id, sizeof(id)) == 0) {
		replace(f);
		return;
	}
	drop_stored(f); /* removed, or set anew meanwhile */
	finish(f, LOGIN_CHANGED, NULL);
}

static void put_back(struct login_flight *f)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct provider_grant grant = { 0 };
	struct provider_call call;
	int r = -1;

	f->provider = provider_of(f->manager, f->owner, f->secret, &call, &e);
	if (f->provider) {
		call.ttl_ms = f->manager->config->secrets.default_ttl_ms;
		r = f->provider->lease(&call, on_current, f, &grant, &f->asked, &e);
	}
	if (r != 0)
		on_current(r == 1 ? &grant : NULL, r == 1 ? NULL : &e, f);
}

static void take_tokens(struct login_flight *f, const struct secret_value *answer)
{
	CLEANUP_ERROR struct error e = { 0 };
	int r = codex_auth_apply(f->auth, answer, time_realtime_ms(), &f->fresh);

	if (r < 0) {
		fail(f, r); /* the broker's file stays */
		return;
	}
	if (r > 0) {
		drop_stored(f);
		(void)error_set(&e, ERROR_UNAVAILABLE, "secret", "look at [secrets] oauth_endpoint",
				"what the token server answered for %s is no login", f->secret);
		finish(f, LOGIN_FAILED, &e);
		return;
	}
	FAULT_POINT("login.answered");
	put_back(f);
}

static void refuse(struct login_flight *f, uint32_t status, const struct secret_value *answer)
{
	CLEANUP_ERROR struct error e = { 0 };
	bool for_good = status == 400 || status == 401; /* as Codex itself sees it */
	char code[CODEX_ERROR_SIZE];

	codex_answer_error(answer, code);
	if (for_good)
		(void)error_set(&e, ERROR_UNAVAILABLE, "secret",
				"log in again (codex login), then sandboxctl secret set it from "
				"~/.codex/auth.json",
				"the login in secret %s is of no use any more (%u%s%s)", f->secret,
				(unsigned)status, code[0] ? " " : "", code);
	else
		(void)error_set(&e, ERROR_UNAVAILABLE, "secret", "try again later",
				"the token server does not refresh the login in secret %s "
				"(%u%s%s)",
				f->secret, (unsigned)status, code[0] ? " " : "", code);
	finish(f, for_good ? LOGIN_REFUSED : LOGIN_FAILED, &e);
}

static void judge_answer(struct login_flight *f, const struct broker_reply *reply)
{
	CLEANUP(secret_value_unrefp) struct secret_value *answer = NULL;
	uint8_t *data;

	if (secret_value_new(reply->body_size, &answer, &data) < 0) {
		fail(f, -ENOMEM);
		return;
	}
	memcpy(data, f->data + sizeof(*reply), reply->body_size);
	if (reply->http_status / 100 == 2)
		take_tokens(f, answer);
	else
		refuse(f, reply->http_status, answer);
}

static void tell_outcome(struct login_flight *f, const struct broker_reply *reply)
{
	static const struct {
		enum error_kind kind;
		const char *why;
		const char *hint;
	} outcomes[] = {
		[BROKER_BAD_URL] = { ERROR_UNAVAILABLE, "[secrets] oauth_endpoint is no https URL",
				     "http is for this machine itself alone" },
		[BROKER_NOT_STORED] = { ERROR_LIMIT_REACHED,
					"there is no room for the answer, so nothing was asked",
					"make room in the state directory" },
		[BROKER_BUSY] = { ERROR_TIMEOUT, "an earlier broker is still at it", NULL },
		[BROKER_UNREACHABLE] = { ERROR_UNAVAILABLE, "the token server was not reached",
					 "look at the network, and [secrets] oauth_endpoint" },
		[BROKER_TIMEOUT] = { ERROR_TIMEOUT, "the token server did not answer", NULL },
		[BROKER_TOO_BIG] = { ERROR_UNAVAILABLE, "the token server's answer is too big",
				     "look at [secrets] oauth_endpoint" },
		[BROKER_FAILED] = { ERROR_UNAVAILABLE, "the broker could not do it", NULL },
	};
	CLEANUP_ERROR struct error e = { 0 };
	uint32_t o = reply->outcome < ARRAY_SIZE(outcomes) ? reply->outcome : BROKER_FAILED;

	(void)error_set(&e, outcomes[o].kind, "secret", outcomes[o].hint,
			"the login in secret %s cannot be refreshed: %s%s%s", f->secret,
			outcomes[o].why, reply->detail[0] ? ": " : "", reply->detail);
	finish(f, LOGIN_FAILED, &e);
}

static void on_whole(struct login_flight *f)
{
	struct broker_reply reply = { .outcome = BROKER_FAILED };
	bool whole = f->got >= sizeof(reply);

	event_free(TAKE_PTR(f->event));
	f->child = child_free(f->child); /* it has said all, and is reaped as it ends */
	f->unit = unit_start_free(f->unit);
	if (whole) {
		memcpy(&reply, f->data, sizeof(reply));
		reply.detail[sizeof(reply.detail) - 1] = '\0';
		whole = f->got == sizeof(reply) + (size_t)reply.body_size;
	}
	if (!whole)
		reply = (struct broker_reply){ .outcome = BROKER_FAILED,
					       .detail = "it ended without an answer" };
	if (reply.outcome == BROKER_ANSWERED)
		judge_answer(f, &reply);
	else
		tell_outcome(f, &reply);
}

static void on_reply(evutil_socket_t fd, short what, void *userdata)
{
	struct login_flight *f = userdata;
	ssize_t n = read(fd, f->data + f->got, REPLY_ROOM - f->got);

	(void)what;
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	f->got += n > 0 ? (size_t)n : 0;
	if (n <= 0 || f->got == REPLY_ROOM) /* its end, or more than one that is well-formed has */
		on_whole(f);
}

/* ---- the start ---- */

/* Never comes to an end before the pipe's. */
static void on_ended(struct child *c, bool exited, int status, void *userdata)
{
	(void)c;
	(void)exited;
	(void)status;
	(void)userdata;
}

static int open_stored(struct login_flight *f)
{
	int state = f->manager->state_fd, fd;

	if (mkdirat(state, LOGINS_DIR, 0700) < 0 && errno != EEXIST)
		return -errno;
	fd = openat(state, f->stored, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	return fd < 0 ? -errno : fd;
}

/* If it did start and is only slow to be known, its answer waits in its file. */
static void on_unit_started(struct unit_start *u, int error, const char *reason, pid_t pid,
			    int pidfd, void *userdata)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct login_flight *f = userdata;

	(void)u;
	(void)pid;
	(void)close_fd(pidfd);
	if (error == 0 || error == -ESRCH)
		return;
	(void)error_set(&e, ERROR_UNAVAILABLE, "secret", "look at the journal",
			"the login in secret %s cannot be refreshed: systemd starts no broker: %s",
			f->secret, reason ? reason : strerror(-error));
	finish(f, LOGIN_FAILED, &e);
}

static int start_unit(struct login_flight *f, const char *binary, const int fds[static 3])
{
	const unsigned uid = (unsigned)f->owner;
	CLEANUP_STR char *description = string_format("A login of uid %u is refreshed", uid);
	CLEANUP_STR char *name = NULL;
	char unique[SHORT_ID_SIZE];
	int r = id_make_short(unique);

	if (r < 0)
		return r;
	name = string_format("sandbox-broker-%u-%s-%s.service", uid, f->manager->instance, unique);
	if (!name || !description)
		return -ENOMEM;
	return unit_start(&f->unit, &(struct unit_config){
					    .base = f->manager->base,
					    .manager = f->manager->units,
					    .kind = UNIT_WORKER,
					    .limit_ms = BROKER_TIMEOUT_MS + 5000,
					    .name = name,
					    .description = description,
					    .argv = (const char *const[]){ binary, NULL },
					    .envp = (const char *const[]){ NULL },
					    .fds = { fds[0], fds[1], fds[2] },
					    .done = on_unit_started,
					    .userdata = f,
				    });
}

static int spawn(struct login_flight *f, int request, int reply, int stored)
{
	CLEANUP_STR char *binary = string_format("%s/sandbox-broker", f->manager->libexec_dir);
	const int fds[] = { [BROKER_FD_REQUEST] = request,
			    [BROKER_FD_REPLY] = reply,
			    [BROKER_FD_STORED] = stored };

	if (binary && access(binary, X_OK) < 0) /* a build directory */
		binary = (free(binary),
			  string_format("%s/broker/sandbox-broker", f->manager->libexec_dir));
	if (!binary)
		return -ENOMEM;
	if (f->manager->units != UNIT_MANAGER_NONE)
		return start_unit(f, binary, fds);
	return child_start(&f->child, &(struct child_config){
					      .base = f->manager->base,
					      .argv = (const char *const[]){ binary, NULL },
					      .envp = (const char *const[]){ NULL },
					      .fds = fds,
					      .n_fds = ARRAY_SIZE(fds),
					      .ended = on_ended,
					      .userdata = f,
				      });
}

/* What of our environment counts for it. */
static int pack_proxies(char **ret, size_t *ret_size)
{
	static const char *const names[] = { "https_proxy", "HTTPS_PROXY", "all_proxy",
					     "ALL_PROXY",   "no_proxy",    "NO_PROXY" };
	CLEANUP_STRINGS struct string_list l = { 0 };
	size_t i;
	int r = 0;

	for (i = 0; r == 0 && i < ARRAY_SIZE(names); i++)
		if (getenv(names[i]))
			r = string_list_set_env(&l, names[i], getenv(names[i]));
	return r < 0 ? r : strings_pack((const char *const *)l.items, l.count, ret, ret_size);
}

/* Into a pipe that is empty, so all of it fits (BROKER_BODY_MAX). */
static int write_request(struct login_flight *f, int fd, struct error *reterr)
{
	const struct config_secrets *config = &f->manager->config->secrets;
	CLEANUP(secret_value_unrefp) struct secret_value *body = NULL, *whole = NULL;
	struct broker_request request = { .timeout_ms = BROKER_TIMEOUT_MS };
	size_t url_size = strlen(config->oauth_endpoint), proxies_size = 0, size;
	CLEANUP_STR char *proxies = NULL;
	uint8_t *data;
	ssize_t n;

	if (codex_auth_request(f->auth, config->oauth_client_id, &body) < 0 ||
	    pack_proxies(&proxies, &proxies_size) < 0)
		return error_set_errno(reterr, -ENOMEM, "no memory for a refresh");
	if (url_size > BROKER_URL_MAX || secret_value_size(body) > BROKER_BODY_MAX ||
	    proxies_size > BROKER_PROXIES_MAX)
		return error_set(reterr, ERROR_UNAVAILABLE, "secret", NULL,
				 "the refresh token in %s, the endpoint, or the proxy, is too long",
				 f->secret);
	size = sizeof(request) + url_size + secret_value_size(body) + proxies_size;
	if (secret_value_new(size, &whole, &data) < 0)
		return error_set_errno(reterr, -ENOMEM, "no memory for a refresh");
	request.url_size = (uint32_t)url_size;
	request.body_size = (uint32_t)secret_value_size(body);
	request.proxies_size = (uint32_t)proxies_size;
	memcpy(data, &request, sizeof(request));
	if (vault_derive(f->manager->vault, "refreshs", data + offsetof(struct broker_request, key),
			 reterr) < 0)
		return -1;
	memcpy(data + sizeof(request), config->oauth_endpoint, url_size);
	memcpy(data + sizeof(request) + url_size, secret_value_data(body), request.body_size);
	memcpy(data + size - proxies_size, proxies, proxies_size);
	n = write(fd, data, size);
	if (n < 0 || (size_t)n < size)
		return error_set_errno(reterr, n < 0 ? -errno : -ENOBUFS,
				       "the broker cannot be told");
	return 0;
}

static int start_broker(struct login_flight *f, struct error *reterr)
{
	CLEANUP_FD int in = -1, tell = -1, out = -1, stored = -1;
	int pipes[2], r;

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return error_set_errno(reterr, -errno, "no pipe for a broker");
	in = pipes[0];
	tell = pipes[1];
	if (pipe2(pipes, O_CLOEXEC) < 0)
		return error_set_errno(reterr, -errno, "no pipe for a broker");
	f->fd = pipes[0];
	out = pipes[1];
	r = fd_set_nonblock(tell);
	if (r == 0)
		r = fd_set_nonblock(f->fd);
	f->event = event_new(f->manager->base, f->fd, EV_READ | EV_PERSIST, on_reply, f);
	if (!f->event || event_add(f->event, NULL) < 0)
		r = -ENOMEM;
	if (r == 0 && write_request(f, tell, reterr) < 0)
		return -1;
	stored = r == 0 ? open_stored(f) : r;
	r = stored < 0 ? stored : spawn(f, in, out, stored);
	return r < 0 ? error_set_errno(reterr, r, "the broker of logins cannot be started") : 0;
}

int login_flight_start(struct manager *m, uid_t owner, const char *secret, struct codex_auth *auth,
		       login_flight_done *done, void *userdata, struct login_flight **ret,
		       struct error *reterr)
{
	CLEANUP(flight_freep) struct login_flight *f = calloc(1, sizeof(*f));

	if (!f) {
		codex_auth_free(auth);
		return error_set_errno(reterr, -ENOMEM, "no memory for a refresh");
	}
	f->manager = m;
	f->owner = owner;
	f->auth = auth;
	f->fd = -1;
	f->done = done;
	f->userdata = userdata;
	codex_auth_id(auth, f->id);
	f->stored = string_format(LOGINS_DIR "/%u-%s", (unsigned)owner, secret);
	if (!f->stored || string_copy(secret, &f->secret) < 0 ||
	    secret_value_new(REPLY_ROOM, &f->reply, &f->data) < 0)
		return error_set_errno(reterr, -ENOMEM, "no memory for a refresh");
	if (start_broker(f, reterr) < 0)
		return -1;
	*ret = TAKE_PTR(f);
	return 0;
}

void login_flight_forget(struct login_flight *f)
{
	f->done = NULL;
	if (!f->replacing)
		flight_free(f);
}
