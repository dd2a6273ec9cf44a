/* SPDX-License-Identifier: Apache-2.0 */
/* agent-secrets, a daemon with a Unix socket of its own. Each call has its own connection, so there
 * is none to be kept alive, and a restart of agent-secrets is a connection that is refused or
 * ends: the call is made again for a while. One that was read there may have made a lease before
 * its answer was lost, and the protocol has nothing by which it would know the same call again:
 * such a call is made once more, for a restart, and not again. (A connection that ends with what we
 * sent unread ends with ECONNRESET, else as a file does.)
 *
 * A call belongs to whoever waits for it (cancel()); one that revokes a lease is waited for by
 * nobody and is in the manager's list, which frees what is left of them when the daemon ends. */

#include "secret/provider-agent-secrets.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "sandbox/config-secret.h"
#include "sandbox/config.h"
#include "sandbox/manager.h"
#include "secret/agent-secrets-answer.h"
#include "secret/gather.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/time.h"

#define AGAIN_MS 100    /* until the next attempt */
#define RESTART_MS 3000 /* how long agent-secrets may be away */
#define LOST_MAX 2      /* answers */
#define HINT "start agent-secrets: secrets serve"

struct provider_pending {
	struct manager *m;
	struct provider_pending *next; /* of those that nobody waits for */
	char *name;
	char *path;          /* of the socket */
	char *line;          /* the request */
	provider_done *done; /* NULL: it revokes a lease */
	void *userdata;
	struct event *readable;
	struct event *again;
	struct event *limit;
	struct gather gather;
	int fd;
	unsigned lost;         /* answers: the request was read */
	int64_t give_up_at_ms; /* CLOCK_MONOTONIC; 0: nothing has failed yet */
};

/* ---- the connection ---- */

static void disconnect(struct provider_pending *p)
{
	if (p->readable)
		event_free(p->readable);
	p->readable = NULL;
	p->fd = close_fd(p->fd);
	gather_clear(&p->gather);
}

static void pending_free(struct provider_pending *p)
{
	if (!p)
		return;
	disconnect(p);
	if (p->again)
		event_free(p->again);
	if (p->limit)
		event_free(p->limit);
	free(p->name);
	free(p->path);
	free(p->line);
	free(p);
}
DEFINE_CLEANUP(struct provider_pending *, pending_free);

static void on_readable(evutil_socket_t fd, short events, void *userdata);

/* Connects and says what is to be said; both are done at once or not at all. Returns 0 or negative
 * errno. */
static int attempt(struct provider_pending *p)
{
	size_t size = strlen(p->line);
	ssize_t n;

	disconnect(p);
	p->fd = fd_connect_unix(p->path, SOCK_STREAM);
	if (p->fd < 0) {
		int r = p->fd;

		p->fd = -1;
		return r;
	}
	n = send(p->fd, p->line, size, MSG_NOSIGNAL);
	if (n < 0)
		return -errno;
	if ((size_t)n != size)
		return -EAGAIN;
	p->readable = event_new(p->m->base, p->fd, EV_READ | EV_PERSIST, on_readable, p);
	return p->readable && event_add(p->readable, NULL) == 0 ? 0 : -ENOMEM;
}

/* It may be starting, or have ended while it had our question. */
static bool may_come_back(int r)
{
	return r == -ECONNREFUSED || r == -ENOENT || r == -ECONNRESET || r == -EPIPE ||
	       r == -EAGAIN;
}

/* ---- outcomes ---- */

static void forget(struct provider_pending *p)
{
	struct provider_pending **at;

	for (at = &p->m->agent_secrets; *at && *at != p; at = &(*at)->next)
		;
	if (*at)
		*at = p->next;
}

/* Hands the outcome over; P is gone. */
static void finish(struct provider_pending *p, struct provider_grant *g, struct error *e)
{
	provider_done *done = p->done;
	void *userdata = p->userdata;

	if (!done) {
		forget(p);
		if (e && log_ratelimit())
			log_warning("%s; the lease ends there by itself", e->message);
	}
	pending_free(p);
	if (done)
		done(g, e, userdata);
}

static void fail(struct provider_pending *p, int r)
{
	CLEANUP_ERROR struct error e = { 0 };

	if (r == -EFBIG)
		(void)error_set(&e, ERROR_UNAVAILABLE, NULL, NULL,
				"agent-secrets' answer about %s is longer than %d bytes", p->name,
				SECRET_VALUE_MAX);
	else if (p->lost >= LOST_MAX)
		(void)error_set(&e, ERROR_UNAVAILABLE, NULL,
				"see its log; if it has lent something, that ends there by itself",
				"agent-secrets hung up %u times without an answer about %s",
				p->lost, p->name);
	else if (may_come_back(r))
		(void)error_set(&e, ERROR_UNAVAILABLE, NULL, HINT,
				"agent-secrets does not answer at %s about %s: %s", p->path,
				p->name, strerror(-r));
	else if (r == -EACCES || r == -ENAMETOOLONG || r == -ENOTDIR)
		(void)error_set(&e, ERROR_UNAVAILABLE, NULL,
				"[secrets] agent_secrets_socket says where it is",
				"agent-secrets cannot be reached at %s: %s", p->path, strerror(-r));
	else
		(void)error_set_errno(&e, r, "agent-secrets cannot be asked about %s", p->name);
	finish(p, NULL, &e);
}

static void try_again_or_fail(struct provider_pending *p, int r)
{
	const struct timeval pause = { .tv_usec = AGAIN_MS * 1000 };
	int64_t now = time_monotonic_ms();

	disconnect(p);
	if (p->give_up_at_ms == 0)
		p->give_up_at_ms = now + RESTART_MS;
	if (!may_come_back(r) || p->lost >= LOST_MAX || now >= p->give_up_at_ms ||
	    event_add(p->again, &pause) < 0)
		fail(p, r);
}

static void judge(struct provider_pending *p, size_t size)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct provider_grant grant = { 0 };
	char *line = (char *)p->gather.data;
	int r;

	if (p->done)
		r = agent_secrets_read_lease(line, size, p->name, time_realtime_ms(), &grant, &e);
	else
		r = agent_secrets_read_revoke(line, size, p->name, &e);
	finish(p, r < 0 ? NULL : &grant, r < 0 ? &e : NULL);
}

/* ---- events ---- */

static void on_readable(evutil_socket_t fd, short events, void *userdata)
{
	struct provider_pending *p = userdata;
	int r = gather_read(&p->gather, fd);
	const char *newline = p->gather.used ? memchr(p->gather.data, '\n', p->gather.used) : NULL;

	(void)events;
	if (newline) {
		judge(p, (size_t)(newline - (const char *)p->gather.data));
	} else if (r != 0) {
		p->lost += r > 0;
		try_again_or_fail(p, r > 0 ? -ECONNRESET : r);
	}
}

static void on_again(evutil_socket_t fd, short events, void *userdata)
{
	struct provider_pending *p = userdata;
	int r = attempt(p);

	(void)fd;
	(void)events;
	if (r < 0)
		try_again_or_fail(p, r);
}

static void on_limit(evutil_socket_t fd, short events, void *userdata)
{
	CLEANUP_ERROR struct error e = { 0 };
	struct provider_pending *p = userdata;

	(void)fd;
	(void)events;
	(void)error_set(&e, ERROR_TIMEOUT, NULL, "secrets health",
			"agent-secrets did not answer about %s within %d s", p->name,
			PROVIDER_TIMEOUT_MS / 1000);
	finish(p, NULL, &e);
}

/* ---- calls ---- */

/* LINE (NULL: no memory) is the callee's. The first attempt is made at once, so that a call that
 * nobody waits for is on its way even if the daemon ends now. */
static int begin(const struct provider_call *call, char *line, struct provider_pending **ret)
{
	const struct timeval limit = { .tv_sec = PROVIDER_TIMEOUT_MS / 1000 }, now = { 0 };
	CLEANUP(pending_freep) struct provider_pending *p = calloc(1, sizeof(*p));

	if (!p) {
		free(line);
		return -ENOMEM;
	}
	p->fd = -1;
	p->m = call->m;
	p->line = line;
	p->name = strdup(call->name);
	p->path = strdup(call->m->config->secrets.agent_secrets_socket);
	p->again = evtimer_new(p->m->base, on_again, p);
	p->limit = evtimer_new(p->m->base, on_limit, p);
	if (!p->line || !p->name || !p->path || !p->again || !p->limit ||
	    event_add(p->limit, &limit) < 0)
		return -ENOMEM;
	if (attempt(p) < 0 && event_add(p->again, &now) < 0)
		return -ENOMEM;
	*ret = TAKE_PTR(p);
	return 0;
}

static int agent_secrets_lease(const struct provider_call *call, provider_done *done,
			       void *userdata, struct provider_grant *ret,
			       struct provider_pending **ret_pending, struct error *reterr)
{
	struct provider_pending *p;
	int r;

	(void)ret; /* never at once */
	if (!call->m->config->secrets.agent_secrets_socket)
		return error_set(reterr, ERROR_UNAVAILABLE, NULL,
				 "say it by [secrets] agent_secrets_socket",
				 "it is not known where agent-secrets is: there is no HOME");
	r = begin(call, agent_secrets_lease_line(call->config->remote_name, call->ttl_ms), &p);
	if (r < 0)
		return error_set_errno(reterr, r, "agent-secrets cannot be asked about %s",
				       call->name);
	p->done = done;
	p->userdata = userdata;
	*ret_pending = p;
	return 0;
}

static void agent_secrets_revoke(const struct provider_call *call, const char *remote_id)
{
	struct provider_pending *p;
	int r = -ENOENT;

	if (call->m->config->secrets.agent_secrets_socket)
		r = begin(call, agent_secrets_revoke_line(remote_id), &p);
	if (r < 0) {
		(void)log_errno(LOG_LEVEL_WARNING, r,
				"agent-secrets is not told that a lease of %s is over", call->name);
		return;
	}
	p->next = call->m->agent_secrets;
	call->m->agent_secrets = p;
}

static bool agent_secrets_has(const struct provider_call *call)
{
	const char *path = call->m->config->secrets.agent_secrets_socket;
	struct stat st;

	return path && stat(path, &st) == 0 && S_ISSOCK(st.st_mode);
}

void provider_agent_secrets_stop(struct manager *m)
{
	struct provider_pending *p;

	while ((p = m->agent_secrets)) {
		m->agent_secrets = p->next;
		pending_free(p);
	}
}

const struct provider provider_agent_secrets = {
	.name = "agent-secrets",
	.lease = agent_secrets_lease,
	.cancel = pending_free,
	.revoke = agent_secrets_revoke,
	.has = agent_secrets_has,
};
