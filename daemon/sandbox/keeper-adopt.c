/* SPDX-License-Identifier: Apache-2.0 */
/* Keepers that outlived the daemon that started them. They are found by their sockets and say what
 * they have. A sandbox or spool that nobody here knows carries our instance id and is ours to end:
 * its row was never written, or was deleted before the last daemon came to it. */

#include <dirent.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/socket.h>

#include "sandbox/exec.h"
#include "sandbox/keeper-internal.h"
#include "sandbox/sandbox-internal.h"
#include "util/child.h"
#include "util/fd.h"
#include "util/log.h"
#include "util/strings.h"

/* ---- the process ---- */

static void on_ended(struct child *c, bool exited, int status, void *userdata)
{
	struct keeper_client *k = userdata;

	(void)c; /* freed with the client */
	(void)exited;
	(void)status;
	keeper_die(k);
}

/* A keeper listens itself, before it enters its namespaces: so it is the peer. */
static int watch_peer(struct keeper_client *k)
{
	const struct child_config config = { .base = k->manager->base,
					     .ended = on_ended,
					     .userdata = k };
	struct ucred peer;
	socklen_t size = sizeof(peer);
	int pidfd, r;

	if (getsockopt(k->socket, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return -errno;
	if (peer.uid != k->manager->uid || peer.pid <= 1)
		return -EPERM;
	pidfd = pidfd_open(peer.pid, 0);
	if (pidfd < 0)
		return -errno;
	r = child_watch(&k->child, &config, peer.pid, pidfd);
	if (r == 0)
		keeper_follow(k, peer.pid);
	return r;
}

int keeper_find(struct keeper_client *k)
{
	CLEANUP_STR char *path = keeper_socket_path(k);
	int r;

	if (!path)
		return -ENOMEM;
	k->socket = fd_connect_unix(path, SOCK_SEQPACKET);
	if (k->socket < 0)
		return k->socket;
	r = watch_peer(k);
	if (r == 0)
		r = fd_set_nonblock(k->socket);
	if (r == -ESRCH)
		r = -ECONNREFUSED; /* it ended just now */
	if (r < 0) {
		k->child = child_release(k->child);
		k->socket = close_fd(k->socket);
	}
	return r < 0 ? r : 0;
}

/* ---- what it has ---- */

static void on_ended_for(struct keeper_client *k, int error, struct wire_message *m, void *userdata)
{
	(void)m;
	(void)userdata;
	if (error < 0 && error != -ESRCH && error != -ENOENT && error != -ECONNRESET)
		log_errno(LOG_LEVEL_WARNING, error,
			  "the keeper of uid %u has something of nobody's that stays",
			  (unsigned)k->owner.uid);
}

static void end_sandbox(struct keeper_client *k, const char *id, uint16_t type)
{
	struct wire_message *m = keeper_scratch(k->manager);

	log_notice("sandbox %s runs and should not, ending it", id);
	wire_begin(m, KEEPER_WIRE_VERSION, type, 0, sizeof(struct keeper_end));
	if (wire_add_string(m, offsetof(struct keeper_end, id), id) >= 0)
		(void)keeper_client_call(k, m, on_ended_for, NULL); /* else the next daemon */
}

static void see_sandbox(struct keeper_client *k, const char *id)
{
	const struct sandbox *s = table_find(&k->manager->sandboxes->by_id, id);

	if (!s)
		end_sandbox(k, id, KEEPER_REMOVE);
	else if (!sandbox_is_up(s) && !s->ops) /* else it is about to be adopted, or removed */
		end_sandbox(k, id, KEEPER_KILL);
}

static void see_spool(struct keeper_client *k, const char *exec)
{
	bool known;

	if (exec_is_running(k->manager, exec, &known))
		return; /* it is adopted with its sandbox */
	(void)keeper_client_spool_finish(k, exec, 0, !known, on_ended_for, NULL);
}

static void see_all(struct keeper_client *k, const struct keeper_list_reply *reply,
		    const char *names)
{
	const char *name = names, *end = names + reply->names_size;
	uint64_t i;

	for (i = 0; i < (uint64_t)reply->n_sandboxes + reply->n_spools; i++) {
		if (name >= end || !memchr(name, 0, (size_t)(end - name)))
			return;
		if (i < reply->n_sandboxes)
			see_sandbox(k, name);
		else
			see_spool(k, name);
		name += strlen(name) + 1;
	}
	if (reply->truncated)
		log_warning("the keeper of uid %u has more than it can tell, what is nobody's of "
			    "the rest stays until the next start",
			    (unsigned)k->owner.uid);
}

static void on_list(struct keeper_client *k, int error, struct wire_message *m, void *userdata)
{
	struct keeper_list_reply reply = { 0 };

	(void)userdata;
	if (k->state != KEEPER_STATE_STARTING)
		return;
	if (error == 0 && m->size < sizeof(reply))
		error = -EBADMSG;
	if (error == 0) {
		memcpy(&reply, m->data, sizeof(reply));
		if (reply.names_offset < sizeof(reply) || reply.names_offset > m->size ||
		    reply.names_size > m->size - reply.names_offset)
			error = -EBADMSG;
	}
	if (error < 0) {
		k->start_error = string_format("it does not say what it has: %s", strerror(-error));
		keeper_die(k);
		return;
	}
	see_all(k, &reply, (const char *)m->data + reply.names_offset);
	keeper_ready(k);
}

int keeper_take_stock(struct keeper_client *k)
{
	struct wire_message *m = keeper_scratch(k->manager);

	wire_begin(m, KEEPER_WIRE_VERSION, KEEPER_LIST, 0, sizeof(struct wire_header));
	return keeper_client_call(k, m, on_list, NULL);
}

/* ---- all of them ---- */

static void meet(struct manager *m, int dir, const char *name)
{
	unsigned long owner;
	char *end;
	int r;

	owner = strtoul(name, &end, 10);
	if (end == name || strcmp(end, ".sock") != 0 || owner > UINT32_MAX)
		return;
	r = keeper_meet(m, (uid_t)owner);
	if (r == -ECONNREFUSED)
		(void)unlinkat(dir, name, 0); /* it died */
	else if (r < 0)
		log_errno(LOG_LEVEL_WARNING, r, "cannot connect to the keeper of uid %lu", owner);
}

void keeper_table_find(struct manager *m)
{
	int fd = openat(m->runtime_fd, "keepers", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	if (!d) {
		log_errno(LOG_LEVEL_WARNING, -errno, "cannot look for keepers");
		(void)close_fd(fd);
		return;
	}
	while ((entry = readdir(d)))
		meet(m, dirfd(d), entry->d_name);
	(void)closedir(d); /* only read from */
}

bool keeper_table_is_finding(const struct manager *m)
{
	const struct keeper_client *k;

	for (k = m->keepers->list; k; k = k->next)
		if (k->found && k->state == KEEPER_STATE_STARTING)
			return true;
	return false;
}
